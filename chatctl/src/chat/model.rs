//! The heart of `chatctl chat`: what the person wants, and what there is of it.
//!
//! WANTED are the nickname, the rooms with the last number known of each, the talk, the messages that are not sent yet, each under
//! its first id, being away, and who is ignored. HAD are a connection and its phase, the name granted, the rooms joined, the
//! requests without a reply. Inputs are what the person does, what the server says and the time; outputs are requests, the wish
//! to be connected or not, and news. It knows no socket, terminal or clock, and throws no dice: each comes as an argument.
//!
//! The connection is the business of `link`, rooms of `rooms`, messages of ours of `outgoing`, the talk of `talk`, what is shown of
//! `views`, commands of `acts`, the server's words of `heard` and `replies`.

mod acts;
mod answers;
pub mod entry;
mod heard;
mod link;
pub mod log;
mod outgoing;
mod output;
mod past;
mod replies;
mod rooms;
mod sent;
mod talk;
mod talk_end;
mod talk_heard;
mod times;
mod views;

pub use link::{Link, Phase};
pub use outgoing::Outgoing;
pub use output::{News, Output, Request};
pub use past::Past;
pub use rooms::{Joined, Member, Room};
pub use talk::{Talk, TalkState, Turn};
pub use times::{Summary, Times};
pub use views::{Older, View, ViewName, Views};

use super::command::Names;
use crate::client::{Fields, Happening, Refusal};
use crate::failure::Exit;
use entry::What;
use jiff::Timestamp;
use proto::{Now, Span};
use replies::Asked;
use serde_json::Value;
use std::collections::{BTreeMap, VecDeque};
use views::folded;

/// So long the server has for an answer that does not take its time; past it the connection is believed to be dead.
const ANSWER_SPAN_MAX: Span = Span::from_secs(30);

/// What is asked for at the reader's own pace has no such limit.
const NO_DEADLINE: Now = Now::from_micros(u64::MAX);

/// When something comes in, and by which throw of the dice.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// The monotonic clock.
    pub now: Now,
    /// The wall clock, for what is ours and has no time of the server.
    pub wall: Timestamp,
    /// Random bits: ids and pauses are made of them. No two moments have the same.
    pub chance: u128,
}

/// What a model begins with.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// The nickname; none where the server knows who calls, as over a control socket.
    pub nick: Option<String>,
    /// The rooms to be in.
    pub rooms: Vec<String>,
    /// How many past messages are shown of a room that is joined first.
    pub context: u32,
}

/// What is wanted and cannot be read off anything else here.
#[derive(Clone, Debug, Default)]
struct Wanted {
    nick: Option<String>,
    /// Where talks past the server reach us; anywhere, where it is 0.
    port: u16,
    away: Option<String>,
    /// By name in small letters, as it was written.
    ignored: BTreeMap<String, String>,
    context: u32,
}

/// The model.
#[derive(Debug)]
pub struct Model {
    wanted: Wanted,
    link: Link,
    /// The rooms that are wanted, and what is had of them.
    rooms: BTreeMap<String, Room>,
    talk: Talk,
    outgoing: Outgoing,
    views: Views,
    asked: BTreeMap<String, Asked>,
    /// How many ids were made for requests.
    ids: u64,
    /// From asking to the server's word, and to the receiver's.
    stored: Times,
    delivered: Times,
    out: VecDeque<Output>,
    /// The person wants to end, though something is not sent.
    is_leaving: bool,
    has_ended: bool,
    /// Who answers is no daemon, and never was one.
    hopeless: Option<Refusal>,
}

impl Model {
    /// A model that is about to connect.
    pub fn new(settings: Settings, at: Moment) -> Self {
        let Settings { nick, rooms, context } = settings;
        let wanted = Wanted { nick, port: 0, away: None, ignored: BTreeMap::new(), context };
        let mut model = Self {
            wanted,
            link: Link::new(at.now),
            rooms: BTreeMap::new(),
            talk: Talk::default(),
            outgoing: Outgoing::default(),
            views: Views::default(),
            asked: BTreeMap::new(),
            ids: 0,
            stored: Times::default(),
            delivered: Times::default(),
            out: VecDeque::new(),
            is_leaving: false,
            has_ended: false,
            hopeless: None,
        };
        for room in rooms.iter().rev() {
            model.want_room(room);
        }
        model.check_invariants();
        model
    }

