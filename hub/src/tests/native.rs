//! What v0.5 peers rely on, and the life of a connection.

extern crate std;

use std::string::String;
use std::vec::Vec;

use crate::testing::{Turn, chat, keepalive, nick, quiet};
use crate::{CloseReason, HangUp, RefusalReason, Rights, Settings};

#[test]
fn nothing_is_sent_on_connect_and_no_nickname_is_needed() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    assert_eq!((turn.hub.pending(a), turn.hub.pending(b)), (0, 0));
    turn.say(a, &chat("hello"));
    assert_eq!(turn.heard(b), ["guest-1: hello"]);
    assert!(turn.heard(a).is_empty(), "an author does not hear itself");
}

#[test]
fn several_frames_a_byte_at_a_time_are_the_same_as_at_once() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.dial(), turn.native());
    let bytes = [nick(1, "ada"), chat("one"), keepalive(), chat("")].concat();
    for byte in &bytes {
        turn.say(a, &[*byte]);
    }
    assert_eq!(turn.heard(b), ["ada: one", "ada: "]);
    assert_eq!(turn.heard(a), ["ack 1"]);
}

#[test]
fn own_frames_are_left_out_wherever_they_stand() {
    let mut turn = Turn::new(quiet());
    let ids: Vec<_> = (0..3).map(|_| turn.native()).collect();
    for (who, text) in [(0, "1"), (1, "2"), (1, "3"), (0, "4"), (2, "5")] {
        turn.say_more(ids[who], &chat(text));
    }
    turn.settle();
    let only =
        |lines: Vec<String>| lines.iter().map(|line| line[9..].into()).collect::<Vec<String>>();
    assert_eq!(only(turn.heard(ids[0])), ["2", "3", "5"]);
    assert_eq!(only(turn.heard(ids[1])), ["1", "4", "5"]);
    assert_eq!(only(turn.heard(ids[2])), ["1", "2", "3", "4"]);
    assert_eq!(turn.hub.memory().blocks, 0);
}

