//! The seam between the client and what carries its bytes: the control socket, TCP and WebSocket, later TLS.
//!
//! A transport moves bytes and never waits; it knows nothing of requests. How an object is told from the
//! next one in the stream is the business of `Framing`, next door.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::net::UnixStream;

use nix::sys::socket::{Shutdown, shutdown};

/// What carries the bytes of one connection. Every call returns at once; `WouldBlock` means: not now. Whoever called the daemon
/// may be another thread than whoever speaks with it.
pub trait Transport: Send {
    /// Takes what it can of `bytes`.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Fills what it can of `into`; zero is the end of the stream.
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize>;

    /// Says that nothing more will be written; what was written still arrives.
    fn finish(&mut self) -> io::Result<()>;

    /// The descriptor to wait for.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Whether bytes wait inside the transport that only a writable descriptor can move on (TLS).
    fn wants_write(&self) -> bool {
        false
    }
}

/// A connection over a stream socket.
#[derive(Debug)]
pub struct SocketTransport<S> {
    stream: S,
}

impl SocketTransport<UnixStream> {
    /// The control socket: takes a connected stream and makes it one that never waits.
    pub fn unix(stream: UnixStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self { stream })
    }
}

impl SocketTransport<TcpStream> {
    /// TCP: takes a connected stream and makes it one that never waits, neither here nor for a fuller packet.
    pub fn tcp(stream: TcpStream) -> io::Result<Self> {
        stream.set_nodelay(true)?;
        stream.set_nonblocking(true)?;
        Ok(Self { stream })
    }
}

impl<S: Read + Write + AsFd + Send> Transport for SocketTransport<S> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.stream.write(bytes)
    }

    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.stream.read(into)
    }

    fn finish(&mut self) -> io::Result<()> {
        shutdown(self.stream.as_fd().as_raw_fd(), Shutdown::Write).map_err(io::Error::from)
    }

    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}
