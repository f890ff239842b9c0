//! Rooms: who is in them, what waits for the store, and what has been said lately. Each room has one order.
//!
//! Only the tables live here; what happens in a room is decided in `publish`, and handed out in `settle`.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;
use core::ops::{Bound, Range, RangeInclusive};

use proto::encode::DIALECTS;
use proto::{Dialect, Nick, RequestId, RoomName, Seq, WallTime};

use crate::block::BlockNo;
use crate::connection::ConnId;
use crate::former::Former;
use crate::presence::{Gathering, Presence};
use crate::recent::Recent;
use crate::store::{KeptRoom, Outcome};

/// Names one room for ever: a removed room's number is not given again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct RoomNo(u32);

impl RoomNo {
    /// The first that there may be.
    pub(crate) const FIRST: Self = Self(0);

    /// The number after this one.
    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    #[cfg(test)]
    pub(crate) const fn new(no: u32) -> Self {
        Self(no)
    }
}

/// Names a message on its way to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    pub(crate) room: RoomNo,
    pub(crate) seq: Seq,
}

impl Ticket {
    /// Those of a room.
    pub(crate) const fn all_of(room: RoomNo) -> RangeInclusive<Self> {
        Self { room, seq: Seq(0) }..=Self { room, seq: Seq(u64::MAX) }
    }
}

/// How a connection is in a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Undecided: what is said is held for it.
    Held,
    /// It hears the room since it follows everything; the room is not kept for it.
    Overhearing,
    /// It hears the room, which it named, and is not shown in it.
    Following,
    /// It is in the room. Who follows everything will still hear it when it has left.
    Joined,
    /// It is in the room, and will still hear it when it has left: it named it.
    JoinedAndFollowing,
}

impl Standing {
    /// Whether others see it in the room.
    pub(crate) const fn is_shown(self) -> bool {
        matches!(self, Self::Joined | Self::JoinedAndFollowing)
    }

    /// Whether it hears the room and is not shown in it.
    const fn is_follower(self) -> bool {
        matches!(self, Self::Overhearing | Self::Following)
    }
}

/// How a member hears its room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Hearing {
    /// It gets what is said.
    Live,
    /// It was too slow: from this message on everything is left out.
    Skipped(Seq),
    /// It is replayed what was said from this message on, and gets nothing else of the room.
    CatchingUp(Seq),
}

/// A connection in a room.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) conn: ConnId,
    /// The room's last message when it came, or when it asked to be replayed some.
    pub(crate) since: Seq,
    hearing: Hearing,
    /// What of the open block of its dialect it already has.
    pub(crate) from: u32,
    pub(crate) dialect: Dialect,
    pub(crate) standing: Standing,
}

impl Member {
    /// Whether it gets what is said.
    pub(crate) fn is_live(&self) -> bool {
        self.hearing == Hearing::Live
    }

    /// The first message that is left out, while it is being skipped.
    pub(crate) const fn gap_from(&self) -> Option<Seq> {
        match self.hearing {
            Hearing::Skipped(from) => Some(from),
            Hearing::Live | Hearing::CatchingUp(_) => None,
        }
    }

    /// The next message to be replayed, while it is catching up.
    pub(crate) const fn replays_from(&self) -> Option<Seq> {
        match self.hearing {
            Hearing::CatchingUp(next) => Some(next),
            Hearing::Live | Hearing::Skipped(_) => None,
        }
    }

    /// Begins to be skipped; true where it was not before.
    pub(crate) fn skip_from(&mut self, seq: Seq) -> bool {
        assert_ne!(seq, Seq(0), "the first message has the number 1");
        match self.hearing {
            Hearing::Live => self.hearing = Hearing::Skipped(seq),
            Hearing::Skipped(from) => {
                assert!(from <= seq, "nothing is queued while it is being skipped");
                return false;
            }
            Hearing::CatchingUp(_) => unreachable!("nothing is queued while it is catching up"),
        }
        true
    }

    /// Ends being skipped.
    pub(crate) fn take_gap(&mut self) -> Option<Seq> {
        let from = self.gap_from()?;
        self.hearing = Hearing::Live;
        Some(from)
    }

    /// Is replayed what was said from this message on.
    pub(crate) fn replay_from(&mut self, seq: Seq) {
        assert_ne!(seq, Seq(0), "the first message has the number 1");
        assert!(self.gap_from().is_none(), "a gap is told before a replay begins");
        assert!(self.replays_from() <= Some(seq), "a replay goes forward");
        self.hearing = Hearing::CatchingUp(seq);
    }

