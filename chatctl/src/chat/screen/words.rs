//! The words around the messages: titles, the talk, the connection, questions, the help.

use super::bind::KEYS;
use super::flow::{Flow, Row, cut, width};
use super::sight::Completing;
use super::theme::Ink;
use crate::chat::command;
use crate::chat::model::{Joined, Model, Phase, TalkState, View, ViewName};
use crate::visible;
use jiff::tz::TimeZone;
use proto::Now;

/// Where text begins behind a key or a command, if all is wide enough.
const HELP_INDENT: usize = 2;

/// How a reason begins of which there is no need to say that.
const NO_DAEMON: &str = "no daemon at ";

/// Between what stands beside each other in the state of the talk.
pub(super) const BETWEEN: &str = " | ";

/// What the view that is seen is, and what it is about.
pub(super) fn title(model: &Model) -> String {
    let views = model.views();
    let title = views.view(views.focus()).map_or("", |view| view.title.as_str());
    let title = visible::line(title);
    let room = views.focus().room().and_then(|room| model.rooms().get(room));
    match (views.focus(), room) {
        (ViewName::Room(_), Some(room)) if room.joined() != Joined::In => {
            format!("{title} (not joined yet)")
        }
        (ViewName::Room(_), Some(room)) => {
            let topic = visible::line(room.topic());
            let topic = if topic.is_empty() { topic } else { format!(": {topic}") };
            format!("{title} ({}){topic}", room.count())
        }
        _ => title,
    }
}

/// Who one is, and where.
pub(super) fn whereabouts(model: &Model) -> String {
    let nick = visible::line(model.nick().unwrap_or(""));
    match model.link().server() {
        Some(server) => format!("{nick} at {}", visible::line(server)),
        None => nick,
    }
}

/// How far the talk is, and the same in fewer words.
pub(super) fn talk(model: &Model, zone: &TimeZone) -> Vec<String> {
    let words = visible::line(&model.talk_words());
    let words = match model.talk().state() {
        TalkState::Waiting { since, .. } => {
            let since = since.to_zoned(zone.clone()).strftime("%H:%M:%S").to_string();
            format!("{words} since {since}")
        }
        TalkState::Registered | TalkState::Ready { .. } | TalkState::Open { .. } => words,
    };
    vec![words, visible::line(&model.talk_gist())]
}

/// Views with something unread, where there is no list: those that mean you first, as many as fit into so many columns, and how many
/// there are beside.
pub(super) fn active(model: &Model, columns: usize) -> Vec<(String, Ink)> {
    let views = model.views().iter().map(|(_, view)| view);
    let mut active: Vec<_> = views.filter(|view| view.is_active()).collect();
    active.sort_by_key(|view| view.mentions == 0);
    let look =
        |view: &View| if view.mentions == 0 { ("", Ink::Unread) } else { ("!", Ink::Mention) };
    let rest = |first: usize| {
        let (sign, ink) = look(active.get(first)?);
        Some((format!("+{}{sign}", active.len() - first), ink))
    };
    let (mut marks, mut left) = (Vec::new(), columns);
    for (number, view) in active.iter().enumerate() {
        let kept = rest(number + 1).map_or(0, |(text, _)| BETWEEN.len() + width(&text));
        let (sign, ink) = look(view);
        let (title, count) = (visible::line(&view.title), format!(" {}{sign}", view.unread));
        let room = left.saturating_sub(kept + count.len());
        if number > 0 && width(&title) > room {
            marks.extend(rest(number));
            break;
        }
        let mark = cut(&title, room) + &count;
        left = left.saturating_sub(width(&mark) + BETWEEN.len());
        marks.push((mark, ink));
    }
    marks
}

