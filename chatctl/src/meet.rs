//! `chatctl meet`: one to one with whoever waits for that, or with one named; stdin and stdout are the talk.
//!
//! It waits for its peer by the server, opens the talk, and gives and takes bytes until both sides have come to their ends. What is
//! owed is the business of `exchange`, the way it takes that of `way`, how two come to one of their own that of `opening`.

mod exchange;
mod opening;
mod way;

use crate::args::Meet;
use crate::ask::{self, Context};
use crate::client::{Client, Event, Fields, Happening};
use crate::clock;
use crate::direct::Turn;
use crate::failure::{Exit, Failure};
use crate::moments;
use crate::send::opened;
use crate::send::speaker::login_name;
use crate::signals::Signals;
use crate::voice::is_gone;
use exchange::{Exchange, Next, Own, PIECE_BYTES_MAX};
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use opening::Opening;
use proto::{Now, Span};
use serde_json::Value;
use std::fs::File;
use std::io::{self, Read};
use uuid::Uuid;
use way::{Heard, Way};

/// So long the server has to take our farewell.
const FAREWELL_SPAN_MAX: Span = Span::from_secs(2);

/// `chatctl meet`.
pub fn meet(context: &mut Context, args: &Meet) -> Result<(), Failure> {
    let wanted = args.peer.as_deref().map(ask::nick).transpose()?;
    let mut client = context.connect()?;
    let nick = greet(context, &mut client)?;
    let opening = Opening::new(&client, &nick, args.direct)?;
    let mut fields = Fields::new();
    if let Some(peer) = &wanted {
        fields.insert("peer".to_owned(), Value::from(peer.as_str()));
    }
    if let Some(turns) = args.turns {
        fields.insert("turns".to_owned(), Value::from(turns.word()));
    }
    if let Some(port) = opening.port() {
        fields.insert("direct".to_owned(), Value::from(port));
    }
    let signals = Signals::new()?;
    let mut found = Vec::new();
    context.ask(&mut client, "bridge", fields, &mut |event| {
        found.push(event);
        Ok(())
    })?;
    let whom = wanted.map_or_else(|| "somebody to talk with".to_owned(), |peer| format!("@{peer}"));
    context.voice.say("waiting", &format!("waiting for {whom}, as {nick}"));
    let mut meeting = Meeting {
        context,
        client,
        signals,
        opening,
        talk: None,
        input: Some(opened(None)?),
        piece: Vec::new(),
        withheld: Vec::new(),
        drained: true,
        fate: None,
    };
    meeting.signals.hold()?;
    let now = clock::now();
    let begun = found.iter().try_for_each(|event| meeting.event(event, now));
    let outcome = begun.and_then(|()| meeting.run());
    meeting.finish(outcome)
}

/// Says hello under a name that others can call; which.
fn greet(context: &Context, client: &mut Client) -> Result<String, Failure> {
    let mut fields = ask::hello();
    if context.server.is_remote() {
        let name = context.flags.as_nick.clone().or_else(login_name);
        let name = name.ok_or_else(|| Failure::usage("who are you? name yourself with --as"))?;
        fields.insert("nick".to_owned(), Value::from(name));
    } else if context.flags.as_nick.is_some() {
        let message =
            "over the control socket one talks under the own login name; --as is for tcp://";
        return Err(Failure::usage(message));
    }
    let reply = context.ask(client, "hello", fields, &mut |_| Ok(()));
    let reply = reply.map_err(|mut failure| {
        if failure.code == "nickname_in_use" {
            failure.message += " Name yourself with --as.";
        }
        failure
    })?;
    let nick = reply.get("nick").and_then(Value::as_str).map(str::to_owned);
    nick.ok_or_else(|| Failure::strange("the server does not say which name one has there"))
}

/// The reader of stdout is gone before all was exchanged: here that is no end like others, since what it was to take is nowhere.
fn not_taken() -> Failure {
    Failure::new(Exit::Refused, "stdout", "stdout was closed before all was exchanged")
}

