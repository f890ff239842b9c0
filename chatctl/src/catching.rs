//! Catching up: which rooms are still asked about what was missed, and what came live meanwhile.
//!
//! A room's live events are held until its history has been asked for to the end; then they are given back in
//! their order. It asks nothing and prints nothing, and does not know what a double is.

use crate::client::Event;
use std::collections::BTreeMap;

/// How many events are held at most; past it the caller had better begin anew.
pub const HELD_EVENTS_MAX: usize = 100_000;

/// What is held, and for which rooms.
#[derive(Debug, Default)]
pub struct Catching {
    /// The list of rooms has not come yet: every room is held.
    listing: bool,
    /// Rooms with something to ask for, each up to this sequence number at least.
    rooms: BTreeMap<String, u64>,
    held: BTreeMap<String, Vec<Event>>,
    count: usize,
}

impl Catching {
    /// At the beginning of a connection, before the list of rooms has come. With nothing to catch up nothing
    /// is held.
    pub fn new(listing: bool) -> Self {
        Self { listing, ..Self::default() }
    }

    /// Whether the list of rooms is waited for.
    pub fn is_listing(&self) -> bool {
        self.listing
    }

    /// The list has come: these are to be asked about. Gives back what was held for others; they were made
    /// after the list, so nothing of them was missed.
    pub fn listed(&mut self, rooms: impl Iterator<Item = (String, u64)>) -> Vec<Event> {
        assert!(self.listing, "a list is waited for once");
        self.listing = false;
        self.rooms = rooms.collect();
        let (held, free) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(room, _)| self.rooms.contains_key(room));
        self.held = held;
        let free: Vec<_> = BTreeMap::into_values(free).flatten().collect();
        self.count -= free.len();
        self.check_invariants();
        free
    }

    /// Messages of a room were left out, up to this one: what comes live waits until they have been asked for.
    pub fn missed(&mut self, room: &str, to: u64) {
        let wanted = self.rooms.entry(room.to_owned()).or_default();
        *wanted = to.max(*wanted);
    }

    /// The room to ask about now.
    pub fn room(&self) -> Option<&str> {
        self.rooms.keys().next().map(String::as_str)
    }

    /// Holds a live event of a room that is not caught up yet; gives it back where nothing is to be held.
    pub fn hold(&mut self, event: Event) -> Option<Event> {
        let Some(room) = event.text("room") else { return Some(event) };
        if !self.listing && !self.rooms.contains_key(room) {
            return Some(event);
        }
        self.count += 1;
        self.held.entry(room.to_owned()).or_default().push(event);
        None
    }

    /// A room's history has been asked for to its end. Gives back what was held for it, and up to which
    /// message there should have been some.
    pub fn done(&mut self, room: &str) -> (u64, Vec<Event>) {
        let to = self.rooms.remove(room);
        assert!(to.is_some(), "a room is caught up once");
        let held = self.held.remove(room).unwrap_or_default();
        self.count -= held.len();
        self.check_invariants();
        (to.unwrap_or(0), held)
    }

    /// Whether more is held than is wise.
    pub fn is_too_much(&self) -> bool {
        self.count > HELD_EVENTS_MAX
    }

    fn check_invariants(&self) {
        let held: usize = self.held.values().map(Vec::len).sum();
        assert_eq!(self.count, held, "what is held is counted");
        let owed = |room: &String| self.listing || self.rooms.contains_key(room);
        assert!(self.held.keys().all(owed), "nothing is held without a reason");
    }
}

#[cfg(test)]
mod tests {
    use super::Catching;
    use crate::client::Event;
    use serde_json::json;

    fn event(room: Option<&str>, seq: u64) -> Event {
        let value = json!({"room": room, "seq": seq});
        let fields = value.as_object().expect("an object").clone();
        Event { name: "message".to_owned(), fields, line: String::new() }
    }

    fn seqs(events: &[Event]) -> Vec<u64> {
        events.iter().filter_map(|event| event.number("seq")).collect()
    }

    #[test]
    fn live_events_wait_for_their_rooms_history() {
        let mut catching = Catching::new(true);
        for (room, seq) in [("a", 1), ("b", 2), ("new", 3), ("a", 4)] {
            assert_eq!(catching.hold(event(Some(room), seq)), None);
        }
        assert!(catching.hold(event(None, 9)).is_some(), "what has no room waits for none");
        let free = catching.listed([("a".to_owned(), 7), ("b".to_owned(), 8)].into_iter());
        assert_eq!(seqs(&free), [3]);
        assert_eq!(catching.room(), Some("a"));
        assert_eq!(catching.hold(event(Some("b"), 5)), None);
        let (to, held) = catching.done("a");
        assert_eq!((to, seqs(&held)), (7, vec![1, 4]));
        assert!(catching.hold(event(Some("a"), 6)).is_some());
        catching.missed("b", 9);
        let (to, held) = catching.done("b");
        assert_eq!((to, seqs(&held)), (9, vec![2, 5]));
        assert_eq!(catching.room(), None);
    }

    #[test]
    fn nothing_is_held_where_nothing_was_missed() {
        let mut catching = Catching::new(false);
        assert!(catching.hold(event(Some("a"), 1)).is_some());
        assert!(!catching.is_too_much());
    }
}
