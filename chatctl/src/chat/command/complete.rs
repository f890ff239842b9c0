//! What could stand at the cursor: a pure function of the line and of the names that the model knows.

use super::{COMMANDS, Slot, row};

/// The names that there are, the likeliest first.
pub trait Names {
    /// Nicknames: of this view, then of others.
    fn nicks(&self) -> Vec<String>;
    /// Rooms, without `#`.
    fn rooms(&self) -> Vec<String>;
    /// Views, as `/go` takes them.
    fn views(&self) -> Vec<String>;
}

/// What could replace the bytes `from..cursor` of the line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Completion {
    /// Where the word begins that is completed.
    pub from: usize,
    /// What could stand there instead, with what follows it (a space, a colon).
    pub candidates: Vec<String>,
}

/// Completes the word that ends at `cursor`, a byte position; one inside a character completes nothing.
pub fn complete(line: &str, cursor: usize, names: &dyn Names) -> Completion {
    let Some(before) = line.get(..cursor) else { return Completion::default() };
    if let Some(rest) = before.strip_prefix('/').filter(|rest| !rest.starts_with('/')) {
        return match rest.split_once(char::is_whitespace) {
            None => {
                let all = COMMANDS.iter().map(|row| row.name.to_owned());
                Completion { from: 1, candidates: fitting(rest, all, " ") }
            }
            Some((name, arguments)) => {
                let from = before.len() - arguments.len();
                argument(name, arguments, from, names)
            }
        };
    }
    said(before, names)
}

/// A word of what is said: `@NICK`, `#ROOM` or a nick, which is followed by a colon where it begins the line.
fn said(before: &str, names: &dyn Names) -> Completion {
    let from = before.rfind(char::is_whitespace).map_or(0, |at| {
        at + before.get(at..).and_then(|rest| rest.chars().next()).map_or(1, char::len_utf8)
    });
    let word = before.get(from..).unwrap_or_default();
    if word.is_empty() {
        return Completion { from, candidates: Vec::new() };
    }
    let candidates = if let Some(part) = word.strip_prefix('#') {
        prefixed('#', fitting(part, names.rooms().into_iter(), " "))
    } else if let Some(part) = word.strip_prefix('@') {
        prefixed('@', fitting(part, names.nicks().into_iter(), " "))
    } else {
        fitting(word, names.nicks().into_iter(), if from == 0 { ": " } else { " " })
    };
    Completion { from, candidates }
}

/// A word of a command's arguments.
fn argument(name: &str, arguments: &str, from: usize, names: &dyn Names) -> Completion {
    let nothing = Completion { from, candidates: Vec::new() };
    let Some(row) = row(name) else { return nothing };
    let (number, start) = last_word(arguments);
    let word = arguments.get(start..).unwrap_or_default();
    let from = from + start;
    let Some(slot) = row.slots.get(number).or_else(|| row.slots.last()) else { return nothing };
    let is_only = row.slots.len() == 1 && number > 0 && *slot != Slot::Text;
    if is_only {
        return Completion { from, candidates: Vec::new() };
    }
    let part = word.trim_start_matches('"');
    let candidates = match slot {
        Slot::Nick if part.starts_with('-') => words_of(row.slots, part),
        Slot::Nick => {
            let part = part.strip_prefix('@').unwrap_or(part);
            fitting(part, names.nicks().into_iter(), "").iter().map(|nick| quoted(nick)).collect()
        }
        Slot::Room => {
            let bare = part.strip_prefix('#').unwrap_or(part);
            let found = fitting(bare, names.rooms().into_iter(), " ");
            if bare.len() < part.len() { prefixed('#', found) } else { found }
        }
        Slot::View => fitting(part, names.views().into_iter(), " "),
        Slot::Command => {
            let bare = part.strip_prefix('/').unwrap_or(part);
            fitting(bare, COMMANDS.iter().map(|row| row.name.to_owned()), " ")
        }
        Slot::Words(_) => words_of(row.slots, part),
        Slot::Text if word.is_empty() => Vec::new(),
        Slot::Text => fitting(word, names.nicks().into_iter(), " "),
    };
    Completion { from, candidates }
}

fn words_of(slots: &[Slot], part: &str) -> Vec<String> {
    let words = slots.iter().find_map(|slot| match slot {
        Slot::Words(words) => Some(*words),
        _ => None,
    });
    fitting(part, words.unwrap_or_default().iter().map(|word| (*word).to_owned()), " ")
}

/// How many whole words stand before the last, unfinished one, and where that begins.
fn last_word(arguments: &str) -> (usize, usize) {
    let (mut number, mut start, mut is_quoted, mut is_word) = (0, 0, false, false);
    for (at, c) in arguments.char_indices() {
        if c == '"' {
            is_quoted = !is_quoted;
        }
        if c.is_whitespace() && !is_quoted {
            number += usize::from(is_word);
            is_word = false;
            start = at + c.len_utf8();
        } else if !is_word {
            is_word = true;
            start = at;
        }
    }
    (number, start)
}

/// Those that begin with this, whatever the case, each once and in their order.
fn fitting(part: &str, all: impl Iterator<Item = String>, behind: &str) -> Vec<String> {
    let part = part.to_lowercase();
    let mut found: Vec<String> = Vec::new();
    for name in all.filter(|name| name.to_lowercase().starts_with(&part)) {
        let candidate = format!("{name}{behind}");
        if !found.contains(&candidate) {
            found.push(candidate);
        }
    }
    found
}

fn prefixed(sign: char, names: Vec<String>) -> Vec<String> {
    names.into_iter().map(|name| format!("{sign}{name}")).collect()
}

/// A nickname as an argument.
fn quoted(nick: &str) -> String {
    if nick.contains(char::is_whitespace) { format!("\"{nick}\" ") } else { format!("{nick} ") }
}
