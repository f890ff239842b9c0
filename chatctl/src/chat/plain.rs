//! Line by line: for pipes, screen readers and plain terminals. What people say goes to stdout as it comes, words about the
//! connection to stderr; nothing is ever drawn twice and the cursor is never moved.
//!
//! Lines of stdin are said or are commands. What comes from a pipe is taken at the pace at which it can be done, so that a script of
//! lines means what it says. How all ends is the business of `ending`.

mod ending;
mod words;

use super::command::{Line, parse};
use super::front::Front;
use super::model::entry::{Content, Entry, Mark, What};
use super::model::{Model, Moment, News, Phase, ViewName};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::input::{Cut, Input, Piece};
use crate::moments;
use crate::send::opened;
use crate::signals::Signals;
use crate::visible;
use crate::voice::{Voice, is_gone};
use ending::Ending;
use nix::poll::PollFlags;
use nix::sys::signal::Signal;
use proto::{Now, Span};
use std::io::IsTerminal;
use std::os::fd::BorrowedFd;

/// The longest line that is taken; what the daemon takes is less.
const LINE_BYTES_MAX: usize = 1 << 20;

/// So many messages of a pipe may wait to be sent; the others wait in the pipe.
const WAITING_MAX: usize = 64;

/// The line client.
pub struct Plain<'a> {
    voice: &'a mut Voice,
    input: Input,
    /// Those that end: INT ends the talk first, and whoever is in one is told before the others end all.
    signals: Signals,
    /// The signal that is to end all.
    fate: Option<Signal>,
    /// A line that cannot be done yet.
    next: Option<Vec<u8>>,
    /// Whether somebody types.
    is_typed: bool,
    /// What is to the left of the cursor: nothing, or a prompt.
    has_prompt: bool,
    is_behind: bool,
    /// How many lines were done.
    lines: u64,
    ending: Ending,
    timeout: Span,
    /// What the first line that could not be done came to.
    refused: Option<Exit>,
}

impl<'a> Plain<'a> {
    /// A client that reads stdin; at its end it waits so long for the daemon.
    pub fn new(voice: &'a mut Voice, timeout: Span) -> Result<Self, Failure> {
        let is_typed = std::io::stdin().is_terminal();
        let signals = Signals::new()?;
        signals.hold()?;
        Ok(Self {
            signals,
            fate: None,
            input: Input::new(opened(None)?, Cut::At(b'\n'), LINE_BYTES_MAX),
            next: None,
            is_typed,
            has_prompt: false,
            is_behind: false,
            lines: 0,
            ending: Ending::default(),
            timeout,
            refused: None,
            voice,
        })
    }

    /// The last thing: the terminal is left at the beginning of a line. Where a signal is to end the process it does so within this
    /// call.
    pub fn leave(mut self) -> Result<(), Failure> {
        self.begin_line();
        // Who sends a signal does not wait for a reader of stdout.
        let _ = self.voice.hand_out();
        match self.fate {
            None => self.signals.let_go()?,
            Some(signal) => self.signals.obey(signal)?,
        }
        let _ = self.voice.flush();
        Ok(())
    }

    /// Prints a line, whoever said what is in it.
    fn print(&mut self, text: &str) {
        self.begin_line();
        self.voice.shown(text);
    }

    fn begin_line(&mut self) {
        if std::mem::take(&mut self.has_prompt) {
            self.voice.shown("");
        }
    }

    fn say(&mut self, code: &str, text: &str) -> Result<(), Failure> {
        self.make_way()?;
        self.voice.say(code, text);
        Ok(())
    }

    /// stderr is the same terminal: what was printed before comes before.
    fn make_way(&mut self) -> Result<(), Failure> {
        self.begin_line();
        self.voice.hand_out().map(drop)
    }

    /// A line of a view as it is printed.
    fn print_entry(&mut self, model: &Model, view: &ViewName, entry: &Entry) {
        let title = model.views().view(view).map_or("", |view| view.title.as_str());
        let title = visible::line(title);
        let time =
            moments::shown(&entry.time.to_string(), &clock::wall(), self.voice.is_terminal());
        match &entry.what {
            What::Message(message) => {
                let content = words::shown(&message.content);
                let from = visible::line(&message.from);
                self.print(&format!("{time} {title} {from}: {content}"));
            }
            What::Gap { from, to } => {
                self.print(&format!("{time} {title} -- messages {from} to {to} are missing"));
            }
            What::Event(happened) => {
                self.print(&format!("{time} {title} -- {}", visible::line(&happened.words())));
            }
            What::Note(text) => {
                let is_here = view == model.views().focus();
                let head = if is_here { String::new() } else { format!("{title}: ") };
                for line in text.lines() {
                    self.print(&format!("-- {head}{}", visible::line(line)));
                }
            }
        }
    }

