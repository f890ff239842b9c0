//! `chatctl tail` and `chatctl history`: following, and what was said.

use std::process::Stdio;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Daemon, Folder, Setup, V1Client, program};

use crate::ended_with;

#[test]
fn it_follows_from_now_on_and_ends_after_count() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    ops.posts("lobby", "before");
    let mut tail = daemon.follower(&["lobby", "--count", "2", "--json"]);
    ops.posts("lobby", "one");
    ops.posts("elsewhere", "not this");
    ops.posts("lobby", "two");
    ops.posts("lobby", "three");
    let text = |line: usize| {
        serde_json::from_str::<Value>(&tail.stdout.line(line)).unwrap()["text"].clone()
    };
    assert_eq!([text(0), text(1)], ["one", "two"]);
    assert_eq!(tail.exit_code(), 0);
    assert_eq!(tail.stdout.all().lines().count(), 2);
}

#[test]
fn it_begins_with_the_last_few() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    for number in 1..=5 {
        ops.posts("lobby", &format!("message {number}"));
    }
    let mut tail = daemon.follower(&["lobby", "-n", "2", "--count", "3"]);
    ops.posts("lobby", "message 6");
    for (line, number) in [4, 5, 6].into_iter().enumerate() {
        assert!(tail.stdout.line(line).ends_with(&format!("message {number}")));
    }
    assert_eq!(tail.exit_code(), 0);
    let all = |beginning: &[&str]| {
        let arguments = [&["tail", "lobby", "--raw", "--count", "2"][..], beginning].concat();
        ended_with(0, &daemon.ctl(&arguments)).0
    };
    assert_eq!(all(&["-n", "all"]), "message 1\nmessage 2\n");
    assert_eq!(all(&["--since", "1h"]), "message 1\nmessage 2\n");
    assert_eq!(all(&["--after", "4"]), "message 5\nmessage 6\n");
}

#[test]
fn it_waits_for_a_message_that_matches_and_for_a_time() {
    let daemon = Daemon::start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let arguments = ["lobby", "--from", "ada", "--grep", "done$", "--count", "1", "--for", "60s"];
    let mut tail = daemon.follower(&arguments);
    bob.chats("done");
    ada.chats("done?");
    ada.chats("all done");
    assert!(tail.stdout.line(0).ends_with("all done"));
    assert_eq!(tail.exit_code(), 0);
    // Nobody says it in time.
    let late = daemon.ctl(&["tail", "lobby", "--count", "1", "--for", "100ms"]);
    ended_with(5, &late);
    ended_with(0, &daemon.ctl(&["tail", "lobby", "--for", "100ms"]));
}

#[test]
fn events_tell_who_comes_and_goes() {
    let daemon = Daemon::start();
    let tail = daemon.follower(&["lobby", "--events"]);
    let mut ada = daemon.named("Ada");
    tail.stdout.line_with(&["joined"]);
    tail.stdout.line_with(&["is now", "Ada"]);
    ada.takes_nick("Bea");
    tail.stdout.line_with(&["Ada", "is now", "Bea"]);
    drop(ada);
    tail.stdout.line_with(&["Bea", "left"]);
    let mut cy = V1Client::connect(daemon.address(), "Cy");
    cy.asks("join", json!({"room": "lobby"}));
    cy.asks("away", json!({"text": "away"}));
    let line = tail.stdout.line_with(&["is away"]);
    assert!(line.ends_with(" is away"), "{line}");
    cy.asks("away", json!({"text": "lunch"}));
    tail.stdout.line_with(&["is away: lunch"]);
}

#[test]
fn it_finds_the_daemon_again() {
    let folder = Folder::new();
    let path = folder.join("control");
    let first = Setup::new().control(&path).start();
    let tail = first.follower(&["lobby"]);
    first.control().posts("lobby", "before");
    tail.stdout.line_with(&["before"]);
    drop(first);
    tail.stderr.line_with(&["lost"]);
    let second = Setup::new().control(&path).start();
    let mut ops = second.control();
    tests::eventually("the follower is back", || {
        let rooms = ops.asks("rooms", json!({}));
        (rooms["rooms"][0]["followers"] == 1).then_some(())
    });
    ops.posts("lobby", "after");
    tail.stdout.line_with(&["after"]);
}

#[test]
fn without_reconnect_a_lost_daemon_ends_it() {
    let daemon = Daemon::start();
    let mut tail = daemon.follower(&["lobby", "--reconnect", "never"]);
    drop(daemon);
    assert_eq!(tail.exit_code(), 3);
}

#[test]
fn a_signal_ends_it() {
    let daemon = Daemon::start();
    let mut tail = daemon.follower(&["lobby"]);
    // Not INT: a shell that runs the tests in the background has it ignored, and programs inherit that.
    tail.signal(Signal::SIGTERM);
    assert_eq!(tail.exit_code(), 143);
}

#[test]
fn a_closed_pipe_ends_it_quietly() {
    let daemon = Daemon::start();
    let (reader, writer) = std::io::pipe().unwrap();
    let mut command = daemon.chatctl(&["tail", "lobby"]);
    let mut child = command.stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    drop(reader);
    let status = tests::eventually("it ends", || child.try_wait().unwrap());
    let stderr = std::io::read_to_string(child.stderr.take().unwrap()).unwrap();
    assert_eq!((status.code(), &*stderr), (Some(0), ""));
}

