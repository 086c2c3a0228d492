//! Writes definitions of tools, and which of them has to be called.

use crate::json::Kind;
use crate::llm::conversation::{Choice, Conversation, Refusal, Tool, Why};
use crate::llm::foreign::tools::Shelf;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::openai_responses::items::Items;
use crate::llm::openai_responses::target::Target;
use crate::llm::written::{Raw, Writer};

/// What the types of Anthropic's web searches begin with.
const SEARCH: &str = "web_search_";

/// The web search of a request.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Search<'a> {
    /// How often the model may search.
    uses: Option<Raw<'a>>,
    /// The only sites that it may find.
    domains: Option<Raw<'a>>,
    /// Where the person is, about.
    location: Option<Raw<'a>>,
}

impl<'a> Search<'a> {
    /// What the caller asks for, where the target can do it. Its fields are told once for all tools, so there
    /// may be no second tool that they could be about.
    pub(super) fn of(conversation: &Conversation<'a>, target: &Target<'_>) -> Option<Self> {
        let mut own = conversation.tools.iter().filter_map(|tool| tool.kind);
        let first = own.next().filter(|kind| runs(target, &kind.text()))?;
        if own.next().is_some() || target.handled.contains(&&*first.text()) {
            return None;
        }
        let said = |name: &str| {
            let other =
                conversation.others.iter().find(|other| other.place == "tools" && other.name.is(name));
            other.map(|other| other.value)
        };
        let of_kind = |name: &str, kind: Kind| said(name).filter(|value| value.kind == kind);
        Some(Self {
            uses: of_kind("max_uses", Kind::Number),
            domains: of_kind("allowed_domains", Kind::Array).filter(|domains| !domains.is_void()),
            location: of_kind("user_location", Kind::Object),
        })
    }

    fn write(&self, out: &mut Writer) {
        out.open('{').key("type").text("web_search");
        if let Some(domains) = self.domains {
            out.key("filters").open('{').key("allowed_domains").raw(domains.bytes()).close('}');
        }
        if let Some(location) = self.location {
            out.key("user_location").raw(location.bytes());
        }
        out.close('}');
    }
}

/// Whether the provider runs tools of this type.
pub(super) fn runs(target: &Target<'_>, kind: &str) -> bool {
    target.web_search && kind.starts_with(SEARCH)
}

/// Sorts the tools: with items for those that are found, only those stand in `tools` that were there from the
/// beginning.
///
/// # Errors
/// A tool that nobody would run, or two of one name.
pub(super) fn shelf<'c, 'a>(
    conversation: &'c Conversation<'a>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<Shelf<'c, 'a>, Refusal> {
    let searches = Search::of(conversation, target).is_some();
    let mut shelf = Shelf::of(conversation, target.handled, &|kind| searches && runs(target, kind), losses)?;
    if !target.found_in_place {
        shelf.find_all(conversation, losses);
    }
    Ok(shelf)
}

/// Writes `tools`, `tool_choice`, `parallel_tool_calls` and `max_tool_calls`, as far as there are any tools.
///
/// # Errors
/// A choice of what is not there, or more tools than the target takes.
pub(super) fn write(
    items: &mut Items<'_, '_, '_>,
    search: Option<&Search<'_>>,
    out: &mut Writer,
) -> Result<(), Refusal> {
    let (conversation, target) = (items.conversation, items.target);
    let mut shown = items.shelf.shown.clone();
    let mut choice = conversation.choice;
    let mut search = search;
    if let Some(Choice::Tool(name)) = choice {
        let is_it = |tool: &&Tool<'_>| tool.name.text() == name.text();
        let searched = search.is_some() && items.shelf.run_there.iter().copied().any(|tool| is_it(&tool));
        let in_place = || conversation.tools.iter().filter(|_| target.found_in_place).find(is_it);
        let named = shown.iter().copied().find(is_it).or_else(in_place);
        if named.is_none() && !searched {
            return Err(Refusal::new("tool_choice.name", Why::NoTool));
        }
        if !target.named_choice {
            items.losses.note("tool_choice.tool", Treatment::Emulated);
            search = search.filter(|_| searched);
            shown = named.into_iter().collect();
            choice = Some(Choice::Any);
        }
    }
    if shown.is_empty() && search.is_none() {
        if choice == Some(Choice::Any) {
            return Err(Refusal::new("tool_choice", Why::NoTool));
        }
        return Ok(());
    }
    if shown.len() > target.tools_max {
        return Err(Refusal::new("tools", Why::TooMany(target.tools_max)));
    }
    if let Some(uses) = search.and_then(|search| search.uses) {
        out.key("max_tool_calls").raw(uses.bytes());
    }
    if conversation.one_call {
        if target.parallel_switch {
            out.key("parallel_tool_calls").raw(b"false");
        } else {
            items.losses.note("tool_choice.disable_parallel_tool_use", Treatment::Dropped);
        }
    }
    write_choice(items, choice, &shown, out);
    out.key("tools").open('[');
    for tool in shown {
        one(tool, items, out);
    }
    if let Some(search) = search {
        items.losses.note("tools.web_search", Treatment::Emulated);
        search.write(out);
    }
    out.close(']');
    Ok(())
}

fn write_choice(
    items: &Items<'_, '_, '_>,
    choice: Option<Choice<'_>>,
    shown: &[&Tool<'_>],
    out: &mut Writer,
) {
    match choice {
        None => {}
        Some(Choice::Auto) => drop(out.key("tool_choice").text("auto")),
        Some(Choice::Any) => drop(out.key("tool_choice").text("required")),
        Some(Choice::Nothing) => drop(out.key("tool_choice").text("none")),
        Some(Choice::Tool(name)) => {
            out.key("tool_choice").open('{').key("type");
            let is_it = |tool: &Tool<'_>| tool.name.text() == name.text();
            let searched = items.shelf.run_there.iter().any(|tool| is_it(tool));
            if searched && !shown.iter().any(|tool| is_it(tool)) {
                // Searches have no choice of their own, but may be the only tool that is allowed.
                out.text("allowed_tools").key("mode").text("required").key("tools").open('[');
                out.open('{').key("type").text("web_search").close('}').close(']');
            } else {
                out.text("function").key("name").text(&items.ground.names.foreign(name));
            }
            out.close('}');
        }
    }
}

/// Writes one definition.
pub(super) fn one(tool: &Tool<'_>, items: &mut Items<'_, '_, '_>, out: &mut Writer) {
    out.open('{').key("type").text("function").key("name").text(&items.ground.names.foreign(tool.name));
    if let Some(description) = tool.description {
        out.key("description").written(description);
    }
    match tool.schema {
        Some(schema) => out.key("parameters").raw(schema.bytes()),
        None => out.key("parameters").raw(b"{\"type\":\"object\",\"properties\":{}}"),
    };
    // Left out it would mean true, and the server would then make all members of the schema required.
    out.key("strict").raw(if tool.strict { b"true" } else { b"false" });
    if tool.mark.is_some() {
        items.losses.note("tools.cache_control", Treatment::Dropped);
    }
    out.close('}');
}
