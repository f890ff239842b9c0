//! Failures, and what is certain after them.

use hub::{Durability, Outcome, Record};
use proto::Seq;

use super::pages::{everything, page};
use super::{Folder, HISTORY, Maker, OPTIONS, fail_disk, opened, time_of};
use crate::history::{CommitError, Options, Reader, open, recover};

#[test]
fn a_reservation_outlives_a_crash_and_one_of_a_clean_life_is_not_needed() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.reserve(Seq(1_000)).unwrap();
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    it.writer.close().unwrap();
    let mut it = opened(&folder.database());
    assert_eq!((it.floor, it.rooms[0].last), (Seq(0), Seq(1)));
    it.writer.reserve(Seq(65_536)).unwrap();
    drop(it.writer);
    assert_eq!(opened(&folder.database()).floor, Seq(65_536));
}

/// Makes a database what the first version wrote.
fn made_old(folder: &Folder) {
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.execute_batch("ALTER TABLE messages DROP COLUMN content_type").unwrap();
    connection.pragma_update(None, "user_version", 1).unwrap();
}

#[test]
fn a_database_of_the_first_version_is_brought_up_to_date() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    it.writer.close().unwrap();
    made_old(&folder);
    let mut it = opened(&folder.database());
    let named =
        Record { content_type: Some("image/png".into()), ..maker.record("lobby", 2, 2, b"b") };
    let content_type = named.content_type.clone();
    assert_eq!(it.writer.commit(&[named]).unwrap(), [Outcome::Stored]);
    it.writer.close().unwrap();
    let mut it = opened(&folder.database());
    let repeated = Outcome::Repeated { seq: Seq(2), time: time_of(2) };
    let again = Record { content_type, ..maker.record("lobby", 3, 2, b"b") };
    assert_eq!(it.writer.commit(&[again]).unwrap(), [repeated]);
    let mut reader = Reader::open(&folder.database()).unwrap();
    let found = String::from_utf8(page(&mut reader, &everything()).bytes).unwrap();
    let types: Vec<bool> = found.lines().map(|line| line.contains("image/png")).collect();
    assert_eq!(types, [false, true], "{found}");
    assert!(reader.complaints().is_empty(), "the first one's checksum holds");
}

#[test]
fn a_database_of_the_first_version_can_be_saved() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    it.writer.close().unwrap();
    made_old(&folder);
    let saved = recover(&folder.database(), HISTORY).unwrap();
    assert_eq!((saved.saved, saved.lost), (1, 0));
    assert_eq!(opened(&folder.database()).writer.count(), 1);
}

/// A daemon that was killed had shown numbers that it never stored; one that came after it, said nothing and ended cleanly gave its
/// reservation away, and the next one gave the numbers again.
#[test]
fn a_clean_end_after_a_crash_gives_no_number_again() {
    let folder = Folder::new();
    let mut it = opened(&folder.database());
    it.writer.reserve(Seq(65_536)).unwrap();
    drop(it.writer);
    opened(&folder.database()).writer.close().unwrap();
    let mut it = opened(&folder.database());
    assert_eq!(it.floor, Seq(65_536));
    it.writer.reserve(Seq(131_072)).unwrap();
    it.writer.close().unwrap();
    assert_eq!(opened(&folder.database()).floor, Seq(65_536), "its own are known by the rooms");
}

/// A post that was stored and whose author never heard of it was refused on a full disk when it was asked for again.
#[test]
fn a_full_disk_refuses_nothing_that_is_stored() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    let batch = [
        maker.record("lobby", 2, 1, b"a"),
        maker.record("lobby", 3, 1, b"b"),
        maker.record("ops", 1, 1, b"a"),
        maker.record("ops", 9, 2, b"b"),
    ];
    let repeated = Outcome::Repeated { seq: Seq(1), time: time_of(1) };
    let expected = [repeated, Outcome::Conflict, Outcome::Conflict, Outcome::Refused];
    assert_eq!(it.writer.look_up(&batch).unwrap(), expected);
    assert_eq!(it.writer.count(), 1);
    it.writer.close().unwrap();
    assert_eq!(
        opened(&folder.database()).floor,
        Seq(9),
        "one that was refused may have been heard"
    );
}

#[test]
fn what_a_full_disk_refuses_is_not_there_and_its_numbers_are_gone() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    let pages: i64 =
        it.writer.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
    let limit = |writer: &super::super::Writer, pages: i64| {
        let set = format!("PRAGMA max_page_count = {pages}");
        writer.connection.query_row(&set, [], |_| Ok(())).unwrap();
    };
    limit(&it.writer, pages);
    let large = maker.record("ops", 5, 2, &b"x".repeat(60_000));
    let batch = [maker.record("lobby", 2, 3, b"b"), large];
    assert_eq!(it.writer.commit(&batch), Err(CommitError::Full));
    limit(&it.writer, 1_000_000);
    let again = [maker.record("lobby", 3, 3, b"b"), maker.record("lobby", 4, 1, b"a")];
    let outcomes = it.writer.commit(&again).unwrap();
    assert!(matches!(outcomes[..], [Outcome::Stored, Outcome::Repeated { seq: Seq(1), .. }]));
    it.writer.close().unwrap();
    let it = opened(&folder.database());
    let lasts: Vec<_> = it.rooms.iter().map(|room| (room.last, room.is_empty)).collect();
    assert_eq!(lasts, [(Seq(4), false), (Seq(5), true)], "no number is given twice");
    assert_eq!(it.writer.count(), 2);
}

#[test]
fn after_it_was_opened_anew_it_says_what_is_there() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut writer = opened(&folder.database()).writer;
    let batch = [maker.record("lobby", 1, 1, b"a"), maker.record("lobby", 2, 2, b"b")];
    writer.commit(&batch).unwrap();
    let mut writer = writer.reopen().unwrap();
    let others = [
        batch[1].clone(),
        maker.record("lobby", 2, 3, b"b"),
        maker.record("lobby", 3, 1, b"a"),
        maker.record("ops", 1, 4, b"a"),
    ];
    assert_eq!(writer.find(&others).unwrap(), [true, false, false, false]);
    let outcomes = writer.commit(&[maker.record("lobby", 3, 3, b"c")]).unwrap();
    assert_eq!(outcomes, [Outcome::Stored]);
    std::fs::remove_file(folder.database()).unwrap();
    assert!(writer.reopen().is_err(), "none is made in its place");
    assert!(open(&folder.database(), OPTIONS, HISTORY).is_err());
}

/// What the operating system was given and its disk never got is not taken for stored.
#[test]
fn a_sync_that_fails_stores_nothing_and_the_database_is_opened_anew() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let options = Options { durability: Durability::Sync, ..OPTIONS };
    let mut writer = open(&folder.database(), options, HISTORY).unwrap().writer;
    let first = maker.record("lobby", 1, 1, b"a");
    writer.commit(std::slice::from_ref(&first)).unwrap();
    writer.checkpoint("truncate").unwrap();
    fail_disk(&folder.database());
    let second = maker.record("lobby", 2, 2, b"b");
    let error = writer.commit(std::slice::from_ref(&second)).unwrap_err();
    assert!(matches!(error, CommitError::Broken(_)), "{error:?}");
    let mut writer = writer.reopen().unwrap();
    assert_eq!(writer.find(&[first, second]).unwrap(), [true, false]);
    let again = maker.record("lobby", 3, 2, b"b");
    assert_eq!(writer.commit(&[again]).unwrap(), [Outcome::Stored]);
    drop(writer);
    assert_eq!(opened(&folder.database()).writer.count(), 2);
}
