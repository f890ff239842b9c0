//! What the screen knows beside the model: the lines that are typed, where somebody reads, what lies over the messages. And what a
//! key does to it and to the model.
//!
//! It draws nothing and knows no terminal; how many rows and columns the messages have it is told.

use super::bind::{Act, Answer, Mode, Scroll};
use super::line::{Edit, Line, Reach};
use super::past::{Paper, Past, Place};
use crate::chat::command::{self, Command};
use crate::chat::model::{Model, Moment, Phase, ViewName, Views};
use std::collections::{BTreeMap, VecDeque};

/// So many typed lines are remembered.
const REMEMBERED_MAX: usize = 500;

/// Turning the wheel by a notch scrolls so many rows.
const WHEEL_ROWS: usize = 3;

/// Of what is read, so many rows stay when a whole screen is scrolled.
const KEPT_ROWS: usize = 1;

/// What the screen knows.
#[derive(Debug, Default)]
pub(super) struct Sight {
    /// What is typed, by view: whoever goes elsewhere finds it again.
    lines: BTreeMap<ViewName, Line>,
    /// Where somebody reads, in the view that is seen; none is at the newest. Elsewhere that is forgotten.
    place: Option<(ViewName, Place)>,
    killed: String,
    recall: Recall,
    completing: Option<Completing>,
    over: Over,
    /// Whether the mouse is the terminal's.
    is_mouse_theirs: bool,
}

/// What lies over the messages, or is asked.
#[derive(Debug, Default)]
pub(super) enum Over {
    /// Nothing.
    #[default]
    Nothing,
    /// The help, from this row on.
    Help(usize),
    /// What to do with this paste, of which there may have been more.
    Pasted(String, bool),
}

/// What was typed before.
#[derive(Debug, Default)]
struct Recall {
    lines: VecDeque<String>,
    /// Which of them stands in the line of this view, and what was typed there instead.
    at: Option<(ViewName, usize, Line)>,
}

/// A word that is being completed.
#[derive(Debug)]
pub(super) struct Completing {
    from: usize,
    /// What could stand there.
    pub(super) candidates: Vec<String>,
    /// Which of them stands there.
    pub(super) at: usize,
}

/// What is left to do for whoever has the terminal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Deed {
    /// All is to be drawn anew.
    Redraw,
    /// The terminal is to be left until we are called back.
    Suspend,
    /// The mouse is the terminal's now, or ours.
    Mouse,
}

/// How the messages are shown.
#[derive(Clone, Debug)]
pub(super) struct Sheet {
    /// Their paper.
    pub(super) paper: Paper,
    /// How many rows of them are seen.
    pub(super) height: usize,
    /// How many rows the help has.
    pub(super) help: usize,
}

impl Sight {
    /// The line that is typed in the view that is seen.
    pub(super) fn line(&self, views: &Views) -> Line {
        self.lines.get(views.focus()).cloned().unwrap_or_default()
    }

    /// Where somebody reads in the view that is seen.
    pub(super) fn place(&self, views: &Views) -> Option<Place> {
        let here = self.place.as_ref().filter(|(view, _)| view == views.focus());
        here.map(|(_, place)| *place)
    }

    /// What lies over the messages.
    pub(super) fn over(&self) -> &Over {
        &self.over
    }

    /// The word that is being completed, where there is a choice.
    pub(super) fn completing(&self) -> Option<&Completing> {
        self.completing.as_ref().filter(|completing| completing.candidates.len() > 1)
    }

    /// Whether the mouse is the terminal's.
    pub(super) fn is_mouse_theirs(&self) -> bool {
        self.is_mouse_theirs
    }

    /// What keys mean now.
    pub(super) fn mode(&self) -> Mode {
        match self.over {
            Over::Nothing => Mode::Typing,
            Over::Help(_) => Mode::Helping,
            Over::Pasted(..) => Mode::Asking,
        }
    }

    /// What could not be sent belongs back into its line; where something else is typed there by now it is remembered.
    pub(super) fn give_back(&mut self, view: &ViewName, text: &str) {
        let line = self.lines.entry(view.clone()).or_default();
        if line.is_empty() {
            *line = Line::of(text);
        } else {
            self.recall.remember(text);
        }
    }

    /// Forgets what belongs to views that are gone.
    pub(super) fn tidy(&mut self, views: &Views) {
        self.lines.retain(|view, line| !line.is_empty() && views.view(view).is_some());
    }

