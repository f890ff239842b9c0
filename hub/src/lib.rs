//! The server without hands: connections and their life, names, rooms, blocks of encoded frames, outgoing queues, limits.
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]
#![allow(clippy::unused_self, clippy::needless_pass_by_value, reason = "the bodies come next")]

extern crate alloc;

mod close;
mod connection;
mod outbox;
mod planted;
mod rooms;
mod settings;
pub mod wheel;

pub use close::CloseReason;
pub use connection::{ConnId, Peer};
pub use outbox::{
    Answer, Effect, Level, Notice, Outbox, Record, Refusal, RefusalReason, StoreError,
};
pub use planted::Planted;
pub use rooms::Ticket;
pub use settings::{Anonymous, Settings};

use proto::encode::DIALECTS;
use proto::reply::Stats;
use proto::{MessageId, Now, WallTime};

/// How a peer ended its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HangUp {
    /// It ended its direction; what it said before counts.
    Eof,
    /// The connection is broken.
    Reset,
}

/// What the hub holds for its receivers and senders.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Memory {
    /// Bytes of all blocks, each counted once, with the index of their frames.
    pub blocks_bytes: usize,
    /// Bytes queued for one connection only.
    pub private_bytes: usize,
    /// How many blocks there are.
    pub blocks: usize,
    /// How many runs of blocks are queued.
    pub runs: usize,
    /// Bytes of unfinished frames, and of those that quotas hold back.
    pub kept_bytes: usize,
    /// Bytes of recent messages.
    pub recent_bytes: usize,
}

/// The server.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
}

impl Hub {
    /// A server without connections. `seed` is its only chance; `history` names its sequence numbers.
    pub fn new(settings: Settings, _seed: u64, _history: MessageId, _now: Now) -> Self {
        Self { settings }
    }
    /// What the operator decided.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }
    /// Tells the wall clock, once a turn.
    pub fn wall_is(&mut self, _wall: WallTime, _now: Now) {}
    /// A connection came.
    pub fn accept(&mut self, _peer: Peer, _now: Now, _out: &mut Outbox) -> Result<ConnId, Refusal> {
        Ok(ConnId::new(0, 0))
    }
    /// Bytes came; with none, what was held back goes on. Each command takes one of `frames`.
    pub fn receive(
        &mut self,
        _id: ConnId,
        _bytes: &[u8],
        _frames: &mut u32,
        _now: Now,
        _out: &mut Outbox,
    ) {
    }
    /// Whether more bytes of it may be read now. False while it is paused, has held-back work, or is closing.
    pub fn wants_read(&self, _id: ConnId) -> bool {
        false
    }
    /// Whether `receive` without bytes would go on: only the frame budget stopped it.
    pub fn has_kept_work(&self, _id: ConnId) -> bool {
        false
    }
    /// The peer ended its side.
    pub fn hang_up(&mut self, _id: ConnId, _how: HangUp, _now: Now, _out: &mut Outbox) {}
    /// The store answered.
    pub fn stored(&mut self, _answers: &[Answer], _now: Now, _out: &mut Outbox) {}
    /// Lets at most `budget` timers fire; returns how many did.
    pub fn expire(&mut self, _now: Now, _budget: usize, _out: &mut Outbox) -> usize {
        0
    }
    /// The end of a turn's deciding: every member gets its runs.
    pub fn settle(&mut self, _now: Now, _out: &mut Outbox) {}
    /// What is to be written next, in order; returns how many of `slices` were filled.
    pub fn gather<'a>(&'a self, _id: ConnId, _slices: &mut [&'a [u8]]) -> usize {
        0
    }
    /// So many bytes of it were written.
    pub fn wrote(&mut self, _id: ConnId, _bytes: usize, _now: Now, _out: &mut Outbox) {}
    /// How many bytes wait to be written to it.
    pub fn pending(&self, _id: ConnId) -> usize {
        0
    }
    /// The kernel takes no more of it for now.
    pub fn blocked(&mut self, _id: ConnId, _now: Now) {}
    /// Both its directions are closed: it is forgotten.
    pub fn reaped(&mut self, _id: ConnId, _now: Now, _out: &mut Outbox) {}
    /// The daemon ends: no new connections, `bye` to all, each closed once its queue is flushed.
    pub fn drain(&mut self, _now: Now, _out: &mut Outbox) {}
    /// Closes everything at once: the time for draining is over.
    pub fn abandon(&mut self, _now: Now, _out: &mut Outbox) {}
    /// When the next timer is due.
    pub fn deadline(&self) -> Option<Now> {
        None
    }
    /// What the server counts.
    pub fn stats(&self) -> Stats<'_> {
        Stats::default()
    }
    /// Whether there is no connection left.
    pub fn is_empty(&self) -> bool {
        true
    }
    /// What the hub holds.
    pub fn memory(&self) -> Memory {
        Memory::default()
    }
    /// Messages encoded, by dialect.
    pub fn encoded(&self) -> [u64; DIALECTS] {
        [0; DIALECTS]
    }
    /// Checks everything against everything; the work grows with all of it.
    pub fn check_invariants(&self) {}
}
