//! `chatctl status`: how the daemon is doing, for people in groups of lines, with `--json` as it was told.
//!
//! What an older daemon does not tell is left out, and what a newer one tells beyond that comes last, by its name.

use crate::ask::Context;
use crate::client::Fields;
use crate::failure::Failure;
use crate::look::bytes_shown;
use crate::moments;
use crate::visible;
use serde_json::Value;

/// How wide the names of the lines are.
const NAMES: usize = 22;

/// What the daemon counts, and its greeting, as `stats` and `hello` answer.
pub fn asked(context: &mut Context) -> Result<(Fields, Fields), Failure> {
    let mut client = context.connect()?;
    let hello = context.greet(&mut client)?;
    let reply = context.ask(&mut client, "stats", Fields::new(), &mut |_| Ok(()))?;
    let stats = reply.get("stats").and_then(Value::as_object).cloned().unwrap_or_default();
    Ok((hello, stats))
}

/// `chatctl status`.
pub fn status(context: &mut Context) -> Result<(), Failure> {
    let (hello, mut stats) = asked(context)?;
    if context.voice.is_json() {
        if let Some(history) = hello.get("history") {
            stats.insert("history".to_owned(), history.clone());
        }
        context.voice.object(&Value::Object(stats).to_string())?;
        return context.voice.flush();
    }
    for line in lines(&context.server.to_string(), &hello, stats) {
        context.voice.line(&line)?;
    }
    context.voice.flush()
}

/// The statistics that were not told yet, and the lines that were made of them.
struct Report {
    stats: Fields,
    lines: Vec<String>,
}

impl Report {
    fn line(&mut self, name: &str, text: &str) {
        self.lines.push(format!("{name:NAMES$} {}", visible::line(text)));
    }

    /// Begins another group of lines.
    fn group(&mut self) {
        if self.lines.last().is_some_and(|line| !line.is_empty()) {
            self.lines.push(String::new());
        }
    }

    fn number(&mut self, name: &str) -> Option<u64> {
        self.stats.remove(name)?.as_u64()
    }

    fn text(&mut self, name: &str) -> Option<String> {
        Some(self.stats.remove(name)?.as_str()?.to_owned())
    }

    fn object(&mut self, name: &str) -> Option<Fields> {
        match self.stats.remove(name)? {
            Value::Object(fields) => Some(fields),
            _ => None,
        }
    }

    /// Those of these that were told, each with its words behind it.
    fn parts(&mut self, names: &[(&str, &str)]) -> Vec<String> {
        let told = names.iter().filter_map(|(name, words)| {
            self.number(name).map(|number| format!("{number} {words}"))
        });
        told.collect()
    }
}

fn lines(address: &str, hello: &Fields, stats: Fields) -> Vec<String> {
    let mut report = Report { stats, lines: Vec::new() };
    daemon(&mut report, address, hello);
    report.group();
    traffic(&mut report);
    report.group();
    memory(&mut report);
    report.group();
    store(&mut report);
    report.group();
    turns(&mut report);
    report.group();
    rest(&mut report);
    while report.lines.last().is_some_and(String::is_empty) {
        report.lines.pop();
    }
    report.lines
}

/// What it is, where it is, since when.
fn daemon(report: &mut Report, address: &str, hello: &Fields) {
    let (server, version) = (report.text("server"), report.text("version"));
    if let (Some(server), Some(version)) = (server, version) {
        report.line("server", &format!("{server}, chatd {version}"));
    }
    report.line("address", address);
    let process = report.object("process").unwrap_or_default();
    if let Some(millis) = report.number("uptime_ms") {
        let up = moments::span_shown((millis / 1_000).max(1) * 1_000_000);
        let pid = process.get("pid").and_then(Value::as_u64);
        let pid = pid.map_or(String::new(), |pid| format!(", process {pid}"));
        report.line("uptime", &format!("{up}{pid}"));
    }
    let listeners = process.get("listeners").and_then(Value::as_array);
    for listener in listeners.into_iter().flatten().filter_map(Value::as_str) {
        report.line("listens on", listener);
    }
    for name in ["durability", "history"] {
        if let Some(text) = hello.get(name).and_then(Value::as_str) {
            report.line(name, text);
        }
    }
}

