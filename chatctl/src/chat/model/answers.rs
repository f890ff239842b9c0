//! The answers to look-ups, in words.

use super::entry::{Happened, What};
use super::replies::Look;
use super::{Member, Model, Moment, ViewName, time_of};
use crate::ask::has_more;
use crate::client::Fields;
use crate::moments;
use crate::voice::away_words;
use jiff::Timestamp;
use serde_json::Value;

/// From so many microseconds on it is worth saying how long ago something was.
const AGO_MICROS_MIN: u64 = 1_000_000;

/// What somebody is told who said that they are away, or back.
pub(super) fn away_told(text: Option<&str>) -> String {
    match text {
        None => "you are back".to_owned(),
        Some(text) => format!("you are {}", away_words(text)),
    }
}

/// How long ago a time of the server was.
pub(super) fn time_shown(at: Moment, time: &str) -> String {
    match time.parse::<Timestamp>() {
        Ok(time) => {
            let micros = at.wall.as_microsecond().saturating_sub(time.as_microsecond());
            let ago = u64::try_from(micros).unwrap_or(0);
            if ago < AGO_MICROS_MIN {
                return "just now".to_owned();
            }
            format!("{} ago", moments::span_shown(ago))
        }
        Err(_) => time.to_owned(),
    }
}

impl Model {
    pub(super) fn looked_up(&mut self, at: Moment, look: Look, view: &ViewName, reply: &Fields) {
        match look {
            Look::Whois => self.show_whois(at, view, reply),
            Look::Rooms => self.show_rooms(at, view, reply),
            Look::Topic => self.show_topic(at, view, reply),
        }
    }

    fn show_whois(&mut self, at: Moment, view: &ViewName, reply: &Fields) {
        let text = |name: &str| reply.get(name).and_then(Value::as_str).unwrap_or("");
        let since = time_shown(at, text("since"));
        let idle = reply.get("idle_ms").and_then(Value::as_u64).unwrap_or(0);
        let idle = moments::span_shown(idle.saturating_mul(1_000));
        let mut lines = vec![format!("{} took this name {since}; idle {idle}", text("nick"))];
        let rooms = reply.get("rooms").and_then(Value::as_array).into_iter().flatten();
        let rooms: Vec<_> =
            rooms.filter_map(Value::as_str).map(|room| format!("#{room}")).collect();
        if !rooms.is_empty() {
            lines.push(format!("in {}", rooms.join(", ")));
        }
        for (name, before) in [("away", "away: "), ("agent", "uses "), ("address", "at ")] {
            if !text(name).is_empty() {
                lines.push(format!("{before}{}", text(name)));
            }
        }
        self.note_in(at, view, lines.join("\n"));
    }

    fn show_rooms(&mut self, at: Moment, view: &ViewName, reply: &Fields) {
        let entries = reply.get("rooms").and_then(Value::as_array).into_iter().flatten();
        let mut lines: Vec<_> = entries
            .map(|entry| {
                let (name, members) = (entry["room"].as_str(), entry["members"].as_u64());
                format!("#{} ({} there)", name.unwrap_or("?"), members.unwrap_or(0))
            })
            .collect();
        if has_more(reply) {
            lines.push("and more: `chatctl rooms` has all".to_owned());
        }
        if lines.is_empty() {
            lines.push("there are no rooms".to_owned());
        }
        self.note_in(at, view, lines.join("\n"));
    }

    /// The topic, or that we have changed it: the others are told by an event.
    fn show_topic(&mut self, at: Moment, view: &ViewName, reply: &Fields) {
        let text = |name: &str| reply.get(name).and_then(Value::as_str).unwrap_or("").to_owned();
        let (room, topic, by) = (text("room"), text("topic"), text("by"));
        let known = self.rooms.get_mut(&room);
        let is_new = known.is_some_and(|known| {
            let is_new = known.topic() != topic;
            known.set_topic(&topic);
            is_new
        });
        if is_new && self.is_us(&by) {
            let happened = Happened::Topic(by, topic);
            return self.put(view, time_of(reply, at), None, What::Event(happened));
        }
        let words = if topic.is_empty() {
            format!("#{room} has no topic")
        } else {
            format!("#{room} is about: {topic} (set by {by})")
        };
        self.note_in(at, view, words);
    }

    pub(super) fn show_members(&mut self, at: Moment, view: &ViewName, room: &str, all: &[Member]) {
        let shown = |member: &Member| {
            let away = if member.is_away { " (away)" } else { "" };
            format!("{}{away}", member.nick)
        };
        let names: Vec<_> = all.iter().map(shown).collect();
        self.note_in(at, view, format!("in #{room} ({}): {}", names.len(), names.join(", ")));
    }

    /// The views, and what is unread in them.
    pub(super) fn show_views(&mut self, at: Moment) {
        let shown: Vec<_> = self
            .views
            .iter()
            .zip(1..)
            .map(|((name, view), number)| {
                let here = if name == self.views.focus() { " (here)" } else { "" };
                let unread = match (view.unread, view.mentions) {
                    (0, _) => String::new(),
                    (unread, 0) => format!(" {unread} unread"),
                    (unread, mentions) => format!(" {unread} unread, {mentions} for you"),
                };
                format!("{number} {}{here}{unread}", view.title)
            })
            .collect();
        self.note(at, shown.join("\n"));
    }
}
