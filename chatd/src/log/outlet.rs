//! Where the log's entries go, and how they look there: decided once, in the log thread, since asking the journal may wait.

use std::fmt;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use hub::Level;
use proto::WallTime;
use tracing::Metadata;
use tracing::subscriber::{DefaultGuard, set_default};
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::FormatTime;
use tracing_subscriber::layer::SubscriberExt;

use super::escaped::Escaped;
use super::{Kind, Said, Subject, journal};
use crate::config::LogFormat;

/// How lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Style {
    /// For people.
    Text,
    /// One object a line.
    Json,
    /// For the journal by standard error: the priority first, and no time, since it has one.
    Prefixed,
}

/// Where entries go.
pub(super) enum Outlet {
    /// To standard error.
    Lines(Style),
    /// To the journal, with fields.
    Journal(tracing_journald::Layer),
}

impl Outlet {
    /// What was asked for, or what comes next to it and why. A daemon that left its terminal behind looks for a journal by itself.
    pub(super) fn choose(format: LogFormat, is_daemon: bool) -> (Self, Option<String>) {
        let is_journals = journal::stderr_is_journals();
        match format {
            LogFormat::Text => (Self::Lines(Style::Text), None),
            LogFormat::Json => (Self::Lines(Style::Json), None),
            LogFormat::Auto if !is_journals && !is_daemon => (Self::Lines(Style::Text), None),
            LogFormat::Auto | LogFormat::Journal => match journal::layer() {
                Ok(layer) => (Self::Journal(layer), None),
                // Nobody asked for one.
                Err(_) if format == LogFormat::Auto && !is_journals => {
                    (Self::Lines(Style::Text), None)
                }
                Err(error) => {
                    let style = if is_journals { Style::Prefixed } else { Style::Text };
                    let text =
                        format!("cannot reach the journal: {error}; logging to standard error");
                    (Self::Lines(style), Some(text))
                }
            },
        }
    }

    /// Makes this thread's events go there; `to` is standard error.
    pub(super) fn open<W: Write + 'static>(
        self,
        to: impl Fn() -> W + Send + Sync + 'static,
    ) -> Pen {
        let time = EntryTime(Arc::new(AtomicI64::new(0)));
        let (guard, is_journal) = match self {
            Self::Lines(style) => (lines(style, time.clone(), to), false),
            Self::Journal(layer) => (set_default(tracing_subscriber::registry().with(layer)), true),
        };
        Pen { time, is_journal, _guard: guard }
    }
}

fn lines<W: Write + 'static>(
    style: Style,
    time: EntryTime,
    to: impl Fn() -> W + Send + Sync + 'static,
) -> DefaultGuard {
    let lines = tracing_subscriber::fmt()
        // The sink decides what comes here. What was lost or left out is said at any level.
        .with_max_level(tracing::Level::DEBUG)
        .with_target(false)
        .with_timer(time)
        // What cannot be written to standard error cannot be complained about there either.
        .log_internal_errors(false)
        .with_writer(Lines { style, to });
    match style {
        Style::Text => set_default(lines.with_ansi(false).finish()),
        Style::Prefixed => {
            set_default(lines.with_ansi(false).without_time().with_level(false).finish())
        }
        Style::Json => set_default(lines.json().flatten_event(true).finish()),
    }
}

/// Writes entries. There is one, in the log thread.
pub(super) struct Pen {
    time: EntryTime,
    is_journal: bool,
    _guard: DefaultGuard,
}

impl Pen {
    /// Writes what was said then.
    pub(super) fn write(&self, said: &Said<'_>, time: WallTime) {
        if self.is_journal {
            return journal::write(said, time);
        }
        self.time.set(time);
        let Said { level, kind, subject, text } = said;
        let kind = kind.word();
        let Subject { connection, peer, nick, room, reason } = subject;
        let connection = connection.map(hub::ConnId::as_u64);
        let (nick, room) = (nick.map(proto::Nick::as_str), room.map(proto::RoomName::as_str));
        at_level!(*level, kind, connection, peer, nick, room, reason, "{text}");
    }

    /// Writes a line that the log itself has to say.
    pub(super) fn say(&self, level: Level, kind: Kind, text: &str, time: WallTime) {
        self.write(&Said { level, kind, subject: Subject::default(), text: text.into() }, time);
    }
}

/// Makes the writer of each entry.
struct Lines<F> {
    style: Style,
    to: F,
}

impl<'a, W: Write + 'static, F: Fn() -> W> MakeWriter<'a> for Lines<F> {
    type Writer = Escaped<W>;

    fn make_writer(&'a self) -> Escaped<W> {
        Escaped::new((self.to)(), self.style, "")
    }

    fn make_writer_for(&'a self, entry: &Metadata<'_>) -> Escaped<W> {
        let prefix = match self.style {
            Style::Prefixed => priority(*entry.level()),
            Style::Text | Style::Json => "",
        };
        Escaped::new((self.to)(), self.style, prefix)
    }
}

/// How a line begins for the journal, see sd-daemon(3).
fn priority(level: tracing::Level) -> &'static str {
    match level {
        tracing::Level::ERROR => "<3>",
        tracing::Level::WARN => "<4>",
        tracing::Level::INFO => "<6>",
        tracing::Level::DEBUG | tracing::Level::TRACE => "<7>",
    }
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
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        write!(writer, "{}", WallTime::from_micros(self.0.load(Ordering::Relaxed)))
    }
}
