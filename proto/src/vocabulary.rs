//! The v1 vocabulary as tables: requests, events, error codes. Parsing, documents and tests are made from them.
//!
//! A request is one row of `requests!`: its name, its fields, who may use it, what its reply carries. A new row does not
//! compile until [`crate::request`] parses it and the hub answers it.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use crate::command::{MessageId, Seq};
use crate::names::{Nick, RoomName};
use crate::time::{Span, WallTime};

/// The version of the vocabulary that `hello` speaks of.
pub const VERSION: u32 = 1;
/// The most messages that one `history` or `tail` replays: one page.
pub const HISTORY_MESSAGES_MAX: u32 = 500;

/// A field of a request, as the documents show it.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    /// Its name on the wire.
    pub name: &'static str,
    /// Its JSON type or the format of its string.
    pub form: &'static str,
    /// Whether a request without it is refused.
    pub required: bool,
}

/// A request of the vocabulary, as the documents show it.
#[derive(Clone, Copy, Debug)]
pub struct RequestRow {
    /// Which request.
    pub kind: RequestKind,
    /// Its name on the wire.
    pub name: &'static str,
    /// Its fields besides `request` and `id`.
    pub fields: &'static [Field],
    /// What it does.
    pub summary: &'static str,
    /// What its `ok` reply carries.
    pub reply: &'static str,
}

macro_rules! requests {
    ($($kind:ident $name:literal [$($field:ident: $form:literal $($required:ident)?),*] $summary:literal => $reply:literal;)*) => {
        /// Which request.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RequestKind {
            $(#[doc = $summary] $kind,)*
        }

        /// Every request of the vocabulary.
        pub const REQUESTS: &[RequestRow] = &[$(RequestRow {
            kind: RequestKind::$kind,
            name: $name,
            fields: &[$(Field {
                name: stringify!($field),
                form: $form,
                required: requests!(@required $($required)?),
            }),*],
            summary: $summary,
            reply: $reply,
        }),*];

        impl RequestKind {
            /// The request's name on the wire.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Self::$kind => $name,)*
                }
            }
        }
    };
    (@required required) => { true };
    (@required) => { false };
}

requests! {
    Hello "hello" [version: "integer", agent: "text", nick: "nickname"]
        "says who the client is, and asks what the server can do" =>
        "server, version, protocol, session, nick, address, history, durability, limits, features";
    Nick "nick" [nick: "nickname" required]
        "takes a nickname; unique, without regard to case" => "nick, address, since";
    Join "join" [room: "room name" required]
        "joins a room, which is made where there is none" => "room, seq, members";
    Leave "leave" [room: "room name" required] "leaves a room" => "room";
    Post "post" [room: "room name" required, text: "text", data: "base64", nick: "nickname"]
        "sends a message; the request's id is a UUID and becomes the message's" => "room, seq, time";
    Tail "tail" [rooms: "list of room names", last: "integer"]
        "follows rooms without joining them, all of them where none is named; `last` replays so many first" => "rooms";
    History "history" [room: "room name" required, before: "seq", after: "seq", since: "time", until: "time", limit: "integer"]
        "past messages as events that carry the request's id in `history`, oldest first, then the reply" => "room, count, more";
    Members "members" [room: "room name" required] "who is in a room" => "room, members";
    Rooms "rooms" [] "which rooms there are" => "rooms";
    Ping "ping" [] "asks for a reply and nothing else" => "";
    Stats "stats" [] "what the server counts" => "stats";
    Stop "stop" [] "ends the daemon as TERM does: says bye, empties the queues, closes" => "";
}

/// A request, parsed and validated as far as one can without the server's state.
#[derive(Clone, Debug, PartialEq)]
pub enum Request<'a> {
    /// See the table.
    Hello {
        /// The version of the vocabulary that the client speaks.
        version: Option<u32>,
        /// What the client is.
        agent: Option<Cow<'a, str>>,
        /// The wished nickname.
        nick: Option<Nick>,
    },
    /// See the table.
    Nick {
        /// The wished nickname.
        nick: Nick,
    },
    /// See the table.
    Join {
        /// Which room.
        room: RoomName,
    },
    /// See the table.
    Leave {
        /// Which room.
        room: RoomName,
    },
    /// See the table.
    Post {
        /// Which room.
        room: RoomName,
        /// The message's id, which is the request's.
        message_id: MessageId,
        /// Any bytes, at most the message limit.
        content: Cow<'a, [u8]>,
        /// To speak as somebody else: administrators on the control socket only.
        nick: Option<Nick>,
    },
    /// See the table.
    Tail {
        /// Which rooms; none means all, also those made later.
        rooms: Vec<RoomName>,
        /// How many of the latest messages of each to replay first.
        last: Option<u32>,
    },
    /// See the table.
    History {
        /// Which room.
        room: RoomName,
        /// Which messages.
        range: HistoryRange,
    },
    /// See the table.
    Members {
        /// Which room.
        room: RoomName,
    },
    /// See the table.
    Rooms,
    /// See the table.
    Ping,
    /// See the table.
    Stats,
    /// See the table.
    Stop,
}

