//! A v0.5 client: says chats, nicknames and nonsense by its dice, and reads every frame that comes
//! with its own small reader of the protocol, so that an error of the daemon's codec shows.

use crate::clients::Client;
use crate::naming::Refused;
use crate::net::Net;
use crate::oracle::{LOBBY, Oracle, Post};
use crate::trace::Kind;

/// A frame of type 2.
pub const KEEPALIVE: [u8; 8] = [0, 0, 0, 4, 0, 0, 0, 2];

/// No frame is as long as this.
const LENGTH_LIMIT: usize = 1 << 24;
/// The longest length field of v0.5.
const V05_LENGTH_MAX: usize = 65_536;

/// Frames that end a connection, each at its header or where it shows.
pub const BAD_FRAMES: [&[u8]; 8] = [
    &[0, 0, 0, 0, 0, 0, 0, 2],
    &[0, 0, 0, 3, 0, 0, 0],
    &[0, 2, 0, 0, 0, 0, 0, 0],
    &[0, 0, 0, 5, 0, 0, 0, 2, 9],
    &[0, 0, 0, 20, 0, 0, 0, 4, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16],
    &[0, 0, 0, 22, 0, 0, 0, 5, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 0, 0],
    &[0, 0, 0, 8, 0, 0, 0, 0, 0, 9, b'a', b'b'],
    &[0, 0, 0, 9, 0, 0, 0, 0, 0, 1, b'a', b'b', b'c'],
];

/// A frame of this type.
pub fn frame(kind: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + payload.len());
    bytes.extend((payload.len() as u32 + 4).to_be_bytes());
    bytes.extend(kind.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// A frame of type 0.
pub fn chat(text: &[u8]) -> Vec<u8> {
    let mut payload = (text.len() as u16).to_be_bytes().to_vec();
    payload.extend(text);
    frame(0, &payload)
}

/// Does one thing.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let half = client.rng.chance(client.temper.half);
    match client.rng.below(100) {
        0..50 => {
            let bytes = say(client, oracle, client.sent);
            client.send_framed(net, &bytes, half);
        }
        50..60 => {
            let bytes = wish(client, oracle, client.sent);
            client.send_framed(net, &bytes, half);
        }
        60..75 => burst(client, net, oracle),
        75..80 => client.send_framed(net, &KEEPALIVE, half),
        80..88 => {
            let bytes = nonsense(client);
            client.send_framed(net, &bytes, half);
        }
        88..91 if client.rng.chance(client.temper.bad) => {
            client.bad_from = Some(client.sent);
            let long = chat(&vec![b'x'; (net.plan.message_max + 1).min(65_530)]);
            let bad = if long.len() > 65_000 || client.rng.chance(800) {
                client.rng.pick(&BAD_FRAMES)
            } else {
                &long
            };
            client.send_frame(net, bad);
        }
        _ => {}
    }
}

/// Several frames at once.
fn burst(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let mut bytes = Vec::new();
    for _ in 0..client.rng.scale(2, client.temper.burst.max(2)) {
        let at = client.sent + bytes.len() as u64;
        let one = match client.rng.below(12) {
            0 => wish(client, oracle, at),
            1 => nonsense(client),
            _ => say(client, oracle, at),
        };
        client.framed(at, &one);
        bytes.extend(one);
    }
    client.send(net, &bytes);
}

/// Content with the mark of its author, and all kinds of bytes behind it.
pub fn content(client: &mut Client, oracle: &Oracle) -> Vec<u8> {
    let mut text = format!("c{}.{}|", client.no, oracle.voices[client.no].posts.len()).into_bytes();
    let more = client.rng.scale(1, client.temper.size) as usize - 1;
    let more = more.saturating_sub(text.len());
    let filler: &[u8] = match client.rng.below(8) {
        0 => b"\0\r\n\x1b[31m",
        1 => &[0xff, b'a', 0xc3, 0x28, 0xf0, 0x9f],
        2 => "\u{e4}\u{f6}\u{20ac}\u{1f600}".as_bytes(),
        _ => b"lorem ipsum ",
    };
    text.extend(filler.iter().cycle().take(more));
    text
}

fn say(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let empty = oracle.empty_sayer == Some(client.no) && client.rng.chance(300);
    let text = if empty { Vec::new() } else { content(client, oracle) };
    let bytes = chat(&text);
    let end = at + bytes.len() as u64;
    let post = Post { room: LOBBY.into(), content: text, end, chat: true, ..Post::default() };
    oracle.voices[client.no].posts.push(post);
    bytes
}

