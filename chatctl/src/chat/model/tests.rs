//! The model without a terminal and without a socket: a test plays the person, the server and the clock.

mod connecting;
mod pairs;
mod past;
mod people;
mod sending;
mod talking;
mod walk;

use super::entry::{Content, Mark, What};
use super::{Model, Moment, News, Output, Past, Phase, Request, Settings, View, ViewName};
use crate::chat::command::{self, Line};
use crate::client::{Event, Fields, Happening, Refusal};
use jiff::Timestamp;
use proto::{Now, Span};
use serde_json::{Value, json};

/// A model, what it asked and has no answer to, and what it told.
struct Scene {
    model: Model,
    now: Now,
    thrown: u128,
    asked: Vec<Request>,
    news: Vec<News>,
    past: Vec<Past>,
    calls: usize,
    hang_ups: usize,
}

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

fn lobby() -> ViewName {
    ViewName::Room("lobby".to_owned())
}

impl Scene {
    /// Ada, who wants to be in the lobby and is about to connect.
    fn new() -> Self {
        Self::of(Some("ada".to_owned()))
    }

    /// Somebody whom the server knows by the login name.
    fn known_by_the_server() -> Self {
        Self::of(None)
    }

    fn of(nick: Option<String>) -> Self {
        let now = Now::from_micros(1_000_000);
        let at = Moment { now, wall: Timestamp::UNIX_EPOCH, chance: 0 };
        let settings = Settings { nick, rooms: vec!["lobby".to_owned()], ..Settings::default() };
        let model = Model::new(settings, at);
        let (asked, news, past) = (Vec::new(), Vec::new(), Vec::new());
        let mut scene = Self { model, now, thrown: 0, asked, news, past, calls: 0, hang_ups: 0 };
        scene.passes(0);
        scene
    }

    /// The same, connected and in the lobby, whose last message has this number.
    fn in_lobby(seq: u64) -> Self {
        let mut scene = Self::new();
        scene.connects("h1");
        scene.joins("lobby", seq);
        scene.news.clear();
        scene
    }

    fn at(&mut self) -> Moment {
        self.thrown += 1;
        let wall = Timestamp::UNIX_EPOCH;
        Moment { now: self.now, wall, chance: self.thrown << 70 | self.thrown }
    }

    fn drain(&mut self) {
        while let Some(output) = self.model.take() {
            match output {
                Output::Call => self.calls += 1,
                Output::HangUp => self.hang_ups += 1,
                Output::Ask(request) => self.asked.push(request),
                Output::News(news) => self.news.push(news),
                Output::Past(past) => self.past.push(past),
            }
        }
        if !self.model.link().is_connected() {
            self.asked.clear();
        }
    }

    fn passes(&mut self, millis: u64) {
        self.now = self.now.after(Span::from_millis(millis));
        let at = self.at();
        self.model.tick(at);
        self.drain();
    }

    fn types(&mut self, line: &str) {
        let at = self.at();
        match command::parse(line).expect(line) {
            Line::Nothing => {}
            Line::Say(text) => self.model.say(at, text.into_bytes()),
            Line::Do(command) => self.model.act(at, command),
        }
        self.drain();
    }

    fn happens(&mut self, happening: Happening) {
        let at = self.at();
        self.model.happened(at, happening);
        self.drain();
    }

    fn event(&mut self, name: &str, value: Value) {
        let mut fields = fields(value);
        fields.insert("event".to_owned(), Value::from(name));
        let line = String::new();
        self.happens(Happening::Event(Event { name: name.to_owned(), fields, line }));
    }

    /// A message of the lobby.
    fn hears(&mut self, seq: u64, from: &str, text: &str) {
        let id = format!("id-{seq}");
        self.event(
            "message",
            json!({"room": "lobby", "seq": seq, "from": from, "text": text, "message_id": id}),
        );
    }

