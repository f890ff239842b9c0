//! What `ok` replies carry, by request.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
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
    /// To `post` to a nickname.
    Direct {
        /// Whose it is.
        to: &'a str,
        /// When it was taken.
        time: WallTime,
    },
    /// To `receipt`.
    Receipt {
        /// Of which message.
        message_id: MessageId,
    },
    /// To `tail`.
    Tail {
        /// Rooms that are followed now.
        rooms: Vec<&'a str>,
        /// Whether there are others.
        more: bool,
    },
    /// To `history`, after its events.
    History {
        /// Which room.
        room: &'a str,
        /// How many messages were sent.
        count: usize,
        /// Whether the range has more of them.
        more: bool,
        /// Up to here nothing of the room is kept any more; 0 where all is there.
        forgotten: Seq,
    },
    /// To `members`.
    Members {
        /// Which room.
        room: &'a str,
        /// Who is in it, by name.
        members: Vec<Member<'a>>,
        /// Whether there are others behind the last.
        more: bool,
    },
    /// To `rooms`.
    Rooms {
        /// Each, by name.
        rooms: Vec<Room<'a>>,
        /// Whether there are others behind the last.
        more: bool,
    },
    /// To `whois`.
    Whois(Whois<'a>),
    /// To `topic`.
    Topic {
        /// Which room.
        room: &'a str,
        /// What it is; empty for none.
        topic: &'a str,
        /// Who set it.
        by: Option<&'a str>,
        /// When that was.
        time: Option<WallTime>,
    },
    /// To `away`.
    Away {
        /// What one has left word of; empty for being there.
        away: &'a str,
    },
    /// To `bridge`.
    Bridge {
        /// Since when one waits.
        since: WallTime,
    },
    /// To `chat`.
    Chat {
        /// With whom one talks.
        peer: &'a str,
        /// Whose turn it is, where there are turns: `yours` or `theirs`.
        turn: Option<&'a str>,
        /// Whether the talk goes over a connection of their own.
        direct: bool,
    },
    /// To `say`.
    Say {
        /// Which message.
        message_id: MessageId,
        /// When it was taken.
        time: WallTime,
        /// Whose turn it is now, where there are turns.
        turn: Option<&'a str>,
    },
    /// To `pass`.
    Pass {
        /// Whose turn it is now.
        turn: &'a str,
    },
    /// To `connections`.
    Connections {
        /// Each, by session.
        connections: Vec<Connection<'a>>,
        /// Whether there are others behind the last.
        more: bool,
    },
    /// To `kick`.
    Kick {
        /// How many connections were closed.
        closed: usize,
    },
    /// To `ban`.
    Ban {
        /// How many connections were closed.
        closed: usize,
        /// When it ends by itself.
        until: Option<WallTime>,
    },
    /// To `bans`.
    Bans {
        /// Each.
        bans: Vec<Ban<'a>>,
    },
    /// To `announce`.
    Announce {
        /// How many connections were told.
        connections: usize,
    },
    /// To `log_level`.
    LogLevel {
        /// What is logged.
        level: &'a str,
    },
    /// To `stats`.
    Stats {
        /// What the server counts.
        stats: Box<Stats<'a>>,
    },
}

impl Reply<'_> {
    /// The reply is encoded in no fewer bytes than these: what is too long by far need not be encoded to know it.
    pub fn bytes_least(&self) -> usize {
        let sum = |lengths: &mut dyn Iterator<Item = usize>| {
            lengths.fold(0, |all: usize, one| all.saturating_add(one))
        };
        let and = |length: usize, names: usize| length.saturating_add(names);
        match self {
            Self::Tail { rooms, .. } => sum(&mut rooms.iter().map(|room| and(room.len(), 2))),
            Self::Members { members, .. } => {
                sum(&mut members.iter().map(|member| and(member.nick.len(), 11)))
            }
            Self::Rooms { rooms, .. } => {
                sum(&mut rooms.iter().map(|room| and(room.room.len(), 44)))
            }
            Self::Connections { connections, .. } => {
                sum(&mut connections.iter().map(|row| and(row.address.len(), 200)))
            }
            Self::Bans { bans, .. } => sum(&mut bans.iter().map(|ban| and(ban.reason.len(), 35))),
            Self::Done {}
            | Self::Hello(_)
            | Self::Nick { .. }
            | Self::Join { .. }
            | Self::Leave { .. }
            | Self::Post { .. }
            | Self::Direct { .. }
            | Self::Receipt { .. }
            | Self::History { .. }
            | Self::Whois(_)
            | Self::Topic { .. }
            | Self::Away { .. }
            | Self::Bridge { .. }
            | Self::Chat { .. }
            | Self::Say { .. }
            | Self::Pass { .. }
            | Self::Kick { .. }
            | Self::Ban { .. }
            | Self::Announce { .. }
            | Self::LogLevel { .. }
            | Self::Stats { .. } => 0,
        }
    }
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
    /// The room of every v0.5 client.
    pub default_room: &'a str,
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
    /// Whether they are away.
    #[serde(skip_serializing_if = "core::ops::Not::not")]
    pub away: bool,
}

