//! What bad input gets, each with a witness who notices nothing of it.

use std::io::Write;

use serde_json::{Value, json};
use tests::native::{chat, frame};
use tests::{Control, Daemon, Native, Setup};

/// Two who talk with each other while somebody else misbehaves.
struct Witness {
    ada: Native,
    bob: Native,
    said: u32,
}

impl Witness {
    fn of(daemon: &Daemon) -> Self {
        Self { ada: daemon.named("Ada"), bob: daemon.named("Bob"), said: 0 }
    }

    /// Each hears the other at once, and nothing else came between.
    fn notices_nothing(&mut self) {
        self.said += 1;
        let text = format!("still here {}", self.said);
        self.ada.chats(&text);
        self.bob.hears_that("Ada", &text);
        self.bob.chats(&text);
        self.ada.hears_that("Bob", &text);
    }
}

#[test]
fn frames_that_cannot_be_understood_close_with_the_reason() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let nick = |claimed: u8| {
        let mut payload = vec![7; 16];
        payload.push(claimed);
        payload.extend(b"Eve");
        frame(3, &payload)
    };
    let cases: Vec<(&str, Vec<u8>, &str)> = vec![
        ("a length of 0", vec![0, 0, 0, 0], "length is 0"),
        ("a length of 3", vec![0, 0, 0, 3], "length is 3"),
        ("a length over 65,536", [0_u32.to_be_bytes(), [0; 4]].concat(), "length is 0"),
        ("a chat of 65,537", [65_537_u32.to_be_bytes(), [0; 4]].concat(), "length is 65537"),
        ("a length of 16 MiB", vec![1, 0, 0, 0], "known protocol"),
        ("a text longer than its frame", frame(0, b"\0\x05hi"), "claims 5 bytes"),
        ("a text shorter than its frame", frame(0, b"\0\x01hi"), "claims 1 bytes"),
        ("a nickname longer than its frame", nick(9), "claims 9 bytes"),
        ("a keepalive with a payload", frame(2, b"x"), "Keepalive frame's length is 5"),
        ("an Ack to nothing", frame(4, &[1; 16]), "Ack or Nak to nothing"),
        ("a Nak to nothing", frame(5, &[0; 18]), "Ack or Nak to nothing"),
    ];
    for (what, bytes, reason) in cases {
        let mut eve = daemon.native();
        let port = eve.stream().local_addr().unwrap().to_string();
        // What follows must not be understood as anything.
        eve.sends(&[bytes, chat(b"out of step")].concat());
        assert_eq!(eve.until_closed(), [], "{what}");
        daemon.logs(&[&port, reason]);
        witness.notices_nothing();
    }
}

#[test]
fn other_protocols_are_refused_in_their_own_words() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let cases: &[(&[u8], &[u8])] = &[
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"\x15\x03\x03\x00\x02\x02\x28"),
        (
            b"GET / HTTP/1.1\r\nHost: chat.example\r\nConnection: close\r\n\r\n",
            b"HTTP/1.1 403 Forbidden\r\n",
        ),
        (b"POST /api/rooms/ops/messages HTTP/1.1\r\n\r\nNICK eve\r\n", b"HTTP/1.1 400 "),
        (b"hello there\r\n", b"HTTP/1.1 400 Bad Request\r\n"),
        (b"NICK eve\r\nUSER eve 0 * :Eve\r\n", b"ERROR :"),
        (b"CAP LS 302\r\n", b"ERROR :"),
        (b":eve PRIVMSG #lobby :hi\r\n", b"ERROR :"),
        (b"{\"request\":\"ping\",\"id\":\"1\"}\n", b""),
        (b"\xff\xfb\x1f", b""),
    ];
    for (bytes, words) in cases {
        let mut stranger = daemon.native();
        stranger.sends(bytes);
        let heard = stranger.bytes_until_closed();
        let shown = String::from_utf8_lossy(&heard);
        assert!(heard.starts_with(words), "{}: {shown}", String::from_utf8_lossy(bytes));
        assert_eq!(words.is_empty(), heard.is_empty(), "{shown}");
        if words.starts_with(b"HTTP") {
            let (response, body) = shown.split_once("\r\n\r\n").unwrap();
            assert!(response.contains("Connection: close"), "{response}");
            let body: Value = serde_json::from_str(body).unwrap();
            assert!(body["error"].is_string(), "{body}");
        }
        witness.notices_nothing();
    }
}

