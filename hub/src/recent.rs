//! Recent messages, in memory: for `history` and `tail`, and to know a repeated post again. One sum limits all rooms.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use proto::encode::{self, Content, Message, Place};
use proto::{Dialect, Event, MessageId, Nick, RequestId, RoomName, Seq, WallTime};

use crate::outcomes::Said;
use crate::rooms::{Room, RoomNo, Rooms, Ticket};

/// What a message costs besides its content: itself, its id among the known ones, its place in the order, its allocation.
const RECENT_OVERHEAD_BYTES: usize = 192;

const _: () =
    assert!(size_of::<Recent>() + 2 * size_of::<(MessageId, Known)>() <= RECENT_OVERHEAD_BYTES);

/// A message that was released.
#[derive(Debug)]
pub(crate) struct Recent {
    pub(crate) seq: Seq,
    pub(crate) time: WallTime,
    pub(crate) message_id: MessageId,
    pub(crate) from: Nick,
    pub(crate) content: Arc<[u8]>,
    /// What its author says that this is.
    pub(crate) content_type: Option<Arc<str>>,
}

/// Who is given past messages, and for what.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asker<'a> {
    pub(crate) dialect: Dialect,
    pub(crate) request: &'a RequestId,
    /// The history that they are of.
    pub(crate) of: MessageId,
}

impl Recent {
    fn weight(&self) -> usize {
        let named = self.content_type.as_ref().map_or(0, |name| name.len());
        self.content.len() + named + RECENT_OVERHEAD_BYTES
    }

    /// The message as an event that answers a request.
    fn encode(&self, room: &RoomName, asker: Asker<'_>, out: &mut Vec<u8>) {
        let message = Message {
            place: Place::Room { room, seq: self.seq, of: asker.of },
            time: self.time,
            message_id: self.message_id,
            from: self.from.as_str(),
            content: Content(&self.content),
            content_type: self.content_type.as_deref(),
            receipt: false,
            history: Some(asker.request),
        };
        encode::event(asker.dialect, &Event::Message(message), out);
    }
}

/// Where a message with a known id is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Known {
    pub(crate) room: RoomNo,
    pub(crate) seq: Seq,
}

/// What is common to the recent messages of all rooms.
#[derive(Debug, Default)]
pub(crate) struct Recents {
    /// The rooms of all recent messages, in the order of their release.
    order: VecDeque<RoomNo>,
    /// The ids of recent messages, and of those that wait for the store.
    pub(crate) ids: BTreeMap<MessageId, Known>,
    bytes: usize,
    /// What is forgotten here the store still has.
    are_stored: bool,
}

impl Recents {
    /// None yet.
    pub(crate) fn new(are_stored: bool) -> Self {
        Self { are_stored, ..Self::default() }
    }

    /// What all recent messages cost.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Keeps a message, and forgets the oldest ones.
    pub(crate) fn keep(
        &mut self,
        rooms: &mut Rooms,
        no: RoomNo,
        recent: Recent,
        (said, limit): (&Said, Option<usize>),
    ) {
        let room = rooms.known_mut(no);
        let last = room.recent.back().map(|last| last.seq);
        assert!(last < Some(recent.seq), "messages are released in their order");
        self.bytes += recent.weight();
        make_place(&mut room.recent);
        room.recent.push_back(recent);
        make_place(&mut self.order);
        self.order.push_back(no);
        self.shrink(rooms, said, limit);
    }

    /// Forgets the oldest messages until all keep within the limit. One that was said before it is stored stays with those behind it
    /// until that is decided: nobody else has it, and who catches up is to have it.
    pub(crate) fn shrink(&mut self, rooms: &mut Rooms, said: &Said, limit: Option<usize>) {
        while limit.is_some_and(|limit| self.bytes > limit) {
            let room = *self.order.front().expect("bytes belong to a message");
            let first = rooms.known(room).recent.front();
            let seq = first.expect("the order names each message once").seq;
            if said.contains_key(&Ticket { room, seq }) {
                return;
            }
            self.forget(rooms);
        }
    }

    /// A message is taken back, if it is still there: it was said, and could not be stored.
    pub(crate) fn take_back(&mut self, rooms: &mut Rooms, no: RoomNo, seq: Seq) -> bool {
        let room = rooms.known_mut(no);
        let Ok(at) = room.recent.binary_search_by_key(&seq, |recent| recent.seq) else {
            return false;
        };
        let recent = room.recent.remove(at).expect("it was found");
        let mut own = self.order.iter().enumerate().filter(|(_, other)| **other == no);
        let (place, _) = own.nth(at).expect("the order names each message once");
        self.order.remove(place);
        self.bytes -= recent.weight();
        let known = self.ids.remove(&recent.message_id);
        assert!(known.is_some_and(|known| known.seq == seq), "a message's id is known while it is");
        rooms.may_be_idle(no);
        true
    }

