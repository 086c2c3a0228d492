//! Calls of MCP servers while things happen: progress, cancellation, lost sessions, questions to the caller,
//! requests of others, processes that end.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::gateway::{Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::mcp_caller::{Answer, Caller, gateway, one_pipe, one_server, pipe_entry};
use crate::peer::speaks_mcp::{self, Asked, Era, document, event};
use crate::peer::{After, Exchange, Peer};
use crate::program::eventually;

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];
const SOON: Duration = Duration::from_secs(15);

/// What a caller declares that can be asked.
const CAN_BE_ASKED: &str = "{\"elicitation\":{\"form\":{}}}";

#[test]
fn progress_reaches_the_caller_whose_call_it_is_under_its_own_token() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let folder = Folder::new();
            let gateway = gateway(engine, &one_pipe("s", &folder, server_era, ""));
            let callers: Vec<_> = [(Era::Modern, "ann"), (Era::Legacy, "bob"), (Era::Modern, "eve")]
                .into_iter()
                .map(|(era, who)| {
                    let mut caller = Caller::new(&gateway, era, "/mcp");
                    thread::spawn(move || {
                        let arguments = format!("{{\"do\":\"progress\",\"who\":\"{who}\"}}");
                        let request =
                            caller.call_request("1", "echo", &arguments, "\"progressToken\":\"same\"");
                        (who, caller.exchange(&request))
                    })
                })
                .collect();
            for caller in callers {
                let (who, answer) = caller.join().expect("a caller does not panic");
                assert_eq!(answer.result()["content"][0]["text"], who);
                let before = answer.before();
                let steps: Vec<_> = before.iter().map(|note| note["params"]["progress"].clone()).collect();
                assert_eq!(steps, [1, 2, 3, 4, 5], "{who}: {before:?}");
                for note in before {
                    assert_eq!(note["params"]["progressToken"], "same", "{note}");
                    assert_eq!(note["params"]["message"], who, "{note}");
                }
            }
            // To the server each call had a token of its own, which was its id.
            let tokens: Vec<_> =
                calls(&folder).iter().map(|call| call["params"]["_meta"]["progressToken"].clone()).collect();
            let ids: Vec<_> = calls(&folder).iter().map(|call| call["id"].clone()).collect();
            assert_eq!(tokens, ids);
            assert!(tokens[0] != tokens[1] && tokens[1] != tokens[2] && tokens[0] != tokens[2], "{tokens:?}");
        }
    });
}

/// The messages that a server at the end of a pipe has read.
fn read(folder: &Folder) -> Vec<Value> {
    let seen = fs::read_to_string(folder.join("seen")).unwrap_or_default();
    seen.lines().filter_map(|line| serde_json::from_str(line).ok()).collect()
}

/// The calls among them.
fn calls(folder: &Folder) -> Vec<Value> {
    read(folder).into_iter().filter(|message| message["method"] == "tools/call").collect()
}

#[test]
fn a_caller_who_leaves_or_cancels_cancels_the_call_at_a_pipe() {
    for_each_engine(|engine| {
        for (caller_era, server_era) in
            [(Era::Modern, Era::Modern), (Era::Modern, Era::Legacy), (Era::Legacy, Era::Legacy)]
        {
            let folder = Folder::new();
            let gateway = gateway(engine, &one_pipe("s", &folder, server_era, ""));
            let mut caller = Caller::new(&gateway, caller_era, "/mcp");
            let request = caller.call_request("\"mine\"", "echo", "{\"do\":\"hang\"}", "");
            let mut other = caller.twin();
            other.client().send(&request);
            eventually("the call arrives", SOON, || calls(&folder).len() == 1);
            if caller_era == Era::Legacy {
                // The end of a legacy caller's connection is none of its call.
                other = caller.twin();
                thread::sleep(Duration::from_millis(50));
                assert!(!read(&folder).iter().any(is_cancelled));
                caller.notify("notifications/cancelled", "\"requestId\":\"mine\"");
            }
            drop(other);
            eventually("the server hears of it", SOON, || read(&folder).iter().any(is_cancelled));
            let cancelled = read(&folder).into_iter().find(is_cancelled).expect("it is there");
            assert_eq!(cancelled["params"]["requestId"], calls(&folder)[0]["id"]);
            assert!(caller.call("2", "echo", "{}").result()["content"].is_array());
        }
    });
}

