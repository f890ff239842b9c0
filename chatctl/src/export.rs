//! `chatctl export`: the messages of rooms as JSON lines, whole and in order, for `import` and for any other program.
//!
//! A room is read up to where it was when the export began, so that it ends however much is said meanwhile. A signal ends it
//! behind a whole line; where it ended says from where another run goes on.

use crate::args::Export;
use crate::ask::{Context, room};
use crate::client::{Client, Event, Fields};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::past::{Gone, Range, numbers, outcome};
use crate::progress::{Progress, Work};
use crate::signals::Signals;
use proto::Span;
use proto::vocabulary::HISTORY_MESSAGES_MAX;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// What a line has of a message, in this order.
const FIELDS: [&str; 7] = ["room", "seq", "time", "message_id", "from", "text", "data"];

/// So long the reader of stdout has, after a signal, to take the lines that were begun.
const LAST_WORDS: Span = Span::from_secs(1);

/// `chatctl export`.
pub fn export(context: &mut Context, args: &Export) -> Result<(), Failure> {
    let wanted = args.rooms.iter().map(|name| room(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let begin = args.after.as_deref().map(|text| place(text, &wanted)).transpose()?;
    let signals = Signals::new()?;
    let mut client = context.call()?;
    let stretches = stretches(context, &mut client, &wanted, begin.as_ref())?;
    let size = stretches.iter().map(Stretch::size).sum();
    let progress = Progress::new(&context.flags, Work::Export, Some(size));
    let (done, gone, last) = (0, Vec::new(), begin);
    let mut exporter =
        Exporter { context, client: &mut client, signals, progress, done, gone, last };
    for stretch in stretches {
        let outcome = exporter.stretch(&stretch, wanted.is_empty());
        outcome.map_err(|failure| exporter.advised(failure))?;
    }
    outcome(&exporter.gone)
}

/// Where an export goes on: behind this message.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Place {
    room: String,
    seq: u64,
}

/// What `--after` says: a place in the one room, or a room and a place in it.
fn place(text: &str, wanted: &BTreeSet<String>) -> Result<Place, Failure> {
    let (name, seq) = match (text.rsplit_once(':'), wanted.first()) {
        (Some((name, seq)), _) => (room(name)?, seq),
        (None, Some(only)) if wanted.len() == 1 => (only.clone(), text),
        (None, _) => {
            let message = "--after SEQ is a place in one room: name that room, or write ROOM:SEQ";
            return Err(Failure::usage(message));
        }
    };
    if !wanted.is_empty() && !wanted.contains(&name) {
        let message = format!("--after names #{name}, which is not exported");
        return Err(Failure::usage(message));
    }
    let strange = |_| Failure::usage(format!("--after: `{seq}` is no sequence number"));
    Ok(Place { room: name, seq: seq.parse().map_err(strange)? })
}

/// What is read of one room.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Stretch {
    room: String,
    /// Behind this number, where one was named.
    after: Option<u64>,
    /// Up to this one.
    last: u64,
}

impl Stretch {
    /// How many messages that is, if no number was skipped.
    fn size(&self) -> u64 {
        self.last.saturating_sub(self.after.unwrap_or(0))
    }
}

/// What is to be read, room by room.
fn stretches(
    context: &Context,
    client: &mut Client,
    wanted: &BTreeSet<String>,
    begin: Option<&Place>,
) -> Result<Vec<Stretch>, Failure> {
    let list = context.ask_pages(client, "rooms", Fields::new(), ("rooms", "room", "room"))?;
    let mut rooms: BTreeMap<String, u64> = list
        .iter()
        .filter_map(|entry| Some((entry["room"].as_str()?.to_owned(), entry["seq"].as_u64()?)))
        .collect();
    if let Some(missing) = wanted.iter().find(|name| !rooms.contains_key(*name)) {
        let message = format!("there is no room #{missing}");
        return Err(Failure::new(Exit::NotFound, "no_such_room", message));
    }
    rooms.retain(|name, _| wanted.is_empty() || wanted.contains(name));
    let stretch = |(room, last)| Stretch { room, after: None, last };
    let mut stretches: Vec<Stretch> = rooms.into_iter().map(stretch).collect();
    if let Some(begin) = begin {
        // The rooms come by name: those before this one were exported.
        stretches.retain(|stretch| stretch.room >= begin.room);
        if let Some(first) = stretches.first_mut().filter(|first| first.room == begin.room) {
            first.after = Some(begin.seq);
        }
    }
    Ok(stretches)
}

/// One run of `export`.
struct Exporter<'a> {
    context: &'a mut Context,
    client: &'a mut Client,
    signals: Signals,
    progress: Progress,
    /// How many numbers lie behind.
    done: u64,
    /// What was to be exported and is gone, in words.
    gone: Vec<String>,
    /// The last message that was printed.
    last: Option<Place>,
}

