//! Who may do what, as callers meet it: what is hidden, denied, asked about, and how records tell it.

use std::time::Duration;

use serde_json::{Value, json};

use crate::claude_code::{claude, result};
use crate::client::{find, once, post};
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::mcp_caller::Caller;
use crate::mcp_catalog::hears;
use crate::peer::scripted_turns::{self, DONE};
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{Peer, scripted_upstream};
use crate::program::{self, eventually};

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];
const SOON: Duration = Duration::from_secs(15);
const MARK: &str = "anthropic/requiresUserInteraction";

/// A client that asks a person.
const CLAUDE_CODE: &str = "User-Agent: claude-code/2.1.330 (cli)\r\n";

/// What team `narrow` may do at the server `one`.
const LISTS: &str = "{ allow: [\"read/*\", \"wr*\"], ask: [\"merge*\"], deny: [\"*secret*\"] }";

/// A server with a tool of each kind; what it says of them is believed.
fn server(era: Era) -> Peer {
    speaks_mcp::start(era, |asked, exchange| {
        if asked.method != "tools/list" {
            return Ok(None);
        }
        let tool = |name: &str, hints: &str| {
            let schema = "\"inputSchema\":{\"type\":\"object\"}";
            format!(
                "{{\"name\":\"{name}\",\"description\":\"Does {name}\",\"annotations\":{hints},{schema}}}"
            )
        };
        let tools = [
            tool("look", "{\"readOnlyHint\":true}"),
            tool("read_secret", "{\"readOnlyHint\":true}"),
            tool("write", "{\"readOnlyHint\":false,\"destructiveHint\":false}"),
            tool("merge", "{\"destructiveHint\":true}"),
            tool("wipe", "{\"destructiveHint\":true}"),
            tool("odd", "{}"),
        ];
        let members = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
        asked.answer(exchange, &format!("{{\"tools\":[{}],{members}}}", tools.join(",")))
    })
}

/// The text of a config in which team `narrow` has these lists.
fn text(engine: Engine, model: &str, server: &Peer, era: Era, (lists, more): (&str, &str)) -> String {
    let team = format!("narrow: {{ models: [\"claude-allowed*\"], servers: {{ one: {lists} }} }}");
    let (url, era) = (server.url(), era.name());
    let servers = format!("mcp_servers:\n  one: {{ url: \"{url}/mcp\", era: {era}, trusted: true }}\n{more}");
    config(engine, model, &servers).replace("narrow: { models: [\"claude-allowed*\"] }", &team)
}

#[track_caller]
fn gateway(engine: Engine, model: &str, server: &Peer, era: Era, rules: (&str, &str)) -> Gateway {
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text(engine, model, server, era, rules));
    let path = folder.path().to_owned();
    Gateway::run(&mut tollgate(&path), folder)
}

/// The tools that reached a server, by its own names, in order.
fn called(server: &Peer) -> Vec<String> {
    let bodies =
        server.seen().into_iter().filter_map(|seen| serde_json::from_slice::<Value>(&seen.body).ok());
    let calls = bodies.filter(|message| message["method"] == "tools/call");
    calls.map(|message| message["params"]["name"].as_str().unwrap_or_default().to_owned()).collect()
}

#[test]
fn a_list_has_what_may_be_called_and_a_call_by_name_gets_no_further() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let server = server(server_era);
            let gateway = gateway(engine, "http://127.0.0.1:9", &server, server_era, (LISTS, ""));
            for (turn, era) in BOTH.into_iter().enumerate() {
                let mut caller = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
                assert_eq!(caller.tools(), ["look", "merge", "write"]);
                for tool in ["look", "write"] {
                    assert!(caller.call("1", tool, "{}").result().is_object(), "{tool}");
                }
                let refused = caller.call("2", "read_secret", "{}").error();
                assert!(refused.contains("team narrow: servers one: deny *secret*"), "{refused}");
                for tool in ["wipe", "odd"] {
                    let refused = caller.call("3", tool, "{}").error();
                    assert!(refused.contains("team narrow allows of it: read/*, wr*, merge*"), "{refused}");
                }
                assert!(caller.call("4", "nothing", "{}").error().contains("Unknown tool"));
                assert_eq!(called(&server).len(), 2 * (turn + 1), "{:?}", called(&server));
                // Whoever has no lists is not narrowed by those of others.
                assert_eq!(Caller::new(&gateway, era, "/mcp").tools().len(), 6);
            }
            let entries = entries_of(gateway);
            let of = |tool: &str| entries.iter().filter(|entry| entry["tool"] == tool).collect::<Vec<_>>();
            for (tool, count, decision, class) in [
                ("look", 2, "team narrow: servers one: read/*", "read"),
                ("write", 2, "team narrow: servers one: wr*", "write"),
                ("read_secret", 2, "denied by team narrow: servers one: deny *secret*", "read"),
                ("wipe", 2, "not allowed by team narrow", "destructive"),
                ("odd", 2, "not allowed by team narrow", "unknown"),
            ] {
                let found = of(tool);
                assert_eq!(found.len(), count, "{tool} {entries:#?}");
                for entry in found {
                    assert_eq!(entry["decision"], decision, "{entry:#}");
                    // What nobody knows need not be said.
                    assert_eq!(entry["class"].as_str().unwrap_or("unknown"), class, "{entry:#}");
                    assert_eq!(entry["policy"].as_str().map(str::len), Some(12), "{entry:#}");
                }
            }
        }
    });
}

