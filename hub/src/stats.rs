//! What the hub counts, and what it holds.

use alloc::string::String;
use alloc::vec::Vec;

use proto::reply::{self, Stats};
use proto::{Dialect, Span};

use crate::Hub;
use crate::connection::Phase;

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
    /// Memory of unfinished frames, and of those that quotas hold back.
    pub kept_bytes: usize,
    /// Bytes of recent messages.
    pub recent_bytes: usize,
    /// Armed timers.
    pub timers: usize,
}

/// How many there are, in a line for whoever looks after the daemon.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Census {
    /// Connections, of any kind.
    pub connections: usize,
    /// Rooms.
    pub rooms: usize,
    /// Messages since the start.
    pub messages: u64,
}

/// The process that serves, as those see it who look after it. The hub does nothing with it but tell it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Process {
    /// Its number.
    pub pid: u32,
    /// How many descriptors it may have.
    pub descriptors_max: usize,
    /// The network addresses on which it listens.
    pub listeners: Vec<String>,
}

/// How the store goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StoreState {
    /// There is none: messages are in memory.
    #[default]
    None,
    /// It stores.
    Well,
    /// Its disk is full: posts are refused.
    Full,
    /// It cannot be written: posts are refused.
    Broken,
}

impl StoreState {
    /// It as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Well => "well",
            Self::Full => "full",
            Self::Broken => "broken",
        }
    }
}

/// What is known of the store. The hub does nothing with it but tell it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// How it goes.
    pub state: StoreState,
    /// What half of the latest commits took at most, in microseconds.
    pub commit_p50_us: u64,
    /// What 99 of 100 of them did.
    pub commit_p99_us: u64,
    /// How many commits there were since the start.
    pub commits: u64,
    /// How long all of them took together.
    pub commits_took_us: u64,
    /// How much of the disk it takes.
    pub database_bytes: u64,
    /// How much of the disk is free.
    pub free_bytes: u64,
}

/// What is counted from the start on.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) accepted: u64,
    pub(crate) cut_slow: u64,
    pub(crate) gaps: u64,
    pub(crate) messages: u64,
    pub(crate) deliveries: u64,
    pub(crate) encoded_v05: u64,
    pub(crate) encoded_v1: u64,
    pub(crate) bytes_in: u64,
    pub(crate) bytes_out: u64,
}

impl Hub {
    /// What the server counts.
    pub fn stats(&self) -> Stats<'_> {
        let (mut native, mut v1, mut control, mut undecided) = (0, 0, 0, 0);
        let (mut sockets, mut http, mut events) = (0, 0, 0);
        for connection in self.connections.iter() {
            match connection.phase {
                Phase::Undecided => undecided += 1,
                Phase::Listening | Phase::Native => native += 1,
                Phase::Echo => sockets += 1,
                Phase::V1 if connection.dialect == Dialect::WebSocket => sockets += 1,
                Phase::V1 => v1 += 1,
                Phase::Control => control += 1,
                Phase::Http => http += 1,
                Phase::Events => events += 1,
                Phase::TurnedAway
                | Phase::Leaving(_)
                | Phase::Lingering { .. }
                | Phase::Closing => {}
            }
        }
        let (counters, talks) = (&self.counters, self.talks.counts());
        Stats {
            server: &self.settings.server_name,
            version: &self.settings.version,
            uptime_ms: self.now.since(self.started).as_millis(),
            connections_native: native,
            connections_v1: v1,
            connections_control: control,
            connections_websocket: sockets,
            connections_http: http,
            connections_events: events,
            connections_undecided: undecided,
            connections_max: self.settings.connections,
            accepted: counters.accepted,
            cut_slow: counters.cut_slow,
            gaps: counters.gaps,
            rooms: self.rooms.len(),
            talks_waiting: talks.waiting,
            talks_open: talks.open,
            messages: counters.messages,
            deliveries: counters.deliveries,
            encoded_v05: counters.encoded_v05,
            encoded_v1: counters.encoded_v1,
            turns: self.lately.turns(),
            recent: self.lately.recent(self.now, counters.messages, counters.deliveries),
            bytes_in: counters.bytes_in,
            bytes_out: counters.bytes_out,
            blocks: self.blocks.len(),
            block_bytes: self.blocks.bytes(),
            private_bytes: self.private_bytes,
            store_bytes_max: self.settings.store,
            kept_bytes: self.kept_bytes,
            recent_bytes: self.recents.bytes(),
            hits: self.hits.counts(),
            store: self.store_stats(),
            who: None,
            process: None,
        }
    }

    /// What the server counts, who ran into a limit lately, and what process it is: for administrators, since addresses are in it.
    pub fn stats_with_names(&self) -> Stats<'_> {
        let Process { pid, descriptors_max, listeners } = &self.process;
        let process = reply::Process { pid: *pid, descriptors_max: *descriptors_max, listeners };
        let who = self.hits.named(self.now);
        Stats { who: Some(who), process: Some(process), ..self.stats() }
    }

    fn store_stats(&self) -> reply::Store {
        let Condition { state, commit_p50_us, commit_p99_us, database_bytes, free_bytes, .. } =
            self.condition;
        reply::Store {
            state: state.word(),
            queue_messages: self.store_queue.messages,
            queue_bytes: self.store_queue.bytes,
            commit_p50_us,
            commit_p99_us,
            database_bytes,
            free_bytes,
        }
    }

    /// This process serves.
    pub fn served_by(&mut self, process: Process) {
        self.process = process;
    }

    /// How the store goes now; it costs nothing to say.
    pub const fn store_is(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// It listens on these addresses from now on.
    pub fn listens_on(&mut self, listeners: Vec<String>) {
        self.process.listeners = listeners;
    }

    /// How many connections are somebody's who was let in.
    pub(crate) fn clients(&self) -> usize {
        self.connections.len() - self.turned_away.len()
    }

    /// How many there are; it costs nothing to ask.
    pub fn census(&self) -> Census {
        Census {
            connections: self.clients(),
            rooms: self.rooms.len(),
            messages: self.counters.messages,
        }
    }

    /// A turn of the loop took so long, without its sleep.
    pub fn turned(&mut self, took: Span) {
        let Counters { messages, deliveries, .. } = self.counters;
        self.lately.turned(self.now, took, messages, deliveries);
    }

    /// What the hub holds; the work grows with the number of connections.
    pub fn memory(&self) -> Memory {
        let runs = self.connections.iter().map(|connection| connection.queue.runs().count()).sum();
        Memory {
            blocks_bytes: self.blocks.bytes(),
            private_bytes: self.private_bytes,
            blocks: self.blocks.len(),
            runs,
            kept_bytes: self.kept_bytes,
            recent_bytes: self.recents.bytes(),
            timers: self.wheel.len(),
        }
    }

    /// Events of rooms encoded since the start, for v0.5 and for v1: each at most once for each, whoever hears it.
    pub const fn encoded(&self) -> (u64, u64) {
        (self.counters.encoded_v05, self.counters.encoded_v1)
    }
}
