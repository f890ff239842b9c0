//! Events and replies to bytes, by dialect. Each function appends whole frames to `out`.
//!
//! Who receives a frame is not known here: a room's frames are encoded once by dialect and shared.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::command::{MessageId, RequestId, Seq};
use crate::http::events;
use crate::names::{Nick, RoomName, TO_YOU};
use crate::native;
use crate::reply::Reply;
use crate::time::WallTime;
use crate::vocabulary::Error;
use crate::ws;

/// How a connection is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Native frames of types 0 to 5.
    Native05,
    /// JSON lines.
    Control,
    /// Native frames of type 16, one JSON object each.
    NativeV1,
    /// Text messages of a WebSocket, one JSON object each.
    WebSocket,
    /// Server-sent events over HTTP, one JSON object each.
    Events,
    /// JSON lines as the bodies of HTTP responses. Nobody hears a room in it.
    Http,
    /// What messages carry, as it was posted, for the body of an HTTP response, behind a line that says what it is. Nobody hears a room in it.
    Content,
}

/// How many dialects there are in which rooms are heard.
pub const DIALECTS: usize = 5;

impl Dialect {
    /// Every dialect in which rooms are heard, in the order of [`Dialect::index`].
    pub const ALL: [Self; DIALECTS] =
        [Self::Native05, Self::Control, Self::NativeV1, Self::WebSocket, Self::Events];

    /// A small number, below [`DIALECTS`] where rooms are heard in it.
    pub const fn index(self) -> usize {
        match self {
            Self::Native05 => 0,
            Self::Control => 1,
            Self::NativeV1 => 2,
            Self::WebSocket => 3,
            Self::Events => 4,
            Self::Http | Self::Content => DIALECTS,
        }
    }

    /// Whether it begins with an HTTP request: then the server's end of the connection is told before it is gone.
    pub const fn is_web(self) -> bool {
        match self {
            Self::WebSocket | Self::Events | Self::Http | Self::Content => true,
            Self::Native05 | Self::Control | Self::NativeV1 => false,
        }
    }

    /// Whether it speaks the v1 vocabulary: then its frames are the same JSON, framed its own way.
    pub const fn is_v1(self) -> bool {
        match self {
            Self::Native05 => false,
            Self::Control
            | Self::NativeV1
            | Self::WebSocket
            | Self::Events
            | Self::Http
            | Self::Content => true,
        }
    }
}

/// Something that happened, for those whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A message of a room, or to one nickname.
    Message(Message<'a>),
    /// Somebody gave the receipt that a message asked for.
    Delivered {
        /// Which message.
        message_id: MessageId,
        /// Who has it.
        by: &'a str,
        /// When that was said.
        time: WallTime,
    },
    /// Somebody joined a room.
    Joined {
        /// Which room.
        room: &'a RoomName,
        /// Who.
        nick: &'a str,
    },
    /// Somebody left a room.
    Left {
        /// Which room.
        room: &'a RoomName,
        /// Who.
        nick: &'a str,
    },
    /// Somebody in a room took another nickname, or the other side of a talk.
    Renamed {
        /// Which room; none for a talk.
        #[serde(skip_serializing_if = "Option::is_none")]
        room: Option<&'a RoomName>,
        /// The name until now.
        nick: &'a str,
        /// The name from now on.
        new_nick: &'a str,
    },
    /// Who came to and went from a large room within a while.
    Presence {
        /// Which room.
        room: &'a RoomName,
        /// How many are in it now.
        members: usize,
        /// Some of those who came.
        joined: &'a [Nick],
        /// Some of those who went.
        left: &'a [Nick],
        /// How many came.
        joined_count: usize,
        /// How many went.
        left_count: usize,
    },
    /// A room has another topic.
    Topic {
        /// Which room.
        room: &'a RoomName,
        /// Who set it.
        nick: &'a str,
        /// What it is now; empty for none.
        topic: &'a str,
    },
    /// Somebody in a room is away, or back.
    Away {
        /// Which room.
        room: &'a RoomName,
        /// Who.
        nick: &'a str,
        /// What they left word of; empty for back.
        away: &'a str,
    },
    /// Messages of a room that this connection was too slow for, or that are not kept any more.
    Gap {
        /// Which room.
        room: &'a RoomName,
        /// The first that is missing.
        from_seq: Seq,
        /// The last that is missing.
        to_seq: Seq,
    },
    /// This connection waits for a talk again.
    TalkWaiting {
        /// Since when.
        since: WallTime,
        /// For whom, where it named somebody.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<&'a str>,
    },
    /// Somebody to talk to was found.
    TalkReady {
        /// Who.
        peer: &'a str,
        /// Whether they write by turns.
        turns: bool,
        /// Whether the peer listens for a connection past the server.
        #[serde(skip_serializing_if = "core::ops::Not::not")]
        direct: bool,
        /// Where the peer listens, where both sides said where they do.
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<&'a str>,
    },
    /// The talk is open.
    TalkStarted {
        /// With whom.
        peer: &'a str,
        /// Whose turn it is, where there are turns.
        #[serde(skip_serializing_if = "Option::is_none")]
        turn: Option<&'a str>,
        /// Whether it goes over a connection of their own.
        #[serde(skip_serializing_if = "core::ops::Not::not")]
        direct: bool,
    },
    /// The turn went to the other side.
    TalkTurn {
        /// Whose it is now.
        turn: &'a str,
        /// Why, where nobody passed it.
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<&'a str>,
    },
    /// A message of the talk.
    TalkMessage {
        /// Who said it.
        from: &'a str,
        /// When it was taken.
        time: WallTime,
        /// Its own id.
        message_id: MessageId,
        /// What was said: any bytes.
        #[serde(flatten)]
        content: Content<'a>,
        /// Whose turn it is now, where there are turns.
        #[serde(skip_serializing_if = "Option::is_none")]
        turn: Option<&'a str>,
    },
    /// The talk is over, or will not be.
    TalkEnded {
        /// With whom, where somebody was found.
        #[serde(skip_serializing_if = "Option::is_none")]
        peer: Option<&'a str>,
        /// Why.
        reason: &'a str,
    },
    /// From the operator.
    Notice {
        /// The server's name: v0.5 peers see it as the speaker.
        #[serde(skip)]
        from: &'a str,
        /// What is said.
        text: &'a str,
    },
    /// The last thing before the daemon closes the connection.
    Bye {
        /// Why.
        reason: &'a str,
    },
}

