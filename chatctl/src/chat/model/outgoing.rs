//! What is still to be sent: each message keeps its first id until the server has said what became of it, over any number of
//! connections, so that it is there once.
//!
//! The order of what was typed is kept. A room's messages wait until what was missed of the room has come; what is said in a talk
//! goes with the talk, and is given back where that has ended.

use super::entry::{Content, Mark, Message, What};
use super::replies::Asked;
use super::talk::{TalkState, Turn};
use super::{ANSWER_SPAN_MAX, Joined, Model, Moment, News, Output, Request, ViewName, with};
use crate::client::Fields;
use crate::failure::Exit;
use proto::Now;
use std::collections::VecDeque;
use uuid::Builder;

/// How many messages, and bytes of them, may wait: somebody who types is far from it.
const UNSENT_MAX: usize = 1_000;
const UNSENT_BYTES_MAX: usize = 16 << 20;

/// How many may be under way at once: more would wait at the server for their rate, and their answers could be taken for late.
const UNDER_WAY_MAX: usize = 16;

/// How many messages wait for receipts: as many as the server remembers of an author.
const AWAITED_MAX: usize = 1_000;

/// To whom.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum To {
    /// A room.
    Room(String),
    /// One person.
    Nick(String),
    /// The peer of the talk.
    Talk,
}

/// A message that has no answer yet.
#[derive(Clone, Debug)]
pub(super) struct Unsent {
    pub(super) id: String,
    pub(super) to: To,
    pub(super) content: Vec<u8>,
    /// Whether the server may be asked for receipts.
    pub(super) receipt: bool,
    /// Since when it is under way on this connection.
    pub(super) asked: Option<Now>,
    /// Whether it was under way and has no answer, on whichever connection.
    pub(super) is_tried: bool,
}

/// A message of which receipts are expected.
#[derive(Clone, Debug)]
pub(super) struct Awaited {
    pub(super) id: String,
    pub(super) view: ViewName,
    pub(super) asked: Now,
    /// No receipt has come, nor has the talk ended in which it was said.
    pub(super) is_owed: bool,
}

/// All of them, in the order of typing.
#[derive(Clone, Debug, Default)]
pub struct Outgoing {
    pub(super) unsent: VecDeque<Unsent>,
    pub(super) awaited: VecDeque<Awaited>,
    /// The server could not take one: until then none is sent.
    pub(super) held: Option<Now>,
}

impl To {
    pub(super) fn view(&self) -> ViewName {
        match self {
            Self::Room(room) => ViewName::Room(room.clone()),
            Self::Nick(nick) => ViewName::of_nick(nick),
            Self::Talk => ViewName::Talk,
        }
    }
}

impl Outgoing {
    /// How many messages are not known to be sent.
    pub fn len(&self) -> usize {
        self.unsent.len()
    }

    /// Whether all is sent.
    pub fn is_empty(&self) -> bool {
        self.unsent.is_empty()
    }

    /// What is not known to be sent, in the order of typing, and whether it may have arrived all the same.
    pub fn contents(&self) -> impl Iterator<Item = (&[u8], bool)> {
        self.unsent.iter().map(|message| (message.content.as_slice(), message.is_tried))
    }

    pub(super) fn held_until(&self) -> Option<Now> {
        self.held.filter(|_| !self.unsent.is_empty())
    }

    pub(super) fn is_at_rest(&self) -> bool {
        self.unsent.iter().all(|message| message.asked.is_none())
    }

    /// The connection is gone: what was under way is asked again, and receipts come to nobody.
    pub(super) fn lost(&mut self) {
        self.unsent.iter_mut().for_each(|message| message.asked = None);
        self.awaited.clear();
        self.held = None;
    }

    /// Takes a room's messages that are not under way.
    pub(super) fn take_waiting(&mut self, room: &str) -> Vec<Unsent> {
        let is_of = |to: &To| matches!(to, To::Room(name) if name == room);
        let (waiting, kept) = std::mem::take(&mut self.unsent)
            .into_iter()
            .partition(|message| message.asked.is_none() && is_of(&message.to));
        self.unsent = kept;
        Vec::from_iter::<VecDeque<Unsent>>(waiting)
    }

