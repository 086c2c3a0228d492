//! Entries as a Parquet file: typed columns, compressed, written as it goes.
//!
//! Follows the format's specification (`parquet.thrift` and `Encodings.md` of apache/parquet-format, read
//! 2026-11) as far as flat rows need it: plain values, a run-length list of what is there, one page for each
//! column of a group of rows, zstd. The crate `parquet` would do it too, and bring a second version of two
//! packages that we have.

use std::io::{self, Write};

use crate::ledger::index::search::Hit;
use crate::limits;

mod columns;
mod thrift;

use columns::{COLUMNS, Column, Kind};
use thrift::Struct;

/// A file in the making.
#[derive(Debug)]
pub struct Writer<W> {
    out: W,
    /// Bytes that have been written.
    at: u64,
    columns: Vec<Buffer>,
    /// Rows of the group in the making.
    rows: u32,
    groups: Vec<Group>,
}

/// The values of one column in the group in the making.
#[derive(Debug, Default)]
struct Buffer {
    /// Plain values of the rows that have one.
    values: Vec<u8>,
    /// Runs of rows that have a value, or have none.
    present: Vec<u8>,
    run: (bool, u32),
}

/// What the end of the file says of one group of rows.
#[derive(Debug)]
struct Group {
    rows: u32,
    chunks: Vec<Chunk>,
}

#[derive(Debug)]
struct Chunk {
    at: u64,
    plain_bytes: u64,
    bytes: u64,
}

const MAGIC: &[u8] = b"PAR1";

const PLAIN: i32 = 0;
const RLE: i32 = 3;
const ZSTD: i32 = 6;

/// Of zstd: what is exported is read more than once.
const LEVEL: i32 = 3;

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// What `out` says.
    pub fn new(mut out: W) -> io::Result<Self> {
        out.write_all(MAGIC)?;
        let columns = COLUMNS.iter().map(|_| Buffer::default()).collect();
        Ok(Self { out, at: size(MAGIC.len()), columns, rows: 0, groups: Vec::new() })
    }

    /// Adds a row. Memory holds at most `limits::PARQUET_GROUP_ROWS` rows of about
    /// `limits::PARQUET_GROUP_BYTES`, and a hundred bytes for each column of a group that has been written.
    ///
    /// # Errors
    /// What `out` says.
    pub fn add(&mut self, hit: &Hit) -> io::Result<()> {
        let mut bytes = 0;
        for (column, buffer) in COLUMNS.iter().zip(&mut self.columns) {
            let present = column.put(hit, &mut buffer.values);
            if column.optional {
                buffer.mark(present);
            }
            bytes += buffer.values.len();
        }
        self.rows += 1;
        if self.rows >= limits::PARQUET_GROUP_ROWS || bytes >= limits::PARQUET_GROUP_BYTES {
            self.end_group()?;
        }
        Ok(())
    }

    /// Ends the file.
    ///
    /// # Errors
    /// What `out` says.
    pub fn finish(mut self) -> io::Result<W> {
        if self.rows > 0 {
            self.end_group()?;
        }
        let footer = self.footer();
        self.out.write_all(&footer)?;
        let bytes = u32::try_from(footer.len()).map_err(io::Error::other)?;
        self.out.write_all(&bytes.to_le_bytes())?;
        self.out.write_all(MAGIC)?;
        self.out.flush()?;
        Ok(self.out)
    }

    fn end_group(&mut self) -> io::Result<()> {
        let mut group = Group { rows: self.rows, chunks: Vec::with_capacity(COLUMNS.len()) };
        for (column, buffer) in COLUMNS.iter().zip(&mut self.columns) {
            let page = buffer.page(column);
            let packed = zstd::bulk::compress(&page, LEVEL)?;
            let head = page_head(self.rows, page.len(), packed.len())?;
            self.out.write_all(&head)?;
            self.out.write_all(&packed)?;
            let (plain_bytes, bytes) = (size(head.len() + page.len()), size(head.len() + packed.len()));
            group.chunks.push(Chunk { at: self.at, plain_bytes, bytes });
            self.at += bytes;
        }
        self.groups.push(group);
        self.rows = 0;
        Ok(())
    }

    /// `FileMetaData`.
    fn footer(&self) -> Vec<u8> {
        let root = Struct::default().text(4, "entry").i32(5, i32::try_from(COLUMNS.len()).unwrap_or(0));
        let schema: Vec<Struct> = [root].into_iter().chain(COLUMNS.iter().map(Column::schema)).collect();
        let rows = self.groups.iter().map(|group| i64::from(group.rows)).sum();
        Struct::default()
            .i32(1, 1)
            .structs(2, schema.into_iter())
            .i64(3, rows)
            .structs(4, self.groups.iter().map(Group::said))
            .text(6, concat!("tollgate version ", env!("CARGO_PKG_VERSION")))
            .end()
    }
}

