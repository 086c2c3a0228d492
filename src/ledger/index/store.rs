//! The one writer of the index: takes entries in batches, each in one transaction with its place.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Statement, TransactionBehavior};

use crate::ledger::entry::{Class, Entry, Kind};
use crate::ledger::index::IndexFault;
use crate::ledger::index::block::{self, Edge, Growing, Shelf};
use crate::ledger::index::gather::Gathered;
use crate::ledger::index::lists;
use crate::ledger::index::names::{self, Held, Name, NameStatements};
use crate::ledger::index::offers::Offers;
use crate::ledger::index::schema::{self, loaded, stored};
use crate::ledger::index::sums::{self, Sums};
use crate::ledger::index::words::{self, Marks, Once};
use crate::limits;

/// The index, open to be written.
pub struct Store {
    db: Connection,
    compressor: zstd::bulk::Compressor<'static>,
    held: Held,
    growing: Growing,
    /// What `held` and `growing` belong to; another number in the file means that somebody else has written.
    next: Option<u64>,
    /// The words of the newest part while much is taken at once.
    gathered: Option<Gathered>,
    bulk: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Store").field("next", &self.next).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the index, making it where there is none.
    ///
    /// # Errors
    /// [`IndexFault::Version`] for a file of another version, else what SQLite says.
    pub fn open(path: &Path) -> Result<Self, IndexFault> {
        let db = schema::open(path)?;
        let compressor = block::compressor()?;
        let (held, growing) = (Held::default(), Growing::default());
        let mut store = Self { db, compressor, held, growing, next: None, gathered: None, bulk: false };
        let (next, worded) = places(&store.db)?;
        if worded < next {
            // Whoever took much at once has ended before all of it had words.
            store.take(&[], next)?;
        }
        Ok(store)
    }

    /// Deletes the index; what was in it is read again from the segments.
    ///
    /// # Errors
    /// A file cannot be deleted.
    pub fn remove(path: &Path) -> Result<(), IndexFault> {
        schema::remove(path)
    }

