//! Claude Code before Anthropic's models in clouds: Bedrock's InvokeModel and Vertex AI's rawPredict.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Sender};
use std::time::Duration;

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::client::{Client, Reply, messages, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine, tollgate};
use crate::peer::scripted_turns::{self, DONE};
use crate::peer::{
    After, Exchange, Peer, Seen, answers_status, speaks_bedrock, speaks_converse, speaks_vertex,
};
use crate::program::eventually;
use crate::{peers, program, sse};

/// One run takes a few seconds on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(180);

const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

/// The model that all are led to, as Bedrock has it.
const MODEL: &str = "eu.anthropic.claude-sonnet-4-5-20250929-v1:0";

/// Keys that sign, for a while.
const SIGNED: &str = "aws: { access_key_id: \"${env:AWS_ID}\", secret_access_key: \"${env:AWS_SECRET}\", \
                      session_token: \"${env:AWS_TOKEN}\" }";

fn run(engine: Engine, provider: &str, model: &str) -> Gateway {
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\n\
             providers:\n  far: {{ {provider} }}\n\
             models:\n  \"claude-*\": [{{ provider: far, model: \"{model}\" }}]\n\
             keys:\n  - {{ name: main, secret: {KEY} }}\n",
            engine.name()
        ),
    );
    let mut serve = tollgate(folder.path());
    serve.arg("serve").env("AWS_ID", "AKIDEXAMPLE").env("AWS_SECRET", SECRET).env("AWS_TOKEN", "tok/en+1=");
    Gateway::run(&mut serve, folder)
}

/// A gateway before Bedrock, with `keys` of the config.
fn bedrock(engine: Engine, upstream: &str, keys: &str) -> Gateway {
    let provider = format!("dialect: bedrock, aws_region: eu-central-1, base_url: \"{upstream}\", {keys}");
    run(engine, &provider, MODEL)
}

fn posts(peer: &Peer) -> Vec<Seen> {
    peer.seen().into_iter().filter(|seen| seen.method == "POST").collect()
}

