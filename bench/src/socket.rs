//! Sockets with what std cannot set: a receive buffer chosen before the handshake, a source address, and as many
//! descriptors as the system lets one process have.

use std::io;
use std::net::{SocketAddr, SocketAddrV4, TcpStream};
use std::os::fd::AsRawFd as _;

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrIn, SockaddrStorage, bind, connect, setsockopt,
    socket, sockopt,
};

/// How a connection is made.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Manner {
    /// `SO_RCVBUF`; the kernel's own choice where there is none.
    pub(crate) receive_bytes: Option<usize>,
    /// The address to come from; the kernel's own choice where there is none.
    pub(crate) source: Option<std::net::Ipv4Addr>,
}

/// A connection to `to`, not blocking from here on, without Nagle's delay.
pub(crate) fn dial(to: SocketAddr, manner: Manner) -> io::Result<TcpStream> {
    let family = if to.is_ipv4() { AddressFamily::Inet } else { AddressFamily::Inet6 };
    let descriptor = socket(family, SockType::Stream, SockFlag::SOCK_CLOEXEC, None)?;
    setsockopt(&descriptor, sockopt::TcpNoDelay, &true)?;
    if let Some(bytes) = manner.receive_bytes {
        setsockopt(&descriptor, sockopt::RcvBuf, &bytes)?;
    }
    if let Some(source) = manner.source {
        bind(descriptor.as_raw_fd(), &SockaddrIn::from(SocketAddrV4::new(source, 0)))?;
    }
    connect(descriptor.as_raw_fd(), &SockaddrStorage::from(to))?;
    let stream = TcpStream::from(descriptor);
    stream.set_nonblocking(true)?;
    Ok(stream)
}

/// Raises the soft limit on descriptors to the hard one, and says what it is.
pub(crate) fn raise_descriptors() -> io::Result<u64> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    Ok(hard)
}
