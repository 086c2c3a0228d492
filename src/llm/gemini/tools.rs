//! Writes definitions of tools, and which of them has to be called.

use crate::llm::conversation::{Choice, Conversation, Refusal, Tool, Why};
use crate::llm::foreign::tools::Shelf;
use crate::llm::gemini::schema;
use crate::llm::gemini::target::Target;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::names::Names;
use crate::llm::written::Writer;

/// What the type of Anthropic's search of the web begins with.
const SEARCH: &str = "web_search_";

/// What can be said of a search.
pub(super) const SEARCH_FIELDS: &[&str] =
    &["tools.max_uses", "tools.user_location", "tools.allowed_domains", "tools.blocked_domains"];

/// Whether the provider runs tools of this type.
pub(super) fn runs(target: &Target<'_>, kind: &str) -> bool {
    target.google_search && kind.starts_with(SEARCH)
}

/// Writes `tools` and `toolConfig`, as far as there are any tools.
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
    let mut shelf = Shelf::of(conversation, target.handled, &|kind| runs(target, kind), losses)?;
    shelf.find_all(conversation, losses);
    let searches = !shelf.run_there.is_empty();
    search_fields(conversation, target, losses)?;
    if searches && !shelf.shown.is_empty() {
        let why = "its models search the web in requests without other tools only";
        return Err(Refusal::new("tools.web_search", Why::Unsupported(why)));
    }
    if searches {
        if !matches!(conversation.choice, None | Some(Choice::Auto)) {
            losses.note("tool_choice", Treatment::Dropped);
        }
        losses.note("tools.web_search", Treatment::Emulated);
        out.key("tools").raw(b"[{\"googleSearch\":{}}]");
        return Ok(());
    }
    let choice = conversation.choice;
    if let Some(Choice::Tool(name)) = choice
        && !shelf.shown.iter().any(|tool| tool.name.text() == name.text())
    {
        return Err(Refusal::new("tool_choice.name", Why::NoTool));
    }
    if shelf.shown.is_empty() {
        return match choice {
            Some(Choice::Any) => Err(Refusal::new("tool_choice", Why::NoTool)),
            _ => Ok(()),
        };
    }
    if shelf.shown.len() > target.tools_max {
        return Err(Refusal::new("tools", Why::TooMany(target.tools_max)));
    }
    if conversation.one_call {
        losses.note("tool_choice.disable_parallel_tool_use", Treatment::Dropped);
    }
    out.key("tools").open('[').open('{').key("functionDeclarations").open('[');
    for tool in &shelf.shown {
        one(tool, target, names, out, losses)?;
    }
    out.close(']').close('}').close(']');
    mode(&shelf.shown, conversation, target, names, (out, losses));
    Ok(())
}

/// Writes `toolConfig`, where it says something.
fn mode(
    shown: &[&Tool<'_>],
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    names: &Names,
    (out, losses): (&mut Writer, &mut Losses),
) {
    let strict = shown.iter().any(|tool| tool.strict);
    let (mode, only) = match conversation.choice {
        Some(Choice::Any) => ("ANY", None),
        Some(Choice::Tool(name)) => ("ANY", Some(name)),
        Some(Choice::Nothing) => ("NONE", None),
        None | Some(Choice::Auto) if strict && target.validated => ("VALIDATED", None),
        None if !strict => return,
        None | Some(Choice::Auto) => {
            if strict {
                losses.note("tools.strict", Treatment::Dropped);
            }
            ("AUTO", None)
        }
    };
    out.key("toolConfig").open('{').key("functionCallingConfig").open('{').key("mode").text(mode);
    if let Some(only) = only {
        out.key("allowedFunctionNames").open('[').text(&names.foreign(only)).close(']');
    }
    out.close('}').close('}');
}

fn one(
    tool: &Tool<'_>,
    target: &Target<'_>,
    names: &Names,
    out: &mut Writer,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    out.open('{').key("name").text(&names.foreign(tool.name));
    if let Some(description) = tool.description {
        out.key("description").written(description);
    }
    match tool.schema {
        Some(schema) if target.json_schema => drop(out.key("parametersJsonSchema").raw(schema.bytes())),
        // An object without members has no form there: no parameters are meant by none.
        Some(schema) if schema::has_members(schema) => {
            out.key("parameters");
            schema::write(schema, "tools.input_schema", out, losses)?;
        }
        _ => {}
    }
    if tool.mark.is_some() {
        losses.note("tools.cache_control", Treatment::Dropped);
    }
    out.close('}');
    Ok(())
}

/// Judges what is said of a search: what it may cost is for the account, but where it may look is a promise.
fn search_fields(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    for other in conversation.others.iter().filter(|other| target.google_search && other.place == "tools") {
        let path = format!("tools.{}", other.name.text());
        match &*path {
            "tools.allowed_domains" | "tools.blocked_domains" if !other.value.is_void() => {
                return Err(Refusal::new(path, Why::Unsupported("its search looks at the whole web")));
            }
            path if SEARCH_FIELDS.contains(&path) => losses.note(path.to_owned(), Treatment::Dropped),
            _ => {}
        }
    }
    Ok(())
}