    /// Gets what is said from here on in its dialect's open block.
    pub(crate) fn hear_from(&mut self, heard: u32) {
        assert!(self.gap_from().is_none(), "a gap is told");
        self.hearing = Hearing::Live;
        self.from = heard;
    }
}

/// A frame in the open block that one member does not get: its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Excluded {
    pub(crate) conn: ConnId,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

/// A post that waits for the store.
#[derive(Debug)]
pub(crate) struct Post {
    /// What the store said about it; nothing yet where there is none.
    pub(crate) outcome: Option<Outcome>,
    pub(crate) message: Recent,
    /// Its author asks for receipts.
    pub(crate) receipt: bool,
    pub(crate) asked: Asked,
}

/// Who is to be told what became of a post.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) author: ConnId,
    /// The author's request, of v1 authors.
    pub(crate) reply: Option<RequestId>,
    /// The same post again, before it was stored: who asked, and under which request.
    pub(crate) repeats: Vec<(ConnId, RequestId)>,
}

impl Asked {
    /// Whom to reply to, and under which requests, in their order.
    pub(crate) fn replies(self) -> impl Iterator<Item = (ConnId, RequestId)> {
        let own = self.reply.map(|request| (self.author, request));
        own.into_iter().chain(self.repeats)
    }
}

/// Something of a room that has its place in the room's order.
#[derive(Debug)]
pub(crate) enum Pending {
    /// A message.
    Post(Post),
    /// Somebody came.
    Joined {
        /// It does not hear of itself.
        conn: ConnId,
        /// Who.
        nick: Nick,
    },
    /// Somebody left.
    Left {
        /// It does not hear of itself, where it goes on following.
        conn: ConnId,
        /// Who.
        nick: Nick,
    },
    /// Who came to and went from a large room within a while.
    Presence(Box<Presence>),
    /// The room has another topic.
    Topic {
        /// Who set it, and has its reply; none where the operator did.
        by: Option<(ConnId, Nick)>,
        /// What it is; empty for none.
        topic: Box<str>,
    },
    /// Somebody is away, or back.
    Away {
        /// It does not hear of itself.
        conn: ConnId,
        /// Who.
        nick: Nick,
        /// What it left word of; empty for back.
        away: Box<str>,
    },
    /// Somebody took another name.
    Renamed {
        /// It does not hear of itself.
        conn: ConnId,
        /// The name until now.
        nick: Nick,
        /// The name from now on.
        new_nick: Nick,
    },
}

impl Pending {
    /// The post that it is.
    pub(crate) const fn as_post(&mut self) -> Option<&mut Post> {
        match self {
            Self::Post(post) => Some(post),
            Self::Joined { .. }
            | Self::Left { .. }
            | Self::Presence(_)
            | Self::Topic { .. }
            | Self::Away { .. }
            | Self::Renamed { .. } => None,
        }
    }

    /// Whether it is a post that the store has not answered.
    pub(crate) fn waits_for_store(&self) -> bool {
        matches!(self, Self::Post(post) if post.outcome.is_none())
    }
}

/// What a room is about.
#[derive(Debug)]
pub(crate) struct Topic {
    /// Empty for none.
    pub(crate) text: Box<str>,
    /// Who set it; none where the operator did.
    pub(crate) by: Option<Nick>,
    pub(crate) time: WallTime,
}

