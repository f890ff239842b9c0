//! The one connection that writes. A batch of messages is one transaction; what becomes of each is decided here, since only here it is
//! known which ids there are.
//!
//! Nothing is retried here: an error says what is certain about the batch, and whoever drives the writer decides. While the writer is
//! not used, what waits in the write-ahead log is to be moved by [`Writer::tend`].

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};

use hub::{KeptRoom, Outcome, Record};
use proto::{MessageId, Seq, WallTime};
use rusqlite::hooks::Wal;
use rusqlite::{CachedStatement, Connection, OptionalExtension};

use super::fault::{CommitError, OpenError};
use super::rooms::Rooms;
use super::row::{self, COLUMNS, Key, SEQ_MAX, Seal};
use super::schema::{self, CHECKPOINT_PAGES, Options};

/// What was found when the database was opened.
#[derive(Debug)]
pub struct Opened {
    /// Writes to it.
    pub writer: Writer,
    /// Names its sequence numbers.
    pub history: MessageId,
    /// All rooms of which something is known.
    pub rooms: Vec<KeptRoom>,
    /// No number up to this one may be given again in any room.
    pub floor: Seq,
    /// No room that is forgotten had a higher number.
    pub unknown: Seq,
}

/// See the module.
#[derive(Debug)]
pub struct Writer {
    pub(super) connection: Connection,
    pub(super) path: PathBuf,
    pub(super) options: Options,
    pub(super) rooms: Rooms,
    pub(super) seal: Seal,
    /// Numbers up to this one were perhaps shown to somebody, in a life that crashed or in this one, and their messages are not stored.
    floor: Seq,
    /// How many pages wait in the write-ahead log; the commit sets it.
    waiting: Arc<AtomicI32>,
}

/// Opens the history, or makes it and names it `fresh`. It waits for the disk, and may take long where there is much to do.
///
/// # Errors
/// See [`OpenError`]; nothing was changed then.
pub fn open(path: &Path, options: Options, fresh: MessageId) -> Result<Opened, OpenError> {
    let (mut connection, meta) = schema::open(path, options, fresh)?;
    let rooms = Rooms::load(path, &connection, meta.unknown)?;
    let waiting =
        watch_log(&mut connection).map_err(|error| OpenError::of(path, "watch its log", &error))?;
    let (kept, seal) = (rooms.kept(), Seal::default());
    let (path, floor) = (path.to_owned(), meta.reserved);
    let writer = Writer { connection, path, options, rooms, seal, floor, waiting };
    Ok(Opened { writer, history: meta.history, rooms: kept, floor, unknown: meta.unknown })
}

/// Counts what each commit leaves in the log. It takes the place of SQLite's own checkpoints.
fn watch_log(connection: &mut Connection) -> rusqlite::Result<Arc<AtomicI32>> {
    let waiting = Arc::new(AtomicI32::new(0));
    let counted = Arc::clone(&waiting);
    let count = move |_: &mut Wal, pages| {
        counted.store(pages, Ordering::Relaxed);
        Ok(())
    };
    connection.wal_hook(Some(count))?;
    Ok(waiting)
}

impl Writer {
    /// Stores a batch in one transaction, and says what became of each message, in their order.
    ///
    /// # Errors
    /// None of the batch is stored ([`CommitError::Full`], [`CommitError::Damaged`]), or it is not known ([`CommitError::Broken`]).
    pub fn commit(&mut self, batch: &[Record]) -> Result<Vec<Outcome>, CommitError> {
        assert!(self.connection.is_autocommit(), "one transaction at a time");
        // Whoever drives the writer is to do this between batches. If it does not, the log must not grow for ever.
        if self.waiting.load(Ordering::Relaxed) >= CHECKPOINT_PAGES * 4 {
            self.tend()?;
        }
        let outcomes = self.transact(|it| it.add(batch))?;
        assert_eq!(outcomes.len(), batch.len(), "each message has its outcome");
        Ok(outcomes)
    }

