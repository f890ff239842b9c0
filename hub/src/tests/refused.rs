//! What the store refuses of those who have no reply.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use proto::Span;

use crate::settings::STORE_QUEUE_BYTES_MAX;
use crate::store::Outcome;
use crate::testing::{StoreMode, Turn, chat, nick, quiet, spoken};
use crate::{CloseReason, ConnId, Durability, HangUp, Notice, Settings};

fn settings() -> Settings {
    Settings { stall: Some(Span::from_secs(10)), ..quiet() }
}

/// Two v0.5 clients over a store that does not answer by itself.
fn two() -> (Turn, ConnId, ConnId) {
    let mut turn = Turn::new(settings());
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &nick(1, "Ada"));
    turn.read(a);
    turn.store = StoreMode::Holds;
    (turn, a, b)
}

fn texts(turn: &mut Turn, id: ConnId) -> Vec<String> {
    spoken(&turn.read(id)).into_iter().filter(|said| said != "keepalive").collect()
}

#[test]
fn a_v05_sender_whom_the_store_refuses_is_not_read_and_is_carried_out_in_order_once_it_stores() {
    let (mut turn, a, b) = two();
    turn.say(a, &[chat("one"), chat("two")].concat());
    turn.answer(2, false);
    assert!(turn.notices.iter().any(|notice| matches!(notice, Notice::StoreRefused { .. })));
    assert!(!turn.hub.wants_read(a) && turn.hub.wants_read(b), "only who is refused is not read");
    turn.say(a, &[chat("three"), nick(2, "Eve"), chat("four")].concat());
    turn.wait(9_000);
    assert!(turn.held.len() > 1 && turn.closed(a).is_none(), "it is tried now and then");
    assert!(texts(&mut turn, b).is_empty());
    // Space is back.
    turn.store = StoreMode::AtOnce;
    turn.answer(turn.held.len(), true);
    turn.wait(300);
    let said = ["Ada: one", "Ada: two", "Ada: three", "Eve: four"];
    assert_eq!(texts(&mut turn, b), said);
    assert!(turn.hub.wants_read(a));
    turn.read(a);
    turn.wait(20_000);
    assert_eq!(turn.closed(a), None, "nothing is held against it");
}

#[test]
fn a_v05_sender_whom_the_store_refuses_for_the_stall_time_is_closed() {
    let (mut turn, a, b) = two();
    turn.say(a, &chat("lost"));
    turn.answer(1, false);
    for _ in 0..39 {
        turn.wait(250);
        turn.answer(turn.held.len(), false);
    }
    assert_eq!(turn.closed(a), None);
    turn.wait(250);
    assert_eq!(turn.closed(a), Some(CloseReason::StoreUnavailable));
    turn.answer(turn.held.len(), false);
    turn.store = StoreMode::AtOnce;
    turn.say(b, &chat("kept"));
    turn.wait(300);
    let c = turn.native();
    turn.say(c, &chat("more"));
    assert_eq!(texts(&mut turn, b), ["guest-3: more"], "what was held back is forgotten");
}

#[test]
fn who_ends_its_side_while_it_is_held_back_is_carried_out_to_its_end() {
    let (mut turn, a, b) = two();
    turn.say(a, &chat("one"));
    turn.answer(1, false);
    turn.say(a, &chat("two"));
    turn.hang_up(a, HangUp::Eof);
    assert_eq!(turn.closed(a), None);
    turn.store = StoreMode::AtOnce;
    turn.wait(300);
    assert_eq!(texts(&mut turn, b), ["Ada: one", "Ada: two"]);
    assert_eq!(turn.closed(a), Some(CloseReason::PeerClosed));
    let c = turn.native();
    turn.store = StoreMode::Holds;
    turn.say(c, &chat("three"));
    turn.answer(1, false);
    turn.hang_up(c, HangUp::Reset);
    turn.wait(1_000);
    assert!(turn.held.is_empty(), "of who is gone nothing is tried");
}

#[test]
fn a_message_is_never_stored_behind_a_later_one_of_its_author() {
    let (mut turn, a, b) = two();
    turn.say(a, &[chat("one"), chat("two")].concat());
    turn.says(Outcome::Refused);
    turn.says(Outcome::Stored);
    assert_eq!(turn.closed(a), Some(CloseReason::StoreUnavailable));
    turn.store = StoreMode::AtOnce;
    turn.wait(1_000);
    assert_eq!(texts(&mut turn, b), ["Ada: two"]);
}

#[test]
fn all_who_are_held_back_go_on_once_anything_is_stored() {
    let (mut turn, a, b) = two();
    let ada = turn.control("ada");
    for (from, count) in [(a, 3), (b, 400)] {
        for no in 0..count {
            turn.say(from, &chat(&format!("{from:?} {no}")));
        }
    }
    turn.answer(turn.held.len(), false);
    assert!(!turn.hub.wants_read(a) && !turn.hub.wants_read(b));
    turn.ask(
        ada,
        r#"{"request":"post","id":"00000000-0000-4000-8000-000000000001","room":"dev","text":"?"}"#,
    );
    while !turn.held.is_empty() {
        turn.answer(turn.held.len(), true);
    }
    assert!(turn.hub.wants_read(a) && turn.hub.wants_read(b), "without a wait");
    let heard = (texts(&mut turn, b), texts(&mut turn, a));
    assert_eq!((heard.0.len(), heard.1.len()), (3, 400));
    let numbers: Vec<usize> =
        heard.1.iter().map(|said| said.rsplit(' ').next().unwrap().parse().unwrap()).collect();
    assert!(numbers.is_sorted(), "in their order");
}

#[test]
fn what_is_held_back_has_a_limit() {
    let (mut turn, a, b) = two();
    let length = 64_000;
    let most = STORE_QUEUE_BYTES_MAX / length;
    for from in [a, b] {
        turn.say(from, &chat(&"x".repeat(length)).repeat(most - 10));
        turn.answer(turn.held.len(), false);
    }
    assert_eq!(turn.closed(a), None);
    assert_eq!(turn.closed(b), Some(CloseReason::StoreUnavailable), "the one who was too much");
}

#[test]
fn a_daemon_that_ends_waits_for_nothing_that_is_held_back() {
    let (mut turn, a, _) = two();
    turn.say(a, &chat("one"));
    turn.answer(1, false);
    turn.stop();
    turn.read(a);
    assert!(turn.closed(a).is_some());
}

/// What was said at once and is refused then cannot be said again.
#[test]
fn who_was_heard_and_is_not_stored_is_closed() {
    let mut turn = Turn::new(Settings { durability: Durability::Sync, ..settings() });
    let (a, b) = (turn.native(), turn.native());
    turn.store = StoreMode::Holds;
    turn.say(a, &chat("one"));
    turn.takes();
    turn.says(Outcome::Refused);
    assert_eq!(turn.closed(a), Some(CloseReason::StoreUnavailable));
    assert_eq!(texts(&mut turn, b), ["guest-1: one"]);
}
