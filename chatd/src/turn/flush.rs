//! The turn's one place that writes: each connection with something queued once, by vectored writes until the kernel takes no more.

use std::io::{ErrorKind, IoSlice};

use hub::ConnId;

use super::{Driver, Log, Server, Store};

/// The most writes of one pass, which its time may end before.
const WRITES_MAX: usize = 1024;
/// The most parts of one write: as many as replies that a connection can cause in a turn. One run by room and block is usual.
const SLICES_MAX: usize = 64;

/// The most that one connection is written in a pass, and in how many writes: its peer may read as fast as it is written.
const BYTES_BY_CONNECTION_MAX: usize = 256 * 1024;
/// See [`BYTES_BY_CONNECTION_MAX`].
const WRITES_BY_CONNECTION_MAX: usize = 8;

const _: () = assert!(SLICES_MAX <= 1024, "IOV_MAX is 1024");

impl<D: Driver, S: Store, L: Log> Server<D, S, L> {
    /// Writes each connection that has something queued, once; or not yet, where a pause makes the writes larger.
    pub(super) fn flush(&mut self) {
        if self.to_flush.is_empty() {
            self.all_is_offered();
            return;
        }
        // A pause is for those who were just written.
        let is_held = !self.is_read_full() && !self.pace.lets_flush(self.now);
        if !is_held && !self.pace.goes_on() {
            self.flush_no = self.flush_no.wrapping_add(1);
            self.flush_left = self.to_flush.len();
        }
        let begun = self.driver.now();
        for at in 0..self.flush_left.min(WRITES_MAX) {
            if at > 0 && !self.has_time(begun) {
                break;
            }
            self.flush_left -= 1;
            let Some(id) = self.to_flush.pop_front() else { break };
            let flush_no = self.flush_no;
            let slot = self.slot(id).expect("who waits to be written is there");
            slot.to_flush = false;
            slot.flushed_in = flush_no;
            self.write_one(id);
        }
        assert!(self.flush_left <= self.to_flush.len(), "who is left to be written waits");
        if is_held {
            return;
        }
        if self.flush_left == 0 {
            self.all_is_offered();
        }
        self.pace.flushed(begun, self.driver.now(), self.flush_left == 0);
    }

    /// Everything that was queued was offered to the kernel, whatever it took: more is heard from the next turn on.
    const fn all_is_offered(&mut self) {
        self.read_bytes = 0;
        self.offered = true;
    }

    /// Lets more be said once everything was offered.
    pub(super) fn hear_on(&mut self) {
        if std::mem::take(&mut self.offered) {
            self.hub.offered(self.now, &mut self.outbox);
            self.drain_outbox();
        }
    }

    /// Writes a connection until the kernel takes no more, or its share of the pass is over.
    fn write_one(&mut self, id: ConnId) {
        let mut left = BYTES_BY_CONNECTION_MAX;
        for _ in 0..WRITES_BY_CONNECTION_MAX {
            let written = self.write_once(id);
            left = left.saturating_sub(written);
            if written == 0 || left == 0 || self.hub.pending(id) == 0 {
                break;
            }
        }
        self.slot(id).expect("it is being written").dirty = self.hub.pending(id) > 0;
        self.drain_outbox();
        self.queue_flush(id);
    }

    /// One write; how many bytes the kernel took.
    fn write_once(&mut self, id: ConnId) -> usize {
        let mut parts: [&[u8]; SLICES_MAX] = [&[]; SLICES_MAX];
        let count = self.hub.gather(id, &mut parts);
        if count == 0 {
            assert_eq!(self.hub.pending(id), 0, "what waits is written");
            return 0;
        }
        let slices = parts.map(IoSlice::new);
        match self.driver.write_vectored(id, &slices[..count]) {
            Ok(written) => {
                self.hub.wrote(id, written, self.now, &mut self.outbox);
                return written;
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => {
                    self.slot(id).expect("it is being written").writable = false;
                    self.hub.blocked(id, self.now);
                }
                ErrorKind::Interrupted => {}
                _ => self.end_writing(id),
            },
        }
        0
    }

    /// Nobody is there to write to. What the peer said before it went counts, so it is read to its end, and then closed.
    fn end_writing(&mut self, id: ConnId) {
        let slot = self.slot(id).expect("it is being written");
        slot.writable = false;
        slot.readable = true;
        slot.hung_up = true;
        self.queue_read(id);
    }
}
