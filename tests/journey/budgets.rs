//! Money: budgets that hold, prices that are right, limits that say when to come back.

use std::net::TcpListener;
use std::sync::Barrier;
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Reply, get, mcp, messages, messages_body, once, post};
use crate::gateway::{Engine, Gateway, KEY, for_each_engine, tollgate};
use crate::ledger::{administrator, entries, entries_of};
use crate::mcp_caller::{self, Caller};
use crate::mcp_suite::ReferenceServer;
use crate::peer::Seen;
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{
    answers_status, closes_mid_stream, pauses_between_pieces, scripted_upstream, stalls_after_headers,
};
use crate::program;
use crate::sse;

/// An answer of the scripted upstream has 5 tokens, so that each costs three cents.
const THREE_CENTS: &str = "prices: { models: { \"claude-*\": { input: 0, output: 6000 } } }\n";

/// A request that may write `most` tokens.
fn ask(most: u32, stream: bool) -> Vec<u8> {
    let content = r#""messages":[{"role":"user","content":"hi"}]"#;
    let body = format!(r#"{{"model":"claude-any","max_tokens":{most},"stream":{stream},{content}}}"#);
    post("/v1/messages?beta=true", KEY, &[], body.as_bytes())
}

fn ask_together(gateway: &Gateway, count: usize) -> Vec<Reply> {
    let start = Barrier::new(count);
    thread::scope(|scope| {
        let asked: Vec<_> = (0..count)
            .map(|_| {
                scope.spawn(|| {
                    start.wait();
                    once(gateway.addr(), &ask(5, false))
                })
            })
            .collect();
        asked.into_iter().map(|asked| asked.join().expect("a caller does not panic")).collect()
    })
}

#[test]
fn two_hundred_at_once_spend_no_cent_more_than_a_strict_budget() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let budget = "budgets: [{ name: dime, usd: 0.10, per: day, window: rolling, mode: strict }]\n";
        let gateway = Gateway::with(engine, &upstream.url(), &format!("{THREE_CENTS}{budget}"));
        let replies = ask_together(&gateway, 200);
        let (good, refused): (Vec<_>, Vec<_>) = replies.iter().partition(|reply| reply.head.status == 200);
        assert_eq!(good.len(), 3);
        for reply in refused {
            let message = reply.refusal(429, "billing_error");
            assert!(message.contains("`dime`") && message.contains("$0.10"), "{message}");
            assert_eq!(reply.header("x-should-retry"), Some("false"));
            let after: u64 =
                reply.header("retry-after").and_then(|text| text.parse().ok()).expect("a number");
            assert!((1..=90_000).contains(&after), "{after}");
        }
        assert_eq!(upstream.seen().len(), 3);
        let entries = entries_of(gateway);
        assert_eq!(entries.len(), 200);
        let spent: u64 = entries.iter().filter_map(|entry| entry["cost_pico"].as_u64()).sum();
        assert_eq!(spent, 90_000_000_000);
    });
}

#[test]
fn what_was_spent_is_known_after_a_restart() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let budget = "budgets: [{ name: dime, usd: 0.10, per: month, window: rolling, mode: strict }]\n";
        let mut gateway = Gateway::with(engine, &upstream.url(), &format!("{THREE_CENTS}{budget}"));
        for expected in [200, 200, 200, 429, 429] {
            assert_eq!(once(gateway.addr(), &ask(5, true)).head.status, expected);
            gateway = gateway.killed_and_started();
        }
    });
}

#[test]
fn who_nears_a_limit_is_told_and_the_providers_own_word_is_not_passed_on() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let budget =
            "budgets: [{ name: dime, each: key, usd: 0.10, per: day, window: rolling, warn: [50] }]\n";
        let gateway = Gateway::with(engine, &upstream.url(), &format!("{THREE_CENTS}{budget}"));
        let used = |reply: &Reply| {
            let names = reply.head.headers.iter().map(|(name, _)| name.to_ascii_lowercase());
            let own = names.filter(|name| name.starts_with("anthropic-ratelimit-unified-")).count();
            (own > 0, reply.header("anthropic-ratelimit-unified-status").map(str::to_owned))
        };
        assert_eq!(once(gateway.addr(), &ask(1, true)).head.status, 200);
        once(gateway.addr(), &ask(1, true));
        let near = once(gateway.addr(), &ask(1, true));
        assert_eq!(near.head.status, 200);
        assert_eq!(used(&near), (true, Some("allowed_warning".to_owned())), "{:?}", near.head);
    });
}

