//! What the reader takes and what it refuses, each read whole and a byte at a time.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use super::*;
use crate::http::{Method, Status, Target, Version};

const MESSAGE: usize = 100;

/// A request, or why there is none.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Request { line: String, body: Vec<u8> },
    Unfinished,
    Fault(HttpFault),
}

/// What a reader makes of bytes that come in steps of such a size.
fn seen(bytes: &[u8], step: usize) -> Vec<Seen> {
    let (mut reader, mut kept, mut seen, mut open) = (Reader::new(), vec![], vec![], None);
    let mut pieces = bytes.chunks(step.max(1));
    loop {
        let at = reader.feed(&kept, MESSAGE);
        let consumed = at.consumed;
        assert!(consumed <= kept.len());
        let more = at.item == Item::More;
        match at.item {
            Item::More => {}
            Item::Head(head) => {
                let line = format!("{:?} {:?} {}", head.method, head.target, head.keep_alive);
                let request = Seen::Request { line, body: vec![] };
                if head.body == BodyLength::None {
                    seen.push(request);
                } else {
                    open = Some(request);
                }
            }
            Item::Body { bytes, last } => {
                if let Some(Seen::Request { body, .. }) = &mut open {
                    body.extend_from_slice(bytes);
                }
                if last {
                    seen.push(open.take().unwrap());
                }
            }
            Item::Fault(fault) => {
                seen.push(Seen::Fault(fault));
                return seen;
            }
        }
        kept.drain(..consumed);
        if more {
            assert!(kept.len() <= HEAD_BYTES_MAX, "only a head is kept");
            let Some(piece) = pieces.next() else {
                if reader.mid_request() || !kept.is_empty() {
                    seen.push(Seen::Unfinished);
                }
                return seen;
            };
            kept.extend_from_slice(piece);
        }
    }
}

fn read(bytes: impl AsRef<[u8]>) -> Vec<Seen> {
    let bytes = bytes.as_ref();
    let whole = seen(bytes, usize::MAX);
    for step in [1, 2, 7] {
        assert_eq!(seen(bytes, step), whole, "in steps of {step}: {}", bytes.escape_ascii());
    }
    whole
}

/// The one fault of a request with such fields behind its Host.
fn fault(method: &str, fields: &str) -> Option<HttpFault> {
    let head = format!("{method} / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\n");
    match read(head).pop() {
        Some(Seen::Fault(fault)) => Some(fault),
        Some(Seen::Request { .. } | Seen::Unfinished) | None => None,
    }
}

/// The fault of a request as it stands.
fn refused(head: impl AsRef<[u8]>) -> HttpFault {
    match read(head.as_ref()).pop() {
        Some(Seen::Fault(fault)) => fault,
        other => panic!("{}: {other:?}", head.as_ref().escape_ascii()),
    }
}

fn request(line: &str, body: &[u8]) -> Seen {
    Seen::Request { line: line.into(), body: body.to_vec() }
}

const GET: &str = "Get Resource { path: \"/\", query: None } true";
const POST: &str = "Post Resource { path: \"/\", query: None } true";

#[test]
fn requests_follow_each_other() {
    let bytes = "GET / HTTP/1.1\r\nHost: h\r\n\r\nPOST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcPOST / HTTP/1.1\r\n\
                 Host: h\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n\r\nGET / HTTP/1.1\r\nHost:h\r\n\r\n";
    let all = [request(GET, b""), request(POST, b"abc"), request(POST, b"de"), request(GET, b"")];
    assert_eq!(read(bytes), all, "pipelined, the last one behind an empty line");
    assert_eq!(refused("\r\n\r\nGET / HTTP/1.1\r\nHost: h\r\n\r\n"), HttpFault::RequestLine);
    assert_eq!(read("GET / HTTP/1.1\r\nHost: h\r\n"), [Seen::Unfinished]);
    assert_eq!(
        read("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nab"),
        [Seen::Unfinished]
    );
    assert_eq!(read(""), []);
}