/// A nickname to wish for, which others may have or nobody may take.
pub fn nickname(client: &mut Client) -> String {
    client.count += 1;
    match client.rng.below(8) {
        0 => String::new(),
        1 => "x".repeat(client.rng.size(30, 40)),
        2 => format!(" {} ", client.no),
        3 => "tab\there".into(),
        4 | 5 => format!("Common {}", client.rng.below(3)),
        _ => format!("nick-{}-{}", client.no, client.count),
    }
}

fn wish(client: &mut Client, oracle: &mut Oracle, at: u64) -> Vec<u8> {
    let nick = nickname(client);
    let mut request = [0; 16];
    // Ids are opaque to the daemon: zero and repeated ones are answered each.
    request[0] = client.rng.below(3) as u8;
    request[15] = client.count as u8;
    if client.rng.chance(200) {
        request = [0; 16];
    }
    let mut payload = request.to_vec();
    payload.push(nick.len() as u8);
    payload.extend(nick.as_bytes());
    let bytes = frame(3, &payload);
    oracle.wish(client.no, Some(request), nick, at + bytes.len() as u64);
    bytes
}

/// Frames that a daemon skips: unknown types, and what only a server may say.
pub fn nonsense(client: &mut Client) -> Vec<u8> {
    let length = client.rng.scale(1, 3_000) as usize;
    match client.rng.below(3) {
        0 => frame(1, b"\x03you\x00\x02no"),
        1 => frame(6 + client.rng.below(1_000) as u32 * 2 + 11, &vec![7; length]),
        _ => frame(u32::MAX, &[]),
    }
}

/// Reads every whole frame that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    for (kind, payload) in frames(client) {
        one(client.no, kind, &payload, net, oracle);
    }
}

/// Takes every whole frame from what has come.
pub fn frames(client: &mut Client) -> Vec<(u32, Vec<u8>)> {
    let bytes = std::mem::take(&mut client.heard);
    let (no, mut rest) = (client.no, &bytes[..]);
    let mut frames = Vec::new();
    while let Some((head, tail)) = rest.split_first_chunk::<4>() {
        let length = u32::from_be_bytes(*head) as usize;
        assert!((4..LENGTH_LIMIT).contains(&length), "#{no} got a frame of length {length}");
        if tail.len() < length {
            break;
        }
        let (body, after) = tail.split_at(length);
        rest = after;
        let (kind, payload) = body.split_first_chunk::<4>().expect("a length of at least 4");
        frames.push((u32::from_be_bytes(*kind), payload.to_vec()));
    }
    client.heard = rest.to_vec();
    frames
}

/// Takes one frame of v0.5.
pub fn one(no: usize, kind: u32, payload: &[u8], net: &mut Net, oracle: &mut Oracle) {
    let length = payload.len() + 4;
    assert!(length <= V05_LENGTH_MAX, "#{no} got a v0.5 frame of length {length}");
    match kind {
        1 => {
            let (from, text) = short(payload);
            let text = long_only(text);
            if from == oracle.server_name {
                return;
            }
            net.note(Kind::Got, no, text.len() as u64, 0);
            oracle.broadcast(no, from, text);
        }
        2 => assert!(payload.is_empty(), "a keepalive has no payload"),
        4 => {
            let request = payload.try_into().expect("an Ack is a GUID");
            net.note(Kind::Replied, no, 1, 0);
            oracle.nick_answered(no, request, None);
        }
        5 => {
            let (request, message) = payload.split_first_chunk::<16>().expect("a Nak has a GUID");
            let why = long_only(message);
            assert!(!why.is_empty(), "a Nak says why");
            net.note(Kind::Replied, no, 0, 0);
            oracle.nick_answered(no, *request, Some(Refused::of_text(why)));
        }
        other => panic!("#{no} got a frame of type {other}"),
    }
}

fn short(payload: &[u8]) -> (&str, &[u8]) {
    let (length, rest) = payload.split_first().expect("a short string has a length");
    let (text, rest) = rest.split_at(usize::from(*length));
    (std::str::from_utf8(text).expect("the daemon sends UTF-8"), rest)
}

/// A long string that fills the rest of its frame exactly.
fn long_only(payload: &[u8]) -> &str {
    let (length, text) = payload.split_first_chunk::<2>().expect("a long string has a length");
    assert_eq!(usize::from(u16::from_be_bytes(*length)), text.len(), "no trailing bytes are sent");
    std::str::from_utf8(text).expect("the daemon sends UTF-8")
}
