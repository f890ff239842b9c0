//! What the hub's tests share: a caller that does what the turn does, over connections that are buffers.

extern crate std;

use std::collections::VecDeque;
use std::string::{String, ToString};
use std::vec;
use std::vec::Vec;

use proto::{Guid, MessageId, Nick, Now, RoomName, Seq, Span, Transport, WallTime, native};

use crate::tests::disk::Disk;
use crate::{
    Answer, CloseReason, ConnId, Durability, Effect, Fetch, Fetched, HangUp, Hub, Level, Measured,
    Notice, Outbox, Outcome, Peer, Record, RefusalReason, Rights, Settings,
};

/// What the store does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreMode {
    AtOnce,
    Holds,
}

/// The caller of a hub.
pub(crate) struct Turn {
    pub(crate) hub: Hub,
    pub(crate) now: Now,
    pub(crate) store: StoreMode,
    pub(crate) held: Vec<Record>,
    /// What is kept where the history is durable.
    pub(crate) disk: Disk,
    /// The store waits with what it was asked to find.
    pub(crate) finds_late: bool,
    pub(crate) fetches: VecDeque<Fetch>,
    pub(crate) notices: Vec<Notice>,
    pub(crate) flush: Vec<ConnId>,
    pub(crate) resumed: Vec<ConnId>,
    pub(crate) stopped: bool,
    /// How often the configuration was to be read.
    pub(crate) reloads: usize,
    /// What the kernel says of everybody.
    pub(crate) kernel: Measured,
    pub(crate) level: Option<Level>,
    pub(crate) frames: u32,
    out: Outbox,
}

/// Settings without rate limits and keepalives: what a test does not mention does not happen.
pub(crate) fn quiet() -> Settings {
    Settings {
        messages_per_s: None,
        bytes_per_s: None,
        keepalive: None,
        idle: None,
        stall: None,
        frame_timeout: None,
        ..Settings::default()
    }
}

impl Turn {
    pub(crate) fn new(settings: Settings) -> Self {
        Self::over(settings, Disk::default())
    }

    /// A hub that starts with what a disk has.
    fn over(settings: Settings, disk: Disk) -> Self {
        let now = Now::from_micros(7_000_000_000);
        let mut hub = Hub::new(settings, 1, MessageId([9; 16]), now);
        hub.restore(&disk.rooms(), Seq(0), Seq(0));
        hub.open_lasting_rooms(WallTime::from_micros(1_000_000), &mut Outbox::default());
        hub.wall_is(WallTime::from_micros(1_000_000), now);
        Self {
            hub,
            now,
            store: StoreMode::AtOnce,
            held: Vec::new(),
            disk,
            finds_late: false,
            fetches: VecDeque::new(),
            notices: Vec::new(),
            flush: Vec::new(),
            resumed: Vec::new(),
            stopped: false,
            reloads: 0,
            kernel: Measured::default(),
            level: None,
            frames: u32::MAX,
            out: Outbox::default(),
        }
    }

    /// A TCP connection that has said nothing.
    pub(crate) fn dial(&mut self) -> ConnId {
        self.accept(Transport::Stream, None)
    }

    /// A v0.5 client that has said something.
    pub(crate) fn native(&mut self) -> ConnId {
        let id = self.dial();
        self.say(id, &keepalive());
        id
    }

    /// A connection of the control socket.
    pub(crate) fn control(&mut self, login: &str) -> ConnId {
        self.accept(Transport::ControlSocket, Some(login))
    }

    fn accept(&mut self, transport: Transport, login: Option<&str>) -> ConnId {
        let peer = Peer {
            transport,
            address: "here:1".into(),
            ip: None,
            login: login.map(|login| Nick::parse(login).unwrap()),
            rights: if login == Some("root") { Rights::ADMIN } else { Rights::TALK },
            exempt: false,
            protocols: proto::Protocols::ALL,
        };
        self.arrive(peer).unwrap()
    }

    /// A connection of such a peer, or why it may not come.
    pub(crate) fn arrive(&mut self, peer: Peer) -> Result<ConnId, RefusalReason> {
        let arrived = self.hub.accept(peer, self.now, &mut self.out);
        self.drain();
        arrived.map_err(|refusal| refusal.reason)
    }

    /// One input of bytes, and the rest of its turn.
    pub(crate) fn say(&mut self, id: ConnId, bytes: &[u8]) {
        self.say_more(id, bytes);
        self.settle();
    }

