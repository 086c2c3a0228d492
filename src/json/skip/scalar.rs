//! Classes bytes one by one, for machines without the wide instructions.

use super::{Bits, STEP};

/// Classes 64 bytes.
pub(super) fn classify(block: &[u8; STEP]) -> Bits {
    let mut bits = Bits::default();
    let mut bit = 1;
    for &byte in block {
        match byte {
            b'"' => bits.quote |= bit,
            b'{' | b'[' => bits.open |= bit,
            b'}' | b']' => bits.close |= bit,
            b'\\' => {
                bits.backslash |= bit;
                bits.alien |= bit;
            }
            b'\t' | b'\n' | b'\r' => bits.control |= bit,
            // White space, separators, numbers and the letters of `true`, `false`, `null` and of exponents.
            b' ' | b',' | b':' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E' => {}
            b'a' | b'e' | b'f' | b'l' | b'n' | b'r' | b's' | b't' | b'u' => {}
            _ => {
                bits.alien |= bit;
                bits.control |= if byte < 0x20 { bit } else { 0 };
                bits.high |= if byte >= 0x80 { bit } else { 0 };
            }
        }
        bit <<= 1;
    }
    bits
}