/// What is wrong with the signatures of requests, by the SDK of AWS.
fn wrong_signatures(seen: &[Seen], secret: &str) -> String {
    let requests: Vec<Value> = seen
        .iter()
        .map(|seen| {
            let headers: serde_json::Map<String, Value> = seen
                .headers
                .iter()
                .map(|(name, value)| (name.to_ascii_lowercase(), Value::from(value.as_str())))
                .collect();
            json!({ "path": seen.target, "headers": headers, "body": String::from_utf8_lossy(&seen.body) })
        })
        .collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/journey/bedrock_signatures.py");
    let mut python = Command::new(peers::aws_python())
        .arg(script)
        .args(["AKIDEXAMPLE", secret, "eu-central-1"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the installed Python can be started");
    let mut stdin = python.stdin.take().expect("stdin is piped");
    stdin.write_all(Value::from(requests).to_string().as_bytes()).expect("the script reads all");
    drop(stdin);
    let output = python.wait_with_output().expect("the script ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Claude Code runs two tools at once and one more, and tells of the end.
fn plays_three_tools(start: impl Fn(Vec<Vec<scripted_turns::Use>>) -> Peer, serve: impl Fn(&str) -> Gateway) {
    let bash = |command: &str| json!({ "command": command, "description": "print a marker" });
    let upstream = start(vec![
        vec![
            ("toolu_01", "Bash", bash("echo marker-$((40+2))")),
            ("toolu_02", "Bash", bash("echo \"łódź 😀\"; exit 3")),
        ],
        vec![("toolu_03", "Bash", bash("echo marker-$((50+2))"))],
    ]);
    let gateway = serve(&upstream.url());
    let home = Folder::new();
    let args = ["--allowedTools", "Bash", "--", "Run the markers."];
    let outcome = program::run(claude(home.path(), &gateway.url(), KEY).args(args), DEADLINE).succeeded();
    let result = result(&outcome.stdout);
    assert_eq!(result["is_error"], false, "{result}");
    assert_eq!(result["result"], DONE, "{result}");
    assert_eq!(result["num_turns"], 4, "two calls at once, one more, the end: {result}");

    let seen = posts(&upstream);
    let bodies: Vec<Value> =
        seen.iter().map(|seen| serde_json::from_slice(&seen.body).expect("it is JSON")).collect();
    let last = bodies.iter().rfind(|body| body["tools"].is_array()).expect("there are requests with tools");
    for (id, wanted) in [("toolu_01", "marker-42"), ("toolu_02", "łódź 😀"), ("toolu_03", "marker-52")] {
        let told = scripted_turns::result(last, id).expect("the call has a result").to_string();
        assert!(told.contains(wanted), "{id}: {told}");
    }
    for (seen, body) in seen.iter().zip(&bodies) {
        assert!(seen.header("x-app").is_none() && seen.header("x-api-key").is_none(), "{seen:?}");
        assert!(body.get("model").is_none() || seen.path().contains("count-tokens"), "{body}");
    }
    let ended = || gateway.log().all("call").into_iter().find(|call| call["stop_reason"] == "end_turn");
    eventually("a call is logged", DEADLINE, || ended().is_some());
    let asked = ended().expect("a call is logged");
    assert_eq!((&asked["status"], &asked["input_tokens"]), (&json!(200), &json!(11)), "{asked}");
    check_cloud(&seen);
}

/// What is to be seen at Bedrock or at Vertex AI alone.
fn check_cloud(seen: &[Seen]) {
    let first = seen.first().expect("it was asked");
    if first.path().starts_with("/model/") {
        assert_eq!(wrong_signatures(seen, SECRET), "");
        let told = wrong_signatures(seen, "another");
        assert_eq!(told.lines().count(), seen.len(), "a wrong key is found out: {told}");
        for seen in seen {
            assert!(seen.anthropic_headers().is_empty(), "{seen:?}");
            assert_eq!(seen.header("x-amz-security-token"), Some("tok/en+1="));
        }
        let path = "/model/eu.anthropic.claude-sonnet-4-5-20250929-v1%3A0/invoke-with-response-stream";
        assert!(seen.iter().any(|seen| seen.target == path), "{first:?}");
    } else {
        for seen in seen {
            assert_eq!(seen.header("authorization"), Some("Bearer ya29.scripted"));
            assert!(seen.header("anthropic-version").is_none(), "{seen:?}");
        }
    }
}

#[test]
fn claude_code_calls_tools_over_bedrock_with_signed_requests() {
    for_each_engine(|engine| {
        plays_three_tools(speaks_bedrock::start, |url| bedrock(engine, url, SIGNED));
    });
}

#[test]
fn claude_code_calls_tools_over_vertex() {
    for_each_engine(|engine| plays_three_tools(speaks_vertex::start, |url| vertex(engine, url)));
}

/// A gateway before models of other makers on Bedrock.
fn converse(engine: Engine, upstream: &str) -> Gateway {
    let place = "dialect: bedrock_converse, aws_region: eu-central-1";
    run(engine, &format!("{place}, base_url: \"{upstream}\", {SIGNED}"), "eu.amazon.nova-pro-v1:0")
}

#[test]
fn claude_code_calls_tools_of_another_maker_over_converse() {
    for_each_engine(|engine| {
        let bash = |command: &str| json!({ "command": command, "description": "print a marker" });
        let upstream = speaks_converse::start(vec![
            vec![
                ("toolu_01", "Bash", bash("echo marker-$((40+2))")),
                ("toolu_02", "Bash", bash("echo \"łódź 😀\"; exit 3")),
            ],
            vec![("toolu_03", "Bash", bash("echo marker-$((50+2))"))],
        ]);
        let gateway = converse(engine, &upstream.url());
        let home = Folder::new();
        let args = ["--allowedTools", "Bash", "--", "Run the markers."];
        let outcome = program::run(claude(home.path(), &gateway.url(), KEY).args(args), DEADLINE).succeeded();
        let result = result(&outcome.stdout);
        assert_eq!((&result["is_error"], &result["result"]), (&json!(false), &json!(DONE)), "{result}");
        assert_eq!(result["num_turns"], 4, "two calls at once, one more, the end: {result}");
        let seen = posts(&upstream);
        let bodies = seen.iter().map(|seen| serde_json::from_slice::<Value>(&seen.body).expect("it is JSON"));
        let last = bodies.rev().find(|body| body["toolConfig"].is_object()).expect("tools were offered");
        for (id, wanted) in [("toolu_01", "marker-42"), ("toolu_02", "łódź 😀"), ("toolu_03", "marker-52")]
        {
            let told = speaks_converse::result(&last, id).expect("the call has a result").to_string();
            assert!(told.contains(wanted), "{id}: {told}");
        }
        assert_eq!(wrong_signatures(&seen, SECRET), "");
        assert!(seen.iter().any(|seen| seen.target == "/model/eu.amazon.nova-pro-v1%3A0/converse-stream"));
        let whole = ask(&gateway, false);
        assert!(whole.head.status == 200 && whole.text().contains(DONE), "{whole:?}");
        let last = posts(&upstream).pop().expect("it was asked");
        assert_eq!(last.target, "/model/eu.amazon.nova-pro-v1%3A0/converse");
        assert!(count(&gateway).text().starts_with("{\"input_tokens\":"), "it is counted here");
    });
}

#[test]
fn what_converse_refuses_is_told_in_anthropics_words() {
    for (status, name, shown, kind) in [
        (429, "ThrottlingException", 429, "rate_limit_error"),
        (400, "ValidationException", 400, "invalid_request_error"),
        (403, "AccessDeniedException", 502, "api_error"),
    ] {
        let headers: &'static [(&'static str, &'static str)] =
            Box::leak(Box::new([("Content-Type", "application/json"), ("x-amzn-ErrorType", name)]));
        let upstream = answers_status::start(status, headers, "{\"message\":\"arn:SECRET\"}");
        let gateway = converse(Engine::Epoll, &upstream.url());
        for stream in [false, true] {
            let reply = ask(&gateway, stream);
            reply.refusal(shown, kind);
            assert!(!reply.text().contains("SECRET"), "{reply:?}");
        }
    }
}

/// A gateway before Vertex AI.
fn vertex(engine: Engine, upstream: &str) -> Gateway {
    let place = "project: proj-1, location: europe-west1";
    let provider = format!("dialect: vertex, {place}, base_url: \"{upstream}\", key: ya29.scripted");
    run(engine, &provider, "claude-far-1@20260101")
}

fn ask(gateway: &Gateway, stream: bool) -> Reply {
    once(gateway.addr(), &messages(KEY, "claude-far", stream))
}

/// Asks for the number of tokens.
fn count(gateway: &Gateway) -> Reply {
    let body = r#"{"model":"claude-far","messages":[{"role":"user","content":"hi"}]}"#;
    once(gateway.addr(), &post("/v1/messages/count_tokens?beta=true", KEY, &[], body.as_bytes()))
}

#[test]
fn an_api_key_of_bedrock_is_shown_as_it_is() {
    let upstream = speaks_bedrock::start(Vec::new());
    let gateway = bedrock(Engine::Epoll, &upstream.url(), "key: bedrock-api-key-1");
    let whole = ask(&gateway, false);
    assert_eq!(whole.head.status, 200, "{whole:?}");
    let document: Value = serde_json::from_slice(&whole.body).expect("it is JSON");
    assert_eq!(document["content"][0]["text"], DONE);
    assert!(!whole.text().contains("amazon-bedrock"), "what is Bedrock's own is left out: {whole:?}");
    let streamed = ask(&gateway, true);
    let names = sse::names(&streamed.body);
    assert_eq!(names.last().map(String::as_str), Some("message_stop"), "{streamed:?}");
    assert!(streamed.text().contains(DONE) && !streamed.text().contains("amazon-bedrock"), "{streamed:?}");
    let counted = count(&gateway);
    assert_eq!((counted.head.status, counted.text().as_str()), (200, "{\"input_tokens\":43}"), "{counted:?}");
    let seen = posts(&upstream);
    assert_eq!(seen.len(), 3);
    let accepts: Vec<_> = seen.iter().map(|seen| seen.header("accept").unwrap_or_default()).collect();
    assert_eq!(accepts, ["application/json", "application/vnd.amazon.eventstream", "application/json"]);
    for seen in &seen {
        assert_eq!(seen.header("authorization"), Some("Bearer bedrock-api-key-1"));
        assert!(seen.header("x-amz-date").is_none(), "nothing is signed: {seen:?}");
    }
    assert_eq!(
        seen[2].target, "/model/anthropic.claude-sonnet-4-5-20250929-v1%3A0/count-tokens",
        "of the model, not of its profile"
    );
}

#[test]
fn a_model_that_bedrock_cannot_count_for_is_not_invoked_instead() {
    let upstream = speaks_bedrock::start(Vec::new());
    let provider =
        format!("dialect: bedrock, aws_region: eu-central-1, base_url: \"{}\", key: k", upstream.url());
    let arn = "arn:aws:bedrock:eu-central-1:123456789012:application-inference-profile/abc";
    let gateway = run(Engine::Epoll, &provider, arn);
    let told = count(&gateway);
    assert_eq!(told.head.status, 501, "{told:?}");
    assert!(posts(&upstream).is_empty(), "a call would cost");
}

#[test]
fn betas_that_vertex_has_go_along() {
    let upstream = speaks_vertex::start(Vec::new());
    let gateway = vertex(Engine::Epoll, &upstream.url());
    let body = r#"{"model":"claude-far","max_tokens":9,"messages":[{"role":"user","content":"hi"}]}"#;
    let betas = [("anthropic-beta", "interleaved-thinking-2025-05-14,unheard-of-2026-01-01")];
    let reply = once(gateway.addr(), &post("/v1/messages", KEY, &betas, body.as_bytes()));
    assert_eq!(reply.head.status, 200, "{reply:?}");
    let seen = posts(&upstream).pop().expect("it was asked");
    assert_eq!(seen.header("anthropic-beta"), Some("interleaved-thinking-2025-05-14"), "{seen:?}");
}

#[test]
fn vertex_answers_whole_and_counts() {
    let upstream = speaks_vertex::start(Vec::new());
    let gateway = vertex(Engine::Epoll, &upstream.url());
    let whole = ask(&gateway, false);
    assert!(whole.head.status == 200 && whole.text().contains(DONE), "{whole:?}");
    let counted = count(&gateway);
    assert_eq!((counted.head.status, counted.text().as_str()), (200, "{\"input_tokens\":44}"), "{counted:?}");
    let targets: Vec<String> = posts(&upstream).into_iter().map(|seen| seen.target).collect();
    let path = |rest: &str| format!("{}{rest}", speaks_vertex::MODELS);
    assert_eq!(targets, [path("claude-far-1@20260101:rawPredict"), path("count-tokens:rawPredict")]);
}

#[test]
fn what_a_cloud_refuses_is_told_in_anthropics_words() {
    let json = ("Content-Type", "application/json");
    let long = r#"{"message":"The model returned the following errors: prompt is too long: 213462 tokens
        > 200000 maximum"}"#
        .replace("tokens\n        >", "tokens >");
    for (status, name, body, shown, kind, text) in [
        (429, "ThrottlingException", "{\"message\":\"Too many SECRET\"}", 429, "rate_limit_error", "rate"),
        (
            400,
            "ValidationException",
            &*long,
            400,
            "invalid_request_error",
            "prompt is too long: 213462 tokens > 200000 maximum",
        ),
        (403, "AccessDeniedException", "{\"message\":\"arn:SECRET\"}", 502, "api_error", "credentials"),
        (503, "ServiceUnavailableException", "{}", 529, "overloaded_error", "overloaded"),
        (200, "", "<html>Sign in, SECRET</html>", 502, "api_error", "cannot be read"),
    ] {
        let headers: &'static [(&'static str, &'static str)] =
            Box::leak(Box::new([json, ("x-amzn-ErrorType", name)]));
        let upstream = answers_status::start(status, headers, body);
        let gateway = bedrock(Engine::Epoll, &upstream.url(), SIGNED);
        for stream in [false, true] {
            let reply = ask(&gateway, stream);
            reply.refusal(shown, kind);
            assert!(reply.text().contains(text) && !reply.text().contains("SECRET"), "{reply:?}");
        }
    }
    let upstream = answers_status::start(
        401,
        &[("Content-Type", "application/json")],
        r#"{"error":{"code":401,"message":"projects/SECRET","status":"UNAUTHENTICATED"}}"#,
    );
    let gateway = vertex(Engine::Epoll, &upstream.url());
    for stream in [false, true] {
        let reply = ask(&gateway, stream);
        reply.refusal(502, "api_error");
        assert!(!reply.text().contains("SECRET"), "{reply:?}");
    }
}

/// Answers with the first `whole` frames of a stream, waits to be told to go on, and ends with `last`.
fn breaks_off(whole: usize, last: Vec<u8>) -> (Peer, Sender<()>) {
    let (go_on, told) = mpsc::channel();
    let told = Mutex::new(told);
    let peer = Peer::start(move |_, exchange: &mut Exchange| {
        speaks_bedrock::start_frames(exchange)?;
        for frame in speaks_bedrock::frames(&sse::text_message("m", &["Hel", "lo"])).iter().take(whole) {
            exchange.chunk(frame)?;
        }
        // Whoever is gone has nothing more to say.
        told.lock().expect("no holder panics").recv_timeout(DEADLINE).unwrap_or_default();
        exchange.chunk(&last)?;
        Ok(After::Close)
    });
    (peer, go_on)
}

#[test]
fn frames_that_break_off_or_tell_an_exception_are_an_error() {
    for_each_engine(|engine| {
        let throttled = || speaks_bedrock::exception("throttlingException", "Too many SECRET");
        let frame = speaks_bedrock::frames(&sse::text_delta("lo")).remove(0);
        let half = frame[..frame.len() / 2].to_vec();
        for (last, kind, cut) in [(throttled(), "rate_limit_error", false), (half, "api_error", true)] {
            let (upstream, go_on) = breaks_off(3, last);
            let gateway = bedrock(engine, &upstream.url(), SIGNED);
            let mut client = Client::connect(gateway.addr());
            client.send(&messages(KEY, "claude-far", true));
            let head = client.head();
            assert_eq!(head.status, 200, "{head:?}");
            client.read_until("Hel");
            go_on.send(()).expect("the peer waits");
            let rest = client.finish(head);
            let text = rest.text();
            assert!(text.contains(&format!("{{\"type\":\"{kind}\"")), "{text}");
            assert_eq!(sse::names(&rest.body).last().map(String::as_str), Some("error"), "{text}");
            assert!(!text.contains("SECRET") && !text.contains("message_stop"), "{text}");
            let call = gateway.log().calls(1).remove(0);
            assert_eq!(call["outcome"] == "upstream_cut", cut, "{call}");
        }
        // What comes before any content still has a status.
        let (upstream, go_on) = breaks_off(1, throttled());
        go_on.send(()).expect("the peer will wait");
        let gateway = bedrock(engine, &upstream.url(), SIGNED);
        ask(&gateway, true).refusal(429, "rate_limit_error");
    });
}
