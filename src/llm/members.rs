//! Keeps the beginnings of chosen members of a JSON object that passes in pieces of any size.

use std::borrow::Cow;

use crate::json::{Part, Parts, text};
use crate::limits;

/// Bytes of a name, as written, that are looked at: the longest that we choose has 13 letters, and each may
/// be written as an escape of six bytes.
const NAME_BYTES_MAX: usize = 96;

/// A reader of one object after the other.
#[derive(Clone, Debug)]
pub(crate) struct Members {
    chosen: &'static [&'static str],
    parts: Parts,
    /// The name under way, <= `NAME_BYTES_MAX` + 1.
    name: Vec<u8>,
    /// Whose value is under way.
    current: Option<usize>,
    /// One for each of `chosen`.
    values: Vec<Kept>,
}

/// What is kept of one value.
#[derive(Clone, Debug, Default)]
struct Kept {
    /// With its quotes and brackets, <= `limits::ACTION_MEMBER_BYTES_MAX`.
    raw: Vec<u8>,
    /// It was longer.
    cut: bool,
}

/// The text of a member.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    /// Its beginning.
    pub(crate) text: Cow<'a, str>,
    /// It is all of it.
    pub(crate) whole: bool,
}

impl Members {
    /// A reader that keeps the members of these names.
    pub(crate) fn new(chosen: &'static [&'static str]) -> Self {
        Self {
            chosen,
            parts: Parts::default(),
            name: Vec::new(),
            current: None,
            values: vec![Kept::default(); chosen.len()],
        }
    }

    /// Forgets what was read, and awaits another object.
    pub(crate) fn clear(&mut self) {
        self.parts = Parts::default();
        self.name.clear();
        self.current = None;
        for value in &mut self.values {
            value.raw.clear();
            value.cut = false;
        }
    }

    /// Looks at the next bytes, and passes on those of chosen members, kept or not, with their places among
    /// the chosen names.
    pub(crate) fn push(&mut self, bytes: &[u8], mut pass: impl FnMut(usize, &[u8])) {
        let Self { chosen, parts, name, current, values } = self;
        parts.push(bytes, |part| match part {
            Part::Name(piece) => {
                let room = (NAME_BYTES_MAX + 1).saturating_sub(name.len());
                name.extend(piece.iter().take(room));
            }
            Part::Colon => {
                *current = place_of(name, chosen);
                name.clear();
                // Of a member given twice the last one counts, as it does for those who run the tool.
                if let Some(kept) = current.and_then(|place| values.get_mut(place)) {
                    kept.raw.clear();
                    kept.cut = false;
                }
            }
            Part::Value(piece) => {
                let Some(place) = *current else { return };
                pass(place, piece);
                if let Some(kept) = values.get_mut(place) {
                    kept.take(piece);
                }
            }
            Part::End => *current = None,
        });
    }

    /// The text of the chosen member `name`; nothing when it is no string or has not passed.
    pub(crate) fn text(&self, name: &str) -> Option<Text<'_>> {
        let place = self.chosen.iter().position(|chosen| *chosen == name)?;
        self.values.get(place)?.text().filter(|found| !found.text.is_empty())
    }
}

impl Kept {
    fn take(&mut self, piece: &[u8]) {
        let piece = if self.raw.is_empty() { piece.trim_ascii_start() } else { piece };
        let room = limits::ACTION_MEMBER_BYTES_MAX.saturating_sub(self.raw.len());
        self.cut |= piece.len() > room;
        self.raw.extend(piece.iter().take(room));
    }

    fn text(&self) -> Option<Text<'_>> {
        let inner = self.raw.strip_prefix(b"\"")?;
        let inner = if self.cut { inner } else { inner.trim_ascii_end().strip_suffix(b"\"")? };
        let mut good = inner;
        // What is not text ends it: first where bytes are none, then where an escape is none.
        for _ in 0..3 {
            match text(good) {
                Ok(text) => return Some(Text { text, whole: !self.cut && good.len() == inner.len() }),
                Err(fault) => good = good.get(..fault.at())?,
            }
        }
        None
    }
}

/// Which of the chosen names this is, as written.
fn place_of(raw: &[u8], chosen: &[&str]) -> Option<usize> {
    let name = if raw.len() <= NAME_BYTES_MAX { text(raw).ok()? } else { return None };
    chosen.iter().position(|chosen| *chosen == name)
}
