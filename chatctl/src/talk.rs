//! `chatctl talk`: one to one with another program, without any daemon.
//!
//! It joins what is typed, one talk at a time, and where it listens the door. What a talk is, is the business of `direct`. A
//! message is acknowledged as soon as it has come, unless stdout is behind: then once it has been taken, so that nobody
//! believes to be heard who is not.

mod conversation;
mod typing;

use crate::args::Talk;
use crate::ask::Context;
use crate::clock;
use crate::direct::{self, Door, End, Happening, Hello, Link, Peer};
use crate::failure::{Exit, Failure};
use crate::moments;
use crate::resolve;
use crate::send::speaker::login_name;
use crate::signals::Signals;
use crate::tcp;
use crate::voice::{Look, is_gone};
use conversation::Conversation;
use nix::poll::{PollFd, PollFlags};
use nix::sys::signal::Signal;
use proto::{Now, Span};
use std::io;
use typing::{Typed, Typing};
use uuid::Uuid;

/// Who calls while a talk is on is told of at most so often.
const TOLD_INTERVAL: Span = Span::from_secs(1);

/// So long the answer to a message is looked for without rest: a processor that rests takes longer to wake than the answer of somebody near
/// takes to come.
const AWAKE_SPAN: Span = Span::from_micros(300);

/// What `/help` says.
const HELP: [&str; 4] = [
    "each line is a message; what begins with a slash is a command, and // is a slash that is none",
    "/quit   ends the talk, as Ctrl-C does; where nobody is there it ends the program",
    "/rtt    how long messages took until the other side had them",
    "/help   this",
];

/// `chatctl talk`.
pub fn talk(context: &mut Context, args: &Talk) -> Result<(), Failure> {
    let ours = Hello::ours(context.flags.as_nick.clone().or_else(login_name));
    let (door, talk) = match (&args.host, &args.listen) {
        (Some(host), _) => (None, Some(call(context, host, &ours)?)),
        (None, listen) => (Some(listen_at(context, listen.as_deref().unwrap_or_default())?), None),
    };
    let mut talker = Talker {
        context,
        look: if args.raw { Look::Raw } else { Look::Line },
        ours,
        door,
        talk,
        typing: Typing::new(args.message_at_eof)?,
        signals: Signals::new()?,
        drained: true,
        fate: None,
        told: None,
    };
    talker.signals.hold()?;
    let outcome = talker.run();
    talker.finish(outcome)
}

fn call(context: &Context, text: &str, ours: &Hello) -> Result<Conversation, Failure> {
    let place = tcp::host_and_port(text, direct::USUAL_PORT).filter(|(_, port)| *port != 0);
    let (host, port) = place.ok_or_else(|| {
        Failure::usage(format!("`{text}` is no address; write HOST, HOST:PORT or [IPV6]:PORT"))
    })?;
    let deadline = context.deadline();
    let nobody = |why: String| {
        let help = "does `chatctl talk --listen` run there, and on that address?";
        Failure::unreachable(format!("nobody to talk with at {text} ({why}); {help}"))
    };
    let stream = tcp::call(&host, port, deadline).map_err(nobody)?;
    let peer = Peer::calling(ours, clock::now(), deadline);
    let link = Link::new(stream, peer).map_err(|error| nobody(error.to_string()))?;
    context.voice.whisper("connected", &format!("connected to {}", link.address()));
    Ok(Conversation::calling(link))
}

fn listen_at(context: &Context, text: &str) -> Result<Door, Failure> {
    let place = tcp::host_and_port(text, direct::USUAL_PORT).ok_or_else(|| {
        let help = "write ADDRESS, ADDRESS:PORT or [IPV6]:PORT";
        Failure::usage(format!("`{text}` is no address to listen at; {help}"))
    })?;
    let failed =
        |exit, why: &str| Failure::new(exit, "listen", format!("cannot listen at {text}: {why}"));
    let addresses = resolve::addresses(&place.0, place.1, context.deadline());
    let addresses = addresses.map_err(|why| failed(Exit::Usage, &why))?;
    let opened = Door::open(&addresses).and_then(|door| Ok((door.address()?, door)));
    let (address, door) = opened.map_err(|error| match error.kind() {
        io::ErrorKind::PermissionDenied => failed(Exit::NotPermitted, &error.to_string()),
        _ => failed(Exit::Refused, &error.to_string()),
    })?;
    context.voice.say("listening", &format!("listening at {address}"));
    Ok(door)
}

/// How the program ends, once no talk is on.
enum Fate {
    /// As was wished, or because there is nobody any more to talk with.
    Done,
    /// By this signal.
    Signal(Signal),
    /// With this failure.
    Failed(Failure),
}

