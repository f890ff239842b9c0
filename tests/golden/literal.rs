//! Words and strings of a script's commands, and how bytes are shown.

use std::fmt::Write;

/// Above so many characters a text is shown shortened.
const SHOWN_CHARS_MAX: usize = 120;
/// How many characters of a shortened text are shown at each end.
const ENDS_CHARS: usize = 12;

/// A word of a command, or a string in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    Word(String),
    Bytes(Vec<u8>),
}

/// Cuts a command into words and strings. `"ab"*3` is `"ababab"`; `\n \r \t \0 \\ \" \xHH \u{H}` as in Rust.
pub fn tokens(mut rest: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return tokens;
        }
        if let Some(after) = rest.strip_prefix('"') {
            let (bytes, after) = string(after);
            let (times, after) = repetition(after);
            tokens.push(Token::Bytes(bytes.repeat(times)));
            rest = after;
        } else {
            let end = rest.find(' ').unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        }
    }
}

fn repetition(after: &str) -> (usize, &str) {
    let Some(number) = after.strip_prefix('*') else { return (1, after) };
    let end = number.find(' ').unwrap_or(number.len());
    (number[..end].parse().unwrap(), &number[end..])
}

fn string(text: &str) -> (Vec<u8>, &str) {
    let mut bytes = Vec::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return (bytes, &text[at + 1..]),
            '\\' => match chars.next().unwrap().1 {
                'n' => bytes.push(b'\n'),
                'r' => bytes.push(b'\r'),
                't' => bytes.push(b'\t'),
                '0' => bytes.push(0),
                'x' => {
                    let digits: String = chars.by_ref().take(2).map(|(_, digit)| digit).collect();
                    bytes.push(u8::from_str_radix(&digits, 16).unwrap());
                }
                'u' => {
                    let digits: String =
                        chars.by_ref().skip(1).map(|(_, c)| c).take_while(|c| *c != '}').collect();
                    let c = char::from_u32(u32::from_str_radix(&digits, 16).unwrap()).unwrap();
                    bytes.extend(c.to_string().bytes());
                }
                other => bytes.extend(other.to_string().bytes()),
            },
            c => bytes.extend(c.to_string().bytes()),
        }
    }
    panic!("a string without an end: {text}")
}

/// Text as a string of a script; a long one with its beginning, its end and its size.
pub fn shown(text: &str) -> String {
    let count = text.chars().count();
    if count <= SHOWN_CHARS_MAX {
        return format!("\"{}\"", escaped(text));
    }
    let first: String = text.chars().take(ENDS_CHARS).collect();
    let last: String = text.chars().skip(count - ENDS_CHARS).collect();
    format!("\"{}...{}\" ({} bytes)", escaped(&first), escaped(&last), text.len())
}

fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\0' => out.push_str("\\0"),
            '\u{fffd}' => out.push_str("\\u{fffd}"),
            c if c.is_control() => write!(out, "\\u{{{:x}}}", u32::from(c)).unwrap(),
            c => out.push(c),
        }
    }
    out
}

/// Bytes in hexadecimal.
pub fn hex(bytes: &[u8]) -> String {
    let pairs: Vec<String> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    pairs.join(" ")
}

#[test]
fn strings_have_escapes_and_repetitions() {
    let bytes = |bytes: &[u8]| Token::Bytes(bytes.to_vec());
    assert_eq!(
        tokens(r#"ada chat "a\n\xff\u{e9}" "ab"*2 02"#),
        [
            Token::Word("ada".into()),
            Token::Word("chat".into()),
            bytes(b"a\n\xff\xc3\xa9"),
            bytes(b"abab"),
            Token::Word("02".into())
        ]
    );
    assert_eq!(shown("a\0\u{fffd}\""), r#""a\0\u{fffd}\"""#);
}
