//! The one place of this program that reads a clock.
//!
//! It owns the start of the monotonic count and the view of the wall clock in the user's time zone. It
//! decides nothing: everything else takes `Now` as an argument or asks here once per step.

use proto::{Now, Span};
use std::sync::OnceLock;
use std::time::Instant;

/// Monotonic time since the first call of this function.
#[allow(clippy::disallowed_methods, reason = "the one reader of the monotonic clock")]
pub fn now() -> Now {
    static START: OnceLock<Instant> = OnceLock::new();
    let passed = START.get_or_init(Instant::now).elapsed();
    Now::from_micros(u64::try_from(passed.as_micros()).unwrap_or(u64::MAX))
}

/// The wall clock, in the time zone of the user.
pub fn wall() -> jiff::Zoned {
    jiff::Zoned::now()
}

/// How long from `now` to `until`; zero when it has passed.
pub fn left(until: Now, now: Now) -> Span {
    until.since(now)
}
