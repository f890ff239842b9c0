//! Catching up: a member is replayed what it asked for, page by page at the pace at which it reads, and then hears its room live.
//!
//! While it catches up, nothing of its room is queued for it: the replay goes on until it has come to the room's last message,
//! and in that moment the member is live. So there is neither a hole nor a double at the seam, and the slow reader of a long
//! replay holds a page, not all of it. What memory has forgotten comes from the store, a page at a time (see `fetch`), and what is kept
//! nowhere is named by a `gap` in its place.
//! [`Hub::settle`] queues the pages, one by connection and turn, and [`Hub::wrote`] says when there is room for another. What is
//! replayed is decided in `requests`.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::vec::Vec;

use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{Dialect, ErrorCode, RequestId, RoomName, Seq, WallTime};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::ConnId;
use crate::outbox::Outbox;
use crate::planted::Planted;
use crate::recent::Asker;
use crate::requests::From;
use crate::rooms::{RoomNo, Standing};
use crate::settings::{
    FETCH_BYTES_MAX, PAGE_BYTES_MAX, PAGE_CROWDED_BYTES_MAX, PAGES_BYTES_MAX, ROOMS_AT_ONCE,
};
use crate::slow::gap;

/// What a page costs its turn at least, however short it is.
const PAGE_COST_BYTES: usize = 1024;
/// What a room that is entered costs it, in the same measure.
const ROOM_COST_BYTES: usize = 256;

/// The request whose reply comes behind the replay.
#[derive(Debug)]
pub(crate) enum Awaited {
    /// `join` of a room.
    Join(RoomNo),
    /// `tail` of these rooms, and perhaps of others.
    Tail(Vec<RoomName>, bool),
}

/// Rooms that who follows everything still has to enter, of those that were there when it asked. Those that are made since it
/// hears anyway.
#[derive(Debug)]
struct Entering {
    next: RoomNo,
    end: RoomNo,
    /// What of them it is replayed.
    from: From,
}

impl Entering {
    /// Whether a room is still to be replayed.
    fn replays(&self, no: RoomNo) -> bool {
        (self.next..self.end).contains(&no) && self.from != From::default()
    }
}

/// Where a replay begins that memory does not go back to; the store finds the place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Begin {
    /// With so many of the latest messages that the store has.
    pub(crate) latest: Option<u32>,
    /// With what is of this time or later.
    pub(crate) since: Option<WallTime>,
    /// The last message that was not in memory.
    pub(crate) upto: Seq,
}

/// A room that is being replayed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Replayed {
    pub(crate) no: RoomNo,
    /// It is still to be found where that begins.
    pub(crate) begin: Option<Begin>,
}

/// What is replayed for one request.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) request: RequestId,
    /// Rooms in which the connection is still catching up; never none between two inputs, unless it is still entering some.
    pub(crate) rooms: VecDeque<Replayed>,
    entering: Option<Entering>,
    awaited: Awaited,
}

/// What a connection is still to be replayed: one after the other, each room in one of them at most.
#[derive(Debug, Default)]
pub(crate) struct Replays {
    pub(crate) waiting: VecDeque<Replay>,
    /// It is on the hub's list of those to get the next page.
    listed: bool,
    /// The next message fits only when nothing else waits.
    pub(crate) alone: bool,
    /// The next page comes from the store.
    pub(crate) fetching: Fetching,
}

/// What a connection waits for that is replayed what the store has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Fetching {
    /// For nothing.
    #[default]
    No,
    /// That the store has less to do.
    Waits,
    /// For this page.
    Page(u64),
}

/// How far a page came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reached {
    /// The last message.
    End,
    /// The end of the page.
    Page,
    /// A message that fits only when nothing else waits.
    Alone,
    /// What the store has.
    Stored,
}

/// A page in the making.
#[derive(Debug)]
struct Page {
    dialect: Dialect,
    bytes: Vec<u8>,
    /// How many bytes it is to have; a single message may be longer.
    budget: usize,
    /// How many bytes the connection's queue takes.
    most: usize,
    /// Nothing else waits for the connection.
    alone: bool,
    /// How many bytes were encoded for it, with what did not fit.
    encoded: usize,
}

