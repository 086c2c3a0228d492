//! Writes a conversation as a request for Converse.

use crate::llm::bedrock::converse::content::Ground;
use crate::llm::bedrock::converse::turns::Turns;
use crate::llm::bedrock::converse::{Target, tools};
use crate::llm::conversation::{Conversation, Refusal, Why};
use crate::llm::foreign::effort::level;
use crate::llm::foreign::fields::{self, Care};
use crate::llm::foreign::tools::runnable;
use crate::llm::foreign::{Translated, UnknownFields, request};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::written::{Writer, Written};

/// Translates a request, for an answer in pieces or whole: the path alone says which.
///
/// # Errors
/// A [`Refusal`] that names what the model cannot take.
pub fn translate(conversation: &Conversation<'_>, target: &Target<'_>) -> Result<Translated, Refusal> {
    let mut losses = Losses::default();
    let unknown = if target.drop_unknown { UnknownFields::Drop } else { UnknownFields::Refuse };
    let care = Care { handled: target.handled, carried: &[], unknown };
    runnable(conversation, target.handled, &|_| false)?;
    fields::judge(conversation, care, &mut losses)?;
    let names = request::names(conversation, &mut losses);
    let ground = Ground { target, names: &names };
    let mut out = Writer::with_room(request::room(conversation));
    out.open('{');
    let (stops_told, stops_left) = inference(conversation, target, &mut out, &mut losses);
    output(conversation, target, &mut out, &mut losses)?;
    if let Some(top_k) = conversation.sampling[2] {
        match target.top_k {
            Some(name) => {
                out.key("additionalModelRequestFields").open('{').key(name).raw(top_k.bytes()).close('}');
            }
            None => losses.note("top_k", Treatment::Dropped),
        }
    }
    if let Some(user) = target.user {
        out.key("requestMetadata").open('{').key("user").text(user).close('}');
    }
    if conversation.user.is_some() {
        let kept = target.user.is_some();
        losses.note("metadata.user_id", if kept { Treatment::Emulated } else { Treatment::Dropped });
    }
    let mut turns = Turns::new(conversation, ground, &mut losses);
    tools::write(conversation, ground, &mut turns, &mut out)?;
    turns.system(&mut out)?;
    out.key("messages").open('[');
    turns.write(&mut out)?;
    out.close(']').close('}');
    Ok(Translated { body: out.done(), names, stops_told, stops_left, losses })
}

/// Stop sequences that are told and those that are left.
type Stops = (Vec<Box<str>>, Vec<Box<str>>);

fn inference(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> Stops {
    out.key("inferenceConfig").open('{');
    if let Some(asked) = conversation.max_tokens {
        let most = target.max_tokens_max.unwrap_or(asked);
        if asked > most {
            losses.note("max_tokens", Treatment::Clamped);
        }
        out.key("maxTokens").number(asked.min(most));
    }
    for (name, key, value) in [
        ("temperature", "temperature", conversation.sampling[0]),
        ("top_p", "topP", conversation.sampling[1]),
    ] {
        match value {
            None => {}
            Some(value) if target.sampling => drop(out.key(key).raw(value.bytes())),
            Some(_) => losses.note(name, Treatment::Dropped),
        }
    }
    let (told, left) = conversation.stops.split_at(conversation.stops.len().min(target.stops_max));
    if !told.is_empty() {
        out.key("stopSequences").open('[');
        for stop in told {
            out.written(*stop);
        }
        out.close(']');
    }
    out.close('}');
    left.iter().for_each(|_| losses.note("stop_sequences", Treatment::Enforced));
    let owned = |stops: &[Written<'_>]| stops.iter().map(|stop| stop.text().into()).collect();
    (owned(told), owned(left))
}

/// Writes `outputConfig`: the form of the answer, and how much is to be thought.
fn output(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let level = level(conversation, target.efforts, losses)?;
    if conversation.format.is_some() && !target.json_schema {
        let why = Why::Unsupported("it has no JSON schemas for answers");
        return Err(Refusal::new("output_config.format", why));
    }
    if level.is_none() && conversation.format.is_none() {
        return Ok(());
    }
    out.key("outputConfig").open('{');
    if let Some(level) = level {
        out.key("effort").text(level);
    }
    if let Some(format) = conversation.format {
        out.key("textFormat").open('{').key("type").text("json_schema");
        out.key("structure").open('{').key("jsonSchema").open('{').key("schema");
        out.begin_text().more_json(format.schema.bytes()).end_text().key("name");
        match format.name {
            Some(name) => out.written(name),
            None => out.text("answer"),
        };
        out.close('}').close('}').close('}');
    }
    out.close('}');
    Ok(())
}
