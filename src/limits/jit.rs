//! The bounds of lists of tools that grow as tools are found.

use std::time::Duration;

/// Tools that are added to the list of one session. Each is 300 tokens of the prompt in all turns that
/// follow; who has found so many is better served by calling through the tools that call others.
pub const JIT_ADDED_MAX: usize = 64;

/// How long the result of a search waits for the client to list its tools anew. It takes 15 to 240 ms.
pub const JIT_LISTED_DEADLINE: Duration = Duration::from_secs(3);

/// What the result waits beyond that, for the client to take in what it has listed: with nothing one of two
/// came too late, with 20 ms none of four.
pub const JIT_GRACE: Duration = Duration::from_millis(100);

/// Entries of one `core:`, and of the patterns of one server in it. What is always loaded is paid for in
/// every request, so people write ten.
pub const CORE_TOOLS_MAX: usize = 256;