    /// Something came from the server.
    pub fn happened(&mut self, at: Moment, happening: Happening) {
        if !self.link.is_connected() {
            return;
        }
        match happening {
            Happening::Replied(id, outcome) => self.replied(at, &id, outcome),
            Happening::Event(event) => self.heard(at, &event),
            Happening::TimedOut(_) => {
                self.out.push_back(Output::HangUp);
                self.lost(at, "it does not answer");
            }
            Happening::Complaint(refusal) => self.link.bye = Some(refusal.message),
            Happening::Lost { reason, .. } => {
                let why = self.link.bye.take().unwrap_or(reason);
                self.lost(at, &why);
            }
        }
        self.pump(at);
        self.check_invariants();
    }

    /// Time has passed: to be called at `next`, and harmless at any other time.
    pub fn tick(&mut self, at: Moment) {
        self.tick_link(at);
        self.pump(at);
        self.check_invariants();
    }

    /// When `tick` has something to do.
    pub fn next(&self) -> Option<Now> {
        let held = self.outgoing.held_until().filter(|_| self.link.is_up());
        [self.link.next(), held].into_iter().flatten().min()
    }

    /// The next thing to do, in order.
    pub fn take(&mut self) -> Option<Output> {
        self.out.pop_front()
    }

    /// Sees another view.
    pub fn see(&mut self, name: &ViewName) {
        if self.views.view(name).is_some() {
            self.views.see(name);
        }
    }

    /// Says whether somebody reads far back in the view that is seen: then older lines are kept.
    pub fn read_back(&mut self, is_back: bool) {
        let focus = self.views.focus().clone();
        if let Some(view) = self.views.view_mut(&focus) {
            view.is_back = is_back;
            view.trim();
        }
    }

    /// The views.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The connection.
    pub fn link(&self) -> &Link {
        &self.link
    }

    /// The rooms that are wanted, with what is had of them.
    pub fn rooms(&self) -> &BTreeMap<String, Room> {
        &self.rooms
    }

    /// The talk.
    pub fn talk(&self) -> &Talk {
        &self.talk
    }

    /// What is not sent yet.
    pub fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// The name that is had, or that is wanted while there is none.
    pub fn nick(&self) -> Option<&str> {
        self.link.nick().or(self.wanted.nick.as_deref()).or(self.link.last_nick())
    }

    /// The text of being away.
    pub fn away(&self) -> Option<&str> {
        self.wanted.away.as_deref()
    }

    /// Who is not listened to.
    pub fn ignored(&self) -> impl Iterator<Item = &str> {
        self.wanted.ignored.values().map(String::as_str)
    }

    /// Round-trip times: to the server's word that it has a message, and to the receiver's.
    pub fn times(&self) -> (&Times, &Times) {
        (&self.stored, &self.delivered)
    }

    /// Whether all that is wanted is had: connected, in the rooms, everything sent, nothing asked.
    pub fn is_settled(&self) -> bool {
        let joined = self.rooms.values().all(|room| room.joined == Joined::In);
        let is_quiet = self.asked.is_empty() && !self.talk.is_moving();
        self.link.is_up() && joined && self.outgoing.is_empty() && is_quiet
    }

    /// Whether a command has no answer yet.
    pub fn is_commanded(&self) -> bool {
        self.talk.is_moving() || self.asked.values().any(Asked::is_command)
    }

    /// Whether the talk is about to be open, as the person wished.
    pub fn is_opening(&self) -> bool {
        self.talk.is_moving() || self.asked.values().any(|asked| matches!(asked, Asked::OpenTalk))
    }

    /// Whether the person has ended it.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Why it makes no sense to go on.
    pub fn hopeless(&self) -> Option<&Refusal> {
        self.hopeless.as_ref()
    }

    /// Asks under an id of the model's own making.
    fn ask(&mut self, at: Moment, name: &'static str, fields: Fields, asked: Asked) {
        self.ids += 1;
        let id = format!("c{}", self.ids);
        let deadline =
            if asked.takes_its_time() { NO_DEADLINE } else { at.now.after(ANSWER_SPAN_MAX) };
        self.ask_as(id, name, fields, asked, deadline);
    }

    fn ask_as(
        &mut self,
        id: String,
        name: &'static str,
        fields: Fields,
        asked: Asked,
        deadline: Now,
    ) {
        assert!(self.link.is_connected(), "who is not connected asks nothing");
        let before = self.asked.insert(id.clone(), asked);
        assert!(before.is_none(), "a request id is used once at a time");
        self.out.push_back(Output::Ask(Request { id, name, fields, deadline }));
    }

