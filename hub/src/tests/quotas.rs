//! Quotas: addresses, the control socket, nicknames, past messages, and what a speaker has others sent.

extern crate std;

use std::string::String;
use std::vec::Vec;

use proto::{Nick, Span, Transport};

use crate::testing::{StoreMode, Turn, chat, keepalive, nick, quiet};
use crate::{CloseReason, ConnId, HangUp, Notice, Peer, Quota, RefusalReason, Rights, Settings};

fn at(address: &str) -> Peer {
    Peer {
        transport: Transport::Stream,
        address: std::format!("{address}:1").into(),
        ip: Some(address.parse().unwrap()),
        login: None,
        rights: Rights::TALK,
        exempt: false,
        protocols: proto::Protocols::ALL,
    }
}

fn user(login: &str, exempt: bool) -> Peer {
    Peer {
        transport: Transport::ControlSocket,
        address: "uid".into(),
        ip: None,
        login: Some(Nick::parse(login).unwrap()),
        rights: if exempt { Rights::ADMIN } else { Rights::TALK },
        exempt,
        protocols: proto::Protocols::ALL,
    }
}

fn quota(count: u32, seconds: u64) -> Quota {
    Quota { count, span: Span::from_secs(seconds) }
}

fn few() -> Settings {
    Settings {
        clients_per_ip: Some(2),
        accept_rate: Some(quota(1, 1)),
        accept_burst: 4,
        detect: None,
        ..quiet()
    }
}

/// Who hit which limit how often, as administrators see it.
fn hits(turn: &Turn) -> Vec<String> {
    let who = turn.hub.stats_with_names().who.unwrap();
    who.iter().map(|hit| std::format!("{} {} {}", hit.limit, hit.who, hit.times)).collect()
}

#[test]
fn an_address_has_so_many_connections_and_others_have_their_own() {
    let mut turn = Turn::new(few());
    let first = turn.arrive(at("127.0.0.1")).unwrap();
    turn.arrive(at("127.0.0.1")).unwrap();
    assert_eq!(turn.arrive(at("127.0.0.1")), Err(RefusalReason::ClientsPerIp));
    assert_eq!(turn.arrive(at("::ffff:127.0.0.1")), Err(RefusalReason::ClientsPerIp));
    turn.arrive(at("127.0.0.2")).unwrap();
    turn.hang_up(first, HangUp::Reset);
    turn.arrive(at("127.0.0.1")).unwrap();
    assert_eq!(turn.hub.stats().hits.refused_clients_per_ip, 2);
    assert_eq!(hits(&turn), ["clients_per_ip 127.0.0.1 2"]);
    assert_eq!(turn.hub.stats().who, None, "addresses are for administrators");
}

#[test]
fn an_ipv6_network_of_64_bits_counts_as_one_address() {
    let mut turn = Turn::new(few());
    turn.arrive(at("2001:db8:0:1::1")).unwrap();
    turn.arrive(at("2001:db8:0:1:ffff::2")).unwrap();
    assert_eq!(turn.arrive(at("2001:db8:0:1::3")), Err(RefusalReason::ClientsPerIp));
    turn.arrive(at("2001:db8:0:2::1")).unwrap();
    assert_eq!(hits(&turn), ["clients_per_ip 2001:db8:0:1::/64 1"]);
}

#[test]
fn an_address_connects_at_its_rate_after_a_burst() {
    let mut turn = Turn::new(few());
    for _ in 0..4 {
        let id = turn.arrive(at("192.0.2.1")).unwrap();
        turn.hang_up(id, HangUp::Reset);
    }
    for _ in 0..50 {
        assert_eq!(turn.arrive(at("192.0.2.1")), Err(RefusalReason::AcceptRate));
    }
    turn.wait(1_000);
    turn.arrive(at("192.0.2.1")).unwrap();
    assert_eq!(turn.arrive(at("192.0.2.1")), Err(RefusalReason::AcceptRate));
    assert_eq!(hits(&turn), ["accept_rate 192.0.2.1 51"]);
}

#[test]
fn what_is_known_of_an_address_vanishes_when_it_is_idle() {
    let mut turn = Turn::new(few());
    for number in 0..200 {
        let id = turn.arrive(at(&std::format!("192.0.2.{number}"))).unwrap();
        turn.hang_up(id, HangUp::Reset);
    }
    assert_eq!(turn.hub.addresses.len(), 200);
    turn.wait(1_100);
    assert_eq!(turn.hub.addresses.len(), 0);
}

