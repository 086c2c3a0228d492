//! Claude Code before providers of OpenAI's Responses and of Gemini, which want back what they have thought.

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::dialects::{DEADLINE, ask, complaints, gateway_at, posts};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine};
use crate::peer::scripted_turns::{DONE, Use};
use crate::peer::{After, Peer, Seen, answers_status, speaks_gemini, speaks_responses};
use crate::program;

/// A provider of Responses that takes what OpenAI's own does.
const RESPONSES: &str = "openai_responses, takes: { like: openai }";

fn responses(engine: Engine, upstream: &Peer) -> Gateway {
    gateway_at(engine, RESPONSES, &format!("{}/v1", upstream.url()))
}

fn gemini(engine: Engine, upstream: &Peer) -> Gateway {
    gateway_at(engine, "gemini", &format!("{}/v1beta", upstream.url()))
}

fn bash(command: &str) -> Value {
    json!({ "command": command, "description": "print a marker" })
}

/// Two calls at once, of which one fails, and one more.
fn turns() -> Vec<Vec<Use>> {
    vec![
        vec![
            ("call_1", "Bash", bash("echo marker-$((40+2))")),
            ("call_2", "Bash", bash("echo \"łódź 😀\"; exit 3")),
        ],
        vec![("call_3", "Bash", bash("echo marker-$((50+2))"))],
    ]
}

/// Has Claude Code run the markers, and gives its requests with tools as they arrived.
fn run_markers(gateway: &Gateway, upstream: &Peer) -> Vec<String> {
    let home = Folder::new();
    let args = ["--allowedTools", "Bash", "--", "Run the markers."];
    let outcome = program::run(claude(home.path(), &gateway.url(), KEY).args(args), DEADLINE).succeeded();
    let result = result(&outcome.stdout);
    assert_eq!(result["is_error"], false, "{result}");
    assert_eq!(result["result"], DONE, "{result}");
    assert_eq!(result["num_turns"], 4, "two calls at once, one more, the end: {result}");
    let call = gateway.log().calls(posts(upstream).len()).pop().expect("calls are logged");
    assert_eq!((&call["status"], &call["stop_reason"]), (&json!(200), &json!("end_turn")), "{call}");
    assert_eq!((&call["input_tokens"], &call["cache_read_tokens"]), (&json!(100), &json!(900)), "{call}");
    assert_eq!((&call["output_tokens"], &call["served_model"]), (&json!(20), &json!("scripted-2026-01-01")));
    let bodies: Vec<String> = posts(upstream)
        .into_iter()
        .map(|seen| String::from_utf8(seen.body).expect("JSON is UTF-8"))
        .filter(|body| body.contains("\"tools\":"))
        .collect();
    assert!(bodies.len() >= 3, "{} requests", bodies.len());
    for body in &bodies {
        for word in ["x-anthropic-billing-header", "device_id", "cache_control", "tollgate.1."] {
            assert!(!body.contains(word), "{word} is for others: {body}");
        }
    }
    bodies
}

/// Requests of one conversation begin with those of the turn before, so that the provider's cache holds.
fn assert_prefixes(bodies: &[String]) {
    for (before, after) in bodies.iter().zip(bodies.iter().skip(1)) {
        let kept = before.strip_suffix("]}").expect("what is said stands last");
        let common = kept.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
        assert_eq!(common, kept.len(), "{:?}\n{:?}", kept.get(common..), after.get(common..));
    }
}

fn last_of(bodies: &[String]) -> Value {
    serde_json::from_str(bodies.last().expect("it was asked")).expect("it is JSON")
}

#[test]
fn claude_code_calls_tools_over_responses() {
    for_each_engine(|engine| {
        let upstream = speaks_responses::start(turns());
        let gateway = responses(engine, &upstream);
        let bodies = run_markers(&gateway, &upstream);
        let seen = posts(&upstream);
        assert_eq!(complaints("responses", &seen), "");
        assert_prefixes(&bodies);
        for seen in &seen {
            assert_eq!(seen.header("authorization"), Some("Bearer sk-far"), "{seen:?}");
            assert!(seen.anthropic_headers().is_empty() && seen.header("x-app").is_none(), "{seen:?}");
        }
        let last = last_of(&bodies);
        let outcome = |id: &str| speaks_responses::result(&last, id).unwrap_or_default();
        assert_eq!((&*outcome("call_1"), &*outcome("call_3")), ("marker-42", "marker-52"), "{last}");
        let failed = outcome("call_2");
        assert!(failed.starts_with("[tool error]") && failed.contains("łódź 😀"), "{failed}");
        assert_eq!(
            (&last["store"], &last["include"]),
            (&json!(false), &json!(["reasoning.encrypted_content"]))
        );
        let thoughts: Vec<&Value> = last["input"]
            .as_array()
            .expect("there are items")
            .iter()
            .filter(|item| item["type"] == "reasoning")
            .collect();
        let encrypted: Vec<Value> = thoughts.iter().map(|item| item["encrypted_content"].clone()).collect();
        assert_eq!(encrypted, [0, 1].map(speaks_responses::encrypted), "each comes back once: {last}");
    });
}

