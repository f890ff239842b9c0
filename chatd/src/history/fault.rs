//! What goes wrong with the database, told apart by what is to be done about it.

use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::ErrorCode;

/// Why the database cannot be opened. Nothing was changed.
#[derive(Debug)]
pub enum OpenError {
    /// A file cannot be opened, made or read.
    File(PathBuf, String),
    /// It is another program's.
    Foreign(PathBuf),
    /// A newer chatd made it.
    Newer {
        /// Which file.
        path: PathBuf,
        /// Its version.
        found: i64,
        /// The highest one that this chatd knows.
        known: i64,
    },
    /// It is damaged.
    Damaged(PathBuf, String),
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path, what) => write!(f, "cannot open {}: {what}", path.display()),
            Self::Foreign(path) => write!(
                f,
                "{} is a database of another program; choose another state directory",
                path.display()
            ),
            Self::Newer { path, found, known } => write!(
                f,
                "{} has version {found}, and this chatd knows versions up to {known}; start the chatd that made it, or a newer one",
                path.display()
            ),
            Self::Damaged(path, what) => write!(
                f,
                "{} is damaged: {what}; put a good copy in its place, or run chatd --recover once, which saves what can be read and keeps the damaged file",
                path.display()
            ),
        }
    }
}

impl std::error::Error for OpenError {}

impl OpenError {
    /// What an error of the library means for who opens `path`. `what` was to be done.
    pub(super) fn of(path: &Path, what: &str, error: &rusqlite::Error) -> Self {
        let path = path.to_owned();
        match error.sqlite_error_code() {
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(path, format!("cannot {what}: {error}"))
            }
            _ => Self::File(path, format!("cannot {what}: {error}")),
        }
    }
}

/// Why something was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommitError {
    /// The disk is full. Nothing of it is there, now or later, and it can be tried again.
    Full,
    /// A system call failed: what is there is known after [`Writer::reopen`](super::Writer::reopen) only.
    Broken(String),
    /// The database is damaged: nothing of it is there, and nothing can be written until it is recovered.
    Damaged(String),
}

impl fmt::Display for CommitError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the disk is full"),
            Self::Broken(what) => write!(f, "the history cannot be written: {what}"),
            Self::Damaged(what) => write!(f, "the history is damaged: {what}"),
        }
    }
}

impl std::error::Error for CommitError {}

impl From<rusqlite::Error> for CommitError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) => {
                Self::Damaged(error.to_string())
            }
            _ => Self::Broken(error.to_string()),
        }
    }
}
