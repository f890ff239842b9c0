//! chatd under a real systemd: the units as they ship, in a box that boots one. See [`systemd_box`].
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that panics is a test that fails, and real processes live by the real clock"
)]

mod first_evening;
mod journal;
mod life;
mod reload;
mod rights;
mod sockets;
mod systemd_box;
mod units;
