//! A seeded walk of talks: three models against a small server that pairs them as docs/protocol.md says, while everybody does
//! anything at any point, connections break, names change and deadlines pass. Nothing said to one reaches another, every line is sent
//! once or given back, and in the end each model believes what the server knows.

use super::Scene;
use crate::chat::command::{self, Line};
use crate::chat::model::entry::{Content, Mark, What};
use crate::chat::model::{News, Output, Phase, Request, TalkState, Turn, ViewName};
use crate::client::{Event, Happening, Refusal};
use proptest::prelude::*;
use proto::Span;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// What each is called, and calls itself now and then.
const NAMES: [[&str; 2]; 3] = [["ada", "Ada-2"], ["bob", "Bob-2"], ["cid", "Cid-2"]];

/// Whose name this is.
fn who_is(name: &str) -> usize {
    let is = |names: &[&str; 2]| names.iter().any(|known| known.eq_ignore_ascii_case(name));
    NAMES.iter().position(is).expect("a name of the three")
}

/// How far the server knows somebody to be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum At {
    #[default]
    Registered,
    Waiting,
    Ready {
        peer: usize,
        turns: bool,
    },
    /// Whether it is their turn, where there are turns.
    Open {
        peer: usize,
        mine: Option<bool>,
    },
}

impl At {
    fn peer(self) -> Option<usize> {
        match self {
            Self::Registered | Self::Waiting => None,
            Self::Ready { peer, .. } | Self::Open { peer, .. } => Some(peer),
        }
    }
}

/// One of the three, as the server knows them.
#[derive(Debug, Default)]
struct Side {
    name: String,
    /// What the peer knew them as before.
    former: Option<String>,
    at: At,
    wanted: Option<String>,
    turns: String,
    place: u64,
    requests: VecDeque<Request>,
    words: VecDeque<Happening>,
    /// The next message for them is refused: they have too much waiting.
    is_full: bool,
}

impl Side {
    fn is_called(&self, name: &str) -> bool {
        let is = |known: &str| known.eq_ignore_ascii_case(name);
        is(&self.name) || self.former.as_deref().is_some_and(is)
    }

    fn goes_with(&self, other: &Self) -> bool {
        let wants = |wanted: &Option<String>, name: &str| {
            wanted.as_deref().is_none_or(|wanted| wanted.eq_ignore_ascii_case(name))
        };
        let any = self.turns == "any" || other.turns == "any" || self.turns == other.turns;
        any && wants(&self.wanted, &other.name) && wants(&other.wanted, &self.name)
    }
}

/// The server.
#[derive(Debug, Default)]
struct Server {
    sides: [Side; 3],
    places: u64,
    /// Who said what to whom.
    relayed: Vec<(usize, usize, String)>,
    /// Who is told that a message has come, by its receiver and id.
    owed: BTreeMap<(usize, String), usize>,
}

impl Server {
    fn tells(&mut self, who: usize, name: &str, value: Value) {
        let (name, fields, line) = (name.to_owned(), super::fields(value), String::new());
        self.sides[who].words.push_back(Happening::Event(Event { name, fields, line }));
    }

    fn agrees(&mut self, who: usize, id: &str, value: Value) {
        let reply = Happening::Replied(id.to_owned(), Ok(super::fields(value)));
        self.sides[who].words.push_back(reply);
    }

    fn refuses(&mut self, who: usize, id: &str, code: &str) {
        let (code, message) = (code.to_owned(), format!("No: {code}."));
        let refusal = Refusal { code, message, retry_after: None };
        self.sides[who].words.push_back(Happening::Replied(id.to_owned(), Err(refusal)));
    }

    fn name(&self, who: usize) -> String {
        self.sides[who].name.clone()
    }

    fn waits(&mut self, who: usize, is_last: bool) {
        if is_last {
            self.places += 1;
            self.sides[who].place = self.places;
        }
        self.sides[who].at = At::Waiting;
    }

