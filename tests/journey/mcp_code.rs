//! Tools that scripts call: found by what they do, called from a process that has nothing else, governed and
//! written down under their own names, with no more of the machine than there is to be had.

use std::fs;
use std::path::PathBuf;
use std::process::Command;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::find;
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, for_each_engine, tollgate};
use crate::ledger::entries_of;
use crate::mcp_caller::Caller;
use crate::mcp_sdk::Sdk;
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{After, Peer};
use crate::program::eventually;

const BOTH: [Era; 2] = [Era::Modern, Era::Legacy];

/// A second key of the team that writes scripts.
const OTHER_KEY: &str = "tg_other_0123456789abcdefghijklmnopqrstuvwxyzABCDEFGH";

/// A gateway whose narrow team writes scripts.
fn start(engine: Engine, lines: &str, rights: &str) -> Gateway {
    let text = config(engine, "http://127.0.0.1:9", lines)
        .replace("narrow: { models", &format!("narrow: {{ tools: code, {rights}models"))
        .replace("teams:\n", &format!("  - {{ name: other, secret: {OTHER_KEY}, team: narrow }}\nteams:\n"));
    assert!(text.contains("tools: code"), "{text}");
    let folder = Folder::new();
    folder.write("tollgate.yaml", &text);
    // In a session of its own, as a service has it: scripts get what their gateway leaves of its share of the
    // machine, not what all tests leave.
    let mut command = Command::new("setsid");
    let ours = tollgate(folder.path());
    command.arg(ours.get_program()).current_dir(folder.path()).env_clear();
    command.envs(ours.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Gateway::run(&mut command, folder)
}

/// The arguments of a script.
fn code(source: &str) -> String {
    json!({ "code": source }).to_string()
}

/// What a script comes to: whether it failed, and its texts.
#[track_caller]
fn ran(caller: &mut Caller, source: &str) -> (bool, Vec<String>) {
    let result = caller.call("9", "run_code", &code(source)).result();
    let blocks = result["content"].as_array().unwrap_or_else(|| panic!("no content: {result}"));
    let texts = blocks.iter().map(|block| block["text"].as_str().unwrap_or_default().to_owned());
    (result["isError"] == true, texts.collect())
}

#[test]
fn official_clients_run_scripts_over_real_servers() {
    let python = Sdk::Python("2.3.0").serve();
    let script = Sdk::TypeScript("2.4.0").serve();
    let servers = format!(
        "mcp_servers:\n  py: {{ url: \"{}\" }}\n  ts: {{ url: \"{}\" }}\n",
        python.url(),
        script.url()
    );
    let source = "const [one, two] = await Promise.all([
            tools.py__test_echo({ text: 'first' }), tools.ts__test_echo({ text: 'second' })]);
        const unsaid = await tools.py__test_simple_text();
        console.log('read', JSON.stringify(unsaid).length > 0);
        return { one: one.result ?? one, two };";
    let calls = json!([["find_tools", { "query": "says it again" }], ["run_code", { "code": source }]]);
    for client in ["1.30.0", "2.3.0-modern"] {
        let gateway = start(Engine::Epoll, &servers, "");
        let seen = Sdk::Python(client).calls(&format!("{}/mcp", gateway.url()), NARROW_KEY, &calls);
        assert_eq!(seen["tools"], json!(["find_tools", "run_code"]), "{seen}");
        let found = seen["answers"][0]["text"].as_str().unwrap_or_default();
        let typescript = "tools.ts__test_echo({text: string}): Promise<any> // Says it again";
        assert!(found.contains(typescript), "{found}");
        assert!(found.contains("tools.py__test_echo({text: string}): Promise<{result: string"), "{found}");
        assert_eq!(seen["answers"][1]["is_error"], false, "{seen}");
        let said = seen["answers"][1]["text"].as_str().unwrap_or_default();
        assert_eq!(said, "{\"one\":\"first\",\"two\":\"second\"}console:\nread true");
        assert!(!seen.to_string().contains("simple text response"), "what was not returned is not there");
        assert_ledger(gateway);
    }
}

