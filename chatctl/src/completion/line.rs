//! A line as bash has it at the press of the key: which words it has up to the cursor, and how a candidate is written into it.
//!
//! Bash cuts a line at `@`, `:`, `=` and quotes, too, and wants the last piece replaced. So it gives the line itself, and what it
//! would replace. Nothing is expanded: whoever types `$NAME` gets no candidates for what that may be.

/// Where a quotation is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Quote {
    None,
    Single,
    Double,
}

/// The line up to the cursor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// The words of the last command, without quotes: the program, and the one under the cursor last.
    pub(super) words: Vec<String>,
    /// Whether the word under the cursor is the file of a redirection.
    pub(super) is_redirection: bool,
    /// What of the last word bash leaves as it is, without quotes.
    kept: String,
    /// What is open at the cursor.
    quote: Quote,
}

/// A line that is being read.
struct Reader {
    words: Vec<String>,
    /// The word that began, without quotes, and as it is written.
    word: Option<(String, String)>,
    quote: Quote,
    is_redirection: bool,
}

impl Line {
    /// Reads a line up to the cursor in which bash knows `name` as the program and would replace `replaced`. None where it is not
    /// as we understand it.
    pub(super) fn read(text: &str, name: &str, replaced: &str) -> Option<Self> {
        let reader = Reader::read(text);
        let mut words = reader.words;
        let (word, written) = reader.word.unwrap_or_default();
        let program = words.iter().position(|word| word == name)?;
        words.drain(..program);
        words.push(word);
        let head = written.strip_suffix(replaced)?;
        let kept = Reader::read(head).word.map(|(word, _)| word).unwrap_or_default();
        Some(Self { words, is_redirection: reader.is_redirection, kept, quote: reader.quote })
    }

    /// A whole word as it is to be typed in place of what bash replaces; none where the open quotation cannot hold it.
    pub(super) fn typed(&self, value: &str) -> Option<String> {
        let rest = value.get(self.kept.len()..)?;
        match self.quote {
            Quote::None => Some(escaped(rest)),
            Quote::Single => (!rest.contains('\'')).then(|| rest.to_owned()),
            // There is no way to write `!` between these that holds where history is expanded and where it is not.
            Quote::Double => (!rest.contains(['$', '`', '"', '\\', '!'])).then(|| rest.to_owned()),
        }
    }
}

impl Reader {
    fn read(text: &str) -> Self {
        let mut reader =
            Self { words: Vec::new(), word: None, quote: Quote::None, is_redirection: false };
        let mut characters = text.chars();
        while let Some(c) = characters.next() {
            reader.take(c, &mut characters);
        }
        reader
    }

    fn take(&mut self, c: char, rest: &mut std::str::Chars<'_>) {
        match (self.quote, c) {
            (Quote::Single, '\'') | (Quote::Double, '"') => self.turn(c, Quote::None),
            (Quote::None, '\'') => self.turn(c, Quote::Single),
            (Quote::None, '"') => self.turn(c, Quote::Double),
            (Quote::None, '\\') => {
                let next = rest.next();
                self.put(next.as_slice(), &[&['\\'], next.as_slice()].concat());
            }
            (Quote::Double, '\\') => {
                let next = rest.next();
                let is_meant = next.is_none_or(|next| "$`\"\\".contains(next));
                let written = [&['\\'], next.as_slice()].concat();
                self.put(if is_meant { next.as_slice() } else { &written }, &written);
            }
            (Quote::None, ' ' | '\t') => self.end(),
            (Quote::None, '<' | '>') => {
                // The number of a descriptor is no word.
                let is_number =
                    |(word, _): &(String, String)| word.bytes().all(|b| b.is_ascii_digit());
                self.word = self.word.take().filter(|word| !is_number(word));
                self.end();
                self.is_redirection = true;
            }
            (Quote::None, '&' | '|') if self.is_redirection && self.word.is_none() => {}
            (Quote::None, ';' | '|' | '&' | '(' | ')' | '\n') => {
                self.end();
                self.words.clear();
                self.is_redirection = false;
            }
            _ => self.put(&[c], &[c]),
        }
    }

