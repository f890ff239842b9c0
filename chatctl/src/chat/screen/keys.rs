//! Bytes of a terminal to keys, pasted text and turns of the wheel; any chunking of the bytes gives the same.
//!
//! It reads nothing and knows no time. A lone escape byte could be the Escape key or the beginning of a longer sequence: it is kept
//! until more comes, or until whoever drives this says that nothing more came (`settle`).

/// No sequence of a terminal that is known here is longer.
const SEQUENCE_BYTES_MAX: usize = 64;

/// What a sequence has between its beginning and its last byte.
const PARAMETER_BYTES_MAX: usize = SEQUENCE_BYTES_MAX - 4;

/// More is not taken in one paste: no daemon takes a message as long.
pub(super) const PASTE_BYTES_MAX: usize = 1 << 20;

const _: () = assert!(SEQUENCE_BYTES_MAX < PASTE_BYTES_MAX);

/// What a terminal puts around pasted text.
const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// One that writes.
    Char(char),
    /// Return.
    Enter,
    /// Tab.
    Tab,
    /// Shift and Tab.
    BackTab,
    /// Deletes to the left.
    Backspace,
    /// Deletes to the right.
    Delete,
    /// An arrow.
    Left,
    /// An arrow.
    Right,
    /// An arrow.
    Up,
    /// An arrow.
    Down,
    /// To the beginning.
    Home,
    /// To the end.
    End,
    /// A screen back.
    PageUp,
    /// A screen on.
    PageDown,
    /// Escape.
    Escape,
    /// F1.
    Help,
}

/// What is held with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// Nothing, or Shift.
    Nothing,
    /// Control.
    Ctrl,
    /// Alt, whatever else.
    Alt,
}

/// What somebody did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// A key.
    Key(With, Code),
    /// Text was pasted; whether there was more than is taken.
    Paste(String, bool),
    /// The wheel was turned: up, to what is older, or down.
    Wheel(bool),
}

/// What the first bytes are.
enum First {
    /// This, and it takes so many bytes; nothing, where it is a sequence that means nothing here.
    Is(Option<Input>, usize),
    /// More bytes are needed to tell.
    Open,
}

/// The bytes that have no meaning yet.
#[derive(Debug, Default)]
pub(super) struct Keys {
    bytes: Vec<u8>,
    pasted: Option<Pasted>,
}

/// What was pasted so far.
#[derive(Debug, Default)]
struct Pasted {
    bytes: Vec<u8>,
    is_cut: bool,
}

impl Keys {
    /// What these bytes say, behind those that came before.
    pub(super) fn feed(&mut self, bytes: &[u8]) -> Vec<Input> {
        self.bytes.extend_from_slice(bytes);
        self.taken(false)
    }

    /// Whether something could be a key, or the beginning of one.
    pub(super) fn is_open(&self) -> bool {
        !self.bytes.is_empty() && self.pasted.is_none()
    }

    /// Nothing more came: what is there is all there is.
    pub(super) fn settle(&mut self) -> Vec<Input> {
        self.taken(true)
    }

    fn taken(&mut self, is_all: bool) -> Vec<Input> {
        let mut inputs = Vec::new();
        let mut at = 0;
        while let Some(rest) = self.bytes.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some(pasted) = &mut self.pasted {
                let (used, is_over) = pasted.take(rest);
                at += used;
                if !is_over {
                    break;
                }
                inputs.extend(self.pasted.take().map(Pasted::input));
                continue;
            }
            if rest.starts_with(PASTE_BEGIN) {
                self.pasted = Some(Pasted::default());
                at += PASTE_BEGIN.len();
                continue;
            }
            match first(rest, is_all) {
                First::Is(input, used) => {
                    inputs.extend(input);
                    at += used;
                }
                First::Open => break,
            }
        }
        self.bytes.drain(..at);
        assert!(
            self.bytes.len() <= SEQUENCE_BYTES_MAX,
            "what is open is at most the beginning of a sequence"
        );
        inputs
    }
}

