//! The bounds of what is made smaller for models: schemas, descriptions, results.

use std::time::Duration;

/// Layers of a schema that is made smaller. The deepest of 1,800 published tools has 22, references followed;
/// the walks over it are recursive.
pub const LEAN_SCHEMA_DEPTH_MAX: usize = 64;

/// References in one schema that are followed; a published tool has 200 at most. Each is looked for among all
/// definitions, of which a document may have thousands, so this bounds the product of both.
pub const LEAN_SCHEMA_REFERENCES_MAX: usize = 1024;

/// Characters of a tool's description in its lean form: one sentence that says what it is for.
pub const LEAN_DESCRIPTION_CHARS_MAX: usize = 200;

/// Characters of a parameter's description in its lean form.
pub const LEAN_PARAMETER_CHARS_MAX: usize = 80;

/// Characters of a signature, its line of words not counted: 20 parameters with their types.
pub const LEAN_SIGNATURE_CHARS_MAX: usize = 800;

/// Layers of a parameter's type that a signature writes out; what is deeper is `...`.
pub const LEAN_SIGNATURE_DEPTH_MAX: usize = 3;

/// Values, types or branches of a choice that a signature names.
pub const LEAN_SIGNATURE_CHOICES_MAX: usize = 12;

/// Bytes of a default that a signature names.
pub const LEAN_SIGNATURE_DEFAULT_BYTES_MAX: usize = 32;

/// Tools of a catalog that all clients get whole where `tools: auto` leaves it open: 40 of them take some
/// 12,000 tokens, as much as a client's own prompt, and finding them would cost a request for each.
pub const AUTO_TOOLS_MAX: usize = 40;

/// Bytes of their definitions, for the same.
pub const AUTO_BYTES_MAX: usize = 64 * 1024;

/// Paths in each list of a rule for results.
pub const RESULT_PATHS_MAX: usize = 32;

/// Bytes of one of them.
pub const RESULT_PATH_BYTES_MAX: usize = 256;

/// Steps of one of them: the places that a walk may have come to on a path fit into one word.
pub const RESULT_PATH_STEPS_MAX: usize = 32;

/// Bytes that a text of a result may be cut to at least: less than a row of most tables helps nobody.
pub const RESULT_CUT_BYTES_MIN: usize = 256;

/// Characters of a result that a definition may have Claude Code put before its model, by the mark for it:
/// what it takes at most (2.1.330; 400,000 went in whole).
pub const CLIENT_RESULT_CHARS_MAX: usize = 500_000;

/// Characters that it puts before its model whole without any mark, measured.
pub const CLIENT_RESULT_CHARS_SHOWN: usize = 30_000;

/// Characters that it was seen to save to a file instead, without any mark. Its own bound lies below, so a
/// mark of so many never makes it show less.
pub const CLIENT_RESULT_CHARS_SAVED: usize = 60_000;

/// Characters of the words that say how to read on, behind a text that was cut.
pub const RESULT_NOTE_CHARS: usize = 256;

/// Bytes of a text at least that is referred to where it was given before: the reference has some 200 itself,
/// and a name of `MCP_NAME_BYTES_MAX` in it.
pub const RESULT_REFER_BYTES_MIN: usize = 1024;

/// Large texts that a session is remembered to have been given; then the oldest is forgotten. Each takes some
/// 250 bytes.
pub const RESULTS_REMEMBERED_MAX: usize = 64;

/// Bytes of the id of a call that a reference names it by.
pub const RESULT_ORIGIN_ID_BYTES_MAX: usize = 64;

/// Content blocks of one result that are looked into; a result has one or two, a gallery has dozens.
pub const RESULT_BLOCKS_MAX: usize = 64;

/// Bytes of cut results that are kept for those who read on; then the oldest go. A result of many rows has a
/// few hundred kilobytes.
pub const RESULTS_KEPT_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Bytes of cut results that are kept for one key; then its own oldest go, not those of others.
pub const RESULTS_KEPT_OF_KEY_BYTES_MAX: usize = RESULTS_KEPT_BYTES_MAX / 4;

/// How long a cut result is kept: a model reads on within its next turns, or never.
pub const RESULTS_KEPT_FOR: Duration = Duration::from_secs(30 * 60);

/// Results that are counted at once by `tollgate tools trim`; each takes a few numbers.
pub const RESULTS_COUNTED_MAX: usize = 1_000_000;

const _: () = {
    assert!(CLIENT_RESULT_CHARS_SHOWN < CLIENT_RESULT_CHARS_SAVED);
    assert!(CLIENT_RESULT_CHARS_SAVED < CLIENT_RESULT_CHARS_MAX);
    assert!(RESULT_PATH_STEPS_MAX < u64::BITS as usize);
    assert!(LEAN_SCHEMA_DEPTH_MAX < super::JSON_DEPTH_MAX);
};
