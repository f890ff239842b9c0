//! How a connection is closed: the codes (RFC 6455, section 7.4), and what a close frame says (section 5.5.1).

use super::fault::WsFault;
use super::item::Control;
use super::utf8::Utf8;

/// A code that may be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct CloseCode(u16);

impl CloseCode {
    /// The server is ending, or the page is left.
    pub const GOING_AWAY: Self = Self(1001);
    /// A frame is not as it should be.
    pub const PROTOCOL_ERROR: Self = Self(1002);
    /// A kind of message that is not understood here: chat is text.
    pub const UNSUPPORTED: Self = Self(1003);
    /// A text is no UTF-8.
    pub const NOT_UTF8: Self = Self(1007);
    /// What was said is not allowed, or too slow.
    pub const POLICY: Self = Self(1008);
    /// A message is longer than it may be.
    pub const TOO_BIG: Self = Self(1009);

    /// The code with this number, if one may send it: those of RFC 6455 that are no mere marks, those that IANA registered since (1012
    /// to 1014), and those of libraries (3000 to 3999) and applications (4000 to 4999).
    pub const fn new(number: u16) -> Option<Self> {
        match number {
            1000..=1003 | 1007..=1014 | 3000..=4999 => Some(Self(number)),
            _ => None,
        }
    }

    /// The number on the wire.
    pub const fn number(self) -> u16 {
        self.0
    }
}

/// What a peer's close frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// Why, if it says so. The answer says the same.
    pub code: Option<CloseCode>,
    /// The frame's whole payload, the code included.
    pub payload: Control,
}

impl Close {
    /// Reads the payload of a close frame.
    ///
    /// # Errors
    /// [`WsFault::CloseCode`] for a code that is none or may not be sent, [`WsFault::NotUtf8`] for a reason that is no text.
    pub(crate) fn parse(payload: Control) -> Result<Self, WsFault> {
        let bytes = payload.bytes();
        let Some((code, reason)) = bytes.split_first_chunk::<2>() else {
            let empty = bytes.is_empty();
            return if empty { Ok(Self { code: None, payload }) } else { Err(WsFault::CloseCode) };
        };
        let code = CloseCode::new(u16::from_be_bytes(*code)).ok_or(WsFault::CloseCode)?;
        let mut utf8 = Utf8::NEW;
        utf8.push(reason).map_err(|_| WsFault::NotUtf8)?;
        if utf8.is_whole() { Ok(Self { code: Some(code), payload }) } else { Err(WsFault::NotUtf8) }
    }
}
