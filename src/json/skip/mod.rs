//! Passes a string or a container at 64 bytes a step; one loop for every machine, the classing of bytes
//! differs.
//!
//! Each step classes 64 bytes into bit masks, bit n for byte n. From the quotes that no back slash escapes, a
//! prefix xor makes the mask of what is inside strings; what is left of the brackets is counted, and their
//! bits are walked one by one only in steps where the container could end. The method is that of simdjson
//! (Langdale and Lemire, "Parsing Gigabytes of JSON per Second", 2019), without its index of structural
//! characters.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod scalar;
#[cfg(target_arch = "x86_64")]
mod sse2;

use std::sync::LazyLock;

/// Bytes of one step.
const STEP: usize = 64;

/// Bytes of a string that are looked at with what every processor has, before a step is taken.
#[cfg(target_arch = "x86_64")]
const QUICK: usize = 64;
#[cfg(not(target_arch = "x86_64"))]
const QUICK: usize = 16;

/// The classes of 64 bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bits {
    quote: u64,
    backslash: u64,
    open: u64,
    close: u64,
    /// Bytes that JSON has no use for outside of strings.
    alien: u64,
    /// Bytes below 0x20, which must be escaped inside of strings.
    control: u64,
    /// Bytes of 0x80 and above.
    high: u64,
}

/// Where a passed value ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stop {
    /// Bytes passed, the closing quote or bracket included.
    pub(super) len: usize,
    /// No byte of 0x80 or above was among them; may be false without reason, never true.
    pub(super) ascii: bool,
    /// A back slash was among them; exact for strings, not told for containers.
    pub(super) escaped: bool,
}

/// Why a value could not be passed; places count from the byte after its opening one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Halt {
    /// A byte that cannot stand there.
    Byte(usize),
    /// The bracket that opens one level too many.
    Depth(usize),
    /// The document ended first.
    End,
}

impl Halt {
    /// The same, `place` bytes further on.
    fn after(self, place: usize) -> Self {
        match self {
            Self::Byte(at) => Self::Byte(place + at),
            Self::Depth(at) => Self::Depth(place + at),
            Self::End => Self::End,
        }
    }
}

/// The way of this machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skipper {
    #[cfg(target_arch = "x86_64")]
    avx2: Option<avx2::Avx2>,
    #[cfg(target_arch = "x86_64")]
    avx512: Option<avx512::Avx512>,
}

impl Skipper {
    /// The best way of this machine, found out once.
    #[inline]
    pub(super) fn detect() -> Self {
        static FOUND: LazyLock<Skipper> = LazyLock::new(Skipper::ask);
        *FOUND
    }

    fn ask() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::Avx2::detect(),
            #[cfg(target_arch = "x86_64")]
            avx512: avx512::Avx512::detect(),
        }
    }

    /// The scalar way on any machine.
    #[cfg(any(test, fuzzing))]
    pub(super) fn plain() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: None,
            #[cfg(target_arch = "x86_64")]
            avx512: None,
        }
    }

    /// The AVX2 way also where there is a better one.
    #[cfg(test)]
    fn narrow() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx512: None,
            ..Self::detect()
        }
    }

    /// Passes a string whose opening quote stands right before `bytes`.
    #[cfg(any(test, fuzzing))]
    pub(super) fn string(self, bytes: &[u8]) -> Result<Stop, Halt> {
        match plain(bytes) {
            Some(len) => Ok(Stop { len, ascii: true, escaped: false }),
            None => self.any_string(bytes),
        }
    }

    /// Passes a string of any kind whose opening quote stands right before `bytes`.
    #[inline]
    pub(super) fn any_string(self, bytes: &[u8]) -> Result<Stop, Halt> {
        #[cfg(target_arch = "x86_64")]
        if let Some(found) = self.avx512 {
            return avx512::string_checked(found, bytes);
        } else if let Some(found) = self.avx2 {
            return avx2::string_checked(found, bytes);
        }
        string(bytes, scalar::classify)
    }

    /// Passes a container whose opening bracket stands right before `bytes`; it may hold `room` levels, its
    /// own included.
    pub(super) fn container(self, bytes: &[u8], room: usize) -> Result<Stop, Halt> {
        #[cfg(target_arch = "x86_64")]
        if let Some(found) = self.avx512 {
            return avx512::container_checked(found, bytes, room);
        } else if let Some(found) = self.avx2 {
            return avx2::container_checked(found, bytes, room);
        }
        container(bytes, room, scalar::classify, prefix_xor)
    }
}

/// The length, with its closing quote, of a string whose opening quote stands right before `bytes`, if it is
/// short and plain: ASCII without escapes. Nothing of any other, which may still be good.
#[inline]
pub(super) fn plain(bytes: &[u8]) -> Option<usize> {
    #[cfg(target_arch = "x86_64")]
    return sse2::plain(bytes);
    #[cfg(not(target_arch = "x86_64"))]
    by_byte(bytes.get(..QUICK).unwrap_or(bytes))
}

/// As [`plain`], one byte after the other.
#[inline]
fn by_byte(bytes: &[u8]) -> Option<usize> {
    let passed = |&byte: &u8| matches!(byte, b' '..=b'!' | b'#'..=b'[' | b']'..=0x7f);
    let len = bytes.iter().position(|byte| !passed(byte))?;
    (bytes.get(len) == Some(&b'"')).then_some(len + 1)
}

