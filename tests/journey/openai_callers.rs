//! Callers with OpenAI's SDK before providers of every kind: the same keys, rules and ledger as for others.

use std::io;
use std::process::Command;

use serde_json::{Value, json};

use crate::client::{Reply, once, post};
use crate::dialects::{DEADLINE, complaints, posts};
use crate::gateway::{Engine, Folder, Gateway, KEY, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::peer::scripted_turns::{DONE, Use};
use crate::peer::{
    After, Exchange, Peer, Seen, answers_status, scripted_upstream, speaks_chat, speaks_responses,
    stalls_after_headers,
};
use crate::{peers, program, sse};

/// A gateway before one provider for the models `far` and `secret-model`, of which the caller may have the
/// first.
fn gateway(engine: Engine, provider: &str, more: &str) -> Gateway {
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\n\
             providers:\n  far: {{ {provider}, key: sk-far }}\n\
             models:\n  far: [{{ provider: far, model: far-1 }}]\n  secret-model: [far]\n\
             prices: {{ models: {{ \"far*\": {{ input: 1, output: 5 }} }} }}\n\
             budgets: [{{ name: all, usd: 1000, per: month, window: rolling }}]\n\
             keys:\n  - {{ name: main, secret: {KEY}, team: t }}\n\
             teams:\n  t: {{ models: [far] }}\n{more}",
            engine.name()
        ),
    );
    Gateway::run(tollgate(folder.path()).arg("serve"), folder)
}

fn two_turns() -> Vec<Vec<Use>> {
    let bash = |command: &str| json!({ "command": command });
    vec![
        vec![("call_1", "Bash", bash("echo \"łódź 😀\"")), ("call_2", "Bash", bash("ls"))],
        vec![("call_3", "Bash", bash("pwd"))],
    ]
}

/// A provider of Anthropic's own form that plays the turns.
fn anthropic(turns: Vec<Vec<Use>>) -> Peer {
    Peer::start(move |seen, exchange| {
        if seen.path() != "/v1/messages" {
            return scripted_upstream::beside(seen, exchange);
        }
        answer(&turns, seen, exchange)?;
        Ok(After::KeepOpen)
    })
}

fn answer(turns: &[Vec<Use>], seen: &Seen, exchange: &mut Exchange) -> io::Result<()> {
    let body: Value = serde_json::from_slice(&seen.body).map_err(io::Error::other)?;
    let open = |turn: &&Vec<Use>| {
        turn.iter().any(|(id, ..)| crate::peer::scripted_turns::result(&body, id).is_none())
    };
    let offered = body["tools"].is_array();
    let stream = match turns.iter().find(open).filter(|_| offered) {
        Some(turn) => {
            let calls: Vec<_> = turn.iter().map(|(id, tool, input)| (*id, *tool, input)).collect();
            sse::tools_message("claude-scripted", &calls)
        }
        None => sse::text_message("claude-scripted", &["All turns ", "are played."]),
    };
    if body["stream"] == true {
        return scripted_upstream::stream_events(&stream, exchange);
    }
    let usage = json!({ "input_tokens": 11, "cache_read_input_tokens": 7, "output_tokens": 5 });
    let reply = json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-scripted",
        "content": [{ "type": "text", "text": DONE }], "stop_reason": "end_turn", "usage": usage });
    exchange.answer(200, &[("Content-Type", "application/json")], reply.to_string().as_bytes())
}

/// A program with the SDK, as yet without its arguments.
type Sdk = fn() -> Command;

fn python() -> Command {
    let mut python = Command::new(peers::openai_python());
    python.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/openai_caller.py"));
    python
}

fn typescript() -> Command {
    let mut node = Command::new(peers::node());
    node.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/openai_caller.mjs"));
    node.arg(peers::openai_typescript());
    node
}

/// What the SDK gets.
fn facts(gateway: &Gateway, sdk: Sdk, kind: &str) -> Value {
    let mut program = sdk();
    program.env_clear().args([&format!("{}/v1", gateway.url()), KEY, "far", kind]);
    let outcome = program::run(&mut program, DEADLINE).succeeded();
    serde_json::from_str(&outcome.stdout).expect("the script prints JSON")
}

/// What is the same for all: the texts, the calls of tools, the refusals.
fn check(facts: &Value, kind: &str, passes: bool) {
    assert_eq!(facts["models"], json!([["far", "model"]]), "a list of what it may name: {facts}");
    let end = if kind == "chat" { ["stop", "stop"] } else { ["completed", "response.completed"] };
    for (way, end) in ["whole", "streamed"].into_iter().zip(end) {
        assert_eq!((&facts[way]["text"], &facts[way]["end"]), (&json!(DONE), &json!(end)), "{facts}");
    }
    assert!(facts["streamed"]["pieces"].as_u64() >= Some(2), "{facts}");
    assert_eq!(facts["tools"]["text"], DONE, "{facts}");
    let bash = |command: &str| json!(["Bash", { "command": command }]);
    let expected = json!([[bash("echo \"łódź 😀\""), bash("ls")], [bash("pwd")]]);
    assert_eq!(facts["tools"]["turns"], expected, "{facts}");
    assert_eq!(facts["tools"]["usage"], 0, "nobody has asked for a chunk of usage: {facts}");
    let denied = &facts["denied"];
    assert_eq!(
        (&denied["class"], &denied["status"]),
        (&json!("PermissionDeniedError"), &json!(403)),
        "{facts}"
    );
    assert!(denied["message"].as_str().is_some_and(|text| text.contains("secret-model")), "{facts}");
    assert!(denied["id"].as_str().is_some_and(|id| id.starts_with("req_")), "{facts}");
    let stranger = &facts["stranger"];
    assert_eq!(
        (&stranger["class"], &stranger["code"]),
        (&json!("AuthenticationError"), &json!("invalid_api_key"))
    );
    if !passes {
        let odd = &facts["odd"];
        let field = if kind == "chat" { "n" } else { "previous_response_id" };
        assert_eq!((&odd["class"], &odd["param"]), (&json!("BadRequestError"), &json!(field)), "{facts}");
        assert_eq!(facts["whole"]["model"], "far", "{facts}");
    }
}

/// The entries of the calls that were answered: the first in whole, the second streamed, then the turns.
fn check_entries(gateway: Gateway, tokens: [u64; 3], served: &str) {
    let entries = entries_of(gateway);
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "model_call").collect();
    let done: Vec<&&Value> = calls.iter().filter(|call| call["status"] == 200).collect();
    for call in done.iter().take(5) {
        let found = ["input", "cache_read", "output"].map(|name| call["tokens"][name].as_u64().unwrap_or(0));
        assert_eq!(found, tokens, "{call:#}");
        assert_eq!((&call["model"], &call["served_model"]), (&json!("far"), &json!(served)), "{call:#}");
        assert_eq!((&call["provider"], &call["key"]), (&json!("far"), &json!("main")), "{call:#}");
        assert!(call["cost_pico"].as_u64() > Some(0), "{call:#}");
    }
    let offered = done.iter().filter_map(|call| call["offers"][0]["used"].as_u64());
    assert_eq!(
        offered.filter(|used| *used > 0).count(),
        2,
        "what was offered, and what of it was used: {entries:#?}"
    );
    let uses: Vec<&Value> = done.iter().flat_map(|call| call["actions"].as_array()).flatten().collect();
    let names: Vec<_> = uses.iter().map(|action| (&action["id"], &action["name"])).collect();
    let bash = &json!("Bash");
    let ids = [json!("call_1"), json!("call_2"), json!("call_3")];
    assert_eq!(names, ids.iter().map(|id| (id, bash)).collect::<Vec<_>>(), "{entries:#?}");
    let denied: Vec<_> = calls.iter().filter(|call| call["status"] == 403).collect();
    assert_eq!(denied.len(), 1, "{entries:#?}");
    assert_eq!((&denied[0]["model"], &denied[0]["outcome"]), (&json!("secret-model"), &json!("refused")));
}

