//! Where in the packs each piece, list and turn stands, and when it was last used.
//!
//! All of it follows from the packs, so it may be deleted: then it is made again when the store is opened.

use std::fs;
use std::path::{Path, PathBuf};

use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction};

use crate::ledger::content::Fault;
use crate::ledger::content::record::{Hash, Kind, Record};
use crate::ledger::files;

/// What the columns are; another number makes the index again.
const VERSION: i64 = 1;

/// `kind` counts from 0 as in the packs; `used` and `day` are days since 1970; `raw` is the sum of `bytes` of
/// all that was ever written to the pack, alive or not.
const TABLES: &str = "
    CREATE TABLE place (name BLOB PRIMARY KEY, kind INTEGER NOT NULL, pack INTEGER NOT NULL,
        frame INTEGER NOT NULL, at INTEGER NOT NULL, bytes INTEGER NOT NULL, used INTEGER NOT NULL)
        WITHOUT ROWID, STRICT;
    CREATE TABLE pack (number INTEGER PRIMARY KEY, end INTEGER NOT NULL, raw INTEGER NOT NULL,
        day INTEGER NOT NULL) STRICT;
";

/// Where a record stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) pack: u64,
    pub(super) frame: u64,
    /// In the frame, decompressed.
    pub(super) at: usize,
    pub(super) bytes: usize,
}

/// What is known of a pack.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct PackRow {
    pub(super) number: u64,
    pub(super) end: u64,
    pub(super) raw: u64,
    pub(super) day: u32,
}

/// The index, open.
#[derive(Debug)]
pub(super) struct Index {
    pub(super) db: Connection,
}

fn path(dir: &Path) -> PathBuf {
    dir.join("index.sqlite")
}

