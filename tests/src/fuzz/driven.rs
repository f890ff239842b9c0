//! A random server: a hub whose peers, store and clock do what bytes say, one byte a decision, the bytes after it its arguments.
//!
//! After each decision every invariant is checked, and whatever is written to a peer must make sense to it.

use std::collections::BTreeMap;
use std::net::IpAddr;

use hub::{
    Anonymous, Answer, ConnId, Durability, Effect, HangUp, Hub, Outbox, Outcome, Peer, Quota,
    Rights, Settings,
};
use proto::requests::REQUESTS;
use proto::ws::{Opcode, masked_frame};
use proto::{Charset, MessageId, Now, Span, Transport, WallTime};

use super::LIMITS;
use super::heard::{Framing, Heard};
use super::stored::Stored;

/// What is asked for again and again, so that it is often there.
const NICKS: [&str; 8] = ["ada", "ADA", "bob", "\u{430}da", "guest-1", "", "x\u{1b}", "root"];
const ROOMS: [&str; 8] = ["lobby", "a", "b", "c", "d", "e", "#A", "no room"];
const NETWORKS: [&str; 4] = ["192.0.2.0/24", "192.0.2.2", "2001:db8::/32", "everywhere"];

struct Driven<'a> {
    hub: Hub,
    now: Now,
    outbox: Outbox,
    open: Vec<ConnId>,
    held: Vec<hub::Record>,
    /// Where the history is kept.
    stored: Option<Stored>,
    /// What was written to a peer and is no whole frame yet.
    heard: BTreeMap<ConnId, Heard>,
    switches: u8,
    rest: &'a [u8],
}

/// Small limits; the first byte switches some.
fn settings(switches: u8) -> Settings {
    let on = |bit: u8| switches & 1 << bit != 0;
    let quota = |count| Some(Quota { count, span: Span::from_secs(1) });
    let charset = if on(0) { Charset::Unicode } else { Charset::Ascii };
    Settings {
        wire: proto::WireLimits { charset, ..LIMITS },
        anonymous: if on(1) { Anonymous::Endpoint } else { Anonymous::Guest },
        outbox: Some(2_000),
        store: Some(8_000),
        recent: Some(if on(2) { 500 } else { 2_000 }),
        connections: Some(12),
        rooms: Some(5),
        rooms_joined: Some(3),
        message_burst: 8,
        clients_per_ip: on(3).then_some(4),
        accept_rate: if on(4) { quota(2) } else { None },
        accept_burst: 3,
        nick_changes: if on(5) { quota(2) } else { None },
        fanout_per_s: on(6).then_some(1_000),
        fanout_burst: 2_000,
        durability: if is_kept(switches) { Durability::Sync } else { Durability::None },
        ..Settings::default()
    }
}

/// Whether what is said is kept.
fn is_kept(switches: u8) -> bool {
    switches & 1 << 7 != 0
}

fn fresh(switches: u8, now: Now) -> Hub {
    Hub::new(settings(switches), 7, MessageId([7; 16]), now)
}

/// A hub with small limits does what random bytes say: connections come, speak, read and go, the store answers, time passes, and
/// where the history is kept the daemon is killed and begins anew.
pub fn hub(bytes: &[u8]) {
    let (switches, rest) = bytes.split_first().map_or((0, bytes), |(first, rest)| (*first, rest));
    let mut driven = Driven {
        hub: fresh(switches, Now::default()),
        now: Now::default(),
        outbox: Outbox::default(),
        open: Vec::new(),
        held: Vec::new(),
        stored: is_kept(switches).then(Stored::default),
        switches,
        heard: BTreeMap::new(),
        rest,
    };
    while let Some(decision) = driven.byte() {
        driven.decide(decision);
        driven.turn();
    }
    driven.hub.drain(driven.now, &mut driven.outbox);
    driven.turn();
    driven.answers(usize::MAX, false);
    driven.turn();
    while driven.stored.is_some() && driven.finds(usize::MAX) > 0 {
        driven.turn();
    }
    driven.hub.abandon(driven.now, &mut driven.outbox);
    driven.turn();
    // Many go in portions.
    while driven.hub.expire(driven.now, 16, &mut driven.outbox) == 16 {
        driven.turn();
    }
    driven.turn();
    assert!(driven.hub.is_empty(), "connections are left at the end of the drain");
    let memory = driven.hub.memory();
    assert_eq!((memory.blocks, memory.runs, memory.private_bytes), (0, 0, 0), "{memory:?}");
}

impl<'a> Driven<'a> {
    fn byte(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(*byte)
    }

