//! How a search is asked of SQLite: one expression of words and marks for FTS5, which is a bound value.
//!
//! What a plan finds is never less than what fits, and often more: whoever reads the entries asks
//! [`Query::fits`] of each. The statement is the same for all searches but for its direction and the number
//! of a part.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::glob::Glob;
use crate::ledger::entry::{Class, Kind};
use crate::ledger::index::IndexFault;
use crate::ledger::index::block::{Edge, Shelf};
use crate::ledger::index::fits;
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::query::{Number, Place, Query, SoughtWord, Test};
use crate::ledger::index::schema::{self, stored};
use crate::ledger::index::store;
use crate::ledger::index::words::{self, Once};
use crate::limits;

/// How a search is asked.
#[derive(Debug)]
pub(super) struct Plan {
    /// What FTS5 is asked for; without it all entries are looked at.
    pub(super) words: Option<String>,
    /// Whether nothing can fit: a name that has never come.
    pub(super) nothing: bool,
    /// Positions from the first to before the second.
    pub(super) range: (u64, u64),
}

impl Plan {
    /// Makes the plan, with the names that the index knows now.
    pub(super) fn of(db: &Connection, query: &Query) -> Result<Self, IndexFault> {
        let mut plan = Self { words: None, nothing: false, range: range(db, query)? };
        let (negated, plain): (Vec<_>, Vec<_>) = query.terms.iter().partition(|term| term.negated);
        let mut wanted = Vec::new();
        for term in plain {
            wanted.extend(plan.want(db, &term.test)?);
        }
        if wanted.is_empty() {
            // FTS5 has nothing to take away from.
            return Ok(plan);
        }
        let mut unwanted = Vec::new();
        for term in negated {
            unwanted.extend(refuse(db, &term.test)?);
        }
        let mut words = format!("({})", wanted.join(") AND ("));
        if !unwanted.is_empty() {
            words = format!("({words}) NOT ({})", unwanted.join(" OR "));
        }
        plan.words = Some(words);
        Ok(plan)
    }

    /// The words of a test that has to fit, of which there may be none.
    fn want(&mut self, db: &Connection, test: &Test) -> Result<Option<String>, IndexFault> {
        let numbers = match test {
            Test::Kind(kinds) => return Ok(Some(kind_marks(kinds))),
            Test::Class(classes) => return Ok(Some(class_marks(classes))),
            Test::Once(once, texts) => return Ok(Some(any(texts.iter().map(|text| once_mark(*once, text))))),
            Test::Words(_, sought) => {
                return Ok(Some(sought.iter().map(quoted).collect::<Vec<_>>().join(" AND ")));
            }
            Test::Number(Number::CostPico, low, high) => return Ok(size_marks(words::COST, *low, *high)),
            Test::Number(Number::TookUs, low, high) => return Ok(size_marks(words::TOOK, *low, *high)),
            Test::Number(Number::Tokens, low, high) => return Ok(size_marks(words::TOKENS, *low, *high)),
            Test::Number(Number::Status, 0, _) => return Ok(None),
            Test::Number(Number::Status, low, high) => {
                let within =
                    |text: &str| text.parse().is_ok_and(|status: u64| (*low..=*high).contains(&status));
                (Name::Status, names::fitting(db, Name::Status, within)?)
            }
            Test::Name(name, globs) => (*name, numbers(db, *name, globs)?),
            Test::Session(session) => {
                (Name::Session, names::find(db, Name::Session, session)?.into_iter().collect())
            }
        };
        let (name, numbers) = numbers;
        self.nothing |= numbers.is_empty();
        let few = (1..=limits::QUERY_NAMES_MAX).contains(&numbers.len());
        Ok(few.then(|| name_marks(name, &numbers)))
    }

    /// Up to `most` positions that a plan finds within its range cut to another, newest or oldest first.
    pub(super) fn positions(
        &self,
        db: &Connection,
        shelf: &mut Shelf,
        within: (u64, u64),
        edge: Edge,
        most: usize,
    ) -> Result<Vec<u64>, IndexFault> {
        let (low, high) = (within.0.max(self.range.0), within.1.min(self.range.1));
        let Some(words) = &self.words else { return shelf.positions(db, (low, high), edge, most) };
        let mut parts = schema::parts(db)?;
        if edge == Edge::Oldest {
            parts.reverse();
        }
        let mut found = Vec::new();
        for part in parts {
            let low = low.max(schema::part_first(part));
            let high = high.min(schema::part_first(part.saturating_add(1)));
            let left = most.saturating_sub(found.len());
            if left == 0 || low >= high {
                continue;
            }
            let mut statement = db.prepare(&sql(part, edge))?;
            let left = i64::try_from(left).unwrap_or(i64::MAX);
            let mut rows = statement.query((words, stored(low), stored(high), left))?;
            while let Some(row) = rows.next()? {
                found.push(schema::loaded(row.get(0)?));
            }
        }
        Ok(found)
    }
}