/// Who is there, and what is said.
fn traffic(report: &mut Report) {
    let kinds = report.parts(&[
        ("connections_native", "v0.5"),
        ("connections_v1", "v1"),
        ("connections_control", "control"),
        ("connections_websocket", "websocket"),
        ("connections_http", "http"),
        ("connections_events", "events"),
        ("connections_undecided", "undecided"),
    ]);
    if !kinds.is_empty() {
        let sum: u64 =
            kinds.iter().filter_map(|kind| kind.split(' ').next()?.parse::<u64>().ok()).sum();
        let most =
            report.number("connections_max").map_or(String::new(), |most| format!(" of {most}"));
        report.line("connections", &format!("{sum}{most}: {}", kinds.join(", ")));
    }
    let since = report.parts(&[
        ("accepted", "accepted"),
        ("cut_slow", "cut for being slow"),
        ("gaps", "gaps told"),
    ]);
    if !since.is_empty() {
        report.line("since the start", &since.join(", "));
    }
    if let Some(rooms) = report.number("rooms") {
        report.line("rooms", &rooms.to_string());
    }
    let talks = report.parts(&[("talks_open", "open"), ("talks_waiting", "waiting")]);
    if !talks.is_empty() {
        report.line("talks", &talks.join(", "));
    }
    let recent = report.stats.get("recent").and_then(Value::as_object).cloned().unwrap_or_default();
    for name in ["messages", "deliveries"] {
        if let Some(sum) = report.number(name) {
            let rate = rate(&recent, name).map_or(String::new(), |rate| format!("{rate}, "));
            report.line(name, &format!("{rate}{sum} since the start"));
        }
    }
    let encoded = report.parts(&[("encoded_v05", "times for v0.5"), ("encoded_v1", "for v1")]);
    if !encoded.is_empty() {
        report.line("encoded", &encoded.join(", "));
    }
    if let (Some(into), Some(out)) = (report.number("bytes_in"), report.number("bytes_out")) {
        report.line("bytes", &format!("{} in, {} out", bytes_shown(into), bytes_shown(out)));
    }
}

/// How many a second there were in the last minute.
fn rate(recent: &Fields, name: &str) -> Option<String> {
    let count = recent.get(name)?.as_u64()?;
    let millis = recent.get("ms")?.as_u64()?.max(1);
    let tenths = count.saturating_mul(10_000) / millis;
    Some(match tenths {
        0..1_000 => format!("{}.{}/s", tenths / 10, tenths % 10),
        _ => format!("{}/s", tenths / 10),
    })
}

/// What is held for whom.
fn memory(report: &mut Report) {
    let blocks = report.number("blocks");
    if let (Some(bytes), Some(private)) =
        (report.number("block_bytes"), report.number("private_bytes"))
    {
        let blocks = blocks.map_or(String::new(), |blocks| format!(" in {blocks} blocks"));
        let most = report.number("store_bytes_max");
        let most = most.map_or(String::new(), |most| format!(", of {}", bytes_shown(most)));
        let (bytes, private) = (bytes_shown(bytes), bytes_shown(private));
        report.line("waits to be written", &format!("{bytes}{blocks}, {private} private{most}"));
    }
    for (name, shown) in [("kept_bytes", "unfinished frames"), ("recent_bytes", "recent messages")]
    {
        if let Some(bytes) = report.number(name) {
            report.line(shown, &bytes_shown(bytes));
        }
    }
}

