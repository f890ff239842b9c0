//! Pictures to bytes for a terminal: of each picture only what differs from the one before.
//!
//! How many columns a character of several code points has, or a wide one, no two terminals agree on: a row that has such a one, or
//! had, is never mended in part.

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::queue;
use crossterm::style::{Attribute, Color as Shade, Print, SetAttribute, SetForegroundColor};
use crossterm::terminal::{Clear, ClearType};
use ratatui_core::buffer::{Buffer, Cell, CellWidth};
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
        let mut pen = Pen::default();
        let known = self.shown.take().filter(|(shown, _)| shown.area == next.area);
        let (before, cursor_before) = if let Some(known) = known {
            known
        } else {
            queue!(pen.out, SetAttribute(Attribute::Reset), Clear(ClearType::All))?;
            (Buffer::empty(next.area), None)
        };
        let columns = usize::from(next.area.width).max(1);
        let rows = before.content.chunks(columns).zip(next.content.chunks(columns));
        let changes: Vec<_> = (0..).zip(rows).filter(|(_, (was, is))| was != is).collect();
        if !changes.is_empty() || cursor != cursor_before {
            queue!(pen.out, Hide)?;
            for (y, (was, is)) in changes {
                pen.row(y, was, is)?;
            }
            queue!(pen.out, SetAttribute(Attribute::Reset))?;
            if let Some(cursor) = cursor {
                queue!(pen.out, MoveTo(cursor.x, cursor.y), Show)?;
            }
        }
        self.shown = Some((next, cursor));
        Ok(pen.out)
    }
}

/// Writes cells; it moves, and changes its look, only where it must.
#[derive(Default)]
struct Pen {
    out: Vec<u8>,
    place: Option<(u16, u16)>,
    look: Option<(Color, Modifier)>,
}

impl Pen {
    /// Makes the row that was the one that is.
    fn row(&mut self, y: u16, was: &[Cell], is: &[Cell]) -> io::Result<()> {
        // Written over, such a character may leave a part of itself in columns that are not its own, or show what was below it.
        let is_anew = was.iter().chain(is).any(is_doubtful);
        if is_anew {
            queue!(self.out, MoveTo(0, y), SetAttribute(Attribute::Reset))?;
            queue!(self.out, Clear(ClearType::CurrentLine))?;
            (self.place, self.look) = (Some((0, y)), None);
        }
        let mut covered = 0;
        for (x, (was, is)) in (0..).zip(was.iter().zip(is)) {
            if covered > 0 {
                covered -= 1;
                continue;
            }
            covered = is.symbol().cell_width().saturating_sub(1);
            if is_anew || was != is {
                self.cell(x, y, is)?;
            }
        }
        Ok(())
    }

    fn cell(&mut self, x: u16, y: u16, cell: &Cell) -> io::Result<()> {
        if self.place != Some((x, y)) {
            queue!(self.out, MoveTo(x, y))?;
        }
        self.place = cell.symbol().is_ascii().then_some((x + 1, y));
        if self.look != Some((cell.fg, cell.modifier)) {
            self.look = Some((cell.fg, cell.modifier));
            queue!(self.out, SetAttribute(Attribute::Reset))?;
            for (modifier, attribute) in ATTRIBUTES {
                if cell.modifier.contains(modifier) {
                    queue!(self.out, SetAttribute(attribute))?;
                }
            }
            if let Some(shade) = shade(cell.fg) {
                queue!(self.out, SetForegroundColor(shade))?;
            }
        }
        queue!(self.out, Print(cell.symbol()))
    }
}

