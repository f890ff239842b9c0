//! One connection of `tail`: what is asked, in which order, and what becomes of what comes.
//!
//! The first connection learns where the rooms are, and asks for what the command line says. A later one follows first,
//! and then lets the daemon replay, room by room, what was missed before; a gap that was told, since this read too slowly,
//! is mended in the same way. Who begins at a time is told, too, where what was said then may not be kept any more.

use super::exec::{self, Running};
use super::{Ended, Follower, Start};
use crate::ask::{bare, has_more, hello, of_room};
use crate::catching::Catching;
use crate::client::{Client, Event, Fields, Happening, Refusal};
use crate::clock;
use crate::failure::Failure;
use crate::moments;
use crate::past::Gone;
use crate::reconnect::Backoff;
use crate::signals::Signals;
use crate::voice::is_gone;
use nix::poll::PollFlags;
use proto::Now;
use serde_json::{Value, json};
use std::collections::{BTreeMap, VecDeque};

/// What waits behind a replay, which goes at the pace of whoever reads our stdout, has as long as following has.
const NO_DEADLINE: Now = Now::from_micros(u64::MAX);

/// The requests of one connection, by what they are for.
pub(super) struct Asked {
    hello: String,
    /// It is asked when the list of rooms is there, on a later connection before that.
    tail: Option<String>,
    /// The page of the list of rooms that is waited for.
    rooms: Option<String>,
    /// The pages that have come, and the room beyond which the next one is to be asked for.
    listed: BTreeMap<String, u64>,
    beyond: Option<String>,
    replay: Option<Replay>,
    /// Rooms of which it is to be asked whether the time that was named lies before all that is kept, and the one that is asked about.
    unsure: VecDeque<String>,
    earlier: Option<Earlier>,
    /// Whether this connection goes on from where another was.
    again: bool,
}

/// What was missed of a room, being replayed.
struct Replay {
    id: String,
    room: String,
    /// What is said to be missing, unless it comes after all: then the gap was told before the replay began.
    gaps: Vec<(u64, u64)>,
}

/// The question for a message of before the time that was named.
struct Earlier {
    id: String,
    room: String,
}