impl Page {
    /// Whether what is put into it now is all that waits for the connection.
    fn is_alone(&self) -> bool {
        self.alone && self.bytes.is_empty()
    }

    /// How many bytes it still is to have; nothing where it has its due.
    fn left(&self) -> Option<usize> {
        let left = self.budget.saturating_sub(self.bytes.len());
        (left > 0 || self.is_alone()).then_some(left)
    }
}

impl Replay {
    /// Whether there is nothing left but the reply.
    fn is_done(&self) -> bool {
        self.rooms.is_empty() && self.entering.is_none()
    }
}

impl Hub {
    /// Whether a room may be replayed to a connection: once at a time.
    pub(crate) fn may_be_replayed(&self, id: ConnId, no: RoomNo) -> Result<(), Error> {
        let member = self.rooms.known(no).member(id);
        let replays = |replay: &Replay| replay.entering.as_ref().is_some_and(|it| it.replays(no));
        if member.is_some_and(|member| member.replays_from().is_some())
            || self.replays(id).any(replays)
        {
            return Err(self.is_being_replayed(no));
        }
        Ok(())
    }

    /// Some room that is being replayed to a connection, or is going to be.
    pub(crate) fn some_room_replayed(&self, id: ConnId) -> Option<RoomNo> {
        let entering = |replay: &Replay| {
            let entering = replay.entering.as_ref().filter(|it| it.from != From::default())?;
            self.rooms.some_in(entering.next..entering.end, 1).first().copied()
        };
        self.replays(id)
            .find_map(|replay| replay.rooms.front().map(|room| room.no).or(entering(replay)))
    }

    /// What is replayed to a connection.
    fn replays(&self, id: ConnId) -> impl Iterator<Item = &Replay> {
        let replays = self.connections.get(id).and_then(|connection| connection.replays.as_ref());
        replays.into_iter().flat_map(|replays| &replays.waiting)
    }

    /// What is told to who asks for a room again.
    pub(crate) fn is_being_replayed(&self, no: RoomNo) -> Error {
        let name = self.rooms.known(no).name.as_str();
        let text = format!("Room `{name}` is being replayed; wait for that reply.");
        Error::new(ErrorCode::LimitReached, text)
    }

    /// A connection follows all rooms from now on: it enters those that are there in portions, catches up with them where it
    /// asked for that, and then gets its reply.
    pub(crate) fn follow_all(
        &mut self,
        id: ConnId,
        request: &RequestId,
        from: From,
        awaited: Awaited,
        out: &mut Outbox,
    ) {
        assert!(self.rooms.hears_everything(id), "rooms that are made since are heard");
        self.settle_connection(id, out);
        let entering = Some(Entering { next: RoomNo::FIRST, end: self.rooms.end(), from });
        let rooms = VecDeque::new();
        let mut replay = Replay { request: request.clone(), rooms, entering, awaited };
        let entered = self.enter_some(id, &mut replay, out);
        self.has_done(entered / 8);
        self.wait_for(id, replay, out);
    }

    /// Who follows everything enters some more rooms, and begins to catch up with them; returns how many.
    fn enter_some(&mut self, id: ConnId, replay: &mut Replay, out: &mut Outbox) -> usize {
        let Some(entering) = &mut replay.entering else { return 0 };
        let from = entering.from;
        let some = self.rooms.some_in(entering.next..entering.end, ROOMS_AT_ONCE);
        match some.last().filter(|_| some.len() == ROOMS_AT_ONCE) {
            Some(last) => entering.next = last.next(),
            None => replay.entering = None,
        }
        for no in &some {
            if self.rooms.known(*no).member(id).is_none() {
                self.enter(id, *no, Standing::Overhearing);
            }
            let begin = from.begin(self.rooms.known(*no));
            replay.rooms.extend(begin.and_then(|begin| self.catch_up(id, *no, begin, out)));
            if !self.connections.known(id).phase.is_live() {
                break;
            }
        }
        some.len()
    }

    /// A replay goes on behind the others of its connection; where nothing is left of it, its reply comes at once.
    fn wait_for(&mut self, id: ConnId, replay: Replay, out: &mut Outbox) {
        let connection = self.connections.known(id);
        if !connection.phase.is_live() {
            for room in replay.rooms {
                self.stop_replay(id, room.no);
            }
            return;
        }
        if replay.is_done() {
            let mut bytes = Vec::new();
            self.answer_replay(id, &replay.request, &replay.awaited, &mut bytes);
            self.push_private(id, bytes, out);
            return;
        }
        let replays = connection.replays.get_or_insert_with(Box::default);
        replays.waiting.push_back(replay);
        self.replay_on(id);
    }