/// Every call of the script above stands in the ledger under its own name, beside that of the script.
#[track_caller]
fn assert_ledger(gateway: Gateway) {
    let entries = entries_of(gateway);
    let calls: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
    let text = |entry: &Value, name: &str| entry[name].as_str().unwrap_or_default().to_owned();
    let script = calls.iter().find(|entry| entry["tool"] == "run_code").expect("the script is there");
    assert_eq!(text(script, "decision"), "made 3 calls, 0 of them failed");
    let of = text(script, "tool_use_id");
    assert!(!of.is_empty(), "{script}");
    let mut inner: Vec<[String; 4]> = calls
        .iter()
        .filter(|entry| !text(entry, "server").is_empty())
        .map(|entry| ["server", "tool", "tool_use_id", "sought"].map(|name| text(entry, name)))
        .collect();
    inner.sort();
    let row = |server: &str, tool: &str, number: u32, sought: &str| {
        [server.to_owned(), tool.to_owned(), format!("{of}#{number}"), sought.to_owned()]
    };
    let words = "says it again";
    assert_eq!(inner[0], row("py", "test_echo", 1, words), "{inner:?}");
    assert_eq!(inner[1][..3], row("py", "test_simple_text", 3, "")[..3], "{inner:?}");
    assert_eq!(inner[2], row("ts", "test_echo", 2, words), "{inner:?}");
    assert_eq!(calls.len(), 5, "{calls:#?}");
}

/// A server of issues, which says what it was called.
fn issues(era: Era) -> Peer {
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let all = json!([tool("search_issues"), tool("merge_it"), tool("secret_issues"), tool("fails")]);
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => {
            let whole = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
            asked.answer(exchange, &format!("{{\"tools\":{all},{whole}}}"))
        }
        "tools/call" => {
            let name = asked.message["params"]["name"].as_str().unwrap_or_default();
            let said = json!({ "did": name, "to": asked.argument("text") }).to_string();
            let content = json!([{ "type": "text", "text": said }]);
            let fails = name == "fails";
            asked.answer(
                exchange,
                &format!("{{\"content\":{content},\"isError\":{fails},\"resultType\":\"complete\"}}"),
            )
        }
        _ => Ok(None),
    })
}

fn calls_of(server: &Peer) -> usize {
    server.seen().iter().filter(|seen| find(&seen.body, b"\"tools/call\"").is_some()).count()
}

#[test]
fn scripts_have_the_rights_of_their_callers_and_no_more() {
    let rights = "servers: { hub: { allow: [search_issues, fails], ask: [merge_it] } }, ";
    for era in BOTH {
        let server = issues(era);
        let lines = format!(
            "mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: {} }}\n\
             prices: {{ tools: [{{ server: hub, usd: 0.03 }}] }}\n",
            server.url(),
            era.name()
        );
        let gateway = start(Engine::Epoll, &lines, rights);
        for caller in BOTH {
            let mut caller = Caller::with(&gateway, caller, "/mcp", NARROW_KEY, "{}");
            // What a person has to be asked about stands in the list, which can say so.
            assert_eq!(caller.tools(), ["find_tools", "run_code", "merge_it"]);
            let all = "const tell = p => p.then(v => v, e => e.message);
                return await Promise.all([
                    tell(tools.search_issues({ text: 'x' })), tell(tools.secret_issues()),
                    tell(tools.merge_it()), tell(tools.nothing()), tell(tools.fails())])";
            let (failed, texts) = ran(&mut caller, all);
            assert!(!failed, "{texts:?}");
            let told: Value = serde_json::from_str(&texts[0]).expect("it returns JSON");
            assert_eq!(told[0], json!({ "did": "search_issues", "to": "x" }));
            assert!(told[1].to_string().contains("secret_issues"), "{told}");
            assert!(told[1].to_string().contains("is not allowed for key"), "{told}");
            assert!(told[2].to_string().contains("nobody can be asked inside of a script"), "{told}");
            assert!(told[3].to_string().contains("Unknown tool: nothing"), "{told}");
            assert!(told[4].to_string().contains("did"), "the tool's own words: {told}");
            let (failed, texts) = ran(&mut caller, "await tools.secret_issues()");
            assert!(failed && texts[0].contains("is not allowed"), "{texts:?}");
        }
        assert_eq!(calls_of(&server), 4, "only what is allowed has come");
        let entries = entries_of(gateway);
        let of =
            |tool: &str| -> Vec<&Value> { entries.iter().filter(|entry| entry["tool"] == tool).collect() };
        assert_eq!(of("search_issues").len(), 2);
        assert!(of("search_issues").iter().all(|entry| entry["cost_pico"] == 30_000_000_000_u64));
        let denied = of("secret_issues");
        assert_eq!(denied.len(), 4);
        assert!(denied.iter().all(|entry| entry["decision"].to_string().contains("not allowed")));
        let asked = of("merge_it");
        assert!(asked.iter().all(|entry| entry["decision"].to_string().contains("nobody could be asked")));
        assert_eq!((asked.len(), of("run_code").len()), (2, 4));
    }
}

