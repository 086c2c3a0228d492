//! Reads a request for Responses.

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::named::Named;
use crate::llm::conversation::{Other, Refusal, Why};
use crate::llm::inward::fields::{self, top};
use crate::llm::inward::turns::{Speaker, Turns};
use crate::llm::inward::{Inward, parts, thoughts, tools};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::{Raw, Writer, Written};

const FIELDS: &[&str] = &[
    "model",
    "input",
    "instructions",
    "stream",
    "stream_options",
    "max_output_tokens",
    "temperature",
    "top_p",
    "tools",
    "tool_choice",
    "parallel_tool_calls",
    "text",
    "reasoning",
    "include",
    "previous_response_id",
    "conversation",
];

const ITEM: &[&str] =
    &["type", "role", "content", "call_id", "name", "arguments", "output", "encrypted_content"];

/// Why state at the provider is refused.
const STATELESS: Why = Why::Unsupported("send the whole conversation as `input`: nothing is kept in between");

/// Reads a body for `/v1/responses`.
///
/// # Errors
/// A [`Refusal`] that names the field.
pub(super) fn read(body: &[u8]) -> Result<Inward, Refusal> {
    let mut losses = Losses::default();
    let mut named = Named::read(body, 0..body.len(), FIELDS, &top)?;
    for name in ["previous_response_id", "conversation"] {
        if named.take(name).is_some() {
            return Err(Refusal::new(name, STATELESS));
        }
    }
    let mut reader = Reader { body, turns: Turns::default(), losses: &mut losses };
    if let Some(instructions) = named.text("instructions", &top)? {
        reader.turns.instruction(instructions)?;
    }
    let input = named.take("input").ok_or_else(|| Refusal::new("input", Why::Missing))?;
    reader.input(&input)?;
    let turns = reader.turns;
    if turns.is_empty() {
        return Err(Refusal::new("input", Why::Kind("a text or an array with a message of the user")));
    }
    let mut out = Writer::with_room(turns.bytes() + body.len() / 4 + 512);
    out.open('{').key("model").written(named.needed("model", &top)?);
    fields::max_tokens(named.number("max_output_tokens", &top)?, &mut out);
    if named.flag("stream", &top)? == Some(true) {
        out.key("stream").raw(b"true");
    }
    fields::sampling(&mut named, &mut losses, &mut out)?;
    details(&mut named, &mut losses, &mut out)?;
    let offered = match named.take("tools") {
        Some(list) => tools::write(body, &list, &mut out)?,
        None => false,
    };
    let (choice, parallel) = (named.raw("tool_choice"), named.flag("parallel_tool_calls", &top)?);
    tools::write_choice(choice, parallel, offered, &mut out)?;
    named.take("stream_options");
    let mut others: Vec<Other<'_>> = Vec::new();
    named.leave("", &mut others);
    fields::judge(&others, &mut losses)?;
    turns.write(offered, &mut out);
    out.close('}');
    Ok(Inward { body: out.done(), losses })
}

/// Reads `reasoning`, `text` and `include`.
fn details(named: &mut Named<'_>, losses: &mut Losses, out: &mut Writer) -> Result<(), Refusal> {
    let mut effort = None;
    if let Some(reasoning) = object(named, "reasoning")? {
        let at = |name: &str| format!("reasoning.{name}");
        let known = &["effort", "summary", "generate_summary"];
        let mut inner = Named::read(reasoning.bytes(), 0..reasoning.bytes().len(), known, &at)?;
        if let Some(word) = inner.text("effort", &at)? {
            effort = fields::effort(word, "reasoning.effort", losses, out)?;
        }
        let summaries = [inner.take("summary"), inner.take("generate_summary")];
        if summaries.iter().any(Option::is_some) {
            losses.note("reasoning.summary", Treatment::Dropped);
        }
    }
    let mut schema = None;
    if let Some(text) = object(named, "text")? {
        let at = |name: &str| format!("text.{name}");
        let mut inner = Named::read(text.bytes(), 0..text.bytes().len(), &["format", "verbosity"], &at)?;
        if inner.take("verbosity").is_some() {
            losses.note("verbosity", Treatment::Dropped);
        }
        if let Some(format) = inner.raw("format") {
            if format.kind != Kind::Object {
                return Err(Refusal::new(at("format"), Why::Kind("an object")));
            }
            let at = |name: &str| format!("text.format.{name}");
            let whole = 0..format.bytes().len();
            let kind = Named::read(format.bytes(), whole, &["type"], &at)?.needed("type", &at)?;
            schema = fields::schema(kind, Some(format), "text.format")?;
        }
    }
    fields::output_config(effort, schema, out);
    if let Some(include) = named.raw("include").filter(|include| !include.is_void()) {
        // The only list that agents without state ask for, see `thoughts`.
        const REASONING: &[u8] = b"[\"reasoning.encrypted_content\"]";
        let bare: Vec<u8> =
            include.bytes().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if bare != REASONING {
            return Err(Refusal::new("include", fields::NOTHING_LIKE_IT));
        }
    }
    Ok(())
}

