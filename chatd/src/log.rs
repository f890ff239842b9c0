//! The log: notices go into a bounded queue, and one thread makes tracing events of them, since a terminal or pipe can block.
//!
//! Nothing here blocks the loop: what finds the queue full is counted and said later. No message's content comes here.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use hub::{Level, Notice};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;

use crate::clock::Clock;
use crate::config::LogFormat;
use crate::turn::Log;

/// Entries that wait for a slow terminal before they are lost.
const QUEUE_ENTRIES_MAX: usize = 4096;

/// Something for the log.
enum Entry {
    Notice(Notice),
    Line(Level, &'static str, String),
    /// So many entries found the queue full.
    Lost(u64),
}

/// The loop's end of the log. Dropping it ends the thread once everything is written.
pub struct Sink {
    queue: Option<SyncSender<Entry>>,
    thread: Option<JoinHandle<()>>,
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
        let work = move || write_all(&entries, level, format);
        let thread = std::thread::Builder::new().name("log".to_owned()).spawn(work)?;
        Ok(Self { queue: Some(queue), thread: Some(thread), level, lost: 0 })
    }

    fn send(&mut self, level: Level, entry: Entry) {
        if !is_logged(self.level, level) {
            return;
        }
        if self.lost > 0 && self.try_send(Entry::Lost(self.lost)) {
            self.lost = 0;
        }
        if !self.try_send(entry) {
            self.lost += 1;
        }
    }

    fn try_send(&self, entry: Entry) -> bool {
        match self.queue.as_ref().map(|queue| queue.try_send(entry)) {
            Some(Ok(())) => true,
            Some(Err(TrySendError::Full(_) | TrySendError::Disconnected(_))) | None => false,
        }
    }
}

impl Log for Sink {
    fn notice(&mut self, notice: Notice) {
        self.send(notice.level(), Entry::Notice(notice));
    }

    fn line(&mut self, level: Level, kind: &'static str, text: String) {
        self.send(level, Entry::Line(level, kind, text));
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        drop(self.queue.take());
        if let Some(thread) = self.thread.take() {
            // A log thread that panicked has nothing more to say.
            let _ = thread.join();
        }
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
fn write_all(entries: &Receiver<Entry>, level: Level, format: LogFormat) {
    let most = match level {
        Level::Error => tracing::Level::ERROR,
        Level::Warn => tracing::Level::WARN,
        Level::Info => tracing::Level::INFO,
        Level::Debug => tracing::Level::DEBUG,
    };
    let lines = tracing_subscriber::fmt()
        .with_max_level(most)
        .with_target(false)
        .with_timer(WallClock)
        .with_writer(io::stderr);
    let guard = match format {
        LogFormat::Text => tracing::subscriber::set_default(lines.with_ansi(false).finish()),
        LogFormat::Json => {
            tracing::subscriber::set_default(lines.json().flatten_event(true).finish())
        }
    };
    for entry in entries {
        match entry {
            Entry::Notice(notice) => write_notice(&notice),
            Entry::Line(level, kind, text) => write_line(level, kind, &text),
            Entry::Lost(count) => {
                write_line(
                    Level::Warn,
                    "log_lost",
                    &format!("{count} log entries were lost: the log is too slow"),
                );
            }
        }
    }
    drop(guard);
    let _ = io::stderr().flush();
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
    let text = printable(&notice.to_string());
    let kind = notice.kind();
    let reason = match notice {
        Notice::Closed { reason, .. } => Some(reason.word()),
        Notice::Refused { reason, .. } => Some(reason.word()),
        _ => None,
    };
    let connection = notice.connection().map(hub::ConnId::as_u64);
    at_level!(notice.level(), kind, connection, reason, "{text}");
}

fn write_line(level: Level, kind: &'static str, text: &str) {
    let text = printable(text);
    at_level!(level, kind, "{text}");
}

/// The text with control characters written out, so that one entry is one line and drives no terminal.
fn printable(text: &str) -> String {
    text.chars()
        .flat_map(|c| {
            let (shown, escaped) =
                if c.is_control() { (None, Some(c.escape_default())) } else { (Some(c), None) };
            shown.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}

/// Times of log lines, as everywhere: RFC 3339 with microseconds.
struct WallClock;

impl FormatTime for WallClock {
    fn format_time(&self, writer: &mut Writer<'_>) -> std::fmt::Result {
        write!(writer, "{}", Clock::wall())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_entry_is_one_line_and_drives_no_terminal() {
        assert_eq!(printable("a\n\u{1b}[2Jb"), "a\\n\\u{1b}[2Jb");
        assert_eq!(printable("Zoë"), "Zoë");
    }

    #[test]
    fn a_full_queue_loses_entries_counts_them_and_says_so() {
        let (queue, entries) = sync_channel(2);
        let mut sink = Sink { queue: Some(queue), thread: None, level: Level::Info, lost: 0 };
        for _ in 0..5 {
            sink.line(Level::Info, "test", "text".to_owned());
        }
        assert_eq!(sink.lost, 3);
        assert!(
            matches!(entries.recv(), Ok(Entry::Line(..)))
                && matches!(entries.recv(), Ok(Entry::Line(..)))
        );
        sink.line(Level::Info, "test", "text".to_owned());
        assert!(
            matches!(entries.recv(), Ok(Entry::Lost(3)))
                && matches!(entries.recv(), Ok(Entry::Line(..)))
        );
        sink.line(Level::Debug, "test", "below the level".to_owned());
        assert!(entries.try_recv().is_err());
    }
}
