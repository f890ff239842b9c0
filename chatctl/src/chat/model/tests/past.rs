//! A talk past the server: when to listen and to call, what the server is told of it, and what becomes of it when it breaks.

use super::Scene;
use crate::chat::model::{Past, TalkState, Turn, ViewName};
use crate::direct::{self, End, Happening, Outcome};
use proto::Span;
use serde_json::json;

const SINCE: &str = "1970-01-01T00:00:00Z";

impl Scene {
    /// What was last wanted past the server; nothing else was before.
    fn past(&mut self) -> Past {
        assert_eq!(self.past.len(), 1, "{:?}", self.past);
        self.past.remove(0)
    }

    fn listens(&mut self, port: Result<u16, String>) {
        let at = self.at();
        self.model.listens(at, port);
        self.drain();
    }

    fn reaches(&mut self, outcome: Outcome) {
        let at = self.at();
        self.model.reached(at, outcome);
        self.drain();
    }

    fn talks(&mut self, happening: Happening) {
        let at = self.at();
        self.model.talked(at, happening);
        self.drain();
    }

    /// Bob is there, and listens where he says.
    fn finds(&mut self, address: Option<&str>) {
        self.event("talk_ready", json!({"peer": "bob", "turns": true, "address": address}));
    }
}

/// What was last said in the view of the talk.
fn last_line(scene: &Scene) -> String {
    scene.lines(&ViewName::Talk).last().cloned().unwrap_or_default()
}

#[test]
fn who_cannot_go_past_the_server_is_told_that_the_other_side_would() {
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge");
    scene.replies("bridge", json!({"since": SINCE}));
    scene.event("talk_ready", json!({"peer": "bob", "turns": false, "direct": true}));
    let told = "-- bob would talk past the server, which will relay: you do not listen";
    assert_eq!(last_line(&scene), told);
    scene.types("/chat");
    scene.replies("chat", json!({"turn": null}));
    // Both listen, and neither can be reached from the other.
    let mut scene = listening();
    scene.event("talk_ready", json!({"peer": "bob", "turns": true, "direct": true}));
    assert_eq!(last_line(&scene), "-- no way past the server leads to bob: the server will relay");
}

/// Ada waits for anyone, and listens at a port of hers.
fn listening() -> Scene {
    let mut scene = Scene::in_lobby(0);
    scene.types("/register ada 4000");
    scene.replies("nick", json!({"nick": "ada", "address": "192.0.2.7:1"}));
    scene.types("/bridge --direct --turns=yes");
    assert!(scene.has_not_asked("bridge"), "first one listens");
    assert_eq!(scene.past(), Past::Listen { port: 4000 });
    scene.listens(Ok(4000));
    let bridge = scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!(bridge.fields["direct"], 4000);
    scene
}

/// Ada in a talk with bob, past the server; it is her turn.
fn talking() -> Scene {
    let mut scene = listening();
    scene.finds(Some("192.0.2.9:5000"));
    let address = "192.0.2.9:5000".parse().expect("an address");
    let (us, peer) = ("ada".to_owned(), "bob".to_owned());
    assert_eq!(scene.past(), Past::Find { us, peer, turns: true, address });
    scene.types("/chat");
    assert_eq!(scene.past(), Past::Call);
    assert!(scene.has_not_asked("chat"), "first one connects");
    scene.types("/chat");
    scene.reaches(Outcome::Reached);
    let chat = scene.replies("chat", json!({"peer": "bob", "turn": null, "direct": true}));
    assert_eq!((&chat.fields["direct"], &chat.fields["peer"]), (&json!(true), &json!("bob")));
    scene.event("talk_started", json!({"peer": "bob", "direct": true}));
    assert_eq!(scene.past(), Past::Open);
    let at = scene.at();
    scene.model.opened(at, Some(Some(direct::Turn::Yours)));
    scene.drain();
    assert_eq!(scene.model.talk().words(), "your turn, with bob, past the server");
    scene
}

