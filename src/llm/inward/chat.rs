//! Reads a request for Chat Completions.

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::named::Named;
use crate::llm::conversation::{Other, Refusal, Why};
use crate::llm::inward::fields::{self, top};
use crate::llm::inward::turns::{Speaker, Turns};
use crate::llm::inward::{Inward, parts, tools};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::{Raw, Writer, Written};

const FIELDS: &[&str] = &[
    "model",
    "messages",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "temperature",
    "top_p",
    "stop",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "response_format",
    "reasoning_effort",
];

const MESSAGE: &[&str] =
    &["role", "content", "name", "tool_calls", "tool_call_id", "refusal", "reasoning_content", "reasoning"];

/// Reads a body for `/v1/chat/completions`.
///
/// # Errors
/// A [`Refusal`] that names the field.
pub(super) fn read(body: &[u8]) -> Result<Inward, Refusal> {
    let mut losses = Losses::default();
    let mut named = Named::read(body, 0..body.len(), FIELDS, &top)?;
    let messages = named.take("messages").ok_or_else(|| Refusal::new("messages", Why::Missing))?;
    let mut reader = Reader { body, turns: Turns::default(), losses: &mut losses };
    reader.messages(&messages)?;
    let turns = reader.turns;
    if turns.is_empty() {
        return Err(Refusal::new("messages", Why::Kind("an array with a message of the user")));
    }
    let mut out = Writer::with_room(turns.bytes() + body.len() / 4 + 512);
    out.open('{').key("model").written(named.needed("model", &top)?);
    let most = named.number("max_tokens", &top)?;
    fields::max_tokens(named.number("max_completion_tokens", &top)?.or(most), &mut out);
    if named.flag("stream", &top)? == Some(true) {
        out.key("stream").raw(b"true");
    }
    fields::sampling(&mut named, &mut losses, &mut out)?;
    if let Some(stop) = named.take("stop") {
        fields::stops(body, &stop, &mut out)?;
    }
    let effort = match named.text("reasoning_effort", &top)? {
        Some(word) => fields::effort(word, "reasoning_effort", &mut losses, &mut out)?,
        None => None,
    };
    let schema = match named.raw("response_format") {
        Some(format) => read_format(format)?,
        None => None,
    };
    fields::output_config(effort, schema, &mut out);
    let offered = match named.take("tools") {
        Some(list) => tools::write(body, &list, &mut out)?,
        None => false,
    };
    let (choice, parallel) = (named.raw("tool_choice"), named.flag("parallel_tool_calls", &top)?);
    tools::write_choice(choice, parallel, offered, &mut out)?;
    // What is asked of the end of a stream is for whoever writes it.
    named.take("stream_options");
    let mut others: Vec<Other<'_>> = Vec::new();
    named.leave("", &mut others);
    fields::judge(&others, &mut losses)?;
    turns.write(offered, &mut out);
    out.close('}');
    Ok(Inward { body: out.done(), losses })
}

