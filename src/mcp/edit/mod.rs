//! Changes a JSON document in places and keeps every other byte: values replaced, members put in and removed.

use std::ops::Range;

use crate::json::{self, Field};
use crate::mcp::fault::Fault;
use crate::mcp::message::index_of;

mod inline;
#[cfg(test)]
mod tests;

use inline::Inline;

/// Edits and new bytes that most messages do with: another id, another name, another token.
const FEW_SPLICES: usize = 4;
const FEW_BYTES: usize = 96;

/// Changes of one document, in any order of adding. Places are those of the document as it is.
///
/// Objects inside of each other can be edited in one go, as long as no change lies inside of what another
/// one replaces or removes.
#[derive(Clone, Debug)]
pub struct Edits<'a> {
    doc: &'a [u8],
    /// In the order of their places, without overlaps.
    splices: Inline<Splice, FEW_SPLICES>,
    /// All new bytes.
    added: Inline<u8, FEW_BYTES>,
    /// Where the objects begin that have been `set`.
    objects: Vec<usize>,
}

/// What becomes of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change<'c> {
    /// It gets this value, JSON written out; a member that is not there becomes the first.
    Put(&'c [u8]),
    /// It goes, if it is there.
    Remove,
}

/// A piece of the changed document.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece<'e> {
    /// A place in the old document; not empty.
    Kept(Range<usize>),
    /// New bytes; not empty.
    New(&'e [u8]),
}

/// One place that gets other bytes.
#[derive(Clone, Copy, Debug, Default)]
struct Splice {
    /// In the document; empty where something is put in.
    old: Place,
    /// In `Edits::added`; empty where something is removed.
    new: Place,
}

/// A range that can be copied.
#[derive(Clone, Copy, Debug, Default)]
struct Place {
    start: usize,
    /// >= start.
    end: usize,
}

impl Place {
    fn range(self) -> Range<usize> {
        self.start..self.end
    }
}

impl From<Range<usize>> for Place {
    fn from(Range { start, end }: Range<usize>) -> Self {
        Self { start, end }
    }
}

impl<'a> Edits<'a> {
    /// No changes yet.
    pub fn new(doc: &'a [u8]) -> Self {
        Self { doc, splices: Inline::new(), added: Inline::new(), objects: Vec::new() }
    }

    /// Puts `bytes` in the place of `range`; an empty range is a place between two bytes.
    ///
    /// # Errors
    /// [`Fault::Overlap`], also for a range outside of the document; then nothing has changed.
    pub fn replace(&mut self, range: Range<usize>, bytes: &[u8]) -> Result<(), Fault> {
        if range.start > range.end || range.end > self.doc.len() {
            return Err(Fault::Overlap { at: range.start });
        }
        let splices = self.splices.as_slice();
        let place = splices.partition_point(|s| (s.old.start, s.old.end) <= (range.start, range.end));
        let before = place.checked_sub(1).and_then(|index| splices.get(index));
        let beside = before.into_iter().chain(splices.get(place));
        for other in beside {
            if other.old.start < range.end && range.start < other.old.end {
                return Err(Fault::Overlap { at: other.old.start.max(range.start) });
            }
        }
        let new = self.added.extend(bytes);
        self.splices.insert(place, Splice { old: range.into(), new: new.into() });
        Ok(())
    }

    /// Changes members of the object at `object`; each object once, each name once.
    ///
    /// # Errors
    /// [`Fault::NotJson`] when no object stands there; [`Fault::Twice`] and [`Fault::Alike`] when it has one
    /// of the names more than once or in another spelling; [`Fault::Overlap`]. After an error the edits are
    /// of no more use.
    pub fn set(&mut self, object: Range<usize>, changes: &[(&'static str, Change<'_>)]) -> Result<(), Fault> {
        if self.objects.contains(&object.start) {
            return Err(Fault::Overlap { at: object.start });
        }
        self.objects.push(object.start);
        let members = members(self.doc, object.clone(), changes)?;
        let stays = |member: &Member| !matches!(change_of(member, changes), Some(Change::Remove));
        let kept = members.iter().filter(|member| stays(member)).count();
        for (index, (name, _)) in changes.iter().enumerate() {
            if changes.iter().take(index).any(|(other, _)| other == name) {
                return Err(Fault::Twice { name, at: object.start });
            }
        }
        self.put_in(object.start, changes, &members, kept > 0)?;
        let mut from: Option<usize> = None;
        let mut members = members.iter().peekable();
        while let Some(member) = members.next() {
            match change_of(member, changes) {
                // What went before it ends where the last one that stays ends; the comma goes with it.
                Some(Change::Remove) => {
                    let start = from.unwrap_or(member.key);
                    let end = match (from, members.peek()) {
                        (None, Some(next)) => next.key,
                        _ => member.value.end,
                    };
                    self.replace(start..end, b"")?;
                    from = from.map(|_| end);
                }
                Some(Change::Put(value)) => {
                    self.replace(member.value.clone(), value)?;
                    from = Some(member.value.end);
                }
                None => from = Some(member.value.end),
            }
        }
        Ok(())
    }

