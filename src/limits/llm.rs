//! The bounds of reading a conversation in one dialect and writing it in another.

/// Turns of one conversation: what the Anthropic API takes.
pub const TURNS_MAX: usize = 100_000;

/// Content blocks of one conversation, those inside of tool results included. Each costs about 160 bytes
/// while it is translated; a day of Claude Code makes a few thousand.
pub const BLOCKS_MAX: usize = 200_000;

/// Blocks inside of blocks: a tool result holds a document, which holds blocks, and that is all there is.
pub const BLOCK_DEPTH_MAX: usize = 4;

/// Definitions of tools in one request. All 1,800 published tools of MCP that we know may be in one.
pub const TOOLS_MAX: usize = 8 * 1024;

/// Stop sequences of one request; each is looked for in every piece of text.
pub const STOPS_MAX: usize = 64;

/// Bytes of one stop sequence: so much of an answer's text is held back at most until more has come.
pub const STOP_BYTES_MAX: usize = 1024;

/// Names of fields that nobody knows which are kept of one request, each once.
pub const UNKNOWN_FIELDS_MAX: usize = 64;

/// Kinds of losses that are told of one translation.
pub const LOSSES_MAX: usize = 64;

/// Bytes of a thinking block's signature that is one of ours. What providers have us carry is usually under
/// 32 KiB; 30,000 tokens of thinking, encrypted and in base64 twice, are about 200 KiB.
pub const SIGNATURE_BYTES_MAX: usize = 1024 * 1024;

/// Pages that one search of the web has found; a search finds 10 to 50.
pub const SEARCH_HITS_MAX: usize = 256;

/// Bytes of a provider's id of a tool call that can be had back from ours; of a longer one only a hash is
/// kept. Ids of up to 40 bytes are usual.
pub const CALL_ID_BYTES_MAX: usize = 256;

/// Bytes of a tool's name as a foreign model may say it; longer ones are none of ours.
pub const CALL_NAME_BYTES_MAX: usize = 1024;

/// Bytes of the data of one event of a foreign stream: a call of a tool may come whole in one.
pub const FOREIGN_EVENT_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Bytes of a foreign answer without a stream: images aside, no model writes more.
pub const FOREIGN_ANSWER_BYTES_MAX: usize = 16 * 1024 * 1024;

/// Calls of tools in one answer.
pub const CALLS_OF_ANSWER_MAX: usize = 256;

/// Content blocks of one answer that are held: those of a stream wait for one another, those of a document
/// for its end.
pub const ANSWER_BLOCKS_MAX: usize = 4 * CALLS_OF_ANSWER_MAX;

/// Bytes of one call's input: it is checked whole before its block is closed, and no longer document is.
pub const CALL_INPUT_BYTES_MAX: usize = super::JSON_STRICT_BYTES_MAX;

/// Bytes of an answer with an error status that are read for what it says: sentences, and pages of proxies.
pub const REFUSAL_READ_BYTES_MAX: usize = 64 * 1024;

/// Bytes of an answer that are held because their block cannot be opened yet: parallel calls of tools come
/// mixed, and blocks go out one after the other.
pub const HELD_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Tokens of an answer whose caller sets no bound, as callers of OpenAI's dialects may: what agents write in
/// one turn, which every model of Anthropic's can, and a budget can reserve.
pub const INWARD_OUTPUT_TOKENS: u64 = 16 * 1024;

/// Bytes of what a provider says of an error that are kept for the ledger.
pub const ERROR_DETAIL_BYTES_MAX: usize = 4 * 1024;

const _: () = {
    assert!(CALL_INPUT_BYTES_MAX <= HELD_BYTES_MAX);
    assert!(HELD_BYTES_MAX <= FOREIGN_EVENT_BYTES_MAX);
    assert!(STOP_BYTES_MAX * STOPS_MAX <= HELD_BYTES_MAX);
};
