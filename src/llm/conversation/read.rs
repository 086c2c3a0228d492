//! Reads the top level of a request.

use std::ops::Range;

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::named::Named;
use crate::llm::conversation::{Choice, Conversation, Format, Other, Refusal, Role, Thinking, Turn, Why};
use crate::llm::written::Written;

const FIELDS: &[&str] = &[
    "model",
    "messages",
    "system",
    "tools",
    "tool_choice",
    "max_tokens",
    "stream",
    "stop_sequences",
    "thinking",
    "output_config",
    "metadata",
    "temperature",
    "top_p",
    "top_k",
];

/// Reads a body for `/v1/messages`.
///
/// # Errors
/// A [`Refusal`] that names the field.
pub fn read(body: &[u8]) -> Result<Conversation<'_>, Refusal> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new("body", Why::Kind("a JSON object")));
    }
    let mut reader = Reader { body, blocks: 0, others: Vec::new(), at: At::Top, effort: None };
    let mut out = Conversation::default();
    let mut top = reader.named(0..body.len(), FIELDS)?;
    out.model = top.needed("model", &named_so)?;
    out.stream = top.flag("stream", &named_so)?.unwrap_or(false);
    out.max_tokens = top.number("max_tokens", &named_so)?;
    out.sampling = [top.raw("temperature"), top.raw("top_p"), top.raw("top_k")];
    if let Some(system) = top.take("system") {
        reader.at = At::System;
        out.system = reader.blocks(&system, 0)?;
    }
    let messages = top.take("messages").ok_or_else(|| Refusal::new("messages", Why::Missing))?;
    out.turns = reader.turns(&messages)?;
    if let Some(tools) = top.take("tools") {
        out.tools = reader.tools(&tools)?;
    }
    reader.at = At::Top;
    reader.details(&mut top, &mut out)?;
    out.effort = reader.effort.or(out.effort);
    top.leave("", &mut reader.others);
    out.others = reader.others;
    Ok(out)
}

fn named_so(name: &str) -> String {
    name.to_owned()
}

/// Where the walk is, for refusals.
#[derive(Clone, Copy, Debug)]
pub(super) enum At {
    Top,
    System,
    Turn(usize),
    Block(usize, usize),
    Tool(usize),
}

/// A walk over a body.
#[derive(Debug)]
pub(super) struct Reader<'a> {
    pub(super) body: &'a [u8],
    /// <= `limits::BLOCKS_MAX`.
    pub(super) blocks: usize,
    pub(super) others: Vec<Other<'a>>,
    pub(super) at: At,
    /// `output_config.effort` of the last turn that has one.
    pub(super) effort: Option<Written<'a>>,
}