    /// How far a message of ours has come. Who typed it sees it already.
    fn print_mark(&mut self, model: &Model, view: &ViewName, entry: &Entry) -> Result<(), Failure> {
        let Some(message) = entry.message() else { return Ok(()) };
        match &message.mark {
            Mark::Stored | Mark::Sent if !self.is_typed => self.print_entry(model, view, entry),
            Mark::Delivered { by: 1, rtt } => {
                let text = format!("received after {}", moments::span_shown(rtt.as_micros()));
                if *view == ViewName::Talk {
                    self.say("delivered", &text)?;
                } else if self.voice.is_verbose() {
                    self.make_way()?;
                    self.voice.whisper("delivered", &text);
                }
            }
            Mark::NotSent { code, why } => {
                self.refused.get_or_insert(Exit::of_code(code));
                self.say_lost("not_sent", "not sent", why, &message.content)?;
            }
            Mark::NotAcknowledged { why } => {
                // What is given back, too, counts as not done; what the server has relayed was.
                self.say_lost("not_acknowledged", "not acknowledged", why, &message.content)?;
            }
            Mark::None | Mark::Sending | Mark::Stored | Mark::Sent | Mark::Delivered { .. } => {}
        }
        Ok(())
    }

    /// What became of a line that is not there, and which it was.
    fn say_lost(
        &mut self,
        code: &str,
        what: &str,
        why: &str,
        content: &Content,
    ) -> Result<(), Failure> {
        let content = match content {
            Content::Text(text) => text.clone(),
            Content::Data(data) => visible::hex(data),
        };
        self.say(code, &format!("{what}: {} It was: {content}", words::sentence(why)))
    }

    /// Whether this line can be done now. What is typed can, but what is said behind `/chat` is for the talk that this opens; what comes
    /// from a pipe waits until what was before is done, so that the order is kept.
    fn may_do(&self, model: &Model, line: &[u8]) -> bool {
        let is_held = matches!(model.link().phase(), Phase::Held { .. });
        match (self.is_typed, words::is_command(line)) {
            (true, false) => !model.is_opening(),
            (true, true) => true,
            (false, _) if is_held => true,
            (false, _) if !model.link().was_up() => false,
            (false, true) => model.is_settled() || !model.link().is_up(),
            (false, false) => !model.is_commanded() && model.outgoing().len() < WAITING_MAX,
        }
    }

    fn do_line(&mut self, model: &mut Model, at: Moment, line: Vec<u8>) {
        self.lines += 1;
        let text = match String::from_utf8(line) {
            Ok(text) => text,
            Err(bytes) => return model.say(at, bytes.into_bytes()),
        };
        match parse(&text) {
            Ok(Line::Nothing) => {}
            Ok(Line::Say(text)) => model.say(at, text.into_bytes()),
            Ok(Line::Do(command)) => model.act(at, command),
            Err(why) => model.misunderstood(at, &why),
        }
    }

    fn is_hungry(&self, model: &Model) -> bool {
        let may = model.outgoing().len() < WAITING_MAX || self.is_typed;
        self.next.is_none() && may && !self.is_behind
    }
}

