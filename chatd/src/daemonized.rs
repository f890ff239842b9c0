//! `--daemon`: the process that was started ends when its child serves, and the child goes on without it.
//!
//! The crate daemonize forks twice, begins a session, goes to `/`, locks and writes the pid file, turns the standard streams away and
//! gives root up. What it lacks is ours: the process that was started is told by a pipe how the start went, since the crate knows
//! only that it forked; the user's other groups ([`Identity::assume`]), since the crate leaves those of root; the end of the pid file.
//! All this happens while there is one thread, and before signals are blocked and anything is polled: neither survives a fork.

use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, PipeReader, PipeWriter, Read, Write};
use std::path::{Path, PathBuf};

use daemonize::{Daemonize, Outcome, Stdio};
use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

use crate::config::LogFormat;
use crate::identity::{Identity, resume_root};

/// What others may not do with files that are made later; the control socket has a mode of its own.
const UMASK: u32 = 0o027;
/// The name of the pid file, beside the control socket, where nobody chose another.
const PID_FILE: &str = "chatd.pid";
/// Where a journal is, if there is one.
const JOURNAL: &str = "/run/systemd/journal/socket";

/// Why there is no daemon.
#[derive(Debug)]
pub enum DetachError {
    /// The pid file cannot be written.
    PidFile(PathBuf, io::Error),
    /// Another daemon holds the pid file: what is written there.
    Held(PathBuf, String),
    /// There are no descriptors left for a pipe.
    Pipe(io::Error),
    /// The forks, or what goes with them.
    Fork(daemonize::Error),
    /// Root was not regained to be given up.
    Root(Errno),
    /// The child is gone and has not said why.
    Died,
}

impl fmt::Display for DetachError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PidFile(path, error) => write!(
                f,
                "cannot write the pid file {}: {error}; choose a --pid-file where the daemon's user may write",
                path.display()
            ),
            Self::Held(path, pid) => write!(
                f,
                "another chatd holds the pid file {} (process {pid}); stop that one first, or choose another --pid-file",
                path.display()
            ),
            Self::Pipe(error) => write!(f, "cannot make a pipe: {error}"),
            Self::Fork(error) => write!(f, "cannot become a daemon: {error}"),
            Self::Root(error) => write!(f, "cannot become another user: {}", error.desc()),
            Self::Died => f.write_str(
                "the daemon ended while it started, and did not say why; start it without --daemon to see",
            ),
        }
    }
}

impl std::error::Error for DetachError {}

/// The process that started this one and waits to hear how it went; nobody, where it was not started with `--daemon`.
#[derive(Debug, Default)]
pub struct Waiting {
    pipe: Option<PipeWriter>,
}

impl Waiting {
    /// Lets it end well: from now on clients are served.
    pub fn ready(&mut self) {
        let _ = self.tell(0, "");
    }

    /// Lets it end with this status and these words. False where nobody waits.
    pub fn failed(&mut self, status: u8, text: &str) -> bool {
        assert_ne!(status, 0, "this is how a start that goes well ends");
        self.tell(status, text)
    }

    fn tell(&mut self, status: u8, text: &str) -> bool {
        let Some(mut pipe) = self.pipe.take() else { return false };
        // Who waited may have been killed; the daemon serves all the same.
        pipe.write_all(&[&[status], text.as_bytes()].concat()).is_ok()
    }
}

/// What this process is after the fork.
#[derive(Debug)]
pub enum Side {
    /// The one that was started: its child said that it ends so, with these words.
    Starter(u8, String),
    /// The daemon.
    Daemon(PidFile),
}

/// The pid file of this process, gone when it is. The lock on it is the process's: the crate keeps its descriptor open.
#[derive(Debug)]
pub struct PidFile(PathBuf);

impl Drop for PidFile {
    fn drop(&mut self) {
        // What is gone already is what is wished.
        let _ = fs::remove_file(&self.0);
    }
}