fn is_cancelled(message: &Value) -> bool {
    message["method"] == "notifications/cancelled"
}

#[test]
fn a_caller_who_leaves_or_cancels_cancels_the_call_over_http() {
    for_each_engine(|engine| {
        for (caller_era, server_era) in [
            (Era::Modern, Era::Modern),
            (Era::Legacy, Era::Modern),
            (Era::Modern, Era::Legacy),
            (Era::Legacy, Era::Legacy),
        ] {
            let (arrived, arrival) = channel();
            let (ended, end) = channel();
            let tell = Mutex::new((arrived, ended));
            let server = speaks_mcp::start(server_era, move |asked, exchange| {
                let (arrived, ended) = tell.lock().expect("no holder panics").clone();
                match &*asked.method {
                    "tools/call" => {
                        arrived.send(asked.id()).unwrap_or_default();
                        if exchange.wait_for_close(Duration::from_secs(20)).is_some()
                            && server_era == Era::Modern
                        {
                            ended.send(asked.id()).unwrap_or_default();
                        }
                        Ok(Some(After::Close))
                    }
                    "notifications/cancelled" => {
                        ended
                            .send(asked.message["params"]["requestId"].as_u64().unwrap_or_default())
                            .unwrap_or_default();
                        Ok(None)
                    }
                    _ => Ok(None),
                }
            });
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, ""));
            let mut caller = Caller::new(&gateway, caller_era, "/mcp");
            let mut other = caller.twin();
            other.client().send(&caller.call_request("7", "echo", "{}", ""));
            let id = arrival.recv_timeout(SOON).expect("the call arrives");
            if caller_era == Era::Legacy {
                caller.notify("notifications/cancelled", "\"requestId\":7");
            } else {
                drop(other);
            }
            assert_eq!(end.recv_timeout(SOON), Ok(id), "{caller_era:?} -> {server_era:?}");
        }
    });
}

#[test]
fn a_session_that_a_server_has_lost_is_opened_anew_once_and_the_call_runs_once() {
    for_each_engine(|engine| {
        let ran = Arc::new(AtomicUsize::new(0));
        let lost = Arc::new(Mutex::new(Vec::<String>::new()));
        let (count, gone) = (Arc::clone(&ran), Arc::clone(&lost));
        let server = speaks_mcp::start(Era::Legacy, move |asked, exchange| {
            let session = asked.seen.header("mcp-session-id").unwrap_or_default().to_owned();
            let mut gone = gone.lock().expect("no holder panics");
            if asked.method == "tools/call" && asked.argument("do") == "forget" && gone.is_empty() {
                gone.push(session.clone());
            }
            if gone.contains(&session) {
                return document(exchange, 404, "");
            }
            if asked.method == "tools/call" {
                count.fetch_add(1, Ordering::SeqCst);
            }
            Ok(None)
        });
        let gateway = gateway(engine, &one_server("s", &server.url(), Era::Legacy, ""));
        for era in BOTH {
            lost.lock().expect("no holder panics").clear();
            let mut caller = Caller::new(&gateway, era, "/mcp");
            caller.call("1", "echo", "{}").result();
            let opened = || server.seen().iter().filter(|seen| method_of(&seen.body) == "initialize").count();
            let (before, calls) = (opened(), ran.load(Ordering::SeqCst));
            assert_eq!(caller.call("2", "echo", "{\"do\":\"forget\"}").json()["id"], 2);
            assert_eq!(ran.load(Ordering::SeqCst), calls + 1, "the call ran once");
            assert_eq!(opened(), before + 1, "one session was opened");
            caller.call("3", "echo", "{}").result();
            assert_eq!(opened(), before + 1, "it is kept");
        }
    });
}

fn method_of(body: &[u8]) -> String {
    let message: Value = serde_json::from_slice(body).unwrap_or_default();
    message["method"].as_str().unwrap_or_default().to_owned()
}

