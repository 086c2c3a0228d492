//! `tools: jit` and `core:`, of servers and of teams.

use crate::call::{ToolChoice, ToolMode};
use crate::config::tests::{faults, good};
use crate::ids::{ServerName, TeamName};

const CONFIG: &str = "mcp: { tools: jit }\nproviders: { one: { dialect: demo } }\n\
    mcp_servers:\n  hub: { command: hub, tools: jit, core: [get_issue, \"search_*\"] }\n  \
    wiki: { command: wiki, tools: { read: { mode: jit } } }\n\
    teams:\n  dev: { tools: jit, core: { hub: [create_issue], \"w*\": [\"*\"] } }\n  rest: {}\n";

#[test]
fn core_tools_reach_those_who_make_lists_and_are_shown() {
    let loaded = good(CONFIG, &[]);
    let snapshot = &loaded.snapshot;
    assert_eq!(snapshot.mcp.tools, ToolChoice::Set(ToolMode::Jit));
    let [hub, wiki] = &snapshot.mcp.servers[..] else { panic!("two servers") };
    assert_eq!(hub.presentation.mode, Some(ToolMode::Jit));
    let core: Vec<&str> = hub.presentation.core.iter().map(|glob| glob.as_str()).collect();
    assert_eq!((core, wiki.presentation.core.len()), (vec!["get_issue", "search_*"], 0));
    assert_eq!(wiki.presentation.tools[0].mode, Some(ToolMode::Jit));
    let team = |name: &str| snapshot.rules.team(&TeamName::new(name)).unwrap();
    let has = |server: &str, tool: &str| team("dev").core.has(&ServerName::new(server), tool);
    assert!(has("hub", "create_issue") && has("wiki", "read") && !has("hub", "get_issue"));
    assert!(team("rest").core.is_empty());
    let shown = loaded.shown.to_string();
    assert!(shown.contains("tools: jit, core: [get_issue, \"search_*\"]"), "{shown}");
    assert!(shown.contains("tools: jit, core: { hub: [create_issue], \"w*\": [\"*\"] }"), "{shown}");
    let again = good(&shown.replace("********", "long-enough-for-a-key"), &[]).shown.to_string();
    let of = |text: &str, line: &str| text.lines().find(|one| one.contains(line)).map(str::to_owned);
    assert_eq!(of(&again, "hub: {"), of(&shown, "hub: {"));
    let json = serde_json::to_value(&loaded.shown).unwrap();
    assert_eq!(json["mcp_servers"][0]["core"][1], "search_*");
    assert_eq!(json["teams"][0]["core"]["hub"][0], "create_issue");
}

#[test]
fn faults_have_their_place() {
    let text = "providers: { one: { dialect: demo } }\nmcp_servers:\n  a: { command: a, core: get }\n  \
                b: { command: b, core: [\"x y\"] }\n\
                teams:\n  t: { core: [get] }\n  u: { core: { b: get } }\n";
    let expected = [
        "tollgate.yaml:3:26: mcp_servers.a.core: expected a list, found a text",
        "tollgate.yaml:4:27: mcp_servers.b.core: \"x y\" is no tool name: \
         use 1 to 256 characters without spaces",
        "tollgate.yaml:6:14: teams.t.core: expected a mapping, found a list",
        "tollgate.yaml:7:19: teams.u.core.b: expected a list, found a text",
    ];
    assert_eq!(faults(text, &[]), expected.join("\n"));
}
