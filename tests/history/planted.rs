//! Each anomaly, planted in a clean history at a place that chance chooses.

use std::collections::{BTreeMap, BTreeSet};

use tests::checker::{Anomaly, FINAL, Op, Record, hash_of};

use crate::clean::LONG_MICROS;
use crate::rng::Rng;

/// One way to plant an anomaly.
pub(crate) struct Plant {
    pub(crate) name: &'static str,
    pub(crate) anomaly: Anomaly,
    /// What else is true then, here and there.
    pub(crate) follows: &'static [Anomaly],
    /// Plants it; false where there is no place for it.
    pub(crate) into: fn(&mut Vec<Record>, &mut Rng) -> bool,
}

use Anomaly as A;

/// All of them.
pub(crate) const PLANTS: &[Plant] = &[
    Plant {
        name: "an acknowledged message is lost",
        anomaly: A::Lost,
        follows: &[A::Phantom],
        into: lost,
    },
    Plant {
        name: "the final log has what nobody posted",
        anomaly: A::Invented,
        follows: &[],
        into: invented,
    },
    Plant {
        name: "a message twice in the final log",
        anomaly: A::Doubled,
        follows: &[A::Late],
        into: doubled,
    },
    Plant {
        name: "two replies to one message",
        anomaly: A::Doubled,
        follows: &[A::Disordered],
        into: two_replies,
    },
    Plant {
        name: "an observer hears another message",
        anomaly: A::Split,
        follows: &[A::Phantom, A::Reused],
        into: split,
    },
    Plant {
        name: "two messages change places for an observer",
        anomaly: A::Disordered,
        follows: &[A::Hole, A::Late],
        into: swapped,
    },
    Plant {
        name: "a message is heard twice",
        anomaly: A::Disordered,
        follows: &[],
        into: heard_twice,
    },
    Plant {
        name: "an author's posts change places",
        anomaly: A::Disordered,
        follows: &[A::TimeTurned, A::Late, A::Receipts, A::FalseNo],
        into: author,
    },
    Plant { name: "a message is passed over", anomaly: A::Hole, follows: &[], into: hole },
    Plant {
        name: "a message is heard that is not kept",
        anomaly: A::Phantom,
        follows: &[A::Hole],
        into: phantom,
    },
    Plant {
        name: "a place is given again",
        anomaly: A::Reused,
        follows: &[A::Lost, A::Disordered],
        into: reused,
    },
    Plant { name: "a content changes", anomaly: A::Changed, follows: &[], into: changed },
    Plant {
        name: "what is kept was refused",
        anomaly: A::FalseNo,
        follows: &[A::Hole],
        into: refused,
    },
    Plant {
        name: "a later post stands before",
        anomaly: A::TimeTurned,
        follows: &[A::Disordered, A::Late, A::Receipts, A::FalseNo],
        into: turned,
    },
    Plant {
        name: "a reply tells of another place",
        anomaly: A::Misplaced,
        follows: &[A::Hole, A::Disordered, A::Late],
        into: misplaced,
    },
    Plant { name: "a message comes late", anomaly: A::Late, follows: &[], into: late },
    Plant { name: "a message never comes", anomaly: A::Late, follows: &[], into: never },
    Plant {
        name: "a post is not answered",
        anomaly: A::Late,
        follows: &[A::Hole],
        into: unanswered,
    },
    Plant { name: "a receipt is told twice", anomaly: A::Receipts, follows: &[], into: told_twice },
    Plant {
        name: "a receipt that nobody asked for",
        anomaly: A::Receipts,
        follows: &[],
        into: unasked,
    },
];

/// One of the records that fit.
fn one_of(
    records: &[Record],
    rng: &mut Rng,
    fits: impl Fn(usize, &Record) -> bool,
) -> Option<usize> {
    let all: Vec<usize> = records
        .iter()
        .enumerate()
        .filter(|(at, record)| fits(*at, record))
        .map(|(at, _)| at)
        .collect();
    (!all.is_empty()).then(|| rng.pick(&all))
}

fn is_final(record: &Record) -> bool {
    record.client == FINAL
}

fn hears(record: &Record) -> bool {
    matches!(record.op, Op::Recv | Op::Replay)
}

/// Whether two are of one connection and room.
fn same_stream(one: &Record, other: &Record) -> bool {
    (&one.client, one.conn, &one.room) == (&other.client, other.conn, &other.room)
}

/// Behind every place of a room.
fn beyond(records: &[Record], room: Option<&String>) -> u64 {
    let of_room = records.iter().filter(|record| record.room.as_ref() == room);
    of_room.filter_map(|record| record.to.max(record.seq)).max().unwrap_or(0) + 50
}

/// The ids that the final log has, and those that were acknowledged.
fn kept(records: &[Record]) -> BTreeSet<String> {
    let kept = records.iter().filter(|record| is_final(record) && hears(record));
    kept.filter_map(|record| record.id.clone()).collect()
}

fn acknowledged(records: &[Record]) -> BTreeSet<String> {
    let ok = records.iter().filter(|record| record.op == Op::Ok);
    ok.filter_map(|record| record.id.clone()).collect()
}

