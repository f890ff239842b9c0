//! Chance from a seed: the ids of messages whose clients name none. The same seed gives the same ids.

use proto::MessageId;

/// `SplitMix64`, the generator of Guy Steele, Doug Lea and Christine Flood, "Fast splittable pseudorandom number
/// generators" (OOPSLA 2014): one word of state, and every seed is a good one. It keeps no secrets.
#[derive(Debug)]
pub(crate) struct Random {
    state: u64,
}

impl Random {
    /// The generator of a seed.
    pub(crate) const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// A new id.
    pub(crate) fn message_id(&mut self) -> MessageId {
        let mut bytes = [0; 16];
        bytes[..8].copy_from_slice(&self.word().to_be_bytes());
        bytes[8..].copy_from_slice(&self.word().to_be_bytes());
        MessageId::from_random(bytes)
    }

    fn word(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.state ^ self.state >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }
}