    /// Does what a key stands for; `sheet` says how the messages are shown, where that matters.
    pub(super) fn act(
        &mut self,
        model: &mut Model,
        act: Act,
        sheet: &dyn Fn(&Model, &Self) -> Sheet,
        moment: &mut dyn FnMut() -> Moment,
    ) -> Option<Deed> {
        if !matches!(act, Act::Complete(_)) {
            self.completing = None;
        }
        match act {
            Act::Nothing => {}
            Act::Edit(edit) => self.edit(model, &edit),
            Act::Submit => self.submit(model, moment()),
            Act::Complete(on) => self.complete(model, on),
            Act::Recall(on) => self.recall(model, on),
            Act::Scroll(scroll) => {
                let sheet = sheet(model, self);
                self.scroll(model, moment(), scroll, &sheet);
            }
            Act::See(number) => {
                let name = model.views().iter().nth(number.saturating_sub(1));
                go(model, name.map(|(name, _)| name.clone()));
            }
            Act::Turn(on) => go(model, neighbour(model.views(), on)),
            Act::NextActive => go(model, model.views().next_active().cloned()),
            Act::Interrupt => self.interrupt(model, moment()),
            Act::End if self.line(model.views()).is_empty() => {
                model.act(moment(), Command::Quit);
            }
            Act::End => self.edit(model, &Edit::Delete(Reach::Right)),
            Act::Reconnect => {
                let waits = matches!(model.link().phase(), Phase::Away { .. } | Phase::Held { .. });
                if waits {
                    model.act(moment(), Command::Reconnect);
                }
            }
            Act::Redraw => return Some(Deed::Redraw),
            Act::Suspend => return Some(Deed::Suspend),
            Act::Help => {
                let is_open = matches!(self.over, Over::Help(_));
                self.over = if is_open { Over::Nothing } else { Over::Help(0) };
            }
            Act::Mouse => {
                self.is_mouse_theirs = !self.is_mouse_theirs;
                return Some(Deed::Mouse);
            }
            Act::Paste(text, is_cut) => self.paste(model, text, is_cut),
            Act::Answer(answer) => self.answer(model, answer, moment),
            Act::Cancel => {
                self.over = Over::Nothing;
                self.read_at(model, None);
            }
        }
        None
    }

    /// Changes the line that is typed, or moves in it; what lies over the messages goes.
    fn edit(&mut self, model: &Model, edit: &Edit) {
        self.over = Over::Nothing;
        let line = self.lines.entry(model.views().focus().clone()).or_default();
        line.edit(edit, &mut self.killed);
    }

    fn submit(&mut self, model: &mut Model, at: Moment) {
        let view = model.views().focus().clone();
        let line = self.lines.remove(&view).unwrap_or_default();
        let text = line.text();
        match command::parse(text) {
            Ok(command::Line::Nothing) => return,
            Ok(command::Line::Do(Command::Help(None))) => self.over = Over::Help(0),
            Ok(command::Line::Do(command)) => model.act(at, command),
            Ok(command::Line::Say(said)) => model.say(at, said.into_bytes()),
            Err(why) => {
                // It is put right and sent again, or forgotten.
                model.misunderstood(at, &why);
                self.lines.insert(view.clone(), line.clone());
            }
        }
        self.recall.remember(text);
        self.read_at(model, None);
    }

    fn interrupt(&mut self, model: &mut Model, at: Moment) {
        let view = model.views().focus().clone();
        let is_typed = self.lines.get(&view).is_some_and(|line| !line.is_empty());
        if is_typed && !model.talk().is_on() {
            let line = self.lines.remove(&view).unwrap_or_default();
            self.recall.remember(line.text());
        } else {
            model.act(at, Command::Quit);
        }
    }

    fn complete(&mut self, model: &Model, on: bool) {
        let line = self.lines.entry(model.views().focus().clone()).or_default();
        let completing = match &mut self.completing {
            Some(completing) => {
                let count = completing.candidates.len();
                let step = if on { 1 } else { count - 1 };
                completing.at = (completing.at + step) % count;
                completing
            }
            none => {
                let found = command::complete(line.text(), line.cursor(), model);
                if found.candidates.is_empty() {
                    return;
                }
                let at = if on { 0 } else { found.candidates.len() - 1 };
                none.insert(Completing { from: found.from, candidates: found.candidates, at })
            }
        };
        assert!(completing.at < completing.candidates.len(), "one of them stands there");
        if let Some(candidate) = completing.candidates.get(completing.at) {
            line.replace(completing.from, candidate);
        }
    }

