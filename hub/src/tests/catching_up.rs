//! Catching up, against a model: whatever is asked for in the middle of whatever else, a reader hears each kept message once and
//! in order, and every hole has its gap.

extern crate std;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::format;
use std::string::String;
use std::vec;
use std::vec::Vec;

use proptest::prelude::*;
use proto::{RoomName, Seq};

use super::replay::{last_released, number, post, room_no, text};
use crate::rooms::Standing;
use crate::testing::{StoreMode, Turn, quiet};
use crate::{ConnId, Durability, Settings};

const ROOMS: [&str; 2] = ["ops", "dev"];

#[derive(Clone, Debug)]
enum Step {
    /// To which room, how long, by the reader itself.
    Post(usize, usize, bool),
    /// The store answers so many that it holds, and takes them.
    Answer(usize, bool),
    Holds(bool),
    Read(usize),
    Settle,
    Join(usize, Option<u64>),
    Leave(usize),
    TailLast(usize, u32),
    /// The store finds what it was asked for.
    Find,
    FindsLate(bool),
    /// Retention takes so many of a room's kept messages.
    Prune(usize, usize),
}

fn step() -> impl Strategy<Value = Step> {
    let room = || 0..ROOMS.len();
    let length = prop_oneof![9 => 1_usize..400, 1 => 400_usize..4_000];
    prop_oneof![
        12 => (room(), length, proptest::bool::weighted(0.1)).prop_map(|(room, length, own)| Step::Post(room, length, own)),
        2 => (1_usize..6, proptest::bool::weighted(0.8)).prop_map(|(count, taken)| Step::Answer(count, taken)),
        1 => any::<bool>().prop_map(Step::Holds),
        8 => (1_usize..2_500).prop_map(Step::Read),
        3 => Just(Step::Settle),
        3 => (room(), proptest::option::weighted(0.8, 0_u64..40)).prop_map(|(room, after)| Step::Join(room, after)),
        1 => room().prop_map(Step::Leave),
        1 => (room(), 0_u32..30).prop_map(|(room, last)| Step::TailLast(room, last)),
        4 => Just(Step::Find),
        1 => any::<bool>().prop_map(Step::FindsLate),
        1 => (room(), 0_usize..5).prop_map(|(room, count)| Step::Prune(room, count)),
    ]
}

/// What a reader of one room is owed.
#[derive(Debug, Default)]
struct Expected {
    /// The next number; nothing while it does not hear the room.
    next: Option<u64>,
    /// Replays of which nothing was read: the request, where it begins, whether a gap began there.
    replays: VecDeque<(String, u64, bool)>,
    /// Own messages whose reply was read.
    own: BTreeSet<u64>,
    /// Every message that was taken and is kept.
    taken: BTreeSet<u64>,
    /// Those that retention took.
    pruned: BTreeSet<u64>,
}

impl Expected {
    /// Whether nothing that was taken lies between.
    fn is_whole(&self, from: u64, to: u64) -> bool {
        self.taken.range(from..to.max(from)).next().is_none()
    }

    /// Whether this message or gap is what comes next.
    fn is_next(&self, seq: u64) -> bool {
        self.next.is_some_and(|next| next <= seq && self.is_whole(next, seq))
    }

    fn message(&mut self, seq: u64, history: Option<&str>) {
        let said = self.taken.contains(&seq) || self.pruned.contains(&seq);
        assert!(said, "nobody said {seq}");
        if let Some((_, at, covered)) = self.replays.pop_front_if(|(id, _, _)| history == Some(id))
        {
            if at <= seq && self.is_whole(at, seq) {
                self.next = Some(at);
            } else {
                assert!(covered, "the replay begins at {at}, not at {seq}");
            }
        }
        if history.is_some() && self.own.contains(&seq) && self.next > Some(seq) {
            return;
        }
        assert!(self.is_next(seq), "{seq} came, {:?} is next", self.next);
        self.next = Some(seq + 1);
    }