#[test]
fn claude_code_calls_tools_over_gemini() {
    for_each_engine(|engine| {
        let upstream = speaks_gemini::start(turns());
        let gateway = gemini(engine, &upstream);
        let bodies = run_markers(&gateway, &upstream);
        assert_prefixes(&bodies);
        for seen in &posts(&upstream) {
            let body: Value = serde_json::from_slice(&seen.body).expect("it is JSON");
            assert_eq!(speaks_gemini::complaints(&body), [""; 0]);
            assert_eq!(seen.header("x-goog-api-key"), Some("sk-far"), "{seen:?}");
            assert!(
                seen.anthropic_headers().is_empty() && seen.header("authorization").is_none(),
                "{seen:?}"
            );
        }
        let last = last_of(&bodies);
        let played = turns();
        let outcome = |turn: usize, call: usize| {
            speaks_gemini::result(&last, &played[turn][call].2).expect("it has a result")
        };
        assert_eq!(outcome(0, 0)["response"], json!({ "output": "marker-42" }), "{last}");
        assert_eq!((&outcome(0, 0)["id"], &outcome(0, 0)["name"]), (&json!("call_1"), &json!("Bash")));
        assert_eq!(outcome(1, 0)["response"], json!({ "output": "marker-52" }), "{last}");
        assert!(outcome(1, 0)["id"].is_null(), "an id that was not given is not made up: {last}");
        let failed = outcome(0, 1)["response"]["error"].as_str().unwrap_or_default();
        assert!(failed.contains("łódź 😀"), "{last}");
        let signed: Vec<&str> = last["contents"]
            .as_array()
            .expect("there are contents")
            .iter()
            .filter_map(|content| content["parts"].as_array())
            .flatten()
            .filter_map(|part| part["thoughtSignature"].as_str())
            .collect();
        assert_eq!(signed, [0, 1].map(speaks_gemini::signature), "each comes back once: {last}");
    });
}

/// The scripted providers do refuse what the real ones would, or the tests above would say nothing.
#[test]
fn the_scripted_vendors_are_strict() {
    for (body, wanted) in [
        (json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi" }] }] }), ""),
        (json!({ "contents": [], "metadata": {} }), "Unknown name \"metadata\""),
        (json!({ "contents": [{ "role": "user", "parts": [{ "text": "hi", "cache": 1 }] }] }), "\"cache\""),
        (json!({ "contents": [{ "role": "system", "parts": [{ "text": "hi" }] }] }), "take turns"),
    ] {
        let told = speaks_gemini::complaints(&body).join("\n");
        assert!(told.contains(wanted) && told.is_empty() == wanted.is_empty(), "{told}");
    }
    let seen = |body: Value| Seen {
        connection: 0,
        method: "POST".to_owned(),
        target: "/v1/responses".to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let good = json!({ "model": "m", "input": [{ "role": "user", "content": "hi" }] });
    assert_eq!(complaints("responses", &[seen(good)]), "");
    for (bad, place) in [
        (
            json!({ "model": "m", "input": [{ "type": "function_call", "name": "f", "arguments": "{}" }] }),
            "call_id",
        ),
        (json!({ "model": "m", "input": "hi", "stop": [] }), "stop"),
    ] {
        let told = complaints("responses", &[seen(bad)]);
        assert!(told.contains(place), "{told}");
    }
}

/// A status of a provider, whether its head says when to try again, its body, and what the caller is
/// shown: status, kind, words.
type Case = (u16, bool, &'static str, u16, &'static str, &'static str);

const OF_OPENAI: &[Case] = &[
    (
        429,
        true,
        r#"{"error":{"message":"Rate limit reached for org-SECRET","type":"tokens",
            "code":"rate_limit_exceeded"}}"#,
        429,
        "rate_limit_error",
        "",
    ),
    (
        400,
        false,
        r#"{"error":{"message":"Your input exceeds the context window of this model. SECRET","type":
            "invalid_request_error","param":"input","code":"context_length_exceeded"}}"#,
        400,
        "invalid_request_error",
        "prompt is too long",
    ),
    (401, false, r#"{"error":{"message":"Incorrect API key: sk-SECRET"}}"#, 502, "api_error", ""),
    (503, false, "{}", 529, "overloaded_error", ""),
    (200, false, "<html>Sign in, SECRET</html>", 502, "api_error", ""),
];

