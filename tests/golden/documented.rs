//! The byte-level examples of docs/protocol.md, run against the hub.
//!
//! A fenced block of the language `chat` is one conversation. `NAME -> HEX  comment` is sent by a TCP connection, `NAME <- HEX` is
//! what it gets next; `NAME -> {JSON}` and `NAME <- {JSON}` are lines of a control connection, `NAME => {JSON}` and `NAME <= {JSON}`
//! frames of type 16 of a TCP connection, where `"..."` in what is got stands for any value. `NAME <- end` is a close. `TIME passes`
//! lets time pass.

use std::collections::BTreeMap;

use hub::{ConnId, Effect, Hub, Outbox, Peer, Rights, Settings};
use proto::{MessageId, Now, Span, Transport, WallTime};
use serde_json::Value;

use crate::literal::hex;

struct Talk {
    hub: Hub,
    now: Now,
    outbox: Outbox,
    peers: BTreeMap<String, (ConnId, Vec<u8>)>,
    closed: Vec<ConnId>,
}

impl Talk {
    fn new() -> Self {
        let history = MessageId::parse("00000000-0000-4000-8000-00000000000a").unwrap();
        let mut hub = Hub::new(Settings::default(), 1, history, Now::default());
        hub.wall_is(WallTime::from_micros(1_769_860_800_000_000), Now::default());
        let (outbox, peers, closed) = (Outbox::default(), BTreeMap::new(), Vec::new());
        Self { hub, now: Now::default(), outbox, peers, closed }
    }

    fn peer(&mut self, name: &str, control: bool) -> ConnId {
        if let Some((id, _)) = self.peers.get(name) {
            return *id;
        }
        let transport = if control { Transport::ControlSocket } else { Transport::Stream };
        let login = control.then(|| proto::Nick::parse(name).unwrap());
        let address = format!("192.0.2.1:{}", 1_001 + self.peers.len()).into_boxed_str();
        let rights = if control { Rights::ADMIN } else { Rights::TALK };
        let peer = Peer {
            transport,
            address,
            ip: None,
            login,
            rights,
            exempt: control,
            protocols: proto::Protocols::ALL,
        };
        let id = self.hub.accept(peer, self.now, &mut self.outbox).unwrap();
        self.peers.insert(name.to_owned(), (id, Vec::new()));
        id
    }

    fn sends(&mut self, name: &str, bytes: &[u8], control: bool) {
        let id = self.peer(name, control);
        self.hub.receive(id, bytes, &mut 1_000, self.now, &mut self.outbox);
        self.turn();
    }

    fn passes(&mut self, span: Span) {
        let end = self.now.after(span);
        while let Some(due) = self.hub.deadline().filter(|due| *due <= end) {
            self.now = self.now.max(due);
            self.hub.expire(self.now, 256, &mut self.outbox);
            self.turn();
        }
        self.now = end;
    }

    fn turn(&mut self) {
        loop {
            while let Some(effect) = self.outbox.effects.pop_front() {
                match effect {
                    Effect::Store(record) => {
                        let answer =
                            hub::Answer { ticket: record.ticket, outcome: hub::Outcome::Stored };
                        self.hub.stored(&[answer], self.now, &mut self.outbox);
                    }
                    Effect::Close(id) => {
                        self.closed.push(id);
                        self.hub.reaped(id, self.now, &mut self.outbox);
                    }
                    Effect::Measure(measure) => {
                        let answers = vec![hub::Measured::default(); measure.connections.len()];
                        self.hub.measured(&measure, &answers, self.now, &mut self.outbox);
                    }
                    Effect::Finish(id) => {
                        self.hub.hang_up(id, hub::HangUp::Eof, self.now, &mut self.outbox);
                    }
                    Effect::Resume(_)
                    | Effect::Notice(_)
                    | Effect::LogLevel(_)
                    | Effect::Fetch(_)
                    | Effect::Stall(_)
                    | Effect::Reload
                    | Effect::Stop => {}
                }
            }
            self.hub.offered(self.now, &mut self.outbox);
            self.hub.settle(self.now, &mut self.outbox);
            for (id, heard) in self.peers.values_mut().filter(|(id, _)| !self.closed.contains(id)) {
                while self.hub.pending(*id) > 0 {
                    let mut slices: [&[u8]; 8] = [&[]; 8];
                    let filled = self.hub.gather(*id, &mut slices);
                    let bytes = slices[..filled].concat();
                    heard.extend_from_slice(&bytes);
                    self.hub.wrote(*id, bytes.len(), self.now, &mut self.outbox);
                }
            }
            if self.outbox.effects.is_empty() {
                return;
            }
        }
    }

