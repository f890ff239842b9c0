//! Who comes to and goes from large rooms: gathered for a while and told in one event, so that a thousand people who come back
//! do not make a million events.
//!
//! In a small room each is told at once. In a large one the first who comes or goes begins a gathering; when its time is over,
//! whoever came and went meanwhile has cancelled out, and what is left takes its place in the room's order. Other names and
//! absences are not told there at all: they can be looked up.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proto::{Event, Nick, RoomName};

use crate::Hub;
use crate::deadlines::Alarm;
use crate::leave::Course;
use crate::outbox::Outbox;
use crate::planted::Planted;
use crate::rooms::{Pending, RoomNo};
use crate::settings::{PRESENCE_CHANGES_MAX, PRESENCE_NAMES_MAX, PRESENCE_SPAN};
use crate::wheel::TimerId;

/// Who came to and went from a room since the gathering began.
#[derive(Debug)]
pub(crate) struct Gathering {
    timer: TimerId,
    /// How much more often somebody of this name came than went; never 0. Users of the control socket have one name in several
    /// connections.
    changes: BTreeMap<Nick, i32>,
}

impl Gathering {
    fn change(&mut self, nick: &Nick, by: i32) {
        let times = self.changes.entry(nick.clone()).or_insert(0);
        *times = times.saturating_add(by);
        if *times == 0 {
            self.changes.remove(nick);
        }
    }

    /// Somebody took another name; true where nobody was told the old one yet.
    fn rename(&mut self, nick: &Nick, new_nick: &Nick) -> bool {
        let is_new = self.changes.get(nick).is_some_and(|times| *times > 0);
        if is_new {
            self.change(nick, -1);
            self.change(new_nick, 1);
        }
        is_new
    }
}

/// What is told of a gathering.
#[derive(Debug)]
pub(crate) struct Presence {
    members: usize,
    joined: Vec<Nick>,
    left: Vec<Nick>,
    joined_count: usize,
    left_count: usize,
}

impl Presence {
    /// Nothing where all cancelled out.
    fn new(members: usize, changes: &BTreeMap<Nick, i32>) -> Option<Self> {
        let of = |wanted: i32| {
            let some = changes.iter().filter(move |(_, times)| times.signum() == wanted);
            let count: u32 = some.clone().map(|(_, times)| times.unsigned_abs()).sum();
            let names = some.take(PRESENCE_NAMES_MAX).map(|(nick, _)| nick.clone());
            (names.collect(), count as usize)
        };
        let ((joined, joined_count), (left, left_count)) = (of(1), of(-1));
        let any = joined_count + left_count > 0;
        any.then_some(Self { members, joined, left, joined_count, left_count })
    }

    /// As an event of its room.
    pub(crate) fn event<'a>(&'a self, room: &'a RoomName) -> Event<'a> {
        Event::Presence {
            room,
            members: self.members,
            joined: &self.joined,
            left: &self.left,
            joined_count: self.joined_count,
            left_count: self.left_count,
        }
    }
}

impl Hub {
    /// Takes what is not told at once out of the way: in a large room, who comes and goes, and what they are called.
    pub(crate) fn fold(&mut self, no: RoomNo, what: Pending, out: &mut Outbox) -> Option<Pending> {
        let room = self.rooms.known_mut(no);
        let is_large = room.shown > self.settings.small_room;
        let gathering = room.gathering.as_deref_mut();
        if !is_large && gathering.is_none() {
            return Some(what);
        }
        match what {
            Pending::Joined { nick, .. } => self.count_presence(no, &nick, 1, out),
            Pending::Left { nick, .. } => self.count_presence(no, &nick, -1, out),
            Pending::Renamed { conn, nick, new_nick } => {
                let is_new = gathering.is_some_and(|gathering| gathering.rename(&nick, &new_nick));
                let told = !is_large && !is_new;
                self.tell_a_full_gathering(no, out);
                return told.then_some(Pending::Renamed { conn, nick, new_nick });
            }
            Pending::Away { .. } if is_large => {}
            Pending::Away { .. }
            | Pending::Post(_)
            | Pending::Presence(_)
            | Pending::Topic { .. } => return Some(what),
        }
        None
    }