fn before_anthropics_own(sdk: Sdk) {
    for_each_engine(|engine| {
        for kind in ["chat", "responses"] {
            let upstream = anthropic(two_turns());
            let provider = format!("dialect: anthropic, base_url: \"{}\"", upstream.url());
            let gateway = gateway(engine, &provider, "");
            let facts = facts(&gateway, sdk, kind);
            check(&facts, kind, false);
            assert_eq!(
                (&facts["whole"]["read"], &facts["whole"]["written"]),
                (&json!(18), &json!(5)),
                "{facts}"
            );
            assert_eq!(facts["streamed"]["read"], 18, "{facts}");
            let seen = posts(&upstream);
            assert_eq!(seen.len(), 5, "what is refused goes to nobody");
            for one in &seen {
                assert_eq!(
                    (one.path(), one.header("x-api-key")),
                    ("/v1/messages", Some("sk-far")),
                    "{one:?}"
                );
                assert_eq!(one.header("anthropic-version"), Some("2023-06-01"));
                let theirs = |name: &&str| one.header(name).is_some();
                assert!(!["authorization", "x-stainless-lang"].iter().any(theirs), "{one:?}");
            }
            let first: Value = serde_json::from_slice(&seen[0].body).expect("it is JSON");
            assert_eq!((&first["model"], &first["max_tokens"]), (&json!("far-1"), &json!(100)), "{first}");
            assert_eq!(first["system"][0]["text"], "Be brief.", "{first}");
            assert_eq!(first["messages"][0]["content"][1]["source"]["media_type"], "image/png", "{first}");
            let last: Value = serde_json::from_slice(&seen[4].body).expect("it is JSON");
            let roles: Vec<&Value> =
                last["messages"].as_array().expect("turns").iter().map(|turn| &turn["role"]).collect();
            assert_eq!(roles, ["user", "assistant", "user", "assistant", "user"], "{last}");
            let result = &last["messages"][2]["content"][1];
            assert_eq!(
                (&result["tool_use_id"], &result["content"]),
                (&json!("call_2"), &json!("result of {\"command\":\"ls\"}")),
                "{last}"
            );
            check_entries(gateway, [11, 7, 5], "claude-scripted");
        }
    });
}

