//! The one writer of the index: takes entries in batches, each in one transaction with its place.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, Statement, TransactionBehavior};

use crate::ledger::entry::{Class, Entry, Kind};
use crate::ledger::index::IndexFault;
use crate::ledger::index::block::{self, Growing};
use crate::ledger::index::names::{self, Held, Name, NameStatements};
use crate::ledger::index::offers::Gathered;
use crate::ledger::index::schema::{self, loaded, stored};
use crate::ledger::index::sums::{self, Sums};
use crate::ledger::index::words::{self, Once};

/// The index, open to be written.
pub struct Store {
    db: Connection,
    compressor: zstd::bulk::Compressor<'static>,
    held: Held,
    growing: Growing,
    /// What `held` and `growing` belong to; another number in the file means that somebody else has written.
    next: Option<u64>,
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
        Ok(Self { db, compressor, held: Held::default(), growing: Growing::default(), next: None })
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
        let from = self::next(&transaction)?;
        if self.next != Some(from) {
            self.held = Held::default();
            self.growing = Growing::load(&transaction)?;
        }
        let fresh = batch.iter().filter(|(position, _)| *position >= from);
        let mut batch = Batch::new(&transaction)?;
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
            let who = batch.keep(*position, entry, &mut self.held)?;
            self.growing.push(*position, entry, who);
        }
        batch.keep_block(&self.growing, &mut self.compressor)?;
        batch.keep_sums()?;
        drop(batch);
        let next = next.max(from);
        transaction.execute("UPDATE state SET next = ?1", [stored(next)])?;
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
            if schema::part_first(part.saturating_add(1)) <= before {
                transaction.execute_batch(&format!("DROP TABLE words_{part}"))?;
                transaction.execute("DELETE FROM part WHERE number = ?1", [stored(part)])?;
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
        Ok(())
    }

    /// Ends what `begin_bulk` began: from here on the file is safe on the disk.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn end_bulk(&mut self) -> Result<(), IndexFault> {
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

/// What names a row of what was spent: hour, key, team, user, model, provider, server, tool.
type SpendKey = [i64; 8];

/// What is summed of a session: its user, its first and last time, its sums.
type SessionSums = (i64, u64, u64, Sums);

