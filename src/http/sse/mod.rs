//! Splits a passing stream of server-sent events, without holding it up and without keeping its data.
//!
//! Follows the WHATWG HTML standard, section 9.2.6 "Interpreting an event stream" (read 2026-11): lines end
//! by LF, CRLF or CR, one byte order mark may lead, a colon begins a comment, several `data` lines make one
//! event, a block without data is no event. Fields other than `event`, `data`, `id` and `retry` pass unread.

use memchr::memchr2;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;

/// Bytes of an event's name that are kept; the longest that Anthropic or MCP send is `content_block_delta`.
const NAME_BYTES_MAX: usize = 32;

/// What the splitter says of the bytes it is shown, in their order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Piece<'a> {
    /// A line `event:` has ended: the name of the event that is under way, before or after its data. Empty
    /// for a name longer than any that we know.
    Name(&'a [u8]),
    /// Some of the event's data; all pieces until the end of the event make the data, line feeds between
    /// lines included.
    Data(&'a [u8]),
    /// The event is complete. Its name again; empty when it had none.
    End(&'a [u8]),
    /// A block without data has ended, which is no event: names and pieces since the last end are void. Not
    /// so an id, which counts from here on as it would from an `End`.
    Void,
    /// Some of the value of a line `id:`. An empty piece begins a line, so that an earlier id of the same
    /// event is void; no other piece is empty.
    Id(&'a [u8]),
    /// Some of the value of a line `retry:`, cut as that of `id:`.
    Retry(&'a [u8]),
}

/// What a line turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Line {
    /// Too little of it has passed to say.
    Open,
    Data,
    Name,
    Id,
    Retry,
    Comment,
    Other,
}

/// Reads a stream in pieces of any size.
///
/// ```text
/// [BOM] ( Open -> Data | Name | Id | Retry | Comment | Other -> line end -> Open )*
/// blank line: End or Void
/// ```
#[derive(Clone, Debug)]
pub struct Splitter {
    line: Line,
    /// The first bytes of a line that is still `Open`, `head_len` <= 6.
    head: [u8; 6],
    head_len: usize,
    /// The colon has just passed: one space after it belongs to it.
    colon: bool,
    /// The last byte was CR: an LF right after it belongs to it.
    after_cr: bool,
    /// Bytes of the byte order mark seen at the start; `BOM.len()` when that question is settled.
    bom: usize,
    /// A field has passed since the last blank line.
    under_way: bool,
    /// A `data` line has passed since the last blank line.
    has_data: bool,
    name: [u8; NAME_BYTES_MAX],
    /// Of the last name since the last blank line; greater than `NAME_BYTES_MAX` when it was too long.
    name_len: usize,
}

const BOM: &[u8] = b"\xef\xbb\xbf";

/// What lines begin with that are read.
const KNOWN: [&[u8]; 4] = [b"data:", b"event:", b"id:", b"retry:"];

impl Default for Splitter {
    fn default() -> Self {
        Self {
            line: Line::Open,
            head: [0; 6],
            head_len: 0,
            colon: false,
            after_cr: false,
            bom: 0,
            under_way: false,
            has_data: false,
            name: [0; NAME_BYTES_MAX],
            name_len: 0,
        }
    }
}

impl Splitter {
    /// Takes the next bytes and hands on what they complete.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) {
        let mut rest = if self.bom < BOM.len() { self.after_bom(bytes, &mut each) } else { bytes };
        if self.after_cr && !rest.is_empty() {
            self.after_cr = false;
            rest = rest.strip_prefix(b"\n").unwrap_or(rest);
        }
        while let Some((line, end, after)) = split_line(rest) {
            self.take(line, &mut each);
            self.end_line(&mut each);
            rest = after;
            if end == b'\r' {
                match rest.strip_prefix(b"\n") {
                    Some(after) => rest = after,
                    None => self.after_cr = rest.is_empty(),
                }
            }
        }
        self.take(rest, &mut each);
    }

    /// Whether nothing of an event that is not complete has passed: here another event may be put in. True at
    /// the start and after comments.
    pub fn between_events(&self) -> bool {
        self.line == Line::Open && self.head_len == 0 && !self.under_way && matches!(self.bom, 0 | 3)
    }

    /// Strips what of the byte order mark the bytes begin with.
    fn after_bom<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        let mut rest = bytes;
        while let (Some(expected), Some((first, after))) = (BOM.get(self.bom), rest.split_first()) {
            if first != expected {
                // The bytes taken for a mark were the start of a line after all, of a field that nobody
                // knows.
                let taken = BOM.get(..self.bom).unwrap_or_default();
                self.bom = BOM.len();
                self.take(taken, each);
                return rest;
            }
            self.bom += 1;
            rest = after;
        }
        rest
    }

    /// Takes bytes of one line.
    #[inline]
    fn take(&mut self, bytes: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        let mut rest = bytes;
        if self.line == Line::Open {
            rest = self.begin_line(rest, each);
        }
        if self.colon && !rest.is_empty() {
            self.colon = false;
            rest = rest.strip_prefix(b" ").unwrap_or(rest);
        }
        if rest.is_empty() {
            return;
        }
        match self.line {
            Line::Data => each(Piece::Data(rest)),
            Line::Name => self.name_more(rest),
            Line::Id => each(Piece::Id(rest)),
            Line::Retry => each(Piece::Retry(rest)),
            Line::Open | Line::Comment | Line::Other => {}
        }
    }

    /// Finds out what line begins and returns what follows its colon.
    #[inline]
    fn begin_line<'a>(&mut self, bytes: &'a [u8], each: &mut impl FnMut(Piece<'_>)) -> &'a [u8] {
        if self.head_len == 0 {
            if let Some(rest) = bytes.strip_prefix(b"data:") {
                self.begin(Line::Data, each);
                return rest;
            }
            if let Some(rest) = bytes.strip_prefix(b"event:") {
                self.begin(Line::Name, each);
                return rest;
            }
        }
        let mut rest = bytes;
        while let Some((&first, after)) = rest.split_first() {
            rest = after;
            if let Some(place) = self.head.get_mut(self.head_len) {
                *place = first;
                self.head_len += 1;
            }
            let head = self.head.get(..self.head_len).unwrap_or_default();
            let line = match head {
                [b':', ..] => Line::Comment,
                b"data:" => Line::Data,
                b"event:" => Line::Name,
                b"id:" => Line::Id,
                b"retry:" => Line::Retry,
                _ if KNOWN.iter().any(|known| known.starts_with(head)) => continue,
                _ => Line::Other,
            };
            self.begin(line, each);
            break;
        }
        rest
    }

    fn begin(&mut self, line: Line, each: &mut impl FnMut(Piece<'_>)) {
        self.line = line;
        self.colon = line != Line::Other;
        self.under_way |= line != Line::Comment;
        match line {
            Line::Name => self.name_len = 0,
            Line::Data => {
                if std::mem::replace(&mut self.has_data, true) {
                    each(Piece::Data(b"\n"));
                }
            }
            Line::Id => each(Piece::Id(b"")),
            Line::Retry => each(Piece::Retry(b"")),
            Line::Open | Line::Comment | Line::Other => {}
        }
    }

    fn name_more(&mut self, bytes: &[u8]) {
        let end = self.name_len.saturating_add(bytes.len());
        if let Some(place) = self.name.get_mut(self.name_len..end) {
            place.copy_from_slice(bytes);
        }
        self.name_len = end;
    }

    fn name(&self) -> &[u8] {
        self.name.get(..self.name_len).unwrap_or_default()
    }

    #[inline]
    fn end_line(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        if self.line == Line::Open {
            // A line without a colon is a field without a value.
            match self.head.get(..self.head_len).unwrap_or_default() {
                b"" => return self.end_block(each),
                b"data" => self.begin(Line::Data, each),
                b"event" => self.begin(Line::Name, each),
                b"id" => self.begin(Line::Id, each),
                b"retry" => self.begin(Line::Retry, each),
                _ => self.begin(Line::Other, each),
            }
        }
        if self.line == Line::Name {
            each(Piece::Name(self.name()));
        }
        self.line = Line::Open;
        self.head_len = 0;
        self.colon = false;
    }

    fn end_block(&mut self, each: &mut impl FnMut(Piece<'_>)) {
        if self.has_data {
            each(Piece::End(self.name()));
        } else if self.under_way {
            each(Piece::Void);
        }
        self.under_way = false;
        self.has_data = false;
        self.name_len = 0;
    }
}

/// Cuts at the first line end: the line, the byte that ended it, what follows.
#[inline]
fn split_line(bytes: &[u8]) -> Option<(&[u8], u8, &[u8])> {
    let (line, rest) = bytes.split_at_checked(memchr2(b'\n', b'\r', bytes)?)?;
    let (&end, after) = rest.split_first()?;
    Some((line, end, after))
}
