//! What Claude Code can do, on each dialect of providers: its transcript has to hold what came of it.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{get, once};
use crate::dialects::{DEADLINE, complaints};
use crate::gateway::{Engine, Folder, Gateway, KEY};
use crate::ledger::{administrator, entries_of};
use crate::mcp_claude_code::endpoint;
use crate::peer::scripted_turns::{self, DONE, Use};
use crate::peer::{After, Peer, Seen, offers_many_tools, speaks_chat, speaks_lenient};
use crate::program;
use crate::targets::{self, BEDROCK, BEGINNING, CHAT, FOREIGN, LENIENT, Target};

/// What the person says in the conversation that is looked at.
const MAIN: &str = "Play the main part.";

/// Prices for models that nobody knows, and a budget that is held to.
pub(crate) const MONEY: &str = "prices: { models: { \"*\": { input: 5, output: 25 } } }\n\
    budgets: [{ name: hundred, usd: 100, per: day, window: rolling, mode: strict }]";

/// The foreign dialects, and Bedrock with its frames.
fn each(test: impl Fn(&'static Target)) {
    for target in FOREIGN.into_iter().chain([&BEDROCK]) {
        eprintln!("dialect: {}", target.name);
        test(target);
    }
}

/// Lets Claude Code say something, and gives its result.
#[track_caller]
fn say(home: &Folder, gateway: &Gateway, args: &[&str]) -> Value {
    let mut command = crate::claude_code::claude(home.path(), &gateway.url(), KEY);
    let outcome = program::run(command.args(args).args(["--", MAIN]), DEADLINE).succeeded();
    let result = crate::claude_code::result(&outcome.stdout);
    assert_eq!(result["is_error"], false, "{result}");
    result
}

/// What Claude Code has written down of its conversations, one message a line.
fn transcript(home: &Folder) -> Vec<Value> {
    fn gather(folder: &Path, found: &mut Vec<Value>) {
        for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                gather(&path, found);
            } else if path.extension().is_some_and(|ending| ending == "jsonl") {
                let text = fs::read_to_string(&path).expect("a transcript is text");
                found.extend(text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()));
            }
        }
    }
    let mut found = Vec::new();
    gather(&home.join("claude-config").join("projects"), &mut found);
    found
}

/// The results of tools in a transcript, as written.
fn results(home: &Folder) -> String {
    let blocks = transcript(home)
        .into_iter()
        .filter_map(|line| line["message"]["content"].as_array().cloned())
        .flatten()
        .filter(|block| block["type"] == "tool_result");
    blocks.map(|block| block.to_string() + "\n").collect()
}

/// OpenAI's own types know what is wrong with requests for it; the other peers refuse by themselves.
#[track_caller]
fn assert_valid(target: &Target, upstream: &Peer) {
    let kind = match target.name {
        "openai_chat" => "chat",
        "openai_responses" => "responses",
        _ => return,
    };
    let posts: Vec<Seen> = upstream.seen().into_iter().filter(|seen| seen.method == "POST").collect();
    assert_eq!(complaints(kind, &posts), "", "{}", target.name);
}

fn bash(id: &'static str, command: &str) -> Use {
    (id, "Bash", json!({ "command": command, "description": "print a marker" }))
}

#[test]
fn a_tool_of_two_hundred_is_found_and_called() {
    let wanted = "mcp__tollgate__look_137";
    let many = offers_many_tools::start();
    each(|target| {
        let search = json!({ "query": format!("select:{wanted}"), "max_results": 3 });
        let (find, call): (Use, Use) =
            (("call_find", "ToolSearch", search), ("call_found", wanted, json!({ "word": "łódź" })));
        let upstream = target.plays(vec![(MAIN, vec![vec![find.clone()], vec![call.clone()]])]);
        let servers =
            format!("mcp: {{ tools: native }}\nmcp_servers:\n  many: {{ url: \"{}/mcp\" }}\n", many.url());
        let gateway = target.gateway(Engine::Epoll, &upstream, "", &servers);
        let home = Folder::new();
        let endpoint = endpoint(&gateway);
        let told = say(&home, &gateway, &["--mcp-config", &endpoint, "--allowedTools", "mcp__tollgate"]);
        assert_eq!(told["result"], DONE, "{}: {told}", target.name);

        let bodies: Vec<Value> = targets::bodies(&upstream)
            .into_iter()
            .filter(|body| !targets::defined(body).is_empty())
            .collect();
        assert_eq!(bodies.len(), 3, "search, call, end");
        let first = targets::defined(&bodies[0]);
        assert!(!first.iter().any(|name| name.starts_with("mcp__")), "names alone are told: {first:?}");
        assert!(!first.contains(&"DeferredToolPlaceholder") || target.name == "bedrock", "{first:?}");
        let text = bodies[0].to_string();
        assert!(text.contains(wanted) && text.contains("look_199"), "all names are told: {text}");
        for body in &bodies[1..] {
            let names = targets::defined(body);
            assert!(names.contains(&wanted), "{}: {names:?}", target.name);
            let ours = names.iter().filter(|name| name.starts_with("mcp__")).count();
            assert_eq!(ours, 1, "nothing else was found: {names:?}");
        }
        let found = target.outcome(&bodies, &find);
        assert!(found.contains(wanted), "{}: {found}", target.name);
        let said = target.outcome(&bodies, &call);
        assert!(said.contains("look_137 heard łódź"), "{}: {said}", target.name);
        assert!(results(&home).contains("look_137 heard łódź"), "{}: {}", target.name, results(&home));
        assert_valid(target, &upstream);
    });
}

