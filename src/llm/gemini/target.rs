//! What one server and model of this dialect takes: what the config says of a provider and its models.

use crate::limits;
use crate::llm::foreign::UnknownFields;
use crate::llm::gemini::ORIGIN;

/// How a model is told to think.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Thinking<'a> {
    /// It does not think.
    Never,
    /// By `thinkingLevel`: the levels that it has, of `minimal low medium high xhigh`.
    Levels(&'a [&'a str]),
    /// By `thinkingBudget`, in tokens.
    Budget {
        /// The least that it takes beside 0.
        least: u64,
        /// The most.
        most: u64,
        /// It takes 0, which is no thinking at all.
        off: bool,
    },
}

/// One server and model.
#[derive(Clone, Debug)]
pub struct Target<'a> {
    /// The model's id there, without `models/` in front.
    pub model: &'a str,
    /// What signatures of its thinking are tagged with: letters, digits and `-`. One word for all whose
    /// signatures hold for each other.
    pub origin: &'a str,
    /// How the model is told to think.
    pub thinking: Thinking<'a>,
    /// Calls in the history need their signature, as with Gemini 3 and later: one that has none goes with the
    /// word that the API takes in its place.
    pub signatures: bool,
    /// Calls and results have ids.
    pub call_ids: bool,
    /// Schemas go as they are, as `parametersJsonSchema` and `responseJsonSchema`; else as the API's own
    /// subset of OpenAPI.
    pub json_schema: bool,
    /// The mode `VALIDATED` is known, in which inputs of tools follow their schema.
    pub validated: bool,
    /// The model sees images in base64.
    pub images: bool,
    /// Images and files at addresses, which the server then fetches.
    pub urls: bool,
    /// The model reads PDF files.
    pub files: bool,
    /// Results of tools hold images and files, as with Gemini 3 and later; else those follow the results.
    pub result_media: bool,
    /// The server searches the web in the place of Anthropic's tool.
    pub google_search: bool,
    /// The most that the model can write, in tokens; more is brought down to it.
    pub max_tokens_max: Option<u64>,
    /// Stop sequences that the server takes.
    pub stops_max: usize,
    /// `temperature`, `topP` and `topK` are taken.
    pub sampling: bool,
    /// Functions in one request.
    pub tools_max: usize,
    /// A label by which the provider tells users apart, on Vertex: a keyed hash, never the caller's own
    /// `metadata.user_id`, which names a device and an account.
    pub label: Option<(&'a str, &'a str)>,
    /// Fields of the request and types of tools that the gateway sees to itself.
    pub handled: &'a [&'a str],
    /// What becomes of fields that nobody knows.
    pub unknown: UnknownFields,
}

impl<'a> Target<'a> {
    /// A model of the third generation or later.
    pub const fn gemini_3(model: &'a str) -> Self {
        Self {
            model,
            origin: ORIGIN,
            thinking: Thinking::Levels(&["low", "medium", "high"]),
            signatures: true,
            call_ids: true,
            json_schema: true,
            validated: true,
            images: true,
            urls: true,
            files: true,
            result_media: true,
            google_search: true,
            max_tokens_max: Some(65_536),
            stops_max: 5,
            sampling: true,
            tools_max: limits::TOOLS_MAX,
            label: None,
            handled: &[],
            unknown: UnknownFields::Refuse,
        }
    }

    /// A model of the generation 2.5.
    pub const fn gemini_2(model: &'a str) -> Self {
        Self {
            thinking: Thinking::Budget { least: 512, most: 24_576, off: true },
            signatures: false,
            call_ids: false,
            validated: false,
            urls: false,
            result_media: false,
            ..Self::gemini_3(model)
        }
    }
}
