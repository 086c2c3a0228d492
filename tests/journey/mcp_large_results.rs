//! Large results: shown to the model whole where the config lets them through, and not given twice.

use serde_json::{Value, json};

use crate::gateway::{Engine, Gateway, KEY, NARROW_KEY, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::mcp_claude_code::{asked, offered, outcome, play};
use crate::mcp_sdk::Sdk;
use crate::peer::Peer;
use crate::peer::scripted_turns::{self, Use};
use crate::peer::speaks_mcp::{self, Era};

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// The member of `_meta` that says how many characters of a result are shown.
const MARK: &str = "anthropic/maxResultSizeChars";

/// Many lines, then the last one.
fn long(bytes: usize) -> String {
    let line = "Nothing of note was written on this line of the log.\n";
    line.repeat(bytes.saturating_sub(END.len()) / line.len()) + END
}

const END: &str = "This is the last line 4711.";

/// A server whose tools give this text: `dump` and `copy` alone, `shaped` as structure as well, `picture`
/// beside a picture, `fail` as an error. `copy` has a mark of its own.
fn server(era: Era, text: &str) -> Peer {
    let tool = |name: &str| {
        let schema = json!({ "type": "object" });
        json!({ "name": name, "description": format!("Writes a log, by {name}."), "inputSchema": schema })
    };
    let mut tools = ["dump", "copy", "shaped", "picture", "fail"].map(tool);
    tools[1]["_meta"] = json!({ "own": 1, MARK: 450_000 });
    let list = json!({ "tools": tools, "resultType": "complete", "ttlMs": 600_000, "cacheScope": "private" });
    let text = json!({ "type": "text", "text": text });
    let picture = json!({ "type": "image", "data": "iVBORw0KGgo=", "mimeType": "image/png" });
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &list.to_string()),
        "tools/call" => {
            let mut result = json!({ "content": [text], "resultType": "complete" });
            match asked.message["params"]["name"].as_str().unwrap_or_default() {
                "shaped" => result["structuredContent"] = json!({ "log": text["text"] }),
                "picture" => result["content"] = json!([picture, text]),
                "fail" => result["isError"] = true.into(),
                _ => {}
            }
            asked.answer(exchange, &result.to_string())
        }
        _ => Ok(None),
    })
}

/// What Claude Code tells its model of one call of `dump`, behind these turns.
#[track_caller]
fn told(url: &str, more: &str, before: Vec<Vec<Use>>) -> String {
    let call = vec![("toolu_dump", "mcp__tollgate__dump", json!({}))];
    let model = scripted_turns::start(before.into_iter().chain([call]).collect());
    let lines = format!("mcp_servers:\n  logs: {{ url: \"{url}/mcp\"{more} }}\n");
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &lines);
    play(&gateway, &[]);
    outcome(&asked(&model), "toolu_dump")
}

#[test]
fn claude_code_shows_its_model_what_the_config_lets_through() {
    // What it does by itself is what the bounds of the mark are made of.
    for (bytes, whole) in [(30_000, true), (60_000, false)] {
        let alone = told(&server(Era::Modern, &long(bytes)).url(), "", Vec::new());
        assert_eq!((alone.contains(END), alone.len() >= bytes), (whole, whole), "{} bytes", alone.len());
    }
    let server = server(Era::Modern, &long(300_000));
    let url = server.url();
    let load =
        |query: &str| vec![vec![("toolu_find", "mcp__tollgate__find_tools", json!({ "query": query }))]];
    for (mode, before) in [("native", vec![]), ("lean", vec![]), ("jit", load("write a log by dump"))] {
        let more = format!(", tools: {mode}, results: {{ max_result_size_chars: 400000 }}");
        let whole = told(&url, &more, before);
        assert!(whole.contains(END) && whole.len() > 300_000, "{mode}: {} bytes", whole.len());
    }
    let cut = told(&url, ", results: { max_bytes: 100000 }", Vec::new());
    assert!(cut.len() > 98_000 && cut.len() < 110_000, "{} bytes", cut.len());
    assert!(cut.contains("For the rest call read_more with"), "what the gateway lets through comes whole");
}

