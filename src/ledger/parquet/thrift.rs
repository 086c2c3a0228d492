//! The compact protocol of Thrift, in which Parquet writes what it says about itself: the writing half.
//!
//! Follows the specification of the protocol (`thrift-compact-protocol.md`, read 2026-11): integers as
//! variable-length zigzag numbers, fields with the distance from the field before.

/// A struct in the making. Fields go in by rising numbers.
#[derive(Debug, Default)]
pub(super) struct Struct {
    out: Vec<u8>,
    last: i16,
}

const TRUE: u8 = 1;
const I32: u8 = 5;
const I64: u8 = 6;
const BINARY: u8 = 8;
const LIST: u8 = 9;
const STRUCT: u8 = 12;

impl Struct {
    /// A number of 32 bits; enumerations are such.
    pub(super) fn i32(self, id: i16, value: i32) -> Self {
        self.integer(id, I32, value.into())
    }

    /// A number of 64 bits.
    pub(super) fn i64(self, id: i16, value: i64) -> Self {
        self.integer(id, I64, value)
    }

    fn integer(mut self, id: i16, kind: u8, value: i64) -> Self {
        self.field(id, kind);
        zigzag(&mut self.out, value);
        self
    }

    /// What is true.
    pub(super) fn yes(mut self, id: i16) -> Self {
        self.field(id, TRUE);
        self
    }

    /// A text.
    pub(super) fn text(mut self, id: i16, value: &str) -> Self {
        self.field(id, BINARY);
        binary(&mut self.out, value.as_bytes());
        self
    }

    /// A struct inside.
    pub(super) fn nested(mut self, id: i16, value: Self) -> Self {
        self.field(id, STRUCT);
        self.out.extend(value.end());
        self
    }

    /// A list of enumerations.
    pub(super) fn i32s(mut self, id: i16, values: &[i32]) -> Self {
        self.list(id, I32, values.len());
        values.iter().for_each(|value| zigzag(&mut self.out, (*value).into()));
        self
    }

    /// A list of one text.
    pub(super) fn texts(mut self, id: i16, values: &[&str]) -> Self {
        self.list(id, BINARY, values.len());
        values.iter().for_each(|value| binary(&mut self.out, value.as_bytes()));
        self
    }

    /// A list of structs.
    pub(super) fn structs(mut self, id: i16, values: impl ExactSizeIterator<Item = Self>) -> Self {
        self.list(id, STRUCT, values.len());
        values.for_each(|value| self.out.extend(value.end()));
        self
    }

    /// The bytes of it.
    pub(super) fn end(mut self) -> Vec<u8> {
        self.out.push(0);
        self.out
    }

    fn field(&mut self, id: i16, kind: u8) {
        match u8::try_from(i32::from(id) - i32::from(self.last)) {
            Ok(step @ 1..=15) => self.out.push(step << 4 | kind),
            _ => {
                self.out.push(kind);
                zigzag(&mut self.out, id.into());
            }
        }
        self.last = id;
    }

    fn list(&mut self, id: i16, kind: u8, len: usize) {
        self.field(id, LIST);
        match u8::try_from(len) {
            Ok(short @ 0..=14) => self.out.push(short << 4 | kind),
            _ => {
                self.out.push(0xf0 | kind);
                varint(&mut self.out, u64::try_from(len).unwrap_or(u64::MAX));
            }
        }
    }
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    varint(out, u64::try_from(bytes.len()).unwrap_or(u64::MAX));
    out.extend_from_slice(bytes);
}

fn zigzag(out: &mut Vec<u8>, value: i64) {
    // Small numbers of either sign become small numbers without one.
    varint(out, (value << 1 ^ value >> 63).cast_unsigned());
}

/// Seven bits a byte, the lowest first.
pub(super) fn varint(out: &mut Vec<u8>, mut value: u64) {
    while value > 0x7f {
        out.push(0x80 | u8::try_from(value & 0x7f).unwrap_or(0));
        value >>= 7;
    }
    out.push(u8::try_from(value).unwrap_or(0));
}

#[cfg(test)]
mod tests {
    use super::{Struct, varint};

    #[test]
    fn what_is_written_is_what_the_specification_shows() {
        let inner = Struct::default().yes(1).text(2, "ab");
        let bytes = Struct::default().i32(1, -1).i64(3, 300).nested(40, inner).i32s(41, &[6, 7]).end();
        let expected = [
            0x15, 0x01, 0x26, 0xd8, 0x04, 0x0c, 0x50, 0x11, 0x18, 0x02, b'a', b'b', 0x00, 0x19, 0x25, 0x0c,
            0x0e, 0x00,
        ];
        assert_eq!(bytes, expected);
        let many = Struct::default().i32s(1, &[0; 20]).end();
        assert_eq!((&many[..3], many.len()), ([0x19, 0xf5, 20].as_slice(), 24));
        let mut out = Vec::new();
        varint(&mut out, u64::MAX);
        assert_eq!(out.len(), 10);
    }
}
