//! What goes out to a cloud: golden bytes for each rule, and what holds for any request.

use proptest::collection::vec;
use proptest::prelude::{any, proptest};
use proptest::sample::select;
use serde_json::{Value as Tree, json};

use super::fuzz::fuzz_hosted_request;
use super::{Beta, Count, Fields, Host, Hosted, Unknown, Wanted, request};
use crate::corpus::replay;
use crate::llm::bedrock;
use crate::llm::loss::Treatment;
use crate::llm::signature;

const MODEL: &str = "eu.anthropic.claude-opus-4-5-20251101-v1:0";

fn try_hosted(body: &str, betas: &[&str], host: &Host<'_>) -> Result<Hosted, String> {
    let wanted = Wanted { model: MODEL, betas, count: None };
    request(body.as_bytes(), &wanted, host).map_err(|refusal| refusal.to_string())
}

/// The body that goes to Bedrock, as it is written, and the losses.
fn sent(body: &str, betas: &[&str], model: &str) -> (String, Vec<(String, Treatment)>) {
    let wanted = Wanted { model, betas, count: None };
    let hosted = request(body.as_bytes(), &wanted, &bedrock::host(model)).unwrap();
    let losses = hosted.losses.kinds().iter().map(|loss| (loss.what.to_string(), loss.treatment));
    (String::from_utf8(hosted.body).unwrap(), losses.collect())
}

fn dropped(losses: &[&str]) -> Vec<(String, Treatment)> {
    losses.iter().map(|loss| ((*loss).to_owned(), Treatment::Dropped)).collect()
}

fn refused(body: &Tree) -> String {
    try_hosted(&body.to_string(), &[], &bedrock::host(MODEL)).unwrap_err()
}

#[test]
fn the_rest_stays_byte_for_byte_and_in_order() {
    let body = r#"{ "model" : "claude-opus-5","max_tokens": 1e2 , "stream":true,
        "system":[ {"type":"text","text":"x-anthropic-billing-header: \u0063c"} ], "temperature":0.50,
        "messages":[{"role":"user","content":"h\/i"}],"anthropic_version":"of old" }"#;
    let (out, losses) = sent(body, &[], MODEL);
    let expected = concat!(
        r#"{"anthropic_version":"bedrock-2023-05-31","max_tokens": 1e2,"system":[ {"type":"text","#,
        r#""text":"x-anthropic-billing-header: \u0063c"} ],"temperature":0.50,"#,
        r#""messages":[{"role":"user","content":"h\/i"}]}"#
    );
    assert_eq!(out, expected);
    assert_eq!(losses, []);
}

