//! Deadlines, token buckets, and how the server ends.

extern crate std;

use proto::Span;

use crate::testing::{StoreMode, Turn, chat, keepalive, quiet};
use crate::{CloseReason, HangUp, Notice, Rights, Settings};

fn strict() -> Settings {
    Settings { messages_per_s: None, bytes_per_s: None, ..Settings::default() }
}

#[test]
fn who_was_written_nothing_for_the_interval_gets_one_keepalive() {
    let mut turn = Turn::new(strict());
    let a = turn.native();
    turn.wait(4_900);
    assert_eq!(turn.hub.pending(a), 0);
    turn.wait(200);
    assert_eq!(turn.heard(a), ["keepalive"]);
    turn.say(a, &keepalive());
    turn.wait(8_000);
    assert_eq!(turn.heard(a), ["keepalive"], "unread ones are not piled up");
}

#[test]
fn one_keepalive_comes_an_interval_after_the_other() {
    let mut turn = Turn::new(Settings { idle: None, ..strict() });
    let a = turn.native();
    for _ in 0..4 {
        turn.wait(5_020);
        assert_eq!(
            turn.heard(a),
            ["keepalive"],
            "not only when another deadline has the timer fire"
        );
    }
}

#[test]
fn an_idle_connection_is_closed_and_an_active_one_gets_no_keepalive() {
    let mut turn = Turn::new(Settings { stall: None, ..strict() });
    let (a, b) = (turn.native(), turn.native());
    for _ in 0..4 {
        turn.wait(3_000);
        turn.say(a, &chat("x"));
        assert_eq!(turn.heard(b).len(), 1, "what is said is sign of life enough");
    }
    turn.wait(3_100);
    assert_eq!(turn.closed(b), Some(CloseReason::Idle));
    assert_eq!(turn.closed(a), None);
}

#[test]
fn a_control_connection_may_be_silent_for_ever() {
    let mut turn = Turn::new(strict());
    let a = turn.control("ada");
    turn.wait(60_000);
    assert_eq!(turn.closed(a), None);
    assert_eq!(turn.hub.deadline(), None, "it costs no timer");
}

#[test]
fn a_frame_must_be_complete_in_time_not_merely_grow() {
    let mut turn = Turn::new(Settings { idle: None, ..strict() });
    let (slow, steady) = (turn.native(), turn.native());
    let bytes = chat("a frame that comes a byte at a time");
    for byte in &bytes[..25] {
        turn.say(slow, &[*byte]);
        turn.wait(400);
        turn.say(steady, &keepalive());
        turn.read(steady);
        turn.read(slow);
    }
    turn.wait(200);
    assert_eq!(turn.closed(slow), Some(CloseReason::FrameTimeout));
    assert_eq!(turn.closed(steady), None);
}

#[test]
fn who_made_room_before_the_loop_woke_is_not_closed_for_a_stall() {
    let mut turn = Turn::new(Settings { idle: None, ..strict() });
    let (a, slow) = (turn.native(), turn.native());
    turn.say(a, &chat("some words"));
    turn.wait(9_900);
    assert!(turn.hub.pending(slow) > 0);
    turn.hub.unblocked(slow, turn.now);
    turn.wait(9_900);
    assert_eq!(turn.closed(slow), None);
    turn.wait(200);
    assert_eq!(turn.closed(slow), Some(CloseReason::Stall));
}

#[test]
fn who_takes_nothing_is_closed_and_who_takes_a_little_is_not() {
    let mut turn = Turn::new(Settings { idle: None, ..strict() });
    let (a, stuck, slow) = (turn.native(), turn.native(), turn.native());
    turn.say(a, &chat("some words for both of them"));
    for _ in 0..9 {
        turn.wait(1_000);
        turn.read_some(slow, 1);
    }
    turn.wait(1_100);
    assert_eq!(turn.closed(stuck), Some(CloseReason::Stall));
    assert_eq!(turn.closed(slow), None);
}

