//! Results that are told again without asking the server, and calls that share one under way.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Engine, NARROW_KEY, config, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::peer::Peer;
use crate::peer::speaks_mcp::{self, Era, event};
use crate::program::eventually;

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];
const SOON: Duration = Duration::from_secs(20);

/// What the config says of the server, beside its address.
const KEPT: &str = ", trusted: true, cache: [{ tools: [slow, failing, \"get_*\", set], ttl_s: 600 }, \
                    { tools: [public_*], ttl_s: 600, shared: true }]";

/// Lets `slow` end.
type Gate = Arc<(Mutex<bool>, Condvar)>;

fn open(gate: &Gate) {
    *gate.0.lock().expect("no holder panics") = true;
    gate.1.notify_all();
}

/// A server that counts its calls and says the number of each.
fn counting(era: Era) -> (Peer, Arc<AtomicUsize>, Gate) {
    let tool = |name: &str, hints: Value| {
        let schema = json!({ "type": "object" });
        json!({ "name": name, "description": name, "inputSchema": schema, "annotations": hints })
    };
    let reads = json!({ "readOnlyHint": true });
    let all = json!({ "tools": [
        tool("failing", reads.clone()), tool("get_thing", reads.clone()), tool("other", reads.clone()),
        tool("public_thing", reads.clone()), tool("slow", reads),
        tool("set", json!({ "readOnlyHint": false, "idempotentHint": true })),
    ], "resultType": "complete", "ttlMs": 600_000, "cacheScope": "private" });
    let (calls, gate): (_, Gate) = (Arc::new(AtomicUsize::new(0)), Gate::default());
    let (counter, held) = (Arc::clone(&calls), Arc::clone(&gate));
    let server = speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &all.to_string()),
        "tools/call" => {
            let number = counter.fetch_add(1, Ordering::SeqCst) + 1;
            let name = asked.message["params"]["name"].as_str().unwrap_or_default();
            let result = json!({
                "content": [{ "type": "text", "text": format!("{name} {number}") }],
                "isError": name == "failing", "resultType": "complete",
            });
            if name != "slow" {
                return asked.answer(exchange, &result.to_string());
            }
            exchange.start_events()?;
            let token = &asked.message["params"]["_meta"]["progressToken"];
            let mut released = held.0.lock().expect("no holder panics");
            let mut far = 0;
            while !*released {
                far += 1;
                let params = json!({ "progressToken": token, "progress": far });
                let told = json!({ "jsonrpc": "2.0", "method": "notifications/progress", "params": params });
                event(exchange, &told.to_string())?;
                released = held.1.wait_timeout(released, Duration::from_millis(20)).expect("as above").0;
            }
            asked.finish(exchange, &result.to_string())
        }
        _ => Ok(None),
    });
    (server, calls, gate)
}

/// The text of a result.
#[track_caller]
fn said(caller: &mut Caller, id: &str, tool: &str, arguments: &str) -> String {
    let answer = caller.call(id, tool, arguments);
    assert_eq!(answer.json()["id"].to_string(), id);
    answer.result()["content"][0]["text"].as_str().expect("it is text").to_owned()
}

