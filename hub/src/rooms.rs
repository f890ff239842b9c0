//! Rooms.

/// Names a message on its way to the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Ticket {
    pub(crate) room: u32,
    pub(crate) number: u64,
}
