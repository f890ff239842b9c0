//! Validated names: [`Nick`] and [`RoomName`]. A value of these types is fit to be shown, compared and kept.
//!
//! Who owns a name is not decided here; the hub keeps one owner for each [`NickKey`], and with the charset `unicode` for each
//! [`Skeleton`], too.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use serde::{Serialize, Serializer};

use crate::charset::{self, Charset};

/// Longest nickname in characters: fits a v0.5 short string (255 bytes) and a line of a terminal beside its message.
pub const NICK_CHARS_MAX: usize = 32;
/// Longest nickname in bytes: letters of most scripts take two or three.
pub const NICK_BYTES_MAX: usize = 64;
/// Most marks on one letter: what scripts in use need, and no tower that covers the lines above.
pub const NICK_MARKS_MAX: usize = 2;
/// Longest room name in bytes: what IRC servers allow.
pub const ROOM_NAME_BYTES_MAX: usize = 64;

/// What v0.5 receivers see behind the author's name of a message that is for them alone. No nickname ends so.
pub(crate) const TO_YOU: &str = " (to you)";

/// Longest topic, reason or other one line text in bytes: what IRC servers allow.
pub const TOPIC_BYTES_MAX: usize = 390;

const _: () = assert!(NICK_BYTES_MAX <= 255, "a v0.5 short string holds any nickname");
const _: () = assert!(NICK_CHARS_MAX <= NICK_BYTES_MAX, "ASCII names are as long as they may be");

/// A nickname: 1 to 32 characters of its [`Charset`], spaces only inside. A clone shares its text.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Nick(Arc<str>);

/// What two nicknames that differ only in case have in common.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct NickKey(Arc<str>);

/// What nicknames that look alike have in common: the skeleton of UTS 39, without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Skeleton(Arc<str>);

/// A room's name: 1 to 64 of `a-z`, `0-9`, `.`, `_`, `+`, `-`; capitals are folded, one leading `#` is left out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

/// Why a text is no name. Its `Display` says what was wrong, what the limit is and what to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NameError {
    /// Nothing at all.
    NickEmpty,
    /// So many characters, more than [`NICK_CHARS_MAX`].
    NickTooLong(usize),
    /// Not UTF-8.
    NickNotText,
    /// A space at the beginning or the end.
    NickOuterSpace,
    /// A `@` or `#` at the beginning: there people write them to say what is a nickname and what a room.
    NickSign(char),
    /// A character that is not printable ASCII, where others are not allowed.
    NickCharacter(char),
    /// So many bytes, more than [`NICK_BYTES_MAX`].
    NickTooLarge(usize),
    /// A character that is no letter, digit or mark, and not printable ASCII.
    NickForbidden(char),
    /// Two spaces side by side.
    NickSpaces,
    /// A mark with no letter under it, or more than [`NICK_MARKS_MAX`] on one.
    NickMarks,
    /// Letters of both directions, so that it would be shown in another order than it is written.
    NickDirections,
    /// The end that marks messages to one nickname: [`TO_YOU`].
    NickMarked,
    /// Nothing at all.
    RoomEmpty,
    /// So many bytes, more than [`ROOM_NAME_BYTES_MAX`].
    RoomTooLong(usize),
    /// A character that room names do not have.
    RoomCharacter(char),
}

impl Nick {
    /// Takes `text` as a nickname of printable ASCII characters.
    ///
    /// # Errors
    /// What is wrong with it, one of the `Nick` variants.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::NickEmpty);
        }
        if let Some(wrong) = text.chars().find(|c| !matches!(c, ' '..='~')) {
            return Err(NameError::NickCharacter(wrong));
        }
        if text.len() > NICK_CHARS_MAX {
            return Err(NameError::NickTooLong(text.len()));
        }
        if text.starts_with(' ') || text.ends_with(' ') {
            return Err(NameError::NickOuterSpace);
        }
        if is_marked(text, str::to_ascii_lowercase) {
            return Err(NameError::NickMarked);
        }
        unsigned(text)?;
        Ok(Self(text.into()))
    }

    /// Takes `text` as a nickname of this charset. With `unicode` it may come out otherwise than it was written: composed, and
    /// with letters of their usual width.
    ///
    /// # Errors
    /// What is wrong with it, one of the `Nick` variants.
    pub fn parse_in(text: &str, charset: Charset) -> Result<Self, NameError> {
        match charset {
            Charset::Ascii => Self::parse(text),
            Charset::Unicode => {
                let name = charset::enforce(text)?;
                unsigned(&name)?;
                Ok(Self(name.into()))
            }
        }
    }

    /// Takes `text` as a nickname of a server whose charset is not known here.
    ///
    /// # Errors
    /// What is wrong with it in every charset, one of the `Nick` variants.
    pub fn parse_any(text: &str) -> Result<Self, NameError> {
        Self::parse(text).or_else(|_| Self::parse_in(text, Charset::Unicode))
    }

    /// Takes bytes as a nickname, as v0.5 peers send it.
    ///
    /// # Errors
    /// What is wrong with it, one of the `Nick` variants.
    pub fn parse_bytes(bytes: &[u8], charset: Charset) -> Result<Self, NameError> {
        Self::parse_in(core::str::from_utf8(bytes).map_err(|_| NameError::NickNotText)?, charset)
    }

    /// The name as its owner wrote it.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What is compared: the name without regard to case. Shares the name's own text where that has no capitals.
    pub fn key(&self) -> NickKey {
        if !self.0.is_ascii() {
            NickKey(charset::folded(self.0.chars()).into())
        } else if self.0.bytes().any(|byte| byte.is_ascii_uppercase()) {
            NickKey(self.0.to_ascii_lowercase().into())
        } else {
            NickKey(Arc::clone(&self.0))
        }
    }

    /// What it looks like.
    pub fn skeleton(&self) -> Skeleton {
        Skeleton(charset::folded(charset::skeleton(&self.0)).into())
    }
}

