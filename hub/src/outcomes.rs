//! What becomes of a post: what the store said of it, and what its author and its room hear of that.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use proto::encode::{Content, Message, Place};
use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{ErrorCode, Event, MessageId, Now, Seq, WallTime};

use crate::Hub;
use crate::close::CloseReason;
use crate::connection::ConnId;
use crate::outbox::{Notice, Outbox};
use crate::planted::Planted;
use crate::receipts::Wanted;
use crate::recent::{Known, Recent};
use crate::requests::id_conflict;
use crate::rooms::{Asked, Pending, Post, RoomNo, Ticket};
use crate::store::{Answer, Outcome};

/// So much of what the store refused before goes to it again with one batch of answers that says that it stores: some of these
/// answers have others follow.
const POSTED_AGAIN_AT_ONCE: usize = 256;

/// Messages that were said before they are stored, and are still to be acknowledged.
pub(crate) type Said = BTreeMap<Ticket, SaidPost>;

/// A message that was said before it is stored.
#[derive(Debug)]
pub(crate) struct SaidPost {
    pub(crate) asked: Asked,
    message_id: MessageId,
    time: WallTime,
    /// Its content, in bytes.
    pub(crate) bytes: usize,
}

impl Hub {
    /// The store answered. Each room releases what has its turn, in its order; an answer to nothing is ignored.
    pub fn stored(&mut self, answers: &[Answer], now: Now, out: &mut Outbox) {
        self.tick(now);
        for Answer { ticket, outcome } in answers.iter().copied() {
            if let Some(said) = self.said.remove(&ticket) {
                self.said_is_decided(ticket, said, outcome, out);
                continue;
            }
            let Some(room) = self.rooms.get_mut(ticket.room) else { continue };
            let mut waiting = room.queue.iter_mut().filter_map(Pending::as_post);
            let Some(post) = waiting.find(|post| post.message.seq == ticket.seq) else { continue };
            match post.outcome {
                None => {
                    post.outcome = Some(outcome);
                    self.release_ready(ticket.room, out);
                }
                // It is to be said after the next flush, and then acknowledged at once.
                Some(Outcome::Taken) => post.outcome = Some(outcome),
                Some(_) => {}
            }
        }
        if answers.iter().any(|answer| answer.outcome == Outcome::Stored) {
            self.post_refused(POSTED_AGAIN_AT_ONCE, out);
        }
        self.wake_behind_store(out);
        self.end_if_stored(out);
    }

    /// A post has its turn in its room's order.
    pub(crate) fn release_post(&mut self, no: RoomNo, post: Post, out: &mut Outbox) {
        let Post { outcome, message, receipt, asked } = post;
        let Recent { seq, time, message_id, .. } = message;
        let (author, bytes) = (asked.author, message.content.len());
        let outcome = outcome.expect("a post that waits is not released");
        let is_mute = asked.reply.is_none();
        if is_mute && matches!(outcome, Outcome::Taken | Outcome::Stored) {
            self.is_taken(author, seq, out);
        }
        if outcome != Outcome::Taken {
            self.leaves_store(bytes);
        }
        match outcome {
            Outcome::Taken => {
                let ticket = Ticket { room: no, seq };
                let before = self.said.insert(ticket, SaidPost { asked, message_id, time, bytes });
                assert!(before.is_none(), "a message is said once");
                self.rooms.known_mut(no).said += 1;
                self.say(no, message, (author, receipt), out);
            }
            Outcome::Stored => {
                self.tell_posted(no, asked, (seq, time), out);
                self.say(no, message, (author, receipt), out);
            }
            Outcome::Unknown { stored: true } if self.settings.plants(Planted::UnknownIsNo) => {
                self.tell_not_stored(no, seq, asked, out);
                self.say(no, message, (author, receipt), out);
            }
            Outcome::Unknown { stored } => {
                self.end_untold(asked, out);
                if stored {
                    self.say(no, message, (author, receipt), out);
                } else {
                    self.forget_id(no, &message);
                }
            }
            Outcome::Repeated { seq: first, time } => {
                self.forget_id(no, &message);
                let forgets = self.settings.plants(Planted::FirstReplyForgotten);
                self.tell_posted(no, asked, (if forgets { seq } else { first }, time), out);
            }
            Outcome::Conflict => {
                self.forget_id(no, &message);
                self.tell_refused(asked, &id_conflict(), out);
            }
            Outcome::Refused if is_mute => {
                self.forget_id(no, &message);
                let room = self.rooms.known(no).name.clone();
                out.notice(Notice::StoreRefused { room, seq });
                self.tell_refused(asked, &not_stored(), out);
                self.hold_back(author, message, out);
            }
            Outcome::Refused => {
                self.forget_id(no, &message);
                self.tell_not_stored(no, seq, asked, out);
            }
        }
    }

