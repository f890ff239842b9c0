//! Properties of HTTP: any chunking gives the same requests, what is written is read again, and nothing is kept but a head.
#![allow(clippy::unwrap_used, reason = "a test that unwraps wrongly fails, as it should")]

mod chunks;

use chunks::cut;
use proptest::prelude::*;
use proto::http::{
    self, BodyLength, Content, HEAD_BYTES_MAX, Item, Manner, Reader, Response, Status, Step,
};
use proto::{WallTime, proxy};

const MESSAGE: usize = 2_000;

/// A request as it was read: its first line's facts, its fields, its body.
#[derive(Clone, Debug, PartialEq)]
enum Seen {
    Request { head: String, body: Vec<u8> },
    Fault(http::HttpFault),
    Unfinished,
}

/// What a reader makes of bytes that come in these chunks.
fn seen(chunks: &[&[u8]]) -> Vec<Seen> {
    let (mut reader, mut kept, mut seen) = (Reader::new(), Vec::new(), Vec::new());
    let mut open: Option<(String, Vec<u8>)> = None;
    for chunk in chunks {
        kept.extend_from_slice(chunk);
        loop {
            let step = reader.feed(&kept, MESSAGE);
            let (consumed, mut more) = (step.consumed, false);
            match step.item {
                Item::More => more = true,
                Item::Head(head) => {
                    let shown = format!("{head:?}");
                    match head.body {
                        BodyLength::None => seen.push(Seen::Request { head: shown, body: vec![] }),
                        BodyLength::Bytes(_) | BodyLength::Chunked => open = Some((shown, vec![])),
                    }
                }
                Item::Body { bytes, last } => {
                    let (head, mut body) = open.take().unwrap();
                    body.extend_from_slice(bytes);
                    assert!(body.len() <= MESSAGE, "a body has its limit");
                    if last {
                        seen.push(Seen::Request { head, body });
                    } else {
                        open = Some((head, body));
                    }
                }
                Item::Fault(fault) => {
                    seen.push(Seen::Fault(fault));
                    let swallowed = Step { consumed: 3, item: Item::More };
                    assert_eq!(reader.feed(b"GET", MESSAGE), swallowed);
                    return seen;
                }
            }
            kept.drain(..consumed);
            if more {
                break;
            }
        }
        assert!(kept.len() <= HEAD_BYTES_MAX, "only a head is kept");
    }
    if reader.mid_request() {
        seen.push(Seen::Unfinished);
    }
    seen
}

/// A request with its body in chunks of such a size, or of a length that is said where that is 0.
fn request(path: &str, field: &str, body: &[u8], by: usize) -> Vec<u8> {
    let mut out = format!("POST /{path} HTTP/1.1\r\nHost: h\r\nX-Field: {field}\r\n").into_bytes();
    if by == 0 {
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
    } else {
        out.extend_from_slice(b"Transfer-Encoding: chunked\r\n\r\n");
        for chunk in body.chunks(by) {
            out.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            out.extend_from_slice(chunk);
            out.extend_from_slice(b"\r\n");
        }
        out.extend_from_slice(b"0\r\n\r\n");
    }
    out
}

