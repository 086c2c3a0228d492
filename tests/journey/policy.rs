//! `tollgate policy`: what it says of a call is what becomes of it, and what another config would change.

use std::time::Duration;

use serde_json::{Value, json};

use crate::client::{messages, once};
use crate::gateway::{Engine, Folder, Gateway, KEY, NARROW_KEY, config, tollgate};
use crate::mcp_caller::Caller;
use crate::peer::speaks_mcp::{self, Era};
use crate::peer::{Peer, scripted_upstream};
use crate::program::{self, Outcome, eventually};

const TEAM: &str = "{ models: [\"claude-allowed*\"] }";

/// The config with another team.
fn with_team(upstream: &str, servers: &str, team: &str) -> String {
    let text =
        config(Engine::Epoll, upstream, servers).replace("up: {", "up: { region: us,").replace(TEAM, team);
    assert!(text.contains(team), "{text}");
    text
}

fn policy(gateway: &Gateway, args: &[&str]) -> Outcome {
    let mut command = tollgate(gateway.folder().path());
    program::run(command.arg("policy").args(args), Duration::from_secs(60))
}

fn json(outcome: Outcome) -> Value {
    serde_json::from_str(&outcome.succeeded().stdout).expect("it is JSON")
}

/// A gateway whose key `narrow` may do little, beside two configs that might come.
struct Scene {
    gateway: Gateway,
    _upstream: Peer,
    _server: Peer,
}

fn scene() -> Scene {
    let upstream = scripted_upstream::plain();
    let server = speaks_mcp::start(Era::Modern, |asked, exchange| match &*asked.method {
        "tools/list" => asked.answer(exchange, &speaks_mcp::tools(&["read_it", "write_it"])),
        _ => Ok(None),
    });
    let servers =
        format!("mcp_servers:\n  files: {{ url: \"{}/mcp\", era: modern, region: us }}\n", server.url());
    let team = "{ models: [\"claude-allowed*\", claude-renamed], servers: { files: [\"read*\"] }, \
                regions: [us], aliases: { claude-fast: claude-renamed } }";
    let folder = Folder::new();
    let write = |name: &str, team: &str| folder.write(name, &with_team(&upstream.url(), &servers, team));
    write("tollgate.yaml", team);
    write("new.yaml", "{ models: [claude-forbidden], regions: [us] }");
    write("away.yaml", "{ regions: [eu] }");
    let gateway = Gateway::run(&mut tollgate(folder.path()), folder);
    Scene { gateway, _upstream: upstream, _server: server }
}

#[test]
fn what_is_explained_is_what_becomes_of_a_call() {
    let scene = scene();
    let gateway = &scene.gateway;
    for (model, status) in
        [("claude-allowed-1", 200), ("claude-fast", 200), ("claude-forbidden", 403), ("gpt", 403)]
    {
        let told = json(policy(gateway, &["explain", "--key", "narrow", "--model", model, "--json"]));
        assert_eq!(told["allowed"], status == 200, "{told:#}");
        let reply = once(gateway.addr(), &messages(NARROW_KEY, model, true));
        assert_eq!(reply.head.status, status, "{model}");
        if status != 200 {
            assert_eq!(told["why"], reply.json()["error"]["message"], "the sentence that callers read");
        }
    }
    let told = json(policy(gateway, &["explain", "--key", "narrow", "--model", "claude-fast", "--json"]));
    assert_eq!(told["meant"], "claude-renamed", "{told:#}");
    assert_eq!(told["why"], "team narrow: models claude-renamed; team narrow: regions us");
    let place = json!({ "place": "provider up: us", "model": "claude-inner", "allowed": true });
    assert_eq!(told["places"], json!([place]));
    let text =
        policy(gateway, &["explain", "--key", "narrow", "--call", "files.write_it"]).succeeded().stdout;
    assert!(text.contains("refused     tool \"write_it\" of server \"files\" is not allowed"), "{text}");
    assert!(text.contains("may run   server files: us"), "{text}");
    let text = policy(gateway, &["explain", "--key", "narrow", "--call", "files.read_it"]).succeeded().stdout;
    assert!(
        text.contains("allowed     team narrow: servers files: read*; team narrow: regions us"),
        "{text}"
    );
    let mut away = tollgate(gateway.folder().path());
    let told = away.args(["--config", "away.yaml", "policy", "explain", "--key", "narrow"]);
    let told = program::run(told.args(["--model", "claude-x"]), Duration::from_secs(60)).succeeded().stdout;
    for part in
        ["refused     model \"claude-x\" may not run outside of its regions", "may not   provider up: us"]
    {
        assert!(told.contains(part), "{told} has no {part}");
    }
    for wrong in [&["explain", "--key", "nobody", "--model", "m"][..], &["explain", "--key", "narrow"]] {
        assert_ne!(policy(gateway, wrong).status.code(), Some(0), "{wrong:?}");
    }
}

#[test]
fn another_config_is_tried_against_what_the_ledger_has() {
    let scene = scene();
    let gateway = &scene.gateway;
    for model in ["claude-allowed-1", "claude-fast", "claude-forbidden", "gpt"] {
        once(gateway.addr(), &messages(NARROW_KEY, model, true));
    }
    let mut caller = Caller::with(gateway, Era::Modern, "/mcp", NARROW_KEY, "{}");
    assert!(caller.call("1", "read_it", "{}").json()["error"].is_null());
    assert_eq!(once(gateway.addr(), &messages(KEY, "claude-any", true)).head.status, 200);
    let mut told = Value::Null;
    eventually("all calls are in the index", Duration::from_secs(20), || {
        told = json(policy(gateway, &["test", "--policy", "new.yaml", "--json"]));
        told["calls"] == 6
    });
    let changes: Vec<[Value; 4]> = told["changes"]
        .as_array()
        .expect("there is a list")
        .iter()
        .map(|change| ["change", "calls", "key", "what"].map(|field| change[field].clone()))
        .collect();
    let mut changes: Vec<String> = changes.iter().map(|change| format!("{change:?}")).collect();
    changes.sort();
    let wanted =
        [("allowed", "claude-forbidden"), ("refused", "claude-allowed-1"), ("refused", "claude-fast")];
    let wanted =
        wanted.map(|(change, what)| format!("{:?}", [json!(change), json!(1), json!("narrow"), json!(what)]));
    assert_eq!(changes, wanted, "{told:#}");
    let table = policy(gateway, &["test", "--policy", "new.yaml", "--fail-on-change"]);
    assert_eq!(table.status.code(), Some(1), "{table:?}");
    assert!(
        table.stdout.contains("WOULD BE") && table.stdout.contains("claude-forbidden"),
        "{}",
        table.stdout
    );
    let same = policy(gateway, &["test", "--policy", "tollgate.yaml", "--fail-on-change"]).succeeded();
    assert!(same.stdout.contains("no call would be decided otherwise"), "{}", same.stdout);
    let away =
        json(policy(gateway, &["test", "--policy", "away.yaml", "--against", "kind:tool_call", "--json"]));
    assert_eq!(away["changes"][0]["what"], "files.read_it", "{away:#}");
    assert!(away["changes"][0]["then"].as_str().is_some_and(|why| why.contains("regions eu")), "{away:#}");
    assert_eq!(away["calls"], 1);
}
