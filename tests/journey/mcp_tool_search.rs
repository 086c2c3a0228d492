//! Tools that are in no list: found by what they do, called through doors, governed under their own names.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::find;
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::mcp_caller::Caller;
use crate::mcp_catalog::changeable;
use crate::mcp_sdk::Sdk;
use crate::peer::Peer;
use crate::peer::speaks_mcp::{self, Era, tools};
use crate::program::eventually;

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

const DOORS: [&str; 4] = ["find_tools", "call_tool_read", "call_tool_write", "call_tool_destructive"];

/// A tool, whether it only looks, and whether it destroys.
fn tool(name: &str, words: &str, hints: [bool; 2]) -> Value {
    let text = json!({ "type": "string" });
    let schema = json!({ "type": "object", "properties": { "text": text }, "required": ["text"] });
    let [read_only, destructive] = hints;
    let hints = json!({ "readOnlyHint": read_only, "destructiveHint": destructive });
    json!({ "name": name, "description": words, "inputSchema": schema, "annotations": hints })
}

/// A server of issues, which says what it was called.
pub(crate) fn hub(era: Era) -> Peer {
    let all = json!([
        tool("search_issues", "Finds issues of a repository by words. Slowly.", [true, false]),
        tool("create_issue", "Opens a new issue.", [false, false]),
        tool("delete_repository", "Deletes a repository for good.", [false, true]),
        tool("secret_issues", "Finds issues that few may see.", [true, false]),
    ]);
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => {
            let whole = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
            asked.answer(exchange, &format!("{{\"tools\":{all},{whole}}}"))
        }
        "tools/call" => {
            let said = format!(
                "did {} of {}",
                asked.message["params"]["name"].as_str().unwrap_or_default(),
                asked.argument("text")
            );
            let content = json!([{ "type": "text", "text": said }]);
            asked.answer(exchange, &format!("{{\"content\":{content},\"resultType\":\"complete\"}}"))
        }
        _ => Ok(None),
    })
}

/// A gateway for these servers where one team searches, and may use some tools of `hub`; calls cost money.
fn start(engine: Engine, servers: &str) -> Gateway {
    let grants = "hub: [search_issues, create_issue, delete_repository], fresh: [\"*\"]";
    let lines = format!("{servers}prices: {{ tools: [{{ server: hub, usd: 0.03 }}] }}\n");
    let text = config(engine, "http://127.0.0.1:9", &lines)
        .replace("narrow: { models", &format!("narrow: {{ tools: search, servers: {{ {grants} }}, models"));
    assert!(text.contains("tools: search"), "{text}");
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text);
    Gateway::run(&mut tollgate(folder.path()), folder)
}

fn hub_and_fresh(hub: &Peer, fresh: &Peer, era: Era) -> String {
    let (hub, fresh, era) = (hub.url(), fresh.url(), era.name());
    format!(
        "mcp_servers:\n  hub: {{ url: \"{hub}/mcp\", era: {era}, trusted: true }}\n  \
         fresh: {{ url: \"{fresh}/mcp\", era: {era}, pin: approve }}\n"
    )
}

/// What the client calls, in this order.
fn script() -> Value {
    let text = json!({ "text": "x" });
    let door = |door: &str, name: &str| json!([door, { "name": name, "arguments": text }]);
    json!([
        ["find_tools", { "query": "find issues by words" }],
        door("call_tool_read", "search_issues"),
        door("call_tool_write", "create_issue"),
        door("call_tool_read", "delete_repository"),
        door("call_tool_destructive", "delete_repository"),
        door("call_tool_read", "secret_issues"),
        ["find_tools", { "query": "issues that few may see" }],
        ["find_tools", { "query": "search_issues", "full": true }],
        ["call_tool_read", { "name": "search_issues", "arguments": "{\"text\":\"x\"}" }],
        ["find_tools", {}],
        ["find_tools", { "query": "fresh things" }],
        door("call_tool_write", "fresh_thing"),
        ["find_tools", { "query": "zebra" }],
    ])
}

/// Holds what a client reports of [`script`] against what it has to be.
#[track_caller]
fn assert_answers(answers: &[Value]) {
    let text =
        |place: usize| answers[place]["text"].as_str().unwrap_or_else(|| panic!("{:?}", answers[place]));
    let ok = |place: usize| answers[place]["is_error"] == false;
    let lines: Vec<&str> = text(0).lines().collect();
    let best = "call_tool_read search_issues(text: string) - Finds issues of a repository by words.";
    assert_eq!(lines[0], best);
    assert!(lines.len() <= 5 && ok(0), "{lines:?}");
    assert_eq!((text(1), text(2)), ("did search_issues of x", "did create_issue of x"));
    assert_eq!(text(3), "delete_repository is called with call_tool_destructive, not with call_tool_read");
    assert!(!ok(3) && ok(4) && text(4) == "did delete_repository of x", "{answers:?}");
    let refused = answers[5]["refused"].as_str().unwrap_or_default();
    assert!(refused.contains("secret_issues"), "{answers:?}");
    for place in [0, 6, 7, 10] {
        assert!(!text(place).contains("secret") && !text(place).contains("fresh_thing"), "{}", text(place));
    }
    assert!(text(7).starts_with("call_tool_read {\"name\":\"search_issues\""), "{}", text(7));
    assert!(text(7).contains("Slowly.") && text(7).contains("\"inputSchema\""), "{}", text(7));
    assert!(!ok(8) && text(8).contains("`arguments` is an object"), "{}", text(8));
    assert!(!ok(9) && text(9).contains("`query` is missing"), "{}", text(9));
    let waits = answers[11]["refused"].as_str().unwrap_or_default();
    assert!(waits.contains("fresh_thing") && waits.contains("approval"), "{answers:?}");
    assert!(ok(12) && text(12).contains("Nothing fits"), "{}", text(12));
}

