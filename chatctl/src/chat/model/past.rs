//! A talk past the server: the server brings the two together, and what they say goes over a connection of their own.
//!
//! The model decides when to listen, to call and to give it up; whoever has the sockets does so, and tells what came of it. The server's
//! word that the talk goes this way is what counts. Where there is no such way the server relays, and the person is told so.

use super::entry::Mark;
use super::replies::Asked;
use super::talk::{Again, TalkState, Turn};
use super::{Model, Moment, Output, ViewName, with};
use crate::client::{Event, Fields};
use crate::direct::{self, End, Happening, Outcome};
use serde_json::Value;
use std::net::SocketAddr;

/// What is to be done past the server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Past {
    /// Listen at this port, at any where it is 0; `Model::listens` says what came of it.
    Listen {
        /// Which.
        port: u16,
    },
    /// Listen no more, and end the connection.
    Close,
    /// This peer may call, and can be called; nobody else.
    Find {
        /// How we are called.
        us: String,
        /// How they are.
        peer: String,
        /// Whether one writes in turn.
        turns: bool,
        /// Where they listen.
        address: SocketAddr,
    },
    /// End the connection, and listen on for whoever comes next.
    Forget,
    /// Either of the two is called otherwise now.
    Rename {
        /// How we are called.
        us: String,
        /// How they are.
        peer: String,
    },
    /// Call the peer; `Model::reached` says what came of it.
    Call,
    /// The talk goes over the connection now; `Model::opened` says whether there is one.
    Open,
    /// Say this; `Model::said` tells that the connection has taken it.
    Say {
        /// The message's id.
        id: String,
        /// Any bytes.
        content: Vec<u8>,
    },
    /// The message with this id has come.
    Acknowledge(String),
    /// Give the turn away.
    Pass,
}

/// How far the way past the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Way {
    /// None is wanted, or none can be had.
    #[default]
    Relayed,
    /// A port to listen at is asked for.
    Asked,
    /// We listen.
    Listening,
    /// Who was found listens, too.
    Found,
    /// We call.
    Calling,
    /// The talk goes this way.
    Open,
}

impl Model {
    fn past(&mut self, past: Past) {
        self.out.push_back(Output::Past(past));
    }

    /// Asks for a port, where the wish is one for a way past the server: whether.
    pub(super) fn ask_port(&mut self) -> bool {
        if !self.talk.wish.as_ref().is_some_and(|wish| wish.direct) {
            self.close_way();
            return false;
        }
        self.talk.way = Way::Asked;
        self.past(Past::Listen { port: self.wanted.port });
        true
    }

    /// We listen at this port, or cannot.
    pub fn listens(&mut self, at: Moment, port: Result<u16, String>) {
        if self.talk.way != Way::Asked {
            return;
        }
        match port {
            Ok(port) => {
                self.talk.way = Way::Listening;
                self.ask_talk(at, Some(port));
            }
            Err(why) => {
                self.close_way();
                self.note_in(at, &ViewName::Talk, format!("{why}: the server will relay"));
                self.ask_talk(at, None);
            }
        }
        self.check_invariants();
    }

    /// Nothing goes past the server any more.
    pub(super) fn close_way(&mut self) {
        if std::mem::take(&mut self.talk.way) != Way::Relayed {
            self.past(Past::Close);
        }
    }

    /// Whoever was found has gone, or is talked with by the server: we listen on.
    pub(super) fn forget_way(&mut self) {
        if matches!(self.talk.way, Way::Found | Way::Calling | Way::Open) {
            self.talk.way = Way::Listening;
            self.past(Past::Forget);
        }
    }

    /// Somebody was found, whose address the event has where both listen.
    pub(super) fn find_way(&mut self, at: Moment, event: &Event, peer: &str) {
        self.forget_way();
        let listens = event.fields.get("direct").and_then(Value::as_bool) == Some(true);
        let address = event.text("address").and_then(|address| address.parse().ok());
        let (Way::Listening, Some(address)) = (self.talk.way, address) else {
            let text = match (self.talk.way, listens) {
                (Way::Listening, false) => format!("{peer} does not listen: the server will relay"),
                (Way::Listening, true) => {
                    format!("no way past the server leads to {peer}: the server will relay")
                }
                (_, true) => {
                    format!(
                        "{peer} would talk past the server, which will relay: you do not listen"
                    )
                }
                (_, false) => return,
            };
            return self.note_in(at, &ViewName::Talk, text);
        };
        self.talk.way = Way::Found;
        let us = self.link.nick().unwrap_or_default().to_owned();
        let turns = event.fields.get("turns").and_then(Value::as_bool) == Some(true);
        self.past(Past::Find { us, peer: peer.to_owned(), turns, address });
    }

    /// The two may be called otherwise since.
    pub(super) fn rename_way(&mut self) {
        if matches!(self.talk.way, Way::Found | Way::Calling)
            && let TalkState::Ready { peer } = &self.talk.state
        {
            let us = self.link.nick().unwrap_or_default().to_owned();
            let peer = peer.clone();
            self.past(Past::Rename { us, peer });
        }
    }

