//! The seams of the turn: what it needs from the machine ([`Driver`]), from whatever keeps messages ([`Store`]) and from whatever
//! writes notices down ([`Log`]).
//!
//! Nothing is decided here. The daemon fills these with sockets, memory and a thread, the simulator with a world of its own.

use std::io::{self, IoSlice};
use std::time::Duration;

use hub::{
    Answer, Condition, ConnId, Fetch, Fetched, Level, Measured, Notice, Peer, Pruned, Record,
    Settings,
};
use proto::{Now, Span, WallTime};

use crate::history::Retention;
use crate::log::Kind;

/// Names one listener, in the order in which the driver has them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ListenerId(pub usize);

/// Something that [`Driver::poll`] saw: one edge for each change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ready {
    /// Connections wait.
    Listener(ListenerId),
    /// A connection changed.
    Connection {
        /// Which; perhaps one that is no more.
        id: ConnId,
        /// There are bytes to read.
        readable: bool,
        /// There is room to write.
        writable: bool,
        /// The peer will send no more.
        read_closed: bool,
        /// Both directions are gone, or the connection broke.
        hang_up: bool,
    },
    /// The process was told to end.
    Stop,
    /// The process was told to log what it counts.
    Summary,
    /// The process was told to read its configuration anew.
    Reload,
    /// Another thread has something for the loop.
    Waker,
}

/// What was decided anew, and is in effect for the sockets already.
pub struct Reloaded {
    /// For the hub.
    pub settings: Settings,
    /// For the turn.
    pub paced: bool,
    /// For the turn.
    pub shutdown_timeout: Span,
    /// For the store.
    pub retention: Retention,
    /// The network addresses on which it listens now.
    pub listeners: Vec<String>,
    /// What else is to be known: who listens where now, and where no more.
    pub words: Vec<String>,
}

/// The sockets and the clock, as the turn needs them. Nothing here blocks but `poll`.
pub trait Driver {
    /// A connection that is accepted and not registered.
    type Stream;

    /// Waits for at most `timeout`, for ever without one, and adds what happened to `ready`. Interrupted is nothing happened.
    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()>;
    /// Takes one waiting connection.
    fn accept(&mut self, listener: ListenerId) -> io::Result<(Self::Stream, Peer)>;
    /// Watches a connection from now on, both directions at once, edge triggered.
    fn register(&mut self, stream: Self::Stream, id: ConnId) -> io::Result<()>;
    /// Turns a connection away: at most one write, then it is closed.
    fn refuse(&mut self, stream: Self::Stream, words: &[u8]);
    /// Turns the first waiting connection away when no descriptors are left, by means of one kept in reserve.
    fn shed(&mut self, listener: ListenerId) -> io::Result<()>;
    /// Reads what is there.
    fn read(&mut self, id: ConnId, into: &mut [u8]) -> io::Result<usize>;
    /// Writes what there is room for.
    fn write_vectored(&mut self, id: ConnId, from: &[IoSlice<'_>]) -> io::Result<usize>;
    /// What the kernel knows of a connection. A driver without a kernel knows nothing.
    fn measure(&mut self, _id: ConnId) -> Measured {
        Measured::default()
    }
    /// Says this to the service manager, without waiting. A driver without one has nobody to tell.
    fn tell_manager(&mut self, _words: &str) -> io::Result<()> {
        Ok(())
    }
    /// Does nothing for so long, and lets everything wait. A driver whose time is not the world's has nothing to show.
    fn stall(&mut self, _span: Span) {}
    /// Begins to read the configuration anew; [`Self::reloaded`] has the outcome after a [`Ready::Waker`].
    fn reload(&mut self) {}
    /// What became of it, once it is known. A driver without a configuration knows nothing.
    fn reloaded(&mut self) -> Option<Result<Reloaded, String>> {
        None
    }
    /// Ends our direction, and goes on reading.
    fn finish(&mut self, id: ConnId);
    /// Closes both directions, and forgets the connection.
    fn shutdown(&mut self, id: ConnId);
    /// The monotonic clock.
    fn now(&self) -> Now;
    /// The wall clock.
    fn wall(&self) -> WallTime;
}

/// Where messages go before they are acknowledged, and where past ones come from. Nothing here blocks.
pub trait Store {
    /// Takes one message.
    fn submit(&mut self, record: Record);
    /// Adds what has been decided about messages since.
    fn answers(&mut self, into: &mut Vec<Answer>);
    /// Begins to look for past messages. A store that keeps none is never asked.
    fn fetch(&mut self, fetch: Fetch);
    /// A page that was found since.
    fn fetched(&mut self) -> Option<Fetched>;
    /// What retention took since, one room at a time.
    fn pruned(&mut self) -> Option<Pruned>;
    /// What it has for the log since. A store that has nothing to say about itself says nothing.
    fn remark(&mut self) -> Option<(Level, Kind, String)> {
        None
    }
    /// How long messages are to be kept from now on.
    fn keep(&mut self, _retention: Retention) {}
    /// How it goes; asked for in each turn.
    fn condition(&self) -> Condition {
        Condition::default()
    }
}

/// Where notices go. It never blocks.
pub trait Log {
    /// Something that the hub noticed.
    fn notice(&mut self, notice: Notice);
    /// Something that the hub knows nothing of: how much it matters, its kind, and a text for people.
    fn line(&mut self, level: Level, kind: Kind, text: String);
    /// What is lighter than this is left out from now on.
    fn set_level(&mut self, level: Level);
}
