//! The machine that reads frames: bytes in, whole messages and control frames out (RFC 6455, sections 5 and 8.1).
//!
//! A [`Reader`] holds no bytes. What a frame of a message carries is unmasked into a buffer of the caller as it comes; of a header or
//! a control frame that is not whole (139 bytes at most) nothing is consumed, and the caller offers it again with more behind it.
//! So a connection owns memory only while a message is unfinished. Any chunking of the bytes gives the same items, and what is wrong
//! is found with the byte that makes it so: a reserved bit with the first, a wrong octet of a text inside an unfinished frame.

use alloc::vec::Vec;

use super::close::Close;
use super::fault::WsFault;
use super::frame::{CONTROL_BYTES_MAX, FIN, LENGTH_16, LENGTH_64, MASKED, Opcode};
use super::item::{Control, Item, Kind, Step};
use super::mask::Mask;
use super::utf8::Utf8;
use crate::session::WireLimits;

/// Which side reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// A server: what it reads is masked.
    Server,
    /// A client: what it reads is not.
    Client,
}

/// How much one message may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// The most bytes of a message, all its frames together.
    pub message: usize,
    /// The most frames of a message.
    pub fragments: u32,
}

/// The most frames of a message of the chat: clients send one, and who cuts a message at all does so by buffers of some KiB.
const FRAGMENTS_MAX: u32 = 64;

impl Limits {
    /// The chat's limits: a message is as long as a JSON line may be.
    pub const fn of(wire: WireLimits) -> Self {
        Self { message: wire.line(), fragments: FRAGMENTS_MAX }
    }
}

/// Where a connection is in its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    role: Role,
    state: State,
    message: Option<Begun>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Before a frame's header.
    Header,
    /// In a frame of a message.
    Payload { left: u64, mask: Mask, last: bool },
    /// The peer has closed, or cannot be understood.
    Over,
}

/// A message that has begun.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Begun {
    kind: Kind,
    fragments: u32,
    utf8: Utf8,
}

/// A frame's header.
#[derive(Clone, Copy, Debug)]
struct Header {
    opcode: Opcode,
    fin: bool,
    mask: Mask,
    length: u64,
    /// Its own bytes.
    bytes: usize,
}

impl Reader {
    /// A connection on which no frame has begun.
    pub const fn new(role: Role) -> Self {
        Self { role, state: State::Header, message: None }
    }

    /// Whether a message has begun that has not ended.
    pub const fn mid_message(&self) -> bool {
        self.message.is_some() && !self.is_over()
    }

    /// Whether nothing more is read.
    pub const fn is_over(&self) -> bool {
        matches!(self.state, State::Over)
    }

    /// Looks at the beginning of `bytes`: everything offered before and not consumed, and what came since. What a message carries
    /// is appended to `message`, which has what was appended to it since the last whole message, and nothing else.
    pub fn feed(&mut self, bytes: &[u8], message: &mut Vec<u8>, limits: Limits) -> Step {
        let mut consumed = 0_usize;
        loop {
            let rest = bytes.get(consumed..).unwrap_or_default();
            let step = match self.state {
                State::Header => self.feed_header(rest, message, limits),
                State::Payload { left, mask, last } => {
                    self.feed_payload(rest, left, mask, last, message, limits)
                }
                State::Over => return Step { consumed: bytes.len(), item: Item::More },
            };
            match step {
                // Something was consumed, and nothing is to be told yet.
                Ok((here @ 1.., Item::More)) => consumed = consumed.saturating_add(here),
                Ok((here, item)) => return Step { consumed: consumed.saturating_add(here), item },
                Err(fault) => {
                    self.state = State::Over;
                    return Step { consumed: bytes.len(), item: Item::Fault(fault) };
                }
            }
        }
    }

    fn feed_header(
        &mut self,
        bytes: &[u8],
        message: &[u8],
        limits: Limits,
    ) -> Result<(usize, Item), WsFault> {
        let Some(header) = self.header(bytes)? else { return Ok((0, Item::More)) };
        if header.opcode.is_control() {
            return self.control(bytes, header);
        }
        let kind = match header.opcode {
            Opcode::Text => Kind::Text,
            Opcode::Binary => Kind::Binary,
            Opcode::Continuation | Opcode::Close | Opcode::Ping | Opcode::Pong => {
                self.message.map_or(Kind::Binary, |begun| begun.kind)
            }
        };
        let begun = self.message.get_or_insert(Begun { kind, fragments: 0, utf8: Utf8::NEW });
        begun.fragments = begun.fragments.saturating_add(1);
        if begun.fragments > limits.fragments {
            return Err(WsFault::TooManyFragments { max: limits.fragments });
        }
        let room = limits.message.saturating_sub(message.len());
        if usize::try_from(header.length).map_or(true, |length| length > room) {
            return Err(WsFault::TooBig { max: limits.message });
        }
        if header.length > 0 {
            self.state =
                State::Payload { left: header.length, mask: header.mask, last: header.fin };
            return Ok((header.bytes, Item::More));
        }
        Ok((header.bytes, self.frame_ended(header.fin)?))
    }

