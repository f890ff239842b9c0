//! People and views: who is there, what is unread, who is ignored, and the answers to commands.

use super::{Scene, lobby};
use crate::chat::command::{Names, complete};
use crate::chat::model::{News, ViewName};
use serde_json::json;

#[test]
fn members_are_kept_as_they_come_and_go() {
    let mut scene = Scene::in_lobby(0);
    let names = |scene: &Scene| {
        let members = scene.model.rooms()["lobby"].members();
        members
            .map(|member| format!("{}{}", member.nick, if member.is_away { "*" } else { "" }))
            .collect::<Vec<_>>()
    };
    assert_eq!(names(&scene), ["ada", "bob*"]);
    scene.event("joined", json!({"room": "lobby", "nick": "Carol"}));
    scene.event("away", json!({"room": "lobby", "nick": "bob", "away": ""}));
    scene.event("renamed", json!({"room": "lobby", "nick": "Carol", "new_nick": "Dora"}));
    scene.event("left", json!({"room": "lobby", "nick": "BOB"}));
    assert_eq!(names(&scene), ["ada", "Dora"]);
    let presence = json!({"room": "lobby", "members": 60, "joined": ["x", "y"], "left": ["Dora"], "joined_count": 30, "left_count": 1});
    scene.event("presence", presence);
    assert_eq!((names(&scene).len(), scene.model.rooms()["lobby"].count()), (3, 60));
    scene.event("topic", json!({"room": "lobby", "nick": "x", "topic": "tea"}));
    assert_eq!(scene.model.rooms()["lobby"].topic(), "tea");
    scene.is_lost();
    assert_eq!(names(&scene).len(), 0);
}

#[test]
fn what_nobody_sees_is_unread_and_what_names_us_is_counted() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/join ops");
    scene.joins("ops", 0);
    scene.hears(1, "bob", "hello all");
    scene.hears(2, "bob", "Ada: are you there?");
    let view = scene.view(&lobby());
    assert_eq!((view.unread, view.mentions), (2, 1));
    let first = view.first_unread.expect("a first");
    assert_eq!(view.log.entry(first).and_then(|entry| entry.place), Some(1));
    assert!(scene.news.contains(&News::Mention(lobby())));
    assert_eq!(scene.model.views().next_active(), Some(&lobby()));
    scene.types("/go lobby");
    scene.hears(3, "bob", "seen at once");
    let view = scene.view(&lobby());
    assert_eq!(
        (view.unread, view.first_unread),
        (0, Some(first)),
        "its line stays while it is seen"
    );
    scene.types("/go ops");
    assert_eq!(scene.view(&lobby()).first_unread, None);
}

#[test]
fn a_view_is_gone_to_by_its_number_unless_a_room_is_called_so() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/go 1");
    assert_eq!(scene.model.views().focus(), &ViewName::Server);
    scene.types("/go 2");
    assert_eq!(scene.model.views().focus(), &lobby());
    scene.types("/join 1");
    scene.types("/go 2");
    scene.types("/go 1");
    assert_eq!(scene.model.views().focus(), &ViewName::Room("1".to_owned()));
    scene.types("/go 9");
    assert_eq!(scene.model.views().focus(), &ViewName::Room("1".to_owned()), "there is none");
}

#[test]
fn a_direct_message_has_a_view_and_a_receipt() {
    let mut scene = Scene::in_lobby(0);
    scene.event(
        "message",
        json!({"to": "ada", "from": "Bob", "text": "psst", "message_id": "m", "receipt": true}),
    );
    assert_eq!(scene.replies("receipt", json!({"message_id": "m"})).fields["message_id"], "m");
    let bob = ViewName::of_nick("bob");
    assert_eq!((scene.view(&bob).mentions, scene.lines(&bob)), (1, vec!["Bob: psst".to_owned()]));
    scene.types("/msg BOB");
    scene.types("what is it?");
    let post = scene.replies("post", json!({"to": "Bob", "time": "1970-01-01T00:00:00Z"}));
    assert_eq!((&post.fields["to"], &post.fields["receipt"]), (&json!("Bob"), &json!(true)));
    scene.types("/leave");
    assert!(scene.model.views().view(&bob).is_none());
    assert_eq!(*scene.model.views().focus(), lobby());
}

#[test]
fn who_is_ignored_is_not_heard() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/ignore Bob");
    scene.hears(1, "bob", "spam");
    scene.event(
        "message",
        json!({"to": "ada", "from": "BOB", "text": "spam", "message_id": "m", "receipt": true}),
    );
    scene.event("joined", json!({"room": "lobby", "nick": "bob"}));
    assert!(scene.has_not_asked("receipt"));
    assert_eq!(scene.model.rooms()["lobby"].last(), Some(1), "it is not missing, either");
    scene.types("/unignore bob");
    scene.hears(2, "bob", "sorry");
    let lines = scene.lines(&lobby());
    assert_eq!(lines.iter().filter(|line| line.starts_with("bob")).count(), 1, "{lines:?}");
}