/// Holds the ledger of [`script`] against what it has to be.
#[track_caller]
fn assert_ledger(gateway: Gateway) {
    let entries = entries_of(gateway);
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
    assert_eq!(calls.len(), 13, "{calls:#?}");
    let row = |place: usize| {
        let text = |name: &str| calls[place][name].as_str().unwrap_or_default();
        [text("server"), text("tool"), text("class"), text("sought")]
    };
    let words = "find issues by words";
    assert_eq!(row(0), ["", "find_tools", "read", words]);
    let decision = |place: usize| calls[place]["decision"].as_str().unwrap_or_default();
    assert!(decision(0).starts_with("found hub.search_issues"), "{}", decision(0));
    assert_eq!(row(1), ["hub", "search_issues", "read", words]);
    assert_eq!(row(2)[..3], ["hub", "create_issue", "write"]);
    assert_eq!(row(3)[..3], ["hub", "delete_repository", "destructive"]);
    assert!(decision(3).starts_with("refused: "), "{}", decision(3));
    assert_eq!(row(4)[..3], ["hub", "delete_repository", "destructive"]);
    assert_eq!(row(5)[..2], ["hub", "secret_issues"]);
    assert!(decision(5).contains("not allowed"), "{}", decision(5));
    assert_eq!(row(11)[..2], ["fresh", "fresh_thing"]);
    assert_eq!(decision(12), "found nothing");
    let paid = |place: usize| calls[place]["cost_pico"].as_u64();
    assert_eq!([paid(1), paid(2), paid(4)], [Some(30_000_000_000); 3], "{calls:#?}");
    assert_eq!([paid(0), paid(3), paid(5)], [Some(0); 3], "{calls:#?}");
}

fn calls_of(server: &Peer) -> usize {
    server.seen().iter().filter(|seen| find(&seen.body, b"\"tools/call\"").is_some()).count()
}

#[test]
fn official_clients_find_and_call_what_is_in_no_list() {
    for (era, client) in
        [(Era::Legacy, "1.30.0"), (Era::Modern, "2.3.0-modern"), (Era::Legacy, "2.3.0-modern")]
    {
        let server = hub(era);
        let fresh = speaks_mcp::start(era, |asked, exchange| match &*asked.method {
            "tools/list" => asked.answer(exchange, &tools(&["fresh_thing"])),
            _ => Ok(None),
        });
        let gateway = start(Engine::Epoll, &hub_and_fresh(&server, &fresh, era));
        let url = format!("{}/mcp", gateway.url());
        let seen = Sdk::Python(client).calls(&url, NARROW_KEY, &script());
        assert_eq!(seen["tools"], json!(DOORS), "{client}: {seen}");
        assert_answers(seen["answers"].as_array().expect("it has called"));
        assert_eq!((calls_of(&server), calls_of(&fresh)), (3, 0), "{client}");
        assert_ledger(gateway);
    }
}

#[test]
fn doors_are_for_those_whose_lists_are_short() {
    for_each_engine(|engine| {
        let server = hub(Era::Modern);
        let url = server.url();
        let servers = format!("mcp_servers:\n  hub: {{ url: \"{url}/mcp\", era: modern, trusted: true }}\n");
        let gateway = start(engine, &servers);
        for era in BOTH {
            let mut all = Caller::with(&gateway, era, "/mcp", KEY, "{}");
            assert_eq!(all.tools().len(), 4, "the other team lists everything");
            assert!(all.call("1", "find_tools", "{\"query\":\"x\"}").error().contains("Unknown tool"));
            let mut narrow = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
            assert_eq!(narrow.tools(), DOORS);
            // What one knows by name one may call by name.
            let said = narrow.call("2", "search_issues", "{\"text\":\"y\"}").result();
            assert_eq!(said["content"][0]["text"], "did search_issues of y");
            // At the address of one server it is the same.
            let mut alone = Caller::with(&gateway, era, "/mcp/hub", NARROW_KEY, "{}");
            assert_eq!(alone.tools(), DOORS);
            let inner = "{\"name\":\"create_issue\",\"arguments\":{\"text\":\"z\"}}";
            let said = alone.call("3", "call_tool_write", inner).result();
            assert_eq!(said["content"][0]["text"], "did create_issue of z");
            let said = alone.call("4", "call_tool_read", inner).result();
            assert_eq!(said["isError"], true, "{said}");
        }
    });
}

#[test]
fn what_a_server_comes_to_offer_is_found() {
    for era in BOTH {
        let (server, switch) = changeable(era);
        let (url, name) = (server.url(), era.name());
        let servers = format!("mcp_servers:\n  fresh: {{ url: \"{url}/mcp\", era: {name}, pin: off }}\n");
        let gateway = start(Engine::Epoll, &servers);
        let mut caller = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
        let list = |caller: &mut Caller| caller.ask("1", "tools/list", "").result()["tools"].clone();
        let before = list(&mut caller);
        let find = |caller: &mut Caller, query: &str| {
            let arguments = format!("{{\"query\":\"{query}\"}}");
            caller.call("2", "find_tools", &arguments).result()["content"][0]["text"].to_string()
        };
        assert!(find(&mut caller, "one").contains("call_tool_write one("));
        assert!(find(&mut caller, "two").contains("Nothing fits"));
        *switch.0.lock().expect("no holder panics") = true;
        switch.1.notify_all();
        eventually("the new tool is found", Duration::from_secs(60), || {
            find(&mut caller, "two").contains("call_tool_write two(")
        });
        assert_eq!(list(&mut caller), before, "and no list has changed");
    }
}
