//! What `ok` replies carry, by request.

use alloc::vec::Vec;

use serde::Serialize;

use crate::command::{MessageId, Seq};
use crate::time::WallTime;

/// The body of an `ok` reply.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum Reply<'a> {
    /// Done, and nothing to tell: `ping`, `stop`.
    Done {},
    /// To `hello`.
    Hello(Hello<'a>),
    /// To `nick`.
    Nick {
        /// The name as it is shown.
        nick: &'a str,
        /// Where the connection comes from.
        address: &'a str,
        /// Since when it has this name.
        since: WallTime,
    },
    /// To `join`.
    Join {
        /// Which room.
        room: &'a str,
        /// The place of its latest message; 0 before the first.
        seq: Seq,
        /// How many are in it, the joiner included.
        members: usize,
    },
    /// To `leave`.
    Leave {
        /// Which room.
        room: &'a str,
    },
    /// To `post`.
    Post {
        /// Which room.
        room: &'a str,
        /// The message's place in the room's order.
        seq: Seq,
        /// When it was taken.
        time: WallTime,
    },
    /// To `tail`.
    Tail {
        /// The rooms that are followed now.
        rooms: Vec<&'a str>,
    },
    /// To `history`, after its events.
    History {
        /// Which room.
        room: &'a str,
        /// How many messages were sent.
        count: usize,
        /// Whether the range has more of them.
        more: bool,
    },
    /// To `members`.
    Members {
        /// Which room.
        room: &'a str,
        /// Who is in it, by name.
        members: Vec<Member<'a>>,
    },
    /// To `rooms`.
    Rooms {
        /// Every room, by name.
        rooms: Vec<Room<'a>>,
    },
    /// To `stats`.
    Stats {
        /// What the server counts.
        stats: Stats<'a>,
    },
}

/// What the server is and can do.
#[derive(Clone, Debug, Serialize)]
pub struct Hello<'a> {
    /// The server's name.
    pub server: &'a str,
    /// The server's version.
    pub version: &'a str,
    /// The version of the vocabulary.
    pub protocol: u32,
    /// A number for this connection, in logs too.
    pub session: u64,
    /// The name that the connection speaks as.
    pub nick: Option<&'a str>,
    /// Where the connection comes from.
    pub address: &'a str,
    /// The history that sequence numbers belong to.
    pub history: MessageId,
    /// How durable an acknowledged message is.
    pub durability: &'a str,
    /// The limits a client should know.
    pub limits: HelloLimits,
    /// What this server can do beyond the first version of the vocabulary.
    pub features: &'a [&'a str],
}

/// The limits a client should know.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct HelloLimits {
    /// The most content of a message in bytes.
    pub message: usize,
    /// The longest line in bytes.
    pub line: usize,
    /// The most messages of one `history`.
    pub history: u32,
    /// Messages a second, where that is limited.
    pub messages_per_second: Option<u64>,
    /// Messages at once, where that is limited.
    pub message_burst: Option<u64>,
}

/// Somebody in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Member<'a> {
    /// The name.
    pub nick: &'a str,
}

/// A room.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Room<'a> {
    /// Its name.
    pub room: &'a str,
    /// How many are in it.
    pub members: usize,
    /// How many follow it without being in it.
    pub followers: usize,
    /// The place of its latest message; 0 before the first.
    pub seq: Seq,
}

/// What the server counts. Counters begin at its start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Stats<'a> {
    /// The server's name.
    pub server: &'a str,
    /// The server's version.
    pub version: &'a str,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Connections of v0.5 clients.
    pub connections_native: usize,
    /// Control connections.
    pub connections_control: usize,
    /// Connections that have not chosen a protocol yet.
    pub connections_undecided: usize,
    /// The most connections at once, where that is limited.
    pub connections_max: Option<usize>,
    /// Connections since the start.
    pub accepted: u64,
    /// Connections closed for being slow: outbox, stall or memory.
    pub cut_slow: u64,
    /// Gaps told to slow receivers.
    pub gaps: u64,
    /// Rooms.
    pub rooms: usize,
    /// Messages taken.
    pub messages: u64,
    /// Messages handed to receivers' queues.
    pub deliveries: u64,
    /// Messages encoded, once each by dialect that had a receiver.
    pub encoded: u64,
    /// Bytes read from peers.
    pub bytes_in: u64,
    /// Bytes written to peers.
    pub bytes_out: u64,
    /// Blocks of encoded frames that are still being written.
    pub blocks: usize,
    /// Their bytes, each block counted once.
    pub block_bytes: usize,
    /// Bytes queued for one connection only.
    pub private_bytes: usize,
    /// Bytes of recent messages.
    pub recent_bytes: usize,
}
