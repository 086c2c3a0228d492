//! The bounds of what is kept of contents.

/// Bytes between the `//` of an address and its host in which a password is looked for.
pub const REDACTED_PASSWORD_BYTES_MAX: usize = 512;

/// Bytes of a name that may say secret, with its quotes: `AZURE_STORAGE_CONNECTION_SHARED_ACCESS_KEY`.
pub const REDACTED_NAME_BYTES_MAX: usize = 72;

/// Bytes between the sign behind a name and its value: blanks, and a quote with its back slashes.
pub const REDACTED_GAP_BYTES_MAX: usize = 24;

/// Bytes of a value under such a name; what is longer is data.
pub const REDACTED_VALUE_BYTES_MAX: usize = 512;

/// Bytes of a private key in its frame: an RSA key of 16,384 bits has 13 KiB, and more with its escapes.
pub const REDACTED_KEY_BYTES_MAX: usize = 32 * 1024;

/// Bytes of bodies that wait to be stored; what comes on top is skipped and counted. Eight of the largest
/// requests, or a minute of a slow disk for 20 people.
pub const CONTENT_QUEUE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Bytes of an answer that is kept; it is held until it has passed, and none of a model is longer.
pub const CONTENT_ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Days for which bodies are kept unless the config says otherwise.
pub const CONTENT_DAYS_DEFAULT: u64 = 30;

/// Bodies that wait to be stored.
pub const CONTENT_QUEUE_MAX: usize = 4 * 1024;

/// Pieces that one body is cut into; the rest of a body with more of them is one piece. A session at the end
/// of its context has about 2,000.
pub const CONTENT_PIECES_MAX: usize = 64 * 1024;

/// Bytes of a piece that stands in its list itself: shorter than the hash that would stand for it.
pub const CONTENT_LITERAL_BYTES_MAX: usize = 32;

/// Pieces in one list of pieces at most; half of that is usual. Lists are stored once, too, so that a turn
/// which repeats 1,000 pieces costs the list that differs.
pub const CONTENT_LIST_MAX: usize = 64;

/// Bytes that are compressed together when enough is waiting: small blocks share what they repeat.
pub const CONTENT_BATCH_BYTES: usize = 1024 * 1024;

/// Bytes of one compressed frame before it was compressed: a batch and the largest body behind it.
pub const CONTENT_FRAME_BYTES_MAX: usize = 96 * 1024 * 1024;

/// Bytes of a file of frames before the next one is begun: what retention rewrites at once.
pub const CONTENT_PACK_BYTES: u64 = 64 * 1024 * 1024;

/// Bytes of frames that a reader of one body holds decompressed.
pub const CONTENT_READ_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Packs that one sweep rewrites, so that bodies do not wait for many of them.
pub const CONTENT_REWRITES_MAX: usize = 4;
