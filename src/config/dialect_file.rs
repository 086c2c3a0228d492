//! What a person writes about the dialect of a provider: `dialect` and `takes`.

use crate::config::file::Auth;
use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::speeches;
use crate::config::yaml::{Node, Value};
use crate::limits;
use crate::llm::anthropic_lenient;
use crate::llm::openai_chat::{CacheMarks, MaxTokensField, MidSystem, SystemRole, Target, UnknownFields};
use crate::llm::openai_responses::SystemPlace;
use crate::llm::speech::{Chat, Generation, Speech};
use crate::upstream::provider::Dialect;

/// The dialects, by the words of the config.
pub(crate) const DIALECTS: &[(&str, Dialect)] = &[
    ("anthropic", Dialect::Anthropic),
    ("anthropic_lenient", Dialect::AnthropicLenient),
    ("openai_chat", Dialect::OpenAiChat),
    ("openai_responses", Dialect::OpenAiResponses),
    ("gemini", Dialect::Gemini),
    ("bedrock", Dialect::Bedrock),
    ("bedrock_converse", Dialect::BedrockConverse),
    ("vertex", Dialect::Vertex),
    ("demo", Dialect::Demo),
];

/// Where the servers are that know all of OpenAI's own fields.
const OPENAI_HOSTS: &[&str] = &["api.openai.com", ".api.openai.com", ".openai.azure.com"];

/// Levels of `reasoning_effort` and of `reasoning.effort`.
const EFFORTS: &[&str] = &["none", "minimal", "low", "medium", "high", "xhigh", "max"];

/// The keys of `takes` of a provider of Chat Completions.
const CHAT_KEYS: &[&str] = &[
    "like",
    "system_role",
    "mid_system",
    "text_parts",
    "images",
    "image_urls",
    "files",
    "max_tokens_field",
    "max_output_tokens",
    "stop_sequences",
    "efforts",
    "named_choice",
    "parallel_switch",
    "strict_tools",
    "json_schema",
    "usage_in_stream",
    "sampling",
    "top_k",
    "tools",
    "call_id_chars",
    "reasoning_back",
    "cache_marks",
    "caller_names",
    "unknown_fields",
];

/// The keys of `takes` of a server that speaks Messages, but not all of it.
const LENIENT_KEYS: &[&str] = &[
    "images",
    "image_urls",
    "files",
    "max_output_tokens",
    "stop_sequences",
    "named_choice",
    "parallel_switch",
    "json_schema",
    "sampling",
    "top_k",
    "thinking",
    "reasoning_back",
    "tools",
    "call_id_chars",
    "cache_marks",
    "unknown_fields",
];

