//! The words and marks of parts that are whole: pages of lists, sorted, searched by sets of places.
//!
//! A page is words one after the other, each without what it begins with in common with the one before, and
//! behind each its list. What comes once or a few times has no word but a checksum of 24 bits, and a page of
//! those is numbers: how much larger than the checksum before, and the place, in one.

use rusqlite::{Connection, OptionalExtension, Statement};

use crate::ledger::index::IndexFault;
use crate::ledger::index::bits::{Bits, List, PLACES, take_list};
use crate::ledger::index::columns::{put, take};
use crate::ledger::index::schema::{self, PART_BITS, loaded, stored};
use crate::ledger::index::words::Once;

/// One of the things that a search asks entries for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Term {
    /// This word.
    Word(String),
    /// Any word that begins so.
    Prefix(String),
    /// Two words side by side; FTS5 does not know them.
    Pair(u32),
    /// The mark with this letter and number.
    Mark(char, u64),
    /// The mark of what comes once.
    Once(Once, u32),
}

/// What entries are searched by: of each list in `all` one term at least, and none of `none`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sought {
    pub(super) all: Vec<Vec<Term>>,
    /// The same where pairs are not known, which say it already.
    pub(super) paired: Vec<Vec<Term>>,
    pub(super) none: Vec<Term>,
}

/// A mark as one number, by which marks are sorted.
pub(super) fn mark_number(letter: char, number: u64) -> u64 {
    u64::from(u32::from(letter)) << 56 | (number & ((1 << 56) - 1))
}

/// A mark as a word that none of an entry can be: words are letters and digits.
pub(super) fn mark_key(number: u64) -> [u8; 9] {
    let mut key = [0; 9];
    for (byte, of_number) in key.iter_mut().skip(1).zip(number.to_be_bytes()) {
        *byte = of_number;
    }
    key
}

/// Two words side by side as one that sorts between marks and words.
pub(super) fn pair_key(sum: u32) -> [u8; 5] {
    let [a, b, c, d] = sum.to_be_bytes();
    [1, a, b, c, d]
}

/// Bits that are left of the checksum of what comes once.
const SUM_BITS: u32 = 24;

/// Where what comes once stands in a part: its kind, its checksum and its place, in one.
pub(super) fn once_number(once: Once, sum: u32, place: u32) -> u64 {
    once_key(once, sum) << PART_BITS | u64::from(place)
}

fn once_key(once: Once, sum: u32) -> u64 {
    once.number() << SUM_BITS | u64::from(sum >> (32 - SUM_BITS))
}

/// The row of a page of what comes once: its part, and what it begins with.
fn once_row(part: u64, key: u64) -> i64 {
    stored(part << (SUM_BITS + Once::BITS) | key)
}

/// Bytes after which a page is closed: four of them fill a page of SQLite.
const PAGE_BYTES: usize = 1900;

/// Writes what comes once in a part, sorted as `once_number` has it.
pub(super) fn keep_once(db: &Connection, part: u64, sorted: &[u64]) -> Result<(), IndexFault> {
    let mut insert = db.prepare("INSERT OR REPLACE INTO once VALUES (?1, ?2)")?;
    let (mut first, mut last) = (None, 0);
    let mut page = Vec::new();
    for number in sorted {
        let (key, place) = (number >> PART_BITS, number & u64::from(PLACES - 1));
        // Those of one checksum stand in one page, and those of one kind.
        if page.len() >= PAGE_BYTES && key != last || key >> SUM_BITS != last >> SUM_BITS {
            if let Some(first) = first.take() {
                insert.execute((once_row(part, first), &page))?;
            }
            page.clear();
        }
        if first.is_none() {
            first = Some(key);
            last = key;
        }
        put((key - last) << PART_BITS | place, &mut page);
        last = key;
    }
    if let Some(first) = first {
        insert.execute((once_row(part, first), &page))?;
    }
    Ok(())
}

/// Pages of one part that are being written.
pub(super) struct Pages<'c> {
    insert: Statement<'c>,
    part: u64,
    first: Vec<u8>,
    last: Vec<u8>,
    page: Vec<u8>,
}