/// Whether a terminal may give this another number of columns than we do.
fn is_doubtful(cell: &Cell) -> bool {
    let symbol = cell.symbol();
    !symbol.is_ascii() && (symbol.chars().nth(1).is_some() || symbol.cell_width() > 1)
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
    use proptest::prelude::*;
    use ratatui_core::buffer::Buffer;
    use ratatui_core::layout::{Position, Rect};
    use ratatui_core::style::Style;
    use unicode_width::UnicodeWidthChar;

    const COLUMNS: u16 = 12;
    const ROWS: u16 = 2;

    /// Characters of Thai, Tamil and Hindi, a flag, a hand with its colour, an accent, a wide letter.
    const CHARACTERS: [&str; 10] = [
        "\u{e01}\u{e33}",
        "\u{ba8}\u{bbf}",
        "\u{915}\u{94d}\u{937}\u{93f}",
        "\u{1f1e9}\u{1f1ea}",
        "\u{1f44d}\u{1f3fd}",
        "e\u{301}",
        "\u{4f60}",
        "a",
        "b",
        " ",
    ];

    /// A terminal that knows code points and no characters.
    struct Terminal {
        /// Nothing, where the wide code point before it goes on.
        cells: Vec<Vec<String>>,
        /// Whether no code point is wide in it.
        is_narrow: bool,
    }

    impl Terminal {
        fn new(is_narrow: bool) -> Self {
            let row = vec![" ".to_owned(); usize::from(COLUMNS)];
            Self { cells: vec![row; usize::from(ROWS)], is_narrow }
        }

        /// Does what it is told; only the last column holds back what goes on.
        fn takes(&mut self, bytes: &[u8]) {
            let text = std::str::from_utf8(bytes).expect("text");
            let (mut x, mut y) = (0, 0);
            let mut sequences = text.split("\u{1b}[");
            self.puts(&mut x, y, sequences.next().unwrap_or_default());
            for sequence in sequences {
                let end = sequence.find(|c: char| c.is_ascii_alphabetic()).expect("an end");
                let (numbers, rest) = sequence.split_at(end);
                match (numbers, &rest[..1]) {
                    ("2", "J") => *self = Self::new(self.is_narrow),
                    ("2", "K") => self.cells[y].fill(" ".to_owned()),
                    (place, "H") => {
                        let (row, column) = place.split_once(';').expect("a place");
                        let number = |text: &str| text.parse::<usize>().expect("a number") - 1;
                        (x, y) = (number(column), number(row));
                    }
                    (_, "m") | ("?25", "h" | "l") => {}
                    other => panic!("{other:?} is not known"),
                }
                self.puts(&mut x, y, &rest[1..]);
            }
        }

        fn puts(&mut self, x: &mut usize, y: usize, text: &str) {
            let row = &mut self.cells[y];
            for c in text.chars() {
                let columns = c.width().unwrap_or(0).min(if self.is_narrow { 1 } else { 2 });
                let Some(end) = Some(*x + columns).filter(|end| *end <= row.len()) else { return };
                if columns == 0 {
                    row[x.saturating_sub(1)].push(c);
                    continue;
                }
                // Half a wide code point is none.
                if row[*x].is_empty() {
                    row[*x - 1] = " ".to_owned();
                }
                if row.get(end).is_some_and(String::is_empty) {
                    row[end] = " ".to_owned();
                }
                row[*x..end].fill(String::new());
                row[*x].push(c);
                *x = end;
            }
        }
    }

    fn picture(lines: &[String]) -> Buffer {
        let mut buffer = Buffer::empty(Rect::new(0, 0, COLUMNS, ROWS));
        for (y, line) in (0..).zip(lines) {
            buffer.set_string(0, y, line, Style::new());
        }
        buffer
    }

    /// What a terminal shows when it was given these pictures.
    fn shown(pictures: &[Vec<String>], is_narrow: bool) -> Vec<Vec<String>> {
        let (mut painter, mut terminal) = (Painter::default(), Terminal::new(is_narrow));
        for lines in pictures {
            terminal.takes(&painter.paint(picture(lines), None).expect("a vector takes all"));
        }
        terminal.cells
    }

    #[test]
    fn a_character_of_several_code_points_leaves_nothing_behind() {
        for character in CHARACTERS {
            for (before, after) in [("thai {} end", "a"), ("{}", "ab"), ("abc", "{}"), ("ab{}", "")]
            {
                let lines = |line: &str| vec![line.replace("{}", character), "same".to_owned()];
                let pictures = [lines(before), lines(after)];
                for is_narrow in [false, true] {
                    let found = shown(&pictures, is_narrow);
                    let fresh = shown(&pictures[1..], is_narrow);
                    assert_eq!(found, fresh, "{before:?}, then {after:?}, with {character:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_of_an_earlier_picture_is_left(
            pictures in proptest::collection::vec(
                proptest::collection::vec(
                    proptest::collection::vec(proptest::sample::select(&CHARACTERS[..]), 0..8)
                        .prop_map(|line| line.concat()),
                    usize::from(ROWS),
                ),
                1..5,
            ),
            is_narrow in any::<bool>(),
        ) {
            let last = &pictures[pictures.len() - 1..];
            prop_assert_eq!(shown(&pictures, is_narrow), shown(last, is_narrow));
        }
    }

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
