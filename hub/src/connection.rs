//! One connection: its life as one enum with its legal edges, and what belongs to it alone.
//!
//! It decides nothing. Ids carry a generation, so that what was meant for a dead connection never reaches a newborn one.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::num::NonZeroU32;

use proto::{Dialect, Nick, Now, Protocols, Session, Span, Transport};
use slab::Slab;
use smallvec::SmallVec;

use crate::bucket::Share;
use crate::close::CloseReason;
use crate::endpoint::Endpoint;
use crate::kept::Kept;
use crate::queue::OutQueue;
use crate::replay::Replays;
use crate::rights::Rights;
use crate::rooms::RoomNo;
use crate::web::Exchange;
use crate::wheel::TimerId;

/// A connection keeps so many rooms within itself: no more space than a list elsewhere would take to be found.
const ROOMS_INLINE: usize = 4;

const _: () = assert!(size_of::<SmallVec<[RoomNo; ROOMS_INLINE]>>() == size_of::<Vec<RoomNo>>());

/// Names one connection; it names no other after that one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId {
    index: u32,
    generation: u32,
}

impl ConnId {
    /// The connection at a place, as the so-manieth there was.
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// One number, for tokens of the kernel.
    pub fn as_u64(self) -> u64 {
        u64::from(self.generation) << 32 | u64::from(self.index)
    }

    /// The id of a token.
    pub fn from_u64(token: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & u64::from(u32::MAX)).unwrap_or(u32::MAX);
        Self { index: half(token), generation: half(token >> 32) }
    }

    /// Its place; small numbers are used first, again and again.
    pub const fn index(self) -> usize {
        self.index as usize
    }
}

/// Who is at the other end, as far as the kernel says.
#[derive(Clone, Debug)]
pub struct Peer {
    /// How it came.
    pub transport: Transport,
    /// From where, for people.
    pub address: Box<str>,
    /// From which address, where it came over a network.
    pub ip: Option<IpAddr>,
    /// On the control socket: the user's login name.
    pub login: Option<Nick>,
    /// What it may do.
    pub rights: Rights,
    /// It has no rate limits.
    pub exempt: bool,
    /// What it may speak where it came in; on the control socket that is settled.
    pub protocols: Protocols,
}

/// The life of a connection.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    /// It has said nothing that tells its protocol; the lobby is held for it.
    Undecided,
    /// It was silent: a v0.5 client that listens, unless its first bytes say otherwise. Not shown to others.
    Listening,
    /// Its address has used up its share of connections: it is let stand until it has said what it wants, and is no client.
    TurnedAway,
    /// It speaks native frames: a v0.5 client, shown with its first command that is none of v1.
    Native,
    /// It has said `hello` over TCP, or opened a WebSocket.
    V1,
    /// A connection of the control socket.
    Control,
    /// It asks over HTTP, one request after the other. Not shown to others.
    Http,
    /// It hears a room as server-sent events, and is not heard itself.
    Events,
    /// What it says over a WebSocket is said again.
    Echo,
    /// Nothing is heard from it any more, and it gets nothing new; what waits for it is flushed, then it is closed.
    Leaving(CloseReason),
    /// Everything is written, and the caller was told to end our direction: what still comes is dropped until the peer ends its own. A
    /// connection that is closed while bytes wait to be read is reset, and its last words are lost.
    Lingering {
        /// Why it goes.
        reason: CloseReason,
        /// How many bytes were dropped.
        dropped: u32,
    },
    /// The caller was told to close it.
    Closing,
}

impl Phase {
    /// The one table of legal edges.
    const fn may_become(&self, next: &Self) -> bool {
        match (self, next) {
            (Self::Undecided, Self::Listening | Self::TurnedAway | Self::Native | Self::Http)
            | (Self::Listening, Self::Native | Self::Http)
            | (Self::Native | Self::Http, Self::V1)
            | (Self::Http, Self::Events | Self::Echo)
            | (
                Self::Undecided
                | Self::Listening
                | Self::TurnedAway
                | Self::Native
                | Self::V1
                | Self::Control
                | Self::Http
                | Self::Events
                | Self::Echo,
                Self::Leaving(_) | Self::Closing,
            )
            | (Self::Leaving(_), Self::Lingering { .. } | Self::Closing)
            | (Self::Lingering { .. }, Self::Closing) => true,
            (
                Self::Undecided
                | Self::Listening
                | Self::TurnedAway
                | Self::Native
                | Self::V1
                | Self::Control
                | Self::Http
                | Self::Events
                | Self::Echo
                | Self::Leaving(_)
                | Self::Lingering { .. }
                | Self::Closing,
                _,
            ) => false,
        }
    }

