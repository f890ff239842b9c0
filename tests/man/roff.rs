//! Writes pages of the manual: headings, paragraphs, lists and text as it stands, in the macros of man(7).
//!
//! Whoever calls gives text with the marks of Markdown inside a line (code, strong, emphasis, links); nothing of it can become a
//! request of roff.

use std::fmt::Write;

/// How long a line of a page's source gets, so that a change is a small difference.
const COLUMNS: usize = 120;

/// A page that is being written.
pub(crate) struct Page {
    source: String,
}

impl Page {
    /// Begins a page: its name, its section of the manual, and what it is about in half a sentence.
    pub(crate) fn new(name: &str, section: u8, about: &str) -> Self {
        let source = format!(
            ".\\\" Made from the code: UPDATE_GOLDEN=1 cargo test -p tests --test tidy\n.TH {} {section} \"\" \"chatd {}\"\n",
            escaped(name),
            escaped(env!("CARGO_PKG_VERSION")),
        );
        let mut page = Self { source };
        page.heading("Name");
        let _ = writeln!(page.source, "{} \\- {}", escaped(name), inline(about));
        page
    }

    /// The source, done.
    pub(crate) fn source(self) -> String {
        self.source
    }

    /// A part of the page.
    pub(crate) fn heading(&mut self, text: &str) {
        let _ = writeln!(self.source, ".SH {}", argument(&text.to_uppercase()));
    }

    /// A part of a part.
    pub(crate) fn subheading(&mut self, text: &str) {
        let _ = writeln!(self.source, ".SS {}", argument(text));
    }

    /// Prose.
    pub(crate) fn paragraph(&mut self, text: &str) {
        self.source.push_str(".PP\n");
        self.fill(text);
    }

    /// A word and what is to be said about it, each of the texts on a line of its own.
    pub(crate) fn item(&mut self, word: &str, texts: &[&str]) {
        let _ = writeln!(self.source, ".TP\n{}", guarded(&inline(word)));
        for (at, text) in texts.iter().enumerate() {
            if at > 0 {
                self.source.push_str(".br\n");
            }
            self.fill(text);
        }
    }

    /// An entry of a list; `mark` is its number, or nothing.
    pub(crate) fn bullet(&mut self, mark: &str, text: &str) {
        let mark = if mark.is_empty() { "\\(bu 2" } else { &format!("{} 4", argument(mark)) };
        let _ = writeln!(self.source, ".IP {mark}");
        self.fill(text);
    }

    /// Lines as they stand.
    pub(crate) fn verbatim(&mut self, text: &str) {
        self.source.push_str(".PP\n.RS 4\n.EX\n");
        for line in text.lines() {
            let _ = writeln!(self.source, "{}", guarded(&escaped(line)));
        }
        self.source.push_str(".EE\n.RE\n");
    }

    /// Text in lines of the source; it is filled again when it is shown.
    fn fill(&mut self, text: &str) {
        let mut line = String::new();
        for word in inline(text).split_whitespace() {
            if !line.is_empty() && line.len() + word.len() >= COLUMNS {
                let _ = writeln!(self.source, "{}", guarded(&line));
                line.clear();
            }
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
        assert!(!line.is_empty(), "there is nothing to say");
        let _ = writeln!(self.source, "{}", guarded(&line));
    }
}

/// A line that begins no request.
fn guarded(line: &str) -> String {
    let mark = if line.starts_with(['.', '\'']) { "\\&" } else { "" };
    format!("{mark}{line}")
}

/// One argument of a macro.
fn argument(text: &str) -> String {
    format!("\"{}\"", inline(text))
}

/// Text in which every character means itself.
fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '\\' => out.push_str("\\(rs"),
            '-' => out.push_str("\\-"),
            '\'' => out.push_str("\\(aq"),
            '`' => out.push_str("\\(ga"),
            '"' => out.push_str("\\(dq"),
            '^' => out.push_str("\\(ha"),
            '~' => out.push_str("\\(ti"),
            c if c.is_ascii() => out.push(c),
            c => {
                let _ = write!(out, "\\[u{:04X}]", u32::from(c));
            }
        }
    }
    out
}

/// Text with the marks of Markdown inside a line: code and strong words bold, emphasis italic, links as their text.
fn inline(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['`', '*', '[']) {
        out.push_str(&escaped(&rest[..at]));
        rest = &rest[at..];
        let marked = ["`", "**", "*"].iter().find_map(|mark| {
            let (inside, after) = rest.strip_prefix(mark)?.split_once(mark)?;
            let is_marked = !inside.is_empty() && !inside.starts_with(' ');
            is_marked.then_some((*mark, inside, after))
        });
        let link = rest.strip_prefix('[').and_then(|rest| {
            let (shown, rest) = rest.split_once("](")?;
            let is_one = !shown.contains([']', '[']);
            rest.split_once(')').filter(|_| is_one).map(|(_, after)| (shown, after))
        });
        if let Some((mark, inside, after)) = marked {
            let font = if mark == "*" { 'I' } else { 'B' };
            let inside = if mark == "`" { escaped(inside) } else { inline(inside) };
            let _ = write!(out, "\\f{font}{inside}\\fR");
            rest = after;
        } else if let Some((shown, after)) = link {
            out.push_str(&inline(shown));
            rest = after;
        } else {
            out.push_str(&escaped(&rest[..1]));
            rest = &rest[1..];
        }
    }
    out + &escaped(rest)
}

#[test]
fn no_text_becomes_a_request_or_an_escape() {
    let mut page = Page::new("x", 7, "an example");
    page.paragraph(".so /etc/passwd");
    page.paragraph("'tis `a\\fB`, *so* **strong**, [a link](x.md), 5 * 3 [limits] \u{e9}");
    page.verbatim(".TH\n'x' -1");
    let source = page.source();
    let lines: Vec<&str> = source.lines().skip(4).collect();
    assert_eq!(
        lines,
        [
            ".PP",
            "\\&.so /etc/passwd",
            ".PP",
            "\\(aqtis \\fBa\\(rsfB\\fR, \\fIso\\fR \\fBstrong\\fR, a link, 5 * 3 [limits] \\[u00E9]",
            ".PP",
            ".RS 4",
            ".EX",
            "\\&.TH",
            "\\(aqx\\(aq \\-1",
            ".EE",
            ".RE",
        ]
    );
}
