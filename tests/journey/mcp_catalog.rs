//! The lists that callers see: one for all servers, asked for once, the same every time, and what people have
//! decided about names and rights.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::mcp_caller::{Caller, gateway, one_server};
use crate::peer::Peer;
use crate::peer::speaks_mcp::{self, Era, event, tools, tools_changed};

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// How often a server was asked for its tools.
fn lists(server: &Peer) -> usize {
    let asked = |body: &[u8]| crate::client::find(body, b"\"tools/list\"").is_some();
    server.seen().iter().filter(|seen| asked(&seen.body)).count()
}

#[test]
fn a_crowd_of_callers_costs_a_server_one_list() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let server = speaks_mcp::start(server_era, |asked, _| {
                if asked.method == "tools/list" {
                    // Long enough for all of them to come.
                    thread::sleep(Duration::from_millis(400));
                }
                Ok(None)
            });
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, ""));
            let crowd: Vec<_> = (0..200)
                .map(|number| {
                    let era = if number % 4 == 0 { Era::Legacy } else { Era::Modern };
                    let addr = gateway.addr();
                    thread::spawn(move || {
                        let mut caller = Caller::at(addr, era, "/mcp", KEY, "{}");
                        for _ in 0..3 {
                            assert_eq!(caller.tools(), ["echo"]);
                        }
                    })
                })
                .collect();
            for caller in crowd {
                caller.join().expect("a caller does not panic");
            }
            assert_eq!(lists(&server), 1);
        }
    });
}

/// A server whose tools are `one`, and after a turn of the switch `one` and `two`, which it tells of.
pub(crate) fn changeable(era: Era) -> (Peer, Arc<(Mutex<bool>, Condvar)>) {
    let switch = Arc::new((Mutex::new(false), Condvar::new()));
    let theirs = Arc::clone(&switch);
    let server = speaks_mcp::start(era, move |asked, exchange| match (era, &*asked.method) {
        (_, "tools/list") => {
            let turned = *theirs.0.lock().expect("no holder panics");
            asked.answer(exchange, &tools(if turned { &["one", "two"] } else { &["one"] }))
        }
        (Era::Legacy, "GET") | (Era::Modern, "subscriptions/listen") => {
            exchange.start_events()?;
            if era == Era::Modern {
                event(exchange, &speaks_mcp::acknowledged(asked.id()))?;
            }
            let held = theirs.0.lock().expect("no holder panics");
            let wait = theirs.1.wait_timeout_while(held, Duration::from_secs(20), |turned| !*turned);
            drop(wait.expect("no holder panics"));
            event(exchange, &tools_changed(era, asked.id()))?;
            exchange.wait_for_close(Duration::from_secs(20));
            Ok(Some(crate::peer::After::Close))
        }
        _ => Ok(None),
    });
    (server, switch)
}

/// Reads a stream until `wanted` has come by; what keeps the stream alive meanwhile is no reason to go on.
#[track_caller]
pub(crate) fn hears(caller: &mut Caller, wanted: &str) -> String {
    let (started, mut heard) = (Instant::now(), String::new());
    while !heard.contains(wanted) {
        assert!(started.elapsed() < Duration::from_secs(20), "no {wanted} in {heard:?}");
        let part = caller.client().part().expect("the stream goes on");
        heard += &String::from_utf8_lossy(&part.expect("the stream has not ended"));
    }
    heard
}

#[test]
fn a_change_of_a_list_reaches_everyone_who_listens() {
    for_each_engine(|engine| {
        for server_era in BOTH {
            let (server, switch) = changeable(server_era);
            let gateway = gateway(engine, &one_server("s", &server.url(), server_era, ""));
            let mut modern = Caller::new(&gateway, Era::Modern, "/mcp");
            let mut legacy = Caller::new(&gateway, Era::Legacy, "/mcp");
            assert_eq!([modern.tools(), legacy.tools()], [["one"], ["one"]]);
            let filter = "\"notifications\":{\"toolsListChanged\":true}";
            let mut listening = modern.twin();
            listening.client().send(&modern.request("\"listen:0\"", "subscriptions/listen", filter, ""));
            assert_eq!(listening.client().head().status, 200);
            hears(&mut listening, "notifications/subscriptions/acknowledged");
            let mut streaming = legacy.twin();
            streaming.client().send(&legacy.http("GET", "", b""));
            assert_eq!(streaming.client().head().status, 200);
            *switch.0.lock().expect("no holder panics") = true;
            switch.1.notify_all();
            let told = hears(&mut listening, "notifications/tools/list_changed");
            assert!(told.contains("\"io.modelcontextprotocol/subscriptionId\":\"listen:0\""), "{told}");
            hears(&mut streaming, "notifications/tools/list_changed");
            // Whoever is told finds the new list.
            assert_eq!([modern.tools(), legacy.tools()], [["one", "two"], ["one", "two"]]);
        }
    });
}

