//! Listening sockets, and whom the kernel says a new connection is.
//!
//! Options that accepted sockets inherit are set on the listener, so that an accept is one system call.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd;

use hub::Peer;
use mio::event::Source;
use mio::net::TcpListener;
use nix::sys::socket::sockopt::{
    Ipv6V6Only, RcvBuf, ReuseAddr, SndBuf, TcpNoDelay, TcpUserTimeout,
};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
};
use proto::{Span, Transport};

use crate::control::Control;
use crate::driver::Stream;

/// Connections that wait while the loop is busy or the daemon starts.
const BACKLOG: i32 = 4096;
/// The kernel's memory for one connection's outgoing bytes; it would grow to megabytes. The kernel doubles it for its own use.
pub(crate) const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// The same for incoming bytes: what a speaker that is not read can leave with us.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;
/// How much longer than the stall limit the kernel waits for a peer's acknowledgment: chatd cuts first, and can say why.
const USER_TIMEOUT_GRACE: Span = Span::from_secs(5);

/// Decides whether an address has no rate limits.
pub type Exempt = Box<dyn Fn(IpAddr) -> bool>;

/// What connections come from.
pub enum Listener {
    /// A TCP port.
    Tcp {
        /// The socket.
        socket: TcpListener,
        /// Whose peers have no rate limits.
        exempt: Exempt,
    },
    /// The control socket.
    Control(Control),
}

impl Listener {
    /// Listens on a TCP address. An IPv6 address is that alone: the same port of IPv4 is another listener.
    ///
    /// # Errors
    /// The address is taken, not this machine's, or not allowed.
    pub fn tcp(address: SocketAddr, stall: Option<Span>, exempt: Exempt) -> io::Result<Self> {
        let family = if address.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
        let flags = SockFlag::SOCK_NONBLOCK | SockFlag::SOCK_CLOEXEC;
        let fd = socket(family, SockType::Stream, flags, None)?;
        setsockopt(&fd, ReuseAddr, &true)?;
        if address.is_ipv6() {
            setsockopt(&fd, Ipv6V6Only, &true)?;
        }
        setsockopt(&fd, TcpNoDelay, &true)?;
        setsockopt(&fd, SndBuf, &SEND_BUFFER_BYTES)?;
        setsockopt(&fd, RcvBuf, &RECEIVE_BUFFER_BYTES)?;
        if let Some(stall) = stall {
            let timeout = stall.as_millis().saturating_add(USER_TIMEOUT_GRACE.as_millis());
            setsockopt(&fd, TcpUserTimeout, &u32::try_from(timeout).unwrap_or(u32::MAX))?;
        }
        bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        listen(&fd, Backlog::new(BACKLOG)?)?;
        Ok(Self::Tcp { socket: TcpListener::from_std(std::net::TcpListener::from(fd)), exempt })
    }

    /// What epoll watches.
    pub(crate) fn source(&mut self) -> &mut dyn Source {
        match self {
            Self::Tcp { socket, .. } => socket,
            Self::Control(control) => control.source(),
        }
    }

    /// The address that was bound, with the port that the kernel chose; none for the control socket.
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { socket, .. } => socket.local_addr().ok(),
            Self::Control(_) => None,
        }
    }

    /// Takes one waiting connection.
    pub(crate) fn accept(&mut self) -> io::Result<(Stream, Peer)> {
        match self {
            Self::Tcp { socket, exempt } => {
                let (stream, address) = socket.accept()?;
                let peer = Peer {
                    transport: Transport::Stream,
                    address: address.to_string().into(),
                    ip: Some(address.ip()),
                    login: None,
                    admin: false,
                    exempt: exempt(address.ip()),
                };
                Ok((Stream::Tcp(stream), peer))
            }
            Self::Control(control) => control.accept(),
        }
    }

    /// Takes one waiting connection and closes it.
    pub(crate) fn accept_and_close(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp { socket, .. } => socket.accept().map(drop),
            Self::Control(control) => control.accept_and_close(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::TcpStream;

    use nix::sys::socket::getsockopt;

    use super::*;

    #[test]
    fn accepted_sockets_inherit_their_options() {
        let local = "127.0.0.1:0".parse().expect("an address");
        let listener = Listener::tcp(local, Some(Span::from_secs(10)), Box::new(|_| false))
            .expect("a free port");
        let address = listener.address().expect("a port");
        let _client = TcpStream::connect(address).expect("the listener's backlog takes it");
        let Listener::Tcp { socket, .. } = listener else { panic!("it listens on TCP") };
        let (stream, _) = socket.accept().expect("it waits");
        assert!(getsockopt(&stream, TcpNoDelay).expect("an option"));
        assert_eq!(getsockopt(&stream, TcpUserTimeout).expect("an option"), 15_000);
        assert_eq!(getsockopt(&stream, SndBuf).expect("an option"), 2 * SEND_BUFFER_BYTES);
    }

    #[test]
    #[allow(clippy::print_stderr, reason = "what is left out is said loudly")]
    fn an_ipv6_listener_leaves_the_ipv4_port_alone() {
        let Ok(six) =
            Listener::tcp("[::1]:0".parse().expect("an address"), None, Box::new(|_| false))
        else {
            eprintln!("LEFT OUT: this machine has no IPv6 loopback");
            return;
        };
        let port = six.address().expect("a port").port();
        let four = SocketAddr::from(([127, 0, 0, 1], port));
        assert!(Listener::tcp(four, None, Box::new(|_| false)).is_ok());
    }
}
