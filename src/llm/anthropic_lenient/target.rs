//! What one server of this dialect takes: what the config says of a provider and its models.

use crate::limits;
use crate::llm::foreign::{CacheMarks, UnknownFields};

/// One server and model.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The model's id there.
    pub model: &'a str,
    /// The model sees images in base64.
    pub images: bool,
    /// And those at addresses, which the server then fetches.
    pub image_urls: bool,
    /// The model reads PDF files.
    pub files: bool,
    /// The most that the model can write, in tokens; more is brought down to it.
    pub max_tokens_max: Option<u64>,
    /// Stop sequences that the server takes; the rest are enforced here.
    pub stops_max: usize,
    /// `tool_choice` may name a tool; else that tool is offered alone and required.
    pub named_choice: bool,
    /// `disable_parallel_tool_use` is known.
    pub parallel_switch: bool,
    /// `output_config.format` is known.
    pub json_schema: bool,
    /// `temperature` and `top_p` are taken.
    pub sampling: bool,
    /// `top_k` is taken.
    pub top_k: bool,
    /// `thinking` with a number of tokens is known.
    pub thinking: bool,
    /// The model wants its own thinking back.
    pub reasoning_back: bool,
    /// Tools in one request.
    pub tools_max: usize,
    /// Characters of a call's id.
    pub call_id_chars_max: usize,
    /// How `cache_control` is told.
    pub cache_marks: CacheMarks,
    /// What becomes of fields that nobody knows.
    pub unknown: UnknownFields,
}

impl<'a> Target<'a> {
    /// A server of which nothing more is known.
    pub const fn new(model: &'a str) -> Self {
        Self {
            model,
            images: true,
            image_urls: false,
            files: false,
            max_tokens_max: None,
            stops_max: limits::STOPS_MAX,
            named_choice: false,
            parallel_switch: false,
            json_schema: true,
            sampling: true,
            top_k: true,
            thinking: true,
            reasoning_back: false,
            tools_max: limits::TOOLS_MAX,
            call_id_chars_max: 64,
            cache_marks: CacheMarks::Automatic,
            unknown: UnknownFields::Refuse,
        }
    }
}
