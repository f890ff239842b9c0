//! The screen of `chatctl chat`: rooms and people, the messages of one view, the state of the talk, a line to type.
//!
//! It shows the model and decides nothing that is the model's. `draw` makes a picture of the model and of what the screen knows beside
//! it (`sight`); `paint` writes what changed of it; `keys` and `bind` say what a key is and does; `tty` has the terminal's own state.
//! Here these are joined with the standard streams and the signals.

mod bind;
mod draw;
mod flow;
mod keys;
mod line;
mod paint;
mod past;
mod side;
mod sight;
mod state;
mod theme;
mod tty;
mod words;

use super::front::Front;
use super::given_up;
use super::model::entry::Content;
use super::model::{Model, Moment, News};
use crate::clock;
use crate::failure::{Exit, Failure};
use crate::signals::Signals;
use crate::voice::{Voice, is_gone};
use draw::Scene;
use jiff::tz::TimeZone;
use keys::{Input, Keys};
use nix::errno::Errno;
use nix::poll::PollFlags;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use paint::Painter;
use proto::{Now, Span};
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::Rect;
use sight::{Deed, Sight};
use std::env;
use std::io::{self, IsTerminal, Stdin};
use std::os::fd::{AsFd, BorrowedFd};
use theme::Theme;
use tty::Tty;

/// More pictures a second nobody sees.
const FRAME_SPAN: Span = Span::from_millis(16);

/// A lone escape byte is the Escape key when nothing has followed it for so long.
const ESCAPE_SPAN: Span = Span::from_millis(50);

/// Whoever has typed so lately sees what comes to the view that is seen: no bell has to call them.
const PRESENT_SPAN: Span = Span::from_secs(60);

/// How much is read at once.
const READ_BYTES_MAX: usize = 16 << 10;

/// The largest picture that is drawn: past it something is wrong with the terminal.
const SCREEN_SIDE_MAX: u16 = 1_000;

/// Signals that the screen has to know of: those that end it, those that stop it and let it go on, and a change of the size.
const SIGNALS: [Signal; 6] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGTSTP,
    Signal::SIGCONT,
    Signal::SIGWINCH,
];

/// Whether there is a terminal to draw on.
pub fn is_possible() -> bool {
    let is_able = env::var("TERM").is_ok_and(|term| !term.is_empty() && term != "dumb");
    is_able && io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// The screen.
pub struct Screen<'a> {
    voice: &'a mut Voice,
    stdin: Stdin,
    tty: Tty,
    signals: Signals,
    /// The signal that is to end all.
    fate: Option<Signal>,
    keys: Keys,
    /// Since when a byte waits for others that may belong to it.
    open: Option<Now>,
    sight: Sight,
    painter: Painter,
    theme: Theme,
    zone: TimeZone,
    /// When the last picture was drawn.
    drawn: Option<Now>,
    /// Whether another one is owed.
    is_stale: bool,
    /// Whether somebody means us, and the bell has not rung yet.
    is_called: bool,
    /// When something was typed last.
    typed: Option<Now>,
    is_behind: bool,
    /// What is to be said once the terminal is given back.
    last_words: Vec<String>,
}

impl<'a> Screen<'a> {
    /// Takes the terminal.
    pub fn new(voice: &'a mut Voice) -> Result<Self, Failure> {
        let signals = Signals::of(&SIGNALS)?;
        signals.hold()?;
        let theme = Theme { colour: voice.is_coloured(), lines: is_utf8() };
        Ok(Self {
            voice,
            stdin: io::stdin(),
            tty: Tty::take()?,
            signals,
            fate: None,
            keys: Keys::default(),
            open: None,
            sight: Sight::default(),
            painter: Painter::default(),
            theme,
            zone: TimeZone::system(),
            drawn: None,
            is_stale: true,
            is_called: false,
            typed: None,
            is_behind: false,
            last_words: Vec::new(),
        })
    }

    /// Gives the terminal back. Where a signal is to end the process it does so within this call.
    pub fn leave(self) -> Result<(), Failure> {
        let _ = self.voice.hand_out();
        drop(self.tty);
        for line in &self.last_words {
            self.voice.say("not_sent", line);
        }
        self.fate.map_or(Ok(()), |signal| self.signals.obey(signal))
    }