/// A server with these tools that answers calls with its own name and the name that was called.
fn named(era: Era, own: &'static str, names: &'static [&'static str]) -> Peer {
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &tools(names)),
        "tools/call" => {
            let called = asked.message["params"]["name"].as_str().unwrap_or_default();
            if let Some(header) = asked.seen.header("mcp-name") {
                assert_eq!(header, called, "the header repeats the body");
            }
            let result = format!("{{\"content\":[],\"by\":\"{own}/{called}\",\"resultType\":\"complete\"}}");
            asked.answer(exchange, &result)
        }
        _ => Ok(None),
    })
}

#[track_caller]
fn answered_by(caller: &mut Caller, tool: &str) -> String {
    caller.call("1", tool, "{}").result()["by"].as_str().expect("our servers say it").to_owned()
}

#[test]
fn tools_of_one_name_are_told_apart_and_both_can_be_called() {
    for_each_engine(|engine| {
        let left = named(Era::Modern, "left", &["echo", "left_only"]);
        let right = named(Era::Legacy, "right", &["echo", "right_only"]);
        let config = one_server("left", &left.url(), Era::Modern, "")
            + &format!("  right: {{ url: \"{}/mcp\", era: legacy }}\n", right.url());
        let gateway = gateway(engine, &config);
        for era in BOTH {
            let mut caller = Caller::new(&gateway, era, "/mcp");
            assert_eq!(caller.tools(), ["left__echo", "left_only", "right__echo", "right_only"]);
            assert_eq!(answered_by(&mut caller, "left__echo"), "left/echo");
            assert_eq!(answered_by(&mut caller, "right__echo"), "right/echo");
            assert_eq!(answered_by(&mut caller, "right_only"), "right/right_only");
            assert!(caller.call("1", "echo", "{}").error().contains("Unknown tool"));
            // At the address of one server names are its own.
            let mut caller = Caller::new(&gateway, era, "/mcp/right");
            assert_eq!(caller.tools(), ["echo", "right_only"]);
            assert_eq!(answered_by(&mut caller, "echo"), "right/echo");
            assert!(caller.call("1", "left_only", "{}").error().contains("Unknown tool"));
        }
    });
}

#[test]
fn tools_are_renamed_hidden_and_described_as_people_wish() {
    for_each_engine(|engine| {
        let server = named(Era::Modern, "s", &["old", "secret_one", "plain"]);
        let overrides = "old: { rename: new, description: \"Better words\" }, \"secret*\": { hide: true }";
        let more = format!(", prefix: always, tools: {{ {overrides} }}");
        let gateway = gateway(engine, &one_server("s", &server.url(), Era::Modern, &more));
        for era in BOTH {
            let mut caller = Caller::new(&gateway, era, "/mcp");
            let mut names = caller.tools();
            names.sort();
            assert_eq!(names.len(), 2, "{names:?}");
            let new = names.iter().find(|name| name.ends_with("new")).expect("it is renamed").clone();
            let list = caller.ask("1", "tools/list", "").result();
            let shown = list["tools"].as_array().expect("a list").iter().find(|tool| tool["name"] == *new);
            assert_eq!(shown.expect("it is there")["description"], "Better words");
            assert_eq!(answered_by(&mut caller, &new), "s/old");
            for hidden in ["secret_one", "s__secret_one", "old", "s__old"] {
                assert!(caller.call("1", hidden, "{}").error().contains("Unknown tool"), "{hidden}");
            }
        }
        assert!(server.seen().iter().all(|seen| crate::client::find(&seen.body, b"secret_one").is_none()));
    });
}

