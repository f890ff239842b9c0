//! The talk: which is wished for, and how far it is. The server says when a peer is found, who may write and when it ends; its word
//! is taken as it comes.
//!
//! The wish stays over a lost connection, the talk does not: the server has told the peer that we are gone.

use super::outgoing::To;
use super::replies::Asked;
use super::{Model, Moment, ViewName, with};
use crate::chat::command::TalkWish;
use crate::client::{Fields, Refusal};
use jiff::Timestamp;
use serde_json::Value;

/// Who may write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Turn {
    /// Both, at will.
    Free,
    /// We.
    Yours,
    /// The peer.
    Theirs,
}

/// How far the talk is: with the three turns of an open one these are the states that are always shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum TalkState {
    /// There is none.
    #[default]
    Registered,
    /// A peer is waited for.
    Waiting {
        /// Since when.
        since: Timestamp,
        /// Which, where one was named.
        peer: Option<String>,
    },
    /// A peer is there; either may open the talk.
    Ready {
        /// Who.
        peer: String,
    },
    /// The talk is open.
    Open {
        /// With whom.
        peer: String,
        /// Who may write.
        turn: Turn,
    },
}

/// The talk, wished for and had.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    pub(super) wish: Option<TalkWish>,
    pub(super) state: TalkState,
}

impl Talk {
    /// What is wished for.
    pub fn wish(&self) -> Option<&TalkWish> {
        self.wish.as_ref()
    }

    /// How far it is.
    pub fn state(&self) -> &TalkState {
        &self.state
    }

    /// The state in a few words.
    pub fn words(&self) -> String {
        match &self.state {
            TalkState::Registered => "no talk".to_owned(),
            TalkState::Waiting { peer: None, .. } => "waiting for anyone".to_owned(),
            TalkState::Waiting { peer: Some(peer), .. } => format!("waiting for {peer}"),
            TalkState::Ready { peer } => format!("{peer} is ready: /chat opens the talk"),
            TalkState::Open { peer, turn: Turn::Free } => format!("in a talk with {peer}"),
            TalkState::Open { peer, turn: Turn::Yours } => format!("your turn, with {peer}"),
            TalkState::Open { peer, turn: Turn::Theirs } => format!("{peer}'s turn"),
        }
    }

    /// Something of ours is under way: a message gives the turn away.
    pub(super) fn said(&mut self) {
        if let TalkState::Open { turn: turn @ Turn::Yours, .. } = &mut self.state {
            *turn = Turn::Theirs;
        }
    }

    pub(super) fn set_turn(&mut self, to: Option<Turn>) {
        if let (TalkState::Open { turn, .. }, Some(to)) = (&mut self.state, to) {
            *turn = to;
        }
    }

    /// Whether there is a peer: a talk that can be ended.
    pub fn is_on(&self) -> bool {
        matches!(self.state, TalkState::Ready { .. } | TalkState::Open { .. })
    }
}

pub(super) fn turn(fields: &Fields) -> Option<Turn> {
    match fields.get("turn").and_then(Value::as_str) {
        Some("yours") => Some(Turn::Yours),
        Some("theirs") => Some(Turn::Theirs),
        _ => None,
    }
}

impl Model {
    /// Whether something can be said in the talk now; if not, why.
    pub(super) fn may_say(&self) -> Result<(), String> {
        match &self.talk.state {
            TalkState::Open { turn: Turn::Theirs, peer } => {
                Err(format!("it is {peer}'s turn; yours is kept"))
            }
            TalkState::Open { .. } => Ok(()),
            TalkState::Ready { peer } => Err(format!("{peer} is ready: /chat opens the talk")),
            TalkState::Waiting { .. } => Err("nobody is there yet for a talk".to_owned()),
            TalkState::Registered => Err("there is no talk: /bridge waits for one".to_owned()),
        }
    }

    /// `/bridge`: a talk is wished for.
    pub(super) fn bridge(&mut self, at: Moment, wish: TalkWish) {
        if self.talk.is_on() {
            return self.note(at, "there is a talk already: /quit ends it");
        }
        if wish.direct {
            self.note(at, "talks past the server are not built yet: this one is relayed");
        }
        self.talk.wish = Some(wish);
        self.views.open(&ViewName::Talk, "talk");
        self.views.see(&ViewName::Talk);
        if self.link.is_up() {
            self.ask_bridge(at);
        } else {
            self.note(at, "you will wait for a talk as soon as there is a connection");
        }
    }

    pub(super) fn ask_bridge(&mut self, at: Moment) {
        let Some(wish) = &self.talk.wish else { return };
        let mut fields = with(Fields::new(), "turns", wish.turns.word());
        if let Some(peer) = &wish.peer {
            fields = with(fields, "peer", peer.as_str());
        }
        self.ask(at, "bridge", fields, Asked::Bridge);
    }