#[test]
fn nothing_is_read_behind_the_last_request() {
    for fields in
        ["Connection: close", "Connection: x, Close", "Connection: x\r\nConnection: close"]
    {
        let head = format!("GET / HTTP/1.1\r\nHost: h\r\n{fields}\r\n\r\nGET /second \0\n");
        let last = "Get Resource { path: \"/\", query: None } false";
        assert_eq!(read(head), [request(last, b"")], "{fields}");
    }
    let old = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n";
    assert_eq!(read(old).len(), 1);
    let mut reader = Reader::new();
    reader.close();
    assert_eq!(reader.feed(b"GET", MESSAGE), Step { consumed: 3, item: Item::More });
    let mut reader = Reader::new();
    let head = b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n";
    assert!(matches!(reader.feed(head, MESSAGE).item, Item::Head(_)));
    reader.close();
    assert!(reader.mid_request(), "the body is still read");
    assert_eq!(reader.feed(b"xGET", MESSAGE).item, Item::Body { bytes: b"x", last: true });
    assert_eq!(reader.feed(b"GET", MESSAGE), Step { consumed: 3, item: Item::More });
}

#[test]
fn a_head_is_read_strictly() {
    let with = |text: &str| refused(format!("GET / HTTP/1.1\r\nHost: h\r\n{text}\r\n\r\n"));
    assert_eq!(refused("GET / HTTP/1.1\nHost: h\n\n"), HttpFault::LineEnd);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: h\n\r\n"), HttpFault::LineEnd);
    assert_eq!(refused("GET / HTTP/1.1\r\nHost: h\r\n\n"), HttpFault::LineEnd);
    assert_eq!(refused("GET / HTTP/1.1\rHost: h\r\n"), HttpFault::LineEnd);
    assert_eq!(with("A: b\rc"), HttpFault::LineEnd);
    assert_eq!(with("A: b\0c"), HttpFault::Control);
    assert_eq!(with("A: b\x0bc"), HttpFault::Control);
    assert_eq!(refused("GET /\0 HTTP/1.1\r\n"), HttpFault::Control);
    assert_eq!(with("A: b\r\n c"), HttpFault::Folded);
    assert_eq!(refused("GET / HTTP/1.1\r\n Host: h\r\n\r\n"), HttpFault::Folded);
    for name in ["A : b", ": b", "A b: c", "A", "é: b", "A\x7f: b", "(a): b", "A\t: b"] {
        assert_eq!(with(name), HttpFault::FieldName, "{name}");
    }
    for line in [
        "GET  / HTTP/1.1",
        "GET / HTTP/1.1 ",
        "GET / http/1.1",
        "GET /",
        "GET / HTTP/1",
        "GET / HTTP/1.10",
        "GET\t/ HTTP/1.1",
        "G(T / HTTP/1.1",
        "GET / FTP/1.1",
        " / HTTP/1.1",
        "GET / / HTTP/1.1",
    ] {
        assert_eq!(refused(format!("{line}\r\nHost: h\r\n\r\n")), HttpFault::RequestLine, "{line}");
    }
    for version in ["HTTP/2.0", "HTTP/1.2", "HTTP/0.9", "HTTP/3.0"] {
        let head = format!("GET / {version}\r\nHost: h\r\n\r\n");
        assert_eq!(refused(head), HttpFault::Version, "{version}");
    }
    for method in ["get", "CONNECT", "PROPFIND", "NICK"] {
        assert_eq!(fault(method, "A: b"), Some(HttpFault::Method), "{method}");
    }
    assert_eq!(fault("GET", "A:\u{e9}"), None, "other bytes may be in values");
}

