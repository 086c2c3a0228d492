//! Claude Code and Anthropic's SDK before providers that speak another dialect: none of them the wiser.

use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::client::{Reply, messages, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine, tollgate};
use crate::peer::scripted_turns::DONE;
use crate::peer::scripted_upstream::{self, Script};
use crate::peer::{After, Peer, Seen, answers_status, speaks_chat};
use crate::{peers, program};

/// One run takes a few seconds on a quiet machine.
pub(crate) const DEADLINE: Duration = Duration::from_secs(180);

/// A gateway before one provider of `dialect`, for all models.
fn gateway(engine: Engine, dialect: &str, upstream: &str) -> Gateway {
    gateway_at(engine, dialect, &format!("{upstream}/v1"))
}

/// The same with the whole base URL; behind `dialect` may stand more of the provider.
pub(crate) fn gateway_at(engine: Engine, dialect: &str, base_url: &str) -> Gateway {
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\n\
             providers:\n  far: {{ dialect: {dialect}, base_url: \"{base_url}\", key: sk-far }}\n\
             models:\n  claude-far: [{{ provider: far, model: far-1 }}]\n  \
               \"claude-*\": [{{ provider: far, model: far-1 }}]\n\
             keys:\n  - {{ name: main, secret: {KEY} }}\n",
            engine.name()
        ),
    );
    Gateway::run(tollgate(folder.path()).arg("serve"), folder)
}