/// Reads `response_format`.
fn read_format(format: Raw<'_>) -> Result<Option<Raw<'_>>, Refusal> {
    const PLACE: &str = "response_format";
    if format.kind != Kind::Object {
        return Err(Refusal::new(PLACE, Why::Kind("an object")));
    }
    let at = |name: &str| format!("{PLACE}.{name}");
    let mut named = Named::read(format.bytes(), 0..format.bytes().len(), &["type", "json_schema"], &at)?;
    let kind = named.needed("type", &at)?;
    let holder = named.raw("json_schema").filter(|holder| holder.kind == Kind::Object);
    fields::schema(kind, holder, "response_format.json_schema")
}

struct Reader<'a, 'l> {
    body: &'a [u8],
    turns: Turns,
    losses: &'l mut Losses,
}

impl<'a> Reader<'a, '_> {
    fn messages(&mut self, list: &Value) -> Result<(), Refusal> {
        if list.kind != Kind::Array {
            return Err(Refusal::new("messages", Why::Kind("an array")));
        }
        let mut index = 0;
        json::elements(self.body, list.span.clone(), |message| {
            let place = format!("messages[{index}]");
            if index == limits::TURNS_MAX {
                return Err(Refusal::new("messages", Why::TooMany(limits::TURNS_MAX)));
            }
            index += 1;
            if message.kind != Kind::Object {
                return Err(Refusal::new(place, Why::Kind("an object")));
            }
            self.message(&message, &place)
        })
    }

    fn message(&mut self, message: &Value, place: &str) -> Result<(), Refusal> {
        let at = |name: &str| format!("{place}.{name}");
        let mut named = Named::read(self.body, message.span.clone(), MESSAGE, &at)?;
        let role = named.needed("role", &at)?;
        let content = named.take("content");
        let parts = match &content {
            Some(content) => parts::read(self.body, content, &at("content"), self.losses)?,
            None => Vec::new(),
        };
        if named.take("name").is_some() {
            self.losses.note("messages.name", Treatment::Dropped);
        }
        match &*role.text() {
            "system" | "developer" => {
                for text in parts::texts(parts, &at("content"))? {
                    self.turns.instruction(text)?;
                }
            }
            "user" => parts::add(&mut self.turns, Speaker::User, &parts, &at("content"))?,
            "tool" => {
                let id = named.needed("tool_call_id", &at)?;
                if id.is_blank() {
                    return Err(Refusal::new(at("tool_call_id"), Why::Missing));
                }
                let bytes = content.map_or(0, |content| content.span.len());
                self.turns.result(id, bytes, |out| parts::write_content(&parts, &at("content"), out))?;
            }
            "assistant" => {
                parts::add(&mut self.turns, Speaker::Model, &parts, &at("content"))?;
                if let Some(refusal) = named.text("refusal", &at)? {
                    self.turns.text(Speaker::Model, refusal)?;
                }
                if let Some(calls) = named.take("tool_calls") {
                    self.calls(&calls, &at("tool_calls"))?;
                }
                let thoughts = [named.take("reasoning_content"), named.take("reasoning")];
                if thoughts.iter().any(Option::is_some) {
                    self.losses.note("messages.reasoning_content", Treatment::Dropped);
                }
            }
            _ => {
                let why = Why::Kind("system, developer, user, assistant or tool");
                return Err(Refusal::new(at("role"), why));
            }
        }
        leave(named, place)
    }

    fn calls(&mut self, calls: &Value, place: &str) -> Result<(), Refusal> {
        if calls.kind != Kind::Array {
            return Err(Refusal::new(place, Why::Kind("an array")));
        }
        let mut index = 0;
        json::elements(self.body, calls.span.clone(), |call| {
            let at = |name: &str| format!("{place}[{index}].{name}");
            if call.kind != Kind::Object {
                return Err(Refusal::new(at("function"), Why::Kind("a member of an object")));
            }
            let mut named = Named::read(self.body, call.span, &["id", "type", "function"], &at)?;
            if named.text("type", &at)?.is_some_and(|kind| !kind.is("function")) {
                return Err(Refusal::new(at("type"), Why::Kind("function")));
            }
            let id = named.needed("id", &at)?;
            let function = named.raw("function").filter(|function| function.kind == Kind::Object);
            let function = function.ok_or_else(|| Refusal::new(at("function"), Why::Missing))?;
            let inner = |name: &str| at(&format!("function.{name}"));
            let whole = 0..function.bytes().len();
            let mut named = Named::read(function.bytes(), whole, &["name", "arguments"], &inner)?;
            let name: Written<'a> = named.needed("name", &inner)?;
            let arguments = named.text("arguments", &inner)?;
            self.turns.call((id, name), arguments, &inner("arguments"))?;
            index += 1;
            Ok(())
        })
    }
}

/// Refuses what a message has that nobody else would read: what a model did by sound, or by functions of old.
fn leave(named: Named<'_>, place: &str) -> Result<(), Refusal> {
    const HARMLESS: &[&str] = &["annotations", "reasoning_details"];
    let mut others = Vec::new();
    named.leave("messages", &mut others);
    for Other { name, value, .. } in &others {
        if value.is_void() || HARMLESS.iter().any(|known| name.is(known)) {
            continue;
        }
        let name = name.text();
        let end = name.floor_char_boundary(limits::MODEL_SHOWN_CHARS_MAX);
        let place = format!("{place}.{}", name.get(..end).unwrap_or_default());
        return Err(Refusal::new(place, fields::NOTHING_LIKE_IT));
    }
    Ok(())
}
