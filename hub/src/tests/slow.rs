//! Slow receivers and the budgets of memory: a contiguous beginning, then an exact gap or a close; never a silent hole.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::testing::{StoreMode, Turn, chat, keepalive, lines, quiet, spoken};
use crate::{CloseReason, HangUp, Notice, Settings};

/// The numbers that a line is about: a message's one, or a gap's first and last.
fn numbers(line: &str) -> Vec<u64> {
    let after = |key: &str| {
        line.split(key).nth(1).and_then(|rest| {
            let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
            digits.parse().ok()
        })
    };
    ["\"seq\":", "\"from_seq\":", "\"to_seq\":"].into_iter().filter_map(after).collect()
}

fn tailing(turn: &mut Turn) -> crate::ConnId {
    let id = turn.control("bob");
    turn.ask(id, r#"{"request":"tail","id":"t","rooms":["lobby"]}"#);
    turn.lines(id);
    id
}

/// Somebody who speaks, and a follower who has read the beginning of the first of 16 messages and is skipped behind it.
fn skipped() -> (Turn, crate::ConnId, crate::ConnId, Vec<u8>) {
    let mut turn = Turn::new(Settings { outbox: Some(1_500), ..quiet() });
    let a = turn.native();
    let slow = tailing(&mut turn);
    turn.say(a, &chat("first"));
    let got = turn.read_some(slow, 20);
    for _ in 0..15 {
        turn.say(a, &chat("fill"));
    }
    assert!(turn.notices.iter().any(|notice| matches!(notice, Notice::Skipped { .. })));
    (turn, a, slow, got)
}

#[test]
fn a_v05_receiver_that_falls_behind_is_closed_with_a_contiguous_beginning() {
    let mut turn = Turn::new(Settings { outbox: Some(10_000), ..quiet() });
    let (a, slow, good) = (turn.native(), turn.native(), turn.native());
    let mut got = Vec::new();
    for count in 0..40 {
        turn.say(a, &chat(&format!("{count:500}")));
        if count < 5 {
            got.extend(turn.read_some(slow, 400));
        }
        assert_eq!(turn.heard(good).len(), 1, "the others miss nothing");
    }
    assert_eq!(turn.closed(slow), Some(CloseReason::OutboxFull));
    assert_eq!(got.len(), 2_000);
    let frame = 4 + 4 + 1 + "guest-1".len() + 2 + 500;
    let whole = spoken(&got[..got.len() / frame * frame]);
    assert!(whole.iter().enumerate().all(|(at, line)| line.ends_with(&format!(" {at}"))));
}

#[test]
fn a_v1_receiver_that_falls_behind_is_told_exactly_what_it_missed() {
    let mut turn = Turn::new(Settings { outbox: Some(4_000), ..quiet() });
    let a = turn.native();
    let slow = tailing(&mut turn);
    let mut got = Vec::new();
    for count in 1..=100 {
        turn.say(a, &chat(&format!("message {count}")));
        if count % 10 == 0 {
            got.extend(turn.read_some(slow, 333));
        }
    }
    while turn.hub.pending(slow) > 0 {
        got.extend(turn.read_some(slow, 333));
    }
    turn.say(a, &chat("live again"));
    got.extend(turn.read(slow));
    let mut next = 1;
    let mut gaps = 0;
    for line in lines(&got) {
        match numbers(&line)[..] {
            [seq] => {
                assert_eq!(seq, next, "no silent hole: {line}");
                next = seq + 1;
            }
            [from, to] => {
                assert_eq!(from, next, "a gap begins with the first that is missing: {line}");
                assert!(from <= to);
                gaps += 1;
                next = to + 1;
            }
            _ => panic!("what is this: {line}"),
        }
    }
    assert_eq!(next, 102, "it is live again");
    assert!(gaps > 0 && turn.closed(slow).is_none());
    assert_eq!(turn.hub.memory().blocks, 0);
}

#[test]
fn the_seam_of_a_gap_inside_a_turn_is_exact() {
    let (mut turn, a, slow, mut got) = skipped();
    turn.say_more(a, &chat("in the open block, before the gap is told"));
    got.extend(turn.read(slow));
    turn.say_more(a, &chat("in the open block, after it"));
    turn.settle();
    got.extend(turn.read(slow));
    let last_two: Vec<Vec<u64>> =
        lines(&got).iter().rev().take(2).map(|line| numbers(line)).collect();
    let [live, gap] = &last_two[..] else { panic!("two lines") };
    assert_eq!((live[0], gap[1] + 1), (18, 18), "{last_two:?}");
}

#[test]
fn what_is_left_out_of_a_room_that_is_gone_meanwhile_is_told_by_a_gap() {
    let mut turn = Turn::new(Settings { outbox: Some(2_000), recent: Some(0), ..quiet() });
    let (a, ada) = (turn.native(), turn.control("ada"));
    let slow = tailing(&mut turn);
    turn.ask(slow, r#"{"request":"join","id":"j","room":"ops"}"#);
    turn.lines(slow);
    for count in 1..=3 {
        let id = format!("00000000-0000-4000-8000-{count:012}");
        turn.ask(ada, &format!(r#"{{"request":"post","id":"{id}","room":"ops","text":"x"}}"#));
    }
    turn.ask(slow, r#"{"request":"leave","id":"l","room":"ops"}"#);
    assert_eq!(turn.hub.rooms.len(), 1, "nothing of the room is left but what waits for one");
    let mut got = turn.read_some(slow, 20);
    for _ in 0..15 {
        turn.say(a, &chat("fill"));
    }
    assert!(turn.notices.iter().any(|notice| matches!(notice, Notice::Skipped { .. })));
    got.extend(turn.read(slow));
    let of_ops: Vec<Vec<u64>> = lines(&got)
        .iter()
        .filter(|line| line.contains("\"room\":\"ops\"") && !line.contains("\"reply\""))
        .map(|line| numbers(line))
        .collect();
    assert_eq!(of_ops, [&[1][..], &[2, 2], &[3, 3]], "one had begun, the others are named");
}

#[test]
fn what_is_written_of_a_long_page_does_not_count() {
    let mut turn = Turn::new(Settings { outbox: Some(8_000), ..quiet() });
    let a = turn.native();
    for count in 0..200 {
        turn.say(a, &chat(&format!("message {count}")));
    }
    let slow = turn.control("bob");
    turn.ask(slow, r#"{"request":"join","id":"j","room":"lobby","after":0}"#);
    let mut got = Vec::new();
    while turn.hub.pending(slow) > 0 {
        got.extend(turn.read_some(slow, 97));
        turn.settle();
    }
    assert_eq!(turn.closed(slow), None, "who reads is not cut for what it has read");
    let got: Vec<Vec<u64>> = lines(&got).iter().map(|line| numbers(line)).collect();
    let all: Vec<Vec<u64>> = (1..=200).chain([200]).map(|seq| std::vec![seq]).collect();
    assert_eq!(got, all, "each once, in order, then the reply");
}

#[test]
fn a_bye_is_the_last_word_also_to_who_is_being_skipped() {
    let (mut turn, _, slow, mut got) = skipped();
    turn.stop();
    got.extend(turn.read(slow));
    let got = lines(&got);
    let [.., gap, bye] = &got[..] else { panic!("two lines: {got:?}") };
    assert_eq!(numbers(gap), [2, 16], "what it missed is told before");
    assert!(bye.contains("\"event\":\"bye\""), "{bye}");
}

#[test]
fn a_bye_behind_a_full_queue_keeps_within_the_limit() {
    for spare in 0..60 {
        let mut turn = Turn::new(quiet());
        let a = turn.native();
        let slow = tailing(&mut turn);
        for _ in 0..3 {
            turn.say(a, &chat("fill"));
        }
        turn.settle();
        turn.hub.settings.outbox = Some(turn.hub.pending(slow) + spare);
        turn.stop();
        assert!(turn.hub.pending(slow) <= turn.hub.settings.outbox.unwrap());
        let got = lines(&turn.read(slow));
        assert!(got.last().unwrap().contains("\"event\":\"bye\""), "{got:?}");
    }
}

#[test]
fn a_frame_that_has_begun_is_finished_before_the_gap() {
    let mut turn = Turn::new(Settings { outbox: Some(4_000), ..quiet() });
    let a = turn.native();
    let slow = tailing(&mut turn);
    turn.say(a, &chat("first"));
    let mut got = turn.read_some(slow, 20);
    for _ in 0..60 {
        turn.say(a, &chat("more"));
    }
    assert!(turn.hub.memory().blocks < 30, "a skipped reader pins nothing");
    got.extend(turn.read(slow));
    let all = lines(&got);
    assert_eq!(numbers(&all[0]), [1]);
    assert_eq!(numbers(&all[1])[0], 2, "{}", all[1]);
}

#[test]
fn replies_are_never_left_out_and_cut_the_connection_where_they_alone_are_too_much() {
    let mut turn = Turn::new(Settings { outbox: Some(1_000), ..quiet() });
    let a = turn.control("ada");
    for count in 0..20 {
        turn.ask(a, &format!(r#"{{"request":"ping","id":"{count}"}}"#));
    }
    assert_eq!(turn.closed(a), None);
    assert_eq!(turn.lines(a).len(), 20);
    for count in 0..60 {
        turn.ask(a, &format!(r#"{{"request":"ping","id":"{count}"}}"#));
    }
    assert_eq!(turn.closed(a), Some(CloseReason::OutboxFull));
}

#[test]
fn past_the_store_budget_the_readers_of_the_oldest_block_go_first() {
    let mut turn = Turn::new(Settings { store: Some(20_000), ..quiet() });
    let (a, slow, good) = (turn.native(), turn.native(), turn.native());
    let follower = tailing(&mut turn);
    for count in 0..60 {
        turn.say(a, &chat(&"x".repeat(500)));
        let memory = turn.hub.memory();
        assert!(memory.blocks_bytes + memory.private_bytes <= 20_000);
        if count > 10 {
            assert!(!turn.heard(good).is_empty());
        }
    }
    assert_eq!(turn.closed(slow), Some(CloseReason::MemoryBudget));
    assert_eq!((turn.closed(good), turn.closed(follower)), (None, None));
    let lines = turn.lines(follower);
    assert!(lines.iter().any(|line| line.contains("\"event\":\"gap\"")));
}

/// Who had an old message waiting was cut for what somebody else alone did not take.
#[test]
fn past_the_store_budget_the_largest_private_queue_goes_first_where_private_bytes_are_too_much() {
    let mut turn = Turn::new(Settings { store: Some(20_000), outbox: None, ..quiet() });
    let (speaker, slow) = (turn.native(), turn.native());
    turn.say(speaker, &chat("an old message"));
    let (ada, hoarder, small) = (turn.control("ada"), turn.control("bob"), turn.control("eve"));
    let text = "x".repeat(1_000);
    for number in 0..30 {
        let to = if number == 0 { "eve" } else { "bob" };
        let id = format!("00000000-0000-4000-8000-{number:012}");
        turn.ask(ada, &format!(r#"{{"request":"post","id":"{id}","to":"{to}","text":"{text}"}}"#));
        turn.lines(ada);
        let memory = turn.hub.memory();
        assert!(memory.blocks_bytes + memory.private_bytes <= 20_000);
    }
    assert_eq!(turn.closed(hoarder), Some(CloseReason::MemoryBudget));
    assert_eq!((turn.closed(slow), turn.closed(small)), (None, None));
    assert_eq!(turn.heard(slow).len(), 1);
}

#[test]
fn leaving_a_room_while_being_skipped_tells_the_gap_first() {
    let mut turn = Turn::new(Settings { outbox: Some(2_000), ..quiet() });
    let a = turn.native();
    let slow = turn.control("bob");
    turn.ask(slow, r#"{"request":"join","id":"j","room":"lobby"}"#);
    turn.lines(slow);
    turn.ask(slow, r#"{"request":"ping","id":"fill1"}"#);
    for _ in 0..40 {
        turn.ask(slow, r#"{"request":"ping","id":"fill"}"#);
    }
    for _ in 0..10 {
        turn.say(a, &chat("unheard"));
    }
    turn.ask(slow, r#"{"request":"leave","id":"l","room":"lobby"}"#);
    turn.ask(slow, r#"{"request":"join","id":"j2","room":"lobby"}"#);
    let all = turn.lines(slow);
    let at = |what: &str| all.iter().position(|line| line.contains(what));
    assert!(at("\"gap\"") < at("\"reply\":\"l\""), "{all:?}");
    assert_eq!(numbers(&all[at("\"gap\"").unwrap()])[1], 10);
    assert!(all[at("j2").unwrap()].contains("\"seq\":10"));
}

#[test]
fn runs_of_a_room_that_was_left_are_told_as_a_gap_in_their_place() {
    let mut turn = Turn::new(Settings { outbox: Some(4_000), ..quiet() });
    let (a, slow) = (turn.native(), turn.control("bob"));
    turn.ask(slow, r#"{"request":"join","id":"j","room":"lobby"}"#);
    turn.lines(slow);
    turn.say(a, &chat("1"));
    turn.say(a, &chat("2"));
    turn.ask(slow, r#"{"request":"leave","id":"l","room":"lobby"}"#);
    turn.ask(slow, r#"{"request":"join","id":"k","room":"lobby"}"#);
    for _ in 0..40 {
        turn.say(a, &chat("more"));
    }
    let all = turn.lines(slow);
    let gaps: Vec<Vec<u64>> =
        all.iter().filter(|line| line.contains("gap")).map(|line| numbers(line)).collect();
    assert_eq!(gaps[..2], [[1, 1], [2, 2]]);
    assert_eq!(gaps[2][0], 3, "{all:?}");
}

#[test]
fn what_is_held_for_an_undecided_connection_keeps_within_its_queues_limit() {
    let mut turn = Turn::new(Settings { outbox: Some(2_000), ..quiet() });
    let (a, late) = (turn.native(), turn.dial());
    for count in 0..40 {
        turn.say(a, &chat(&format!("{count:200}")));
    }
    turn.say(late, &keepalive());
    assert!(turn.hub.pending(late) <= 2_000);
    let heard = turn.heard(late);
    assert!(heard.len() > 5 && heard.last().is_some_and(|line| line.ends_with(" 39")));
    assert_eq!(turn.closed(late), None);
}

#[test]
fn blocks_are_at_most_64_kib_and_everybody_gets_all_of_them() {
    let mut turn = Turn::new(Settings { outbox: None, store: None, ..quiet() });
    let (a, b) = (turn.native(), turn.native());
    for _ in 0..5 {
        for _ in 0..10 {
            turn.say_more(a, &chat(&"y".repeat(10_000)));
        }
        turn.settle();
    }
    assert!(turn.hub.memory().blocks >= 8);
    assert_eq!(turn.heard(b).len(), 50);
    assert_eq!(turn.hub.memory().blocks, 0);
}

/// Who had ended its side was given replies beyond its limit, behind what its rooms had said.
#[test]
fn who_ended_its_side_and_is_owed_more_than_it_may_have_waiting_is_closed() {
    let mut turn = Turn::new(Settings { outbox: Some(3_000), ..quiet() });
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    turn.ask(ada, r#"{"request":"join","id":"j","room":"ops"}"#);
    let post = |no: usize, text: &str| {
        format!(
            r#"{{"request":"post","id":"00000000-0000-4000-8000-{no:012}","room":"ops","text":"{text}"}}"#
        )
    };
    turn.ask(bob, &post(1, &"x".repeat(2_600)));
    turn.store = StoreMode::Holds;
    for no in 2..12 {
        turn.ask(ada, &post(no, "y"));
    }
    turn.hang_up(ada, HangUp::Eof);
    assert_eq!(turn.closed(ada), None, "it is owed its replies");
    turn.answer(10, true);
    assert_eq!(turn.closed(ada), Some(CloseReason::OutboxFull));
}
