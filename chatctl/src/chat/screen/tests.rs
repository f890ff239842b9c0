//! The screen without a terminal: a test plays the person's keys, the server and the clock, and looks at the picture.
//!
//! Pictures of the main views are files in `docs/screens/`; `UPDATE_GOLDEN=1` writes them anew.

mod pictures;
mod typing;

use super::bind;
use super::draw::{Scene, draw, sheet};
use super::flow::width;
use super::keys::Keys;
use super::sight::{Deed, Sheet, Sight};
use super::theme::Theme;
use crate::chat::model::entry::Content;
use crate::chat::model::{Model, Moment, News, Output, Request, Settings};
use crate::client::{Event, Fields, Happening};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use proto::{Now, Span};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};
use serde_json::{Value, json};

/// A screen, the model that it shows, and what was asked and has no answer.
struct Stage {
    model: Model,
    sight: Sight,
    theme: Theme,
    size: (u16, u16),
    now: Now,
    seconds: i64,
    thrown: u128,
    asked: Vec<Request>,
    deeds: Vec<Deed>,
}

fn fields(value: Value) -> Fields {
    let Value::Object(fields) = value else { panic!("{value} is no object") };
    fields
}

fn moment(now: Now, seconds: i64, thrown: &mut u128) -> Moment {
    *thrown += 1;
    let wall = Timestamp::from_second(1_772_366_400 + seconds).expect("a time");
    Moment { now, wall, chance: *thrown << 70 | *thrown }
}

impl Stage {
    /// Ada, about to connect, on a screen of this size.
    fn new(size: (u16, u16), rooms: &[&str]) -> Self {
        let (now, mut thrown) = (Now::from_micros(100_000_000), 0);
        let at = moment(now, 0, &mut thrown);
        let rooms = rooms.iter().map(|room| (*room).to_owned()).collect();
        let settings = Settings { nick: Some("ada".to_owned()), rooms, context: 20 };
        let (model, sight) = (Model::new(settings, at), Sight::default());
        let theme = Theme { colour: true, lines: true };
        let (asked, deeds) = (Vec::new(), Vec::new());
        let mut stage = Self { model, sight, theme, size, now, seconds: 0, thrown, asked, deeds };
        stage.passes(0);
        stage
    }

    /// The same, connected and in the lobby.
    fn in_lobby(size: (u16, u16)) -> Self {
        let mut stage = Self::new(size, &["lobby"]);
        stage.connects();
        stage.joins("lobby", 0);
        stage
    }

    fn at(&mut self) -> Moment {
        self.seconds += 1;
        moment(self.now, self.seconds, &mut self.thrown)
    }

    fn drain(&mut self) {
        while let Some(output) = self.model.take() {
            match output {
                Output::Ask(request) => self.asked.push(request),
                Output::News(News::Returned { view, content: Content::Text(text), .. }) => {
                    self.sight.give_back(&view, &text);
                }
                Output::HangUp => self.asked.clear(),
                Output::Call | Output::News(_) | Output::Past(_) => {}
            }
        }
    }

    fn passes(&mut self, millis: u64) {
        self.now = self.now.after(Span::from_millis(millis));
        let at = self.at();
        self.model.tick(at);
        self.drain();
    }

    fn connects(&mut self) {
        let at = self.at();
        self.model.called(at);
        self.drain();
        let limits = json!({"message": 65_530});
        self.replies(
            "hello",
            json!({"nick": "ada", "server": "chat.example", "history": "h", "limits": limits}),
        );
    }

    fn joins(&mut self, room: &str, seq: u64) {
        self.replies("join", json!({"room": room, "seq": seq, "members": 3}));
        let members = json!([
            {"nick": "ada", "away": false}, {"nick": "bob", "away": true}, {"nick": "eve", "away": false}
        ]);
        self.replies("members", json!({"room": room, "members": members, "more": false}));
        self.replies(
            "topic",
            json!({"room": room, "topic": "what there is for lunch", "by": "bob"}),
        );
    }

    fn happens(&mut self, happening: Happening) {
        let at = self.at();
        self.model.happened(at, happening);
        self.drain();
    }

