//! Tokens counted for models whose providers cannot be asked in Anthropic's form.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Reply, messages, messages_body, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::peer::{answers_status, scripted_upstream, speaks_chat};
use crate::program;

/// What the scripted provider says that every request had.
const COUNTED: u64 = 1_000;

/// How long what has been learned may take to be known, on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// A gateway before one provider of Chat Completions, whose models only one of two keys may name.
fn gateway(engine: Engine, upstream: &str) -> Gateway {
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: {}\nthreads: 1\n\
             providers:\n  far: {{ dialect: openai_chat, base_url: \"{upstream}/v1\", key: sk-far }}\n\
             models:\n  claude-far: [{{ provider: far, model: far-1 }}]\n\
             keys:\n  - {{ name: main, secret: {KEY} }}\n  \
               - {{ name: narrow, secret: {NARROW_KEY}, models: [\"claude-none\"] }}\n",
            engine.name()
        ),
    );
    Gateway::run(tollgate(folder.path()).arg("serve"), folder)
}

fn count(gateway: &Gateway, key: &str, body: &str) -> Reply {
    once(gateway.addr(), &post("/v1/messages/count_tokens", key, &[], body.as_bytes()))
}

fn tokens(reply: &Reply) -> u64 {
    assert_eq!(reply.head.status, 200, "{reply:?}");
    assert_eq!(reply.header("x-tollgate-count"), Some("estimate"), "{reply:?}");
    reply.json()["input_tokens"].as_u64().expect("it is a number")
}

/// A request with so many words that ratios are learned from it.
fn long(more: &Value) -> String {
    let text = "The quick brown fox jumps over the lazy dog. ".repeat(60);
    let mut content = vec![json!({ "type": "text", "text": text })];
    content.extend(more.as_array().cloned().unwrap_or_default());
    json!({ "model": "claude-far", "max_tokens": 9, "messages": [{ "role": "user", "content": content }] })
        .to_string()
}

#[test]
fn a_count_is_never_a_chat_and_is_recorded_as_what_it_is() {
    for_each_engine(|engine| {
        let upstream = speaks_chat::start(Vec::new());
        let gateway = gateway(engine, &upstream.url());
        let short = tokens(&count(&gateway, KEY, &messages_body("claude-far", false)));
        let whole = tokens(&count(&gateway, KEY, &long(&json!([]))));
        assert!(short > 0 && whole > 500 && whole < 900, "{short} {whole}");
        assert_eq!(tokens(&count(&gateway, KEY, &long(&json!([])))), whole);
        // Of an image of which nobody knows the size, what a large one costs at this provider.
        let image = json!([{ "type": "image", "source": { "type": "url", "url": "https://e.x/a.png" } }]);
        assert_eq!(tokens(&count(&gateway, KEY, &long(&image))) - whole, 85 + 4 * 170);
        count(&gateway, NARROW_KEY, &messages_body("claude-far", false)).refusal(403, "permission_error");
        count(&gateway, KEY, r#"{"model":"claude-far"}"#).refusal(400, "invalid_request_error");
        assert!(upstream.seen().is_empty(), "{:?}", upstream.seen());
        let entries = entries_of(gateway);
        let good: Vec<&Value> = entries.iter().filter(|entry| entry["status"] == 200).collect();
        assert_eq!(good.len(), 4, "{entries:#?}");
        for entry in good {
            assert_eq!(entry["kind"], "count_tokens", "{entry:#}");
            assert_eq!(entry["provider"], "far", "{entry:#}");
            assert_eq!(entry["model"], "claude-far", "{entry:#}");
        }
    });
}

#[test]
fn a_count_follows_what_the_provider_has_counted() {
    for_each_engine(|engine| {
        let upstream = speaks_chat::start(Vec::new());
        let gateway = gateway(engine, &upstream.url());
        let body = long(&json!([]));
        assert_ne!(tokens(&count(&gateway, KEY, &body)), COUNTED);
        let answer = once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()));
        assert_eq!(answer.head.status, 200, "{answer:?}");
        program::eventually("the count is as the provider's", PATIENCE, || {
            // One more where the part of a token is rounded up.
            (COUNTED..=COUNTED + 1).contains(&tokens(&count(&gateway, KEY, &body)))
        });
        // What a caller is shown before the provider has counted follows, too.
        let streamed = body.replacen('{', "{\"stream\":true,", 1);
        let answer = once(gateway.addr(), &post("/v1/messages", KEY, &[], streamed.as_bytes()));
        let text = answer.text();
        let start = text.lines().find_map(|line| line.strip_prefix("data: ")).expect("there are events");
        let start: Value = serde_json::from_str(start).expect("it is JSON");
        let shown = start["message"]["usage"]["input_tokens"].as_u64().expect("there is an estimate");
        assert!((COUNTED..=COUNTED + 1).contains(&shown), "{start}");
    });
}

/// A gateway before a server that speaks some of Anthropic's dialect.
fn lenient(upstream: &str) -> Gateway {
    let folder = Folder::new();
    folder.write(
        "tollgate.yaml",
        &format!(
            "listen: 127.0.0.1:0\ndata_dir: ./data\nengine: epoll\nthreads: 1\n\
             providers:\n  far: {{ dialect: anthropic_lenient, base_url: \"{upstream}\", key: sk-far }}\n\
             models:\n  claude-far: [{{ provider: far, model: far-1 }}]\n\
             keys: [{{ name: main, secret: {KEY} }}]\n",
        ),
    );
    Gateway::run(tollgate(folder.path()).arg("serve"), folder)
}

#[test]
fn a_server_that_counts_is_asked_and_one_that_does_not_is_asked_once() {
    let upstream = scripted_upstream::plain();
    let gateway = lenient(&upstream.url());
    for body in [r#"{"model":"claude-far","messages":[{"role":"user","content":"Hi"}]}"#, &long(&json!([]))] {
        let reply = count(&gateway, KEY, body);
        assert_eq!((reply.head.status, reply.header("x-tollgate-count")), (200, Some("native")), "{reply:?}");
        assert_eq!(reply.json(), json!({ "input_tokens": 42 }));
    }
    let seen = upstream.seen();
    let paths: Vec<&str> = seen.iter().map(|one| one.path()).collect();
    assert_eq!(paths, ["/v1/messages/count_tokens"; 2]);
    let body: Value = serde_json::from_slice(&seen[0].body).expect("it is JSON");
    assert_eq!((&body["model"], seen[0].header("x-api-key")), (&json!("far-1"), Some("sk-far")), "{body}");

    let html: &[(&str, &str)] = &[("Content-Type", "text/html")];
    for (status, headers, body) in [(404, html, "<html>"), (500, html, ""), (200, html, "<html>")] {
        let upstream = answers_status::start(status, headers, body);
        let gateway = lenient(&upstream.url());
        let estimate = tokens(&count(&gateway, KEY, &long(&json!([]))));
        assert_eq!(tokens(&count(&gateway, KEY, &long(&json!([])))), estimate);
        assert_eq!(upstream.seen().len(), 1, "{status}: it is not asked again for a while");
        count(&gateway, KEY, r#"{"model":"claude-far"}"#).refusal(400, "invalid_request_error");
    }
}

#[test]
fn a_count_of_the_provider_says_so() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let reply = count(&gateway, KEY, &messages_body("claude-any", false));
        assert_eq!(reply.header("x-tollgate-count"), Some("native"), "{reply:?}");
        assert_eq!(reply.json()["input_tokens"], 42, "{reply:?}");
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", false));
        assert_eq!(reply.header("x-tollgate-count"), None, "{reply:?}");
    });
}
