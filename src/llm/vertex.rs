//! Vertex AI as a target: Anthropic's models by rawPredict, whose answers are Anthropic's own.
//!
//! Follows "Anthropic's Claude models" of the documentation of Vertex AI and anthropic-sdk-python 2.12 (read
//! 2026-11). Where the model runs is part of host and path: a region, `us` or `eu`, or `global`.

use crate::llm::anthropic::hosted::{Beta, Fields, Host, Unknown};
use crate::llm::bedrock;
use crate::llm::gemini;
use crate::llm::said::{Failure, Kind};

/// `anthropic_version` of its bodies.
pub const VERSION: &str = "vertex-2023-10-16";

/// The betas that it knows. What is not among them is refused by the service.
pub const BETAS: &[Beta<'static>] = &[
    Beta { name: "advanced-tool-use-2025-11-20", becomes: "tool-search-tool-2025-10-19", models: &[] },
    Beta::same("tool-search-tool-2025-10-19"),
    Beta::same("compact-2026-01-12"),
    Beta::same("compact-2026-09-04"),
    Beta::same("computer-use-2025-01-24"),
    Beta::same("computer-use-2025-11-24"),
    Beta::same("context-1m-2025-08-07"),
    Beta::same("context-management-2025-06-27"),
    Beta::same("dangerous-tool-use-2026-09-03"),
    Beta::same("interleaved-thinking-2025-05-14"),
    Beta::same("per-turn-control-2026-07-01"),
    Beta::same("thinking-binding-controls-2026-08-01"),
    Beta::same("thinking-display-updates-2026-08-18"),
    Beta::same("web-search-2025-03-05"),
];

/// Fields of the top level that are between Anthropic and its own callers.
const FIELDS_LEFT_OUT: &[&str] = &[
    "billing_policy",
    "container",
    "diagnostics",
    "fallback_credit_token",
    "fallbacks",
    "inference_geo",
    "mcp_servers",
    "service_tier",
    "speed",
    "tags",
    "thread",
    "user_profile_id",
    "workspace_id",
];

/// What rawPredict takes of a request.
pub const HOST: Host<'static> = Host {
    version: VERSION,
    stream_in_body: true,
    betas_in_body: false,
    betas: BETAS,
    fields: Fields::AllBut(FIELDS_LEFT_OUT),
    unknown: Unknown::Drop,
    edits: None,
    tool_fields_left_out: &["allowed_callers", "eager_input_streaming", "input_examples"],
    tools_refused: &["web_fetch", "code_execution", "mcp_toolset", "advisor"],
    cache_ttl: true,
    name: "Vertex AI",
};

/// The host for a place: `global`, `us`, `eu`, or a region such as `europe-west1`; nothing when the text can
/// be none.
pub fn host_name(place: &str) -> Option<String> {
    match place {
        "global" => Some("aiplatform.googleapis.com".to_owned()),
        "us" | "eu" => Some(format!("aiplatform.{place}.rep.googleapis.com")),
        region => is_word(region).then(|| format!("{region}-aiplatform.googleapis.com")),
    }
}

/// Lower-case letters, digits and `-`, as in projects and regions. A project's id may hold a domain and a
/// `:`.
fn is_word(text: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (1..=63).contains(&text.len()) && text.bytes().all(letter)
}

/// The path by which a model answers; nothing when project, place or model cannot be part of one.
pub fn predict_path(project: &str, place: &str, model: &str, stream: bool) -> Option<String> {
    let operation = if stream { "streamRawPredict" } else { "rawPredict" };
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'@');
    let fits = (1..=128).contains(&model.len()) && model.bytes().all(letter);
    fits.then(|| Some(format!("{}/{model}:{operation}", base(project, place)?))).flatten()
}

/// The path by which tokens are counted, of whichever model the body names; see [`count_model`].
pub fn count_path(project: &str, place: &str) -> Option<String> {
    Some(format!("{}/count-tokens:rawPredict", base(project, place)?))
}

/// The name of a model as counting takes it: without the version behind an `@`.
pub fn count_model(model: &str) -> &str {
    model.split('@').next().unwrap_or(model)
}

fn base(project: &str, place: &str) -> Option<String> {
    let project_fits = project.split([':', '.']).all(is_word) && project.len() <= 128;
    let fits = project_fits && is_word(place);
    fits.then(|| format!("/v1/projects/{project}/locations/{place}/publishers/anthropic/models"))
}

/// Reads the body of an answer with an error status: in Google's form, or in Anthropic's, whose own words
/// about a request are told, since the client acts on them.
pub fn read_error(status: u16, body: &[u8]) -> Failure {
    let failure = gemini::read_error(status, body);
    match failure.kind {
        Kind::InvalidRequest => bedrock::read_error(status, "", body),
        _ => failure,
    }
}