#[test]
fn what_is_said_goes_over_the_connection_and_its_way_is_measured() {
    let mut scene = talking();
    scene.types("hello");
    let Past::Say { id, content } = scene.past() else { panic!("something is said") };
    assert_eq!(content, b"hello");
    assert!(scene.has_not_asked("say"), "the server hears nothing of it");
    assert!(scene.lines(&ViewName::Talk).contains(&"ada: hello...".to_owned()));
    let at = scene.at();
    scene.model.said(at, &id);
    scene.drain();
    assert!(scene.lines(&ViewName::Talk).contains(&"ada: hello (sent)".to_owned()));
    assert!(!scene.model.is_settled());
    scene.types("too early");
    assert_eq!(scene.returned(), ["too early"]);
    scene.passes(3);
    scene.talks(Happening::Delivered { id, round_trip: Span::from_millis(3) });
    assert!(scene.lines(&ViewName::Talk).contains(&"ada: hello (delivered)".to_owned()));
    let (stored, delivered) = scene.model.times();
    assert_eq!(stored.summary(), None, "no server was asked");
    assert_eq!(delivered.summary().map(|all| all.p50), Some(Span::from_millis(3)));
    scene.talks(Happening::Said { id: "m".to_owned(), content: b"hi".to_vec() });
    assert_eq!(scene.past(), Past::Acknowledge("m".to_owned()));
    assert!(scene.lines(&ViewName::Talk).contains(&"bob: hi".to_owned()));
    assert!(scene.has_not_asked("receipt"));
    scene.types("/pass");
    assert_eq!(scene.past(), Past::Pass);
    assert_eq!(
        *scene.model.talk().state(),
        TalkState::Open { peer: "bob".to_owned(), turn: Turn::Theirs }
    );
    scene.talks(Happening::Passed);
    scene.types("/quit");
    scene.take("hangup");
    assert_eq!(scene.past(), Past::Close);
    scene.talks(Happening::Ended(End::Left));
    assert_eq!(*scene.model.talk().state(), TalkState::Registered);
}

#[test]
fn where_no_way_leads_past_the_server_it_relays_and_that_is_said() {
    // Nobody to call.
    let mut scene = listening();
    scene.finds(None);
    assert!(scene.lines(&ViewName::Talk).iter().any(|line| line.contains("bob does not listen")));
    scene.types("/chat");
    scene.take("chat");
    assert!(scene.past.is_empty());
    // A call that nobody takes.
    let mut scene = listening();
    scene.finds(Some("192.0.2.9:5000"));
    scene.types("/chat");
    scene.past.clear();
    scene.reaches(Outcome::Failed("bob cannot be reached".to_owned()));
    assert!(!scene.take("chat").fields.contains_key("direct"));
    assert_eq!(scene.past(), Past::Forget);
    let lines = scene.lines(&ViewName::Talk);
    assert!(lines.contains(&"-- bob cannot be reached: the server relays".to_owned()));
    scene.event("talk_started", json!({"peer": "bob", "turn": "yours"}));
    scene.types("hello");
    assert_eq!(scene.take("say").fields["peer"], "bob");
    assert!(!scene.lines(&ViewName::Talk).contains(&NOT_REACHED.to_owned()), "it is said once");
    // No port to listen at.
    let mut scene = Scene::in_lobby(0);
    scene.types("/bridge --direct");
    scene.past.clear();
    scene.listens(Err("it is taken".to_owned()));
    assert!(!scene.take("bridge").fields.contains_key("direct"));
    assert_eq!(scene.past(), Past::Close);
}

const NOT_REACHED: &str = "-- bob does not reach us: the server relays";

#[test]
fn whoever_is_not_reached_is_told_that_the_server_relays() {
    for is_calling in [false, true] {
        let mut scene = listening();
        scene.finds(Some("192.0.2.9:5000"));
        if is_calling {
            scene.types("/chat");
        }
        scene.past.clear();
        scene.event("talk_started", json!({"peer": "bob", "turn": "theirs"}));
        assert_eq!(scene.past(), Past::Forget);
        let lines = scene.lines(&ViewName::Talk);
        assert!(
            lines.ends_with(&[NOT_REACHED.to_owned(), "-- bob's turn".to_owned()]),
            "{lines:?}"
        );
    }
    // Who was told before that the server will relay is not told again.
    let mut scene = listening();
    scene.finds(None);
    scene.event("talk_started", json!({"peer": "bob", "turn": "theirs"}));
    assert!(!scene.lines(&ViewName::Talk).contains(&NOT_REACHED.to_owned()));
}