    fn scene<'m>(&'m self, model: &'m Model, now: Now) -> Scene<'m> {
        let (sight, theme, zone) = (&self.sight, self.theme, self.zone.clone());
        Scene { model, sight, theme, zone, now }
    }

    fn draw(&mut self, model: &Model, now: Now) -> Result<(), Failure> {
        let mut buffer = Buffer::empty(area()?);
        let cursor = draw::draw(&self.scene(model, now), &mut buffer);
        let bytes = self.painter.paint(buffer, cursor).map_err(|error| failed(&error))?;
        self.voice.drawn(&bytes);
        if std::mem::take(&mut self.is_called) {
            self.voice.drawn(b"\x07");
        }
        (self.drawn, self.is_stale) = (Some(now), false);
        Ok(())
    }

    fn type_in(
        &mut self,
        model: &mut Model,
        inputs: Vec<Input>,
        moment: &mut dyn FnMut() -> Moment,
    ) -> Result<(), Failure> {
        let area = area()?;
        for input in inputs {
            let act = bind::bind(input, self.sight.mode());
            let (theme, zone) = (self.theme, self.zone.clone());
            let sheet = |model: &Model, sight: &Sight| {
                let now = clock::now();
                draw::sheet(&Scene { model, sight, theme, zone: zone.clone(), now }, area)
            };
            match self.sight.act(model, act, &sheet, moment) {
                None => {}
                Some(Deed::Redraw) => self.painter.forget(),
                Some(Deed::Suspend) => self.suspend()?,
                Some(Deed::Mouse) => self.tty.give_mouse(!self.sight.is_mouse_theirs())?,
            }
            if model.has_ended() {
                break;
            }
        }
        self.sight.tidy(model.views());
        Ok(())
    }

    fn read(&mut self) -> Result<Vec<Input>, Failure> {
        let mut bytes = vec![0; READ_BYTES_MAX];
        match nix::unistd::read(self.stdin.as_fd(), &mut bytes) {
            // Nobody is there any more.
            Ok(0) | Err(Errno::EIO) => Err(Failure::quiet()),
            Ok(count) => Ok(self.keys.feed(bytes.get(..count).unwrap_or_default())),
            Err(Errno::EINTR | Errno::EAGAIN) => Ok(Vec::new()),
            Err(errno) => Err(Failure::file("stdin", &errno.into())),
        }
    }

    fn obey_signals(&mut self) -> Result<(), Failure> {
        while let Some(signal) = self.signals.take()? {
            match signal {
                Signal::SIGWINCH => {}
                Signal::SIGTSTP => self.suspend()?,
                Signal::SIGCONT => self.come_back()?,
                signal => self.fate = Some(signal),
            }
        }
        Ok(())
    }

    /// Leaves the terminal to whoever stops us, and goes on when we are called back.
    fn suspend(&mut self) -> Result<(), Failure> {
        self.voice.flush()?;
        Tty::give_back()?;
        // With all of our group, as the terminal would. It comes while signals are let go.
        let _ = kill(Pid::from_raw(0), Signal::SIGTSTP);
        self.signals.let_go()?;
        self.signals.hold()?;
        self.come_back()
    }

    fn come_back(&mut self) -> Result<(), Failure> {
        self.tty.take_again()?;
        self.painter.forget();
        Ok(())
    }
}

/// The screen's size; one that is not known is that of the first terminals.
fn area() -> Result<Rect, Failure> {
    let (width, height) = crossterm::terminal::size().map_err(|error| failed(&error))?;
    Ok(Rect::new(0, 0, width.min(SCREEN_SIDE_MAX), height.min(SCREEN_SIDE_MAX)))
}

/// Whether the bell rings for something that means us, in the view that is seen or in another one.
fn rings(is_seen: bool, typed: Option<Now>, now: Now) -> bool {
    let is_present = typed.is_some_and(|typed| now.since(typed) < PRESENT_SPAN);
    !(is_seen && is_present)
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Exit::Refused, "terminal", format!("the terminal: {error}"))
}

