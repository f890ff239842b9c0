//! Peers that are gone without a word, or there and taking nothing: chatd cuts them in their time, says why, and gives their names away.

use std::time::{Duration, Instant};

use nix::sys::socket::{setsockopt, sockopt};
use tests::network::{self, Elsewhere};
use tests::{Daemon, Heard, Native, eventually};

use crate::hostile::{SLACK, setup, shouts};
use crate::witnesses::beside_witnesses;

/// The limits of silence and of taking nothing in these tests.
const IDLE: Duration = Duration::from_secs(1);
const STALL: Duration = Duration::from_millis(600);

/// Whether somebody else can have the name now.
fn gives_away(daemon: &Daemon, nick: &str) {
    let mut other = daemon.native();
    assert_eq!(other.asks_nick(9, nick.as_bytes()), Heard::Ack([9; 16]), "{nick} is free");
}

/// A client beyond a cable, with a name.
fn ghost(elsewhere: &Elsewhere, daemon: &Daemon) -> Native {
    let to = daemon.addresses()[1];
    elsewhere.runs(move || {
        let mut ghost = Native::connect(to);
        setsockopt(ghost.stream(), sockopt::RcvBuf, &4096).unwrap();
        ghost.takes_nick("Ghost");
        ghost
    })
}

#[test]
fn a_peer_whose_network_is_gone_is_cut_for_its_silence_and_its_name_is_free() {
    if !network::is_own(
        "half_open::a_peer_whose_network_is_gone_is_cut_for_its_silence_and_its_name_is_free",
    ) {
        return;
    }
    let elsewhere = Elsewhere::new();
    let keepalive = "[keepalive]\ninterval = \"200ms\"\nidle = \"1s\"";
    let daemon = setup(keepalive).listen("127.0.0.1:0").listen("192.0.2.1:0").start();
    beside_witnesses(&daemon, |daemon| {
        let begun = Instant::now();
        let _ghost = ghost(&elsewhere, daemon);
        elsewhere.is_cut_off();
        let gone = Instant::now();
        daemon.logs(&["Ghost", "reason=\"idle\""]);
        assert!(begun.elapsed() >= IDLE, "it was cut after {:?}", begun.elapsed());
        assert!(gone.elapsed() <= IDLE + SLACK, "it was there for {:?}", gone.elapsed());
        gives_away(daemon, "Ghost");
    });
}

#[test]
fn a_peer_whose_network_is_gone_is_cut_for_what_it_does_not_take_and_its_name_is_free() {
    if !network::is_own(
        "half_open::a_peer_whose_network_is_gone_is_cut_for_what_it_does_not_take_and_its_name_is_free",
    ) {
        return;
    }
    let elsewhere = Elsewhere::new();
    let limits = "stall = \"600ms\"";
    let daemon = setup(limits).listen("127.0.0.1:0").listen("192.0.2.1:0").start();
    beside_witnesses(&daemon, |daemon| {
        let _ghost = ghost(&elsewhere, daemon);
        elsewhere.is_cut_off();
        let begun = Instant::now();
        shouts(&mut daemon.control(), 60);
        let said = Instant::now();
        daemon.logs(&["Ghost", "reason=\"stall\""]);
        assert!(begun.elapsed() >= STALL, "it was cut after {:?}", begun.elapsed());
        assert!(said.elapsed() <= STALL + SLACK, "it was there for {:?}", said.elapsed());
        gives_away(daemon, "Ghost");
    });
}

/// Its window is closed and it says all the time that it is there: neither the kernel nor the idle limit would ever end it.
#[test]
fn a_peer_with_a_closed_window_that_says_it_is_there_is_cut_for_what_it_does_not_take() {
    let limits = "stall = \"600ms\"\n[keepalive]\ninterval = \"100ms\"\nidle = \"300ms\"";
    let daemon = setup(limits).start();
    beside_witnesses(&daemon, |daemon| {
        let mut deaf = daemon.native();
        setsockopt(deaf.stream(), sockopt::RcvBuf, &4096).unwrap();
        deaf.takes_nick("Deaf");
        let begun = Instant::now();
        let mut alive = deaf.stream().try_clone().unwrap();
        let mut says_so = || {
            // Once it is closed there is nobody to say it to.
            let _ = std::io::Write::write_all(&mut alive, &tests::native::frame(2, &[]));
        };
        let mut ops = daemon.control();
        for _ in 0..60 {
            shouts(&mut ops, 1);
            says_so();
        }
        let said = Instant::now();
        let line = eventually("it is cut", || {
            says_so();
            let log = daemon.log();
            log.lines().find(|line| line.contains("closed Deaf")).map(str::to_owned)
        });
        assert!(line.contains("reason=\"stall\""), "{line}");
        assert!(begun.elapsed() >= STALL, "it was cut after {:?}", begun.elapsed());
        assert!(said.elapsed() <= STALL + SLACK, "it was there for {:?}", said.elapsed());
        gives_away(daemon, "Deaf");
    });
}
