//! Where calls may run: refused before a byte leaves, failover within the region, answers from elsewhere.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{messages, messages_body, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::ledger::entries_in;
use crate::mcp_caller::Caller;
use crate::peer::recording_relay::Relay;
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{After, Peer, scripted_upstream};
use crate::program;

/// One run of Claude Code takes 1 to 3 s on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// An address at which nobody listens.
const NOBODY: &str = "http://127.0.0.1:9";

/// A gateway whose key `narrow` is of a team that stays in the EU. Providers: `up`, and those of `more`, a
/// name, an address and a region each; `targets` in their order.
fn in_eu(
    engine: Engine,
    up: (&str, &str),
    more: &[(&str, &str, &str)],
    targets: &str,
    rest: &str,
) -> Gateway {
    let providers: String = more
        .iter()
        .map(|(name, url, region)| {
            format!("  {name}: {{ dialect: anthropic, base_url: \"{url}\", {region} }}\n")
        })
        .collect();
    let (url, region) = up;
    let key = format!("key: {}", crate::gateway::UPSTREAM_KEY);
    let text = config(engine, url, rest)
        .replace(&key, &format!("{key}, {region}"))
        .replace("models:\n", &format!("{providers}models:\n"))
        .replace("[up]", targets)
        .replace("{ models: [\"claude-allowed*\"] }", "{ regions: [eu, \"eu-*\"] }");
    assert!(text.contains("regions: [eu, \"eu-*\"]") && text.contains(region), "{text}");
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text);
    Gateway::run(&mut tollgate(folder.path()), folder)
}

fn ledger_search(gateway: &Gateway, words: &str) -> Vec<Value> {
    let mut command = tollgate(gateway.folder().path());
    let told = program::run(command.args(["ledger", "search", words, "--json"]), Duration::from_secs(60));
    let told: Value = serde_json::from_str(&told.succeeded().stdout).expect("it is JSON");
    told["entries"].as_array().expect("there is a list").clone()
}

fn count_tokens(key: &str, model: &str) -> Vec<u8> {
    post("/v1/messages/count_tokens", key, &[], messages_body(model, false).as_bytes())
}

#[test]
fn a_call_that_has_no_place_is_refused_before_a_byte_leaves() {
    for_each_engine(|engine| {
        let (us, unknown) = (scripted_upstream::plain(), scripted_upstream::plain());
        let url = unknown.url();
        let more = [("lost", &*url, "auth: bearer"), ("wide", &*url, "region: [eu, us]")];
        let gateway = in_eu(engine, (&us.url(), "region: us"), &more, "[up, lost, wide]", "");
        let reply = once(gateway.addr(), &messages(NARROW_KEY, "claude-any", true));
        let text = reply.refusal(451, "permission_error");
        for part in [
            "team narrow: regions eu, eu-*",
            "provider up: us; provider lost: region unknown; provider wide: eu, us",
        ] {
            assert!(text.contains(part), "{text} has no {part}");
        }
        assert_eq!(reply.header("x-should-retry"), Some("false"));
        let counted = once(gateway.addr(), &count_tokens(NARROW_KEY, "claude-any"));
        counted.refusal(451, "permission_error");
        assert!(us.seen().is_empty() && unknown.seen().is_empty(), "nothing has left");
        // Everybody else goes where they went before.
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        let entries = entries_in("eu", gateway);
        for (place, kind) in [(0, "model_call"), (1, "count_tokens")] {
            let entry = &entries[place];
            assert_eq!((&entry["kind"], &entry["status"]), (&json!(kind), &json!(451)), "{entry:#}");
            assert_eq!(entry["decision"], "refused: team narrow: regions eu, eu-*", "{entry:#}");
        }
        assert_eq!(entries[2]["region"], "us", "{:#}", entries[2]);
    });
}

#[test]
fn failover_stays_inside_the_region() {
    for_each_engine(|engine| {
        let us = scripted_upstream::plain();
        let url = us.url();
        let more = [("away", &*url, "region: us")];
        let gateway = in_eu(engine, (NOBODY, "region: eu"), &more, "[away, up, away]", "");
        let reply = once(gateway.addr(), &messages(NARROW_KEY, "claude-any", true));
        let text = reply.refusal(502, "api_error");
        assert!(text.contains("provider up"), "{text}");
        assert_eq!(once(gateway.addr(), &count_tokens(NARROW_KEY, "claude-any")).head.status, 502);
        assert!(us.seen().is_empty(), "the only other target is outside");
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
        assert_eq!(us.seen().len(), 1);
    });
}

