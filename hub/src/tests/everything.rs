//! Following everything where there are many rooms: they are entered and left in portions, and nothing is missed or doubled.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::testing::{Turn, quiet};
use crate::{ConnId, HangUp, Settings};

/// Somebody who said something in each of so many rooms.
fn filled(rooms: u32) -> (Turn, ConnId) {
    let mut turn = Turn::new(Settings { rooms_joined: Some(1), rooms_made: None, ..quiet() });
    let ada = turn.control("ada");
    for room in 0..rooms {
        post(&mut turn, ada, room, room);
    }
    (turn, ada)
}

fn post(turn: &mut Turn, author: ConnId, count: u32, room: u32) {
    let id = format!("00000000-0000-4000-8000-{count:012}");
    turn.ask(
        author,
        &format!(r#"{{"request":"post","id":"{id}","room":"r{room}","text":"{count}"}}"#),
    );
    turn.read(author);
}

/// The texts that somebody gets, the rooms of its gaps and its replies.
fn texts(lines: &[String]) -> Vec<String> {
    let between = |line: &String, from: &str| {
        let rest = line.split_once(from)?.1;
        rest.split_once('"').map(|(text, _)| String::from(text))
    };
    let short = |line: &String| {
        between(line, r#""text":""#)
            .or_else(|| between(line, r#""reply":""#).map(|id| format!("={id}")))
            .unwrap_or_else(|| line.clone())
    };
    lines.iter().map(short).collect()
}

#[test]
fn many_rooms_are_entered_in_portions_and_then_comes_the_reply() {
    let (mut turn, ada) = filled(600);
    let bob = turn.control("bob");
    turn.say_more(bob, b"{\"request\":\"tail\",\"id\":\"t\"}\n");
    assert!(turn.lines(bob).is_empty(), "it is not in all of them");
    assert_eq!(turn.hub.deadline(), Some(turn.now), "the loop does not sleep");
    // A room that is made meanwhile is heard, and one that it names does not count more than the others.
    post(&mut turn, ada, 1_000, 601);
    turn.settle();
    turn.settle();
    let got = texts(&turn.lines(bob));
    assert_eq!(got, ["1000", "=t"]);
    turn.settle();
    for room in [0, 300, 599] {
        post(&mut turn, ada, 2_000 + room, room);
    }
    assert_eq!(texts(&turn.lines(bob)), ["2000", "2300", "2599"]);
}

#[test]
fn what_is_replayed_of_many_rooms_comes_once_whoever_speaks_meanwhile() {
    let (mut turn, ada) = filled(600);
    let bob = turn.control("bob");
    let requests = [
        r#"{"request":"tail","id":"t","after":0}"#,
        r#"{"request":"join","id":"j","room":"r599","after":0}"#,
        r#"{"request":"tail","id":"u","rooms":["r599"],"after":0}"#,
        r#"{"request":"tail","id":"v","after":0}"#,
    ];
    for request in requests {
        turn.say_more(bob, format!("{request}\n").as_bytes());
    }
    let mut got = turn.lines(bob);
    assert_eq!(got.len(), 3, "one replay of a room at a time");
    assert!(got.iter().all(|line| line.contains("is being replayed")), "{got:?}");
    got.clear();
    let mut count = 1_000;
    while !got.iter().any(|line| line.contains(r#""reply":"t""#)) {
        for room in [0, 300, 599] {
            post(&mut turn, ada, count, room);
            count += 1;
        }
        got.extend(turn.lines(bob));
    }
    post(&mut turn, ada, 5_000, 599);
    got.extend(turn.lines(bob));
    let mut texts = texts(&got);
    assert_eq!(texts.pop().as_deref(), Some("5000"));
    texts.retain(|text| text != "=t");
    let mut numbers: Vec<u32> = texts.iter().map(|text| text.parse().unwrap()).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (0..600).chain(1_000..count).collect::<Vec<u32>>());
}

#[test]
fn rooms_that_are_named_meanwhile_are_heard_as_all_are() {
    let (mut turn, ada) = filled(600);
    let bob = turn.control("bob");
    turn.say_more(bob, b"{\"request\":\"tail\",\"id\":\"t\"}\n");
    turn.say_more(bob, b"{\"request\":\"tail\",\"id\":\"u\",\"rooms\":[\"r598\",\"r599\"]}\n");
    turn.say_more(bob, b"{\"request\":\"join\",\"id\":\"j\",\"room\":\"r597\"}\n");
    turn.settle();
    turn.settle();
    turn.lines(bob);
    post(&mut turn, ada, 1_000, 598);
    post(&mut turn, ada, 1_001, 597);
    assert_eq!(texts(&turn.lines(bob)), ["1000", "1001"]);
}

#[test]
fn who_ends_before_it_is_in_all_rooms_is_told_so() {
    let (mut turn, _) = filled(1_000);
    let bob = turn.control("bob");
    turn.say_more(bob, b"{\"request\":\"tail\",\"id\":\"t\"}\n");
    turn.hang_up(bob, HangUp::Eof);
    let lines = turn.lines(bob);
    assert!(lines[0].contains(r#""reply":"t","ok":false,"error":"limit_reached""#), "{lines:?}");
}

#[test]
fn who_was_in_many_rooms_goes_from_them_in_portions() {
    let (mut turn, ada) = filled(1_000);
    let bob = turn.control("bob");
    turn.ask(bob, r#"{"request":"tail","id":"t"}"#);
    (0..3).for_each(|_| turn.settle());
    assert_eq!(texts(&turn.lines(bob)), ["=t"]);
    turn.hang_up(bob, HangUp::Reset);
    assert!(turn.hub.connections.get(bob).is_some(), "it stands in some rooms");
    assert_eq!(turn.hub.deadline(), Some(turn.now), "the loop does not sleep");
    post(&mut turn, ada, 5_000, 1_500);
    turn.wait(10);
    assert!(turn.hub.connections.get(bob).is_none());
}
