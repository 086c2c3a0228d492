//! Writes `toolConfig`: definitions of tools, and which of them has to be called.

use std::collections::BTreeSet;

use crate::llm::bedrock::converse::content::Ground;
use crate::llm::bedrock::converse::turns::Turns;
use crate::llm::conversation::{Choice, Content, Conversation, Refusal, Tool, Why};
use crate::llm::foreign::tools::Shelf;
use crate::llm::loss::Treatment;
use crate::llm::written::{Writer, Written};

/// What stands for a schema that is not known.
const ANY_INPUT: &[u8] = b"{\"type\":\"object\",\"properties\":{}}";

/// Writes `toolConfig`, as far as there is anything to say.
///
/// # Errors
/// A tool that nobody would run, or a choice of one that is not there.
pub(super) fn write(
    conversation: &Conversation<'_>,
    ground: Ground<'_>,
    turns: &mut Turns<'_, '_, '_>,
    out: &mut Writer,
) -> Result<(), Refusal> {
    let mut shelf = Shelf::of(conversation, ground.target.handled, &|_| false, turns.losses)?;
    shelf.find_all(conversation, turns.losses);
    let mut shown = shelf.shown;
    let mut choice = conversation.choice;
    let called = called(conversation);
    if let Some(Choice::Tool(name)) = choice
        && !shown.iter().any(|tool| tool.name.text() == name.text())
    {
        return Err(Refusal::new("tool_choice.name", Why::NoTool));
    }
    if choice == Some(Choice::Any) && shown.is_empty() {
        return Err(Refusal::new("tool_choice", Why::NoTool));
    }
    if choice == Some(Choice::Nothing) {
        if called.is_empty() {
            // No tools are no choice.
            return Ok(());
        }
        turns.losses.note("tool_choice.none", Treatment::Dropped);
        choice = None;
    }
    if let (Some(Choice::Any | Choice::Tool(_)), false) = (choice, ground.target.forced_choice) {
        if let Some(Choice::Tool(name)) = choice {
            shown.retain(|tool| tool.name.text() == name.text());
        }
        turns.losses.note("tool_choice", Treatment::Emulated);
        choice = None;
    }
    let offered: BTreeSet<String> = shown.iter().map(|tool| tool.name.text().into_owned()).collect();
    // The service refuses a history with calls of tools that it has not been told of.
    let known: Vec<Written<'_>> =
        called.into_iter().filter(|name| !offered.contains(&*name.text())).collect();
    if shown.is_empty() && known.is_empty() {
        return Ok(());
    }
    if conversation.one_call {
        turns.losses.note("tool_choice.disable_parallel_tool_use", Treatment::Dropped);
    }
    out.key("toolConfig").open('{').key("tools").open('[');
    for tool in shown {
        one(tool, ground, turns, out);
    }
    for name in known {
        turns.losses.note("tools", Treatment::Emulated);
        spec(&ground.names.foreign(name), None, ANY_INPUT, out);
        out.close('}').close('}');
    }
    out.close(']');
    match choice {
        None | Some(Choice::Auto | Choice::Nothing) => {}
        Some(Choice::Any) => drop(out.key("toolChoice").raw(b"{\"any\":{}}")),
        Some(Choice::Tool(name)) => {
            out.key("toolChoice").open('{').key("tool").open('{');
            out.key("name").text(&ground.names.foreign(name)).close('}').close('}');
        }
    }
    out.close('}');
    Ok(())
}

/// The tools that the history calls, each once, in their order.
fn called<'a>(conversation: &Conversation<'a>) -> Vec<Written<'a>> {
    let (mut seen, mut names) = (BTreeSet::new(), Vec::new());
    for block in conversation.turns.iter().flat_map(|turn| &turn.blocks) {
        if let Content::ToolUse { name, .. } = &block.content
            && seen.insert(name.bytes())
        {
            names.push(*name);
        }
    }
    names
}

/// Writes the beginning of a definition, up to where more could stand behind its schema.
fn spec(name: &str, description: Option<Written<'_>>, schema: &[u8], out: &mut Writer) {
    out.open('{').key("toolSpec").open('{').key("name").text(name);
    if let Some(description) = description.filter(|text| !text.is_blank()) {
        out.key("description").written(description);
    }
    out.key("inputSchema").open('{').key("json").raw(schema).close('}');
}

fn one(tool: &Tool<'_>, ground: Ground<'_>, turns: &mut Turns<'_, '_, '_>, out: &mut Writer) {
    let schema = tool.schema.map_or(ANY_INPUT, |schema| schema.bytes());
    spec(&ground.names.foreign(tool.name), tool.description, schema, out);
    if tool.strict {
        if ground.target.strict_tools {
            out.key("strict").raw(b"true");
        } else {
            turns.losses.note("tools.strict", Treatment::Dropped);
        }
    }
    out.close('}').close('}');
    if let Some(mark) = tool.mark {
        turns.cache_point(mark, out);
    }
}
