//! What one server of this dialect takes: what the config says of a provider and its models.

use crate::llm::foreign::{CacheMarks, MidSystem, SystemRole, UnknownFields};

/// Which field bounds the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MaxTokensField {
    /// `max_tokens`: what most servers know.
    MaxTokens,
    /// `max_completion_tokens`: what OpenAI wants now.
    MaxCompletionTokens,
}

/// One server and model.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The model's id there.
    pub model: &'a str,
    /// The role of instructions.
    pub system_role: SystemRole,
    /// How instructions in the middle are told.
    pub mid_system: MidSystem,
    /// Several texts of one message may be an array; else they are joined by line feeds.
    pub text_parts: bool,
    /// The model sees images in base64.
    pub images: bool,
    /// And those at addresses, which the server then fetches.
    pub image_urls: bool,
    /// The model reads PDF files.
    pub files: bool,
    /// Which field bounds the answer.
    pub max_tokens_field: MaxTokensField,
    /// The most that the model can write, in tokens; more is brought down to it.
    pub max_tokens_max: Option<u64>,
    /// Stop sequences that the server takes: 4 at OpenAI, none with its reasoning models.
    pub stops_max: usize,
    /// The levels of `reasoning_effort` that the model has, of `none minimal low medium high xhigh max`. No
    /// level: the field is not sent.
    pub efforts: &'a [&'a str],
    /// `tool_choice` may name a tool; else that tool is offered alone and required.
    pub named_choice: bool,
    /// `parallel_tool_calls` is known.
    pub parallel_switch: bool,
    /// `strict` of a function is known.
    pub strict_tools: bool,
    /// `response_format` takes a JSON schema.
    pub json_schema: bool,
    /// `stream_options.include_usage` is known.
    pub usage_in_stream: bool,
    /// `temperature` and `top_p` are taken.
    pub sampling: bool,
    /// `top_k` is taken.
    pub top_k: bool,
    /// Functions in one request: 128 at OpenAI.
    pub tools_max: usize,
    /// Characters of a call's id: 40 at OpenAI, 9 at Mistral.
    pub call_id_chars_max: usize,
    /// The model wants its own thinking back as `reasoning_content`.
    pub reasoning_back: bool,
    /// How `cache_control` is told.
    pub cache_marks: CacheMarks,
    /// `prompt_cache_key`: a name of the conversation that says nothing about the caller.
    pub cache_key: Option<&'a str>,
    /// The field and value by which the provider tells users apart: a keyed hash, never the caller's own
    /// `metadata.user_id`, which names a device and an account.
    pub user: Option<(&'static str, &'a str)>,
    /// Fields of the request and types of tools that the gateway sees to itself.
    pub handled: &'a [&'a str],
    /// What becomes of fields that nobody knows.
    pub unknown: UnknownFields,
}

impl<'a> Target<'a> {
    /// A model of OpenAI's that reasons.
    pub const fn openai(model: &'a str) -> Self {
        Self {
            model,
            system_role: SystemRole::Developer,
            mid_system: MidSystem::InPlace,
            text_parts: true,
            images: true,
            image_urls: true,
            files: true,
            max_tokens_field: MaxTokensField::MaxCompletionTokens,
            max_tokens_max: None,
            stops_max: 0,
            efforts: &["none", "low", "medium", "high", "xhigh"],
            named_choice: true,
            parallel_switch: true,
            strict_tools: true,
            json_schema: true,
            usage_in_stream: true,
            sampling: false,
            top_k: false,
            tools_max: 128,
            call_id_chars_max: 40,
            reasoning_back: false,
            cache_marks: CacheMarks::Automatic,
            cache_key: None,
            user: None,
            handled: &[],
            unknown: UnknownFields::Refuse,
        }
    }

    /// A server of which nothing is known but that it is compatible.
    pub const fn compatible(model: &'a str) -> Self {
        Self {
            system_role: SystemRole::System,
            text_parts: false,
            image_urls: false,
            files: false,
            max_tokens_field: MaxTokensField::MaxTokens,
            stops_max: 4,
            efforts: &[],
            strict_tools: false,
            sampling: true,
            tools_max: crate::limits::TOOLS_MAX,
            ..Self::openai(model)
        }
    }
}