#[test]
fn a_message_is_encoded_once_by_dialect_that_has_a_hearer() {
    let mut turn = Turn::new(quiet());
    let a = turn.native();
    turn.say(a, &chat("to nobody"));
    assert_eq!(turn.hub.encoded(), (0, 0));
    let others: Vec<_> = (0..20).map(|_| turn.native()).collect();
    turn.say(a, &chat("to twenty"));
    assert_eq!(turn.hub.encoded(), (1, 0));
    let follower = turn.control("root");
    turn.ask(follower, r#"{"request":"tail","id":"1"}"#);
    turn.say(a, &chat("to both"));
    assert_eq!(turn.hub.encoded(), (2, 1));
    assert_eq!(turn.heard(others[7]), ["guest-1: to twenty", "guest-1: to both"]);
}

/// One body of v1 serves every framing of it, and that is what is counted.
#[test]
fn a_message_is_encoded_once_for_all_framings_of_v1() {
    let mut turn = Turn::new(quiet());
    let (a, b, tcp) = (turn.native(), turn.native(), turn.dial());
    let mut bytes = Vec::new();
    for json in [r#"{"request":"hello","id":"1"}"#, r#"{"request":"join","id":"2","room":"lobby"}"#]
    {
        proto::native::v1_frame(json.as_bytes(), &mut bytes);
    }
    turn.say(tcp, &bytes);
    let root = turn.control("root");
    turn.ask(root, r#"{"request":"tail","id":"1","rooms":["lobby"]}"#);
    for id in [b, tcp, root] {
        turn.read(id);
    }
    let before = turn.hub.encoded();
    turn.say(a, &chat("to all"));
    let after = turn.hub.encoded();
    assert_eq!((after.0 - before.0, after.1 - before.1), (1, 1));
    assert_eq!(turn.heard(b), ["guest-1: to all"]);
    let (framed, line) = (turn.read(tcp), turn.read(root));
    assert_eq!(framed[8..], line[..line.len() - 1], "the same body");
}

#[test]
fn nicknames_are_unique_and_requests_are_answered_in_order() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &[nick(1, "Ada"), nick(2, "Ada"), nick(3, "ada"), nick(4, " x")].concat());
    assert_eq!(turn.heard(a), ["ack 1", "ack 2", "ack 3", "nak 4"]);
    turn.say(b, &[nick(0, "ADA"), chat("still a guest"), nick(0, "Bob")].concat());
    assert_eq!(turn.heard(b), ["nak 0", "ack 0"]);
    assert_eq!(turn.heard(a), ["guest-2: still a guest"]);
    turn.say(a, &nick(5, "Carl"));
    turn.say(b, &nick(6, "ada"));
    assert_eq!(turn.heard(b), ["ack 6"], "the old name is free at once");
}

/// Whoever took the server's name forged announcements, and whoever had the mark in its name direct messages.
#[test]
fn nobody_speaks_for_the_server_or_to_one_alone_by_its_name() {
    let mut turn = Turn::new(Settings { server_name: "Chat".into(), ..quiet() });
    let (a, root) = (turn.native(), turn.control("root"));
    let names = ["chat", "CHAT", "Bob (to you)", "bob (TO you)", "rooT"];
    for (request, name) in (1..).zip(names) {
        turn.say(a, &nick(request, name));
    }
    assert_eq!(turn.heard(a), ["nak 1", "nak 2", "nak 3", "nak 4", "nak 5"]);
    turn.hang_up(root, HangUp::Reset);
    turn.say(a, &nick(6, "root"));
    turn.control("root");
    turn.say(a, &nick(7, "ROOT"));
    assert_eq!(turn.heard(a), ["ack 6", "ack 7"], "it had the name before");
}

#[test]
fn a_name_and_a_place_are_free_once_a_connection_is_gone() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &nick(1, "Ada"));
    turn.hang_up(a, HangUp::Reset);
    assert_eq!(turn.closed(a), Some(CloseReason::Reset));
    turn.say(b, &nick(1, "Ada"));
    assert_eq!(turn.heard(b), ["ack 1"]);
    let c = turn.native();
    assert_eq!(c.index(), a.index(), "its place is used again");
    turn.say(a, &chat("from a dead one"));
    assert!(turn.heard(b).is_empty(), "a stale id reaches nobody");
    assert_eq!(turn.hub.gather(a, &mut [&[][..]]), 0);
}

#[test]
fn whole_frames_before_an_end_count_and_a_partial_one_is_dropped() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    turn.say_more(a, &[nick(1, "ada"), chat("bye"), chat("never")[..9].to_vec()].concat());
    turn.hang_up(a, HangUp::Eof);
    assert_eq!(turn.heard(b), ["ada: bye"]);
    assert_eq!(turn.closed(a), None, "its answer waits");
    assert_eq!(turn.heard(a), ["ack 1"]);
    assert_eq!(turn.closed(a), Some(CloseReason::PeerClosed));
}

#[test]
fn what_the_frame_budget_stops_goes_on_later_even_after_an_end() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    turn.frames = 2;
    turn.say(a, &[chat("1"), chat("2"), chat("3"), chat("4"), chat("5")].concat());
    assert!(turn.hub.has_kept_work(a) && !turn.hub.wants_read(a));
    turn.hang_up(a, HangUp::Eof);
    turn.say(a, &[]);
    assert_eq!(turn.closed(a), None);
    turn.say(a, &[]);
    assert_eq!(turn.closed(a), Some(CloseReason::PeerClosed));
    assert_eq!(turn.heard(b).len(), 5);
}

#[test]
fn bad_frames_close_their_own_connection_only() {
    let mut turn = Turn::new(quiet());
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &[chat("good"), std::vec![0, 0, 0, 3]].concat());
    assert_eq!(turn.closed(a).unwrap().word(), "bad_length");
    assert_eq!(turn.heard(b), ["guest-1: good"]);
    turn.say(b, &[0, 0, 0, 20, 0, 0, 0, 4]);
    assert_eq!(turn.closed(b).unwrap().word(), "unsolicited_answer");
    assert!(turn.hub.is_empty());
}

