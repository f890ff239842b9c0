//! The bytes that wait for one connection: runs of shared blocks, and private frames, in the order in which they leave.
//!
//! The first chunk lies in the queue itself, so that a connection that keeps up owns no other memory for it. What a chunk
//! costs elsewhere (a block's readers, the sum of private bytes) is kept by whoever pushes and takes.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::mem;
use core::ops::Range;

use crate::block::{BlockNo, Blocks};

/// A v0.5 keepalive: length 4, type 2.
pub(crate) const KEEPALIVE: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 2];
/// A ping of a WebSocket that says nothing; its answer shows that somebody is there.
pub(crate) const PING: &[u8] = &[0x89, 0];

/// A piece of a block, from one frame's beginning to another's end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) block: BlockNo,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Run {
    /// Where it lies in its block.
    pub(crate) const fn range(&self) -> Range<u32> {
        self.from..self.to
    }
}

/// Something to write.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Chunk {
    /// A piece of a shared block.
    Run(Run),
    /// Frames for this connection only.
    Private(Box<[u8]>),
    /// What is part of the program, such as a keepalive: it needs no memory.
    Fixed(&'static [u8]),
}

impl Chunk {
    /// How many bytes it has.
    pub(crate) fn len(&self) -> usize {
        match self {
            Self::Run(run) => (run.to - run.from) as usize,
            Self::Private(bytes) => bytes.len(),
            Self::Fixed(bytes) => bytes.len(),
        }
    }

    /// How many bytes of memory nobody shares.
    pub(crate) fn private(&self) -> usize {
        match self {
            Self::Private(bytes) => bytes.len(),
            Self::Run(_) | Self::Fixed(_) => 0,
        }
    }

    fn bytes<'a>(&'a self, blocks: &'a Blocks) -> &'a [u8] {
        match self {
            Self::Run(run) => &blocks.get(run.block).bytes()[run.from as usize..run.to as usize],
            Self::Private(bytes) => bytes,
            Self::Fixed(bytes) => bytes,
        }
    }
}

/// What waits for one connection.
#[derive(Debug, Default)]
pub(crate) struct OutQueue {
    front: Option<Chunk>,
    /// What is behind the front.
    #[expect(
        clippy::box_collection,
        reason = "nearly all connections have none, and ten thousand pay for its place"
    )]
    rest: Option<Box<VecDeque<Chunk>>>,
    /// How much of the front is written.
    offset: u32,
    bytes: usize,
}

