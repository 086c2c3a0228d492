//! How a search is asked of the index: words and marks, which lists know and FTS5 for the newest part.
//!
//! What a plan finds is never less than what fits, and often more: whoever reads the entries asks
//! [`Query::fits`] of each. The statement for FTS5 is the same for all searches but for its direction and the
//! number of a part; what is searched for is a bound value.

use rusqlite::Connection;
use rusqlite::types::Value;

use crate::glob::Glob;
use crate::ledger::entry::{Class, Kind};
use crate::ledger::index::IndexFault;
use crate::ledger::index::bits::{Bits, PLACES};
use crate::ledger::index::block::{Edge, Shelf};
use crate::ledger::index::fits;
use crate::ledger::index::lists::{Book, Sought, Term};
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::query::{Number, Place, Query, SoughtWord, Test};
use crate::ledger::index::schema::{self, stored};
use crate::ledger::index::store;
use crate::ledger::index::words;
use crate::limits;

/// How a search is asked.
#[derive(Debug)]
pub(super) struct Plan {
    /// What is asked for; without it all entries are looked at.
    pub(super) sought: Option<Sought>,
    /// Whether nothing can fit: a name that has never come.
    pub(super) nothing: bool,
    /// Positions from the first to before the second.
    pub(super) range: (u64, u64),
    /// What was found in the part that was looked at last: a page is put together in several steps.
    held: Option<(u64, Bits)>,
    paired: Vec<Vec<Term>>,
}

impl Plan {
    /// Makes the plan, with the names that the index knows now.
    pub(super) fn of(db: &Connection, query: &Query) -> Result<Self, IndexFault> {
        let range = range(db, query)?;
        let mut plan = Self { sought: None, nothing: false, range, held: None, paired: Vec::new() };
        let (negated, plain): (Vec<_>, Vec<_>) = query.terms.iter().partition(|term| term.negated);
        let mut sought = Sought::default();
        for term in plain {
            sought.all.extend(plan.want(db, &term.test)?);
        }
        if sought.all.is_empty() {
            // There is nothing to take away from.
            return Ok(plan);
        }
        for term in negated {
            sought.none.extend(refuse(db, &term.test)?);
        }
        sought.paired = std::mem::take(&mut plan.paired);
        plan.sought = Some(sought);
        Ok(plan)
    }

