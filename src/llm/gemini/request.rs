//! Writes a conversation as a request for `models/{id}:generateContent`.

use std::fmt::Write as _;

use crate::llm::conversation::{Conversation, Refusal, Thinking as Asked};
use crate::llm::foreign::fields::{self, Care};
use crate::llm::foreign::parts::{Ground, Part, parts_of};
use crate::llm::foreign::tools::runnable;
use crate::llm::foreign::{CacheMarks, Translated, effort, request};
use crate::llm::gemini::parts::write_part;
use crate::llm::gemini::schema;
use crate::llm::gemini::target::{Target, Thinking};
use crate::llm::gemini::tools::{self, SEARCH_FIELDS, runs};
use crate::llm::gemini::turns::Turns;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::written::{Writer, Written};

/// All words for efforts, so that each stays what it is.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The path of a request below the API's version, with its query: `models/{id}:generateContent`, and for a
/// stream `models/{id}:streamGenerateContent?alt=sse`. On Vertex the provider's base ends in
/// `publishers/google`.
pub fn path(model: &str, stream: bool) -> String {
    let way = if stream { "streamGenerateContent?alt=sse" } else { "generateContent" };
    format!("{}:{way}", resource(model))
}

/// The name of a model as a part of paths, `models/{id}`.
pub(super) fn resource(model: &str) -> String {
    let mut out = String::from("models/");
    for byte in model.strip_prefix("models/").unwrap_or(model).bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@') {
            out.push(char::from(byte));
        } else {
            // A string takes all that is written to it.
            write!(out, "%{byte:02X}").unwrap_or_default();
        }
    }
    out
}

/// Translates a request.
///
/// # Errors
/// A [`Refusal`] that names what the target cannot take.
pub fn translate(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<Translated, Refusal> {
    let mut losses = Losses::default();
    let Target { handled, unknown, .. } = *target;
    let carried = if target.google_search { SEARCH_FIELDS } else { &[] };
    runnable(conversation, handled, &|kind| runs(target, kind))?;
    fields::judge(conversation, Care { handled, carried, unknown }, &mut losses)?;
    let names = request::names(conversation, &mut losses);
    // The API keeps prefixes by itself, so there is nothing to write.
    request::marks(conversation, CacheMarks::Automatic, &mut losses);
    let mut out = Writer::with_room(request::room(conversation));
    out.open('{');
    if let Some((name, value)) = target.label {
        out.key("labels").open('{').key(name).text(value).close('}');
    }
    request::user(conversation, target.label.is_some(), &mut losses);
    let ground = ground(target, &names);
    instructions(conversation, ground, &mut out, &mut losses)?;
    tools::write(conversation, target, &names, &mut out, &mut losses)?;
    let (told, left) = settings(conversation, target, &mut out, &mut losses)?;
    out.key("contents").open('[');
    Turns::new(conversation, target, ground, &mut losses).write(&mut out)?;
    out.close(']').close('}');
    let (stops_told, stops_left) = (request::texts(told), request::texts(left));
    Ok(Translated { body: out.done(), names, stops_told, stops_left, losses })
}

const fn ground<'t>(target: &Target<'_>, names: &'t Names) -> Ground<'t> {
    let Target { images, urls, files, .. } = *target;
    Ground { names, images, image_urls: urls, files, file_urls: urls }
}

/// Writes `systemInstruction`.
fn instructions(
    conversation: &Conversation<'_>,
    ground: Ground<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    use crate::llm::conversation::Why;
    let lines = request::instructions(conversation, losses);
    let parts = parts_of(lines.into_iter(), ground, "system", losses)?;
    if parts.is_empty() {
        return Ok(());
    }
    if parts.iter().any(|(part, _)| !matches!(part, Part::Text(_))) {
        return Err(Refusal::new("system", Why::Unsupported("its instructions are text only")));
    }
    out.key("systemInstruction").open('{').key("parts").open('[');
    for (part, _) in &parts {
        write_part(part, "system", out)?;
    }
    out.close(']').close('}');
    Ok(())
}

/// Writes `generationConfig`, and gives the stop sequences that the target has been told, and the others.
fn settings<'c, 'a>(
    conversation: &'c Conversation<'a>,
    target: &Target<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(&'c [Written<'a>], &'c [Written<'a>]), Refusal> {
    out.key("generationConfig").open('{');
    if let Some(most) = request::max_tokens(conversation, target.max_tokens_max, losses) {
        out.key("maxOutputTokens").number(most);
    }
    for (name, value) in request::sampling(conversation, [target.sampling; 3], losses) {
        let name = match name {
            "top_p" => "topP",
            "top_k" => "topK",
            other => other,
        };
        out.key(name).raw(value);
    }
    let (told, left) = request::stops(conversation, target.stops_max, losses);
    if !told.is_empty() {
        // The API does not say which of them has ended an answer, or whether one has.
        losses.note("stop_sequences", Treatment::Emulated);
        out.key("stopSequences").open('[');
        for stop in told {
            out.written(*stop);
        }
        out.close(']');
    }
    thinking(conversation, target, out, losses)?;
    if let Some(format) = conversation.format {
        out.key("responseMimeType").text("application/json");
        if target.json_schema {
            out.key("responseJsonSchema").raw(format.schema.bytes());
        } else {
            out.key("responseSchema");
            schema::write(format.schema, "output_config.format.schema", out, losses)?;
        }
        if format.name.is_some() {
            losses.note("output_config.format.name", Treatment::Dropped);
        }
    }
    out.close('}');
    Ok((told, left))
}

/// Writes `thinkingConfig`.
fn thinking(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let asked = conversation.thinking;
    match target.thinking {
        Thinking::Never => drop(effort::level(conversation, &[], losses)?),
        Thinking::Levels(levels) => {
            let Some(level) = effort::level(conversation, levels, losses)? else { return Ok(()) };
            out.key("thinkingConfig").open('{').key("thinkingLevel").text(&level.to_ascii_uppercase());
        }
        Thinking::Budget { least, most, off } => {
            let budget = match (asked, conversation.effort) {
                (Some(Asked::Enabled(Some(budget))), _) => Some(budget),
                (Some(Asked::Adaptive | Asked::Enabled(None)), None) => None,
                _ => match effort::level(conversation, EFFORTS, losses)? {
                    None => return Ok(()),
                    Some(word) => Some(budget_of(word)),
                },
            };
            out.key("thinkingConfig").open('{').key("thinkingBudget");
            match budget {
                // As much as the model finds right.
                None => drop(out.raw(b"-1")),
                Some(0) if off => drop(out.number(0)),
                Some(budget) => {
                    let within = budget.clamp(least, most.max(least));
                    if within != budget {
                        losses.note("thinking.budget_tokens", Treatment::Clamped);
                    }
                    out.number(within);
                }
            }
        }
    }
    if target.thinking != Thinking::Never {
        let wanted = matches!(asked, Some(Asked::Adaptive | Asked::Enabled(_)));
        let shown = wanted && !conversation.thinking_hidden;
        out.key("includeThoughts").raw(if shown { b"true" } else { b"false" }).close('}');
    }
    Ok(())
}

/// The budget of an effort, in tokens: what [`effort::level`] makes a word of, back.
fn budget_of(word: &str) -> u64 {
    match word {
        "none" => 0,
        "minimal" => 1_024,
        "low" => 4_096,
        "medium" => 16_384,
        _ => 32_768,
    }
}