#[test]
fn both_dialects_before_anthropics_own() {
    before_anthropics_own(python);
}

#[test]
fn both_dialects_of_the_typescript_sdk_before_anthropics_own() {
    before_anthropics_own(typescript);
}

fn passes_to_its_own_kind(sdk: Sdk) {
    for_each_engine(|engine| {
        for (kind, upstream, takes) in [
            ("chat", speaks_chat::start(two_turns()), "openai_chat"),
            ("responses", speaks_responses::start(two_turns()), "openai_responses, takes: { like: openai }"),
        ] {
            let provider = format!("dialect: {takes}, base_url: \"{}/v1\"", upstream.url());
            let gateway = gateway(engine, &provider, "");
            let facts = facts(&gateway, sdk, kind);
            check(&facts, kind, true);
            assert_eq!(
                (&facts["whole"]["read"], &facts["whole"]["written"]),
                (&json!(1000), &json!(20)),
                "{facts}"
            );
            assert_eq!(facts["whole"]["model"], "scripted-2026-01-01", "the answer is as it came: {facts}");
            let seen = posts(&upstream);
            assert_eq!(seen.len(), 6, "what only this provider knows is for it to judge");
            assert_eq!(complaints(kind, &seen), "");
            for one in &seen {
                assert_eq!(one.header("authorization"), Some("Bearer sk-far"), "{one:?}");
            }
            let odd: Value = serde_json::from_slice(&seen[5].body).expect("it is JSON");
            let field =
                if kind == "chat" { json!(odd["n"] == 2) } else { odd["previous_response_id"].clone() };
            assert!(field == true || field == "resp_1", "{odd}");
            check_entries(gateway, [100, 900, 20], "scripted-2026-01-01");
        }
    });
}

