//! Claude Code itself, headless, against scripted upstreams: what it sends must arrive as it was sent.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Folder, Gateway, KEY, for_each_engine};
use crate::peer::recording_relay::Relay;
use crate::peer::scripted_upstream::{self, Script};
use crate::peer::{Peer, answers_status};
use crate::{peers, program};

/// One run takes 1 to 3 s on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// `claude -p` in a home of its own, without a way to the outside.
pub(crate) fn claude(home: &Path, base_url: &str, key: &str) -> Command {
    let mut command = bare(home, base_url, key);
    command.args(["-p", "--output-format", "json", "--strict-mcp-config"]);
    command
}

/// The same without arguments.
pub(crate) fn bare(home: &Path, base_url: &str, key: &str) -> Command {
    let mut command = Command::new(peers::claude());
    command
        .current_dir(home)
        .env_clear()
        .env("PATH", "/usr/local/bin:/usr/bin:/bin")
        .env("HOME", home)
        .env("CLAUDE_CONFIG_DIR", home.join("claude-config"))
        .env("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1")
        .env("DISABLE_TELEMETRY", "1")
        .env("DISABLE_AUTOUPDATER", "1")
        .env("ANTHROPIC_BASE_URL", base_url)
        .env("ANTHROPIC_AUTH_TOKEN", key);
    command
}

/// The last line of `--output-format json`.
pub(crate) fn result(stdout: &str) -> Value {
    serde_json::from_str(stdout.trim()).unwrap_or_else(|why| panic!("{why} in {stdout:?}"))
}

/// A turn that runs `Bash`, then a final text.
fn tool_turn() -> Peer {
    let input = json!({ "command": "echo marker-$((40+2))", "description": "print a marker" });
    scripted_upstream::start(Script {
        tool: Some(("Bash", input)), text: &["The tool ", "said so. Łódź 😀"]
    })
}

fn drive_tool_turn(base_url: &str) {
    let home = Folder::new();
    let outcome = program::run(
        claude(home.path(), base_url, KEY).args(["--allowedTools", "Bash", "--", "Run the marker."]),
        DEADLINE,
    )
    .succeeded();
    let result = result(&outcome.stdout);
    assert_eq!(result["is_error"], false, "{result}");
    assert_eq!(result["result"], "The tool said so. Łódź 😀", "{result}");
    assert_eq!(result["num_turns"], 2, "{result}");
}

#[test]
fn the_peers_do_their_part_without_a_gateway() {
    let upstream = tool_turn();
    let relay = Relay::start(upstream.addr());
    drive_tool_turn(&relay.url());
    let (sent, arrived) = (relay.seen(), upstream.seen());
    assert_eq!(sent.len(), arrived.len());
    assert!(arrived.len() >= 2, "a tool call takes two requests");
}

#[test]
fn a_tool_turn_arrives_byte_for_byte() {
    for_each_engine(|engine| {
        let upstream = tool_turn();
        let gateway = Gateway::start(engine, &upstream.url());
        let relay = Relay::start(gateway.addr());
        drive_tool_turn(&relay.url());

        let messages = |seen: Vec<crate::peer::Seen>| {
            seen.into_iter().filter(|seen| seen.path() == "/v1/messages").collect::<Vec<_>>()
        };
        let (sent, arrived) = (messages(relay.seen()), messages(upstream.seen()));
        assert!(sent.len() >= 2, "a tool call takes two requests, {} came", sent.len());
        assert_eq!(sent.len(), arrived.len());
        for (sent, arrived) in sent.iter().zip(&arrived) {
            assert_eq!(sent.sha256(), arrived.sha256());
            assert_eq!(sent.target, arrived.target);
            assert!(!sent.anthropic_headers().is_empty());
            assert_eq!(sent.anthropic_headers(), arrived.anthropic_headers());
        }
        let second = arrived.last().expect("there are two");
        assert!(String::from_utf8_lossy(&second.body).contains("marker-42"), "the tool really ran");
        assert_eq!(upstream.connections(), 1, "one upstream connection carries the session");
        let reached = sent.iter().map(|seen| seen.connection).collect::<std::collections::HashSet<_>>();
        assert_eq!(reached.len(), 1, "the client was not made to reconnect");
        let calls = gateway.log().calls(sent.len());
        assert!(calls.iter().all(|call| call["status"] == 200 && call["key"] == "main"), "{calls:?}");
        assert_eq!(calls.last().map(|call| &call["stop_reason"]), Some(&json!("end_turn")));
        assert_eq!(calls.first().map(|call| &call["stop_reason"]), Some(&json!("tool_use")));
    });
}

#[test]
fn an_unknown_key_costs_one_request() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let relay = Relay::start(gateway.addr());
        let home = Folder::new();
        let outcome =
            program::run(claude(home.path(), &relay.url(), "tg_nobody").args(["--", "hi"]), DEADLINE);
        let result = result(&outcome.stdout);
        assert_eq!(result["is_error"], true, "{result}");
        let asked = relay.seen().iter().filter(|seen| seen.path() == "/v1/messages").count();
        assert_eq!(asked, 1, "a 401 with x-should-retry: false is final");
        assert!(upstream.seen_at("/v1/messages").is_empty());
    });
}

#[test]
fn a_model_that_is_not_allowed_costs_one_request() {
    for_each_engine(|engine| {
        let upstream = scripted_upstream::plain();
        let gateway = Gateway::start(engine, &upstream.url());
        let relay = Relay::start(gateway.addr());
        let home = Folder::new();
        let outcome = program::run(
            claude(home.path(), &relay.url(), crate::gateway::NARROW_KEY).args([
                "--model",
                "claude-forbidden-1",
                "--",
                "hi",
            ]),
            DEADLINE,
        );
        let result = result(&outcome.stdout);
        assert_eq!(result["is_error"], true, "{result}");
        let asked = relay.seen().iter().filter(|seen| seen.path() == "/v1/messages").count();
        assert_eq!(asked, 1, "a 403 is final");
    });
}

#[test]
fn the_wording_of_an_upstream_reaches_the_person() {
    const BODY: &str =
        r#"{"type":"error","error":{"type":"permission_error","message":"scripted refusal 4711"}}"#;
    for_each_engine(|engine| {
        let headers = &[("Content-Type", "application/json"), ("request-id", "req_upstream_1")];
        let upstream = answers_status::start(403, headers, BODY);
        let gateway = Gateway::start(engine, &upstream.url());
        let home = Folder::new();
        let outcome = program::run(claude(home.path(), &gateway.url(), KEY).args(["--", "hi"]), DEADLINE);
        assert!(outcome.stdout.contains("scripted refusal 4711"), "{}", outcome.stdout);
        assert_eq!(upstream.seen_at("/v1/messages").len(), 1);
    });
}