#[test]
fn who_is_away_without_a_word_is_away_and_nothing_more() {
    let mut scene = Scene::in_lobby(0);
    for text in ["away", "lunch"] {
        scene.event("away", json!({"room": "lobby", "nick": "bob", "away": text}));
        scene.types(&format!("/away {text}"));
        scene.replies("away", json!({"away": text}));
    }
    let expected =
        ["bob is away", "-- you are away", "bob is away: lunch", "-- you are away: lunch"];
    assert_eq!(scene.lines(&lobby()), expected);
}

#[test]
fn being_away_is_said_again_after_a_loss() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/away lunch");
    assert_eq!(scene.replies("away", json!({"away": "lunch"})).fields["text"], "lunch");
    scene.is_lost();
    scene.calls_again();
    scene.connects("h1");
    assert_eq!(scene.take("away").fields["text"], "lunch");
    scene.types("/back");
    assert_eq!((scene.take("away").fields["text"].as_str(), scene.model.away()), (Some(""), None));
}

/// It was shown for good, and asked for again after every loss.
#[test]
fn being_away_that_was_refused_is_not_shown_as_if_it_held() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/away lunch");
    scene.replies("away", json!({"away": "lunch"}));
    assert_eq!(scene.lines(&lobby()).last().map(String::as_str), Some("-- you are away: lunch"));
    scene.types("/away a very long word");
    scene.refuses("away", "too_large");
    assert_eq!(scene.model.away(), Some("lunch"), "as the server has it");
    assert_eq!(scene.lines(&lobby()).last().map(String::as_str), Some("-- No: too_large."));
    scene.is_lost();
    scene.types("/away a very long word");
    assert_eq!(scene.model.away(), Some("a very long word"), "nobody can be asked now");
    scene.calls_again();
    scene.connects("h1");
    scene.refuses("away", "too_large");
    assert_eq!(scene.model.away(), None, "the server knows of none");
}

#[test]
fn a_room_that_is_left_is_not_joined_again() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/join ops");
    scene.refuses("join", "limit_reached");
    assert!(!scene.model.rooms().contains_key("ops"));
    scene.types("/leave");
    assert_eq!(*scene.model.views().focus(), lobby());
    scene.types("/leave lobby");
    scene.take("leave");
    scene.is_lost();
    scene.calls_again();
    scene.connects("h1");
    assert!(scene.has_not_asked("join") && scene.model.is_settled());
    scene.types("/who");
    assert!(scene.lines(&ViewName::Server).last().is_some_and(|line| line.contains("/who ROOM")));
}

#[test]
fn what_was_for_a_room_that_cannot_be_joined_is_told_and_given_back() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/join ops");
    scene.types("for those in ops");
    scene.refuses("join", "limit_reached");
    assert_eq!(scene.returned(), ["for those in ops"]);
    // Nor is what is typed on said where the person was before.
    scene.types("them, too");
    assert_eq!(scene.returned(), ["for those in ops", "them, too"]);
    let lines = scene.lines(&ViewName::Room("ops".to_owned()));
    assert!(lines.contains(&"ada: for those in ops (not sent)".to_owned()), "{lines:?}");
    assert_eq!(
        lines.last().map(String::as_str),
        Some("-- not sent: you are not in #ops: /join ops tries again")
    );
    assert!(scene.has_not_asked("post") && scene.model.is_settled());
    scene.types("/join ops");
    scene.joins("ops", 0);
    scene.types("at last");
    assert_eq!(scene.take("post").fields["room"], "ops");
}

#[test]
fn look_ups_are_answered_where_they_were_asked() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/whois bob");
    scene.types("/rooms");
    scene.types("/topic tea");
    scene.types("/go server");
    scene.replies("whois", json!({"nick": "bob", "since": "1969-12-31T23:59:00Z", "idle_ms": 1500, "rooms": ["lobby"], "away": "", "agent": "x"}));
    scene.replies("rooms", json!({"rooms": [{"room": "lobby", "members": 2}], "more": false}));
    scene.replies("topic", json!({"room": "lobby", "topic": "tea", "by": "ada"}));
    let lines = scene.lines(&lobby());
    assert_eq!(lines[0], "-- bob took this name 1m 0s ago; idle 1.5 s\nin #lobby\nuses x");
    assert_eq!(lines[1..], ["-- #lobby (2 there)", "ada set the topic: tea"]);
    scene.is_lost();
    scene.types("/whois bob");
    let lines = scene.lines(&ViewName::Server);
    assert!(lines.last().is_some_and(|line| line.contains("no connection")), "{lines:?}");
}

#[test]
fn the_model_knows_what_completes_a_line() {
    let mut scene = Scene::in_lobby(0);
    scene.hears(1, "Zoe", "hi");
    scene.hears(2, "bob", "hi");
    assert_eq!(scene.model.nicks()[..2], ["bob", "Zoe"], "who spoke last comes first");
    assert!(!scene.model.nicks().contains(&"ada".to_owned()), "nobody calls themselves");
    assert_eq!(complete("zo", 2, &scene.model).candidates, ["Zoe: "]);
    assert_eq!(complete("/go ", 4, &scene.model).candidates, ["server ", "#lobby "]);
}
