//! The echo, for conformance suites: what was said is said again, through the same reader as the chat's.

use alloc::vec::Vec;

use super::frame::{close, frame, pong};
use super::item::Item;
use super::reader::Limits;
use super::{CloseCode, Opcode};

/// The echo's limits: suites send messages of 16 MiB, and cut 4 MiB into 65,536 frames.
pub const ECHO_LIMITS: Limits = Limits { message: 16 * 1024 * 1024, fragments: 1 << 20 };

/// What follows an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// More is read.
    Read,
    /// What is queued is written, then the connection is closed.
    Close,
}

/// Appends the answer to what a peer of the echo said. `message` is what the reader put together.
pub fn echo(item: &Item, message: &[u8], out: &mut Vec<u8>) -> After {
    match item {
        Item::Message(kind) => frame(kind.opcode(), message, out),
        Item::More | Item::Ping(_) | Item::Pong(_) | Item::Close(_) | Item::Fault(_) => {
            return answer(item, out);
        }
    }
    After::Read
}

/// Appends what every WebSocket peer is answered, whatever it is connected for: a pong to a ping, a close to a close with the same code
/// (RFC 6455, section 5.5.1), a close to what cannot be read on.
pub fn answer(item: &Item, out: &mut Vec<u8>) -> After {
    match item {
        Item::More | Item::Message(_) | Item::Pong(_) => return After::Read,
        Item::Ping(ping) => {
            pong(ping.bytes(), out);
            return After::Read;
        }
        Item::Close(said) => match said.code {
            Some(code) => close(code, "", out),
            None => frame(Opcode::Close, b"", out),
        },
        Item::Fault(fault) => {
            let code: CloseCode = fault.code();
            close(code, &alloc::format!("{fault}"), out);
        }
    }
    After::Close
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;
    use crate::ws::{Reader, Role, masked_frame};

    /// What the echo answers to frames, and whether it closes.
    fn answered(bytes: &[u8]) -> (Vec<u8>, After) {
        let (mut reader, mut message, mut out, mut at) =
            (Reader::new(Role::Server), vec![], vec![], 0);
        loop {
            let step = reader.feed(bytes.get(at..).unwrap(), &mut message, ECHO_LIMITS);
            at = at.saturating_add(step.consumed);
            if step.item == Item::More {
                return (out, After::Read);
            }
            if echo(&step.item, &message, &mut out) == After::Close {
                return (out, After::Close);
            }
            if matches!(step.item, Item::Message(_)) {
                message.clear();
            }
        }
    }

    #[test]
    fn everything_is_answered_in_order_until_the_close() {
        let mut bytes = vec![];
        masked_frame(Opcode::Text, b"one", [1, 2, 3, 4], &mut bytes);
        masked_frame(Opcode::Ping, b"two", [1, 2, 3, 4], &mut bytes);
        masked_frame(Opcode::Pong, b"unasked", [0; 4], &mut bytes);
        masked_frame(Opcode::Binary, b"\xff", [9; 4], &mut bytes);
        let said = b"\x81\x03one\x8a\x03two\x82\x01\xff";
        assert_eq!(answered(&bytes), (said.to_vec(), After::Read));
        let mut closed = bytes.clone();
        masked_frame(Opcode::Close, b"\x0f\xa0enough", [7; 4], &mut closed);
        masked_frame(Opcode::Text, b"too late", [1; 4], &mut closed);
        assert_eq!(answered(&closed), ([&said[..], b"\x88\x02\x0f\xa0"].concat(), After::Close));
        masked_frame(Opcode::Close, b"", [7; 4], &mut bytes);
        assert_eq!(answered(&bytes), ([&said[..], b"\x88\x00"].concat(), After::Close));
    }

    #[test]
    fn what_came_before_the_offence_is_answered() {
        let mut bytes = vec![];
        masked_frame(Opcode::Text, b"one", [0; 4], &mut bytes);
        masked_frame(Opcode::Text, b"\xff", [0; 4], &mut bytes);
        let said = b"\x81\x03one\x88\x1b\x03\xefa text is not valid UTF-8";
        assert_eq!(answered(&bytes), (said.to_vec(), After::Close));
    }
}
