//! Work: what a command makes the server do, counted in plain frames, so that the budget of a turn bounds its time.
//!
//! Counted is what a peer can make large: the rooms that hear of something, their members, and what is encoded for one
//! connection. Nothing is refused here; whoever hears commands or lets timers fire asks what the last one came to.

use proto::{Command, Request};

use crate::Hub;
use crate::connection::ConnId;
use crate::rooms::RoomNo;

/// So many bytes are encoded for one connection in the time that a plain frame takes, a few microseconds.
const ENCODED_BYTES_BY_WORK: usize = 1024;
/// So many members of a room are handed what it said in that time.
const MEMBERS_BY_WORK: usize = 64;
/// So much work of a look-up costs its asker a message more than other requests: 16 KiB of the answer.
const LOOK_UP_WORK_BY_MESSAGE: u32 = 16;

impl Hub {
    /// What was done since that was asked last, beyond hearing a frame or letting a timer fire.
    pub(crate) fn take_work(&mut self) -> u32 {
        u32::try_from(core::mem::take(&mut self.work)).unwrap_or(u32::MAX)
    }

    /// So many rooms, members or connections were looked at, each in about the time that a plain frame takes.
    pub(crate) const fn has_done(&mut self, work: usize) {
        self.work = self.work.saturating_add(work);
    }

    /// So many bytes were encoded for one connection.
    pub(crate) const fn has_encoded(&mut self, bytes: usize) {
        self.has_done(bytes / ENCODED_BYTES_BY_WORK);
    }

    /// A room is to hear of something: its members are handed it at the end of the turn, once, however often it hears.
    pub(crate) fn will_hand_out(&mut self, no: RoomNo) {
        let room = self.rooms.known(no);
        if room.queue.is_empty() && room.open.iter().all(Option::is_none) {
            self.has_done(room.members.len() / MEMBERS_BY_WORK);
        }
    }

    /// A look-up costs by the length of what it found.
    pub(crate) fn charge_look_up(&mut self, id: ConnId, work: u32) {
        self.charge_messages(id, work / LOOK_UP_WORK_BY_MESSAGE);
    }
}

/// Whether a command asks for what may be long and is no past messages, which have their price.
pub(crate) const fn looks_something_up(command: &Command<'_>) -> bool {
    let Command::Request { request, .. } = command else { return false };
    matches!(
        request,
        Request::Rooms { .. }
            | Request::Members { .. }
            | Request::Whois { .. }
            | Request::Bans { .. }
            | Request::Stats { .. }
    )
}