#[test]
fn betas_go_into_the_body_by_bedrocks_names() {
    let body = r#"{"model":"m","messages":[],"anthropic_beta":["effort-2025-11-24","of-tomorrow"]}"#;
    let header =
        ["claude-code-20250219, advanced-tool-use-2025-11-20,", "tool-search-tool-2025-10-19,odd \" one"];
    let (out, losses) = sent(body, &header, MODEL);
    let betas = concat!(
        r#"{"anthropic_version":"bedrock-2023-05-31","anthropic_beta":["tool-search-tool-2025-10-19","#,
        r#""effort-2025-11-24"],"messages":[]}"#
    );
    assert_eq!(out, betas);
    let lost = ["anthropic-beta.claude-code-20250219", "anthropic-beta", "anthropic-beta.of-tomorrow"];
    assert_eq!(losses, dropped(&lost));
    let interleaved = ["interleaved-thinking-2025-05-14"];
    for (model, known) in [
        ("anthropic.claude-sonnet-4-20250514-v1:0", true),
        (MODEL, true),
        ("global.anthropic.claude-sonnet-4-6", false),
        ("anthropic.claude-3-7-sonnet-20250219-v1:0", false),
    ] {
        let (out, losses) = sent(r#"{"messages":[]}"#, &interleaved, model);
        assert_eq!(out.contains("interleaved"), known, "{model}: {out}");
        assert_eq!(losses.is_empty(), known);
    }
    let odd = try_hosted(r#"{"messages":[],"anthropic_beta":[7]}"#, &[], &bedrock::host(MODEL));
    assert_eq!(odd.unwrap_err(), "anthropic_beta: this must be a list of strings");
}

#[test]
fn a_beta_that_the_config_adds_is_renamed_or_limited_by_it() {
    let table = [Beta { name: "a-1", becomes: "b-1", models: &["opus"] }, Beta::same("c-1")];
    let host = Host { betas: &table, betas_in_body: false, ..bedrock::host(MODEL) };
    let hosted = try_hosted(r#"{"messages":[]}"#, &["a-1,c-1,a-1"], &host).unwrap();
    assert_eq!(hosted.betas, ["b-1", "c-1"]);
    assert!(!String::from_utf8(hosted.body).unwrap().contains("anthropic_beta"));
}

#[test]
fn fields_that_bedrock_does_not_know_go_with_a_note_or_are_refused() {
    let body = json!({"model": "m", "service_tier": "auto", "messages": [], "of_tomorrow": {"a": 1},
        "safeguards": [], "metadata": {"user_id": "u"}, "container": null});
    let (out, mut losses) = sent(&body.to_string(), &[], MODEL);
    let tree: Tree = serde_json::from_str(&out).unwrap();
    let kept =
        json!({"anthropic_version": "bedrock-2023-05-31", "messages": [], "metadata": {"user_id": "u"}});
    assert_eq!(tree, kept);
    losses.sort_by(|one, other| one.0.cmp(&other.0));
    assert_eq!(losses, dropped(&["container", "of_tomorrow", "safeguards", "service_tier"]));
    for (field, why) in [("safeguards", "check of tool calls"), ("mcp_servers", "MCP servers")] {
        let refusal = refused(&json!({"messages": [], field: [{"type": "x"}]}));
        assert!(refusal.starts_with(field) && refusal.contains(why), "{refusal}");
    }
    let strict = Host { unknown: Unknown::Refuse, ..bedrock::host(MODEL) };
    let refusal = try_hosted(r#"{"messages":[],"of_tomorrow":1}"#, &[], &strict).unwrap_err();
    assert!(refusal.starts_with("of_tomorrow: "), "{refusal}");
    assert!(try_hosted(r#"{"messages":[],"speed":"fast"}"#, &[], &strict).is_ok());
    let open = Host { fields: Fields::AllBut(&["speed"]), ..bedrock::host(MODEL) };
    let hosted = try_hosted(r#"{"speed":"fast","messages":[],"of_tomorrow":1}"#, &[], &open).unwrap();
    assert!(hosted.body.ends_with(br#","messages":[],"of_tomorrow":1}"#));
}

#[test]
fn marks_lose_what_the_model_does_not_know_wherever_they_stand() {
    let mark = |mark: &str| {
        format!(
            concat!(
                r#"{{"tools":[{{"name":"a","cache_control":{mark},"input_schema":{{}}}}],"#,
                r#""system":[{{"type":"text","text":"\"scope\"","cache_control":{mark}}}],"#,
                r#""messages":[{{"role":"user","content":[{{"type":"tool_result","tool_use_id":"t","#,
                r#""content":[{{"type":"text","text":"b","cache_control":{mark}}}],"#,
                r#""cache_control":{mark}}}]}}]}}"#
            ),
            mark = mark
        )
    };
    let head = r#"{"anthropic_version":"bedrock-2023-05-31","#;
    let went = |written: &str, left: &str, model: &str| {
        let (out, losses) = sent(&mark(written), &[], model);
        assert_eq!(out, format!("{head}{}", mark(left).split_at(1).1), "{written} to {model}");
        losses
    };
    let old = "anthropic.claude-3-7-sonnet-20250219-v1:0";
    let plain = r#"{"type":"ephemeral"}"#;
    let hour = r#"{"type":"ephemeral","ttl":"1h"}"#;
    assert_eq!(went(plain, plain, old), []);
    assert_eq!(went(hour, hour, MODEL), []);
    assert_eq!(went(hour, plain, old), dropped(&["cache_control.ttl"]));
    for scoped in [
        r#"{"type":"ephemeral","ttl":"1h", "scope" :"global" }"#,
        r#"{"scope":{"a":"}"},"type":"ephemeral","ttl":"1h"}"#,
        r#"{"type":"ephemeral","scope":1,"ttl":"1h"}"#,
    ] {
        let space = if scoped.ends_with(" }") { r#"{"type":"ephemeral","ttl":"1h" }"# } else { hour };
        assert_eq!(went(scoped, space, MODEL), dropped(&["cache_control.scope"]));
    }
    assert_eq!(
        went(r#"{"scope":1,"ttl":"1h"}"#, "{}", old),
        dropped(&["cache_control.scope", "cache_control.ttl"])
    );
}

#[test]
fn tools_lose_members_and_those_that_nobody_runs_are_refused() {
    let tools = json!([{"name": "Read", "eager_input_streaming": true, "input_schema": {"custom": 1},
        "input_examples": [], "defer_loading": true}, {"custom": {}, "name": "b"},
        {"type": "bash_20250124", "name": "bash"}]);
    let (out, losses) = sent(&json!({"tools": tools, "messages": []}).to_string(), &[], MODEL);
    let tree: Tree = serde_json::from_str(&out).unwrap();
    let left = json!([{"name": "Read", "input_schema": {"custom": 1}, "defer_loading": true}, {"name": "b"},
        {"type": "bash_20250124", "name": "bash"}]);
    assert_eq!(tree["tools"], left);
    let mut lost: Vec<&str> = losses.iter().map(|(what, _)| &**what).collect();
    lost.sort_unstable();
    assert_eq!(lost, ["tools.custom", "tools.eager_input_streaming", "tools.input_examples"]);
    for kind in ["web_search_20250305", "web_fetch_20250910", "code_execution_20250825", "mcp_toolset"] {
        let refusal =
            refused(&json!({"messages": [], "tools": [{"name": "a"}, {"type": kind, "name": "x"}]}));
        assert!(refusal.starts_with(&format!("tools.1.type ({kind}): ")), "{refusal}");
    }
}

#[test]
fn edits_of_the_context_and_their_betas_stay_or_go_together() {
    let betas = ["context-management-2025-06-27,effort-2025-11-24"];
    let body =
        |edits: &Tree| json!({"messages": [], "context_management": {"edits": edits, "x": 1}}).to_string();
    let thinking = json!({"type": "clear_thinking_20251015", "keep": "all"});
    let uses = json!({"type": "clear_tool_uses_20250919"});
    let (out, losses) = sent(&body(&json!([thinking, uses])), &betas, MODEL);
    let tree: Tree = serde_json::from_str(&out).unwrap();
    assert_eq!(tree["context_management"], json!({"edits": [uses], "x": 1}));
    assert_eq!(tree["anthropic_beta"], json!(["context-management-2025-06-27", "effort-2025-11-24"]));
    assert_eq!(losses, dropped(&["context_management.edits"]));
    let (out, losses) = sent(&body(&json!([thinking])), &betas, MODEL);
    let tree: Tree = serde_json::from_str(&out).unwrap();
    assert_eq!(tree["context_management"], Tree::Null);
    assert_eq!(tree["anthropic_beta"], json!(["effort-2025-11-24"]));
    let lost =
        ["context_management.edits", "anthropic-beta.context-management-2025-06-27", "context_management"];
    assert_eq!(losses, dropped(&lost));
}

#[test]
fn thoughts_of_other_vendors_are_cut_out() {
    let ours = json!({"type": "thinking", "thinking": "a", "signature": signature::tag("x", b"")});
    let theirs = json!({"type": "thinking", "thinking": "b", "signature": "EqQB"});
    let body = json!({"messages": [{"role": "assistant", "content": [ours, theirs]}]});
    let (out, losses) = sent(&body.to_string(), &[], MODEL);
    let tree: Tree = serde_json::from_str(&out).unwrap();
    assert_eq!(tree["messages"][0]["content"], json!([theirs]));
    assert_eq!(losses, dropped(&["messages.content.thinking"]));
}

#[test]
fn what_is_counted_is_a_whole_request() {
    let counted = |body: Tree| -> Tree {
        let wanted = Wanted { model: MODEL, betas: &[], count: Some(Count::WholeRequest) };
        let hosted = request(body.to_string().as_bytes(), &wanted, &bedrock::host(MODEL)).unwrap();
        serde_json::from_slice(&hosted.body).unwrap()
    };
    assert_eq!(counted(json!({"messages": []}))["max_tokens"], 1);
    assert_eq!(counted(json!({"messages": [], "max_tokens": 9}))["max_tokens"], 9);
    let thinking = json!({"messages": [], "thinking": {"type": "enabled", "budget_tokens": 4000}});
    assert_eq!(counted(thinking)["max_tokens"], 4001);
}

#[test]
fn what_two_parsers_would_read_in_two_ways_is_refused() {
    for (body, said) in [
        (r#"{"messages":[],"messages":[]}"#, "messages: this field is given more than once"),
        (r#"{"messages":[],"mess\u0061ges":[]}"#, "messages: this field is given more than once"),
        (
            r#"{"anthropic_beta":[],"anthropic_beta":[]}"#,
            "anthropic_beta: this field is given more than once",
        ),
        ("[]", "body: this must be a JSON object"),
    ] {
        assert_eq!(try_hosted(body, &[], &bedrock::host(MODEL)).unwrap_err(), said, "{body}");
    }
    assert!(
        try_hosted(r#"{"messages":[}"#, &[], &bedrock::host(MODEL)).unwrap_err().contains("not valid JSON")
    );
}

#[test]
fn each_request_begins_with_the_one_before() {
    let turn = |count: usize| {
        let turns: Vec<Tree> = (0..count)
            .map(|index| {
                let block = json!({"type": "text", "text": format!("turn {index}")});
                json!({"role": "user", "content": [block]})
            })
            .collect();
        let body = json!({"a_tag": 1, "max_tokens": 5, "messages": turns, "model": "m"});
        let (out, _) = sent(&body.to_string(), &["effort-2025-11-24"], MODEL);
        out
    };
    let (first, second) = (turn(3), turn(4));
    let common = first.strip_suffix("]}").unwrap();
    assert!(second.starts_with(common) && second.len() > first.len());
}

proptest! {
    /// Whatever members a request has, what goes out is the request without what is named as lost.
    #[test]
    fn nothing_is_lost_in_silence(
        names in vec(select(vec!["max_tokens", "system", "tags", "new_1", "new_2", "metadata"]), 0..7),
        spaces in vec(any::<bool>(), 8),
    ) {
        let mut body = String::from("{\"messages\":[]");
        let mut all = std::collections::BTreeSet::from(["messages"]);
        for (index, name) in names.iter().enumerate().filter(|(_, name)| all.insert(name)) {
            let space = if spaces[index] { " \n" } else { "" };
            body.push_str(&format!("{space},{space}\"{name}\"{space}:{space}{{\"a\":[1,\"}}\"]}}{space}"));
        }
        body.push('}');
        let (out, losses) = sent(&body, &[], MODEL);
        let tree: Tree = serde_json::from_str(&out).unwrap();
        for name in all {
            let lost = losses.iter().any(|(what, _)| what == name);
            assert_ne!(lost, tree.get(name).is_some(), "{name} of {body}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_of_a_request_are_read(flags in any::<u8>(), bytes in vec(any::<u8>(), 0..300)) {
        fuzz_hosted_request(&[&[flags], &bytes[..]].concat());
        fuzz_hosted_request(&[&[flags, b'{'], &bytes[..], b"}"].concat());
    }

    #[test]
    fn any_members_in_any_order_are_read(
        flags in any::<u8>(),
        members in vec(select(vec![
            r#""model":"m""#,
            r#""max_tokens":9"#, r#""stream" : true"#, r#""tags":["a"]"#, r#""of_tomorrow":{"a":1}"#,
            r#""anthropic_beta":["context-1m-2025-08-07"]"#, r#""\u0073tream":false"#, r#""safeguards":[]"#,
            r#""context_management":{"edits":[{"type":"clear_thinking_20251015"}]}"#,
            r#""thinking":{"type":"enabled","budget_tokens":2048}"#, r#""anthropic_version":"x""#,
            r#""tools":[{"name":"a","input_schema":{},"eager_input_streaming":true,"defer_loading":true}]"#,
            r#""messages":[{"role":"user","content":[{"type":"text","text":"","cache_control":{"ttl":1}}]}]"#,
        ]), 0..9),
    ) {
        let mut data = vec![flags];
        data.extend_from_slice(format!("{{{}}}", members.join(" ,\n")).as_bytes());
        fuzz_hosted_request(&data);
    }
}

#[test]
fn the_fuzz_corpus_replays() {
    replay("hosted_request", 4, fuzz_hosted_request);
}
