//! Writes a conversation as a request for `/v1/chat/completions`.

use crate::llm::conversation::{Conversation, Refusal, Why};
use crate::llm::foreign::fields::{self, Care};
use crate::llm::foreign::tools::runnable;
use crate::llm::foreign::{Translated, effort, request};
use crate::llm::loss::Losses;
use crate::llm::openai_chat::target::{MaxTokensField, Target};
use crate::llm::openai_chat::tools;
use crate::llm::openai_chat::turns::Turns;
use crate::llm::written::Writer;

/// Translates a request.
///
/// # Errors
/// A [`Refusal`] that names what the target cannot take.
pub fn translate(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<Translated, Refusal> {
    let mut losses = Losses::default();
    let Target { handled, unknown, .. } = *target;
    runnable(conversation, handled, &|_| false)?;
    fields::judge(conversation, Care { handled, carried: &[], unknown }, &mut losses)?;
    let names = request::names(conversation, &mut losses);
    let mut out = Writer::with_room(request::room(conversation));
    out.open('{').key("model").text(target.model);
    if conversation.stream {
        out.key("stream").raw(b"true");
        if target.usage_in_stream {
            out.key("stream_options").raw(b"{\"include_usage\":true}");
        }
    }
    if let Some(most) = request::max_tokens(conversation, target.max_tokens_max, &mut losses) {
        let field = match target.max_tokens_field {
            MaxTokensField::MaxTokens => "max_tokens",
            MaxTokensField::MaxCompletionTokens => "max_completion_tokens",
        };
        out.key(field).number(most);
    }
    let taken = [target.sampling, target.sampling, target.top_k];
    for (name, value) in request::sampling(conversation, taken, &mut losses) {
        out.key(name).raw(value);
    }
    let (told, left) = request::stops(conversation, target.stops_max, &mut losses);
    if !told.is_empty() {
        out.key("stop").open('[');
        for stop in told {
            out.written(*stop);
        }
        out.close(']');
    }
    if let Some(level) = effort::level(conversation, target.efforts, &mut losses)? {
        out.key("reasoning_effort").text(level);
    }
    format(conversation, target, &mut out)?;
    if let Some((field, user)) = target.user {
        out.key(field).text(user);
    }
    request::user(conversation, target.user.is_some(), &mut losses);
    if let Some(key) = target.cache_key {
        out.key("prompt_cache_key").text(key);
    }
    tools::write(conversation, target, &names, &mut out, &mut losses)?;
    out.key("messages").open('[');
    Turns::new(conversation, target, &names, &mut losses).write(&mut out)?;
    out.close(']').close('}');
    let (stops_told, stops_left) = (request::texts(told), request::texts(left));
    Ok(Translated { body: out.done(), names, stops_told, stops_left, losses })
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
