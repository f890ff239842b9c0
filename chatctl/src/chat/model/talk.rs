//! The talk: which is wished for, and how far it is. The server says when a peer is found, who may write and when it ends; its word
//! is taken as it comes.
//!
//! The wish stays over a lost connection, the talk does not: the server has told the peer that we are gone. Whoever was in an open
//! talk then waits for the same peer, and opens it again. A way past the server is the business of `past`.

use super::outgoing::To;
use super::past::Way;
use super::replies::Asked;
use super::{Model, Moment, ViewName, with};
use crate::chat::command::TalkWish;
use crate::client::{Fields, Refusal};
use crate::failure::Exit;
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
    /// There is none: the server knows us, and nobody is waited for.
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

/// With whom a talk is to be open again.
#[derive(Clone, Debug)]
pub(super) struct Again {
    pub(super) peer: String,
    /// Something was heard of that one since: the talk is as any other.
    pub(super) is_back: bool,
}

/// The talk, wished for and had.
#[derive(Clone, Debug, Default)]
pub struct Talk {
    pub(super) wish: Option<TalkWish>,
    pub(super) state: TalkState,
    pub(super) way: Way,
    /// With whom a talk was open when the connection was lost: it is to be open again, whoever was wished for before.
    pub(super) again: Option<Again>,
}

impl Talk {
    /// What is wished for.
    pub fn wish(&self) -> Option<&TalkWish> {
        self.wish.as_ref()
    }

    /// The one alone who is waited for.
    pub(super) fn wanted(&self) -> Option<&str> {
        let wished = || self.wish.as_ref().and_then(|wish| wish.peer.as_deref());
        self.again.as_ref().map(|again| again.peer.as_str()).or_else(wished)
    }

    /// How far it is.
    pub fn state(&self) -> &TalkState {
        &self.state
    }

    /// The state in a few words, as long as the server knows us.
    pub(super) fn words(&self) -> String {
        let more = match &self.state {
            TalkState::Ready { .. } => ": /chat opens the talk",
            TalkState::Open { .. } if self.is_past() => ", past the server",
            TalkState::Registered | TalkState::Waiting { .. } | TalkState::Open { .. } => "",
        };
        self.gist() + more
    }

    /// The same in fewer.
    fn gist(&self) -> String {
        match &self.state {
            TalkState::Registered if self.wish.is_some() => {
                format!("will wait for {}", self.wanted().unwrap_or("anyone"))
            }
            TalkState::Registered => "registered".to_owned(),
            TalkState::Waiting { peer: None, .. } => "waiting for anyone".to_owned(),
            TalkState::Waiting { peer: Some(peer), .. } => format!("waiting for {peer}"),
            TalkState::Ready { peer } => format!("{peer} is ready"),
            TalkState::Open { peer, turn } => match turn {
                Turn::Free => format!("in a talk with {peer}"),
                Turn::Yours => format!("your turn, with {peer}"),
                Turn::Theirs => format!("{peer}'s turn"),
            },
        }
    }

    /// Something of ours is under way: a message gives the turn away.
    pub(super) fn said(&mut self) {
        if let TalkState::Open { turn: turn @ Turn::Yours, .. } = &mut self.state {
            *turn = Turn::Theirs;
        }
    }

    /// Something came from the peer.
    pub(super) fn heard(&mut self) {
        if let Some(again) = &mut self.again {
            again.is_back = true;
        }
    }

    pub(super) fn set_turn(&mut self, to: Option<Turn>) {
        if let (TalkState::Open { turn, .. }, Some(to)) = (&mut self.state, to) {
            *turn = to;
        }
    }

    /// Whether something is under way that comes to an end by itself, and soon.
    pub(super) fn is_moving(&self) -> bool {
        matches!(self.way, Way::Asked | Way::Calling)
    }

    /// Whether what is said goes past the server.
    pub(super) fn is_past(&self) -> bool {
        self.way == Way::Open
    }

