//! Chunked bodies (RFC 9112, section 7.1), decoded as they come and read strictly: two readers never see another end.
//!
//! It holds no bytes: what a chunk has is handed on as a piece of the bytes that were offered. Extensions and trailers are checked
//! and dropped.

use super::fault::HttpFault;
use super::lines::Lines;
use super::target::digit;

/// The most bytes of all chunks' extensions together: nobody needs them.
const EXTENSION_BYTES_MAX: u16 = 1_024;
/// The most bytes of all trailers together, which are dropped: a checksum or two.
const TRAILER_BYTES_MAX: u16 = 2_048;
/// The most digits of a chunk's size, so that it fits 32 bits.
const SIZE_DIGITS_MAX: u8 = 8;

/// How far a chunked body has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Chunked {
    at: At,
    /// The bytes of the chunks so far, the one that is read included.
    total: u32,
    /// The bytes of extensions so far.
    extra: u16,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum At {
    Size { size: u32, digits: u8 },
    Extension { size: u32 },
    SizeLf { size: u32 },
    Data { left: u32 },
    DataCr,
    DataLf,
    Trailers { lines: Lines, bytes: u16 },
}

/// What the beginning of the offered bytes was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Piece<'a> {
    /// Nothing of the body itself; more bytes are needed.
    More,
    /// A piece of the body.
    Data(&'a [u8]),
    /// The end of the body and of its trailers.
    End,
}

const SIZE: At = At::Size { size: 0, digits: 0 };

impl Chunked {
    /// Before the first chunk.
    pub(crate) const NEW: Self = Self { at: SIZE, total: 0, extra: 0 };

