//! The rooms that are wanted: whether they are joined, up to which number their messages are known, who is in them.
//!
//! A room is joined with `after`, so that what was missed comes first and nothing twice; a number of another history means nothing.
//! What the server left out since we read too slowly is asked for again.

use super::entry::{Happened, What};
use super::replies::Asked;
use super::views::folded;
use super::{Model, Moment, News, Older, ViewName, with};
use crate::ask::{has_more, of_room};
use crate::client::{Event, Fields};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many members are listed: of larger rooms who came last is shown, and `/who` asks.
const MEMBERS_MAX: usize = 5_000;

/// Past so many members no receipts are asked for in a room: each member's client would speak for every message.
const RECEIPT_MEMBERS_MAX: u64 = 8;

/// How many messages are asked for at once.
const PAGE_MESSAGES: u32 = 100;

/// Whether a room is joined.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is not asked for on this connection.
    No,
    /// It is asked for; what was missed may be coming.
    Asked,
    /// We are in it, and hear all that is said.
    In,
}

/// Somebody in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// The nickname.
    pub nick: String,
    /// Whether they are away.
    pub is_away: bool,
}

/// A room that is wanted.
#[derive(Clone, Debug)]
pub struct Room {
    pub(super) joined: Joined,
    /// Everything up to this number is known, or known to be gone.
    last: Option<u64>,
    members: BTreeMap<String, Member>,
    count: u64,
    topic: String,
}

impl Room {
    fn new() -> Self {
        let (members, topic) = (BTreeMap::new(), String::new());
        Self { joined: Joined::No, last: None, members, count: 0, topic }
    }

    /// Whether it is joined.
    pub fn joined(&self) -> Joined {
        self.joined
    }

    /// Up to which number its messages are known.
    pub fn last(&self) -> Option<u64> {
        self.last
    }

    /// Who is in it, by name; of very large rooms not all.
    pub fn members(&self) -> impl Iterator<Item = &Member> {
        self.members.values()
    }

    /// How many are in it.
    pub fn count(&self) -> u64 {
        self.count.max(self.members.len() as u64)
    }

    /// What it is about.
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// Whether receipts are asked for what is said there.
    pub(super) fn has_receipts(&self) -> bool {
        self.joined == Joined::In && (2..=RECEIPT_MEMBERS_MAX).contains(&self.count())
    }

    /// The connection is gone, and with it all but the number.
    pub(super) fn lost(&mut self) {
        self.joined = Joined::No;
        self.members.clear();
        self.count = 0;
    }

    /// A message has this number; false where it is known already.
    pub(super) fn see(&mut self, seq: u64) -> bool {
        let is_new = self.last.is_none_or(|last| seq > last);
        if is_new {
            self.last = Some(seq);
        }
        is_new
    }

    pub(super) fn set_topic(&mut self, topic: &str) {
        topic.clone_into(&mut self.topic);
    }

    fn add(&mut self, nick: &str, is_away: bool) {
        if self.members.len() < MEMBERS_MAX {
            self.members.insert(folded(nick), Member { nick: nick.to_owned(), is_away });
        }
    }

    /// Keeps the list of members as it goes.
    pub(super) fn happened(&mut self, happened: &Happened, event: &Event) {
        match happened {
            Happened::Joined(nick) => {
                self.add(nick, false);
                self.count += 1;
            }
            Happened::Left(nick) => {
                self.members.remove(&folded(nick));
                self.count = self.count.saturating_sub(1);
            }
            Happened::Renamed(nick, new) => self.rename(nick, new),
            Happened::Away(nick, text) => {
                if let Some(member) = self.members.get_mut(&folded(nick)) {
                    member.is_away = !text.is_empty();
                }
            }
            Happened::Topic(_, topic) => self.set_topic(topic),
            Happened::Presence { members, .. } => {
                let names = |field: &str| {
                    let names = event.fields.get(field).and_then(Value::as_array);
                    names.into_iter().flatten().filter_map(Value::as_str).collect::<Vec<_>>()
                };
                for nick in names("left") {
                    self.members.remove(&folded(nick));
                }
                for nick in names("joined") {
                    self.add(nick, false);
                }
                self.count = *members;
            }
        }
    }

