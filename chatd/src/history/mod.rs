//! Where messages go before they are acknowledged, and where past ones come from.
//!
//! [`MemoryStore`] keeps nothing. The rest is the history on disk, a SQLite database, without threads: [`open`] and its [`Writer`], which
//! decides what becomes of each message and stores it, and the [`Reader`], which makes pages of what is stored. Both wait for the disk
//! and belong on threads of their own.

mod configured;
mod durable;
mod fault;
mod figures;
mod filter;
mod lock;
mod memory;
mod mend;
mod read;
mod recover;
mod retain;
mod rooms;
mod row;
mod schema;
mod search;
#[cfg(test)]
mod tests;
mod threads;
mod write;

pub use configured::ConfiguredStore;
pub use durable::{Deliver, DurableStore, Found, Opening, StartError, Wake};
pub use fault::{CommitError, OpenError};
pub use lock::{LockError, StateFolder};
pub use memory::MemoryStore;
pub use read::Reader;
pub use recover::{Recovered, recover};
pub use retain::{Limits, Retention};
pub use schema::{Options, size};
pub use write::{Opened, Writer, open};
