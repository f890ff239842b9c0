//! End to end: the real daemon and the real tool, over real sockets, as people and scripts use them.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that panics is a test that fails, and real processes live by the real clock"
)]

mod addresses;
mod bad_input;
mod behind_proxy;
mod configuration;
mod conformance;
mod control_socket;
mod daemonized;
mod durable;
mod ending;
mod faults;
mod first_session;
mod half_open;
mod hostile;
mod limits;
mod log;
mod matrix;
mod protocols;
mod readers;
mod recipes;
mod reload;
mod roles;
mod slow;
mod socket;
mod timing;
mod web;
mod web_bad_input;
mod witnesses;