impl<'c> Pages<'c> {
    /// Begins with a part that has none.
    pub(super) fn new(db: &'c Connection, part: u64) -> Result<Self, IndexFault> {
        let insert = db.prepare("INSERT INTO page (part, first, data) VALUES (?1, ?2, ?3)")?;
        Ok(Self { insert, part, first: Vec::new(), last: Vec::new(), page: Vec::new() })
    }

    /// Appends a word, which sorts behind all before it, with its list.
    pub(super) fn push(&mut self, key: &[u8], list: &List) -> Result<(), IndexFault> {
        if self.page.len() >= PAGE_BYTES {
            self.write()?;
        }
        if self.page.is_empty() {
            self.first = key.to_vec();
            self.last.clear();
        }
        let common = self.last.iter().zip(key).take_while(|(last, key)| last == key).count();
        let rest = key.get(common..).unwrap_or_default();
        put(u64::try_from(common).unwrap_or(0), &mut self.page);
        put(u64::try_from(rest.len()).unwrap_or(0), &mut self.page);
        self.page.extend_from_slice(rest);
        list.keep(&mut self.page);
        self.last.truncate(common);
        self.last.extend_from_slice(rest);
        Ok(())
    }

    /// Writes the last page.
    pub(super) fn end(mut self) -> Result<(), IndexFault> {
        self.write()
    }

    fn write(&mut self) -> Result<(), IndexFault> {
        if !self.page.is_empty() {
            self.insert.execute((stored(self.part), &self.first, &self.page))?;
            self.page.clear();
        }
        Ok(())
    }
}

/// Deletes the lists of a part.
pub(super) fn remove(db: &Connection, part: u64) -> Result<(), IndexFault> {
    db.execute("DELETE FROM page WHERE part = ?1", [stored(part)])?;
    let ends = (once_row(part, 0), once_row(part.saturating_add(1), 0));
    db.execute("DELETE FROM once WHERE row >= ?1 AND row < ?2", ends)?;
    Ok(())
}

/// The pages, and the one that was read last: marks of one kind stand side by side.
pub(super) struct Book<'c> {
    part: u64,
    page: Statement<'c>,
    behind: Statement<'c>,
    once: Statement<'c>,
    held: Option<Page>,
}

/// A page that is read: its words are all from `first` on and before `end`, which is `None` of the last page.
struct Page {
    first: Vec<u8>,
    end: Option<Vec<u8>>,
    data: Vec<u8>,
}

impl<'c> Book<'c> {
    /// Opens it.
    pub(super) fn new(db: &'c Connection) -> Result<Self, IndexFault> {
        Ok(Self {
            part: 0,
            page: db.prepare(
                "SELECT first, data FROM page WHERE part = ?1 AND first <= ?2 ORDER BY first DESC LIMIT 1",
            )?,
            behind: db
                .prepare("SELECT first FROM page WHERE part = ?1 AND first > ?2 ORDER BY first LIMIT 1")?,
            once: db.prepare(
                "SELECT row, data FROM once WHERE row <= ?1 AND row >= ?2 ORDER BY row DESC LIMIT 1",
            )?,
            held: None,
        })
    }

    /// The places of a part that have what is sought.
    pub(super) fn find(&mut self, part: u64, sought: &Sought) -> Result<Bits, IndexFault> {
        self.part = part;
        self.held = None;
        let mut lists: Vec<&Vec<Term>> = sought.all.iter().collect();
        // What has few terms is quickly known, and often there is nothing then.
        lists.sort_by_key(|terms| terms.len());
        let mut found: Option<Bits> = None;
        for terms in lists {
            let any = self.any(terms)?;
            match &mut found {
                None => found = Some(any),
                Some(found) => found.keep_only(&any),
            }
            if found.as_ref().is_some_and(Bits::is_empty) {
                break;
            }
        }
        let mut found = found.unwrap_or_default();
        if !sought.none.is_empty() && !found.is_empty() {
            found.take_away(&self.any(&sought.none)?);
        }
        Ok(found)
    }

    fn damaged(&self) -> IndexFault {
        IndexFault::Damaged(schema::part_first(self.part))
    }

