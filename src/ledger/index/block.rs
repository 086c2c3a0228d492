//! Entries many at a time, column by column and compressed: a third of what they take row by row.
//!
//! An entry is encoded as the chain does it and then taken apart into its fields. A column whose values come
//! again is a list of values and a number for each entry; one whose values are all different, such as ids, is
//! compressed by itself, because other letters come in it than elsewhere. Who called and in which session are
//! numbers of names, so that their texts stand in the file once; those of strangers stand in the block, and
//! are forgotten with it.

use std::collections::{BTreeMap, HashMap};

use rusqlite::{Connection, OptionalExtension};

use crate::ledger::encode;
use crate::ledger::entry::Entry;
use crate::ledger::index::IndexFault;
use crate::ledger::index::columns::{self, Column, Unpacker, put, take};
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::schema::{loaded, stored};
use crate::ledger::record::Record;
use crate::limits;

/// Between the texts of who called: no byte of a name.
const BETWEEN: char = '\u{1f}';

/// Who called, as one name: key, its id, team, user and client.
pub(super) fn who(entry: &Entry) -> String {
    let texts = [&entry.key, &entry.key_id, &entry.team, &entry.user, &entry.client];
    let mut who = String::with_capacity(texts.iter().map(|text| text.len() + 1).sum());
    for (place, text) in texts.into_iter().enumerate() {
        if place > 0 {
            who.push(BETWEEN);
        }
        // A text of a caller may hold anything; what it cannot do is to begin the next one.
        who.extend(text.chars().map(|c| if c == BETWEEN { ' ' } else { c }));
    }
    who
}

/// The newest block, which still grows.
#[derive(Debug, Default)]
pub(super) struct Growing {
    /// For each entry its position and its fields.
    rows: Vec<(u64, Vec<u8>)>,
    bytes: usize,
}

impl Growing {
    /// Goes on where the file ends.
    pub(super) fn load(db: &Connection) -> Result<Self, IndexFault> {
        let last = db
            .query_row("SELECT first, data FROM block ORDER BY first DESC LIMIT 1", [], |row| {
                Ok((row.get::<_, i64>(0)?, row.get::<_, Vec<u8>>(1)?))
            })
            .optional()?;
        let Some((first, data)) = last else { return Ok(Self::default()) };
        let block = Block::unpack(loaded(first), &data, &mut Unpacker::default())?;
        let mut growing = Self::default();
        for (place, position) in block.positions.iter().enumerate() {
            let row = block.row(place).ok_or(IndexFault::Damaged(*position))?;
            growing.bytes += row.len();
            growing.rows.push((*position, row));
        }
        Ok(if growing.is_full() { Self::default() } else { growing })
    }

    /// Whether it has to be written and begun anew.
    pub(super) fn is_full(&self) -> bool {
        self.rows.len() >= limits::INDEX_BLOCK_ENTRIES_MAX || self.bytes >= limits::INDEX_BLOCK_BYTES
    }

    /// Appends an entry with the numbers of who called and of the session, without them where it is to hold
    /// these texts itself; `position` is above all before it.
    pub(super) fn push(&mut self, position: u64, entry: &Entry, who: Option<(i64, i64)>) {
        let mut record = Vec::with_capacity(512);
        encode::put_entry(encode::Tag::Event, None, entry, &mut record);
        // What the chain puts before the fields says that it is an entry, which all are here.
        let mut rest = record.get(columns::BEFORE_FIELDS..).unwrap_or_default();
        let mut row = Vec::with_capacity(record.len());
        while let Some((field, value)) = columns::take_field(&mut rest) {
            if who.is_none() || !columns::OF_WHO.contains(&field) {
                columns::put_field(field, value, &mut row);
            }
        }
        let numbers = who.map(|(who, session)| [(columns::WHO, who), (columns::SESSION, session)]);
        for (field, number) in numbers.into_iter().flatten() {
            let mut digits = Vec::new();
            put(loaded(number), &mut digits);
            columns::put_field(field, &digits, &mut row);
        }
        self.bytes += row.len();
        self.rows.push((position, row));
    }