#[test]
fn a_head_has_limits() {
    let head =
        |fields: usize| format!("GET / HTTP/1.1\r\nHost: h\r\n{}\r\n", "a: b\r\n".repeat(fields));
    assert_eq!(read(head(63)), [request(GET, b"")]);
    assert_eq!(refused(head(64)), HttpFault::FieldsTooMany);
    let around = "GET / HTTP/1.1\r\nHost: h\r\na: \r\n\r\n".len();
    let long = |length: usize| {
        let value = "x".repeat(length.checked_sub(around).unwrap());
        format!("GET / HTTP/1.1\r\nHost: h\r\na: {value}\r\n\r\n")
    };
    assert_eq!(read(long(HEAD_BYTES_MAX)), [request(GET, b"")]);
    assert_eq!(refused(long(8_193)), HttpFault::HeadTooLong);
    assert_eq!(refused(format!("GET /{}", "x".repeat(10_000))), HttpFault::TargetTooLong);
    assert_eq!(HttpFault::TargetTooLong.status(), Status::UriTooLong);
}

#[test]
fn a_byte_of_a_head_is_looked_at_once() {
    let head = format!("GET / HTTP/1.1\r\nHost: h\r\na: {}", "x".repeat(8_000));
    let mut reader = Reader::new();
    for end in 1..=head.len() {
        let bytes = head.as_bytes().get(..end).unwrap();
        assert_eq!(reader.feed(bytes, MESSAGE), Step { consumed: 0, item: Item::More });
        let State::Head { scanned, .. } = reader.state else { panic!("a head has begun") };
        assert_eq!(usize::from(scanned), end);
    }
}

#[test]
fn there_is_one_host() {
    let get = |host: &str| format!("GET / HTTP/1.1\r\n{host}\r\n\r\n");
    assert_eq!(refused(get("A: b")), HttpFault::HostMissing);
    assert_eq!(refused(get("Host: a\r\nHost: a")), HttpFault::HostRepeated);
    for wrong in
        ["Host:", "Host: a b", "Host: a/b", "Host: u@a", "Host: a:b", "Host: a,b", "Host: \u{e9}"]
    {
        assert_eq!(refused(get(wrong)), HttpFault::HostWrong, "{wrong}");
    }
    let absolute = |host: &str| format!("GET http://a/x?y HTTP/1.1\r\nHost: {host}\r\n\r\n");
    let line = "Get Resource { path: \"/x\", query: Some(\"y\") } true";
    assert_eq!(read(absolute("A:80")), [request(line, b"")]);
    assert_eq!(refused(absolute("b")), HttpFault::HostWrong);
    assert_eq!(refused("GET http://a/ HTTP/1.1\r\n\r\n"), HttpFault::HostMissing);
    assert_eq!(read("GET / HTTP/1.0\r\n\r\n").len(), 1, "older than Host");
    assert_eq!(refused("GET a HTTP/1.1\r\nHost: h\r\n\r\n"), HttpFault::TargetForm);
    assert_eq!(refused("GET * HTTP/1.1\r\nHost: h\r\n\r\n"), HttpFault::TargetForm);
    assert_eq!(
        read("OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n"),
        [request("Options Server true", b"")]
    );
}

#[test]
fn a_body_has_one_length() {
    assert_eq!(
        fault("POST", "Content-Length: 3\r\nContent-Length: 3"),
        Some(HttpFault::LengthRepeated)
    );
    assert_eq!(
        fault("POST", "Content-Length: 3\r\nContent-Length: 4"),
        Some(HttpFault::LengthRepeated)
    );
    assert_eq!(fault("POST", "Content-Length: 3, 3"), Some(HttpFault::LengthRepeated));
    for wrong in ["", "+3", "-3", "0x3", "3 3", "3.0", "3a", "\u{b3}"] {
        let wrong = format!("Content-Length: {wrong}");
        assert_eq!(fault("POST", &wrong), Some(HttpFault::LengthWrong), "{wrong}");
    }
    for long in ["101", "99999999999999999999999999"] {
        let long = format!("Content-Length: {long}");
        assert_eq!(fault("POST", &long), Some(HttpFault::BodyTooLong), "{long}");
    }
    assert_eq!(fault("POST", "Content-Length: 100"), None);
    assert_eq!(fault("POST", "Content-Length: 0"), None);
    for method in ["POST", "PUT", "PATCH"] {
        assert_eq!(fault(method, "A: b"), Some(HttpFault::LengthMissing), "{method}");
    }
    let both = "Content-Length: 3\r\nTransfer-Encoding: chunked";
    assert_eq!(fault("POST", both), Some(HttpFault::LengthAndCoding));
    let both = "Transfer-Encoding: x\r\nContent-Length: 0";
    assert_eq!(fault("GET", both), Some(HttpFault::LengthAndCoding));
}

