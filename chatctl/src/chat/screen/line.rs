//! The line that somebody types: text, a cursor between characters as people count them, and what emacs' keys do to it.
//!
//! Pure. It knows no key; what was killed is kept by whoever has several lines.

use unicode_segmentation::{GraphemeCursor, UnicodeSegmentation};

/// A line; it may have line breaks in it, from a paste or Alt-Enter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Line {
    text: String,
    /// A byte position, between two characters.
    cursor: usize,
}

/// What can be done to it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Edit {
    /// Put text at the cursor.
    Insert(String),
    /// Move the cursor.
    Move(Reach),
    /// Take away what is between the cursor and there.
    Delete(Reach),
    /// The same, and keep it.
    Kill(Reach),
    /// Put what was killed last at the cursor.
    Yank,
    /// Change the two characters around the cursor for each other.
    Transpose,
    /// The word at the cursor in large or small letters, or its first in a large one.
    Case(Case),
}

/// How far.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reach {
    /// A character.
    Left,
    /// A character.
    Right,
    /// A word of letters and digits.
    WordLeft,
    /// The same.
    WordRight,
    /// All up to a space.
    SpaceLeft,
    /// To the beginning.
    Start,
    /// To the end.
    End,
}

/// How letters are to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Case {
    /// Large.
    Upper,
    /// Small.
    Lower,
    /// The first one large.
    Title,
}

impl Line {
    /// This text, the cursor at its end.
    pub(super) fn of(text: impl Into<String>) -> Self {
        let text = text.into();
        let cursor = text.len();
        Self { text, cursor }
    }

    /// The text.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Where the cursor is, in bytes.
    pub(super) fn cursor(&self) -> usize {
        self.cursor
    }

    /// Whether nothing is in it.
    pub(super) fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// Puts a text in the place of the bytes from `from` to the cursor.
    pub(super) fn replace(&mut self, from: usize, text: &str) {
        assert!(
            self.text.is_char_boundary(from) && from <= self.cursor,
            "what is replaced is there"
        );
        self.text.replace_range(from..self.cursor, text);
        self.go(from + text.len());
    }

    /// Does this; `killed` is what was killed last.
    pub(super) fn edit(&mut self, edit: &Edit, killed: &mut String) {
        match edit {
            Edit::Insert(text) => self.replace(self.cursor, text),
            Edit::Move(reach) => self.cursor = self.reached(*reach),
            Edit::Delete(reach) => drop(self.cut(*reach)),
            Edit::Kill(reach) => {
                let cut = self.cut(*reach);
                if !cut.is_empty() {
                    *killed = cut;
                }
            }
            Edit::Yank => self.replace(self.cursor, killed),
            Edit::Transpose => self.transpose(),
            Edit::Case(case) => self.set_case(*case),
        }
        assert!(self.text.is_char_boundary(self.cursor), "the cursor is between characters");
    }

    fn go(&mut self, to: usize) {
        // What was put there may have become one with what follows: then the cursor is behind both.
        let mut cursor = GraphemeCursor::new(to, self.text.len(), true);
        let is_between = cursor.is_boundary(&self.text, 0).unwrap_or(true);
        self.cursor = if is_between {
            to
        } else {
            cursor.next_boundary(&self.text, 0).ok().flatten().unwrap_or(self.text.len())
        };
    }

    fn cut(&mut self, reach: Reach) -> String {
        let to = self.reached(reach);
        let (from, to) = (to.min(self.cursor), to.max(self.cursor));
        let cut: String = self.text.drain(from..to).collect();
        self.go(from);
        cut
    }

    fn before(&self) -> &str {
        self.text.get(..self.cursor).unwrap_or_default()
    }

    fn behind(&self) -> &str {
        self.text.get(self.cursor..).unwrap_or_default()
    }

    fn reached(&self, reach: Reach) -> usize {
        let (before, behind) = (self.before(), self.behind());
        match reach {
            Reach::Left => self.cursor - before.graphemes(true).next_back().map_or(0, str::len),
            Reach::Right => self.cursor + behind.graphemes(true).next().map_or(0, str::len),
            Reach::WordLeft => {
                let rest = before.trim_end_matches(|c: char| !c.is_alphanumeric());
                rest.trim_end_matches(char::is_alphanumeric).len()
            }
            Reach::WordRight => {
                let rest = behind.trim_start_matches(|c: char| !c.is_alphanumeric());
                self.text.len() - rest.trim_start_matches(char::is_alphanumeric).len()
            }
            Reach::SpaceLeft => {
                let rest = before.trim_end();
                rest.trim_end_matches(|c: char| !c.is_whitespace()).len()
            }
            Reach::Start => 0,
            Reach::End => self.text.len(),
        }
    }

    /// At the end of the line the two before the cursor, as in emacs.
    fn transpose(&mut self) {
        let middle = if self.behind().is_empty() { self.reached(Reach::Left) } else { self.cursor };
        let (before, behind) = self.text.split_at(middle);
        let first = before.graphemes(true).next_back().map(str::to_owned);
        let second = behind.graphemes(true).next().map(str::to_owned);
        if let (Some(first), Some(second)) = (first, second) {
            let (from, to) = (middle - first.len(), middle + second.len());
            self.text.replace_range(from..to, &format!("{second}{first}"));
            self.go(to);
        }
    }

