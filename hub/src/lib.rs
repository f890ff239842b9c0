//! The server without hands: connections and their life, names, rooms, blocks of encoded frames, outgoing queues, limits.
//!
//! Bytes and answers go in, bytes and [`Effect`]s come out, and time is an argument. Each input puts its effects into an
//! [`Outbox`] that the caller drains before the next one; nothing calls back. There is no socket, clock, thread, file, log
//! or random source here, and no pointer or handle in the state: connections, rooms and blocks name each other by number.
//!
//! One message passes [`Hub::receive`] (bytes to commands), `decide` and `publish` (a post takes its number and becomes a
//! [`Effect::Store`]), [`Hub::stored`] (the room's queue is released and each event encoded once by dialect), then
//! [`Hub::settle`] (each member gets a run) and [`Hub::gather`] (what is written next).
#![no_std]
#![forbid(unsafe_code)]
#![warn(clippy::wildcard_enum_match_arm)]
#![allow(clippy::missing_panics_doc, reason = "a panic is a bug of the hub; no input makes one")]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")
)]

extern crate alloc;

mod addresses;
mod bans;
mod block;
mod bucket;
mod close;
mod connection;
mod deadlines;
mod decide;
mod directs;
mod endpoint;
mod farewell;
mod fetch;
mod flush;
mod former;
mod hits;
mod invariants;
mod kept;
mod lasting;
mod lately;
mod leave;
mod lives;
mod names;
mod outbox;
mod outcomes;
mod planted;
mod portion;
mod presence;
mod publish;
mod queue;
mod quotas;
mod random;
mod receipts;
mod receive;
mod recent;
mod refused;
mod reload;
mod replay;
mod requests;
mod rights;
mod rooms;
mod served;
mod settings;
mod settle;
mod slow;
mod stats;
mod store;
mod talks;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod web;
pub mod wheel;
mod work;

pub use close::CloseReason;
pub use connection::{ConnId, Peer};
pub use leave::HangUp;
pub use outbox::{Effect, Measure, Measured, Notice, Outbox, Refusal, RefusalReason, Subject};
pub use planted::Planted;
pub use proto::Level;
pub use rights::{Groups, Rights};
pub use rooms::Ticket;
pub use settings::{Anonymous, LastingRoom, Quota, Settings};
pub use stats::{Census, Condition, Memory, Process, StoreState};
pub use store::{
    Answer, Durability, Fetch, FetchError, Fetched, KeptMessage, KeptRoom, Order, Outcome, Page,
    PageWriter, Pruned, Record,
};
pub use web::{TURNED_AWAY_CONNECTIONS_MAX, Website};

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;
use core::net::IpAddr;

use proto::vocabulary::Error;
use proto::{Dialect, ErrorCode, MessageId, Now, Protocol, Span, Transport, WallTime, encode};

use crate::addresses::Addresses;
use crate::bans::Bans;
use crate::block::Blocks;
use crate::bucket::Rates;
use crate::connection::Connections;
use crate::deadlines::Alarm;
use crate::directs::Directs;
use crate::farewell::Farewells;
use crate::fetch::Fetches;
use crate::hits::Hits;
use crate::lately::Lately;
use crate::leave::Course;
use crate::names::Names;
use crate::outcomes::Said;
use crate::portion::Portion;
use crate::publish::StoreQueue;
use crate::quotas::Controls;
use crate::random::Random;
use crate::receipts::Receipts;
use crate::recent::Recents;
use crate::refused::Refused;
use crate::reload::Reloads;
use crate::rooms::{Rooms, Standing};
use crate::settings::LATE_MAX;
use crate::stats::Counters;
use crate::talks::Talks;
use crate::web::TurnedAway;
use crate::wheel::Wheel;

