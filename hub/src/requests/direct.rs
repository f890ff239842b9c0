//! Messages to one nickname, and receipts.

use alloc::format;
use alloc::vec;
use alloc::vec::Vec;
use core::mem;

use proto::encode::{self, Content, Message, Place};
use proto::reply::Reply;
use proto::vocabulary::Error;
use proto::{ErrorCode, Event, MessageId, Nick, Permission, RequestId, WallTime};

use crate::Hub;
use crate::connection::{ConnId, Connection};
use crate::directs::Direct;
use crate::outbox::Outbox;
use crate::planted::Planted;
use crate::receipts::{Given, RECEIPT_MEMBERS_MAX, Receiver, Wanted};
use crate::rooms::{RoomNo, Standing};

/// A message to one nickname, as its author made it.
#[derive(Debug)]
pub(super) struct DirectDraft<'a> {
    pub(super) message_id: MessageId,
    pub(super) from: Nick,
    pub(super) to: &'a Nick,
    pub(super) content: &'a [u8],
    pub(super) content_type: Option<&'a str>,
    pub(super) receipt: bool,
}

impl Hub {
    /// A message to one nickname goes to whoever has that name now; nobody else hears it, and it is never skipped. It is stored
    /// nowhere: a guest's name may be another person's tomorrow.
    pub(super) fn post_direct(
        &mut self,
        id: ConnId,
        request: &RequestId,
        draft: &DirectDraft<'_>,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let message_id = draft.message_id;
        if self.recents.ids.contains_key(&message_id) {
            return Err(super::id_conflict());
        }
        if let Some(known) = self.directs.get(message_id) {
            if *known.content != *draft.content || known.to.key() != draft.to.key() {
                return Err(super::id_conflict());
            }
            let (to, time) = (known.to.clone(), known.time);
            self.reply(id, request, &Reply::Direct { to: to.as_str(), time }, out);
            return Ok(());
        }
        let receivers = self.who_hears(id, draft.to)?;
        self.may_take_more(&receivers, draft.to)?;
        let (time, to) = (self.wall, self.name_of(&receivers, draft.to));
        let stale = self.names.first_owner(draft.to).filter(|first| {
            let is_there = self.connections.get(*first).is_some_and(|who| who.phase.is_live());
            is_there && self.settings.plants(Planted::StaleOwner)
        });
        let receivers = stale.map_or(receivers, |first| vec![first]);
        let heard = self.deliver_direct(id, receivers, draft, (&to, time), out);
        if heard.is_empty() {
            let text = format!("`{to}` reads too slowly and is closed: nothing was delivered.");
            return Err(Error::new(ErrorCode::NoSuchNick, text));
        }
        let direct = Direct { to: to.clone(), time, content: draft.content.into() };
        self.directs.keep(message_id, direct);
        self.counters.messages += 1;
        self.reply(id, request, &Reply::Direct { to: to.as_str(), time }, out);
        if draft.receipt {
            self.await_receipts(message_id, id, Wanted::OneOf(heard));
        }
        Ok(())
    }

    /// Whoever a message to this nickname reaches: those who leave get nothing new, and who may not watch hears nothing.
    fn who_hears(&self, author: ConnId, nick: &Nick) -> Result<Vec<ConnId>, Error> {
        let mut found = self.who_else_is_called(author, nick)?;
        found.retain(|who| self.connections.get(*who).is_some_and(|who| who.phase.is_live()));
        if found.is_empty() {
            let text = format!("`{nick}` is leaving; nothing was delivered.");
            return Err(Error::new(ErrorCode::NoSuchNick, text));
        }
        let may_hear = |who: &Connection| who.rights.allow(Permission::Watch);
        found.retain(|who| self.connections.get(*who).is_some_and(may_hear));
        if found.is_empty() {
            let text = format!("`{nick}` may send and not watch; nothing was delivered.");
            return Err(Error::new(ErrorCode::NoSuchNick, text));
        }
        Ok(found)
    }

    /// Refuses a message to somebody who has too much waiting already: no other's burst cuts who it is for.
    pub(super) fn may_take_more(&self, receivers: &[ConnId], nick: &Nick) -> Result<(), Error> {
        let Some(limit) = self.settings.outbox else { return Ok(()) };
        let waits = receivers.iter().filter_map(|who| self.connections.get(*who));
        let most = waits.map(never_skipped_bytes).max().unwrap_or(0);
        if most <= limit / 2 {
            return Ok(());
        }
        let text = format!("`{nick}` has {most} bytes waiting and takes no more now; try again.");
        Err(Error::new(ErrorCode::LimitReached, text))
    }

    /// A nickname as its owner writes it.
    fn name_of(&self, owners: &[ConnId], nick: &Nick) -> Nick {
        let owner = owners.first().and_then(|owner| self.connections.get(*owner));
        let name = owner.and_then(|owner| owner.nick.clone());
        name.unwrap_or_else(|| nick.clone())
    }

