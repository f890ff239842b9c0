//! Frames to bytes, as a server writes them: without a mask (RFC 6455, sections 5.2 and 5.5).
//!
//! The header stands before a body that is left as it is, so that one encoded body serves every framing.

use alloc::vec::Vec;

use super::close::CloseCode;

/// The longest payload of a control frame in bytes (RFC 6455, section 5.5).
pub const CONTROL_BYTES_MAX: usize = 125;

/// What a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Opcode {
    /// More of a message that was begun.
    Continuation = 0x0,
    /// A text.
    Text = 0x1,
    /// Bytes.
    Binary = 0x2,
    /// The last frame.
    Close = 0x8,
    /// To be answered.
    Ping = 0x9,
    /// The answer.
    Pong = 0xa,
}

impl Opcode {
    const ALL: [(u8, Self); 6] = [
        (0x0, Self::Continuation),
        (0x1, Self::Text),
        (0x2, Self::Binary),
        (0x8, Self::Close),
        (0x9, Self::Ping),
        (0xa, Self::Pong),
    ];

    /// The opcode with this number; the others are reserved.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == number).map(|(_, opcode)| *opcode)
    }

    /// The number on the wire.
    pub fn number(self) -> u8 {
        Self::ALL.iter().find(|(_, opcode)| *opcode == self).map_or(0, |(number, _)| *number)
    }

    /// Whether it may stand between the frames of a message, and is never cut.
    pub const fn is_control(self) -> bool {
        matches!(self, Self::Close | Self::Ping | Self::Pong)
    }
}

/// Says that a frame is the message's last.
pub(crate) const FIN: u8 = 0x80;
/// Says that a frame is masked.
pub(crate) const MASKED: u8 = 0x80;
/// A length that stands in the two bytes behind.
pub(crate) const LENGTH_16: u8 = 126;
/// A length that stands in the eight bytes behind.
pub(crate) const LENGTH_64: u8 = 127;

/// Appends the header of a whole message, of which so many bytes follow.
pub fn header(opcode: Opcode, length: usize, out: &mut Vec<u8>) {
    head(FIN | opcode.number(), 0, length, out);
}

/// Appends a header with such a first byte and mask bit; the length in its shortest form.
pub(crate) fn head(first: u8, masked: u8, length: usize, out: &mut Vec<u8>) {
    out.push(first);
    if let Ok(short @ 0..LENGTH_16) = u8::try_from(length) {
        out.push(masked | short);
    } else if let Ok(middle) = u16::try_from(length) {
        out.push(masked | LENGTH_16);
        out.extend_from_slice(&middle.to_be_bytes());
    } else {
        out.push(masked | LENGTH_64);
        out.extend_from_slice(&u64::try_from(length).unwrap_or(u64::MAX >> 1).to_be_bytes());
    }
}

/// Appends a whole message.
pub fn frame(opcode: Opcode, body: &[u8], out: &mut Vec<u8>) {
    debug_assert!(
        !opcode.is_control() || body.len() <= CONTROL_BYTES_MAX,
        "control frames are short"
    );
    header(opcode, body.len(), out);
    out.extend_from_slice(body);
}

/// Appends the answer to a ping: what it said (RFC 6455, section 5.5.3).
pub fn pong(payload: &[u8], out: &mut Vec<u8>) {
    let payload = payload.get(..CONTROL_BYTES_MAX).unwrap_or(payload);
    frame(Opcode::Pong, payload, out);
}

/// Appends a close frame, the last that is sent: the code, and as much of the reason as a control frame holds.
pub fn close(code: CloseCode, reason: &str, out: &mut Vec<u8>) {
    let end = reason.floor_char_boundary(CONTROL_BYTES_MAX.saturating_sub(2));
    let reason = reason.get(..end).unwrap_or_default();
    header(Opcode::Close, reason.len().saturating_add(2), out);
    out.extend_from_slice(&code.number().to_be_bytes());
    out.extend_from_slice(reason.as_bytes());
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    #[test]
    fn the_examples_of_the_rfc_are_written_so() {
        let mut out = vec![];
        frame(Opcode::Text, b"Hello", &mut out);
        assert_eq!(out, b"\x81\x05Hello", "section 5.7");
        for (length, expected) in [
            (125, &b"\x82\x7d"[..]),
            (126, b"\x82\x7e\x00\x7e"),
            (256, b"\x82\x7e\x01\x00"),
            (65_535, b"\x82\x7e\xff\xff"),
            (65_536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ] {
            let mut out = vec![];
            header(Opcode::Binary, length, &mut out);
            assert_eq!(out, expected, "{length}");
        }
    }

    #[test]
    fn a_close_frame_has_a_code_and_a_reason_that_fits() {
        let mut out = vec![];
        close(CloseCode::GOING_AWAY, "bye", &mut out);
        assert_eq!(out, b"\x88\x05\x03\xe9bye");
        let mut out = vec![];
        close(CloseCode::POLICY, &"é".repeat(100), &mut out);
        assert_eq!(out.len(), 2 + 2 + 122, "cut at a character");
    }

    #[test]
    fn opcodes_have_their_numbers() {
        for number in 0..=15 {
            let opcode = Opcode::from_number(number);
            assert!(opcode.is_none_or(|opcode| opcode.number() == number));
            assert_eq!(opcode.is_some(), matches!(number, 0..=2 | 8..=10), "{number}");
        }
    }
}