    /// What a test asks for that has to fit, each of it; nothing where only the entry can tell.
    fn want(&mut self, db: &Connection, test: &Test) -> Result<Vec<Vec<Term>>, IndexFault> {
        let numbers = match test {
            Test::Kind(kinds) => return Ok(vec![kind_marks(kinds)]),
            Test::Class(classes) => return Ok(vec![class_marks(classes)]),
            Test::Once(once, texts) => {
                return Ok(vec![texts.iter().map(|text| Term::Once(*once, words::once_sum(text))).collect()]);
            }
            Test::Words(_, sought) => return Ok(self.want_words(sought)),
            Test::Number(Number::CostPico, low, high) => return Ok(size_marks(words::COST, *low, *high)),
            Test::Number(Number::TookUs, low, high) => return Ok(size_marks(words::TOOK, *low, *high)),
            Test::Number(Number::Tokens, low, high) => return Ok(size_marks(words::TOKENS, *low, *high)),
            Test::Number(Number::Status, 0, _) => return Ok(Vec::new()),
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
        Ok(if few { vec![name_marks(name, &numbers)] } else { Vec::new() })
    }

    /// What words side by side are sought by.
    fn want_words(&mut self, sought: &[SoughtWord]) -> Vec<Vec<Term>> {
        let mut wanted = Vec::new();
        let mut paired = false;
        let mut rest = sought;
        while let Some((word, after)) = rest.split_first() {
            // The beginning of a word has no pair.
            let next = after.first().filter(|next| !word.prefix && !next.prefix);
            if let Some(next) = next {
                wanted.push(vec![Term::Pair(words::pair_sum(&word.text, &next.text))]);
            }
            let known = paired || next.is_some();
            if known { &mut self.paired } else { &mut wanted }.push(vec![word_term(word)]);
            paired = next.is_some();
            rest = after;
        }
        wanted
    }

    /// Up to `most` positions that a plan finds within its range cut to another, newest or oldest first.
    pub(super) fn positions(
        &mut self,
        db: &Connection,
        shelf: &mut Shelf,
        within: (u64, u64),
        edge: Edge,
        most: usize,
    ) -> Result<Vec<u64>, IndexFault> {
        let (low, high) = (within.0.max(self.range.0), within.1.min(self.range.1));
        let Some(sought) = &self.sought else { return shelf.positions(db, (low, high), edge, most) };
        let mut parts = schema::parts(db)?;
        if edge == Edge::Oldest {
            parts.reverse();
        }
        let mut book = Book::new(db)?;
        let mut found = Vec::new();
        for part in parts {
            let first = schema::part_first(part.number);
            let low = low.max(first);
            let high = high.min(schema::part_first(part.number.saturating_add(1)));
            let left = most.saturating_sub(found.len());
            if left == 0 || low >= high {
                continue;
            }
            if !part.whole {
                ask(db, part.number, sought, ((low, high), edge, left), &mut found)?;
                continue;
            }
            let bits = match self.held.take().filter(|(held, _)| *held == part.number) {
                Some((_, bits)) => bits,
                None => book.find(part.number, sought)?,
            };
            let place = |position: u64| u32::try_from(position - first).unwrap_or(PLACES);
            let places = bits.places((place(low), place(high)), edge, left);
            found.extend(places.into_iter().map(|place| first + u64::from(place)));
            self.held = Some((part.number, bits));
        }
        Ok(found)
    }
}

/// Asks FTS5 for up to so many positions of a part.
fn ask(
    db: &Connection,
    part: u64,
    sought: &Sought,
    ((low, high), edge, most): ((u64, u64), Edge, usize),
    found: &mut Vec<u64>,
) -> Result<(), IndexFault> {
    let mut statement = db.prepare(&sql(part, edge))?;
    let most = i64::try_from(most).unwrap_or(i64::MAX);
    let mut rows = statement.query((expression(sought), stored(low), stored(high), most))?;
    while let Some(row) = rows.next()? {
        found.push(schema::loaded(row.get(0)?));
    }
    Ok(())
}

/// What is sought in the language of FTS5.
pub(super) fn expression(sought: &Sought) -> String {
    let any = |terms: &Vec<Term>| terms.iter().map(quoted).collect::<Vec<_>>().join(" OR ");
    let known = sought.all.iter().filter(|terms| !matches!(terms.as_slice(), [Term::Pair(_)]));
    let all = known.chain(&sought.paired).map(any).collect::<Vec<_>>().join(") AND (");
    if sought.none.is_empty() { format!("({all})") } else { format!("(({all})) NOT ({})", any(&sought.none)) }
}

/// The statement for the positions in a part: of four values, the first is what is searched for.
pub(super) fn sql(part: u64, edge: Edge) -> String {
    let order = if edge == Edge::Newest { "DESC" } else { "ASC" };
    format!(
        "SELECT rowid FROM words_{part} WHERE words_{part} MATCH ? AND rowid >= ? AND rowid < ? \
         ORDER BY rowid {order} LIMIT ?"
    )
}

/// The terms of a test that must not fit, where they say it whole.
fn refuse(db: &Connection, test: &Test) -> Result<Vec<Term>, IndexFault> {
    Ok(match test {
        Test::Kind(kinds) => kind_marks(kinds),
        Test::Class(classes) => class_marks(classes),
        Test::Words(Place::Anywhere, sought) if sought.len() == 1 => sought.iter().map(word_term).collect(),
        Test::Name(name, globs) => {
            let numbers = numbers(db, *name, globs)?;
            let few = (1..=limits::QUERY_NAMES_MAX).contains(&numbers.len());
            if few { name_marks(*name, &numbers) } else { Vec::new() }
        }
        Test::Words(..) | Test::Once(..) | Test::Number(..) | Test::Session(..) => Vec::new(),
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

/// The marks of all powers of two that a range touches; nothing for a range with 0 in it, which has none.
fn size_marks(letter: char, low: u64, high: u64) -> Vec<Vec<Term>> {
    let powers = low.checked_ilog2().zip(high.checked_ilog2());
    powers
        .map(|(low, high)| (low..=high).map(|power| Term::Mark(letter, u64::from(power))).collect())
        .into_iter()
        .collect()
}

fn kind_marks(kinds: &[Kind]) -> Vec<Term> {
    kinds.iter().map(|kind| Term::Mark(words::KIND, store::kind_number(*kind))).collect()
}

fn class_marks(classes: &[Class]) -> Vec<Term> {
    classes.iter().map(|class| Term::Mark(words::CLASS, store::class_number(*class))).collect()
}

fn name_marks(name: Name, numbers: &[u64]) -> Vec<Term> {
    numbers.iter().map(|number| Term::Mark(name.letter(), *number)).collect()
}

fn word_term(word: &SoughtWord) -> Term {
    let text = word.text.clone();
    if word.prefix { Term::Prefix(text) } else { Term::Word(text) }
}

/// A term in the language of FTS5: words are letters and digits alone, so that quotes hold them.
fn quoted(term: &Term) -> String {
    let mut text = String::from("\"");
    match term {
        Term::Word(word) | Term::Prefix(word) => text.push_str(word),
        // Those are left out before.
        Term::Pair(_) => {}
        Term::Mark(letter, number) => words::push_number(*letter, *number, &mut text),
        Term::Once(once, sum) => words::push_sum(*once, *sum, &mut text),
    }
    text.push_str(if matches!(term, Term::Prefix(_)) { "\" *" } else { "\"" });
    text
}
