//! Listening sockets, and whom the kernel says a new connection is.
//!
//! Options that accepted sockets inherit are set on the listener, so that an accept is one system call.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd};

use hub::{Peer, Rights};
use mio::event::Source;
use mio::net::TcpListener;
use nix::sys::socket::sockopt::{
    Ipv6V6Only, RcvBuf, ReuseAddr, SndBuf, TcpNoDelay, TcpUserTimeout,
};
use nix::sys::socket::{
    AddressFamily, Backlog, SockFlag, SockType, SockaddrStorage, bind, listen, setsockopt, socket,
};
use proto::{Network, Protocols, Span, Transport};

use crate::config::Clients;
use crate::control::Control;
use crate::driver::Stream;
use crate::sys::set_unsent_max;

/// Connections that wait while the loop is busy or the daemon starts.
const BACKLOG: i32 = 4096;
/// The kernel's memory for one connection's outgoing bytes; it would grow to megabytes. The kernel doubles it for its own use.
pub(crate) const SEND_BUFFER_BYTES: usize = 64 * 1024;
/// How much of that may wait for the peer's window: the kernel says that there is room again when half of it is sent, and otherwise
/// when a third of its buffer is, which a slow reader does not take in the time of a stall.
const UNSENT_BYTES_MAX: u32 = 16 * 1024;
/// The kernel's memory for one connection's incoming bytes: what a speaker that is not read can leave with us.
const RECEIVE_BUFFER_BYTES: usize = 64 * 1024;
/// How much longer than the stall limit the kernel waits for a peer's acknowledgment: chatd cuts first, and can say why.
const USER_TIMEOUT_GRACE: Span = Span::from_secs(5);

/// Decides whether an address has no rate limits.
pub type Exempt = Box<dyn Fn(IpAddr) -> bool>;

/// Peers from these networks have no rate limits.
pub fn exempt(networks: &[Network]) -> Exempt {
    let networks = networks.to_vec();
    Box::new(move |ip| networks.iter().any(|network| network.contains(ip)))
}

/// What connections come from.
pub enum Listener {
    /// A TCP port.
    Tcp {
        /// The socket.
        socket: TcpListener,
        /// Whose peers have no rate limits.
        exempt: Exempt,
        /// The address that was asked for; none where the socket was given.
        wished: Option<SocketAddr>,
        /// Who connects: clients, or a proxy that says first whose connection it is.
        transport: Transport,
        /// What they may speak.
        protocols: Protocols,
        /// What those do not have that came before the listener had it; none when they are all taken.
        early: Option<Inherited>,
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
        Inherited::new(stall).set(&fd)?;
        bind(fd.as_raw_fd(), &SockaddrStorage::from(address))?;
        listen(&fd, Backlog::new(BACKLOG)?)?;
        let socket = TcpListener::from_std(std::net::TcpListener::from(fd));
        let (wished, transport, protocols) = (Some(address), Transport::Stream, Protocols::ALL);
        Ok(Self::Tcp { socket, exempt, wished, transport, protocols, early: None })
    }

    /// Takes over a socket that listens already and never blocks.
    ///
    /// # Errors
    /// The kernel refuses an option.
    pub fn given(
        socket: std::net::TcpListener,
        stall: Option<Span>,
        exempt: Exempt,
    ) -> io::Result<Self> {
        let inherited = Inherited::new(stall);
        inherited.set(&socket)?;
        let socket = TcpListener::from_std(socket);
        let (transport, protocols, early) = (Transport::Stream, Protocols::ALL, Some(inherited));
        Ok(Self::Tcp { socket, exempt, wished: None, transport, protocols, early })
    }

    /// The same, for clients who come and speak as was decided.
    #[must_use]
    pub fn for_clients(mut self, decided: Clients) -> Self {
        self.is_for_clients(decided);
        self
    }

    /// From now on clients come, and may speak, as was decided.
    pub(crate) fn is_for_clients(&mut self, decided: Clients) {
        if let Self::Tcp { transport, protocols, .. } = self {
            *transport = if decided.proxy { Transport::Proxied } else { Transport::Stream };
            *protocols = decided.protocols;
        }
    }

