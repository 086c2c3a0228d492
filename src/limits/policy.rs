//! Bounds of what policies may be and of what is remembered of their decisions.

/// Models that a request may name beside its own: what it falls back to, and tools that are models. The API
/// takes three.
pub const MODELS_BESIDE_MAX: usize = 16;

/// Cedar files that `policy: { files }` may name: each is read and checked at every reload.
pub const POLICY_FILES_MAX: usize = 64;

/// Bytes of one Cedar file. A policy of a few lines has 200.
pub const POLICY_FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Brackets in brackets in a policy of a Cedar file. Reading it takes some 40 KB of stack for each without
/// optimisation.
pub const POLICY_BRACKETS_MAX: usize = 12;

/// Operators and conditions in one policy of a Cedar file: one may stand below the other, and each level
/// takes some 8 KB of stack to evaluate, of the 2 MB that a thread has, and five times that without
/// optimisation.
pub const POLICY_OPERATORS_MAX: usize = 48;

/// Members of members in a policy of a Cedar file, as `a.b.c`. The schema has them two deep.
pub const POLICY_MEMBERS_MAX: usize = 16;

/// Names in one policy of a Cedar file that nothing has and that people are told of: they mend a few at a
/// time.
pub const POLICY_UNKNOWN_MAX: usize = 8;

/// Such names, of all files together, for which it is looked up what is meant: each is held against all known
/// names, 2,000 of them in some 10 ms.
pub const POLICY_HINTS_MAX: usize = 64;

/// Characters of an `@id` of a policy that are kept: it stands in every record that the policy decides.
pub const POLICY_ID_CHARS_MAX: usize = 100;

/// Decisions that a thread remembers before it begins anew. Each takes 32 to 64 bytes, and the name of what
/// it is about some 100 once for all: 20 MB a thread at most, for 100 groups of people with the same rights
/// and 2,500 tools.
pub const POLICY_DECISIONS_MAX: usize = 256 * 1024;

/// Denials of models that a thread remembers beside them before it forgets those: callers choose the names.
/// Each takes some 200 bytes, with a name of 100.
pub const POLICY_DENIALS_MAX: usize = 32 * 1024;

/// Pieces of what a thread has forgotten that wait for somebody who drops them elsewhere; what comes beyond
/// them is dropped at once.
pub const POLICY_FORGOTTEN_MAX: usize = 4;

/// Principals whose rights a thread remembers. Each takes some 400 bytes beside the rights themselves, which
/// those with the same rules share.
pub const POLICY_PRINCIPALS_MAX: usize = 64 * 1024;

/// As how many decisions the rights of one group of people with the same rights count, for the policies that
/// are kept to make more decisions: some 10 to 20 KB for ten policies.
pub const POLICY_RIGHTS_DECISIONS: usize = 64;