/// Where a message was said.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Place<'a> {
    /// In a room.
    Room {
        /// Which room.
        room: &'a RoomName,
        /// Its place in the room's order.
        seq: Seq,
        /// Of which history that order is.
        #[serde(skip)]
        of: MessageId,
    },
    /// To one nickname: nobody else's order has it.
    Direct {
        /// Whose.
        to: &'a str,
    },
}

/// A message of a room, or to one nickname.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Message<'a> {
    /// Where it was said.
    #[serde(flatten)]
    pub place: Place<'a>,
    /// When it was taken.
    pub time: WallTime,
    /// Its own id.
    pub message_id: MessageId,
    /// Who said it.
    pub from: &'a str,
    /// What was said: any bytes.
    #[serde(flatten)]
    pub content: Content<'a>,
    /// What its author says that this is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<&'a str>,
    /// Whether its sender asks for a receipt.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub receipt: bool,
    /// The `history`, `join` or `tail` request that this answers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<&'a RequestId>,
}

/// Any bytes; in JSON they are `text` where they are valid UTF-8, else `data` in base64.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Content<'a>(pub &'a [u8]);

impl Serialize for Content<'_> {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        use serde::ser::SerializeMap;
        let mut map = serializer.serialize_map(Some(1))?;
        match core::str::from_utf8(self.0) {
            Ok(text) => map.serialize_entry("text", text)?,
            Err(_) => map.serialize_entry("data", &STANDARD.encode(self.0))?,
        }
        map.end()
    }
}

/// Whether the dialect can say this at all: v0.5 knows messages and, from the server's name, notices.
pub const fn has_form(dialect: Dialect, event: &Event<'_>) -> bool {
    match dialect {
        Dialect::Native05 => matches!(event, Event::Message(_) | Event::Notice { .. }),
        Dialect::Control
        | Dialect::NativeV1
        | Dialect::WebSocket
        | Dialect::Events
        | Dialect::Http => true,
        Dialect::Content => matches!(event, Event::Message(_)),
    }
}

