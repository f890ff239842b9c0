//! A seeded walk: the model against a small server that keeps a room, while connections break at any point. At the end the person
//! sees exactly what the server has, and everything typed is there once, in its order.

use super::{Scene, lobby};
use crate::chat::model::{Output, Phase, Request};
use crate::client::{Event, Happening};
use proptest::prelude::*;
use serde_json::{Value, json};
use std::collections::VecDeque;

/// A server with one room, and at most one connection.
#[derive(Default)]
struct Server {
    /// The room: who, what, under which id.
    said: Vec<(String, String, String)>,
    /// What was asked and not looked at, and what was answered and has not arrived.
    requests: VecDeque<Request>,
    words: VecDeque<Happening>,
    is_in: bool,
    /// For so many more greetings the nickname is still the lost connection's.
    held: u32,
}

impl Server {
    fn cut(&mut self) {
        self.requests.clear();
        self.words.clear();
        self.is_in = false;
        self.held = 2;
    }

    fn event(&self, seq: usize, history: Option<&str>) -> Happening {
        let (from, text, id) = &self.said[seq - 1];
        let mut value =
            json!({"room": "lobby", "seq": seq, "from": from, "text": text, "message_id": id});
        if let Some(history) = history {
            value["history"] = Value::from(history);
        }
        let name = "message".to_owned();
        Happening::Event(Event { name, fields: super::fields(value), line: String::new() })
    }

    fn agrees(&mut self, id: String, value: Value) {
        self.words.push_back(Happening::Replied(id, Ok(super::fields(value))));
    }

    /// Carries out the oldest request.
    fn works(&mut self) {
        let Some(request) = self.requests.pop_front() else { return };
        let id = request.id;
        match request.name {
            "hello" if self.held > 0 => {
                self.held -= 1;
                let (code, message) = ("nickname_in_use".to_owned(), "No.".to_owned());
                let refusal = crate::client::Refusal { code, message, retry_after: None };
                self.words.push_back(Happening::Replied(id, Err(refusal)));
            }
            "hello" => {
                self.agrees(id, json!({"nick": "ada", "server": "s", "history": "h", "limits": {"message": 99}}));
            }
            "join" => {
                let after = request.fields.get("after").and_then(Value::as_u64);
                let after =
                    after.map_or(self.said.len(), |after| usize::try_from(after).expect("small"));
                for seq in after + 1..=self.said.len() {
                    let event = self.event(seq, Some(&id));
                    self.words.push_back(event);
                }
                self.is_in = true;
                self.agrees(id, json!({"room": "lobby", "seq": self.said.len(), "members": 2}));
            }
            "post" => {
                let text = request.fields["text"].as_str().expect("text").to_owned();
                let known = self.said.iter().position(|(_, _, known)| *known == id);
                let at = known.unwrap_or_else(|| {
                    self.said.push(("ada".to_owned(), text, id.clone()));
                    self.said.len() - 1
                });
                self.agrees(id, json!({"room": "lobby", "seq": at + 1}));
            }
            "members" => self.agrees(id, json!({"room": "lobby", "members": [], "more": false})),
            "topic" => self.agrees(id, json!({"room": "lobby", "topic": ""})),
            other => panic!("nobody asks for {other} here"),
        }
    }

    fn others_say(&mut self, text: &str) {
        self.said.push(("bob".to_owned(), text.to_owned(), format!("bob-{text}")));
        if self.is_in {
            let event = self.event(self.said.len(), None);
            self.words.push_back(event);
        }
    }
}

struct Walk {
    scene: Scene,
    server: Server,
    typed: Vec<String>,
}

impl Walk {
    fn moves_on(&mut self) {
        while let Some(output) = self.scene.model.take() {
            match output {
                Output::Ask(request) => self.server.requests.push_back(request),
                Output::HangUp => self.server.cut(),
                Output::Call | Output::News(_) | Output::Past(_) => {}
            }
        }
    }

    fn step(&mut self, what: u8, number: usize) {
        let at = self.scene.at();
        match what {
            0..=3 => {
                let text = format!("mine {number}");
                self.typed.push(text.clone());
                self.scene.model.say(at, text.into_bytes());
            }
            4..=6 => self.server.others_say(&format!("theirs {number}")),
            7..=12 => self.server.works(),
            13..=18 => {
                if let Some(word) = self.server.words.pop_front() {
                    self.scene.model.happened(at, word);
                }
            }
            19 => {
                let is_there =
                    !matches!(self.scene.model.link().phase(), Phase::Away { .. } | Phase::Calling);
                if is_there {
                    self.server.cut();
                    let lost = Happening::Lost { reason: "cut".to_owned(), unanswered: Vec::new() };
                    self.scene.model.happened(at, lost);
                }
            }
            20..=22 if *self.scene.model.link().phase() == Phase::Calling => {
                if what == 20 {
                    self.scene.model.not_called(at, "nobody");
                } else {
                    self.scene.model.called(at);
                }
            }
            _ => {
                self.scene.now = self.scene.now.after(proto::Span::from_millis(300));
                self.scene.model.tick(at);
            }
        }
        self.moves_on();
    }

    /// Nothing breaks any more, and everything gets its time.
    fn heals(&mut self) {
        for _ in 0..2_000 {
            for what in [22, 23, 7, 13] {
                self.step(what, 0);
            }
            if self.scene.model.is_settled() && self.server.words.is_empty() {
                return;
            }
        }
        panic!("it never settles: {:?}", self.scene.model);
    }
}

proptest! {
    #[test]
    fn nothing_typed_is_lost_or_doubled_and_nothing_said_is_missed(
        steps in proptest::collection::vec(0_u8..26, 1..400),
    ) {
        let mut walk = Walk { scene: Scene::new(), server: Server::default(), typed: Vec::new() };
        // The first connection stands: what was said before it is not owed.
        walk.heals();
        for (number, what) in steps.into_iter().enumerate() {
            walk.step(what, number);
        }
        walk.heals();
        let ours: Vec<_> = walk.server.said.iter().filter(|(from, ..)| from == "ada").collect();
        let ours: Vec<_> = ours.iter().map(|(_, text, _)| text.clone()).collect();
        prop_assert_eq!(&ours, &walk.typed, "each once, in the order of typing");
        let all: Vec<_> = walk.server.said.iter().map(|(from, text, _)| format!("{from}: {text}")).collect();
        prop_assert_eq!(walk.scene.lines(&lobby()), all, "the person sees what the server has");
        prop_assert!(walk.scene.model.outgoing().is_empty());
    }
}
