//! The signatures that the model wants back, inside of ours.
//!
//! Gemini signs parts: the first call of each step, and thoughts. Anthropic's form has signatures on thinking
//! alone, so that of a call goes with the thinking in front of the call, or with thinking of no words where
//! there is none, and on its way back to the call behind. Nobody has to remember anything.

use crate::llm::signature;

/// What the API takes in the place of a signature that is not to be had, such as for the calls of another
/// model (ai.google.dev/gemini-api/docs/thought-signatures, 2026-11).
pub(super) const NO_SIGNATURE: &str = "skip_thought_signature_validator";

/// A signature, and what it is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Carried {
    /// Of the next call.
    OfCall(String),
    /// Of the thought that it stands under.
    OfThought(String),
}

impl Carried {
    /// What stands under the thinking of our answer.
    pub(super) fn tag(&self, origin: &str) -> String {
        let (kind, own) = match self {
            Self::OfCall(own) => (b'c', own),
            Self::OfThought(own) => (b't', own),
        };
        let mut payload = vec![kind];
        payload.extend_from_slice(own.as_bytes());
        signature::tag(origin, &payload)
    }

    /// What stands in a signature of `origin`; nothing where it is of another one, or holds nothing.
    pub(super) fn read(text: &str, origin: &str) -> Option<Self> {
        let tagged = signature::read(text).filter(|tagged| tagged.origin == origin)?;
        let (kind, own) = tagged.payload.split_first()?;
        let own = String::from_utf8(own.to_vec()).ok().filter(|own| !own.is_empty())?;
        match kind {
            b'c' => Some(Self::OfCall(own)),
            b't' => Some(Self::OfThought(own)),
            _ => None,
        }
    }
}
