//! Sockets that systemd opened: they listen before the daemon runs, so nobody who connects meanwhile is turned away.
//!
//! `chatd.socket` calls its own `chat`, and `chatd-control.socket` its own `ctl`. Each is looked at, since a unit is easily written
//! wrongly: a datagram socket as a listener would fail at its first client only.

use std::fmt;
use std::net::TcpListener;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::net::UnixListener;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl};
use nix::sys::socket::sockopt::{AcceptConn, SockType as Kind};
use nix::sys::socket::{
    AddressFamily, SockType, SockaddrLike, SockaddrStorage, getsockname, getsockopt,
};

use crate::sys;

/// The name of sockets where clients connect.
const CHAT: &str = "chat";
/// The name of the control socket.
const CTL: &str = "ctl";
/// As many may wait at a socket: chatd.socket's backlog. Whoever comes faster than they are let go does not keep us.
const WAITING_MAX: usize = 4096;
/// More than any sensible unit has.
const DESCRIPTORS_MAX: u16 = 256;

/// The sockets that were given, in the order of the units.
#[derive(Debug, Default)]
pub struct Given {
    /// Where clients connect.
    pub chat: Vec<TcpListener>,
    /// The control socket.
    pub control: Option<UnixListener>,
}

/// What is wrong with a descriptor that was given: a matter of the units.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GivenError(String);

impl fmt::Display for GivenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "what the service manager gave: {}", self.0)
    }
}

impl std::error::Error for GivenError {}

impl Given {
    /// Takes so many descriptors under these names, which are parted by colons; without names each is what it looks like.
    pub(super) fn take(count: &str, names: Option<&str>) -> Result<Self, GivenError> {
        let wrong = || GivenError(format!("'{count}' is no number of descriptors (LISTEN_FDS)"));
        let count: u16 = count.parse().map_err(|_| wrong())?;
        if count > DESCRIPTORS_MAX {
            return Err(wrong());
        }
        let descriptors = sys::given_descriptors(count)
            .map_err(|error| GivenError(format!("LISTEN_FDS is {count}, but {error}")))?;
        let names: Vec<&str> = names.map_or_else(Vec::new, |names| names.split(':').collect());
        let mut given = Self::default();
        for (at, descriptor) in descriptors.into_iter().enumerate() {
            let name = names.get(at).copied();
            let place = format!("descriptor {}, '{}'", descriptor.as_raw_fd(), name.unwrap_or(""));
            given.put(descriptor, name).map_err(|why| GivenError(format!("{place}, {why}")))?;
        }
        Ok(given)
    }

    /// Lets everybody go who waits, without a word: where nobody will serve them, each would have the daemon started again.
    pub(crate) fn turn_away(&self) {
        let waiting = || 0..WAITING_MAX;
        for socket in &self.chat {
            waiting().take_while(|_| socket.accept().is_ok()).for_each(drop);
        }
        if let Some(socket) = &self.control {
            waiting().take_while(|_| socket.accept().is_ok()).for_each(drop);
        }
    }

    fn put(&mut self, descriptor: OwnedFd, name: Option<&str>) -> Result<(), String> {
        let is_local = look_at(&descriptor)?;
        prepare(&descriptor).map_err(|error| format!("cannot be used: {error}"))?;
        match (name, is_local) {
            (Some(CHAT) | None, false) => self.chat.push(TcpListener::from(descriptor)),
            (Some(CTL) | None, true) if self.control.is_none() => {
                self.control = Some(UnixListener::from(descriptor));
            }
            (Some(CTL) | None, true) => return Err("is a second control socket".to_owned()),
            (Some(CHAT), true) => {
                return Err("is a local socket; clients connect over TCP".to_owned());
            }
            (Some(CTL), false) => {
                return Err("is a TCP socket; the control socket is a local one".to_owned());
            }
            (Some(_), _) => {
                return Err(format!(
                    "has a name that is not known; FileDescriptorName= is {CHAT} or {CTL}"
                ));
            }
        }
        Ok(())
    }
}