#[test]
fn the_same_tool_use_runs_once_and_is_answered_twice() {
    for_each_engine(|engine| {
        for (caller_era, server_era) in
            [(Era::Modern, Era::Modern), (Era::Legacy, Era::Legacy), (Era::Modern, Era::Legacy)]
        {
            let ran = Arc::new(AtomicUsize::new(0));
            let count = Arc::clone(&ran);
            let server = speaks_mcp::start(server_era, move |asked, exchange| {
                if asked.method != "tools/call" {
                    return Ok(None);
                }
                let number = count.fetch_add(1, Ordering::SeqCst);
                thread::sleep(Duration::from_millis(100));
                asked.answer(
                    exchange,
                    &format!("{{\"content\":[],\"run\":{number},\"resultType\":\"complete\"}}"),
                )
            });
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, ""));
            let caller = Caller::new(&gateway, caller_era, "/mcp");
            let ask = |id: &str, arguments: &str, tool_use: &str| {
                let meta = format!("\"claudecode/toolUseId\":\"{tool_use}\"");
                let mut twin = caller.twin();
                let request = twin.call_request(id, "echo", arguments, &meta);
                thread::spawn(move || twin.exchange(&request).json())
            };
            let run = |answer: thread::JoinHandle<Value>| {
                let json = answer.join().expect("a caller does not panic");
                (json["id"].clone(), json["result"]["run"].clone())
            };
            let (one, other) = (ask("1", "{}", "toolu_1"), ask("2", "{}", "toolu_1"));
            assert_eq!([run(one), run(other)], [(json!(1), json!(0)), (json!(2), json!(0))]);
            assert_eq!(run(ask("\"later\"", "{}", "toolu_1")), (json!("later"), json!(0)));
            assert_eq!(run(ask("3", "{\"a\":1}", "toolu_1")), (json!(3), json!(1)), "other arguments");
            assert_eq!(run(ask("3", "{}", "toolu_2")), (json!(3), json!(2)), "another use");
            assert_eq!(ran.load(Ordering::SeqCst), 3);
        }
    });
}

/// Answers of callers, by the id of the question.
type Answers = Arc<(Mutex<HashMap<u64, Value>>, Condvar)>;

/// A legacy server that asks its caller in the middle of a call and tells what it was answered.
fn curious() -> (Peer, Answers) {
    let answers = Answers::default();
    let theirs = Arc::clone(&answers);
    let server = speaks_mcp::start(Era::Legacy, move |asked, exchange| {
        if asked.message["method"].is_null() && !asked.message["id"].is_null() {
            let answer = asked.message["result"].clone();
            theirs.0.lock().expect("no holder panics").insert(asked.id(), answer);
            theirs.1.notify_all();
            return document(exchange, 202, "");
        }
        if asked.method == "tools/call" { wonder(&theirs, asked, exchange) } else { Ok(None) }
    });
    (server, answers)
}

fn wonder(answers: &Answers, asked: &Asked<'_>, exchange: &mut Exchange) -> io::Result<Option<After>> {
    let question = asked.id() + 1_000_000;
    let params = "{\"message\":\"Really?\",\"requestedSchema\":{\"type\":\"object\",\"properties\":{}}}";
    exchange.start_events()?;
    let request = "\"jsonrpc\":\"2.0\",\"method\":\"elicitation/create\"";
    event(exchange, &format!("{{{request},\"id\":{question},\"params\":{params}}}"))?;
    let held = answers.0.lock().expect("no holder panics");
    let waited =
        answers.1.wait_timeout_while(held, Duration::from_secs(30), |held| !held.contains_key(&question));
    let answer = waited.expect("no holder panics").0.get(&question).cloned().unwrap_or_default();
    asked.finish(exchange, &format!("{{\"content\":[],\"answered\":{answer}}}"))
}

/// Calls and is asked; gives the key of the question and the state.
#[track_caller]
fn is_asked(caller: &mut Caller, id: &str) -> (String, String) {
    let result = caller.call(id, "echo", "{\"a\":1}").result();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let (key, request) =
        result["inputRequests"].as_object().and_then(|asked| asked.iter().next()).expect("a question");
    assert_eq!(request["method"], "elicitation/create");
    assert_eq!(request["params"]["message"], "Really?");
    (key.clone(), result["requestState"].as_str().expect("a state").to_owned())
}

