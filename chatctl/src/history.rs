//! `chatctl history`: past messages of a room, page by page, in order.
//!
//! The daemon gives a page at a time: forward from where `after` or `since` begins, or backward from the
//! newest where a number is wanted, whose pages are then printed the other way round.

use crate::args::{Count, History};
use crate::ask::{Context, room};
use crate::catching::{HELD_BYTES_MAX, weight};
use crate::client::{Client, Event};
use crate::clock;
use crate::failure::Failure;
use crate::moments;
use crate::past::{Gone, Range, numbers, outcome};
use crate::voice::Look;
use jiff::Timestamp;
use proto::vocabulary::HISTORY_MESSAGES_MAX;
use std::collections::{BTreeSet, VecDeque};

/// How many messages are printed when nothing bounds them.
const USUAL_MESSAGES: u32 = 50;

/// `chatctl history`.
pub fn history(context: &mut Context, args: &History) -> Result<(), Failure> {
    let range = range(args)?;
    let mut client = context.call()?;
    let room = range.room.clone();
    let mut printer = Printer { context, client: &mut client, args };
    let gone = match how_many(args) {
        HowMany::All => printer.forward(range, None)?,
        HowMany::First(most) => printer.forward(range, Some(most))?,
        HowMany::Last(most) => printer.backward(&range, most)?,
    };
    context.voice.flush()?;
    // What was asked for twice is missing once.
    let gone: BTreeSet<Gone> = gone.into_iter().collect();
    let gone: Vec<_> = gone.iter().map(|gone| gone.shown(&room)).collect();
    outcome(&gone)
}

/// Which of the messages that fit are printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum HowMany {
    All,
    First(u32),
    Last(u32),
}

/// What the flags say; who says what to look for, or where to begin, wants all of that.
fn how_many(args: &History) -> HowMany {
    match (args.number, args.limit) {
        (Some(Count::All), _) => HowMany::All,
        (Some(Count::Some(number)), _) => HowMany::Last(number),
        (None, Some(limit)) if args.after.is_some() => HowMany::First(limit),
        (None, Some(limit)) => HowMany::Last(limit),
        _ if args.after.is_some() || args.since.is_some() || is_picky(args) => HowMany::All,
        _ => HowMany::Last(USUAL_MESSAGES),
    }
}

/// Whether messages are chosen by what they say.
fn is_picky(args: &History) -> bool {
    args.grep.is_some() || args.search.is_some()
}

fn range(args: &History) -> Result<Range, Failure> {
    let now = clock::wall();
    let moment = |flag: &str, text: &Option<String>| {
        let parsed = text.as_deref().map(|text| moments::moment(text, &now)).transpose();
        parsed.map_err(|why| Failure::usage(format!("{flag}: {why}")))
    };
    Ok(Range {
        room: room(&args.room)?,
        before: args.before,
        after: args.after,
        since: moment("--since", &args.since)?,
        until: moment("--until", &args.until)?,
        search: args.search.clone(),
    })
}

/// Asks for pages, and prints them.
struct Printer<'a> {
    context: &'a mut Context,
    client: &'a mut Client,
    args: &'a History,
}