    fn any(&mut self, terms: &[Term]) -> Result<Bits, IndexFault> {
        let mut found = Bits::default();
        for term in terms {
            match term {
                Term::Word(word) => self.add_word(word.as_bytes(), &mut found)?,
                Term::Mark(letter, number) => {
                    self.add_word(&mark_key(mark_number(*letter, *number)), &mut found)?;
                }
                Term::Pair(sum) => self.add_word(&pair_key(*sum), &mut found)?,
                Term::Prefix(word) => self.add_prefix(word.as_bytes(), &mut found)?,
                Term::Once(once, sum) => self.add_once(*once, *sum, &mut found)?,
            }
        }
        Ok(found)
    }

    /// The page that a word stands in where it stands anywhere.
    fn page(&mut self, word: &[u8]) -> Result<Option<&Page>, IndexFault> {
        let holds = |page: &Page| {
            page.first.as_slice() <= word && page.end.as_ref().is_none_or(|end| word < end.as_slice())
        };
        if !self.held.as_ref().is_some_and(holds) {
            let part = stored(self.part);
            let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, Vec<u8>>(1)?));
            let found = self.page.query_row((part, word), read).optional()?;
            let Some((first, data)) = found else { return Ok(None) };
            let end = self.behind.query_row((part, &first), |row| row.get::<_, Vec<u8>>(0)).optional()?;
            self.held = Some(Page { first, end, data });
        }
        Ok(self.held.as_ref())
    }

    fn add_word(&mut self, word: &[u8], found: &mut Bits) -> Result<(), IndexFault> {
        let Some(page) = self.page(word)? else { return Ok(()) };
        add_list_of(&page.data, word, found).ok_or_else(|| self.damaged())
    }

    fn add_prefix(&mut self, begin: &[u8], found: &mut Bits) -> Result<(), IndexFault> {
        let mut at = begin.to_vec();
        loop {
            let Some(page) = self.page(&at)? else { return Ok(()) };
            let end = page.end.clone();
            add_beginning(&page.data, begin, found).ok_or_else(|| self.damaged())?;
            match end {
                Some(end) if end.starts_with(begin) => at = end,
                _ => return Ok(()),
            }
        }
    }

    fn add_once(&mut self, once: Once, sum: u32, found: &mut Bits) -> Result<(), IndexFault> {
        let wanted = once_key(once, sum);
        let rows = (once_row(self.part, wanted), once_row(self.part, once_key(once, 0)));
        let read = |row: &rusqlite::Row<'_>| Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?));
        let page = self.once.query_row(rows, read).optional()?;
        let Some((row, data)) = page else { return Ok(()) };
        let first = loaded(row) & ((1 << (SUM_BITS + Once::BITS)) - 1);
        add_equal(&data, first, wanted, found).ok_or_else(|| self.damaged())
    }
}

/// A word of a page with its list; the word is put together in `word`. `None` for bytes that are none.
fn take_word<'a>(rest: &mut &'a [u8], word: &mut Vec<u8>) -> Option<&'a [u8]> {
    let common = usize::try_from(take(rest)?).ok().filter(|common| *common <= word.len())?;
    word.truncate(common);
    word.extend_from_slice(take_list(rest)?);
    take_list(rest)
}

/// Adds the list of a word, which may be missing; `None` for a page that is none.
fn add_list_of(mut page: &[u8], wanted: &[u8], found: &mut Bits) -> Option<()> {
    let mut word = Vec::new();
    while !page.is_empty() && word.as_slice() < wanted {
        let list = take_word(&mut page, &mut word)?;
        if word == wanted {
            found.add_list(list)?;
        }
    }
    Some(())
}

/// Adds the lists of all words that begin so; `None` for a page that is none.
fn add_beginning(mut page: &[u8], begin: &[u8], found: &mut Bits) -> Option<()> {
    let mut word = Vec::new();
    while !page.is_empty() {
        let list = take_word(&mut page, &mut word)?;
        if word.starts_with(begin) {
            found.add_list(list)?;
        }
    }
    Some(())
}

/// Adds the places of a checksum; `None` for a page that is none.
fn add_equal(mut page: &[u8], first: u64, wanted: u64, found: &mut Bits) -> Option<()> {
    let mut key = first;
    while !page.is_empty() && key <= wanted {
        let number = take(&mut page)?;
        key = key.checked_add(number >> PART_BITS)?;
        if key == wanted {
            found.insert(u32::try_from(number & u64::from(PLACES - 1)).ok()?)?;
        }
    }
    Some(())
}
