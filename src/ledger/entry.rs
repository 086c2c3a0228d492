//! One record of the ledger as a value: who asked for what, who answered, what was decided, what it cost.

pub use crate::call::Class;
use crate::ids::CallId;

/// What an entry is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// A request of a model: `/v1/messages`.
    #[default]
    ModelCall,
    /// A count of tokens: free, but a request that leaves the house.
    CountTokens,
    /// A list of models asked for.
    ModelList,
    /// `tools/call`.
    ToolCall,
    /// `resources/read`.
    ResourceRead,
    /// `prompts/get`.
    PromptGet,
    /// Any other message of MCP that reached a server.
    McpOther,
    /// A list of a server that came back changed.
    ListChange,
    /// Somebody proved who they are.
    SignIn,
    /// A request that was refused before it was known what it would be.
    Refusal,
    /// Something done or asked for by an administrator.
    Admin,
    /// Another config is in force.
    Config,
    /// The definition of a tool was pinned, held, approved or rejected.
    Pin,
    /// Something that a person has to look at, such as a provider that answered from elsewhere.
    Alarm,
    /// A list of tools that a client got: its first page.
    ToolList,
}

/// Tokens by what they are charged as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tokens {
    /// Read fresh.
    pub input: u64,
    /// Written by the model, thinking included.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written into the prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// Written into the prompt cache for an hour.
    pub cache_write_1h: u64,
}

/// A `tool_use` block that passed in a model's answer: what the client was told to do on its own machine, or
/// to ask of an MCP server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Action {
    /// The id of the block; the same as `Entry::tool_use_id` of the call of MCP that follows from it.
    pub id: String,
    /// The name of the tool as the model knows it: `Bash`, `mcp__tollgate__search`.
    pub name: String,
    /// What it does to the world.
    pub class: Class,
    /// What it is about: a path, a command, a host; at most `limits::ACTION_DETAIL_BYTES_MAX`.
    pub detail: String,
}

/// Definitions of tools that a model was offered with a call, of one server. Tokens are estimates by the
/// length of the definitions (`limits::DEFINITION_BYTES_PER_TOKEN`).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The MCP server, by the name in our config where it is known, else by the client's name for it, of at
    /// most `limits::OFFER_SERVER_CHARS_MAX` bytes; empty for tools of the client itself and of the
    /// provider, and `*` for servers that found no row of their own.
    pub server: String,
    /// How many definitions.
    pub definitions: u64,
    /// Their tokens; `deferred` and `used` are parts of them.
    pub tokens: u64,
    /// Tokens of those that a model sees only once it has looked for them.
    pub deferred: u64,
    /// Tokens of those that the answer used, each counted once.
    pub used: u64,
}

/// One entry. A text that is empty and a number that is 0 were not known. Every text has at most
/// `limits::RECORD_TEXT_BYTES_MAX` bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Our id of the call; what callers see as `request-id`.
    pub id: CallId,
    /// What it is about.
    pub kind: Kind,
    /// When it began, milliseconds since 1970 (UTC).
    pub at_ms: u64,
    /// How long it took, microseconds.
    pub took_us: u64,
    /// When the first byte of the answer was there, microseconds after the beginning.
    pub first_byte_us: u64,
    /// Name of the key.
    pub key: String,
    /// First 12 digits of the key's hash.
    pub key_id: String,
    /// Team of the key.
    pub team: String,
    /// The person behind the key, by our own word.
    pub user: String,
    /// The client and its version, by its own word: its `user-agent`.
    pub client: String,
    /// Session of Claude Code, by its own word.
    pub session: String,
    /// Agent inside of the session, by its own word.
    pub agent: String,
    /// Prompt inside of the session, by its own word.
    pub prompt: String,
    /// The provider's or server's id of the request.
    pub upstream_id: String,
    /// The model that was asked for.
    pub model: String,
    /// The model that answered, by the provider's word.
    pub served_model: String,
    /// The provider that was asked.
    pub provider: String,
    /// Where it answered from, as far as it says.
    pub region: String,
    /// Method of MCP.
    pub method: String,
    /// The MCP server that was asked.
    pub server: String,
    /// The tool, prompt or resource, by the server's own name for it.
    pub tool: String,
    /// Beginning of the hash of the tool's definition, hexadecimal.
    pub tool_hash: String,
    /// What the tool does to the world.
    pub class: Class,
    /// The `tool_use` that a call of MCP follows from.
    pub tool_use_id: String,
    /// The tokens.
    pub tokens: Tokens,
    /// What was charged, in pico-dollars.
    pub cost_pico: u64,
    /// What is behind `cost_pico`: the version of the price book, or words such as `default`, `estimate`.
    pub priced: String,
    /// The budgets that were charged.
    pub budgets: Vec<String>,
    /// What was decided, by which rule of which config.
    pub decision: String,
    /// The status that the caller saw; 0 when it saw none.
    pub status: u16,
    /// How it ended, a word of `call::Outcome`; `lost` when the process ended first.
    pub outcome: String,
    /// Why the model stopped.
    pub stop_reason: String,
    /// What went wrong, for people.
    pub error: String,
    /// Bytes of the request's body.
    pub request_bytes: u64,
    /// Bytes of the answer's body.
    pub answer_bytes: u64,
    /// What the answer told the client to do, at most `limits::ACTIONS_OF_ENTRY_MAX`.
    pub actions: Vec<Action>,
    /// Where the contents are kept: hexadecimal hash of the turn, empty when they are not.
    pub content: String,
    /// Whose definitions of tools went along, at most `limits::OFFERS_OF_ENTRY_MAX`; only for calls that a
    /// model has answered.
    pub offers: Vec<Offer>,
    /// Version of the policy by which it was decided: equal rules, equal version.
    pub policy: String,
    /// What was found, masked or held in what was said, and by which rule, such as `masked mail 3`; never the
    /// thing itself.
    pub marks: String,
    /// What a search for tools sought; of a call of a tool that such a search has found, the words of that.
    pub sought: String,
    /// How the tools of a list are written of which neither server nor tool says how: a word of
    /// `call::ToolMode`, or `mixed` where there are none such and servers differ.
    pub mode: String,
    /// By whose word: `config`, or `auto` where it was chosen for the client and the number of tools.
    pub mode_by: String,
}
