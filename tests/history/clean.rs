//! Clean histories, made by a seed: a small model of a server that keeps its promises, and clients that are cut off, killed, slow, and
//! ask again.

use std::collections::{BTreeMap, VecDeque};

use tests::checker::{FINAL, NEMESIS, Op, Record, hash_of};

use crate::rng::Rng;

const ROOMS: [&str; 3] = ["lobby", "ops", "dev"];

/// Longer than anything may be late.
pub(crate) const LONG_MICROS: u64 = 6_000_000;

/// What a post says.
#[derive(Clone, Debug)]
struct Post {
    id: String,
    room: usize,
    hash: String,
    receipt: bool,
}

/// What waits for a client to hear it.
#[derive(Clone, Debug)]
enum Word {
    Message { room: usize, seq: u64, id: String, hash: String, receipt: bool },
    Gap { room: usize, from: u64, to: u64 },
    Ok { room: usize, seq: u64, id: String },
    No { id: String },
    Delivered { id: String, by: String },
}

#[derive(Debug, Default)]
struct Client {
    name: String,
    conn: u64,
    is_open: bool,
    /// By room: whether it is a member.
    joined: [bool; ROOMS.len()],
    /// By room: the last place that it knows.
    seen: [u64; ROOMS.len()],
    /// Posts that the server has not looked at.
    sent: VecDeque<Post>,
    /// What the server said and it has not heard.
    inbox: VecDeque<Word>,
    /// Posts of this connection without an answer.
    waiting: Vec<Post>,
    /// Posts whose answer was lost with their connection.
    unknown: Vec<Post>,
}

#[derive(Debug, Default)]
struct Room {
    next: u64,
    log: Vec<(u64, String, String)>,
}

/// The model, and what was written down.
struct World {
    rng: Rng,
    now: u64,
    records: Vec<Record>,
    clients: Vec<Client>,
    rooms: Vec<Room>,
    /// Where each stored message is.
    known: BTreeMap<String, (usize, u64)>,
    /// Who is to be told of receipts: the author and its connection.
    asked: BTreeMap<String, (usize, u64)>,
    posts: u64,
}

/// A clean history of so many steps.
pub(crate) fn history(seed: u64, steps: u64) -> Vec<Record> {
    let mut rng = Rng::new(seed);
    let clients = rng.size(2, 6);
    let client = |number| Client { name: format!("client-{number}"), ..Client::default() };
    let mut world = World {
        now: 1_000,
        records: Vec::new(),
        clients: (0..clients).map(client).collect(),
        rooms: ROOMS.iter().map(|_| Room { next: 1, log: Vec::new() }).collect(),
        known: BTreeMap::new(),
        asked: BTreeMap::new(),
        posts: 0,
        rng,
    };
    for _ in 0..steps {
        world.step();
    }
    world.finish()
}

impl World {
    fn step(&mut self) {
        let who = self.rng.size(0, self.clients.len() - 1);
        match self.rng.below(1_000) {
            0..=299 => self.posts(who),
            300..=549 => self.serves(who),
            550..=899 => self.hears(who),
            900..=949 => self.joins(who),
            950..=964 => self.is_slow(who),
            965..=984 => self.cut(who),
            985..=991 => self.kill(),
            992..=995 => self.rests(),
            _ => self.asks_again(who),
        }
    }

    fn write(&mut self, who: usize, op: Op) -> &mut Record {
        self.now += self.rng.range(0, 900);
        let client = &self.clients[who];
        self.records.push(Record::new(self.now, &client.name, client.conn, op));
        self.records.last_mut().unwrap()
    }

    fn opens(&mut self, who: usize) {
        let client = &mut self.clients[who];
        if !client.is_open {
            client.is_open = true;
            client.conn += 1;
        }
    }

