//! The list to the left of the messages: the views with what is unread in them, and who is in the room that is seen.

use super::draw::{Canvas, Scene};
use super::flow::{Row, cut, width};
use super::theme::{self, Ink};
use crate::chat::model::View;
use crate::visible;
use ratatui_core::layout::Rect;

/// The part of the rows that the people have at least, where views leave less.
const PEOPLE_PART: usize = 4;

/// Draws the list, and the stroke to the right of it.
pub(super) fn draw(scene: &Scene<'_>, canvas: &mut Canvas<'_>, area: Rect) {
    let (columns, height) = (usize::from(area.width), usize::from(area.height));
    let stroke = vec![(scene.theme.upright().to_owned(), Ink::Faint)];
    let beside = Rect { x: area.right(), width: 1, ..area };
    (0..height).for_each(|number| canvas.row(beside, number, &stroke));
    let people = people(scene, columns);
    let for_people = people.len().min(height / PEOPLE_PART);
    let views = views(scene, columns, height.saturating_sub(for_people));
    let rows = views.into_iter().chain(people).take(height);
    for (number, row) in rows.enumerate() {
        canvas.row(area, number, &row);
    }
}

/// The views, as many as there is room for; the one that is seen is among them.
fn views(scene: &Scene<'_>, columns: usize, height: usize) -> Vec<Row> {
    let views = scene.model.views();
    let here = views.iter().position(|(name, _)| name == views.focus()).unwrap_or(0);
    let first = (here + 1).saturating_sub(height);
    let rows = views.iter().enumerate().skip(first).take(height);
    rows.map(|(number, (name, view))| view_row(number + 1, view, name == views.focus(), columns))
        .collect()
}

fn view_row(number: usize, view: &View, is_here: bool, columns: usize) -> Row {
    let (count, ink) = match (view.unread, view.mentions) {
        (0, _) => (String::new(), Ink::Plain),
        (unread, 0) => (format!(" {}", few(unread)), Ink::Unread),
        // Without colours the sign tells.
        (unread, _) => (format!(" {}!", few(unread)), Ink::Mention),
    };
    let ink = if is_here { Ink::Bar } else { ink };
    let key = if number <= 9 { format!("{number} ") } else { "  ".to_owned() };
    let title = cut(&visible::line(&view.title), columns.saturating_sub(key.len() + count.len()));
    let gap = columns.saturating_sub(key.len() + width(&title) + count.len());
    let text = format!("{title}{}{count}", " ".repeat(gap));
    vec![(key, if is_here { Ink::Bar } else { Ink::Faint }), (text, ink)]
}

/// A number in at most four columns.
fn few(number: usize) -> String {
    if number < 1_000 { number.to_string() } else { "999+".to_owned() }
}

/// Who is in the room that is seen.
fn people(scene: &Scene<'_>, columns: usize) -> Vec<Row> {
    let model = scene.model;
    let room = model.views().focus().room().and_then(|room| model.rooms().get(room));
    let Some(room) = room.filter(|room| room.count() > 0) else { return Vec::new() };
    let head = format!("{} here", room.count());
    let heads = [Row::new(), vec![(cut(&head, columns), Ink::Head)]];
    let members = room.members().map(|member| {
        let away = if member.is_away { " (away)" } else { "" };
        let nick = cut(&visible::line(&member.nick), columns.saturating_sub(away.len()));
        let ink = if model.nick().is_some_and(|own| own.eq_ignore_ascii_case(&member.nick)) {
            Ink::Own
        } else {
            theme::nick(&member.nick)
        };
        vec![(nick, ink), (away.to_owned(), Ink::Faint)]
    });
    heads.into_iter().chain(members).collect()
}
