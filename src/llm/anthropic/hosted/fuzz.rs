//! The fuzz body of requests for Anthropic's models in a cloud: JSON stays JSON, and has what the cloud asks.

#![expect(clippy::indexing_slicing, reason = "a fuzz body says what it found by panicking")]

use serde_json::Value as Tree;

use crate::llm::anthropic::hosted::{Count, Host, Hosted, Wanted, request};
use crate::llm::bedrock;
use crate::llm::vertex;

/// Makes the requests of `data[1..]` for both clouds; the model and what is asked are drawn from `data[0]`.
pub fn fuzz_hosted_request(data: &[u8]) {
    let Some((&flags, body)) = data.split_first() else { return };
    let counts = flags & 1 == 1;
    let model = if flags & 2 == 2 {
        "anthropic.claude-3-haiku-20240307-v1:0"
    } else {
        "eu.anthropic.claude-sonnet-4-5-20250929-v1:0"
    };
    let betas = ["claude-code-20250219,advanced-tool-use-2025-11-20,unheard-of", ",, context-1m-2025-08-07"];
    let betas = if flags & 4 == 4 { &betas[..] } else { &[] };
    let wanted = |model, count| Wanted { model, betas, count };
    check(body, &wanted(model, counts.then_some(Count::WholeRequest)), &bedrock::host(model));
    check(body, &wanted("claude-sonnet-4-5@20250929", counts.then_some(Count::NamedModel)), &vertex::HOST);
}

fn check(body: &[u8], wanted: &Wanted<'_>, host: &Host<'_>) {
    let Ok(Hosted { body: made, betas, .. }) = request(body, wanted, host) else { return };
    let sound = serde_json::from_slice::<Tree>(body).is_ok();
    let tree = serde_json::from_slice::<Tree>(&made);
    assert!(tree.is_ok() || !sound, "JSON became what is none: {}", made.escape_ascii());
    let (Ok(tree), true) = (tree, sound) else { return };
    assert_eq!(tree["anthropic_version"], host.version);
    match wanted.count {
        Some(Count::NamedModel) => assert_eq!(tree["model"], wanted.model),
        Some(Count::WholeRequest) => assert!(tree.get("max_tokens").is_some(), "{tree}"),
        None => assert!(tree.get("model").is_none(), "the path names it: {tree}"),
    }
    assert!(host.stream_in_body || tree.get("stream").is_none(), "the path says it: {tree}");
    let named = tree["anthropic_beta"].as_array().map_or(0, Vec::len);
    assert_eq!(named, if host.betas_in_body { betas.len() } else { 0 }, "{tree}");
    assert!(betas.iter().all(|beta| host.betas.iter().any(|known| known.becomes == beta)), "{betas:?}");
}
