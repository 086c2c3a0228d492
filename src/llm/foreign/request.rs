//! What translations of requests to all dialects begin and end with.

use crate::llm::conversation::{Block, Choice, Content, Conversation, Role};
use crate::llm::foreign::ATTRIBUTION;
use crate::llm::foreign::target::{Breakpoints, CacheMarks};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::written::Written;

/// A request for the target, and what its answer has to be read with.
#[derive(Clone, Debug)]
pub struct Translated {
    /// The request.
    pub body: Vec<u8>,
    /// The way back for names of tools.
    pub names: Names,
    /// Stop sequences that the target has been told.
    pub stops_told: Vec<Box<str>>,
    /// Those that it has no room for: the writer of the answer enforces them.
    pub stops_left: Vec<Box<str>>,
    /// What could not be carried over as it was.
    pub losses: Losses,
}

/// Bytes that the request will have, about.
pub(in crate::llm) fn room(conversation: &Conversation<'_>) -> usize {
    let mut bytes = 4096;
    for tool in &conversation.tools {
        bytes += tool.schema.map_or(0, |schema| schema.bytes().len()) + 128;
        bytes += tool.description.map_or(0, |text| text.bytes().len());
    }
    let text = |content: &Content<'_>| match content {
        Content::Text(text) => text.bytes().len(),
        Content::ToolUse { input, .. } => input.bytes().len() * 5 / 4 + 64,
        _ => 64,
    };
    conversation.system.iter().for_each(|block| bytes += text(&block.content) + 32);
    conversation.each_block(|_, block| bytes += text(&block.content) + 64);
    bytes
}

/// Names for all tools: those that are defined, called, found and chosen.
pub(in crate::llm) fn names(conversation: &Conversation<'_>, losses: &mut Losses) -> Names {
    let chosen = match conversation.choice {
        Some(Choice::Tool(name)) => Some(name),
        _ => None,
    };
    let used =
        conversation.turns.iter().flat_map(|turn| &turn.blocks).filter_map(|block| match &block.content {
            Content::ToolUse { name, .. } | Content::ToolChange { name, .. } => Some(*name),
            _ => None,
        });
    let names = Names::of(conversation.tools.iter().map(|tool| tool.name).chain(used).chain(chosen));
    if names.changed() {
        losses.note("tools.name", Treatment::Emulated);
    }
    names
}

/// The bound of the answer, at most `most`.
pub(in crate::llm) fn max_tokens(
    conversation: &Conversation<'_>,
    most: Option<u64>,
    losses: &mut Losses,
) -> Option<u64> {
    let asked = conversation.max_tokens?;
    let most = most.unwrap_or(asked);
    if asked > most {
        losses.note("max_tokens", Treatment::Clamped);
    }
    Some(asked.min(most))
}

/// `temperature`, `top_p` and `top_k` by their names, as far as they are taken.
pub(in crate::llm) fn sampling<'a>(
    conversation: &Conversation<'a>,
    taken: [bool; 3],
    losses: &mut Losses,
) -> impl Iterator<Item = (&'static str, &'a [u8])> {
    let mut kept = [None; 3];
    let all = ["temperature", "top_p", "top_k"].into_iter().zip(conversation.sampling).zip(taken);
    for (((name, value), taken), place) in all.zip(&mut kept) {
        match value {
            None => {}
            Some(value) if taken => *place = Some((name, value.bytes())),
            Some(_) => losses.note(name, Treatment::Dropped),
        }
    }
    kept.into_iter().flatten()
}

/// The first stop sequences, up to `most`, are for the target, the rest for the writer of the answer.
pub(in crate::llm) fn stops<'c, 'a>(
    conversation: &'c Conversation<'a>,
    most: usize,
    losses: &mut Losses,
) -> (&'c [Written<'a>], &'c [Written<'a>]) {
    let (told, left) = conversation.stops.split_at(conversation.stops.len().min(most));
    left.iter().for_each(|_| losses.note("stop_sequences", Treatment::Enforced));
    (told, left)
}

/// Stop sequences as texts.
pub(in crate::llm) fn texts(stops: &[Written<'_>]) -> Vec<Box<str>> {
    stops.iter().map(|stop| stop.text().into()).collect()
}

/// Notes what becomes of the caller's account: `kept` when the target is told a hash in its place.
pub(in crate::llm) fn user(conversation: &Conversation<'_>, kept: bool, losses: &mut Losses) {
    if conversation.user.is_some() {
        losses.note("metadata.user_id", if kept { Treatment::Emulated } else { Treatment::Dropped });
    }
}

/// The blocks of `system` but for the one that is for Anthropic's accounting.
pub(in crate::llm) fn instructions<'c, 'a>(
    conversation: &'c Conversation<'a>,
    losses: &mut Losses,
) -> Vec<&'c Block<'a>> {
    let kept: Vec<_> = conversation.system.iter().filter(|block| !is_attribution(block)).collect();
    if kept.len() < conversation.system.len() {
        losses.note("system.attribution", Treatment::Dropped);
    }
    kept
}

/// What becomes of the blocks of a conversation that have `cache_control`.
pub(in crate::llm) fn marks(
    conversation: &Conversation<'_>,
    told: CacheMarks,
    losses: &mut Losses,
) -> Breakpoints {
    let marks = count_marks(conversation);
    if marks > 0 && told == CacheMarks::Automatic {
        losses.note("cache_control", Treatment::Emulated);
    }
    Breakpoints::of(told, marks)
}

/// Whether a block of `system` is what Claude Code puts in front for Anthropic's accounting.
pub(in crate::llm) fn is_attribution(block: &Block<'_>) -> bool {
    matches!(block.content, Content::Text(text) if text.bytes().starts_with(ATTRIBUTION))
}

/// How many blocks of a conversation have `cache_control`.
pub(in crate::llm) fn count_marks(conversation: &Conversation<'_>) -> usize {
    let mut marks = conversation.system.iter().filter(|block| block.mark.is_some()).count();
    conversation.each_block(|_, block| marks += usize::from(block.mark.is_some()));
    marks
}

/// Whether the last turn is the model's: Anthropic's models go on from there.
pub(in crate::llm) fn is_prefilled(conversation: &Conversation<'_>) -> bool {
    conversation.turns.last().is_some_and(|turn| turn.role == Role::Assistant)
}