/// Answers a question by a new call.
#[track_caller]
fn retry(caller: &mut Caller, id: &str, arguments: &str, (key, state): (&str, &str)) -> Answer {
    let answer = "{\"action\":\"accept\",\"content\":{\"sure\":1.0}}";
    let input = format!("\"inputResponses\":{{\"{key}\":{answer}}},\"requestState\":\"{state}\"");
    caller.ask(id, "tools/call", &format!("\"name\":\"echo\",\"arguments\":{arguments},{input}"))
}

#[test]
fn a_modern_caller_answers_a_legacy_server_and_nobody_else_does() {
    for_each_engine(|engine| {
        let (server, _answers) = curious();
        let gateway = gateway(engine, &one_server("s", &server.url(), Era::Legacy, ""));
        let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", KEY, CAN_BE_ASKED);
        let (key, state) = is_asked(&mut caller, "1");
        let refused = |caller: &mut Caller, arguments: &str, state: &str| {
            let answer = retry(caller, "2", arguments, (&key, state)).json();
            assert_eq!(answer["error"]["code"], -32602, "{answer}");
        };
        // Every byte of it counts.
        for at in [0, 1, state.len() / 2, state.len() - 2] {
            let mut forged = state.clone().into_bytes();
            forged[at] = if forged[at] == b'A' { b'B' } else { b'A' };
            refused(&mut caller, "{\"a\":1}", &String::from_utf8(forged).expect("still ASCII"));
        }
        refused(&mut caller, "{\"a\":1}", "");
        refused(&mut caller, "{\"a\":1}", &"A".repeat(4000));
        refused(&mut caller, "{\"a\":2}", &state);
        let mut foreign = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, CAN_BE_ASKED);
        refused(&mut foreign, "{\"a\":1}", &state);
        let answer = retry(&mut caller, "\"retry\"", "{\"a\":1}", (&key, &state));
        assert_eq!(answer.json()["id"], "retry");
        let result = answer.result();
        assert_eq!(result["answered"], json!({ "action": "accept", "content": { "sure": 1.0 } }), "{result}");
        // It has been used up.
        refused(&mut caller, "{\"a\":1}", &state);
        let calls = server.seen().iter().filter(|seen| method_of(&seen.body) == "tools/call").count();
        assert_eq!(calls, 1, "the tool ran once");
        // Who has not said that it can be asked is not asked.
        let mut mute = Caller::new(&gateway, Era::Modern, "/mcp");
        let result = mute.call("1", "echo", "{}").result();
        assert_eq!(result["answered"], Value::Null, "{result}");
    });
}

#[test]
fn calls_that_wait_for_answers_are_counted_for_each_key() {
    for_each_engine(|engine| {
        let (server, _answers) = curious();
        let gateway = gateway(engine, &one_server("s", &server.url(), Era::Legacy, ""));
        let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", KEY, CAN_BE_ASKED);
        let first = is_asked(&mut caller, "0");
        for id in 1..64 {
            is_asked(&mut caller, &id.to_string());
        }
        let error = caller.call("64", "echo", "{\"a\":1}").error();
        assert!(error.contains("too many calls wait for your answers"), "{error}");
        let mut other = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, CAN_BE_ASKED);
        is_asked(&mut other, "1");
        assert!(retry(&mut caller, "1", "{\"a\":1}", (&first.0, &first.1)).result()["answered"].is_object());
        eventually("there is room again", SOON, || {
            caller.call("65", "echo", "{\"a\":1}").json()["result"]["resultType"] == "input_required"
        });
    });
}

