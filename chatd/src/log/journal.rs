//! The journal: whether the log goes there, and one entry as fields of it.
//!
//! Entries go to the journal's own socket, which blocks while the journal takes nothing, so that only the log thread comes here.
//! What peers said is escaped as in the other formats: journalctl shows an entry as one line, and it drives no terminal.

use std::borrow::Cow;
use std::ffi::OsStr;
use std::io;
use std::os::fd::AsFd;

use nix::sys::stat::fstat;
use proto::WallTime;
use tracing_journald::{Layer, Priority, PriorityMappings};

use super::escaped::escaped;
use super::outlet::Style;
use super::{Said, Subject};

/// Where systemd says which stream is the journal's: `DEVICE:INODE`, see systemd.exec(5).
const STREAM: &str = "JOURNAL_STREAM";

/// Whether standard error is the journal's, so that a line there may begin with its priority, see sd-daemon(3).
pub fn stderr_is_journals() -> bool {
    is_stream(io::stderr(), std::env::var_os(STREAM).as_deref())
}

/// Whether an open file is the stream that the variable names. The variable alone says nothing: a program that the service starts
/// inherits it, whatever its standard error is.
fn is_stream(file: impl AsFd, variable: Option<&OsStr>) -> bool {
    let Ok(stat) = fstat(file) else { return false };
    let parts = variable.and_then(OsStr::to_str).and_then(|text| text.split_once(':'));
    parts.is_some_and(|(device, inode)| {
        device.parse() == Ok(stat.st_dev) && inode.parse() == Ok(stat.st_ino)
    })
}

/// The way to the journal. It waits while the journal takes nothing.
///
/// # Errors
/// There is no journal, or it may not be reached from here.
pub(super) fn layer() -> io::Result<Layer> {
    // As <syslog.h> has them, and as the priorities of lines are.
    let priorities = PriorityMappings {
        info: Priority::Informational,
        debug: Priority::Debug,
        ..PriorityMappings::new()
    };
    let layer = Layer::new()?.with_field_prefix(None).with_syslog_identifier("chatd".to_owned());
    Ok(layer.with_priority_mappings(priorities))
}

/// One entry. The journal has a time of its own for it, which is later where the journal was late.
pub(super) fn write(said: &Said<'_>, time: WallTime) {
    let Said { level, kind, subject, text } = said;
    let row = kind.row();
    let (id, word, time) = (row.message_id, row.word, time.to_string());
    let Subject { connection, peer, nick, room, reason } = subject;
    let connection = connection.map(hub::ConnId::as_u64);
    let (peer, nick) = (peer.map(shown), nick.map(|nick| shown(nick.as_str())));
    let room = room.map(|room| shown(room.as_str()));
    let text = match connection {
        Some(connection) => Cow::Owned(format!("connection {connection}: {text}")),
        None => Cow::Borrowed(&**text),
    };
    at_level!(
        *level,
        MESSAGE_ID = id,
        CHATD_KIND = word,
        CHATD_TIME = time,
        CHATD_CONNECTION = connection,
        CHATD_PEER = peer.as_deref(),
        CHATD_NICK = nick.as_deref(),
        CHATD_ROOM = room.as_deref(),
        CHATD_REASON = reason,
        "{}",
        shown(&text)
    );
}

fn shown(text: &str) -> Cow<'_, str> {
    escaped(text, Style::Text)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::ffi::OsString;
    use std::fmt::Debug;
    use std::sync::{Arc, Mutex};

    use tracing::field::{Field, Visit};
    use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

    use super::super::tests::{EVIL, hostile, notices};
    use super::super::{Kind, What};
    use super::*;

    #[test]
    fn the_journals_stream_is_told_by_device_and_inode() {
        let (reader, _writer) = io::pipe().unwrap();
        let stat = fstat(&reader).unwrap();
        let is = |text: &str| is_stream(&reader, Some(&OsString::from(text)));
        assert!(is(&format!("{}:{}", stat.st_dev, stat.st_ino)));
        assert!(!is(&format!("{}:{}", stat.st_dev, stat.st_ino + 1)), "inherited by another");
        for text in ["", ":", "1", "a:b", "-1:-1", "99999999999999999999:1"] {
            assert!(!is(text), "{text}");
        }
        assert!(!is_stream(&reader, None));
    }

    /// Stands in for the journal: the fields of one entry after the other.
    #[derive(Clone, Default)]
    struct Reader(Arc<Mutex<Vec<BTreeMap<&'static str, String>>>>);

    impl<S: tracing::Subscriber> Layer<S> for Reader {
        fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
            let mut fields = Fields::default();
            event.record(&mut fields);
            self.0.lock().unwrap().push(fields.0);
        }
    }

    #[derive(Default)]
    struct Fields(BTreeMap<&'static str, String>);

    impl Visit for Fields {
        fn record_str(&mut self, field: &Field, value: &str) {
            self.0.insert(field.name(), value.to_owned());
        }

        fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
            self.0.insert(field.name(), format!("{value:?}"));
        }
    }

    /// The entries that are made of these.
    fn entries(whats: impl IntoIterator<Item = What>) -> Vec<BTreeMap<&'static str, String>> {
        let reader = Reader::default();
        let subscriber = tracing_subscriber::registry().with(reader.clone());
        tracing::subscriber::with_default(subscriber, || {
            for what in whats {
                write(&what.said(), WallTime::from_micros(0));
            }
        });
        std::mem::take(&mut *reader.0.lock().unwrap())
    }

    #[test]
    fn an_entry_has_its_kinds_id_and_the_fields_of_its_row() {
        for (entry, notice) in
            entries(notices().into_iter().map(What::Notice)).iter().zip(notices())
        {
            let row = Kind::of(&notice).row();
            assert_eq!(entry["MESSAGE_ID"], row.message_id);
            assert_eq!(entry["CHATD_KIND"], row.word);
            assert_eq!(entry["CHATD_TIME"], "1970-01-01T00:00:00.000000Z");
            let mut names: Vec<String> =
                row.fields.iter().map(|field| format!("CHATD_{}", field.to_uppercase())).collect();
            names.extend(["MESSAGE_ID", "CHATD_KIND", "CHATD_TIME", "message"].map(str::to_owned));
            names.sort();
            assert_eq!(entry.keys().copied().collect::<Vec<_>>(), names, "{notice:?}");
        }
    }

    #[test]
    fn hostile_text_in_any_field_of_an_entry_is_escaped() {
        let evil = shown(EVIL);
        let entries = entries(hostile());
        assert_eq!(entries.len(), hostile().len());
        for entry in &entries {
            assert!(
                entry.values().flat_map(|value| value.chars()).all(proto::is_printable),
                "{entry:?}"
            );
        }
        assert_eq!(entries[0]["CHATD_PEER"], evil);
        assert_eq!(entries[0]["message"], format!("connection 7: connected from {evil}"));
    }
}
