//! How the line client ends: with its input, by INT, by another signal, or as the person said.
//!
//! What was typed is waited for behind the end of the input, and behind INT, which is such an end: as long as something comes
//! forward. What is given up then is named.

use super::{Plain, words};
use crate::chat::command::Command;
use crate::chat::given_up;
use crate::chat::model::{Model, Moment, Phase};
use crate::failure::{Exit, Failure};
use crate::moments;
use nix::sys::signal::Signal;
use proto::{Now, Span};

/// A daemon that is there answers before anybody wonders; past that a person is told what is waited for.
const PATIENCE_SPAN: Span = Span::from_secs(1);

/// What is waited for at the end.
#[derive(Debug, Default)]
pub(super) struct Ending {
    /// INT, where it ends all once what waits is sent or given up.
    parting: Option<Signal>,
    /// After the end of stdin: how far all was when it last came forward, and when that was.
    left: Option<(Progress, Now)>,
    /// Whether the person was told what is waited for, where there is one to be told.
    is_told: bool,
}

/// How far all is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Progress {
    lines: u64,
    unsent: usize,
    is_up: bool,
}

impl Plain<'_> {
    /// INT ends the talk first, or else the input where something waits to be sent; whoever does not want to wait for that says so
    /// with another one.
    pub(super) fn obey_signals(
        &mut self,
        model: &mut Model,
        moment: &mut dyn FnMut() -> Moment,
    ) -> Result<(), Failure> {
        while let Some(signal) = self.signals.take()? {
            let is_interrupt = signal == Signal::SIGINT;
            if is_interrupt && model.talk().wish().is_some() {
                model.act(moment(), Command::Quit);
            } else if is_interrupt && self.input.descriptor().is_some() && self.unsent(model) > 0 {
                self.input.stop();
                self.ending = Ending { parting: Some(signal), ..Ending::default() };
            } else {
                self.fate = Some(signal);
            }
        }
        Ok(())
    }

    /// Lines that have been read and are still to be said.
    fn unsaid(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.next.iter().map(Vec::as_slice).chain(self.input.waiting());
        lines.filter(|line| !line.is_empty() && !words::is_command(line))
    }

    fn unsent(&self, model: &Model) -> usize {
        model.outgoing().len() + self.unsaid().count()
    }

    /// When it is to be looked whether all has ended.
    pub(super) fn next_end(&self) -> Option<Now> {
        let (_, since) = self.ending.left?;
        let told = Some(since.after(PATIENCE_SPAN)).filter(|_| !self.ending.is_told);
        [Some(since.after(self.timeout)), told].into_iter().flatten().min()
    }

    /// The end of stdin: all is done, or nothing has come forward for too long.
    pub(super) fn ended_behind_input(
        &mut self,
        model: &Model,
        now: Now,
    ) -> Result<Option<Exit>, Failure> {
        let unsent = self.unsent(model);
        let is_done = self.input.is_done() && self.next.is_none() && model.is_settled();
        // Who types waits for nothing but that, and who interrupts does not, either.
        let is_left = self.ending.parting.is_some() || (self.is_typed && !model.link().is_up());
        if is_done || (is_left && unsent == 0) {
            return Ok(Some(self.part()));
        }
        let progress = Progress {
            lines: self.lines,
            unsent: model.outgoing().len(),
            is_up: model.link().is_up(),
        };
        let (_, since) = *match &self.ending.left {
            Some(left) if left.0 == progress => left,
            _ => self.ending.left.insert((progress, now)),
        };
        if now.since(since) < self.timeout {
            self.tell_waiting(model, unsent, now.since(since))?;
            return Ok(None);
        }
        let failure = self.in_vain(model, unsent);
        if self.ending.parting.is_none() {
            return Err(failure);
        }
        self.say(&failure.code, &failure.message)?;
        Ok(Some(self.part()))
    }

    /// The status, or the signal that is to end the process in its place.
    fn part(&mut self) -> Exit {
        self.fate = self.fate.or(self.ending.parting);
        self.status()
    }

    /// A person is told what is waited for.
    fn tell_waiting(&mut self, model: &Model, unsent: usize, waited: Span) -> Result<(), Failure> {
        let is_asked = self.is_typed || self.ending.parting.is_some();
        let is_long = !model.link().is_up() || waited >= PATIENCE_SPAN;
        if !is_long || std::mem::replace(&mut self.ending.is_told, true) {
            return Ok(());
        }
        if unsent == 0 || !is_asked {
            return Ok(());
        }
        let most = moments::span_shown(self.timeout.as_micros());
        let text = format!(
            "{unsent} not sent yet: waiting up to {most} for the daemon; Ctrl-C gives it up"
        );
        self.say("waiting", &text)
    }

    /// Why nothing comes forward.
    fn in_vain(&self, model: &Model, unsent: usize) -> Failure {
        let waited = moments::span_shown(self.timeout.as_micros());
        let with_rest = |why: &str| match unsent {
            0 => why.to_owned(),
            _ => format!("{} Not all was sent.", words::sentence(why)),
        };
        match model.link().phase() {
            Phase::Held { why, .. } => {
                Failure::new(Exit::Refused, "nickname_in_use", with_rest(why))
            }
            Phase::Away { why, .. } => Failure::unreachable(with_rest(why)),
            Phase::Calling => {
                Failure::unreachable(with_rest(&format!("no daemon within {waited}")))
            }
            Phase::Greeting | Phase::Up => {
                Failure::timed_out(with_rest(&format!("no answer within {waited}")))
            }
        }
    }

    /// It is not waited for an end any more: the first line of a pipe has found its daemon.
    pub(super) fn goes_on(&mut self) {
        self.ending = Ending::default();
    }

    /// What is to be said of lines that could not be done: a script is told, who types has seen it.
    pub(super) fn status(&self) -> Exit {
        self.refused.filter(|_| !self.is_typed).unwrap_or(Exit::Done)
    }

    /// Names what was not sent and will not be. What stands behind a `/quit` was not to be said.
    pub(super) fn name_given_up(&mut self, model: &Model) {
        let has_quit = model.has_ended();
        let unsaid = self.unsaid().filter(|_| !has_quit).map(|line| (line, false));
        for line in given_up::words(model.outgoing().contents().chain(unsaid)) {
            // Where stdout is gone stderr may be heard.
            let _ = self.say("not_sent", &line);
        }
    }
}
