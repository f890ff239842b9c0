//! Native TCP frames: u32 length, u32 type, payload (docs/protocol.md, "Frames"). Types 0 to 5 are TcpChat protocol v0.5.
//!
//! The decoder looks at bytes that its caller keeps and never allocates: what a peer claims is only compared with limits.

use alloc::vec::Vec;

use crate::command::{Command, Guid};
use crate::fault::Fault;
use crate::session::WireLimits;

/// The bytes before a payload: length and type.
pub const HEADER_BYTES: usize = 8;
/// The largest length field of types 0 to 5, in both directions.
pub const V05_LENGTH_MAX: u32 = 65_536;
/// No frame is as long as this, so that the first byte of a native stream is always 00.
pub const LENGTH_LIMIT: u32 = 1 << 24;
/// The most content that one v0.5 Chat frame carries: its length field less the type and the text's own length.
pub const V05_CONTENT_BYTES_MAX: usize = 65_530;
/// A request id: 16 opaque bytes.
const GUID_BYTES: u32 = 16;
/// What the length field counts before the payload: the type.
const TYPE_BYTES: u32 = 4;

const _: () = assert!(V05_CONTENT_BYTES_MAX == 65_536 - 4 - 2);
const _: () = assert!(V05_LENGTH_MAX < LENGTH_LIMIT);

/// The type of a v1 frame: one JSON object.
pub const V1_TYPE: u32 = 16;

/// The frame types of v0.5.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub enum FrameType {
    /// Client to server: Text (long string).
    Chat = 0,
    /// Server to client: From (short string), Text (long string).
    Broadcast = 1,
    /// Both directions, no payload.
    Keepalive = 2,
    /// Client to server: request id, nickname (short string).
    SetNickname = 3,
    /// Answer: request id.
    Ack = 4,
    /// Answer: request id, message (long string).
    Nak = 5,
}

impl FrameType {
    const ALL: [(u32, Self); 6] = [
        (0, Self::Chat),
        (1, Self::Broadcast),
        (2, Self::Keepalive),
        (3, Self::SetNickname),
        (4, Self::Ack),
        (5, Self::Nak),
    ];

    /// The type with this number, if v0.5 has one.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL.iter().find(|(known, _)| *known == number).map(|(_, kind)| *kind)
    }

    /// The number on the wire.
    pub fn number(self) -> u32 {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or(0, |(number, _)| *number)
    }

    /// The smallest and the largest length field of a frame of this type.
    const fn lengths(self) -> (u32, u32) {
        match self {
            Self::Chat => (TYPE_BYTES + 2, V05_LENGTH_MAX),
            Self::Broadcast => (TYPE_BYTES + 3, V05_LENGTH_MAX),
            Self::Keepalive => (TYPE_BYTES, TYPE_BYTES),
            Self::SetNickname => (TYPE_BYTES + GUID_BYTES + 1, TYPE_BYTES + GUID_BYTES + 1 + 255),
            Self::Ack => (TYPE_BYTES + GUID_BYTES, TYPE_BYTES + GUID_BYTES),
            Self::Nak => (TYPE_BYTES + GUID_BYTES + 2, V05_LENGTH_MAX),
        }
    }
}

/// What the beginning of `bytes` is.
#[derive(Debug, PartialEq)]
pub(crate) enum Frame<'a> {
    /// Not yet a whole frame.
    Partial,
    /// A whole frame of so many bytes.
    Whole(usize, Command<'a>),
    /// A whole v1 frame of so many bytes, and its JSON.
    V1(usize, &'a [u8]),
    /// A frame of an unknown type, so many bytes in all: to be skipped.
    Unknown(u32),
}

/// Looks at the first frame of `bytes`, as a server does. A wrong header is a fault before its payload is waited for.
pub(crate) fn decode(bytes: &[u8], limits: WireLimits) -> Result<Frame<'_>, Fault> {
    match bytes.first() {
        None => return Ok(Frame::Partial),
        Some(0) => {}
        // Already wrong, whatever follows: said by this byte alone, so that it is the same however the bytes are cut.
        Some(first) => {
            let length = u32::from(*first) << 24;
            return Err(Fault::LengthTooLarge { length, max: LENGTH_LIMIT.saturating_sub(1) });
        }
    }
    let Some(length) = u32_at(bytes, 0) else { return Ok(Frame::Partial) };
    if length < TYPE_BYTES {
        return Err(Fault::LengthTooSmall(length));
    }
    let Some(number) = u32_at(bytes, 4) else { return Ok(Frame::Partial) };
    let whole = length.saturating_add(4);
    if number == V1_TYPE {
        return v1(bytes, length, limits);
    }
    let Some(kind) = FrameType::from_number(number) else { return Ok(Frame::Unknown(whole)) };
    let (least, most) = kind.lengths();
    if length > V05_LENGTH_MAX {
        return Err(Fault::LengthTooLarge { length, max: V05_LENGTH_MAX });
    }
    if length < least || length > most {
        return Err(Fault::LengthWrong { kind, length });
    }
    if matches!(kind, FrameType::Ack | FrameType::Nak) {
        return Err(Fault::UnsolicitedAnswer);
    }
    inner_length_fits(kind, bytes, length)?;
    let whole = usize::try_from(whole).unwrap_or(usize::MAX);
    let Some(payload) = bytes.get(HEADER_BYTES..whole) else { return Ok(Frame::Partial) };
    command(kind, payload, length).map(|command| Frame::Whole(whole, command))
}

