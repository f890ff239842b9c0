//! A WebSocket as browsers use it, with another implementation on the other side; and the echo for conformance suites.

use std::collections::VecDeque;
use std::net::TcpStream;

use serde_json::{Value, json};
use tests::{DEADLINE, Daemon, Heard, Http, Program, Setup};
use tungstenite::client::IntoClientRequest;
use tungstenite::http::Request;
use tungstenite::protocol::CloseFrame;
use tungstenite::protocol::frame::coding::CloseCode;
use tungstenite::{Error, Message, WebSocket};

/// A v1 connection by WebSocket.
pub(crate) struct Socket {
    stream: WebSocket<TcpStream>,
    events: VecDeque<Value>,
    asked: u32,
}

/// A request for a WebSocket, as tungstenite makes it.
fn request(daemon: &Daemon, path: &str) -> Request<()> {
    format!("ws://{}{path}", daemon.address()).into_client_request().unwrap()
}

fn open(daemon: &Daemon, request: Request<()>) -> Result<WebSocket<TcpStream>, String> {
    open_over(TcpStream::connect(daemon.address()).unwrap(), request)
}

fn open_over(stream: TcpStream, request: Request<()>) -> Result<WebSocket<TcpStream>, String> {
    stream.set_read_timeout(Some(DEADLINE)).unwrap();
    stream.set_nodelay(true).unwrap();
    let opened = tungstenite::client(request, stream);
    opened.map(|(socket, _)| socket).map_err(|error| error.to_string())
}

impl Socket {
    /// Opens one.
    pub(crate) fn open(daemon: &Daemon) -> Self {
        Self::over(daemon, TcpStream::connect(daemon.address()).unwrap())
    }

    /// Opens one over a connection that is there.
    pub(crate) fn over(daemon: &Daemon, stream: TcpStream) -> Self {
        let mut request = request(daemon, "/ws");
        request.headers_mut().insert("Sec-WebSocket-Protocol", "chat.v1".parse().unwrap());
        let stream = open_over(stream, request).unwrap();
        Self { stream, events: VecDeque::new(), asked: 0 }
    }

    /// Asks and waits for the reply; events that come before are kept.
    pub(crate) fn asks(&mut self, request: &str, mut fields: Value) -> Value {
        self.asked += 1;
        let id = fields["id"].as_str().map_or_else(|| self.asked.to_string(), str::to_owned);
        fields["request"] = request.into();
        fields["id"] = id.clone().into();
        self.stream.send(Message::text(fields.to_string())).unwrap();
        loop {
            let said = self.object();
            if said["reply"] == *id {
                return said;
            }
            assert!(said["event"].is_string(), "a reply to nothing: {said}");
            self.events.push_back(said);
        }
    }

    /// The next event of this name.
    pub(crate) fn event_called(&mut self, name: &str) -> Value {
        loop {
            let event = self.events.pop_front().unwrap_or_else(|| self.object());
            if event["event"] == name {
                return event;
            }
        }
    }

    fn object(&mut self) -> Value {
        loop {
            match self.stream.read().unwrap() {
                Message::Text(text) => return serde_json::from_str(&text).unwrap(),
                Message::Ping(_) | Message::Pong(_) => {}
                other => panic!("a v1 connection hears text: {other}"),
            }
        }
    }

    /// The code and reason with which the server closes; what comes before is left out.
    pub(crate) fn closes(&mut self) -> CloseFrame {
        closes(&mut self.stream)
    }
}

