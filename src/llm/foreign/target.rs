//! In what servers of several dialects differ.

/// The role of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemRole {
    /// What every server knows.
    System,
    /// What OpenAI's reasoning models want.
    Developer,
}

impl SystemRole {
    /// The role as a word.
    pub(in crate::llm) const fn word(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Developer => "developer",
        }
    }
}

/// How instructions in the middle of a conversation are told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MidSystem {
    /// As what they are, in their place.
    InPlace,
    /// By the user, in a frame: for templates that take one system message at the front.
    AsUser,
}

/// How `cache_control` is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheMarks {
    /// Not at all: the server keeps prefixes by itself.
    Automatic,
    /// `prompt_cache_breakpoint` on the last four marked parts.
    Breakpoints,
}

/// Breakpoints that one request may have.
const BREAKPOINTS_MAX: usize = 4;

/// Which of the marks of a request become breakpoints: of all the last four, since earlier ones say nothing
/// that those do not.
#[derive(Clone, Copy, Debug)]
pub(in crate::llm) struct Breakpoints {
    /// `None` when marks become none at all.
    to_skip: Option<usize>,
}

impl Breakpoints {
    /// For a request with so many marks.
    pub(in crate::llm) fn of(cache_marks: CacheMarks, marks: usize) -> Self {
        let explicit = cache_marks == CacheMarks::Breakpoints;
        Self { to_skip: explicit.then_some(marks.saturating_sub(BREAKPOINTS_MAX)) }
    }

    /// Whether the next mark gets its breakpoint.
    pub(in crate::llm) fn take(&mut self) -> bool {
        match &mut self.to_skip {
            None => false,
            Some(0) => true,
            Some(left) => {
                *left -= 1;
                false
            }
        }
    }
}