/// Whether a listening stream socket is a local one; what else it is.
fn look_at(descriptor: &OwnedFd) -> Result<bool, String> {
    let failed = |error: Errno| match error {
        Errno::ENOTSOCK => "is no socket".to_owned(),
        error => format!("cannot be looked at: {error}"),
    };
    if getsockopt(descriptor, Kind).map_err(failed)? != SockType::Stream {
        return Err("is no stream socket; write ListenStream=".to_owned());
    }
    if !getsockopt(descriptor, AcceptConn).map_err(failed)? {
        return Err("does not listen; leave Accept=yes out".to_owned());
    }
    let address: SockaddrStorage = getsockname(descriptor.as_raw_fd()).map_err(failed)?;
    match address.family() {
        Some(AddressFamily::Inet | AddressFamily::Inet6) => Ok(false),
        Some(AddressFamily::Unix) => Ok(true),
        _ => Err("is of a family that is not known; there are TCP and local sockets".to_owned()),
    }
}

/// As our own sockets are: nothing waits on it, and no program that is started has it.
fn prepare(descriptor: &OwnedFd) -> nix::Result<()> {
    let flags = OFlag::from_bits_retain(fcntl(descriptor, FcntlArg::F_GETFL)?);
    fcntl(descriptor, FcntlArg::F_SETFL(flags | OFlag::O_NONBLOCK))?;
    fcntl(descriptor, FcntlArg::F_SETFD(FdFlag::FD_CLOEXEC))?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::net::UdpSocket;
    use std::os::unix::net::UnixStream;

    use super::*;

    fn tcp() -> TcpListener {
        TcpListener::bind("127.0.0.1:0").unwrap()
    }

    fn local() -> UnixListener {
        let path = std::env::temp_dir().join(format!(
            "chatd-given-{}-{:?}",
            std::process::id(),
            std::thread::current().id()
        ));
        let socket = UnixListener::bind(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        socket
    }

    #[test]
    fn a_socket_goes_by_its_name_and_without_one_by_its_kind() {
        for (chat, ctl) in [(Some(CHAT), Some(CTL)), (None, None)] {
            let mut given = Given::default();
            given.put(tcp().into(), chat).unwrap();
            given.put(local().into(), ctl).unwrap();
            given.put(tcp().into(), chat).unwrap();
            assert_eq!((given.chat.len(), given.control.is_some()), (2, true));
        }
    }

    #[test]
    fn what_is_no_listening_stream_socket_of_its_name_is_refused() {
        let refusal =
            |descriptor: OwnedFd, name| Given::default().put(descriptor, Some(name)).unwrap_err();
        assert!(
            refusal(std::fs::File::open("/dev/null").unwrap().into(), CHAT).contains("no socket")
        );
        assert!(
            refusal(UdpSocket::bind("127.0.0.1:0").unwrap().into(), CHAT).contains("ListenStream=")
        );
        assert!(refusal(UnixStream::pair().unwrap().0.into(), CTL).contains("does not listen"));
        assert!(refusal(local().into(), CHAT).contains("over TCP"));
        assert!(refusal(tcp().into(), CTL).contains("a local one"));
        assert!(refusal(tcp().into(), "chatd.socket").contains("chat or ctl"));
        let mut given = Given::default();
        given.put(local().into(), Some(CTL)).unwrap();
        assert!(given.put(local().into(), Some(CTL)).unwrap_err().contains("second"));
    }

    #[test]
    fn what_is_taken_never_blocks_and_is_nobody_elses() {
        let socket = OwnedFd::from(tcp());
        fcntl(&socket, FcntlArg::F_SETFD(FdFlag::empty())).unwrap();
        let mut given = Given::default();
        given.put(socket, Some(CHAT)).unwrap();
        let socket = &given.chat[0];
        assert_eq!(socket.accept().unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
        assert_eq!(fcntl(socket, FcntlArg::F_GETFD).unwrap(), FdFlag::FD_CLOEXEC.bits());
    }

    #[test]
    fn a_wrong_count_is_refused() {
        for count in ["", "-1", "many", "70000", "300"] {
            assert!(Given::take(count, None).is_err(), "{count}");
        }
        assert!(Given::take("0", None).is_ok_and(|given| given.chat.is_empty()));
    }
}
