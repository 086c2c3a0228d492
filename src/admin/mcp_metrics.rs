//! Counters of the MCP side, by server. Labels come from the config and from fixed lists, as in `metrics`.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::admin::metrics::{Histogram, escaped, head, line};
use crate::ids::ServerName;
use crate::mcp::hints::HintKind;
use crate::mcp::pin::Event;

/// The counters of one thread, or of several added up.
#[derive(Clone, Debug, Default)]
pub struct McpMetrics {
    calls: BTreeMap<(ServerName, &'static str), u64>,
    duration: BTreeMap<ServerName, Histogram>,
    failures: BTreeMap<(ServerName, &'static str), u64>,
    lists: BTreeMap<(ServerName, &'static str), u64>,
    connects: BTreeMap<ServerName, u64>,
    restarts: BTreeMap<ServerName, u64>,
    /// Whether the lists are fresh, and how many tools they have. Known by the hub alone.
    states: BTreeMap<ServerName, (bool, u64)>,
    /// How many tools are held, and how many wait for approval. Known by the hub alone.
    barred: BTreeMap<ServerName, (u64, u64)>,
    pins: BTreeMap<(ServerName, &'static str), u64>,
    hints: BTreeMap<(ServerName, &'static str), u64>,
    /// Sessions of legacy callers that are open.
    pub sessions: u64,
    /// Calls that wait for a caller's answer.
    pub parked: u64,
    /// Streams that modern callers hold open for news.
    pub listeners: u64,
}

impl McpMetrics {
    /// Counts a call that has ended: `outcome` is `ok`, `tool_error`, `error`, `failed` or `cancelled`; `hit`
    /// or `joined` where the server was not asked.
    pub fn called(&mut self, server: &ServerName, outcome: &'static str, took: Duration) {
        *self.calls.entry((server.clone(), outcome)).or_default() += 1;
        self.duration.entry(server.clone()).or_default().observe(took);
    }

    /// Counts a call that failed on its way; `kind` is one of a fixed list.
    pub fn failed(&mut self, server: &ServerName, kind: &'static str) {
        *self.failures.entry((server.clone(), kind)).or_default() += 1;
    }

    /// Counts a listing of a server: `same`, `changed` or `failed`.
    pub fn listed(&mut self, server: &ServerName, outcome: &'static str) {
        *self.lists.entry((server.clone(), outcome)).or_default() += 1;
    }

    /// Counts a conversation that has begun.
    pub fn connected(&mut self, server: &ServerName) {
        *self.connects.entry(server.clone()).or_default() += 1;
    }

    /// Counts a process that has ended by itself.
    pub fn restarted(&mut self, server: &ServerName) {
        *self.restarts.entry(server.clone()).or_default() += 1;
    }

    /// Notes how a server's lists are.
    pub fn state(&mut self, server: &ServerName, fresh: bool, tools: u64) {
        self.states.insert(server.clone(), (fresh, tools));
    }

    /// Notes how many tools of a server are held, and how many are not listed.
    pub fn barred(&mut self, server: &ServerName, held_and_unlisted: (u64, u64)) {
        self.barred.insert(server.clone(), held_and_unlisted);
    }

    /// Counts something that has happened to a pin, and the hints in what it is about.
    pub fn pin(&mut self, server: &ServerName, event: &Event) {
        *self.pins.entry((server.clone(), event.what.label())).or_default() += 1;
        for kind in
            HintKind::ALL.iter().filter(|kind| event.marks.split(", ").any(|word| word == kind.word()))
        {
            *self.hints.entry((server.clone(), kind.word())).or_default() += 1;
        }
    }

    /// Adds the counters of another thread.
    pub fn add(&mut self, other: &Self) {
        for (sums, counts) in [
            (&mut self.calls, &other.calls),
            (&mut self.failures, &other.failures),
            (&mut self.lists, &other.lists),
            (&mut self.pins, &other.pins),
            (&mut self.hints, &other.hints),
        ] {
            for (labels, count) in counts {
                *sums.entry(labels.clone()).or_default() += count;
            }
        }
        for (sums, counts) in [(&mut self.connects, &other.connects), (&mut self.restarts, &other.restarts)] {
            for (server, count) in counts {
                *sums.entry(server.clone()).or_default() += count;
            }
        }
        for (server, histogram) in &other.duration {
            self.duration.entry(server.clone()).or_default().add(histogram);
        }
        for (server, state) in &other.states {
            self.states.insert(server.clone(), *state);
        }
        for (server, barred) in &other.barred {
            self.barred.insert(server.clone(), *barred);
        }
        self.sessions += other.sessions;
        self.parked += other.parked;
        self.listeners += other.listeners;
    }

    /// Writes the counters as Prometheus text.
    pub(in crate::admin) fn render(&self, out: &mut String) {
        let tables = [
            ("tollgate_mcp_calls_total", "Calls of MCP servers by outcome.", "outcome", &self.calls),
            (
                "tollgate_mcp_failures_total",
                "Calls that failed on their way, by kind.",
                "kind",
                &self.failures,
            ),
            (
                "tollgate_mcp_lists_total",
                "Times that a server was listed, by outcome.",
                "outcome",
                &self.lists,
            ),
            (
                "tollgate_mcp_pin_events_total",
                "What has happened to pinned definitions of tools.",
                "event",
                &self.pins,
            ),
            ("tollgate_mcp_hints_total", "Definitions with a hint of poison, by kind.", "kind", &self.hints),
        ];
        for (name, help, label, counts) in tables {
            head(out, name, "counter", help);
            for ((server, value), count) in counts {
                let server = escaped(server.as_str());
                line(out, name, &format!("server=\"{server}\",{label}=\"{value}\""), count);
            }
        }
        let tables = [
            ("tollgate_mcp_connects_total", "Conversations with a server that were begun.", &self.connects),
            (
                "tollgate_mcp_restarts_total",
                "Processes of a server that ended by themselves.",
                &self.restarts,
            ),
        ];
        for (name, help, counts) in tables {
            head(out, name, "counter", help);
            for (server, count) in counts {
                line(out, name, &format!("server=\"{}\"", escaped(server.as_str())), count);
            }
        }
        let name = "tollgate_mcp_call_duration_seconds";
        head(out, name, "histogram", "From a call's arrival to the end of its answer.");
        for (server, histogram) in &self.duration {
            histogram.render(out, name, &format!("server=\"{}\"", escaped(server.as_str())));
        }
        let name = "tollgate_mcp_lists_stale";
        head(out, name, "gauge", "Whether the lists of a server are the last good ones instead of fresh.");
        for (server, (fresh, _)) in &self.states {
            line(out, name, &format!("server=\"{}\"", escaped(server.as_str())), u8::from(!fresh));
        }
        let name = "tollgate_mcp_tools";
        head(out, name, "gauge", "Tools that a server offers.");
        for (server, (_, tools)) in &self.states {
            line(out, name, &format!("server=\"{}\"", escaped(server.as_str())), tools);
        }
        self.render_barred(out);
        let gauges = [
            ("tollgate_mcp_sessions_open", "Sessions of legacy callers that are open.", self.sessions),
            ("tollgate_mcp_calls_parked", "Calls that wait for a caller's answer.", self.parked),
            ("tollgate_mcp_listeners_open", "Streams held open for news by modern callers.", self.listeners),
        ];
        for (name, help, value) in gauges {
            head(out, name, "gauge", help);
            line(out, name, "", value);
        }
    }

    /// Writes how many tools cannot be called.
    fn render_barred(&self, out: &mut String) {
        let (held, unlisted) = ("tollgate_mcp_tools_held", "tollgate_mcp_tools_unlisted");
        head(out, held, "gauge", "Tools that have changed and cannot be called.");
        for (server, (count, _)) in &self.barred {
            line(out, held, &format!("server=\"{}\"", escaped(server.as_str())), count);
        }
        head(out, unlisted, "gauge", "Tools that wait for approval.");
        for (server, (_, count)) in &self.barred {
            line(out, unlisted, &format!("server=\"{}\"", escaped(server.as_str())), count);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::McpMetrics;
    use crate::ids::ServerName;
    use std::time::Duration;

    #[test]
    fn threads_add_up() {
        let server = ServerName::new("git\"hub");
        let mut one = McpMetrics::default();
        one.called(&server, "ok", Duration::from_millis(3));
        one.failed(&server, "ended");
        one.listed(&server, "same");
        one.connected(&server);
        one.restarted(&server);
        one.state(&server, false, 7);
        one.barred(&server, (3, 1));
        one.sessions = 2;
        let mut sum = one.clone();
        sum.add(&one);
        let mut text = String::new();
        sum.render(&mut text);
        for wanted in [
            "tollgate_mcp_calls_total{server=\"git\\\"hub\",outcome=\"ok\"} 2\n",
            "tollgate_mcp_failures_total{server=\"git\\\"hub\",kind=\"ended\"} 2\n",
            "tollgate_mcp_lists_total{server=\"git\\\"hub\",outcome=\"same\"} 2\n",
            "tollgate_mcp_connects_total{server=\"git\\\"hub\"} 2\n",
            "tollgate_mcp_restarts_total{server=\"git\\\"hub\"} 2\n",
            "tollgate_mcp_call_duration_seconds_count{server=\"git\\\"hub\"} 2\n",
            "tollgate_mcp_lists_stale{server=\"git\\\"hub\"} 1\n",
            "tollgate_mcp_tools{server=\"git\\\"hub\"} 7\n",
            "tollgate_mcp_tools_held{server=\"git\\\"hub\"} 3\n",
            "tollgate_mcp_tools_unlisted{server=\"git\\\"hub\"} 1\n",
            "tollgate_mcp_sessions_open 4\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
    }
}
