//! The result of a tool in fewer tokens, by order of the config: smaller notation, chosen fields, fewer rows.
//!
//! What is JSON in a result, a text of `content` or `structuredContent`, is written anew; every other byte
//! stays. What is cut is given back whole to be kept, and the result says how to ask for the rest. Results
//! that say `isError` are left alone: they are short, and all of their words count.
//!
//! A large text that a session was given before is not given again: the result says where it was, and how to
//! ask for it (`repeats`). That goes for texts of results that have no `structuredContent`, which clients
//! hold against a schema, and some give their model in place of all texts.

use std::ops::Range;

use crate::json::{Fault, Field, Kind, Value, elements, fields, fields_at, text, write_string};
use crate::limits;
use crate::mcp::canonical::name;
use crate::mcp::edit::Edits;
use crate::mcp::fault;

mod path;
mod pieces;
mod project;
mod repeats;
#[cfg(test)]
mod tests;

pub use path::{BadPath, Path};
pub use pieces::{Caps, Kept, Piece, Unit};
pub use project::{Projected, project};
pub use repeats::{Digest, Earlier, Origin, Texts};

/// What a model calls to read on, with `handle` and `from`; and the member of `structuredContent` that says
/// so.
pub const READ_MORE: &str = "read_more";

/// What is done to the results of a tool. Nothing by default.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// JSON is written without white space. Paths do so too.
    pub minify: bool,
    /// Only this is shown, where there is any path; at most `limits::RESULT_PATHS_MAX`.
    pub keep: Vec<Path>,
    /// This is not shown; at most `limits::RESULT_PATHS_MAX`.
    pub drop: Vec<Path>,
    /// What is over is cut.
    pub caps: Caps,
    /// How many characters of a result Claude Code is told to put before its model; at most
    /// `limits::CLIENT_RESULT_CHARS_MAX`.
    pub client_chars: Option<usize>,
    /// Texts of so many bytes or more are referred to where the session was given the same before; at least
    /// `limits::RESULT_REFER_BYTES_MIN`.
    pub refer_bytes: Option<usize>,
}

impl Rule {
    /// Whether a result may come to say less than its server said, and not the same in another notation.
    pub fn changes_values(&self) -> bool {
        !self.keep.is_empty() || !self.drop.is_empty() || self.caps.is_any()
    }

    /// Whether results have to be read for it.
    pub fn reads_results(&self) -> bool {
        self.minify || self.changes_values() || self.refer_bytes.is_some()
    }

    /// The mark by which Claude Code does not cut once more what a cap has let through: what the config says,
    /// or what follows from the cap of bytes. Nothing where it shows as much by itself, so that the mark
    /// never takes anything away. Characters are never more than bytes.
    pub fn result_chars(&self) -> Option<usize> {
        let follows = || {
            let shown = self.caps.bytes_max?.saturating_add(limits::RESULT_NOTE_CHARS);
            let (least, most) = (limits::CLIENT_RESULT_CHARS_SAVED, limits::CLIENT_RESULT_CHARS_MAX);
            (shown > limits::CLIENT_RESULT_CHARS_SHOWN).then(|| shown.clamp(least, most))
        };
        self.client_chars.or_else(follows)
    }

    /// How a text is read that has been referred to: as it was given where it was cut, else in pieces that a
    /// client puts before its model.
    fn caps_of_again(&self) -> Caps {
        let shown = self.result_chars().unwrap_or(limits::CLIENT_RESULT_CHARS_SHOWN);
        let bytes_max = Some(shown.saturating_sub(limits::RESULT_NOTE_CHARS));
        Caps { bytes_max: self.caps.bytes_max.or(bytes_max), ..self.caps }
    }
}

/// A result that a rule has been applied to.
#[derive(Debug)]
pub struct Trimmed<'a> {
    result: &'a [u8],
    changes: Vec<Change>,
    kept: Vec<Kept>,
    left_out: usize,
    /// The large texts that are given, and those that are referred to with their places in `kept`.
    given: Vec<Digest>,
    referred: Vec<(Digest, usize)>,
}

