//! Slow receivers: what happens past a limit. A speaker never waits for one, and nobody is left with a silent hole.
//!
//! A v0.5 connection is closed. A v1 connection keeps its private frames; everything else that waits is left out, and once
//! it takes something again and its queue has drained to half the limit, it is told exactly what that was. An undecided connection has been shown
//! nothing yet, so the oldest of what is held for it is forgotten.

use alloc::vec::Vec;

use proto::{Dialect, Event, Seq, encode};

use crate::Hub;
use crate::block::BlockNo;
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::outbox::{Notice, Outbox};
use crate::planted::Planted;
use crate::queue::{Chunk, Run};
use crate::rooms::RoomNo;
use crate::settings::{BACKLOG_BYTES_MAX, BACKLOG_FRAMES_MAX};

impl Hub {
    /// More waits for a connection than may.
    pub(crate) fn fell_behind(&mut self, id: ConnId, out: &mut Outbox) {
        match self.connections.known(id).phase {
            Phase::Undecided => self.trim_backlog(id),
            // Who leaves has ended its side, does not read, and is owed more than there is room for.
            Phase::Listening | Phase::Native | Phase::Leaving(_) => {
                self.close(id, CloseReason::OutboxFull, out);
            }
            Phase::V1 | Phase::Control | Phase::Events => self.skip(id, out),
            // It is not read while much waits for it.
            Phase::Http
            | Phase::Echo
            | Phase::TurnedAway
            | Phase::Lingering { .. }
            | Phase::Closing => {}
        }
    }

    /// Forgets the oldest frames that are held for an undecided connection, until the rest keeps within the limits.
    fn trim_backlog(&mut self, id: ConnId) {
        let limit = BACKLOG_BYTES_MAX.min(self.settings.outbox.unwrap_or(usize::MAX));
        loop {
            let connection = self.connections.known(id);
            let frames = connection.held_frames;
            // The last one stays, however long it is.
            if (connection.queue.bytes() <= limit && frames <= BACKLOG_FRAMES_MAX) || frames <= 1 {
                return;
            }
            self.forget_oldest_frame(id);
        }
    }

    fn forget_oldest_frame(&mut self, id: ConnId) {
        let connection = self.connections.known(id);
        assert_eq!(connection.phase, Phase::Undecided, "only what was never shown is forgotten");
        let Some(Chunk::Run(run)) = connection.queue.first() else {
            unreachable!("an undecided connection is held room runs only, and some when it is over")
        };
        let (no, end) = (run.block, self.blocks.get(run.block).frame_end(run.from + 1));
        connection.held_frames -= 1;
        if connection.queue.forget_first(end) {
            self.blocks.release(no);
        }
    }

    /// Leaves out every run that waits for a v1 connection; the rest of a frame that has begun stays.
    fn skip(&mut self, id: ConnId, out: &mut Outbox) {
        let connection = self.connections.known(id);
        let (bytes, mut begun) = (connection.queue.bytes(), connection.queue.offset());
        let chunks = connection.queue.take();
        self.private_bytes -= core::mem::take(&mut connection.private);
        for chunk in chunks {
            match chunk {
                Chunk::Run(run) => {
                    let (kept, told) = self.leave_out(id, &run, begun);
                    self.push_back(id, kept, 0);
                    self.push_back(id, told, 0);
                    self.blocks.release(run.block);
                }
                Chunk::Private(frames) => self.push_back(id, frames.into_vec(), begun),
                Chunk::Fixed(bytes) => self.push_back(id, bytes.to_vec(), begun),
            }
            begun = 0;
        }
        let connection = self.connections.known(id);
        assert_eq!(connection.queue.runs().count(), 0, "all runs are left out");
        let left = connection.queue.bytes();
        if left < bytes {
            out.notice(Notice::Skipped { id, bytes: bytes - left });
        }
        if left > self.settings.outbox.unwrap_or(usize::MAX) {
            // A frame that has begun is finished, and with it what may not be skipped is too much.
            self.close(id, CloseReason::OutboxFull, out);
            return;
        }
        if left == 0 {
            // Nothing is left whose writing would show that it takes something again.
            connection.listed = false;
            self.recover(id, out);
            self.replay_on(id);
        }
    }

    /// Puts private bytes back at the end of a queue, without those that are written.
    fn push_back(&mut self, id: ConnId, mut bytes: Vec<u8>, written: u32) {
        bytes.drain(..written as usize);
        if bytes.is_empty() {
            return;
        }
        let connection = self.connections.known(id);
        connection.private += bytes.len();
        self.private_bytes += bytes.len();
        connection.queue.push(Chunk::Private(bytes.into_boxed_slice()));
    }

    /// Leaves a run out. Returns the rest of a frame of it that has begun, and the `gap` to be told in its place where the
    /// connection was in the room at another time than now.
    fn leave_out(&mut self, id: ConnId, run: &Run, begun: u32) -> (Vec<u8>, Vec<u8>) {
        let dialect = self.reply_dialect(id);
        let block = self.blocks.get(run.block);
        let written = run.from + begun;
        let end = block.frame_end(written);
        let kept = block.bytes()[written as usize..end as usize].to_vec();
        let Some((first, last)) = block.messages_in(&(end..run.to)) else {
            return (kept, Vec::new());
        };
        // The room itself may be gone: nobody need be in it while what it said waits.
        match self.rooms.get_mut(block.room).and_then(|room| room.member_mut(id)) {
            Some(member) if first > member.since => {
                let begins = member.skip_from(first);
                self.connections.known(id).gaps += u32::from(begins);
                (kept, Vec::new())
            }
            Some(_) | None => {
                self.counters.gaps += 1;
                (kept, gap(dialect, &block.name, first, last))
            }
        }
    }

