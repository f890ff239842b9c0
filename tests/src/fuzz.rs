//! Fuzz bodies: plain functions of bytes that must never panic. `tests/fuzz` runs them under cargo-fuzz, `replay.rs` over the
//! corpus and over seeded random bytes in every run of the tests.

use hub::{Answer, ConnId, Effect, HangUp, Hub, Outbox, Peer, Settings, StoreError};
use proto::{Charset, Item, MessageId, Now, Session, Span, Transport, WallTime, WireLimits};

const LIMITS: WireLimits = WireLimits { message: 200, charset: Charset::Ascii };

/// A body by name.
pub type Body = (&'static str, fn(&[u8]));

/// Every body.
pub const BODIES: &[Body] = &[("session", session), ("client_line", client_line), ("hub", hub)];

/// What a session makes of bytes, read in chunks: shown commands up to and with the fault, and the bytes left over.
fn understood(
    transport: Transport,
    bytes: &[u8],
    chunk: impl Fn(usize) -> usize,
) -> (Vec<String>, usize) {
    let mut session = Session::new(transport);
    let (mut seen, mut kept, mut read) = (Vec::new(), Vec::new(), 0);
    loop {
        let step = session.feed(&kept, LIMITS);
        let consumed = step.consumed;
        assert!(consumed <= kept.len(), "more is consumed than was offered");
        match step.item {
            Item::More => {
                kept.drain(..consumed);
                if read == bytes.len() {
                    return (seen, kept.len());
                }
                let next = bytes.len().min(read + chunk(read).max(1));
                kept.extend_from_slice(&bytes[read..next]);
                read = next;
            }
            Item::Fault(fault) => {
                // The text may differ: a length can be known to be wrong by its first byte.
                let _ = fault.to_string();
                seen.push(format!("{} {:?}", fault.word(), fault.farewell()));
                return (seen, 0);
            }
            item => {
                seen.push(format!("{item:?}"));
                kept.drain(..consumed);
            }
        }
    }
}

/// Any chunking of any bytes gives the same commands and the same fault.
pub fn session(bytes: &[u8]) {
    for transport in [Transport::Stream, Transport::ControlSocket] {
        let whole = understood(transport, bytes, |_| usize::MAX / 2);
        let single = understood(transport, bytes, |_| 1);
        let mixed = understood(transport, bytes, |at| usize::from(bytes[at] & 31));
        assert_eq!(whole, single, "one byte at a time");
        assert_eq!(whole, mixed, "in pieces");
    }
}

/// The client's side of the vocabulary reads whatever a server says.
pub fn client_line(bytes: &[u8]) {
    if let Ok(line) = proto::client::parse_line(bytes) {
        let (proto::client::ServerLine::Reply { body, .. }
        | proto::client::ServerLine::Event { body, .. }) = line;
        let _ = proto::client::content(&body);
    }
}

/// How a random server is driven: one byte of input is one decision, the bytes after it its arguments.
struct Driven<'a> {
    hub: Hub,
    now: Now,
    outbox: Outbox,
    open: Vec<ConnId>,
    held: Vec<hub::Record>,
    rest: &'a [u8],
}

/// A hub with small limits does what random bytes say: connections come, speak, read and go, the store answers, time passes.
pub fn hub(bytes: &[u8]) {
    let settings = Settings {
        wire: LIMITS,
        outbox: Some(2_000),
        store: Some(8_000),
        recent: Some(2_000),
        connections: Some(12),
        rooms: Some(5),
        rooms_joined: Some(3),
        message_burst: 8,
        ..Settings::default()
    };
    let hub = Hub::new(settings, 7, MessageId([7; 16]), Now::default());
    let outbox = Outbox::default();
    let now = Now::default();
    let mut driven = Driven { hub, now, outbox, open: Vec::new(), held: Vec::new(), rest: bytes };
    while let Some(decision) = driven.byte() {
        driven.decide(decision);
        driven.turn();
    }
    driven.hub.drain(driven.now, &mut driven.outbox);
    driven.turn();
    driven.answers(usize::MAX, false);
    driven.turn();
    driven.hub.abandon(driven.now, &mut driven.outbox);
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
        match decision % 11 {
            0 => self.accept(Transport::Stream),
            1 => self.accept(Transport::ControlSocket),
            2 => self.chats(),
            3 => self.asks(),
            4 => {
                let count = self.number();
                let bytes = self.take(count);
                if let Some(id) = self.some_connection() {
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
            7 => {
                let count = self.number() % 4;
                self.answers(count, decision & 16 != 0);
            }
            8 => self.passes(),
            9 => {
                let waiting = self.some_connection().filter(|id| self.hub.pending(*id) > 0);
                if let Some(id) = waiting {
                    self.hub.blocked(id, self.now);
                }
            }
            _ => {
                let nick = self.number() % 5;
                if let Some(id) = self.some_connection() {
                    let mut frame = Vec::new();
                    let nick = ["ada", "ADA", "bob", "", "x\u{1b}"][nick];
                    proto::native::set_nickname(proto::Guid([1; 16]), nick.as_bytes(), &mut frame);
                    self.receive(id, &frame);
                }
            }
        }
    }

    fn accept(&mut self, transport: Transport) {
        let login = match transport {
            Transport::Stream => None,
            Transport::ControlSocket => proto::Nick::parse("root").ok(),
        };
        let admin = login.is_some();
        let peer = Peer {
            transport,
            address: "192.0.2.1:1".into(),
            ip: None,
            login,
            admin,
            exempt: false,
        };
        if let Ok(id) = self.hub.accept(peer, self.now, &mut self.outbox) {
            self.open.push(id);
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

    fn asks(&mut self) {
        let request = self.number();
        let (room, number) = (self.number() % 6, self.number() % 20);
        let room = ["lobby", "a", "b", "c", "d", "e"][room];
        let fields =
            format!("\"id\":\"00000000-0000-4000-8000-0000000000{number:02}\",\"room\":\"{room}\"");
        let names =
            ["join", "leave", "post", "tail", "history", "members", "rooms", "ping", "stats"];
        let name = names[request % names.len()];
        let line = format!(
            "{{\"request\":\"{name}\",{fields},\"text\":\"{number}\",\"last\":{number}}}\n"
        );
        if let Some(id) = self.some_connection() {
            self.receive(id, line.as_bytes());
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
            if written > 0 {
                self.hub.wrote(id, written, self.now, &mut self.outbox);
            }
        }
    }

    fn answers(&mut self, count: usize, refused: bool) {
        let count = count.min(self.held.len());
        let outcome = if refused { Err(StoreError) } else { Ok(()) };
        let answers: Vec<Answer> = self
            .held
            .drain(..count)
            .map(|record| Answer { ticket: record.ticket, outcome })
            .collect();
        self.hub.stored(&answers, self.now, &mut self.outbox);
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
                        self.hub.reaped(id, self.now, &mut self.outbox);
                    }
                    Effect::Notice(notice) => drop(notice.to_string()),
                    Effect::Measure(measure) => {
                        let answers = vec![hub::Measured::default(); measure.connections.len()];
                        self.hub.measured(&measure, &answers, self.now, &mut self.outbox);
                    }
                    Effect::LogLevel(_) | Effect::Stop => {}
                }
            }
            self.hub.settle(self.now, &mut self.outbox);
            self.outbox.flush.clear();
            if self.outbox.effects.is_empty() {
                break;
            }
        }
        self.hub.check_invariants();
    }
}
