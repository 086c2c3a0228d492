//! Passes short plain strings 16 bytes at a step, with what every x86-64 processor has.
//!
//! Names of members are such strings, and words that stand as values. Nothing is asked of the processor, so
//! this is inlined into the walk, where the wide ways are calls.

use std::arch::x86_64::{
    __m128i, _mm_cmpeq_epi8, _mm_cmplt_epi8, _mm_loadu_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
};

use super::QUICK;

/// Bytes of one step.
const STEP: usize = 16;

/// As `super::by_byte`, for up to `QUICK` bytes.
#[inline]
#[expect(unsafe_code, reason = "instructions that not every processor has are called behind a check")]
pub(super) fn plain(bytes: &[u8]) -> Option<usize> {
    let (mut rest, mut place) = (bytes, 0);
    while let Some((block, more)) = rest.split_first_chunk::<STEP>() {
        // SAFETY: the function needs the feature sse2 and nothing else; every x86-64 processor has it.
        // WHY: names of members are half of what a small message is, and a call of a wide way for each costs
        // more than what it does (`cargo bench --bench mcp`).
        let (quotes, ends) = unsafe { classify(block) };
        if ends != 0 {
            let first = ends & ends.wrapping_neg();
            return (quotes & first != 0).then(|| place + first.trailing_zeros() as usize + 1);
        }
        place += STEP;
        if place == QUICK {
            return None;
        }
        rest = more;
    }
    super::by_byte(rest).map(|len| place + len)
}

/// Where quotes are, and where a run of plain bytes ends, quotes among them.
#[inline]
#[target_feature(enable = "sse2")]
fn classify(block: &[u8; STEP]) -> (u32, u32) {
    let bytes = load(block);
    let quote = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x22));
    let backslash = _mm_cmpeq_epi8(bytes, _mm_set1_epi8(0x5c));
    // Bytes are compared with their sign: those of 0x80 and above are less than a blank, too.
    let strange = _mm_cmplt_epi8(bytes, _mm_set1_epi8(0x20));
    let ends = _mm_or_si128(quote, _mm_or_si128(backslash, strange));
    (_mm_movemask_epi8(quote).cast_unsigned(), _mm_movemask_epi8(ends).cast_unsigned())
}

#[inline]
#[target_feature(enable = "sse2")]
#[expect(unsafe_code, reason = "the load of a vector is an instruction on a pointer")]
fn load(block: &[u8; STEP]) -> __m128i {
    // SAFETY: the pointer comes from a reference to 16 bytes, which is what the instruction reads; it asks
    // for no alignment.
    // WHY: the safe form, two words put together, is left to the optimiser's mood; see `plain`.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}
