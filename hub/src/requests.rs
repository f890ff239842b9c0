//! The requests of v1: what they look up, what they change, and their replies.

use alloc::borrow::Cow;
use alloc::format;
use alloc::vec::Vec;

use proto::reply::{Hello, HelloLimits, Member, Reply, Room as RoomRow};
use proto::vocabulary::{Error, HISTORY_MESSAGES_MAX, HistoryRange, VERSION};
use proto::{Dialect, ErrorCode, MessageId, Nick, Request, RequestId, RoomName, encode};

use crate::Hub;
use crate::connection::{ConnId, Phase};
use crate::outbox::{Effect, Notice, Outbox};
use crate::publish::Draft;
use crate::recent::Known;
use crate::rooms::{Member as Entry, Pending, Room, RoomNo, Standing};

/// How many messages `history` gives where the client names no limit.
const HISTORY_MESSAGES_DEFAULT: u32 = 100;

impl Hub {
    /// Carries out one request and replies to it, unless its reply has to wait for the store.
    pub(crate) fn request(
        &mut self,
        id: ConnId,
        request: &RequestId,
        what: Request<'_>,
        out: &mut Outbox,
    ) {
        assert_eq!(
            self.connections.known(id).phase,
            Phase::Control,
            "requests come from v1 connections"
        );
        let done = match what {
            Request::Hello { version, nick, .. } => {
                self.hello(id, request, version, nick.as_ref(), out)
            }
            Request::Nick { .. } => Err(no_nickname_here()),
            Request::Join { room } => self.join(id, request, &room, out),
            Request::Leave { room } => self.leave_room(id, request, &room, out),
            Request::Post { room, message_id, content, nick } => {
                self.post_request(id, request, &room, (message_id, content), nick, out)
            }
            Request::Tail { rooms, last } => self.tail(id, request, &rooms, last, out),
            Request::History { room, range } => self.history(id, request, &room, range, out),
            Request::Members { room } => self.members(id, request, &room, out),
            Request::Rooms => self.list_rooms(id, request, out),
            Request::Ping => self.reply_done(id, request, out),
            Request::Stats => self.reply_stats(id, request, out),
            Request::Stop => self.stop(id, request, out),
        };
        if let Err(error) = done {
            self.refuse(id, Some(request), &error, out);
        }
    }

    /// Replies with an error.
    pub(crate) fn refuse(
        &mut self,
        id: ConnId,
        request: Option<&RequestId>,
        error: &Error,
        out: &mut Outbox,
    ) {
        let mut bytes = Vec::new();
        encode::refusal(Dialect::Control, request, error, &mut bytes);
        self.push_private(id, bytes, out);
    }