    /// One input of bytes in a turn that goes on.
    pub(crate) fn say_more(&mut self, id: ConnId, bytes: &[u8]) {
        let mut frames = self.frames;
        self.hub.receive(id, bytes, &mut frames, self.now, &mut self.out);
        self.drain();
    }

    /// One request of v1.
    pub(crate) fn ask(&mut self, id: ConnId, json: &str) {
        self.say(id, std::format!("{json}\n").as_bytes());
    }

    pub(crate) fn hang_up(&mut self, id: ConnId, how: HangUp) {
        self.hub.hang_up(id, how, self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    pub(crate) fn stop(&mut self) {
        self.hub.drain(self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    pub(crate) fn abandon(&mut self) {
        self.hub.abandon(self.now, &mut self.out);
        self.drain();
    }

    /// The operator decided anew.
    pub(crate) fn reloads_as(&mut self, settings: Settings) {
        self.hub.reload(self.now, &mut self.out);
        self.drain();
        self.hub.reloaded(Ok(settings), self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    /// The end of the turn.
    pub(crate) fn settle(&mut self) {
        self.hub.settle(self.now, &mut self.out);
        self.drain();
        while self.hub.is_said_full() {
            self.hub.offered(self.now, &mut self.out);
            self.drain();
            self.hub.settle(self.now, &mut self.out);
            self.drain();
        }
        self.hub.offered(self.now, &mut self.out);
        self.hub.settle(self.now, &mut self.out);
        self.drain();
    }

    /// The store answers its oldest messages.
    pub(crate) fn answer(&mut self, count: usize, stored: bool) {
        let mut answers = Vec::new();
        for record in self.held.drain(..count).collect::<Vec<_>>() {
            let outcome = if stored { self.keep(&record) } else { Outcome::Refused };
            answers.push(Answer { ticket: record.ticket, outcome });
        }
        self.hub.stored(&answers, self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    /// What a store that works makes of a post.
    fn keep(&mut self, record: &Record) -> Outcome {
        if self.hub.settings().durability == Durability::None {
            return Outcome::Stored;
        }
        self.disk.keep(record)
    }

    /// The store says this of the oldest message that it holds.
    pub(crate) fn says(&mut self, outcome: Outcome) {
        let record = self.held.remove(0);
        if outcome == Outcome::Stored || outcome == (Outcome::Unknown { stored: true }) {
            self.keep(&record);
        }
        self.hub.stored(&[Answer { ticket: record.ticket, outcome }], self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    /// The message that came last may be said, and is still to be decided.
    pub(crate) fn takes(&mut self) {
        let ticket = self.held.last().unwrap().ticket;
        let answer = Answer { ticket, outcome: Outcome::Taken };
        self.hub.stored(&[answer], self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    /// The store finds what it was asked for first, if that is anything.
    pub(crate) fn find(&mut self) -> bool {
        let Some(fetch) = self.fetches.pop_front() else { return false };
        self.finds(self.disk.find(&fetch));
        true
    }

    /// The store found this.
    pub(crate) fn finds(&mut self, fetched: Fetched) {
        self.hub.fetched(fetched, self.now, &mut self.out);
        self.drain();
        self.settle();
    }

    /// Retention takes a room's messages up to a place.
    pub(crate) fn prune(&mut self, room: &str, through: u64) {
        let room = RoomName::parse(room).unwrap();
        if let Some(pruned) = self.disk.prune(&room, Seq(through)) {
            self.hub.pruned(&pruned, self.now);
            self.drain();
        }
    }

    /// Another daemon, of the same settings, on the same disk.
    pub(crate) fn restarted(self) -> Self {
        Self::over(self.hub.settings().clone(), self.disk)
    }

    /// Time goes by, in turns of 10 ms.
    pub(crate) fn wait(&mut self, millis: u64) {
        let end = self.now.after(Span::from_millis(millis));
        while self.now < end {
            self.now = self.now.after(Span::from_millis(10)).min(end);
            self.hub.wall_is(WallTime::from_micros(2_000_000), self.now);
            while self.hub.expire(self.now, 4, &mut self.out) == 4 {
                self.drain();
            }
            self.drain();
            for id in std::mem::take(&mut self.resumed) {
                self.say_more(id, &[]);
            }
            self.settle();
        }
    }

    /// The peer reads all that waits for it.
    pub(crate) fn read(&mut self, id: ConnId) -> Vec<u8> {
        self.read_some(id, usize::MAX)
    }

    /// The peer reads at most so many bytes.
    pub(crate) fn read_some(&mut self, id: ConnId, most: usize) -> Vec<u8> {
        let mut taken = Vec::new();
        while taken.len() < most && self.hub.pending(id) > 0 {
            let mut slices = vec![&[][..]; 3];
            let count = self.hub.gather(id, &mut slices);
            let mut bytes = slices[..count].concat();
            bytes.truncate(most - taken.len());
            self.hub.wrote(id, bytes.len(), self.now, &mut self.out);
            taken.extend(bytes);
            self.hub.check_invariants();
        }
        self.drain();
        taken
    }

    /// What a v0.5 client reads: `from: text` of each broadcast, other frames by their type.
    pub(crate) fn heard(&mut self, id: ConnId) -> Vec<String> {
        let bytes = self.read(id);
        spoken(&bytes)
    }

    /// The lines that a control client reads.
    pub(crate) fn lines(&mut self, id: ConnId) -> Vec<String> {
        let bytes = self.read(id);
        lines(&bytes)
    }

    /// Why a connection was closed.
    pub(crate) fn closed(&self, id: ConnId) -> Option<CloseReason> {
        self.notices.iter().find_map(|notice| {
            let Notice::Closed { id: closed, reason, .. } = notice else { return None };
            (*closed == id).then(|| reason.clone())
        })
    }

    fn drain(&mut self) {
        self.flush.append(&mut self.out.flush);
        while let Some(effect) = self.out.effects.pop_front() {
            match effect {
                Effect::Store(record) if self.store == StoreMode::AtOnce => {
                    let answer = Answer { ticket: record.ticket, outcome: self.keep(&record) };
                    self.hub.stored(&[answer], self.now, &mut self.out);
                }
                Effect::Store(record) => self.held.push(record),
                Effect::Resume(id) => self.resumed.push(id),
                Effect::Close(id) => self.hub.reaped(id, self.now, &mut self.out),
                Effect::Notice(notice) => self.notices.push(notice),
                Effect::Measure(measure) => {
                    let answers = vec![self.kernel; measure.connections.len()];
                    self.hub.measured(&measure, &answers, self.now, &mut self.out);
                }
                Effect::LogLevel(level) => self.level = Some(level),
                Effect::Reload => self.reloads += 1,
                Effect::Stop => self.stopped = true,
                Effect::Fetch(fetch) if self.finds_late => self.fetches.push_back(fetch),
                Effect::Fetch(fetch) => {
                    self.hub.fetched(self.disk.find(&fetch), self.now, &mut self.out);
                }
                // Its peer has nothing more to say either.
                Effect::Finish(id) => {
                    self.hub.hang_up(id, HangUp::Eof, self.now, &mut self.out);
                }
                Effect::Stall(_) => {}
            }
            self.flush.append(&mut self.out.flush);
        }
        self.hub.check_invariants();
    }
}

pub(crate) fn keepalive() -> Vec<u8> {
    let mut bytes = Vec::new();
    native::keepalive(&mut bytes);
    bytes
}

pub(crate) fn chat(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    native::chat(text.as_bytes(), &mut bytes);
    bytes
}

pub(crate) fn nick(request: u8, name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    native::set_nickname(Guid([request; 16]), name.as_bytes(), &mut bytes);
    bytes
}

/// A message id that is easily read.
pub(crate) fn uuid(count: u32) -> String {
    std::format!("00000000-0000-4000-8000-{count:012}")
}

/// Whether a line has all of these.
pub(crate) fn has(line: &str, parts: &[&str]) -> bool {
    parts.iter().all(|part| line.contains(part))
}

pub(crate) fn lines(bytes: &[u8]) -> Vec<String> {
    String::from_utf8(bytes.to_vec()).unwrap().lines().map(ToString::to_string).collect()
}

/// Native frames as text; a half one at the end is an error.
pub(crate) fn spoken(mut bytes: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while !bytes.is_empty() {
        let length = u32::from_be_bytes(bytes[..4].try_into().unwrap()) as usize;
        let kind = u32::from_be_bytes(bytes[4..8].try_into().unwrap());
        let payload = &bytes[8..4 + length];
        bytes = &bytes[4 + length..];
        all.push(match kind {
            1 => {
                let from = usize::from(payload[0]);
                let text = String::from_utf8_lossy(&payload[1 + from + 2..]);
                std::format!("{}: {text}", String::from_utf8_lossy(&payload[1..=from]))
            }
            2 => "keepalive".into(),
            4 => std::format!("ack {}", payload[0]),
            5 => std::format!("nak {}", payload[0]),
            other => std::format!("type {other}"),
        });
    }
    all
}