    /// Looks at the beginning of `bytes`; says how many of them are done with and what they were. All bytes together are at most
    /// `most`.
    ///
    /// # Errors
    /// What is wrong with a chunk.
    pub(crate) fn feed<'a>(
        &mut self,
        bytes: &'a [u8],
        most: usize,
    ) -> Result<(usize, Piece<'a>), HttpFault> {
        let mut rest = bytes;
        loop {
            let taken = bytes.len().saturating_sub(rest.len());
            match &mut self.at {
                At::Data { left } => {
                    let here = usize::try_from(*left).unwrap_or(usize::MAX).min(rest.len());
                    let data = rest.get(..here).unwrap_or_default();
                    *left = left.saturating_sub(u32::try_from(here).unwrap_or(*left));
                    if *left == 0 {
                        self.at = At::DataCr;
                    }
                    let piece = if here == 0 { Piece::More } else { Piece::Data(data) };
                    return Ok((taken.saturating_add(here), piece));
                }
                At::Trailers { lines, bytes: so_far } => {
                    let room = usize::from(TRAILER_BYTES_MAX.saturating_sub(*so_far));
                    let seen = rest.get(..room).unwrap_or(rest);
                    if let Some(end) = lines.scan(seen)? {
                        return Ok((taken.saturating_add(end), Piece::End));
                    }
                    if rest.len() >= room {
                        return Err(HttpFault::ChunkExtra);
                    }
                    *so_far = so_far.saturating_add(u16::try_from(seen.len()).unwrap_or(u16::MAX));
                    return Ok((bytes.len(), Piece::More));
                }
                At::Size { .. }
                | At::Extension { .. }
                | At::SizeLf { .. }
                | At::DataCr
                | At::DataLf => {
                    let Some((byte, after)) = rest.split_first() else {
                        return Ok((taken, Piece::More));
                    };
                    self.at = self.step(*byte, most)?;
                    rest = after;
                }
            }
        }
    }

    /// One byte between the chunks' data.
    fn step(&mut self, byte: u8, most: usize) -> Result<At, HttpFault> {
        match self.at {
            At::Size { size, digits } => match (digit(byte), byte) {
                (Some(_), _) if digits >= SIZE_DIGITS_MAX => Err(HttpFault::Chunk),
                (Some(digit), _) => {
                    let size = size.saturating_mul(16).saturating_add(u32::from(digit));
                    let all = usize::try_from(self.total.saturating_add(size));
                    if all.is_ok_and(|all| all <= most) {
                        Ok(At::Size { size, digits: digits.saturating_add(1) })
                    } else {
                        Err(HttpFault::BodyTooLong)
                    }
                }
                (None, b'\r') if digits > 0 => Ok(At::SizeLf { size }),
                (None, b';') if digits > 0 => self.extension(size),
                (None, _) => Err(HttpFault::Chunk),
            },
            At::Extension { size } => match byte {
                b'\r' => Ok(At::SizeLf { size }),
                b'\t' | b' '..=0x7e | 0x80.. => self.extension(size),
                0..=0x1f | 0x7f => Err(HttpFault::Chunk),
            },
            At::SizeLf { size } => {
                self.total = self.total.saturating_add(size);
                let next = match size {
                    0 => At::Trailers { lines: Lines::TRAILERS, bytes: 0 },
                    size => At::Data { left: size },
                };
                if byte == b'\n' { Ok(next) } else { Err(HttpFault::Chunk) }
            }
            At::DataCr if byte == b'\r' => Ok(At::DataLf),
            At::DataLf if byte == b'\n' => Ok(SIZE),
            At::DataCr | At::DataLf | At::Data { .. } | At::Trailers { .. } => {
                Err(HttpFault::Chunk)
            }
        }
    }

    /// One byte more of an extension.
    fn extension(&mut self, size: u32) -> Result<At, HttpFault> {
        self.extra = self.extra.saturating_add(1);
        if self.extra > EXTENSION_BYTES_MAX {
            return Err(HttpFault::ChunkExtra);
        }
        Ok(At::Extension { size })
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use super::*;

    /// The body and what is left of the bytes behind it, read whole and a byte at a time.
    fn read(bytes: &[u8]) -> Result<Option<(Vec<u8>, usize)>, HttpFault> {
        let whole = read_by(bytes, usize::MAX);
        assert_eq!(read_by(bytes, 1), whole, "one byte at a time");
        whole
    }

    fn read_by(bytes: &[u8], step: usize) -> Result<Option<(Vec<u8>, usize)>, HttpFault> {
        let (mut chunked, mut body, mut at) = (Chunked::NEW, vec![], 0_usize);
        while at < bytes.len() {
            let end = bytes.len().min(at.saturating_add(step));
            let (taken, piece) = chunked.feed(bytes.get(at..end).unwrap(), 100)?;
            at = at.saturating_add(taken);
            match piece {
                Piece::More => {}
                Piece::Data(data) => body.extend_from_slice(data),
                Piece::End => return Ok(Some((body, bytes.len().saturating_sub(at)))),
            }
        }
        Ok(None)
    }

    #[test]
    fn chunks_are_put_together() {
        let done = |text: &str, left| Ok(Some((text.as_bytes().to_vec(), left)));
        assert_eq!(read(b"0\r\n\r\n"), done("", 0));
        assert_eq!(
            read(b"3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\nGET"),
            done("abc0123456789", 3)
        );
        assert_eq!(read(b"3;a=\"b;c\" ; d\r\nabc\r\n0;x\r\nA: b\r\nC:\r\n\r\n"), done("abc", 0));
        assert_eq!(read(b"64\r\n"), Ok(None), "a hundred bytes are allowed");
        assert_eq!(read(b"3\r\nab"), Ok(None));
    }

    #[test]
    fn a_chunk_is_read_strictly() {
        for wrong in [
            &b"\r\n"[..],
            b";a\r\n",
            b" 3\r\n",
            b"3 \r\n",
            b"+3\r\n",
            b"0x3\r\n",
            b"-1\r\n",
            b"3\nabc",
            b"3\rabc",
            b"3;a\nabc",
            b"3;a\rb",
            b"3;a\0",
            b"3\r\nabcd\r\n",
            b"3\r\nabc\n",
            b"3\r\nabc\rx",
            b"000000003\r\n",
        ] {
            assert_eq!(read(wrong), Err(HttpFault::Chunk), "{}", wrong.escape_ascii());
        }
        for (wrong, fault) in [
            (&b"0\r\n x: y\r\n"[..], HttpFault::Folded),
            (b"0\r\nx : y\r\n", HttpFault::FieldName),
            (b"0\r\nx: y\n", HttpFault::LineEnd),
            (b"0\r\n\n", HttpFault::LineEnd),
            (b"0\r\nx: \0", HttpFault::Control),
        ] {
            assert_eq!(read(wrong), Err(fault), "{}", wrong.escape_ascii());
        }
    }

    #[test]
    fn sizes_extensions_and_trailers_have_limits() {
        assert_eq!(read(b"65\r\n"), Err(HttpFault::BodyTooLong));
        assert_eq!(read(b"ffffffff\r\n"), Err(HttpFault::BodyTooLong));
        let two = [&b"60\r\n"[..], &[b'x'; 0x60], b"\r\n5\r\n"].concat();
        assert_eq!(read(&two), Err(HttpFault::BodyTooLong), "the sum counts");
        let extension = [&b"1;"[..], &[b'x'; 1_024]].concat();
        assert_eq!(read(&extension), Err(HttpFault::ChunkExtra));
        let trailers = [&b"0\r\nx: "[..], &[b'y'; 2_100]].concat();
        assert_eq!(read(&trailers), Err(HttpFault::ChunkExtra));
    }
}
