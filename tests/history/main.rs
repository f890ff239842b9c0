//! The durable history, looked at from outside: the checker of recorded histories with anomalies planted in them, and real daemons that
//! are killed, cut off from power and starved of space while clients write down what they are told.
//!
//! Each campaign takes a sample by default and the whole with `tests/run --long`; docs/campaigns.md keeps what they found.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that panics is a test that fails, and real processes live by the real clock"
)]

mod checked;
mod clean;
mod client;
mod crowd;
mod follower;
mod full;
mod inject;
mod opening;
#[allow(clippy::ptr_arg, reason = "all of its functions have one type")]
mod planted;
mod power;
#[path = "../sim/rng.rs"]
#[allow(
    dead_code,
    unreachable_pub,
    clippy::cast_possible_truncation,
    clippy::should_implement_trait,
    reason = "the simulator's, which uses more of it"
)]
mod rng;
mod scene;
mod torture;
mod wire;

/// So much of a campaign: a sample, or all of it where the whole is wanted.
fn amount(sample: u64, whole: u64) -> u64 {
    if std::env::var_os("CHATD_LONG").is_some() { whole } else { sample }
}
