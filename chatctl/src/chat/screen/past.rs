//! The messages of a view as rows, and which of them are seen: a function of the view, the width and the place that somebody reads.
//!
//! A place is a line's number and a row in it, so that it stays where it is whatever comes before or behind it. Only rows near that
//! place are ever made: a view of thousands of messages costs what a screen of them costs.

use super::flow::{Flow, Row, safe};
use super::theme::{self, Ink};
use crate::chat::model::View;
use crate::chat::model::entry::{Content, Entry, Mark, Message, What};
use crate::moments;
use crate::visible;
use jiff::tz::TimeZone;
use jiff::{Timestamp, civil};

/// From so many columns on, times have seconds.
const SECONDS_COLUMNS: usize = 48;

/// The row that is seen last, and stays it: of the line of this number, that many rows from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    number: u64,
    row: usize,
}

/// What is needed to make rows.
#[derive(Clone, Debug)]
pub(super) struct Paper {
    /// How wide they are.
    pub(super) columns: usize,
    /// In whose time.
    pub(super) zone: TimeZone,
    /// What draws lines from left to right.
    pub(super) level: &'static str,
}

/// The rows of a view, made as they are asked for.
pub(super) struct Past<'a> {
    entries: Vec<&'a Entry>,
    first_unread: Option<u64>,
    paper: &'a Paper,
}

/// A row among all: of this entry, that many from its first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct At {
    entry: usize,
    row: usize,
}

impl<'a> Past<'a> {
    /// The rows of this view on this paper.
    pub(super) fn new(view: &'a View, paper: &'a Paper) -> Self {
        let entries = view.log.entries().collect();
        Self { entries, first_unread: view.first_unread, paper }
    }

    /// What is seen in so many rows, at this place or at the newest; whether the oldest row is among them.
    pub(super) fn seen(&self, place: Option<Place>, height: usize) -> (Vec<Row>, bool) {
        let mut rows: Vec<Row> = Vec::new();
        let Some(last) = self.last(place) else { return (rows, true) };
        let mut entry = last.entry;
        let mut own = self.rows(entry);
        own.truncate(last.row + 1);
        loop {
            while rows.len() < height
                && let Some(row) = own.pop()
            {
                rows.push(row);
            }
            if rows.len() == height || entry == 0 {
                break;
            }
            entry -= 1;
            own = self.rows(entry);
        }
        let is_oldest = entry == 0 && own.is_empty();
        rows.reverse();
        (rows, is_oldest)
    }

    /// The place that many rows further back, or on, where so many are seen; none is the newest. Whether there are not so many
    /// back there.
    pub(super) fn moved(
        &self,
        place: Option<Place>,
        height: usize,
        rows: usize,
        back: bool,
    ) -> (Option<Place>, bool) {
        let Some(last) = self.last(place) else { return (None, back) };
        let (mut to, mut is_short) = (last, false);
        if back {
            let (top, _) = self.back(last, height.saturating_sub(1));
            let (new_top, left) = self.back(top, rows);
            is_short = left > 0;
            to = self.on(new_top, height.saturating_sub(1));
        } else {
            to = self.on(to, rows);
        }
        (self.place(to), is_short)
    }

    /// The place where the oldest row is the first that is seen.
    pub(super) fn oldest(&self, height: usize) -> Option<Place> {
        if self.entries.is_empty() {
            return None;
        }
        self.place(self.on(At { entry: 0, row: 0 }, height.saturating_sub(1)))
    }

    /// A place that is the newest row is none: what comes is seen then.
    fn place(&self, at: At) -> Option<Place> {
        let newest = self.last(None)?;
        let number = self.entries.get(at.entry)?.number;
        (at < newest).then_some(Place { number, row: at.row })
    }

    /// Where a place is. One whose line is gone is the oldest there is.
    fn last(&self, place: Option<Place>) -> Option<At> {
        let Some(place) = place else {
            let entry = self.entries.len().checked_sub(1)?;
            return Some(At { entry, row: self.height(entry) - 1 });
        };
        let entry = self.entries.iter().position(|entry| entry.number == place.number).unwrap_or(0);
        let height = self.entries.get(entry).map(|_| self.height(entry))?;
        Some(At { entry, row: place.row.min(height - 1) })
    }

    /// So many rows back, as far as there are; how many there are not.
    fn back(&self, mut at: At, mut rows: usize) -> (At, usize) {
        while rows > at.row {
            if at.entry == 0 {
                let left = rows - at.row;
                return (At { entry: 0, row: 0 }, left);
            }
            rows -= at.row + 1;
            at = At { entry: at.entry - 1, row: self.height(at.entry - 1) - 1 };
        }
        (At { row: at.row - rows, ..at }, 0)
    }