/// One run of `talk`.
struct Talker<'a> {
    context: &'a mut Context,
    look: Look,
    ours: Hello,
    door: Option<Door>,
    talk: Option<Conversation>,
    typing: Typing,
    signals: Signals,
    /// Whether stdout has taken everything.
    drained: bool,
    fate: Option<Fate>,
    /// When it was told last that somebody called in vain.
    told: Option<Now>,
}

impl Talker<'_> {
    fn run(&mut self) -> Result<(), Failure> {
        loop {
            self.type_on()?;
            self.end_with_the_input();
            if self.talk.is_none() && self.fate.is_some() {
                return Ok(());
            }
            let ready = self.wait()?;
            self.move_on(&ready)?;
        }
    }

    /// The last thing: what is still to be written, and the word to whom we leave in the midst.
    fn finish(&mut self, outcome: Result<(), Failure>) -> Result<(), Failure> {
        if let Some(talk) = &mut self.talk {
            let now = clock::now();
            talk.link.peer.hang_up(now);
            talk.link.flush(now);
        }
        if let Some(Fate::Signal(signal)) = self.fate {
            // Its reader may take a last look; nobody waits for one who does not.
            let _ = self.context.voice.hand_out();
            self.signals.obey(signal)?;
        }
        self.signals.let_go()?;
        outcome?;
        self.context.voice.flush()?;
        match self.fate.take() {
            Some(Fate::Failed(failure)) => Err(failure),
            Some(Fate::Done | Fate::Signal(_)) | None => Ok(()),
        }
    }

    /// Takes what was typed, as far as it can be said.
    fn type_on(&mut self) -> Result<(), Failure> {
        let now = clock::now();
        while let Some(typed) = self.typing.look()? {
            if let Typed::Say(content) = typed {
                let ready = self.talk.as_ref().map(|talk| talk.link.peer.may_say(content.len()));
                match ready {
                    Some(false) => break,
                    None if !self.typing.is_terminal() => break,
                    Some(true) | None => {}
                }
            }
            let Some(typed) = self.typing.take() else { break };
            self.obey(typed, now);
        }
        if let Some(talk) = &mut self.talk {
            talk.link.flush(now);
        }
        Ok(())
    }

    fn obey(&mut self, typed: Typed, now: Now) {
        let voice = &self.context.voice;
        match typed {
            Typed::Say(content) => match &mut self.talk {
                Some(talk) => {
                    talk.said += 1;
                    let id = Uuid::new_v4().hyphenated().to_string();
                    // Its time counts from here: what was read before it is not its way.
                    talk.link.peer.say(&id, &content, clock::now());
                }
                // What was meant for one who has gone is not for whoever comes next.
                None => voice.say("not_sent", "nobody is there yet: this was not sent"),
            },
            Typed::TooLong(bytes) => self.too_long(bytes, now),
            Typed::Quit => self.leave(Fate::Done, now),
            Typed::End if self.typing.is_terminal() => self.leave(Fate::Done, now),
            // A pipe's end: a caller hangs up when all is acknowledged, a listener goes on listening.
            Typed::End => {}
            Typed::Help => HELP.iter().for_each(|line| voice.say("help", line)),
            Typed::RoundTrips => {
                let trips = self.talk.as_ref().and_then(|talk| talk.trips.shown());
                voice.say(
                    "rtt",
                    &trips.unwrap_or_else(|| "no message has come back yet".to_owned()),
                );
            }
            Typed::Unknown(name) => {
                voice.say("unknown", &format!("/{name} is no command here: /help has them all"));
            }
        }
    }

    fn too_long(&mut self, bytes: usize, now: Now) {
        let limit = direct::CONTENT_BYTES_MAX;
        let message = format!("the message has {bytes} bytes or more; the limit is {limit} bytes");
        if self.door.is_some() || self.typing.is_terminal() {
            self.context.voice.say("too_large", &format!("{message}: it was not sent"));
        } else {
            self.leave(Fate::Failed(Failure::new(Exit::LimitHit, "too_large", message)), now);
        }
    }

    /// Ends the talk, and the program, too, where there is nobody to wait for.
    fn leave(&mut self, fate: Fate, now: Now) {
        let waits = self.door.is_some() && self.talk.is_some();
        if !waits {
            self.fate.get_or_insert(fate);
        }
        if let Some(talk) = &mut self.talk {
            talk.link.peer.hang_up(now);
            talk.link.flush(now);
        }
    }

    /// A caller whose pipe has ended hangs up, once all that it said is acknowledged.
    fn end_with_the_input(&mut self) {
        let Some(talk) = self.talk.as_ref().filter(|_| self.door.is_none()) else { return };
        let peer = &talk.link.peer;
        if self.typing.is_ended() && peer.is_talking() && peer.unacknowledged() == 0 {
            self.leave(Fate::Done, clock::now());
        }
    }

    /// Waits until something can be done: what became of the signals, stdin, stdout, the talk and the door, in this order.
    fn wait(&self) -> Result<Vec<PollFlags>, Failure> {
        let now = clock::now();
        let stdout = if self.drained { PollFlags::empty() } else { PollFlags::POLLOUT };
        let voice = self.context.voice.descriptor();
        // A pipe is read for somebody only; a person may say at any time that it is over.
        let wanted = self.typing.is_terminal() || self.talk.is_some();
        let stdin = self.typing.descriptor().filter(|_| wanted);
        let mut fds = vec![
            PollFd::new(self.signals.descriptor(), PollFlags::POLLIN),
            PollFd::new(voice, stdout),
        ];
        fds.extend(stdin.iter().map(|fd| PollFd::new(*fd, PollFlags::POLLIN)));
        let link = self.talk.as_ref().map(|talk| talk.link.watched());
        fds.extend(link.map(|(fd, flags)| PollFd::new(fd, flags)));
        let door = self.door.as_ref().map(Door::watched).unwrap_or_default();
        fds.extend(door.into_iter().map(|(fd, flags)| PollFd::new(fd, flags)));
        let next = [
            self.talk.as_ref().and_then(|talk| talk.link.peer.next()),
            self.door.as_ref().and_then(Door::next),
        ];
        let next = next.into_iter().flatten().min();
        let failed = |error: io::Error| Failure::new(Exit::Refused, "poll", error.to_string());
        // Who says more at once does not wait for each answer.
        if self.talk.as_ref().is_some_and(|talk| talk.link.peer.unacknowledged() == 1) {
            stay_awake(&mut fds, now).map_err(failed)?;
        }
        crate::client::poll(&mut fds, next.map(|at| at.since(now))).map_err(failed)?;
        let mut ready: Vec<_> =
            fds.iter().map(|fd| fd.revents().unwrap_or(PollFlags::empty())).collect();
        // Those that were not waited for keep their places.
        if stdin.is_none() {
            ready.insert(2, PollFlags::empty());
        }
        if link.is_none() {
            ready.insert(3, PollFlags::empty());
        }
        Ok(ready)
    }

    /// Does what can be done now.
    fn move_on(&mut self, ready: &[PollFlags]) -> Result<(), Failure> {
        let now = clock::now();
        let is_ready = |place: usize| ready.get(place).is_some_and(|flags| !flags.is_empty());
        if is_ready(3)
            && let Some(talk) = &mut self.talk
        {
            talk.link.read(now);
        }
        self.happen(now)?;
        if is_ready(0)
            && let Some(signal) = self.signals.take()?
        {
            self.signalled(signal, now);
        }
        if ready.get(1).is_some_and(|flags| is_gone(*flags)) {
            return Err(Failure::quiet());
        }
        if is_ready(2) {
            self.typing.read()?;
        }
        if let Some(door) = &mut self.door {
            door.step(ready.get(4..).unwrap_or_default(), now);
            self.answer_the_door(now)?;
        }
        if let Some(talk) = &mut self.talk {
            talk.link.peer.expire(now);
        }
        self.happen(now)?;
        self.hand_out(now)
    }

    /// INT ends a talk, or where there is none the program; the others end both.
    fn signalled(&mut self, signal: Signal, now: Now) {
        if signal != Signal::SIGINT {
            self.fate = Some(Fate::Signal(signal));
        }
        self.leave(Fate::Signal(signal), now);
    }

    fn answer_the_door(&mut self, now: Now) -> Result<(), Failure> {
        loop {
            let Some((mut link, hello)) = self.door.as_mut().and_then(Door::caller) else {
                return Ok(());
            };
            if self.talk.is_none() && self.fate.is_none() {
                link.peer.welcome(&self.ours, now);
                link.flush(now);
                self.begin(Conversation::called(link), &hello)?;
                continue;
            }
            let who = hello.nick.unwrap_or_else(|| link.address().to_string());
            let text = "busy: somebody else is in a talk here; try again later";
            if let Some(door) = &mut self.door {
                door.turn_away(link, "busy", text, now);
            }
            if self.told.is_none_or(|told| now.since(told) >= TOLD_INTERVAL) {
                self.told = Some(now);
                let text = format!("{who} called meanwhile, and was told that you are busy");
                self.context.voice.say("busy", &text);
            }
        }
    }

    fn begin(&mut self, mut talk: Conversation, hello: &Hello) -> Result<(), Failure> {
        let who = talk.begin(hello);
        let help = if self.typing.is_terminal() { "; /help says how" } else { "" };
        self.context.voice.say("talk_started", &format!("{who}{help}"));
        if self.context.voice.is_json() {
            self.context.voice.object(&talk.started().line)?;
        }
        self.talk = Some(talk);
        Ok(())
    }

    /// Takes what happened in the talk.
    fn happen(&mut self, now: Now) -> Result<(), Failure> {
        while let Some(happening) = self.talk.as_mut().and_then(|talk| talk.link.peer.take()) {
            match happening {
                Happening::Said { id, content } => self.hear(&id, &content, now)?,
                Happening::Delivered { id, round_trip } => self.delivered(&id, round_trip)?,
                Happening::NotTaken { id, refusal } => {
                    let Some(talk) = &self.talk else { continue };
                    let told = format!("{} does not take it: {}", talk.name, refusal.message);
                    if self.context.voice.is_json() {
                        let event = talk.not_taken(&id, &refusal.code, &refusal.message);
                        self.context.voice.object(&event.line)?;
                    }
                    self.context.voice.say("not_taken", &told);
                    if self.door.is_none() && !self.typing.is_terminal() {
                        let failure = Failure::new(Exit::of_code(&refusal.code), "not_taken", told);
                        self.leave(Fate::Failed(failure), now);
                    }
                }
                Happening::Welcomed(hello) => {
                    if let Some(talk) = self.talk.take() {
                        self.begin(talk, &hello)?;
                    }
                }
                // Callers are answered at the door, and there are no turns here.
                Happening::Called(_) | Happening::Passed => {}
                Happening::Ended(end) => self.ended(&end)?,
            }
        }
        if let Some(talk) = &mut self.talk {
            talk.link.flush(now);
        }
        Ok(())
    }

    fn hear(&mut self, id: &str, content: &[u8], now: Now) -> Result<(), Failure> {
        let Some(talk) = &mut self.talk else { return Ok(()) };
        talk.heard += 1;
        if self.drained {
            talk.link.peer.acknowledge(id);
            talk.link.flush(now);
        } else {
            talk.withheld.push(id.to_owned());
        }
        self.context.voice.message(&talk.message(id, content), self.look)?;
        self.hand_out(now)
    }

    fn delivered(&mut self, id: &str, round_trip: Span) -> Result<(), Failure> {
        let Some(talk) = &mut self.talk else { return Ok(()) };
        talk.trips.add(round_trip);
        let micros = round_trip.as_micros();
        if self.context.voice.is_json() {
            return self.context.voice.object(&talk.delivered(id, micros).line);
        }
        let told = format!("{} has it: {}", talk.name, moments::span_shown(micros));
        if self.typing.is_terminal() {
            self.context.voice.say("delivered", &told);
        } else {
            self.context.voice.whisper("delivered", &told);
        }
        Ok(())
    }

    fn ended(&mut self, end: &End) -> Result<(), Failure> {
        let Some(mut talk) = self.talk.take() else { return Ok(()) };
        talk.link.flush(clock::now());
        if talk.begun {
            self.context.voice.say("talk_ended", &talk.farewell(end));
            if self.context.voice.is_json() {
                self.context.voice.object(&talk.ended(end).line)?;
            }
        }
        if self.door.is_some() {
            return Ok(());
        }
        let whole = self.typing.is_terminal() || self.typing.is_ended();
        let fate = talk.failure(end, whole).map_or(Fate::Done, Fate::Failed);
        self.fate.get_or_insert(fate);
        Ok(())
    }

    /// Gives stdout what it takes now; what was withheld for it is acknowledged once it has everything.
    fn hand_out(&mut self, now: Now) -> Result<(), Failure> {
        self.drained = self.context.voice.hand_out()?;
        if let Some(talk) = self.talk.as_mut().filter(|_| self.drained) {
            for id in std::mem::take(&mut talk.withheld) {
                talk.link.peer.acknowledge(&id);
            }
            talk.link.flush(now);
        }
        Ok(())
    }
}

/// Looks whether anything is ready until something is, but only for a moment.
fn stay_awake(fds: &mut [PollFd<'_>], from: Now) -> io::Result<()> {
    while clock::now().since(from) < AWAKE_SPAN {
        crate::client::poll(fds, Some(Span::from_micros(0)))?;
        if fds.iter().any(|fd| fd.any() == Some(true)) {
            break;
        }
    }
    Ok(())
}
