//! What the oracle holds against a v1 receiver: rooms that it joined or tails, in one order each, own
//! replies at their place, holes only where a `gap` names them.

use std::collections::BTreeMap;

use crate::oracle::{Fate, Oracle};

/// Where a v1 receiver stands in a room.
#[derive(Debug, Default)]
pub struct Follow {
    pub joined: bool,
    pub tailing: bool,
    /// Everything up to this number is accounted for.
    pub position: u64,
    /// Where the beginning is not known exactly: nothing after this number may be missing.
    begins_by: Option<u64>,
    /// How many are shown in the room, where it is certain: as the last `presence` said, and those who came and went since.
    present: Option<i64>,
    /// A `gap` must come next and begin at this number or before: an own reply showed the hole.
    pub owed_gap: Option<u64>,
}

impl Follow {
    /// Where it is begins exactly there, and nothing is owed before it.
    pub fn forget_doubts(&mut self) {
        (self.begins_by, self.owed_gap) = (None, None);
    }
}

/// The last released numbers of all rooms at some moment.
pub type Marks = BTreeMap<String, u64>;

impl Oracle {
    /// The last released numbers of all rooms now.
    pub fn marks(&self) -> Marks {
        let last = |room: &String| self.last_released(room);
        self.rooms.keys().map(|room| (room.clone(), last(room))).collect()
    }

    /// The number of the last message that a room released.
    pub fn last_released(&self, room: &str) -> u64 {
        self.released(room).last().map_or(0, |number| self.messages[*number].seq)
    }

    /// The last number that a room took.
    fn last_taken(&self, room: &str) -> u64 {
        self.rooms[room].by_seq.last_key_value().map_or(0, |(seq, _)| *seq)
    }

    /// The first message of others in a room with a number in `after..before` that was released.
    pub fn first_of_others(&self, no: usize, room: &str, after: u64, before: u64) -> Option<u64> {
        let log = self.rooms.get(room)?;
        if before <= after + 1 {
            return None;
        }
        let between = log.by_seq.range(after + 1..before);
        let others = between.map(|(_, number)| &self.messages[*number]);
        let mut others =
            others.filter(|message| message.fate == Fate::Stored && message.author != no);
        others.next().map(|message| message.seq)
    }

    /// A room message came, live.
    pub fn room_message(&mut self, no: usize, room: &str, seq: u64) {
        self.deliveries += 1;
        self.live_while_catching_up(no, room, seq);
        let message = &self.messages[self.rooms[room].by_seq[&seq]];
        assert_eq!(
            message.fate,
            Fate::Stored,
            "#{no} got seq {seq} of {room} before it was stored"
        );
        assert_ne!(message.author, no, "#{no} got its own message, seq {seq} of {room}");
        let follow = self.ears[no].follow(room);
        let (position, begins_by) = (follow.position, follow.begins_by.take());
        assert!(follow.owed_gap.is_none(), "#{no} got seq {seq} of {room}, but a gap comes first");
        assert!(seq > position, "#{no} got seq {seq} of {room} after {position}");
        follow.position = seq;
        let from = begins_by.map_or(position, |by| by.max(position));
        let missed = self.first_of_others(no, room, from, seq);
        assert!(missed.is_none(), "#{no} got seq {seq} of {room} and never {missed:?}");
    }

    /// A message came that answers `history`.
    pub fn past_message(&mut self, no: usize, room: &str, seq: u64, last: u64) {
        let message = &self.messages[self.rooms[room].by_seq[&seq]];
        assert_eq!(message.fate, Fate::Stored, "#{no} got seq {seq} of {room} that is not stored");
        assert!(seq > last, "#{no} got past seq {seq} of {room} after {last}");
        let missed = self.first_of_others(usize::MAX, room, last, seq).filter(|_| last > 0);
        assert!(missed.is_none(), "#{no} got past seq {seq} of {room} and not {missed:?}");
    }

    /// A `gap` came: it names exactly what was left out.
    pub fn gap(&mut self, no: usize, room: &str, from: u64, to: u64) {
        if self.is_catching_up(no, room) {
            self.gap_while_catching_up(no, room, from, to);
            return;
        }
        let follow = self.ears[no].follow(room);
        let (position, owed) = (follow.position, follow.owed_gap.take());
        let begins_by = follow.begins_by.take();
        assert!(
            position < from && from <= to,
            "#{no} got gap {from} to {to} of {room} at {position}"
        );
        follow.position = to;
        assert!(
            owed.is_none_or(|owed| from <= owed),
            "#{no}: the gap of {room} at {from} hides {owed:?}"
        );
        assert!(
            to <= self.last_released(room),
            "#{no}: the gap of {room} to {to} is ahead of the room"
        );
        let base = begins_by.map_or(position, |by| by.max(position));
        let missed = self.first_of_others(no, room, base, from);
        assert!(
            missed.is_none(),
            "#{no}: {missed:?} of {room} is missing before the gap at {from}"
        );
        let inside = self.first_of_others(no, room, from - 1, to + 1);
        assert!(inside.is_some(), "#{no}: the gap {from} to {to} of {room} left nothing out");
    }

