//! What passes between the hub and whatever keeps its messages: posts and what became of them, pages of past messages, and what
//! retention took.
//!
//! The hub asks by [`Effect::Store`](crate::Effect::Store) and [`Effect::Fetch`](crate::Effect::Fetch), and is answered in any order and as
//! late as it takes. Pages come encoded ([`PageWriter`]), so that a long replay costs the loop no more than to copy it.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use proto::encode::{self, Content, Message, Place};
use proto::{Dialect, Event, MessageId, Nick, RequestId, RoomName, Seq, WallTime};

use crate::rooms::Ticket;

/// How durable an acknowledged message is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// It is in memory.
    #[default]
    None,
    /// The operating system has it.
    Write,
    /// The disk has it.
    Sync,
}

impl Durability {
    /// It as one word.
    pub const fn word(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Write => "write",
            Self::Sync => "sync",
        }
    }
}

/// A message on its way to the store.
#[derive(Clone, Debug)]
pub struct Record {
    /// What the answer is to name.
    pub ticket: Ticket,
    /// Which room.
    pub room: RoomName,
    /// Its place in the room's order.
    pub seq: Seq,
    /// When it was taken; it never goes back within a room.
    pub time: WallTime,
    /// Its id.
    pub message_id: MessageId,
    /// Who said it.
    pub from: Nick,
    /// What was said, any bytes; shared with the room's recent messages.
    pub content: Arc<[u8]>,
    /// What its author says that this is.
    pub content_type: Option<Arc<str>>,
}

/// What the store says about one message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which message.
    pub ticket: Ticket,
    /// What became of it.
    pub outcome: Outcome,
}

/// What became of a post.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Nobody had its id before, and its number is never given again, whatever happens: it may be said before it is stored. Another
    /// answer follows.
    Taken,
    /// It is stored, as durably as was configured.
    Stored,
    /// Its id names this message of the same room with the same content, which was stored before: nothing was added.
    Repeated {
        /// The place of that message.
        seq: Seq,
        /// Its time.
        time: WallTime,
    },
    /// Its id names another message: nothing was added.
    Conflict,
    /// It is not stored, now or later.
    Refused,
    /// The store broke while it had it, and its author must not be told anything.
    Unknown {
        /// What was found on disk afterwards: it is there, now and later, or it is not.
        stored: bool,
    },
}

/// A question for past messages of one room. Bounds that are not given do not bound.
#[derive(Clone, Debug)]
pub struct Fetch {
    /// Names the answer.
    pub no: u64,
    /// Of which history the places are.
    pub of: MessageId,
    /// Which room.
    pub room: RoomName,
    /// Only those at this place or later.
    pub first: Seq,
    /// Only those at this place or earlier.
    pub last: Seq,
    /// Only those of this time or later.
    pub since: Option<WallTime>,
    /// Only those before this time.
    pub until: Option<WallTime>,
    /// Only so many of the latest of them.
    pub latest: Option<u32>,
    /// Only those with all of these words.
    pub search: Option<Box<str>>,
    /// Which of them come first where they are more than one page. In it the oldest is first in any case.
    pub order: Order,
    /// A page has at most so many.
    pub most: usize,
    /// A page has at most so many bytes; a single message may be longer.
    pub bytes: usize,
    /// Who is to read it.
    pub dialect: Dialect,
    /// Which request it answers.
    pub request: RequestId,
}

/// Which messages come first where there are more than a page has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Forward,
    /// The latest.
    Backward,
}

/// The answer to a [`Fetch`].
#[derive(Debug)]
pub struct Fetched {
    /// Which.
    pub no: u64,
    /// What was found.
    pub outcome: Result<Page, FetchError>,
}

/// Past messages, encoded as their reader wants them, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The frames.
    pub bytes: Vec<u8>,
    /// How many messages.
    pub count: usize,
    /// The first place that it tells of.
    pub first: Option<Seq>,
    /// The last place that it tells of.
    pub last: Option<Seq>,
    /// There are others: behind the last where it goes forward, before the first where it goes backward.
    pub more: bool,
    /// Retention took everything of the room up to this place, and with it, before this was read.
    pub gone: Seq,
}

/// Why there is no page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FetchError {
    /// It cannot be read now.
    Unavailable,
    /// To search for this takes too long.
    TooLong,
    /// Nothing is kept that could be searched.
    NoSearch,
}

