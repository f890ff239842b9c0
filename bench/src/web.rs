//! What the bench hears over HTTP, written apart from the daemon's own codec as `wire` is: text frames of a WebSocket and server-sent
//! events, each of which carries one JSON object, and how both are asked for.

use crate::wire::{Frame, Split};

/// The request for a WebSocket; nobody looks at the answer to its key.
pub(crate) const UPGRADE: &[u8] =
    b"GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
/// The request for what is said in the lobby.
pub(crate) const EVENTS: &[u8] = b"GET /api/rooms/lobby/events HTTP/1.1\r\nHost: localhost\r\n\r\n";

const TEXT: u8 = 0x81;
const PING: u8 = 0x89;

/// Takes the head of an answer off `bytes`: how long it is, once it is whole.
pub(crate) fn head(bytes: &[u8]) -> Option<usize> {
    bytes.windows(4).position(|four| four == b"\r\n\r\n").map(|at| at + 4)
}

/// Takes the first frame of a WebSocket off `bytes`: a whole text, or a ping.
pub(crate) fn split_socket(bytes: &[u8]) -> Split<'_> {
    let [first, length, rest @ ..] = bytes else { return Split::More };
    let (length, rest) = match (*length, rest) {
        (126, [high, low, rest @ ..]) => (usize::from(u16::from_be_bytes([*high, *low])), rest),
        (126, _) => return Split::More,
        // Nothing here is as long as that, and a server masks nothing.
        (127.., _) => return Split::Malformed,
        (short, rest) => (usize::from(short), rest),
    };
    let Some(payload) = rest.get(..length) else { return Split::More };
    let taken = bytes.len() - rest.len() + length;
    match *first {
        TEXT => Split::Frame(Frame::V1 { json: payload }, taken),
        PING => Split::Frame(Frame::Keepalive, taken),
        _ => Split::Malformed,
    }
}

/// Takes the first event of a stream off `bytes`: its JSON, or nothing where it has none.
pub(crate) fn split_events(bytes: &[u8]) -> Split<'_> {
    let Some(end) = bytes.windows(2).position(|two| two == b"\n\n") else { return Split::More };
    let mut lines = bytes[..end].split(|byte| *byte == b'\n');
    let frame = match lines.find_map(|line| line.strip_prefix(b"data: ")) {
        Some(json) => Frame::V1 { json },
        None => Frame::Keepalive,
    };
    Split::Frame(frame, end + 2)
}

/// Appends a text message as clients send it: masked, with the mask that changes nothing.
pub(crate) fn text(json: &[u8], out: &mut Vec<u8>) {
    let length = u8::try_from(json.len()).ok().filter(|length| *length < 126);
    out.extend([TEXT, 0x80 | length.expect("what the bench asks is short"), 0, 0, 0, 0]);
    out.extend_from_slice(json);
}

/// Appends an answer to no ping, which is what keeps a WebSocket alive.
pub(crate) fn pong(out: &mut Vec<u8>) {
    out.extend([0x8a, 0x80, 0, 0, 0, 0]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_frame_and_event_is_split_off_once_it_is_whole() {
        let long = [b'x'; 300];
        let frames = [&[0x89, 0][..], &[0x81, 2, b'{', b'}'], &[0x81, 126, 1, 44], &long].concat();
        assert_eq!(split_socket(&frames), Split::Frame(Frame::Keepalive, 2));
        assert_eq!(split_socket(&frames[2..5]), Split::More);
        assert_eq!(split_socket(&frames[2..]), Split::Frame(Frame::V1 { json: b"{}" }, 4));
        assert_eq!(split_socket(&frames[6..]), Split::Frame(Frame::V1 { json: &long }, 304));
        assert_eq!(split_socket(&frames[6..30]), Split::More);
        assert_eq!(split_socket(&[0x82, 0]), Split::Malformed);
        let events = b"retry: 1000\n\n:\n\nid: a-1\ndata: {}\n\nda";
        assert_eq!(split_events(events), Split::Frame(Frame::Keepalive, 13));
        assert_eq!(split_events(&events[13..]), Split::Frame(Frame::Keepalive, 3));
        assert_eq!(split_events(&events[16..]), Split::Frame(Frame::V1 { json: b"{}" }, 18));
        assert_eq!(split_events(&events[34..]), Split::More);
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n\r\nrest"), Some(19));
        assert_eq!(head(b"HTTP/1.1 200 OK\r\n\r"), None);
    }
}
