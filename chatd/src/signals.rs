//! TERM and INT as a descriptor of the loop, by signalfd. PIPE is ignored: a write to a closed connection is an error, no death.

use std::os::fd::{AsFd, AsRawFd, RawFd};

use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// The signals that end the daemon.
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
        set.thread_block()?;
        ignore_pipe()?;
        let descriptor =
            SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok(Self { descriptor })
    }

    /// Takes what has come; how many.
    pub fn drain(&mut self) -> usize {
        let mut count = 0;
        while let Ok(Some(_)) = self.descriptor.read_signal() {
            count += 1;
        }
        count
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
