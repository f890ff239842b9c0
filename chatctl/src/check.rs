//! `chatctl check`: one line and a status, as monitoring systems read them (Nagios, Icinga and whoever took their form over).
//!
//! The statuses are theirs, not those of this program's other commands: 0 ok, 1 warning, 2 critical, 3 unknown. Whatever goes wrong,
//! stdout gets exactly one line.

use crate::args::{Bounds, Check};
use crate::ask::Context;
use crate::client::Fields;
use crate::failure::{Exit, Failure};
use crate::look::bytes_shown;
use crate::moments;
use crate::status::asked;
use crate::visible;
use serde_json::{Value, json};
use std::io::Write;

/// How it is, as monitoring systems number it; the worst is what counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub enum State {
    /// Nothing is wrong.
    Ok = 0,
    /// Somebody should look.
    Warning = 1,
    /// Somebody must act.
    Critical = 2,
    /// It could not be found out.
    Unknown = 3,
}

impl State {
    fn word(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Critical => "CRITICAL",
            Self::Unknown => "UNKNOWN",
        }
    }

    /// What a failure of this program says of the daemon: that it does not answer is the worst there is, all else is not its fault.
    fn of(failure: &Failure) -> Self {
        match failure.exit {
            Exit::NotReachable | Exit::TimedOut => Self::Critical,
            _ => Self::Unknown,
        }
    }
}

/// One figure: its performance data, what of it people read, and how it stands.
struct Figure {
    data: String,
    words: Option<String>,
    state: State,
}

/// `chatctl check`: what the process is to end with.
pub fn check(context: &mut Context, args: &Check) -> Result<u8, Failure> {
    let (_, counted) = asked(context)?;
    let (state, words, data) = judged(&counted, args);
    if context.voice.is_json() {
        let said = json!({"state": state.word().to_lowercase(), "exit": state as u8,
                          "message": words, "performance": data});
        context.voice.object(&said.to_string())?;
    } else {
        context.voice.line(&line(state, &words, &data))?;
    }
    context.voice.flush()?;
    Ok(state as u8)
}

/// Says in the same form that nothing could be found out, and gives the status for it.
pub fn failed(failure: &Failure, is_json: bool) -> u8 {
    if failure.silent {
        return State::Unknown as u8;
    }
    let state = State::of(failure);
    let said = if is_json {
        json!({"state": state.word().to_lowercase(), "exit": state as u8, "message": failure.message})
            .to_string()
    } else {
        line(state, &failure.message, "")
    };
    // Nobody is left to be told that stdout is closed.
    let _ = writeln!(std::io::stdout(), "{said}");
    state as u8
}

/// The one line. A bar in the words would begin the performance data.
fn line(state: State, words: &str, data: &str) -> String {
    let words = visible::line(words).replace('|', "/");
    let data = if data.is_empty() { String::new() } else { format!(" | {data}") };
    format!("CHATD {} - {words}{data}", state.word())
}

/// How it stands altogether, in words and in performance data.
fn judged(counted: &Fields, args: &Check) -> (State, String, String) {
    let mut figures = vec![connections(counted, args.connections), queue(counted, args.queue)];
    figures.extend(turn(counted, args.turn));
    figures.extend(store(counted));
    figures.extend(counters(counted));
    let state = figures.iter().map(|figure| figure.state).max().unwrap_or(State::Ok);
    // What is wrong comes first, the worst before all.
    let mut told: Vec<_> = figures.iter().filter(|figure| figure.words.is_some()).collect();
    told.sort_by_key(|figure| std::cmp::Reverse(figure.state));
    let words: Vec<_> = told.iter().filter_map(|figure| figure.words.as_deref()).collect();
    let data: Vec<_> = figures.iter().map(|figure| figure.data.as_str()).collect();
    (state, words.join(", "), data.join(" "))
}

fn number(counted: &Fields, name: &str) -> Option<u64> {
    counted.get(name)?.as_u64()
}

/// How a value stands to its bounds: past one, not at it, as their guidelines say.
fn state(value: u64, (warning, critical): (u64, u64)) -> State {
    if value > critical {
        State::Critical
    } else if value > warning {
        State::Warning
    } else {
        State::Ok
    }
}

/// Words, and where they alarm what the bound was.
fn words(text: String, state: State, bounds: Bounds, unit: &str) -> String {
    match state {
        State::Critical => format!("{text} (over {}{unit})", bounds.critical),
        State::Warning => format!("{text} (over {}{unit})", bounds.warning),
        State::Ok | State::Unknown => text,
    }
}

