//! Writes definitions of tools, and which of them has to be called.

use crate::llm::conversation::{Choice, Conversation, Refusal, Tool, Why};
use crate::llm::foreign::tools::Shelf;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::openai_chat::target::Target;
use crate::llm::written::Writer;

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
    let mut shelf = Shelf::of(conversation, target.handled, &|_| false, losses)?;
    shelf.find_all(conversation, losses);
    let mut shown = shelf.shown;
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