/// Retention took a room's oldest messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pruned {
    /// Which room.
    pub room: RoomName,
    /// Up to this place, and with it.
    pub through: Seq,
    /// Nothing of it is left.
    pub is_empty: bool,
}

/// What was kept of a room when the daemon started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptRoom {
    /// Its name.
    pub name: RoomName,
    /// The highest place that was ever given in it.
    pub last: Seq,
    /// No message of it is later.
    pub last_time: WallTime,
    /// Retention took everything up to this place, and with it.
    pub gone: Seq,
    /// Nothing of it is left.
    pub is_empty: bool,
}

/// A message as it was kept.
#[derive(Clone, Copy, Debug)]
pub struct KeptMessage<'a> {
    /// Its place in the room's order.
    pub seq: Seq,
    /// When it was taken.
    pub time: WallTime,
    /// Its id.
    pub message_id: MessageId,
    /// Who said it.
    pub from: &'a str,
    /// What was said.
    pub content: &'a [u8],
    /// What its author says that this is.
    pub content_type: Option<&'a str>,
}

/// Makes a [`Page`]: whoever keeps messages adds those that a [`Fetch`] asks for, in its order, until one is not taken.
#[derive(Debug)]
pub struct PageWriter<'a> {
    fetch: &'a Fetch,
    bytes: Vec<u8>,
    /// Where each frame of a page that goes backward begins.
    starts: Vec<usize>,
    count: usize,
    /// The place that was added first, and the one that was last.
    reached: Option<(Seq, Seq)>,
}

impl<'a> PageWriter<'a> {
    /// An empty page.
    pub fn new(fetch: &'a Fetch) -> Self {
        Self { fetch, bytes: Vec::new(), starts: Vec::new(), count: 0, reached: None }
    }

    /// Adds the next message; false where the page has no room for it, and is to be finished with others left.
    pub fn add(&mut self, kept: &KeptMessage<'_>) -> bool {
        let fetch = self.fetch;
        let message = Message {
            place: Place::Room { room: &fetch.room, seq: kept.seq, of: fetch.of },
            time: kept.time,
            message_id: kept.message_id,
            from: kept.from,
            content: Content(kept.content),
            content_type: kept.content_type,
            receipt: false,
            history: Some(&fetch.request),
        };
        // A message is no shorter when it is encoded: one that cannot fit is not encoded to be thrown away.
        let fits = kept.content.len() <= fetch.bytes.saturating_sub(self.bytes.len());
        self.count < fetch.most
            && (fits || self.reached.is_none())
            && self.push(kept.seq, 1, &Event::Message(message))
    }

    /// Tells that the next message is damaged, by a `gap` in its place; false where the page has no room for it.
    pub fn add_damaged(&mut self, seq: Seq) -> bool {
        self.push(seq, 0, &Event::Gap { room: &self.fetch.room, from_seq: seq, to_seq: seq })
    }

    fn push(&mut self, seq: Seq, count: usize, event: &Event<'_>) -> bool {
        let before = self.bytes.len();
        encode::event(self.fetch.dialect, event, &mut self.bytes);
        if self.bytes.len() > self.fetch.bytes && self.reached.is_some() {
            self.bytes.truncate(before);
            return false;
        }
        if let Some((_, last)) = self.reached {
            let goes_on = match self.fetch.order {
                Order::Forward => seq > last,
                Order::Backward => seq < last,
            };
            assert!(goes_on, "a page has one order");
        }
        self.starts.push(before);
        self.count += count;
        self.reached = Some((self.reached.map_or(seq, |(first, _)| first), seq));
        true
    }

    /// The page; `more` where there are messages that it has no room for, `gone` what retention has taken of the room.
    pub fn finish(self, more: bool, gone: Seq) -> Page {
        let Self { fetch, bytes, starts, count, reached } = self;
        let (mut first, mut last) = reached.unzip();
        let bytes = match fetch.order {
            Order::Forward => bytes,
            Order::Backward => {
                core::mem::swap(&mut first, &mut last);
                let ends = starts.iter().skip(1).copied().chain([bytes.len()]);
                let mut frames: Vec<&[u8]> =
                    starts.iter().zip(ends).map(|(start, end)| &bytes[*start..end]).collect();
                frames.reverse();
                frames.concat()
            }
        };
        Page { bytes, count, first, last, more, gone }
    }
}