    fn under_way(&self) -> usize {
        self.unsent.iter().filter(|message| message.asked.is_some()).count()
    }

    pub(super) fn take(&mut self, id: &str) -> Option<Unsent> {
        let at = self.unsent.iter().position(|message| message.id == id)?;
        self.unsent.remove(at)
    }

    /// Whether this message is to go there.
    pub(super) fn is_to(&self, id: &str, to: &To) -> bool {
        self.unsent.iter().any(|message| message.id == id && message.to == *to)
    }

    /// Takes what was to be said in the talk.
    pub(super) fn take_said(&mut self) -> Vec<Unsent> {
        let (said, kept) =
            std::mem::take(&mut self.unsent).into_iter().partition(|one| one.to == To::Talk);
        self.unsent = kept;
        Vec::from_iter::<VecDeque<Unsent>>(said)
    }

    fn await_receipt(&mut self, id: &str, view: ViewName, asked: Now) {
        if self.awaited.len() == AWAITED_MAX {
            self.awaited.pop_front();
        }
        self.awaited.push_back(Awaited { id: id.to_owned(), view, asked, is_owed: true });
    }

    /// Whether this was said in the talk, taken by the server, and has no receipt.
    fn is_unacknowledged(&self, awaited: &Awaited) -> bool {
        let is_sent = || self.unsent.iter().all(|message| message.id != awaited.id);
        awaited.view == ViewName::Talk && awaited.is_owed && is_sent()
    }

    /// How many that the server took were said in the talk and have no receipt.
    pub(super) fn unacknowledged(&self) -> usize {
        self.awaited.iter().filter(|awaited| self.is_unacknowledged(awaited)).count()
    }

    /// The ids of those, each once: the talk has ended. A receipt may come all the same.
    pub(super) fn take_unacknowledged(&mut self) -> Vec<String> {
        let open = self.awaited.iter().filter(|awaited| self.is_unacknowledged(awaited));
        let ids: Vec<_> = open.map(|awaited| awaited.id.clone()).collect();
        for awaited in self.awaited.iter_mut().filter(|awaited| awaited.view == ViewName::Talk) {
            awaited.is_owed &= !ids.contains(&awaited.id);
        }
        ids
    }

    fn is_full(&self, more: usize) -> bool {
        let bytes: usize = self.unsent.iter().map(|message| message.content.len()).sum();
        self.unsent.len() >= UNSENT_MAX || bytes.saturating_add(more) > UNSENT_BYTES_MAX
    }

    pub(super) fn check_invariants(&self) {
        assert!(self.unsent.len() <= UNSENT_MAX, "what waits is limited");
        assert!(self.awaited.len() <= AWAITED_MAX, "who waits for receipts is limited");
        assert!(self.under_way() <= UNDER_WAY_MAX, "what is under way is limited");
    }
}

impl Model {
    /// Says something in the view that is seen.
    pub fn say(&mut self, at: Moment, content: Vec<u8>) {
        let to = match self.views.focus() {
            ViewName::Room(room) if self.rooms.contains_key(room) => Ok(To::Room(room.clone())),
            ViewName::Room(room) => {
                Err(format!("you are not in #{room}: /join {room} tries again"))
            }
            ViewName::Nick(_) => Ok(To::Nick(self.title_nick())),
            ViewName::Talk => self.may_say().map(|()| To::Talk),
            ViewName::Server => {
                Err("nobody hears what is said here: /join ROOM, /msg NICK or /go VIEW".to_owned())
            }
        };
        match to {
            Ok(to) => self.say_to(at, to, content),
            Err(why) => self.refuse(at, Exit::Refused, &why, &content),
        }
        self.pump(at);
        self.check_invariants();
    }

    /// Who the view that is seen is about, as it is written.
    fn title_nick(&self) -> String {
        let focus = self.views.focus();
        let title = self.views.view(focus).map_or("", |view| view.title.as_str());
        title.strip_prefix('@').unwrap_or(title).to_owned()
    }

