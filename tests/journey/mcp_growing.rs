//! Lists of tools that grow by what is found: Claude Code calls it by its own name in the next turn, and a
//! client that does not list anew calls it by a door.

use serde_json::{Value, json};

use crate::gateway::{Engine, Gateway, KEY, for_each_engine};
use crate::ledger::entries_of;
use crate::mcp_caller::{Caller, gateway};
use crate::mcp_catalog::hears;
use crate::mcp_claude_code::{UPFRONT, asked, offered, outcome, play};
use crate::mcp_sdk::Sdk;
use crate::mcp_tool_search::hub;
use crate::peer::Peer;
use crate::peer::offers_many_tools;
use crate::peer::scripted_turns;
use crate::peer::speaks_mcp::Era;

pub(crate) const FIND: &str = "mcp__tollgate__find_tools";
pub(crate) const WANTED: &str = "mcp__tollgate__look_137";
pub(crate) const DOORS: [&str; 4] =
    ["find_tools", "call_tool_read", "call_tool_write", "call_tool_destructive"];

/// How often Claude Code finds and calls; the whole proof sets `TOLLGATE_FINDS=50`.
fn finds() -> usize {
    std::env::var("TOLLGATE_FINDS").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Whether a request lets the model call a tool of ours at once: it is defined, and nobody has to load it, or
/// the conversation has loaded it.
pub(crate) fn can_call(request: &Value, wanted: &str) -> bool {
    let tools = request["tools"].as_array().expect("tools are offered");
    let Some(tool) = tools.iter().find(|tool| tool["name"] == wanted) else { return false };
    let messages = request["messages"].as_array().expect("something has been said").iter();
    let mut blocks = messages.filter_map(|message| message["content"].as_array()).flatten();
    tool["defer_loading"] != true
        || blocks.any(|block| block["type"] == "tool_addition" && block["tool"]["name"] == wanted)
}

/// What stands before the conversation, and is paid for anew when it changes: the system prompt, and the
/// tools in their order, but for those that are deferred, which are no part of it.
fn prefix(request: &Value) -> String {
    let tools = request["tools"].as_array().expect("tools are offered").iter();
    let loaded: Vec<&Value> = tools.filter(|tool| tool["defer_loading"] != true).collect();
    json!([request["system"], loaded]).to_string()
}

/// Lets Claude Code find a tool and call it twice; what the model was asked.
fn found_and_called(many: &Peer, environment: &[(&str, &str)]) -> (Vec<Value>, Gateway) {
    let model = scripted_turns::start(vec![
        vec![("toolu_find", FIND, json!({ "query": "volume 137 of the great dictionary" }))],
        vec![("toolu_look", WANTED, json!({ "word": "łódź" }))],
        vec![("toolu_again", WANTED, json!({ "word": "wieś" }))],
    ]);
    let url = many.url();
    let servers = format!(
        "mcp: {{ tools: jit }}\nmcp_servers:\n  \
         many: {{ url: \"{url}/mcp\", trusted: true, core: [look_007] }}\n"
    );
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &servers);
    play(&gateway, environment);
    let requests = asked(&model);
    assert_eq!(requests.len(), 4, "three turns and the end");
    assert_eq!(offered(&requests[0]), [FIND, "mcp__tollgate__look_007"], "and no other");
    assert!(!requests[0].to_string().contains("look_137"), "not even its name");
    let told = outcome(&requests, "toolu_find");
    assert!(told.contains("in your list of tools now") && told.contains(r#"\nlook_137""#), "{told}");
    assert!(outcome(&requests, "toolu_look").contains("look_137 heard łódź"));
    assert!(outcome(&requests, "toolu_again").contains("look_137 heard wieś"));
    (requests, gateway)
}

#[test]
fn claude_code_calls_what_it_has_found_by_its_own_name_in_the_next_turn() {
    let many = offers_many_tools::start();
    let mut in_time = 0;
    for run in 0..finds() {
        let (requests, gateway) = found_and_called(&many, &[]);
        assert!(!can_call(&requests[0], WANTED));
        in_time += usize::from(can_call(&requests[1], WANTED));
        for request in &requests[1..] {
            assert_eq!(prefix(&requests[0]), prefix(request), "what came before is as it was");
        }
        let calls = gateway.log().all("call");
        let opened = calls.iter().find(|call| call["method"] == "initialize").expect("it opens a session");
        assert_eq!(opened["version"], "2025-11-25", "{opened}");
        let search = calls.iter().find(|call| call["name"] == "find_tools").expect("it searches");
        eprintln!("the result of the search was held for {} ms", search["ms"]);
        if run == 0 {
            assert_ledger(gateway);
        }
    }
    eprintln!("{in_time} of {} in the very next request", finds());
    assert_eq!(in_time, finds());
}

#[test]
fn what_is_found_is_there_where_all_definitions_are_sent_at_once() {
    let (requests, _gateway) = found_and_called(&offers_many_tools::start(), &[UPFRONT]);
    assert!(can_call(&requests[1], WANTED), "{:?}", offered(&requests[1]));
}

#[track_caller]
fn assert_ledger(gateway: Gateway) {
    let entries = entries_of(gateway);
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
    assert_eq!(calls.len(), 3, "{calls:#?}");
    let words = "volume 137 of the great dictionary";
    for (call, (server, tool)) in
        calls.iter().zip([("", "find_tools"), ("many", "look_137"), ("many", "look_137")])
    {
        let server_of = call["server"].as_str().unwrap_or_default();
        assert_eq!((server_of, &call["tool"]), (server, &json!(tool)), "{call:#}");
        assert_eq!(call["sought"], words, "{call:#}");
    }
    let decision = calls[0]["decision"].as_str().unwrap_or_default();
    assert!(decision.starts_with("found many.look_137"), "{decision}");
    assert!(decision.ends_with(", added to the list"), "{decision}");
    assert_eq!((&calls[1]["tool_use_id"], &calls[1]["class"]), (&json!("toolu_look"), &json!("read")));
}

#[test]
fn a_client_that_does_not_list_anew_calls_by_doors() {
    for client in ["1.30.0", "2.3.0-modern", "2.3.0-legacy"] {
        let server = hub(Era::Modern);
        let servers = format!(
            "mcp: {{ tools: jit }}\nmcp_servers:\n  hub: {{ url: \"{}/mcp\", trusted: true }}\n",
            server.url()
        );
        let gateway = gateway(Engine::Epoll, &servers);
        let text = json!({ "text": "x" });
        let script = json!([
            ["find_tools", { "query": "find issues by words" }],
            ["call_tool_read", { "name": "search_issues", "arguments": text }],
            ["find_tools", { "query": "open a new issue" }],
            ["create_issue", text],
        ]);
        let seen = Sdk::Python(client).calls(&format!("{}/mcp", gateway.url()), KEY, &script);
        assert_eq!(seen["tools"], json!(DOORS), "{client}: {seen}");
        let text = |place: usize| seen["answers"][place]["text"].as_str().unwrap_or_default();
        let best = "call_tool_read search_issues(text: string) - Finds issues of a repository by words.";
        assert!(text(0).starts_with(best), "{client}: {seen}");
        assert_eq!(text(1), "did search_issues of x", "{client}: {seen}");
        assert!(text(2).starts_with("call_tool_write create_issue("), "{client}: {seen}");
        assert_eq!(text(3), "did create_issue of x", "what one knows by name one may call by name: {seen}");
    }
}

/// The text of the answer to a search.
fn told(answer: &Value) -> &str {
    answer["result"]["content"][0]["text"].as_str().unwrap_or_else(|| panic!("no text: {answer}"))
}

#[test]
fn any_client_that_lists_anew_has_what_it_finds() {
    for_each_engine(|engine| {
        let server = hub(Era::Modern);
        let servers = format!(
            "mcp_servers:\n  hub: {{ url: \"{}/mcp\", trusted: true, tools: jit, core: [\"create_*\"] }}\n",
            server.url()
        );
        let gateway = gateway(engine, &servers);
        let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
        let mut other = Caller::new(&gateway, Era::Legacy, "/mcp/hub");
        let shared = [&DOORS[..], &["create_issue"]].concat();
        assert_eq!([caller.tools(), other.tools()], [&shared[..], &shared[..]]);
        let (mut finder, mut stream) = (caller.twin(), caller.twin());
        stream.client().send(&caller.http("GET", "", b""));
        assert_eq!(stream.client().head().status, 200);
        let find = caller.call_request("7", "find_tools", "{\"query\":\"find issues by words\"}", "");
        finder.client().send(&find);
        hears(&mut stream, "notifications/tools/list_changed");
        let grown = [&shared[..], &["search_issues", "secret_issues"]].concat();
        assert_eq!(caller.tools(), grown, "at the end, the best first");
        let answer = finder.client().reply().json();
        assert!(told(&answer).starts_with("These are in your list of tools now"), "{answer}");
        assert!(told(&answer).contains("\nsearch_issues\n"), "{answer}");
        let said = caller.call("8", "search_issues", "{\"text\":\"y\"}").result();
        assert_eq!(said["content"][0]["text"], "did search_issues of y");
        // Who searches for the same once more need not list.
        let answer = finder.exchange(&find);
        assert!(told(&answer.json()).starts_with("These are in your list"), "{answer:?}");
        assert!(answer.before().is_empty());
        assert_eq!(other.tools(), shared, "another session has found nothing");
        let again = "{\"query\":\"delete a repository\"}";
        finder.client().send(&caller.call_request("9", "find_tools", again, ""));
        hears(&mut stream, "notifications/tools/list_changed");
        let answer = finder.client().reply().json();
        // It has not listed this time, and is not waited for again.
        assert!(told(&answer).starts_with("call_tool_destructive delete_repository("), "{answer}");
        assert_eq!(caller.tools(), [&grown[..], &["delete_repository"]].concat(), "nothing goes");
    });
}

#[test]
fn without_a_stream_the_answer_of_the_search_brings_the_news() {
    let server = hub(Era::Legacy);
    let servers =
        format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", trusted: true, tools: jit }}\n", server.url());
    let gateway = gateway(Engine::Epoll, &servers);
    let mut caller = Caller::new(&gateway, Era::Legacy, "/mcp");
    let answer = caller.call("7", "find_tools", "{\"query\":\"find issues by words\"}");
    assert_eq!(answer.before()[0]["method"], "notifications/tools/list_changed", "{answer:?}");
    assert!(told(&answer.json()).starts_with("call_tool_read search_issues("), "{answer:?}");
    let answer = caller.call("8", "find_tools", "{\"query\":\"delete a repository\"}");
    assert!(answer.before().is_empty(), "it is not told of what it does not look at: {answer:?}");
}

#[test]
fn claude_code_is_led_to_a_session_and_others_are_not() {
    let server = hub(Era::Modern);
    let lines = |tools: &str| {
        format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", trusted: true, tools: {tools} }}\n", server.url())
    };
    for (tools, client, version, speaks) in [
        ("jit", "claude-code", "2.1.330", false),
        ("jit", "claude-code", "2.1.100", true),
        ("jit", "somebody", "9.9.9", true),
        ("search", "claude-code", "2.1.330", true),
    ] {
        let gateway = gateway(Engine::Epoll, &lines(tools));
        let mut caller = Caller::new(&gateway, Era::Modern, "/mcp");
        let info = format!(
            "\"io.modelcontextprotocol/clientInfo\":{{\"name\":\"{client}\",\"version\":\"{version}\"}}"
        );
        let request = caller.request("1", "server/discover", "", &info);
        let answer = caller.exchange(&request).json();
        assert_eq!(answer["error"]["code"] == -32601, !speaks, "{tools} {client}: {answer}");
        // Whatever it does then, it can find and call.
        assert_eq!(caller.tools(), DOORS);
    }
}
