//! Past messages that are not in memory: what is asked of the store, and what becomes of its answers.
//!
//! A page is asked for by a replay (see `replay`) or by a `history` request (see `requests`), one at a time for each of them. All of them
//! together ask for so many pages at once; who would be one more waits in line, and what comes for who is gone meanwhile is dropped.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use proto::{Dialect, Now, Seq};

use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::{Effect, Outbox};
use crate::planted::Planted;
use crate::replay::{Fetching, Replays};
use crate::requests::LookUp;
use crate::rooms::{Member, RoomNo};
use crate::slow::gap;
use crate::store::{Fetch, FetchError, Fetched, KeptRoom, Order, Page, Pruned};

/// So many pages are asked for at once, all connections together: the store is never idle, and what it has found and nobody has yet
/// taken is four megabytes.
const FETCHES_MAX: usize = 16;

/// Who a page is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A connection that is replayed something.
    Replay(ConnId),
    /// A connection that asked for past messages.
    LookUp(ConnId),
}

/// What the store was asked for and has not answered, and who waits to ask.
#[derive(Debug, Default)]
pub(crate) struct Fetches {
    next: u64,
    /// The pages that it is to find: for whom, and up to which message at most.
    in_flight: BTreeMap<u64, (Reader, Seq)>,
    waiting: VecDeque<Reader>,
    /// `history` requests of each connection that wait for the store, the first of them in work.
    pub(crate) look_ups: BTreeMap<ConnId, VecDeque<LookUp>>,
}

impl Fetches {
    /// Whether the store has as much to find as it may; whoever asks then waits.
    pub(crate) fn must_wait(&mut self, reader: Reader) -> bool {
        let is_full = self.in_flight.len() >= FETCHES_MAX;
        if is_full {
            self.waiting.push_back(reader);
        }
        is_full
    }

    /// Another page is asked for, up to a message at most: its number.
    pub(crate) fn begin(&mut self, reader: Reader, last: Seq) -> u64 {
        assert!(self.in_flight.len() < FETCHES_MAX, "who would be too many waits");
        self.next += 1;
        self.in_flight.insert(self.next, (reader, last));
        self.next
    }
}

impl Hub {
    /// What was kept when the daemon started, before anything else happens. No place up to `floor` is given again, and no room that
    /// is not named had a message beyond `unknown`.
    pub fn restore(&mut self, rooms: &[KeptRoom], floor: Seq, unknown: Seq) {
        assert!(self.connections.len() == 0, "what was kept comes before anybody");
        let forgets = self.settings.plants(Planted::NumberGivenAgain);
        self.rooms.restore_floor(if forgets { Seq(0) } else { floor }, unknown);
        for kept in rooms {
            self.rooms.restore(kept);
        }
    }

    /// Retention took a room's oldest messages.
    pub fn pruned(&mut self, pruned: &Pruned, now: Now) {
        self.tick(now);
        let Some(no) = self.rooms.find(&pruned.room) else { return };
        self.rooms.known_mut(no).is_gone(pruned.through);
        self.recents.forget_through(&mut self.rooms, no, pruned.through);
        self.rooms.may_be_idle(no);
    }

    /// The store answered; an answer that nobody waits for is dropped.
    pub fn fetched(&mut self, fetched: Fetched, now: Now, out: &mut Outbox) {
        self.tick(now);
        let Fetched { no, outcome } = fetched;
        let Some((reader, last)) = self.fetches.in_flight.remove(&no) else { return };
        match reader {
            Reader::Replay(id) => self.replay_fetched(id, no, (outcome, last), out),
            Reader::LookUp(id) => self.look_up_fetched(id, no, outcome, out),
        }
        for _ in self.fetches.in_flight.len()..FETCHES_MAX {
            match self.fetches.waiting.pop_front() {
                None => break,
                Some(Reader::Replay(id)) => self.fetch_on(id),
                Some(Reader::LookUp(id)) => self.look_up(id, out),
            }
        }
    }

    /// A replay that waited for the store to have less to do goes on.
    fn fetch_on(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(id) else { return };
        let waits = |replays: &&mut alloc::boxed::Box<Replays>| replays.fetching == Fetching::Waits;
        if let Some(replays) = connection.replays.as_mut().filter(waits) {
            replays.fetching = Fetching::No;
            self.replay_on(id);
        }
    }