    /// Encodes what a look-up found, unless it is more than may wait for the one who asks.
    fn encoded_reply(
        &self,
        id: ConnId,
        request: &RequestId,
        reply: &Reply<'_>,
    ) -> Result<Vec<u8>, Error> {
        let mut bytes = Vec::new();
        encode::reply(Dialect::Control, Some(request), reply, &mut bytes);
        if bytes.len() > self.budget_of(id).max(1024) {
            let text = "The answer is longer than what may wait for one connection; read first, or ask for less.";
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        Ok(bytes)
    }

    /// How many bytes of an answer may be queued for a connection: half of what its queue still takes.
    fn budget_of(&self, id: ConnId) -> usize {
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let private = self.connections.get(id).map_or(0, |connection| connection.private);
        limit.saturating_sub(private) / 2
    }

    fn hello(
        &mut self,
        id: ConnId,
        request: &RequestId,
        version: Option<u32>,
        nick: Option<&Nick>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if let Some(version) = version.filter(|version| *version != VERSION) {
            let text =
                format!("This server speaks version {VERSION} of the vocabulary, not {version}.");
            return Err(Error::new(ErrorCode::BadRequest, text));
        }
        if nick.is_some() {
            return Err(no_nickname_here());
        }
        let connection = self.connections.get(id).expect("who asks is there");
        let limited =
            |value: Option<u32>| value.filter(|_| connection.share.is_some()).map(u64::from);
        let settings = &self.settings;
        let limits = HelloLimits {
            message: settings.wire.message,
            line: settings.wire.line(),
            history: HISTORY_MESSAGES_MAX,
            messages_per_second: limited(settings.messages_per_s),
            message_burst: limited(settings.messages_per_s.map(|_| settings.message_burst)),
        };
        let reply = Reply::Hello(Hello {
            server: &settings.server_name,
            version: &settings.version,
            protocol: VERSION,
            session: id.as_u64(),
            nick: connection.nick.as_ref().map(Nick::as_str),
            address: &connection.address,
            history: self.history,
            durability: "none",
            limits,
            features: &[],
        });
        let bytes = self.encoded_reply(id, request, &reply)?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    /// The room of a name, made where there is none.
    fn room_or_make(&mut self, name: &RoomName) -> Result<RoomNo, Error> {
        if let Some(no) = self.rooms.find(name) {
            return Ok(no);
        }
        if let Some(most) = self.settings.rooms.filter(|most| self.rooms.len() >= *most) {
            let text = format!("There are {most} rooms, as many as there may be; use one of them.");
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        let no = self.rooms.make(name.clone());
        for id in self.rooms.everywhere.clone() {
            let connection = self.connections.known(id);
            if connection.phase.is_live() {
                self.enter(id, no, Standing::Following);
            }
        }
        Ok(no)
    }

    fn existing_room(&self, name: &RoomName) -> Result<RoomNo, Error> {
        let missing = || Error::new(ErrorCode::NoSuchRoom, format!("There is no room `{name}`."));
        self.rooms.find(name).ok_or_else(missing)
    }

    fn join(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let standing = |hub: &Self| {
            let no = hub.rooms.find(name)?;
            hub.rooms.known(no).member(id).map(|member| member.standing)
        };
        let before = standing(self);
        let joins = !before.is_some_and(Standing::is_shown);
        if joins {
            self.may_join_one_more(id)?;
        }
        let no = self.room_or_make(name)?;
        match standing(self) {
            None => self.enter(id, no, Standing::Joined),
            Some(Standing::Following) => {
                self.rooms.known_mut(no).stand(id, Standing::JoinedAndFollowing);
            }
            Some(Standing::Held | Standing::Joined | Standing::JoinedAndFollowing) => {}
        }
        let room = self.rooms.known(no);
        let (seq, members) = (room.last_released, room.shown);
        let mut bytes = Vec::new();
        let reply = Reply::Join { room: name.as_str(), seq, members };
        encode::reply(Dialect::Control, Some(request), &reply, &mut bytes);
        self.push_private(id, bytes, out);
        if let Some(nick) = self.connections.known(id).nick.clone().filter(|_| joins) {
            self.announce(no, Pending::Joined { conn: id, nick }, out);
        }
        Ok(())
    }

    fn may_join_one_more(&self, id: ConnId) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        let shown = |no: &&RoomNo| {
            self.rooms.known(**no).member(id).is_some_and(|member| member.standing.is_shown())
        };
        match self.settings.rooms_joined {
            Some(most) if connection.rooms.iter().filter(shown).count() >= most => {
                let text = format!(
                    "The connection is in {most} rooms, as many as it may be; leave one first."
                );
                Err(Error::new(ErrorCode::LimitReached, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    fn leave_room(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let no = self.existing_room(name)?;
        let standing = self.rooms.known(no).member(id).map(|member| member.standing);
        if !standing.is_some_and(Standing::is_shown) {
            let text = format!("The connection is not in room `{name}`.");
            return Err(Error::new(ErrorCode::NotInRoom, text));
        }
        self.settle_connection(id, out);
        self.tell_gap(id, no, out);
        if !self.connections.known(id).phase.is_live() {
            return Ok(());
        }
        if standing == Some(Standing::JoinedAndFollowing) {
            self.rooms.known_mut(no).stand(id, Standing::Following);
        } else {
            self.rooms.known_mut(no).exit(id);
            self.connections.known(id).rooms.retain(|other| *other != no);
        }
        let mut bytes = Vec::new();
        encode::reply(
            Dialect::Control,
            Some(request),
            &Reply::Leave { room: name.as_str() },
            &mut bytes,
        );
        self.push_private(id, bytes, out);
        if let Some(nick) = self.connections.known(id).nick.clone() {
            self.announce(no, Pending::Left { nick }, out);
        }
        self.rooms.sweep(no);
        Ok(())
    }

    /// A post whose id is known is no second message: it gets the first one's reply, unless it is another message.
    fn post_request(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        (message_id, content): (MessageId, Cow<'_, [u8]>),
        nick: Option<Nick>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        if nick.is_some() && !connection.admin {
            return Err(Error::new(
                ErrorCode::Forbidden,
                "Only administrators may speak as somebody else.",
            ));
        }
        let from = nick.or_else(|| connection.nick.clone());
        let from =
            from.ok_or_else(|| Error::new(ErrorCode::NoNickname, "The connection has no name."))?;
        if let Some(known) = self.recents.ids.get(&message_id).copied() {
            return self.repeat(id, request, known, (name, &from, &content), out);
        }
        let room = self.room_or_make(name)?;
        let reply = Some(request.clone());
        self.post(Draft { room, message_id, from, content: &content, author: id, reply }, out);
        Ok(())
    }

    fn repeat(
        &mut self,
        id: ConnId,
        request: &RequestId,
        known: Known,
        (name, from, content): (&RoomName, &Nick, &[u8]),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let conflict = || {
            let text = "Another message has this id; make a new UUID for each message.";
            Error::new(ErrorCode::IdConflict, text)
        };
        let room = self.rooms.known_mut(known.room);
        if room.name != *name {
            return Err(conflict());
        }
        if let Some(recent) = room.recent_at(known.seq) {
            if *recent.content != *content || recent.from != *from {
                return Err(conflict());
            }
            let mut bytes = Vec::new();
            let reply = Reply::Post { room: name.as_str(), seq: recent.seq, time: recent.time };
            encode::reply(Dialect::Control, Some(request), &reply, &mut bytes);
            self.push_private(id, bytes, out);
            return Ok(());
        }
        let mut waiting = room.queue.iter_mut().filter_map(|pending| match pending {
            Pending::Post(post) => Some(post),
            Pending::Joined { .. } | Pending::Left { .. } | Pending::Renamed { .. } => None,
        });
        let post =
            waiting.find(|post| post.seq == known.seq).expect("a known id is recent or waits");
        if *post.content != *content || post.from != *from {
            return Err(conflict());
        }
        post.repeats.push((id, request.clone()));
        self.connections.known(id).owed += 1;
        Ok(())
    }

    /// Follows rooms. What is replayed comes before the reply, what is live after it, without gap or double.
    fn tail(
        &mut self,
        id: ConnId,
        request: &RequestId,
        names: &[RoomName],
        last: Option<u32>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let mut rooms = Vec::new();
        if names.is_empty() {
            rooms.extend(self.rooms.by_name().map(|(_, no)| no));
            self.follow_everywhere(id);
        }
        for name in names {
            match self.room_or_make(name) {
                Ok(no) => rooms.push(no),
                Err(error) => {
                    for no in rooms {
                        self.rooms.sweep(no);
                    }
                    return Err(error);
                }
            }
        }
        rooms.sort_unstable();
        rooms.dedup();
        let most = last.unwrap_or(0).min(HISTORY_MESSAGES_MAX) as usize;
        let mut budget = self.budget_of(id);
        let mut replay = Vec::new();
        for no in &rooms {
            let room = self.rooms.known(*no);
            if most > 0 && budget > 0 {
                let page = room.page_backward(0..room.recent.len(), most, budget, request);
                budget = budget.saturating_sub(page.bytes.len());
                replay.extend(page.bytes);
            }
        }
        self.settle_connection(id, out);
        if !self.connections.known(id).phase.is_live() {
            return Ok(());
        }
        for no in &rooms {
            match self.rooms.known(*no).member(id).map(|member| member.standing) {
                None => self.enter(id, *no, Standing::Following),
                Some(Standing::Joined) => {
                    self.rooms.known_mut(*no).stand(id, Standing::JoinedAndFollowing);
                }
                Some(Standing::Held | Standing::Following | Standing::JoinedAndFollowing) => {}
            }
        }
        let names = rooms.iter().map(|no| self.rooms.known(*no).name.as_str()).collect();
        encode::reply(Dialect::Control, Some(request), &Reply::Tail { rooms: names }, &mut replay);
        self.push_private(id, replay, out);
        Ok(())
    }

    fn follow_everywhere(&mut self, id: ConnId) {
        if !self.rooms.everywhere.contains(&id) {
            self.rooms.everywhere.push(id);
        }
    }

    fn history(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        range: HistoryRange,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let room = self.rooms.known(self.existing_room(name)?);
        let places = places_in(room, &range);
        let most =
            range.limit.unwrap_or(HISTORY_MESSAGES_DEFAULT).min(HISTORY_MESSAGES_MAX) as usize;
        let budget = self.budget_of(id);
        let mut page = if range.after.is_some() {
            room.page_forward(places, most, budget, request)
        } else {
            room.page_backward(places, most, budget, request)
        };
        let reply = Reply::History { room: name.as_str(), count: page.count, more: page.more };
        encode::reply(Dialect::Control, Some(request), &reply, &mut page.bytes);
        self.push_private(id, page.bytes, out);
        Ok(())
    }

    fn members(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let room = self.rooms.known(self.existing_room(name)?);
        let shown = room.members.iter().filter(|member| member.standing.is_shown());
        let nick = |member: &Entry| {
            self.connections.get(member.conn).and_then(|connection| connection.nick.as_ref())
        };
        let mut members: Vec<Member<'_>> =
            shown.filter_map(nick).map(|nick| Member { nick: nick.as_str() }).collect();
        members.sort_unstable();
        let bytes =
            self.encoded_reply(id, request, &Reply::Members { room: name.as_str(), members })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn list_rooms(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let rooms = self.rooms.by_name().map(|(name, no)| {
            let room = self.rooms.known(no);
            let follows = |member: &&Entry| member.standing == Standing::Following;
            let followers = room.members.iter().filter(follows).count();
            let (members, seq) = (room.shown, room.last_released);
            RoomRow { room: name.as_str(), members, followers, seq }
        });
        let bytes = self.encoded_reply(id, request, &Reply::Rooms { rooms: rooms.collect() })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn reply_done(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let bytes = self.encoded_reply(id, request, &Reply::Done {})?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn reply_stats(
        &mut self,
        id: ConnId,
        request: &RequestId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let bytes = self.encoded_reply(id, request, &Reply::Stats { stats: self.stats() })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    fn stop(&mut self, id: ConnId, request: &RequestId, out: &mut Outbox) -> Result<(), Error> {
        let connection = self.connections.known(id);
        let by = connection.nick.clone().filter(|_| connection.admin);
        let Some(by) = by else {
            return Err(Error::new(
                ErrorCode::Forbidden,
                "Only administrators may end the daemon.",
            ));
        };
        self.reply_done(id, request, out)?;
        out.notice(Notice::StopAsked { id, by });
        out.effect(Effect::Stop);
        Ok(())
    }
}

/// The places in memory of the messages that a request means.
fn places_in(room: &Room, range: &HistoryRange) -> core::ops::Range<usize> {
    let begin = room.recent.partition_point(|recent| {
        range.after.is_some_and(|after| recent.seq <= after)
            || range.since.is_some_and(|since| recent.time < since)
    });
    let end = room.recent.partition_point(|recent| {
        range.before.is_none_or(|before| recent.seq < before)
            && range.until.is_none_or(|until| recent.time < until)
    });
    begin..end.max(begin)
}

fn no_nickname_here() -> Error {
    let text = "A control connection takes no nickname: it speaks as its user's login name.";
    Error::new(ErrorCode::BadRequest, text)
}
