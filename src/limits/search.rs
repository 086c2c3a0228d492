//! The bounds of searching for tools.

/// Tools of one index. A large company has a few thousand.
pub const SEARCH_DOCUMENTS_MAX: usize = 65_536;

/// Characters of one text of a tool that are looked at, and of a question. Clients cut descriptions at 4,096.
pub const SEARCH_TEXT_CHARS_MAX: usize = 8_192;

/// Bytes of one word; what is longer is no word that anybody would say.
pub const SEARCH_WORD_BYTES_MAX: usize = 40;

/// Different words of a question that are looked for. A sentence has a dozen.
pub const SEARCH_WORDS_MAX: usize = 64;

/// Tools that a search gives at most: of labelled questions it finds as many with ten as with five, within a
/// few in a hundred.
pub const SEARCH_FOUND_MAX: usize = 5;

/// Names of servers that the tool for searching says: a hundred are 300 tokens.
pub const SEARCH_SERVERS_SHOWN_MAX: usize = 100;

/// The last searches that are remembered of one key at one address, to tell which of them found a tool.
pub const SEARCHES_KEPT_MAX: usize = 8;

/// Keys and addresses whose searches are remembered, each up to 20 KB; then it begins anew.
pub const SEARCHERS_MAX: usize = 1_024;

/// Tools whose score is less than this part of the best one's are left out: they would only cost tokens. Of
/// labelled questions none loses its tool by it, and four tools are found instead of five; a tenth more of it
/// and three in a hundred lose theirs.
pub const SEARCH_MARGIN: f32 = 0.5;
