//! The talk: its states, its turns, and what becomes of it when a connection is lost or the peer goes.

use super::Scene;
use crate::chat::model::entry::Mark;
use crate::chat::model::{News, TalkState, Turn, ViewName};
use serde_json::json;

const SINCE: &str = "1970-01-01T00:00:00Z";

fn is_open(turn: Turn) -> TalkState {
    TalkState::Open { peer: "bob".to_owned(), turn }
}

/// Ada in an open talk with bob.
fn talking(turn: Option<&str>) -> Scene {
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge --turns yes");
    let bridge = scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!((&bridge.fields["turns"], bridge.fields.get("peer")), (&json!("yes"), None));
    assert!(matches!(scene.model.talk().state(), TalkState::Waiting { peer: None, .. }));
    scene.event("talk_ready", json!({"peer": "bob"}));
    assert_eq!(*scene.model.talk().state(), TalkState::Ready { peer: "bob".to_owned() });
    scene.types("/chat");
    scene.replies("chat", json!({"turn": turn}));
    scene.event("talk_started", json!({"peer": "bob", "turn": turn}));
    scene
}

#[test]
fn the_opener_writes_first_and_a_message_gives_the_turn() {
    let mut scene = talking(Some("yours"));
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Yours));
    scene.types("hello");
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Theirs));
    scene.types("and another");
    assert_eq!(scene.returned(), ["and another"], "out of turn it is kept");
    let say = scene.replies("say", json!({"message_id": "x", "turn": "theirs"}));
    scene.event("delivered", json!({"message_id": say.id, "by": "bob"}));
    assert!(scene.lines(&ViewName::Talk).contains(&"ada: hello (delivered)".to_owned()));
    scene.event(
        "talk_message",
        json!({"from": "bob", "message_id": "m", "text": "hi", "turn": "yours"}),
    );
    assert_eq!(scene.take("receipt").fields["message_id"], "m");
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Yours));
    scene.types("/pass");
    scene.replies("pass", json!({"turn": "theirs"}));
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Theirs));
    scene.event("talk_turn", json!({"turn": "yours", "reason": "timeout"}));
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Yours));
}

#[test]
fn without_turns_both_write_at_will() {
    let mut scene = talking(None);
    scene.types("one");
    scene.types("two");
    scene.replies("say", json!({"message_id": "x"}));
    scene.replies("say", json!({"message_id": "y"}));
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Free));
    scene.types("/pass");
    assert!(scene.has_not_asked("pass"));
}

#[test]
fn what_the_server_takes_for_out_of_turn_is_kept() {
    let mut scene = talking(Some("yours"));
    scene.types("too late");
    scene.refuses("say", "not_your_turn");
    assert_eq!(scene.returned(), ["too late"]);
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Theirs));
    scene.event("talk_turn", json!({"turn": "yours"}));
    scene.types("too much");
    scene.refuses("say", "limit_reached");
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Yours), "the turn was not given away");
}

#[test]
fn whoever_is_left_waits_again_and_what_was_not_sent_is_kept() {
    for (reason, waits) in [("hangup", true), ("gone", true), ("timeout", false)] {
        let mut scene = talking(Some("yours"));
        scene.types("lost?");
        scene.event("talk_ended", json!({"peer": "bob", "reason": reason}));
        assert_eq!(scene.returned(), ["lost?"]);
        assert!(scene.lines(&ViewName::Talk).contains(&"ada: lost? (not acknowledged)".to_owned()));
        let entries = scene.view(&ViewName::Talk).log.entries();
        let marks: Vec<_> = entries.filter_map(|entry| Some(&entry.message()?.mark)).collect();
        let [Mark::NotAcknowledged { why }] = &marks[..] else { panic!("{marks:?}") };
        assert!(why.contains("it may have arrived"), "nobody knows: {why}");
        let state = scene.model.talk().state();
        assert_eq!(matches!(state, TalkState::Waiting { .. }), waits, "{reason}");
        assert_eq!(scene.model.talk().wish().is_some(), waits);
        // The answer that was under way changes nothing.
        scene.refuses("say", "not_in_talk");
        scene.types("hello?");
        assert_eq!(scene.returned().len(), 2, "nobody is there to hear it");
    }
}

