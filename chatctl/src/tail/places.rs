//! What following has come to in each room. It asks nothing and prints nothing.

use std::collections::BTreeMap;

/// The place in one room.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Place {
    /// Where following began: nothing up to here is owed.
    base: u64,
    /// The last message that was seen.
    seen: u64,
}

/// The places by room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Places(BTreeMap<String, Place>);

impl Places {
    /// Nothing of the room up to here is owed.
    pub(super) fn begin(&mut self, room: &str, base: u64) {
        self.0.entry(room.to_owned()).or_default().base = base;
    }

    /// A message was seen, or is known to be gone; whether it is news.
    pub(super) fn see(&mut self, room: &str, seq: u64) -> bool {
        let first = Place { base: seq.saturating_sub(1), seen: 0 };
        let place = self.0.entry(room.to_owned()).or_insert(first);
        let is_news = seq > place.seen;
        place.seen = place.seen.max(seq);
        is_news
    }

    /// Whether anything is known of the room.
    pub(super) fn has(&self, room: &str) -> bool {
        self.0.contains_key(room)
    }

    /// What the next message of the room comes after. Of a room that is not known nothing has been seen, and all of it
    /// is owed.
    pub(super) fn last(&self, room: &str) -> u64 {
        self.0.get(room).map_or(0, |place| place.base.max(place.seen))
    }

    /// Every room and where it began: before the first of its messages that was seen, at the latest.
    pub(super) fn bases(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(room, place)| (room.clone(), place.base)).collect()
    }

    /// Every room and what the next message comes after.
    pub(super) fn all(&self) -> BTreeMap<String, u64> {
        self.0.iter().map(|(room, place)| (room.clone(), place.base.max(place.seen))).collect()
    }

    /// Numbers mean nothing any more.
    pub(super) fn forget(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::Places;

    #[test]
    fn a_message_is_news_once_and_the_beginning_is_no_message() {
        let mut places = Places::default();
        assert_eq!((places.last("a"), places.has("a")), (0, false));
        places.begin("a", 7);
        assert_eq!(places.last("a"), 7);
        // What is replayed from before the beginning is news, too.
        assert!(places.see("a", 5) && places.see("a", 6) && !places.see("a", 6));
        assert_eq!(places.last("a"), 7);
        assert!(places.see("a", 9));
        assert_eq!(places.all().get("a"), Some(&9));
        assert!(places.see("b", 3));
        assert_eq!((places.bases().get("a"), places.bases().get("b")), (Some(&7), Some(&2)));
        places.forget();
        assert!(!places.has("a"));
    }
}
