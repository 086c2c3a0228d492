//! Columns of a block: the values of one field of all its entries.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::ops::RangeInclusive;

use crate::limits;

/// Level of zstd: higher ones take twice the time for a twentieth of the bytes.
pub(super) const LEVEL: i32 = 3;

/// Fields that the chain does not have: the numbers of who called and of the session.
pub(super) const WHO: u8 = 126;
pub(super) const SESSION: u8 = 127;

/// The fields of the chain that those two stand for: key, its id, team, user, client, session.
pub(super) const OF_WHO: RangeInclusive<u8> = 6..=11;

/// What the chain puts before the fields of an entry that nobody has stamped.
pub(super) const EVENT: [u8; BEFORE_FIELDS] = [3, 0];
pub(super) const BEFORE_FIELDS: usize = 2;

/// How a column is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// A list of values, and for each entry which of them.
    Listed,
    /// The lengths, and the values apart, compressed or as they are.
    Packed,
    Raw,
    /// The values are UUIDs, apart as sixteen bytes each.
    Uuids,
}

impl Form {
    const ALL: [Self; 4] = [Self::Listed, Self::Packed, Self::Raw, Self::Uuids];

    const fn number(self) -> u8 {
        match self {
            Self::Listed => 0,
            Self::Packed => 1,
            Self::Raw => 2,
            Self::Uuids => 3,
        }
    }
}

/// What unpacks blocks; it is made when it is first needed.
#[derive(Default)]
pub(super) struct Unpacker(Option<zstd::bulk::Decompressor<'static>>);

impl fmt::Debug for Unpacker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Unpacker").finish_non_exhaustive()
    }
}

impl Unpacker {
    /// Unpacks what has so many bytes then; `None` for what is damaged, or larger than any that is written.
    pub(super) fn unpack(&mut self, packed: &[u8], bytes: usize) -> Option<Vec<u8>> {
        if bytes > limits::INDEX_BLOCK_BYTES_MAX {
            return None;
        }
        if self.0.is_none() {
            self.0 = zstd::bulk::Decompressor::new().ok();
        }
        let unpacked = self.0.as_mut()?.decompress(packed, bytes).ok()?;
        (unpacked.len() == bytes).then_some(unpacked)
    }
}

/// A column that is read.
#[derive(Debug)]
pub(super) struct Column {
    pub(super) field: u8,
    bytes: Vec<u8>,
    /// Where in `bytes` the value of each entry is; `None` where it has none.
    places: Vec<Option<(usize, usize)>>,
    /// Whether the values are the bytes of UUIDs: writing them all out would take longer than the rest.
    uuids: bool,
}

impl Column {
    /// The value of an entry; the outer `None` for a place that is none.
    pub(super) fn value(&self, place: usize) -> Option<Option<Cow<'_, [u8]>>> {
        let Some((begin, end)) = self.places.get(place)? else { return Some(None) };
        let bytes = self.bytes.get(*begin..*end)?;
        Some(Some(if self.uuids { Cow::Owned(uuid_text(bytes)) } else { Cow::Borrowed(bytes) }))
    }

    /// Reads a column of so many entries; `None` for bytes that are none.
    pub(super) fn unpack(
        count: usize,
        rest: &mut &[u8],
        apart: &mut &[u8],
        unpacker: &mut Unpacker,
    ) -> Option<Self> {
        let (&[field, form], after) = rest.split_first_chunk()?;
        *rest = after;
        let form = Form::ALL.into_iter().find(|known| known.number() == form)?;
        if form == Form::Listed {
            return Self::listed(field, count, rest);
        }
        // Lengths plus one, 0 for nothing.
        let mut places = Vec::with_capacity(count);
        let mut end = 0_usize;
        for _ in 0..count {
            let length = usize::try_from(take(rest)?).ok()?;
            places.push(match length.checked_sub(1) {
                None => None,
                Some(length) => {
                    let begin = end;
                    let length = match form {
                        Form::Uuids if length == UUID_TEXT => UUID_BYTES,
                        Form::Uuids => return None,
                        _ => length,
                    };
                    end = end.checked_add(length).filter(|end| *end <= limits::INDEX_BLOCK_BYTES_MAX)?;
                    Some((begin, end))
                }
            });
        }
        let length = usize::try_from(take(rest)?).ok()?;
        let (own, after) = apart.split_at_checked(length)?;
        *apart = after;
        let bytes = match form {
            Form::Packed => unpacker.unpack(own, end)?,
            Form::Uuids | Form::Raw | Form::Listed => own.to_vec(),
        };
        let uuids = form == Form::Uuids;
        (bytes.len() == end).then_some(Self { field, bytes, places, uuids })
    }

    fn listed(field: u8, count: usize, rest: &mut &[u8]) -> Option<Self> {
        let distinct = usize::try_from(take(rest)?).ok().filter(|distinct| *distinct <= count)?;
        let mut bytes = Vec::new();
        let mut values = vec![None];
        for _ in 0..distinct {
            let length = usize::try_from(take(rest)?).ok()?;
            let (value, after) = rest.split_at_checked(length)?;
            *rest = after;
            let begin = bytes.len();
            bytes.extend_from_slice(value);
            values.push(Some((begin, bytes.len())));
        }
        let mut places = Vec::with_capacity(count);
        for _ in 0..count {
            places.push(*values.get(usize::try_from(take(rest)?).ok()?)?);
        }
        Some(Self { field, bytes, places, uuids: false })
    }
}

