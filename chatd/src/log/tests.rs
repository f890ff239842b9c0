//! What the log makes of its entries: lines, shares, losses.

use std::sync::Mutex;

use proto::{Nick, RoomName};

use super::outlet::Style;
use super::*;

/// A sink without a thread, and what it would write.
fn sink(level: Level, queue_max: usize) -> (Sink, Receiver<Entry>) {
    let (queue, entries) = sync_channel(queue_max);
    let (_, ended) = sync_channel(0);
    (Sink { queue: Some(queue), ended, level, lost: Arc::default() }, entries)
}

#[test]
fn a_full_queue_loses_entries_counts_them_and_says_so_when_it_goes_on() {
    let (mut sink, entries) = sink(Level::Info, 2);
    for _ in 0..5 {
        sink.line(Level::Info, Kind::Capacity, "text".to_owned());
    }
    let lost = Arc::clone(&sink.lost);
    assert_eq!(lost.load(Ordering::Relaxed), 3);
    drop(sink);
    let log = log_of(Style::Text, |pen| write_all(&entries, pen, &lost));
    assert_eq!(log.lines().count(), 3, "{log}");
    let line = log.lines().find(|line| line.contains("kind=\"log_lost\"")).unwrap();
    assert!(line.contains("3 log entries were lost"), "{line}");
    assert_eq!(lost.load(Ordering::Relaxed), 0, "said once");
}

#[test]
fn what_is_below_the_level_is_not_written_unless_somebody_asked_for_it() {
    let (mut sink, entries) = sink(Level::Info, 2);
    let next = || entries.try_recv().map(|entry| entry.what);
    sink.line(Level::Debug, Kind::Capacity, "below the level".to_owned());
    assert!(next().is_err());
    sink.set_level(Level::Debug);
    sink.line(Level::Debug, Kind::Capacity, "text".to_owned());
    assert!(matches!(next(), Ok(What::Line(Level::Debug, ..))));
    sink.set_level(Level::Error);
    sink.line(Level::Warn, Kind::Capacity, "below the level".to_owned());
    assert!(next().is_err());
    sink.line(Level::Info, Kind::Summary, "asked for".to_owned());
    assert!(matches!(next(), Ok(What::Line(_, Kind::Summary, _))));
}

#[test]
fn a_kind_has_so_many_lines_a_second_and_the_rest_is_counted() {
    let mut shares = Shares::default();
    let mut said = Vec::new();
    shares.begin(7, |kind, count| said.push((kind, count)));
    let written = (0..250).filter(|_| shares.take(Kind::Closed)).count();
    assert_eq!(written, 100);
    assert!(shares.take(Kind::Draining), "another kind has a share of its own");
    shares.begin(7, |kind, count| said.push((kind, count)));
    assert!(!shares.take(Kind::Closed), "it is the same second");
    shares.begin(8, |kind, count| said.push((kind, count)));
    assert!(shares.take(Kind::Closed), "another second, another share");
    shares.end(|kind, count| said.push((kind, count)));
    assert_eq!(said, [(Kind::Closed, 151)]);
}

/// The text of a sink that is written to as standard error is.
fn written(style: Style, whats: impl IntoIterator<Item = What>) -> String {
    let (queue, entries) = sync_channel(QUEUE_ENTRIES_MAX);
    for what in whats {
        queue.send(Entry { time: WallTime::from_micros(0), what }).unwrap();
    }
    drop(queue);
    log_of(style, |pen| write_all(&entries, pen, &AtomicU64::new(0)))
}

