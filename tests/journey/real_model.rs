//! A real model behind the gateway: small, on the CPU, and asked by Claude Code and by Anthropic's own SDK.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine, tollgate};
use crate::{peers, program};

/// Up to 500 tokens in and a sentence out are seconds on two quiet cores, minutes on busy ones.
const DEADLINE: Duration = Duration::from_secs(400);

/// Output tokens of one answer to the SDK.
const TOKENS_MAX: &str = "32";

/// The same for Claude Code, which takes a cut answer for an error: far more than the answer needs.
const CLAUDE_TOKENS_MAX: &str = "300";

/// llama.cpp's server with SmolLM2.
struct Model {
    child: Child,
    url: String,
    /// It ends when this is closed, so it cannot outlive the tests.
    _stdin: ChildStdin,
}

impl Model {
    /// Starts the server and waits until it listens.
    fn start() -> Self {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/model_server.py");
        let mut child = Command::new(peers::python())
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the installed Python can be started");
        let stdin = child.stdin.take().expect("stdin is piped");
        let mut lines = BufReader::new(child.stdout.take().expect("stdout is piped")).lines();
        let url = lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.strip_prefix("serving ").map(str::to_owned))
            .expect("the model server says where it listens");
        thread::spawn(move || lines.for_each(drop));
        Self { child, url, _stdin: stdin }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// One model at a time: two would share the cores and both be late.
fn alone() -> MutexGuard<'static, ()> {
    static BUSY: Mutex<()> = Mutex::new(());
    BUSY.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// A gateway in front of the model, which is called `claude-local` there.
fn gateway(engine: Engine, model: &Model) -> Gateway {
    Gateway::start(engine, &model.url)
}

fn ask_with_the_sdk(base_url: &str) -> Value {
    let facts = answers(base_url);
    assert_eq!(facts["counted"], facts["whole"]["input_tokens"], "{facts}");
    facts
}

/// What the SDK gets: whole, streamed, and counted.
fn answers(base_url: &str) -> Value {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/sdk_client.py");
    let mut python = Command::new(peers::python());
    python.env_clear().args([script, base_url, KEY, "claude-local", TOKENS_MAX]);
    let outcome = program::run(&mut python, DEADLINE).succeeded();
    let facts: Value = serde_json::from_str(&outcome.stdout).expect("the script prints JSON");
    for way in ["whole", "streamed"] {
        let answer = &facts[way];
        assert!(answer["text"].as_str().is_some_and(|text| !text.is_empty()), "{facts}");
        assert!(answer["input_tokens"].as_u64() > Some(0), "{facts}");
        assert!(answer["output_tokens"].as_u64() > Some(0), "{facts}");
        assert!(["end_turn", "max_tokens"].map(Value::from).contains(&answer["stop_reason"]), "{facts}");
    }
    assert!(facts["pieces"].as_u64() > Some(1), "a stream comes in pieces: {facts}");
    facts
}

fn ask_with_claude(base_url: &str) {
    let home = Folder::new();
    let outcome = program::run(
        claude(home.path(), base_url, KEY)
            .env("CLAUDE_CODE_MAX_OUTPUT_TOKENS", CLAUDE_TOKENS_MAX)
            .env("MAX_THINKING_TOKENS", "0")
            .args(["--model", "claude-local", "--system-prompt", "You answer in one short sentence."])
            .args(["--tools", "", "--", "What is the capital of France?"]),
        DEADLINE,
    );
    let result = result(&outcome.stdout);
    assert_eq!(result["is_error"], false, "{result}");
    assert!(result["result"].as_str().is_some_and(|text| !text.is_empty()), "{result}");
    assert!(result["usage"]["output_tokens"].as_u64() > Some(0), "{result}");
}

#[test]
fn the_model_answers_without_a_gateway() {
    let _alone = alone();
    let model = Model::start();
    ask_with_the_sdk(&model.url);
    ask_with_claude(&model.url);
}

#[test]
fn the_sdk_gets_whole_streamed_and_counted() {
    let _alone = alone();
    let model = Model::start();
    for_each_engine(|engine| {
        let gateway = gateway(engine, &model);
        let facts = ask_with_the_sdk(&gateway.url());
        let calls = gateway.log().calls(3);
        for (way, call) in ["whole", "streamed"].into_iter().zip(&calls) {
            let of = |field: &str| facts[way][field].clone();
            let read = call["cache_read_tokens"].as_u64().unwrap_or(0);
            let input = call["input_tokens"].as_u64().map(|tokens| tokens + read);
            assert_eq!(json!(input), of("input_tokens"), "{call}");
            assert_eq!(call["output_tokens"], of("output_tokens"), "{call}");
            assert_eq!(call["stop_reason"], of("stop_reason"), "{call}");
        }
    });
}

#[test]
fn claude_code_gets_a_real_answer() {
    let _alone = alone();
    let model = Model::start();
    for_each_engine(|engine| {
        let gateway = gateway(engine, &model);
        ask_with_claude(&gateway.url());
        let call = gateway.log().calls(1).remove(0);
        assert_eq!(call["status"], 200, "{call}");
        assert!(call["input_tokens"].as_u64() > Some(0), "{call}");
        assert!(call["output_tokens"].as_u64() > Some(0), "{call}");
    });
}

/// The same model by another dialect: what the SDK gets is said anew.
#[test]
fn the_sdk_gets_the_same_by_chat_completions() {
    gets_the_same_by("openai_chat", "");
}

/// And by its own form of Messages, of which it has not all.
#[test]
fn the_sdk_gets_the_same_by_lenient_messages() {
    gets_the_same_by("anthropic_lenient", "");
}

/// And by its form of Responses, whose events do not say which item they are of.
#[test]
fn the_sdk_gets_the_same_by_responses() {
    gets_the_same_by("openai_responses", "/v1");
}

fn gets_the_same_by(dialect: &str, path: &str) {
    let _alone = alone();
    let model = Model::start();
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: epoll\nthreads: 1\n\
             providers:\n  local: {{ dialect: {dialect}, base_url: \"{}{path}\" }}\n\
             models:\n  claude-local: [local]\nkeys:\n  - {{ name: main, secret: {KEY} }}\n",
            model.url
        ),
    );
    let gateway = Gateway::run(tollgate(folder.path()).arg("serve"), folder);
    let facts = answers(&gateway.url());
    let native = answers(&model.url);
    for way in ["whole", "streamed"] {
        for fact in ["text", "input_tokens", "output_tokens"] {
            assert_eq!(facts[way][fact], native[way][fact], "{way} {fact}: {facts} {native}");
        }
    }
    ask_with_claude(&gateway.url());
}