#[test]
fn who_waits_for_no_talk_is_registered_as_long_as_there_is_a_connection() {
    let mut scene = talking(None);
    scene.types("/quit");
    assert_eq!(scene.model.talk_words(), "registered");
    scene.is_lost();
    assert_eq!(scene.model.talk_words(), "not registered");
    scene.types("/bridge");
    assert_eq!(scene.model.talk_words(), "will wait for anyone");
}

#[test]
fn a_lost_connection_ends_the_talk_and_keeps_the_wish() {
    let mut scene = talking(Some("yours"));
    scene.types("under way");
    scene.is_lost();
    assert_eq!(*scene.model.talk().state(), TalkState::Registered);
    assert_eq!(scene.returned(), ["under way"]);
    let is_told =
        |news: &News| matches!(news, News::Connection(text) if text.contains("lost the daemon"));
    let told = scene.news.iter().position(is_told).expect("it is told");
    let is_note = |news: &News| matches!(news, News::Entry { view: ViewName::Talk, .. });
    assert!(scene.news[told..].iter().any(is_note), "first the reason, then what came of it");
    assert_eq!(scene.model.talk().words(), "will wait for bob");
    scene.types("are you there?");
    assert_eq!(scene.returned(), ["under way", "are you there?"]);
    let last = scene.lines(&ViewName::Talk).pop().expect("a line");
    assert_eq!(last, "-- not sent: the talk is waited for again when there is a connection");
    scene.calls_again();
    scene.connects("h1");
    scene.joins("lobby", 0);
    assert!(scene.has_not_asked("say"), "it was for a talk that is over");
    let bridge = scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!((&bridge.fields["turns"], &bridge.fields["peer"]), (&json!("yes"), &json!("bob")));
    assert_eq!(scene.model.talk().words(), "waiting for bob");
    scene.event("talk_ready", json!({"peer": "Bob", "turns": true}));
    assert_eq!(scene.replies("chat", json!({"turn": "yours"})).fields["peer"], "Bob");
    scene.event("talk_started", json!({"peer": "Bob", "turn": "yours"}));
    // Once he has gone by himself anyone will do, as it was wished.
    scene.event("talk_ended", json!({"peer": "Bob", "reason": "hangup"}));
    scene.event("talk_waiting", json!({"since": SINCE, "peer": "bob"}));
    assert_eq!(scene.replies("bridge", json!({"since": SINCE})).fields.get("peer"), None);
    assert_eq!(scene.model.talk().words(), "waiting for anyone");
}

#[test]
fn who_was_only_found_is_not_wished_for_by_name() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge");
    scene.replies("bridge", json!({"since": SINCE}));
    scene.event("talk_ready", json!({"peer": "bob"}));
    scene.is_lost();
    scene.calls_again();
    scene.connects("h1");
    assert_eq!(scene.take("bridge").fields.get("peer"), None);
}

#[test]
fn quit_ends_the_talk_and_then_all() {
    let mut scene = talking(None);
    scene.types("/quit");
    scene.take("hangup");
    assert_eq!(*scene.model.talk().state(), TalkState::Registered);
    assert!(scene.model.talk().wish().is_none() && !scene.model.has_ended());
    scene.event("talk_message", json!({"from": "bob", "message_id": "m", "text": "crossed"}));
    scene.event("talk_ended", json!({"peer": "bob", "reason": "hangup"}));
    scene.event("talk_waiting", json!({"since": SINCE}));
    assert_eq!(*scene.model.talk().state(), TalkState::Registered, "what crosses changes nothing");
    scene.types("/quit");
    assert!(scene.model.has_ended());
}

#[test]
fn the_reply_to_chat_opens_the_talk_and_what_is_said_then_is_in_it() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge");
    scene.replies("bridge", json!({"since": SINCE}));
    scene.event("talk_ready", json!({"peer": "bob"}));
    scene.types("/chat");
    assert!(scene.model.is_opening() && scene.model.is_commanded());
    scene.replies("chat", json!({"peer": "bob", "turn": "yours", "direct": false}));
    assert!(!scene.model.is_opening() && !scene.model.is_commanded());
    scene.types("hello");
    scene.event("talk_started", json!({"peer": "bob", "turn": "yours"}));
    assert_eq!(*scene.model.talk().state(), is_open(Turn::Theirs), "the message gave it away");
    assert_eq!(scene.take("say").fields["text"], "hello");
    let told = |line: &&String| line.contains("your turn, with bob");
    assert_eq!(scene.lines(&ViewName::Talk).iter().filter(told).count(), 1);
}