#[test]
fn the_row_of_the_ledger_says_where_it_ran_and_by_which_rule() {
    for_each_engine(|engine| {
        let (eu, us) = (scripted_upstream::plain(), scripted_upstream::plain());
        let (eu_url, us_url) = (eu.url(), us.url());
        let more = [("here", eu_url.as_str(), "region: eu-central-1, tenancy: dedicated")];
        let gateway = in_eu(engine, (&us_url, "region: us"), &more, "[up, here]", "");
        assert_eq!(once(gateway.addr(), &messages(NARROW_KEY, "claude-any", true)).head.status, 200);
        assert_eq!(once(gateway.addr(), &count_tokens(NARROW_KEY, "claude-any")).head.status, 200);
        assert_eq!((eu.seen().len(), us.seen().len()), (2, 0));
        let entries = entries_in("eu", gateway);
        for entry in &entries {
            assert_eq!((&entry["region"], &entry["provider"]), (&json!("eu-central-1"), &json!("here")));
            let decision = entry["decision"].as_str().expect("a text");
            assert!(decision.contains("team narrow: regions eu, eu-*"), "{decision}");
        }
        assert_eq!(entries.len(), 2, "{entries:#?}");
    });
}

/// An upstream that says of each answer that it was made in `geo`, and by `model` where one is given.
fn says(geo: &'static str, model: Option<&'static str>) -> Peer {
    Peer::start(move |seen, exchange| {
        let body: Value = serde_json::from_slice(&seen.body).unwrap_or_default();
        let model = model.or_else(|| body["model"].as_str()).unwrap_or_default();
        let usage = json!({ "input_tokens": 11, "output_tokens": 5, "inference_geo": geo });
        let reply = json!({ "id": "msg_01", "type": "message", "role": "assistant", "model": model,
                            "content": [{ "type": "text", "text": "hello" }], "stop_reason": "end_turn",
                            "stop_sequence": null, "usage": usage });
        exchange.answer(200, &[("Content-Type", "application/json")], reply.to_string().as_bytes())?;
        Ok(After::KeepOpen)
    })
}

#[test]
fn an_answer_from_elsewhere_is_an_entry_that_people_find() {
    for_each_engine(|engine| {
        for (geo, region, alarms) in [
            ("us", "eu (said us)", 1),
            ("global", "eu (said global)", 1),
            ("eu", "eu", 0),
            ("eu-west-1", "eu", 0),
            ("not_available", "eu", 0),
        ] {
            let upstream = says(geo, None);
            let gateway = in_eu(engine, (&upstream.url(), "region: eu"), &[], "[up]", "");
            let reply = once(gateway.addr(), &messages(NARROW_KEY, "claude-any", false));
            assert_eq!(reply.head.status, 200, "the answer is the caller's all the same");
            let (mut call, mut found) = (Vec::new(), Vec::new());
            program::eventually("both are in the index", Duration::from_secs(20), || {
                call = ledger_search(&gateway, "kind:model_call");
                found = ledger_search(&gateway, "kind:alarm");
                call.len() == 1 && found.len() >= alarms && gateway.log().all("alarm").len() >= alarms
            });
            let call = &call[0];
            assert_eq!(call["region"], region, "{call:#}");
            assert_eq!(
                (found.len(), gateway.log().all("alarm").len()),
                (alarms, alarms),
                "{geo}: {found:#?}"
            );
            for alarm in found {
                for (field, value) in
                    [("key", "narrow"), ("team", "narrow"), ("model", "claude-any"), ("provider", "up")]
                {
                    assert_eq!(alarm[field], value, "{alarm:#}");
                }
                assert_eq!(alarm["region"], region, "{alarm:#}");
                let text = alarm["error"].as_str().expect("a text");
                let call = call["id"].as_str().expect("a text");
                assert!(text.contains(&format!("in {geo} (call {call})")), "{text} {call}");
            }
        }
    });
}

#[test]
fn what_a_request_asks_for_passes_untouched_or_not_at_all() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = in_eu(engine, (&upstream.url(), "region: eu"), &[], "[up]", "");
        let ask = |key: &str, geo: &str| {
            let body = format!(
                "{{\"model\":\"claude-any\",\"max_tokens\":16,\"inference_geo\":{geo},\
                 \"messages\":[{{\"role\":\"user\",\"content\":\"hi\"}}]}}"
            );
            let head = format!(
                "POST /v1/messages HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\
                 Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
                body.len()
            );
            (once(gateway.addr(), (head + &body).as_bytes()), body)
        };
        for geo in ["\"us\"", "\"global\"", "\"u\\u0073\"", "{}"] {
            let text = ask(NARROW_KEY, geo).0.refusal(451, "permission_error");
            assert!(text.contains("inference_geo") && text.contains("team narrow: regions eu"), "{text}");
        }
        assert!(upstream.seen().is_empty());
        for (key, geo) in [(NARROW_KEY, "\"eu\""), (NARROW_KEY, "null"), (KEY, "\"us\"")] {
            let (reply, body) = ask(key, geo);
            assert_eq!(reply.head.status, 200, "{geo}");
            assert_eq!(upstream.seen().last().expect("it came").body, body.into_bytes());
        }
    });
}

