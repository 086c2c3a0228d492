//! What tools took of sessions, by the ledger: how lists of them were written for whom, by whose word, and
//! what each mode would have cost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Engine, Gateway, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway};
use crate::mcp_claude_code::play;
use crate::peer::speaks_mcp::Era;
use crate::peer::{Peer, offers_many_tools, scripted_turns};
use crate::program::{self, eventually};

const DEADLINE: Duration = Duration::from_secs(60);

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// All ways that `tools cost` tells, in its order.
const WAYS: [&str; 10] = [
    "raw",
    "native",
    "lean",
    "deferred",
    "deferred_by_name",
    "deferred_native",
    "deferred_lean",
    "jit",
    "search",
    "code",
];

/// The config of 200 tools of one server.
fn many(server: &Peer, mcp: &str, more: &str) -> String {
    format!("{mcp}mcp_servers:\n  many: {{ url: \"{}/mcp\", trusted: true{more} }}\n", server.url())
}

/// Waits until the server has told what it offers: what is chosen depends on it.
#[track_caller]
fn is_listed(gateway: &Gateway) {
    let listed = || !gateway.log().all("listed an MCP server").is_empty();
    eventually("the server has listed its tools", DEADLINE, listed);
}

/// What a look at the ledger or at costs prints as JSON.
#[track_caller]
fn told(gateway: &Gateway, words: &[&str]) -> Value {
    let mut command = tollgate(gateway.folder().path());
    let outcome = program::run(command.args(words), DEADLINE).succeeded();
    serde_json::from_str(&outcome.stdout).unwrap_or_else(|why| panic!("{why}: {}", outcome.stdout))
}

/// The tokens of each way.
fn tokens(told: &Value) -> BTreeMap<String, u64> {
    let modes = told["modes"].as_array().expect("there are modes").iter();
    let number = |mode: &Value| mode["tokens"].as_str().and_then(|text| text.parse().ok());
    modes
        .map(|mode| {
            (mode["mode"].as_str().expect("a mode has a word").to_owned(), number(mode).expect("a number"))
        })
        .collect()
}

#[test]
fn sessions_of_claude_code_are_told_with_the_mode_that_was_chosen_and_what_each_would_have_cost() {
    let server = offers_many_tools::start();
    let model = scripted_turns::start(vec![
        vec![("toolu_find", "mcp__tollgate__find_tools", json!({ "query": "volume 137 of the dictionary" }))],
        vec![("toolu_look", "mcp__tollgate__look_137", json!({ "word": "a" }))],
        vec![("toolu_again", "mcp__tollgate__look_137", json!({ "word": "b" }))],
    ]);
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &many(&server, "", ""));
    is_listed(&gateway);
    // Another client with the same key, which is not of the session.
    assert_eq!(Caller::new(&gateway, Era::Modern, "/mcp").tools().len(), 4);
    play(&gateway, &[]);

    let cost = told(&gateway, &["tools", "cost", "--from-ledger", "--days", "1", "--json"]);
    let modes = cost["modes"].as_array().expect("there are modes");
    assert_eq!(modes.iter().map(|mode| mode["mode"].as_str().unwrap_or_default()).collect::<Vec<_>>(), WAYS);
    for mode in modes {
        assert_eq!(mode["sessions"], 1, "{mode}");
        let dollars = mode["cost_pico"].as_str().and_then(|text| text.parse::<u128>().ok());
        assert!(dollars.is_some_and(|pico| pico > 0), "{mode}");
    }
    let sums = tokens(&cost);
    for ours in ["jit", "search", "code"] {
        assert!(sums[ours] < sums["deferred"] && sums["deferred"] < sums["raw"], "{ours}: {sums:?}");
    }
    assert!(sums["native"] <= sums["raw"] && sums["deferred_native"] <= sums["deferred"], "{sums:?}");
    let lists = cost["lists"].as_array().expect("there are lists");
    let of = |mode: &str| lists.iter().find(|list| list["mode"] == mode).unwrap_or_else(|| panic!("{cost}"));
    let (jit, search) = (of("jit"), of("search"));
    assert_eq!((&jit["mode_by"], &jit["sessions"]), (&json!("auto"), &json!(1)), "{cost}");
    assert_eq!(jit["tokens"], json!(sums["jit"].to_string()), "the session was one of `jit`");
    // It listed at its start, and once more when something had been found.
    assert!(jit["lists"].as_u64().is_some_and(|count| count >= 2), "{cost}");
    assert_eq!(search["mode_by"], "auto", "{cost}");
    assert_eq!((&search["lists"], &search["sessions"]), (&json!(1), &json!(0)), "{cost}");

    let found = told(&gateway, &["ledger", "search", "kind:tool_list", "mode:jit", "mode:auto", "--json"]);
    let entries = found["entries"].as_array().expect("there are entries");
    assert_eq!(json!(entries.len()), jit["lists"], "{found}");
    let client = entries[0]["client"].as_str().unwrap_or_default();
    assert!(client.starts_with("claude-code/"), "{client}");
    let none = told(&gateway, &["ledger", "search", "mode:config", "--json"]);
    assert_eq!(none["entries"], json!([]));
    entries_of(gateway);
}

#[test]
fn the_ledger_has_the_first_page_of_each_list_of_tools_and_how_it_was_written() {
    let server = offers_many_tools::start();
    for_each_engine(|engine| {
        for (mcp, more, path, expected) in [
            ("", "", "/mcp", ["search", "auto", ""]),
            ("mcp: { tools: jit }\n", "", "/mcp", ["jit", "config", ""]),
            ("mcp: { tools: jit }\n", ", tools: code", "/mcp/many", ["code", "config", "many"]),
            ("", ", tools: raw", "/mcp", ["raw", "config", ""]),
        ] {
            let gateway = gateway(engine, &many(&server, mcp, more));
            is_listed(&gateway);
            for era in BOTH {
                let mut caller = Caller::new(&gateway, era, path);
                caller.tools();
                // Lists of other things, and of pages that do not exist, are none of tools.
                caller.ask("2", "prompts/list", "").result();
                caller.ask("3", "tools/list", "\"cursor\":\"nowhere\"").error();
            }
            let entries = entries_of(gateway);
            assert_eq!(entries.len(), 2, "{entries:#?}");
            for entry in entries {
                assert_eq!((&entry["kind"], &entry["method"]), (&json!("tool_list"), &json!("tools/list")));
                let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
                assert_eq!(["mode", "mode_by", "server"].map(text), expected, "{entry:#}");
                assert_eq!((&entry["key"], &entry["status"]), (&json!("main"), &json!(200)), "{entry:#}");
                assert_eq!(entry["outcome"], "done", "{entry:#}");
            }
        }
    });
}
