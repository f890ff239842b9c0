//! What everybody wrote down, held against what was promised: by the history checker, and where that cannot look, here.

use std::collections::BTreeMap;

use tests::checker::{Deliver, FINAL, History, Op, Record, check, hash_of};

use super::chatter::{Chatter, Said};
use super::scene::Scene;

/// What the one who read everything heard of a room: by what was said, where that is.
struct Lobby {
    places: BTreeMap<String, (u64, String)>,
    has_gaps: bool,
}

/// Panics where a promise was broken.
pub fn judge(scene: &Scene) {
    let mut records = scene.records.clone();
    let last: Vec<&Record> = scene.records.iter().filter(|record| record.client == FINAL).collect();
    let lobby = lobby(&last);
    for chatter in &scene.chatters {
        records.extend(posts(chatter, &lobby));
    }
    let history = History::of(&records).unwrap_or_else(|error| panic!("{error}"));
    let report = check(&history, scene.plan.deliver);
    assert!(report.is_clean(), "{:?}: {report}", scene.plan.deliver);
    all_is_read(scene, &last);
    // What is heard at once may be lost, and said again at another place.
    if scene.plan.deliver == Deliver::Stored {
        no_phantom_is_replayed(scene, &last);
        for chatter in &scene.chatters {
            heard_in_order(chatter, &lobby);
        }
    }
}

fn lobby(last: &[&Record]) -> Lobby {
    let of_it = last.iter().filter(|record| record.room.as_deref() == Some("lobby"));
    let (mut places, mut has_gaps) = (BTreeMap::new(), false);
    for record in of_it {
        let seq = record.seq.unwrap_or(0);
        match (record.op, &record.hash, &record.id) {
            (Op::Replay, Some(hash), Some(id)) => {
                let before = places.insert(hash.clone(), (seq, id.clone()));
                assert!(before.is_none(), "{id} says what is said already at {before:?}");
            }
            (Op::Gap, ..) => has_gaps = true,
            _ => {}
        }
    }
    Lobby { places, has_gaps }
}

/// What a client of v0.5 said, under the ids that the daemon gave it; it is told nothing of what becomes of it.
fn posts(chatter: &Chatter, lobby: &Lobby) -> Vec<Record> {
    let post = |said: &Said| {
        let hash = hash_of(said.text.as_bytes());
        let (_, id) = lobby.places.get(&hash)?;
        let record = |op| Record::new(said.at, &chatter.name, said.conn, op).id(id);
        Some([record(Op::Post).room("lobby").hash(&hash), record(Op::Unknown)])
    };
    chatter.said.iter().filter_map(post).flatten().collect()
}

/// The one who reads everything gets what is on the disk, no more and no less.
fn all_is_read(scene: &Scene, last: &[&Record]) {
    let read = last.iter().filter(|record| record.op == Op::Replay).count();
    let kept = scene.storage.as_ref().expect("it is in its place").disk.count();
    assert_eq!(read, kept, "so many messages are read back, and so many are kept");
}

/// What was replayed, or found by who looked into the past, is there at the end, or gone by retention.
fn no_phantom_is_replayed(scene: &Scene, last: &[&Record]) {
    let mut kept = BTreeMap::new();
    let mut gaps: BTreeMap<&str, Vec<(u64, u64)>> = BTreeMap::new();
    for record in last {
        let room = record.room.as_deref().unwrap_or_default();
        match record.op {
            Op::Replay => {
                kept.insert((room, record.seq), record.id.as_deref());
            }
            Op::Gap => {
                let (from, to) = (record.seq.unwrap_or(0), record.to.unwrap_or(0));
                gaps.entry(room).or_default().push((from, to));
            }
            _ => {}
        }
    }
    for record in scene.records.iter().filter(|record| record.op == Op::Replay) {
        let room = record.room.as_deref().unwrap_or_default();
        let seq = record.seq.unwrap_or(0);
        let is_there = kept.get(&(room, record.seq)).is_some_and(|id| *id == record.id.as_deref());
        let of_room = gaps.get(room).into_iter().flatten();
        let is_gone = of_room.clone().any(|(from, to)| (*from..=*to).contains(&seq));
        assert!(
            is_there || is_gone,
            "{} was replayed what is not there: {record:?}",
            record.client
        );
    }
}

/// What a client of v0.5 heard on a connection stands in the order of the room, and nothing of others between is missing. What retention
/// took since is not known any more.
fn heard_in_order(chatter: &Chatter, lobby: &Lobby) {
    let by_place: BTreeMap<u64, &String> =
        lobby.places.iter().map(|(hash, (seq, _))| (*seq, hash)).collect();
    for heard in chatter.heard.chunk_by(|one, other| one.0 == other.0) {
        let conn = heard[0].0;
        let own: Vec<String> = chatter
            .said
            .iter()
            .filter(|said| said.conn == conn)
            .map(|said| hash_of(said.text.as_bytes()))
            .collect();
        let mut last: Option<u64> = None;
        for (_, text) in heard {
            let hash = hash_of(text.as_bytes());
            let Some((seq, _)) = lobby.places.get(&hash) else {
                let is_gone = lobby.has_gaps;
                assert!(is_gone, "{} heard `{text}`, which is not there", chatter.name);
                continue;
            };
            let Some(before) = last.replace(*seq) else { continue };
            assert!(before < *seq, "{} heard {seq} after {before}", chatter.name);
            let missed = by_place.range(before + 1..*seq).find(|(_, hash)| !own.contains(hash));
            let texts: Vec<_> = heard.iter().map(|(_, text)| text).collect();
            assert!(
                missed.is_none(),
                "{} heard {seq} after {before}, and not {missed:?}: {texts:?}",
                chatter.name
            );
        }
    }
}
