//! Those who wait for a peer, in the order in which they came, so that whoever comes finds the first that goes with it without a
//! look at all of them.
//!
//! It decides who goes with whom, and nothing of what becomes of them.

use alloc::collections::BTreeMap;

use proto::{NickKey, Turns};

use crate::connection::ConnId;

/// The place of one who waits: who came earlier has a lower one.
pub(crate) type Place = u64;

/// One who waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Waiter {
    pub(crate) who: ConnId,
    /// Its own name.
    pub(crate) called: NickKey,
    /// Whom alone it waits for; nothing where for anyone.
    pub(crate) wanted: Option<NickKey>,
    pub(crate) turns: Turns,
    pub(crate) place: Place,
}

impl Waiter {
    /// Whether this one is content with the other. `is_meant`: the other's name is its own to speak for.
    fn wants(&self, other: &Self, is_meant: bool) -> bool {
        self.wanted.as_ref().is_none_or(|wanted| is_meant && *wanted == other.called)
    }

    /// Whether two go together.
    pub(crate) fn goes_with(&self, other: &Self, is_meant: &impl Fn(&Self) -> bool) -> bool {
        self.who != other.who
            && self.turns.with(other.turns).is_some()
            && self.wants(other, is_meant(other))
            && other.wants(self, is_meant(self))
    }
}

/// Everybody who waits.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    waiters: BTreeMap<ConnId, Waiter>,
    /// Those who wait for anyone.
    open: BTreeMap<(Turns, Place), ConnId>,
    /// Those who wait for a name.
    inviting: BTreeMap<(NickKey, Turns, Place), ConnId>,
    /// All of them, by their own name: more than one for a user of the control socket.
    called: BTreeMap<(NickKey, Place), ConnId>,
}

impl Queue {
    /// How many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiters.len()
    }

    /// Somebody comes in, at its place.
    pub(crate) fn enter(&mut self, waiter: Waiter) {
        let Waiter { who, turns, place, .. } = waiter;
        let before = self.called.insert((waiter.called.clone(), place), who);
        assert!(before.is_none(), "a place is one waiter's");
        let before = match waiter.wanted.clone() {
            None => self.open.insert((turns, place), who),
            Some(wanted) => self.inviting.insert((wanted, turns, place), who),
        };
        assert!(before.is_none(), "a place is one waiter's");
        let before = self.waiters.insert(who, waiter);
        assert!(before.is_none(), "nobody waits twice");
    }

    /// Somebody goes; nothing where it does not wait.
    pub(crate) fn leave(&mut self, who: ConnId) -> Option<Waiter> {
        let waiter = self.waiters.remove(&who)?;
        let Waiter { turns, place, .. } = waiter;
        let called = self.called.remove(&(waiter.called.clone(), place));
        assert_eq!(called, Some(who), "who waits is found by its name");
        let other = match waiter.wanted.clone() {
            None => self.open.remove(&(turns, place)),
            Some(wanted) => self.inviting.remove(&(wanted, turns, place)),
        };
        assert_eq!(other, Some(who), "who waits is found by its wish");
        Some(waiter)
    }

    /// The first of those who go with one that is not in the queue itself. `is_meant` tells whose name is theirs to speak for.
    pub(crate) fn first_for(
        &self,
        seeker: &Waiter,
        is_meant: &impl Fn(&Waiter) -> bool,
    ) -> Option<&Waiter> {
        assert!(!self.waiters.contains_key(&seeker.who), "who seeks does not find itself");
        let found = if let Some(wanted) = &seeker.wanted {
            // Those of one name are one, or the few connections of one user of the control socket.
            let called = self.called.range((wanted.clone(), 0)..=(wanted.clone(), Place::MAX));
            let mut called = called.map(|(_, who)| &self.waiters[who]);
            called.find(|other| other.goes_with(seeker, is_meant))
        } else {
            let goes = |turns: &Turns| turns.with(seeker.turns).is_some();
            let firsts = Turns::ALL.into_iter().filter(goes).flat_map(|turns| {
                let open = self.first_open(turns);
                let inviting = self.first_inviting(&seeker.called, turns);
                [open, inviting.filter(|_| is_meant(seeker))]
            });
            firsts.flatten().min_by_key(|other| other.place)
        };
        assert!(found.is_none_or(|other| other.goes_with(seeker, is_meant)), "they go together");
        found
    }

    fn first_open(&self, turns: Turns) -> Option<&Waiter> {
        let (_, who) = self.open.range((turns, 0)..=(turns, Place::MAX)).next()?;
        Some(&self.waiters[who])
    }

    fn first_inviting(&self, called: &NickKey, turns: Turns) -> Option<&Waiter> {
        let range = (called.clone(), turns, 0)..=(called.clone(), turns, Place::MAX);
        let (_, who) = self.inviting.range(range).next()?;
        Some(&self.waiters[who])
    }

    /// One that waits.
    pub(crate) fn get(&self, who: ConnId) -> Option<&Waiter> {
        self.waiters.get(&who)
    }

    /// Sweeps, in tests: each is found by its wish and by its name exactly once.
    pub(crate) fn check_invariants(&self) {
        assert_eq!(self.called.len(), self.waiters.len(), "each is found by its name");
        let by_wish = self.open.len() + self.inviting.len();
        assert_eq!(by_wish, self.waiters.len(), "and by its wish");
        for (who, waiter) in &self.waiters {
            let Waiter { turns, place, .. } = *waiter;
            let called = self.called.get(&(waiter.called.clone(), place));
            let wish = match waiter.wanted.clone() {
                None => self.open.get(&(turns, place)),
                Some(wanted) => self.inviting.get(&(wanted, turns, place)),
            };
            assert_eq!((called, wish), (Some(who), Some(who)), "each where it is looked for");
            assert_eq!(waiter.who, *who, "and knows who it is");
        }
    }

    /// Two who go together and both wait, if there are such: the work grows with the square of all.
    pub(crate) fn unmatched(
        &self,
        is_meant: &impl Fn(&Waiter) -> bool,
    ) -> impl Iterator<Item = (ConnId, ConnId)> {
        self.waiters.values().flat_map(move |one| {
            let others = self.waiters.range(one.who..).skip(1);
            let fit = others.filter(|(_, other)| one.goes_with(other, is_meant));
            fit.map(|(other, _)| (one.who, *other))
        })
    }
}
