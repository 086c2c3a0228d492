//! Claude Code itself with the tools of many servers behind one address: found, called, and told apart.

use std::collections::HashSet;
use std::fs;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use crate::claude_code::{bare, claude, result};
use crate::cli::printed_key;
use crate::gateway::{Engine, Folder, Gateway, KEY, config, for_each_engine, tollgate, usual_port};
use crate::mcp_suite::ReferenceServer;
use crate::peer::scripted_turns::{self, DONE, Use};
use crate::peer::{Peer, meets_and_grows};
use crate::program::eventually;
use crate::{peers, program};

/// One run takes 1 to 5 s on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// What Claude Code puts before the names of our tools.
const OURS: &str = "mcp__tollgate__";

/// Makes Claude Code send all definitions at once.
pub(crate) const UPFRONT: (&str, &str) = ("ENABLE_TOOL_SEARCH", "false");

/// The config that a person would write for Claude Code.
pub(crate) fn endpoint(gateway: &Gateway) -> String {
    let headers = json!({ "Authorization": format!("Bearer {KEY}") });
    let server = json!({ "type": "http", "url": format!("{}/mcp", gateway.url()), "headers": headers });
    json!({ "mcpServers": { "tollgate": server } }).to_string()
}

/// Servers of npm on pipes and one over HTTP, all in the config of a gateway.
fn four_servers(folder: &Folder, reference: &ReferenceServer) -> String {
    let script = |name: &str| json!(peers::mcp_server(name));
    let node = json!(peers::node());
    format!(
        "mcp: {{ tools: native }}\nmcp_servers:\n  \
           files: {{ command: {node}, args: [{}, {}] }}\n  \
           memory: {{ command: {node}, args: [{}], env: {{ MEMORY_FILE_PATH: {} }} }}\n  \
           everything: {{ command: {node}, args: [{}] }}\n  \
           reference: {{ url: \"{}\", era: modern }}\n",
        script("filesystem"),
        json!(folder.path()),
        script("memory"),
        json!(folder.join("memory.jsonl")),
        script("everything"),
        reference.url()
    )
}

/// Waits until that many servers have told what they offer: programs take their time to start, and a list
/// does not wait for long.
#[track_caller]
fn all_listed(gateway: &Gateway, count: usize) {
    let listed = || gateway.log().all("listed an MCP server").len();
    eventually("all servers are listed", DEADLINE, || listed() >= count);
}

/// Lets Claude Code play all turns of the model behind the gateway.
#[track_caller]
pub(crate) fn play(gateway: &Gateway, environment: &[(&str, &str)]) {
    play_in(&Folder::new(), &gateway.url(), &endpoint(gateway), environment);
}

/// The same in a folder, with the model anywhere.
#[track_caller]
pub(crate) fn play_in(home: &Folder, model: &str, endpoint: &str, environment: &[(&str, &str)]) {
    say_in(home, model, endpoint, environment, "Play.");
}

/// The same with something to say to begin with.
#[track_caller]
fn say_in(home: &Folder, model: &str, endpoint: &str, environment: &[(&str, &str)], words: &str) {
    let mut command = claude(home.path(), model, KEY);
    command.envs(environment.iter().copied()).args(["--mcp-config", endpoint]);
    command.args(["--allowedTools", "mcp__tollgate", "--", words]);
    let outcome = program::run(&mut command, DEADLINE).succeeded();
    let result = result(&outcome.stdout);
    assert_eq!(result["is_error"], false, "{result}");
    assert_eq!(result["result"], DONE, "{result}");
    eprintln!("claude took {:.1?}", outcome.took);
}

/// What the model was asked, in order.
pub(crate) fn asked(model: &Peer) -> Vec<Value> {
    let seen = model.seen_at("/v1/messages");
    seen.iter().map(|seen| serde_json::from_slice(&seen.body).expect("it is JSON")).collect()
}

/// The names in `tools` of a request to the model, ours only.
pub(crate) fn offered(request: &Value) -> Vec<&str> {
    let tools = request["tools"].as_array().expect("tools are offered");
    tools.iter().filter_map(|tool| tool["name"].as_str()).filter(|name| name.starts_with(OURS)).collect()
}

