//! What bad input over HTTP gets: the right error or a close, within its deadline, and nobody else notices.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::json;
use tests::http::Answer;
use tests::native::chat;
use tests::{Daemon, Http, Native, Setup};

const LOBBY: &str = "/api/rooms/lobby/messages";
/// What makes a request one for a WebSocket.
const UPGRADE: &str = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                       Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
/// Reading away a head that does not end takes no longer than this.
const HEAD_CPU_MAX: Duration = Duration::from_millis(5);

/// Two who talk with each other while somebody else misbehaves; whatever is said in between is noticed.
struct Witness(Native, Native, u32);

impl Witness {
    fn of(daemon: &Daemon) -> Self {
        Self(daemon.named("Ada"), daemon.named("Bob"), 0)
    }

    fn notices_nothing(&mut self) {
        self.2 += 1;
        let text = format!("still here {}", self.2);
        self.0.chats(&text);
        self.1.hears_that("Ada", &text);
        self.1.chats(&text);
        self.0.hears_that("Bob", &text);
    }
}

/// Sends bytes, and hears all that the server says before it closes.
fn until_closed(daemon: &Daemon, bytes: &[u8]) -> String {
    let mut stranger = Http::connect(daemon.address());
    // It may close while more comes.
    let _ = stranger.stream().write_all(bytes);
    String::from_utf8_lossy(&stranger.until_closed()).into_owned()
}

#[test]
fn a_foreign_page_can_neither_post_nor_read() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let own = format!("http://{}", daemon.address());
    let host = format!("Host: {}\r\n", daemon.address());
    let foreign = [
        format!("{host}Origin: https://evil.example\r\n"),
        format!("{host}Origin: null\r\n"),
        format!("{host}Origin: http://127.0.0.1:1\r\n"),
        format!("{host}Sec-Fetch-Site: cross-site\r\n"),
        format!("{host}Sec-Fetch-Site: same-site\r\nOrigin: {own}\r\n"),
        // A name that was pointed here.
        "Host: evil.example\r\n".to_owned(),
        "Host: evil.example:33333\r\nOrigin: http://evil.example:33333\r\nSec-Fetch-Site: same-origin\r\n".to_owned(),
        "Host: localhost.evil.example\r\n".to_owned(),
    ];
    for fields in &foreign {
        for line in [
            format!("POST {LOBBY}"),
            format!("GET {LOBBY}"),
            format!("GET {LOBBY}/1"),
            "GET /api/rooms".to_owned(),
            "GET /api/stats".to_owned(),
            "GET /metrics".to_owned(),
            "GET /api/rooms/lobby/events".to_owned(),
            "GET /ws".to_owned(),
        ] {
            let mut page = Http::connect(daemon.address());
            let is_post = line.starts_with("POST");
            let more = match &*line {
                "GET /ws" => UPGRADE,
                _ if is_post => "Content-Type: text/plain\r\nContent-Length: 4\r\n",
                _ => "",
            };
            page.sends(format!("{line} HTTP/1.1\r\n{fields}{more}\r\n"));
            page.sends(if is_post { "evil" } else { "" });
            let answer = page.hears(false);
            assert_eq!(answer.status, 403, "{line} {fields}");
            assert_eq!(answer.field("access-control-allow-origin"), None);
        }
        witness.notices_nothing();
    }
    let own =
        format!("{host}Origin: {own}\r\nSec-Fetch-Site: same-origin\r\nContent-Length: 3\r\n");
    let mut page = Http::connect(daemon.address());
    page.sends(format!("POST {LOBBY} HTTP/1.1\r\n{own}\r\nown"));
    assert_eq!(page.hears(false).status, 200);
    assert_eq!(witness.0.hears_message().1, "own");
}

/// What every answer says of itself. Over plain HTTP a browser says nothing of who shows an image, and lets the answer decide.
fn is_guarded(answer: &Answer, what: &str) {
    let field = |name: &str| answer.field(name).unwrap_or_default();
    assert_eq!(field("cross-origin-resource-policy"), "same-origin", "{what}: {answer:?}");
    assert_eq!(field("x-content-type-options"), "nosniff", "{what}: {answer:?}");
    let lasting = if what == "/" { "no-cache" } else { "no-store" };
    assert_eq!(field("cache-control"), lasting, "{what}: {answer:?}");
}

