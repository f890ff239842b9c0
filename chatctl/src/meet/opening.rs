//! How two who have found each other come to their talk: by the server, or over a connection of their own, where both listen
//! and one reaches the other in time.
//!
//! The one whose name comes first calls the other and then opens the talk; the other lets it in, and opens the talk by the
//! server if nothing has come of that for a while. The server decides: what it says has started is what there is.

use crate::ask::Context;
use crate::client::{Client, Event, Fields, Refusal};
use crate::clock;
use crate::direct::{Door, Happening, Hello, Link, Peer};
use crate::failure::{Exit, Failure};
use crate::tcp;
use nix::poll::PollFlags;
use proto::{Now, Span};
use serde_json::Value;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::BorrowedFd;

/// So long the way past the server is tried.
const CALL_SPAN_MAX: Span = Span::from_secs(3);

/// So long who is to be called waits for it, before it opens the talk itself.
const CALLED_SPAN_MAX: Span = Span::from_secs(5);

/// So long the server has to answer.
const ANSWER_SPAN_MAX: Span = Span::from_secs(10);

const _: () = assert!(CALL_SPAN_MAX.as_micros() < CALLED_SPAN_MAX.as_micros());

/// Who was found, and how far we are with them.
struct Found {
    peer: String,
    turns: bool,
    /// Where they listen, where both said where they do.
    address: Option<SocketAddr>,
    /// When we open the talk by the server, since nothing else came of it.
    until: Option<Now>,
    /// The connection of the two, and whether it was us who called.
    link: Option<(Link, bool)>,
    /// Whether the connection serves, and `chat` was asked for.
    asked: bool,
}

/// The way to a talk.
pub(super) struct Opening {
    nick: String,
    door: Option<Door>,
    /// A caller who knew of us before we knew of it.
    early: Option<(Link, Hello)>,
    found: Option<Found>,
    said: Option<String>,
}

impl Opening {
    /// Listens where that is wanted: at the address from which the server is called, so that whoever reaches us that way may.
    pub(super) fn new(
        context: &Context,
        client: &Client,
        nick: &str,
        port: Option<u16>,
    ) -> Result<Self, Failure> {
        let at = client.local_address();
        if port.is_some() && at.is_none() {
            let text = "over the control socket the server knows no address of yours: it relays";
            context.voice.say("relayed", text);
        }
        let door = port.zip(at).map(|(port, at): (u16, IpAddr)| {
            let address = SocketAddr::new(at, port);
            Door::open(&[address]).map_err(|error| {
                Failure::new(
                    Exit::Refused,
                    "listen",
                    format!("cannot listen at {address}: {error}"),
                )
            })
        });
        let door = door.transpose()?;
        Ok(Self { nick: nick.to_owned(), door, early: None, found: None, said: None })
    }

    /// Where we listen.
    pub(super) fn port(&self) -> Option<u16> {
        let address = self.door.as_ref()?.address().ok()?;
        Some(address.port())
    }

    /// What a person is to be told, once.
    pub(super) fn said(&mut self) -> Option<String> {
        self.said.take()
    }

    /// Somebody was found.
    pub(super) fn ready(&mut self, event: &Event, client: &mut Client, now: Now) {
        let peer = event.text("peer").unwrap_or("?").to_owned();
        let turns = event.fields.get("turns").and_then(Value::as_bool) == Some(true);
        let address = event.text("address").filter(|_| self.door.is_some());
        let address = address.and_then(|address| address.parse().ok());
        let mut found = Found { peer, turns, address, until: None, link: None, asked: false };
        if self.door.is_some() && address.is_none() {
            self.said = Some(format!("{} does not listen: the server relays", found.peer));
        }
        match found.address {
            None => chat(&mut found, false, client),
            Some(address) if self.nick.to_lowercase() < found.peer.to_lowercase() => {
                self.call(&mut found, address, client, now);
            }
            Some(_) => found.until = Some(now.after(CALLED_SPAN_MAX)),
        }
        self.found = Some(found);
        if let Some((link, hello)) = self.early.take() {
            self.answer(link, &hello, now);
        }
    }

    /// Whoever was found is not there any more.
    pub(super) fn start_again(&mut self) {
        self.found = None;
    }

    /// The connection of the two, where it is there.
    pub(super) fn link(&mut self) -> Option<Link> {
        let (link, _) = self.found.as_mut()?.link.take()?;
        link.peer.is_talking().then_some(link)
    }

