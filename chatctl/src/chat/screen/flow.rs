//! Text to rows of a width: words are kept whole where they fit, and everything is measured in columns by characters as people
//! count them.
//!
//! What others wrote passes `safe` first: nothing that reaches a cell can drive a terminal.

use super::theme::Ink;
use crate::visible;
use unicode_segmentation::UnicodeSegmentation;
use unicode_width::UnicodeWidthStr;

/// So many code points are one character at most; a longer pile of accents is cut.
const CHARACTER_POINTS_MAX: usize = 12;

/// A tab is so many columns here.
const TAB: &str = "    ";

/// A row of a view: pieces of text, each in its ink.
pub(super) type Row = Vec<(String, Ink)>;

/// Text of others on any number of lines: what could drive a terminal is shown as an escape.
pub(super) fn safe(text: &str) -> String {
    let line = |line: &str| {
        let parts = line.split('\t').map(visible::line);
        parts.collect::<Vec<_>>().join(TAB)
    };
    text.split('\n').map(line).collect::<Vec<_>>().join("\n")
}

/// The columns that a text takes.
pub(super) fn width(text: &str) -> usize {
    text.graphemes(true).map(|one| shown(one).width()).sum()
}

/// As much of a text as fits into so many columns.
pub(super) fn cut(text: &str, columns: usize) -> String {
    let mut used = 0;
    let fits = |one: &&str| {
        used += shown(one).width();
        used <= columns
    };
    text.graphemes(true).take_while(fits).collect()
}

/// A character as it is shown: no line break, nothing without a width, no endless pile.
fn shown(one: &str) -> String {
    if one.width() == 0 || one.chars().any(visible::is_unsafe) {
        let escapes = visible::line(one);
        // An accent without a letter stands on a space.
        return if escapes.width() == 0 { format!(" {escapes}") } else { escapes };
    }
    one.chars().take(CHARACTER_POINTS_MAX).collect()
}

/// Text that flows into rows.
pub(super) struct Flow {
    columns: usize,
    /// How far all rows but the first are indented.
    indent: usize,
    rows: Vec<Row>,
    used: usize,
    word: Row,
    word_columns: usize,
}

impl Flow {
    /// Rows of this width; those behind the first begin so far to the right.
    pub(super) fn new(columns: usize, indent: usize) -> Self {
        let columns = columns.max(1);
        // Where there is little room, all of it is for the text.
        let indent = if indent * 2 <= columns && columns - indent > 1 { indent } else { 0 };
        let (rows, word) = (vec![Row::new()], Row::new());
        Self { columns, indent, rows, used: 0, word, word_columns: 0 }
    }

    /// Puts text behind what is there.
    pub(super) fn put(&mut self, text: &str, ink: Ink) {
        for one in text.graphemes(true) {
            match one {
                "\n" | "\r\n" => self.break_row(),
                " " => {
                    self.end_word();
                    if self.used < self.columns {
                        self.append(" ", ink, 1);
                    } else {
                        self.begin_row();
                    }
                }
                _ => self.letter(&shown(one), ink),
            }
        }
    }

    /// The rows.
    pub(super) fn rows(mut self) -> Vec<Row> {
        self.end_word();
        self.rows
    }

    fn letter(&mut self, shown: &str, ink: Ink) {
        let columns = shown.width();
        let room = self.columns - self.indent;
        if self.word_columns + columns > room {
            // It is longer than a row: it is broken, from where it began.
            if self.used + self.word_columns > self.columns {
                self.begin_row();
            }
            self.place_word();
        }
        push(&mut self.word, shown, ink);
        self.word_columns += columns;
    }

    fn end_word(&mut self) {
        if self.used + self.word_columns > self.columns && self.used > 0 {
            self.begin_row();
        }
        self.place_word();
    }

    fn place_word(&mut self) {
        let columns = std::mem::take(&mut self.word_columns);
        for (text, ink) in std::mem::take(&mut self.word) {
            self.append(&text, ink, 0);
        }
        self.used += columns;
    }

    fn break_row(&mut self) {
        self.end_word();
        self.begin_row();
    }

    fn begin_row(&mut self) {
        self.rows.push(Row::new());
        self.used = self.indent;
        if self.indent > 0 {
            self.append(&" ".repeat(self.indent), Ink::Plain, 0);
        }
    }

    fn append(&mut self, text: &str, ink: Ink, columns: usize) {
        if let Some(row) = self.rows.last_mut() {
            push(row, text, ink);
        }
        self.used += columns;
    }
}

fn push(row: &mut Row, text: &str, ink: Ink) {
    match row.last_mut() {
        Some((last, its)) if *its == ink => last.push_str(text),
        _ => row.push((text.to_owned(), ink)),
    }
}

