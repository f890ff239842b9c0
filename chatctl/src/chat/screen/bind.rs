//! What each key does: a pure function of the key and of what is asked of the person at the moment.
//!
//! The keys are those of emacs, of bash's lines and of other chat clients. `KEYS` is their help.

use super::keys::{Code, Input, With};
use super::line::{Case, Edit, Reach};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    Nothing,
    /// Change the line, or move in it.
    Edit(Edit),
    /// Say or do what the line says.
    Submit,
    /// Complete the word at the cursor; the next candidate, or the one before.
    Complete(bool),
    /// A line that was typed before, or after.
    Recall(bool),
    /// Older or newer messages.
    Scroll(Scroll),
    /// The view of this number.
    See(usize),
    /// The next view, or the one before.
    Turn(bool),
    /// The next view with something unread.
    NextActive,
    /// End the talk, forget the line, or end it all.
    Interrupt,
    /// End it all, where nothing is typed.
    End,
    /// Call the daemon now.
    Reconnect,
    /// Draw all anew.
    Redraw,
    /// Leave the terminal to others until we are called back.
    Suspend,
    /// Show the help, or not.
    Help,
    /// Give the mouse to the terminal, or take it.
    Mouse,
    /// Text was pasted; whether there was more.
    Paste(String, bool),
    /// What to do with pasted lines.
    Answer(Answer),
    /// Away with what lies over the messages, and back to the newest of them.
    Cancel,
}

/// How far to scroll.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scroll {
    /// Most of a screen back.
    PageUp,
    /// And on.
    PageDown,
    /// A few lines back.
    Up,
    /// And on.
    Down,
    /// To the oldest that is here.
    Oldest,
    /// To the newest.
    Newest,
}

/// What to do with pasted lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// They go into the line, as one message.
    Insert,
    /// Each is said.
    ByLine,
    /// They are forgotten.
    Forget,
}

/// What keys mean at the moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mode {
    /// A line is typed.
    Typing,
    /// The help lies over the messages.
    Helping,
    /// Lines were pasted.
    Asking,
}

/// The help of the keys.
pub(super) const KEYS: &[(&str, &str)] = &[
    ("PageUp PageDown, wheel", "older and newer messages; at the top older ones are asked for"),
    ("Alt-< Alt-> Esc", "the oldest that is here; the newest"),
    ("Alt-A", "the next view with something unread"),
    ("Alt-1 .. Alt-9", "a view by its number"),
    ("Alt-Up Alt-Down", "the view before, the next one (also Alt-P Alt-N)"),
    ("Tab Shift-Tab", "complete a nickname, room or command"),
    ("Up Down", "what was typed before (also Ctrl-P Ctrl-N)"),
    ("Alt-Enter", "a line break; a paste of several lines is asked about"),
    ("Ctrl-A Ctrl-E", "beginning and end of the line (also Home End)"),
    ("Ctrl-B Ctrl-F, Alt-B Alt-F", "a character, a word back and on"),
    ("Ctrl-H Ctrl-D, Ctrl-W Alt-D", "delete a character, a word"),
    ("Ctrl-K Ctrl-U Ctrl-Y", "kill to the end, to the beginning; put it back"),
    ("Ctrl-T, Alt-U Alt-L Alt-C", "transpose; a word in large, small letters, one large"),
    ("Ctrl-C", "end the talk; or forget the line; or end (also Ctrl-D, /quit)"),
    ("Ctrl-R", "call the daemon now, while it is away"),
    ("Ctrl-Z, Ctrl-L, Alt-M", "suspend; draw all anew; the mouse is the terminal's, or ours"),
];

/// What this does now.
pub(super) fn bind(input: Input, mode: Mode) -> Act {
    match (mode, input) {
        (Mode::Asking, Input::Key(with, code)) => answer(with, code),
        (Mode::Asking, Input::Paste(..)) => Act::Nothing,
        (Mode::Helping, Input::Key(with, code)) => leaf(with, code),
        (_, Input::Wheel(up)) => Act::Scroll(if up { Scroll::Up } else { Scroll::Down }),
        (_, Input::Paste(text, is_cut)) => Act::Paste(text, is_cut),
        (Mode::Typing, Input::Key(With::Nothing, code)) => bare(code),
        (Mode::Typing, Input::Key(With::Ctrl, code)) => ctrl(code),
        (Mode::Typing, Input::Key(With::Alt, code)) => alt(code),
    }
}

/// A question about a paste is open.
fn answer(with: With, code: Code) -> Act {
    match (with, code) {
        (With::Nothing, Code::Enter | Code::Char('i' | 'y')) => Act::Answer(Answer::Insert),
        (With::Nothing, Code::Char('l')) => Act::Answer(Answer::ByLine),
        (With::Nothing, Code::Escape | Code::Char('n' | 'q'))
        | (With::Ctrl, Code::Char('c' | 'g')) => Act::Answer(Answer::Forget),
        (With::Ctrl, Code::Char('l')) => Act::Redraw,
        (With::Ctrl, Code::Char('z')) => Act::Suspend,
        _ => Act::Nothing,
    }
}

