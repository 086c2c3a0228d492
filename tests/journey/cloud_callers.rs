//! Claude Code as it speaks to Bedrock and to Vertex AI, before us instead: any model behind, the same rules.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::client::{Client, Reply, get, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, for_each_engine};
use crate::peer::scripted_turns::{self, DONE};
use crate::peer::{After, Peer, Seen, answers_status, closes_mid_stream, speaks_chat};
use crate::{peers, program, sse};

/// One run takes a few seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(180);

/// The model in the path, and what it is here.
const BEDROCK: &str = "/model/us.anthropic.claude-far-1-20260101-v1%3A0";

const VERTEX: &str =
    "/v1/projects/proj-1/locations/europe-west1/publishers/anthropic/models/claude-far-1@20260101";

/// Claude Code that has been told to use a cloud, and that the cloud is here.
fn claude_of(cloud: Cloud, home: &Path, url: &str) -> Command {
    let mut command = claude(home, url, KEY);
    command.env_remove("ANTHROPIC_BASE_URL").env_remove("ANTHROPIC_AUTH_TOKEN");
    match cloud {
        Cloud::Bedrock => command
            .env("CLAUDE_CODE_USE_BEDROCK", "1")
            .env("ANTHROPIC_BEDROCK_BASE_URL", url)
            .env("AWS_REGION", "us-east-1")
            .env("AWS_BEARER_TOKEN_BEDROCK", KEY),
        Cloud::Vertex => command
            .env("CLAUDE_CODE_USE_VERTEX", "1")
            .env("CLAUDE_CODE_SKIP_VERTEX_AUTH", "1")
            .env("ANTHROPIC_VERTEX_BASE_URL", format!("{url}/v1"))
            .env("ANTHROPIC_VERTEX_PROJECT_ID", "proj-1")
            .env("CLOUD_ML_REGION", "europe-west1")
            .env("ANTHROPIC_CUSTOM_HEADERS", format!("x-tollgate-key: {KEY}")),
    };
    command
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Cloud {
    Bedrock,
    Vertex,
}

fn turns() -> Vec<Vec<scripted_turns::Use>> {
    let bash = |command: &str| json!({ "command": command, "description": "print a marker" });
    vec![
        vec![
            ("toolu_01", "Bash", bash("echo marker-$((40+2))")),
            ("toolu_02", "Bash", bash("echo \"łódź 😀\"; exit 3")),
        ],
        vec![("toolu_03", "Bash", bash("echo marker-$((50+2))"))],
    ]
}

/// Claude Code plays three calls of tools, and its last request has what came of them.
fn plays(cloud: Cloud, gateway: &Gateway, last: impl Fn() -> Value, told: impl Fn(&Value, &str) -> String) {
    let home = Folder::new();
    let args = ["--allowedTools", "Bash", "--", "Run the markers."];
    let outcome =
        program::run(claude_of(cloud, home.path(), &gateway.url()).args(args), DEADLINE).succeeded();
    let result = result(&outcome.stdout);
    assert_eq!((&result["is_error"], &result["result"]), (&json!(false), &json!(DONE)), "{result}");
    assert_eq!(result["num_turns"], 4, "two calls at once, one more, the end: {result}");
    let last = last();
    for (id, wanted) in [("toolu_01", "marker-42"), ("toolu_02", "łódź 😀"), ("toolu_03", "marker-52")] {
        let told = told(&last, id);
        assert!(told.contains(wanted), "{id}: {told}");
    }
    let transcript =
        std::fs::read_dir(home.path().join("claude-config/projects")).expect("it has a transcript");
    let mut written = String::new();
    for folder in transcript {
        for file in std::fs::read_dir(folder.expect("it can be read").path()).expect("it can be read") {
            let path = file.expect("it can be read").path();
            written += &std::fs::read_to_string(path).unwrap_or_default();
        }
    }
    for wanted in ["marker-42", "marker-52", "tool_result"] {
        assert!(written.contains(wanted), "{wanted} is not in the transcript");
    }
    let calls = gateway.log().calls(3);
    for call in calls.iter().filter(|call| call["endpoint"] == "messages") {
        assert_eq!((&call["status"], &call["key"]), (&json!(200), &json!("main")), "{call}");
    }
    assert!(calls.iter().any(|call| call["stop_reason"] == "tool_use"), "{calls:?}");
}

fn last_with_tools(upstream: &Peer, path: &str) -> (Seen, Value) {
    let read = |seen: Seen| {
        let body: Value = serde_json::from_slice(&seen.body).expect("it is JSON");
        (seen, body)
    };
    let all = upstream.seen_at(path).into_iter().map(read);
    all.rev().find(|(_, body)| body["tools"].is_array()).expect("there are requests with tools")
}

#[test]
fn claude_code_calls_tools_by_the_paths_of_both_clouds() {
    for_each_engine(|engine| {
        for cloud in [Cloud::Bedrock, Cloud::Vertex] {
            let upstream = scripted_turns::start(turns());
            let gateway = Gateway::start(engine, &upstream.url());
            let last = || last_with_tools(&upstream, "/v1/messages").1;
            plays(cloud, &gateway, last, |body, id| {
                scripted_turns::result(body, id).expect("the call has a result").to_string()
            });
            let (seen, body) = last_with_tools(&upstream, "/v1/messages");
            assert!(body["model"].as_str().is_some_and(|model| model.starts_with("claude-")), "{body}");
            assert!(body.get("anthropic_version").is_none() && body.get("anthropic_beta").is_none());
            assert_eq!(body["stream"], true);
            assert_eq!(seen.header("anthropic-version"), Some("2023-06-01"));
            assert!(seen.header("anthropic-beta").is_some_and(|betas| !betas.is_empty()), "{seen:?}");
            let of_cloud = |(name, _): &&(String, String)| {
                let name = name.to_ascii_lowercase();
                name.starts_with("x-amz") || name.starts_with("amz-") || name.starts_with("x-goog")
            };
            assert_eq!(seen.headers.iter().find(of_cloud), None);
        }
    });
}

#[test]
fn claude_code_reaches_a_model_of_another_vendor_by_the_paths_of_both_clouds() {
    for cloud in [Cloud::Bedrock, Cloud::Vertex] {
        let upstream = speaks_chat::start(turns());
        let folder = Folder::new();
        folder.write(
            "tollgate.yaml",
            &format!(
                "listen: 127.0.0.1:0\ndata_dir: ./data\nthreads: 1\n\
                 providers:\n  far: {{ dialect: openai_chat, base_url: \"{}/v1\", key: k }}\n\
                 models:\n  \"claude-*\": [{{ provider: far, model: scripted }}]\n\
                 keys:\n  - {{ name: main, secret: {KEY} }}\n",
                upstream.url()
            ),
        );
        let mut serve = crate::gateway::tollgate(folder.path());
        let gateway = Gateway::run(serve.arg("serve"), folder);
        let last = || last_with_tools(&upstream, "/v1/chat/completions").1;
        plays(cloud, &gateway, last, |body, id| {
            speaks_chat::result(body, id).expect("the call has a result").to_owned()
        });
    }
}

const BODY: &str = r#"{"anthropic_version":"v","anthropic_beta":["context-1m-2025-08-07"],"max_tokens":32,
    "messages":[{"role":"user","content":"hi"}]}"#;