/// How the history on disk goes; nothing where messages are in memory only.
fn store(report: &mut Report) {
    let Some(store) = report.object("store") else { return };
    let number = |name: &str| store.get(name).and_then(Value::as_u64);
    let state = match store.get("state").and_then(Value::as_str) {
        None | Some("none") => return,
        Some("full") => "full: its disk is, and posts are refused".to_owned(),
        Some("broken") => "broken: it cannot be written, and posts are refused".to_owned(),
        Some(state) => visible::line(state),
    };
    report.line("store", &state);
    if let (Some(database), Some(free)) = (number("database_bytes"), number("free_bytes")) {
        let (database, free) = (bytes_shown(database), bytes_shown(free));
        report.line("on disk", &format!("{database}, {free} free"));
    }
    if let (Some(p50), Some(p99)) = (number("commit_p50_us"), number("commit_p99_us")) {
        let (p50, p99) = (moments::span_shown(p50), moments::span_shown(p99));
        report.line("latest commits", &format!("half within {p50}, 99 % within {p99}"));
    }
    if let (Some(messages), Some(bytes)) = (number("queue_messages"), number("queue_bytes")) {
        report.line("waits to be stored", &format!("{messages} messages, {}", bytes_shown(bytes)));
    }
}

/// How long turns of the loop take.
fn turns(report: &mut Report) {
    if let Some(line) = report.object("recent").and_then(|recent| turns_shown(&recent)) {
        report.line("turns, last minute", &line);
    }
    let names = ["turns", "turn_p50_us", "turn_p99_us", "turn_longest_us"];
    let since: Fields = names.iter().filter_map(|name| report.stats.remove_entry(*name)).collect();
    if let Some(line) = turns_shown(&since) {
        report.line("turns, since the start", &line);
    }
}

fn turns_shown(fields: &Fields) -> Option<String> {
    let number = |name: &str| fields.get(name).and_then(Value::as_u64);
    let span = |name: &str| number(name).map(moments::span_shown);
    match number("turns")? {
        0 => Some("none".to_owned()),
        turns => Some(format!(
            "{turns}; half within {}, 99 % within {}, the longest {}",
            span("turn_p50_us")?,
            span("turn_p99_us")?,
            span("turn_longest_us")?
        )),
    }
}

/// Which limits were hit, by whom; and what else there is.
fn rest(report: &mut Report) {
    let stats = std::mem::take(&mut report.stats);
    for (name, value) in &stats {
        let is_hits = name.starts_with("paused_") || name.starts_with("refused_");
        if name == "who" || value.is_null() || (is_hits && *value == 0) {
            continue;
        }
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        report.line(&visible::line(&name.replace('_', " ")), &value);
    }
    for hit in stats.get("who").and_then(Value::as_array).into_iter().flatten() {
        let (name, text) = hit_shown(hit);
        report.line(&name, &text);
    }
}

/// Somebody who ran into a limit lately, and which.
fn hit_shown(hit: &Value) -> (String, String) {
    let text = |field: &str| visible::line(hit[field].as_str().unwrap_or("?"));
    let number = |field: &str| hit[field].as_u64().unwrap_or(0);
    let times = match number("times") {
        1 => "once".to_owned(),
        times => format!("{times} times"),
    };
    let ago = match number("ago_ms") {
        0 => "just now".to_owned(),
        millis => format!("{} ago", moments::span_shown(millis.saturating_mul(1_000))),
    };
    (format!("hit {}", text("limit").replace('_', " ")), format!("{}, {times}, {ago}", text("who")))
}

#[cfg(test)]
mod tests {
    use super::{hit_shown, lines, rate};
    use crate::client::Fields;
    use serde_json::{Value, json};

    fn fields(value: &Value) -> Fields {
        value.as_object().expect("an object").clone()
    }