    /// Somebody joined, left or was renamed in a room.
    pub fn room_news(&mut self, no: usize, room: &str) {
        if !self.is_catching_up(no, room) {
            self.ears[no].follow(room);
        }
    }

    /// Somebody came to a room or went.
    pub fn came(&mut self, no: usize, room: &str, by: i64) {
        if let Some(follow) = self.ears[no].follows.get_mut(room) {
            follow.present = follow.present.map(|present| present + by);
        }
        self.reach("hear", if by > 0 { "joined" } else { "left" });
    }

    /// Who came and went in a while: so many more than before are there.
    pub fn presence(&mut self, no: usize, room: &str, members: i64, by: i64) {
        self.reach("hear", "presence");
        // While a room is replayed nobody is told who comes and goes.
        let is_told = !self.ears[no].was_skipped && !self.is_catching_up(no, room);
        let Some(follow) = self.ears[no].follows.get_mut(room) else { return };
        if let Some(before) = follow.present {
            let now = before + by;
            assert_eq!(now, members, "#{no} heard of {before} in {room}, and of {by} more");
        }
        follow.present = is_told.then_some(members);
        if follow.present.is_some() {
            self.reach("hear", "presence behind presence");
        }
    }

    /// Who is in a room is not certain any more: this client came or went itself, or was replayed something.
    pub fn forget_present(&mut self, no: usize, concerns: impl Fn(&str) -> bool) {
        for (_, follow) in self.ears[no].follows.iter_mut().filter(|(room, _)| concerns(room)) {
            follow.present = None;
        }
    }

    /// A reply stands at its place in the order: what is released before it came before it, or is in
    /// a gap still to be told.
    fn reply_at(&mut self, no: usize, room: &str, seq: u64) {
        // What is still to be replayed comes behind the reply.
        let catching_up = self.is_catching_up(no, room);
        let Some(follow) = self.ears[no].follows.get(room).filter(|_| !catching_up) else { return };
        assert!(
            follow.position <= seq,
            "#{no}: the reply at {seq} of {room} came after {}",
            follow.position
        );
        let from = follow.begins_by.map_or(follow.position, |by| by.max(follow.position));
        let hole = self.first_of_others(no, room, from, seq);
        let follow = self.ears[no].follow(room);
        follow.owed_gap = follow.owed_gap.or(hole);
    }

    /// A stream of a room is open, from behind a place where one was named. `before` is what the room had released when it was asked
    /// for: where the place is not behind that, it is certain.
    pub fn stream_opened(&mut self, no: usize, room: &str, after: Option<u64>, before: u64) {
        let now = self.last_released(room);
        let (position, begins_by) = match after {
            Some(after) if after <= before => (after, None),
            Some(after) => (before, Some(after.max(now))),
            None => (before, Some(now)),
        };
        let begin = Follow { tailing: true, position, begins_by, ..Follow::default() };
        let known = self.ears[no].follows.insert(room.to_owned(), begin);
        assert!(known.is_none(), "#{no} reads one stream");
    }

    /// A stream says where it stands: where it was known before, nothing is left out up to there.
    pub fn stream_stands(&mut self, no: usize, room: &str, seq: u64) {
        let Follow { position, begins_by, .. } = *self.ears[no].follow(room);
        assert!(seq >= position, "#{no} stands at {seq} of {room} behind {position}");
        let missed = self.first_of_others(no, room, position, seq + 1);
        assert!(
            missed.is_none() || begins_by.is_some(),
            "#{no} stands at {seq} of {room} without {missed:?}"
        );
        let follow = self.ears[no].follow(room);
        (follow.position, follow.begins_by) = (seq, None);
    }

    /// `join` was granted: what the room says after `seq` comes.
    pub fn joined(&mut self, no: usize, room: &str, seq: u64) {
        self.forget_present(no, |other| other == room);
        // A room that was forgotten and is made anew goes on behind the numbers of all rooms.
        let highest = self.rooms.keys().map(|other| self.last_taken(other)).max().unwrap_or(0);
        assert!(seq <= highest, "{room} has not got to {seq}");
        if self.ears[no].tails_all {
            self.ears[no].follow(room);
        }
        if self.ears[no].follows.contains_key(room) {
            self.reply_at(no, room, seq + 1);
        }
        // A `tail` that is not answered may follow it already, and owe a gap.
        let begin = if self.is_catching_up(no, room) {
            Follow { begins_by: Some(seq), ..Follow::default() }
        } else {
            Follow { position: seq, ..Follow::default() }
        };
        self.ears[no].follows.entry(room.to_owned()).or_insert(begin).joined = true;
    }

