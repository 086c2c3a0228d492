//! Records as bytes: numbered fields, empty ones left out, unknown ones skipped.
//!
//! A record is its tag (one byte), its stamp, and its fields in ascending order. A field is a number and a
//! length, both as LEB128, and that many bytes. The stamp is 0 for what the writer says itself, and otherwise
//! the number of a journal, counted from 1, and the record's number in that journal: it is how recovery knows
//! what has arrived already. Numbers are LEB128, texts UTF-8, and hashes and ids stand as they are. A field,
//! once given, keeps its number and its meaning for good; what is added gets a new number.

use crate::ids::CallId;
use crate::ledger::entry::{Action, Class, Entry, Kind, Offer, Tokens};
use crate::ledger::record::{Gap, Head, Mark, Open, Record, Retention};
use crate::limits;

/// What is wrong with bytes that should be a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// It ends inside of something.
    #[error("it ends too early")]
    Cut,
    /// A newer program wrote it, or nobody.
    #[error("there is no kind of record with the number {0}")]
    Tag(u8),
    /// A number is not written in its shortest form, or is too large for its field.
    #[error("a number is none")]
    Number,
    /// A field stands twice or behind one with a higher number.
    #[error("field {0} is out of order")]
    Order(u64),
    /// A text is not UTF-8, or a hash has the wrong length.
    #[error("a text or hash is none")]
    Text,
    /// A text or list is longer than any that is written.
    #[error("something is too long")]
    TooLong,
    /// A kind or class that this program does not know.
    #[error("a word has no meaning")]
    Word,
}

/// Where a record came from: which journal, and which of that journal's records it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    /// Number of the journal, from 0.
    pub(super) journal: usize,
    /// From 1, and never used again.
    pub(super) seq: u64,
}

/// The kinds of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tag {
    Open,
    Close,
    Event,
    Head,
    Gap,
    Retention,
}

impl Tag {
    const ALL: [Self; 6] = [Self::Open, Self::Close, Self::Event, Self::Head, Self::Gap, Self::Retention];

    const fn number(self) -> u8 {
        match self {
            Self::Open => 1,
            Self::Close => 2,
            Self::Event => 3,
            Self::Head => 4,
            Self::Gap => 5,
            Self::Retention => 6,
        }
    }
}

/// What can be told of a record without reading it whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Outline {
    pub(super) tag: Tag,
    pub(super) stamp: Option<Stamp>,
    /// Of the records that are about a call.
    pub(super) id: Option<CallId>,
}

/// Appends a record to `out`, at most `limits::RECORD_BYTES_MAX` bytes: what is longer than it may be is cut.
pub fn encode(record: &Record, out: &mut Vec<u8>) {
    match record {
        Record::Open(open) => put_open(None, open, out),
        Record::Close(entry) => put_entry(Tag::Close, None, entry, out),
        Record::Event(entry) => put_entry(Tag::Event, None, entry, out),
        Record::Head(head) => put(Tag::Head, None, head, out),
        Record::Gap(gap) => put(Tag::Gap, None, gap, out),
        Record::Retention(retention) => put(Tag::Retention, None, retention, out),
    }
}

/// Appends the opening of a call.
pub(super) fn put_open(stamp: Option<Stamp>, open: &Open, out: &mut Vec<u8>) {
    put(Tag::Open, stamp, open, out);
}

/// Appends an entry as what `tag` says.
pub(super) fn put_entry(tag: Tag, stamp: Option<Stamp>, entry: &Entry, out: &mut Vec<u8>) {
    put(tag, stamp, entry, out);
}

fn put<T: Fields>(tag: Tag, stamp: Option<Stamp>, fields: &T, out: &mut Vec<u8>) {
    put_opening(tag, stamp, out);
    fields.put_fields(out);
}