    /// Somebody is called otherwise.
    pub(super) fn rename(&mut self, nick: &str, new: &str) {
        let before = self.members.remove(&folded(nick));
        self.add(new, before.is_some_and(|member| member.is_away));
    }
}

impl Model {
    /// A room is wanted from now on, and seen.
    pub(super) fn want_room(&mut self, room: &str) {
        let name = ViewName::Room(room.to_owned());
        if !self.rooms.contains_key(room) {
            // A view from before would have a hole that nobody knows of.
            self.views.close(&name);
            self.rooms.insert(room.to_owned(), Room::new());
        }
        self.views.open(&name, &format!("#{room}"));
        self.views.see(&name);
    }

    /// A room is not wanted any more. What waited for it is told with its text: its view is gone, and the text with it.
    pub(super) fn unwant_room(&mut self, at: Moment, room: &str) {
        let known = self.rooms.remove(room);
        assert!(known.is_some(), "what is not wanted any more was wanted");
        let view = ViewName::Room(room.to_owned());
        self.views.close(&view);
        for message in self.outgoing.take_waiting(room) {
            let text = String::from_utf8_lossy(&message.content);
            self.note(at, format!("not sent to #{room}: {text}"));
            self.give_back(&view, &message.content, true);
        }
    }

    pub(super) fn ask_join(&mut self, at: Moment, room: &str) {
        let Some(known) = self.rooms.get_mut(room) else { return };
        assert_eq!(known.joined, Joined::No, "a room is asked for once");
        known.joined = Joined::Asked;
        let mut fields = of_room(room);
        if let Some(last) = known.last {
            fields = with(fields, "after", last);
        }
        self.ask(at, "join", fields, Asked::Join(room.to_owned()));
    }

    /// We are in the room, and what was missed has come.
    pub(super) fn joined(&mut self, at: Moment, name: &str, reply: &Fields) {
        let Some(room) = self.rooms.get_mut(name) else { return };
        let seq = reply.get("seq").and_then(Value::as_u64).unwrap_or(0);
        let is_first = room.last.is_none();
        room.joined = Joined::In;
        room.count = reply.get("members").and_then(Value::as_u64).unwrap_or(0);
        room.see(seq);
        self.ask_members(at, name, None);
        self.ask(at, "topic", of_room(name), Asked::TopicOf(name.to_owned()));
        let view = ViewName::Room(name.to_owned());
        if is_first && seq == 0 {
            self.set_older(&view, Older::None);
        } else if is_first && self.wanted.context > 0 {
            self.ask_older(at, &view, self.wanted.context);
        }
    }

    pub(super) fn ask_members(&mut self, at: Moment, room: &str, shown: Option<ViewName>) {
        let asked = Asked::Members { room: room.to_owned(), shown, so_far: Vec::new() };
        self.ask(at, "members", of_room(room), asked);
    }

    /// A page of the list of members; all of it where no other follows.
    pub(super) fn members(
        &mut self,
        at: Moment,
        room: String,
        shown: Option<ViewName>,
        mut so_far: Vec<Member>,
        reply: &Fields,
    ) {
        let before = so_far.len();
        let entries = reply.get("members").and_then(Value::as_array).into_iter().flatten();
        so_far.extend(entries.filter_map(|entry| {
            let is_away = entry["away"].as_bool() == Some(true);
            Some(Member { nick: entry["nick"].as_str()?.to_owned(), is_away })
        }));
        let leads_on = has_more(reply) && so_far.len() > before && so_far.len() < MEMBERS_MAX;
        if let Some(last) = so_far.last().filter(|_| leads_on) {
            let fields = with(of_room(&room), "nick", last.nick.as_str());
            return self.ask(at, "members", fields, Asked::Members { room, shown, so_far });
        }
        if let Some(view) = shown {
            self.show_members(at, &view, &room, &so_far);
        }
        if let Some(known) = self.rooms.get_mut(&room).filter(|room| room.joined == Joined::In) {
            if !has_more(reply) {
                known.count = so_far.len() as u64;
            }
            known.members.clear();
            for member in &so_far {
                known.add(&member.nick, member.is_away);
            }
        }
    }

    /// Asks for the messages before the oldest that a room's view has; nothing where there are none or they are asked for.
    pub fn want_older(&mut self, at: Moment) {
        let focus = self.views.focus().clone();
        if self.link.is_up() {
            self.ask_older(at, &focus, PAGE_MESSAGES);
        }
    }

