//! A whole recorded history, as the checks want it: names as numbers, in the order of time, with what is known of each message.
//!
//! It judges nothing; it refuses what no recorder writes.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

use super::{FINAL, Op, Record};

/// A name, a room, an id or a content, as a number.
pub(super) type Name = u32;

/// An event's index in the order of time.
pub(super) type At = usize;

/// Why a history cannot be checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Which line, from 1; 0 is the whole.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => to.write_str(&self.why),
            line => write!(to, "line {line}: {}", self.why),
        }
    }
}

/// One record, with names as numbers. What its kind does not have is 0.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub(super) t: u64,
    pub(super) line: usize,
    pub(super) client: Name,
    pub(super) conn: u64,
    pub(super) op: Op,
    pub(super) room: Name,
    pub(super) id: Name,
    pub(super) seq: u64,
    pub(super) to: u64,
    pub(super) hash: Name,
    pub(super) by: Name,
    pub(super) receipt: bool,
}

impl Event {
    /// Whether it hears a message, live or not.
    pub(super) fn hears(&self) -> bool {
        matches!(self.op, Op::Recv | Op::Replay)
    }

    /// Where its message is.
    pub(super) fn place(&self) -> (Name, u64) {
        (self.room, self.seq)
    }
}

/// A name by number and back. Rooms, ids and clients are different things and have numbers of their own.
#[derive(Debug, Default)]
struct Names {
    numbers: BTreeMap<Box<str>, Name>,
    texts: Vec<Box<str>>,
}

impl Names {
    fn number(&mut self, text: &str) -> Name {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = Name::try_from(self.texts.len()).unwrap();
        self.numbers.insert(text.into(), number);
        self.texts.push(text.into());
        number
    }

    fn text(&self, number: Name) -> &str {
        &self.texts[number as usize]
    }
}

/// What is known of one message id.
#[derive(Clone, Debug, Default)]
pub(super) struct Known {
    /// Each post of it.
    pub(super) posts: Vec<At>,
    /// The first acknowledgment.
    pub(super) acknowledged: Option<At>,
    /// The last answer, where no post came after it.
    pub(super) answered: Option<At>,
    /// Where the final log has it first.
    pub(super) kept: Option<At>,
}

/// What the final log has of one room.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    /// Its places, rising, each once.
    pub(super) seqs: Vec<u64>,
    /// The event of each.
    pub(super) events: Vec<At>,
    /// By place: when it or a later one was acknowledged first; never, where none was.
    said: Vec<u64>,
    /// What it says that it does not have.
    gaps: Vec<(u64, u64)>,
}

impl Kept {
    /// Which of its places lie between these two, both left out.
    pub(super) fn between(&self, after: u64, before: u64) -> Range<usize> {
        let from = self.seqs.partition_point(|seq| *seq <= after);
        from..self.seqs.partition_point(|seq| *seq < before).max(from)
    }

    /// When the message with this index, or one behind it, was acknowledged first.
    pub(super) fn said_from(&self, index: usize) -> u64 {
        self.said.get(index).copied().unwrap_or(u64::MAX)
    }

    /// Whether it says itself that it does not have this place.
    pub(super) fn tells_of(&self, seq: u64) -> bool {
        let at = self.gaps.partition_point(|(_, to)| *to < seq);
        self.gaps.get(at).is_some_and(|(from, _)| *from <= seq)
    }
}

/// A recorded history.
#[derive(Debug, Default)]
pub struct History {
    pub(super) events: Vec<Event>,
    pub(super) messages: Vec<Known>,
    pub(super) rooms: Vec<Kept>,
    /// The last moment.
    pub(super) last: u64,
    /// The one whose replay is the final log.
    pub(super) final_client: Name,
    clients: Names,
    room_names: Names,
    ids: Names,
    hashes: Names,
}

impl History {
    /// Reads JSON lines. Empty ones are passed over.
    pub fn read(text: &str) -> Result<Self, Unreadable> {
        let mut history = Self::default();
        for (number, line) in text.lines().enumerate().filter(|(_, line)| !line.is_empty()) {
            let line_no = number + 1;
            let record = serde_json::from_str(line)
                .map_err(|error| Unreadable { line: line_no, why: error.to_string() })?;
            history.add(line_no, &record)?;
        }
        history.finish()
    }

    /// Takes records.
    pub fn of(records: &[Record]) -> Result<Self, Unreadable> {
        let mut history = Self::default();
        for (number, record) in records.iter().enumerate() {
            history.add(number + 1, record)?;
        }
        history.finish()
    }

