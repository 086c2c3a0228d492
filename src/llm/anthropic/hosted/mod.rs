//! Requests for Anthropic's models where a cloud hosts them and takes the same body with a few differences.
//!
//! The body stays as it was written but for those: `model` stands in the path, `anthropic_version` in the
//! body, betas in the body or under other names, and what a cloud's own check of the schema would refuse is
//! left out with a note, or refused here by its name. Attribution block, order and cache marks stay, since
//! the same models read them. What differs is data in a [`Host`], so that a new model or beta is no new code.

mod betas;
mod cuts;
mod edits;
#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::json::{self, Field, Kind, Value};
use crate::llm::anthropic::strip;
use crate::llm::conversation::{Refusal, Why};
use crate::llm::loss::{Losses, Treatment};

pub use betas::Beta;

use betas::Betas;
use cuts::Cuts;
use edits::Walk;

/// What one cloud takes.
#[derive(Clone, Debug)]
pub struct Host<'a> {
    /// The value of `anthropic_version` in the body.
    pub version: &'a str,
    /// `stream` stays in the body; else the path alone says it.
    pub stream_in_body: bool,
    /// Betas go into `anthropic_beta` of the body; else they are for the header.
    pub betas_in_body: bool,
    /// The betas that the cloud knows; others are dropped with a note, since it would refuse the request.
    pub betas: &'a [Beta<'a>],
    /// The fields of the top level that it takes.
    pub fields: Fields<'a>,
    /// What becomes of fields of the top level that nobody knows.
    pub unknown: Unknown,
    /// Kinds of edits in `context_management` that it takes; nothing: all.
    pub edits: Option<&'a [&'a str]>,
    /// Members of tools that it does not know.
    pub tool_fields_left_out: &'a [&'a str],
    /// What types of tools that it does not run begin with.
    pub tools_refused: &'a [&'a str],
    /// `ttl` in `cache_control` is known to this model.
    pub cache_ttl: bool,
    /// Our own name of it, for sentences: `Bedrock`.
    pub name: &'static str,
}

/// Which fields of the top level are taken.
#[derive(Clone, Copy, Debug)]
pub enum Fields<'a> {
    /// These alone.
    Only(&'a [&'a str]),
    /// All but these.
    AllBut(&'a [&'a str]),
}

/// What becomes of fields that nobody knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The request is refused, and the field named.
    Refuse,
    /// They are dropped with a note.
    Drop,
}

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Wanted<'a> {
    /// The model's id at the cloud.
    pub model: &'a str,
    /// The values of all `anthropic-beta` lines of the caller's head.
    pub betas: &'a [&'a str],
    /// Tokens are to be counted, not written.
    pub count: Option<Count>,
}

/// How a cloud counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Count {
    /// Of a whole request: `max_tokens` has to be there, whatever it is.
    WholeRequest,
    /// Of a request that names its model.
    NamedModel,
}

/// A request for the cloud.
#[derive(Clone, Debug)]
pub struct Hosted {
    /// The body.
    pub body: Vec<u8>,
    /// The betas that it goes out with, by the cloud's names: in the body already where they belong there,
    /// else for the header.
    pub betas: Vec<String>,
    /// What could not be carried over as it was.
    pub losses: Losses,
}

/// Fields of the top level that may be dropped with a note: how Anthropic itself keeps, bills, runs and
/// watches a request.
const TERMS: &[&str] = &[
    "billing_policy",
    "cache_control",
    "compaction",
    "container",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "service_tier",
    "speed",
    "tags",
    "thread",
    "user_profile_id",
    "workspace_id",
];

/// What cannot be dropped, and why: somebody relies on it.
const RELIED_ON: &[(&str, &str)] = &[
    ("safeguards", "it has no check of tool calls, so the client has to make its own"),
    ("mcp_servers", "it does not connect to MCP servers; offer their tools as tools"),
];

/// Makes the request for `host` of a caller's body for `/v1/messages` or `/v1/messages/count_tokens`.
///
/// # Errors
/// A [`Refusal`] that names what the cloud does not take and nobody may leave out.
pub fn request(body: &[u8], wanted: &Wanted<'_>, host: &Host<'_>) -> Result<Hosted, Refusal> {
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Refusal::new("body", Why::Kind("a JSON object")));
    }
    let mut losses = Losses::default();
    let mut top = Top::default();
    json::fields(body, |field| top.take(body, field, host, &mut losses))?;
    let mut cuts = Cuts::default();
    for cut in strip::foreign_thinking(body)? {
        losses.note("messages.content.thinking", Treatment::Dropped);
        cuts.replace(cut.span, cut.by);
    }
    let mut walk = Walk { body, host, cuts: &mut cuts, losses: &mut losses };
    for member in &top.kept {
        walk.member(&member.name, &member.value)?;
    }
    let mut betas = Betas::new(wanted.model, host.betas);
    wanted.betas.iter().for_each(|line| betas.line(line, &mut losses));
    if let Some(own) = &top.betas {
        betas.list(body, own, &mut losses)?;
    }
    if let Some(edits) = top.kept.iter_mut().find(|member| member.name == "context_management") {
        edits.left_out = !edits::edits(body, &edits.value, host.edits, &mut cuts, &mut losses)?;
        if edits.left_out {
            betas.leave_out(&["context-management-", "compact-"], &mut losses);
        }
    }
    if top.names_edits_no_more() {
        losses.note("context_management", Treatment::Dropped);
    }
    let betas = betas.done();
    let body = top.write(body, wanted, host, &betas, &cuts.sorted());
    Ok(Hosted { body, betas, losses })
}

