//! The budget of a turn is one of work: a frame that makes the server do much is as many frames.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::testing::{Turn, quiet};
use crate::{ConnId, Settings};

fn frame(json: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    proto::native::v1_frame(json.as_bytes(), &mut bytes);
    bytes
}

/// A v1 client of this name in so many rooms.
fn client(turn: &mut Turn, name: &str, rooms: usize) -> ConnId {
    let id = turn.dial();
    turn.say(id, &frame(&format!(r#"{{"request":"hello","id":"h","nick":"{name}"}}"#)));
    for room in 0..rooms {
        turn.say(id, &frame(&format!(r#"{{"request":"join","id":"j","room":"r{room}"}}"#)));
    }
    turn.read(id);
    id
}

/// How many replies to requests of the id `n` are there.
fn replies(turn: &mut Turn, id: ConnId) -> usize {
    String::from_utf8_lossy(&turn.read(id)).matches(r#""reply":"n""#).count()
}

fn aways(count: usize) -> Vec<u8> {
    let away = |no| frame(&format!(r#"{{"request":"away","id":"n","text":"{no}"}}"#));
    (0..count).flat_map(away).collect()
}

#[test]
fn an_away_in_a_hundred_rooms_is_a_hundred_frames_of_the_turn() {
    let mut turn = Turn::new(Settings { rooms_made: None, ..quiet() });
    let ada = client(&mut turn, "ada", 100);
    turn.frames = 64;
    turn.say(ada, &aways(4));
    assert_eq!(replies(&mut turn, ada), 1, "one is more than its share of the turn");
    assert!(turn.hub.has_kept_work(ada) && !turn.hub.wants_read(ada), "the rest stays");
    for left in (0..3).rev() {
        turn.say(ada, b"");
        assert_eq!((replies(&mut turn, ada), turn.hub.has_kept_work(ada)), (1, left > 0));
    }
}

#[test]
fn who_is_away_in_no_room_costs_the_turn_a_frame() {
    let mut turn = Turn::new(quiet());
    let ada = client(&mut turn, "ada", 0);
    turn.frames = 64;
    turn.say(ada, &aways(64));
    assert_eq!(replies(&mut turn, ada), 64);
}

/// An administrator, and a list of bans of 45 KiB.
fn long_list(settings: Settings) -> (Turn, ConnId) {
    let mut turn = Turn::new(settings);
    let (root, why) = (turn.control("root"), "because ".repeat(45));
    for no in 0..100 {
        turn.ask(
            root,
            &format!(r#"{{"request":"ban","id":"b","nick":"nobody-{no}","reason":"{why}"}}"#),
        );
        turn.wait(200);
        turn.read(root);
    }
    turn.wait(10_000);
    (turn, root)
}

const BANS: &str = "{\"request\":\"bans\",\"id\":\"n\"}\n";

#[test]
fn long_replies_are_as_many_frames_as_they_have_kib() {
    let (mut turn, root) = long_list(quiet());
    turn.frames = 64;
    turn.say(root, BANS.repeat(10).as_bytes());
    assert_eq!(replies(&mut turn, root), 2, "one leaves less than a second needs");
    assert!(turn.hub.has_kept_work(root), "the rest stays");
}

#[test]
fn an_away_costs_its_share_a_message_more_by_room() {
    let made = Settings { rooms_made: None, ..quiet() };
    let mut turn = Turn::new(Settings { messages_per_s: Some(10), message_burst: 40, ..made });
    let ada = client(&mut turn, "ada", 30);
    turn.wait(10_000);
    turn.say(ada, &aways(3));
    assert_eq!(replies(&mut turn, ada), 2, "31 of 40, then 31 more");
    turn.wait(2_200);
    assert_eq!(replies(&mut turn, ada), 0);
    turn.wait(200);
    assert_eq!(replies(&mut turn, ada), 1, "22 more than the burst, and one for itself");
    let same = frame(r#"{"request":"away","id":"n"}"#);
    turn.wait(10_000);
    turn.say(ada, &same.repeat(30));
    assert_eq!(replies(&mut turn, ada), 30, "who changes nothing tells nobody");
}

#[test]
fn a_long_look_up_costs_a_message_more_by_16_kib() {
    let (mut turn, root) =
        long_list(Settings { messages_per_s: Some(10), message_burst: 40, ..quiet() });
    turn.say(root, BANS.repeat(20).as_bytes());
    assert_eq!(replies(&mut turn, root), 14, "45 KiB are two messages more");
    turn.wait(10_000);
    turn.read(root);
    turn.say(root, b"{\"request\":\"stats\",\"id\":\"n\"}\n".repeat(41).as_slice());
    assert_eq!(replies(&mut turn, root), 40, "a short one is one message");
}

#[test]
fn a_room_of_many_costs_the_turn_by_its_members_once() {
    let mut turn = Turn::new(quiet());
    for no in 0..130 {
        client(&mut turn, &format!("n{no}"), 1);
    }
    let ada = client(&mut turn, "ada", 0);
    turn.frames = 64;
    let post = |no: usize| {
        let id = format!("00000000-0000-4000-8000-{no:012}");
        frame(&format!(r#"{{"request":"post","id":"{id}","room":"r0","text":"x"}}"#))
    };
    turn.say(ada, &(0..100).flat_map(post).collect::<Vec<u8>>());
    assert_eq!(turn.hub.stats().messages, 62, "the first is 3 frames of 64");
    turn.say(ada, b"");
    assert_eq!(turn.hub.stats().messages, 100);
}

#[test]
fn timers_that_make_much_are_as_many_timers_of_the_turn() {
    let mut turn = Turn::new(quiet());
    let rooms = 3;
    for no in 0..130 {
        client(&mut turn, &format!("n{no}"), rooms);
    }
    turn.now = turn.now.after(proto::Span::from_secs(2));
    let done = turn.hub.expire(turn.now, 1_000, &mut crate::Outbox::default());
    let told = 3 * (1 + 130 / 64);
    assert_eq!(done, 130 + told, "each room gathers who came, and its members are told");
}
