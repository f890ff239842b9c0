//! The screen as a picture: a pure function of the model, of what the screen knows beside it, and of the size.
//!
//! From top to bottom: the title of the view that is seen; rooms and people to the left of its messages, where there is room; what
//! is to be known of the connection, or answered; the state of the talk; the line that is typed.

use super::flow::{self, Flow, Row, cut, width};
use super::past::{Paper, Past};
use super::side;
use super::sight::{Over, Sheet, Sight};
use super::state;
use super::theme::{Ink, Theme};
use super::words;
use crate::chat::model::Model;
use crate::visible;
use jiff::tz::TimeZone;
use proto::Now;
use ratatui_core::buffer::Buffer;
use ratatui_core::layout::{Position, Rect};

/// Narrower screens have no list of rooms and people.
const LIST_SCREEN_COLUMNS: u16 = 64;

/// The list's columns, and those on a wide screen.
const LIST_COLUMNS: u16 = 18;
const LIST_COLUMNS_WIDE: u16 = 26;
const WIDE_SCREEN_COLUMNS: u16 = 120;

/// So many rows a word about the connection, or a question, may take.
const BANNER_ROWS_MAX: usize = 3;

/// Stands where more was said than there is room for.
pub(super) const CUT: &str = "...";

/// Of a nickname so much stands before the line that is typed.
const PROMPT_COLUMNS_MAX: usize = 16;

const _: () =
    assert!(LIST_COLUMNS < LIST_SCREEN_COLUMNS && LIST_COLUMNS_WIDE < WIDE_SCREEN_COLUMNS);

/// All that is drawn.
pub(super) struct Scene<'a> {
    /// What there is.
    pub(super) model: &'a Model,
    /// What the screen knows beside it.
    pub(super) sight: &'a Sight,
    /// How it looks.
    pub(super) theme: Theme,
    /// In whose time.
    pub(super) zone: TimeZone,
    /// The present, to count down to the next try.
    pub(super) now: Now,
}

/// Where everything is.
struct Places {
    title: Rect,
    list: Rect,
    messages: Rect,
    banner: Rect,
    state: Rect,
    line: Rect,
}

/// A picture that is being drawn.
pub(super) struct Canvas<'a> {
    pub(super) buffer: &'a mut Buffer,
    pub(super) theme: Theme,
}

impl Canvas<'_> {
    /// Writes a row from the left of this area, as far as it is wide, into its row of this number.
    pub(super) fn row(&mut self, area: Rect, number: usize, row: &Row) {
        let Some(y) = u16::try_from(number).ok().filter(|number| *number < area.height) else {
            return;
        };
        let mut x = area.x;
        for (text, ink) in row {
            let room = usize::from(area.right().saturating_sub(x));
            let style = self.theme.style(*ink);
            (x, _) = self.buffer.set_stringn(x, area.y + y, text, room, style);
        }
    }

    /// Gives the whole area the look of this ink.
    pub(super) fn fill(&mut self, area: Rect, ink: Ink) {
        self.buffer.set_style(area, self.theme.style(ink));
    }
}

/// Draws it into the buffer, all of it; where the cursor is.
pub(super) fn draw(scene: &Scene<'_>, buffer: &mut Buffer) -> Option<Position> {
    let area = buffer.area;
    let typing = Typing::new(scene, area);
    let banner = banner(scene, usize::from(area.width));
    let places = places(area, banner.len(), typing.rows.len());
    let mut canvas = Canvas { buffer, theme: scene.theme };
    title(scene, &mut canvas, places.title);
    if places.list.width > 0 {
        side::draw(scene, &mut canvas, places.list);
    }
    let is_oldest = messages(scene, &mut canvas, places.messages);
    canvas.fill(places.banner, Ink::Alert);
    for (number, row) in banner.iter().enumerate() {
        canvas.row(places.banner, number, row);
    }
    state::draw(scene, &mut canvas, places.state, places.list.width > 0, is_oldest);
    typing.draw(&mut canvas, places.line)
}

/// What a key needs to know of a screen of this size.
pub(super) fn sheet(scene: &Scene<'_>, area: Rect) -> Sheet {
    let typing = Typing::new(scene, area);
    let banner = banner(scene, usize::from(area.width));
    let messages = places(area, banner.len(), typing.rows.len()).messages;
    let paper = paper(scene, messages);
    let help = words::help(paper.columns).len();
    Sheet { paper, height: usize::from(messages.height), help }
}

fn paper(scene: &Scene<'_>, messages: Rect) -> Paper {
    let columns = usize::from(messages.width).max(1);
    Paper { columns, zone: scene.zone.clone(), level: scene.theme.level() }
}

