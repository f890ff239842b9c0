//! A client of v1 that outlives its connections: it talks in several rooms and hears them, posts again what has no answer, joins behind
//! what it knows, and writes everything down as the history checker wants it.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use serde_json::{Value, json};
use tests::checker::{FINAL, Op, Record, hash_of};

use crate::asking::{V1_TYPE, from_base64, uuid_text, wrap};
use crate::clients::Sort;
use crate::clock::MS;
use crate::native::{KEEPALIVE, frame};
use crate::net::Net;
use crate::reach::Reach;
use crate::rng::Rng;
use crate::swarm::Temper;
use crate::world::{CONTROL, TCP};

use super::line::Line;

/// Where everybody talks.
pub const ROOMS: [&str; 4] = ["lobby", "ops", "dev", "quiet"];

/// So many posts of a client are under way at most.
const WINDOW: usize = 12;

/// A message as its author knows it.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    room: &'static str,
    content: String,
    receipt: bool,
    /// It takes the id of another message: it is to be refused, and is not sent again.
    is_conflict: bool,
}

/// What everybody writes to.
pub struct Notes<'a> {
    pub net: &'a mut Net,
    pub records: &'a mut Vec<Record>,
    pub reached: &'a mut Reach,
}

/// See the module.
#[derive(Debug)]
pub struct Person {
    pub line: Line,
    pub name: String,
    sort: Sort,
    rng: Rng,
    temper: Temper,
    lets_go: u64,
    /// Called so on this connection, once that is known.
    nick: Option<String>,
    /// The last place of each room that it knows.
    seen: BTreeMap<&'static str, u64>,
    joined: BTreeSet<&'static str>,
    /// Replays that are not answered.
    joining: usize,
    /// What it sends next, since it has no answer to it.
    again: VecDeque<Post>,
    /// What it waits for, in the order in which it was sent.
    waiting: Vec<Post>,
    /// What was acknowledged.
    done: Vec<Post>,
    /// Who reads the pages that are not yet whole.
    readers: BTreeSet<String>,
    count: u64,
}

impl Person {
    pub fn new(no: usize, mut rng: Rng, temper: Temper, lets_go: u64) -> Self {
        let sort = if rng.chance(500) { Sort::Control } else { Sort::V1 };
        Self {
            line: Line::new(),
            name: format!("client-{no}"),
            sort,
            rng,
            temper,
            lets_go,
            nick: None,
            seen: ROOMS.iter().map(|room| (*room, 0)).collect(),
            joined: BTreeSet::new(),
            joining: 0,
            again: VecDeque::new(),
            waiting: Vec::new(),
            done: Vec::new(),
            readers: BTreeSet::new(),
            count: 0,
        }
    }

    /// The one who reads everything from its beginning when all is over.
    pub fn last(rng: Rng, temper: Temper) -> Self {
        Self { name: FINAL.to_owned(), ..Self::new(0, rng, temper, 0) }
    }

    /// Whether it comes over the control socket.
    pub fn is_local(&self) -> bool {
        self.sort == Sort::Control
    }

    /// Whether it is connected and owed nothing that it asked for.
    pub fn is_idle(&self) -> bool {
        let asks = self.waiting.len() + self.again.len() + self.joining;
        self.line.link.is_some() && self.nick.is_some() && asks == 0
    }

    /// Whether it has joined every room.
    pub fn has_all(&self) -> bool {
        self.is_idle() && self.joined.len() == ROOMS.len()
    }

    fn record(&self, net: &Net, op: Op) -> Record {
        Record::new(net.clock.now(), &self.name, self.line.conn, op)
    }

