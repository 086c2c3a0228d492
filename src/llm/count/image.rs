//! What images cost: by their size in pixels, which stands at the beginning of each file.

use crate::base64::{self, STANDARD};
use crate::limits::{IMAGE_HEADER_BYTES_MAX, IMAGE_SEGMENTS_MAX, IMAGE_SIDE_MAX};

/// Pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// From left to right; 1 <= `width` <= `limits::IMAGE_SIDE_MAX`.
    pub width: u32,
    /// From top to bottom; in the same bounds.
    pub height: u32,
}

/// By whose rule images are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Images {
    /// docs.claude.com/en/docs/build-with-claude/vision: width x height / 750 after scaling to at most 1568
    /// pixels a side and about 1.15 megapixels.
    #[default]
    Anthropic,
    /// platform.openai.com/docs/guides/images-vision: 85, and 170 for each tile of 512 pixels after scaling
    /// into 2048 x 2048 and the shorter side to 768.
    OpenAi,
    /// ai.google.dev/gemini-api/docs/tokens: 258 for each tile of 768 pixels, one for a small image.
    Gemini,
}

impl Images {
    /// Tokens of an image of this size; where the size is not known, of a large one.
    pub fn tokens(self, size: Option<Size>) -> u64 {
        let (width, height) =
            size.map_or((2048, 2048), |size| (u64::from(size.width), u64::from(size.height)));
        let (long, short) = (width.max(height).max(1), width.min(height).max(1));
        match self {
            Self::Anthropic => {
                let (mut long, mut short) = (long, short);
                if long > 1568 {
                    (long, short) = (1568, (short * 1568).div_ceil(long));
                }
                // What is over 1.15 megapixels is scaled down to it, which is about 1,600 tokens.
                (long * short).div_ceil(750).clamp(1, 1600)
            }
            Self::OpenAi => {
                let (mut long, mut short) = (long, short);
                if long > 2048 {
                    (long, short) = (2048, (short * 2048).div_ceil(long));
                }
                if short > 768 {
                    (long, short) = ((long * 768).div_ceil(short), 768);
                }
                85 + 170 * long.div_ceil(512) * short.div_ceil(512)
            }
            Self::Gemini if long <= 384 => 258,
            // Larger images are made smaller before they are cut: nine tiles are the most that we have seen.
            Self::Gemini => 258 * (long.div_ceil(768) * short.div_ceil(768)).min(9),
        }
    }
}

/// The size of a PNG, JPEG, GIF or WebP that is written in base64; nothing where its header cannot be read.
/// Looks at single places of it, within the first `limits::IMAGE_HEADER_BYTES_MAX` bytes.
pub fn size_of(data: &str) -> Option<Size> {
    let file = File { digits: data.as_bytes() };
    let head = file.bytes::<30>(0).or_else(|| {
        // Shorter than that is only a GIF that says no more than its size.
        let mut short = [0; 30];
        let begin = file.bytes::<10>(0)?;
        short.iter_mut().zip(begin).for_each(|(place, byte)| *place = byte);
        Some(short)
    })?;
    match head {
        [0x89, b'P', b'N', b'G', 0x0d, 0x0a, 0x1a, 0x0a, _, _, _, _, b'I', b'H', b'D', b'R', rest @ ..] => {
            let [a, b, c, d, e, f, g, h, ..] = rest;
            checked(u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
        }
        [b'G', b'I', b'F', b'8', _, _, a, b, c, d, ..] => {
            checked(u32::from(u16::from_le_bytes([a, b])), u32::from(u16::from_le_bytes([c, d])))
        }
        [b'R', b'I', b'F', b'F', _, _, _, _, b'W', b'E', b'B', b'P', rest @ ..] => web_picture(&rest),
        [0xff, 0xd8, ..] => photograph(&file),
        _ => None,
    }
}

fn checked(width: u32, height: u32) -> Option<Size> {
    let good = |side: u32| (1..=IMAGE_SIDE_MAX).contains(&side);
    (good(width) && good(height)).then_some(Size { width, height })
}

/// Reads the first chunk of a WebP (RFC 9649 section 2): lossy, lossless or extended.
fn web_picture(chunk: &[u8; 18]) -> Option<Size> {
    match *chunk {
        [b'V', b'P', b'8', b' ', _, _, _, _, _, _, _, 0x9d, 0x01, 0x2a, a, b, c, d] => {
            // The upper two bits say how it is to be scaled.
            let side = |low, high| u32::from(u16::from_le_bytes([low, high]) & 0x3fff);
            checked(side(a, b), side(c, d))
        }
        [b'V', b'P', b'8', b'L', _, _, _, _, 0x2f, a, b, c, d, ..] => {
            let bits = u32::from_le_bytes([a, b, c, d]);
            checked((bits & 0x3fff) + 1, ((bits >> 14) & 0x3fff) + 1)
        }
        [b'V', b'P', b'8', b'X', _, _, _, _, _, _, _, _, a, b, c, d, e, f] => {
            checked(u32::from_le_bytes([a, b, c, 0]) + 1, u32::from_le_bytes([d, e, f, 0]) + 1)
        }
        _ => None,
    }
}

/// Goes from segment to segment of a JPEG (ITU-T T.81 annex B) up to the one that says the size.
fn photograph(file: &File<'_>) -> Option<Size> {
    let mut at = 2;
    for _ in 0..IMAGE_SEGMENTS_MAX {
        match file.bytes::<9>(at)? {
            // Any number of these may stand before a marker.
            [0xff, 0xff, ..] => at += 1,
            // Markers without a segment.
            [0xff, 0x01 | 0xd0..=0xd8, ..] => at += 2,
            // Frames: 4, 8 and 12 are tables.
            [0xff, 0xc0..=0xc3 | 0xc5..=0xc7 | 0xc9..=0xcb | 0xcd..=0xcf, _, _, _, a, b, c, d] => {
                let (height, width) = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
                return checked(u32::from(width), u32::from(height));
            }
            [0xff, _, high, low, ..] => at += 2 + usize::from(u16::from_be_bytes([high, low])).max(2),
            _ => return None,
        }
    }
    None
}

/// A file in base64, of which single bytes are wanted.
struct File<'a> {
    digits: &'a [u8],
}

impl File<'_> {
    /// The bytes from `at` on; nothing where there are fewer, or they are too far inside.
    fn bytes<const N: usize>(&self, at: usize) -> Option<[u8; N]> {
        if at > IMAGE_HEADER_BYTES_MAX {
            return None;
        }
        let (first, skipped) = (at / 3, at % 3);
        let groups = (skipped + N).div_ceil(3);
        let from = first * 4;
        let digits = self.digits.get(from..(from + groups * 4).min(self.digits.len()))?;
        let padding = digits.iter().rev().take_while(|digit| **digit == b'=').count();
        let bytes = base64::decode(digits.get(..digits.len() - padding)?, STANDARD)?;
        bytes.get(skipped..skipped + N)?.try_into().ok()
    }
}