/// The statement for the positions in a part: of four values, the first is what is searched for.
pub(super) fn sql(part: u64, edge: Edge) -> String {
    let order = if edge == Edge::Newest { "DESC" } else { "ASC" };
    format!(
        "SELECT rowid FROM words_{part} WHERE words_{part} MATCH ? AND rowid >= ? AND rowid < ? \
         ORDER BY rowid {order} LIMIT ?"
    )
}

/// The words of a test that must not fit, where they say it whole.
fn refuse(db: &Connection, test: &Test) -> Result<Option<String>, IndexFault> {
    Ok(match test {
        Test::Kind(kinds) => Some(kind_marks(kinds)),
        Test::Class(classes) => Some(class_marks(classes)),
        Test::Words(Place::Anywhere, sought) if sought.len() == 1 => sought.first().map(quoted),
        Test::Name(name, globs) => {
            let numbers = numbers(db, *name, globs)?;
            let few = (1..=limits::QUERY_NAMES_MAX).contains(&numbers.len());
            few.then(|| name_marks(*name, &numbers))
        }
        Test::Words(..) | Test::Once(..) | Test::Number(..) | Test::Session(..) => None,
    })
}

/// The positions that a search's time can be at.
fn range(db: &Connection, query: &Query) -> Result<(u64, u64), IndexFault> {
    let (oldest, next) = db.query_row("SELECT oldest, next FROM state", [], |row| {
        Ok((schema::loaded(row.get(0)?), schema::loaded(row.get(1)?)))
    })?;
    if query.since_ms.is_none() && query.until_ms.is_none() {
        return Ok((oldest, next));
    }
    let (since, until) = (query.since_ms.unwrap_or(0), query.until_ms.unwrap_or(u64::MAX));
    let (low, high) = positions(db, since, until)?;
    Ok((oldest.max(low), next.min(high)))
}

/// The positions outside of which no entry began in a time.
pub(super) fn positions(db: &Connection, since_ms: u64, until_ms: u64) -> Result<(u64, u64), IndexFault> {
    let sql = "SELECT min(number), max(number) FROM span WHERE max_ms >= ?1 AND min_ms < ?2";
    let found = db.query_row(sql, [stored(since_ms), stored(until_ms)], |row| {
        Ok(row.get::<_, Option<i64>>(0)?.zip(row.get::<_, Option<i64>>(1)?))
    })?;
    Ok(found.map_or((0, 0), |(first, last)| {
        let end = schema::loaded(last).saturating_add(1);
        (schema::span_first(schema::loaded(first)), schema::span_first(end))
    }))
}

/// The numbers of the names that a term means.
pub(super) fn numbers(db: &Connection, name: Name, globs: &[Glob]) -> Result<Vec<u64>, IndexFault> {
    if name == Name::Tool {
        return names::fitting(db, name, |text| globs.iter().any(|glob| fits::tool_fits(glob, text)));
    }
    if globs.iter().any(|glob| !glob.is_exact()) {
        return names::fitting(db, name, |text| globs.iter().any(|glob| glob.matches(text)));
    }
    let mut found = Vec::new();
    for glob in globs {
        found.extend(names::find(db, name, glob.as_str())?);
    }
    Ok(found)
}

/// Numbers as a JSON array, which is one value.
pub(super) fn list(numbers: &[u64]) -> Value {
    let numbers: Vec<String> = numbers.iter().map(u64::to_string).collect();
    Value::from(format!("[{}]", numbers.join(",")))
}

fn any(marks: impl Iterator<Item = String>) -> String {
    marks.collect::<Vec<_>>().join(" OR ")
}

/// The marks of all powers of two that a range touches; nothing for a range with 0 in it, which has none.
fn size_marks(letter: char, low: u64, high: u64) -> Option<String> {
    let (low, high) = low.checked_ilog2().zip(high.checked_ilog2())?;
    Some(any((low..=high).map(|power| mark(letter, i64::from(power)))))
}

fn mark(letter: char, number: i64) -> String {
    format!("\"{letter}:{number}\"")
}

fn kind_marks(kinds: &[Kind]) -> String {
    any(kinds.iter().map(|kind| mark(words::KIND, store::kind_number(*kind))))
}

fn class_marks(classes: &[Class]) -> String {
    any(classes.iter().map(|class| mark(words::CLASS, store::class_number(*class))))
}

fn name_marks(name: Name, numbers: &[u64]) -> String {
    any(numbers.iter().map(|number| mark(name.letter(), stored(*number))))
}

fn once_mark(once: Once, text: &str) -> String {
    let mut mark = String::from("\"");
    words::push_once(once, text, &mut mark);
    mark.truncate(mark.trim_end().len());
    mark.push('"');
    mark
}

/// A word in the language of FTS5: it is letters and digits alone, so that quotes hold it.
fn quoted(word: &SoughtWord) -> String {
    let star = if word.prefix { " *" } else { "" };
    format!("\"{}\"{star}", word.text)
}