/// The same request from a client that asks people.
fn from_claude_code(request: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(request);
    text.replacen("Accept: ", "User-Agent: claude-code/2.1.330\r\nAccept: ", 1).into_bytes()
}

#[test]
fn what_a_person_is_asked_about_is_no_matter_of_scripts() {
    let server = issues(Era::Modern);
    let lines = format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: modern }}\n", server.url());
    let gateway = start(Engine::Epoll, &lines, "servers: { hub: { ask: [merge_it] } }, ");
    let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    let list = from_claude_code(&caller.request("1", "tools/list", "", ""));
    assert!(caller.exchange(&list).result().to_string().contains("requiresUserInteraction"));
    // A client that asks may call it, and a script of the same client may not.
    let source = code("return await tools.merge_it()");
    let script = from_claude_code(&caller.call_request("2", "run_code", &source, ""));
    let said = caller.exchange(&script).result();
    assert!(said["isError"] == true && said.to_string().contains("nobody can be asked"), "{said}");
    assert_eq!(calls_of(&server), 0);
    let itself = from_claude_code(&caller.call_request("3", "merge_it", "{}", ""));
    assert_eq!(caller.exchange(&itself).result()["isError"], false);
    assert_eq!(calls_of(&server), 1);
}

#[test]
fn two_tools_are_listed_and_scripts_are_for_those_who_have_them() {
    for_each_engine(|engine| {
        let server = issues(Era::Modern);
        let lines = format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: modern }}\n", server.url());
        let gateway = start(engine, &lines, "");
        for era in BOTH {
            let mut all = Caller::with(&gateway, era, "/mcp", KEY, "{}");
            assert_eq!(all.tools().len(), 4, "the other team lists everything");
            assert!(all.call("1", "run_code", &code("return 1")).error().contains("Unknown tool"));
            for path in ["/mcp", "/mcp/hub"] {
                let mut caller = Caller::with(&gateway, era, path, NARROW_KEY, "{}");
                assert_eq!(caller.tools(), ["find_tools", "run_code"]);
                let (failed, texts) = ran(&mut caller, "return (await tools.search_issues({text: 'é'})).to");
                assert_eq!((failed, texts), (false, vec!["\"é\"".to_owned()]));
                let found = caller.call("2", "find_tools", "{\"query\":\"search issues\"}").result();
                let found = found["content"][0]["text"].to_string();
                assert!(found.contains("tools.search_issues(): Promise<any>"), "{found}");
                for (arguments, words) in [
                    ("{}", "`code` is missing"),
                    ("{\"code\":\" \"}", "missing"),
                    ("{\"code\":1}", "missing"),
                ] {
                    let said = caller.call("3", "run_code", arguments).result();
                    assert!(said["isError"] == true && said.to_string().contains(words), "{said}");
                }
                let (failed, texts) = ran(&mut caller, "tools.search_issues()");
                assert!(!failed && texts[0].contains("returned nothing"), "{texts:?}");
            }
        }
    });
}

#[test]
fn a_use_of_a_script_that_comes_twice_does_nothing_twice() {
    let server = issues(Era::Modern);
    let lines = format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: modern }}\n", server.url());
    let gateway = start(Engine::Epoll, &lines, "");
    let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    let source = "await tools.search_issues({ text: 'a' }); return await tools.search_issues({ text: 'a' })";
    let meta = "\"claudecode/toolUseId\":\"toolu_7\"";
    for round in 1..=2 {
        let request = caller.call_request("5", "run_code", &code(source), meta);
        let said = caller.exchange(&request).result();
        assert_eq!(said["isError"], Value::Null, "{said}");
        assert_eq!(calls_of(&server), 2, "both calls of the script, in round {round} too");
    }
}

/// Scripts that never end by themselves, and what becomes of them.
const ENDLESS: &[(&str, &str)] = &[
    ("while (true) {}", "ran longer than 30 s"),
    ("return /^(a+)+$/.test('a'.repeat(40) + 'b')", "ran longer than 30 s"),
    ("while (true) await tools.fails().catch(() => 1)", "ran longer than 30 s"),
    ("await tools.waits()", "ran longer than 30 s"),
];