/// The definition of a tool in a list.
#[track_caller]
fn definition(list: &Value, name: &str) -> Value {
    let tools = list["tools"].as_array().expect("a list");
    tools.iter().find(|tool| tool["name"] == name).unwrap_or_else(|| panic!("no {name} in {list}")).clone()
}

#[test]
fn the_mark_is_the_config_s_and_the_tool_stays_what_it_was() {
    for_each_engine(|engine| {
        for (server_era, era) in BOTH.into_iter().flat_map(|one| BOTH.map(|other| (one, other))) {
            let server = server(server_era, "short");
            let rules = ", results: { max_result_size_chars: 200000 }, \
                         tools: { dump: { results: { max_bytes: 90000 } }, fail: { results: {} } }";
            let mut hashes = Vec::new();
            for more in ["", rules] {
                let gateway = gateway(engine, &one_server("s", &server.url(), server_era, more));
                let mut caller = Caller::new(&gateway, era, "/mcp");
                let list = caller.ask("1", "tools/list", "").result();
                let mark = |name: &str| definition(&list, name)["_meta"][MARK].clone();
                assert_eq!(definition(&list, "copy")["_meta"]["own"], 1);
                if more.is_empty() {
                    assert_eq!((mark("copy"), mark("dump")), (450_000.into(), Value::Null));
                } else {
                    // Nobody widens what the config says, which holds for all of the server or one tool.
                    let marks = ["copy", "picture", "dump", "read_more", "fail"].map(mark);
                    assert_eq!(json!(marks), json!([200_000, 200_000, 90_256, 90_256, null]), "{list}");
                }
                let again = Caller::new(&gateway, era, "/mcp").ask("1", "tools/list", "").result();
                assert_eq!(again.to_string(), list.to_string(), "to the byte");
                assert_eq!(caller.call("2", "copy", "{}").result()["content"][0]["text"], "short");
                let entries = entries_of(gateway);
                let call = entries.iter().find(|entry| entry["tool"] == "copy").expect("it is there");
                assert!(call["marks"].is_null(), "a result that stays as it is says nothing: {call}");
                hashes.push(call["tool_hash"].clone());
            }
            assert!(hashes[0].is_string() && hashes[0] == hashes[1], "it is the server's: {hashes:?}");
        }
    });
}

/// The text of the last block of a result.
#[track_caller]
fn text_of(result: &Value) -> &str {
    let blocks = result["content"].as_array().unwrap_or_else(|| panic!("no content: {result}"));
    blocks.last().and_then(|block| block["text"].as_str()).unwrap_or_else(|| panic!("no text: {result}"))
}

/// The call of `read_more` that a text asks for.
#[track_caller]
fn asked_for(text: &str) -> String {
    let call = text.split("call read_more with ").nth(1).and_then(|rest| rest.split_once('}'));
    call.map(|(arguments, _)| format!("{arguments}}}")).unwrap_or_else(|| panic!("no handle: {text}"))
}

const REFER: &str = ", results: { refer_bytes: 4096 }";

