//! The last step before the log's descriptor: one entry is one line, and nothing in it drives the terminal that shows it.
//!
//! Whatever the formatter lets through is written out here, control characters, invisible ones and those that turn the writing
//! direction, so that no field has to be trusted. What an entry says is not looked at.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::io::{self, Write};

use proto::is_printable;

use super::outlet::Style;

/// Writes entries, each given in one piece, to a writer behind it.
#[derive(Debug)]
pub(super) struct Escaped<W: Write> {
    to: W,
    style: Style,
    /// What the line begins with.
    prefix: &'static str,
}

impl<W: Write> Escaped<W> {
    pub(super) const fn new(to: W, style: Style, prefix: &'static str) -> Self {
        Self { to, style, prefix }
    }
}

impl<W: Write> Write for Escaped<W> {
    /// Takes one entry, its line feed last.
    fn write(&mut self, entry: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(entry);
        let (line, end) = text.strip_suffix('\n').map_or((&*text, ""), |line| (line, "\n"));
        // One write for one line: the journal would take parts for lines.
        let whole = [self.prefix, &escaped(line, self.style), end].concat();
        self.to.write_all(whole.as_bytes())?;
        Ok(entry.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A line with everything written out that does not show itself: as Rust writes it, in JSON as JSON does, so that it stays the same
/// JSON.
pub(super) fn escaped(line: &str, style: Style) -> Cow<'_, str> {
    if line.chars().all(is_printable) {
        return Cow::Borrowed(line);
    }
    let mut out = String::with_capacity(line.len() + 16);
    for c in line.chars() {
        match style {
            _ if is_printable(c) => out.push(c),
            Style::Text | Style::Prefixed => out.extend(c.escape_default()),
            Style::Json => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let _ = write!(out, "\\u{unit:04x}");
                }
            }
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(entry: &str, style: Style) -> String {
        let mut out = Vec::new();
        Escaped::new(&mut out, style, "").write_all(entry.as_bytes()).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_log_entry_is_one_line_and_drives_no_terminal() {
        let entry = "a\n\u{1b}[2Jb\r\u{9b}1m\u{202e}c\u{7f}\n";
        let shown = "a\\n\\u{1b}[2Jb\\r\\u{9b}1m\\u{202e}c\\u{7f}\n";
        assert_eq!(written(entry, Style::Text), shown);
        let shown = "a\\u000a\\u001b[2Jb\\u000d\\u009b1m\\u202ec\\u007f\n";
        assert_eq!(written(entry, Style::Json), shown);
        assert_eq!(written("tag \u{e0041}", Style::Json), "tag \\udb40\\udc41");
    }

    #[test]
    fn what_shows_itself_stays_as_it_is() {
        for style in [Style::Text, Style::Json] {
            assert_eq!(
                written("Zoë \\ \"quoted\" \u{5d0}\n", style),
                "Zoë \\ \"quoted\" \u{5d0}\n"
            );
        }
    }
}
