//! How providers of OpenAI's Responses and of Gemini are spoken to, by what `takes` says of them.

use crate::config::dialect_file::Takes;
use crate::llm::bedrock::converse::Target as ConverseTarget;
use crate::llm::openai_chat::{CacheMarks, MidSystem, UnknownFields};
use crate::llm::speech::{Converse, Gemini, Responses, Speech, Thinks};
use crate::llm::{gemini, openai_responses};

/// The keys of `takes` of a provider of Responses.
pub(crate) const RESPONSES_KEYS: &[&str] = &[
    "like",
    "system_place",
    "system_role",
    "mid_system",
    "images",
    "image_urls",
    "files",
    "file_urls",
    "output_parts",
    "max_output_tokens",
    "efforts",
    "summary",
    "encrypted_reasoning",
    "reasoning_back",
    "phases",
    "named_choice",
    "parallel_switch",
    "json_schema",
    "sampling",
    "top_k",
    "tools",
    "call_id_chars",
    "found_in_place",
    "web_search",
    "compaction",
    "cache_marks",
    "caller_names",
    "unknown_fields",
];

/// The keys of `takes` of a provider of Gemini.
pub(crate) const GEMINI_KEYS: &[&str] = &[
    "like",
    "efforts",
    "thinking_min",
    "thinking_max",
    "thinking_off",
    "signatures",
    "call_ids",
    "json_schema",
    "validated",
    "images",
    "image_urls",
    "files",
    "result_media",
    "web_search",
    "max_output_tokens",
    "stop_sequences",
    "sampling",
    "tools",
    "unknown_fields",
];

/// The keys of `takes` of a provider of Converse.
pub(crate) const CONVERSE_KEYS: &[&str] = &[
    "images",
    "files",
    "result_media",
    "mid_system",
    "cache_marks",
    "max_output_tokens",
    "stop_sequences",
    "sampling",
    "efforts",
    "json_schema",
    "named_choice",
    "strict_tools",
    "reasoning_back",
    "unknown_fields",
];

/// Levels of `thinkingLevel`.
pub(crate) const LEVELS: &[&str] = &["minimal", "low", "medium", "high", "xhigh"];

/// A provider of Responses by its name in the config; `openai` where it takes all that OpenAI's own does.
pub(crate) fn responses(name: &str, openai: bool, takes: &Takes) -> Speech {
    use openai_responses::Target;
    let base = if openai { Target::openai("", "") } else { Target::compatible("", "") };
    let flag = |name: &str, usual: bool| takes.flag(name, usual);
    let target = Target {
        system_place: takes.system_place.unwrap_or(base.system_place),
        system_role: takes.system_role.unwrap_or(base.system_role),
        mid_system: takes.mid_system.unwrap_or(base.mid_system),
        images: flag("images", base.images),
        image_urls: flag("image_urls", base.image_urls),
        files: flag("files", base.files),
        file_urls: flag("file_urls", base.file_urls),
        output_parts: flag("output_parts", base.output_parts),
        max_tokens_max: takes.number("max_output_tokens").or(base.max_tokens_max),
        summary: takes.summary.unwrap_or(base.summary),
        encrypted_reasoning: flag("encrypted_reasoning", base.encrypted_reasoning),
        reasoning_back: flag("reasoning_back", base.reasoning_back),
        phases: flag("phases", base.phases),
        named_choice: flag("named_choice", base.named_choice),
        parallel_switch: flag("parallel_switch", base.parallel_switch),
        json_schema: flag("json_schema", base.json_schema),
        sampling: flag("sampling", base.sampling),
        top_k: flag("top_k", base.top_k),
        tools_max: takes.count("tools", base.tools_max),
        call_id_chars_max: takes.count("call_id_chars", base.call_id_chars_max).max(1),
        found_in_place: flag("found_in_place", base.found_in_place),
        web_search: flag("web_search", base.web_search),
        compaction: flag("compaction", base.compaction),
        cache_marks: takes.cache_marks.unwrap_or(base.cache_marks),
        unknown: takes.unknown.unwrap_or(base.unknown),
        ..base.clone()
    };
    let efforts = takes.efforts.clone().unwrap_or_else(|| base.efforts.to_vec());
    Speech::Responses(Box::new(Responses {
        takes: target,
        origin: openai_responses::origin(name).into(),
        efforts: efforts.into_boxed_slice(),
        knows_callers: flag("caller_names", openai),
    }))
}

/// A provider of Gemini.
pub(crate) fn gemini(takes: &Takes) -> Speech {
    use gemini::Target;
    let with = |base: Target<'static>| Target {
        signatures: takes.flag("signatures", base.signatures),
        call_ids: takes.flag("call_ids", base.call_ids),
        json_schema: takes.flag("json_schema", base.json_schema),
        validated: takes.flag("validated", base.validated),
        images: takes.flag("images", base.images),
        urls: takes.flag("image_urls", base.urls),
        files: takes.flag("files", base.files),
        result_media: takes.flag("result_media", base.result_media),
        google_search: takes.flag("web_search", base.google_search),
        max_tokens_max: takes.number("max_output_tokens").or(base.max_tokens_max),
        stops_max: takes.count("stop_sequences", base.stops_max),
        sampling: takes.flag("sampling", base.sampling),
        tools_max: takes.count("tools", base.tools_max),
        unknown: takes.unknown.unwrap_or(base.unknown),
        ..base
    };
    let levels = takes.efforts.clone().map(|levels| Thinks::Levels(levels.into_boxed_slice()));
    let budget = takes.number("thinking_max").map(|most| Thinks::Budget {
        least: takes.number("thinking_min").unwrap_or(1).min(most),
        most,
        off: takes.flag("thinking_off", true),
    });
    Speech::Gemini(Box::new(Gemini {
        third: with(Target::gemini_3("")),
        second: with(Target::gemini_2("")),
        generation: takes.generation,
        thinks: levels.or(budget),
    }))
}

/// A provider of Converse. What a model takes that is none of Amazon's own is not known by its name: what is
/// written holds for all of its models.
pub(crate) fn converse(takes: &Takes) -> Speech {
    let with = |base: ConverseTarget<'static>| ConverseTarget {
        images: takes.flag("images", base.images),
        files: takes.flag("files", base.files),
        files_in_results: takes.flag("result_media", base.files_in_results),
        system_in_place: takes.mid_system.map_or(base.system_in_place, |it| it == MidSystem::InPlace),
        cache_points: takes.cache_marks.map_or(base.cache_points, |it| it == CacheMarks::Breakpoints),
        max_tokens_max: takes.number("max_output_tokens").or(base.max_tokens_max),
        stops_max: takes.count("stop_sequences", base.stops_max),
        sampling: takes.flag("sampling", base.sampling),
        json_schema: takes.flag("json_schema", base.json_schema),
        forced_choice: takes.flag("named_choice", base.forced_choice),
        strict_tools: takes.flag("strict_tools", base.strict_tools),
        reasoning_back: takes.flag("reasoning_back", base.reasoning_back),
        drop_unknown: takes.unknown == Some(UnknownFields::Drop),
        ..base
    };
    Speech::Converse(Box::new(Converse {
        nova: with(ConverseTarget::nova()),
        others: with(ConverseTarget::plain()),
        efforts: takes.efforts.clone().unwrap_or_default().into_boxed_slice(),
    }))
}
