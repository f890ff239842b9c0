//! The store of a random server whose history is kept: a disk, what it was asked for, and what was said before it was there.

use std::collections::{BTreeSet, VecDeque};

use hub::{Fetch, FetchError, Fetched, Pruned, Record};
use proto::{MessageId, Seq};

use crate::disk::Disk;

/// Numbers are reserved so many at once.
const RESERVED_AT_ONCE: u64 = 8;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Stored {
    pub(super) disk: Disk,
    /// What is still to be found.
    pub(super) asked: VecDeque<Fetch>,
    /// What was said before it was stored.
    taken: BTreeSet<MessageId>,
    found: u32,
}

impl Stored {
    /// Whether a message may be said before it is stored: once, where nobody had its id, and where its number is never given again.
    pub(super) fn takes(&mut self, record: &Record) -> bool {
        if self.disk.knows(record.message_id) {
            return false;
        }
        if record.seq > self.disk.reserved {
            self.disk.reserved = Seq(record.seq.0 + RESERVED_AT_ONCE);
        }
        self.taken.insert(record.message_id)
    }

    /// The next page that was asked for; seldom it cannot be read.
    pub(super) fn find(&mut self) -> Option<Fetched> {
        let fetch = self.asked.pop_front()?;
        self.found += 1;
        let is_well = !self.found.is_multiple_of(16);
        let outcome =
            if is_well { Ok(self.disk.find(&fetch)) } else { Err(FetchError::Unavailable) };
        Some(Fetched { no: fetch.no, outcome })
    }

    /// Retention takes so many messages of some room.
    pub(super) fn prune(&mut self, room: usize, count: usize) -> Option<Pruned> {
        let names = self.disk.names();
        let room = names.get(room % names.len().max(1))?;
        self.disk.prune(room, count)
    }

    /// The process that asked is gone.
    pub(super) fn begins_anew(&mut self) {
        self.asked.clear();
        self.taken.clear();
        self.disk.forget_empty();
    }
}
