//! What a store keeps, as plain as it can be: messages by room and place, and their ids.

extern crate std;

use std::collections::BTreeMap;

use proto::{MessageId, RoomName, Seq, WallTime};

use crate::{Fetch, Fetched, KeptMessage, KeptRoom, Order, Outcome, PageWriter, Pruned, Record};

/// What is kept of a room.
#[derive(Debug, Default)]
struct Shelf {
    messages: BTreeMap<Seq, Record>,
    last: Seq,
    last_time: WallTime,
    gone: Seq,
}

/// The disk.
#[derive(Debug, Default)]
pub(crate) struct Disk {
    shelves: BTreeMap<RoomName, Shelf>,
    ids: BTreeMap<MessageId, Record>,
}

impl Disk {
    /// Keeps a message, unless its id is known.
    pub(crate) fn keep(&mut self, record: &Record) -> Outcome {
        if let Some(known) = self.ids.get(&record.message_id) {
            let same = known.room == record.room && known.content == record.content;
            let Record { seq, time, .. } = *known;
            return if same { Outcome::Repeated { seq, time } } else { Outcome::Conflict };
        }
        let own = self.shelves.entry(record.room.clone()).or_default();
        own.last = own.last.max(record.seq);
        own.last_time = own.last_time.max(record.time);
        let before = own.messages.insert(record.seq, record.clone());
        assert!(before.is_none(), "a place has one message");
        self.ids.insert(record.message_id, record.clone());
        Outcome::Stored
    }

    /// Answers a question.
    pub(crate) fn find(&self, fetch: &Fetch) -> Fetched {
        let mut page = PageWriter::new(fetch);
        let (mut more, mut gone) = (false, Seq(0));
        if let Some(shelf) = self.shelves.get(&fetch.room) {
            gone = shelf.gone;
            let found = shelf.messages.range(fetch.first..=fetch.last).map(|(_, record)| record);
            let meant = |record: &&Record| {
                let text = std::string::String::from_utf8_lossy(&record.content);
                fetch.since.is_none_or(|since| record.time >= since)
                    && fetch.until.is_none_or(|until| record.time < until)
                    && fetch.search.as_ref().is_none_or(|word| text.contains(&**word))
            };
            let mut found: std::vec::Vec<&Record> = found.filter(meant).collect();
            let latest = fetch.latest.map_or(usize::MAX, |latest| latest as usize);
            found.drain(..found.len().saturating_sub(latest));
            if fetch.order == Order::Backward {
                found.reverse();
            }
            let mut taken = found.iter().take_while(|record| {
                page.add(&KeptMessage {
                    seq: record.seq,
                    time: record.time,
                    message_id: record.message_id,
                    from: record.from.as_str(),
                    content: &record.content,
                    content_type: record.content_type.as_deref(),
                })
            });
            more = taken.by_ref().count() < found.len();
        }
        Fetched { no: fetch.no, outcome: Ok(page.finish(more, gone)) }
    }

    /// Takes a room's messages up to a place.
    pub(crate) fn prune(&mut self, room: &RoomName, through: Seq) -> Option<Pruned> {
        let own = self.shelves.get_mut(room)?;
        let through = through.min(own.last);
        own.messages.retain(|seq, _| *seq > through);
        own.gone = own.gone.max(through);
        let is_empty = own.messages.is_empty();
        Some(Pruned { room: room.clone(), through: own.gone, is_empty })
    }

    /// What a daemon that starts is told of.
    pub(crate) fn rooms(&self) -> std::vec::Vec<KeptRoom> {
        let kept = |(name, shelf): (&RoomName, &Shelf)| KeptRoom {
            name: name.clone(),
            last: shelf.last,
            last_time: shelf.last_time,
            gone: shelf.gone,
            is_empty: shelf.messages.is_empty(),
        };
        self.shelves.iter().map(kept).collect()
    }

    /// The places of a room's messages.
    pub(crate) fn places(&self, room: &RoomName) -> std::vec::Vec<Seq> {
        let own = self.shelves.get(room);
        own.into_iter().flat_map(|shelf| shelf.messages.keys().copied()).collect()
    }
}
