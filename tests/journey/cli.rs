//! The command line: what a person types, and the start with nothing at all.

use std::time::Duration;

use serde_json::Value;

use crate::client::{messages, once, post};
use crate::gateway::{Engine, Folder, Gateway, config, for_each_engine, tollgate, usual_port};
use crate::program::{self, Outcome};

const DEADLINE: Duration = Duration::from_secs(60);

fn run(folder: &Folder, arguments: &[&str]) -> Outcome {
    program::run(tollgate(folder.path()).args(arguments), DEADLINE)
}

/// The value of the line `export ANTHROPIC_AUTH_TOKEN=...`.
pub(crate) fn printed_key(stdout: &str) -> String {
    let mut lines = stdout.lines().filter_map(|line| line.strip_prefix("export ANTHROPIC_AUTH_TOKEN="));
    let key = lines.next().unwrap_or_else(|| panic!("no key was printed: {stdout:?}")).to_owned();
    assert!(key.starts_with("tg_"), "{key}");
    assert_eq!(lines.next(), None, "it is printed once");
    key
}

fn demo_answers(gateway: &Gateway, key: &str) {
    let whole = once(gateway.addr(), &messages(key, "claude-sonnet-5", false)).json();
    let text = whole["content"][0]["text"].as_str().unwrap_or_default();
    assert!(text.contains("demo model"), "it says what it is: {whole}");
    let streamed = once(gateway.addr(), &messages(key, "claude-sonnet-5", true));
    let names = crate::sse::names(&streamed.body);
    assert_eq!(names.first().map(String::as_str), Some("message_start"), "{names:?}");
    assert_eq!(names.last().map(String::as_str), Some("message_stop"), "{names:?}");
    let body = crate::client::messages_body("claude-sonnet-5", false);
    let counted = once(gateway.addr(), &post("/v1/messages/count_tokens", key, &[], body.as_bytes())).json();
    assert!(counted["input_tokens"].as_u64() > Some(0), "{counted}");
}

#[test]
fn nothing_at_all_is_enough_to_start() {
    let folder = Folder::new();
    let Some(_usual_port) = usual_port() else {
        eprintln!("only the refusal to start is tested");
        let outcome = run(&folder, &[]);
        assert!(!outcome.status.success(), "{outcome:?}");
        assert!(outcome.stderr.contains("127.0.0.1:4000"), "{outcome:?}");
        return;
    };
    let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
    assert_eq!(gateway.addr().to_string(), "127.0.0.1:4000");
    let printed = gateway.printed("export ANTHROPIC_AUTH_TOKEN=");
    assert!(printed.contains("export ANTHROPIC_BASE_URL=http://127.0.0.1:4000"), "{printed}");
    demo_answers(&gateway, &printed_key(&printed));
    assert!(!gateway.log().text().contains(&printed_key(&printed)), "the key is in no log");
}

#[test]
fn the_first_key_is_printed_once_and_lasts() {
    for_each_engine(|engine| {
        let text = format!("listen: 127.0.0.1:0\nengine: {}\n", engine.name());
        let folder = Folder::new();
        folder.write("tollgate.yaml", &text);
        let path = folder.path().to_owned();
        let mut gateway = Gateway::run(&mut tollgate(&path), folder);
        let key = printed_key(&gateway.printed("export ANTHROPIC_AUTH_TOKEN="));
        demo_answers(&gateway, &key);
        gateway.signal("TERM");
        gateway.wait(DEADLINE);
        let stored =
            std::fs::read_to_string(path.join("tollgate-data/keys.json")).expect("the key is stored");
        assert!(!stored.contains(&key), "only its hash is stored");

        let folder = Folder::new();
        let again = Gateway::run(&mut tollgate(&path), folder);
        assert!(!again.stdout().contains("tg_"), "it is not printed again: {}", again.stdout());
        demo_answers(&again, &key);
    });
}

#[test]
fn a_key_of_the_environment_becomes_a_provider() {
    let folder = Folder::new();
    let checked = program::run(
        tollgate(folder.path()).env("ANTHROPIC_API_KEY", "sk-ant-secret").args(["check"]),
        DEADLINE,
    )
    .succeeded();
    assert!(checked.stdout.contains("https://api.anthropic.com"), "{checked:?}");
    assert!(!checked.stdout.contains("sk-ant-secret"), "{checked:?}");
}

