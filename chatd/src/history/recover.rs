//! `--recover`: what can be read of a damaged database is put into a new one, and the damaged one is kept under another name.
//!
//! The database is walked message by message. Where it cannot be read, the next place where it can is looked for; a message that is
//! not what was written is left out. Numbers are not given again, lost or not: they go on well above all that is found.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use proto::{MessageId, RoomName, Seq, WallTime};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::fault::OpenError;
use super::rooms::{Recount, message_bytes};
use super::row::{self, COLUMNS, Key, ROOM_NO_MAX, RoomNo, SEQ_MAX, Seal};
use super::schema::{self, beside};

/// How many numbers are left out after what is found: more than can have been lost behind it.
const LOST_NUMBERS_MAX: u64 = 1 << 20;
/// How many messages one transaction has.
const TRANSACTION_MESSAGES: u64 = 10_000;

/// What became of a recovery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recovered {
    /// How many messages are in the new database.
    pub saved: u64,
    /// How many were found damaged. What cannot be found at all is not counted.
    pub lost: u64,
    /// How often there were pages of messages that cannot be read.
    pub holes: u64,
    /// Where the damaged database is now.
    pub aside: PathBuf,
}

/// Makes a new database of what can be read of a damaged one, whose place it takes. It is named `fresh` where the name cannot be read.
///
/// # Errors
/// See [`OpenError`]; then the damaged one is where it was, unless the last step failed, which the next call finishes.
pub fn recover(path: &Path, fresh: MessageId) -> Result<Recovered, OpenError> {
    let whole = beside(path, ".recovered");
    let counts = if !path.exists() && whole.exists() {
        (0, 0, 0)
    } else {
        let new = beside(path, ".recovering");
        let counts = salvage(path, &new, fresh)?;
        schema::settle(&new, &whole).map_err(|error| OpenError::File(new, error.to_string()))?;
        counts
    };
    let aside = exchange(path, &whole)
        .map_err(|error| OpenError::File(path.to_owned(), error.to_string()))?;
    let (saved, lost, holes) = counts;
    Ok(Recovered { saved, lost, holes, aside })
}

/// Puts the whole new database in the place of the old one. At no moment would a start find nothing and begin anew: there is always the
/// old database, its log, or the new one.
pub(super) fn exchange(path: &Path, whole: &Path) -> io::Result<PathBuf> {
    let named = |no: u32| beside(path, &format!(".damaged-{no}"));
    let mut no = 1;
    while named(no).exists() {
        no += 1;
    }
    if path.exists() {
        fs::rename(path, named(no))?;
    } else {
        no = no.saturating_sub(1).max(1);
    }
    for ending in ["-wal", "-shm"] {
        match fs::rename(beside(path, ending), beside(&named(no), ending)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    schema::settle(whole, path)?;
    Ok(named(no))
}

fn salvage(old: &Path, new: &Path, fresh: MessageId) -> Result<(u64, u64, u64), OpenError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let source = Connection::open_with_flags(old, flags)
        .map_err(|error| OpenError::of(old, "open it", &error))?;
    // What is damaged stays as it is, its log with it.
    match schema::check_version(old, &source) {
        Ok(()) | Err(OpenError::Damaged(..)) => {}
        Err(error) => return Err(error),
    }
    source
        .set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)
        .map_err(|error| OpenError::of(old, "open it", &error))?;
    // It is only read. This lets a file be read that lacks its end.
    source
        .pragma_update(None, "writable_schema", true)
        .map_err(|error| OpenError::of(old, "open it", &error))?;
    let history = source
        .query_row("SELECT value FROM meta WHERE name = 'history'", [], |row| row.get(0))
        .map_or(fresh, MessageId);
    schema::make(new, history)?;
    let fault = |error| OpenError::of(new, "write it", &error);
    let mut target = Connection::open_with_flags(new, flags).map_err(fault)?;
    let mut salvage = Salvage::new(&source);
    salvage.run(&mut target).map_err(fault)?;
    let counts = (salvage.saved, salvage.lost, salvage.holes);
    // The last connection takes the log with it.
    target.close().map_err(|(_, error)| fault(error))?;
    Ok(counts)
}

/// A recovery under way. An error of the source is a hole; one of the target ends it.
struct Salvage<'a> {
    source: &'a Connection,
    seal: Seal,
    rooms: BTreeMap<RoomNo, Recount>,
    highest: u64,
    saved: u64,
    lost: u64,
    holes: u64,
}

impl<'a> Salvage<'a> {
    fn new(source: &'a Connection) -> Self {
        let (seal, rooms) = (Seal::default(), BTreeMap::new());
        Self { source, seal, rooms, highest: 0, saved: 0, lost: 0, holes: 0 }
    }