    fn recall(&mut self, model: &Model, on: bool) {
        let view = model.views().focus();
        let line = self.lines.entry(view.clone()).or_default();
        self.recall.go(view, line, on);
    }

    fn scroll(&mut self, model: &mut Model, at: Moment, scroll: Scroll, sheet: &Sheet) {
        let page = sheet.height.saturating_sub(KEPT_ROWS).max(1);
        if let Over::Help(top) = &mut self.over {
            let most = sheet.help.saturating_sub(sheet.height);
            *top = match scroll {
                Scroll::PageUp => top.saturating_sub(page),
                Scroll::Up => top.saturating_sub(1),
                Scroll::PageDown => *top + page,
                Scroll::Down => *top + 1,
                Scroll::Oldest => 0,
                Scroll::Newest => most,
            }
            .min(most);
            return;
        }
        let Some(view) = model.views().view(model.views().focus()) else { return };
        let past = Past::new(view, &sheet.paper);
        let place = self.place(model.views());
        let moved = |rows, back| past.moved(place, sheet.height, rows, back);
        let (place, wants_older) = match scroll {
            Scroll::PageUp => moved(page, true),
            Scroll::PageDown => moved(page, false),
            Scroll::Up => moved(WHEEL_ROWS, true),
            Scroll::Down => moved(WHEEL_ROWS, false),
            Scroll::Oldest => (past.oldest(sheet.height), true),
            Scroll::Newest => (None, false),
        };
        self.read_at(model, place);
        if wants_older {
            model.want_older(at);
        }
    }

    fn read_at(&mut self, model: &mut Model, place: Option<Place>) {
        model.read_back(place.is_some());
        self.place = place.map(|place| (model.views().focus().clone(), place));
    }

    /// A line is as if it was typed; several are asked about.
    fn paste(&mut self, model: &Model, text: String, is_cut: bool) {
        let bare = text.strip_suffix('\n').unwrap_or(&text);
        if bare.contains('\n') || is_cut {
            self.over = Over::Pasted(text, is_cut);
        } else {
            self.edit(model, &Edit::Insert(bare.to_owned()));
        }
    }

    fn answer(&mut self, model: &mut Model, answer: Answer, moment: &mut dyn FnMut() -> Moment) {
        let Over::Pasted(text, _) = std::mem::take(&mut self.over) else { return };
        let text = text.strip_suffix('\n').unwrap_or(&text);
        match answer {
            Answer::Insert => {
                // At the beginning of a line it would be taken for a command.
                let is_first = self.line(model.views()).cursor() == 0;
                let slash = if is_first && text.starts_with('/') { "/" } else { "" };
                self.edit(model, &Edit::Insert(format!("{slash}{text}")));
            }
            Answer::ByLine => {
                // What is typed already stays: it is no part of the paste, and nothing pasted is a command.
                for line in text.split('\n').filter(|line| !line.is_empty()) {
                    model.say(moment(), line.as_bytes().to_vec());
                }
            }
            Answer::Forget => {}
        }
    }
}

impl Recall {
    fn remember(&mut self, text: &str) {
        self.at = None;
        if self.lines.back().is_some_and(|last| last == text) || text.is_empty() {
            return;
        }
        if self.lines.len() == REMEMBERED_MAX {
            self.lines.pop_front();
        }
        self.lines.push_back(text.to_owned());
        assert!(self.lines.len() <= REMEMBERED_MAX, "what is remembered is limited");
    }

    fn go(&mut self, view: &ViewName, line: &mut Line, on: bool) {
        let (here, typed) = match self.at.take().filter(|(of, ..)| of == view) {
            Some((_, at, typed)) => (at, typed),
            None => (self.lines.len(), line.clone()),
        };
        let to = if on { here + 1 } else { here.saturating_sub(1) };
        match self.lines.get(to) {
            Some(text) => {
                *line = Line::of(text.clone());
                self.at = Some((view.clone(), to, typed));
            }
            None => *line = typed,
        }
    }
}

fn go(model: &mut Model, view: Option<ViewName>) {
    if let Some(view) = view {
        model.see(&view);
    }
}

/// The view after the one that is seen, or before it; round and round.
fn neighbour(views: &Views, on: bool) -> Option<ViewName> {
    let all: Vec<_> = views.iter().map(|(name, _)| name).collect();
    let here = all.iter().position(|name| *name == views.focus())?;
    let step = if on { 1 } else { all.len() - 1 };
    all.get((here + step) % all.len()).map(|name| (*name).clone())
}
