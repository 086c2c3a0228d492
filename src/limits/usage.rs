//! The bounds of what is gathered of the ledger about the use of tools.

/// Days that are looked at, at most; beyond some weeks habits are old.
pub const USAGE_DAYS_MAX: u64 = 90;

/// Sessions that are told apart. A thousand people have some 20,000 in a week.
pub const USAGE_SESSIONS_MAX: usize = 200_000;

/// Calls of tools that are looked at, uses in answers of models that they are found by, and lists of tools.
pub const USAGE_CALLS_MAX: usize = 1_000_000;

/// Tools that are proposed for a team, where it uses so many: each costs its definition in every session.
pub const SUGGESTED_MIN: usize = 5;

/// Tools that are proposed for a team at most.
pub const SUGGESTED_MAX: usize = 10;

/// In how many of a team's sessions, in thousandths, a tool has to be used that is proposed beyond
/// `SUGGESTED_MIN`: its definition is then cheaper than one more search in a fifth of them.
pub const SUGGESTED_SHARE_PERMILLE: u64 = 200;

/// In how many of a team's sessions a tool has to be used to be proposed at all: once is no habit.
pub const SUGGESTED_SESSIONS_MIN: u64 = 2;

const _: () = assert!(SUGGESTED_MIN <= SUGGESTED_MAX);
