//! `chatctl tail`: follows rooms, and goes on where it was when the daemon went away and came back.
//!
//! It keeps the last sequence number of each room. After a loss it follows again, holds what comes, asks each
//! room's history for what it missed, prints that and then what it held; (room, seq) tells doubles. A gap (it
//! read too slowly) is filled in the same way; what history no longer has is said, and is the exit status.

use crate::args::{Count, Reconnect, Tail};
use crate::ask::{Context, hello, of_room, room};
use crate::catching::Catching;
use crate::client::{Client, Event, Fields, Happening, Refusal};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::moments;
use crate::talk::{Look, is_gone};
use nix::poll::{PollFd, PollFlags};
use proto::vocabulary::HISTORY_MESSAGES_MAX;
use proto::{Now, Span};
use serde_json::{Value, json};
use std::collections::{BTreeMap, BTreeSet};

/// The first pause between two tries to reach the daemon; each is twice as long as the one before, up to the last.
const PAUSE_FIRST: Span = Span::from_millis(100);
const PAUSE_LAST: Span = Span::from_secs(2);

/// `chatctl tail`.
pub fn tail(context: &mut Context, args: &Tail) -> Result<(), Failure> {
    let rooms = args.rooms.iter().map(|name| room(name)).collect::<Result<BTreeSet<_>, _>>()?;
    let now = clock::now();
    let mut follower = Follower {
        look: look(args, &rooms),
        rooms,
        places: BTreeMap::new(),
        history: None,
        end: args.during.map(|span| now.after(span)),
        left: args.count,
        gap: false,
        catching: Catching::default(),
        bye: None,
        // All there is, is what was missed since the beginning of the history.
        resuming: args.number == Count::All,
        found: false,
        lost: None,
        context,
        args,
    };
    let outcome = follower.run();
    let flushed = context.talk.flush();
    outcome.and(flushed)
}

/// How a stretch of following ended.
enum Ended {
    /// As was wished: enough messages, enough time.
    Done,
    /// The daemon is gone, for this reason.
    Lost(String),
}

/// What a message's room has come to.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    /// Where following began: nothing up to here is owed.
    base: u64,
    /// The last message that was seen.
    seen: u64,
}

/// One run of `tail`.
struct Follower<'a> {
    context: &'a mut Context,
    args: &'a Tail,
    look: Look,
    rooms: BTreeSet<String>,
    places: BTreeMap<String, Place>,
    /// Which history the sequence numbers belong to.
    history: Option<String>,
    end: Option<Now>,
    left: Option<u64>,
    gap: bool,
    catching: Catching,
    bye: Option<String>,
    /// Whether following begins where it was, and what was missed is asked for.
    resuming: bool,
    /// Whether the daemon was lost and found.
    found: bool,
    /// Since when it is lost.
    lost: Option<Now>,
}

/// The requests of one connection, by what they are for.
struct Asked {
    hello: String,
    tail: String,
    rooms: String,
    page: Option<Page>,
}

/// A page of history that is on its way.
struct Page {
    id: String,
    room: String,
    after: u64,
}