/// The help is read.
fn leaf(with: With, code: Code) -> Act {
    match (with, code) {
        (With::Nothing, Code::Up) => Act::Scroll(Scroll::Up),
        (With::Nothing, Code::Down) => Act::Scroll(Scroll::Down),
        (With::Nothing, Code::Home) => Act::Scroll(Scroll::Oldest),
        (With::Nothing, Code::End) => Act::Scroll(Scroll::Newest),
        (With::Nothing, Code::PageUp) => Act::Scroll(Scroll::PageUp),
        (With::Nothing, Code::PageDown | Code::Char(' ')) => Act::Scroll(Scroll::PageDown),
        (With::Nothing, Code::Enter | Code::Escape | Code::Help | Code::Char('q'))
        | (With::Ctrl, Code::Char('c' | 'd' | 'g')) => Act::Help,
        (With::Ctrl, Code::Char('l')) => Act::Redraw,
        (With::Ctrl, Code::Char('z')) => Act::Suspend,
        (With::Ctrl, Code::Char('r')) => Act::Reconnect,
        // Whoever types on does not read any more.
        (With::Nothing, Code::Char(_)) => bare(code),
        _ => Act::Nothing,
    }
}

fn bare(code: Code) -> Act {
    match code {
        Code::Char(c) => Act::Edit(Edit::Insert(c.to_string())),
        Code::Enter => Act::Submit,
        Code::Tab => Act::Complete(true),
        Code::BackTab => Act::Complete(false),
        Code::Backspace => Act::Edit(Edit::Delete(Reach::Left)),
        Code::Delete => Act::Edit(Edit::Delete(Reach::Right)),
        Code::Left => Act::Edit(Edit::Move(Reach::Left)),
        Code::Right => Act::Edit(Edit::Move(Reach::Right)),
        Code::Home => Act::Edit(Edit::Move(Reach::Start)),
        Code::End => Act::Edit(Edit::Move(Reach::End)),
        Code::Up => Act::Recall(false),
        Code::Down => Act::Recall(true),
        Code::PageUp => Act::Scroll(Scroll::PageUp),
        Code::PageDown => Act::Scroll(Scroll::PageDown),
        Code::Escape => Act::Cancel,
        Code::Help => Act::Help,
    }
}

fn ctrl(code: Code) -> Act {
    let edit = match code {
        Code::Char('a') => Edit::Move(Reach::Start),
        Code::Char('e') => Edit::Move(Reach::End),
        Code::Char('b') => Edit::Move(Reach::Left),
        Code::Char('f') => Edit::Move(Reach::Right),
        Code::Left => Edit::Move(Reach::WordLeft),
        Code::Right => Edit::Move(Reach::WordRight),
        Code::Char('k') => Edit::Kill(Reach::End),
        Code::Char('u') => Edit::Kill(Reach::Start),
        Code::Char('w') => Edit::Kill(Reach::SpaceLeft),
        Code::Delete => Edit::Kill(Reach::WordRight),
        Code::Char('y') => Edit::Yank,
        Code::Char('t') => Edit::Transpose,
        Code::Char('c') => return Act::Interrupt,
        Code::Char('d') => return Act::End,
        Code::Char('g') => return Act::Cancel,
        Code::Char('l') => return Act::Redraw,
        Code::Char('n') => return Act::Recall(true),
        Code::Char('p') => return Act::Recall(false),
        Code::Char('r') => return Act::Reconnect,
        Code::Char('v') => return Act::Scroll(Scroll::PageDown),
        Code::Char('z') => return Act::Suspend,
        Code::Home => return Act::Scroll(Scroll::Oldest),
        Code::End => return Act::Scroll(Scroll::Newest),
        Code::PageUp => return Act::Turn(false),
        Code::PageDown => return Act::Turn(true),
        _ => return Act::Nothing,
    };
    Act::Edit(edit)
}

