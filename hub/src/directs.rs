//! Messages to one nickname that were delivered lately, so that a post that comes again gets the first reply and nobody hears it
//! twice.
//!
//! They are kept for that alone: nobody can ask for them. A history of direct messages belongs between accounts, and there are none.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};

use proto::{MessageId, Nick, WallTime};

/// So many are remembered: a client repeats within seconds, and all clients together deliver fewer in that time.
const DIRECTS_MAX: usize = 4_096;
/// Their contents together, in bytes.
const DIRECTS_BYTES_MAX: usize = 4 * 1024 * 1024;

const _: () = assert!(
    DIRECTS_BYTES_MAX / DIRECTS_MAX >= 1_024,
    "messages of a usual length are limited by their number"
);
const _: () = assert!(
    DIRECTS_BYTES_MAX >= 16 * proto::native::V05_CONTENT_BYTES_MAX,
    "some of the longest messages are remembered"
);

/// A message to one nickname.
#[derive(Debug)]
pub(crate) struct Direct {
    /// Whose it is, as that name was written then.
    pub(crate) to: Nick,
    pub(crate) time: WallTime,
    pub(crate) content: Box<[u8]>,
}

/// The latest of them.
#[derive(Debug, Default)]
pub(crate) struct Directs {
    by_id: BTreeMap<MessageId, Direct>,
    /// The oldest first.
    order: VecDeque<MessageId>,
    bytes: usize,
}

impl Directs {
    /// The message with this id.
    pub(crate) fn get(&self, id: MessageId) -> Option<&Direct> {
        self.by_id.get(&id)
    }

    /// Remembers one, and forgets the oldest until all keep within the limits.
    pub(crate) fn keep(&mut self, id: MessageId, direct: Direct) {
        self.bytes += direct.content.len();
        let before = self.by_id.insert(id, direct);
        assert!(before.is_none(), "an id names one message");
        self.order.push_back(id);
        while self.order.len() > DIRECTS_MAX || self.bytes > DIRECTS_BYTES_MAX {
            let oldest = self.order.pop_front().expect("what is over a limit is something");
            let forgotten = self.by_id.remove(&oldest).expect("the order names what is there");
            self.bytes -= forgotten.content.len();
        }
        assert_eq!(self.order.len(), self.by_id.len(), "the order names each once");
    }

    /// Sweeps, in tests. Calls `each` with every id.
    pub(crate) fn check_invariants(&self, mut each: impl FnMut(MessageId)) {
        let bytes: usize = self.by_id.values().map(|direct| direct.content.len()).sum();
        assert_eq!(bytes, self.bytes, "the sum of direct messages is right");
        assert!(bytes <= DIRECTS_BYTES_MAX && self.by_id.len() <= DIRECTS_MAX, "and limited");
        assert_eq!(self.order.len(), self.by_id.len(), "the order names each direct message");
        for id in &self.order {
            assert!(self.by_id.contains_key(id), "the order names what is there");
            each(*id);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u32) -> MessageId {
        let mut id = [0; 16];
        id[..4].copy_from_slice(&number.to_be_bytes());
        MessageId(id)
    }

    fn direct(bytes: usize) -> Direct {
        let to = Nick::parse("bob").unwrap();
        let content = alloc::vec![b'x'; bytes].into_boxed_slice();
        Direct { to, time: WallTime::default(), content }
    }

    #[test]
    fn only_so_many_are_remembered_and_the_oldest_go_first() {
        let mut directs = Directs::default();
        for number in 0..5_000 {
            directs.keep(id(number), direct(1));
            directs.check_invariants(|_| ());
        }
        assert!(directs.get(id(903)).is_none() && directs.get(id(904)).is_some());
    }

    #[test]
    fn only_so_many_bytes_are_remembered() {
        let mut directs = Directs::default();
        for number in 0..100 {
            directs.keep(id(number), direct(65_530));
            directs.check_invariants(|_| ());
        }
        assert!(directs.get(id(35)).is_none() && directs.get(id(36)).is_some());
    }
}
