//! Writes a conversation as a plain request for `/v1/messages`.

use crate::llm::anthropic_lenient::target::Target;
use crate::llm::anthropic_lenient::tools;
use crate::llm::anthropic_lenient::turns::Turns;
use crate::llm::conversation::{Conversation, Refusal, Thinking, Why};
use crate::llm::foreign::fields::{self, Care};
use crate::llm::foreign::tools::runnable;
use crate::llm::foreign::{Translated, request};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::Writer;

/// Translates a request.
///
/// # Errors
/// A [`Refusal`] that names what the target cannot take.
pub fn translate(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<Translated, Refusal> {
    let mut losses = Losses::default();
    runnable(conversation, &[], &|_| false)?;
    fields::judge(conversation, Care { handled: &[], carried: &[], unknown: target.unknown }, &mut losses)?;
    let names = request::names(conversation, &mut losses);
    let mut out = Writer::with_room(request::room(conversation));
    out.open('{').key("model").text(target.model);
    // Such servers take a request without turns or room, and answer anything.
    let most = request::max_tokens(conversation, target.max_tokens_max, &mut losses);
    let Some(most) = most.filter(|most| *most > 0) else {
        return Err(Refusal::new("max_tokens", Why::Missing));
    };
    if conversation.turns.is_empty() {
        return Err(Refusal::new("messages", Why::Missing));
    }
    out.key("max_tokens").number(most);
    if conversation.stream {
        out.key("stream").raw(b"true");
    }
    let taken = [target.sampling, target.sampling, target.top_k];
    for (name, value) in request::sampling(conversation, taken, &mut losses) {
        out.key(name).raw(value);
    }
    let (told, left) = request::stops(conversation, target.stops_max, &mut losses);
    if !told.is_empty() {
        out.key("stop_sequences").open('[');
        for stop in told {
            out.written(*stop);
        }
        out.close(']');
    }
    thinking(conversation, target, &mut out, &mut losses);
    format(conversation, target, &mut out)?;
    request::user(conversation, false, &mut losses);
    tools::write(conversation, target, &names, &mut out, &mut losses)?;
    Turns::new(conversation, target, &names, &mut losses).write(&mut out)?;
    out.close('}');
    let (stops_told, stops_left) = (request::texts(told), request::texts(left));
    Ok(Translated { body: out.done(), names, stops_told, stops_left, losses })
}

fn thinking(conversation: &Conversation<'_>, target: &Target<'_>, out: &mut Writer, losses: &mut Losses) {
    if conversation.effort.is_some() {
        losses.note("output_config.effort", Treatment::Dropped);
    }
    match conversation.thinking {
        None => {}
        Some(Thinking::Disabled) if target.thinking => {
            out.key("thinking").raw(b"{\"type\":\"disabled\"}");
        }
        Some(Thinking::Enabled(Some(tokens))) if target.thinking => {
            out.key("thinking").open('{').key("type").text("enabled").key("budget_tokens").number(tokens);
            out.close('}');
        }
        Some(Thinking::Disabled | Thinking::Enabled(_) | Thinking::Adaptive) => {
            losses.note("thinking", Treatment::Dropped);
        }
    }
}

fn format(conversation: &Conversation<'_>, target: &Target<'_>, out: &mut Writer) -> Result<(), Refusal> {
    let Some(format) = conversation.format else { return Ok(()) };
    if !target.json_schema {
        let why = Why::Unsupported("it has no JSON schemas for answers");
        return Err(Refusal::new("output_config.format", why));
    }
    out.key("output_config").open('{').key("format").open('{').key("type").text("json_schema");
    out.key("schema").raw(format.schema.bytes()).close('}').close('}');
    Ok(())
}
