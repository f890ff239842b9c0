//! The simulator's hands for the daemon's turn: every system call of `chatd::turn::Driver` goes to the
//! simulated kernel of `net`, and polling is what lets the world move.

use std::cell::{RefCell, RefMut};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use chatd::turn::{Driver, ListenerId, Ready};
use hub::{ConnId, Peer};
use proto::{Now, WallTime};

use crate::clock::MS;
use crate::net::{Errno, Net};
use crate::trace::Kind;
use crate::world::{CONTROL, TCP};

/// A loop that woke later than this gets everything that is ready.
const PARTIAL_LATENESS_MAX: u64 = 10 * MS;

/// What surrounds a daemon: it moves while the daemon polls, and hears what the daemon does.
pub trait Outside {
    /// The daemon is about to call: whoever kills it between two steps does it here.
    fn step(_outside: RefMut<'_, Self>) {}
    /// The kernel.
    fn net(&mut self) -> &mut Net;
    /// The loop sleeps until something is ready, or for this long.
    fn sleep(&mut self, timeout: Option<u64>);
    /// How late the last poll woke.
    fn lateness(&self) -> u64;
    /// The daemon is woken for what the store has: true once.
    fn take_woke(&mut self) -> bool;
    /// TERM came: true once.
    fn take_stop(&mut self) -> bool;
    /// Who is at the other end of a connection.
    fn peer(&self, no: usize) -> Peer;
    /// It is refused.
    fn refused(&mut self, _no: usize) {}
    /// It is let in.
    fn registered(&mut self, _no: usize) {}
    /// The daemon wrote to it.
    fn wrote(&mut self, _no: usize) {}
    /// The daemon closed it.
    fn closed(&mut self, _no: usize) {}
}

/// A world, shared by driver, store and log of one daemon on one thread.
pub type Shared<W> = Rc<RefCell<W>>;

/// The daemon's driver in a simulated world.
pub struct SimDriver<W> {
    world: Shared<W>,
}

impl<W: Outside> SimDriver<W> {
    /// A driver in this world.
    pub fn new(world: Shared<W>) -> Self {
        Self { world }
    }

    /// The world, for one step of the daemon.
    fn world(&self) -> RefMut<'_, W> {
        W::step(self.world.borrow_mut());
        self.world.borrow_mut()
    }

    /// The connection of an id; the daemon must not touch one that it closed.
    fn link(world: &mut W, id: ConnId) -> usize {
        let known = world.net().by_token.get(&id.as_u64());
        *known.unwrap_or_else(|| panic!("a system call for {id:?}, which is not registered"))
    }
}

fn failed(errno: Errno) -> io::Error {
    io::Error::from_raw_os_error(match errno {
        Errno::Interrupted => 4,
        Errno::Again => 11,
        Errno::TooManyFiles => 24,
        Errno::Pipe => 32,
        Errno::Aborted => 103,
        Errno::Reset => 104,
    })
}

impl<W: Outside> Driver for SimDriver<W> {
    type Stream = usize;

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut world = self.world();
        let before = world.net().clock.now();
        let timeout =
            timeout.map(|timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX / 2));
        world.sleep(timeout);
        // After a long sleep the kernel tells all at once: a daemon may then rely on having heard it.
        let partial = world.lateness() < PARTIAL_LATENESS_MAX;
        let (edges, listeners) = world.net().take_edges(partial);
        for (listener, edge) in [TCP, CONTROL].into_iter().zip(listeners) {
            if edge {
                ready.push(Ready::Listener(ListenerId(listener)));
            }
        }
        ready.extend(edges.into_iter().map(|edge| Ready::Connection {
            id: ConnId::from_u64(edge.token),
            readable: edge.readable,
            writable: edge.writable,
            read_closed: edge.read_closed,
            hang_up: edge.hang_up,
        }));
        if world.take_woke() {
            ready.push(Ready::Waker);
        }
        if world.take_stop() {
            ready.push(Ready::Stop);
        }
        let slept = world.net().clock.now() - before;
        world.net().note(Kind::Poll, 0, ready.len() as u64, slept);
        Ok(())
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(usize, Peer)> {
        let mut world = self.world();
        let no = world.net().accept(listener.0).map_err(failed)?;
        Ok((no, world.peer(no)))
    }

    fn register(&mut self, stream: usize, id: ConnId) -> io::Result<()> {
        let mut world = self.world();
        world.net().register(stream, id.as_u64());
        world.registered(stream);
        Ok(())
    }

    fn refuse(&mut self, stream: usize, words: &[u8]) {
        let mut world = self.world();
        world.refused(stream);
        world.net().refuse(stream, words);
    }

    fn shed(&mut self, listener: ListenerId) -> io::Result<()> {
        self.world().net().shed(listener.0).map_err(failed)
    }

    fn read(&mut self, id: ConnId, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.world();
        let no = Self::link(&mut world, id);
        world.net().read(no, into).map_err(failed)
    }

    fn write_vectored(&mut self, id: ConnId, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut world = self.world();
        let no = Self::link(&mut world, id);
        let offered = from.iter().map(|slice| slice.len()).sum();
        let slices = from.iter().map(|slice| &slice[..]);
        let count = world.net().write(no, slices, offered).map_err(failed)?;
        world.wrote(no);
        Ok(count)
    }

    fn finish(&mut self, id: ConnId) {
        let mut world = self.world();
        let no = Self::link(&mut world, id);
        world.net().half_close(no);
    }

    fn shutdown(&mut self, id: ConnId) {
        let mut world = self.world();
        let no = Self::link(&mut world, id);
        world.net().shutdown(no);
        world.closed(no);
    }

    fn now(&self) -> Now {
        Now::from_micros(self.world.borrow_mut().net().clock.now())
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.world.borrow_mut().net().clock.wall())
    }
}
