//! A text that is too long to be shown at once, and how it is read in pieces.

use std::ops::Range;

use crate::json::{Cursor, Fault, Kind};
use crate::limits;

/// How much is shown at once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Caps {
    /// Rows of a table; nothing for any number.
    pub rows_max: Option<usize>,
    /// Bytes of a text, counted as at least `limits::RESULT_CUT_BYTES_MIN`; nothing for any number.
    pub bytes_max: Option<usize>,
}

impl Caps {
    /// Whether anything is ever cut.
    pub const fn is_any(self) -> bool {
        self.rows_max.is_some() || self.bytes_max.is_some()
    }

    fn bytes(self) -> usize {
        self.bytes_max.map_or(usize::MAX, |bytes| bytes.max(limits::RESULT_CUT_BYTES_MIN))
    }

    fn rows(self) -> usize {
        self.rows_max.map_or(usize::MAX, |rows| rows.max(1))
    }
}

/// In what a text is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Elements of its longest array.
    Rows,
    /// Bytes, between characters and where it can be between lines.
    Bytes,
}

impl Unit {
    /// The word for it.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Rows => "rows",
            Self::Bytes => "bytes",
        }
    }
}

/// A text of which only a part is shown at once, or nothing for now. It is whole: pieces can be read in any
/// order and again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    text: String,
    /// The elements of the array that is cut; empty where it is cut by bytes.
    rows: Vec<Range<usize>>,
    caps: Caps,
}

/// A part of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// What is shown. By rows it is JSON: the first piece is the document with fewer rows, later ones are an
    /// array of rows.
    pub text: String,
    /// Which rows or bytes these are.
    pub shown: Range<usize>,
    /// Rows or bytes of the whole.
    pub of: usize,
    /// Which of both.
    pub unit: Unit,
}

impl Piece {
    /// Where the next piece begins; nothing after the last.
    pub fn next(&self) -> Option<usize> {
        (self.shown.end < self.of).then_some(self.shown.end)
    }
}

impl Kept {
    /// Cuts a text; nothing when it is within the caps. JSON with an array is cut between the elements of its
    /// longest one, unless one of them alone is over the cap of bytes; all else is cut by bytes.
    ///
    /// # Errors
    /// The text again.
    pub fn of(text: String, caps: Caps) -> Result<Self, String> {
        let rows = rows(text.as_bytes()).unwrap_or_default();
        if text.len() <= caps.bytes() && rows.len() <= caps.rows() {
            return Err(text);
        }
        let (first, last) = (rows.first().map_or(0, |row| row.start), rows.last().map_or(0, |row| row.end));
        let around = first + text.len().saturating_sub(last);
        let fits = rows.iter().all(|row| row.len().saturating_add(around) <= caps.bytes());
        let rows = if fits { rows } else { Vec::new() };
        if rows.is_empty() && text.len() <= caps.bytes() {
            return Err(text);
        }
        Ok(Self { text, rows, caps })
    }

    /// Keeps a text whole that was given before: in pieces where it is over the caps, else as one.
    pub fn again(text: String, caps: Caps) -> Self {
        Self::of(text, caps).unwrap_or_else(|text| Self { text, rows: Vec::new(), caps })
    }

    /// In what it is cut.
    pub fn unit(&self) -> Unit {
        if self.rows.is_empty() { Unit::Bytes } else { Unit::Rows }
    }

    /// Rows or bytes of the whole.
    pub fn total(&self) -> usize {
        if self.rows.is_empty() { self.text.len() } else { self.rows.len() }
    }

    /// Bytes of the text, for whoever keeps it.
    pub fn bytes(&self) -> usize {
        self.text.len() + self.rows.len() * size_of::<Range<usize>>()
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The piece that begins at this row or byte, with as much as the caps let in; nothing when there is no
    /// such row, or the byte is beyond the text or inside of a character.
    pub fn piece(&self, from: usize) -> Option<Piece> {
        if self.rows.is_empty() { self.piece_of_bytes(from) } else { self.piece_of_rows(from) }
    }

    fn piece_of_rows(&self, from: usize) -> Option<Piece> {
        let rows = self.rows.get(from..).filter(|rows| !rows.is_empty())?;
        let (head, tail) = match from {
            0 => (self.text.get(..self.rows.first()?.start)?, self.text.get(self.rows.last()?.end..)?),
            _ => ("[", "]"),
        };
        let start = rows.first()?.start;
        let room = self.caps.bytes().saturating_sub(head.len() + tail.len());
        let fitting = rows.iter().take_while(|row| row.end - start <= room).count();
        let count = fitting.clamp(1, self.caps.rows());
        let body = self.text.get(start..rows.get(count - 1)?.end)?;
        Some(Piece {
            text: [head, body, tail].concat(),
            shown: from..from + count,
            of: self.rows.len(),
            unit: Unit::Rows,
        })
    }

    fn piece_of_bytes(&self, from: usize) -> Option<Piece> {
        let rest = self.text.get(from..).filter(|rest| !rest.is_empty())?;
        let mut end = rest.floor_char_boundary(self.caps.bytes());
        if end < rest.len() {
            // A line that is whole is worth more than the last few words, but not much more.
            let line = rest.get(..end).and_then(|piece| piece.rfind('\n')).map(|line| line + 1);
            end = line.filter(|line| *line > end / 4 * 3).unwrap_or(end);
        }
        Some(Piece {
            text: rest.get(..end)?.to_owned(),
            shown: from..from + end,
            of: self.text.len(),
            unit: Unit::Bytes,
        })
    }
}

/// The elements of the longest array that is reached through objects alone; nothing in what is no JSON.
fn rows(text: &[u8]) -> Option<Vec<Range<usize>>> {
    let mut longest: Range<usize> = 0..0;
    let mut cursor = Cursor::new(text);
    find(&mut cursor, &mut longest).ok()?;
    cursor.finish().ok()?;
    let mut rows = Vec::new();
    crate::json::elements(text, longest, |row| {
        rows.push(row.span);
        Ok::<_, Fault>(())
    })
    .ok()?;
    Some(rows)
}

/// No deeper than the cursor goes.
fn find(cursor: &mut Cursor<'_>, longest: &mut Range<usize>) -> Result<(), Fault> {
    if cursor.ahead() == Some(Kind::Object) {
        cursor.enter_object()?;
        while cursor.key()?.is_some() {
            find(cursor, longest)?;
        }
        return Ok(());
    }
    let value = cursor.skip()?;
    if value.kind == Kind::Array && value.span.len() > longest.len() {
        *longest = value.span;
    }
    Ok(())
}