    /// Puts a line into a view, and tells so.
    fn put(&mut self, view: &ViewName, time: Timestamp, place: Option<u64>, what: What) {
        let mention =
            matches!(&what, What::Message(message) if message.is_mention && !message.is_own);
        let Some(number) = self.views.put(view, time, place, what) else { return };
        self.news(News::Entry { view: view.clone(), number });
        if mention {
            self.news(News::Mention(view.clone()));
        }
    }

    /// Says something where the person is.
    fn note(&mut self, at: Moment, text: impl Into<String>) {
        let focus = self.views.focus().clone();
        self.note_in(at, &focus, text);
    }

    /// Says something in a view, or where the person is if that view is gone.
    fn note_in(&mut self, at: Moment, view: &ViewName, text: impl Into<String>) {
        let view = if self.views.view(view).is_some() { view } else { self.views.focus() };
        self.put(&view.clone(), at.wall, None, What::Note(text.into()));
    }

    /// Says where the person is why something is not done.
    fn decline(&mut self, at: Moment, exit: Exit, text: impl Into<String>) {
        let focus = self.views.focus().clone();
        self.decline_in(at, &focus, exit, text);
    }

    /// The same in a view, or where the person is if that view is gone.
    fn decline_in(&mut self, at: Moment, view: &ViewName, exit: Exit, text: impl Into<String>) {
        self.note_in(at, view, text);
        self.news(News::NotDone(exit));
    }

    /// Says something about the connection.
    fn tell(&mut self, at: Moment, text: impl Into<String>) {
        let text = text.into();
        self.views.put(&ViewName::Server, at.wall, None, What::Note(text.clone()));
        self.news(News::Connection(text));
    }

    fn news(&mut self, news: News) {
        self.out.push_back(Output::News(news));
    }

    fn is_ignored(&self, nick: &str) -> bool {
        self.wanted.ignored.contains_key(&folded(nick))
    }

    fn is_us(&self, nick: &str) -> bool {
        self.nick().is_some_and(|own| folded(own) == folded(nick))
    }

    fn check_invariants(&self) {
        self.link.check_invariants();
        self.outgoing.check_invariants();
        self.talk.check_invariants();
        if !self.link.is_connected() {
            assert!(self.asked.is_empty(), "nothing is asked over no connection");
        }
        if !self.link.is_up() {
            assert!(
                self.rooms.values().all(|room| room.joined == Joined::No),
                "nobody is in rooms"
            );
            assert!(self.outgoing.is_at_rest(), "nothing is under way");
            assert_eq!(*self.talk.state(), TalkState::Registered, "there is no talk");
        }
        let has_view = |room: &String| self.views.view(&ViewName::Room(room.clone())).is_some();
        assert!(self.rooms.keys().all(has_view), "each room that is wanted has a view");
    }
}

/// Fields with one more.
fn with(mut fields: Fields, name: &str, value: impl Into<Value>) -> Fields {
    fields.insert(name.to_owned(), value.into());
    fields
}

/// A time of the server, or ours where it has none that can be read.
fn time_of(fields: &Fields, at: Moment) -> Timestamp {
    let time = fields.get("time").and_then(Value::as_str);
    time.and_then(|time| time.parse().ok()).unwrap_or(at.wall)
}

impl Names for Model {
    fn nicks(&self) -> Vec<String> {
        let focus = self.views.focus();
        let mut nicks: Vec<String> = Vec::new();
        // Who spoke here last is the likeliest to be spoken to.
        for entry in self.views.view(focus).into_iter().flat_map(|view| view.log.entries().rev()) {
            let other = entry.message().filter(|message| !message.is_own);
            nicks.extend(other.map(|message| message.from.clone()));
        }
        let here = focus.room().and_then(|room| self.rooms.get(room));
        let rooms = here.into_iter().chain(self.rooms.values());
        nicks.extend(rooms.flat_map(|room| room.members().map(|member| member.nick.clone())));
        let people = self.views.iter().filter(|(name, _)| matches!(name, ViewName::Nick(_)));
        nicks.extend(people.filter_map(|(_, view)| Some(view.title.strip_prefix('@')?.to_owned())));
        nicks.retain(|nick| !self.is_us(nick));
        nicks
    }

    fn rooms(&self) -> Vec<String> {
        let here = self.views.focus().room().map(str::to_owned);
        here.into_iter().chain(self.rooms.keys().cloned()).collect()
    }

    fn views(&self) -> Vec<String> {
        self.views.iter().map(|(_, view)| view.title.clone()).collect()
    }
}

#[cfg(test)]
mod tests;
