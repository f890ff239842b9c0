//! What waits for connections, towards the caller who writes it: gathering, progress, and private frames.

use alloc::vec::Vec;

use proto::http::events;
use proto::{Dialect, Now};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::outbox::Outbox;
use crate::planted::Planted;
use crate::queue::{Chunk, KEEPALIVE, PING};

impl Hub {
    /// What is to be written to a connection next, in order; returns how many of `slices` were filled.
    pub fn gather<'a>(&'a self, id: ConnId, slices: &mut [&'a [u8]]) -> usize {
        match self.connections.get(id) {
            Some(connection) if connection.phase.is_written() => {
                connection.queue.gather(&self.blocks, slices)
            }
            Some(_) | None => 0,
        }
    }

    /// How many bytes wait to be written to a connection.
    pub fn pending(&self, id: ConnId) -> usize {
        let connection =
            self.connections.get(id).filter(|connection| connection.phase.is_written());
        connection.map_or(0, |connection| connection.queue.bytes())
    }

    /// The kernel took so many bytes of what [`Hub::gather`] gave.
    pub fn wrote(&mut self, id: ConnId, bytes: usize, now: Now, out: &mut Outbox) {
        self.tick(now);
        let doubles = self.settings.plants(Planted::DoubleAfterShortWrite);
        let Some(connection) = self.connections.get_mut(id) else { return };
        if bytes == 0 || !connection.phase.is_written() {
            return;
        }
        self.counters.bytes_out += bytes as u64;
        connection.last_written = self.now;
        connection.waiting_since = self.now;
        if connection.phase == Phase::Listening {
            connection.session.native_only();
        }
        let blocks = &mut self.blocks;
        let mut freed = 0;
        connection.queue.advance(bytes, |chunk| {
            freed += chunk.private();
            match chunk {
                Chunk::Run(run) => blocks.release(run.block),
                Chunk::Private(_) | Chunk::Fixed(_) => {}
            }
        });
        if doubles {
            connection.queue.forget_offset();
        }
        connection.private -= freed;
        self.private_bytes -= freed;
        let drained = connection.queue.is_empty();
        if drained {
            connection.listed = false;
        }
        assert!(
            connection.listed || connection.queue.is_empty(),
            "what waits is on somebody's list"
        );
        if drained {
            // While something waited there was no keepalive to be due, so the timer may be armed for later.
            self.rearm(id);
        }
        self.recover(id, out);
        self.replay_on(id);
        self.read_on(id, out);
        self.check_left(id, out);
    }

    /// The kernel takes no more of a connection for now. The stall deadline runs since something last moved.
    pub fn blocked(&mut self, id: ConnId, now: Now) {
        self.tick(now);
        if let Some(connection) = self.connections.get(id) {
            assert!(
                connection.listed || !connection.phase.is_written(),
                "only who has bytes blocks"
            );
        }
    }

    /// The kernel has room for a connection again: its peer took something, even if nothing could be written since. A
    /// loop that wakes late must not take what is its own doing for a stall.
    pub fn unblocked(&mut self, id: ConnId, now: Now) {
        self.tick(now);
        let now = self.now;
        if let Some(connection) = self.connections.get_mut(id) {
            assert!(connection.waiting_since <= now, "nobody waits since later than now");
            connection.waiting_since = now;
        }
    }

    /// Queues frames for one connection, behind everything that its rooms said before. Over HTTP that is the answer that is owed.
    pub(crate) fn push_private(&mut self, id: ConnId, bytes: Vec<u8>, out: &mut Outbox) {
        let is_something = !bytes.is_empty();
        self.push_bytes(id, bytes, out);
        if is_something {
            self.may_be_answered(id, out);
        }
    }

    /// Queues the answer that is owed over HTTP, its body being part of the program.
    pub(crate) fn push_answer(
        &mut self,
        id: ConnId,
        head: Vec<u8>,
        body: &'static [u8],
        out: &mut Outbox,
    ) {
        assert!(!head.is_empty(), "an answer has a head");
        self.push_bytes(id, head, out);
        let connection = self.connections.known(id);
        if connection.phase.is_written() && !body.is_empty() {
            connection.queue.push(Chunk::Fixed(body));
            assert!(connection.listed, "whoever has an answer is to be written");
        }
        self.may_be_answered(id, out);
    }

    fn push_bytes(&mut self, id: ConnId, bytes: Vec<u8>, out: &mut Outbox) {
        self.settle_connection(id, out);
        self.has_encoded(bytes.len());
        let Some(connection) = self.connections.get_mut(id) else { return };
        if !connection.phase.is_written() || bytes.is_empty() {
            return;
        }
        let was_empty = connection.queue.is_empty();
        let chunk = Chunk::Private(bytes.into_boxed_slice());
        connection.private += chunk.private();
        self.private_bytes += chunk.private();
        connection.queue.push(chunk);
        self.queued(id, was_empty, out);
        let connection = self.connections.known(id);
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        if connection.phase == Phase::Echo {
            // It is not read before that is written.
            return;
        }
        // What is written of a long answer waits for nobody any more.
        if connection.private - connection.queue.private_written() > limit {
            self.close(id, CloseReason::OutboxFull, out);
        } else if connection.queue.bytes() > limit {
            self.fell_behind(id, out);
        }
    }

    /// Queues a keepalive, which needs no memory.
    pub(crate) fn push_keepalive(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        assert!(connection.queue.is_empty(), "who has something to read needs no keepalive");
        connection.queue.rest_idle();
        let keepalive = match connection.dialect {
            Dialect::Native05 | Dialect::NativeV1 => KEEPALIVE,
            Dialect::WebSocket => PING,
            Dialect::Events => events::KEEPALIVE,
            Dialect::Control | Dialect::Http | Dialect::Content => {
                unreachable!("it has no deadline for it")
            }
        };
        connection.queue.push(Chunk::Fixed(keepalive));
        self.queued(id, true, out);
    }

    /// Something was queued: the caller is told, and the stall deadline runs.
    pub(crate) fn queued(&mut self, id: ConnId, was_empty: bool, out: &mut Outbox) {
        let connection = self.connections.known(id);
        if connection.has_news(was_empty, self.now) {
            out.flush.push(id);
        }
        if was_empty {
            self.rearm(id);
        }
    }

    /// Names a connection to be flushed, if it has something and is not named yet.
    pub(crate) fn list(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        if connection.has_news(false, self.now) {
            out.flush.push(id);
        }
    }
}
