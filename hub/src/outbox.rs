//! What the hub hands out: effects, connections that have become dirty, and the notices for the log.
//!
//! The caller drains the outbox after each input. Nothing here is read back by the hub.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::fmt;

use proto::{Level, Nick, Protocol, RequestId, RoomName, Seq, Span};

use crate::close::CloseReason;
use crate::connection::ConnId;
use crate::store::{Fetch, Record};

/// What one input led to.
#[derive(Debug, Default)]
pub struct Outbox {
    /// To be carried out in this order.
    pub effects: VecDeque<Effect>,
    /// Connections that have something to write since now. Each is named once until everything of it is written.
    pub flush: Vec<ConnId>,
}

impl Outbox {
    pub(crate) fn effect(&mut self, effect: Effect) {
        self.effects.push_back(effect);
    }

    pub(crate) fn notice(&mut self, notice: Notice) {
        self.effects.push_back(Effect::Notice(notice));
    }
}

/// Something that the hub cannot do itself.
#[derive(Debug)]
pub enum Effect {
    /// A post for the store; the answer comes back through [`Hub::stored`](crate::Hub::stored).
    Store(Record),
    /// Past messages are wanted that are not in memory; they come back through [`Hub::fetched`](crate::Hub::fetched).
    Fetch(Fetch),
    /// What was held back may go on: call [`Hub::receive`](crate::Hub::receive) with no bytes, then read again.
    Resume(ConnId),
    /// Everything is written: end our direction, and go on reading.
    Finish(ConnId),
    /// Close both directions, then tell [`Hub::reaped`](crate::Hub::reaped).
    Close(ConnId),
    /// Something for the log.
    Notice(Notice),
    /// What the kernel knows of these connections is wanted; the answer comes back through [`Hub::measured`](crate::Hub::measured)
    /// before any other input.
    Measure(Measure),
    /// This is logged from now on, and what is heavier.
    LogLevel(Level),
    /// Do nothing at all for so long, with everything that waits for it: a `debug_stall` request was accepted.
    Stall(Span),
    /// The configuration is to be read anew; what became of it comes back through [`Hub::reloaded`](crate::Hub::reloaded). One at a
    /// time is asked for.
    Reload,
    /// A `stop` request was accepted: the daemon is to end as TERM ends it.
    Stop,
}

/// A question to the kernel, and for whom it is asked.
#[derive(Debug)]
pub struct Measure {
    /// Who asked, and under which request.
    pub(crate) asker: ConnId,
    pub(crate) request: RequestId,
    /// Whether there are others behind the last.
    pub(crate) more: bool,
    /// About whom, in the order of the answers.
    pub connections: Vec<ConnId>,
}

/// What the kernel knows of a connection; nothing where it does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Measured {
    /// The round-trip time, in microseconds.
    pub rtt_us: Option<u32>,
    /// Bytes that it holds for the peer: not sent, or not acknowledged.
    pub kernel_bytes: Option<u32>,
    /// How many segments are under way to the peer: sent, and not acknowledged.
    pub under_way: Option<u32>,
}

/// Something for the log. It never carries the content of a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Notice {
    /// A connection came.
    Accepted {
        /// Which.
        id: ConnId,
        /// From where.
        address: Box<str>,
    },
    /// A connection came that there was no room for.
    Refused {
        /// From where.
        address: Box<str>,
        /// Why.
        reason: RefusalReason,
    },
    /// A connection chose its protocol.
    Decided {
        /// Which.
        id: ConnId,
        /// What it speaks.
        protocol: Protocol,
    },
    /// A connection took a nickname.
    Named {
        /// Which.
        id: ConnId,
        /// The name.
        nick: Nick,
    },
    /// A connection said more than its share, and is not read for a while.
    Paused {
        /// Which.
        id: ConnId,
    },
    /// A receiver was too slow: what waited for it was left out, and it will be told so.
    Skipped {
        /// Which.
        id: ConnId,
        /// What waited for it, in bytes.
        bytes: usize,
    },
    /// Blocks and private bytes passed their budget: the readers of the oldest ones are skipped or cut.
    MemoryPressure {
        /// How much there was, in bytes.
        bytes: usize,
        /// How much there may be, in bytes.
        limit: usize,
    },
    /// The store did not take a message.
    StoreRefused {
        /// Which room.
        room: RoomName,
        /// Its place, which stays empty.
        seq: Seq,
    },
    /// An administrator did something to others: kicked, banned, changed what is logged.
    Administered {
        /// Over which connection.
        id: ConnId,
        /// Who.
        by: Nick,
        /// What, in words.
        what: Box<str>,
    },
    /// A user of the control socket asked for what they may not.
    Forbidden {
        /// Over which connection.
        id: ConnId,
        /// Who.
        by: Nick,
        /// For what.
        request: &'static str,
    },
    /// A control connection asked the daemon to end.
    StopAsked {
        /// Which.
        id: ConnId,
        /// Who.
        by: Nick,
    },
    /// The hub drains: no new connections, everything is flushed and closed.
    Draining {
        /// How many connections are left.
        connections: usize,
    },
    /// A connection is being closed.
    Closed {
        /// Which.
        id: ConnId,
        /// From where.
        address: Box<str>,
        /// Who, where it had a name.
        nick: Option<Nick>,
        /// Why.
        reason: CloseReason,
    },
}

/// Why a connection was not accepted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RefusalReason {
    /// There are as many as there may be.
    ConnectionsLimit,
    /// Its address has as many as one may have.
    ClientsPerIp,
    /// Its address connects too often.
    AcceptRate,
    /// There are as many control connections as there may be.
    ControlLimit,
    /// Its user has as many control connections as one may have.
    ControlByUser,
    /// An administrator keeps its address out.
    Banned,
    /// The daemon is ending.
    Draining,
}