    /// The position of the first record that is not in the index.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn next(&self) -> Result<u64, IndexFault> {
        next(&self.db)
    }

    /// Takes entries with their positions, which rise. `next` is the position after the last record read,
    /// entry or not. What the index has already is left out, so that the same batch may come twice.
    ///
    /// # Errors
    /// What SQLite says; nothing of the batch is in the index then, and it may be given again.
    pub fn take(&mut self, batch: &[(u64, Entry)], next: u64) -> Result<(), IndexFault> {
        let done = self.try_take(batch, next);
        if done.is_err() {
            // What is held in memory may be of a transaction that never was.
            self.next = None;
        }
        done
    }

    #[cfg(test)]
    pub(super) fn give_up_at_once(&self) {
        self.db.busy_timeout(std::time::Duration::ZERO).unwrap();
    }

    fn try_take(&mut self, batch: &[(u64, Entry)], next: u64) -> Result<(), IndexFault> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let (from, worded) = places(&transaction)?;
        if self.next != Some(from) {
            self.held = Held::default();
            self.growing = Growing::load(&transaction)?;
            self.gathered = None;
        }
        let fresh = batch.iter().filter(|(position, _)| *position >= from);
        let mut batch = Batch::new(&transaction, &mut self.held)?;
        if !self.bulk {
            batch.give_words(worded, from)?;
        } else if self.gathered.is_none() {
            self.gathered = Some(batch.gather(schema::part_of(from), from)?);
        }
        let mut behind = from;
        for (position, entry) in fresh {
            if *position < behind {
                return Err(IndexFault::Order(*position));
            }
            behind = position.saturating_add(1);
            if self.growing.is_full() {
                batch.keep_block(&self.growing, &mut self.compressor)?;
                self.growing.clear();
            }
            let who = batch.keep(*position, entry, &mut self.gathered)?;
            self.growing.push(*position, entry, who);
        }
        batch.keep_block(&self.growing, &mut self.compressor)?;
        batch.keep_sums()?;
        let next = next.max(from);
        transaction.execute("UPDATE state SET next = ?1", [stored(next)])?;
        if !self.bulk {
            transaction.execute("UPDATE state SET worded = ?1", [stored(next)])?;
            batch.make_whole(next)?;
        }
        drop(batch);
        transaction.commit()?;
        self.next = Some(next);
        Ok(())
    }

    /// Forgets all entries before a position, after their segments have been dropped. What was spent then
    /// stays known.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn forget(&mut self, before: u64) -> Result<(), IndexFault> {
        let transaction = self.db.transaction_with_behavior(TransactionBehavior::Immediate)?;
        let before = before.min(next(&transaction)?);
        // The block that `before` stands in holds entries that stay.
        let sql = "DELETE FROM block WHERE first < (SELECT max(first) FROM block WHERE first <= ?1)";
        transaction.execute(sql, [stored(before)])?;
        let span = stored(schema::span_of(before));
        transaction.execute("DELETE FROM span WHERE number < ?1", [span])?;
        for part in schema::parts(&transaction)? {
            if schema::part_first(part.number.saturating_add(1)) <= before {
                schema::remove_part(&transaction, part.number)?;
                lists::remove(&transaction, part.number)?;
            }
        }
        transaction.execute("UPDATE state SET oldest = max(oldest, ?1)", [stored(before)])?;
        transaction.commit()?;
        self.next = None;
        Ok(())
    }

    /// Prepares for many entries at once into a new file: less is written twice, and a crash in the middle
    /// means to begin anew.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn begin_bulk(&mut self) -> Result<(), IndexFault> {
        self.db.execute_batch("PRAGMA synchronous = OFF; PRAGMA cache_size = -262144;")?;
        self.bulk = true;
        Ok(())
    }

    /// Ends what `begin_bulk` began: from here on the file is safe on the disk.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn end_bulk(&mut self) -> Result<(), IndexFault> {
        self.bulk = false;
        self.gathered = None;
        let next = self.next()?;
        self.take(&[], next)?;
        self.db.execute_batch("PRAGMA synchronous = FULL;")?;
        self.db.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_row| Ok(()))?;
        self.db.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768;")?;
        Ok(())
    }
}

/// The file of the index below a data folder.
pub fn path_in(data_dir: &Path) -> PathBuf {
    data_dir.join("ledger").join("index.sqlite")
}

/// The position of the first record that is not in the index.
pub(super) fn next(db: &Connection) -> Result<u64, IndexFault> {
    Ok(loaded(db.query_row("SELECT next FROM state", [], |row| row.get(0))?))
}

/// That, and the position of the first record whose words are not in the index.
fn places(db: &Connection) -> Result<(u64, u64), IndexFault> {
    let read = |row: &rusqlite::Row<'_>| Ok((loaded(row.get(0)?), loaded(row.get(1)?)));
    Ok(db.query_row("SELECT next, worded FROM state", [], read)?)
}

/// What names a row of what was spent: hour, key, team, user, model, provider, server, tool.
type SpendKey = [i64; 8];

/// What is summed of a session: its user, its first and last time, its sums.
type SessionSums = (i64, u64, u64, Sums);

/// One transaction at work.
struct Batch<'c> {
    db: &'c Connection,
    held: &'c mut Held,
    names: NameStatements<'c>,
    block: Statement<'c>,
    /// The statement for the words of one part, and which.
    words: Option<(u64, Statement<'c>)>,
    marks: Marks,
    text: String,
    spans: BTreeMap<u64, (u64, u64)>,
    spend: HashMap<SpendKey, Sums>,
    sessions: HashMap<i64, SessionSums>,
    offers: Offers,
}

/// The numbers of the names that are summed by.
struct Numbers {
    key: i64,
    team: i64,
    user: i64,
    session: i64,
    model: i64,
    provider: i64,
    server: i64,
    tool: i64,
}

