//! A provider of Google's Gemini by `generateContent`.

use crate::llm::conversation::{Conversation, Refusal};
use crate::llm::gemini::{Reading, StreamReader, Target, Thinking, path, translate};
use crate::llm::signature;
use crate::llm::speech::{Ask, Ear, Listener, Spoken};

/// A provider of Gemini. One has models of several generations, which do not take the same.
#[derive(Clone, Debug)]
pub struct Gemini {
    /// What models of the third generation and later take. The model is that of each call.
    pub third: Target<'static>,
    /// What models before them take.
    pub second: Target<'static>,
    /// Of which generation all of its models are; nothing where their names tell.
    pub generation: Option<Generation>,
    /// How all of its models are told to think; nothing where their names tell.
    pub thinks: Option<Thinks>,
}

/// Models that take the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generation {
    /// `gemini-2.5` and what was before it.
    Second,
    /// `gemini-3` and later.
    Third,
}

/// How models are told to think.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Thinks {
    /// By these levels; by none of them, they do not think.
    Levels(Box<[&'static str]>),
    /// By a number of tokens.
    Budget {
        /// The least that is taken beside 0.
        least: u64,
        /// The most.
        most: u64,
        /// 0 is taken, which is no thinking at all.
        off: bool,
    },
}

impl Gemini {
    /// What a model takes, by what is written of it, else by its name.
    pub fn target<'a>(&'a self, model: &'a str) -> Target<'a> {
        let name = model.strip_prefix("models/").unwrap_or(model);
        let before = name.starts_with("gemini-2") || name.starts_with("gemini-1");
        let by_name = if before { Generation::Second } else { Generation::Third };
        let target = match self.generation.unwrap_or(by_name) {
            Generation::Second => self.second.clone(),
            Generation::Third => self.third.clone(),
        };
        let thinking = match &self.thinks {
            Some(Thinks::Levels(levels)) if levels.is_empty() => Thinking::Never,
            Some(Thinks::Levels(levels)) => Thinking::Levels(levels),
            Some(Thinks::Budget { least, most, off }) => {
                Thinking::Budget { least: *least, most: *most, off: *off }
            }
            // It thinks more than the others of its generation, and always.
            None if name.starts_with("gemini-2.5-pro") => {
                Thinking::Budget { least: 128, most: 32_768, off: false }
            }
            None => target.thinking,
        };
        Target { model, thinking, ..target }
    }

    pub(super) fn say(&self, conversation: &Conversation<'_>, ask: &Ask<'_>) -> Result<Spoken, Refusal> {
        let target = self.target(ask.model);
        let made = translate(conversation, &target)?;
        let reading = Reading { names: made.names, origin: target.origin.into(), nonce: ask.nonce };
        let ear = Ear {
            listener: Listener::Gemini(Box::new(StreamReader::new(reading))),
            stops: made.stops_left,
            signature: signature::tag(target.origin, b"").into_boxed_str(),
        };
        let path = format!("/{}", path(ask.model, conversation.stream));
        Ok(Spoken { path: path.into(), body: made.body, losses: made.losses, ear })
    }
}