/// A v1 frame: its JSON is as long as a line of the control socket may be.
fn v1(bytes: &[u8], length: u32, limits: WireLimits) -> Result<Frame<'_>, Fault> {
    let max = u32::try_from(limits.line()).unwrap_or(u32::MAX).saturating_add(TYPE_BYTES);
    if length > max {
        return Err(Fault::LengthTooLarge { length, max });
    }
    let whole = usize::try_from(length.saturating_add(4)).unwrap_or(usize::MAX);
    Ok(bytes.get(HEADER_BYTES..whole).map_or(Frame::Partial, |json| Frame::V1(whole, json)))
}

/// Compares the length that the inner string claims, as soon as it is there, with the room its frame has.
fn inner_length_fits(kind: FrameType, bytes: &[u8], length: u32) -> Result<(), Fault> {
    let (claimed, room) = match kind {
        FrameType::Chat => match bytes.get(HEADER_BYTES..10) {
            Some(&[high, low]) => {
                (u32::from(u16::from_be_bytes([high, low])), length.saturating_sub(6))
            }
            Some(_) | None => return Ok(()),
        },
        FrameType::SetNickname => match bytes.get(24) {
            Some(claimed) => (u32::from(*claimed), length.saturating_sub(21)),
            None => return Ok(()),
        },
        FrameType::Broadcast | FrameType::Keepalive | FrameType::Ack | FrameType::Nak => {
            return Ok(());
        }
    };
    if claimed == room { Ok(()) } else { Err(Fault::StringWrong { kind, claimed, room }) }
}

fn command(kind: FrameType, payload: &[u8], length: u32) -> Result<Command<'_>, Fault> {
    let short = Fault::LengthWrong { kind, length };
    match kind {
        FrameType::Chat => Ok(Command::Chat { text: payload.get(2..).ok_or(short)? }),
        FrameType::SetNickname => {
            let (request, rest) = payload.split_first_chunk::<16>().ok_or(short)?;
            Ok(Command::SetNickname { request: Guid(*request), nick: rest.get(1..).ok_or(short)? })
        }
        FrameType::Keepalive => Ok(Command::Keepalive),
        FrameType::Broadcast => Ok(Command::Ignored),
        FrameType::Ack | FrameType::Nak => Err(Fault::UnsolicitedAnswer),
    }
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk::<4>().map(|four| u32::from_be_bytes(*four))
}

/// Appends a Chat frame, as a client sends it: at most [`V05_CONTENT_BYTES_MAX`] bytes of `text`, the rest is left out.
pub fn chat(text: &[u8], out: &mut Vec<u8>) {
    let text = text.get(..V05_CONTENT_BYTES_MAX).unwrap_or(text);
    frame(FrameType::Chat, &[&long_length(text), text], out);
}

/// Appends one Broadcast frame. The caller has split the text: see [`crate::encode`].
pub(crate) fn broadcast(from: &str, text: &str, out: &mut Vec<u8>) {
    let from = from.as_bytes().get(..255).unwrap_or(from.as_bytes());
    let text = text.as_bytes();
    frame(FrameType::Broadcast, &[&[byte(from.len())], from, &long_length(text), text], out);
}

/// Appends a Keepalive frame.
pub fn keepalive(out: &mut Vec<u8>) {
    frame(FrameType::Keepalive, &[], out);
}

/// Appends a SetNickname frame, as a client sends it: at most 255 bytes of `nick`.
pub fn set_nickname(request: Guid, nick: &[u8], out: &mut Vec<u8>) {
    let nick = nick.get(..255).unwrap_or(nick);
    frame(FrameType::SetNickname, &[&request.0, &[byte(nick.len())], nick], out);
}

/// Appends an Ack frame.
pub fn ack(request: Guid, out: &mut Vec<u8>) {
    frame(FrameType::Ack, &[&request.0], out);
}

/// Appends a Nak frame: at most 1,024 bytes of `message`, cut at a character.
pub fn nak(request: Guid, message: &str, out: &mut Vec<u8>) {
    let message = message.get(..message.floor_char_boundary(1_024)).unwrap_or(message).as_bytes();
    frame(FrameType::Nak, &[&request.0, &long_length(message), message], out);
}

/// Appends a v1 frame around a JSON object.
pub fn v1_frame(json: &[u8], out: &mut Vec<u8>) {
    let length = u32::try_from(json.len()).unwrap_or(u32::MAX).saturating_add(TYPE_BYTES);
    debug_assert!(length < LENGTH_LIMIT, "what is queued keeps within the limits");
    out.reserve(json.len().saturating_add(HEADER_BYTES));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&V1_TYPE.to_be_bytes());
    out.extend_from_slice(json);
}

fn frame(kind: FrameType, parts: &[&[u8]], out: &mut Vec<u8>) {
    let payload = parts.iter().fold(0_usize, |sum, part| sum.saturating_add(part.len()));
    let length = u32::try_from(payload).unwrap_or(u32::MAX).saturating_add(TYPE_BYTES);
    debug_assert!(length <= V05_LENGTH_MAX, "callers keep their strings within the frame");
    out.reserve(payload.saturating_add(HEADER_BYTES));
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&kind.number().to_be_bytes());
    for part in parts {
        out.extend_from_slice(part);
    }
}

fn byte(length: usize) -> u8 {
    u8::try_from(length).unwrap_or(u8::MAX)
}

fn long_length(text: &[u8]) -> [u8; 2] {
    u16::try_from(text.len()).unwrap_or(u16::MAX).to_be_bytes()
}
