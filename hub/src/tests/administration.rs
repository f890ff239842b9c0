//! What administrators do: who is closed and kept out, what everybody is told, who is connected and why something waits.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use proto::Transport;

use crate::testing::{Turn, chat, keepalive, nick, quiet, spoken};
use crate::{
    CloseReason, ConnId, HangUp, Level, Measured, Notice, Peer, RefusalReason, Rights, Settings,
};

fn at(address: &str) -> Peer {
    Peer {
        transport: Transport::Stream,
        address: format!("{address}:1").into(),
        ip: Some(address.parse().unwrap()),
        login: None,
        rights: Rights::TALK,
        exempt: true,
        protocols: proto::Protocols::ALL,
    }
}

/// A v0.5 client from an address, with a name.
fn named(turn: &mut Turn, address: &str, name: &str) -> ConnId {
    let id = turn.arrive(at(address)).unwrap();
    turn.say(id, &nick(1, name));
    assert_eq!(turn.heard(id), ["ack 1"]);
    id
}

/// What one request of root is answered.
fn asked(turn: &mut Turn, root: ConnId, json: &str) -> String {
    turn.ask(root, json);
    turn.lines(root).pop().unwrap_or_default()
}

fn done(turn: &Turn) -> Vec<String> {
    let administered = turn.notices.iter().filter(|n| matches!(n, Notice::Administered { .. }));
    administered.map(|notice| format!("{notice}")).collect()
}