/// Scripts that want everything else.
const GREEDY: &[(&str, &str)] = &[
    ("const a = []; for (;;) a.push('x'.repeat(1000) + a.length)", "wants more than 64 MB"),
    ("let s = 'xy'; for (;;) s += s", "string too long|wants more than 64 MB"),
    ("const f = () => f() + 1; return f()", "call stack"),
    ("for (let i = 0; i < 1e5; i++) console.log('line ' + i); return 1", "ok|1"),
    ("return 'x'.repeat(1e6)", "returned 1000002 bytes"),
    (
        "const all = await Promise.allSettled(Array.from({ length: 10000 }, () => tools.search_issues()));
         return all.filter(one => one.status === 'fulfilled').length",
        "ok|50",
    ),
    ("import fs from 'fs'", "SyntaxError"),
    ("return await import('/etc/passwd')", "rror"),
    ("return await fetch('http://127.0.0.1')", "fetch is not defined"),
    ("return require('fs').readFileSync('/etc/passwd')", "require is not defined"),
    ("return await tools.search_issues('x'.repeat(2e6))", "takes one object"),
    ("return await tools.search_issues({ text: 'x'.repeat(2e6) })", "at most 1048576 can be sent"),
];

/// Issues, and a tool that never answers.
fn patient(era: Era) -> Peer {
    let tool = |name: &str| json!({ "name": name, "inputSchema": { "type": "object" } });
    let all = json!([tool("search_issues"), tool("waits"), tool("fails")]);
    speaks_mcp::start(era, move |asked, exchange| match &*asked.method {
        "tools/list" => {
            let whole = "\"resultType\":\"complete\",\"ttlMs\":600000,\"cacheScope\":\"private\"";
            asked.answer(exchange, &format!("{{\"tools\":{all},{whole}}}"))
        }
        "tools/call" => match asked.message["params"]["name"].as_str() {
            Some("waits") => {
                exchange.wait_for_close(Duration::from_secs(120));
                Ok(Some(After::Close))
            }
            Some("fails") => {
                asked.answer(exchange, "{\"content\":[],\"isError\":true,\"resultType\":\"complete\"}")
            }
            _ => asked.answer(exchange, "{\"content\":[],\"resultType\":\"complete\"}"),
        },
        _ => Ok(None),
    })
}

/// As many lanes as there are turns, of two keys, since one does not have them all; each runs its scripts one
/// after the other.
fn lanes(gateway: &Gateway, scripts: &'static [(&str, &str)]) -> Vec<JoinHandle<()>> {
    let callers = [NARROW_KEY, OTHER_KEY].map(|key| Caller::with(gateway, Era::Modern, "/mcp", key, "{}"));
    let lane = |lane: usize| {
        let mut caller = callers[lane % callers.len()].twin();
        thread::spawn(move || {
            for (source, expected) in scripts.iter().skip(lane).step_by(4) {
                let (failed, texts) = ran(&mut caller, source);
                let fits = match expected.strip_prefix("ok|") {
                    Some(value) => !failed && texts[0] == value,
                    None => failed && expected.split('|').any(|words| texts[0].contains(words)),
                };
                assert!(fits, "{source}: {expected}: {texts:?}");
                assert!(texts.iter().map(String::len).sum::<usize>() < 20_000, "{source}");
            }
        })
    };
    (0..4).map(lane).collect()
}

#[test]
fn greedy_scripts_are_bounded_and_neighbours_are_served() {
    let server = patient(Era::Modern);
    let lines = format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: modern }}\n", server.url());
    // Beside each other: those that never end take all the turns that a gateway has, for as long as there is.
    let both = [ENDLESS, GREEDY].map(|scripts| (start(Engine::Epoll, &lines, ""), scripts));
    let running = both.each_ref().map(|(gateway, scripts)| {
        let (lanes, mut served) = (lanes(gateway, scripts), 0);
        let mut neighbour = Caller::with(gateway, Era::Modern, "/mcp", KEY, "{}");
        thread::spawn(move || {
            while lanes.iter().any(|lane| !lane.is_finished()) {
                neighbour.call("1", "search_issues", "{}").result();
                served += 1;
                thread::sleep(Duration::from_millis(50));
            }
            assert!(served > 10, "{served} calls were made meanwhile");
            for lane in lanes {
                lane.join().expect("every script of the lane has ended as it should");
            }
        })
    });
    for running in running {
        running.join().expect("scripts are bounded, and the neighbour is served");
    }
    for (gateway, scripts) in both {
        eventually("every process has gone", Duration::from_secs(30), || workers(&gateway).is_empty());
        let entries = entries_of(gateway);
        let ran = entries.iter().filter(|entry| entry["tool"] == "run_code").count();
        assert_eq!(ran, scripts.len());
    }
}

