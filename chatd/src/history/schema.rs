//! The database's file: how it is made, opened and brought up to date, and what is refused. It is never made where one is missing that
//! was there.
//!
//! One row of `messages` is one message, its key room and place ([`super::row`]). `ids` finds a message by its id. An id that is kept
//! longer than its message is in `orphans`, and `ids` has the negative of its number there. `words` is what is searched. No other index is
//! kept: each would be written for every message, and could disagree with what it points at.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use hub::Durability;
use proto::{MessageId, Seq};
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags, OptionalExtension};

use super::fault::OpenError;

/// The version of the schema that this chatd writes.
const VERSION: i64 = 2;
/// What tells our files from those of other programs: "chat".
const APPLICATION_ID: i64 = 0x6368_6174;

const SCHEMA: &str = "
    CREATE TABLE meta (name TEXT PRIMARY KEY, value ANY NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE rooms (
        no INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, last INTEGER NOT NULL, last_time INTEGER NOT NULL,
        gone INTEGER NOT NULL, count INTEGER NOT NULL, bytes INTEGER NOT NULL, first_time INTEGER NOT NULL,
        checksum INTEGER NOT NULL
    ) STRICT;
    CREATE TABLE messages (
        key INTEGER PRIMARY KEY, time INTEGER NOT NULL, message_id BLOB NOT NULL, author TEXT NOT NULL,
        content BLOB NOT NULL, checksum INTEGER NOT NULL, content_type TEXT
    ) STRICT;
    CREATE TABLE ids (message_id BLOB PRIMARY KEY, key INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE orphans (
        no INTEGER PRIMARY KEY, message_id BLOB NOT NULL, key INTEGER NOT NULL, time INTEGER NOT NULL,
        digest BLOB NOT NULL
    ) STRICT;
";

/// What is searched. It holds no text, only which words are where.
const WORDS: &str = "CREATE VIRTUAL TABLE words USING fts5(
    text, content = '', contentless_delete = 1, tokenize = 'unicode61')";

/// How long a page of the database is.
const PAGE_BYTES: u32 = 4096;
/// How many pages wait in the write-ahead log before they are moved to the database: 16 MiB.
pub(super) const CHECKPOINT_PAGES: i32 = 4_000;
/// How large the write-ahead log may stay.
const LOG_BYTES_MAX: i64 = 64 << 20;
/// What the writer keeps of the database in memory.
const WRITER_CACHE_KIB: i64 = 8 << 10;
/// What the reader does.
const READER_CACHE_KIB: i64 = 4 << 10;
/// How long it is waited for others who look into the database; nobody else writes to it.
const BUSY_MAX: Duration = Duration::from_secs(5);
/// More statements than either connection has.
const STATEMENTS_MAX: usize = 48;

/// How the history is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// How durable a commit is; [`Durability::None`] keeps nothing and has no database.
    pub durability: Durability,
    /// Whether it can be searched.
    pub search: bool,
}

/// What the database says of itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Meta {
    /// Names its sequence numbers.
    pub(super) history: MessageId,
    /// No number above it was ever shown before it was stored.
    pub(super) reserved: Seq,
    /// No room that is forgotten had a number above it.
    pub(super) unknown: Seq,
}

/// Opens the database, makes it where there is none, and brings it up to date. A new one is named by `fresh`.
pub(super) fn open(
    path: &Path,
    options: Options,
    fresh: MessageId,
) -> Result<(Connection, Meta), OpenError> {
    let at = |what: &'static str| move |error| OpenError::of(path, what, &error);
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 => {
            return Err(OpenError::Damaged(path.to_owned(), "it is empty".to_owned()));
        }
        Ok(found) => check_length(path, found.len())?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => create(path, fresh)?,
        Err(error) => return Err(OpenError::File(path.to_owned(), error.to_string())),
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(at("open it"))?;
    check_version(path, &connection)?;
    set_up_writer(&connection, options.durability).map_err(at("set it up"))?;
    migrate(&mut connection, options.search).map_err(at("bring it up to date"))?;
    let meta = meta(path, &connection)?;
    Ok((connection, meta))
}

/// Opens the database for reading.
pub(super) fn open_to_read(path: &Path) -> Result<Connection, OpenError> {
    let at = |error| OpenError::of(path, "open it to read", &error);
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(at)?;
    check_version(path, &connection)?;
    set_up(&connection, READER_CACHE_KIB).map_err(at)?;
    Ok(connection)
}

