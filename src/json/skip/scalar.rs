//! Classes bytes by a table, for machines without the wide instructions.

use super::{Bits, STEP};

const QUOTE: u32 = 0;
const BACKSLASH: u32 = 1;
const OPEN: u32 = 2;
const CLOSE: u32 = 3;
const ALIEN: u32 = 4;
const CONTROL: u32 = 5;
const HIGH: u32 = 6;

/// The classes of every byte, one bit each.
static CLASSES: [u8; 256] = {
    let mut classes = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        #[expect(clippy::indexing_slicing, reason = "256 places, evaluated by the compiler")]
        #[expect(clippy::cast_possible_truncation, reason = "below 256")]
        {
            classes[byte] = classes_of(byte as u8);
        }
        byte += 1;
    }
    classes
};

const fn classes_of(byte: u8) -> u8 {
    match byte {
        b'"' => 1 << QUOTE,
        b'{' | b'[' => 1 << OPEN,
        b'}' | b']' => 1 << CLOSE,
        b'\\' => 1 << BACKSLASH | 1 << ALIEN,
        b'\t' | b'\n' | b'\r' => 1 << CONTROL,
        // White space, separators, numbers and the letters of `true`, `false`, `null` and of exponents.
        b' ' | b',' | b':' | b'0'..=b'9' | b'+' | b'-' | b'.' | b'E' => 0,
        b'a' | b'e' | b'f' | b'l' | b'n' | b'r' | b's' | b't' | b'u' => 0,
        0x00..=0x1f => 1 << CONTROL | 1 << ALIEN,
        0x80..=0xff => 1 << HIGH | 1 << ALIEN,
        _ => 1 << ALIEN,
    }
}

/// Classes 64 bytes.
pub(super) fn classify(block: &[u8; STEP]) -> Bits {
    let mut bits = Bits::default();
    let (eights, _) = block.as_chunks::<8>();
    for eight in eights.iter().rev() {
        let classes = eight.map(|byte| CLASSES.get(usize::from(byte)).copied().unwrap_or(0));
        let classes = u64::from_le_bytes(classes);
        bits.quote = bits.quote << 8 | gather(classes, QUOTE);
        bits.backslash = bits.backslash << 8 | gather(classes, BACKSLASH);
        bits.open = bits.open << 8 | gather(classes, OPEN);
        bits.close = bits.close << 8 | gather(classes, CLOSE);
        bits.alien = bits.alien << 8 | gather(classes, ALIEN);
        bits.control = bits.control << 8 | gather(classes, CONTROL);
        bits.high = bits.high << 8 | gather(classes, HIGH);
    }
    bits
}

/// Bit `class` of each of eight bytes, as eight bits: the product brings bit 8n to bit 56 + n, without
/// carries.
#[inline]
fn gather(classes: u64, class: u32) -> u64 {
    ((classes >> class) & 0x0101_0101_0101_0101).wrapping_mul(0x0102_0408_1020_4080) >> 56
}
