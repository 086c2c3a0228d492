//! What becomes of the fields that a conversation has no member for.

use crate::llm::conversation::{Conversation, Other, Refusal, Why};
use crate::llm::loss::{Losses, Treatment};
use crate::llm::openai_chat::target::{Target, UnknownFields};

/// Fields that may be dropped with a note, by the object that they stand in: the answer is the same in kind
/// without them.
const DROPPED: &[(&str, &[&str])] = &[
    // How Anthropic keeps, bills, runs and watches a request.
    (
        "",
        &[
            "anthropic_beta",
            "anthropic_version",
            "billing_policy",
            "cache_control",
            "compaction",
            "container",
            "context_management",
            "diagnostics",
            "fallback_credit_token",
            "fallbacks",
            "inference_geo",
            "service_tier",
            "speed",
            "tags",
            "thread",
            "user_profile_id",
            "workspace_id",
        ],
    ),
    ("messages", &["id", "model", "name"]),
    ("messages.content", &["cache_edits", "caller", "citations", "id", "name"]),
    ("messages.content.source", &["media_type"]),
    ("messages.content.tool", &[]),
    ("output_config", &["task_budget"]),
    ("output_config.format", &["description"]),
    ("thinking", &["summary"]),
    ("tool_choice", &["name"]),
    // How a tool is called is between the caller and Anthropic's own loop.
    ("tools", &["allowed_callers", "eager_input_streaming", "input_examples", "max_characters"]),
];

/// What cannot be dropped, and why: somebody relies on it.
const REFUSED: &[(&str, &str)] = &[
    ("safeguards", "it has no check of tool calls, so the client has to make its own"),
    ("mcp_servers", "it does not connect to MCP servers; offer their tools as tools"),
];

/// Goes through all of them.
///
/// # Errors
/// The first one that is refused, by its name.
pub(in crate::llm) fn judge(
    conversation: &Conversation<'_>,
    target: &Target<'_>,
    losses: &mut Losses,
) -> Result<(), Refusal> {
    for other in &conversation.others {
        one(other, target, losses)?;
    }
    Ok(())
}

fn one(other: &Other<'_>, target: &Target<'_>, losses: &mut Losses) -> Result<(), Refusal> {
    let name = other.name.text();
    let path = if other.place.is_empty() { name.to_string() } else { format!("{}.{name}", other.place) };
    if target.handles(&path) {
        losses.note(path, Treatment::Enforced);
        return Ok(());
    }
    let refused = REFUSED.iter().find(|(field, _)| *field == path);
    if let (Some((_, why)), false) = (refused, other.value.is_void()) {
        return Err(Refusal::new(path, Why::Unsupported(why)));
    }
    // What says what somebody is, as all of `metadata` does, goes to no other vendor.
    let known = DROPPED.iter().any(|(place, names)| *place == other.place && names.contains(&&*name));
    let known = known || other.place == "metadata" || other.value.is_void();
    if !known && target.unknown == UnknownFields::Refuse {
        let why = "it is not known here what it means; a new field needs a newer gateway";
        return Err(Refusal::new(path, Why::Unsupported(why)));
    }
    losses.note(path, Treatment::Dropped);
    Ok(())
}