/// The server.
#[derive(Debug)]
pub struct Hub {
    settings: Settings,
    process: Process,
    condition: Condition,
    rates: Rates,
    /// Names the sequence numbers of this server's memory.
    history: MessageId,
    course: Course,
    started: Now,
    now: Now,
    wall: WallTime,
    /// When the machine last woke from a sleep of its own: deadlines of peers do not run in it.
    woke: Now,
    random: Random,
    connections: Connections,
    /// Who connects from where, and over the control socket.
    addresses: Addresses,
    controls: Controls,
    /// The addresses of trusted proxies, by connection: each request says who is behind them.
    proxies: BTreeMap<ConnId, IpAddr>,
    /// Those who are over their address's share, and are told so.
    turned_away: TurnedAway,
    bans: Bans,
    names: Names,
    rooms: Rooms,
    blocks: Blocks,
    recents: Recents,
    directs: Directs,
    receipts: Receipts,
    talks: Talks,
    reloads: Reloads,
    wheel: Wheel<Alarm>,
    store_queue: StoreQueue,
    said: Said,
    fetches: Fetches,
    /// What the store refused of those who have no reply.
    refused: Refused,
    /// Connections that wait for the store to have less to do.
    behind_store: VecDeque<ConnId>,
    /// Connections that are to go, and are not heard any more.
    farewells: Farewells,
    /// Connections that are gone and still stand in some rooms.
    departing: VecDeque<ConnId>,
    /// Connections that linger and still stand in some rooms.
    lingering: VecDeque<ConnId>,
    /// Connections that are replayed something and are to get the next page of it.
    replaying: VecDeque<ConnId>,
    /// Sums over all connections.
    private_bytes: usize,
    kept_bytes: usize,
    /// What was said since the last flush.
    portion: Portion,
    counters: Counters,
    lately: Lately,
    hits: Hits,
    /// What the last command or timer made the server do: see `work`.
    work: usize,
    /// Where messages of a WebSocket are put together; empty between uses, kept for its memory.
    message: Vec<u8>,
    /// The frame that is being appended to a block; empty between uses, kept for its memory.
    frame: Vec<u8>,
    /// Receivers that a loop over members found past their limit; empty between uses, kept for its memory.
    past_limit: Vec<ConnId>,
}

