//! Whether both ends of a connection are still there: when to give a sign of life, when to ask for one, and when to
//! believe that nobody is left.
//!
//! It knows moments only; its owner writes, asks and closes. A keepalive says that we are there; since a server may be
//! told to give signs of life more seldom than it wants them, it is asked before its silence is believed.

use proto::{Now, Span};

/// After so long without a word of ours the server gets a sign of life: it closes those who are silent for 15 s.
pub(super) const KEEPALIVE_INTERVAL: Span = Span::from_secs(5);

/// After so long without a word of the server it is asked whether it is there: two of its signs of life are missing then.
pub(super) const SILENCE_SPAN_MAX: Span = Span::from_secs(10);

/// So long it has for an answer: it is given up when it gives us up, so that whoever comes back finds the name free.
pub(super) const ANSWER_SPAN_MAX: Span = Span::from_secs(5);

const _: () = assert!(KEEPALIVE_INTERVAL.as_micros() < SILENCE_SPAN_MAX.as_micros());

/// What is to be done now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    /// Nothing.
    None,
    /// A sign of life is due.
    Give,
    /// The server is to be asked for one.
    Ask,
    /// The server has not answered: it is gone, or the way to it is.
    Gone,
}

/// When words went and came.
#[derive(Clone, Copy, Debug)]
pub(super) struct Alive {
    said: Now,
    heard: Now,
    asked: Option<Now>,
}

impl Alive {
    /// A connection as it begins.
    pub(super) fn new(now: Now) -> Self {
        Self { said: now, heard: now, asked: None }
    }

    /// Something was written.
    pub(super) fn said(&mut self, now: Now) {
        self.said = self.said.max(now);
    }

    /// Something was heard, or nobody listens for now, which is no silence.
    pub(super) fn heard(&mut self, now: Now) {
        self.heard = self.heard.max(now);
        self.asked = None;
    }

    /// What is to be done now. A sign of life is to be given by `said`, too, once it is written.
    pub(super) fn due(&mut self, now: Now) -> Sign {
        match self.asked {
            Some(asked) if now.since(asked) >= ANSWER_SPAN_MAX => return Sign::Gone,
            None if now.since(self.heard) >= SILENCE_SPAN_MAX => {
                self.asked = Some(now);
                return Sign::Ask;
            }
            Some(_) | None => {}
        }
        if now.since(self.said) >= KEEPALIVE_INTERVAL { Sign::Give } else { Sign::None }
    }

    /// When to look again.
    pub(super) fn next(&self) -> Now {
        let silence = match self.asked {
            Some(asked) => asked.after(ANSWER_SPAN_MAX),
            None => self.heard.after(SILENCE_SPAN_MAX),
        };
        silence.min(self.said.after(KEEPALIVE_INTERVAL))
    }
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_SPAN_MAX, Alive, KEEPALIVE_INTERVAL, SILENCE_SPAN_MAX, Sign};
    use proptest::prelude::*;
    use proto::Now;

    fn at(seconds: u64) -> Now {
        Now::from_micros(seconds * 1_000_000)
    }

    #[test]
    fn silence_is_believed_only_after_asking() {
        let mut alive = Alive::new(at(0));
        assert_eq!((alive.due(at(4)), alive.due(at(5))), (Sign::None, Sign::Give));
        alive.said(at(5));
        assert_eq!(alive.next(), at(10));
        assert_eq!(alive.due(at(10)), Sign::Ask);
        alive.said(at(10));
        assert_eq!(alive.due(at(14)), Sign::None);
        assert_eq!(alive.due(at(15)), Sign::Gone);
        alive.heard(at(15));
        assert_eq!(alive.due(at(19)), Sign::Give);
    }

    proptest! {
        /// Whoever looks when told to speaks in time, and believes in nobody who has been silent for longer than both
        /// spans together.
        #[test]
        fn who_looks_in_time_speaks_in_time(
            heard in proptest::collection::vec((0_u64..40_000_000, any::<bool>()), 0..40),
        ) {
            let mut alive = Alive::new(at(0));
            let (mut now, mut last_said, mut last_heard) = (at(0), at(0), at(0));
            for (wait, word) in heard {
                let until = Now::from_micros(now.as_micros() + wait);
                while alive.next() <= until {
                    now = alive.next().max(now);
                    match alive.due(now) {
                        Sign::Gone => {
                            prop_assert!(now.since(last_heard) >= SILENCE_SPAN_MAX);
                            return Ok(());
                        }
                        Sign::None => prop_assert!(false, "a look that was asked for has a reason"),
                        Sign::Give | Sign::Ask => {
                            prop_assert!(now.since(last_said) <= KEEPALIVE_INTERVAL);
                            last_said = now;
                            alive.said(now);
                        }
                    }
                    let most = SILENCE_SPAN_MAX.as_micros() + ANSWER_SPAN_MAX.as_micros();
                    prop_assert!(now.since(last_heard).as_micros() <= most);
                }
                now = until.max(now);
                if word {
                    last_heard = now;
                    alive.heard(now);
                }
            }
        }
    }
}