#[test]
fn exempt_peers_have_no_quotas() {
    let settings = Settings { nick_changes: Some(quota(1, 60)), fanout_per_s: Some(1), ..few() };
    let mut turn = Turn::new(Settings { fanout_burst: 1, ..settings });
    let ids: Vec<ConnId> =
        (0..10).map(|_| turn.arrive(Peer { exempt: true, ..at("10.0.0.1") }).unwrap()).collect();
    for request in 0..9 {
        turn.say(ids[0], &nick(request, &std::format!("name {request}")));
        turn.say(ids[0], &chat("as often as I like"));
    }
    assert_eq!(turn.heard(ids[0]).len(), 9);
    assert!(turn.hub.wants_read(ids[0]));
    assert_eq!(turn.hub.addresses.len(), 0, "they are counted nowhere");
    assert!(hits(&turn).is_empty());
}

#[test]
fn a_user_has_so_many_control_connections_and_some_are_kept_for_root() {
    let mut turn = Turn::new(quiet());
    for number in 0..252 {
        turn.arrive(user(&std::format!("user-{}", number / 16), false)).unwrap();
    }
    assert_eq!(turn.arrive(user("user-0", false)), Err(RefusalReason::ControlLimit));
    let kept: Vec<ConnId> = (0..4).map(|_| turn.arrive(user("root", true)).unwrap()).collect();
    assert_eq!(turn.arrive(user("root", true)), Err(RefusalReason::ControlLimit));
    turn.hang_up(kept[0], HangUp::Reset);
    assert_eq!(turn.arrive(user("ada", false)), Err(RefusalReason::ControlLimit));
    turn.arrive(user("root", true)).unwrap();
    assert_eq!(turn.hub.stats().hits.refused_control, 3);
}

#[test]
fn seventeen_control_connections_of_one_user_are_one_too_many() {
    let mut turn = Turn::new(quiet());
    let ids: Vec<ConnId> = (0..16).map(|_| turn.arrive(user("ada", false)).unwrap()).collect();
    assert_eq!(turn.arrive(user("ada", false)), Err(RefusalReason::ControlByUser));
    turn.arrive(user("bob", false)).unwrap();
    turn.hang_up(ids[0], HangUp::Reset);
    turn.arrive(user("ada", false)).unwrap();
    for _ in 0..40 {
        turn.arrive(user("root", true)).unwrap();
    }
}

#[test]
fn names_change_five_times_a_minute_and_what_changes_nothing_is_free() {
    let settings = Settings { nick_changes: Some(quota(5, 60)), ..quiet() };
    let mut turn = Turn::new(settings);
    let (a, b) = (turn.native(), turn.native());
    turn.say(b, &nick(9, "taken"));
    for request in 0..5 {
        let name = std::format!("name {request}");
        turn.say(a, &nick(request, &name));
        turn.say(a, &nick(request, &name));
        turn.say(a, &nick(100, "taken"));
    }
    let five = ["ack", "ack", "nak"].repeat(5);
    let heard: Vec<String> = turn.heard(a);
    assert!(heard.iter().zip(five).all(|(line, word)| line.starts_with(word)), "{heard:?}");
    turn.say(a, &nick(6, "once more"));
    assert_eq!(turn.heard(a), ["nak 6"]);
    assert_eq!(hits(&turn), ["nick_changes name 4 2"], "a taken name is looked for within it");
    turn.wait(12_000);
    turn.say(a, &[nick(7, "once more"), nick(8, "and again")].concat());
    assert_eq!(turn.heard(a), ["ack 7", "nak 8"]);
    turn.say(a, &[keepalive(), chat("said")].concat());
    assert_eq!(turn.heard(b).last().unwrap(), "once more: said");
}

