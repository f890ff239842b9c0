//! What strangers wrote, made safe to show on a terminal: control characters, invisible ones and
//! those that turn the writing direction are shown as escapes, so that nobody's message can drive
//! somebody's terminal or pass for another line of output.
//!
//! Only what goes to a terminal passes here; a pipe gets what was said, byte for byte.

use std::fmt::Write as _;

/// How far the second and later lines of a message are indented: an honest line starts at the left edge.
const INDENT: &str = "    ";

/// How many bytes of data that is no text are shown.
const HEX_BYTES_MAX: usize = 64;

/// Whether a terminal could take `c` for anything else than a visible character.
pub fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c,
            '\u{ad}' | '\u{61c}' | '\u{180e}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

/// Text on one line: every unsafe character is shown as an escape.
pub fn line(text: &str) -> String {
    shown(text, false)
}

/// Text that may have several lines: the later ones are indented, so that none can pass for a line of ours.
pub fn paragraph(text: &str) -> String {
    shown(text, true)
}

/// A line of JSON: unsafe characters become JSON escapes, so that it stays the same JSON.
pub fn json(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            let mut units = [0_u16; 2];
            for unit in c.encode_utf16(&mut units) {
                let _ = write!(out, "\\u{unit:04x}");
            }
        } else {
            out.push(c);
        }
    }
    out
}

/// Bytes that are no text: their number, and the first of them in hex.
pub fn hex(data: &[u8]) -> String {
    let mut out = format!("[{} bytes:", data.len());
    for byte in data.iter().take(HEX_BYTES_MAX) {
        let _ = write!(out, " {byte:02x}");
    }
    if data.len() > HEX_BYTES_MAX {
        out.push_str(" ...");
    }
    out.push(']');
    out
}

fn shown(text: &str, lines: bool) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\n' if lines => {
                out.push('\n');
                out.push_str(INDENT);
            }
            '\t' if lines => out.push('\t'),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            '\u{1b}' => out.push_str("\\e"),
            c if is_unsafe(c) && u32::from(c) < 0x100 => {
                let _ = write!(out, "\\x{:02x}", u32::from(c));
            }
            c if is_unsafe(c) => {
                let _ = write!(out, "\\u{{{:x}}}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::{hex, is_unsafe, json, line, paragraph};
    use proptest::prelude::*;

    #[test]
    fn an_escape_sequence_is_shown_and_not_obeyed() {
        assert_eq!(line("\u{1b}[2Jgone"), "\\e[2Jgone");
        assert_eq!(line("\u{9b}31m"), "\\x9b31m");
        assert_eq!(line("abc\u{202e}txt.exe"), "abc\\u{202e}txt.exe");
    }

    #[test]
    fn a_second_line_cannot_pass_for_an_output_line() {
        assert_eq!(paragraph("hello\n12:00:00 bob: forged"), "hello\n    12:00:00 bob: forged");
        assert_eq!(paragraph("a\r\nb"), "a\\r\n    b");
    }

    #[test]
    fn data_is_shown_with_its_size() {
        assert_eq!(hex(&[0, 255]), "[2 bytes: 00 ff]");
        assert!(hex(&[7; 100]).starts_with("[100 bytes: 07"));
        assert!(hex(&[7; 100]).ends_with(" ...]"));
    }

    proptest! {
        #[test]
        fn nothing_unsafe_gets_through(text in any::<String>()) {
            prop_assert!(!line(&text).chars().any(is_unsafe));
            prop_assert!(!paragraph(&text).chars().any(|c| is_unsafe(c) && c != '\n' && c != '\t'));
        }

        #[test]
        fn json_stays_the_same_json(text in any::<String>()) {
            let before = serde_json::Value::String(text);
            let shown = json(&before.to_string());
            prop_assert!(!shown.chars().any(is_unsafe));
            let after: serde_json::Value = serde_json::from_str(&shown).expect("still JSON");
            prop_assert_eq!(before, after);
        }
    }
}
