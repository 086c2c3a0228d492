//! Writes definitions of tools, and which of them has to be called.

use crate::llm::anthropic_lenient::target::Target;
use crate::llm::conversation::{Choice, Conversation, Refusal, Tool, Why};
use crate::llm::foreign::tools::Shelf;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::written::Writer;

/// Writes `tools` and `tool_choice`, as far as there are any tools.
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
    let mut shelf = Shelf::of(conversation, &[], &|_| false, losses)?;
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
    if choice == Some(Choice::Nothing) && !shown.is_empty() {
        losses.note("tool_choice.none", Treatment::Emulated);
        shown.clear();
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
    let one_call = conversation.one_call && target.parallel_switch;
    if conversation.one_call && !one_call {
        losses.note("tool_choice.disable_parallel_tool_use", Treatment::Dropped);
    }
    let kind = match choice {
        Some(Choice::Any) => Some("any"),
        Some(Choice::Tool(_)) => Some("tool"),
        Some(Choice::Auto) => Some("auto"),
        Some(Choice::Nothing) | None => one_call.then_some("auto"),
    };
    if let Some(kind) = kind {
        out.key("tool_choice").open('{').key("type").text(kind);
        if let Some(Choice::Tool(name)) = choice {
            out.key("name").text(&names.foreign(name));
        }
        if one_call {
            out.key("disable_parallel_tool_use").raw(b"true");
        }
        out.close('}');
    }
    out.key("tools").open('[');
    for tool in shown {
        one(tool, names, out, losses);
    }
    out.close(']');
    Ok(())
}

fn one(tool: &Tool<'_>, names: &Names, out: &mut Writer, losses: &mut Losses) {
    out.open('{').key("name").text(&names.foreign(tool.name));
    if let Some(description) = tool.description {
        out.key("description").written(description);
    }
    match tool.schema {
        Some(schema) => out.key("input_schema").raw(schema.bytes()),
        None => out.key("input_schema").raw(b"{\"type\":\"object\",\"properties\":{}}"),
    };
    if tool.strict {
        losses.note("tools.strict", Treatment::Dropped);
    }
    if tool.mark.is_some() {
        losses.note("tools.cache_control", Treatment::Dropped);
    }
    out.close('}');
}
