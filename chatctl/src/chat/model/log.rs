//! The lines of one view, in order and bounded: messages of a room by their sequence numbers, all else where it came, what of ours
//! is still to be sent at the end.
//!
//! It knows no protocol. It forgets the oldest lines past a limit, never those that are still to be sent.

use super::entry::{Entry, Mark, Message, What};
use jiff::Timestamp;
use std::collections::VecDeque;

/// How many lines are kept of a view: more than anybody scrolls without asking for older ones.
pub const ENTRIES_MAX: usize = 2_000;

/// How many while somebody reads far back.
pub const ENTRIES_BACK_MAX: usize = 10_000;

/// How many bytes of them, so that a room of large messages is no larger.
pub const LOG_BYTES_MAX: usize = 8 << 20;

const _: () = assert!(ENTRIES_MAX < ENTRIES_BACK_MAX);

/// The lines of a view.
#[derive(Clone, Debug, Default)]
pub struct Log {
    entries: VecDeque<Entry>,
    bytes: usize,
    next: u64,
}

impl Log {
    /// The lines, the oldest first.
    pub fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> + ExactSizeIterator {
        self.entries.iter()
    }

    /// The line of this number.
    pub fn entry(&self, number: u64) -> Option<&Entry> {
        self.entries.iter().rev().find(|entry| entry.number == number)
    }

    /// The oldest place that is here.
    pub fn oldest_place(&self) -> Option<u64> {
        self.entries.iter().find_map(|entry| match entry.what {
            What::Gap { from, .. } => Some(from),
            _ => entry.place,
        })
    }

    /// The message with this id.
    pub fn message(&self, id: &str) -> Option<&Entry> {
        let has_id = |entry: &&Entry| entry.message().is_some_and(|message| message.id == id);
        self.entries.iter().rev().find(has_id)
    }

    /// Puts a line where it belongs; its number.
    pub(super) fn put(&mut self, time: Timestamp, place: Option<u64>, what: What) -> u64 {
        let number = self.next;
        self.next += 1;
        let entry = Entry { number, time, place, what };
        self.insert(entry);
        self.check_invariants();
        number
    }

    /// Changes the message with this id; the number of its line.
    pub(super) fn change(&mut self, id: &str, change: impl FnOnce(&mut Message)) -> Option<u64> {
        let messages = self.entries.iter_mut().rev();
        let mut messages = messages.filter_map(|entry| match &mut entry.what {
            What::Message(message) => Some((entry.number, message)),
            What::Gap { .. } | What::Event(_) | What::Note(_) => None,
        });
        let (number, message) = messages.find(|(_, message)| message.id == id)?;
        change(message);
        Some(number)
    }

    /// A message of ours was taken, at this place: there it belongs now. Its number, where it was still to be sent.
    pub(super) fn taken(
        &mut self,
        id: &str,
        from: &str,
        time: Timestamp,
        place: Option<u64>,
        mark: Mark,
    ) -> Option<u64> {
        let at = self.entries.iter().rposition(|entry| {
            entry.is_sending() && entry.message().is_some_and(|message| message.id == id)
        })?;
        let mut entry = self.entries.remove(at)?;
        self.bytes -= entry.bytes();
        (entry.time, entry.place) = (time, place);
        if let What::Message(message) = &mut entry.what {
            message.mark = mark;
            // It may have been typed before we had the name that it was said under.
            from.clone_into(&mut message.from);
        }
        let number = entry.number;
        self.insert(entry);
        self.check_invariants();
        Some(number)
    }

    /// Takes a line away.
    pub(super) fn remove(&mut self, number: u64) {
        if let Some(at) = self.entries.iter().rposition(|entry| entry.number == number)
            && let Some(entry) = self.entries.remove(at)
        {
            self.bytes -= entry.bytes();
        }
        self.check_invariants();
    }

    /// Forgets all but what is still to be sent.
    pub(super) fn clear(&mut self) {
        self.entries.retain(Entry::is_sending);
        self.bytes = self.entries.iter().map(Entry::bytes).sum();
    }

    /// The sequence numbers mean nothing any more: what is here keeps its order, and what comes stands behind it.
    pub(super) fn forget_places(&mut self) {
        self.entries.iter_mut().for_each(|entry| entry.place = None);
    }

    /// Forgets the oldest lines past a limit; whether there were any.
    pub(super) fn trim(&mut self, entries_max: usize) -> bool {
        let mut forgot = false;
        let kept = |log: &Self| log.entries.iter().take_while(|entry| entry.is_sending()).count();
        let mut first = kept(self);
        while (self.entries.len() > entries_max || self.bytes > LOG_BYTES_MAX)
            && first + 1 < self.entries.len()
        {
            if let Some(entry) = self.entries.remove(first) {
                self.bytes -= entry.bytes();
                forgot = true;
            }
            if self.entries.get(first).is_some_and(Entry::is_sending) {
                first = kept(self);
            }
        }
        self.check_invariants();
        forgot
    }

    fn insert(&mut self, entry: Entry) {
        self.bytes += entry.bytes();
        let later = |other: &Entry| match (entry.place, other.place) {
            (Some(place), Some(other)) => other > place,
            (Some(_) | None, Some(_) | None) => false,
        };
        // The usual case is the newest: behind it there is nothing but what is still to be sent.
        let newest = self.entries.iter().rev().find_map(|other| other.place);
        let is_old = matches!((entry.place, newest), (Some(place), Some(newest)) if newest > place);
        let at = if is_old {
            self.entries.iter().position(later)
        } else {
            let waiting = self.entries.iter().rev().take_while(|other| other.is_sending()).count();
            Some(self.entries.len() - waiting).filter(|_| !entry.is_sending())
        };
        self.entries.insert(at.unwrap_or(self.entries.len()), entry);
    }

    fn check_invariants(&self) {
        if cfg!(debug_assertions) {
            let places: Vec<_> = self.entries.iter().filter_map(|entry| entry.place).collect();
            assert!(places.is_sorted(), "places are in order: {places:?}");
            let bytes: usize = self.entries.iter().map(Entry::bytes).sum();
            assert_eq!(bytes, self.bytes, "what is kept is counted");
        }
    }
}
