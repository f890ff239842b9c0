//! Where talks come in: a listener, and the few callers that have not said yet who they are or are being turned away.
//!
//! Whoever says hello first is offered first; who is let in is its owner's decision. What callers do before costs no more
//! than a few connections for a few seconds, and disturbs no talk.

use super::{Happening, Hello, Link, Peer};
use nix::poll::PollFlags;
use proto::{Now, Span};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::{AsFd, BorrowedFd};

/// How many callers there may be at the door at once; for one more the oldest is closed.
const CALLERS_MAX: usize = 16;

/// So long who was turned away has to take the answer and to close: closing first could take it back.
const TURNED_AWAY_SPAN_MAX: Span = Span::from_secs(2);

/// After this long the kernel is asked again for callers, where it could not give one.
const DEAF_SPAN: Span = Span::from_secs(1);

/// Somebody at the door.
struct Caller {
    link: Link,
    /// Until when it may linger, where it was turned away or has no more to say.
    until: Option<Now>,
}

/// A listener and its callers.
pub struct Door {
    listener: TcpListener,
    callers: Vec<Caller>,
    deaf_until: Option<Now>,
}

impl Door {
    /// Listens at the first of these addresses.
    pub fn open(addresses: &[SocketAddr]) -> io::Result<Self> {
        let listener = TcpListener::bind(addresses)?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, callers: Vec::new(), deaf_until: None })
    }

    /// Where it listens.
    pub fn address(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// The descriptors to wait for, and what for. `step` takes what became of them in this order.
    pub fn watched(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let wanted = if self.deaf_until.is_some() { PollFlags::empty() } else { PollFlags::POLLIN };
        let callers = self.callers.iter().map(|caller| caller.link.watched());
        std::iter::once((self.listener.as_fd(), wanted)).chain(callers).collect()
    }

    /// When to look again, whatever the descriptors say.
    pub fn next(&self) -> Option<Now> {
        let callers = self.callers.iter();
        let callers = callers.flat_map(|caller| [caller.until, caller.link.peer.next()]);
        callers.chain([self.deaf_until]).flatten().min()
    }

    /// Lets callers come to the door, hears them, and closes behind those who are done with.
    pub fn step(&mut self, ready: &[PollFlags], now: Now) {
        for (caller, flags) in self.callers.iter_mut().zip(ready.iter().skip(1)) {
            if !flags.is_empty() {
                caller.link.read(now);
            }
        }
        for caller in &mut self.callers {
            caller.link.peer.expire(now);
            caller.link.flush(now);
            if caller.link.peer.is_over() && caller.until.is_none() {
                caller.until = Some(now.after(TURNED_AWAY_SPAN_MAX));
            }
        }
        self.callers.retain(|caller| {
            !caller.link.is_closed() && caller.until.is_none_or(|until| now < until)
        });
        self.deaf_until = self.deaf_until.filter(|until| now < *until);
        if ready.first().is_some_and(|flags| !flags.is_empty()) {
            self.accept(now);
        }
        assert!(self.callers.len() <= CALLERS_MAX, "the door is narrow");
    }

    /// The next caller who has said who it is, to be welcomed or turned away by its owner: by `Door::turn_away`, or by
    /// welcoming the peer of the link.
    pub fn caller(&mut self) -> Option<(Link, Hello)> {
        for (place, caller) in self.callers.iter_mut().enumerate() {
            while let Some(happening) = caller.link.peer.take() {
                let Happening::Called(hello) = happening else { continue };
                if !caller.link.peer.is_over() {
                    return Some((self.callers.remove(place).link, hello));
                }
            }
        }
        None
    }

    /// Turns a caller away, and sees to it that it hears so.
    pub fn turn_away(&mut self, mut link: Link, code: &str, message: &str, now: Now) {
        link.peer.turn_away(code, message);
        link.flush(now);
        if self.callers.len() >= CALLERS_MAX {
            self.callers.remove(0);
        }
        self.callers.push(Caller { link, until: Some(now.after(TURNED_AWAY_SPAN_MAX)) });
    }

    fn accept(&mut self, now: Now) {
        // A few at a time, so that a flood of callers costs a talk little.
        for _ in 0..CALLERS_MAX {
            match self.listener.accept() {
                Ok((stream, _)) => {
                    // A connection that is gone already is none.
                    let Ok(link) = Link::new(stream, Peer::called(now)) else { continue };
                    // Whoever means it says hello at once: those who wait longest are the least likely to.
                    if self.callers.len() >= CALLERS_MAX {
                        self.callers.remove(0);
                    }
                    self.callers.push(Caller { link, until: None });
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                Err(_) => {
                    self.deaf_until = Some(now.after(DEAF_SPAN));
                    return;
                }
            }
        }
    }
}