impl<'c> Batch<'c> {
    fn new(db: &'c Connection, held: &'c mut Held) -> Result<Self, IndexFault> {
        Ok(Self {
            db,
            held,
            names: NameStatements::new(db)?,
            block: db.prepare("INSERT OR REPLACE INTO block VALUES (?1, ?2)")?,
            words: None,
            marks: Marks::default(),
            text: String::new(),
            spans: BTreeMap::new(),
            spend: HashMap::new(),
            sessions: HashMap::new(),
            offers: Offers::default(),
        })
    }

    fn keep_block(
        &mut self,
        growing: &Growing,
        compressor: &mut zstd::bulk::Compressor<'_>,
    ) -> Result<(), IndexFault> {
        if let Some((first, data)) = growing.packed(compressor)? {
            self.block.execute((stored(first), data))?;
        }
        Ok(())
    }

    /// Keeps all of an entry but the entry itself; the numbers of who called and of its session, or nothing
    /// where they have none. Words go to what gathers them, or to FTS5 without it.
    fn keep(
        &mut self,
        position: u64,
        entry: &Entry,
        gathered: &mut Option<Gathered>,
    ) -> Result<Option<(i64, i64)>, IndexFault> {
        let sums = Sums::of(entry);
        let numbers = self.mark_all(&names::named(entry), &sums)?;
        let part = schema::part_of(position);
        if let Some(whole) = gathered.take_if(|gathered| gathered.part() != part) {
            self.keep_part(whole)?;
            *gathered = Some(Gathered::new(part));
        }
        match gathered {
            Some(gathered) => gathered.add(position, &self.marks, entry),
            None => self.keep_words(position, entry)?,
        }
        let at = entry.at_ms.min(loaded(i64::MAX));
        let span = self.spans.entry(schema::span_of(position)).or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
        if sums::counts(entry) {
            self.add(at, &numbers, &sums);
        }
        for offer in &entry.offers {
            let server = self.held.number(&mut self.names, Name::Server, &offer.server)?;
            self.offers.add((at, numbers.team, server), offer);
        }
        if names::is_of_stranger(entry) {
            return Ok(None);
        }
        let who = self.held.number(&mut self.names, Name::Who, &block::who(entry))?;
        Ok(Some((who, numbers.session)))
    }

    /// Notes the marks of an entry.
    fn mark_all(&mut self, entry: &Entry, sums: &Sums) -> Result<Numbers, IndexFault> {
        self.marks.clear();
        self.marks.push(words::KIND, kind_number(entry.kind));
        self.marks.push(words::CLASS, class_number(entry.class));
        let sizes =
            [(words::COST, entry.cost_pico), (words::TOOK, entry.took_us), (words::TOKENS, sums.tokens())];
        for (letter, number) in sizes {
            if let Some(power) = number.checked_ilog2() {
                self.marks.push(letter, u64::from(power));
            }
        }
        let id = entry.id.shown();
        self.marks.push_once(Once::Id, std::str::from_utf8(&id).unwrap_or_default());
        self.marks.push_once(Once::Prompt, &entry.prompt);
        self.marks.push_once(Once::Upstream, &entry.upstream_id);
        self.marks.push_once(Once::Use, &entry.tool_use_id);
        let numbers = Numbers {
            key: self.mark(Name::Key, &entry.key)?,
            team: self.mark(Name::Team, &entry.team)?,
            user: self.mark(Name::User, &entry.user)?,
            session: self.mark(Name::Session, &entry.session)?,
            model: self.mark(Name::Model, &entry.model)?,
            provider: self.mark(Name::Provider, &entry.provider)?,
            server: self.mark(Name::Server, &entry.server)?,
            tool: self.mark(Name::Tool, &names::tool_name(entry))?,
        };
        if entry.served_model != entry.model {
            self.mark(Name::Model, &entry.served_model)?;
        }
        self.mark(Name::Outcome, &entry.outcome)?;
        self.mark(Name::Client, &entry.client)?;
        self.mark(Name::Method, &entry.method)?;
        self.mark(Name::Agent, &entry.agent)?;
        self.mark(Name::Region, &entry.region)?;
        self.mark(Name::Stop, &entry.stop_reason)?;
        self.mark(Name::Mode, &entry.mode)?;
        self.mark(Name::Mode, &entry.mode_by)?;
        if entry.status > 0 {
            self.mark(Name::Status, &entry.status.to_string())?;
        }
        for action in &entry.actions {
            self.marks.push(words::CLASS, class_number(action.class));
            self.marks.push_once(Once::Use, &action.id);
            self.mark(Name::Action, &action.name)?;
        }
        Ok(numbers)
    }