#[test]
fn what_has_to_be_asked_about_runs_for_clients_that_ask_alone() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let server = server(server_era);
            let gateway = gateway(engine, "http://127.0.0.1:9", &server, server_era, (LISTS, ""));
            for era in BOTH {
                let mut caller = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
                let list = caller.ask("1", "tools/list", "").result();
                let marks: Vec<_> = list["tools"]
                    .as_array()
                    .expect("a list")
                    .iter()
                    .filter(|tool| tool["_meta"][MARK] == true)
                    .map(|tool| tool["name"].clone())
                    .collect();
                assert_eq!(marks, ["merge"], "{list}");
                let before = called(&server).len();
                let refused = caller.call("2", "merge", "{}").error();
                let wanted =
                    "needs a person's approval for each call (rule `team narrow: servers one: ask merge*`)";
                assert!(refused.contains(wanted), "{refused}");
                assert_eq!(called(&server).len(), before);
                let mut request = caller.call_request("3", "merge", "{}", "");
                let end = find(&request, b"Content-Type").expect("a request has a type");
                request.splice(end..end, CLAUDE_CODE.bytes());
                assert!(caller.exchange(&request).result().is_object());
                assert_eq!(called(&server).last().map(String::as_str), Some("merge"));
            }
            let entries = entries_of(gateway);
            let refused = entries.iter().filter(|entry| {
                let decision = entry["decision"].as_str().unwrap_or_default();
                decision.starts_with("nobody could be asked") && entry["tool"] == "merge"
            });
            assert_eq!(refused.count(), 2, "{entries:#?}");
        }
    });
}

/// Calls a tool as Claude Code does.
fn called_by_claude_code(caller: &mut Caller, tool: &str) -> Value {
    let mut request = caller.call_request("3", tool, "{}", "");
    let end = find(&request, b"Content-Type").expect("a request has a type");
    request.splice(end..end, CLAUDE_CODE.bytes());
    caller.exchange(&request).json()
}

/// Opens the stream on which a caller hears of changes.
fn listening(caller: &Caller, era: Era) -> Caller {
    let mut stream = caller.twin();
    let filter = "\"notifications\":{\"toolsListChanged\":true}";
    let request = match era {
        Era::Modern => caller.request("\"listen:0\"", "subscriptions/listen", filter, ""),
        Era::Legacy => caller.http("GET", "", b""),
    };
    stream.client().send(&request);
    assert_eq!(stream.client().head().status, 200);
    if era == Era::Modern {
        hears(&mut stream, "notifications/subscriptions/acknowledged");
    }
    stream
}

#[test]
fn what_has_to_be_asked_about_since_a_reload_is_listed_anew_before_it_is_called() {
    for_each_engine(|engine| {
        for (server_era, era) in BOTH.into_iter().flat_map(|one| BOTH.map(|other| (one, other))) {
            let server = server(server_era);
            let lists = |ask: &str| format!("{{ allow: [\"read/*\", \"wr*\"], ask: [{ask}] }}");
            let nowhere = "http://127.0.0.1:9";
            let gateway = gateway(engine, nowhere, &server, server_era, (&lists("\"merge\""), ""));
            let mut caller = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
            let unlisted = called_by_claude_code(&mut caller, "merge");
            let error = unlisted["error"]["message"].as_str().unwrap_or_default();
            assert!(error.contains("list the tools again (tools/list)"), "it has no list: {unlisted}");
            assert_eq!(caller.tools(), ["look", "merge", "read_secret", "write"]);
            for tool in ["merge", "write"] {
                assert!(called_by_claude_code(&mut caller, tool)["result"].is_object(), "{tool}");
            }
            let count = called(&server).len();
            let new = text(engine, nowhere, &server, server_era, (&lists("\"merge\", \"wr*\""), ""));
            gateway.folder().write("tollgate.yaml", &new);
            eventually("the config is taken", SOON, || gateway.log().find("reloaded").is_some());
            // Everybody is told then; this stream is opened later.
            assert_eq!(Caller::new(&gateway, era, "/mcp").tools().len(), 6);
            let mut stream = listening(&caller, era);
            let refused = called_by_claude_code(&mut caller, "write");
            let error = refused["error"]["message"].as_str().unwrap_or_default();
            assert!(error.contains("list the tools again (tools/list)"), "{refused}");
            assert_eq!(called(&server).len(), count, "it would have been called unasked");
            hears(&mut stream, "notifications/tools/list_changed");
            // What it knows to ask about it may call.
            assert!(called_by_claude_code(&mut caller, "merge")["result"].is_object());
            caller.tools();
            let answer = called_by_claude_code(&mut caller, "write");
            assert!(answer["result"].is_object(), "{answer}");
            let entries = entries_of(gateway);
            let refused = entries.iter().filter(|entry| {
                let decision = entry["decision"].as_str().unwrap_or_default();
                decision.starts_with("refused: listed before it had to be asked about: team narrow")
            });
            assert_eq!(refused.count(), 2, "{entries:#?}");
        }
    });
}

