//! Portions: how much is said before it is offered to those who hear it.
//!
//! What peers send grows on its way out (an octet that is no UTF-8 becomes three, a control character in JSON six), and many may
//! speak at once, while one flush moves what the kernel's buffer for a receiver takes. So speakers are heard in portions with a
//! flush between them. Nobody is waited for here: the caller calls [`Hub::offered`] once everything was offered to the kernel,
//! whatever it took of it.

use alloc::collections::VecDeque;
use core::mem;

use proto::Now;

use crate::Hub;
use crate::outbox::Outbox;
use crate::rooms::RoomNo;

/// The most that is said to one receiver between two flushes, before the frame that passes it: about what a kernel's buffer takes.
const SAID_BYTES_MAX: usize = 112 * 1024;

const _: () = {
    let outbox = 1024 * 1024;
    let frame_max = 6 * 65_536 + 1024;
    assert!(SAID_BYTES_MAX + frame_max <= outbox / 2, "half an outbox has room for any portion");
};

/// What was said since the last flush.
#[derive(Debug, Default)]
pub(crate) struct Portion {
    /// What was queued for one receiver, at most: what all rooms said, each event in its longest form.
    said: usize,
    /// Rooms with stored posts that are to be said after the next flush, each once.
    held: VecDeque<RoomNo>,
}

impl Portion {
    /// Whether enough was said for one flush.
    pub(crate) const fn is_full(&self) -> bool {
        self.said >= SAID_BYTES_MAX
    }

    /// So much was queued for one receiver, or for each of many.
    pub(crate) const fn was_said(&mut self, bytes: usize) {
        self.said = self.said.saturating_add(bytes);
    }

    /// Whether a room goes on after the next flush.
    pub(crate) fn holds(&self, no: RoomNo) -> bool {
        self.held.contains(&no)
    }

    /// A room goes on after the next flush.
    pub(crate) fn hold(&mut self, no: RoomNo) {
        assert!(self.is_full(), "nothing is held while it may be said");
        if !self.holds(no) {
            self.held.push_back(no);
        }
        assert!(self.holds(no), "what is held is not forgotten");
    }
}

impl Hub {
    /// Whether enough was said: it is to be flushed before more is heard. See [`Hub::offered`].
    pub fn is_said_full(&self) -> bool {
        self.portion.is_full() || !self.portion.held.is_empty()
    }

    /// Everything that was queued was offered to the kernel: more may be said, first what is stored and was held back.
    pub fn offered(&mut self, now: Now, out: &mut Outbox) {
        self.tick(now);
        self.portion.said = 0;
        if self.portion.held.is_empty() {
            return;
        }
        for no in mem::take(&mut self.portion.held) {
            self.release_ready(no, out);
        }
        self.wake_behind_store(out);
        self.end_if_stored(out);
        assert!(
            self.portion.held.is_empty() || self.portion.is_full(),
            "only what is too much is held"
        );
        assert!(self.portion.held.len() <= self.rooms.len(), "a room is held once");
    }
}