impl Pasted {
    /// Takes what is pasted text; how many bytes that was, and whether the paste is over.
    fn take(&mut self, bytes: &[u8]) -> (usize, bool) {
        let end = bytes.windows(PASTE_END.len()).position(|window| window == PASTE_END);
        let text = match end {
            Some(end) => end,
            // The end may have begun.
            None => (0..PASTE_END.len())
                .rev()
                .find(|begun| bytes.ends_with(PASTE_END.get(..*begun).unwrap_or_default()))
                .map_or(bytes.len(), |begun| bytes.len() - begun),
        };
        let room = PASTE_BYTES_MAX - self.bytes.len();
        self.is_cut |= text > room;
        self.bytes.extend_from_slice(bytes.get(..text.min(room)).unwrap_or_default());
        end.map_or((text, false), |end| (end + PASTE_END.len(), true))
    }

    fn input(self) -> Input {
        // A terminal sends Return for each end of a line.
        let text = String::from_utf8_lossy(&self.bytes).replace("\r\n", "\n").replace('\r', "\n");
        Input::Paste(text, self.is_cut)
    }
}

/// What the bytes begin with.
fn first(bytes: &[u8], is_all: bool) -> First {
    let open = |bare: First| if is_all { bare } else { First::Open };
    let escape = || First::Is(Some(Input::Key(With::Nothing, Code::Escape)), 1);
    match bytes {
        // A second one would be Alt with an arrow, as some terminals say it, or Escape pressed again.
        [0x1b] | [0x1b, 0x1b] => open(escape()),
        [0x1b, b'['] => open(First::Is(Some(alt(Code::Char('['))), 2)),
        [0x1b, b'O'] => open(First::Is(Some(alt(Code::Char('O'))), 2)),
        [0x1b, b'[', rest @ ..] => match control_sequence(rest) {
            First::Open => open(First::Is(None, bytes.len())),
            First::Is(input, used) => First::Is(input, used + 2),
        },
        [0x1b, b'O', last, ..] => {
            First::Is(arrow(*last).map(|code| Input::Key(With::Nothing, code)), 3)
        }
        [0x1b, 0x1b, next, ..] if !matches!(next, b'[' | b'O') => escape(),
        [0x1b, rest @ ..] => match first(rest, is_all) {
            First::Open => First::Open,
            First::Is(Some(Input::Key(_, code)), used) => First::Is(Some(alt(code)), used + 1),
            First::Is(other, used) => First::Is(other, used + 1),
        },
        _ => character(bytes, is_all),
    }
}

fn alt(code: Code) -> Input {
    Input::Key(With::Alt, code)
}

/// A key that writes, or one with Control.
fn character(bytes: &[u8], is_all: bool) -> First {
    let Some(&byte) = bytes.first() else { return First::Open };
    let key = |with, code| First::Is(Some(Input::Key(with, code)), 1);
    match byte {
        b'\r' | b'\n' => return key(With::Nothing, Code::Enter),
        b'\t' => return key(With::Nothing, Code::Tab),
        0x7f | 0x08 => return key(With::Nothing, Code::Backspace),
        0 => return First::Is(None, 1),
        0x01..=0x1f => {
            return key(With::Ctrl, Code::Char(char::from(byte | 0x40).to_ascii_lowercase()));
        }
        _ => {}
    }
    let length = match byte {
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        _ => 1,
    };
    let whole = bytes.get(..length).unwrap_or(bytes);
    match std::str::from_utf8(whole) {
        Ok(text) => {
            let c = text.chars().next().unwrap_or(char::REPLACEMENT_CHARACTER);
            First::Is(Some(Input::Key(With::Nothing, Code::Char(c))), whole.len())
        }
        Err(error) if error.error_len().is_none() && !is_all => First::Open,
        Err(_) => key(With::Nothing, Code::Char(char::REPLACEMENT_CHARACTER)),
    }
}