#[test]
fn a_subagent_does_its_part() {
    each(|target| {
        let prompt = "Run the marker of the other part.";
        let task = json!({ "description": "run a marker", "prompt": prompt,
                           "subagent_type": "general-purpose", "run_in_background": false });
        let (task, run): (Use, Use) =
            (("call_task", "Agent", task), bash("call_run", "echo marker-$((6*7))"));
        let upstream =
            target.plays(vec![(MAIN, vec![vec![task.clone()]]), (prompt, vec![vec![run.clone()]])]);
        let gateway = target.gateway(Engine::Epoll, &upstream, "", "");
        let home = Folder::new();
        let told = say(&home, &gateway, &["--allowedTools", "Bash,Agent,Task"]);
        assert_eq!(told["result"], DONE, "{}: {told}", target.name);
        let (main, other): (Vec<Value>, Vec<Value>) = targets::bodies(&upstream)
            .into_iter()
            .filter(|body| !targets::defined(body).is_empty())
            .partition(|body| body.to_string().contains(MAIN));
        assert!(target.outcome(&other, &run).contains("marker-42"), "{}", target.name);
        let reported = target.outcome(&main, &task);
        assert!(reported.contains(DONE), "{}: {reported}", target.name);
        assert!(results(&home).contains(DONE), "{}: {}", target.name, results(&home));
        assert_valid(target, &upstream);
    });
}

#[test]
fn thoughts_are_kept_and_given_back() {
    for (target, plan) in [(&CHAT, speaks_chat::PLAN), (&LENIENT, speaks_lenient::PLAN)] {
        let run = bash("call_run", "echo marker-$((6*7))");
        let upstream = target.plays(vec![(MAIN, vec![vec![run.clone()]])]);
        let gateway = target.gateway(Engine::Epoll, &upstream, ", takes: { reasoning_back: true }", "");
        let home = Folder::new();
        let told = say(&home, &gateway, &["--allowedTools", "Bash"]);
        assert_eq!(told["result"], DONE, "{}: {told}", target.name);
        let thought = |block: &Value| block["type"] == "thinking" && block["thinking"] == plan;
        let lines = transcript(&home);
        let blocks = lines.iter().filter_map(|line| line["message"]["content"].as_array()).flatten();
        assert!(blocks.clone().any(thought), "{}: the transcript has the thought", target.name);
        let bodies = targets::bodies(&upstream);
        assert!(target.outcome(&bodies, &run).contains("marker-42"), "{}", target.name);
        let last = bodies.last().expect("it was asked");
        let said = last["messages"].as_array().expect("there are messages").iter();
        let said: Vec<&Value> = said.filter(|message| message["role"] == "assistant").collect();
        let back = match target.name {
            "openai_chat" => said.iter().filter(|one| one["reasoning_content"] == plan).count(),
            _ => said
                .iter()
                .filter_map(|one| one["content"].as_array())
                .flatten()
                .filter(|b| thought(b))
                .count(),
        };
        assert_eq!(back, 1, "{}: it comes back once: {said:?}", target.name);
    }
}

#[test]
fn a_search_of_the_web_is_made_there_or_refused_by_its_name() {
    let query = "height of the tower in łódź";
    each(|target| {
        let search: Use = ("call_search", "WebSearch", json!({ "query": query }));
        let upstream = target.plays(vec![(MAIN, vec![vec![search.clone()]])]);
        let gateway = target.gateway(Engine::Epoll, &upstream, "", "");
        let home = Folder::new();
        let told = say(&home, &gateway, &["--allowedTools", "WebSearch"]);
        assert_eq!(told["result"], DONE, "{}: {told}", target.name);
        let (main, beside): (Vec<Value>, Vec<Value>) =
            targets::bodies(&upstream).into_iter().partition(|body| body.to_string().contains(MAIN));
        let came = target.outcome(&main, &search);
        let searches: Vec<&Value> = beside.iter().filter(|body| body["tools"].is_array()).collect();
        match target.name {
            "openai_responses" => assert_eq!(searches[0]["tools"][0]["type"], "web_search", "{searches:?}"),
            "gemini" => assert_eq!(searches[0]["tools"], json!([{ "googleSearch": {} }]), "{searches:?}"),
            _ => {
                assert!(searches.is_empty(), "{}: {searches:?}", target.name);
                assert!(came.contains("web_search_2025"), "{}: it is named: {came}", target.name);
                assert!(results(&home).contains("web_search_2025"), "{}: {}", target.name, results(&home));
                return;
            }
        }
        assert!(came.contains(DONE), "{}: {came}", target.name);
        assert!(results(&home).contains(DONE), "{}: {}", target.name, results(&home));
        assert_valid(target, &upstream);
    });
}

