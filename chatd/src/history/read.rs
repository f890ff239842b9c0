//! A connection that reads: pages of past messages, encoded for whoever asked, and the ids of all messages.
//!
//! Each page is read in one transaction, so that what it says of the room's beginning holds for it. A message that is not what was
//! written is never handed on: the page tells that it is damaged, and so does the log.

use std::path::{Path, PathBuf};

use hub::{Fetch, FetchError, Fetched, Order, Page, PageWriter};
use proto::{MessageId, Seq, Span, WallTime};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Statement};

use super::fault::OpenError;
use super::recover::readable_after;
use super::row::{self, COLUMNS, Key, ROOM_NO_MAX, RoomNo, SEQ_MAX, Seal};
use super::{schema, search};
use crate::clock::Clock;

/// How long a search may take: others wait behind it.
const SEARCH_MAX: Span = Span::from_secs(2);
/// After how many of SQLite's steps a search looks at the clock: some ten microseconds.
const SEARCH_LOOK_STEPS: i32 = 200;

/// How many places a page tells as damaged where some part of the database cannot be read; where there would be more it is not
/// known what is missing, and nothing is said.
const HOLE_MESSAGES_MAX: i64 = 4_096;

/// See the module.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    path: PathBuf,
    seal: Seal,
    /// How long a search may take.
    pub(super) search_max: Span,
    /// What was found damaged, in words.
    complaints: Vec<String>,
}

/// Messages of one room: from one key to another, both with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    first: Key,
    last: Key,
}

impl Range {
    fn is_empty(self) -> bool {
        self.first > self.last
    }
}

/// What the table says of a room.
struct Room {
    no: RoomNo,
    gone: Seq,
}

