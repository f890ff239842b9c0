//! The row above the line that is typed: the state of the talk, what else is to be known at any time, and what is unread elsewhere
//! where no list says so.
//!
//! Where it is too narrow for all, what is unread keeps its place, and the rest has fewer words. What the words are is in `words`.

use super::draw::{CUT, Canvas, Scene};
use super::flow::{Row, cut, width};
use super::theme::Ink;
use super::words;
use crate::chat::model::{Older, TalkState, Turn};
use crate::visible;
use ratatui_core::layout::Rect;

/// Draws it; with what is unread elsewhere, where no list says so.
pub(super) fn draw(
    scene: &Scene<'_>,
    canvas: &mut Canvas<'_>,
    area: Rect,
    has_list: bool,
    is_oldest: bool,
) {
    let columns = usize::from(area.width);
    if let Some(completing) = scene.sight.completing() {
        let row = words::candidates(completing, columns);
        return canvas.row(area, 0, &row);
    }
    let mut parts = parts(scene, is_oldest);
    let stroke = scene.theme.level();
    let head = format!("{stroke}{stroke} ");
    let said = |parts: &[Part]| {
        let parts = parts.iter().filter_map(|part| Some((part.forms.first()?.clone(), part.ink)));
        beside(parts.filter(|(text, _)| !text.is_empty()))
    };
    // What is unread elsewhere has what the shortest forms leave, and half of the row at least.
    let least: Vec<_> = parts.iter().map(Part::shortest).collect();
    let least = (width(&head) + columns_of(&said(&least))).min(columns / 2);
    let room = columns.saturating_sub(least + words::BETWEEN.len());
    let marks = if has_list { Vec::new() } else { words::active(scene.model, room) };
    let marks: Row = marks.into_iter().flat_map(|mark| [between(), mark]).collect();
    let room = columns.saturating_sub(columns_of(&marks) + width(&head));
    while columns_of(&said(&parts)) > room {
        // Of those that can be shortened most, the last one.
        let longest = parts.iter_mut().max_by_key(|part| part.forms.len());
        let Some(part) = longest.filter(|part| part.forms.len() > 1) else { break };
        part.forms.remove(0);
    }
    let ink = parts.first().map_or(Ink::State, |part| part.ink);
    let mut row = vec![(head, ink)];
    row.extend(cut_row(said(&parts), room));
    row.extend(marks);
    canvas.row(area, 0, &row);
}

/// Something that is to be known, from its longest form to its shortest; an empty one leaves it out.
struct Part {
    forms: Vec<String>,
    ink: Ink,
}

impl Part {
    fn shortest(&self) -> Self {
        Self { forms: self.forms.last().cloned().into_iter().collect(), ink: self.ink }
    }
}

/// The state of the talk, then what else is to be known of the view that is seen and of oneself.
fn parts(scene: &Scene<'_>, is_oldest: bool) -> Vec<Part> {
    let model = scene.model;
    let ink = match model.talk().state() {
        TalkState::Ready { .. } | TalkState::Open { turn: Turn::Yours, .. } => Ink::Mention,
        TalkState::Open { .. } => Ink::Unread,
        TalkState::Registered | TalkState::Waiting { .. } => Ink::State,
    };
    let mut parts = vec![Part { forms: words::talk(model, &scene.zone), ink }];
    let mut more = |forms: Vec<String>, ink| parts.push(Part { forms, ink });
    let views = model.views();
    let older = views.view(views.focus()).map(|view| view.older);
    if scene.sight.place(views).is_some() {
        let forms = match older {
            Some(Older::Asked) => ["asking for older messages", "asking for older", "asking"],
            Some(Older::None) if is_oldest => {
                ["nothing is older; Esc: newest", "Esc: newest", "back"]
            }
            _ => ["reading back; Esc: newest", "Esc: newest", "back"],
        };
        more(forms.map(str::to_owned).to_vec(), Ink::Alert);
    }
    // Beside each message that is under way that is said, too.
    match model.outgoing().len() {
        0 => {}
        count if model.link().is_up() => {
            more(vec![format!("sending {count}"), String::new()], Ink::Faint);
        }
        count => more(vec![format!("{count} to be sent"), String::new()], Ink::Fault),
    }
    if let Some(away) = model.away() {
        let away = format!("away: {}", visible::line(away));
        more(vec![away, "away".to_owned()], Ink::Mention);
    }
    parts
}

fn between() -> (String, Ink) {
    (words::BETWEEN.to_owned(), Ink::Faint)
}

/// These in a row.
fn beside(parts: impl Iterator<Item = (String, Ink)>) -> Row {
    parts.flat_map(|part| [between(), part]).skip(1).collect()
}

fn columns_of(row: &Row) -> usize {
    row.iter().map(|(text, _)| width(text)).sum()
}

/// As much of a row as fits into so many columns, and a sign where that is not all.
fn cut_row(row: Row, columns: usize) -> Row {
    if columns_of(&row) <= columns {
        return row;
    }
    let mut left = columns.saturating_sub(CUT.len());
    let kept = row.into_iter().map(|(text, ink)| {
        let text = cut(&text, left);
        left -= width(&text);
        (text, ink)
    });
    let mut kept: Row = kept.collect();
    kept.push((cut(CUT, columns), Ink::Faint));
    kept
}
