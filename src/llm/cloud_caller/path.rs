//! Reads the paths of Bedrock and Vertex AI, and the names that models have there.

use crate::llm::cloud_caller::{Called, Cloud, Operation};

/// What stands in front of a cloud's paths where somebody wants to tell them apart.
const FRONTS: &[&str] = &["/bedrock", "/vertex"];

/// What a path without its query asks for; nothing when it is none of a cloud's.
///
/// Bedrock's are `/model/{id}/{operation}` and `/inference-profiles`. Vertex AI's are
/// `[/v1]/projects/{project}/locations/{place}/publishers/anthropic/models/{id}:{operation}`: its clients
/// have the version in their base URL.
pub fn read(path: &str) -> Option<Called<'_>> {
    let front = FRONTS.iter().find_map(|front| path.strip_prefix(front).filter(|rest| rest.starts_with('/')));
    let rest = front.unwrap_or(path);
    if rest == "/inference-profiles" {
        return Some(Called { cloud: Cloud::Bedrock, operation: Operation::Profiles, model: "" });
    }
    if let Some(inner) = rest.strip_prefix("/model/") {
        let (model, operation) = inner.rsplit_once('/')?;
        let operation = match operation {
            "invoke" => Operation::Whole,
            "invoke-with-response-stream" => Operation::Stream,
            "count-tokens" => Operation::Count,
            _ => return None,
        };
        return (!model.is_empty()).then_some(Called { cloud: Cloud::Bedrock, operation, model });
    }
    let rest = rest.strip_prefix("/v1").unwrap_or(rest).strip_prefix("/projects/")?;
    let (_, inner) = rest.split_once("/publishers/anthropic/models/")?;
    let (model, operation) = inner.rsplit_once(':')?;
    let (model, operation) = match (model, operation) {
        ("count-tokens", "rawPredict") => ("", Operation::Count),
        ("" | "count-tokens", _) => return None,
        (model, "rawPredict") => (model, Operation::Whole),
        (model, "streamRawPredict") => (model, Operation::Stream),
        _ => return None,
    };
    (!model.contains('/')).then_some(Called { cloud: Cloud::Vertex, operation, model })
}

/// The names that a model in a path may have here, the first of which that is known counts: its own, and that
/// of Anthropic's for it, without what a cloud puts around it. Nothing when its escapes are none.
pub fn names(model: &str) -> Option<Vec<String>> {
    let own = unescaped(model)?;
    let plain = plain(&own).filter(|plain| *plain != own);
    Some(std::iter::once(own).chain(plain).collect())
}

/// `claude-sonnet-4-5-20250929` of `us.anthropic.claude-sonnet-4-5-20250929-v1:0`, also at the end of an ARN,
/// and of `claude-sonnet-4-5@20250929`.
fn plain(model: &str) -> Option<String> {
    let id = if model.starts_with("arn:") { model.rsplit('/').next()? } else { model };
    let id = id.split_once("anthropic.").map_or(id, |(_, id)| id);
    if !id.starts_with("claude") {
        return None;
    }
    if let Some((name, version)) = id.split_once('@') {
        let dated = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_digit());
        return Some(if dated { format!("{name}-{version}") } else { name.to_owned() });
    }
    let id = id.split(':').next().unwrap_or(id);
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let id = match id.rsplit_once("-v") {
        Some((name, version)) if number(version) => name,
        _ => id,
    };
    Some(id.to_owned())
}

/// Resolves `%xx` (RFC 3986 section 2.1).
fn unescaped(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let high = char::from(bytes.next()?).to_digit(16)?;
            let low = char::from(bytes.next()?).to_digit(16)?;
            out.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}
