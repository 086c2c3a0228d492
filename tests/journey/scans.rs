//! What servers say beside their results, looked through like these: errors, notifications, questions.

use std::io;
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Engine, KEY, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::peer::speaks_mcp::{self, Asked, Era, document, event};
use crate::peer::{After, Exchange, Peer};

const SECRET: &str = "ghp_aB3dE5gH7jK9mN1pQ3sT5vW7yZ9bC1dE3fG5";

/// Written with an escape, which is JSON.
const MAIL: &str = "of \\u0061da@lovelace.dev";

/// Much longer than anything here takes on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);

const PAIRS: [(Era, Era); 4] = [
    (Era::Modern, Era::Modern),
    (Era::Modern, Era::Legacy),
    (Era::Legacy, Era::Modern),
    (Era::Legacy, Era::Legacy),
];

const ACTS: [&str; 4] = ["off", "count", "mask", "refuse"];

fn notification(method: &str, params: &str) -> String {
    format!("{{\"jsonrpc\":\"2.0\",\"method\":\"notifications/{method}\",\"params\":{{{params}}}}}")
}

/// Says something about a person and a secret, in the way that the call wants.
fn says(asked: &Asked<'_>, exchange: &mut Exchange) -> io::Result<Option<After>> {
    match (asked.method.as_str(), asked.argument("do")) {
        ("tools/call", "notify") => {
            let token = &asked.message["params"]["_meta"]["progressToken"];
            let progress = |step: u32, message: &str| {
                let params =
                    format!("\"progressToken\":{token},\"progress\":{step},\"message\":\"{message}\"");
                notification("progress", &params)
            };
            exchange.start_events()?;
            for step in 1..=3 {
                event(exchange, &progress(step, MAIL))?;
            }
            let log = format!("\"level\":\"error\",\"data\":{{\"id\":\"{SECRET}\"}}");
            event(exchange, &notification("message", &log))?;
            event(exchange, &progress(4, "fine"))?;
            asked.finish(exchange, "{\"content\":[],\"resultType\":\"complete\"}")
        }
        ("tools/call", "fail") => {
            let error =
                format!("{{\"code\":-31999,\"message\":\"{MAIL}\",\"data\":{{\"id\":\"{SECRET}\"}}}}");
            let id = asked.id();
            document(exchange, 200, &format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"error\":{error}}}"))
        }
        ("tools/call", "break") => document(exchange, 500, "it broke for ada@lovelace.dev"),
        _ => Ok(None),
    }
}

/// The marks of the only call that a gateway has served.
fn marks(gateway: crate::gateway::Gateway) -> String {
    let entries = entries_of(gateway);
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["method"] == "tools/call").collect();
    assert_eq!(calls.len(), 1, "{entries:?}");
    calls[0]["marks"].as_str().unwrap_or_default().to_owned()
}

/// Calls the tool once for every act and every pair of eras: what comes back, and the marks of the ledger.
fn each(engine: Engine, what: &str, check: impl Fn(&str, &[Value], &str)) {
    for (era, caller_era) in PAIRS {
        for act in ACTS {
            let server = speaks_mcp::start(era, says);
            let scan = format!("scan: {{ requests: count, arguments: off, results: {act} }}\n");
            let gateway = gateway(engine, &(one_server("s", &server.url(), era, "") + &scan));
            let mut caller = Caller::new(&gateway, caller_era, "/mcp");
            let meta = "\"progressToken\":\"mine\",\"io.modelcontextprotocol/logLevel\":\"debug\"";
            let request = caller.call_request("1", "echo", &format!("{{\"do\":\"{what}\"}}"), meta);
            let answer = caller.exchange(&request);
            let mut all = answer.before();
            all.push(answer.json());
            eprintln!("{era:?} for {caller_era:?}, {act}: {all:?}");
            let whole = String::from_utf8_lossy(&answer.messages.concat()).into_owned();
            let clean = !whole.contains("lovelace") && !whole.contains("ghp_");
            assert_eq!(clean, ["mask", "refuse"].contains(&act), "{whole}");
            check(act, &all, &marks(gateway));
        }
    }
}

#[test]
fn notifications_are_looked_through() {
    for_each_engine(|engine| {
        each(engine, "notify", |act, all, marks| {
            let (last, said) = all.split_last().expect("a response");
            assert!(last["error"].is_null() && last["result"]["isError"].is_null(), "{last}");
            let texts: Vec<&Value> = said
                .iter()
                .map(|one| {
                    if one["params"]["data"].is_null() {
                        &one["params"]["message"]
                    } else {
                        &one["params"]["data"]["id"]
                    }
                })
                .collect();
            let mail = if act == "mask" { "of [masked:mail]" } else { "of ada@lovelace.dev" };
            let secret = if act == "mask" { "[masked:secret]" } else { SECRET };
            let expected = [mail, mail, mail, secret, "fine"];
            let expected = if act == "refuse" { expected.get(4..).expect("five") } else { &expected };
            assert_eq!(texts, expected, "{act}");
            let progress = said.iter().filter(|one| one["method"] == "notifications/progress");
            assert!(
                progress.clone().count() > 0
                    && progress.clone().all(|one| one["params"]["progressToken"] == "mine")
            );
            let told = |verb: &str| {
                format!("{verb} mail 1 in a notification; {verb} secret 1, mail 2 in 3 more notifications")
            };
            let expected = match act {
                "off" => String::new(),
                "count" => told("found"),
                "mask" => told("masked"),
                _ => told("refused"),
            };
            assert_eq!(marks, expected);
        });
    });
}

