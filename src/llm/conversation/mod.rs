//! A request for `/v1/messages` read once into values that borrow from its bytes.
//!
//! Read is what Anthropic documents at docs.claude.com/en/api/messages (2026-11) and what Claude Code 2.1.330
//! sends. Everything that was written has a place here: what has no member of its own is among
//! [`Conversation::others`], so that a translator can say of each what becomes of it. A member given twice is
//! refused wherever objects are looked into, as is what exceeds the bounds in `limits`. Values that are only
//! carried along, such as schemas and inputs of tools, are not looked into: a body that is JSON gives
//! translations that are JSON.

mod blocks;
pub(in crate::llm) mod named;
mod read;
mod refusal;
#[cfg(test)]
mod tests;
mod tools;

use crate::llm::written::{Raw, Written};

pub use read::read;
pub use refusal::{Refusal, Why};

/// A request.
#[derive(Clone, Debug, Default)]
pub struct Conversation<'a> {
    /// The model's name as the caller has it.
    pub model: Written<'a>,
    /// Whether an event stream is asked for.
    pub stream: bool,
    /// The most that may be written.
    pub max_tokens: Option<u64>,
    /// The blocks of `system`; one where it was a string.
    pub system: Vec<Block<'a>>,
    /// The messages.
    pub turns: Vec<Turn<'a>>,
    /// The definitions of tools, in their order.
    pub tools: Vec<Tool<'a>>,
    /// `tool_choice`, when it was given.
    pub choice: Option<Choice<'a>>,
    /// One call of a tool at a time: `tool_choice.disable_parallel_tool_use`.
    pub one_call: bool,
    /// `thinking`, when it was given.
    pub thinking: Option<Thinking>,
    /// `thinking.display` is `omitted`: nobody wants to read it.
    pub thinking_hidden: bool,
    /// `output_config.effort`, by the last turn that has one of its own, else by the request.
    pub effort: Option<Written<'a>>,
    /// `output_config.format`.
    pub format: Option<Format<'a>>,
    /// `stop_sequences` that are not empty.
    pub stops: Vec<Written<'a>>,
    /// `temperature`, `top_p` and `top_k`, as written.
    pub sampling: [Option<Raw<'a>>; 3],
    /// `metadata.user_id`: an account and a device, which go to no other vendor.
    pub user: Option<Written<'a>>,
    /// What has no member here, each name once for each place.
    pub others: Vec<Other<'a>>,
}

/// A field that no member of a [`Conversation`] holds.
#[derive(Clone, Debug)]
pub struct Other<'a> {
    /// The kind of object that it stands in; empty for the request itself.
    pub place: &'static str,
    /// Its name.
    pub name: Written<'a>,
    /// What it says.
    pub value: Raw<'a>,
}

/// Who speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The person, and the results of tools.
    User,
    /// The model.
    Assistant,
    /// The program in between: instructions that stand where they were given.
    System,
}

/// One message.
#[derive(Clone, Debug)]
pub struct Turn<'a> {
    /// Who speaks.
    pub role: Role,
    /// What is said; one text where it was a string.
    pub blocks: Vec<Block<'a>>,
}

/// One content block.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// What it is.
    pub content: Content<'a>,
    /// `cache_control`: the prompt up to here is worth keeping.
    pub mark: Option<Raw<'a>>,
}

