//! The bounds of counting tokens before a provider does.

use std::time::Duration;

/// Bytes of an image that are looked into for its size: the headers of photographs hold small images of
/// themselves and profiles of colour, in segments of up to 64 KiB.
pub const IMAGE_HEADER_BYTES_MAX: usize = 1024 * 1024;

/// Segments of one JPEG that are passed on the way to its size: twenty are many.
pub const IMAGE_SEGMENTS_MAX: usize = 256;

/// Pixels along one side of an image that are believed: what is more is a broken header.
pub const IMAGE_SIDE_MAX: u32 = 1 << 16;

/// Counts that one cache keeps, each about 100 bytes. Claude Code asks for thirty in one burst, and again
/// after each change of its tools.
pub const COUNTS_KEPT_MAX: usize = 4096;

/// Bytes of a request that is looked into to be counted: 60 ms of the thread that counts. What is longer is
/// counted by its lengths.
pub const COUNT_EXACT_BYTES_MAX: usize = 1024 * 1024;

/// How long a server may take to count the tokens of a request: clients wait for the number.
pub const COUNT_NATIVE_WAIT: Duration = Duration::from_secs(2);

/// How long a server that does not know the question is not asked again: it may be replaced by a newer one.
pub const COUNT_NATIVE_AGAIN: Duration = Duration::from_secs(3_600);

/// How long a server is not asked again that did not answer in time, or refused.
pub const COUNT_NATIVE_REST: Duration = Duration::from_secs(60);

/// Bytes of its answer that are read; it has one number.
pub const COUNT_NATIVE_BYTES_MAX: usize = 16 * 1024;

/// Servers that one core remembers for that, some 100 bytes each; then it begins anew.
pub const COUNTERS_SILENT_MAX: usize = 256;

/// Requests that wait to be counted, each with its bytes: a burst of Claude Code's has thirty. Whoever comes
/// while there are so many has its request counted by its lengths.
pub const COUNT_QUESTIONS_MAX: usize = 32;

/// Models whose ratios one core keeps, each about 100 bytes; then it begins anew.
pub const RATIOS_KEPT_MAX: usize = 1024;

/// The first messages to a model, which are all counted to learn from.
pub const RATIO_FIRST_SAMPLES: u64 = 8;

/// Later, one of so many messages is.
pub const RATIO_SAMPLE_EVERY: u64 = 16;

/// The least estimate, in tokens, from which a ratio learns: of short requests the frame is most.
pub const RATIO_TOKENS_MIN: u64 = 64;

/// The ratio of what a provider counts to our estimate, in millionths, is believed between these: beyond them
/// the two have not counted the same.
pub const RATIO_MILLIONTHS_MIN: u64 = 250_000;

/// The other bound of that ratio.
pub const RATIO_MILLIONTHS_MAX: u64 = 4_000_000;

const _: () = {
    assert!(RATIO_MILLIONTHS_MIN < 1_000_000 && RATIO_MILLIONTHS_MAX > 1_000_000);
    assert!(COUNTS_KEPT_MAX >= 2);
    assert!(RATIO_SAMPLE_EVERY > 0);
};