    /// Whether it is heard, and gets what its rooms say.
    pub(crate) const fn is_live(&self) -> bool {
        match self {
            Self::Undecided
            | Self::Listening
            | Self::TurnedAway
            | Self::Native
            | Self::V1
            | Self::Control
            | Self::Http
            | Self::Events
            | Self::Echo => true,
            Self::Leaving(_) | Self::Lingering { .. } | Self::Closing => false,
        }
    }

    /// Whether it still gets the answers to what it asked: who ended its own side waits for them, who was told `bye` for nothing.
    pub(crate) const fn is_answered(&self) -> bool {
        match self {
            Self::V1
            | Self::Control
            | Self::Http
            | Self::Events
            | Self::Leaving(CloseReason::PeerClosed) => true,
            Self::Undecided
            | Self::Listening
            | Self::TurnedAway
            | Self::Native
            | Self::Echo
            | Self::Leaving(_)
            | Self::Lingering { .. }
            | Self::Closing => false,
        }
    }

    /// Whether something can be written to it.
    pub(crate) const fn is_written(&self) -> bool {
        match self {
            Self::Listening
            | Self::Native
            | Self::V1
            | Self::Control
            | Self::Http
            | Self::Events
            | Self::Echo
            | Self::Leaving(_) => true,
            Self::Undecided | Self::TurnedAway | Self::Lingering { .. } | Self::Closing => false,
        }
    }
}

/// Why a connection is not read for a while. Its idle and frame deadlines stand still while it waits for longer than a turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pause {
    /// It is read.
    No,
    /// The turn's budget stopped it: what is kept of it goes on without new bytes.
    Turn,
    /// It said more than its share, and goes on when there is some of it again.
    Bucket {
        /// Since when it waits.
        since: Now,
    },
    /// The store has more to do than it may.
    Store {
        /// Since when it waits.
        since: Now,
    },
    /// The store refused what it said, and it has no reply: see `refused`.
    Refused {
        /// Since when it waits.
        since: Now,
    },
    /// Much waits to be written to it: of answers over HTTP, or of what it said and is said again.
    Written {
        /// Since when it waits.
        since: Now,
    },
    /// Its HTTP request is not answered yet: answers come in the order of the requests.
    Answer {
        /// Since when it waits.
        since: Now,
    },
}

/// A frame that has begun and is not complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Unfinished {
    /// When its first byte came.
    pub(crate) since: Now,
    /// How much of it came, at least one byte.
    pub(crate) bytes: NonZeroU32,
}

