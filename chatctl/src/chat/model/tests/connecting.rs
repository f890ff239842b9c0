//! The connection: lost at each step and found again, a nickname that is held, catching up without a seam.

use super::{Scene, lobby};
use crate::chat::model::{Joined, Older, Output, Phase};
use crate::client::Happening;
use serde_json::json;

#[test]
fn it_connects_greets_and_joins() {
    let mut scene = Scene::new();
    assert_eq!(scene.calls, 1);
    let at = scene.at();
    scene.model.called(at);
    scene.drain();
    let hello = &scene.asked[0];
    assert_eq!((hello.name, &hello.fields["nick"]), ("hello", &json!("ada")));
    scene.greets("h1");
    let join = scene.joins("lobby", 7);
    assert_eq!(join.fields.get("after"), None, "what was said before is no gap");
    assert!(scene.model.is_settled());
    assert_eq!(scene.model.rooms()["lobby"].last(), Some(7));
}

#[test]
fn it_is_found_again_wherever_it_was_lost() {
    // Each step of connecting, and whether it was one before the next.
    for step in 0..5 {
        let mut scene = Scene::new();
        let at = scene.at();
        match step {
            0 => scene.model.not_called(at, "nobody listens there"),
            1 => scene.model.called(at),
            2 => {
                scene.model.called(at);
                scene.drain();
                scene.refuses("hello", "nickname_in_use");
            }
            3 => {
                scene.model.called(at);
                scene.drain();
                scene.greets("h1");
            }
            _ => scene = Scene::in_lobby(3),
        }
        scene.drain();
        scene.is_lost();
        assert!(matches!(scene.model.link().phase(), Phase::Away { .. }), "step {step}");
        assert!(scene.model.rooms()["lobby"].joined() == Joined::No);
        scene.calls_again();
        scene.connects("h1");
        let join = scene.joins("lobby", 3);
        let after = join.fields.get("after").and_then(serde_json::Value::as_u64);
        assert_eq!(after, (step == 4).then_some(3), "step {step}");
        assert!(scene.model.is_settled(), "step {step}");
    }
}

#[test]
fn tries_come_at_growing_pauses_and_now_where_wished() {
    let mut scene = Scene::new();
    let mut pauses = Vec::new();
    for _ in 0..8 {
        let at = scene.at();
        scene.model.not_called(at, "nobody listens there");
        scene.drain();
        let next = scene.model.next().expect("a next try");
        pauses.push(next.since(scene.now).as_micros() / 1_000);
        scene.calls_again();
    }
    assert!(pauses[0] <= 100 && pauses[7] >= 1_000 && pauses[7] <= 2_000, "{pauses:?}");
    assert_eq!(scene.told().len(), 1, "it is said once: {:?}", scene.told());
    let at = scene.at();
    scene.model.not_called(at, "nobody listens there");
    let calls = scene.calls;
    scene.types("/reconnect");
    assert_eq!(scene.calls, calls + 1);
    scene.connects("h1");
    assert!(scene.told().iter().any(|text| text.starts_with("connected")));
}

#[test]
fn a_held_nickname_is_asked_for_again_and_no_other_is_taken() {
    let mut scene = Scene::in_lobby(3);
    scene.types("hello");
    scene.is_lost();
    scene.calls_again();
    let at = scene.at();
    scene.model.called(at);
    scene.drain();
    for _ in 0..3 {
        let hello = scene.refuses("hello", "nickname_in_use");
        assert_eq!(hello.fields["nick"], "ada");
        assert!(matches!(scene.model.link().phase(), Phase::Held { next: Some(_), .. }));
        assert!(scene.has_not_asked("post") && scene.has_not_asked("join"));
        scene.calls_again();
    }
    let told = scene.told().iter().filter(|text| text.contains("cannot be had yet")).count();
    assert_eq!(told, 1, "it is said once");
    scene.greets("h1");
    scene.joins("lobby", 3);
    assert_eq!(scene.take("post").fields["text"], "hello");
    assert_eq!(scene.model.nick(), Some("ada"));
}

