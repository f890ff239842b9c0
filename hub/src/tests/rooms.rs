//! Rooms and the requests of v1: one order, replies at their place, repeats, history, tail.

extern crate std;

use std::format;
use std::string::String;

use crate::testing::{StoreMode, Turn, chat, quiet};
use crate::{HangUp, Settings};

fn uuid(count: u32) -> String {
    format!("00000000-0000-4000-8000-{count:012}")
}

fn post(count: u32, room: &str, text: &str) -> String {
    format!(r#"{{"request":"post","id":"{}","room":"{room}","text":"{text}"}}"#, uuid(count))
}

fn has(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part))
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
        (lines[..lines.len() - 1].iter().map(seq).collect::<std::vec::Vec<_>>(), more)
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