#[test]
fn sessions_belong_to_their_key_and_address_and_end_when_they_are_told_to() {
    for_each_engine(|engine| {
        let server = speaks_mcp::start(Era::Legacy, |_, _| Ok(None));
        let gateway = gateway(engine, &one_server("s", &server.url(), Era::Legacy, ""));
        let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
        let status = |caller: &mut Caller| caller.ask("1", "tools/list", "").head.status;
        assert_eq!(status(&mut caller), 200);
        let mut foreign = caller.twin();
        NARROW_KEY.clone_into(&mut foreign.key);
        assert_eq!(status(&mut foreign), 404);
        let delete = foreign.http("DELETE", "", b"");
        assert_eq!(foreign.exchange(&delete).head.status, 404);
        let get = foreign.http("GET", "", b"");
        assert_eq!(foreign.exchange(&get).head.status, 404);
        let mut elsewhere = caller.twin();
        "/mcp/s".clone_into(&mut elsewhere.path);
        assert_eq!(status(&mut elsewhere), 404);
        let mut unknown = caller.twin();
        unknown.session = Some("0123456789abcdef0123456789abcdef".to_owned());
        assert_eq!(status(&mut unknown), 404);
        unknown.session = None;
        assert_eq!(status(&mut unknown), 400);
        for method in ["GET", "DELETE"] {
            let request = unknown.http(method, "", b"");
            assert_eq!(unknown.exchange(&request).head.status, 400, "{method}");
        }
        assert_eq!(status(&mut caller), 200);
        let delete = caller.http("DELETE", "", b"");
        assert!(matches!(caller.exchange(&delete).head.status, 200 | 202 | 204));
        assert_eq!(status(&mut caller), 404);
    });
}

#[test]
fn foreign_hosts_and_origins_are_refused() {
    for_each_engine(|engine| {
        let server = speaks_mcp::start(Era::Modern, |_, _| Ok(None));
        let config = one_server("s", &server.url(), Era::Modern, "")
            + "mcp: { allowed_hosts: [gate.example], allowed_origins: [\"https://app.example\"] }\n";
        let gateway = gateway(engine, &config);
        let caller = Caller::new(&gateway, Era::Modern, "/mcp");
        let request = String::from_utf8(caller.request("1", "tools/list", "", "")).expect("it is text");
        let host = format!("Host: {}", gateway.addr());
        for (line, status) in [
            ("Host: evil.example", 403),
            ("Host: gate.example", 200),
            ("Host: localhost:1", 200),
            ("Host: gate.example\r\nOrigin: https://evil.example", 403),
            ("Host: gate.example\r\nOrigin: null", 403),
            ("Host: gate.example\r\nOrigin: https://app.example", 200),
            ("Host: localhost\r\nOrigin: http://localhost:9", 200),
        ] {
            let reply = crate::client::once(gateway.addr(), request.replacen(&host, line, 1).as_bytes());
            assert_eq!(reply.head.status, status, "{line}: {}", String::from_utf8_lossy(&reply.body));
        }
    });
}

#[test]
fn batches_are_for_the_one_revision_that_has_them() {
    for_each_engine(|engine| {
        let server = speaks_mcp::start(Era::Legacy, |_, _| Ok(None));
        let gateway = gateway(engine, &one_server("s", &server.url(), Era::Legacy, ""));
        let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
        let part = |id: &str, method: &str, params: &str| {
            format!("{{\"jsonrpc\":\"2.0\",\"id\":{id},\"method\":\"{method}\",\"params\":{params}}}")
        };
        let note = "{\"jsonrpc\":\"2.0\",\"method\":\"notifications/initialized\"}";
        let call = part("\"c\"", "tools/call", "{\"name\":\"echo\",\"arguments\":{}}");
        let batch =
            format!("[{},{note},{call},{}]", part("1", "ping", "{}"), part("2.0", "nothing/here", "{}"));
        let request = caller.http("POST", "", batch.as_bytes());
        assert_eq!(caller.exchange(&request).head.status, 400, "2025-11-25 has no batches");
        caller.initialize("2025-03-26");
        let request = caller.http("POST", "", batch.as_bytes());
        let answer = caller.exchange(&request);
        let mut ids: Vec<_> = answer
            .messages
            .iter()
            .flat_map(|raw| match serde_json::from_slice(raw).expect("it is JSON") {
                Value::Array(all) => all,
                one => vec![one],
            })
            .map(|message| (message["id"].to_string(), message["error"].is_null()))
            .collect();
        ids.sort();
        let expected = [("\"c\"", true), ("1", true), ("2.0", false)];
        assert_eq!(ids, expected.map(|(id, good)| (id.to_owned(), good)));
        let request = caller.http("POST", "", format!("[{note},{note}]").as_bytes());
        assert_eq!(caller.exchange(&request).head.status, 202);
        let request = caller.http("POST", "", b"[]");
        assert_eq!(caller.exchange(&request).head.status, 400);
        // The call inside of the batch is in the ledger as any other.
        let entries = entries_of(gateway);
        let calls: Vec<_> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
        assert_eq!(calls.len(), 1, "{entries:#?}");
        let found = (&calls[0]["tool"], &calls[0]["key"], &calls[0]["outcome"]);
        assert_eq!(found, (&json!("echo"), &json!("main"), &json!("done")), "{entries:#?}");
    });
}