#[test]
fn another_name_is_taken_where_the_person_says_so() {
    let mut scene = Scene::new();
    let at = scene.at();
    scene.model.called(at);
    scene.drain();
    scene.refuses("hello", "forbidden");
    assert_eq!(scene.model.next(), None, "a name that is banned is not asked for again");
    scene.types("/nick eve");
    let hello = &scene.asked[0];
    assert_eq!((hello.name, &hello.fields["nick"]), ("hello", &json!("eve")));
    scene.greets("h1");
    assert_eq!(scene.model.nick(), Some("eve"));
    scene.types("/nick mallory");
    scene.refuses("nick", "nickname_in_use");
    assert_eq!(scene.model.nick(), Some("eve"));
    scene.types("/nick Eve");
    scene.replies(
        "nick",
        json!({"nick": "Eve", "address": "192.0.2.1:5", "since": "1970-01-01T00:00:00Z"}),
    );
    assert_eq!(scene.model.nick(), Some("Eve"));
}

#[test]
fn what_was_missed_comes_once_and_in_order() {
    let mut scene = Scene::in_lobby(1);
    scene.hears(2, "bob", "two");
    scene.is_lost();
    scene.calls_again();
    scene.connects("h1");
    let join = &scene.asked.iter().find(|request| request.name == "join").expect("a join");
    let (id, after) = (join.id.clone(), join.fields["after"].clone());
    assert_eq!(after, 2);
    scene.event("gap", json!({"room": "lobby", "from_seq": 3, "to_seq": 4}));
    for seq in [5, 6] {
        let fields = json!({"room": "lobby", "seq": seq, "from": "bob", "text": seq.to_string(), "message_id": format!("id-{seq}"), "history": id});
        scene.event("message", fields);
    }
    assert!(scene.has_not_asked("history"), "what is not kept cannot be asked for");
    scene.joins("lobby", 6);
    scene.hears(6, "bob", "again");
    scene.hears(7, "bob", "seven");
    assert_eq!(scene.lines(&lobby()), ["bob: two", "gap 3-4", "bob: 5", "bob: 6", "bob: seven"]);
}

#[test]
fn what_was_left_out_is_asked_for() {
    let mut scene = Scene::in_lobby(1);
    scene.hears(2, "bob", "two");
    scene.event("gap", json!({"room": "lobby", "from_seq": 3, "to_seq": 6}));
    scene.hears(7, "bob", "seven");
    assert_eq!(scene.lines(&lobby()), ["bob: two", "gap 3-6", "bob: seven"]);
    let ask = scene.asked.iter().find(|request| request.name == "history").expect("it asks");
    assert_eq!((&ask.fields["after"], &ask.fields["before"]), (&json!(2), &json!(7)));
    let of = |id: &str, seq: u64| json!({"room": "lobby", "seq": seq, "from": "bob", "text": seq.to_string(), "message_id": format!("id-{seq}"), "history": id});
    let id = ask.id.clone();
    scene.event("message", of(&id, 4));
    scene.replies("history", json!({"room": "lobby", "count": 1, "more": true, "forgotten": 3}));
    let ask = scene.asked.iter().find(|request| request.name == "history").expect("it goes on");
    assert_eq!(ask.fields["after"], 4);
    let id = ask.id.clone();
    scene.event("message", of(&id, 5));
    scene.event("message", of(&id, 6));
    scene.replies("history", json!({"room": "lobby", "count": 2, "more": false, "forgotten": 3}));
    let lines = scene.lines(&lobby());
    assert_eq!(lines, ["bob: two", "gap 3-3", "bob: 4", "bob: 5", "bob: 6", "bob: seven"]);
    assert_eq!(scene.view(&lobby()).unread, 0, "what is seen is read");
}

#[test]
fn numbers_of_another_history_mean_nothing() {
    let mut scene = Scene::in_lobby(7);
    scene.hears(8, "bob", "the old eight");
    scene.is_lost();
    scene.calls_again();
    scene.connects("h2");
    let join = scene.joins("lobby", 0);
    assert_eq!(join.fields["after"], 0, "all of the new one is owed");
    scene.hears(1, "bob", "the new one");
    let lines = scene.lines(&lobby());
    assert_eq!(lines[0], "bob: the old eight");
    assert!(lines[1].contains("new history"), "{lines:?}");
    assert_eq!(lines[2], "bob: the new one");
}

