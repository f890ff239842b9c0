//! Rooms that always exist: the operator named them. They are there before anybody comes, stay when nobody is left, and their topics
//! with them; whoever is in one may set another topic, until the operator decides on a new one or the daemon starts again.
//!
//! Which they are is decided by the settings, at the start and by each reload.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;

use proto::{RoomName, WallTime};

use crate::Hub;
use crate::outbox::Outbox;
use crate::rooms::{Pending, RoomNo, Topic};
use crate::settings::LastingRoom;

impl Hub {
    /// Makes the rooms that always exist, before anybody comes, and behind what was kept (see [`Hub::restore`]). `wall` is the time of
    /// their topics.
    pub fn open_lasting_rooms(&mut self, wall: WallTime, out: &mut Outbox) {
        assert!(self.connections.len() == 0, "they are there before anybody");
        self.wall = wall;
        self.change_lasting_rooms(&BTreeMap::new(), out);
    }

    /// These are the rooms that existed always until now; from here on it is those of the settings.
    pub(crate) fn change_lasting_rooms(
        &mut self,
        before: &BTreeMap<RoomName, LastingRoom>,
        out: &mut Outbox,
    ) {
        let now = self.settings.lasting_rooms.clone();
        for name in before.keys().filter(|name| !now.contains_key(*name)) {
            let no = self.rooms.find(name).expect("what lasts is there");
            if no != self.rooms.home {
                self.rooms.ends(no);
            }
        }
        for (name, room) in &now {
            let found = self.rooms.find(name);
            let no = found.unwrap_or_else(|| self.make_room(name));
            self.rooms.lasts(no);
            let was = before.get(name).and_then(|was| was.topic.as_ref());
            if let Some(topic) = room.topic.as_ref().filter(|topic| was != Some(topic)) {
                self.set_topic(no, topic, out);
            }
        }
        self.has_done(now.len() / 8);
        self.sweep_idle();
        self.check_lasting_rooms();
    }

    /// A room is about this, as the operator says.
    fn set_topic(&mut self, no: RoomNo, text: &str, out: &mut Outbox) {
        assert!(!text.is_empty(), "who has no topic says nothing");
        let room = self.rooms.known_mut(no);
        if room.topic.as_ref().is_some_and(|topic| *topic.text == *text) {
            return;
        }
        room.topic = Some(Box::new(Topic { text: text.into(), by: None, time: self.wall }));
        if !room.members.is_empty() {
            self.announce(no, Pending::Topic { by: None, topic: text.into() }, out);
        }
    }

    /// Sweeps the rooms that always exist.
    pub(crate) fn check_lasting_rooms(&self) {
        let rooms = &self.settings.lasting_rooms;
        let lasts =
            |name| self.rooms.find(name).is_some_and(|no| self.rooms.known(no).is_lasting());
        assert!(rooms.keys().all(lasts), "each of them is there");
        let count = self.rooms.iter().filter(|(_, room)| room.is_lasting()).count();
        let home = &self.rooms.known(self.rooms.home).name;
        let more = usize::from(!rooms.contains_key(home));
        assert_eq!(count, rooms.len() + more, "no other room lasts but the default room");
    }
}