    /// Queues a message for its receivers; gives back those for whom it is queued. Several receivers are one user of the control
    /// socket and speak one dialect, so that it is encoded once.
    fn deliver_direct(
        &mut self,
        author: ConnId,
        receivers: Vec<ConnId>,
        draft: &DirectDraft<'_>,
        (to, time): (&Nick, WallTime),
        out: &mut Outbox,
    ) -> Vec<ConnId> {
        let dialect_of = |hub: &Self, id| hub.connections.get(id).map(|who| who.dialect);
        let first = receivers.first().and_then(|first| dialect_of(self, *first));
        let dialect = first.expect("a message has a receiver, who is there");
        let message = Message {
            place: Place::Direct { to: to.as_str() },
            time,
            message_id: draft.message_id,
            from: draft.from.as_str(),
            content: Content(draft.content),
            content_type: draft.content_type,
            receipt: draft.receipt,
            history: None,
        };
        let mut frame = Vec::new();
        encode::event(dialect, &Event::Message(message), &mut frame);
        assert!(!frame.is_empty(), "every dialect has a form for it");
        if dialect.is_v1() {
            self.counters.encoded_v1 += 1;
        } else {
            self.counters.encoded_v05 += 1;
        }
        let (mut heard, bytes) = (receivers, frame.len());
        self.portion.was_said(bytes);
        let last = heard.last().copied();
        heard.retain(|who| {
            assert_eq!(dialect_of(self, *who), Some(dialect), "one frame is for all of them");
            let own = if Some(*who) == last { mem::take(&mut frame) } else { frame.clone() };
            self.push_private(*who, own, out);
            self.connections.get(*who).is_some_and(|who| who.phase.is_live())
        });
        let count = u32::try_from(heard.len()).unwrap_or(u32::MAX);
        self.counters.deliveries += u64::from(count);
        self.charge_fanout(author, bytes, count);
        heard
    }

    /// Refuses a post that asks more members for receipts than may give them.
    pub(super) fn may_ask_for_receipts(&self, no: RoomNo) -> Result<(), Error> {
        let members = self.rooms.known(no).shown;
        if members <= RECEIPT_MEMBERS_MAX {
            return Ok(());
        }
        let text = format!(
            "The room has {members} members; receipts are for rooms of at most {RECEIPT_MEMBERS_MAX}."
        );
        Err(Error::new(ErrorCode::LimitReached, text))
    }

    /// An author that is still there waits for receipts of a message that was delivered.
    pub(crate) fn await_receipts(&mut self, message_id: MessageId, author: ConnId, wanted: Wanted) {
        if self.connections.get(author).is_some_and(|author| author.phase.is_live()) {
            self.receipts.wait(message_id, author, wanted);
        }
    }

    /// Somebody has a message, and its author hears so: once from each, who is a member of its room, or the one it was for.
    pub(super) fn receipt(
        &mut self,
        id: ConnId,
        request: &RequestId,
        message_id: MessageId,
        out: &mut Outbox,
    ) -> Result<(), Error> {
        let author = self.awaits_receipt_of(message_id, id)?;
        assert!(self.connections.get(author).is_some(), "an author who waits is there");
        let connection = self.connections.get(id).expect("who asks is there");
        let nick = connection.nick.clone().expect("who speaks v1 has a name");
        let receiver = Receiver { nick: nick.key(), connection: id };
        let given = self.receipts.give(message_id, receiver);
        if given == Given::TooMany {
            let text = format!(
                "{RECEIPT_MEMBERS_MAX} have given a receipt, as many as may for a message."
            );
            return Err(Error::new(ErrorCode::LimitReached, text));
        }
        self.reply(id, request, &Reply::Receipt { message_id }, out);
        if given == Given::New || self.settings.plants(Planted::ReceiptTwice) {
            let dialect = self.reply_dialect(author);
            let event = Event::Delivered { message_id, by: nick.as_str(), time: self.wall };
            let mut bytes = Vec::new();
            encode::event(dialect, &event, &mut bytes);
            self.push_private(author, bytes, out);
        }
        Ok(())
    }

    /// Who waits for a receipt of this message that this connection may give.
    fn awaits_receipt_of(&self, message_id: MessageId, id: ConnId) -> Result<ConnId, Error> {
        let awaited = self.receipts.get(message_id).filter(|awaited| {
            self.connections.get(awaited.author).is_some_and(|author| author.phase.is_live())
        });
        let is_receiver = awaited.filter(|awaited| match &awaited.wanted {
            Wanted::OneOf(heard) => heard.contains(&id),
            Wanted::Members(no) => awaited.author != id && self.is_shown_in(*no, id),
        });
        let Some(awaited) = is_receiver else {
            let text = "Nobody waits for a receipt of this message from this connection.";
            return Err(Error::new(ErrorCode::NoSuchMessage, text));
        };
        if let Wanted::Members(no) = awaited.wanted {
            self.may_ask_for_receipts(no)?;
        }
        Ok(awaited.author)
    }

    fn is_shown_in(&self, no: RoomNo, id: ConnId) -> bool {
        let standing = self.rooms.get(no).and_then(|room| room.member(id));
        standing.map(|member| member.standing).is_some_and(Standing::is_shown)
    }
}

/// What waits for a connection and can only be taken by it, or cuts it.
fn never_skipped_bytes(connection: &Connection) -> usize {
    if connection.dialect.is_v1() {
        connection.private - connection.queue.private_written()
    } else {
        connection.queue.bytes()
    }
}