    fn gap(&mut self, from: u64, to: u64) {
        assert!(from <= to, "a gap is not empty");
        let next = self.is_next(from);
        let begins =
            self.replays.front().is_some_and(|(_, at, _)| *at <= from && self.is_whole(*at, from));
        // Its own message, of which it has the reply, was too long to be replayed.
        let is_own = from == to && self.own.contains(&from) && self.next > Some(from);
        if is_own && !next && !begins {
            return;
        }
        assert!(next || begins, "gap {from}-{to}, {:?} is next", self.next);
        if let Some((_, _, covered)) = self.replays.front_mut().filter(|_| begins) {
            *covered = true;
        }
        self.next = Some(to + 1);
    }

    /// A request that replays was answered: everything up to the room's last message was given.
    fn replayed(&mut self, id: &str, last: Option<u64>) {
        if let Some((_, at, covered)) = self.replays.pop_front_if(|(other, _, _)| *other == id)
            && !covered
        {
            self.next = Some(at);
        }
        let next = self.next.expect("who was replayed a room hears it");
        assert!(last.is_none_or(|last| self.is_whole(next, last + 1)), "all before {id}");
    }
}

/// What was asked for, of which room.
#[derive(Clone, Copy, Debug)]
enum Asked {
    Post,
    /// It is replayed, and heard from there on.
    Replay,
    /// It is heard from this number on, unless it is heard already.
    Hear(u64),
    Leave,
    Nothing,
}

/// A reader of two rooms, and what it must hear.
struct World {
    turn: Turn,
    author: ConnId,
    reader: ConnId,
    rooms: [Expected; 2],
    asked: BTreeMap<String, (usize, Asked)>,
    rest: Vec<u8>,
    count: u32,
}