/// What a v1 connection said of itself. Over TCP it is there from the first request on, also where that was refused.
#[derive(Debug, Default)]
pub(crate) struct Client {
    /// What the client calls itself.
    pub(crate) agent: Option<Box<str>>,
    /// What it left word of; nothing while it is there.
    pub(crate) away: Option<Box<str>>,
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    pub(crate) phase: Phase,
    pub(crate) dialect: Dialect,
    pub(crate) rights: Rights,
    /// What its listener serves.
    pub(crate) protocols: Protocols,
    /// It is on the list of those to be flushed, or the caller knows that it has something to write.
    pub(crate) listed: bool,
    /// It chose its name: what it has is no guest's.
    pub(crate) named_itself: bool,
    /// The peer ended its direction: once `kept` has no whole frame, it leaves.
    pub(crate) ended: bool,
    pub(crate) pause: Pause,
    /// How often it was paused for saying more than its share.
    pub(crate) pauses: u32,
    /// What it used of its share; nothing where it has no rate limits.
    pub(crate) share: Option<Share>,
    pub(crate) session: Session,
    /// What was read and not consumed: an unfinished frame, or what a quota held back.
    pub(crate) kept: Kept,
    /// What has come of an HTTP request's body that somebody wants, or of a message of a WebSocket.
    pub(crate) message: Kept,
    pub(crate) unfinished: Option<Unfinished>,
    /// Rooms that it is a member of, in any standing; sorted.
    pub(crate) rooms: SmallVec<[RoomNo; ROOMS_INLINE]>,
    /// In how many of them it is being skipped.
    pub(crate) gaps: u32,
    /// What it is still to be replayed.
    pub(crate) replays: Option<Box<Replays>>,
    /// How many of its requests wait for somebody else, the store or a reload, and are owed a reply.
    pub(crate) owed: u32,
    /// How many frames of the lobby are held while it is undecided.
    pub(crate) held_frames: u32,
    pub(crate) queue: OutQueue,
    /// Bytes of the queue that nobody shares.
    pub(crate) private: usize,
    /// Since when something waits for it, or when it last took some of it.
    pub(crate) waiting_since: Now,
    pub(crate) last_read: Now,
    /// When it last said something to others or asked for something; a keepalive or `ping` is neither.
    pub(crate) last_said: Now,
    pub(crate) last_written: Now,
    /// When it came, began to leave, or had everything that it was owed.
    pub(crate) since: Now,
    pub(crate) timer: Option<TimerId>,
    /// When the timer fires.
    pub(crate) armed_at: Now,
    /// The name it is shown with, once it is shown; on the control socket the login name.
    pub(crate) nick: Option<Nick>,
    /// Since when it has that name.
    pub(crate) named: Now,
    /// What only v1 connections have.
    pub(crate) client: Option<Box<Client>>,
    /// The HTTP request that is being read or answered.
    pub(crate) exchange: Option<Box<Exchange>>,
    pub(crate) address: Endpoint,
    /// From which address, where it came over a network.
    pub(crate) ip: Option<IpAddr>,
}

const _: () = assert!(size_of::<Connection>() <= 376, "ten thousand idle connections cost little");

impl Connection {
    /// A connection that has just come.
    pub(crate) fn new(id: ConnId, peer: Peer, now: Now) -> Self {
        let (phase, dialect) = match peer.transport {
            Transport::Stream | Transport::Proxied => (Phase::Undecided, Dialect::Native05),
            Transport::ControlSocket => (Phase::Control, Dialect::Control),
        };
        Self {
            id,
            phase,
            dialect,
            rights: peer.rights,
            protocols: peer.protocols,
            listed: false,
            named_itself: false,
            ended: false,
            pause: Pause::No,
            pauses: 0,
            share: (!peer.exempt).then(Share::default),
            session: Session::new(peer.transport),
            kept: Kept::default(),
            message: Kept::default(),
            unfinished: None,
            rooms: SmallVec::new(),
            gaps: 0,
            replays: None,
            owed: 0,
            held_frames: 0,
            queue: OutQueue::default(),
            private: 0,
            waiting_since: now,
            last_read: now,
            last_said: now,
            last_written: now,
            since: now,
            timer: None,
            armed_at: now,
            nick: peer.login,
            named: now,
            client: None,
            exchange: None,
            address: peer.address.into(),
            ip: peer.ip,
        }
    }

    /// The one place where a life goes on.
    pub(crate) fn become_(&mut self, next: Phase) {
        assert!(self.phase.may_become(&next), "from {:?} to {next:?} is no life", self.phase);
        self.phase = next;
    }

    /// The login name of a control connection, where that is anybody's name here: who may neither send nor watch has none, and
    /// keeps no message from whoever else is called so.
    pub(crate) fn login(&self) -> Option<&Nick> {
        let is_somebody = self.dialect == Dialect::Control && self.rights != Rights::NONE;
        self.nick.as_ref().filter(|_| is_somebody)
    }

    /// Whether it leaves and is given what waits for it as long as it takes some of it now and then. How long the daemon's own end may take
    /// in all is the operator's decision, and its caller's business. The last answer over HTTP is as long as any other.
    pub(crate) fn flushes_at_its_pace(&self) -> bool {
        match &self.phase {
            Phase::Leaving(CloseReason::Drain) => true,
            Phase::Leaving(CloseReason::Answered | CloseReason::PeerClosed) => {
                self.dialect == Dialect::Http
            }
            Phase::Undecided
            | Phase::Listening
            | Phase::TurnedAway
            | Phase::Native
            | Phase::V1
            | Phase::Control
            | Phase::Http
            | Phase::Events
            | Phase::Echo
            | Phase::Leaving(_)
            | Phase::Lingering { .. }
            | Phase::Closing => false,
        }
    }

