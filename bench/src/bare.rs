//! The least that relays: v0.5 frames in, a Broadcast of each Chat to everyone else out, one write by receiver and
//! turn from one buffer that all share. No names, no rooms, no limits, no deadlines: what a chat server costs above
//! this is its own.
#![allow(clippy::print_stdout, reason = "whoever starts it reads the port from there")]

use std::collections::BTreeMap;
use std::io::{self, IoSlice, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::ops::Range;

use nix::errno::Errno;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use nix::sys::socket::{setsockopt, sockopt};

use crate::wire::{self, Frame, Split};

/// Whom every broadcast is from.
const FROM: &str = "bare";
/// The listener's number; connections count from 0.
const LISTENER: u64 = u64::MAX;
/// One read takes at most this much.
const READ_BYTES_MAX: usize = 64 * 1024;
/// As chatd sets it for its own connections.
const SEND_BYTES: usize = 64 * 1024;

struct Bare {
    epoll: Epoll,
    listener: TcpListener,
    connections: BTreeMap<u64, Connection>,
    next: u64,
    scratch: Vec<u8>,
    /// What this turn relays, encoded once.
    shared: Vec<u8>,
    /// Which parts of it came from whom.
    authors: BTreeMap<u64, Vec<Range<usize>>>,
    /// Who has bytes of its own to be written in this turn.
    dirty: Vec<u64>,
}

struct Connection {
    stream: TcpStream,
    partial: Vec<u8>,
    /// What the kernel did not take, and answers.
    out: Vec<u8>,
    over: bool,
}

/// Serves until it is killed.
pub(crate) fn serve(listen: SocketAddr) -> io::Result<()> {
    let listener = TcpListener::bind(listen)?;
    listener.set_nonblocking(true)?;
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    epoll.add(&listener, EpollEvent::new(EpollFlags::EPOLLIN, LISTENER))?;
    println!("bare: listening on {}", listener.local_addr()?);
    let mut bare = Bare {
        epoll,
        listener,
        connections: BTreeMap::new(),
        next: 0,
        scratch: vec![0; READ_BYTES_MAX + wire::FRAME_BYTES_MAX],
        shared: Vec::new(),
        authors: BTreeMap::new(),
        dirty: Vec::new(),
    };
    let mut events = vec![EpollEvent::empty(); 1024];
    loop {
        let count = match bare.epoll.wait(&mut events, EpollTimeout::NONE) {
            Ok(count) => count,
            Err(Errno::EINTR) => 0,
            Err(error) => return Err(error.into()),
        };
        for event in &events[..count] {
            bare.ready(*event)?;
        }
        bare.flush();
    }
}

impl Bare {
    fn ready(&mut self, event: EpollEvent) -> io::Result<()> {
        let id = event.data();
        if id == LISTENER {
            return self.accept();
        }
        if event.events().contains(EpollFlags::EPOLLOUT) && self.is_waiting(id) {
            self.dirty.push(id);
        }
        if event.events().intersects(!EpollFlags::EPOLLOUT) {
            self.read(id);
        }
        Ok(())
    }

    fn is_waiting(&self, id: u64) -> bool {
        self.connections.get(&id).is_some_and(|connection| !connection.out.is_empty())
    }

    fn accept(&mut self) -> io::Result<()> {
        loop {
            let stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            setsockopt(&stream, sockopt::SndBuf, &SEND_BYTES)?;
            let both = EpollFlags::EPOLLIN | EpollFlags::EPOLLOUT | EpollFlags::EPOLLRDHUP;
            let edges = both | EpollFlags::EPOLLET;
            self.epoll.add(&stream, EpollEvent::new(edges, self.next))?;
            let (partial, out) = (Vec::new(), Vec::new());
            self.connections.insert(self.next, Connection { stream, partial, out, over: false });
            self.next += 1;
        }
    }

    /// Reads until the kernel has nothing more: a read that fills less than it could says so.
    fn read(&mut self, id: u64) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        loop {
            let kept = connection.partial.len();
            self.scratch[..kept].copy_from_slice(&connection.partial);
            let room = &mut self.scratch[kept..kept + READ_BYTES_MAX];
            let count = match (&connection.stream).read(room) {
                Ok(0) => 0,
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => 0,
            };
            let (turn, end) = ((&mut self.shared, &mut self.authors), kept + count);
            let taken = relay(id, &self.scratch[..end], turn, &mut connection.out);
            if !connection.out.is_empty() {
                self.dirty.push(id);
            }
            let Some(taken) = taken.filter(|_| count > 0) else {
                connection.over = true;
                self.dirty.push(id);
                return;
            };
            connection.partial.clear();
            connection.partial.extend_from_slice(&self.scratch[taken..end]);
            if count < READ_BYTES_MAX {
                return;
            }
        }
    }

    /// One write for each receiver, then the buffer is empty for the next turn.
    fn flush(&mut self) {
        if self.shared.is_empty() {
            for id in std::mem::take(&mut self.dirty) {
                let Some(connection) = self.connections.get_mut(&id) else { continue };
                connection.write(&[]);
                if connection.over {
                    self.connections.remove(&id);
                }
            }
            return;
        }
        let whole = [IoSlice::new(&self.shared)];
        for (id, connection) in &mut self.connections {
            match self.authors.get(id) {
                None => connection.write(&whole),
                Some(own) => connection.write(&without(&self.shared, own)),
            }
        }
        self.connections.retain(|_, connection| !connection.over);
        self.shared.clear();
        self.authors.clear();
        self.dirty.clear();
    }
}

