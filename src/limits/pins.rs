//! The bounds of pinned definitions and of what looks for hints in them.

use std::time::Duration;

/// Places that are told of one change: what a person reads.
pub const PIN_DETAILS_MAX: usize = 32;

/// Bytes of the name of a new parameter that is let through: a word or a few, no sentence.
pub const PIN_PARAMETER_BYTES_MAX: usize = 48;

/// Definitions of one tool that stay rejected. A server that comes up with more is asked about again.
pub const PIN_REJECTED_MAX: usize = 16;

/// Events that wait for the ledger before no more lists are taken. The ledger takes them at once as long as
/// it takes anything; a first sight of 64 real servers makes 2,386.
pub const PIN_EVENTS_MAX: usize = 16 * 1024;

/// Tools of one server that are pinned, gone ones among them. The largest real one has 344.
pub const PIN_TOOLS_OF_SERVER_MAX: usize = 8 * 1024;

/// Bytes of the definitions that are kept of one server, gone ones among them; 344 real ones have 2 MiB, and
/// each may be there twice. With quotes escaped it is a quarter of the state file at the most.
pub const PIN_BYTES_OF_SERVER_MAX: usize = 8 * 1024 * 1024;

const _: () = assert!(PIN_BYTES_OF_SERVER_MAX as u64 * 2 * 4 <= PIN_FILE_BYTES_MAX);
const _: () = assert!(PIN_BYTES_OF_SERVER_MAX >= 2 * super::MCP_DEFINITION_BYTES_MAX);

/// Lines of a lock file: tools of 64 real servers are 2,386.
pub const PIN_LOCKED_MAX: usize = 64 * 1024;

/// Bytes of a lock file, at about 200 bytes a line.
pub const PIN_LOCK_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// Bytes of what the ledger is told of one change.
pub const PIN_TOLD_BYTES_MAX: usize = 300;

/// Bytes of the state file. 2,386 real definitions are 6 MiB; each may be there twice.
pub const PIN_FILE_BYTES_MAX: u64 = 64 * 1024 * 1024;

/// Questions that wait for the thread that keeps the state file: one for each server, and one more.
pub const PIN_ASKS_MAX: usize = 1024;

/// How often the state file is looked at for what the command line has decided.
pub const PIN_POLL: Duration = Duration::from_millis(200);

/// How long a server's list waits for the state file. It is on a disk, which may be slow.
pub const PIN_DEADLINE: Duration = Duration::from_secs(20);

/// Hints that are kept of one definition.
pub const HINTS_MAX: usize = 16;

/// Characters of a definition that are looked at for hints; what is over them is a hint by itself.
pub const HINT_CHARS_MAX: usize = 128 * 1024;

/// Characters of what was found that are shown.
pub const HINT_SHOWN_CHARS: usize = 80;

/// Lines of a description that are compared one by one; larger ones are shown whole.
pub const DIFF_LINES_MAX: usize = 400;
