//! What comes too late after all was healed, and receipts: A13 and A14.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{Event, History, Name};
use super::order::{own_places, streams};
use super::{Anomaly, Deliver, Op, Report};

/// So long after the last fault everybody has what is due.
const RECOVERY_MICROS_MAX: u64 = 5_000_000;

/// Never.
const NEVER: u64 = u64::MAX;

pub(super) fn check(history: &History, deliver: Deliver, report: &mut Report) {
    let faults = Faults::of(history);
    let ends = ends(history);
    let end_of = |event: &Event| ends.get(&(event.client, event.conn)).copied();
    answers(history, &faults, &end_of, report);
    for stream in streams(history) {
        let end = end_of(stream[0]).unwrap_or(history.last);
        Owed { history, faults: &faults, end }.look(&stream, report);
    }
    receipts(history, deliver, report);
}

/// When each connection ended, where it did.
fn ends(history: &History) -> BTreeMap<(Name, u64), u64> {
    let mut ends = BTreeMap::new();
    for event in &history.events {
        if matches!(event.op, Op::Bye | Op::Close) {
            ends.entry((event.client, event.conn)).or_insert(event.t);
        }
    }
    ends
}

/// When something was broken.
struct Faults {
    /// From when to when, in order.
    spans: Vec<(u64, u64)>,
    /// By span: when what it held up is due.
    due: Vec<u64>,
}

impl Faults {
    fn of(history: &History) -> Self {
        let mut spans: Vec<(u64, u64)> = Vec::new();
        let mut since = None;
        for event in &history.events {
            match event.op {
                Op::Fault => since = since.or(Some(event.t)),
                Op::Heal => spans.extend(since.take().map(|since| (since, event.t))),
                _ => {}
            }
        }
        spans.extend(since.map(|since| (since, NEVER)));
        let mut due = vec![NEVER; spans.len()];
        for at in (0..spans.len()).rev() {
            let alone = spans[at].1.saturating_add(RECOVERY_MICROS_MAX);
            let next = spans.get(at + 1);
            due[at] =
                if next.is_some_and(|(from, _)| *from <= alone) { due[at + 1] } else { alone };
        }
        Self { spans, due }
    }

    /// When something is due that could have begun then: after 5 s on end in which nothing was broken.
    fn due(&self, from: u64) -> u64 {
        let alone = from.saturating_add(RECOVERY_MICROS_MAX);
        let at = self.spans.partition_point(|(_, to)| *to <= from);
        match self.spans.get(at) {
            Some((fault, _)) if *fault <= alone => self.due[at],
            _ => alone,
        }
    }
}

/// A13: each post is answered, or its connection over.
fn answers(
    history: &History,
    faults: &Faults,
    end_of: &impl Fn(&Event) -> Option<u64>,
    report: &mut Report,
) {
    let mut waiting: BTreeMap<(Name, u64, Name), &Event> = BTreeMap::new();
    let mut late = |post: &Event, until: u64| {
        if until > faults.due(post.t) {
            report.found(Anomaly::Late, history, post, None);
        }
    };
    for event in &history.events {
        let key = (event.client, event.conn, event.id);
        match event.op {
            Op::Post => {
                waiting.insert(key, event);
            }
            Op::Ok | Op::No | Op::Unknown => {
                if let Some(post) = waiting.remove(&key) {
                    late(post, event.t);
                }
            }
            _ => {}
        }
    }
    for post in waiting.into_values() {
        late(post, end_of(post).unwrap_or(history.last));
    }
}

/// What a connection in a room was to be given, until it ended.
struct Owed<'a> {
    history: &'a History,
    faults: &'a Faults,
    end: u64,
}

impl Owed<'_> {
    /// A13: what it heard live, it heard in time; what it did not hear, it was not due yet.
    fn look(&self, stream: &[&Event], report: &mut Report) {
        let mut joined = None;
        let mut reached = None;
        for event in stream {
            match event.op {
                Op::Join => {
                    joined = Some(event.t);
                    reached = Some(event.seq);
                }
                Op::Recv | Op::Replay => {
                    let since = *joined.get_or_insert(event.t);
                    reached = reached.max(Some(event.seq));
                    if event.op == Op::Recv && event.t > self.due(event, since) {
                        report.found(Anomaly::Late, self.history, event, None);
                    }
                }
                Op::Gap => reached = reached.max(Some(event.to)),
                _ => {}
            }
        }
        if let Some((since, reached)) = joined.zip(reached)
            && stream[0].client != self.history.final_client
        {
            self.tail(stream, since, reached, report);
        }
    }

    /// When a message is due to a connection that listens since then. What was never acknowledged is never due.
    fn due(&self, message: &Event, since: u64) -> u64 {
        let known = &self.history.messages[message.id as usize];
        let said = known.acknowledged.map(|at| self.history.events[at].t);
        said.map_or(NEVER, |said| self.faults.due(said.max(since)))
    }

    /// Looks at what stands behind the last place that a connection came to.
    fn tail(&self, stream: &[&Event], since: u64, reached: u64, report: &mut Report) {
        let room = &self.history.rooms[stream[0].room as usize];
        let first = room.seqs.partition_point(|seq| *seq <= reached);
        // The earliest moment at which anything from a place on was due: behind the first that is late nothing is looked at.
        if self.faults.due(room.said_from(first).max(since)) >= self.end {
            return;
        }
        let own = own_places(self.history, Op::Ok, stream);
        for at in first..room.seqs.len() {
            if self.faults.due(room.said_from(at).max(since)) >= self.end {
                return;
            }
            let kept = &self.history.events[room.events[at]];
            if own.binary_search(&kept.seq).is_err() && self.due(kept, since) < self.end {
                report.found(Anomaly::Late, self.history, stream[stream.len() - 1], Some(kept));
                return;
            }
        }
    }
}

/// A14: `delivered` comes at most once by message and receiver, where it was asked for, and after that receiver's own receipt. What was
/// heard at once and lost is another message when it is posted again on another connection.
fn receipts(history: &History, deliver: Deliver, report: &mut Report) {
    let mut asked = BTreeSet::new();
    let mut given = BTreeSet::new();
    let mut told = BTreeSet::new();
    for event in &history.events {
        match event.op {
            Op::Post if event.receipt => {
                asked.insert((event.client, event.id));
            }
            Op::Receipt => {
                given.insert((event.id, event.by));
            }
            Op::Delivered => {
                let is_due = asked.contains(&(event.client, event.id))
                    && given.contains(&(event.id, event.by));
                let conn = if deliver == Deliver::AtOnce { event.conn } else { 0 };
                if !told.insert((event.client, conn, event.id, event.by)) || !is_due {
                    report.found(Anomaly::Receipts, history, event, None);
                }
            }
            _ => {}
        }
    }
}
