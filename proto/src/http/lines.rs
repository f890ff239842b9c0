//! The line discipline of heads and trailers, one byte after the other (RFC 9112, sections 2.2 and 5).
//!
//! It looks for the empty line that ends a head, and refuses on the way what two readers could understand differently: a bare LF or
//! CR, a control character, a folded line, a space before a colon. A byte is looked at once, however the bytes are cut. What the
//! lines mean is not known here.

use super::fault::HttpFault;

/// The most fields of a head or of trailers: a browser sends some 20.
pub(crate) const FIELDS_MAX: u8 = 64;

/// How far the lines of a head or of trailers have come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Lines {
    at: At,
    fields: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    RequestLine,
    RequestLineCr,
    FieldStart,
    Name,
    Value,
    ValueCr,
    LastCr,
    End,
}

impl Lines {
    /// Before a head.
    pub(crate) const HEAD: Self = Self { at: At::RequestLine, fields: 0 };
    /// Before trailers: there is no request line.
    pub(crate) const TRAILERS: Self = Self { at: At::FieldStart, fields: 0 };

    /// Whether the request line has not ended.
    pub(crate) const fn in_request_line(self) -> bool {
        matches!(self.at, At::RequestLine | At::RequestLineCr)
    }

    /// Looks at bytes that were not looked at; returns how many of them belong to the lines, where those end here.
    ///
    /// # Errors
    /// What is wrong with a line.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Result<Option<usize>, HttpFault> {
        for (index, byte) in bytes.iter().enumerate() {
            self.at = self.step(*byte)?;
            if self.at == At::End {
                return Ok(Some(index.saturating_add(1)));
            }
        }
        Ok(None)
    }

    fn step(&mut self, byte: u8) -> Result<At, HttpFault> {
        match self.at {
            At::RequestLine => in_line(byte, At::RequestLine, At::RequestLineCr),
            At::Value => in_line(byte, At::Value, At::ValueCr),
            At::RequestLineCr | At::ValueCr => line_feed(byte, At::FieldStart),
            At::LastCr | At::End => line_feed(byte, At::End),
            At::FieldStart => match byte {
                b'\r' => Ok(At::LastCr),
                b'\n' => Err(HttpFault::LineEnd),
                b' ' | b'\t' => Err(HttpFault::Folded),
                byte if !is_token(byte) => Err(HttpFault::FieldName),
                _ if self.fields >= FIELDS_MAX => Err(HttpFault::FieldsTooMany),
                _ => {
                    self.fields = self.fields.saturating_add(1);
                    Ok(At::Name)
                }
            },
            At::Name if byte == b':' => Ok(At::Value),
            At::Name if is_token(byte) => Ok(At::Name),
            At::Name => Err(HttpFault::FieldName),
        }
    }
}

fn in_line(byte: u8, here: At, cr: At) -> Result<At, HttpFault> {
    match byte {
        b'\r' => Ok(cr),
        b'\n' => Err(HttpFault::LineEnd),
        b'\t' | b' '..=0x7e | 0x80.. => Ok(here),
        0..=0x1f | 0x7f => Err(HttpFault::Control),
    }
}

fn line_feed(byte: u8, next: At) -> Result<At, HttpFault> {
    if byte == b'\n' { Ok(next) } else { Err(HttpFault::LineEnd) }
}

/// A character of a token (RFC 9110, section 5.6.2).
pub(crate) const fn is_token(byte: u8) -> bool {
    matches!(
        byte,
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9'
            | b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`' | b'|' | b'~'
    )
}
