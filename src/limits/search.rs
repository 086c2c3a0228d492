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

/// Tools of each ranking that count where a search goes by words and by meaning. What stands further behind
/// adds next to nothing.
pub const SEARCH_RANKED_MAX: usize = 100;

/// As `SEARCH_MARGIN`, for the cosines of a ranking by meaning, which lie closer together. Of labelled
/// questions one in a hundred loses its tool by a twentieth more; without any margin five tools are found
/// instead of four.
pub const SEARCH_MEANING_MARGIN: f32 = 0.75;

/// The least cosine of a tool that has no word of the question. Nonsense has its nearest tools at 0.15 to
/// 0.3; no labelled question loses its tool by this.
pub const SEARCH_MEANING_LEAST: f32 = 0.3;

/// Pieces of words of a question that are looked at for their meaning. A sentence has two dozen.
pub const SEARCH_PIECES_MAX: usize = 512;

/// Words of tools whose pieces are remembered, each some 100 bytes; 3,000 tools have 12,000. Those of others
/// are made anew whenever they come.
pub const SEARCH_WORDS_KEPT_MAX: usize = 65_536;

/// Bytes of a file of weights. That of 32,000 rows has 16 MB, those of newer vocabularies eight times as
/// many.
pub const EMBEDDING_WEIGHTS_BYTES_MAX: u64 = 256 * 1024 * 1024;

/// Bytes of a tokenizer; the largest that is known has 9 MB.
pub const EMBEDDING_TOKENIZER_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// Bytes of the header of a file of weights; that of one tensor has a hundred.
pub const EMBEDDING_HEADER_BYTES_MAX: usize = 64 * 1024;

/// Rows of a table. Vocabularies have 30,000 to 256,000 pieces.
pub const EMBEDDING_ROWS_MAX: usize = 512 * 1024;

/// Values of a row. Every tool costs as many, and every question as many for each tool.
pub const EMBEDDING_DIMENSIONS_MAX: usize = 1_024;
