//! What the oracle holds against a replay: from where it was asked for, each kept message once and in order, a `gap` for what is
//! gone in its place, then the room live without a seam, and the reply behind it.

use crate::following::{Follow, Marks};
use crate::oracle::{Fate, LOBBY, Oracle};

/// A `join` or `tail` that was asked to replay something and is not answered.
#[derive(Debug)]
pub struct Catching {
    pub id: String,
    /// None are all.
    pub rooms: Vec<String>,
    /// Everything behind this number is asked for; nothing where it is not known where it begins.
    pub after: Option<u64>,
    pub is_tail: bool,
    /// The last number of each room that it came to.
    last: Marks,
    /// Gaps that came before it, or are its beginning: where they end.
    maybe: Marks,
    /// What came last of it was a gap.
    ends_with_gap: bool,
    /// The last message of each room when it was asked for.
    asked_at: Marks,
}

impl Catching {
    /// One that is to be asked for.
    pub fn of(rooms: &[String], after: Option<u64>, is_tail: bool) -> Self {
        let rooms = rooms.to_vec();
        let (last, maybe, asked_at) = (Marks::new(), Marks::new(), Marks::new());
        let id = String::new();
        Self { id, rooms, after, is_tail, last, maybe, ends_with_gap: false, asked_at }
    }

    /// It is asked for under an id, while the rooms have come so far.
    pub fn asked(self, id: String, asked_at: Marks) -> Self {
        Self { id, asked_at, ..self }
    }

    fn concerns(&self, room: &str) -> bool {
        self.rooms.is_empty() || self.rooms.iter().any(|own| own == room)
    }
}

impl Oracle {
    /// The replay of a room that a client has asked for, if it has: the one that has begun before one that has not.
    fn catching(&self, no: usize, room: &str) -> Option<usize> {
        let all = &self.ears[no].catching;
        let concerns = |catching: &(usize, &Catching)| catching.1.concerns(room);
        let mut mine = all.iter().enumerate().filter(concerns);
        let first = mine.clone().next()?.0;
        let begun = mine.find(|(_, catching)| catching.last.contains_key(room));
        Some(begun.map_or(first, |(at, _)| at))
    }

    /// Whether a client has asked for a room's replay and has no reply.
    pub fn is_catching_up(&self, no: usize, room: &str) -> bool {
        self.catching(no, room).is_some()
    }

    /// From where a room is replayed, where that is certain.
    fn after(&self, no: usize, at: usize, room: &str) -> Option<u64> {
        let all = &self.ears[no].catching;
        // Of two at once one is refused.
        let alone = all.iter().filter(|catching| catching.concerns(room)).count() == 1;
        all[at].after.filter(|_| alone)
    }

    /// The first stored message of a room in `after..before`, whoever said it.
    fn first_stored(&self, room: &str, after: u64, before: u64) -> Option<u64> {
        let log = self.rooms.get(room)?;
        if before <= after + 1 {
            return None;
        }
        let mut between = log.by_seq.range(after + 1..before);
        between
            .find(|(_, number)| self.messages[**number].fate == Fate::Stored)
            .map(|(seq, _)| *seq)
    }

    /// A message came that answers the `join` or `tail` of this id.
    pub fn replayed(&mut self, no: usize, id: &str, room: &str, seq: u64) {
        self.deliveries += 1;
        let message = &self.messages[self.rooms[room].by_seq[&seq]];
        assert_eq!(message.fate, Fate::Stored, "#{no} got seq {seq} of {room} that is not stored");
        let at = self.ears[no].catching.iter().position(|catching| catching.id == id);
        let at = at.unwrap_or_else(|| panic!("#{no} is replayed {room} for {id}"));
        assert!(self.ears[no].catching[at].concerns(room), "#{no} did not ask {id} for {room}");
        if let Some(&last) = self.ears[no].catching[at].last.get(room) {
            assert!(seq > last, "#{no} is replayed seq {seq} of {room} after {last}");
            let missed = self.first_stored(room, last, seq);
            assert!(missed.is_none(), "#{no} is replayed seq {seq} of {room} and not {missed:?}");
        } else {
            self.replay_begins(no, at, room, seq, false);
        }
        self.came_to(no, at, room, seq);
        self.reach("replay", "message");
        let catching = &mut self.ears[no].catching[at];
        catching.ends_with_gap = false;
        if catching.asked_at.get(room).is_none_or(|last| seq > *last) {
            self.reach("replay", "message of others meanwhile");
        }
    }

    /// The first message or gap of a replay begins at a number. Where it may as well be live, what the client said itself is
    /// left out.
    fn replay_begins(&mut self, no: usize, at: usize, room: &str, first: u64, may_be_live: bool) {
        let follow = self.ears[no].follows.get(room);
        let owed = follow.and_then(|follow| follow.owed_gap);
        if let Some(after) = self.after(no, at, room) {
            let told = self.ears[no].catching[at].maybe.get(room);
            let from = told.copied().filter(|to| first > *to).unwrap_or(after).max(after);
            let missed = if may_be_live {
                self.first_of_others(no, room, from, first)
            } else {
                self.first_stored(room, from, first)
            };
            assert!(
                missed.is_none(),
                "#{no}: the replay of {room} after {after} begins at {first} without {missed:?}"
            );
            assert!(
                owed.is_none_or(|owed| owed > after),
                "#{no} is owed a gap of {room} at {owed:?}, and is replayed what comes after {after}"
            );
        }
    }

