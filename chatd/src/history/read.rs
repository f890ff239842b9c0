//! A connection that reads: pages of past messages, encoded for whoever asked, and the ids of all messages.
//!
//! Each page is read in one transaction, so that what it says of the room's beginning holds for it. A message that is not what was
//! written is never handed on: the page tells that it is damaged, and so does the log.

use std::path::{Path, PathBuf};

use hub::{Fetch, FetchError, Fetched, Order, Page, PageWriter};
use proto::{MessageId, Seq, Span, WallTime};
use rusqlite::{Connection, ErrorCode, OptionalExtension, Row, Statement};

use super::fault::OpenError;
use super::recover::{readable_after, readable_before};
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
    /// The highest place that was given in it.
    last: Seq,
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
        let more = match &question {
            Some(question) => self.fill_with_found(&mut page, range, fetch, question)?,
            None => self.fill(&mut page, range, fetch, &room)?,
        };
        Ok(Ok(page.finish(more, room.gone)))
    }

    fn room(&self, fetch: &Fetch) -> rusqlite::Result<Option<Room>> {
        let found = self
            .connection
            .prepare_cached("SELECT no, gone, last FROM rooms WHERE name = ?1")?
            .query_row([fetch.room.as_str()], |row| {
                Ok((row.get(0)?, row.get::<_, i64>(1)?, row.get::<_, i64>(2)?))
            })
            .optional()?;
        let sound = found.filter(|(no, ..)| (1..=ROOM_NO_MAX).contains(no));
        let seq = |number: i64| Seq(number.unsigned_abs());
        Ok(sound.map(|(no, gone, last)| Room { no: RoomNo(no), gone: seq(gone), last: seq(last) }))
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
        let mut next = first.0;
        while next <= last.0 {
            let mut rows = statement.query((next, last.0))?;
            loop {
                match rows.next() {
                    Ok(Some(row)) => {
                        if let Some((key, kept)) = row::read(row, &mut self.seal) {
                            return Ok(Some((key, kept.time)));
                        }
                        next = next.max(row.get::<_, i64>(0)?.saturating_add(1));
                    }
                    Ok(None) => return Ok(None),
                    Err(error) if is_damage(&error) => break,
                    Err(error) => return Err(error),
                }
            }
            // What cannot be read has some time between those of its neighbours.
            next = readable_after(&self.connection, next).unwrap_or(i64::MAX);
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
        let (mut rest, mut before) = (range, before);
        loop {
            bind(&mut statement, rest, question)?;
            statement.raw_bind_parameter(3, before)?;
            let mut rows = statement.raw_query();
            match rows.next() {
                Ok(row) => {
                    let found = row.map(|row| row.get(0)).transpose()?;
                    return Ok(found.map_or(range.first, Key));
                }
                Err(error) if question.is_none() && is_damage(&error) => {
                    drop(rows);
                    let (passed, last) = self.readable_of_latest(rest)?;
                    // What is behind the hole was read already, or it would not have been met.
                    let Some(left) = before.checked_sub(passed) else { return Err(error) };
                    (rest.last, before) = (last, left);
                    if rest.is_empty() {
                        return Ok(range.first);
                    }
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// How many of the latest messages of a range stand behind its last hole, and the last key before that from which it can be read.
    fn readable_of_latest(&self, range: Range) -> rusqlite::Result<(u32, Key)> {
        let mut statement = self.connection.prepare_cached(
            "SELECT key FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key DESC",
        )?;
        let mut rows = statement.query((range.first.0, range.last.0))?;
        let (mut count, mut reached) = (0, range.last.0);
        while let Ok(Some(row)) = rows.next() {
            (count, reached) = (count + 1, row.get::<_, i64>(0)? - 1);
        }
        let before = readable_before(&self.connection, reached).unwrap_or(-1);
        Ok((count, Key(before)))
    }

    /// Adds the messages of a range; whether there are more than the page has room for.
    fn fill(
        &mut self,
        page: &mut PageWriter<'_>,
        mut range: Range,
        fetch: &Fetch,
        room: &Room,
    ) -> rusqlite::Result<bool> {
        let kept = Key::of(room.no, room.gone.next())..=Key::of(room.no, room.last);
        loop {
            let error = match self.walk(page, &mut range, fetch) {
                Err(error) if is_damage(&error) => error,
                outcome => return outcome,
            };
            // A page of the database cannot be read. Those beyond it can, and those on it are told one by one.
            let hole = self.pass_hole(&mut range, fetch.order);
            let (Key(first), Key(last)) =
                (hole.first.max(*kept.start()), hole.last.min(*kept.end()));
            if last - first >= HOLE_MESSAGES_MAX {
                return Err(error);
            }
            let (path, name) = (self.path.display(), &fetch.room);
            if first > last {
                // It is another room's.
                self.complaints.push(format!("{path}: beside {name}: {error}"));
                continue;
            }
            let (from, to) = (Key(first).seq(), Key(last).seq());
            self.complaints.push(format!("{path}: messages {from} to {to} of {name}: {error}"));
            let mut is_told = |key| page.add_damaged(Key(key).seq());
            let is_whole = match fetch.order {
                Order::Forward => (first..=last).all(&mut is_told),
                Order::Backward => (first..=last).rev().all(&mut is_told),
            };
            if !is_whole {
                return Ok(true);
            }
        }
    }

    /// The part of a range that cannot be read, where the range begins in the order of reading; the range goes on behind it.
    fn pass_hole(&self, range: &mut Range, order: Order) -> Range {
        let Range { first, last } = *range;
        match order {
            Order::Forward => {
                let after = readable_after(&self.connection, first.0).unwrap_or(i64::MAX);
                range.first = Key(after);
                Range { first, last: last.min(Key(after - 1)) }
            }
            Order::Backward => {
                let before = readable_before(&self.connection, last.0).unwrap_or(-1);
                range.last = Key(before);
                Range { first: first.max(Key(before + 1)), last }
            }
        }
    }

    /// The same, as far as the database can be read; the range is what was not reached.
    fn walk(
        &mut self,
        page: &mut PageWriter<'_>,
        range: &mut Range,
        fetch: &Fetch,
    ) -> rusqlite::Result<bool> {
        if range.is_empty() {
            return Ok(false);
        }
        let direction = direction(fetch.order);
        let mut statement = self.connection.prepare_cached(&format!(
            "SELECT {COLUMNS} FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key {direction}"
        ))?;
        let mut rows = statement.query((range.first.0, range.last.0))?;
        while let Some(row) = rows.next()? {
            let key = Key(row.get(0)?);
            // A tree that is damaged may lead anywhere, also back.
            if key < range.first || key > range.last {
                return Err(damage());
            }
            if !add(page, row, (key, fetch), &mut self.seal, (&self.path, &mut self.complaints)) {
                return Ok(true);
            }
            match fetch.order {
                Order::Forward => range.first = Key(key.0 + 1),
                Order::Backward => range.last = Key(key.0 - 1),
            }
        }
        Ok(false)
    }

    /// Adds the messages of a range that a search finds: the index leads, in its own order, and one that cannot be read is told.
    fn fill_with_found(
        &mut self,
        page: &mut PageWriter<'_>,
        range: Range,
        fetch: &Fetch,
        question: &str,
    ) -> rusqlite::Result<bool> {
        if range.is_empty() {
            return Ok(false);
        }
        let direction = direction(fetch.order);
        let mut found = self.connection.prepare_cached(&format!(
            "SELECT rowid FROM words WHERE rowid BETWEEN ?1 AND ?2 AND words MATCH ?4
             ORDER BY rowid {direction}"
        ))?;
        let mut message = self
            .connection
            .prepare_cached(&format!("SELECT {COLUMNS} FROM messages WHERE key = ?1"))?;
        bind(&mut found, range, Some(question))?;
        let mut keys = found.raw_query();
        while let Some(row) = keys.next()? {
            let key = Key(row.get(0)?);
            let mut rows = message.query([key.0])?;
            let told = (self.path.as_path(), &mut self.complaints);
            let fits = match rows.next() {
                Ok(Some(row)) => add(page, row, (key, fetch), &mut self.seal, told),
                // The index has a word of a message that is not there.
                Ok(None) => continue,
                Err(error) if is_damage(&error) => {
                    let (path, room) = (told.0.display(), &fetch.room);
                    told.1.push(format!("{path}: message {} of {room}: {error}", key.seq()));
                    page.add_damaged(key.seq())
                }
                Err(error) => return Err(error),
            };
            if !fits {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The order of keys, in SQL.
const fn direction(order: Order) -> &'static str {
    match order {
        Order::Forward => "ASC",
        Order::Backward => "DESC",
    }
}

/// Adds the message of a row, or tells that it is not what was written; false where the page has no room for it.
fn add(
    page: &mut PageWriter<'_>,
    row: &Row<'_>,
    (key, fetch): (Key, &Fetch),
    seal: &mut Seal,
    (path, complaints): (&Path, &mut Vec<String>),
) -> bool {
    if let Some((_, kept)) = row::read(row, seal) {
        return page.add(&kept);
    }
    let (path, room) = (path.display(), &fetch.room);
    complaints.push(format!("{path}: message {} of {room} is damaged", key.seq()));
    page.add_damaged(key.seq())
}

/// Whether the database cannot be read there.
fn is_damage(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseCorrupt)
}

fn damage() -> rusqlite::Error {
    let error = rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_CORRUPT);
    rusqlite::Error::SqliteFailure(error, None)
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