/// Where the pid file is when nobody says.
pub fn usual_pid_file(control: &Path) -> PathBuf {
    control.with_file_name(PID_FILE)
}

/// Forks. The child is the daemon and tells `waiting`; the other side returns when it did, or is gone. Where there is an identity it
/// was assumed already.
///
/// # Errors
/// On the daemon's side, what is to be told to who waits; on the other, that there is no child, or that it died.
pub fn detach(
    pid_file: &Path,
    identity: Option<&Identity>,
    waiting: &mut Waiting,
) -> Result<Side, DetachError> {
    assert!(pid_file.is_absolute(), "the daemon goes to /");
    assert!(waiting.pipe.is_none(), "one fork is enough");
    let (reader, writer) = io::pipe().map_err(DetachError::Pipe)?;
    let stays = |is_terminal| if is_terminal { Stdio::devnull() } else { Stdio::keep() };
    let mut fork = Daemonize::new()
        .working_directory("/")
        .umask(UMASK)
        .pid_file(pid_file)
        // A log that was sent into a file goes on there. A terminal is not the daemon's.
        .stderr(stays(io::stderr().is_terminal()));
    if let Some(identity) = identity {
        fork = fork.user(identity.uid().as_raw()).group(identity.gid().as_raw());
    }
    let is_other = identity.is_some();
    // It comes when the pid file is made, by the user, and before root is given up for good.
    let fork = fork.privileged_action(move || if is_other { resume_root() } else { Ok(()) });
    match fork.execute() {
        Outcome::Parent(forked) => {
            drop(writer);
            // Whether the first child could be waited for says little: who started us may have made the kernel forget children.
            hear(reader, forked.err())
        }
        Outcome::Child(done) => {
            drop(reader);
            waiting.pipe = Some(writer);
            let child = done.map_err(|error| why(pid_file, error))?;
            child.privileged_action_result.map_err(DetachError::Root)?;
            if let Some(identity) = identity {
                identity.check_assumed();
            }
            Ok(Side::Daemon(PidFile(pid_file.to_owned())))
        }
    }
}

/// Waits for the child's words, or its end.
fn hear(mut reader: PipeReader, forked: Option<daemonize::Error>) -> Result<Side, DetachError> {
    let mut words = Vec::new();
    reader.read_to_end(&mut words).map_err(DetachError::Pipe)?;
    match words.split_first() {
        Some((status, text)) => {
            Ok(Side::Starter(*status, String::from_utf8_lossy(text).into_owned()))
        }
        None => Err(forked.map_or(DetachError::Died, DetachError::Fork)),
    }
}

/// Says what the crate does not: its errors have a number and no path. Most often the pid file is another's, or cannot be made.
fn why(pid_file: &Path, error: daemonize::Error) -> DetachError {
    let opened = OpenOptions::new().create(true).truncate(false).write(true).open(pid_file);
    match opened.map(|file| Flock::lock(file, FlockArg::LockExclusiveNonblock)) {
        Err(error) => DetachError::PidFile(pid_file.to_owned(), error),
        Ok(Err((_, Errno::EWOULDBLOCK))) => {
            let written = fs::read_to_string(pid_file).unwrap_or_default();
            DetachError::Held(pid_file.to_owned(), written.trim().to_owned())
        }
        Ok(_) => DetachError::Fork(error),
    }
}

/// Where the log goes nowhere: to a terminal that is left behind, and not to a journal. What to do then.
pub fn lost_log(format: LogFormat) -> Option<&'static str> {
    let is_journals = matches!(format, LogFormat::Auto | LogFormat::Journal);
    let is_lost = io::stderr().is_terminal() && !(is_journals && Path::new(JOURNAL).exists());
    is_lost.then_some(
        "the log goes nowhere: this machine has no journal, or --log-format wants none; send it into a file: chatd --daemon 2>>FILE",
    )
}
