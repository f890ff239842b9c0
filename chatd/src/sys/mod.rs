//! Small safe wrappers around what is unsafe to call. Nothing else in the project is.
#![allow(unsafe_code, reason = "the one folder where it lives")]

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::{SigHandler, Signal, signal};
use nix::unistd::Gid;

/// Nearly everybody is in fewer groups than this, so that one question is enough.
const GROUPS_USUAL: usize = 64;
/// Nobody is in more groups: the kernel's own limit (`NGROUPS_MAX`).
const GROUPS_MAX: usize = 65_536;
/// Groups do not change once somebody has connected: the second question has the answer.
const GROUPS_TRIES_MAX: usize = 2;

/// Ignores a signal in the whole process.
pub(crate) fn set_signal_ignored(which: Signal) -> nix::Result<()> {
    // SAFETY: no handler is installed that could run in a signal's context; ignoring has no preconditions.
    unsafe { signal(which, SigHandler::SigIgn) }.map(drop)
}

/// What the kernel knows of a TCP connection's way to its peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TcpWay {
    /// The smoothed round-trip time, in microseconds.
    pub(crate) rtt_us: u32,
    /// Segments that were sent and are not acknowledged.
    pub(crate) unacknowledged: u32,
}

/// Asks what the kernel knows of a TCP connection's way.
pub(crate) fn tcp_way(socket: &impl AsFd) -> nix::Result<TcpWay> {
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: all fields are integers, for which zero is a value; an older kernel leaves the last ones as they are.
    let mut info: libc::tcp_info = unsafe { std::mem::zeroed() };
    let mut length = libc::socklen_t::try_from(size_of_val(&info)).expect("it is some 100 bytes");
    let place = (&raw mut info).cast();
    // SAFETY: `fd` is open as long as `socket` is borrowed, and the kernel writes at most `length` bytes into `info`.
    let done =
        unsafe { libc::getsockopt(fd, libc::IPPROTO_TCP, libc::TCP_INFO, place, &raw mut length) };
    Errno::result(done)?;
    Ok(TcpWay { rtt_us: info.tcpi_rtt, unacknowledged: info.tcpi_unacked })
}

/// How many bytes the kernel holds for a socket's peer: over TCP what is not acknowledged, on a local socket what is not read,
/// with what the kernel's buffers cost there.
pub(crate) fn bytes_held(socket: &impl AsFd) -> nix::Result<u32> {
    let fd = socket.as_fd().as_raw_fd();
    let mut held: libc::c_int = 0;
    // SAFETY: `fd` is open as long as `socket` is borrowed, and the kernel writes one integer (`SIOCOUTQ` is this number, too).
    let done = unsafe { libc::ioctl(fd, libc::TIOCOUTQ, &raw mut held) };
    Errno::result(done)?;
    Ok(u32::try_from(held).unwrap_or(0))
}

/// Sets how many bytes the kernel takes for a TCP peer that it cannot send yet. It says that there is room again when half of them
/// are sent, however large its buffer is.
pub(crate) fn set_unsent_max(socket: &impl AsFd, bytes: u32) -> nix::Result<()> {
    let fd = socket.as_fd().as_raw_fd();
    let length = libc::socklen_t::try_from(size_of_val(&bytes)).expect("it is 4 bytes");
    let (place, option) = ((&raw const bytes).cast(), libc::TCP_NOTSENT_LOWAT);
    // SAFETY: `fd` is open as long as `socket` is borrowed, and the kernel reads the `length` bytes of one integer.
    let done = unsafe { libc::setsockopt(fd, libc::IPPROTO_TCP, option, place, length) };
    Errno::result(done).map(drop)
}

/// Lets every descriptor that leads to one file lead to another: for tests of what happens when a disk fails under somebody.
#[cfg(test)]
pub(crate) fn lead_elsewhere(from: &std::path::Path, to: &std::fs::File) -> io::Result<usize> {
    let mut count = 0;
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let entry = entry?;
        // One that another thread has closed meanwhile is none of ours.
        let leads_there = std::fs::read_link(entry.path()).is_ok_and(|target| target == from);
        let number = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok());
        if let Some(number) = number.filter(|_| leads_there) {
            // SAFETY: both are open, and whoever owns `number` goes on owning an open descriptor.
            Errno::result(unsafe { libc::dup3(to.as_raw_fd(), number, libc::O_CLOEXEC) })?;
            count += 1;
        }
    }
    Ok(count)
}

/// The first descriptor behind standard input, output and error.
const FIRST_GIVEN: RawFd = 3;

/// Takes the descriptors that this process was started with, as `sd_listen_fds(3)` numbers them. It is called once, before anything is
/// opened: what is open then is nobody else's.
pub(crate) fn given_descriptors(count: u16) -> io::Result<Vec<OwnedFd>> {
    let numbers = (FIRST_GIVEN..).take(count.into());
    // First all are looked at: none is closed where one is not there.
    for number in numbers.clone() {
        // SAFETY: the number is used for this one call, which does nothing but fail where it is not open.
        let is_open = unsafe { libc::fcntl(number, libc::F_GETFD) };
        Errno::result(is_open)
            .map_err(|_| io::Error::other(format!("descriptor {number} is not open")))?;
    }
    // SAFETY: each is open, and nothing in this process knows of it yet.
    Ok(numbers.map(|number| unsafe { OwnedFd::from_raw_fd(number) }).collect())
}

