//! Requests about messages: posting them, and following rooms.

use alloc::borrow::Cow;
use alloc::collections::BTreeSet;
use alloc::vec::Vec;

use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{ErrorCode, MessageId, Nick, RequestId, RoomName, Seq, Target, WallTime};

use super::direct::DirectDraft;
use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;
use crate::publish::Draft;
use crate::recent::Known;
use crate::replay::{Awaited, Begin};
use crate::rooms::{Pending, Room, RoomNo, Standing, Ticket};
use crate::settings::PAGE_ROWS_MAX;

/// What a follower is replayed first, of each room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct From {
    /// So many of the latest messages.
    pub(crate) last: Option<u32>,
    /// Those stored at this time or later.
    pub(crate) since: Option<WallTime>,
    /// Those after this place.
    pub(crate) after: Option<Seq>,
}

impl From {
    /// Where the replay of a room begins: what is named last in it counts. None where nothing is asked for.
    pub(crate) fn begin(self, room: &Room) -> Option<(Seq, Option<Begin>)> {
        let first = self.after.map_or(Seq(1), Seq::next);
        let is_found = self.last.is_none() && self.since.is_none();
        let stored = room.stored_from(first).filter(|_| !is_found);
        let Some((first, upto)) = stored else { return self.begin_in_memory(room) };
        let latest = self
            .last
            .map(|last| last.saturating_sub(u32::try_from(room.recent.len()).unwrap_or(u32::MAX)));
        let oldest = room.recent.front();
        let is_recent =
            self.since.is_some_and(|since| oldest.is_some_and(|oldest| oldest.time < since));
        if latest == Some(0) || is_recent {
            return self.begin_in_memory(room);
        }
        Some((first, Some(Begin { latest, since: self.since, upto })))
    }

    /// The same, where memory goes back far enough.
    fn begin_in_memory(self, room: &Room) -> Option<(Seq, Option<Begin>)> {
        let from = |at: usize| room.recent.get(at).map(|recent| recent.seq);
        let place = |at: usize| from(at).unwrap_or(room.last_released.next());
        let last = self.last.map(|last| {
            let last = usize::try_from(last).unwrap_or(usize::MAX);
            place(room.recent.len().saturating_sub(last))
        });
        let since = self
            .since
            .map(|since| place(room.recent.partition_point(|recent| recent.time < since)));
        let first = last.max(since).max(self.after.map(Seq::next));
        first.map(|first| (first, None))
    }
}

/// What somebody posts.
#[derive(Debug)]
pub(super) struct Posted<'a> {
    pub(super) message_id: MessageId,
    pub(super) content: Cow<'a, [u8]>,
    /// What its author says that this is.
    pub(super) content_type: Option<Cow<'a, str>>,
    pub(super) receipt: bool,
}

impl Hub {
    /// A post whose id is known is no second message: it gets the first one's reply, unless it is another message.
    pub(super) fn post_request(
        &mut self,
        id: ConnId,
        request: &RequestId,
        target: &Target,
        posted: &Posted<'_>,
        nick: Option<Nick>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        let from = nick.or_else(|| connection.nick.clone());
        let from =
            from.ok_or_else(|| Error::new(ErrorCode::NoNickname, "The connection has no name."))?;
        let Posted { message_id, receipt, .. } = *posted;
        let (content, content_type) = (&*posted.content, posted.content_type.as_deref());
        let name = match target {
            Target::Room(name) => name,
            Target::Nick(to) => {
                let draft = DirectDraft { message_id, from, to, content, content_type, receipt };
                return self.post_direct(id, request, &draft, out);
            }
        };
        if let Some(known) = self.recents.ids.get(&message_id).copied() {
            return self.repeat(id, request, known, (name, content), out);
        }
        if self.directs.get(message_id).is_some() {
            return Err(super::id_conflict());
        }
        if let Some(no) = self.rooms.find(name).filter(|_| receipt) {
            self.may_ask_for_receipts(no)?;
        }
        let room = self.room_or_make(id, name)?;
        let reply = Some(request.clone());
        let author = id;
        let draft = Draft { room, message_id, from, content, content_type, author, reply, receipt };
        self.post(draft, out);
        Ok(())
    }