#[test]
fn each_dialect_passes_to_its_own_kind() {
    passes_to_its_own_kind(python);
}

#[test]
fn each_dialect_of_the_typescript_sdk_passes_to_its_own_kind() {
    passes_to_its_own_kind(typescript);
}

/// And one is said in the other by way of Anthropic's form.
#[test]
fn responses_are_said_as_chat_completions() {
    let upstream = speaks_chat::start(two_turns());
    let provider = format!("dialect: openai_chat, base_url: \"{}/v1\"", upstream.url());
    let gateway = gateway(Engine::Epoll, &provider, "");
    let facts = facts(&gateway, python, "responses");
    check(&facts, "responses", false);
    assert_eq!(facts["whole"]["read"], 1000, "{facts}");
    assert_eq!(complaints("chat", &posts(&upstream)), "");
}

fn ask(gateway: &Gateway, path: &str, body: &str) -> Reply {
    once(gateway.addr(), &post(path, KEY, &[("content-type", "application/json")], body.as_bytes()))
}

const CHAT: &str = "/v1/chat/completions";

#[test]
fn betas_go_along_and_whose_account_pays_is_no_word_of_the_caller() {
    let upstream = speaks_responses::start(vec![]);
    let provider =
        format!("dialect: openai_responses, takes: {{ like: openai }}, base_url: \"{}/v1\"", upstream.url());
    let gateway = gateway(Engine::Epoll, &provider, "");
    let headers = [
        ("content-type", "application/json"),
        ("OpenAI-Beta", "responses=v2"),
        ("OpenAI-Organization", "org-other"),
        ("OpenAI-Project", "proj-other"),
    ];
    let body = r#"{"model":"far","input":"Hello"}"#;
    let reply = once(gateway.addr(), &post("/v1/responses", KEY, &headers, body.as_bytes()));
    assert_eq!(reply.head.status, 200, "{reply:?}");
    let seen = posts(&upstream).pop().expect("it was asked");
    assert_eq!(seen.header("openai-beta"), Some("responses=v2"), "{seen:?}");
    for name in ["openai-organization", "openai-project"] {
        assert_eq!(seen.header(name), None, "{seen:?}");
    }
}

#[test]
fn what_claude_thinks_comes_back_to_it_through_responses() {
    let thought = json!({ "type": "thinking", "thinking": "First \"ls\".", "signature": "EqQBCgIYAg==" });
    let call = json!({ "type": "tool_use", "id": "call_1", "name": "Bash", "input": { "command": "ls" } });
    let reply = json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": "claude-scripted",
        "content": [thought, call], "stop_reason": "tool_use",
        "usage": { "input_tokens": 11, "output_tokens": 5 } });
    let upstream = Peer::start(move |_, exchange| {
        exchange.answer(200, &[("Content-Type", "application/json")], reply.to_string().as_bytes())?;
        Ok(After::KeepOpen)
    });
    let provider = format!("dialect: anthropic, base_url: \"{}\"", upstream.url());
    let gateway = gateway(Engine::Epoll, &provider, "");
    let mut input = vec![json!({ "role": "user", "content": "Run it." })];
    let said = |input: &[Value]| {
        let body = json!({ "model": "far", "input": input, "store": false,
                           "include": ["reasoning.encrypted_content"] });
        let reply = ask(&gateway, "/v1/responses", &body.to_string());
        assert_eq!(reply.head.status, 200, "{reply:?}");
        reply.json()["output"].as_array().expect("there are items").clone()
    };
    let items = said(&input);
    assert_eq!((&items[0]["type"], &items[1]["type"]), (&json!("reasoning"), &json!("function_call")));
    assert_eq!(items[0]["summary"][0]["text"], "First \"ls\".");
    input.extend(items);
    input.push(json!({ "type": "function_call_output", "call_id": "call_1", "output": "a.txt" }));
    said(&input);
    let second = posts(&upstream).pop().expect("it was asked twice");
    let second: Value = serde_json::from_slice(&second.body).expect("it is JSON");
    assert_eq!(second["messages"][1]["content"][0], thought, "{second}");
}

