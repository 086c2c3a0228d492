//! The reference MCP server against the official conformance suite, without a gateway in between.
//!
//! What it scores here is what it must score through the gateway: every miss there is the gateway's.

use std::net::TcpListener;

use crate::gateway::KEY;
use crate::mcp_suite::{ReferenceServer, judge_client, judge_server};
use crate::peer::keyed_relay::KeyedRelay;

#[test]
fn the_reference_server_passes_all_of_2025_11_25() {
    for era in ["both", "legacy"] {
        scores(&ReferenceServer::start(era).url(), "2025-11-25", 30);
    }
}

#[test]
fn the_reference_server_passes_all_of_2026_07_28() {
    for era in ["both", "modern"] {
        scores(&ReferenceServer::start(era).url(), "2026-07-28", 37);
    }
}

#[test]
fn the_relay_that_brings_the_key_costs_no_point() {
    let server = ReferenceServer::start("both");
    let relay = KeyedRelay::start(server.addr(), KEY);
    let url = format!("{}/mcp", relay.url());
    scores(&url, "2025-11-25", 30);
    scores(&url, "2026-07-28", 37);
}

#[track_caller]
fn scores(url: &str, revision: &str, scenarios: usize) {
    let report = judge_server(url, revision, &[]);
    eprintln!("reference server at {revision}: {report}");
    report.passed_but(&[]);
    assert_eq!(report.score(), (scenarios, scenarios));
}

#[test]
fn the_client_of_the_client_scenarios_passes_all_of_them() {
    for (revision, scenarios) in [("2025-11-25", 4), ("2026-07-28", 7)] {
        let report = judge_client("direct", revision, &[]);
        eprintln!("client at {revision}: {report}");
        report.passed_but(&[]);
        assert_eq!(report.score(), (scenarios, scenarios));
    }
}

#[test]
fn a_closed_port_passes_nothing() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let url = format!("http://{}/mcp", listener.local_addr().expect("a listener has an address"));
    drop(listener);
    let report = judge_server(&url, "2026-07-28", &[]);
    let (passed, _) = report.score();
    eprintln!("nobody at 2026-07-28: {report}");
    assert!(!report.vacuous().is_empty(), "{report}");
    assert!(passed < 5, "{report}");
}