/// Takes variables out of the environment, so that nobody whom we start has them. It is called before there is a second thread, and
/// does nothing where there is one.
pub(crate) fn forget_variables(names: &[&str]) {
    if !is_only_thread() {
        return;
    }
    for name in names {
        // SAFETY: no other thread reads the environment, since there is none.
        unsafe { std::env::remove_var(name) };
    }
}

fn is_only_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

/// The groups that somebody at the other end of a local socket was in when it connected, besides its first one.
pub(crate) fn peer_groups(socket: &impl AsFd) -> nix::Result<Vec<Gid>> {
    let fd = socket.as_fd().as_raw_fd();
    let mut groups: Vec<libc::gid_t> = vec![0; GROUPS_USUAL];
    for _ in 0..GROUPS_TRIES_MAX {
        let room = size_of_val(&groups[..]);
        let mut length = libc::socklen_t::try_from(room).expect("a list of groups is short");
        let place = groups.as_mut_ptr().cast();
        // SAFETY: `fd` is open as long as `socket` is borrowed, and the kernel writes at most `length` bytes, which `groups` has.
        let done = unsafe {
            libc::getsockopt(fd, libc::SOL_SOCKET, libc::SO_PEERGROUPS, place, &raw mut length)
        };
        let count = usize::try_from(length).unwrap_or(0) / size_of::<libc::gid_t>();
        match Errno::result(done) {
            // There are more: the kernel says how many.
            Err(Errno::ERANGE) if count > groups.len() && count <= GROUPS_MAX => {
                groups.resize(count, 0);
            }
            Err(error) => return Err(error),
            Ok(_) => {
                groups.truncate(count);
                return Ok(groups.into_iter().map(Gid::from_raw).collect());
            }
        }
    }
    Err(Errno::ERANGE)
}

#[cfg(test)]
mod tests {
    use std::io::{ErrorKind, Write};
    use std::net::{TcpListener, TcpStream};
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn a_write_to_nobody_is_an_error_and_no_death() {
        set_signal_ignored(Signal::SIGPIPE).expect("any process may ignore PIPE");
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(nix::unistd::write(&writer, b"x"), Err(nix::errno::Errno::EPIPE));
    }

    #[test]
    fn the_kernel_tells_the_way_of_a_tcp_connection_only() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let stream = TcpStream::connect(listener.local_addr().expect("a port")).expect("it waits");
        let way = tcp_way(&stream).expect("a TCP connection");
        assert!(way.rtt_us > 0, "the handshake was a round trip");
        assert_eq!(way.unacknowledged, 0);
        let (local, _) = UnixStream::pair().expect("a pair");
        assert_eq!(tcp_way(&local), Err(Errno::EOPNOTSUPP));
    }

    /// How many bytes are held that the kernel could not send yet does not depend on its buffer.
    #[test]
    fn what_cannot_be_sent_has_its_own_limit_which_accepted_sockets_inherit() {
        let taken = |most: u32| {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
            set_unsent_max(&listener, most).expect("a socket option");
            let address = listener.local_addr().expect("a port");
            let _peer = TcpStream::connect(address).expect("it waits");
            let (mut sender, _) = listener.accept().expect("it came");
            sender.set_nonblocking(true).expect("a socket option");
            std::iter::repeat_with(|| sender.write(&[0; 4096])).map_while(Result::ok).sum::<usize>()
        };
        assert!(taken(16 * 1024) < taken(u32::MAX));
        let (local, _) = UnixStream::pair().expect("a pair");
        assert!(set_unsent_max(&local, 1).is_err(), "it is an option of TCP");
    }

    #[test]
    fn the_kernel_tells_the_groups_of_a_local_peer_only() {
        let (local, _peer) = UnixStream::pair().expect("a pair");
        let mut told = peer_groups(&local).expect("we are at both ends");
        let mut ours = nix::unistd::getgroups().expect("any process may ask");
        told.sort_by_key(|group| group.as_raw());
        ours.sort_by_key(|group| group.as_raw());
        assert_eq!(told, ours);
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let told = peer_groups(&listener);
        assert!(told.is_err(), "nobody is at the other end: {told:?}");
    }

    #[test]
    fn what_nobody_reads_is_held_by_the_kernel() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("a port");
        let mut sender = TcpStream::connect(address).expect("it waits");
        assert_eq!(bytes_held(&sender), Ok(0));
        let _receiver = listener.accept().expect("it came");
        sender.set_nonblocking(true).expect("a socket option");
        let full = std::iter::repeat_with(|| sender.write(&[0; 4096])).find_map(Result::err);
        assert_eq!(full.map(|error| error.kind()), Some(ErrorKind::WouldBlock));
        assert!(bytes_held(&sender).expect("a socket") > 0);
        let (mut local, _peer) = UnixStream::pair().expect("a pair");
        local.write_all(b"some bytes").expect("they fit");
        assert!(bytes_held(&local).expect("a socket") >= 10);
    }
}
