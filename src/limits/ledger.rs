//! The bounds of the ledger.

use std::time::Duration;

/// Bytes of what a tool is used on, such as a command or a path: long commands are told by their beginning.
pub const ACTION_DETAIL_BYTES_MAX: usize = 512;

/// Uses of tools that the entry of one answer names; models make a handful at a time.
pub const ACTIONS_OF_ENTRY_MAX: usize = 64;

/// Bytes of the names, ids and details of one answer's actions together; later details are left empty.
pub const ACTIONS_BYTES_MAX: usize = 16 * 1024;

/// Bytes, as written, that are kept of each member of a tool's input that may become the detail.
pub const ACTION_MEMBER_BYTES_MAX: usize = 1024;

/// Bytes of one tool's input that are looked at; models write what a use is about before the contents of a
/// file, and reading more would cost every stream that writes files.
pub const ACTION_INPUT_BYTES_MAX: usize = 32 * 1024;

/// Tokens that one event's estimate of hidden thinking is believed; the largest answers have 128,000 in all.
pub const THINKING_ESTIMATE_TOKENS_MAX: u64 = 128 * 1024;

/// Pieces of work beside the message that one answer names one by one: a long answer compacts once or twice.
pub const ITERATIONS_MAX: usize = 16;

/// Budgets that one entry names.
pub const BUDGETS_OF_ENTRY_MAX: usize = 32;

/// Bytes of one encoded record: all texts of an entry with the most actions fit, so nothing is ever refused
/// for its length.
pub const RECORD_BYTES_MAX: usize = 128 * 1024;

/// Milliseconds between two syncs of the ledger at most: what a machine that loses power may lose.
pub const LEDGER_SYNC_MS_MAX: u64 = 1_000;

/// The same where nothing is written.
pub const LEDGER_SYNC_MS_DEFAULT: u64 = 5;

/// How long a call waits to go out while the ledger has no room to note it.
pub const LEDGER_ROOM_DEADLINE: Duration = Duration::from_secs(5);

/// How often what is old is looked for.
pub const CHORES_EVERY: Duration = Duration::from_secs(60 * 60);

/// When that is done first.
pub const CHORES_FIRST: Duration = Duration::from_secs(60);

/// How long the end of the process waits for the index, which can be caught up at the next start.
pub const INDEX_STOP_DEADLINE: Duration = Duration::from_secs(1);

/// Parameters of one such question.
pub const ADMIN_PARAMETERS_MAX: usize = 32;

/// How long a refusal waits to be noted while the ledger has no room; then it is counted instead.
pub const LEDGER_EVENT_DEADLINE: Duration = Duration::from_millis(200);

/// How long the start waits for an index that cannot be written.
pub const INDEX_START_DEADLINE: Duration = Duration::from_secs(60);

/// Questions of administrators that wait for an answer.
pub const ADMIN_QUESTIONS_MAX: usize = 64;

/// Administrators that wait for entries to come: each of them asks again every `INDEX_TAIL_EVERY`.
pub const ADMIN_WAITING_MAX: usize = 16;

/// Seconds that one of them may wait: below what proxies on the way allow an answer to take.
pub const ADMIN_WAIT_S_MAX: u64 = 50;

/// Days that entries may be kept: a hundred years, so that a mistake in units is told.
pub const LEDGER_KEEP_DAYS_MAX: u64 = 36_500;

/// Bytes of one half of a journal of the gateway: some seconds of calls, and little to write at a start.
pub const JOURNAL_HALF_BYTES: usize = 1024 * 1024;

/// Journals of one ledger: one for each thread that writes, which is one a core and two or three more.
pub const JOURNALS_MAX: usize = 1024;

// Fields of an entry are its texts, its numbers, its budgets, its actions and its offers; each has a few
// bytes of number and length before it.
const _: () = assert!(
    RECORD_BYTES_MAX
        > (40 + BUDGETS_OF_ENTRY_MAX) * (super::RECORD_TEXT_BYTES_MAX + 4)
            + ACTIONS_OF_ENTRY_MAX * (2 * super::RECORD_TEXT_BYTES_MAX + ACTION_DETAIL_BYTES_MAX + 24)
            + super::OFFERS_OF_ENTRY_MAX * (super::OFFER_SERVER_CHARS_MAX + 52)
);

