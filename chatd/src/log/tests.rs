//! What the log makes of its entries: lines, shares, losses.

use std::sync::Mutex;

use super::*;

#[test]
fn a_full_queue_loses_entries_counts_them_and_says_so() {
    let (queue, entries) = sync_channel(2);
    let (_, ended) = sync_channel(0);
    let mut sink = Sink { queue: Some(queue), ended, level: Level::Info, lost: 0 };
    for _ in 0..5 {
        sink.line(Level::Info, "test", "text".to_owned());
    }
    assert_eq!(sink.lost, 3);
    let next = || entries.try_recv().map(|entry| entry.what);
    assert!(matches!(next(), Ok(What::Line(..))) && matches!(next(), Ok(What::Line(..))));
    sink.line(Level::Info, "test", "text".to_owned());
    assert!(matches!(next(), Ok(What::Lost(3))) && matches!(next(), Ok(What::Line(..))));
    sink.line(Level::Debug, "test", "below the level".to_owned());
    assert!(next().is_err());
    sink.set_level(Level::Debug);
    sink.line(Level::Debug, "test", "text".to_owned());
    assert!(matches!(next(), Ok(What::Line(Level::Debug, ..))));
    sink.set_level(Level::Error);
    sink.line(Level::Warn, "test", "below the level".to_owned());
    assert!(next().is_err());
}

#[test]
fn a_kind_has_so_many_lines_a_second_and_the_rest_is_counted() {
    let mut shares = Shares::default();
    let mut said = Vec::new();
    shares.begin(7, |kind, count| said.push((kind, count)));
    let written = (0..250).filter(|_| shares.take("closed")).count();
    assert_eq!(written, 100);
    assert!(shares.take("draining"), "another kind has a share of its own");
    shares.begin(7, |kind, count| said.push((kind, count)));
    assert!(!shares.take("closed"), "it is the same second");
    shares.begin(8, |kind, count| said.push((kind, count)));
    assert!(shares.take("closed"), "another second, another share");
    shares.end(|kind, count| said.push((kind, count)));
    assert_eq!(said, [("closed", 151)]);
}

/// The text of a sink that is written to as standard error is.
fn written(format: LogFormat, whats: impl IntoIterator<Item = What>) -> String {
    let (queue, entries) = sync_channel(QUEUE_ENTRIES_MAX);
    for what in whats {
        queue.send(Entry { time: WallTime::from_micros(0), what }).unwrap();
    }
    drop(queue);
    let out = Arc::new(Mutex::new(Vec::new()));
    let shared = Shared(Arc::clone(&out));
    write_all(&entries, format, move || shared.clone());
    String::from_utf8(out.lock().unwrap().clone()).unwrap()
}

#[derive(Clone)]
struct Shared(Arc<Mutex<Vec<u8>>>);

impl Write for Shared {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// What a stranger would write into a log: a forged line, a cleared screen by both kinds of escapes, text turned around.
const EVIL: &str = "x\n1970-01-01T00:00:00.000000Z ERROR forged\r\u{1b}[2J\u{9b}2J\u{202e}txt\u{2066}\u{200b}\u{7f}\0";

/// Notices and lines with hostile text wherever text can be.
fn hostile() -> Vec<What> {
    let id = hub::ConnId::from_u64(7);
    // The type keeps the worst of it out of a nickname; what is left is written as it is.
    let nick = Nick::parse_in("\u{5d0}\u{5d1}", proto::Charset::Unicode).unwrap();
    let notices = [
        Notice::Accepted { id, address: EVIL.into() },
        Notice::Refused { address: EVIL.into(), reason: hub::RefusalReason::Banned },
        Notice::Named { id, nick: nick.clone() },
        Notice::Administered { id, by: nick.clone(), what: format!("kicked Eve: {EVIL}").into() },
        Notice::Closed {
            id,
            address: EVIL.into(),
            nick: Some(nick),
            reason: hub::CloseReason::Idle,
        },
    ];
    let mut whats: Vec<What> = notices.into_iter().map(What::Notice).collect();
    whats.push(What::Line(Level::Warn, "forbidden", EVIL.to_owned()));
    whats
}

#[test]
fn hostile_text_in_any_field_is_escaped_and_one_entry_is_one_line() {
    for format in [LogFormat::Text, LogFormat::Json] {
        let log = written(format, hostile());
        assert_eq!(log.lines().count(), hostile().len(), "{log}");
        for line in log.lines() {
            assert!(line.chars().all(proto::is_printable), "{line:?}");
            let begins = if format == LogFormat::Json { "{\"timestamp\"" } else { "1970" };
            assert!(
                line.starts_with(begins) && !line.starts_with("1970-01-01T00:00:00.000000Z ERROR")
            );
        }
        assert!(log.ends_with('\n') && log.contains("forged") && log.contains("\u{5d0}\u{5d1}"));
    }
}

/// Escaping changes how a field is written and not what it says.
#[test]
fn a_json_line_says_what_the_field_was() {
    let log = written(LogFormat::Json, hostile());
    let mut lines =
        log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(lines.next().unwrap()["peer"], EVIL);
    assert_eq!(lines.next_back().unwrap()["message"], EVIL);
}