/// What came of a call, as the last request tells it.
#[track_caller]
pub(crate) fn outcome(requests: &[Value], id: &str) -> String {
    let last = requests.last().expect("the model was asked");
    scripted_turns::result(last, id).unwrap_or_else(|| panic!("no result of {id} in {last}")).to_string()
}

/// The lines of the log about calls of tools.
#[track_caller]
fn tool_calls(gateway: &Gateway, count: usize) -> Vec<Value> {
    let calls = || {
        let lines = gateway.log().all("call");
        lines.into_iter().filter(|line| line["method"] == "tools/call").collect::<Vec<_>>()
    };
    eventually("a line for each call of a tool", Duration::from_secs(20), || calls().len() >= count);
    calls()
}

#[track_caller]
fn assert_logged(gateway: &Gateway, wanted: &[(&str, &str, &str)]) {
    let calls = tool_calls(gateway, wanted.len());
    for line in &calls {
        assert!(wanted.iter().any(|(id, ..)| line["tool_use_id"] == *id), "{line}");
    }
    for (id, server, name) in wanted {
        let line = calls.iter().find(|line| line["tool_use_id"] == *id);
        let line = line.unwrap_or_else(|| panic!("no line of {id}: {calls:?}"));
        assert_eq!((&line["server"], &line["name"]), (&json!(server), &json!(name)), "{line}");
        assert_eq!((&line["status"], &line["key"]), (&json!(200), &json!("main")), "{line}");
        assert_eq!((&line["outcome"], &line["version"]), (&json!("done"), &json!("2026-07-28")), "{line}");
    }
}

/// One call of each server, then a look at what the one before has left.
fn tour(folder: &Folder) -> Vec<Vec<Use>> {
    let entity = json!({ "name": "Łódź", "entityType": "city", "observations": ["has a film school"] });
    vec![
        vec![
            ("toolu_files", "mcp__tollgate__read_text_file", json!({ "path": folder.join("note.txt") })),
            ("toolu_create", "mcp__tollgate__create_entities", json!({ "entities": [entity] })),
            ("toolu_echo", "mcp__tollgate__echo", json!({ "message": "echo-4711 😀" })),
            ("toolu_sum", "mcp__tollgate__get-sum", json!({ "a": 40, "b": 2 })),
            ("toolu_modern", "mcp__tollgate__test_simple_text", json!({})),
        ],
        vec![("toolu_graph", "mcp__tollgate__read_graph", json!({}))],
    ]
}

#[test]
fn every_server_answers_through_one_address() {
    for_each_engine(|engine| {
        let (folder, reference) = (Folder::new(), ReferenceServer::start("modern"));
        folder.write("note.txt", "written by nobody: 0815 ż\n");
        let model = scripted_turns::start(tour(&folder));
        let gateway = Gateway::with(engine, &model.url(), &four_servers(&folder, &reference));
        all_listed(&gateway, 4);
        play(&gateway, &[UPFRONT]);

        let requests = asked(&model);
        assert_eq!(requests.len(), 3, "two turns and the end");
        let names = offered(&requests[0]);
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), names.len(), "{names:?}");
        assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
        assert!(names.len() > 60, "14 of files, 9 of memory, at least 8 and 30 of the others: {names:?}");
        for (id, text) in [
            ("toolu_files", "written by nobody: 0815 ż"),
            ("toolu_create", "has a film school"),
            ("toolu_echo", "echo-4711 😀"),
            ("toolu_sum", "42"),
            ("toolu_modern", "This is a simple text response for testing."),
            ("toolu_graph", "Łódź"),
        ] {
            assert!(outcome(&requests, id).contains(text), "{id}: {}", outcome(&requests, id));
        }
        assert_logged(
            &gateway,
            &[
                ("toolu_files", "files", "read_text_file"),
                ("toolu_create", "memory", "create_entities"),
                ("toolu_echo", "everything", "echo"),
                ("toolu_sum", "everything", "get-sum"),
                ("toolu_modern", "reference", "test_simple_text"),
                ("toolu_graph", "memory", "read_graph"),
            ],
        );
        let uses = gateway.log().all("call").iter().filter(|line| line["stop_reason"] == "tool_use").count();
        assert_eq!(uses, 2, "the turns of the model stand in the same log");
    });
}

