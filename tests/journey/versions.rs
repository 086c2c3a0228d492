//! Versions of models: pinned ones, ends with a date and a replacement, and a team's own names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Reply, get, messages, messages_body, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::ledger::entries_in;
use crate::peer::recording_relay::Relay;
use crate::peer::{Peer, scripted_upstream};
use crate::program;

/// One run of Claude Code takes 1 to 3 s on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

const MODELS: &str = "  claude-pinned: { targets: [up], pinned: claude-pinned-20260101 }\n  \
      claude-soon: { targets: [up], deprecated: 2999-01-01, replacement: claude-next }\n  \
      claude-over: { targets: [up], deprecated: 2020-01-01, replacement: claude-next }\n  \
      claude-moved: { targets: [up], deprecated: 2020-01-01, replacement: claude-next, \
      on_deprecated: replace }\n  \
      claude-next: [up]\n  \
      claude-away: [far]\n";

/// A provider elsewhere, before the first one.
const FAR: &str = "  far: { dialect: anthropic, base_url: \"http://127.0.0.1:9\", region: us }\n  up: {";

const NARROW: &str = "{ models: [claude-pinned, claude-next, claude-over, claude-moved, claude-away, \
      claude-soon], regions: [eu], aliases: { claude-fast: claude-pinned, shady: claude-hidden, \
      opus: claude-next } }";

fn started(engine: Engine, upstream: &Peer) -> Gateway {
    let text = config(engine, &upstream.url(), "")
        .replace("  up: {", FAR)
        .replace("up: {", "up: { region: eu,")
        .replace("models:\n", &format!("models:\n{MODELS}"))
        .replace("{ models: [\"claude-allowed*\"] }", NARROW);
    assert!(text.contains(NARROW) && text.contains("region: eu,"), "{text}");
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text);
    Gateway::run(&mut tollgate(folder.path()), folder)
}

fn call(gateway: &Gateway, key: &str, model: &str) -> Reply {
    once(gateway.addr(), &messages(key, model, true))
}

#[test]
fn what_was_asked_and_what_was_served_are_both_recorded() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = started(engine, &upstream);
        for model in ["claude-pinned", "claude-fast", "opus", "claude-next"] {
            assert_eq!(call(&gateway, NARROW_KEY, model).head.status, 200, "{model}");
        }
        let count = post(
            "/v1/messages/count_tokens",
            NARROW_KEY,
            &[],
            messages_body("claude-fast", false).as_bytes(),
        );
        assert_eq!(once(gateway.addr(), &count).head.status, 200);
        let sent: Vec<Vec<u8>> = upstream.seen().into_iter().map(|seen| seen.body).collect();
        let asked = ["claude-pinned-20260101", "claude-pinned-20260101", "claude-next", "claude-next"];
        let mut wanted: Vec<_> = asked.iter().map(|model| messages_body(model, true).into_bytes()).collect();
        wanted.push(messages_body("claude-pinned-20260101", false).into_bytes());
        assert_eq!(sent, wanted, "nothing but the name of the model is another");
        // The name needs no permission, what it means does.
        let text = call(&gateway, NARROW_KEY, "shady").refusal(403, "permission_error");
        assert!(text.contains("claude-hidden"), "{text}");
        // It is the team's name alone.
        call(&gateway, KEY, "opus").refusal(404, "not_found_error");
        let entries = entries_in("eu", gateway);
        let told: Vec<[&str; 3]> = entries
            .iter()
            .take(4)
            .map(|entry| ["model", "served_model", "marks"].map(|field| entry[field].as_str().unwrap_or("")))
            .collect();
        assert_eq!(
            told,
            [
                ["claude-pinned", "claude-pinned-20260101", "sent as claude-pinned-20260101"],
                ["claude-fast", "claude-pinned-20260101", "sent as claude-pinned-20260101"],
                ["opus", "claude-next", "sent as claude-next"],
                ["claude-next", "claude-next", ""],
            ]
        );
    });
}

