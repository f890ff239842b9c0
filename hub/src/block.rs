//! Blocks: encoded frames of one room in one dialect, shared by all who are to get them.
//!
//! A block is open for at most one turn, while frames are appended; then it is sealed and never changes. Queues name it by
//! number, and it is freed when the last of their runs is done with. Which connection reads what is not known here.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::Range;

use proto::{Dialect, RoomName, Seq};

use crate::rooms::RoomNo;
use crate::settings::BLOCK_BYTES_MAX;

/// Names one block for ever; a smaller number is an older block.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct BlockNo(u64);

/// Where one frame ends, and which message it is.
#[derive(Clone, Copy, Debug)]
struct Frame {
    end: u32,
    /// 0 where the frame is no message.
    seq: Seq,
}

impl Frame {
    fn is_message(&self) -> bool {
        self.seq != Seq(0)
    }
}

/// Encoded frames.
#[derive(Debug)]
pub(crate) struct Block {
    pub(crate) room: RoomNo,
    /// The room's name, which a `gap` tells also when the room is gone.
    pub(crate) name: RoomName,
    pub(crate) dialect: Dialect,
    bytes: Vec<u8>,
    frames: Vec<Frame>,
    /// How many of the frames are messages.
    messages: u32,
    /// How many runs of queues lie in it.
    readers: u32,
    open: bool,
}

impl Block {
    /// All bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// How many bytes there are.
    pub(crate) fn len(&self) -> u32 {
        self.frames.last().map_or(0, |frame| frame.end)
    }

    /// How many runs of queues lie in it.
    pub(crate) const fn readers(&self) -> u32 {
        self.readers
    }

    /// Whether frames may still be appended.
    pub(crate) const fn is_open(&self) -> bool {
        self.open
    }

    /// What it costs in memory.
    pub(crate) fn weight(&self) -> usize {
        self.bytes.len() + self.frames.len() * size_of::<Frame>()
    }

    /// How many frames lie in a range that begins and ends between frames.
    pub(crate) fn count_frames(&self, range: &Range<u32>) -> u32 {
        count(self.frames_in(range).len())
    }

    /// How many of them are messages.
    pub(crate) fn count_messages(&self, range: &Range<u32>) -> u32 {
        if *range == (0..self.len()) {
            return self.messages;
        }
        count(self.frames_in(range).iter().filter(|frame| frame.is_message()).count())
    }

    fn frames_in(&self, range: &Range<u32>) -> &[Frame] {
        &self.frames[self.index_at(range.start)..self.index_at(range.end)]
    }

    /// Where the frame ends that a position lies in; the position itself where it is between frames.
    pub(crate) fn frame_end(&self, position: u32) -> u32 {
        let index = self.index_at(position);
        let start = index.checked_sub(1).map_or(0, |before| self.frames[before].end);
        if start == position { position } else { self.frames[index].end }
    }

    /// The first and the last message in a range that begins and ends between frames.
    pub(crate) fn messages_in(&self, range: &Range<u32>) -> Option<(Seq, Seq)> {
        let mut messages = self.frames_in(range).iter().filter(|frame| frame.is_message());
        let first = messages.next()?.seq;
        Some((first, messages.next_back().map_or(first, |last| last.seq)))
    }

    /// How many frames end at or before a position.
    fn index_at(&self, position: u32) -> usize {
        self.frames.partition_point(|frame| frame.end <= position)
    }
}

/// All blocks, by age.
#[derive(Debug, Default)]
pub(crate) struct Blocks {
    by_age: BTreeMap<BlockNo, Block>,
    next: u64,
    bytes: usize,
}

impl Blocks {
    /// What all blocks cost in memory, each once.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many blocks there are.
    pub(crate) fn len(&self) -> usize {
        self.by_age.len()
    }