/// Whether the database can be searched.
pub(super) fn has_words(connection: &Connection) -> rusqlite::Result<bool> {
    connection
        .query_row("SELECT 1 FROM sqlite_schema WHERE name = 'words'", [], |_| Ok(()))
        .optional()
        .map(|found| found.is_some())
}

/// What the meta table says under a name.
pub(super) fn number(connection: &Connection, name: &str) -> rusqlite::Result<Option<i64>> {
    connection
        .prepare_cached("SELECT value FROM meta WHERE name = ?1")?
        .query_row([name], |row| row.get(0))
        .optional()
}

/// Lets the meta table say so.
pub(super) fn set_number(connection: &Connection, name: &str, value: i64) -> rusqlite::Result<()> {
    connection
        .prepare_cached("INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)")?
        .execute((name, value))
        .map(drop)
}

/// How much of the disk the database takes.
///
/// # Errors
/// That of the system call, unless a file is not there.
pub fn size(path: &Path) -> io::Result<u64> {
    let length = |path: PathBuf| match fs::metadata(path) {
        Ok(found) => Ok(found.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(error),
    };
    Ok(length(path.to_owned())?.saturating_add(length(beside(path, "-wal"))?))
}

/// The file with the same name and this at its end.
pub(super) fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    PathBuf::from(name)
}

/// Makes an empty database under another name, whole and synced, and gives it its own then: one that is found is never half made.
pub(super) fn create(path: &Path, fresh: MessageId) -> Result<(), OpenError> {
    let log = beside(path, "-wal");
    if fs::metadata(&log).is_ok_and(|found| found.len() > 0) {
        let what = format!("it is missing, and its log {} is there", log.display());
        return Err(OpenError::Damaged(path.to_owned(), what));
    }
    let fault = |error: io::Error| OpenError::File(path.to_owned(), error.to_string());
    let whole = beside(path, ".recovered");
    if whole.exists() {
        // A recovery was stopped before its last step.
        return settle(&whole, path).map_err(fault);
    }
    let new = beside(path, ".new");
    make(&new, fresh)?;
    settle(&new, path).map_err(fault)
}

/// Makes an empty database, in the place of what was left under this name.
pub(super) fn make(new: &Path, history: MessageId) -> Result<(), OpenError> {
    let fault = |error: io::Error| OpenError::File(new.to_owned(), error.to_string());
    for name in [new, &beside(new, "-wal"), &beside(new, "-shm")] {
        match fs::remove_file(name) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(fault(error)),
            Ok(()) | Err(_) => {}
        }
    }
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(new).map_err(fault)?;
    fill(new, history).map_err(|error| OpenError::of(new, "make it", &error))
}

/// Gives a whole file its name, for good.
pub(super) fn settle(new: &Path, path: &Path) -> io::Result<()> {
    File::open(new)?.sync_all()?;
    fs::rename(new, path)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
}

fn fill(path: &Path, fresh: MessageId) -> rusqlite::Result<()> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags)?;
    connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    let transaction = connection.transaction()?;
    transaction.execute_batch(SCHEMA)?;
    transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
    transaction.pragma_update(None, "user_version", VERSION)?;
    transaction.execute("INSERT INTO meta VALUES ('history', ?1)", [fresh.0])?;
    transaction.commit()?;
    // The last connection takes the log with it.
    connection.close().map_err(|(_, error)| error)
}

/// Refuses a file that lacks its end. SQLite itself notices only whole pages that are missing.
fn check_length(path: &Path, length: u64) -> Result<(), OpenError> {
    let log = fs::metadata(beside(path, "-wal")).map_or(0, |found| found.len());
    let mut header = [0; 100];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut header));
    match read {
        Err(error) if error.kind() != io::ErrorKind::UnexpectedEof => {
            return Err(OpenError::File(path.to_owned(), error.to_string()));
        }
        // What is in the log may be the end; what is no database is found when it is opened.
        _ if log > 0 || !header.starts_with(b"SQLite format 3\0") => return Ok(()),
        _ => {}
    }
    let pages = u32::from_be_bytes([header[28], header[29], header[30], header[31]]);
    let expected = u64::from(pages) * u64::from(PAGE_BYTES);
    if length < expected {
        let what = format!("it has {length} bytes, and had {expected} when it was written");
        return Err(OpenError::Damaged(path.to_owned(), what));
    }
    Ok(())
}