impl OutQueue {
    /// How many bytes are still to be written.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many chunks are still to be written.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.front.is_some()) + self.rest.as_ref().map_or(0, |rest| rest.len())
    }

    /// Whether everything is written.
    pub(crate) const fn is_empty(&self) -> bool {
        self.front.is_none()
    }

    /// How much of the first chunk is written.
    pub(crate) const fn offset(&self) -> u32 {
        self.offset
    }

    /// How many bytes of chunks that nobody shares are written and not freed yet.
    pub(crate) fn private_written(&self) -> usize {
        match &self.front {
            Some(Chunk::Private(_)) => self.offset as usize,
            Some(Chunk::Run(_) | Chunk::Fixed(_)) | None => 0,
        }
    }

    /// The chunks, in order.
    pub(crate) fn chunks(&self) -> impl Iterator<Item = &Chunk> {
        self.front.iter().chain(self.rest.as_deref().into_iter().flatten())
    }

    /// The runs, in order.
    pub(crate) fn runs(&self) -> impl Iterator<Item = &Run> {
        self.chunks().filter_map(|chunk| match chunk {
            Chunk::Run(run) => Some(run),
            Chunk::Private(_) | Chunk::Fixed(_) => None,
        })
    }

    /// Appends a chunk.
    pub(crate) fn push(&mut self, chunk: Chunk) {
        assert!(chunk.len() > 0, "nothing is not queued");
        self.bytes += chunk.len();
        if self.front.is_none() {
            assert_eq!((self.len(), self.offset), (0, 0), "an empty queue has no rest");
            self.front = Some(chunk);
        } else {
            let rest = self.rest.get_or_insert_default();
            if rest.len() == rest.capacity() && rest.len() < 4 {
                // Runs around an own frame or two are what most need at most: room for four would be four times that.
                rest.reserve_exact(rest.len().max(1));
            }
            rest.push_back(chunk);
        }
    }

    /// Puts private bytes in the place of the last chunk, where that is private, too, nothing of it is written and it is outdated by them. How
    /// many bytes they took the place of; or the bytes themselves, which still have no place.
    pub(crate) fn replace_last(
        &mut self,
        bytes: Box<[u8]>,
        is_outdated: impl FnOnce(&[u8]) -> bool,
    ) -> Result<usize, Box<[u8]>> {
        assert!(!bytes.is_empty(), "nothing is not queued");
        let has_begun = self.len() == 1 && self.offset > 0;
        let Some(Chunk::Private(before)) = self.last_mut().filter(|_| !has_begun) else {
            return Err(bytes);
        };
        if !is_outdated(before) {
            return Err(bytes);
        }
        let (is, was) = (bytes.len(), before.len());
        *before = bytes;
        self.bytes = self.bytes - was + is;
        Ok(was)
    }

    /// Appends a piece of a block; true where it became a chunk, false where the last one grew by it.
    pub(crate) fn push_run(&mut self, block: BlockNo, range: &Range<u32>) -> bool {
        assert!(range.start < range.end, "nothing is not queued");
        if let Some(Chunk::Run(run)) = self.last_mut()
            && run.block == block
            && run.to == range.start
        {
            run.to = range.end;
            self.bytes += (range.end - range.start) as usize;
            return false;
        }
        self.push(Chunk::Run(Run { block, from: range.start, to: range.end }));
        true
    }

    /// Fills `slices` with what is to be written next; returns how many were filled.
    pub(crate) fn gather<'a>(&'a self, blocks: &'a Blocks, slices: &mut [&'a [u8]]) -> usize {
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(self.chunks()) {
            let begun = if filled == 0 { self.offset as usize } else { 0 };
            *slice = &chunk.bytes(blocks)[begun..];
            filled += 1;
        }
        filled
    }

    /// So many bytes were written: hands each chunk that is done with to `done`.
    pub(crate) fn advance(&mut self, bytes: usize, mut done: impl FnMut(Chunk)) {
        assert!(bytes <= self.bytes, "only what is queued can be written");
        self.bytes -= bytes;
        let mut left = self.offset as usize + bytes;
        while let Some(chunk) = self.front.take_if(|chunk| chunk.len() <= left) {
            left -= chunk.len();
            self.front = self.pop_rest();
            done(chunk);
        }
        self.offset = u32::try_from(left).expect("a chunk is shorter than 4 GiB");
        assert!(self.front.is_some() || self.offset == 0, "an empty queue has no offset");
    }

    fn last_mut(&mut self) -> Option<&mut Chunk> {
        let rest = self.rest.as_mut().and_then(|rest| rest.back_mut());
        rest.or(self.front.as_mut())
    }

    fn pop_rest(&mut self) -> Option<Chunk> {
        self.rest.as_mut().and_then(|rest| rest.pop_front())
    }

    /// The planted error: the chunk that was being written begins again.
    pub(crate) fn forget_offset(&mut self) {
        self.bytes += mem::take(&mut self.offset) as usize;
    }

    /// The planted error: everything comes out the other way round.
    pub(crate) fn reverse(&mut self) {
        let mut chunks = self.take();
        while let Some(chunk) = chunks.pop_back() {
            self.push(chunk);
        }
    }

    /// Takes everything out, and gives back what memory the queue has.
    pub(crate) fn take(&mut self) -> VecDeque<Chunk> {
        let mut chunks = self.rest.take().map_or_else(VecDeque::new, |rest| *rest);
        if let Some(front) = self.front.take() {
            chunks.push_front(front);
        }
        (self.offset, self.bytes) = (0, 0);
        chunks
    }

    /// The chunk that is written next.
    pub(crate) const fn first(&self) -> Option<&Chunk> {
        self.front.as_ref()
    }

    /// Forgets the first run, of which nothing is written yet, up to this place of its block; true where nothing is left of it.
    pub(crate) fn forget_first(&mut self, to: u32) -> bool {
        assert_eq!(self.offset, 0, "a chunk that has begun is finished");
        let Some(Chunk::Run(run)) = &mut self.front else {
            unreachable!("only runs are forgotten")
        };
        assert!(run.from < to && to <= run.to, "a frame lies in its run");
        self.bytes -= (to - run.from) as usize;
        run.from = to;
        let is_over = run.from == run.to;
        if is_over {
            self.front = self.pop_rest();
        }
        is_over
    }

    /// Gives back memory that an empty queue does not need; while a connection is busy it is kept.
    pub(crate) fn rest_idle(&mut self) {
        if self.is_empty() {
            self.rest = None;
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;

    use std::vec::Vec;

    use proptest::prelude::*;
    use proto::Dialect;

    use super::*;
    use crate::rooms::RoomNo;

    #[derive(Clone, Debug)]
    enum Step {
        Run(u32, u32),
        Private(usize),
        Replace(usize),
        Keepalive,
        Write(usize),
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            (0_u32..40, 1_u32..40).prop_map(|(from, len)| Step::Run(from, len)),
            (1_usize..30).prop_map(Step::Private),
            (1_usize..30).prop_map(Step::Replace),
            Just(Step::Keepalive),
            (0_usize..60).prop_map(Step::Write),
        ]
    }

    fn gathered(queue: &OutQueue, blocks: &Blocks, most: usize) -> Vec<u8> {
        let mut slices = std::vec![&[][..]; most];
        let count = queue.gather(blocks, &mut slices);
        slices[..count].concat()
    }

    proptest! {
        /// Whatever is pushed and however it is written in pieces: the bytes are those of a plain buffer.
        #[test]
        fn a_queue_of_runs_is_a_buffer_of_bytes(steps in proptest::collection::vec(step(), 1..60)) {
            let mut blocks = Blocks::default();
            let name = proto::RoomName::parse("lobby").unwrap();
            let no = blocks.open(RoomNo::new(0), name, Dialect::Native05);
            let content: Vec<u8> = (0..80).collect();
            for byte in &content {
                blocks.append(no, &[*byte], None);
            }
            let mut queue = OutQueue::default();
            let mut model: Vec<u8> = Vec::new();
            let mut chunks = 0_usize;
            let mut count = 0_u8;
            for step in steps {
                match step {
                    Step::Run(from, len) => {
                        let range = from..from + len;
                        model.extend(&content[range.start as usize..range.end as usize]);
                        chunks += usize::from(queue.push_run(no, &range));
                    }
                    Step::Private(len) => {
                        count = count.wrapping_add(1);
                        let bytes = std::vec![count; len];
                        model.extend(&bytes);
                        queue.push(Chunk::Private(bytes.into()));
                        chunks += 1;
                    }
                    Step::Replace(len) => {
                        count = count.wrapping_add(1);
                        let bytes = std::vec![count; len];
                        if let Ok(before) = queue.replace_last(bytes.clone().into(), |_| true) {
                            model.truncate(model.len() - before);
                            model.extend(&bytes);
                        }
                    }
                    Step::Keepalive => {
                        model.extend(KEEPALIVE);
                        queue.push(Chunk::Fixed(KEEPALIVE));
                        chunks += 1;
                    }
                    Step::Write(bytes) => {
                        let bytes = bytes.min(model.len());
                        queue.advance(bytes, |_| chunks -= 1);
                        model.drain(..bytes);
                    }
                }
                prop_assert_eq!(queue.bytes(), model.len());
                prop_assert_eq!(queue.is_empty(), model.is_empty());
                prop_assert_eq!(queue.chunks().count(), chunks);
                prop_assert_eq!(queue.len(), chunks);
                prop_assert_eq!(&gathered(&queue, &blocks, 200), &model);
                prop_assert!(model.starts_with(&gathered(&queue, &blocks, 2)));
            }
        }
    }

    #[test]
    fn a_queue_that_keeps_up_owns_no_memory() {
        let mut queue = OutQueue::default();
        queue.push(Chunk::Fixed(KEEPALIVE));
        assert!(queue.rest.is_none());
        queue.push(Chunk::Fixed(KEEPALIVE));
        queue.advance(16, drop);
        assert!(queue.rest.is_some(), "kept while the connection is busy");
        queue.rest_idle();
        assert!(queue.rest.is_none());
    }
}