/// Who has a nickname.
#[derive(Clone, Debug, Serialize)]
pub struct Whois<'a> {
    /// The name as its owner writes it.
    pub nick: &'a str,
    /// Since when it is theirs.
    pub since: WallTime,
    /// Since when they are connected.
    pub connected: WallTime,
    /// How long they have said nothing, in milliseconds.
    pub idle_ms: u64,
    /// The rooms they are in.
    pub rooms: Vec<&'a str>,
    /// What they left word of, where they are away.
    pub away: Option<&'a str>,
    /// What their client calls itself.
    pub agent: Option<&'a str>,
    /// What they speak: `native`, `v1` or `control`.
    pub protocol: &'a str,
    /// Where they come from; administrators see it.
    pub address: Option<Cow<'a, str>>,
}

/// A connection, as administrators see it.
#[derive(Clone, Debug, Serialize)]
pub struct Connection<'a> {
    /// Its number, in `hello` and in the log too.
    pub session: u64,
    /// Its name.
    pub nick: Option<&'a str>,
    /// Where it comes from.
    pub address: Cow<'a, str>,
    /// What it speaks: `undecided`, `native`, `v1` or `control`.
    pub protocol: &'a str,
    /// What its client calls itself.
    pub agent: Option<&'a str>,
    /// How long it has been there, in milliseconds.
    pub connected_ms: u64,
    /// How long it has said nothing, in milliseconds.
    pub idle_ms: u64,
    /// How many rooms it is in or follows.
    pub rooms: usize,
    /// How often it was paused for saying more than its share.
    pub pauses: u32,
    /// Messages that wait for it.
    pub lag_messages: u64,
    /// Bytes that wait for it, in chatd.
    pub lag_bytes: usize,
    /// How long it has taken nothing of them, in milliseconds.
    pub lag_ms: u64,
    /// In how many rooms it is being skipped.
    pub gaps: u32,
    /// Bytes that the kernel holds for it, where it tells.
    pub kernel_bytes: Option<u32>,
    /// The round-trip time in microseconds, where the kernel tells.
    pub rtt_us: Option<u32>,
    /// Why something waits: `their window` (they do not read), `the network` (the kernel still sends), `our limit` (it is being
    /// skipped), `our pace` (it is written next).
    pub why: Option<&'a str>,
}

/// Somebody who is kept out.
#[derive(Clone, Debug, Serialize)]
pub struct Ban<'a> {
    /// A nickname.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nick: Option<&'a str>,
    /// A network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub network: Option<String>,
    /// When it ends by itself.
    pub until: Option<WallTime>,
    /// Why.
    pub reason: &'a str,
    /// Who said so.
    pub by: &'a str,
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

/// How often somebody ran into a limit, since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct LimitHits {
    /// Speakers not read for a while, since they said too much: `messages`.
    pub paused_messages: u64,
    /// Since they sent too many bytes: `bytes`.
    pub paused_bytes: u64,
    /// Since too much went to too many for them: `fanout`.
    pub paused_fanout: u64,
    /// Since the store had too much to do.
    pub paused_store: u64,
    /// Connections turned away since there are as many as there may be: `connections`.
    pub refused_connections: u64,
    /// Since their address has too many: `clients_per_ip`.
    pub refused_clients_per_ip: u64,
    /// Since their address connects too often: `accept_rate`.
    pub refused_accept_rate: u64,
    /// Control connections turned away.
    pub refused_control: u64,
    /// Changes of nickname refused: `nick_changes`.
    pub refused_nick_changes: u64,
    /// Rooms that were not made, joined or followed: `rooms`, `rooms_joined`, `rooms_made`.
    pub refused_rooms: u64,
}

/// Somebody who ran into a limit lately.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Hit<'a> {
    /// Which limit.
    pub limit: &'a str,
    /// A nickname, or an address or network where there is none.
    pub who: &'a str,
    /// How often.
    pub times: u64,
    /// How long ago the last time was, in milliseconds.
    pub ago_ms: u64,
}

/// How long turns of the loop took, without its sleep, in microseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Turns {
    /// How many turns there were.
    #[serde(rename = "turns")]
    pub count: u64,
    /// Half of them took no longer; at most a quarter too much.
    #[serde(rename = "turn_p50_us")]
    pub p50_us: u64,
    /// 99 of 100 took no longer; at most a quarter too much.
    #[serde(rename = "turn_p99_us")]
    pub p99_us: u64,
    /// The longest, exactly.
    #[serde(rename = "turn_longest_us")]
    pub longest_us: u64,
}

/// What happened in the last minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Recent {
    /// How long that minute was in milliseconds: 50 to 60 seconds, less at the start.
    pub ms: u64,
    /// Messages taken.
    pub messages: u64,
    /// Messages handed to receivers' queues.
    pub deliveries: u64,
    /// How long turns took.
    #[serde(flatten)]
    pub turns: Turns,
}

