//! UTF-8 checked as it comes (RFC 6455, section 8.1; RFC 3629): a wrong octet is found with the piece that it is in, wherever the
//! pieces were cut.

/// How far a text has come: what the character that was cut needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utf8 {
    /// So many octets are missing.
    needed: u8,
    /// The next one lies between these, both included.
    low: u8,
    high: u8,
}

/// A text with an octet that is no UTF-8.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotUtf8;

impl Utf8 {
    /// An empty text.
    pub const NEW: Self = Self { needed: 0, low: 0x80, high: 0xbf };

    /// Whether the text may end here: no character is cut.
    pub const fn is_whole(self) -> bool {
        self.needed == 0
    }

    /// Looks at the next piece.
    ///
    /// # Errors
    /// [`NotUtf8`] where no text goes on like this.
    pub fn push(&mut self, piece: &[u8]) -> Result<(), NotUtf8> {
        let mut rest = piece;
        while self.needed > 0 {
            let Some((octet, after)) = rest.split_first() else { return Ok(()) };
            self.step(*octet)?;
            rest = after;
        }
        match core::str::from_utf8(rest) {
            Ok(_) => Ok(()),
            Err(error) if error.error_len().is_some() => Err(NotUtf8),
            Err(error) => {
                let cut = rest.get(error.valid_up_to()..).unwrap_or_default();
                cut.iter().try_for_each(|octet| self.step(*octet))
            }
        }
    }

    /// One octet of a character of several. The second one decides between the shortest form and none, and against surrogates and
    /// what lies beyond U+10FFFF (RFC 3629, section 4).
    fn step(&mut self, octet: u8) -> Result<(), NotUtf8> {
        if self.needed > 0 {
            if octet < self.low || octet > self.high {
                return Err(NotUtf8);
            }
            *self = Self { needed: self.needed.saturating_sub(1), ..Self::NEW };
            return Ok(());
        }
        let (needed, low, high) = match octet {
            0..=0x7f => (0, 0x80, 0xbf),
            0xc2..=0xdf => (1, 0x80, 0xbf),
            0xe0 => (2, 0xa0, 0xbf),
            0xe1..=0xec | 0xee | 0xef => (2, 0x80, 0xbf),
            0xed => (2, 0x80, 0x9f),
            0xf0 => (3, 0x90, 0xbf),
            0xf1..=0xf3 => (3, 0x80, 0xbf),
            0xf4 => (3, 0x80, 0x8f),
            0x80..=0xc1 | 0xf5.. => return Err(NotUtf8),
        };
        *self = Self { needed, low, high };
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the first octet is that no text goes on with, if there is one; and whether the text is whole.
    fn octets(bytes: &[u8]) -> (Option<usize>, bool) {
        let mut utf8 = Utf8::NEW;
        for (index, octet) in bytes.iter().enumerate() {
            if utf8.push(&[*octet]).is_err() {
                return (Some(index), false);
            }
        }
        (None, utf8.is_whole())
    }

    #[test]
    fn a_wrong_octet_is_found_where_it_is() {
        assert_eq!(octets("κόσμε\u{10ffff}\u{d7ff}\u{e000}".as_bytes()), (None, true));
        assert_eq!(octets(b""), (None, true));
        assert_eq!(octets(b"a\xce"), (None, false));
        assert_eq!(octets(b"\xce\xba\xf4\x90\x80\x80"), (Some(3), false), "beyond U+10FFFF");
        assert_eq!(octets(b"\xed\xa0\x80"), (Some(1), false), "a surrogate");
        assert_eq!(octets(b"\xc0\xaf"), (Some(0), false), "overlong");
        assert_eq!(octets(b"\xe0\x80\xaf"), (Some(1), false), "overlong");
        assert_eq!(octets(b"\xf0\x80\x80\xaf"), (Some(1), false), "overlong");
        assert_eq!(octets(b"a\x80"), (Some(1), false));
        assert_eq!(octets(b"\xfe"), (Some(0), false));
        assert_eq!(octets(b"\xe2a"), (Some(1), false));
    }

    /// All pairs and triples of octets with something of each kind: the same as the standard library says.
    #[test]
    fn it_is_what_the_standard_library_says_however_it_is_cut() {
        let kinds = [
            0x00, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0,
            0xe1, 0xec, 0xed, 0xee, 0xef, 0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xff,
        ];
        for a in kinds {
            for b in kinds {
                for c in kinds {
                    for d in [0x41, 0x80, 0xbf, 0xe2] {
                        let text = [a, b, c, d];
                        let known = core::str::from_utf8(&text);
                        let expected = match known {
                            Ok(_) => (true, true),
                            Err(error) => (error.error_len().is_none(), false),
                        };
                        for cut in 0..=4 {
                            let (one, other) = text.split_at_checked(cut).unwrap();
                            let mut utf8 = Utf8::NEW;
                            let fine = utf8.push(one).is_ok() && utf8.push(other).is_ok();
                            assert_eq!(
                                (fine, fine && utf8.is_whole()),
                                expected,
                                "{text:x?} at {cut}"
                            );
                        }
                    }
                }
            }
        }
    }
}