/// Which messages of a room a `history` request means. What is not given does not bound.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HistoryRange {
    /// Only those before this place.
    pub before: Option<Seq>,
    /// Only those after this place; the page then begins there, otherwise it ends at the newest.
    pub after: Option<Seq>,
    /// Only those stored at this time or later.
    pub since: Option<WallTime>,
    /// Only those stored before this time.
    pub until: Option<WallTime>,
    /// At most so many, and at most [`HISTORY_MESSAGES_MAX`].
    pub limit: Option<u32>,
}

impl Request<'_> {
    /// Which request this is.
    pub const fn kind(&self) -> RequestKind {
        match self {
            Self::Hello { .. } => RequestKind::Hello,
            Self::Nick { .. } => RequestKind::Nick,
            Self::Join { .. } => RequestKind::Join,
            Self::Leave { .. } => RequestKind::Leave,
            Self::Post { .. } => RequestKind::Post,
            Self::Tail { .. } => RequestKind::Tail,
            Self::History { .. } => RequestKind::History,
            Self::Members { .. } => RequestKind::Members,
            Self::Rooms => RequestKind::Rooms,
            Self::Ping => RequestKind::Ping,
            Self::Stats => RequestKind::Stats,
            Self::Stop => RequestKind::Stop,
        }
    }
}

/// An error reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// What kind of error, for programs.
    pub code: ErrorCode,
    /// What was wrong, what the limit is and what to do, for people.
    pub message: String,
    /// When to try again, where that helps.
    pub retry_after: Option<Span>,
}

impl Error {
    /// An error that trying again later does not mend.
    pub fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), retry_after: None }
    }
}

macro_rules! error_codes {
    ($($code:ident $word:literal $meaning:literal;)*) => {
        /// What kind of error a reply tells of.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
        pub enum ErrorCode {
            $(#[doc = $meaning] $code,)*
        }

        /// Every error code: the code, its word on the wire, its meaning.
        pub const ERROR_CODES: &[(ErrorCode, &str, &str)] = &[$((ErrorCode::$code, $word, $meaning)),*];

        impl ErrorCode {
            /// The code on the wire.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$code => $word,)*
                }
            }
        }
    };
}

error_codes! {
    BadRequest "bad_request" "not JSON, a field missing or of the wrong form, or not possible here";
    UnknownRequest "unknown_request" "no request has this name";
    Forbidden "forbidden" "the connection may not do this";
    NoNickname "no_nickname" "a nickname must be taken first";
    NicknameInUse "nickname_in_use" "somebody else has this nickname";
    BadNickname "bad_nickname" "the nickname is empty, too long or has characters that nicknames do not have";
    BadRoom "bad_room" "the room name is empty, too long or has characters that room names do not have";
    NoSuchRoom "no_such_room" "there is no room of this name";
    NotInRoom "not_in_room" "the connection is not in this room";
    TooLarge "too_large" "the message or line is over its limit";
    LimitReached "limit_reached" "one more would pass a limit, such as the number of rooms";
    IdConflict "id_conflict" "another message has this id";
    RateLimited "rate_limited" "too many requests";
    StoreUnavailable "store_unavailable" "the message could not be stored, and was not sent";
    ShuttingDown "shutting_down" "the daemon is ending";
}

impl ErrorCode {
    /// The code with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        ERROR_CODES.iter().find(|(_, known, _)| *known == word).map(|(code, _, _)| *code)
    }
}

/// Every event: its name, its fields, what it tells.
pub const EVENTS: &[(&str, &str, &str)] = &[
    (
        "message",
        "room, seq, time, message_id, from, text or data, history?",
        "a message of a room; `history` is the id of the request it answers",
    ),
    ("joined", "room, nick", "somebody joined a room"),
    ("left", "room, nick", "somebody left a room"),
    ("renamed", "room, nick, new_nick", "somebody in a room took another nickname"),
    (
        "gap",
        "room, from_seq, to_seq",
        "the messages of a room that this connection was too slow for, both ends included",
    ),
    ("notice", "text", "from the operator"),
    ("bye", "reason", "the last thing before the daemon closes the connection"),
];