#[test]
fn a_control_connection_that_takes_nothing_is_closed_too() {
    let mut turn = Turn::new(strict());
    let a = turn.control("ada");
    turn.ask(a, r#"{"request":"ping","id":"1"}"#);
    turn.wait(10_100);
    assert_eq!(turn.closed(a), Some(CloseReason::Stall));
}

#[test]
fn a_flood_is_slowed_by_not_reading_it_and_its_deadlines_stand_still() {
    let settings = Settings {
        messages_per_s: Some(1),
        message_burst: 2,
        bytes_per_s: None,
        keepalive: None,
        ..Settings::default()
    };
    let mut turn = Turn::new(settings);
    let (a, b) = (turn.native(), turn.native());
    let burst: std::vec::Vec<u8> =
        (0..30).flat_map(|count| chat(&std::format!("{count}"))).collect();
    turn.say(a, &burst);
    assert_eq!(turn.heard(b).len(), 2, "the burst");
    assert!(!turn.hub.wants_read(a) && !turn.hub.has_kept_work(a));
    for second in 1..=20 {
        turn.wait(1_000);
        turn.say(b, &keepalive());
        assert_eq!(turn.heard(b).len(), 1, "one a second, second {second}");
    }
    turn.wait(8_500);
    assert_eq!(turn.heard(b).len(), 8);
    assert!(turn.hub.wants_read(a), "all is said");
    assert_eq!(turn.closed(a), None, "28 s without a byte of it, most of them paused");
    assert_eq!(
        turn.notices.iter().filter(|notice| matches!(notice, Notice::Paused { .. })).count(),
        1
    );
}

#[test]
fn bytes_have_a_bucket_of_their_own_and_keepalives_cost_nothing() {
    let settings = Settings {
        messages_per_s: Some(1),
        message_burst: 1,
        bytes_per_s: Some(1_000),
        byte_burst: 1_000,
        ..quiet()
    };
    let mut turn = Turn::new(settings);
    let a = turn.native();
    for _ in 0..20 {
        turn.say(a, &keepalive());
    }
    assert!(turn.hub.wants_read(a));
    turn.wait(2_000);
    turn.say(a, &[chat(&"x".repeat(5_000)), keepalive()].concat());
    assert!(!turn.hub.wants_read(a), "a large frame goes through and makes a debt");
    turn.wait(3_900);
    assert!(!turn.hub.wants_read(a));
    turn.wait(300);
    assert!(turn.hub.wants_read(a));
}

#[test]
fn an_end_while_paused_waits_for_what_was_said() {
    let settings =
        Settings { messages_per_s: Some(10), message_burst: 1, bytes_per_s: None, ..quiet() };
    let mut turn = Turn::new(settings);
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &[chat("1"), chat("2"), chat("3")].concat());
    turn.hang_up(a, HangUp::Eof);
    assert_eq!(turn.closed(a), None);
    turn.wait(300);
    assert_eq!(turn.closed(a), Some(CloseReason::PeerClosed));
    assert_eq!(turn.heard(b).len(), 3);
}

#[test]
fn no_peer_is_blamed_for_the_sleep_of_the_machine() {
    let mut turn = Turn::new(strict());
    let a = turn.native();
    turn.wait(2_000);
    turn.now = turn.now.after(Span::from_secs(3_600));
    turn.wait(100);
    assert_eq!(turn.closed(a), None);
    turn.wait(9_000);
    turn.read(a);
    turn.wait(7_000);
    assert_eq!(turn.closed(a), Some(CloseReason::Idle));
}

#[test]
fn a_drain_says_bye_flushes_and_leaves_nothing() {
    let mut turn = Turn::new(strict());
    let (a, b, held) = (turn.native(), turn.native(), turn.dial());
    let tail = turn.control("root");
    turn.ask(tail, r#"{"request":"tail","id":"t"}"#);
    turn.lines(tail);
    turn.store = StoreMode::Holds;
    turn.say(a, &chat("last words"));
    turn.stop();
    assert!(!turn.hub.wants_read(a));
    turn.say(a, &chat("too late"));
    assert_eq!(turn.closed(b), None, "what the store has is waited for");
    turn.answer(1, true);
    assert_eq!(turn.closed(held), Some(CloseReason::Drain));
    assert_eq!(turn.closed(a), Some(CloseReason::Drain));
    assert_eq!(turn.heard(b), ["guest-1: last words"]);
    let lines = turn.lines(tail);
    assert!(lines[0].contains("last words") && lines[1].contains("\"event\":\"bye\""));
    assert_eq!(lines.len(), 2);
    assert!(turn.hub.is_empty());
    let memory = turn.hub.memory();
    assert_eq!((memory.blocks, memory.private_bytes, memory.timers), (0, 0, 0));
    assert_eq!(turn.hub.deadline(), None);
}

#[test]
fn a_drain_does_not_wait_for_ever() {
    let mut turn = Turn::new(strict());
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &chat("unread"));
    turn.stop();
    assert_eq!(turn.closed(b), None);
    turn.wait(5_100);
    assert_eq!(turn.closed(b), None, "how long it may take in all is the caller's business");
    turn.wait(5_000);
    assert_eq!(turn.closed(b), Some(CloseReason::Stall));
    assert!(turn.hub.is_empty());
}

#[test]
fn nobody_is_accepted_while_the_server_ends() {
    let mut turn = Turn::new(strict());
    turn.stop();
    let mut out = crate::Outbox::default();
    let peer = crate::Peer {
        transport: proto::Transport::Stream,
        address: "x".into(),
        ip: None,
        login: None,
        rights: Rights::TALK,
        exempt: false,
        protocols: proto::Protocols::ALL,
    };
    assert!(turn.hub.accept(peer, turn.now, &mut out).is_err());
}