/// Appends an event; nothing where the dialect has no form for it.
pub fn event(dialect: Dialect, event: &Event<'_>, out: &mut Vec<u8>) {
    if dialect.is_v1() {
        v1_event(dialect, event, out);
        return;
    }
    match event {
        Event::Message(message) => match message.place {
            Place::Room { .. } => broadcast(message.from, message.content.0, out),
            Place::Direct { .. } => direct(message.from, message.content.0, out),
        },
        Event::Notice { from, text } => broadcast(from, text.as_bytes(), out),
        Event::Delivered { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Renamed { .. }
        | Event::Presence { .. }
        | Event::Topic { .. }
        | Event::Away { .. }
        | Event::Gap { .. }
        | Event::TalkWaiting { .. }
        | Event::TalkReady { .. }
        | Event::TalkStarted { .. }
        | Event::TalkTurn { .. }
        | Event::TalkMessage { .. }
        | Event::TalkEnded { .. }
        | Event::Bye { .. } => {}
    }
}

/// The same in the dialects of v1.
fn v1_event(dialect: Dialect, event: &Event<'_>, out: &mut Vec<u8>) {
    if let Event::Message(message) = event {
        if dialect == Dialect::Content {
            out.extend_from_slice(message.content_type.unwrap_or_default().as_bytes());
            out.push(b'\n');
            out.extend_from_slice(message.content.0);
            return;
        }
        if matches!(dialect, Dialect::Http | Dialect::Events) {
            // What answers a request by itself need not say which.
            let message = Message { history: None, ..*message };
            frame(dialect, place(event), &json(&Event::Message(message)), out);
            return;
        }
    }
    if has_form(dialect, event) {
        frame(dialect, place(event), &json(event), out);
    }
}

/// The one JSON body that all v1 dialects share.
pub fn body(event: &Event<'_>) -> Vec<u8> {
    json(event)
}

/// The history and the place in it of a room's message; nothing of what else happens.
pub const fn place(event: &Event<'_>) -> Option<(MessageId, Seq)> {
    match event {
        Event::Message(Message { place: Place::Room { seq, of, .. }, .. }) => Some((*of, *seq)),
        Event::Message(_)
        | Event::Delivered { .. }
        | Event::Joined { .. }
        | Event::Left { .. }
        | Event::Renamed { .. }
        | Event::Presence { .. }
        | Event::Topic { .. }
        | Event::Away { .. }
        | Event::Gap { .. }
        | Event::TalkWaiting { .. }
        | Event::TalkReady { .. }
        | Event::TalkStarted { .. }
        | Event::TalkTurn { .. }
        | Event::TalkMessage { .. }
        | Event::TalkEnded { .. }
        | Event::Notice { .. }
        | Event::Bye { .. } => None,
    }
}

/// Appends a JSON object, framed as a v1 dialect does it; `place` is what [`place`] says of it.
pub fn frame(dialect: Dialect, place: Option<(MessageId, Seq)>, json: &[u8], out: &mut Vec<u8>) {
    match dialect {
        Dialect::Native05 | Dialect::Content => debug_assert!(false, "it has no JSON"),
        Dialect::Control | Dialect::Http => {
            out.extend_from_slice(json);
            out.push(b'\n');
        }
        Dialect::NativeV1 => native::v1_frame(json, out),
        Dialect::WebSocket => ws::frame(ws::Opcode::Text, json, out),
        Dialect::Events => events::event(place.map(|(history, seq)| (history.0, seq)), json, out),
    }
}

/// A message to one nickname, as v0.5 receivers see it.
fn direct(from: &str, content: &[u8], out: &mut Vec<u8>) {
    broadcast(&format!("{from}{TO_YOU}"), content, out);
}

/// Appends Broadcast frames: malformed UTF-8 as U+FFFD, split at characters so that each frame keeps its limit.
fn broadcast(from: &str, content: &[u8], out: &mut Vec<u8>) {
    let text: Cow<'_, str> = String::from_utf8_lossy(content);
    let most = native::V05_CONTENT_BYTES_MAX.saturating_sub(from.len().saturating_add(1));
    let mut rest = &*text;
    loop {
        let (part, after) =
            rest.split_at_checked(rest.floor_char_boundary(most)).unwrap_or((rest, ""));
        native::broadcast(from, part, out);
        rest = after;
        if rest.is_empty() {
            return;
        }
    }
}

/// Appends a v1 reply. An object that the client cannot match (its id was unreadable) has the reply id null.
pub fn reply(dialect: Dialect, id: Option<&RequestId>, reply: &Reply<'_>, out: &mut Vec<u8>) {
    /// The envelope of an `ok` reply.
    #[derive(Serialize)]
    struct Done<'a> {
        reply: Option<&'a RequestId>,
        ok: bool,
        #[serde(flatten)]
        body: &'a Reply<'a>,
    }
    debug_assert!(dialect != Dialect::Native05, "v0.5 peers send no v1 requests");
    frame(dialect, None, &json(&Done { reply: id, ok: true, body: reply }), out);
}

/// What a reply says, without the request's id: the body of an HTTP response.
pub fn reply_body(reply: &Reply<'_>) -> Vec<u8> {
    /// The envelope of an `ok` reply.
    #[derive(Serialize)]
    struct Done<'a> {
        ok: bool,
        #[serde(flatten)]
        body: &'a Reply<'a>,
    }
    let mut body = json(&Done { ok: true, body: reply });
    body.push(b'\n');
    body
}

/// Appends an error reply.
pub fn refusal(dialect: Dialect, id: Option<&RequestId>, error: &Error, out: &mut Vec<u8>) {
    /// The envelope of an error reply.
    #[derive(Serialize)]
    struct Refused<'a> {
        reply: Option<&'a RequestId>,
        ok: bool,
        error: &'a str,
        message: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after: Option<u64>,
    }
    debug_assert!(dialect != Dialect::Native05, "v0.5 peers send no v1 requests");
    let retry_after = error.retry_after.map(|span| span.as_millis().div_ceil(1_000));
    let refused = Refused {
        reply: id,
        ok: false,
        error: error.code.word(),
        message: &error.message,
        retry_after,
    };
    frame(dialect, None, &json(&refused), out);
}

/// One JSON object. Serialising these types cannot fail: they have string keys and no foreign code.
fn json<T: Serialize>(value: &T) -> Vec<u8> {
    let json = serde_json::to_vec(value);
    debug_assert!(json.is_ok(), "the vocabulary's types always serialise");
    json.unwrap_or_default()
}
