//! What hangs on time: a frame that comes a byte at a time, keepalives, silence, deadlines. Limits are set short here.

use tests::native::{chat, set_nickname};
use tests::{Heard, Setup};

#[test]
fn a_frame_may_come_a_byte_at_a_time() {
    let daemon = Setup::new().start();
    let mut ops = daemon.control();
    let mut bob = daemon.named("Bob");
    let mut ada = daemon.native();
    for byte in [set_nickname([9; 16], b"Ada"), chat(b"slowly")].concat() {
        ada.sends(&[byte]);
        // The daemon has turned at least once before the next byte comes.
        assert_eq!(ops.asks("ping", serde_json::json!({}))["ok"], true);
    }
    bob.hears_that("Ada", "slowly");
    assert_eq!(ada.hears(), Heard::Ack([9; 16]));
}

#[test]
fn keepalives_go_both_ways_and_silence_is_closed() {
    let daemon = Setup::new().config("[keepalive]\ninterval = \"200ms\"\nidle = \"1s\"\n").start();
    let mut lively = daemon.named("Lively");
    let mut silent = daemon.named("Silent");
    // Longer than the idle limit, by the daemon's own clock.
    for _ in 0..12 {
        assert_eq!(lively.next_frame(), Some(Heard::Keepalive));
        lively.sends(&tests::native::frame(2, &[]));
    }
    let heard: Vec<_> = std::iter::from_fn(|| silent.next_frame()).collect();
    assert!((2..=8).contains(&heard.len()), "{heard:?}");
    assert!(heard.iter().all(|heard| *heard == Heard::Keepalive));
    daemon.logs(&["Silent", "idle"]);
    lively.chats("still here");
    assert!(!daemon.log().contains("Lively"), "{}", daemon.log());
}

#[test]
fn a_frame_that_is_never_finished_is_closed() {
    let daemon = Setup::new().config("[limits]\nframe_timeout = \"300ms\"\n").start();
    let mut eve = daemon.named("Eve");
    eve.sends(&chat(b"unfinished")[..9]);
    assert_eq!(eve.until_closed(), []);
    daemon.logs(&["Eve", "frame_timeout"]);
}

#[test]
fn a_listener_that_never_speaks_is_released_and_then_closed() {
    let daemon = Setup::new()
        .config("[limits]\ndetect = \"100ms\"\n[keepalive]\ninterval = \"200ms\"\nidle = \"1s\"\n")
        .start();
    let mut listener = daemon.native();
    let mut ada = daemon.named("Ada");
    ada.chats("hello?");
    listener.hears_that("Ada", "hello?");
    // Something was written, so it is native now or nothing.
    listener.sends(b"GET / HTTP/1.1\r\n\r\n");
    assert_eq!(listener.until_closed(), []);
    let mut silent = daemon.native();
    assert_eq!(silent.until_closed(), []);
}
