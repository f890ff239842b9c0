//! What is kept of frames that are not complete: its memory, its copies, and its limit of all connections together.

extern crate std;

use std::vec;
use std::vec::Vec;

use proto::WireLimits;

use crate::settings::KEPT_BYTES_MAX;
use crate::testing::{Turn, chat, quiet};
use crate::{CloseReason, ConnId, Notice};

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
    let length = 390_000;
    let fits = (KEPT_BYTES_MAX - 100) / length;
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
    let freed_to = KEPT_BYTES_MAX / 8 * 7;
    assert!(left <= freed_to && left > freed_to - length, "an eighth is free again: {left}");
    assert_eq!(closed.len(), fits + 1 - (left - 100) / length);
    assert!(many.iter().chain([&last]).any(|id| turn.closed(*id).is_none()), "most stay");
    assert_eq!((turn.closed(small), turn.closed(witness)), (None, None));
    turn.say(witness, &chat("still here"));
    assert_eq!(turn.heard(small), vec!["guest-1: still here"]);
}