    /// Notes the mark of a name; its number.
    fn mark(&mut self, name: Name, text: &str) -> Result<i64, IndexFault> {
        let number = self.held.number(&mut self.names, name, text)?;
        if number > 0 {
            self.marks.push(name.letter(), loaded(number));
        }
        Ok(number)
    }

    /// Gives FTS5 the words of an entry whose marks are noted.
    fn keep_words(&mut self, position: u64, entry: &Entry) -> Result<(), IndexFault> {
        let part = schema::part_of(position);
        if self.words.as_ref().is_none_or(|(held, _)| *held != part) {
            self.words = None;
            schema::make_part(self.db, part)?;
            let sql = format!("INSERT INTO words_{part} (rowid, words) VALUES (?1, ?2)");
            self.words = Some((part, self.db.prepare(&sql)?));
        }
        self.text.clear();
        self.marks.text(entry, &mut self.text);
        if let Some((_, statement)) = &mut self.words {
            statement.execute((stored(position), &self.text))?;
        }
        Ok(())
    }

    /// Reads the entries of some positions again, and notes their marks before `each` gets them.
    fn again(
        &mut self,
        (mut low, high): (u64, u64),
        mut each: impl FnMut(&mut Self, u64, &Entry) -> Result<(), IndexFault>,
    ) -> Result<(), IndexFault> {
        let mut shelf = Shelf::default();
        loop {
            let most = limits::INDEX_BATCH_MAX;
            let positions = shelf.positions(self.db, (low, high), Edge::Oldest, most)?;
            for position in &positions {
                low = position.saturating_add(1);
                let entry = shelf.entry(self.db, *position)?;
                self.mark_all(&names::named(&entry), &Sums::of(&entry))?;
                each(self, *position, &entry)?;
            }
            if positions.len() < most {
                return Ok(());
            }
        }
    }

    /// Gathers the words of the entries of a part that are before a position.
    fn gather(&mut self, part: u64, before: u64) -> Result<Gathered, IndexFault> {
        let mut gathered = Gathered::new(part);
        self.again((schema::part_first(part), before), |batch, position, entry| {
            gathered.add(position, &batch.marks, entry);
            Ok(())
        })?;
        Ok(gathered)
    }

    /// Writes the words of a part that is whole.
    fn keep_part(&mut self, gathered: Gathered) -> Result<(), IndexFault> {
        let part = gathered.part();
        if self.words.as_ref().is_some_and(|(held, _)| *held == part) {
            self.words = None;
        }
        gathered.keep(self.db)?;
        schema::make_whole(self.db, part)?;
        let end = stored(schema::part_first(part.saturating_add(1)));
        self.db.execute("UPDATE state SET worded = max(worded, ?1)", [end])?;
        Ok(())
    }

    /// Gives words to entries from the first position to before the second, which have none.
    fn give_words(&mut self, worded: u64, next: u64) -> Result<(), IndexFault> {
        let mut low = worded;
        while low < next {
            let part = schema::part_of(low);
            let end = schema::part_first(part.saturating_add(1));
            if end <= next {
                let gathered = self.gather(part, end)?;
                self.keep_part(gathered)?;
            } else {
                self.again((low, next), |batch, position, entry| batch.keep_words(position, entry))?;
            }
            low = end;
        }
        Ok(())
    }

