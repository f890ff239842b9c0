//! What the writer knows of each room, in memory and in the table `rooms`: who has which number, and how much is kept.

use std::collections::BTreeMap;
use std::path::Path;

use hub::{KeptRoom, Record};
use proto::{RoomName, Seq, WallTime};
use rusqlite::{Connection, Row};

use super::fault::OpenError;
use super::row::{Key, ROOM_NO_MAX, RoomNo, SEQ_MAX, Seal, integer};

/// What a message takes beside its author and content: its numbers, its id twice, and what finds its words.
pub(super) const MESSAGE_BYTES: u64 = 128;

/// What a room's row is read with.
pub(super) const SELECT: &str =
    "SELECT name, no, last, last_time, gone, count, bytes, first_time, checksum FROM rooms";

/// One room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Room {
    pub(super) no: RoomNo,
    /// The highest number that was ever given in it.
    pub(super) last: Seq,
    /// No message of it is later.
    pub(super) last_time: WallTime,
    /// Retention took everything up to this number.
    pub(super) gone: Seq,
    /// How many messages are kept.
    pub(super) count: u64,
    /// How many bytes they take.
    pub(super) bytes: u64,
    /// The time of the first that is kept.
    pub(super) first_time: WallTime,
    /// The highest number that its row has; 0 where it has no row.
    written: Seq,
    /// It is on the list of those that the transaction has changed.
    is_changed: bool,
    /// The transaction forgets it.
    is_forgotten: bool,
}

/// All rooms of which something is known.
#[derive(Debug)]
pub(super) struct Rooms {
    all: BTreeMap<RoomName, Room>,
    /// What those were before the transaction that it has changed.
    before: Vec<(RoomName, Room)>,
    /// No room has a higher one.
    highest: RoomNo,
    /// No room that was forgotten had a higher number.
    pub(super) unknown: Seq,
}

/// What is known of a room that is put together again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Recount {
    pub(super) last: Seq,
    pub(super) last_time: WallTime,
    pub(super) gone: Seq,
    pub(super) count: u64,
    pub(super) bytes: u64,
    pub(super) first_time: WallTime,
}

impl Recount {
    /// Writes it as the row of a new room.
    pub(super) fn write(
        &self,
        connection: &Connection,
        no: RoomNo,
        name: &RoomName,
        seal: &mut Seal,
    ) -> rusqlite::Result<()> {
        let &Self { last, last_time, gone, count, bytes, first_time } = self;
        assert!(gone <= last && no.0 > 0, "what is gone was there");
        let (all, before, unknown) = (BTreeMap::new(), Vec::new(), Seq(0));
        let mut rooms = Rooms { all, before, highest: no, unknown };
        let is_changed = true;
        let room =
            Room { last, last_time, gone, count, bytes, first_time, is_changed, ..Room::new(no) };
        rooms.all.insert(name.clone(), room);
        rooms.before.push((name.clone(), Room::new(no)));
        rooms.write(connection, seal)
    }
}

/// What a row says of its room, if it is what was written.
pub(super) fn read_recount(row: &Row<'_>, seal: &mut Seal) -> Option<Recount> {
    let (_, room) = read(row, seal)?;
    let Room { last, last_time, gone, count, bytes, first_time, .. } = room;
    Some(Recount { last, last_time, gone, count, bytes, first_time })
}

/// What takes so many bytes as content and author of a message do.
pub(super) const fn message_bytes(author: usize, content: usize) -> u64 {
    MESSAGE_BYTES + author as u64 + content as u64
}

impl Rooms {
    /// All that the database knows; no room that was forgotten had a number beyond `unknown`.
    pub(super) fn load(
        path: &Path,
        connection: &Connection,
        unknown: Seq,
    ) -> Result<Self, OpenError> {
        let fault = |error| OpenError::of(path, "read its table `rooms`", &error);
        let mut seal = Seal::default();
        let mut statement = connection.prepare(SELECT).map_err(fault)?;
        let mut rows = statement.query([]).map_err(fault)?;
        let mut all = BTreeMap::new();
        while let Some(row) = rows.next().map_err(fault)? {
            let Some((name, room)) = read(row, &mut seal) else {
                let name: String = row.get(0).unwrap_or_else(|_| "without a name".to_owned());
                let what = format!("what its table `rooms` says of {name} is not what was written");
                return Err(OpenError::Damaged(path.to_owned(), what));
            };
            all.insert(name, room);
        }
        let highest = all.values().map(|room: &Room| room.no).max().unwrap_or(RoomNo(0));
        Ok(Self { all, before: Vec::new(), highest, unknown })
    }

