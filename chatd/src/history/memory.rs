//! The store of `durability = "none"`: it keeps nothing and answers in the same turn. Replays are made of the hub's recent messages.

use hub::{Answer, Fetch, Fetched, Outcome, Pruned, Record};

use crate::turn::Store;

/// See the module.
#[derive(Debug, Default)]
pub struct MemoryStore {
    answers: Vec<Answer>,
}

impl Store for MemoryStore {
    fn submit(&mut self, record: Record) {
        self.answers.push(Answer { ticket: record.ticket, outcome: Outcome::Stored });
    }

    fn answers(&mut self, into: &mut Vec<Answer>) {
        into.append(&mut self.answers);
    }
    fn fetch(&mut self, _fetch: Fetch) {}

    fn fetched(&mut self) -> Option<Fetched> {
        None
    }

    fn pruned(&mut self) -> Option<Pruned> {
        None
    }
}
