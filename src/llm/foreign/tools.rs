//! Which tools a model is shown, and when: deferred ones wait until they are found.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::llm::conversation::{Content, Conversation, Refusal, Tool, Why};
use crate::llm::loss::{Losses, Treatment};

/// What Claude Code defines so that there is a tool that is not shown.
const PLACEHOLDER: &str = "DeferredToolPlaceholder";

/// The tools of one request.
#[derive(Clone, Debug)]
pub(in crate::llm) struct Shelf<'c, 'a> {
    /// Those that are shown, in their order: what is found comes behind.
    pub(in crate::llm) shown: Vec<&'c Tool<'a>>,
    /// Those that the provider runs in Anthropic's place, by the dialect's own word that it does.
    pub(in crate::llm) run_there: Vec<&'c Tool<'a>>,
    hidden: BTreeMap<Cow<'c, str>, &'c Tool<'a>>,
    seen: BTreeSet<Cow<'c, str>>,
}

impl<'c, 'a> Shelf<'c, 'a> {
    /// Sorts the tools of a conversation. Of those that Anthropic would run, `handled` says which ones the
    /// gateway sees to, and `runs` which ones this provider has, too.
    ///
    /// # Errors
    /// A tool that nobody would run, or two of one name.
    pub(in crate::llm) fn of(
        conversation: &'c Conversation<'a>,
        handled: &[&str],
        runs: &dyn Fn(&str) -> bool,
        losses: &mut Losses,
    ) -> Result<Self, Refusal> {
        let (shown, run_there) = (Vec::new(), Vec::new());
        let mut shelf = Self { shown, run_there, hidden: BTreeMap::new(), seen: BTreeSet::new() };
        runnable(conversation, handled, runs)?;
        for (index, tool) in conversation.tools.iter().enumerate() {
            if let Some(kind) = tool.kind {
                let kind = kind.text();
                if handled.contains(&&*kind) {
                    losses.note(format!("tools.{kind}"), Treatment::Enforced);
                } else {
                    shelf.run_there.push(tool);
                }
                continue;
            }
            let name = tool.name.text();
            if !shelf.seen.insert(name.clone()) {
                return Err(Refusal::new(format!("tools.{index}.name"), Why::Twice));
            }
            if name == PLACEHOLDER {
                continue;
            }
            if tool.deferred {
                shelf.hidden.insert(name, tool);
            } else {
                shelf.shown.push(tool);
            }
        }
        Ok(shelf)
    }

    /// Shows all tools that the conversation has found, behind the others, in the order in which that
    /// happened, so that a find changes nothing before it.
    pub(in crate::llm) fn find_all(&mut self, conversation: &'c Conversation<'a>, losses: &mut Losses) {
        if self.hidden.is_empty() && !any_change(conversation) {
            return;
        }
        conversation.each_block(|_, block| {
            if let Some(tool) = self.found_by(&block.content) {
                self.shown.push(tool);
            }
        });
        self.tell_hidden(losses);
    }

    /// The tool that a block brings, the first time that one does.
    pub(in crate::llm) fn found_by(&mut self, content: &'c Content<'a>) -> Option<&'c Tool<'a>> {
        let (name, brought) = match content {
            Content::ToolReference(name) | Content::ToolUse { name, .. } => (name, None),
            Content::ToolChange { added: true, name, definition } => (name, definition.as_deref()),
            _ => return None,
        };
        if self.hidden.is_empty() && brought.is_none() {
            return None;
        }
        let name = name.text();
        match (self.hidden.remove(&name), brought) {
            (Some(tool), _) => Some(tool),
            (None, Some(tool)) if self.seen.insert(name) => Some(tool),
            _ => None,
        }
    }

    /// Notes the tools that the model has not been shown.
    pub(in crate::llm) fn tell_hidden(&self, losses: &mut Losses) {
        self.hidden.values().for_each(|_| losses.note("tools.defer_loading", Treatment::Emulated));
    }
}

/// Looks for tools that nobody would run. It is done before their fields are judged: of a tool that is no
/// good here, its name says more than a field.
///
/// # Errors
/// The first of them, by its type.
pub(in crate::llm) fn runnable(
    conversation: &Conversation<'_>,
    handled: &[&str],
    runs: &dyn Fn(&str) -> bool,
) -> Result<(), Refusal> {
    let kinds = conversation.tools.iter().enumerate().filter_map(|(index, tool)| Some((index, tool.kind?)));
    for (index, kind) in kinds {
        let kind = kind.text();
        if !handled.contains(&&*kind) && !runs(&kind) {
            let why = Why::Unsupported("only tools with a schema of their own can be offered to its models");
            return Err(Refusal::new(format!("tools.{index}.type ({kind})"), why));
        }
    }
    Ok(())
}

/// Whether tools come in the middle of the conversation.
fn any_change(conversation: &Conversation<'_>) -> bool {
    let change = |content: &Content<'_>| matches!(content, Content::ToolChange { .. });
    conversation.turns.iter().flat_map(|turn| &turn.blocks).any(|block| change(&block.content))
}