    fn run(&mut self, target: &mut Connection) -> rusqlite::Result<()> {
        let mut from = 0;
        loop {
            let transaction = target.transaction()?;
            let next = self.messages(&transaction, from)?;
            transaction.commit()?;
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
        let transaction = target.transaction()?;
        self.orphans(&transaction)?;
        self.write_rooms(&transaction)?;
        transaction.commit()
    }

    /// Copies some messages from a key on; the key where the next begin, if there may be more.
    fn messages(&mut self, target: &Connection, from: i64) -> rusqlite::Result<Option<i64>> {
        let end = self.saved + TRANSACTION_MESSAGES;
        let mut next = from;
        while self.saved < end {
            match self.sound_run(target, next, end)? {
                Reached::End => return Ok(None),
                Reached::Enough(key) => return Ok(Some(key)),
                Reached::Hole(key) => {
                    self.holes += 1;
                    match readable_after(self.source, key) {
                        Some(key) => next = key,
                        None => return Ok(None),
                    }
                }
            }
        }
        Ok(Some(next))
    }

    /// Copies messages from a key on, up to the first place that cannot be read.
    fn sound_run(&mut self, target: &Connection, from: i64, end: u64) -> rusqlite::Result<Reached> {
        let columns = row::columns(self.source);
        let sql = format!("SELECT {columns} FROM messages WHERE key >= ?1 ORDER BY key");
        let Ok(mut statement) = self.source.prepare_cached(&sql) else { return Ok(Reached::End) };
        let Ok(mut rows) = statement.query([from]) else { return Ok(Reached::Hole(from)) };
        let mut next = from;
        let mut copy = Copy::prepare(target)?;
        loop {
            let row = match rows.next() {
                Ok(Some(row)) => row,
                Ok(None) => return Ok(Reached::End),
                Err(_) => return Ok(Reached::Hole(next)),
            };
            let Some(key) = row::integer(row, 0).filter(|key| *key >= next) else {
                return Ok(Reached::Hole(next));
            };
            if self.saved >= end {
                return Ok(Reached::Enough(key));
            }
            let Some(after) = key.checked_add(1) else { return Ok(Reached::End) };
            next = after;
            let is_saved = copy.copy(row, &mut self.seal)?;
            self.count(Key(key), row, is_saved);
        }
    }

    fn count(&mut self, key: Key, row: &Row<'_>, is_saved: bool) {
        let seq = key.seq();
        self.highest = self.highest.max(seq.0);
        if key.room().0 == 0 {
            self.lost += 1;
            return;
        }
        let room = self.rooms.entry(key.room()).or_default();
        room.last = room.last.max(seq);
        if !is_saved {
            self.lost += 1;
            return;
        }
        self.saved += 1;
        let time = WallTime::from_micros(row::integer(row, 1).unwrap_or(0));
        let length = |column| match row.get_ref(column) {
            Ok(ValueRef::Text(bytes) | ValueRef::Blob(bytes)) => bytes.len(),
            _ => 0,
        };
        if room.count == 0 {
            (room.first_time, room.gone) = (time, Seq(seq.0 - 1));
        }
        room.last_time = room.last_time.max(time);
        room.count += 1;
        room.bytes += message_bytes(length(3), length(4));
    }

    /// Copies the ids that are kept without their messages.
    fn orphans(&mut self, target: &Connection) -> rusqlite::Result<()> {
        let sql = "SELECT message_id, key, time, digest FROM orphans ORDER BY no";
        let Ok(mut statement) = self.source.prepare(sql) else { return Ok(()) };
        let Ok(mut rows) = statement.query([]) else { return Ok(()) };
        let mut orphan = target.prepare(
            "INSERT INTO orphans (message_id, key, time, digest) VALUES (?1, ?2, ?3, ?4)",
        )?;
        let mut id =
            target.prepare("INSERT OR IGNORE INTO ids (message_id, key) VALUES (?1, ?2)")?;
        while let Ok(Some(row)) = rows.next() {
            let (Some(message_id), Some(key), Some(time), Some(digest)) = (
                row::bytes(row, 0).filter(|id| id.len() == 16),
                row::integer(row, 1).filter(|key| *key > 0),
                row::integer(row, 2),
                row::bytes(row, 3).filter(|digest| digest.len() == 16),
            ) else {
                continue;
            };
            let no = orphan.insert((message_id, key, time, digest))?;
            id.execute((message_id, -no))?;
            self.highest = self.highest.max(Key(key).seq().0);
        }
        Ok(())
    }

    /// Writes what is known of the rooms: what the old table says where it can be trusted, and what their messages say.
    fn write_rooms(&mut self, target: &Connection) -> rusqlite::Result<()> {
        let mut names = BTreeMap::new();
        let mut taken = BTreeSet::new();
        // A table whose pages cannot be read says nothing; a room's name may still be right where a number is not.
        for (no, name, trusted) in named_rooms(self.source, &mut self.seal) {
            if !taken.insert(name.clone()) {
                continue;
            }
            let room = self.rooms.entry(no).or_default();
            if let Some(trusted) = trusted {
                room.last = room.last.max(trusted.last);
                room.last_time = room.last_time.max(trusted.last_time);
                room.gone = trusted.gone.max(if room.count == 0 { room.last } else { Seq(0) });
            }
            names.insert(no, name);
        }
        for (no, room) in &mut self.rooms {
            self.highest = self.highest.max(room.last.0);
            let name = names.get(no).cloned().unwrap_or_else(|| {
                let name = format!("recovered-{}", no.0);
                RoomName::parse(&name).expect("this is a room's name")
            });
            if names.contains_key(no) || taken.insert(name.clone()) {
                room.write(target, *no, &name, &mut self.seal)?;
            }
        }
        let known = |name| schema::number(self.source, name).ok().flatten().unwrap_or(0);
        let before = known("reserved").max(known("unknown")).unsigned_abs();
        let through = self.highest.max(before).saturating_add(LOST_NUMBERS_MAX).min(SEQ_MAX / 2);
        let through = i64::try_from(through).expect("it is less than SEQ_MAX");
        schema::set_number(target, "reserved", through)?;
        schema::set_number(target, "unknown", through)
    }
}

/// How far a walk came.
enum Reached {
    /// The last message.
    End,
    /// The message where the next transaction goes on.
    Enough(i64),
    /// A place that cannot be read.
    Hole(i64),
}

/// The statements that copy a message.
struct Copy<'a> {
    message: rusqlite::CachedStatement<'a>,
    id: rusqlite::CachedStatement<'a>,
}