    /// Looks for somebody for whom is waiting.
    fn seeks(&mut self, who: usize) {
        let is_for = |other: &usize| {
            let (one, other) = (&self.sides[who], &self.sides[*other]);
            (one.at, other.at) == (At::Waiting, At::Waiting) && one.goes_with(other)
        };
        let others = (0..3).filter(|other| *other != who).filter(is_for);
        let Some(other) = others.min_by_key(|other| self.sides[*other].place) else { return };
        let turns = [who, other].iter().any(|one| self.sides[*one].turns == "yes");
        for (one, peer) in [(who, other), (other, who)] {
            self.sides[one].at = At::Ready { peer, turns };
            self.sides[one].former = None;
            let peer = self.name(peer);
            self.tells(one, "talk_ready", json!({"peer": peer, "turns": turns}));
        }
    }

    /// Somebody is out of it, and a peer waits again.
    fn ends(&mut self, who: usize, reason: &str) {
        let before = std::mem::take(&mut self.sides[who].at);
        if let Some(peer) = before.peer() {
            self.waits(peer, matches!(before, At::Open { .. }));
            let (name, wanted) = (self.name(who), self.sides[peer].wanted.clone());
            self.tells(peer, "talk_ended", json!({"peer": name, "reason": reason}));
            let mut waiting = json!({"since": "1970-01-01T00:00:00Z"});
            if let Some(wanted) = wanted {
                waiting["peer"] = Value::from(wanted);
            }
            self.tells(peer, "talk_waiting", waiting);
            self.seeks(peer);
        }
    }

    /// The connection is gone, and what was under way with it.
    fn cut(&mut self, who: usize) {
        self.sides[who].requests.clear();
        self.ends(who, "gone");
        self.sides[who].words.clear();
    }

    fn pass(&mut self, who: usize, reason: Option<&str>) {
        let At::Open { peer, mine: Some(true) } = self.sides[who].at else { return };
        self.sides[who].at = At::Open { peer, mine: Some(false) };
        self.sides[peer].at = At::Open { peer: who, mine: Some(true) };
        if reason.is_some() {
            self.tells(who, "talk_turn", json!({"turn": "theirs", "reason": reason}));
            self.tells(peer, "talk_turn", json!({"turn": "yours", "reason": reason}));
        } else {
            self.tells(peer, "talk_turn", json!({"turn": "yours"}));
        }
    }

    /// Nobody came in time.
    fn waited_too_long(&mut self, who: usize) {
        if self.sides[who].at == At::Waiting {
            self.sides[who].at = At::Registered;
            self.tells(who, "talk_ended", json!({"reason": "timeout"}));
        }
    }

    /// Carries out the oldest request of somebody.
    fn works(&mut self, who: usize) {
        let Some(request) = self.sides[who].requests.pop_front() else { return };
        let text = |name: &str| request.fields.get(name).and_then(Value::as_str);
        let id = request.id.as_str();
        let peer = self.sides[who].at.peer();
        // What is for somebody who is not the peer any more is for nobody.
        let named = text("peer").filter(|_| ["chat", "say", "pass"].contains(&request.name));
        if peer.zip(named).is_some_and(|(peer, named)| !self.sides[peer].is_called(named)) {
            return self.refuses(who, id, "not_in_talk");
        }
        match request.name {
            "hello" => {
                let nick = text("nick").expect("a name").to_owned();
                self.sides[who].name.clone_from(&nick);
                self.agrees(
                    who,
                    id,
                    json!({"nick": nick, "server": "s", "history": "h", "limits": {"message": 99}}),
                );
            }
            "join" => self.agrees(who, id, json!({"room": "lobby", "seq": 0, "members": 2})),
            "members" => {
                self.agrees(who, id, json!({"room": "lobby", "members": [], "more": false}));
            }
            "topic" => self.agrees(who, id, json!({"room": "lobby", "topic": ""})),
            "nick" => self.renames(who, id, text("nick").expect("a name")),
            "bridge" => self.bridges(who, id, text("peer"), text("turns").expect("turns")),
            "chat" => self.opens(who, id),
            "say" => self.says(who, id, text("text").expect("text")),
            "pass" => match self.sides[who].at {
                At::Open { mine: Some(true), .. } => {
                    self.agrees(who, id, json!({"turn": "theirs"}));
                    self.pass(who, None);
                }
                At::Open { .. } => self.refuses(who, id, "not_your_turn"),
                _ => self.refuses(who, id, "not_in_talk"),
            },
            "hangup" if self.sides[who].at == At::Registered => {
                self.refuses(who, id, "not_in_talk");
            }
            "hangup" => {
                self.agrees(who, id, json!({}));
                self.ends(who, "hangup");
            }
            "receipt" => {
                let message = text("message_id").expect("an id").to_owned();
                self.agrees(who, id, json!({"message_id": message}));
                if let Some(author) = self.owed.remove(&(who, message.clone())) {
                    self.tells(author, "delivered", json!({"message_id": message, "by": "x"}));
                }
            }
            other => panic!("nobody asks for {other} here"),
        }
    }

