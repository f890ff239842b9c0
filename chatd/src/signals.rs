//! TERM, INT, HUP and USR1 as a descriptor of the loop, by signalfd. PIPE is ignored: a write to a closed connection is an error, no
//! death.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// TERM or INT: the end.
    Stop,
    /// HUP: the configuration is to be read anew.
    Reload,
    /// USR1: what the daemon counts, in the log.
    Summary,
}

/// The signals that the daemon listens to.
#[derive(Debug)]
pub struct Signals {
    descriptor: SignalFd,
}

impl Signals {
    /// Blocks the signals for this thread and all that it starts, so it is called before any other is there.
    ///
    /// # Errors
    /// Those of the system calls: the process has no descriptors left.
    pub fn block() -> nix::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        set.add(Signal::SIGHUP);
        set.add(Signal::SIGUSR1);
        set.thread_block()?;
        ignore_pipe()?;
        let descriptor =
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { descriptor })
    }

    /// Takes the next one that has come.
    pub fn take(&mut self) -> Option<Asked> {
        let info = self.descriptor.read_signal().ok()??;
        let is = |signal| i32::try_from(info.ssi_signo) == Ok(signal as i32);
        Some(if is(Signal::SIGHUP) {
            Asked::Reload
        } else if is(Signal::SIGUSR1) {
            Asked::Summary
        } else {
            Asked::Stop
        })
    }
}

impl AsRawFd for Signals {
    fn as_raw_fd(&self) -> RawFd {
        self.descriptor.as_fd().as_raw_fd()
    }
}

/// Rust's runtime ignores PIPE already, unless the binary is built otherwise; here it is certain.
fn ignore_pipe() -> nix::Result<()> {
    crate::sys::set_signal_ignored(Signal::SIGPIPE)
}
