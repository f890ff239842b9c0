//! The history of a real daemon: it outlives its end, whatever that is.

use std::fs;
use std::sync::atomic::{AtomicU32, Ordering};

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Daemon, Folder, Setup};

fn setup(home: &Folder) -> Setup {
    let state = home.join("state");
    Setup::new().argument("--state-dir").argument(state.to_str().unwrap())
}

/// Posts a text under an id that no message had before, in no daemon.
fn posts(daemon: &Daemon, text: &str) -> u64 {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    let id = format!("00000000-0000-4000-8000-{:012}", NEXT.fetch_add(1, Ordering::Relaxed));
    let reply = daemon.control().asks_as(&id, "post", json!({"room": "lobby", "text": text}));
    reply["seq"].as_u64().unwrap_or_else(|| panic!("the post is refused: {reply}"))
}

fn hello(daemon: &Daemon) -> Value {
    daemon.control().asks("hello", json!({}))
}

fn store(daemon: &Daemon) -> Value {
    daemon.control().asks("stats", json!({}))["stats"]["store"].clone()
}

fn said(daemon: &Daemon) -> String {
    let tail = daemon.ctl(&["history", "lobby"]);
    String::from_utf8(tail.stdout).unwrap()
}

#[test]
fn what_was_acknowledged_is_there_after_a_kill_and_after_an_end() {
    let home = Folder::new();
    let mut daemon = setup(&home).start();
    let history = hello(&daemon)["history"].clone();
    assert_eq!(hello(&daemon)["durability"], "sync");
    assert_eq!(posts(&daemon, "one"), 1);
    for (signal, text) in [(Signal::SIGKILL, "two"), (Signal::SIGTERM, "three")] {
        daemon.signal(signal);
        daemon.ends();
        daemon = setup(&home).start();
        assert_eq!(hello(&daemon)["history"], history, "the history is the same");
        posts(&daemon, text);
    }
    let said = said(&daemon);
    let texts: Vec<&str> = said.lines().filter_map(|line| line.split(' ').next_back()).collect();
    assert_eq!(texts, ["one", "two", "three"], "{said}");
    let numbers: Vec<u64> = (0..2).map(|_| posts(&daemon, "more")).collect();
    assert_eq!(numbers, [4, 5], "numbers go on where they were");
}

#[test]
fn a_second_daemon_is_told_who_has_the_history() {
    let home = Folder::new();
    let daemon = setup(&home).start();
    let second = setup(&home).run();
    assert_eq!(second.status.code(), Some(1));
    let said = String::from_utf8_lossy(&second.stderr);
    let words = format!("another chatd (process {}) has the state directory", daemon.pid());
    assert!(said.contains(&words), "{said}");
    assert!(second.stdout.is_empty(), "it does not say that it listens");
}

#[test]
fn without_durability_nothing_is_written() {
    let home = Folder::new();
    let mut daemon = setup(&home).config("[history]\ndurability = \"none\"").start();
    posts(&daemon, "one");
    assert_eq!(hello(&daemon)["durability"], "none");
    assert_eq!(store(&daemon)["state"], "none");
    daemon.signal(Signal::SIGTERM);
    daemon.ends();
    assert!(!home.join("state").exists());
}

#[test]
fn stats_tell_how_the_history_goes() {
    let home = Folder::new();
    let daemon = setup(&home).start();
    posts(&daemon, "one");
    let store = store(&daemon);
    assert_eq!((&store["state"], &store["queue_messages"]), (&json!("well"), &json!(0)), "{store}");
    assert!(store["database_bytes"].as_u64() > Some(0), "{store}");
    let status = daemon.ctl(&["status"]);
    assert!(String::from_utf8_lossy(&status.stdout).contains("\nstore "), "{status:?}");
}

