//! Pictures to bytes for a terminal: of each picture only what differs from the one before.

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Color as Shade, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{Clear, ClearType};
use ratatui_core::buffer::{Buffer, Cell};
use ratatui_core::layout::Position;
use ratatui_core::style::{Color, Modifier};
use std::io;

/// What the terminal shows.
#[derive(Debug, Default)]
pub(super) struct Painter {
    /// Nothing, where that is not known.
    shown: Option<(Buffer, Option<Position>)>,
}

impl Painter {
    /// The terminal may show anything by now.
    pub(super) fn forget(&mut self) {
        self.shown = None;
    }

    /// The bytes that make the terminal show this.
    pub(super) fn paint(&mut self, next: Buffer, cursor: Option<Position>) -> io::Result<Vec<u8>> {
        let mut out = Vec::new();
        let known = self.shown.take().filter(|(shown, _)| shown.area == next.area);
        let (before, cursor_before) = if let Some(known) = known {
            known
        } else {
            queue!(out, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
            (Buffer::empty(next.area), None)
        };
        let changes = before.diff(&next);
        if !changes.is_empty() || cursor != cursor_before {
            queue!(out, Hide)?;
            cells(&mut out, &changes)?;
            if let Some(cursor) = cursor {
                queue!(out, MoveTo(cursor.x, cursor.y), Show)?;
            }
        }
        self.shown = Some((next, cursor));
        Ok(out)
    }
}

fn cells(out: &mut Vec<u8>, changes: &[(u16, u16, &Cell)]) -> io::Result<()> {
    let mut place = None;
    let mut look = None;
    for (x, y, cell) in changes {
        if place != Some((*x, *y)) {
            queue!(out, MoveTo(*x, *y))?;
        }
        // Behind a wide character nobody knows for certain where a terminal is.
        place = cell.symbol().is_ascii().then_some((x + 1, *y));
        if look != Some((cell.fg, cell.modifier)) {
            look = Some((cell.fg, cell.modifier));
            queue!(out, SetAttribute(Attribute::Reset))?;
            for (modifier, attribute) in ATTRIBUTES {
                if cell.modifier.contains(modifier) {
                    queue!(out, SetAttribute(attribute))?;
                }
            }
            if let Some(shade) = shade(cell.fg) {
                queue!(out, SetForegroundColor(shade))?;
            }
        }
        queue!(out, Print(cell.symbol()))?;
    }
    queue!(out, SetAttribute(Attribute::Reset))
}

/// What the theme makes of letters.
const ATTRIBUTES: [(Modifier, Attribute); 3] = [
    (Modifier::BOLD, Attribute::Bold),
    (Modifier::DIM, Attribute::Dim),
    (Modifier::REVERSED, Attribute::Reverse),
];

/// One of the terminal's own colours; the theme uses no others.
fn shade(color: Color) -> Option<Shade> {
    Some(match color {
        Color::Black => Shade::Black,
        Color::Red => Shade::DarkRed,
        Color::Green => Shade::DarkGreen,
        Color::Yellow => Shade::DarkYellow,
        Color::Blue => Shade::DarkBlue,
        Color::Magenta => Shade::DarkMagenta,
        Color::Cyan => Shade::DarkCyan,
        Color::Gray => Shade::Grey,
        Color::DarkGray => Shade::DarkGrey,
        Color::LightRed => Shade::Red,
        Color::LightGreen => Shade::Green,
        Color::LightYellow => Shade::Yellow,
        Color::LightBlue => Shade::Blue,
        Color::LightMagenta => Shade::Magenta,
        Color::LightCyan => Shade::Cyan,
        Color::White => Shade::White,
        Color::Reset | Color::Rgb(..) | Color::Indexed(_) => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Painter;
    use ratatui_core::buffer::Buffer;
    use ratatui_core::layout::Position;

    #[test]
    fn only_what_changed_is_written() {
        let mut painter = Painter::default();
        let cursor = Some(Position { x: 0, y: 1 });
        let mut paint = |lines: [&str; 2]| {
            let out = painter.paint(Buffer::with_lines(lines), cursor).expect("a vector takes all");
            String::from_utf8(out).expect("text")
        };
        let first = paint(["one", "two"]);
        assert!(first.contains("\u{1b}[2J") && first.contains("one"), "{first:?}");
        assert_eq!(paint(["one", "two"]), "", "nothing is nothing");
        let second = paint(["ona", "two"]);
        let text = second.replace("\u{1b}[0m", "");
        assert!(text.contains("\u{1b}[1;3Ha"), "{second:?}");
        assert!(!text.contains("on") && !text.contains("two"), "{second:?}");
        painter.forget();
        let again = painter.paint(Buffer::with_lines(["ona", "two"]), cursor).expect("taken");
        assert!(String::from_utf8_lossy(&again).contains("ona"));
    }
}
