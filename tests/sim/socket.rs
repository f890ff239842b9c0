//! A v1 client over a WebSocket: from the upgrade on it asks as control clients do, in masked text messages of one or more fragments,
//! with pings between them. It has its own reader of frames.

use crate::answers;
use crate::asking::{self, Greeting};
use crate::clients::Client;
use crate::net::Net;
use crate::oracle::Oracle;
use crate::web::{give_up, take_answer};

/// The key and its answer of RFC 6455, section 1.3.
const UPGRADE: &str = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: keep-alive, Upgrade\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Protocol: chat.v1\r\n\r\n";
const ACCEPT: &str = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

/// The bit of a masked frame, beside its length.
const MASKED: u8 = 0x80;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
const PING: u8 = 9;
const PONG: u8 = 10;

/// Frames after which nothing can be understood: not masked, of an unknown kind, bits that nobody agreed on, a binary message, a
/// continuation of nothing, a ping that is too long or in parts.
const BAD_FRAMES: [&[u8]; 7] = [
    &[0x81, 0x02, b'{', b'}'],
    &[0x83, 0x80, 0, 0, 0, 0],
    &[0xc1, 0x80, 0, 0, 0, 0],
    &[0x82, 0x81, 0, 0, 0, 0, b'x'],
    &[0x80, 0x80, 0, 0, 0, 0],
    &[0x89, 0xfe, 0x00, 0x7e, 0, 0, 0, 0],
    &[0x09, 0x80, 0, 0, 0, 0],
];

/// Does one thing.
pub fn act(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let half = client.rng.chance(client.temper.half);
    if client.sent == 0 {
        client.send_framed(net, UPGRADE.as_bytes(), half);
        return;
    }
    if client.asking.greeting != Greeting::Done || client.web.was_closed || client.web.is_last {
        return;
    }
    match client.rng.below(100) {
        0..4 => {
            let ping = ping(client);
            client.send_framed(net, &ping, half);
        }
        4..6 => {
            let pong = masked(client, 0x80 | PONG, b"nobody asked");
            client.send_framed(net, &pong, half);
        }
        6..10 if client.rng.chance(client.temper.bad) => {
            client.bad_from = Some(client.sent);
            let bad = client.rng.pick(&BAD_FRAMES);
            client.send_frame(net, bad);
        }
        10 => {
            client.bad_from = Some(client.sent);
            client.web.said_close = true;
            let close = masked(client, 0x80 | CLOSE, b"\x03\xe8enough");
            client.send_frame(net, &close);
        }
        11..14 => {
            let bytes = asking::hello(client, oracle, client.sent);
            client.send_framed(net, &bytes, half);
        }
        _ => asking::act(client, net, oracle),
    }
}

/// Sees to it that it is heard of.
pub fn keep_alive(client: &mut Client, net: &mut Net) {
    if client.asking.greeting == Greeting::Done && !client.web.was_closed {
        let ping = ping(client);
        client.send_frame(net, &ping);
    }
}

/// A message of JSON in one fragment or more, perhaps with pings between them.
pub fn wrap(client: &mut Client, json: &[u8]) -> Vec<u8> {
    if client.rng.chance(700) {
        return masked(client, 0x80 | TEXT, json);
    }
    let count = client.rng.size(2, 5);
    let (mut out, mut rest) = (Vec::new(), json);
    for left in (0..count).rev() {
        let cut = if left == 0 { rest.len() } else { client.rng.size(0, rest.len()) };
        let (part, after) = rest.split_at(cut);
        rest = after;
        let kind = if out.is_empty() { TEXT } else { 0 };
        let fin = if left == 0 { 0x80 } else { 0 };
        out.extend(masked(client, fin | kind, part));
        if left > 0 && client.rng.chance(150) {
            out.extend(ping(client));
        }
    }
    out
}

fn ping(client: &mut Client) -> Vec<u8> {
    client.count += 1;
    client.web.pings.push_back(client.count);
    masked(client, 0x80 | PING, client.count.to_string().as_bytes())
}