/// Appends a column: to the first what is compressed with all others, to the second what stands apart.
pub(super) fn pack(
    field: u8,
    values: &[Option<&[u8]>],
    (common, apart): (&mut Vec<u8>, &mut Vec<u8>),
    compressor: &mut zstd::bulk::Compressor<'_>,
) -> Option<()> {
    let (distinct, numbered) = number(values);
    let present: Vec<&[u8]> = values.iter().flatten().copied().collect();
    if distinct.len() * 3 <= present.len() * 2 {
        common.extend_from_slice(&[field, Form::Listed.number()]);
        put(u64::try_from(distinct.len()).ok()?, common);
        for value in distinct {
            put(u64::try_from(value.len()).ok()?, common);
            common.extend_from_slice(value);
        }
        numbered.into_iter().for_each(|number| put(number, common));
        return Some(());
    }
    let bytes = present.concat();
    let uuids: Option<Vec<u8>> =
        present.iter().map(|value| uuid(value)).collect::<Option<Vec<_>>>().map(|all| all.concat());
    let (form, own) = match uuids {
        Some(uuids) => (Form::Uuids, uuids),
        None => match compressor.compress(&bytes).ok()? {
            packed if packed.len() < bytes.len() => (Form::Packed, packed),
            _ => (Form::Raw, bytes),
        },
    };
    common.extend_from_slice(&[field, form.number()]);
    for value in values {
        put(value.map_or(0, |value| u64::try_from(value.len()).unwrap_or(0) + 1), common);
    }
    put(u64::try_from(own.len()).ok()?, common);
    apart.extend_from_slice(&own);
    Some(())
}

/// The different values in the order in which they come, and for each entry which of them, 0 for nothing.
fn number<'v>(values: &[Option<&'v [u8]>]) -> (Vec<&'v [u8]>, Vec<u64>) {
    let mut distinct: Vec<&[u8]> = Vec::new();
    let mut numbers: HashMap<&[u8], usize> = HashMap::new();
    let mut numbered = Vec::with_capacity(values.len());
    for value in values {
        let Some(value) = *value else {
            numbered.push(0);
            continue;
        };
        // Most columns have a handful of values, and looking through them costs less than hashing.
        let seen = match distinct.iter().take(FEW).position(|known| *known == value) {
            Some(at) => at + 1,
            None if distinct.len() < FEW => {
                distinct.push(value);
                distinct.len()
            }
            None => *numbers.entry(value).or_insert_with(|| {
                distinct.push(value);
                distinct.len()
            }),
        };
        numbered.push(u64::try_from(seen).unwrap_or(0));
    }
    (distinct, numbered)
}

/// Values of a column that are looked through.
const FEW: usize = 6;

/// Bytes of a UUID, and of its text.
const UUID_BYTES: usize = 16;
const UUID_TEXT: usize = 36;

/// The sixteen bytes of a UUID as it is usually written, in small letters; `None` for anything else.
fn uuid(text: &[u8]) -> Option<[u8; UUID_BYTES]> {
    if text.len() != UUID_TEXT {
        return None;
    }
    let mut number = 0_u128;
    for (place, byte) in text.iter().enumerate() {
        let digit = match (place, byte) {
            (8 | 13 | 18 | 23, b'-') => continue,
            (8 | 13 | 18 | 23, _) => return None,
            (_, b'0'..=b'9') => byte - b'0',
            (_, b'a'..=b'f') => byte - b'a' + 10,
            _ => return None,
        };
        number = number << 4 | u128::from(digit);
    }
    Some(number.to_be_bytes())
}

fn uuid_text(bytes: &[u8]) -> Vec<u8> {
    const DIGITS: [u8; 16] = *b"0123456789abcdef";
    let digit = |number: u8| DIGITS.get(usize::from(number)).copied().unwrap_or(b'0');
    let mut text = Vec::with_capacity(UUID_TEXT);
    for byte in bytes {
        if matches!(text.len(), 8 | 13 | 18 | 23) {
            text.push(b'-');
        }
        text.push(digit(byte >> 4));
        text.push(digit(byte & 15));
    }
    text
}

/// Appends a field as the chain does it: its number, its length, its bytes.
pub(super) fn put_field(field: u8, value: &[u8], out: &mut Vec<u8>) {
    out.push(field);
    put(u64::try_from(value.len()).unwrap_or(0), out);
    out.extend_from_slice(value);
}

/// The next field; `None` at the end.
pub(super) fn take_field<'a>(rest: &mut &'a [u8]) -> Option<(u8, &'a [u8])> {
    let (&field, after) = rest.split_first()?;
    *rest = after;
    let length = usize::try_from(take(rest)?).ok()?;
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some((field, value))
}

/// Appends a number, seven bits a byte, lowest first.
pub(super) fn put(mut number: u64, out: &mut Vec<u8>) {
    while number >= 128 {
        out.push(u8::try_from(number & 127).unwrap_or(0) | 128);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

/// The next number; `None` where there is none.
pub(super) fn take(rest: &mut &[u8]) -> Option<u64> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        number |= u64::from(byte & 127).checked_shl(shift)?;
        if byte < 128 {
            return Some(number);
        }
    }
    None
}