    /// A replay has come to a number: the client stands there, wherever it was before.
    fn came_to(&mut self, no: usize, at: usize, room: &str, seq: u64) {
        let ear = &mut self.ears[no];
        let catching = &mut ear.catching[at];
        catching.last.insert(room.to_owned(), seq);
        let follow = ear.follows.entry(room.to_owned()).or_default();
        if catching.is_tail {
            follow.tailing = true;
        } else {
            follow.joined = true;
        }
        follow.stand_at(seq);
    }

    /// A `gap` came of a room that is being replayed: it belongs to the replay, or to what was live before or is behind it.
    pub fn gap_while_catching_up(&mut self, no: usize, room: &str, from: u64, to: u64) {
        let at = self.catching(no, room).expect("it is being replayed");
        let begun = self.ears[no].catching[at].last.contains_key(room);
        // A room that was made since everything is followed is followed from its first message on.
        let position = if self.ears[no].tails_all {
            Some(self.ears[no].follow(room).position)
        } else {
            self.ears[no].follows.get(room).map(|follow| follow.position)
        };
        assert!(from <= to, "#{no} got gap {from} to {to} of {room}");
        let inside = self.first_stored(room, from - 1, to + 1);
        assert!(inside.is_some(), "#{no}: nothing of {room} was ever in the gap {from} to {to}");
        let is_live = position.is_some_and(|position| from > position);
        if begun || is_live {
            let position = position.unwrap_or(0);
            let (from, position) = (from, self.ears[no].begin_of(room, position));
            assert!(begun || is_live, "one of both");
            assert!(from > position || !begun, "#{no} got gap {from} of {room} at {position}");
            let missed = self.first_of_others(no, room, position, from);
            assert!(missed.is_none(), "#{no}: {missed:?} of {room} is missing before gap {from}");
            if begun {
                self.came_to(no, at, room, to);
                self.ears[no].catching[at].ends_with_gap = true;
                self.reach("replay", "gap");
            } else {
                self.ears[no].catching[at].maybe.insert(room.to_owned(), to);
                if let Some(follow) = self.ears[no].follows.get_mut(room) {
                    follow.stand_at(to);
                }
            }
        } else {
            // Of a room that had nothing to be replayed it is the first thing live.
            self.replay_begins(no, at, room, from, position.is_none());
            self.came_to(no, at, room, to);
            self.ears[no].catching[at].ends_with_gap = true;
            self.reach("replay", "gap");
        }
    }

    /// A message came live of a room whose replay is not answered: perhaps there was nothing to be replayed.
    pub fn live_while_catching_up(&mut self, no: usize, room: &str, seq: u64) {
        let known = self.ears[no].tails_all || self.ears[no].follows.contains_key(room);
        let Some(at) = self.catching(no, room).filter(|_| !known) else { return };
        if let Some(after) = self.after(no, at, room) {
            let missed = self.first_of_others(no, room, after, seq);
            assert!(missed.is_none(), "#{no} is live in {room} at {seq} without {missed:?}");
        }
        self.came_to(no, at, room, seq - 1);
        self.ears[no].catching[at].last.remove(room);
    }

    /// A `join` or `tail` that replays was answered: what of it has not begun by now had nothing to be replayed.
    pub fn caught_up(&mut self, no: usize, id: &str, joined: Option<(&str, u64)>) -> Marks {
        let at = self.ears[no].catching.iter().position(|catching| catching.id == id);
        let Some(at) = at else { return Marks::new() };
        if let Some((room, seq)) = joined
            && let Some(after) = self.after(no, at, room)
            && !self.ears[no].catching[at].last.contains_key(room)
            && !self.ears[no].catching[at].maybe.contains_key(room)
        {
            let missed = self.first_stored(room, after, seq + 1);
            assert!(missed.is_none(), "#{no} was not replayed {missed:?} of {room} after {after}");
        }
        let catching = self.ears[no].catching.remove(at);
        self.forget_present(no, |room| catching.concerns(room));
        if !catching.last.is_empty() && !catching.ends_with_gap {
            self.reach("replay", "whole");
        }
        self.ears[no].cut = catching.ends_with_gap.then(|| catching.last.clone());
        catching.last
    }

    /// Some place in a room to ask for what comes after it: where the client is, or before, or anywhere.
    pub fn place(&self, no: usize, room: &str, dice: u64) -> u64 {
        let last = self.last_released(room);
        let here = self.ears[no].follows.get(room).map_or(last, |follow| follow.position);
        match dice % 4 {
            0 => here,
            1 => here.saturating_sub(dice / 4 % 20),
            2 => dice / 4 % (last + 3),
            _ => self.last_released(LOBBY).min(dice / 4 % 40),
        }
    }
}

impl Follow {
    /// Everything up to this number is accounted for, exactly.
    fn stand_at(&mut self, seq: u64) {
        self.position = seq;
        self.forget_doubts();
    }
}