/// A line that is typed, in rows of this width, and where the cursor is: row and column.
pub(super) fn typed(text: &str, cursor: usize, columns: usize) -> (Vec<String>, (usize, usize)) {
    let columns = columns.max(1);
    let mut rows = vec![String::new()];
    let (mut used, mut at, mut place) = (0, 0, None);
    for one in text.graphemes(true) {
        let shown = if one == "\n" { String::new() } else { shown(one) };
        if used + shown.width() > columns || used == columns {
            rows.push(String::new());
            used = 0;
        }
        if at >= cursor {
            place.get_or_insert((rows.len() - 1, used));
        }
        at += one.len();
        if one == "\n" {
            rows.push(String::new());
            used = 0;
        }
        used += shown.width();
        if let Some(row) = rows.last_mut() {
            row.push_str(&shown);
        }
    }
    if place.is_none() && used >= columns {
        rows.push(String::new());
        used = 0;
    }
    let place = place.unwrap_or((rows.len() - 1, used));
    (rows, place)
}

#[cfg(test)]
mod tests {
    use super::{Flow, Row, cut, safe, typed, width};
    use crate::chat::screen::theme::Ink;
    use crate::visible::is_unsafe;
    use proptest::prelude::*;

    fn text_of(row: &Row) -> String {
        row.iter().map(|(text, _)| text.as_str()).collect()
    }

    fn flowed(text: &str, columns: usize, indent: usize) -> Vec<String> {
        let mut flow = Flow::new(columns, indent);
        flow.put(text, Ink::Plain);
        flow.rows().iter().map(text_of).collect()
    }

    #[test]
    fn words_are_kept_whole_where_they_fit() {
        assert_eq!(flowed("one two three", 8, 2), ["one two ", "  three"]);
        assert_eq!(flowed("one\ntwo", 8, 2), ["one", "  two"]);
        assert_eq!(flowed("abcdefghijkl", 5, 1), ["abcd", " efgh", " ijkl"]);
        assert_eq!(flowed("a  b", 8, 0), ["a  b"]);
        assert_eq!(flowed("", 8, 0), [""]);
    }

    #[test]
    fn width_is_by_character() {
        assert_eq!(width("e\u{301}"), 1);
        assert_eq!(width("\u{4f60}\u{597d}"), 4);
        assert_eq!(width("\u{1f44d}\u{1f3fd}"), 2);
        assert_eq!(flowed("\u{4f60}\u{597d}\u{5417}", 5, 0), ["\u{4f60}\u{597d}", "\u{5417}"]);
        assert_eq!(cut("\u{4f60}\u{597d}", 3), "\u{4f60}");
    }

    #[test]
    fn what_could_drive_a_terminal_is_shown() {
        assert_eq!(safe("a\tb\u{1b}[2J\r\n\u{202e}c"), "a    b\\e[2J\\r\n\\u{202e}c");
        let zalgo = format!("a{}", "\u{301}".repeat(1_000));
        assert!(flowed(&zalgo, 10, 0)[0].len() < 40);
    }

    #[test]
    fn a_typed_line_has_its_cursor_where_it_belongs() {
        let place = |text: &str, cursor| typed(text, cursor, 4).1;
        assert_eq!(place("", 0), (0, 0));
        assert_eq!(place("ab", 1), (0, 1));
        assert_eq!(place("abcd", 4), (1, 0), "there is always room for the cursor");
        assert_eq!(place("abcdef", 4), (1, 0));
        assert_eq!(place("a\nb", 2), (1, 0));
        assert_eq!(place("a\nb", 1), (0, 1));
        assert_eq!(typed("a\u{1b}b", 3, 5), (vec!["a\\eb".to_owned()], (0, 4)));
    }

    proptest! {
        #[test]
        fn no_row_is_too_wide_and_nothing_is_lost(
            text in "[ a-z\n\u{4f60}\u{301}\u{1f44d}]{0,80}", columns in 2_usize..20, indent in 0_usize..4,
        ) {
            let mut flow = Flow::new(columns, indent);
            flow.put(&safe(&text), Ink::Plain);
            let rows = flow.rows();
            for row in &rows {
                prop_assert!(width(&text_of(row)) <= columns, "{rows:?}");
            }
            let letters = |text: &str| text.chars().filter(char::is_ascii_lowercase).count();
            let found: usize = rows.iter().map(|row| letters(&text_of(row))).sum();
            prop_assert_eq!(found, letters(&text));
        }

        #[test]
        fn nothing_unsafe_reaches_a_row(text in any::<String>(), columns in 1_usize..40) {
            let mut flow = Flow::new(columns, 3);
            flow.put(&text, Ink::Plain);
            let (typed, _) = typed(&text, 0, columns);
            let rows: Vec<String> = flow.rows().iter().map(text_of).chain(typed).collect();
            prop_assert!(!rows.concat().chars().any(is_unsafe), "{rows:?}");
        }
    }
}
