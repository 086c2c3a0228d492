//! Definitions of tools, and which of them is to be called.

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::named::Named;
use crate::llm::conversation::{Refusal, Why};
use crate::llm::inward::fields::top;
use crate::llm::written::{Raw, Writer, Written};

const FIELDS: &[&str] = &["type", "function", "name", "description", "parameters", "strict"];

/// Why a tool is refused that is no function.
const FUNCTIONS_ONLY: Why = Why::Unsupported(
    "only tools of `type` function, with a schema of their own, can be offered to its models",
);

/// Writes `tools`; whether there are any.
///
/// # Errors
/// A tool that is no function.
pub(super) fn write(body: &[u8], list: &Value, out: &mut Writer) -> Result<bool, Refusal> {
    if list.kind != Kind::Array {
        return Err(Refusal::new("tools", Why::Kind("an array")));
    }
    let mut index = 0;
    json::elements(body, list.span.clone(), |tool| {
        if index == limits::TOOLS_MAX {
            return Err(Refusal::new("tools", Why::TooMany(limits::TOOLS_MAX)));
        }
        if index == 0 {
            out.key("tools").open('[');
        }
        let at = index;
        index += 1;
        if tool.kind != Kind::Object {
            return Err(Refusal::new(format!("tools[{at}]"), Why::Kind("an object")));
        }
        write_tool(body, &tool, at, out)
    })?;
    if index > 0 {
        out.close(']');
    }
    Ok(index > 0)
}

fn write_tool(body: &[u8], tool: &Value, index: usize, out: &mut Writer) -> Result<(), Refusal> {
    let at = |name: &str| format!("tools[{index}].{name}");
    let mut named = Named::read(body, tool.span.clone(), FIELDS, &at)?;
    if !named.needed("type", &at)?.is("function") {
        return Err(Refusal::new(at("type"), FUNCTIONS_ONLY));
    }
    match named.raw("function") {
        // Chat Completions have it one level deeper.
        Some(inner) if inner.kind == Kind::Object => {
            let at = |name: &str| format!("tools[{index}].function.{name}");
            let whole = 0..inner.bytes().len();
            write_function(Named::read(inner.bytes(), whole, FIELDS, &at)?, &at, out)
        }
        Some(_) => Err(Refusal::new(at("function"), Why::Kind("an object"))),
        None => write_function(named, &at, out),
    }
}

fn write_function(
    mut named: Named<'_>,
    at: &dyn Fn(&str) -> String,
    out: &mut Writer,
) -> Result<(), Refusal> {
    let name = named.needed("name", at)?;
    if name.is_blank() {
        return Err(Refusal::new(at("name"), Why::Missing));
    }
    out.open('{').key("name").written(name);
    if let Some(description) = named.text("description", at)? {
        out.key("description").written(description);
    }
    out.key("input_schema");
    match named.raw("parameters") {
        None => {
            out.raw(b"{\"type\":\"object\",\"properties\":{}}");
        }
        Some(schema) if schema.kind == Kind::Object => write_schema(schema, out)?,
        Some(_) => return Err(Refusal::new(at("parameters"), Why::Kind("an object"))),
    }
    if named.flag("strict", at)? == Some(true) {
        out.key("strict").raw(b"true");
    }
    out.close('}');
    Ok(())
}

/// Anthropic's schemas say that they are those of objects; OpenAI's may leave it out.
fn write_schema(schema: Raw<'_>, out: &mut Writer) -> Result<(), Refusal> {
    // Most begin with it, which spares a walk.
    let first = schema.bytes().get(1..).unwrap_or_default().trim_ascii_start();
    if first.starts_with(b"\"type\":\"") {
        out.raw(schema.bytes());
        return Ok(());
    }
    let mut named = Named::read(schema.bytes(), 0..schema.bytes().len(), &["type"], &top)?;
    if named.take("type").is_some() {
        out.raw(schema.bytes());
        return Ok(());
    }
    out.raw(b"{\"type\":\"object\"");
    if first != b"}" {
        out.raw(first);
    } else {
        out.close('}');
    }
    Ok(())
}

/// Writes `tool_choice`, where tools are offered.
///
/// # Errors
/// A choice that Anthropic's form does not have.
pub(super) fn write_choice(
    choice: Option<Raw<'_>>,
    parallel: Option<bool>,
    offered: bool,
    out: &mut Writer,
) -> Result<(), Refusal> {
    const PLACE: &str = "tool_choice";
    let one_call = parallel == Some(false);
    let mut named: Option<Written<'_>> = None;
    let kind = match choice {
        None => "auto",
        Some(choice) if choice.kind == Kind::Object => {
            named = Some(named_tool(choice)?);
            "tool"
        }
        Some(choice) => match choice.string() {
            Some(word) if word.is("auto") => "auto",
            Some(word) if word.is("none") => "none",
            Some(word) if word.is("required") => "any",
            _ => return Err(Refusal::new(PLACE, Why::Kind("auto, none, required or a function"))),
        },
    };
    if !offered {
        // To have to call one of none is a mistake of the caller's.
        let wants = matches!(kind, "any" | "tool");
        return if wants { Err(Refusal::new("tools", Why::Missing)) } else { Ok(()) };
    }
    if kind == "auto" && !one_call {
        return Ok(());
    }
    out.key(PLACE).open('{').key("type").text(kind);
    if let Some(name) = named {
        out.key("name").written(name);
    }
    if one_call && kind != "none" {
        out.key("disable_parallel_tool_use").raw(b"true");
    }
    out.close('}');
    Ok(())
}

/// Reads `{"type": "function", "name"}`, where the name may stand one level deeper.
fn named_tool(choice: Raw<'_>) -> Result<Written<'_>, Refusal> {
    let at = |name: &str| format!("tool_choice.{name}");
    let mut named = Named::read(choice.bytes(), 0..choice.bytes().len(), FIELDS, &at)?;
    if !named.needed("type", &at)?.is("function") {
        return Err(Refusal::new(at("type"), FUNCTIONS_ONLY));
    }
    let Some(inner) = named.raw("function").filter(|inner| inner.kind == Kind::Object) else {
        return named.needed("name", &at);
    };
    let at = |name: &str| format!("tool_choice.function.{name}");
    Named::read(inner.bytes(), 0..inner.bytes().len(), &["name"], &at)?.needed("name", &at)
}
