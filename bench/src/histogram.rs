//! Latencies in a fixed number of buckets: exact up to 64 µs, then 32 buckets to each doubling, so that a
//! percentile is at most 3 % above the truth and counting costs an addition.

/// Buckets to each doubling, as a power of two.
const PART_BITS: u32 = 5;
/// Below this many microseconds each value has its own bucket.
const EXACT: u64 = 2 << PART_BITS;
/// Enough for every `u64`.
const BUCKETS: usize = 64 << PART_BITS;

/// Counts of microseconds.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Vec<u64>,
    total: u64,
    most: u64,
}

impl Histogram {
    pub(crate) fn new() -> Self {
        Self { counts: vec![0; BUCKETS], total: 0, most: 0 }
    }

    pub(crate) fn record(&mut self, micros: u64) {
        self.counts[bucket(micros)] += 1;
        self.total += 1;
        self.most = self.most.max(micros);
    }

    /// How many were recorded.
    pub(crate) const fn len(&self) -> u64 {
        self.total
    }

    /// The largest, exactly.
    pub(crate) const fn most(&self) -> u64 {
        self.most
    }

    /// The value that `percent` of all do not pass; 0 where nothing was recorded.
    pub(crate) fn percentile(&self, percent: u64) -> u64 {
        let rank = (self.total * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (index, count) in self.counts.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return last_of(index).min(self.most);
            }
        }
        self.most
    }
}

fn bucket(micros: u64) -> usize {
    if micros < EXACT {
        return usize::try_from(micros).unwrap_or(0);
    }
    let shift = micros.ilog2() - PART_BITS;
    let index = (u64::from(shift) << PART_BITS) + (micros >> shift);
    usize::try_from(index).unwrap_or(BUCKETS - 1)
}

/// The largest value that falls in a bucket.
fn last_of(index: usize) -> u64 {
    let index = index as u64;
    if index < EXACT {
        return index;
    }
    let shift = (index >> PART_BITS) - 1;
    let lead = index - (shift << PART_BITS);
    ((lead + 1) << shift) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_falls_in_a_bucket_whose_end_is_close_above() {
        for bits in 0..63 {
            for value in [(1_u64 << bits) - 1, 1 << bits, (1 << bits) + 1, (1 << bits) * 3 / 2] {
                let end = last_of(bucket(value));
                assert!(end >= value && end - value <= value / 32, "{value} -> {end}");
            }
        }
        assert!(bucket(u64::MAX) < BUCKETS);
    }

    #[test]
    fn percentiles_of_one_to_a_hundred() {
        let mut histogram = Histogram::new();
        assert_eq!(histogram.percentile(50), 0);
        (1..=100).for_each(|micros| histogram.record(micros));
        assert_eq!((histogram.percentile(50), histogram.percentile(0)), (50, 1));
        assert!((99..=100).contains(&histogram.percentile(99)));
        assert_eq!((histogram.percentile(100), histogram.most(), histogram.len()), (100, 100, 100));
    }
}