#[test]
fn servers_outside_are_not_shown_and_not_called() {
    for_each_engine(|engine| {
        for era in [Era::Modern, Era::Legacy] {
            let (here, there) = (named(era, "near"), named(era, "far"));
            let name = era.name();
            let servers = format!(
                "mcp_servers:\n  here: {{ url: \"{}/mcp\", era: {name}, region: eu-west-1 }}\n  \
                 there: {{ url: \"{}/mcp\", era: {name}, region: us }}\n",
                here.url(),
                there.url()
            );
            let gateway = in_eu(engine, (NOBODY, "region: eu"), &[], "[up]", &servers);
            for caller_era in [Era::Modern, Era::Legacy] {
                let mut all = Caller::new(&gateway, caller_era, "/mcp");
                assert_eq!(all.tools(), ["far", "near"]);
                let mut bound = Caller::with(&gateway, caller_era, "/mcp", NARROW_KEY, "{}");
                assert_eq!(bound.tools(), ["near"]);
                assert!(bound.call("1", "near", "{}").json()["error"].is_null());
                let error = bound.call("2", "far", "{}").error();
                for part in ["team narrow: regions eu, eu-*", "server there: us"] {
                    assert!(error.contains(part), "{error} has no {part}");
                }
                let mut outside = all.twin();
                NARROW_KEY.clone_into(&mut outside.key);
                "/mcp/there".clone_into(&mut outside.path);
                outside.session = None;
                let method = if caller_era == Era::Modern { "tools/list" } else { "initialize" };
                let error = outside.ask("3", method, "").error();
                assert!(error.contains("server there: us"), "{error}");
            }
            let calls = there.seen();
            let calls = calls.iter().filter(|seen| crate::client::find(&seen.body, b"tools/call").is_some());
            assert_eq!(calls.count(), 0, "nothing was called outside");
            let entries = entries_in("eu", gateway);
            let calls: Vec<_> = entries.iter().filter(|entry| entry["tool"] == "near").collect();
            assert_eq!(calls.len(), 2, "{entries:#?}");
            assert!(calls.iter().all(|call| call["region"] == "eu-west-1"), "{calls:#?}");
        }
    });
}

/// A server of one tool.
fn named(era: Era, tool: &'static str) -> Peer {
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &speaks_mcp::tools(&[tool])),
        _ => Ok(None),
    })
}

#[test]
fn claude_code_shows_the_rule_after_one_request() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = in_eu(engine, (&upstream.url(), "region: us"), &[], "[up]", "");
        let relay = Relay::start(gateway.addr());
        let home = Folder::new();
        let mut claude = crate::claude_code::claude(home.path(), &relay.url(), NARROW_KEY);
        let outcome = program::run(claude.args(["--", "hi"]), DEADLINE);
        let result = crate::claude_code::result(&outcome.stdout);
        assert_eq!(result["is_error"], true, "{result}");
        let shown = result["result"].as_str().unwrap_or_default();
        assert!(shown.contains("team narrow: regions eu"), "{result}");
        assert!(shown.contains("provider up: us"), "{result}");
        let asked = relay.seen().iter().filter(|seen| seen.path() == "/v1/messages").count();
        assert_eq!(asked, 1, "a 451 is final");
        assert!(upstream.seen_at("/v1/messages").is_empty());
    });
}

#[test]
fn another_model_than_the_one_asked_for_is_marked_and_another_family_is_an_alarm() {
    for_each_engine(|engine| {
        for (asked, served, marks, alarms) in [
            ("claude-sonnet-5", "claude-sonnet-5-20260801", "", 0),
            ("claude-sonnet-5", "claude-sonnet-6", "served claude-sonnet-6 for claude-sonnet-5", 0),
            ("claude-sonnet-5", "claude-haiku-5", "served claude-haiku-5 for claude-sonnet-5", 1),
        ] {
            let upstream = says("not_available", Some(served));
            let gateway = Gateway::start(engine, &upstream.url());
            assert_eq!(once(gateway.addr(), &messages(KEY, asked, false)).head.status, 200);
            let entries = entries_in("eu", gateway);
            let kind = |kind: &str| entries.iter().filter(|entry| entry["kind"] == kind).collect::<Vec<_>>();
            let (calls, found) = (kind("model_call"), kind("alarm"));
            assert_eq!((calls.len(), found.len()), (1, alarms), "{entries:#?}");
            assert_eq!((&calls[0]["model"], &calls[0]["served_model"]), (&json!(asked), &json!(served)));
            assert_eq!(calls[0]["marks"].as_str().unwrap_or_default(), marks, "{:#}", calls[0]);
        }
    });
}
