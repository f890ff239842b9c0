//! `chatctl send`: what is sent, and what its end says.

use serde_json::{Value, json};
use tests::{Daemon, Setup, program};

use crate::ended_with;

/// What was said in a room, oldest first.
fn said(daemon: &Daemon, room: &str) -> Vec<Vec<u8>> {
    let mut ops = daemon.control();
    let reply = ops.asks("history", json!({"room": room, "limit": 500}));
    let count = reply["count"].as_u64().unwrap();
    let content = |event: Value| proto::client::content(event.as_object().unwrap()).unwrap();
    (0..count).map(|_| content(ops.event())).collect()
}

fn send(daemon: &Daemon, arguments: &[&str], input: &[u8]) -> std::process::Output {
    program::run(daemon.chatctl(&["send"]).args(arguments), input)
}

#[test]
fn words_are_one_message_and_stdin_is_not_touched() {
    let daemon = Daemon::start();
    let (stdout, stderr) = ended_with(0, &send(&daemon, &["lobby", "backup", "done"], b""));
    assert_eq!((&*stdout, &*stderr), ("", ""), "done is said by the exit code");
    ended_with(0, &send(&daemon, &["#LOBBY", "--", "-l", "is text here"], b""));
    assert_eq!(said(&daemon, "lobby"), [&b"backup done"[..], b"-l is text here"]);
}

#[test]
fn stdin_is_one_message_without_its_last_newline() {
    let daemon = Daemon::start();
    ended_with(0, &send(&daemon, &["a"], b"line 1\nline 2\n\n"));
    ended_with(0, &send(&daemon, &["a", "--raw"], b"kept\n"));
    ended_with(0, &send(&daemon, &["a"], b"\x00\xff\xfe"));
    assert_eq!(said(&daemon, "a"), [&b"line 1\nline 2\n"[..], b"kept\n", b"\x00\xff\xfe"]);
}

#[test]
fn lines_and_nul_separated_pieces_are_messages() {
    let daemon = Daemon::start();
    ended_with(0, &send(&daemon, &["a", "-l"], b"one\n\ntwo\nthree"));
    assert_eq!(said(&daemon, "a"), [&b"one"[..], b"two", b"three"]);
    ended_with(0, &send(&daemon, &["b", "-0"], b"one\nand more\0two\0"));
    assert_eq!(said(&daemon, "b"), [&b"one\nand more"[..], b"two"]);
    ended_with(0, &send(&daemon, &["c", "-l", "--allow-empty"], b"one\n\ntwo\n"));
    assert_eq!(said(&daemon, "c"), [&b"one"[..], b"", b"two"]);
}

#[test]
fn five_hundred_lines_keep_their_order() {
    let daemon = Daemon::start();
    let lines: Vec<String> = (0..500).map(|number| format!("line {number}")).collect();
    ended_with(0, &send(&daemon, &["a", "-l"], lines.join("\n").as_bytes()));
    let expected: Vec<Vec<u8>> = lines.into_iter().map(String::into_bytes).collect();
    assert_eq!(said(&daemon, "a"), expected);
}

#[test]
fn a_file_is_sent() {
    let daemon = Daemon::start();
    let path = daemon.folder().write("report", "the report\n");
    ended_with(0, &send(&daemon, &["a", "-f", path.to_str().unwrap()], b""));
    assert_eq!(said(&daemon, "a"), [b"the report"]);
    ended_with(2, &send(&daemon, &["a", "-f", "/nowhere/report"], b""));
}

#[test]
fn empty_input_is_refused_unless_it_is_meant() {
    let daemon = Daemon::start();
    ended_with(2, &send(&daemon, &["a"], b""));
    ended_with(0, &send(&daemon, &["a", "--allow-empty"], b""));
    assert_eq!(said(&daemon, "a"), [b""]);
}

#[test]
fn an_id_makes_a_retry_safe() {
    let daemon = Daemon::start();
    let id = "7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d2e";
    let once = &["a", "--json", "--id", id, "once"];
    let first: Value = serde_json::from_str(&ended_with(0, &send(&daemon, once, b"")).0).unwrap();
    let again: Value = serde_json::from_str(&ended_with(0, &send(&daemon, once, b"")).0).unwrap();
    assert_eq!(first, again);
    assert_eq!((&first["seq"], &first["message_id"]), (&json!(1), &json!(id)));
    ended_with(1, &send(&daemon, &["a", "--id", id, "something else"], b""));
    assert_eq!(said(&daemon, "a"), [b"once"]);
}

#[test]
fn what_the_server_refuses_has_its_exit_code() {
    let daemon = Setup::new().config("[limits]\nmessage = 100\n").start();
    let (_, stderr) = ended_with(8, &send(&daemon, &["a"], &[b'x'; 101]));
    assert!(stderr.contains("100"), "the limit is named: {stderr}");
    ended_with(0, &send(&daemon, &["a"], &[b'x'; 100]));
    let (_, stderr) = ended_with(2, &send(&daemon, &["no spaces", "text"], b""));
    assert!(stderr.contains("room name"), "{stderr}");
}

#[test]
fn speaking_as_somebody_else_is_for_administrators() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    ended_with(0, &send(&daemon, &["--as", "Build Bot", "lobby", "green"], b""));
    ada.hears_that("Build Bot", "green");
}

#[test]
fn wait_none_does_not_wait() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    ended_with(0, &send(&daemon, &["lobby", "--wait", "none", "on its way"], b""));
    assert_eq!(ada.hears_message().1, "on its way");
}