impl Front for Plain<'_> {
    fn news(&mut self, model: &Model, news: &News) -> Result<(), Failure> {
        let line = |view: &ViewName, number: &u64| {
            model.views().view(view).and_then(|view| view.log.entry(*number))
        };
        match news {
            News::Entry { view, number } => {
                if let Some(entry) = line(view, number).filter(|entry| !entry.is_sending()) {
                    self.print_entry(model, view, entry);
                }
            }
            News::Mark { view, number } => {
                if let Some(entry) = line(view, number) {
                    self.print_mark(model, view, entry)?;
                }
            }
            News::Older { view, numbers } => {
                for entry in numbers.iter().filter_map(|number| line(view, number)) {
                    self.print_entry(model, view, entry);
                }
            }
            News::Connection(text) => self.say("connection", text)?,
            News::NotDone(exit) => {
                self.refused.get_or_insert(*exit);
            }
            // There is no line to put it back into.
            News::Returned { content, is_shown, .. } => {
                self.refused.get_or_insert(Exit::Refused);
                if !is_shown {
                    self.print(&format!("-- it was: {}", words::shown(content)));
                }
            }
            News::Mention(_) => {}
        }
        Ok(())
    }

    fn show(&mut self, model: &Model, _now: Now) -> Result<(), Failure> {
        let is_asked =
            self.is_typed && self.voice.is_terminal() && self.input.descriptor().is_some();
        // What answers a command comes before the next prompt.
        let is_answered = !model.link().is_up() || !model.is_commanded();
        let is_over = self.fate.is_some() || model.has_ended();
        // What was typed or pasted meanwhile stands on the terminal already: the prompt comes behind the last of it.
        if is_asked && is_answered && !is_over && !self.has_prompt && !self.input.is_ready() {
            self.voice.prompt(&words::prompt(model));
            self.has_prompt = true;
        }
        self.is_behind = !self.voice.hand_out()?;
        Ok(())
    }

    fn is_behind(&self) -> bool {
        self.is_behind
    }

    fn watched(&self, model: &Model) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let wanted = if self.is_behind { PollFlags::POLLOUT } else { PollFlags::empty() };
        let signals = (self.signals.descriptor(), PollFlags::POLLIN);
        let mut watched = vec![(self.voice.descriptor(), wanted), signals];
        let input = self.input.descriptor().filter(|_| self.is_hungry(model));
        watched.extend(input.map(|fd| (fd, PollFlags::POLLIN)));
        watched
    }

    fn look(
        &mut self,
        model: &mut Model,
        ready: &[PollFlags],
        moment: &mut dyn FnMut() -> Moment,
    ) -> Result<(), Failure> {
        if ready.first().is_some_and(|flags| is_gone(*flags)) {
            return Err(Failure::quiet());
        }
        self.obey_signals(model, moment)?;
        if ready.get(2).is_some_and(|flags| !flags.is_empty()) {
            self.input.read().map_err(|error| Failure::file("stdin", &error))?;
            // Enter has ended the line of the prompt.
            self.has_prompt &= !self.is_typed;
        }
        while !self.is_behind && !model.has_ended() && self.fate.is_none() {
            let next = self.next.take().or_else(|| match self.input.take()? {
                Piece::Message(line) => Some(line),
                Piece::TooLong { bytes, .. } => {
                    self.refused.get_or_insert(Exit::LimitHit);
                    model.misunderstood(moment(), &format!("a line of {bytes} bytes is too long"));
                    Some(Vec::new())
                }
            });
            let Some(line) = next else { break };
            if !self.may_do(model, &line) {
                self.next = Some(line);
                break;
            }
            // A line that has waited may stand behind a prompt that it makes untrue.
            self.begin_line();
            self.do_line(model, moment(), line);
        }
        Ok(())
    }

    fn next(&self, model: &Model, now: Now) -> Option<Now> {
        if self.next.as_ref().is_some_and(|line| self.may_do(model, line)) {
            return Some(now);
        }
        self.next_end()
    }

    fn give_up(&mut self, model: &Model) {
        self.name_given_up(model);
    }

    fn ended(&mut self, model: &Model, now: Now) -> Result<Option<Exit>, Failure> {
        if model.has_ended() || self.fate.is_some() {
            return Ok(Some(self.status()));
        }
        // A name that can never be had is waited for in vain, unless the next line takes another; that line may be still to come.
        let is_open = self.input.descriptor().is_some();
        let mut is_held = self.next.is_some() && !model.link().was_up();
        if let (Phase::Held { next: None, why }, false) = (model.link().phase(), self.is_typed) {
            match &self.next {
                None if is_open => is_held = true,
                Some(line) if words::is_command(line) => {}
                None | Some(_) => {
                    return Err(Failure::new(Exit::Refused, "bad_nickname", why.clone()));
                }
            }
        }
        // The first line of a pipe waits for the first daemon, and no longer than for any other.
        if !is_open || is_held {
            return self.ended_behind_input(model, now);
        }
        self.goes_on();
        Ok(None)
    }
}
