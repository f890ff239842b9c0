//! A history that is kept: what became of a post, what a daemon that starts again knows, and replays of what memory has not.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use super::replay::{post, short};
use crate::store::{Fetched, Outcome};
use crate::testing::{StoreMode, Turn, has, quiet, uuid};
use crate::{CloseReason, ConnId, Durability, FetchError, HangUp, Settings};

/// A memory of a few messages, and a disk.
fn kept() -> Settings {
    Settings { durability: Durability::Sync, recent: Some(700), ..quiet() }
}

/// A room of so many messages, of which memory has three.
fn filled(count: u32) -> (Turn, ConnId) {
    let mut turn = Turn::new(kept());
    let ada = turn.control("ada");
    for count in 1..=count {
        post(&mut turn, ada, count, "ops", 10);
    }
    turn.read(ada);
    (turn, ada)
}

/// What a request is answered, as words.
fn asked(turn: &mut Turn, id: ConnId, request: &str) -> Vec<String> {
    turn.ask(id, request);
    short(&turn.read(id))
}

fn history(fields: &str) -> String {
    format!(r#"{{"request":"history","id":"h","room":"ops"{fields}}}"#)
}

fn join(after: u64) -> String {
    format!(r#"{{"request":"join","id":"j","room":"ops","after":{after}}}"#)
}

#[test]
fn a_message_that_was_stored_before_a_restart_gets_its_first_reply_again() {
    let (turn, _) = filled(5);
    let mut turn = turn.restarted();
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    turn.ask(bob, r#"{"request":"join","id":"j","room":"ops"}"#);
    turn.lines(bob);
    post(&mut turn, ada, 2, "ops", 10);
    assert!(has(&turn.lines(ada)[0], &["\"ok\":true", "\"seq\":2", &uuid(2)]));
    post(&mut turn, ada, 2, "ops", 11);
    assert!(has(&turn.lines(ada)[0], &["id_conflict"]), "other content");
    post(&mut turn, ada, 2, "dev", 10);
    assert!(has(&turn.lines(ada)[0], &["id_conflict"]), "another room");
    assert!(turn.lines(bob).is_empty(), "nothing was added");
    post(&mut turn, ada, 6, "ops", 10);
    assert!(
        has(&turn.lines(bob)[0], &["\"seq\":8"]),
        "numbers that were taken are not given again"
    );
}

#[test]
fn a_message_may_be_said_before_it_is_stored_and_is_acknowledged_when_it_is() {
    let mut turn = Turn::new(kept());
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    turn.ask(bob, r#"{"request":"join","id":"j","room":"ops"}"#);
    turn.lines(bob);
    turn.store = StoreMode::Holds;
    for count in 1..=2 {
        post(&mut turn, ada, count, "ops", 10);
        turn.takes();
        assert!(has(&turn.lines(bob)[0], &[&uuid(count)]));
        post(&mut turn, ada, count, "ops", 10);
        assert!(turn.lines(ada).is_empty(), "it is not promised yet");
        turn.says(if count == 1 { Outcome::Stored } else { Outcome::Refused });
        let replies = turn.lines(ada);
        assert!(replies.len() == 2 && replies[0] == replies[1], "{replies:?}");
        assert_eq!(has(&replies[0], &["\"ok\":true"]), count == 1);
    }
    assert_eq!(asked(&mut turn, bob, &history("")), ["h1", "=h"], "what is not stored is not told");
}

/// Where memory had no room for it, a message that was said and not yet stored was nowhere: who caught up then never got it.
#[test]
fn a_message_that_is_said_before_it_is_stored_is_replayed_from_memory() {
    let mut turn = Turn::new(Settings { recent: Some(0), ..kept() });
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    turn.store = StoreMode::Holds;
    for count in 1..=3 {
        post(&mut turn, ada, count, "ops", 10);
        turn.takes();
    }
    assert_eq!(asked(&mut turn, bob, &join(0)), ["h1", "h2", "h3", "=j"]);
    for _ in 1..=3 {
        turn.says(Outcome::Stored);
    }
    assert_eq!(turn.hub.memory().recent_bytes, 0, "then the disk has them");
    let eve = turn.control("eve");
    assert_eq!(asked(&mut turn, eve, &join(1)), ["h2", "h3", "=j"]);
}

#[test]
fn who_cannot_be_told_what_became_of_a_post_is_closed_without_a_reply() {
    for stored in [true, false] {
        let mut turn = Turn::new(kept());
        let (ada, bob) = (turn.control("ada"), turn.control("bob"));
        turn.ask(bob, r#"{"request":"join","id":"j","room":"ops"}"#);
        turn.lines(bob);
        turn.store = StoreMode::Holds;
        post(&mut turn, ada, 1, "ops", 10);
        turn.says(Outcome::Unknown { stored });
        assert_eq!(turn.closed(ada), Some(CloseReason::StoreBroke));
        assert_eq!(turn.lines(bob).len(), usize::from(stored), "what is there is heard");
        let eve = turn.control("eve");
        post(&mut turn, eve, 1, "ops", 10);
        turn.answer(turn.held.len(), true);
        assert!(has(&turn.lines(eve)[0], &["\"ok\":true"]));
        assert_eq!(turn.disk.places(&proto::RoomName::parse("ops").unwrap()).len(), 1);
    }
}

#[test]
fn a_daemon_that_starts_again_replays_what_was_kept_and_goes_on_behind_it() {
    let (turn, _) = filled(9);
    let mut turn = turn.restarted();
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    assert_eq!(asked(&mut turn, bob, &join(6)), ["h7", "h8", "h9", "=j"]);
    post(&mut turn, ada, 10, "ops", 10);
    assert_eq!(short(&turn.read(bob)), ["10"]);
    let eve = turn.control("eve");
    let tail = r#"{"request":"tail","id":"t","rooms":["ops"],"last":4}"#;
    assert_eq!(asked(&mut turn, eve, tail), ["h7", "h8", "h9", "h10", "=t"]);
}

#[test]
fn what_retention_took_is_a_gap_also_where_memory_had_it() {
    let (mut turn, ada) = filled(9);
    turn.prune("ops", 7);
    let bob = turn.control("bob");
    assert_eq!(asked(&mut turn, bob, &join(2)), ["3-7", "h8", "h9", "=j"]);
    turn.ask(bob, &history(""));
    let lines = turn.lines(bob);
    assert!(has(&lines[2], &["\"count\":2", "\"forgotten\":7", "\"more\":false"]), "{lines:?}");
    let eve = turn.control("eve");
    let tail = r#"{"request":"tail","id":"t","rooms":["ops"],"last":4}"#;
    assert_eq!(asked(&mut turn, eve, tail), ["h8", "h9", "=t"], "nothing before was asked for");
    for id in [ada, bob, eve] {
        turn.hang_up(id, HangUp::Eof);
    }
    turn.prune("ops", 9);
    let mut turn = turn.restarted();
    let bob = turn.control("bob");
    assert_eq!(asked(&mut turn, bob, &join(2)), ["3-9", "=j"], "a room that is gone has gaps, too");
}

#[test]
fn past_messages_come_from_the_store_and_from_memory_as_one_page() {
    let (mut turn, ada) = filled(9);
    let all: Vec<String> = (1..=9).map(|seq| format!("h{seq}")).chain(["=h".into()]).collect();
    assert_eq!(asked(&mut turn, ada, &history("")), all);
    assert_eq!(asked(&mut turn, ada, &history(r#","after":0"#)), all);
    assert_eq!(
        asked(&mut turn, ada, &history(r#","limit":5"#)),
        ["h5", "h6", "h7", "h8", "h9", "=h"]
    );
    assert_eq!(asked(&mut turn, ada, &history(r#","before":4,"limit":2"#)), ["h2", "h3", "=h"]);
    let page = history(r#","after":4,"limit":4"#);
    assert_eq!(asked(&mut turn, ada, &page), ["h5", "h6", "h7", "h8", "=h"]);
    turn.ask(ada, &page);
    assert!(has(&turn.lines(ada)[4], &["\"count\":4", "\"more\":true", "\"forgotten\":0"]));
    turn.ask(ada, &history(r#","search":"xxx","limit":3"#));
    let lines = turn.lines(ada);
    assert!(has(&lines[3], &["\"count\":3", "\"more\":true"]), "{lines:?}");
}

#[test]
fn requests_that_wait_for_the_store_are_answered_in_their_order_and_its_failure_is_told() {
    let (mut turn, ada) = filled(9);
    turn.finds_late = true;
    for (id, before) in [("a", 3), ("b", 5)] {
        let fields =
            format!(r#"{{"request":"history","id":"{id}","room":"ops","before":{before}}}"#);
        turn.ask(ada, &fields);
    }
    assert_eq!(turn.fetches.len(), 1, "one at a time");
    assert!(turn.find());
    assert_eq!(short(&turn.read(ada)), ["h1", "h2", "=a"]);
    let fetch = turn.fetches.pop_front().unwrap();
    turn.finds(Fetched { no: fetch.no, outcome: Err(FetchError::Unavailable) });
    assert!(has(&turn.lines(ada)[0], &["\"reply\":\"b\"", "store_unavailable"]));
    turn.ask(ada, &join(0));
    turn.ask(ada, &history(r#","before":3"#));
    assert_eq!(turn.fetches.len(), 2);
    turn.hang_up(ada, HangUp::Reset);
    while turn.find() {}
    assert!(turn.closed(ada).is_some(), "what comes for who is gone is dropped");
}

/// The gap of what retention took was lost where the message behind it was too long for its reader.
#[test]
fn what_retention_took_is_told_before_a_message_that_is_too_long() {
    let mut turn = Turn::new(Settings { outbox: Some(3_000), recent: Some(0), ..kept() });
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    for (count, length) in [(1, 10), (2, 10), (3, 4_000), (4, 10)] {
        post(&mut turn, ada, count, "ops", length);
        turn.read(ada);
    }
    turn.finds_late = true;
    turn.ask(bob, &join(0));
    // The page is read behind it, and the hub has not heard of it.
    turn.disk.prune(&proto::RoomName::parse("ops").unwrap(), proto::Seq(2)).unwrap();
    let mut told = Vec::new();
    while turn.find() {
        told.extend(short(&turn.read(bob)));
    }
    assert_eq!(told, ["1-2", "3-3", "h4", "=j"]);
}

#[test]
fn who_ends_its_side_during_a_replay_is_told_what_it_does_not_get() {
    let (mut turn, _) = filled(9);
    turn.finds_late = true;
    let bob = turn.control("bob");
    turn.ask(bob, &join(2));
    turn.hang_up(bob, HangUp::Eof);
    assert_eq!(short(&turn.read(bob)), ["3-9", "=j"], "nothing is awaited from the disk");
    assert_eq!(turn.closed(bob), Some(CloseReason::PeerClosed));
    while turn.find() {}
}
