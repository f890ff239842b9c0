//! The table of commands: the parser, the help and the completion are made from it.

use super::{Command, HISTORY_MESSAGES, Words, bridge, number, place, port};

/// What can stand in a place of a command's arguments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Slot {
    /// A nickname.
    Nick,
    /// A room.
    Room,
    /// A view.
    View,
    /// A command.
    Command,
    /// One of these words.
    Words(&'static [&'static str]),
    /// Text; nicks are completed in it, as in what is said.
    Text,
}

/// A command.
pub struct Row {
    /// As it is typed behind the slash.
    pub name: &'static str,
    /// Its arguments, as the help shows them.
    pub arguments: &'static str,
    /// What completes them; the last one goes on.
    pub slots: &'static [Slot],
    /// What it does, in a line.
    pub summary: &'static str,
    /// Understands the arguments.
    pub(super) read: fn(&mut Words<'_>) -> Result<Command, String>,
}

impl Row {
    /// The command and its arguments.
    pub fn usage(&self) -> String {
        let gap = if self.arguments.is_empty() { "" } else { " " };
        format!("/{}{gap}{}", self.name, self.arguments)
    }
}

/// What `/bridge` takes beside a nickname.
const BRIDGE: &[&str] = &["--turns", "--turns=yes", "--turns=no", "--turns=any", "--direct"];

const fn row(
    name: &'static str,
    arguments: &'static str,
    slots: &'static [Slot],
    summary: &'static str,
    read: fn(&mut Words<'_>) -> Result<Command, String>,
) -> Row {
    Row { name, arguments, slots, summary, read }
}

/// All commands, in the order of the help.
pub const COMMANDS: &[Row] = &[
    row(
        "help",
        "[COMMAND]",
        &[Slot::Command],
        "what there is, or what one command does",
        |words| {
            let name = words.word().map(str::to_owned);
            words.end(Command::Help(name))
        },
    ),
    row("nick", "NAME", &[Slot::Nick], "take a nickname", |words| {
        let nick = words.rest().ok_or("it needs a nickname")?;
        Ok(Command::Nick(super::nick(nick.trim_matches('"'))?, None))
    }),
    row(
        "register",
        "NAME [PORT]",
        &[Slot::Nick],
        "the same; a port is where direct talks reach you",
        |words| {
            let nick = words.nick()?;
            let port = words.word().map(port).transpose()?;
            words.end(Command::Nick(nick, port))
        },
    ),
    row("join", "ROOM", &[Slot::Room], "be in a room, and see it", |words| {
        let room = words.room()?;
        words.end(Command::Join(room))
    }),
    row("leave", "[ROOM]", &[Slot::Room], "leave a room, or close this view", |words| {
        let room = words.maybe_room()?;
        words.end(Command::Leave(room))
    }),
    row(
        "go",
        "[VIEW]",
        &[Slot::View],
        "see #ROOM, @NICK, talk, server or a number; alone: which there are",
        |words| {
            let place = words.word().map(place).transpose()?;
            words.end(Command::Go(place))
        },
    ),
    row(
        "msg",
        "NICK [TEXT]",
        &[Slot::Nick, Slot::Text],
        "say something to one person; nobody keeps it",
        |words| {
            let nick = words.nick()?;
            Ok(Command::Message(nick, words.rest()))
        },
    ),
    row("who", "[ROOM]", &[Slot::Room], "who is in a room", |words| {
        let room = words.maybe_room()?;
        words.end(Command::Who(room))
    }),
    row("whois", "NICK", &[Slot::Nick], "who somebody is", |words| {
        let nick = words.nick()?;
        words.end(Command::Whois(nick))
    }),
    row("rooms", "", &[], "which rooms there are", |words| words.end(Command::Rooms)),
    row("topic", "[TEXT]", &[Slot::Text], "what this room is about; `-` takes it away", |words| {
        Ok(Command::Topic(words.rest()))
    }),
    row("history", "[N]", &[], "older messages of this room", |words| {
        let count = words.word().map(number).transpose()?.unwrap_or(HISTORY_MESSAGES);
        words.end(Command::History(count))
    }),
    row("away", "[TEXT]", &[Slot::Text], "say that you are away", |words| {
        Ok(Command::Away(words.rest().unwrap_or_else(|| "away".to_owned())))
    }),
    row("back", "", &[], "say that you are back", |words| words.end(Command::Back)),
    row(
        "ignore",
        "[NICK]",
        &[Slot::Nick],
        "hear nothing of somebody; alone: who that is",
        |words| {
            let nick = words.maybe_nick()?;
            words.end(Command::Ignore(nick))
        },
    ),
    row("unignore", "NICK", &[Slot::Nick], "hear of them again", |words| {
        let nick = words.nick()?;
        words.end(Command::Unignore(nick))
    }),
    row(
        "bridge",
        "[NICK] [--turns yes|no|any] [--direct]",
        &[Slot::Nick, Slot::Words(BRIDGE)],
        "be ready for a talk, with anyone or with one",
        bridge,
    ),
    row("unbridge", "", &[], "not any more", |words| words.end(Command::Unbridge)),
    row("chat", "", &[], "open the talk with the peer that was found", |words| {
        words.end(Command::Chat)
    }),
    row("pass", "", &[], "give the turn without a word", |words| words.end(Command::Pass)),
    row("rtt", "", &[], "how long messages took: p50 and p99", |words| words.end(Command::Rtt)),
    row("clear", "", &[], "forget what this view shows", |words| words.end(Command::Clear)),
    row("reconnect", "", &[], "call the daemon now", |words| words.end(Command::Reconnect)),
    row("quit", "", &[], "end the talk, or the waiting for one; else end", |words| {
        words.end(Command::Quit)
    }),
];
