//! The bounds of the ledger's index and of what may be asked of it.

use std::time::Duration;

/// Entries of one compressed block: more pack better, and all of them are unpacked to show one.
pub const INDEX_BLOCK_ENTRIES_MAX: usize = 128;

/// Bytes of entries after which a block is closed whatever their number, before compression.
pub const INDEX_BLOCK_BYTES: usize = 128 * 1024;

/// Bytes that a block may have unpacked: one record begins below `INDEX_BLOCK_BYTES` and ends above it.
pub const INDEX_BLOCK_BYTES_MAX: usize = INDEX_BLOCK_BYTES + super::RECORD_BYTES_MAX + 64;

/// Words of one entry that can be searched for. The longest command that is kept has about 100; an entry of
/// many long ones is found by its first.
pub const INDEX_WORDS_OF_ENTRY_MAX: usize = 1024;

/// Bytes of one word: the rest of a longer one is not looked at.
pub const INDEX_WORD_BYTES_MAX: usize = 48;

/// Names whose numbers are held in memory; beyond it they are looked up again.
pub const INDEX_NAMES_HELD_MAX: usize = 128 * 1024;

/// Names that a reader holds to show entries with.
pub const INDEX_NAMES_SHOWN_MAX: usize = 16 * 1024;

/// Records that one transaction of the index takes while it follows a running gateway: some 20 ms of work,
/// during which nobody else writes to the index.
pub const INDEX_BATCH_MAX: usize = 1024;

/// How long the index rests after a transaction, unless more waits than one takes or somebody waits for it:
/// each transaction packs the block in hand anew and writes a run of words, whatever it brings.
pub const INDEX_EVERY: Duration = Duration::from_millis(250);

/// Records that one transaction takes while the index is built anew: each transaction writes what it has
/// gathered, and fewer ones write the same pages less often.
pub const INDEX_BATCH_BULK: usize = 128 * 1024;

/// Bytes of words that are gathered in memory before they are written as a run: 4 MiB stay in a cache of the
/// processor, and took 48,000 entries a second where 32 MiB took 40,700 (`ledger_index --entries 300000`).
pub const INDEX_GATHERED_BYTES: usize = 4 * 1024 * 1024;

/// How long the index waits for another process that writes to it.
pub const INDEX_BUSY: Duration = Duration::from_secs(10);

/// How often a live search looks for new entries.
pub const INDEX_TAIL_EVERY: Duration = Duration::from_millis(300);

/// Bytes of a search.
pub const QUERY_BYTES_MAX: usize = 2048;

/// Terms of a search: each is another list to walk.
pub const QUERY_TERMS_MAX: usize = 32;

/// Values that one term may name, with commas between them.
pub const QUERY_VALUES_MAX: usize = 32;

/// Words of one text of a search.
pub const QUERY_WORDS_MAX: usize = 32;

/// Known names that one pattern may stand for before all entries are looked through instead.
pub const QUERY_NAMES_MAX: usize = 512;

/// Characters of a search that an error repeats.
pub const QUERY_SHOWN_CHARS_MAX: usize = 60;

/// Rows of one group of a Parquet file: enough to pack well, and what readers skip as a whole.
pub const PARQUET_GROUP_ROWS: u32 = 64 * 1024;

/// Bytes of values after which a group ends before: they are held in memory, once more as they are packed.
pub const PARQUET_GROUP_BYTES: usize = 32 * 1024 * 1024;

/// Entries of one page.
pub const PAGE_ENTRIES_MAX: usize = 1000;

/// Entries of a page when nobody says how many.
pub const PAGE_ENTRIES_DEFAULT: usize = 50;

/// Entries that one page looks at in whole; a search that finds next to nothing goes on from there.
pub const PAGE_EXAMINED_MAX: usize = 50_000;

/// Entries, the newest, that counts by field are made of.
pub const FACET_ENTRIES_MAX: usize = 100_000;

/// Entries that counting reads at a time.
pub const FACET_STEP: usize = 10_000;

/// Values of one field that are counted by name; the rest is told as a number.
pub const FACET_VALUES_MAX: usize = 20;

/// Entries of one session that a timeline shows: the largest seen sessions have a few thousand.
pub const TIMELINE_ENTRIES_MAX: usize = 20_000;

/// Bytes of entries that a timeline shows, encoded: 16 MiB are 800 bytes for each of the most entries, while
/// the largest entries would be 2.5 GiB.
pub const TIMELINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Entries that a timeline reads at a time: of the largest ones, as much as a timeline may have.
pub const TIMELINE_STEP: usize = TIMELINE_BYTES_MAX / super::RECORD_BYTES_MAX;

/// Rows of a report of what was spent.
pub const SPEND_ROWS_MAX: usize = 10_000;

/// Fields that a report of what was spent is told by.
pub const SPEND_FIELDS_MAX: usize = 3;
