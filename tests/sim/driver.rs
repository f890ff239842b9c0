//! The simulator's hands for the daemon's turn: every system call of `chatd::turn::Driver` goes to the
//! simulated kernel of `net`, and polling is what lets the world move.

use std::cell::{RefCell, RefMut};
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::time::Duration;

use chatd::turn::{Driver, ListenerId, Ready};
use hub::{ConnId, Peer, Rights};
use proto::{Now, Transport, WallTime};

use crate::clock::MS;
use crate::net::Errno;
use crate::trace::Kind;
use crate::world::{CONTROL, TCP, World};

/// A loop that woke later than this gets everything that is ready.
const PARTIAL_LATENESS_MAX: u64 = 10 * MS;

/// The world, shared by driver, store and log of one daemon on one thread.
pub type Shared = Rc<RefCell<World>>;

/// The daemon's driver in the simulated world.
pub struct SimDriver {
    world: Shared,
}

impl SimDriver {
    /// A driver in this world.
    pub fn new(world: Shared) -> Self {
        Self { world }
    }

    fn world(&self) -> RefMut<'_, World> {
        self.world.borrow_mut()
    }

    /// The connection of an id; the daemon must not touch one that it closed.
    fn link(world: &World, id: ConnId) -> usize {
        let known = world.net.by_token.get(&id.as_u64());
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

impl Driver for SimDriver {
    type Stream = usize;

    fn poll(&mut self, timeout: Option<Duration>, ready: &mut Vec<Ready>) -> io::Result<()> {
        let mut world = self.world();
        let before = world.net.clock.now();
        let timeout =
            timeout.map(|timeout| u64::try_from(timeout.as_micros()).unwrap_or(u64::MAX / 2));
        world.sleep(timeout);
        // After a long sleep the kernel tells all at once: a daemon may then rely on having heard it.
        let partial = world.lateness < PARTIAL_LATENESS_MAX;
        let (edges, listeners) = world.net.take_edges(partial);
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
        if std::mem::take(&mut world.store.woke) {
            ready.push(Ready::Waker);
        }
        if std::mem::take(&mut world.stop_signal) {
            ready.push(Ready::Stop);
        }
        let slept = world.net.clock.now() - before;
        world.net.note(Kind::Poll, 0, ready.len() as u64, slept);
        Ok(())
    }

    fn accept(&mut self, listener: ListenerId) -> io::Result<(usize, Peer)> {
        let mut world = self.world();
        let no = world.net.accept(listener.0).map_err(failed)?;
        let client = &world.clients[no];
        let login = world.oracle.voices[no].login.as_deref();
        let peer = Peer {
            transport: if login.is_some() { Transport::ControlSocket } else { Transport::Stream },
            address: format!("sim:{no}").into(),
            ip: world.address(no),
            login: login.map(|name| proto::Nick::parse(name).expect("a good name")),
            rights: if login.is_some() && client.asking.admin {
                Rights::ADMIN
            } else {
                Rights::TALK
            },
            exempt: client.exempt,
        };
        Ok((no, peer))
    }

    fn register(&mut self, stream: usize, id: ConnId) -> io::Result<()> {
        let mut world = self.world();
        world.net.register(stream, id.as_u64());
        world.oracle.now = world.net.clock.now();
        world.oracle.registered(stream);
        Ok(())
    }

    fn refuse(&mut self, stream: usize, words: &[u8]) {
        let mut world = self.world();
        world.refused(stream);
        world.net.refuse(stream, words);
    }

    fn shed(&mut self, listener: ListenerId) -> io::Result<()> {
        self.world().net.shed(listener.0).map_err(failed)
    }

    fn read(&mut self, id: ConnId, into: &mut [u8]) -> io::Result<usize> {
        let mut world = self.world();
        let no = Self::link(&world, id);
        world.net.read(no, into).map_err(failed)
    }

    fn write_vectored(&mut self, id: ConnId, from: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut world = self.world();
        let no = Self::link(&world, id);
        let offered = from.iter().map(|slice| slice.len()).sum();
        let slices = from.iter().map(|slice| &slice[..]);
        let count = world.net.write(no, slices, offered).map_err(failed)?;
        world.oracle.wrote(no);
        Ok(count)
    }

    fn shutdown(&mut self, id: ConnId) {
        let mut world = self.world();
        let no = Self::link(&world, id);
        world.net.shutdown(no);
        world.oracle.now = world.net.clock.now();
        world.oracle.closed(no);
    }

    fn now(&self) -> Now {
        Now::from_micros(self.world().net.clock.now())
    }

    fn wall(&self) -> WallTime {
        WallTime::from_micros(self.world().net.clock.wall())
    }
}
