//! What the tests share: both programs built once, daemons started and ended with deadlines, raw clients, fuzz bodies.
//!
//! Nothing here knows what is right; it starts, speaks, listens and waits. Each wait has a deadline, and none is a sleep: it ends
//! as soon as its condition holds.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    clippy::missing_panics_doc,
    reason = "a test that panics is a test that fails, and real processes live by the real clock"
)]

pub mod apart;
pub mod binaries;
pub mod checker;
pub mod control;
pub mod daemon;
pub mod deadline;
pub mod disk;
pub mod exposition;
pub mod folder;
pub mod fuzz;
pub mod http;
pub mod left_out;
pub mod native;
pub mod network;
pub mod pcap;
pub mod program;
pub mod proxy;
pub mod roles;
pub mod terminal;
pub mod v1;

pub use control::Control;
pub use daemon::{Daemon, Setup};
pub use deadline::{DEADLINE, eventually};
pub use exposition::Exposition;
pub use folder::Folder;
pub use http::Http;
pub use left_out::left_out;
pub use native::{Heard, Native};
pub use program::Program;
pub use proxy::{Fault, Proxy};
pub use terminal::{Pane, Tmux};
pub use v1::V1Client;
