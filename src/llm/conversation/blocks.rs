//! Reads content: a string, or blocks.

use std::ops::Range;

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::named::Named;
use crate::llm::conversation::read::{At, Reader};
use crate::llm::conversation::{Block, Content, Refusal, Source, Why};
use crate::llm::written::{Raw, Written};

/// The members of blocks of all kinds.
const FIELDS: &[&str] = &[
    "type",
    "text",
    "id",
    "name",
    "input",
    "tool_use_id",
    "content",
    "is_error",
    "cache_control",
    "thinking",
    "signature",
    "source",
    "title",
    "context",
    "data",
    "tool_name",
    "tool",
];

/// What providers' own tools and providers leave in a history.
const OF_SERVERS: &[&str] = &[
    "server_tool_use",
    "mcp_tool_use",
    "mcp_tool_result",
    "mcp_tool_listing",
    "container_upload",
    "compaction",
    "fallback",
];

impl<'a> Reader<'a> {
    /// Reads `content` at `depth` blocks below a message.
    pub(super) fn blocks(&mut self, content: &Value, depth: usize) -> Result<Vec<Block<'a>>, Refusal> {
        let mut blocks = Vec::new();
        match content.kind {
            Kind::String => {
                let text = Written::new(content.inner(self.body).unwrap_or_default());
                blocks.push(Block { content: Content::Text(text), mark: None });
            }
            Kind::Array => {
                if depth == limits::BLOCK_DEPTH_MAX {
                    return self.refuse("content", Why::Depth);
                }
                json::elements(self.body, content.span.clone(), |value| {
                    if depth == 0 {
                        self.at = match self.at {
                            At::Turn(turn) | At::Block(turn, _) => At::Block(turn, blocks.len()),
                            at @ (At::Top | At::System | At::Tool(_)) => at,
                        };
                    }
                    blocks.push(self.block(&value, depth)?);
                    Ok::<_, Refusal>(())
                })?;
            }
            _ => return self.refuse("content", Why::Kind("a string or an array")),
        }
        Ok(blocks)
    }

    fn block(&mut self, value: &Value, depth: usize) -> Result<Block<'a>, Refusal> {
        self.blocks += 1;
        if self.blocks > limits::BLOCKS_MAX {
            return Err(Refusal::new("messages", Why::TooMany(limits::BLOCKS_MAX)));
        }
        if value.kind != Kind::Object {
            return self.refuse("type", Why::Kind("a member of an object"));
        }
        let mut named = self.named(value.span.clone(), FIELDS)?;
        let kind = named.needed("type", &|name| self.place(name))?;
        let mark = named.raw("cache_control");
        let raw = Raw::new(Kind::Object, value.bytes(self.body));
        let name = kind.text();
        let content = match &*name {
            "text" => Content::Text(named.needed("text", &|name| self.place(name))?),
            "tool_use" => self.tool_use(&mut named)?,
            "tool_result" => Content::ToolResult {
                id: named.needed("tool_use_id", &|name| self.place(name))?,
                failed: named.flag("is_error", &|name| self.place(name))?.unwrap_or(false),
                blocks: self.inner(&mut named, depth)?,
            },
            "thinking" => Content::Thinking {
                text: named.text("thinking", &|name| self.place(name))?.unwrap_or_default(),
                signature: named.text("signature", &|name| self.place(name))?.unwrap_or_default(),
            },
            "redacted_thinking" => {
                Content::RedactedThinking(named.text("data", &|name| self.place(name))?.unwrap_or_default())
            }
            "image" => Content::Image(self.source(&mut named, depth)?),
            "document" => Content::Document {
                source: self.source(&mut named, depth)?,
                title: named.text("title", &|name| self.place(name))?,
                context: named.text("context", &|name| self.place(name))?,
            },
            "tool_reference" => Content::ToolReference(self.referred(&mut named)?),
            "tool_addition" | "tool_removal" => self.change(&mut named, &name)?,
            "search_result" => Content::SearchResult {
                source: named.needed("source", &|name| self.place(name))?,
                title: named.text("title", &|name| self.place(name))?.unwrap_or_default(),
                blocks: self.inner(&mut named, depth)?,
            },
            other if OF_SERVERS.contains(&other) || other.ends_with("_tool_result") => {
                return Ok(Block { content: Content::Server(raw, kind), mark });
            }
            _ => return Ok(Block { content: Content::Unknown(raw, kind), mark }),
        };
        named.leave("messages.content", &mut self.others);
        Ok(Block { content, mark })
    }

    fn tool_use(&self, named: &mut Named<'a>) -> Result<Content<'a>, Refusal> {
        let place = |name: &str| self.place(name);
        let (id, name) = (named.needed("id", &place)?, named.needed("name", &place)?);
        let input = named.raw("input").unwrap_or(Raw::new(Kind::Object, b"{}"));
        if input.kind != Kind::Object {
            return self.refuse("input", Why::Kind("an object"));
        }
        Ok(Content::ToolUse { id, name, input })
    }

    /// The blocks of `content` of a block.
    fn inner(&mut self, named: &mut Named<'a>, depth: usize) -> Result<Vec<Block<'a>>, Refusal> {
        named.take("content").map_or(Ok(Vec::new()), |content| self.blocks(&content, depth + 1))
    }

    /// `tool_name`, or `name` in the reference of a `tool_addition`.
    fn referred(&self, named: &mut Named<'a>) -> Result<Written<'a>, Refusal> {
        let place = |name: &str| self.place(name);
        match named.text("tool_name", &place)? {
            Some(name) => Ok(name),
            None => named.needed("name", &place),
        }
    }

    /// Reads `{"tool": {"type": "tool_reference", "name"} | {"type": "tool_definition", "definition"}}`.
    fn change(&mut self, named: &mut Named<'a>, kind: &str) -> Result<Content<'a>, Refusal> {
        let added = kind == "tool_addition";
        let Some(tool) = named.take("tool").filter(|tool| tool.kind == Kind::Object) else {
            return self.refuse("tool", Why::Kind("an object"));
        };
        let mut inner = self.named(tool.span, &["type", "name", "tool_name", "definition"])?;
        let (name, definition) = match inner.take("definition") {
            Some(definition) => {
                let definition = self.tool(&definition)?;
                (definition.name, Some(Box::new(definition)))
            }
            None => (self.referred(&mut inner)?, None),
        };
        inner.take("type");
        inner.leave("messages.content.tool", &mut self.others);
        Ok(Content::ToolChange { added, name, definition })
    }

    fn source(&mut self, named: &mut Named<'a>, depth: usize) -> Result<Source<'a>, Refusal> {
        match named.take("source") {
            Some(Value { kind: Kind::Object, span }) => self.source_at(span, depth),
            _ => self.refuse("source", Why::Kind("an object")),
        }
    }

    fn source_at(&mut self, span: Range<usize>, depth: usize) -> Result<Source<'a>, Refusal> {
        let mut inner = self.named(span, &["type", "media_type", "data", "url", "file_id", "content"])?;
        let place = |name: &str| self.place(&format!("source.{name}"));
        let kind = inner.needed("type", &place)?;
        let source = match &*kind.text() {
            "base64" => Source::Base64 {
                media: inner.needed("media_type", &place)?,
                data: inner.needed("data", &place)?,
            },
            "text" => {
                inner.take("media_type");
                Source::Text(inner.needed("data", &place)?)
            }
            "url" => Source::Url(inner.needed("url", &place)?),
            "file" => Source::File(inner.needed("file_id", &place)?),
            "content" => Source::Blocks(self.inner(&mut inner, depth)?),
            _ => return Ok(Source::Unknown(kind)),
        };
        inner.leave("messages.content.source", &mut self.others);
        Ok(source)
    }
}
