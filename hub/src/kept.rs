//! What a connection said and the hub has not taken yet: an unfinished frame, or what a quota or the turn held back.
//!
//! Nothing is decided here. A connection that has nothing of it costs a pointer. Memory grows by half and more while a frame goes
//! on, so that a frame that drips in is not copied with each drop, and is of its exact size again when the frame is over.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The bytes; none is no memory.
#[derive(Debug, Default)]
#[allow(clippy::box_collection, reason = "thousands of connections have none of it")]
pub(crate) struct Kept(Option<Box<Vec<u8>>>);

impl Kept {
    /// The bytes.
    pub(crate) fn bytes(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }

    /// Whether there are none.
    pub(crate) const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// How much memory they have.
    pub(crate) fn capacity(&self) -> usize {
        self.0.as_deref().map_or(0, Vec::capacity)
    }

    /// Takes the bytes out.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.0.take().map_or_else(Vec::new, |kept| *kept)
    }

    /// Keeps these bytes, with the memory that they have.
    pub(crate) fn of(bytes: Vec<u8>) -> Self {
        Self((bytes.capacity() > 0).then(|| Box::new(bytes)))
    }

    /// Adds bytes. Memory is made for as much as may still come of the frame, at most `most` in all and twice what there is.
    pub(crate) fn extend(&mut self, bytes: &[u8], most: usize) {
        if bytes.is_empty() {
            return;
        }
        let kept = self.0.get_or_insert_with(Box::default);
        let needed = kept.len() + bytes.len();
        if needed > kept.capacity() {
            let wished = (2 * kept.capacity()).min(most).max(needed);
            kept.reserve_exact(wished - kept.len());
        }
        kept.extend_from_slice(bytes);
        assert_eq!(kept.len(), needed, "nothing is lost");
        assert!(kept.capacity() <= most.max(needed), "memory has the frame's limit");
    }

    /// The first bytes are taken; what is left has the memory that it needs.
    pub(crate) fn consume(&mut self, count: usize) {
        let Some(kept) = self.0.as_deref_mut().filter(|_| count > 0) else { return };
        assert!(count <= kept.len(), "only what is there is taken");
        if count == kept.len() {
            self.0 = None;
        } else {
            *kept = kept[count..].to_vec();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_drips_in_is_copied_a_few_times_and_never_has_more_than_its_limit() {
        let mut kept = Kept::default();
        let (mut copies, mut before) = (0, 0);
        for _ in 0..40_000 {
            kept.extend(&[7], 40_000);
            copies += usize::from(kept.capacity() != before);
            before = kept.capacity();
            assert!(before <= 40_000 && before <= 2 * kept.bytes().len());
        }
        assert!(copies <= 17, "{copies}");
        kept.extend(&[8; 100], 40_000);
        assert_eq!(kept.capacity(), 40_100, "what came is kept, however much");
    }

    #[test]
    fn what_is_left_of_it_has_its_exact_size() {
        let mut kept = Kept::default();
        kept.extend(&[1; 50], 1_000);
        kept.extend(&[2; 10], 1_000);
        kept.consume(55);
        assert_eq!((kept.bytes(), kept.capacity()), (&[2; 5][..], 5));
        kept.consume(0);
        kept.consume(5);
        assert!(kept.is_empty() && kept.bytes().is_empty() && kept.capacity() == 0);
    }
}