#[test]
fn a_stream_that_outgrows_its_budget_is_ended_with_a_reason() {
    for_each_engine(|engine| {
        let whole =
            sse::text_message("claude-any", &["word after word after word after word after word "; 200]);
        // In ten pieces, so that there are ten moments to look at what it has cost so far.
        let events: Vec<&str> = whole.split_inclusive("\n\n").collect();
        let pieces = events.chunks(events.len().div_ceil(10));
        let pieces: Vec<_> = pieces.map(|piece| (Duration::from_millis(20), piece.concat())).collect();
        let upstream = pauses_between_pieces::start(&pieces);
        let budget = "budgets: [{ name: dime, usd: 0.10, per: day, window: rolling }]\n";
        // Ten cents are 1,667 tokens; the answer has some 2,900.
        let prices = "prices: { models: { \"claude-*\": { input: 0, output: 60 } } }\n";
        let gateway = Gateway::with(engine, &upstream.url(), &format!("{prices}{budget}"));
        let reply = once(gateway.addr(), &ask(5000, true));
        assert_eq!(reply.head.status, 200);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains("event: error") && text.contains("billing_error"), "{text}");
        assert!(!text.contains("message_stop"), "{text}");
        let refused = once(gateway.addr(), &ask(5000, true));
        refused.refusal(429, "billing_error");
        let entries = entries_of(gateway);
        assert_eq!(entries[0]["outcome"], "over_budget", "{entries:?}");
        let spent = entries[0]["cost_pico"].as_u64().expect("it costs");
        assert!((90_000_000_000..200_000_000_000).contains(&spent), "{spent}");
    });
}

#[test]
fn a_rate_limit_says_when_to_come_back() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let limit = "rate_limits: [{ name: slow, each: key, requests: 2 }]\n";
        let gateway = Gateway::with(engine, &upstream.url(), limit);
        for _ in 0..2 {
            assert_eq!(once(gateway.addr(), &ask(5, false)).head.status, 200);
        }
        let reply = once(gateway.addr(), &ask(5, false));
        let message = reply.refusal(429, "rate_limit_error");
        assert!(message.contains("slow"), "{message}");
        let after: u64 = reply.header("retry-after").and_then(|text| text.parse().ok()).expect("a number");
        assert!((1..=30).contains(&after), "{after}");
        // What costs nothing is not limited.
        let body = br#"{"model":"claude-any","messages":[{"role":"user","content":"hi"}]}"#;
        let counted = once(gateway.addr(), &post("/v1/messages/count_tokens", KEY, &[], body));
        assert_eq!(counted.head.status, 200);
    });
}

#[test]
fn spend_is_told_to_administrators_alone() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::with(engine, &upstream.url(), THREE_CENTS);
        let admin = administrator(&gateway);
        assert_eq!(once(gateway.addr(), &ask(5, false)).head.status, 200);
        let look = |key: &str, target: &str| once(gateway.addr(), &get("GET", target, &[("x-api-key", key)]));
        look(KEY, "/admin/spend?by=key").refusal(403, "permission_error");
        once(gateway.addr(), &post("/v1/messages", &admin, &[], b"{}")).refusal(403, "permission_error");
        program::eventually("the call is in the sums", Duration::from_secs(20), || {
            let reply = look(&admin, "/admin/spend?by=key,model&per=day");
            // Who looks without a pause is told to look less.
            assert!([200, 429].contains(&reply.head.status), "{reply:?}");
            String::from_utf8_lossy(&reply.body).contains("claude-any")
        });
        assert!(!entries(&gateway).is_empty());
    });
}

