//! Keys, pasted text and the wheel: what becomes of the line, of the place that is read, and of the model.

use super::Stage;
use crate::chat::command::{self, Names};
use crate::chat::model::{Older, Phase, ViewName};
use crate::chat::screen::rings;
use crate::chat::screen::sight::Deed;
use proto::Now;
use serde_json::json;

const SIZE: (u16, u16) = (80, 12);

fn focus(stage: &Stage) -> &ViewName {
    stage.model.views().focus()
}

/// A lobby in which so much was said.
fn lobby_of(messages: u64) -> Stage {
    let mut stage = Stage::new(SIZE, &["lobby"]);
    stage.connects();
    stage.joins("lobby", 100);
    stage.replies("history", json!({"more": true}));
    for seq in 101..=100 + messages {
        stage.hears("lobby", seq, "bob", &format!("message {seq}"));
    }
    stage
}

#[test]
fn a_line_is_typed_changed_and_sent_and_comes_back() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("hxllo\x02\x02\x02\x02\x04e\x05 you\x01\x06\x17\x19");
    assert_eq!(stage.typed(), "hello you");
    stage.presses("\r");
    assert_eq!(stage.typed(), "");
    stage.sees("ada: hello you [sending]");
    stage.presses("next\x1b[A");
    assert_eq!(stage.typed(), "hello you");
    stage.presses("\x1b[A\x1b[A");
    assert_eq!(stage.typed(), "hello you", "nothing is older");
    stage.presses("\x0e");
    assert_eq!(stage.typed(), "next", "what was typed is not lost");
}

#[test]
fn each_view_has_a_line_of_its_own() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("for the lobby");
    stage.is_told("bob", "psst");
    stage.presses("\x1ba");
    assert_eq!((focus(&stage), stage.typed().as_str()), (&ViewName::of_nick("bob"), ""));
    stage.presses("for bob\x1b[1;3A");
    assert_eq!(stage.typed(), "for the lobby");
    stage.presses("\x1b1");
    assert_eq!(*focus(&stage), ViewName::Server);
    stage.presses("\x1b[1;3A");
    assert_eq!(stage.typed(), "for bob", "round and round");
    stage.sees("3 @bob");
}

#[test]
fn tab_completes_and_goes_round_the_candidates() {
    let mut stage = Stage::in_lobby(SIZE);
    let nicks = stage.model.nicks();
    assert_eq!(nicks.first().map(String::as_str), Some("bob"), "{nicks:?}");
    stage.presses("b\t");
    assert_eq!(stage.typed(), "bob: ");
    stage.presses("\x15/msg \t");
    assert_eq!(stage.typed(), "/msg bob ");
    stage.sees("bob  eve");
    stage.presses("\t");
    assert_eq!(stage.typed(), "/msg eve ");
    stage.presses("\t\x1b[Z");
    assert_eq!(stage.typed(), "/msg eve ");
    stage.presses("hi");
    stage.does_not_see("bob  eve");
    stage.presses("\x15xyz\t");
    assert_eq!(stage.typed(), "xyz");
}

#[test]
fn what_makes_no_sense_stays_to_be_put_right() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("/jion ops\r");
    assert_eq!(stage.typed(), "/jion ops");
    stage.sees("did you mean /join?");
}

#[test]
fn what_is_said_out_of_turn_stays_in_the_line() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("/bridge --turns yes\r");
    stage.replies("bridge", json!({"since": "2026-03-01T12:00:20Z"}));
    stage.sees("waiting for anyone since 12:00:20");
    stage.event("talk_ready", json!({"peer": "bob"}));
    stage.sees("bob is ready: /chat opens the talk");
    stage.event("talk_started", json!({"peer": "bob", "turn": "theirs"}));
    stage.sees("bob's turn");
    stage.presses("me first\r");
    assert_eq!(stage.typed(), "me first");
    // Ctrl-C ends the talk, and only that.
    stage.presses("\x03");
    stage.sees("you ended the talk");
    assert!(!stage.model.has_ended());
    stage.presses("\x03");
    assert_eq!((stage.typed().as_str(), stage.model.has_ended()), ("", false));
    stage.presses("\x03");
    assert!(stage.model.has_ended());
}