    /// So many rows on, as far as there are.
    fn on(&self, mut at: At, mut rows: usize) -> At {
        loop {
            let left = self.height(at.entry) - 1 - at.row;
            if rows <= left {
                return At { row: at.row + rows, ..at };
            }
            if at.entry + 1 == self.entries.len() {
                return At { row: at.row + left, ..at };
            }
            rows -= left + 1;
            at = At { entry: at.entry + 1, row: 0 };
        }
    }

    fn height(&self, entry: usize) -> usize {
        let height = self.rows(entry).len();
        assert!(height > 0, "each line has a row");
        height
    }

    fn day(&self, time: Timestamp) -> civil::Date {
        time.to_zoned(self.paper.zone.clone()).date()
    }

    /// The rows of one line, below those that come before it: a new day, and the line before what is unread.
    fn rows(&self, number: usize) -> Vec<Row> {
        let Some(entry) = self.entries.get(number) else { return Vec::new() };
        let mut rows = Vec::new();
        let before = number.checked_sub(1).and_then(|before| self.entries.get(before));
        let day = self.day(entry.time);
        if before.is_some_and(|before| self.day(before.time) != day) {
            rows.push(self.rule(&day.to_string(), Ink::Faint));
        }
        if self.first_unread == Some(entry.number) {
            rows.push(self.rule("new", Ink::New));
        }
        rows.extend(self.lines(entry));
        rows
    }

    /// A word on a line across.
    fn rule(&self, word: &str, ink: Ink) -> Row {
        let stroke = |columns: usize| self.paper.level.repeat(columns);
        let left = 2.min(self.paper.columns);
        let word = super::flow::cut(&format!(" {word} "), self.paper.columns - left);
        let right = self.paper.columns.saturating_sub(left + word.len());
        vec![(format!("{}{word}{}", stroke(left), stroke(right)), ink)]
    }

    fn lines(&self, entry: &Entry) -> Vec<Row> {
        let form = if self.paper.columns < SECONDS_COLUMNS { "%H:%M" } else { "%H:%M:%S" };
        let zoned = entry.time.to_zoned(self.paper.zone.clone());
        let time = zoned.strftime(form).to_string();
        let mut flow = Flow::new(self.paper.columns, time.len() + 1);
        flow.put(&format!("{time} "), Ink::Faint);
        match &entry.what {
            What::Message(message) => put_message(&mut flow, message),
            What::Gap { from, to } => {
                flow.put(&format!("messages {from} to {to} are missing"), Ink::Fault);
            }
            What::Event(happened) => {
                flow.put(&format!("-- {}", visible::line(&happened.words())), Ink::Event);
            }
            What::Note(text) => flow.put(&format!("-- {}", safe(text)), Ink::Note),
        }
        flow.rows()
    }
}

fn put_message(flow: &mut Flow, message: &Message) {
    let ink = match message {
        Message { is_own: true, .. } => Ink::Own,
        Message { is_mention: true, .. } => Ink::Mention,
        _ => theme::nick(&message.from),
    };
    flow.put(&visible::line(&message.from), ink);
    flow.put(": ", ink);
    match &message.content {
        // What ends with a line's end has no empty line behind that.
        Content::Text(text) => {
            flow.put(&safe(text.strip_suffix('\n').unwrap_or(text)), Ink::Plain);
        }
        Content::Data(data) => flow.put(&visible::hex(data), Ink::Event),
    }
    let (mark, ink) = match &message.mark {
        Mark::None => return,
        Mark::Sending => ("sending".to_owned(), Ink::Faint),
        Mark::Stored => ("stored".to_owned(), Ink::Faint),
        Mark::Sent => ("sent".to_owned(), Ink::Faint),
        Mark::Delivered { by, rtt } => {
            let rtt = moments::span_shown(rtt.as_micros());
            let by = if *by > 1 { format!(" by {by}") } else { String::new() };
            (format!("received{by}, {rtt}"), Ink::Faint)
        }
        Mark::NotSent { why, .. } => (format!("not sent: {}", visible::line(why)), Ink::Fault),
        Mark::NotAcknowledged { why } => {
            (format!("not acknowledged: {}", visible::line(why)), Ink::Fault)
        }
    };
    flow.put(&format!(" [{mark}]"), ink);
}