    /// Where the next thing to be replayed is that more rooms are entered, some are; returns how many.
    fn enter_more(&mut self, id: ConnId, out: &mut Outbox) -> usize {
        let Some(replays) = &mut self.connections.known(id).replays else { return 0 };
        let enters = |replay: &mut Replay| replay.rooms.is_empty() && replay.entering.is_some();
        let Some(mut replay) = replays.waiting.pop_front_if(enters) else { return 0 };
        let entered = self.enter_some(id, &mut replay, out);
        match &mut self.connections.known(id).replays {
            Some(replays) => replays.waiting.push_front(replay),
            // It was closed for what it was told.
            None => replay.rooms.into_iter().for_each(|room| self.stop_replay(id, room.no)),
        }
        entered
    }

    /// A connection catches up with rooms that it is in, each from a message on, and then gets its reply.
    pub(crate) fn begin_replay(
        &mut self,
        id: ConnId,
        request: &RequestId,
        begins: Vec<(RoomNo, Seq, Option<Begin>)>,
        awaited: Awaited,
        out: &mut Outbox,
    ) {
        self.settle_connection(id, out);
        let mut rooms = VecDeque::new();
        for (no, first, begin) in begins {
            rooms.extend(self.catch_up(id, no, (first, begin), out));
        }
        let replay = Replay { request: request.clone(), rooms, entering: None, awaited };
        self.wait_for(id, replay, out);
    }

    /// A member is replayed a room's messages from one on; none where there are none, or the connection is gone.
    fn catch_up(
        &mut self,
        id: ConnId,
        no: RoomNo,
        (first, begin): (Seq, Option<Begin>),
        out: &mut Outbox,
    ) -> Option<Replayed> {
        let last = self.rooms.known(no).last_released;
        // What it was too slow for is replayed, but for what lies before.
        let before = if begin.is_some() { last } else { Seq(first.0.saturating_sub(1)) };
        self.tell_gap_until(id, no, last.min(before), out);
        if first > last || !self.connections.known(id).phase.is_live() {
            return None;
        }
        let member = self.rooms.known_mut(no).member_mut(id).expect("who catches up is a member");
        assert!(member.is_live(), "a room is replayed once at a time, and a gap is told before");
        member.since = last;
        member.replay_from(first.max(Seq(1)));
        Some(Replayed { no, begin })
    }

    /// Lists a connection for its next page, where there is room for one.
    pub(crate) fn replay_on(&mut self, id: ConnId) {
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let Some(connection) = self.connections.get_mut(id) else { return };
        let Some(replays) = &mut connection.replays else { return };
        assert!(connection.phase.is_live(), "only who lives is replayed anything");
        let most = if replays.alone { 0 } else { limit / 2 };
        let waits = replays.fetching != Fetching::No;
        if connection.queue.bytes() <= most && !replays.listed && !waits {
            replays.listed = true;
            self.replaying.push_back(id);
        }
    }

    /// Gives those who have room for it a page each, as many as one turn has time for.
    pub(crate) fn replay(&mut self, out: &mut Outbox) {
        let mut budget = PAGES_BYTES_MAX;
        for _ in 0..self.replaying.len() {
            let Some(id) = self.replaying.pop_front_if(|_| budget > 0) else { return };
            let replays = self.connections.known(id).replays.as_mut();
            let replays = replays.expect("who is listed is replayed something");
            assert!(replays.listed, "a connection is listed once");
            replays.listed = false;
            budget = budget.saturating_sub(self.replay_page(id, out).max(PAGE_COST_BYTES));
        }
    }

