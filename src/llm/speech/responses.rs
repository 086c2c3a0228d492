//! A provider of OpenAI's Responses.

use crate::llm::conversation::{Conversation, Refusal};
use crate::llm::openai_responses::{Reading, StreamReader, Target, translate};
use crate::llm::signature;
use crate::llm::speech::{Ask, Ear, Listener, Spoken};

/// A provider of OpenAI's Responses.
#[derive(Clone, Debug)]
pub struct Responses {
    /// What it takes. Model, origin, effort levels and what is about the caller are those of each call.
    pub takes: Target<'static>,
    /// What stands in signatures of its thinking, which only it can read again:
    /// [`origin`](crate::llm::openai_responses::origin) of its name.
    pub origin: Box<str>,
    /// The levels of `reasoning.effort` that its models have.
    pub efforts: Box<[&'static str]>,
    /// Whether it knows `prompt_cache_key` and `safety_identifier`.
    pub knows_callers: bool,
}

impl Responses {
    pub(super) fn say(&self, conversation: &Conversation<'_>, ask: &Ask<'_>) -> Result<Spoken, Refusal> {
        let known = |name| self.knows_callers.then_some(name).filter(|name: &&str| !name.is_empty());
        let target = Target {
            model: ask.model,
            origin: &self.origin,
            efforts: &self.efforts,
            cache_key: known(ask.conversation),
            user: known(ask.caller).map(|caller| ("safety_identifier", caller)),
            ..self.takes.clone()
        };
        let made = translate(conversation, &target)?;
        let reading = Reading { names: made.names, nonce: ask.nonce, origin: self.origin.clone() };
        let ear = Ear {
            listener: Listener::Responses(Box::new(StreamReader::new(reading))),
            stops: made.stops_left,
            signature: signature::tag(&self.origin, b"").into_boxed_str(),
        };
        Ok(Spoken { path: "/responses".into(), body: made.body, losses: made.losses, ear })
    }
}
