//! The turn's way in: waiting connections are taken, turned away, or, where no descriptors are left, shed.
//!
//! What a new connection means is the hub's business; here it gets its place in the turn's tables.

use std::io::{self, ErrorKind};

use hub::{ConnId, HangUp, Level, Peer, Refusal};
use nix::errno::Errno;
use proto::{Now, Span};

use super::{Driver, ListenerId, Log, Server, Slot, Store};
use crate::log::Kind;

/// The most connections that are accepted in a turn.
const ACCEPTS_MAX: usize = 256;
/// The most connections that are turned away by the reserve descriptor before the listener rests.
const SHEDS_MAX: usize = 16;
/// How long a listener rests that cannot accept: no edge would wake it while connections wait already.
pub(super) const LISTENER_REST: Span = Span::from_millis(100);
/// How often it is logged that nobody can be taken in.
const COMPLAINT_EVERY: Span = Span::from_secs(10);

/// What a listener waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Listening {
    /// An edge.
    Idle,
    /// Its turn: accepting has not ended in `WouldBlock`.
    Ready,
    /// Descriptors, until then.
    Resting(Now),
}

impl<D: Driver, S: Store, L: Log> Server<D, S, L> {
    pub(super) fn listener_ready(&mut self, index: usize) {
        if self.listeners.len() <= index {
            self.listeners.resize(index + 1, Listening::Idle);
        }
        if self.listeners[index] == Listening::Idle {
            self.listeners[index] = Listening::Ready;
        }
    }

    /// Takes waiting connections. Each ready listener has an equal share of the turn, so that a flood of strangers does not keep
    /// the operator from the control socket.
    pub(super) fn accept(&mut self) {
        for state in &mut self.listeners {
            if let Listening::Resting(until) = *state
                && until <= self.now
            {
                *state = Listening::Ready;
            }
        }
        let ready = self.listeners.iter().filter(|state| **state == Listening::Ready).count();
        if ready == 0 {
            return;
        }
        let share = (ACCEPTS_MAX / ready).max(1);
        let begun = self.driver.now();
        for index in 0..self.listeners.len() {
            for at in 0..share {
                if self.listeners[index] != Listening::Ready || (at > 0 && !self.has_time(begun)) {
                    break;
                }
                self.accept_one(ListenerId(index));
            }
        }
    }

    fn accept_one(&mut self, listener: ListenerId) {
        match self.driver.accept(listener) {
            Ok((stream, peer)) => self.admit(stream, peer),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {
                self.listeners[listener.0] = Listening::Idle;
            }
            Err(error) if is_exhaustion(&error) => self.shed(listener, &error),
            Err(error) if is_passing(&error) => {}
            Err(error) => {
                self.complain(|| format!("cannot accept: {error}"));
                self.rest(listener);
            }
        }
    }

    fn admit(&mut self, stream: D::Stream, peer: Peer) {
        match self.hub.accept(peer, self.now, &mut self.outbox) {
            Ok(id) | Err(Refusal { stands: Some(id), .. }) => self.give_place(stream, id),
            Err(refusal) => self.driver.refuse(stream, &refusal.words),
        }
        self.drain_outbox();
    }

    fn give_place(&mut self, stream: D::Stream, id: ConnId) {
        if self.slots.len() <= id.index() {
            self.slots.resize(id.index() + 1, Slot::default());
        }
        let slot = &mut self.slots[id.index()];
        assert!(slot.id.is_none(), "a place is free before it is given again");
        assert!(!slot.to_read && !slot.to_flush, "nobody waits in a free place");
        *slot = Slot { id: Some(id), writable: true, ..Slot::default() };
        if self.driver.register(stream, id).is_err() {
            self.hub.hang_up(id, HangUp::Reset, self.now, &mut self.outbox);
        }
    }

    /// No descriptors are left: those who wait are told so by a close, and the listener rests, since no edge will come for them.
    fn shed(&mut self, listener: ListenerId, cause: &io::Error) {
        self.complain(|| {
            format!(
                "cannot accept: {cause}; new connections are closed at once. Raise LimitNOFILE= (ulimit -n), or lower \
                 [limits] connections"
            )
        });
        for _ in 0..SHEDS_MAX {
            match self.driver.shed(listener) {
                Ok(()) => {}
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.listeners[listener.0] = Listening::Idle;
                    return;
                }
                Err(_) => break,
            }
        }
        self.rest(listener);
    }

    fn rest(&mut self, listener: ListenerId) {
        assert_eq!(self.listeners[listener.0], Listening::Ready, "who accepts may have to rest");
        self.listeners[listener.0] = Listening::Resting(self.now.after(LISTENER_REST));
    }

    /// Says why nobody is taken in, though not each time.
    fn complain(&mut self, why: impl FnOnce() -> String) {
        if self.complained.is_none_or(|last| self.now >= last.after(COMPLAINT_EVERY)) {
            self.complained = Some(self.now);
            self.log.line(Level::Error, Kind::CannotAccept, why());
        }
    }
}

/// Whether an accept failed for want of descriptors or memory, so that it will fail again.
fn is_exhaustion(error: &io::Error) -> bool {
    is_one_of(error, &[Errno::EMFILE, Errno::ENFILE, Errno::ENOBUFS, Errno::ENOMEM])
}

/// Whether an accept failed with one connection, which went away while it waited, or by a signal; accept(2) lists them.
fn is_passing(error: &io::Error) -> bool {
    let passing = [
        Errno::EINTR,
        Errno::EPERM,
        Errno::ECONNABORTED,
        Errno::ECONNRESET,
        Errno::ENOTCONN,
        Errno::ETIMEDOUT,
        Errno::EPROTO,
        Errno::ENOPROTOOPT,
        Errno::EOPNOTSUPP,
        Errno::ENETDOWN,
        Errno::ENETUNREACH,
        Errno::ENONET,
        Errno::EHOSTDOWN,
        Errno::EHOSTUNREACH,
    ];
    error.kind() == ErrorKind::Interrupted || is_one_of(error, &passing)
}

fn is_one_of(error: &io::Error, these: &[Errno]) -> bool {
    error.raw_os_error().is_some_and(|code| these.contains(&Errno::from_raw(code)))
}
