//! The turn's one place that reads: what ready connections say goes to the hub, within the turn's and each one's budget.

use std::io::ErrorKind;

use hub::{ConnId, HangUp, Planted};

use super::{Driver, Log, SCRATCH_BYTES, Server, Store};

/// The most frames that are decided in a turn: what everybody else may have to wait for. One that makes more work than a plain
/// one counts as several, so that the most that lies between two looks at the clock is the work of one connection.
const FRAMES_MAX: u32 = 256;
/// The most frames of one connection in a turn, so that four busy ones share it.
const FRAMES_BY_CONNECTION_MAX: u32 = FRAMES_MAX / 4;
/// The most reads of a turn, since many peers may each send less than a frame: some milliseconds of kernel time.
const READS_MAX: u32 = 1024;

const _: () = assert!(FRAMES_BY_CONNECTION_MAX > 0 && READS_MAX > FRAMES_MAX);

/// The most bytes that are read between two flushes: what they become waits for everybody in the room, who is cut for what waits
/// for them, so that they must be offered it before there is more.
pub(super) const BYTES_MAX: usize = 128 * 1024;

/// What is left of a turn's budget.
#[derive(Clone, Copy, Debug)]
struct Budget {
    frames: u32,
    reads: u32,
}

impl Budget {
    const fn is_spent(self) -> bool {
        self.frames == 0 || self.reads == 0
    }
}

impl<D: Driver, S: Store, L: Log> Server<D, S, L> {
    /// Reads each connection that has something to say. Who is stopped by a budget goes to the end of the queue.
    pub(super) fn read(&mut self) {
        let mut left = Budget { frames: FRAMES_MAX, reads: READS_MAX };
        let begun = self.driver.now();
        for at in 0..self.to_read.len() {
            if left.is_spent() || self.is_read_full() || (at > 0 && !self.has_time(begun)) {
                break;
            }
            let Some(id) = self.to_read.pop_front() else { break };
            self.slot(id).expect("who waits to be read is there").to_read = false;
            let frames = left.frames.min(FRAMES_BY_CONNECTION_MAX);
            let mut share = Budget { frames, ..left };
            let more = self.read_one(id, &mut share);
            left = Budget { frames: left.frames - (frames - share.frames), reads: share.reads };
            if !more {
                self.look_for_hang_up(id);
            } else if !self.hub.settings().plants(Planted::LostCarryOver) {
                self.queue_read(id);
            }
        }
        self.pace.looked(self.posted > 0);
    }

    /// Reads one connection until it has no more, may say no more, or a budget is spent: only then there is more.
    fn read_one(&mut self, id: ConnId, left: &mut Budget) -> bool {
        let mut bytes = SCRATCH_BYTES;
        loop {
            if self.hub.has_kept_work(id) {
                self.hub.receive(id, &[], &mut left.frames, self.now, &mut self.outbox);
                self.drain_outbox();
                if self.hub.has_kept_work(id) {
                    return true;
                }
            }
            let readable = self.slot(id).is_some_and(|slot| slot.readable);
            if !readable || !self.hub.wants_read(id) {
                return false;
            }
            if bytes == 0 || left.is_spent() || self.is_read_full() {
                return true;
            }
            left.reads -= 1;
            match self.driver.read(id, &mut self.scratch[..bytes]) {
                Ok(0) => self.end_reading(id, HangUp::Eof),
                Ok(count) => {
                    bytes -= count;
                    self.read_bytes += count;
                    let news = &self.scratch[..count];
                    self.hub.receive(id, news, &mut left.frames, self.now, &mut self.outbox);
                    self.drain_outbox();
                }
                Err(error) => match error.kind() {
                    ErrorKind::WouldBlock => {
                        self.slot(id).expect("it is being read").readable = false;
                    }
                    ErrorKind::Interrupted => {}
                    _ => self.end_reading(id, HangUp::Reset),
                },
            }
        }
    }

    /// Whether a flush must come before more is read.
    pub(super) fn is_read_full(&self) -> bool {
        self.read_bytes >= BYTES_MAX || self.hub.is_said_full()
    }

    fn end_reading(&mut self, id: ConnId, how: HangUp) {
        if let Some(slot) = self.slot(id) {
            slot.readable = false;
        }
        self.hub.hang_up(id, how, self.now, &mut self.outbox);
        self.drain_outbox();
    }

    /// Ends a connection of which the kernel said that it is gone, once nothing more is to be read of it. One that its quota has
    /// silenced is not read, so that only this tells.
    fn look_for_hang_up(&mut self, id: ConnId) {
        if self.slot(id).is_some_and(|slot| slot.hung_up) {
            self.hub.hang_up(id, HangUp::Reset, self.now, &mut self.outbox);
            self.drain_outbox();
        }
    }
}