/// Whether the terminal takes UTF-8, by what the environment says of it; where it says nothing it does.
fn is_utf8() -> bool {
    let of = |name: &str| env::var(name).ok().filter(|value| !value.is_empty());
    let locale = of("LC_ALL").or_else(|| of("LC_CTYPE")).or_else(|| of("LANG"));
    let is = |locale: String| {
        let locale = locale.to_lowercase();
        locale.contains("utf-8") || locale.contains("utf8")
    };
    locale.is_none_or(is)
}

impl Front for Screen<'_> {
    fn news(&mut self, model: &Model, news: &News) -> Result<(), Failure> {
        match news {
            News::Returned { view, content: Content::Text(text), .. } => {
                self.sight.give_back(view, text);
            }
            News::Mention(view) => {
                let is_seen = view == model.views().focus();
                self.is_called |= rings(is_seen, self.typed, clock::now());
            }
            News::Returned { content: Content::Data(_), .. }
            | News::Entry { .. }
            | News::Mark { .. }
            | News::Older { .. }
            | News::Connection(_)
            | News::NotDone(_) => {}
        }
        Ok(())
    }

    fn show(&mut self, model: &Model, now: Now) -> Result<(), Failure> {
        self.is_behind = !self.voice.hand_out()?;
        let is_due = self.drawn.is_none_or(|drawn| now.since(drawn) >= FRAME_SPAN);
        self.is_stale = true;
        if is_due && !self.is_behind {
            self.draw(model, now)?;
            self.is_behind = !self.voice.hand_out()?;
        }
        Ok(())
    }

    fn is_behind(&self) -> bool {
        self.is_behind
    }

    fn watched(&self, _model: &Model) -> Vec<(BorrowedFd<'_>, PollFlags)> {
        let wanted = if self.is_behind { PollFlags::POLLOUT } else { PollFlags::empty() };
        vec![
            (self.voice.descriptor(), wanted),
            (self.stdin.as_fd(), PollFlags::POLLIN),
            (self.signals.descriptor(), PollFlags::POLLIN),
        ]
    }

    fn look(
        &mut self,
        model: &mut Model,
        ready: &[PollFlags],
        moment: &mut dyn FnMut() -> Moment,
    ) -> Result<(), Failure> {
        let came = |number: usize| ready.get(number).is_some_and(|flags| !flags.is_empty());
        if came(2) {
            self.obey_signals()?;
        }
        // Who closes a terminal sends HUP, too: that is what ends us then.
        if ready.first().is_some_and(|flags| is_gone(*flags)) && self.fate.is_none() {
            return Err(Failure::quiet());
        }
        let now = clock::now();
        let mut inputs = Vec::new();
        if came(1) && self.fate.is_none() {
            inputs = self.read()?;
            self.typed = Some(now);
            self.open = self.keys.is_open().then_some(now);
        } else if self.open.is_some_and(|open| now.since(open) >= ESCAPE_SPAN) {
            inputs = self.keys.settle();
            self.open = None;
        }
        self.type_in(model, inputs, moment)
    }

    fn next(&self, model: &Model, now: Now) -> Option<Now> {
        let frame = self.drawn.filter(|_| self.is_stale && !self.is_behind);
        let frame = frame.map(|drawn| drawn.after(FRAME_SPAN));
        let open = self.open.map(|open| open.after(ESCAPE_SPAN));
        // A second less to count down from.
        let second = model.link().next().map(|next| {
            let left = next.since(now).as_micros();
            let part = left % 1_000_000;
            now.after(Span::from_micros(if part == 0 { left.min(1_000_000) } else { part }))
        });
        [frame, open, second].into_iter().flatten().min()
    }

    fn give_up(&mut self, model: &Model) {
        self.last_words = given_up::words(model.outgoing().contents());
    }

    fn ended(&mut self, model: &Model, _now: Now) -> Result<Option<Exit>, Failure> {
        Ok((model.has_ended() || self.fate.is_some()).then_some(Exit::Done))
    }
}

#[cfg(test)]
mod tests;
