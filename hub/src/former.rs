//! Rooms that are gone: up to which number each had messages, so that one made again under the name says what of it is forgotten,
//! and a name that nobody had says nothing.
//!
//! The memory is bounded. What leaves it is the name whose last message has the lowest number; whoever makes a room of a name
//! that is not there may have had messages up to the highest number that ever left. Numbers never come again in any case: see
//! `rooms`.

use alloc::collections::{BTreeMap, BTreeSet};

use proto::{RoomName, Seq};

/// So many names are remembered, 4 MiB at the most: more than there may be rooms, which come and go.
pub(crate) const FORMER_ROOMS_MAX: usize = 16 * 1024;

/// What is known of rooms that are gone.
#[derive(Debug, Default)]
pub(crate) struct Former {
    /// The last message of each.
    last: BTreeMap<RoomName, Seq>,
    /// The same, the lowest number first.
    order: BTreeSet<(Seq, RoomName)>,
    /// No name that is not here had a message beyond this one.
    unknown: Seq,
}

impl Former {
    /// Rooms that are not named here may have had messages up to this one.
    pub(crate) fn is_unknown(&mut self, through: Seq) {
        self.unknown = self.unknown.max(through);
    }

    /// A room is gone; this was the last message of its name.
    pub(crate) fn remember(&mut self, name: RoomName, last: Seq) {
        if last <= self.unknown {
            return;
        }
        let before = self.last.insert(name.clone(), last);
        assert!(before.is_none(), "a room that is there is not among those that are gone");
        self.order.insert((last, name));
        if self.last.len() > FORMER_ROOMS_MAX {
            let (last, name) = self.order.pop_first().expect("the order names what is there");
            assert!(self.last.remove(&name) == Some(last), "a name is in the order once");
            self.unknown = last;
        }
        assert_eq!(self.last.len(), self.order.len(), "each name has its place in the order");
    }

    /// A room is made: the last message that one of this name may have had before.
    pub(crate) fn take(&mut self, name: &RoomName) -> Seq {
        let Some((name, last)) = self.last.remove_entry(name) else { return self.unknown };
        assert!(last > self.unknown, "what is covered is not remembered");
        let ordered = self.order.remove(&(last, name));
        assert!(ordered, "each name has its place in the order");
        last
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;

    fn name(text: &str) -> RoomName {
        RoomName::parse(text).unwrap()
    }

    #[test]
    fn a_name_is_known_until_it_is_taken_and_others_had_nothing() {
        let mut former = Former::default();
        former.remember(name("ops"), Seq(7));
        former.remember(name("mute"), Seq(0));
        assert_eq!(former.take(&name("dev")), Seq(0));
        assert_eq!(former.take(&name("ops")), Seq(7));
        assert_eq!(former.take(&name("ops")), Seq(0), "the room itself knows it now");
        assert!(former.last.is_empty() && former.order.is_empty());
    }

    #[test]
    fn past_the_limit_the_lowest_number_stands_for_all_that_left() {
        let mut former = Former::default();
        let count = FORMER_ROOMS_MAX as u64 + 5;
        for no in 1..=count {
            former.remember(name(&std::format!("r{no}")), Seq(no));
        }
        assert_eq!(former.last.len(), FORMER_ROOMS_MAX);
        assert_eq!(former.take(&name("r1")), Seq(5), "it may have had any of them");
        assert_eq!(former.take(&name("new")), Seq(5));
        assert_eq!(former.take(&name("r6")), Seq(6));
        former.remember(name("old"), Seq(5));
        assert_eq!(former.take(&name("old")), Seq(5));
        assert_eq!(former.order.len(), FORMER_ROOMS_MAX - 1);
    }
}