/// Refuses what this chatd cannot read.
pub(super) fn check_version(path: &Path, connection: &Connection) -> Result<(), OpenError> {
    let number = |name| {
        connection
            .pragma_query_value(None, name, |row| row.get::<_, i64>(0))
            .map_err(|error| OpenError::of(path, "read its header", &error))
    };
    if number("application_id")? != APPLICATION_ID {
        return Err(OpenError::Foreign(path.to_owned()));
    }
    match number("user_version")? {
        1..=VERSION => Ok(()),
        found if found > VERSION => {
            Err(OpenError::Newer { path: path.to_owned(), found, known: VERSION })
        }
        found => {
            Err(OpenError::Damaged(path.to_owned(), format!("it says it has version {found}")))
        }
    }
}

fn set_up_writer(connection: &Connection, durability: Durability) -> rusqlite::Result<()> {
    set_up(connection, WRITER_CACHE_KIB)?;
    set_synchronous(connection, durability)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "journal_size_limit", LOG_BYTES_MAX)?;
    // What waits in the log is moved when we say so, where an error is seen: SQLite would do it within a commit and say nothing.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    Ok(())
}

/// How far a commit goes.
pub(super) fn set_synchronous(
    connection: &Connection,
    durability: Durability,
) -> rusqlite::Result<()> {
    let synchronous = match durability {
        Durability::Sync => "full",
        Durability::Write => "normal",
        Durability::None => unreachable!("it has no database"),
    };
    connection.pragma_update(None, "synchronous", synchronous)
}

fn set_up(connection: &Connection, cache_kib: i64) -> rusqlite::Result<()> {
    connection.busy_timeout(BUSY_MAX)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS_MAX);
    connection.pragma_update(None, "cache_size", -cache_kib)?;
    connection.pragma_update(None, "mmap_size", 0)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    connection.pragma_update(None, "foreign_keys", false)?;
    // Cells that overlap are found when a page is read, before anything is made of them.
    connection.pragma_update(None, "cell_size_check", true)
}

/// Brings an older database to [`VERSION`], and `words` to what was configured, in one transaction.
fn migrate(connection: &mut Connection, search: bool) -> rusqlite::Result<()> {
    let transaction = connection.transaction()?;
    let version: i64 = transaction.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if version < 2 {
        transaction.execute_batch("ALTER TABLE messages ADD COLUMN content_type TEXT")?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    match (has_words(&transaction)?, search) {
        (true, true) | (false, false) => {}
        (false, true) => {
            transaction.execute_batch(WORDS)?;
            index_all(&transaction)?;
        }
        (true, false) => transaction.execute_batch("DROP TABLE words")?,
    }
    transaction.commit()
}

/// Makes all that is kept searchable.
fn index_all(connection: &Connection) -> rusqlite::Result<()> {
    let mut insert = connection.prepare("INSERT INTO words (rowid, text) VALUES (?1, ?2)")?;
    let mut select = connection.prepare("SELECT key, content FROM messages ORDER BY key")?;
    let mut rows = select.query([])?;
    while let Some(row) = rows.next()? {
        if let Some(text) = super::row::bytes(row, 1).and_then(|it| std::str::from_utf8(it).ok()) {
            insert.execute((row.get::<_, i64>(0)?, text))?;
        }
    }
    Ok(())
}

fn meta(path: &Path, connection: &Connection) -> Result<Meta, OpenError> {
    let fault = |error| OpenError::of(path, "read its table `meta`", &error);
    let damaged = |name| OpenError::Damaged(path.to_owned(), format!("its {name} cannot be read"));
    let place = |name| match number(connection, name).map_err(fault)? {
        None => Ok(Seq(0)),
        Some(place) => u64::try_from(place).map(Seq).map_err(|_| damaged(name)),
    };
    let history: [u8; 16] = connection
        .query_row("SELECT value FROM meta WHERE name = 'history'", [], |row| row.get(0))
        .map_err(|error| match error {
            rusqlite::Error::SqliteFailure(..) => fault(error),
            _ => damaged("name"),
        })?;
    let (reserved, unknown) = (place("reserved")?, place("unknown")?);
    Ok(Meta { history: MessageId(history), reserved, unknown })
}
