//! Classes 64 bytes in one register with AVX-512, where the processor has it.
//!
//! Asked for together with VBMI, which leaves out the first processors with AVX-512: their clock falls when
//! wide registers are used.

use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_broadcast_i32x4, _mm512_cmpeq_epi8_mask, _mm512_cmplt_epu8_mask,
    _mm512_loadu_si512, _mm512_movepi8_mask, _mm512_set1_epi8, _mm512_shuffle_epi8, _mm512_srli_epi16,
    _mm512_test_epi8_mask, _mm512_testn_epi8_mask,
};

use super::avx2::{BY_HIGH, BY_LOW, prefix_xor, table};
use super::{Bits, Halt, STEP, Stop, container, string};

/// The proof that this processor has what the functions below need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx512(());

impl Avx512 {
    /// Asks the processor; the standard library keeps the answer.
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512bw")
            && is_x86_feature_detected!("avx512vbmi")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has.then_some(Self(()))
    }
}

/// As `super::string`.
#[expect(unsafe_code, reason = "instructions that not every processor has are called behind a check")]
pub(super) fn string_checked(_found: Avx512, bytes: &[u8]) -> Result<Stop, Halt> {
    // SAFETY: the function needs the features avx512f, avx512bw, bmi1, popcnt and pclmulqdq and nothing
    // else; a value of `Avx512` exists only where `detect` has found them all.
    // WHY: see `container_checked`.
    unsafe { string_avx512(bytes) }
}

/// As `super::container`.
#[expect(unsafe_code, reason = "instructions that not every processor has are called behind a check")]
pub(super) fn container_checked(_found: Avx512, bytes: &[u8], room: usize) -> Result<Stop, Halt> {
    // SAFETY: the function needs the features avx512f, avx512bw, bmi1, popcnt and pclmulqdq and nothing
    // else; a value of `Avx512` exists only where `detect` has found them all.
    // WHY: 5.5 us instead of 7.9 us with AVX2 for a request of 60 KiB (`cargo bench --bench json`,
    // scan/60_KiB).
    unsafe { container_avx512(bytes, room) }
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,popcnt,pclmulqdq")]
fn string_avx512(bytes: &[u8]) -> Result<Stop, Halt> {
    string(bytes, |block| classify(block))
}

#[target_feature(enable = "avx512f,avx512bw,bmi1,popcnt,pclmulqdq")]
fn container_avx512(bytes: &[u8], room: usize) -> Result<Stop, Halt> {
    container(bytes, room, |block| classify(block), |bits| prefix_xor(bits))
}

/// Classes 64 bytes by the tables of the AVX2 way.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn classify(block: &[u8; STEP]) -> Bits {
    let bytes = load(block);
    // A byte of 0x80 and above has 0 from the first table by definition of the instruction.
    let low = _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table(&BY_LOW)), bytes);
    let upper = _mm512_and_si512(_mm512_srli_epi16::<4>(bytes), _mm512_set1_epi8(0x0f));
    let classes = _mm512_and_si512(low, _mm512_shuffle_epi8(_mm512_broadcast_i32x4(table(&BY_HIGH)), upper));
    Bits {
        quote: _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(0x22)),
        backslash: _mm512_cmpeq_epi8_mask(bytes, _mm512_set1_epi8(0x5c)),
        open: _mm512_test_epi8_mask(classes, _mm512_set1_epi8(1)),
        close: _mm512_test_epi8_mask(classes, _mm512_set1_epi8(2)),
        alien: _mm512_testn_epi8_mask(classes, classes),
        control: _mm512_cmplt_epu8_mask(bytes, _mm512_set1_epi8(0x20)),
        high: _mm512_movepi8_mask(bytes),
    }
}

#[inline]
#[target_feature(enable = "avx512f")]
#[expect(unsafe_code, reason = "the load of a vector is an instruction on a pointer")]
fn load(block: &[u8; STEP]) -> __m512i {
    // SAFETY: the pointer comes from a reference to 64 bytes, which is what the instruction reads; it asks
    // for no alignment.
    // WHY: the safe form, eight words put together, is left to the optimiser's mood; see
    // `container_checked`.
    unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
}