    /// Its first position and its bytes as they are kept; nothing of an empty one.
    pub(super) fn packed(
        &self,
        compressor: &mut zstd::bulk::Compressor<'_>,
    ) -> Result<Option<(u64, Vec<u8>)>, IndexFault> {
        let Some((first, _)) = self.rows.first() else { return Ok(None) };
        let damaged = || IndexFault::Damaged(*first);
        let count = self.rows.len();
        let mut fields: BTreeMap<u8, Vec<Option<&[u8]>>> = BTreeMap::new();
        let mut common = Vec::new();
        put(u64::try_from(count).unwrap_or(0), &mut common);
        let mut last = *first;
        for (place, (position, row)) in self.rows.iter().enumerate() {
            put(position.saturating_sub(last), &mut common);
            last = *position;
            let mut rest = row.as_slice();
            while let Some((field, value)) = columns::take_field(&mut rest) {
                if let Some(slot) = fields.entry(field).or_insert_with(|| vec![None; count]).get_mut(place) {
                    *slot = Some(value);
                }
            }
        }
        let mut apart = Vec::new();
        for (field, values) in &fields {
            columns::pack(*field, values, (&mut common, &mut apart), compressor).ok_or_else(damaged)?;
        }
        let common_packed = compressor.compress(&common).map_err(|_too_long| damaged())?;
        let mut data = Vec::with_capacity(common_packed.len() + apart.len() + 8);
        put(u64::try_from(common.len()).unwrap_or(0), &mut data);
        put(u64::try_from(common_packed.len()).unwrap_or(0), &mut data);
        data.extend_from_slice(&common_packed);
        data.extend_from_slice(&apart);
        Ok(Some((*first, data)))
    }

    /// Begins anew.
    pub(super) fn clear(&mut self) {
        self.rows.clear();
        self.bytes = 0;
    }
}

/// What packs blocks.
pub(super) fn compressor() -> Result<zstd::bulk::Compressor<'static>, IndexFault> {
    zstd::bulk::Compressor::new(columns::LEVEL).map_err(|_no_memory| IndexFault::Damaged(0))
}

/// A block that is read.
#[derive(Debug)]
struct Block {
    /// In rising order.
    positions: Vec<u64>,
    columns: Vec<Column>,
}

impl Block {
    fn unpack(first: u64, data: &[u8], unpacker: &mut Unpacker) -> Result<Self, IndexFault> {
        Self::try_unpack(first, data, unpacker).ok_or(IndexFault::Damaged(first))
    }

    fn try_unpack(first: u64, mut data: &[u8], unpacker: &mut Unpacker) -> Option<Self> {
        let raw = usize::try_from(take(&mut data)?).ok()?;
        let length = usize::try_from(take(&mut data)?).ok()?;
        let (common, mut apart) = data.split_at_checked(length)?;
        let common = unpacker.unpack(common, raw)?;
        let mut rest = common.as_slice();
        let count = usize::try_from(take(&mut rest)?).ok()?;
        if count > limits::INDEX_BLOCK_ENTRIES_MAX {
            return None;
        }
        let mut position = first;
        let mut positions = Vec::with_capacity(count);
        for _ in 0..count {
            position = position.checked_add(take(&mut rest)?)?;
            positions.push(position);
        }
        let mut found = Vec::new();
        while !rest.is_empty() {
            found.push(Column::unpack(count, &mut rest, &mut apart, unpacker)?);
        }
        Some(Self { positions, columns: found })
    }

    /// The fields of an entry, one after the other.
    fn row(&self, place: usize) -> Option<Vec<u8>> {
        let mut row = Vec::with_capacity(256);
        for column in &self.columns {
            if let Some(value) = column.value(place)? {
                columns::put_field(column.field, &value, &mut row);
            }
        }
        Some(row)
    }

    /// The entry at a place, with the numbers of who called and of its session where it has not these texts.
    fn entry(&self, place: usize) -> Option<(Entry, Option<u64>, u64)> {
        let mut record = columns::EVENT.to_vec();
        let (mut who, mut session) = (None, 0);
        for column in &self.columns {
            let Some(value) = column.value(place)? else { continue };
            match column.field {
                columns::WHO => who = Some(take(&mut value.as_ref())?),
                columns::SESSION => session = take(&mut value.as_ref())?,
                field => columns::put_field(field, &value, &mut record),
            }
        }
        match encode::decode(&record) {
            Ok(Record::Event(entry)) => Some((entry, who, session)),
            _ => None,
        }
    }
}

/// Reads entries; keeps the last block, in which the next one often stands as well, and the last names.
#[derive(Debug, Default)]
pub(super) struct Shelf {
    held: Option<Block>,
    unpacker: Unpacker,
    names: HashMap<(Name, u64), String>,
}

