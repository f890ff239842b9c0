//! The history on disk, in folders of their own, against a model of it.

mod mending;
mod model;
mod pages;
mod recovering;
mod retaining;
mod searching;
mod speed;
mod threads;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use hub::{
    Durability, Effect, Hub, KeptRoom, Outbox, Outcome, Peer, Record, Rights, Settings, Ticket,
};
use proto::{MessageId, Nick, Now, RoomName, Seq, Transport, WallTime};

use super::{OpenError, Opened, Options, Reader, open};

/// A folder of its own for each test, removed at its end.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!(
            "chatd-history-{}-{}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        let path = std::env::temp_dir().join(name);
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join("history.db")
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

pub(super) const OPTIONS: Options = Options { durability: Durability::Write, search: true };
pub(super) const HISTORY: MessageId = MessageId([7; 16]);

pub(super) fn opened(path: &Path) -> Opened {
    open(path, OPTIONS, HISTORY).unwrap()
}

/// Some ticket: only the hub makes them, and the database has no use for them.
pub(super) fn ticket() -> Ticket {
    let (now, mut out) = (Now::from_micros(0), Outbox::default());
    let mut hub = Hub::new(Settings::default(), 1, HISTORY, now);
    let peer = Peer {
        transport: Transport::Stream,
        address: "test".into(),
        ip: None,
        login: None,
        rights: Rights::TALK,
        exempt: true,
        protocols: proto::Protocols::ALL,
    };
    let id = hub.accept(peer, now, &mut out).unwrap();
    // A message of protocol v0.5: its length, its type, and a text.
    hub.receive(id, &[0, 0, 0, 7, 0, 0, 0, 0, 0, 1, b'a'], &mut 256, now, &mut out);
    let stored = out.effects.iter().find_map(|effect| match effect {
        Effect::Store(record) => Some(record.ticket),
        _ => None,
    });
    stored.expect("a post goes to the store")
}

/// What is put into records.
pub(super) struct Maker(Ticket);

impl Maker {
    pub(super) fn new() -> Self {
        Self(ticket())
    }

    /// A message whose time is its place, in milliseconds.
    pub(super) fn record(&self, room: &str, seq: u64, id: u64, content: &[u8]) -> Record {
        let mut message_id = [0; 16];
        message_id[..8].copy_from_slice(&id.to_le_bytes());
        Record {
            ticket: self.0,
            room: RoomName::parse(room).unwrap(),
            seq: Seq(seq),
            time: time_of(seq),
            message_id: MessageId(message_id),
            from: Nick::parse("ann").unwrap(),
            content: content.into(),
            content_type: None,
        }
    }
}

/// The write-ahead log's disk begins to fail: what is written goes nowhere, and no sync succeeds.
pub(super) fn fail_disk(database: &Path) {
    let nowhere = fs::File::options().read(true).write(true).open("/dev/null").unwrap();
    let log = super::schema::beside(database, "-wal");
    let log = fs::canonicalize(log).unwrap();
    assert!(crate::sys::lead_elsewhere(&log, &nowhere).unwrap() > 0, "the log is open");
}

/// When the message at a place was taken.
pub(super) fn time_of(seq: u64) -> WallTime {
    WallTime::from_micros(i64::try_from(seq * 1000).unwrap())
}

#[test]
fn a_message_is_there_after_a_restart_and_so_is_its_room() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    assert_eq!((it.history, it.rooms, it.floor, it.unknown), (HISTORY, vec![], Seq(0), Seq(0)));
    let batch = [maker.record("lobby", 1, 1, b"a"), maker.record("lobby", 3, 2, b"b")];
    assert_eq!(it.writer.commit(&batch).unwrap(), [Outcome::Stored; 2]);
    // As if it were killed.
    drop(it.writer);
    let it = open(&folder.database(), OPTIONS, MessageId([8; 16])).unwrap();
    assert_eq!(it.history, HISTORY, "the name is the database's");
    let lobby = KeptRoom {
        name: RoomName::parse("lobby").unwrap(),
        last: Seq(3),
        last_time: time_of(3),
        gone: Seq(0),
        is_empty: false,
    };
    assert_eq!(it.rooms, [lobby]);
    assert_eq!(it.writer.count(), 2);
}

