//! A table of weights as it lies in a safetensors file, read where it is needed.
//!
//! The format is that of huggingface/safetensors: eight bytes with the length of a JSON header, the header,
//! then the values of the tensors that it describes, in little endian.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;

use crate::limits;
use crate::mcp::search::meaning::fault::WeightsFault;

/// A row of numbers for each piece. All are finite and none larger than [`LARGEST`].
pub(super) struct Table {
    /// The values alone.
    values: Vec<u8>,
    width: Width,
    rows: usize,
    dimensions: usize,
}

/// How a value is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Width {
    Half,
    Single,
}

impl Width {
    const fn bytes(self) -> usize {
        match self {
            Self::Half => 2,
            Self::Single => 4,
        }
    }
}

/// The largest number that an F16 can be. Sums of these times weights stay far below what an `f32` can hold.
const LARGEST: f32 = 65_504.0;

/// What the header says of a tensor.
#[derive(Debug, Deserialize)]
struct Tensor {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: [u64; 2],
}

impl Table {
    /// Takes a file; nothing of it is believed before it is checked.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn new(mut file: Vec<u8>) -> Result<Self, WeightsFault> {
        let (tensor, begin) = header(&file)?;
        let width = match tensor.dtype.as_str() {
            "F16" => Width::Half,
            "F32" => Width::Single,
            other => return Err(WeightsFault::Values(other.chars().take(16).collect())),
        };
        let (rows, dimensions) = shape(&tensor.shape)?;
        let wanted = rows * dimensions * width.bytes();
        let [from, to] = tensor.data_offsets;
        let here = usize::try_from(from).ok().zip(usize::try_from(to).ok());
        let span = here.and_then(|(from, to)| Some(begin.checked_add(from)?..begin.checked_add(to)?));
        let Some(span) = span.filter(|span| span.len() == wanted && span.end <= file.len()) else {
            let length = |bytes: usize| u64::try_from(bytes).unwrap_or(u64::MAX);
            let found = to.saturating_sub(from).min(length(file.len() - begin));
            return Err(WeightsFault::Size { wanted: length(wanted), found });
        };
        file.truncate(span.end);
        drop(file.drain(..span.start));
        let table = Self { values: file, width, rows, dimensions };
        table.check()?;
        Ok(table)
    }

    /// How many pieces it knows.
    pub(super) const fn rows(&self) -> usize {
        self.rows
    }

    /// How many numbers a row has.
    pub(super) const fn dimensions(&self) -> usize {
        self.dimensions
    }

    /// Adds the row of a piece, each value times `weight`; nothing for a piece that it does not have.
    pub(super) fn add(&self, piece: u32, weight: f32, to: &mut [f32]) {
        let bytes = self.dimensions * self.width.bytes();
        let begin = usize::try_from(piece).ok().and_then(|piece| piece.checked_mul(bytes));
        let row = begin.and_then(|begin| self.values.get(begin..begin.checked_add(bytes)?));
        let row = row.unwrap_or_default();
        match self.width {
            Width::Half => {
                for (sum, value) in to.iter_mut().zip(row.as_chunks::<2>().0) {
                    *sum += weight * half(u16::from_le_bytes(*value));
                }
            }
            Width::Single => {
                for (sum, value) in to.iter_mut().zip(row.as_chunks::<4>().0) {
                    *sum += weight * f32::from_le_bytes(*value);
                }
            }
        }
    }

    fn check(&self) -> Result<(), WeightsFault> {
        let bytes = self.dimensions * self.width.bytes();
        let is_bad = |row: &[u8]| match self.width {
            // All ones where the exponent is: no number.
            Width::Half => {
                row.as_chunks::<2>().0.iter().any(|value| u16::from_le_bytes(*value) & EXPONENT == EXPONENT)
            }
            Width::Single => row
                .as_chunks::<4>()
                .0
                .iter()
                .map(|value| f32::from_le_bytes(*value))
                .any(|value| !value.is_finite() || value.abs() > LARGEST),
        };
        match self.values.chunks_exact(bytes).position(is_bad) {
            Some(row) => Err(WeightsFault::Value(row)),
            None => Ok(()),
        }
    }
}

/// The one tensor of a file, and where its values begin to be counted.
fn header(file: &[u8]) -> Result<(Tensor, usize), WeightsFault> {
    let (length, rest) = file.split_first_chunk::<8>().ok_or(WeightsFault::NoHeader)?;
    let length = usize::try_from(u64::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let length = Some(length).filter(|length| *length <= limits::EMBEDDING_HEADER_BYTES_MAX);
    let header = length.and_then(|length| rest.get(..length)).ok_or(WeightsFault::NoHeader)?;
    let begin = 8 + header.len();
    let fault = |why: serde_json::Error| WeightsFault::Header(why.to_string());
    let mut named: BTreeMap<String, Value> = serde_json::from_slice(header).map_err(fault)?;
    named.remove("__metadata__");
    let count = named.len();
    match (named.into_values().next(), count) {
        (Some(only), 1) => Ok((serde_json::from_value(only).map_err(fault)?, begin)),
        (_, count) => Err(WeightsFault::Tensors(count)),
    }
}

/// Rows and values of a row, within bounds.
fn shape(shape: &[u64]) -> Result<(usize, usize), WeightsFault> {
    let within =
        |number: u64, most: usize| usize::try_from(number).ok().filter(|number| (1..=most).contains(number));
    let both = match shape {
        [rows, columns] => {
            within(*rows, limits::EMBEDDING_ROWS_MAX).zip(within(*columns, limits::EMBEDDING_DIMENSIONS_MAX))
        }
        _ => None,
    };
    both.ok_or_else(|| WeightsFault::Shape(shape.iter().copied().take(4).collect()))
}

/// The bits of an F16 that are its exponent.
const EXPONENT: u16 = 0x7c00;

/// Two to the power of 112: by so much the exponents of F16 and F32 are apart.
const APART: f32 = f32::from_bits(0x7780_0000);

/// A finite F16 as the same `f32`: its bits moved to where they belong, then its exponent put right, which
/// does for the smallest ones as well and takes no branch.
fn half(bits: u16) -> f32 {
    let size = f32::from_bits(u32::from(bits & 0x7fff) << 13) * APART;
    f32::from_bits(size.to_bits() | u32::from(bits & 0x8000) << 16)
}

#[cfg(test)]
mod tests {
    use super::half;

    #[test]
    fn halves_are_what_they_say() {
        let cases: [(u16, f32); 9] = [
            (0x0000, 0.0),
            (0x3c00, 1.0),
            (0xbc00, -1.0),
            (0x3555, 0.333_251_95),
            (0xc000, -2.0),
            (0x7bff, 65_504.0),
            (0x0400, 6.103_515_6e-5),
            (0x0001, 5.960_464_5e-8),
            (0x83ff, -6.097_555e-5),
        ];
        for (bits, value) in cases {
            assert_eq!(half(bits).to_bits(), value.to_bits(), "{bits:#x}");
        }
    }
}