    /// What becomes of a batch while nothing can be stored: who asks again for what was stored before is told of it, since no refusal may
    /// be about a message that is there. All else is refused.
    ///
    /// # Errors
    /// Nothing is known of the batch, but that it is not stored.
    pub fn look_up(&mut self, batch: &[Record]) -> Result<Vec<Outcome>, CommitError> {
        let Self { connection, rooms, seal, floor, .. } = self;
        let mut is_known = connection.prepare_cached("SELECT 1 FROM ids WHERE message_id = ?1")?;
        let mut outcomes = Vec::with_capacity(batch.len());
        for record in batch {
            *floor = record.seq.max(*floor);
            let id = &record.message_id.0[..];
            let key = rooms.known(&record.room).map(|room| Key::of(room.no, Seq(0)));
            outcomes.push(match (is_known.query_row([id], |_| Ok(())).optional()?, key) {
                (None, _) => Outcome::Refused,
                (Some(()), Some(key)) => known(connection, record, key, seal)?,
                (Some(()), None) => Outcome::Conflict,
            });
        }
        assert_eq!(outcomes.len(), batch.len(), "each message has its outcome");
        assert!(!outcomes.contains(&Outcome::Stored), "nothing is stored");
        Ok(outcomes)
    }

    /// Moves what waits in the log to the database, where there is enough of it: some ten milliseconds of work now and then, for the
    /// time between two batches.
    ///
    /// # Errors
    /// [`CommitError::Broken`] and [`CommitError::Damaged`]. A full disk is none: the log is as good a place.
    pub fn tend(&mut self) -> Result<(), CommitError> {
        if self.waiting.load(Ordering::Relaxed) < CHECKPOINT_PAGES {
            return Ok(());
        }
        match self.checkpoint("passive").map_err(CommitError::from) {
            Ok(()) | Err(CommitError::Full) => {
                // What a reader still needs stays, and is tried again after as much more.
                self.waiting.store(0, Ordering::Relaxed);
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    /// Ends cleanly: all is in the database's one file, and it is known which numbers were given, but for those that a life before
    /// showed to somebody and took along when it crashed: its reservation stays.
    ///
    /// # Errors
    /// See [`CommitError`]. Nothing is lost: the next start finds it in the log.
    pub fn close(mut self) -> Result<(), CommitError> {
        let floor = i64::try_from(self.floor.0.min(SEQ_MAX)).expect("it is at most SEQ_MAX");
        self.transact(|it| {
            it.rooms.change_unwritten();
            it.rooms.write(&it.connection, &mut it.seal)?;
            schema::set_number(&it.connection, "reserved", floor)
        })?;
        self.checkpoint("truncate")?;
        self.connection.close().map_err(|(_, error)| error.into())
    }

    /// How many messages are kept, in all rooms.
    pub fn count(&self) -> u64 {
        self.rooms.iter().map(|(_, room)| room.count).sum()
    }

    /// Does something in one transaction.
    pub(super) fn transact<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> Result<T, CommitError> {
        assert!(self.connection.is_autocommit(), "one transaction at a time");
        let outcome = self
            .execute("BEGIN IMMEDIATE")
            .and_then(|()| run(self))
            .and_then(|value| self.execute("COMMIT").map(|()| value));
        match outcome {
            Ok(value) => {
                assert!(self.connection.is_autocommit(), "a commit ends the transaction");
                self.rooms.keep();
                Ok(value)
            }
            Err(error) => {
                self.rooms.undo();
                // Some errors have ended the transaction already.
                if !self.connection.is_autocommit()
                    && let Err(error) = self.connection.execute_batch("ROLLBACK")
                {
                    return Err(CommitError::Broken(error.to_string()));
                }
                Err(error.into())
            }
        }
    }

    /// Moves what is in the log to the database.
    pub(super) fn checkpoint(&self, how: &str) -> rusqlite::Result<()> {
        let is_busy: bool =
            self.connection
                .query_row(&format!("PRAGMA wal_checkpoint({how})"), [], |row| row.get(0))?;
        // A passive one is never in anybody's way, and does what it can.
        if is_busy && how != "passive" {
            return Err(rusqlite::Error::SqliteFailure(
                rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_BUSY),
                Some("somebody else uses the database".to_owned()),
            ));
        }
        Ok(())
    }

    fn execute(&self, sql: &str) -> rusqlite::Result<()> {
        self.connection.prepare_cached(sql)?.execute([]).map(drop)
    }

    /// Adds a batch within a transaction.
    fn add(&mut self, batch: &[Record]) -> rusqlite::Result<Vec<Outcome>> {
        let Self { connection, rooms, seal, options, .. } = self;
        let mut outcomes = Vec::with_capacity(batch.len());
        let mut inserts = Inserts::prepare(connection, options.search)?;
        for record in batch {
            outcomes.push(match rooms.place(record) {
                None => Outcome::Refused,
                Some(key) if inserts.insert(record, key, seal)? => {
                    rooms.add(record);
                    Outcome::Stored
                }
                Some(key) => known(connection, record, key, seal)?,
            });
        }
        rooms.write(connection, seal)?;
        Ok(outcomes)
    }
}

/// The statements that add a message.
struct Inserts<'a> {
    id: CachedStatement<'a>,
    message: CachedStatement<'a>,
    words: Option<CachedStatement<'a>>,
}

impl<'a> Inserts<'a> {
    fn prepare(connection: &'a Connection, search: bool) -> rusqlite::Result<Self> {
        let words = "INSERT INTO words (rowid, text) VALUES (?1, ?2)";
        Ok(Self {
            id: connection
                .prepare_cached("INSERT OR IGNORE INTO ids (message_id, key) VALUES (?1, ?2)")?,
            message: connection.prepare_cached(
                "INSERT INTO messages (key, time, message_id, author, content, checksum, content_type) \
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7)",
            )?,
            words: search.then(|| connection.prepare_cached(words)).transpose()?,
        })
    }