#[test]
fn errors_are_looked_through() {
    for_each_engine(|engine| {
        each(engine, "fail", |act, all, marks| {
            let error = &all[0]["error"];
            let expected = match act {
                "off" => "",
                "count" => "found secret 1, mail 1 in the error",
                "mask" => "masked secret 1, mail 1 in the error",
                _ => "refused secret 1, mail 1 in the error",
            };
            assert_eq!(marks, expected);
            if act == "refuse" {
                let text = error["message"].as_str().expect("a text");
                assert!(text.contains("the error was held back") && text.contains("mail 1"), "{text}");
                assert!(error["code"] == -31013 && error["data"].is_null(), "{error}");
                return;
            }
            let masked = act == "mask";
            let mail = if masked { "of [masked:mail]" } else { "of ada@lovelace.dev" };
            let secret = if masked { "[masked:secret]" } else { SECRET };
            assert_eq!(error, &json!({ "code": -31999, "message": mail, "data": { "id": secret } }));
        });
        each(engine, "break", |act, all, marks| {
            let text = all[0]["error"]["message"].as_str().expect("a text");
            let (expected, told) = match act {
                "off" => ("status 500: it broke for ada@lovelace.dev", ""),
                "count" => ("status 500: it broke for ada@lovelace.dev", "found mail 1 in the error"),
                "mask" => ("status 500: it broke for [masked:mail]", "masked mail 1 in the error"),
                _ => ("the error was held back", "refused mail 1 in the error"),
            };
            assert!(text.contains(expected) && marks == told, "{text} {marks}");
        });
    });
}

/// A legacy server that asks for something in the middle of a call, and tells what it was answered.
fn asking() -> Peer {
    let waiting: Arc<Mutex<Option<Sender<Value>>>> = Arc::default();
    speaks_mcp::start(Era::Legacy, move |asked, exchange| match asked.method.as_str() {
        "tools/call" => {
            let (tx, answered) = channel();
            *waiting.lock().expect("no holder panics") = Some(tx);
            exchange.start_events()?;
            let schema = json!({ "type": "object", "properties": {} });
            let params = format!("{{\"message\":\"{MAIL}\",\"requestedSchema\":{schema}}}");
            let what = "\"id\":\"ask\",\"method\":\"elicitation/create\"";
            event(exchange, &format!("{{\"jsonrpc\":\"2.0\",{what},\"params\":{params}}}"))?;
            let answer = answered.recv_timeout(DEADLINE).unwrap_or_default();
            let text = json!(answer.to_string());
            asked.finish(exchange, &format!("{{\"content\":[{{\"type\":\"text\",\"text\":{text}}}]}}"))
        }
        _ => {
            if asked.message["id"] == "ask"
                && let Some(waits) = waiting.lock().expect("no holder panics").take()
            {
                drop(waits.send(asked.message.clone()));
            }
            Ok(None)
        }
    })
}

#[test]
fn questions_are_looked_through() {
    for_each_engine(|engine| {
        for (act, caller_era) in [("mask", Era::Modern), ("refuse", Era::Modern), ("refuse", Era::Legacy)] {
            let server = asking();
            let scan = format!("scan: {{ requests: count, arguments: off, results: {act} }}\n");
            let gateway = gateway(engine, &(one_server("s", &server.url(), Era::Legacy, "") + &scan));
            let mut caller =
                Caller::with(&gateway, caller_era, "/mcp", KEY, "{\"elicitation\":{\"form\":{}}}");
            let answer = caller.call("1", "echo", "{}");
            let result = answer.result();
            assert!(!result.to_string().contains("lovelace"), "{result}");
            if act == "mask" {
                assert_eq!(result["resultType"], "input_required", "{result}");
                let message = &result["inputRequests"]["input-1"]["params"]["message"];
                assert_eq!(message, "of [masked:mail]", "{result}");
            } else {
                let told = result["content"][0]["text"].as_str().expect("a text");
                assert!(told.contains("the question was held back"), "{told}");
                assert_eq!(answer.before(), [] as [Value; 0]);
            }
            drop(caller);
            let marks = marks(gateway);
            let verb = if act == "mask" { "masked" } else { "refused" };
            assert_eq!(marks, format!("{verb} mail 1 in a question"));
        }
    });
}