fn closes(socket: &mut WebSocket<TcpStream>) -> CloseFrame {
    let frame = loop {
        if let Message::Close(frame) = socket.read().unwrap() {
            break frame.expect("a close that says why");
        }
    };
    // The server ends the stream once it has our close, too.
    match socket.read() {
        Ok(other) => panic!("nothing comes behind a close: {other}"),
        Err(Error::ConnectionClosed | Error::AlreadyClosed) => frame,
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_browser_chats_with_everybody_else() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut eve = Socket::open(&daemon);
    let hello = eve.asks("hello", json!({"version": 1, "agent": "a test", "nick": "Eve"}));
    assert_eq!((&hello["ok"], &hello["nick"]), (&json!(true), &json!("Eve")), "{hello}");
    assert_eq!(eve.asks("join", json!({"room": "lobby"}))["ok"], true);
    ada.chats("hello");
    assert_eq!(eve.event_called("message")["text"], "hello");
    let id = "7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2f";
    let posted = eve.asks("post", json!({"id": id, "room": "lobby", "text": "grüß dich"}));
    assert_eq!(posted["seq"], 2, "{posted}");
    ada.hears_that("Eve", "grüß dich");
    let big = "x".repeat(65_000);
    let id = "7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d30";
    assert_eq!(eve.asks("post", json!({"id": id, "room": "lobby", "text": big}))["ok"], true);
    assert_eq!(ada.hears_message().1, big);
    eve.stream.close(Some(CloseFrame { code: CloseCode::Normal, reason: "bye".into() })).unwrap();
    assert_eq!(eve.closes().code, CloseCode::Normal);
    drop(eve);
    let mut other = daemon.native();
    tests::eventually("the name is free", || {
        matches!(other.asks_nick(1, b"Eve"), Heard::Ack(_)).then_some(())
    });
}

#[test]
fn faults_close_with_their_code_and_nobody_else_notices() {
    let daemon = Setup::new().config("[limits]\nmessage = 1000").start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let mut socket = Socket::open(&daemon);
    socket.stream.send(Message::binary(b"x".as_slice())).unwrap();
    assert_eq!(socket.closes().code, CloseCode::Unsupported);
    let mut socket = Socket::open(&daemon);
    socket.stream.send(Message::text("x".repeat(20_000))).unwrap();
    assert_eq!(socket.closes().code, CloseCode::Size);
    // What is no request is answered, and the connection goes on.
    let mut socket = Socket::open(&daemon);
    socket.stream.send(Message::text("hello there")).unwrap();
    assert_eq!(socket.object()["error"], "bad_request");
    assert_eq!(socket.asks("ping", json!({}))["ok"], true);
    ada.chats("still here");
    bob.hears_that("Ada", "still here");
    let reply = daemon.control().asks("stop", json!({}));
    assert_eq!(reply["ok"], true, "{reply}");
    assert_eq!(socket.event_called("bye")["event"], "bye");
    assert_eq!(socket.closes().code, CloseCode::Away);
}

#[test]
fn frames_without_a_mask_and_bytes_that_are_no_frames_are_refused() {
    let daemon = Daemon::start();
    let upgrade = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                   Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n";
    for (what, bytes, code) in [
        ("no mask", &b"\x81\x02hi"[..], 1002),
        ("a reserved bit", b"\xc1\x82\0\0\0\0hi", 1002),
        ("an unknown opcode", b"\x83\x80\0\0\0\0", 1002),
        ("a long ping", b"\x89\xfe\0\x7e\0\0\0\0", 1002),
        ("no UTF-8, in an unfinished frame", b"\x01\x84\0\0\0\0\xff", 1007),
        ("a request", b"GET / HTTP/1.1\r\n\r\n", 1002),
    ] {
        let mut raw = Http::connect(daemon.address());
        let answer = raw.asks("GET /ws", upgrade);
        assert_eq!(answer.field("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
        raw.sends(bytes);
        let heard = raw.until_closed();
        let [0x88, _, high, low, ..] = heard[..] else { panic!("{what}: {heard:?}") };
        assert_eq!(u16::from_be_bytes([high, low]), code, "{what}");
    }
    // Nor is anything a WebSocket that was not asked for as one.
    let mut raw = Http::connect(daemon.address());
    assert_eq!(raw.gets("/ws").status, 426);
    let both = format!("{upgrade}Content-Length: 5\r\n");
    assert_eq!(raw.asks("GET /ws", &both).status, 400);
}

#[test]
fn the_echo_is_there_where_it_was_asked_for() {
    let daemon = Setup::new().argument("--ws-echo").argument("/echo").start();
    let mut echo = open(&daemon, request(&daemon, "/echo")).unwrap();
    let large: Vec<u8> = (0..2_000_000_u32).flat_map(u32::to_le_bytes).collect();
    for message in
        [Message::text("hallo"), Message::binary(b"\0\xff".as_slice()), Message::binary(large)]
    {
        echo.send(message.clone()).unwrap();
        assert!(echo.read().unwrap() == message, "it comes back");
    }
    echo.send(Message::Ping(b"p".as_slice().into())).unwrap();
    assert_eq!(echo.read().unwrap(), Message::Pong(b"p".as_slice().into()));
    echo.close(None).unwrap();
    assert!(matches!(echo.read(), Ok(Message::Close(None))));
    let plain = Daemon::start();
    let refused = open(&plain, request(&plain, "/echo")).unwrap_err();
    assert!(refused.contains("404"), "{refused}");
}

#[test]
fn a_foreign_page_gets_no_socket_and_a_listed_one_does() {
    let daemon = Setup::new()
        .config("[http]\norigins = [\"https://app.example\"]\nhosts = [\"chat.example\"]")
        .start();
    let own = format!("http://{}", daemon.address());
    let try_with = |fields: &[(&'static str, &str)]| {
        let mut request = request(&daemon, "/ws");
        for (name, value) in fields {
            request.headers_mut().insert(*name, value.parse().unwrap());
        }
        open(&daemon, request).map(drop)
    };
    assert!(try_with(&[("origin", &own)]).is_ok());
    assert!(
        try_with(&[("origin", "https://app.example"), ("sec-fetch-site", "cross-site")]).is_ok()
    );
    assert!(try_with(&[("host", "chat.example"), ("origin", "http://chat.example")]).is_ok());
    for wrong in [
        &[("origin", "https://evil.example")][..],
        &[("origin", "null")],
        &[("origin", "https://app.example.evil.example")],
        &[("sec-fetch-site", "cross-site")],
        &[("host", "evil.example"), ("origin", "http://evil.example")],
    ] {
        let refused = try_with(wrong).unwrap_err();
        assert!(refused.contains("403"), "{wrong:?}: {refused}");
    }
}

#[test]
fn chatctl_calls_by_websocket() {
    let daemon = Setup::new().config("[http]\nbase_path = \"/chat/\"").start();
    let at = format!("ws://{}/chat/", daemon.address());
    let mut following = daemon.chatctl(&["-s", &at, "tail", "-v", "lobby"]);
    let follower = Program::start(&mut following);
    follower.stderr.line_with(&["following"]);
    let big = "x".repeat(60_000);
    for text in ["over the web", &big] {
        let sent = daemon.ctl(&["-s", &at, "send", "lobby", text]);
        assert!(sent.status.success(), "{sent:?}");
        follower.stdout.line_with(&[text]);
    }
    let nowhere = daemon.ctl(&["-s", &format!("ws://{}/", daemon.address()), "ping"]);
    assert_eq!(nowhere.status.code(), Some(3), "{nowhere:?}");
    assert!(String::from_utf8_lossy(&nowhere.stderr).contains("404"), "{nowhere:?}");
}
