//! How the talk is opened: by the server, or, where both sides listen, over a connection of the two. The server decides: what it says
//! has started is what there is.

use crate::client::{Client, Event, Fields, Refusal};
use crate::clock;
use crate::direct::{self, Link, Outcome};
use crate::failure::{Exit, Failure};
use nix::poll::PollFlags;
use proto::{Now, Span};
use serde_json::Value;
use std::os::fd::BorrowedFd;

/// So long the server has to answer.
const ANSWER_SPAN_MAX: Span = Span::from_secs(10);

/// How far the opening is.
enum Stage {
    /// Nobody was found.
    Apart,
    /// A way past the server is tried.
    Tried,
    /// `chat` was asked for; the server says which way the talk goes.
    Asked {
        /// Whether past the server.
        direct: bool,
    },
}

/// The way to a talk.
pub(super) struct Opening {
    nick: String,
    past: Option<direct::Opening>,
    peer: String,
    stage: Stage,
    said: Option<String>,
}

impl Opening {
    /// Listens where that is wanted.
    pub(super) fn new(client: &Client, nick: &str, port: Option<u16>) -> Result<Self, Failure> {
        let past = port.map(|port| {
            let address = direct::listening_address(client, port);
            direct::Opening::new(address).map_err(|error| {
                let message = format!("cannot listen at {address}: {error}");
                Failure::new(Exit::Refused, "listen", message)
            })
        });
        let (nick, past) = (nick.to_owned(), past.transpose()?);
        Ok(Self { nick, past, peer: String::new(), stage: Stage::Apart, said: None })
    }

    /// Where we listen.
    pub(super) fn port(&self) -> Option<u16> {
        self.past.as_ref()?.port().ok()
    }

    /// What a person is to be told, once.
    pub(super) fn said(&mut self) -> Option<String> {
        self.said.take()
    }

    /// Somebody was found.
    pub(super) fn ready(&mut self, event: &Event, client: &mut Client, now: Now) {
        event.text("peer").unwrap_or("?").clone_into(&mut self.peer);
        self.stage = Stage::Apart;
        let Some(past) = &mut self.past else { return self.chat(false, client) };
        let address = event.text("address").and_then(|address| address.parse().ok());
        if let Some(address) = address {
            let turns = event.fields.get("turns").and_then(Value::as_bool) == Some(true);
            past.find(&self.nick, &self.peer, turns, address, now);
            past.call_or_wait(now);
            self.stage = Stage::Tried;
        } else {
            self.said = Some(format!("{} does not listen: the server relays", self.peer));
            self.chat(false, client);
        }
    }

    /// Whoever was found is called otherwise now.
    pub(super) fn rename(&mut self, peer: &str) {
        peer.clone_into(&mut self.peer);
        if let Some(past) = &mut self.past {
            past.rename(&self.nick, peer);
        }
    }

    /// Whoever was found is not there any more.
    pub(super) fn start_again(&mut self) {
        if let Some(past) = &mut self.past {
            past.forget();
        }
    }

    /// The talk goes by the server: whose own call has failed knows that, anybody else who tried is to be told.
    pub(super) fn relayed(&mut self) {
        if matches!(self.stage, Stage::Tried | Stage::Asked { direct: true }) {
            self.said = Some(format!("{} does not reach us: the server relays", self.peer));
        }
    }

    /// The connection of the two, where it is there.
    pub(super) fn link(&mut self) -> Option<Link> {
        self.past.as_mut()?.link()
    }

    /// The descriptors to wait for, and what for. `step` takes what became of them in this order.
    pub(super) fn watched(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        self.past.iter().flat_map(direct::Opening::watched).collect()
    }

    /// When to look again, whatever the descriptors say.
    pub(super) fn next(&self) -> Option<Now> {
        self.past.as_ref().and_then(direct::Opening::next)
    }

    /// Does what can be done now.
    pub(super) fn step(&mut self, ready: &[PollFlags], client: &mut Client, now: Now) {
        let Some(past) = &mut self.past else { return };
        past.step(ready, now);
        match past.take() {
            Some(Outcome::Reached) => self.chat(true, client),
            Some(Outcome::Failed(why)) => {
                self.said = Some(format!("{why}: the server relays"));
                self.chat(false, client);
            }
            None => {}
        }
    }

    /// Opens the talk, once.
    fn chat(&mut self, direct: bool, client: &mut Client) {
        if !matches!(self.stage, Stage::Asked { .. }) {
            self.stage = Stage::Asked { direct };
            let mut fields =
                Fields::from_iter([("peer".to_owned(), Value::from(self.peer.as_str()))]);
            if direct {
                fields.insert("direct".to_owned(), Value::from(true));
            }
            client.ask("chat", fields, clock::now().after(ANSWER_SPAN_MAX));
        }
    }
}

/// What the server answered to what was asked before the talk.
pub(super) fn replied(outcome: Result<Fields, Refusal>) -> Result<(), Refusal> {
    match outcome {
        // Who was found has gone meanwhile: an event says so.
        Err(refusal) if refusal.code == "not_in_talk" => Ok(()),
        outcome => outcome.map(drop),
    }
}
