//! What the README promises: terminals, scripts and v0.5 clients see each other's messages, any bytes included.

use std::fs;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use serde_json::json;
use tests::binaries::checkout;
use tests::{Daemon, Heard, Program, Setup, left_out, program};

#[test]
fn terminals_scripts_and_v05_clients_see_each_other() {
    let daemon = Daemon::start();
    let tail = daemon.follower(&["lobby"]);
    let mut ada = daemon.named("Ada");

    assert!(daemon.ctl(&["send", "lobby", "hello"]).status.success());
    let (from, text) = ada.hears_message();
    assert_eq!(text, "hello");
    let line = tail.stdout.line_with(&["hello"]);
    assert!(line.contains(&from), "{line} does not say that it is from {from}");

    ada.chats("hello yourself");
    let line = tail.stdout.line_with(&["hello yourself"]);
    assert!(line.contains("Ada"), "{line}");

    let mut bob = daemon.named("Bob");
    bob.chats("from one v0.5 client to another");
    ada.hears_that("Bob", "from one v0.5 client to another");
}

#[test]
fn any_bytes_reach_the_other_side() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut ops = daemon.control();
    ops.asks("tail", json!({"rooms": ["lobby"]}));
    let bytes: Vec<u8> = (0..=255).collect();

    // v0.5 to v1: every byte as it was.
    ada.chats(&bytes);
    let event = ops.event_called("message");
    let heard = proto::client::content(event.as_object().unwrap()).unwrap();
    assert_eq!(heard, bytes);

    // v1 to v0.5: malformed UTF-8 as U+FFFD, everything else as it was.
    let sent = program::run(&mut daemon.chatctl(&["send", "lobby"]), &bytes);
    assert!(sent.status.success(), "{}", String::from_utf8_lossy(&sent.stderr));
    assert_eq!(ada.hears_message().1, String::from_utf8_lossy(&bytes));

    // And to another tool, every byte and one newline.
    let history = daemon.ctl(&["history", "lobby", "--raw"]);
    let twice = [&bytes[..], b"\n", &bytes[..], b"\n"].concat();
    assert_eq!(history.stdout, twice);
}

#[test]
fn the_longest_message_arrives_whole() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let text = "0123456789".repeat(6_553);
    ada.chats(&text);
    let (mut heard, mut frames) = (String::new(), 0);
    while heard.len() < text.len() {
        heard += &bob.hears_message().1;
        frames += 1;
    }
    assert_eq!((heard == text, frames), (true, 2), "a longer broadcast is split");
}

#[test]
fn ipv4_and_ipv6() {
    if TcpListener::bind("[::1]:0").is_err() {
        left_out("IPv6 listeners: this machine has no ::1");
        return;
    }
    let daemon = Setup::new().listen("127.0.0.1:0").listen("[::1]:0").start();
    let [four, six] = *daemon.addresses() else { panic!("two addresses: {}", daemon.printed()) };
    assert!(four.is_ipv4() && six.is_ipv6());
    let mut ada = tests::Native::connect(four);
    let mut bob = tests::Native::connect(six);
    ada.takes_nick("Ada");
    bob.takes_nick("Bob");
    ada.chats("over IPv4");
    bob.hears_that("Ada", "over IPv4");
    bob.chats("over IPv6");
    ada.hears_that("Bob", "over IPv6");
}

#[test]
fn a_listener_that_never_says_a_word_hears_all_since_it_came() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut listener = daemon.native();
    // The listener's accept comes before Ada's next words, since a later connection is served already.
    let _later = daemon.named("Later");
    ada.chats("one");
    ada.chats("two");
    listener.hears_that("Ada", "one");
    listener.hears_that("Ada", "two");
}

/// The README's client, as it stands there.
#[test]
fn the_readmes_python_client_chats() {
    let readme = fs::read_to_string(checkout().join("README.md")).unwrap();
    let example = readme.split("```python\n").nth(1).expect("the README has a Python client");
    let example = example.split("```").next().unwrap();
    assert!(example.lines().count() <= 15, "15 lines are promised");
    if Command::new("python3").arg("--version").stdout(Stdio::null()).status().is_err() {
        left_out("the README's Python client: there is no python3");
        return;
    }
    let daemon = Daemon::start();
    let port = daemon.address().port().to_string();
    let script = daemon.folder().write("client.py", example.replace("33333", &port));
    let mut ada = daemon.named("Ada");
    let client = Program::start(Command::new("python3").arg("-u").arg(script).stdin(Stdio::null()));
    let (_, text) = ada.hears_message();
    assert!(!text.is_empty());
    ada.chats("hello, snake");
    client.stdout.line_with(&["Ada", "hello, snake"]);
}

#[test]
fn requests_are_answered_in_order_with_others_in_flight() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    let ping = |number| format!("{{\"request\":\"ping\",\"id\":\"{number}\"}}\n");
    let lines: String = (0..100).map(ping).collect();
    ops.sends(lines.as_bytes());
    for number in 0..100 {
        let reply = ops.line().unwrap();
        assert_eq!(reply, json!({"reply": number.to_string(), "ok": true}));
    }
}

#[test]
fn nicknames_are_acknowledged_and_refused() {
    let daemon = Daemon::start();
    let _ada = daemon.named("Ada");
    let mut bob = daemon.native();
    let taken = Heard::Nak([1; 16], "Nickname already taken.".to_owned());
    assert_eq!(bob.asks_nick(1, b"ADA"), taken);
    assert!(matches!(bob.asks_nick(2, b""), Heard::Nak(_, _)));
    assert_eq!(bob.asks_nick(0, b"Bob"), Heard::Ack([0; 16]));
}
