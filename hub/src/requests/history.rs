//! `history`: past messages of a room, from memory, from the store, or from both.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;

use proto::reply::Reply;
use proto::vocabulary::{Error, HISTORY_MESSAGES_MAX};
use proto::{ErrorCode, RequestId, RoomName, Seq, WallTime};

use crate::Hub;
use crate::connection::ConnId;
use crate::fetch::Reader;
use crate::outbox::{Effect, Outbox};
use crate::recent::{Asker, Page};
use crate::rooms::Room;
use crate::store::{self, Durability, Fetch, FetchError, Order};

/// How many messages `history` gives where the client names no limit.
const HISTORY_MESSAGES_DEFAULT: u32 = 100;
/// So many `history` requests of a connection may wait for the store.
const LOOK_UPS_MAX: usize = 64;

/// Which messages of a room a `history` request means. What is not given does not bound.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct HistoryRange {
    /// Only those before this place.
    pub(super) before: Option<Seq>,
    /// Only those after this place; the page then begins there, otherwise it ends at the newest.
    pub(super) after: Option<Seq>,
    /// Only those stored at this time or later.
    pub(super) since: Option<WallTime>,
    /// Only those stored before this time.
    pub(super) until: Option<WallTime>,
    /// Only those with all of these words.
    pub(super) search: Option<Box<str>>,
    /// At most so many, and at most [`HISTORY_MESSAGES_MAX`].
    pub(super) limit: Option<u32>,
}

/// A `history` request that waits for the store.
#[derive(Debug)]
pub(crate) struct LookUp {
    request: RequestId,
    room: RoomName,
    range: HistoryRange,
    /// What the store is to look through, both ends included.
    first: Seq,
    last: Seq,
    /// How many messages, and how many bytes of them, the reply may still have.
    most: usize,
    budget: usize,
    /// What memory has of it, where that comes behind what the store has.
    recent: Page,
    /// What the store was asked; nothing yet where there is none.
    no: Option<u64>,
}

impl Hub {
    pub(super) fn history(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        range: HistoryRange,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let asker = Asker { dialect: self.reply_dialect(id), request, of: self.history };
        let is_stored = self.settings.durability != Durability::None;
        let room = self.rooms.known(self.existing_room(name)?);
        let limit = range.limit.unwrap_or(HISTORY_MESSAGES_DEFAULT);
        let mut most = limit.min(HISTORY_MESSAGES_MAX) as usize;
        let mut budget = self.budget_of(id);
        let stored = match &range.search {
            Some(_) if !is_stored => return Err(no_search()),
            Some(_) => Some((range.after.map_or(Seq(1), Seq::next), room.last_released)),
            None => room.stored_from(range.after.map_or(Seq(1), Seq::next)),
        };
        let before = range.before.map_or(Seq(u64::MAX), |before| Seq(before.0.saturating_sub(1)));
        let stored = stored.map(|(first, last)| (first, last.min(before)));
        let stored = stored.filter(|(first, last)| first <= last);
        let places = places_in(room, &range);
        let mut page = if range.search.is_some() || (range.after.is_some() && stored.is_some()) {
            Page::default()
        } else if range.after.is_some() {
            room.page_forward(places, most, budget, asker)
        } else {
            room.page_backward(places, most, budget, asker)
        };
        most -= page.count;
        budget = budget.saturating_sub(page.bytes.len());
        let Some((first, last)) = stored.filter(|_| !page.more) else {
            let more = page.more;
            self.answer_history(id, request, name, (&mut page, more), out);
            return Ok(());
        };
        if most == 0 || (budget == 0 && page.count > 0) {
            self.answer_history(id, request, name, (&mut page, true), out);
            return Ok(());
        }
        let (request, room) = (request.clone(), name.clone());
        let (recent, no) = (page, None);
        let look_up = LookUp { request, room, range, first, last, most, budget, recent, no };
        self.wait_for_store(id, look_up, out)
    }

