//! What is kept for how long. The oldest goes first, a little at a time, between two batches.
//!
//! An id is kept for [`ID_AGE`] at least, so that a message that is sent again is known even where it is not kept any more. What a
//! room was is kept for [`ROOM_AGE`] after its last message, so that its numbers go on.

use std::collections::{BTreeMap, BTreeSet};

use hub::Pruned;
use proto::{RoomName, Seq, Span, WallTime};
use rusqlite::Connection;

use super::fault::CommitError;
use super::rooms::{Room, message_bytes};
use super::row::{self, COLUMNS, Key, SEQ_MAX, Seal};
use super::schema;
use super::write::Writer;

/// How long an id is known at least: `docs/protocol.md` promises it.
const ID_AGE: Span = Span::from_secs(7 * 24 * 60 * 60);
/// How long an empty room is known. It is longer than [`ID_AGE`], so that no id names a room that is forgotten.
const ROOM_AGE: Span = Span::from_secs(30 * 24 * 60 * 60);
const _: () = assert!(ROOM_AGE.as_micros() > ID_AGE.as_micros());

/// How much of one room is kept. What is not given does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// Nothing that is older.
    pub max_age: Option<Span>,
    /// No more messages than that.
    pub max_messages: Option<u64>,
    /// No more bytes than that; a message has 128 more than its author and content.
    pub max_bytes: Option<u64>,
}

/// How much is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    /// No more bytes than that of all rooms together.
    pub max_bytes: Option<u64>,
    /// What holds for a room without limits of its own.
    pub usual: Limits,
    /// Rooms with limits of their own.
    pub rooms: BTreeMap<RoomName, Limits>,
}

impl Retention {
    fn limits(&self, room: &RoomName) -> Limits {
        self.rooms.get(room).copied().unwrap_or(self.usual)
    }
}

/// What a step may still do, and when it is done.
struct Step {
    now: WallTime,
    left: usize,
}

/// A message that is to go.
struct Doomed {
    key: Key,
    time: WallTime,
    bytes: u64,
    /// What is to be known of it when it is gone.
    orphan: Option<[u8; 16]>,
    message_id: Option<[u8; 16]>,
}

impl Writer {
    /// Takes `most` of what is kept too long, in one transaction, and says what of which rooms; nothing where there was nothing to do.
    /// Where it returns something there may be more.
    ///
    /// # Errors
    /// See [`CommitError`].
    pub fn prune(
        &mut self,
        retention: &Retention,
        now: WallTime,
        most: usize,
    ) -> Result<Vec<Pruned>, CommitError> {
        let before = self.rooms.bytes();
        let idle = !self.rooms.iter().any(|(name, room)| {
            exceeds(room, retention.limits(name), now) || is_forgettable(room, now)
        });
        let over = |bytes| retention.max_bytes.is_some_and(|most| bytes > most);
        if idle && !over(before) && !self.has_old_orphans(now)? {
            return Ok(Vec::new());
        }
        self.transact(|it| {
            let mut step = Step { now, left: most };
            let mut touched = BTreeSet::new();
            it.prune_each(retention, &mut step, &mut touched)?;
            it.prune_all(retention, &mut step, &mut touched)?;
            it.drop_orphans(&mut step)?;
            it.forget_rooms(now)?;
            it.rooms.write(&it.connection, &mut it.seal)?;
            Ok(touched
                .into_iter()
                .filter_map(|name| it.rooms.known(&name).map(|room| (name, *room)))
                .map(|(room, it)| Pruned { room, through: it.gone, is_empty: it.count == 0 })
                .collect())
        })
    }

    /// Each room to its own limits.
    fn prune_each(
        &mut self,
        retention: &Retention,
        step: &mut Step,
        touched: &mut BTreeSet<RoomName>,
    ) -> rusqlite::Result<()> {
        let names: Vec<RoomName> = self
            .rooms
            .iter()
            .filter(|(name, room)| exceeds(room, retention.limits(name), step.now))
            .map(|(name, _)| name.clone())
            .collect();
        for name in names {
            let (limits, now) = (retention.limits(&name), step.now);
            self.prune_room(&name, step, |room| exceeds(room, limits, now))?;
            touched.insert(name);
            if step.left == 0 {
                break;
            }
        }
        Ok(())
    }