    fn renames(&mut self, who: usize, id: &str, new: &str) {
        let before = std::mem::replace(&mut self.sides[who].name, new.to_owned());
        self.agrees(who, id, json!({"nick": new}));
        match self.sides[who].at.peer() {
            Some(peer) => {
                self.tells(peer, "renamed", json!({"nick": before, "new_nick": new}));
                self.sides[who].former = Some(before);
            }
            None => self.seeks(who),
        }
    }

    fn bridges(&mut self, who: usize, id: &str, wanted: Option<&str>, turns: &str) {
        let own = self.name(who);
        let is_own = wanted.is_some_and(|wanted| wanted.eq_ignore_ascii_case(&own));
        if is_own || self.sides[who].at.peer().is_some() {
            return self.refuses(who, id, "bad_request");
        }
        self.sides[who].wanted = wanted.map(str::to_owned);
        turns.clone_into(&mut self.sides[who].turns);
        self.waits(who, true);
        self.agrees(who, id, json!({"since": "1970-01-01T00:00:00Z"}));
        self.seeks(who);
    }

    fn opens(&mut self, who: usize, id: &str) {
        let word = |mine: Option<bool>| mine.map(|mine| if mine { "yours" } else { "theirs" });
        match self.sides[who].at {
            At::Registered | At::Waiting => self.refuses(who, id, "not_in_talk"),
            At::Open { peer, mine } => {
                let peer = self.name(peer);
                self.agrees(who, id, json!({"peer": peer, "turn": word(mine), "direct": false}));
            }
            At::Ready { peer, turns } => {
                let mine = turns.then_some(true);
                let name = self.name(peer);
                self.agrees(who, id, json!({"peer": name, "turn": word(mine), "direct": false}));
                for (one, peer, mine) in [(who, peer, mine), (peer, who, mine.map(|mine| !mine))] {
                    self.sides[one].at = At::Open { peer, mine };
                    let peer = self.name(peer);
                    self.tells(one, "talk_started", json!({"peer": peer, "turn": word(mine)}));
                }
            }
        }
    }

    fn says(&mut self, who: usize, id: &str, text: &str) {
        let At::Open { peer, mine } = self.sides[who].at else {
            return self.refuses(who, id, "not_in_talk");
        };
        if mine == Some(false) {
            return self.refuses(who, id, "not_your_turn");
        }
        if std::mem::take(&mut self.sides[peer].is_full) {
            return self.refuses(who, id, "limit_reached");
        }
        self.relayed.push((who, peer, text.to_owned()));
        self.owed.insert((peer, id.to_owned()), who);
        let (from, mut reply) = (self.name(who), json!({"message_id": id}));
        let mut said = json!({"from": from, "message_id": id, "text": text});
        if mine.is_some() {
            self.sides[who].at = At::Open { peer, mine: Some(false) };
            self.sides[peer].at = At::Open { peer: who, mine: Some(true) };
            (reply["turn"], said["turn"]) = (Value::from("theirs"), Value::from("yours"));
        }
        self.agrees(who, id, reply);
        self.tells(peer, "talk_message", said);
    }
}

/// Somebody who types, and what became of it.
struct Person {
    scene: Scene,
    /// What was typed, and for whom it was where there was a talk.
    typed: Vec<(String, Option<usize>)>,
    returned: Vec<String>,
}

