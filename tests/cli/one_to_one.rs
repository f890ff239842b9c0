//! `chatctl chat --plain`: one-to-one talks, at a terminal and in scripts, and what strangers write there.

use std::net::TcpListener;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use tests::{Daemon, Setup, V1Client, eventually, program};

use crate::chat::Person;
use crate::keyboard::Typist;
use crate::{ended_with, interruptible, ways};

/// A line client over TCP.
fn plain(daemon: &Daemon, name: &str) -> Command {
    let [_, tcp] = ways(daemon);
    interruptible(&daemon.chatctl(&["chat", "--plain", &tcp, "--as", name, "--color", "never"]))
}

/// The same, of somebody at a terminal.
fn typist(daemon: &Daemon, name: &str) -> Typist {
    let mut typist = Typist::start(&mut plain(daemon, name));
    typist.sees(&format!("connected; you are {name}\r\n[#lobby, registered] "));
    typist
}

fn acknowledges(client: &mut V1Client, message: &Value) {
    client.asks("receipt", json!({"message_id": message["message_id"]}));
}

#[test]
fn at_a_terminal_the_prompt_says_how_far_the_talk_is() {
    let daemon = Daemon::start();
    let mut bob = typist(&daemon, "Bob");
    let mut ada = V1Client::connect(daemon.address(), "Ada");
    bob.types(b"/bridge --turns yes\n");
    bob.sees("-- waiting for anyone\r\n[waiting for anyone since ");
    ada.asks("bridge", json!({}));
    bob.sees("-- Ada is ready: /chat opens the talk\r\n[Ada is ready: /chat opens the talk] ");
    bob.types(b"/go lobby\n");
    bob.sees("[#lobby, Ada is ready: /chat opens the talk] ");
    bob.types(b"/go talk\n");
    // What is pasted behind it is for the talk that it opens.
    bob.types(b"/chat\nhello\n");
    bob.sees("-- your turn, with Ada\r\n");
    bob.sees("[Ada's turn] ");
    let message = ada.event_called("talk_message");
    assert_eq!(message["text"], "hello");
    acknowledges(&mut ada, &message);
    bob.sees("chatctl: received after ");
    bob.types(b"out of turn\n");
    bob.sees("-- not sent: it is Ada's turn\r\n-- it was: out of turn\r\n[Ada's turn] ");
    ada.asks("pass", json!({}));
    bob.sees("-- your turn, with Ada\r\n[your turn, with Ada] ");
    ada.asks("hangup", json!({}));
    bob.sees("-- Ada ended the talk\r\n");
    bob.sees("-- waiting for anyone\r\n[waiting for anyone since ");
    // A moment after the other's, and not meant to end all.
    bob.types(b"/quit\n");
    bob.sees("-- you wait for no talk any more; /quit again ends all\r\n[registered] ");
    bob.types(b"/quit\n");
    assert!(eventually("it ends", || bob.program.try_wait().unwrap()).success());
}

#[test]
fn ctrl_c_and_ctrl_d_in_a_talk_are_told_to_the_peer() {
    let daemon = Daemon::start();
    let mut bob = typist(&daemon, "Bob");
    let mut ada = V1Client::connect(daemon.address(), "Ada");
    ada.asks("bridge", json!({}));
    for is_end in [false, true] {
        bob.types(b"/bridge\n");
        bob.sees("[Ada is ready: /chat opens the talk] ");
        bob.types(b"/chat\n");
        bob.sees("[in a talk with Ada] ");
        if is_end {
            bob.types(b"\x04");
        } else {
            // Not its controlling terminal: what Ctrl-C would send is sent.
            let pid = Pid::from_raw(i32::try_from(bob.program.id()).unwrap());
            kill(pid, Signal::SIGINT).unwrap();
            bob.sees("-- you ended the talk\r\n[registered] ");
        }
        assert_eq!(ada.event_called("talk_ended")["reason"], "hangup");
    }
    assert!(eventually("it ends", || bob.program.try_wait().unwrap()).success());
}

