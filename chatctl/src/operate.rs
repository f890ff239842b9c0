//! The commands of those who look after a daemon: `whois`, `clients`, `kick`, `ban`, `unban`, `bans`, `announce`,
//! `log-level`. Each is a request or a few, and a table or a line for people.

use crate::args::{Announce, Ban, Clients, DebugStall, Kick, LogLevel, Unban, Whois};
use crate::ask::{Context, has_more, nick};
use crate::client::Fields;
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::look::bytes_shown;
use crate::moments;
use crate::table::{self, Lean};
use proto::{Network, Span, TOPIC_BYTES_MAX, is_printable};
use serde_json::Value;

/// How many connections are asked for at once; the daemon may give fewer.
const PAGE_CONNECTIONS: u32 = 500;

/// `chatctl whois`: a line by thing that is known.
pub fn whois(context: &mut Context, args: &Whois) -> Result<(), Failure> {
    let fields = fields([("nick", Value::from(nick(&args.nick)?))]);
    let reply = ask(context, "whois", fields)?;
    if context.voice.is_json() {
        return object(context, reply);
    }
    let now = clock::wall();
    let text = |field: &str| reply.get(field).and_then(Value::as_str);
    let time = |field: &str| text(field).map(|time| moments::shown(time, &now, true));
    let idle = reply.get("idle_ms").and_then(Value::as_u64).map(millis);
    let rooms = reply.get("rooms").and_then(Value::as_array).map(|rooms| {
        let names = rooms.iter().filter_map(Value::as_str).map(|room| format!("#{room}"));
        names.collect::<Vec<_>>().join(" ")
    });
    let own = |field: &str| text(field).map(str::to_owned);
    for (name, value) in [
        ("nick", own("nick")),
        ("since", time("since")),
        ("connected", time("connected")),
        ("idle", idle),
        ("away", own("away")),
        ("rooms", rooms),
        ("protocol", own("protocol")),
        ("agent", own("agent")),
        ("address", own("address")),
    ] {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            context.voice.line(&format!("{name:10} {value}"))?;
        }
    }
    context.voice.flush()
}

/// `chatctl clients`: a line by connection.
pub fn clients(context: &mut Context, args: &Clients) -> Result<(), Failure> {
    let mut client = context.call()?;
    let mut all = Vec::new();
    let mut beyond = 0;
    loop {
        let fields = fields([
            ("slow", Value::from(args.slow)),
            ("session", Value::from(beyond)),
            ("limit", Value::from(PAGE_CONNECTIONS)),
        ]);
        let reply = context.ask(&mut client, "connections", fields, &mut |_| Ok(()))?;
        let more = has_more(&reply);
        let page = list(&reply, "connections");
        let last = page.iter().filter_map(|entry| entry["session"].as_u64()).max();
        all.extend(page);
        // A page that does not lead on is the last one, whatever it says of more.
        match last.filter(|last| more && *last > beyond) {
            Some(last) => beyond = last,
            None => break,
        }
    }
    if context.voice.is_json() {
        for entry in all {
            context.voice.object(&entry.to_string())?;
        }
        return context.voice.flush();
    }
    let lines = if args.slow { slow(&all) } else { connected(&all) };
    print(context, &lines)
}

fn connected(all: &[Value]) -> Vec<String> {
    let head = [
        ("SESSION", Lean::Right),
        ("NICK", Lean::Left),
        ("ADDRESS", Lean::Left),
        ("PROTOCOL", Lean::Left),
        ("CONNECTED", Lean::Right),
        ("IDLE", Lean::Right),
        ("ROOMS", Lean::Right),
        ("WAITING", Lean::Right),
        ("AGENT", Lean::Left),
    ];
    let row = |entry: &Value| {
        [
            number(entry, "session"),
            word(entry, "nick"),
            word(entry, "address"),
            word(entry, "protocol"),
            span(entry, "connected_ms"),
            span(entry, "idle_ms"),
            number(entry, "rooms"),
            bytes(entry, "lag_bytes"),
            word(entry, "agent"),
        ]
    };
    table::lines(head, &all.iter().map(row).collect::<Vec<_>>())
}

