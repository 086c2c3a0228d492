//! Every caller's era with every server's era through the gateway, over both transports, judged by the
//! suite.
//!
//! The reference server offers the fixtures of both eras in both, so that a pair that must be bridged has
//! all that the suite asks for. What is expected to fail says why it can only fail.

use serde_json::json;

use crate::gateway::{Engine, Gateway, KEY, for_each_engine};
use crate::mcp_sdk::{ALL, Sdk, assert_visited};
use crate::mcp_suite::{Expected, ReferenceServer, judge_client, judge_server};
use crate::peer::keyed_relay::KeyedRelay;
use crate::peers;

/// No model is asked here, so the provider need not be there.
const NO_UPSTREAM: &str = "http://127.0.0.1:9";

/// The revision whose set a caller of an era is judged by, and how many scenarios count.
const LEGACY: (&str, usize) = ("2025-11-25", 30);
const MODERN: (&str, usize) = ("2026-07-28", 37);

/// A modern caller in front of a legacy server.
const UPWARDS: &[Expected] = &[
    Expected {
        entry: "input-required-result-basic-elicitation:sep-2322-elicitation-incomplete",
        reason: "wants the key `user_name`; a request of a legacy server has an id and no name",
    },
    Expected {
        entry: "input-required-result-ignore-extra-params:sep-2322-ignore-unexpected-params",
        reason: "answers before it was asked; a legacy server can only be answered once it has asked",
    },
    Expected { entry: "tasks-lifecycle", reason: NO_TASKS },
    Expected { entry: "tasks-capability-negotiation", reason: NO_TASKS },
    Expected { entry: "tasks-wire-fields", reason: NO_TASKS },
    Expected { entry: "tasks-request-state-removal", reason: NO_TASKS },
    Expected { entry: "tasks-mrtr-input", reason: NO_TASKS },
    Expected { entry: "tasks-request-headers", reason: NO_TASKS },
    Expected { entry: "tasks-dispatch-and-envelope", reason: NO_TASKS },
    Expected { entry: "tasks-mrtr-composition", reason: NO_TASKS },
];

const NO_TASKS: &str =
    "the reference server offers no tasks in the legacy era, so there is nothing to hand on";

/// How the reference server is reached by the gateway. The guard keeps it alive.
fn upstream(transport: &str, era: &str) -> (Option<ReferenceServer>, String) {
    if transport == "http" {
        let server = ReferenceServer::start(era);
        let line = format!("mcp_servers:\n  ref: {{ url: \"{}\", era: {era} }}", server.url());
        return (Some(server), line);
    }
    let command = json!(peers::reference_server());
    let args = json!(["--stdio", "--era", era]);
    // A legacy program that callers share is not told of their folders, which the suite wants it to be.
    let sharing = if era == "legacy" { "per_caller" } else { "shared" };
    let how = format!("command: {command}, args: {args}, era: {era}, sharing: {sharing}");
    (None, format!("mcp_servers:\n  ref: {{ {how} }}"))
}

#[track_caller]
fn pair(transport: &str, era: &str, (revision, scenarios): (&str, usize), expected: &[Expected]) {
    let (_server, lines) = upstream(transport, era);
    let gateway = Gateway::with(Engine::Epoll, NO_UPSTREAM, &lines);
    let relay = KeyedRelay::start(gateway.addr(), KEY);
    let report = judge_server(&format!("{}/mcp/ref", relay.url()), revision, expected);
    eprintln!("{revision} to {era} over {transport}: {report}");
    report.passed_but(expected);
    // The entries about one check stand for one scenario each; those about tasks do not count.
    let missed = expected.iter().filter(|known| known.entry.contains(':')).count();
    assert_eq!(report.score(), (scenarios - missed, scenarios));
}

#[test]
fn legacy_to_legacy_over_http() {
    pair("http", "legacy", LEGACY, &[]);
}

#[test]
fn legacy_to_legacy_over_pipes() {
    pair("stdio", "legacy", LEGACY, &[]);
}

#[test]
fn legacy_to_modern_over_http() {
    pair("http", "modern", LEGACY, &[]);
}

#[test]
fn legacy_to_modern_over_pipes() {
    pair("stdio", "modern", LEGACY, &[]);
}

#[test]
fn modern_to_modern_over_http() {
    pair("http", "modern", MODERN, &[]);
}

#[test]
fn modern_to_modern_over_pipes() {
    pair("stdio", "modern", MODERN, &[]);
}

#[test]
fn modern_to_legacy_over_http() {
    pair("http", "legacy", MODERN, UPWARDS);
}

#[test]
fn modern_to_legacy_over_pipes() {
    pair("stdio", "legacy", MODERN, UPWARDS);
}

#[test]
fn as_a_client_the_gateway_passes_what_needs_no_authorization() {
    for (revision, scenarios) in [("2025-11-25", 4), ("2026-07-28", 7)] {
        let report = judge_client(env!("CARGO_BIN_EXE_tollgate"), revision, &[]);
        eprintln!("the gateway as a client at {revision}: {report}");
        report.passed_but(&[]);
        assert_eq!(report.score(), (scenarios, scenarios));
    }
}

#[test]
fn every_sdk_reaches_a_server_of_each_era() {
    for era in ["legacy", "modern"] {
        let (_server, lines) = upstream("http", era);
        let gateway =
            Gateway::with(Engine::Epoll, NO_UPSTREAM, &format!("{lines}\nmcp: {{ legacy_sse: true }}"));
        let eras = ["2.4.0-legacy", "2.4.0-modern"].map(Sdk::TypeScript);
        for sdk in ALL.iter().chain(&eras) {
            let oldest = [Sdk::TypeScript("1.0.4"), Sdk::Python("1.1.3")].contains(sdk);
            let end = if oldest { "/sse" } else { "" };
            assert_visited(&sdk.visit(&format!("{}/mcp/ref{end}", gateway.url())));
        }
    }
}

#[test]
fn a_server_of_every_sdk_is_reached() {
    for sdk in ALL {
        let server = sdk.serve();
        let kind = if server.url().ends_with("/sse") { ", type: sse" } else { "" };
        let (program, args) = sdk.on_pipes();
        let lines = format!(
            "mcp_servers:\n  far: {{ url: \"{}\"{kind} }}\n  near: {{ command: {}, args: {} }}",
            server.url(),
            json!(program),
            json!(args)
        );
        let gateway = Gateway::with(Engine::Epoll, NO_UPSTREAM, &lines);
        for name in ["far", "near"] {
            for client in ["2.4.0-legacy", "2.4.0-modern"] {
                let seen = Sdk::TypeScript(client).visit(&format!("{}/mcp/{name}", gateway.url()));
                assert_visited(&seen);
            }
        }
    }
}

#[test]
fn the_servers_that_people_run_list_their_tools_over_both_engines() {
    let servers = ["everything", "filesystem", "memory"].map(|name| {
        let script = peers::mcp_server(name);
        let args = if name == "filesystem" { json!([script, "/tmp"]) } else { json!([script]) };
        format!("  {name}: {{ command: {}, args: {args} }}\n", json!(peers::node()))
    });
    for_each_engine(|engine| {
        let gateway = Gateway::with(engine, NO_UPSTREAM, &format!("mcp_servers:\n{}", servers.concat()));
        for name in ["everything", "filesystem", "memory"] {
            let url = format!("{}/mcp/{name}", gateway.url());
            let tools = Sdk::TypeScript("2.4.0").tools(&url);
            assert!(tools.len() > 5, "{name}: {tools:?}");
        }
    });
}
