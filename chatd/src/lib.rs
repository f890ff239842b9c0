//! The hands of chatd: the turn of the loop over a driver, the sockets, the configuration, the log thread, the signals.
//!
//! What is said is [`proto`]'s business and what it means is [`hub`]'s. This is a library with a thin binary, so that tests drive
//! the turn that ships.
#![allow(
    clippy::missing_panics_doc,
    reason = "a panic here is a bug of ours, no condition on the caller"
)]
#![cfg_attr(
    test,
    allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")
)]

pub mod args;
pub mod callers;
pub mod clock;
pub mod config;
pub mod control;
pub mod daemonized;
pub mod driver;
pub mod history;
pub mod identity;
pub mod listen;
pub mod log;
mod pace;
pub mod reload;
mod reports;
pub mod rlimit;
pub mod run;
pub mod signals;
mod sys;
pub mod systemd;
pub mod turn;
pub mod users;
pub mod web;