    /// The id alone is the key: who says it does not count, since a guest that lost its connection comes back under another name.
    pub(super) fn repeat(
        &mut self,
        id: ConnId,
        request: &RequestId,
        known: Known,
        (name, content): (&RoomName, &[u8]),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let conflict = super::id_conflict;
        let Known { room: no, seq } = known;
        let room = self.rooms.known_mut(no);
        if room.name != *name {
            return Err(conflict());
        }
        if let Some(recent) = room.recent_at(seq) {
            if *recent.content != *content {
                return Err(conflict());
            }
            if let Some(said) = self.said.get_mut(&Ticket { room: no, seq }) {
                said.asked.repeats.push((id, request.clone()));
                self.connections.known(id).owed += 1;
                return Ok(());
            }
            let (seq, time) = (recent.seq, recent.time);
            self.reply(id, request, &Reply::Post { room: name.as_str(), seq, time }, out);
            return Ok(());
        }
        let mut waiting = room.queue.iter_mut().filter_map(Pending::as_post);
        let post =
            waiting.find(|post| post.message.seq == seq).expect("a known id is recent or waits");
        if *post.message.content != *content {
            return Err(conflict());
        }
        post.asked.repeats.push((id, request.clone()));
        self.connections.known(id).owed += 1;
        Ok(())
    }

    /// Follows rooms. What is replayed comes before the reply, what is live after it, without gap or double.
    pub(super) fn tail(
        &mut self,
        id: ConnId,
        request: &RequestId,
        names: &[RoomName],
        from: From,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let replays = from != From::default();
        if names.is_empty() {
            return self.tail_everything(id, request, from, out);
        }
        let rooms = self.rooms_to_follow(id, names, replays)?;
        let mut begins = Vec::new();
        for no in &rooms {
            match self.rooms.known(*no).member(id).map(|member| member.standing) {
                None if self.rooms.hears_everything(id) => {
                    self.enter(id, *no, Standing::Overhearing);
                }
                None => self.enter(id, *no, Standing::Following),
                Some(Standing::Joined) if !self.rooms.hears_everything(id) => {
                    self.stand(id, *no, Standing::JoinedAndFollowing);
                }
                Some(_) => {}
            }
            let begin = from.begin(self.rooms.known(*no));
            begins.extend(begin.map(|(first, begin)| (*no, first, begin)));
        }
        let told = self.names_to_tell(id, &rooms);
        let more = told.len() < rooms.len();
        self.begin_replay(id, request, begins, Awaited::Tail(told, more), out);
        Ok(())
    }

    /// Follows all rooms; none of them is being replayed if something is to be.
    fn tail_everything(
        &mut self,
        id: ConnId,
        request: &RequestId,
        from: From,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if let Some(no) = self.some_room_replayed(id).filter(|_| from != From::default()) {
            return Err(self.is_being_replayed(no));
        }
        if !self.rooms.hears_everything(id) {
            let own_rooms = self.connections.known(id).rooms.len();
            self.rooms.follow_everything(id, own_rooms);
        }
        let some = self.rooms.some_in(RoomNo::FIRST..self.rooms.end(), PAGE_ROWS_MAX);
        let told = self.names_to_tell(id, &some);
        let more = told.len() < self.rooms.len();
        self.follow_all(id, request, from, Awaited::Tail(told, more), out);
        Ok(())
    }

    /// The rooms of these names, made where there are none, and all of that only where nothing keeps it from being done.
    fn rooms_to_follow(
        &mut self,
        id: ConnId,
        names: &[RoomName],
        replays: bool,
    ) -> Result<Vec<RoomNo>, Error> {
        // What goes anyway goes before anything is counted.
        self.sweep_idle();
        let all: BTreeSet<&RoomName> = names.iter().collect();
        let there: Vec<RoomNo> = all.iter().filter_map(|name| self.rooms.find(name)).collect();
        self.are_not_replayed(id, there.iter().filter(|_| replays))?;
        // Who follows everything hears them as it hears all.
        if !self.rooms.hears_everything(id) {
            let known = there.iter().filter(|no| self.rooms.known(**no).member(id).is_some());
            let more = all.len() - known.count();
            self.may_enter(id, more)?;
        }
        self.may_make(id, all.len() - there.len())?;
        let mut rooms = there;
        for name in all {
            if self.rooms.find(name).is_none() {
                rooms.push(self.make(id, name));
            }
        }
        rooms.sort_unstable();
        assert!(rooms.is_sorted_by(|a, b| a < b), "each room is there once");
        Ok(rooms)
    }

    /// The names of these rooms, as many as the reply may have and as may wait for the one who asks.
    fn names_to_tell(&self, id: ConnId, rooms: &[RoomNo]) -> Vec<RoomName> {
        let mut left = self.budget_of(id).max(1024);
        let names = rooms.iter().take(PAGE_ROWS_MAX).map(|no| &self.rooms.known(*no).name);
        let told = names.take_while(|name| {
            // Two quotes and a comma.
            let rest = left.checked_sub(name.as_str().len() + 3);
            left = rest.unwrap_or(0);
            rest.is_some()
        });
        told.cloned().collect()
    }

    fn are_not_replayed<'a>(
        &self,
        id: ConnId,
        mut rooms: impl Iterator<Item = &'a RoomNo>,
    ) -> Result<(), Error> {
        rooms.try_for_each(|no| self.may_be_replayed(id, *no))
    }
}
