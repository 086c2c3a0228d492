//! Reading the index: pages of entries, single ones, sessions, counts by field.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::path::Path;

use rusqlite::Connection;

use crate::ids::CallId;
use crate::ledger::encode;
use crate::ledger::entry::Entry;
use crate::ledger::index::IndexFault;
use crate::ledger::index::block::{Edge, Shelf};
use crate::ledger::index::names;
use crate::ledger::index::plan::Plan;
use crate::ledger::index::query::{Query, Term, Test};
use crate::ledger::index::schema;
use crate::ledger::index::store;
use crate::ledger::index::words::Once;
use crate::limits;

/// The index, open to be read. It blocks while it reads; one thread uses it at a time.
pub struct Reader {
    pub(super) db: Connection,
    pub(super) shelf: Shelf,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader").finish_non_exhaustive()
    }
}

/// Where a page begins and how long it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Entries before this position; all without it.
    pub before: Option<u64>,
    /// At most so many entries; never more than `limits::PAGE_ENTRIES_MAX`.
    pub limit: usize,
}

/// An entry and where it stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hit {
    /// The number of its record in the chain.
    pub position: u64,
    /// The entry.
    pub entry: Entry,
}

/// A page.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// The entries, newest first.
    pub hits: Vec<Hit>,
    /// Where the next page begins; `None` when there is nothing more. A page can be short, or empty, and have
    /// a next one: what was looked at in vain is bounded, too.
    pub next: Option<u64>,
}

/// How many entries have which value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// How many entries were counted.
    pub counted: u64,
    /// Whether those are all; else they are the newest.
    pub all: bool,
    /// The fields, each with its most frequent values.
    pub fields: Vec<Facet>,
}

/// The values of one field.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facet {
    /// The field, as searches name it.
    pub field: &'static str,
    /// At most `limits::FACET_VALUES_MAX` values, the most frequent first.
    pub values: Vec<(String, u64)>,
    /// Entries with other values.
    pub others: u64,
}

/// What an entry has of a field.
type Told = fn(&Entry) -> Cow<'_, str>;

/// What is counted.
const FACETS: [(&str, Told); 12] = [
    ("kind", |entry| entry.kind.name().into()),
    ("class", |entry| entry.class.name().into()),
    ("status", |entry| if entry.status == 0 { "".into() } else { entry.status.to_string().into() }),
    ("outcome", |entry| entry.outcome.as_str().into()),
    ("key", |entry| entry.key.as_str().into()),
    ("team", |entry| entry.team.as_str().into()),
    ("user", |entry| entry.user.as_str().into()),
    ("model", |entry| entry.model.as_str().into()),
    ("provider", |entry| entry.provider.as_str().into()),
    ("server", |entry| entry.server.as_str().into()),
    ("tool", |entry| names::tool_name(entry).into()),
    ("mode", |entry| entry.mode.as_str().into()),
];

impl Reader {
    /// Opens an index.
    ///
    /// # Errors
    /// [`IndexFault::Missing`] and [`IndexFault::Version`], else what SQLite says.
    pub fn open(path: &Path) -> Result<Self, IndexFault> {
        Ok(Self { db: schema::open_read(path)?, shelf: Shelf::default() })
    }

