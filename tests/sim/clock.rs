//! Virtual time: one number that only moves when the daemon sleeps or a system call is given a cost,
//! and the queue of what the world outside will do at which moment.

use std::collections::BTreeMap;

/// One millisecond in the simulator's unit.
pub const MS: u64 = 1_000;
/// One second in the simulator's unit.
pub const SECOND: u64 = 1_000_000;

/// What the world does at a moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wake {
    /// A client's connection reaches the listener's queue.
    Dial(usize),
    /// The first of a connection's segments under way reaches the daemon's kernel.
    Arrive(usize),
    /// The daemon's kernel sends what it can to the client.
    Deliver(usize),
    /// Readiness that a pretended EAGAIN had taken away comes back: connection, readable or writable.
    Again(usize, bool),
    /// A client does its next thing.
    Act(usize),
    /// A slow client reads a little.
    Sip(usize),
    /// The store finishes what it holds.
    Stored,
    /// The store has found what it was asked for first.
    Found,
    /// The next client comes.
    Arrival,
    /// Somebody whose connection is gone comes again.
    Return(usize),
    /// Descriptors run out, or are there again.
    Descriptors(bool),
    /// The wall clock is set: by microseconds.
    WallStep(i64),
    /// The run goes into its next phase.
    Phase,
    /// The daemon is about to be killed.
    Kill,
    /// Retention takes something.
    Prune,
    /// The disk is full, or has space again.
    Space(bool),
}

/// The time of the world and what is due when.
pub struct Clock {
    now: u64,
    serial: u64,
    queue: BTreeMap<(u64, u64), Wake>,
    /// What the wall clock is ahead of the monotonic one.
    pub wall_ahead: i64,
}

impl Clock {
    /// A world that begins at an arbitrary moment.
    pub fn new(start: u64) -> Self {
        // 2026-01-01T00:00:00Z, so that times read like times.
        Self { now: start, serial: 0, queue: BTreeMap::new(), wall_ahead: 1_767_225_600_000_000 }
    }

    /// The monotonic clock, in microseconds.
    pub fn now(&self) -> u64 {
        self.now
    }

    /// The wall clock, in microseconds since the epoch.
    pub fn wall(&self) -> i64 {
        self.wall_ahead + i64::try_from(self.now).expect("virtual time is short")
    }

    /// Time passes.
    pub fn advance(&mut self, to: u64) {
        assert!(to >= self.now, "time goes forward");
        self.now = to;
    }

    /// Something will happen at this moment, or now if it is past.
    pub fn at(&mut self, at: u64, wake: Wake) {
        self.serial += 1;
        self.queue.insert((at.max(self.now), self.serial), wake);
    }

    /// Something will happen after this long.
    pub fn after(&mut self, delay: u64, wake: Wake) {
        self.at(self.now + delay, wake);
    }

    /// When the next thing happens.
    pub fn next(&self) -> Option<u64> {
        self.queue.first_key_value().map(|(key, _)| key.0)
    }

    /// The next thing, if it is due.
    pub fn due(&mut self) -> Option<Wake> {
        let entry = self.queue.first_entry()?;
        if entry.key().0 > self.now {
            return None;
        }
        Some(entry.remove())
    }
}