fn send(gateway: &Gateway, path: &str, key: &str, body: &str) -> Reply {
    once(gateway.addr(), &post(path, key, &[("X-Amz-Date", "20260101T000000Z")], body.as_bytes()))
}

#[test]
fn documents_and_counts_have_the_form_of_their_cloud() {
    let upstream = scripted_turns::start(Vec::new());
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    for path in [format!("{BEDROCK}/invoke-with-response-stream"), format!("{VERTEX}:streamRawPredict")] {
        let reply = send(&gateway, &path, KEY, BODY);
        assert_eq!(reply.head.status, 200, "{reply:?}");
        let frames = path.starts_with("/model/");
        let kind = if frames { "application/vnd.amazon.eventstream" } else { "text/event-stream" };
        assert!(reply.header("content-type").is_some_and(|it| it.starts_with(kind)), "{reply:?}");
        assert_eq!(reply.text().contains("event: message_stop"), !frames, "{reply:?}");
        let seen = upstream.seen().pop().expect("it was asked");
        let body: Value = serde_json::from_slice(&seen.body).expect("it is JSON");
        assert_eq!(body["model"], "claude-far-1-20260101");
        assert_eq!(seen.header("anthropic-beta"), Some("context-1m-2025-08-07"));
        assert!(seen.header("x-amz-date").is_none(), "{seen:?}");
    }
    let profiles = once(
        gateway.addr(),
        &get(
            "GET",
            "/inference-profiles?type=SYSTEM_DEFINED",
            &[("Authorization", &format!("Bearer {KEY}"))],
        ),
    );
    let ids = profiles.json()["inferenceProfileSummaries"].to_string();
    assert!(profiles.head.status == 200 && ids.contains("claude-renamed"), "{profiles:?}");
}