/// Shares the rows out; where there are few, the line that is typed has its row first, then the state of the talk, then the messages.
fn places(area: Rect, banner: usize, typed: usize) -> Places {
    let wanted = |rows: usize| u16::try_from(rows).unwrap_or(u16::MAX);
    let line = area.height.min(1);
    let state = (area.height - line).min(1);
    let left = area.height - line - state;
    let banner = wanted(banner).min(left.saturating_sub(1));
    let title = (left - banner).saturating_sub(2).min(1);
    let left = left - banner - title;
    let more = wanted(typed.saturating_sub(1)).min(area.height / 3).min(left.saturating_sub(2));
    let (line, messages) = (line + more, left - more);
    let list = match area.width {
        ..LIST_SCREEN_COLUMNS => 0,
        LIST_SCREEN_COLUMNS..WIDE_SCREEN_COLUMNS => LIST_COLUMNS,
        WIDE_SCREEN_COLUMNS.. => LIST_COLUMNS_WIDE,
    };
    // Between the list and the messages there is a stroke.
    let beside = if list > 0 { list + 1 } else { 0 };
    let mut y = area.y;
    let mut next = |height: u16| {
        let rect = Rect { x: area.x, y, width: area.width, height };
        y += height;
        rect
    };
    let (title, middle) = (next(title), next(messages));
    let (banner, state, line) = (next(banner), next(state), next(line));
    let messages = Rect { x: area.x + beside, width: area.width - beside, ..middle };
    Places { title, list: Rect { width: list, ..middle }, messages, banner, state, line }
}

fn title(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) {
    canvas.fill(area, Ink::Bar);
    let columns = usize::from(area.width);
    let right = words::whereabouts(scene.model);
    let right = if columns < 3 * width(&right) { String::new() } else { right };
    let left = cut(&words::title(scene.model), columns.saturating_sub(width(&right) + 1));
    canvas.row(area, 0, &vec![(left, Ink::Bar)]);
    let x = area.right().saturating_sub(u16::try_from(width(&right)).unwrap_or(0));
    let area = Rect { x, width: area.right() - x, ..area };
    canvas.row(area, 0, &vec![(right, Ink::Bar)]);
}

/// What was said, or the help; whether the oldest row that is here is seen.
fn messages(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) -> bool {
    let height = usize::from(area.height);
    let paper = paper(scene, area);
    let views = scene.model.views();
    let (rows, is_oldest) = match (scene.sight.over(), views.view(views.focus())) {
        (Over::Help(top), _) => {
            (words::help(paper.columns).into_iter().skip(*top).take(height).collect(), false)
        }
        (_, Some(view)) => Past::new(view, &paper).seen(scene.sight.place(views), height),
        (_, None) => (Vec::new(), true),
    };
    for (number, row) in rows.iter().enumerate() {
        canvas.row(area, number, row);
    }
    is_oldest
}

/// What is to be answered or known of the connection, in rows.
fn banner(scene: &Scene<'_>, columns: usize) -> Vec<Row> {
    let asked = match scene.sight.over() {
        Over::Pasted(text, is_cut) => Some(words::pasted(text, *is_cut)),
        Over::Nothing | Over::Help(_) => None,
    };
    let is_asked = asked.is_some();
    let flowing = |words: &str| {
        let mut flow = Flow::new(columns, 0);
        flow.put(&visible::line(words), Ink::Alert);
        flow.rows()
    };
    let of_connection = |has_advice: bool| words::connection(scene.model, scene.now, has_advice);
    let Some(words) = asked.or_else(|| of_connection(true)) else {
        return Vec::new();
    };
    let mut rows = flowing(&words);
    if rows.len() > BANNER_ROWS_MAX && !is_asked {
        rows = of_connection(false).map_or(rows, |words| flowing(&words));
    }
    if rows.len() > BANNER_ROWS_MAX {
        rows.truncate(BANNER_ROWS_MAX);
        let last = rows.pop().unwrap_or_default();
        let last: String = last.into_iter().map(|(text, _)| text).collect();
        let last = cut(last.trim_end(), columns.saturating_sub(CUT.len()));
        rows.push(vec![(last + CUT, Ink::Alert)]);
    }
    rows
}

/// The line that is typed, in rows.
struct Typing {
    prompt: String,
    rows: Vec<String>,
    cursor: (usize, usize),
}

impl Typing {
    fn new(scene: &Scene<'_>, area: Rect) -> Self {
        let columns = usize::from(area.width);
        let nick = visible::line(scene.model.nick().unwrap_or("you"));
        let nick = cut(&nick, PROMPT_COLUMNS_MAX.min(columns / 3));
        let prompt = if columns < 8 { String::new() } else { format!("{nick}> ") };
        let line = scene.sight.line(scene.model.views());
        let (rows, cursor) =
            flow::typed(line.text(), line.cursor(), columns.saturating_sub(width(&prompt)));
        Self { prompt, rows, cursor }
    }

    /// Draws the rows around the cursor; where that is.
    fn draw(&self, canvas: &mut Canvas<'_>, area: Rect) -> Option<Position> {
        let height = usize::from(area.height);
        if height == 0 {
            return None;
        }
        let first = (self.cursor.0 + 1).saturating_sub(height);
        let indent = u16::try_from(width(&self.prompt)).unwrap_or(0);
        canvas.row(area, 0, &vec![(self.prompt.clone(), Ink::Faint)]);
        let x = area.x + indent.min(area.width);
        let rest = Rect { x, width: area.right() - x, ..area };
        for (number, row) in self.rows.iter().skip(first).take(height).enumerate() {
            canvas.row(rest, number, &vec![(row.clone(), Ink::Plain)]);
        }
        let column = rest.x.checked_add(u16::try_from(self.cursor.1).ok()?)?;
        let row = area.y.checked_add(u16::try_from(self.cursor.0 - first).ok()?)?;
        let is_there = column < area.right() && row < area.bottom();
        is_there.then_some(Position { x: column, y: row })
    }
}