/// What a pen writes as lines.
fn log_of(style: Style, write: impl FnOnce(&Pen)) -> String {
    let out = Arc::new(Mutex::new(Vec::new()));
    let shared = Shared(Arc::clone(&out));
    write(&Outlet::Lines(style).open(move || shared.clone()));
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
pub(super) const EVIL: &str = "x\n1970-01-01T00:00:00.000000Z ERROR forged\r\u{1b}[2J\u{9b}2J\u{202e}txt\u{2066}\u{200b}\u{7f}\0";

/// One notice of each kind, two where the level depends.
pub(super) fn notices() -> Vec<Notice> {
    let id = hub::ConnId::from_u64(7);
    let nick = Nick::parse_in("Ada", proto::Charset::Ascii).unwrap();
    let by = nick.clone();
    let closed = |reason| Notice::Closed {
        id,
        address: "192.0.2.1:1".into(),
        nick: Some(nick.clone()),
        reason,
    };
    vec![
        Notice::Accepted { id, address: "192.0.2.1:1".into() },
        Notice::Refused { address: "192.0.2.1:1".into(), reason: hub::RefusalReason::Banned },
        Notice::Decided { id, protocol: proto::Protocol::Native },
        Notice::Named { id, nick: nick.clone() },
        Notice::Paused { id },
        Notice::Skipped { id, bytes: 1 },
        Notice::MemoryPressure { bytes: 2, limit: 1 },
        Notice::StoreRefused { room: RoomName::parse("lobby").unwrap(), seq: proto::Seq(1) },
        Notice::Administered { id, by: by.clone(), what: "kicked Eve".into() },
        Notice::Forbidden { id, by: by.clone(), request: "kick" },
        Notice::StopAsked { id, by },
        Notice::Draining { connections: 1 },
        closed(hub::CloseReason::PeerClosed),
        closed(hub::CloseReason::Idle),
        closed(hub::CloseReason::Stall),
    ]
}

#[test]
fn the_table_knows_the_word_the_level_and_the_fields_of_each_notice() {
    for notice in notices() {
        let row = Kind::of(&notice).row();
        assert_eq!(row.word, notice.kind());
        let level = format!("{:?}", notice.level()).to_lowercase();
        assert!(row.level.split(", ").any(|known| known == level), "{notice:?}: {row:?}");
        let Subject { connection, peer, nick, room, reason } = notice.subject();
        let there = [
            ("connection", connection.is_some()),
            ("peer", peer.is_some()),
            ("nick", nick.is_some()),
            ("room", room.is_some()),
            ("reason", reason.is_some()),
        ];
        for (field, is_there) in there {
            assert_eq!(row.fields.contains(&field), is_there, "{field} of {notice:?}");
        }
    }
}

/// Notices and lines with hostile text wherever text can be.
pub(super) fn hostile() -> Vec<What> {
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
    whats.push(What::Line(Level::Warn, Kind::Forbidden, EVIL.to_owned()));
    whats
}

#[test]
fn hostile_text_in_any_field_is_escaped_and_one_entry_is_one_line() {
    for style in [Style::Text, Style::Json] {
        let log = written(style, hostile());
        assert_eq!(log.lines().count(), hostile().len(), "{log}");
        for line in log.lines() {
            assert!(line.chars().all(proto::is_printable), "{line:?}");
            let begins = if style == Style::Json { "{\"timestamp\"" } else { "1970" };
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
    let log = written(Style::Json, hostile());
    let mut lines =
        log.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    assert_eq!(lines.next().unwrap()["peer"], EVIL);
    assert_eq!(lines.next_back().unwrap()["message"], EVIL);
}

/// sd-daemon(3): each line begins with its priority, and nothing that a stranger says makes another line or priority.
#[test]
fn a_line_for_the_journal_begins_with_its_priority() {
    let log = written(Style::Prefixed, hostile());
    let begins: Vec<&str> = log.lines().map(|line| &line[..3]).collect();
    assert_eq!(begins, ["<7>", "<4>", "<7>", "<6>", "<6>", "<4>"]);
    assert!(log.lines().all(|line| line.chars().all(proto::is_printable)), "{log}");
    assert!(log.starts_with("<7>connected from x\\n1970"), "{log}");
    assert!(!log.contains("INFO"), "the priority says it: {log}");
}