fn alt(code: Code) -> Act {
    let edit = match code {
        Code::Char('b') | Code::Left => Edit::Move(Reach::WordLeft),
        Code::Char('f') | Code::Right => Edit::Move(Reach::WordRight),
        Code::Char('d') => Edit::Kill(Reach::WordRight),
        Code::Backspace => Edit::Kill(Reach::WordLeft),
        Code::Char('u') => Edit::Case(Case::Upper),
        Code::Char('l') => Edit::Case(Case::Lower),
        Code::Char('c') => Edit::Case(Case::Title),
        Code::Enter => Edit::Insert("\n".to_owned()),
        Code::Char('a') => return Act::NextActive,
        Code::Char('m') => return Act::Mouse,
        Code::Char('n') | Code::Down => return Act::Turn(true),
        Code::Char('p') | Code::Up => return Act::Turn(false),
        Code::Char('v') => return Act::Scroll(Scroll::PageUp),
        Code::Char('<') => return Act::Scroll(Scroll::Oldest),
        Code::Char('>') => return Act::Scroll(Scroll::Newest),
        Code::Char(digit @ '1'..='9') => {
            return Act::See(digit.to_digit(10).map_or(0, |digit| digit as usize));
        }
        _ => return Act::Nothing,
    };
    Act::Edit(edit)
}

#[cfg(test)]
mod tests {
    use super::{Act, Answer, KEYS, Mode, Scroll, bind};
    use crate::chat::screen::keys::Keys;
    use crate::chat::screen::line::{Edit, Reach};

    /// What these bytes of a terminal do.
    fn acts(bytes: &[u8], mode: Mode) -> Vec<Act> {
        let mut keys = Keys::default();
        let mut inputs = keys.feed(bytes);
        inputs.extend(keys.settle());
        inputs.into_iter().map(|input| bind(input, mode)).collect()
    }

    #[test]
    fn keys_do_what_their_help_says() {
        for (bytes, act) in [
            (&b"a"[..], Act::Edit(Edit::Insert("a".to_owned()))),
            (b"\r", Act::Submit),
            (b"\t", Act::Complete(true)),
            (b"\x1b[Z", Act::Complete(false)),
            (b"\x1b[A", Act::Recall(false)),
            (b"\x10", Act::Recall(false)),
            (b"\x0e", Act::Recall(true)),
            (b"\x1b[5~", Act::Scroll(Scroll::PageUp)),
            (b"\x1b[<64;1;1M", Act::Scroll(Scroll::Up)),
            (b"\x1b>", Act::Scroll(Scroll::Newest)),
            (b"\x1ba", Act::NextActive),
            (b"\x1b3", Act::See(3)),
            (b"\x1b[1;3B", Act::Turn(true)),
            (b"\x01", Act::Edit(Edit::Move(Reach::Start))),
            (b"\x05", Act::Edit(Edit::Move(Reach::End))),
            (b"\x0b", Act::Edit(Edit::Kill(Reach::End))),
            (b"\x15", Act::Edit(Edit::Kill(Reach::Start))),
            (b"\x17", Act::Edit(Edit::Kill(Reach::SpaceLeft))),
            (b"\x19", Act::Edit(Edit::Yank)),
            (b"\x14", Act::Edit(Edit::Transpose)),
            (b"\x1bb", Act::Edit(Edit::Move(Reach::WordLeft))),
            (b"\x1bf", Act::Edit(Edit::Move(Reach::WordRight))),
            (b"\x1b\r", Act::Edit(Edit::Insert("\n".to_owned()))),
            (b"\x03", Act::Interrupt),
            (b"\x04", Act::End),
            (b"\x12", Act::Reconnect),
            (b"\x1a", Act::Suspend),
            (b"\x0c", Act::Redraw),
            (b"\x1bOP", Act::Help),
            (b"\x1b", Act::Cancel),
            (b"\x1b[200~a\rb\x1b[201~", Act::Paste("a\nb".to_owned(), false)),
        ] {
            assert_eq!(acts(bytes, Mode::Typing), [act], "{bytes:?}");
        }
        assert!(KEYS.iter().all(|(keys, does)| keys.len() <= 28 && !does.is_empty()));
    }

    #[test]
    fn while_something_is_asked_keys_only_answer() {
        for (bytes, answer) in [
            (&b"\r"[..], Answer::Insert),
            (b"l", Answer::ByLine),
            (b"\x1b", Answer::Forget),
            (b"\x03", Answer::Forget),
        ] {
            assert_eq!(acts(bytes, Mode::Asking), [Act::Answer(answer)]);
        }
        assert_eq!(acts(b"x\x1b[200~x\x1b[201~", Mode::Asking), [Act::Nothing, Act::Nothing]);
    }

    #[test]
    fn the_help_is_read_and_closed() {
        assert_eq!(acts(b"\x1b[B", Mode::Helping), [Act::Scroll(Scroll::Down)]);
        for bytes in [&b"q"[..], b"\x1b", b"\x03", b"\r", b"\x1bOP"] {
            assert_eq!(acts(bytes, Mode::Helping), [Act::Help]);
        }
        assert_eq!(acts(b"x", Mode::Helping), acts(b"x", Mode::Typing));
        assert_eq!(acts(b"\t\x01", Mode::Helping), [Act::Nothing, Act::Nothing]);
    }
}