/// One transaction at work.
struct Batch<'c> {
    db: &'c Connection,
    names: NameStatements<'c>,
    block: Statement<'c>,
    /// The statement for the words of one part, and which.
    words: Option<(u64, Statement<'c>)>,
    text: String,
    spans: BTreeMap<u64, (u64, u64)>,
    spend: HashMap<SpendKey, Sums>,
    sessions: HashMap<i64, SessionSums>,
    offers: Gathered,
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
    fn new(db: &'c Connection) -> Result<Self, IndexFault> {
        Ok(Self {
            db,
            names: NameStatements::new(db)?,
            block: db.prepare("INSERT OR REPLACE INTO block VALUES (?1, ?2)")?,
            words: None,
            text: String::new(),
            spans: BTreeMap::new(),
            spend: HashMap::new(),
            sessions: HashMap::new(),
            offers: Gathered::default(),
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
    /// where they have none.
    fn keep(
        &mut self,
        position: u64,
        entry: &Entry,
        held: &mut Held,
    ) -> Result<Option<(i64, i64)>, IndexFault> {
        let sums = Sums::of(entry);
        let numbers = self.marks(&names::named(entry), &sums, held)?;
        words::push_words(entry, &mut self.text);
        self.keep_words(position)?;
        let at = entry.at_ms.min(loaded(i64::MAX));
        let span = self.spans.entry(schema::span_of(position)).or_insert((at, at));
        *span = (span.0.min(at), span.1.max(at));
        if sums::counts(entry) {
            self.add(at, &numbers, &sums);
        }
        for offer in &entry.offers {
            let server = held.number(&mut self.names, Name::Server, &offer.server)?;
            self.offers.add((at, numbers.team, server), offer);
        }
        if names::is_of_stranger(entry) {
            return Ok(None);
        }
        let who = held.number(&mut self.names, Name::Who, &block::who(entry))?;
        Ok(Some((who, numbers.session)))
    }

    /// Fills the text with the marks of an entry.
    fn marks(&mut self, entry: &Entry, sums: &Sums, held: &mut Held) -> Result<Numbers, IndexFault> {
        self.text.clear();
        words::push_number(words::KIND, kind_number(entry.kind), &mut self.text);
        words::push_number(words::CLASS, class_number(entry.class), &mut self.text);
        let sizes =
            [(words::COST, entry.cost_pico), (words::TOOK, entry.took_us), (words::TOKENS, sums.tokens())];
        for (letter, number) in sizes {
            if let Some(power) = number.checked_ilog2() {
                words::push_number(letter, i64::from(power), &mut self.text);
            }
        }
        let id = entry.id.shown();
        words::push_once(Once::Id, std::str::from_utf8(&id).unwrap_or_default(), &mut self.text);
        words::push_once(Once::Prompt, &entry.prompt, &mut self.text);
        words::push_once(Once::Upstream, &entry.upstream_id, &mut self.text);
        words::push_once(Once::Use, &entry.tool_use_id, &mut self.text);
        let numbers = Numbers {
            key: self.mark(Name::Key, &entry.key, held)?,
            team: self.mark(Name::Team, &entry.team, held)?,
            user: self.mark(Name::User, &entry.user, held)?,
            session: self.mark(Name::Session, &entry.session, held)?,
            model: self.mark(Name::Model, &entry.model, held)?,
            provider: self.mark(Name::Provider, &entry.provider, held)?,
            server: self.mark(Name::Server, &entry.server, held)?,
            tool: self.mark(Name::Tool, &names::tool_name(entry), held)?,
        };
        if entry.served_model != entry.model {
            self.mark(Name::Model, &entry.served_model, held)?;
        }
        self.mark(Name::Outcome, &entry.outcome, held)?;
        self.mark(Name::Client, &entry.client, held)?;
        self.mark(Name::Method, &entry.method, held)?;
        self.mark(Name::Agent, &entry.agent, held)?;
        self.mark(Name::Region, &entry.region, held)?;
        self.mark(Name::Stop, &entry.stop_reason, held)?;
        if entry.status > 0 {
            self.mark(Name::Status, &entry.status.to_string(), held)?;
        }
        for action in &entry.actions {
            words::push_number(words::CLASS, class_number(action.class), &mut self.text);
            words::push_once(Once::Use, &action.id, &mut self.text);
            self.mark(Name::Action, &action.name, held)?;
        }
        Ok(numbers)
    }

    /// Appends the mark of a name; its number.
    fn mark(&mut self, name: Name, text: &str, held: &mut Held) -> Result<i64, IndexFault> {
        let number = held.number(&mut self.names, name, text)?;
        if number > 0 {
            words::push_number(name.letter(), number, &mut self.text);
        }
        Ok(number)
    }

    fn keep_words(&mut self, position: u64) -> Result<(), IndexFault> {
        let part = schema::part_of(position);
        if self.words.as_ref().is_none_or(|(held, _)| *held != part) {
            self.words = None;
            schema::make_part(self.db, part)?;
            let sql = format!("INSERT INTO words_{part} (rowid, words) VALUES (?1, ?2)");
            self.words = Some((part, self.db.prepare(&sql)?));
        }
        if let Some((_, statement)) = &mut self.words {
            statement.execute((stored(position), &self.text))?;
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
pub(super) fn kind_number(kind: Kind) -> i64 {
    Kind::ALL.iter().position(|known| *known == kind).and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}

/// The number of a class in the file.
pub(super) fn class_number(class: Class) -> i64 {
    Class::ALL.iter().position(|known| *known == class).and_then(|at| i64::try_from(at).ok()).unwrap_or(-1)
}