    /// Asks the store for the next page of what a connection is replayed.
    pub(crate) fn fetch_page(
        &mut self,
        id: ConnId,
        replays: &Replays,
        (dialect, bytes): (Dialect, usize),
        out: &mut Outbox,
    ) -> Fetching {
        if self.fetches.must_wait(Reader::Replay(id)) {
            return Fetching::Waits;
        }
        let replay = replays.waiting.front().expect("something is replayed");
        let replayed = replay.rooms.front().expect("a room is replayed");
        let room = self.rooms.known(replayed.no);
        let next = room.member(id).and_then(Member::replays_from);
        let first = next.expect("who is replayed a room catches up with it");
        let (first, last) = match &replayed.begin {
            Some(begin) => (first, begin.upto),
            None => room.stored_from(first).expect("the store has something of it"),
        };
        let no = self.fetches.begin(Reader::Replay(id), last);
        out.effect(Effect::Fetch(Fetch {
            no,
            of: self.history,
            room: room.name.clone(),
            first,
            last,
            since: replayed.begin.and_then(|begin| begin.since),
            until: None,
            latest: replayed.begin.and_then(|begin| begin.latest),
            search: None,
            order: Order::Forward,
            most: usize::MAX,
            bytes: bytes.max(1),
            dialect,
            request: replay.request.clone(),
        }));
        Fetching::Page(no)
    }

    /// A page of what a connection is replayed is there; where the connection has no room for it now, it is asked for again.
    fn replay_fetched(
        &mut self,
        id: ConnId,
        no: u64,
        (outcome, last): (Result<Page, FetchError>, Seq),
        out: &mut Outbox,
    ) {
        let replays = self.connections.get(id).and_then(|found| found.replays.as_ref());
        if replays.is_none_or(|replays| replays.fetching != Fetching::Page(no)) {
            return;
        }
        self.settle_connection(id, out);
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let connection = self.connections.known(id);
        let most = limit.saturating_sub(connection.queue.bytes());
        let is_alone = connection.queue.is_empty();
        let Some(mut replays) = connection.replays.take() else { return };
        replays.fetching = Fetching::No;
        let replay = replays.waiting.front_mut().expect("something is replayed");
        let replayed = replay.rooms.front_mut().expect("a room is replayed");
        let (mut bytes, next) =
            self.page_of(id, (replayed.no, last), &outcome, replayed.begin.is_none());
        let page = outcome.unwrap_or_default();
        let fits = bytes.len() <= most;
        if fits || (is_alone && page.count <= 1) {
            if !fits {
                let seq = page.last.expect("what does not fit is a message");
                let room = self.rooms.known(replayed.no);
                // What is gone before it is told all the same.
                bytes.truncate(bytes.len() - page.bytes.len());
                bytes.extend(gap(self.reply_dialect(id), &room.name, seq, seq));
                self.counters.gaps += 1;
            }
            replayed.begin = None;
            let member = self.rooms.known_mut(replayed.no).member_mut(id);
            member.expect("who is replayed a room is a member").replay_from(next);
        } else {
            replays.alone = page.count <= 1;
            bytes.clear();
        }
        self.keep_replays(id, replays);
        self.push_private(id, bytes, out);
        self.replay_on(id);
    }

    /// What a page says of a room up to a message, a gap before it for what is gone, and from where the replay goes on.
    fn page_of(
        &mut self,
        id: ConnId,
        (no, last): (RoomNo, Seq),
        outcome: &Result<Page, FetchError>,
        tells_gone: bool,
    ) -> (Vec<u8>, Seq) {
        let dialect = self.reply_dialect(id);
        let room = self.rooms.known_mut(no);
        let next = room.member(id).and_then(Member::replays_from);
        let next = next.expect("who is replayed a room catches up with it");
        // What cannot be read now is told as what is not there at all.
        let gone = outcome.as_ref().map_or(last, |page| page.gone.min(last));
        let tells_gone = tells_gone && !self.settings.plants(Planted::GoneUntold);
        let missed = room.had(next, gone).filter(|_| tells_gone);
        let mut bytes =
            missed.map_or_else(Vec::new, |(first, last)| gap(dialect, &room.name, first, last));
        self.counters.gaps += u64::from(missed.is_some());
        let Ok(page) = outcome else { return (bytes, last.next()) };
        room.is_gone(page.gone);
        self.rooms.may_be_idle(no);
        bytes.extend_from_slice(&page.bytes);
        let skips = page.more && self.settings.plants(Planted::PageSkipsOne);
        let reached = page.last.filter(|_| page.more).unwrap_or(last);
        let reached = if skips { reached.next() } else { reached };
        (bytes, reached.next().max(next))
    }
}
