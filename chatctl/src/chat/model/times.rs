//! How long messages took: the round-trip times of this session.

use proto::Span;
use std::collections::VecDeque;

/// So many of the latest are kept: enough for a p99, and no more to sort than is done at once.
const SAMPLES_MAX: usize = 4_096;

/// The latest times of one kind.
#[derive(Clone, Debug, Default)]
pub struct Times {
    latest: VecDeque<Span>,
    count: u64,
}

/// What they say together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Summary {
    /// How many there were in the session.
    pub count: u64,
    /// Half of the latest took no longer.
    pub p50: Span,
    /// 99 of 100 of the latest took no longer.
    pub p99: Span,
}

impl Times {
    /// One more.
    pub(super) fn add(&mut self, span: Span) {
        if self.latest.len() == SAMPLES_MAX {
            self.latest.pop_front();
        }
        self.latest.push_back(span);
        self.count += 1;
        assert!(self.latest.len() <= SAMPLES_MAX, "no more than the latest are kept");
    }

    /// What they say; nothing where there are none.
    pub fn summary(&self) -> Option<Summary> {
        let mut sorted: Vec<Span> = self.latest.iter().copied().collect();
        sorted.sort_unstable();
        let part = |percent: usize| {
            let at = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
            sorted.get(at).copied()
        };
        Some(Summary { count: self.count, p50: part(50)?, p99: part(99)? })
    }
}

#[cfg(test)]
mod tests {
    use super::{SAMPLES_MAX, Summary, Times};
    use proto::Span;

    #[test]
    fn half_and_99_of_100_took_no_longer() {
        let mut times = Times::default();
        assert_eq!(times.summary(), None);
        let micros = Span::from_micros;
        times.add(micros(5));
        assert_eq!(times.summary(), Some(Summary { count: 1, p50: micros(5), p99: micros(5) }));
        let mut times = Times::default();
        (1..=100).rev().for_each(|number| times.add(micros(number)));
        let expected = Summary { count: 100, p50: micros(50), p99: micros(99) };
        assert_eq!(times.summary(), Some(expected));
        (0..SAMPLES_MAX).for_each(|_| times.add(micros(7)));
        assert_eq!(times.summary().map(|all| all.p99), Some(micros(7)), "the oldest are forgotten");
    }
}