#[test]
fn a_close_leaves_one_file() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    it.writer.close().unwrap();
    let names: Vec<_> =
        fs::read_dir(&folder.0).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    let log = super::schema::beside(&folder.database(), "-wal");
    assert!(fs::metadata(log).map_or(0, |found| found.len()) == 0, "{names:?}");
    assert_eq!(opened(&folder.database()).writer.count(), 1);
}

#[test]
fn an_id_names_one_message_for_ever() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    let first = maker.record("lobby", 1, 1, b"a");
    it.writer.commit(&[first]).unwrap();
    let again = [
        maker.record("lobby", 2, 1, b"a"),
        maker.record("lobby", 3, 1, b"b"),
        maker.record("ops", 1, 1, b"a"),
        maker.record("ops", 2, 2, b"a"),
        maker.record("ops", 3, 2, b"a"),
    ];
    let repeated = Outcome::Repeated { seq: Seq(1), time: time_of(1) };
    let in_batch = Outcome::Repeated { seq: Seq(2), time: time_of(2) };
    let expected = [repeated, Outcome::Conflict, Outcome::Conflict, Outcome::Stored, in_batch];
    assert_eq!(it.writer.commit(&again).unwrap(), expected);
    assert_eq!(it.writer.count(), 2);
}

#[test]
fn a_place_beyond_all_is_refused() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    let last = (1 << 40) - 1;
    let batch = [maker.record("lobby", last, 1, b"a"), maker.record("lobby", last + 1, 2, b"b")];
    assert_eq!(it.writer.commit(&batch).unwrap(), [Outcome::Stored, Outcome::Refused]);
}

#[test]
fn a_newer_database_is_refused() {
    let folder = Folder::new();
    drop(opened(&folder.database()));
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.pragma_update(None, "user_version", 3).unwrap();
    drop(connection);
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(matches!(error, OpenError::Newer { found: 3, known: 2, .. }), "{error}");
    let error = Reader::open(&folder.database()).unwrap_err();
    assert!(matches!(error, OpenError::Newer { .. }), "{error}");
}

#[test]
fn a_database_of_another_program_is_refused() {
    let folder = Folder::new();
    let connection = rusqlite::Connection::open(folder.database()).unwrap();
    connection.execute_batch("CREATE TABLE a (b)").unwrap();
    drop(connection);
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(matches!(error, OpenError::Foreign(_)), "{error}");
}

#[test]
fn nothing_starts_empty_where_something_was() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    it.writer.commit(&[maker.record("lobby", 1, 1, b"a")]).unwrap();
    drop(it.writer);
    // The database is gone, its log is not.
    fs::remove_file(folder.database()).unwrap();
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
    fs::write(folder.database(), b"").unwrap();
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
    fs::write(folder.database(), b"this is no database, and it is long enough to tell".repeat(9))
        .unwrap();
    let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
    assert!(matches!(error, OpenError::Damaged(..)), "{error}");
}

#[test]
fn a_truncated_file_is_refused() {
    let (folder, maker) = (Folder::new(), Maker::new());
    let mut it = opened(&folder.database());
    let batch: Vec<Record> =
        (1..200).map(|seq| maker.record("lobby", seq, seq, &[b'x'; 500])).collect();
    it.writer.commit(&batch).unwrap();
    it.writer.close().unwrap();
    let length = fs::metadata(folder.database()).unwrap().len();
    for kept in [length - 1, length / 2, 4096, 100] {
        let file = fs::OpenOptions::new().write(true).open(folder.database()).unwrap();
        file.set_len(kept).unwrap();
        let error = open(&folder.database(), OPTIONS, HISTORY).unwrap_err();
        assert!(matches!(error, OpenError::Damaged(..)), "{kept} of {length}: {error}");
    }
}
