//! What is wrong with a peer's frames so that nothing behind them can be understood, and the code that says so (RFC 6455, section 7.4.1).

use core::fmt;

use super::close::CloseCode;

/// Why the frames of a peer cannot be read on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WsFault {
    /// A reserved bit is set, and no extension was agreed on.
    ReservedBit,
    /// An opcode that nobody defined.
    ReservedOpcode(u8),
    /// A client's frame without a mask, or a server's with one.
    Masking,
    /// A length that is not in its shortest form, or beyond 63 bits.
    Length,
    /// A control frame that is cut or longer than 125 bytes.
    ControlFrame,
    /// More of a message, and none was begun.
    NothingToContinue,
    /// A new message before the last one ended.
    Unfinished,
    /// A close frame with a code that is none, or may not be sent.
    CloseCode,
    /// A text or a close frame's reason that is no UTF-8.
    NotUtf8,
    /// A message over its limit in bytes.
    TooBig {
        /// The limit in bytes.
        max: usize,
    },
    /// A message of bytes where only text is understood.
    Binary,
    /// A message in too many frames.
    TooManyFragments {
        /// The most frames.
        max: u32,
    },
}

impl WsFault {
    /// The code with which the connection is closed (RFC 6455, section 7.4.1).
    pub const fn code(self) -> CloseCode {
        match self {
            Self::ReservedBit
            | Self::ReservedOpcode(_)
            | Self::Masking
            | Self::Length
            | Self::ControlFrame
            | Self::NothingToContinue
            | Self::Unfinished
            | Self::CloseCode => CloseCode::PROTOCOL_ERROR,
            Self::Binary => CloseCode::UNSUPPORTED,
            Self::NotUtf8 => CloseCode::NOT_UTF8,
            Self::TooBig { .. } => CloseCode::TOO_BIG,
            Self::TooManyFragments { .. } => CloseCode::POLICY,
        }
    }

    /// The fault as one word, for logs and counters.
    pub const fn word(self) -> &'static str {
        match self {
            Self::ReservedBit => "ws_reserved_bit",
            Self::ReservedOpcode(_) => "ws_reserved_opcode",
            Self::Masking => "ws_masking",
            Self::Length => "ws_length",
            Self::ControlFrame => "ws_control_frame",
            Self::NothingToContinue => "ws_nothing_to_continue",
            Self::Unfinished => "ws_unfinished",
            Self::CloseCode => "ws_close_code",
            Self::Binary => "ws_binary",
            Self::NotUtf8 => "ws_not_utf8",
            Self::TooBig { .. } => "ws_too_big",
            Self::TooManyFragments { .. } => "ws_too_many_fragments",
        }
    }
}

impl fmt::Display for WsFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ReservedBit => f.write_str("a reserved bit is set"),
            Self::ReservedOpcode(opcode) => write!(f, "the opcode {opcode} is reserved"),
            Self::Masking => f.write_str("a frame is not masked as it should be"),
            Self::Length => f.write_str("a length is not in its shortest form"),
            Self::ControlFrame => f.write_str("a control frame is cut or longer than 125 bytes"),
            Self::NothingToContinue => f.write_str("more of a message that was not begun"),
            Self::Unfinished => f.write_str("a new message before the last one ended"),
            Self::CloseCode => f.write_str("a close frame with no valid code"),
            Self::Binary => f.write_str("a binary message; the vocabulary is text"),
            Self::NotUtf8 => f.write_str("a text is not valid UTF-8"),
            Self::TooBig { max } => write!(f, "a message is longer than {max} bytes"),
            Self::TooManyFragments { max } => write!(f, "a message has more than {max} frames"),
        }
    }
}

impl core::error::Error for WsFault {}
