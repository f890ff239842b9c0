//! Round trips of a talk: how long messages took until the other side had them, for the whole of it and in bounded memory.
//!
//! It knows spans only; whoever has a clock measures.

use crate::moments;
use proto::Span;
use std::collections::BTreeMap;

/// A span keeps so many digits: the figures are right to one part in a hundred, however long the talk.
const DIGITS_FACTOR: u64 = 100;

/// The round trips so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Trips {
    /// How many took how many microseconds, rounded to the digits that are kept.
    counts: BTreeMap<u64, u64>,
    count: u64,
    least: Option<Span>,
    last: Option<Span>,
}

impl Trips {
    /// One more.
    pub fn add(&mut self, trip: Span) {
        *self.counts.entry(rounded(trip.as_micros())).or_default() += 1;
        self.count += 1;
        self.least = Some(self.least.map_or(trip, |least| least.min(trip)));
        self.last = Some(trip);
        debug_assert_eq!(self.counts.values().sum::<u64>(), self.count);
    }

    /// How many there were.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The shortest.
    pub fn least(&self) -> Option<Span> {
        self.least
    }

    /// The latest.
    pub fn last(&self) -> Option<Span> {
        self.last
    }

    /// The one that so many percent did not exceed.
    pub fn percentile(&self, percent: u64) -> Option<Span> {
        let rank = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        let found = self.counts.iter().find(|(_, count)| {
            seen += **count;
            seen >= rank
        });
        found.map(|(micros, _)| Span::from_micros(*micros))
    }

    /// All together, as a person reads it; nothing where there was none.
    pub fn shown(&self) -> Option<String> {
        let (least, p50, p99) = (self.least?, self.percentile(50)?, self.percentile(99)?);
        let [least, p50, p99] = [least, p50, p99].map(|span| moments::span_shown(span.as_micros()));
        Some(format!("round trips: min {least}, p50 {p50}, p99 {p99}"))
    }
}

/// A number with no more digits than are kept.
fn rounded(micros: u64) -> u64 {
    let mut unit = 1;
    while micros / unit >= 10 * DIGITS_FACTOR {
        unit *= 10;
    }
    micros / unit * unit
}

#[cfg(test)]
mod tests {
    use super::{Trips, rounded};
    use proptest::prelude::*;
    use proto::Span;

    #[test]
    fn figures_are_those_of_a_sorted_list() {
        let mut trips = Trips::default();
        assert_eq!((trips.shown(), trips.percentile(50)), (None, None));
        for micros in (1..=100).rev() {
            trips.add(Span::from_micros(micros));
        }
        assert_eq!(trips.percentile(50), Some(Span::from_micros(50)));
        assert_eq!(trips.percentile(99), Some(Span::from_micros(99)));
        assert_eq!((trips.last(), trips.count()), (Some(Span::from_micros(1)), 100));
        let shown = trips.shown().expect("some");
        assert_eq!(shown, "round trips: min 1 us, p50 50 us, p99 99 us");
    }

    proptest! {
        #[test]
        fn rounding_loses_one_part_in_a_hundred(micros in any::<u64>()) {
            let kept = rounded(micros);
            prop_assert!(kept <= micros && micros - kept <= micros / 100);
        }
    }
}