/// Something that stands in requests, or near it.
fn scrap() -> impl Strategy<Value = Vec<u8>> {
    let words = [
        "GET / HTTP/1.1\r\n",
        "POST /a%20b?c=d HTTP/1.1\r\n",
        "Host: h\r\n",
        "Host: h:80\r\nConnection: close\r\n",
        "\r\n",
        "\n",
        "\r",
        " ",
        "Content-Length: 5\r\n",
        "Content-Length: 5\r\n\r\nhello",
        "Transfer-Encoding: chunked\r\n",
        "5\r\nhello\r\n",
        "0\r\n\r\n",
        "3;a=b\r\nabc\r\n",
        "Expect: 100-continue\r\n",
        "Upgrade: websocket\r\nConnection: upgrade\r\n",
        "A:",
        "b",
        ": ",
        "\0",
        "HTTP/1.0\r\n",
        "OPTIONS * ",
        "\u{e9}",
        "GET http://h/ HTTP/1.1\r\nHost: h\r\n\r\n",
        "GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    ];
    let word = proptest::sample::select(words.map(str::as_bytes).map(<[u8]>::to_vec).to_vec());
    prop_oneof![9 => word, 1 => proptest::collection::vec(any::<u8>(), 0..20)]
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_requests(
        scraps in proptest::collection::vec(scrap(), 0..30),
        lengths in proptest::collection::vec(1_usize..40, 1..6),
    ) {
        let bytes = scraps.concat();
        let whole = seen(&[&bytes]);
        prop_assert_eq!(&seen(&cut(&bytes, &lengths)), &whole);
        prop_assert_eq!(&seen(&cut(&bytes, &[1])), &whole);
    }

    #[test]
    fn a_request_that_is_written_is_read_again(
        requests in proptest::collection::vec(
            ("[a-z0-9/._~-]{0,30}", "[!-~][ -~]{0,40}[!-~]", proptest::collection::vec(any::<u8>(), 0..600), 0_usize..90),
            1..5,
        ),
        lengths in proptest::collection::vec(1_usize..300, 1..6),
    ) {
        let bytes: Vec<u8> =
            requests.iter().flat_map(|(path, field, body, by)| request(path, field, body, *by)).collect();
        let read = seen(&cut(&bytes, &lengths));
        prop_assert_eq!(read.len(), requests.len());
        for (read, (path, field, body, _)) in read.iter().zip(&requests) {
            let Seen::Request { head, body: read } = read else { panic!("{read:?}") };
            prop_assert_eq!(read, body);
            prop_assert!(head.contains(&format!("path: \"/{path}\"")), "{}", head);
            let shown = format!("(\"X-Field\", {:?})", field.as_bytes());
            prop_assert!(head.contains(&shown), "{} {}", head, shown);
        }
    }

    #[test]
    fn a_response_that_is_written_is_read_again(
        status in proptest::sample::select(Status::ALL),
        value in any::<String>(),
        body in proptest::collection::vec(any::<u8>(), 0..200),
        close in any::<bool>(),
    ) {
        let body = if status.is_bodiless() { &[][..] } else { &body };
        let fields = [("X-Field", &*value)];
        let content = Content::Whole(body);
        let response = Response { status, content_type: Some("a/b"), fields: &fields, content };
        let mut out = Vec::new();
        let manner = Manner { date: WallTime::from_micros(0), head_only: false, close };
        response.write(manner, &mut out);
        let mut slots = [httparse::EMPTY_HEADER; 16];
        let mut read = httparse::Response::new(&mut slots);
        let httparse::Status::Complete(head) = read.parse(&out).unwrap() else { panic!("partial") };
        prop_assert_eq!(read.code, Some(status.code()));
        let field = |name: &str| {
            let named = read.headers.iter().find(|field| field.name == name);
            named.map(|field| String::from_utf8_lossy(field.value).into_owned())
        };
        prop_assert_eq!(&out[head..], body);
        let length = (!status.is_bodiless()).then(|| body.len().to_string());
        prop_assert_eq!(field("Content-Length"), length);
        prop_assert_eq!(field("Connection").is_some(), close);
    }

    #[test]
    fn percent_encoding_is_undone(text in "[^\\p{Cc}]{0,40}") {
        let encoded = text.bytes().fold(String::new(), |text, byte| format!("{text}%{byte:02x}"));
        let decoded = http::decode(&encoded);
        prop_assert_eq!(decoded.as_deref(), Some(&*text));
    }

    /// A PROXY header is found whole or not at all, and garbage never makes one read beyond it.
    #[test]
    fn a_proxy_header_is_never_longer_than_the_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..60), kind in 0..3) {
        let begin: &[u8] = match kind { 0 => b"PROXY ", 1 => b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0", _ => b"" };
        let bytes = [begin, &bytes].concat();
        if let Ok(proxy::Proxied::Header { consumed, .. }) = proxy::parse(&bytes) {
            prop_assert!(consumed <= bytes.len());
            prop_assert_eq!(proxy::parse(&bytes[..consumed]), proxy::parse(&bytes));
        }
    }
}