impl Person {
    fn new(who: usize) -> Self {
        let mut scene = Scene::of(Some(NAMES[who][0].to_owned()));
        // Nobody's ids are another's.
        scene.thrown = (who as u128 + 1) << 40;
        Self { scene, typed: Vec::new(), returned: Vec::new() }
    }

    fn why_not_sent(&self, text: &str) -> Option<String> {
        let mut entries = self.scene.view(&ViewName::Talk).log.entries();
        entries.find_map(|entry| match &entry.what {
            What::Message(message) if message.content == Content::Text(text.to_owned()) => {
                match &message.mark {
                    Mark::NotSent { why, .. } | Mark::NotAcknowledged { why } => Some(why.clone()),
                    _ => None,
                }
            }
            _ => None,
        })
    }
}

struct Walk {
    people: [Person; 3],
    server: Server,
}

impl Walk {
    fn new() -> Self {
        let mut walk = Self { people: [0, 1, 2].map(Person::new), server: Server::default() };
        walk.heals();
        walk
    }

    fn moves_on(&mut self, who: usize) {
        let person = &mut self.people[who];
        while let Some(output) = person.scene.model.take() {
            match output {
                Output::Ask(request) => self.server.sides[who].requests.push_back(request),
                Output::HangUp => self.server.cut(who),
                Output::News(News::Returned { content: Content::Text(text), .. }) => {
                    person.returned.push(text);
                }
                Output::Call | Output::News(_) | Output::Past(_) => {}
            }
        }
    }

    /// Says something, where the talk is seen: a line that names whom it is for.
    fn says(&mut self, who: usize, number: usize) {
        let person = &mut self.people[who];
        if *person.scene.model.views().focus() != ViewName::Talk {
            return;
        }
        let target = match person.scene.model.talk().state() {
            TalkState::Open { peer, .. } => Some(who_is(peer)),
            _ => None,
        };
        let text = format!("{who} says {number} to {target:?}");
        person.typed.push((text.clone(), target));
        let at = person.scene.at();
        person.scene.model.say(at, text.into_bytes());
    }

    fn types(&mut self, who: usize, line: &str) {
        let scene = &mut self.people[who].scene;
        // Where there is nothing to end it would end all.
        if line == "/quit" && scene.model.talk().wish().is_none() {
            return;
        }
        let at = scene.at();
        let Ok(Line::Do(command)) = command::parse(line) else { panic!("{line}") };
        scene.model.act(at, command);
    }

    fn commands(&mut self, who: usize, number: usize) {
        let [other, third] = [NAMES[(who + 1) % 3], NAMES[(who + 2) % 3]];
        let line = match number % 20 {
            0..=3 => "/bridge".to_owned(),
            4 => "/bridge --turns yes".to_owned(),
            5 => "/bridge --turns no".to_owned(),
            6 => format!("/bridge {}", other[0]),
            7 => format!("/bridge {}", third[1]),
            8 => format!("/bridge {}", NAMES[who][0]),
            9 | 10 => "/quit".to_owned(),
            11 => "/unbridge".to_owned(),
            12 => format!("/nick {}", NAMES[who][number / 20 % 2]),
            13 => format!("/ignore {}", other[0]),
            14 => format!("/unignore {}", other[0]),
            15 => "/pass".to_owned(),
            _ => "/chat".to_owned(),
        };
        self.types(who, &line);
    }

    /// Somebody is stopped for a while, with what they asked on its way: meanwhile a peer goes, and the third one comes.
    fn is_stopped(&mut self, who: usize) {
        let peer = self.server.sides[who].at.peer();
        for (other, lines) in
            [(peer, &["/quit"][..]), (peer.map(|peer| 3 - who - peer), &["/bridge", "/chat"])]
        {
            let Some(other) = other else { return };
            for line in lines {
                self.types(other, line);
                self.moves_on(other);
                for what in [12, 19].repeat(30) {
                    self.step(other, what, 0);
                }
            }
        }
    }

