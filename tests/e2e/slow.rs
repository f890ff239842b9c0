//! Slow receivers: a contiguous beginning, then a close (v0.5) or a gap (v1); the others miss nothing.

use std::io::Read;
use std::os::fd::AsRawFd;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::socket::{
    AddressFamily, SockFlag, SockType, SockaddrStorage, connect, setsockopt, socket, sockopt,
};
use serde_json::json;
use tests::{Daemon, Heard, Native, Setup};

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

/// How much the slow reader takes at once, and how often: 8 KiB in a second.
const SIP_BYTES: usize = 2_048;
const SIP_EVERY: Duration = Duration::from_millis(250);

/// What the kernel calls room for more was a third of its buffer, so that who took less in the time of a stall looked as if it
/// took nothing.
#[test]
fn a_peer_that_reads_slowly_but_steadily_is_not_cut_for_a_stall() {
    // It is to take what is said from the first second on, whatever the disk.
    let lines =
        "[limits]\nstall = \"2s\"\n[keepalive]\nidle = \"60s\"\n[history]\ndurability = \"none\"";
    let daemon = Setup::new().config(lines).start();
    // The window that a connection begins with is that of its buffer then.
    let to = SockaddrStorage::from(daemon.address());
    let fd = socket(AddressFamily::Inet, SockType::Stream, SockFlag::SOCK_CLOEXEC, None).unwrap();
    setsockopt(&fd, sockopt::RcvBuf, &4096).unwrap();
    connect(fd.as_raw_fd(), &to).unwrap();
    let mut slow = Native::over(fd.into());
    slow.takes_nick("Slow");
    let mut ops = daemon.control();
    for at in 0..60 {
        ops.posts("lobby", &text(at));
    }
    // Nothing is awaited here: the pace itself is what is tested, for three times the limit.
    let (_never, pace) = mpsc::channel::<()>();
    let (begun, mut bytes, mut sip) = (Instant::now(), Vec::new(), [0; SIP_BYTES]);
    while begun.elapsed() < Duration::from_secs(6) {
        let count = slow.stream().read(&mut sip).unwrap();
        assert!(count > 0, "it was cut: {}", daemon.log());
        bytes.extend(&sip[..count]);
        let _ = pace.recv_timeout(SIP_EVERY);
    }
    assert_eq!(ops.asks("stats", json!({}))["stats"]["cut_slow"], 0);
    let mut heard = 0;
    while heard < 60 {
        while let Ok(Some(Heard::Broadcast(_, text))) = tests::native::take_frame(&mut bytes) {
            assert_eq!(number(&text), heard);
            heard += 1;
        }
        if heard < 60 {
            let count = slow.stream().read(&mut sip).unwrap();
            assert!(count > 0, "it was cut after {heard}: {}", daemon.log());
            bytes.extend(&sip[..count]);
        }
    }
}