#[test]
fn no_answer_is_kept_taken_for_something_else_or_embedded_in_a_foreign_page() {
    let daemon = Daemon::start();
    let mut image = Http::connect(daemon.address());
    assert_eq!(image.posts(LOBBY, "Content-Type: image/png\r\n", "an image").status, 200);
    let message = format!("{LOBBY}/1");
    for path in [LOBBY, &*message, "/", "/api/rooms", "/api/stats", "/metrics", "/healthz", "/none"]
    {
        is_guarded(&image.gets(path), path);
    }
    is_guarded(&image.asks("GET /api/rooms/lobby/events", ""), "events");
}

#[test]
fn nor_is_the_answer_to_what_cannot_be_read() {
    let daemon = Setup::new().config("[limits]\nframe_timeout = \"1s\"").start();
    let long = "x".repeat(9_000);
    let fields = "A: b\r\n".repeat(70);
    for (status, asked) in [
        (400, "GET /healthz HTTP/1.1\r\n\r\n".to_owned()),
        (400, "hello there\r\n".to_owned()),
        (408, "GET /healthz HT".to_owned()),
        (411, format!("POST {LOBBY} HTTP/1.1\r\nHost: localhost\r\n\r\n")),
        (413, format!("POST {LOBBY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65531\r\n\r\n")),
        (414, format!("GET /{long} HTTP/1.1\r\n")),
        (417, "GET / HTTP/1.1\r\nHost: localhost\r\nExpect: a miracle\r\n\r\n".to_owned()),
        (431, format!("GET / HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")),
        (501, "CONNECT /x HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()),
        (505, "GET / HTTP/2.0\r\nHost: localhost\r\n\r\n".to_owned()),
    ] {
        let mut stranger = Http::connect(daemon.address());
        stranger.sends(&asked);
        let answer = stranger.hears(false);
        assert_eq!(answer.status, status, "{asked}: {answer:?}");
        is_guarded(&answer, &asked);
    }
}

#[test]
fn a_listed_page_reads_its_answers_and_is_told_what_it_may_send() {
    let daemon = Setup::new().config("[http]\norigins = [\"https://app.example\"]").start();
    let mut page = Http::connect(daemon.address());
    let origin = "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n";
    let asked = page.asks(
        &format!("OPTIONS {LOBBY}"),
        &format!("{origin}Access-Control-Request-Method: POST\r\n"),
    );
    assert_eq!(asked.field("access-control-allow-origin"), Some("https://app.example"));
    assert!(asked.field("access-control-allow-methods").unwrap().contains("POST"));
    let posted = page.posts(LOBBY, origin, "hello");
    assert_eq!(posted.status, 200);
    assert_eq!(posted.field("access-control-allow-origin"), Some("https://app.example"));
    assert_eq!(posted.field("vary"), Some("Origin"));
    let read = page.asks(&format!("GET {LOBBY}"), origin);
    let exposed = read.field("access-control-expose-headers").unwrap().to_ascii_lowercase();
    let exposed: Vec<&str> = exposed.split(", ").collect();
    let own = |name: &str| name == "x-more" || name == "x-forgotten";
    let told = read.fields.iter().map(|(name, _)| &**name).filter(|name| own(name));
    assert_eq!(told.filter(|name| exposed.contains(name)).count(), 2, "{read:?}");
    assert!(exposed.contains(&"retry-after"), "{exposed:?}");
    page.sends("GET /api/rooms/lobby/events HTTP/1.1\r\nHost: localhost\r\n");
    page.sends(format!("{origin}\r\n"));
    let head = page.head();
    assert!(head.contains("\r\nAccess-Control-Allow-Origin: https://app.example\r\n"), "{head}");
}

#[test]
fn what_two_readers_could_understand_differently_is_refused_and_nothing_behind_it_is_heard() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let smuggled =
        format!("POST {LOBBY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 8\r\n\r\nsmuggled");
    let length = smuggled.len();
    for head in [
        format!("Content-Length: {length}\r\nTransfer-Encoding: chunked\r\n"),
        "Content-Length: 0\r\nContent-Length: 5\r\n".to_owned(),
        "Content-Length: 5\r\nContent-Length: 5\r\n".to_owned(),
        "Content-Length: 0, 5\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Content-Length: 0x5\r\n".to_owned(),
        "Content-Length: 99999999999999999999\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
        "Content-Length: 0\r\n folded: 1\r\n".to_owned(),
        "Content-Length: 0\nX: 1\r\n".to_owned(),
        "X\0: 1\r\n".to_owned(),
        "X: 1\0\r\n".to_owned(),
        "Host: other\r\n".to_owned(),
        ": 1\r\n".to_owned(),
    ] {
        let bytes =
            format!("POST {LOBBY} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n0\r\n\r\n{smuggled}");
        let heard = until_closed(&daemon, bytes.as_bytes());
        let status = heard.strip_prefix("HTTP/1.1 ").map(|rest| &rest[..3]);
        assert!(matches!(status, Some("400" | "413" | "501")), "{head}: {heard}");
        assert_eq!(
            heard.matches("HTTP/1.1").count(),
            1,
            "{head}: one answer, and no other: {heard}"
        );
        witness.notices_nothing();
    }
    // Chunks that are no chunks.
    for chunks in [
        "5\nhello\n0\n\n",
        "5\r\nhelloX\r\n0\r\n\r\n",
        "-1\r\n",
        "5;\0\r\n",
        "ffffffffffffffffff\r\n",
        "\r\n",
    ] {
        let fields = "Host: localhost\r\nTransfer-Encoding: chunked\r\n";
        let bytes = format!("POST {LOBBY} HTTP/1.1\r\n{fields}\r\n{chunks}{smuggled}");
        let heard = until_closed(&daemon, bytes.as_bytes());
        assert!(heard.starts_with("HTTP/1.1 4"), "{chunks:?}: {heard}");
        assert_eq!(heard.matches("HTTP/1.1").count(), 1, "{chunks:?}: {heard}");
        witness.notices_nothing();
    }
}

