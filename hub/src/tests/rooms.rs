//! Rooms and the requests of v1: one order, replies at their place, repeats, history, tail.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::testing::{StoreMode, Turn, chat, has, quiet, uuid};
use crate::{HangUp, Settings};

fn post(count: u32, room: &str, text: &str) -> String {
    format!(r#"{{"request":"post","id":"{}","room":"{room}","text":"{text}"}}"#, uuid(count))
}

#[test]
fn an_author_gets_its_reply_at_the_messages_place_and_no_event() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.control("ada"), turn.control("bob"));
    for id in [a, b] {
        turn.ask(id, r#"{"request":"join","id":"j","room":"ops"}"#);
    }
    turn.lines(a);
    turn.lines(b);
    turn.say_more(a, format!("{}\n", post(1, "ops", "1")).as_bytes());
    turn.say_more(b, format!("{}\n", post(2, "ops", "2")).as_bytes());
    turn.say_more(a, format!("{}\n", post(3, "ops", "3")).as_bytes());
    turn.settle();
    let (of_a, of_b) = (turn.lines(a), turn.lines(b));
    assert!(has(&of_a[0], &["reply", &uuid(1), "\"seq\":1", "\"ok\":true"]));
    assert!(has(&of_a[1], &["\"event\":\"message\"", "\"seq\":2", "\"from\":\"bob\""]));
    assert!(has(&of_a[2], &["reply", &uuid(3), "\"seq\":3"]));
    assert!(has(&of_b[0], &["message", "\"seq\":1"]) && has(&of_b[1], &["reply", "\"seq\":2"]));
    assert_eq!((of_a.len(), of_b.len()), (3, 3));
}

#[test]
fn everything_else_of_a_room_waits_behind_a_post_that_the_store_has() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.control("ada"), turn.control("bob"));
    turn.ask(a, r#"{"request":"join","id":"j","room":"ops"}"#);
    turn.lines(a);
    turn.store = StoreMode::Holds;
    turn.ask(b, &post(1, "ops", "1"));
    turn.ask(b, r#"{"request":"join","id":"k","room":"ops"}"#);
    turn.ask(b, r#"{"request":"leave","id":"l","room":"ops"}"#);
    assert!(turn.lines(a).is_empty(), "nothing overtakes the message");
    let of_b = turn.lines(b);
    assert!(
        has(&of_b[0], &["\"reply\":\"k\"", "\"seq\":0"]) && has(&of_b[1], &["\"reply\":\"l\""])
    );
    turn.answer(1, true);
    let of_a = turn.lines(a);
    assert!(has(&of_a[0], &["message"]) && has(&of_a[1], &["joined"]) && has(&of_a[2], &["left"]));
    assert!(has(&turn.lines(b)[0], &["reply", &uuid(1)]));
}

#[test]
fn answers_in_any_order_release_in_the_rooms_order() {
    let mut turn = Turn::new(quiet());
    turn.store = StoreMode::Holds;
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &[chat("1"), chat("2"), chat("3")].concat());
    turn.held.rotate_left(1);
    turn.answer(1, true);
    assert!(turn.heard(b).is_empty());
    turn.answer(1, true);
    turn.answer(1, true);
    assert_eq!(turn.heard(b), ["guest-1: 1", "guest-1: 2", "guest-1: 3"]);
}

#[test]
fn a_repeated_post_gets_the_first_reply_and_other_content_is_a_conflict() {
    let mut turn = Turn::new(quiet());
    turn.store = StoreMode::Holds;
    let a = turn.control("ada");
    turn.ask(a, &post(1, "ops", "1"));
    turn.ask(a, &post(1, "ops", "1"));
    turn.ask(a, &post(1, "ops", "other"));
    assert_eq!(turn.held.len(), 1, "one message");
    assert!(has(&turn.lines(a)[0], &["id_conflict"]));
    turn.answer(1, true);
    let replies = turn.lines(a);
    assert_eq!(replies[0], replies[1]);
    turn.ask(a, &post(1, "ops", "1"));
    assert_eq!(turn.lines(a), replies[..1]);
    turn.ask(a, &post(1, "dev", "1"));
    assert!(has(&turn.lines(a)[0], &["id_conflict"]));
    assert!(turn.held.is_empty());
}

#[test]
fn a_refused_post_is_told_so_its_number_is_skipped_and_it_may_be_sent_again() {
    let mut turn = Turn::new(quiet());
    turn.store = StoreMode::Holds;
    let a = turn.control("ada");
    turn.ask(a, &post(1, "ops", "1"));
    turn.answer(1, false);
    assert!(has(&turn.lines(a)[0], &["store_unavailable", &uuid(1)]));
    turn.ask(a, &post(1, "ops", "1"));
    turn.answer(1, true);
    assert!(has(&turn.lines(a)[0], &["\"ok\":true"]));
}

#[test]
fn a_tail_replays_then_replies_then_goes_on_live() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.control("bob"));
    turn.say(a, &[chat("1"), chat("2"), chat("3")].concat());
    turn.say_more(a, &chat("4"));
    turn.say_more(b, b"{\"request\":\"tail\",\"id\":\"t\",\"rooms\":[\"lobby\"],\"last\":2}\n");
    turn.say_more(a, &chat("5"));
    turn.settle();
    let lines = turn.lines(b);
    assert!(has(&lines[0], &["\"seq\":3", "\"history\":\"t\""]));
    assert!(has(&lines[1], &["\"seq\":4", "\"history\":\"t\""]));
    assert!(has(&lines[2], &["\"seq\":5", "\"history\":\"t\""]), "said before the replay was over");
    assert!(has(&lines[3], &["\"reply\":\"t\"", "lobby"]));
    assert_eq!(lines.len(), 4);
    turn.say(a, &chat("6"));
    let live = &turn.lines(b)[0];
    assert!(has(live, &["\"seq\":6"]) && !live.contains("history"));
}