    #[test]
    fn a_whole_status_reads_in_groups() {
        let hello = fields(&json!({"durability": "memory", "history": "h"}));
        let mut stats = fields(&json!({
            "server": "here", "version": "1.2", "uptime_ms": 90_061_000,
            "connections_native": 2, "connections_v1": 1, "connections_control": 1, "connections_undecided": 0,
            "connections_max": 960, "accepted": 9, "cut_slow": 1, "gaps": 2, "rooms": 3, "messages": 1000,
            "deliveries": 70_000, "encoded_v05": 5, "encoded_v1": 6, "turns": 9, "turn_p50_us": 60,
            "turn_p99_us": 400, "turn_longest_us": 3_100, "bytes_in": 10, "bytes_out": 20_480,
            "recent": {"ms": 50_000, "messages": 12, "deliveries": 60_000, "turns": 0, "turn_p50_us": 0,
                       "turn_p99_us": 0, "turn_longest_us": 0},
            "blocks": 3, "block_bytes": 65_536, "private_bytes": 12, "store_bytes_max": 134_217_728,
            "kept_bytes": 1, "recent_bytes": 2, "paused_bytes": 0, "refused_rooms": 4, "newer": "x",
            "who": [{"limit": "bytes", "who": "Ada", "times": 2, "ago_ms": 3_000}],
            "process": {"pid": 7, "descriptors_max": 1024, "listeners": ["127.0.0.1:1", "[::1]:2"]},
        }));
        let store = json!({"state": "well", "queue_messages": 3, "queue_bytes": 2_048, "commit_p50_us": 900,
                           "commit_p99_us": 4_100, "database_bytes": 20_971_520, "free_bytes": 21_474_836_480_u64});
        stats.insert("store".to_owned(), store);
        let expected = "\
server                 here, chatd 1.2
address                /run/x
uptime                 1d 1h, process 7
listens on             127.0.0.1:1
listens on             [::1]:2
durability             memory
history                h

connections            4 of 960: 2 v0.5, 1 v1, 1 control, 0 undecided
since the start        9 accepted, 1 cut for being slow, 2 gaps told
rooms                  3
messages               0.2/s, 1000 since the start
deliveries             1200/s, 70000 since the start
encoded                5 times for v0.5, 6 for v1
bytes                  10 B in, 20 KiB out

waits to be written    64 KiB in 3 blocks, 12 B private, of 128 MiB
unfinished frames      1 B
recent messages        2 B

store                  well
on disk                20 MiB, 20 GiB free
latest commits         half within 900 us, 99 % within 4.1 ms
waits to be stored     3 messages, 2048 B

turns, last minute     none
turns, since the start 9; half within 60 us, 99 % within 400 us, the longest 3.1 ms

newer                  x
refused rooms          4
hit bytes              Ada, 2 times, 3 s ago";
        assert_eq!(lines("/run/x", &hello, stats).join("\n"), expected);
    }

    #[test]
    fn what_a_daemon_does_not_tell_is_left_out() {
        let said = lines("/run/x", &Fields::new(), fields(&json!({"rooms": 2, "messages": 3})));
        let expected = [
            "address                /run/x",
            "",
            "rooms                  2",
            "messages               3 since the start",
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_rate_has_a_digit_more_where_it_is_small() {
        let recent = |ms: u64, messages: u64| fields(&json!({"ms": ms, "messages": messages}));
        assert_eq!(rate(&recent(50_000, 1), "messages").as_deref(), Some("0.0/s"));
        assert_eq!(rate(&recent(50_000, 4_999), "messages").as_deref(), Some("99.9/s"));
        assert_eq!(rate(&recent(50_000, 5_000), "messages").as_deref(), Some("100/s"));
        assert_eq!(rate(&recent(0, 0), "messages").as_deref(), Some("0.0/s"));
        assert_eq!(rate(&recent(1, 1), "deliveries"), None);
    }

    #[test]
    fn who_hits_a_limit_is_one_line_whatever_the_name() {
        let hit = json!({"limit": "accept_rate", "who": "192.0.2.1", "times": 7, "ago_ms": 2_500});
        let (name, text) = hit_shown(&hit);
        assert_eq!((&*name, &*text), ("hit accept rate", "192.0.2.1, 7 times, 2.5 s ago"));
        let hit = json!({"limit": "fanout", "who": "a\u{1b}[2J\nb", "times": 1, "ago_ms": 1});
        assert!(!hit_shown(&hit).1.contains(['\u{1b}', '\n']));
    }
}
