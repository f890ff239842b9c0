//! Token buckets, one number each: the moment at which the bucket is full again.
//!
//! A cost moves that moment on; what is left of the burst is the way from now to it. Whoever finds a bucket empty waits;
//! a cost may exceed what is left, so that a large frame needs no large burst, and the debt is waited off.

use core::num::NonZeroU64;

use proto::{Now, Span};

use crate::hits::Limit;
use crate::settings::{Quota, Settings};

const NANOS_PER_MICRO: u64 = 1_000;

/// What a bucket holds and how fast it fills.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate {
    /// So many come in `nanos`.
    count: u64,
    nanos: u64,
    burst: u64,
}

impl Rate {
    /// A bucket of `burst` that fills by `per_second`; none where there is no limit.
    pub(crate) fn new(per_second: Option<u32>, burst: u32) -> Option<Self> {
        let count = per_second?;
        Self::of(Some(Quota { count, span: Span::from_secs(1) }), burst)
    }

    /// A bucket of `burst` that fills as a quota says; none where there is no limit.
    pub(crate) fn of(quota: Option<Quota>, burst: u32) -> Option<Self> {
        let Quota { count, span } = quota?;
        let nanos = span.as_micros().saturating_mul(NANOS_PER_MICRO);
        Some(Self { count: u64::from(count.max(1)), nanos, burst: u64::from(burst.max(1)) })
    }

    /// How long so many take to come in, in nanoseconds.
    const fn nanos(self, count: u64) -> u64 {
        count.saturating_mul(self.nanos) / self.count
    }
}

/// One bucket; it begins full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bucket {
    /// When it is full again, in nanoseconds. Never 0, so that a share that may be missing costs no word more.
    full_at: NonZeroU64,
}

impl Default for Bucket {
    fn default() -> Self {
        Self { full_at: NonZeroU64::MIN }
    }
}

impl Bucket {
    /// Takes `count`, perhaps more than is left.
    pub(crate) fn take(&mut self, rate: Rate, count: u64, now: Now) {
        let from = self.full_at.get().max(nanos(now));
        let full_at = from.saturating_add(rate.nanos(count));
        self.full_at = NonZeroU64::new(full_at).unwrap_or(NonZeroU64::MIN);
    }

    /// When it is full again; it is no other than a fresh one then.
    pub(crate) const fn full_at(self) -> Now {
        Now::from_micros(self.full_at.get().div_ceil(NANOS_PER_MICRO))
    }

    /// When at least `count` are left; nothing where that is now.
    pub(crate) fn waits_until(self, rate: Rate, count: u64, now: Now) -> Option<Now> {
        let burst = rate.nanos(rate.burst.saturating_sub(count));
        let moment = self.full_at.get().saturating_sub(burst);
        let moment = Now::from_micros(moment.div_ceil(NANOS_PER_MICRO));
        (moment.since(now) > Span::default()).then_some(moment)
    }
}

/// What all connections with limits have in common.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rates {
    /// How often one may speak.
    messages: Option<Rate>,
    /// How much one may send.
    bytes: Option<Rate>,
    /// How much one may have others sent: bytes times receivers.
    fanout: Option<Rate>,
    /// How often one may take another name.
    nick_changes: Option<Rate>,
    /// How often one address may connect.
    pub(crate) accepts: Option<Rate>,
}

impl Rates {
    /// What the operator decided.
    pub(crate) fn new(settings: &Settings) -> Self {
        let nick_burst = settings.nick_changes.map_or(1, |quota| quota.count);
        Self {
            messages: Rate::new(settings.messages_per_s, settings.message_burst),
            bytes: Rate::new(settings.bytes_per_s, settings.byte_burst),
            fanout: Rate::new(settings.fanout_per_s, settings.fanout_burst),
            nick_changes: Rate::of(settings.nick_changes, nick_burst),
            accepts: Rate::of(settings.accept_rate, settings.accept_burst),
        }
    }
}

/// What one connection has used of its share.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Share {
    messages: Bucket,
    bytes: Bucket,
    fanout: Bucket,
    nick_changes: Bucket,
}

impl Share {
    /// When all of it is there again; it is no other than a fresh one then.
    pub(crate) fn full_at(&self) -> Now {
        let all = [self.messages, self.bytes, self.fanout, self.nick_changes];
        all.map(Bucket::full_at).into_iter().max().expect("a share has parts")
    }

    /// It said something that costs as much as so many messages.
    pub(crate) fn take_messages(&mut self, rates: &Rates, count: u64, now: Now) {
        if let Some(rate) = rates.messages {
            self.messages.take(rate, count, now);
        }
    }

    /// It sent so many bytes.
    pub(crate) fn take_bytes(&mut self, rates: &Rates, count: usize, now: Now) {
        if let Some(rate) = rates.bytes {
            self.bytes.take(rate, count as u64, now);
        }
    }

    /// It had others sent so many bytes, all together.
    pub(crate) fn take_fanout(&mut self, rates: &Rates, count: u64, now: Now) {
        if let Some(rate) = rates.fanout {
            self.fanout.take(rate, count, now);
        }
    }

    /// It took another name.
    pub(crate) fn take_nick_change(&mut self, rates: &Rates, now: Now) {
        if let Some(rate) = rates.nick_changes {
            self.nick_changes.take(rate, 1, now);
        }
    }

    /// How long it is until it may take another name; nothing where that is now.
    pub(crate) fn nick_change_waits(self, rates: &Rates, now: Now) -> Option<Span> {
        let until = self.nick_changes.waits_until(rates.nick_changes?, 1, now)?;
        Some(until.since(now))
    }

    /// When it may go on, and which limit it waits for longest; nothing where that is now.
    pub(crate) fn waits_until(self, rates: &Rates, now: Now) -> Option<(Now, Limit)> {
        let of = |bucket: Bucket, rate: Option<Rate>, limit| {
            bucket.waits_until(rate?, 1, now).map(|until| (until, limit))
        };
        let all = [
            of(self.messages, rates.messages, Limit::Messages),
            of(self.bytes, rates.bytes, Limit::Bytes),
            of(self.fanout, rates.fanout, Limit::Fanout),
        ];
        all.into_iter().flatten().max_by_key(|(until, _)| *until)
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
    fn a_rate_by_the_minute() {
        let quota = Quota { count: 5, span: Span::from_secs(60) };
        let rate = Rate::of(Some(quota), 5).unwrap();
        let mut bucket = Bucket::default();
        bucket.take(rate, 5, at(0));
        assert_eq!(bucket.waits_until(rate, 1, at(0)), Some(at(12_000)));
        assert_eq!(bucket.full_at(), at(60_000));
    }

    #[test]
    fn a_share_that_may_be_missing_costs_no_word_more() {
        assert_eq!(size_of::<Option<Share>>(), size_of::<Share>());
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
