//! Who comes and goes: each in small rooms, gathered in large ones; and what rooms are about.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::testing::{StoreMode, Turn, quiet};
use crate::{ConnId, HangUp};

fn v1(turn: &mut Turn, count: usize, rest: &str) -> ConnId {
    let id = turn.dial();
    let mut bytes = Vec::new();
    let hello = format!(r#"{{"request":"hello","id":"h","nick":"n{count:04}"}}"#);
    proto::native::v1_frame(hello.as_bytes(), &mut bytes);
    proto::native::v1_frame(rest.as_bytes(), &mut bytes);
    turn.say(id, &bytes);
    id
}

const JOIN: &str = r#"{"request":"join","id":"j","room":"ops"}"#;

/// So many members, and what they heard until then forgotten.
fn members(turn: &mut Turn, count: usize) -> Vec<ConnId> {
    let all: Vec<ConnId> = (0..count).map(|count| v1(turn, count, JOIN)).collect();
    turn.wait(1_100);
    for id in &all {
        turn.read(*id);
    }
    all
}

/// The events of rooms that a connection reads, in whatever frames.
fn events(turn: &mut Turn, id: ConnId) -> Vec<String> {
    let bytes = turn.read(id);
    let all = String::from_utf8_lossy(&bytes).into_owned();
    let event = |rest: &str| String::from(rest.split('}').next().unwrap());
    all.split("{\"event\":").skip(1).map(event).collect()
}

#[test]
fn a_thousand_people_who_come_back_do_not_make_a_million_events() {
    let mut turn = Turn::new(quiet());
    let witness = v1(&mut turn, 9_999, JOIN);
    let mut all = Vec::new();
    for count in 0..1_000 {
        all.push(v1(&mut turn, count, JOIN));
        if count % 200 == 199 {
            turn.wait(1_010);
        }
    }
    let heard: usize = all.iter().map(|id| events(&mut turn, *id).len()).sum();
    assert!(heard < 50 * 50 / 2 + 5 * 1_000, "{heard} events are for a thousand people");
    let of_witness = events(&mut turn, witness);
    let (single, gathered) = of_witness.split_at(49);
    assert!(single.iter().all(|event| event.starts_with("\"joined\"")));
    assert_eq!(gathered.len(), 5, "one by second");
    let last = &gathered[4];
    assert!(last.contains(r#""members":1001,"joined":["n0800","#), "{last}");
    assert!(last.ends_with(r#""n0819"],"left":[],"joined_count":200,"left_count":0"#), "{last}");
}

/// A switch that restarts takes a thousand away and gives them back: whoever stays hears of it by the second, and so do they.
#[test]
fn a_thousand_who_are_lost_and_come_back_make_a_few_thousand_events() {
    const SECONDS: usize = 4;
    let mut turn = Turn::new(quiet());
    let witness = v1(&mut turn, 9_999, JOIN);
    let all = members(&mut turn, 1_000);
    turn.read(witness);
    let (half, rest) = all.split_at(500);
    // So many at once are gone and back before anybody is told.
    for (count, id) in half.iter().enumerate() {
        turn.hang_up(*id, HangUp::Reset);
        v1(&mut turn, count, JOIN);
    }
    turn.wait(1_010);
    let heard: usize = rest.iter().map(|id| events(&mut turn, *id).len()).sum();
    assert_eq!(heard, 0, "nobody has come or gone");
    for id in rest {
        turn.hang_up(*id, HangUp::Reset);
    }
    turn.wait(1_010);
    assert_eq!(events(&mut turn, witness).len(), 1, "500 left in one event");
    let mut back = Vec::new();
    for count in 500..1_000 {
        back.push(v1(&mut turn, count, JOIN));
        if (count + 1) % (500 / SECONDS) == 0 {
            turn.wait(1_010);
        }
    }
    let of_witness = events(&mut turn, witness);
    assert_eq!(of_witness.len(), SECONDS, "one by second: {of_witness:?}");
    let heard: usize = back.iter().map(|id| events(&mut turn, *id).len()).sum();
    assert!(heard <= SECONDS * back.len(), "{heard} events are for 500 who came");
    assert!(of_witness[SECONDS - 1].contains(r#""members":1001,"#), "{of_witness:?}");
}

#[test]
fn fifty_are_told_at_once_and_the_next_is_gathered() {
    let mut turn = Turn::new(quiet());
    let all = members(&mut turn, 50);
    turn.hang_up(all[49], HangUp::Reset);
    let more = v1(&mut turn, 50, JOIN);
    let said =
        |events: &[String]| events.iter().map(|event| event[1..5].into()).collect::<Vec<String>>();
    assert_eq!(said(&events(&mut turn, all[0])), ["left", "join"]);
    let one_more = v1(&mut turn, 51, JOIN);
    assert!(events(&mut turn, all[0]).is_empty(), "it is gathered");
    turn.hang_up(more, HangUp::Reset);
    turn.hang_up(all[48], HangUp::Reset);
    assert!(events(&mut turn, all[0]).is_empty(), "and so is all until that is told");
    turn.wait(1_010);
    let told = events(&mut turn, one_more).pop().unwrap();
    assert!(told.contains(r#""members":49,"joined":["n0051"],"left":["n0048","n0050"]"#), "{told}");
    turn.hang_up(all[47], HangUp::Reset);
    assert_eq!(said(&events(&mut turn, one_more)), ["left"]);
}

#[test]
fn who_comes_and_goes_within_a_second_is_not_told() {
    let mut turn = Turn::new(quiet());
    let all = members(&mut turn, 60);
    turn.hang_up(all[7], HangUp::Reset);
    v1(&mut turn, 7, JOIN);
    let guest = v1(&mut turn, 100, JOIN);
    turn.hang_up(guest, HangUp::Reset);
    turn.wait(2_000);
    assert!(all[8..].iter().all(|id| events(&mut turn, *id).is_empty()));
    assert_eq!(turn.hub.deadline(), None, "and nothing is left to be told");
}

#[test]
fn names_and_absences_are_not_told_in_a_large_room() {
    let mut turn = Turn::new(quiet());
    let all = members(&mut turn, 60);
    for request in [
        r#"{"request":"nick","id":"1","nick":"other"}"#,
        r#"{"request":"away","id":"2","text":"lunch"}"#,
    ] {
        let mut bytes = Vec::new();
        proto::native::v1_frame(request.as_bytes(), &mut bytes);
        turn.say(all[3], &bytes);
    }
    turn.wait(1_100);
    assert!(events(&mut turn, all[0]).is_empty());
    turn.hang_up(all[3], HangUp::Reset);
    turn.wait(1_100);
    assert!(events(&mut turn, all[0])[0].contains(r#""left":["other"]"#));
}

#[test]
fn what_was_gathered_waits_behind_a_post_that_the_store_has() {
    let mut turn = Turn::new(quiet());
    let all = members(&mut turn, 60);
    turn.hang_up(all[9], HangUp::Reset);
    turn.hang_up(all[10], HangUp::Reset);
    turn.store = StoreMode::Holds;
    let author = turn.control("ada");
    let uuid = "00000000-0000-4000-8000-000000000001";
    turn.ask(author, &format!(r#"{{"request":"post","id":"{uuid}","room":"ops","text":"hi"}}"#));
    turn.wait(1_100);
    assert!(events(&mut turn, all[0]).is_empty(), "nothing overtakes a message");
    turn.answer(1, true);
    let heard = events(&mut turn, all[0]);
    assert!(heard[0].starts_with("\"message\"") && heard[1].starts_with("\"presence\""));
    assert_eq!(heard.len(), 2);
}

#[test]
fn what_is_gathered_for_nobody_is_forgotten() {
    let mut turn = Turn::new(quiet());
    for id in members(&mut turn, 60) {
        turn.hang_up(id, HangUp::Reset);
    }
    assert_eq!(turn.hub.deadline(), None);
    assert_eq!(turn.hub.rooms.len(), 1, "the room is gone");
}

#[test]
fn a_gathering_of_very_many_names_is_told_before_its_time() {
    let mut turn = Turn::new(quiet());
    let all = members(&mut turn, 60);
    let no = turn.hub.rooms.find(&proto::RoomName::parse("ops").unwrap()).unwrap();
    let mut out = crate::Outbox::default();
    for count in 0..crate::settings::PRESENCE_CHANGES_MAX {
        let nick = proto::Nick::parse(&format!("x{count}")).unwrap();
        let conn = all[0];
        turn.hub.announce(no, crate::rooms::Pending::Joined { conn, nick }, &mut out);
    }
    turn.settle();
    assert!(events(&mut turn, all[1])[0].contains(r#""joined_count":4096"#));
    assert_eq!(turn.hub.deadline(), None);
}

#[test]
fn a_topic_takes_its_place_behind_a_post_and_its_setter_gets_the_reply() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    for id in [ada, bob] {
        turn.ask(id, JOIN);
    }
    turn.store = StoreMode::Holds;
    let uuid = "00000000-0000-4000-8000-000000000001";
    turn.ask(ada, &format!(r#"{{"request":"post","id":"{uuid}","room":"ops","text":"hi"}}"#));
    turn.read(ada);
    turn.read(bob);
    turn.ask(ada, r#"{"request":"topic","id":"t","room":"ops","topic":"tea"}"#);
    turn.ask(ada, r#"{"request":"topic","id":"u","room":"ops","topic":"tea"}"#);
    let replies = turn.lines(ada);
    assert!(replies[0].contains(r#""topic":"tea","by":"ada""#), "{replies:?}");
    assert_eq!(replies[0].replace("\"t\"", ""), replies[1].replace("\"u\"", ""));
    turn.ask(bob, r#"{"request":"topic","id":"b","room":"ops"}"#);
    assert!(turn.lines(bob)[0].contains(r#""topic":"tea""#), "whoever asks is told at once");
    turn.answer(1, true);
    let heard = events(&mut turn, bob);
    assert!(heard[0].starts_with("\"message\"") && heard[1].starts_with("\"topic\""));
    assert_eq!(heard.len(), 2, "the same topic again is no news");
    assert!(events(&mut turn, ada).is_empty());
}

/// Another name for one of two who came under the same one made a name more than there may be, and the next who came a panic.
#[test]
fn a_gathering_that_another_name_fills_is_told_before_its_time() {
    let mut turn = Turn::new(quiet());
    let all = members(&mut turn, 60);
    let no = turn.hub.rooms.find(&proto::RoomName::parse("ops").unwrap()).unwrap();
    let nick = |name: &str| proto::Nick::parse(name).unwrap();
    let (mut out, conn) = (crate::Outbox::default(), all[0]);
    let mut comes = |turn: &mut Turn, name: &str| {
        let what = crate::rooms::Pending::Joined { conn, nick: nick(name) };
        turn.hub.announce(no, what, &mut out);
    };
    comes(&mut turn, "x1");
    for count in 1..crate::settings::PRESENCE_CHANGES_MAX {
        comes(&mut turn, &format!("x{count}"));
    }
    let renamed =
        crate::rooms::Pending::Renamed { conn, nick: nick("x1"), new_nick: nick("other") };
    turn.hub.announce(no, renamed, &mut crate::Outbox::default());
    comes(&mut turn, "one more");
    turn.settle();
    assert!(events(&mut turn, all[1])[0].contains(r#""joined_count":4096"#));
    turn.wait(1_010);
    assert!(events(&mut turn, all[1])[0].contains(r#""joined":["one more"]"#));
    assert_eq!(turn.hub.deadline(), None);
}

/// Who goes on following a room was told that it left itself.
#[test]
fn who_leaves_and_goes_on_following_does_not_hear_of_itself() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    for id in [ada, bob] {
        turn.ask(id, r#"{"request":"tail","id":"t","rooms":["ops"]}"#);
        turn.ask(id, JOIN);
        turn.read(ada);
    }
    turn.read(bob);
    turn.ask(ada, r#"{"request":"leave","id":"l","room":"ops"}"#);
    assert!(events(&mut turn, ada).is_empty());
    assert_eq!(events(&mut turn, bob).len(), 1);
}
