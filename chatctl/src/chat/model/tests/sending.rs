//! Messages of ours: each is there once, whatever breaks, and its mark says how far it has come.

use super::{Scene, lobby};
use crate::chat::model::ViewName;
use crate::chat::model::entry::Mark;
use proto::Span;
use serde_json::{Value, json};

fn mark(scene: &Scene, view: &ViewName) -> Mark {
    let entry = scene.view(view).last_message().expect("a message");
    entry.message().expect("a message").mark.clone()
}

#[test]
fn marks_go_from_sending_to_stored_to_delivered() {
    let mut scene = Scene::in_lobby(4);
    scene.types("hello");
    assert_eq!(mark(&scene, &lobby()), Mark::Sending);
    scene.now = scene.now.after(Span::from_millis(2));
    let post = scene.replies("post", json!({"room": "lobby", "seq": 5}));
    assert_eq!(post.fields["receipt"], true, "two people can say that they have it");
    assert_eq!(mark(&scene, &lobby()), Mark::Stored);
    scene.now = scene.now.after(Span::from_millis(3));
    let rtt = Span::from_millis(5);
    for by in [1, 2] {
        scene.event("delivered", json!({"message_id": post.id, "by": "bob"}));
        assert_eq!(mark(&scene, &lobby()), Mark::Delivered { by, rtt });
    }
    let (stored, delivered) = scene.model.times();
    assert_eq!(stored.summary().map(|all| all.p50), Some(Span::from_millis(2)));
    assert_eq!(delivered.summary().map(|all| (all.count, all.p99)), Some((1, rtt)));
    scene.types("/rtt");
    assert!(scene.lines(&lobby()).last().is_some_and(|line| line.contains("p50 5 ms")));
}

#[test]
fn what_nobody_keeps_is_not_marked_as_stored() {
    let mut scene = Scene::in_lobby(4);
    scene.types("/msg bob psst");
    scene.replies("post", json!({"to": "bob"}));
    assert_eq!(mark(&scene, &ViewName::Nick("bob".to_owned())), Mark::Sent);
}

#[test]
fn what_waits_is_sent_once_under_its_first_id() {
    let mut scene = Scene::in_lobby(4);
    scene.types("one");
    scene.types("two");
    let ids = [scene.take("post").id, scene.take("post").id];
    scene.is_lost();
    scene.types("three");
    assert_eq!(scene.model.outgoing().len(), 3);
    scene.calls_again();
    scene.connects("h1");
    assert!(scene.has_not_asked("post"), "first what was missed");
    // The first was stored before the connection broke.
    let join =
        scene.asked.iter().find(|request| request.name == "join").expect("a join").id.clone();
    scene.event("message", json!({"room": "lobby", "seq": 5, "from": "ada", "text": "one", "message_id": ids[0], "history": join}));
    scene.joins("lobby", 5);
    assert_eq!(scene.replies("post", json!({"room": "lobby", "seq": 6})).id, ids[1]);
    assert_eq!(scene.replies("post", json!({"room": "lobby", "seq": 7})).fields["text"], "three");
    assert!(scene.asked.is_empty() && scene.model.is_settled());
    assert_eq!(scene.lines(&lobby()), ["ada: one", "ada: two", "ada: three"]);
}

#[test]
fn what_is_typed_before_the_server_has_said_who_we_are_is_said_under_that_name() {
    let mut scene = Scene::known_by_the_server();
    scene.types("early");
    assert_eq!(scene.lines(&lobby()), ["you: early..."]);
    scene.connects("h1");
    scene.joins("lobby", 0);
    scene.replies("post", json!({"room": "lobby", "seq": 1}));
    assert_eq!(scene.lines(&lobby()), ["root: early"]);
    scene.is_lost();
    scene.types("late");
    assert_eq!(scene.lines(&lobby()), ["root: early", "root: late..."]);
}

#[test]
fn what_is_typed_before_there_is_a_connection_waits() {
    let mut scene = Scene::new();
    scene.types("early");
    assert_eq!(scene.lines(&lobby()), ["ada: early..."]);
    scene.connects("h1");
    scene.joins("lobby", 3);
    scene.hears(4, "bob", "hi");
    scene.replies("post", json!({"room": "lobby", "seq": 5}));
    assert_eq!(scene.lines(&lobby()), ["bob: hi", "ada: early"]);
}

#[test]
fn a_message_stands_at_its_place_in_the_order() {
    let mut scene = Scene::in_lobby(0);
    scene.types("mine");
    scene.hears(1, "bob", "before");
    assert_eq!(scene.lines(&lobby()), ["bob: before", "ada: mine..."]);
    scene.replies("post", json!({"room": "lobby", "seq": 2}));
    scene.hears(3, "bob", "after");
    assert_eq!(scene.lines(&lobby()), ["bob: before", "ada: mine", "bob: after"]);
}

#[test]
fn what_is_refused_says_so_and_is_given_back() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/msg carol hi");
    scene.refuses("post", "no_such_nick");
    let carol = ViewName::of_nick("carol");
    assert_eq!(
        mark(&scene, &carol),
        Mark::NotSent { code: "no_such_nick".into(), why: "No: no_such_nick.".into() }
    );
    assert_eq!(scene.returned(), ["hi"]);
    scene.types(&"x".repeat(101));
    assert!(
        scene.lines(&lobby()).last().is_some_and(|line| line.contains("the limit is 100 bytes"))
    );
    scene.types("/go server");
    scene.types("hello?");
    assert_eq!(scene.returned().len(), 3);
    assert!(scene.model.outgoing().is_empty() && scene.has_not_asked("post"));
}

#[test]
fn what_the_server_cannot_store_now_is_sent_later() {
    let mut scene = Scene::in_lobby(0);
    scene.types("one");
    scene.types("two");
    let id = scene.refuses("post", "store_unavailable").id;
    scene.replies("post", json!({"room": "lobby", "seq": 1}));
    assert!(scene.has_not_asked("post"));
    scene.calls_again();
    assert_eq!(scene.take("post").id, id);
}

#[test]
fn in_a_room_that_has_grown_no_receipt_is_asked_for() {
    let mut scene = Scene::in_lobby(0);
    scene.types("one");
    let first = scene.refuses("post", "limit_reached");
    let again = scene.replies("post", json!({"room": "lobby", "seq": 1}));
    assert_eq!((&first.id, again.fields.get("receipt")), (&again.id, None));
    let many: Vec<Value> = (0..9).map(|number| json!({"nick": format!("n{number}")})).collect();
    scene.types("/who");
    scene.replies("members", json!({"room": "lobby", "members": many, "more": false}));
    scene.types("two");
    assert_eq!(scene.take("post").fields.get("receipt"), None);
}

#[test]
fn no_more_is_under_way_than_is_answered_in_time() {
    let mut scene = Scene::in_lobby(0);
    for number in 0..40 {
        scene.types(&format!("{number}"));
    }
    for seq in 1..=40 {
        assert!(scene.asked.len() <= 16);
        let post = scene.replies("post", json!({"room": "lobby", "seq": seq}));
        assert_eq!(post.fields["text"], format!("{}", seq - 1));
    }
    assert!(scene.model.is_settled());
}

#[test]
fn what_is_not_sent_is_given_up_only_when_that_is_said_twice() {
    let mut scene = Scene::new();
    scene.types("precious");
    scene.types("/quit");
    assert!(!scene.model.has_ended());
    scene.types("/quit");
    assert!(scene.model.has_ended());
}
