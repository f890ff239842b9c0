//! The machine that reads requests: bytes in, heads and pieces of bodies out (RFC 9112).
//!
//! A [`Reader`] holds no bytes. Its caller keeps what was not consumed (a head that has not ended, never anything of a body) and
//! offers it again with more behind it. Each byte of a head is looked at once while its end is searched for, and once more when
//! the head is taken apart. Any chunking of the bytes gives the same items, but for where a body is cut into pieces.
//!
//! Requests may be pipelined: the reader goes on with the next head as soon as it is offered bytes. Whoever drives it answers in
//! the same order (RFC 9112, section 9.3.2), simply by not offering the next one's bytes while an answer is owed.

use super::chunked::{Chunked, Piece};
use super::fault::HttpFault;
use super::head::{BodyLength, Head};
use super::lines::Lines;

/// The longest head in bytes, its empty line included: what nginx takes by default, and four times what browsers send.
pub const HEAD_BYTES_MAX: usize = 8 * 1024;

/// What the beginning of the offered bytes is.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// Nothing to be told: more bytes are needed.
    More,
    /// A request's head. Where its body has a length, pieces of it follow; else the request is whole.
    Head(Head<'a>),
    /// A piece of the body; the request is whole with the last one.
    Body {
        /// Its bytes, perhaps none.
        bytes: &'a [u8],
        /// Nothing of this request follows.
        last: bool,
    },
    /// The bytes cannot be read on: it is answered, and the connection is to be closed.
    Fault(HttpFault),
}

/// One step: an item, and how many of the offered bytes are done with.
#[derive(Clone, Debug, PartialEq)]
pub struct Step<'a> {
    /// Bytes that are not to be offered again.
    pub consumed: usize,
    /// What they were.
    pub item: Item<'a>,
}

/// Where a connection is in its requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reader {
    state: State,
    /// The request that is read is not the last one.
    keep_alive: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// Between two requests. One empty line is skipped (RFC 9112, section 2.2).
    Idle { skipped: bool },
    /// A head has begun; so many of the offered bytes were looked at.
    Head { lines: Lines, scanned: u16 },
    /// So many bytes of a body are to come.
    Length { left: u64 },
    /// A body in chunks.
    Chunked(Chunked),
    /// The last request is over: what follows it is not read.
    Over,
}

impl Default for Reader {
    fn default() -> Self {
        Self::new()
    }
}

impl Reader {
    /// A connection on which no request has begun.
    pub const fn new() -> Self {
        Self { state: State::Idle { skipped: false }, keep_alive: true }
    }

    /// Whether a request has begun that has not ended.
    pub const fn mid_request(&self) -> bool {
        matches!(self.state, State::Head { .. } | State::Length { .. } | State::Chunked(_))
    }

    /// The answer to the request that was read says `Connection: close`: nothing behind it is read (RFC 9112, section 9.6).
    pub const fn close(&mut self) {
        self.keep_alive = false;
        if let State::Idle { .. } = self.state {
            self.state = State::Over;
        }
    }

    /// The head that was read last is not taken yet: its bytes are to be offered again.
    pub const fn read_again(&mut self) {
        *self = Self::new();
    }

    /// Looks at the beginning of `bytes`: everything offered before and not consumed, and what came since. A body has at most
    /// `message` bytes.
    pub fn feed<'a>(&mut self, bytes: &'a [u8], message: usize) -> Step<'a> {
        let step = match self.state {
            State::Idle { skipped } => self.feed_idle(bytes, skipped, message),
            State::Head { lines, scanned } => self.feed_head(bytes, lines, scanned, message),
            State::Length { left } => Ok(self.feed_length(bytes, left)),
            State::Chunked(chunked) => self.feed_chunked(bytes, chunked, message),
            State::Over => Ok(Step { consumed: bytes.len(), item: Item::More }),
        };
        step.unwrap_or_else(|fault| {
            self.state = State::Over;
            Step { consumed: bytes.len(), item: Item::Fault(fault) }
        })
    }

    fn feed_idle<'a>(
        &mut self,
        bytes: &'a [u8],
        skipped: bool,
        message: usize,
    ) -> Result<Step<'a>, HttpFault> {
        match bytes {
            [] | [b'\r'] if !skipped => Ok(Step { consumed: 0, item: Item::More }),
            [b'\r', b'\n', rest @ ..] if !skipped => {
                self.state = State::Idle { skipped: true };
                let mut step = self.feed_idle(rest, true, message)?;
                step.consumed = step.consumed.saturating_add(2);
                Ok(step)
            }
            [] => Ok(Step { consumed: 0, item: Item::More }),
            [b'\r' | b'\n', ..] => Err(HttpFault::RequestLine),
            [_, ..] => self.feed_head(bytes, Lines::HEAD, 0, message),
        }
    }

    fn feed_head<'a>(
        &mut self,
        bytes: &'a [u8],
        mut lines: Lines,
        scanned: u16,
        message: usize,
    ) -> Result<Step<'a>, HttpFault> {
        let seen = bytes.get(..HEAD_BYTES_MAX).unwrap_or(bytes);
        let unseen = seen.get(usize::from(scanned)..).unwrap_or_default();
        let Some(end) = lines.scan(unseen)? else {
            if seen.len() < HEAD_BYTES_MAX {
                let scanned = u16::try_from(seen.len()).unwrap_or(u16::MAX);
                self.state = State::Head { lines, scanned };
                return Ok(Step { consumed: 0, item: Item::More });
            }
            let in_line = lines.in_request_line();
            return Err(if in_line { HttpFault::TargetTooLong } else { HttpFault::HeadTooLong });
        };
        let consumed = usize::from(scanned).saturating_add(end);
        let head = Head::parse(bytes.get(..consumed).unwrap_or_default())?;
        self.keep_alive &= head.keep_alive;
        match head.body {
            BodyLength::None => self.ended(),
            BodyLength::Bytes(left) if usize::try_from(left).is_ok_and(|left| left <= message) => {
                self.state = State::Length { left };
            }
            BodyLength::Bytes(_) => return Err(HttpFault::BodyTooLong),
            BodyLength::Chunked => self.state = State::Chunked(Chunked::NEW),
        }
        Ok(Step { consumed, item: Item::Head(head) })
    }

    fn feed_length<'a>(&mut self, bytes: &'a [u8], left: u64) -> Step<'a> {
        let here = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
        let left = left.saturating_sub(u64::try_from(here).unwrap_or(left));
        if here == 0 {
            return Step { consumed: 0, item: Item::More };
        }
        let last = left == 0;
        if last {
            self.ended();
        } else {
            self.state = State::Length { left };
        }
        let bytes = bytes.get(..here).unwrap_or_default();
        Step { consumed: here, item: Item::Body { bytes, last } }
    }

    fn feed_chunked<'a>(
        &mut self,
        bytes: &'a [u8],
        mut chunked: Chunked,
        message: usize,
    ) -> Result<Step<'a>, HttpFault> {
        let (consumed, piece) = chunked.feed(bytes, message)?;
        let item = match piece {
            Piece::More => Item::More,
            Piece::Data(bytes) => Item::Body { bytes, last: false },
            Piece::End => Item::Body { bytes: &[], last: true },
        };
        if piece == Piece::End {
            self.ended();
        } else {
            self.state = State::Chunked(chunked);
        }
        Ok(Step { consumed, item })
    }

    /// A request is whole.
    const fn ended(&mut self) {
        self.state = if self.keep_alive { State::Idle { skipped: false } } else { State::Over };
    }
}

#[cfg(test)]
mod tests;
