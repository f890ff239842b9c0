//! Slow receivers: a contiguous beginning, then a close (v0.5) or a gap (v1); the others miss nothing.

use nix::sys::socket::{setsockopt, sockopt};
use serde_json::json;
use tests::{Daemon, Heard, Setup};

const MESSAGES: usize = 300;

fn text(number: usize) -> String {
    format!("{number} {}", "x".repeat(8_000))
}

fn number(text: &str) -> usize {
    text.split(' ').next().unwrap().parse().unwrap()
}

fn daemon() -> Daemon {
    Setup::new().config("[limits]\noutbox = \"512KiB\"\n").start()
}

#[test]
fn a_v05_peer_that_never_reads_is_closed_after_a_contiguous_beginning() {
    let daemon = daemon();
    let mut slow = daemon.native();
    setsockopt(slow.stream(), sockopt::RcvBuf, &4096).unwrap();
    slow.takes_nick("Slow");
    let mut witness = daemon.named("Witness");
    let mut ops = daemon.control();
    for at in 0..MESSAGES {
        ops.posts("lobby", &text(at));
        assert_eq!(number(&witness.hears_message().1), at, "the witness misses nothing");
    }
    daemon.logs(&["Slow", "outbox_full"]);
    // Now it reads: what the kernel still holds is a beginning without a hole.
    let stats = ops.asks("stats", json!({}));
    assert_eq!(stats["stats"]["cut_slow"], 1, "{stats}");
    let mut heard = 0;
    let mut bytes = slow.bytes_until_closed();
    while let Ok(Some(Heard::Broadcast(_, text))) = tests::native::take_frame(&mut bytes) {
        assert_eq!(number(&text), heard);
        heard += 1;
    }
    assert!((1..MESSAGES).contains(&heard), "{heard} messages before the close");
    assert_eq!(stats["stats"]["private_bytes"], 0, "nothing is left behind: {stats}");
}

#[test]
fn a_v1_peer_that_pauses_gets_a_gap_that_names_what_is_left_out() {
    let daemon = daemon();
    let mut slow = daemon.control();
    slow.asks("tail", json!({"rooms": ["lobby"]}));
    let mut witness = daemon.named("Witness");
    let mut ops = daemon.control();
    for at in 0..MESSAGES {
        ops.posts("lobby", &text(at));
        assert_eq!(number(&witness.hears_message().1), at, "the witness misses nothing");
    }
    // Now it reads, and others go on talking: a beginning, one gap that joins both ends, and live again.
    let mut next = 1;
    loop {
        let event = slow.event();
        if event["event"] == "gap" {
            assert_eq!(event["from_seq"], next, "{event}");
            next = event["to_seq"].as_u64().unwrap() + 1;
            break;
        }
        if event["event"] == "message" {
            assert_eq!(event["seq"], next);
            next += 1;
        }
    }
    let last = ops.posts("lobby", "9999 live again");
    loop {
        let event = slow.event();
        if event["event"] == "gap" {
            assert_eq!(event["from_seq"], next, "{event}");
            next = event["to_seq"].as_u64().unwrap() + 1;
        } else if event["event"] == "message" {
            assert_eq!(event["seq"], next);
            next += 1;
        }
        if next > last {
            break;
        }
    }
    assert_eq!(slow.asks("ping", json!({}))["ok"], true);
}

#[test]
fn a_peer_that_takes_nothing_is_closed_after_the_stall_limit() {
    let daemon = Setup::new().config("[limits]\nstall = \"300ms\"\n").start();
    let mut slow = daemon.native();
    setsockopt(slow.stream(), sockopt::RcvBuf, &4096).unwrap();
    slow.takes_nick("Slow");
    let mut ops = daemon.control();
    for at in 0..60 {
        ops.posts("lobby", &text(at));
    }
    daemon.logs(&["Slow", "stall"]);
}
