//! A room's order: posts wait for the store, everything else waits behind them, and what is released is encoded once by
//! dialect into the room's open block.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::mem;

use proto::{Dialect, Event, MessageId, Nick, RequestId, Seq, encode};

use crate::Hub;
use crate::connection::{ConnId, Pause};
use crate::leave::Course;
use crate::outbox::{Effect, Outbox};
use crate::planted::Planted;
use crate::recent::{Known, Recent};
use crate::rooms::{Asked, Excluded, Pending, Post, RoomNo, Ticket};
use crate::settings::{STORE_QUEUE_BYTES_MAX, STORE_QUEUE_MESSAGES_MAX};
use crate::store::Record;

/// An empty queue of a room keeps room for so many.
const QUEUE_KEPT: usize = 64;

/// What waits for the store, all rooms together.
#[derive(Debug, Default)]
pub(crate) struct StoreQueue {
    pub(crate) messages: usize,
    pub(crate) bytes: usize,
}

/// A post as its author made it.
#[derive(Debug)]
pub(crate) struct Draft<'a> {
    pub(crate) room: RoomNo,
    pub(crate) message_id: MessageId,
    pub(crate) from: Nick,
    pub(crate) content: &'a [u8],
    /// What its author says that this is.
    pub(crate) content_type: Option<&'a str>,
    pub(crate) author: ConnId,
    /// The request to reply to, of v1 authors.
    pub(crate) reply: Option<RequestId>,
    /// Its author asks for receipts.
    pub(crate) receipt: bool,
}

impl<'a> Draft<'a> {
    /// What somebody says who has no way to name it, or to ask about it: a v0.5 client.
    pub(crate) fn of_v05(
        (room, message_id): (RoomNo, MessageId),
        (author, from): (ConnId, Nick),
        content: &'a [u8],
    ) -> Self {
        let (content_type, reply, receipt) = (None, None, false);
        Self { room, message_id, from, content, content_type, author, reply, receipt }
    }
}

impl Hub {
    /// A post takes its number and its time, and goes to the store. Nobody hears of it before the store has it.
    pub(crate) fn post(&mut self, draft: Draft<'_>, out: &mut Outbox) {
        let Draft { room: no, message_id, from, author, reply, receipt, .. } = draft;
        self.will_hand_out(no);
        let room = self.rooms.known_mut(no);
        let seq = room.last_taken.next();
        let time = self.wall.max(room.last_time);
        assert!(seq > room.last_released, "numbers are taken before they are released");
        (room.last_taken, room.last_time) = (seq, time);
        let content: Arc<[u8]> = draft.content.into();
        let content_type: Option<Arc<str>> = draft.content_type.map(Arc::from);
        let before = self.recents.ids.insert(message_id, Known { room: no, seq });
        assert!(before.is_none(), "an id names one message");
        out.effect(Effect::Store(Record {
            ticket: Ticket { room: no, seq },
            room: room.name.clone(),
            seq,
            time,
            message_id,
            from: from.clone(),
            content: Arc::clone(&content),
            content_type: content_type.clone(),
        }));
        self.store_queue.messages += 1;
        self.store_queue.bytes += content.len();
        if reply.is_some() {
            self.connections.known(author).owed += 1;
        }
        let message = Recent { seq, time, message_id, from, content, content_type };
        let mut asked = Asked { author, reply, repeats: Vec::new() };
        if self.settings.plants(Planted::AcknowledgedEarly) {
            let reply = asked.reply.take();
            let early = Asked { author, reply, repeats: Vec::new() };
            self.tell_posted(no, early, (seq, time), out);
        }
        let post = Post { outcome: None, message, receipt, asked };
        self.rooms.known_mut(no).queue.push_back(Pending::Post(post));
    }

    /// Something of a room happened besides messages: it takes its place in the room's order.
    pub(crate) fn announce(&mut self, no: RoomNo, what: Pending, out: &mut Outbox) {
        self.has_done(1);
        let Some(what) = self.fold(no, what, out) else { return };
        self.announce_unfolded(no, what, out);
    }

    /// The same, whatever the room's size.
    pub(crate) fn announce_unfolded(&mut self, no: RoomNo, what: Pending, out: &mut Outbox) {
        self.will_hand_out(no);
        let room = self.rooms.known_mut(no);
        let at_once = room.queue.is_empty();
        room.queue.push_back(what);
        if at_once {
            self.release_ready(no, out);
        }
    }

    /// Releases a room's queue up to the first post that the store has not answered, or that is to be said after the next flush.
    pub(crate) fn release_ready(&mut self, no: RoomNo, out: &mut Outbox) {
        while let Some(room) = self.rooms.get_mut(no) {
            let ready = |pending: &mut Pending| !pending.waits_for_store();
            if self.portion.is_full()
                && room
                    .queue
                    .front_mut()
                    .is_some_and(|next| next.as_post().is_some() && ready(next))
            {
                self.portion.hold(no);
                break;
            }
            let Some(pending) = room.queue.pop_front_if(ready) else { break };
            if room.queue.is_empty() && room.queue.capacity() > QUEUE_KEPT {
                room.queue.shrink_to(QUEUE_KEPT);
            }
            self.release(no, pending, out);
        }
        self.sweep(no);
    }