#[test]
fn a_name_that_is_read_in_two_ways_passes_nothing_that_is_denied() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let server = server(server_era);
            let gateway = gateway(engine, "http://127.0.0.1:9", &server, server_era, (LISTS, ""));
            for era in BOTH {
                for params in [
                    r#""n\u0061me":"wipe""#,
                    r#""name":"look","name":"wipe""#,
                    r#""name":"wipe","name":"look""#,
                    r#""name":"look","n\u0061me":"wipe""#,
                    r#""n\u0061me":"wipe","name":"look""#,
                    r#""name":"w\u0069pe""#,
                    r#""name":"look","arguments":{},"name":"wipe""#,
                    r#""name":"look\u0000wipe""#,
                    r#""name":["wipe"]"#,
                    r#""name":"wipe ""#,
                    r#""Name":"wipe""#,
                ] {
                    let mut caller = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
                    let mut request = caller.request("7", "tools/call", params, "");
                    // The header that has to be there says what the rules allow.
                    if era == Era::Modern
                        && find(&request, b"Mcp-Name").is_none()
                        && let Some(at) = find(&request, b"Content-Type")
                    {
                        request.splice(at..at, *b"Mcp-Name: look\r\n");
                    }
                    let answer = caller.exchange(&request);
                    let passed = called(&server).into_iter().find(|name| name != "look");
                    assert_eq!(passed, None, "{params} {answer:?}");
                }
                // Params twice, and the whole method.
                for members in [
                    r#""method":"tools/call","params":{"name":"look"},"params":{"name":"wipe"}"#,
                    r#""method":"tools/list","meth\u006fd":"tools/call","params":{"name":"wipe"}"#,
                    r#""method":"tools/call","p\u0061rams":{"name":"wipe"},"params":{"name":"look"}"#,
                ] {
                    let mut caller = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
                    let body = format!("{{\"jsonrpc\":\"2.0\",\"id\":1,{members}}}");
                    let request = caller.http("POST", "", body.as_bytes());
                    let answer = caller.client().exchange(&request);
                    let passed = called(&server).into_iter().find(|name| name != "look");
                    assert_eq!(passed, None, "{body} {answer:?}");
                }
            }
        }
    });
}

#[test]
fn a_model_that_is_read_in_two_ways_passes_nothing_that_is_denied() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let server = server(Era::Modern);
        let gateway = gateway(engine, &upstream.url(), &server, Era::Modern, (LISTS, ""));
        let good = "claude-allowed-1";
        for models in [
            r#""mod\u0065l":"claude-forbidden""#,
            r#""model":"claude-allowed-1","model":"claude-forbidden""#,
            r#""model":"claude-forbidden","model":"claude-allowed-1""#,
            r#""model":"claude-allowed-1","mod\u0065l":"claude-forbidden""#,
            r#""mod\u0065l":"claude-forbidden","model":"claude-allowed-1""#,
            r#""model":"claude-f\u006frbidden""#,
            r#""model":"claude-allowed-1","Model":"claude-forbidden""#,
            r#""model":["claude-forbidden"]"#,
        ] {
            for path in ["/v1/messages", "/v1/messages/count_tokens"] {
                let body = format!("{{{models},\"max_tokens\":1,\"messages\":[]}}");
                let reply = once(gateway.addr(), &post(path, NARROW_KEY, &[], body.as_bytes()));
                for seen in upstream.seen() {
                    let read: Value = serde_json::from_slice(&seen.body).expect("it is JSON");
                    assert_eq!(read["model"], good, "{models} {reply:?}");
                    assert!(
                        find(&seen.body, b"claude-forbidden").is_none() || models.contains("Model"),
                        "{models}"
                    );
                }
                assert!(models.contains("Model") || reply.head.status >= 400, "{models} {reply:?}");
            }
        }
        let entries = entries_of(gateway);
        let denied = entries.iter().filter(|entry| entry["decision"] == "not allowed by team narrow").count();
        assert!(denied >= 2, "{entries:#?}");
    });
}