/// Who is behind: by how much, since when, and why.
fn slow(all: &[Value]) -> Vec<String> {
    let head = [
        ("SESSION", Lean::Right),
        ("NICK", Lean::Left),
        ("ADDRESS", Lean::Left),
        ("MESSAGES", Lean::Right),
        ("BYTES", Lean::Right),
        ("FOR", Lean::Right),
        ("KERNEL", Lean::Right),
        ("ROUND TRIP", Lean::Right),
        ("GAPS", Lean::Right),
        ("WHY", Lean::Left),
    ];
    let row = |entry: &Value| {
        let round_trip = entry["rtt_us"].as_u64().map(moments::span_shown);
        [
            number(entry, "session"),
            word(entry, "nick"),
            word(entry, "address"),
            number(entry, "lag_messages"),
            bytes(entry, "lag_bytes"),
            span(entry, "lag_ms"),
            bytes(entry, "kernel_bytes"),
            round_trip.unwrap_or_else(|| "-".to_owned()),
            number(entry, "gaps"),
            word(entry, "why"),
        ]
    };
    table::lines(head, &all.iter().map(row).collect::<Vec<_>>())
}

/// `chatctl kick`.
pub fn kick(context: &mut Context, args: &Kick) -> Result<(), Failure> {
    // With a session there is no nickname, and what stands in its place is the first word of the reason.
    let (whom, shown, first) = match (args.session, &args.nick) {
        (Some(session), first) => {
            (("session", Value::from(session)), format!("session {session}"), first.as_ref())
        }
        (None, Some(name)) => {
            let name = nick(name)?;
            (("nick", Value::from(name.as_str())), name, None)
        }
        (None, None) => return Err(Failure::usage("kick whom?")),
    };
    let mut fields = fields([whom]);
    let words: Vec<&str> = first.into_iter().chain(&args.reason).map(String::as_str).collect();
    put_reason(&mut fields, &words)?;
    let reply = ask(context, "kick", fields)?;
    done(context, reply, |reply| format!("{shown}: {}", closed(reply)))
}

/// `chatctl ban`.
pub fn ban(context: &mut Context, args: &Ban) -> Result<(), Failure> {
    let (whom, shown) = banned(&args.whom)?;
    let mut fields = fields([whom]);
    if let Some(during) = args.during {
        if during.as_micros() == 0 {
            let message =
                "--for 0 is no time at all; leave it out for a ban that does not end by itself";
            return Err(Failure::usage(message));
        }
        // What is less than a second is one.
        fields.insert("seconds".to_owned(), Value::from(during.as_micros().div_ceil(1_000_000)));
    }
    let words: Vec<&str> = args.reason.iter().map(String::as_str).collect();
    put_reason(&mut fields, &words)?;
    let reply = ask(context, "ban", fields)?;
    done(context, reply, |reply| format!("{shown} is kept out {}; {}", until(reply), closed(reply)))
}

/// `chatctl unban`.
pub fn unban(context: &mut Context, args: &Unban) -> Result<(), Failure> {
    let (whom, shown) = banned(&args.whom)?;
    let reply = ask(context, "unban", fields([whom]))?;
    done(context, reply, |_| format!("{shown} may come again"))
}

/// `chatctl bans`: a line by ban.
pub fn bans(context: &mut Context) -> Result<(), Failure> {
    let reply = ask(context, "bans", Fields::new())?;
    let all = list(&reply, "bans");
    if context.voice.is_json() {
        for entry in all {
            context.voice.object(&entry.to_string())?;
        }
        return context.voice.flush();
    }
    let head =
        [("WHO", Lean::Left), ("UNTIL", Lean::Left), ("BY", Lean::Left), ("REASON", Lean::Left)];
    let now = clock::wall();
    let row = |entry: &Value| {
        let nick = entry["nick"].as_str().map(|nick| format!("@{nick}"));
        let until = entry["until"].as_str().map(|time| moments::shown(time, &now, true));
        [
            nick.unwrap_or_else(|| word(entry, "network")),
            until.unwrap_or_else(|| "-".to_owned()),
            word(entry, "by"),
            entry["reason"].as_str().unwrap_or("").to_owned(),
        ]
    };
    print(context, &table::lines(head, &all.iter().map(row).collect::<Vec<_>>()))
}

/// `chatctl announce`.
pub fn announce(context: &mut Context, args: &Announce) -> Result<(), Failure> {
    let text = args.text.join(" ");
    if text.trim().is_empty() {
        return Err(Failure::usage("the announcement is empty; say what everybody is to be told"));
    }
    one_line("the announcement", &text)?;
    let reply = ask(context, "announce", fields([("text", Value::from(text))]))?;
    done(context, reply, |reply| {
        let count = reply.get("connections").and_then(Value::as_u64).unwrap_or(0);
        format!("told {}", connections(count))
    })
}

/// `chatctl log-level`: the level, as data where it was only asked for.
pub fn log_level(context: &mut Context, args: &LogLevel) -> Result<(), Failure> {
    let level = args.level.map(|level| ("level", Value::from(level.word())));
    let reply = ask(context, "log_level", fields(level))?;
    if context.voice.is_json() {
        return object(context, reply);
    }
    let level = reply.get("level").and_then(Value::as_str).unwrap_or("?").to_owned();
    context.voice.line(&level)?;
    context.voice.flush()
}