/// One member that stays.
#[derive(Clone, Debug)]
struct Member<'a> {
    name: Cow<'a, str>,
    /// From the opening quote of its name.
    start: usize,
    value: Value,
    left_out: bool,
}

/// The members of the top level.
#[derive(Default)]
struct Top<'a> {
    kept: Vec<Member<'a>>,
    /// `anthropic_beta`, of callers who speak a cloud's dialect themselves.
    betas: Option<Value>,
}

impl<'a> Top<'a> {
    fn take(
        &mut self,
        body: &'a [u8],
        Field { key, value }: Field<'a>,
        host: &Host<'_>,
        losses: &mut Losses,
    ) -> Result<(), Refusal> {
        let name = json::text(key.raw)?;
        if self.kept.iter().any(|member| member.name == name) {
            return Err(Refusal::new(name, Why::Twice));
        }
        match &*name {
            "model" | "anthropic_version" => return Ok(()),
            "stream" if !host.stream_in_body => return Ok(()),
            "anthropic_beta" => {
                if self.betas.replace(value).is_some() {
                    return Err(Refusal::new(name, Why::Twice));
                }
                return Ok(());
            }
            _ => {}
        }
        let taken = match host.fields {
            Fields::Only(fields) => fields.contains(&&*name),
            Fields::AllBut(fields) => !fields.contains(&&*name),
        };
        if taken {
            self.kept.push(Member { name, start: key.at - 1, value, left_out: false });
            return Ok(());
        }
        left_out(body, name, &value, host, losses)
    }

    fn names_edits_no_more(&self) -> bool {
        self.kept.iter().any(|member| member.name == "context_management" && member.left_out)
    }

    fn write(
        &self,
        body: &[u8],
        wanted: &Wanted<'_>,
        host: &Host<'_>,
        betas: &[String],
        cuts: &[cuts::Cut],
    ) -> Vec<u8> {
        let mut out = Vec::with_capacity(body.len() + 256);
        out.extend_from_slice(b"{\"anthropic_version\":");
        json::write_string(&mut out, host.version);
        if host.betas_in_body && !betas.is_empty() {
            out.extend_from_slice(b",\"anthropic_beta\":[");
            for (index, beta) in betas.iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                json::write_string(&mut out, beta);
            }
            out.push(b']');
        }
        match wanted.count {
            Some(Count::NamedModel) => {
                out.extend_from_slice(b",\"model\":");
                json::write_string(&mut out, wanted.model);
            }
            Some(Count::WholeRequest) if !self.kept.iter().any(|member| member.name == "max_tokens") => {
                // It has to be more than what may be thought.
                let least = self.thinking_tokens(body).saturating_add(1);
                out.extend_from_slice(format!(",\"max_tokens\":{least}").as_bytes());
            }
            _ => {}
        }
        for member in self.kept.iter().filter(|member| !member.left_out) {
            out.push(b',');
            cuts::copy(body, member.start..member.value.span.end, cuts, &mut out);
        }
        out.push(b'}');
        out
    }

    fn thinking_tokens(&self, body: &[u8]) -> u64 {
        let thinking = self.kept.iter().find(|member| member.name == "thinking");
        let mut tokens = 0;
        if let Some(Member { value: Value { kind: Kind::Object, span }, .. }) = thinking {
            let walked: Result<(), json::Fault> = json::fields_at(body, span.clone(), |field| {
                if field.key.raw == b"budget_tokens" {
                    tokens = field.value.as_u64(body).unwrap_or(0);
                }
                Ok(())
            });
            // A value that is none is for the cloud to refuse.
            walked.unwrap_or_default();
        }
        tokens
    }
}

/// What becomes of a field of the top level that the cloud does not take.
fn left_out(
    body: &[u8],
    name: Cow<'_, str>,
    value: &Value,
    host: &Host<'_>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let void = match value.kind {
        Kind::Null => true,
        Kind::Array | Kind::Object => {
            let bytes = value.bytes(body);
            bytes.get(1..bytes.len() - 1).is_some_and(|inner| inner.trim_ascii().is_empty())
        }
        Kind::String | Kind::Number | Kind::True | Kind::False => false,
    };
    if let (Some((_, why)), false) = (RELIED_ON.iter().find(|(field, _)| *field == name), void) {
        return Err(Refusal::new(name, Why::Unsupported(why)));
    }
    let known = void || TERMS.contains(&&*name);
    if !known && host.unknown == Unknown::Refuse {
        let why = "it is not known here what it means; a new field needs a newer gateway";
        return Err(Refusal::new(name, Why::Unsupported(why)));
    }
    losses.note(name.into_owned(), Treatment::Dropped);
    Ok(())
}