/// A room.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) name: RoomName,
    /// Everybody who hears it, sorted by id.
    pub(crate) members: Vec<Member>,
    /// How many of them by dialect.
    pub(crate) audience: [u32; DIALECTS],
    /// How many of them are shown.
    pub(crate) shown: usize,
    /// How many of them follow it, by name or with everything.
    pub(crate) followers: usize,
    /// How many of these do not keep it.
    pub(crate) overhearing: usize,
    /// This turn's blocks.
    pub(crate) open: [Option<BlockNo>; DIALECTS],
    /// Frames of the open blocks that their authors do not get, in the order of the frames.
    pub(crate) excluded: [Vec<Excluded>; DIALECTS],
    /// The place of the last message that was taken.
    pub(crate) last_taken: Seq,
    /// The place of the last message that was released.
    pub(crate) last_released: Seq,
    pub(crate) last_time: WallTime,
    /// What is not released yet: posts that the store has, and everything behind them.
    pub(crate) queue: VecDeque<Pending>,
    /// How many messages were said before they are stored, and are not decided.
    pub(crate) said: usize,
    /// Messages in memory, the oldest first.
    pub(crate) recent: VecDeque<Recent>,
    /// The last message that may have been and is not in memory any more.
    pub(crate) forgotten: Seq,
    /// The last message that may have been and is kept nowhere. What is between it and the forgotten ones the store has.
    gone: Seq,
    /// The last message that a room of this name may have had before.
    earlier: Seq,
    /// Its own messages come after this number.
    born: Seq,
    /// What was set last.
    pub(crate) topic: Option<Box<Topic>>,
    /// Who came and went lately, while that is gathered.
    pub(crate) gathering: Option<Box<Gathering>>,
    /// Who made it, while that connection is there and has limits.
    maker: Option<ConnId>,
    /// It is there whoever is in it.
    lasts: bool,
}

impl Room {
    /// A connection in this room.
    pub(crate) fn member(&self, conn: ConnId) -> Option<&Member> {
        self.position(conn).ok().map(|at| &self.members[at])
    }

    /// A connection in this room.
    pub(crate) fn member_mut(&mut self, conn: ConnId) -> Option<&mut Member> {
        self.position(conn).ok().map(|at| &mut self.members[at])
    }

    /// The messages from a number on that are not in memory any more, both ends included. Numbers that the name never had are
    /// none.
    fn forgotten_from(&self, next: Seq) -> Option<(Seq, Seq)> {
        self.had(next, self.forgotten)
    }

    /// Those of them that are kept nowhere.
    pub(crate) fn gone_from(&self, next: Seq) -> Option<(Seq, Seq)> {
        self.had(next, self.gone())
    }

    /// Those of them that the store has.
    pub(crate) fn stored_from(&self, next: Seq) -> Option<(Seq, Seq)> {
        self.had(next.max(self.gone().next()), self.forgotten)
    }

    /// The last message that may have been and is neither in memory nor in the store.
    pub(crate) fn gone(&self) -> Seq {
        self.gone.min(self.forgotten)
    }

    /// Retention took everything up to this place from the store.
    pub(crate) fn is_gone(&mut self, through: Seq) {
        self.gone = self.gone.max(through);
    }

    /// Those from one place to another that the name may have had, both ends included.
    pub(crate) fn had(&self, next: Seq, last: Seq) -> Option<(Seq, Seq)> {
        assert!(self.earlier <= self.forgotten, "what was before is forgotten");
        assert!(self.earlier <= self.born, "a room begins behind what was before");
        let first = if next <= self.earlier { next } else { next.max(self.born.next()) };
        (first <= last).then_some((first, last))
    }

    /// The first message from a number on that may have been, in memory or not.
    pub(crate) fn first_from(&self, next: Seq) -> Option<Seq> {
        let forgotten = self.forgotten_from(next).map(|(first, _)| first);
        let at = self.recent.partition_point(|recent| recent.seq < next);
        forgotten.or_else(|| self.recent.get(at).map(|recent| recent.seq))
    }

    /// Whether it is there whoever is in it.
    pub(crate) const fn is_lasting(&self) -> bool {
        self.lasts
    }

    fn position(&self, conn: ConnId) -> Result<usize, usize> {
        self.members.binary_search_by_key(&conn, |member| member.conn)
    }

    /// A connection comes in; what is said from now on is for it. `heard` is how long its dialect's open block is.
    pub(crate) fn enter(&mut self, conn: ConnId, dialect: Dialect, standing: Standing, heard: u32) {
        let at = self.position(conn).expect_err("nobody comes in twice");
        let since = self.last_released;
        let hearing = Hearing::Live;
        let member = Member { conn, since, hearing, from: heard, dialect, standing };
        self.members.insert(at, member);
        self.audience[dialect.index()] += 1;
        self.count_in(standing);
    }

    fn count_in(&mut self, standing: Standing) {
        self.shown += usize::from(standing.is_shown());
        self.followers += usize::from(standing.is_follower());
        self.overhearing += usize::from(standing == Standing::Overhearing);
    }

    fn count_out(&mut self, standing: Standing) {
        self.shown -= usize::from(standing.is_shown());
        self.followers -= usize::from(standing.is_follower());
        self.overhearing -= usize::from(standing == Standing::Overhearing);
    }

