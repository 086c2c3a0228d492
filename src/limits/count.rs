//! The bounds of counting tokens before a provider does.

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
};