#[test]
fn a_daemon_that_does_not_answer_is_left() {
    let mut scene = Scene::in_lobby(1);
    scene.types("hello?");
    let post = scene.take("post");
    scene.happens(Happening::TimedOut(post.id.clone()));
    assert_eq!(scene.hang_ups, 1);
    scene.calls_again();
    scene.connects("h1");
    scene.joins("lobby", 1);
    assert_eq!(scene.take("post").id, post.id);
}

#[test]
fn older_messages_come_when_somebody_scrolls() {
    let mut scene = Scene::in_lobby(9);
    scene.hears(10, "bob", "ten");
    let at = scene.at();
    scene.model.want_older(at);
    scene.model.want_older(at);
    scene.drain();
    let ask = scene.asked.iter().find(|request| request.name == "history").expect("it asks");
    assert_eq!(ask.fields["before"], 10);
    let id = ask.id.clone();
    assert_eq!(scene.view(&lobby()).older, Older::Asked);
    for seq in [8, 9] {
        scene.event("message", json!({"room": "lobby", "seq": seq, "from": "bob", "text": seq.to_string(), "message_id": format!("id-{seq}"), "history": id}));
    }
    scene.replies("history", json!({"room": "lobby", "count": 2, "more": false, "forgotten": 0}));
    assert_eq!(scene.lines(&lobby()), ["bob: 8", "bob: 9", "bob: ten"]);
    assert_eq!(scene.view(&lobby()).older, Older::None);
    scene.model.want_older(at);
    assert!(!matches!(scene.model.take(), Some(Output::Ask(_))), "there is nothing older");
}

impl Scene {
    /// Somebody scrolls up; the request for what is older.
    fn scrolls(&mut self) -> crate::chat::model::Request {
        let at = self.at();
        self.model.want_older(at);
        self.drain();
        self.asked.iter().find(|request| request.name == "history").cloned().expect("it asks")
    }
}

#[test]
fn older_messages_can_be_asked_for_again_when_the_connection_was_lost_meanwhile() {
    let mut scene = Scene::in_lobby(9);
    scene.hears(10, "bob", "ten");
    let ask = scene.scrolls();
    // In the midst of the answer: what lies between would not be missed.
    scene.event("message", json!({"room": "lobby", "seq": 7, "from": "bob", "text": "seven", "message_id": "id-7", "history": ask.id}));
    scene.is_lost();
    scene.calls_again();
    scene.connects("h1");
    scene.joins("lobby", 10);
    assert_eq!(scene.scrolls().fields["before"], 10);
}

#[test]
fn messages_of_somebody_ignored_are_not_asked_for_again_and_again() {
    let mut scene = Scene::in_lobby(9);
    scene.hears(10, "bob", "ten");
    scene.types("/ignore eve");
    for before in [10, 8, 6] {
        let ask = scene.scrolls();
        assert_eq!(ask.fields["before"], before);
        for seq in [before - 2, before - 1] {
            scene.event("message", json!({"room": "lobby", "seq": seq, "from": "eve", "text": "spam", "message_id": format!("id-{seq}"), "history": ask.id}));
        }
        scene.replies("history", json!({"room": "lobby", "count": 2, "more": true}));
    }
    assert_eq!(scene.lines(&lobby()), ["bob: ten", "-- you hear nothing of eve any more"]);
    // What this view has forgotten is asked for all the same.
    scene.types("/clear");
    assert_eq!(scene.scrolls().fields["before"], 11);
}

#[test]
fn a_view_is_bounded_and_can_be_scrolled_all_the_same() {
    let mut scene = Scene::in_lobby(0);
    assert_eq!(scene.view(&lobby()).older, Older::None);
    for seq in 1..=2_500 {
        scene.hears(seq, "bob", "x");
    }
    let view = scene.view(&lobby());
    assert_eq!(view.log.entries().len(), crate::chat::model::log::ENTRIES_MAX);
    assert_eq!((view.log.oldest_place(), view.older), (Some(501), Older::Unknown));
}