/// What is wrong with requests by the types of OpenAI's own SDK.
pub(crate) fn complaints(kind: &str, seen: &[Seen]) -> String {
    let bodies: Vec<Value> = seen
        .iter()
        .map(|seen| serde_json::from_slice::<Value>(&seen.body).unwrap_or_default())
        .map(|body| json!({ "kind": kind, "body": body }))
        .collect();
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/openai_types.py");
    let mut python = Command::new(peers::openai_python())
        .arg(script)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the installed Python can be started");
    let mut stdin = python.stdin.take().expect("stdin is piped");
    stdin.write_all(Value::from(bodies).to_string().as_bytes()).expect("the script reads all");
    drop(stdin);
    let output = python.wait_with_output().expect("the script ends");
    assert!(output.status.success());
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn posts(peer: &Peer) -> Vec<Seen> {
    peer.seen().into_iter().filter(|seen| seen.method == "POST").collect()
}

#[test]
fn the_types_of_the_sdk_find_what_is_wrong() {
    let seen = |body: Value| Seen {
        connection: 0,
        method: "POST".to_owned(),
        target: "/v1/chat/completions".to_owned(),
        headers: Vec::new(),
        body: body.to_string().into_bytes(),
    };
    let good = json!({ "model": "m", "messages": [{ "role": "user", "content": "hi" }] });
    assert_eq!(complaints("chat", &[seen(good)]), "");
    let part = json!({ "type": "text", "text": "hi", "cache_control": { "type": "ephemeral" } });
    for (bad, place) in [
        (json!({ "model": "m", "messages": [{ "role": "tool", "content": "hi" }] }), "tool_call_id"),
        (json!({ "model": "m", "messages": [{ "role": "user", "content": [part] }] }), "cache_control"),
        (json!({ "model": "m", "messages": [], "top_k": 3 }), "top_k"),
    ] {
        let told = complaints("chat", &[seen(bad)]);
        assert!(told.contains(place), "{told}");
    }
}

#[test]
fn claude_code_calls_tools_over_chat_completions() {
    for_each_engine(|engine| {
        let bash = |command: &str| json!({ "command": command, "description": "print a marker" });
        let upstream = speaks_chat::start(vec![
            vec![
                ("call_1", "Bash", bash("echo marker-$((40+2))")),
                ("functions.Bash:1", "Bash", bash("echo \"łódź 😀\"; exit 3")),
            ],
            vec![("call_1b", "Bash", bash("echo marker-$((50+2))"))],
        ]);
        let gateway = gateway(engine, "openai_chat", &upstream.url());
        let home = Folder::new();
        let outcome = program::run(
            claude(home.path(), &gateway.url(), KEY).args([
                "--allowedTools",
                "Bash",
                "--",
                "Run the markers.",
            ]),
            DEADLINE,
        )
        .succeeded();
        let result = result(&outcome.stdout);
        assert_eq!(result["is_error"], false, "{result}");
        assert_eq!(result["result"], DONE, "{result}");
        assert_eq!(result["num_turns"], 4, "two calls at once, one more, the end: {result}");

        let seen: Vec<Seen> = posts(&upstream);
        assert_eq!(complaints("chat", &seen), "");
        let bodies: Vec<Value> =
            seen.iter().map(|seen| serde_json::from_slice(&seen.body).expect("it is JSON")).collect();
        let turns: Vec<&Value> = bodies.iter().filter(|body| body["tools"].is_array()).collect();
        let last = turns.last().expect("there are requests with tools");
        assert_eq!(speaks_chat::result(last, "call_1"), Some("marker-42"), "{last}");
        assert_eq!(speaks_chat::result(last, "call_1b"), Some("marker-52"), "{last}");
        let failed = speaks_chat::result(last, "functions.Bash:1").expect("the second call has a result");
        assert!(failed.starts_with("[tool error]") && failed.contains("łódź 😀"), "{failed}");
        let text = last.to_string();
        assert!(!text.contains("x-anthropic-billing-header"), "for Anthropic alone: {text}");
        assert!(!text.contains("device_id") && !text.contains("cache_control"), "{text}");
        for seen in &seen {
            assert_eq!(seen.header("authorization"), Some("Bearer sk-far"), "{seen:?}");
            assert!(seen.anthropic_headers().is_empty() && seen.header("x-app").is_none(), "{seen:?}");
        }

        let calls = gateway.log().calls(bodies.len());
        let call = calls.last().expect("calls are logged");
        assert_eq!((&call["status"], &call["stop_reason"]), (&json!(200), &json!("end_turn")), "{call}");
        assert_eq!((&call["input_tokens"], &call["cache_read_tokens"]), (&json!(100), &json!(900)), "{call}");
        assert_eq!(call["served_model"], "scripted-2026-01-01", "{call}");
    });
}

/// A PNG of one red pixel.
const PIXEL: &str =
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4z8AAAAMBAQDJ/pLvAAAAAElFTkSuQmCC";

#[test]
fn an_image_that_a_tool_reads_is_seen() {
    let home = Folder::new();
    let mut decode = Command::new("base64");
    let mut decode =
        decode.arg("-d").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("coreutils are there");
    decode.stdin.take().expect("stdin is piped").write_all(PIXEL.as_bytes()).expect("it reads");
    let png = decode.wait_with_output().expect("it ends").stdout;
    let path = home.path().join("pixel.png");
    std::fs::write(&path, png).expect("the folder can be written");
    let upstream = speaks_chat::start(vec![vec![("call_1", "Read", json!({ "file_path": path }))]]);
    let gateway = gateway(Engine::Epoll, "openai_chat", &upstream.url());
    let args = ["--allowedTools", "Read", "--", "What colour is it?"];
    let outcome = program::run(claude(home.path(), &gateway.url(), KEY).args(args), DEADLINE).succeeded();
    assert_eq!(result(&outcome.stdout)["result"], DONE);
    let seen = posts(&upstream);
    assert_eq!(complaints("chat", &seen), "");
    let last: Value = serde_json::from_slice(&seen.last().expect("it was asked").body).expect("it is JSON");
    let parts: Vec<&Value> = last["messages"]
        .as_array()
        .expect("there are messages")
        .iter()
        .filter(|message| message["role"] == "user")
        .filter_map(|message| message["content"].as_array())
        .flatten()
        .filter(|part| part["type"] == "image_url")
        .collect();
    let url = parts.first().expect("the image goes with the user's words")["image_url"]["url"].as_str();
    assert!(url.is_some_and(|url| url.starts_with("data:image/")), "{url:?}");
}

/// A conversation goes on with a model of another vendor, and comes back: each is shown its own thoughts.
#[test]
fn a_conversation_moves_between_vendors() {
    let far = speaks_chat::start(Vec::new());
    let near = scripted_upstream::start(Script { tool: None, text: &["Near ", "says so."] });
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: epoll\nthreads: 1\n\
             providers:\n  far: {{ dialect: openai_chat, base_url: \"{}/v1\", key: sk-far }}\n  \
               near: {{ dialect: anthropic, base_url: \"{}\", key: sk-near }}\n\
             models:\n  claude-far: [{{ provider: far, model: far-1 }}]\n  \"claude-*\": [near]\n\
             keys:\n  - {{ name: main, secret: {KEY} }}\n",
            far.url(),
            near.url()
        ),
    );
    let gateway = Gateway::run(tollgate(folder.path()).arg("serve"), folder);
    let home = Folder::new();
    let mut said = Vec::new();
    for (model, goes_on) in [("claude-far", false), ("claude-sonnet-5", true), ("claude-far", true)] {
        let mut command = claude(home.path(), &gateway.url(), KEY);
        if goes_on {
            command.arg("--continue");
        }
        command.args(["--model", model, "--", "Go on."]);
        let outcome = program::run(&mut command, DEADLINE).succeeded();
        said.push(result(&outcome.stdout)["result"].clone());
    }
    assert_eq!(said, [DONE, "Near says so.", DONE]);
    let near: Vec<Seen> = near.seen().into_iter().filter(|seen| seen.path() == "/v1/messages").collect();
    let text = String::from_utf8_lossy(&near.last().expect("it was asked").body).into_owned();
    assert!(text.contains(DONE), "the history came along: {text}");
    assert!(!text.contains("tollgate.1.") && !text.contains(speaks_chat::THOUGHT), "{text}");
    let far = posts(&far);
    assert_eq!(complaints("chat", &far), "");
    let text = String::from_utf8_lossy(&far.last().expect("it was asked").body).into_owned();
    assert!(text.contains(DONE) && text.contains("Near says so."), "{text}");
}

/// Requests of one conversation begin with those of the turn before, so that the provider's cache holds.
#[test]
fn the_prefix_of_a_conversation_stays() {
    let bash = |command: &str| json!({ "command": command, "description": "print a marker" });
    let upstream = speaks_chat::start(vec![
        vec![("call_1", "Bash", bash("echo one"))],
        vec![("call_2", "Bash", bash("echo two"))],
        vec![("call_3", "Bash", bash("echo three"))],
    ]);
    let gateway = gateway(Engine::Epoll, "openai_chat", &upstream.url());
    let home = Folder::new();
    let args = ["--allowedTools", "Bash", "--", "Run them."];
    program::run(claude(home.path(), &gateway.url(), KEY).args(args), DEADLINE).succeeded();
    let bodies: Vec<String> = posts(&upstream)
        .into_iter()
        .map(|seen| String::from_utf8(seen.body).expect("JSON is UTF-8"))
        .filter(|body| body.contains("\"tools\":"))
        .collect();
    assert!(bodies.len() >= 4, "{} requests", bodies.len());
    for (before, after) in bodies.iter().zip(bodies.iter().skip(1)) {
        let kept = before.strip_suffix("]}").expect("messages stand last");
        let common = kept.bytes().zip(after.bytes()).take_while(|(a, b)| a == b).count();
        assert_eq!(common, kept.len(), "{:?}\n{:?}", kept.get(common..), after.get(common..));
    }
}

pub(crate) fn ask(gateway: &Gateway, stream: bool) -> Reply {
    once(gateway.addr(), &messages(KEY, "claude-far", stream))
}

#[test]
fn failures_before_the_answer_have_their_status() {
    let limit = r#"{"error":{"message":"Rate limit reached for org-SECRET in far-1","type":"tokens",
        "code":"rate_limit_exceeded"}}"#;
    let long = r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your
        messages resulted in 200001 tokens.","type":"invalid_request_error",
        "code":"context_length_exceeded"}}"#
        .replace("your\n       ", "your");
    let long = long.as_str();
    for (status, headers, body, shown, kind, retry_after) in [
        (
            429,
            &[("Content-Type", "application/json"), ("retry-after", "7")][..],
            limit,
            429,
            "rate_limit_error",
            Some("7"),
        ),
        (400, &[("Content-Type", "application/json")][..], long, 400, "invalid_request_error", None),
        (
            502,
            &[("Content-Type", "text/html")][..],
            "<html>Bad gateway SECRET</html>",
            502,
            "api_error",
            None,
        ),
        (503, &[("Content-Type", "application/json")][..], "{}", 529, "overloaded_error", None),
        (
            401,
            &[("Content-Type", "application/json")][..],
            r#"{"error":{"message":"Incorrect API key provided: sk-SECRET"}}"#,
            502,
            "api_error",
            None,
        ),
        (200, &[("Content-Type", "text/html")][..], "<html>Sign in, SECRET</html>", 502, "api_error", None),
    ] {
        let upstream = answers_status::start(status, headers, body);
        let gateway = gateway(Engine::Epoll, "openai_chat", &upstream.url());
        for stream in [false, true] {
            let reply = ask(&gateway, stream);
            reply.refusal(shown, kind);
            assert_eq!(reply.header("retry-after"), retry_after, "{reply:?}");
            assert!(!reply.text().contains("SECRET"), "a provider's own words may name accounts: {reply:?}");
            if kind == "invalid_request_error" {
                assert!(
                    reply.text().contains("prompt is too long: 200001 tokens > 128000 maximum"),
                    "{reply:?}"
                );
            }
        }
    }
}

#[test]
fn a_stream_that_is_cut_ends_in_an_error_event() {
    for_each_engine(|engine| {
        let upstream = Peer::start(|_, exchange| {
            exchange.start_events()?;
            let chunk = json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
                "choices": [{ "index": 0, "delta": { "content": "Hel" }, "finish_reason": null }] });
            exchange.chunk(format!("data: {chunk}\n\n").as_bytes())?;
            Ok(After::Close)
        });
        let gateway = gateway(engine, "openai_chat", &upstream.url());
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