impl Index {
    /// Opens it to write, and makes it anew when it is not there or cannot be read.
    pub(super) fn open(dir: &Path) -> Result<Self, Fault> {
        if let Ok(found) = Self::begin(dir) {
            return Ok(found);
        }
        for name in ["index.sqlite", "index.sqlite-wal", "index.sqlite-shm"] {
            match fs::remove_file(dir.join(name)) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
                _ => {}
            }
        }
        Self::begin(dir)
    }

    fn begin(dir: &Path) -> Result<Self, Fault> {
        let path = path(dir);
        files::make_private(&path)?;
        let db = Connection::open(path)?;
        db.pragma_update(None, "journal_mode", "WAL")?;
        // What a loss of power takes away here is read again from the packs.
        db.pragma_update(None, "synchronous", "NORMAL")?;
        let version: i64 = db.pragma_query_value(None, "user_version", |row| row.get(0))?;
        if version == 0 {
            db.execute_batch(TABLES)?;
            db.pragma_update(None, "user_version", VERSION)?;
        } else if version != VERSION {
            return Err(Fault::Damaged);
        }
        Ok(Self { db })
    }

    /// Opens it beside the writer.
    pub(super) fn look(dir: &Path) -> Result<Self, Fault> {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let db = Connection::open_with_flags(path(dir), flags)?;
        db.busy_timeout(std::time::Duration::from_secs(1))?;
        Ok(Self { db })
    }

    pub(super) fn find(&self, name: &Hash) -> Result<Option<Place>, Fault> {
        let sql = "SELECT pack, frame, at, bytes FROM place WHERE name = ?1";
        Ok(self.db.query_row(sql, [name], place).optional()?)
    }

    /// What is stored under the name.
    pub(super) fn kind(&self, name: &Hash) -> Result<Kind, Fault> {
        let kind: i64 =
            self.db.query_row("SELECT kind FROM place WHERE name = ?1", [name], |row| row.get(0))?;
        match kind {
            0 => Ok(Kind::Piece),
            1 => Ok(Kind::List),
            2 => Ok(Kind::Turn),
            _ => Err(Fault::Damaged),
        }
    }

    /// The packs, in their order.
    pub(super) fn packs(&self) -> Result<Vec<PackRow>, Fault> {
        let mut statement = self.db.prepare("SELECT number, end, raw, day FROM pack ORDER BY number")?;
        let rows = statement.query_map([], |row| {
            Ok(PackRow {
                number: natural(row, 0)?,
                end: natural(row, 1)?,
                raw: natural(row, 2)?,
                day: u32::try_from(natural(row, 3)?).unwrap_or(u32::MAX),
            })
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Bytes of what each pack holds that is alive.
    pub(super) fn alive(&self) -> Result<Vec<(u64, u64)>, Fault> {
        let mut statement = self.db.prepare("SELECT pack, sum(bytes) FROM place GROUP BY pack")?;
        let rows = statement.query_map([], |row| Ok((natural(row, 0)?, natural(row, 1)?)))?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// What of a pack is alive, in its order: name, place, day of the last use.
    pub(super) fn of_pack(&self, pack: u64) -> Result<Vec<(Hash, Place, u32)>, Fault> {
        let sql = "SELECT pack, frame, at, bytes, name, used FROM place WHERE pack = ?1 ORDER BY frame, at";
        let mut statement = self.db.prepare(sql)?;
        let rows = statement.query_map([signed(pack)], |row| {
            Ok((row.get(4)?, place(row)?, u32::try_from(natural(row, 5)?).unwrap_or(u32::MAX)))
        })?;
        Ok(rows.collect::<Result<_, _>>()?)
    }

    /// Forgets the pack and what it holds.
    pub(super) fn forget(&mut self, pack: u64) -> Result<(), Fault> {
        let transaction = self.db.transaction()?;
        transaction.execute("DELETE FROM place WHERE pack = ?1", [signed(pack)])?;
        transaction.execute("DELETE FROM pack WHERE number = ?1", [signed(pack)])?;
        Ok(transaction.commit()?)
    }

    /// Forgets what was last used before `day`.
    pub(super) fn expire(&self, day: u32) -> Result<usize, Fault> {
        Ok(self.db.execute("DELETE FROM place WHERE used < ?1", [day])?)
    }
}

/// Notes where records stand that were not known, and that what is known has been used.
pub(super) struct Noting<'a> {
    transaction: Transaction<'a>,
}

impl<'a> Noting<'a> {
    pub(super) fn begin(index: &'a mut Index) -> Result<Self, Fault> {
        Ok(Self { transaction: index.db.transaction()? })
    }

    /// Notes a record; of a turn the last one counts, of all else the first one.
    pub(super) fn add(&self, record: &Record<'_>, pack: u64, frame: u64) -> Result<(), Fault> {
        let kind = match record.kind {
            Kind::Piece => 0,
            Kind::List => 1,
            Kind::Turn => 2,
        };
        let sql = "INSERT INTO place (name, kind, pack, frame, at, bytes, used)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7) ON CONFLICT DO UPDATE SET
            pack = iif(kind = 2, excluded.pack, pack), frame = iif(kind = 2, excluded.frame, frame),
            at = iif(kind = 2, excluded.at, at), bytes = iif(kind = 2, excluded.bytes, bytes),
            used = max(used, excluded.used)";
        let (at, bytes) = (small(record.at), small(record.bytes.len()));
        self.transaction
            .execute(sql, (record.name, kind, signed(pack), signed(frame), at, bytes, record.day))?;
        Ok(())
    }

    /// Notes where a known record has been moved to.
    pub(super) fn moved(&self, name: &Hash, place: &Place) -> Result<(), Fault> {
        let sql = "UPDATE place SET pack = ?2, frame = ?3, at = ?4 WHERE name = ?1";
        self.transaction.execute(sql, (name, signed(place.pack), signed(place.frame), small(place.at)))?;
        Ok(())
    }

    /// Notes the day of a use of what is known.
    pub(super) fn used<'n>(&self, names: impl Iterator<Item = (&'n Hash, u32)>) -> Result<(), Fault> {
        let mut statement =
            self.transaction.prepare("UPDATE place SET used = max(used, ?2) WHERE name = ?1")?;
        for (name, day) in names {
            statement.execute((name, day))?;
        }
        Ok(())
    }

    /// Notes how far a pack is known, and that `raw` bytes more are in it.
    pub(super) fn pack(&self, pack: u64, end: u64, raw: u64, day: u32) -> Result<(), Fault> {
        let sql = "INSERT INTO pack (number, end, raw, day) VALUES (?1, ?2, ?3, ?4)
            ON CONFLICT DO UPDATE SET end = excluded.end, raw = raw + excluded.raw, day = excluded.day";
        self.transaction.execute(sql, (signed(pack), signed(end), signed(raw), day))?;
        Ok(())
    }

    pub(super) fn commit(self) -> Result<(), Fault> {
        Ok(self.transaction.commit()?)
    }
}

/// The day of the last use of what is known.
pub(super) fn used_day(db: &Connection, name: &Hash) -> Result<Option<u32>, Fault> {
    let found = db.query_row("SELECT used FROM place WHERE name = ?1", [name], |row| row.get(0));
    Ok(found.optional()?)
}

fn place(row: &Row<'_>) -> rusqlite::Result<Place> {
    let size =
        |column| Ok::<_, rusqlite::Error>(usize::try_from(natural(row, column)?).unwrap_or(usize::MAX));
    Ok(Place { pack: natural(row, 0)?, frame: natural(row, 1)?, at: size(2)?, bytes: size(3)? })
}

/// A number that cannot be negative, unless somebody has written to the index: then it is 0.
fn natural(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0))
}

fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn small(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
