//! How much the model is to think: the caller's word in the levels that a target has.

use crate::llm::conversation::{Conversation, Refusal, Thinking, Why};
use crate::llm::loss::{Losses, Treatment};

/// Efforts from the least to the most.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

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

/// The level of the target's `levels` that comes nearest from below to what the caller wants, else the least
/// one; nothing when the caller says nothing, or there are no levels.
///
/// # Errors
/// An effort that nobody knows.
pub(in crate::llm) fn level<'t>(
    conversation: &Conversation<'_>,
    levels: &[&'t str],
    losses: &mut Losses,
) -> Result<Option<&'t str>, Refusal> {
    let Some(wanted) = wanted(conversation)? else { return Ok(None) };
    if conversation.thinking.is_some() {
        losses.note("thinking", Treatment::Emulated);
    }
    let rank = |word: &str| EFFORTS.iter().position(|known| *known == word);
    let most = rank(wanted);
    let known = || levels.iter().copied().filter(|level| rank(level).is_some());
    let below = known().filter(|level| rank(level) <= most).max_by_key(|level| rank(level));
    let Some(level) = below.or_else(|| known().min_by_key(|level| rank(level))) else {
        losses.note("output_config.effort", Treatment::Dropped);
        return Ok(None);
    };
    if level != wanted {
        losses.note("output_config.effort", Treatment::Clamped);
    }
    Ok(Some(level))
}
