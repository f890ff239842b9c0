//! Messages to one nickname, and receipts.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use crate::testing::{StoreMode, Turn, quiet, uuid};
use crate::{CloseReason, ConnId, HangUp, Settings};

/// The message id of a number.
fn post(number: u32, place: &str, text: &str) -> String {
    format!(
        r#"{{"request":"post","id":"{}",{place},"text":"{text}","receipt":true}}"#,
        uuid(number)
    )
}

fn receipt(number: u32) -> String {
    format!(r#"{{"request":"receipt","id":"r","message_id":"{}"}}"#, uuid(number))
}

/// Joins `ops` and forgets what it heard.
fn joined(turn: &mut Turn, login: &str) -> ConnId {
    let id = turn.control(login);
    turn.ask(id, r#"{"request":"join","id":"j","room":"ops"}"#);
    turn.read(id);
    id
}

/// What a connection hears, by the name of the event, the error code, or `ok`.
fn words(turn: &mut Turn, id: ConnId) -> Vec<String> {
    let word = |line: &String| {
        let after = |mark: &str| line.split(mark).nth(1).map(|rest| rest.split('"').next());
        let word = after(r#""event":""#).or_else(|| after(r#""error":""#)).flatten();
        String::from(word.unwrap_or("ok"))
    };
    turn.lines(id).iter().map(word).collect()
}

#[test]
fn a_receiver_that_reads_too_slowly_is_not_cut_for_it_and_the_sender_is_told() {
    let mut turn = Turn::new(Settings { outbox: Some(1_000), ..quiet() });
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    let long = "x".repeat(600);
    turn.ask(ada, &post(1, r#""to":"bob""#, &long));
    turn.ask(ada, &post(2, r#""to":"bob""#, &long));
    assert_eq!(words(&mut turn, ada), ["ok", "limit_reached"]);
    assert_eq!(turn.closed(bob), None);
    assert_eq!(words(&mut turn, bob), ["message"]);
    turn.ask(ada, &post(2, r#""to":"bob""#, &long));
    assert_eq!(words(&mut turn, ada), ["ok"], "what failed named no message");
    assert_eq!(words(&mut turn, bob), ["message"]);
}

#[test]
fn a_direct_message_comes_behind_what_rooms_said_before() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (joined(&mut turn, "ada"), joined(&mut turn, "bob"));
    turn.read(ada);
    turn.say_more(ada, format!("{}\n", post(1, r#""room":"ops""#, "first")).as_bytes());
    turn.say_more(ada, format!("{}\n", post(2, r#""to":"bob""#, "second")).as_bytes());
    turn.say_more(ada, format!("{}\n", post(3, r#""room":"ops""#, "third")).as_bytes());
    turn.settle();
    let heard = turn.lines(bob).join("\n");
    let at = |text: &str| heard.find(text).unwrap();
    assert!(at("first") < at("second") && at("second") < at("third"), "{heard}");
}

#[test]
fn a_message_is_encoded_once_however_many_connections_its_receiver_has() {
    let mut turn = Turn::new(quiet());
    let ada = turn.control("ada");
    let all: Vec<ConnId> = (0..5).map(|_| turn.control("bob")).collect();
    turn.ask(ada, &post(1, r#""to":"bob""#, "hi"));
    assert_eq!(turn.hub.encoded(), (0, 1));
    for id in all {
        assert_eq!(words(&mut turn, id), ["message"]);
    }
}

#[test]
fn a_message_that_is_not_stored_waits_for_no_receipt() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (joined(&mut turn, "ada"), joined(&mut turn, "bob"));
    turn.read(ada);
    turn.store = StoreMode::Holds;
    turn.ask(ada, &post(1, r#""room":"ops""#, "hi"));
    turn.ask(bob, &receipt(1));
    assert_eq!(words(&mut turn, bob), ["no_such_message"]);
    turn.answer(1, false);
    turn.ask(bob, &receipt(1));
    assert_eq!(words(&mut turn, bob), ["no_such_message"]);
    turn.ask(ada, &post(1, r#""room":"ops""#, "hi"));
    turn.answer(1, true);
    turn.ask(bob, &receipt(1));
    assert_eq!(words(&mut turn, bob), ["message", "ok"]);
    assert_eq!(words(&mut turn, ada), ["store_unavailable", "ok", "delivered"]);
}

#[test]
fn an_author_that_leaves_hears_of_no_receipt() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (joined(&mut turn, "ada"), joined(&mut turn, "bob"));
    turn.ask(ada, &post(1, r#""room":"ops""#, "hi"));
    turn.hang_up(ada, HangUp::Eof);
    turn.ask(bob, &receipt(1));
    assert_eq!(words(&mut turn, bob), ["message", "no_such_message"]);
    assert!(!words(&mut turn, ada).contains(&"delivered".into()));
    assert_eq!(turn.closed(ada), Some(CloseReason::PeerClosed));
}

#[test]
fn a_post_whose_author_is_gone_before_the_store_answers_waits_for_nothing() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (joined(&mut turn, "ada"), joined(&mut turn, "bob"));
    turn.store = StoreMode::Holds;
    turn.ask(ada, &post(1, r#""room":"ops""#, "hi"));
    turn.hang_up(ada, HangUp::Reset);
    turn.answer(1, true);
    turn.ask(bob, &receipt(1));
    assert_eq!(words(&mut turn, bob), ["message", "left", "no_such_message"]);
}

#[test]
fn an_author_is_told_of_its_latest_thousand_messages() {
    let mut turn = Turn::new(quiet());
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    for number in 0..1_001 {
        turn.ask(ada, &post(number, r#""to":"bob""#, "hi"));
        turn.read(ada);
        turn.read(bob);
    }
    turn.ask(bob, &receipt(0));
    turn.ask(bob, &receipt(1));
    turn.ask(bob, &receipt(1_000));
    assert_eq!(words(&mut turn, bob), ["no_such_message", "ok", "ok"]);
    assert_eq!(words(&mut turn, ada), ["delivered", "delivered"]);
}

#[test]
fn an_author_who_never_reads_its_receipts_is_cut_as_everybody_is() {
    let mut turn = Turn::new(Settings { outbox: Some(2_000), ..quiet() });
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    for number in 0..100 {
        if turn.closed(ada).is_none() {
            turn.ask(ada, &post(number, r#""to":"bob""#, "hi"));
        }
        turn.ask(bob, &receipt(number));
        turn.read(bob);
    }
    assert_eq!(turn.closed(ada), Some(CloseReason::OutboxFull));
    assert_eq!(turn.closed(bob), None);
}

/// The same false no as of rooms' messages: the author came back as another guest.
#[test]
fn a_direct_post_that_comes_again_under_another_name_gets_the_first_reply() {
    let mut turn = Turn::new(quiet());
    let (ada, bob, eve) = (turn.control("ada"), turn.control("bob"), turn.control("eve"));
    turn.ask(ada, &post(1, r#""to":"bob""#, "hi"));
    let first = turn.lines(ada);
    turn.ask(eve, &post(1, r#""to":"bob""#, "hi"));
    assert_eq!(turn.lines(eve), first);
    assert_eq!(words(&mut turn, bob), ["message"]);
}

/// A receiver was a connection: one that came back and gave its receipt again made a second `delivered`.
#[test]
fn a_receiver_that_comes_back_is_told_of_once() {
    let mut turn = Turn::new(quiet());
    let ada = joined(&mut turn, "ada");
    let bob = v1(&mut turn, "Bob");
    turn.read(ada);
    turn.ask(ada, &post(1, r#""room":"ops""#, "hi"));
    say(&mut turn, bob, &receipt(1));
    turn.hang_up(bob, HangUp::Reset);
    let bob = v1(&mut turn, "bob");
    say(&mut turn, bob, &receipt(1));
    assert_eq!(words(&mut turn, ada), ["ok", "delivered", "left", "joined"]);
    // And under another name it is the same connection.
    say(&mut turn, bob, r#"{"request":"nick","id":"n","nick":"Bert"}"#);
    turn.ask(ada, &post(2, r#""room":"ops""#, "hi"));
    say(&mut turn, bob, &receipt(2));
    say(&mut turn, bob, r#"{"request":"nick","id":"n","nick":"Bill"}"#);
    say(&mut turn, bob, &receipt(2));
    assert_eq!(words(&mut turn, ada), ["renamed", "ok", "delivered", "renamed"]);
}

/// A v1 client over TCP that has joined `ops`.
fn v1(turn: &mut Turn, nick: &str) -> ConnId {
    let id = turn.dial();
    say(turn, id, &format!(r#"{{"request":"hello","id":"h","nick":"{nick}"}}"#));
    say(turn, id, r#"{"request":"join","id":"j","room":"ops"}"#);
    id
}

fn say(turn: &mut Turn, id: ConnId, json: &str) {
    let mut bytes = Vec::new();
    proto::native::v1_frame(json.as_bytes(), &mut bytes);
    turn.say(id, &bytes);
}

/// A stranger who took the operator's name got what was for the operator.
#[test]
fn what_is_for_a_login_name_reaches_its_user_and_no_stranger() {
    let mut turn = Turn::new(quiet());
    let stranger = v1(&mut turn, "Root");
    let ada = turn.control("ada");
    turn.ask(ada, &post(1, r#""to":"root""#, "before"));
    assert!(String::from_utf8_lossy(&turn.read(stranger)).contains("before"));
    let root = turn.control("root");
    turn.ask(ada, &post(2, r#""to":"ROOT""#, "secret"));
    assert!(turn.read(stranger).is_empty(), "it is not for it");
    assert!(turn.lines(root)[0].contains(r#""to":"root""#));
    turn.ask(ada, r#"{"request":"whois","id":"w","nick":"Root"}"#);
    assert!(turn.lines(ada).pop().unwrap().contains(r#""protocol":"control""#));
    // A nickname is kicked, not the operator.
    turn.ask(root, r#"{"request":"kick","id":"k","nick":"root"}"#);
    turn.read(stranger);
    assert_eq!((turn.closed(stranger), turn.closed(root)), (Some(CloseReason::Kicked), None));
    let stranger = v1(&mut turn, "rooT");
    let said = turn.read(stranger);
    assert!(String::from_utf8_lossy(&said).contains("nickname_in_use"));
    turn.hang_up(root, HangUp::Reset);
    say(&mut turn, stranger, r#"{"request":"hello","id":"h","nick":"root"}"#);
    let said = turn.read(stranger);
    assert!(String::from_utf8_lossy(&said).contains(r#""nick":"root""#));
}

/// A script that wrote to its own login name was told that it had arrived: at itself, which was gone then.
#[test]
fn a_control_connection_alone_is_nobody_to_write_to_or_to_look_up() {
    let mut turn = Turn::new(quiet());
    let script = turn.control("ada");
    let write = |number| post(number, r#""to":"ADA""#, "hi");
    for ask in [write(1), r#"{"request":"whois","id":"w","nick":"ada"}"#.into()] {
        turn.ask(script, &ask);
        let said = turn.lines(script).concat();
        assert!(said.contains("no_such_nick") && said.contains("Nobody else"), "{said}");
    }
    let other = turn.control("ada");
    turn.ask(script, &write(2));
    let heard = turn.lines(other);
    assert!(heard[0].contains(r#""to":"ada""#), "{heard:?}");
    turn.ask(script, r#"{"request":"whois","id":"w","nick":"ada"}"#);
    let lines = turn.lines(script);
    assert!(lines.last().unwrap().contains(r#""nick":"ada""#), "{lines:?}");
}

#[test]
fn a_burst_of_direct_messages_is_refused_and_does_not_cut_who_it_is_for() {
    let mut turn = Turn::new(Settings { outbox: Some(8_000), ..quiet() });
    let (ada, bob) = (turn.control("ada"), turn.control("bob"));
    for number in 0..40 {
        let text = "x".repeat(500);
        turn.ask(ada, &post(number, r#""to":"bob""#, &text));
    }
    let said = words(&mut turn, ada);
    let delivered = said.iter().filter(|word| *word == "ok").count();
    assert!(
        delivered > 4 && said[delivered..].iter().all(|word| word == "limit_reached"),
        "{said:?}"
    );
    assert_eq!(turn.closed(bob), None);
    assert_eq!(words(&mut turn, bob).len(), delivered);
    turn.ask(ada, &post(99, r#""to":"bob""#, "now"));
    assert_eq!(words(&mut turn, ada), ["ok"]);
}