/// What a block is.
#[derive(Clone, Debug)]
pub enum Content<'a> {
    /// Text.
    Text(Written<'a>),
    /// An image.
    Image(Source<'a>),
    /// A document.
    Document {
        /// Where it is.
        source: Source<'a>,
        /// What it is called.
        title: Option<Written<'a>>,
        /// What else the caller says of it.
        context: Option<Written<'a>>,
    },
    /// A call of a tool, by the model.
    ToolUse {
        /// Its id.
        id: Written<'a>,
        /// The tool.
        name: Written<'a>,
        /// An object.
        input: Raw<'a>,
    },
    /// What came of a call.
    ToolResult {
        /// The id of the call.
        id: Written<'a>,
        /// The tool failed.
        failed: bool,
        /// What it said; may be empty.
        blocks: Vec<Block<'a>>,
    },
    /// A tool that a search has found: from here on the model may call it.
    ToolReference(Written<'a>),
    /// A tool that comes or goes in the middle of a conversation.
    ToolChange {
        /// It comes.
        added: bool,
        /// Its name.
        name: Written<'a>,
        /// Its definition, where that comes along.
        definition: Option<Box<Tool<'a>>>,
    },
    /// What the model thought.
    Thinking {
        /// The words.
        text: Written<'a>,
        /// The proof of who thought it; empty where there is none.
        signature: Written<'a>,
    },
    /// What the model thought, for its maker alone.
    RedactedThinking(Written<'a>),
    /// A piece of a source that can be cited.
    SearchResult {
        /// Where it is from.
        source: Written<'a>,
        /// What it is called.
        title: Written<'a>,
        /// Its text.
        blocks: Vec<Block<'a>>,
    },
    /// What a provider's own tools, or a provider, have left in the history.
    Server(Raw<'a>, Written<'a>),
    /// A block of a kind that nobody knows, with that kind.
    Unknown(Raw<'a>, Written<'a>),
}

/// Where an image or a document is.
#[derive(Clone, Debug)]
pub enum Source<'a> {
    /// Here, in base64.
    Base64 {
        /// Its media type.
        media: Written<'a>,
        /// The digits.
        data: Written<'a>,
    },
    /// At an address.
    Url(Written<'a>),
    /// At the provider, by its id.
    File(Written<'a>),
    /// Here, as text.
    Text(Written<'a>),
    /// Here, as blocks.
    Blocks(Vec<Block<'a>>),
    /// Somewhere that nobody knows: its type.
    Unknown(Written<'a>),
}

/// The definition of a tool.
#[derive(Clone, Debug)]
pub struct Tool<'a> {
    /// Its name.
    pub name: Written<'a>,
    /// What it is for.
    pub description: Option<Written<'a>>,
    /// The schema of its input; none of tools that providers define.
    pub schema: Option<Raw<'a>>,
    /// Its type, where that is not `custom`: a tool that the provider defines, and most of them it runs.
    pub kind: Option<Written<'a>>,
    /// Not shown to the model before a search has found it.
    pub deferred: bool,
    /// The input has to follow the schema.
    pub strict: bool,
    /// `cache_control`.
    pub mark: Option<Raw<'a>>,
}

/// Which tool has to be called.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Choice<'a> {
    /// As the model likes.
    Auto,
    /// Any of them.
    Any,
    /// None.
    Nothing,
    /// This one.
    Tool(Written<'a>),
}

/// How much the model may think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking {
    /// Not at all.
    Disabled,
    /// Up to so many tokens.
    Enabled(Option<u64>),
    /// As much as it finds right.
    Adaptive,
}

/// The form that the answer has to have.
#[derive(Clone, Copy, Debug)]
pub struct Format<'a> {
    /// A JSON schema.
    pub schema: Raw<'a>,
    /// What the schema is called.
    pub name: Option<Written<'a>>,
    /// Whether the model may not stray from it, where the caller says so.
    pub strict: Option<bool>,
}

impl<'a> Conversation<'a> {
    /// Every block with its turn's role, in the order of the conversation, those inside of tool results after
    /// the result.
    pub fn each_block<'c>(&'c self, mut each: impl FnMut(Role, &'c Block<'a>)) {
        for turn in &self.turns {
            for block in &turn.blocks {
                block.each(&mut |block| each(turn.role, block));
            }
        }
    }
}

impl<'a> Block<'a> {
    fn each<'c>(&'c self, each: &mut dyn FnMut(&'c Self)) {
        each(self);
        match &self.content {
            Content::ToolResult { blocks, .. }
            | Content::SearchResult { blocks, .. }
            | Content::Document { source: Source::Blocks(blocks), .. } => {
                for block in blocks {
                    block.each(each);
                }
            }
            _ => {}
        }
    }
}
