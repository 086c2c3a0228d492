//! The ledger: every call once, whatever becomes of the caller, the provider, the disk or the process.

use std::collections::HashMap;
use std::fs;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{Client, Reply, get, mcp, messages, once};
use crate::gateway::{Gateway, KEY, NARROW_KEY, for_each_engine, tollgate};
use crate::peer::{closes_mid_stream, scripted_upstream};
use crate::program::{self, Outcome, eventually};

/// A look at the ledger from the command line.
fn ledger(gateway: &Gateway, args: &[&str]) -> Outcome {
    let mut command = tollgate(gateway.folder().path());
    program::run(command.arg("ledger").args(args), Duration::from_secs(60))
}

/// All entries that the index has, the oldest first, without those of the config and of pinned tools.
pub(crate) fn entries(gateway: &Gateway) -> Vec<Value> {
    entries_for(gateway, &[])
}

fn entries_for(gateway: &Gateway, more: &[&str]) -> Vec<Value> {
    let told = ledger(gateway, &[&["export", "--format", "jsonl"], more].concat()).succeeded();
    let lines = told.stdout.lines().map(|line| serde_json::from_str::<Value>(line).expect("a line is JSON"));
    lines.filter(|entry| entry["kind"] != "config" && entry["kind"] != "pin").collect()
}

/// The same after a proper stop, when nothing can be missing.
pub(crate) fn entries_of(gateway: Gateway) -> Vec<Value> {
    stopped(gateway).0
}

/// The same as somebody in `region` may have them: there are teams whose records stay in regions of theirs.
pub(crate) fn entries_in(region: &str, mut gateway: Gateway) -> Vec<Value> {
    stop(&mut gateway);
    verified_for(&gateway, &["--region", region])
}

fn stopped(mut gateway: Gateway) -> (Vec<Value>, Gateway) {
    stop(&mut gateway);
    (verified(&gateway), gateway)
}

fn stop(gateway: &mut Gateway) {
    gateway.signal("TERM");
    gateway.wait(Duration::from_secs(20));
}

/// All entries of a ledger that nobody writes any more, whose chain and index are as they should be.
pub(crate) fn verified(gateway: &Gateway) -> Vec<Value> {
    verified_for(gateway, &[])
}

fn verified_for(gateway: &Gateway, more: &[&str]) -> Vec<Value> {
    // The look brings the index up with the chain.
    let entries = entries_for(gateway, more);
    let told = ledger(gateway, &["verify"]).succeeded();
    assert!(told.stdout.contains("the index agrees: "), "{}", told.stdout);
    entries
}

/// Pico-dollars as the program writes dollars.
fn dollars(pico: u64) -> String {
    let text = format!("{}.{:012}", pico / 1_000_000_000_000, pico % 1_000_000_000_000);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[test]
fn each_call_is_there_once_with_what_is_known_of_it() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let call = |key: &str, model: &str, stream: bool| once(gateway.addr(), &messages(key, model, stream));
        let replies = [
            call(KEY, "claude-any", true),
            call(KEY, "claude-any", false),
            call(NARROW_KEY, "claude-other", true),
            call("tg_nobody", "claude-any", true),
            call(KEY, "gpt-unknown", true),
        ];
        let ids: Vec<String> = replies
            .iter()
            .map(|reply| {
                let id = reply.header("x-tollgate-request-id").or_else(|| reply.header("request-id"));
                id.expect("each answer has an id").to_owned()
            })
            .collect();
        let entries = entries_of(gateway);
        assert_eq!(entries.len(), 5, "{entries:#?}");
        let found: HashMap<&str, &Value> =
            entries.iter().map(|entry| (entry["id"].as_str().expect("an id"), entry)).collect();
        let of = |place: usize| found[ids[place].as_str()];
        for (place, status, kind, outcome) in [
            (0, 200, "model_call", "done"),
            (1, 200, "model_call", "done"),
            (2, 403, "model_call", "refused"),
            (3, 401, "refusal", "refused"),
            (4, 404, "model_call", "refused"),
        ] {
            let entry = of(place);
            let seen = (&entry["status"], &entry["kind"], &entry["outcome"]);
            assert_eq!(seen, (&json!(status), &json!(kind), &json!(outcome)), "{entry:#}");
        }
        let first = of(0);
        assert_eq!((&first["key"], &first["provider"]), (&json!("main"), &json!("up")), "{first:#}");
        assert_eq!(first["model"], "claude-any");
        assert_eq!(first["stop_reason"], "end_turn");
        assert!(first["cost_pico"].as_u64().is_some_and(|cost| cost > 0), "{first:#}");
        assert!(first["tokens"]["output"].as_u64().is_some_and(|tokens| tokens > 0), "{first:#}");
        assert!(of(2)["error"].as_str().is_some_and(|text| text.contains("claude-other")));
        assert!(!of(1).to_string().contains(KEY));
    });
}

