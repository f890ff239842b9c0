//! The log: notices go into a bounded queue, and one thread makes tracing events of them, since a terminal or pipe can block.
//!
//! Nothing here blocks the loop: what finds the queue full is counted and said later, and so are lines of one kind past their
//! share, since peers cause them and a log is a disk. No message's content comes here.

mod escaped;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hub::{Level, Notice, Subject};
use proto::{Nick, RoomName, WallTime};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use self::escaped::Escaped;
use crate::clock::Clock;
use crate::config::LogFormat;
use crate::turn::Log;

/// Entries that wait for a slow terminal before they are lost.
const QUEUE_ENTRIES_MAX: usize = 4096;

/// Lines of one kind within a second; the rest is counted.
const LINES_PER_S: u32 = 100;

/// How long the end of the daemon waits for a terminal that takes nothing.
const END_WAIT: Duration = Duration::from_secs(1);

/// Something for the log, and when it was so.
struct Entry {
    time: WallTime,
    what: What,
}

enum What {
    Notice(Notice),
    Line(Level, &'static str, String),
    /// So many entries found the queue full.
    Lost(u64),
}

/// The loop's end of the log. Dropping it waits a second at most for the thread to write what is left.
pub struct Sink {
    queue: Option<SyncSender<Entry>>,
    /// Disconnected when the thread is done.
    ended: Receiver<()>,
    level: Level,
    lost: u64,
}

impl Sink {
    /// Starts the log thread.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(level: Level, format: LogFormat) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE_ENTRIES_MAX);
        let (ends, ended) = sync_channel(0);
        let work = move || {
            write_all(&entries, format, io::stderr);
            let _ = io::stderr().flush();
            drop(ends);
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { queue: Some(queue), ended, level, lost: 0 })
    }

    fn send(&mut self, level: Level, what: What) {
        if !is_logged(self.level, level) {
            return;
        }
        if self.lost > 0 && self.try_send(What::Lost(self.lost)) {
            self.lost = 0;
        }
        if !self.try_send(what) {
            self.lost += 1;
        }
    }

    fn try_send(&self, what: What) -> bool {
        let entry = Entry { time: Clock::wall(), what };
        self.queue.as_ref().is_some_and(|queue| queue.try_send(entry).is_ok())
    }
}

impl Log for Sink {
    fn notice(&mut self, notice: Notice) {
        self.send(notice.level(), What::Notice(notice));
    }

    fn line(&mut self, level: Level, kind: &'static str, text: String) {
        self.send(level, What::Line(level, kind, text));
    }

    fn set_level(&mut self, level: Level) {
        self.level = level;
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.queue.take());
        // Either way the daemon ends: everything was written, or whoever reads the log does not.
        let _ = self.ended.recv_timeout(END_WAIT);
    }
}

/// Whether an entry of this level is written when the log is set to `set`.
fn is_logged(set: Level, level: Level) -> bool {
    rank(level) <= rank(set)
}

const fn rank(level: Level) -> u8 {
    match level {
        Level::Error => 0,
        Level::Warn => 1,
        Level::Info => 2,
        Level::Debug => 3,
    }
}

/// The log thread: one tracing event for each entry, until the loop is gone.
fn write_all<W: Write + 'static>(
    entries: &Receiver<Entry>,
    format: LogFormat,
    to: impl Fn() -> W + Send + Sync + 'static,
) {
    let time = EntryTime(Arc::new(AtomicI64::new(0)));
    let lines = tracing_subscriber::fmt()
        // The sink decides what comes here. What was lost or left out is said at any level.
        .with_max_level(tracing::Level::DEBUG)
        .with_target(false)
        .with_timer(time.clone())
        // What cannot be written to standard error cannot be complained about there either.
        .log_internal_errors(false)
        .with_writer(move || Escaped::new(to(), format));
    let guard = match format {
        LogFormat::Text => tracing::subscriber::set_default(lines.with_ansi(false).finish()),
        LogFormat::Json => {
            tracing::subscriber::set_default(lines.json().flatten_event(true).finish())
        }
    };
    let mut shares = Shares::default();
    loop {
        match entries.recv_timeout(Duration::from_secs(1)) {
            Ok(entry) => {
                let second = entry.time.as_micros().div_euclid(1_000_000);
                time.set(entry.time);
                shares.begin(second, write_left_out);
                if shares.take(entry.what.kind()) {
                    entry.what.write();
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                time.set(Clock::wall());
                shares.end(write_left_out);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    time.set(Clock::wall());
    shares.end(write_left_out);
    drop(guard);
}

/// How many lines of each kind the current second had.
#[derive(Debug, Default)]
struct Shares {
    second: i64,
    lines: BTreeMap<&'static str, u32>,
}

impl Shares {
    /// Ends the second before, if this is another; `left_out` hears of each kind that had more lines than its share, and how many.
    fn begin(&mut self, second: i64, left_out: impl FnMut(&'static str, u32)) {
        if self.second != second {
            self.end(left_out);
            self.second = second;
        }
    }

    fn end(&mut self, mut left_out: impl FnMut(&'static str, u32)) {
        for (kind, lines) in std::mem::take(&mut self.lines) {
            if lines > LINES_PER_S {
                left_out(kind, lines - LINES_PER_S);
            }
        }
    }

    /// Counts a line of this kind; whether it is within its share.
    fn take(&mut self, kind: &'static str) -> bool {
        let lines = self.lines.entry(kind).or_default();
        *lines = lines.saturating_add(1);
        *lines <= LINES_PER_S
    }
}

fn write_left_out(kind: &'static str, count: u32) {
    let text = format!("{count} more '{kind}' lines within a second were left out");
    write_line(Level::Warn, "log_limited", &text);
}

impl What {
    fn kind(&self) -> &'static str {
        match self {
            Self::Notice(notice) => notice.kind(),
            Self::Line(_, kind, _) => kind,
            Self::Lost(_) => "log_lost",
        }
    }

    fn write(&self) {
        match self {
            Self::Notice(notice) => write_notice(notice),
            Self::Line(level, kind, text) => write_line(*level, kind, text),
            Self::Lost(count) => {
                let text =
                    format!("{count} log entries were lost: whoever reads the log is too slow");
                write_line(Level::Warn, "log_lost", &text);
            }
        }
    }
}

macro_rules! at_level {
    ($level:expr, $($fields:tt)*) => {
        match $level {
            Level::Error => tracing::error!($($fields)*),
            Level::Warn => tracing::warn!($($fields)*),
            Level::Info => tracing::info!($($fields)*),
            Level::Debug => tracing::debug!($($fields)*),
        }
    };
}

fn write_notice(notice: &Notice) {
    let text = notice.to_string();
    let kind = notice.kind();
    let Subject { connection, peer, nick, room, reason } = notice.subject();
    let connection = connection.map(hub::ConnId::as_u64);
    let (nick, room) = (nick.map(Nick::as_str), room.map(RoomName::as_str));
    at_level!(notice.level(), kind, connection, peer, nick, room, reason, "{text}");
}

fn write_line(level: Level, kind: &'static str, text: &str) {
    at_level!(level, kind, "{text}");
}

/// When the entry being written was made, microseconds of the wall clock: written as everywhere, RFC 3339 with microseconds.
#[derive(Clone, Debug)]
struct EntryTime(Arc<AtomicI64>);

impl EntryTime {
    fn set(&self, time: WallTime) {
        // Only the log thread sets and reads it; tracing wants it shareable.
        self.0.store(time.as_micros(), Ordering::Relaxed);
    }
}

impl FormatTime for EntryTime {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", WallTime::from_micros(self.0.load(Ordering::Relaxed)))
    }
}
