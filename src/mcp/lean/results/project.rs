//! Writes a JSON text again without white space, and without what a rule leaves out.

use super::path::{Key, Path};
use crate::json::{Cursor, Fault, Kind};
use crate::mcp::canonical::name;

/// A text in its smallest notation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Projected {
    /// JSON; numbers, names and strings byte for byte.
    pub text: Vec<u8>,
    /// Values that the rule left out; what was in them is not counted.
    pub left_out: usize,
}

/// Writes `doc` without white space. With paths in `keep` only what they lead to, with what is in it; then
/// without what those in `drop` lead to. What is outermost stays, if only with empty brackets; an object or
/// array within goes when nothing that is kept is in it.
///
/// # Errors
/// The first [`Fault`]; escapes in strings are not looked at.
pub fn project(doc: &[u8], keep: &[Path], drop: &[Path]) -> Result<Projected, Fault> {
    let mut walk = Walk { doc, keep, drop, out: Vec::with_capacity(doc.len()), left_out: 0 };
    let mut cursor = Cursor::new(doc);
    let empty = match cursor.ahead() {
        Some(Kind::Object) => b"{}".as_slice(),
        Some(Kind::Array) => b"[]",
        _ => b"null",
    };
    let marks = Marks {
        kept: keep.is_empty(),
        keep: vec![Path::START; keep.len()],
        drop: vec![Path::START; drop.len()],
    };
    if !walk.value(&mut cursor, &marks)? {
        walk.out.extend_from_slice(empty);
    }
    cursor.finish()?;
    Ok(Projected { text: walk.out, left_out: walk.left_out })
}

/// How far all paths have come at one value.
struct Marks {
    /// A path to keep has come to its end here or above.
    kept: bool,
    keep: Vec<u64>,
    drop: Vec<u64>,
}

struct Walk<'a> {
    doc: &'a [u8],
    keep: &'a [Path],
    drop: &'a [Path],
    out: Vec<u8>,
    left_out: usize,
}

impl Walk<'_> {
    /// How far the paths have come in the value at `key`; nothing when it is left out with all that is in it.
    fn marks(&self, above: &Marks, key: Key<'_>) -> Option<Marks> {
        let advance = |paths: &[Path], above: &[u64]| -> Vec<u64> {
            paths.iter().zip(above).map(|(path, places)| path.advance(*places, key)).collect()
        };
        let done = |paths: &[Path], places: &[u64]| {
            paths.iter().zip(places).any(|(path, places)| path.is_done(*places))
        };
        let (keep, drop) = (advance(self.keep, &above.keep), advance(self.drop, &above.drop));
        let kept = above.kept || done(self.keep, &keep);
        let gone = done(self.drop, &drop) || !(kept || keep.iter().any(|places| *places != 0));
        (!gone).then_some(Marks { kept, keep, drop })
    }

    /// Writes what is kept of the next value; false when that is nothing. No deeper than the cursor goes.
    fn value(&mut self, cursor: &mut Cursor<'_>, marks: &Marks) -> Result<bool, Fault> {
        match cursor.ahead() {
            Some(Kind::Object) => self.object(cursor, marks),
            Some(Kind::Array) => self.array(cursor, marks),
            _ => {
                let value = cursor.skip()?;
                if marks.kept {
                    self.out.extend_from_slice(value.bytes(self.doc));
                } else {
                    self.left_out += 1;
                }
                Ok(marks.kept)
            }
        }
    }

    fn object(&mut self, cursor: &mut Cursor<'_>, marks: &Marks) -> Result<bool, Fault> {
        let plain = self.keep.is_empty() && self.drop.is_empty();
        cursor.enter_object()?;
        let start = self.out.len();
        self.out.push(b'{');
        let mut any = false;
        while let Some(key) = cursor.key()? {
            let below = if plain {
                Some(Marks { kept: true, keep: Vec::new(), drop: Vec::new() })
            } else {
                self.marks(marks, Key::Name(&name(&key)?))
            };
            any = true;
            let before = self.out.len();
            self.out.extend_from_slice(if before > start + 1 { b",\"" } else { b"\"" });
            self.out.extend_from_slice(key.raw);
            self.out.extend_from_slice(b"\":");
            self.below(cursor, below.as_ref(), before)?;
        }
        self.out.push(b'}');
        Ok(self.close(start, any, marks))
    }

    fn array(&mut self, cursor: &mut Cursor<'_>, marks: &Marks) -> Result<bool, Fault> {
        cursor.enter_array()?;
        let start = self.out.len();
        self.out.push(b'[');
        let mut index = 0;
        while cursor.element()? {
            let below = self.marks(marks, Key::Index(index));
            index += 1;
            let before = self.out.len();
            self.out.extend_from_slice(if before > start + 1 { b"," } else { b"" });
            self.below(cursor, below.as_ref(), before)?;
        }
        self.out.push(b']');
        Ok(self.close(start, index > 0, marks))
    }

    /// Writes what is kept of a value in another; where that is nothing, takes back what was written since
    /// `before`.
    fn below(&mut self, cursor: &mut Cursor<'_>, marks: Option<&Marks>, before: usize) -> Result<(), Fault> {
        let wrote = match marks {
            Some(marks) => self.value(cursor, marks)?,
            None => {
                cursor.skip()?;
                self.left_out += 1;
                false
            }
        };
        if !wrote {
            self.out.truncate(before);
        }
        Ok(())
    }

    /// Whether a container that has been written stays: it is kept itself, or something in it is.
    fn close(&mut self, start: usize, any: bool, marks: &Marks) -> bool {
        let stays = marks.kept || self.out.len() > start + 2;
        if !stays {
            self.out.truncate(start);
            self.left_out += usize::from(!any);
        }
        stays
    }
}