/// What follows `ESC [`.
fn control_sequence(bytes: &[u8]) -> First {
    // The keys F1 to F5 of the Linux console.
    if bytes.first() == Some(&b'[') {
        let help = bytes.get(1).filter(|last| **last == b'A');
        let input = help.map(|_| Input::Key(With::Nothing, Code::Help));
        return if bytes.len() > 1 { First::Is(input, 2) } else { First::Open };
    }
    let is_last = |byte: &u8| !(0x20..=0x3f).contains(byte);
    let Some(end) = bytes.iter().take(PARAMETER_BYTES_MAX).position(is_last) else {
        let is_too_long = bytes.len() >= PARAMETER_BYTES_MAX;
        return if is_too_long { First::Is(None, PARAMETER_BYTES_MAX) } else { First::Open };
    };
    let (parameters, last) = (bytes.get(..end).unwrap_or_default(), bytes.get(end).copied());
    let parameters = std::str::from_utf8(parameters).unwrap_or_default();
    let last = last.unwrap_or_default();
    if last == 0x1b {
        // It was broken off: another one begins.
        return First::Is(None, end);
    }
    if let Some(mouse) = parameters.strip_prefix('<') {
        let button = mouse.split(';').next().unwrap_or_default();
        let wheel = match button {
            "64" if last == b'M' => Some(Input::Wheel(true)),
            "65" if last == b'M' => Some(Input::Wheel(false)),
            _ => None,
        };
        return First::Is(wheel, end + 1);
    }
    let mut numbers = parameters.split(';').map(|number| number.parse::<u16>().unwrap_or(1));
    let (number, held) = (numbers.next().unwrap_or(1), numbers.next().unwrap_or(1));
    let code = match last {
        b'~' => numbered(number),
        b'Z' => Some(Code::BackTab),
        _ => arrow(last),
    };
    let with = match held.saturating_sub(1) {
        bits if bits & 0b1010 != 0 => With::Alt,
        bits if bits & 0b0100 != 0 => With::Ctrl,
        _ => With::Nothing,
    };
    First::Is(code.map(|code| Input::Key(with, code)), end + 1)
}

fn arrow(last: u8) -> Option<Code> {
    Some(match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'M' => Code::Enter,
        b'P' => Code::Help,
        _ => return None,
    })
}