/// A message cannot drive the terminal that shows it, and its bytes are kept where nobody looks.
#[test]
fn a_terminal_is_shown_control_characters_and_a_pipe_gets_bytes() {
    let daemon = Daemon::start();
    daemon.control().posts("lobby", "\u{1b}[2Jgone\u{7}");
    let (raw, _) = ended_with(0, &daemon.ctl(&["history", "lobby", "--raw"]));
    assert_eq!(raw, "\u{1b}[2Jgone\u{7}\n");

    let terminal = nix::pty::openpty(None, None).unwrap();
    let mut command = daemon.chatctl(&["history", "lobby", "--color", "never"]);
    let mut child =
        command.stdout(Stdio::from(terminal.slave)).stderr(Stdio::null()).spawn().unwrap();
    drop(command);
    assert!(child.wait().unwrap().success());
    let mut shown = [0; 4096];
    let count = nix::unistd::read(&terminal.master, &mut shown).unwrap();
    let shown = String::from_utf8_lossy(&shown[..count]);
    assert!(shown.contains("gone"), "{shown:?}");
    assert!(!shown.contains('\u{1b}') && !shown.contains('\u{7}'), "{shown:?}");
}

#[test]
fn history_prints_and_ends() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    for number in 1..=60 {
        ops.posts("a", &format!("message {number}"));
    }
    let lines = |arguments: &[&str]| {
        let output = daemon.ctl(&[&["history", "a"], arguments].concat());
        let lines: Vec<String> = ended_with(0, &output).0.lines().map(str::to_owned).collect();
        (
            lines.len(),
            lines.first().cloned().unwrap_or_default(),
            lines.last().cloned().unwrap_or_default(),
        )
    };
    let (count, first, last) = lines(&[]);
    assert!(
        count == 50 && first.ends_with("message 11") && last.ends_with("message 60"),
        "{first}"
    );
    assert_eq!(lines(&["-n", "all"]).0, 60);
    assert_eq!(lines(&["-n", "3"]).0, 3);
    let (count, first, _) = lines(&["--after", "57"]);
    assert!(count == 3 && first.ends_with("message 58"), "{first}");
    assert_eq!(lines(&["--before", "4"]).0, 3);
    assert_eq!(lines(&["--since", "1h"]).0, 60);
    assert_eq!(lines(&["--since", "2100-01-01T00:00:00Z"]).0, 0);
    ended_with(7, &daemon.ctl(&["history", "nowhere"]));
    let (json, _) = ended_with(0, &daemon.ctl(&["history", "a", "-n", "1", "--json"]));
    let event: Value = serde_json::from_str(&json).unwrap();
    assert_eq!((&event["event"], &event["seq"]), (&json!("message"), &json!(60)));
}

/// A reader of a pipe who stops for a while loses nothing: what the tool cannot write waits at the daemon, or is filled in.
#[test]
fn a_slow_pipe_gets_every_message() {
    const MESSAGES: usize = 400;
    let daemon = Setup::new().config("[limits]\noutbox = \"512KiB\"\n").start();
    let (reader, writer) = nix::unistd::pipe().unwrap();
    let mut command =
        daemon.chatctl(&["tail", "-v", "lobby", "--raw", "--count", &MESSAGES.to_string()]);
    let mut child = command.stdout(Stdio::from(writer)).stderr(Stdio::piped()).spawn().unwrap();
    drop(command);
    let mut ops = daemon.control();
    tests::eventually("it follows", || {
        let rooms = ops.asks("rooms", json!({}));
        (rooms["rooms"][0]["followers"] == 1).then_some(())
    });
    let text = |number: usize| format!("{number} {}", "x".repeat(4_000));
    for number in 0..MESSAGES {
        ops.posts("lobby", &text(number));
    }
    let mut heard = String::new();
    std::io::Read::read_to_string(&mut std::fs::File::from(reader), &mut heard).unwrap();
    let expected: String = (0..MESSAGES).map(|number| text(number) + "\n").collect();
    assert!(heard == expected, "{} of {} bytes", heard.len(), expected.len());
    let status = tests::eventually("it ends", || child.try_wait().unwrap());
    assert_eq!(status.code(), Some(0));
}

#[test]
fn wrong_use_is_2_and_an_absent_daemon_is_3() {
    let daemon = Daemon::start();
    ended_with(2, &daemon.ctl(&["tail", "--grep", "("]));
    ended_with(2, &daemon.ctl(&["tial"]));
    let folder = Folder::new();
    let nowhere = folder.join("control");
    let mut command = daemon.chatctl(&["-s", nowhere.to_str().unwrap(), "tail", "lobby"]);
    let (_, stderr) = ended_with(3, &program::run(&mut command, &[]));
    assert!(stderr.contains("no daemon"), "{stderr}");
}

/// The real daemon says up to where it has forgotten, and the tool makes a status of it.
#[test]
fn history_behind_what_memory_has_forgotten_is_status_6() {
    let daemon =
        Setup::new().config("[history]\ndurability = \"none\"\nrecent = \"1000B\"\n").start();
    let mut ops = daemon.control();
    let _ada = daemon.named("Ada");
    for number in 1..=9 {
        ops.posts("lobby", &number.to_string());
    }
    let (stdout, stderr) =
        ended_with(6, &daemon.ctl(&["history", "lobby", "--raw", "--after", "1"]));
    assert_eq!(
        (stdout.as_str(), stderr.as_str()),
        ("5\n6\n7\n8\n9\n", "chatctl: messages 2 to 4 of #lobby are gone\n")
    );
    let (stdout, _) = ended_with(0, &daemon.ctl(&["history", "lobby", "--raw", "--after", "4"]));
    assert_eq!(stdout.lines().count(), 5);
}
