//! The v1 vocabulary as tables: events and error codes here, requests in [`crate::requests`]. Documents and tests are made from
//! them.

use alloc::string::String;

use crate::time::Span;

/// The version of the vocabulary that `hello` speaks of.
pub const VERSION: u32 = 1;
/// The most messages that one `history` gives: one page.
pub const HISTORY_MESSAGES_MAX: u32 = 500;
/// The most rooms that one `tail` names: as many as a connection may be in.
pub const TAIL_ROOMS_MAX: usize = 100;

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
    NicknameInUse "nickname_in_use" "somebody else has this nickname, or one that looks like it; or it is the server's, or a login name on the control socket";
    BadNickname "bad_nickname" "the nickname is empty, too long, has characters that nicknames do not have or ends in `(to you)`";
    BadRoom "bad_room" "the room name is empty, too long or has characters that room names do not have";
    NoSuchRoom "no_such_room" "there is no room of this name";
    NoSuchNick "no_such_nick" "nobody has this nickname, or no connection this number";
    NoSuchMessage "no_such_message" "no message with this id waits for a receipt of this connection";
    NoSuchBan "no_such_ban" "this nickname or network is not kept out";
    NotInRoom "not_in_room" "the connection is not in this room";
    NotInTalk "not_in_talk" "the connection waits for nobody, or has no talk that it could do this in";
    NotYourTurn "not_your_turn" "the other side of the talk is to write";
    Busy "busy" "whoever was called is in a talk already; only `chatctl talk --listen` says so";
    TooLarge "too_large" "the message or line is over its limit";
    LimitReached "limit_reached" "one more would pass a limit, such as the number of rooms";
    IdConflict "id_conflict" "another message has this id";
    RateLimited "rate_limited" "too many requests";
    StoreUnavailable "store_unavailable" "the message could not be stored, and was not sent; or past ones cannot be read";
    BadConfiguration "bad_configuration" "the configuration is wrong, or cannot be had without a restart; everything is as it was";
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
        "room or to, seq?, time, message_id, from, text or data, content_type?, receipt?, history?",
        "a message of a room, or to this connection's nickname, which has no `seq`; `content_type` is what the author says that it is; `receipt` asks for one; `history` is the id of the request it answers",
    ),
    ("delivered", "message_id, by, time", "somebody gave the receipt that a message asked for"),
    ("joined", "room, nick", "somebody joined a room"),
    ("left", "room, nick", "somebody left a room"),
    (
        "renamed",
        "room?, nick, new_nick",
        "somebody in a room took another nickname; without a room, the other side of the talk",
    ),
    (
        "presence",
        "room, members, joined, left, joined_count, left_count",
        "in rooms of more than 50, instead of `joined` and `left`: who came and went within a second, at most 20 names of each, and how many are there now",
    ),
    ("topic", "room, nick, topic", "a room has another topic"),
    ("away", "room, nick, away", "somebody in a room is away, or back where `away` is empty"),
    (
        "gap",
        "room, from_seq, to_seq",
        "the messages of a room that this connection was too slow for, or that are not kept any more, both ends included",
    ),
    (
        "talk_waiting",
        "since, peer?",
        "this connection waits for a talk again: with anyone, or with the one that it named",
    ),
    (
        "talk_ready",
        "peer, turns, direct?, address?",
        "somebody to talk to was found, and whether by turns; `direct` where they listen for a connection past the server, and where, if both sides do",
    ),
    (
        "talk_started",
        "peer, turn?, direct?",
        "the talk is open; with turns, whose it is: `yours` or `theirs`; `direct` where it goes over a connection of their own",
    ),
    (
        "talk_turn",
        "turn, reason?",
        "the turn went to the other side; `timeout` where it was not used in time",
    ),
    (
        "talk_message",
        "from, time, message_id, text or data, turn?",
        "a message of the talk, to be answered with `receipt`; with turns it is this side's turn now",
    ),
    (
        "talk_ended",
        "peer?, reason",
        "`left` or `hangup`: the peer did so; `gone`: its connection is; `timeout`: nobody was found in time",
    ),
    ("notice", "text", "from the operator"),
    ("bye", "reason", "the last thing before the daemon closes the connection"),
];
