//! The store that was configured: on disk, or none.

use hub::{Answer, Condition, Fetch, Fetched, Level, Pruned, Record};

use super::{DurableStore, MemoryStore, Retention};
use crate::log::Kind;
use crate::turn::Store;

/// See the module.
pub enum ConfiguredStore {
    /// `durability = "none"`.
    Memory(MemoryStore),
    /// The others.
    Durable(Box<DurableStore>),
}

impl ConfiguredStore {
    /// Why nothing can be trusted any more: the process is to end, and nobody is to be answered.
    pub fn failure(&mut self) -> Option<String> {
        match self {
            Self::Memory(_) => None,
            Self::Durable(store) => store.failure(),
        }
    }

    /// Ends it, when the loop is over: what there is for the log.
    ///
    /// # Errors
    /// What could not be done; nothing that was acknowledged is lost.
    pub fn close(self) -> Result<Vec<(Level, Kind, String)>, String> {
        match self {
            Self::Memory(_) => Ok(Vec::new()),
            Self::Durable(store) => store.close(),
        }
    }

    fn inner(&mut self) -> &mut dyn Store {
        match self {
            Self::Memory(store) => store,
            Self::Durable(store) => &mut **store,
        }
    }
}

impl Store for ConfiguredStore {
    fn submit(&mut self, record: Record) {
        self.inner().submit(record);
    }

    fn answers(&mut self, into: &mut Vec<Answer>) {
        self.inner().answers(into);
    }

    fn fetch(&mut self, fetch: Fetch) {
        self.inner().fetch(fetch);
    }

    fn fetched(&mut self) -> Option<Fetched> {
        self.inner().fetched()
    }

    fn pruned(&mut self) -> Option<Pruned> {
        self.inner().pruned()
    }

    fn remark(&mut self) -> Option<(Level, Kind, String)> {
        self.inner().remark()
    }

    fn keep(&mut self, retention: Retention) {
        self.inner().keep(retention);
    }

    fn condition(&self) -> Condition {
        match self {
            Self::Memory(store) => store.condition(),
            Self::Durable(store) => store.condition(),
        }
    }
}
