//! The simulator's only source of chance: `SplitMix64`, the mixing function published by Guy Steele,
//! Doug Lea and Christine Flood ("Fast Splittable Pseudorandom Number Generators", OOPSLA 2014).
//! Small, seeded, the same on every machine and under every compiler; not for secrets.

/// The increment of the algorithm: 2^64 divided by the golden ratio, made odd.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// A stream of numbers that its seed fixes.
#[derive(Clone, Debug)]
pub struct Rng {
    state: u64,
}

/// The finalizer of the algorithm, also used by the trace to mix its words.
pub fn mix(word: u64) -> u64 {
    let word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    word ^ (word >> 31)
}

impl Rng {
    /// The stream of this seed.
    pub fn new(seed: u64) -> Self {
        Self { state: mix(seed.wrapping_add(GOLDEN_GAMMA)) }
    }

    /// A stream of its own for a part (a client, the network), so that one part's dice do not move
    /// another's.
    pub fn fork(&mut self) -> Self {
        Self { state: self.next() }
    }

    /// The next 64 bits.
    pub fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(GOLDEN_GAMMA);
        mix(self.state)
    }

    /// A number below `end`; 0 where nothing is below it.
    pub fn below(&mut self, end: u64) -> u64 {
        // The high half of a 128-bit product: no division, and a bias far below what shows here.
        let product = u128::from(self.next()) * u128::from(end);
        (product >> 64) as u64
    }

    /// A number of `from..=to`.
    pub fn range(&mut self, from: u64, to: u64) -> u64 {
        assert!(from <= to, "an empty range {from}..={to}");
        from + self.below(to - from + 1)
    }

    /// A length of `from..=to`.
    pub fn size(&mut self, from: usize, to: usize) -> usize {
        self.range(from as u64, to as u64) as usize
    }

    /// True in `per_mille` of 1,000 cases.
    pub fn chance(&mut self, per_mille: u64) -> bool {
        self.below(1_000) < per_mille
    }

    /// One of these.
    pub fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[self.size(0, of.len() - 1)]
    }

    /// A number of `from..=to` whose order of magnitude is even: small ones as likely as large ones.
    pub fn scale(&mut self, from: u64, to: u64) -> u64 {
        assert!(from > 0 && from <= to, "no scale {from}..={to}");
        let steps = u64::from((to / from).ilog2());
        let low = from << self.range(0, steps);
        self.range(low, low.saturating_mul(2).min(to))
    }

    /// Puts these into another order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.size(0, last);
            items.swap(last, other);
        }
    }
}