    /// Somebody came to a large room, or went; the first one begins the gathering.
    fn count_presence(&mut self, no: RoomNo, nick: &Nick, by: i32, out: &mut Outbox) {
        let forgets = by < 0 && self.settings.plants(Planted::PresenceForgets);
        if self.course == Course::Ending || forgets {
            return;
        }
        let room = self.rooms.known_mut(no);
        assert!(!room.members.is_empty(), "a large room has members");
        let gathering = room.gathering.get_or_insert_with(|| {
            let timer = self.wheel.arm(self.now.after(PRESENCE_SPAN), Alarm::Presence(no));
            Box::new(Gathering { timer, changes: BTreeMap::new() })
        });
        gathering.change(nick, by);
        self.tell_a_full_gathering(no, out);
    }

    /// A gathering that remembers as many names as it may is told before its time, whatever filled it.
    fn tell_a_full_gathering(&mut self, no: RoomNo, out: &mut Outbox) {
        let Some(gathering) = &self.rooms.known(no).gathering else { return };
        let timer = gathering.timer;
        assert!(gathering.changes.len() <= PRESENCE_CHANGES_MAX, "a gathering has a limit");
        if gathering.changes.len() == PRESENCE_CHANGES_MAX {
            self.disarm_gathering(no, timer);
            self.end_gathering(no, out);
        }
    }

    /// A gathering ends before its time.
    fn disarm_gathering(&mut self, no: RoomNo, timer: TimerId) {
        let cancelled = self.wheel.cancel(timer);
        assert_eq!(cancelled, Some(Alarm::Presence(no)), "a gathering's timer names its room");
    }

    /// The time of a gathering is over: what is left of it takes its place in the room's order.
    pub(crate) fn end_gathering(&mut self, no: RoomNo, out: &mut Outbox) {
        let room = self.rooms.known_mut(no);
        let gathering = room.gathering.take().expect("a timer is cancelled with its gathering");
        assert!(!self.wheel.is_armed(gathering.timer), "it ends once");
        if let Some(presence) = Presence::new(room.shown, &gathering.changes) {
            self.announce_unfolded(no, Pending::Presence(Box::new(presence)), out);
        } else {
            self.rooms.may_be_idle(no);
        }
    }

    /// Nobody is left to be told.
    pub(crate) fn forget_gathering(&mut self, no: RoomNo) {
        let room = self.rooms.known_mut(no);
        assert!(room.members.is_empty(), "who is there is told");
        if let Some(gathering) = room.gathering.take() {
            self.disarm_gathering(no, gathering.timer);
        }
    }

    /// Sweeps the gatherings, in tests; returns how many there are.
    pub(crate) fn check_gatherings(&self) -> usize {
        let mut count = 0;
        for (_, room) in self.rooms.iter() {
            let Some(gathering) = &room.gathering else { continue };
            assert!(self.wheel.is_armed(gathering.timer), "a gathering ends by itself");
            assert!(!room.members.is_empty(), "somebody is to be told");
            assert!(gathering.changes.len() < PRESENCE_CHANGES_MAX, "a gathering has a limit");
            assert!(gathering.changes.values().all(|times| *times != 0), "who is back is not told");
            count += 1;
        }
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::PRESENCE_SPAN;
    use crate::wheel::Wheel;

    fn gathering() -> Gathering {
        let timer =
            Wheel::new(proto::Now::default()).arm(proto::Now::default().after(PRESENCE_SPAN), ());
        Gathering { timer, changes: BTreeMap::new() }
    }

    fn nick(name: &str) -> Nick {
        Nick::parse(name).unwrap()
    }

    #[test]
    fn who_came_and_went_cancels_out_under_any_name() {
        let mut gathering = gathering();
        gathering.change(&nick("ada"), -1);
        gathering.change(&nick("ada"), 1);
        gathering.change(&nick("guest-1"), 1);
        assert!(gathering.rename(&nick("guest-1"), &nick("bob")));
        assert!(!gathering.rename(&nick("guest-1"), &nick("eve")), "nobody came by that name");
        gathering.change(&nick("bob"), -1);
        assert!(Presence::new(60, &gathering.changes).is_none());
    }

    #[test]
    fn names_have_a_limit_and_counts_have_none() {
        let mut gathering = gathering();
        for count in 0..30 {
            gathering.change(&nick(&alloc::format!("n{count:02}")), 1);
        }
        gathering.change(&nick("root"), -1);
        gathering.change(&nick("root"), -1);
        let presence = Presence::new(60, &gathering.changes).unwrap();
        assert_eq!((presence.joined.len(), presence.joined_count), (PRESENCE_NAMES_MAX, 30));
        assert_eq!((presence.left, presence.left_count), (alloc::vec![nick("root")], 2));
    }
}