    /// Does its next thing; returns how long until the one after it, and the connection that it makes, if it makes one.
    pub fn act(&mut self, notes: &mut Notes<'_>, calm: bool) -> (u64, Option<usize>) {
        let Temper { think, keepalive, .. } = self.temper;
        let pause = self.rng.scale(think.0.max(MS), think.1.max(2 * MS));
        let pause = if calm { pause.min(keepalive) } else { pause };
        if self.line.link.is_none() {
            return (pause, Some(self.connect(notes)));
        }
        if !calm && self.rng.chance(self.lets_go) {
            let is_local = self.is_local();
            if self.line.let_go(notes.net, &mut self.rng, is_local) {
                self.is_over(notes);
            }
            return (pause, None);
        }
        if !calm {
            self.line.turn_page(notes.net, &mut self.rng, &self.temper);
        }
        if self.line.may_speak(notes.net) {
            self.speak(notes, calm);
        }
        (pause, None)
    }

    /// Comes, says who it is and joins the rooms that it knows something of, and others.
    fn connect(&mut self, notes: &mut Notes<'_>) -> usize {
        let no = self.line.dial(notes.net, if self.is_local() { CONTROL } else { TCP });
        let mut hello = json!({"request": "hello", "id": "hello", "agent": "sim"});
        if !self.is_local() {
            // The daemon may not have seen yet that the connection before is gone: each has a name of its own.
            hello["nick"] = json!(format!("{}-{}", self.name, self.line.conn));
        }
        self.send(notes.net, &hello);
        for room in ROOMS {
            if self.name == FINAL || self.seen[room] > 0 || self.rng.chance(700) {
                self.join(notes, room);
            }
        }
        no
    }

    fn send(&mut self, net: &mut Net, request: &Value) {
        let json = serde_json::to_vec(request).expect("plain values");
        let bytes = wrap(self.sort, &json);
        self.line.send(net, &mut self.rng, &self.temper, &bytes);
    }

    fn join(&mut self, notes: &mut Notes<'_>, room: &'static str) {
        let after = self.seen[room];
        notes.records.push(self.record(notes.net, Op::Join).room(room).seq(after));
        let id = format!("join {room}");
        self.send(notes.net, &json!({"request": "join", "id": id, "room": room, "after": after}));
        self.joined.insert(room);
        self.joining += 1;
    }

    fn speak(&mut self, notes: &mut Notes<'_>, calm: bool) {
        while self.waiting.len() < WINDOW
            && let Some(post) = self.again.pop_front()
        {
            notes.reached.count("post", "again");
            self.post(notes, post);
        }
        if calm || self.name == FINAL {
            if notes.net.clock.now() > self.line.sent_at + self.temper.keepalive / 2 {
                let alive: &[u8] = if self.is_local() { b"\n" } else { &KEEPALIVE };
                self.line.send(notes.net, &mut self.rng, &self.temper, alive);
            }
            return;
        }
        match self.rng.below(100) {
            0..8 => self.asks_history(notes),
            8..14 => {
                let room = self.rng.pick(&ROOMS);
                if !self.joined.contains(room) {
                    self.join(notes, room);
                }
            }
            14..18 => self.send(notes.net, &json!({"request": "ping", "id": "ping"})),
            _ => {
                let several = if self.rng.chance(200) { self.rng.size(2, 6) } else { 1 };
                for _ in 0..several {
                    if self.waiting.len() < WINDOW {
                        let post = self.next_post(notes.reached);
                        self.post(notes, post);
                    }
                }
            }
        }
    }

    fn asks_history(&mut self, notes: &mut Notes<'_>) {
        self.count += 1;
        let room = self.rng.pick(&ROOMS);
        let id = format!("history {}", self.count);
        let mut request = json!({"request": "history", "id": id, "room": room});
        let field = self.rng.pick(&["limit", "after", "before"]);
        request[field] = json!(1 + self.rng.below(30));
        self.send(notes.net, &request);
    }

