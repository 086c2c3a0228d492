//! Ways in which one caller, or one server, could have cost another something.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::gateway::for_each_engine;
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::peer::speaks_mcp::{self, Era, document};

const LEGACY_CAN: &str = "\"capabilities\":{\"tools\":{},\"prompts\":{},\"resources\":{}}";

#[test]
fn a_batch_inside_of_a_batch_is_refused_before_it_grows() {
    for_each_engine(|engine| {
        let server = speaks_mcp::start(Era::Legacy, |_, _| Ok(None));
        let gateway = gateway(engine, &one_server("one", &server.url(), Era::Legacy, ""));
        let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
        caller.initialize("2025-03-26");
        let ping = |id| format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"ping\"}}");
        let nested = format!("[[{}],{}]", ping(1), ping(2));
        let refused = caller.exchange(&caller.http("POST", "", nested.as_bytes()));
        assert_eq!(refused.head.status, 400, "{refused:?}");
        assert!(refused.error().contains("each an object"), "{refused:?}");
        // What is as deep as a document may be costs no more than to say so.
        let deep = format!("{}{}{}", "[".repeat(100), ping(1), "]".repeat(100));
        assert_eq!(caller.exchange(&caller.http("POST", "", deep.as_bytes())).head.status, 400);
        let flat = format!("[{},{}]", ping(1), ping(2));
        let answers = caller.exchange(&caller.http("POST", "", flat.as_bytes()));
        assert_eq!(answers.messages.len(), 2, "{answers:?}");
        // A session cannot be used to open others.
        let member = "{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"initialize\",\"params\":{}}";
        let refused = caller.exchange(&caller.http("POST", "", member.as_bytes()));
        assert!(refused.error().contains("already"), "{refused:?}");
    });
}

#[test]
fn a_session_is_known_to_be_lost_also_when_that_is_said_in_json_rpc() {
    for_each_engine(|engine| {
        let gone = Arc::new(Mutex::new(Vec::<String>::new()));
        let calls = Arc::new(AtomicUsize::new(0));
        let (lost, made) = (Arc::clone(&gone), Arc::clone(&calls));
        let server = speaks_mcp::start(Era::Legacy, move |asked, exchange| {
            let session = asked.seen.header("mcp-session-id").unwrap_or_default().to_owned();
            let mut gone = lost.lock().expect("no holder panics");
            if asked.method == "tools/call" && !session.is_empty() && gone.is_empty() {
                gone.push(session.clone());
            }
            if gone.contains(&session) && asked.message["id"].is_u64() {
                let error = "\"error\":{\"code\":-32001,\"message\":\"Session not found\"}";
                let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{error}}}", asked.id());
                return document(exchange, 404, &body);
            }
            if asked.method == "tools/call" {
                made.fetch_add(1, Ordering::SeqCst);
            }
            Ok(None)
        });
        let gateway = gateway(engine, &one_server("one", &server.url(), Era::Legacy, ""));
        for era in [Era::Modern, Era::Legacy] {
            let mut caller = Caller::new(&gateway, era, "/mcp");
            assert!(caller.call("1", "echo", "{}").result()["content"].is_array());
        }
        assert_eq!(calls.load(Ordering::SeqCst), 2, "each call ran once");
    });
}

#[test]
fn a_list_that_is_refused_takes_no_other_with_it() {
    for_each_engine(|engine| {
        let lists = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&lists);
        let server = speaks_mcp::start(Era::Legacy, move |asked, exchange| match &*asked.method {
            "initialize" => {
                let info = "\"serverInfo\":{\"name\":\"scripted\",\"version\":\"1\"}";
                asked.answer(exchange, &format!("{{\"protocolVersion\":\"2025-11-25\",{LEGACY_CAN},{info}}}"))
            }
            "prompts/list" | "resources/list" | "resources/templates/list" => {
                counted.fetch_add(1, Ordering::SeqCst);
                let error = "\"error\":{\"code\":-32601,\"message\":\"Method not found\"}";
                document(exchange, 200, &format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{error}}}", asked.id()))
            }
            _ => Ok(None),
        });
        let gateway = gateway(engine, &one_server("one", &server.url(), Era::Legacy, ""));
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        assert_eq!(caller.tools(), ["echo"]);
        let prompts = caller.ask("1", "prompts/list", "").result();
        assert_eq!(prompts["prompts"].as_array().map(Vec::len), Some(0), "{prompts}");
        std::thread::sleep(std::time::Duration::from_secs(1));
        assert_eq!(lists.load(Ordering::SeqCst), 3, "it is not asked over and over");
    });
}

#[test]
fn what_a_server_says_of_our_credential_is_not_told_the_caller_as_its_own() {
    for_each_engine(|engine| {
        for era in [Era::Modern, Era::Legacy] {
            let server = speaks_mcp::start(era, |asked, exchange| {
                if asked.method != "tools/call" {
                    return Ok(None);
                }
                let error = "\"error\":{\"code\":-32603,\"message\":\"token expired\"}";
                let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{error}}}", asked.id());
                document(exchange, 401, &body)
            });
            let gateway = gateway(engine, &one_server("one", &server.url(), era, ""));
            for caller_era in [Era::Modern, Era::Legacy] {
                let mut caller = Caller::new(&gateway, caller_era, "/mcp");
                let answer = caller.call("1", "echo", "{}");
                assert_eq!(answer.head.status, 200, "{answer:?}");
                assert!(answer.error().contains("token expired"), "{answer:?}");
            }
        }
    });
}

#[test]
fn a_batch_says_no_more_than_the_ledger_may_have() {
    for_each_engine(|engine| {
        for (content, named) in [("off", ""), ("metadata", "file:///plans.txt")] {
            let server = speaks_mcp::start(Era::Legacy, |asked, exchange| match &*asked.method {
                "initialize" => {
                    let info = "\"serverInfo\":{\"name\":\"scripted\",\"version\":\"1\"}";
                    let version = "\"protocolVersion\":\"2025-11-25\"";
                    asked.answer(exchange, &format!("{{{version},{LEGACY_CAN},{info}}}"))
                }
                "resources/list" => {
                    let plans = "{\"uri\":\"file:///plans.txt\",\"name\":\"plans\"}";
                    asked.answer(exchange, &format!("{{\"resources\":[{plans}]}}"))
                }
                _ => Ok(None),
            });
            let config = one_server("s", &server.url(), Era::Legacy, "");
            let gateway = gateway(engine, &format!("{config}ledger: {{ content: {content} }}\n"));
            let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
            caller.initialize("2025-03-26");
            let read = "\"method\":\"resources/read\",\"params\":{\"uri\":\"file:///plans.txt\"}";
            let batch = format!("[{{\"jsonrpc\":\"2.0\",\"id\":1,{read}}}]");
            let request = caller.http("POST", "", batch.as_bytes());
            assert_eq!(caller.exchange(&request).head.status, 200);
            let entries = entries_of(gateway);
            let reads: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "resource_read").collect();
            assert_eq!(reads.len(), 1, "{entries:#?}");
            let tool = reads[0]["tool"].as_str().unwrap_or_default();
            assert_eq!(tool, named, "{content}: {:#?}", reads[0]);
        }
    });
}