impl Shelf {
    /// The entry of a position that has one.
    pub(super) fn entry(&mut self, db: &Connection, position: u64) -> Result<Entry, IndexFault> {
        let damaged = || IndexFault::Damaged(position);
        let place = |block: &Block| block.positions.binary_search(&position).ok();
        let block = match self.held.take().filter(|held| place(held).is_some()) {
            Some(held) => held,
            None => load(db, position, Edge::Newest, &mut self.unpacker)?.ok_or_else(damaged)?.0,
        };
        let block = self.held.insert(block);
        let (mut entry, who, session) =
            place(block).and_then(|place| block.entry(place)).ok_or_else(damaged)?;
        if let Some(who) = who {
            self.fill(db, &mut entry, who, session)?;
        }
        Ok(entry)
    }

    /// Positions of entries from the first to before the second, at most so many: of all that there are, the
    /// newest or the oldest.
    pub(super) fn positions(
        &mut self,
        db: &Connection,
        (mut low, mut high): (u64, u64),
        edge: Edge,
        most: usize,
    ) -> Result<Vec<u64>, IndexFault> {
        let mut found = Vec::new();
        while low < high && found.len() < most {
            let at = if edge == Edge::Newest { high.saturating_sub(1) } else { low };
            let Some((block, end)) = load(db, at, edge, &mut self.unpacker)? else { break };
            let within = block.positions.iter().copied().filter(|position| (low..high).contains(position));
            let left = most.saturating_sub(found.len());
            match edge {
                Edge::Newest => {
                    found.extend(within.rev().take(left));
                    high = high.min(block.positions.first().copied().unwrap_or(0));
                }
                Edge::Oldest => {
                    found.extend(within.take(left));
                    low = end;
                }
            }
            self.held = Some(block);
        }
        Ok(found)
    }

    fn fill(&mut self, db: &Connection, entry: &mut Entry, who: u64, session: u64) -> Result<(), IndexFault> {
        let texts = self.name(db, Name::Who, who)?;
        let mut texts = texts.split(BETWEEN).map(str::to_owned);
        let mut next = || texts.next().unwrap_or_default();
        entry.key = next();
        entry.key_id = next();
        entry.team = next();
        entry.user = next();
        entry.client = next();
        entry.session = self.name(db, Name::Session, session)?.to_owned();
        Ok(())
    }

    fn name(&mut self, db: &Connection, name: Name, number: u64) -> Result<&str, IndexFault> {
        if self.names.len() >= limits::INDEX_NAMES_SHOWN_MAX {
            self.names.clear();
        }
        let text = match self.names.entry((name, number)) {
            std::collections::hash_map::Entry::Occupied(held) => held.into_mut(),
            std::collections::hash_map::Entry::Vacant(free) => free.insert(names::text(db, name, number)?),
        };
        Ok(text)
    }
}

/// From which end positions are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Edge {
    Newest,
    Oldest,
}

/// The block that a position belongs to, with the first position behind it, `u64::MAX` of the newest one; or,
/// from the oldest edge, the first block behind a position before all of them. From the newest edge nobody
/// asks what is behind, and a shorter statement is made in half the time.
fn load(
    db: &Connection,
    position: u64,
    edge: Edge,
    unpacker: &mut Unpacker,
) -> Result<Option<(Block, u64)>, IndexFault> {
    let newest = "SELECT first, data, NULL FROM block WHERE first <= ?1 ORDER BY first DESC LIMIT 1";
    let oldest = "SELECT b.first, b.data, (SELECT min(n.first) FROM block n WHERE n.first > b.first)
        FROM block b WHERE b.first <= ?1 ORDER BY b.first DESC LIMIT 1";
    let behind = "SELECT b.first, b.data, (SELECT min(n.first) FROM block n WHERE n.first > b.first)
        FROM block b WHERE b.first > ?1 ORDER BY b.first LIMIT 1";
    let mut read = |sql| {
        let mut statement = db.prepare(sql)?;
        let mut rows = statement.query([stored(position)])?;
        let Some(row) = rows.next()? else { return Ok(None) };
        let first = loaded(row.get(0)?);
        let damaged = || IndexFault::Damaged(first);
        let data = row.get_ref(1)?.as_blob().map_err(|_other| damaged())?;
        let block = Block::unpack(first, data, unpacker)?;
        Ok(Some((block, row.get::<_, Option<i64>>(2)?.map_or(u64::MAX, loaded))))
    };
    match edge {
        Edge::Newest => read(newest),
        Edge::Oldest => match read(oldest)? {
            None => read(behind),
            found => Ok(found),
        },
    }
}
