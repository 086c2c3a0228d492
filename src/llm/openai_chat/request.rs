//! Writes a conversation as a request for `/v1/chat/completions`.

use crate::llm::conversation::{Choice, Content, Conversation, Refusal, Role, Thinking, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::openai_chat::target::{MaxTokensField, Target};
use crate::llm::openai_chat::turns::Turns;
use crate::llm::openai_chat::{fields, tools};
use crate::llm::written::{Writer, Written};

/// A request for the target, and what its answer has to be read with.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The request.
    pub body: Vec<u8>,
    /// The way back for names of tools.
    pub names: Names,
    /// Stop sequences that the target has been told.
    pub stops_told: Vec<Box<str>>,
    /// Those that it has no room for: the writer of the answer enforces them.
    pub stops_left: Vec<Box<str>>,
    /// What could not be carried over as it was.
    pub losses: Losses,
}

/// Efforts from the least to the most.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// Translates a request.
///
/// # Errors
/// A [`Refusal`] that names what the target cannot take.
pub fn translate(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<Translated, Refusal> {
    let mut losses = Losses::default();
    fields::judge(conversation, target, &mut losses)?;
    let names = Names::of(names_of(conversation));
    if names.changed() {
        losses.note("tools.name", Treatment::Emulated);
    }
    let mut out = Writer::with_room(room(conversation));
    out.open('{').key("model").text(target.model);
    if conversation.stream {
        out.key("stream").raw(b"true");
        if target.usage_in_stream {
            out.key("stream_options").raw(b"{\"include_usage\":true}");
        }
    }
    max_tokens(conversation, target, &mut out, &mut losses);
    sampling(conversation, target, &mut out, &mut losses);
    let (stops_told, stops_left) = stops(conversation, target, &mut out, &mut losses);
    effort(conversation, target, &mut out, &mut losses)?;
    format(conversation, target, &mut out)?;
    if let Some((field, user)) = target.user {
        out.key(field).text(user);
    }
    if conversation.user.is_some() {
        let kept = target.user.is_some();
        losses.note("metadata.user_id", if kept { Treatment::Emulated } else { Treatment::Dropped });
    }
    if let Some(key) = target.cache_key {
        out.key("prompt_cache_key").text(key);
    }
    tools::write(conversation, target, &names, &mut out, &mut losses)?;
    out.key("messages").open('[');
    Turns::new(conversation, target, &names, &mut losses).write(&mut out)?;
    out.close(']').close('}');
    Ok(Translated { body: out.done(), names, stops_told, stops_left, losses })
}

/// Bytes that the request will have, about.
pub(in crate::llm) fn room(conversation: &Conversation<'_>) -> usize {
    let mut bytes = 4096;
    for tool in &conversation.tools {
        bytes += tool.schema.map_or(0, |schema| schema.bytes().len()) + 128;
        bytes += tool.description.map_or(0, |text| text.bytes().len());
    }
    let text = |content: &Content<'_>| match content {
        Content::Text(text) => text.bytes().len(),
        Content::ToolUse { input, .. } => input.bytes().len() * 5 / 4 + 64,
        _ => 64,
    };
    conversation.system.iter().for_each(|block| bytes += text(&block.content) + 32);
    conversation.each_block(|_, block| bytes += text(&block.content) + 64);
    bytes
}

/// Names of all tools: those that are defined, called, found and chosen.
pub(in crate::llm) fn names_of<'c, 'a>(
    conversation: &'c Conversation<'a>,
) -> impl Iterator<Item = Written<'a>> + Clone + 'c {
    let chosen = match conversation.choice {
        Some(Choice::Tool(name)) => Some(name),
        _ => None,
    };
    let used =
        conversation.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match &block.content {
            Content::ToolUse { name, .. } | Content::ToolChange { name, .. } => Some(*name),
            _ => None,
        });
    conversation.tools.iter().map(|tool| tool.name).chain(used).chain(chosen)
}

fn max_tokens(conversation: &Conversation<'_>, target: &Target<'_>, out: &mut Writer, losses: &mut Losses) {
    let Some(asked) = conversation.max_tokens else { return };
    let most = target.max_tokens_max.unwrap_or(asked);
    if asked > most {
        losses.note("max_tokens", Treatment::Clamped);
    }
    let field = match target.max_tokens_field {
        MaxTokensField::MaxTokens => "max_tokens",
        MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
    };
    out.key(field).number(asked.min(most));
}

