//! What happened in the last minute, and how long turns took, in that minute and since the start.
//!
//! Told once a turn; the cost is the same however much happened, and so is the memory. It reads no clock and decides nothing.

use alloc::boxed::Box;

use proto::reply::{Recent, Turns};
use proto::{Now, Span};

/// The minute is made of so many slices: it is that much less exact, and never longer.
const SLICES: usize = 6;
/// How long one of them is.
const SLICE: Span = Span::from_secs(10);
/// Of each doubling of a time so many steps are told apart: what is said of a turn is at most a quarter too much.
const STEPS: u64 = 4;
/// Times below are counted exactly, those from there on by step and doubling.
const EXACT_BELOW: u64 = STEPS;
/// 21 doublings: what takes longer than 8 s is counted with the last step of them.
const BUCKETS: usize = 4 + 4 * 21;

/// Turns by how long they took.
#[derive(Clone, Debug)]
struct Histogram {
    counts: [u64; BUCKETS],
    longest_us: u64,
    sum_us: u64,
}

impl Histogram {
    const EMPTY: Self = Self { counts: [0; BUCKETS], longest_us: 0, sum_us: 0 };

    fn add(&mut self, took_us: u64) {
        self.counts[bucket(took_us)] += 1;
        self.longest_us = self.longest_us.max(took_us);
        self.sum_us = self.sum_us.saturating_add(took_us);
    }

    fn merge(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(&other.counts) {
            *count += more;
        }
        self.longest_us = self.longest_us.max(other.longest_us);
    }

    fn turns(&self) -> Turns {
        let count = self.counts.iter().sum::<u64>();
        Turns {
            count,
            p50_us: self.within(count.div_ceil(2)),
            p99_us: self.within(count - count / 100),
            longest_us: self.longest_us,
        }
    }

    /// The time within which so many turns were done.
    fn within(&self, turns: u64) -> u64 {
        let mut sum = 0;
        for (number, count) in self.counts.iter().enumerate() {
            sum += count;
            if sum >= turns {
                return bucket_end(number).min(self.longest_us);
            }
        }
        self.longest_us
    }
}

/// Where a time is counted.
fn bucket(took_us: u64) -> usize {
    if took_us < EXACT_BELOW {
        return usize::try_from(took_us).expect("it is small");
    }
    let doubling = took_us.ilog2() - STEPS.ilog2();
    let step = (took_us >> doubling) - STEPS;
    let number = EXACT_BELOW + u64::from(doubling) * STEPS + step;
    usize::try_from(number).map_or(BUCKETS - 1, |number| number.min(BUCKETS - 1))
}

/// The longest time that is counted there.
fn bucket_end(number: usize) -> u64 {
    let number = u64::try_from(number).expect("a bucket's number");
    if number < EXACT_BELOW {
        return number;
    }
    let (doubling, step) = ((number - EXACT_BELOW) / STEPS, (number - EXACT_BELOW) % STEPS);
    ((STEPS + step + 1) << doubling) - 1
}

/// A part of the minute.
#[derive(Clone, Debug)]
struct Slice {
    /// Which since the start; its place is taken by a later one.
    number: u64,
    messages: u64,
    deliveries: u64,
    turns: Histogram,
}

impl Slice {
    const fn new(number: u64) -> Self {
        Self { number, messages: 0, deliveries: 0, turns: Histogram::EMPTY }
    }
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Lately {
    started: Now,
    turns: Histogram,
    slices: Box<[Slice]>,
    /// The sums when the last turn was told.
    messages: u64,
    deliveries: u64,
}

impl Lately {
    /// Nothing happened yet.
    pub(crate) fn new(started: Now) -> Self {
        let slices = alloc::vec![Slice::new(0); SLICES].into_boxed_slice();
        Self { started, turns: Histogram::EMPTY, slices, messages: 0, deliveries: 0 }
    }

    /// A turn ended that took so long; these are the sums since the start.
    pub(crate) fn turned(&mut self, now: Now, took: Span, messages: u64, deliveries: u64) {
        assert!(messages >= self.messages, "sums only grow: {messages}");
        assert!(deliveries >= self.deliveries, "sums only grow: {deliveries}");
        let number = self.number(now);
        let slice = &mut self.slices[place(number)];
        assert!(slice.number <= number, "time does not go back");
        if slice.number != number {
            *slice = Slice::new(number);
        }
        slice.messages += messages - self.messages;
        slice.deliveries += deliveries - self.deliveries;
        slice.turns.add(took.as_micros());
        self.turns.add(took.as_micros());
        (self.messages, self.deliveries) = (messages, deliveries);
    }