/// A stream with three events and no more, a document, or a count, by what is asked for.
fn of_any_kind() -> Peer {
    Peer::start(|seen, exchange| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let json = [("Content-Type", "application/json")];
        if seen.path().ends_with("/count_tokens") {
            exchange.answer(200, &json, b"{\"input_tokens\":43}")?;
        } else if body["stream"] == true {
            let whole = sse::text_message("m", &["Hel", "lo"]);
            exchange.start_events()?;
            if body["model"] == "claude-broken" {
                exchange.chunk(whole.split_once("content_block_stop").expect("it stops").0.as_bytes())?;
                return Ok(After::Close);
            }
            exchange.chunk(whole.as_bytes())?;
            exchange.end_chunks()?;
        } else {
            let reply = json!({ "id": "msg_1", "type": "message", "role": "assistant", "model": "m",
                "content": [{ "type": "text", "text": "Hello" }], "stop_reason": "end_turn",
                "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 1 } });
            exchange.answer(200, &json, reply.to_string().as_bytes())?;
        }
        Ok(After::KeepOpen)
    })
}

#[test]
fn awss_own_sdk_takes_us_for_bedrock() {
    let upstream = of_any_kind();
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/bedrock_caller.py");
    let mut python = Command::new(peers::aws_python());
    python.arg(script).arg(gateway.url()).env("TOLLGATE_KEY", KEY).env("AWS_MAX_ATTEMPTS", "1");
    let outcome = program::run(&mut python, DEADLINE).succeeded();
    let told: Value = serde_json::from_str(outcome.stdout.trim()).expect("the script prints JSON");
    assert_eq!(told["whole"], json!([{ "type": "text", "text": "Hello" }]), "{told}");
    let kinds = json!([
        "message_start",
        "content_block_start",
        "content_block_delta",
        "content_block_delta",
        "content_block_stop",
        "message_delta",
        "message_stop"
    ]);
    assert_eq!(told["streamed"], json!(["application/json", kinds]), "{told}");
    let broken = told["broken"][1].as_array().expect("it is a list");
    assert_eq!(broken.last(), Some(&json!("internalServerException")), "{told}");
    assert!(broken.len() > 2 && !broken.contains(&json!("message_stop")), "{told}");
    assert_eq!(told["counted"], 43);
    assert_eq!(told["profiles"], json!(["claude-renamed"]), "{told}");
    assert_eq!(told["unknown"], json!(["ResourceNotFoundException", 404]), "{told}");
    assert_eq!(told["malformed"], json!(["ValidationException", 400]), "{told}");
}

#[test]
fn what_is_refused_is_refused_in_the_words_of_the_cloud() {
    let upstream = answers_status::start(
        400,
        &[("Content-Type", "application/json")],
        r#"{"type":"error","error":{"type":"invalid_request_error","message":"prompt is too long: 9 > 8"}}"#,
    );
    let gateway = Gateway::start(Engine::Epoll, &upstream.url());
    let bedrock = format!("{BEDROCK}/invoke");
    let told = send(&gateway, &bedrock, KEY, BODY);
    assert_eq!((told.head.status, told.header("x-amzn-errortype")), (400, Some("ValidationException")));
    assert_eq!(told.json(), json!({ "message": "prompt is too long: 9 > 8" }));
    let told = send(&gateway, &format!("{VERTEX}:rawPredict"), KEY, BODY);
    assert_eq!((told.head.status, &told.json()["error"]["type"]), (400, &json!("invalid_request_error")));

    let asked = upstream.seen().len();
    for (key, status, name, google) in [
        ("tg_nobody", 401, "UnrecognizedClientException", "UNAUTHENTICATED"),
        (NARROW_KEY, 403, "AccessDeniedException", "PERMISSION_DENIED"),
    ] {
        let told = send(&gateway, &bedrock, key, BODY);
        assert_eq!((told.head.status, told.header("x-amzn-errortype")), (status, Some(name)), "{told:?}");
        assert!(told.json()["message"].is_string(), "{told:?}");
        let told = send(&gateway, &format!("{VERTEX}:rawPredict"), key, BODY);
        assert_eq!((told.head.status, &told.json()["error"]["status"]), (status, &json!(google)), "{told:?}");
    }
    let told = send(&gateway, "/model/no-such-model/invoke", KEY, BODY);
    assert_eq!((told.head.status, told.header("x-amzn-errortype")), (404, Some("ResourceNotFoundException")));
    for (path, body) in
        [(&bedrock, "[]"), (&bedrock, "{\"model\":\"claude-x\"}"), (&"/model/%zz/invoke".into(), "{}")]
    {
        let told = send(&gateway, path, KEY, body);
        assert_eq!((told.head.status, told.header("x-amzn-errortype")), (400, Some("ValidationException")));
    }
    assert_eq!(upstream.seen().len(), asked, "nothing of this is sent on");
    // What was said in a cloud's form holds for one request, not for its connection.
    let mut client = Client::connect(gateway.addr());
    let told = client.exchange(&post(&bedrock, KEY, &[], BODY.as_bytes()));
    assert!(told.json()["message"].is_string(), "{told:?}");
    let told = client.exchange(&crate::client::messages(KEY, "claude-x", false));
    assert_eq!(told.json()["type"], "error", "{told:?}");
}

#[test]
fn a_stream_that_breaks_off_ends_in_an_exception() {
    for_each_engine(|engine| {
        let upstream = closes_mid_stream::start("Hello");
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = send(&gateway, &format!("{BEDROCK}/invoke-with-response-stream"), KEY, BODY);
        assert_eq!(reply.head.status, 200, "{reply:?}");
        let text = reply.text();
        assert!(text.contains("internalServerException") && text.contains("broke off"), "{text}");
        let call = gateway.log().calls(1).remove(0);
        assert_eq!(call["outcome"], "upstream_cut", "{call}");
    });
}
