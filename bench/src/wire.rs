//! The frames of protocol v0.5, and those that carry v1, as the bench speaks them, written apart from the daemon's own codec, so that
//! a mistake there is not made here as well; and the stamp by which each message is known again.

/// The longest frame of types 0 to 5, its length field not counted.
const LENGTH_MAX: u32 = 65_536;
/// The longest frame, its length field counted.
pub(crate) const FRAME_BYTES_MAX: usize = 4 + LENGTH_MAX as usize;
/// The longest frame of type 16, its length field not counted.
const V1_LENGTH_MAX: u32 = 6 * 65_536 + 8192;
/// Bytes of a stamp: 4 hexadecimal digits of stream, 8 of sequence, 16 of time.
pub(crate) const STAMP_BYTES: usize = 28;

const CHAT: u32 = 0;
const BROADCAST: u32 = 1;
const KEEPALIVE: u32 = 2;
const SET_NICKNAME: u32 = 3;
const ACK: u32 = 4;
const NAK: u32 = 5;
const V1: u32 = 16;

/// One whole frame, borrowed from the bytes it came in.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Frame<'a> {
    Chat { text: &'a [u8] },
    Broadcast { text: &'a [u8] },
    Keepalive,
    SetNickname { request: &'a [u8] },
    Ack,
    Nak { message: &'a [u8] },
    V1 { json: &'a [u8] },
}

/// What the next bytes are.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Split<'a> {
    /// A frame and how many bytes it takes.
    Frame(Frame<'a>, usize),
    /// No whole frame yet.
    More,
    /// No frame of the protocol.
    Malformed,
}

/// Takes the first frame off `bytes`.
pub(crate) fn split(bytes: &[u8]) -> Split<'_> {
    let Some((length, rest)) = bytes.split_first_chunk::<4>() else { return Split::More };
    let length = u32::from_be_bytes(*length);
    let is_v1 = rest.get(..4).is_some_and(|kind| kind == V1.to_be_bytes());
    if !(4..=if is_v1 { V1_LENGTH_MAX } else { LENGTH_MAX }).contains(&length) {
        return Split::Malformed;
    }
    let Some(body) = rest.get(..length as usize) else { return Split::More };
    let Some((kind, payload)) = body.split_first_chunk::<4>() else { return Split::Malformed };
    let frame = match u32::from_be_bytes(*kind) {
        CHAT => long(payload).map(|text| Frame::Chat { text }),
        BROADCAST => short(payload).and_then(long).map(|text| Frame::Broadcast { text }),
        KEEPALIVE => payload.is_empty().then_some(Frame::Keepalive),
        SET_NICKNAME => payload.get(..16).map(|request| Frame::SetNickname { request }),
        ACK => (payload.len() == 16).then_some(Frame::Ack),
        V1 => Some(Frame::V1 { json: payload }),
        NAK => payload.get(16..).and_then(long).map(|message| Frame::Nak { message }),
        _ => None,
    };
    match frame {
        Some(frame) => Split::Frame(frame, 4 + body.len()),
        None => Split::Malformed,
    }
}

/// The text of a Broadcast as far as it has come, where at least its stamp has.
pub(crate) fn begun(bytes: &[u8]) -> Option<&[u8]> {
    let payload = bytes.get(8..)?;
    let text = short(payload)?.get(2..)?;
    (text.len() >= STAMP_BYTES).then_some(text)
}

/// A long string that fills `bytes` exactly.
fn long(bytes: &[u8]) -> Option<&[u8]> {
    let (length, text) = bytes.split_first_chunk::<2>()?;
    (usize::from(u16::from_be_bytes(*length)) == text.len()).then_some(text)
}

/// What comes after a short string.
fn short(bytes: &[u8]) -> Option<&[u8]> {
    let (&length, rest) = bytes.split_first()?;
    rest.get(usize::from(length)..)
}

fn head(kind: u32, payload: usize, out: &mut Vec<u8>) {
    let length = u32::try_from(payload + 4).expect("a frame of the bench is small");
    assert!(length <= LENGTH_MAX, "the bench keeps to the protocol's limit");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&kind.to_be_bytes());
}

fn long_string(text: &[u8], out: &mut Vec<u8>) {
    let length = u16::try_from(text.len()).expect("a text of the bench is short");
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(text);
}

/// Appends a Broadcast.
pub(crate) fn broadcast(from: &str, text: &[u8], out: &mut Vec<u8>) {
    head(BROADCAST, 1 + from.len() + 2 + text.len(), out);
    out.push(u8::try_from(from.len()).expect("a short name"));
    out.extend_from_slice(from.as_bytes());
    long_string(text, out);
}

/// Appends a Keepalive.
pub(crate) fn keepalive(out: &mut Vec<u8>) {
    head(KEEPALIVE, 0, out);
}

/// Appends a `SetNickname`; nobody looks at the request id.
pub(crate) fn set_nickname(nick: &str, out: &mut Vec<u8>) {
    head(SET_NICKNAME, 16 + 1 + nick.len(), out);
    out.extend_from_slice(&[0; 16]);
    out.push(u8::try_from(nick.len()).expect("a short name"));
    out.extend_from_slice(nick.as_bytes());
}

/// Appends a v1 request.
pub(crate) fn request(json: &str, out: &mut Vec<u8>) {
    head(V1, json.len(), out);
    out.extend_from_slice(json.as_bytes());
}

/// Appends an Ack.
pub(crate) fn ack(request: &[u8], out: &mut Vec<u8>) {
    head(ACK, request.len(), out);
    out.extend_from_slice(request);
}

/// What each message of the load carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    /// Who sends: the number of a stream of messages.
    pub(crate) stream: u16,
    /// Its place in that stream.
    pub(crate) sequence: u32,
    /// When it was due to be sent, by the clock of this process.
    pub(crate) micros: u64,
}

impl Stamp {
    /// Appends a Chat whose text is this stamp, filled up to `size` bytes.
    pub(crate) fn chat(self, size: usize, out: &mut Vec<u8>) {
        let size = size.max(STAMP_BYTES);
        head(CHAT, 2 + size, out);
        out.extend_from_slice(&u16::try_from(size).expect("a short text").to_be_bytes());
        digits(u64::from(self.stream), 4, out);
        digits(u64::from(self.sequence), 8, out);
        digits(self.micros, 16, out);
        out.resize(out.len() + size - STAMP_BYTES, b'.');
    }

    /// The stamp as text, for v1.
    pub(crate) fn text(self) -> String {
        let mut text = Vec::new();
        digits(u64::from(self.stream), 4, &mut text);
        digits(u64::from(self.sequence), 8, &mut text);
        digits(self.micros, 16, &mut text);
        String::from_utf8(text).expect("digits are text")
    }

    /// Reads the stamp at the beginning of a text; `None` where there is none.
    pub(crate) fn read(text: &[u8]) -> Option<Self> {
        let stream = u16::try_from(number(text.get(..4)?)?).ok()?;
        let sequence = u32::try_from(number(text.get(4..12)?)?).ok()?;
        Some(Self { stream, sequence, micros: number(text.get(12..STAMP_BYTES)?)? })
    }
}

fn digits(value: u64, count: u32, out: &mut Vec<u8>) {
    let digit = |place: u32| char::from_digit((value >> (4 * place) & 15) as u32, 16);
    out.extend((0..count).rev().filter_map(digit).map(|digit| digit as u8));
}

fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |value, &digit| {
        let digit = match digit {
            b'0'..=b'9' => digit - b'0',
            b'a'..=b'f' => digit - b'a' + 10,
            _ => return None,
        };
        Some(value << 4 | u64::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stamp_is_read_as_it_was_written() {
        let stamp = Stamp { stream: 65_535, sequence: 77, micros: u64::MAX - 3 };
        let mut bytes = Vec::new();
        stamp.chat(100, &mut bytes);
        assert_eq!(bytes.len(), 8 + 2 + 100);
        let Split::Frame(Frame::Chat { text }, taken) = split(&bytes) else { panic!("a chat") };
        assert_eq!((taken, text.len(), Stamp::read(text)), (bytes.len(), 100, Some(stamp)));
        assert_eq!(Stamp::read(b"no stamp at all, only some words"), None);
        assert_eq!(Stamp::read(b"short"), None);
    }

    #[test]
    fn each_frame_is_split_off_once_it_is_whole() {
        let mut bytes = Vec::new();
        broadcast("bare", b"hi", &mut bytes);
        assert_eq!(bytes, b"\0\0\0\x0d\0\0\0\x01\x04bare\0\x02hi");
        for end in 0..bytes.len() {
            assert_eq!(split(&bytes[..end]), Split::More);
        }
        assert_eq!(split(&bytes), Split::Frame(Frame::Broadcast { text: b"hi" }, 17));
        assert_eq!(begun(&bytes), None);
        bytes.clear();
        broadcast("bare", &[b'.'; 99], &mut bytes);
        assert_eq!(begun(&bytes[..50]), Some(&[b'.'; 35][..]));
        bytes.clear();
        keepalive(&mut bytes);
        assert_eq!(split(&bytes), Split::Frame(Frame::Keepalive, 8));
        bytes.clear();
        set_nickname("me", &mut bytes);
        assert_eq!(split(&bytes), Split::Frame(Frame::SetNickname { request: &[0; 16] }, 27));
        bytes.clear();
        ack(&[9; 16], &mut bytes);
        assert_eq!(split(&bytes), Split::Frame(Frame::Ack, 24));
    }

    #[test]
    fn a_length_that_cannot_be_is_malformed() {
        assert_eq!(split(b"\0\0\0\x03"), Split::Malformed);
        assert_eq!(split(b"\x01\0\0\0"), Split::Malformed);
        assert_eq!(split(b"\0\0\0\x06\0\0\0\0\0\x05"), Split::Malformed);
    }
}
