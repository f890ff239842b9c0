//! Past messages of one room, a page at a time: what is asked for, what comes, and what of it the daemon does not have any more.
//!
//! It prints nothing, and does not know where a page leads on: that is for `history` and `export`, which go through the
//! pages each in its own way.

use crate::ask::{Context, of_room};
use crate::client::{Client, Event, Fields};
use crate::failure::{Exit, Failure};
use crate::moments;
use jiff::Timestamp;
use serde_json::Value;

/// Which messages, in the terms of the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Range {
    /// The room.
    pub room: String,
    /// Only what has a smaller number.
    pub before: Option<u64>,
    /// Only what has a greater number.
    pub after: Option<u64>,
    /// Only what was said then or later.
    pub since: Option<Timestamp>,
    /// Only what was said before then.
    pub until: Option<Timestamp>,
    /// Only what has these words.
    pub search: Option<String>,
}

/// Messages that were asked for and that the daemon has not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gone {
    /// The first number.
    pub from: u64,
    /// The last number.
    pub to: u64,
    /// Their time was asked for, and is not known any more.
    pub perhaps: bool,
}

/// One answer of the daemon.
#[derive(Debug)]
pub struct Page {
    /// Messages, and gaps where there were some, in order.
    pub events: Vec<Event>,
    /// Whether there are others.
    pub more: bool,
    /// The last message that the daemon has forgotten; 0 where it has forgotten none.
    pub forgotten: u64,
}

impl Range {
    /// All of a room.
    pub fn all(room: &str) -> Self {
        let (room, before, after) = (room.to_owned(), None, None);
        Self { room, before, after, since: None, until: None, search: None }
    }

    fn fields(&self, limit: u32) -> Fields {
        let mut fields = of_room(&self.room);
        let mut put = |name: &str, value: Option<Value>| {
            if let Some(value) = value {
                fields.insert(name.to_owned(), value);
            }
        };
        put("before", self.before.map(Value::from));
        put("after", self.after.map(Value::from));
        put("since", self.since.map(|moment| Value::from(moments::rfc3339(moment))));
        put("until", self.until.map(|moment| Value::from(moments::rfc3339(moment))));
        put("search", self.search.as_deref().map(Value::from));
        put("limit", Some(Value::from(limit)));
        fields
    }

    /// The page that this range has: at its beginning where it is `after` something, otherwise at its end.
    pub fn page(
        &self,
        context: &Context,
        client: &mut Client,
        limit: u32,
    ) -> Result<Page, Failure> {
        let mut events = Vec::new();
        let reply = context.ask(client, "history", self.fields(limit), &mut |event| {
            if event.name == "message" || event.name == "gap" {
                events.push(event);
            }
            Ok(())
        })?;
        let more = reply.get("more").and_then(Value::as_bool).unwrap_or(false);
        let forgotten = reply.get("forgotten").and_then(Value::as_u64).unwrap_or(0);
        Ok(Page { events, more, forgotten })
    }

    /// What of the range lies behind `after` and has been forgotten.
    pub fn gone(&self, after: u64, forgotten: u64) -> Option<Gone> {
        let last = self.before.map_or(u64::MAX, |before| before.saturating_sub(1));
        let (from, to) = (after.saturating_add(1), forgotten.min(last));
        (from <= to).then_some(Gone { from, to, perhaps: false })
    }

    /// What of a range that begins at a time may have been forgotten: nothing, where an earlier message is still there, since
    /// the times of a room never go back.
    pub fn gone_since(
        &self,
        since: Timestamp,
        forgotten: u64,
        context: &Context,
        client: &mut Client,
    ) -> Result<Option<Gone>, Failure> {
        let gone = self.gone(self.after.unwrap_or(0), forgotten);
        let Some(gone) = gone else { return Ok(None) };
        let earlier = Self { until: Some(since), ..Self::all(&self.room) };
        let is_there = !earlier.page(context, client, 1)?.events.is_empty();
        Ok((!is_there).then_some(Gone { perhaps: true, ..gone }))
    }
}

impl Gone {
    /// What a `gap` names.
    pub fn told(gap: &Event) -> Self {
        let number = |field: &str| gap.number(field).unwrap_or(0);
        Self { from: number("from_seq"), to: number("to_seq"), perhaps: false }
    }

    /// It in words.
    pub fn shown(self, room: &str) -> String {
        let Self { from, to, perhaps } = self;
        let which = if from == to {
            format!("message {from} of #{room} is gone")
        } else {
            format!("messages {from} to {to} of #{room} are gone")
        };
        if perhaps { format!("{which}, perhaps some from that time") } else { which }
    }
}

/// The number of a message, or the first and the last that a gap names.
pub fn numbers(event: &Event) -> (u64, u64) {
    if event.name == "gap" {
        let Gone { from, to, .. } = Gone::told(event);
        return (from, to);
    }
    let seq = event.number("seq").unwrap_or(0);
    (seq, seq)
}

/// What a command ends with where something that was asked for is gone.
pub fn outcome(gone: &[String]) -> Result<(), Failure> {
    if gone.is_empty() {
        return Ok(());
    }
    Err(Failure::new(Exit::HistoryGap, "gap", gone.join("; ")))
}
