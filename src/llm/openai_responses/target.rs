//! What one server of this dialect takes: what the config says of a provider and its models.

use crate::llm::foreign::{CacheMarks, MidSystem, SystemRole, UnknownFields};

/// Where the instructions at the front stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SystemPlace {
    /// In `instructions`, which is one text.
    Instructions,
    /// In the first item, whose parts can have breakpoints.
    FirstItem,
}

/// One server and model.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The model's id there.
    pub model: &'a str,
    /// Whose thinking this server can read again: what [`origin`](super::origin) says of the provider.
    pub origin: &'a str,
    /// Where the instructions at the front stand.
    pub system_place: SystemPlace,
    /// The role of instructions.
    pub system_role: SystemRole,
    /// How instructions in the middle are told. By the user, they follow the results of tools.
    pub mid_system: MidSystem,
    /// The model sees images in base64.
    pub images: bool,
    /// And those at addresses, which the server then fetches.
    pub image_urls: bool,
    /// The model reads PDF files in base64.
    pub files: bool,
    /// And those at addresses, which the server then fetches.
    pub file_urls: bool,
    /// Results of tools may be parts; else they are one text, and images follow in a user message.
    pub output_parts: bool,
    /// The most that the model can write, in tokens; more is brought down to it.
    pub max_tokens_max: Option<u64>,
    /// The levels of `reasoning.effort` that the model has, of `none minimal low medium high xhigh max`. No
    /// level: `reasoning` is not sent.
    pub efforts: &'a [&'a str],
    /// `reasoning.summary` when the caller wants to read what the model thinks, such as `auto`; nothing when
    /// the server has no summaries.
    pub summary: Option<&'a str>,
    /// The server encrypts what the model thinks, and wants it back so.
    pub encrypted_reasoning: bool,
    /// The server does not encrypt it, and wants it back as it is.
    pub reasoning_back: bool,
    /// Messages of the model say whether they are its comments or its answer.
    pub phases: bool,
    /// `tool_choice` may name a tool; else that tool is offered alone and required.
    pub named_choice: bool,
    /// `parallel_tool_calls` is known.
    pub parallel_switch: bool,
    /// `text.format` takes a JSON schema.
    pub json_schema: bool,
    /// `temperature` and `top_p` are taken.
    pub sampling: bool,
    /// `top_k` is taken.
    pub top_k: bool,
    /// Functions in one request: 128 at OpenAI.
    pub tools_max: usize,
    /// Characters of a call's id: 64 at OpenAI.
    pub call_id_chars_max: usize,
    /// Tools may come in an item where they are found, so that nothing before it changes.
    pub found_in_place: bool,
    /// The server searches the web.
    pub web_search: bool,
    /// The server compacts conversations.
    pub compaction: bool,
    /// How `cache_control` is told.
    pub cache_marks: CacheMarks,
    /// `prompt_cache_key`: a name of the conversation that says nothing about the caller.
    pub cache_key: Option<&'a str>,
    /// The field and value by which the provider tells users apart, such as `safety_identifier`: a keyed
    /// hash, never the caller's own `metadata.user_id`, which names a device and an account.
    pub user: Option<(&'static str, &'a str)>,
    /// Fields of the request and types of tools that the gateway sees to itself.
    pub handled: &'a [&'a str],
    /// What becomes of fields that nobody knows.
    pub unknown: UnknownFields,
}

impl<'a> Target<'a> {
    /// A model of OpenAI's that reasons. `origin` is what [`origin`](super::origin) says of the provider.
    pub const fn openai(model: &'a str, origin: &'a str) -> Self {
        Self {
            model,
            origin,
            system_place: SystemPlace::Instructions,
            system_role: SystemRole::Developer,
            mid_system: MidSystem::InPlace,
            images: true,
            image_urls: true,
            files: true,
            file_urls: true,
            output_parts: true,
            max_tokens_max: None,
            efforts: &["none", "low", "medium", "high", "xhigh"],
            summary: Some("auto"),
            encrypted_reasoning: true,
            reasoning_back: false,
            phases: true,
            named_choice: true,
            parallel_switch: true,
            json_schema: true,
            sampling: false,
            top_k: false,
            tools_max: 128,
            call_id_chars_max: 64,
            found_in_place: false,
            web_search: true,
            compaction: true,
            cache_marks: CacheMarks::Automatic,
            cache_key: None,
            user: None,
            handled: &[],
            unknown: UnknownFields::Refuse,
        }
    }

    /// A server of which nothing is known but that it is compatible.
    pub const fn compatible(model: &'a str, origin: &'a str) -> Self {
        Self {
            system_role: SystemRole::System,
            mid_system: MidSystem::AsUser,
            image_urls: false,
            files: false,
            file_urls: false,
            output_parts: false,
            efforts: &[],
            summary: None,
            encrypted_reasoning: false,
            phases: false,
            sampling: true,
            tools_max: crate::limits::TOOLS_MAX,
            web_search: false,
            compaction: false,
            ..Self::openai(model, origin)
        }
    }
}