    /// What it costs in memory that it is not heard to the end.
    pub(crate) fn kept_bytes(&self) -> usize {
        self.kept.capacity() + self.message.capacity()
    }

    /// Something was queued: true where the caller is to be told so.
    pub(crate) fn has_news(&mut self, was_empty: bool, now: Now) -> bool {
        if was_empty {
            self.waiting_since = now;
        }
        self.phase.is_written()
            && !self.queue.is_empty()
            && !core::mem::replace(&mut self.listed, true)
    }

    /// It is read again: what stood still moves on by as much as it waited.
    pub(crate) fn go_on(&mut self, now: Now) {
        let since = match self.pause {
            Pause::No | Pause::Turn => return,
            Pause::Bucket { since }
            | Pause::Store { since }
            | Pause::Refused { since }
            | Pause::Answer { since }
            | Pause::Written { since } => since,
        };
        let waited: Span = now.since(since);
        self.last_read = self.last_read.after(waited);
        if let Some(unfinished) = &mut self.unfinished {
            unfinished.since = unfinished.since.after(waited);
        }
        self.pause = if self.kept.is_empty() { Pause::No } else { Pause::Turn };
    }
}

/// All connections, by place and generation.
#[derive(Debug, Default)]
pub(crate) struct Connections {
    slots: Slab<Connection>,
    births: u32,
}

impl Connections {
    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// A newborn one.
    pub(crate) fn insert(&mut self, peer: Peer, now: Now) -> ConnId {
        self.births = self.births.wrapping_add(1);
        let slot = self.slots.vacant_entry();
        let index = u32::try_from(slot.key()).expect("fewer than 2^32 connections");
        let id = ConnId::new(index, self.births);
        slot.insert(Connection::new(id, peer, now));
        id
    }

    /// One that is still there.
    pub(crate) fn get(&self, id: ConnId) -> Option<&Connection> {
        self.slots.get(id.index()).filter(|connection| connection.id == id)
    }

    /// One that is still there.
    pub(crate) fn get_mut(&mut self, id: ConnId) -> Option<&mut Connection> {
        self.slots.get_mut(id.index()).filter(|connection| connection.id == id)
    }

    /// One that must be there, since something of ours names it.
    pub(crate) fn known(&mut self, id: ConnId) -> &mut Connection {
        self.get_mut(id).expect("whoever is named in the hub's state is there")
    }

    /// Forgets one.
    pub(crate) fn remove(&mut self, id: ConnId) -> Connection {
        let connection = self.slots.remove(id.index());
        assert_eq!(connection.id, id, "only the one that is named is forgotten");
        connection
    }

    /// All of them, by place.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Connection> {
        self.slots.iter().map(|(_, connection)| connection)
    }

    /// The first one at a place from `from` on: for sweeps that close on their way.
    pub(crate) fn ids(&self) -> Vec<ConnId> {
        self.iter().map(|connection| connection.id).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_life_has_only_its_legal_edges() {
        let gone = || Phase::Leaving(CloseReason::Drain);
        assert!(Phase::Undecided.may_become(&Phase::Native));
        assert!(Phase::Listening.may_become(&Phase::Native));
        assert!(Phase::Native.may_become(&Phase::V1));
        assert!(!Phase::V1.may_become(&Phase::Native));
        assert!(Phase::Native.may_become(&gone()));
        assert!(gone().may_become(&Phase::Closing));
        assert!(!Phase::Native.may_become(&Phase::Undecided));
        assert!(!Phase::Control.may_become(&Phase::Native));
        assert!(!Phase::Closing.may_become(&gone()));
        assert!(!gone().may_become(&gone()));
    }

    #[test]
    fn an_id_survives_its_token() {
        let id = ConnId::new(7, u32::MAX);
        assert_eq!(ConnId::from_u64(id.as_u64()), id);
    }
}