    /// For the hub.
    pub(super) fn kept(&self) -> Vec<KeptRoom> {
        self.all
            .iter()
            .map(|(name, room)| KeptRoom {
                name: name.clone(),
                last: room.last,
                last_time: room.last_time,
                gone: room.gone,
                is_empty: room.count == 0,
            })
            .collect()
    }

    /// A room, if it is known.
    pub(super) fn known(&self, name: &RoomName) -> Option<&Room> {
        self.all.get(name)
    }

    /// All of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&RoomName, &Room)> {
        self.all.iter()
    }

    /// The key of a new message, whose number is given with that; none where there is none left.
    pub(super) fn place(&mut self, record: &Record) -> Option<Key> {
        assert!(record.seq > Seq(0), "places begin at 1");
        if !self.all.contains_key(&record.room) {
            if self.highest.0 >= ROOM_NO_MAX {
                return None;
            }
            let no = RoomNo(self.highest.0 + 1);
            self.highest = no;
            // One of this name may have been forgotten: what it had is gone, and that is told for ever.
            let gone = self.unknown.min(Seq(record.seq.0 - 1));
            self.all.insert(record.room.clone(), Room { gone, ..Room::new(no) });
        }
        let room = self.all.get_mut(&record.room).expect("it was just made");
        if record.seq.0 > SEQ_MAX {
            return None;
        }
        assert!(record.seq > room.last, "{} {} was given before", record.room, record.seq);
        if !room.is_changed {
            self.before.push((record.room.clone(), *room));
            room.is_changed = true;
        }
        room.last = record.seq;
        Some(Key::of(room.no, record.seq))
    }

    /// A message was added.
    pub(super) fn add(&mut self, record: &Record) {
        let room = self.changed(&record.room);
        assert_eq!(room.last, record.seq, "it was placed");
        if room.count == 0 {
            room.first_time = record.time;
        }
        room.last_time = room.last_time.max(record.time);
        room.count += 1;
        room.bytes += message_bytes(record.from.as_str().len(), record.content.len());
    }

    /// A room, to be changed by the transaction.
    pub(super) fn change(&mut self, name: &RoomName) -> &mut Room {
        let room = self.all.get_mut(name).expect("who changes a room knows it");
        if !room.is_changed {
            self.before.push((name.clone(), *room));
            room.is_changed = true;
        }
        room
    }

    /// Forgets a room that is empty.
    pub(super) fn forget(&mut self, name: &RoomName) {
        let room = self.change(name);
        assert!(room.count == 0, "only empty rooms are forgotten");
        room.is_forgotten = true;
    }

    /// How many bytes are kept.
    pub(super) fn bytes(&self) -> u64 {
        self.all.values().map(|room| room.bytes).sum()
    }

    fn changed(&mut self, name: &RoomName) -> &mut Room {
        let room = self.all.get_mut(name).expect("it was placed");
        assert!(room.is_changed, "it was placed");
        room
    }

    /// Lets the transaction write what failed ones left in memory only.
    pub(super) fn change_unwritten(&mut self) {
        for (name, room) in &mut self.all {
            if room.last != room.written && !room.is_changed {
                self.before.push((name.clone(), *room));
                room.is_changed = true;
            }
        }
    }

    /// Numbers that were given before the database was opened anew are given still.
    pub(super) fn outlive(&mut self, earlier: &Self) {
        assert!(self.before.is_empty() && earlier.before.is_empty(), "between two transactions");
        for (name, was) in &earlier.all {
            if let Some(room) = self.all.get_mut(name) {
                room.last = room.last.max(was.last);
            } else {
                self.highest = RoomNo(self.highest.0 + 1);
                let room = Room { last: was.last, ..Room::new(self.highest) };
                self.all.insert(name.clone(), room);
            }
        }
    }

    /// Writes what the transaction has changed.
    pub(super) fn write(
        &mut self,
        connection: &Connection,
        seal: &mut Seal,
    ) -> rusqlite::Result<()> {
        if self.before.is_empty() {
            return Ok(());
        }
        let mut insert = connection.prepare_cached(
            "INSERT INTO rooms (no, last, last_time, gone, count, bytes, first_time, checksum, name)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        )?;
        let mut update = connection.prepare_cached(
            "UPDATE rooms SET last = ?2, last_time = ?3, gone = ?4, count = ?5, bytes = ?6, first_time = ?7, checksum = ?8
             WHERE no = ?1",
        )?;
        for (name, _) in &self.before {
            if self.all[name].is_forgotten {
                connection
                    .prepare_cached("DELETE FROM rooms WHERE no = ?1")?
                    .execute([self.all[name].no.0])?;
                continue;
            }
            let [no, last, last_time, gone, count, bytes, first_time] = self.all[name].numbers();
            let checksum =
                seal.of_room(name.as_str(), &[no, last, last_time, gone, count, bytes, first_time]);
            let has_row = self.all[name].written > Seq(0);
            let statement = if has_row { &mut update } else { &mut insert };
            let numbers = [no, last, last_time, gone, count, bytes, first_time, checksum];
            for (at, number) in numbers.iter().enumerate() {
                statement.raw_bind_parameter(at + 1, number)?;
            }
            if !has_row {
                statement.raw_bind_parameter(numbers.len() + 1, name.as_str())?;
            }
            statement.raw_execute()?;
        }
        Ok(())
    }

    /// The transaction is on disk.
    pub(super) fn keep(&mut self) {
        for (name, _) in self.before.drain(..) {
            let room = self.all.get_mut(&name).expect("it was changed");
            assert!(room.is_changed, "it was changed");
            if room.is_forgotten {
                self.all.remove(&name);
                continue;
            }
            room.is_changed = false;
            room.written = room.last;
        }
    }

    /// The transaction is not on disk. The numbers that it was to give are given nevertheless: somebody may have seen them.
    pub(super) fn undo(&mut self) {
        for (name, before) in self.before.drain(..) {
            let room = self.all.get_mut(&name).expect("it was changed");
            assert!(room.is_changed, "it was changed");
            *room = Room { last: room.last.max(before.last), ..before };
            assert!(!room.is_changed, "it was not, before");
        }
    }
}

