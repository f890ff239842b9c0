//! A hub, its peers by name, its clock and its store, as a script moves them.
//!
//! After each command the world does what a turn of the daemon does: carries out effects, settles, writes to whoever reads, reaps.

use std::collections::{BTreeMap, VecDeque};
use std::net::{IpAddr, SocketAddr};

use hub::{
    Answer, ConnId, Effect, HangUp, Hub, Level, Measured, Notice, Outbox, Peer, Process, Record,
    Rights, Settings,
};
use proto::{MessageId, Now, Protocols, Span, Transport, WallTime, ws};

use crate::said::Said;

/// 2026-01-31T12:00:00Z: when every script begins.
const BEGINNING_MICROS: i64 = 1_769_860_800_000_000;
/// The clock's own start is not zero, as no daemon's is.
const CLOCK_START_SECS: u64 = 1_000;
const SEED: u64 = 1;

/// A peer of the script.
#[derive(Debug)]
struct Connection {
    id: ConnId,
    name: String,
    transport: Transport,
    said: Said,
    /// How many bytes it takes before it reads no further; `None` where it reads all.
    takes: Option<usize>,
    /// It has gone on its own side; what is written to it is lost.
    open: bool,
    /// What it hears is not shown.
    muted: bool,
    /// It has opened a WebSocket.
    socket: bool,
}

/// What the store does with a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StoreMood {
    Answers,
    Holds,
    Refuses,
}

pub struct World {
    settings: Option<Settings>,
    hub: Option<Hub>,
    now: Now,
    connections: Vec<Connection>,
    mood: StoreMood,
    held: VecDeque<Record>,
    /// What the kernel says of everybody.
    pub kernel: Measured,
    outbox: Outbox,
    output: Vec<String>,
    ids: BTreeMap<String, usize>,
    script: String,
    ports: u16,
}

impl World {
    pub fn new(script: &str) -> Self {
        Self {
            settings: Some(Settings {
                server_name: "chatd".into(),
                version: "0".into(),
                ..Settings::default()
            }),
            hub: None,
            now: Now::default().after(Span::from_secs(CLOCK_START_SECS)),
            connections: Vec::new(),
            mood: StoreMood::Answers,
            held: VecDeque::new(),
            kernel: Measured::default(),
            outbox: Outbox::default(),
            output: Vec::new(),
            ids: BTreeMap::new(),
            script: script.to_owned(),
            ports: 1_000,
        }
    }

    /// The settings, as long as nobody has connected.
    pub fn settings(&mut self) -> &mut Settings {
        self.settings.as_mut().expect("settings come before the first connection")
    }

    pub fn hub(&mut self) -> &mut Hub {
        if let Some(settings) = self.settings.take() {
            let history = MessageId::parse("00000000-0000-4000-8000-00000000000a").unwrap();
            let mut hub = Hub::new(settings, SEED, history, self.now);
            let listeners = vec!["127.0.0.1:33333".to_owned()];
            hub.open_lasting_rooms(WallTime::from_micros(BEGINNING_MICROS), &mut self.outbox);
            hub.served_by(Process { pid: 1, descriptors_max: 1_024, listeners });
            self.hub = Some(hub);
            self.tell_wall();
        }
        self.hub.as_mut().unwrap()
    }

    fn tell_wall(&mut self) {
        let now = self.now;
        let micros = now.since(Now::default().after(Span::from_secs(CLOCK_START_SECS))).as_micros();
        let wall = WallTime::from_micros(BEGINNING_MICROS + i64::try_from(micros).unwrap());
        self.hub.as_mut().unwrap().wall_is(wall, now);
    }

    pub fn connect(&mut self, name: &str, from: IpAddr, exempt: bool, protocols: Protocols) {
        self.ports += 1;
        let address = SocketAddr::new(from, self.ports).to_string().into_boxed_str();
        self.accept(
            name,
            Peer {
                transport: Transport::Stream,
                address,
                ip: Some(from),
                login: None,
                rights: Rights::TALK,
                exempt,
                protocols,
            },
        );
    }

