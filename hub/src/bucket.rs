//! Token buckets, one number each: the moment at which the bucket is full again.
//!
//! A cost moves that moment on; what is left of the burst is the way from now to it. Whoever finds a bucket empty waits;
//! a cost may exceed what is left, so that a large frame needs no large burst, and the debt is waited off.

use proto::{Now, Span};

const NANOS_PER_SECOND: u64 = 1_000_000_000;
const NANOS_PER_MICRO: u64 = 1_000;

/// What a bucket holds and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    per_second: u64,
    burst: u64,
}

impl Rate {
    /// A bucket of `burst` that fills by `per_second`; none where there is no limit.
    pub(crate) fn new(per_second: Option<u32>, burst: u32) -> Option<Self> {
        let per_second = u64::from(per_second?.max(1));
        Some(Self { per_second, burst: u64::from(burst.max(1)) })
    }

    /// How long so many take to come in, in nanoseconds.
    const fn nanos(self, count: u64) -> u64 {
        count.saturating_mul(NANOS_PER_SECOND) / self.per_second
    }
}

/// One bucket; it begins full.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    /// When it is full again, in nanoseconds.
    full_at: u64,
}

impl Bucket {
    /// Takes `count`, perhaps more than is left.
    pub(crate) fn take(&mut self, rate: Rate, count: u64, now: Now) {
        let from = self.full_at.max(nanos(now));
        self.full_at = from.saturating_add(rate.nanos(count));
    }

    /// When at least `count` are left; nothing where that is now.
    pub(crate) fn waits_until(self, rate: Rate, count: u64, now: Now) -> Option<Now> {
        let burst = rate.nanos(rate.burst.saturating_sub(count));
        let moment = self.full_at.saturating_sub(burst);
        let moment = Now::from_micros(moment.div_ceil(NANOS_PER_MICRO));
        (moment.since(now) > Span::default()).then_some(moment)
    }
}

/// What all connections with limits have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// How often one may speak.
    pub(crate) messages: Option<Rate>,
    /// How much one may send.
    pub(crate) bytes: Option<Rate>,
}

/// What one connection has used of its share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    messages: Bucket,
    bytes: Bucket,
}

impl Share {
    /// It said something.
    pub(crate) fn take_message(&mut self, rates: Rates, now: Now) {
        if let Some(rate) = rates.messages {
            self.messages.take(rate, 1, now);
        }
    }

    /// It sent so many bytes.
    pub(crate) fn take_bytes(&mut self, rates: Rates, count: usize, now: Now) {
        if let Some(rate) = rates.bytes {
            self.bytes.take(rate, count as u64, now);
        }
    }

    /// When it may go on; nothing where that is now.
    pub(crate) fn waits_until(self, rates: Rates, now: Now) -> Option<Now> {
        let messages = rates.messages.and_then(|rate| self.messages.waits_until(rate, 1, now));
        let bytes = rates.bytes.and_then(|rate| self.bytes.waits_until(rate, 1, now));
        messages.max(bytes)
    }
}

const fn nanos(now: Now) -> u64 {
    now.as_micros().saturating_mul(NANOS_PER_MICRO)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Now {
        Now::from_micros(1_000_000_000 + millis * 1_000)
    }

    #[test]
    fn a_burst_then_the_rate() {
        let rate = Rate::new(Some(10), 4).unwrap();
        let mut bucket = Bucket::default();
        for _ in 0..4 {
            assert_eq!(bucket.waits_until(rate, 1, at(0)), None);
            bucket.take(rate, 1, at(0));
        }
        assert_eq!(bucket.waits_until(rate, 1, at(0)), Some(at(100)));
        assert_eq!(bucket.waits_until(rate, 1, at(100)), None);
        bucket.take(rate, 1, at(100));
        assert_eq!(bucket.waits_until(rate, 1, at(150)), Some(at(200)));
        assert_eq!(bucket.waits_until(rate, 4, at(150)), Some(at(500)));
    }

    #[test]
    fn a_large_cost_makes_a_debt_that_is_waited_off() {
        let rate = Rate::new(Some(1_000), 10).unwrap();
        let mut bucket = Bucket::default();
        bucket.take(rate, 1_000, at(0));
        assert_eq!(bucket.waits_until(rate, 1, at(0)), Some(at(991)));
    }

    #[test]
    fn rest_does_not_save_more_than_the_burst() {
        let rate = Rate::new(Some(10), 2).unwrap();
        let mut bucket = Bucket::default();
        bucket.take(rate, 1, at(0));
        bucket.take(rate, 2, at(60_000));
        assert_eq!(bucket.waits_until(rate, 1, at(60_000)), Some(at(60_100)));
    }
}