/// A talk that is open.
struct Open {
    peer: String,
    way: Way,
    exchange: Exchange,
    began: Now,
}

/// How the program ends.
enum Fate {
    /// Both have everything.
    Done,
    /// A signal came.
    Signal(Signal),
}

/// One run of `meet`.
struct Meeting<'a> {
    context: &'a mut Context,
    client: Client,
    signals: Signals,
    opening: Opening,
    talk: Option<Open>,
    /// stdin, until its end.
    input: Option<File>,
    /// What was read and not said.
    piece: Vec<u8>,
    /// Theirs that are acknowledged once stdout has taken them.
    withheld: Vec<String>,
    drained: bool,
    fate: Option<Fate>,
}

impl Meeting<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.say_on(clock::now());
            if self.fate.is_some() {
                return Ok(());
            }
            let ready = self.wait()?;
            self.move_on(&ready)?;
        }
    }

    /// Says goodbye: what was said is taken, and the peer knows that this was all.
    fn finish(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        if !self.client.is_lost() {
            let what = if self.talk.is_some() { "hangup" } else { "unbridge" };
            let asked = self.client.ask(what, Fields::new(), clock::now().after(FAREWELL_SPAN_MAX));
            self.see_off(&asked);
        }
        if let Some(Fate::Signal(signal)) = self.fate {
            self.signals.obey(signal)?;
        }
        self.signals.let_go()?;
        outcome.map_err(|failure| if failure.silent { not_taken() } else { failure })?;
        self.context.voice.flush()
    }

    /// Waits for this last reply, and that the own connection of the two ends well; not for long.
    fn see_off(&mut self, asked: &str) {
        let until = clock::now().after(FAREWELL_SPAN_MAX);
        let mut answered = false;
        if let Some(open) = &mut self.talk {
            open.way.hang_up(clock::now());
        }
        loop {
            let over = self.talk.as_mut().is_none_or(|open| open.way.is_over());
            let now = clock::now();
            if (answered && over) || now >= until || self.client.is_lost() {
                return;
            }
            let others: Vec<_> = self.talk.iter().filter_map(|open| open.way.watched()).collect();
            if self.client.step(now, Some(until), &others).is_err() {
                return;
            }
            let now = clock::now();
            self.client.expire(now);
            while let Some(happening) = self.client.take() {
                answered |= match happening {
                    Happening::Replied(id, _) | Happening::TimedOut(id) => id == asked,
                    _ => false,
                };
            }
            if let Some(open) = &mut self.talk {
                open.way.move_on(&mut self.client, None, now);
            }
        }
    }

    /// Says what can be said now.
    fn say_on(&mut self, now: Now) {
        let Some(open) = &mut self.talk else { return };
        loop {
            let own = match (&self.input, self.piece.is_empty()) {
                (_, false) => Own::Bytes,
                (Some(_), true) => Own::Nothing,
                (None, true) => Own::End,
            };
            let next = open.exchange.next(own);
            match next {
                Next::Wait => return,
                Next::Say | Next::SayEnd => {
                    if !open.way.may_say(self.piece.len()) {
                        return;
                    }
                    let id = Uuid::new_v4().hyphenated().to_string();
                    let content = std::mem::take(&mut self.piece);
                    open.exchange.said(&id, next == Next::SayEnd);
                    open.way.say(&mut self.client, &id, content, now);
                }
                Next::Pass => {
                    open.exchange.turn_is(Turn::Theirs);
                    open.way.pass(&mut self.client, now);
                }
                Next::HangUp => {
                    self.fate.get_or_insert(Fate::Done);
                    return;
                }
            }
        }
    }

    /// Waits until something can be done: what became of the signals, stdout, stdin and the rest.
    fn wait(&mut self) -> Result<Vec<PollFlags>, Failure> {
        let now = clock::now();
        let stdout = if self.drained { PollFlags::empty() } else { PollFlags::POLLOUT };
        // What is typed before somebody is there is for them, and waits in the pipe.
        let hungry = self.talk.is_some() && self.piece.len() < PIECE_BYTES_MAX;
        let stdin = if hungry { PollFlags::POLLIN } else { PollFlags::empty() };
        let mut others = vec![
            (self.signals.descriptor(), PollFlags::POLLIN),
            (self.context.voice.descriptor(), stdout),
        ];
        let input = self.input.as_ref().filter(|_| hungry);
        others.extend(input.map(|input| (std::os::fd::AsFd::as_fd(input), stdin)));
        let held = others.len();
        others.extend(self.talk.as_ref().and_then(|open| open.way.watched()));
        if self.talk.is_none() {
            others.extend(self.opening.watched());
        }
        let next = match &self.talk {
            Some(open) => open.way.next(),
            None => self.opening.next(),
        };
        let mut ready = self
            .client
            .step(now, next, &others)
            .map_err(|error| Failure::unreachable(error.to_string()))?;
        if held == 2 {
            ready.insert(2, PollFlags::empty());
        }
        Ok(ready)
    }

    fn move_on(&mut self, ready: &[PollFlags]) -> Result<(), Failure> {
        let now = clock::now();
        let is_ready = |place: usize| ready.get(place).is_some_and(|flags| !flags.is_empty());
        if is_ready(0)
            && let Some(signal) = self.signals.take()?
        {
            self.fate = Some(Fate::Signal(signal));
            return Ok(());
        }
        if ready.get(1).is_some_and(|flags| is_gone(*flags)) {
            return Err(Failure::quiet());
        }
        if is_ready(2) {
            self.read()?;
        }
        self.client.expire(now);
        while let Some(happening) = self.client.take() {
            self.happen(happening, now)?;
        }
        if self.talk.is_none() {
            self.opening.step(ready.get(3..).unwrap_or_default(), &mut self.client, now);
            if let Some(said) = self.opening.said() {
                self.context.voice.say("relayed", &said);
            }
        }
        self.hear_on(now)?;
        self.hand_out(now)
    }

    /// Reads some of our own bytes.
    fn read(&mut self) -> Result<(), Failure> {
        let Some(input) = &mut self.input else { return Ok(()) };
        let had = self.piece.len();
        self.piece.resize(PIECE_BYTES_MAX.max(had), 0);
        let read = input.read(self.piece.get_mut(had..).unwrap_or_default());
        self.piece.truncate(had + read.as_ref().map_or(0, |count| *count));
        match read {
            Ok(0) if had < PIECE_BYTES_MAX => self.input = None,
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(Failure::file("stdin", &error)),
        }
        Ok(())
    }

    fn happen(&mut self, happening: Happening, now: Now) -> Result<(), Failure> {
        match happening {
            Happening::Replied(id, outcome) => {
                let Some(open) = &mut self.talk else {
                    return opening::replied(outcome).map_err(Failure::from);
                };
                let heard = open.way.replied(&id, outcome, now);
                heard.map_or(Ok(()), |heard| self.hear(heard))
            }
            Happening::Event(event) => self.event(&event, now),
            Happening::Complaint(refusal) => Err(refusal.into()),
            Happening::TimedOut(_) => Err(self.context.no_answer()),
            Happening::Lost { reason, .. } => match &self.talk {
                // The two need no server any more.
                Some(open) if open.way.is_direct() => Ok(()),
                open => {
                    let mut failure = self.context.lost(&self.client, &reason);
                    if let Some(open) = open {
                        failure.message =
                            format!("{}; {}", failure.message, open.exchange.counts());
                    }
                    Err(failure)
                }
            },
        }
    }

    fn event(&mut self, event: &Event, now: Now) -> Result<(), Failure> {
        if let Some(open) = &mut self.talk {
            let heard = open.way.event(event);
            return heard.map_or(Ok(()), |heard| self.hear(heard));
        }
        match event.name.as_str() {
            "talk_ready" => self.opening.ready(event, &mut self.client, now),
            "talk_started" => {
                let turn = event.text("turn").and_then(way::turn);
                let peer = event.text("peer").unwrap_or("?").to_owned();
                let is_direct = event.fields.get("direct").and_then(Value::as_bool) == Some(true);
                let way = if is_direct {
                    let link = self.opening.link().ok_or_else(|| {
                        let message = format!("{peer} says to have connected, and has not");
                        Failure::new(Exit::Refused, "gone", message)
                    })?;
                    Way::direct(link)
                } else {
                    self.opening.relayed();
                    Way::relayed(peer.clone())
                };
                if let Some(said) = self.opening.said() {
                    self.context.voice.say("relayed", &said);
                }
                let how = if is_direct { ", past the server" } else { "" };
                self.context.voice.say("talk_started", &format!("talking with {peer}{how}"));
                self.talk = Some(Open { peer, way, exchange: Exchange::new(turn), began: now });
            }
            "talk_ended" if event.text("reason") == Some("timeout") => {
                return Err(Failure::timed_out("nobody came in time: the server waits no longer"));
            }
            "talk_ended" => {
                self.opening.start_again();
                self.context.voice.whisper("waiting", "whoever was found has gone; waiting again");
            }
            "renamed" if event.text("room").is_none() => {
                self.opening.rename(event.text("new_nick").unwrap_or("?"));
            }
            "bye" => {
                let why = event.text("reason").unwrap_or("?");
                self.context.voice.say("bye", &format!("the server says: {why}"));
            }
            _ => {}
        }
        Ok(())
    }

    fn hear_on(&mut self, now: Now) -> Result<(), Failure> {
        let Some(open) = &mut self.talk else { return Ok(()) };
        open.way.move_on(&mut self.client, open.exchange.turn(), now);
        while let Some(heard) = self.talk.as_mut().and_then(|open| open.way.take()) {
            self.hear(heard)?;
        }
        Ok(())
    }

    fn hear(&mut self, heard: Heard) -> Result<(), Failure> {
        let Some(open) = &mut self.talk else { return Ok(()) };
        match heard {
            Heard::Said { id, content } => {
                if !open.exchange.heard(content.len()) {
                    let message = format!("{} says more behind its end", open.peer);
                    return Err(Failure::new(Exit::Refused, "strange", message));
                }
                self.context.voice.bytes(&content);
                self.withheld.push(id);
            }
            Heard::Delivered(id, bytes) => open.exchange.delivered(&id, bytes),
            Heard::Turn(turn) => open.exchange.turn_is(turn),
            Heard::Refused(refusal) => return Err(refusal.into()),
            Heard::Over(_) if open.exchange.is_done() => self.fate = Some(Fate::Done),
            Heard::Over(how) if self.fate.is_none() => {
                let counts = open.exchange.counts();
                let message = format!("{} {how} before all was exchanged: {counts}", open.peer);
                return Err(Failure::new(Exit::Refused, "talk_ended", message));
            }
            Heard::Over(_) => {}
        }
        Ok(())
    }

    /// Gives stdout what it takes now, and acknowledges what it has taken.
    fn hand_out(&mut self, now: Now) -> Result<(), Failure> {
        self.drained = self.context.voice.hand_out()?;
        let Some(open) = self.talk.as_mut().filter(|_| self.drained) else { return Ok(()) };
        for id in self.withheld.drain(..) {
            open.way.acknowledge(&mut self.client, &id, now);
            open.exchange.acknowledged(1);
        }
        if open.exchange.is_done() && self.fate.is_none() {
            let took = moments::span_shown(now.since(open.began).as_micros());
            let (given, taken) = (open.exchange.given, open.exchange.taken);
            let text = format!("{given} bytes given, {taken} taken, in {took}");
            self.context.voice.whisper("done", &text);
        }
        Ok(())
    }
}
