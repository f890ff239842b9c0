//! How a talk ends: by us, by the peer, or with the connection; and what becomes of what was still to be said in it.

use super::past::Way;
use super::replies::Asked;
use super::talk::{Again, TalkState};
use super::{Model, Moment, ViewName};
use crate::client::Fields;

impl Model {
    /// `/unbridge`: no talk is wished for any more.
    pub(super) fn unbridge(&mut self, at: Moment) {
        if matches!(self.talk.state, TalkState::Open { .. }) {
            return self.note(at, "the talk is open: /quit ends it");
        }
        let wished = self.talk.wish.clone();
        let state = std::mem::take(&mut self.talk.state);
        self.unwish_talk();
        if wished.is_none() && state == TalkState::Registered {
            return self.note(at, "you wait for no talk");
        }
        if self.link.is_up() {
            // The other side may have opened the talk meanwhile: that one is ended, too.
            self.ask(at, "hangup", Fields::new(), Asked::Quiet);
        }
        self.note(at, "you wait for no talk any more");
    }

    /// No talk is wished for any more, and none listened for.
    pub(super) fn unwish_talk(&mut self) {
        (self.talk.wish, self.talk.again) = (None, None);
        self.close_way();
    }

    /// `/quit`: ends the talk, or the peer's waiting for it; whether there was one.
    pub(super) fn hang_up(&mut self, at: Moment) -> bool {
        if !self.talk.is_on() {
            return false;
        }
        self.talk.state = TalkState::Registered;
        self.unwish_talk();
        self.ask(at, "hangup", Fields::new(), Asked::Quiet);
        self.take_back_said("the talk was ended before it was sent");
        self.note_in(at, &ViewName::Talk, "you ended the talk");
        true
    }

    /// The connection is gone, and the talk with it.
    pub(super) fn talk_lost(&mut self, at: Moment) {
        let state = std::mem::take(&mut self.talk.state);
        self.close_way();
        if let TalkState::Ready { peer } | TalkState::Open { peer, .. } = &state {
            let text = format!("the talk with {peer} is over: the connection was lost");
            self.note_in(at, &ViewName::Talk, text);
        }
        if let TalkState::Open { peer, .. } = state {
            let again = Again { peer, is_back: false };
            self.talk.again = Some(again).filter(|_| self.talk.wish.is_some());
        }
        self.take_back_said("the connection was lost; it may have arrived");
        assert_eq!(self.talk.state, TalkState::Registered, "no talk is had without a connection");
    }

    pub(super) fn take_back_said(&mut self, why: &str) {
        let said = self.outgoing.take_said();
        for message in said {
            // What is under way may have been faster than the end.
            let is_under_way = message.asked.is_some();
            let why = if is_under_way { "the talk ended; it may have arrived" } else { why };
            self.give_up(&message, "not_in_talk", why);
        }
    }

    fn talk_ended(&mut self, at: Moment, reason: &str) {
        let state = std::mem::take(&mut self.talk.state);
        let peer = match state {
            TalkState::Ready { peer } | TalkState::Open { peer, .. } => peer,
            // Nobody came in time.
            TalkState::Waiting { .. } => String::new(),
            // It crossed our word that we do not want it any more.
            TalkState::Registered => return,
        };
        self.forget_way();
        let text = match reason {
            "timeout" => "nobody came in time: you wait for no talk any more".to_owned(),
            "hangup" => format!("{peer} ended the talk"),
            "gone" => format!("{peer} is gone"),
            "left" => format!("{peer} does not want to talk any more"),
            other => format!("the talk with {peer} is over: {other}"),
        };
        if reason == "timeout" {
            self.unwish_talk();
        }
        self.views.open(&ViewName::Talk, "talk");
        self.note_in(at, &ViewName::Talk, text);
        self.take_back_said("the talk ended before it was sent");
        if let Some(wish) = &self.talk.wish {
            // The server may have paired us with what it did not know yet to be gone: that was not what was wished for.
            let found = self.talk.again.take_if(|again| again.is_back || reason != "gone");
            let peer = self.talk.again.as_ref().map(|again| &again.peer).or(wish.peer.as_ref());
            self.talk.state = TalkState::Waiting { since: at.wall, peer: peer.cloned() };
            if found.is_some() {
                // The server still waits for the one alone with whom the talk was to be open again.
                self.ask_bridge(at);
            }
        }
    }
}