const OF_GOOGLE: &[Case] = &[
    (
        429,
        false,
        r#"{"error":{"code":429,"message":"You exceeded your current quota, SECRET","status":
            "RESOURCE_EXHAUSTED","details":[{"@type":"type.googleapis.com/google.rpc.RetryInfo",
            "retryDelay":"6.3s"}]}}"#,
        429,
        "rate_limit_error",
        "",
    ),
    (
        400,
        false,
        r#"{"error":{"code":400,
            "message":"Input token count (1200001) exceeds the maximum number of tokens allowed (1048576)",
            "status":"INVALID_ARGUMENT"}}"#,
        400,
        "invalid_request_error",
        "prompt is too long: 1200001 tokens > 1048576 maximum",
    ),
    (
        400,
        false,
        r#"{"error":{"code":400,"message":"API key not valid. SECRET","status":"INVALID_ARGUMENT"}}"#,
        502,
        "api_error",
        "",
    ),
    (
        503,
        false,
        r#"{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}"#,
        529,
        "overloaded_error",
        "",
    ),
    (200, false, "<html>Sign in, SECRET</html>", 502, "api_error", ""),
];

#[test]
fn failures_of_vendors_before_the_answer_have_their_status() {
    for (dialect, cases) in [(RESPONSES, OF_OPENAI), ("gemini", OF_GOOGLE)] {
        for &(status, says_when, body, shown, kind, words) in cases {
            let headers = match (says_when, body.starts_with('<')) {
                (true, _) => &[("Content-Type", "application/json"), ("retry-after", "7")][..],
                (false, true) => &[("Content-Type", "text/html")],
                (false, false) => &[("Content-Type", "application/json")],
            };
            let upstream = answers_status::start(status, headers, body);
            let gateway = gateway_at(Engine::Epoll, dialect, &format!("{}/v1", upstream.url()));
            for stream in [false, true] {
                let reply = ask(&gateway, stream);
                reply.refusal(shown, kind);
                let wanted = (status == 429).then_some("7");
                assert_eq!(reply.header("retry-after"), wanted, "{reply:?}");
                assert!(reply.text().contains(words), "{reply:?}");
                assert!(
                    !reply.text().contains("SECRET"),
                    "a provider's own words may name accounts: {reply:?}"
                );
            }
        }
    }
}

/// An upstream that breaks off after some events.
fn cut(events: String) -> Peer {
    Peer::start(move |_, exchange| {
        exchange.start_events()?;
        exchange.chunk(events.as_bytes())?;
        Ok(After::Close)
    })
}

#[test]
fn a_stream_of_a_vendor_that_is_cut_ends_in_an_error_event() {
    let created =
        json!({ "type": "response.created", "response": { "id": "r", "model": "m", "output": [] } });
    let delta = json!({ "type": "response.output_text.delta", "item_id": "msg_1", "output_index": 0,
                        "content_index": 0, "delta": "Hel" });
    let of_openai = format!("data: {created}\n\ndata: {delta}\n\n");
    let of_google = speaks_gemini::event(&speaks_gemini::chunk(&json!([{ "text": "Hel" }]), None));
    for (dialect, events) in [(RESPONSES, of_openai), ("gemini", of_google)] {
        for_each_engine(|engine| {
            let upstream = cut(events.clone());
            let gateway = gateway_at(engine, dialect, &format!("{}/v1", upstream.url()));
            let reply = ask(&gateway, true);
            assert_eq!(reply.head.status, 200, "{reply:?}");
            let text = reply.text();
            assert!(text.contains("Hel") && text.contains("event: error"), "{text}");
            assert!(!text.contains("message_stop"), "an end is never made up: {text}");
            let call = gateway.log().calls(1).remove(0);
            assert_eq!(call["outcome"], "upstream_cut", "{call}");
            ask(&gateway, false).refusal(502, "api_error");
        });
    }
}
