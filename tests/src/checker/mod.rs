//! The history checker: what clients, and whoever did them harm, wrote down during a run, held against what docs/protocol.md promises.
//!
//! A history is a list of [`Record`]s, one JSON object a line. Each client writes what it sends before it sends it and what it hears
//! after it heard it, with moments of one clock that all of them share. When all is over and healed, a fresh client called
//! [`FINAL`] replays every room from 0: that is the final log, and everything else is compared with it. Since every reply
//! carries room and place, this is sorting and not search: O(n log n).
//!
//! It takes no look at the server and knows nothing of how the run was made. Used by the tests and by the program `check-history`.

mod history;
mod order;
mod places;
mod record;
mod recovery;
mod report;

pub use history::{History, Unreadable};
pub use record::{Op, Record, hash_of};
pub use report::{Anomaly, Finding, Report};

/// The client whose replay is the final log.
pub const FINAL: &str = "final";

/// Who writes down the faults.
pub const NEMESIS: &str = "nemesis";

/// When the server lets a message be heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deliver {
    /// Once it is stored.
    Stored,
    /// At once: a crash may take what was heard, and what is posted again gets another place then. The reply comes when it is stored,
    /// not at the message's place.
    AtOnce,
}

/// Looks for every anomaly.
pub fn check(history: &History, deliver: Deliver) -> Report {
    let mut report = Report::new(history);
    places::check(history, deliver, &mut report);
    order::check(history, deliver, &mut report);
    recovery::check(history, deliver, &mut report);
    report
}
