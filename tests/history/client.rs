//! A client of a run: it talks in several rooms, hears them, loses its connection and comes back, asks again for what has no answer,
//! and writes everything down.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tests::checker::{Op, Record, hash_of};

use crate::rng::Rng;
use crate::scene::{Scene, pause};
use crate::wire::Wire;

/// Where everybody talks.
pub(crate) const ROOMS: [&str; 4] = ["lobby", "ops", "dev", "quiet"];

/// So many posts of a client are under way at most.
const WINDOW: usize = 24;

/// A client that has nothing to say gives a sign of life.
const PING_EVERY: Duration = Duration::from_secs(3);

/// A message as its author knows it.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    room: &'static str,
    content: Vec<u8>,
    receipt: bool,
    /// It takes the id of another message: it is to be refused, and is not sent again.
    is_conflict: bool,
}

/// A client.
#[derive(Debug)]
pub(crate) struct Client {
    scene: Arc<Scene>,
    rng: Rng,
    name: String,
    over_control: bool,
    /// It lets go of its connection itself, once in so many steps.
    lets_go: Option<u64>,
    conn: u64,
    nick: String,
    /// The last place of each room that it knows.
    seen: BTreeMap<&'static str, u64>,
    /// What it sends next, since it has no answer to it.
    again: VecDeque<Post>,
    /// What it waits for.
    waiting: BTreeMap<String, Post>,
    /// What was acknowledged, some of it.
    done: Vec<Post>,
    is_idle: bool,
}

/// Why a connection is over.
#[derive(Debug)]
enum Over {
    Finished,
    Lost,
}

impl From<io::Error> for Over {
    fn from(_: io::Error) -> Self {
        Self::Lost
    }
}

/// Ends the run where its client fails: it would be waited for otherwise.
struct Tells(Arc<Scene>);

impl Drop for Tells {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.breaks();
        }
    }
}

impl Client {
    pub(crate) fn new(scene: &Arc<Scene>, seed: u64, number: usize, lets_go: Option<u64>) -> Self {
        let mut rng = Rng::new(seed);
        for _ in 0..number {
            rng.fork();
        }
        Self {
            scene: Arc::clone(scene),
            rng: rng.fork(),
            name: format!("client-{number}"),
            over_control: number % 2 == 1,
            lets_go,
            conn: 0,
            nick: String::new(),
            seen: ROOMS.iter().map(|room| (*room, 0)).collect(),
            again: VecDeque::new(),
            waiting: BTreeMap::new(),
            done: Vec::new(),
            is_idle: false,
        }
    }