fn sampling(conversation: &Conversation<'_>, target: &Target<'_>, out: &mut Writer, losses: &mut Losses) {
    let taken = [target.sampling, target.sampling, target.top_k];
    for ((name, value), taken) in
        ["temperature", "top_p", "top_k"].into_iter().zip(conversation.sampling).zip(taken)
    {
        match value {
            None => {}
            Some(value) if taken => drop(out.key(name).raw(value.bytes())),
            Some(_) => losses.note(name, Treatment::Dropped),
        }
    }
}

/// The first of them are for the target, the rest are for the writer of the answer.
fn stops(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> (Vec<Box<str>>, Vec<Box<str>>) {
    let (told, left) = conversation.stops.split_at(conversation.stops.len().min(target.stops_max));
    if !told.is_empty() {
        out.key("stop").open('[');
        for stop in told {
            out.written(*stop);
        }
        out.close(']');
    }
    left.iter().for_each(|_| losses.note("stop_sequences", Treatment::Enforced));
    let owned =
        |stops: &[Written<'_>]| stops.iter().map(|stop| stop.text().into()).collect::<Vec<Box<str>>>();
    (owned(told), owned(left))
}

/// What the caller wants the model to think: by its word, else by what it says of thinking.
fn wanted(conversation: &Conversation<'_>) -> Result<Option<&'static str>, Refusal> {
    if let Some(effort) = conversation.effort {
        let known = EFFORTS.iter().find(|word| effort.is(word));
        let why = Why::Kind("one of low, medium, high, xhigh and max");
        return known.copied().map(Some).ok_or_else(|| Refusal::new("output_config.effort", why));
    }
    Ok(match conversation.thinking {
        None => None,
        Some(Thinking::Disabled) => Some("none"),
        Some(Thinking::Adaptive | Thinking::Enabled(None)) => Some("high"),
        Some(Thinking::Enabled(Some(budget))) => Some(match budget {
            0..=4_096 => "low",
            4_097..=16_384 => "medium",
            16_385..=32_768 => "high",
            _ => "xhigh",
        }),
    })
}

fn effort(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    if let Some(level) = level(conversation, target.efforts, losses)? {
        out.key("reasoning_effort").text(level);
    }
    Ok(())
}

/// The one of the model's levels that is meant by what the caller wants; the next lower one where it has not
/// got that.
pub(in crate::llm) fn level<'t>(
    conversation: &Conversation<'_>,
    efforts: &'t [&'t str],
    losses: &mut Losses,
) -> Result<Option<&'t str>, Refusal> {
    let Some(wanted) = wanted(conversation)? else { return Ok(None) };
    if conversation.thinking.is_some() {
        losses.note("thinking", Treatment::Emulated);
    }
    let rank = |word: &str| EFFORTS.iter().position(|known| *known == word);
    let most = rank(wanted);
    let levels = || efforts.iter().copied().filter(|level| rank(level).is_some());
    let below = levels().filter(|level| rank(level) <= most).max_by_key(|level| rank(level));
    let Some(level) = below.or_else(|| levels().min_by_key(|level| rank(level))) else {
        losses.note("output_config.effort", Treatment::Dropped);
        return Ok(None);
    };
    if level != wanted {
        losses.note("output_config.effort", Treatment::Clamped);
    }
    Ok(Some(level))
}

fn format(conversation: &Conversation<'_>, target: &Target<'_>, out: &mut Writer) -> Result<(), Refusal> {
    let Some(format) = conversation.format else { return Ok(()) };
    if !target.json_schema {
        return Err(Refusal::new(
            "output_config.format",
            Why::Unsupported("it has no JSON schemas for answers"),
        ));
    }
    out.key("response_format").open('{').key("type").text("json_schema");
    out.key("json_schema").open('{').key("name");
    match format.name {
        Some(name) => out.written(name),
        None => out.text("answer"),
    };
    // Strictness is the caller's say: it forbids schemas with optional members.
    if let Some(strict) = format.strict {
        out.key("strict").raw(if strict { b"true" } else { b"false" });
    }
    out.key("schema").raw(format.schema.bytes()).close('}').close('}');
    Ok(())
}

/// Whether the last turn is the model's: Anthropic's models go on from there.
pub(super) fn is_prefilled(conversation: &Conversation<'_>) -> bool {
    conversation.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
}
