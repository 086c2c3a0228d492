//! Bounds of places and of versions of models.

/// Regions of one provider, server, team or key. Clouds have some thirty, and whoever may be in all of them
/// writes `*`.
pub const REGIONS_MAX: usize = 64;

/// Names that one team has for models. Each stands in the list of models that its clients read.
pub const ALIASES_MAX: usize = 256;

/// Replacements that are followed from one model to the next. Whoever has replaced a replacement twice had
/// better say what is meant now.
pub const REPLACEMENTS_MAX: usize = 4;

/// Pairs of a key and what it has called that `tollgate policy test` decides anew. Each takes some hundred
/// bytes.
pub const POLICY_TEST_PAIRS_MAX: usize = 200_000;

/// Pairs of team and deprecated model that people are told of in one day. With more of them, some are told
/// more often.
pub const DEPRECATIONS_TOLD_MAX: usize = 10_000;