#[test]
fn a_tool_is_found_by_search_and_then_called() {
    let reference = ReferenceServer::start("modern");
    let wanted = "mcp__tollgate__test_simple_text";
    let model = scripted_turns::start(vec![
        vec![(
            "toolu_search",
            "ToolSearch",
            json!({ "query": format!("select:{wanted}"), "max_results": 3 }),
        )],
        vec![("toolu_found", wanted, json!({}))],
    ]);
    let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", reference.url());
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &servers);
    play(&gateway, &[]);

    let requests = asked(&model);
    assert_eq!(requests.len(), 3);
    assert_eq!(offered(&requests[0]), [] as [&str; 0], "only names are sent at first");
    assert!(requests[0].to_string().contains(wanted), "{}", requests[0]);
    let found = outcome(&requests, "toolu_search");
    assert!(found.contains("tool_reference") && found.contains(wanted), "{found}");
    assert_eq!(offered(&requests[1]), [wanted], "what was found is defined");
    assert!(outcome(&requests, "toolu_found").contains("This is a simple text response for testing."));
    assert_logged(&gateway, &[("toolu_found", "reference", "test_simple_text")]);
}

#[test]
fn resources_prompts_and_pictures_come_through() {
    let reference = ReferenceServer::start("legacy");
    let resource = json!({ "server": "tollgate", "uri": "test://static-text" });
    let model = scripted_turns::start(vec![vec![
        ("toolu_list", "ListMcpResourcesTool", json!({ "server": "tollgate" })),
        ("toolu_read", "ReadMcpResourceTool", resource),
        ("toolu_picture", "mcp__tollgate__test_image_content", json!({})),
        ("toolu_error", "mcp__tollgate__test_error_handling", json!({})),
        ("toolu_progress", "mcp__tollgate__test_tool_with_progress", json!({})),
    ]]);
    let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", reference.url());
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &servers);
    say_in(
        &Folder::new(),
        &gateway.url(),
        &endpoint(&gateway),
        &[UPFRONT],
        "/mcp__tollgate__test_simple_prompt",
    );

    let requests = asked(&model);
    let prompt = requests[0]["messages"].to_string();
    assert!(prompt.contains("This is a simple prompt for testing."), "{prompt}");
    let listed = outcome(&requests, "toolu_list");
    assert!(listed.contains("test://static-text"), "{listed}");
    let read = outcome(&requests, "toolu_read");
    assert!(read.contains("This is the content of the static text resource."), "{read}");
    let picture = outcome(&requests, "toolu_picture");
    assert!(picture.contains("image/png") && picture.contains("base64"), "{picture}");
    let error = outcome(&requests, "toolu_error");
    assert!(error.contains("\"is_error\":true") && error.contains("intentionally"), "{error}");
    assert!(outcome(&requests, "toolu_progress").contains("All done"));
}

#[test]
fn readers_run_side_by_side_and_a_new_tool_is_there_in_the_next_turn() {
    let server = meets_and_grows::start();
    let meet = "mcp__tollgate__meet";
    let model = scripted_turns::start(vec![
        vec![("toolu_a", meet, json!({})), ("toolu_b", meet, json!({})), ("toolu_c", meet, json!({}))],
        vec![("toolu_grow", "mcp__tollgate__grow", json!({}))],
        vec![("toolu_grown", "mcp__tollgate__grown", json!({}))],
    ]);
    let servers = format!("mcp_servers:\n  scripted: {{ url: \"{}/mcp\" }}\n", server.url());
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &servers);
    play(&gateway, &[UPFRONT]);

    let requests = asked(&model);
    for id in ["toolu_a", "toolu_b", "toolu_c"] {
        let met = format!("{} have met", meets_and_grows::COMPANY);
        assert!(outcome(&requests, id).contains(&met), "{}", outcome(&requests, id));
    }
    assert!(!offered(&requests[1]).contains(&"mcp__tollgate__grown"), "{:?}", offered(&requests[1]));
    assert!(offered(&requests[2]).contains(&"mcp__tollgate__grown"), "{:?}", offered(&requests[2]));
    assert!(outcome(&requests, "toolu_grown").contains("new here"), "{}", outcome(&requests, "toolu_grown"));
}