/// A conversation goes on with Anthropic's own model, and comes back.
#[test]
fn a_conversation_moves_to_another_model_and_back() {
    each(|target| {
        let (first, second) =
            (bash("call_1", "echo marker-$((6*7))"), bash("toolu_near", "echo near-$((6*8))"));
        let upstream = target.plays(vec![(MAIN, vec![vec![first.clone()]])]);
        let near = scripted_turns::start(vec![vec![second.clone()]]);
        let models = format!(
            "models:\n  claude-far: [{{ provider: far, model: \"{}\" }}]\n  \"claude-*\": [near]\n",
            target.model
        );
        let gateway = target.gateway_beside(&upstream, &near, &models);
        let home = Folder::new();
        for (model, goes_on) in [("claude-far", false), ("claude-sonnet-5", true), ("claude-far", true)] {
            let goes_on: &[&str] = if goes_on { &["--continue"] } else { &[] };
            let args = [goes_on, &["--model", model, "--allowedTools", "Bash"]].concat();
            assert_eq!(say(&home, &gateway, &args)["result"], DONE, "{}", target.name);
        }
        let asked = targets::bodies(&near);
        let told = |call: &Use| {
            let last = asked.last().expect("it was asked");
            scripted_turns::result(last, call.0).map(Value::to_string).unwrap_or_default()
        };
        let text = asked.last().map(Value::to_string).unwrap_or_default();
        assert!(text.contains("marker-42"), "{}: the result came along: {text}", target.name);
        assert!(told(&second).contains("near-48"), "{}: {text}", target.name);
        assert!(!text.contains("tollgate.1."), "{}: {text}", target.name);
        assert!(!text.contains("\"thinking\":\""), "{}: nobody else's thoughts: {text}", target.name);
        let bodies = targets::bodies(&upstream);
        let last = bodies.last().expect("it was asked").to_string();
        assert!(target.outcome(&bodies[bodies.len() - 1..], &first).contains("marker-42"), "{last}");
        assert!(last.contains("near-48"), "{}: {last}", target.name);
        assert_valid(target, &upstream);
    });
}

/// What is reserved of the only budget, in dollars.
pub(crate) fn reserved(gateway: &Gateway, admin: &str) -> Option<f64> {
    let reply = once(gateway.addr(), &get("GET", "/admin/budgets", &[("x-api-key", admin)]));
    // Who looks without a pause is told to look less.
    if reply.head.status != 200 {
        return None;
    }
    let budgets = reply.json()["budgets"].as_array().cloned().unwrap_or_default();
    Some(budgets.iter().filter_map(|one| one["reserved_usd"].as_str()?.parse::<f64>().ok()).sum())
}

#[test]
fn an_interrupt_ends_the_call_at_the_provider() {
    each(|target| {
        let (tell, told) = channel();
        let tell = Mutex::new(tell);
        let upstream = Peer::start(move |seen, exchange| {
            if targets::defined(&serde_json::from_slice(&seen.body).unwrap_or_default()).is_empty() {
                return (target.answer)(&[], seen, exchange);
            }
            target.begin(exchange)?;
            if exchange.wait_for_close(DEADLINE).is_some() {
                // Without a listener any more, there is nobody to tell.
                tell.lock().expect("no holder panics").send(()).unwrap_or_default();
            }
            Ok(After::Close)
        });
        let gateway = target.gateway(Engine::Epoll, &upstream, "", MONEY);
        let admin = administrator(&gateway);
        let home = Folder::new();
        let mut claude = crate::claude_code::bare(home.path(), &gateway.url(), KEY);
        claude.args(["-p", "--output-format", "stream-json", "--verbose", "--include-partial-messages"]);
        let claude = claude.args(["--strict-mcp-config", "--", MAIN]);
        let mut claude = claude
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("Claude Code can be started");
        let lines = BufReader::new(claude.stdout.take().expect("stdout is piped")).lines();
        let mut lines = lines.map_while(Result::ok);
        assert!(lines.any(|line| line.contains(BEGINNING)), "{}: the beginning arrives", target.name);
        let held = |wanted: fn(f64) -> bool| {
            program::eventually("the budget is so", Duration::from_secs(60), || {
                reserved(&gateway, &admin).is_some_and(wanted)
            });
        };
        held(|usd| usd > 0.0);
        let sent = Command::new("kill").arg("-INT").arg(claude.id().to_string()).status();
        assert!(sent.is_ok_and(|status| status.success()));
        told.recv_timeout(DEADLINE).expect("the call at the provider is given up");
        lines.for_each(drop);
        claude.wait().expect("a child can be waited for");
        held(|usd| usd == 0.0);
        let entries = entries_of(gateway);
        let left: Vec<&Value> = entries.iter().filter(|entry| entry["outcome"] == "caller_gone").collect();
        assert_eq!(left.len(), 1, "{}: {entries:#?}", target.name);
        assert_eq!((&left[0]["provider"], &left[0]["status"]), (&json!("far"), &json!(200)), "{left:?}");
        assert!(left[0]["cost_pico"].as_u64() > Some(0), "{}: {left:?}", target.name);
    });
}
