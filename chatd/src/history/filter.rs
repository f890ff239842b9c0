//! Which ids are certainly new: a Bloom filter of all that are on disk, and of all that were submitted since.
//!
//! It never takes a known id for a new one. The other way about it errs now and then, and more often once there are more ids than it was
//! made for; whoever posts waits for the commit then.

use proto::MessageId;
use twox_hash::XxHash3_128;

/// The smallest has room for so many ids.
const IDS_MIN: u64 = 8 << 20;
/// Bits for each id: about one in fifty new ones is not seen to be new.
const BITS_BY_ID: u64 = 8;
/// So many bits stand for an id.
const BITS_SET: u64 = 6;

/// See the module.
#[derive(Debug)]
pub(super) struct Filter {
    words: Vec<u64>,
    mask: u64,
}

impl Filter {
    /// For twice as many ids as there are.
    pub(super) fn for_ids(count: u64) -> Self {
        let bits = count.saturating_mul(2).max(IDS_MIN).saturating_mul(BITS_BY_ID);
        let bits = bits.min(1 << 40).next_power_of_two();
        let words = usize::try_from(bits / 64).expect("usize has 64 bits here");
        Self { words: vec![0; words], mask: bits - 1 }
    }

    /// Adds an id; whether it was certainly not there.
    pub(super) fn add(&mut self, id: MessageId) -> bool {
        let hash = XxHash3_128::oneshot(&id.0);
        let [first, step] = [hash, hash >> 64]
            .map(|part| u64::try_from(part & u128::from(u64::MAX)).expect("these are 64 bits"));
        let mut is_new = false;
        for at in 0..BITS_SET {
            // An even step would meet fewer of the bits.
            let bit = first.wrapping_add(at.wrapping_mul(step | 1)) & self.mask;
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
        let mut filter = Filter::for_ids(0);
        let news = (0..100_000).filter(|number| filter.add(id(*number))).count();
        assert!(news > 99_990, "{news}");
        assert!((0..100_000).all(|number| !filter.add(id(number))));
    }
}
