//! Retention.

use std::collections::BTreeMap;

use hub::{Fetch, Outcome, Pruned};
use proto::{RoomName, Seq, Span, WallTime};

use super::pages::{everything, page, seqs};
use super::{Folder, HISTORY, Maker, OPTIONS, opened, time_of};
use crate::history::{Limits, Reader, Retention, Writer, open};

const DAY: u64 = 24 * 60 * 60 * 1000;

fn rooms(folder: &Folder) -> Writer {
    let maker = Maker::new();
    let mut writer = opened(&folder.database()).writer;
    for seq in 1..=20 {
        let batch = [
            maker.record("lobby", seq, seq, b"some words"),
            maker.record("ops", seq + 10, 100 + seq, b"some words"),
        ];
        writer.commit(&batch).unwrap();
    }
    writer
}

fn pruned(room: &str, through: u64, is_empty: bool) -> Pruned {
    Pruned { room: RoomName::parse(room).unwrap(), through: Seq(through), is_empty }
}

fn usual(usual: Limits) -> Retention {
    Retention { usual, ..Retention::default() }
}

#[test]
fn each_limit_takes_the_oldest_in_small_steps() {
    let folder = Folder::new();
    let mut writer = rooms(&folder);
    let now = time_of(100);
    assert_eq!(writer.prune(&Retention::default(), now, 500).unwrap(), []);
    let own = Limits { max_messages: Some(3), ..Limits::default() };
    let retention = Retention {
        rooms: BTreeMap::from([(RoomName::parse("lobby").unwrap(), own)]),
        ..Retention::default()
    };
    assert_eq!(writer.prune(&retention, now, 10).unwrap(), [pruned("lobby", 10, false)]);
    assert_eq!(writer.prune(&retention, now, 10).unwrap(), [pruned("lobby", 17, false)]);
    assert_eq!(writer.prune(&retention, now, 10).unwrap(), []);
    let age = usual(Limits { max_age: Some(Span::from_millis(82)), ..Limits::default() });
    let both = [pruned("lobby", 17, false), pruned("ops", 17, false)];
    assert_eq!(writer.prune(&age, now, 500).unwrap(), both[1..], "18 ms is not older");
    let bytes = usual(Limits { max_bytes: Some(2 * 141), ..Limits::default() });
    let both = [pruned("lobby", 18, false), pruned("ops", 28, false)];
    assert_eq!(writer.prune(&bytes, now, 500).unwrap(), both);
    let mut reader = Reader::open(&folder.database()).unwrap();
    let left = page(&mut reader, &everything());
    assert_eq!((seqs(&left), left.gone), (vec![19, 20], Seq(18)));
    let words = page(&mut reader, &Fetch { search: Some("words".into()), ..everything() });
    assert_eq!(seqs(&words), [19, 20]);
    drop(writer);
    let it = opened(&folder.database());
    assert_eq!(it.rooms.iter().map(|room| room.gone).collect::<Vec<_>>(), [Seq(18), Seq(28)]);
    assert_eq!(it.writer.count(), 4);
}

#[test]
fn the_limit_of_all_takes_the_oldest_of_all() {
    let folder = Folder::new();
    let mut writer = rooms(&folder);
    let retention = Retention { max_bytes: Some(141 * 12), ..Retention::default() };
    let mut last = Vec::new();
    loop {
        let step = writer.prune(&retention, time_of(100), 7).unwrap();
        if step.is_empty() {
            break;
        }
        last = step;
    }
    assert_eq!(writer.count(), 12);
    // The times of `ops` are 11 to 30 and those of the lobby 1 to 20: twelve are of 20 or later.
    assert_eq!(last, [pruned("lobby", 19, false), pruned("ops", 19, false)]);
}

#[test]
fn an_id_is_known_for_a_week_and_no_longer() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut writer = rooms(&folder);
    let none = usual(Limits { max_messages: Some(0), ..Limits::default() });
    let both = [pruned("lobby", 20, true), pruned("ops", 30, true)];
    assert_eq!(writer.prune(&none, time_of(6 * DAY), 500).unwrap(), both);
    let again = |seq| {
        [
            maker.record("lobby", seq, 3, b"some words"),
            maker.record("lobby", seq + 1, 4, b"other words"),
            maker.record("ops", seq + 2, 5, b"some words"),
        ]
    };
    let repeated = Outcome::Repeated { seq: Seq(3), time: time_of(3) };
    let expected = [repeated, Outcome::Conflict, Outcome::Conflict];
    assert_eq!(writer.commit(&again(100)).unwrap(), expected);
    drop(writer);
    let mut writer = opened(&folder.database()).writer;
    assert_eq!(writer.commit(&again(200)).unwrap(), expected);
    assert_eq!(writer.prune(&none, time_of(8 * DAY), 500).unwrap(), []);
    assert_eq!(writer.commit(&again(300)).unwrap(), [Outcome::Stored; 3]);
    // A message that is old enough takes its id with it.
    writer.prune(&none, time_of(8 * DAY), 500).unwrap();
    let later = |seq| [maker.record("lobby", seq, 3, b"some words")];
    assert_eq!(writer.commit(&later(400)).unwrap(), [Outcome::Stored]);
}

#[test]
fn an_empty_room_is_forgotten_after_a_month_and_its_numbers_are_not() {
    let folder = Folder::new();
    let mut writer = rooms(&folder);
    let none = usual(Limits { max_messages: Some(0), ..Limits::default() });
    writer.prune(&none, time_of(6 * DAY), 500).unwrap();
    writer.prune(&none, time_of(29 * DAY), 500).unwrap();
    drop(writer);
    let it = open(&folder.database(), OPTIONS, HISTORY).unwrap();
    assert_eq!((it.rooms.len(), it.unknown), (2, Seq(0)));
    let mut writer = it.writer;
    assert_eq!(writer.prune(&none, time_of(31 * DAY), 500).unwrap(), []);
    drop(writer);
    let it = open(&folder.database(), OPTIONS, HISTORY).unwrap();
    assert_eq!((it.rooms.len(), it.unknown), (0, Seq(30)));
}

/// A room that was made again said nothing of what it had before it was forgotten, from the next start on.
#[test]
fn what_a_room_had_before_it_was_forgotten_stays_gone() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut writer = rooms(&folder);
    let none = usual(Limits { max_messages: Some(0), ..Limits::default() });
    writer.prune(&none, time_of(6 * DAY), 500).unwrap();
    writer.prune(&none, time_of(40 * DAY), 500).unwrap();
    writer.commit(&[maker.record("lobby", 31, 201, b"again")]).unwrap();
    drop(writer);
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("dev", 32, 202, b"new")]).unwrap();
    drop(it.writer);
    let it = opened(&folder.database());
    let gone: Vec<_> = it.rooms.iter().map(|room| (room.name.as_str(), room.gone)).collect();
    assert_eq!(gone, [("dev", Seq(30)), ("lobby", Seq(30))]);
}

#[test]
fn time_before_the_epoch_is_no_trouble() {
    let folder = Folder::new();
    let mut writer = rooms(&folder);
    let age = usual(Limits { max_age: Some(Span::from_secs(1)), ..Limits::default() });
    let now = WallTime::from_micros(i64::MIN);
    assert_eq!(writer.prune(&age, now, 500).unwrap(), []);
}