impl World {
    fn new(settings: Settings) -> Self {
        let mut turn = Turn::new(settings);
        let (author, reader) = (turn.control("ada"), turn.control("bob"));
        for room in ROOMS {
            turn.ask(author, &format!(r#"{{"request":"join","id":"j","room":"{room}"}}"#));
        }
        let rooms = [Expected::default(), Expected::default()];
        Self { turn, author, reader, rooms, asked: BTreeMap::new(), rest: Vec::new(), count: 0 }
    }

    fn act(&mut self, step: &Step) {
        match *step {
            Step::Post(room, length, own) => {
                self.count += 1;
                if own {
                    let id = format!("00000000-0000-4000-8000-{:012}", self.count);
                    self.asked.insert(id, (room, Asked::Post));
                }
                let who = if own { self.reader } else { self.author };
                post(&mut self.turn, who, self.count, ROOMS[room], length);
                self.turn.read(self.author);
                if self.turn.store == StoreMode::AtOnce {
                    let no = room_no(&self.turn, ROOMS[room]).unwrap();
                    let seq = self.turn.hub.rooms.known(no).last_taken;
                    self.rooms[room].taken.insert(seq.0);
                }
            }
            Step::Answer(count, taken) => {
                let count = count.min(self.turn.held.len());
                for record in self.turn.held[..count].iter().filter(|_| taken) {
                    let room = ROOMS.iter().position(|room| *room == record.room.as_str());
                    self.rooms[room.unwrap()].taken.insert(record.seq.0);
                }
                self.turn.answer(count, taken);
                self.turn.read(self.author);
            }
            Step::Holds(holds) => {
                self.turn.store = if holds { StoreMode::Holds } else { StoreMode::AtOnce };
            }
            Step::Read(most) => self.read(most),
            Step::Settle => self.turn.settle(),
            Step::Join(room, after) => {
                let fields = after.map(|after| format!(",\"after\":{after}"));
                let begin = after.map_or(u64::MAX, |after| after + 1);
                self.ask(room, begin, "join", &fields.unwrap_or_default());
            }
            Step::Leave(room) => {
                let stays = self.standing(room) != Some(Standing::Joined);
                let asked = if stays { Asked::Nothing } else { Asked::Leave };
                self.say(room, asked, "leave", "");
            }
            Step::TailLast(room, last) => {
                let begin = room_no(&self.turn, ROOMS[room]).and_then(|no| {
                    let recent = self.turn.hub.rooms.known(no).recent.iter();
                    let mut kept: BTreeSet<Seq> = recent.map(|recent| recent.seq).collect();
                    let released = last_released(&self.turn, ROOMS[room]);
                    let stored = self.turn.disk.places(&RoomName::parse(ROOMS[room]).unwrap());
                    kept.extend(stored.iter().filter(|seq| seq.0 <= released));
                    kept.iter().nth(kept.len().saturating_sub(last as usize)).map(|seq| seq.0)
                });
                self.ask(room, begin.unwrap_or(u64::MAX), "tail", &format!(",\"last\":{last}"));
            }
            Step::Find => {
                self.turn.find();
            }
            Step::FindsLate(late) => self.turn.finds_late = late,
            Step::Prune(room, count) => {
                let stored = self.turn.disk.places(&RoomName::parse(ROOMS[room]).unwrap());
                // What is stored has the order in which it was posted.
                let is_ordered = self.turn.held.is_empty();
                let some = stored.iter().take(count).filter(|_| is_ordered);
                let Some(through) = some.max() else { return };
                self.turn.prune(ROOMS[room], through.0);
                let expected = &mut self.rooms[room];
                expected.pruned.extend(expected.taken.range(..=through.0));
                expected.taken.retain(|seq| *seq > through.0);
            }
        }
    }

    /// A request to hear a room, replayed from a number on.
    fn ask(&mut self, room: usize, begin: u64, request: &str, fields: &str) {
        let last = last_released(&self.turn, ROOMS[room]);
        let busy = room_no(&self.turn, ROOMS[room])
            .is_some_and(|no| self.turn.hub.may_be_replayed(self.reader, no).is_err());
        let asked = match (busy, fields.is_empty(), begin <= last) {
            (true, false, _) => Asked::Nothing,
            (false, _, true) => Asked::Replay,
            _ => Asked::Hear(last + 1),
        };
        let id = self.say(room, asked, request, fields);
        if matches!(asked, Asked::Replay) {
            self.rooms[room].replays.push_back((id, begin, false));
        }
    }

    fn say(&mut self, room: usize, asked: Asked, request: &str, fields: &str) -> String {
        self.count += 1;
        let (id, name) = (format!("r{}", self.count), ROOMS[room]);
        let place = if request == "tail" {
            format!("\"rooms\":[\"{name}\"]")
        } else {
            format!("\"room\":\"{name}\"")
        };
        self.asked.insert(id.clone(), (room, asked));
        let json = format!(r#"{{"request":"{request}","id":"{id}",{place}{fields}}}"#);
        self.turn.ask(self.reader, &json);
        id
    }

    fn standing(&self, room: usize) -> Option<Standing> {
        let no = room_no(&self.turn, ROOMS[room])?;
        self.turn.hub.rooms.known(no).member(self.reader).map(|member| member.standing)
    }

    fn read(&mut self, most: usize) {
        let bytes = self.turn.read_some(self.reader, most);
        self.rest.extend(bytes);
        while let Some(end) = self.rest.iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.rest.drain(..=end).collect();
            self.hear(String::from_utf8(line).unwrap().trim_end());
        }
    }

    fn hear(&mut self, line: &str) {
        let of = |key: &str| number(line, key);
        let named = text(line, "room").and_then(|name| ROOMS.iter().position(|room| *room == name));
        match text(line, "event").as_deref() {
            Some("message") => {
                let history = text(line, "history");
                self.rooms[named.unwrap()].message(of("seq").unwrap(), history.as_deref());
            }
            Some("gap") => {
                self.rooms[named.unwrap()].gap(of("from_seq").unwrap(), of("to_seq").unwrap());
            }
            Some("joined" | "left" | "bye") => {}
            Some(_) => panic!("what is this: {line}"),
            None => {
                let id = text(line, "reply").unwrap();
                let (room, asked) = self.asked.remove(&id).expect("each is answered once");
                let done = line.contains("\"ok\":true");
                let expected = &mut self.rooms[room];
                match asked {
                    Asked::Replay => expected.replayed(&id, of("seq")),
                    Asked::Hear(from) if expected.next.is_none() => expected.next = Some(from),
                    Asked::Leave if done => expected.next = None,
                    Asked::Post if done => {
                        let seq = of("seq").unwrap();
                        expected.own.insert(seq);
                        let next = expected.next.unwrap_or(u64::MAX).min(seq);
                        let took = expected.pruned.range(next..seq).next().is_some();
                        if expected.is_next(seq) && !took {
                            expected.next = Some(seq + 1);
                        }
                    }
                    Asked::Nothing | Asked::Hear(_) | Asked::Leave | Asked::Post => {}
                }
            }
        }
    }

    /// The reader takes all that comes, and has all that it is owed.
    fn finish(&mut self) {
        self.act(&Step::Answer(usize::MAX, true));
        self.act(&Step::Holds(false));
        loop {
            self.turn.settle();
            let done = self.turn.hub.pending(self.reader) == 0;
            self.read(usize::MAX);
            if done && !self.turn.find() && self.turn.hub.replaying.is_empty() {
                break;
            }
        }
        if self.turn.closed(self.reader).is_some() {
            return;
        }
        assert!(self.rest.is_empty() && self.asked.is_empty(), "{:?} is owed", self.asked);
        for (at, expected) in self.rooms.iter().enumerate() {
            assert_eq!(expected.next.is_some(), self.standing(at).is_some(), "it hears its rooms");
            let last = last_released(&self.turn, ROOMS[at]);
            let next = expected.next.unwrap_or(last + 1);
            assert!(expected.is_whole(next, last + 1), "{next} to {last} never came");
        }
    }
}

/// What its rooms said in the same turn came behind the gap of one of them, and was too much again.
#[test]
fn a_gap_is_told_while_another_room_is_too_much_again() {
    let mut world = World::new(Settings { outbox: Some(1_950), recent: Some(0), ..quiet() });
    world.act(&Step::Holds(true));
    for length in [1, 1, 1, 1, 164, 869] {
        world.act(&Step::Post(0, length, false));
    }
    world.act(&Step::Answer(4, false));
    world.act(&Step::Post(1, 128, false));
    world.act(&Step::Holds(false));
    for (room, length) in [(1, 288), (0, 242), (1, 114)] {
        world.act(&Step::Post(room, length, false));
    }
    world.act(&Step::Join(0, None));
    for (room, length) in [(1, 359), (0, 11), (1, 297)] {
        world.act(&Step::Post(room, length, false));
    }
    world.act(&Step::Join(1, None));
    world.act(&Step::Read(118));
    world.act(&Step::Answer(3, true));
    world.finish();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 384, ..ProptestConfig::default() })]
    #[test]
    fn each_kept_message_comes_once_and_in_order_and_each_hole_has_its_gap(
        outbox in proptest::option::weighted(0.8, 1_500_usize..12_000),
        recent in proptest::option::weighted(0.5, 0_usize..8_000),
        store in proptest::option::weighted(0.3, 6_000_usize..20_000),
        durable in any::<bool>(),
        steps in proptest::collection::vec(step(), 1..150),
    ) {
        let durability = if durable { Durability::Sync } else { Durability::None };
        let mut world = World::new(Settings { outbox, store, durability, recent, ..quiet() });
        for step in &steps {
            // Many refusals at once are more than a small outbox takes: an author can be cut, too.
            if [world.reader, world.author].iter().any(|id| world.turn.closed(*id).is_some()) {
                break;
            }
            world.act(step);
        }
        world.finish();
    }
}