#[test]
fn what_models_are_offered_is_told_by_server_against_what_they_use() {
    let server = ReferenceServer::start("modern");
    for_each_engine(|engine| {
        let tool = Some(("mcp__tollgate__test_simple_text", json!({})));
        let upstream = scripted_upstream::start(scripted_upstream::Script { tool, text: &["done"] });
        let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", server.url());
        let gateway = Gateway::with(engine, &upstream.url(), &servers);
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                           "io.modelcontextprotocol/clientInfo": { "name": "journey", "version": "1" },
                           "io.modelcontextprotocol/clientCapabilities": {} });
        let list = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": { "_meta": meta } });
        let headers = [("MCP-Protocol-Version", "2026-07-28"), ("Mcp-Method", "tools/list")];
        let bash = json!({ "name": "Bash", "description": "x".repeat(400), "input_schema": {} });
        let ours = json!({ "name": "mcp__tollgate__test_simple_text", "input_schema": {} });
        let other = json!({ "name": "mcp__docs__find", "defer_loading": true, "input_schema": {} });
        let body = json!({ "model": "claude-any", "max_tokens": 32, "stream": true,
                           "messages": [{ "role": "user", "content": "hi" }], "tools": [bash, ours, other] });
        let call = || once(gateway.addr(), &post("/v1/messages", KEY, &[], body.to_string().as_bytes()));
        // At first nobody has asked for the catalog, and the name is all that there is to tell by.
        assert_eq!(call().head.status, 200);
        assert_eq!(once(gateway.addr(), &mcp(&list, &headers)).head.status, 200);
        assert_eq!(call().head.status, 200);
        // What is refused has offered nothing.
        let refused = body.to_string().replace("claude-any", "gpt-unknown");
        let refused = once(gateway.addr(), &post("/v1/messages", KEY, &[], refused.as_bytes()));
        assert_eq!(refused.head.status, 404);
        let mut gateway = gateway;
        gateway.signal("TERM");
        gateway.wait(Duration::from_secs(20));
        let told = |args: &[&str]| {
            let mut command = tollgate(gateway.folder().path());
            program::run(command.arg("spend").args(args), Duration::from_secs(60)).succeeded().stdout
        };
        let told_json: Value =
            serde_json::from_str(&told(&["--tools", "--json"])).expect("--json prints JSON");
        let tokens = |tool: &Value| (tool.to_string().len() as u64).div_ceil(4);
        let rows: Vec<_> = told_json["rows"].as_array().expect("there are rows").iter().collect();
        let row = |server: &str| {
            let row = rows.iter().find(|row| row["server"] == server).expect("it has a row");
            ["calls", "definitions", "offered", "deferred", "used"].map(|name| row[name].as_u64())
        };
        assert_eq!(row(""), [2, 2, 2 * tokens(&bash), 0, 0].map(Some), "{told_json}");
        assert_eq!(row("docs"), [2, 2, 2 * tokens(&other), 2 * tokens(&other), 0].map(Some), "{told_json}");
        assert_eq!(row("reference"), [1, 1, tokens(&ours), 0, tokens(&ours)].map(Some), "{told_json}");
        assert_eq!(row("tollgate"), [1, 1, tokens(&ours), 0, tokens(&ours)].map(Some), "{told_json}");
        assert_eq!(rows.len(), 4);
        let table = told(&["--tools", "--by", "server,team"]);
        assert!(table.contains("OFFERED") && table.contains("reference, "), "{table}");
        assert!(told(&["--tools", "--csv"]).starts_with("server,calls,definitions,offered"), "{table}");
    });
}

/// What one call costs, at six thousand dollars a million tokens of input, and nothing for others.
fn cost_of_one(engine: Engine, upstream: &str, call: impl FnOnce(&Gateway)) -> Value {
    let prices = "prices: { models: { \"claude-*\": { input: 6000, output: 0 } } }\n";
    let more = format!("{prices}timeouts: {{ first_byte_ms: 400 }}\n");
    let gateway = Gateway::with(engine, upstream, &more);
    call(&gateway);
    // Who has hung up is noticed a moment later.
    program::eventually("the call has ended", Duration::from_secs(5), || {
        !gateway.log().all("call").is_empty()
    });
    let entries = entries_of(gateway);
    assert_eq!(entries.len(), 1, "{entries:#?}");
    entries.into_iter().next().expect("there is one")
}

