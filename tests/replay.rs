//! The fuzz bodies over the corpus and over seeded random bytes: what a fuzzer once found stays found.
#![allow(
    clippy::unwrap_used,
    clippy::disallowed_methods,
    missing_docs,
    reason = "a test that panics is a test that fails"
)]

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use tests::fuzz::{self, BODIES};

#[test]
fn corpus() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (name, body) in BODIES {
        let mut inputs = 0;
        for entry in fs::read_dir(corpus.join(name)).unwrap() {
            let path = entry.unwrap().path();
            let bytes = fs::read(&path).unwrap();
            let done = std::panic::catch_unwind(|| body(&bytes));
            assert!(done.is_ok(), "{} fails on {}", name, path.display());
            inputs += 1;
        }
        assert!(inputs > 0, "the corpus has nothing for {name}");
    }
}

/// Bytes that are often nearly right: frames and lines with a few bytes changed.
fn nearly_right() -> impl Strategy<Value = Vec<u8>> {
    let frame = (0_u32..18, prop::collection::vec(any::<u8>(), 0..40))
        .prop_map(|(kind, payload)| tests::native::frame(kind, &payload));
    let chat =
        prop::collection::vec(any::<u8>(), 0..60).prop_map(|text| tests::native::chat(&text));
    let nick = "[ -~]{0,40}".prop_map(|nick| tests::native::set_nickname([3; 16], nick.as_bytes()));
    let line = prop_oneof![
        Just("{\"request\":\"ping\",\"id\":\"1\"}\n"),
        Just("{\"request\":\"join\",\"id\":\"2\",\"room\":\"#Ops\"}\r\n"),
        Just("{\"request\":\"post\",\"id\":\"x\",\"room\":\"ops\",\"text\":\"\\u0000\"}\n"),
        Just("{\"request\":\"tail\",\"id\":7}\n"),
        Just("{\"request\":\"hello\",\"id\":\"3\",\"nick\":\"z\u{eb}\"}\n"),
        Just("{\"request\":\"ban\",\"id\":\"4\",\"network\":\"192.0.2.0/24\",\"seconds\":1}\n"),
        Just("{\"event\":\"message\",\"room\":\"ops\",\"seq\":1,\"text\":\"hi\"}\n"),
        Just("{\"reply\":\"1\",\"ok\":false,\"error\":\"forbidden\"}\n"),
        Just("nonsense\n"),
    ]
    .prop_map(|line| line.as_bytes().to_vec());
    let line = prop_oneof![line.clone(), line.prop_map(|json| tests::native::frame(16, &json))];
    let piece = prop_oneof![chat, nick, frame, line];
    (prop::collection::vec(piece, 0..8), prop::collection::vec((any::<u16>(), any::<u8>()), 0..3))
        .prop_map(|(pieces, changes)| {
            let mut bytes = pieces.concat();
            for (at, byte) in changes {
                if !bytes.is_empty() {
                    let at = usize::from(at) % bytes.len();
                    bytes[at] = byte;
                }
            }
            bytes
        })
}

/// Pieces of requests, some with a byte changed.
fn nearly_http() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop::sample::select(vec![
        "GET / HTTP/1.1\r\nHost: h\r\n",
        "POST /api/rooms/ops/messages HTTP/1.1\r\nHost: localhost\r\n",
        "GET /api/rooms/%23ops/messages?after=1&limit=2 HTTP/1.1\r\nHost: [::1]:80\r\n",
        "Content-Length: 3\r\n",
        "Content-Length: 3\r\n\r\nabc",
        "Transfer-Encoding: chunked\r\n\r\n2\r\nab\r\n",
        "1;x=y\r\nc\r\n",
        "0\r\n\r\n",
        "Origin: http://localhost\r\nSec-Fetch-Site: same-origin\r\n",
        "X-Forwarded-For: 1.2.3.4, 10.0.0.2\r\n",
        "Idempotency-Key: \"a\"\r\n",
        "Connection: close\r\n",
        "Upgrade: websocket\r\nConnection: Upgrade\r\n",
        "\r\n",
        "\r\n\r\n",
        "\n",
    ]);
    let change = prop::option::weighted(0.1, (any::<u16>(), any::<u8>()));
    prop::collection::vec((piece, change), 0..12).prop_map(|pieces| {
        let mut bytes = Vec::new();
        for (piece, change) in pieces {
            bytes.extend_from_slice(piece.as_bytes());
            if let Some((at, byte)) = change {
                let at = usize::from(at) % bytes.len();
                bytes[at] = byte;
            }
        }
        bytes
    })
}

/// Masked frames of any kind, most of them as they should be.
fn nearly_frames() -> impl Strategy<Value = Vec<u8>> {
    let first = prop_oneof![
        9 => prop::sample::select(vec![0x81, 0x82, 0x01, 0x02, 0x00, 0x80, 0x89, 0x8a]),
        1 => any::<u8>(),
    ];
    let body = prop_oneof![
        "\\PC{0,40}".prop_map(String::into_bytes),
        prop::collection::vec(any::<u8>(), 0..130)
    ];
    prop::collection::vec((first, body, any::<[u8; 4]>()), 0..8).prop_map(|frames| {
        let mut bytes = Vec::new();
        for (first, body, mask) in frames {
            let at = bytes.len();
            proto::ws::masked_frame(proto::ws::Opcode::Binary, &body, mask, &mut bytes);
            bytes[at] = first;
        }
        bytes
    })
}

/// How many samples each property takes: `PROPTEST_CASES`, or enough for every run of the tests.
fn samples() -> ProptestConfig {
    let cases = std::env::var("PROPTEST_CASES").map_or(4_096, |cases| cases.parse().unwrap());
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(samples())]

    #[test]
    fn any_chunking_gives_the_same_commands(bytes in nearly_right()) {
        fuzz::session(&bytes);
    }

    #[test]
    fn a_client_survives_any_line(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        fuzz::client_line(&bytes);
    }

    #[test]
    fn any_chunking_gives_a_client_the_same(bytes in nearly_right()) {
        fuzz::client_stream(&bytes);
    }

    #[test]
    fn any_chunking_gives_the_same_requests(bytes in nearly_http()) {
        fuzz::http(&bytes);
    }

    #[test]
    fn any_chunking_gives_the_same_messages(bytes in nearly_frames()) {
        fuzz::ws(&bytes);
    }

    #[test]
    fn any_text_is_a_name_or_none(text in "\\PC{0,40}") {
        fuzz::names(text.as_bytes());
    }

    #[test]
    fn the_hub_survives_any_peers(bytes in prop::collection::vec(any::<u8>(), 0..600)) {
        fuzz::hub(&bytes);
    }
}
