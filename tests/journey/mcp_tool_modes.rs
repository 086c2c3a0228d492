//! How definitions of tools are written for callers: the same words and bytes every time, whatever the mode,
//! and tools that are called by their names.

use serde_json::Value;

use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, tollgate};
use crate::mcp_caller::Caller;
use crate::mcp_sdk::Sdk;
use crate::peer::speaks_mcp::Era;

/// A client of the last SDK that knows sessions alone, and one of today's.
const CLIENTS: [Sdk; 2] = [Sdk::Python("1.30.0"), Sdk::Python("2.3.0-modern")];

/// Who asks where, and the mode that this comes to: nobody says anything, the team does, the server does.
const PLACES: [(&str, &str, &str); 3] =
    [("native", KEY, "/mcp/py"), ("lean", NARROW_KEY, "/mcp/py"), ("raw", KEY, "/mcp/plain")];

/// A gateway with one server under two names.
fn start(url: &str) -> Gateway {
    let servers =
        format!("mcp_servers:\n  py: {{ url: \"{url}\" }}\n  plain: {{ url: \"{url}\", tools: raw }}\n");
    let text = config(Engine::Epoll, "http://127.0.0.1:9", &servers)
        .replace("narrow: { models", "narrow: { tools: lean, models");
    assert!(text.contains("tools: lean"), "{text}");
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text);
    Gateway::run(&mut tollgate(folder.path()), folder)
}

/// The definition of `test_echo` among what a client reports.
#[track_caller]
fn echo(seen: &Value) -> Value {
    let tools = seen["tools"].as_array().unwrap_or_else(|| panic!("no list: {seen}"));
    let found = tools.iter().find(|tool| tool["name"] == "test_echo");
    found.unwrap_or_else(|| panic!("no test_echo: {seen}")).clone()
}

#[test]
fn every_mode_says_what_it_promises_to_clients_of_both_eras() {
    let server = Sdk::Python("2.3.0").serve();
    let mut runs = Vec::new();
    for _ in 0..2 {
        let gateway = start(server.url());
        let mut run = Vec::new();
        for (mode, key, path) in PLACES {
            for client in CLIENTS {
                let seen = client.definitions(&format!("{}{path}", gateway.url()), key);
                assert_eq!(seen["called"], "text", "{mode}: {seen}");
                run.push((mode, seen["tools"].to_string(), echo(&seen)));
            }
            for era in [Era::Legacy, Era::Modern] {
                let mut caller = Caller::with(&gateway, era, path, key, "{}");
                let raw = caller.ask("7", "tools/list", "").raw().to_vec();
                run.push((mode, String::from_utf8(raw).expect("it is text"), Value::Null));
            }
        }
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1], "lists are the same to the byte");
    let shown = |mode: &str| -> Vec<&Value> {
        let of_mode = runs[0].iter().filter(|(of, _, echo)| *of == mode && !echo.is_null());
        of_mode.map(|(_, _, echo)| echo).collect()
    };
    for echo in shown("raw") {
        assert!(echo["inputSchema"]["properties"]["text"]["title"].is_string(), "{echo}");
    }
    for echo in shown("native") {
        let words = echo["description"].as_str().expect("it has one");
        assert!(words.contains("Word for word, whatever it is."), "{echo}");
        assert!(echo["inputSchema"].to_string().find("title").is_none(), "{echo}");
        assert_eq!(echo["inputSchema"]["properties"]["text"]["type"], "string", "{echo}");
    }
    for echo in shown("lean") {
        assert_eq!(echo["description"], "Says it again.", "{echo}");
        assert_eq!(echo["inputSchema"]["required"][0], "text", "{echo}");
    }
    let bytes = |mode: &str| -> usize {
        runs[0].iter().filter(|(of, ..)| *of == mode).map(|(_, list, _)| list.len()).sum()
    };
    assert!(bytes("raw") > bytes("native") && bytes("native") > bytes("lean"));
}