    /// All blocks, the oldest first.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (BlockNo, &Block)> {
        self.by_age.iter().map(|(no, block)| (*no, block))
    }

    /// One block. Whoever has a number has a run in it, or it is open: a missing one is our bug.
    pub(crate) fn get(&self, no: BlockNo) -> &Block {
        self.by_age.get(&no).expect("a block lives while somebody names it")
    }

    fn get_mut(&mut self, no: BlockNo) -> &mut Block {
        self.by_age.get_mut(&no).expect("a block lives while somebody names it")
    }

    /// Begins a block.
    pub(crate) fn open(&mut self, room: RoomNo, name: RoomName, dialect: Dialect) -> BlockNo {
        let no = BlockNo(self.next);
        self.next += 1;
        let (bytes, frames) = (Vec::new(), Vec::new());
        let (messages, readers, open) = (0, 0, true);
        let block = Block { room, name, dialect, bytes, frames, messages, readers, open };
        let before = self.by_age.insert(no, block);
        assert!(before.is_none(), "a block's number is never given twice");
        no
    }

    /// Whether so many bytes more leave the block within its limit; a longer frame has a block of its own.
    pub(crate) fn has_room(&self, no: BlockNo, more: usize) -> bool {
        let bytes = self.get(no).bytes.len();
        bytes == 0 || bytes + more <= BLOCK_BYTES_MAX
    }

    /// Appends a frame to an open block; returns where it lies.
    pub(crate) fn append(&mut self, no: BlockNo, frame: &[u8], seq: Option<Seq>) -> Range<u32> {
        assert!(!frame.is_empty(), "a frame has bytes");
        let block = self.get_mut(no);
        assert!(block.open, "a sealed block never changes");
        let start = block.len();
        if block.bytes.is_empty() {
            block.bytes.reserve_exact(frame.len());
        }
        block.bytes.extend_from_slice(frame);
        let end = u32::try_from(block.bytes.len()).expect("a block is a frame or at most 64 KiB");
        block.frames.push(Frame { end, seq: seq.unwrap_or(Seq(0)) });
        block.messages += u32::from(seq.is_some());
        self.bytes += frame.len() + size_of::<Frame>();
        start..end
    }

    /// Ends a block: it never changes again, and takes no more memory than it has bytes.
    pub(crate) fn seal(&mut self, no: BlockNo) {
        let block = self.get_mut(no);
        assert!(block.open, "a block is sealed once");
        block.open = false;
        block.bytes.shrink_to_fit();
        block.frames.shrink_to_fit();
    }

    /// So many runs more lie in the block; a sealed block in which none lies is freed.
    pub(crate) fn read_by(&mut self, no: BlockNo, runs: u32) {
        let block = self.get_mut(no);
        block.readers += runs;
        self.free_if_unread(no);
    }

    /// A run of the block is done with.
    pub(crate) fn release(&mut self, no: BlockNo) {
        let block = self.get_mut(no);
        block.readers = block.readers.checked_sub(1).expect("each run is released once");
        self.free_if_unread(no);
    }

    fn free_if_unread(&mut self, no: BlockNo) {
        let block = self.get(no);
        if block.readers == 0 && !block.open {
            let weight = block.weight();
            assert!(weight <= self.bytes, "the sum has every block in it");
            self.bytes -= weight;
            self.by_age.remove(&no);
        }
    }
}

/// So many frames of one block: it has fewer than bytes.
fn count(frames: usize) -> u32 {
    u32::try_from(frames).expect("a block is a frame or at most 64 KiB")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three() -> (Blocks, BlockNo) {
        let mut blocks = Blocks::default();
        let no = blocks.open(RoomNo::new(1), RoomName::parse("ops").unwrap(), Dialect::Control);
        assert_eq!(blocks.append(no, b"aaa", Some(Seq(4))), 0..3);
        assert_eq!(blocks.append(no, b"bb", None), 3..5);
        assert_eq!(blocks.append(no, b"c", Some(Seq(6))), 5..6);
        (blocks, no)
    }

    #[test]
    fn a_range_names_its_messages_and_a_position_its_frame() {
        let (blocks, no) = three();
        let block = blocks.get(no);
        assert_eq!(block.messages_in(&(0..6)), Some((Seq(4), Seq(6))));
        assert_eq!(block.messages_in(&(3..6)), Some((Seq(6), Seq(6))));
        assert_eq!(block.messages_in(&(3..5)), None);
        assert_eq!([0, 1, 2, 3, 4, 5, 6].map(|at| block.frame_end(at)), [0, 3, 3, 3, 5, 5, 6]);
        let counts = |range| (block.count_frames(&range), block.count_messages(&range));
        assert_eq!([0..6, 3..6, 3..3].map(counts), [(3, 2), (2, 1), (0, 0)]);
    }

    #[test]
    fn a_block_is_freed_with_its_last_run_and_not_while_it_is_open() {
        let (mut blocks, no) = three();
        blocks.read_by(no, 1);
        blocks.release(no);
        assert_eq!(blocks.len(), 1);
        blocks.seal(no);
        blocks.read_by(no, 2);
        blocks.release(no);
        assert_eq!(blocks.len(), 1);
        blocks.release(no);
        assert_eq!((blocks.len(), blocks.bytes()), (0, 0));
    }

    #[test]
    fn a_frame_longer_than_a_block_has_one_of_its_own() {
        let mut blocks = Blocks::default();
        let no = blocks.open(RoomNo::new(1), RoomName::parse("ops").unwrap(), Dialect::Control);
        assert!(blocks.has_room(no, 10 * BLOCK_BYTES_MAX));
        blocks.append(no, b"x", None);
        assert!(blocks.has_room(no, BLOCK_BYTES_MAX - 1));
        assert!(!blocks.has_room(no, BLOCK_BYTES_MAX));
    }
}