    pub(super) fn ask_older(&mut self, at: Moment, view: &ViewName, limit: u32) {
        let (Some(room), Some(known)) = (view.room(), self.views.view(view)) else { return };
        if known.older != Older::Unknown {
            return;
        }
        let before = known.oldest();
        let mut fields = with(of_room(room), "limit", limit);
        // Where nothing is here yet, what comes next is not to come twice.
        let next = self.rooms.get(room).and_then(|room| Some(room.last?.saturating_add(1)));
        if let Some(before) = before.or(next) {
            fields = with(fields, "before", before);
        }
        self.set_older(view, Older::Asked);
        let asked = Asked::Older { view: view.clone(), numbers: Vec::new(), first: None };
        self.ask(at, "history", fields, asked);
    }

    /// The connection is gone in the midst of an answer: what came of it goes, too, since a hole would be behind it.
    pub(super) fn older_lost(&mut self, asked: &Asked) {
        let Asked::Older { view, numbers, .. } = asked else { return };
        let Some(known) = self.views.view_mut(view) else { return };
        known.older = Older::Unknown;
        for number in numbers {
            known.log.remove(*number);
        }
    }

    pub(super) fn set_older(&mut self, view: &ViewName, older: Older) {
        if let Some(view) = self.views.view_mut(view) {
            view.older = older;
        }
    }

    /// Messages of a room are not there: those that are not kept, or, in a room that we are in, those that we were too slow for.
    pub(super) fn gap(&mut self, at: Moment, room: &str, from: u64, to: u64) {
        let view = ViewName::Room(room.to_owned());
        let Some(known) = self.rooms.get_mut(room) else { return };
        let from = from.max(known.last.map_or(0, |last| last.saturating_add(1)));
        if from > to {
            return;
        }
        known.see(to);
        let is_live = known.joined == Joined::In;
        self.put(&view, at.wall, Some(to), What::Gap { from, to });
        if is_live {
            self.ask_fill(at, room, from, to, Vec::new());
        }
    }

    /// Asks for the messages of a gap, those before `from` being there.
    pub(super) fn ask_fill(
        &mut self,
        at: Moment,
        room: &str,
        from: u64,
        to: u64,
        numbers: Vec<u64>,
    ) {
        let fields = with(of_room(room), "after", from.saturating_sub(1));
        let fields = with(with(fields, "before", to.saturating_add(1)), "limit", PAGE_MESSAGES);
        let asked = Asked::Fill { room: room.to_owned(), to, last: None, numbers };
        self.ask(at, "history", fields, asked);
    }

    /// What there is of a gap has come: what is left of it is what nobody keeps any more.
    pub(super) fn filled(&mut self, at: Moment, room: &str, to: u64, forgotten: u64) {
        let name = ViewName::Room(room.to_owned());
        let Some(view) = self.views.view_mut(&name) else { return };
        let gap = view.log.entries().find_map(|entry| match entry.what {
            What::Gap { from, to: end } if end == to => Some((entry.number, from)),
            What::Gap { .. } | What::Message(_) | What::Event(_) | What::Note(_) => None,
        });
        let Some((number, from)) = gap else { return };
        view.log.remove(number);
        let left = forgotten.min(to);
        if left >= from {
            view.log.put(at.wall, Some(left), What::Gap { from, to: left });
        }
    }

    /// The server has begun a new history: what was known of numbers means nothing, and all there is of the new one is owed.
    pub(super) fn new_history(&mut self, at: Moment) {
        let rooms: Vec<_> = self.rooms.keys().cloned().collect();
        for room in rooms {
            let view = ViewName::Room(room.clone());
            if let Some(known) = self.rooms.get_mut(&room) {
                known.last = Some(0);
            }
            if let Some(view) = self.views.view_mut(&view) {
                view.log.forget_places();
                view.came_from = None;
                view.older = Older::None;
            }
            let text =
                "the server has begun a new history: what was said last before may be missing";
            self.note_in(at, &view, text);
        }
    }

    pub(super) fn older_came(&mut self, view: ViewName, numbers: Vec<u64>, reply: &Fields) {
        let older = if has_more(reply) { Older::Unknown } else { Older::None };
        self.set_older(&view, older);
        self.news(News::Older { view, numbers });
    }
}