    /// Adds a message; false where its id is known.
    fn insert(&mut self, record: &Record, key: Key, seal: &mut Seal) -> rusqlite::Result<bool> {
        if self.id.execute((&record.message_id.0[..], key.0))? == 0 {
            return Ok(false);
        }
        let kept = hub::KeptMessage {
            seq: record.seq,
            time: record.time,
            message_id: record.message_id,
            from: record.from.as_str(),
            content: &record.content,
            content_type: record.content_type.as_deref(),
        };
        self.message.execute((
            key.0,
            record.time.as_micros(),
            &record.message_id.0[..],
            record.from.as_str(),
            &*record.content,
            seal.of_message(key, &kept),
            kept.content_type,
        ))?;
        if let Some(words) = &mut self.words
            && let Ok(text) = std::str::from_utf8(&record.content)
        {
            words.execute((key.0, text))?;
        }
        Ok(true)
    }
}

/// What becomes of a message whose id is known.
fn known(
    connection: &Connection,
    record: &Record,
    key: Key,
    seal: &mut Seal,
) -> rusqlite::Result<Outcome> {
    let first: i64 = connection
        .prepare_cached("SELECT key FROM ids WHERE message_id = ?1")?
        .query_row([&record.message_id.0[..]], |row| row.get(0))?;
    let found = if first < 0 {
        orphan(connection, record, -first)?
    } else {
        kept(connection, record, Key(first), seal)?
    };
    Ok(match found {
        Some((first, time)) if first.room() == key.room() => {
            Outcome::Repeated { seq: first.seq(), time }
        }
        _ => Outcome::Conflict,
    })
}

/// The place and time of a message that is kept, if it is the same.
fn kept(
    connection: &Connection,
    record: &Record,
    first: Key,
    seal: &mut Seal,
) -> rusqlite::Result<Option<(Key, WallTime)>> {
    let mut statement =
        connection.prepare_cached(&format!("SELECT {COLUMNS} FROM messages WHERE key = ?1"))?;
    let mut rows = statement.query([first.0])?;
    let Some(row) = rows.next()? else { return Ok(None) };
    let Some((_, kept)) = row::read(row, seal) else {
        // What it said is lost, and that it was said is not: its author has been told so.
        let time = WallTime::from_micros(row::integer(row, 1).unwrap_or(0));
        return Ok(Some((first, time)));
    };
    let is_same = kept.message_id == record.message_id && kept.content == &*record.content;
    Ok(is_same.then_some((first, kept.time)))
}

/// The place and time of a message that is not kept any more, if it was the same.
fn orphan(
    connection: &Connection,
    record: &Record,
    no: i64,
) -> rusqlite::Result<Option<(Key, WallTime)>> {
    let found = connection
        .prepare_cached("SELECT key, time, digest FROM orphans WHERE no = ?1 AND message_id = ?2")?
        .query_row((no, &record.message_id.0[..]), |row| {
            Ok((row.get(0)?, row.get(1)?, row.get::<_, [u8; 16]>(2)?))
        })
        .optional()?;
    let same = found.filter(|(_, _, digest)| *digest == row::digest(&record.content));
    Ok(same.map(|(key, time, _)| (Key(key), WallTime::from_micros(time))))
}
