//! Classes 64 bytes with AVX2, where the processor has it.

use std::arch::x86_64::{
    __m128i, __m256i, _mm_clmulepi64_si128, _mm_cvtsi128_si64, _mm_set_epi64x, _mm_set1_epi8, _mm_setr_epi8,
    _mm256_and_si256, _mm256_broadcastsi128_si256, _mm256_cmpeq_epi8, _mm256_loadu_si256, _mm256_min_epu8,
    _mm256_movemask_epi8, _mm256_set1_epi8, _mm256_setzero_si256, _mm256_shuffle_epi8, _mm256_slli_epi16,
    _mm256_srli_epi16,
};

use super::{Bits, Halt, STEP, Stop, container, string};

/// The proof that this processor has what the functions below need.
#[derive(Clone, Copy, Debug)]
pub(super) struct Avx2(());

impl Avx2 {
    /// Asks the processor; the standard library keeps the answer.
    pub(super) fn detect() -> Option<Self> {
        let has = is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("popcnt")
            && is_x86_feature_detected!("pclmulqdq");
        has.then_some(Self(()))
    }
}

/// As `super::string`.
#[expect(unsafe_code, reason = "instructions that not every processor has are called behind a check")]
pub(super) fn string_checked(_found: Avx2, bytes: &[u8]) -> Result<Stop, Halt> {
    // SAFETY: the function needs the features avx2, bmi1, popcnt and pclmulqdq and nothing else; a value of
    // `Avx2` exists only where `detect` has found all four.
    // WHY: see `container_checked`.
    unsafe { string_avx2(bytes) }
}

/// As `super::container`.
#[expect(unsafe_code, reason = "instructions that not every processor has are called behind a check")]
pub(super) fn container_checked(_found: Avx2, bytes: &[u8], room: usize) -> Result<Stop, Halt> {
    // SAFETY: the function needs the features avx2, bmi1, popcnt and pclmulqdq and nothing else; a value of
    // `Avx2` exists only where `detect` has found all four.
    // WHY: 7.9 us instead of 65 us with `scalar` for a request of 60 KiB (`cargo bench --bench json`,
    // scan/60_KiB).
    unsafe { container_avx2(bytes, room) }
}

#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn string_avx2(bytes: &[u8]) -> Result<Stop, Halt> {
    string(bytes, |block| classify(block))
}

#[target_feature(enable = "avx2,bmi1,popcnt,pclmulqdq")]
fn container_avx2(bytes: &[u8], room: usize) -> Result<Stop, Halt> {
    container(bytes, room, |block| classify(block), |bits| prefix_xor(bits))
}

/// Classes 64 bytes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn classify(block: &[u8; STEP]) -> Bits {
    let (halves, _) = block.as_chunks::<32>();
    let [low, high] = halves else { return Bits::default() };
    let (low, high) = (classify_half(low), classify_half(high));
    let join = |low: u32, high: u32| u64::from(low) | (u64::from(high) << 32);
    Bits {
        quote: join(low.quote, high.quote),
        backslash: join(low.backslash, high.backslash),
        open: join(low.open, high.open),
        close: join(low.close, high.close),
        alien: join(low.alien, high.alien),
        control: join(low.control, high.control),
        high: join(low.high, high.high),
    }
}

struct HalfBits {
    quote: u32,
    backslash: u32,
    open: u32,
    close: u32,
    alien: u32,
    control: u32,
    high: u32,
}

/// The classes by the low half of a byte: 0x_0 is in blank and 0, 0x_1 in `1` and `a`, 0x_2 in `"`, `2`,
/// `r`, and so on.
pub(super) const BY_LOW: [i8; 16] = [12, 72, -116, -120, -120, -88, 72, 8, 8, 24, 24, 5, 68, 22, 68, 0];

/// The classes by the high half.
pub(super) const BY_HIGH: [i8; 16] = [16, 0, 4, 8, 32, 3, 96, -125, 0, 0, 0, 0, 0, 0, 0, 0];

/// A table in a register.
#[inline]
#[target_feature(enable = "sse2")]
pub(super) fn table(of: &[i8; 16]) -> __m128i {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = *of;
    _mm_setr_epi8(a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p)
}

/// Looks both halves of each byte up in a table; a byte has the classes that both its halves have. The
/// classes: 1 opening bracket, 2 closing bracket, 4 in the row 0x2_, 8 in 0x3_, 16 in 0x0_, 32 `E` and `e`,
/// 64 in 0x6_, 128 in 0x7_; a byte without any has no place outside of strings.
#[inline]
#[target_feature(enable = "avx2")]
fn classify_half(half: &[u8; 32]) -> HalfBits {
    let bytes = load(half);
    let by_low = _mm256_broadcastsi128_si256(table(&BY_LOW));
    let by_high = _mm256_broadcastsi128_si256(table(&BY_HIGH));
    // A byte of 0x80 and above has 0 from the first table by definition of the instruction.
    let low = _mm256_shuffle_epi8(by_low, bytes);
    let upper = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), _mm256_set1_epi8(0x0f));
    let classes = _mm256_and_si256(low, _mm256_shuffle_epi8(by_high, upper));
    let equal = |to: i8| mask(_mm256_cmpeq_epi8(bytes, _mm256_set1_epi8(to)));
    HalfBits {
        quote: equal(0x22),
        backslash: equal(0x5c),
        open: mask(_mm256_slli_epi16::<7>(classes)),
        close: mask(_mm256_slli_epi16::<6>(classes)),
        alien: mask(_mm256_cmpeq_epi8(classes, _mm256_setzero_si256())),
        control: mask(_mm256_cmpeq_epi8(_mm256_min_epu8(bytes, _mm256_set1_epi8(0x1f)), bytes)),
        high: mask(bytes),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
#[expect(unsafe_code, reason = "the load of a vector is an instruction on a pointer")]
fn load(half: &[u8; 32]) -> __m256i {
    // SAFETY: the pointer comes from a reference to 32 bytes, which is what the instruction reads; it asks
    // for no alignment.
    // WHY: the safe form, four words put together, is left to the optimiser's mood; see `container_checked`.
    unsafe { _mm256_loadu_si256(half.as_ptr().cast()) }
}

/// The top bit of each byte.
#[inline]
#[target_feature(enable = "avx2")]
fn mask(bytes: __m256i) -> u32 {
    _mm256_movemask_epi8(bytes).cast_unsigned()
}

/// Bit n of the result is the parity of the bits 0 to n: a product without carries by all ones.
#[inline]
#[target_feature(enable = "sse2,pclmulqdq")]
pub(super) fn prefix_xor(bits: u64) -> u64 {
    let bits = _mm_set_epi64x(0, bits.cast_signed());
    _mm_cvtsi128_si64(_mm_clmulepi64_si128::<0>(bits, _mm_set1_epi8(-1))).cast_unsigned()
}
