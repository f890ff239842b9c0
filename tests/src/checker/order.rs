//! The order in which each connection hears, and real time: A5, A6 and A11.

use super::history::{Event, History, Kept};
use super::{Anomaly, Deliver, Op, Report};

pub(super) fn check(history: &History, deliver: Deliver, report: &mut Report) {
    for stream in streams(history) {
        Stream::of(history, deliver, &stream).walk(&stream, report);
        author(history, &stream, report);
    }
    real_time(history, report);
}

/// What each connection said and heard of each room, in order.
pub(super) fn streams(history: &History) -> Vec<Vec<&Event>> {
    let is_of_a_room = |event: &&Event| {
        matches!(event.op, Op::Post | Op::Ok | Op::Join | Op::Recv | Op::Replay | Op::Gap)
    };
    let mut events: Vec<&Event> = history.events.iter().filter(is_of_a_room).collect();
    // Stable: what is of one stream stays in the order of time.
    events.sort_by_key(|event| (event.client, event.conn, event.room));
    let same = |one: &&Event, other: &&Event| {
        (one.client, one.conn, one.room) == (other.client, other.conn, other.room)
    };
    events.chunk_by(same).map(<[&Event]>::to_vec).collect()
}

/// The places of a stream's own posts, which it hears as replies (or only posted) and not as messages: those of the final log, rising.
pub(super) fn own_places(history: &History, of: Op, stream: &[&Event]) -> Vec<u64> {
    let place = |event: &&Event| {
        let kept = history.kept(event.id, event.room).filter(|_| event.op == of)?;
        (of == Op::Post || kept.seq == event.seq).then_some(kept.seq)
    };
    let mut own: Vec<u64> = stream.iter().filter_map(place).collect();
    own.sort_unstable();
    own.dedup();
    own
}

/// One connection in one room.
struct Stream<'a> {
    history: &'a History,
    kept: &'a Kept,
    own: Vec<u64>,
    /// Replies stand at their messages' places.
    in_place: bool,
    /// The last place that it heard or was told of, once it is owed what follows.
    reached: Option<u64>,
    /// The latest of its own posts' places since it hears live.
    replied: u64,
    is_live: bool,
}

impl<'a> Stream<'a> {
    fn of(history: &'a History, deliver: Deliver, stream: &[&Event]) -> Self {
        let kept = &history.rooms[stream[0].room as usize];
        let in_place = deliver == Deliver::Stored;
        let own = own_places(history, if in_place { Op::Ok } else { Op::Post }, stream);
        Self { history, kept, own, in_place, reached: None, replied: 0, is_live: false }
    }

    fn walk(&mut self, stream: &[&Event], report: &mut Report) {
        for event in stream {
            match event.op {
                Op::Join => {
                    self.reached = Some(event.seq);
                    (self.replied, self.is_live) = (0, false);
                }
                Op::Recv | Op::Replay => {
                    self.is_live |= event.op == Op::Recv;
                    self.comes_to(event, event.seq, event.seq, report);
                }
                Op::Gap => self.comes_to(event, event.seq, event.to, report),
                Op::Ok => self.replied_to(event, report),
                _ => {}
            }
        }
    }

    /// It is told of the places from one to another: behind what it knows, and nothing of the final log between.
    fn comes_to(&mut self, event: &Event, from: u64, to: u64, report: &mut Report) {
        if let Some(reached) = self.reached {
            let is_turned = from <= reached || (event.op == Op::Recv && from < self.replied);
            if is_turned {
                report.found(Anomaly::Disordered, self.history, event, None);
            }
            let passed = self.kept.between(reached, from);
            let own_before = self.own.partition_point(|seq| *seq < from);
            let own_known = self.own.partition_point(|seq| *seq <= reached);
            let own = own_before.saturating_sub(own_known);
            if passed.len() > own {
                let first = self.kept.events[passed.clone()]
                    .iter()
                    .map(|at| &self.history.events[*at])
                    .find(|kept| self.own.binary_search(&kept.seq).is_err());
                let holes = (passed.len() - own) as u64;
                report.found_often(Anomaly::Hole, holes, self.history, event, first);
            }
        }
        self.reached = self.reached.max(Some(to));
    }

    /// The reply to a post stands at its place, where the connection hears live; that to a repeated one may tell of any.
    fn replied_to(&mut self, event: &Event, report: &mut Report) {
        let posts = self.history.messages[event.id as usize].posts.len();
        if !self.in_place || !self.is_live || posts != 1 {
            return;
        }
        if self.reached.is_some_and(|reached| event.seq <= reached) || event.seq <= self.replied {
            report.found(Anomaly::Disordered, self.history, event, None);
        }
        self.replied = self.replied.max(event.seq);
    }
}

/// A5: what one connection posted stands in its order. What was posted more than once may stand wherever one of the tries put it.
fn author(history: &History, stream: &[&Event], report: &mut Report) {
    let once = |event: &&&Event| {
        event.op == Op::Post && history.messages[event.id as usize].posts.len() == 1
    };
    let placed = stream.iter().filter(once).filter_map(|post| history.kept(post.id, post.room));
    let mut last: Option<&Event> = None;
    for kept in placed {
        if let Some(last) = last.filter(|last| last.seq >= kept.seq) {
            report.found(Anomaly::Disordered, history, kept, Some(last));
        }
        last = Some(kept);
    }
}

/// A11: what was posted after another message of the room was acknowledged stands behind it.
fn real_time(history: &History, report: &mut Report) {
    // By room, the acknowledged message that stands last so far.
    let mut latest: Vec<Option<&Event>> = vec![None; history.rooms.len()];
    for (at, event) in history.events.iter().enumerate() {
        let room = event.room as usize;
        match event.op {
            Op::Ok => {
                let kept = history.kept(event.id, event.room);
                if kept.map(|kept| kept.seq) > latest[room].map(|latest| latest.seq) {
                    latest[room] = kept;
                }
            }
            Op::Post if history.messages[event.id as usize].posts.first() == Some(&at) => {
                let kept = history.kept(event.id, event.room);
                if let Some((kept, before)) = kept.zip(latest[room])
                    && kept.seq < before.seq
                {
                    report.found(Anomaly::TimeTurned, history, kept, Some(before));
                }
            }
            _ => {}
        }
    }
}