#[test]
fn whoever_is_left_listens_on_and_who_wishes_no_more_does_not() {
    let mut scene = talking();
    scene.event("talk_ended", json!({"peer": "bob", "reason": "hangup"}));
    assert_eq!(scene.past(), Past::Forget);
    scene.event("talk_waiting", json!({"since": SINCE}));
    scene.finds(Some("192.0.2.9:5001"));
    assert!(matches!(scene.past(), Past::Find { .. }));
    scene.event("renamed", json!({"nick": "bob", "new_nick": "Rob"}));
    let (us, peer) = ("ada".to_owned(), "Rob".to_owned());
    assert_eq!(scene.past(), Past::Rename { us, peer });
    scene.types("/unbridge");
    assert_eq!(scene.past(), Past::Close);
    // What comes of it now means nothing.
    scene.reaches(Outcome::Reached);
    scene.talks(Happening::Passed);
    assert!(scene.has_not_asked("chat"));
}

#[test]
fn a_connection_that_breaks_is_a_talk_with_the_same_peer_by_the_server() {
    let mut scene = talking();
    scene.types("under way");
    scene.past.clear();
    scene.talks(Happening::Ended(End::Silent));
    assert_eq!(scene.returned(), ["under way"]);
    assert_eq!(scene.past(), Past::Close);
    scene.replies("hangup", json!({}));
    let bridge = scene.replies("bridge", json!({"since": SINCE}));
    assert_eq!((&bridge.fields["peer"], bridge.fields.get("direct")), (&json!("bob"), None));
    assert_eq!(scene.model.talk().words(), "waiting for bob");
    scene.finds(None);
    assert_eq!(scene.take("chat").fields["peer"], "bob", "it was open, and is to be so again");
}

#[test]
fn a_lost_server_ends_it_and_it_is_wished_for_again() {
    let mut scene = talking();
    scene.is_lost();
    assert_eq!(scene.past(), Past::Close);
    scene.calls_again();
    scene.connects("h1");
    assert_eq!(scene.past(), Past::Listen { port: 4000 });
    scene.listens(Ok(4000));
    let bridge = scene.take("bridge");
    assert_eq!((&bridge.fields["peer"], &bridge.fields["direct"]), (&json!("bob"), &json!(4000)));
}

#[test]
fn whoever_the_server_does_not_know_yet_to_be_gone_is_waited_for_all_the_same() {
    let mut scene = talking();
    scene.talks(Happening::Ended(End::Silent));
    scene.replies("hangup", json!({}));
    assert_eq!(scene.replies("bridge", json!({"since": SINCE})).fields["peer"], "bob");
    // The server has both still: they are found, and the talk is open.
    scene.finds(None);
    scene.replies("chat", json!({"peer": "bob", "turn": null, "direct": false}));
    scene.event("talk_started", json!({"peer": "bob"}));
    scene.event("talk_ended", json!({"peer": "bob", "reason": "gone"}));
    scene.event("talk_waiting", json!({"since": SINCE, "peer": "bob"}));
    assert!(scene.has_not_asked("bridge"), "the server waits for the same one as we do");
    assert_eq!(scene.model.talk().words(), "waiting for bob");
    // Once they were heard again, a later end is as any other: who comes next is welcome.
    scene.finds(None);
    scene.replies("chat", json!({"peer": "bob", "turn": null, "direct": false}));
    scene.event("talk_started", json!({"peer": "bob"}));
    scene.event("talk_message", json!({"from": "bob", "message_id": "m", "text": "here"}));
    scene.event("talk_ended", json!({"peer": "bob", "reason": "gone"}));
    assert!(scene.take("bridge").fields.get("peer").is_none());
}