    /// The oldest request of this name that has no answer.
    fn take(&mut self, name: &str) -> Request {
        let at = self.asked.iter().position(|request| request.name == name);
        let at = at.unwrap_or_else(|| panic!("no {name} among {:?}", self.asked));
        self.asked.remove(at)
    }

    /// Whether nothing of this name waits for an answer.
    fn has_not_asked(&self, name: &str) -> bool {
        self.asked.iter().all(|request| request.name != name)
    }

    fn replies(&mut self, name: &str, value: Value) -> Request {
        let request = self.take(name);
        self.happens(Happening::Replied(request.id.clone(), Ok(fields(value))));
        request
    }

    fn refuses(&mut self, name: &str, code: &str) -> Request {
        let request = self.take(name);
        let message = format!("No: {code}.");
        let refusal = Refusal { code: code.to_owned(), message, retry_after: None };
        self.happens(Happening::Replied(request.id.clone(), Err(refusal)));
        request
    }

    /// The daemon is called and reached, and greets us.
    fn connects(&mut self, history: &str) {
        assert_eq!(*self.model.link().phase(), Phase::Calling);
        let at = self.at();
        self.model.called(at);
        self.drain();
        self.greets(history);
    }

    fn greets(&mut self, history: &str) {
        let nick = self.asked.iter().find(|request| request.name == "hello");
        let nick = nick.expect("a greeting").fields.get("nick").cloned();
        let nick = nick.unwrap_or_else(|| Value::from("root"));
        let limits = json!({"message": 100});
        self.replies(
            "hello",
            json!({"nick": nick, "server": "chatd", "history": history, "limits": limits}),
        );
    }

    /// The join of this room is answered, and what is asked then.
    fn joins(&mut self, room: &str, seq: u64) -> Request {
        let join = self.replies("join", json!({"room": room, "seq": seq, "members": 2}));
        let members = json!([{"nick": "ada", "away": false}, {"nick": "bob", "away": true}]);
        self.replies("members", json!({"room": room, "members": members, "more": false}));
        self.replies("topic", json!({"room": room, "topic": "", "by": ""}));
        join
    }

    fn is_lost(&mut self) {
        self.happens(Happening::Lost { reason: "cut".to_owned(), unanswered: Vec::new() });
    }

    /// Waits for the next try.
    fn calls_again(&mut self) {
        let next = self.model.next().expect("a next try");
        self.passes(next.since(self.now).as_micros().div_ceil(1_000));
    }

    fn view(&self, name: &ViewName) -> &View {
        self.model.views().view(name).expect("a view")
    }

    /// The lines of a view in few words.
    fn lines(&self, name: &ViewName) -> Vec<String> {
        let entries = self.view(name).log.entries();
        entries
            .map(|entry| match &entry.what {
                What::Message(message) => {
                    let content = match &message.content {
                        Content::Text(text) => text.clone(),
                        Content::Data(data) => format!("{} bytes", data.len()),
                    };
                    let mark = match message.mark {
                        Mark::Sending => "...",
                        Mark::NotSent { .. } => " (not sent)",
                        Mark::NotAcknowledged { .. } => " (not acknowledged)",
                        Mark::Sent => " (sent)",
                        Mark::None | Mark::Stored => "",
                        Mark::Delivered { .. } => " (delivered)",
                    };
                    format!("{}: {content}{mark}", message.from)
                }
                What::Gap { from, to } => format!("gap {from}-{to}"),
                What::Event(happened) => happened.words(),
                What::Note(text) => format!("-- {text}"),
            })
            .collect()
    }

    /// What was given back.
    fn returned(&self) -> Vec<&str> {
        let returned = self.news.iter().filter_map(|news| match news {
            News::Returned { content: Content::Text(text), .. } => Some(text.as_str()),
            _ => None,
        });
        returned.collect()
    }

    /// What was said of the connection.
    fn told(&self) -> Vec<&str> {
        let told = self.news.iter().filter_map(|news| match news {
            News::Connection(text) => Some(text.as_str()),
            _ => None,
        });
        told.collect()
    }
}