impl Follower<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        let mut client = match self.context.connect() {
            Ok(client) => client,
            // Who says how long to look for the daemon means the beginning as well.
            Err(failure) if failure.exit == Exit::NotReachable && self.args.reconnect.is_some() => {
                match self.find(failure, "no daemon yet")? {
                    Some(client) => client,
                    None => return self.ended(),
                }
            }
            Err(failure) => return Err(failure),
        };
        loop {
            match self.follow(&mut client)? {
                Ended::Done => return self.ended(),
                Ended::Lost(reason) => {
                    self.context.talk.flush()?;
                    let failure = self.context.lost(&reason);
                    match self.find(failure, &format!("lost the daemon ({reason})"))? {
                        Some(found) => client = found,
                        None => return self.ended(),
                    }
                    self.resuming = true;
                    self.found = true;
                }
            }
        }
    }

    /// The wished end has come: what is the exit status?
    fn ended(&self) -> Result<(), Failure> {
        if self.gap {
            let message = "some messages were missed; they are named above";
            return Err(Failure::new(Exit::HistoryGap, "gap", message));
        }
        match self.left {
            Some(left) if left > 0 => {
                let wanted = self.args.count.unwrap_or(left);
                let got = wanted.saturating_sub(left);
                Err(Failure::timed_out(format!("{got} of {wanted} messages came in time")))
            }
            _ => Ok(()),
        }
    }

    /// Looks for the daemon until it is found; `None` where the time to follow ends before.
    fn find(&mut self, failure: Failure, what: &str) -> Result<Option<Client>, Failure> {
        let began = if let Some(began) = self.lost {
            began
        } else {
            self.context.talk.say("lost", &format!("{what}; looking for it"));
            *self.lost.insert(clock::now())
        };
        let until = match self.args.reconnect.unwrap_or(Reconnect::Forever) {
            Reconnect::Never => return Err(failure),
            Reconnect::Forever => None,
            Reconnect::Within(span) => Some(began.after(span)),
        };
        let mut pause = PAUSE_FIRST;
        loop {
            let now = clock::now();
            if self.end.is_some_and(|end| now >= end) {
                return Ok(None);
            }
            if until.is_some_and(|until| now >= until) {
                return Err(failure);
            }
            self.pause(now, [Some(now.after(pause)), self.end, until])?;
            pause = Span::from_micros(pause.as_micros() * 2).min(PAUSE_LAST);
            match self.context.connect() {
                Ok(client) => return Ok(Some(client)),
                Err(failure) if failure.exit == Exit::NotReachable => {}
                Err(failure) => return Err(failure),
            }
        }
    }

    /// Waits until the first of these moments; ends quietly where the reader of stdout goes away meanwhile.
    fn pause(&self, now: Now, until: [Option<Now>; 3]) -> Result<(), Failure> {
        let first = until.into_iter().flatten().min().unwrap_or(now);
        let mut fds = [PollFd::new(self.context.talk.descriptor(), PollFlags::empty())];
        crate::client::poll(&mut fds, Some(first.since(now)))
            .map_err(|error| Failure::unreachable(error.to_string()))?;
        if self.context.talk.is_deserted() { Err(Failure::quiet()) } else { Ok(()) }
    }

    /// Follows over one connection until it or the wish ends.
    fn follow(&mut self, client: &mut Client) -> Result<Ended, Failure> {
        let mut asked = self.begin(client);
        loop {
            while let Some(happening) = client.take() {
                if let Some(ended) = self.happened(&mut asked, happening)? {
                    return Ok(ended);
                }
                if self.left == Some(0) {
                    return Ok(Ended::Done);
                }
                self.ask_page(client, &mut asked);
            }
            if self.catching.is_too_much() {
                self.catching = Catching::default();
                return Ok(Ended::Lost("more came than could be held back".to_owned()));
            }
            self.context.talk.flush()?;
            let now = clock::now();
            if self.end.is_some_and(|end| now >= end) {
                return Ok(Ended::Done);
            }
            let ready = {
                let stdout = [(self.context.talk.descriptor(), PollFlags::empty())];
                client.step(now, self.end, &stdout)
            };
            let ready = ready.map_err(|error| Failure::unreachable(error.to_string()))?;
            if ready.iter().any(|flags| is_gone(*flags)) {
                return Err(Failure::quiet());
            }
            if client.is_idle() {
                client.expire(clock::now());
            }
        }
    }

    fn begin(&mut self, client: &mut Client) -> Asked {
        let deadline = self.context.deadline();
        let again = self.resuming;
        self.bye = None;
        self.catching = Catching::new(again);
        let hello = client.ask("hello", hello(), deadline);
        // At first the list says where following begins, so it is asked for before; after a loss it names the
        // rooms to ask about, also those made meanwhile, so it is asked for after.
        let before = (!again).then(|| client.ask("rooms", Fields::new(), deadline));
        let tail = client.ask("tail", self.fields(), deadline);
        let rooms = before.unwrap_or_else(|| client.ask("rooms", Fields::new(), deadline));
        Asked { hello, tail, rooms, page: None }
    }

    fn fields(&self) -> Fields {
        let mut fields = Fields::new();
        let rooms: Vec<_> = self.rooms.iter().map(|name| Value::from(name.as_str())).collect();
        if !rooms.is_empty() {
            fields.insert("rooms".to_owned(), Value::from(rooms));
        }
        if let Count::Some(last @ 1..) = self.args.number
            && !self.resuming
        {
            fields.insert("last".to_owned(), Value::from(last));
        }
        fields
    }

    fn happened(
        &mut self,
        asked: &mut Asked,
        happening: Happening,
    ) -> Result<Option<Ended>, Failure> {
        match happening {
            Happening::Event(event) => self.event(event)?,
            Happening::Replied(id, outcome) => return self.replied(asked, &id, outcome),
            Happening::TimedOut(_) if self.history.is_none() => {
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
        let reply = match outcome {
            Ok(reply) => reply,
            Err(refusal) if refusal.code == "shutting_down" => return Ok(None),
            Err(refusal) if refusal.code == "no_such_room" && asked.is_page(id) => Fields::new(),
            Err(refusal) => return Err(refusal.into()),
        };
        if id == asked.hello {
            self.greeted(&reply);
        } else if id == asked.tail {
            self.context.talk.whisper("following", "following");
        } else if id == asked.rooms {
            self.listed(&reply)?;
        } else if let Some(page) = asked.page.take_if(|page| page.id == id) {
            // A page that brings nothing is the last one, whatever it says of more.
            let more = reply.get("more").and_then(Value::as_bool) == Some(true);
            if !more || self.last_seen(&page.room) <= page.after {
                self.caught_up(&page.room)?;
            }
        }
        Ok(None)
    }

    /// The daemon has answered: one that is ending takes callers too, and says nothing. Sequence numbers mean
    /// something within one history only.
    fn greeted(&mut self, reply: &Fields) {
        if let Some(lost) = self.lost.take() {
            let gone = moments::span_shown(clock::now().since(lost).as_micros());
            self.context.talk.say("found", &format!("found the daemon after {gone}"));
        }
        let history = reply.get("history").and_then(Value::as_str).map(str::to_owned);
        if self.history.is_some() && history != self.history {
            self.places.clear();
            let text = "the daemon has begun a new history: what was said last before it ended may be missing";
            self.context.talk.say("new_history", text);
        }
        self.history = history;
    }

    /// The list of rooms: where following begins, or, after a loss, which to ask about.
    fn listed(&mut self, reply: &Fields) -> Result<(), Failure> {
        let entries = reply.get("rooms").and_then(Value::as_array).into_iter().flatten();
        let listed = entries.filter_map(|entry| {
            Some((entry["room"].as_str()?.to_owned(), entry["seq"].as_u64().unwrap_or(0)))
        });
        if self.catching.is_listing() {
            let all = self.rooms.is_empty();
            let wanted = listed.filter(|(name, _)| all || self.rooms.contains(name));
            let free = self.catching.listed(wanted);
            return free.into_iter().try_for_each(|event| self.event(event));
        }
        for (name, seq) in listed {
            self.places.entry(name).or_default().base = seq;
        }
        Ok(())
    }

    fn ask_page(&mut self, client: &mut Client, asked: &mut Asked) {
        if asked.page.is_some() || self.catching.is_listing() {
            return;
        }
        let Some(room) = self.catching.room().map(str::to_owned) else { return };
        let after = self.last_seen(&room);
        let mut fields = of_room(&room);
        fields.insert("after".to_owned(), Value::from(after));
        fields.insert("limit".to_owned(), Value::from(HISTORY_MESSAGES_MAX));
        // Whoever reads our stdout may take their time, and the answer waits behind what they have not read:
        // it has as long as following has.
        let id = client.ask("history", fields, Now::from_micros(u64::MAX));
        asked.page = Some(Page { id, room, after });
    }

    /// A room's missed messages have been printed, as far as history has them: now what came meanwhile.
    fn caught_up(&mut self, room: &str) -> Result<(), Failure> {
        let (to, held) = self.catching.done(room);
        let seen = self.last_seen(room);
        if to > seen {
            self.gone(room, seen + 1, to)?;
        }
        held.into_iter().try_for_each(|event| self.event(event))
    }

    fn last_seen(&self, room: &str) -> u64 {
        self.places.get(room).map_or(0, |place| place.base.max(place.seen))
    }

    fn event(&mut self, event: Event) -> Result<(), Failure> {
        if self.left == Some(0) {
            return Ok(());
        }
        let replayed = event.fields.contains_key("history");
        let now = if replayed { Some(event) } else { self.catching.hold(event) };
        let Some(event) = now else { return Ok(()) };
        let room = event.text("room").unwrap_or("").to_owned();
        match event.name.as_str() {
            "message" => self.message(&room, &event),
            "gap" => {
                let to = event.number("to_seq").unwrap_or(0);
                if to > self.last_seen(&room) {
                    self.catching.missed(&room, to);
                }
                Ok(())
            }
            "notice" => {
                let text = event.text("text").unwrap_or("");
                self.context.talk.say("notice", &format!("from the operator: {text}"));
                Ok(())
            }
            "bye" => {
                self.bye = event.text("reason").map(str::to_owned);
                Ok(())
            }
            _ if self.args.events && self.is_wanted_nick(event.text("nick")) => {
                self.context.talk.event(&event, self.look)
            }
            _ => Ok(()),
        }
    }

    fn message(&mut self, room: &str, event: &Event) -> Result<(), Failure> {
        let seq = event.number("seq").unwrap_or(0);
        let known = self.last_seen(room);
        let place = self.places.entry(room.to_owned()).or_default();
        if seq <= place.seen {
            return Ok(());
        }
        place.seen = seq;
        // History forgets its oldest messages first: what is missing before the first of a page is gone.
        if self.catching.room() == Some(room) && seq > known + 1 && self.is_owed_all() {
            self.gone(room, known + 1, seq - 1)?;
        }
        if !self.is_wanted_nick(event.text("from")) || !self.is_wanted_text(event) {
            return Ok(());
        }
        self.left = self.left.map(|left| left.saturating_sub(1));
        self.context.talk.message(event, self.look)
    }

    /// History does not have these messages any more.
    fn gone(&mut self, room: &str, from: u64, to: u64) -> Result<(), Failure> {
        let place = self.places.entry(room.to_owned()).or_default();
        place.seen = place.seen.max(to);
        if !self.is_owed_all() {
            return Ok(());
        }
        self.gap = true;
        self.context.talk.say("gap", &format!("messages {from} to {to} of #{room} are gone"));
        if !self.args.events {
            return Ok(());
        }
        let gap = json!({"event": "gap", "room": room, "from_seq": from, "to_seq": to});
        let line = gap.to_string();
        let fields = gap.as_object().cloned().unwrap_or_default();
        self.context.talk.event(&Event { name: "gap".to_owned(), fields, line }, self.look)
    }

    /// Whether what is missing was owed: who asks for all there is at first gets what there is.
    fn is_owed_all(&self) -> bool {
        self.found || self.args.number != Count::All
    }

    fn is_wanted_nick(&self, nick: Option<&str>) -> bool {
        let same = |wanted: &String| nick.is_some_and(|nick| nick.eq_ignore_ascii_case(wanted));
        self.args.from.is_empty() || self.args.from.iter().any(same)
    }

    fn is_wanted_text(&self, event: &Event) -> bool {
        self.args.grep.as_ref().is_none_or(|expression| {
            proto::client::content(&event.fields).is_some_and(|text| expression.is_match(&text))
        })
    }
}

impl Asked {
    fn is_page(&self, id: &str) -> bool {
        self.page.as_ref().is_some_and(|page| page.id == id)
    }
}

fn look(args: &Tail, rooms: &BTreeSet<String>) -> Look {
    match (args.raw, rooms.len()) {
        (true, _) => Look::Raw,
        (false, 1) => Look::Line,
        (false, _) => Look::LineWithRoom,
    }
}