impl NickKey {
    /// The folded text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl RoomName {
    /// Takes `text`, with or without a leading `#`, as a room's name.
    ///
    /// # Errors
    /// What is wrong with it, one of the `Room` variants.
    pub fn parse(text: &str) -> Result<Self, NameError> {
        let text = text.strip_prefix('#').unwrap_or(text);
        if text.is_empty() {
            return Err(NameError::RoomEmpty);
        }
        let fits = |c: &char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '+' | '-');
        if let Some(wrong) = text.chars().find(|c| !fits(c)) {
            return Err(NameError::RoomCharacter(wrong));
        }
        if text.len() > ROOM_NAME_BYTES_MAX {
            return Err(NameError::RoomTooLong(text.len()));
        }
        let folded: String = text.to_ascii_lowercase();
        Ok(Self(folded.into()))
    }

    /// The folded name, without `#`.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Whether a name ends as [`TO_YOU`] does, compared in this form. Both brackets are ASCII in every charset.
pub(crate) fn is_marked(name: &str, form: impl Fn(&str) -> String) -> bool {
    let end = name.rfind('(').filter(|_| name.ends_with(')'));
    let end = end.and_then(|at| name.get(at..));
    end.is_some_and(|end| form(end) == form(TO_YOU.trim_start()))
}

/// Refuses a name that begins as no name does: nobody could say whether `@ada` is she or another.
fn unsigned(name: &str) -> Result<(), NameError> {
    match name.chars().next() {
        Some(sign @ ('@' | '#')) => Err(NameError::NickSign(sign)),
        Some(_) | None => Ok(()),
    }
}

/// Whether a text is one line that people can be shown: no control, invisible or bidirectional character drives what shows it.
pub fn printable_line(text: &str) -> bool {
    text.chars().all(is_printable)
}

/// Whether a character shows itself, and drives nothing that shows it.
pub fn is_printable(c: char) -> bool {
    !c.is_control() && !is_invisible(c)
}

/// Format characters and separators of Unicode's categories Cf, Zl and Zp, and the tags: they show nothing, or turn text around.
fn is_invisible(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{600}'..='\u{605}' | '\u{61c}' | '\u{6dd}' | '\u{70f}' | '\u{890}'..='\u{891}' | '\u{8e2}'
        | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}'
        | '\u{fff9}'..='\u{fffb}' | '\u{110bd}' | '\u{110cd}' | '\u{13430}'..='\u{1343f}' | '\u{1bca0}'..='\u{1bca3}'
        | '\u{1d173}'..='\u{1d17a}' | '\u{e0000}'..='\u{e007f}')
}

impl Serialize for Nick {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl Serialize for RoomName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl fmt::Display for Nick {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for NameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NickEmpty => {
                write!(f, "The nickname is empty; use 1 to {NICK_CHARS_MAX} characters.")
            }
            Self::NickTooLong(chars) => {
                write!(f, "The nickname has {chars} characters; use at most {NICK_CHARS_MAX}.")
            }
            Self::NickTooLarge(bytes) => {
                write!(f, "The nickname has {bytes} bytes; use at most {NICK_BYTES_MAX}.")
            }
            Self::NickNotText => {
                f.write_str("The nickname is not valid UTF-8; use printable ASCII characters.")
            }
            Self::NickOuterSpace => f.write_str(
                "The nickname begins or ends with a space; spaces are allowed inside only.",
            ),
            Self::NickCharacter(c) => write!(
                f,
                "The nickname has the character U+{:04X}; use printable ASCII characters.",
                u32::from(*c)
            ),
            Self::NickForbidden(c) => write!(
                f,
                "The nickname has the character U+{:04X}; use letters, digits, their marks and printable ASCII characters.",
                u32::from(*c)
            ),
            Self::NickSpaces => f.write_str("The nickname has two spaces side by side; use one."),
            Self::NickMarks => write!(
                f,
                "The nickname has a mark without a letter, or more than {NICK_MARKS_MAX} marks on one; use fewer."
            ),
            Self::NickDirections => f.write_str(
                "The nickname mixes letters of both directions; use letters that run one way.",
            ),
            Self::NickMarked => f.write_str(
                "The nickname ends in `(to you)`, as the authors of direct messages are shown; choose another end.",
            ),
            Self::NickSign(sign) => {
                write!(f, "The nickname begins with `{sign}`; begin it with another character.")
            }
            Self::RoomEmpty => {
                write!(f, "The room name is empty; use 1 to {ROOM_NAME_BYTES_MAX} characters.")
            }
            Self::RoomTooLong(bytes) => {
                write!(
                    f,
                    "The room name has {bytes} characters; use at most {ROOM_NAME_BYTES_MAX}."
                )
            }
            Self::RoomCharacter(c) => write!(
                f,
                "The room name has the character U+{:04X}; use letters a-z, digits and . _ + - only.",
                u32::from(*c)
            ),
        }
    }
}