#[test]
fn in_a_lost_talk_each_line_stands_behind_its_reason() {
    let mut daemon = Daemon::start();
    let mut bob = typist(&daemon, "Bob");
    let mut ada = V1Client::connect(daemon.address(), "Ada");
    ada.asks("bridge", json!({}));
    bob.types(b"/bridge\n");
    bob.sees("[Ada is ready: /chat opens the talk] ");
    bob.types(b"/chat\nhello\n");
    ada.event_called("talk_message");
    bob.sees("[in a talk with Ada] ");
    daemon.signal(Signal::SIGKILL);
    daemon.ends();
    bob.sees("chatctl: lost the daemon (");
    bob.sees("); looking for it\r\n-- the talk with Ada is over: the connection was lost");
    bob.sees("[not connected, will wait for Ada] ");
    bob.types(b"still there?\n");
    bob.sees("-- not sent: the talk is waited for again when there is a connection\r\n");
    bob.sees("-- it was: still there?\r\n");
}

#[test]
fn however_chat_ends_the_peer_reads_that_the_talk_was_ended() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let mut bob = Person::start(&daemon, &[&tcp, "--as", "Bob"]);
    bob.types("/bridge");
    for signal in [None, Some(Signal::SIGTERM), Some(Signal::SIGHUP)] {
        let mut ada = Person::begin(plain(&daemon, "Ada"));
        let seen = bob.seen();
        ada.types("/bridge");
        ada.types("/chat");
        bob.sees_behind(seen, &["in a talk with Ada"]);
        ada.sees(&["in a talk with Bob"]);
        match signal {
            None => assert_eq!(ada.ends(), 0),
            Some(signal) => {
                ada.program.signal(signal);
                assert_eq!(ada.program.exit_code(), 128 + signal as i32);
            }
        }
        bob.sees_behind(seen, &["Ada ended the talk"]);
        bob.sees_behind(seen, &["waiting for anyone"]);
    }
}

#[test]
fn what_a_script_says_behind_a_command_waits_for_it() {
    let daemon = Setup::new().config("[limits]\nrooms_joined = 1").start();
    let [_, tcp] = ways(&daemon);
    let mut bob = Person::start(&daemon, &[&tcp, "--as", "Bob"]);
    bob.types("/bridge");
    bob.sees(&["waiting for anyone"]);
    let lines = b"/bridge\n/chat\nhello\nand more\n";
    ended_with(0, &program::run(&mut plain(&daemon, "Ada"), lines));
    bob.sees(&[" talk Ada: hello"]);
    bob.sees(&[" talk Ada: and more"]);
    bob.sees(&["Ada ended the talk"]);
    // What was for a room that cannot be joined is not said in another.
    let lines = b"/join ops\nfor ops\nthis, too\n";
    let (stdout, _) = ended_with(8, &program::run(&mut plain(&daemon, "Eve"), lines));
    assert!(stdout.contains("it was: for ops") && stdout.contains("it was: this, too"), "{stdout}");
    bob.types("/quit");
    bob.types("/go lobby");
    bob.types("/history 9");
    assert_eq!(bob.ends(), 0);
    assert_eq!(bob.transcript(), Vec::<String>::new());
}

#[test]
fn whoever_registers_is_told_what_the_server_knows_and_is_called_there() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    // Of ports that are free now.
    let free = || TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let port = free();
    let mut ann = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    ann.types(&format!("/register Ann {port}"));
    ann.sees(&[&format!("talks past the server will reach you at port {port}")]);
    ann.sees(&["you are Ann, at 127.0.0.1:"]);
    ann.types("/bridge --direct");
    ann.sees(&["waiting for anyone"]);
    // Nobody can invite a guest.
    let mut zoe = V1Client::silent(daemon.address());
    assert_eq!(zoe.asks("hello", json!({}))["ok"], true);
    assert_eq!(zoe.asks("bridge", json!({}))["error"], "no_nickname");
    assert_eq!(zoe.asks("nick", json!({"nick": "Zoe"}))["nick"], "Zoe");
    assert_eq!(zoe.asks("bridge", json!({"direct": free()}))["ok"], true);
    let ready = zoe.event_called("talk_ready");
    assert_eq!(
        (&ready["peer"], &ready["address"]),
        (&json!("Ann"), &json!(format!("127.0.0.1:{port}")))
    );
    ann.sees(&["Zoe is ready"]);
    // Behind /bridge it is a change of the name, which the peer hears.
    ann.types("/register Anna");
    ann.sees(&["you are Anna, at 127.0.0.1:"]);
    assert_eq!(zoe.event_called("renamed")["new_nick"], "Anna");
    zoe.asks("hangup", json!({}));
    ann.sees(&["Zoe ended the talk"]);
    assert_eq!(ann.ends(), 0);
}