#[inline(always)]
fn string(bytes: &[u8], classify: impl Fn(&[u8; STEP]) -> Bits) -> Result<Stop, Halt> {
    let mut escapes = Escapes::default();
    let mut last = [b' '; STEP];
    let (mut place, mut seen, mut high) = (0, 0, 0);
    loop {
        let (block, more) = step(bytes, place, &mut last);
        let bits = classify(block);
        let ends = bits.quote & !escapes.escaped(bits.backslash);
        let upto = ends ^ ends.wrapping_sub(1);
        seen |= bits.backslash & upto;
        high |= bits.high & upto;
        let wrong = bits.control & upto;
        if wrong != 0 {
            return Err(Halt::Byte(place + offset(wrong)));
        }
        if ends != 0 {
            return Ok(Stop { len: place + offset(ends) + 1, ascii: high == 0, escaped: seen != 0 });
        }
        if !more {
            return Err(Halt::End);
        }
        place += STEP;
    }
}

#[inline(always)]
fn container(
    bytes: &[u8],
    room: usize,
    classify: impl Fn(&[u8; STEP]) -> Bits,
    prefix_xor: impl Fn(u64) -> u64,
) -> Result<Stop, Halt> {
    if room == 0 {
        return Err(Halt::Depth(0));
    }
    let mut escapes = Escapes::default();
    let mut last = [b' '; STEP];
    // Of the byte before this step, in all 64 bits: whether it was inside of a string.
    let mut within = 0_u64;
    let (mut place, mut high, mut depth) = (0, 0, 1_usize);
    loop {
        let (block, more) = step(bytes, place, &mut last);
        let bits = classify(block);
        let quote = bits.quote & !escapes.escaped(bits.backslash);
        let inside = prefix_xor(quote) ^ within;
        within = 0_u64.wrapping_sub(inside >> 63);
        high |= bits.high;
        let wrong = (bits.alien & !inside) | (bits.control & inside);
        let (open, close) = (bits.open & !inside, bits.close & !inside);
        let (opened, closed) = (open.count_ones() as usize, close.count_ones() as usize);
        if depth > closed && depth + opened <= room && wrong == 0 {
            depth = depth + opened - closed;
        } else if let Some(halt) = end(&mut depth, room, [open, close], wrong) {
            return match halt {
                Ok(end) => Ok(Stop { len: place + end + 1, ascii: high == 0, escaped: false }),
                Err(halt) => Err(halt.after(place)),
            };
        }
        if !more {
            return Err(Halt::End);
        }
        place += STEP;
    }
}

/// Looks at a step in which something ends or is wrong, or could be: where the container ends, or what is
/// wrong first.
fn end(depth: &mut usize, room: usize, [open, close]: [u64; 2], wrong: u64) -> Option<Result<usize, Halt>> {
    let found = walk(depth, room, open, close);
    let last = found.map_or(0, |found| found.unwrap_or_else(|deep| deep));
    if wrong & (last ^ last.wrapping_sub(1)) != 0 {
        return Some(Err(Halt::Byte(offset(wrong))));
    }
    Some(found?.map(offset).map_err(|deep| Halt::Depth(offset(deep))))
}

/// Takes the brackets of one step one by one. Says, as one bit, where the container ends, or where it gets
/// too deep.
fn walk(depth: &mut usize, room: usize, open: u64, close: u64) -> Option<Result<u64, u64>> {
    let mut left = open | close;
    while left != 0 {
        let bit = left & left.wrapping_neg();
        left ^= bit;
        if open & bit == 0 {
            *depth -= 1;
            if *depth == 0 {
                return Some(Ok(bit));
            }
        } else if *depth == room {
            return Some(Err(bit));
        } else {
            *depth += 1;
        }
    }
    None
}

/// The 64 bytes at `place`, and whether more may follow; the last ones are put into `last` before its blanks.
///
/// A blank is allowed everywhere and closes nothing, so it cannot make a document end earlier than it does.
#[inline(always)]
fn step<'a>(bytes: &'a [u8], place: usize, last: &'a mut [u8; STEP]) -> (&'a [u8; STEP], bool) {
    let rest = bytes.get(place..).unwrap_or_default();
    if let Some(block) = rest.first_chunk() {
        return (block, true);
    }
    if let Some(room) = last.get_mut(..rest.len()) {
        room.copy_from_slice(rest);
    }
    (last, false)
}

/// Finds the bytes that a back slash takes their meaning from, also across steps.
#[derive(Clone, Copy, Debug, Default)]
struct Escapes {
    /// 1 when the first byte of the next step is escaped by the last one of this.
    carry: u64,
}

impl Escapes {
    #[inline(always)]
    fn escaped(&mut self, backslash: u64) -> u64 {
        const ODD: u64 = 0xAAAA_AAAA_AAAA_AAAA;
        // No branch for blocks without a back slash: in prose about every second one has some, and guessing
        // wrong costs more than these eight steps. In a run of back slashes every second one is escaped, and
        // so is the byte after an odd run. Subtracting the run's start from the odd places lets a borrow run
        // along it and flip exactly those.
        let start = backslash & !self.carry;
        let codes = ((start << 1) | ODD).wrapping_sub(start) ^ ODD;
        let escaped = codes ^ (backslash | self.carry);
        self.carry = (codes & backslash) >> 63;
        escaped
    }
}

/// Bit n of the result is the parity of the bits 0 to n.
#[inline(always)]
fn prefix_xor(mut bits: u64) -> u64 {
    for shift in [1, 2, 4, 8, 16, 32] {
        bits ^= bits << shift;
    }
    bits
}

/// The place of the lowest bit.
#[inline(always)]
fn offset(bits: u64) -> usize {
    bits.trailing_zeros() as usize
}

#[cfg(test)]
mod tests;
