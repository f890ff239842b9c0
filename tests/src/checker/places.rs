//! What is in the final log and where: A1 to A4, A7 to A10 and A12.

use super::history::{At, Event, History};
use super::{Anomaly, Deliver, Op, Report};

pub(super) fn check(history: &History, deliver: Deliver, report: &mut Report) {
    for known in &history.messages {
        if let Some(at) = known.acknowledged {
            acknowledged(history, at, report);
        }
        let refused = known.answered.filter(|at| history.events[*at].op == Op::No);
        if let Some((answer, post)) = refused.zip(known.posts.last()) {
            refused_but_kept(history, answer, *post, report);
        }
    }
    for event in history.events.iter().filter(|event| event.hears()) {
        heard(history, event, deliver, report);
    }
    let lasts = |event: &Event| deliver == Deliver::Stored || event.client == history.final_client;
    ids(history, report, |event| event.hears() && lasts(event));
    ids(history, report, |event| event.op == Op::Ok);
    places(history, report);
}

/// A1: what was acknowledged is in the final log; A12: where the first reply says.
fn acknowledged(history: &History, at: At, report: &mut Report) {
    let reply = &history.events[at];
    match history.kept(reply.id, reply.room) {
        None if history.rooms[reply.room as usize].tells_of(reply.seq) => {}
        None => report.found(Anomaly::Lost, history, reply, None),
        Some(kept) if kept.seq != reply.seq => {
            report.found(Anomaly::Misplaced, history, reply, Some(kept));
        }
        Some(_) => {}
    }
}

/// A10: what was refused at last, and not asked again, is not in the final log. Under an id of another message a refusal says nothing
/// about that one.
fn refused_but_kept(history: &History, answer: At, post: At, report: &mut Report) {
    let (answer, post) = (&history.events[answer], &history.events[post]);
    let kept = history.kept(post.id, post.room).filter(|kept| kept.hash == post.hash);
    if kept.is_some() {
        report.found(Anomaly::FalseNo, history, answer, kept);
    }
}

/// A2: what is in the final log was posted to that room; A7: what is heard live is in the final log; A9: it is what was posted.
fn heard(history: &History, event: &Event, deliver: Deliver, report: &mut Report) {
    let posts = history.messages[event.id as usize].posts.iter().map(|at| &history.events[*at]);
    let mut posts = posts.filter(|post| post.room == event.room).peekable();
    let first = posts.peek().copied();
    if event.client == history.final_client && first.is_none() {
        report.found(Anomaly::Invented, history, event, None);
    }
    if first.is_some() && !posts.any(|post| post.hash == event.hash) {
        report.found(Anomaly::Changed, history, event, first);
    }
    let room = &history.rooms[event.room as usize];
    if deliver == Deliver::Stored
        && event.op == Op::Recv
        && history.kept(event.id, event.room).is_none()
        && !room.tells_of(event.seq)
    {
        report.found(Anomaly::Phantom, history, event, None);
    }
}

/// A3: an id is heard at one place, and acknowledged at one.
fn ids(history: &History, report: &mut Report, which: impl Fn(&Event) -> bool) {
    let mut events: Vec<&Event> = history.events.iter().filter(|event| which(event)).collect();
    events.sort_by_key(|event| (event.id, event.place()));
    // The final log must not have a message twice at one place, either.
    let twice = |one: &Event, other: &Event| {
        let both_final = [one, other].iter().all(|event| event.client == history.final_client);
        one.place() != other.place() || (both_final && one.conn == other.conn)
    };
    for pair in events.windows(2) {
        if let [one, other] = pair
            && one.id == other.id
            && twice(one, other)
        {
            report.found(Anomaly::Doubled, history, other, Some(one));
        }
    }
}

/// A4: at one place all observers hear the same message; A8: a place is given to one message only.
fn places(history: &History, report: &mut Report) {
    let is_told = |event: &&Event| event.hears() || event.op == Op::Ok;
    let mut told: Vec<&Event> = history.events.iter().filter(is_told).collect();
    told.sort_by_key(|event| (event.place(), event.id));
    for place in told.chunk_by(|one, other| one.place() == other.place()) {
        let messages: Vec<_> = place.chunk_by(|one, other| one.id == other.id).collect();
        for pair in messages.windows(2) {
            let [one, other] = pair else { continue };
            let observers = |of: &[&Event]| -> Vec<u32> {
                of.iter().filter(|event| event.hears()).map(|event| event.client).collect()
            };
            let (left, right) = (observers(one), observers(other));
            let is_split = left.iter().any(|client| right.iter().any(|other| other != client));
            let by_one = left.iter().any(|client| right.contains(client));
            let by_reply = [one, other].iter().any(|of| of.iter().any(|event| !event.hears()));
            if is_split {
                report.found(Anomaly::Split, history, other[0], Some(one[0]));
            }
            if by_one || by_reply {
                report.found(Anomaly::Reused, history, other[0], Some(one[0]));
            }
        }
    }
}
