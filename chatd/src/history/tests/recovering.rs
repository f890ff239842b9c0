//! Damage: what is refused, what is told, and what is saved.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use hub::{Fetch, KeptRoom, Order, Outcome, Record};
use proto::Seq;

use super::pages::{everything, page, seqs};
use super::{Folder, HISTORY, Maker, OPTIONS, opened};
use crate::history::{OpenError, Reader, open, recover};

const MESSAGES: u64 = 400;

/// Says something that is easily found in a file.
fn said(seq: u64) -> String {
    format!("this is the message number {seq:05} of this room, and there are others")
}

/// A history that was closed: the lobby and one other room.
fn closed(folder: &Folder) {
    let maker = Maker::new();
    let mut writer = opened(&folder.database()).writer;
    for seq in 1..=MESSAGES {
        let other = maker.record("ops", seq, 10_000 + seq, b"something else");
        let batch = [maker.record("lobby", seq, seq, said(seq).as_bytes()), other];
        writer.commit(&batch).unwrap();
    }
    writer.close().unwrap();
}

/// Where a text is in a file: perhaps also where it was before its page was split.
fn places_of(path: &Path, text: &str) -> Vec<usize> {
    let bytes = fs::read(path).unwrap();
    let windows = bytes.windows(text.len()).enumerate();
    windows.filter_map(|(at, window)| (window == text.as_bytes()).then_some(at)).collect()
}

fn change(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// What a page says, by place; nothing for what is damaged.
fn contents(reader: &mut Reader, fetch: &Fetch) -> BTreeMap<u64, Option<String>> {
    let Ok(page) = reader.fetch(fetch).outcome else { return BTreeMap::new() };
    let text = String::from_utf8(page.bytes).unwrap();
    text.lines()
        .map(|line| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            if value["event"] == "gap" {
                return (value["from_seq"].as_u64().unwrap(), None);
            }
            let text = value["text"].as_str().unwrap_or("no text").to_owned();
            (value["seq"].as_u64().unwrap(), Some(text))
        })
        .collect()
}

#[test]
fn a_flipped_bit_is_told_and_harms_no_other() {
    let (folder, maker) = (Folder::new(), Maker::new());
    closed(&folder);
    let places = places_of(&folder.database(), &said(7));
    change(&folder.database(), |bytes| places.iter().for_each(|at| bytes[at + 3] ^= 4));
    let mut it = opened(&folder.database());
    let mut reader = Reader::open(&folder.database()).unwrap();
    for order in [Order::Forward, Order::Backward] {
        let found = page(&mut reader, &Fetch { order, ..everything() });
        assert_eq!(seqs(&found), (1..=MESSAGES).collect::<Vec<_>>(), "the gap has its place");
        assert_eq!(found.count, usize::try_from(MESSAGES - 1).unwrap());
        let complaints = reader.complaints();
        assert_eq!(complaints.len(), 1, "{complaints:?}");
        assert!(complaints[0].ends_with("message 7 of lobby is damaged"), "{complaints:?}");
    }
    let contents = contents(&mut reader, &everything());
    let others = contents.iter().filter(|(seq, _)| **seq != 7);
    assert!(others.clone().all(|(seq, text)| *text == Some(said(*seq))));
    assert_eq!(contents[&7], None);
    // It was acknowledged: whoever sends it again hears so.
    let again = it.writer.commit(&[maker.record("lobby", 900, 7, said(7).as_bytes())]).unwrap();
    assert!(matches!(again[..], [Outcome::Repeated { seq: Seq(7), .. }]), "{again:?}");
    it.writer.close().unwrap();
    let recovered = recover(&folder.database(), HISTORY).unwrap();
    assert_eq!((recovered.saved, recovered.lost, recovered.holes), (2 * MESSAGES - 1, 1, 0));
    let it = opened(&folder.database());
    assert_eq!(it.writer.count(), 2 * MESSAGES - 1);
}

/// Only who read forward got past a page that SQLite cannot read; all others got nothing.
#[test]
fn a_page_that_cannot_be_read_is_told_whichever_way_it_is_come_to() {
    let folder = Folder::new();
    closed(&folder);
    let places = places_of(&folder.database(), &said(200));
    change(&folder.database(), |bytes| {
        for at in places {
            bytes[at & !4095..][..4096].fill(0);
        }
    });
    let _it = opened(&folder.database());
    let mut reader = Reader::open(&folder.database()).unwrap();
    let all: Vec<u64> = (1..=MESSAGES).collect();
    let since = Fetch { since: Some(super::time_of(50)), ..everything() };
    let until = Fetch { until: Some(super::time_of(351)), ..everything() };
    let search = Fetch { search: Some("message".into()), ..everything() };
    for order in [Order::Forward, Order::Backward] {
        for (fetch, expected) in [
            (everything(), &all[..]),
            (since.clone(), &all[49..]),
            (until.clone(), &all[..350]),
            (search.clone(), &all[..]),
        ] {
            let found = contents(&mut reader, &Fetch { order, ..fetch.clone() });
            let told: Vec<u64> = found.keys().copied().collect();
            assert_eq!(told, expected, "{order:?} {fetch:?}");
            let (lost, served): (Vec<_>, Vec<_>) =
                found.iter().partition(|(_, text)| text.is_none());
            assert!(lost.len() < 100 && lost.contains(&(&200, &None)), "{lost:?}");
            assert!(served.iter().all(|(seq, text)| **text == Some(said(**seq))));
            let complaints = reader.complaints();
            assert!(complaints.iter().any(|complaint| complaint.contains("of lobby")));
        }
    }
    let last = page(&mut reader, &Fetch { latest: Some(10), ..everything() });
    assert_eq!(seqs(&last), all[390..]);
    let page_of_few = Fetch { order: Order::Backward, most: 5, last: Seq(200), ..everything() };
    assert!(!contents(&mut reader, &page_of_few).is_empty(), "a small page gets on, too");
    // So many of the latest that the hole is among them.
    let latest = contents(&mut reader, &Fetch { latest: Some(300), ..everything() });
    let served = latest.values().filter(|text| text.is_some()).count();
    assert!(served == 300 && latest.contains_key(&200), "{served}");
    reader.complaints();
    let ops = Fetch { room: proto::RoomName::parse("ops").unwrap(), ..everything() };
    for order in [Order::Forward, Order::Backward] {
        let found = page(&mut reader, &Fetch { order, ..ops.clone() });
        assert_eq!(seqs(&found), all, "another room is not harmed");
    }
    assert!(reader.complaints().is_empty(), "nothing of it is damaged");
}

