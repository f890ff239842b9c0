//! What two who meet owe each other: bytes in both directions until both have said that they have no more, and all of it
//! acknowledged.
//!
//! Pure: it decides what is to be done next, and knows no socket, no clock and no way that the bytes take. An empty message says
//! that a side has no more.

use crate::direct::Turn;
use std::collections::BTreeSet;

/// The most content of one message: in base64 and JSON it is some 64 KiB.
pub(super) const PIECE_BYTES_MAX: usize = 48 << 10;

/// How many messages may be without acknowledgment: all of them fit what a server keeps for a slow receiver, so that it
/// refuses none.
const UNACKNOWLEDGED_MAX: usize = 4;

/// What is to be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// Nothing, for now.
    Wait,
    /// What was read is to be said.
    Say,
    /// It is to be said that there is no more.
    SayEnd,
    /// The turn is to be given away, since we have nothing more to say.
    Pass,
    /// All is done.
    HangUp,
}

/// What was read of our own bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Own {
    /// Nothing that was not said.
    Nothing,
    /// Something.
    Bytes,
    /// They have come to their end.
    End,
}

/// How far both sides are.
#[derive(Debug, Default)]
pub(super) struct Exchange {
    unacknowledged: BTreeSet<String>,
    turn: Option<Turn>,
    /// Whether we have said that we have no more.
    said_end: bool,
    /// Whether they have.
    heard_end: bool,
    /// Theirs that are not acknowledged yet.
    owed: usize,
    /// Bytes that the other side has acknowledged, and those that came.
    pub(super) given: u64,
    pub(super) taken: u64,
}

impl Exchange {
    /// The talk is on, and this is whose turn it is, where there are turns.
    pub(super) fn new(turn: Option<Turn>) -> Self {
        Self { turn, ..Self::default() }
    }

    /// What is to be done next.
    pub(super) fn next(&self, own: Own) -> Next {
        if self.is_done() {
            return Next::HangUp;
        }
        if self.turn == Some(Turn::Theirs) || self.unacknowledged.len() >= UNACKNOWLEDGED_MAX {
            return Next::Wait;
        }
        match (own, self.said_end) {
            (Own::Bytes, false) => Next::Say,
            (Own::End, false) => Next::SayEnd,
            (_, true) if self.turn.is_some() => Next::Pass,
            (Own::Nothing, false) | (_, true) => Next::Wait,
        }
    }

    /// Whether both have said all, and both know.
    pub(super) fn is_done(&self) -> bool {
        self.said_end && self.heard_end && self.unacknowledged.is_empty() && self.owed == 0
    }

    /// How much was exchanged, in words.
    pub(super) fn counts(&self) -> String {
        format!("{} bytes of ours have come, {} of theirs", self.given, self.taken)
    }

    /// Whose turn it is, where there are turns.
    pub(super) fn turn(&self) -> Option<Turn> {
        self.turn
    }

    /// Under this id something was said: nothing, where there is no more.
    pub(super) fn said(&mut self, id: &str, is_end: bool) {
        assert!(!self.said_end, "nothing is said behind the end");
        assert!(self.unacknowledged.len() < UNACKNOWLEDGED_MAX, "what waits is bounded");
        self.unacknowledged.insert(id.to_owned());
        self.said_end = is_end;
        self.turn = self.turn.map(|_| Turn::Theirs);
    }

    /// The turn was given away, or taken, or given to us.
    pub(super) fn turn_is(&mut self, turn: Turn) {
        self.turn = self.turn.map(|_| turn);
    }

    /// What was said under this id has come, and had so many bytes.
    pub(super) fn delivered(&mut self, id: &str, bytes: usize) {
        if self.unacknowledged.remove(id) {
            self.given += bytes as u64;
        }
    }

