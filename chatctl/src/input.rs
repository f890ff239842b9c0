//! Where the messages of `send` come from: words of the command line, or stdin or a file, whole or cut at
//! line ends or NUL bytes.
//!
//! It reads when its descriptor is readable and never waits on its own; it keeps no more than one message
//! and one read. It knows no daemon.

use nix::poll::{PollFd, PollFlags};
use proto::Span;
use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};

/// How much is read at once.
const READ_BYTES_MAX: usize = 64 << 10;

/// How far a message that is too long is still counted, so that its size can be said.
const COUNTED_BYTES_MAX: usize = 64 << 20;

const _: () = assert!(READ_BYTES_MAX < COUNTED_BYTES_MAX);

/// Where a message ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// At the end of the input; one last newline is removed, or kept.
    Whole {
        /// Whether the last newline stays.
        raw: bool,
    },
    /// Before each of these bytes; what follows the last one is a message too.
    At(u8),
}

/// What is to be sent, or why it cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// A message.
    Message(Vec<u8>),
    /// A message over the limit: its size, and whether that is only how far it was counted.
    TooLong {
        /// Bytes seen.
        bytes: usize,
        /// There are more than these.
        more: bool,
    },
}

/// The messages, as far as they have been read.
pub struct Input {
    source: Option<File>,
    cutter: Cutter,
}

impl Input {
    /// Messages from a file or from stdin, each at most `limit` bytes.
    pub fn new(source: File, cut: Cut, limit: usize) -> Self {
        Self { source: Some(source), cutter: Cutter::new(cut, limit) }
    }

    /// One message that is there already.
    pub fn of(message: &[u8], limit: usize) -> Self {
        let mut cutter = Cutter::new(Cut::Whole { raw: true }, limit);
        cutter.take(message);
        cutter.end();
        Self { source: None, cutter }
    }

    /// The next message that has been read.
    pub fn take(&mut self) -> Option<Piece> {
        self.cutter.pieces.pop_front()
    }

    /// The messages that have been read and not taken.
    pub fn waiting(&self) -> impl Iterator<Item = &[u8]> {
        self.cutter.pieces.iter().filter_map(|piece| match piece {
            Piece::Message(message) => Some(message.as_slice()),
            Piece::TooLong { .. } => None,
        })
    }

    /// Nothing more is read; what is no whole message yet is forgotten.
    pub fn stop(&mut self) {
        (self.source, self.cutter.part) = (None, Vec::new());
    }

    /// Whether there is something to read, or nothing will come any more.
    pub fn is_ready(&self) -> bool {
        let Some(source) = &self.source else { return true };
        let mut fds = [PollFd::new(source.as_fd(), PollFlags::POLLIN)];
        let polled = crate::client::poll(&mut fds, Some(Span::from_micros(0)));
        polled.is_ok() && fds[0].any() == Some(true)
    }

