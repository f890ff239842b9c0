//! Small safe wrappers around what is unsafe to call. Nothing else in the project is.
#![allow(unsafe_code, reason = "the one folder where it lives")]

use nix::sys::signal::{SigHandler, Signal, signal};

/// Ignores a signal in the whole process.
pub(crate) fn set_signal_ignored(which: Signal) -> nix::Result<()> {
    // SAFETY: no handler is installed that could run in a signal's context; ignoring has no preconditions.
    unsafe { signal(which, SigHandler::SigIgn) }.map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_to_nobody_is_an_error_and_no_death() {
        set_signal_ignored(Signal::SIGPIPE).expect("any process may ignore PIPE");
        let (reader, writer) = nix::unistd::pipe().expect("a pipe");
        drop(reader);
        assert_eq!(nix::unistd::write(&writer, b"x"), Err(nix::errno::Errno::EPIPE));
    }
}
