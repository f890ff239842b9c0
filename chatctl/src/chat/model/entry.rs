//! What stands in a view, line by line: messages with their delivery marks, what happened in a room, what is missing, and what
//! this client says itself. It is data; how it looks is the fronts' business, but for its words.

use crate::client::{Event, Refusal};
use crate::voice::away_words;
use jiff::Timestamp;
use proto::Span;

/// A line of a view.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// It keeps this number for ever, also where it changes its place; numbers of a view are not in its order.
    pub number: u64,
    /// When it was said: by the server's clock, what is ours by our own.
    pub time: Timestamp,
    /// Its place in the room's order; none where it has no such place, or not yet.
    pub place: Option<u64>,
    /// What it is.
    pub what: What,
}

/// What a line is.
#[derive(Clone, Debug, PartialEq)]
pub enum What {
    /// Somebody said something.
    Message(Message),
    /// These messages of the room are not there, both ends included.
    Gap {
        /// The first.
        from: u64,
        /// The last.
        to: u64,
    },
    /// Something happened in the room.
    Event(Happened),
    /// This client says something: an answer to a command, most often.
    Note(String),
}

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Its id, a UUID as the server writes it.
    pub id: String,
    /// Who said it.
    pub from: String,
    /// What was said.
    pub content: Content,
    /// Whether that is us.
    pub is_own: bool,
    /// Whether it names us, or is for us alone.
    pub is_mention: bool,
    /// How far it has come, where it is ours.
    pub mark: Mark,
}

/// What was said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Text.
    Text(String),
    /// Bytes that are no text.
    Data(Vec<u8>),
}

/// How far a message of ours has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mark {
    /// It is somebody else's.
    None,
    /// It waits, or is under way.
    Sending,
    /// The server has it as durably as it keeps messages.
    Stored,
    /// It is on its way to one person, or to the peer of the talk: nobody keeps it.
    Sent,
    /// So many clients have it; the first said so after this time.
    Delivered {
        /// How many.
        by: u32,
        /// The round-trip time of the first.
        rtt: Span,
    },
    /// It was not sent.
    NotSent {
        /// The protocol's word for the reason.
        code: String,
        /// The reason.
        why: String,
    },
    /// It was said in a talk that has ended, and the peer has not said that it came.
    NotAcknowledged {
        /// How the talk ended.
        why: String,
    },
}

/// What happened in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Happened {
    /// Somebody joined.
    Joined(String),
    /// Somebody left.
    Left(String),
    /// Somebody is called otherwise.
    Renamed(String, String),
    /// Somebody is away, or back where the text is empty.
    Away(String, String),
    /// Somebody set the topic, or took it away where it is empty.
    Topic(String, String),
    /// In a large room so many came and went, and so many are there.
    Presence {
        /// Came.
        joined: u64,
        /// Went.
        left: u64,
        /// Are there.
        members: u64,
    },
}

impl Content {
    /// Bytes as what they are.
    pub fn of(bytes: Vec<u8>) -> Self {
        match String::from_utf8(bytes) {
            Ok(text) => Self::Text(text),
            Err(error) => Self::Data(error.into_bytes()),
        }
    }

    /// How many bytes it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Data(data) => data.len(),
        }
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Happened {
    /// What an event of a room says, where it is one of these.
    pub(super) fn of(event: &Event) -> Option<Self> {
        let text = |field: &str| event.text(field).unwrap_or("?").to_owned();
        let number = |field: &str| event.number(field).unwrap_or(0);
        Some(match event.name.as_str() {
            "joined" => Self::Joined(text("nick")),
            "left" => Self::Left(text("nick")),
            "renamed" => Self::Renamed(text("nick"), text("new_nick")),
            "away" => Self::Away(text("nick"), text("away")),
            "topic" => Self::Topic(text("nick"), text("topic")),
            "presence" => Self::Presence {
                joined: number("joined_count"),
                left: number("left_count"),
                members: number("members"),
            },
            _ => return None,
        })
    }

    /// It in words. What others chose is in them as it is: whoever shows it makes it safe.
    pub fn words(&self) -> String {
        match self {
            Self::Joined(nick) => format!("{nick} joined"),
            Self::Left(nick) => format!("{nick} left"),
            Self::Renamed(nick, new) => format!("{nick} is now {new}"),
            Self::Away(nick, text) if text.is_empty() => format!("{nick} is back"),
            Self::Away(nick, text) => format!("{nick} is {}", away_words(text)),
            Self::Topic(nick, text) if text.is_empty() => format!("{nick} took the topic away"),
            Self::Topic(nick, text) => format!("{nick} set the topic: {text}"),
            Self::Presence { joined, left, members } => {
                format!("{joined} joined, {left} left, {members} are there")
            }
        }
    }
}

impl Mark {
    /// The server does not take it, for this reason.
    pub(super) fn refused_for(refusal: &Refusal) -> Self {
        Self::NotSent { code: refusal.code.clone(), why: refusal.message.clone() }
    }
}

impl Entry {
    /// The message, where it is one.
    pub fn message(&self) -> Option<&Message> {
        match &self.what {
            What::Message(message) => Some(message),
            What::Gap { .. } | What::Event(_) | What::Note(_) => None,
        }
    }

    /// Whether it is a message of ours that waits or is under way.
    pub fn is_sending(&self) -> bool {
        self.message().is_some_and(|message| message.mark == Mark::Sending)
    }

    /// What it costs to keep, in bytes.
    pub(super) fn bytes(&self) -> usize {
        let content = match &self.what {
            What::Message(message) => message.content.len(),
            What::Note(text) => text.len(),
            What::Gap { .. } | What::Event(_) => 0,
        };
        size_of::<Self>().saturating_add(content)
    }
}
