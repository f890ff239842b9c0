//! Real processes with a network between them that delays, chops, cuts and resets.

use std::time::Duration;

use serde_json::json;
use tests::{Daemon, Fault, Heard, Native, Proxy, Setup, V1Client, eventually};

const COUNT: u64 = 60;

#[test]
fn a_stream_that_comes_in_any_pieces_is_the_same_stream() {
    let daemon = Setup::new().config("[limits]\nmessages = \"off\"").start();
    for fault in [Fault::None, Fault::OneByOne, Fault::Delay(Duration::from_millis(3))] {
        let proxy = Proxy::start(daemon.address(), fault);
        // The daemon may not have seen yet that those of the fault before are gone: names and room are this one's.
        let port = proxy.address().port();
        let room = format!("pieces-{port}");
        let mut ada = V1Client::connect(proxy.address(), &format!("Ada-{port}"));
        let mut bob = V1Client::connect(proxy.address(), &format!("Bob-{port}"));
        for client in [&mut ada, &mut bob] {
            assert_eq!(client.asks("join", json!({"room": room}))["ok"], true);
        }
        for number in 1..=COUNT {
            assert_eq!(ada.posts(&room, &format!("{number} Zo\u{eb}")), number, "{fault:?}");
        }
        for number in 1..=COUNT {
            let event = bob.event_called("message");
            assert_eq!(event["seq"], number, "{fault:?}");
            assert_eq!(event["text"], format!("{number} Zo\u{eb}"), "{fault:?}");
        }
    }
}

/// What was whole before a cut counts, what was not does not, and nobody else notices.
#[test]
fn a_cut_anywhere_loses_what_was_not_whole_and_nothing_else() {
    let daemon = Daemon::start();
    let mut bob = daemon.named("Bob");
    let frame = tests::native::chat(b"whole or not at all");
    for at in 1..=frame.len() {
        let proxy = Proxy::start(daemon.address(), Fault::Cut(frame.len() + at));
        let mut ada = Native::connect(proxy.address());
        ada.sends(&[frame.clone(), frame.clone()].concat());
        assert!(matches!(bob.hears(), Heard::Broadcast(_, text) if text == "whole or not at all"));
        if at == frame.len() {
            assert!(matches!(bob.hears(), Heard::Broadcast(..)));
        }
    }
    bob.chats("still here");
    daemon.control().posts("lobby", "the end");
    assert!(matches!(bob.hears(), Heard::Broadcast(_, text) if text == "the end"));
}

#[test]
fn a_reset_frees_the_name_and_the_place_in_the_room() {
    let daemon = Daemon::start();
    let mut bob = V1Client::connect(daemon.address(), "Bob");
    assert_eq!(bob.asks("join", json!({"room": "ops"}))["ok"], true);
    for _ in 0..5 {
        let proxy = Proxy::start(daemon.address(), Fault::None);
        let mut ada = V1Client::connect(proxy.address(), "Ada");
        assert_eq!(ada.asks("join", json!({"room": "ops"}))["ok"], true);
        assert_eq!(bob.event_called("joined")["nick"], "Ada");
        proxy.break_all();
        assert_eq!(bob.event_called("left")["nick"], "Ada");
        assert!(ada.next_object().is_none(), "the client is told");
    }
    let members = || bob.asks("members", json!({"room": "ops"}))["members"].clone();
    let mut members = members;
    eventually("only Bob is there", || (members() == json!([{"nick": "Bob"}])).then_some(()));
}

/// A sender that is cut off before its reply asks again with the same id: there is one message.
#[test]
fn a_post_that_is_sent_again_after_a_cut_is_one_message() {
    let daemon = Daemon::start();
    let mut bob = V1Client::connect(daemon.address(), "Bob");
    assert_eq!(bob.asks("join", json!({"room": "ops"}))["ok"], true);
    let id = "00000000-0000-4000-8000-0000000000aa";
    let post = json!({"id": id, "room": "ops", "text": "once"});
    let proxy = Proxy::start(daemon.address(), Fault::None);
    let mut ada = V1Client::connect(proxy.address(), "Ada");
    ada.sends("post", post.clone());
    let first = bob.event_called("message");
    proxy.break_all();
    assert_eq!(bob.asks("ping", json!({}))["ok"], true);
    let mut again = eventually("the name is free", || {
        let mut client = V1Client::silent(daemon.address());
        (client.asks("hello", json!({"nick": "Ada"}))["ok"] == true).then_some(client)
    });
    let reply = again.asks("post", post);
    assert_eq!((&reply["ok"], &reply["seq"]), (&json!(true), &first["seq"]), "{reply}");
    bob.sends("ping", json!({}));
    assert_eq!(again.posts("ops", "the next"), first["seq"].as_u64().unwrap() + 1);
    assert_eq!(bob.event_called("message")["text"], "the next", "and no double before it");
}