    fn replies(&mut self, name: &str, value: Value) -> Request {
        let found = self.asked.iter().position(|request| request.name == name);
        let found = found.unwrap_or_else(|| panic!("no {name} among {:?}", self.asked));
        let request = self.asked.remove(found);
        self.happens(Happening::Replied(request.id.clone(), Ok(fields(value))));
        request
    }

    fn event(&mut self, name: &str, value: Value) {
        let mut fields = fields(value);
        fields.insert("event".to_owned(), Value::from(name));
        let line = String::new();
        self.happens(Happening::Event(Event { name: name.to_owned(), fields, line }));
    }

    fn hears(&mut self, room: &str, seq: u64, from: &str, text: &str) {
        self.event(
            "message",
            json!({"room": room, "seq": seq, "from": from, "text": text, "message_id": format!("{room}-{seq}")}),
        );
    }

    fn is_told(&mut self, from: &str, text: &str) {
        let id = format!("direct-{}", self.seconds);
        self.event("message", json!({"to": "ada", "from": from, "text": text, "message_id": id}));
    }

    fn is_lost(&mut self) {
        self.asked.clear();
        self.happens(Happening::Lost {
            reason: "the daemon ended".to_owned(),
            unanswered: Vec::new(),
        });
    }

    /// Keys, as a terminal sends them.
    fn presses(&mut self, bytes: &str) {
        let mut keys = Keys::default();
        let mut inputs = keys.feed(bytes.as_bytes());
        inputs.extend(keys.settle());
        for input in inputs {
            let act = bind::bind(input, self.sight.mode());
            let (theme, size, now) = (self.theme, self.size, self.now);
            let sheet = |model: &Model, sight: &Sight| of_size(model, sight, theme, size, now);
            let (seconds, thrown) = (&mut self.seconds, &mut self.thrown);
            let mut next = || {
                *seconds += 1;
                moment(now, *seconds, thrown)
            };
            let deed = self.sight.act(&mut self.model, act, &sheet, &mut next);
            self.deeds.extend(deed);
            self.drain();
        }
    }

    fn buffer(&self) -> (Buffer, Option<Position>) {
        let mut buffer = Buffer::empty(Rect::new(0, 0, self.size.0, self.size.1));
        let cursor = draw(&scene(&self.model, &self.sight, self.theme, self.now), &mut buffer);
        (buffer, cursor)
    }

    /// What is seen, row by row.
    fn rows(&self) -> Vec<String> {
        let (buffer, _) = self.buffer();
        (0..self.size.1).map(|y| row_of(&buffer, y)).collect()
    }

    /// Fails unless a row has all of these words.
    fn sees(&self, words: &str) {
        assert!(
            self.rows().iter().any(|row| row.contains(words)),
            "no {words:?}:\n{}",
            self.shown()
        );
    }

    fn does_not_see(&self, words: &str) {
        assert!(!self.rows().iter().any(|row| row.contains(words)), "{words:?}:\n{}", self.shown());
    }

    fn shown(&self) -> String {
        self.rows().join("\n")
    }

    /// The line that is typed.
    fn typed(&self) -> String {
        self.sight.line(self.model.views()).text().to_owned()
    }
}

fn scene<'a>(model: &'a Model, sight: &'a Sight, theme: Theme, now: Now) -> Scene<'a> {
    Scene { model, sight, theme, zone: TimeZone::UTC, now }
}

fn of_size(model: &Model, sight: &Sight, theme: Theme, size: (u16, u16), now: Now) -> Sheet {
    sheet(&scene(model, sight, theme, now), Rect::new(0, 0, size.0, size.1))
}

/// A row of cells as text: what follows a wide character is behind it.
fn row_of(buffer: &Buffer, y: u16) -> String {
    let (mut row, mut x) = (String::new(), 0);
    while let Some(cell) = buffer.cell((x, y)) {
        row.push_str(cell.symbol());
        x += u16::try_from(width(cell.symbol()).max(1)).expect("a character is narrow");
    }
    row.trim_end().to_owned()
}