#[test]
fn a_question_that_nobody_answers_ends_in_a_result() {
    let (old, new) = (ReferenceServer::start("legacy"), ReferenceServer::start("modern"));
    let question = json!({ "message": "Who is there?" });
    let model = scripted_turns::start(vec![
        vec![
            ("toolu_old", "mcp__tollgate__old__test_elicitation", question.clone()),
            ("toolu_new", "mcp__tollgate__new__test_elicitation", question),
        ],
        vec![("toolu_after", "mcp__tollgate__old__test_simple_text", json!({}))],
    ]);
    let servers = format!(
        "mcp: {{ tools: native }}\nmcp_servers:\n  old: {{ url: \"{}\", era: legacy }}\n  \
         new: {{ url: \"{}\", era: modern }}\n",
        old.url(),
        new.url()
    );
    let gateway = Gateway::with(Engine::Epoll, &model.url(), &servers);
    play(&gateway, &[UPFRONT]);

    let requests = asked(&model);
    let names = offered(&requests[0]);
    assert!(!names.contains(&"mcp__tollgate__test_elicitation"), "both have a prefix: {names:?}");
    assert!(names.iter().all(|name| name.len() <= 64), "{names:?}");
    for id in ["toolu_old", "toolu_new"] {
        let heard = outcome(&requests, id);
        assert!(heard.contains("User response") && heard.contains("cancel"), "{heard}");
    }
    assert!(outcome(&requests, "toolu_after").contains("This is a simple text response for testing."));
    // Asking takes a second request, and both are of the same use.
    let calls = tool_calls(&gateway, 5);
    let of = |id: &str| calls.iter().filter(|line| line["tool_use_id"] == id).count();
    assert_eq!((of("toolu_old"), of("toolu_new"), of("toolu_after")), (2, 2, 1), "{calls:?}");
}

/// A gateway that is started anew where the one before was, with the same folder.
fn restarted(path: &std::path::Path) -> Gateway {
    Gateway::run(&mut tollgate(path), Folder::new())
}

/// The config of a gateway with one server, on a port that stays.
fn settled(model: &str, port: u16, reference: &ReferenceServer) -> Folder {
    let folder = Folder::new();
    let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", reference.url());
    let text = config(Engine::Epoll, model, &servers);
    folder.write("tollgate.yaml", &text.replace("127.0.0.1:0", &format!("127.0.0.1:{port}")));
    folder
}

fn free_port() -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    listener.local_addr().expect("a listener has an address").port()
}

#[test]
fn a_restart_of_the_gateway_does_not_end_the_session() {
    let reference = ReferenceServer::start("modern");
    let tool = "mcp__tollgate__test_simple_text";
    let running: Arc<Mutex<Option<Gateway>>> = Arc::default();
    let folder = settled("http://127.0.0.1:9", free_port(), &reference);
    let (path, theirs) = (folder.path().to_owned(), Arc::clone(&running));
    let turns = vec![vec![("toolu_1", tool, json!({}))], vec![("toolu_2", tool, json!({}))]];
    // The model is asked directly: it makes the gateway go away while it thinks.
    let model = scripted_turns::start_with(turns, move |turn| {
        if turn == 1 {
            let mut running = theirs.lock().expect("no holder panics");
            drop(running.take());
            *running = Some(restarted(&path));
        }
    });
    let first = restarted(folder.path());
    let endpoint = endpoint(&first);
    *running.lock().expect("no holder panics") = Some(first);
    play_in(&Folder::new(), &model.url(), &endpoint, &[UPFRONT]);

    let requests = asked(&model);
    for id in ["toolu_1", "toolu_2"] {
        let said = outcome(&requests, id);
        assert!(said.contains("This is a simple text response for testing."), "{id}: {said}");
    }
    assert!(offered(&requests[2]).contains(&tool), "{:?}", offered(&requests[2]));
    let running = running.lock().expect("no holder panics");
    assert_logged(running.as_ref().expect("it runs"), &[("toolu_2", "reference", "test_simple_text")]);
}