fn numbered(number: u16) -> Option<Code> {
    Some(match number {
        1 | 7 => Code::Home,
        3 => Code::Delete,
        4 | 8 => Code::End,
        5 => Code::PageUp,
        6 => Code::PageDown,
        11 => Code::Help,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::{Code, Input, Keys, PASTE_BYTES_MAX, With};
    use proptest::prelude::*;

    fn keys(bytes: &[u8]) -> Vec<Input> {
        let mut keys = Keys::default();
        let mut inputs = keys.feed(bytes);
        inputs.extend(keys.settle());
        inputs
    }

    fn key(bytes: &[u8]) -> Input {
        let inputs = keys(bytes);
        assert_eq!(inputs.len(), 1, "{bytes:?} is one key, not {inputs:?}");
        inputs.into_iter().next().expect("one")
    }

    #[test]
    fn each_sequence_is_its_key() {
        use Code::{BackTab, Backspace, Char, Delete, Down, End, Enter, Escape, Help, Home, Left};
        use Code::{PageDown, PageUp, Right, Tab, Up};
        for (bytes, with, code) in [
            (&b"a"[..], With::Nothing, Char('a')),
            ("\u{e9}".as_bytes(), With::Nothing, Char('\u{e9}')),
            ("\u{1f600}".as_bytes(), With::Nothing, Char('\u{1f600}')),
            (b"\r", With::Nothing, Enter),
            (b"\t", With::Nothing, Tab),
            (b"\x1b[Z", With::Nothing, BackTab),
            (b"\x7f", With::Nothing, Backspace),
            (b"\x01", With::Ctrl, Char('a')),
            (b"\x1a", With::Ctrl, Char('z')),
            (b"\x1ba", With::Alt, Char('a')),
            (b"\x1b1", With::Alt, Char('1')),
            (b"\x1b\x7f", With::Alt, Backspace),
            (b"\x1b\r", With::Alt, Enter),
            (b"\x1b", With::Nothing, Escape),
            (b"\x1b[A", With::Nothing, Up),
            (b"\x1bOB", With::Nothing, Down),
            (b"\x1b[1;5C", With::Ctrl, Right),
            (b"\x1b[1;3D", With::Alt, Left),
            (b"\x1b\x1b[D", With::Alt, Left),
            (b"\x1b[1;2D", With::Nothing, Left),
            (b"\x1b[H", With::Nothing, Home),
            (b"\x1b[4~", With::Nothing, End),
            (b"\x1b[3~", With::Nothing, Delete),
            (b"\x1b[5~", With::Nothing, PageUp),
            (b"\x1b[6;5~", With::Ctrl, PageDown),
            (b"\x1bOP", With::Nothing, Help),
            (b"\x1b[[A", With::Nothing, Help),
        ] {
            assert_eq!(key(bytes), Input::Key(with, code), "{bytes:?}");
        }
        assert_eq!(key(b"\x1b[<64;10;5M"), Input::Wheel(true));
        assert_eq!(key(b"\x1b[<65;1;1M"), Input::Wheel(false));
        assert_eq!(keys(b"\x1b[<0;1;1M\x1b[<0;1;1m\x1b[I\x1b[?1;2c\x1b[99~"), []);
    }

    #[test]
    fn a_paste_is_text_whatever_is_in_it() {
        let inputs = keys(b"\x1b[200~one\rtwo\x1b[A\x1b[201~x");
        let x = Input::Key(With::Nothing, Code::Char('x'));
        assert_eq!(inputs, [Input::Paste("one\ntwo\u{1b}[A".to_owned(), false), x]);
        let long = [b"\x1b[200~", &vec![b'a'; PASTE_BYTES_MAX + 1][..], b"\x1b[201~"].concat();
        let Input::Paste(text, is_cut) = key(&long) else { panic!("no paste") };
        assert!(text.len() == PASTE_BYTES_MAX && is_cut);
    }

    #[test]
    fn what_may_go_on_is_waited_for() {
        let mut keys = Keys::default();
        assert_eq!(keys.feed(b"\x1b"), []);
        assert!(keys.is_open());
        assert_eq!(keys.settle(), [Input::Key(With::Nothing, Code::Escape)]);
        assert!(!keys.is_open());
        assert_eq!(keys.feed(b"\xc3"), []);
        assert_eq!(keys.feed(b"\xa9"), [Input::Key(With::Nothing, Code::Char('\u{e9}'))]);
        assert_eq!(keys.feed(b"\x1b[200~a"), []);
        assert!(!keys.is_open(), "a paste takes its time");
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same(
            parts in proptest::collection::vec(prop_oneof![
                Just(b"\x1b".to_vec()), Just(b"[".to_vec()), Just(b"200~".to_vec()),
                Just(b"\x1b[201~".to_vec()), Just(b"\x1b[1;5A".to_vec()), Just(b"O".to_vec()),
                Just(vec![0xc3]), Just(vec![0xa9]), proptest::collection::vec(any::<u8>(), 0..90),
            ], 0..12),
            at in any::<prop::sample::Index>(),
        ) {
            let bytes = parts.concat();
            let mut whole = Keys::default();
            let mut at_once = whole.feed(&bytes);
            at_once.extend(whole.settle());
            let (before, behind) = bytes.split_at(at.index(bytes.len() + 1));
            let mut keys = Keys::default();
            let mut in_two = keys.feed(before);
            in_two.extend(keys.feed(behind));
            in_two.extend(keys.settle());
            prop_assert_eq!(at_once, in_two);
            let pasted = whole.pasted.is_some();
            prop_assert!(pasted || whole.bytes.is_empty(), "nothing stays behind");
        }
    }
}