impl Room {
    fn new(no: RoomNo) -> Self {
        Self {
            no,
            last: Seq(0),
            last_time: WallTime::default(),
            gone: Seq(0),
            count: 0,
            bytes: 0,
            first_time: WallTime::default(),
            written: Seq(0),
            is_changed: false,
            is_forgotten: false,
        }
    }

    /// It as its row has it.
    fn numbers(&self) -> [i64; 7] {
        let number = |value: u64| i64::try_from(value).expect("no room has so much");
        [
            self.no.0,
            number(self.last.0),
            self.last_time.as_micros(),
            number(self.gone.0),
            number(self.count),
            number(self.bytes),
            self.first_time.as_micros(),
        ]
    }
}

/// The room of a row; none where it is not what was written.
fn read(row: &Row<'_>, seal: &mut Seal) -> Option<(RoomName, Room)> {
    let name: String = row.get(0).ok()?;
    let mut numbers = [0; 7];
    for (at, number) in numbers.iter_mut().enumerate() {
        *number = integer(row, at + 1)?;
    }
    if seal.of_room(&name, &numbers) != integer(row, 8)? {
        return None;
    }
    let [no, last, last_time, gone, count, bytes, first_time] = numbers;
    let room = Room {
        no: RoomNo(no),
        last: Seq(u64::try_from(last).ok()?),
        last_time: WallTime::from_micros(last_time),
        gone: Seq(u64::try_from(gone).ok()?),
        count: u64::try_from(count).ok()?,
        bytes: u64::try_from(bytes).ok()?,
        first_time: WallTime::from_micros(first_time),
        written: Seq(u64::try_from(last).ok()?),
        is_changed: false,
        is_forgotten: false,
    };
    // A checksum holds for what was written, and a bug may have written it.
    let is_sound = (1..=ROOM_NO_MAX).contains(&no) && room.last.0 <= SEQ_MAX && gone <= last;
    is_sound.then_some((RoomName::parse(&name).ok()?, room))
}