#[test]
fn what_nobody_acknowledged_is_counted_when_the_talk_ends() {
    let mut scene = talking(None);
    let said = |scene: &mut Scene, text: &str| {
        scene.types(text);
        scene.replies("say", json!({"message_id": "x"})).id
    };
    let first = said(&mut scene, "one");
    said(&mut scene, "two");
    said(&mut scene, "three");
    scene.event("delivered", json!({"message_id": first, "by": "bob"}));
    scene.types("under way");
    let of_ours = |scene: &Scene| {
        let lines = scene.lines(&ViewName::Talk);
        lines.into_iter().filter(|line| line.starts_with("ada: ")).collect::<Vec<_>>()
    };
    let marked =
        ["ada: one (delivered)", "ada: two (sent)", "ada: three (sent)", "ada: under way..."];
    assert_eq!(of_ours(&scene), marked, "nobody keeps what the server has relayed");
    scene.news.clear();
    scene.event("talk_ended", json!({"peer": "bob", "reason": "gone"}));
    let lines = scene.lines(&ViewName::Talk);
    assert!(lines.contains(&"-- bob is gone; 2 of yours not acknowledged".to_owned()), "{lines:?}");
    let marked =
        ["two", "three", "under way"].map(|text| format!("ada: {text} (not acknowledged)"));
    assert_eq!(of_ours(&scene)[1..], marked);
    let told = scene.news.iter().filter(|news| matches!(news, News::Mark { .. }));
    assert_eq!(told.count(), 3);
    assert_eq!(scene.returned(), ["under way"]);
    scene.refuses("say", "not_in_talk");
    // The next talk counts its own.
    scene.event("talk_ready", json!({"peer": "carol"}));
    scene.event("talk_started", json!({"peer": "carol"}));
    let fourth = said(&mut scene, "four");
    scene.types("/quit");
    let last = scene.lines(&ViewName::Talk).pop().expect("a line");
    assert_eq!(last, "-- you ended the talk; 1 of yours not acknowledged");
    // What is acknowledged later was only late.
    assert_eq!(of_ours(&scene)[4..], ["ada: four (not acknowledged)"]);
    scene.event("delivered", json!({"message_id": fourth, "by": "carol"}));
    assert_eq!(of_ours(&scene)[4..], ["ada: four (delivered)"]);
}

#[test]
fn what_nobody_acknowledged_is_so_marked_however_the_talk_ends() {
    type End = fn(&mut Scene);
    let ends: [End; 5] = [
        |scene| scene.types("/quit"),
        |scene| scene.types("/ignore bob"),
        |scene| scene.is_lost(),
        |scene| scene.event("talk_ended", json!({"peer": "bob", "reason": "hangup"})),
        |scene| {
            let at = scene.at();
            scene.model.part(at);
        },
    ];
    for end in ends {
        let mut scene = talking(None);
        scene.types("hello?");
        scene.replies("say", json!({"message_id": "x"}));
        scene.event("renamed", json!({"nick": "bob", "new_nick": "Bob"}));
        assert!(scene.lines(&ViewName::Talk).contains(&"ada: hello? (sent)".to_owned()));
        end(&mut scene);
        let lines = scene.lines(&ViewName::Talk);
        assert!(lines.contains(&"ada: hello? (not acknowledged)".to_owned()), "{lines:?}");
        assert!(scene.returned().is_empty(), "it was sent: {lines:?}");
    }
}

#[test]
fn who_quits_a_moment_after_the_peer_ends_the_waiting_and_not_all() {
    let mut scene = talking(None);
    scene.event("talk_ended", json!({"peer": "bob", "reason": "hangup"}));
    scene.event("talk_waiting", json!({"since": SINCE}));
    scene.types("/quit");
    scene.replies("hangup", json!({}));
    assert!(!scene.model.has_ended() && scene.model.talk().wish().is_none());
    let last = scene.lines(&ViewName::Talk).pop().expect("a line");
    assert_eq!(last, "-- you wait for no talk any more; /quit again ends all");
    // Without a connection, too.
    scene.types("/bridge");
    scene.is_lost();
    scene.types("/quit");
    assert!(!scene.model.has_ended() && scene.model.talk().wish().is_none());
    scene.types("/quit");
    assert!(scene.model.has_ended());
}