/// The processes that a server at the end of a pipe has been, and those that it has started.
fn processes(folder: &Folder) -> Vec<u32> {
    let text = fs::read_to_string(folder.join("processes")).unwrap_or_default();
    text.lines().filter_map(|line| line.parse().ok()).collect()
}

#[test]
fn a_process_that_ends_is_started_again_later_and_later() {
    for_each_engine(|engine| {
        let folder = Folder::new();
        let gateway = gateway(engine, &one_pipe("s", &folder, Era::Modern, ", env: { DIES_AT_ONCE: \"1\" }"));
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        assert_eq!(caller.tools(), ["echo"]);
        caller.call("1", "echo", "{\"do\":\"die\"}").error();
        eventually("it is there again", SOON, || caller.call("2", "echo", "{}").json()["error"].is_null());
        assert_eq!(processes(&folder).len(), 2);
        assert_eq!(gateway.log().all("the process of an MCP server has ended").len(), 1);
        // What it offers is known all the while, and from now on it cannot be started.
        folder.write("dies", "");
        caller.call("3", "echo", "{\"do\":\"die\"}").error();
        let started = Instant::now();
        while started.elapsed() < Duration::from_millis(2500) {
            assert_eq!(caller.tools(), ["echo"]);
            let error = caller.call("4", "echo", "{}").error();
            assert!(error.contains("`s` could not be reached"), "{error}");
            thread::sleep(Duration::from_millis(5));
        }
        let tries = processes(&folder).len() - 2;
        assert!((1..=4).contains(&tries), "{tries} tries in 2.5 s");
        fs::remove_file(folder.join("dies")).expect("it is there");
        eventually("it recovers", Duration::from_secs(10), || {
            caller.call("5", "echo", "{}").json()["error"].is_null()
        });
    });
}

#[test]
fn a_process_is_given_its_own_variables_only_and_its_complaints_are_logged() {
    for_each_engine(|engine| {
        let folder = Folder::new();
        let own = ", env: { MINE: \"value-of-mine\", TOKEN: \"${env:GATEWAY_TOKEN}\" }";
        let text = config(engine, "http://127.0.0.1:9", &one_pipe("s", &folder, Era::Modern, own));
        let home = Folder::new();
        home.write("tollgate.yaml", &text);
        let mut command = tollgate(home.path());
        command.env("GATEWAY_SECRET", "never-to-be-seen").env("GATEWAY_TOKEN", "token-0123456789abcdef");
        let gateway = Gateway::run(&mut command, home);
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        let result = caller.call("1", "echo", "{\"do\":\"env\"}").result();
        let text = result["content"][0]["text"].as_str().expect("a text");
        assert!(!text.contains("never-to-be-seen") && !text.contains("GATEWAY_"), "{text}");
        let variables: Value = serde_json::from_str(text).expect("it is JSON");
        assert_eq!(variables["MINE"], "value-of-mine");
        assert_eq!(variables["TOKEN"], "token-0123456789abcdef");
        let complaint = "{\"do\":\"complain\",\"text\":\"oh no: token-0123456789abcdef\\u001b[31m\"}";
        caller.call("2", "echo", complaint).result();
        let said = || gateway.log().all("an MCP server says");
        eventually("its complaint is logged", SOON, || !said().is_empty());
        let line = &said()[0];
        assert_eq!(line["server"], "s");
        assert!(line["text"].as_str().is_some_and(|text| text.starts_with("oh no")), "{line}");
        assert!(!gateway.log().text().contains("token-0123456789abcdef"), "{line} shows a secret");
    });
}

