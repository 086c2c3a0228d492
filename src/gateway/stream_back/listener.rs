//! Who listens to an answer that does not go to the caller as it comes.

use crate::limits;
use crate::llm::bedrock;
use crate::llm::inward::Native;
use crate::llm::said::Failure;
use crate::llm::speech::{Interpreter, Speech};
use crate::llm::vertex;

/// Makes Anthropic's form of an answer.
pub(in crate::gateway) enum Listener<'a> {
    /// Of a provider that speaks another dialect.
    Foreign(Box<Interpreter>, &'a Speech),
    /// Of Bedrock, whose events are Anthropic's in frames.
    Bedrock(Box<bedrock::Answer>),
    /// Of Vertex AI, whose answers are Anthropic's and whose refusals are Google's.
    Vertex(Refused),
    /// Of whoever answers in Anthropic's form, for a caller that does not speak it.
    Native(Box<Native>),
}

/// An answer with an error status.
#[derive(Default)]
pub(in crate::gateway) struct Refused {
    status: u16,
    /// <= `limits::REFUSAL_READ_BYTES_MAX`.
    body: Vec<u8>,
    failure: Option<Failure>,
}

impl Listener<'_> {
    /// Whether it listens to an answer with this status; else the answer goes on as it comes.
    pub(in crate::gateway) const fn hears(&self, status: u16) -> bool {
        match self {
            Self::Foreign(..) | Self::Bedrock(_) | Self::Native(_) => true,
            Self::Vertex(_) => status >= 400,
        }
    }

    /// What follows is the body of an answer with an error status; `name` is what AWS calls the error.
    pub(super) fn refused(&mut self, status: u16, name: &str) {
        match self {
            Self::Foreign(interpreter, speech) => interpreter.refused(status, speech),
            Self::Bedrock(answer) => answer.refused(status, name),
            Self::Vertex(refused) => refused.status = status,
            Self::Native(native) => native.refused(status),
        }
    }

    /// Takes the next bytes and appends what they say.
    pub(super) fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        match self {
            Self::Foreign(interpreter, _) => interpreter.push(bytes, out),
            Self::Bedrock(answer) => answer.push(bytes, out),
            Self::Native(native) => native.push(bytes, out),
            Self::Vertex(Refused { body, .. }) => {
                let room = limits::REFUSAL_READ_BYTES_MAX.saturating_sub(body.len());
                body.extend(bytes.iter().take(room));
            }
        }
    }

    /// Takes the end of the bytes and appends the rest.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Self::Foreign(interpreter, _) => interpreter.finish(out),
            Self::Bedrock(answer) => answer.finish(out),
            Self::Native(native) => native.finish(out),
            Self::Vertex(Refused { status, body, failure }) => {
                failure.get_or_insert_with(|| vertex::read_error(*status, body));
            }
        }
    }

    /// Whether some of the answer has been written that cannot be taken back.
    pub(super) fn is_committed(&self) -> bool {
        match self {
            Self::Foreign(interpreter, _) => interpreter.is_committed(),
            Self::Bedrock(answer) => answer.is_committed(),
            Self::Native(native) => native.is_committed(),
            Self::Vertex(_) => false,
        }
    }

    /// Whether all has been written.
    pub(super) fn is_over(&self) -> bool {
        match self {
            Self::Foreign(interpreter, _) => interpreter.is_over(),
            Self::Bedrock(answer) => answer.is_over(),
            Self::Native(native) => native.is_over(),
            Self::Vertex(refused) => refused.failure.is_some(),
        }
    }

    /// The model that answers, where the answer as it is made does not say so.
    pub(super) fn served(&self) -> Option<&str> {
        match self {
            Self::Foreign(interpreter, _) => interpreter.served(),
            Self::Bedrock(_) | Self::Vertex(_) | Self::Native(_) => None,
        }
    }

    /// The tokens that were read, those of caches too, by the provider's word; 0 where nobody learns from it.
    pub(super) fn counted(&self) -> u64 {
        match self {
            Self::Foreign(interpreter, _) => interpreter.counted(),
            Self::Bedrock(_) | Self::Vertex(_) | Self::Native(_) => 0,
        }
    }

    /// How long the provider wants to be left alone, in milliseconds, where its refusal says so in its body.
    pub(super) fn wait_ms(&self) -> Option<u64> {
        match self {
            Self::Foreign(interpreter, _) => interpreter.wait_ms(),
            Self::Bedrock(_) | Self::Vertex(_) | Self::Native(_) => None,
        }
    }

    /// Why there is no answer, or why it breaks off.
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Foreign(interpreter, _) => interpreter.failure(),
            Self::Bedrock(answer) => answer.failure(),
            Self::Native(native) => native.failure(),
            Self::Vertex(refused) => refused.failure.as_ref(),
        }
    }
}