    fn step(&mut self, who: usize, what: u8, number: usize) {
        let scene = &mut self.people[who].scene;
        match what {
            0..=5 => self.says(who, number),
            6..=10 => self.commands(who, number),
            11 => match number % 5 {
                4 => return self.is_stopped(who),
                0 => self.server.pass(who, Some("timeout")),
                1 => self.server.waited_too_long(who),
                2 => self.server.sides[who].is_full = true,
                _ if scene.model.link().is_connected() => {
                    self.server.cut(who);
                    scene.happens_lost();
                }
                _ => {}
            },
            12..=18 => self.server.works(who),
            19..=25 => {
                if let Some(word) = self.server.sides[who].words.pop_front() {
                    let at = scene.at();
                    scene.model.happened(at, word);
                }
            }
            _ if *scene.model.link().phase() == Phase::Calling => {
                let at = scene.at();
                scene.model.called(at);
            }
            _ => {
                scene.now = scene.now.after(Span::from_millis(300));
                let at = scene.at();
                scene.model.tick(at);
            }
        }
        // A word to one may be another's doing, but only the one who was moved has something to do.
        self.moves_on(who);
    }

    /// Nothing breaks any more, and everything gets its time.
    fn heals(&mut self) {
        for _ in 0..2_000 {
            for who in 0..3 {
                for what in [30, 30, 12, 19] {
                    self.step(who, what, 0);
                }
            }
            let is_still = |who: usize| {
                let side = &self.server.sides[who];
                let is_quiet = side.words.is_empty() && side.requests.is_empty();
                is_quiet && self.people[who].scene.model.is_settled()
            };
            if (0..3).all(is_still) {
                return;
            }
        }
        panic!("it never settles");
    }

    /// Whether somebody believes what the server knows.
    fn agrees(&self, who: usize) -> bool {
        let (talk, side) = (self.people[who].scene.model.talk(), &self.server.sides[who]);
        let is_peer = |name: &str, peer: usize| self.server.sides[peer].name == name;
        match (talk.state(), side.at) {
            (TalkState::Registered, At::Registered) => talk.wish().is_none(),
            (TalkState::Waiting { peer, .. }, At::Waiting) => *peer == side.wanted,
            (TalkState::Ready { peer }, At::Ready { peer: known, .. }) => is_peer(peer, known),
            (TalkState::Open { peer, turn }, At::Open { peer: known, mine }) => {
                let known_turn = match mine {
                    None => Turn::Free,
                    Some(true) => Turn::Yours,
                    Some(false) => Turn::Theirs,
                };
                is_peer(peer, known) && *turn == known_turn
            }
            _ => false,
        }
    }
}

impl Scene {
    fn happens_lost(&mut self) {
        let at = self.at();
        let lost = Happening::Lost { reason: "cut".to_owned(), unanswered: Vec::new() };
        self.model.happened(at, lost);
    }
}

proptest! {
    #[test]
    fn nobody_hears_what_is_for_another_and_all_agree_in_the_end(
        steps in proptest::collection::vec((0_usize..3, 0_u8..32, 0_usize..40), 1..500),
    ) {
        let mut walk = Walk::new();
        for (turn, (who, what, dice)) in steps.into_iter().enumerate() {
            let number = if what <= 5 { turn } else { dice };
            walk.step(who, what, number);
        }
        walk.heals();
        for (from, to, text) in &walk.server.relayed {
            let typed = &walk.people[*from].typed;
            prop_assert!(typed.contains(&(text.clone(), Some(*to))), "{} heard: {}", to, text);
        }
        for (who, person) in walk.people.iter().enumerate() {
            for (text, _) in &person.typed {
                let count = |all: &mut dyn Iterator<Item = &String>| all.filter(|one| *one == text).count();
                let relayed = count(&mut walk.server.relayed.iter().map(|(_, _, text)| text));
                let returned = count(&mut person.returned.iter());
                prop_assert!(relayed <= 1 && returned <= 1 && relayed + returned > 0, "{}: {} and {}", text, relayed, returned);
                if relayed + returned == 2 {
                    let why = person.why_not_sent(text).unwrap_or_default();
                    prop_assert!(why.contains("it may have arrived"), "{}: {}", text, why);
                }
            }
            prop_assert!(walk.agrees(who), "{} believes {:?}, and is {:?}", who, person.scene.model.talk(), walk.server.sides[who]);
        }
    }
}
