//! Messages whose authors wait for receipts: whose they are, who may give one, who has given it.
//!
//! An author is a connection: what it waits for is forgotten with it. Who may give a receipt, and what becomes of it, is decided in
//! `requests::direct`.

use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec::Vec;

use proto::{MessageId, NickKey};

use crate::connection::ConnId;
use crate::rooms::RoomNo;

/// In rooms of more members there are no receipts: each message would make as many again.
pub(crate) const RECEIPT_MEMBERS_MAX: usize = 50;
/// So many messages of one author wait for receipts.
const AWAITED_BY_AUTHOR_MAX: usize = 1_000;
/// So many wait in all.
const AWAITED_MAX: usize = 65_536;

const _: () = assert!(AWAITED_MAX >= 64 * AWAITED_BY_AUTHOR_MAX, "nobody has the most of it");

/// Who gives a receipt: a nickname, under whatever connection it comes, and a connection, under whatever nickname.
#[derive(Clone, Debug)]
pub(crate) struct Receiver {
    pub(crate) nick: NickKey,
    pub(crate) connection: ConnId,
}

impl Receiver {
    /// Whether it counts as one with another: who came back, and who took another name, has given its receipt already.
    fn is(&self, other: &Self) -> bool {
        self.nick == other.nick || self.connection == other.connection
    }
}

/// Whose receipts are waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Those of a room's members.
    Members(RoomNo),
    /// That of one nickname: the connections that heard the message, more than one for a user of the control socket.
    OneOf(Vec<ConnId>),
}

/// A message that waits for receipts.
#[derive(Debug)]
pub(crate) struct Awaited {
    pub(crate) message_id: MessageId,
    pub(crate) author: ConnId,
    pub(crate) wanted: Wanted,
    /// Who has given one; those that are gone stay, since they may come back.
    given: Vec<Receiver>,
}

/// What a receipt is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Given {
    /// The author is to hear of it.
    New,
    /// It was given before.
    Before,
    /// As many have been given as there may be members.
    TooMany,
}

/// The number of a message that waits for receipts: they are forgotten in this order.
type Ordinal = u64;

/// All messages that wait for receipts.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    awaited: BTreeMap<Ordinal, Awaited>,
    by_id: BTreeMap<MessageId, Ordinal>,
    /// Each author's, the oldest first.
    by_author: BTreeMap<ConnId, VecDeque<Ordinal>>,
    next: Ordinal,
}

impl Receipts {
    /// The message of this id, if it waits.
    pub(crate) fn get(&self, id: MessageId) -> Option<&Awaited> {
        self.awaited.get(self.by_id.get(&id)?)
    }

    /// An author waits for receipts from now on. The author's oldest is forgotten for it where there are too many, and the oldest of all.
    pub(crate) fn wait(&mut self, message_id: MessageId, author: ConnId, wanted: Wanted) {
        if let Some(before) = self.by_id.get(&message_id).copied() {
            // The message of that time is forgotten, otherwise its id were no other message's.
            self.forget(before);
        }
        let own = self.by_author.get(&author);
        if let Some(oldest) = own.filter(|own| own.len() >= AWAITED_BY_AUTHOR_MAX) {
            self.forget(*oldest.front().expect("so many are some"));
        }
        if self.awaited.len() >= AWAITED_MAX {
            let (oldest, _) = self.awaited.first_key_value().expect("so many are some");
            self.forget(*oldest);
        }
        let no = self.next;
        self.next += 1;
        let awaited = Awaited { message_id, author, wanted, given: Vec::new() };
        let before = (self.awaited.insert(no, awaited), self.by_id.insert(message_id, no));
        assert!(before.0.is_none() && before.1.is_none(), "a message waits once");
        self.by_author.entry(author).or_default().push_back(no);
        assert!(self.awaited.len() <= AWAITED_MAX, "only so many wait");
    }

    /// Somebody who may gives a receipt.
    pub(crate) fn give(&mut self, id: MessageId, receiver: Receiver) -> Given {
        let no = self.by_id.get(&id).expect("only what waits is given a receipt");
        let awaited = self.awaited.get_mut(no).expect("an id leads to its message");
        let given = &mut awaited.given;
        let before = match awaited.wanted {
            Wanted::Members(_) => given.iter().any(|before| before.is(&receiver)),
            Wanted::OneOf(_) => !given.is_empty(),
        };
        if before {
            return Given::Before;
        }
        if given.len() >= RECEIPT_MEMBERS_MAX {
            return Given::TooMany;
        }
        given.push(receiver);
        assert!(given.len() <= RECEIPT_MEMBERS_MAX, "no more than there may be members");
        Given::New
    }

    /// An author is gone: nobody waits for its receipts.
    pub(crate) fn author_is_gone(&mut self, author: ConnId) {
        while let Some(oldest) = self.by_author.get(&author).and_then(|own| own.front().copied()) {
            self.forget(oldest);
        }
        assert!(!self.by_author.contains_key(&author), "nothing is left of it");
    }