/// Takes all whole frames of `bytes`; how many bytes they are, or `None` where they are no frames.
fn relay(
    id: u64,
    bytes: &[u8],
    (shared, authors): (&mut Vec<u8>, &mut BTreeMap<u64, Vec<Range<usize>>>),
    out: &mut Vec<u8>,
) -> Option<usize> {
    let mut taken = 0;
    loop {
        match wire::split(&bytes[taken..]) {
            Split::Frame(frame, length) => {
                taken += length;
                match frame {
                    Frame::Chat { text } => {
                        let start = shared.len();
                        wire::broadcast(FROM, text, shared);
                        authors.entry(id).or_default().push(start..shared.len());
                    }
                    Frame::SetNickname { request } => wire::ack(request, out),
                    _ => {}
                }
            }
            Split::More => return Some(taken),
            Split::Malformed => return None,
        }
    }
}

/// The parts of `shared` that are not an author's own, those side by side as one.
fn without<'a>(shared: &'a [u8], own: &[Range<usize>]) -> Vec<IoSlice<'a>> {
    let mut slices = Vec::new();
    let mut start = 0;
    for range in own {
        if start < range.start {
            slices.push(IoSlice::new(&shared[start..range.start]));
        }
        start = range.end;
    }
    if start < shared.len() {
        slices.push(IoSlice::new(&shared[start..]));
    }
    slices
}

impl Connection {
    /// Writes what waits and then `new`; what the kernel does not take waits.
    fn write(&mut self, new: &[IoSlice<'_>]) {
        if self.over || (self.out.is_empty() && new.is_empty()) {
            return;
        }
        if !self.out.is_empty() {
            for slice in new {
                self.out.extend_from_slice(slice);
            }
            match (&self.stream).write(&self.out) {
                Ok(taken) => drop(self.out.drain(..taken)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(_) => self.over = true,
            }
            return;
        }
        let written = match new {
            [one] => (&self.stream).write(one),
            several => (&self.stream).write_vectored(several),
        };
        let mut taken = match written {
            Ok(taken) => taken,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => 0,
            Err(_) => {
                self.over = true;
                return;
            }
        };
        for slice in new {
            let skip = taken.min(slice.len());
            self.out.extend_from_slice(&slice[skip..]);
            taken -= skip;
        }
    }
}