    /// `leave` was granted.
    pub fn left(&mut self, no: usize, room: &str) {
        self.forget_present(no, |other| other == room);
        if self.ears[no].cut.as_ref().is_some_and(|cut| cut.contains_key(room)) {
            self.reach("replay", "cut");
        }
        let Some(follow) = self.ears[no].follows.get_mut(room) else { return };
        follow.joined = false;
        if !follow.tailing {
            self.ears[no].follows.remove(room);
        }
    }

    /// `tail` was granted; `before` are the marks when it was asked, `shown` the last number of the
    /// past messages that came with it.
    pub fn tailing(&mut self, no: usize, rooms: &[String], before: &Marks, shown: &Marks) {
        let known = self.marks();
        let all_before = self.ears[no].tails_all;
        if rooms.is_empty() {
            self.ears[no].tails_all = true;
            self.ears[no].follows.values_mut().for_each(|follow| follow.tailing = true);
        }
        let all: Vec<&String> = known.keys().collect();
        let rooms = if rooms.is_empty() { all } else { rooms.iter().collect() };
        for room in rooms {
            if all_before {
                self.ears[no].follow(room);
            }
            let (exact, from) = (shown.get(room), before.get(room).copied().unwrap_or(0));
            let by = known.get(room).copied().unwrap_or(0);
            let begin = || match exact {
                Some(last) => Follow { position: *last, ..Follow::default() },
                None => Follow { position: from, begins_by: Some(by), ..Follow::default() },
            };
            self.ears[no].follows.entry(room.clone()).or_insert_with(begin).tailing = true;
        }
    }

    /// A post was answered: `seq` where it is stored.
    pub fn post_answered(
        &mut self,
        no: usize,
        post: usize,
        repeated: bool,
        seq: Option<u64>,
        code: &str,
    ) {
        let known = self.voices[no].posts[post].message.map(|number| &self.messages[number]);
        let Some(seq) = seq else {
            let stored = known.filter(|message| message.fate != Fate::Refused);
            let refused = self.voices[no].posts[post].refused && code == "store_unavailable";
            assert!(
                stored.is_none() || repeated || refused,
                "#{no}: post {post} was answered {code} and is stored"
            );
            self.voices[no].posts[post].denied |= !repeated;
            return;
        };
        let message =
            known.unwrap_or_else(|| panic!("#{no}: post {post} is acknowledged, not stored"));
        assert_eq!(
            message.fate,
            Fate::Stored,
            "#{no}: post {post} was acknowledged before it was stored"
        );
        assert_eq!(message.seq, seq, "#{no}: post {post} has another number");
        let room = message.room.clone();
        if !repeated && !std::mem::replace(&mut self.voices[no].posts[post].replied, true) {
            self.reply_at(no, &room, seq);
        }
    }

    /// Other content under an id was answered: it is stored only where the first was not.
    pub fn conflict_answered(
        &mut self,
        no: usize,
        post: usize,
        first: usize,
        seq: Option<u64>,
        code: &str,
    ) {
        let fate = |post: usize| {
            self.voices[no].posts[post].message.map(|number| self.messages[number].fate)
        };
        let both = fate(first) == Some(Fate::Stored) && fate(post) == Some(Fate::Stored);
        assert!(!both, "#{no}: one id got two messages, posts {first} and {post}");
        self.post_answered(no, post, true, seq, code);
    }

    /// At the end: a v1 receiver that is still there has got all of every room that it follows.
    pub fn check_followed_complete(&self, no: usize) {
        for (room, follow) in &self.ears[no].follows {
            let by = follow.begins_by.map_or(follow.position, |by| by.max(follow.position));
            let missed = self.first_of_others(no, room, by, u64::MAX);
            assert!(
                missed.is_none(),
                "#{no} never got {missed:?} of {room}, it is at {}",
                follow.position
            );
        }
    }
}

impl crate::hearing::Ear {
    /// Up to where a room is accounted for at the least, and nothing before may be missing.
    pub fn begin_of(&self, room: &str, position: u64) -> u64 {
        let begins_by = self.follows.get(room).and_then(|follow| follow.begins_by);
        begins_by.map_or(position, |by| by.max(position))
    }

    /// Where it stands in a room; it is an error to hear of one that it does not follow.
    pub fn follow(&mut self, room: &str) -> &mut Follow {
        if self.tails_all && !self.follows.contains_key(room) {
            let begin = Follow { tailing: true, ..Follow::default() };
            self.follows.insert(room.to_owned(), begin);
        }
        self.follows
            .get_mut(room)
            .unwrap_or_else(|| panic!("heard of {room}, which it does not follow"))
    }
}
