//! Limits of the whole daemon: connections, descriptors, what a flood gets.

use std::io::Write;
use std::net::TcpStream;
use std::time::Duration;

use serde_json::json;
use tests::{Daemon, Heard, Native, Setup, eventually};

/// A connection that the daemon keeps: it got its nickname. None where it was closed instead.
pub(crate) fn kept(daemon: &Daemon, nick: &str) -> Option<Native> {
    let mut native = Native::over(TcpStream::connect(daemon.address()).ok()?);
    let request = tests::native::set_nickname([1; 16], nick.as_bytes());
    native.stream().try_clone().ok()?.write_all(&request).ok()?;
    loop {
        match native.next_frame()? {
            Heard::Ack(_) => return Some(native),
            Heard::Keepalive | Heard::Broadcast(_, _) => {}
            Heard::Nak(_, message) => panic!("{message}"),
        }
    }
}

#[test]
fn one_connection_too_many_is_closed_at_once() {
    let daemon = Setup::new().config("[limits]\nconnections = 3\n").start();
    let mut ada = daemon.named("Ada");
    let bob = daemon.named("Bob");
    let mut carol = daemon.named("Carol");
    let mut late = daemon.native();
    assert_eq!(late.bytes_until_closed(), b"");
    daemon.logs(&["connections_limit"]);
    ada.chats("nobody noticed");
    carol.hears_that("Ada", "nobody noticed");
    drop(bob);
    eventually("there is room for one more", || kept(&daemon, "Dave"));
}

#[test]
fn without_descriptors_it_neither_spins_nor_stays_deaf() {
    let daemon = Setup::new()
        .config(
            "[limits]\nconnections = \"off\"\n[keepalive]\ninterval = \"500ms\"\nidle = \"60s\"\n",
        )
        .descriptors_max(32)
        .start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let crowd: Vec<_> = (0..60).filter_map(|_| TcpStream::connect(daemon.address()).ok()).collect();
    daemon.logs(&["cannot accept", "ulimit"]);

    // Two seconds by the daemon's own keepalives: it must have slept through nearly all of them.
    while ada.next_frame() != Some(Heard::Keepalive) {}
    let before = daemon.cpu_time();
    for _ in 0..4 {
        while ada.next_frame() != Some(Heard::Keepalive) {}
    }
    let spent = daemon.cpu_time().saturating_sub(before);
    assert!(spent <= Duration::from_millis(200), "{spent:?} of work in two seconds");

    // Those who are connected notice nothing.
    ada.chats("still here");
    assert_eq!(bob.hears_message().1, "still here");

    // The crowd goes, and the listener is not dead though no edge announces the room.
    drop(crowd);
    eventually("there are descriptors again", || kept(&daemon, "Carol"));
}

#[test]
fn connections_come_and_go_without_a_trace() {
    let daemon = Daemon::start();
    let mut ops = daemon.control();
    let _ada = daemon.named("Ada");
    assert_eq!(ops.asks("ping", json!({}))["ok"], true);
    let before = daemon.descriptors();
    for round in 0..10 {
        let crowd: Vec<_> = (0..20).map(|at| daemon.named(&format!("n{round} {at}"))).collect();
        drop(crowd);
    }
    eventually("all are gone", || {
        let stats = ops.asks("stats", json!({}));
        let alone = stats["stats"]["connections_native"] == 1;
        (alone && daemon.descriptors() == before).then_some(())
    });
}

#[test]
fn a_flood_is_slowed_and_nobody_else_notices() {
    let daemon =
        Setup::new().config("[limits]\nmessage_burst = 20\nmessages = \"200/s\"\n").start();
    let mut flood = daemon.named("Flood");
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let mut bytes = Vec::new();
    for number in 0..200 {
        bytes.extend(tests::native::chat(format!("{number}").as_bytes()));
    }
    flood.sends(&bytes);
    ada.chats("between");
    // All of the flood arrives, in order, none lost; what others say comes in between, not behind it.
    let (mut next, mut between) = (0, None);
    while next < 200 || between.is_none() {
        match bob.hears_message() {
            (from, text) if from == "Flood" => {
                assert_eq!(text, next.to_string());
                next += 1;
            }
            _ => between = Some(next),
        }
    }
    assert!(between.unwrap() < 100, "Ada waited for {between:?} messages of the flood");
}
