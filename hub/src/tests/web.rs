//! Connections that speak HTTP, beside all others.

extern crate std;

use std::string::String;

use crate::testing::{Turn, chat, quiet};

const HEALTH: &str = "GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n";

/// Such a request ended the daemon: a room that had something to hand out was looked at in a dialect that no room is heard in.
#[test]
fn a_request_is_answered_in_the_turn_in_which_a_room_said_something() {
    let mut turn = Turn::new(quiet());
    let (ada, _bob, web) = (turn.native(), turn.native(), turn.dial());
    turn.say_more(ada, &chat("hello"));
    turn.say_more(web, HEALTH.as_bytes());
    turn.settle();
    let answer = String::from_utf8(turn.read(web)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}

#[test]
fn who_does_not_read_its_answers_is_not_heard() {
    let mut turn = Turn::new(quiet());
    let web = turn.dial();
    for _ in 0..1_000 {
        if !turn.hub.wants_read(web) {
            break;
        }
        turn.say(web, "GET /metrics HTTP/1.1\r\nHost: localhost\r\n\r\n".as_bytes());
    }
    assert!(!turn.hub.wants_read(web), "much waits for it");
    let waits = turn.hub.pending(web);
    assert!((64 * 1024..80 * 1024).contains(&waits), "{waits}");
    while !turn.read_some(web, 4096).is_empty() {}
    assert!(turn.hub.wants_read(web), "it is heard again");
    turn.say(web, HEALTH.as_bytes());
    let answer = String::from_utf8(turn.read(web)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
}