#[test]
fn several_pasted_lines_are_asked_about_and_never_commands() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("\x1b[200~one line\r\x1b[201~");
    assert_eq!(stage.typed(), "one line", "one line is as if it was typed");
    let paste = "\x1b[200~/quit\rtwo\x1b[201~";
    stage.presses(paste);
    stage.sees("paste 2 lines, 9 bytes? Enter: into the line; l: a message each; Esc: no");
    stage.presses("x\x1b");
    assert_eq!(stage.typed(), "one line");
    stage.presses(paste);
    stage.presses("\r");
    assert_eq!(stage.typed(), "one line/quit\ntwo");
    stage.presses("\x15\x01\x0b");
    stage.presses(paste);
    stage.presses("\r");
    assert_eq!(stage.typed(), "//quit\ntwo", "nor is it one as the first in the line");
    stage.presses("\r");
    assert!(!stage.model.has_ended());
    stage.sees("ada: /quit");
    stage.presses(paste);
    stage.presses("l");
    assert!(!stage.model.has_ended());
    stage.sees("ada: /quit [sending]");
    stage.sees("ada: two [sending]");
}

#[test]
fn whoever_reads_back_stays_where_they_are_and_older_messages_are_asked_for() {
    let mut stage = lobby_of(30);
    stage.sees("message 130");
    stage.presses("\x1b[5~");
    stage.does_not_see("message 130");
    stage.sees("reading back");
    let before = stage.rows()[1..10].to_vec();
    stage.hears("lobby", 131, "bob", "message 131");
    assert_eq!(stage.rows()[1..10], before, "nothing moves under a reader");
    stage.presses("\x1b[6~");
    stage.presses("\x1b[6~");
    stage.sees("message 131");
    stage.does_not_see("reading back");
    assert!(stage.asked.iter().all(|request| request.name != "history"), "nobody was at the top");
    for _ in 0..10 {
        stage.presses("\x1b[<64;1;1M");
    }
    stage.sees("message 101");
    let history = stage.asked.iter().find(|request| request.name == "history").expect("asked");
    assert_eq!(history.fields["before"], 101);
    stage.sees("asking for older messages");
    let id = history.id.clone();
    for seq in 98..=100 {
        stage.event(
            "message",
            json!({"room": "lobby", "seq": seq, "from": "eve", "text": "old", "message_id": format!("old-{seq}"), "history": id}),
        );
    }
    stage.replies("history", json!({"more": false}));
    stage.presses("\x1b<");
    stage.sees("eve: old");
    let view = stage.model.views().view(focus(&stage)).expect("seen");
    assert!(view.older == Older::None && view.is_back);
    stage.presses("\x1b");
    stage.sees("message 131");
}

#[test]
fn a_line_stands_before_the_first_unread_message() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.hears("lobby", 1, "bob", "seen");
    stage.presses("\x1b1");
    stage.hears("lobby", 2, "bob", "not seen");
    stage.hears("lobby", 3, "bob", "nor this, ada");
    stage.sees("2 #lobby        2!");
    stage.presses("\x1ba");
    let rows = stage.rows();
    let at = |words: &str| rows.iter().position(|row| row.contains(words)).expect(words);
    assert!(at(" new ") == at("bob: seen") + 1 && at("not seen") == at(" new ") + 1);
}

#[test]
fn help_lies_over_the_messages_and_goes() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("typed\x1bOP");
    stage.sees("The help: Esc closes it");
    stage.presses("\x1b[F");
    stage.sees("Anything else is said where you are");
    stage.presses("\x1b[H");
    stage.sees("The help: Esc closes it");
    stage.presses("\x1b[6~\x1b[B\x1b[<65;1;1M");
    stage.does_not_see("The help: Esc closes it");
    stage.presses("q");
    assert_eq!(stage.typed(), "typed");
    stage.does_not_see("Alt-Enter");
    stage.presses("\x1bOP, on");
    assert_eq!(stage.typed(), "typed, on", "whoever types on reads it no more");
    stage.does_not_see("The help: Esc closes it");
    assert!(command::help(None).is_ok());
}

#[test]
fn the_daemon_is_called_at_once_where_it_is_away_and_never_hung_up_on() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("\x12");
    assert!(stage.model.link().is_up());
    stage.is_lost();
    stage.presses("\x12");
    assert_eq!(*stage.model.link().phase(), Phase::Calling);
}

#[test]
fn the_bell_rings_for_whoever_may_not_be_looking() {
    let at = |seconds: u64| Now::from_micros(seconds * 1_000_000);
    assert!(rings(true, None, at(100)), "nobody has typed yet");
    assert!(!rings(true, Some(at(41)), at(100)));
    assert!(rings(true, Some(at(40)), at(100)), "they may have gone since");
    assert!(rings(false, Some(at(100)), at(100)), "they look elsewhere");
}

#[test]
fn the_terminals_own_business_is_left_to_whoever_has_it() {
    let mut stage = Stage::in_lobby(SIZE);
    stage.presses("\x0c\x1a\x1bm");
    assert_eq!(stage.deeds, [Deed::Redraw, Deed::Suspend, Deed::Mouse]);
    assert!(stage.sight.is_mouse_theirs());
}