impl Buffer {
    /// Notes whether the next row has a value.
    fn mark(&mut self, present: bool) {
        if self.run.1 > 0 && self.run.0 != present {
            self.end_run();
        }
        self.run = (present, self.run.1 + 1);
    }

    fn end_run(&mut self) {
        let (present, rows) = std::mem::take(&mut self.run);
        if rows > 0 {
            // The lowest bit says that a run of equal values follows.
            thrift::varint(&mut self.present, u64::from(rows) << 1);
            self.present.push(u8::from(present));
        }
    }

    /// The page of all its values, and makes room for the next ones.
    fn page(&mut self, column: &Column) -> Vec<u8> {
        self.end_run();
        let mut page = Vec::with_capacity(4 + self.present.len() + self.values.len());
        if column.optional {
            page.extend(u32::try_from(self.present.len()).unwrap_or(0).to_le_bytes());
            page.append(&mut self.present);
        }
        page.append(&mut self.values);
        page
    }
}

/// `PageHeader`.
fn page_head(rows: u32, plain: usize, packed: usize) -> io::Result<Vec<u8>> {
    let number = |len: usize| i32::try_from(len).map_err(io::Error::other);
    let rows = i32::try_from(rows).map_err(io::Error::other)?;
    let data = Struct::default().i32(1, rows).i32(2, PLAIN).i32(3, RLE).i32(4, RLE);
    let head = Struct::default().i32(1, 0).i32(2, number(plain)?).i32(3, number(packed)?);
    Ok(head.nested(5, data).end())
}

impl Group {
    /// `RowGroup`.
    fn said(&self) -> Struct {
        let rows = i64::from(self.rows);
        let chunks = COLUMNS.iter().zip(&self.chunks).map(|(column, chunk)| {
            let meta = Struct::default()
                .i32(1, column.kind.physical())
                .i32s(2, &[PLAIN, RLE])
                .texts(3, &[column.name])
                .i32(4, ZSTD)
                .i64(5, rows)
                .i64(6, signed(chunk.plain_bytes))
                .i64(7, signed(chunk.bytes))
                .i64(9, signed(chunk.at));
            Struct::default().i64(2, signed(chunk.at)).nested(3, meta)
        });
        let chunks: Vec<Struct> = chunks.collect();
        let bytes = self.chunks.iter().map(|chunk| signed(chunk.plain_bytes)).sum();
        Struct::default().structs(1, chunks.into_iter()).i64(2, bytes).i64(3, rows)
    }
}

impl Column {
    /// `SchemaElement`.
    fn schema(&self) -> Struct {
        let made = Struct::default()
            .i32(1, self.kind.physical())
            .i32(3, i32::from(self.optional))
            .text(4, self.name);
        match self.kind {
            Kind::Text => made.i32(6, 0).nested(10, Struct::default().nested(1, Struct::default())),
            Kind::Time => {
                let millis = Struct::default().nested(1, Struct::default());
                let time = Struct::default().yes(1).nested(2, millis);
                made.i32(6, 9).nested(10, Struct::default().nested(8, time))
            }
            Kind::Number | Kind::Dollars => made,
        }
    }
}

fn size(len: usize) -> u64 {
    u64::try_from(len).unwrap_or(u64::MAX)
}

fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::{MAGIC, Writer};
    use crate::ids::CallId;
    use crate::ledger::entry::{Entry, Kind};
    use crate::ledger::index::search::Hit;
    use crate::limits;

    fn hit(number: u32, text: &str) -> Hit {
        let entry = Entry {
            error: text.to_owned(),
            ..Entry::new(CallId(number.into()), Kind::ModelCall, 1_795_348_800_000)
        };
        Hit { position: number.into(), entry }
    }

    #[test]
    fn a_group_is_written_when_it_is_full() {
        let mut file = Writer::new(Vec::new()).unwrap();
        for number in 0..limits::PARQUET_GROUP_ROWS - 1 {
            file.add(&hit(number, "")).unwrap();
        }
        assert_eq!(file.out, MAGIC, "the first group is in memory");
        file.add(&hit(1, "")).unwrap();
        let written = file.out.len();
        assert!(written > 1000 && file.columns.iter().all(|column| column.values.is_empty()));
        // Long rows make short groups.
        let long = "x".repeat(limits::PARQUET_GROUP_BYTES / 4);
        for number in 0..5 {
            file.add(&hit(number, &long)).unwrap();
        }
        let rows: Vec<u32> = file.groups.iter().map(|group| group.rows).collect();
        assert_eq!((rows, file.rows), (vec![limits::PARQUET_GROUP_ROWS, 4], 1));
        let bytes = file.finish().unwrap();
        assert!(bytes.ends_with(MAGIC));
    }

    #[test]
    fn a_file_without_rows_is_one_too() {
        let bytes = Writer::new(Vec::new()).unwrap().finish().unwrap();
        let length = bytes[bytes.len() - 8..].first_chunk().copied().map(u32::from_le_bytes).unwrap();
        assert_eq!(usize::try_from(length).unwrap(), bytes.len() - 12);
    }
}
