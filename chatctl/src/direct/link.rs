//! A talk's socket: carries bytes between a `Peer` and the network, and never waits.
//!
//! Its owner polls, and calls it when something can be done; what happened is taken from the peer.

use super::Peer;
use crate::client::{SocketTransport, Transport};
use nix::poll::PollFlags;
use proto::Now;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::BorrowedFd;

/// How much is read at once.
const READ_BYTES_MAX: usize = 64 << 10;

/// How much is taken in before what happened is looked at.
const STEP_BYTES_MAX: usize = 256 << 10;

const _: () = assert!(READ_BYTES_MAX <= STEP_BYTES_MAX);

/// A peer and the connection to it.
pub struct Link {
    /// The talk itself.
    pub peer: Peer,
    transport: SocketTransport<TcpStream>,
    address: SocketAddr,
    scratch: Vec<u8>,
    /// Whether the connection can still bring something.
    open: bool,
    /// Whether we said that nothing more will be written.
    finished: bool,
}

impl Link {
    /// A talk over this connection.
    pub fn new(stream: TcpStream, peer: Peer) -> io::Result<Self> {
        let address = stream.peer_addr()?;
        let transport = SocketTransport::tcp(stream)?;
        let scratch = vec![0; READ_BYTES_MAX];
        Ok(Self { peer, transport, address, scratch, open: true, finished: false })
    }

    /// Who is there, as the network says.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The descriptor to wait for, and what for.
    pub fn watched(&self) -> (BorrowedFd<'_>, PollFlags) {
        let mut wanted = PollFlags::empty();
        wanted.set(PollFlags::POLLIN, self.open);
        wanted.set(PollFlags::POLLOUT, !self.peer.outgoing().is_empty());
        (self.transport.descriptor(), wanted)
    }

    /// Whether all is said and written: the connection can be closed without taking anything back.
    pub fn is_done(&self) -> bool {
        self.peer.is_over() && self.peer.outgoing().is_empty()
    }

    /// Whether the other side has closed.
    pub fn is_closed(&self) -> bool {
        !self.open
    }

    /// Reads what came.
    pub fn read(&mut self, now: Now) {
        let mut taken = 0;
        while self.open && taken < STEP_BYTES_MAX {
            match self.transport.read(&mut self.scratch) {
                Ok(0) => self.close(None),
                Ok(count) => {
                    taken += count;
                    self.peer.receive(self.scratch.get(..count).unwrap_or_default(), now);
                    // The kernel had no more than that.
                    if count < self.scratch.len() {
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => self.close(Some(&error)),
            }
        }
    }

    /// Writes what is to be written, and ends our direction behind the last word.
    pub fn flush(&mut self, now: Now) {
        while !self.peer.outgoing().is_empty() {
            match self.transport.write(self.peer.outgoing()) {
                Ok(0) => return,
                Ok(count) => self.peer.wrote(count, now),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) => {
                    // What it said before it closed may explain why: it is read first.
                    self.read(now);
                    self.close(Some(&error));
                }
            }
        }
        if self.is_done() && !self.finished {
            self.finished = true;
            let _ = self.transport.finish();
        }
    }

    fn close(&mut self, error: Option<&io::Error>) {
        self.open = false;
        self.peer.lost(error.map(ToString::to_string));
        assert!(self.is_done(), "nobody is left to write to");
    }
}