impl Exporter<'_> {
    /// Prints what is to be read of one room.
    fn stretch(&mut self, stretch: &Stretch, is_any: bool) -> Result<(), Failure> {
        let (size, begin) = (stretch.size(), stretch.after.unwrap_or(0));
        let mut range =
            Range { before: Some(stretch.last.saturating_add(1)), ..Range::all(&stretch.room) };
        // Who names a place is owed what comes behind it; so is what comes behind a page.
        let mut is_owed = stretch.after.is_some();
        let mut after = begin;
        loop {
            range.after = Some(after);
            let page = match range.page(self.context, self.client, HISTORY_MESSAGES_MAX) {
                // All rooms are those there are, and it is none any more.
                Err(failure) if is_any && failure.code == "no_such_room" => break,
                page => page?,
            };
            if let Some(gone) = range.gone(after, page.forgotten).filter(|_| is_owed) {
                self.miss(&stretch.room, gone);
            }
            let last = page.events.iter().map(|event| numbers(event).1).max();
            self.print(&stretch.room, &page.events)?;
            let reached =
                last.unwrap_or(0).max(page.forgotten).clamp(begin, stretch.last.max(begin));
            self.progress.at(self.done + (reached - begin), format!("#{}", stretch.room));
            match last.filter(|last| *last > after && page.more) {
                Some(last) => after = last,
                None => break,
            }
            is_owed = true;
        }
        self.done += size;
        Ok(())
    }

    /// Prints a page, every line of it: a signal that comes meanwhile waits for that, as far as the reader of stdout lets it.
    fn print(&mut self, room: &str, events: &[Event]) -> Result<(), Failure> {
        for event in events {
            if event.name == "gap" {
                self.miss(room, Gone::told(event));
            } else {
                self.context.voice.object(&line(&event.fields))?;
            }
        }
        self.signals.hold()?;
        let others = [self.signals.descriptor()];
        let mut is_written = self.context.hand_out(self.client, None, &others)?;
        if !is_written {
            let until = clock::now().after(LAST_WORDS);
            is_written = self.context.hand_out(self.client, Some(until), &[])?;
        }
        let messages = events.iter().rfind(|event| event.name == "message");
        if let Some(event) = messages.filter(|_| is_written) {
            self.last = Some(Place { room: room.to_owned(), seq: numbers(event).0 });
        }
        self.signals.let_go()
    }

    fn miss(&mut self, room: &str, gone: Gone) {
        self.gone.push(gone.shown(room));
    }

    /// A failure, with what to do to go on.
    fn advised(&self, mut failure: Failure) -> Failure {
        if let Some(Place { room, seq }) = &self.last {
            let said = failure.message;
            failure.message = format!("{said}; go on with --after {room}:{seq}");
        }
        failure
    }
}

/// A message as a line of its own, in one order of fields.
fn line(fields: &Fields) -> String {
    let there = FIELDS.iter().filter_map(|name| Some((*name, fields.get(*name)?)));
    let parts: Vec<_> =
        there.map(|(name, value)| format!("{}:{value}", Value::from(name))).collect();
    format!("{{{}}}", parts.join(","))
}

#[cfg(test)]
mod tests {
    use super::{Place, line, place};
    use proptest::prelude::*;
    use serde_json::{Value, json};
    use std::collections::BTreeSet;

    fn rooms(names: &[&str]) -> BTreeSet<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn a_place_is_a_number_in_the_one_room_or_names_its_room() {
        let ops = |seq| Place { room: "ops".to_owned(), seq };
        assert_eq!(place("7", &rooms(&["ops"])), Ok(ops(7)));
        assert_eq!(place("#Ops:7", &rooms(&["ops", "lobby"])), Ok(ops(7)));
        assert_eq!(place("ops:7", &rooms(&[])), Ok(ops(7)));
        for (text, names) in [
            ("7", &[][..]),
            ("7", &["a", "b"]),
            ("c:7", &["a", "b"]),
            ("a:x", &["a"]),
            ("a:", &["a"]),
            ("-1", &["a"]),
            ("a b:7", &[]),
        ] {
            assert!(place(text, &rooms(names)).is_err(), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_line_is_json_of_the_same_content(text in any::<String>(), from in any::<String>()) {
            let event = json!({"event": "message", "room": "ops", "seq": 3, "time": "t",
                "message_id": "m", "from": from, "text": text, "history": "r1"});
            let line = line(event.as_object().expect("an object"));
            prop_assert_eq!(line.lines().count(), 1);
            let read: Value = serde_json::from_str(&line).expect("JSON");
            let expected = json!({"room": "ops", "seq": 3, "time": "t", "message_id": "m",
                "from": event["from"], "text": event["text"]});
            prop_assert_eq!(read, expected);
        }
    }
}