fn object<'a>(named: &mut Named<'a>, name: &'static str) -> Result<Option<Raw<'a>>, Refusal> {
    match named.raw(name) {
        Some(raw) if raw.kind != Kind::Object => Err(Refusal::new(name, Why::Kind("an object"))),
        found => Ok(found),
    }
}

struct Reader<'a, 'l> {
    body: &'a [u8],
    turns: Turns,
    losses: &'l mut Losses,
}

impl<'a> Reader<'a, '_> {
    fn input(&mut self, input: &Value) -> Result<(), Refusal> {
        if let Some(text) = input.inner(self.body) {
            return self.turns.text(Speaker::User, Written::new(text));
        }
        if input.kind != Kind::Array {
            return Err(Refusal::new("input", Why::Kind("a string or an array of items")));
        }
        let mut index = 0;
        json::elements(self.body, input.span.clone(), |item| {
            let place = format!("input[{index}]");
            if index == limits::TURNS_MAX {
                return Err(Refusal::new("input", Why::TooMany(limits::TURNS_MAX)));
            }
            index += 1;
            if item.kind != Kind::Object {
                return Err(Refusal::new(place, Why::Kind("an object")));
            }
            self.item(&item, &place)
        })
    }

    fn item(&mut self, item: &Value, place: &str) -> Result<(), Refusal> {
        let at = |name: &str| format!("{place}.{name}");
        let mut named = Named::read(self.body, item.span.clone(), ITEM, &at)?;
        let kind = named.text("type", &at)?;
        match &*kind.map_or_else(|| "message".into(), Written::text) {
            "message" => self.message(&mut named, &at),
            "function_call" => {
                let (id, name) = (named.needed("call_id", &at)?, named.needed("name", &at)?);
                let arguments = named.text("arguments", &at)?;
                self.turns.call((id, name), arguments, &at("arguments"))
            }
            "function_call_output" => {
                let id: Written<'a> = named.needed("call_id", &at)?;
                let output = named.take("output").ok_or_else(|| Refusal::new(at("output"), Why::Missing))?;
                let parts = parts::read(self.body, &output, &at("output"), self.losses)?;
                let bytes = output.span.len();
                self.turns.result(id, bytes, |out| parts::write_content(&parts, &at("output"), out))
            }
            "reasoning" => {
                let sealed = named.text("encrypted_content", &at)?;
                match sealed.and_then(|sealed| thoughts::open(&sealed.text())) {
                    Some(thought) => self.turns.thought(&thought),
                    // Only who has thought it can read it again.
                    None => {
                        self.losses.note("input.reasoning", Treatment::Dropped);
                        Ok(())
                    }
                }
            }
            _ => {
                let why = Why::Unsupported("it is an item of a tool or a store that OpenAI runs");
                Err(Refusal::new(at("type"), why))
            }
        }
    }

    fn message(&mut self, named: &mut Named<'a>, at: &dyn Fn(&str) -> String) -> Result<(), Refusal> {
        let role = named.needed("role", at)?;
        let content = named.take("content").ok_or_else(|| Refusal::new(at("content"), Why::Missing))?;
        let parts = parts::read(self.body, &content, &at("content"), self.losses)?;
        match &*role.text() {
            "system" | "developer" => {
                for text in parts::texts(parts, &at("content"))? {
                    self.turns.instruction(text)?;
                }
                Ok(())
            }
            "user" => parts::add(&mut self.turns, Speaker::User, &parts, &at("content")),
            "assistant" => parts::add(&mut self.turns, Speaker::Model, &parts, &at("content")),
            _ => {
                let why = Why::Kind("system, developer, user or assistant");
                Err(Refusal::new(at("role"), why))
            }
        }
    }
}
