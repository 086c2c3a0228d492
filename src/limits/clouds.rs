//! The bounds of models and credentials that clouds provide.

use std::time::Duration;

/// Bytes of one frame of a binary event stream. AWS allows 16 MiB; an event of a model is a few KiB, and one
/// that carries a whole call of a tool no longer than any other event.
pub const FRAME_BYTES_MAX: usize = super::FOREIGN_EVENT_BYTES_MAX;

/// Bytes of the headers of one frame: the bound of AWS.
pub const FRAME_HEADERS_BYTES_MAX: usize = 128 * 1024;

/// Headers of one frame that are looked at; three or four are usual.
pub const FRAME_HEADERS_MAX: usize = 64;

/// Betas of one request; Claude Code sends about ten.
pub const BETAS_MAX: usize = 64;

/// Bytes of the name of one beta; the longest that is known has 40.
pub const BETA_BYTES_MAX: usize = 96;

/// Places of one request that are cut out or replaced: a few for each block at most.
pub const CUTS_MAX: usize = 2 * super::BLOCKS_MAX;

/// Characters of a provider's own sentence about a request that a caller may read; longer ones are dumps.
pub const REASON_BYTES_MAX: usize = 600;

/// Bytes of an answer with credentials; real ones are up to about 4 KiB.
pub const CREDENTIALS_BYTES_MAX: usize = 64 * 1024;

/// Bytes of a file that credentials are found by, such as `~/.aws/credentials` with many profiles.
pub const CREDENTIALS_FILE_BYTES_MAX: usize = 1024 * 1024;

/// Seconds before their end at which credentials are fetched anew: long enough for a few attempts, and AWS
/// and Google hand out no new ones earlier.
pub const CREDENTIALS_AHEAD_S: u64 = 5 * 60;

/// Seconds before their end from which credentials are not used any more: clocks differ, and a request is
/// on its way for a while.
pub const CREDENTIALS_SPENT_S: u64 = 30;

/// How long one request for credentials may take, its connection included: services beside the machine
/// answer within milliseconds, and where there is none an address may just swallow what is sent.
pub const CREDENTIALS_DEADLINE: Duration = Duration::from_secs(5);

/// Requests of one fetch: the longest, of a workload's identity, has three.
pub const CREDENTIALS_ASKS_MAX: usize = 4;

/// How long a call waits for the first credentials of its provider: those who start with the gateway are
/// served, and nobody waits for a source that does not answer.
pub const CREDENTIALS_WAIT: Duration = Duration::from_secs(10);

/// Seconds until a fetch that has failed is tried again; it doubles with each failure in a row.
pub const CREDENTIALS_RETRY_FIRST_S: u64 = 1;

/// The most of that: five attempts in the time that is left of credentials when they are fetched anew.
pub const CREDENTIALS_RETRY_MAX_S: u64 = 60;

/// Seconds between two fetches that succeed: a source that hands out what is almost over is not asked all the
/// time.
pub const CREDENTIALS_EVERY_S: u64 = 1;

/// How long the fetcher sleeps at most before it looks at the clock again: a machine may have been asleep,
/// and a clock may have been set.
pub const CREDENTIALS_LOOK: Duration = Duration::from_secs(60);

/// Seconds for which a service account vouches for itself: the most that Google takes.
pub const ASSERTION_S: u64 = 60 * 60;

const _: () = {
    assert!(FRAME_HEADERS_BYTES_MAX < FRAME_BYTES_MAX);
    assert!(CREDENTIALS_SPENT_S < CREDENTIALS_AHEAD_S);
    assert!(CREDENTIALS_RETRY_MAX_S * 4 < CREDENTIALS_AHEAD_S);
};
