//! What the server says without being asked.

use super::entry::{Content, Happened, Mark, Message, What};
use super::replies::Asked;
use super::views::folded;
use super::{Model, Moment, ViewName, time_of, with};
use crate::client::{Event, Fields};
use serde_json::Value;

/// Whether a text has this nickname in it, standing alone.
fn names(text: &str, nick: &str) -> bool {
    let (text, nick) = (text.to_lowercase(), nick.to_lowercase());
    if nick.is_empty() {
        return false;
    }
    let is_part = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.match_indices(&nick).any(|(at, found)| {
        let before = text.get(..at).and_then(|before| before.chars().next_back());
        let behind = text.get(at + found.len()..).and_then(|behind| behind.chars().next());
        !before.is_some_and(is_part) && !behind.is_some_and(is_part)
    })
}

impl Model {
    pub(super) fn heard(&mut self, at: Moment, event: &Event) {
        match event.name.as_str() {
            "message" if event.fields.contains_key("room") => self.room_message(at, event),
            "message" => self.direct_message(at, event),
            "delivered" => self.delivered(at, event.text("message_id").unwrap_or_default()),
            "gap" => {
                let number = |field: &str| event.number(field).unwrap_or(0);
                let room = event.text("room").unwrap_or_default().to_owned();
                self.gap(at, &room, number("from_seq"), number("to_seq"));
            }
            "notice" => {
                let text = format!("from the operator: {}", event.text("text").unwrap_or(""));
                let focus = self.views.focus().clone();
                self.note_in(at, &focus, text);
            }
            "bye" => self.link.bye = event.text("reason").map(str::to_owned),
            "renamed" if !event.fields.contains_key("room") => {
                let text = |field: &str| event.text(field).unwrap_or_default();
                self.peer_renamed(at, text("nick"), text("new_nick"));
            }
            name if name.starts_with("talk_") => self.talk_heard(at, event),
            _ => self.room_event(at, event),
        }
    }

    /// Somebody came, went, is away or set the topic.
    fn room_event(&mut self, at: Moment, event: &Event) {
        let room = event.text("room").unwrap_or_default();
        let (Some(happened), Some(known)) = (Happened::of(event), self.rooms.get_mut(room)) else {
            return;
        };
        known.happened(&happened, event);
        let by = match &happened {
            Happened::Joined(nick)
            | Happened::Left(nick)
            | Happened::Renamed(nick, _)
            | Happened::Away(nick, _)
            | Happened::Topic(nick, _) => self.is_ignored(nick),
            Happened::Presence { .. } => false,
        };
        if !by {
            let view = ViewName::Room(room.to_owned());
            self.put(&view, at.wall, None, What::Event(happened));
        }
    }

    fn room_message(&mut self, at: Moment, event: &Event) {
        let room = event.text("room").unwrap_or_default().to_owned();
        let seq = event.number("seq").unwrap_or(0);
        let view = ViewName::Room(room.clone());
        let of = event.text("history").and_then(|id| self.asked.get(id));
        if matches!(of, Some(Asked::Older { .. } | Asked::Fill { .. })) {
            return self.past_message(at, &view, seq, event);
        }
        let Some(known) = self.rooms.get_mut(&room) else { return };
        if !known.see(seq) {
            return;
        }
        let id = event.text("message_id").unwrap_or_default();
        let is_ours_here = self
            .views
            .view(&view)
            .is_some_and(|view| view.log.message(id).is_some_and(super::entry::Entry::is_sending));
        if is_ours_here {
            // It was sent over a connection that broke before its answer: here is the answer.
            if !self.asked.contains_key(id) {
                self.outgoing.take(id);
            }
            return self.mark_taken(&view, id, time_of(&event.fields, at), Some(seq));
        }
        let Some(message) = self.message(&event.fields, false) else { return };
        self.put(&view, time_of(&event.fields, at), Some(seq), What::Message(message));
        self.give_receipt(at, event);
    }

    /// A message that was asked for: it is old, and counts as read.
    fn past_message(&mut self, at: Moment, view: &ViewName, seq: u64, event: &Event) {
        let id = event.text("message_id").unwrap_or_default();
        let request = event.text("history").unwrap_or_default();
        match self.asked.get_mut(request) {
            Some(Asked::Fill { last, .. }) => *last = Some(seq),
            Some(Asked::Older { first, .. }) => {
                *first = Some(first.map_or(seq, |first| first.min(seq)));
            }
            _ => {}
        }
        let Some(message) = self.message(&event.fields, false) else { return };
        let time = time_of(&event.fields, at);
        let Some(known) = self.views.view_mut(view) else { return };
        if known.log.message(id).is_some() {
            return;
        }
        let number = known.log.put(time, Some(seq), What::Message(message));
        if let Some(Asked::Older { numbers, .. } | Asked::Fill { numbers, .. }) =
            self.asked.get_mut(request)
        {
            numbers.push(number);
        }
    }

    fn direct_message(&mut self, at: Moment, event: &Event) {
        let from = event.text("from").unwrap_or("?").to_owned();
        if self.is_us(&from) {
            // To ourselves; the answer to the post says the same.
            return;
        }
        let Some(message) = self.message(&event.fields, true) else { return };
        let view = ViewName::of_nick(&from);
        self.views.open(&view, &format!("@{from}"));
        self.put(&view, time_of(&event.fields, at), None, What::Message(message));
        self.give_receipt(at, event);
    }

    /// What the fields say; nothing where nobody wants to hear it.
    fn message(&self, fields: &Fields, is_for_us: bool) -> Option<Message> {
        let text = |name: &str| fields.get(name).and_then(Value::as_str);
        let from = text("from").unwrap_or("?").to_owned();
        if self.is_ignored(&from) {
            return None;
        }
        let content = Content::of(proto::client::content(fields).unwrap_or_default());
        let is_own = self.is_us(&from);
        let nick = self.nick().unwrap_or_default();
        let is_named = match &content {
            Content::Text(text) => names(text, nick),
            Content::Data(_) => false,
        };
        Some(Message {
            id: text("message_id").unwrap_or_default().to_owned(),
            from,
            content,
            is_own,
            is_mention: !is_own && (is_for_us || is_named),
            mark: if is_own { Mark::Stored } else { Mark::None },
        })
    }

    /// Says 'received', where that is asked for.
    fn give_receipt(&mut self, at: Moment, event: &Event) {
        let wanted = event.fields.get("receipt").and_then(Value::as_bool) == Some(true);
        let is_live = !event.fields.contains_key("history");
        if let Some(id) = event.text("message_id").filter(|_| wanted && is_live) {
            let fields = with(Fields::new(), "message_id", id);
            self.ask(at, "receipt", fields, Asked::Quiet);
        }
    }

    /// Hears nothing of somebody from now on.
    pub(super) fn ignore(&mut self, nick: &str) {
        self.wanted.ignored.insert(folded(nick), nick.to_owned());
    }

    /// Hears of them again; whether they were ignored.
    pub(super) fn unignore(&mut self, nick: &str) -> bool {
        self.wanted.ignored.remove(&folded(nick)).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::names;

    #[test]
    fn a_message_names_us_where_the_nick_stands_alone() {
        for (text, nick) in
            [("ada: hi", "Ada"), ("(ADA)", "ada"), ("ask ada", "ada"), ("adam, ada!", "ada")]
        {
            assert!(names(text, nick), "{text}");
        }
        for (text, nick) in
            [("adam", "ada"), ("canada", "ada"), ("ada-2", "ada"), ("", "ada"), ("x", "")]
        {
            assert!(!names(text, nick), "{text}");
        }
    }
}