    fn turn(&mut self, c: char, quote: Quote) {
        self.quote = quote;
        self.put(&[], &[c]);
    }

    fn put(&mut self, meant: &[char], written: &[char]) {
        let (word, all) = self.word.get_or_insert_default();
        word.extend(meant);
        all.extend(written);
    }

    fn end(&mut self) {
        let Some((word, _)) = self.word.take() else { return };
        if !std::mem::take(&mut self.is_redirection) {
            self.words.push(word);
        }
    }
}

/// A text outside of quotes, so that a shell sees nothing in it but the text.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if !(c.is_alphanumeric() || "_-./:=@%+,".contains(c)) {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::Line;

    #[test]
    fn words_are_those_that_the_shell_would_give() {
        for (text, replaced, words) in [
            ("chatctl ", "", &["chatctl", ""][..]),
            ("chatctl send @al", "@al", &["chatctl", "send", "@al"]),
            ("chatctl -s tcp://a:1 send lo", "lo", &["chatctl", "-s", "tcp://a:1", "send", "lo"]),
            (r"chatctl send @al\ ic", r"@al\ ic", &["chatctl", "send", "@al ic"]),
            (r"chatctl send @al\", r"@al\", &["chatctl", "send", "@al"]),
            (r#"chatctl send "@al i"#, "@al i", &["chatctl", "send", "@al i"]),
            (r#"chatctl send "a\"b\c" "#, "", &["chatctl", "send", r#"a"b\c"#, ""]),
            ("chatctl send 'a b'c", "c", &["chatctl", "send", "a bc"]),
            ("make 2>&1 | chatctl send -l bu", "bu", &["chatctl", "send", "-l", "bu"]),
            ("X=1 chatctl send <file lo", "lo", &["chatctl", "send", "lo"]),
            ("chatctl who; chatctl wh", "wh", &["chatctl", "wh"]),
        ] {
            let line = Line::read(text, "chatctl", replaced).expect(text);
            assert_eq!(line.words, words, "{text}");
            assert!(!line.is_redirection, "{text}");
        }
        assert!(Line::read("chatctl rooms > fi", "chatctl", "fi").expect("read").is_redirection);
        assert_eq!(Line::read("other x", "chatctl", "x"), None);
        assert_eq!(Line::read("chatctl x", "chatctl", "y"), None);
    }

    #[test]
    fn a_candidate_is_written_as_what_is_open_wants_it() {
        let typed = |text: &str, replaced: &str, value: &str| {
            Line::read(text, "chatctl", replaced).expect(text).typed(value)
        };
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(typed("chatctl send ", "", "#lobby"), some(r"\#lobby"));
        assert_eq!(typed("chatctl send @a", "@a", "@a b$(x)`y`"), some(r"@a\ b\$\(x\)\`y\`"));
        assert_eq!(typed("chatctl send --wait=s", "s", "--wait=stored"), some("stored"));
        assert_eq!(typed(r"chatctl whois a\ b:c", "c", "a b:cd"), some("cd"));
        assert_eq!(typed("chatctl send '@a", "@a", "@a b$(x)"), some("@a b$(x)"));
        assert_eq!(typed("chatctl send '@a", "@a", "@a'b"), None);
        assert_eq!(typed("chatctl send \"@a", "@a", "@a b'c"), some("@a b'c"));
        assert_eq!(typed("chatctl send @\"a", "a", "@ab"), some("b").map(|_| "ab".to_owned()));
        for never in ["@a$(x)", "@a`x`", "@a\"", "@a\\", "@a!x"] {
            assert_eq!(typed("chatctl send \"@a", "@a", never), None);
        }
    }
}