    /// Something that nobody said before; seldom the same again, or something else under an id that is taken.
    fn next_post(&mut self, reached: &mut Reach) -> Post {
        if self.rng.chance(80) && !self.done.is_empty() {
            let mut post = self.done[self.rng.size(0, self.done.len() - 1)].clone();
            if self.waiting.iter().chain(&self.again).all(|other| other.id != post.id) {
                post.receipt = false;
                if self.rng.chance(400) {
                    post.content.push('!');
                    post.is_conflict = true;
                }
                reached.count("post", if post.is_conflict { "conflict" } else { "known" });
                return post;
            }
        }
        self.count += 1;
        let most = if self.rng.chance(100) { self.temper.size } else { 100.min(self.temper.size) };
        let mut content = format!("{}.{}|", self.name, self.count);
        while content.len() < self.rng.scale(1, most.max(2)) as usize {
            content.push_str("lorem ipsum ");
        }
        content.truncate(self.temper.size.max(24) as usize);
        let mut id = [0; 16];
        id[..8].copy_from_slice(&self.rng.next().to_be_bytes());
        id[8..].copy_from_slice(&self.rng.next().to_be_bytes());
        // Version and variant.
        (id[6], id[8]) = (id[6] & 0x0f | 0x40, id[8] & 0x3f | 0x80);
        let (id, room) = (uuid_text(&id), self.rng.pick(&ROOMS));
        Post { id, room, content, receipt: self.rng.chance(100), is_conflict: false }
    }

    fn post(&mut self, notes: &mut Notes<'_>, post: Post) {
        let Post { id, room, content, receipt, .. } = &post;
        let hash = hash_of(content.as_bytes());
        let record = self.record(notes.net, Op::Post).room(room).id(id).hash(&hash);
        notes.records.push(record.receipt(*receipt));
        let mut request = json!({"request": "post", "id": id, "room": room, "text": content});
        if *receipt {
            request["receipt"] = json!(true);
        }
        self.send(notes.net, &request);
        self.waiting.push(post);
    }

    /// Reads what has come.
    pub fn sip(&mut self, notes: &mut Notes<'_>) {
        let is_over = self.line.sip(notes.net);
        while let Some(json) = self.take() {
            let said = serde_json::from_slice(&json).expect("the daemon says JSON");
            self.hear(&said, notes);
        }
        if is_over {
            self.is_over(notes);
        }
    }

    /// The next JSON object that has come whole; what v0.5 is told before a `hello` is nothing to it.
    fn take(&mut self) -> Option<Vec<u8>> {
        let heard = &mut self.line.heard;
        if self.sort == Sort::Control {
            let end = heard.iter().position(|byte| *byte == b'\n')?;
            return Some(heard.drain(..=end).collect());
        }
        loop {
            let length = u32::from_be_bytes(*heard.first_chunk::<4>()?) as usize;
            if heard.len() < 4 + length {
                return None;
            }
            let whole: Vec<u8> = heard.drain(..4 + length).collect();
            if whole[..8] == frame(V1_TYPE, &whole[8..])[..8] {
                return Some(whole[8..].to_vec());
            }
        }
    }

    /// The connection is over: what has no answer has an unknown fate.
    fn is_over(&mut self, notes: &mut Notes<'_>) {
        for post in std::mem::take(&mut self.waiting) {
            notes.records.push(self.record(notes.net, Op::Unknown).id(&post.id));
            if !post.is_conflict {
                self.again.push_back(post);
            }
        }
        for reader in std::mem::take(&mut self.readers) {
            notes.records.push(Record::new(notes.net.clock.now(), &reader, 1, Op::Close));
        }
        notes.records.push(self.record(notes.net, Op::Close));
        self.line.end();
        (self.nick, self.joining) = (None, 0);
        self.joined.clear();
    }

    fn hear(&mut self, said: &Value, notes: &mut Notes<'_>) {
        match said["event"].as_str() {
            None => self.is_answered(said, notes),
            Some("message") => self.hears_message(said, notes),
            Some("gap") => {
                let room = room_of(said);
                let [from, to] = ["from_seq", "to_seq"].map(|name| number(said, name));
                notes.reached.count("hear", "gap");
                notes.records.push(self.record(notes.net, Op::Gap).room(room).seq(from).to(to));
                self.knows(room, to);
            }
            Some("delivered") => {
                notes.reached.count("hear", "delivered");
                let [id, by] = ["message_id", "by"].map(|name| said[name].as_str().unwrap());
                notes.records.push(self.record(notes.net, Op::Delivered).id(id).by(by));
            }
            Some("bye") => {
                notes.reached.count("hear", "bye");
                notes.records.push(self.record(notes.net, Op::Bye));
            }
            Some(_) => {}
        }
    }

