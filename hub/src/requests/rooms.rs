//! Requests about rooms: joining and leaving them, who is in them, which there are.

use alloc::format;
use alloc::vec::Vec;

use proto::reply::{Member, Reply, Room as RoomRow};
use proto::vocabulary::Error;
use proto::{ErrorCode, Nick, RequestId, RoomName, Seq};

use super::rows_of_page;
use crate::Hub;
use crate::connection::ConnId;
use crate::outbox::Outbox;
use crate::replay::Awaited;
use crate::rooms::{Member as Entry, Pending, RoomNo, Standing};
use crate::settings::CONTROL_CONNECTIONS_MAX;

impl Hub {
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
            let more = before.is_none_or(|standing| standing == Standing::Overhearing);
            self.may_enter(id, usize::from(more))?;
        }
        let no = self.room_or_make(id, name)?;
        match standing(self) {
            None => self.enter(id, no, Standing::Joined),
            Some(Standing::Overhearing) => self.stand(id, no, Standing::Joined),
            Some(Standing::Following) => self.stand(id, no, Standing::JoinedAndFollowing),
            Some(Standing::Held | Standing::Joined | Standing::JoinedAndFollowing) => {}
        }
        let begin = after.map(|after| (no, after.next(), None));
        self.begin_replay(id, request, begin.into_iter().collect(), Awaited::Join(no), out);
        if let Some(nick) = self.connections.known(id).nick.clone().filter(|_| joins) {
            self.announce(no, Pending::Joined { conn: id, nick }, out);
        }
        Ok(())
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
        let hears_on = match standing {
            Some(Standing::JoinedAndFollowing) => Some(Standing::Following),
            _ if self.rooms.hears_everything(id) => Some(Standing::Overhearing),
            _ => None,
        };
        self.settle_connection(id, out);
        self.tell_gap(id, no, out);
        if hears_on.is_none() {
            self.cut_replay(id, no, out);
        }
        if !self.connections.known(id).phase.is_live() {
            return Ok(());
        }
        match hears_on {
            Some(standing) => self.stand(id, no, standing),
            None => {
                self.exit(id, no);
            }
        }
        self.reply(id, request, &Reply::Leave { room: name.as_str() }, out);
        if let Some(nick) = self.connections.known(id).nick.clone() {
            self.announce(no, Pending::Left { conn: id, nick }, out);
        }
        self.sweep(no);
        Ok(())
    }

    /// A page of who is in a room, by name. Users of the control socket have one name in several connections: a page ends
    /// between names.
    pub(super) fn members(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        (beyond, limit): (Option<&Nick>, Option<u32>),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let most = rows_of_page(limit);
        let room = self.rooms.known(self.existing_room(name)?);
        let shown = room.members.iter().filter(|member| member.standing.is_shown());
        let row = |member: &Entry| {
            let connection = self.connections.get(member.conn)?;
            let away = connection.client.as_ref().is_some_and(|client| client.away.is_some());
            connection.nick.as_ref().map(|nick| Member { nick: nick.as_str(), away })
        };
        let behind = |row: &Member<'_>| beyond.is_none_or(|beyond| row.nick > beyond.as_str());
        let mut members: Vec<Member<'_>> = shown.filter_map(row).filter(behind).collect();
        // So many have the names of the page and one more at least: only they are sorted.
        let some = most + CONTROL_CONNECTIONS_MAX + 1;
        if members.len() > some {
            members.select_nth_unstable(some);
            members.truncate(some);
        }
        members.sort_unstable();
        let mut names: Vec<&[Member<'_>]> = members.chunk_by(|a, b| a.nick == b.nick).collect();
        let more = names.len() > most;
        names.truncate(most);
        let bytes = self.encoded_page(id, request, (names, more), |names, more| {
            Reply::Members { room: name.as_str(), members: names.concat(), more }
        })?;
        self.push_private(id, bytes, out);
        Ok(())
    }

    /// A page of the rooms there are, by name.
    pub(super) fn list_rooms(
        &mut self,
        id: ConnId,
        request: &RequestId,
        (beyond, limit): (Option<&RoomName>, Option<u32>),
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let most = rows_of_page(limit);
        let rooms = self.rooms.beyond(beyond).take(most + 1).map(|(name, no)| {
            let room = self.rooms.known(no);
            let (members, followers, seq) = (room.shown, room.followers, room.last_released);
            RoomRow { room: name.as_str(), members, followers, seq }
        });
        let mut rows: Vec<RoomRow<'_>> = rooms.collect();
        let more = rows.len() > most;
        rows.truncate(most);
        let bytes = self
            .encoded_page(id, request, (rows, more), |rooms, more| Reply::Rooms { rooms, more })?;
        self.push_private(id, bytes, out);
        Ok(())
    }
}