    /// We wait: a peer who was there already is told of next.
    pub(super) fn bridged(&mut self, at: Moment, reply: &Fields) {
        let Some(wish) = &self.talk.wish else { return };
        let peer = wish.peer.clone();
        let since = reply.get("since").and_then(Value::as_str);
        let since = since.and_then(|since| since.parse().ok()).unwrap_or(at.wall);
        self.talk.state = TalkState::Waiting { since, peer };
        self.tell_talk(at);
    }

    pub(super) fn not_bridged(&mut self, at: Moment, refusal: &Refusal) {
        if refusal.code != "shutting_down" {
            self.talk.wish = None;
            self.note(at, format!("no talk: {}", refusal.message));
        }
    }

    /// `/unbridge`: no talk is wished for any more.
    pub(super) fn unbridge(&mut self, at: Moment) {
        if matches!(self.talk.state, TalkState::Open { .. }) {
            return self.note(at, "the talk is open: /quit ends it");
        }
        let wished = self.talk.wish.take();
        let state = std::mem::take(&mut self.talk.state);
        if wished.is_none() && state == TalkState::Registered {
            return self.note(at, "you wait for no talk");
        }
        if self.link.is_up() {
            self.ask(at, "unbridge", Fields::new(), Asked::Quiet);
        }
        self.note(at, "you wait for no talk any more");
    }

    /// `/chat`: the talk is opened.
    pub(super) fn open_talk(&mut self, at: Moment) {
        match &self.talk.state {
            TalkState::Ready { .. } => self.ask(at, "chat", Fields::new(), Asked::OpenTalk),
            TalkState::Open { peer, .. } => {
                let text = format!("the talk with {peer} is open already");
                self.note(at, text);
            }
            TalkState::Registered | TalkState::Waiting { .. } => {
                let why = self.may_say().err().unwrap_or_default();
                self.note(at, why);
            }
        }
    }

    /// `/pass`: the turn is given away.
    pub(super) fn pass(&mut self, at: Moment) {
        match &self.talk.state {
            TalkState::Open { turn: Turn::Yours, .. } => {
                self.ask(at, "pass", Fields::new(), Asked::Pass);
            }
            TalkState::Open { turn: Turn::Theirs, .. } => self.note(at, "it is not your turn"),
            TalkState::Open { turn: Turn::Free, .. } => {
                self.note(at, "in this talk both write at will");
            }
            _ => {
                let why = self.may_say().err().unwrap_or_default();
                self.note(at, why);
            }
        }
    }

    /// `/quit`: ends the talk, or the peer's waiting for it; whether there was one.
    pub(super) fn hang_up(&mut self, at: Moment) -> bool {
        if !self.talk.is_on() {
            return false;
        }
        self.talk.wish = None;
        self.talk.state = TalkState::Registered;
        self.ask(at, "hangup", Fields::new(), Asked::Quiet);
        self.take_back_said("the talk was ended before it was sent");
        self.note_in(at, &ViewName::Talk, "you ended the talk");
        true
    }

    /// The connection is gone, and the talk with it.
    pub(super) fn talk_lost(&mut self, at: Moment) {
        let state = std::mem::take(&mut self.talk.state);
        if let TalkState::Ready { peer } | TalkState::Open { peer, .. } = state {
            let text = format!("the talk with {peer} is over: the connection was lost");
            self.note_in(at, &ViewName::Talk, text);
        }
        self.take_back_said("the connection was lost; it may have arrived");
        assert_eq!(self.talk.state, TalkState::Registered, "no talk is had without a connection");
    }

    pub(super) fn take_back_said(&mut self, why: &str) {
        let said = self.outgoing.take_said();
        for message in said {
            self.give_up(&message, "not_in_talk", why);
        }
    }

    /// The reply to `chat`, `pass` or something said: it may tell whose turn it is.
    pub(super) fn turn_told(&mut self, reply: &Fields) {
        self.talk.set_turn(turn(reply));
    }

    /// What was said was refused: whose turn it is the server knows better.
    pub(super) fn not_said(&mut self, refusal: &Refusal) {
        if refusal.code != "not_your_turn" && refusal.code != "not_in_talk" {
            // It has not given the turn away.
            if let TalkState::Open { turn: turn @ Turn::Theirs, .. } = &mut self.talk.state {
                *turn = Turn::Yours;
            }
        }
    }

    /// Says how far the talk is, in its view.
    pub(super) fn tell_talk(&mut self, at: Moment) {
        self.views.open(&ViewName::Talk, "talk");
        self.note_in(at, &ViewName::Talk, self.talk.words());
    }

    /// Whether this message was to be said in the talk.
    pub(super) fn is_said(&self, id: &str) -> bool {
        self.outgoing.is_to(id, &To::Talk)
    }
}
