//! How many descriptors the process may have: the soft limit is raised to the hard one.

use nix::fcntl::{FcntlArg, fcntl};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::unistd::close;

/// Descriptors that are no clients: listeners, epoll, signals, the reserve, standard streams, who is turned away, and what libraries open.
pub const DESCRIPTORS_RESERVED: usize = 64;

const _: () = assert!(
    hub::TURNED_AWAY_CONNECTIONS_MAX <= DESCRIPTORS_RESERVED / 4,
    "who is turned away takes no client's descriptor"
);

/// Raises the limit as far as it goes, and returns what it is then.
///
/// # Errors
/// Those of getrlimit; a refused raise is none, the soft limit then stays.
pub fn raise() -> nix::Result<usize> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    let reached = match setrlimit(Resource::RLIMIT_NOFILE, hard, hard) {
        Ok(()) => hard,
        Err(_) => soft,
    };
    Ok(usize::try_from(reached).unwrap_or(usize::MAX))
}

/// How many connections fit: what is left of the limit when everything else has its descriptors.
pub fn connections(limit: usize) -> usize {
    limit.saturating_sub(DESCRIPTORS_RESERVED).max(1)
}

/// The largest table of descriptors that is made at the start: half a mebibyte of the kernel's memory.
const RESERVED_MAX: usize = 65_536;

/// Lets the kernel make its table of descriptors as large as it will be, by a descriptor of a high number that is closed at once.
/// When it grows later, at each doubling, a process of several threads waits for 10 to 15 ms.
///
/// # Errors
/// The system call's; nothing is lost but that time.
pub fn reserve(descriptors: usize) -> nix::Result<()> {
    let highest = i32::try_from(descriptors.min(RESERVED_MAX)).unwrap_or(i32::MAX) - 1;
    let high = fcntl(std::io::stderr(), FcntlArg::F_DUPFD_CLOEXEC(highest))?;
    close(high)
}