/// Whether a header line of the caller goes on, by its name in lower case. `anthropic-version` stands in the
/// body, `anthropic-beta` is written anew, and the rest is between the caller and the gateway.
pub fn takes_header(name: &str) -> bool {
    matches!(name, "accept" | "accept-encoding" | "content-type" | "user-agent")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value as Tree, json};

    use super::{
        HOST, Kind, VERSION, count_model, count_path, host_name, predict_path, read_error, takes_header,
    };
    use crate::llm::anthropic::hosted::{Count, Hosted, Wanted, request};

    fn hosted(body: &Tree, count: Option<Count>) -> Hosted {
        let betas = ["claude-code-20250219,advanced-tool-use-2025-11-20", "interleaved-thinking-2025-05-14"];
        let wanted = Wanted { model: "claude-opus-4-5", betas: &betas, count };
        request(body.to_string().as_bytes(), &wanted, &HOST).unwrap()
    }

    #[test]
    fn the_model_goes_and_the_version_comes() {
        let body = json!({"model": "m", "stream": true, "max_tokens": 7, "tags": ["a"], "of_tomorrow": 1,
            "context_management": {"edits": [{"type": "clear_thinking_20251015"}]},
            "tools": [{"type": "web_search_20250305", "name": "web_search"}],
            "messages": [{"role": "user", "content": "hi"}]});
        let hosted = hosted(&body, None);
        let tree: Tree = serde_json::from_slice(&hosted.body).unwrap();
        let mut expected = body;
        for gone in ["model", "tags"] {
            expected.as_object_mut().unwrap().remove(gone);
        }
        expected["anthropic_version"] = json!(VERSION);
        assert_eq!(tree, expected);
        assert_eq!(hosted.betas, ["tool-search-tool-2025-10-19", "interleaved-thinking-2025-05-14"]);
        let lost: Vec<&str> = hosted.losses.kinds().iter().map(|loss| &*loss.what).collect();
        assert_eq!(lost, ["tags", "anthropic-beta.claude-code-20250219"]);
    }

    #[test]
    fn anthropics_own_words_about_a_request_are_told_and_googles_are_not() {
        let own = json!({"type": "error", "error": {"type": "invalid_request_error",
            "message": "tools.0.name: too long"}});
        let failure = read_error(400, own.to_string().as_bytes());
        assert_eq!((failure.kind, &*failure.message), (Kind::InvalidRequest, "tools.0.name: too long"));
        let google =
            json!({"error": {"code": 403, "status": "PERMISSION_DENIED", "message": "projects/p-1"}});
        let failure = read_error(403, google.to_string().as_bytes());
        assert_eq!(failure.kind, Kind::Credentials);
        assert!(!failure.message.contains("p-1"), "{}", failure.message);
    }

    #[test]
    fn counting_names_the_model_without_its_version() {
        let body = json!({"model": "m", "messages": []});
        let tree: Tree = serde_json::from_slice(&hosted(&body, Some(Count::NamedModel)).body).unwrap();
        assert_eq!(tree["model"], "claude-opus-4-5");
        assert_eq!(tree["max_tokens"], Tree::Null);
        assert_eq!(count_model("claude-opus-4-5@20251101"), "claude-opus-4-5");
    }

    #[test]
    fn hosts_and_paths_say_where_it_runs() {
        let host = |place| host_name(place).unwrap_or_default();
        assert_eq!(host("global"), "aiplatform.googleapis.com");
        assert_eq!(host("eu"), "aiplatform.eu.rep.googleapis.com");
        assert_eq!(host("europe-west1"), "europe-west1-aiplatform.googleapis.com");
        for wrong in ["", "evil.example/", "a b", "US"] {
            assert_eq!(host_name(wrong), None, "{wrong}");
        }
        let models = "/v1/projects/p-1/locations/global/publishers/anthropic/models";
        assert_eq!(
            predict_path("p-1", "global", "claude-opus-4-5@20251101", true).unwrap(),
            format!("{models}/claude-opus-4-5@20251101:streamRawPredict")
        );
        assert_eq!(
            predict_path("p-1", "global", "claude-opus-5", false).unwrap(),
            format!("{models}/claude-opus-5:rawPredict")
        );
        assert_eq!(count_path("p-1", "global").unwrap(), format!("{models}/count-tokens:rawPredict"));
        assert_eq!(predict_path("p/..", "global", "m", false), None);
        assert_eq!(predict_path("p", "global", "m/../n", false), None);
        assert!(predict_path("example.com:p", "global", "m", false).is_some());
        assert!(
            takes_header("content-type") && !takes_header("anthropic-version") && !takes_header("x-api-key")
        );
    }
}