/// The ids that were posted exactly once.
fn posted_once(records: &[Record]) -> BTreeSet<String> {
    let mut times: BTreeMap<&String, u32> = BTreeMap::new();
    for record in records.iter().filter(|record| record.op == Op::Post) {
        *times.entry(record.id.as_ref().unwrap()).or_default() += 1;
    }
    times.into_iter().filter(|(_, times)| *times == 1).map(|(id, _)| id.clone()).collect()
}

fn has(ids: &BTreeSet<String>, record: &Record) -> bool {
    record.id.as_ref().is_some_and(|id| ids.contains(id))
}

/// Where the final log of a room ends.
fn end_of_final(records: &[Record], room: Option<&String>) -> usize {
    let of_room = |record: &Record| is_final(record) && record.room.as_ref() == room;
    records.iter().rposition(of_room).unwrap() + 1
}

/// Everything from here on happens later.
fn later(records: &mut [Record], from: usize) {
    for record in &mut records[from..] {
        record.t += LONG_MICROS;
    }
}

fn lost(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let acknowledged = acknowledged(records);
    let fits = |_, record: &Record| is_final(record) && hears(record) && has(&acknowledged, record);
    one_of(records, rng, fits).map(|at| records.remove(at)).is_some()
}

/// A message of the final log comes in it once more, behind all others of its room; where that is.
fn again_in_final(records: &mut Vec<Record>, rng: &mut Rng) -> Option<usize> {
    let at = one_of(records, rng, |_, record| is_final(record) && hears(record))?;
    let room = records[at].room.clone();
    let end = end_of_final(records, room.as_ref());
    let seq = beyond(records, room.as_ref());
    let record = Record { t: records[end - 1].t, ..records[at].clone() };
    records.insert(end, record.seq(seq));
    Some(end)
}

fn invented(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let at = again_in_final(records, rng);
    at.map(|at| records[at].id = Some("nobody's".to_owned())).is_some()
}

fn doubled(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    again_in_final(records, rng).is_some()
}

fn two_replies(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let Some(at) = one_of(records, rng, |_, record| record.op == Op::Ok) else { return false };
    let seq = beyond(records, records[at].room.as_ref());
    let again = records[at].clone().seq(seq);
    records.insert(at + 1, again);
    true
}

fn split(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |_, record: &Record| hears(record) && !is_final(record);
    let Some(at) = one_of(records, rng, fits) else { return false };
    records[at].id = Some("another".to_owned());
    true
}

/// The next message that the same stream hears, where nothing else of it is between.
fn next_heard(records: &[Record], at: usize) -> Option<usize> {
    let next = (at + 1..records.len()).find(|next| same_stream(&records[at], &records[*next]))?;
    hears(&records[next]).then_some(next)
}

fn swapped(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |at, record: &Record| {
        hears(record) && !is_final(record) && next_heard(records, at).is_some()
    };
    let Some(at) = one_of(records, rng, fits) else { return false };
    let next = next_heard(records, at).unwrap();
    let (one, other) = (records[at].clone(), records[next].clone());
    (records[at].t, records[next].t) = (other.t, one.t);
    records.swap(at, next);
    (records[at].t, records[next].t) = (one.t, other.t);
    (records[at].op, records[next].op) = (one.op, other.op);
    true
}

fn heard_twice(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |_, record: &Record| hears(record) && !is_final(record);
    let Some(at) = one_of(records, rng, fits) else { return false };
    records.insert(at + 1, records[at].clone());
    true
}

fn author(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let ids: BTreeSet<_> = posted_once(records).intersection(&kept(records)).cloned().collect();
    let next = |at: usize, record: &Record| {
        let later = (at + 1..records.len()).find(|next| {
            let next = &records[*next];
            next.op == Op::Post && same_stream(record, next) && has(&ids, next)
        });
        later.filter(|_| record.op == Op::Post && has(&ids, record))
    };
    let Some(at) = one_of(records, rng, |at, record| next(at, record).is_some()) else {
        return false;
    };
    let next = next(at, &records[at]).unwrap();
    let (one, other) = (records[at].clone(), records[next].clone());
    records[at] = Record { t: one.t, ..other.clone() };
    records[next] = Record { t: other.t, ..one };
    true
}

fn hole(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |at: usize, record: &Record| {
        let before = || records[..at].iter().rev().find(|other| same_stream(record, other));
        let is_known = || before().is_some_and(|other| hears(other) || other.op == Op::Join);
        // What the connection itself said it has heard of by the reply.
        let is_own = || {
            let mut of_stream = records.iter().filter(|other| same_stream(record, other));
            of_stream.any(|other| other.op == Op::Ok && other.id == record.id)
        };
        let is_heard = hears(record) && !is_final(record) && next_heard(records, at).is_some();
        is_heard && is_known() && !is_own()
    };
    one_of(records, rng, fits).map(|at| records.remove(at)).is_some()
}

