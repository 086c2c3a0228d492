//! Reads definitions of tools.

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::read::{At, Reader};
use crate::llm::conversation::{Refusal, Tool, Why};

/// The rest of what is known says how a tool is offered or called, which is for the caller or its provider:
/// `eager_input_streaming`, `allowed_callers`, `input_examples`.
const FIELDS: &[&str] =
    &["name", "description", "input_schema", "type", "defer_loading", "strict", "cache_control"];

impl<'a> Reader<'a> {
    pub(super) fn tools(&mut self, list: &Value) -> Result<Vec<Tool<'a>>, Refusal> {
        if list.kind != Kind::Array {
            return Err(Refusal::new("tools", Why::Kind("an array")));
        }
        let mut tools = Vec::new();
        json::elements(self.body, list.span.clone(), |value| {
            self.at = At::Tool(tools.len());
            if tools.len() == limits::TOOLS_MAX {
                return Err(Refusal::new("tools", Why::TooMany(limits::TOOLS_MAX)));
            }
            tools.push(self.tool(&value)?);
            Ok(())
        })?;
        Ok(tools)
    }

    pub(super) fn tool(&mut self, value: &Value) -> Result<Tool<'a>, Refusal> {
        if value.kind != Kind::Object {
            return self.refuse("name", Why::Kind("a member of an object"));
        }
        let mut named = self.named(value.span.clone(), FIELDS)?;
        let place = |name: &str| self.place(name);
        let kind = named.text("type", &place)?.filter(|kind| !kind.is("custom"));
        let name = match (named.text("name", &place)?, kind) {
            (Some(name), _) => name,
            // Sets of tools of a provider's connections have no name.
            (None, Some(kind)) => kind,
            (None, None) => return self.refuse("name", Why::Missing),
        };
        let schema = named.raw("input_schema");
        if schema.is_some_and(|schema| schema.kind != Kind::Object) {
            return self.refuse("input_schema", Why::Kind("an object"));
        }
        let tool = Tool {
            name,
            description: named.text("description", &place)?,
            schema,
            kind,
            deferred: named.flag("defer_loading", &place)?.unwrap_or(false),
            strict: named.flag("strict", &place)?.unwrap_or(false),
            mark: named.raw("cache_control"),
        };
        named.leave("tools", &mut self.others);
        Ok(tool)
    }
}
