//! Rooms that always exist.

extern crate std;

use std::collections::BTreeMap;

use proto::RoomName;

use super::replay::{post, short};
use crate::testing::{Turn, quiet};
use crate::{Durability, HangUp, LastingRoom, Settings};

const JOIN: &str = r#"{"request":"join","id":"j","room":"ops"}"#;
const TOPIC: &str = r#"{"request":"topic","id":"t","room":"ops"}"#;
const ROOMS: &str = r#"{"request":"rooms","id":"r"}"#;

fn lasting(rooms: &[(&str, &str)]) -> Settings {
    let room = |(name, topic): &(&str, &str)| {
        let topic = Some(*topic).filter(|topic| !topic.is_empty()).map(Into::into);
        (RoomName::parse(name).unwrap(), LastingRoom { topic })
    };
    let lasting_rooms: BTreeMap<_, _> = rooms.iter().map(room).collect();
    Settings { lasting_rooms, recent: Some(0), ..quiet() }
}

fn has(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part))
}

#[test]
fn a_room_that_always_exists_is_there_from_the_start_and_stays_with_its_topic() {
    let mut turn = Turn::new(lasting(&[("ops", "deploys"), ("dev", "")]));
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    turn.ask(ada, ROOMS);
    assert!(has(&turn.lines(ada)[0], &["\"dev\",\"members\":0", "\"lobby\"", "\"ops\""]));
    turn.ask(ada, TOPIC);
    let told = ["\"topic\":\"deploys\"", "\"by\":\"chatd\"", "1970-01-01T00:00:01"];
    assert!(has(&turn.lines(ada)[0], &told));
    turn.ask(ada, JOIN);
    turn.ask(ada, r#"{"request":"topic","id":"s","room":"ops","topic":"tea"}"#);
    turn.ask(ada, r#"{"request":"leave","id":"l","room":"ops"}"#);
    turn.hang_up(ada, HangUp::Reset);
    assert_eq!(turn.hub.rooms.len(), 3, "nobody is there, and nothing was said");
    turn.ask(bob, TOPIC);
    assert!(has(&turn.lines(bob)[0], &["\"topic\":\"tea\"", "\"by\":\"ada\""]));
}

#[test]
fn a_reload_makes_rooms_and_lets_others_go_and_a_topic_is_told() {
    let mut turn = Turn::new(lasting(&[("ops", "deploys"), ("dev", "code")]));
    let (ada, all) = (turn.control("ada"), turn.control("all"));
    turn.ask(all, r#"{"request":"tail","id":"t"}"#);
    turn.ask(ada, JOIN);
    turn.ask(ada, r#"{"request":"topic","id":"s","room":"ops","topic":"tea"}"#);
    turn.lines(ada);
    turn.lines(all);
    let mut same = lasting(&[("ops", "deploys"), ("new", "news")]);
    turn.reloads_as(same.clone());
    assert!(turn.lines(ada).is_empty(), "what a member decided stays");
    let dev = RoomName::parse("dev").unwrap();
    assert!(turn.hub.rooms.find(&dev).is_none(), "nobody was there");
    post(&mut turn, ada, 1, "new", 10);
    assert!(turn.lines(all).last().unwrap().contains("\"new\""), "who hears everything hears it");
    same = lasting(&[("ops", "deploys again")]);
    turn.lines(ada);
    turn.reloads_as(same);
    let told = ["\"topic\"", "\"nick\":\"chatd\"", "deploys again"];
    assert!(has(&turn.lines(ada)[0], &told));
    assert!(has(turn.lines(all).last().unwrap(), &told));
    assert_eq!(
        turn.hub.rooms.len(),
        2,
        "the room that was named no more went, as nobody was in it"
    );
}

#[test]
fn a_room_that_somebody_made_is_the_operators_once_it_always_exists() {
    let mut turn = Turn::new(Settings { rooms_made: Some(1), ..lasting(&[]) });
    let ada = turn.control("ada");
    turn.ask(ada, JOIN);
    turn.lines(ada);
    turn.reloads_as(Settings { rooms_made: Some(1), ..lasting(&[("ops", "x"), ("lobby", "y")]) });
    assert!(has(&turn.lines(ada)[0], &["\"topic\":\"x\""]));
    turn.ask(ada, r#"{"request":"join","id":"k","room":"dev"}"#);
    assert!(has(&turn.lines(ada)[0], &["\"ok\":true"]), "it counts for nobody");
    turn.reloads_as(lasting(&[]));
    turn.hang_up(ada, HangUp::Reset);
    assert_eq!(turn.hub.rooms.len(), 1, "the default room stays in any case");
}

#[test]
fn a_room_that_always_exists_goes_on_behind_what_was_kept_of_it() {
    let settings = || Settings { durability: Durability::Sync, ..lasting(&[("ops", "deploys")]) };
    let mut turn = Turn::new(settings());
    let ada = turn.control("ada");
    for count in 1..=3 {
        post(&mut turn, ada, count, "ops", 10);
    }
    let mut turn = turn.restarted();
    let ada = turn.control("ada");
    turn.ask(ada, r#"{"request":"join","id":"j","room":"ops","after":1}"#);
    assert_eq!(short(&turn.read(ada)), ["h2", "h3", "=j"]);
    turn.hang_up(ada, HangUp::Eof);
    turn.prune("ops", 3);
    let mut turn = turn.restarted();
    let ada = turn.control("ada");
    turn.ask(ada, r#"{"request":"join","id":"j","room":"ops","after":1}"#);
    assert_eq!(short(&turn.read(ada)), ["2-3", "=j"], "what retention took is known");
    post(&mut turn, ada, 4, "ops", 10);
    assert!(turn.lines(ada)[0].contains("\"seq\":4"));
}
