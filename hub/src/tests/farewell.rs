//! Many who go at once: they are heard no more from that moment on, and closed in portions.

extern crate std;

use std::format;
use std::vec::Vec;

use proto::Transport;

use crate::testing::{Turn, chat, keepalive, quiet};
use crate::{CloseReason, ConnId, HangUp, Notice, Outbox, Peer, Settings};

/// So many v0.5 clients of one network.
fn many(turn: &mut Turn, count: usize) -> Vec<ConnId> {
    let arrive = |no: usize| {
        let address = format!("10.0.{}.{}", no / 250, no % 250);
        let peer = Peer {
            transport: Transport::Stream,
            address: format!("{address}:1").into(),
            ip: Some(address.parse().unwrap()),
            login: None,
            rights: crate::Rights::TALK,
            exempt: true,
            protocols: proto::Protocols::ALL,
        };
        let id = turn.arrive(peer).unwrap();
        turn.say(id, &keepalive());
        id
    };
    (0..count).map(arrive).collect()
}

fn closed(turn: &Turn) -> usize {
    turn.notices.iter().filter(|notice| matches!(notice, Notice::Closed { .. })).count()
}

const BAN: &str = r#"{"request":"ban","id":"b","network":"10.0.0.0/8"}"#;

#[test]
fn a_ban_of_a_large_network_is_heard_at_once_and_closes_in_portions() {
    let mut turn = Turn::new(Settings { connections: None, clients_per_ip: None, ..quiet() });
    let (root, bob) = (turn.control("root"), turn.native());
    let banned = many(&mut turn, 200);
    turn.read(bob);
    turn.ask(root, BAN);
    assert_eq!(turn.lines(root), [r#"{"reply":"b","ok":true,"closed":200,"until":null}"#]);
    assert_eq!(closed(&turn), 16, "the first of them");
    let last = banned[199];
    assert!(!turn.hub.wants_read(last), "the others are not read");
    turn.say(last, &chat("too late"));
    assert!(turn.heard(bob).iter().all(|said| !said.contains("too late")));
    // Whoever goes by itself meanwhile has gone, and an unban lets nobody of them stay.
    turn.hang_up(banned[198], HangUp::Reset);
    turn.ask(root, r#"{"request":"unban","id":"u","network":"10.0.0.0/8"}"#);
    let newcomer = many(&mut turn, 1)[0];
    assert_eq!(turn.hub.deadline(), Some(turn.now), "the loop does not sleep");
    for portion in 1_usize.. {
        let done = turn.hub.expire(turn.now, 16, &mut Outbox::default());
        assert!(done <= 16 + 1, "a portion is bounded");
        if done < 16 {
            assert!(portion >= 183 / 16, "it took so many portions");
            break;
        }
    }
    turn.settle();
    assert!(turn.hub.is_heard(newcomer));
    assert!(banned.iter().all(|id| !turn.hub.is_heard(*id)));
}

#[test]
fn who_is_banned_twice_goes_once() {
    let mut turn = Turn::new(Settings { connections: None, clients_per_ip: None, ..quiet() });
    let root = turn.control("root");
    many(&mut turn, 100);
    turn.ask(root, BAN);
    turn.ask(root, r#"{"request":"ban","id":"c","network":"10.0.0.0/16"}"#);
    assert!(turn.lines(root)[1].contains(r#""closed":84"#), "16 are gone");
    turn.wait(10);
    assert_eq!(closed(&turn), 100);
}

#[test]
fn the_end_says_bye_in_portions_and_its_time_may_be_over_before() {
    let mut turn = Turn::new(Settings { connections: None, clients_per_ip: None, ..quiet() });
    let all = many(&mut turn, 100);
    for id in &all {
        turn.say(*id, &chat("it waits for everybody"));
    }
    turn.stop();
    assert_eq!(closed(&turn), 0, "what waits is written");
    assert!(all.iter().all(|id| !turn.hub.is_heard(*id)), "nobody is heard any more");
    turn.read(all[0]);
    assert_eq!(turn.closed(all[0]), Some(CloseReason::Drain));
    turn.read(all[99]);
    assert_eq!(turn.closed(all[99]), None, "its portion comes");
    turn.wait(10);
    assert_eq!(turn.closed(all[99]), Some(CloseReason::Drain));
    turn.abandon();
    assert_eq!(closed(&turn), 2 + 16);
    turn.wait(10);
    assert!(turn.hub.is_empty());
}