#[test]
fn what_went_out_whole_and_was_never_answered_costs_its_input() {
    let body = messages_body("claude-any", true);
    let input = body.len() as u64 / 4 * 6_000_000_000;
    let ask = |gateway: &Gateway| once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status;
    let charged = |entry: &Value| {
        assert_eq!((&entry["cost_pico"], &entry["priced"]), (&json!(input), &json!("estimate")), "{entry:#}");
    };
    for_each_engine(|engine| {
        let (silent, _left) = stalls_after_headers::before_headers();
        charged(&cost_of_one(engine, &silent.url(), |gateway| assert_eq!(ask(gateway), 504)));

        let closing = closes_mid_stream::before_the_answer();
        charged(&cost_of_one(engine, &closing.url(), |gateway| assert_eq!(ask(gateway), 502)));

        // An answer that breaks off before its first event.
        let (silent, _left) = stalls_after_headers::start("");
        charged(&cost_of_one(engine, &silent.url(), |gateway| {
            let mut caller = Client::connect(gateway.addr());
            caller.send(&messages(KEY, "claude-any", true));
            assert_eq!(caller.head().status, 200);
        }));
        let cut = closes_mid_stream::start(": \n");
        charged(&cost_of_one(engine, &cut.url(), |gateway| assert_eq!(ask(gateway), 200)));

        // A caller that hangs up while it waits for the head.
        let (silent, _left) = stalls_after_headers::before_headers();
        charged(&cost_of_one(engine, &silent.url(), |gateway| {
            let mut caller = Client::connect(gateway.addr());
            caller.send(&messages(KEY, "claude-any", true));
            program::eventually("the request is there", Duration::from_secs(5), || !silent.seen().is_empty());
        }));
    });
}

#[test]
fn what_was_refused_or_never_went_out_costs_nothing() {
    let ask = |gateway: &Gateway| once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status;
    for_each_engine(|engine| {
        let busy = answers_status::start(529, &[], "{}");
        let entry = cost_of_one(engine, &busy.url(), |gateway| assert_eq!(ask(gateway), 529));
        assert_eq!(entry["cost_pico"], 0, "{entry:#}");

        let nobody = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", nobody.local_addr().expect("it is bound"));
        drop(nobody);
        let entry = cost_of_one(engine, &url, |gateway| assert_eq!(ask(gateway), 502));
        assert_eq!(entry["cost_pico"], 0, "{entry:#}");

        // Overload that is told inside of an answer.
        let overloaded = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\
                          \"message\":\"busy\"}}\n\n";
        let busy = pauses_between_pieces::start(&[(Duration::ZERO, overloaded.to_owned())]);
        let entry = cost_of_one(engine, &busy.url(), |gateway| assert_eq!(ask(gateway), 200));
        assert_eq!(entry["cost_pico"], 0, "{entry:#}");

        // Sixteen megabytes find no room on their way to somebody who does not read.
        let deaf = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}", deaf.local_addr().expect("it is bound"));
        let body = messages_body("claude-any", true).replace("hi", &"hi".repeat(8 << 20));
        let request = post("/v1/messages", KEY, &[], body.as_bytes());
        let entry = cost_of_one(engine, &url, |gateway| {
            assert_eq!(once(gateway.addr(), &request).head.status, 504);
        });
        assert_eq!(entry["cost_pico"], 0, "{entry:#}");
    });
}