impl RefusalReason {
    /// The reason as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ConnectionsLimit => "connections_limit",
            Self::ClientsPerIp => "clients_per_ip",
            Self::AcceptRate => "accept_rate",
            Self::ControlLimit => "control_limit",
            Self::ControlByUser => "control_by_user",
            Self::Banned => "banned",
            Self::Draining => "draining",
        }
    }
}

/// A connection was not accepted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// Why.
    pub reason: RefusalReason,
    /// The last words to the peer; empty where no protocol is known yet.
    pub words: Vec<u8>,
    /// It is not to be closed yet, but served as this connection: what it speaks decides what it is told.
    pub stands: Option<ConnId>,
}

impl Notice {
    /// The notice as one word.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Accepted { .. } => "accepted",
            Self::Refused { .. } => "refused",
            Self::Decided { .. } => "decided",
            Self::Named { .. } => "named",
            Self::Paused { .. } => "paused",
            Self::Skipped { .. } => "skipped",
            Self::MemoryPressure { .. } => "memory_pressure",
            Self::StoreRefused { .. } => "store_refused",
            Self::Administered { .. } => "administered",
            Self::Forbidden { .. } => "forbidden",
            Self::StopAsked { .. } => "stop_asked",
            Self::Draining { .. } => "draining",
            Self::Closed { .. } => "closed",
        }
    }

    /// How much it matters.
    pub const fn level(&self) -> Level {
        match self {
            Self::Accepted { .. }
            | Self::Decided { .. }
            | Self::Named { .. }
            | Self::Paused { .. }
            // The store itself says that it stores nothing.
            | Self::StoreRefused { .. } => Level::Debug,
            Self::Draining { .. }
            | Self::Administered { .. }
            | Self::Forbidden { .. }
            | Self::StopAsked { .. } => Level::Info,
            Self::Refused { .. } | Self::Skipped { .. } | Self::MemoryPressure { .. } => {
                Level::Warn
            }
            Self::Closed { reason, .. } => reason.level(),
        }
    }

    /// What it is about, for who searches the log.
    pub fn subject(&self) -> Subject<'_> {
        let of = |id: &ConnId| Subject { connection: Some(*id), ..Subject::default() };
        match self {
            Self::Accepted { id, address } => Subject { peer: Some(address), ..of(id) },
            Self::Refused { address, reason } => {
                Subject { peer: Some(address), reason: Some(reason.word()), ..Subject::default() }
            }
            Self::Decided { id, .. } | Self::Paused { id } | Self::Skipped { id, .. } => of(id),
            Self::Named { id, nick }
            | Self::Administered { id, by: nick, .. }
            | Self::Forbidden { id, by: nick, .. }
            | Self::StopAsked { id, by: nick } => Subject { nick: Some(nick), ..of(id) },
            Self::StoreRefused { room, .. } => Subject { room: Some(room), ..Subject::default() },
            Self::MemoryPressure { .. } | Self::Draining { .. } => Subject::default(),
            Self::Closed { id, address, nick, reason } => Subject {
                peer: Some(address),
                nick: nick.as_ref(),
                reason: Some(reason.word()),
                ..of(id)
            },
        }
    }
}

/// What a notice is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Which connection.
    pub connection: Option<ConnId>,
    /// The peer's address.
    pub peer: Option<&'a str>,
    /// Whose nickname.
    pub nick: Option<&'a Nick>,
    /// Which room.
    pub room: Option<&'a RoomName>,
    /// Why, as one word.
    pub reason: Option<&'static str>,
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accepted { address, .. } => write!(f, "connected from {address}"),
            Self::Refused { address, reason } => write!(f, "refused {address}: {}", reason.word()),
            Self::Decided { protocol: Protocol::Native, .. } => f.write_str("speaks v0.5"),
            Self::Decided { protocol: Protocol::V1, .. } => f.write_str("speaks v1"),
            Self::Decided { protocol: Protocol::Http, .. } => f.write_str("speaks HTTP"),
            Self::Decided { protocol: Protocol::WebSocket, .. } => {
                f.write_str("speaks v1 over a WebSocket")
            }
            Self::Decided { protocol: Protocol::Echo, .. } => f.write_str("hears its echo"),
            Self::Decided { protocol: Protocol::Control, .. } => {
                f.write_str("speaks on the control socket")
            }
            Self::Named { nick, .. } => write!(f, "is called {nick}"),
            Self::Paused { .. } => {
                f.write_str("says more than its share and is not read for a while")
            }
            Self::Skipped { bytes, .. } => write!(f, "too slow: {bytes} bytes left out"),
            Self::MemoryPressure { bytes, limit } => {
                write!(
                    f,
                    "{bytes} bytes wait for receivers, more than {limit}: the slowest are left behind"
                )
            }
            Self::StoreRefused { room, seq } => {
                write!(f, "message {seq} of {room} could not be stored")
            }
            Self::Administered { by, what, .. } => write!(f, "{by} {what}"),
            Self::Forbidden { by, request, .. } => write!(f, "{by} may not use {request}"),
            Self::StopAsked { by, .. } => write!(f, "{by} asked the daemon to end"),
            Self::Draining { connections } => {
                write!(f, "ending, {connections} connections are left")
            }
            Self::Closed { address, nick: Some(nick), reason, .. } => {
                write!(f, "closed {nick} at {address}: {reason}")
            }
            Self::Closed { address, nick: None, reason, .. } => {
                write!(f, "closed {address}: {reason}")
            }
        }
    }
}