    /// The position of the first record that is not in the index.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next(&self) -> Result<u64, IndexFault> {
        store::next(&self.db)
    }

    /// One page of what a search finds, newest first.
    ///
    /// # Errors
    /// What SQLite says, or a damaged block.
    pub fn search(&mut self, query: &Query, page: Page) -> Result<Found, IndexFault> {
        self.walk(query, page, Edge::Newest)
    }

    /// What a search finds from a position on, oldest first: `page.before` is not looked at. `next` is where
    /// to go on, also at the end of all that there is.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn since(&mut self, query: &Query, from: u64, limit: usize) -> Result<Found, IndexFault> {
        self.walk(query, Page { before: Some(from), limit }, Edge::Oldest)
    }

    fn walk(&mut self, query: &Query, page: Page, edge: Edge) -> Result<Found, IndexFault> {
        let transaction = self.db.unchecked_transaction()?;
        let mut plan = Plan::of(&transaction, query)?;
        let end = store::next(&transaction)?;
        let mut found = Found::default();
        let (mut low, mut high) = plan.range;
        match edge {
            Edge::Newest => high = high.min(page.before.unwrap_or(u64::MAX)),
            Edge::Oldest => {
                low = low.max(page.before.unwrap_or(0));
                found.next = Some(end.max(low));
            }
        }
        if plan.nothing {
            return Ok(found);
        }
        let limit = page.limit.min(limits::PAGE_ENTRIES_MAX);
        let mut examined = 0;
        let mut step = limit;
        loop {
            let positions = plan.positions(&transaction, &mut self.shelf, (low, high), edge, step)?;
            for position in &positions {
                match edge {
                    Edge::Newest => high = *position,
                    Edge::Oldest => low = position.saturating_add(1),
                }
                let entry = self.shelf.entry(&transaction, *position)?;
                if query.fits(&entry) {
                    found.hits.push(Hit { position: *position, entry });
                }
                examined += 1;
                if found.hits.len() >= limit || examined >= limits::PAGE_EXAMINED_MAX {
                    found.next = Some(if edge == Edge::Newest { high } else { low });
                    return Ok(found);
                }
            }
            if positions.len() < step || step == 0 {
                return Ok(found);
            }
            // What is found is not what fits: look at more at a time.
            step = (step * 2).min(limits::PAGE_ENTRIES_MAX);
        }
    }

    /// The entry of a call; `None` where the index has none.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn entry(&mut self, id: CallId) -> Result<Option<Hit>, IndexFault> {
        let query = one(Test::Once(Once::Id, vec![id.to_string()]));
        let found = self.search(&query, Page { before: None, limit: 1 })?;
        Ok(found.hits.into_iter().next())
    }

    /// The entries of a session in the order of their beginnings, at most the newest
    /// `limits::TIMELINE_ENTRIES_MAX`, and of those no more than have `limits::TIMELINE_BYTES_MAX` together.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn session(&mut self, session: &str) -> Result<Vec<Hit>, IndexFault> {
        let query = one(Test::Session(session.to_owned()));
        let mut hits = Vec::new();
        let mut before = None;
        let (mut bytes, mut encoded) = (0_usize, Vec::new());
        'pages: loop {
            let found = self.search(&query, Page { before, limit: limits::TIMELINE_STEP })?;
            for hit in found.hits {
                encoded.clear();
                encode::put_entry(encode::Tag::Event, None, &hit.entry, &mut encoded);
                bytes = bytes.saturating_add(encoded.len());
                if bytes > limits::TIMELINE_BYTES_MAX || hits.len() >= limits::TIMELINE_ENTRIES_MAX {
                    break 'pages;
                }
                hits.push(hit);
            }
            before = found.next;
            if before.is_none() {
                break;
            }
        }
        hits.sort_by_key(|hit| (hit.entry.at_ms, hit.position));
        Ok(hits)
    }

    /// Counts by field what a search finds, of the newest `limits::FACET_ENTRIES_MAX`.
    ///
    /// # Errors
    /// As [`Self::search`].
    pub fn facets(&mut self, query: &Query) -> Result<Facets, IndexFault> {
        let transaction = self.db.unchecked_transaction()?;
        let mut plan = Plan::of(&transaction, query)?;
        let mut facets = Facets { all: true, ..Facets::default() };
        let mut counts: [HashMap<String, u64>; FACETS.len()] = Default::default();
        let (low, mut high) = plan.range;
        let mut examined = 0;
        while !plan.nothing && facets.all {
            let step = limits::FACET_STEP;
            let positions = plan.positions(&transaction, &mut self.shelf, (low, high), Edge::Newest, step)?;
            for position in &positions {
                high = *position;
                let entry = self.shelf.entry(&transaction, *position)?;
                if query.fits(&entry) {
                    facets.counted += 1;
                    for ((_, value), counted) in FACETS.iter().zip(&mut counts) {
                        count(counted, &value(&entry));
                    }
                }
            }
            if positions.len() < step {
                break;
            }
            examined += positions.len();
            facets.all = examined < limits::FACET_ENTRIES_MAX;
        }
        facets.fields =
            FACETS.iter().zip(counts).map(|((field, _), counted)| facet(field, counted)).collect();
        Ok(facets)
    }
}

/// Counts one more of a value; what an entry has not is not counted.
fn count(counted: &mut HashMap<String, u64>, value: &str) {
    match counted.get_mut(value) {
        Some(count) => *count += 1,
        None if value.is_empty() => {}
        None => drop(counted.insert(value.to_owned(), 1)),
    }
}

/// The most frequent values.
fn facet(field: &'static str, counted: HashMap<String, u64>) -> Facet {
    let mut values: Vec<(String, u64)> = counted.into_iter().collect();
    values.sort_unstable_by(|(one, a), (other, b)| b.cmp(a).then_with(|| one.cmp(other)));
    let rest = values.split_off(values.len().min(limits::FACET_VALUES_MAX));
    Facet { field, values, others: rest.into_iter().map(|(_, count)| count).sum() }
}

/// A search of one condition.
fn one(test: Test) -> Query {
    Query { terms: vec![Term { negated: false, test }], ..Query::default() }
}