#[test]
fn who_is_kicked_gets_what_waits_and_its_name_is_free() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    let (ada, bob) = (named(&mut turn, "192.0.2.1", "Ada"), named(&mut turn, "192.0.2.2", "Bob"));
    turn.say(bob, &chat("before"));
    let reply = asked(&mut turn, root, r#"{"request":"kick","id":"1","nick":"aDA"}"#);
    assert_eq!(reply, r#"{"reply":"1","ok":true,"closed":1}"#);
    assert_eq!(turn.closed(ada), None, "it gets what waits for it");
    turn.say(ada, &chat("not heard any more"));
    assert_eq!(turn.heard(ada), ["Bob: before"]);
    assert_eq!(turn.closed(ada), Some(CloseReason::Kicked));
    turn.say(bob, &nick(2, "ada"));
    assert_eq!(turn.heard(bob), ["ack 2"]);
    assert_eq!(done(&turn), ["root kicks aDA"]);
}

#[test]
fn nothing_comes_behind_a_bye_though_the_kernel_was_asked_before() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    let connections = r#"{"request":"connections","id":"1"}"#;
    let kick = r#"{"request":"kick","id":"2","nick":"root"}"#;
    turn.say(root, format!("{connections}\n{kick}\n").as_bytes());
    let lines = turn.lines(root);
    assert_eq!(lines.last().unwrap(), r#"{"event":"bye","reason":"Kicked by an administrator."}"#);
    assert_eq!(turn.closed(root), Some(CloseReason::Kicked));
}

#[test]
fn who_does_not_go_when_kicked_is_closed_the_second_time_or_in_time() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    let (ada, bob) = (named(&mut turn, "192.0.2.1", "Ada"), named(&mut turn, "192.0.2.2", "Bob"));
    let carol = named(&mut turn, "192.0.2.3", "Carol");
    turn.say(bob, &chat("nobody reads this"));
    for who in ["Ada", "Carol"] {
        turn.ask(root, &format!(r#"{{"request":"kick","id":"1","nick":"{who}"}}"#));
    }
    turn.ask(root, r#"{"request":"kick","id":"2","nick":"Ada"}"#);
    assert_eq!(turn.closed(ada), Some(CloseReason::Kicked));
    assert_eq!(turn.closed(carol), None);
    turn.wait(5_000);
    assert_eq!(turn.closed(carol), Some(CloseReason::Kicked));
    let last = asked(&mut turn, root, r#"{"request":"kick","id":"3","nick":"Ada"}"#);
    assert!(last.contains("no_such_nick"), "{last}");
}

#[test]
fn an_administrator_may_kick_itself_and_gets_the_reply_first() {
    let mut turn = Turn::new(quiet());
    let (root, other) = (turn.control("root"), turn.control("root"));
    turn.ask(root, r#"{"request":"kick","id":"1","nick":"root","reason":"enough"}"#);
    let bye = r#"{"event":"bye","reason":"Kicked: enough"}"#;
    assert_eq!(turn.lines(root), [r#"{"reply":"1","ok":true,"closed":2}"#, bye]);
    assert_eq!(turn.lines(other), [bye]);
    assert!(turn.hub.is_empty());
}

#[test]
fn a_session_names_one_connection_for_ever() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    let ada = turn.dial();
    let kick = |who: ConnId| format!(r#"{{"request":"kick","id":"1","session":{}}}"#, who.as_u64());
    assert!(asked(&mut turn, root, &kick(ada)).contains(r#""closed":1"#));
    assert_eq!(turn.closed(ada), Some(CloseReason::Kicked), "who is undecided is closed at once");
    let newborn = turn.dial();
    assert_eq!(newborn.index(), ada.index());
    assert!(asked(&mut turn, root, &kick(ada)).contains("no_such_nick"));
    assert_eq!(turn.closed(newborn), None);
}

#[test]
fn a_banned_network_is_closed_refused_and_let_in_when_it_is_over() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    let ada = named(&mut turn, "192.0.2.1", "Ada");
    let bob = named(&mut turn, "198.51.100.1", "Bob");
    let silent = turn.arrive(at("192.0.2.99")).unwrap();
    let mapped = turn.arrive(at("::ffff:192.0.2.7")).unwrap();
    let ban =
        r#"{"request":"ban","id":"1","network":"192.0.2.77/24","seconds":60,"reason":"spam"}"#;
    assert!(asked(&mut turn, root, ban).contains(r#""closed":3,"until":"1970-01-01T00:01:01"#));
    for id in [ada, silent, mapped] {
        assert_eq!(turn.closed(id), Some(CloseReason::Banned));
    }
    assert_eq!(turn.closed(bob), None);
    assert_eq!(turn.arrive(at("192.0.2.200")), Err(RefusalReason::Banned));
    assert_eq!(turn.arrive(at("::ffff:192.0.2.200")), Err(RefusalReason::Banned));
    assert!(turn.arrive(at("192.0.3.1")).is_ok());
    turn.wait(60_000);
    assert!(turn.arrive(at("192.0.2.200")).is_ok(), "it is over");
    let bans = asked(&mut turn, root, r#"{"request":"bans","id":"2"}"#);
    assert_eq!(bans, r#"{"reply":"2","ok":true,"bans":[]}"#);
    assert_eq!(done(&turn), ["root bans 192.0.2.0/24 for 60 s: spam"]);
}

#[test]
fn a_banned_name_is_nobodys_in_any_way_of_taking_it() {
    let settings = Settings { anonymous: crate::Anonymous::Endpoint, ..quiet() };
    let mut turn = Turn::new(settings);
    let root = turn.control("root");
    let ada = named(&mut turn, "192.0.2.1", "Ada");
    let mut told = Vec::new();
    for name in ["ADA", "guest-1", "192.0.2.5:1"] {
        let ban = format!(r#"{{"request":"ban","id":"b","nick":"{name}","reason":"no"}}"#);
        told.push(asked(&mut turn, root, &ban));
    }
    assert!(told[0].contains(r#""closed":1,"until":null"#) && told[1].contains(r#""closed":0"#));
    assert_eq!(turn.closed(ada), Some(CloseReason::Banned));
    let other = turn.arrive(at("192.0.2.5")).unwrap();
    turn.say(other, &[keepalive(), nick(2, "aDa"), nick(3, "Bob")].concat());
    assert_eq!(turn.heard(other), ["nak 2", "ack 3"]);
    let names: Vec<String> = turn.notices.iter().map(|notice| format!("{notice}")).collect();
    assert!(names.contains(&"is called Bob".into()), "{names:?}");
    turn.ask(root, r#"{"request":"members","id":"m","room":"lobby"}"#);
    assert!(turn.lines(root)[0].contains("Bob"));
    turn.say(other, &nick(4, "guest-2"));
    assert_eq!(turn.heard(other), ["ack 4"], "its own guest name was this one, and is free");
}

#[test]
fn there_are_so_many_bans_and_the_same_again_is_no_more() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    let ban = |number: u32| format!(r#"{{"request":"ban","id":"1","nick":"n{number}"}}"#);
    for number in 0..100 {
        assert!(asked(&mut turn, root, &ban(number)).contains(r#""ok":true"#));
    }
    assert!(asked(&mut turn, root, &ban(100)).contains("limit_reached"));
    assert!(asked(&mut turn, root, &ban(99)).contains(r#""ok":true"#));
    let bans = asked(&mut turn, root, r#"{"request":"bans","id":"2"}"#);
    assert_eq!(bans.matches("\"nick\"").count(), 100);
    assert!(asked(&mut turn, root, r#"{"request":"unban","id":"3","nick":"n7"}"#).contains("true"));
    assert!(asked(&mut turn, root, &ban(100)).contains(r#""ok":true"#));
}

#[test]
fn a_ban_does_not_concern_the_control_socket() {
    let mut turn = Turn::new(quiet());
    let (root, ada) = (turn.control("root"), turn.control("ada"));
    for banned in [r#""nick":"ada""#, r#""nick":"root""#, r#""network":"0.0.0.0/0""#] {
        let ban = format!(r#"{{"request":"ban","id":"1",{banned}}}"#);
        assert!(asked(&mut turn, root, &ban).contains(r#""closed":0"#));
    }
    turn.ask(ada, r#"{"request":"ping","id":"p"}"#);
    assert_eq!(turn.lines(ada).len(), 1);
    turn.control("ada");
}

#[test]
fn everybody_else_is_told_an_announcement_in_their_own_words() {
    let mut turn = Turn::new(Settings { server_name: "harbour".into(), ..quiet() });
    let (root, ops) = (turn.control("root"), turn.control("ada"));
    let (bob, undecided) = (turn.native(), turn.dial());
    let reply = asked(&mut turn, root, r#"{"request":"announce","id":"1","text":"back at 8"}"#);
    assert_eq!(reply, r#"{"reply":"1","ok":true,"connections":2}"#);
    assert_eq!(turn.lines(ops), [r#"{"event":"notice","text":"back at 8"}"#]);
    assert_eq!(turn.heard(bob), ["harbour: back at 8"]);
    turn.say(undecided, &keepalive());
    assert!(spoken(&turn.read(undecided)).is_empty());
    assert_eq!(done(&turn), ["root announces to 2 connections: back at 8"]);
}

#[test]
fn the_log_has_that_its_level_changes_whichever_way() {
    let mut turn = Turn::new(quiet());
    let root = turn.control("root");
    for (level, before) in [("debug", "info"), ("error", "debug")] {
        let ask = format!(r#"{{"request":"log_level","id":"1","level":"{level}"}}"#);
        assert!(asked(&mut turn, root, &ask).contains(level));
        assert_eq!(turn.level, Level::from_word(level));
        assert_eq!(
            done(&turn).pop().unwrap(),
            format!("root sets the log from {before} to {level}")
        );
    }
    turn.level = None;
    let reply = asked(&mut turn, root, r#"{"request":"log_level","id":"2"}"#);
    assert_eq!(reply, r#"{"reply":"2","ok":true,"level":"error"}"#);
    assert_eq!(turn.level, None, "asking changes nothing");
}

#[test]
fn connections_come_in_pages_that_fit_and_each_is_on_one() {
    let mut turn = Turn::new(Settings { outbox: Some(16 * 1024), ..quiet() });
    let root = turn.control("root");
    let mut all: Vec<ConnId> = (0..100).map(|_| turn.native()).collect();
    turn.hang_up(all[3], HangUp::Reset);
    // Its place is used again, by one that came last.
    all[3] = turn.native();
    all.push(root);
    all.sort_by_key(|id| id.as_u64());
    let (mut seen, mut beyond) = (Vec::new(), String::from("0"));
    for _ in 0..20 {
        let ask = format!(r#"{{"request":"connections","id":"1","session":{beyond},"limit":40}}"#);
        let page = asked(&mut turn, root, &ask);
        assert!(page.len() <= 8 * 1024, "half of what may wait for one connection");
        let sessions = page.split(r#"{"session":"#).skip(1);
        let sessions: Vec<&str> = sessions.map(|row| row.split(',').next().unwrap()).collect();
        assert!(sessions.len() <= 40 && !sessions.is_empty());
        beyond = sessions.last().unwrap().parse().unwrap();
        seen.extend(sessions.iter().map(|session| session.parse::<u64>().unwrap()));
        if page.ends_with(r#""more":false}"#) {
            break;
        }
    }
    let all: Vec<u64> = all.iter().map(|id| id.as_u64()).collect();
    assert_eq!(seen, all, "by session, each once");
}

#[test]
fn why_something_waits_is_told_from_both_sides() {
    let mut turn = Turn::new(Settings { outbox: Some(4096), ..quiet() });
    let root = turn.control("root");
    let slow = turn.control("slow");
    turn.ask(slow, r#"{"request":"join","id":"j","room":"lobby"}"#);
    let ask = r#"{"request":"connections","id":"1","slow":true}"#;
    turn.lines(slow);
    assert!(asked(&mut turn, root, ask).contains(r#""connections":[]"#));
    let speaker = turn.native();
    turn.lines(slow);
    for _ in 0..3 {
        turn.say(speaker, &chat("one that waits"));
    }
    turn.wait(250);
    let kernel = |bytes, segments| Measured {
        rtt_us: Some(70),
        kernel_bytes: Some(bytes),
        under_way: Some(segments),
    };
    let answers = [
        (Measured::default(), "null"),
        (kernel(0, 0), "\"our pace\""),
        (kernel(5000, 0), "\"their window\""),
        (kernel(5000, 4), "\"the network\""),
    ];
    for (told, why) in answers {
        turn.kernel = told;
        let page = asked(&mut turn, root, ask);
        let has = |text: &str| assert!(page.contains(text), "{page} has no {text}");
        has(&format!("\"why\":{why}"));
        has(r#""lag_messages":3,"#);
        has(r#""lag_ms":250,"gaps":0"#);
    }
    turn.read_some(slow, 10);
    for _ in 0..30 {
        turn.say(speaker, &chat(&"x".repeat(200)));
    }
    let page = asked(&mut turn, root, ask);
    assert!(page.contains("our limit") && page.contains(r#""gaps":1"#), "{page}");
    assert!(page.contains(r#""lag_messages":32,"#), "all but the one that has begun: {page}");
}
