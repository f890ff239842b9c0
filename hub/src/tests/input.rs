//! What is kept of frames that are not complete: its memory, its copies, and its limit of all connections together. And who
//! waits when the store has too much to do.

extern crate std;

use std::vec;
use std::vec::Vec;

use proto::WireLimits;

use crate::settings::{STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MESSAGES_MAX};
use crate::testing::{StoreMode, Turn, chat, quiet};
use crate::{CloseReason, ConnId, Notice, Settings};

/// The beginning of a v1 frame of the greatest length, so many bytes of it.
fn begun(count: usize) -> Vec<u8> {
    let length = u32::try_from(WireLimits::default().frame() - 4).unwrap();
    let mut bytes = [length.to_be_bytes(), 16_u32.to_be_bytes()].concat();
    bytes.resize(count, b'x');
    bytes
}

#[test]
fn bytes_that_drip_into_a_large_frame_are_not_copied_with_each_drop() {
    let mut turn = Turn::new(quiet());
    let id = turn.native();
    let frame = begun(300_000);
    let (mut copies, mut before) = (0, 0);
    for drop in frame.chunks(100) {
        turn.say(id, drop);
        let kept = turn.hub.memory().kept_bytes;
        copies += usize::from(kept != before);
        before = kept;
    }
    assert!(copies <= 14, "{copies} copies of 3,000 drops");
    assert!((300_000..=WireLimits::default().frame()).contains(&before), "{before}");
}

#[test]
fn a_frame_that_is_over_leaves_no_memory() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    let said = chat(&"x".repeat(60_000));
    for drop in said.chunks(1_000) {
        turn.say(a, drop);
    }
    assert_eq!((turn.heard(b).len(), turn.hub.memory().kept_bytes), (1, 0));
    for drop in [&said[..], &said[..7]].concat().chunks(10_000) {
        turn.say(a, drop);
    }
    assert_eq!((turn.heard(b).len(), turn.hub.memory().kept_bytes), (1, 7), "of its exact size");
}

#[test]
fn past_the_budget_of_all_the_largest_unfinished_frames_go_and_nobody_else() {
    let mut turn = Turn::new(quiet());
    let (witness, small) = (turn.native(), turn.native());
    turn.say(small, &begun(100));
    let begin = |turn: &mut Turn, bytes: usize| {
        let id = turn.dial();
        turn.say(id, &begun(bytes));
        id
    };
    let (length, budget) = (390_000, turn.hub.settings().kept);
    let fits = (budget - 100) / length;
    let many: Vec<ConnId> = (0..fits - 1).map(|_| begin(&mut turn, length)).collect();
    assert!(turn.notices.iter().all(|notice| !matches!(notice, Notice::Closed { .. })));
    let largest = begin(&mut turn, length + 1_000);
    assert_eq!(turn.closed(largest), None, "the budget is not passed yet");
    let last = begin(&mut turn, length);
    assert_eq!(turn.closed(largest), Some(CloseReason::InputBudget));
    let closed: Vec<ConnId> = turn
        .notices
        .iter()
        .filter_map(|notice| {
            let Notice::Closed { id, reason, .. } = notice else { return None };
            (*reason == CloseReason::InputBudget).then_some(*id)
        })
        .collect();
    assert_eq!(closed[0], largest, "the largest goes first");
    let left = turn.hub.memory().kept_bytes;
    let freed_to = budget / 8 * 7;
    assert!(left <= freed_to && left > freed_to - length, "an eighth is free again: {left}");
    assert_eq!(closed.len(), fits + 1 - (left - 100) / length);
    assert!(many.iter().chain([&last]).any(|id| turn.closed(*id).is_none()), "most stay");
    assert_eq!((turn.closed(small), turn.closed(witness)), (None, None));
    turn.say(witness, &chat("still here"));
    assert_eq!(turn.heard(small), vec!["guest-1: still here"]);
}

#[test]
fn speakers_are_not_read_while_the_store_has_too_much_and_go_on_at_half() {
    let mut turn = Turn::new(quiet());
    let (ada, bob, hearer) = (turn.native(), turn.native(), turn.control("eve"));
    turn.store = StoreMode::Holds;
    turn.say(ada, &chat("x").repeat(STORE_QUEUE_MESSAGES_MAX + 50));
    assert_eq!(turn.held.len(), STORE_QUEUE_MESSAGES_MAX, "no more is taken");
    turn.say(bob, &chat("one more"));
    turn.ask(hearer, r#"{"request":"ping","id":"1"}"#);
    assert_eq!(turn.held.len(), STORE_QUEUE_MESSAGES_MAX);
    assert!([ada, bob, hearer].iter().all(|id| !turn.hub.wants_read(*id)), "nobody is read");
    assert!(!turn.hub.has_kept_work(ada), "and the loop does not spin for it");
    turn.answer(STORE_QUEUE_MESSAGES_MAX / 2 - 1, true);
    assert!(turn.resumed.is_empty() && !turn.hub.wants_read(ada), "not before half is done");
    turn.answer(1, true);
    assert_eq!(turn.resumed, [ada, bob, hearer], "in the order in which they came to wait");
    for id in [ada, bob, hearer] {
        turn.say(id, b"");
        assert!(turn.hub.wants_read(id));
    }
    assert_eq!(turn.held.len(), STORE_QUEUE_MESSAGES_MAX / 2 + 51, "what was held back goes on");
    assert_eq!(turn.lines(hearer).len(), 1);
    assert_eq!(turn.hub.stats().hits.paused_store, 3);
}

#[test]
fn speakers_are_not_read_while_the_store_has_too_many_bytes() {
    let mut turn = Turn::new(Settings { fanout_per_s: None, ..quiet() });
    let ada = turn.native();
    turn.store = StoreMode::Holds;
    let length = 64_000;
    let fits = STORE_QUEUE_BYTES_MAX.div_ceil(length);
    turn.say(ada, &chat(&"x".repeat(length)).repeat(fits + 3));
    assert_eq!((turn.held.len(), turn.hub.wants_read(ada)), (fits, false));
    turn.answer(fits / 2 - 1, true);
    assert!(!turn.hub.wants_read(ada));
    turn.answer(turn.held.len(), true);
    assert!(turn.hub.has_kept_work(ada), "what was held back goes on");
    turn.say(ada, &[]);
    assert_eq!((turn.held.len(), turn.hub.wants_read(ada)), (3, true));
}