#[test]
fn no_process_outlives_the_gateway() {
    for_each_engine(|engine| {
        let folders: Vec<_> = (0..3).map(|_| Folder::new()).collect();
        let mut config = one_pipe("polite", &folders[0], Era::Modern, "");
        for (name, folder) in [("stubborn", &folders[1]), ("stubborn2", &folders[2])] {
            config += &pipe_entry(name, folder, Era::Legacy, ", env: { STUBBORN: \"1\" }");
        }
        let mut gateway = gateway(engine, &config);
        for (name, folder) in ["polite", "stubborn", "stubborn2"].iter().zip(&folders) {
            let mut caller = Caller::new(&gateway, Era::Modern, &format!("/mcp/{name}"));
            caller.call("1", "echo", "{\"do\":\"spawn\"}").result();
            assert!(processes(folder).len() >= 2);
        }
        let started = Instant::now();
        gateway.signal("TERM");
        assert!(gateway.wait(Duration::from_secs(15)).success());
        // Those that do not want to end have 3 s and 2 s, all of them together.
        assert!(started.elapsed() < Duration::from_secs(8), "{:?}", started.elapsed());
        let all: Vec<_> = folders.iter().flat_map(processes).collect();
        let left: Vec<_> = all.iter().filter(|id| runs(**id)).collect();
        assert!(left.is_empty(), "{left:?} of {all:?} are left");
        let ends = |at: usize| fs::read_to_string(folders[at].join("ends")).unwrap_or_default();
        assert_eq!(ends(0), "eof\n", "the polite one was asked once");
        // One process for our own use and one for callers, each asked twice in this order.
        assert!(ends(1).starts_with("eof\n") && ends(1).ends_with("term\n"), "{}", ends(1));
    });
}

/// Whether a process is there and no zombie that waits for its parent.
fn runs(id: u32) -> bool {
    let stat = fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat"));
    stat.is_ok_and(|stat| stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z')))
}

#[test]
fn a_tool_that_has_come_to_want_a_header_gets_it_without_being_called_twice() {
    for_each_engine(|engine| {
        let refused = Arc::new(AtomicUsize::new(0));
        let (seen, made) = (Arc::clone(&refused), Arc::new(AtomicUsize::new(0)));
        let calls = Arc::clone(&made);
        let server = speaks_mcp::start(Era::Modern, move |asked, exchange| match &*asked.method {
            "tools/list" => {
                let wants = if seen.load(Ordering::SeqCst) > 0 { ",\"x-mcp-header\":\"Region\"" } else { "" };
                let schema = format!(
                    "{{\"type\":\"object\",\"properties\":{{\"region\":{{\"type\":\"string\"{wants}}}}}}}"
                );
                let tool = format!("{{\"name\":\"echo\",\"inputSchema\":{schema}}}");
                let members = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
                asked.answer(exchange, &format!("{{\"tools\":[{tool}],{members}}}"))
            }
            "tools/call" if asked.seen.header("mcp-param-region") != Some("eu") => {
                seen.fetch_add(1, Ordering::SeqCst);
                let error = "\"error\":{\"code\":-32020,\"message\":\"Header mismatch\"}";
                document(exchange, 400, &format!("{{\"jsonrpc\":\"2.0\",\"id\":{},{error}}}", asked.id()))
            }
            "tools/call" => {
                calls.fetch_add(1, Ordering::SeqCst);
                Ok(None)
            }
            _ => Ok(None),
        });
        let gateway = gateway(engine, &one_server("one", &server.url(), Era::Modern, ", pin: off"));
        let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
        let result = caller.call("1", "echo", "{\"region\":\"eu\"}").result();
        assert!(result["content"].is_array(), "{result}");
        assert_eq!((refused.load(Ordering::SeqCst), made.load(Ordering::SeqCst)), (1, 1));
    });
}
