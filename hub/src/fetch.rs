//! Past messages that are not in memory: what was asked of the store, and what is done with the answer.

use proto::{Now, Seq, WallTime};

use crate::Hub;
use crate::outbox::Outbox;
use crate::store::{Fetched, KeptRoom, Pruned};

impl Hub {
    /// What was kept when the daemon started, before anything else happens. No place up to `floor` is given again, and no room that
    /// is not named had a message beyond `unknown`.
    pub fn restore(&mut self, rooms: &[KeptRoom], floor: Seq, unknown: Seq) {
        let _ = (rooms, floor, unknown, WallTime::default());
    }

    /// The store found past messages.
    pub fn fetched(&mut self, fetched: Fetched, now: Now, out: &mut Outbox) {
        self.tick(now);
        let _ = (fetched, out);
    }

    /// Retention took a room's oldest messages.
    pub fn pruned(&mut self, pruned: &Pruned, now: Now) {
        self.tick(now);
        let _ = pruned;
    }
}
