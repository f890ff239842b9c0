//! The log: notices go into a bounded queue, and one thread makes tracing events of them, since a terminal or pipe can block.
//!
//! Nothing here blocks the loop: what finds the queue full is counted and said later, and so are lines of one kind past their
//! share, since peers cause them and a log is a disk. No message's content comes here.

/// A tracing event of a level that is known only when it is made.
macro_rules! at_level {
    ($level:expr, $($fields:tt)*) => {
        match $level {
            hub::Level::Error => tracing::error!($($fields)*),
            hub::Level::Warn => tracing::warn!($($fields)*),
            hub::Level::Info => tracing::info!($($fields)*),
            hub::Level::Debug => tracing::debug!($($fields)*),
        }
    };
}

mod escaped;
mod journal;
mod kinds;
mod outlet;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hub::{Level, Notice, Subject};
use proto::WallTime;

pub use self::journal::stderr_is_journals;
pub use self::kinds::{KINDS, Kind, Row, table};

use self::outlet::{Outlet, Pen};
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
    Line(Level, Kind, String),
}

/// The loop's end of the log. Dropping it waits a second at most for the thread to write what is left.
pub struct Sink {
    queue: Option<SyncSender<Entry>>,
    /// Disconnected when the thread is done.
    ended: Receiver<()>,
    level: Level,
    /// So many entries found the queue full. The log thread says it and takes it down again.
    lost: Arc<AtomicU64>,
}

impl Sink {
    /// Starts the log thread, of a daemon that left its terminal behind or of one that has it.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(level: Level, format: LogFormat, is_daemon: bool) -> io::Result<Self> {
        let (queue, entries) = sync_channel(QUEUE_ENTRIES_MAX);
        let (ends, ended) = sync_channel(0);
        let lost = Arc::new(AtomicU64::new(0));
        let counted = Arc::clone(&lost);
        let work = move || {
            let (outlet, complaint) = Outlet::choose(format, is_daemon);
            let pen = outlet.open(io::stderr);
            if let Some(text) = complaint {
                pen.say(Level::Warn, Kind::NoJournal, &text, Clock::wall());
            }
            write_all(&entries, &pen, &counted);
            let _ = io::stderr().flush();
            drop(ends);
        };
        std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { queue: Some(queue), ended, level, lost })
    }

    fn send(&self, what: What) {
        let entry = Entry { time: Clock::wall(), what };
        let queue = self.queue.as_ref().expect("it is taken when the sink is dropped");
        if queue.try_send(entry).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Log for Sink {
    fn notice(&mut self, notice: Notice) {
        if is_logged(self.level, notice.level()) {
            self.send(What::Notice(notice));
        }
    }

    fn line(&mut self, level: Level, kind: Kind, text: String) {
        // What an operator asked for is written whatever else is.
        if is_logged(self.level, level) || kind == Kind::Summary {
            self.send(What::Line(level, kind, text));
        }
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
fn write_all(entries: &Receiver<Entry>, pen: &Pen, lost: &AtomicU64) {
    let mut shares = Shares::default();
    loop {
        match entries.recv_timeout(Duration::from_secs(1)) {
            Ok(entry) => {
                let second = entry.time.as_micros().div_euclid(1_000_000);
                let left_out = |kind, count| write_left_out(pen, kind, count, entry.time);
                if shares.begin(second, left_out) {
                    write_lost(pen, lost);
                }
                let said = entry.what.said();
                if shares.take(said.kind) {
                    pen.write(&said, entry.time);
                }
            }
            Err(RecvTimeoutError::Timeout) => {
                shares.end(|kind, count| write_left_out(pen, kind, count, Clock::wall()));
                write_lost(pen, lost);
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    shares.end(|kind, count| write_left_out(pen, kind, count, Clock::wall()));
    write_lost(pen, lost);
}

/// Says how many entries were lost since it was said last. Whoever takes the log takes it again, or this would not be reached.
fn write_lost(pen: &Pen, lost: &AtomicU64) {
    let count = lost.swap(0, Ordering::Relaxed);
    if count > 0 {
        let text = format!("{count} log entries were lost: whoever takes the log was too slow");
        pen.say(Level::Warn, Kind::LogLost, &text, Clock::wall());
    }
}

/// How many lines of each kind the current second had.
#[derive(Debug, Default)]
struct Shares {
    second: i64,
    lines: BTreeMap<Kind, u32>,
}

impl Shares {
    /// Ends the second before, if this is another, and says so; `left_out` hears of each kind that had more lines than its share,
    /// and how many.
    fn begin(&mut self, second: i64, left_out: impl FnMut(Kind, u32)) -> bool {
        let is_another = self.second != second;
        if is_another {
            self.end(left_out);
            self.second = second;
        }
        is_another
    }

    fn end(&mut self, mut left_out: impl FnMut(Kind, u32)) {
        for (kind, lines) in std::mem::take(&mut self.lines) {
            if lines > LINES_PER_S {
                left_out(kind, lines - LINES_PER_S);
            }
        }
    }

    /// Counts a line of this kind; whether it is within its share.
    fn take(&mut self, kind: Kind) -> bool {
        let lines = self.lines.entry(kind).or_default();
        *lines = lines.saturating_add(1);
        *lines <= LINES_PER_S
    }
}

fn write_left_out(pen: &Pen, kind: Kind, count: u32, time: WallTime) {
    let text = format!("{count} more '{}' lines within a second were left out", kind.word());
    pen.say(Level::Warn, Kind::LogLimited, &text, time);
}

/// An entry as it is written.
struct Said<'a> {
    level: Level,
    kind: Kind,
    subject: Subject<'a>,
    text: Cow<'a, str>,
}

impl What {
    fn said(&self) -> Said<'_> {
        match self {
            Self::Notice(notice) => Said {
                level: notice.level(),
                kind: Kind::of(notice),
                subject: notice.subject(),
                text: notice.to_string().into(),
            },
            Self::Line(level, kind, text) => Said {
                level: *level,
                kind: *kind,
                subject: Subject::default(),
                text: text.as_str().into(),
            },
        }
    }
}
