//! Bounds of the admin API.

use std::time::Duration;

/// Bytes of a body sent to `/admin`: a whole config as a JSON text, in which a character takes up to six
/// bytes but hardly any does.
pub const ADMIN_BODY_BYTES_MAX: u64 = 2 * super::CONFIG_BYTES_MAX;

/// Looks that a key may take at `/admin` in a second, and at once: a console asks for a dozen things when
/// it opens.
pub const ADMIN_READS_PER_S: u64 = 50;

/// Changes that a key may make in a second: people click, and scripts have no hurry.
pub const ADMIN_CHANGES_PER_S: u64 = 2;

/// Changes that a key may make at once, so that a small script needs no pauses.
pub const ADMIN_CHANGES_BURST: u64 = 10;

/// Keys whose pace at `/admin` is remembered at a time. A key is forgotten once it has rested for a second
/// or so, so this many administrators would have to ask at once.
pub const ADMIN_PACED_KEYS_MAX: usize = 1024;

/// Orders of administrators that wait for the thread that reads and writes files.
pub const ADMIN_ORDERS_MAX: usize = 32;

/// How long an administrator waits for that thread: it writes small files, and resolves whole configs.
pub const ADMIN_ORDER_DEADLINE: Duration = Duration::from_secs(20);

/// How long a change waits until it is in force before it is answered with 202 instead of 200.
pub const ADMIN_RELOAD_DEADLINE: Duration = Duration::from_secs(10);

/// Differences between two configs that are told.
pub const ADMIN_DIFFERENCES_MAX: usize = 500;

/// Bytes of the state of a key as an entry of the ledger tells it; two of them stand in one text of it.
pub const ADMIN_BRIEF_BYTES_MAX: usize = 100;

/// Entity tags in one `If-Match`.
pub const ADMIN_TAGS_MAX: usize = 16;

const _: () = assert!(2 * ADMIN_BRIEF_BYTES_MAX < super::RECORD_TEXT_BYTES_MAX);
const _: () = assert!(ADMIN_BODY_BYTES_MAX <= super::BODY_BYTES_MAX);

/// Patterns of models in one body.
pub const ADMIN_PATTERNS_MAX: usize = 256;