impl core::error::Error for NameError {}

#[cfg(test)]
mod tests {
    use alloc::string::ToString;

    use super::*;

    #[test]
    fn a_nickname_is_1_to_32_printable_characters_with_inner_spaces() {
        assert_eq!(Nick::parse("Ada Lovelace").unwrap().as_str(), "Ada Lovelace");
        assert!(Nick::parse(&"x".repeat(32)).is_ok());
        assert_eq!(Nick::parse(&"x".repeat(33)), Err(NameError::NickTooLong(33)));
        assert_eq!(Nick::parse(""), Err(NameError::NickEmpty));
        assert_eq!(Nick::parse(" ada"), Err(NameError::NickOuterSpace));
        assert_eq!(Nick::parse("ada "), Err(NameError::NickOuterSpace));
    }

    #[test]
    fn control_invisible_and_bidirectional_characters_are_refused() {
        for c in ['\0', '\n', '\x1b', '\x7f', '\u{200b}', '\u{202e}', '\u{feff}', '\u{430}'] {
            let text = alloc::format!("a{c}b");
            assert_eq!(Nick::parse(&text), Err(NameError::NickCharacter(c)));
        }
        assert_eq!(Nick::parse_bytes(b"a\xff", Charset::Ascii), Err(NameError::NickNotText));
    }

    #[test]
    fn a_nickname_does_not_begin_like_a_room_or_an_address_of_one() {
        for sign in ['@', '#'] {
            let text = alloc::format!("{sign}ada");
            for charset in [Charset::Ascii, Charset::Unicode] {
                assert_eq!(Nick::parse_in(&text, charset), Err(NameError::NickSign(sign)));
            }
            // Its wide form is the same sign.
            let wide = char::from_u32(u32::from(sign) + 0xfee0).unwrap();
            let text = alloc::format!("{wide}ada");
            assert_eq!(Nick::parse_in(&text, Charset::Unicode), Err(NameError::NickSign(sign)));
            assert!(Nick::parse(&alloc::format!("a{sign}")).is_ok());
        }
    }

    #[test]
    fn a_client_lets_pass_what_some_server_may_take() {
        assert_eq!(Nick::parse_any("Ada  L").unwrap().as_str(), "Ada  L");
        assert_eq!(Nick::parse_any("Zoe\u{308}").unwrap().as_str(), "Zo\u{eb}");
        assert_eq!(Nick::parse_any("a\u{202e}"), Err(NameError::NickForbidden('\u{202e}')));
    }

    /// Such a nickname forged direct messages to v0.5 clients.
    #[test]
    fn no_nickname_ends_as_the_author_of_a_direct_message_is_shown() {
        for text in ["Bob (to you)", "bob (To YOU)", "(to you)", "a(to you)"] {
            assert_eq!(Nick::parse(text), Err(NameError::NickMarked), "{text}");
            assert_eq!(
                Nick::parse_in(text, Charset::Unicode),
                Err(NameError::NickMarked),
                "{text}"
            );
        }
        // The first has a Cyrillic o, the second noughts.
        for text in ["Bob (t\u{43e} you)", "Bob (t0 y0u)"] {
            assert_eq!(
                Nick::parse_in(text, Charset::Unicode),
                Err(NameError::NickMarked),
                "{text}"
            );
        }
        for text in ["Bob (to you) 2", "Bob (to me)", "to you)", "Bob (too you)"] {
            assert!(Nick::parse(text).is_ok() && Nick::parse_in(text, Charset::Unicode).is_ok());
        }
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        assert_eq!(Nick::parse("ADA").unwrap().key(), Nick::parse("ada").unwrap().key());
        assert_eq!(RoomName::parse("#Lobby"), RoomName::parse("lobby"));
        assert_eq!(RoomName::parse("##x"), Err(NameError::RoomCharacter('#')));
        assert_eq!(RoomName::parse("#"), Err(NameError::RoomEmpty));
    }

    #[test]
    fn an_error_says_what_was_wrong_and_what_to_do() {
        assert_eq!(
            NameError::NickTooLong(40).to_string(),
            "The nickname has 40 characters; use at most 32."
        );
        assert_eq!(
            NameError::NickCharacter('\u{202e}').to_string(),
            "The nickname has the character U+202E; use printable ASCII characters."
        );
    }
}