/// `takes`: in what a server differs from what its address lets expect.
#[derive(Clone, Debug, Default)]
pub(crate) struct Takes {
    /// As it was written, for people.
    pub(crate) written: Vec<(String, String)>,
    openai: Option<bool>,
    pub(crate) generation: Option<Generation>,
    pub(crate) system_place: Option<SystemPlace>,
    pub(crate) system_role: Option<SystemRole>,
    pub(crate) mid_system: Option<MidSystem>,
    max_tokens_field: Option<MaxTokensField>,
    pub(crate) cache_marks: Option<CacheMarks>,
    pub(crate) unknown: Option<UnknownFields>,
    pub(crate) efforts: Option<Vec<&'static str>>,
    /// The outer one is whether anything is written.
    pub(crate) summary: Option<Option<&'static str>>,
    flags: Vec<(&'static str, bool)>,
    numbers: Vec<(&'static str, u64)>,
}

impl Takes {
    /// Whether a key is true.
    pub(crate) fn flag(&self, name: &str, usual: bool) -> bool {
        self.flags.iter().find(|(key, _)| *key == name).map_or(usual, |(_, flag)| *flag)
    }

    /// The number of a key.
    pub(crate) fn number(&self, name: &str) -> Option<u64> {
        self.numbers.iter().find(|(key, _)| *key == name).map(|(_, number)| *number)
    }

    /// The same for what is counted in memory.
    pub(crate) fn count(&self, name: &str, usual: usize) -> usize {
        self.number(name).and_then(|number| usize::try_from(number).ok()).unwrap_or(usual)
    }
}

/// Reads `dialect`.
pub(crate) fn read_dialect(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<Dialect> {
    let node = reader.required(fields, what, "dialect")?;
    let text = reader.text(node, &format!("{what}.dialect"))?;
    let known = DIALECTS.iter().find(|(word, _)| *word == text.value).map(|(_, dialect)| *dialect);
    if known.is_none() {
        let words: Vec<&str> = DIALECTS.iter().map(|(word, _)| *word).collect();
        let (shown, words) = (quoted(&text.value), words.join(", "));
        let text = format!("{what}.dialect: this version does not speak {shown}; it speaks {words}");
        reader.fault(node.mark, text);
    }
    known
}

/// Reads `takes`.
pub(crate) fn read_takes(
    fields: &Fields<'_>,
    what: &str,
    dialect: Dialect,
    reader: &mut Reader,
) -> Option<Takes> {
    let node = fields.get("takes")?;
    let what = format!("{what}.takes");
    let keys = match dialect {
        Dialect::OpenAiChat => CHAT_KEYS,
        Dialect::AnthropicLenient => LENIENT_KEYS,
        Dialect::OpenAiResponses => speeches::RESPONSES_KEYS,
        Dialect::Gemini => speeches::GEMINI_KEYS,
        Dialect::BedrockConverse => speeches::CONVERSE_KEYS,
        Dialect::Anthropic | Dialect::Bedrock | Dialect::Vertex | Dialect::Demo => {
            let who = "only a provider of another dialect than Anthropic's own";
            reader.fault(node.mark, format!("{what}: {who} has differences to tell"));
            return None;
        }
    };
    let fields = reader.fields(node, &what, keys)?;
    let mut takes = Takes { written: written(node), ..Takes::default() };
    read_words(&mut takes, (&fields, dialect), &what, reader);
    for (key, most) in NUMBERS {
        if let Some(node) = fields.get(key) {
            let what = format!("{what}.{key}");
            takes.numbers.extend(reader.number(node, &what, 0..=*most).map(|number| (*key, number)));
        }
    }
    for key in FLAGS {
        if let Some(node) = fields.get(key) {
            takes.flags.extend(reader.yes_or_no(node, &format!("{what}.{key}")).map(|flag| (*key, flag)));
        }
    }
    one_way_to_think(&fields, &what, reader);
    Some(takes)
}

/// Levels or tokens, and no bound of tokens without the one above it.
fn one_way_to_think(fields: &Fields<'_>, what: &str, reader: &mut Reader) {
    let most = fields.get("thinking_max");
    let levels = fields.get("efforts");
    for key in ["thinking_min", "thinking_max", "thinking_off"] {
        let Some(node) = fields.get(key) else { continue };
        if levels.is_some() {
            let text = format!("{what}.{key}: models think by `efforts` or by tokens: keep one of them");
            reader.fault(node.mark, text);
        } else if most.is_none() {
            reader.fault(node.mark, format!("{what}.{key}: `thinking_max` is missing"));
        }
    }
}

/// Reads the keys whose values are words.
fn read_words(takes: &mut Takes, (fields, dialect): (&Fields<'_>, Dialect), what: &str, reader: &mut Reader) {
    let at = |key: &str| Some((fields.get(key)?, format!("{what}.{key}")));
    if let Some((node, what)) = at("like") {
        if dialect == Dialect::Gemini {
            let words = [("gemini_3", Generation::Third), ("gemini_2", Generation::Second)];
            takes.generation = reader.choice(node, &what, &words);
        } else {
            takes.openai = reader.choice(node, &what, &[("openai", true), ("compatible", false)]);
        }
    }
    if let Some((node, what)) = at("system_place") {
        let words = [("instructions", SystemPlace::Instructions), ("first_item", SystemPlace::FirstItem)];
        takes.system_place = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("summary") {
        let words = [
            ("auto", Some("auto")),
            ("concise", Some("concise")),
            ("detailed", Some("detailed")),
            ("none", None),
        ];
        takes.summary = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("system_role") {
        let words = [("system", SystemRole::System), ("developer", SystemRole::Developer)];
        takes.system_role = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("mid_system") {
        let words = [("in_place", MidSystem::InPlace), ("as_user", MidSystem::AsUser)];
        takes.mid_system = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("max_tokens_field") {
        let words = [
            ("max_tokens", MaxTokensField::MaxTokens),
            ("max_completion_tokens", MaxTokensField::MaxCompletionTokens),
        ];
        takes.max_tokens_field = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("cache_marks") {
        let words = [("automatic", CacheMarks::Automatic), ("breakpoints", CacheMarks::Breakpoints)];
        takes.cache_marks = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("unknown_fields") {
        let words = [("refuse", UnknownFields::Refuse), ("drop", UnknownFields::Drop)];
        takes.unknown = reader.choice(node, &what, &words);
    }
    if let Some((node, what)) = at("efforts") {
        let efforts = if dialect == Dialect::Gemini { speeches::LEVELS } else { EFFORTS };
        let words: Vec<(&str, &'static str)> = efforts.iter().map(|word| (*word, *word)).collect();
        let nodes = reader.list(node, &what).unwrap_or_default();
        takes.efforts = Some(nodes.iter().filter_map(|node| reader.choice(node, &what, &words)).collect());
    }
}

/// Keys with a number, and the most of each.
const NUMBERS: &[(&str, u64)] = &[
    ("max_output_tokens", limits::PRICE_TOKENS_MAX),
    ("stop_sequences", limits::STOPS_MAX as u64),
    ("tools", limits::TOOLS_MAX as u64),
    ("call_id_chars", limits::CALL_ID_BYTES_MAX as u64),
    ("thinking_min", limits::PRICE_TOKENS_MAX),
    ("thinking_max", limits::PRICE_TOKENS_MAX),
];

/// Keys that are true or false.
const FLAGS: &[&str] = &[
    "text_parts",
    "images",
    "image_urls",
    "files",
    "named_choice",
    "parallel_switch",
    "strict_tools",
    "json_schema",
    "usage_in_stream",
    "sampling",
    "top_k",
    "thinking",
    "reasoning_back",
    "caller_names",
    "file_urls",
    "output_parts",
    "encrypted_reasoning",
    "phases",
    "found_in_place",
    "web_search",
    "compaction",
    "thinking_off",
    "signatures",
    "call_ids",
    "validated",
    "result_media",
];

/// What stands in `takes`, in its order.
fn written(node: &Node) -> Vec<(String, String)> {
    let Value::Map(entries) = &node.value else { return Vec::new() };
    let text = |node: &Node| match &node.value {
        Value::Text { text, .. } => text.clone(),
        Value::List(_) | Value::Map(_) => String::new(),
    };
    let shown = |node: &Node| match &node.value {
        Value::List(nodes) => format!("[{}]", nodes.iter().map(text).collect::<Vec<_>>().join(", ")),
        Value::Text { .. } | Value::Map(_) => text(node),
    };
    entries.iter().map(|entry| (entry.key.clone(), shown(&entry.value))).collect()
}

/// The header that a provider of a dialect wants its key in, where nothing is written.
pub(crate) const fn usual_auth(dialect: Dialect) -> Auth {
    match dialect {
        Dialect::OpenAiChat
        | Dialect::OpenAiResponses
        | Dialect::Bedrock
        | Dialect::BedrockConverse
        | Dialect::Vertex => Auth::Bearer,
        Dialect::Gemini => Auth::GoogApiKey,
        Dialect::Anthropic | Dialect::AnthropicLenient | Dialect::Demo => Auth::ApiKey,
    }
}

/// How the provider of this name at `host` is spoken to; nothing where it speaks as callers do, or is nobody.
pub(crate) fn speech(dialect: Dialect, (name, host): (&str, &str), takes: Option<&Takes>) -> Option<Speech> {
    let none = Takes::default();
    let takes = takes.unwrap_or(&none);
    let is_openai = |known: &&str| host == *known || (known.starts_with('.') && host.ends_with(*known));
    let openai = takes.openai.unwrap_or_else(|| OPENAI_HOSTS.iter().any(is_openai));
    match dialect {
        Dialect::Anthropic | Dialect::Bedrock | Dialect::Vertex | Dialect::Demo => None,
        Dialect::AnthropicLenient => Some(Speech::Lenient(Box::new(lenient(takes)))),
        Dialect::OpenAiChat => Some(chat(openai, takes)),
        Dialect::OpenAiResponses => Some(speeches::responses(name, openai, takes)),
        Dialect::Gemini => Some(speeches::gemini(takes)),
        Dialect::BedrockConverse => Some(speeches::converse(takes)),
    }
}

/// What a server takes that speaks Messages, but not all of it.
fn lenient(takes: &Takes) -> anthropic_lenient::Target<'static> {
    let base = anthropic_lenient::Target::new("");
    let flag = |name: &str, usual: bool| takes.flag(name, usual);
    anthropic_lenient::Target {
        images: flag("images", base.images),
        image_urls: flag("image_urls", base.image_urls),
        files: flag("files", base.files),
        max_tokens_max: takes.number("max_output_tokens").or(base.max_tokens_max),
        stops_max: takes.count("stop_sequences", base.stops_max),
        named_choice: flag("named_choice", base.named_choice),
        parallel_switch: flag("parallel_switch", base.parallel_switch),
        json_schema: flag("json_schema", base.json_schema),
        sampling: flag("sampling", base.sampling),
        top_k: flag("top_k", base.top_k),
        thinking: flag("thinking", base.thinking),
        reasoning_back: flag("reasoning_back", base.reasoning_back),
        tools_max: takes.count("tools", base.tools_max),
        call_id_chars_max: takes.count("call_id_chars", base.call_id_chars_max).max(1),
        cache_marks: takes.cache_marks.unwrap_or(base.cache_marks),
        unknown: takes.unknown.unwrap_or(base.unknown),
        ..base
    }
}

/// How a server of Chat Completions is spoken to.
fn chat(openai: bool, takes: &Takes) -> Speech {
    let base = if openai { Target::openai("") } else { Target::compatible("") };
    let flag = |name: &str, usual: bool| takes.flag(name, usual);
    let count = |name: &str, usual: usize| takes.count(name, usual);
    let target = Target {
        system_role: takes.system_role.unwrap_or(base.system_role),
        mid_system: takes.mid_system.unwrap_or(base.mid_system),
        text_parts: flag("text_parts", base.text_parts),
        images: flag("images", base.images),
        image_urls: flag("image_urls", base.image_urls),
        files: flag("files", base.files),
        max_tokens_field: takes.max_tokens_field.unwrap_or(base.max_tokens_field),
        max_tokens_max: takes.number("max_output_tokens").or(base.max_tokens_max),
        stops_max: count("stop_sequences", base.stops_max),
        named_choice: flag("named_choice", base.named_choice),
        parallel_switch: flag("parallel_switch", base.parallel_switch),
        strict_tools: flag("strict_tools", base.strict_tools),
        json_schema: flag("json_schema", base.json_schema),
        usage_in_stream: flag("usage_in_stream", base.usage_in_stream),
        sampling: flag("sampling", base.sampling),
        top_k: flag("top_k", base.top_k),
        tools_max: count("tools", base.tools_max),
        call_id_chars_max: count("call_id_chars", base.call_id_chars_max).max(1),
        reasoning_back: flag("reasoning_back", base.reasoning_back),
        cache_marks: takes.cache_marks.unwrap_or(base.cache_marks),
        unknown: takes.unknown.unwrap_or(base.unknown),
        ..base.clone()
    };
    let efforts = takes.efforts.clone().unwrap_or_else(|| base.efforts.to_vec());
    Speech::Chat(Box::new(Chat {
        takes: target,
        efforts: efforts.into_boxed_slice(),
        knows_callers: flag("caller_names", openai),
    }))
}

/// The path below which a dialect's addresses begin. OpenAI's are written with their `/v1`, or with what
/// another vendor has in its place, as their own programs want it, and Gemini's with their version;
/// `path` has lost its last `/v1`.
pub(crate) fn base_path(dialect: Dialect, url: &At<String>, path: String) -> String {
    let cut = url.value.trim_end_matches('/').ends_with("/v1");
    match dialect {
        Dialect::OpenAiChat | Dialect::OpenAiResponses if path.is_empty() || cut => format!("{path}/v1"),
        Dialect::Gemini if cut => format!("{path}/v1"),
        Dialect::Gemini if path.is_empty() => "/v1beta".to_owned(),
        _ => path,
    }
}