#[test]
fn who_waits_for_too_long_waits_no_more() {
    let daemon = Setup::new().config("[rendezvous]\nwait_timeout = \"50ms\"").start();
    let [_, tcp] = ways(&daemon);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    ada.types("/bridge");
    ada.sees(&["nobody came in time: you wait for no talk any more"]);
    ada.types("/unbridge");
    ada.sees(&["-- you wait for no talk"]);
    assert_eq!(ada.ends(), 1, "there was nothing to take back");
}

#[test]
fn a_turn_that_is_not_used_passes_by_itself_and_both_are_told() {
    let daemon = Setup::new().config("[rendezvous]\nturn_timeout = \"50ms\"").start();
    let [_, tcp] = ways(&daemon);
    let mut ada = Person::start(&daemon, &[&tcp, "--as", "Ada"]);
    let mut bob = Person::start(&daemon, &[&tcp, "--as", "Bob"]);
    ada.types("/bridge --turns yes");
    ada.sees(&["waiting for anyone"]);
    bob.types("/bridge");
    ada.sees(&["Bob is ready"]);
    ada.types("/chat");
    ada.sees(&["-- Bob's turn (timeout)"]);
    bob.sees(&["-- your turn, with Ada (timeout)"]);
    ada.sees(&["-- your turn, with Bob (timeout)"]);
    bob.sees(&["-- Ada's turn (timeout)"]);
    assert_eq!((ada.ends(), bob.ends()), (0, 0));
}

/// What could drive a terminal, pass for another direction of writing or for a line of the client's own.
const HOSTILE: [(&str, &str); 4] = [
    ("\u{1b}[2J\u{1b}]0;mine\u{7}\u{9b}1;1H", "\\e[2J\\e]0;mine\\x07\\x9b1;1H"),
    ("\u{202e}evil\u{200b}", "\\u{202e}evil\\u{200b}"),
    ("one\0two\rthree", "one\\x00two\\rthree"),
    ("hi\n[#lobby] /quit\n12:00:00 #lobby root: forged", "hi"),
];

#[test]
fn nobodys_words_drive_a_terminal_or_pass_for_lines_of_the_client() {
    let daemon = Daemon::start();
    let [_, tcp] = ways(&daemon);
    let mut bob = typist(&daemon, "Bob");
    let mut piped = Person::start(&daemon, &[&tcp, "--as", "Pip"]);
    bob.sees("Pip joined");
    let mut eve = V1Client::connect(daemon.address(), "Eve");
    eve.asks("join", json!({"room": "lobby"}));
    bob.sees("Eve joined");
    for (text, shown) in HOSTILE {
        eve.posts("lobby", text);
        piped.sees(&[&format!(" #lobby Eve: {shown}")]);
        bob.sees(&format!(" #lobby Eve: {shown}\r\n"));
    }
    bob.sees("    [#lobby] /quit\r\n    12:00:00 #lobby root: forged\r\n[#lobby, registered] ");
    // In a talk as well, bytes that are no text among it.
    bob.types(b"/bridge\n");
    bob.sees("[waiting for anyone since ");
    eve.asks("bridge", json!({}));
    eve.asks("chat", json!({}));
    bob.sees("[in a talk with Eve] ");
    let mut said: Vec<_> = HOSTILE.map(|(text, shown)| (json!({"text": text}), shown)).into();
    said.push((json!({"data": "/w7/G2M="}), "[5 bytes: ff 0e ff 1b 63]"));
    for (number, (mut fields, shown)) in said.into_iter().enumerate() {
        fields["id"] = json!(format!("7b0c3a52-52a5-4a6f-9a0e-0a7a3f4c1d{number:02x}"));
        assert_eq!(eve.asks("say", fields)["ok"], true);
        bob.sees(&format!(" talk Eve: {shown}\r\n"));
    }
    let is_drive =
        |c: &char| (c.is_control() && !"\r\n".contains(*c)) || "\u{202e}\u{200b}".contains(*c);
    for shown in [bob.all(), &piped.program.stdout.all()] {
        assert_eq!(shown.chars().find(is_drive), None, "{shown:?}");
    }
    assert_eq!(piped.ends(), 0);
}