#[test]
fn nobody_looks_for_a_name_past_its_quota() {
    let settings = Settings { nick_changes: Some(quota(1, 60)), ..quiet() };
    let mut turn = Turn::new(settings);
    let root = turn.arrive(user("root", true)).unwrap();
    turn.ask(root, r#"{"request":"ban","id":"1","nick":"troll"}"#);
    let bob = turn.dial();
    let hello = |name: &str| {
        let json = std::format!(r#"{{"request":"hello","id":"h","nick":"{name}"}}"#);
        let mut bytes = Vec::new();
        proto::native::v1_frame(json.as_bytes(), &mut bytes);
        bytes
    };
    turn.say(bob, &hello("Bob"));
    turn.read(bob);
    turn.say(bob, &hello("troll"));
    let told = turn.read(bob);
    assert!(String::from_utf8_lossy(&told).contains("rate_limited"), "the quota is asked first");
    let eve = turn.native();
    turn.say(eve, &[nick(1, "Eve"), nick(2, "troll")].concat());
    assert_eq!(hits(&turn), ["nick_changes Eve 1", "nick_changes Bob 1"]);
}

#[test]
fn past_messages_cost_sixteen() {
    let settings = Settings { messages_per_s: Some(10), message_burst: 40, ..quiet() };
    let mut turn = Turn::new(settings);
    let asker = turn.control("ada");
    let ask = |kind: &str| std::format!(r#"{{"request":{kind},"id":"1"}}"#);
    turn.ask(asker, &ask(r#""tail","rooms":["lobby"]"#));
    for _ in 0..2 {
        turn.ask(asker, &ask(r#""history","room":"lobby""#));
        assert!(turn.hub.wants_read(asker));
    }
    turn.ask(asker, &ask(r#""tail","last":5,"rooms":["lobby"]"#));
    turn.say(asker, b"{\"request\":\"ping\",\"id\":\"2\"}\n");
    assert_eq!(turn.lines(asker).len(), 4, "1 and three times 16 are more than 40");
    assert!(!turn.hub.wants_read(asker));
    turn.wait(1_000);
    assert_eq!(turn.lines(asker).len(), 1, "9 over the burst are 0.9 s, and one more for itself");
}

#[test]
fn what_goes_to_many_costs_its_speaker_by_bytes_and_receivers() {
    let settings = Settings { fanout_per_s: Some(1_000), fanout_burst: 2_000, ..quiet() };
    let mut turn = Turn::new(settings);
    let speaker = turn.native();
    let hearers: Vec<ConnId> = (0..10).map(|_| turn.native()).collect();
    // A broadcast of "guest-1" has 18 bytes and its text: to ten receivers 1,000 bytes.
    let text = chat(&"x".repeat(82));
    turn.say(speaker, &text);
    turn.say(speaker, &text);
    turn.say(speaker, &text);
    for hearer in &hearers {
        assert_eq!(turn.heard(*hearer).len(), 2, "what is let through reaches everybody");
    }
    assert!(!turn.hub.wants_read(speaker));
    turn.say(hearers[0], &chat("others speak as before"));
    assert_eq!(turn.heard(hearers[1]).len(), 1);
    turn.wait(10);
    assert_eq!(turn.heard(hearers[0]).len(), 1, "it goes on with what was held back");
    turn.wait(900);
    assert!(turn.hub.wants_read(speaker), "and is read again in time");
    assert_eq!(turn.hub.stats().hits.paused_fanout, 1);
}

#[test]
fn what_the_store_held_back_makes_a_pause_longer() {
    let settings = Settings {
        messages_per_s: Some(10),
        message_burst: 1,
        fanout_per_s: Some(1_000),
        fanout_burst: 1_000,
        ..quiet()
    };
    let mut turn = Turn::new(settings);
    let (speaker, hearer) = (turn.native(), turn.native());
    turn.store = StoreMode::Holds;
    turn.say(speaker, &[chat(&"x".repeat(4_982)), chat("next")].concat());
    assert!(!turn.hub.wants_read(speaker), "one message was its burst");
    turn.answer(1, true);
    turn.wait(3_900);
    assert_eq!(turn.heard(hearer).len(), 1, "5,000 bytes went out, a burst of 1,000 is its own");
    turn.store = StoreMode::AtOnce;
    turn.wait(300);
    assert_eq!(turn.heard(hearer).len(), 1);
}

#[test]
fn deadlines_of_a_paused_speaker_stand_still_and_its_hang_up_is_seen() {
    let settings = Settings {
        messages_per_s: None,
        bytes_per_s: None,
        fanout_per_s: Some(100),
        fanout_burst: 1,
        keepalive: None,
        stall: None,
        ..Settings::default()
    };
    let mut turn = Turn::new(settings);
    let (idle, gone, hearer) = (turn.native(), turn.native(), turn.control("root"));
    turn.ask(hearer, r#"{"request":"tail","id":"1"}"#);
    let half = chat("a frame that comes in two halves");
    for id in [idle, gone] {
        turn.say(id, &chat(&"x".repeat(6_000)));
        turn.say(id, &half[..9]);
        assert!(!turn.hub.wants_read(id), "what it said costs a minute");
        turn.read(id);
    }
    turn.lines(hearer);
    turn.wait(20_000);
    assert_eq!(turn.closed(idle), None, "neither idle nor late with its frame");
    turn.hang_up(gone, HangUp::Reset);
    assert_eq!(turn.closed(gone), Some(CloseReason::Reset));
    turn.read(idle);
    while !turn.hub.wants_read(idle) {
        turn.wait(1_000);
        turn.lines(hearer);
        turn.read(idle);
    }
    assert_eq!(turn.closed(idle), None);
    turn.say(idle, &half[9..]);
    assert!(turn.lines(hearer).last().unwrap().contains("two halves"));
    let paused = turn.notices.iter().filter(|notice| matches!(notice, Notice::Paused { .. }));
    assert_eq!(paused.count(), 2);
}

#[test]
fn replays_of_one_connection_are_in_work_one_after_the_other() {
    let mut turn = Turn::new(Settings { outbox: Some(8 * 1024), ..quiet() });
    let root = turn.control("root");
    for room in ["a", "b"] {
        for number in 0..40 {
            let id = std::format!("00000000-0000-4000-8000-00000000{room}{number:03}");
            let text = "x".repeat(500);
            turn.ask(
                root,
                &std::format!(
                    r#"{{"request":"post","id":"{id}","room":"{room}","text":"{text}"}}"#
                ),
            );
            turn.lines(root);
        }
    }
    let asker = turn.control("ada");
    for room in ["a", "b", "a"] {
        turn.ask(
            asker,
            &std::format!(r#"{{"request":"join","id":"{room}","room":"{room}","after":0}}"#),
        );
    }
    let mut lines = Vec::new();
    for _ in 0..20 {
        lines.extend(turn.lines(asker));
        turn.settle();
    }
    let place = |what: &str| lines.iter().position(|line| line.contains(what)).unwrap();
    assert!(
        place(r#""error":"limit_reached""#) < place(r#""reply":"a","ok":true"#),
        "once at a time"
    );
    let last = lines.iter().rposition(|line| line.contains(r#""history":"a""#)).unwrap();
    assert!(last < place(r#""history":"b""#), "one replay, then the other");
    assert_eq!(lines.iter().filter(|line| line.contains("history")).count(), 80);
}

/// How many of those who stand are not closed yet.
fn standing(turn: &Turn) -> usize {
    turn.hub.turned_away.len()
}

#[test]
fn only_so_many_stand_who_are_over_their_share_and_they_are_no_clients() {
    let mut turn = Turn::new(Settings { connections: Some(4), ..few() });
    let clients: Vec<ConnId> = (0..2).map(|_| turn.arrive(at("192.0.2.1")).unwrap()).collect();
    for _ in 0..40 {
        assert_eq!(turn.arrive(at("192.0.2.1")), Err(RefusalReason::ClientsPerIp));
    }
    assert_eq!(standing(&turn), crate::TURNED_AWAY_CONNECTIONS_MAX);
    assert_eq!(turn.hub.stats().hits.refused_clients_per_ip, 40, "each counts once");
    let stats = turn.hub.stats();
    assert_eq!((stats.accepted, stats.connections_undecided), (2, 2));
    assert_eq!(turn.hub.census().connections, 2);
    // They take no place of others', in all or of their address.
    turn.arrive(at("192.0.2.2")).unwrap();
    turn.arrive(at("192.0.2.3")).unwrap();
    assert_eq!(turn.arrive(at("192.0.2.4")), Err(RefusalReason::ConnectionsLimit));
    turn.hang_up(clients[0], HangUp::Reset);
    turn.arrive(at("192.0.2.1")).unwrap();
    turn.wait(999);
    assert_eq!(standing(&turn), crate::TURNED_AWAY_CONNECTIONS_MAX);
    turn.wait(1);
    assert_eq!(standing(&turn), 0, "nor longer than a second");
    turn.stop();
    assert!(turn.hub.is_empty());
}

#[test]
fn nobody_stands_who_cannot_be_told_over_http() {
    let mut turn = Turn::new(few());
    let native = || {
        let protocols = proto::Protocols::named(["native", "v1"]).unwrap();
        Peer { protocols, ..at("192.0.2.1") }
    };
    for _ in 0..2 {
        turn.arrive(native()).unwrap();
    }
    assert_eq!(turn.arrive(native()), Err(RefusalReason::ClientsPerIp));
    assert_eq!(standing(&turn), 0);
    turn.arrive(at("192.0.2.1")).unwrap_err();
    assert_eq!(standing(&turn), 1);
    turn.stop();
    assert!(turn.hub.is_empty(), "the daemon's end waits for nobody who stands");
}