#[test]
fn the_files_that_are_there_already_are_enough() {
    let Some(_usual_port) = usual_port() else { return };
    let (folder, home) = (Folder::new(), Folder::new());
    let env = json!({ "MEMORY_FILE_PATH": folder.join("memory.jsonl") });
    let server = json!({ "command": peers::node(), "args": [peers::mcp_server("memory")], "env": env });
    folder.write(".mcp.json", &json!({ "mcpServers": { "memory": server } }).to_string());
    let path = folder.path().to_owned();
    let gateway = Gateway::run(&mut tollgate(&path), folder);
    let key = printed_key(&gateway.printed("export ANTHROPIC_AUTH_TOKEN="));
    all_listed(&gateway, 1);
    let written = program::run(tollgate(&path).args(["claude", "--format", "mcp"]), DEADLINE).succeeded();
    assert!(!written.stdout.contains(&key), "the file can be shared: {}", written.stdout);
    home.write(".mcp.json", &written.stdout);
    fs::create_dir(home.join("claude-config")).expect("the build folder can be written");
    home.write("claude-config/settings.json", "{\"enableAllProjectMcpServers\":true}");

    let mut list = bare(home.path(), &gateway.url(), &key);
    let refused = program::run(list.args(["mcp", "list"]), DEADLINE);
    assert!(refused.stdout.contains("the header Authorization must be"), "{refused:?}");
    let listed = program::run(list.env("TOLLGATE_KEY", &key), DEADLINE);
    assert!(listed.stdout.contains("tollgate") && listed.stdout.contains("Connected"), "{listed:?}");
    let observation = json!({ "name": "gate", "entityType": "thing", "observations": ["opens at 7"] });
    let model = scripted_turns::start(vec![
        vec![("toolu_1", "mcp__tollgate__create_entities", json!({ "entities": [observation] }))],
        vec![("toolu_2", "mcp__tollgate__read_graph", json!({}))],
    ]);
    let mut command = bare(home.path(), &model.url(), &key);
    command.envs([UPFRONT, ("TOLLGATE_KEY", &*key)]).args(["-p", "--output-format", "json"]);
    let outcome =
        program::run(command.args(["--allowedTools", "mcp__tollgate", "--", "Play."]), DEADLINE).succeeded();
    assert_eq!(result(&outcome.stdout)["result"], DONE, "{}", outcome.stdout);
    let requests = asked(&model);
    assert_eq!(offered(&requests[0]).len(), 9, "{:?}", offered(&requests[0]));
    assert!(crate::mcp_claude_code::outcome(&requests, "toolu_2").contains("opens at 7"), "{requests:?}");
}

#[test]
fn the_command_that_is_printed_adds_the_endpoint() {
    let (home, reference) = (Folder::new(), ReferenceServer::start("modern"));
    let servers = format!("mcp_servers:\n  reference: {{ url: \"{}\" }}\n", reference.url());
    let gateway = Gateway::with(Engine::Epoll, "http://127.0.0.1:9", &servers);
    let url = gateway.url();
    let mut command = tollgate(gateway.folder().path());
    let told = program::run(command.args(["claude", "--base-url", &url]), DEADLINE).succeeded();
    let line = told.stderr.lines().find_map(|line| line.split_once("claude mcp add "));
    let (_, arguments) = line.unwrap_or_else(|| panic!("no command in {told:?}"));
    let claude = bare(home.path(), &url, KEY);
    let mut shell = Command::new("sh");
    shell.current_dir(home.path()).env_clear();
    shell.envs(claude.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let line = format!("{} mcp add {arguments}", peers::claude().display());
    program::run(shell.args(["-c", &line]), DEADLINE).succeeded();
    let listed = program::run(bare(home.path(), &url, KEY).args(["mcp", "list"]), DEADLINE).succeeded();
    assert!(listed.stdout.contains("tollgate") && listed.stdout.contains("Connected"), "{listed:?}");
}