#[test]
fn a_damaged_room_is_refused_and_recovered() {
    let folder = Folder::new();
    closed(&folder);
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.execute("UPDATE rooms SET last = 3 WHERE name = 'lobby'", []).unwrap();
    drop(connection);
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(error.to_string().contains("lobby") && error.to_string().contains("--recover"));
    let recovered = recover(&folder.database(), HISTORY).unwrap();
    assert_eq!((recovered.saved, recovered.lost), (2 * MESSAGES, 0));
    assert!(recovered.aside.exists());
    let it = opened(&folder.database());
    let rooms: Vec<_> =
        it.rooms.iter().map(|KeptRoom { name, last, .. }| (name.as_str(), *last)).collect();
    assert_eq!(rooms, [("lobby", Seq(MESSAGES)), ("ops", Seq(MESSAGES))]);
    assert!(it.floor > Seq(MESSAGES) && it.unknown == it.floor, "no number is given again");
}

#[test]
fn a_truncated_file_is_recovered() {
    let (folder, maker) = (Folder::new(), Maker::new());
    closed(&folder);
    let length = fs::metadata(folder.database()).unwrap().len();
    change(&folder.database(), |bytes| bytes.truncate(bytes.len() / 2));
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
    let recovered = recover(&folder.database(), HISTORY).unwrap();
    assert!(recovered.holes > 0 && recovered.saved > 20, "{recovered:?}");
    assert_eq!(fs::metadata(&recovered.aside).unwrap().len(), length / 2, "it is as it was");
    let mut it = opened(&folder.database());
    assert_eq!((it.history, it.writer.count()), (HISTORY, recovered.saved));
    let seq = it.floor.next().0;
    let again: Vec<Record> =
        (1..=MESSAGES).map(|id| maker.record("lobby", seq + id, id, said(id).as_bytes())).collect();
    let outcomes = it.writer.commit(&again).unwrap();
    assert!(outcomes.contains(&Outcome::Stored), "what was lost can be said again");
    let second = recover(&folder.database(), HISTORY);
    assert_ne!(second.unwrap().aside, recovered.aside, "nothing that was kept is replaced");
}

#[test]
fn what_is_no_database_is_kept_aside_too() {
    let folder = Folder::new();
    fs::write(folder.database(), b"nonsense ".repeat(2_000)).unwrap();
    let recovered = recover(&folder.database(), HISTORY).unwrap();
    assert_eq!(recovered.saved, 0);
    assert_eq!(fs::read(recovered.aside).unwrap(), b"nonsense ".repeat(2_000));
    assert_eq!(opened(&folder.database()).writer.count(), 0);
}

#[test]
fn a_recovery_that_was_stopped_is_finished() {
    let folder = Folder::new();
    closed(&folder);
    let whole = super::super::schema::beside(&folder.database(), ".recovered");
    fs::rename(folder.database(), &whole).unwrap();
    assert_eq!(opened(&folder.database()).writer.count(), 2 * MESSAGES);
    assert!(!whole.exists());
}

/// Whatever is damaged, nothing wrong is served, nothing panics, and a recovery ends.
#[test]
fn damage_anywhere_serves_nothing_wrong() {
    let folder = Folder::new();
    closed(&folder);
    let sound = fs::read(folder.database()).unwrap();
    let mut random = 3_u64;
    for _ in 0..60 {
        let mut bytes = sound.clone();
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = usize::try_from(random >> 20).unwrap() % bytes.len();
        match random >> 60 {
            0..=9 => bytes[at] ^= 1 << (random >> 57 & 7),
            10..=12 => bytes[at & !4095..][..4096].fill(0),
            _ => bytes.truncate(at),
        }
        fs::write(folder.database(), bytes).unwrap();
        if let Ok(it) = open(&folder.database(), OPTIONS, HISTORY) {
            check(&folder);
            drop(it);
        }
        if fs::metadata(folder.database()).unwrap().len() > 0 {
            recover(&folder.database(), HISTORY).unwrap();
            opened(&folder.database());
            check(&folder);
        }
        for entry in fs::read_dir(&folder.0).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
    }
}

/// What is served of the lobby is what was said.
fn check(folder: &Folder) {
    let mut reader = Reader::open(&folder.database()).unwrap();
    for order in [Order::Forward, Order::Backward] {
        let contents = contents(&mut reader, &Fetch { order, ..everything() });
        let wrong = contents
            .iter()
            .find(|(seq, text)| text.as_ref().is_some_and(|text| *text != said(**seq)));
        assert!(wrong.is_none(), "{wrong:?}");
    }
}
