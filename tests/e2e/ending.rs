//! How the daemon ends: TERM and INT drain, within a time; a second one ends at once; `stop` is the same by request.

use std::time::{Duration, Instant};

use nix::fcntl::FcntlArg;
use nix::sys::signal::Signal;
use serde_json::json;
use tests::{Control, Daemon, Setup};

/// A limit that no quick end comes near, and no hanging one keeps.
const QUICKLY: Duration = Duration::from_secs(10);

#[test]
fn term_and_int_say_bye_empty_the_queues_and_exit_0() {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut daemon = Daemon::start();
        let mut ada = daemon.named("Ada");
        let mut bob = daemon.named("Bob");
        let mut ops = daemon.control();
        ops.asks("tail", json!({"rooms": ["lobby"]}));
        for number in 0..20 {
            ada.chats(format!("{number}"));
        }
        for number in 0..20 {
            assert_eq!(ops.event_called("message")["text"], number.to_string());
        }
        daemon.signal(signal);
        assert_eq!(ops.event_called("bye")["event"], "bye");
        assert!(ops.line().is_none(), "bye is the last thing");
        let heard = bob.until_closed();
        assert_eq!(heard.len(), 20, "everything was written before the close: {heard:?}");
        assert_eq!(ada.until_closed(), []);
        assert_eq!(daemon.ends().code(), Some(0));
    }
}

#[test]
fn stop_ends_it_as_term_does() {
    let mut daemon = Daemon::start();
    let mut ops = daemon.control();
    assert_eq!(ops.asks("stop", json!({}))["ok"], true);
    ops.event_called("bye");
    assert!(ops.line().is_none());
    assert_eq!(daemon.ends().code(), Some(0));
}

#[test]
fn no_new_connections_while_it_drains() {
    let mut daemon = Setup::new().config("[server]\nshutdown_timeout = \"30s\"").start();
    let (slow, _) = stuck(&daemon);
    daemon.signal(Signal::SIGTERM);
    daemon.logs(&["draining"]);
    let mut late = daemon.native();
    assert_eq!(late.bytes_until_closed(), b"", "refused at once");
    drop(slow);
    assert_eq!(daemon.ends().code(), Some(0));
}

/// A v0.5 connection that reads nothing, with more waiting for it than the kernel holds; and who said it.
fn stuck(daemon: &Daemon) -> (tests::Native, Control) {
    let slow = daemon.native();
    let mut ops = daemon.control();
    nix::sys::socket::setsockopt(slow.stream(), nix::sys::socket::sockopt::RcvBuf, &4096).unwrap();
    let mut slow = slow;
    slow.takes_nick("Slow");
    for _ in 0..12 {
        ops.posts("lobby", &"x".repeat(60_000));
    }
    (slow, ops)
}

#[test]
fn the_drain_has_an_end() {
    let mut daemon = Setup::new().config("[server]\nshutdown_timeout = \"300ms\"").start();
    let (_slow, _ops) = stuck(&daemon);
    let begun = Instant::now();
    daemon.signal(Signal::SIGTERM);
    assert_eq!(daemon.ends().code(), Some(0));
    assert!(begun.elapsed() >= Duration::from_millis(300), "it waited for the slow one");
    assert!(begun.elapsed() < QUICKLY);
}

#[test]
fn a_second_signal_ends_it_at_once() {
    let mut daemon = Setup::new()
        .config("[server]\nshutdown_timeout = \"60s\"\n[limits]\nstall = \"60s\"")
        .start();
    let (_slow, _ops) = stuck(&daemon);
    daemon.signal(Signal::SIGINT);
    daemon.logs(&["draining"]);
    assert!(daemon.runs(), "it waits for the slow one");
    let begun = Instant::now();
    daemon.signal(Signal::SIGINT);
    daemon.ends();
    assert!(begun.elapsed() < QUICKLY);
}

#[test]
fn pipe_is_ignored() {
    let mut daemon = Daemon::start();
    daemon.signal(Signal::SIGPIPE);
    assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
    assert!(daemon.runs());
}

/// Whoever reads the log may stop reading, or be gone: the daemon serves, and ends when it is told to.
#[test]
fn a_log_that_nobody_reads_holds_nothing_up() {
    for is_open in [true, false] {
        let (reader, writer) = std::io::pipe().unwrap();
        nix::fcntl::fcntl(&writer, FcntlArg::F_SETPIPE_SZ(4096)).unwrap();
        let setup = Setup::new().argument("--log-level").argument("debug");
        let mut daemon = setup.start_into(writer.into());
        let kept = is_open.then_some(reader);
        // Three lines for each connection, far more than the pipe and the queue hold.
        for _ in 0..20 {
            let there: Vec<_> = (0..100).map(|_| daemon.native()).collect();
            drop(there);
            assert_eq!(daemon.control().asks("ping", json!({}))["ok"], true);
        }
        let began = Instant::now();
        daemon.signal(Signal::SIGTERM);
        assert_eq!(daemon.ends().code(), Some(0));
        assert!(began.elapsed() < QUICKLY);
        drop(kept);
    }
}

/// More chats than may be said at once, and both directions are closed while it may not speak.
#[test]
fn what_a_client_said_before_it_closed_is_heard_though_it_was_paused() {
    const CHATS: usize = 60;
    let daemon = Setup::new().start();
    let mut ada = daemon.named("Ada");
    let mut bob = daemon.named("Bob");
    let chats: Vec<u8> =
        (0..CHATS).flat_map(|at| tests::native::chat(at.to_string().as_bytes())).collect();
    ada.sends(&chats);
    drop(ada);
    for at in 0..CHATS {
        bob.hears_that("Ada", &at.to_string());
    }
}
