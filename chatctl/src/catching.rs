//! Catching up: which rooms are still asked about what was missed, and what came live meanwhile.
//!
//! A room's live events are held until what was missed has been replayed to the end; then they are given back in
//! their order. It asks nothing and prints nothing, and does not know what a double is.

use crate::client::Event;
use std::collections::{BTreeMap, BTreeSet};

/// How many bytes of events are held at most; past it the caller had better begin anew.
pub const HELD_BYTES_MAX: usize = 64 << 20;
/// What an event costs besides its text, which it has twice: as it came, and in its fields.
const EVENT_BYTES: usize = 1 << 10;

/// What is held, and for which rooms.
#[derive(Debug, Default)]
pub struct Catching {
    /// The list of rooms has not come yet: every room is held.
    listing: bool,
    /// Rooms with something to ask for.
    rooms: BTreeSet<String>,
    held: BTreeMap<String, Vec<Event>>,
    count: usize,
    bytes: usize,
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
    pub fn listed(&mut self, rooms: impl Iterator<Item = String>) -> Vec<Event> {
        assert!(self.listing, "a list is waited for once");
        self.listing = false;
        self.rooms = rooms.collect();
        let (held, free) = std::mem::take(&mut self.held)
            .into_iter()
            .partition(|(room, _)| self.rooms.contains(room));
        self.held = held;
        let free: Vec<_> = BTreeMap::into_values(free).flatten().collect();
        self.let_go(&free);
        self.check_invariants();
        free
    }

    /// Messages of a room were left out: what comes live waits until they have been asked for.
    pub fn missed(&mut self, room: &str) {
        self.rooms.insert(room.to_owned());
    }

    /// The room to ask about now.
    pub fn room(&self) -> Option<&str> {
        self.rooms.first().map(String::as_str)
    }

    /// Holds a live event of a room that is not caught up yet; gives it back where nothing is to be held.
    pub fn hold(&mut self, event: Event) -> Option<Event> {
        let Some(room) = event.text("room") else { return Some(event) };
        if !self.listing && !self.rooms.contains(room) {
            return Some(event);
        }
        self.count += 1;
        self.bytes += weight(&event);
        self.held.entry(room.to_owned()).or_default().push(event);
        None
    }

    /// What a room's listener missed has come. Gives back what was held for it.
    pub fn done(&mut self, room: &str) -> Vec<Event> {
        let known = self.rooms.remove(room);
        assert!(known, "a room is caught up once");
        let held = self.held.remove(room).unwrap_or_default();
        self.let_go(&held);
        self.check_invariants();
        held
    }

    /// Whether more is held than is wise.
    pub fn is_too_much(&self) -> bool {
        self.bytes > HELD_BYTES_MAX
    }

    fn let_go(&mut self, events: &[Event]) {
        self.count -= events.len();
        self.bytes -= events.iter().map(weight).sum::<usize>();
    }

    fn check_invariants(&self) {
        let held: usize = self.held.values().map(Vec::len).sum();
        assert_eq!(self.count, held, "what is held is counted");
        assert!(self.count > 0 || self.bytes == 0, "nothing has no bytes");
        let owed = |room: &String| self.listing || self.rooms.contains(room);
        assert!(self.held.keys().all(owed), "nothing is held without a reason");
    }
}

/// What holding an event costs, in bytes.
pub fn weight(event: &Event) -> usize {
    2 * event.line.len() + EVENT_BYTES
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
    fn live_events_wait_for_their_rooms_replay() {
        let mut catching = Catching::new(true);
        for (room, seq) in [("a", 1), ("b", 2), ("new", 3), ("a", 4)] {
            assert_eq!(catching.hold(event(Some(room), seq)), None);
        }
        assert!(catching.hold(event(None, 9)).is_some(), "what has no room waits for none");
        let free = catching.listed(["a".to_owned(), "b".to_owned()].into_iter());
        assert_eq!(seqs(&free), [3]);
        assert_eq!(catching.room(), Some("a"));
        assert_eq!(catching.hold(event(Some("b"), 5)), None);
        assert_eq!(seqs(&catching.done("a")), [1, 4]);
        assert!(catching.hold(event(Some("a"), 6)).is_some());
        catching.missed("b");
        assert_eq!(seqs(&catching.done("b")), [2, 5]);
        assert_eq!(catching.room(), None);
    }

    #[test]
    fn what_is_held_is_limited_in_bytes_whatever_the_size_of_events() {
        for text in [0, 100_000] {
            let mut catching = Catching::new(true);
            let mut count = 0;
            while !catching.is_too_much() {
                let mut event = event(Some("a"), count);
                event.line = "x".repeat(text);
                assert_eq!(catching.hold(event), None);
                count += 1;
            }
            let bytes = usize::try_from(count).expect("a number") * (2 * text + super::EVENT_BYTES);
            assert!(bytes > super::HELD_BYTES_MAX && bytes - super::HELD_BYTES_MAX < 1 << 20);
            let free = catching.listed(std::iter::empty());
            assert!(!catching.is_too_much() && !free.is_empty());
        }
    }

    #[test]
    fn nothing_is_held_where_nothing_was_missed() {
        let mut catching = Catching::new(false);
        assert!(catching.hold(event(Some("a"), 1)).is_some());
        assert!(!catching.is_too_much());
    }
}
