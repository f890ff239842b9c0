//! Work that may take its time, in a thread of its own: a call to somebody who may not be there. Its owner goes on waiting for
//! whatever else may happen, and looks when the bell rings.

use nix::sys::signal::SigSet;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{self, Receiver};
use std::thread;

/// Work in its thread: what came of it, and a descriptor that can be read when there is an answer.
#[derive(Debug)]
pub struct Background<T> {
    answer: Receiver<T>,
    bell: UnixStream,
}

impl<T: Send + 'static> Background<T> {
    /// Begins it.
    pub fn start(work: impl FnOnce() -> T + Send + 'static) -> io::Result<Self> {
        let (bell, ringing) = UnixStream::pair()?;
        let (say, answer) = mpsc::channel();
        thread::Builder::new().spawn(move || {
            // The signals of the process are for the thread that waits for them.
            let _ = SigSet::all().thread_block();
            // Nobody may be waiting any more. The bell rings where its other end is dropped.
            let _ = say.send(work());
            drop(ringing);
        })?;
        Ok(Self { answer, bell })
    }
}

impl<T> Background<T> {
    /// What came of it, once there is something; once.
    pub fn take(&self) -> Option<T> {
        self.answer.try_recv().ok()
    }

    /// Can be read when there is an answer.
    pub fn bell(&self) -> BorrowedFd<'_> {
        self.bell.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::Background;
    use crate::client::poll;
    use nix::poll::{PollFd, PollFlags};

    #[test]
    fn the_bell_rings_when_there_is_an_answer() {
        let (say, hear) = std::sync::mpsc::channel();
        let work = Background::start(move || hear.recv()).expect("a thread");
        assert!(work.take().is_none());
        say.send(3).expect("somebody waits");
        let mut fds = [PollFd::new(work.bell(), PollFlags::POLLIN)];
        poll(&mut fds, None).expect("it rings");
        assert_eq!((work.take(), work.take()), (Some(Ok(3)), None));
    }
}
