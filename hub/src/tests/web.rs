//! Connections that speak HTTP, beside all others.

extern crate std;

use std::string::String;

use proto::Span;

use crate::testing::{Turn, chat, quiet};
use crate::{CloseReason, HangUp, Settings};

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

/// It was cut after 5 s, however much of it was taken all the time, where the same answer before another request was not.
#[test]
fn the_last_answer_is_taken_at_the_pace_of_its_reader() {
    let stall = Some(Span::from_secs(10));
    for (fields, half_closed) in [("Connection: close\r\n", false), ("", true)] {
        let mut turn = Turn::new(Settings { stall, fanout_per_s: None, ..quiet() });
        let ada = turn.native();
        for _ in 0..10 {
            turn.say(ada, &chat(&"x".repeat(30_000)));
        }
        let ask = std::format!(
            "GET /api/rooms/lobby/messages HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n"
        );
        let (web, deaf) = (turn.dial(), turn.dial());
        for id in [web, deaf] {
            turn.say(id, ask.as_bytes());
            if half_closed {
                turn.hang_up(id, HangUp::Eof);
            }
        }
        let mut taken = 0;
        loop {
            let some = turn.read_some(web, 10_000).len();
            if some == 0 {
                break;
            }
            taken += some;
            turn.wait(1_000);
        }
        assert!(taken > 300_000, "{taken} bytes of it came");
        let reason = if half_closed { CloseReason::PeerClosed } else { CloseReason::Answered };
        assert_eq!(turn.closed(web), Some(reason));
        assert_eq!(turn.closed(deaf), Some(CloseReason::Stall), "who takes nothing is cut");
    }
}