impl<'a> Copy<'a> {
    fn prepare(target: &'a Connection) -> rusqlite::Result<Self> {
        Ok(Self {
            message: target.prepare_cached(&format!(
                "INSERT INTO messages ({COLUMNS}) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)"
            ))?,
            id: target
                .prepare_cached("INSERT OR IGNORE INTO ids (message_id, key) VALUES (?1, ?2)")?,
        })
    }

    /// Copies a message; false where it is not what was written.
    fn copy(&mut self, row: &Row<'_>, seal: &mut Seal) -> rusqlite::Result<bool> {
        let Some((key, kept)) = row::read(row, seal) else { return Ok(false) };
        if !(1..=ROOM_NO_MAX).contains(&key.room().0) {
            return Ok(false);
        }
        if self.id.execute((&kept.message_id.0[..], key.0))? == 0 {
            return Ok(false);
        }
        let checksum = seal.of_message(key, &kept);
        let (time, id) = (kept.time.as_micros(), &kept.message_id.0[..]);
        let what = (kept.from, kept.content, checksum, kept.content_type);
        self.message.execute((key.0, time, id, what.0, what.1, what.2, what.3))?;
        Ok(true)
    }
}

/// The first key behind a hole from which on the messages can be read again.
pub(super) fn readable_after(connection: &Connection, hole: i64) -> Option<i64> {
    readable_beyond(connection, hole, (1, "key >= ?1 ORDER BY key"))
}

/// The last key before a hole up to which the messages can be read.
pub(super) fn readable_before(connection: &Connection, hole: i64) -> Option<i64> {
    readable_beyond(connection, hole, (-1, "key <= ?1 ORDER BY key DESC"))
}

fn readable_beyond(connection: &Connection, hole: i64, (way, which): (i64, &str)) -> Option<i64> {
    let columns = row::columns(connection);
    let sql = format!("SELECT {columns} FROM messages WHERE {which} LIMIT 1");
    let can_be_read = |from: i64| {
        let Ok(mut statement) = connection.prepare_cached(&sql) else { return false };
        let Ok(mut rows) = statement.query([from]) else { return false };
        rows.next().is_ok()
    };
    let (mut bad, mut good) = (0, 1_i64);
    while !can_be_read(hole.checked_add(way * good)?) {
        bad = good;
        good = good.checked_mul(2)?;
    }
    while good - bad > 1 {
        let middle = bad + (good - bad) / 2;
        if can_be_read(hole + way * middle) {
            good = middle;
        } else {
            bad = middle;
        }
    }
    Some(hole + way * good)
}

/// The rooms that the table names, with what it says of them where that is what was written.
fn named_rooms(
    connection: &Connection,
    seal: &mut Seal,
) -> Vec<(RoomNo, RoomName, Option<Recount>)> {
    let mut all = Vec::new();
    let Ok(mut statement) = connection.prepare(super::rooms::SELECT) else { return all };
    let Ok(mut rows) = statement.query([]) else { return all };
    while let Ok(Some(row)) = rows.next() {
        let trusted = super::rooms::read_recount(row, seal);
        let no = row::integer(row, 1).filter(|no| (1..=ROOM_NO_MAX).contains(no));
        let name = row.get::<_, String>(0).ok().and_then(|name| RoomName::parse(&name).ok());
        if let (Some(no), Some(name)) = (no, name) {
            all.push((RoomNo(no), name, trusted));
        }
    }
    all
}