#[test]
fn cedar_files_hold_and_are_read_again() {
    for_each_engine(|engine| {
        let server = server(Era::Modern);
        let folder = Folder::new();
        let rule = "@id(\"calm\")\nforbid (principal, action, resource is Tool)\n\
                    when { resource.class == \"write\" };\n";
        folder.write("org.cedar", rule);
        let more = "policy: { files: [org.cedar] }\n";
        folder.write(
            "tollgate.yaml",
            &text(engine, "http://127.0.0.1:9", &server, Era::Modern, ("[\"*\"]", more)),
        );
        let path = folder.path().to_owned();
        let gateway = Gateway::run(&mut tollgate(&path), folder);
        for key in [KEY, NARROW_KEY] {
            for era in BOTH {
                let mut caller = Caller::with(&gateway, era, "/mcp", key, "{}");
                assert_eq!(caller.tools(), ["look", "merge", "odd", "read_secret", "wipe"]);
                let refused = caller.call("1", "write", "{}").error();
                assert!(refused.contains("rule `org.cedar: calm`"), "{refused}");
            }
        }
        // A file that cannot be taken changes nothing, and is told with its place.
        gateway.folder().write("org.cedar", "\nforbid (principal, action, resource is Tol);\n");
        eventually("the fault is in the log", SOON, || gateway.log().text().contains("org.cedar:2:"));
        let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", KEY, "{}");
        assert_eq!(caller.tools().len(), 5);
        gateway.folder().write("org.cedar", "// Nobody minds.\n");
        eventually("the new file holds", SOON, || {
            Caller::with(&gateway, Era::Modern, "/mcp", KEY, "{}").tools().len() == 6
        });
        assert!(Caller::new(&gateway, Era::Modern, "/mcp").call("1", "write", "{}").result().is_object());
    });
}

#[test]
fn claude_code_asks_where_it_must_and_sees_what_it_may() {
    let server = server(Era::Modern);
    let name = |tool: &str| format!("mcp__tollgate__{tool}");
    let (look, merge, secret) = (name("look"), name("merge"), name("read_secret"));
    let model = scripted_turns::start(vec![vec![
        ("toolu_look", &*look.leak(), json!({})),
        ("toolu_merge", &*merge.leak(), json!({})),
        ("toolu_secret", &*secret.leak(), json!({})),
    ]]);
    let rules = (LISTS, "");
    let gateway = gateway(Engine::Epoll, "http://127.0.0.1:9", &server, Era::Modern, rules);
    let home = Folder::new();
    let headers = json!({ "Authorization": format!("Bearer {NARROW_KEY}") });
    let entry = json!({ "type": "http", "url": format!("{}/mcp", gateway.url()), "headers": headers });
    let endpoint = json!({ "mcpServers": { "tollgate": entry } }).to_string();
    let mut command = claude(home.path(), &model.url(), KEY);
    command.env("ENABLE_TOOL_SEARCH", "false").args(["--mcp-config", &endpoint]);
    command.args(["--allowedTools", "mcp__tollgate", "--", "Play."]);
    let outcome = program::run(&mut command, Duration::from_secs(120)).succeeded();
    assert_eq!(result(&outcome.stdout)["result"], DONE, "{}", outcome.stdout);

    let requests = model.seen_at("/v1/messages");
    let first: Value = serde_json::from_slice(&requests.first().expect("it was asked").body).expect("JSON");
    let tools = first["tools"].as_array().expect("tools are offered").iter();
    let mut offered: Vec<&str> =
        tools.filter_map(|tool| tool["name"].as_str()?.strip_prefix("mcp__tollgate__")).collect();
    offered.sort_unstable();
    assert_eq!(offered, ["look", "merge", "write"]);
    let last: Value = serde_json::from_slice(&requests.last().expect("it was asked").body).expect("JSON");
    let heard = |id: &str| scripted_turns::result(&last, id).map(ToString::to_string).unwrap_or_default();
    assert!(!heard("toolu_look").contains("\"is_error\":true"), "{}", heard("toolu_look"));
    // Nobody can be asked without a terminal, so the client itself says no, whatever its user allows.
    assert!(heard("toolu_merge").contains("permission"), "{}", heard("toolu_merge"));
    assert!(heard("toolu_secret").contains("\"is_error\":true"), "{}", heard("toolu_secret"));
    assert_eq!(called(&server), ["look"]);
}
