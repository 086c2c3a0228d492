//! Fields of the top level that both of OpenAI's dialects have.

use crate::json::{self, Kind, Value};
use crate::limits;
use crate::llm::conversation::named::Named;
use crate::llm::conversation::{Other, Refusal, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::{Raw, Writer, Written};

/// Why a field is refused that says what no other vendor's models do.
pub(super) const NOTHING_LIKE_IT: Why = Why::Unsupported("it can be asked for at OpenAI's own models only");

/// Fields without which the answer is the same in kind.
const DROPPED: &[&str] = &[
    "user",
    "safety_identifier",
    "metadata",
    "store",
    "seed",
    "service_tier",
    "prompt_cache_key",
    "prompt_cache_retention",
    "prompt_cache_options",
    "prediction",
    "verbosity",
];

/// Fields that ask for nothing where they have one of these values, and are refused with any other.
const UNLESS: &[(&str, &[&str])] = &[
    ("n", &["1"]),
    ("logprobs", &["false"]),
    ("top_logprobs", &["0"]),
    ("logit_bias", &["{}"]),
    ("presence_penalty", &["0", "0.0"]),
    ("frequency_penalty", &["0", "0.0"]),
    ("modalities", &["[\"text\"]", "[]"]),
    ("background", &["false"]),
    ("truncation", &["\"disabled\""]),
];

/// The place of a member of the top level.
pub(super) fn top(name: &str) -> String {
    name.to_owned()
}

/// Judges what nobody has taken.
///
/// # Errors
/// The first field that may not be left out.
pub(super) fn judge(others: &[Other<'_>], losses: &mut Losses) -> Result<(), Refusal> {
    for Other { name, value, .. } in others {
        let name = name.text();
        let bare: Vec<u8> =
            value.bytes().iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
        if let Some(known) = DROPPED.iter().find(|known| **known == name) {
            losses.note(*known, Treatment::Dropped);
            continue;
        }
        let harmless = UNLESS.iter().find(|(known, _)| **known == name).map(|(_, harmless)| *harmless);
        if !harmless.unwrap_or_default().iter().any(|word| word.as_bytes() == bare) {
            let end = name.floor_char_boundary(limits::MODEL_SHOWN_CHARS_MAX);
            return Err(Refusal::new(name.get(..end).unwrap_or_default(), NOTHING_LIKE_IT));
        }
    }
    Ok(())
}

/// Writes `temperature` and `top_p`.
///
/// # Errors
/// One that is no number.
pub(super) fn sampling(named: &mut Named<'_>, losses: &mut Losses, out: &mut Writer) -> Result<(), Refusal> {
    for name in ["temperature", "top_p"] {
        let Some(raw) = named.raw(name) else { continue };
        let number = number(&raw).ok_or_else(|| Refusal::new(name, Why::Kind("a number")))?;
        if number > 1.0 {
            losses.note(name, Treatment::Clamped);
        } else if number < 1.0 {
            out.key(name).raw(raw.bytes());
        }
    }
    Ok(())
}

fn number(raw: &Raw<'_>) -> Option<f64> {
    if raw.kind != Kind::Number {
        return None;
    }
    str::from_utf8(raw.bytes()).ok()?.parse().ok()
}

/// Writes `thinking` and says the effort for `output_config`, for a word of OpenAI's.
///
/// # Errors
/// A word that is none.
pub(super) fn effort<'w>(
    word: Written<'w>,
    place: &str,
    losses: &mut Losses,
    out: &mut Writer,
) -> Result<Option<Written<'w>>, Refusal> {
    const LOW: Written<'_> = Written::new(b"low");
    Ok(match &*word.text() {
        "none" => {
            out.key("thinking").raw(b"{\"type\":\"disabled\"}");
            None
        }
        "minimal" => {
            losses.note("reasoning_effort", Treatment::Clamped);
            Some(LOW)
        }
        "low" | "medium" | "high" | "xhigh" | "max" => Some(word),
        _ => {
            let why = Why::Kind("one of none, minimal, low, medium, high, xhigh and max");
            return Err(Refusal::new(place, why));
        }
    })
}

/// Writes `output_config`, where there is something to write.
pub(super) fn output_config(effort: Option<Written<'_>>, schema: Option<Raw<'_>>, out: &mut Writer) {
    if effort.is_none() && schema.is_none() {
        return;
    }
    out.key("output_config").open('{');
    if let Some(effort) = effort {
        out.key("effort").written(effort);
    }
    if let Some(schema) = schema {
        out.key("format").open('{').key("type").text("json_schema");
        out.key("schema").raw(schema.bytes()).close('}');
    }
    out.close('}');
}

/// The schema that an answer has to follow, by the `type` of a format and the object that has `schema`.
///
/// # Errors
/// A type that no other vendor has, or a schema that is none.
pub(super) fn schema<'a>(
    kind: Written<'a>,
    holder: Option<Raw<'a>>,
    place: &str,
) -> Result<Option<Raw<'a>>, Refusal> {
    match &*kind.text() {
        "text" => Ok(None),
        "json_schema" => {
            let holder = holder.ok_or_else(|| Refusal::new(place, Why::Missing))?;
            let mut named = Named::read(holder.bytes(), 0..holder.bytes().len(), &["schema"], &top)?;
            let schema = named.raw("schema").filter(|schema| schema.kind == Kind::Object);
            let schema =
                schema.ok_or_else(|| Refusal::new(format!("{place}.schema"), Why::Kind("an object")));
            schema.map(Some)
        }
        _ => {
            let why = Why::Unsupported("an answer can be held to a JSON schema only: use `json_schema`");
            Err(Refusal::new(format!("{place}.type"), why))
        }
    }
}

/// Writes `max_tokens`.
pub(super) fn max_tokens(most: Option<u64>, out: &mut Writer) {
    out.key("max_tokens").number(most.unwrap_or(limits::INWARD_OUTPUT_TOKENS));
}

/// Writes `stop_sequences` of a string or a list of strings.
///
/// # Errors
/// Anything else, or too many.
pub(super) fn stops(body: &[u8], value: &Value, out: &mut Writer) -> Result<(), Refusal> {
    const WRONG: Why = Why::Kind("a string or an array of strings");
    if let Some(stop) = value.inner(body) {
        if !stop.is_empty() {
            out.key("stop_sequences").open('[').written(Written::new(stop)).close(']');
        }
        return Ok(());
    }
    if value.kind != Kind::Array {
        return Err(Refusal::new("stop", WRONG));
    }
    let mut stops = Vec::new();
    json::elements(body, value.span.clone(), |stop| {
        let stop = stop.inner(body).ok_or_else(|| Refusal::new("stop", WRONG))?;
        if stops.len() == limits::STOPS_MAX {
            return Err(Refusal::new("stop", Why::TooMany(limits::STOPS_MAX)));
        }
        stops.push(Written::new(stop));
        Ok(())
    })?;
    stops.retain(|stop| !stop.bytes().is_empty());
    if !stops.is_empty() {
        out.key("stop_sequences").open('[');
        for stop in stops {
            out.written(stop);
        }
        out.close(']');
    }
    Ok(())
}