    /// The other side said so many bytes. Behind its end it says nothing: false.
    pub(super) fn heard(&mut self, bytes: usize) -> bool {
        if self.heard_end {
            return false;
        }
        self.heard_end = bytes == 0;
        self.taken += bytes as u64;
        self.owed += 1;
        self.turn = self.turn.map(|_| Turn::Yours);
        true
    }

    /// So many of theirs were acknowledged.
    pub(super) fn acknowledged(&mut self, count: usize) {
        assert!(count <= self.owed, "each once");
        self.owed -= count;
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Next, Own};
    use crate::direct::Turn;
    use proptest::prelude::*;
    use std::collections::VecDeque;

    /// One side, and what is on its way to it.
    struct Side {
        exchange: Exchange,
        bytes: VecDeque<usize>,
        came: VecDeque<Word>,
        heard: Vec<usize>,
        ids: u64,
    }

    enum Word {
        Said(String, usize),
        Delivered(String, usize),
        Passed,
    }

    impl Side {
        fn new(turn: Option<Turn>, bytes: Vec<usize>) -> Self {
            let (came, heard) = (VecDeque::new(), Vec::new());
            Self { exchange: Exchange::new(turn), bytes: bytes.into(), came, heard, ids: 0 }
        }

        /// Does what is to be done; whether that was something, and what the other side is to hear.
        fn act(&mut self) -> Option<Word> {
            let own = if self.bytes.is_empty() { Own::End } else { Own::Bytes };
            let next = self.exchange.next(own);
            let bytes = match next {
                Next::Wait | Next::HangUp => return None,
                Next::Pass => {
                    self.exchange.turn_is(Turn::Theirs);
                    return Some(Word::Passed);
                }
                Next::Say => self.bytes.pop_front().unwrap_or(1),
                Next::SayEnd => 0,
            };
            self.ids += 1;
            let id = self.ids.to_string();
            self.exchange.said(&id, next == Next::SayEnd);
            Some(Word::Said(id, bytes))
        }

        fn hear(&mut self) -> Option<Word> {
            match self.came.pop_front()? {
                Word::Said(id, bytes) => {
                    assert!(self.exchange.heard(bytes));
                    self.heard.push(bytes);
                    self.exchange.acknowledged(1);
                    Some(Word::Delivered(id, bytes))
                }
                Word::Delivered(id, bytes) => {
                    self.exchange.delivered(&id, bytes);
                    None
                }
                Word::Passed => {
                    self.exchange.turn_is(Turn::Yours);
                    None
                }
            }
        }
    }

    proptest! {
        /// With turns and without, however the two are scheduled: both come to the end, and have heard everything.
        #[test]
        fn both_always_come_to_the_end(
            turns in any::<bool>(),
            ada in proptest::collection::vec(1_usize..9, 0..12),
            bob in proptest::collection::vec(1_usize..9, 0..12),
            order in proptest::collection::vec(any::<(bool, bool)>(), 0..400),
        ) {
            let turn = |own| turns.then_some(own);
            let mut sides =
                [Side::new(turn(Turn::Yours), ada.clone()), Side::new(turn(Turn::Theirs), bob.clone())];
            let fair = (0..600).map(|step| (step % 2 == 0, step % 4 < 2));
            for (who, what) in order.into_iter().chain(fair) {
                let [first, second] = &mut sides;
                let (own, other) = if who { (first, second) } else { (second, first) };
                let word = if what { own.act() } else { own.hear() };
                other.came.extend(word);
            }
            let [first, second] = &sides;
            prop_assert!(first.exchange.is_done() && second.exchange.is_done());
            prop_assert_eq!(first.exchange.next(Own::End), Next::HangUp);
            prop_assert_eq!(&second.heard, &[ada, vec![0]].concat());
            prop_assert_eq!(&first.heard, &[bob, vec![0]].concat());
        }
    }

    #[test]
    fn nothing_is_heard_behind_the_end() {
        let mut exchange = Exchange::new(None);
        assert!(exchange.heard(3) && exchange.heard(0) && !exchange.heard(1));
    }
}