/// The process that serves: what only those need to know who look after it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Process<'a> {
    /// Its number.
    pub pid: u32,
    /// How many descriptors it may have.
    pub descriptors_max: usize,
    /// The network addresses on which it listens.
    pub listeners: &'a [String],
}

/// How the store goes, and what waits for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Store {
    /// `well`; `full`: its disk is, and posts are refused; `broken`: it cannot be written, and posts are refused; `none`: messages are
    /// in memory only.
    pub state: &'static str,
    /// Messages that wait to be stored.
    pub queue_messages: usize,
    /// Their content in bytes.
    pub queue_bytes: usize,
    /// How long half of the latest commits took at most, in microseconds.
    pub commit_p50_us: u64,
    /// How long 99 of 100 of them did.
    pub commit_p99_us: u64,
    /// How much of the disk it takes.
    pub database_bytes: u64,
    /// How much of its disk is free.
    pub free_bytes: u64,
}

/// What the server counts. Counters begin at its start.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Stats<'a> {
    /// The server's name.
    pub server: &'a str,
    /// The server's version.
    pub version: &'a str,
    /// Milliseconds since the start.
    pub uptime_ms: u64,
    /// Connections of v0.5 clients.
    pub connections_native: usize,
    /// Connections of v1 clients over TCP.
    pub connections_v1: usize,
    /// Control connections.
    pub connections_control: usize,
    /// Connections of v1 clients over a WebSocket.
    pub connections_websocket: usize,
    /// Connections that ask over HTTP.
    pub connections_http: usize,
    /// Connections that hear a room as server-sent events.
    pub connections_events: usize,
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
    /// Connections that wait for a one-to-one talk.
    pub talks_waiting: usize,
    /// One-to-one talks that are open.
    pub talks_open: usize,
    /// Messages taken.
    pub messages: u64,
    /// Messages handed to receivers' queues.
    pub deliveries: u64,
    /// Events encoded for v0.5: each once, where somebody hears it.
    pub encoded_v05: u64,
    /// Events encoded for v1: each once for all framings of it, where somebody hears it.
    pub encoded_v1: u64,
    /// How long turns took since the start.
    #[serde(flatten)]
    pub turns: Turns,
    /// What happened in the last minute.
    pub recent: Recent,
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
    /// The most bytes of blocks and of those queued for one connection, together, where that is limited: `store`.
    pub store_bytes_max: Option<usize>,
    /// Bytes of unfinished frames, and of those that quotas hold back.
    pub kept_bytes: usize,
    /// Bytes of recent messages.
    pub recent_bytes: usize,
    /// How often limits were hit.
    #[serde(flatten)]
    pub hits: LimitHits,
    /// How the store goes.
    pub store: Store,
    /// Who hit one lately, the latest first; administrators see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub who: Option<Vec<Hit<'a>>>,
    /// The process that serves; administrators see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub process: Option<Process<'a>>,
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::Dialect;
    use crate::encode;

    /// How long a reply is at least, and how long it is.
    fn lengths(reply: &Reply<'_>) -> (usize, usize) {
        let mut bytes = Vec::new();
        encode::reply(Dialect::Control, None, reply, &mut bytes);
        (reply.bytes_least(), bytes.len())
    }

    #[test]
    fn a_list_is_as_long_as_it_is_said_to_be_at_least_and_not_twice_that() {
        let lists = [
            Reply::Tail { rooms: vec!["r"; 100], more: true },
            Reply::Members {
                room: "r",
                members: vec![Member { nick: "n", away: false }; 100],
                more: true,
            },
            Reply::Bans {
                bans: vec![
                    Ban { nick: None, network: None, until: None, reason: "", by: "r" };
                    100
                ],
            },
        ];
        for list in lists {
            let (least, length) = lengths(&list);
            assert!(least <= length && length <= 2 * least + 100, "{least} {length} {list:?}");
        }
        let room = Room { room: "r", members: 0, followers: 0, seq: Seq(0) };
        let (least, length) = lengths(&Reply::Rooms { rooms: vec![room; 100], more: true });
        assert!(least <= length && length <= 2 * least, "{least} {length}");
    }

    #[test]
    fn connections_are_as_long_as_they_are_said_to_be_at_least() {
        let row = Connection {
            session: 1,
            nick: None,
            address: Cow::Borrowed(""),
            protocol: "v1",
            agent: None,
            connected_ms: 0,
            idle_ms: 0,
            rooms: 0,
            pauses: 0,
            lag_messages: 0,
            lag_bytes: 0,
            lag_ms: 0,
            gaps: 0,
            kernel_bytes: Some(0),
            rtt_us: Some(0),
            why: None,
        };
        let page = Reply::Connections { connections: vec![row; 100], more: true };
        let (least, length) = lengths(&page);
        assert!(least <= length && length <= 2 * least, "{least} {length}");
    }
}