/// The processes of scripts of a gateway.
fn workers(gateway: &Gateway) -> Vec<PathBuf> {
    let parent = gateway.id().to_string();
    let processes = fs::read_dir("/proc").expect("there is a /proc").flatten().map(|entry| entry.path());
    processes
        .filter(|path| {
            let stat = fs::read_to_string(path.join("stat")).unwrap_or_default();
            let behind = stat.rsplit(')').next().unwrap_or_default();
            let fields: Vec<&str> = behind.split_whitespace().collect();
            let line = fs::read(path.join("cmdline")).unwrap_or_default();
            fields.get(1) == Some(&parent.as_str()) && find(&line, b"code-worker").is_some()
        })
        .collect()
}

#[test]
fn a_process_of_a_script_has_nothing_and_its_end_is_told() {
    let server = patient(Era::Modern);
    let lines = format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: modern }}\n", server.url());
    let gateway = start(Engine::Epoll, &lines, "");
    let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    let mut twin = caller.twin();
    let script = thread::spawn(move || ran(&mut twin, "console.log('before'); await tools.waits()"));
    // It has called, so it runs.
    eventually("the script calls", Duration::from_secs(30), || calls_of(&server) == 1);
    let process = workers(&gateway).pop().expect("there is a process");
    let read = |name: &str| fs::read_to_string(process.join(name)).expect("it runs");
    let status = read("status");
    let line = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{status}"));
        line.split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    assert_eq!([line("NoNewPrivs:"), line("Seccomp:"), line("Threads:")], ["1", "2", "1"]);
    assert_eq!(read("environ"), "MIMALLOC_ARENA_EAGER_COMMIT=0\0", "nothing of ours");
    // A group of its own, in the session of the gateway; it stands back: 5 is SCHED_IDLE.
    let field = |stat: &str, number: usize| -> i64 {
        let behind = stat.rsplit(')').next().unwrap_or_default();
        behind.split_whitespace().nth(number - 3).and_then(|text| text.parse().ok()).expect("it is there")
    };
    let ours = fs::read_to_string(format!("/proc/{}/stat", gateway.id())).expect("it runs");
    let [group, session, nice, policy] = [5, 6, 19, 41].map(|number| field(&read("stat"), number));
    assert_eq!(process.file_name().expect("it has a number").to_string_lossy(), group.to_string());
    assert_eq!((session, nice, policy), (field(&ours, 6), 19, 5));
    assert_eq!(fs::read_link(process.join("cwd")).expect("it is ours"), PathBuf::from("/"));
    let bounds = read("limits");
    for (name, value) in [
        ("Max open files", "0"),
        ("Max file size", "0"),
        ("Max data size", "268435456"),
        ("Max cpu time", "60"),
        ("Max core file size", "0"),
    ] {
        let row = bounds.lines().find(|line| line.starts_with(name)).expect("every limit is listed");
        let cells = row.strip_prefix(name).expect("it starts so");
        assert_eq!(cells.split_whitespace().take(2).collect::<Vec<_>>(), [value, value], "{name}");
    }
    let open = fs::read_dir(process.join("fd")).expect("it is ours").count();
    assert_eq!(open, 3, "its pipes and nothing else");
    let number = process.file_name().expect("it has a number").to_string_lossy().into_owned();
    let killed = Command::new("kill").args(["-KILL", &number]).status();
    assert!(killed.is_ok_and(|status| status.success()));
    let (failed, texts) = script.join().expect("the caller is told");
    assert!(failed && texts[0].contains("ended before the script (signal: 9"), "{texts:?}");
    assert_eq!(texts[1], "console:\nbefore");
    let (failed, texts) = ran(&mut caller, "return 1");
    assert_eq!((failed, texts), (false, vec!["1".to_owned()]));
}

#[test]
fn scripts_end_with_those_who_wait_for_them() {
    let server = patient(Era::Modern);
    let lines = format!("mcp_servers:\n  hub: {{ url: \"{}/mcp\", era: modern }}\n", server.url());
    let gateway = start(Engine::Epoll, &lines, "");
    let mut caller = Caller::with(&gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    let request = caller.call_request("1", "run_code", &code("await tools.waits()"), "");
    caller.client().send(&request);
    eventually("the script calls", Duration::from_secs(30), || calls_of(&server) == 1);
    assert_eq!(workers(&gateway).len(), 1);
    drop(caller);
    eventually("its process has gone", Duration::from_secs(20), || workers(&gateway).is_empty());
    let entries = entries_of(gateway);
    let outcome = |tool: &str| {
        let entry = entries.iter().find(|entry| entry["tool"] == tool).expect("it is written down");
        entry["outcome"].as_str().unwrap_or_default().to_owned()
    };
    assert_eq!([outcome("run_code"), outcome("waits")], ["caller_gone", "caller_gone"]);
}
