//! What the history's threads let the loop know without a word: how it goes, how long commits take, how much disk there is.

use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};

use hub::{Condition, StoreState};
use proto::{Seq, Span};

/// So many commits are looked at.
const COMMITS: usize = 1024;

/// See the module. Each is by itself: nobody needs two of one moment.
#[derive(Debug, Default)]
pub(super) struct Figures {
    state: AtomicU8,
    commit_p50_us: AtomicU64,
    commit_p99_us: AtomicU64,
    commits: AtomicU64,
    commits_took_us: AtomicU64,
    database_bytes: AtomicU64,
    free_bytes: AtomicU64,
    /// No number up to it is given again, whatever happens.
    reserved: AtomicU64,
}

impl Figures {
    pub(super) fn condition(&self) -> Condition {
        let read = |figure: &AtomicU64| figure.load(Ordering::Relaxed);
        Condition {
            state: match self.state.load(Ordering::Relaxed) {
                0 => StoreState::Well,
                1 => StoreState::Full,
                _ => StoreState::Broken,
            },
            commit_p50_us: read(&self.commit_p50_us),
            commit_p99_us: read(&self.commit_p99_us),
            commits: read(&self.commits),
            commits_took_us: read(&self.commits_took_us),
            database_bytes: read(&self.database_bytes),
            free_bytes: read(&self.free_bytes),
        }
    }

    pub(super) fn set_state(&self, state: StoreState) {
        let number = match state {
            StoreState::Well => 0,
            StoreState::Full => 1,
            StoreState::Broken => 2,
            StoreState::None => unreachable!("a history on disk is one"),
        };
        self.state.store(number, Ordering::Relaxed);
    }

    pub(super) fn set_disk(&self, database_bytes: u64, free_bytes: u64) {
        self.database_bytes.store(database_bytes, Ordering::Relaxed);
        self.free_bytes.store(free_bytes, Ordering::Relaxed);
    }

    pub(super) fn set_commits(&self, latencies: &Latencies) {
        let (p50, p99) = latencies.percentiles();
        self.commit_p50_us.store(p50.as_micros(), Ordering::Relaxed);
        self.commit_p99_us.store(p99.as_micros(), Ordering::Relaxed);
        self.commits.store(latencies.count, Ordering::Relaxed);
        self.commits_took_us.store(latencies.sum_us, Ordering::Relaxed);
    }

    /// The disk has it before this is called.
    pub(super) fn set_reserved(&self, through: Seq) {
        self.reserved.store(through.0, Ordering::Release);
    }

    pub(super) fn reserved(&self) -> Seq {
        Seq(self.reserved.load(Ordering::Acquire))
    }
}

/// How long the latest commits took, and all of them together.
#[derive(Debug, Default)]
pub(super) struct Latencies {
    spans: Vec<Span>,
    next: usize,
    count: u64,
    sum_us: u64,
}

impl Latencies {
    /// Whether there was no commit yet.
    pub(super) const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    pub(super) fn add(&mut self, span: Span) {
        if self.spans.len() < COMMITS {
            self.spans.push(span);
        } else {
            self.spans[self.next] = span;
        }
        self.next = (self.next + 1) % COMMITS;
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(span.as_micros());
        assert!(self.spans.len() <= COMMITS, "they have a limit");
    }

    /// The median, and what one in a hundred is longer than; nothing where there was no commit.
    fn percentiles(&self) -> (Span, Span) {
        let mut sorted = self.spans.clone();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1);
            sorted.get(rank - 1).copied().unwrap_or_default()
        };
        (at(50), at(99))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_latest_commits_are_looked_at() {
        let mut latencies = Latencies::default();
        assert_eq!(latencies.percentiles(), (Span::default(), Span::default()));
        for micros in 1..=100 {
            latencies.add(Span::from_micros(micros));
        }
        assert_eq!(latencies.percentiles(), (Span::from_micros(50), Span::from_micros(99)));
        for _ in 0..COMMITS {
            latencies.add(Span::from_micros(7));
        }
        assert_eq!(latencies.percentiles(), (Span::from_micros(7), Span::from_micros(7)));
        let figures = Figures::default();
        figures.set_commits(&latencies);
        let (count, sum) = (100 + COMMITS as u64, 5_050 + 7 * COMMITS as u64);
        let condition = figures.condition();
        assert_eq!(
            (condition.commits, condition.commits_took_us),
            (count, sum),
            "none is forgotten"
        );
    }

    #[test]
    fn what_is_set_is_told() {
        let figures = Figures::default();
        assert_eq!(figures.condition().state, StoreState::Well);
        figures.set_state(StoreState::Full);
        figures.set_disk(5, 6);
        figures.set_reserved(Seq(7));
        let condition = figures.condition();
        assert_eq!(condition.state, StoreState::Full);
        assert_eq!((condition.database_bytes, condition.free_bytes), (5, 6));
        assert_eq!(figures.reserved(), Seq(7));
    }
}