    /// A connection goes.
    pub(crate) fn exit(&mut self, conn: ConnId) -> Member {
        let at = self.position(conn).expect("only who is in a room goes");
        let member = self.members.remove(at);
        self.audience[member.dialect.index()] -= 1;
        self.count_out(member.standing);
        if self.members.capacity() > 64 && self.members.capacity() / 4 > self.members.len() {
            self.members.shrink_to(self.members.len() * 2);
        }
        member
    }

    /// A member's standing changes; returns what it was.
    pub(crate) fn stand(&mut self, conn: ConnId, standing: Standing) -> Standing {
        let at = self.position(conn).expect("only who is in a room stands in it");
        let before = core::mem::replace(&mut self.members[at].standing, standing);
        self.count_out(before);
        self.count_in(standing);
        before
    }

    /// Whether nobody is in it or follows it by name but perhaps this connection.
    fn is_alone(&self, conn: ConnId) -> bool {
        let own = self.member(conn).is_some_and(|own| own.standing != Standing::Overhearing);
        self.members.len() - self.overhearing == usize::from(own)
    }

    /// Whether nothing keeps it: nobody is in it or follows it by name, and it has nothing that must not be forgotten or is
    /// still to be told.
    pub(crate) fn is_idle(&self) -> bool {
        self.members.len() == self.overhearing
            && self.queue.is_empty()
            && self.said == 0
            && self.recent.is_empty()
            && self.gone() == self.forgotten
            && self.gathering.is_none()
            && self.open.iter().all(Option::is_none)
            && self.members.iter().all(Member::is_live)
    }
}

/// All rooms.
#[derive(Debug)]
pub(crate) struct Rooms {
    by_no: BTreeMap<RoomNo, Room>,
    names: BTreeMap<RoomName, RoomNo>,
    /// The room of every v0.5 connection, which always exists.
    pub(crate) home: RoomNo,
    next: u32,
    /// A room that is made again goes on after every number that was ever taken, and not before any time: (room, seq)
    /// names one message for ever.
    floor: (Seq, WallTime),
    /// Rooms that are gone.
    former: Former,
    /// Rooms with open blocks.
    pub(crate) dirty: Vec<RoomNo>,
    /// Connections that follow every room, and in how many of them each is, or follows them by name.
    everywhere: BTreeMap<ConnId, usize>,
    /// Rooms that may have become empty and are still there.
    idle: BTreeSet<RoomNo>,
    /// The rooms that are still there, by who made them.
    made: BTreeMap<ConnId, Vec<RoomNo>>,
}

impl Rooms {
    /// The default room alone.
    pub(crate) fn new(home: RoomName) -> Self {
        let mut rooms = Self {
            by_no: BTreeMap::new(),
            names: BTreeMap::new(),
            home: RoomNo(0),
            next: 0,
            floor: (Seq(0), WallTime::from_micros(i64::MIN)),
            former: Former::default(),
            dirty: Vec::new(),
            everywhere: BTreeMap::new(),
            idle: BTreeSet::new(),
            made: BTreeMap::new(),
        };
        rooms.home = rooms.make(home);
        rooms.known_mut(rooms.home).lasts = true;
        rooms
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.by_no.len()
    }

    /// The room of a name.
    pub(crate) fn find(&self, name: &RoomName) -> Option<RoomNo> {
        self.names.get(name).copied()
    }

    /// A room, if it is still there.
    pub(crate) fn get(&self, no: RoomNo) -> Option<&Room> {
        self.by_no.get(&no)
    }

    /// A room, if it is still there.
    pub(crate) fn get_mut(&mut self, no: RoomNo) -> Option<&mut Room> {
        self.by_no.get_mut(&no)
    }

    /// A room that must be there, since something of ours names it.
    pub(crate) fn known(&self, no: RoomNo) -> &Room {
        self.get(no).expect("a room stays while somebody is in it or waits in it")
    }

    /// A room that must be there, since something of ours names it.
    pub(crate) fn known_mut(&mut self, no: RoomNo) -> &mut Room {
        self.get_mut(no).expect("a room stays while somebody is in it or waits in it")
    }