impl Follower<'_> {
    /// Follows over one connection until it or the wish ends.
    pub(super) fn follow(&mut self, client: &mut Client) -> Result<Ended, Failure> {
        let mut asked = self.begin(client);
        loop {
            while let Some(happening) = client.take() {
                let ended = self.happened(&mut asked, happening)?;
                if let Some(ended) = self.run_programs(client)?.or(ended) {
                    return Ok(ended);
                }
                if self.left == Some(0) {
                    return Ok(Ended::Done);
                }
                self.ask_on(client, &mut asked);
                self.ask_replay(client, &mut asked);
            }
            if self.catching.is_too_much() {
                self.catching = Catching::default();
                return Ok(Ended::Lost("more came than could be held back".to_owned()));
            }
            if let Some(ended) = self.hand_out(client)? {
                return Ok(ended);
            }
            let now = clock::now();
            if self.end.is_some_and(|end| now >= end) {
                return Ok(Ended::Done);
            }
            let ready = {
                let mut others = vec![(self.context.voice.descriptor(), PollFlags::empty())];
                let signals = self.signals.iter().map(Signals::descriptor);
                others.extend(signals.map(|fd| (fd, PollFlags::POLLIN)));
                let due = self.cursor.as_ref().and_then(super::Cursor::due);
                let until = [self.end, due].into_iter().flatten().min();
                client.step(now, until, &others)
            };
            let ready = ready.map_err(|error| Failure::unreachable(error.to_string()))?;
            if ready.first().is_some_and(|flags| is_gone(*flags)) {
                return Err(Failure::quiet());
            }
            if ready.iter().skip(1).any(|flags| !flags.is_empty()) {
                return Ok(Ended::Signal);
            }
            if client.is_idle() {
                client.expire(clock::now());
            }
        }
    }

    fn begin(&mut self, client: &mut Client) -> Asked {
        let deadline = self.context.deadline();
        let again = self.began;
        self.bye = None;
        self.catching = Catching::new(again);
        let hello = client.ask("hello", hello(), deadline);
        // At first the list says where following begins, so all of it comes before; later it says which rooms have
        // something that was missed, also those made meanwhile, so it is asked for after.
        let tail = again.then(|| client.ask("tail", self.fields(again), NO_DEADLINE));
        let rooms = Some(client.ask("rooms", Fields::new(), deadline));
        let (listed, beyond) = (BTreeMap::new(), None);
        let unsure = VecDeque::new();
        Asked { hello, tail, rooms, listed, beyond, replay: None, unsure, earlier: None, again }
    }

    /// Asks for the next page of the list of rooms, or, where that was the last, to follow.
    fn ask_on(&mut self, client: &mut Client, asked: &mut Asked) {
        if let Some(room) = asked.beyond.take() {
            let rooms = client.ask("rooms", of_room(&room), self.context.deadline());
            asked.rooms = Some(rooms);
            return;
        }
        // Of rooms that are named it is known first; who follows everything does not wait for all there are.
        self.ask_earlier(client, asked);
        let is_sure = asked.earlier.is_none() || self.rooms.is_empty();
        if asked.rooms.is_none() && asked.tail.is_none() && is_sure {
            asked.tail = Some(client.ask("tail", self.fields(asked.again), NO_DEADLINE));
        }
    }

    /// Asks for the message before the time that was named, where it is not known yet whether it is kept: where none is, what was
    /// said at that time may be gone as well.
    fn ask_earlier(&mut self, client: &mut Client, asked: &mut Asked) {
        let Start::Since(since) = &self.start else { return };
        if asked.earlier.is_some() {
            return;
        }
        let Some(room) = asked.unsure.pop_front() else { return };
        let mut fields = of_room(&room);
        fields.insert("until".to_owned(), Value::from(since.as_str()));
        fields.insert("limit".to_owned(), Value::from(1));
        let id = client.ask("history", fields, NO_DEADLINE);
        asked.earlier = Some(Earlier { id, room });
    }

    fn fields(&self, again: bool) -> Fields {
        let mut fields = Fields::new();
        if !self.rooms.is_empty() {
            let rooms: Vec<_> = self.rooms.iter().map(|name| Value::from(name.as_str())).collect();
            fields.insert("rooms".to_owned(), Value::from(rooms));
        }
        let (name, value) = match &self.start {
            _ if again => return fields,
            Start::Now => return fields,
            Start::Last(last) => ("last", Value::from(*last)),
            Start::Since(since) => ("since", Value::from(since.as_str())),
            Start::After(after) => ("after", Value::from(*after)),
            Start::All => ("after", Value::from(0)),
        };
        fields.insert(name.to_owned(), value);
        fields
    }

    fn happened(
        &mut self,
        asked: &mut Asked,
        happening: Happening,
    ) -> Result<Option<Ended>, Failure> {
        match happening {
            Happening::Event(event) => self.event(asked, event)?,
            Happening::Replied(id, outcome) => return self.replied(asked, &id, outcome),
            Happening::TimedOut(_) if self.reached.is_none() => {
                return Err(self.context.no_answer());
            }
            Happening::TimedOut(_) => {
                return Ok(Some(Ended::Lost("it does not answer".to_owned())));
            }
            Happening::Complaint(refusal) if refusal.code == "shutting_down" => {}
            Happening::Complaint(refusal) => return Err(refusal.into()),
            Happening::Lost { reason, .. } => {
                return Ok(Some(Ended::Lost(self.bye.take().unwrap_or(reason))));
            }
        }
        Ok(None)
    }

    fn replied(
        &mut self,
        asked: &mut Asked,
        id: &str,
        outcome: Result<Fields, Refusal>,
    ) -> Result<Option<Ended>, Failure> {
        let earlier = asked.earlier.take_if(|earlier| earlier.id == id);
        let reply = match outcome {
            Ok(reply) => reply,
            // It ended since it was listed, or nothing was ever said there.
            Err(refusal) if earlier.is_some() && refusal.code == "no_such_room" => return Ok(None),
            Err(refusal) if refusal.code == "shutting_down" => return Ok(None),
            Err(refusal) => return Err(refusal.into()),
        };
        if let Some(earlier) = earlier {
            let number = |field: &str| reply.get(field).and_then(Value::as_u64).unwrap_or(0);
            let (count, to) = (number("count"), number("forgotten"));
            if count == 0 && to > 0 {
                self.missing(&earlier.room, Gone { from: 1, to, perhaps: true })?;
            }
        } else if id == asked.hello {
            self.greeted(asked, &reply);
        } else if asked.tail.as_deref() == Some(id) {
            if !asked.again {
                self.begun();
            }
            self.context.voice.whisper("following", "following");
        } else if asked.rooms.take_if(|rooms| rooms == id).is_some() {
            self.listed(asked, &reply)?;
        } else if let Some(replay) = asked.replay.take_if(|replay| replay.id == id) {
            self.caught_up(asked, &replay)?;
        }
        Ok(None)
    }

    /// The daemon has answered: one that is ending takes callers too, and says nothing. Sequence numbers mean
    /// something within one history only.
    fn greeted(&mut self, asked: &Asked, reply: &Fields) {
        self.reached.get_or_insert(clock::now());
        self.backoff = Backoff::default();
        if let Some(lost) = self.lost.take() {
            let gone = moments::span_shown(clock::now().since(lost).as_micros());
            self.context.voice.say("found", &format!("found the daemon after {gone}"));
        }
        let history = reply.get("history").and_then(Value::as_str).map(str::to_owned);
        let known = self.history.take();
        if known.is_some() && history != known {
            self.places.forget();
            // What was said between our last message of the old one and its end is lost, if there was anything.
            self.gap = true;
            let text = "the daemon has begun a new history: what was said last before it ended may be missing";
            self.context.voice.say("new_history", text);
        }
        self.history = history;
        if !asked.again
            && let (Start::After(after), Some(room)) = (&self.start, self.rooms.first())
        {
            self.places.begin(room, *after);
        }
    }

    /// What was asked for first has come, or there was nothing of it: nothing older is owed.
    fn begun(&mut self) {
        self.began = true;
        let listed = std::mem::take(&mut self.listed);
        // Of a room that was made since the list all is owed.
        let known = self.rooms.iter().chain(listed.keys().filter(|_| self.rooms.is_empty()));
        for room in known.filter(|_| self.start != Start::All) {
            if !self.places.has(room) {
                self.places.begin(room, listed.get(room).copied().unwrap_or(0));
            }
        }
        self.note_beginning();
    }

    /// A page of the list of rooms. All of it says where following begins, or, later, which have something that was missed.
    fn listed(&mut self, asked: &mut Asked, reply: &Fields) -> Result<(), Failure> {
        let entries = reply.get("rooms").and_then(Value::as_array).into_iter().flatten();
        let page: BTreeMap<String, u64> = entries
            .filter_map(|entry| {
                Some((entry["room"].as_str()?.to_owned(), entry["seq"].as_u64().unwrap_or(0)))
            })
            .collect();
        let last = page.last_key_value().map(|(room, _)| room.clone());
        // A page that does not lead on is the last one, whatever it says of more.
        asked.beyond = last.filter(|last| has_more(reply) && !asked.listed.contains_key(last));
        asked.listed.extend(page);
        if asked.beyond.is_some() {
            return Ok(());
        }
        let listed = std::mem::take(&mut asked.listed);
        let all = self.rooms.is_empty();
        if !asked.again {
            if matches!(self.start, Start::Since(_)) {
                let followed = listed.iter().filter(|(name, _)| all || self.rooms.contains(*name));
                let unsure = followed.filter(|(_, seq)| **seq > 0).map(|(name, _)| name.clone());
                asked.unsure = unsure.collect();
            }
            self.listed = listed;
            return Ok(());
        }
        let missed = listed.into_iter().filter(|(name, seq)| {
            (all || self.rooms.contains(name)) && *seq > self.places.last(name)
        });
        let missed: Vec<_> = missed.map(|(name, _)| name).collect();
        let free = self.catching.listed(missed.into_iter());
        free.into_iter().try_for_each(|event| self.event(asked, event))
    }

    /// Lets the daemon replay what was missed of the next room.
    fn ask_replay(&mut self, client: &mut Client, asked: &mut Asked) {
        if asked.replay.is_some() || self.catching.is_listing() {
            return;
        }
        let Some(room) = self.catching.room().map(str::to_owned) else { return };
        let mut fields = Fields::new();
        fields.insert("rooms".to_owned(), json!([room]));
        fields.insert("after".to_owned(), Value::from(self.places.last(&room)));
        let id = client.ask("tail", fields, NO_DEADLINE);
        asked.replay = Some(Replay { id, room, gaps: Vec::new() });
    }

    /// A room's missed messages have come, as far as the daemon has them: now what came meanwhile.
    fn caught_up(&mut self, asked: &mut Asked, replay: &Replay) -> Result<(), Failure> {
        for (from, to) in &replay.gaps {
            self.gone(&replay.room, *from, *to)?;
        }
        let held = self.catching.done(&replay.room);
        held.into_iter().try_for_each(|event| self.event(asked, event))
    }

    fn event(&mut self, asked: &mut Asked, event: Event) -> Result<(), Failure> {
        if self.left == Some(0) {
            return Ok(());
        }
        if asked.earlier.as_ref().is_some_and(|earlier| event.text("history") == Some(&earlier.id))
        {
            return Ok(());
        }
        let room = event.text("room").unwrap_or("").to_owned();
        let mut gone = Vec::new();
        let replay = asked.replay.as_mut().filter(|replay| replay.room == room);
        if let Some(replay) = replay {
            if event.name == "gap" {
                replay.gaps.push(ends(&event));
                return Ok(());
            }
            if event.text("history") == Some(&replay.id) {
                let seq = event.number("seq").unwrap_or(0);
                for (from, to) in replay.gaps.extract_if(.., |(from, _)| seq >= *from) {
                    // One told before the replay began is mended by it.
                    if seq > to {
                        gone.push((from, to));
                    }
                }
                gone.into_iter().try_for_each(|(from, to)| self.gone(&room, from, to))?;
                return self.message(&room, event);
            }
        }
        let Some(event) = self.catching.hold(event) else { return Ok(()) };
        match event.name.as_str() {
            "message" => self.message(&room, event),
            "gap" => self.left_out(&room, &event),
            "notice" => {
                let text = event.text("text").unwrap_or("");
                self.context.voice.say("notice", &format!("from the operator: {text}"));
                Ok(())
            }
            "bye" => {
                self.bye = event.text("reason").map(str::to_owned);
                Ok(())
            }
            _ if self.args.events && self.is_wanted_nick(event.text("nick")) => self.show(event),
            _ => Ok(()),
        }
    }

    /// Messages were left out: at the beginning since they are no longer kept, later since this read too slowly.
    fn left_out(&mut self, room: &str, event: &Event) -> Result<(), Failure> {
        let (from, to) = ends(event);
        if !self.began {
            return self.gone(room, from, to);
        }
        if to > self.places.last(room) {
            // All that was said before it has come: a room may have been gone and made anew since the last message.
            if from > 1 {
                self.places.see(room, from - 1);
            }
            self.catching.missed(room);
        }
        Ok(())
    }

    fn message(&mut self, room: &str, event: Event) -> Result<(), Failure> {
        let seq = event.number("seq").unwrap_or(0);
        // A message to one person has no place in a room.
        if event.fields.contains_key("seq") && !self.places.see(room, seq) {
            return Ok(());
        }
        if !self.is_wanted_nick(event.text("from")) || !self.is_wanted_text(&event) {
            return Ok(());
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.show(event)
    }

    /// The daemon does not have these messages any more.
    fn gone(&mut self, room: &str, from: u64, to: u64) -> Result<(), Failure> {
        let from = from.max(self.places.last(room).saturating_add(1));
        // Who asks for all there is, or for the last of it, begins with what there is; from there on everything is owed.
        let is_owed = self.found
            || self.began
            || self.places.has(room)
            || matches!(self.start, Start::After(_) | Start::Since(_));
        if !self.places.see(room, to) || from > to || !is_owed {
            return Ok(());
        }
        self.missing(room, Gone { from, to, perhaps: false })
    }

    /// Says that this is missing.
    fn missing(&mut self, room: &str, gone: Gone) -> Result<(), Failure> {
        self.gap = true;
        self.context.voice.say("gap", &gone.shown(room));
        if !self.args.events {
            return Ok(());
        }
        let Gone { from, to, .. } = gone;
        let gap = json!({"event": "gap", "room": room, "from_seq": from, "to_seq": to});
        let line = gap.to_string();
        let fields = gap.as_object().cloned().unwrap_or_default();
        self.show(Event { name: "gap".to_owned(), fields, line })
    }

    /// Prints it, or has its program run.
    fn show(&mut self, event: Event) -> Result<(), Failure> {
        if !self.args.exec.is_empty() {
            self.todo.push_back(event);
            return Ok(());
        }
        if event.name == "message" {
            self.context.voice.message(&event, self.look)
        } else {
            self.context.voice.event(&event, self.look)
        }
    }

    /// Runs the programs that are due, one after another. A signal that comes meanwhile lets the one that runs finish.
    fn run_programs(&mut self, client: &mut Client) -> Result<Option<Ended>, Failure> {
        while let Some(event) = self.todo.pop_front() {
            let mut running = Running::start(&self.args.exec, &event, self.history.as_deref())?;
            let mut is_called = false;
            let status = loop {
                if let Some(status) = running.ended() {
                    break status;
                }
                let now = clock::now();
                let called = self.signals.iter().filter(|_| !is_called).map(Signals::descriptor);
                let mut others = running.descriptors();
                let programs = others.len();
                others.extend(called.map(|fd| (fd, PollFlags::POLLIN)));
                let ready = client.rest(now, None, &others);
                let ready = ready.map_err(|error| Failure::unreachable(error.to_string()))?;
                is_called |= ready.iter().skip(programs).any(|flags| !flags.is_empty());
                drop(others);
                running.feed();
            };
            self.note_one(&event);
            let why = match status {
                Ok(status) if status.success() => None,
                Ok(status) => Some(status.to_string()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(why) = why {
                self.failed_runs += 1;
                let text = exec::failed(&self.args.exec, &event, &why);
                self.context.voice.say("exec", &text);
            }
            if is_called {
                return Ok(Some(Ended::Signal));
            }
        }
        Ok(None)
    }

    fn is_wanted_nick(&self, nick: Option<&str>) -> bool {
        let same =
            |wanted: &String| nick.is_some_and(|nick| nick.eq_ignore_ascii_case(bare(wanted)));
        self.args.from.is_empty() || self.args.from.iter().any(same)
    }

    fn is_wanted_text(&self, event: &Event) -> bool {
        self.args.grep.as_ref().is_none_or(|expression| {
            proto::client::content(&event.fields).is_some_and(|text| expression.is_match(&text))
        })
    }
}

/// The first and the last message that a gap names.
fn ends(gap: &Event) -> (u64, u64) {
    (gap.number("from_seq").unwrap_or(0), gap.number("to_seq").unwrap_or(0))
}