    /// Names the peer, so that what is asked is not for the next one where this one has gone.
    pub(super) fn with_peer(&self, fields: Fields) -> Fields {
        match &self.state {
            TalkState::Ready { peer } | TalkState::Open { peer, .. } => {
                with(fields, "peer", peer.as_str())
            }
            TalkState::Registered | TalkState::Waiting { .. } => fields,
        }
    }

    pub(super) fn check_invariants(&self) {
        match self.way {
            Way::Relayed | Way::Listening => {}
            Way::Asked => assert!(self.wish.is_some(), "who listens wishes for a talk"),
            Way::Found | Way::Calling => {
                assert!(matches!(self.state, TalkState::Ready { .. }), "who was found is ready");
            }
            Way::Open => {
                assert!(matches!(self.state, TalkState::Open { .. }), "the talk goes some way");
            }
        }
        assert!(self.again.is_none() || self.wish.is_some(), "what is to be again is wished for");
        let is_none = self.state == TalkState::Registered;
        assert!(is_none || self.wish.is_some(), "what is had is wished for");
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
    /// How far the talk is, in a few words. Who is not connected is known to nobody, and can be found by nobody.
    pub fn talk_words(&self) -> String {
        self.talk_in(Talk::words)
    }

    /// The same in fewer: neither how one goes on, nor which way what is said goes.
    pub fn talk_gist(&self) -> String {
        self.talk_in(Talk::gist)
    }

    fn talk_in(&self, words: fn(&Talk) -> String) -> String {
        let is_unknown = self.talk.wish.is_none() && !self.link.is_up();
        if is_unknown { "not registered".to_owned() } else { words(&self.talk) }
    }

    /// Whether something can be said in the talk now; if not, why.
    pub(super) fn may_say(&self) -> Result<(), String> {
        match &self.talk.state {
            TalkState::Open { turn: Turn::Theirs, peer } => Err(format!("it is {peer}'s turn")),
            TalkState::Open { .. } => Ok(()),
            TalkState::Ready { peer } => Err(format!("{peer} is ready: /chat opens the talk")),
            TalkState::Waiting { .. } => Err("nobody is there yet for a talk".to_owned()),
            TalkState::Registered if self.talk.wish.is_none() => {
                Err("there is no talk: /bridge waits for one".to_owned())
            }
            TalkState::Registered if self.link.is_up() => {
                Err("nobody is there yet for a talk".to_owned())
            }
            TalkState::Registered => {
                Err("the talk is waited for again when there is a connection".to_owned())
            }
        }
    }

    /// `/bridge`: a talk is wished for.
    pub(super) fn bridge(&mut self, at: Moment, wish: TalkWish) {
        if self.talk.is_on() {
            return self.decline(at, Exit::Refused, "there is a talk already: /quit ends it");
        }
        if let Some(peer) = wish.peer.as_ref().filter(|peer| self.is_ignored(peer)) {
            let text = format!("you ignore {peer}: /unignore {peer} first");
            return self.decline(at, Exit::Refused, text);
        }
        self.talk.wish = Some(wish);
        self.talk.again = None;
        self.views.open(&ViewName::Talk, "talk");
        self.views.see(&ViewName::Talk);
        if self.link.is_up() {
            self.ask_bridge(at);
        } else {
            self.note(at, "you will wait for a talk as soon as there is a connection");
        }
    }

    /// Asks for the talk that is wished for, once it is known where we listen.
    pub(super) fn ask_bridge(&mut self, at: Moment) {
        if self.talk.wish.is_some() && !self.ask_port() {
            self.ask_talk(at, None);
        }
    }

    pub(super) fn ask_talk(&mut self, at: Moment, port: Option<u16>) {
        let Some(wish) = &self.talk.wish else { return };
        let mut fields = with(Fields::new(), "turns", wish.turns.word());
        if let Some(peer) = self.talk.wanted() {
            fields = with(fields, "peer", peer);
        }
        if let Some(port) = port {
            fields = with(fields, "direct", port);
        }
        self.ask(at, "bridge", fields, Asked::Bridge);
    }

    /// We wait: a peer who was there already is told of next.
    pub(super) fn bridged(&mut self, at: Moment, reply: &Fields) {
        if self.is_leaving_talk() || self.talk.wish.is_none() {
            return;
        }
        let peer = self.talk.wanted().map(str::to_owned);
        let since = reply.get("since").and_then(Value::as_str);
        let since = since.and_then(|since| since.parse().ok()).unwrap_or(at.wall);
        self.talk_is(TalkState::Waiting { since, peer }, "the talk ended");
        self.tell_talk(at);
    }

    pub(super) fn not_bridged(&mut self, at: Moment, refusal: &Refusal) {
        // What was wished for since has an answer of its own.
        if self.is_leaving_talk() || self.is_bridging() || refusal.code == "shutting_down" {
            return;
        }
        if let TalkState::Ready { peer } | TalkState::Open { peer, .. } = &self.talk.state {
            // A peer was found meanwhile; what is wished for is asked for when that one leaves.
            self.talk.again = Some(Again { peer: peer.clone(), is_back: true });
            return;
        }
        if self.talk.state == TalkState::Registered {
            self.unwish_talk();
        } else {
            // The server still waits for what was wished for before.
            self.renounce(at);
        }
        self.decline(at, Exit::of_code(&refusal.code), format!("no talk: {}", refusal.message));
    }

    /// Whether it is being asked for a talk.
    pub(super) fn is_bridging(&self) -> bool {
        let is_asked = self.asked.values().any(|asked| matches!(asked, Asked::Bridge));
        is_asked || self.talk.way == Way::Asked
    }

    /// `/chat`: the talk is opened.
    pub(super) fn open_talk(&mut self, at: Moment) {
        match &self.talk.state {
            TalkState::Ready { peer } => {
                let peer = peer.clone();
                if !self.call_past(at, &peer) {
                    let fields = self.talk.with_peer(Fields::new());
                    self.ask(at, "chat", fields, Asked::OpenTalk);
                }
            }
            TalkState::Open { peer, .. } => {
                let text = format!("the talk with {peer} is open already");
                self.note(at, text);
            }
            TalkState::Registered | TalkState::Waiting { .. } => {
                let why = self.may_say().err().unwrap_or_default();
                self.decline(at, Exit::Refused, why);
            }
        }
    }

    /// `/pass`: the turn is given away.
    pub(super) fn pass(&mut self, at: Moment) {
        match &self.talk.state {
            TalkState::Open { turn: Turn::Yours, .. } => {
                if !self.pass_past() {
                    let fields = self.talk.with_peer(Fields::new());
                    self.ask(at, "pass", fields, Asked::Pass);
                }
            }
            TalkState::Open { turn: Turn::Theirs, .. } => {
                self.decline(at, Exit::Refused, "it is not your turn");
            }
            TalkState::Open { turn: Turn::Free, .. } => {
                self.decline(at, Exit::Refused, "in this talk both write at will");
            }
            _ => {
                let why = self.may_say().err().unwrap_or_default();
                self.decline(at, Exit::Refused, why);
            }
        }
    }

    /// The reply to `chat`: the talk is open, whoever has opened it.
    pub(super) fn talk_opened(&mut self, at: Moment, reply: &Fields) {
        match &self.talk.state {
            TalkState::Ready { peer } if !self.is_leaving_talk() => {
                let peer = peer.clone();
                self.talk_starts(at, peer, reply);
            }
            TalkState::Open { .. } => self.turn_told(reply),
            TalkState::Registered | TalkState::Waiting { .. } | TalkState::Ready { .. } => {}
        }
    }

    /// The talk is open from now on.
    pub(super) fn talk_starts(&mut self, at: Moment, peer: String, fields: &Fields) {
        let turn = turn(fields).unwrap_or(Turn::Free);
        self.talk_is(TalkState::Open { peer, turn }, "the talk ended");
        let is_direct = fields.get("direct").and_then(Value::as_bool) == Some(true);
        if !self.start_way(at, is_direct) {
            self.tell_talk(at);
        }
    }

    /// The reply to `pass` or something said, or to `chat` again: it may tell whose turn it is.
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
