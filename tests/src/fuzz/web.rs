//! HTTP and WebSocket: any chunking gives the same, limits hold, and whatever is understood can be answered.

use proto::http::{self, HEAD_BYTES_MAX, Item, origin, response};
use proto::ws::{self, Role};
use proto::{WallTime, proxy};

/// The most bytes of a body.
const MESSAGE: usize = 200;
/// The limits of a WebSocket message.
const WS_LIMITS: ws::Limits = ws::Limits { message: 300, fragments: 6 };

/// Feeds bytes in chunks to something that shows what it makes of the beginning of what is kept: how many bytes are done with, and
/// whether it goes on without more.
fn in_chunks(
    bytes: &[u8],
    chunk: impl Fn(usize) -> usize,
    mut feed: impl FnMut(&[u8]) -> (usize, Next),
) {
    let (mut kept, mut read) = (Vec::new(), 0);
    loop {
        let (consumed, next) = feed(&kept);
        assert!(consumed <= kept.len(), "more is consumed than was offered");
        kept.drain(..consumed);
        match next {
            Next::Again => {}
            Next::Over => return,
            Next::More if read == bytes.len() => return,
            Next::More => {
                assert!(kept.len() <= HEAD_BYTES_MAX, "more is kept than a head");
                let next = bytes.len().min(read + chunk(read).max(1));
                kept.extend_from_slice(&bytes[read..next]);
                read = next;
            }
        }
    }
}

/// What comes after a step.
enum Next {
    More,
    Again,
    Over,
}

/// Three ways to cut the same bytes give the same.
fn however_cut<T: PartialEq + std::fmt::Debug>(
    bytes: &[u8],
    seen: impl Fn(&[u8], &dyn Fn(usize) -> usize) -> T,
) {
    let whole = seen(bytes, &|_| usize::MAX / 2);
    assert_eq!(seen(bytes, &|_| 1), whole, "one byte at a time");
    assert_eq!(seen(bytes, &|at| usize::from(bytes[at] & 31)), whole, "in pieces");
}

/// Requests: what is asked for, who asks, and the bodies. Every one of them can be answered.
pub fn http(bytes: &[u8]) {
    however_cut(bytes, |bytes, chunk| {
        let (mut reader, mut seen, mut body) = (http::Reader::new(), Vec::new(), Vec::new());
        in_chunks(bytes, chunk, |kept| {
            let step = reader.feed(kept, MESSAGE);
            let next = match step.item {
                Item::More => Next::More,
                Item::Head(head) => {
                    seen.push(asked(&head));
                    Next::Again
                }
                Item::Body { bytes, last } => {
                    body.extend_from_slice(bytes);
                    assert!(body.len() <= MESSAGE, "a body has its limit");
                    if last {
                        seen.push(body.escape_ascii().to_string());
                        body.clear();
                    }
                    Next::Again
                }
                Item::Fault(fault) => {
                    let mut out = Vec::new();
                    response::fault(fault, WallTime::from_micros(0), &mut out);
                    seen.push(fault.word().to_owned());
                    Next::Over
                }
            };
            (step.consumed, next)
        });
        seen
    });
    if let Ok(proxy::Proxied::Header { consumed, source }) = proxy::parse(bytes) {
        assert!(consumed <= bytes.len());
        let shorter = proxy::parse(&bytes[..consumed]);
        assert_eq!(
            shorter,
            Ok(proxy::Proxied::Header { consumed, source }),
            "nothing behind it counts"
        );
    }
}

/// Everything that is read out of a head.
fn asked(head: &http::Head<'_>) -> String {
    let site = http::Site { base_path: "/", assets: chatd::web::assets(), echo: Some("/echo") };
    let (hosts, origins) = (["h".to_owned()], ["https://friend.example".to_owned()]);
    let allowed = origin::Allowed { hosts: &hosts, origins: &origins };
    let route = http::route(head, &site);
    let guarded = route.as_ref().is_ok_and(http::Route::is_guarded);
    let passed = origin::check(head, guarded, &allowed);
    let room = proto::RoomName::parse("ops").unwrap();
    let fields = &head.fields;
    let more = (
        http::message_id(fields, &room),
        http::media_type(fields),
        http::events::last_event(fields),
        http::etag::is_known(fields, "\"x\""),
        ws::handshake(head, Some(ws::SUBPROTOCOL)).map(|_| ()),
    );
    let client = [
        http::forwarded::ForwardedField::XForwardedFor,
        http::forwarded::ForwardedField::Forwarded,
    ]
    .map(|field| {
        let trusted: [proto::Network; 1] = ["10.0.0.0/8".parse().unwrap()];
        http::forwarded::client("10.0.0.1".parse().unwrap(), &trusted, field, fields)
    });
    format!("{head:?} {route:?} {passed:?} {more:?} {client:?}")
}

/// Frames of both sides, and the answers to them, which are frames that the other side can read.
pub fn ws(bytes: &[u8]) {
    for role in [Role::Server, Role::Client] {
        however_cut(bytes, |bytes, chunk| {
            let (mut reader, mut seen) = (ws::Reader::new(role), Vec::new());
            let (mut message, mut out) = (Vec::new(), Vec::new());
            in_chunks(bytes, chunk, |kept| {
                let step = reader.feed(kept, &mut message, WS_LIMITS);
                assert!(message.capacity() <= WS_LIMITS.message, "memory has the message's limit");
                let next = match step.item {
                    ws::Item::More => return (step.consumed, Next::More),
                    _ if ws::echo(&step.item, &message, &mut out) == ws::After::Close => Next::Over,
                    _ => Next::Again,
                };
                if let ws::Item::Message(kind) = step.item {
                    let is_text = std::str::from_utf8(&message).is_ok();
                    assert!(is_text || kind == ws::Kind::Binary, "a text is UTF-8");
                    message.clear();
                }
                seen.push(format!("{:?}", step.item));
                (step.consumed, next)
            });
            readable(&out);
            seen
        });
    }
}

/// What a server says, its client reads without a fault.
fn readable(said: &[u8]) {
    let (mut reader, mut message) = (ws::Reader::new(Role::Client), Vec::new());
    let mut rest = said;
    while !rest.is_empty() {
        let step = reader.feed(rest, &mut message, WS_LIMITS);
        assert!(!matches!(step.item, ws::Item::Fault(_) | ws::Item::More), "{:?}", step.item);
        message.clear();
        rest = &rest[step.consumed..];
    }
}
