//! One line of a recorded history.

use serde::{Deserialize, Serialize};

/// What a client did or heard, or what was done to all of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// It sends a post: `room`, `id`, `hash`; `receipt` where it asks for receipts.
    Post,
    /// A post is acknowledged: `room`, `id`, `seq`.
    Ok,
    /// A post is refused, which says that it is not stored: `id`. What says nothing about that is `unknown`.
    No,
    /// A post has no answer, and will have none on this connection: `id`.
    Unknown,
    /// From now on it is to hear everything of `room` later than `seq`. Without it that begins with the first message heard.
    Join,
    /// It hears a message live: `room`, `id`, `seq`, `hash`.
    Recv,
    /// It hears a message as a part of a replay: the same.
    Replay,
    /// It is told that it does not hear those of `room` from `seq` to `to`, both included.
    Gap,
    /// It says that it received the message `id`, under the name `by`.
    Receipt,
    /// The author of `id` is told that `by` received it.
    Delivered,
    /// The server says the last thing that it has to say on this connection.
    Bye,
    /// The connection is over.
    Close,
    /// From now on something is broken; `why` says what.
    Fault,
    /// From now on nothing is.
    Heal,
}

/// One line of a recorded history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// When, in microseconds of a clock that all clients of a run share and that never goes back.
    pub t: u64,
    /// Who wrote it down: a name that no two clients have.
    pub client: String,
    /// On which of the client's connections.
    #[serde(default)]
    pub conn: u64,
    /// What happened.
    pub op: Op,
    /// In which room.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub room: Option<String>,
    /// The message's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// The place in the room's order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seq: Option<u64>,
    /// The last place of a gap.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u64>,
    /// What was said, as [`hash_of`] it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hash: Option<String>,
    /// Who received.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub by: Option<String>,
    /// Whether the post asks for receipts.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub receipt: bool,
    /// For people: which fault, or why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

impl Record {
    /// One with nothing but who, where and what.
    pub fn new(t: u64, client: &str, conn: u64, op: Op) -> Self {
        let client = client.to_owned();
        let (room, id, seq, to, hash, by, why) = (None, None, None, None, None, None, None);
        Self { t, client, conn, op, room, id, seq, to, hash, by, receipt: false, why }
    }

    /// In this room.
    #[must_use]
    pub fn room(mut self, room: &str) -> Self {
        self.room = Some(room.to_owned());
        self
    }

    /// About this message.
    #[must_use]
    pub fn id(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }

    /// At this place.
    #[must_use]
    pub fn seq(mut self, seq: u64) -> Self {
        self.seq = Some(seq);
        self
    }

    /// Up to this place.
    #[must_use]
    pub fn to(mut self, to: u64) -> Self {
        self.to = Some(to);
        self
    }

    /// Of this content.
    #[must_use]
    pub fn hash(mut self, hash: &str) -> Self {
        self.hash = Some(hash.to_owned());
        self
    }

    /// Received by this one.
    #[must_use]
    pub fn by(mut self, by: &str) -> Self {
        self.by = Some(by.to_owned());
        self
    }

    /// Asks for receipts.
    #[must_use]
    pub fn receipt(mut self, asks: bool) -> Self {
        self.receipt = asks;
        self
    }

    /// For this reason.
    #[must_use]
    pub fn why(mut self, why: &str) -> Self {
        self.why = Some(why.to_owned());
        self
    }

    /// Its line, without the line break.
    pub fn line(&self) -> String {
        serde_json::to_string(self).unwrap()
    }
}

/// What stands for a content in a history: 16 hexadecimal digits (FNV-1a, which is enough to tell apart what no enemy made).
pub fn hash_of(content: &[u8]) -> String {
    let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
    format!("{:016x}", content.iter().fold(0xcbf2_9ce4_8422_2325, mix))
}
