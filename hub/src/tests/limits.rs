//! Every limit that is counted: who hits it is named, once, by its word, and nothing else counts.

extern crate std;

use std::format;
use std::string::String;
use std::vec::Vec;

use proto::{Nick, Span, Transport};

use crate::hits::Limit;
use crate::testing::{StoreMode, Turn, chat, nick, quiet};
use crate::{Peer, Quota, Rights, Settings};

fn peer(login: Option<&str>, ip: Option<&str>) -> Peer {
    Peer {
        transport: if login.is_some() { Transport::ControlSocket } else { Transport::Stream },
        address: "here:1".into(),
        ip: ip.map(|ip| ip.parse().unwrap()),
        login: login.map(|login| Nick::parse(login).unwrap()),
        rights: if login == Some("root") { Rights::ADMIN } else { Rights::TALK },
        exempt: login == Some("root"),
        protocols: proto::Protocols::ALL,
    }
}

/// So many chats of a guest in one read.
fn says(turn: &mut Turn, count: usize, text: &str) {
    let guest = turn.native();
    turn.native();
    turn.say(guest, &chat(text).repeat(count));
}

fn joins(turn: &mut Turn, rooms: &[&str]) {
    let ada = turn.control("ada");
    for room in rooms {
        turn.ask(ada, &format!(r#"{{"request":"join","id":"j","room":"{room}"}}"#));
    }
}

/// A server on which a limit is near.
fn settings(limit: Limit) -> Settings {
    let quiet = quiet();
    match limit {
        Limit::Messages => Settings { messages_per_s: Some(1), message_burst: 1, ..quiet },
        Limit::Bytes => Settings { bytes_per_s: Some(1), byte_burst: 20, ..quiet },
        Limit::Fanout => Settings { fanout_per_s: Some(1), fanout_burst: 10, ..quiet },
        Limit::Connections => Settings { connections: Some(1), ..quiet },
        Limit::ClientsPerIp => Settings { clients_per_ip: Some(1), ..quiet },
        Limit::AcceptRate => Settings { accept_burst: 1, ..quiet },
        Limit::NickChanges => {
            let once = Quota { count: 1, span: Span::from_secs(60) };
            Settings { nick_changes: Some(once), ..quiet }
        }
        Limit::Rooms => Settings { rooms: Some(2), ..quiet },
        Limit::RoomsJoined => Settings { rooms_joined: Some(1), ..quiet },
        Limit::RoomsMade => Settings { rooms_made: Some(1), ..quiet },
        Limit::StoreQueue | Limit::Control | Limit::ControlByUser => quiet,
    }
}

/// Hits a limit once; gives back who did, and the counter of it.
fn hit(limit: Limit, turn: &mut Turn) -> (&'static str, &'static str) {
    match limit {
        Limit::Messages => {
            says(turn, 3, "x");
            ("guest-1", "paused_messages")
        }
        Limit::Bytes => {
            says(turn, 3, "0123456789");
            ("guest-1", "paused_bytes")
        }
        Limit::Fanout => {
            let (guest, _) = (turn.native(), turn.native());
            // It is charged when it is stored, and waited off before the next read.
            turn.say(guest, &chat("0123456789"));
            turn.say(guest, &chat("0123456789"));
            ("guest-1", "paused_fanout")
        }
        Limit::StoreQueue => {
            turn.store = StoreMode::Holds;
            says(turn, 10_001, "x");
            // Until then nobody is heard.
            turn.answer(10_000, true);
            ("guest-1", "paused_store")
        }
        Limit::Connections => {
            turn.dial();
            assert!(turn.arrive(peer(None, None)).is_err());
            ("here:1", "refused_connections")
        }
        Limit::ClientsPerIp | Limit::AcceptRate => {
            turn.arrive(peer(None, Some("192.0.2.7"))).unwrap();
            assert!(turn.arrive(peer(None, Some("192.0.2.7"))).is_err());
            let by_rate = limit == Limit::AcceptRate;
            ("192.0.2.7", if by_rate { "refused_accept_rate" } else { "refused_clients_per_ip" })
        }
        Limit::Control | Limit::ControlByUser => {
            let users = if limit == Limit::Control { 252 } else { 0 };
            for number in 0..users {
                turn.control(&format!("user-{number}"));
            }
            let own = if limit == Limit::Control { 0 } else { 16 };
            for _ in 0..own {
                turn.control("ada");
            }
            assert!(turn.arrive(peer(Some("ada"), None)).is_err());
            ("ada", "refused_control")
        }
        Limit::NickChanges => {
            let guest = turn.native();
            turn.say(guest, &[nick(1, "ada"), nick(2, "eve")].concat());
            ("ada", "refused_nick_changes")
        }
        Limit::Rooms | Limit::RoomsJoined | Limit::RoomsMade => {
            joins(turn, &["a", "b"]);
            ("ada", "refused_rooms")
        }
    }
}

#[test]
fn who_hits_a_limit_is_named_by_its_word_and_nothing_else_counts() {
    for limit in Limit::ALL {
        let mut turn = Turn::new(settings(limit));
        let (who, counter) = hit(limit, &mut turn);
        let root = turn.arrive(peer(Some("root"), None)).unwrap();
        turn.ask(root, r#"{"request":"stats","id":"s"}"#);
        let stats = turn.lines(root).pop().unwrap();
        let named = format!(r#""who":[{{"limit":"{}","who":"{who}","times":1,"#, limit.word());
        assert!(stats.contains(&named) && !stats.contains("},{"), "{limit:?}: {stats}");
        let counters: Vec<&str> = stats
            .split(',')
            .filter(|pair| pair.starts_with("\"paused_") || pair.starts_with("\"refused_"))
            .collect();
        assert_eq!(counters.len(), 10, "{stats}");
        for pair in counters {
            let expected = u32::from(pair.contains(counter));
            assert!(pair.ends_with(&format!(":{expected}")), "{limit:?}: {pair}");
        }
    }
}

/// Whatever makes the server write to others is charged to who did it: bytes times receivers.
#[test]
fn all_that_others_are_sent_is_charged_to_its_author() {
    let post = r#"{"request":"post","id":"00000000-0000-4000-8000-000000000001""#;
    for request in [
        format!(r#"{post},"room":"ops","text":"hi"}}"#),
        format!(r#"{post},"to":"bob","text":"hi"}}"#),
        String::from(r#"{"request":"topic","id":"1","room":"ops","topic":"tea"}"#),
        String::from(r#"{"request":"away","id":"1","text":"out"}"#),
        String::from(r#"{"request":"nick","id":"1","nick":"eve"}"#),
        String::from(r#"{"request":"leave","id":"1","room":"ops"}"#),
        String::from(r#"{"request":"join","id":"1","room":"dev"}"#),
    ] {
        let (mut turn, speaker) = heard_by_bob();
        for json in [&request, r#"{"request":"ping","id":"2"}"#] {
            let mut bytes = Vec::new();
            proto::native::v1_frame(json.as_bytes(), &mut bytes);
            turn.say(speaker, &bytes);
        }
        assert_eq!(turn.hub.stats().hits.paused_fanout, 1, "{request}");
    }
    let (mut turn, _) = heard_by_bob();
    let eve = turn.control("root");
    turn.ask(eve, r#"{"request":"announce","id":"1","text":"tea"}"#);
    turn.ask(eve, r#"{"request":"ping","id":"2"}"#);
    assert_eq!(turn.hub.stats().hits.paused_fanout, 1, "announce");
}

/// Somebody of v1 in `ops`, where Bob is, who is also in `dev`; what was said until then is paid for.
fn heard_by_bob() -> (Turn, crate::ConnId) {
    let mut turn = Turn::new(Settings { fanout_per_s: Some(1_000), fanout_burst: 1, ..quiet() });
    let bob = turn.control("bob");
    let speaker = turn.dial();
    let mut bytes = Vec::new();
    for json in [r#"{"request":"hello","id":"1"}"#, r#"{"request":"join","id":"2","room":"ops"}"#] {
        proto::native::v1_frame(json.as_bytes(), &mut bytes);
    }
    turn.say(speaker, &bytes);
    for room in ["ops", "dev"] {
        turn.ask(bob, &format!(r#"{{"request":"join","id":"j","room":"{room}"}}"#));
        turn.wait(10_000);
    }
    assert_eq!(turn.hub.stats().hits.paused_fanout, 0, "nobody is paused yet");
    (turn, speaker)
}