    /// From now on other peers have no rate limits, and who is accepted is cut by the kernel after another time.
    pub(crate) fn decide_anew(&mut self, stall: Option<Span>, networks: Exempt) {
        if let Self::Tcp { socket, exempt, .. } = self {
            *exempt = networks;
            // As long as it was is no harm: the hub cuts by its own time.
            let _ = Inherited::new(stall).set(&*socket);
        }
    }

    /// The address that was asked for.
    pub(crate) const fn wished(&self) -> Option<SocketAddr> {
        match self {
            Self::Tcp { wished, .. } => *wished,
            Self::Control(_) => None,
        }
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
            Self::Tcp { socket, exempt, early, transport, protocols, .. } => {
                let accepted = socket.accept();
                if let (Ok((stream, _)), Some(inherited)) = (&accepted, &*early) {
                    inherited.set(stream)?;
                }
                if accepted.as_ref().is_err_and(|error| error.kind() == ErrorKind::WouldBlock) {
                    *early = None;
                }
                let (stream, address) = accepted?;
                let peer = Peer {
                    transport: *transport,
                    address: address.to_string().into(),
                    ip: Some(address.ip()),
                    login: None,
                    rights: Rights::TALK,
                    exempt: exempt(address.ip()),
                    protocols: *protocols,
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

/// Options that accepted sockets have from their listener.
#[derive(Clone, Copy, Debug)]
pub struct Inherited {
    user_timeout_ms: Option<u32>,
}

impl Inherited {
    fn new(stall: Option<Span>) -> Self {
        let timeout =
            |stall: Span| stall.as_millis().saturating_add(USER_TIMEOUT_GRACE.as_millis());
        let user_timeout_ms =
            stall.map(timeout).map(|timeout| u32::try_from(timeout).unwrap_or(u32::MAX));
        Self { user_timeout_ms }
    }

    fn set(self, socket: &impl AsFd) -> io::Result<()> {
        setsockopt(socket, TcpNoDelay, &true)?;
        setsockopt(socket, SndBuf, &SEND_BUFFER_BYTES)?;
        setsockopt(socket, RcvBuf, &RECEIVE_BUFFER_BYTES)?;
        set_unsent_max(socket, UNSENT_BYTES_MAX)?;
        // 0 is the kernel's own.
        setsockopt(socket, TcpUserTimeout, &self.user_timeout_ms.unwrap_or(0))?;
        Ok(())
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
        let mut listener = Listener::tcp(local, Some(Span::from_secs(10)), Box::new(|_| false))
            .expect("a free port");
        let address = listener.address().expect("a port");
        let _client = TcpStream::connect(address).expect("the listener's backlog takes it");
        assert_has_options(listener.accept());
    }

    fn assert_has_options(accepted: io::Result<(Stream, Peer)>) {
        let Ok((Stream::Tcp(stream), _)) = accepted else { panic!("one waits, over TCP") };
        assert!(getsockopt(&stream, TcpNoDelay).expect("an option"));
        assert_eq!(getsockopt(&stream, TcpUserTimeout).expect("an option"), 15_000);
        assert_eq!(getsockopt(&stream, SndBuf).expect("an option"), 2 * SEND_BUFFER_BYTES);
    }

    #[test]
    fn who_came_before_a_given_listener_was_ours_has_the_options_too() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = socket.local_addr().expect("a port");
        let _before = TcpStream::connect(address).expect("the listener's backlog takes it");
        socket.set_nonblocking(true).expect("a flag");
        let mut listener = Listener::given(socket, Some(Span::from_secs(10)), Box::new(|_| false))
            .expect("it listens");
        assert_eq!(listener.address(), Some(address));
        assert_has_options(listener.accept());
        assert!(listener.accept().is_err_and(|error| error.kind() == ErrorKind::WouldBlock));
        assert!(matches!(listener, Listener::Tcp { early: None, .. }), "the rest inherit them");
        let _after = TcpStream::connect(address).expect("the listener's backlog takes it");
        assert_has_options(listener.accept());
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
