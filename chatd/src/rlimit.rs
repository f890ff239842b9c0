//! How many descriptors the process may have: the soft limit is raised to the hard one.

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Descriptors that are no connections: listeners, epoll, signals, the reserve, standard streams, and what libraries open.
pub const DESCRIPTORS_RESERVED: usize = 64;

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