#[test]
fn waiting_can_be_taken_back_and_names_who_is_waited_for() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge Bob");
    assert_eq!(scene.replies("bridge", json!({"since": SINCE})).fields["peer"], "Bob");
    assert_eq!(scene.model.talk().words(), "waiting for Bob");
    scene.types("/chat");
    assert!(scene.has_not_asked("chat"));
    scene.types("/unbridge");
    scene.event("talk_ready", json!({"peer": "Bob"}));
    assert_eq!(*scene.model.talk().state(), TalkState::Registered, "it crossed our word");
    scene.event("talk_started", json!({"peer": "Bob"}));
    scene.replies("hangup", json!({}));
    scene.types("/bridge");
    scene.refuses("bridge", "no_nickname");
    assert!(scene.model.talk().wish().is_none());
    scene.types("/unbridge");
    assert!(scene.has_not_asked("hangup"));
}

#[test]
fn what_is_said_of_a_talk_that_was_left_is_not_taken_for_the_next_one() {
    let mut scene = talking(Some("theirs"));
    scene.types("/quit");
    scene.types("/bridge carol");
    // Bob's last words were under way when he was hung up.
    scene.event(
        "talk_message",
        json!({"from": "bob", "message_id": "m", "text": "but", "turn": "yours"}),
    );
    scene.event("talk_turn", json!({"turn": "yours", "reason": "timeout"}));
    scene.event("talk_ended", json!({"peer": "bob", "reason": "gone"}));
    scene.event("talk_waiting", json!({"since": SINCE}));
    scene.event("talk_ready", json!({"peer": "dora"}));
    assert_eq!(*scene.model.talk().state(), TalkState::Registered);
    assert!(scene.lines(&ViewName::Talk).contains(&"bob: but".to_owned()));
    scene.replies("hangup", json!({}));
    scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!(scene.model.talk().words(), "waiting for carol");
}

#[test]
fn a_wish_that_is_refused_takes_the_one_before_with_it() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge");
    scene.replies("bridge", json!({"since": SINCE}));
    scene.types("/bridge ada");
    scene.refuses("bridge", "bad_request");
    scene.replies("hangup", json!({}));
    assert_eq!(*scene.model.talk().state(), TalkState::Registered);
    // Where the person wishes for something else meanwhile, that is what counts.
    scene.types("/bridge ada");
    scene.types("/bridge bob");
    scene.refuses("bridge", "bad_request");
    scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!(scene.model.talk().words(), "waiting for bob");
    scene.types("/bridge carol");
    scene.event("talk_ended", json!({"reason": "timeout"}));
    scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!(scene.model.talk().words(), "waiting for carol");
}

#[test]
fn a_program_that_has_said_all_is_not_shown_as_saying_nothing() {
    let mut scene = talking(None);
    scene.event("talk_message", json!({"from": "bob", "message_id": "m", "text": ""}));
    scene.replies("receipt", json!({"message_id": "m"}));
    let last = scene.lines(&ViewName::Talk).pop().expect("a line");
    assert_eq!(last, "-- bob has no more to say");
}

#[test]
fn nobody_talks_with_whom_they_ignore() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/ignore Bob");
    scene.types("/bridge bob");
    assert!(scene.has_not_asked("bridge") && scene.model.talk().wish().is_none());
    scene.types("/bridge");
    scene.replies("bridge", json!({"since": SINCE}));
    scene.event("talk_ready", json!({"peer": "bob"}));
    scene.replies("hangup", json!({}));
    assert!(scene.model.talk().wish().is_none());
    // Whoever is ignored in the midst of a talk, or takes such a name, is hung up on as well.
    scene.types("/unignore bob");
    for is_renamed in [false, true] {
        scene.types("/bridge");
        scene.replies("bridge", json!({"since": SINCE}));
        scene.event("talk_ready", json!({"peer": "bob"}));
        scene.event("talk_started", json!({"peer": "bob"}));
        if is_renamed {
            scene.event("renamed", json!({"nick": "bob", "new_nick": "Eve"}));
        } else {
            scene.types("/ignore eve");
            assert!(scene.model.talk().is_on(), "somebody else is");
            scene.types("/ignore bob");
            scene.types("/unignore bob");
        }
        scene.replies("hangup", json!({}));
        assert_eq!(*scene.model.talk().state(), TalkState::Registered);
    }
}

#[test]
fn a_peer_may_take_another_name() {
    let mut scene = talking(Some("theirs"));
    scene.event("renamed", json!({"nick": "Bob", "new_nick": "Rob"}));
    assert_eq!(scene.model.talk().words(), "Rob's turn");
}
