//! `chatctl history`: past messages of a room, page by page, in order.
//!
//! The daemon gives a page at a time: forward from where `after` or `since` begins, or backward from the
//! newest where a number is wanted, whose pages are then printed the other way round.

use crate::args::{Count, History};
use crate::ask::{Context, of_room, room};
use crate::client::{Client, Event, Fields};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::moments;
use crate::talk::Look;
use jiff::Timestamp;
use proto::vocabulary::HISTORY_MESSAGES_MAX;
use serde_json::Value;

/// How many messages are printed when nothing bounds them.
const USUAL_MESSAGES: u32 = 50;

/// Which messages, in the terms of the protocol.
struct Range {
    room: String,
    before: Option<u64>,
    after: Option<u64>,
    since: Option<Timestamp>,
    until: Option<Timestamp>,
}

/// `chatctl history`.
pub fn history(context: &mut Context, args: &History) -> Result<(), Failure> {
    let range = Range::new(args)?;
    let bounded = range.after.is_some() || range.since.is_some();
    let usual = if bounded { Count::All } else { Count::Some(USUAL_MESSAGES) };
    let look = if args.raw { Look::Raw } else { Look::Line };
    let mut client = context.call()?;
    let gap = match args.number.unwrap_or(usual) {
        Count::All => forward(context, &mut client, &range, look)?,
        Count::Some(number) => backward(context, &mut client, &range, number, look)?,
    };
    context.talk.flush()?;
    if gap {
        let message = "some messages of this range are no longer there";
        return Err(Failure::new(Exit::HistoryGap, "gap", message));
    }
    Ok(())
}

impl Range {
    fn new(args: &History) -> Result<Self, Failure> {
        let now = clock::wall();
        let moment = |flag: &str, text: &Option<String>| {
            let parsed = text.as_deref().map(|text| moments::moment(text, &now)).transpose();
            parsed.map_err(|why| Failure::usage(format!("{flag}: {why}")))
        };
        Ok(Self {
            room: room(&args.room)?,
            before: args.before,
            after: args.after,
            since: moment("--since", &args.since)?,
            until: moment("--until", &args.until)?,
        })
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
        put("limit", Some(Value::from(limit)));
        fields
    }

    /// Whether a message lies before the range's beginning.
    fn is_over(&self, event: &Event) -> bool {
        let seq = event.number("seq").unwrap_or(0);
        let early = |since| moments::is_before(event.text("time").unwrap_or(""), since);
        self.after.is_some_and(|after| seq <= after) || self.since.is_some_and(early)
    }
}

/// Prints the whole range from its beginning on. Says whether a part of it is missing.
fn forward(
    context: &mut Context,
    client: &mut Client,
    range: &Range,
    look: Look,
) -> Result<bool, Failure> {
    let mut gap = false;
    let mut after = range.after.unwrap_or(0);
    loop {
        let mut fields = range.fields(HISTORY_MESSAGES_MAX);
        fields.insert("after".to_owned(), Value::from(after));
        let page = page(context, client, fields)?;
        gap |= page.gap;
        let last = page.messages.iter().filter_map(|event| event.number("seq")).max();
        for event in &page.messages {
            context.talk.message(event, look)?;
        }
        // Whoever reads our stdout may take their time.
        context.hand_out(client, None, &[])?;
        match last.filter(|last| *last > after && page.more) {
            Some(last) => after = last,
            None => return Ok(gap),
        }
    }
}

/// Prints the last `number` messages of the range. Says whether a part of them is missing.
fn backward(
    context: &mut Context,
    client: &mut Client,
    range: &Range,
    number: u32,
    look: Look,
) -> Result<bool, Failure> {
    let mut left = number;
    let mut gap = false;
    let mut before = range.before;
    let mut pages = Vec::new();
    while left > 0 {
        let limit = left.min(HISTORY_MESSAGES_MAX);
        let open = Range { after: None, since: None, before, room: range.room.clone(), ..*range };
        let mut page = page(context, client, open.fields(limit))?;
        gap |= page.gap;
        let all = page.messages.len();
        page.messages.retain(|event| !range.is_over(event));
        let first = page.messages.first().and_then(|event| event.number("seq"));
        let over = page.messages.len() < all || !page.more;
        left = left.saturating_sub(u32::try_from(page.messages.len()).unwrap_or(u32::MAX));
        pages.push(page.messages);
        match first.filter(|first| !over && before.is_none_or(|before| *first < before)) {
            Some(first) => before = Some(first),
            None => break,
        }
    }
    for event in pages.iter().rev().flatten() {
        context.talk.message(event, look)?;
    }
    Ok(gap)
}

/// One answer of the daemon.
struct Page {
    messages: Vec<Event>,
    more: bool,
    gap: bool,
}

fn page(context: &mut Context, client: &mut Client, fields: Fields) -> Result<Page, Failure> {
    let mut messages = Vec::new();
    let mut gap = false;
    let reply = context.ask(client, "history", fields, &mut |event| {
        match event.name.as_str() {
            "message" => messages.push(event),
            "gap" => gap = true,
            _ => {}
        }
        Ok(())
    })?;
    let more = reply.get("more").and_then(Value::as_bool).unwrap_or(false);
    Ok(Page { messages, more, gap })
}
