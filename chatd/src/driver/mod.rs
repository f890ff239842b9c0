//! Drivers of the turn: the sockets and clocks that it runs on. The simulator has one of its own.

mod listeners;
mod mio;

pub use self::mio::{MioDriver, Stream};
