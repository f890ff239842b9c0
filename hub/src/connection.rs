//! One connection.

use alloc::boxed::Box;
use proto::{Nick, Transport};

/// Names one connection; it names no other after that one is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConnId {
    index: u32,
    generation: u32,
}

impl ConnId {
    pub(crate) const fn new(index: u32, generation: u32) -> Self {
        Self { index, generation }
    }

    /// One number, for tokens of the kernel.
    pub const fn as_u64(self) -> u64 {
        (self.generation as u64) << 32 | self.index as u64
    }

    /// The id of a token.
    pub const fn from_u64(token: u64) -> Self {
        Self { index: (token & 0xffff_ffff) as u32, generation: (token >> 32) as u32 }
    }
}

/// Who is at the other end, as far as the kernel says.
#[derive(Clone, Debug)]
pub struct Peer {
    /// How it came.
    pub transport: Transport,
    /// From where, for people.
    pub address: Box<str>,
    /// On the control socket: the user's login name.
    pub login: Option<Nick>,
    /// It may do everything.
    pub admin: bool,
    /// It has no rate limits.
    pub exempt: bool,
}