#[test]
fn what_breaks_off_and_what_is_left_is_there_too() {
    for_each_engine(|engine| {
        let whole = crate::sse::text_message("claude-any", &["a text ", "that breaks off"]);
        let half = whole.split("event: content_block_stop").next().expect("it begins").to_owned();
        let upstream = closes_mid_stream::start(&half);
        let gateway = Gateway::start(engine, &upstream.url());
        let mut caller = Client::connect(gateway.addr());
        caller.send(&messages(KEY, "claude-any", true));
        let head = caller.head();
        assert_eq!(head.status, 200);
        eventually("the call has ended", Duration::from_secs(20), || !gateway.log().all("call").is_empty());
        let entries = entries_of(gateway);
        assert_eq!(entries.len(), 1, "{entries:#?}");
        assert_eq!(entries[0]["outcome"], "upstream_cut", "{entries:#?}");
        assert!(entries[0]["cost_pico"].as_u64().is_some_and(|cost| cost > 0), "{entries:#?}");
    });
}

#[test]
fn a_call_of_a_tool_is_there_with_its_definition() {
    let server = crate::mcp_suite::ReferenceServer::start("modern");
    for_each_engine(|engine| {
        let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", server.url());
        let gateway = Gateway::with(engine, "http://127.0.0.1:9", &servers);
        let meta = json!({ "io.modelcontextprotocol/protocolVersion": "2026-07-28",
                           "io.modelcontextprotocol/clientInfo": { "name": "journey", "version": "1" },
                           "io.modelcontextprotocol/clientCapabilities": {},
                           "claudecode/toolUseId": "toolu_0123" });
        let params = json!({ "name": "test_simple_text", "arguments": {}, "_meta": meta });
        let body = json!({ "jsonrpc": "2.0", "id": 1, "method": "tools/call", "params": params });
        let headers = [
            ("MCP-Protocol-Version", "2026-07-28"),
            ("Mcp-Method", "tools/call"),
            ("Mcp-Name", "test_simple_text"),
        ];
        // The first one finds no list yet, and the last is made by the core alone.
        for number in 0..5 {
            let body = body.to_string().replace("toolu_0123", &format!("toolu_{number}"));
            let body = serde_json::from_str(&body).expect("it is JSON");
            let reply = once(gateway.addr(), &mcp(&body, &headers));
            assert_eq!(reply.head.status, 200, "{reply:?}");
        }
        let entries = entries_of(gateway);
        let calls: Vec<&Value> = entries.iter().filter(|entry| entry["kind"] == "tool_call").collect();
        assert_eq!(calls.len(), 5, "{entries:#?}");
        for (number, call) in calls.into_iter().enumerate() {
            assert_eq!((&call["server"], &call["tool"]), (&json!("reference"), &json!("test_simple_text")));
            assert_eq!(call["tool_use_id"], format!("toolu_{number}"));
            assert!(call["tool_hash"].as_str().is_some_and(|hash| !hash.is_empty()), "{call:#}");
            assert!(call["decision"].as_str().is_some_and(|text| !text.is_empty()), "{call:#}");
        }
    });
}

/// How often the process is killed; the whole proof sets `TOLLGATE_KILLS=100`.
fn kills() -> usize {
    std::env::var("TOLLGATE_KILLS").ok().and_then(|text| text.parse().ok()).unwrap_or(5)
}

#[test]
fn killed_under_load_it_keeps_every_call_that_was_answered() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let more = "prices: { models: { \"claude-*\": { input: 1, output: 5 } } }\n\
                    budgets: [{ name: all, usd: 1000, per: month, window: rolling }]\n";
        let mut gateway = Gateway::with(engine, &upstream.url(), more);
        let admin = administrator(&gateway);
        let answered = Mutex::new(Vec::<String>::new());
        let mut proven = Proven::default();
        for round in 0..kills() {
            let (addr, over) = (gateway.addr(), AtomicBool::new(false));
            thread::scope(|scope| {
                for caller in 0..4 {
                    let (answered, over) = (&answered, &over);
                    scope.spawn(move || {
                        while !over.load(Ordering::Relaxed) {
                            let Some(id) = answered_call(addr, caller % 2 == 0) else { return };
                            answered.lock().expect("no holder panics").push(id);
                        }
                    });
                }
                // A moment that differs from round to round.
                thread::sleep(Duration::from_millis(40 + (round as u64 * 37) % 160));
                gateway.signal("KILL");
                over.store(true, Ordering::Relaxed);
            });
            gateway = gateway.killed_and_started();
            proven = prove(&gateway, &admin, &answered.lock().expect("no holder panics"));
        }
        let answered = answered.into_inner().expect("no holder panics");
        assert!(answered.len() > kills(), "only {} calls were answered", answered.len());
        let (entries, gateway) = stopped(gateway);
        proven.calls = check_once(&entries, &answered);
        assert_eq!(shown_by_command(&gateway), dollars(spent(&entries)));
        let Proven { calls, lost } = proven;
        eprintln!("{} kills: {} calls answered, {calls} entries, {lost} lost", kills(), answered.len());
    });
}