/// A part of a limit, of which the bounds are percents.
fn part(name: &str, unit: &str, value: u64, most: Option<u64>, bounds: Bounds) -> (String, State) {
    let Some(most) = most else { return (format!("{name}={value}{unit};;;0"), State::Ok) };
    let of = |percent: u64| {
        u64::try_from(u128::from(most) * u128::from(percent) / 100).unwrap_or(u64::MAX)
    };
    let limits = (of(bounds.warning), of(bounds.critical));
    let data = format!("{name}={value}{unit};{};{};0;{most}", limits.0, limits.1);
    (data, state(value, limits))
}

fn connections(counted: &Fields, bounds: Bounds) -> Figure {
    let kinds = ["native", "v1", "control", "undecided"];
    let sum = kinds.iter().filter_map(|kind| number(counted, &format!("connections_{kind}"))).sum();
    let most = number(counted, "connections_max");
    let (data, state) = part("connections", "", sum, most, bounds);
    let text =
        most.map_or(format!("{sum} connections"), |most| format!("{sum} of {most} connections"));
    Figure { data, words: Some(words(text, state, bounds, " %")), state }
}

fn queue(counted: &Fields, bounds: Bounds) -> Figure {
    let waits = number(counted, "block_bytes").unwrap_or(0);
    let waits = waits.saturating_add(number(counted, "private_bytes").unwrap_or(0));
    let (data, state) = part("queue", "B", waits, number(counted, "store_bytes_max"), bounds);
    let text = format!("{} queued", bytes_shown(waits));
    Figure { data, words: Some(words(text, state, bounds, " % of the limit")), state }
}

/// The longest turn of the last minute.
fn turn(counted: &Fields, bounds: Bounds) -> Option<Figure> {
    let recent = counted.get("recent").and_then(Value::as_object)?;
    let longest = number(recent, "turn_longest_us")?;
    let micros = |bound: u64| bound.saturating_mul(1_000);
    let state = state(longest, (micros(bounds.warning), micros(bounds.critical)));
    let (ms, shown) = (millis(longest), moments::span_shown(longest));
    let data = format!("turn_longest={ms}ms;{};{};0", bounds.warning, bounds.critical);
    let text = format!("longest turn {shown}");
    Some(Figure { data, words: Some(words(text, state, bounds, " ms")), state })
}

/// A disk with less room than this is soon full.
const FREE_BYTES_LOW: u64 = 256 << 20;

/// How the history on disk goes: where posts are refused somebody must act.
fn store(counted: &Fields) -> Vec<Figure> {
    let Some(store) = counted.get("store").and_then(Value::as_object) else { return Vec::new() };
    let number = |name: &str| number(store, name).unwrap_or(0);
    let free = number("free_bytes");
    let shown = bytes_shown(free);
    let (state, words) = match store.get("state").and_then(Value::as_str) {
        None | Some("none") => return Vec::new(),
        Some("full") => {
            let words = "posts are refused until there is room on it";
            (State::Critical, Some(format!("the history's disk is full ({shown} free): {words}")))
        }
        Some("broken") => {
            let words = "the history cannot be written: posts are refused; see the log";
            (State::Critical, Some(words.to_owned()))
        }
        Some(_) if free < FREE_BYTES_LOW => {
            (State::Warning, Some(format!("the history's disk has {shown} left")))
        }
        Some(_) => (State::Ok, None),
    };
    let figure = |data, state, words| Figure { data, words, state };
    vec![
        figure(format!("store_free={free}B;{FREE_BYTES_LOW}:;;0"), state, words),
        figure(format!("database={}B;;;0", number("database_bytes")), State::Ok, None),
        figure(format!("store_queue={};;;0", number("queue_messages")), State::Ok, None),
        figure(format!("commit_p99={}ms;;;0", millis(number("commit_p99_us"))), State::Ok, None),
    ]
}

