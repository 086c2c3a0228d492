//! `tools: auto`: what clients get by what they are and how many tools there are.

use serde_json::json;

use crate::gateway::for_each_engine;
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::peer::Peer;
use crate::peer::speaks_mcp::{self, Era};

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