#[test]
fn the_one_transfer_coding_is_chunked() {
    let coded = |coding: &str| fault("POST", &format!("Transfer-Encoding: {coding}"));
    assert_eq!(coded("chunked"), None);
    assert_eq!(coded("CHUNKED"), None);
    for unknown in [
        "gzip, chunked",
        "identity",
        "xchunked",
        "chunked;a=b",
        "gzip\r\nTransfer-Encoding: chunked",
    ] {
        assert_eq!(coded(unknown), Some(HttpFault::Coding), "{unknown}");
    }
    for wrong in ["", "chunked, chunked", "chunked, gzip", "chunked\r\nTransfer-Encoding: identity"]
    {
        assert_eq!(coded(wrong), Some(HttpFault::CodingWrong), "{wrong}");
    }
    let old = "POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n";
    assert_eq!(refused(old), HttpFault::CodingWrong);
    let mut body = String::from("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n");
    body.push_str("65\r\n");
    assert_eq!(refused(body), HttpFault::BodyTooLong);
}

#[test]
fn an_upgrade_has_no_body() {
    let upgrade = "Upgrade: websocket\r\nConnection: keep-alive, Upgrade";
    assert_eq!(
        fault("GET", &format!("{upgrade}\r\nContent-Length: 1")),
        Some(HttpFault::BodyWithUpgrade)
    );
    assert_eq!(
        fault("POST", &format!("{upgrade}\r\nTransfer-Encoding: chunked")),
        Some(HttpFault::BodyWithUpgrade)
    );
    let upgrades = |version: &str, fields: &str| {
        let head = format!("GET / HTTP/{version}\r\nHost: h\r\n{fields}\r\n\r\n");
        Head::parse(head.as_bytes()).unwrap().upgrade
    };
    assert!(upgrades("1.1", upgrade));
    assert!(upgrades("1.1", "Upgrade: h2c, WebSocket\r\nConnection: x\r\nConnection: upgrade"));
    assert!(!upgrades("1.1", "Upgrade: websocket"), "only where Connection names it");
    assert!(!upgrades("1.1", "Upgrade: h2c\r\nConnection: Upgrade"));
    assert!(!upgrades("1.0", upgrade), "RFC 9110, section 7.8");
}

#[test]
fn the_one_expectation_is_100_continue() {
    let expects = |head: &str| Head::parse(head.as_bytes()).unwrap().expects_continue;
    assert!(expects(
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\n"
    ));
    assert!(!expects(
        "POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 0\r\n\r\n"
    ));
    assert!(!expects("POST / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\n"));
    assert_eq!(fault("POST", "Content-Length: 1\r\nExpect: 200-ok"), Some(HttpFault::Expectation));
}

#[test]
fn fields_are_found_by_name() {
    let bytes = b"GET /a?b HTTP/1.0\r\nX: 1\r\nx:  2 \r\nY: a, ,b\r\nY:\r\nZ: \xe9\r\n\r\n";
    let head = Head::parse(bytes).unwrap();
    assert_eq!((head.method, head.version), (Method::Get, Version::Http10));
    assert_eq!(head.target, Target::Resource { path: "/a", query: Some("b") });
    assert_eq!(head.fields.all("x").collect::<Vec<_>>(), [b"1", b"2"]);
    assert_eq!(head.fields.one("x"), Err(HttpFault::FieldRepeated));
    assert_eq!(head.fields.one("w"), Ok(None));
    assert_eq!(head.fields.list("y").collect::<Vec<_>>(), [b"a", b"b"]);
    assert!(head.fields.lists("y", "B") && !head.fields.lists("y", "c"));
    assert_eq!(head.fields.one("z"), Ok(Some(&b"\xe9"[..])));
    assert_eq!(head.fields.text("z"), Err(HttpFault::FieldValue));
}