/// A frame as clients send it (RFC 6455, section 5.2).
fn masked(client: &mut Client, first: u8, payload: &[u8]) -> Vec<u8> {
    let mut out = vec![first];
    match payload.len() {
        length @ ..126 => out.push(MASKED | length as u8),
        length @ ..65_536 => {
            out.push(MASKED | 0x7e);
            out.extend((length as u16).to_be_bytes());
        }
        length => {
            out.push(MASKED | 0x7f);
            out.extend((length as u64).to_be_bytes());
        }
    }
    let mask = (client.rng.next() as u32).to_be_bytes();
    out.extend(mask);
    out.extend(payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    out
}

/// Reads every whole frame that has come.
pub fn hear(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let no = client.no;
    if client.asking.greeting != Greeting::Done {
        begin(client, net, oracle);
    }
    if client.asking.greeting != Greeting::Done {
        return;
    }
    while let Some((kind, payload)) = frame(client) {
        assert!(!client.web.was_closed, "#{no} got a frame of kind {kind} after the close");
        match kind {
            TEXT => answers::take(client, &payload, net, oracle),
            PING => {
                // A half frame of its own is not interrupted, and who is on its way out answers nothing.
                if client.rest.is_empty() && client.bad_from.is_none() {
                    let pong = masked(client, 0x80 | PONG, &payload);
                    client.send_frame(net, &pong);
                }
            }
            PONG => ponged(client, &payload, oracle),
            CLOSE => {
                assert!(payload.len() >= 2, "#{no} is told why");
                client.web.was_closed = true;
                client.rest.clear();
                oracle.voices[no].leaving = true;
                oracle.reach("web", "close frame");
            }
            other => panic!("#{no} got a frame of kind {other}"),
        }
    }
}

/// It is a WebSocket now, or not.
fn begin(client: &mut Client, net: &mut Net, oracle: &mut Oracle) {
    let no = client.no;
    let Some(answer) = take_answer(client, false) else { return };
    if answer.status == 101 {
        assert_eq!(answer.field("sec-websocket-accept"), Some(ACCEPT), "#{no}: {answer:?}");
        assert_eq!(answer.field("sec-websocket-protocol"), Some("chat.v1"), "#{no}: {answer:?}");
        client.asking.greeting = Greeting::Done;
        oracle.reach("web", "socket");
        return;
    }
    assert!(matches!(answer.status, 403 | 408 | 429 | 503), "#{no} is no socket: {answer:?}");
    give_up(client);
    client.finish(net);
    oracle.voices[no].leaving = true;
}

/// Pongs say again what the pings said; of several that wait the latest may be answered alone.
fn ponged(client: &mut Client, payload: &[u8], oracle: &mut Oracle) {
    let no = client.no;
    let text = std::str::from_utf8(payload).expect("what it said");
    let number: u64 = text.parse().expect("what it said");
    let at = client.web.pings.iter().position(|ping| *ping == number);
    let at = at.unwrap_or_else(|| panic!("#{no} got a pong {number} to nothing"));
    client.web.pings.drain(..=at);
    oracle.reach("web", "pong");
}

/// Takes a whole frame of the server's from what has come: final, and not masked.
fn frame(client: &mut Client) -> Option<(u8, Vec<u8>)> {
    let no = client.no;
    let [first, second, rest @ ..] = &client.heard[..] else { return None };
    assert!(first & 0xf0 == 0x80 && second & 0x80 == 0, "#{no} got a frame {first:x} {second:x}");
    let (length, header) = match second {
        126 => (usize::from(u16::from_be_bytes(*rest.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*rest.first_chunk()?) as usize, 10),
        short => (usize::from(*short), 2),
    };
    let shortest = if header == 4 {
        126
    } else if header == 10 {
        65_536
    } else {
        0
    };
    assert!(length >= shortest, "#{no} got a length that is not the shortest");
    let kind = first & 0x0f;
    let payload = client.heard.get(header..header + length)?.to_vec();
    client.heard.drain(..header + length);
    Some((kind, payload))
}
