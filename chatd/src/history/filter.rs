//! Which ids are certainly new: a Bloom filter of all that are on disk, and of all that were submitted since.
//!
//! It never takes a known id for a new one. The other way about it errs now and then, and more often once there are more ids than it was
//! made for; whoever posts waits for the commit then.

use proto::MessageId;
use twox_hash::XxHash3_128;

/// It has room for so many ids beyond those that are there.
const IDS_TO_COME: u64 = 4 << 20;
/// Bits for each id: about one in fifty new ones is not seen to be new.
const BITS_BY_ID: u64 = 8;
/// So many bits stand for an id.
const BITS_SET: u64 = 6;

/// See the module.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    bits: u64,
}

impl Filter {
    /// For so many ids, and some to come: a byte for each.
    pub(super) fn for_ids(count: u64) -> Self {
        let bits = count.saturating_add(IDS_TO_COME).min(1 << 36) * BITS_BY_ID;
        let words = usize::try_from(bits.div_ceil(64)).expect("usize has 64 bits here");
        Self { words: vec![0; words], bits }
    }

    /// Adds an id; whether it was certainly not there.
    pub(super) fn add(&mut self, id: MessageId) -> bool {
        let hash = XxHash3_128::oneshot(&id.0);
        let [first, step] = [hash, hash >> 64]
            .map(|part| u64::try_from(part & u128::from(u64::MAX)).expect("these are 64 bits"));
        let mut is_new = false;
        for at in 0..BITS_SET {
            let place = u128::from(first.wrapping_add(at.wrapping_mul(step)));
            // The place among 2^64 is scaled to one among the bits: a remainder would cost a division.
            let bit =
                u64::try_from((place * u128::from(self.bits)) >> 64).expect("it is below bits");
            let word = usize::try_from(bit / 64).expect("usize has 64 bits here");
            let set = 1 << (bit % 64);
            is_new |= self.words[word] & set == 0;
            self.words[word] |= set;
        }
        is_new
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u64) -> MessageId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&number.to_be_bytes());
        MessageId(bytes)
    }

    #[test]
    fn no_known_id_is_new_and_hardly_a_new_one_known() {
        for there in [0, 1, 99_999] {
            let mut filter = Filter::for_ids(there);
            let news = (0..100_000).filter(|number| filter.add(id(*number))).count();
            assert!(news > 99_990, "{news}");
            assert!((0..100_000).all(|number| !filter.add(id(number))));
        }
    }

    #[test]
    fn a_full_one_mistakes_one_in_fifty() {
        let mut filter = Filter::for_ids(0);
        for number in 0..IDS_TO_COME {
            filter.add(id(number));
        }
        let news = (IDS_TO_COME..IDS_TO_COME + 10_000).filter(|it| filter.add(id(*it))).count();
        assert!((9_700..9_900).contains(&news), "{news}");
    }
}