impl Hub {
    /// A server without connections. `seed` is its only chance; `history` names its sequence numbers.
    pub fn new(settings: Settings, seed: u64, history: MessageId, now: Now) -> Self {
        #[cfg_attr(
            not(feature = "planted"),
            expect(unused_mut, reason = "a planted bug changes it")
        )]
        let mut wheel = Wheel::new(now);
        #[cfg(feature = "planted")]
        if settings.plants(Planted::WheelCascade) {
            wheel.plant_cascade_error();
        }
        Self {
            rates: Rates::new(&settings),
            history,
            course: Course::Serving,
            started: now,
            now,
            wall: WallTime::default(),
            woke: now,
            random: Random::new(seed),
            connections: Connections::default(),
            addresses: Addresses::default(),
            controls: Controls::default(),
            proxies: BTreeMap::new(),
            turned_away: TurnedAway::default(),
            bans: Bans::default(),
            names: Names::new(settings.wire.charset, &settings.server_name),
            rooms: Rooms::new(settings.default_room.clone()),
            blocks: Blocks::default(),
            recents: Recents::new(settings.durability != Durability::None),
            directs: Directs::default(),
            receipts: Receipts::default(),
            talks: Talks::default(),
            reloads: Reloads::default(),
            wheel,
            store_queue: StoreQueue::default(),
            said: Said::new(),
            fetches: Fetches::default(),
            refused: Refused::default(),
            behind_store: VecDeque::new(),
            farewells: Farewells::default(),
            departing: VecDeque::new(),
            lingering: VecDeque::new(),
            replaying: VecDeque::new(),
            private_bytes: 0,
            kept_bytes: 0,
            portion: Portion::default(),
            counters: Counters::default(),
            lately: Lately::new(now),
            process: Process::default(),
            condition: Condition::default(),
            hits: Hits::default(),
            work: 0,
            message: Vec::new(),
            frame: Vec::new(),
            past_limit: Vec::new(),
            settings,
        }
    }

    /// What the operator decided.
    pub const fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Tells the time, once a turn, before anything else.
    ///
    /// Where it is much later than the turn was to begin, the machine itself has slept, and no peer is blamed for it.
    pub fn wall_is(&mut self, wall: WallTime, now: Now) {
        let late = self.wheel.next().map_or(Span::default(), |due| now.since(due));
        if late > LATE_MAX {
            self.woke = now;
        }
        self.wall = wall;
        self.tick(now);
        self.forget_idle();
    }

    /// When there is something to do without any input: a timer is due, a replay goes on, or somebody is to go.
    pub fn deadline(&self) -> Option<Now> {
        let waits = self.replaying.is_empty() && self.farewells.is_empty();
        let waits = waits && self.departing.is_empty() && self.lingering.is_empty();
        let waits = waits && self.talks.are_settled();
        if waits { self.wheel.next() } else { Some(self.now) }
    }

    /// Whether there is no connection left.
    pub fn is_empty(&self) -> bool {
        self.connections.len() == 0
    }

    /// A connection came. The lobby is held for it, if it may be a v0.5 client there, until its first bytes, or their absence, tell what it speaks.
    ///
    /// # Errors
    /// There is no room for it, and what to tell it; or that it is let stand until it is known what to tell it.
    pub fn accept(
        &mut self,
        mut peer: Peer,
        now: Now,
        out: &mut Outbox,
    ) -> Result<ConnId, Refusal> {
        self.tick(now);
        let proxy = self.take_proxy(&mut peer);
        let entered = match self.course {
            Course::Draining | Course::Ending => Err(RefusalReason::Draining),
            Course::Serving if self.is_address_banned(peer.ip) => Err(RefusalReason::Banned),
            Course::Serving => self.let_in(&peer),
        };
        let Err(reason) = entered else {
            self.counters.accepted += 1;
            let id = self.welcome(peer, out);
            self.proxies.extend(proxy.map(|ip| (id, ip)));
            return Ok(id);
        };
        self.note_refusal(&peer, reason);
        out.notice(Notice::Refused { address: peer.address.clone(), reason });
        let words = last_words(peer.transport, reason);
        let stands = self.let_stand(peer, reason);
        assert!(stands.is_none() || words.is_empty(), "who stands has heard nothing");
        Err(Refusal { reason, words, stands })
    }

    fn welcome(&mut self, peer: Peer, out: &mut Outbox) -> ConnId {
        let (transport, address) = (peer.transport, peer.address.clone());
        let may_be_native = peer.protocols.has(Protocol::Native);
        let id = self.connections.insert(peer, self.now);
        out.notice(Notice::Accepted { id, address });
        match transport {
            Transport::Stream | Transport::Proxied if may_be_native => {
                self.enter(id, self.rooms.home, Standing::Held);
            }
            // What the lobby says is for nobody who cannot speak v0.5 here.
            Transport::Stream | Transport::Proxied => {}
            Transport::ControlSocket => self.control_is_here(id),
        }
        self.rearm(id);
        let connection = self.connections.known(id);
        assert!(connection.phase.is_live(), "a newborn connection lives");
        assert!(connection.queue.is_empty(), "nothing is said on connect");
        id
    }

    fn tick(&mut self, now: Now) {
        self.now = self.now.max(now);
    }
}

/// What a connection is told that there is no room for. Before the protocol is known nothing can be said.
fn last_words(transport: Transport, reason: RefusalReason) -> Vec<u8> {
    let mut words = Vec::new();
    let limit = |text: &str| Error::new(ErrorCode::LimitReached, text);
    let error = match reason {
        RefusalReason::ConnectionsLimit
        | RefusalReason::ClientsPerIp
        | RefusalReason::AcceptRate => {
            limit("There are as many connections as there may be; try again later.")
        }
        RefusalReason::ControlLimit => {
            limit("There are as many control connections as there may be; try again later.")
        }
        RefusalReason::ControlByUser => {
            limit("You have as many control connections as one user may have; close one of them.")
        }
        RefusalReason::Banned => Error::new(ErrorCode::Forbidden, "The address is banned."),
        RefusalReason::Draining => Error::new(ErrorCode::ShuttingDown, "The daemon is ending."),
    };
    match transport {
        Transport::Stream | Transport::Proxied => {}
        Transport::ControlSocket => encode::refusal(Dialect::Control, None, &error, &mut words),
    }
    words
}