    /// Talks until the run is over and everybody has all answers; `all` is how many there are.
    pub(crate) fn talks(mut self, all: usize) -> BTreeMap<&'static str, u64> {
        let _tells = Tells(Arc::clone(&self.scene));
        loop {
            let way = self.scene.way(self.over_control);
            let Some(wire) = way.and_then(|way| Wire::connect(&way).ok()) else {
                pause();
                continue;
            };
            self.conn += 1;
            let over = self.lives(wire, all).unwrap_err();
            for (id, post) in std::mem::take(&mut self.waiting) {
                self.writes(self.record(Op::Unknown).id(&id));
                if !post.is_conflict {
                    self.again.push_back(post);
                }
            }
            self.writes(self.record(Op::Close));
            if matches!(over, Over::Finished) {
                assert!(self.again.is_empty(), "it has all answers");
                return self.seen;
            }
        }
    }

    fn record(&self, op: Op) -> Record {
        Record::new(self.scene.now(), &self.name, self.conn, op)
    }

    fn writes(&self, record: Record) {
        self.scene.writes(record);
    }

    /// One connection, from its beginning to its end.
    fn lives(&mut self, mut wire: Wire, all: usize) -> Result<(), Over> {
        // The daemon may not have seen yet that the connection before is gone: each has a name of its own.
        let nick = format!("{}-{}", self.name, self.conn);
        let hello = if self.over_control { json!({}) } else { json!({ "nick": nick }) };
        wire.sends("hello", "hello", hello)?;
        for room in ROOMS {
            let after = self.seen[room];
            self.writes(self.record(Op::Join).room(room).seq(after));
            wire.sends("join", &format!("join {room}"), json!({ "room": room, "after": after }))?;
        }
        let mut pinged = Instant::now();
        loop {
            if self.scene.is_over() {
                if self.waiting.is_empty() && self.again.is_empty() && !self.is_idle {
                    self.is_idle = true;
                    self.scene.is_idle();
                }
                if self.scene.idle() == all {
                    return self.finishes(&mut wire);
                }
            } else if self.lets_go.is_some_and(|steps| self.rng.below(steps) == 0) {
                return Err(Over::Lost);
            }
            self.sends(&mut wire)?;
            if pinged.elapsed() > PING_EVERY {
                pinged = Instant::now();
                wire.sends("ping", "ping", json!({}))?;
            }
            let wait_ms = if self.waiting.len() < WINDOW { 1 } else { 20 };
            while let Some(said) = wire.hears(wait_ms)? {
                self.hears(&mut wire, &said)?;
                if self.rng.chance(100) {
                    break;
                }
            }
        }
    }

    /// What others said before it is heard before the answer to this.
    fn finishes(&mut self, wire: &mut Wire) -> Result<(), Over> {
        wire.sends("ping", "last", json!({}))?;
        loop {
            if let Some(said) = wire.hears(100)? {
                if said["reply"] == "last" {
                    return Err(Over::Finished);
                }
                self.hears(wire, &said)?;
            }
        }
    }

    /// Sends what has no answer yet, and something new.
    fn sends(&mut self, wire: &mut Wire) -> Result<(), Over> {
        while self.waiting.len() < WINDOW {
            let Some(post) = self.again.pop_front() else { break };
            self.posts(wire, post)?;
        }
        if self.scene.is_over() {
            return Ok(());
        }
        for _ in 0..self.rng.below(4) {
            if self.waiting.len() >= WINDOW {
                break;
            }
            let post = self.new_post();
            self.posts(wire, post)?;
        }
        Ok(())
    }

    fn posts(&mut self, wire: &mut Wire, post: Post) -> Result<(), Over> {
        let Post { id, room, content, receipt, .. } = &post;
        let mut fields = json!({ "room": room });
        match str::from_utf8(content) {
            Ok(text) => fields["text"] = text.into(),
            Err(_) => fields["data"] = STANDARD.encode(content).into(),
        }
        if *receipt {
            fields["receipt"] = true.into();
        }
        let record = self.record(Op::Post).room(room).id(id).hash(&hash_of(content));
        self.writes(record.receipt(*receipt));
        let (id, sent) = (id.clone(), wire.sends("post", id, fields));
        self.waiting.insert(id, post);
        Ok(sent?)
    }

    /// Something that nobody said before; seldom the same again, or something else under an id that is taken.
    fn new_post(&mut self) -> Post {
        let dice = self.rng.below(1_000);
        if let Some(known) = (dice < 20 && !self.done.is_empty()).then(|| self.known_post())
            && !self.waiting.contains_key(&known.id)
        {
            return known;
        }
        let length = if dice < 950 { self.rng.size(0, 120) } else { self.rng.size(0, 6_000) };
        let letters = self.rng.chance(800);
        let byte = |rng: &mut Rng| {
            let byte = rng.next().to_le_bytes()[0];
            if letters { b'a' + byte % 26 } else { byte }
        };
        let content = (0..length).map(|_| byte(&mut self.rng)).collect();
        let (high, low) = (self.rng.next(), self.rng.next());
        let id = format!(
            "{:08x}-{:04x}-4{:03x}-a{:03x}-{:012x}",
            high >> 32,
            high >> 16 & 0xffff,
            high & 0xfff,
            low >> 48 & 0xfff,
            low & 0xffff_ffff_ffff
        );
        let room = self.rng.pick(&ROOMS);
        Post { id, room, content, receipt: self.rng.chance(30), is_conflict: false }
    }

    fn known_post(&mut self) -> Post {
        let mut post = self.done[self.rng.size(0, self.done.len() - 1)].clone();
        if self.rng.chance(500) {
            post.content.push(b'!');
            post.is_conflict = true;
        }
        post.receipt = false;
        post
    }

    fn hears(&mut self, wire: &mut Wire, said: &Value) -> Result<(), Over> {
        match said["event"].as_str() {
            None => self.is_answered(said),
            Some("message") => self.hears_message(wire, said),
            Some("gap") => {
                let room = room_of(said);
                let [from, to] = ["from_seq", "to_seq"].map(|name| said[name].as_u64().unwrap());
                self.writes(self.record(Op::Gap).room(room).seq(from).to(to));
                self.knows(room, to);
                Ok(())
            }
            Some("delivered") => {
                let [id, by] = ["message_id", "by"].map(|name| said[name].as_str().unwrap());
                self.writes(self.record(Op::Delivered).id(id).by(by));
                Ok(())
            }
            Some("bye") => {
                self.writes(self.record(Op::Bye));
                Ok(())
            }
            Some(_) => Ok(()),
        }
    }

    fn knows(&mut self, room: &'static str, seq: u64) {
        let seen = self.seen.get_mut(room).unwrap();
        *seen = seq.max(*seen);
    }

    fn hears_message(&mut self, wire: &mut Wire, said: &Value) -> Result<(), Over> {
        let (room, seq) = (room_of(said), said["seq"].as_u64().unwrap());
        let id = said["message_id"].as_str().unwrap();
        let op = if said["history"].is_string() { Op::Replay } else { Op::Recv };
        let hash = hash_of(&content_of(said));
        self.writes(self.record(op).room(room).id(id).seq(seq).hash(&hash));
        self.knows(room, seq);
        if said["receipt"] == true && self.rng.chance(500) {
            self.writes(self.record(Op::Receipt).id(id).by(&self.nick));
            wire.sends("receipt", "receipt", json!({ "message_id": id }))?;
        }
        Ok(())
    }

    fn is_answered(&mut self, said: &Value) -> Result<(), Over> {
        let (id, is_ok) = (said["reply"].as_str().unwrap_or_default(), said["ok"] == true);
        // One that ends, told by TERM, says so to whoever comes now, and to all requests that are no posts.
        if said["error"] == "shutting_down" && !self.waiting.contains_key(id) {
            return Err(Over::Lost);
        }
        if id == "hello" {
            assert!(is_ok, "{said}");
            self.scene.has_history(said["history"].as_str().unwrap());
            said["nick"].as_str().unwrap().clone_into(&mut self.nick);
        }
        let Some(post) = self.waiting.remove(id) else {
            assert!(is_ok || id == "receipt", "{} is refused: {said}", self.name);
            return Ok(());
        };
        if is_ok {
            let seq = said["seq"].as_u64().unwrap();
            self.writes(self.record(Op::Ok).room(room_of(said)).id(id).seq(seq));
            if self.done.len() < 1_000 {
                self.done.push(post);
            }
            return Ok(());
        }
        let code = said["error"].as_str().unwrap();
        self.scene.refused(code);
        match code {
            "store_unavailable" | "id_conflict" => {
                self.writes(self.record(Op::No).id(id).why(code));
            }
            // It says nothing about what became of an earlier try.
            _ => {
                self.writes(self.record(Op::Unknown).id(id).why(code));
                self.again.push_back(post);
            }
        }
        Ok(())
    }
}

fn room_of(said: &Value) -> &'static str {
    let room = said["room"].as_str().unwrap();
    ROOMS.iter().find(|known| **known == room).unwrap()
}

/// What was said.
pub(crate) fn content_of(said: &Value) -> Vec<u8> {
    match said["text"].as_str() {
        Some(text) => text.as_bytes().to_vec(),
        None => STANDARD.decode(said["data"].as_str().unwrap()).unwrap(),
    }
}
