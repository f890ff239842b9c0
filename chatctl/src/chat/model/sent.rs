//! What became of our messages: stored, sent, delivered, not acknowledged, or refused and given back.

use super::entry::{Mark, Message};
use super::outgoing::{To, Unsent};
use super::{Model, Moment, News, ViewName, time_of};
use crate::client::{Fields, Refusal};
use proto::Span;
use serde_json::Value;

/// Between two tries to send what the server could not store.
const AGAIN_PAUSE: Span = Span::from_secs(1);

impl Model {
    /// The server has the message, or has queued it for its receiver.
    pub(super) fn sent(&mut self, at: Moment, id: &str, reply: &Fields) {
        let Some(message) = self.outgoing.take(id) else { return };
        if let Some(asked) = message.asked {
            self.stored.add(at.now.since(asked));
        }
        let place = reply.get("seq").and_then(Value::as_u64);
        if let (To::Room(room), Some(seq)) = (&message.to, place)
            && let Some(room) = self.rooms.get_mut(room)
        {
            // The reply stands at the message's place: what comes before it has come.
            room.see(seq);
        }
        let view = message.to.view();
        if let (To::Nick(_), Some(to)) = (&message.to, reply.get("to").and_then(Value::as_str))
            && let Some(view) = self.views.view_mut(&view)
        {
            view.title = format!("@{to}");
        }
        self.mark_taken(&view, id, time_of(reply, at), place);
    }

    /// The message was taken: for a room by the server, which keeps it, for a person or in a talk by the way that this goes.
    pub(super) fn mark_taken(
        &mut self,
        view: &ViewName,
        id: &str,
        time: jiff::Timestamp,
        place: Option<u64>,
    ) {
        let from = self.nick().unwrap_or_default().to_owned();
        let mark = if view.room().is_some() { Mark::Stored } else { Mark::Sent };
        let known = self.views.view_mut(view);
        if let Some(number) = known.and_then(|view| view.log.taken(id, &from, time, place, mark)) {
            self.news(News::Mark { view: view.clone(), number });
        }
    }

    /// The talk has ended so: of what was sent in it, and has no receipt, nobody knows whether it came.
    pub(super) fn mark_unacknowledged(&mut self, why: &str) {
        for id in self.outgoing.take_unacknowledged() {
            self.mark(&ViewName::Talk, &id, Mark::NotAcknowledged { why: why.to_owned() });
        }
    }

    /// A message of ours has come so far.
    fn mark(&mut self, view: &ViewName, id: &str, mark: Mark) {
        let known = self.views.view_mut(view);
        let marked = |one: &mut Message| one.mark = mark;
        if let Some(number) = known.and_then(|view| view.log.change(id, marked)) {
            self.news(News::Mark { view: view.clone(), number });
        }
    }

    /// The server refused a message: it is not stored, now or later.
    pub(super) fn not_sent(&mut self, at: Moment, id: &str, refusal: &Refusal) {
        let message = self.outgoing.unsent.iter_mut().find(|message| message.id == id);
        let Some(message) = message else { return };
        (message.asked, message.is_tried) = (None, false);
        let is_room = matches!(message.to, To::Room(_));
        match refusal.code.as_str() {
            // It goes on over the next connection.
            "shutting_down" => self.outgoing.held = Some(at.now.after(AGAIN_PAUSE)),
            "rate_limited" | "store_unavailable" if message.to != To::Talk => {
                let pause = refusal.retry_after.map_or(AGAIN_PAUSE, super::link::seconds);
                let is_told = self.outgoing.held.is_some();
                self.outgoing.held = Some(at.now.after(pause));
                if !is_told {
                    self.tell(at, format!("{} Trying again.", refusal.message));
                }
            }
            // The room has grown since.
            "limit_reached" if is_room && message.receipt => message.receipt = false,
            _ => {
                if let Some(message) = self.outgoing.take(id) {
                    self.give_up(&message, Mark::refused_for(refusal));
                }
            }
        }
    }

    /// A message will not be sent: it says so, and its text is given back.
    pub(super) fn give_up(&mut self, message: &Unsent, mark: Mark) {
        let view = message.to.view();
        self.outgoing.awaited.retain(|awaited| awaited.id != message.id);
        self.mark(&view, &message.id, mark);
        self.give_back(&view, &message.content, true);
    }

    /// Somebody has a message of ours.
    pub(super) fn delivered(&mut self, at: Moment, id: &str) {
        let awaited = self.outgoing.awaited.iter_mut().find(|awaited| awaited.id == id);
        let Some(awaited) = awaited else { return };
        awaited.is_owed = false;
        let awaited = awaited.clone();
        let rtt = at.now.since(awaited.asked);
        let mut is_first = false;
        let further = |message: &mut Message| {
            let before = match message.mark {
                Mark::Delivered { by, rtt } => Some((by, rtt)),
                _ => None,
            };
            is_first = before.is_none();
            let (by, rtt) = before.unwrap_or((0, rtt));
            message.mark = Mark::Delivered { by: by.saturating_add(1), rtt };
        };
        let view = self.views.view_mut(&awaited.view);
        let number = view.and_then(|view| view.log.change(id, further));
        if is_first {
            self.delivered.add(rtt);
        }
        if let Some(number) = number {
            self.news(News::Mark { view: awaited.view, number });
        }
    }
}