    /// Calls whoever was found, where there is a way past the server: whether.
    pub(super) fn call_past(&mut self, at: Moment, peer: &str) -> bool {
        match self.talk.way {
            Way::Found => {
                self.talk.way = Way::Calling;
                self.past(Past::Call);
                self.note_in(at, &ViewName::Talk, format!("calling {peer}"));
                true
            }
            Way::Calling => true,
            Way::Relayed | Way::Asked | Way::Listening | Way::Open => false,
        }
    }

    /// What came of our call, or of waiting for theirs.
    pub fn reached(&mut self, at: Moment, outcome: Outcome) {
        let (Way::Calling, TalkState::Ready { peer }) = (self.talk.way, &self.talk.state) else {
            return;
        };
        let fields = with(Fields::new(), "peer", peer.as_str());
        let fields = match outcome {
            Outcome::Reached => with(fields, "direct", true),
            Outcome::Failed(why) => {
                self.forget_way();
                self.note_in(at, &ViewName::Talk, format!("{why}: the server relays"));
                fields
            }
        };
        self.ask(at, "chat", fields, Asked::OpenTalk);
        self.check_invariants();
    }

    /// The talk has started: whether it goes past the server, where it is told of once the connection is there.
    pub(super) fn start_way(&mut self, at: Moment, is_direct: bool) -> bool {
        let is_past = is_direct && self.talk.way != Way::Relayed;
        if is_past {
            self.talk.way = Way::Open;
            self.past(Past::Open);
            return true;
        }
        // Whose own call came to nothing has said so, and has no way any more.
        let is_missed = matches!(self.talk.way, Way::Found | Way::Calling);
        self.forget_way();
        if let (true, TalkState::Open { peer, .. }) = (is_missed, &self.talk.state) {
            let text = format!("{peer} does not reach us: the server relays");
            self.note_in(at, &ViewName::Talk, text);
        }
        false
    }

    /// The connection that the talk goes over is there, and whose turn it is; or it is not.
    pub fn opened(&mut self, at: Moment, turn: Option<Option<direct::Turn>>) {
        if self.talk.way != Way::Open {
            return;
        }
        match turn {
            Some(turn) => {
                self.talk.set_turn(Some(match turn {
                    None => Turn::Free,
                    Some(direct::Turn::Yours) => Turn::Yours,
                    Some(direct::Turn::Theirs) => Turn::Theirs,
                }));
                self.tell_talk(at);
            }
            None => self.break_way(at, "has not connected"),
        }
        self.pump(at);
        self.check_invariants();
    }

    /// The connection has taken what was to be said under this id.
    pub fn said(&mut self, at: Moment, id: &str) {
        if self.is_said(id) {
            self.mark_taken(&ViewName::Talk, id, at.wall, None);
        }
        self.check_invariants();
    }

    /// Something happened over the connection that the talk goes over.
    pub fn talked(&mut self, at: Moment, happening: Happening) {
        if self.talk.way != Way::Open {
            return;
        }
        match happening {
            Happening::Said { id, content } => self.hear_past(at, id, content),
            Happening::Delivered { id, .. } => {
                if self.outgoing.take(&id).is_some() {
                    self.delivered(at, &id);
                }
            }
            Happening::NotTaken { id, refusal } => {
                self.not_said(&refusal);
                if let Some(message) = self.outgoing.take(&id) {
                    self.give_up(&message, Mark::refused_for(&refusal));
                }
            }
            Happening::Passed => {
                self.talk.set_turn(Some(Turn::Yours));
                self.tell_talk(at);
            }
            // That they hung up the server says, too, and what it does then it says as well.
            Happening::Ended(End::HungUp | End::Left)
            | Happening::Called(_)
            | Happening::Welcomed(_) => {}
            Happening::Ended(end) => self.break_way(at, &end.how()),
        }
        self.pump(at);
        self.check_invariants();
    }

    fn hear_past(&mut self, at: Moment, id: String, content: Vec<u8>) {
        let TalkState::Open { peer, turn } = &mut self.talk.state else { return };
        let from = peer.clone();
        if *turn != Turn::Free {
            *turn = Turn::Yours;
        }
        self.talk.heard();
        self.past(Past::Acknowledge(id.clone()));
        self.put_said(at.wall, id, from, content);
    }

    /// The connection that the talk went over is broken: the same peer is waited for, and the server relays then.
    fn break_way(&mut self, at: Moment, how: &str) {
        let TalkState::Open { peer, .. } = self.talk.state.clone() else { return };
        self.close_way();
        let text = format!("{peer} {how}: you wait for them again, and the server will relay");
        self.note_in(at, &ViewName::Talk, text);
        self.talk_is(TalkState::Registered, "the connection was lost");
        if let Some(wish) = &mut self.talk.wish {
            wish.direct = false;
        }
        self.talk.again = Some(Again { peer, is_back: false });
        self.ask(at, "hangup", Fields::new(), Asked::HangUp);
        self.ask_bridge(at);
    }

    /// Says something over the connection that the talk goes over.
    pub(super) fn say_past(&mut self, id: String, content: Vec<u8>) {
        assert_eq!(self.talk.way, Way::Open, "what goes past the server has a way");
        self.past(Past::Say { id, content });
    }

    /// Gives the turn away in a talk past the server: whether it is one.
    pub(super) fn pass_past(&mut self) -> bool {
        let is_past = self.talk.way == Way::Open;
        if is_past {
            self.talk.set_turn(Some(Turn::Theirs));
            self.past(Past::Pass);
        }
        is_past
    }
}