impl Printer<'_> {
    /// Prints the range from its beginning on, or the first messages of it. Says which parts of it are missing.
    fn forward(&mut self, mut range: Range, most: Option<u32>) -> Result<Vec<Gone>, Failure> {
        let mut left = most.map_or(u64::MAX, u64::from);
        let mut gone = Vec::new();
        // Who names a place is owed what comes behind it; so is what comes behind a page.
        let mut is_owed = range.after.is_some();
        let mut since = range.since;
        while left > 0 {
            let after = *range.after.get_or_insert(0);
            let page = range.page(self.context, self.client, self.most_asked(left))?;
            let last = page.events.iter().map(|event| numbers(event).1).max();
            gone.extend(match since.take() {
                Some(since) => self.gone_since(&range, since, page.forgotten)?,
                None if is_owed => range.gone(after, page.forgotten),
                None if last.is_none() => self.nothing(&range, page.forgotten),
                None => None,
            });
            for event in &page.events {
                if event.name == "gap" {
                    gone.push(Gone::told(event));
                } else if left > 0 && self.is_wanted(event) {
                    left -= 1;
                    self.print(event)?;
                }
            }
            // Whoever reads our stdout may take their time.
            self.context.hand_out(self.client, None, &[])?;
            let next = last.filter(|last| *last > after && page.more);
            if next.is_none() {
                break;
            }
            range.after = next;
            is_owed = true;
        }
        Ok(gone)
    }

    /// Prints the last `most` messages of the range. Says which part of them is missing.
    fn backward(&mut self, range: &Range, most: u32) -> Result<Vec<Gone>, Failure> {
        let mut found = Found { left: most, ..Found::default() };
        let mut open = Range { after: None, ..range.clone() };
        let mut is_first = true;
        while found.left > 0 {
            let limit = self.most_asked(u64::from(found.left));
            let page = open.page(self.context, self.client, limit)?;
            found.forgotten = page.forgotten;
            let first = page.events.first().map(|event| numbers(event).0);
            if std::mem::take(&mut is_first) {
                found.end = page.events.last().map(|event| numbers(event).1.saturating_add(1));
            }
            let is_over = !page.more || first.is_some_and(|first| Some(first) <= range.after);
            found.take(page.events, range.after, |event| self.is_wanted(event));
            match first.filter(|first| !is_over && open.before.is_none_or(|end| *first < end)) {
                Some(first) => open.before = Some(first),
                None => break,
            }
        }
        for event in found.held.iter().flatten() {
            self.print(event)?;
        }
        self.context.hand_out(self.client, None, &[])?;
        if let Some(after) = found.dropped {
            let rest =
                Range { after: Some(after), before: found.end, since: None, ..range.clone() };
            found.gone.extend(self.forward(rest, None)?);
        }
        // Where as many came as were wanted, what lies before them is nobody's business.
        if found.left > 0 {
            found.gone.extend(match (range.since, range.after) {
                (Some(since), _) => self.gone_since(range, since, found.forgotten)?,
                (None, Some(after)) => range.gone(after, found.forgotten),
                (None, None) if found.left == most => self.nothing(range, found.forgotten),
                (None, None) => None,
            });
        }
        Ok(found.gone)
    }

    fn gone_since(
        &mut self,
        range: &Range,
        since: Timestamp,
        forgotten: u64,
    ) -> Result<Option<Gone>, Failure> {
        range.gone_since(since, forgotten, self.context, self.client)
    }

    /// What is to be said where there is nothing to print: who asks for all there is gets what there is, but not silently
    /// nothing. Whether it would have been among what was looked for nobody knows.
    fn nothing(&self, range: &Range, forgotten: u64) -> Option<Gone> {
        range.gone(0, forgotten).filter(|_| !is_picky(self.args))
    }

    /// How many messages the next page may have, where so many are still wanted.
    fn most_asked(&self, left: u64) -> u32 {
        // Of what is asked for not all may be wanted.
        let left = if self.args.grep.is_some() { u64::MAX } else { left };
        u32::try_from(left).unwrap_or(u32::MAX).min(HISTORY_MESSAGES_MAX)
    }

    fn is_wanted(&self, event: &Event) -> bool {
        self.args.grep.as_ref().is_none_or(|expression| {
            proto::client::content(&event.fields).is_some_and(|text| expression.is_match(&text))
        })
    }

    fn print(&mut self, event: &Event) -> Result<(), Failure> {
        let look = if self.args.raw { Look::Raw } else { Look::Line };
        self.context.voice.message(event, look)
    }
}

/// What going backward has found so far.
#[derive(Default)]
struct Found {
    /// How many are still wanted.
    left: u32,
    /// Pages, the oldest first.
    held: VecDeque<Vec<Event>>,
    bytes: usize,
    /// What is behind this number was found, and is not held any more: it is asked for again when its turn to be printed comes.
    dropped: Option<u64>,
    /// Behind the newest message.
    end: Option<u64>,
    gone: Vec<Gone>,
    forgotten: u64,
}

impl Found {
    /// Takes a page that is older than all that is held: the last of it that are wanted and that come after a place.
    fn take(&mut self, events: Vec<Event>, after: Option<u64>, is_wanted: impl Fn(&Event) -> bool) {
        let mut page = Vec::new();
        for event in events.into_iter().rev().take_while(|event| Some(numbers(event).0) > after) {
            if event.name == "gap" {
                self.gone.push(Gone::told(&event));
            } else if self.left > 0 && is_wanted(&event) {
                self.left -= 1;
                self.bytes += weight(&event);
                page.push(event);
            }
        }
        page.reverse();
        self.held.push_front(page);
        while self.bytes > HELD_BYTES_MAX && self.held.len() > 1 {
            let newest = self.held.pop_back().unwrap_or_default();
            self.bytes -= newest.iter().map(weight).sum::<usize>();
            if let Some(event) = newest.first() {
                self.dropped = Some(numbers(event).0.saturating_sub(1));
            }
        }
    }
}