/// Appends what a record begins with.
pub(super) fn put_opening(tag: Tag, stamp: Option<Stamp>, out: &mut Vec<u8>) {
    out.push(tag.number());
    match stamp {
        None => out.push(0),
        Some(stamp) => {
            put_number(u64::try_from(stamp.journal).unwrap_or(0).saturating_add(1), out);
            put_number(stamp.seq, out);
        }
    }
}

/// Reads a record.
///
/// # Errors
/// What is wrong with the bytes.
pub fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    if bytes.len() > limits::RECORD_BYTES_MAX {
        return Err(Malformed::TooLong);
    }
    let mut rest = bytes;
    let (tag, _stamp) = take_opening(&mut rest)?;
    Ok(match tag {
        Tag::Open => Record::Open(Open::take_fields(rest)?),
        Tag::Close => Record::Close(Entry::take_fields(rest)?),
        Tag::Event => Record::Event(Entry::take_fields(rest)?),
        Tag::Head => Record::Head(Head::take_fields(rest)?),
        Tag::Gap => Record::Gap(Gap::take_fields(rest)?),
        Tag::Retention => Record::Retention(Retention::take_fields(rest)?),
    })
}

/// Reads what a record is, from where, and about which call.
pub(super) fn outline(bytes: &[u8]) -> Result<Outline, Malformed> {
    let mut rest = bytes;
    let (tag, stamp) = take_opening(&mut rest)?;
    let id = match tag {
        Tag::Open | Tag::Close | Tag::Event => match take_field(&mut rest)? {
            Some((1, id)) => Some(CallId::take(id, 0)?),
            // An id of zeros is left out like any other empty field.
            _ => Some(CallId(0)),
        },
        Tag::Head | Tag::Gap | Tag::Retention => None,
    };
    Ok(Outline { tag, stamp, id })
}

/// Appends a mark.
pub(super) fn put_mark(mark: &Mark, out: &mut Vec<u8>) {
    mark.put_fields(out);
}

/// Reads a mark.
pub(super) fn take_mark(bytes: &[u8]) -> Result<Mark, Malformed> {
    Mark::take_fields(bytes)
}

fn take_opening(rest: &mut &[u8]) -> Result<(Tag, Option<Stamp>), Malformed> {
    let (&tag, after) = rest.split_first().ok_or(Malformed::Cut)?;
    *rest = after;
    let tag = Tag::ALL.into_iter().find(|known| known.number() == tag).ok_or(Malformed::Tag(tag))?;
    let stamp = match take_number(rest)?.checked_sub(1) {
        None => None,
        Some(journal) => {
            let journal = usize::try_from(journal).map_err(|_huge| Malformed::Number)?;
            if journal >= limits::JOURNALS_MAX {
                return Err(Malformed::TooLong);
            }
            Some(Stamp { journal, seq: take_number(rest)? })
        }
    };
    Ok((tag, stamp))
}

/// A value with numbered fields.
trait Fields: Sized {
    /// Appends all fields that are not empty.
    fn put_fields(&self, out: &mut Vec<u8>);
    /// Reads fields to the end.
    fn take_fields(bytes: &[u8]) -> Result<Self, Malformed>;
}

/// What stands in a field. `most` is the bound of a text, in bytes.
pub(super) trait Value: Sized {
    fn empty() -> Self;
    fn is_empty(&self) -> bool;
    fn put(&self, most: usize, out: &mut Vec<u8>);
    fn take(bytes: &[u8], most: usize) -> Result<Self, Malformed>;
}

macro_rules! most {
    () => {
        limits::RECORD_TEXT_BYTES_MAX
    };
    ($most:expr) => {
        $most
    };
}

macro_rules! fields {
    ($type:ident { $($number:literal $field:ident $(($most:expr))?,)* }) => {
        impl Fields for $type {
            fn put_fields(&self, out: &mut Vec<u8>) {
                $(put_field($number, &self.$field, most!($($most)?), out);)*
            }

            fn take_fields(mut bytes: &[u8]) -> Result<Self, Malformed> {
                let mut value = Self { $($field: Value::empty(),)* };
                let mut last = 0;
                while let Some((number, field)) = take_field(&mut bytes)? {
                    if number <= last {
                        return Err(Malformed::Order(number));
                    }
                    last = number;
                    match number {
                        $($number => value.$field = Value::take(field, most!($($most)?))?,)*
                        // A newer program says more; what we know is still true.
                        _ => {}
                    }
                }
                Ok(value)
            }
        }
    };
}