    fn sends(&mut self, who: usize, post: Post) {
        self.opens(who);
        let record = self.write(who, Op::Post);
        record.room = Some(ROOMS[post.room].to_owned());
        record.id = Some(post.id.clone());
        record.hash = Some(post.hash.clone());
        record.receipt = post.receipt;
        let client = &mut self.clients[who];
        client.sent.push_back(post.clone());
        client.waiting.push(post);
    }

    fn posts(&mut self, who: usize) {
        self.posts += 1;
        let id = format!("00000000-0000-4000-8000-{:012}", self.posts);
        let hash = hash_of(id.as_bytes());
        let (room, receipt) = (self.rng.size(0, ROOMS.len() - 1), self.rng.chance(200));
        self.sends(who, Post { id, room, hash, receipt });
    }

    fn asks_again(&mut self, who: usize) {
        for post in std::mem::take(&mut self.clients[who].unknown) {
            self.sends(who, post);
        }
    }

    /// The server looks at the next post of a connection.
    fn serves(&mut self, who: usize) {
        let Some(post) = self.clients[who].sent.pop_front() else { return };
        if let Some((room, seq)) = self.known.get(&post.id) {
            let word = Word::Ok { room: *room, seq: *seq, id: post.id };
            self.clients[who].inbox.push_back(word);
        } else if self.rng.chance(30) {
            self.clients[who].inbox.push_back(Word::No { id: post.id });
        } else {
            self.stores(who, &post);
        }
    }

    fn stores(&mut self, who: usize, post: &Post) {
        let room = post.room;
        // Numbers may be skipped.
        self.rooms[room].next += u64::from(self.rng.chance(20)) * self.rng.range(1, 9);
        let seq = self.rooms[room].next;
        self.rooms[room].next += 1;
        self.rooms[room].log.push((seq, post.id.clone(), post.hash.clone()));
        self.known.insert(post.id.clone(), (room, seq));
        for (number, client) in self.clients.iter_mut().enumerate() {
            let (id, hash) = (post.id.clone(), post.hash.clone());
            if number == who {
                client.inbox.push_back(Word::Ok { room, seq, id });
            } else if client.joined[room] {
                let receipt = post.receipt;
                client.inbox.push_back(Word::Message { room, seq, id, hash, receipt });
            }
        }
        if post.receipt {
            self.asked.insert(post.id.clone(), (who, self.clients[who].conn));
        }
    }

    /// A client hears the next word.
    fn hears(&mut self, who: usize) {
        let Some(word) = self.clients[who].inbox.pop_front() else { return };
        match word {
            Word::Message { room, seq, id, hash, receipt } => {
                self.clients[who].seen[room] = seq;
                let record = self.write(who, Op::Recv);
                *record = record.clone().room(ROOMS[room]).id(&id).seq(seq).hash(&hash);
                if receipt && self.rng.chance(500) {
                    self.gives_receipt(who, &id);
                }
            }
            Word::Gap { room, from, to } => {
                self.clients[who].seen[room] = to;
                let record = self.write(who, Op::Gap);
                *record = record.clone().room(ROOMS[room]).seq(from).to(to);
            }
            Word::Ok { room, seq, id } => {
                self.clients[who].waiting.retain(|post| post.id != id);
                let record = self.write(who, Op::Ok);
                *record = record.clone().room(ROOMS[room]).seq(seq).id(&id);
            }
            Word::No { id } => {
                self.clients[who].waiting.retain(|post| post.id != id);
                self.write(who, Op::No).id = Some(id);
            }
            Word::Delivered { id, by } => {
                let record = self.write(who, Op::Delivered);
                *record = record.clone().id(&id).by(&by);
            }
        }
    }

    fn gives_receipt(&mut self, who: usize, id: &str) {
        let by = self.clients[who].name.clone();
        let record = self.write(who, Op::Receipt);
        *record = record.clone().id(id).by(&by);
        let (author, conn) = self.asked[id];
        if self.clients[author].is_open && self.clients[author].conn == conn {
            self.clients[author].inbox.push_back(Word::Delivered { id: id.to_owned(), by });
        }
    }