    /// Queues a page, where there is room for it; returns how many bytes were encoded for it.
    fn replay_page(&mut self, id: ConnId, out: &mut Outbox) -> usize {
        self.settle_connection(id, out);
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let held = self.blocks.bytes() + self.private_bytes;
        let crowded = self.settings.store.is_some_and(|most| held > most / 4);
        let dialect = self.reply_dialect(id);
        if self.connections.known(id).queue.bytes() > limit / 2 {
            return 0;
        }
        let replays = self.connections.known(id).replays.as_ref();
        if replays.is_some_and(|replays| replays.fetching != Fetching::No) {
            return 0;
        }
        let entered = self.enter_more(id, out) * ROOM_COST_BYTES;
        let connection = self.connections.known(id);
        let queued = connection.queue.bytes();
        if queued > limit / 2 {
            // Gaps that were told have filled it; what is written of them goes on.
            return entered;
        }
        let Some(mut replays) = connection.replays.take() else { return entered };
        let (budget, stored_budget) = if crowded {
            (PAGE_CROWDED_BYTES_MAX, PAGE_CROWDED_BYTES_MAX)
        } else {
            (PAGE_BYTES_MAX, FETCH_BYTES_MAX)
        };
        let room = limit / 2 - queued;
        let mut page = Page {
            dialect,
            bytes: Vec::new(),
            budget: budget.min(room),
            most: limit - queued,
            alone: queued == 0,
            encoded: 0,
        };
        let reached = self.fill_page(id, &mut replays.waiting, &mut page);
        let enters = replays.waiting.front().is_some_and(|replay| replay.rooms.is_empty());
        let fetches = reached == Reached::Stored;
        let goes_on = reached == Reached::End || enters || fetches || !page.is_alone();
        assert!(goes_on, "a replay goes on with each page");
        replays.alone = reached == Reached::Alone;
        if fetches {
            let left = stored_budget.min(room).saturating_sub(page.bytes.len());
            replays.fetching = self.fetch_page(id, &replays, (dialect, left), out);
        }
        self.keep_replays(id, replays);
        let cost = page.encoded.max(page.bytes.len()) + entered;
        self.push_private(id, page.bytes, out);
        if enters {
            self.replay_on(id);
        }
        cost
    }

    /// Fills a page from one room after the other; behind the last of a request comes its reply.
    fn fill_page(
        &mut self,
        id: ConnId,
        waiting: &mut VecDeque<Replay>,
        page: &mut Page,
    ) -> Reached {
        while let Some(replay) = waiting.front_mut() {
            if let Some(room) = replay.rooms.front().copied() {
                let Some(left) = page.left() else { return Reached::Page };
                match self.replay_room(id, room, (&replay.request, left), page) {
                    Reached::End => replay.rooms.pop_front(),
                    reached @ (Reached::Page | Reached::Alone | Reached::Stored) => return reached,
                };
            } else if replay.entering.is_some() {
                return Reached::Page;
            } else {
                self.answer_replay(id, &replay.request, &replay.awaited, &mut page.bytes);
                waiting.pop_front();
            }
        }
        Reached::End
    }

    /// Puts as many of a room's messages into a page as fit; at its last one the member is live.
    fn replay_room(
        &mut self,
        id: ConnId,
        Replayed { no, begin }: Replayed,
        (request, left): (&RequestId, usize),
        page: &mut Page,
    ) -> Reached {
        if begin.is_some() {
            return Reached::Stored;
        }
        let heard = self.heard(no, page.dialect);
        let room = self.rooms.known(no);
        let member = room.member(id).expect("who catches up is a member");
        let mut next = member.replays_from().expect("who is replayed a room catches up with it");
        if let Some((first, last)) = room.gone_from(next) {
            page.bytes.extend(gap(page.dialect, &room.name, first, last));
            self.counters.gaps += 1;
            next = last.next();
        }
        if room.stored_from(next).is_some() {
            let member = self.rooms.known_mut(no).member_mut(id);
            member.expect("it is still a member").replay_from(next);
            return Reached::Stored;
        }
        let begin = room.recent.partition_point(|recent| recent.seq < next);
        let drops =
            room.last_released > member.since && self.settings.plants(Planted::SeamDropsOne);
        let end = room.recent.len().saturating_sub(usize::from(drops));
        let range = begin..end.max(begin);
        let asker = Asker { dialect: page.dialect, request, of: self.history };
        let some = room.page_forward(range, usize::MAX, left, asker);
        page.encoded += some.encoded;
        let last = some.count.checked_sub(1).map(|count| room.recent[begin + count].seq);
        let mut reached = if some.more { Reached::Page } else { Reached::End };
        if page.bytes.len() + some.bytes.len() <= page.most {
            page.bytes.extend(some.bytes);
            next = last.map_or(next, Seq::next);
        } else if let Some(seq) = last.filter(|_| page.is_alone()) {
            assert_eq!(some.count, 1, "only one message can be longer than its page");
            page.bytes.extend(gap(page.dialect, &room.name, seq, seq));
            self.counters.gaps += 1;
            next = seq.next();
        } else {
            reached = Reached::Alone;
        }
        let member = self.rooms.known_mut(no).member_mut(id).expect("it is still a member");
        match reached {
            Reached::End if self.settings.plants(Planted::SeamDoublesOne) => member.hear_from(0),
            Reached::End => {
                member.hear_from(heard);
                self.rooms.may_be_idle(no);
            }
            Reached::Page | Reached::Alone | Reached::Stored => member.replay_from(next),
        }
        reached
    }

