//! What people type: text to say, or a command. One table (`COMMANDS`) gives the parser, the help and the completion, for the
//! line client and for the screen alike.
//!
//! It understands lines and does nothing; what a command does is the model's business.

mod complete;
mod table;

pub use complete::{Completion, Names, complete};
pub use table::{COMMANDS, Row, Slot};

use crate::ask::bare;
use proto::{Nick, RoomName};

/// How many letters may be wrong in a command that is still recognised.
const LETTERS_WRONG_MAX: usize = 3;

/// How many past messages `/history` asks for where no number is given, and at most.
const HISTORY_MESSAGES: u32 = 50;
const HISTORY_MESSAGES_MAX: u32 = 500;

const _: () = assert!(HISTORY_MESSAGES <= HISTORY_MESSAGES_MAX);

/// A line, understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    /// Nothing was typed.
    Nothing,
    /// Say this where the person is.
    Say(String),
    /// Do this.
    Do(Command),
}

/// Whether one writes in turn in a talk.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Turns {
    /// As the other likes.
    #[default]
    Any,
    /// In turn.
    Yes,
    /// At will.
    No,
}

impl Turns {
    /// As the protocol says it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Any => "any",
            Self::Yes => "yes",
            Self::No => "no",
        }
    }
}

/// With whom a talk is wished for, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TalkWish {
    /// This one only; else whoever comes first.
    pub peer: Option<String>,
    /// In turn, or not.
    pub turns: Turns,
    /// Past the server, where that can be had.
    pub direct: bool,
}

/// A view, as people name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// Where the server and this client speak.
    Server,
    /// A room.
    Room(String),
    /// One person.
    Nick(String),
    /// The talk.
    Talk,
}

/// What there is to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// Explain one command, or list all.
    Help(Option<String>),
    /// Be called so; with a port, be called by others there when a talk is direct.
    Nick(String, Option<u16>),
    /// Be in a room, and see it.
    Join(String),
    /// Leave a room, the one that is seen where none is named.
    Leave(Option<String>),
    /// See the messages with one person; say something to them where there is a text.
    Message(String, Option<String>),
    /// Who is in a room.
    Who(Option<String>),
    /// Who somebody is.
    Whois(String),
    /// What the room is about, or is to be about.
    Topic(Option<String>),
    /// Be away.
    Away(String),
    /// Be back.
    Back,
    /// Hear nothing of somebody; who is ignored where nobody is named.
    Ignore(Option<String>),
    /// Hear of them again.
    Unignore(String),
    /// Be ready for a talk.
    Bridge(TalkWish),
    /// Not any more.
    Unbridge,
    /// Open the talk with the peer that was found.
    Chat,
    /// Give the turn.
    Pass,
    /// End the talk, or the waiting for one; where there is neither, end.
    Quit,
    /// How long messages took.
    Rtt,
    /// See older messages, so many.
    History(u32),
    /// Which rooms there are.
    Rooms,
    /// Forget what this view shows.
    Clear,
    /// See another view; which there are, where none is named.
    Go(Option<Place>),
    /// Call the daemon now.
    Reconnect,
}

/// Understands a line; where it cannot, says what to write instead.
pub fn parse(line: &str) -> Result<Line, String> {
    let line = line.strip_suffix('\n').unwrap_or(line);
    let line = line.strip_suffix('\r').unwrap_or(line);
    let Some(rest) = line.strip_prefix('/') else {
        let is_nothing = line.is_empty();
        return Ok(if is_nothing { Line::Nothing } else { Line::Say(line.to_owned()) });
    };
    if rest.starts_with('/') {
        return Ok(Line::Say(rest.to_owned()));
    }
    let (name, arguments) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let Some(row) = row(name) else { return Err(unknown(name)) };
    let command = (row.read)(&mut Words(arguments.trim()));
    command.map(Line::Do).map_err(|why| format!("/{}: {why}; write {}", row.name, row.usage()))
}

/// The row of a command, by its name.
pub fn row(name: &str) -> Option<&'static Row> {
    COMMANDS.iter().find(|row| row.name.eq_ignore_ascii_case(name))
}

/// The help: all commands, or one.
pub fn help(name: Option<&str>) -> Result<Vec<String>, String> {
    if let Some(name) = name {
        let name = name.strip_prefix('/').unwrap_or(name);
        let row = row(name).ok_or_else(|| unknown(name))?;
        return Ok(vec![format!("{}: {}", row.usage(), row.summary)]);
    }
    let width = COMMANDS.iter().map(|row| row.usage().len()).max().unwrap_or(0);
    let line = |row: &Row| format!("{:width$}  {}", row.usage(), row.summary);
    let said =
        "Anything else is said where you are; a line that begins with // begins with a slash.";
    Ok(COMMANDS.iter().map(line).chain([said.to_owned()]).collect())
}

