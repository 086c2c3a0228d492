//! The tables, and how the file is opened.

use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension};

use crate::ledger::files;
use crate::ledger::index::IndexFault;
use crate::ledger::index::offers;
use crate::limits;

/// Raised with every change below: an older file is told apart and built anew.
pub(super) const VERSION: i64 = 3;

/// Positions of one part of the words, as a power of two. The newest part is a table of FTS5; one that is
/// whole is pages of lists. Parts are searched newest first and dropped whole.
pub(super) const PART_BITS: u32 = 17;

/// Positions of one span, as a power of two.
const SPAN_BITS: u32 = 12;

const TABLES: &str = "
CREATE TABLE state (
    one INTEGER PRIMARY KEY CHECK (one = 1), next INTEGER NOT NULL, oldest INTEGER NOT NULL,
    worded INTEGER NOT NULL
);
INSERT INTO state VALUES (1, 0, 0, 0);
CREATE TABLE name (
    field INTEGER NOT NULL, number INTEGER NOT NULL, text TEXT NOT NULL,
    PRIMARY KEY (field, number)
) WITHOUT ROWID;
CREATE UNIQUE INDEX name_text ON name (field, text);
CREATE TABLE block (first INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE span (number INTEGER PRIMARY KEY, min_ms INTEGER NOT NULL, max_ms INTEGER NOT NULL);
CREATE TABLE part (number INTEGER PRIMARY KEY, whole INTEGER NOT NULL);
CREATE TABLE page (row INTEGER PRIMARY KEY, part INTEGER NOT NULL, first BLOB NOT NULL, data BLOB NOT NULL);
CREATE UNIQUE INDEX page_first ON page (part, first);
CREATE TABLE once (row INTEGER PRIMARY KEY, data BLOB NOT NULL);
CREATE TABLE spend (
    hour INTEGER NOT NULL, key INTEGER NOT NULL, team INTEGER NOT NULL, user INTEGER NOT NULL,
    model INTEGER NOT NULL, provider INTEGER NOT NULL, server INTEGER NOT NULL, tool INTEGER NOT NULL,
    calls INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    cost_micro INTEGER NOT NULL, cost_rest INTEGER NOT NULL,
    PRIMARY KEY (hour, key, team, user, model, provider, server, tool)
) WITHOUT ROWID;
CREATE TABLE session (
    session INTEGER PRIMARY KEY, user INTEGER NOT NULL, first_ms INTEGER NOT NULL, last_ms INTEGER NOT NULL,
    calls INTEGER NOT NULL, input INTEGER NOT NULL, output INTEGER NOT NULL, cache_read INTEGER NOT NULL,
    cache_write_5m INTEGER NOT NULL, cache_write_1h INTEGER NOT NULL,
    cost_micro INTEGER NOT NULL, cost_rest INTEGER NOT NULL
);
";

/// The part that a position belongs to.
pub(super) fn part_of(position: u64) -> u64 {
    position >> PART_BITS
}

/// The first position of a part.
pub(super) fn part_first(part: u64) -> u64 {
    part.checked_shl(PART_BITS).unwrap_or(u64::MAX)
}

/// The place of a position in its part.
pub(super) fn place_of(position: u64) -> u32 {
    u32::try_from(position & ((1 << PART_BITS) - 1)).unwrap_or(0)
}

/// The span that a position belongs to.
pub(super) fn span_of(position: u64) -> u64 {
    position >> SPAN_BITS
}

/// The first position of a span.
pub(super) fn span_first(span: u64) -> u64 {
    span.checked_shl(SPAN_BITS).unwrap_or(u64::MAX)
}

/// A number as SQLite keeps it: what does not fit is the largest that does.
pub(super) fn stored(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A number that SQLite has kept; none of ours is negative.
pub(super) fn loaded(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

/// Opens the file to write, making it for its owner only where it does not exist. What SQLite keeps beside it
/// takes its mode.
pub(super) fn open(path: &Path) -> Result<Connection, IndexFault> {
    files::make_private(path).map_err(|source| IndexFault::File { path: path.to_owned(), source })?;
    let db = Connection::open(path)?;
    db.busy_timeout(limits::INDEX_BUSY)?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == 0 {
        db.execute_batch("PRAGMA page_size = 8192; PRAGMA journal_mode = WAL;")?;
        make(&db)?;
    }
    check(&db, path)?;
    // What a crash of the machine may lose of it is read again from the segments.
    db.execute_batch("PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768; PRAGMA temp_store = MEMORY;")?;
    Ok(db)
}

/// Opens the file to read.
pub(super) fn open_read(path: &Path) -> Result<Connection, IndexFault> {
    if !path.exists() {
        return Err(IndexFault::Missing(path.to_owned()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let db = Connection::open_with_flags(path, flags)?;
    db.busy_timeout(limits::INDEX_BUSY)?;
    check(&db, path)?;
    db.execute_batch("PRAGMA query_only = ON; PRAGMA cache_size = -32768; PRAGMA mmap_size = 1073741824;")?;
    Ok(db)
}

/// Makes the tables, unless another process has done so in the meantime.
fn make(db: &Connection) -> Result<(), IndexFault> {
    db.execute_batch("BEGIN IMMEDIATE")?;
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found == 0 {
        db.execute_batch(TABLES)?;
        db.execute_batch(offers::TABLE)?;
        db.pragma_update(None, "user_version", VERSION)?;
    }
    db.execute_batch("COMMIT")?;
    Ok(())
}

fn check(db: &Connection, path: &Path) -> Result<(), IndexFault> {
    let found: i64 = db.query_row("PRAGMA user_version", [], |row| row.get(0))?;
    if found != VERSION {
        return Err(IndexFault::Version { path: path.to_owned(), found, ours: VERSION });
    }
    Ok(())
}

/// Makes the words of a part, unless it has them.
pub(super) fn make_part(db: &Connection, part: u64) -> Result<(), IndexFault> {
    let known = db
        .query_row("SELECT 1 FROM part WHERE number = ?1", [stored(part)], |_row| Ok(()))
        .optional()?
        .is_some();
    if !known {
        db.execute("INSERT INTO part VALUES (?1, 0)", [stored(part)])?;
        let gathered = limits::INDEX_GATHERED_BYTES;
        db.execute_batch(&format!(
            "CREATE VIRTUAL TABLE words_{part} USING fts5(
                 words, content='', columnsize=0, detail=none, tokenize=\"ascii tokenchars ':'\"
             );
             INSERT INTO words_{part} (words_{part}, rank) VALUES ('hashsize', {gathered});"
        ))?;
    }
    Ok(())
}

/// A part that has words.
#[derive(Clone, Copy, Debug)]
pub(super) struct Part {
    pub(super) number: u64,
    /// Whether it is pages of lists.
    pub(super) whole: bool,
}

/// The parts that have words, newest first.
pub(super) fn parts(db: &Connection) -> Result<Vec<Part>, IndexFault> {
    let mut statement = db.prepare("SELECT number, whole FROM part ORDER BY number DESC")?;
    let rows = statement.query_map([], |row| Ok(Part { number: loaded(row.get(0)?), whole: row.get(1)? }))?;
    Ok(rows.collect::<Result<_, _>>()?)
}

/// Notes that a part is pages of lists from here on; its table, if it had one, is dropped.
pub(super) fn make_whole(db: &Connection, part: u64) -> Result<(), IndexFault> {
    db.execute_batch(&format!("DROP TABLE IF EXISTS words_{part}"))?;
    db.execute("INSERT OR REPLACE INTO part VALUES (?1, 1)", [stored(part)])?;
    Ok(())
}

/// Deletes a part and its table, if it has one; not its lists.
pub(super) fn remove_part(db: &Connection, part: u64) -> Result<(), IndexFault> {
    db.execute_batch(&format!("DROP TABLE IF EXISTS words_{part}"))?;
    db.execute("DELETE FROM part WHERE number = ?1", [stored(part)])?;
    Ok(())
}

/// Deletes the file and those that SQLite keeps beside it. That there was none is no fault.
///
/// # Errors
/// One of them cannot be deleted.
pub(super) fn remove(path: &Path) -> Result<(), IndexFault> {
    for ending in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        let file = PathBuf::from(name);
        match std::fs::remove_file(&file) {
            Err(source) if source.kind() != std::io::ErrorKind::NotFound => {
                return Err(IndexFault::File { path: file, source });
            }
            _ => {}
        }
    }
    Ok(())
}
