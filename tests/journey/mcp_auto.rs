//! `tools: auto`: what clients get by what they are and how many tools there are.

use serde_json::{Value, json};

use crate::gateway::{Engine, Gateway, KEY, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::mcp_claude_code::{asked, offered, outcome, play};
use crate::mcp_growing::{DOORS, FIND, WANTED, can_call};
use crate::mcp_sdk::Sdk;
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{Peer, offers_many_tools, scripted_turns};

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// A server with so many tools.
fn server(era: Era, tools: usize) -> Peer {
    let names: Vec<String> = (0..tools).map(|number| format!("tool_{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let list = speaks_mcp::tools(&names);
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &list),
        _ => Ok(None),
    })
}

/// What a client of this name lists.
#[track_caller]
fn listed(caller: &mut Caller, agent: &str) -> Vec<String> {
    let request = caller.request("1", "tools/list", "", "");
    let lines = format!("User-Agent: {agent}\r\nContent-Type: application/json\r\n");
    let request = String::from_utf8(request).expect("it is text");
    let request = request.replacen("Content-Type: application/json\r\n", &lines, 1);
    let result = caller.exchange(request.as_bytes()).result();
    let tools = result["tools"].as_array().unwrap_or_else(|| panic!("no list: {result}")).clone();
    tools.iter().filter_map(|tool| Some(tool["name"].as_str()?.to_owned())).collect()
}

#[test]
fn large_catalogs_are_searched_by_those_who_would_send_all_of_it() {
    let (newest, older) = ("claude-code/2.1.330 (cli)", "claude-code/2.1.100 (cli)");
    for_each_engine(|engine| {
        for (server_era, era) in BOTH.into_iter().flat_map(|one| BOTH.map(|other| (one, other))) {
            for (tools, rows) in [
                (3, [(newest, false), (older, false), ("python-httpx/0.28.1", false)]),
                (90, [(newest, true), (older, true), ("python-httpx/0.28.1", true)]),
            ] {
                let server = server(server_era, tools);
                let lines = one_server("s", &server.url(), server_era, "");
                let gateway = gateway(engine, &format!("{lines}mcp: {{ tools: auto }}\n"));
                let mut caller = Caller::new(&gateway, era, "/mcp");
                // The newest finds what is added to its list; it says who it is by its name alone, so the
                // tools that call others stand beside. Twice each, in turns: nobody gets another's list.
                for (agent, searched) in rows.iter().chain(rows.iter().rev()).chain(&rows) {
                    let names = listed(&mut caller, agent);
                    assert_eq!(
                        names.iter().any(|name| name == "find_tools"),
                        *searched,
                        "{agent}: {names:?}"
                    );
                    assert_eq!(names.len(), if *searched { 4 } else { tools }, "{agent}");
                }
                // Whoever knows a tool can call it, in whichever mode.
                let called = caller.call("2", "tool_001", "{}").json();
                assert_eq!(called["result"]["content"], json!([]), "{called}");
            }
        }
    });
}

/// What is sought below.
const WORDS: &str = "volume 137 of the great dictionary";

#[test]
fn where_nothing_is_said_claude_code_adds_what_it_finds_and_others_call_by_doors() {
    let many = offers_many_tools::start();
    let model = scripted_turns::start(vec![
        vec![("toolu_find", FIND, json!({ "query": WORDS }))],
        vec![("toolu_look", WANTED, json!({ "word": "łódź" }))],
    ]);
    // All there is to a server: its address.
    let servers = format!("mcp_servers:\n  many: {{ url: \"{}/mcp\" }}\n", many.url());
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &servers);
    play(&gateway, &[]);
    let requests = asked(&model);
    assert_eq!(requests.len(), 3, "two turns and the end");
    assert_eq!(offered(&requests[0]), [FIND], "and no other");
    assert!(!requests[0].to_string().contains("look_137"), "not even its name");
    assert!(outcome(&requests, "toolu_find").contains("in your list of tools now"));
    assert!(can_call(&requests[1], WANTED), "{:?}", offered(&requests[1]));
    assert!(outcome(&requests, "toolu_look").contains("look_137 heard łódź"));

    // At the same address, with the same config.
    let calls = json!([
        ["find_tools", { "query": WORDS }],
        ["call_tool_write", { "name": "look_137", "arguments": { "word": "wieś" } }],
    ]);
    let clients = ["1.30.0", "2.3.0-modern"];
    for client in clients {
        let seen = Sdk::Python(client).calls(&format!("{}/mcp", gateway.url()), KEY, &calls);
        assert_eq!(seen["tools"], json!(DOORS), "{client}: {seen}");
        let text = |place: usize| seen["answers"][place]["text"].as_str().unwrap_or_default();
        assert!(text(0).starts_with("call_tool_write look_137(word: string"), "{client}: {seen}");
        assert_eq!(text(1), "look_137 heard wieś", "{client}: {seen}");
    }

    let entries = entries_of(gateway);
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
    let looked = calls.iter().filter(|call| call["tool"] == "look_137" && call["server"] == "many");
    assert_eq!(looked.clone().count(), 1 + clients.len(), "{calls:#?}");
    assert!(looked.clone().all(|call| call["sought"] == WORDS), "{calls:#?}");
    assert_eq!(calls.len(), 2 * (1 + clients.len()), "{calls:#?}");
}