/// Bytes of one half of a journal, at least: two of the longest records and room to spare.
pub const JOURNAL_HALF_BYTES_MIN: usize = 2 * RECORD_BYTES_MAX + 4096;

/// Bytes of one half of a journal, at most: recovery reads a journal into memory.
pub const JOURNAL_HALF_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of one half of a journal unless the config says otherwise: a fifth of a second of the fastest that a
/// ledger has been written, many times what one `sync_ms` brings.
pub const JOURNAL_HALF_BYTES_DEFAULT: usize = 4 * 1024 * 1024;

/// Bytes of a segment after which the next one begins, unless the config says otherwise: a search for one
/// record reads no more than this.
pub const SEGMENT_BYTES_DEFAULT: u64 = 64 * 1024 * 1024;

/// The age of a segment after which the next one begins, where there is anything in it: records are dropped
/// by whole segments, so none outlives its days by more than this and the time between two looks.
pub const SEGMENT_AGE: Duration = Duration::from_secs(24 * 60 * 60);

/// Bytes of a segment, at most: what a program reads of one stays countable.
pub const SEGMENT_BYTES_MAX: u64 = 4 * 1024 * 1024 * 1024;

/// Bytes on their way to the disk that the writer holds before it takes no more out of the journals: they are
/// held until they are synced, so that a failed sync can be made good.
pub const LEDGER_HELD_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes that a reader of segments takes at once.
pub const SEGMENT_READ_BYTES: usize = 256 * 1024;

/// Bytes of records that are compressed together in a sealed segment: zstd gains little beyond, and whoever
/// wants one record unpacks them all.
pub const PACKED_BLOCK_BYTES: usize = 256 * 1024;

/// Bytes of the mark at the beginning and end of a segment: 64 hashes and all journals fit.
pub const MARK_BYTES_MAX: usize = 64 * 1024;

/// Milliseconds between two syncs unless the config says otherwise: what a power failure may cost.
pub const SYNC_MS_DEFAULT: u64 = 5;

/// How long after a failed write the writer tries again.
pub const WRITE_RETRY: Duration = Duration::from_millis(100);

/// How long the writer rests when there is nothing to write; whoever writes wakes it.
pub const WRITER_REST: Duration = Duration::from_secs(1);

/// How long between two signed heads while something is written.
pub const HEAD_EVERY: Duration = Duration::from_secs(60);

/// Bytes of one line of `heads.jsonl`; real ones have about 450.
pub const HEAD_LINE_BYTES_MAX: usize = 2 * 1024;

/// Bytes of what is remembered of a destination of heads; real ones have about 130.
pub const DELIVERED_BYTES_MAX: u64 = 4 * 1024;

/// How long one head may take to be delivered, from the name of the server to the end of its answer: heads
/// have half a kilobyte, and the next one comes in a minute.
pub const HEADS_DEADLINE: Duration = Duration::from_secs(10);

/// How long to wait after the first failure to deliver a head; the wait doubles with every further one.
pub const HEADS_RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest such wait: a new head comes every minute anyway.
pub const HEADS_RETRY_MAX: Duration = Duration::from_secs(60);

/// How long the end of the process waits for the last head to arrive; the next start sends it otherwise.
pub const HEADS_STOP_DEADLINE: Duration = Duration::from_secs(3);

/// Bytes of the prefix of objects in a bucket: a key may have 1024 in all.
pub const HEADS_PREFIX_BYTES_MAX: usize = 512;

/// Bytes of the signing key and of its public half; both are 65 unless keys have been added.
pub const SIGNING_KEY_BYTES_MAX: u64 = 64 * 1024;

const _: () = assert!(MARK_BYTES_MAX < RECORD_BYTES_MAX);
const _: () = assert!(MARK_BYTES_MAX > 64 * 33 + JOURNALS_MAX * 14 + 256);
