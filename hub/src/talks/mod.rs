//! One-to-one talks: who asks for one, who waits, who was found, whose turn it is.
//!
//! Only those who ask for a talk are in here, so that all others cost nothing. What an input leads to is decided in [`machine`],
//! who goes with whom in [`queue`]; what the hub does about it is in [`life`], and the requests are in `requests::talks`.

mod life;
pub(crate) mod machine;
pub(crate) mod queue;

use alloc::collections::{BTreeMap, VecDeque};

use proto::{Nick, Now, Turns};

use crate::connection::ConnId;
use crate::wheel::TimerId;

use self::machine::{Pair, State};
use self::queue::{Place, Queue};

/// What somebody wants of a talk.
#[derive(Clone, Debug)]
pub(crate) struct Wish {
    /// With whom alone; nothing for anyone.
    pub(crate) peer: Option<Nick>,
    pub(crate) turns: Turns,
    /// Where it listens for its peer.
    pub(crate) port: Option<u16>,
}

/// Somebody who asks for a talk or is in one.
#[derive(Debug)]
pub(crate) struct Talker {
    /// Never [`State::Registered`].
    state: State,
    /// Whom it has found.
    peer: Option<ConnId>,
    /// What it was called before, as long as that peer knew it under that name: what is on its way may call it so.
    former: Option<Nick>,
    wish: Wish,
    /// Since when it waits in its place, or waited there.
    since: Now,
    place: Place,
    /// When its state began.
    entered: Now,
    timer: Option<TimerId>,
}

/// Everybody who asks for a talk or is in one.
#[derive(Debug, Default)]
pub(crate) struct Talks {
    talkers: BTreeMap<ConnId, Talker>,
    queue: Queue,
    /// Who is to be looked at when the turn is settled: who is gone and leaves a peer, and who may go with somebody now that it
    /// did not go with before.
    unsettled: VecDeque<ConnId>,
    next: Place,
}

/// How many talks there are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Connections that wait for a peer.
    pub(crate) waiting: usize,
    /// Talks that are open.
    pub(crate) open: usize,
}

impl Talks {
    /// The state of a connection.
    pub(crate) fn state(&self, id: ConnId) -> State {
        self.talkers.get(&id).map_or(State::Registered, |talker| talker.state)
    }

    /// Whom a connection has found.
    pub(crate) fn peer(&self, id: ConnId) -> Option<ConnId> {
        self.talkers.get(&id)?.peer
    }

    /// Whether somebody's peer knew it under this name, before it took another one.
    pub(crate) fn was_called(&self, id: ConnId, nick: &Nick) -> bool {
        let former = self.talkers.get(&id).and_then(|talker| talker.former.as_ref());
        former.is_some_and(|former| former.key() == nick.key())
    }

    /// A connection and its peer, as they stand.
    pub(crate) fn pair(&self, id: ConnId) -> Pair {
        let theirs = self.peer(id).map_or(State::Registered, |peer| self.state(peer));
        let pair = Pair { mine: self.state(id), theirs };
        assert!(pair.is_sound(), "both sides agree");
        pair
    }

    /// What a connection wants of a talk.
    pub(crate) fn wish(&self, id: ConnId) -> Option<&Wish> {
        self.talkers.get(&id).map(|talker| &talker.wish)
    }

    /// Since when a connection waits, or waited before it found somebody.
    pub(crate) fn since(&self, id: ConnId) -> Option<Now> {
        self.talkers.get(&id).map(|talker| talker.since)
    }

    /// Whether nobody is to be looked at.
    pub(crate) fn are_settled(&self) -> bool {
        self.unsettled.is_empty()
    }

    /// How many there are.
    pub(crate) fn counts(&self) -> Counts {
        let open = self.talkers.values().filter(|talker| talker.state.is_open()).count();
        assert!(open.is_multiple_of(2), "a talk has two sides");
        Counts { waiting: self.queue.len(), open: open / 2 }
    }

    fn next_place(&mut self) -> Place {
        self.next += 1;
        self.next
    }
}