#[test]
fn a_reload_changes_how_long_messages_are_kept_and_not_how_durable_they_are() {
    let home = Folder::new();
    let config = "[history]\nmax_age = \"30d\"";
    let daemon = setup(&home).config(config).limits_addresses().start();
    let (_ada, mut ops) = (daemon.named("Ada"), daemon.control());
    posts(&daemon, "one");
    daemon.folder().write("chatd.toml", "[history]\ndurability = \"write\"\n");
    assert_eq!(ops.asks("reload", json!({}))["error"], "bad_configuration");
    daemon.folder().write("chatd.toml", "[history]\nmax_age = \"1ms\"\n");
    assert_eq!(ops.asks("reload", json!({}))["ok"], true);
    tests::eventually("what is too old is gone", || {
        let reply = ops.asks("history", json!({"room": "lobby", "limit": 5}));
        (reply["forgotten"] == 1).then_some(())
    });
    assert_eq!(said(&daemon), "");
    assert_eq!(posts(&daemon, "two"), 2, "its numbers go on");
}

#[test]
fn a_history_that_cannot_be_trusted_is_not_begun_anew() {
    let home = Folder::new();
    fs::create_dir(home.join("state")).unwrap();
    fs::write(home.join("state/history.db"), "precious").unwrap();
    let refused = setup(&home).run();
    assert_eq!(refused.status.code(), Some(1));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("state/history.db"), "{said}");
    assert_eq!(fs::read_to_string(home.join("state/history.db")).unwrap(), "precious");
}

#[test]
fn a_damaged_history_is_recovered_when_told_to() {
    let home = Folder::new();
    let mut daemon = setup(&home).start();
    posts(&daemon, "one");
    daemon.signal(Signal::SIGTERM);
    daemon.ends();
    let path = home.join("state/history.db");
    let whole = fs::read(&path).unwrap();
    // Its last page is gone.
    fs::write(&path, &whole[..whole.len() - 4096]).unwrap();
    let refused = setup(&home).run();
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&refused.stderr).contains("--recover"), "{refused:?}");
    let recovered = setup(&home).argument("--recover").run();
    assert_eq!(recovered.status.code(), Some(0), "{recovered:?}");
    assert!(String::from_utf8_lossy(&recovered.stdout).contains("messages saved"));
    let daemon = setup(&home).start();
    assert!(posts(&daemon, "two") > 1, "no number is given again");
}

#[test]
fn rooms_that_are_named_always_exist_and_have_limits_of_their_own() {
    let home = Folder::new();
    let config = "[[room]]\nname = \"lobby\"\nmax_messages = 2\n[[room]]\nname = \"ops\"\ntopic = \"Deploys\"";
    let daemon = setup(&home).config(config).limits_addresses().start();
    let mut ops = daemon.control();
    let rooms = ops.asks("rooms", json!({}))["rooms"].to_string();
    assert!(rooms.contains("\"ops\""), "{rooms}");
    assert_eq!(ops.asks("topic", json!({"room": "ops"}))["topic"], "Deploys");
    for _ in 0..5 {
        posts(&daemon, "one");
    }
    tests::eventually("what is too much is gone", || {
        let reply = ops.asks("history", json!({"room": "lobby", "limit": 5}));
        (reply["forgotten"] == 3 && reply["count"] == 2).then_some(())
    });
    let joined = ops.asks("join", json!({"room": "lobby", "after": 1}));
    assert_eq!((&joined["ok"], &joined["seq"]), (&json!(true), &json!(5)), "{joined}");
    let bad = format!("{config}\nmax_mesages = 5\n");
    daemon.folder().write("chatd.toml", &bad);
    let refused = ops.asks("reload", json!({}));
    assert!(refused["message"].as_str().unwrap().contains("'room.max_messages'"), "{refused}");
    daemon.folder().write("chatd.toml", "[[room]]\nname = \"dev\"\ntopic = \"Code\"\n");
    assert_eq!(ops.asks("reload", json!({}))["ok"], true);
    let rooms = ops.asks("rooms", json!({}))["rooms"].to_string();
    assert!(rooms.contains("\"dev\"") && !rooms.contains("\"ops\""), "{rooms}");
    drop(daemon);
    let daemon = setup(&home).config("[[room]]\nname = \"dev\"\ntopic = \"Code\"").start();
    assert_eq!(daemon.control().asks("topic", json!({"room": "dev"}))["topic"], "Code");
}
