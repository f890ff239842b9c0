//! The requests that wait for their replies: replies in any order, a deadline for each, unknown ones
//! ignored, nothing lost, nothing answered twice.
//!
//! It knows no transport and reads no clock: ids and deadlines go in, what was asked comes out once.

use proto::Now;
use std::collections::{BTreeMap, BTreeSet};

/// Requests without a reply yet, each with what its asker wants to remember about it.
#[derive(Debug)]
pub struct Outstanding<T> {
    waiting: BTreeMap<String, Waiting<T>>,
    by_deadline: BTreeSet<(Now, String)>,
    asked: u64,
}

#[derive(Debug)]
struct Waiting<T> {
    deadline: Now,
    order: u64,
    what: T,
}

impl<T> Default for Outstanding<T> {
    fn default() -> Self {
        Self { waiting: BTreeMap::new(), by_deadline: BTreeSet::new(), asked: 0 }
    }
}

impl<T> Outstanding<T> {
    /// How many requests wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// A request was sent. An id that already waits is handed back: one of the two could not be told its reply.
    pub fn asked(&mut self, id: &str, what: T, deadline: Now) -> Result<(), T> {
        if self.waiting.contains_key(id) {
            return Err(what);
        }
        let order = self.asked;
        self.asked += 1;
        self.by_deadline.insert((deadline, id.to_owned()));
        self.waiting.insert(id.to_owned(), Waiting { deadline, order, what });
        self.check_invariants();
        Ok(())
    }

    /// A reply came. `None` where nobody waits for it: it is unknown, too late, or the second one.
    pub fn answered(&mut self, id: &str) -> Option<T> {
        let waiting = self.waiting.remove(id)?;
        let known = self.by_deadline.remove(&(waiting.deadline, id.to_owned()));
        assert!(known, "a waiting request has a deadline");
        self.check_invariants();
        Some(waiting.what)
    }

    /// The next request whose deadline has passed, the earliest first; the caller asks until there is none.
    pub fn expired(&mut self, now: Now) -> Option<(String, T)> {
        if self.deadline()? > now {
            return None;
        }
        let (_, id) = self.by_deadline.pop_first()?;
        let waiting = self.waiting.remove(&id);
        assert!(waiting.is_some(), "a deadline belongs to a waiting request");
        self.check_invariants();
        waiting.map(|waiting| (id, waiting.what))
    }

    /// When the earliest of them runs out.
    pub fn deadline(&self) -> Option<Now> {
        self.by_deadline.first().map(|(deadline, _)| *deadline)
    }

    /// The connection is gone and no reply will come: all of them, in the order in which they were asked.
    pub fn abandon(&mut self) -> Vec<(String, T)> {
        self.by_deadline.clear();
        let mut all: Vec<_> = std::mem::take(&mut self.waiting).into_iter().collect();
        all.sort_by_key(|(_, waiting)| waiting.order);
        self.check_invariants();
        all.into_iter().map(|(id, waiting)| (id, waiting.what)).collect()
    }

    fn check_invariants(&self) {
        assert_eq!(self.waiting.len(), self.by_deadline.len(), "one deadline by request");
    }
}

#[cfg(test)]
mod tests {
    use super::Outstanding;
    use proptest::prelude::*;
    use proto::Now;

    #[derive(Clone, Debug)]
    enum Step {
        Ask(u8, u64),
        Answer(u8),
        Pass(u64),
        Lose,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            5 => (0_u8..12, 0_u64..50).prop_map(|(id, wait)| Step::Ask(id, wait)),
            5 => (0_u8..12).prop_map(Step::Answer),
            3 => (0_u64..30).prop_map(Step::Pass),
            1 => Just(Step::Lose),
        ];
        proptest::collection::vec(step, 0..200)
    }

    /// The model: what waits, in the order in which it was asked; (id, what, deadline).
    type Model = Vec<(String, usize, u64)>;

    fn expire(outstanding: &mut Outstanding<usize>, model: &mut Model, now: u64) {
        while let Some((id, what)) = outstanding.expired(Now::from_micros(now)) {
            let earliest = model.iter().map(|(_, _, deadline)| *deadline).min();
            let at = model.iter().position(|(name, _, _)| *name == id).expect("it waited");
            let (_, expected, deadline) = model.remove(at);
            assert_eq!(what, expected);
            assert!(deadline <= now, "never early");
            assert_eq!(Some(deadline), earliest, "the earliest first");
        }
        assert!(model.iter().all(|(_, _, deadline)| *deadline > now), "never forgotten");
    }

    proptest! {
        #[test]
        fn it_behaves_like_a_list(steps in steps()) {
            let mut outstanding = Outstanding::default();
            let mut model: Model = Vec::new();
            let mut now = 0_u64;
            let mut ended = 0_usize;
            let mut asked = 0_usize;
            for (number, step) in steps.into_iter().enumerate() {
                match step {
                    Step::Ask(id, wait) => {
                        let id = id.to_string();
                        let deadline = now + wait;
                        let result = outstanding.asked(&id, number, Now::from_micros(deadline));
                        let taken = model.iter().any(|(name, _, _)| *name == id);
                        prop_assert_eq!(result, if taken { Err(number) } else { Ok(()) });
                        if !taken {
                            model.push((id, number, deadline));
                            asked += 1;
                        }
                    }
                    Step::Answer(id) => {
                        let id = id.to_string();
                        let at = model.iter().position(|(name, _, _)| *name == id);
                        let expected = at.map(|at| model.remove(at).1);
                        prop_assert_eq!(outstanding.answered(&id), expected);
                        prop_assert_eq!(outstanding.answered(&id), None, "never twice");
                        ended += usize::from(expected.is_some());
                    }
                    Step::Pass(micros) => {
                        now += micros;
                        let before = model.len();
                        expire(&mut outstanding, &mut model, now);
                        ended += before - model.len();
                    }
                    Step::Lose => {
                        let lost = outstanding.abandon();
                        let expected: Vec<_> =
                            model.drain(..).map(|(id, what, _)| (id, what)).collect();
                        ended += expected.len();
                        prop_assert_eq!(lost, expected);
                    }
                }
                prop_assert_eq!(outstanding.len(), model.len());
                prop_assert_eq!(asked, ended + outstanding.len(), "nothing lost");
                let earliest = model.iter().map(|(_, _, deadline)| *deadline).min();
                prop_assert_eq!(outstanding.deadline(), earliest.map(Now::from_micros));
            }
        }
    }
}
