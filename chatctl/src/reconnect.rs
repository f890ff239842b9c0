//! How a daemon that went away is looked for: the pauses between two calls, and the loop around them. `tail`, `send` and
//! `import` wait in that loop; `chat` has other things to do meanwhile, and takes the pauses alone.
//!
//! It reads a clock where it loops; what a pause is spent with and what a call is, its owner says.

use crate::chance;
use crate::client::NO_DAEMON;
use crate::clock;
use crate::failure::{Exit, Failure};
use proto::{Now, Span};

/// The first pause is at most this long, each at most twice as long as the one before, up to the last: a daemon that is started
/// again is found within `PAUSE_SPAN_MAX`.
const PAUSE_SPAN_FIRST: Span = Span::from_millis(100);
const PAUSE_SPAN_MAX: Span = Span::from_secs(2);

const _: () = assert!(PAUSE_SPAN_FIRST.as_micros() < PAUSE_SPAN_MAX.as_micros());
const _: () = assert!(PAUSE_SPAN_FIRST.as_micros().is_multiple_of(2), "half of it is chance");

/// The pauses, as they grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    next: Span,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { next: PAUSE_SPAN_FIRST }
    }
}

impl Backoff {
    /// The pause before the next try. Half of it is chance, so that all whom a daemon lost do not come back at once.
    pub fn pause(&mut self, chance: u128) -> Span {
        let half = self.next.as_micros() / 2;
        self.next = Span::from_micros(self.next.as_micros().saturating_mul(2)).min(PAUSE_SPAN_MAX);
        let more = chance % u128::from(half + 1);
        Span::from_micros(half.saturating_add(u64::try_from(more).unwrap_or(half)))
    }
}

/// Calls after growing pauses, until a call succeeds, fails in a way that does not pass, or `until` has come: then the last
/// failure is the answer, `known` where there was no call. `pause` waits until the moment that it is given.
pub fn call_again<T>(
    backoff: &mut Backoff,
    known: Failure,
    until: Option<Now>,
    pause: &mut dyn FnMut(Now) -> Result<(), Failure>,
    call: &mut dyn FnMut() -> Result<T, Failure>,
) -> Result<T, Failure> {
    let mut last = known;
    loop {
        let now = clock::now();
        if until.is_some_and(|until| now >= until) {
            return Err(last);
        }
        // A connection that the daemon closes at once is a loss as well: the pause is before every try.
        let next = now.after(backoff.pause(chance::thrown()));
        pause(until.map_or(next, |until| next.min(until)))?;
        match call() {
            Err(failure) if may_pass(&failure) => last = failure,
            outcome => return outcome,
        }
    }
}

/// Whether another try may have luck: nobody was there, or the lost connection still has the name. Somebody else who answers there
/// is not to be called again and again.
fn may_pass(failure: &Failure) -> bool {
    let is_nobody = failure.exit == Exit::NotReachable && failure.code != NO_DAEMON;
    is_nobody || failure.code == "nickname_in_use"
}

#[cfg(test)]
mod tests {
    use super::{Backoff, PAUSE_SPAN_FIRST, PAUSE_SPAN_MAX, call_again};
    use crate::clock;
    use crate::failure::Failure;
    use proptest::prelude::*;

    #[test]
    fn a_call_that_succeeds_or_never_will_ends_the_search() {
        let mut backoff = Backoff::default();
        let (gone, no) = (Failure::unreachable("gone"), Failure::usage("no"));
        let mut answers = vec![Ok(3), Err(gone.clone()), Err(gone.clone())];
        let mut call = || answers.pop().expect("an answer");
        let found = call_again(&mut backoff, gone.clone(), None, &mut |_| Ok(()), &mut call);
        assert_eq!(found, Ok(3));
        let refused: Result<(), _> =
            call_again(&mut backoff, gone.clone(), None, &mut |_| Ok(()), &mut || Err(no.clone()));
        assert_eq!(refused, Err(no));
        let over = Some(clock::now());
        let late: Result<(), _> =
            call_again(&mut backoff, gone.clone(), over, &mut |_| Ok(()), &mut || unreachable!());
        assert_eq!(late, Err(gone));
    }

    proptest! {
        #[test]
        fn pauses_grow_and_are_capped_and_half_of_each_is_chance(
            thrown in proptest::collection::vec(any::<u128>(), 1..20),
        ) {
            let (mut backoff, mut most) = (Backoff::default(), PAUSE_SPAN_FIRST.as_micros());
            for chance in thrown {
                let pause = backoff.pause(chance).as_micros();
                prop_assert!(pause >= most / 2 && pause <= most, "{pause} of {most}");
                most = (most * 2).min(PAUSE_SPAN_MAX.as_micros());
            }
        }
    }
}
