//! What is written differently of a definition for callers.

use crate::mcp::lean::shape::Shape;

/// What is written differently for callers. Nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Changes<'a> {
    /// In place of its name or URI.
    pub key: Option<&'a str>,
    /// In place of its description, also where it has none.
    pub description: Option<&'a str>,
    /// Parts in another shape; a description given here goes before.
    pub shape: Option<&'a Shape>,
    /// Without an `outputSchema` that is not an object at its root, which legacy callers refuse.
    pub legacy: bool,
    /// With the mark that has Claude Code ask a person before each call.
    pub asks: bool,
    /// With the mark that has Claude Code load it from the start.
    pub always: bool,
    /// With the mark that says how many characters of a result Claude Code puts before its model, in place of
    /// what the server says of that; at most `limits::CLIENT_RESULT_CHARS_MAX`.
    pub result_chars: Option<usize>,
    /// With an `outputSchema` that takes anything, because results are changed.
    pub any_output: bool,
}