    /// How many events it has.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    fn add(&mut self, line: usize, record: &Record) -> Result<(), Unreadable> {
        let op = record.op;
        let lacks = |field: &str| Unreadable { line, why: format!("{op:?} without `{field}`") };
        let [needs_room, needs_id, needs_seq, needs_hash] = match op {
            Op::Post => [true, true, false, true],
            Op::Ok => [true, true, true, false],
            Op::No | Op::Unknown | Op::Receipt | Op::Delivered => [false, true, false, false],
            Op::Join | Op::Gap => [true, false, true, false],
            Op::Recv | Op::Replay => [true, true, true, true],
            Op::Bye | Op::Close | Op::Fault | Op::Heal => [false; 4],
        };
        let needed = |name: &str, needs: bool, field: &Option<String>| match field {
            Some(text) if needs => Ok(text.clone()),
            None if needs => Err(lacks(name)),
            _ => Ok(String::new()),
        };
        let room = needed("room", needs_room, &record.room)?;
        let id = needed("id", needs_id, &record.id)?;
        let hash = needed("hash", needs_hash, &record.hash)?;
        let by = needed("by", matches!(op, Op::Receipt | Op::Delivered), &record.by)?;
        if needs_seq && record.seq.is_none() {
            return Err(lacks("seq"));
        }
        if op == Op::Gap && record.to.is_none_or(|to| Some(to) < record.seq) {
            return Err(lacks("to"));
        }
        self.events.push(Event {
            t: record.t,
            line,
            client: self.clients.number(&record.client),
            conn: record.conn,
            op,
            room: self.room_names.number(&room),
            id: self.ids.number(&id),
            seq: record.seq.unwrap_or(0),
            to: record.to.unwrap_or(0),
            hash: self.hashes.number(&hash),
            by: self.clients.number(&by),
            receipt: record.receipt,
        });
        Ok(())
    }

    /// Puts everything into the order of time; what one client wrote down at one moment stays in its order.
    fn finish(mut self) -> Result<Self, Unreadable> {
        self.events.sort_by_key(|event| event.t);
        self.last = self.events.last().map_or(0, |event| event.t);
        self.messages = vec![Known::default(); self.ids.texts.len()];
        self.rooms = vec![Kept::default(); self.room_names.texts.len()];
        self.final_client = self.clients.number(FINAL);
        let last = self.final_client;
        if !self.events.iter().any(|event| event.client == last) {
            let why = format!("there is no final log: nothing of a client called `{FINAL}`");
            return Err(Unreadable { line: 0, why });
        }
        for (at, event) in self.events.iter().enumerate() {
            let known = &mut self.messages[event.id as usize];
            match event.op {
                Op::Post => {
                    known.posts.push(at);
                    known.answered = None;
                }
                Op::Ok => {
                    known.acknowledged.get_or_insert(at);
                    known.answered = Some(at);
                }
                Op::No | Op::Unknown => known.answered = Some(at),
                Op::Replay if event.client == last => {
                    known.kept.get_or_insert(at);
                    self.rooms[event.room as usize].events.push(at);
                }
                Op::Gap if event.client == last => {
                    self.rooms[event.room as usize].gaps.push((event.seq, event.to));
                }
                _ => {}
            }
        }
        for room in &mut self.rooms {
            room.events.sort_by_key(|at| self.events[*at].seq);
            room.events.dedup_by_key(|at| self.events[*at].seq);
            room.seqs = room.events.iter().map(|at| self.events[*at].seq).collect();
            room.gaps.sort_unstable();
            let mut first = u64::MAX;
            for at in room.events.iter().rev() {
                let known = &self.messages[self.events[*at].id as usize];
                first = known.acknowledged.map_or(first, |at| first.min(self.events[at].t));
                room.said.push(first);
            }
            room.said.reverse();
        }
        Ok(self)
    }

    /// The event of the final log that has this message, in this room.
    pub(super) fn kept(&self, id: Name, room: Name) -> Option<&Event> {
        let kept = self.messages[id as usize].kept.map(|at| &self.events[at]);
        kept.filter(|kept| kept.room == room)
    }

    /// An event in words, for a witness.
    pub(super) fn tell(&self, event: &Event) -> String {
        let (client, conn, line) = (self.clients.text(event.client), event.conn, event.line);
        let op = format!("{:?}", event.op).to_lowercase();
        let mut words = format!("line {line}: {client}/{conn} {op}");
        let (room, id) = (self.room_names.text(event.room), self.ids.text(event.id));
        for (name, text) in [("room", room), ("id", id)] {
            if !text.is_empty() {
                words.extend([" ", name, " ", text]);
            }
        }
        let place = match event.op {
            Op::Gap => format!(" {} to {}", event.seq, event.to),
            Op::Ok | Op::Recv | Op::Replay | Op::Join => format!(" at {}", event.seq),
            _ => String::new(),
        };
        words + &place
    }
}