    pub fn connect_control(&mut self, name: &str, login: &str, rights: Rights) {
        let login = Some(proto::Nick::parse(login).unwrap());
        let address = "control".into();
        self.accept(
            name,
            Peer {
                transport: Transport::ControlSocket,
                address,
                ip: None,
                login,
                rights,
                exempt: rights == Rights::ADMIN,
                protocols: Protocols::ALL,
            },
        );
    }

    fn accept(&mut self, name: &str, peer: Peer) {
        assert!(self.connections.iter().all(|known| known.name != name || !known.open));
        let (now, transport) = (self.now, peer.transport);
        self.hub();
        let mut outbox = std::mem::take(&mut self.outbox);
        match self.hub().accept(peer, now, &mut outbox) {
            Ok(id) => self.is_there(name, id, transport),
            Err(refusal) => {
                if let Some(id) = refusal.stands {
                    self.is_there(name, id, transport);
                }
                let mut said = Said::default();
                said.add(&refusal.words);
                self.output.push(format!("{name}: refused ({})", refusal.reason.word()));
                self.output.extend(said.take().iter().map(|line| format!("{name}: {line}")));
            }
        }
        self.outbox = outbox;
        self.turn();
    }

    fn is_there(&mut self, name: &str, id: ConnId, transport: Transport) {
        let (name, said) = (name.to_owned(), Said::default());
        let (takes, open, muted, socket) = (None, true, false, false);
        let connection = Connection { id, name, transport, said, takes, open, muted, socket };
        self.connections.push(connection);
    }

    fn connection(&mut self, name: &str) -> &mut Connection {
        let found = self.connections.iter_mut().rev().find(|known| known.name == name);
        found.unwrap_or_else(|| panic!("nobody is called {name}"))
    }

    /// What a peer hears is not shown from now on.
    pub fn mute(&mut self, name: &str) {
        self.connection(name).muted = true;
    }

    /// Bytes come from a peer, as one read.
    pub fn receives(&mut self, name: &str, bytes: &[u8]) {
        let now = self.now;
        let connection = self.connection(name);
        assert!(connection.open, "{name} is closed");
        let id = connection.id;
        let mut outbox = std::mem::take(&mut self.outbox);
        let mut frames = u32::MAX;
        assert!(self.hub().wants_read(id), "{name} is not read now");
        self.hub().receive(id, bytes, &mut frames, now, &mut outbox);
        self.outbox = outbox;
        self.turn();
    }

    /// A request in its frame: a line on the control socket, a frame of type 16 over TCP.
    pub fn asks(&mut self, name: &str, json: &str) {
        let connection = self.connection(name);
        let framed = match connection.transport {
            Transport::ControlSocket => format!("{json}\n").into_bytes(),
            Transport::Stream | Transport::Proxied if connection.socket => {
                self.sends(name, ws::Opcode::Text, json.as_bytes());
                return;
            }
            Transport::Stream | Transport::Proxied => tests::native::frame(16, json.as_bytes()),
        };
        self.receives(name, &framed);
    }

    /// Asks for a WebSocket.
    pub fn opens(&mut self, name: &str) {
        self.connection(name).socket = true;
        let asked = "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
                     Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
                     Sec-WebSocket-Protocol: chat.v1\r\n\r\n";
        self.receives(name, asked.as_bytes());
    }

    /// A frame of a WebSocket.
    pub fn sends(&mut self, name: &str, opcode: ws::Opcode, payload: &[u8]) {
        let mut frame = Vec::new();
        ws::masked_frame(opcode, payload, [1, 2, 3, 4], &mut frame);
        self.receives(name, &frame);
    }

    pub fn is_read(&mut self, name: &str) -> bool {
        let id = self.connection(name).id;
        self.hub().wants_read(id)
    }

    pub fn hangs_up(&mut self, name: &str, how: HangUp) {
        let now = self.now;
        let id = self.connection(name).id;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub().hang_up(id, how, now, &mut outbox);
        self.outbox = outbox;
        self.turn();
    }