    fn set_case(&mut self, case: Case) {
        let to = self.reached(Reach::WordRight);
        let word = self.text.get(self.cursor..to).unwrap_or_default();
        let changed = match case {
            Case::Upper => word.to_uppercase(),
            Case::Lower => word.to_lowercase(),
            Case::Title => {
                let at = word.find(char::is_alphanumeric).unwrap_or(0);
                let (head, word) = word.split_at(at);
                let first = word.chars().next();
                let rest = word.get(first.map_or(0, char::len_utf8)..).unwrap_or_default();
                let first: String = first.into_iter().flat_map(char::to_uppercase).collect();
                format!("{head}{first}{}", rest.to_lowercase())
            }
        };
        self.text.replace_range(self.cursor..to, &changed);
        self.go(self.cursor + changed.len());
    }
}

#[cfg(test)]
mod tests {
    use super::{Case, Edit, Line, Reach};
    use proptest::prelude::*;

    /// The line with the cursor as `|`, after these edits.
    fn edited(line: &str, edits: &[Edit]) -> String {
        let (before, behind) = line.split_once('|').expect("a cursor");
        let mut line = Line { text: format!("{before}{behind}"), cursor: before.len() };
        let mut killed = String::new();
        for edit in edits {
            line.edit(edit, &mut killed);
        }
        format!("{}|{}", line.before(), line.behind())
    }

    #[test]
    fn the_keys_of_emacs_do_what_they_do() {
        use Reach::{End, Left, Right, SpaceLeft, Start, WordLeft, WordRight};
        let insert = |text: &str| Edit::Insert(text.to_owned());
        for (before, edit, after) in [
            ("a|b", insert("x"), "ax|b"),
            ("ab|", Edit::Move(Left), "a|b"),
            ("|ab", Edit::Move(Left), "|ab"),
            ("a|b", Edit::Move(Right), "ab|"),
            ("one two|", Edit::Move(WordLeft), "one |two"),
            ("one, |two", Edit::Move(WordLeft), "|one, two"),
            ("|one, two", Edit::Move(WordRight), "one|, two"),
            ("a|b c", Edit::Move(Start), "|ab c"),
            ("a|b c", Edit::Move(End), "ab c|"),
            ("ab|", Edit::Delete(Left), "a|"),
            ("e\u{301}|x", Edit::Delete(Left), "|x"),
            ("|\u{1f44d}\u{1f3fd}x", Edit::Delete(Right), "|x"),
            ("ab|c d", Edit::Kill(End), "ab|"),
            ("ab|c d", Edit::Kill(Start), "|c d"),
            ("say a.b/c |d", Edit::Kill(SpaceLeft), "say |d"),
            ("a.b|", Edit::Kill(WordLeft), "a.|"),
            ("|one two", Edit::Kill(WordRight), "| two"),
            ("ab|c", Edit::Transpose, "acb|"),
            ("abc|", Edit::Transpose, "acb|"),
            ("|abc", Edit::Transpose, "|abc"),
            ("|one two", Edit::Case(Case::Upper), "ONE| two"),
            ("one| TWO", Edit::Case(Case::Lower), "one two|"),
            ("| oNE", Edit::Case(Case::Title), " One|"),
        ] {
            assert_eq!(edited(before, std::slice::from_ref(&edit)), after, "{edit:?}");
        }
    }

    #[test]
    fn what_was_killed_comes_back() {
        let edits =
            [Edit::Kill(Reach::SpaceLeft), Edit::Move(Reach::Start), Edit::Yank, Edit::Yank];
        assert_eq!(edited("one two|", &edits), "twotwo|one ");
        let edits = [Edit::Kill(Reach::Start), Edit::Kill(Reach::Start), Edit::Yank];
        assert_eq!(edited("one|", &edits), "one|", "nothing is not kept");
    }

    #[test]
    fn a_replaced_word_has_the_cursor_behind_it() {
        let mut line = Line::of("hi ad");
        line.replace(3, "ada ");
        assert_eq!((line.text(), line.cursor()), ("hi ada ", 7));
    }

    proptest! {
        #[test]
        fn any_edits_of_any_text_leave_the_cursor_between_characters(
            text in any::<String>(),
            edits in proptest::collection::vec((0..14_usize, any::<String>()), 0..20),
        ) {
            let mut line = Line::of(text);
            let mut killed = String::new();
            for (which, text) in edits {
                let reaches = [Reach::Left, Reach::Right, Reach::WordLeft, Reach::WordRight, Reach::SpaceLeft];
                let edit = match which {
                    0..5 => Edit::Move(reaches[which]),
                    5..10 => Edit::Kill(reaches[which - 5]),
                    10 => Edit::Yank,
                    11 => Edit::Transpose,
                    12 => Edit::Case(Case::Title),
                    _ => Edit::Insert(text),
                };
                line.edit(&edit, &mut killed);
                prop_assert!(line.text().get(..line.cursor()).is_some());
            }
        }
    }
}