fields! { Entry {
    1 id, 2 kind, 3 at_ms, 4 took_us, 5 first_byte_us, 6 key, 7 key_id, 8 team, 9 user, 10 client,
    11 session, 12 agent, 13 prompt, 14 upstream_id, 15 model, 16 served_model, 17 provider, 18 region,
    19 method, 20 server, 21 tool, 22 tool_hash, 23 class, 24 tool_use_id, 25 tokens, 26 cost_pico,
    27 priced, 28 budgets, 29 decision, 30 status, 31 outcome, 32 stop_reason, 33 error, 34 request_bytes,
    35 answer_bytes, 36 actions, 37 content, 38 offers, 39 policy, 40 marks,
    41 sought, 42 mode, 43 mode_by,
} }

fields! { Open {
    1 id, 2 kind, 3 at_ms, 6 key, 7 key_id, 8 team, 9 user, 10 client, 11 session, 12 agent, 13 prompt,
    15 model, 17 provider, 19 method, 20 server, 21 tool, 22 tool_hash, 23 class, 24 tool_use_id,
    26 estimate_pico, 28 budgets, 29 decision, 34 request_bytes, 39 policy,
} }

fields! { Head { 1 at_ms, 2 size, 3 root, 4 chain, 5 key, 6 signature, } }

fields! { Gap { 1 at_ms, 2 records, } }

fields! { Retention { 1 at_ms, 2 kept_from, 3 chain, 4 frontier, } }

// Not a record: the beginning and the end of a segment.
fields! { Mark { 1 at_ms, 2 index, 3 chain, 4 frontier, 5 arrived, 6 open_from, } }

fields! { Action { 1 id, 2 name, 3 class, 4 detail (limits::ACTION_DETAIL_BYTES_MAX), } }

fields! { Offer {
    1 server (limits::OFFER_SERVER_CHARS_MAX), 2 definitions, 3 tokens, 4 deferred, 5 used,
} }

fields! { Tokens { 1 input, 2 output, 3 cache_read, 4 cache_write_5m, 5 cache_write_1h, } }

/// Appends a field that is not empty.
pub(super) fn put_field<T: Value>(number: u8, value: &T, most: usize, out: &mut Vec<u8>) {
    if !value.is_empty() {
        out.push(number);
        put_sized(out, |out| value.put(most, out));
    }
}

/// Appends a length and what `put` appends.
pub(super) fn put_sized(out: &mut Vec<u8>, put: impl FnOnce(&mut Vec<u8>)) {
    // Nearly everything is shorter than 128 bytes, so that its length is the one byte kept free here.
    let at = out.len();
    out.push(0);
    put(out);
    let length = out.len() - at - 1;
    match u8::try_from(length) {
        Ok(short) if short < 128 => {
            if let Some(place) = out.get_mut(at) {
                *place = short;
            }
        }
        _ => {
            let mut digits = Vec::new();
            put_number(u64::try_from(length).unwrap_or(u64::MAX), &mut digits);
            out.splice(at..=at, digits);
        }
    }
}

/// Appends a text, at most `most` bytes of it: nothing is refused for its length, it is told by its
/// beginning.
pub(super) fn put_text(text: &str, most: usize, out: &mut Vec<u8>) {
    let bytes = text.as_bytes();
    out.extend_from_slice(bytes.get(..text.floor_char_boundary(most)).unwrap_or(bytes));
}

