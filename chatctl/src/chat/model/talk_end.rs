//! How a talk ends: by us, by the peer, or with the connection; and what becomes of what was still to be said in it.

use super::entry::Mark;
use super::replies::Asked;
use super::talk::{Again, TalkState};
use super::views::folded;
use super::{Model, Moment, ViewName};
use crate::client::Fields;
use crate::failure::Exit;

impl Model {
    /// `/unbridge`: no talk is wished for any more.
    pub(super) fn unbridge(&mut self, at: Moment) {
        if matches!(self.talk.state, TalkState::Open { .. }) {
            return self.decline(at, Exit::Refused, "the talk is open: /quit ends it");
        }
        if self.talk.wish.is_none() {
            return self.decline(at, Exit::Refused, "you wait for no talk");
        }
        self.renounce(at);
        self.note(at, "you wait for no talk any more");
    }

    /// Ends what there is of a talk: the wish, the waiting for it, the talk.
    pub(super) fn renounce(&mut self, at: Moment) {
        self.unwish_talk();
        self.talk_is(TalkState::Registered, "you ended the talk");
        if self.link.is_up() {
            // Whatever the other side has done meanwhile: this ends it, too.
            self.ask(at, "hangup", Fields::new(), Asked::HangUp);
        }
        assert!(self.talk.wish.is_none() && !self.talk.is_on(), "nothing is left of it");
    }

    /// Whether we have left a talk and the server does not know it yet: what it says of a talk until then is said of that one.
    pub(super) fn is_leaving_talk(&self) -> bool {
        self.asked.values().any(|asked| matches!(asked, Asked::HangUp))
    }

    /// No talk is wished for any more, and none listened for.
    pub(super) fn unwish_talk(&mut self) {
        (self.talk.wish, self.talk.again) = (None, None);
        self.close_way();
    }

    /// `/quit`: ends the talk, or the waiting for one; whether there was any of it. Who says so when the peer has just done it waits
    /// again, and does not mean to end all.
    pub(super) fn hang_up(&mut self, at: Moment) -> bool {
        if self.talk.wish.is_none() {
            return false;
        }
        let text = if self.talk.is_on() {
            format!("you ended the talk{}", self.unacknowledged())
        } else {
            "you wait for no talk any more; /quit again ends all".to_owned()
        };
        self.renounce(at);
        self.note_in(at, &ViewName::Talk, text);
        true
    }

    /// What is to be told at a talk's end of those messages that the server took and the peer did not acknowledge.
    fn unacknowledged(&self) -> String {
        match self.outgoing.unacknowledged() {
            0 => String::new(),
            count => format!("; {count} of yours not acknowledged"),
        }
    }

    /// Ends the talk with somebody who is ignored, before it is open and after. The next one would be the same who waits again, so that
    /// nobody is waited for then.
    pub(super) fn shun(&mut self, at: Moment) {
        let (TalkState::Ready { peer } | TalkState::Open { peer, .. }) = &self.talk.state else {
            return;
        };
        let peer = peer.clone();
        if self.is_ignored(&peer) {
            let text = format!("you ignore {peer}: there is no talk, and you wait for none");
            let text = text + &self.unacknowledged();
            self.renounce(at);
            self.note_in(at, &ViewName::Talk, text);
        }
    }

    /// All is about to end: the peer is told that it was meant so.
    pub fn part(&mut self, at: Moment) {
        if self.talk.state != TalkState::Registered {
            self.renounce(at);
        }
        self.check_invariants();
    }

    /// The connection is gone, and the talk with it.
    pub(super) fn talk_lost(&mut self, at: Moment) {
        let state = self.talk.state.clone();
        self.close_way();
        if let TalkState::Ready { peer } | TalkState::Open { peer, .. } = &state {
            let left = self.unacknowledged();
            let text = format!("the talk with {peer} is over: the connection was lost{left}");
            self.note_in(at, &ViewName::Talk, text);
        }
        if let TalkState::Open { peer, .. } = state {
            self.talk.again = Some(Again { peer, is_back: false });
        } else {
            // Who was only found is not wished for by name.
            self.talk.again.take_if(|again| again.is_back);
        }
        self.talk_is(TalkState::Registered, "the connection was lost");
        assert_eq!(self.talk.state, TalkState::Registered, "no talk is had without a connection");
    }

    /// The talk has come so far; how it ended, where one was open. What was still to be said in that one is for nobody else.
    pub(super) fn talk_is(&mut self, state: TalkState, ended: &str) {
        let stays = match (&self.talk.state, &state) {
            (TalkState::Open { peer, .. }, TalkState::Open { peer: new, .. }) => {
                folded(peer) == folded(new)
            }
            _ => false,
        };
        let is_away = matches!(state, TalkState::Registered | TalkState::Waiting { .. });
        self.talk.state = state;
        if stays {
            return;
        }
        if is_away {
            self.forget_way();
        }
        // What is under way may have been faster than the end.
        let unknown = format!("{ended}; it may have arrived");
        self.mark_unacknowledged(&unknown);
        for message in self.outgoing.take_said() {
            let mark = match message.asked {
                Some(_) => Mark::NotAcknowledged { why: unknown.clone() },
                None => Mark::NotSent {
                    code: "not_in_talk".to_owned(),
                    why: format!("{ended} before it was sent"),
                },
            };
            self.give_up(&message, mark);
        }
    }

    /// The server says that the talk is over, or the waiting for it.
    pub(super) fn talk_ended(&mut self, at: Moment, reason: &str) {
        let peer = match &self.talk.state {
            TalkState::Ready { peer } | TalkState::Open { peer, .. } => peer.clone(),
            // Nobody came in time.
            TalkState::Waiting { .. } => String::new(),
            TalkState::Registered => return,
        };
        let text = match reason {
            "timeout" => "nobody came in time: you wait for no talk any more".to_owned(),
            "hangup" => format!("{peer} ended the talk"),
            "gone" => format!("{peer} is gone"),
            "left" => format!("{peer} does not want to talk any more"),
            other => format!("the talk with {peer} is over: {other}"),
        };
        let text = text + &self.unacknowledged();
        self.views.open(&ViewName::Talk, "talk");
        self.note_in(at, &ViewName::Talk, text);
        self.talk_is(TalkState::Registered, "the talk ended");
        if reason == "timeout" {
            // What was wished for since is still to be asked for, or answered.
            if !self.is_bridging() {
                self.unwish_talk();
            }
            return;
        }
        // The server may have paired us with what it did not know yet to be gone: that was not what was wished for.
        let found = self.talk.again.take_if(|again| again.is_back || reason != "gone");
        let peer = self.talk.wanted().map(str::to_owned);
        self.talk_is(TalkState::Waiting { since: at.wall, peer }, "the talk ended");
        if found.is_some() {
            // The server still waits for the one alone with whom the talk was to be open again.
            self.ask_bridge(at);
        }
    }
}
