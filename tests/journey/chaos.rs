//! Every dialect with every way to fail: the caller is told in Anthropic's form, no end is made up, what was
//! reserved is given back, and the ledger has what happened.

use std::collections::HashMap;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use serde_json::{Value, json};

use crate::broken_streams::last_error;
use crate::client::{Client, Reply, post};
use crate::features::{MONEY, reserved};
use crate::gateway::{Engine, Gateway, KEY};
use crate::ledger::{administrator, entries_of};
use crate::peer::breaks_dialects::{self, FAULTS, Fault, SECRET};
use crate::peer::scripted_turns::DONE;
use crate::program::eventually;
use crate::sse;
use crate::targets::{ALL, ANTHROPIC, BEGINNING, Target};

/// Much longer than loopback needs, much shorter than a test waits.
const TIMES: &str = "timeouts: { first_byte_ms: 1500, stream_stall_ms: 1500 }";

/// What a caller is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Told {
    /// A whole answer.
    Good,
    /// A refusal of ours, and when to ask again.
    Refused(u16, &'static str, Option<&'static str>),
    /// The beginning of a stream and an `error` event of this kind.
    Begun(&'static str),
    /// What the provider said, as it came.
    AsItCame(u16),
    /// A document that ends before it says that it does.
    CutShort,
}

/// What becomes of a fault. Anthropic's own words go on as they come, but for the end that is missing.
fn told(target: &Target, fault: Fault, stream: bool) -> Told {
    // Refusals of Vertex AI are Google's, so they are said anew; what it answers goes on as it comes.
    let words_pass = target.name == ANTHROPIC.name;
    let broken = Told::Refused(502, "api_error", None);
    match fault {
        Fault::LimitedUntil | Fault::Limited if words_pass => Told::AsItCame(429),
        Fault::LimitedUntil => Told::Refused(429, "rate_limit_error", Some("7")),
        Fault::Limited => Told::Refused(429, "rate_limit_error", None),
        Fault::Overloaded if words_pass => Told::AsItCame(529),
        Fault::Overloaded => Told::Refused(529, "overloaded_error", None),
        Fault::ResetBeforeHead => broken,
        Fault::ResetInBody | Fault::Cut if stream => Told::Begun("api_error"),
        Fault::Stalls if stream => Told::Begun("timeout_error"),
        Fault::ResetInBody | Fault::Cut | Fault::Stalls if target.native => Told::CutShort,
        Fault::ResetInBody | Fault::Cut => broken,
        Fault::Stalls | Fault::NoHead | Fault::HalfHead => Told::Refused(504, "timeout_error", None),
        // What nobody of ours reads has to be called what it is.
        Fault::WrongType if target.native && stream => broken,
        Fault::SlowHead | Fault::WrongType => Told::Good,
        Fault::BadGateway if words_pass => Told::AsItCame(502),
        Fault::BadGateway | Fault::Page | Fault::NotJson => broken,
    }
}

/// What the ledger has to say of it.
fn outcome(told: Told, fault: Fault) -> &'static str {
    match told {
        Told::Good | Told::AsItCame(_) => "done",
        Told::Refused(..) => "refused",
        Told::Begun(_) | Told::CutShort if fault == Fault::Stalls => "upstream_stalled",
        Told::Begun(_) | Told::CutShort => "upstream_cut",
    }
}

/// Whether the provider may have been at work, which is paid for; nothing where nobody can tell.
fn costs(told: Told, fault: Fault) -> Option<bool> {
    match (told, fault) {
        (_, Fault::NotJson) => None,
        (_, Fault::Page) => Some(false),
        (Told::AsItCame(429 | 529 | 502) | Told::Refused(429 | 529, ..), _) => Some(false),
        (_, Fault::BadGateway) => Some(false),
        _ => Some(true),
    }
}

fn ask(word: &str, stream: bool) -> Vec<u8> {
    let body = json!({ "model": "claude-far", "max_tokens": 32, "stream": stream,
                       "messages": [{ "role": "user", "content": word }] });
    post("/v1/messages?beta=true", KEY, &[], body.to_string().as_bytes())
}