#[test]
fn a_model_warns_before_its_end_and_is_refused_or_replaced_after_it() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = started(engine, &upstream);
        for _ in 0..3 {
            let soon = call(&gateway, KEY, "claude-soon");
            assert_eq!(soon.head.status, 200);
            assert_eq!(soon.header("x-tollgate-deprecated"), Some("2999-01-01; use claude-next"));
        }
        let moved = call(&gateway, KEY, "claude-moved");
        assert_eq!(moved.head.status, 200);
        assert_eq!(moved.header("x-tollgate-deprecated"), Some("2020-01-01; use claude-next"));
        let over = call(&gateway, KEY, "claude-over");
        let text = over.refusal(404, "not_found_error");
        assert_eq!(text, "the model \"claude-over\" is out of use since 2020-01-01; use \"claude-next\"");
        assert_eq!(over.header("x-should-retry"), Some("false"));
        assert_eq!(call(&gateway, KEY, "claude-next").header("x-tollgate-deprecated"), None);
        let bodies: Vec<_> = upstream.seen().into_iter().map(|seen| seen.body).collect();
        assert_eq!(bodies.len(), 5);
        assert_eq!(bodies[3], messages_body("claude-next", true).into_bytes());
        program::eventually("it is told", Duration::from_secs(20), || {
            gateway.log().all("a deprecated model is in use").len() >= 2
        });
        let told = gateway.log().all("a deprecated model is in use");
        let models: Vec<_> = told.iter().map(|line| line["model"].as_str().unwrap_or("")).collect();
        assert_eq!(models, ["claude-soon", "claude-moved"], "once for each");
        let entries = entries_in("eu", gateway);
        let marks: Vec<_> = entries.iter().map(|entry| entry["marks"].as_str().unwrap_or("")).collect();
        assert_eq!(marks[0], "deprecated 2999-01-01; use claude-next");
        assert_eq!(marks[3], "deprecated 2020-01-01; use claude-next; sent as claude-next");
        assert_eq!(entries[4]["decision"], "refused: deprecated 2020-01-01; use claude-next");
    });
}

#[test]
fn the_list_of_models_has_what_a_caller_could_call_now() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = started(engine, &upstream);
        let list = |key: &str| -> Vec<(String, String)> {
            let bearer = format!("Bearer {key}");
            let reply = once(gateway.addr(), &get("GET", "/v1/models", &[("Authorization", &bearer)]));
            let json = reply.json();
            let models = json["data"].as_array().expect("there is a list");
            let text = |model: &Value, field: &str| model[field].as_str().unwrap_or("").to_owned();
            models.iter().map(|model| (text(model, "id"), text(model, "display_name"))).collect()
        };
        let pair = |id: &str, name: &str| (id.to_owned(), name.to_owned());
        assert_eq!(
            list(NARROW_KEY),
            [
                pair("claude-fast", "claude-fast (claude-pinned)"),
                pair("opus", "opus (claude-next)"),
                pair("claude-pinned", "claude-pinned"),
                pair("claude-soon", "claude-soon (deprecated 2999-01-01; use claude-next)"),
                pair("claude-moved", "claude-moved (deprecated 2020-01-01; use claude-next)"),
                pair("claude-next", "claude-next"),
            ]
        );
        let all: Vec<String> = list(KEY).into_iter().map(|(id, _)| id).collect();
        assert!(
            all.contains(&"claude-away".to_owned()) && all.contains(&"claude-scripted".to_owned()),
            "{all:?}"
        );
        assert!(!all.contains(&"opus".to_owned()) && !all.contains(&"claude-over".to_owned()), "{all:?}");
        let bearer = format!("Bearer {NARROW_KEY}");
        let one = |id: &str| {
            let target = format!("/v1/models/{id}");
            once(gateway.addr(), &get("GET", &target, &[("Authorization", &bearer)])).head.status
        };
        assert_eq!((one("opus"), one("claude-away"), one("claude-over")), (200, 404, 404));
    });
}

#[test]
fn claude_code_takes_its_other_model_when_one_has_ended() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = started(engine, &upstream);
        let relay = Relay::start(gateway.addr());
        let home = Folder::new();
        let mut claude = crate::claude_code::claude(home.path(), &relay.url(), KEY);
        claude.args(["--model", "claude-over", "--fallback-model", "claude-next", "--", "hi"]);
        let outcome = program::run(&mut claude, DEADLINE);
        let result = crate::claude_code::result(&outcome.stdout);
        assert_eq!(result["is_error"], false, "{result}");
        assert_eq!(result["result"], "Hello", "{result}");
        let models: Vec<Value> = relay
            .seen()
            .iter()
            .filter(|seen| seen.path() == "/v1/messages")
            .filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok())
            .map(|body| body["model"].clone())
            .collect();
        assert_eq!(models.first(), Some(&json!("claude-over")), "{models:?}");
        assert_eq!(models.last(), Some(&json!("claude-next")), "{models:?}");
        assert!(models.len() <= 3, "{models:?}");
    });
}