/// Says when a session was given a text before, if it was.
pub type Known<'a> = &'a dyn Fn(&Digest) -> Option<Earlier>;

/// What is done to the texts of one result.
#[derive(Clone, Copy)]
struct Wish<'r> {
    rule: &'r Rule,
    /// From how many bytes on texts are referred to, and what is known of them.
    known: Option<(usize, Known<'r>)>,
}

/// What becomes of one text.
#[derive(Debug)]
struct Change {
    /// Of the value, with quotes or brackets.
    place: Range<usize>,
    /// Where the block ends that a text is in; nothing for `structuredContent`.
    block_end: Option<usize>,
    new: New,
}

#[derive(Debug)]
enum New {
    Whole(String),
    /// A piece of the one at this place in `Trimmed::kept`.
    Cut(usize),
    /// Words about the one at this place in `Trimmed::kept`, which was given before.
    Again(usize, Earlier),
}

/// Applies a rule to the `result` of a tool. Where a text and `structuredContent` say the same, and are cut,
/// they are kept once.
///
/// # Errors
/// [`Fault`] when it is no JSON object, or has one of the members that are looked at twice.
pub fn trim<'a>(result: &'a [u8], rule: &Rule) -> Result<Trimmed<'a>, Fault> {
    trim_in_session(result, rule, None)
}

/// The same in a session of which it is `known` what it was given before.
///
/// # Errors
/// As those of [`trim`].
pub fn trim_in_session<'a>(
    result: &'a [u8],
    rule: &Rule,
    known: Option<Known<'_>>,
) -> Result<Trimmed<'a>, Fault> {
    let mut trimmed = Trimmed {
        result,
        changes: Vec::new(),
        kept: Vec::new(),
        left_out: 0,
        given: Vec::new(),
        referred: Vec::new(),
    };
    let (mut content, mut structured, mut failed) = (None, None, None);
    fields(result, |field| {
        let place = match &*name(&field.key)? {
            "content" => &mut content,
            "structuredContent" => &mut structured,
            "isError" => &mut failed,
            _ => return Ok(()),
        };
        once(place, &field)
    })?;
    let failed = failed.is_some_and(|value| value.kind != Kind::False);
    if failed || result.len() > limits::MCP_MESSAGE_BYTES_MAX {
        return Ok(trimmed);
    }
    let plain = structured.as_ref().is_none_or(|value| value.kind == Kind::Null);
    let wish = Wish { rule, known: rule.refer_bytes.zip(known).filter(|_| plain) };
    if let Some(content) = content.filter(|content| content.kind == Kind::Array) {
        let mut blocks = Vec::new();
        elements(result, content.span, |block| {
            if block.kind == Kind::Object && blocks.len() < limits::RESULT_BLOCKS_MAX {
                blocks.push(block.span);
            }
            Ok::<_, Fault>(())
        })?;
        for block in blocks {
            trimmed.block(block, wish)?;
        }
    }
    if let Some(Value { kind: Kind::Array | Kind::Object, span }) = structured {
        let whole = result.get(span.clone()).and_then(|bytes| std::str::from_utf8(bytes).ok());
        trimmed.change(span, None, whole.unwrap_or_default(), wish);
    }
    Ok(trimmed)
}

/// Takes a member that may be there once.
fn once(place: &mut Option<Value>, field: &Field<'_>) -> Result<(), Fault> {
    match place.replace(field.value.clone()) {
        None => Ok(()),
        Some(_) => Err(Fault::Key { at: field.key.at }),
    }
}