    /// The changed document in its order, without copying.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let splices = self.splices.as_slice();
        let ends = splices.iter().map(|splice| splice.old.end);
        let starts = splices.iter().map(|splice| splice.old.start).chain([self.doc.len()]);
        let kept = [0].into_iter().chain(ends).zip(starts).map(|(start, end)| Piece::Kept(start..end));
        let new = splices.iter().map(|splice| splice.new.range()).chain(std::iter::once(0..0));
        let new = new.map(|range| Piece::New(self.added.as_slice().get(range).unwrap_or_default()));
        kept.zip(new).flat_map(|(kept, new)| [kept, new]).filter(|piece| match piece {
            Piece::Kept(range) => !range.is_empty(),
            Piece::New(bytes) => !bytes.is_empty(),
        })
    }

    /// Bytes of the changed document.
    pub fn total_bytes(&self) -> usize {
        let splices = self.splices.as_slice();
        let removed: usize = splices.iter().map(|splice| splice.old.end - splice.old.start).sum();
        (self.doc.len() + self.added.as_slice().len()).saturating_sub(removed)
    }

    /// The changed document.
    pub fn finish(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.total_bytes());
        let mut at = 0;
        let added = self.added.as_slice();
        for Splice { old, new } in self.splices.as_slice() {
            out.extend_from_slice(self.doc.get(at..old.start).unwrap_or_default());
            out.extend_from_slice(added.get(new.range()).unwrap_or_default());
            at = old.end;
        }
        out.extend_from_slice(self.doc.get(at..).unwrap_or_default());
        out
    }

    /// Puts those members after the opening bracket that are not there yet.
    fn put_in(
        &mut self,
        open: usize,
        changes: &[(&'static str, Change<'_>)],
        members: &[Member],
        more: bool,
    ) -> Result<(), Fault> {
        let mut text = Vec::new();
        for (index, (name, change)) in changes.iter().enumerate() {
            let Change::Put(value) = change else { continue };
            if members.iter().any(|member| member.change == Some(index)) {
                continue;
            }
            text.extend_from_slice(if text.is_empty() { b"" } else { b"," });
            json::write_string(&mut text, name);
            text.push(b':');
            text.extend_from_slice(value);
        }
        if text.is_empty() {
            return Ok(());
        }
        text.extend_from_slice(if more { b"," } else { b"" });
        self.replace(open + 1..open + 1, &text)
    }
}

/// A member of an object that is edited.
struct Member {
    /// Where its name begins, at the quote.
    key: usize,
    value: Range<usize>,
    /// Which of the changes is about it.
    change: Option<usize>,
}

fn members(
    doc: &[u8],
    object: Range<usize>,
    changes: &[(&'static str, Change<'_>)],
) -> Result<Vec<Member>, Fault> {
    let mut members: Vec<Member> = Vec::new();
    json::fields_at(doc, object, |Field { key, value }| {
        let change = index_of(&key, changes.iter().map(|(name, _)| *name))?;
        if change.is_some() && members.iter().any(|member| member.change == change) {
            let name = change.and_then(|index| changes.get(index)).map_or("", |(name, _)| *name);
            return Err(Fault::Twice { name, at: key.at });
        }
        members.push(Member { key: key.at - 1, value: value.span, change });
        Ok(())
    })?;
    Ok(members)
}

fn change_of<'c>(member: &Member, changes: &[(&'static str, Change<'c>)]) -> Option<Change<'c>> {
    Some(changes.get(member.change?)?.1)
}