fn unknown(name: &str) -> String {
    let name = name.to_lowercase();
    let letters = |row: &&Row| strsim::osa_distance(&name, row.name);
    let nearest = COMMANDS.iter().min_by_key(letters);
    let near = nearest.filter(|row| {
        letters(row) <= LETTERS_WRONG_MAX.min(row.name.len().saturating_sub(1)) && !name.is_empty()
    });
    match near {
        Some(row) => format!("there is no /{name}; did you mean /{}? (// says a slash)", row.name),
        None => format!("there is no /{name}; /help has what there is (// says a slash)"),
    }
}

/// The arguments of a command, taken from the front.
pub struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    /// The next word; one in double quotes may have spaces in it, as nicknames have.
    fn word(&mut self) -> Option<&'a str> {
        let text = self.0.trim_start();
        if text.is_empty() {
            return None;
        }
        let quoted = text.strip_prefix('"').and_then(|rest| rest.split_once('"'));
        let (word, rest) = match quoted {
            Some(pair) => pair,
            None => text.split_once(char::is_whitespace).unwrap_or((text, "")),
        };
        self.0 = rest.trim_start();
        Some(word)
    }

    /// All that is left, where there is anything.
    fn rest(&mut self) -> Option<String> {
        let rest = std::mem::take(&mut self.0).trim();
        (!rest.is_empty()).then(|| rest.to_owned())
    }

    fn end<T>(&mut self, value: T) -> Result<T, String> {
        match self.word() {
            Some(word) => Err(format!("`{word}` is one word too many")),
            None => Ok(value),
        }
    }

    fn nick(&mut self) -> Result<String, String> {
        self.maybe_nick()?.ok_or_else(|| "it needs a nickname".to_owned())
    }

    fn maybe_nick(&mut self) -> Result<Option<String>, String> {
        self.word().map(nick).transpose()
    }

    fn room(&mut self) -> Result<String, String> {
        self.maybe_room()?.ok_or_else(|| "it needs a room".to_owned())
    }

    fn maybe_room(&mut self) -> Result<Option<String>, String> {
        self.word().map(room).transpose()
    }
}

fn nick(word: &str) -> Result<String, String> {
    let parsed = Nick::parse_any(bare(word)).map_err(|error| format!("`{word}`: {error}"))?;
    Ok(parsed.as_str().to_owned())
}

fn room(word: &str) -> Result<String, String> {
    let parsed = RoomName::parse(word).map_err(|error| format!("`{word}`: {error}"))?;
    Ok(parsed.as_str().to_owned())
}

fn port(word: &str) -> Result<u16, String> {
    let parsed = word.parse().ok().filter(|port| *port != 0);
    parsed.ok_or_else(|| format!("`{word}` is no port"))
}

fn number(word: &str) -> Result<u32, String> {
    let parsed = word.parse().ok().filter(|number| (1..=HISTORY_MESSAGES_MAX).contains(number));
    parsed.ok_or_else(|| format!("`{word}` is no number from 1 to {HISTORY_MESSAGES_MAX}"))
}

fn bridge(words: &mut Words<'_>) -> Result<Command, String> {
    let mut wish = TalkWish::default();
    while let Some(word) = words.word() {
        match word.split_once('=').map_or((word, None), |(name, value)| (name, Some(value))) {
            ("--direct", None) => wish.direct = true,
            ("--turns", value) => {
                wish.turns = match value.or_else(|| words.word()) {
                    Some("yes") => Turns::Yes,
                    Some("no") => Turns::No,
                    Some("any") => Turns::Any,
                    _ => return Err("--turns is yes, no or any".to_owned()),
                }
            }
            _ if word.starts_with("--") => return Err(format!("there is no {word}")),
            _ if wish.peer.is_some() => return Err("one nickname only".to_owned()),
            _ => wish.peer = Some(nick(word)?),
        }
    }
    Ok(Command::Bridge(wish))
}

fn place(word: &str) -> Result<Place, String> {
    Ok(match word {
        "server" => Place::Server,
        "talk" => Place::Talk,
        _ if word.starts_with('@') => Place::Nick(nick(word)?),
        _ => Place::Room(room(word)?),
    })
}

#[cfg(test)]
mod tests;