    /// Reads a header, as far as it has come; what is wrong with its first bytes is said before the others are there.
    fn header(&self, bytes: &[u8]) -> Result<Option<Header>, WsFault> {
        let Some((first, rest)) = bytes.split_first() else { return Ok(None) };
        if first & 0x70 != 0 {
            return Err(WsFault::ReservedBit);
        }
        let number = first & 0x0f;
        let opcode = Opcode::from_number(number).ok_or(WsFault::ReservedOpcode(number))?;
        let fin = first & FIN != 0;
        match opcode {
            Opcode::Continuation if self.message.is_none() => {
                return Err(WsFault::NothingToContinue);
            }
            Opcode::Text | Opcode::Binary if self.message.is_some() => {
                return Err(WsFault::Unfinished);
            }
            Opcode::Close | Opcode::Ping | Opcode::Pong if !fin => {
                return Err(WsFault::ControlFrame);
            }
            Opcode::Continuation
            | Opcode::Text
            | Opcode::Binary
            | Opcode::Close
            | Opcode::Ping
            | Opcode::Pong => {}
        }
        let Some((second, rest)) = rest.split_first() else { return Ok(None) };
        if (second & MASKED != 0) != (self.role == Role::Server) {
            return Err(WsFault::Masking);
        }
        let short = second & !MASKED;
        if opcode.is_control() && short >= LENGTH_16 {
            return Err(WsFault::ControlFrame);
        }
        let Some((length, rest)) = length(short, rest)? else { return Ok(None) };
        let (mask, rest) = match self.role {
            Role::Client => (Mask::default(), rest),
            Role::Server => match rest.split_first_chunk::<4>() {
                Some((mask, rest)) => (Mask(*mask), rest),
                None => return Ok(None),
            },
        };
        let own = bytes.len().saturating_sub(rest.len());
        Ok(Some(Header { opcode, fin, mask, length, bytes: own }))
    }

    /// A control frame, once it is whole.
    fn control(&mut self, bytes: &[u8], header: Header) -> Result<(usize, Item), WsFault> {
        let length = usize::try_from(header.length).unwrap_or(CONTROL_BYTES_MAX);
        let whole = header.bytes.saturating_add(length);
        let Some(payload) = bytes.get(header.bytes..whole) else { return Ok((0, Item::More)) };
        let payload = Control::unmasked(payload, header.mask);
        let item = match header.opcode {
            Opcode::Ping => Item::Ping(payload),
            Opcode::Close => {
                let close = Close::parse(payload)?;
                self.state = State::Over;
                Item::Close(close)
            }
            Opcode::Pong | Opcode::Continuation | Opcode::Text | Opcode::Binary => {
                Item::Pong(payload)
            }
        };
        Ok((whole, item))
    }

    fn feed_payload(
        &mut self,
        bytes: &[u8],
        left: u64,
        mut mask: Mask,
        last: bool,
        message: &mut Vec<u8>,
        limits: Limits,
    ) -> Result<(usize, Item), WsFault> {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(u64::try_from(here).unwrap_or(left));
        let begin = message.len();
        reserve(message, here, limits.message);
        mask.apply(bytes.get(..here).unwrap_or_default(), message);
        if let Some(begun) = &mut self.message
            && begun.kind == Kind::Text
        {
            let piece = message.get(begin..).unwrap_or_default();
            begun.utf8.push(piece).map_err(|_| WsFault::NotUtf8)?;
        }
        if left == 0 {
            self.state = State::Header;
            return Ok((here, self.frame_ended(last)?));
        }
        self.state = State::Payload { left, mask, last };
        Ok((here, Item::More))
    }

    /// A frame of a message is over, and with the last one the message.
    fn frame_ended(&mut self, last: bool) -> Result<Item, WsFault> {
        let Some(begun) = self.message.filter(|_| last) else { return Ok(Item::More) };
        if begun.kind == Kind::Text && !begun.utf8.is_whole() {
            return Err(WsFault::NotUtf8);
        }
        self.message = None;
        Ok(Item::Message(begun.kind))
    }
}

/// The length of a payload, and what is behind it; only the shortest form is taken (RFC 6455, section 5.2).
fn length(short: u8, rest: &[u8]) -> Result<Option<(u64, &[u8])>, WsFault> {
    match short {
        LENGTH_64.. => {
            let Some((bytes, rest)) = rest.split_first_chunk::<8>() else { return Ok(None) };
            let length = u64::from_be_bytes(*bytes);
            let fits = length > u64::from(u16::MAX) && length <= u64::MAX >> 1;
            if fits { Ok(Some((length, rest))) } else { Err(WsFault::Length) }
        }
        LENGTH_16 => {
            let Some((bytes, rest)) = rest.split_first_chunk::<2>() else { return Ok(None) };
            let length = u16::from_be_bytes(*bytes);
            let fits = length >= u16::from(LENGTH_16);
            if fits { Ok(Some((u64::from(length), rest))) } else { Err(WsFault::Length) }
        }
        0..LENGTH_16 => Ok(Some((u64::from(short), rest))),
    }
}

/// Makes room for what came: memory follows the bytes that are here, never those that were announced, and has the message's limit.
fn reserve(message: &mut Vec<u8>, more: usize, most: usize) {
    let needed = message.len().saturating_add(more);
    if needed > message.capacity() {
        let wished = message.capacity().saturating_mul(2).min(most).max(needed);
        message.reserve_exact(wished.saturating_sub(message.len()));
    }
}

#[cfg(test)]
mod tests;
