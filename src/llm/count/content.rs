//! Goes through a conversation and counts all that the model reads.

use std::collections::BTreeSet;

use crate::llm::conversation::{Block, Content, Conversation, Source, Tool};
use crate::llm::count::image::{Images, size_of};
use crate::llm::written::{Raw, Written};
use crate::tokens;

/// Tokens of a turn's frame: who speaks, where it begins and ends.
const TURN: u64 = 4;

/// Tokens of a block's frame: of a call or a result its id and its place.
const CALL: u64 = 12;

/// Tokens of a definition's frame.
const TOOL: u64 = 16;

/// Tokens of what Anthropic tells the model about tools as soon as there is one
/// (docs.claude.com/en/docs/agents-and-tools/tool-use/overview).
const TOOLS_PROMPT: u64 = 346;

/// Tokens of a tool that the provider defines, whose definition is not in the request: the text editor has
/// 700, the shell 245.
const PROVIDERS_TOOL: u64 = 500;

/// Bytes of a PDF for each token. Anthropic says 1,500 to 3,000 tokens a page; pages have about 50 KB.
const PDF_BYTES_PER_TOKEN: u64 = 20;

/// Tokens of one page.
const PAGE: u64 = 2_250;

/// Tokens of a document that is not in the request: ten pages.
const UNSEEN_DOCUMENT: u64 = 10 * PAGE;

/// Tokens of a conversation by the public vocabulary, with what providers add; never 0. Takes time in
/// proportion to all texts of the conversation, about 60 ms for a megabyte.
pub fn estimate(conversation: &Conversation<'_>, images: Images) -> u64 {
    Counter { images, exact: true, total: 0 }.all(conversation)
}

/// The same by the lengths of texts alone, without looking at them: for numbers that are wanted at once and
/// replaced by better ones. A token is taken for 3.5 bytes.
pub fn rough(conversation: &Conversation<'_>, images: Images) -> u64 {
    Counter { images, exact: false, total: 0 }.all(conversation)
}

struct Counter {
    images: Images,
    /// Texts are looked into.
    exact: bool,
    total: u64,
}

impl Counter {
    fn all(mut self, conversation: &Conversation<'_>) -> u64 {
        let mut found = BTreeSet::new();
        conversation.each_block(|_, block| {
            if let Content::ToolReference(name)
            | Content::ToolUse { name, .. }
            | Content::ToolChange { added: true, name, .. } = &block.content
            {
                found.insert(name.bytes());
            }
        });
        let mut any_tool = false;
        for tool in &conversation.tools {
            // What a search has to find first is in no prompt.
            if !tool.deferred || found.contains(tool.name.bytes()) {
                any_tool = true;
                self.tool(tool);
            }
        }
        self.add(if any_tool { TOOLS_PROMPT } else { 0 });
        conversation.system.iter().for_each(|block| self.block(block));
        for turn in &conversation.turns {
            self.add(TURN);
            turn.blocks.iter().for_each(|block| self.block(block));
        }
        if let Some(format) = &conversation.format {
            self.add(TOOL);
            self.raw(format.schema);
        }
        self.total.max(1)
    }

    fn add(&mut self, tokens: u64) {
        self.total = self.total.saturating_add(tokens);
    }

    fn text(&mut self, text: Written<'_>) {
        if self.exact {
            self.add(length(tokens::count(&text.text())));
        } else {
            self.by_length(text.bytes().len());
        }
    }

    /// JSON counts as the text that it is.
    fn raw(&mut self, raw: Raw<'_>) {
        if self.exact {
            self.add(length(tokens::count(&String::from_utf8_lossy(raw.bytes()))));
        } else {
            self.by_length(raw.bytes().len());
        }
    }

    fn by_length(&mut self, bytes: usize) {
        self.add(length(bytes).saturating_mul(2).div_ceil(7));
    }

    /// What is sealed has about as many bytes as what is inside, and base64 has four digits for three.
    fn sealed(&mut self, sealed: Written<'_>) {
        self.by_length(sealed.bytes().len() / 4 * 3);
    }

    fn tool(&mut self, tool: &Tool<'_>) {
        self.add(if tool.kind.is_some() { PROVIDERS_TOOL } else { TOOL });
        self.text(tool.name);
        tool.description.into_iter().for_each(|text| self.text(text));
        tool.schema.into_iter().for_each(|schema| self.raw(schema));
    }

    fn block(&mut self, block: &Block<'_>) {
        match &block.content {
            Content::Text(text) => self.text(*text),
            Content::Image(source) => self.image(source),
            Content::Document { source, title, context } => {
                title.iter().chain(context).for_each(|text| self.text(*text));
                self.document(source);
            }
            Content::ToolUse { id: _, name, input } => {
                self.add(CALL);
                self.text(*name);
                self.raw(*input);
            }
            Content::ToolResult { blocks, .. } => {
                self.add(CALL);
                blocks.iter().for_each(|block| self.block(block));
            }
            Content::ToolReference(name) => self.text(*name),
            Content::ToolChange { name, definition, .. } => match definition {
                Some(tool) => self.tool(tool),
                None => self.text(*name),
            },
            Content::Thinking { text, signature } if text.is_blank() => self.sealed(*signature),
            Content::Thinking { text, .. } => self.text(*text),
            Content::RedactedThinking(sealed) => self.sealed(*sealed),
            Content::SearchResult { source, title, blocks } => {
                self.add(CALL);
                self.text(*source);
                self.text(*title);
                blocks.iter().for_each(|block| self.block(block));
            }
            Content::Server(raw, _) | Content::Unknown(raw, _) => self.raw(*raw),
        }
    }

    fn image(&mut self, source: &Source<'_>) {
        let size = match source {
            Source::Base64 { data, .. } => size_of(&data.text()),
            _ => None,
        };
        self.add(self.images.tokens(size));
    }

    fn document(&mut self, source: &Source<'_>) {
        match source {
            Source::Base64 { data, .. } => {
                let bytes = length(data.bytes().len()) / 4 * 3;
                self.add((bytes / PDF_BYTES_PER_TOKEN).max(PAGE));
            }
            Source::Text(text) => self.text(*text),
            Source::Blocks(blocks) => blocks.iter().for_each(|block| self.block(block)),
            Source::Url(_) | Source::File(_) | Source::Unknown(_) => self.add(UNSEEN_DOCUMENT),
        }
    }
}

fn length(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}