#[test]
fn a_body_that_looks_like_another_protocol_is_a_body() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut script = Http::connect(daemon.address());
    let irc = "NICK eve\r\nUSER eve 0 * :Eve\r\nPRIVMSG #lobby :hi\r\n";
    for body in [&chat(b"forged")[..], irc.as_bytes(), b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"]
    {
        assert_eq!(script.posts(LOBBY, "", body).status, 200);
        assert_eq!(ada.hears_message().1.as_bytes(), body, "it is said, not done");
    }
    // Behind a request that is whole it is no request, and no other protocol.
    script.sends(chat(b"forged"));
    let heard = String::from_utf8_lossy(&script.until_closed()).into_owned();
    assert!(heard.starts_with("HTTP/1.1 400 "), "{heard}");
    let said = daemon.control().asks("history", json!({"room": "lobby"}));
    assert_eq!(said["count"], 3, "{said}");
}

#[test]
fn a_frame_without_a_mask_ends_its_connection() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let mut socket = Http::connect(daemon.address());
    assert_eq!(socket.asks("GET /ws", UPGRADE).status, 101);
    let request = br#"{"request":"post","id":"7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e","target":"lobby","text":"x"}"#;
    socket.sends([&[0x81, u8::try_from(request.len()).unwrap()], &request[..]].concat());
    let heard = socket.until_closed();
    assert_eq!((heard[0], &heard[2..4]), (0x88, &1002_u16.to_be_bytes()[..]), "{heard:?}");
    witness.notices_nothing();
}

/// Bytes that nobody chose.
fn noise(seed: u64) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_be_bytes()[0]
    };
    let length = 16 + usize::from(next()) * 8;
    (0..length).map(|_| next()).collect()
}

#[test]
fn garbage_is_refused_or_cut_wherever_it_comes() {
    let daemon = Setup::new().config("[limits]\nframe_timeout = \"1s\"\ndetect = \"1s\"").start();
    let mut witness = Witness::of(&daemon);
    let places = [
        ("at the beginning", String::new()),
        ("for a path", "GET /".to_owned()),
        ("for fields", "GET / HTTP/1.1\r\nHost: localhost\r\n".to_owned()),
        (
            "for chunks",
            format!(
                "POST {LOBBY} HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
            ),
        ),
        ("behind a request", "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n".to_owned()),
        ("for frames", format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n")),
    ];
    for (place, before) in &places {
        for seed in 1..9 {
            let mut stranger = Http::connect(daemon.address());
            stranger.sends(before);
            // Whoever gets an answer has asked for it.
            let expected = match *place {
                "behind a request" => Some(200),
                "for frames" => Some(101),
                _ => None,
            };
            if let Some(status) = expected {
                assert_eq!(stranger.hears(false).status, status);
            }
            let _ = stranger.stream().write_all(&noise(seed));
            let heard = stranger.until_closed();
            let refused = heard.starts_with(b"HTTP/1.1 4") || heard.starts_with(b"HTTP/1.1 5");
            let closed = *place == "for frames" && heard.first() == Some(&0x88);
            // What is no HTTP is not told so in HTTP's words.
            let silent = *place == "at the beginning" && heard.is_empty();
            let shown = heard.escape_ascii();
            assert!(refused || closed || silent, "{place}, {seed}: {shown}");
        }
        witness.notices_nothing();
    }
    let said = daemon.control().asks("history", json!({"room": "lobby"}));
    assert_eq!(said["count"], 2 * places.len(), "{said}");
}

#[test]
fn an_upgrade_within_another_protocol_is_none() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let upgrade = format!("GET /ws HTTP/1.1\r\nHost: localhost\r\n{UPGRADE}\r\n");
    let mut native = daemon.named("Eve");
    native.sends(upgrade.as_bytes());
    assert_eq!(native.until_closed(), []);
    daemon.logs(&["Eve", "length"]);
    witness.notices_nothing();
    let mut reader = Http::connect(daemon.address());
    reader.asks("GET /api/rooms/lobby/events", "");
    reader.sends(&upgrade);
    witness.notices_nothing();
    assert_eq!(reader.event_called("message").1["event"], "message", "it is not heard");
}

