//! Writes a conversation as a request for `/v1/responses`.

use crate::json::{Fault, Field, Kind, elements, fields, fields_at};
use crate::llm::conversation::{Conversation, Refusal, Thinking, Why};
use crate::llm::foreign::fields::{self as other_fields, Care};
use crate::llm::foreign::tools::runnable;
use crate::llm::foreign::{Translated, effort, request};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::openai_responses::items::Items;
use crate::llm::openai_responses::target::Target;
use crate::llm::openai_responses::tools::{self, Search, runs};
use crate::llm::written::{Raw, Writer};

/// Fields of Anthropic's web search that the provider's search has, too.
const OF_SEARCH: [&str; 3] = ["tools.max_uses", "tools.allowed_domains", "tools.user_location"];

/// Where the caller says what the provider may do with a conversation that has grown long.
const CONTEXT: &str = "context_management";

/// Translates a request.
///
/// # Errors
/// A [`Refusal`] that names what the target cannot take.
pub fn translate(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<Translated, Refusal> {
    let mut losses = Losses::default();
    let search = Search::of(conversation, target);
    let mut carried = Vec::new();
    if search.is_some() {
        carried.extend(OF_SEARCH);
    }
    if target.compaction {
        carried.push(CONTEXT);
    }
    let Target { handled, unknown, .. } = *target;
    runnable(conversation, handled, &|kind| search.is_some() && runs(target, kind))?;
    other_fields::judge(conversation, Care { handled, carried: &carried, unknown }, &mut losses)?;
    let names = request::names(conversation, &mut losses);
    let mut out = Writer::with_room(request::room(conversation));
    out.open('{').key("model").text(target.model);
    if conversation.stream {
        out.key("stream").raw(b"true");
    }
    out.key("store").raw(b"false");
    if let Some(most) = request::max_tokens(conversation, target.max_tokens_max, &mut losses) {
        out.key("max_output_tokens").number(most);
    }
    let taken = [target.sampling, target.sampling, target.top_k];
    for (name, value) in request::sampling(conversation, taken, &mut losses) {
        out.key(name).raw(value);
    }
    let (_, left) = request::stops(conversation, 0, &mut losses);
    reasoning(conversation, target, search.is_some(), &mut out, &mut losses)?;
    format(conversation, target, &mut out)?;
    if let Some((field, user)) = target.user {
        out.key(field).text(user);
    }
    request::user(conversation, target.user.is_some(), &mut losses);
    if let Some(key) = target.cache_key {
        out.key("prompt_cache_key").text(key);
    }
    if target.compaction {
        compaction(conversation, &mut out, &mut losses)?;
    }
    let mut items = Items::new(conversation, target, &names, &mut losses)?;
    items.instructions(&mut out)?;
    tools::write(&mut items, search.as_ref(), &mut out)?;
    out.key("input").open('[');
    items.write(&mut out)?;
    out.close(']').close('}');
    let stops_left = request::texts(left);
    Ok(Translated { body: out.done(), names, stops_told: Vec::new(), stops_left, losses })
}

/// Writes `reasoning` and `include`.
fn reasoning(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    searches: bool,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let level = effort::level(conversation, target.efforts, losses)?;
    let thinks = matches!(conversation.thinking, Some(Thinking::Enabled(_) | Thinking::Adaptive));
    let summary = target.summary.filter(|_| level.is_some() && thinks && !conversation.thinking_hidden);
    if let Some(level) = level {
        out.key("reasoning").open('{').key("effort").text(level);
        if let Some(word) = summary {
            out.key("summary").text(word);
        }
        out.close('}');
    }
    if target.encrypted_reasoning || searches {
        out.key("include").open('[');
        if target.encrypted_reasoning {
            out.text("reasoning.encrypted_content");
        }
        if searches {
            out.text("web_search_call.action.sources");
        }
        out.close(']');
    }
    Ok(())
}

fn format(conversation: &Conversation<'_>, target: &Target<'_>, out: &mut Writer) -> Result<(), Refusal> {
    let Some(format) = conversation.format else { return Ok(()) };
    if !target.json_schema {
        return Err(Refusal::new(
            "output_config.format",
            Why::Unsupported("it has no JSON schemas for answers"),
        ));
    }
    out.key("text").open('{').key("format").open('{').key("type").text("json_schema").key("name");
    match format.name {
        Some(name) => out.written(name),
        None => out.text("answer"),
    };
    // Strictness is the caller's say: it forbids schemas with optional members.
    out.key("strict").raw(if format.strict == Some(true) { b"true" } else { b"false" });
    out.key("schema").raw(format.schema.bytes()).close('}').close('}');
    Ok(())
}

/// Of what may be done with a long conversation, the provider compacts it; the rest is the client's.
fn compaction(conversation: &Conversation<'_>, out: &mut Writer, losses: &mut Losses) -> Result<(), Refusal> {
    let asked = conversation.others.iter().find(|other| other.place.is_empty() && other.name.is(CONTEXT));
    let Some(asked) = asked.filter(|asked| !asked.value.is_void()) else { return Ok(()) };
    let (compact, others) = edits(asked.value)?;
    if others {
        losses.note(CONTEXT, Treatment::Dropped);
    }
    if let Some(threshold) = compact {
        losses.note("context_management.compact", Treatment::Emulated);
        out.key(CONTEXT).open('[').open('{').key("type").text("compaction");
        if let Some(tokens) = threshold {
            out.key("compact_threshold").number(tokens);
        }
        out.close('}').close(']');
    }
    Ok(())
}

/// Reads `{"edits": [{"type", "trigger": {"type": "input_tokens", "value"}}]}`: from how many tokens on the
/// conversation is to be compacted, when it is, and whether anything else is to be done.
fn edits(asked: Raw<'_>) -> Result<(Option<Option<u64>>, bool), Refusal> {
    let doc = asked.bytes();
    if asked.kind != Kind::Object {
        return Err(Refusal::new(CONTEXT, Why::Kind("an object")));
    }
    let (mut compact, mut others, mut list) = (None, false, None);
    fields(doc, |Field { key, value }| {
        match (key.raw, value.kind) {
            (b"edits", Kind::Array) => list = Some(value.span),
            _ => others = true,
        }
        Ok::<_, Fault>(())
    })?;
    let Some(list) = list else { return Ok((None, others)) };
    elements(doc, list, |edit| {
        let (mut is_compact, mut tokens) = (false, None);
        if edit.kind == Kind::Object {
            fields_at(doc, edit.span, |Field { key, value }| {
                match (key.raw, value.kind) {
                    (b"type", Kind::String) => {
                        is_compact = value.inner(doc).is_some_and(|kind| kind.starts_with(b"compact_"));
                    }
                    (b"trigger", Kind::Object) => {
                        fields_at(doc, value.span, |Field { key, value }| {
                            if key.raw == b"value" {
                                tokens = value.as_u64(doc);
                            }
                            Ok::<_, Fault>(())
                        })?;
                    }
                    _ => {}
                }
                Ok::<_, Fault>(())
            })?;
        }
        if is_compact {
            compact = Some(tokens);
        } else {
            others = true;
        }
        Ok::<_, Fault>(())
    })?;
    Ok((compact, others))
}
