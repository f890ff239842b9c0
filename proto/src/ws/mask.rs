//! Masking (RFC 6455, section 5.3): four octets, over and over, are put on what a client sends by exclusive or.

use alloc::vec::Vec;

/// The four octets, turned so that the first is for the next byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mask(pub [u8; 4]);

impl Mask {
    /// Appends bytes with the mask put on or taken off, and goes on behind them. All zeros change nothing.
    pub fn apply(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(bytes);
        let added = out.get_mut(begin..).unwrap_or_default();
        let [a, b, c, d] = self.0;
        let eight = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let (chunks, rest) = added.as_chunks_mut::<8>();
        for chunk in chunks {
            *chunk = (u64::from_ne_bytes(*chunk) ^ eight).to_ne_bytes();
        }
        for (byte, octet) in rest.iter_mut().zip(self.0.iter().cycle()) {
            *byte ^= octet;
        }
        self.0.rotate_left(bytes.len() & 3);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mask_goes_on_where_it_was() {
        let text: Vec<u8> = (0..100).collect();
        let plain: Vec<u8> =
            text.iter().zip([1, 2, 3, 250].iter().cycle()).map(|(a, b)| a ^ b).collect();
        for step in [1, 3, 8, 13, 100] {
            let (mut mask, mut out) = (Mask([1, 2, 3, 250]), Vec::new());
            for piece in text.chunks(step) {
                mask.apply(piece, &mut out);
            }
            assert_eq!(out, plain, "in steps of {step}");
        }
    }
}
