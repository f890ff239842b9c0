//! Somebody at a terminal, as far as lines go: what they type, and what the terminal shows.

use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};
use std::time::Instant;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use tests::DEADLINE;

/// A program whose keyboard is a terminal, and that prints there, too.
pub(crate) struct Typist {
    pub(crate) program: Child,
    terminal: OwnedFd,
    shown: String,
    /// Up to where that was looked at.
    seen: usize,
}

impl Typist {
    pub(crate) fn start(command: &mut Command) -> Self {
        let pair = nix::pty::openpty(None, None).unwrap();
        let end = || Stdio::from(pair.slave.try_clone().unwrap());
        let program = command.stdin(end()).stdout(end()).stderr(end()).spawn().unwrap();
        Self { program, terminal: pair.master, shown: String::new(), seen: 0 }
    }

    pub(crate) fn types(&self, keys: &[u8]) {
        nix::unistd::write(&self.terminal, keys).unwrap();
    }

    /// All that the terminal has shown so far, as far as it was looked at.
    pub(crate) fn all(&self) -> &str {
        &self.shown
    }

    /// Waits until the terminal shows this behind what was waited for before.
    pub(crate) fn sees(&mut self, text: &str) {
        let begun = Instant::now();
        loop {
            let unseen = &self.shown[self.seen..];
            if let Some(at) = unseen.find(text) {
                self.seen += at + text.len();
                return;
            }
            assert!(begun.elapsed() < DEADLINE, "never {text:?}: {unseen:?}");
            let mut fds = [PollFd::new(self.terminal.as_fd(), PollFlags::POLLIN)];
            poll(&mut fds, PollTimeout::from(100_u8)).unwrap();
            if fds[0].any() == Some(true) {
                let mut bytes = [0; 4096];
                let count = nix::unistd::read(&self.terminal, &mut bytes).unwrap_or(0);
                self.shown.push_str(&String::from_utf8_lossy(&bytes[..count]));
            }
        }
    }
}

impl Drop for Typist {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}
