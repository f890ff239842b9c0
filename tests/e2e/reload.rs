//! Reload: by HUP and by request, all or nothing, with listeners that come and go while others talk.

use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::process::ExitStatusExt;

use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{Control, Daemon, Native, Setup};

/// A daemon whose file says where it listens, and has these lines of limits.
fn daemon(limits: &str) -> Daemon {
    let lines = file(&["127.0.0.1:0"], limits);
    Setup::new().config(&lines).listens_by_file().limits_addresses().start()
}

fn file(listen: &[&str], limits: &str) -> String {
    let listeners: Vec<String> =
        listen.iter().map(|address| format!("[[listen]]\naddr = \"{address}\"\n")).collect();
    let listeners = listeners.concat();
    format!("{listeners}[limits]\nclients_per_ip = \"off\"\naccept_rate = \"off\"\n{limits}\n")
}

fn rewrite(daemon: &Daemon, lines: &str) {
    daemon.folder().write("chatd.toml", lines);
}

/// What the daemon says of a reload.
fn reload(ops: &mut Control) -> Value {
    ops.asks("reload", json!({}))
}

/// An address that is free now.
fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

#[test]
fn new_limits_hold_for_who_is_connected_and_a_bad_file_changes_nothing() {
    let daemon = daemon("message = 100");
    let mut ops = daemon.control();
    let post = |ops: &mut Control, length: usize| {
        let id = format!("00000000-0000-4000-8000-{length:012}");
        ops.asks_as(&id, "post", json!({"room": "lobby", "text": "x".repeat(length)}))
    };
    assert_eq!(post(&mut ops, 101)["error"], "too_large");
    rewrite(&daemon, &file(&["127.0.0.1:0"], "message = 200"));
    assert_eq!(reload(&mut ops)["ok"], true);
    assert_eq!(post(&mut ops, 200)["ok"], true);
    rewrite(&daemon, &file(&["127.0.0.1:0"], "message = 300\noutbux = \"1MiB\""));
    let refused = reload(&mut ops);
    assert_eq!(refused["error"], "bad_configuration", "{refused}");
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("chatd.toml:7") && why.contains("limits.outbox"), "{why}");
    assert_eq!(post(&mut ops, 250)["error"], "too_large", "nothing of it holds");
    daemon.logs(&["reload_failed", "stays as it was"]);
}

#[test]
fn what_holds_for_a_whole_life_takes_a_restart() {
    let daemon = daemon("");
    let mut ops = daemon.control();
    let lines = file(&["127.0.0.1:0"], "message = 10");
    rewrite(&daemon, &format!("{lines}[server]\ndefault_room = \"hall\"\n"));
    let refused = reload(&mut ops);
    let why = refused["message"].as_str().unwrap();
    assert!(why.contains("server.default_room") && why.contains("takes a restart"), "{why}");
    assert_eq!(ops.asks("hello", json!({}))["limits"]["message"], 65_530, "nothing of it holds");
}

/// Where the daemon says that it listens since a reload.
fn listens_since(daemon: &Daemon, ip: &str) -> SocketAddr {
    let line = daemon.logs(&["was read anew", &format!("; listening on {ip}:")]);
    let at = line.find(&format!("listening on {ip}:")).unwrap();
    line[at..].split([' ', ';', '"']).nth(2).unwrap().parse().unwrap()
}

#[test]
fn listeners_come_and_go_while_others_talk() {
    let daemon = daemon("");
    let mut ops = daemon.control();
    let (mut ada, mut bob) = (daemon.named("Ada"), daemon.named("Bob"));
    rewrite(&daemon, &file(&["127.0.0.1:0", "127.0.0.2:0"], ""));
    assert_eq!(reload(&mut ops)["ok"], true);
    let mut carol = Native::connect(listens_since(&daemon, "127.0.0.2"));
    carol.takes_nick("Carol");
    carol.chats("by the new one");
    bob.hears_that("Carol", "by the new one");
    ada.hears_that("Carol", "by the new one");
    rewrite(&daemon, &file(&["127.0.0.2:0"], ""));
    assert_eq!(reload(&mut ops)["ok"], true);
    assert!(TcpStream::connect(daemon.address()).is_err(), "nobody listens there");
    let stats = ops.asks("stats", json!({}));
    let there = listens_since(&daemon, "127.0.0.2").to_string();
    assert_eq!(stats["stats"]["process"]["listeners"], json!([there]), "{stats}");
    ada.chats("who came by it stays");
    bob.hears_that("Ada", "who came by it stays");
    carol.hears_that("Ada", "who came by it stays");
    daemon.logs(&["no longer listening on 127.0.0.1:0"]);
}

#[test]
fn a_port_that_is_taken_leaves_everything_as_it_is() {
    let daemon = daemon("");
    let mut ops = daemon.control();
    let holder = TcpListener::bind("127.0.0.1:0").unwrap();
    let held = holder.local_addr().unwrap().to_string();
    rewrite(&daemon, &file(&["127.0.0.2:0", &held], "message = 10"));
    assert_eq!(ops.asks("ping", json!({}))["ok"], true);
    let before = daemon.descriptors();
    let refused = reload(&mut ops);
    assert_eq!(refused["error"], "bad_configuration", "{refused}");
    assert!(refused["message"].as_str().unwrap().contains(&held), "{refused}");
    assert_eq!(daemon.descriptors(), before, "not half of it");
    assert_eq!(ops.asks("hello", json!({}))["limits"]["message"], 65_530);
    daemon.named("Ada").chats("here");
}

#[test]
fn the_same_port_on_all_addresses_takes_the_place_of_one() {
    let port = free().port();
    let here = format!("127.0.0.1:{port}");
    let setup = Setup::new().config(&file(&[&here], "")).listens_by_file().limits_addresses();
    let daemon = setup.start();
    let mut ops = daemon.control();
    let mut ada = daemon.named("Ada");
    let elsewhere: SocketAddr = format!("127.0.0.2:{port}").parse().unwrap();
    assert!(TcpStream::connect(elsewhere).is_err());
    rewrite(&daemon, &file(&[&format!("0.0.0.0:{port}")], ""));
    assert_eq!(reload(&mut ops)["ok"], true);
    let mut bob = Native::connect(elsewhere);
    bob.takes_nick("Bob");
    bob.chats("from elsewhere");
    ada.hears_that("Bob", "from elsewhere");
    // An address that this machine does not have: what was there is there again.
    rewrite(&daemon, &file(&[&format!("192.0.2.1:{port}")], ""));
    assert_eq!(reload(&mut ops)["error"], "bad_configuration");
    let mut carol = Native::connect(elsewhere);
    carol.takes_nick("Carol");
    carol.chats("still");
    ada.hears_that("Carol", "still");
}

#[test]
fn hup_reads_it_too_and_does_not_end_the_daemon() {
    let mut daemon = daemon("message = 100");
    rewrite(&daemon, &file(&["127.0.0.1:0"], "message = 50"));
    daemon.signal(Signal::SIGHUP);
    daemon.logs(&["the configuration was read anew and holds"]);
    let mut ops = daemon.control();
    assert_eq!(ops.asks("hello", json!({}))["limits"]["message"], 50);
    daemon.signal(Signal::SIGTERM);
    let status = daemon.ends();
    assert_eq!((status.code(), status.signal()), (Some(0), None));
}
