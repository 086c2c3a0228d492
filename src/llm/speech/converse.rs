//! A provider of models of all makers, by Bedrock's Converse.

use std::mem;

use crate::limits;
use crate::llm::bedrock::converse::{ConverseStream, ORIGIN, Target, converse_path, read_answer, translate};
use crate::llm::conversation::{Conversation, Refusal};
use crate::llm::openai_chat::Reading;
use crate::llm::said::{Event, Failure, Kind};
use crate::llm::signature;
use crate::llm::speech::{Ask, Ear, Listener, Spoken};

/// A provider of Converse. One has models of several makers, which do not take the same.
#[derive(Clone, Debug)]
pub struct Converse {
    /// What Amazon's Nova models take. Effort levels and the caller are those of each call.
    pub nova: Target<'static>,
    /// What all others take.
    pub others: Target<'static>,
    /// The levels of effort that its models have.
    pub efforts: Box<[&'static str]>,
}

impl Converse {
    pub(super) fn say(&self, conversation: &Conversation<'_>, ask: &Ask<'_>) -> Result<Spoken, Refusal> {
        let base = if ask.model.contains("amazon.nova") { &self.nova } else { &self.others };
        let user = Some(ask.caller).filter(|caller| !caller.is_empty());
        let target = Target { efforts: &self.efforts, user, ..base.clone() };
        let made = translate(conversation, &target)?;
        let reading = Reading { names: made.names, stops_told: made.stops_told, nonce: ask.nonce };
        let reader = if conversation.stream {
            Reader::Stream(ConverseStream::new(reading))
        } else {
            Reader::Document(Vec::new(), reading)
        };
        let ear = Ear {
            listener: Listener::Converse(Box::new(reader)),
            stops: made.stops_left,
            signature: signature::tag(ORIGIN, b"").into_boxed_str(),
        };
        let path = converse_path(ask.model, conversation.stream);
        Ok(Spoken { path: path.into(), body: made.body, losses: made.losses, ear })
    }
}

/// Reads an answer in pieces of any size.
#[derive(Debug)]
pub(super) enum Reader {
    /// In frames.
    Stream(ConverseStream),
    /// What has come of a document, <= `limits::FOREIGN_ANSWER_BYTES_MAX`.
    Document(Vec<u8>, Reading),
    /// It has been told.
    Told,
}

impl Reader {
    pub(super) fn push(&mut self, bytes: &[u8], each: &mut dyn FnMut(&Event<'_>)) {
        match self {
            Self::Stream(stream) => stream.push(bytes, each),
            Self::Document(body, _) if body.len() + bytes.len() > limits::FOREIGN_ANSWER_BYTES_MAX => {
                *self = Self::Told;
                each(&Event::Failed(&Failure::new(Kind::Unreadable, "the answer is too long")));
            }
            Self::Document(body, _) => body.extend_from_slice(bytes),
            Self::Told => {}
        }
    }

    pub(super) fn finish(&mut self, each: &mut dyn FnMut(&Event<'_>)) {
        match self {
            Self::Stream(stream) => stream.finish(each),
            Self::Document(..) => {
                if let Self::Document(body, reading) = mem::replace(self, Self::Told) {
                    read_answer(&body, reading, each);
                }
            }
            Self::Told => {}
        }
    }

    pub(super) const fn finished(&self) -> bool {
        match self {
            Self::Stream(stream) => stream.finished(),
            Self::Document(..) => false,
            Self::Told => true,
        }
    }
}
