//! How providers of other dialects are spoken to: one face over all of them.
//!
//! A dialect is a folder beside this one and an arm in each match here. What is known of a provider is a
//! [`Speech`]; it makes of a conversation what is sent, and hands over an [`Interpreter`] for what comes
//! back.

mod converse;
mod gemini;
mod interpreter;
mod responses;
#[cfg(test)]
mod tests;

use std::borrow::Cow;

use crate::llm::anthropic_lenient;
use crate::llm::bedrock;
use crate::llm::conversation::{Conversation, Refusal};
use crate::llm::count::Images;
use crate::llm::gemini as google;
use crate::llm::loss::Losses;
use crate::llm::openai_chat;
use crate::llm::openai_responses;
use crate::llm::said::{Event, Failure};
use crate::llm::signature;

pub use converse::Converse;
pub use gemini::{Gemini, Generation, Thinks};
pub use interpreter::{Answering, Interpreter};
pub use responses::Responses;

/// What one provider speaks, as the config has it.
#[derive(Clone, Debug)]
pub enum Speech {
    /// Chat Completions.
    Chat(Box<Chat>),
    /// Anthropic's Messages, but not all of it. The model is that of each call.
    Lenient(Box<anthropic_lenient::Target<'static>>),
    /// OpenAI's Responses.
    Responses(Box<Responses>),
    /// Google's Gemini.
    Gemini(Box<Gemini>),
    /// Bedrock's Converse.
    Converse(Box<Converse>),
}

/// A provider of Chat Completions.
#[derive(Clone, Debug)]
pub struct Chat {
    /// What it takes. Model, effort levels and what is about the caller are those of each call.
    pub takes: openai_chat::Target<'static>,
    /// The levels of `reasoning_effort` that its models have.
    pub efforts: Box<[&'static str]>,
    /// Whether it knows `prompt_cache_key` and `safety_identifier`.
    pub knows_callers: bool,
}

/// What a call adds.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The model's id at the provider.
    pub model: &'a str,
    /// A name of the conversation that says nothing about the caller; may be empty.
    pub conversation: &'a str,
    /// A name of the caller that says nothing about it; may be empty.
    pub caller: &'a str,
    /// A number that tells this answer from others of the conversation.
    pub nonce: u32,
}

/// A request in the provider's dialect.
#[derive(Debug)]
pub struct Spoken {
    /// The address below the provider's base URL, beginning with a slash, with its query.
    pub path: Cow<'static, str>,
    /// The request.
    pub body: Vec<u8>,
    /// What could not be carried over as it was.
    pub losses: Losses,
    /// What the answer is read with.
    pub ear: Ear,
}

/// What the answer to one request is read with.
#[derive(Debug)]
pub struct Ear {
    listener: Listener,
    /// Sequences that end the answer, which the provider has no room for.
    stops: Vec<Box<str>>,
    /// What stands under thinking.
    signature: Box<str>,
}

/// Reads answers of a dialect.
#[derive(Debug)]
enum Listener {
    Chat(Box<openai_chat::StreamReader>),
    Lenient(Box<anthropic_lenient::StreamReader>),
    Responses(Box<openai_responses::StreamReader>),
    Gemini(Box<google::StreamReader>),
    Converse(Box<converse::Reader>),
}

impl Speech {
    /// Says a request of Anthropic's form in the provider's dialect.
    ///
    /// # Errors
    /// What the provider cannot take, with the name of the field.
    pub fn say(&self, conversation: &Conversation<'_>, ask: &Ask<'_>) -> Result<Spoken, Refusal> {
        match self {
            Self::Chat(chat) => {
                let known = |name| chat.knows_callers.then_some(name).filter(|name: &&str| !name.is_empty());
                let target = openai_chat::Target {
                    model: ask.model,
                    efforts: &chat.efforts,
                    cache_key: known(ask.conversation),
                    user: known(ask.caller).map(|caller| ("safety_identifier", caller)),
                    ..chat.takes.clone()
                };
                let made = openai_chat::translate(conversation, &target)?;
                let reading =
                    openai_chat::Reading { names: made.names, stops_told: made.stops_told, nonce: ask.nonce };
                let listener = Listener::Chat(Box::new(openai_chat::StreamReader::new(reading)));
                let signature = signature::tag(openai_chat::ORIGIN, b"").into_boxed_str();
                let ear = Ear { listener, stops: made.stops_left, signature };
                Ok(Spoken { path: "/chat/completions".into(), body: made.body, losses: made.losses, ear })
            }
            Self::Lenient(takes) => {
                let target = anthropic_lenient::Target { model: ask.model, ..(**takes).clone() };
                let made = anthropic_lenient::translate(conversation, &target)?;
                let reading = anthropic_lenient::Reading { names: made.names, nonce: ask.nonce };
                let listener = Listener::Lenient(Box::new(anthropic_lenient::StreamReader::new(reading)));
                let signature = signature::tag(anthropic_lenient::ORIGIN, b"").into_boxed_str();
                let ear = Ear { listener, stops: made.stops_left, signature };
                Ok(Spoken { path: "/v1/messages".into(), body: made.body, losses: made.losses, ear })
            }
            Self::Responses(responses) => responses.say(conversation, ask),
            Self::Gemini(gemini) => gemini.say(conversation, ask),
            Self::Converse(converse) => converse.say(conversation, ask),
        }
    }

    /// By whose rule its models count images.
    pub const fn images(&self) -> Images {
        match self {
            Self::Chat(_) | Self::Responses(_) => Images::OpenAi,
            Self::Lenient(_) | Self::Converse(_) => Images::Anthropic,
            Self::Gemini(_) => Images::Gemini,
        }
    }

    /// Reads the body of an answer with an error status, or the beginning of it.
    pub fn read_error(&self, status: u16, body: &[u8]) -> Failure {
        match self {
            Self::Chat(_) => openai_chat::read_error(status, body),
            Self::Lenient(_) => anthropic_lenient::read_error(status, body),
            Self::Responses(_) => openai_responses::read_error(status, body),
            Self::Gemini(_) => google::read_error(status, body),
            Self::Converse(_) => bedrock::read_error(status, "", body),
        }
    }

    /// How long the provider wants to be left alone, in milliseconds, where the body of an answer with an
    /// error status says so.
    pub fn retry_after_ms(&self, body: &[u8]) -> Option<u64> {
        match self {
            Self::Chat(_) | Self::Lenient(_) | Self::Responses(_) | Self::Converse(_) => None,
            Self::Gemini(_) => google::retry_after_ms(body),
        }
    }
}

impl Listener {
    fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        match self {
            Self::Chat(reader) => reader.push(bytes, each),
            Self::Lenient(reader) => reader.push(bytes, each),
            Self::Responses(reader) => reader.push(bytes, each),
            Self::Gemini(reader) => reader.push(bytes, each),
            Self::Converse(reader) => reader.push(bytes, each),
        }
    }

    fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        match self {
            Self::Chat(reader) => reader.finish(each),
            Self::Lenient(reader) => reader.finish(each),
            Self::Responses(reader) => reader.finish(each),
            Self::Gemini(reader) => reader.finish(each),
            Self::Converse(reader) => reader.finish(each),
        }
    }

    fn finished(&self) -> bool {
        match self {
            Self::Chat(reader) => reader.finished(),
            Self::Lenient(reader) => reader.finished(),
            Self::Responses(reader) => reader.finished(),
            Self::Gemini(reader) => reader.finished(),
            Self::Converse(reader) => reader.finished(),
        }
    }
}