    fn number(&mut self) -> usize {
        usize::from(self.byte().unwrap_or(0))
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    fn some_connection(&mut self) -> Option<ConnId> {
        let at = self.number();
        (!self.open.is_empty()).then(|| self.open[at % self.open.len()])
    }

    fn decide(&mut self, decision: u8) {
        match decision % 14 {
            0 => self.accept(Transport::Stream),
            1 => self.accept(Transport::ControlSocket),
            2 => self.chats(),
            3 | 11 => self.asks(),
            4 => {
                let count = self.number();
                let bytes = self.take(count);
                if let Some(id) = self.some_connection() {
                    self.heard.get_mut(&id).expect("it is there").said_anything = true;
                    self.receive(id, bytes);
                }
            }
            5 => {
                if let Some(id) = self.some_connection() {
                    let how = if decision & 16 == 0 { HangUp::Eof } else { HangUp::Reset };
                    self.hub.hang_up(id, how, self.now, &mut self.outbox);
                }
            }
            6 => self.writes(),
            7 if self.stored.is_some() => self.stores(),
            7 => {
                let count = self.number() % 4;
                self.answers(count, decision & 16 != 0);
            }
            8 => self.passes(),
            12 => self.posts(),
            13 => self.gets(),
            9 => {
                let waiting = self.some_connection().filter(|id| self.hub.pending(*id) > 0);
                if let Some(id) = waiting {
                    self.hub.blocked(id, self.now);
                }
            }
            _ => {
                let nick = NICKS[self.number() % NICKS.len()];
                if let Some(id) = self.some_connection() {
                    let mut frame = Vec::new();
                    proto::native::set_nickname(proto::Guid([1; 16]), nick.as_bytes(), &mut frame);
                    self.receive(id, &frame);
                }
            }
        }
    }

    fn accept(&mut self, transport: Transport) {
        let from = self.byte().unwrap_or(0);
        let ip = match from % 4 {
            0 => IpAddr::from([192, 0, 2, 1]),
            1 => IpAddr::from([192, 0, 2, 2]),
            2 => "2001:db8::1".parse().unwrap(),
            _ => "::ffff:198.51.100.1".parse().unwrap(),
        };
        let login = ["root", "ada", "uid-1000", "bob"][usize::from(from >> 2 & 3)];
        let control = transport == Transport::ControlSocket;
        let is_proxied = !control && from & 128 != 0;
        let transport = if is_proxied { Transport::Proxied } else { transport };
        let peer = Peer {
            transport,
            address: format!("{ip}:{from}").into(),
            ip: (!control).then_some(ip),
            login: control.then(|| proto::Nick::parse(login).unwrap()),
            rights: if control && login == "root" { Rights::ADMIN } else { Rights::TALK },
            exempt: from & 64 != 0,
            protocols: proto::Protocols::ALL,
        };
        if let Ok(id) = self.hub.accept(peer, self.now, &mut self.outbox) {
            self.open.push(id);
            let framing = if control { Framing::Lines } else { Framing::Frames };
            self.heard.insert(id, Heard::new(framing));
        }
    }

    fn chats(&mut self) {
        let count = self.number();
        let text = self.take(count);
        if let Some(id) = self.some_connection() {
            let mut frame = Vec::new();
            proto::native::chat(text, &mut frame);
            self.receive(id, &frame);
        }
    }

    /// Any request of the vocabulary with some of its fields, framed as the connection reads it.
    fn asks(&mut self) {
        let row = &REQUESTS[self.number() % REQUESTS.len()];
        let given = self.number();
        let mut object = serde_json::Map::new();
        let id = uuid(self.number());
        object.insert("request".into(), row.name.into());
        object.insert("id".into(), id.into());
        for (at, field) in row.fields.iter().enumerate() {
            if !field.required && given >> (at % 8) & 1 == 0 {
                continue;
            }
            let which = self.number();
            let (name, form) = field.wire[which % field.wire.len()];
            if name != "id" {
                object.insert(name.into(), value(form, which / field.wire.len()));
            }
        }
        let json = serde_json::Value::Object(object).to_string();
        let Some(id) = self.some_connection() else { return };
        let mut bytes = Vec::new();
        match self.heard[&id].framing {
            Framing::Lines => bytes.extend([json.as_bytes(), b"\n"].concat()),
            Framing::Socket => {
                masked_frame(Opcode::Text, json.as_bytes(), [7; 4], &mut bytes);
            }
            Framing::Frames | Framing::Answers | Framing::Events | Framing::Unknown => {
                proto::native::v1_frame(json.as_bytes(), &mut bytes);
            }
        }
        self.receive(id, &bytes);
    }

    /// A post over HTTP, perhaps one that was there before, perhaps two at once.
    fn posts(&mut self) {
        let (what, count) = (self.number(), self.number());
        let body = self.take(count);
        let room = ROOMS[what % 6];
        let key = if what & 64 == 0 {
            String::new()
        } else {
            format!("X-Message-Id: {}\r\n", uuid(count))
        };
        let length = body.len();
        let last = if what & 32 == 0 { "" } else { "Connection: close\r\n" };
        let head = format!(
            "POST /api/rooms/{room}/messages HTTP/1.1\r\nHost: localhost\r\n{key}{last}Content-Length: {length}\r\n\r\n"
        );
        let times = if what & 128 == 0 { 1 } else { 2 };
        if let Some(id) = self.some_connection() {
            self.receive(id, &[head.as_bytes(), body].concat().repeat(times));
        }
    }

    /// A question over HTTP, or what makes a stream or a WebSocket of it.
    fn gets(&mut self) {
        let (what, number) = (self.number(), self.number() % 24);
        let room = ROOMS[what >> 3 & 3];
        let path = match what & 7 {
            0 | 1 => format!("api/rooms/{room}/events"),
            2 => format!("api/rooms/{room}/events?after={number}"),
            3 | 4 => String::from("ws"),
            5 => format!("api/rooms/{room}/messages?limit={number}"),
            6 => format!("api/rooms/{room}/messages/{number}"),
            _ => ["api/rooms", "api/stats", "metrics", "healthz"][number % 4].into(),
        };
        let fields = match what & 7 {
            1 => format!("Last-Event-ID: {:032x}-{number}\r\n", u128::from_be_bytes([7; 16])),
            3 | 4 => "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n\
                      Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                .into(),
            _ => String::new(),
        };
        if let Some(id) = self.some_connection() {
            let head = format!("GET /{path} HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n");
            self.receive(id, head.as_bytes());
        }
    }

    fn receive(&mut self, id: ConnId, bytes: &[u8]) {
        if self.hub.wants_read(id) {
            let mut frames = 8;
            self.hub.receive(id, bytes, &mut frames, self.now, &mut self.outbox);
        } else if self.hub.has_kept_work(id) {
            self.hub.receive(id, &[], &mut 8, self.now, &mut self.outbox);
        }
    }

    fn writes(&mut self) {
        let most = self.number() * 8;
        if let Some(id) = self.some_connection() {
            let mut slices: [&[u8]; 4] = [&[]; 4];
            let filled = self.hub.gather(id, &mut slices);
            let offered: usize = slices[..filled].iter().map(|slice| slice.len()).sum();
            let written = offered.min(most);
            let bytes = slices[..filled].concat();
            self.hears(id, &bytes[..written]);
            if written > 0 {
                self.hub.wrote(id, written, self.now, &mut self.outbox);
            }
        }
    }

    /// What a peer gets is whole frames, lines or answers that make sense, one after the other.
    fn hears(&mut self, id: ConnId, bytes: &[u8]) {
        self.heard.get_mut(&id).expect("who is written to is there").takes(bytes);
    }

    fn answers(&mut self, count: usize, refused: bool) {
        let count = count.min(self.held.len());
        let plain = if refused { Outcome::Refused } else { Outcome::Stored };
        let mut outcome = |record: &hub::Record| match &mut self.stored {
            Some(stored) if refused => stored.disk.look_up(record),
            Some(stored) => stored.disk.keep(record),
            None => plain,
        };
        let answers: Vec<Answer> = self
            .held
            .drain(..count)
            .map(|record| Answer { ticket: record.ticket, outcome: outcome(&record) })
            .collect();
        self.hub.stored(&answers, self.now, &mut self.outbox);
    }

    /// What a store does that keeps what it has: it answers, late and not always well, finds pages, prunes, and outlives the hub.
    fn stores(&mut self) {
        let (what, count) = (self.number(), self.number());
        let some = count % 4;
        match what % 8 {
            0 | 1 => self.answers(some, what & 16 != 0),
            2 => self.breaks(some, what & 16 != 0),
            3 => self.takes(some),
            4 | 5 => {
                self.finds(some + 1);
            }
            6 => {
                let stored = self.stored.as_mut().expect("it is kept");
                if let Some(pruned) = stored.prune(what >> 4, some) {
                    self.hub.pruned(&pruned, self.now);
                }
            }
            _ => self.is_killed(some),
        }
    }

    /// A commit breaks: of some it is found out what is there, and their authors are not told.
    fn breaks(&mut self, count: usize, is_there: bool) {
        let (count, stored) = (count.min(self.held.len()), self.stored.as_mut());
        let stored = stored.expect("it is kept");
        let answer = |record: hub::Record| {
            let is_new = is_there && stored.disk.keep(&record) == Outcome::Stored;
            Answer { ticket: record.ticket, outcome: Outcome::Unknown { stored: is_new } }
        };
        let answers: Vec<Answer> = self.held.drain(..count).map(answer).collect();
        self.hub.stored(&answers, self.now, &mut self.outbox);
    }

    /// Messages are said before they are stored, where that may be: their final answers are still to come.
    fn takes(&mut self, count: usize) {
        let stored = self.stored.as_mut().expect("it is kept");
        let taken = self.held.iter().take(count).filter(|record| stored.takes(record));
        let taken = taken.map(|record| Answer { ticket: record.ticket, outcome: Outcome::Taken });
        let answers: Vec<Answer> = taken.collect();
        self.hub.stored(&answers, self.now, &mut self.outbox);
    }

    /// Finds what was asked for, some of it; returns how many questions were answered.
    fn finds(&mut self, most: usize) -> usize {
        let mut found = 0;
        while found < most
            && let Some(fetched) = self.stored.as_mut().and_then(Stored::find)
        {
            self.hub.fetched(fetched, self.now, &mut self.outbox);
            found += 1;
        }
        found
    }

    /// The process is killed, and some of what the store had not answered is on its disk; another begins there.
    fn is_killed(&mut self, count: usize) {
        let stored = self.stored.as_mut().expect("it is kept");
        for record in self.held.drain(..).take(count) {
            stored.disk.keep(&record);
        }
        stored.begins_anew();
        self.outbox = Outbox::default();
        self.hub = fresh(self.switches, self.now);
        let disk = &stored.disk;
        self.hub.restore(&disk.rooms(), disk.reserved, disk.unknown);
        self.open.clear();
        self.heard.clear();
    }

    fn passes(&mut self) {
        let steps = self.number() as u64;
        self.now = self.now.after(Span::from_millis(steps * steps));
        let wall = i64::try_from(self.now.as_micros()).unwrap();
        self.hub.wall_is(WallTime::from_micros(wall), self.now);
        self.hub.expire(self.now, 16, &mut self.outbox);
    }

    fn turn(&mut self) {
        loop {
            while let Some(effect) = self.outbox.effects.pop_front() {
                match effect {
                    Effect::Store(record) => self.held.push(record),
                    Effect::Resume(id) => {
                        self.hub.receive(id, &[], &mut 8, self.now, &mut self.outbox);
                    }
                    Effect::Close(id) => {
                        self.open.retain(|open| *open != id);
                        self.heard.remove(&id);
                        self.hub.reaped(id, self.now, &mut self.outbox);
                    }
                    Effect::Notice(notice) => drop(notice.to_string()),
                    Effect::Measure(measure) => {
                        let answers = vec![hub::Measured::default(); measure.connections.len()];
                        self.hub.measured(&measure, &answers, self.now, &mut self.outbox);
                    }
                    Effect::Reload => {
                        let why = Err(String::from("there is no configuration here"));
                        self.hub.reloaded(why, self.now, &mut self.outbox);
                    }
                    Effect::Fetch(fetch) => {
                        let stored = self.stored.as_mut();
                        stored.expect("who keeps nothing is not asked").asked.push_back(fetch);
                    }
                    Effect::Finish(_) | Effect::LogLevel(_) | Effect::Stall(_) | Effect::Stop => {}
                }
            }
            self.hub.offered(self.now, &mut self.outbox);
            self.hub.settle(self.now, &mut self.outbox);
            self.outbox.flush.clear();
            if self.outbox.effects.is_empty() && !self.hub.is_said_full() {
                break;
            }
        }
        self.hub.check_invariants();
    }
}

/// One of twenty message ids.
fn uuid(number: usize) -> String {
    format!("00000000-0000-4000-8000-0000000000{:02}", number % 20)
}

/// A field's value, by its form in the table of requests.
fn value(form: &str, number: usize) -> serde_json::Value {
    match form {
        "integer" | "seq" if number == 127 => u32::MAX.into(),
        "integer" | "seq" => (number % 24).into(),
        "true or false" => number.is_multiple_of(2).into(),
        "nickname" => NICKS[number % NICKS.len()].into(),
        "room name" => ROOMS[number % ROOMS.len()].into(),
        "list of room names" => vec![ROOMS[number % 8], ROOMS[number / 8 % 8]].into(),
        "UUID" => uuid(number).into(),
        "base64" => ["", "AP8=", "not base64"][number % 3].into(),
        "media type" => ["a/b", "text/plain; charset=utf-8", "no type"][number % 3].into(),
        "time" => {
            let micros = i64::try_from(number).unwrap() * 1_000_000;
            WallTime::from_micros(micros).to_string().into()
        }
        "port" => [0, 1, 4711, 65_535, 65_536][number % 5].into(),
        "yes, no or any" => ["yes", "no", "any", "never"][number % 4].into(),
        "words" => ["one", "two words", " ", "t"][number % 4].into(),
        "network" => NETWORKS[number % NETWORKS.len()].into(),
        "error, warn, info or debug" => ["error", "warn", "info", "debug"][number % 4].into(),
        "text" => "t".repeat(number * 4).into(),
        form => panic!("no value has the form {form}"),
    }
}
