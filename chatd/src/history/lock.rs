//! The folder of the daemon's state, and the lock that keeps a second daemon out of it.
//!
//! The lock file stays: removing it would let two daemons hold two locks of one name. In it is the number of the process that has it, for
//! whoever is turned away.

use std::fmt;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, lchown};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use nix::unistd::Uid;

/// The lock's name.
const LOCK: &str = "lock";
/// The database's name.
const DATABASE: &str = "history.db";

/// Why the folder is not ours.
#[derive(Debug)]
pub enum LockError {
    /// It is not there, and cannot be made.
    Folder(PathBuf, io::Error),
    /// The lock in it cannot be made or read.
    File(PathBuf, io::Error),
    /// Another daemon has it: what is written there.
    Held(PathBuf, String),
}

impl fmt::Display for LockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder(path, error) => write!(
                f,
                "cannot make the state directory {}: {error}; make it, or choose another --state-dir",
                path.display()
            ),
            Self::File(path, error) => write!(
                f,
                "cannot lock {}: {error}; choose a --state-dir where the daemon's user may write",
                path.display()
            ),
            Self::Held(folder, pid) => {
                let who = if pid.is_empty() { String::new() } else { format!(" (process {pid})") };
                write!(
                    f,
                    "another chatd{who} has the state directory {}; stop that one first, or choose another --state-dir",
                    folder.display()
                )
            }
        }
    }
}

impl std::error::Error for LockError {}

/// The folder, for this process alone as long as this is there.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    _lock: Flock<File>,
}

impl StateFolder {
    /// Takes the folder. One that is not there is made, for its user alone; with all above it only where nobody chose the place.
    ///
    /// # Errors
    /// See [`LockError`].
    pub fn take(path: &Path, is_usual: bool) -> Result<Self, LockError> {
        let made = DirBuilder::new().mode(0o700).recursive(is_usual).create(path);
        match made {
            Err(error) if error.kind() != ErrorKind::AlreadyExists => {
                return Err(LockError::Folder(path.to_owned(), error));
            }
            Ok(()) | Err(_) => {}
        }
        let lock = path.join(LOCK);
        let fault = |error| LockError::File(lock.clone(), error);
        let mut options = OpenOptions::new();
        options.create(true).truncate(false).read(true).write(true).mode(0o600);
        let file = options.open(&lock).map_err(fault)?;
        let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
            Ok(lock) => lock,
            Err((_, Errno::EWOULDBLOCK)) => {
                let pid = fs::read_to_string(&lock).unwrap_or_default();
                return Err(LockError::Held(path.to_owned(), pid.trim().to_owned()));
            }
            Err((_, error)) => return Err(fault(error.into())),
        };
        // Who has it is a courtesy: a full disk is met, and told, elsewhere.
        let _ = lock.set_len(0).and_then(|()| writeln!(lock, "{}", std::process::id()));
        Ok(Self { path: path.to_owned(), _lock: lock })
    }

    /// What is in such a folder, or may be.
    pub(crate) fn files(path: &Path) -> impl Iterator<Item = PathBuf> {
        let endings = ["", "-wal", "-shm"].map(|ending| format!("{DATABASE}{ending}"));
        [LOCK.to_owned()].into_iter().chain(endings).map(|name| path.join(name))
    }

    /// Gives what root made here to whose folder it is.
    ///
    /// # Errors
    /// Those of the system calls.
    pub fn give_back(&self) -> io::Result<()> {
        let owner = fs::metadata(&self.path)?;
        if !Uid::effective().is_root() || owner.uid() == 0 {
            return Ok(());
        }
        for entry in fs::read_dir(&self.path)? {
            lchown(entry?.path(), Some(owner.uid()), Some(owner.gid()))?;
        }
        Ok(())
    }

    /// Where the history is in it.
    pub fn database(&self) -> PathBuf {
        self.path.join(DATABASE)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn a_second_daemon_is_told_who_has_the_folder() {
        let path = std::env::temp_dir().join(format!("chatd-state-{}", std::process::id()));
        let deep = path.join("a/b");
        assert!(matches!(StateFolder::take(&deep, false), Err(LockError::Folder(..))));
        let folder = StateFolder::take(&deep, true).unwrap();
        assert_eq!(fs::metadata(&deep).unwrap().permissions().mode() & 0o777, 0o700);
        let said = StateFolder::take(&deep, true).unwrap_err().to_string();
        let pid = std::process::id();
        assert!(said.starts_with(&format!("another chatd (process {pid}) has")), "{said}");
        drop(folder);
        assert!(StateFolder::take(&deep, false).is_ok(), "it is free with its daemon's end");
        fs::remove_dir_all(&path).unwrap();
    }
}