impl Trimmed<'_> {
    /// What was cut, whole, in the order of the handles that [`Trimmed::write`] wants.
    pub fn kept(&self) -> &[Kept] {
        &self.kept
    }

    /// What was cut, to be kept under handles.
    pub fn into_kept(self) -> Vec<Kept> {
        self.kept
    }

    /// The large texts of the result that the session is given by it, if it is known what it was given.
    pub fn given(&self) -> &[Digest] {
        &self.given
    }

    /// Those that it is referred to instead, with their places in [`Trimmed::kept`].
    pub fn referred(&self) -> &[(Digest, usize)] {
        &self.referred
    }

    /// Values that paths left out; they are not kept.
    pub const fn left_out(&self) -> usize {
        self.left_out
    }

    /// Whether the result stays as it is, byte for byte.
    pub fn is_unchanged(&self) -> bool {
        self.changes.is_empty()
    }

    /// The result as it is shown. `handles` are the names under which [`Trimmed::kept`] is kept, one each;
    /// after every text that is cut stands one that says how to read on.
    ///
    /// # Errors
    /// When two blocks are in one place: a mistake of ours.
    pub fn write(&self, handles: &[&str]) -> Result<Vec<u8>, fault::Fault> {
        let mut edits = Edits::new(self.result);
        let handle = |place: usize| handles.get(place).copied().unwrap_or_default();
        for change in &self.changes {
            let mut new = Vec::new();
            match &change.new {
                New::Whole(whole) => write_whole(change, whole, &mut new),
                New::Again(place, _) | New::Cut(place) if handle(*place).is_empty() => {
                    let Some(kept) = self.kept.get(*place) else { continue };
                    write_whole(change, kept.text(), &mut new);
                }
                New::Again(place, earlier) => {
                    let Some(kept) = self.kept.get(*place) else { continue };
                    write_string(&mut new, &earlier.words(kept.text().len(), handle(*place)));
                }
                New::Cut(place) => {
                    let handle = handle(*place);
                    let Some(piece) = self.kept.get(*place).and_then(|kept| kept.piece(0)) else { continue };
                    match change.block_end {
                        Some(end) => {
                            write_string(&mut new, &piece.text);
                            let mut note = Vec::new();
                            write_note(&piece, handle, &mut note);
                            edits.replace(end..end, &note)?;
                        }
                        None => write_structured(&piece, handle, &mut new),
                    }
                }
            }
            edits.replace(change.place.clone(), &new)?;
        }
        Ok(edits.finish())
    }

    /// Looks at one block of `content`.
    fn block(&mut self, block: Range<usize>, wish: Wish<'_>) -> Result<(), Fault> {
        let result = self.result;
        let (mut kind, mut words) = (None, None);
        fields_at(result, block.clone(), |field| {
            let place = match &*name(&field.key)? {
                "type" => &mut kind,
                "text" => &mut words,
                _ => return Ok(()),
            };
            once(place, &field)
        })?;
        let is_text = kind.and_then(|kind| kind.inner(result)).is_some_and(|kind| kind == b"text");
        let Some(words) = words.filter(|_| is_text) else { return Ok(()) };
        let Some(inner) = words.inner(result) else { return Ok(()) };
        if let Ok(plain) = text(inner) {
            self.change(words.span, Some(block.end), &plain, wish);
        }
        Ok(())
    }

    /// Applies the rule to one text.
    fn change(&mut self, place: Range<usize>, block_end: Option<usize>, whole: &str, wish: Wish<'_>) {
        let rule = wish.rule;
        let is_json = whole.trim_start().starts_with(['{', '[']);
        let written = rule.minify || !rule.keep.is_empty() || !rule.drop.is_empty();
        let projected =
            if is_json && written { project(whole.as_bytes(), &rule.keep, &rule.drop).ok() } else { None };
        let (new, left_out) = match projected {
            Some(Projected { text, left_out }) => (String::from_utf8(text).ok(), left_out),
            None => (None, 0),
        };
        self.left_out += left_out;
        let shorter = new.filter(|new| new.len() < whole.len());
        let changed = shorter.is_some();
        let text = shorter.unwrap_or_else(|| whole.to_owned());
        if let Some((_, known)) = wish.known.filter(|(least, _)| text.len() >= *least) {
            let digest = Digest::of(&text);
            if let Some(earlier) = known(&digest) {
                let kept = self.keep(Kept::again(text, rule.caps_of_again()));
                self.referred.push((digest, kept));
                return self.changes.push(Change { place, block_end, new: New::Again(kept, earlier) });
            }
            self.given.push(digest);
        }
        let new = match Kept::of(text, rule.caps) {
            Ok(kept) => New::Cut(self.keep(kept)),
            Err(whole) if changed => New::Whole(whole),
            Err(_) => return,
        };
        self.changes.push(Change { place, block_end, new });
    }

    /// Where a text stands that is kept; the same is kept once.
    fn keep(&mut self, kept: Kept) -> usize {
        let known = self.kept.iter().position(|other| *other == kept);
        known.unwrap_or_else(|| {
            self.kept.push(kept);
            self.kept.len() - 1
        })
    }
}

