//! Where messages go before they are acknowledged. For now there is the memory store only: `durability = "none"`.

mod memory;

pub use memory::MemoryStore;