    /// The next that a connection got is a frame of type 16 with this object.
    fn hears_object(&mut self, name: &str, json: &str) {
        self.peer(name, false);
        let (_, heard) = self.peers.get_mut(name).unwrap();
        let length = heard.first_chunk().unwrap_or_else(|| panic!("{name} got nothing: {json}"));
        let end = 4 + usize::try_from(u32::from_be_bytes(*length)).unwrap();
        let frame: Vec<u8> = heard.drain(..end).collect();
        assert_eq!(frame[4..8], [0, 0, 0, 16], "{name} got {}, no {json}", hex(&frame));
        matches_line(str::from_utf8(&frame[8..]).unwrap(), json);
    }

    fn line(&mut self, line: &str) {
        if let Some(time) = line.strip_suffix(" passes") {
            let seconds = time.trim_end_matches(" s").parse().unwrap();
            return self.passes(Span::from_secs(seconds));
        }
        if let Some((name, json)) = line.split_once(" -> {") {
            return self.sends(name, format!("{{{json}\n").as_bytes(), true);
        }
        if let Some((name, json)) = line.split_once(" => ") {
            return self.sends(name, &tests::native::frame(16, json.as_bytes()), false);
        }
        if let Some((name, json)) = line.split_once(" <= ") {
            return self.hears_object(name, json);
        }
        if let Some((name, bytes)) = line.split_once(" -> ") {
            return self.sends(name, &example(bytes), false);
        }
        let (name, rest) = line.split_once(" <- ").unwrap_or_else(|| panic!("what is `{line}`?"));
        self.peer(name, rest.starts_with('{'));
        let (id, heard) = self.peers.get_mut(name).unwrap();
        if rest.starts_with("end") {
            assert!(heard.is_empty(), "{name} has heard {} before the end", hex(heard));
            assert!(self.closed.contains(id), "{name} is not closed");
        } else if rest.starts_with('{') {
            let end = heard.iter().position(|byte| *byte == b'\n').expect("a line") + 1;
            let heard: Vec<u8> = heard.drain(..end).collect();
            matches_line(&String::from_utf8(heard).unwrap(), rest);
        } else {
            let expected = example(rest);
            let count = expected.len().min(heard.len());
            let heard: Vec<u8> = heard.drain(..count).collect();
            assert_eq!(hex(&heard), hex(&expected), "{line}");
        }
    }
}

/// The bytes before the comment, which is two spaces behind them.
fn example(text: &str) -> Vec<u8> {
    let bytes = text.split("  ").next().unwrap_or_default();
    bytes.split(' ').map(|pair| u8::from_str_radix(pair, 16).unwrap()).collect()
}

fn matches_line(heard: &str, expected: &str) {
    let heard: Value = serde_json::from_str(heard).unwrap();
    let wanted: Value =
        serde_json::from_str(expected).unwrap_or_else(|e| panic!("{expected}: {e}"));
    let (fields, wanted) = (heard.as_object().unwrap(), wanted.as_object().unwrap());
    let names: Vec<&String> = fields.keys().collect();
    assert_eq!(names, wanted.keys().collect::<Vec<_>>(), "the fields of {heard}");
    for (name, value) in wanted {
        assert!(*value == "..." || *value == fields[name], "`{name}` of {heard} is no {value}");
    }
}

#[test]
fn the_examples_of_the_protocol_document_are_true() {
    let path = tests::binaries::checkout().join("docs/protocol.md");
    let text = std::fs::read_to_string(path).unwrap();
    let mut examples = 0;
    for block in text.split("```chat\n").skip(1) {
        let block = block.split("```").next().unwrap();
        let mut talk = Talk::new();
        for line in block.lines().map(str::trim).filter(|line| !line.is_empty()) {
            talk.line(line);
        }
        let left: Vec<_> = talk.peers.iter().filter(|(_, (_, heard))| !heard.is_empty()).collect();
        assert!(left.is_empty(), "the example does not say what was heard at the end: {left:?}");
        talk.hub.check_invariants();
        examples += 1;
    }
    assert!(examples >= 5, "docs/protocol.md has {examples} examples");
}
