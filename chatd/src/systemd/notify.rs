//! Words to the service manager: one datagram each, see `sd_notify(3)`. Nothing here waits: what does not fit is an error, and is said
//! later. When something is to be said is decided in [`crate::reports`].

use std::ffi::OsStr;
use std::io;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};

use proto::Span;

/// The way to the service manager.
#[derive(Debug)]
pub struct Notify {
    socket: UnixDatagram,
    to: SocketAddr,
    watchdog: Option<Span>,
}

impl Notify {
    /// `address` is a path, or a name without a file behind `@`. Other kinds, and what cannot be opened, are as if there were none.
    pub(super) fn to(address: &OsStr, watchdog: Option<&str>) -> Option<Self> {
        let to = match address.as_bytes() {
            [b'@', name @ ..] => SocketAddr::from_abstract_name(name).ok()?,
            [b'/', ..] => SocketAddr::from_pathname(address).ok()?,
            _ => return None,
        };
        let socket = UnixDatagram::unbound().ok()?;
        socket.set_nonblocking(true).ok()?;
        let watchdog = watchdog.and_then(|span| span.parse().ok()).filter(|span| *span > 0);
        Some(Self { socket, to, watchdog: watchdog.map(Span::from_micros) })
    }

    /// How long it may hear nothing before it takes the daemon for stuck.
    pub const fn watchdog(&self) -> Option<Span> {
        self.watchdog
    }

    /// Says this, if there is room.
    ///
    /// # Errors
    /// `WouldBlock`: the manager is behind, try again. Others: it is gone.
    pub fn say(&self, words: &str) -> io::Result<()> {
        self.socket.send_to_addr(words.as_bytes(), &self.to).map(drop)
    }
}

/// What is said when a reload begins; `READY=1` ends it. `monotonic` is the kernel's monotonic clock.
pub fn reloading(monotonic: Span) -> String {
    format!("RELOADING=1\nMONOTONIC_USEC={}", monotonic.as_micros())
}

/// What is said while the start takes long: the next words come within `span`.
pub fn recovering(span: Span) -> String {
    format!("STATUS=Recovering\nEXTEND_TIMEOUT_USEC={}", span.as_micros())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manager() -> (UnixDatagram, Notify) {
        let name = format!("chatd-notify-{}-{:?}", std::process::id(), std::thread::current().id());
        let socket =
            UnixDatagram::bind_addr(&SocketAddr::from_abstract_name(&name).unwrap()).unwrap();
        let notify = Notify::to(OsStr::new(&format!("@{name}")), Some("3000000")).unwrap();
        (socket, notify)
    }

    #[test]
    fn the_manager_hears_one_datagram() {
        let (socket, notify) = manager();
        notify.say("READY=1\nSTATUS=here").unwrap();
        let mut bytes = [0; 64];
        let read = socket.recv(&mut bytes).unwrap();
        assert_eq!(&bytes[..read], b"READY=1\nSTATUS=here");
        assert_eq!(notify.watchdog(), Some(Span::from_secs(3)));
    }

    #[test]
    fn a_manager_that_reads_nothing_holds_nothing_up() {
        let (_socket, notify) = manager();
        let refused = std::iter::repeat_with(|| notify.say("WATCHDOG=1")).find_map(Result::err);
        assert_eq!(refused.unwrap().kind(), io::ErrorKind::WouldBlock);
    }

    #[test]
    fn an_address_of_another_kind_is_none() {
        assert!(Notify::to(OsStr::new("vsock:2:1"), None).is_none());
        assert!(Notify::to(OsStr::new(""), None).is_none());
        assert!(Notify::to(OsStr::new("@here"), Some("0")).unwrap().watchdog().is_none());
    }

    #[test]
    fn long_work_is_announced_as_systemd_reads_it() {
        assert_eq!(reloading(Span::from_micros(17)), "RELOADING=1\nMONOTONIC_USEC=17");
        assert_eq!(
            recovering(Span::from_secs(2)),
            "STATUS=Recovering\nEXTEND_TIMEOUT_USEC=2000000"
        );
    }
}
