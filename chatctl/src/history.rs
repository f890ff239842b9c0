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
    let gone = match args.number.unwrap_or(usual) {
        Count::All => forward(context, &mut client, &range, look)?,
        Count::Some(number) => backward(context, &mut client, &range, number, look)?,
    };
    context.talk.flush()?;
    if gone.is_empty() {
        return Ok(());
    }
    let all: Vec<_> = gone.iter().map(|gone| gone.shown(&range.room)).collect();
    Err(Failure::new(Exit::HistoryGap, "gap", all.join("; ")))
}

/// Messages that were asked for and that the daemon has forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Gone {
    from: u64,
    to: u64,
}

impl Gone {
    fn shown(self, room: &str) -> String {
        match (self.from, self.to) {
            (from, to) if from == to => format!("message {from} of #{room} is gone"),
            (from, to) => format!("messages {from} to {to} of #{room} are gone"),
        }
    }
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

    /// What of the range lies behind `after` and has been forgotten.
    fn gone(&self, after: u64, forgotten: u64) -> Option<Gone> {
        let last = self.before.map_or(u64::MAX, |before| before.saturating_sub(1));
        let (from, to) = (after.saturating_add(1), forgotten.min(last));
        (from <= to).then_some(Gone { from, to })
    }

    /// What is to be said where there is nothing to print: who asks for all there is gets what there is, but not silently
    /// nothing. What belongs to a time nobody knows of a message that is forgotten.
    fn nothing(&self, forgotten: u64) -> Option<Gone> {
        let timeless = self.since.is_none() && self.until.is_none();
        self.gone(self.after.unwrap_or(0), forgotten).filter(|_| timeless)
    }

    /// Whether a message lies before the range's beginning.
    fn is_over(&self, event: &Event) -> bool {
        let seq = event.number("seq").unwrap_or(0);
        let early = |since| moments::is_before(event.text("time").unwrap_or(""), since);
        self.after.is_some_and(|after| seq <= after) || self.since.is_some_and(early)
    }
}

/// Prints the whole range from its beginning on. Says which parts of it are missing.
fn forward(
    context: &mut Context,
    client: &mut Client,
    range: &Range,
    look: Look,
) -> Result<Vec<Gone>, Failure> {
    let mut gone = Vec::new();
    let mut after = range.after.unwrap_or(0);
    // Who names a place is owed what comes behind it; so is what comes behind a page.
    let mut owed = range.after.is_some();
    loop {
        let mut fields = range.fields(HISTORY_MESSAGES_MAX);
        fields.insert("after".to_owned(), Value::from(after));
        let page = page(context, client, fields)?;
        let last = page.messages.iter().filter_map(|event| event.number("seq")).max();
        gone.extend(range.gone(after, page.forgotten).filter(|_| owed));
        for event in &page.messages {
            context.talk.message(event, look)?;
        }
        // Whoever reads our stdout may take their time.
        context.hand_out(client, None, &[])?;
        match last.filter(|last| *last > after && page.more) {
            Some(last) => after = last,
            None if last.is_none() && !owed => {
                return Ok(Vec::from_iter(range.nothing(page.forgotten)));
            }
            None => return Ok(gone),
        }
        owed = true;
    }
}

/// Prints the last `number` messages of the range. Says which part of them is missing.
fn backward(
    context: &mut Context,
    client: &mut Client,
    range: &Range,
    number: u32,
    look: Look,
) -> Result<Vec<Gone>, Failure> {
    let mut left = number;
    let mut forgotten = 0;
    let mut before = range.before;
    let mut pages = Vec::new();
    while left > 0 {
        let limit = left.min(HISTORY_MESSAGES_MAX);
        let open = Range { after: None, since: None, before, room: range.room.clone(), ..*range };
        let mut page = page(context, client, open.fields(limit))?;
        forgotten = page.forgotten;
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
    // Where as many came as were wanted, what lies before them is nobody's business.
    let owed = range.after.filter(|_| left > 0);
    let gone = match owed {
        Some(after) => range.gone(after, forgotten),
        None if left == number => range.nothing(forgotten),
        None => None,
    };
    Ok(Vec::from_iter(gone))
}

/// One answer of the daemon.
struct Page {
    messages: Vec<Event>,
    more: bool,
    /// The last message that the daemon has forgotten; 0 where it has forgotten none.
    forgotten: u64,
}

fn page(context: &mut Context, client: &mut Client, fields: Fields) -> Result<Page, Failure> {
    let mut messages = Vec::new();
    let reply = context.ask(client, "history", fields, &mut |event| {
        if event.name == "message" {
            messages.push(event);
        }
        Ok(())
    })?;
    let more = reply.get("more").and_then(Value::as_bool).unwrap_or(false);
    let forgotten = reply.get("forgotten").and_then(Value::as_u64).unwrap_or(0);
    Ok(Page { messages, more, forgotten })
}
