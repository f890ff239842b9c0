//! The life of a room: who may make one, what keeps it, and when it goes.
//!
//! A room stays while somebody is in it or follows it by its name, while something of it is kept or waits. Who follows everything
//! keeps no room: a follower of everything would keep each room that anybody ever made. What happens in a room is decided
//! elsewhere.

use alloc::format;

use proto::vocabulary::Error;
use proto::{ErrorCode, RoomName};

use crate::Hub;
use crate::connection::ConnId;
use crate::hits::Limit;
use crate::rooms::{Room, RoomNo, Standing};

impl Hub {
    /// The room of a name, made where there is none.
    pub(crate) fn room_or_make(&mut self, id: ConnId, name: &RoomName) -> Result<RoomNo, Error> {
        if let Some(no) = self.rooms.find(name) {
            return Ok(no);
        }
        self.may_make(id, 1)?;
        Ok(self.make(id, name))
    }

    /// Whether a connection may make so many rooms more.
    pub(crate) fn may_make(&mut self, id: ConnId, count: usize) -> Result<(), Error> {
        let full = |hub: &Self| {
            hub.settings.rooms.filter(|most| count > most.saturating_sub(hub.rooms.len()))
        };
        if full(self).is_some() {
            self.sweep_idle();
        }
        if let Some(most) = full(self) {
            self.hit(Limit::Rooms, id);
            let there = self.rooms.len();
            let text =
                format!("There are {there} rooms of {most} that there may be; use one of them.");
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        let counts = self.connections.known(id).share.is_some();
        let Some(most) = self.settings.rooms_made.filter(|_| counts && count > 0) else {
            return Ok(());
        };
        if count > most.saturating_sub(self.rooms.made_alone_by(id)) {
            self.hit(Limit::RoomsMade, id);
            let text = format!(
                "The connection may have made {most} rooms in which nobody else is; use one of them."
            );
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        Ok(())
    }

    /// Makes a room for a connection that may.
    pub(crate) fn make(&mut self, id: ConnId, name: &RoomName) -> RoomNo {
        assert!(self.connections.get(id).is_some(), "who makes a room is there");
        let no = self.make_room(name);
        if self.connections.known(id).share.is_some() {
            self.rooms.note_maker(no, id);
        }
        // Where nothing comes of it, it goes again.
        self.rooms.may_be_idle(no);
        no
    }

    /// Makes a room. Who follows everything hears it from its beginning.
    pub(crate) fn make_room(&mut self, name: &RoomName) -> RoomNo {
        let no = self.rooms.make(name.clone());
        let followers = self.rooms.everywhere();
        self.has_done(followers.len() / 8);
        for follower in followers {
            if self.connections.known(follower).phase.is_live() {
                self.enter(follower, no, Standing::Overhearing);
            }
        }
        no
    }

    /// Forgets a room in which there is nothing any more. Who follows everything goes out of it.
    pub(crate) fn sweep(&mut self, no: RoomNo) {
        let goes = |room: &Room| !room.is_lasting() && room.is_idle();
        if !self.rooms.get(no).is_some_and(goes) {
            return;
        }
        let room = self.rooms.remove(no);
        for member in &room.members {
            assert_eq!(member.standing, Standing::Overhearing, "who is in a room keeps it");
            let rooms = &mut self.connections.known(member.conn).rooms;
            let at = rooms.binary_search(&no).expect("a member knows its room");
            rooms.remove(at);
        }
    }

    /// Forgets the rooms that have become empty where they could not go at once.
    pub(crate) fn sweep_idle(&mut self) {
        while let Some(no) = self.rooms.next_idle() {
            self.sweep(no);
        }
    }

    /// In how many rooms a connection is, or which it follows by name.
    pub(crate) fn own_rooms(&self, id: ConnId) -> usize {
        let connection = self.connections.get(id).expect("who asks is there");
        let all = connection.rooms.len();
        self.rooms.own_rooms_of_everywhere(id).unwrap_or(all)
    }

    /// Whether a connection may be in, or follow by name, so many rooms more.
    pub(crate) fn may_enter(&mut self, id: ConnId, count: usize) -> Result<(), Error> {
        let Some(most) = self.settings.rooms_joined else { return Ok(()) };
        if count <= most.saturating_sub(self.own_rooms(id)) {
            return Ok(());
        }
        self.hit(Limit::RoomsJoined, id);
        let text =
            format!("The connection may be in, or follow by name, {most} rooms; leave one first.");
        Err(Error::new(ErrorCode::LimitReached, text))
    }

    /// Somebody in a room stands in it in another way.
    pub(crate) fn stand(&mut self, id: ConnId, no: RoomNo, standing: Standing) {
        let before = self.rooms.known_mut(no).stand(id, standing);
        assert_ne!(before, Standing::Held, "who is undecided is let go by its own");
        let by = isize::from(standing != Standing::Overhearing)
            - isize::from(before != Standing::Overhearing);
        self.rooms.own_rooms_changed(id, by);
        self.rooms.may_be_idle(no);
    }
}