impl Reader {
    /// Opens the history for reading, after the writer did.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        let connection = schema::open_to_read(path)?;
        let path = path.to_owned();
        let (seal, complaints) = (Seal::default(), Vec::new());
        Ok(Self { connection, path, seal, search_max: SEARCH_MAX, complaints })
    }

    /// A page of past messages.
    pub fn fetch(&mut self, fetch: &Fetch) -> Fetched {
        let outcome = self.limited(fetch).unwrap_or_else(|error| {
            if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) {
                return Err(FetchError::TooLong);
            }
            self.complaints.push(format!("{}: {error}", self.path.display()));
            Err(FetchError::Unavailable)
        });
        Fetched { no: fetch.no, outcome }
    }

    /// What was found damaged since this was asked for, for the log.
    pub fn complaints(&mut self) -> Vec<String> {
        std::mem::take(&mut self.complaints)
    }

    /// Hands over the id of each message that is kept, and of each whose id alone is.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn ids(&mut self, mut each: impl FnMut(MessageId)) -> Result<(), OpenError> {
        let fault = |error| OpenError::of(&self.path, "read the ids", &error);
        let mut statement = self.connection.prepare("SELECT message_id FROM ids").map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        while let Some(row) = rows.next().map_err(fault)? {
            if let Some(id) = row::bytes(row, 0).and_then(|bytes| bytes.try_into().ok()) {
                each(MessageId(id));
            }
        }
        Ok(())
    }

    /// A page; where it takes a search, that has its time.
    fn limited(&mut self, fetch: &Fetch) -> rusqlite::Result<Result<Page, FetchError>> {
        if fetch.search.is_none() {
            return self.in_transaction(|reader| reader.page(fetch));
        }
        let (clock, most) = (Clock::start(), self.search_max);
        let start = clock.now();
        let is_late = move || clock.now().since(start) >= most;
        self.connection.progress_handler(SEARCH_LOOK_STEPS, Some(is_late))?;
        let outcome = self.in_transaction(|reader| reader.page(fetch));
        self.connection.progress_handler(0, None::<fn() -> bool>)?;
        outcome
    }

    fn in_transaction<T>(
        &mut self,
        run: impl FnOnce(&mut Self) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        assert!(self.connection.is_autocommit(), "one transaction at a time");
        self.connection.prepare_cached("BEGIN")?.execute([])?;
        let outcome = run(self);
        if !self.connection.is_autocommit() {
            self.connection.prepare_cached("ROLLBACK")?.execute([])?;
        }
        outcome
    }

    fn page(&mut self, fetch: &Fetch) -> rusqlite::Result<Result<Page, FetchError>> {
        let mut page = PageWriter::new(fetch);
        let Some(room) = self.room(fetch)? else {
            return Ok(Ok(page.finish(false, Seq(0))));
        };
        if fetch.search.is_some() && !schema::has_words(&self.connection)? {
            return Ok(Err(FetchError::NoSearch));
        }
        let question = fetch.search.as_deref().map(search::question);
        let range = self.range(fetch, room.no, question.as_deref())?;
        let more = self.fill(&mut page, range, fetch, question.as_deref())?;
        Ok(Ok(page.finish(more, room.gone)))
    }

    fn room(&self, fetch: &Fetch) -> rusqlite::Result<Option<Room>> {
        let found = self
            .connection
            .prepare_cached("SELECT no, gone FROM rooms WHERE name = ?1")?
            .query_row([fetch.room.as_str()], |row| Ok((row.get(0)?, row.get::<_, i64>(1)?)))
            .optional()?;
        let sound = found.filter(|(no, _)| (1..=ROOM_NO_MAX).contains(no));
        Ok(sound.map(|(no, gone)| Room { no: RoomNo(no), gone: Seq(gone.unsigned_abs()) }))
    }

    /// What a question's bounds leave of the room.
    fn range(
        &mut self,
        fetch: &Fetch,
        no: RoomNo,
        question: Option<&str>,
    ) -> rusqlite::Result<Range> {
        let mut range = Range { first: Key::of(no, fetch.first), last: Key::of(no, fetch.last) };
        if fetch.first.0 > SEQ_MAX {
            range.last = Key(range.first.0 - 1);
        }
        if let Some(since) = fetch.since {
            range.first = self.first_at(range, since)?;
        }
        if let Some(until) = fetch.until {
            range.last = Key(self.first_at(range, until)?.0 - 1);
        }
        if let Some(latest) = fetch.latest {
            range.first = self.first_of_latest(range, latest, question)?;
        }
        Ok(range)
    }

    /// The key from which on the messages of a range are of this time or later: time never goes back within a room.
    fn first_at(&mut self, range: Range, time: WallTime) -> rusqlite::Result<Key> {
        // All before `low` are earlier, all from `high` on are not.
        let Range { first: Key(mut low), last: Key(last) } = range;
        let mut high = last + 1;
        while low < high {
            let middle = low + (high - low) / 2;
            match self.sound_from(Key(middle), Key(high - 1))? {
                Some((key, found)) if found < time => low = key.0 + 1,
                Some(_) | None => high = middle,
            }
        }
        Ok(Key(low))
    }

    /// The first message of a range that can be trusted, and its time.
    fn sound_from(&mut self, first: Key, last: Key) -> rusqlite::Result<Option<(Key, WallTime)>> {
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key"
        ))?;
        let mut rows = statement.query((first.0, last.0))?;
        while let Some(row) = rows.next()? {
            if let Some((key, kept)) = row::read(row, &mut self.seal) {
                return Ok(Some((key, kept.time)));
            }
        }
        Ok(None)
    }

    /// The key of the first of the latest messages of a range.
    fn first_of_latest(
        &self,
        range: Range,
        latest: u32,
        question: Option<&str>,
    ) -> rusqlite::Result<Key> {
        let nothing = Key(range.last.0 + 1);
        let Some(before) = latest.checked_sub(1) else { return Ok(nothing) };
        let sql = match question {
            None => {
                "SELECT key FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC LIMIT 1 OFFSET ?3"
            }
            Some(_) => {
                "SELECT rowid FROM words WHERE rowid BETWEEN ?1 AND ?2 AND words MATCH ?4
                 ORDER BY rowid DESC LIMIT 1 OFFSET ?3"
            }
        };
        let mut statement = self.connection.prepare_cached(sql)?;
        bind(&mut statement, range, question)?;
        statement.raw_bind_parameter(3, before)?;
        let mut rows = statement.raw_query();
        Ok(rows.next()?.map(|row| row.get(0)).transpose()?.map_or(range.first, Key))
    }

    /// Adds the messages of a range; whether there are more than the page has room for.
    fn fill(
        &mut self,
        page: &mut PageWriter<'_>,
        mut range: Range,
        fetch: &Fetch,
        question: Option<&str>,
    ) -> rusqlite::Result<bool> {
        loop {
            let mut next = range.first;
            let error = match self.walk(page, range, fetch, question, &mut next) {
                Err(error) if error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt) => {
                    error
                }
                outcome => return outcome,
            };
            if question.is_some() || fetch.order == Order::Backward {
                return Err(error);
            }
            // A page of the database cannot be read. Those behind it can, and those on it are told one by one.
            let after = readable_after(&self.connection, next.0).unwrap_or(i64::MAX);
            let hole = next.0..=range.last.0.min(after - 1);
            if hole.end() - hole.start() >= HOLE_MESSAGES_MAX {
                return Err(error);
            }
            let (path, room) = (self.path.display(), &fetch.room);
            let (from, to) = (Key(*hole.start()).seq(), Key(*hole.end()).seq());
            self.complaints.push(format!("{path}: messages {from} to {to} of {room}: {error}"));
            if hole.into_iter().any(|key| !page.add_damaged(Key(key).seq())) {
                return Ok(true);
            }
            range.first = Key(after);
        }
    }

    /// The same, as far as the database can be read: up to `next`, without it.
    fn walk(
        &mut self,
        page: &mut PageWriter<'_>,
        range: Range,
        fetch: &Fetch,
        question: Option<&str>,
        next: &mut Key,
    ) -> rusqlite::Result<bool> {
        if range.is_empty() {
            return Ok(false);
        }
        let direction = match fetch.order {
            Order::Forward => "ASC",
            Order::Backward => "DESC",
        };
        let sql = match question {
            None => format!(
                "SELECT {COLUMNS} FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key {direction}"
            ),
            // The index leads, in its own order.
            Some(_) => format!(
                "SELECT {COLUMNS} FROM words CROSS JOIN messages ON key = words.rowid
                 WHERE words.rowid BETWEEN ?1 AND ?2 AND words MATCH ?4 ORDER BY words.rowid {direction}"
            ),
        };
        let mut statement = self.connection.prepare_cached(&sql)?;
        bind(&mut statement, range, question)?;
        let mut rows = statement.raw_query();
        let mut before = None;
        while let Some(row) = rows.next()? {
            let key = Key(row.get(0)?);
            // A tree that is damaged may lead anywhere.
            let is_in_order = before.is_none_or(|before| match fetch.order {
                Order::Forward => before < key,
                Order::Backward => before > key,
            });
            if !is_in_order || key < range.first || key > range.last {
                let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
                return Err(rusqlite::Error::SqliteFailure(error, None));
            }
            before = Some(key);
            let fits = if let Some((_, kept)) = row::read(row, &mut self.seal) {
                page.add(&kept)
            } else {
                let (path, room) = (self.path.display(), &fetch.room);
                self.complaints.push(format!("{path}: message {} of {room} is damaged", key.seq()));
                page.add_damaged(key.seq())
            };
            if !fits {
                return Ok(true);
            }
            *next = Key(key.0 + 1);
        }
        Ok(false)
    }
}

fn bind(
    statement: &mut Statement<'_>,
    range: Range,
    question: Option<&str>,
) -> rusqlite::Result<()> {
    statement.raw_bind_parameter(1, range.first.0)?;
    statement.raw_bind_parameter(2, range.last.0)?;
    question.map_or(Ok(()), |question| statement.raw_bind_parameter(4, question))
}
