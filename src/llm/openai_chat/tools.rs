//! Writes definitions of tools, and which of them has to be called.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::llm::conversation::{Choice, Content, Conversation, Refusal, Tool, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::openai_chat::target::Target;
use crate::llm::written::Writer;

/// What Claude Code defines so that there is a tool that is not shown.
const PLACEHOLDER: &str = "DeferredToolPlaceholder";

/// Writes `tools`, `tool_choice` and `parallel_tool_calls`, as far as there are any tools.
///
/// # Errors
/// A tool that nobody would run, or more than the target takes.
pub(super) fn write(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    names: &Names,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    let mut shown = shown(conversation, target, losses)?;
    let mut choice = conversation.choice;
    if let Some(Choice::Tool(name)) = choice {
        let Some(named) = shown.iter().find(|tool| tool.name.text() == name.text()).copied() else {
            return Err(Refusal::new("tool_choice.name", Why::NoTool));
        };
        if !target.named_choice {
            losses.note("tool_choice.tool", Treatment::Emulated);
            shown = vec![named];
            choice = Some(Choice::Any);
        }
    }
    if shown.is_empty() {
        if choice == Some(Choice::Any) {
            return Err(Refusal::new("tool_choice", Why::NoTool));
        }
        return Ok(());
    }
    if shown.len() > target.tools_max {
        return Err(Refusal::new("tools", Why::TooMany(target.tools_max)));
    }
    if conversation.one_call {
        if target.parallel_switch {
            out.key("parallel_tool_calls").raw(b"false");
        } else {
            losses.note("tool_choice.disable_parallel_tool_use", Treatment::Dropped);
        }
    }
    match choice {
        None => {}
        Some(Choice::Auto) => drop(out.key("tool_choice").text("auto")),
        Some(Choice::Any) => drop(out.key("tool_choice").text("required")),
        Some(Choice::Nothing) => drop(out.key("tool_choice").text("none")),
        Some(Choice::Tool(name)) => {
            out.key("tool_choice").open('{').key("type").text("function").key("function").open('{');
            out.key("name").text(&names.foreign(name)).close('}').close('}');
        }
    }
    out.key("tools").open('[');
    for tool in shown {
        one(tool, target, names, out, losses);
    }
    out.close(']');
    Ok(())
}

fn one(tool: &Tool<'_>, target: &Target<'_>, names: &Names, out: &mut Writer, losses: &mut Losses) {
    out.open('{').key("type").text("function").key("function").open('{');
    out.key("name").text(&names.foreign(tool.name));
    if let Some(description) = tool.description {
        out.key("description").written(description);
    }
    match tool.schema {
        Some(schema) => out.key("parameters").raw(schema.bytes()),
        None => out.key("parameters").raw(b"{\"type\":\"object\",\"properties\":{}}"),
    };
    if tool.strict {
        if target.strict_tools {
            out.key("strict").raw(b"true");
        } else {
            losses.note("tools.strict", Treatment::Dropped);
        }
    }
    if tool.mark.is_some() {
        losses.note("tools.cache_control", Treatment::Dropped);
    }
    out.close('}').close('}');
}

/// The tools that the model is shown: those that are not deferred in their order, and behind them those that
/// have been found, in the order in which that happened, so that a find changes nothing before it.
pub(in crate::llm) fn shown<'c, 'a>(
    conversation: &'c Conversation<'a>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Vec<&'c Tool<'a>>, Refusal> {
    let mut shown = Vec::new();
    let mut hidden: BTreeMap<Cow<'_, str>, &Tool<'_>> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    for (index, tool) in conversation.tools.iter().enumerate() {
        if let Some(kind) = tool.kind {
            let kind = kind.text();
            if !target.handles(&kind) {
                let why =
                    Why::Unsupported("only tools with a schema of their own can be offered to its models");
                return Err(Refusal::new(format!("tools.{index}.type ({kind})"), why));
            }
            losses.note(format!("tools.{kind}"), Treatment::Enforced);
            continue;
        }
        let name = tool.name.text();
        if !seen.insert(name.clone()) {
            return Err(Refusal::new(format!("tools.{index}.name"), Why::Twice));
        }
        if name == PLACEHOLDER {
            continue;
        }
        if tool.deferred {
            hidden.insert(name, tool);
        } else {
            shown.push(tool);
        }
    }
    if hidden.is_empty() && !any_change(conversation) {
        return Ok(shown);
    }
    conversation.each_block(|_, block| {
        let (name, brought) = match &block.content {
            Content::ToolReference(name) | Content::ToolUse { name, .. } => (name, None),
            Content::ToolChange { added: true, name, definition } => (name, definition.as_deref()),
            _ => return,
        };
        let name = name.text();
        if let Some(tool) = hidden.remove(&name) {
            shown.push(tool);
        } else if let Some(tool) = brought
            && seen.insert(name)
        {
            shown.push(tool);
        }
    });
    hidden.values().for_each(|_| losses.note("tools.defer_loading", Treatment::Emulated));
    Ok(shown)
}

/// Whether tools come in the middle of the conversation.
fn any_change(conversation: &Conversation<'_>) -> bool {
    let change = |content: &Content<'_>| matches!(content, Content::ToolChange { .. });
    conversation.turns.iter().flat_map(|turn| &turn.blocks).any(|block| change(&block.content))
}