    /// A request waits for what the store finds, behind those that the connection made before.
    fn wait_for_store(
        &mut self,
        id: ConnId,
        look_up: LookUp,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let waiting = self.fetches.look_ups.entry(id).or_default();
        if waiting.len() >= LOOK_UPS_MAX {
            let text = "Too many `history` requests of this connection wait; read a reply first.";
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        waiting.push_back(look_up);
        let is_first = waiting.len() == 1;
        self.connections.known(id).owed += 1;
        if is_first {
            self.look_up(id, out);
        }
        Ok(())
    }

    /// Asks the store for what a connection's first request waits for.
    pub(crate) fn look_up(&mut self, id: ConnId, out: &mut Outbox) {
        let dialect = self.reply_dialect(id);
        if !self.fetches.look_ups.contains_key(&id) || self.fetches.must_wait(Reader::LookUp(id)) {
            return;
        }
        let last = self.fetches.look_ups[&id].front().expect("nobody waits for nothing").last;
        let no = self.fetches.begin(Reader::LookUp(id), last);
        let waiting = self.fetches.look_ups.get_mut(&id).and_then(VecDeque::front_mut);
        let look_up = waiting.expect("it was found");
        assert!(look_up.no.is_none(), "the store is asked once");
        look_up.no = Some(no);
        let range = &look_up.range;
        out.effect(Effect::Fetch(Fetch {
            no,
            of: self.history,
            room: look_up.room.clone(),
            first: look_up.first,
            last: look_up.last,
            since: range.since,
            until: range.until,
            latest: None,
            search: range.search.clone(),
            order: if range.after.is_some() { Order::Forward } else { Order::Backward },
            most: look_up.most,
            bytes: look_up.budget.max(1),
            dialect,
            request: look_up.request.clone(),
        }));
    }

    /// The store found what a request waited for, or not.
    pub(crate) fn look_up_fetched(
        &mut self,
        id: ConnId,
        no: u64,
        outcome: Result<store::Page, FetchError>,
        out: &mut Outbox,
    ) {
        let Some(waiting) = self.fetches.look_ups.get_mut(&id) else { return };
        let Some(look_up) = waiting.pop_front_if(|first| first.no == Some(no)) else { return };
        if waiting.is_empty() {
            self.fetches.look_ups.remove(&id);
        }
        let bytes = match outcome.map_err(unread).and_then(|page| self.whole(id, &look_up, page)) {
            Ok(bytes) => bytes,
            Err(error) => self.encode_refusal(id, Some(&look_up.request), &error),
        };
        self.answer_owed(id, bytes, out);
        self.look_up(id, out);
    }

    /// The reply to a request, of what the store found and what memory has.
    fn whole(
        &mut self,
        id: ConnId,
        look_up: &LookUp,
        found: store::Page,
    ) -> Result<Vec<u8>, Error> {
        let LookUp { request, room: name, range, last, most, budget, recent, .. } = look_up;
        let asker = Asker { dialect: self.reply_dialect(id), request, of: self.history };
        let room = self.rooms.find(name).map(|no| self.rooms.known_mut(no));
        let (mut bytes, mut count, mut more) = (found.bytes, found.count, found.more);
        let mut gone = found.gone;
        if let Some(room) = room {
            room.is_gone(gone);
            gone = room.gone();
            let goes_on = range.after.is_some() && range.search.is_none() && !more;
            if goes_on && room.forgotten > *last && range.before.is_none_or(|it| it > last.next()) {
                // Memory has forgotten something meanwhile; it is for the next request.
                more = true;
            } else if goes_on && count < *most {
                let left = budget.saturating_sub(bytes.len());
                let places = places_in(room, range);
                if left == 0 && count > 0 {
                    more = !places.is_empty();
                } else {
                    let rest = room.page_forward(places, most - count, left, asker);
                    // A page alone may be longer than its budget; behind another it is not.
                    if rest.bytes.len() <= left || count == 0 {
                        bytes.extend(rest.bytes);
                        (count, more) = (count + rest.count, rest.more);
                    } else {
                        more = true;
                    }
                }
            } else if goes_on {
                more = !places_in(room, range).is_empty();
            }
        }
        bytes.extend_from_slice(&recent.bytes);
        count += recent.count;
        // Of who lives, messages of rooms that wait are left out for it; of who is on its way out, nothing is any more.
        let limit = self.settings.outbox.unwrap_or(usize::MAX);
        let waits = self.connections.get(id).map_or(0, |connection| {
            let lives = connection.phase.is_live();
            if lives { connection.private } else { connection.queue.bytes() }
        });
        if bytes.len() > limit.saturating_sub(waits) {
            let text = "What waits for this connection leaves no room for the messages; read it, then ask again.";
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        let reply = Reply::History { room: name.as_str(), count, more, forgotten: gone };
        Ok(self.end_page(id, request, bytes, &reply))
    }

    fn answer_history(
        &mut self,
        id: ConnId,
        request: &RequestId,
        name: &RoomName,
        (page, more): (&mut Page, bool),
        out: &mut Outbox,
    ) {
        let room = self.rooms.find(name).map(|no| self.rooms.known(no));
        let room = room.expect("whose messages are told is there");
        assert!(room.gone() <= room.last_released, "what is gone was said");
        let (count, forgotten) = (page.count, room.gone());
        let reply = Reply::History { room: name.as_str(), count, more, forgotten };
        let bytes = core::mem::take(&mut page.bytes);
        let bytes = self.end_page(id, request, bytes, &reply);
        self.push_private(id, bytes, out);
    }
}

/// The places in memory of the messages that a request means.
fn places_in(room: &Room, range: &HistoryRange) -> core::ops::Range<usize> {
    let begin = room.recent.partition_point(|recent| {
        range.after.is_some_and(|after| recent.seq <= after)
            || range.since.is_some_and(|since| recent.time < since)
    });
    let end = room.recent.partition_point(|recent| {
        range.before.is_none_or(|before| recent.seq < before)
            && range.until.is_none_or(|until| recent.time < until)
    });
    begin..end.max(begin)
}

fn no_search() -> Error {
    let text = "This daemon keeps no history that could be searched.";
    Error::new(ErrorCode::BadRequest, text)
}

fn unread(error: FetchError) -> Error {
    match error {
        FetchError::Unavailable => Error::new(
            ErrorCode::StoreUnavailable,
            "The past messages cannot be read now; try again.",
        ),
        FetchError::TooLong => Error::new(
            ErrorCode::LimitReached,
            "The search took too long; bound it by `since` and `until`, or search for rarer words.",
        ),
        FetchError::NoSearch => no_search(),
    }
}