#[test]
fn requests_that_cannot_be_understood_get_their_error() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    let mut ops = daemon.control();
    let cases: &[(&[u8], Option<&str>, &str)] = &[
        (b"hello\n", None, "bad_request"),
        (b"\xff\xfe\n", None, "bad_request"),
        (b"{}\n", None, "bad_request"),
        (b"{\"request\":\"ping\"}\n", None, "bad_request"),
        (b"{\"request\":\"fly\",\"id\":\"1\"}\n", Some("1"), "unknown_request"),
        (b"{\"request\":\"join\",\"id\":\"2\"}\n", Some("2"), "bad_request"),
        (b"{\"request\":\"join\",\"id\":\"3\",\"room\":\"a b\"}\n", Some("3"), "bad_room"),
        (b"{\"request\":\"nick\",\"id\":\"4\",\"nick\":\"\\u202e\"}\n", Some("4"), "bad_nickname"),
        (b"{\"request\":\"history\",\"id\":\"5\",\"room\":\"none\"}\n", Some("5"), "no_such_room"),
        (b"{\"request\":\"leave\",\"id\":\"6\",\"room\":\"lobby\"}\n", Some("6"), "not_in_room"),
    ];
    for (line, id, code) in cases {
        ops.sends(line);
        let reply = ops.line().unwrap();
        let shown = String::from_utf8_lossy(line);
        assert_eq!(reply["reply"], json!(id), "{shown}: {reply}");
        assert_eq!((&reply["ok"], &reply["error"]), (&json!(false), &json!(code)), "{shown}");
        assert!(reply["message"].as_str().unwrap().len() > 10, "it says what to do: {reply}");
        witness.notices_nothing();
    }
    assert_eq!(ops.asks("ping", json!({}))["ok"], true, "the connection goes on");
}

#[test]
fn a_line_without_an_end_is_cut_off() {
    let daemon = Setup::new().config("[limits]\nmessage = 1000\n").start();
    let mut witness = Witness::of(&daemon);
    let mut ops = daemon.control();
    let mut stream = ops.stream().try_clone().unwrap();
    // It closes while more comes: a write may fail then, and what was said before is still there to read.
    let _ = stream.write_all(&[b'x'; 10_096]);
    let reply = ops.line().unwrap();
    assert_eq!(reply["error"], "too_large", "{reply}");
    assert!(ops.line().is_none());
    daemon.logs(&["line_too_long"]);
    witness.notices_nothing();
}

#[test]
fn a_message_over_the_limit_is_refused() {
    let daemon = Setup::new().config("[limits]\nmessage = 100\n").start();
    let mut witness = Witness::of(&daemon);
    let mut ops = daemon.control();
    let id = "00000000-0000-4000-8000-000000000001";
    let reply = ops.asks_as(id, "post", json!({"room": "lobby", "text": "x".repeat(101)}));
    assert_eq!(reply["error"], "too_large", "{reply}");
    let mut eve = daemon.named("Eve");
    eve.chats("x".repeat(101));
    assert_eq!(eve.until_closed(), []);
    daemon.logs(&["Eve", "too_large"]);
    witness.notices_nothing();
}

#[test]
fn frames_of_unknown_types_are_skipped() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    ada.sends(&frame(6, b""));
    ada.sends(&frame(16, b"{\"request\":\"hello\"}"));
    ada.sends(&frame(0x7fff_ffff, &vec![0; 200_000]));
    ada.sends(&frame(1, b"\x03Bob\0\x02hi"));
    ada.chats("understood");
    bob.hears_that("Ada", "understood");
}

#[test]
fn a_peer_that_vanishes_leaves_its_name_free() {
    let daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    for _ in 0..20 {
        let mut eve = daemon.native();
        tests::eventually("the name is free", || {
            matches!(eve.asks_nick(1, b"Eve"), tests::Heard::Ack(_)).then_some(())
        });
        eve.sends(&chat(b"half a frame")[..7]);
        drop(eve);
        witness.notices_nothing();
    }
}

#[test]
fn whole_frames_before_a_fin_are_carried_out() {
    let daemon = Daemon::start();
    let mut bob = daemon.named("Bob");
    let mut ada = daemon.named("Ada");
    let mut bytes = Vec::new();
    for number in 0..5 {
        bytes.extend(chat(format!("last words {number}").as_bytes()));
    }
    bytes.extend(&chat(b"partial")[..9]);
    ada.sends(&bytes);
    ada.finishes();
    for number in 0..5 {
        bob.hears_that("Ada", &format!("last words {number}"));
    }
    assert_eq!(ada.until_closed(), [], "both directions are closed together");
    let mut carol = daemon.named("Carol");
    carol.chats("next");
    bob.hears_that("Carol", "next");
}

#[test]
fn garbage_of_all_kinds_never_ends_the_daemon() {
    let mut daemon = Daemon::start();
    let mut witness = Witness::of(&daemon);
    // A small generator of its own: the same bytes in every run.
    let mut state = 0x2545_f491_4f6c_dd1d_u64;
    let mut byte = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state.to_le_bytes()[3]
    };
    for round in 0..60 {
        let mut bytes: Vec<u8> = (0..200).map(|_| byte()).collect();
        if round % 3 != 0 {
            bytes[0] = 0;
            bytes[1] = 0;
            bytes[2] = 0;
            bytes[4..7].fill(0);
            bytes[7] %= 7;
        }
        let mut stream = daemon.native().stream().try_clone().unwrap();
        let _ = stream.write_all(&bytes);
        let mut control = Control::connect(daemon.control_path()).stream().try_clone().unwrap();
        let _ = control.write_all(&bytes);
        let _ = control.write_all(b"\n");
    }
    // Garbage may have been a chat; the witnesses hear each other behind it.
    witness.ada.chats("after the garbage");
    while witness.bob.hears_message().1 != "after the garbage" {}
    assert!(daemon.runs());
}