#[test]
fn check_prints_what_holds_without_secrets() {
    let folder = Folder::new();
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", "drain_s: 7"));
    for arguments in [&["check"] as &[&str], &["check", "--json"], &["check", "--config", "tollgate.yaml"]] {
        let outcome = run(&folder, arguments).succeeded();
        assert!(outcome.stdout.contains("claude-renamed"), "{outcome:?}");
        assert!(outcome.stdout.contains("127.0.0.1:9"), "{outcome:?}");
        for secret in [crate::gateway::KEY, crate::gateway::NARROW_KEY, crate::gateway::UPSTREAM_KEY] {
            assert!(!format!("{outcome:?}").contains(secret), "{outcome:?}");
        }
    }
    let json: Value = serde_json::from_str(&run(&folder, &["check", "--json"]).stdout).expect("it is JSON");
    assert_eq!(json["drain_s"], 7, "{json}");
}

#[test]
fn check_finds_every_fault_with_its_place() {
    let folder = Folder::new();
    let faulty = "listen: nowhere\nengine: kqueue\nproviders:\n  up: { dialect: anthropic }\n\
                  models:\n  claude-*: [down]\nprovders: {}\nkeys:\n  \
                  - { name: a, secret: \"${env:NOT_SET}\" }\n";
    folder.write("tollgate.yaml", faulty);
    let outcome = run(&folder, &["check"]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    for place in [1, 2, 4, 6, 7, 9] {
        assert!(
            outcome.stderr.contains(&format!("tollgate.yaml:{place}:")),
            "line {place}: {}",
            outcome.stderr
        );
    }
    assert!(outcome.stderr.contains("providers"), "a near miss gets a hint: {}", outcome.stderr);
    let outcome = run(&folder, &["serve"]);
    assert_eq!(outcome.status.code(), Some(1), "a faulty config does not start: {outcome:?}");
    let outcome = run(&folder, &["check", "--config", "missing.yaml"]);
    assert_eq!(outcome.status.code(), Some(1), "{outcome:?}");
    assert!(outcome.stderr.contains("missing.yaml"), "{outcome:?}");
}

#[test]
fn budgets_are_shown_before_anything_is_spent() {
    let folder = Folder::new();
    let budgets = "budgets: [{ name: all, usd: 5, per: day }, { name: own, each: key, usd: 1, per: hour }]\n";
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", budgets));
    let shown = run(&folder, &["budget", "show"]).succeeded().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    let [_, all, own] = lines[..] else { panic!("{shown}") };
    assert!(all.contains("$5.00") && all.ends_with("  the organisation"), "{shown}");
    assert!(own.contains("$1.00") && own.ends_with("  each key of the organisation"), "{shown}");
}

#[test]
fn keys_are_made_listed_and_revoked() {
    let folder = Folder::new();
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", ""));
    let made = run(&folder, &["key", "create", "--name", "ada", "--team", "narrow"]).succeeded();
    let key = printed_key(&made.stdout);
    assert!(!run(&folder, &["key", "create", "--name", "ada"]).status.success(), "a name is taken once");
    assert!(!run(&folder, &["key", "create", "--name", "bob", "--team", "nobody"]).status.success());
    let listed = run(&folder, &["key", "list"]).succeeded();
    for wanted in ["ada", "narrow", "main"] {
        assert!(listed.stdout.contains(wanted), "{listed:?}");
    }
    assert!(!listed.stdout.contains(&key), "a key is shown once: {listed:?}");
    run(&folder, &["key", "revoke", "ada"]).succeeded();
    let listed = run(&folder, &["key", "list"]).succeeded();
    assert!(listed.stdout.contains("revoked"), "{listed:?}");
    assert!(!run(&folder, &["key", "revoke", "ada"]).status.success(), "it is revoked already");
    assert!(!run(&folder, &["key", "revoke", "nobody"]).status.success());
}

#[test]
fn claude_prints_and_writes_what_a_developer_needs() {
    let folder = Folder::new();
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", ""));
    let gate = ["--base-url", "https://gate.example.com", "--key", "tg_mine"];
    let printed = run(&folder, &[&["claude"], &gate as &[&str]].concat()).succeeded();
    assert!(printed.stdout.contains("export ANTHROPIC_BASE_URL=https://gate.example.com"), "{printed:?}");
    assert_eq!(printed_key(&printed.stdout), "tg_mine");
    let settings =
        run(&folder, &[&["claude", "--format", "settings"], &gate as &[&str]].concat()).succeeded();
    let settings: Value = serde_json::from_str(&settings.stdout).expect("it is JSON");
    assert_eq!(settings["env"]["ANTHROPIC_AUTH_TOKEN"], "tg_mine", "{settings}");

    std::fs::create_dir(folder.join(".claude")).expect("the build folder can be written");
    folder.write(".claude/settings.json", "{\"model\":\"opus\",\"env\":{\"A\":\"b\"}}");
    run(&folder, &[&["claude", "--write", "."], &gate as &[&str]].concat()).succeeded();
    let written = std::fs::read_to_string(folder.join(".claude/settings.json")).expect("it is written");
    let written: Value = serde_json::from_str(&written).expect("it is JSON");
    assert_eq!(written["model"], "opus", "what stood there stays: {written}");
    assert_eq!(written["env"]["A"], "b", "{written}");
    assert_eq!(written["env"]["ANTHROPIC_BASE_URL"], "https://gate.example.com", "{written}");
}

#[test]
fn help_is_worth_reading() {
    let folder = Folder::new();
    let help = run(&folder, &["--help"]).succeeded();
    for wanted in ["serve", "check", "key", "tools", "claude", "tollgate.yaml", "Exit codes"] {
        assert!(help.stdout.contains(wanted), "{wanted} is missing: {}", help.stdout);
    }
    assert_eq!(run(&folder, &["sevre"]).status.code(), Some(2));
    assert!(run(&folder, &["--version"]).succeeded().stdout.contains(env!("CARGO_PKG_VERSION")));
}

/// A server on pipes with two tools, one of which tries to paint the terminal.
const SERVER: &str = r#"
import json, sys
tools = [
    {"name": "read_note", "description": "Reads a note\u001b[31m by\nits name. Then more.",
     "inputSchema": {"type": "object"}, "annotations": {"readOnlyHint": True}},
    {"name": "drop_note", "description": "Drops a note", "inputSchema": {"type": "object"},
     "annotations": {"destructiveHint": True}},
    {"name": "broken"},
]
for line in sys.stdin:
    asked = json.loads(line)
    if "id" not in asked:
        continue
    answer = {"jsonrpc": "2.0", "id": asked["id"]}
    if asked["method"] == "initialize":
        answer["result"] = {"protocolVersion": "2025-06-18", "capabilities": {"tools": {}},
                            "serverInfo": {"name": "notes", "version": "1"}}
    elif asked["method"] == "tools/list":
        answer["result"] = {"tools": tools}
    else:
        answer["error"] = {"code": -32601, "message": "no"}
    print(json.dumps(answer), flush=True)
open("ended", "w").close()
"#;

fn with_servers(more: &str) -> Folder {
    let folder = Folder::new();
    folder.write("server.py", SERVER);
    let servers = format!(
        "mcp_servers:\n  notes: {{ command: python3, args: [server.py], prefix: always, \
         tools: {{ drop_note: {{ rename: remove }} }} }}\n{more}"
    );
    folder.write("tollgate.yaml", &config(Engine::Epoll, "http://127.0.0.1:9", &servers));
    folder
}

#[test]
fn tools_are_listed_without_a_gateway() {
    let folder = with_servers("");
    let listed = run(&folder, &["tools", "list"]).succeeded();
    let lines: Vec<Vec<&str>> = listed.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert!(lines[1].starts_with(&["notes", "legacy", "2025-06-18", "2"]), "{listed:?}");
    assert_eq!(lines[1].last(), Some(&"ok"), "{listed:?}");
    let tools: Vec<_> = lines.iter().filter(|words| words.get(1) == Some(&"notes")).collect();
    assert_eq!((tools[0][0], tools[0][5]), ("notes__read_note", "read-only"), "{listed:?}");
    assert_eq!((tools[1][0], tools[1][5]), ("remove", "destructive"), "{listed:?}");
    assert!(tools.iter().all(|tool| tool[4].len() == 12), "{listed:?}");
    assert!(listed.stdout.contains("Reads a note\u{fffd}[31m by its name.\n"), "{listed:?}");
    assert!(listed.stdout.contains("left out of notes: broken: "), "{listed:?}");
    assert!(listed.stdout.contains("an estimate"), "{listed:?}");
    assert!(listed.stderr.contains("notes: 2 tools ("), "{listed:?}");
    assert!(folder.join("ended").exists(), "the server was asked to end, and not killed");
    let (one, other) = (run(&folder, &["tools", "list", "--json"]).succeeded(), "read_note");
    let json: Value = serde_json::from_str(&one.stdout).expect("it is JSON");
    assert_eq!(json["tools"][0]["server_name"], other, "{json}");
    assert!(json["tools"][0]["hash"].as_str().is_some_and(|hash| hash.starts_with(tools[0][4])), "{json}");
    assert_eq!(json["totals"]["tools"], 2, "{json}");
}

#[test]
fn what_tools_cost_is_counted_in_every_mode() {
    let folder = with_servers("  lean: { command: python3, args: [server.py], tools: lean }\n");
    let counted = run(&folder, &["tools", "cost"]).succeeded();
    let rows: Vec<Vec<&str>> = counted.stdout.lines().map(|line| line.split_whitespace().collect()).collect();
    assert_eq!((rows[0][0], rows[1][0], rows[2][0], rows[3][0]), ("SERVER", "notes", "lean", "all"));
    let told = run(&folder, &["tools", "cost", "--json"]).succeeded();
    let json: Value = serde_json::from_str(&told.stdout).expect("it is JSON");
    let of = |row: &Value, what: &str| row[what].as_u64().unwrap_or_else(|| panic!("no {what}: {row}"));
    let (notes, lean, all) = (&json["servers"][0], &json["servers"][1], &json["totals"]);
    for row in [notes, lean] {
        assert_eq!(of(row, "tools"), 2, "{row}");
        assert!(of(row, "raw") >= of(row, "native") && of(row, "native") > of(row, "lean"), "{row}");
        assert!(of(row, "lean") > of(row, "names") && of(row, "names") > 0, "{row}");
    }
    assert_eq!((of(notes, "as_set"), of(lean, "as_set")), (of(notes, "native"), of(lean, "lean")), "{json}");
    assert_eq!(of(all, "as_set"), of(notes, "native") + of(lean, "lean"), "{json}");

    // Lists in files say the same, without a config or a server.
    let lists = Folder::new();
    let schema = r#""inputSchema":{"type":"object"}"#;
    let tool = format!(r#"{{"name":"read_note","description":"Reads a note. Then more.",{schema}}}"#);
    lists.write("one.json", &format!("{{\"tools\":[{tool}]}}"));
    lists.write("two.json", &format!("{{\"tools\":[{tool},{}]}}", tool.replace("read", "drop")));
    lists.write("beside.txt", "no list");
    let told = run(&lists, &["tools", "cost", "--corpus", ".", "--json"]).succeeded();
    let json: Value = serde_json::from_str(&told.stdout).expect("it is JSON");
    assert_eq!((&json["servers"][0]["name"], &json["servers"][1]["name"]), (&"one".into(), &"two".into()));
    assert_eq!(json["totals"]["tools"], 3, "{json}");
    assert!(json["totals"].get("as_set").is_none(), "nobody has set anything: {json}");
    lists.write("three.json", "{}");
    let refused = run(&lists, &["tools", "cost", "--corpus", "."]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(refused.stderr.contains("three.json"), "{refused:?}");
}

#[test]
fn a_dead_server_hides_no_other() {
    let dead = "  dead: { command: python3, args: [-c, \"import sys; sys.exit('no token')\"] }\n  \
                gone: { url: \"http://127.0.0.1:9/mcp\" }";
    let folder = with_servers(dead);
    let listed = run(&folder, &["tools", "list"]);
    assert_eq!(listed.status.code(), Some(1), "{listed:?}");
    for wanted in [
        "notes__read_note",
        "unreachable: it could not be reached: it ended at its start",
        "unreachable: it could not",
    ] {
        assert!(listed.stdout.contains(wanted), "{wanted}: {listed:?}");
    }
    assert!(listed.stderr.contains("2 of 3 servers cannot be listed"), "{listed:?}");
    assert!(!listed.stderr.contains("no token"), "what servers write is shown where it is asked for");

    let alone = run(&folder, &["tools", "list", "--server", "notes"]).succeeded();
    assert!(alone.stdout.contains("\nread_note "), "names are those of /mcp/notes: {alone:?}");
    let verbose = run(&folder, &["tools", "list", "--server", "dead", "--verbose", "--json"]);
    assert_eq!(verbose.status.code(), Some(1), "{verbose:?}");
    assert!(verbose.stderr.contains("no token"), "{verbose:?}");
    let json: Value = serde_json::from_str(&verbose.stdout).expect("it is JSON");
    assert_eq!(json["servers"][0]["health"], "unreachable", "{json}");
    let unknown = run(&folder, &["tools", "list", "--server", "nots"]);
    assert_eq!(unknown.status.code(), Some(1), "{unknown:?}");
    assert!(unknown.stderr.contains("known: notes, dead, gone"), "{unknown:?}");
}

#[test]
fn a_server_that_says_nothing_is_given_up_and_ended() {
    let silent = "  silent: { command: python3, args: [-c, \"import os, time; \
                  open('pid', 'w').write(str(os.getpid())); time.sleep(99)\"], era: legacy }";
    let folder = with_servers(silent);
    let listed = run(&folder, &["tools", "list", "--timeout", "8"]);
    assert_eq!(listed.status.code(), Some(1), "{listed:?}");
    assert!(listed.stdout.contains("unreachable: it has listed nothing within 8 s"), "{listed:?}");
    assert!(listed.stdout.contains("notes__read_note"), "{listed:?}");
    let pid = std::fs::read_to_string(folder.join("pid")).expect("it was started");
    // What is killed is gone a moment later.
    program::eventually("the server has ended", Duration::from_secs(9), || {
        let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        state.is_empty() || state.contains(") Z ")
    });
}