/// Writes all of a text where it stood.
fn write_whole(change: &Change, whole: &str, out: &mut Vec<u8>) {
    if change.block_end.is_some() {
        write_string(out, whole);
    } else {
        out.extend_from_slice(whole.as_bytes());
    }
}

/// The `result` of reading on: the piece of `kept` that begins at `from`, and how to read on from there.
/// Nothing when there is no such piece.
pub fn more(kept: &Kept, handle: &str, from: usize) -> Option<Vec<u8>> {
    let piece = kept.piece(from)?;
    let mut out = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    write_string(&mut out, &piece.text);
    out.push(b'}');
    write_note(&piece, handle, &mut out);
    out.extend_from_slice(b"]}");
    Some(out)
}

/// Writes a block, with the comma before it, that says what is shown and how to read on.
fn write_note(piece: &Piece, handle: &str, out: &mut Vec<u8>) {
    let Piece { shown, of, unit, .. } = piece;
    let unit = unit.word();
    let rest = match piece.next() {
        Some(from) => {
            let mut quoted = Vec::new();
            write_string(&mut quoted, handle);
            let handle = String::from_utf8_lossy(&quoted);
            format!("For the rest call {READ_MORE} with {{\"handle\":{handle},\"from\":{from}}}.")
        }
        None => "This is the end.".to_owned(),
    };
    let note = format!("[{unit} {} to {} of {of}. {rest}]", shown.start, shown.end);
    out.extend_from_slice(b",{\"type\":\"text\",\"text\":");
    write_string(out, &note);
    out.push(b'}');
}

/// Writes a piece where JSON has to stand: with a member that says how to read on. What cannot hold one, or
/// has one of that name, becomes a member itself.
fn write_structured(piece: &Piece, handle: &str, out: &mut Vec<u8>) {
    let mut note = format!("\"{READ_MORE}\":{{\"handle\":").into_bytes();
    write_string(&mut note, handle);
    let (from, unit) = (piece.shown.end, piece.unit.word());
    note.extend_from_slice(
        format!(",\"from\":{from},\"of\":{},\"unit\":\"{unit}\"}}}}", piece.of).as_bytes(),
    );
    let text = piece.text.as_bytes();
    let open = text.trim_ascii().strip_suffix(b"}").filter(|_| piece.unit == Unit::Rows && !is_named(text));
    match (open, piece.unit) {
        (Some(open), _) => out.extend_from_slice(open),
        (None, Unit::Rows) => {
            out.extend_from_slice(b"{\"rows\":");
            out.extend_from_slice(text);
        }
        (None, Unit::Bytes) => {
            out.extend_from_slice(b"{\"text\":");
            write_string(out, &piece.text);
        }
    }
    out.push(b',');
    out.extend_from_slice(&note);
}

/// Whether an object has a member of our name, or is none.
fn is_named(object: &[u8]) -> bool {
    let mut named = false;
    let walked = fields(object, |field| {
        named |= name(&field.key)? == READ_MORE;
        Ok::<_, Fault>(())
    });
    named || walked.is_err()
}
