//! Farewells: many connections that go for one reason, a ban of their network or the daemon's end, in portions.
//!
//! Who is to go is listed at once and heard no more from that moment on; each is closed when its portion comes. So one command
//! makes no turn long, however many it concerns. [`Hub::expire`] takes the portions between its timers.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::{ConnId, Phase};
use crate::outbox::Outbox;
use crate::planted::Planted;

/// So many go at once with what sends them off; the others follow.
const FAREWELLS_AT_ONCE: usize = 16;

/// Why they go, and how.
#[derive(Clone, Debug)]
pub(crate) enum Farewell {
    /// An administrator keeps them out, and has these words for them.
    Banned(Box<str>),
    /// The daemon ends: what waits for them is written.
    Ending,
    /// The time for that is over.
    Abandoned,
}

/// Some who go for one reason.
#[derive(Debug)]
struct Party {
    farewell: Farewell,
    /// Sorted by id.
    who: Vec<ConnId>,
    /// So many of them are gone.
    gone: usize,
}

/// Everybody who is to go; each connection once.
#[derive(Debug, Default)]
pub(crate) struct Farewells {
    waiting: VecDeque<Party>,
}

impl Farewells {
    /// Whether nobody is to go.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Whether a connection is to go.
    pub(crate) fn concern(&self, id: ConnId) -> bool {
        self.waiting.iter().any(|party| party.who[party.gone..].binary_search(&id).is_ok())
    }

    /// These are to go, but for those who are anyway.
    fn add(&mut self, farewell: Farewell, mut who: Vec<ConnId>) {
        if !self.is_empty() {
            who.retain(|id| !self.concern(*id));
        }
        who.sort_unstable();
        assert!(who.is_sorted_by(|a, b| a < b), "each goes once");
        if !who.is_empty() {
            self.waiting.push_back(Party { farewell, who, gone: 0 });
        }
    }

    /// The next to go.
    fn next(&mut self) -> Option<(ConnId, Farewell)> {
        let party = self.waiting.front_mut()?;
        let next = (party.who[party.gone], party.farewell.clone());
        party.gone += 1;
        if party.gone == party.who.len() {
            self.waiting.pop_front();
        }
        Some(next)
    }
}

impl Hub {
    /// These are to go, the first of them now.
    pub(crate) fn send_off(&mut self, farewell: Farewell, who: Vec<ConnId>, out: &mut Outbox) {
        if matches!(farewell, Farewell::Abandoned) {
            // Nobody is waited for any more.
            self.farewells = Farewells::default();
        }
        self.farewells.add(farewell, who);
        for _ in 0..FAREWELLS_AT_ONCE {
            if !self.send_off_next(out) {
                return;
            }
            self.has_done(1);
        }
    }

    /// The next who is to go goes; false where there is nobody.
    pub(crate) fn send_off_next(&mut self, out: &mut Outbox) -> bool {
        let Some((id, farewell)) = self.farewells.next() else { return false };
        let Some(connection) = self.connections.get(id) else { return true };
        let lingers = matches!(connection.phase, Phase::Lingering { .. });
        let is_leaving = lingers || matches!(connection.phase, Phase::Leaving(_));
        match farewell {
            Farewell::Abandoned => self.close(id, CloseReason::Drain, out),
            // It has everything that it is owed.
            Farewell::Ending if lingers => self.close(id, CloseReason::Drain, out),
            Farewell::Ending => self.dismiss(id, CloseReason::Drain, "The daemon is ending.", out),
            Farewell::Banned(_) if self.settings.plants(Planted::KickStays) => return true,
            // Who was leaving anyway is not waited for any longer.
            Farewell::Banned(_) if is_leaving => self.close(id, CloseReason::Banned, out),
            Farewell::Banned(words) => self.dismiss(id, CloseReason::Banned, &words, out),
        }
        assert!(!self.connections.known(id).phase.is_live(), "who went is not heard any more");
        assert!(!self.farewells.concern(id), "nobody goes twice");
        true
    }

    /// Whether a connection is heard: it lives, nobody sends it off, and the server listens.
    pub(crate) fn is_heard(&self, id: ConnId) -> bool {
        let lives = self.connections.get(id).is_some_and(|connection| connection.phase.is_live());
        lives
            && !self.course.is_deaf()
            && (self.farewells.is_empty() || !self.farewells.concern(id))
    }
}