    /// Joins a room, and hears all that it does not know yet.
    fn joins(&mut self, who: usize) {
        let room = self.rng.size(0, ROOMS.len() - 1);
        if self.clients[who].joined[room] {
            return;
        }
        self.opens(who);
        let after = self.clients[who].seen[room];
        let record = self.write(who, Op::Join);
        *record = record.clone().room(ROOMS[room]).seq(after);
        self.replays(who, room, after);
        self.clients[who].joined[room] = true;
    }

    fn replays(&mut self, who: usize, room: usize, after: u64) {
        let log: Vec<_> =
            self.rooms[room].log.iter().filter(|(seq, ..)| *seq > after).cloned().collect();
        for (seq, id, hash) in log {
            let record = self.write(who, Op::Replay);
            *record = record.clone().room(ROOMS[room]).id(&id).seq(seq).hash(&hash);
            self.clients[who].seen[room] = seq;
        }
    }

    /// What waits for a client of one room is left out, and named.
    fn is_slow(&mut self, who: usize) {
        let slow = self.rng.size(0, ROOMS.len() - 1);
        let inbox = std::mem::take(&mut self.clients[who].inbox);
        let (mut kept, mut gap, mut rest) = (VecDeque::new(), None, Vec::new());
        for word in inbox {
            match word {
                Word::Message { room, seq, .. } if room == slow => {
                    let (from, _) = gap.unwrap_or((seq, seq));
                    gap = Some((from, seq));
                }
                // Replies are never left out, and come before.
                word => rest.push(word),
            }
        }
        kept.extend(rest);
        kept.extend(gap.map(|(from, to)| Word::Gap { room: slow, from, to }));
        self.clients[who].inbox = kept;
    }

    /// A connection ends. What it sent may have been looked at, what was said to it is lost.
    fn cut(&mut self, who: usize) {
        if !self.clients[who].is_open {
            return;
        }
        while !self.clients[who].sent.is_empty() && self.rng.chance(600) {
            self.serves(who);
        }
        for post in std::mem::take(&mut self.clients[who].waiting) {
            self.write(who, Op::Unknown).id = Some(post.id.clone());
            self.clients[who].unknown.push(post);
        }
        if self.rng.chance(300) {
            self.write(who, Op::Bye);
        }
        self.write(who, Op::Close);
        let client = &mut self.clients[who];
        (client.is_open, client.joined) = (false, [false; ROOMS.len()]);
        client.sent.clear();
        client.inbox.clear();
    }

    /// The server is killed, and starts again.
    fn kill(&mut self) {
        self.fault(Op::Fault);
        for who in 0..self.clients.len() {
            self.cut(who);
        }
        if self.rng.chance(300) {
            self.now += LONG_MICROS;
        }
        for room in &mut self.rooms {
            room.next += self.rng.below(3) * 1_000;
        }
        self.fault(Op::Heal);
    }

    fn fault(&mut self, op: Op) {
        self.now += self.rng.range(1, 900);
        self.records.push(Record::new(self.now, NEMESIS, 0, op).why("killed"));
    }

    /// Everything is served and heard, and then nothing happens for long.
    fn rests(&mut self) {
        for who in 0..self.clients.len() {
            while !self.clients[who].sent.is_empty() {
                self.serves(who);
            }
        }
        // Whoever hears may say something that another is to hear.
        while self.clients.iter().any(|client| !client.inbox.is_empty()) {
            for who in 0..self.clients.len() {
                self.hears(who);
            }
        }
        self.now += LONG_MICROS;
    }

    fn finish(mut self) -> Vec<Record> {
        self.rests();
        self.clients.push(Client { name: FINAL.to_owned(), ..Client::default() });
        let who = self.clients.len() - 1;
        self.opens(who);
        for (room, name) in ROOMS.iter().enumerate() {
            let record = self.write(who, Op::Join);
            *record = record.clone().room(name).seq(0);
            self.replays(who, room, 0);
        }
        self.write(who, Op::Close);
        self.records
    }
}