    pub(super) fn say_to(&mut self, at: Moment, to: To, content: Vec<u8>) {
        let limit = self.link.message_bytes();
        if content.len() > limit {
            let why = format!("that has {} bytes; the limit is {limit} bytes", content.len());
            return self.refuse(at, Exit::LimitHit, &why, &content);
        }
        if self.outgoing.is_full(content.len()) {
            let why = "too much waits to be sent already";
            return self.refuse(at, Exit::LimitHit, why, &content);
        }
        let id = Builder::from_random_bytes(at.chance.to_be_bytes()).into_uuid();
        let id = id.hyphenated().to_string();
        let view = to.view();
        let message = Message {
            id: id.clone(),
            from: self.nick().unwrap_or("you").to_owned(),
            content: Content::of(content.clone()),
            is_own: true,
            is_mention: false,
            mark: Mark::Sending,
        };
        self.put(&view, at.wall, None, What::Message(message));
        let (receipt, asked, is_tried) = (true, None, false);
        self.outgoing.unsent.push_back(Unsent { id, to, content, receipt, asked, is_tried });
    }

    /// Gives back what cannot be said.
    fn refuse(&mut self, at: Moment, exit: Exit, why: &str, content: &[u8]) {
        let view = self.views.focus().clone();
        self.decline(at, exit, format!("not sent: {why}"));
        self.give_back(&view, content, false);
    }

    pub(super) fn give_back(&mut self, view: &ViewName, content: &[u8], is_shown: bool) {
        let content = Content::of(content.to_vec());
        self.news(News::Returned { view: view.clone(), content, is_shown });
    }

    /// Sends what can be sent.
    pub(super) fn pump(&mut self, at: Moment) {
        if !self.link.is_up() || self.outgoing.held.is_some_and(|until| at.now < until) {
            return;
        }
        self.outgoing.held = None;
        let mut free = UNDER_WAY_MAX - self.outgoing.under_way();
        for number in 0..self.outgoing.unsent.len() {
            if free == 0 {
                break;
            }
            let Some(message) = self.outgoing.unsent.get(number) else { break };
            if message.asked.is_none() && self.may_go(&message.to) {
                free -= 1;
                self.send(at, number);
            }
        }
    }

    fn may_go(&self, to: &To) -> bool {
        match to {
            To::Room(room) => self.rooms.get(room).is_none_or(|room| room.joined == Joined::In),
            To::Nick(_) => true,
            To::Talk => match self.talk.state() {
                TalkState::Open { turn, .. } => *turn != Turn::Theirs,
                _ => false,
            },
        }
    }

    fn send(&mut self, at: Moment, number: usize) {
        let receipts = |room: &String| self.rooms.get(room).is_some_and(super::Room::has_receipts);
        let Some(message) = self.outgoing.unsent.get_mut(number) else { return };
        assert!(message.asked.is_none(), "a message is under way once");
        (message.asked, message.is_tried) = (Some(at.now), true);
        if message.to == To::Talk && self.talk.is_past() {
            return self.send_past(at, number);
        }
        let mut fields = Fields::new();
        proto::client::put_content(&mut fields, &message.content);
        let (name, receipt) = match &message.to {
            To::Room(room) => {
                fields = with(fields, "room", room.as_str());
                ("post", message.receipt && receipts(room))
            }
            To::Nick(nick) => {
                fields = with(fields, "to", nick.as_str());
                ("post", message.receipt)
            }
            To::Talk => {
                fields = self.talk.with_peer(fields);
                self.talk.said();
                ("say", true)
            }
        };
        let (id, view) = (message.id.clone(), message.to.view());
        if receipt {
            if name == "post" {
                fields = with(fields, "receipt", true);
            }
            self.outgoing.await_receipt(&id, view, at.now);
        }
        let before = self.asked.insert(id.clone(), Asked::Sent);
        assert!(before.is_none(), "a message waits for one answer");
        let deadline = at.now.after(ANSWER_SPAN_MAX);
        self.out.push_back(Output::Ask(Request { id, name, fields, deadline }));
    }

    /// Sends what goes past the server, where the receiver's word is the only answer.
    fn send_past(&mut self, at: Moment, number: usize) {
        let Some(message) = self.outgoing.unsent.get(number) else { return };
        let (id, content) = (message.id.clone(), message.content.clone());
        self.talk.said();
        self.outgoing.await_receipt(&id, ViewName::Talk, at.now);
        self.say_past(id, content);
    }
}
