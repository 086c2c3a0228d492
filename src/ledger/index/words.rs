//! What an entry is found by: the words of its texts, and one mark for each of its facts.
//!
//! A word is a run of letters and digits in small letters; a mark is a letter, a colon and a number, so that
//! no text of anybody can be taken for one: words have no colons.

use std::borrow::Cow;
use std::fmt::Write as _;

use crate::ledger::entry::Entry;
use crate::limits;

/// Facts with one value out of many that come but once or a few times: marked by a checksum of their text, so
/// that whoever finds one has to look at the entry itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Once {
    /// Our id of the call.
    Id,
    /// The prompt inside of the session.
    Prompt,
    /// The provider's or server's id.
    Upstream,
    /// The `tool_use`, of the call and of the answer that asked for it.
    Use,
}

impl Once {
    const fn letter(self) -> char {
        match self {
            Self::Id => 'i',
            Self::Prompt => 'j',
            Self::Upstream => 'q',
            Self::Use => 'w',
        }
    }
}

/// The words of a text, in its order; white space and everything else between them is gone.
pub(super) fn words(text: &str) -> impl Iterator<Item = Cow<'_, str>> {
    text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).map(word)
}

/// One word as it is kept: small, and no longer than it may be.
fn word(text: &str) -> Cow<'_, str> {
    let lower = text.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    if lower && text.len() <= limits::INDEX_WORD_BYTES_MAX {
        return Cow::Borrowed(text);
    }
    let mut small = String::with_capacity(text.len());
    for c in text.chars().flat_map(char::to_lowercase) {
        if small.len() + c.len_utf8() > limits::INDEX_WORD_BYTES_MAX {
            break;
        }
        small.push(c);
    }
    Cow::Owned(small)
}

/// The texts of an entry that a search without a field looks into.
pub(super) fn texts(entry: &Entry) -> impl Iterator<Item = &str> {
    let own = [&entry.server, &entry.tool, &entry.user, &entry.error, &entry.decision];
    let actions = entry.actions.iter().flat_map(|action| [&action.name, &action.detail]);
    own.into_iter().chain(actions).map(String::as_str)
}

/// Appends the words of an entry, of its first `limits::INDEX_WORDS_OF_ENTRY_MAX`.
pub(super) fn push_words(entry: &Entry, out: &mut String) {
    for word in texts(entry).flat_map(words).take(limits::INDEX_WORDS_OF_ENTRY_MAX) {
        out.push_str(&word);
        out.push(' ');
    }
}

/// Appends the mark of a fact with a number; `letter` is one of its kind alone.
pub(super) fn push_number(letter: char, number: i64, out: &mut String) {
    // Writing to a text cannot fail.
    write!(out, "{letter}:{number} ").unwrap_or_default();
}

/// Appends the mark of what comes once; nothing for an empty text.
pub(super) fn push_once(once: Once, text: &str, out: &mut String) {
    if !text.is_empty() {
        let sum = crc32fast::hash(text.as_bytes());
        write!(out, "{}:{sum:08x} ", once.letter()).unwrap_or_default();
    }
}

/// The letters of marks that are not names; names have their own in `names.rs`.
pub(super) const KIND: char = 'k';
pub(super) const CLASS: char = 'c';
/// Of the power of two that a cost, a duration or a number of tokens is not below.
pub(super) const COST: char = 'd';
pub(super) const TOOK: char = 'e';
pub(super) const TOKENS: char = 'f';