fn phantom(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |at: usize, record: &Record| {
        let is_last = !records[at + 1..].iter().any(|other| same_stream(record, other));
        hears(record) && !is_final(record) && is_last
    };
    let Some(at) = one_of(records, rng, fits) else { return false };
    let seq = beyond(records, records[at].room.as_ref());
    let hash = hash_of(b"phantom");
    let heard = Record { op: Op::Recv, ..records[at].clone() }.id("phantom").seq(seq).hash(&hash);
    let post = Record { client: "author".to_owned(), op: Op::Post, seq: None, ..heard.clone() };
    let end = Record::new(post.t, "author", post.conn, Op::Close);
    let behind = records.split_off(at + 1);
    records.extend([post, heard, end].into_iter().chain(behind));
    true
}

fn reused(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let Some(at) = one_of(records, rng, |_, record| record.op == Op::Ok) else { return false };
    let hash = hash_of(b"again");
    let ok = Record { client: "author".to_owned(), ..records[at].clone() }.id("again");
    let post = Record { op: Op::Post, seq: None, ..ok.clone() }.hash(&hash);
    let behind = records.split_off(at + 1);
    records.extend([post, ok].into_iter().chain(behind));
    true
}

fn changed(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let Some(at) = one_of(records, rng, |_, record| hears(record)) else { return false };
    records[at].hash = Some(hash_of(b"something else"));
    true
}

fn refused(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let (once, kept) = (posted_once(records), kept(records));
    let fits = |_, record: &Record| record.op == Op::Ok && has(&once, record) && has(&kept, record);
    let Some(at) = one_of(records, rng, fits) else { return false };
    let Record { t, client, conn, id, .. } = records[at].clone();
    records[at] = Record { id, ..Record::new(t, &client, conn, Op::No) };
    true
}

fn turned(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let (once, kept) = (posted_once(records), kept(records));
    let places: BTreeMap<_, _> = records
        .iter()
        .filter(|record| is_final(record) && hears(record))
        .map(|record| (record.id.clone(), record.seq))
        .collect();
    // An acknowledgment, and a post of another client before it whose message stands before it.
    let post_before = |at: usize, record: &Record| {
        (0..at).rev().find(|before| {
            let post = &records[*before];
            post.op == Op::Post
                && post.client != record.client
                && post.room == record.room
                && has(&once, post)
                && has(&kept, post)
                && places[&post.id] < record.seq
        })
    };
    let fits = |at, record: &Record| {
        record.op == Op::Ok
            && places.get(&record.id).is_some_and(|place| *place == record.seq)
            && post_before(at, record).is_some()
    };
    let Some(at) = one_of(records, rng, fits) else { return false };
    let before = post_before(at, &records[at]).unwrap();
    let post = Record { t: records[at].t, ..records[before].clone() };
    records.insert(at + 1, post);
    records.remove(before);
    true
}

fn misplaced(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let once = posted_once(records);
    let fits = |_, record: &Record| record.op == Op::Ok && has(&once, record);
    let Some(at) = one_of(records, rng, fits) else { return false };
    records[at].seq = Some(beyond(records, records[at].room.as_ref()));
    true
}

/// Whether the message was acknowledged before, with no fault since.
fn is_due(records: &[Record], at: usize) -> bool {
    let ok = |record: &Record| record.op == Op::Ok && record.id == records[at].id;
    let since = records[..at].iter().position(ok);
    since.is_some_and(|since| records[since..at].iter().all(|record| record.op != Op::Fault))
}

fn late(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |at, record: &Record| record.op == Op::Recv && is_due(records, at);
    let Some(at) = one_of(records, rng, fits) else { return false };
    later(records, at);
    true
}

fn never(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |at: usize, record: &Record| {
        let is_last = !records[at + 1..].iter().any(|other| same_stream(record, other));
        record.op == Op::Recv && is_last && is_due(records, at)
    };
    let Some(at) = one_of(records, rng, fits) else { return false };
    records.remove(at);
    later(records, at);
    true
}

fn unanswered(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |at: usize, record: &Record| {
        let post = |other: &Record| {
            other.op == Op::Post && (&other.id, other.conn) == (&record.id, record.conn)
        };
        let is_fresh = || {
            let since = records[..at].iter().rposition(post).unwrap_or(at);
            records[since..at].iter().all(|record| record.op != Op::Fault)
        };
        record.op == Op::Ok && is_fresh()
    };
    let Some(at) = one_of(records, rng, fits) else { return false };
    records.remove(at);
    later(records, at);
    true
}

fn told_twice(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let Some(at) = one_of(records, rng, |_, record| record.op == Op::Delivered) else {
        return false;
    };
    records.insert(at + 1, records[at].clone());
    true
}

fn unasked(records: &mut Vec<Record>, rng: &mut Rng) -> bool {
    let fits = |_, record: &Record| record.op == Op::Post && !record.receipt;
    let Some(at) = one_of(records, rng, fits) else { return false };
    let Record { t, client, conn, id, .. } = records[at].clone();
    let told = Record { id, ..Record::new(t, &client, conn, Op::Delivered) }.by("somebody");
    records.insert(at + 1, told);
    true
}