#[test]
fn requests_that_do_not_end_are_cut_in_time() {
    let daemon = Setup::new().config("[limits]\nframe_timeout = \"1s\"").start();
    let mut witness = Witness::of(&daemon);
    for (what, bytes) in [
        ("half a request line", &b"GET /api/roo"[..]),
        ("half a head", b"GET / HTTP/1.1\r\nHost: localhost\r\nX: "),
        ("half a body", b"POST /api/rooms/lobby/messages HTTP/1.1\r\nHost: localhost\r\nContent-Length: 5\r\n\r\nhel"),
    ] {
        let begun = Instant::now();
        let heard = until_closed(&daemon, bytes);
        assert!(heard.starts_with("HTTP/1.1 408 "), "{what}: {heard}");
        assert!(begun.elapsed() >= Duration::from_secs(1), "{what} has its time");
        witness.notices_nothing();
    }
    // One byte now and then is no progress.
    let mut slow = Http::connect(daemon.address());
    slow.sends("GET /x");
    let mut writer = slow.stream().try_clone().unwrap();
    tests::eventually("it is cut", || writer.write_all(b"x").is_err().then_some(()));
    witness.notices_nothing();
}

#[test]
fn a_head_without_end_costs_nothing() {
    let mut daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let mut bytes = b"GET / HTTP/1.1\r\nHost: localhost\r\n".to_vec();
    let line = format!("X-Filler: {}\r\n", "x".repeat(1_000));
    while bytes.len() < 10 << 20 {
        bytes.extend(line.as_bytes());
    }
    let (first, others) = bytes.split_at(16 * 1024);
    // What else the machine does can only make it more: the least of some counts.
    let least = (0..5).map(|_| {
        let before = daemon.cpu_time();
        let mut stranger = Http::connect(daemon.address());
        stranger.sends(first);
        let answer = stranger.hears(false);
        assert_eq!((answer.status, answer.field("connection")), (431, Some("close")));
        // It may close while more comes.
        let _ = stranger.stream().write_all(others);
        stranger.finishes();
        assert!(stranger.until_closed().is_empty(), "one answer, and no other");
        let spent = daemon.cpu_time().saturating_sub(before);
        witness.notices_nothing();
        spent
    });
    let least = least.min().unwrap();
    assert!(least <= HEAD_CPU_MAX, "it is read away and not read: {least:?}");
    let many = "X: 1\r\n".repeat(65);
    let heard = until_closed(
        &daemon,
        format!("GET / HTTP/1.1\r\nHost: localhost\r\n{many}\r\n").as_bytes(),
    );
    assert!(heard.starts_with("HTTP/1.1 431 "), "{heard}");
    let long = format!("GET /{} HTTP/1.1\r\nHost: localhost\r\n\r\n", "x".repeat(9_000));
    let heard = until_closed(&daemon, long.as_bytes());
    assert!(heard.starts_with("HTTP/1.1 414 "), "{heard}");
    let huge = format!("POST {LOBBY} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 65531\r\n\r\n");
    let heard = until_closed(&daemon, huge.as_bytes());
    assert!(heard.starts_with("HTTP/1.1 413 "), "{heard}");
    witness.notices_nothing();
    assert!(daemon.runs());
}