/// Microseconds as milliseconds, with as many digits as tell something.
fn millis(micros: u64) -> String {
    let text = format!("{}.{:03}", micros / 1_000, micros % 1_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// What has no bounds, but can be drawn: `c` is a counter.
fn counters(counted: &Fields) -> Vec<Figure> {
    let figures = [
        ("rooms", "rooms", ""),
        ("messages", "messages", "c"),
        ("deliveries", "deliveries", "c"),
        ("cut_slow", "cut_slow", "c"),
        ("gaps", "gaps", "c"),
        ("bytes_in", "bytes_in", "c"),
        ("bytes_out", "bytes_out", "c"),
    ];
    let told = figures.iter().filter_map(|(name, label, unit)| {
        let value = number(counted, name)?;
        Some(Figure { data: format!("{label}={value}{unit};;;0"), words: None, state: State::Ok })
    });
    let uptime = number(counted, "uptime_ms").map(|millis| {
        let words = format!("up {}", moments::span_shown((millis / 1_000).max(1) * 1_000_000));
        let data = format!("uptime={}s;;;0", millis / 1_000);
        Figure { data, words: Some(words), state: State::Ok }
    });
    told.chain(uptime).collect()
}

#[cfg(test)]
mod tests {
    use super::{State, judged, line, millis};
    use crate::args::{Bounds, Check};
    use crate::client::Fields;
    use serde_json::json;

    fn told(connections: u64, queue: u64, longest: u64) -> Fields {
        let value = json!({
            "connections_native": connections, "connections_control": 1, "connections_max": 1_000,
            "block_bytes": queue, "private_bytes": 0, "store_bytes_max": 1_048_576, "messages": 7,
            "recent": {"turn_longest_us": longest}, "uptime_ms": 3_600_000,
        });
        value.as_object().expect("an object").clone()
    }

    const ARGS: Check = Check {
        connections: Bounds { warning: 80, critical: 95 },
        queue: Bounds { warning: 50, critical: 90 },
        turn: Bounds { warning: 50, critical: 250 },
    };

    #[test]
    fn all_is_well_in_one_line_with_its_figures() {
        let (state, words, data) = judged(&told(11, 65_536, 412), &ARGS);
        assert_eq!(
            line(state, &words, &data),
            "CHATD OK - 12 of 1000 connections, 64 KiB queued, longest turn 412 us, up 1h 0m | \
             connections=12;800;950;0;1000 queue=65536B;524288;943718;0;1048576 turn_longest=0.412ms;50;250;0 \
             messages=7c;;;0 uptime=3600s;;;0"
        );
    }

    #[test]
    fn the_worst_is_said_first_and_counts() {
        let (state, words, _) = judged(&told(850, 0, 300_000), &ARGS);
        assert_eq!(state, State::Critical);
        let begins =
            "longest turn 300 ms (over 250 ms), 851 of 1000 connections (over 80 %), 0 B queued";
        assert!(words.starts_with(begins), "{words}");
        let at_the_bound = judged(&told(799, 0, 50_000), &ARGS);
        assert_eq!(at_the_bound.0, State::Ok, "{at_the_bound:?}");
        assert_eq!(judged(&told(0, 1_000_000, 0), &ARGS).0, State::Critical);
        assert_eq!(judged(&told(0, 600_000, 0), &ARGS).0, State::Warning);
    }

    #[test]
    fn a_history_that_refuses_posts_is_critical_and_a_small_rest_of_the_disk_a_warning() {
        let told = |state: &str, free: u64| {
            let store = json!({"state": state, "free_bytes": free, "queue_messages": 2, "database_bytes": 9,
                               "commit_p50_us": 1, "commit_p99_us": 2_500});
            judged(json!({ "store": store }).as_object().expect("an object"), &ARGS)
        };
        let (state, words, data) = told("well", 1 << 30);
        assert_eq!((state, &*words), (State::Ok, "0 connections, 0 B queued"));
        let figures = "store_free=1073741824B;268435456:;;0 database=9B;;;0 store_queue=2;;;0 commit_p99=2.5ms;;;0";
        assert!(data.ends_with(figures), "{data}");
        let (state, words, _) = told("well", 1 << 20);
        assert!(words.starts_with("the history's disk has 1024 KiB left"), "{words}");
        assert_eq!(state, State::Warning);
        let (state, words, _) = told("full", 1 << 20);
        let begins = "the history's disk is full (1024 KiB free): posts are refused until there is room on it, ";
        assert!(words.starts_with(begins), "{words}");
        assert_eq!(state, State::Critical);
        assert_eq!(told("broken", 1 << 30).0, State::Critical);
        assert!(!told("none", 0).2.contains("store"));
    }

    #[test]
    fn without_a_limit_there_is_no_alarm() {
        let none = json!({"connections_native": 5, "connections_max": null, "block_bytes": 9});
        let (state, words, data) = judged(none.as_object().expect("an object"), &ARGS);
        assert_eq!((state, &*words), (State::Ok, "5 connections, 9 B queued"));
        assert_eq!(data, "connections=5;;;0 queue=9B;;;0");
    }

    #[test]
    fn no_text_begins_the_performance_data_or_a_second_line() {
        let said = line(State::Unknown, "a | b\nc", "");
        assert!(said.starts_with("CHATD UNKNOWN - a / b") && !said.contains(['|', '\n']), "{said}");
        assert_eq!(
            (millis(0), millis(1_500), millis(412)),
            ("0".into(), "1.5".into(), "0.412".into())
        );
    }
}
