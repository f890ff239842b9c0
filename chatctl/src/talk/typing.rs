//! What a person types, or a pipe brings, as messages and commands of a talk.
//!
//! On a terminal a line that begins with a slash is a command, and Ctrl-D is not the end of everything: what comes behind it is
//! read anew. From a pipe every line is a message, whatever it begins with. It knows no peer.

use crate::direct::CONTENT_BYTES_MAX;
use crate::failure::Failure;
use crate::input::{Cut, Input, Piece};
use crate::send::opened;
use std::io::{self, IsTerminal};
use std::os::fd::BorrowedFd;

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A message.
    Say(Vec<u8>),
    /// A message that is too long, of so many bytes or more.
    TooLong(usize),
    /// A command: the talk is to end.
    Quit,
    /// A command: how does one use this?
    Help,
    /// A command: how long do messages take?
    RoundTrips,
    /// A command that there is not.
    Unknown(String),
    /// The end: Ctrl-D, or that of the pipe.
    End,
}

/// The keyboard, or the pipe.
pub(super) struct Typing {
    input: Input,
    cut: Cut,
    terminal: bool,
    next: Option<Typed>,
    ended: bool,
}

impl Typing {
    /// Reads stdin: a message is a line, or all up to the end.
    pub(super) fn new(at_eof: bool) -> Result<Self, Failure> {
        let cut = if at_eof { Cut::Whole { raw: false } } else { Cut::At(b'\n') };
        let input = Input::new(opened(None)?, cut, CONTENT_BYTES_MAX);
        let terminal = io::stdin().is_terminal();
        Ok(Self { input, cut, terminal, next: None, ended: false })
    }

    /// Whether a person types.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Whether a pipe has come to its end, and all of it was taken.
    pub(super) fn is_ended(&self) -> bool {
        self.ended
    }

    /// Where to wait for more; `None` where there is none, or something waits to be taken.
    pub(super) fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.input.descriptor().filter(|_| self.next.is_none())
    }

    /// Reads once. Called when the descriptor is readable.
    pub(super) fn read(&mut self) -> Result<(), Failure> {
        self.input.read().map_err(|error| Failure::file("stdin", &error))
    }

    /// What comes next; it stays the next until it is taken.
    pub(super) fn look(&mut self) -> Result<Option<&Typed>, Failure> {
        while self.next.is_none() {
            let Some(piece) = self.input.take() else {
                if !self.input.is_done() || self.ended {
                    break;
                }
                self.end()?;
                continue;
            };
            self.next = self.understand(piece);
            // All up to the end is one message; Ctrl-D on a terminal ends only that.
            if self.cut != Cut::At(b'\n') && self.terminal {
                self.again()?;
            }
        }
        Ok(self.next.as_ref())
    }

    /// Takes what comes next.
    pub(super) fn take(&mut self) -> Option<Typed> {
        self.next.take()
    }

    fn understand(&self, piece: Piece) -> Option<Typed> {
        let content = match piece {
            Piece::TooLong { bytes, .. } => return Some(Typed::TooLong(bytes)),
            Piece::Message(content) => content,
        };
        match self.cut {
            Cut::Whole { .. } if content.is_empty() => self.terminal.then_some(Typed::End),
            Cut::At(_) if content.is_empty() => None,
            Cut::At(_) if self.terminal => Some(command(content)),
            Cut::Whole { .. } | Cut::At(_) => Some(Typed::Say(content)),
        }
    }

    fn end(&mut self) -> Result<(), Failure> {
        self.next = Some(Typed::End);
        if self.terminal {
            return self.again();
        }
        self.ended = true;
        Ok(())
    }

    /// A terminal gives more behind its end.
    fn again(&mut self) -> Result<(), Failure> {
        self.input = Input::new(opened(None)?, self.cut, CONTENT_BYTES_MAX);
        Ok(())
    }
}

/// A line that a person typed: a command where it begins with one slash, of which a second one is no part.
fn command(line: Vec<u8>) -> Typed {
    let Some(rest) = line.strip_prefix(b"/") else { return Typed::Say(line) };
    if rest.starts_with(b"/") {
        return Typed::Say(rest.to_vec());
    }
    match rest.trim_ascii() {
        b"quit" | b"q" => Typed::Quit,
        b"help" | b"?" => Typed::Help,
        b"rtt" => Typed::RoundTrips,
        other => Typed::Unknown(String::from_utf8_lossy(other).into_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{Typed, command};

    #[test]
    fn a_line_is_a_message_unless_it_begins_with_one_slash() {
        let typed = |line: &[u8]| command(line.to_vec());
        assert_eq!(typed(b"hello /quit"), Typed::Say(b"hello /quit".to_vec()));
        assert_eq!(typed(b"//etc"), Typed::Say(b"/etc".to_vec()));
        assert_eq!(typed(b"\xff/"), Typed::Say(b"\xff/".to_vec()));
        assert_eq!((typed(b"/quit"), typed(b"/rtt ")), (Typed::Quit, Typed::RoundTrips));
        assert_eq!(typed(b"/help"), Typed::Help);
        assert_eq!(typed(b"/join x"), Typed::Unknown("join x".to_owned()));
    }
}
