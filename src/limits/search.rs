//! The bounds of searching for tools.

/// Tools of one index. A large company has a few thousand.
pub const SEARCH_DOCUMENTS_MAX: usize = 65_536;

/// Characters of one text of a tool that are looked at, and of a question. Clients cut descriptions at 4,096.
pub const SEARCH_TEXT_CHARS_MAX: usize = 8_192;

/// Bytes of one word; what is longer is no word that anybody would say.
pub const SEARCH_WORD_BYTES_MAX: usize = 40;

/// Different words of a question that are looked for. A sentence has a dozen.
pub const SEARCH_WORDS_MAX: usize = 64;

/// Tools whose score is less than this part of the best one's are left out: they would only cost tokens.
pub const SEARCH_MARGIN: f32 = 0.35;