    /// A connection that was skipped, takes something again and has drained to half the limit is told what it missed, and
    /// hears its rooms again.
    pub(crate) fn recover(&mut self, id: ConnId, out: &mut Outbox) {
        if self.connections.get(id).is_none_or(|connection| connection.gaps == 0) {
            return;
        }
        // What its rooms said this turn comes before a gap is told, and may be too much again.
        self.settle_connection(id, out);
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let connection = self.connections.known(id);
        if connection.gaps == 0 || connection.queue.bytes() > limit / 2 {
            return;
        }
        for no in connection.rooms.clone() {
            self.tell_gap(id, no, out);
        }
        let connection = self.connections.known(id);
        assert!(
            connection.gaps == 0 || !connection.phase.is_live() || !connection.queue.is_empty(),
            "gaps are told, or are themselves too much and wait for what is written next"
        );
    }

    /// A connection goes: it is told what it missed before its last words.
    pub(crate) fn tell_gaps(&mut self, id: ConnId, out: &mut Outbox) {
        let untold = |hub: &Self| {
            let connection = hub.connections.get(id);
            connection
                .filter(|connection| connection.gaps > 0 && connection.phase.is_live())
                .map(|connection| connection.rooms.clone())
        };
        // Telling one may be too much for the queue; then nothing is left in it that could be skipped.
        while let Some(rooms) = untold(self) {
            for no in rooms {
                self.tell_gap(id, no, out);
            }
        }
    }

    /// Tells a connection what of a room was left out, up to what is released now; from there on it hears the room again.
    pub(crate) fn tell_gap(&mut self, id: ConnId, no: RoomNo, out: &mut Outbox) {
        let last = self.rooms.known(no).last_released;
        self.tell_gap_until(id, no, last, out);
    }

    /// Tells a connection what of a room was left out up to a message; what is behind that, it is replayed.
    pub(crate) fn tell_gap_until(&mut self, id: ConnId, no: RoomNo, until: Seq, out: &mut Outbox) {
        let room = self.rooms.known_mut(no);
        let (name, last) = (room.name.clone(), room.last_released);
        let Some(member) = room.member_mut(id) else { return };
        let dialect = member.dialect;
        let Some(first) = member.take_gap() else { return };
        assert!(first <= last && until <= last, "only what is released can be left out");
        let heard = self.heard(no, dialect);
        self.rooms.known_mut(no).member_mut(id).expect("it is a member").hear_from(heard);
        self.rooms.may_be_idle(no);
        self.connections.known(id).gaps -= 1;
        let late = first < until && self.settings.plants(Planted::GapOffByOne);
        let first = if late { first.next() } else { first };
        if first <= until {
            self.counters.gaps += 1;
            self.push_private(id, gap(dialect, &name, first, until), out);
        }
    }

    /// Blocks, each once, and private bytes have one budget. Past it whoever has the most private bytes goes, while these are more
    /// than half of the budget: no reader of a block is to pay for them. Then the readers of the oldest blocks are left behind,
    /// whatever their own queue, until there is some room again.
    pub(crate) fn limit_store(&mut self, out: &mut Outbox) {
        let Some(limit) = self.settings.store else { return };
        let total = self.blocks.bytes() + self.private_bytes;
        if total <= limit {
            return;
        }
        out.notice(Notice::MemoryPressure { bytes: total, limit });
        self.limit_private(limit, limit / 2, out);
        let total = self.blocks.bytes() + self.private_bytes;
        let newest = (total > limit).then(|| self.oldest_to_free(total - limit / 8 * 7)).flatten();
        if let Some(newest) = newest {
            for id in self.connections.ids() {
                self.free_until(id, newest, out);
            }
        }
        self.limit_private(limit, 0, out);
        assert!(self.blocks.bytes() + self.private_bytes <= limit, "the budget is kept");
    }

    /// While all that waits is past its limit and private bytes are more than `share`, whoever has the most of them is closed.
    fn limit_private(&mut self, limit: usize, share: usize, out: &mut Outbox) {
        while self.blocks.bytes() + self.private_bytes > limit && self.private_bytes > share {
            let most = self.connections.iter().max_by_key(|connection| connection.private);
            let most = most.expect("bytes wait for somebody");
            assert!(most.private > 0, "the sum of private bytes is somebody's");
            self.close(most.id, CloseReason::MemoryBudget, out);
        }
    }

    /// The newest of the oldest blocks that together have so many bytes.
    fn oldest_to_free(&self, bytes: usize) -> Option<BlockNo> {
        let mut freed = 0;
        let mut newest = None;
        for (no, block) in self.blocks.iter() {
            if freed >= bytes {
                break;
            }
            freed += block.weight();
            newest = Some(no);
        }
        newest
    }

    /// A connection lets go of all blocks up to one.
    fn free_until(&mut self, id: ConnId, newest: BlockNo, out: &mut Outbox) {
        let connection = self.connections.known(id);
        if !connection.queue.runs().any(|run| run.block <= newest) {
            return;
        }
        match connection.phase {
            Phase::V1 | Phase::Control | Phase::Events => self.skip(id, out),
            Phase::Undecided
            | Phase::Listening
            | Phase::Native
            | Phase::Http
            | Phase::Echo
            | Phase::Leaving(_) => {
                self.close(id, CloseReason::MemoryBudget, out);
            }
            Phase::TurnedAway | Phase::Lingering { .. } | Phase::Closing => {}
        }
    }
}

/// The `gap` event.
pub(crate) fn gap(dialect: Dialect, room: &proto::RoomName, from_seq: Seq, to_seq: Seq) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode::event(dialect, &Event::Gap { room, from_seq, to_seq }, &mut bytes);
    bytes
}