/// One call: the reply with whatever came of its body, and whether that is whole.
fn call(gateway: &Gateway, (word, fault): (&str, Fault), stream: bool, go_on: &Sender<()>) -> (Reply, bool) {
    let mut client = Client::connect(gateway.addr());
    client.send(&ask(word, stream));
    if !stream && matches!(fault, Fault::ResetInBody | Fault::Stalls | Fault::Cut) {
        go_on.send(()).expect("the peer listens");
    }
    let head = client.head();
    let (mut body, mut begun) = (Vec::new(), false);
    loop {
        if stream && !begun && String::from_utf8_lossy(&body).contains(BEGINNING) {
            begun = true;
            go_on.send(()).expect("the peer listens");
        }
        match client.part() {
            Ok(Some(part)) => body.extend_from_slice(&part),
            end => return (Reply { head, body }, end.is_ok()),
        }
    }
}

#[track_caller]
fn assert_told(told: Told, (reply, whole): (&Reply, bool), stream: bool) {
    let text = reply.text();
    assert_eq!(whole, told != Told::CutShort, "{reply:?}");
    assert_eq!(text.contains("message_stop"), told == Told::Good && stream, "{text}");
    match told {
        Told::Good => {
            assert_eq!(reply.head.status, 200, "{reply:?}");
            assert!(text.contains(DONE) || text.contains("played."), "{text}");
            let end = sse::names(&reply.body).pop();
            assert_eq!(end.as_deref(), stream.then_some("message_stop"), "{text}");
        }
        Told::Refused(status, kind, after) => {
            reply.refusal(status, kind);
            assert_eq!(reply.header("retry-after"), after, "{reply:?}");
            assert!(!text.contains(SECRET), "a provider's own words may name accounts: {text}");
        }
        Told::Begun(kind) => {
            assert_eq!(reply.head.status, 200, "{reply:?}");
            assert_eq!(last_error(&reply.body)["error"]["type"], kind, "{text}");
        }
        Told::AsItCame(status) => {
            assert_eq!(reply.head.status, status, "{reply:?}");
            assert!(text.contains(SECRET), "{text}");
        }
        Told::CutShort => assert_eq!(reply.head.status, 200, "{reply:?}"),
    }
}

/// What was told, under the id of its call.
type Calls = HashMap<String, (Told, Fault, u16)>;

#[track_caller]
fn assert_recorded(name: &str, calls: &Calls, entries: &[Value]) {
    let entries: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "model_call").collect();
    assert_eq!(entries.len(), calls.len(), "{name}");
    for entry in entries {
        let (told, fault, status) = calls[entry["id"].as_str().expect("an entry has an id")];
        let what = format!("{name} {fault:?}: {entry:#}");
        assert_eq!((&entry["provider"], &entry["key"]), (&json!("far"), &json!("main")), "{what}");
        assert_eq!(entry["status"], status, "{what}");
        assert_eq!(entry["outcome"], outcome(told, fault), "{what}");
        if let Some(costs) = costs(told, fault) {
            assert_eq!(entry["cost_pico"].as_u64() > Some(0), costs, "{what}");
        }
        if matches!(told, Told::Refused(..)) || told == Told::Begun("api_error") {
            assert!(entry["error"].as_str().is_some_and(|text| !text.is_empty()), "{what}");
        }
        assert!(told == Told::Good || entry["stop_reason"].is_null(), "{what}");
    }
}

#[test]
fn every_fault_of_every_dialect_is_told_and_settled() {
    for target in ALL {
        let (go_on, told_to) = channel();
        let upstream = breaks_dialects::start(target, told_to);
        let gateway = target.gateway(Engine::Epoll, &upstream, "", &format!("{MONEY}\n{TIMES}"));
        let admin = administrator(&gateway);
        let mut calls = Calls::new();
        for (word, fault) in FAULTS {
            for stream in [true, false] {
                eprintln!("{} {fault:?}, stream: {stream}", target.name);
                let (reply, whole) = call(&gateway, (word, *fault), stream, &go_on);
                let told = told(target, *fault, stream);
                assert_told(told, (&reply, whole), stream);
                let id = reply.header("x-tollgate-request-id").or_else(|| reply.header("request-id"));
                let id = id.expect("each answer has an id").to_owned();
                calls.insert(id, (told, *fault, reply.head.status));
                eventually("what was reserved is given back", Duration::from_secs(60), || {
                    reserved(&gateway, &admin) == Some(0.0)
                });
            }
        }
        assert_recorded(target.name, &calls, &entries_of(gateway));
    }
}
