//! Signals that end a follower, held back while it finishes what it has begun.
//!
//! While they are held they wait, and their coming is seen on a descriptor; let go, they do what they always do: end
//! the process, with the status that says which. Nothing is done here in a signal's own moment, and one that whoever
//! started us had ignored stays ignored.

use crate::failure::{Exit, Failure};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use std::os::fd::{AsFd, BorrowedFd};

/// Those that ask for an end in good order.
const ENDING: [Signal; 3] = [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP];

/// The signals that can be held.
pub struct Signals {
    set: SigSet,
    seen: SignalFd,
}

impl Signals {
    /// Prepares to hold those that ask for an end; they are not held yet.
    pub fn new() -> Result<Self, Failure> {
        Self::of(&ENDING)
    }

    /// Prepares to hold these.
    pub fn of(signals: &[Signal]) -> Result<Self, Failure> {
        let ignored = ignored();
        let mut set = SigSet::empty();
        for signal in signals.iter().copied().filter(|signal| ignored & bit(*signal) == 0) {
            set.add(signal);
        }
        let seen = SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC);
        Ok(Self { set, seen: seen.map_err(failed)? })
    }

    /// From now on they wait.
    pub fn hold(&self) -> Result<(), Failure> {
        self.set.thread_block().map_err(failed)
    }

    /// They do what they do: where one has waited, the process ends within this call.
    pub fn let_go(&self) -> Result<(), Failure> {
        self.set.thread_unblock().map_err(failed)
    }

    /// Takes one that waits: it will do nothing by itself any more.
    pub fn take(&self) -> Result<Option<Signal>, Failure> {
        let seen = self.seen.read_signal().map_err(failed)?;
        let number = seen.and_then(|seen| i32::try_from(seen.ssi_signo).ok());
        Ok(number.and_then(|number| Signal::try_from(number).ok()))
    }

    /// Lets one that was taken do what it does: the process ends within this call, unless that is nothing.
    pub fn obey(&self, signal: Signal) -> Result<(), Failure> {
        nix::sys::signal::raise(signal).map_err(failed)?;
        self.let_go()
    }

    /// Readable when one of them waits.
    pub fn descriptor(&self) -> BorrowedFd<'_> {
        self.seen.as_fd()
    }
}

fn failed(errno: nix::errno::Errno) -> Failure {
    Failure::new(Exit::Refused, "signals", format!("signals: {}", errno.desc()))
}

fn bit(signal: Signal) -> u64 {
    1 << (signal as u32 - 1)
}

/// The signals that this process ignores; a background job ignores INT, and what `nohup` starts HUP.
fn ignored() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    ignored_in(&status)
}

fn ignored_in(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::{bit, ignored_in};
    use nix::sys::signal::Signal;

    #[test]
    fn what_is_ignored_is_read_from_the_kernels_word() {
        let ignored = ignored_in("Name:\tx\nSigIgn:\t0000000000001001\nSigCgt:\t0\n");
        assert!(ignored & bit(Signal::SIGHUP) != 0 && ignored & bit(Signal::SIGPIPE) != 0);
        assert!(ignored & bit(Signal::SIGTERM) == 0);
        assert_eq!(ignored_in("nothing of the kind"), 0);
    }
}