    /// The descriptors to wait for, and what for. `step` takes what became of them in this order.
    pub(super) fn watched(&self) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let link = self.found.iter().filter_map(|found| found.link.as_ref());
        let link = link.map(|(link, _)| link.watched());
        link.chain(self.door.iter().flat_map(Door::watched)).collect()
    }

    /// When to look again, whatever the descriptors say.
    pub(super) fn next(&self) -> Option<Now> {
        let found = self.found.as_ref();
        let link = found.and_then(|found| found.link.as_ref());
        let moments = [
            found.and_then(|found| found.until),
            link.and_then(|(link, _)| link.peer.next()),
            self.door.as_ref().and_then(Door::next),
        ];
        moments.into_iter().flatten().min()
    }

    /// Does what can be done now.
    pub(super) fn step(&mut self, ready: &[PollFlags], client: &mut Client, now: Now) {
        let links = usize::from(self.found.as_ref().is_some_and(|found| found.link.is_some()));
        if let Some(door) = &mut self.door {
            door.step(ready.get(links..).unwrap_or_default(), now);
        }
        while let Some((link, hello)) = self.door.as_mut().and_then(Door::caller) {
            self.answer(link, &hello, now);
        }
        let Some(found) = &mut self.found else { return };
        if let Some((link, ours)) = &mut found.link {
            link.read(now);
            link.peer.expire(now);
            link.flush(now);
            let is_ours = *ours;
            // What is said over it is heard once the talk has started; nobody says anything before.
            if is_ours && link.peer.is_talking() {
                while !matches!(link.peer.take(), Some(Happening::Welcomed(_)) | None) {}
                chat(found, true, client);
            } else if link.peer.is_over() {
                found.link = None;
                if is_ours {
                    self.said =
                        Some(format!("{} does not let us in: the server relays", found.peer));
                    chat(found, false, client);
                }
            }
        }
        if found.until.is_some_and(|until| now >= until) {
            found.until = None;
            self.said = Some(format!("{} does not reach us: the server relays", found.peer));
            chat(found, false, client);
        }
    }

    /// Calls whoever was found.
    fn call(&mut self, found: &mut Found, address: SocketAddr, client: &mut Client, now: Now) {
        let deadline = now.after(CALL_SPAN_MAX);
        let own = self.door.as_ref().and_then(|door| door.address().ok());
        let hello = Hello { address: own.map(|own| own.to_string()), ..self.hello(found.turns) };
        let link = tcp::call(&address.ip().to_string(), address.port(), deadline);
        let link = link.and_then(|stream| {
            let peer = Peer::calling(&hello, clock::now(), deadline);
            Link::new(stream, peer).map_err(|error| error.to_string())
        });
        match link {
            Ok(mut link) => {
                link.flush(clock::now());
                found.link = Some((link, true));
            }
            Err(why) => {
                let peer = &found.peer;
                self.said = Some(format!(
                    "{peer} cannot be reached at {address} ({why}): the server relays"
                ));
                chat(found, false, client);
            }
        }
    }

    /// Lets a caller in who is the one that was found, as far as one can tell: by name, and from where it says to be.
    fn answer(&mut self, mut link: Link, hello: &Hello, now: Now) {
        let Some(found) = &mut self.found else {
            if let Some((before, _)) = self.early.replace((link, hello.clone()))
                && let Some(door) = &mut self.door
            {
                door.turn_away(before, "busy", "nobody is waited for any more", now);
            }
            return;
        };
        let is_named = hello
            .nick
            .as_ref()
            .is_some_and(|nick| nick.to_lowercase() == found.peer.to_lowercase());
        let is_there = found.address.is_some_and(|address| address.ip() == link.address().ip());
        if is_named && is_there && found.link.is_none() && hello.turns == found.turns {
            let ours = Hello::ours(Some(self.nick.clone()));
            link.peer.welcome(&ours, now);
            link.flush(now);
            found.link = Some((link, false));
        } else if let Some(door) = &mut self.door {
            door.turn_away(link, "busy", "somebody else is waited for here", now);
        }
    }

    fn hello(&self, turns: bool) -> Hello {
        Hello { turns, ..Hello::ours(Some(self.nick.clone())) }
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

/// Opens the talk, once.
fn chat(found: &mut Found, direct: bool, client: &mut Client) {
    if !found.asked {
        found.asked = true;
        found.until = None;
        let mut fields = Fields::from_iter([("peer".to_owned(), Value::from(found.peer.as_str()))]);
        if direct {
            fields.insert("direct".to_owned(), Value::from(true));
        }
        client.ask("chat", fields, clock::now().after(ANSWER_SPAN_MAX));
    }
}