    /// Where to wait for more; `None` at the end of the input.
    pub fn descriptor(&self) -> Option<BorrowedFd<'_>> {
        self.source.as_ref().map(AsFd::as_fd)
    }

    /// Whether everything has been read and taken.
    pub fn is_done(&self) -> bool {
        self.source.is_none() && self.cutter.pieces.is_empty()
    }

    /// Reads once. Called when the descriptor is readable.
    pub fn read(&mut self) -> io::Result<()> {
        let Some(source) = &mut self.source else { return Ok(()) };
        let mut bytes = vec![0; READ_BYTES_MAX];
        match source.read(&mut bytes) {
            Ok(0) => {
                self.cutter.end();
                self.source = None;
            }
            Ok(count) => {
                self.cutter.take(bytes.get(..count).unwrap_or_default());
                // An endless message cannot be sent, however long one reads on.
                if self.cutter.over > COUNTED_BYTES_MAX {
                    self.cutter.end();
                    self.source = None;
                }
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Bytes to messages; any chunking of the bytes gives the same messages.
struct Cutter {
    cut: Cut,
    limit: usize,
    part: Vec<u8>,
    /// Bytes of the present message that were counted and not kept.
    over: usize,
    /// Whether the last of these was a newline.
    newline: bool,
    pieces: VecDeque<Piece>,
}

impl Cutter {
    fn new(cut: Cut, limit: usize) -> Self {
        let (part, pieces) = (Vec::new(), VecDeque::new());
        Self { cut, limit, part, over: 0, newline: false, pieces }
    }

    fn take(&mut self, bytes: &[u8]) {
        let Cut::At(end) = self.cut else { return self.keep(bytes) };
        let mut rest = bytes;
        while let Some(at) = rest.iter().position(|byte| *byte == end) {
            self.keep(rest.get(..at).unwrap_or_default());
            self.finish();
            rest = rest.get(at + 1..).unwrap_or_default();
        }
        self.keep(rest);
    }

    fn keep(&mut self, bytes: &[u8]) {
        // One byte more than the limit: it may be the newline that is removed at the end.
        let space = (self.limit + 1).saturating_sub(self.part.len()).min(bytes.len());
        let (kept, over) = bytes.split_at(space);
        self.part.extend_from_slice(kept);
        self.over += over.len();
        self.newline = bytes.last().map_or(self.newline, |last| *last == b'\n');
    }

    fn finish(&mut self) {
        let mut part = std::mem::take(&mut self.part);
        let over = std::mem::take(&mut self.over);
        let bytes = part.len() + over;
        if bytes > self.limit {
            let more = over > COUNTED_BYTES_MAX;
            self.pieces.push_back(Piece::TooLong { bytes, more });
        } else {
            part.shrink_to_fit();
            self.pieces.push_back(Piece::Message(part));
        }
    }

    fn end(&mut self) {
        match self.cut {
            Cut::Whole { raw } => {
                if !raw && self.newline {
                    if self.over > 0 {
                        self.over -= 1;
                    } else {
                        self.part.pop();
                    }
                }
                self.finish();
            }
            Cut::At(_) if self.part.is_empty() && self.over == 0 => {}
            Cut::At(_) => self.finish(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Cut, Cutter, Piece};
    use proptest::prelude::*;

    fn cut(input: &[u8], cut: Cut, limit: usize) -> Vec<Piece> {
        let mut cutter = Cutter::new(cut, limit);
        cutter.take(input);
        cutter.end();
        cutter.pieces.into()
    }

    fn message(text: &str) -> Piece {
        Piece::Message(text.as_bytes().to_vec())
    }

    #[test]
    fn exactly_one_last_newline_is_removed() {
        let whole = Cut::Whole { raw: false };
        assert_eq!(cut(b"a\n", whole, 9), [message("a")]);
        assert_eq!(cut(b"a\n\n", whole, 9), [message("a\n")]);
        assert_eq!(cut(b"a\nb", whole, 9), [message("a\nb")]);
        assert_eq!(cut(b"", whole, 9), [message("")]);
        assert_eq!(cut(b"a\n", Cut::Whole { raw: true }, 9), [message("a\n")]);
    }

    #[test]
    fn lines_and_nul_separate_messages() {
        assert_eq!(cut(b"a\n\nb", Cut::At(b'\n'), 9), [message("a"), message(""), message("b")]);
        assert_eq!(cut(b"a\n", Cut::At(b'\n'), 9), [message("a")]);
        assert_eq!(cut(b"a\nb\0c\0", Cut::At(0), 9), [message("a\nb"), message("c")]);
        assert_eq!(cut(b"", Cut::At(0), 9), []);
    }

    #[test]
    fn the_limit_holds_after_the_newline_is_removed() {
        let whole = Cut::Whole { raw: false };
        assert_eq!(cut(b"abc\n", whole, 3), [message("abc")]);
        assert_eq!(cut(b"abcd\n", whole, 3), [Piece::TooLong { bytes: 4, more: false }]);
        assert_eq!(cut(b"abcdef", whole, 3), [Piece::TooLong { bytes: 6, more: false }]);
        let lines = cut(b"abcd\nabc\n", Cut::At(b'\n'), 3);
        assert_eq!(lines, [Piece::TooLong { bytes: 4, more: false }, message("abc")]);
    }

    proptest! {
        #[test]
        fn any_chunking_gives_the_same_messages(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200),
            chunk in 1_usize..20,
            how in prop_oneof![
                Just(Cut::Whole { raw: true }),
                Just(Cut::Whole { raw: false }),
                Just(Cut::At(b'\n')),
                Just(Cut::At(0)),
            ],
            limit in 0_usize..30,
        ) {
            let mut cutter = Cutter::new(how, limit);
            input.chunks(chunk).for_each(|bytes| cutter.take(bytes));
            cutter.end();
            prop_assert_eq!(Vec::from(cutter.pieces), cut(&input, how, limit));
        }
    }
}