#[test]
fn a_foreign_protocol_is_told_so_in_its_words_and_nothing_of_the_lobby() {
    let mut turn = Turn::new(quiet());
    let (speaker, web) = (turn.native(), turn.dial());
    turn.say(speaker, &chat("private words"));
    assert_eq!(turn.hub.pending(web), 0, "held until it is decided");
    turn.say(web, b"GET / HTTP/1.1\r\n\r\n");
    let answer = String::from_utf8(turn.read(web)).unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 ") && !answer.contains("private"));
    assert_eq!(turn.closed(web).unwrap().word(), "http_no_host");
    assert_eq!(turn.hub.memory().blocks, 0);
}

#[test]
fn what_the_lobby_said_is_held_for_an_undecided_connection_in_order() {
    let mut turn = Turn::new(quiet());
    let (speaker, late) = (turn.native(), turn.dial());
    for text in ["1", "2", "3"] {
        turn.say(speaker, &chat(text));
    }
    turn.say(late, &chat("4"));
    turn.say(speaker, &chat("5"));
    assert_eq!(turn.heard(late), ["guest-1: 1", "guest-1: 2", "guest-1: 3", "guest-1: 5"]);
}

#[test]
fn past_the_backlog_the_oldest_is_forgotten_and_the_rest_is_contiguous() {
    let mut turn = Turn::new(quiet());
    let (speaker, late) = (turn.native(), turn.dial());
    for count in 0..300 {
        turn.say(speaker, &chat(&std::format!("{count}")));
    }
    assert_eq!(turn.hub.memory().runs, 256);
    let big = "x".repeat(31_000);
    for _ in 0..2 {
        turn.say(speaker, &chat(&big));
    }
    turn.say(late, &keepalive());
    let heard = turn.heard(late);
    assert!(heard.len() < 256 && heard[heard.len() - 1].len() > 30_000);
    let first: usize = heard[0][9..].parse().unwrap();
    let counts = heard[..heard.len() - 2].iter().map(|line| line[9..].parse::<usize>().unwrap());
    assert!(counts.eq(first..300), "no hole in what it is shown");
}

#[test]
fn a_silent_connection_listens_and_its_first_bytes_choose_until_it_was_written_to() {
    let mut turn = Turn::new(quiet());
    let (speaker, silent, other) = (turn.native(), turn.dial(), turn.dial());
    turn.say(speaker, &chat("1"));
    turn.wait(1_100);
    assert!(turn.flush.contains(&silent));
    turn.say(other, b"NICK x\r\n");
    let answer = String::from_utf8(turn.read(other)).unwrap();
    assert!(answer.starts_with("ERROR :"), "nothing was written to it: {answer}");
    assert_eq!(turn.heard(silent), ["guest-1: 1"]);
    turn.say(silent, b"NICK x\r\n");
    assert_eq!(turn.closed(silent).unwrap().word(), "unknown_protocol");
}

#[test]
fn there_is_a_most_of_connections() {
    let mut turn = Turn::new(Settings { connections: Some(2), ..quiet() });
    let (_, b) = (turn.native(), turn.native());
    let mut out = crate::Outbox::default();
    let operator = turn.control("root");
    assert_eq!(turn.closed(operator), None, "strangers do not keep an operator out");
    let peer = crate::Peer {
        transport: proto::Transport::Stream,
        address: "x".into(),
        login: None,
        rights: Rights::TALK,
        exempt: false,
        protocols: proto::Protocols::ALL,
        ip: None,
    };
    let refusal = turn.hub.accept(peer.clone(), turn.now, &mut out).unwrap_err();
    assert_eq!(refusal.reason, RefusalReason::ConnectionsLimit);
    assert!(refusal.words.is_empty(), "nobody knows what it speaks");
    turn.hang_up(b, HangUp::Reset);
    assert!(turn.hub.accept(peer, turn.now, &mut out).is_ok());
}

#[test]
fn a_v05_message_over_the_limit_closes() {
    let settings =
        Settings { wire: proto::WireLimits { message: 10, ..Default::default() }, ..quiet() };
    let mut turn = Turn::new(settings);
    let (a, b) = (turn.native(), turn.native());
    turn.say(a, &[chat("ten bytes."), chat("ten bytes..")].concat());
    assert_eq!(turn.closed(a), Some(CloseReason::TooLarge));
    assert_eq!(turn.heard(b).len(), 1);
}