    /// The store decided about a message that everybody has heard. Where it is not there, nobody hears of it again.
    fn said_is_decided(
        &mut self,
        ticket: Ticket,
        said: SaidPost,
        outcome: Outcome,
        out: &mut Outbox,
    ) {
        let Ticket { room: no, seq } = ticket;
        let SaidPost { asked, message_id, time, bytes } = said;
        let is_lost = match outcome {
            Outcome::Stored => false,
            Outcome::Unknown { stored } => !stored,
            Outcome::Refused => true,
            Outcome::Taken | Outcome::Repeated { .. } | Outcome::Conflict => {
                unreachable!("what was taken had an id of its own")
            }
        };
        self.leaves_store(bytes);
        self.rooms.known_mut(no).said -= 1;
        if is_lost {
            let held = self.recents.take_back(&mut self.rooms, no, seq);
            assert!(
                held || !self.recents.ids.contains_key(&message_id),
                "an id is known while its message is"
            );
        }
        self.recents.shrink(&mut self.rooms, &self.said, self.settings.recent);
        if matches!(outcome, Outcome::Unknown { .. }) {
            self.end_untold(asked, out);
        } else if is_lost {
            self.tell_not_stored(no, seq, asked, out);
        } else {
            self.tell_posted(no, asked, (seq, time), out);
        }
        self.sweep(no);
    }

    /// The store has decided about a post.
    fn leaves_store(&mut self, bytes: usize) {
        assert!(self.store_queue.messages > 0, "a post is counted while it waits");
        self.store_queue.messages -= 1;
        self.store_queue.bytes -= bytes;
    }

    /// There is no message of this id here.
    fn forget_id(&mut self, no: RoomNo, message: &Recent) {
        let known = self.recents.ids.remove(&message.message_id);
        assert_eq!(
            known,
            Some(Known { room: no, seq: message.seq }),
            "an id is known while it waits"
        );
    }

    /// Everybody hears a message but its author, who has a reply in its place.
    fn say(
        &mut self,
        no: RoomNo,
        message: Recent,
        (author, receipt): (ConnId, bool),
        out: &mut Outbox,
    ) {
        let room = self.rooms.known(no);
        assert!(room.last_released < message.seq, "a room has one order");
        let name = room.name.clone();
        let seq = message.seq;
        let event = Event::Message(Message {
            place: Place::Room { room: &name, seq, of: self.history },
            time: message.time,
            message_id: message.message_id,
            from: message.from.as_str(),
            content: Content(&message.content),
            content_type: message.content_type.as_deref(),
            receipt,
            history: None,
        });
        self.publish(no, &event, Some(seq), Some(author), out);
        if receipt {
            self.await_receipts(message.message_id, author, Wanted::Members(no));
        }
        self.counters.messages += 1;
        self.rooms.known_mut(no).last_released = seq;
        let most = (&self.said, self.settings.recent);
        self.recents.keep(&mut self.rooms, no, message, most);
    }

    /// A message is there: whoever asked gets the reply.
    pub(crate) fn tell_posted(
        &mut self,
        no: RoomNo,
        asked: Asked,
        (seq, time): (Seq, WallTime),
        out: &mut Outbox,
    ) {
        let name = self.rooms.known(no).name.clone();
        let done = Reply::Post { room: name.as_str(), seq, time };
        for (asker, request) in asked.replies() {
            let bytes = self.encode_reply(asker, &request, &done);
            self.answer_owed(asker, bytes, out);
        }
    }

    fn tell_refused(&mut self, asked: Asked, error: &Error, out: &mut Outbox) {
        for (asker, request) in asked.replies() {
            let bytes = self.encode_refusal(asker, Some(&request), error);
            self.answer_owed(asker, bytes, out);
        }
    }

    /// The store does not have a message: v1 authors are told so. v0.5 authors have no reply: where it was said already it cannot be
    /// said again, and they are closed.
    fn tell_not_stored(&mut self, no: RoomNo, seq: Seq, asked: Asked, out: &mut Outbox) {
        let room = self.rooms.known(no).name.clone();
        out.notice(Notice::StoreRefused { room, seq });
        if asked.reply.is_none() && self.connections.get(asked.author).is_some() {
            self.close(asked.author, CloseReason::StoreUnavailable, out);
        }
        self.tell_refused(asked, &not_stored(), out);
    }

    /// Nobody knows what became of a post, and no answer would be true: whoever waits for one is closed without, and asks again.
    fn end_untold(&mut self, asked: Asked, out: &mut Outbox) {
        let author = asked.author;
        for asker in asked.replies().map(|(asker, _)| asker).chain([author]) {
            if self.connections.get(asker).is_some() {
                self.close(asker, CloseReason::StoreBroke, out);
            }
        }
    }

    /// Answers what a connection is owed an answer for, if it is still there; one that has ended its side may wait for nothing else.
    pub(crate) fn answer_owed(&mut self, asker: ConnId, bytes: Vec<u8>, out: &mut Outbox) {
        let Some(connection) = self.connections.get_mut(asker) else { return };
        connection.owed = connection.owed.checked_sub(1).expect("what is owed is given once");
        if connection.phase.is_answered() {
            self.push_private(asker, bytes, out);
            self.check_left(asker, out);
        }
    }
}

fn not_stored() -> Error {
    let text = "The message could not be stored and was not sent; try again.";
    Error::new(ErrorCode::StoreUnavailable, text)
}