    fn forget(&mut self, no: Ordinal) {
        let awaited = self.awaited.remove(&no).expect("only what waits is forgotten");
        let known = self.by_id.remove(&awaited.message_id);
        assert_eq!(known, Some(no), "an id leads to its message");
        let own = self.by_author.get_mut(&awaited.author).expect("an author has what is its own");
        let at = own.binary_search(&no).expect("it is among its author's");
        own.remove(at);
        if own.is_empty() {
            self.by_author.remove(&awaited.author);
        }
    }

    /// Sweeps, in tests. `author_is_there` tells whether a connection is.
    pub(crate) fn check_invariants(&self, author_is_there: impl Fn(ConnId) -> bool) {
        assert!(self.awaited.len() <= AWAITED_MAX, "only so many wait");
        assert_eq!(self.awaited.len(), self.by_id.len(), "each has its id");
        let own: usize = self.by_author.values().map(VecDeque::len).sum();
        assert_eq!(self.awaited.len(), own, "and its author");
        for (no, awaited) in &self.awaited {
            assert_eq!(self.by_id.get(&awaited.message_id), Some(no), "an id leads to its message");
            assert!(awaited.given.len() <= RECEIPT_MEMBERS_MAX, "only so many are given");
        }
        for (author, own) in &self.by_author {
            assert!(author_is_there(*author), "who waits is there");
            assert!((1..=AWAITED_BY_AUTHOR_MAX).contains(&own.len()), "for some, and only so many");
            assert!(own.iter().is_sorted(), "the oldest first");
            for no in own {
                assert_eq!(self.awaited[no].author, *author, "an author has what is its own");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ADA: ConnId = ConnId::new(1, 1);

    fn id(number: usize) -> MessageId {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_be_bytes());
        MessageId(id)
    }

    fn room() -> Wanted {
        Wanted::Members(RoomNo::new(0))
    }

    /// Somebody who came so many times before under this name.
    fn receiver(number: u32, times: u32) -> Receiver {
        let nick = proto::Nick::parse(&alloc::format!("n{number}")).unwrap();
        Receiver { nick: nick.key(), connection: ConnId::new(number, times) }
    }

    #[test]
    fn an_author_waits_for_a_thousand() {
        let mut receipts = Receipts::default();
        for number in 0..1_002 {
            receipts.wait(id(number), ADA, room());
        }
        receipts.check_invariants(|_| true);
        assert!(receipts.get(id(1)).is_none() && receipts.get(id(2)).is_some());
        receipts.author_is_gone(ADA);
        assert!(receipts.get(id(2)).is_none() && receipts.awaited.is_empty());
        receipts.check_invariants(|_| false);
    }

    #[test]
    fn all_wait_for_so_many_and_the_oldest_go_first() {
        let mut receipts = Receipts::default();
        for number in 0..=AWAITED_MAX {
            let author = ConnId::new(u32::try_from(number % 1_000).unwrap(), 1);
            receipts.wait(id(number), author, room());
        }
        receipts.check_invariants(|_| true);
        assert!(receipts.get(id(0)).is_none() && receipts.get(id(1)).is_some());
    }

    #[test]
    fn a_receipt_counts_once_for_each_receiver() {
        let mut receipts = Receipts::default();
        receipts.wait(id(1), ADA, room());
        assert_eq!(receipts.give(id(1), receiver(2, 0)), Given::New);
        assert_eq!(receipts.give(id(1), receiver(2, 0)), Given::Before);
        assert_eq!(receipts.give(id(1), receiver(2, 1)), Given::Before, "it came back");
        let renamed = Receiver { nick: receiver(9, 0).nick, ..receiver(2, 0) };
        assert_eq!(receipts.give(id(1), renamed), Given::Before);
        assert_eq!(receipts.give(id(1), receiver(3, 0)), Given::New);
        receipts.wait(id(2), ADA, Wanted::OneOf(Vec::new()));
        assert_eq!(receipts.give(id(2), receiver(2, 0)), Given::New);
        assert_eq!(receipts.give(id(2), receiver(3, 0)), Given::Before, "it is one nickname's");
    }

    #[test]
    fn those_who_come_and_go_do_not_fill_the_memory() {
        let mut receipts = Receipts::default();
        receipts.wait(id(1), ADA, room());
        for number in 0..50 {
            assert_eq!(receipts.give(id(1), receiver(number, 0)), Given::New);
        }
        assert_eq!(receipts.give(id(1), receiver(50, 0)), Given::TooMany);
        assert_eq!(receipts.give(id(1), receiver(49, 1)), Given::Before);
        receipts.check_invariants(|_| true);
    }

    #[test]
    fn an_id_that_names_another_message_by_now_waits_anew() {
        let mut receipts = Receipts::default();
        receipts.wait(id(1), ADA, room());
        assert_eq!(receipts.give(id(1), receiver(2, 0)), Given::New);
        receipts.wait(id(1), ConnId::new(9, 1), room());
        receipts.check_invariants(|_| true);
        assert_eq!(receipts.give(id(1), receiver(2, 0)), Given::New);
    }
}
