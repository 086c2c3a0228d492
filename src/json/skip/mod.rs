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
mod scalar;

/// Bytes of one step.
const STEP: usize = 64;

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

/// The way of this machine, found out once a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Skipper {
    #[cfg(target_arch = "x86_64")]
    avx2: Option<avx2::Avx2>,
}

impl Skipper {
    pub(super) fn detect() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: avx2::Avx2::detect(),
        }
    }

    /// The scalar way on any machine.
    #[cfg(any(test, fuzzing))]
    pub(super) fn plain() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            avx2: None,
        }
    }

    /// Passes a string whose opening quote stands right before `bytes`.
    pub(super) fn string(self, bytes: &[u8]) -> Result<Stop, Halt> {
        #[cfg(target_arch = "x86_64")]
        if let Some(found) = self.avx2 {
            return avx2::string_checked(found, bytes);
        }
        string(bytes, scalar::classify)
    }

    /// Passes a container whose opening bracket stands right before `bytes`; it may hold `room` levels, its
    /// own included.
    pub(super) fn container(self, bytes: &[u8], room: usize) -> Result<Stop, Halt> {
        #[cfg(target_arch = "x86_64")]
        if let Some(found) = self.avx2 {
            return avx2::container_checked(found, bytes, room);
        }
        container(bytes, room, scalar::classify, prefix_xor)
    }
}

#[inline(always)]
fn string(bytes: &[u8], classify: impl Fn(&[u8; STEP]) -> Bits) -> Result<Stop, Halt> {
    let mut escapes = Escapes::default();
    let (mut seen, mut high) = (0, 0);
    steps(bytes, |block, place| {
        let bits = classify(block);
        let ends = bits.quote & !escapes.escaped(bits.backslash);
        let upto = ends ^ ends.wrapping_sub(1);
        seen |= bits.backslash & upto;
        high |= bits.high & upto;
        let wrong = bits.control & upto;
        if wrong != 0 {
            return Some(Err(Halt::Byte(place + offset(wrong))));
        }
        (ends != 0).then(|| Ok(Stop { len: place + offset(ends) + 1, ascii: high == 0, escaped: seen != 0 }))
    })
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
    // Of the byte before this step, in all 64 bits: whether it was inside of a string.
    let mut within = 0_u64;
    let mut high = 0;
    let mut depth = 1_usize;
    steps(bytes, |block, place| {
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
            return None;
        }
        let found = walk(&mut depth, room, open, close);
        let last = found.map_or(0, |found| found.unwrap_or_else(|deep| deep));
        let upto = last ^ last.wrapping_sub(1);
        if wrong & upto != 0 {
            return Some(Err(Halt::Byte(place + offset(wrong))));
        }
        found.map(|found| match found {
            Ok(end) => Ok(Stop { len: place + offset(end) + 1, ascii: high == 0, escaped: false }),
            Err(deep) => Err(Halt::Depth(place + offset(deep))),
        })
    })
}

/// Takes the brackets of one step one by one. Says, as one bit, where the container ends, or where it gets
/// too deep.
#[inline(always)]
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

/// Hands on 64 bytes after 64 with their place until `step` has a result; the last ones are filled up with
/// blanks.
#[inline(always)]
fn steps(
    bytes: &[u8],
    mut step: impl FnMut(&[u8; STEP], usize) -> Option<Result<Stop, Halt>>,
) -> Result<Stop, Halt> {
    let (blocks, rest) = bytes.as_chunks::<STEP>();
    let mut place = 0;
    for block in blocks {
        if let Some(result) = step(block, place) {
            return result;
        }
        place += STEP;
    }
    // A blank is allowed everywhere and closes nothing, so it cannot make a document end earlier than it
    // does.
    let mut last = [b' '; STEP];
    for (to, from) in last.iter_mut().zip(rest) {
        *to = *from;
    }
    step(&last, place).unwrap_or(Err(Halt::End))
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
        if backslash == 0 {
            return std::mem::take(&mut self.carry);
        }
        // In a run of back slashes every second one is escaped, and so is the byte after an odd run.
        // Subtracting the run's start from the odd places lets a borrow run along it and flip exactly those.
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