    /// Makes lists of all parts that end before a position and are still kept by FTS5.
    fn make_whole(&mut self, next: u64) -> Result<(), IndexFault> {
        for part in schema::parts(self.db)? {
            let end = schema::part_first(part.number.saturating_add(1));
            if !part.whole && end <= next {
                let gathered = self.gather(part.number, end)?;
                self.keep_part(gathered)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, at_ms: u64, numbers: &Numbers, sums: &Sums) {
        let hour = stored(at_ms / HOUR_MS);
        let key = [
            hour,
            numbers.key,
            numbers.team,
            numbers.user,
            numbers.model,
            numbers.provider,
            numbers.server,
            numbers.tool,
        ];
        self.spend.entry(key).or_default().add(sums);
        if numbers.session > 0 {
            let fresh = (numbers.user, at_ms, at_ms, Sums::default());
            let (_, first, last, all) = self.sessions.entry(numbers.session).or_insert(fresh);
            *first = at_ms.min(*first);
            *last = at_ms.max(*last);
            all.add(sums);
        }
    }

    /// Adds what the batch has gathered to what is in the file.
    fn keep_sums(&mut self) -> Result<(), IndexFault> {
        let mut span = self.db.prepare(
            "INSERT INTO span VALUES (?1, ?2, ?3) ON CONFLICT DO UPDATE SET
             min_ms = min(min_ms, excluded.min_ms), max_ms = max(max_ms, excluded.max_ms)",
        )?;
        for (number, (min, max)) in std::mem::take(&mut self.spans) {
            span.execute((stored(number), stored(min), stored(max)))?;
        }
        let mut spend = self.db.prepare(&format!(
            "INSERT INTO spend VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12,?13,?14,?15,?16) {ADD}"
        ))?;
        // In the order of the file, so that each of its pages is visited once.
        let mut rows: Vec<(SpendKey, Sums)> = self.spend.drain().collect();
        rows.sort_unstable_by_key(|(key, _)| *key);
        for (key, sums) in rows {
            spend.execute(rusqlite::params_from_iter(key.into_iter().chain(sums.columns())))?;
        }
        let mut session = self.db.prepare(&format!(
            "INSERT INTO session VALUES (?1,?2,?3,?4,?5,?6,?7,?8,?9,?10,?11,?12) {ADD},
             first_ms = min(first_ms, excluded.first_ms), last_ms = max(last_ms, excluded.last_ms)"
        ))?;
        for (number, (user, first, last, sums)) in self.sessions.drain() {
            let columns = [number, user, stored(first), stored(last)];
            session.execute(rusqlite::params_from_iter(columns.into_iter().chain(sums.columns())))?;
        }
        std::mem::take(&mut self.offers).keep(self.db)
    }
}

/// Milliseconds of an hour.
pub(super) const HOUR_MS: u64 = 3_600_000;

const ADD: &str = "ON CONFLICT DO UPDATE SET
    calls = calls + excluded.calls, input = input + excluded.input, output = output + excluded.output,
    cache_read = cache_read + excluded.cache_read,
    cache_write_5m = cache_write_5m + excluded.cache_write_5m,
    cache_write_1h = cache_write_1h + excluded.cache_write_1h,
    cost_micro = cost_micro + excluded.cost_micro, cost_rest = cost_rest + excluded.cost_rest";

/// The number of a kind in the file.
pub(super) fn kind_number(kind: Kind) -> u64 {
    Kind::ALL
        .iter()
        .position(|known| *known == kind)
        .and_then(|at| u64::try_from(at).ok())
        .unwrap_or(u64::MAX)
}

/// The number of a class in the file.
pub(super) fn class_number(class: Class) -> u64 {
    Class::ALL
        .iter()
        .position(|known| *known == class)
        .and_then(|at| u64::try_from(at).ok())
        .unwrap_or(u64::MAX)
}