    /// How much of a room's open block in a dialect is there now.
    pub(crate) fn heard(&self, no: RoomNo, dialect: Dialect) -> u32 {
        let open = self.rooms.known(no).open[dialect.index()];
        open.map_or(0, |block| self.blocks.get(block).len())
    }

    /// The reply to a request whose replay is over.
    fn answer_replay(
        &self,
        id: ConnId,
        request: &RequestId,
        awaited: &Awaited,
        bytes: &mut Vec<u8>,
    ) {
        let reply = match awaited {
            Awaited::Join(no) => {
                let room = self.rooms.known(*no);
                let (seq, members) = (room.last_released, room.shown);
                Reply::Join { room: room.name.as_str(), seq, members }
            }
            Awaited::Tail(rooms, more) => {
                let names = rooms.iter().map(RoomName::as_str);
                Reply::Tail { rooms: names.collect(), more: *more }
            }
        };
        bytes.extend(self.encode_reply(id, request, &reply));
    }

    /// A connection is replayed no more of a room: it is told by a gap what it does not get, and gets its reply where that was
    /// the last room.
    pub(crate) fn cut_replay(&mut self, id: ConnId, no: RoomNo, out: &mut Outbox) {
        let room = self.rooms.known(no);
        let member = room.member(id).expect("who is replayed a room is a member");
        if member.replays_from().is_none() {
            return;
        }
        let mut bytes = self.cut_short(id, no);
        let replays = self.connections.known(id).replays.take();
        let mut replays = replays.expect("who catches up is replayed something");
        let holds = |replay: &Replay| replay.rooms.iter().any(|room| room.no == no);
        let at = replays.waiting.iter().position(holds).expect("a room is in one replay");
        replays.waiting[at].rooms.retain(|room| room.no != no);
        if replays.waiting[at].is_done() {
            let done = replays.waiting.remove(at).expect("it was found");
            self.answer_replay(id, &done.request, &done.awaited, &mut bytes);
        }
        replays.alone = false;
        // A page that is still to come is nobody's.
        replays.fetching = Fetching::No;
        self.keep_replays(id, replays);
        self.push_private(id, bytes, out);
        self.replay_on(id);
    }

    /// A connection leaves: it is told by gaps what it does not get, and has its replies. Who ended its own side waits for a page
    /// of it at least. It looks at each room once: there may be as many as there are at all.
    pub(crate) fn end_replays(&mut self, id: ConnId, reason: &CloseReason, out: &mut Outbox) {
        if self.connections.known(id).phase.is_live() && *reason == CloseReason::PeerClosed {
            self.replay_page(id, out);
        }
        let Some(mut replays) = self.connections.known(id).replays.take() else { return };
        let mut bytes = Vec::new();
        for replay in replays.waiting.drain(..) {
            for room in &replay.rooms {
                bytes.extend(self.cut_short(id, room.no));
            }
            if replay.entering.is_some() {
                // Of the others nothing was said to it, and nothing is promised.
                let text = "The connection ended before it came to all rooms; wait for the reply.";
                let error = Error::new(ErrorCode::LimitReached, text);
                bytes.extend(self.encode_refusal(id, Some(&replay.request), &error));
            } else {
                self.answer_replay(id, &replay.request, &replay.awaited, &mut bytes);
            }
        }
        self.keep_replays(id, replays);
        self.push_private(id, bytes, out);
        assert!(self.connections.known(id).replays.is_none(), "nothing is left to be replayed");
    }

