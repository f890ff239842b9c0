//! The only place that reads a clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::time::{ClockId, clock_gettime};
use proto::{Now, Span, WallTime};

/// The monotonic clock since its making, and the wall clock.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    start: Instant,
}

impl Clock {
    /// A clock that begins now.
    #[allow(clippy::disallowed_methods, reason = "the one clock")]
    pub fn start() -> Self {
        Self { start: Instant::now() }
    }

    /// Microseconds since the start. It never goes back.
    pub fn now(&self) -> Now {
        Now::from_micros(u64::try_from(self.start.elapsed().as_micros()).unwrap_or(u64::MAX))
    }

    /// The kernel's monotonic clock, since the machine started: what the service manager compares with its own.
    pub fn monotonic() -> Span {
        let now = clock_gettime(ClockId::CLOCK_MONOTONIC).map(Duration::from).unwrap_or_default();
        Span::from_micros(u64::try_from(now.as_micros()).unwrap_or(u64::MAX))
    }

    /// What people's clocks show; the epoch where it is set before that.
    #[allow(clippy::disallowed_methods, reason = "the one clock")]
    pub fn wall() -> WallTime {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        WallTime::from_micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
    }
}