    /// All rooms to the limit of all, the oldest message first.
    fn prune_all(
        &mut self,
        retention: &Retention,
        step: &mut Step,
        touched: &mut BTreeSet<RoomName>,
    ) -> rusqlite::Result<()> {
        let Some(most) = retention.max_bytes else { return Ok(()) };
        let mut by_age: BTreeSet<(WallTime, RoomName)> = self
            .rooms
            .iter()
            .filter(|(_, room)| room.count > 0)
            .map(|(name, room)| (room.first_time, name.clone()))
            .collect();
        while step.left > 0 && self.rooms.bytes() > most {
            let Some((_, name)) = by_age.pop_first() else { break };
            let others = by_age.first().map(|(time, _)| *time);
            let room = *self.rooms.change(&name);
            let rest = self.rooms.bytes() - room.bytes;
            self.prune_room(&name, step, |room| {
                let is_oldest = others.is_none_or(|others| room.first_time <= others);
                rest + room.bytes > most && is_oldest
            })?;
            let room = *self.rooms.change(&name);
            if room.count > 0 {
                by_age.insert((room.first_time, name.clone()));
            }
            touched.insert(name);
        }
        Ok(())
    }

    /// Takes the oldest messages of a room while it has too many.
    fn prune_room(
        &mut self,
        name: &RoomName,
        step: &mut Step,
        has_too_many: impl Fn(&Room) -> bool,
    ) -> rusqlite::Result<()> {
        let mut room = *self.rooms.change(name);
        let doomed = choose(&self.connection, &mut self.seal, &mut room, step, has_too_many)?;
        assert!(doomed.len() <= step.left, "a step has its limit");
        step.left -= doomed.len();
        delete(&self.connection, &doomed, self.options.search)?;
        *self.rooms.change(name) = room;
        Ok(())
    }