#[test]
fn a_strict_budget_reserves_the_searches_that_a_request_allows() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let budget = "budgets: [{ name: dime, usd: 0.15, per: day, window: rolling, mode: strict }]\n";
        let gateway = Gateway::with(engine, &upstream.url(), budget);
        let search = |more: &str| {
            let tool = format!(r#"{{"type":"web_search_20250305","name":"web_search"{more}}}"#);
            let body =
                messages_body("claude-any", false).replacen('{', &format!(r#"{{"tools":[{tool}],"#), 1);
            once(gateway.addr(), &post("/v1/messages", KEY, &[], body.as_bytes()))
        };
        // A cent each, beside some two cents for the tokens of a model that nobody knows the price of.
        assert_eq!(search(r#","max_uses":10"#).head.status, 200);
        search(r#","max_uses":15"#).refusal(429, "billing_error");
        search("").refusal(429, "billing_error");
        // None has been made, so nothing was charged.
        assert_eq!(search(r#","max_uses":10"#).head.status, 200);
    });
}

/// A model that is as good as free, and another that is not.
const TWO_PRICES: &str = "prices: { models: { claude-cheap: { input: 0, output: 0.06 }, \
                          claude-dear: { input: 0, output: 60 } } }\n";

/// A request to the cheap one that may write `most` tokens.
fn ask_cheap(most: u32, stream: bool, more: &str) -> Vec<u8> {
    let content = r#""messages":[{"role":"user","content":"hi"}]"#;
    let body = format!(r#"{{"model":"claude-cheap","max_tokens":{most},"stream":{stream},{content}{more}}}"#);
    post("/v1/messages?beta=true", KEY, &[], body.as_bytes())
}

const FALLBACK: &str = r#","fallbacks":[{"model":"claude-dear"}]"#;

#[test]
fn a_strict_budget_reserves_the_dearest_model_that_may_answer() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let budget = "budgets: [{ name: dime, usd: 0.10, per: day, window: rolling, mode: strict }]\n";
        let gateway = Gateway::with(engine, &upstream.url(), &format!("{TWO_PRICES}{budget}"));
        let ask = |more: &str| once(gateway.addr(), &ask_cheap(5_000, false, more));
        assert_eq!(ask("").head.status, 200);
        let advisor = r#","tools":[{"type":"advisor_20260301","name":"advisor","model":"claude-dear"}]"#;
        for more in [FALLBACK, advisor] {
            ask(more).refusal(429, "billing_error");
        }
        let same = r#","fallbacks":[{"model":"claude-cheap"}]"#;
        assert_eq!(ask(same).head.status, 200);
    });
}

#[test]
fn a_stream_of_a_model_that_was_fallen_back_to_is_reckoned_by_its_own_price() {
    for_each_engine(|engine| {
        let whole =
            sse::text_message("claude-dear", &["word after word after word after word after word "; 200]);
        let events: Vec<&str> = whole.split_inclusive("\n\n").collect();
        let pieces = events.chunks(events.len().div_ceil(10));
        let pieces: Vec<_> = pieces.map(|piece| (Duration::from_millis(20), piece.concat())).collect();
        let upstream = pauses_between_pieces::start(&pieces);
        let budget = "budgets: [{ name: dime, usd: 0.10, per: day, window: rolling }]\n";
        let gateway = Gateway::with(engine, &upstream.url(), &format!("{TWO_PRICES}{budget}"));
        let reply = once(gateway.addr(), &ask_cheap(5_000, true, FALLBACK));
        assert_eq!(reply.head.status, 200);
        let text = String::from_utf8_lossy(&reply.body).into_owned();
        assert!(text.contains("event: error") && text.contains("billing_error"), "{text}");
    });
}

#[test]
fn a_tool_costs_its_price_also_where_a_call_goes_on_after_a_question() {
    for_each_engine(|engine| {
        let server = speaks_mcp::start(Era::Modern, |_, _| Ok(None));
        let price = "prices: { tools: [{ server: s, usd: 0.03 }] }\n";
        let budget = "budgets: [{ name: dime, usd: 0.10, per: day, window: rolling, mode: strict }]\n";
        let servers = mcp_caller::one_server("s", &server.url(), Era::Modern, "");
        let gateway = mcp_caller::gateway(engine, &format!("{servers}{price}{budget}"));
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        caller.call("1", "echo", "{}").result();
        let goes_on = r#""name":"echo","arguments":{},"requestState":"made up""#;
        for id in ["2", "3"] {
            caller.ask(id, "tools/call", goes_on).result();
        }
        let error = caller.ask("4", "tools/call", goes_on).error();
        assert!(error.contains("`dime`"), "{error}");
        let called = |seen: &Seen| String::from_utf8_lossy(&seen.body).contains("tools/call");
        assert_eq!(server.seen().iter().filter(|seen| called(seen)).count(), 3);
        let entries = entries_of(gateway);
        let calls = entries.iter().filter(|entry| entry["kind"] == "tool_call");
        let costs: Vec<_> = calls.map(|call| call["cost_pico"].as_u64().expect("a number")).collect();
        assert_eq!(costs, [30_000_000_000, 30_000_000_000, 30_000_000_000, 0]);
    });
}