#[test]
fn what_passes_is_the_same_byte_for_byte() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hi\"},  \
                  \"finish_reason\":\"stop\"}],\
                  \"odd\":[1]}\r\n\r\n: a comment\n\n";
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":2}}\n\n";
    let end = "data: [DONE]\n\n";
    let whole = format!("{stream}{usage}{end}");
    let document = r#"{"id":"c", "odd" : [1],"model":"x","choices":[{"index":0,"message":{"role":"assistant",
        "content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":2}}"#;
    for_each_engine(|engine| {
        let whole = whole.clone();
        let upstream = Peer::start(move |seen, exchange| {
            if String::from_utf8_lossy(&seen.body).contains("\"stream\":true") {
                scripted_upstream::stream_events(&whole, exchange)?;
            } else {
                exchange.answer(200, &[("Content-Type", "application/json")], document.as_bytes())?;
            }
            Ok(After::KeepOpen)
        });
        let provider = format!("dialect: openai_chat, base_url: \"{}/v1\"", upstream.url());
        let gateway = gateway(engine, &provider, "");
        let rest = r#""messages" : [{"role":"user","content":"\u0048i"}],"n":1, "odd":{"a":[]}}"#;
        let asks = r#""stream_options":{"include_usage":true},"#;
        for (before, hidden) in [("", None), (r#""stream":true,"#, Some(true)), (asks, None)] {
            let streams = if before.is_empty() || hidden.is_some() { before } else { r#""stream":true,"# };
            let before = if before == asks { format!("{asks}{streams}") } else { before.to_owned() };
            let reply = ask(&gateway, CHAT, &format!("{{\"model\" : \"far\",{before}{rest}"));
            assert_eq!(reply.head.status, 200, "{reply:?}");
            let expected = match (streams, hidden) {
                ("", _) => document.to_owned(),
                (_, Some(_)) => format!("{stream}{end}"),
                (_, None) => format!("{stream}{usage}{end}"),
            };
            assert_eq!(reply.text(), expected);
            let sent = posts(&upstream).pop().expect("it was asked");
            let wish = if hidden.is_some() { asks } else { "" };
            let body = format!("{{{wish}\"model\" : \"far-1\",{before}{rest}");
            assert_eq!(String::from_utf8_lossy(&sent.body), body);
        }
        for call in gateway.log().calls(3) {
            assert_eq!((&call["input_tokens"], &call["output_tokens"]), (&json!(3), &json!(2)), "{call}");
        }
    });
}

#[test]
fn failures_have_the_shape_of_openai() {
    for_each_engine(|engine| {
        let limit =
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow down, org-SECRET"}}"#;
        let upstream =
            answers_status::start(429, &[("Content-Type", "application/json"), ("retry-after", "7")], limit);
        let provider = format!("dialect: anthropic, base_url: \"{}\"", upstream.url());
        let gateway = gateway(engine, &provider, "");
        for stream in ["false", "true"] {
            let body = format!(
                r#"{{"model":"far","stream":{stream},"messages":[{{"role":"user","content":"x"}}]}}"#
            );
            let reply = ask(&gateway, CHAT, &body);
            let error = &reply.json()["error"];
            assert_eq!(
                (reply.head.status, &error["code"]),
                (429, &json!("rate_limit_exceeded")),
                "{reply:?}"
            );
            assert_eq!(reply.header("retry-after"), Some("7"), "{reply:?}");
            assert!(error["message"].is_string() && !reply.text().contains("SECRET"), "{reply:?}");
        }
        for (path, body, status) in [
            (CHAT, "{", 400),
            (CHAT, r#"{"model":"far"}"#, 400),
            (CHAT, r#"{"model":"nobody-has-it","messages":[]}"#, 403),
            ("/v1/responses", r#"{"model":"far","input":[{"type":"computer_call"}]}"#, 400),
        ] {
            let reply = ask(&gateway, path, body);
            assert_eq!(reply.head.status, status, "{reply:?}");
            let error = &reply.json()["error"];
            assert!(error["message"].is_string() && error["type"].is_string(), "{reply:?}");
        }
        let reply = once(gateway.addr(), &crate::client::get("GET", CHAT, &[("x-api-key", KEY)]));
        assert_eq!((reply.head.status, reply.header("allow")), (405, Some("POST")), "{reply:?}");
        assert!(reply.json()["error"]["message"].is_string(), "{reply:?}");
    });
}

#[test]
fn a_stream_that_is_cut_has_no_end() {
    for_each_engine(|engine| {
        let whole = sse::text_message("m", &["Hel", "lo"]);
        let half = whole.split("event: content_block_stop").next().expect("it begins").to_owned();
        let upstream = crate::peer::closes_mid_stream::start(&half);
        let provider = format!("dialect: anthropic, base_url: \"{}\"", upstream.url());
        let gateway = gateway(engine, &provider, "");
        let body = r#"{"model":"far","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
        let text = ask(&gateway, CHAT, body).text();
        assert!(text.contains("\"content\":\"lo\"") && text.contains("data: {\"error\":"), "{text}");
        assert!(!text.contains("[DONE]") && !text.contains("event: "), "{text}");
        let call = gateway.log().calls(1).remove(0);
        assert_eq!(call["outcome"], "upstream_cut", "{call}");
        let body = r#"{"model":"far","messages":[{"role":"user","content":"x"}]}"#;
        let reply = ask(&gateway, CHAT, body);
        assert_eq!(reply.head.status, 502, "{reply:?}");
    });
}

/// What breaks off for a reason of ours is told in the caller's dialect, behind comments instead of pings.
#[test]
fn silence_inside_an_answer_is_told() {
    let timeouts = "timeouts: { stream_stall_ms: 900, ping_ms: 200 }\n";
    let begins = sse::message_start("m") + &sse::text_start() + &sse::text_delta("Hel");
    let chunk = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Hel\"}}]}\n\n".to_owned();
    let body = r#"{"model":"far","stream":true,"messages":[{"role":"user","content":"x"}]}"#;
    for_each_engine(|engine| {
        for (dialect, base, beginning, pings) in
            [("anthropic", "", &begins, true), ("openai_chat", "/v1", &chunk, false)]
        {
            let (upstream, _left) = stalls_after_headers::start(beginning);
            let provider = format!("dialect: {dialect}, base_url: \"{}{base}\"", upstream.url());
            let gateway = gateway(engine, &provider, timeouts);
            let text = ask(&gateway, CHAT, body).text();
            assert!(text.contains("\"content\":\"Hel\"") && !text.contains("[DONE]"), "{dialect}: {text}");
            let last = text.trim_end().lines().last().unwrap_or_default();
            assert!(
                last.starts_with("data: {\"error\":{") && last.contains("\"timeout\""),
                "{dialect}: {text}"
            );
            assert_eq!(text.contains(": ping\n\n"), pings, "{dialect}: {text}");
            assert_eq!(gateway.log().calls(1)[0]["outcome"], "upstream_stalled");
        }
    });
}

/// Where uses of tools are watched nothing passes unread: it goes by way of Anthropic's form.
#[test]
fn what_is_watched_does_not_pass() {
    let upstream = speaks_chat::start(two_turns());
    let provider = format!("dialect: openai_chat, base_url: \"{}/v1\"", upstream.url());
    let more = "tool_inputs: ['deny Bash matching \"ls\"']\n";
    let gateway = gateway(Engine::Epoll, &provider, more);
    let facts = facts(&gateway, python, "chat");
    check(&facts, "chat", false);
    let entries = entries_of(gateway);
    let marks: Vec<&Value> = entries.iter().map(|entry| &entry["marks"]).collect();
    assert!(marks.iter().any(|marks| marks.to_string().contains("denied-input Bash")), "{marks:?}");
}