/// What a ledger has after a restart.
#[derive(Default)]
struct Proven {
    calls: usize,
    lost: usize,
}

/// Proves that the chain holds and the index agrees, that each call which was answered is there once, and
/// that what the ledger has is what the command shows and what the running gateway counts.
fn prove(gateway: &Gateway, admin: &str, answered: &[String]) -> Proven {
    let entries = entries(gateway);
    let verified = ledger(gateway, &["verify"]).succeeded();
    assert!(verified.stdout.contains("the index agrees: "), "{}", verified.stdout);
    let calls = check_once(&entries, answered);
    let spent = dollars(spent(&entries));
    assert_eq!(shown_by_command(gateway), spent);
    let counted = look(gateway, admin);
    assert_eq!(counted.head.status, 200, "{counted:?}");
    assert_eq!(counted.json()["budgets"][0]["spent_usd"], spent, "{counted:?}");
    Proven { calls, lost: entries.iter().filter(|entry| entry["outcome"] == "lost").count() }
}

fn check_once(entries: &[Value], answered: &[String]) -> usize {
    let mut count: HashMap<&str, usize> = HashMap::new();
    for entry in entries {
        *count.entry(entry["id"].as_str().expect("an id")).or_default() += 1;
    }
    let double: Vec<_> = count.iter().filter(|(_, times)| **times > 1).collect();
    assert!(double.is_empty(), "{double:?}");
    let missing: Vec<&String> = answered.iter().filter(|id| !count.contains_key(id.as_str())).collect();
    assert!(missing.is_empty(), "{} of {} are missing: {missing:?}", missing.len(), answered.len());
    count.len()
}

fn spent(entries: &[Value]) -> u64 {
    entries.iter().filter_map(|entry| entry["cost_pico"].as_u64()).sum()
}

/// What `tollgate budget show` says has been spent of the only budget.
fn shown_by_command(gateway: &Gateway) -> String {
    let mut show = tollgate(gateway.folder().path());
    let shown = program::run(show.args(["budget", "show", "--json"]), Duration::from_secs(60)).succeeded();
    let shown: Value = serde_json::from_str(&shown.stdout).expect("--json prints JSON");
    shown[0]["spent_usd"].as_str().expect("it is a text").to_owned()
}

/// Makes an administrator's key and waits until it opens.
pub(crate) fn administrator(gateway: &Gateway) -> String {
    let mut create = tollgate(gateway.folder().path());
    create.args(["key", "create", "--name", "root", "--admin", "--json"]);
    let made = program::run(&mut create, Duration::from_secs(60)).succeeded();
    let made: Value = serde_json::from_str(&made.stdout).expect("--json prints JSON");
    let key = made["key"].as_str().expect("the key is shown once").to_owned();
    eventually("the administrator's key is taken", Duration::from_secs(20), || {
        look(gateway, &key).head.status == 200
    });
    key
}

fn look(gateway: &Gateway, admin: &str) -> Reply {
    once(gateway.addr(), &get("GET", "/admin/budgets", &[("x-api-key", admin)]))
}

/// Makes one call; its id if the answer came whole.
fn answered_call(addr: std::net::SocketAddr, stream: bool) -> Option<String> {
    let stream_socket = std::net::TcpStream::connect(addr).ok()?;
    let mut caller = Client::of(stream_socket);
    caller.try_send(&messages(KEY, "claude-any", stream)).ok()?;
    let head = caller.try_head().ok()?;
    while caller.part().ok()?.is_some() {}
    (head.status == 200).then(|| head.header("x-tollgate-request-id").expect("an id").to_owned())
}

#[test]
fn a_changed_byte_is_found_and_named() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        for _ in 0..20 {
            assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
        }
        let mut gateway = gateway;
        gateway.signal("TERM");
        gateway.wait(Duration::from_secs(20));
        ledger(&gateway, &["verify"]).succeeded();
        let segments = gateway.folder().join("data/ledger/segments");
        let segment =
            fs::read_dir(segments).expect("there are segments").next().expect("one").expect("it").path();
        let mut bytes = fs::read(&segment).expect("a segment can be read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&segment, bytes).expect("a segment can be written");
        let told = ledger(&gateway, &["verify"]);
        assert_eq!(told.status.code(), Some(1), "{}{}", told.stdout, told.stderr);
        let name = segment.file_name().expect("a name").to_string_lossy().into_owned();
        let text = format!("{}{}", told.stdout, told.stderr);
        assert!(text.contains(&name), "{text}");
    });
}

