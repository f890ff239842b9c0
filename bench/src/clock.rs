//! The one place of the bench that reads a clock: microseconds since the process began.
#![allow(clippy::disallowed_methods, reason = "to measure is what this program is for")]

use std::time::Instant;

/// A monotonic clock that starts at zero.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    /// Starts at zero now.
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    /// Microseconds since the start.
    pub(crate) fn micros(self) -> u64 {
        u64::try_from(self.0.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// Microseconds of so many seconds.
pub(crate) const fn seconds(seconds: u64) -> u64 {
    seconds.saturating_mul(1_000_000)
}