/// What is to be known while there is no connection, or no name. The reason may have advice behind it.
pub(super) fn connection(model: &Model, now: Now, has_advice: bool) -> Option<String> {
    let until = |next: Now| {
        let seconds = next.since(now).as_micros().div_ceil(1_000_000);
        if seconds == 0 { "now".to_owned() } else { format!("in {seconds} s") }
    };
    match model.link().phase() {
        Phase::Up => None,
        Phase::Away { why, .. } if why.is_empty() => Some("calling the daemon".to_owned()),
        // A narrow screen cuts the reason, never what can be done.
        Phase::Away { next, why } => {
            let short = || why.split("; ").next().map(|why| why.trim_start_matches(NO_DAEMON));
            let reason = if has_advice { why } else { short().unwrap_or(why) };
            Some(format!("not connected: next try {}; Ctrl-R tries now ({reason})", until(*next)))
        }
        Phase::Calling => Some("not connected: calling the daemon".to_owned()),
        Phase::Greeting => Some("not connected yet: asking for your name".to_owned()),
        Phase::Held { next: Some(next), .. } => {
            let nick = model.nick().unwrap_or_default();
            let next = until(*next);
            Some(format!(
                "{nick} cannot be had yet: asked for again {next}; /nick NAME takes another"
            ))
        }
        Phase::Held { next: None, why } => Some(format!("{why} /nick NAME takes another")),
    }
}

/// What a paste asks.
pub(super) fn pasted(text: &str, is_cut: bool) -> String {
    let lines = text.lines().count();
    let more = if is_cut { ", and more that is not taken" } else { "" };
    format!(
        "paste {lines} lines, {} bytes{more}? Enter: into the line; l: a message each; Esc: no",
        text.len()
    )
}

/// The words that could stand at the cursor, the one that does set off.
pub(super) fn candidates(completing: &Completing, columns: usize) -> Row {
    let shown = |candidate: &String| visible::line(candidate.trim_end());
    // The one that stands there is always seen.
    let all: Vec<_> = completing.candidates.iter().map(shown).collect();
    let mut first = completing.at;
    let mut used = all.get(first).map_or(0, |one| width(one));
    while let Some(before) = first.checked_sub(1).and_then(|before| all.get(before)) {
        used += width(before) + 2;
        if used > columns {
            break;
        }
        first -= 1;
    }
    let mut row = Row::new();
    for (number, one) in all.iter().enumerate().skip(first) {
        let ink = if number == completing.at { Ink::Bar } else { Ink::Plain };
        row.push((one.clone(), ink));
        row.push(("  ".to_owned(), Ink::Plain));
    }
    row
}

/// The help, in rows of this width.
pub(super) fn help(columns: usize) -> Vec<Row> {
    let commands = command::COMMANDS.iter().map(|row| (row.usage(), row.summary));
    let keys = KEYS.iter().map(|(keys, does)| ((*keys).to_owned(), *does));
    let close =
        "The help: Esc closes it, or typing on; the arrows, PageUp and PageDown move in it.";
    let mut rows = Vec::new();
    rows.extend(rows_of(columns, close, Ink::Head));
    rows.extend(rows_of(columns, "\nKeys", Ink::Head));
    rows.extend(table(columns, keys.collect()));
    rows.extend(rows_of(columns, "\nCommands", Ink::Head));
    rows.extend(table(columns, commands.collect()));
    let said =
        "Anything else is said where you are; a line that begins with // begins with a slash.";
    rows.extend(rows_of(columns, &format!("\n{said}"), Ink::Plain));
    rows
}

fn rows_of(columns: usize, text: &str, ink: Ink) -> Vec<Row> {
    let mut flow = Flow::new(columns, 0);
    flow.put(text, ink);
    flow.rows()
}

/// What something is called, and what it does: side by side where there is room, else below each other.
fn table(columns: usize, entries: Vec<(String, &str)>) -> Vec<Row> {
    let widest = entries.iter().map(|(name, _)| width(name)).max().unwrap_or(0) + 2;
    let is_wide = columns >= widest * 2;
    let rows = entries.into_iter().flat_map(|(name, does)| {
        let indent = if is_wide { widest } else { HELP_INDENT };
        let mut flow = Flow::new(columns, indent);
        let gap = widest.saturating_sub(width(&name));
        flow.put(&cut(&name, columns), Ink::Unread);
        flow.put(&if is_wide { " ".repeat(gap) } else { "\n".to_owned() }, Ink::Plain);
        flow.put(does, Ink::Plain);
        flow.rows()
    });
    rows.collect()
}