#[test]
fn a_tail_of_all_rooms_hears_rooms_that_are_made_later() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.control("ada"), turn.control("bob"));
    turn.ask(b, r#"{"request":"tail","id":"t"}"#);
    turn.ask(a, &post(1, "ops", "1"));
    let lines = turn.lines(b);
    assert!(has(&lines[0], &["\"reply\":\"t\"", "lobby"]) && has(&lines[1], &["\"room\":\"ops\""]));
    turn.hang_up(b, HangUp::Reset);
    turn.ask(a, &post(2, "dev", "2"));
}

#[test]
fn history_gives_the_range_that_is_asked_for() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.control("bob"));
    for count in 1..=9 {
        turn.say(a, &chat(&format!("{count}")));
    }
    let mut seqs = |range: &str| {
        turn.ask(b, &format!(r#"{{"request":"history","id":"h","room":"lobby"{range}}}"#));
        let lines = turn.lines(b);
        let reply = lines.last().unwrap();
        assert!(has(reply, &["\"ok\":true", &format!("\"count\":{}", lines.len() - 1)]));
        let more = reply.contains("\"more\":true");
        let seq =
            |line: &String| line.split("\"seq\":").nth(1).unwrap()[..1].parse::<u32>().unwrap();
        (lines[..lines.len() - 1].iter().map(seq).collect::<Vec<_>>(), more)
    };
    assert_eq!(seqs(r#","limit":3"#), (std::vec![7, 8, 9], true));
    assert_eq!(seqs(r#","after":2,"limit":3"#), (std::vec![3, 4, 5], true));
    assert_eq!(seqs(r#","before":3"#), (std::vec![1, 2], false));
    assert_eq!(seqs(r#","after":3,"before":6"#), (std::vec![4, 5], false));
    assert_eq!(seqs(r#","after":9"#), (std::vec![], false));
    assert_eq!(seqs(r#","limit":0"#), (std::vec![], true));
    turn.ask(b, r#"{"request":"history","id":"h","room":"nowhere"}"#);
    assert!(has(&turn.lines(b)[0], &["no_such_room"]));
}

/// A page that begins behind what was asked for looked like one of a room in which nothing was said before.
#[test]
fn history_says_up_to_where_memory_has_forgotten() {
    let mut turn = Turn::new(Settings { recent: Some(1_000), ..quiet() });
    let (a, b) = (turn.native(), turn.control("bob"));
    let asked = |turn: &mut Turn, range: &str| {
        turn.ask(b, &format!(r#"{{"request":"history","id":"h","room":"lobby"{range}}}"#));
        let lines = turn.lines(b);
        (lines.len() - 1, lines.last().unwrap().clone())
    };
    turn.say(a, &chat("1"));
    assert!(has(&asked(&mut turn, "").1, &["\"forgotten\":0"]));
    for count in 2..=9 {
        turn.say(a, &chat(&format!("{count}")));
    }
    for range in ["", r#","after":1"#, r#","after":8"#] {
        assert!(has(&asked(&mut turn, range).1, &["\"forgotten\":4"]), "{range}");
    }
    assert_eq!(asked(&mut turn, r#","after":1"#).0, 5);
    // One that is longer than memory drives all out, itself included.
    turn.say(a, &chat(&"x".repeat(1_000)));
    let (count, reply) = asked(&mut turn, "");
    assert!(count == 0 && has(&reply, &["\"forgotten\":10"]), "{reply}");
}

#[test]
fn recent_messages_keep_within_their_limit_and_a_forgotten_room_never_uses_a_number_twice() {
    let mut turn = Turn::new(Settings { recent: Some(1_000), ..quiet() });
    let a = turn.control("ada");
    for count in 0..20 {
        turn.ask(a, &post(count, "ops", "x"));
        assert!(turn.hub.memory().recent_bytes <= 1_000);
    }
    for count in 20..40 {
        turn.ask(a, &post(count, "dev", "x"));
    }
    turn.lines(a);
    turn.ask(a, r#"{"request":"rooms","id":"r"}"#);
    assert!(!turn.lines(a)[0].contains("ops"), "nobody is there, and nothing of it is remembered");
    turn.ask(a, &post(40, "ops", "x"));
    assert!(has(&turn.lines(a)[0], &["\"seq\":21"]));
}

#[test]
fn a_room_that_nothing_is_remembered_of_is_forgotten_with_its_last_message() {
    let mut turn = Turn::new(Settings { recent: Some(0), rooms: Some(2), ..quiet() });
    let a = turn.control("ada");
    turn.ask(a, &post(1, "ops", "x"));
    turn.ask(a, &post(2, "dev", "x"));
    turn.ask(a, r#"{"request":"tail","id":"t","rooms":["one","two"]}"#);
    turn.ask(a, &post(3, "ops", "x"));
    let lines = turn.lines(a);
    assert!(has(&lines[0], &["\"seq\":1"]) && has(&lines[1], &["\"seq\":2"]));
    assert!(has(&lines[2], &["limit_reached"]) && has(&lines[3], &["\"seq\":3"]));
}

#[test]
fn rooms_and_rooms_joined_have_limits() {
    let mut turn = Turn::new(Settings { rooms: Some(3), rooms_joined: Some(1), ..quiet() });
    let a = turn.control("ada");
    turn.ask(a, r#"{"request":"join","id":"1","room":"ops"}"#);
    turn.ask(a, r#"{"request":"join","id":"2","room":"dev"}"#);
    turn.ask(a, r#"{"request":"join","id":"3","room":"ops"}"#);
    turn.ask(a, &post(4, "dev", "x"));
    turn.ask(a, &post(5, "one-more", "x"));
    let lines = turn.lines(a);
    assert!(has(&lines[0], &["\"ok\":true"]) && has(&lines[1], &["limit_reached"]));
    assert!(has(&lines[2], &["\"ok\":true"]) && has(&lines[3], &["\"ok\":true"]));
    assert!(has(&lines[4], &["limit_reached", "3 rooms"]));
}

#[test]
fn members_are_those_who_are_shown() {
    let mut turn = Turn::new(quiet());
    let (_, _, a) = (turn.native(), turn.dial(), turn.control("ada"));
    turn.ask(a, r#"{"request":"join","id":"1","room":"lobby"}"#);
    turn.ask(a, r#"{"request":"members","id":"2","room":"lobby"}"#);
    let lines = turn.lines(a);
    assert!(has(&lines[0], &["\"members\":2"]));
    assert!(has(&lines[1], &[r#"[{"nick":"ada"},{"nick":"guest-1"}]"#]), "{}", lines[1]);
}

#[test]
fn a_control_connection_speaks_as_its_login_name_and_only_an_administrator_as_another() {
    let mut turn = Turn::new(quiet());
    let (hearer, ada, root) = (turn.native(), turn.control("ada"), turn.control("root"));
    let posed = |count| post(count, "lobby", "x").replace("\"room\"", "\"nick\":\"Eve\",\"room\"");
    turn.ask(ada, &posed(1));
    turn.ask(root, &posed(2));
    turn.ask(ada, &post(3, "lobby", "y"));
    assert!(has(&turn.lines(ada)[0], &["forbidden"]));
    assert_eq!(turn.heard(hearer), ["Eve: x", "ada: y"]);
    turn.ask(ada, r#"{"request":"nick","id":"n","nick":"bob"}"#);
    turn.ask(ada, r#"{"request":"stop","id":"s"}"#);
    let lines = turn.lines(ada);
    assert!(has(&lines[0], &["bad_request", "login name"]) && has(&lines[1], &["forbidden"]));
    assert!(!turn.stopped);
    turn.ask(root, r#"{"request":"stop","id":"s"}"#);
    assert!(turn.stopped);
}

#[test]
fn hello_says_what_the_server_is() {
    let mut turn = Turn::new(quiet());
    let a = turn.control("ada");
    turn.ask(a, r#"{"request":"hello","id":"h","version":1}"#);
    turn.ask(a, r#"{"request":"hello","id":"h","version":2}"#);
    turn.ask(a, r#"{"request":"ping","id":"p"}"#);
    turn.ask(a, "what?");
    let lines = turn.lines(a);
    let history = "09090909-0909-0909-0909-090909090909";
    assert!(has(&lines[0], &["\"durability\":\"none\"", history, "\"nick\":\"ada\""]));
    assert!(has(&lines[1], &["bad_request"]) && has(&lines[2], &["\"reply\":\"p\"", "true"]));
    assert!(has(&lines[3], &["\"reply\":null", "bad_request"]));
}

#[test]
fn a_half_closed_control_client_still_gets_its_replies() {
    let mut turn = Turn::new(quiet());
    turn.store = StoreMode::Holds;
    let a = turn.control("ada");
    turn.say_more(a, format!("{}\n", post(1, "ops", "1")).as_bytes());
    turn.hang_up(a, HangUp::Eof);
    assert_eq!(turn.closed(a), None, "its reply is still to come");
    turn.answer(1, true);
    assert!(has(&turn.lines(a)[0], &["reply", &uuid(1)]));
    assert!(turn.hub.is_empty());
}

/// `id_conflict` for a message that is stored was a false no: a guest that comes back has another name.
#[test]
fn a_post_that_comes_again_under_another_name_gets_the_first_reply() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    turn.ask(ada, &post(1, "ops", "once"));
    let first = turn.lines(ada);
    turn.ask(bob, &post(1, "ops", "once"));
    assert_eq!(turn.lines(bob), first);
    turn.store = StoreMode::Holds;
    turn.ask(ada, &post(2, "ops", "held"));
    turn.hang_up(ada, HangUp::Reset);
    turn.ask(bob, &post(2, "ops", "held"));
    turn.answer(1, true);
    assert!(has(&turn.lines(bob)[0], &[&uuid(2), "\"ok\":true", "\"seq\":2"]));
    assert!(turn.held.is_empty(), "one message, however often it is sent");
}

/// A guest over TCP with the limits as they are, who has said `hello`.
fn guest(turn: &mut Turn) -> crate::ConnId {
    let id = turn.dial();
    v1(turn, id, r#"{"request":"hello","id":"h"}"#);
    turn.read(id);
    id
}

/// A request in a frame of type 16.
fn v1(turn: &mut Turn, id: crate::ConnId, json: &str) {
    let length = u32::try_from(json.len() + 4).unwrap();
    let bytes = [&length.to_be_bytes()[..], &16_u32.to_be_bytes(), json.as_bytes()].concat();
    turn.say(id, &bytes);
}

/// The objects that a v1 client over TCP reads.
fn objects(turn: &mut Turn, id: crate::ConnId) -> Vec<String> {
    let (bytes, mut all) = (turn.read(id), Vec::new());
    let mut rest = &bytes[..];
    while !rest.is_empty() {
        let length = u32::from_be_bytes(rest[..4].try_into().unwrap()) as usize;
        all.push(String::from_utf8(rest[8..4 + length].to_vec()).unwrap());
        rest = &rest[4 + length..];
    }
    all
}

fn tail(names: impl IntoIterator<Item = String>) -> String {
    let names: Vec<String> = names.into_iter().map(|name| format!("\"{name}\"")).collect();
    format!(r#"{{"request":"tail","id":"t","rooms":[{}]}}"#, names.join(","))
}

fn rooms(range: core::ops::Range<u32>) -> impl Iterator<Item = String> {
    range.map(|count| format!("r{count}"))
}

fn root() -> crate::Peer {
    let address = "local".into();
    let login = Some(proto::Nick::parse("root").unwrap());
    let transport = proto::Transport::ControlSocket;
    crate::Peer {
        transport,
        address,
        ip: None,
        login,
        rights: crate::Rights::ADMIN,
        exempt: true,
        protocols: proto::Protocols::ALL,
    }
}

#[test]
fn one_tail_does_not_go_round_the_limits_of_rooms() {
    let mut turn = Turn::new(quiet());
    let eve = guest(&mut turn);
    v1(&mut turn, eve, &tail(rooms(0..9_990)));
    assert!(has(&objects(&mut turn, eve)[0], &["limit_reached", "the limit is 100"]));
    v1(&mut turn, eve, &tail(rooms(0..100)));
    assert!(has(&objects(&mut turn, eve)[0], &["limit_reached", "15 rooms"]));
    assert_eq!(turn.hub.rooms.len(), 1, "a refused tail leaves no room behind");
    v1(&mut turn, eve, &tail(rooms(0..15)));
    assert!(has(&objects(&mut turn, eve)[0], &["\"ok\":true", "r0", "r14"]));
    v1(&mut turn, eve, &tail(rooms(0..16)));
    assert!(has(&objects(&mut turn, eve)[0], &["limit_reached"]));
    assert_eq!(turn.hub.rooms.len(), 16, "none but the lobby and its own");
}

#[test]
fn what_a_tail_names_counts_as_joined_and_names_twice_cost_nothing() {
    let settings = Settings { rooms_joined: Some(3), message_burst: 4, ..quiet() };
    let mut turn = Turn::new(Settings { messages_per_s: Some(1), ..settings });
    let (eve, ada) = (guest(&mut turn), turn.arrive(root()).unwrap());
    turn.wait(10_000);
    v1(&mut turn, eve, &tail(["a", "A", "#a", "b", "a"].map(Into::into)));
    v1(&mut turn, eve, &tail(["b", "a"].map(Into::into)));
    let got = objects(&mut turn, eve);
    assert!(has(&got[0], &[r#""rooms":["a","b"]"#]) && has(&got[1], &["\"ok\":true"]));
    v1(&mut turn, eve, r#"{"request":"ping","id":"p"}"#);
    assert!(objects(&mut turn, eve).is_empty(), "four names are as much as four messages");
    turn.wait(10_000);
    assert!(has(&objects(&mut turn, eve)[0], &["\"reply\":\"p\""]));
    v1(&mut turn, eve, &tail(["c", "d"].map(Into::into)));
    assert!(has(&objects(&mut turn, eve)[0], &["limit_reached", "3 rooms"]));
    turn.wait(10_000);
    v1(&mut turn, eve, r#"{"request":"join","id":"j","room":"c"}"#);
    v1(&mut turn, eve, r#"{"request":"join","id":"k","room":"d"}"#);
    v1(&mut turn, eve, r#"{"request":"join","id":"l","room":"a"}"#);
    let got = objects(&mut turn, eve);
    assert!(has(&got[0], &["\"ok\":true"]) && has(&got[1], &["limit_reached"]));
    assert!(has(&got[2], &["\"ok\":true"]), "a room that is followed already is no other");
    turn.ask(ada, r#"{"request":"tail","id":"t"}"#);
    for room in ["a", "b", "c"] {
        turn.ask(ada, &format!(r#"{{"request":"tail","id":"t","rooms":["{room}"],"after":0}}"#));
        turn.ask(ada, &format!(r#"{{"request":"join","id":"j","room":"{room}"}}"#));
    }
    turn.ask(ada, r#"{"request":"join","id":"j","room":"lobby"}"#);
    let got = turn.lines(ada);
    let refused = got.iter().filter(|line| line.contains("limit_reached")).count();
    assert_eq!(refused, 1, "who follows everything may join as many as anybody: {got:?}");
}

#[test]
fn rooms_that_a_connection_made_alone_have_a_limit_whoever_made_them() {
    let mut turn = Turn::new(Settings { rooms_made: Some(2), ..quiet() });
    let (eve, bob) = (guest(&mut turn), guest(&mut turn));
    let root = turn.arrive(root()).unwrap();
    v1(&mut turn, eve, &post(1, "a", "x"));
    v1(&mut turn, eve, r#"{"request":"join","id":"j","room":"b"}"#);
    v1(&mut turn, eve, &post(2, "c", "x"));
    let got = objects(&mut turn, eve);
    assert!(has(&got[1], &["\"reply\":\"j\",\"ok\":true"]), "{got:?}");
    assert!(has(&got[2], &["limit_reached", "2 rooms in which nobody else is"]), "{got:?}");
    v1(&mut turn, bob, r#"{"request":"join","id":"j","room":"a"}"#);
    v1(&mut turn, eve, &post(3, "c", "x"));
    assert!(has(&objects(&mut turn, eve)[0], &["\"ok\":true"]), "somebody else came into one");
    v1(&mut turn, bob, r#"{"request":"leave","id":"l","room":"a"}"#);
    v1(&mut turn, eve, &post(4, "d", "x"));
    assert!(has(&objects(&mut turn, eve)[0], &["limit_reached"]), "and went again");
    v1(&mut turn, eve, &post(5, "a", "x"));
    assert!(has(&objects(&mut turn, eve)[0], &["\"ok\":true"]), "what is there may be used");
    turn.hang_up(eve, HangUp::Reset);
    turn.lines(root);
    for count in 10..20 {
        turn.ask(root, &post(count, &format!("of-root-{count}"), "x"));
    }
    let got = turn.lines(root);
    assert!(got.len() == 10 && got.iter().all(|line| line.contains("\"ok\":true")), "{got:?}");
}

#[test]
fn a_follower_of_everything_keeps_no_room() {
    let mut turn = Turn::new(Settings { recent: Some(0), ..quiet() });
    let (all, eve) = (turn.control("all"), guest(&mut turn));
    turn.ask(all, r#"{"request":"tail","id":"t"}"#);
    turn.lines(all);
    for count in 0..100 {
        let room = format!("r{count}");
        v1(&mut turn, eve, &format!(r#"{{"request":"join","id":"j","room":"{room}"}}"#));
        v1(&mut turn, eve, &post(count, &room, "x"));
        v1(&mut turn, eve, &format!(r#"{{"request":"leave","id":"l","room":"{room}"}}"#));
        let told = turn.lines(all);
        let parts = ["\"joined\"", "\"message\"", "\"left\""];
        assert!(told.iter().zip(parts).all(|(line, part)| line.contains(part)), "{told:?}");
        assert_eq!((told.len(), turn.hub.rooms.len()), (3, 1), "only the lobby stays");
    }
    turn.ask(all, r#"{"request":"tail","id":"t","rooms":["mine"]}"#);
    turn.ask(all, r#"{"request":"join","id":"j","room":"mine"}"#);
    turn.ask(all, r#"{"request":"leave","id":"l","room":"mine"}"#);
    assert_eq!(turn.hub.rooms.len(), 1, "nor what it named or was in");
    v1(&mut turn, eve, r#"{"request":"join","id":"j","room":"mine"}"#);
    let told = turn.lines(all);
    assert!(has(told.last().unwrap(), &["joined", "mine", "guest-1"]), "it hears it again");
}

#[test]
fn a_room_stays_while_a_follower_of_everything_is_owed_a_gap_of_it() {
    let mut turn = Turn::new(Settings { outbox: Some(1_500), recent: Some(0), ..quiet() });
    let (all, eve) = (turn.control("all"), turn.control("eve"));
    turn.ask(all, r#"{"request":"tail","id":"t"}"#);
    turn.ask(eve, r#"{"request":"join","id":"j","room":"ops"}"#);
    let mut got = turn.read_some(all, 20);
    for count in 0..20 {
        turn.ask(eve, &post(count, "ops", "x"));
        turn.read(eve);
    }
    turn.ask(eve, r#"{"request":"leave","id":"l","room":"ops"}"#);
    got.extend(turn.read(all));
    turn.settle();
    got.extend(turn.read(all));
    let got = crate::testing::lines(&got);
    assert!(got.iter().any(|line| has(line, &["gap", "ops", "\"to_seq\":20"])), "{got:?}");
    assert_eq!(turn.hub.rooms.len(), 1, "and goes when it has been told");
}

/// What stands in all pages of a look-up, and how many pages there were.
fn pages(
    turn: &mut Turn,
    id: crate::ConnId,
    what: &str,
    cursor: &str,
    key: &str,
) -> (Vec<String>, usize) {
    let (mut all, mut count) = (Vec::<String>::new(), 0);
    loop {
        let beyond = all.last().map_or(String::new(), |last| format!(r#","{cursor}":"{last}""#));
        turn.ask(id, &format!(r#"{{"request":{what},"id":"p"{beyond}}}"#));
        let line = turn.lines(id).pop().unwrap();
        count += 1;
        assert!(line.contains("\"ok\":true"), "{line}");
        let (_, list) = line.split_once(":[").unwrap();
        let mark = format!("\"{key}\":\"");
        let names = list.split(&mark).skip(1);
        all.extend(names.map(|rest| rest.split('"').next().unwrap().into()));
        if line.ends_with("\"more\":false}") {
            return (all, count);
        }
    }
}

#[test]
fn rooms_come_in_pages_and_nobody_is_cut_for_asking() {
    let mut turn = Turn::new(Settings { outbox: Some(20_000), ..quiet() });
    let root = turn.arrive(root()).unwrap();
    for room in 0..1_203 {
        turn.ask(root, &post(room, &format!("room-with-a-rather-long-name-{room:04}"), "x"));
        turn.read(root);
    }
    let (all, count) = pages(&mut turn, root, "\"rooms\"", "room", "room");
    assert!(all.is_sorted() && all.len() == 1_204, "each once: {}", all.len());
    assert!((8..40).contains(&count), "as many as fit half the outbox: {count}");
    let (some, count) = pages(&mut turn, root, "\"rooms\",\"limit\":400", "room", "room");
    assert_eq!((some, count > 3), (all, true));
    turn.ask(root, r#"{"request":"tail","id":"t"}"#);
    turn.settle();
    turn.settle();
    assert!(has(&turn.lines(root)[0], &["\"ok\":true", "\"more\":true"]), "the reply fits, too");
}

#[test]
fn members_come_in_pages_that_end_between_names() {
    let mut turn = Turn::new(Settings { outbox: Some(64_000), ..quiet() });
    let mut expected = Vec::new();
    for count in 0..620 {
        let id = turn.dial();
        v1(&mut turn, id, &format!(r#"{{"request":"hello","id":"h","nick":"n{count:03}"}}"#));
        v1(&mut turn, id, r#"{"request":"join","id":"j","room":"ops"}"#);
        turn.read(id);
        expected.push(format!("n{count:03}"));
    }
    let same: Vec<_> = (0..5).map(|_| turn.control("n001")).collect();
    for id in &same {
        turn.ask(*id, r#"{"request":"join","id":"j","room":"ops"}"#);
        expected.push("n001".into());
    }
    expected.sort();
    turn.lines(same[0]);
    for (what, most) in [("", 3), (",\"limit\":2", 400), (",\"limit\":1", 700)] {
        let what = format!("\"members\",\"room\":\"ops\"{what}");
        let (all, count) = pages(&mut turn, same[0], &what, "nick", "nick");
        assert_eq!(all, expected);
        assert!(count <= most, "{count}");
    }
}