    /// How long turns took since the start.
    pub(crate) fn turns(&self) -> Turns {
        self.turns.turns()
    }

    /// How long all of them took together.
    pub(crate) const fn turns_took_us(&self) -> u64 {
        self.turns.sum_us
    }

    /// At the end of each doubling of a time, how many turns took no longer.
    pub(crate) fn turns_within(&self) -> impl Iterator<Item = (u64, u64)> {
        let mut sum = 0;
        let counts = self.turns.counts.iter().enumerate().map(move |(number, count)| {
            sum += count;
            (number, sum)
        });
        let steps = usize::try_from(STEPS).expect("a few");
        // The last of them has what is longer, too.
        let ends = counts.take(BUCKETS - 1).filter(move |(number, _)| number % steps == steps - 1);
        ends.map(|(number, sum)| (bucket_end(number), sum))
    }

    /// What happened in the last minute, or since the start where that is not so long ago. These are the sums as they are now: some
    /// of it is of a turn that is not told yet.
    pub(crate) fn recent(&self, now: Now, messages: u64, deliveries: u64) -> Recent {
        let number = self.number(now);
        let first = number.saturating_sub(u64::try_from(SLICES).expect("a few") - 1);
        let before = Span::from_micros(first * SLICE.as_micros());
        let mut sum = Slice::new(number);
        sum.messages = messages - self.messages;
        sum.deliveries = deliveries - self.deliveries;
        for slice in self.slices.iter().filter(|slice| slice.number >= first) {
            sum.messages += slice.messages;
            sum.deliveries += slice.deliveries;
            sum.turns.merge(&slice.turns);
        }
        Recent {
            ms: now.since(self.started.after(before)).as_millis(),
            messages: sum.messages,
            deliveries: sum.deliveries,
            turns: sum.turns.turns(),
        }
    }

    fn number(&self, now: Now) -> u64 {
        now.since(self.started).as_micros() / SLICE.as_micros()
    }
}

fn place(number: u64) -> usize {
    usize::try_from(number % u64::try_from(SLICES).expect("a few")).expect("below a few")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_told_a_quarter_too_long_at_most() {
        let mut last = 0;
        for took in (0..5_000).chain([9_999, 65_535, 65_536, 1_000_000, 5_000_000]) {
            let number = bucket(took);
            assert!(number >= last && number < BUCKETS, "{took}");
            last = number;
            let told = bucket_end(number);
            assert!(told >= took && told <= took + took / 4, "{took} {told}");
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn half_of_the_turns_and_nearly_all_of_them_are_within_what_is_said() {
        let mut turns = Histogram::EMPTY;
        assert_eq!(turns.turns(), Turns::default());
        for took in 1..=1_000 {
            turns.add(took);
        }
        let said = turns.turns();
        assert_eq!((said.count, said.longest_us), (1_000, 1_000));
        assert!((500..=640).contains(&said.p50_us), "{said:?}");
        assert!((990..=1_000).contains(&said.p99_us), "{said:?}");
        turns.add(u64::MAX);
        assert_eq!(turns.turns().longest_us, u64::MAX);
    }

    #[test]
    fn a_minute_ago_is_forgotten_and_the_start_is_not() {
        let start = Now::from_micros(77_000_000);
        let at = |secs| start.after(Span::from_secs(secs));
        let mut lately = Lately::new(start);
        lately.turned(at(1), Span::from_micros(3), 10, 20);
        lately.turned(at(15), Span::from_micros(2), 11, 25);
        let recent = lately.recent(at(20), 12, 25);
        assert_eq!((recent.ms, recent.messages, recent.deliveries), (20_000, 12, 25));
        assert_eq!((recent.turns.count, recent.turns.longest_us), (2, 3));
        let recent = lately.recent(at(62), 11, 25);
        assert_eq!((recent.ms, recent.messages, recent.turns.longest_us), (52_000, 1, 2));
        lately.turned(at(62), Span::from_micros(1), 11, 25);
        let recent = lately.recent(at(3_600), 11, 25);
        assert_eq!((recent.ms, recent.messages, recent.turns.count), (50_000, 0, 0));
        assert_eq!((lately.turns().count, lately.turns().longest_us), (3, 3));
    }
}