#[test]
fn the_rules_of_a_team_filter_its_lists_and_refuse_its_calls() {
    for_each_engine(|engine| {
        let open = named(Era::Modern, "open", &["read_it", "write_it"]);
        let closed = named(Era::Legacy, "closed", &["other"]);
        let servers = one_server("open", &open.url(), Era::Modern, "")
            + &format!("  closed: {{ url: \"{}/mcp\", era: legacy }}\n", closed.url());
        let team = "narrow: { models: [\"claude-allowed*\"], servers: { open: [\"read*\"] } }";
        let text = config(engine, "http://127.0.0.1:9", &servers)
            .replace("narrow: { models: [\"claude-allowed*\"] }", team);
        assert!(text.contains(team));
        let folder = Folder::new();
        folder.write("tollgate.yaml", &text);
        let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
        for era in BOTH {
            let mut all = Caller::new(&gateway, era, "/mcp");
            assert_eq!(all.tools(), ["other", "read_it", "write_it"]);
            assert_eq!(answered_by(&mut all, "write_it"), "open/write_it");
            let mut narrow = Caller::with(&gateway, era, "/mcp", NARROW_KEY, "{}");
            assert_eq!(narrow.tools(), ["read_it"]);
            assert_eq!(answered_by(&mut narrow, "read_it"), "open/read_it");
            for tool in ["write_it", "other"] {
                let error = narrow.call("1", tool, "{}").json();
                assert!(!error["error"].is_null(), "{error}");
            }
            let mut outside = all.twin();
            NARROW_KEY.clone_into(&mut outside.key);
            "/mcp/closed".clone_into(&mut outside.path);
            outside.session = None;
            let answer = outside.ask("1", if era == Era::Modern { "tools/list" } else { "initialize" }, "");
            assert!(!answer.json()["error"].is_null(), "{}", answer.json());
        }
        let reached = |server: &Peer, tool: &[u8]| {
            let calls = server.seen();
            let calls = calls.iter().filter(|seen| crate::client::find(&seen.body, b"tools/call").is_some());
            calls.filter(|seen| crate::client::find(&seen.body, tool).is_some()).count()
        };
        assert_eq!((reached(&open, b"write_it"), reached(&closed, b"other")), (2, 0));
    });
}

#[test]
fn a_list_is_the_same_to_the_byte_whenever_and_wherever_it_is_made() {
    let turn = Arc::new(AtomicUsize::new(0));
    let theirs = Arc::clone(&turn);
    // Each run is a process of its own. One server is faster in every other run, and lists in another order;
    // the lists of the other come in pages.
    let first = speaks_mcp::start(Era::Modern, move |asked, exchange| {
        if asked.method != "tools/list" {
            return Ok(None);
        }
        if theirs.load(Ordering::SeqCst).is_multiple_of(2) {
            thread::sleep(Duration::from_millis(200));
            return asked.answer(exchange, &tools(&["zeta", "echo", "alpha"]));
        }
        asked.answer(exchange, &tools(&["alpha", "zeta", "echo"]))
    });
    let second = speaks_mcp::start(Era::Legacy, |asked, exchange| {
        if asked.method != "tools/list" {
            return Ok(None);
        }
        let page = if asked.message["params"]["cursor"] == "" {
            "[{ \"name\" : \"odd\",\"inputSchema\":{\"type\":\"object\",\"x\":1.0} }]"
        } else {
            ""
        };
        match page {
            "" => asked.answer(exchange, &tools(&["echo", "beta"]).replacen('{', "{\"nextCursor\":\"\",", 1)),
            page => asked.answer(exchange, &format!("{{\"tools\":{page}}}")),
        }
    });
    let config = one_server("first", &first.url(), Era::Modern, "")
        + &format!("  second: {{ url: \"{}/mcp\", era: legacy }}\n", second.url());
    let seen = Mutex::new(Vec::new());
    let one_run = |engine: Engine| {
        turn.fetch_add(1, Ordering::SeqCst);
        let gateway = gateway(engine, &config);
        let bodies = BOTH.map(|era| {
            let mut caller = Caller::new(&gateway, era, "/mcp");
            String::from_utf8(caller.ask("7", "tools/list", "").raw().to_vec()).expect("it is text")
        });
        seen.lock().expect("no holder panics").push(bodies);
    };
    for_each_engine(|engine| (0..3).for_each(|_| one_run(engine)));
    let seen = seen.into_inner().expect("no holder panics");
    for bodies in &seen {
        assert_eq!(bodies, &seen[0]);
    }
    for body in &seen[0] {
        let odd = "{ \"name\" : \"odd\",\"inputSchema\":{\"type\":\"object\",\"x\":1.0} }";
        assert!(body.contains(odd), "definitions are as their server wrote them: {body}");
        assert_eq!(body.matches("\"name\"").count(), 6, "{body}");
    }
}