/// `chatctl debug-stall`: the answer comes when it is over, so it is waited for longer.
pub fn debug_stall(context: &mut Context, args: &DebugStall) -> Result<(), Failure> {
    let seconds = args.span.as_millis().div_ceil(1_000);
    let patience = context.flags.timeout.as_micros().saturating_add(args.span.as_micros());
    context.flags.timeout = Span::from_micros(patience);
    let reply = ask(context, "debug_stall", fields([("seconds", Value::from(seconds))]))?;
    done(context, reply, |_| format!("the daemon did nothing for {seconds} s"))
}

/// Whom a ban is about: what looks like an address is one, unless there is a `@` before it. One that is mistyped must not
/// pass for a nickname, since then nobody would be kept out.
fn banned(text: &str) -> Result<((&'static str, Value), String), Failure> {
    if let Ok(network) = text.parse::<Network>() {
        let network = network.to_string();
        return Ok((("network", Value::from(network.as_str())), network));
    }
    if looks_like_an_address(text) {
        let message = format!("{text} is no network; for a nickname write @{text}");
        return Err(Failure::usage(message));
    }
    let name = nick(text)?;
    Ok((("nick", Value::from(name.as_str())), format!("@{name}")))
}

/// Whether somebody who wrote this meant an address: nicknames of such looks are rare, and are written with a `@`.
fn looks_like_an_address(text: &str) -> bool {
    let numeric = |c: char| c.is_ascii_digit() || c == '.' || c == '*';
    !text.starts_with('@')
        && (text.contains(['/', ':']) || (text.contains('.') && text.chars().all(numeric)))
}

/// Has the configuration read anew; all of it holds, or nothing.
pub fn reload(context: &mut Context) -> Result<(), Failure> {
    let reply = ask(context, "reload", Fields::new())?;
    done(context, reply, |_| "the configuration was read anew and holds".to_owned())
}

fn ask(context: &mut Context, request: &str, fields: Fields) -> Result<Fields, Failure> {
    let mut client = context.call()?;
    context.ask(&mut client, request, fields, &mut |_| Ok(()))
}

fn fields(all: impl IntoIterator<Item = (&'static str, Value)>) -> Fields {
    all.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

fn put_reason(fields: &mut Fields, words: &[&str]) -> Result<(), Failure> {
    if !words.is_empty() {
        let reason = words.join(" ");
        one_line("the reason", &reason)?;
        fields.insert("reason".to_owned(), Value::from(reason));
    }
    Ok(())
}

/// Refuses what people could not be shown as one line.
pub fn one_line(what: &str, text: &str) -> Result<(), Failure> {
    if let Some(strange) = text.chars().find(|c| !is_printable(*c)) {
        let message = match strange {
            '\n' | '\r' => format!("{what} has several lines; it is to be one"),
            strange => format!(
                "{what} has the character U+{:04X}, which shows nothing",
                u32::from(strange)
            ),
        };
        return Err(Failure::usage(message));
    }
    let bytes = text.len();
    if bytes > TOPIC_BYTES_MAX {
        let message = format!("{what} has {bytes} bytes; the limit is {TOPIC_BYTES_MAX} bytes");
        return Err(Failure::new(Exit::LimitHit, "too_large", message));
    }
    Ok(())
}

/// What was done is an object for scripts, and a word on stderr for people.
pub fn done(
    context: &mut Context,
    reply: Fields,
    said: impl FnOnce(&Fields) -> String,
) -> Result<(), Failure> {
    if context.voice.is_json() {
        return object(context, reply);
    }
    context.voice.say("done", &said(&reply));
    Ok(())
}

/// A reply without what belongs to the request.
pub fn object(context: &mut Context, mut reply: Fields) -> Result<(), Failure> {
    reply.retain(|name, _| name != "reply" && name != "ok");
    context.voice.object(&Value::Object(reply).to_string())?;
    context.voice.flush()
}

fn print(context: &mut Context, lines: &[String]) -> Result<(), Failure> {
    lines.iter().try_for_each(|line| context.voice.line(line))?;
    context.voice.flush()
}

fn closed(reply: &Fields) -> String {
    let count = reply.get("closed").and_then(Value::as_u64).unwrap_or(0);
    format!("closed {}", connections(count))
}

fn connections(count: u64) -> String {
    match count {
        0 => "no connection".to_owned(),
        1 => "1 connection".to_owned(),
        count => format!("{count} connections"),
    }
}

fn until(reply: &Fields) -> String {
    match reply.get("until").and_then(Value::as_str) {
        Some(time) => format!("until {}", moments::shown(time, &clock::wall(), true)),
        None => "until the daemon ends or is told otherwise".to_owned(),
    }
}

fn list(reply: &Fields, field: &str) -> Vec<Value> {
    reply.get(field).and_then(Value::as_array).cloned().unwrap_or_default()
}

fn word(entry: &Value, field: &str) -> String {
    entry[field].as_str().filter(|text| !text.is_empty()).unwrap_or("-").to_owned()
}

fn number(entry: &Value, field: &str) -> String {
    entry[field].as_u64().map_or_else(|| "-".to_owned(), |number| number.to_string())
}

fn bytes(entry: &Value, field: &str) -> String {
    entry[field].as_u64().map_or_else(|| "-".to_owned(), bytes_shown)
}

fn span(entry: &Value, field: &str) -> String {
    entry[field].as_u64().map_or_else(|| "-".to_owned(), millis)
}

fn millis(millis: u64) -> String {
    match millis {
        0 => "now".to_owned(),
        millis => moments::span_shown(millis.saturating_mul(1_000)),
    }
}

#[cfg(test)]
mod tests {
    use super::{banned, closed, connected, fields, one_line, slow};
    use serde_json::{Value, json};

    #[test]
    fn what_looks_like_a_network_is_one_unless_it_is_called_a_nickname() {
        for (text, field, shown) in [
            ("eve", "nick", "@eve"),
            ("@eve", "nick", "@eve"),
            ("192.0.2.7/24", "network", "192.0.2.0/24"),
            ("2001:db8::/32", "network", "2001:db8::/32"),
            ("@10.0.0.1", "nick", "@10.0.0.1"),
        ] {
            let ((name, _), said) = banned(text).expect(text);
            assert_eq!((name, said.as_str()), (field, shown));
        }
        assert!(banned(" ").is_err());
    }

    #[test]
    fn a_mistyped_network_is_no_nickname() {
        for text in ["10.0.0.0/33", "999.1.1.1", "::/129", "1.2.3", "10.0.0.*", "fe80::1%eth0"] {
            let failure = banned(text).expect_err(text);
            let expected = format!("{text} is no network; for a nickname write @{text}");
            assert_eq!((failure.exit.code(), failure.message), (2, expected));
            let ((name, value), _) = banned(&format!("@{text}")).expect(text);
            assert_eq!((name, value), ("nick", Value::from(text)));
        }
        // A number, and names with dots, are nicknames like others.
        for text in ["1234", "v1.2", "dr. no"] {
            assert_eq!(banned(text).expect(text).0.0, "nick");
        }
    }

    #[test]
    fn who_is_behind_is_told_by_how_much_and_why() {
        let all =
            [json!({"session": 7, "nick": null, "address": "192.0.2.1:9", "lag_messages": 12,
            "lag_bytes": 65_536, "lag_ms": 2_500, "gaps": 1, "kernel_bytes": null, "rtt_us": 1_250,
            "why": "their window"})];
        let lines = slow(&all);
        let cells: Vec<&str> =
            lines[1].split("  ").map(str::trim).filter(|cell| !cell.is_empty()).collect();
        assert_eq!(
            cells,
            ["7", "-", "192.0.2.1:9", "12", "64 KiB", "2.5 s", "-", "1.25 ms", "1", "their window"]
        );
        // A daemon of another version may say less.
        assert_eq!(slow(&[json!({})]).len(), 2);
    }

    #[test]
    fn what_is_told_is_one_plain_line_of_390_bytes() {
        assert!(one_line("it", &"x".repeat(390)).is_ok());
        assert_eq!(one_line("it", &"x".repeat(391)).expect_err("long").exit.code(), 8);
        for (text, why) in
            [("a\nb", "it has several lines"), ("a\u{202e}", "it has the character U+202E")]
        {
            let failure = one_line("it", text).expect_err(text);
            assert!(failure.exit.code() == 2 && failure.message.starts_with(why), "{failure}");
        }
    }

    #[test]
    fn what_is_no_time_ago_is_now() {
        let lines = connected(&[json!({"session": 1, "connected_ms": 10, "idle_ms": 0})]);
        let cells: Vec<&str> = lines[1].split_whitespace().collect();
        assert_eq!(cells, ["1", "-", "-", "-", "10", "ms", "now", "-", "-", "-"]);
    }

    #[test]
    fn what_was_closed_is_counted_in_words() {
        let said = |count: u64| closed(&fields([("closed", Value::from(count))]));
        assert_eq!(
            [said(0), said(1), said(2)],
            ["closed no connection", "closed 1 connection", "closed 2 connections"]
        );
    }
}
