//! Events and replies to bytes, by dialect. Each function appends whole frames to `out`.
//!
//! Who receives a frame is not known here: a room's frames are encoded once by dialect and shared.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;

use crate::command::{MessageId, RequestId, Seq};
use crate::names::RoomName;
use crate::native;
use crate::reply::Reply;
use crate::time::WallTime;
use crate::vocabulary::Error;

/// How a connection is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// Native frames of types 0 to 5.
    Native05,
    /// JSON lines.
    Control,
}

/// How many dialects there are.
pub const DIALECTS: usize = 2;

impl Dialect {
    /// Every dialect, in the order of [`Dialect::index`].
    pub const ALL: [Self; DIALECTS] = [Self::Native05, Self::Control];

    /// A small number, below [`DIALECTS`].
    pub const fn index(self) -> usize {
        match self {
            Self::Native05 => 0,
            Self::Control => 1,
        }
    }
}

/// Something that happened, for those whom it concerns.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event<'a> {
    /// A message of a room.
    Message(Message<'a>),
    /// Somebody joined a room.
    Joined {
        /// Which room.
        #[serde(serialize_with = "name")]
        room: &'a RoomName,
        /// Who.
        nick: &'a str,
    },
    /// Somebody left a room.
    Left {
        /// Which room.
        #[serde(serialize_with = "name")]
        room: &'a RoomName,
        /// Who.
        nick: &'a str,
    },
    /// Somebody in a room took another nickname.
    Renamed {
        /// Which room.
        #[serde(serialize_with = "name")]
        room: &'a RoomName,
        /// The name until now.
        nick: &'a str,
        /// The name from now on.
        new_nick: &'a str,
    },
    /// Messages of a room that this connection was too slow for.
    Gap {
        /// Which room.
        #[serde(serialize_with = "name")]
        room: &'a RoomName,
        /// The first that is missing.
        from_seq: Seq,
        /// The last that is missing.
        to_seq: Seq,
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

/// A message of a room.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Message<'a> {
    /// Which room.
    #[serde(serialize_with = "name")]
    pub room: &'a RoomName,
    /// Its place in the room's order.
    pub seq: Seq,
    /// When it was taken.
    pub time: WallTime,
    /// Its own id.
    pub message_id: MessageId,
    /// Who said it.
    pub from: &'a str,
    /// What was said: any bytes.
    #[serde(flatten)]
    pub content: Content<'a>,
    /// The `history` or `tail` request that this answers.
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

fn name<S: serde::Serializer>(name: &RoomName, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(name.as_str())
}

/// Whether the dialect can say this at all: v0.5 knows messages and, from the server's name, notices.
pub const fn has_form(dialect: Dialect, event: &Event<'_>) -> bool {
    match dialect {
        Dialect::Native05 => matches!(event, Event::Message(_) | Event::Notice { .. }),
        Dialect::Control => true,
    }
}

/// Appends an event; nothing where the dialect has no form for it.
pub fn event(dialect: Dialect, event: &Event<'_>, out: &mut Vec<u8>) {
    match (dialect, event) {
        (Dialect::Native05, Event::Message(message)) => {
            broadcast(message.from, message.content.0, out);
        }
        (Dialect::Native05, Event::Notice { from, text }) => broadcast(from, text.as_bytes(), out),
        (
            Dialect::Native05,
            Event::Joined { .. }
            | Event::Left { .. }
            | Event::Renamed { .. }
            | Event::Gap { .. }
            | Event::Bye { .. },
        ) => {}
        (Dialect::Control, event) => line(event, out),
    }
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
    line(&Done { reply: id, ok: true, body: reply }, out);
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
    line(&refused, out);
}

/// Appends one JSON line. Serialising these types cannot fail: they have string keys and no foreign code.
fn line<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let json = serde_json::to_vec(value);
    debug_assert!(json.is_ok(), "the vocabulary's types always serialise");
    out.extend_from_slice(&json.unwrap_or_default());
    out.push(b'\n');
}
