//! Anthropic's own SDKs, of Python and of TypeScript, before a provider of each dialect.

use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};

use crate::gateway::{Engine, KEY, for_each_engine};
use crate::peer::scripted_turns::{DONE, Use};
use crate::targets::{ALL, Target};
use crate::{peers, program};

/// A run takes a second on a quiet machine.
const DEADLINE: Duration = Duration::from_secs(180);

fn python() -> Command {
    let mut command = Command::new(peers::python());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/sdk_dialects.py"));
    command
}

fn typescript() -> Command {
    let mut command = Command::new(peers::node());
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/journey/sdk_dialects.mjs"));
    command.arg(peers::anthropic_typescript());
    command
}

fn plays_before_all(engine: Engine, sdk: fn() -> Command) {
    for target in ALL {
        let weather: Use = ("call_weather", "weather", json!({ "city": "Łódź" }));
        let upstream = target.plays(vec![("Play the main part.", vec![vec![weather]])]);
        let gateway = target.gateway(engine, &upstream, "", "");
        let mut command = sdk();
        let outcome = program::run(command.env_clear().args([&gateway.url(), KEY]), DEADLINE).succeeded();
        let facts: Value = serde_json::from_str(&outcome.stdout).expect("the script prints JSON");
        check(target, &facts);
    }
}

#[track_caller]
fn check(target: &Target, facts: &Value) {
    let name = target.name;
    let used = json!({ "name": "weather", "input": { "city": "Łódź" }, "reason": "tool_use" });
    assert_eq!((&facts["use"], &facts["whole"]), (&used, &used), "{name}: {facts}");
    assert_eq!((&facts["last"], &facts["reason"]), (&json!(DONE), &json!("end_turn")), "{name}: {facts}");
    assert_eq!(facts["counted"], true, "{name}: {facts}");
    for limited in facts["limited"].as_array().expect("there are two") {
        let wanted = json!({ "status": 429, "kind": "rate_limit_error", "limited": true, "after": "7" });
        assert_eq!(*limited, wanted, "{name}: {facts}");
    }
    assert_eq!(facts["cut"]["kind"], "api_error", "{name}: {facts}");
}

#[test]
fn the_python_sdk_plays_with_tools_before_each_dialect() {
    for_each_engine(|engine| plays_before_all(engine, python));
}

#[test]
fn the_typescript_sdk_plays_with_tools_before_each_dialect() {
    plays_before_all(Engine::Epoll, typescript);
}