    /// Forgets a room's messages up to one, and with it: nobody is told any more what retention took.
    pub(crate) fn forget_through(&mut self, rooms: &mut Rooms, no: RoomNo, through: Seq) {
        let room = rooms.known(no);
        let count = room.recent.partition_point(|recent| recent.seq <= through);
        if count == 0 {
            return;
        }
        let mut left = count;
        self.order.retain(|other| {
            let goes = *other == no && left > 0;
            left -= usize::from(goes);
            !goes
        });
        assert_eq!(left, 0, "the order names each message once");
        for _ in 0..count {
            self.forget_first_of(rooms, no);
        }
    }

    fn forget(&mut self, rooms: &mut Rooms) {
        let no = self.order.pop_front().expect("bytes belong to a message");
        self.forget_first_of(rooms, no);
    }

    fn forget_first_of(&mut self, rooms: &mut Rooms, no: RoomNo) {
        let room = rooms.known_mut(no);
        let recent = room.recent.pop_front().expect("the order names each message once");
        let len = room.recent.len();
        if len == 0 || len < room.recent.capacity() / 4 {
            room.recent.shrink_to(len.saturating_add(len / 4));
        }
        assert!(room.forgotten < recent.seq, "messages are forgotten in their order");
        room.forgotten = recent.seq;
        if !self.are_stored {
            room.is_gone(recent.seq);
        }
        self.bytes -= recent.weight();
        let known = self.ids.remove(&recent.message_id);
        assert!(known.is_some_and(|known| known.room == no), "a message's id is known while it is");
        rooms.may_be_idle(no);
    }
}

/// Makes a full queue longer by a quarter, and not by its own length: of messages by the hundred thousand the spare places would be
/// half the memory.
fn make_place<T>(queue: &mut VecDeque<T>) {
    let len = queue.len();
    if len == queue.capacity() {
        queue.reserve_exact((len / 4).max(4));
    }
}

/// Some messages, encoded.
#[derive(Debug, Default)]
pub(crate) struct Page {
    pub(crate) bytes: Vec<u8>,
    pub(crate) count: usize,
    /// The range has more.
    pub(crate) more: bool,
    /// How many bytes were encoded for it, the message that did not fit included: what it cost.
    pub(crate) encoded: usize,
}

impl Room {
    /// The recent message with this number.
    pub(crate) fn recent_at(&self, seq: Seq) -> Option<&Recent> {
        let at = self.recent.binary_search_by_key(&seq, |recent| recent.seq).ok()?;
        self.recent.get(at)
    }

    /// The first messages of a range of places in memory: at most `most`, and `budget` bytes.
    pub(crate) fn page_forward(
        &self,
        range: core::ops::Range<usize>,
        most: usize,
        budget: usize,
        asker: Asker<'_>,
    ) -> Page {
        let mut page = Page::default();
        for recent in self.recent.range(range.clone()).take(most) {
            let before = page.bytes.len();
            // A message is no shorter when it is encoded: one that cannot fit is not encoded to be thrown away.
            if page.count > 0 && recent.content.len() > budget.saturating_sub(before) {
                break;
            }
            recent.encode(&self.name, asker, &mut page.bytes);
            page.encoded += page.bytes.len() - before;
            if page.bytes.len() > budget && page.count > 0 {
                page.bytes.truncate(before);
                break;
            }
            page.count += 1;
        }
        page.more = page.count < range.len();
        page
    }

    /// The last messages of a range, the oldest first: at most `most`, and `budget` bytes.
    pub(crate) fn page_backward(
        &self,
        range: core::ops::Range<usize>,
        most: usize,
        budget: usize,
        asker: Asker<'_>,
    ) -> Page {
        let mut frames: Vec<Vec<u8>> = Vec::new();
        let (mut bytes, mut encoded) = (0, 0);
        for recent in self.recent.range(range.clone()).rev().take(most) {
            if !frames.is_empty() && recent.content.len() > budget.saturating_sub(bytes) {
                break;
            }
            let mut frame = Vec::new();
            recent.encode(&self.name, asker, &mut frame);
            encoded += frame.len();
            if bytes + frame.len() > budget && !frames.is_empty() {
                break;
            }
            bytes += frame.len();
            frames.push(frame);
        }
        let count = frames.len();
        frames.reverse();
        Page { bytes: frames.concat(), count, more: count < range.len(), encoded }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_queue_has_few_spare_places() {
        let mut queue = VecDeque::new();
        for number in 0..300_000 {
            make_place(&mut queue);
            queue.push_back(number);
            let len = queue.len();
            assert!(queue.capacity() <= len + len / 4 + 4, "{len} messages");
        }
        assert!(queue.iter().copied().eq(0..300_000));
    }
}
