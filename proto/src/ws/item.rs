//! What a reader says: messages, control frames, and how many bytes they were.

use core::fmt;

use super::close::Close;
use super::fault::WsFault;
use super::frame::{CONTROL_BYTES_MAX, Opcode};
use super::mask::Mask;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Text: valid UTF-8.
    Text,
    /// Any bytes.
    Binary,
}

impl Kind {
    /// The opcode of its first frame.
    pub const fn opcode(self) -> Opcode {
        match self {
            Self::Text => Opcode::Text,
            Self::Binary => Opcode::Binary,
        }
    }
}

/// What a control frame carries.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Control {
    bytes: [u8; CONTROL_BYTES_MAX],
    len: u8,
}

impl Control {
    /// Takes the mask off.
    pub(crate) fn unmasked(masked: &[u8], mask: Mask) -> Self {
        let mut control = Self { bytes: [0; CONTROL_BYTES_MAX], len: 0 };
        let octets = mask.0.iter().cycle();
        for ((to, from), octet) in control.bytes.iter_mut().zip(masked).zip(octets) {
            *to = *from ^ octet;
            control.len = control.len.saturating_add(1);
        }
        control
    }

    /// Its bytes.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

impl fmt::Debug for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "\"{}\"", self.bytes().escape_ascii())
    }
}

/// What the beginning of the offered bytes is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Item {
    /// Nothing whole: more bytes are needed.
    More,
    /// The message in the caller's buffer is whole; the buffer is to be emptied before the next step.
    Message(Kind),
    /// To be answered with a pong that says the same.
    Ping(Control),
    /// Somebody is there.
    Pong(Control),
    /// The peer closes: answered with a close frame that says the same, if none was sent. Nothing behind it is read.
    Close(Close),
    /// The bytes cannot be read on: the connection is closed with the fault's code.
    Fault(WsFault),
}

/// One step: an item, and how many of the offered bytes are done with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// Bytes that are not to be offered again.
    pub consumed: usize,
    /// What they were.
    pub item: Item,
}