fn put_number(mut number: u64, out: &mut Vec<u8>) {
    while number >= 128 {
        out.push(u8::try_from(number & 127).unwrap_or(0) | 128);
        number >>= 7;
    }
    out.push(u8::try_from(number).unwrap_or(0));
}

fn take_number(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut number = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first().ok_or(Malformed::Cut)?;
        *rest = after;
        let digit = u64::from(byte & 127);
        if shift == 63 && digit > 1 {
            return Err(Malformed::Number);
        }
        number |= digit << shift;
        if byte < 128 {
            // A zero behind others says nothing: one number has one form.
            return if digit == 0 && shift > 0 { Err(Malformed::Number) } else { Ok(number) };
        }
    }
    Err(Malformed::Number)
}

/// So many bytes as the number before them says.
fn take_sized<'a>(rest: &mut &'a [u8]) -> Result<&'a [u8], Malformed> {
    let length = usize::try_from(take_number(rest)?).map_err(|_huge| Malformed::Cut)?;
    let (found, after) = rest.split_at_checked(length).ok_or(Malformed::Cut)?;
    *rest = after;
    Ok(found)
}

fn take_field<'a>(rest: &mut &'a [u8]) -> Result<Option<(u64, &'a [u8])>, Malformed> {
    if rest.is_empty() {
        return Ok(None);
    }
    let number = take_number(rest)?;
    Ok(Some((number, take_sized(rest)?)))
}

impl Value for u64 {
    fn empty() -> Self {
        0
    }

    fn is_empty(&self) -> bool {
        *self == 0
    }

    fn put(&self, _most: usize, out: &mut Vec<u8>) {
        put_number(*self, out);
    }

    fn take(mut bytes: &[u8], _most: usize) -> Result<Self, Malformed> {
        let number = take_number(&mut bytes)?;
        if bytes.is_empty() { Ok(number) } else { Err(Malformed::Number) }
    }
}

impl Value for u16 {
    fn empty() -> Self {
        0
    }

    fn is_empty(&self) -> bool {
        *self == 0
    }

    fn put(&self, _most: usize, out: &mut Vec<u8>) {
        put_number(u64::from(*self), out);
    }

    fn take(bytes: &[u8], most: usize) -> Result<Self, Malformed> {
        Self::try_from(u64::take(bytes, most)?).map_err(|_huge| Malformed::Number)
    }
}

impl Value for String {
    fn empty() -> Self {
        Self::new()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn put(&self, most: usize, out: &mut Vec<u8>) {
        put_text(self, most, out);
    }

    fn take(bytes: &[u8], most: usize) -> Result<Self, Malformed> {
        if bytes.len() > most {
            return Err(Malformed::TooLong);
        }
        std::str::from_utf8(bytes).map(str::to_owned).map_err(|_other| Malformed::Text)
    }
}

impl<const N: usize> Value for [u8; N] {
    fn empty() -> Self {
        [0; N]
    }

    fn is_empty(&self) -> bool {
        self.iter().all(|byte| *byte == 0)
    }

    fn put(&self, _most: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(self);
    }

    fn take(bytes: &[u8], _most: usize) -> Result<Self, Malformed> {
        bytes.try_into().map_err(|_length| Malformed::Text)
    }
}

impl Value for CallId {
    fn empty() -> Self {
        Self(0)
    }

    fn is_empty(&self) -> bool {
        self.0 == 0
    }

    fn put(&self, _most: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(&self.0.to_be_bytes());
    }

    fn take(bytes: &[u8], most: usize) -> Result<Self, Malformed> {
        Ok(Self(u128::from_be_bytes(<[u8; 16]>::take(bytes, most)?)))
    }
}

/// Words are stored as their place in the list of all of them; the first is the empty one.
macro_rules! word {
    ($type:ident) => {
        impl Value for $type {
            fn empty() -> Self {
                Self::default()
            }

            fn is_empty(&self) -> bool {
                *self == Self::default()
            }

            fn put(&self, most: usize, out: &mut Vec<u8>) {
                let place = Self::ALL.iter().position(|word| word == self);
                u64::try_from(place.unwrap_or(0)).unwrap_or(0).put(most, out);
            }

            fn take(bytes: &[u8], most: usize) -> Result<Self, Malformed> {
                let place = usize::try_from(u64::take(bytes, most)?).map_err(|_huge| Malformed::Word)?;
                Self::ALL.get(place).copied().ok_or(Malformed::Word)
            }
        }
    };
}

word!(Kind);
word!(Class);

impl Value for Tokens {
    fn empty() -> Self {
        Self::default()
    }

    fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    fn put(&self, _most: usize, out: &mut Vec<u8>) {
        self.put_fields(out);
    }

    fn take(bytes: &[u8], _most: usize) -> Result<Self, Malformed> {
        Self::take_fields(bytes)
    }
}

/// What can stand in a list, and how many of it.
trait Item: Sized {
    const MOST: usize;
    fn put_item(&self, most: usize, out: &mut Vec<u8>);
    fn take_item(bytes: &[u8], most: usize) -> Result<Self, Malformed>;
}

impl<T: Item> Value for Vec<T> {
    fn empty() -> Self {
        Self::new()
    }

    fn is_empty(&self) -> bool {
        self.is_empty()
    }

    fn put(&self, most: usize, out: &mut Vec<u8>) {
        for item in self.iter().take(T::MOST) {
            put_sized(out, |out| item.put_item(most, out));
        }
    }

    fn take(mut bytes: &[u8], most: usize) -> Result<Self, Malformed> {
        let mut items = Self::new();
        while !bytes.is_empty() {
            if items.len() == T::MOST {
                return Err(Malformed::TooLong);
            }
            items.push(T::take_item(take_sized(&mut bytes)?, most)?);
        }
        Ok(items)
    }
}

impl Item for String {
    const MOST: usize = limits::BUDGETS_OF_ENTRY_MAX;

    fn put_item(&self, most: usize, out: &mut Vec<u8>) {
        self.put(most, out);
    }

    fn take_item(bytes: &[u8], most: usize) -> Result<Self, Malformed> {
        Self::take(bytes, most)
    }
}

impl Item for [u8; 32] {
    // A tree of 2^64 leaves has no more full subtrees side by side.
    const MOST: usize = 64;

    fn put_item(&self, most: usize, out: &mut Vec<u8>) {
        self.put(most, out);
    }

    fn take_item(bytes: &[u8], most: usize) -> Result<Self, Malformed> {
        Self::take(bytes, most)
    }
}

impl Item for Stamp {
    const MOST: usize = limits::JOURNALS_MAX;

    fn put_item(&self, _most: usize, out: &mut Vec<u8>) {
        put_number(u64::try_from(self.journal).unwrap_or(u64::MAX), out);
        put_number(self.seq, out);
    }

    fn take_item(mut bytes: &[u8], _most: usize) -> Result<Self, Malformed> {
        let journal = usize::try_from(take_number(&mut bytes)?).map_err(|_huge| Malformed::Number)?;
        let seq = take_number(&mut bytes)?;
        if bytes.is_empty() && journal < Self::MOST {
            Ok(Self { journal, seq })
        } else {
            Err(Malformed::Number)
        }
    }
}

impl Item for Action {
    const MOST: usize = limits::ACTIONS_OF_ENTRY_MAX;

    fn put_item(&self, _most: usize, out: &mut Vec<u8>) {
        self.put_fields(out);
    }

    fn take_item(bytes: &[u8], _most: usize) -> Result<Self, Malformed> {
        Self::take_fields(bytes)
    }
}

impl Item for Offer {
    const MOST: usize = limits::OFFERS_OF_ENTRY_MAX;

    fn put_item(&self, _most: usize, out: &mut Vec<u8>) {
        self.put_fields(out);
    }

    fn take_item(bytes: &[u8], _most: usize) -> Result<Self, Malformed> {
        Self::take_fields(bytes)
    }
}