#[test]
fn a_session_is_not_given_the_same_twice_and_may_have_it_again() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let text = long(48_000);
            let server = server(server_era, &text);
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, REFER));
            let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
            // Before it has listed the tool that reads on, it is given everything.
            for id in ["1", "2"] {
                assert_eq!(text_of(&caller.call(id, "dump", "{}").result()), text);
            }
            assert_eq!(caller.tools()[0], "read_more");
            let meta = "\"claudecode/toolUseId\":\"toolu_1\"";
            let first = caller.call_request("3", "copy", "{}", meta);
            let said = caller.exchange(&first).result();
            let words = text_of(&said).to_owned();
            let begin = format!(
                "[Not repeated: these {} bytes are the same as in the result of \"dump\", ",
                text.len()
            );
            assert!(words.starts_with(&begin), "{words}");
            let second = caller.call_request("4", "copy", "{}", &meta.replace('1', "2"));
            for why in ["nobody has seen it read on", "it is the same use once more"] {
                assert_eq!(text_of(&caller.exchange(&second).result()), text, "{why}");
            }
            let beside = caller.call("5", "picture", "{}").result();
            assert_eq!(beside["content"][0]["type"], "image", "{beside}");
            assert!(text_of(&beside).contains("in the result of \"copy\" (toolu_2), "), "{beside}");

            let handle = asked_for(&words);
            let mut read = String::new();
            let mut wanted = handle.clone();
            loop {
                let said = caller.call("7", "read_more", &wanted).result();
                read += said["content"][0]["text"].as_str().expect("it is text");
                if text_of(&said).contains("This is the end.") {
                    break;
                }
                wanted = asked_for(text_of(&said));
            }
            assert_eq!(read, text, "all of it, in pieces that clients show");
            let said = ["8", "9"].map(|id| caller.call(id, "dump", "{}").result());
            assert!(said.iter().all(|said| text_of(said).starts_with("[Not repeated: ")), "it can read on");
            assert_eq!(asked_for(text_of(&said[0])), asked_for(text_of(&said[1])), "it is kept once");
            for whole in ["shaped", "fail"] {
                let said = caller.call("10", whole, "{}").result();
                assert_eq!(text_of(&said), text, "{whole}");
            }

            let mut other = Caller::with(&gateway, Era::Legacy, "/mcp", NARROW_KEY, "{}");
            assert_eq!(other.call("1", "read_more", &handle).result()["isError"], true, "it is not its own");
            let mut another = Caller::new(&gateway, Era::Legacy, "/mcp");
            another.tools();
            assert_eq!(text_of(&another.call("1", "dump", "{}").result()), text, "another session");
            let mut modern = Caller::new(&gateway, Era::Modern, "/mcp");
            assert!(!modern.tools().contains(&"read_more".to_owned()), "it would never need it");
            for id in ["1", "2"] {
                assert_eq!(text_of(&modern.call(id, "dump", "{}").result()), text, "it has no session");
            }
            assert_noted(gateway, text.len());
        }
    });
}

/// The ledger says of each call that was referred to another what that has spared.
#[track_caller]
fn assert_noted(gateway: Gateway, bytes: usize) {
    let entries = entries_of(gateway);
    let marks: Vec<&str> = entries.iter().filter_map(|entry| entry["marks"].as_str()).collect();
    let referred = marks.iter().filter(|mark| mark.starts_with("referred to an earlier result to "));
    let numbers: Vec<Vec<usize>> =
        referred.map(|mark| mark.split(' ').filter_map(|word| word.parse().ok()).collect()).collect();
    assert_eq!(numbers.len(), 4, "{marks:?}");
    assert!(numbers.iter().all(|pair| pair[0] < 500 && pair[1] > bytes), "{marks:?}");
}

#[test]
fn claude_code_is_referred_to_what_it_was_given() {
    let text = long(20_000);
    let server = server(Era::Modern, &text);
    let dump = "mcp__tollgate__dump";
    let model = scripted_turns::start(vec![
        vec![("toolu_one", dump, json!({}))],
        vec![("toolu_two", dump, json!({ "again": true }))],
    ]);
    let gateway =
        Gateway::with(Engine::Epoll, &model.url(), &one_server("s", &server.url(), Era::Modern, REFER));
    play(&gateway, &[]);
    let requests = asked(&model);
    assert!(offered(&requests[0]).contains(&"mcp__tollgate__read_more"), "{:?}", offered(&requests[0]));
    assert!(outcome(&requests, "toolu_one").contains(END));
    let second = outcome(&requests, "toolu_two");
    assert!(second.contains("the result of \\\"dump\\\" (toolu_one), ") && !second.contains(END), "{second}");
    let opened = gateway.log().all("call").into_iter().find(|call| call["method"] == "initialize");
    assert!(opened.is_some(), "requests that stand for themselves could not be referred to anything");
}

#[test]
fn official_clients_take_a_reference() {
    let text = long(20_000);
    let server = server(Era::Modern, &text);
    let gateway = gateway(Engine::Epoll, &one_server("s", &server.url(), Era::Modern, REFER));
    for (client, is_session) in [("1.30.0", true), ("2.3.0-modern", false)] {
        let calls = json!([["dump", {}], ["dump", {}]]);
        let seen = Sdk::Python(client).calls(&format!("{}/mcp", gateway.url()), KEY, &calls);
        let said = |place: usize| seen["answers"][place]["text"].as_str().unwrap_or_default();
        assert_eq!(said(0), text, "{client}: {seen}");
        assert_eq!(said(1).starts_with("[Not repeated: "), is_session, "{client}: {seen}");
    }
}
