//! The bounds of models and credentials that clouds provide.

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

/// Seconds for which a service account vouches for itself: the most that Google takes.
pub const ASSERTION_S: u64 = 60 * 60;

const _: () = {
    assert!(FRAME_HEADERS_BYTES_MAX < FRAME_BYTES_MAX);
    assert!(CREDENTIALS_SPENT_S < CREDENTIALS_AHEAD_S);
};