#[test]
fn two_processes_do_not_write_one_ledger() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let second = program::run(&mut tollgate(gateway.folder().path()), Duration::from_secs(20));
        assert_eq!(second.status.code(), Some(1), "{}{}", second.stdout, second.stderr);
        assert!(second.stderr.contains("ledger"), "{}", second.stderr);
        // The first has not been disturbed.
        assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
    });
}

#[test]
fn what_was_said_is_kept_as_far_as_the_team_wants() {
    for_each_engine(|engine| {
        let secret = format!("sk-ant-api03-{}AA", "aB3-cD4_e".repeat(11).get(..93).expect("it is longer"));
        let command = format!("curl -H 'x-api-key: {secret}' https://example.com");
        let tool = Some(("Bash", json!({ "command": command })));
        let script = scripted_upstream::Script { tool, text: &["unused"] };
        let upstream = scripted_upstream::start(script);
        let gateway = Gateway::with(engine, &upstream.url(), "ledger: { content: redacted }\n");
        let reply = once(gateway.addr(), &messages(KEY, "claude-any", true));
        assert_eq!(reply.head.status, 200);
        let id = reply.header("x-tollgate-request-id").expect("an id").to_owned();
        let mut gateway = gateway;
        gateway.signal("TERM");
        gateway.wait(Duration::from_secs(20));
        let told = ledger(&gateway, &["show", &id, "--content"]).succeeded();
        let bodies: Value = serde_json::from_str(&told.stdout).expect("it is JSON");
        assert_eq!(bodies["request"]["model"], "claude-any", "{bodies:#}");
        assert_eq!(bodies["answer"]["content"][0]["name"], "Bash", "{bodies:#}");
        let entry = entries(&gateway).into_iter().find(|entry| entry["id"] == *id).expect("it is there");
        assert_eq!(entry["content"], "kept");
        let action = &entry["actions"][0];
        assert_eq!((&action["name"], &action["class"]), (&json!("Bash"), &json!("unknown")), "{entry:#}");
        for text in [told.stdout, entry.to_string()] {
            assert!(text.contains("curl") && !text.contains("aB3-cD4_e"), "{text}");
        }
    });
}

#[test]
fn on_a_full_disk_calls_are_refused_until_there_is_room() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let folder = crate::gateway::Folder::new();
        folder.write("tollgate.yaml", &crate::gateway::config(engine, &upstream.url(), ""));
        // No file may grow beyond 4 MiB: journals fit, and the segment comes to its end soon.
        let command = tollgate(folder.path());
        let limited = format!("trap '' XFSZ; ulimit -f 8192; exec {:?}", command.get_program());
        let mut shell = std::process::Command::new("/bin/sh");
        shell.args(["-c", &limited]).current_dir(folder.path()).env_clear();
        let gateway = Gateway::run(&mut shell, folder);
        let mut caller = Client::connect(gateway.addr());
        let long = format!("claude-{}", "x".repeat(200));
        let request = messages(KEY, &long, false);
        let refused = (0..40_000).find_map(|_| {
            let reply = caller.exchange(&request);
            (reply.head.status != 200).then_some(reply)
        });
        let refused = refused.expect("the disk is full at some time");
        let message = refused.refusal(503, "overloaded_error");
        assert!(message.contains("record"), "{message}");
        assert!(refused.header("retry-after").is_some(), "{refused:?}");
        // Nobody is kept waiting for a disk to be told no, not even when the journal is full as well.
        for _ in 0..6_000 {
            assert_eq!(caller.exchange(&request).head.status, 503);
        }
    });
}

#[test]
fn an_index_that_says_something_else_is_found() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        for _ in 0..3 {
            assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", false)).head.status, 200);
        }
        let (_, other) = stopped(gateway);
        // The index of another ledger.
        let gateway = Gateway::start(engine, &upstream.url());
        let (_, gateway) = stopped({
            for _ in 0..3 {
                assert_eq!(once(gateway.addr(), &messages(KEY, "claude-else", false)).head.status, 200);
            }
            gateway
        });
        let name = "data/ledger/index.sqlite";
        fs::copy(other.folder().join(name), gateway.folder().join(name)).expect("an index can be copied");
        let told = ledger(&gateway, &["verify"]);
        assert_eq!(told.status.code(), Some(1), "{}{}", told.stdout, told.stderr);
        assert!(told.stderr.contains("the index is wrong at record "), "{}", told.stderr);
        ledger(&gateway, &["rebuild"]).succeeded();
        ledger(&gateway, &["verify"]).succeeded();
    });
}