#[test]
fn what_only_looks_is_asked_once_until_something_is_changed() {
    for_each_engine(|engine| {
        for (server_era, era) in BOTH.into_iter().flat_map(|one| BOTH.map(|other| (one, other))) {
            let (server, calls, _gate) = counting(server_era);
            let lines = one_server("s", &server.url(), server_era, KEPT);
            let lines = format!("{lines}prices: {{ tools: [{{ server: s, usd: 0.03 }}] }}\n");
            let gateway = gateway(engine, &lines);
            let mut ann = Caller::new(&gateway, era, "/mcp");
            let mut bob = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
            assert_eq!(said(&mut ann, "1", "get_thing", r#"{"a":1,"b":2}"#), "get_thing 1");
            assert_eq!(said(&mut ann, "2", "get_thing", r#"{ "b": 2, "a": 1 }"#), "get_thing 1");
            assert_eq!(said(&mut ann, "3", "get_thing", r#"{"a":1}"#), "get_thing 2");
            assert_eq!(said(&mut bob, "4", "get_thing", r#"{"a":1,"b":2}"#), "get_thing 3", "another's");
            // What nothing is said of, and what has failed, is asked each time.
            assert_eq!(said(&mut ann, "5", "other", "{}"), "other 4");
            assert_eq!(said(&mut ann, "6", "other", "{}"), "other 5");
            assert_eq!(said(&mut ann, "7", "failing", "{}"), "failing 6");
            assert_eq!(said(&mut ann, "8", "failing", "{}"), "failing 7");
            assert_eq!(said(&mut ann, "9", "public_thing", "{}"), "public_thing 8");
            assert_eq!(said(&mut bob, "10", "public_thing", "{}"), "public_thing 8", "shared by the config");
            // A change is made each time, and what its caller has read before is forgotten.
            assert_eq!(said(&mut ann, "11", "set", "{}"), "set 9");
            assert_eq!(said(&mut ann, "12", "set", "{}"), "set 10");
            assert_eq!(said(&mut ann, "13", "get_thing", r#"{"a":1}"#), "get_thing 11");
            assert_eq!(said(&mut bob, "14", "get_thing", r#"{"a":1,"b":2}"#), "get_thing 3");
            assert_eq!(said(&mut bob, "15", "public_thing", "{}"), "public_thing 12");
            assert_eq!(calls.load(Ordering::SeqCst), 12);

            let entries = entries_of(gateway);
            let made: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
            assert_eq!(made.len(), 15, "every call has its entry: {made:#?}");
            let hits: Vec<_> = made.iter().filter(|entry| entry["marks"] == "cached hit").collect();
            assert_eq!(hits.len(), 3, "{made:#?}");
            for entry in &made {
                let hit = entry["marks"] == "cached hit";
                assert_eq!(entry["cost_pico"].as_u64().unwrap_or_default() == 0, hit, "{entry}");
                assert!(entry["decision"].as_str().is_some_and(|text| !text.is_empty()), "{entry}");
            }
        }
    });
}

#[test]
fn the_same_asked_at_the_same_time_is_asked_once() {
    for_each_engine(|engine| {
        for (server_era, era) in BOTH.into_iter().flat_map(|one| BOTH.map(|other| (one, other))) {
            let (server, calls, gate) = counting(server_era);
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, KEPT));
            let mut first = Caller::new(&gateway, era, "/mcp");
            let mut callers = vec![first.twin(), first.twin(), first.twin()];
            let ask = |caller: &mut Caller, id: usize| {
                let token = format!("\"progressToken\":\"mine-{id}\"");
                let request = caller.call_request(&id.to_string(), "slow", r#"{"a":1}"#, &token);
                caller.client().send(&request);
            };
            ask(&mut first, 1);
            assert_eq!(first.client().head().status, 200);
            first.client().read_until("\"mine-1\"");
            for (place, caller) in callers.iter_mut().enumerate() {
                ask(caller, place + 2);
            }
            // Whoever hears how far it is, under its own token, waits with the call of the first.
            for (place, caller) in callers.iter_mut().enumerate() {
                assert_eq!(caller.client().head().status, 200);
                caller.client().read_until(&format!("\"mine-{}\"", place + 2));
            }
            assert_eq!(calls.load(Ordering::SeqCst), 1);
            open(&gate);
            callers.insert(0, first);
            for (place, caller) in callers.iter_mut().enumerate() {
                let last = caller.client().read_until("slow 1");
                let id = format!("\"id\":{}", place + 1);
                assert!(String::from_utf8_lossy(&last).contains(&id), "{}", String::from_utf8_lossy(&last));
            }
            assert_eq!(calls.load(Ordering::SeqCst), 1);
            drop(callers);
            let entries = entries_of(gateway);
            let joined = entries.iter().filter(|entry| entry["marks"] == "cached joined").count();
            assert_eq!(joined, 3, "{entries:#?}");
        }
    });
}

#[test]
fn when_the_first_leaves_one_of_the_others_makes_the_call() {
    for (server_era, era) in [(Era::Modern, Era::Modern), (Era::Legacy, Era::Modern)] {
        let (server, calls, gate) = counting(server_era);
        let gateway = gateway(Engine::Epoll, &one_server("s", &server.url(), server_era, KEPT));
        let mut first = Caller::new(&gateway, era, "/mcp");
        let mut others = [first.twin(), first.twin()];
        let request = |caller: &Caller, id: usize| {
            let token = format!("\"progressToken\":\"mine-{id}\"");
            caller.call_request(&id.to_string(), "slow", "{}", &token)
        };
        let asked = request(&first, 1);
        first.client().send(&asked);
        first.client().head();
        first.client().read_until("\"mine-1\"");
        for (place, caller) in others.iter_mut().enumerate() {
            let asked = request(caller, place + 2);
            caller.client().send(&asked);
            caller.client().head();
            caller.client().read_until(&format!("\"mine-{}\"", place + 2));
        }
        drop(first);
        eventually("another makes the call", SOON, || calls.load(Ordering::SeqCst) == 2);
        open(&gate);
        for caller in &mut others {
            caller.client().read_until("slow 2");
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2);
    }
}

#[test]
fn other_rules_leave_nothing_behind() {
    let (server, calls, _gate) = counting(Era::Modern);
    let lines = one_server("s", &server.url(), Era::Modern, KEPT);
    let gateway = gateway(Engine::Epoll, &lines);
    let mut ann = Caller::new(&gateway, Era::Modern, "/mcp");
    assert_eq!(said(&mut ann, "1", "get_thing", "{}"), "get_thing 1");
    assert_eq!(said(&mut ann, "2", "get_thing", "{}"), "get_thing 1");
    let denied = config(Engine::Epoll, "http://127.0.0.1:9", &lines)
        .replace("narrow: { models", "narrow: { servers: { s: [other] }, models");
    gateway.folder().write("tollgate.yaml", &denied);
    eventually("the config is read again", SOON, || gateway.log().find("reloaded").is_some());
    assert_eq!(said(&mut ann, "3", "get_thing", "{}"), "get_thing 2");
    assert_eq!(said(&mut ann, "4", "public_thing", "{}"), "public_thing 3");
    assert_eq!(calls.load(Ordering::SeqCst), 3);
    let mut bob = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    assert!(bob.call("9", "public_thing", "{}").error().contains("public_thing"), "rules come first");
}
