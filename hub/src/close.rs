//! Why a connection ends: one reason for each, for the log, for counters, and for the peer's `bye`.

use core::fmt;

use proto::ws::CloseCode;
use proto::{Fault, Level};

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CloseReason {
    /// The peer closed its direction.
    PeerClosed,
    /// Its last HTTP request was answered.
    Answered,
    /// The peer closed its WebSocket.
    SocketClosed,
    /// Its address, which a proxy told, has as many connections as one may have, or connects too often.
    TooMany,
    /// It speaks what its listener does not serve.
    NotServed,
    /// The peer or the network broke the connection.
    Reset,
    /// Nothing came from it for the idle limit.
    Idle,
    /// A frame was not complete in time.
    FrameTimeout,
    /// It took nothing of what waited for it.
    Stall,
    /// More waited for it than may wait for one connection.
    OutboxFull,
    /// All that waits for receivers passed its budget, and this one held the oldest.
    MemoryBudget,
    /// Unfinished frames passed their budget, and this one's was the largest.
    InputBudget,
    /// A v0.5 message over the limit: there is no answer that says so.
    TooLarge,
    /// Bytes that cannot be read on.
    Fault(Fault),
    /// Its v0.5 post could not be stored: there is no answer that says so.
    StoreUnavailable,
    /// The store broke while it had its post: no answer would be true.
    StoreBroke,
    /// An administrator closed it.
    Kicked,
    /// An administrator keeps it out.
    Banned,
    /// The daemon ends.
    Drain,
}

impl CloseReason {
    /// The reason as one word.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::PeerClosed => "peer_closed",
            Self::Answered => "answered",
            Self::SocketClosed => "socket_closed",
            Self::TooMany => "too_many",
            Self::NotServed => "not_served",
            Self::Reset => "reset",
            Self::Idle => "idle",
            Self::FrameTimeout => "frame_timeout",
            Self::Stall => "stall",
            Self::OutboxFull => "outbox_full",
            Self::MemoryBudget => "memory_budget",
            Self::InputBudget => "input_budget",
            Self::TooLarge => "too_large",
            Self::Fault(fault) => fault.word(),
            Self::StoreUnavailable => "store_unavailable",
            Self::StoreBroke => "store_broke",
            Self::Kicked => "kicked",
            Self::Banned => "banned",
            Self::Drain => "drain",
        }
    }

    /// How much it matters to the operator.
    pub const fn level(&self) -> Level {
        match self {
            Self::PeerClosed | Self::Answered | Self::SocketClosed | Self::Reset | Self::Drain => {
                Level::Debug
            }
            Self::Idle
            | Self::FrameTimeout
            | Self::TooLarge
            | Self::Fault(_)
            | Self::TooMany
            | Self::NotServed
            | Self::Kicked
            | Self::Banned => Level::Info,
            Self::Stall
            | Self::OutboxFull
            | Self::MemoryBudget
            | Self::InputBudget
            | Self::StoreUnavailable
            | Self::StoreBroke => Level::Warn,
        }
    }

    /// The code with which a WebSocket is closed, where its peer is told that it is.
    pub(crate) const fn close_code(&self) -> CloseCode {
        if matches!(self, Self::Drain) { CloseCode::GOING_AWAY } else { CloseCode::POLICY }
    }

    /// Whether the peer was cut for not taking what waited for it.
    pub const fn is_slowness(&self) -> bool {
        matches!(self, Self::Stall | Self::OutboxFull | Self::MemoryBudget)
    }
}

impl fmt::Display for CloseReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::PeerClosed => "the peer closed",
            Self::SocketClosed => "the peer closed its WebSocket",
            Self::TooMany => {
                "its address has as many connections as one may have, or connects too often"
            }
            Self::NotServed => "its listener does not serve what it speaks",
            Self::Answered => "its last request is answered",
            Self::Reset => "the connection broke",
            Self::Idle => "nothing came from it for too long",
            Self::FrameTimeout => "a frame was not complete in time",
            Self::Stall => "it took nothing of what waited for it for too long",
            Self::OutboxFull => "too much waited for it",
            Self::MemoryBudget => {
                "it held the oldest of what waits for receivers, and memory is short"
            }
            Self::InputBudget => "it held the largest unfinished frame, and memory is short",
            Self::TooLarge => "a message over the limit",
            Self::Fault(fault) => return fault.fmt(f),
            Self::StoreUnavailable => "its message could not be stored",
            Self::StoreBroke => "the store broke while it had its message; it is to ask again",
            Self::Kicked => "an administrator closed it",
            Self::Banned => "an administrator keeps it out",
            Self::Drain => "the daemon ends",
        })
    }
}
