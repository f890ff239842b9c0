//! The simulated store: it takes every record, answers at once or late, in batches, and refuses some
//! by its dice. The oracle learns of each record and of each answer at the moment they pass.

use chatd::turn::Store;
use hub::{Answer, Fetch, Fetched, KeptMessage, Order, Outcome, Page, PageWriter, Pruned, Record};
use proto::{MessageId, Seq, WallTime};

use crate::driver::Shared;
use crate::oracle::{Fate, Message};
use crate::trace::Kind;
use crate::world::{InStore, World};

/// The daemon's store in the simulated world.
pub struct SimStore {
    world: Shared<World>,
}

impl SimStore {
    /// A store in this world.
    pub fn new(world: Shared<World>) -> Self {
        Self { world }
    }
}

impl Store for SimStore {
    fn submit(&mut self, record: Record) {
        let mut world = self.world.borrow_mut();
        let world = &mut *world;
        let message = Message {
            room: record.room.as_str().to_owned(),
            seq: record.seq.0,
            time: record.time.as_micros(),
            id: record.message_id.0,
            from: record.from.as_str().to_owned(),
            text: String::from_utf8_lossy(&record.content).into_owned(),
            content: record.content.to_vec(),
            author: 0,
            count: 0,
            fate: Fate::Pending,
        };
        let named = format!("{} {}", message.room, message.seq);
        if let Some(&number) = world.store.ids.get(&message.id) {
            let known = &world.oracle.messages[number];
            let is_same = (&known.room, &known.content) == (&message.room, &message.content);
            let (seq, time) = (Seq(known.seq), WallTime::from_micros(known.time));
            let known = if is_same { Outcome::Repeated { seq, time } } else { Outcome::Conflict };
            world.oracle.reach("store", "known");
            world.store_submit(InStore { ticket: record.ticket, number, known: Some(known) });
            return;
        }
        let links = &world.net.links;
        let number = world.oracle.submit(message, |no| links[no].read_total);
        let author = world.oracle.messages[number].author;
        world.net.note_text(Kind::Submit, author, &named);
        world.store_submit(InStore { ticket: record.ticket, number, known: None });
    }

    fn answers(&mut self, into: &mut Vec<Answer>) {
        let mut world = self.world.borrow_mut();
        for (held, stored) in std::mem::take(&mut world.store.answers) {
            let message = &world.oracle.messages[held.number];
            let named = format!("{} {} {stored}", message.room, message.seq);
            world.net.note_text(Kind::Answer, 0, &named);
            let plain = if stored { Outcome::Stored } else { Outcome::Refused };
            if held.known.is_none() {
                world.oracle.answered(held.number, stored);
            }
            into.push(Answer { ticket: held.ticket, outcome: held.known.unwrap_or(plain) });
        }
    }
    fn fetch(&mut self, fetch: Fetch) {
        self.world.borrow_mut().store_fetch(fetch);
    }

    fn fetched(&mut self) -> Option<Fetched> {
        let mut world = self.world.borrow_mut();
        let fetch = world.store.found.pop_front()?;
        world.oracle.reach("store", "page");
        Some(Fetched { no: fetch.no, outcome: Ok(page(&world, &fetch)) })
    }

    fn pruned(&mut self) -> Option<Pruned> {
        None
    }
}

/// What the store has of what it is asked for.
fn page(world: &World, fetch: &Fetch) -> Page {
    assert!(fetch.search.is_none() && fetch.until.is_none(), "no client asks for that");
    let mut page = PageWriter::new(fetch);
    let Some(kept) = world.store.kept.get(fetch.room.as_str()) else {
        return page.finish(false, Seq(0));
    };
    let places = kept.range(fetch.first.0..=fetch.last.0);
    let messages = places.map(|(_, number)| &world.oracle.messages[*number]);
    let since = fetch.since.map_or(i64::MIN, WallTime::as_micros);
    let mut found: Vec<&Message> = messages.filter(|message| message.time >= since).collect();
    let latest = fetch.latest.map_or(usize::MAX, |latest| latest as usize);
    found.drain(..found.len().saturating_sub(latest));
    if fetch.order == Order::Backward {
        found.reverse();
    }
    let taken = found.iter().take_while(|message| {
        page.add(&KeptMessage {
            seq: Seq(message.seq),
            time: WallTime::from_micros(message.time),
            message_id: MessageId(message.id),
            from: &message.from,
            content: &message.content,
            content_type: None,
        })
    });
    let more = taken.count() < found.len();
    page.finish(more, Seq(0))
}
