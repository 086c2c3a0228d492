//! The bounds of results of tools that are kept to be told again.

/// Bytes of all results that are kept, with what keeping them takes; then the one that was told longest ago
/// goes. A gateway of a few hundred people has a few thousand results of a few kilobytes at a time.
pub const CACHE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of those of one caller and server, so that nobody who reads a lot empties it for all others.
pub const CACHE_SHARE_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of one result that is kept. Of 374 results of real tools the longest has about 20 KiB.
pub const CACHE_RESULT_BYTES_MAX: usize = 256 * 1024;

/// Bytes that are reckoned for keeping a result, beside its own: names, keys, places in lists.
pub const CACHE_ENTRY_BYTES: usize = 512;

/// Seconds for which a result is kept at most, whatever the config or a server says: a day.
pub const CACHE_TTL_S_MAX: u64 = 24 * 60 * 60;

/// Rules of one server.
pub const CACHE_RULES_MAX: usize = 32;

/// Patterns of tools in one rule.
pub const CACHE_PATTERNS_MAX: usize = 64;

/// Calls that wait for the same one under way; more are made by themselves. An agent starts dozens of others
/// at once, not hundreds.
pub const CACHE_FOLLOWERS_MAX: usize = 256;

const _: () = {
    assert!(CACHE_SHARE_BYTES_MAX < CACHE_BYTES_MAX);
    assert!(CACHE_RESULT_BYTES_MAX + CACHE_ENTRY_BYTES <= CACHE_SHARE_BYTES_MAX);
    assert!(CACHE_FOLLOWERS_MAX < super::MCP_CALLS_OF_KEY_MAX);
};
