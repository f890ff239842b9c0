//! Requests about rooms: joining and leaving them, who is in them, which there are.

use alloc::format;
use alloc::vec::Vec;

use proto::reply::{Member, Reply, Room as RoomRow};
use proto::vocabulary::Error;
use proto::{ErrorCode, RequestId, RoomName, Seq};

use crate::Hub;
use crate::connection::ConnId;
use crate::hits::Limit;
use crate::outbox::Outbox;
use crate::replay::Awaited;
use crate::rooms::{Member as Entry, Pending, RoomNo, Standing};

impl Hub {
    /// The room of a name, made where there is none.
    pub(super) fn room_or_make(&mut self, id: ConnId, name: &RoomName) -> Result<RoomNo, Error> {
        if let Some(no) = self.rooms.find(name) {
            return Ok(no);
        }
        if let Some(most) = self.settings.rooms.filter(|most| self.rooms.len() >= *most) {
            self.hit(Limit::Rooms, id);
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

    pub(super) fn existing_room(&self, name: &RoomName) -> Result<RoomNo, Error> {
        let missing = || Error::new(ErrorCode::NoSuchRoom, format!("There is no room `{name}`."));
        self.rooms.find(name).ok_or_else(missing)
    }

    pub(super) fn join(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        after: Option<Seq>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        if let Some(no) = self.rooms.find(name).filter(|_| after.is_some()) {
            self.may_be_replayed(id, no)?;
        }
        let standing = |hub: &Self| {
            let no = hub.rooms.find(name)?;
            hub.rooms.known(no).member(id).map(|member| member.standing)
        };
        let before = standing(self);
        let joins = !before.is_some_and(Standing::is_shown);
        if joins {
            self.may_join_one_more(id)?;
        }
        let no = self.room_or_make(id, name)?;
        match standing(self) {
            None => self.enter(id, no, Standing::Joined),
            Some(Standing::Following) => {
                self.rooms.known_mut(no).stand(id, Standing::JoinedAndFollowing);
            }
            Some(Standing::Held | Standing::Joined | Standing::JoinedAndFollowing) => {}
        }
        let begin = after.map(|after| (no, after.next()));
        self.begin_replay(id, request, begin.into_iter().collect(), Awaited::Join(no), out);
        if let Some(nick) = self.connections.known(id).nick.clone().filter(|_| joins) {
            self.announce(no, Pending::Joined { conn: id, nick }, out);
        }
        Ok(())
    }

    pub(super) fn may_join_one_more(&mut self, id: ConnId) -> Result<(), Error> {
        let connection = self.connections.get(id).expect("who asks is there");
        let shown = |no: &&RoomNo| {
            self.rooms.known(**no).member(id).is_some_and(|member| member.standing.is_shown())
        };
        match self.settings.rooms_joined {
            Some(most) if connection.rooms.iter().filter(shown).count() >= most => {
                let text = format!(
                    "The connection is in {most} rooms, as many as it may be; leave one first."
                );
                self.hit(Limit::RoomsJoined, id);
                Err(Error::new(ErrorCode::LimitReached, text))
            }
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn leave_room(
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
        if standing == Some(Standing::Joined) {
            self.cut_replay(id, no, out);
        }
        if !self.connections.known(id).phase.is_live() {
            return Ok(());
        }
        if standing == Some(Standing::JoinedAndFollowing) {
            self.rooms.known_mut(no).stand(id, Standing::Following);
        } else {
            self.exit(id, no);
        }
        self.reply(id, request, &Reply::Leave { room: name.as_str() }, out);
        if let Some(nick) = self.connections.known(id).nick.clone() {
            self.announce(no, Pending::Left { conn: id, nick }, out);
        }
        self.rooms.sweep(no);
        Ok(())
    }

    pub(super) fn members(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let room = self.rooms.known(self.existing_room(name)?);
        let shown = room.members.iter().filter(|member| member.standing.is_shown());
        let row = |member: &Entry| {
            let connection = self.connections.get(member.conn)?;
            let away = connection.client.as_ref().is_some_and(|client| client.away.is_some());
            connection.nick.as_ref().map(|nick| Member { nick: nick.as_str(), away })
        };
        let mut members: Vec<Member<'_>> = shown.filter_map(row).collect();
        members.sort_unstable();
        let bytes =
            self.encoded_reply(id, request, &Reply::Members { room: name.as_str(), members })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    pub(super) fn list_rooms(
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
}