    fn release(&mut self, no: RoomNo, pending: Pending, out: &mut Outbox) {
        let name = self.rooms.known(no).name.clone();
        match pending {
            Pending::Post(post) => self.release_post(no, post, out),
            Pending::Joined { conn, nick } => {
                let event = Event::Joined { room: &name, nick: nick.as_str() };
                self.publish(no, &event, None, Some(conn), out);
            }
            Pending::Left { conn, nick } => {
                let event = Event::Left { room: &name, nick: nick.as_str() };
                self.publish(no, &event, None, Some(conn), out);
            }
            Pending::Presence(presence) => {
                self.publish(no, &presence.event(&name), None, None, out);
            }
            Pending::Topic { by, topic } => {
                let (conn, nick) = by.unzip();
                // Who decides for the server speaks in its name.
                let server = nick.is_none().then(|| self.settings.server_name.clone());
                let nick =
                    nick.as_ref().map_or(server.as_deref().unwrap_or_default(), Nick::as_str);
                let event = Event::Topic { room: &name, nick, topic: &topic };
                self.publish(no, &event, None, conn, out);
            }
            Pending::Away { conn, nick, away } => {
                let event = Event::Away { room: &name, nick: nick.as_str(), away: &away };
                self.publish(no, &event, None, Some(conn), out);
            }
            Pending::Renamed { conn, nick, new_nick } => {
                let (nick, new_nick) = (nick.as_str(), new_nick.as_str());
                let event = Event::Renamed { room: Some(&name), nick, new_nick };
                self.publish(no, &event, None, Some(conn), out);
            }
        }
    }

    /// Encodes an event once for v0.5 and once for v1, where somebody hears it; what is framed for a dialect lies at the end of
    /// the room's open block. Once everybody was told `bye`, nobody hears anything.
    pub(crate) fn publish(
        &mut self,
        no: RoomNo,
        event: &Event<'_>,
        seq: Option<Seq>,
        except: Option<ConnId>,
        out: &mut Outbox,
    ) {
        if self.course == Course::Ending {
            return;
        }
        let author = except;
        let own = except.and_then(|conn| self.rooms.known(no).member(conn));
        let own = own.map(|member| member.dialect);
        let mut body = None;
        let mut longest = 0;
        for dialect in Dialect::ALL {
            let room = self.rooms.known(no);
            let except = except.filter(|_| own == Some(dialect));
            let hearers = room.audience[dialect.index()] - u32::from(except.is_some());
            if hearers == 0 || !encode::has_form(dialect, event) {
                continue;
            }
            let mut frame = mem::take(&mut self.frame);
            assert!(frame.is_empty(), "one frame is encoded at a time");
            if dialect.is_v1() {
                let counter = &mut self.counters.encoded_v1;
                let body = body.get_or_insert_with(|| {
                    *counter += 1;
                    encode::body(event)
                });
                encode::frame(dialect, encode::place(event), body, &mut frame);
            } else {
                self.counters.encoded_v05 += 1;
                encode::event(dialect, event, &mut frame);
            }
            longest = longest.max(frame.len());
            self.append(no, dialect, &frame, seq, except, out);
            if let Some(author) = author {
                self.charge_fanout(author, frame.len(), hearers);
            }
            frame.clear();
            frame.shrink_to(crate::settings::BLOCK_BYTES_MAX);
            self.frame = frame;
        }
        self.portion.was_said(longest);
    }

    /// Appends a frame to the room's open block; one that would pass its limit is handed out before.
    fn append(
        &mut self,
        no: RoomNo,
        dialect: Dialect,
        frame: &[u8],
        seq: Option<Seq>,
        except: Option<ConnId>,
        out: &mut Outbox,
    ) {
        let at = dialect.index();
        let open = self.rooms.known(no).open[at];
        if open.is_some_and(|block| !self.blocks.has_room(block, frame.len())) {
            self.hand_out(no, dialect, out);
        }
        let room = self.rooms.known_mut(no);
        let name = &room.name;
        let block =
            *room.open[at].get_or_insert_with(|| self.blocks.open(no, name.clone(), dialect));
        let range = self.blocks.append(block, frame, seq);
        if let Some(conn) = except {
            room.excluded[at].push(Excluded { conn, from: range.start, to: range.end });
        }
        self.rooms.is_dirty(no);
    }

    /// The store has less to do than it may: speakers go on.
    pub(crate) fn wake_behind_store(&mut self, out: &mut Outbox) {
        let queue = &self.store_queue;
        if queue.messages > STORE_QUEUE_MESSAGES_MAX / 2 || queue.bytes > STORE_QUEUE_BYTES_MAX / 2
        {
            return;
        }
        while let Some(id) = self.behind_store.pop_front() {
            let connection = self.connections.known(id);
            if matches!(connection.pause, Pause::Store { .. }) {
                self.go_on(id, out);
                self.rearm(id);
            }
        }
    }
}