impl<'a> Reader<'a> {
    pub(super) fn named(
        &self,
        span: Range<usize>,
        names: &'static [&'static str],
    ) -> Result<Named<'a>, Refusal> {
        Named::read(self.body, span, names, &|name| self.place(name))
    }

    /// The place of the member `name` of what is being read.
    pub(super) fn place(&self, name: &str) -> String {
        match self.at {
            At::Top => name.to_owned(),
            At::System => format!("system.{name}"),
            At::Turn(turn) => format!("messages.{turn}.{name}"),
            At::Block(turn, block) => format!("messages.{turn}.content.{block}.{name}"),
            At::Tool(tool) => format!("tools.{tool}.{name}"),
        }
    }

    pub(super) fn refuse<T>(&self, name: &str, why: Why) -> Result<T, Refusal> {
        Err(Refusal::new(self.place(name), why))
    }

    fn turns(&mut self, messages: &Value) -> Result<Vec<Turn<'a>>, Refusal> {
        if messages.kind != Kind::Array {
            return Err(Refusal::new("messages", Why::Kind("an array")));
        }
        let mut turns = Vec::new();
        json::elements(self.body, messages.span.clone(), |message| {
            self.at = At::Turn(turns.len());
            if turns.len() == limits::TURNS_MAX {
                return Err(Refusal::new("messages", Why::TooMany(limits::TURNS_MAX)));
            }
            if message.kind != Kind::Object {
                return self.refuse("role", Why::Kind("a member of an object"));
            }
            let mut named = self.named(message.span, &["role", "content", "output_config"])?;
            let role = match named.needed("role", &|name| self.place(name))? {
                role if role.is("user") => Role::User,
                role if role.is("assistant") => Role::Assistant,
                role if role.is("system") => Role::System,
                _ => return self.refuse("role", Why::Role),
            };
            let content = named.take("content").map_or_else(|| self.refuse("content", Why::Missing), Ok)?;
            let blocks = self.blocks(&content, 0)?;
            if let Some(span) = object(&mut named, "output_config")? {
                // From here on: the answer is to the last turn, so the last word holds.
                let mut inner = self.named(span, &["effort"])?;
                let place = |name: &str| self.place(&format!("output_config.{name}"));
                self.effort = inner.text("effort", &place)?.or(self.effort);
                inner.leave("messages.output_config", &mut self.others);
            }
            named.leave("messages", &mut self.others);
            turns.push(Turn { role, blocks });
            Ok(())
        })?;
        Ok(turns)
    }

    /// The smaller objects of the top level.
    fn details(&mut self, top: &mut Named<'a>, out: &mut Conversation<'a>) -> Result<(), Refusal> {
        if let Some(stops) = top.take("stop_sequences") {
            self.stops(&stops, out)?;
        }
        if let Some(span) = object(top, "tool_choice")? {
            self.choice(span, out)?;
        }
        if let Some(span) = object(top, "thinking")? {
            self.thinking(span, out)?;
        }
        if let Some(span) = object(top, "output_config")? {
            self.output_config(span, out)?;
        }
        if let Some(span) = object(top, "metadata")? {
            let mut named = self.named(span, &["user_id"])?;
            out.user = named.text("user_id", &|name| format!("metadata.{name}"))?;
            named.leave("metadata", &mut self.others);
        }
        Ok(())
    }

    fn stops(&self, stops: &Value, out: &mut Conversation<'a>) -> Result<(), Refusal> {
        if stops.kind != Kind::Array {
            return self.refuse("stop_sequences", Why::Kind("an array"));
        }
        json::elements(self.body, stops.span.clone(), |stop| {
            let inner = stop.inner(self.body).map(Written::new);
            let Some(stop) = inner else {
                return self.refuse("stop_sequences", Why::Kind("an array of strings"));
            };
            if out.stops.len() == limits::STOPS_MAX {
                return self.refuse("stop_sequences", Why::TooMany(limits::STOPS_MAX));
            }
            if stop.bytes().len() > limits::STOP_BYTES_MAX {
                return self.refuse("stop_sequences", Why::TooLong(limits::STOP_BYTES_MAX));
            }
            if !stop.bytes().is_empty() {
                out.stops.push(stop);
            }
            Ok(())
        })
    }

    fn choice(&mut self, span: Range<usize>, out: &mut Conversation<'a>) -> Result<(), Refusal> {
        let place = |name: &str| format!("tool_choice.{name}");
        let mut named = self.named(span, &["type", "name", "disable_parallel_tool_use"])?;
        out.one_call = named.flag("disable_parallel_tool_use", &place)?.unwrap_or(false);
        let kind = named.needed("type", &place)?;
        out.choice = Some(match &*kind.text() {
            "auto" => Choice::Auto,
            "any" => Choice::Any,
            "none" => Choice::Nothing,
            "tool" => Choice::Tool(named.needed("name", &place)?),
            _ => return Err(Refusal::new(place("type"), Why::Kind("auto, any, tool or none"))),
        });
        named.leave("tool_choice", &mut self.others);
        Ok(())
    }

    fn thinking(&mut self, span: Range<usize>, out: &mut Conversation<'a>) -> Result<(), Refusal> {
        let place = |name: &str| format!("thinking.{name}");
        let mut named = self.named(span, &["type", "budget_tokens", "display"])?;
        let budget = named.number("budget_tokens", &place)?;
        let kind = named.needed("type", &place)?;
        out.thinking = Some(match &*kind.text() {
            "disabled" => Thinking::Disabled,
            "enabled" => Thinking::Enabled(budget),
            "adaptive" => Thinking::Adaptive,
            _ => return Err(Refusal::new(place("type"), Why::Kind("enabled, disabled or adaptive"))),
        });
        out.thinking_hidden = named.text("display", &place)?.is_some_and(|display| display.is("omitted"));
        named.leave("thinking", &mut self.others);
        Ok(())
    }

    fn output_config(&mut self, span: Range<usize>, out: &mut Conversation<'a>) -> Result<(), Refusal> {
        let place = |name: &str| format!("output_config.{name}");
        let mut named = self.named(span, &["effort", "format"])?;
        out.effort = named.text("effort", &place)?;
        if let Some(format) = object(&mut named, "format")? {
            let place = |name: &str| format!("output_config.format.{name}");
            let mut inner = self.named(format, &["type", "schema", "name", "strict"])?;
            if !inner.needed("type", &place)?.is("json_schema") {
                return Err(Refusal::new(place("type"), Why::Kind("json_schema")));
            }
            let schema = inner.raw("schema").filter(|schema| schema.kind == Kind::Object);
            let schema = schema.ok_or_else(|| Refusal::new(place("schema"), Why::Kind("an object")))?;
            let (name, strict) = (inner.text("name", &place)?, inner.flag("strict", &place)?);
            out.format = Some(Format { schema, name, strict });
            inner.leave("output_config.format", &mut self.others);
        }
        named.leave("output_config", &mut self.others);
        Ok(())
    }
}

/// The place of the member `name`, which is an object when it is there.
fn object(named: &mut Named<'_>, name: &'static str) -> Result<Option<Range<usize>>, Refusal> {
    match named.take(name) {
        None => Ok(None),
        Some(value) if value.kind == Kind::Object => Ok(Some(value.span)),
        Some(_) => Err(Refusal::new(name, Why::Kind("an object"))),
    }
}
