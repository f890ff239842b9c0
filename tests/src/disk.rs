//! A disk that is only data: what a store keeps, what it says of each message, and what a daemon that starts again is told.
//!
//! Nothing here takes time or breaks; whoever drives it decides what is on it when the daemon is gone.

use std::collections::BTreeMap;

use hub::{Fetch, KeptMessage, KeptRoom, Order, Outcome, Page, PageWriter, Pruned, Record};
use proto::{MessageId, RoomName, Seq, WallTime};

/// What is kept of a room.
#[derive(Clone, Debug, Default)]
struct Shelf {
    messages: BTreeMap<Seq, Record>,
    last: Seq,
    last_time: WallTime,
    gone: Seq,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub struct Disk {
    shelves: BTreeMap<RoomName, Shelf>,
    /// Ids outlive their messages.
    ids: BTreeMap<MessageId, Record>,
    /// Numbers up to this one may have been shown before their messages were here.
    pub reserved: Seq,
    /// No room that is forgotten had a higher number.
    pub unknown: Seq,
}

impl Disk {
    /// Keeps a message, unless its id is known.
    pub fn keep(&mut self, record: &Record) -> Outcome {
        let known = self.look_up(record);
        if known != Outcome::Refused {
            return known;
        }
        // One of this name may have been forgotten, with what it had.
        let gone = self.unknown.min(Seq(record.seq.0 - 1));
        let new = || Shelf { gone, ..Shelf::default() };
        let own = self.shelves.entry(record.room.clone()).or_insert_with(new);
        assert!(
            record.seq > own.last,
            "{} of {} is not after {:?}",
            record.seq,
            record.room,
            own.last
        );
        assert!(record.time >= own.last_time, "the time of {} goes back", record.room);
        (own.last, own.last_time) = (record.seq, record.time);
        own.messages.insert(record.seq, record.clone());
        self.ids.insert(record.message_id, record.clone());
        Outcome::Stored
    }

    /// What a message is told that cannot be kept now.
    pub fn look_up(&self, record: &Record) -> Outcome {
        let Some(known) = self.ids.get(&record.message_id) else { return Outcome::Refused };
        let is_same = known.room == record.room && known.content == record.content;
        let Record { seq, time, .. } = *known;
        if is_same { Outcome::Repeated { seq, time } } else { Outcome::Conflict }
    }

    /// Whether an id is known.
    pub fn knows(&self, id: MessageId) -> bool {
        self.ids.contains_key(&id)
    }

    /// Whether just this message is here, at its place.
    pub fn has(&self, record: &Record) -> bool {
        let own = self.shelves.get(&record.room);
        let found = own.and_then(|shelf| shelf.messages.get(&record.seq));
        found.is_some_and(|found| found.message_id == record.message_id)
    }

    /// Answers a question.
    pub fn find(&self, fetch: &Fetch) -> Page {
        let mut page = PageWriter::new(fetch);
        let Some(own) = self.shelves.get(&fetch.room) else { return page.finish(false, Seq(0)) };
        let meant = |record: &&Record| {
            fetch.since.is_none_or(|since| record.time >= since)
                && fetch.until.is_none_or(|until| record.time < until)
                && fetch.search.as_ref().is_none_or(|words| has_words(&record.content, words))
        };
        assert!(fetch.first <= fetch.last, "nothing is not asked for");
        let places = own.messages.range(fetch.first..=fetch.last);
        let mut found: Vec<&Record> = places.map(|(_, record)| record).filter(meant).collect();
        let latest = fetch.latest.map_or(usize::MAX, |latest| latest as usize);
        found.drain(..found.len().saturating_sub(latest));
        if fetch.order == Order::Backward {
            found.reverse();
        }
        let add = |record: &&&Record| {
            page.add(&KeptMessage {
                seq: record.seq,
                time: record.time,
                message_id: record.message_id,
                from: record.from.as_str(),
                content: &record.content,
                content_type: record.content_type.as_deref(),
            })
        };
        let more = found.iter().take_while(add).count() < found.len();
        page.finish(more, own.gone)
    }

    /// Retention takes so many of a room's oldest messages.
    pub fn prune(&mut self, room: &RoomName, count: usize) -> Option<Pruned> {
        let own = self.shelves.get_mut(room)?;
        let through = own.messages.keys().take(count).next_back().copied()?;
        own.messages.retain(|seq, _| *seq > through);
        own.gone = through;
        let is_empty = own.messages.is_empty();
        Some(Pruned { room: room.clone(), through, is_empty })
    }

    /// Rooms of which nothing is left are forgotten; but for how far the farthest of them had come.
    pub fn forget_empty(&mut self) {
        let empty = self.shelves.values().filter(|shelf| shelf.messages.is_empty());
        self.unknown =
            empty.map(|shelf| shelf.last).chain([self.unknown]).max().unwrap_or_default();
        self.shelves.retain(|_, shelf| !shelf.messages.is_empty());
    }

    /// What a daemon that starts is told of.
    pub fn rooms(&self) -> Vec<KeptRoom> {
        let kept = |(name, shelf): (&RoomName, &Shelf)| KeptRoom {
            name: name.clone(),
            last: shelf.last,
            last_time: shelf.last_time,
            gone: shelf.gone,
            is_empty: shelf.messages.is_empty(),
        };
        self.shelves.iter().map(kept).collect()
    }

    /// Its rooms, by name.
    pub fn names(&self) -> Vec<RoomName> {
        self.shelves.keys().cloned().collect()
    }

    /// How many messages it keeps.
    pub fn count(&self) -> usize {
        self.shelves.values().map(|shelf| shelf.messages.len()).sum()
    }

    /// Loses all ids, as no disk should.
    pub fn lose_ids(&mut self) {
        self.ids.clear();
    }
}

/// Whether a text has this in it, as near to a search as a disk that is only data comes.
fn has_words(content: &[u8], words: &str) -> bool {
    std::str::from_utf8(content).is_ok_and(|text| text.contains(words.trim()))
}