    fn knows(&mut self, room: &'static str, seq: u64) {
        let seen = self.seen.get_mut(room).expect("it is one of ours");
        *seen = seq.max(*seen);
    }

    fn hears_message(&mut self, said: &Value, notes: &mut Notes<'_>) {
        let (room, seq) = (room_of(said), number(said, "seq"));
        let id = said["message_id"].as_str().expect("a message has an id");
        let content = match said["text"].as_str() {
            Some(text) => text.as_bytes().to_vec(),
            None => from_base64(said["data"].as_str().expect("text or data")),
        };
        let hash = hash_of(&content);
        if let Some(page) = said["history"].as_str().filter(|id| id.starts_with("history")) {
            // Each page is read by somebody who knows nothing else.
            let name = self.reader_of(page);
            let record = Record::new(notes.net.clock.now(), &name, 1, Op::Replay);
            notes.records.push(record.room(room).id(id).seq(seq).hash(&hash));
            self.readers.insert(name);
            return;
        }
        let op = if said["history"].is_string() { Op::Replay } else { Op::Recv };
        notes.reached.count("hear", if op == Op::Recv { "live" } else { "replay" });
        let record = self.record(notes.net, op).room(room).id(id).seq(seq).hash(&hash);
        notes.records.push(record);
        self.knows(room, seq);
        if said["receipt"] == true && self.line.may_speak(notes.net) && self.rng.chance(700) {
            let by = self.nick.clone().expect("who hears has a name");
            notes.records.push(self.record(notes.net, Op::Receipt).id(id).by(&by));
            let request = json!({"request": "receipt", "id": "receipt", "message_id": id});
            self.send(notes.net, &request);
        }
    }

    fn reader_of(&self, page: &str) -> String {
        format!("{} {} {page}", self.name, self.line.conn)
    }

    fn is_answered(&mut self, said: &Value, notes: &mut Notes<'_>) {
        let Some(id) = said["reply"].as_str() else {
            // A connection is refused or ended for something, and told so without having asked.
            assert_eq!(said["ok"], false, "{said}");
            return;
        };
        let (is_ok, code) = (said["ok"] == true, said["error"].as_str().unwrap_or_default());
        if id == "hello" && is_ok {
            self.nick = said["nick"].as_str().map(str::to_owned);
        }
        if id.starts_with("join") {
            self.joining -= 1;
        }
        let reader = self.reader_of(id);
        if self.readers.remove(&reader) {
            notes.records.push(Record::new(notes.net.clock.now(), &reader, 1, Op::Close));
        }
        let Some(at) = self.waiting.iter().position(|post| post.id == id) else {
            let harmless = is_ok || code == "shutting_down" || id == "receipt";
            let harmless = harmless || id.starts_with("history");
            assert!(harmless, "{} is refused: {said}", self.name);
            return;
        };
        let post = self.waiting.remove(at);
        if is_ok {
            let seq = number(said, "seq");
            let record = self.record(notes.net, Op::Ok).room(room_of(said)).id(id).seq(seq);
            notes.records.push(record);
            self.done.push(post);
            return;
        }
        let is_no = matches!(code, "store_unavailable" | "id_conflict");
        assert!(is_no || code == "shutting_down", "{} is refused: {said}", self.name);
        assert!(post.is_conflict || code != "id_conflict", "{} has its own ids: {said}", self.name);
        let op = if is_no { Op::No } else { Op::Unknown };
        notes.records.push(self.record(notes.net, op).id(id).why(code));
        if !post.is_conflict && (!is_no || self.rng.chance(500)) {
            self.again.push_back(post);
        }
    }
}

fn number(said: &Value, name: &str) -> u64 {
    said[name].as_u64().unwrap_or_else(|| panic!("no number {name} in {said}"))
}

fn room_of(said: &Value) -> &'static str {
    let room = said["room"].as_str().expect("it names its room");
    ROOMS.iter().find(|known| **known == room).expect("it is one of ours")
}
