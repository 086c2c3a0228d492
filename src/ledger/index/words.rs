//! What an entry is found by: the words of its texts, and one mark for each of its facts.
//!
//! A word is a run of letters and digits in small letters; a mark is a letter or digit, a colon and a number,
//! so that no text of anybody can be taken for one: words have no colons.

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

    /// Its number in the lists.
    pub(super) const fn number(self) -> u64 {
        match self {
            Self::Id => 0,
            Self::Prompt => 1,
            Self::Upstream => 2,
            Self::Use => 3,
        }
    }

    /// Bits that its number takes.
    pub(super) const BITS: u32 = 4;
}

/// The marks of an entry.
#[derive(Debug, Default)]
pub(super) struct Marks {
    numbers: Vec<(char, u64)>,
    once: Vec<(Once, u32)>,
}

impl Marks {
    /// Begins with another entry.
    pub(super) fn clear(&mut self) {
        self.numbers.clear();
        self.once.clear();
    }

    /// Adds the mark of a fact with a number; `letter` is one of its kind alone.
    pub(super) fn push(&mut self, letter: char, number: u64) {
        self.numbers.push((letter, number));
    }

    /// Adds the mark of what comes once; nothing for an empty text.
    pub(super) fn push_once(&mut self, once: Once, text: &str) {
        if !text.is_empty() {
            self.once.push((once, once_sum(text)));
        }
    }

    /// Letters and numbers.
    pub(super) fn numbers(&self) -> impl Iterator<Item = (char, u64)> {
        self.numbers.iter().copied()
    }

    /// What comes once.
    pub(super) fn once(&self) -> impl Iterator<Item = (Once, u32)> {
        self.once.iter().copied()
    }

    /// Appends them and the words of the entry as FTS5 reads them.
    pub(super) fn text(&self, entry: &Entry, out: &mut String) {
        for (letter, number) in self.numbers() {
            push_number(letter, number, out);
            out.push(' ');
        }
        for (once, sum) in self.once() {
            push_sum(once, sum, out);
            out.push(' ');
        }
        each(entry, |_before, word| {
            out.push_str(word);
            out.push(' ');
        });
    }
}

/// The checksum that what comes once is marked by.
pub(super) fn once_sum(text: &str) -> u32 {
    crc32fast::hash(text.as_bytes())
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
    let own = [&entry.server, &entry.tool, &entry.user, &entry.error, &entry.decision, &entry.marks];
    let actions = entry.actions.iter().flat_map(|action| [&action.name, &action.detail]);
    own.into_iter().chain(actions).chain([&entry.sought]).map(String::as_str)
}

/// Gives the words of an entry, its first `limits::INDEX_WORDS_OF_ENTRY_MAX`, each with the one before it in
/// the same text.
pub(super) fn each(entry: &Entry, mut told: impl FnMut(Option<&str>, &str)) {
    let mut left = limits::INDEX_WORDS_OF_ENTRY_MAX;
    for text in texts(entry) {
        let mut before: Option<Cow<'_, str>> = None;
        for word in words(text).take(left) {
            told(before.as_deref(), &word);
            before = Some(word);
            left = left.saturating_sub(1);
        }
    }
}

/// The checksum that two words side by side are found by.
pub(super) fn pair_sum(before: &str, word: &str) -> u32 {
    let mut sum = crc32fast::Hasher::new();
    sum.update(before.as_bytes());
    sum.update(b" ");
    sum.update(word.as_bytes());
    sum.finalize()
}

/// Appends the mark of a fact as a word of FTS5.
pub(super) fn push_number(letter: char, number: u64, out: &mut String) {
    // Writing to a text cannot fail.
    write!(out, "{letter}:{number}").unwrap_or_default();
}

/// Appends the mark of what comes once as a word of FTS5.
pub(super) fn push_sum(once: Once, sum: u32, out: &mut String) {
    write!(out, "{}:{sum:08x}", once.letter()).unwrap_or_default();
}

/// The letters of marks that are not names; names have their own in `names.rs`.
pub(super) const KIND: char = 'k';
pub(super) const CLASS: char = 'c';
/// Of the power of two that a cost, a duration or a number of tokens is not below.
pub(super) const COST: char = 'd';
pub(super) const TOOK: char = 'e';
pub(super) const TOKENS: char = 'f';