    /// The peer takes so many bytes more, then no others; `None`: all.
    pub fn takes(&mut self, name: &str, bytes: Option<usize>) {
        self.connection(name).takes = bytes;
        self.turn();
    }

    pub fn store(&mut self, mood: StoreMood) {
        self.mood = mood;
    }

    /// The store answers the oldest messages that it holds.
    pub fn stored(&mut self, count: usize, refused: bool) {
        let answers: Vec<Answer> = self
            .held
            .drain(..count)
            .map(|record| Answer {
                ticket: record.ticket,
                outcome: if refused { hub::Outcome::Refused } else { hub::Outcome::Stored },
            })
            .collect();
        let now = self.now;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub().stored(&answers, now, &mut outbox);
        self.outbox = outbox;
        self.turn();
    }

    pub fn drain(&mut self) {
        let now = self.now;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub().drain(now, &mut outbox);
        self.outbox = outbox;
        self.turn();
    }

    /// The operator's wish by signal.
    pub fn reload(&mut self) {
        let now = self.now;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub().reload(now, &mut outbox);
        self.outbox = outbox;
        self.turn();
    }

    /// What became of the reload that was asked for first.
    pub fn reloaded(&mut self, outcome: Result<Settings, String>) {
        let now = self.now;
        let mut outbox = std::mem::take(&mut self.outbox);
        self.hub().reloaded(outcome, now, &mut outbox);
        self.outbox = outbox;
        self.turn();
    }