    /// A member is replayed no more of a room, and hears it live: the gap that names what it does not get.
    fn cut_short(&mut self, id: ConnId, no: RoomNo) -> Vec<u8> {
        let room = self.rooms.known(no);
        let member = room.member(id).expect("who is replayed a room is a member");
        let next = member.replays_from().expect("it was catching up");
        // Of a room without messages there is nothing to be told.
        let first = room.first_from(next).filter(|first| *first <= room.last_released);
        let told = first.map(|first| gap(member.dialect, &room.name, first, room.last_released));
        self.counters.gaps += u64::from(told.is_some());
        self.stop_replay(id, no);
        told.unwrap_or_default()
    }

    /// A connection is replayed nothing more.
    pub(crate) fn forget_replays(&mut self, id: ConnId) {
        let Some(mut replays) = self.connections.known(id).replays.take() else { return };
        for replay in replays.waiting.drain(..) {
            for room in replay.rooms {
                self.stop_replay(id, room.no);
            }
        }
        self.keep_replays(id, replays);
        assert!(self.connections.known(id).replays.is_none(), "nothing is left");
    }

    /// A member hears its room live again.
    fn stop_replay(&mut self, id: ConnId, no: RoomNo) {
        let member = self.rooms.known(no).member(id).expect("who is replayed a room is a member");
        assert!(member.replays_from().is_some(), "it was catching up");
        let heard = self.heard(no, member.dialect);
        self.rooms.known_mut(no).member_mut(id).expect("it is a member").hear_from(heard);
        self.rooms.may_be_idle(no);
    }

    /// Keeps what a connection is still to be replayed; where that is nothing, it gets no next page.
    pub(crate) fn keep_replays(&mut self, id: ConnId, replays: Box<Replays>) {
        if replays.waiting.is_empty() {
            if replays.listed {
                self.replaying.retain(|other| *other != id);
            }
        } else {
            self.connections.known(id).replays = Some(replays);
        }
    }

    /// Whether who follows everything still has to enter a room.
    pub(crate) fn is_to_enter(&self, id: ConnId, no: RoomNo) -> bool {
        let mut entering = self.replays(id).filter_map(|replay| replay.entering.as_ref());
        entering.any(|entering| (entering.next..entering.end).contains(&no))
    }

    /// Sweeps what is replayed, in tests: each member that catches up is in one replay, and each replay goes on.
    pub(crate) fn check_replays(&self) {
        let (mut catching_up, mut listed) = (0, 0);
        for (_, room) in self.rooms.iter() {
            for next in room.members.iter().filter_map(crate::rooms::Member::replays_from) {
                assert!(next <= room.last_released.next(), "who is at the end is live soon");
                catching_up += 1;
            }
            let first = room.recent.front();
            assert!(first.is_none_or(|first| first.seq > room.forgotten), "what is kept is there");
            assert!(room.forgotten <= room.last_released, "what is forgotten was there");
        }
        for connection in self.connections.iter() {
            let Some(replays) = &connection.replays else { continue };
            assert!(connection.phase.is_live(), "nothing is replayed to who leaves");
            assert!(!replays.waiting.is_empty(), "what is done is forgotten");
            let waits = replays.fetching != Fetching::No;
            assert!(replays.listed || waits || !connection.queue.is_empty(), "a replay goes on");
            assert!(!(replays.listed && waits), "it waits for one thing");
            assert_eq!(
                self.replaying.contains(&connection.id),
                replays.listed,
                "who waits is listed"
            );
            listed += usize::from(replays.listed);
            for replay in &replays.waiting {
                assert!(!replay.is_done(), "a replay without a room is answered");
                for room in &replay.rooms {
                    let member = self.rooms.known(room.no).member(connection.id);
                    let member = member.expect("who is replayed a room is a member");
                    assert!(member.replays_from().is_some(), "and catches up with it");
                }
                catching_up -= replay.rooms.len();
            }
        }
        assert_eq!(catching_up, 0, "who catches up is replayed the room, once");
        assert_eq!(listed, self.replaying.len(), "each is listed once");
    }
}