    /// The rooms by name, those beyond one.
    pub(crate) fn beyond(
        &self,
        name: Option<&RoomName>,
    ) -> impl Iterator<Item = (&RoomName, RoomNo)> {
        let from = name.map_or(Bound::Unbounded, Bound::Excluded);
        let rooms = self.names.range::<RoomName, _>((from, Bound::Unbounded));
        rooms.map(|(name, no)| (name, *no))
    }

    /// All rooms.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (RoomNo, &Room)> {
        self.by_no.iter().map(|(no, room)| (*no, room))
    }

    /// The number that the next room gets: those that are there have lower ones.
    pub(crate) const fn end(&self) -> RoomNo {
        RoomNo(self.next)
    }

    /// The first rooms of a range of numbers, at most so many.
    pub(crate) fn some_in(&self, range: Range<RoomNo>, most: usize) -> Vec<RoomNo> {
        self.by_no.range(range).map(|(no, _)| *no).take(most).collect()
    }

    /// Makes a room.
    pub(crate) fn make(&mut self, name: RoomName) -> RoomNo {
        let no = RoomNo(self.next);
        self.next += 1;
        let (seq, time) = self.floor;
        let earlier = self.former.take(&name);
        assert!(earlier <= seq, "the floor is behind all that was");
        let room = Room {
            name: name.clone(),
            members: Vec::new(),
            audience: [0; DIALECTS],
            shown: 0,
            followers: 0,
            overhearing: 0,
            open: [None; DIALECTS],
            excluded: [const { Vec::new() }; DIALECTS],
            last_taken: seq,
            last_released: seq,
            last_time: time,
            queue: VecDeque::new(),
            said: 0,
            recent: VecDeque::new(),
            forgotten: earlier,
            gone: earlier,
            earlier,
            born: seq,
            topic: None,
            gathering: None,
            maker: None,
            lasts: false,
        };
        let before = (self.names.insert(name, no), self.by_no.insert(no, room));
        assert!(before.0.is_none() && before.1.is_none(), "a room is made once");
        no
    }

    /// A room of which messages were kept is there again.
    pub(crate) fn restore(&mut self, kept: &KeptRoom) {
        assert!(kept.gone <= kept.last, "what is gone was there");
        let is_home = self.known(self.home).name == kept.name;
        if kept.is_empty && !is_home {
            self.floor.0 = self.floor.0.max(kept.last);
            self.floor.1 = self.floor.1.max(kept.last_time);
            return self.former.remember(kept.name.clone(), kept.last);
        }
        let no = if is_home { self.home } else { self.make(kept.name.clone()) };
        let born = self.floor.0.max(kept.last);
        let room = self.known_mut(no);
        assert!(room.recent.is_empty() && room.queue.is_empty(), "nothing has happened yet");
        (room.last_taken, room.last_released, room.born) = (born, born, born);
        (room.earlier, room.forgotten) = (kept.last, kept.last);
        room.gone = if kept.is_empty { kept.last } else { kept.gone };
        room.last_time = kept.last_time;
    }

    /// No place up to `floor` is given again, and no room that is not named had a message beyond `unknown`.
    pub(crate) fn restore_floor(&mut self, floor: Seq, unknown: Seq) {
        assert!(self.by_no.len() == 1, "the floor is laid first");
        let floor = floor.max(unknown);
        self.floor.0 = floor;
        self.former.is_unknown(unknown);
        let home = self.known_mut(self.home);
        (home.last_taken, home.last_released, home.born) = (floor, floor, floor);
        (home.earlier, home.forgotten, home.gone) = (unknown, unknown, unknown);
    }

    /// Forgets a room in which there is nothing any more.
    pub(crate) fn remove(&mut self, no: RoomNo) -> Room {
        let room = self.by_no.remove(&no).expect("it was there");
        assert!(!room.lasts && room.is_idle(), "what is there is not forgotten");
        self.floor.0 = self.floor.0.max(room.last_taken);
        self.floor.1 = self.floor.1.max(room.last_time);
        self.idle.remove(&no);
        if let Some(maker) = room.maker {
            self.is_not_made_by(no, maker);
        }
        let named = self.names.remove(&room.name);
        assert_eq!(named, Some(no), "a name leads to its room");
        assert!(room.recent.is_empty(), "what it had is forgotten");
        self.former.remember(room.name.clone(), room.forgotten);
        room
    }

    /// A connection made a room.
    pub(crate) fn note_maker(&mut self, no: RoomNo, conn: ConnId) {
        let before = self.known_mut(no).maker.replace(conn);
        assert!(before.is_none(), "a room has one maker");
        self.made.entry(conn).or_default().push(no);
    }

    fn is_not_made_by(&mut self, no: RoomNo, maker: ConnId) {
        let made = self.made.get_mut(&maker).expect("a maker has made its rooms");
        made.retain(|other| *other != no);
        if made.is_empty() {
            self.made.remove(&maker);
        }
    }

    /// A room is there from now on whoever is in it; it is the operator's, and counts for nobody.
    pub(crate) fn lasts(&mut self, no: RoomNo) {
        let room = self.known_mut(no);
        room.lasts = true;
        if let Some(maker) = room.maker.take() {
            self.is_not_made_by(no, maker);
        }
        self.idle.remove(&no);
        assert!(!self.is_awaited(no), "what lasts does not go");
    }

    /// A room goes from now on when nothing keeps it.
    pub(crate) fn ends(&mut self, no: RoomNo) {
        assert!(no != self.home, "the default room always exists");
        self.known_mut(no).lasts = false;
        self.may_be_idle(no);
    }

    /// How many rooms a connection made in which nobody else is.
    pub(crate) fn made_alone_by(&self, conn: ConnId) -> usize {
        let made = self.made.get(&conn).into_iter().flatten();
        made.filter(|no| self.known(**no).is_alone(conn)).count()
    }

    /// The maker of rooms is gone; they are nobody's.
    pub(crate) fn maker_is_gone(&mut self, conn: ConnId) {
        for no in self.made.remove(&conn).unwrap_or_default() {
            let maker = self.known_mut(no).maker.take();
            assert_eq!(maker, Some(conn), "a room knows its maker");
        }
    }

    /// Sweeps the makers, in tests.
    pub(crate) fn check_makers(&self) {
        let made: usize = self.made.values().map(Vec::len).sum();
        assert_eq!(
            made,
            self.by_no.values().filter_map(|room| room.maker).count(),
            "each is listed"
        );
        for (conn, rooms) in &self.made {
            assert!(!rooms.is_empty(), "who made nothing is not listed");
            assert!(rooms.iter().all(|no| self.known(*no).maker == Some(*conn)), "at its maker");
        }
    }

    /// A room may have become empty: it is looked at in the end.
    pub(crate) fn may_be_idle(&mut self, no: RoomNo) {
        if self.by_no.get(&no).is_some_and(|room| !room.lasts && room.is_idle()) {
            self.idle.insert(no);
        }
    }

    /// A room that may have become empty, once.
    pub(crate) fn next_idle(&mut self) -> Option<RoomNo> {
        self.idle.pop_first()
    }

    /// Whether a room is to be looked at.
    pub(crate) fn is_awaited(&self, no: RoomNo) -> bool {
        self.idle.contains(&no)
    }

    /// Who follows every room.
    pub(crate) fn everywhere(&self) -> Vec<ConnId> {
        self.everywhere.keys().copied().collect()
    }

    /// Whether a connection follows every room.
    pub(crate) fn hears_everything(&self, conn: ConnId) -> bool {
        self.everywhere.contains_key(&conn)
    }

    /// A connection follows every room from now on; so many it was in before.
    pub(crate) fn follow_everything(&mut self, conn: ConnId, own_rooms: usize) {
        let before = self.everywhere.insert(conn, own_rooms);
        assert!(before.is_none(), "it begins once");
    }

    /// A connection is gone.
    pub(crate) fn follow_nothing(&mut self, conn: ConnId) {
        self.everywhere.remove(&conn);
    }

    /// In how many rooms who follows everything is, or which it follows by name; nothing for others.
    pub(crate) fn own_rooms_of_everywhere(&self, conn: ConnId) -> Option<usize> {
        self.everywhere.get(&conn).copied()
    }

    /// Who follows everything is in so many rooms more; for others all rooms are their own.
    pub(crate) fn own_rooms_changed(&mut self, conn: ConnId, by: isize) {
        if let Some(count) = self.everywhere.get_mut(&conn) {
            *count = count.checked_add_signed(by).expect("each room is counted once");
        }
    }

    /// A room has an open block.
    pub(crate) fn is_dirty(&mut self, no: RoomNo) {
        if !self.dirty.contains(&no) {
            self.dirty.push(no);
        }
    }
}