    /// Time passes; every timer fires at its own moment.
    pub fn advance(&mut self, span: Span) {
        let end = self.now.after(span);
        while let Some(due) = self.hub().deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.tell_wall();
            let now = self.now;
            let mut outbox = std::mem::take(&mut self.outbox);
            self.hub().expire(now, 256, &mut outbox);
            self.outbox = outbox;
            self.turn();
        }
        self.now = end;
        self.tell_wall();
    }

    fn turn(&mut self) {
        for rounds in 0.. {
            assert!(rounds < 1_000, "the turn never comes to rest");
            let effects = self.effects();
            let now = self.now;
            let mut outbox = std::mem::take(&mut self.outbox);
            self.hub().offered(now, &mut outbox);
            self.hub().settle(now, &mut outbox);
            self.outbox = outbox;
            let written = self.flush();
            if !effects && !written && self.outbox.effects.is_empty() {
                break;
            }
        }
        self.hub().check_invariants();
        self.show();
    }

    fn effects(&mut self) -> bool {
        let mut any = false;
        let now = self.now;
        while let Some(effect) = self.outbox.effects.pop_front() {
            any = true;
            let mut outbox = std::mem::take(&mut self.outbox);
            match effect {
                Effect::Store(record) => match self.mood {
                    StoreMood::Holds => self.held.push_back(record),
                    mood => {
                        let outcome = if mood == StoreMood::Refuses {
                            hub::Outcome::Refused
                        } else {
                            hub::Outcome::Stored
                        };
                        let answer = Answer { ticket: record.ticket, outcome };
                        self.hub().stored(&[answer], now, &mut outbox);
                    }
                },
                Effect::Resume(id) => {
                    let mut frames = u32::MAX;
                    self.hub().receive(id, &[], &mut frames, now, &mut outbox);
                }
                Effect::Close(id) => {
                    self.show();
                    let connection = self.connections.iter_mut().find(|known| known.id == id);
                    let connection = connection.unwrap();
                    connection.open = false;
                    let line = format!("{}: (end)", connection.name);
                    self.output.push(line);
                    self.hub().reaped(id, now, &mut outbox);
                }
                Effect::Finish(id) => {
                    self.show();
                    let connection = self.connections.iter().find(|known| known.id == id);
                    self.output.push(format!("{}: (no more)", connection.unwrap().name));
                }
                Effect::Notice(notice) => self.notice(&notice),
                Effect::Measure(measure) => {
                    let answers = vec![self.kernel; measure.connections.len()];
                    self.hub().measured(&measure, &answers, now, &mut outbox);
                }
                Effect::LogLevel(level) => {
                    self.output.push(format!("the log is set to {}", level.word()));
                }
                Effect::Fetch(_) => {}
                Effect::Stall(span) => {
                    self.output
                        .push(format!("the daemon does nothing for {} ms", span.as_millis()));
                }
                Effect::Reload => self.output.push(String::from("the configuration is to be read")),
                Effect::Stop => self.output.push(String::from("the daemon is to stop")),
            }
            // What came of it is behind what was there.
            self.outbox.effects.append(&mut outbox.effects);
            self.outbox.flush.append(&mut outbox.flush);
        }
        any
    }

    fn notice(&mut self, notice: &Notice) {
        let id = notice.subject().connection;
        let name = self.connections.iter().find(|known| Some(known.id) == id);
        let name = name.map_or("log", |known| &known.name);
        match notice {
            Notice::Closed { reason, .. } => {
                let line = format!("log: {name} closed ({}): {reason}", reason.word());
                self.output.push(line);
            }
            Notice::Paused { .. } => self.output.push(format!("log: {name} paused")),
            notice if notice.level() > Level::Debug => {
                self.output.push(format!("log: {notice}"));
            }
            _ => {}
        }
    }

    /// One write to each connection that has something to write and reads.
    fn flush(&mut self) -> bool {
        let mut written = false;
        let now = self.now;
        let mut outbox = std::mem::take(&mut self.outbox);
        outbox.flush.clear();
        let hub = self.hub.as_mut().unwrap();
        for connection in self.connections.iter_mut().filter(|connection| connection.open) {
            if hub.pending(connection.id) == 0 {
                continue;
            }
            let mut slices: [&[u8]; 64] = [&[]; 64];
            let filled = hub.gather(connection.id, &mut slices);
            let mut bytes = slices[..filled].concat();
            if let Some(takes) = &mut connection.takes {
                bytes.truncate(*takes);
                *takes -= bytes.len();
            }
            if bytes.is_empty() {
                hub.blocked(connection.id, now);
                continue;
            }
            connection.said.add(&bytes);
            hub.wrote(connection.id, bytes.len(), now, &mut outbox);
            written = true;
        }
        self.outbox = outbox;
        written
    }

    /// Moves what is whole of what was said into the output, connection by connection.
    fn show(&mut self) {
        for connection in &mut self.connections {
            for line in connection.said.take().into_iter().filter(|_| !connection.muted) {
                let line = format!("{}: {line}", connection.name);
                self.output.push(masked(&line, &self.script, &mut self.ids));
            }
        }
    }

    pub fn note(&mut self, line: String) {
        self.output.push(line);
    }

    /// What was said since, the same line several times as one.
    pub fn take_output(&mut self) -> Vec<String> {
        let mut output: Vec<(String, usize)> = Vec::new();
        for line in std::mem::take(&mut self.output) {
            match output.last_mut() {
                Some((last, times)) if *last == line => *times += 1,
                _ => output.push((line, 1)),
            }
        }
        let shown = |(line, times)| match times {
            1 => line,
            _ => format!("{line} ({times} times)"),
        };
        output.into_iter().map(shown).collect()
    }

    /// A script's end is no excuse: nothing may be left half said to a peer that read everything.
    pub fn ends(&mut self) {
        for connection in &self.connections {
            assert!(
                connection.said.is_empty() || connection.takes.is_some(),
                "{} was left with half a frame",
                connection.name
            );
        }
    }
}

/// Puts `<id 1>`, `<id 2>` in the place of message ids that the script did not choose: they hang on the hub's chance.
fn masked(line: &str, script: &str, ids: &mut BTreeMap<String, usize>) -> String {
    const MARK: &str = "\"message_id\":\"";
    let Some(at) = line.find(MARK) else { return line.to_owned() };
    let begin = at + MARK.len();
    let id = &line[begin..begin + 36];
    if script.contains(&format!("\"id\":\"{id}\"")) {
        return line.to_owned();
    }
    let next = ids.len() + 1;
    let number = *ids.entry(id.to_owned()).or_insert(next);
    line.replace(id, &format!("<id {number}>"))
}
