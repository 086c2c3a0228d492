//! The words and marks of one part while they are gathered in memory, before they are written at once.
//!
//! FTS5 sorts what it gets into runs and merges them again and again. A part that is whole needs none of
//! that: its lists grow in memory, a few MiB, and are written in the order of their words.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

use rusqlite::Connection;

use crate::ledger::entry::Entry;
use crate::ledger::index::IndexFault;
use crate::ledger::index::bits::List;
use crate::ledger::index::lists;
use crate::ledger::index::schema;
use crate::ledger::index::words::{self, Marks};

/// What is gathered of a part.
#[derive(Debug)]
pub(super) struct Gathered {
    part: u64,
    /// By `lists::mark_number`.
    marks: HashMap<u64, List, BuildHasherDefault<ByNumber>>,
    words: HashMap<Box<str>, List>,
    /// By `words::pair_sum`, which callers can choose: its hasher is one that nobody can foresee.
    pairs: HashMap<u32, List>,
    /// As `lists::once_number` makes them, with the place behind.
    once: Vec<u64>,
}

impl Gathered {
    /// Begins with a part.
    pub(super) fn new(part: u64) -> Self {
        let (marks, words, pairs) = (HashMap::default(), HashMap::new(), HashMap::new());
        Self { part, marks, words, pairs, once: Vec::new() }
    }

    /// The part.
    pub(super) fn part(&self) -> u64 {
        self.part
    }

    /// Adds an entry of the part with its marks. Positions rise.
    pub(super) fn add(&mut self, position: u64, marks: &Marks, entry: &Entry) {
        let place = schema::place_of(position);
        for (letter, number) in marks.numbers() {
            self.marks.entry(lists::mark_number(letter, number)).or_default().push(place);
        }
        for (once, sum) in marks.once() {
            self.once.push(lists::once_number(once, sum, place));
        }
        words::each(entry, |before, word| {
            match self.words.get_mut(word) {
                Some(list) => list.push(place),
                None => self.words.entry(word.into()).or_default().push(place),
            }
            if let Some(before) = before {
                self.pairs.entry(words::pair_sum(before, word)).or_default().push(place);
            }
        });
    }

    /// Writes the part.
    pub(super) fn keep(mut self, db: &Connection) -> Result<(), IndexFault> {
        self.once.sort_unstable();
        lists::keep_once(db, self.part, &self.once)?;
        let mut marks: Vec<(&u64, &List)> = self.marks.iter().collect();
        marks.sort_unstable_by_key(|(number, _)| **number);
        let mut pairs: Vec<(&u32, &List)> = self.pairs.iter().collect();
        pairs.sort_unstable_by_key(|(sum, _)| **sum);
        let mut named: Vec<(&str, &List)> =
            self.words.iter().map(|(word, list)| (word.as_ref(), list)).collect();
        named.sort_unstable_by_key(|(word, _)| *word);
        let mut pages = lists::Pages::new(db, self.part)?;
        for (number, list) in marks {
            pages.push(&lists::mark_key(*number), list)?;
        }
        for (sum, list) in pairs {
            pages.push(&lists::pair_key(*sum), list)?;
        }
        for (word, list) in named {
            pages.push(word.as_bytes(), list)?;
        }
        pages.end()
    }
}

/// Spreads numbers that are ours alone: nobody outside chooses them, so nobody can make them meet.
#[derive(Debug, Default)]
struct ByNumber(u64);

impl Hasher for ByNumber {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.write_u64(u64::from(*byte)));
    }

    fn write_u64(&mut self, number: u64) {
        let mixed = (self.0 ^ number).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