    /// Takes ids that were kept long enough without their messages.
    fn drop_orphans(&self, step: &mut Step) -> rusqlite::Result<()> {
        let mut select = self.connection.prepare_cached(
            "SELECT no, message_id FROM orphans WHERE time < ?1 ORDER BY no LIMIT ?2",
        )?;
        let mut rows = select.query((earlier(step.now, ID_AGE), i64::try_from(step.left).ok()))?;
        let mut all = Vec::new();
        while let Some(row) = rows.next()? {
            all.push((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        }
        step.left -= all.len();
        let mut id =
            self.connection.prepare_cached("DELETE FROM ids WHERE message_id = ?1 AND key = ?2")?;
        let mut orphan = self.connection.prepare_cached("DELETE FROM orphans WHERE no = ?1")?;
        for (no, message_id) in all {
            id.execute((message_id, -no))?;
            orphan.execute([no])?;
        }
        Ok(())
    }

    fn has_old_orphans(&self, now: WallTime) -> rusqlite::Result<bool> {
        // Only the first is looked at: those behind it wait for it, which is no harm.
        let mut statement =
            self.connection.prepare_cached("SELECT time FROM orphans ORDER BY no LIMIT 1")?;
        let mut rows = statement.query([])?;
        let first = rows.next()?.map(|row| row.get::<_, i64>(0)).transpose()?;
        Ok(first.is_some_and(|time| time < earlier(now, ID_AGE)))
    }

    /// Forgets rooms that have been empty for long. Their numbers are not given again.
    fn forget_rooms(&mut self, now: WallTime) -> rusqlite::Result<()> {
        let names: Vec<RoomName> = self
            .rooms
            .iter()
            .filter(|(_, room)| is_forgettable(room, now))
            .map(|(name, _)| name.clone())
            .collect();
        let Some(highest) = names.iter().map(|name| self.rooms.change(name).last).max() else {
            return Ok(());
        };
        let unknown = schema::number(&self.connection, "unknown")?.unwrap_or(0);
        self.rooms.unknown = self.rooms.unknown.max(highest);
        let highest = i64::try_from(highest.0).expect("it is at most SEQ_MAX");
        schema::set_number(&self.connection, "unknown", unknown.max(highest))?;
        for name in &names {
            self.rooms.forget(name);
        }
        Ok(())
    }
}

/// The moment so much earlier, in microseconds.
fn earlier(now: WallTime, span: Span) -> i64 {
    now.as_micros().saturating_sub(i64::try_from(span.as_micros()).unwrap_or(i64::MAX))
}

fn exceeds(room: &Room, limits: Limits, now: WallTime) -> bool {
    let is_old = |age| room.first_time.as_micros() < earlier(now, age);
    room.count > 0
        && (limits.max_age.is_some_and(is_old)
            || limits.max_messages.is_some_and(|most| room.count > most)
            || limits.max_bytes.is_some_and(|most| room.bytes > most))
}

fn is_forgettable(room: &Room, now: WallTime) -> bool {
    room.count == 0 && room.last_time.as_micros() < earlier(now, ROOM_AGE)
}

/// The oldest messages of a room while it has too many; `room` is what it is without them.
fn choose(
    connection: &Connection,
    seal: &mut Seal,
    room: &mut Room,
    step: &Step,
    has_too_many: impl Fn(&Room) -> bool,
) -> rusqlite::Result<Vec<Doomed>> {
    let mut statement = connection.prepare_cached(&format!(
        "SELECT {COLUMNS} FROM messages WHERE key BETWEEN ?1 AND ?2 ORDER BY key"
    ))?;
    let first = Key::of(room.no, room.gone.next());
    let mut rows = statement.query((first.0, Key::of(room.no, Seq(SEQ_MAX)).0))?;
    let mut all: Vec<Doomed> = Vec::new();
    loop {
        let Some(row) = rows.next()? else {
            // Nothing is left, whatever was counted.
            (room.count, room.bytes) = (0, 0);
            break;
        };
        let found = doomed(row, seal, room.first_time, step.now)?;
        room.first_time = found.time;
        if all.len() == step.left || !has_too_many(room) {
            break;
        }
        // What is damaged may have been longer than it looks; a row that is left counts in any case.
        room.count = room.count.saturating_sub(1).max(1);
        room.bytes = room.bytes.saturating_sub(found.bytes);
        room.gone = found.key.seq();
        all.push(found);
    }
    Ok(all)
}

/// A row as one that is to go. One that is damaged is as old as the one before it.
fn doomed(
    row: &rusqlite::Row<'_>,
    seal: &mut Seal,
    before: WallTime,
    now: WallTime,
) -> rusqlite::Result<Doomed> {
    let key = Key(row.get(0)?);
    let Some((_, kept)) = row::read(row, seal) else {
        let message_id = row::bytes(row, 2).and_then(|id| id.try_into().ok());
        let content = row::bytes(row, 4).map_or(0, <[u8]>::len);
        let bytes = message_bytes(0, content);
        return Ok(Doomed { key, time: before, bytes, orphan: None, message_id });
    };
    let is_young = kept.time.as_micros() >= earlier(now, ID_AGE);
    Ok(Doomed {
        key,
        time: kept.time,
        bytes: message_bytes(kept.from.len(), kept.content.len()),
        orphan: is_young.then(|| row::digest(kept.content)),
        message_id: Some(kept.message_id.0),
    })
}

/// Deletes messages, and their ids where they are old enough.
fn delete(connection: &Connection, all: &[Doomed], search: bool) -> rusqlite::Result<()> {
    let mut message = connection.prepare_cached("DELETE FROM messages WHERE key = ?1")?;
    let mut words = search
        .then(|| connection.prepare_cached("DELETE FROM words WHERE rowid = ?1"))
        .transpose()?;
    let mut id = connection.prepare_cached("DELETE FROM ids WHERE message_id = ?1 AND key = ?2")?;
    let mut orphan = connection.prepare_cached(
        "INSERT INTO orphans (message_id, key, time, digest) VALUES (?1, ?2, ?3, ?4)",
    )?;
    let mut point =
        connection.prepare_cached("UPDATE ids SET key = ?3 WHERE message_id = ?1 AND key = ?2")?;
    for doomed in all {
        message.execute([doomed.key.0])?;
        if let Some(words) = &mut words {
            words.execute([doomed.key.0])?;
        }
        let Some(message_id) = &doomed.message_id else { continue };
        if let Some(digest) = &doomed.orphan {
            let no = orphan.insert((message_id, doomed.key.0, doomed.time.as_micros(), digest))?;
            point.execute((message_id, doomed.key.0, -no))?;
        } else {
            id.execute((message_id, doomed.key.0))?;
        }
    }
    Ok(())
}
