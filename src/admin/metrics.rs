//! Counters of one core, added up over all cores when somebody asks, in the Prometheus text format 0.0.4.
//!
//! Every core counts in plain memory of its own. Labels come from the config and from fixed lists, never
//! from a request, so a hostile caller cannot make them grow.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use crate::admin::mcp_metrics::McpMetrics;
use crate::call::Endpoint;
use crate::ids::ProviderName;

/// Upper bounds of the duration buckets in seconds: from a cached count to a long answer of a model.
const BUCKETS_S: [f64; 16] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0];

/// A distribution of durations.
#[derive(Clone, Debug, Default)]
pub(in crate::admin) struct Histogram {
    /// How many fell into each bucket alone; the sum over lower ones is made when rendering.
    counts: [u64; BUCKETS_S.len()],
    total: u64,
    sum_s: f64,
}

impl Histogram {
    pub(in crate::admin) fn observe(&mut self, took: Duration) {
        let seconds = took.as_secs_f64();
        let place = BUCKETS_S.iter().position(|bound| seconds <= *bound);
        if let Some(count) = place.and_then(|place| self.counts.get_mut(place)) {
            *count += 1;
        }
        self.total += 1;
        self.sum_s += seconds;
    }

    pub(in crate::admin) fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.total += other.total;
        self.sum_s += other.sum_s;
    }

    pub(in crate::admin) fn render(&self, out: &mut String, name: &str, labels: &str) {
        let mut below = 0;
        for (bound, count) in BUCKETS_S.iter().zip(self.counts) {
            below += count;
            line(out, &format!("{name}_bucket"), &format!("{labels},le=\"{bound}\""), below);
        }
        line(out, &format!("{name}_bucket"), &format!("{labels},le=\"+Inf\""), self.total);
        line(out, &format!("{name}_sum"), labels, self.sum_s);
        line(out, &format!("{name}_count"), labels, self.total);
    }
}

/// Tokens by what they are charged as.
#[derive(Clone, Copy, Debug, Default)]
pub struct TokenCounts {
    /// Fresh input.
    pub input: u64,
    /// Output.
    pub output: u64,
    /// Read from the prompt cache.
    pub cache_read: u64,
    /// Written to the 5-minute cache.
    pub cache_write_5m: u64,
    /// Written to the 1-hour cache.
    pub cache_write_1h: u64,
}

impl TokenCounts {
    const fn kinds(self) -> [(&'static str, u64); 5] {
        [
            ("input", self.input),
            ("output", self.output),
            ("cache_read", self.cache_read),
            ("cache_write_5m", self.cache_write_5m),
            ("cache_write_1h", self.cache_write_1h),
        ]
    }
}

/// One finished call, as the counters see it.
#[derive(Clone, Debug)]
pub struct Finished<'a> {
    /// What was asked for.
    pub endpoint: Endpoint,
    /// Who served it, if anybody was asked.
    pub provider: Option<&'a ProviderName>,
    /// The status that the caller got; 0 when it left before.
    pub status: u16,
    /// From the first byte of the request to the last of the answer.
    pub took: Duration,
    /// From the first byte of the request to the first of the answer.
    pub first_byte: Option<Duration>,
    /// The pattern of the config that the model matched, and its tokens.
    pub tokens: Option<(&'a Arc<str>, TokenCounts)>,
    /// That pattern again, and what the call was charged, in pico-dollars.
    pub cost: Option<(&'a Arc<str>, u64)>,
}

const PICO_OF_DOLLAR: u128 = 1_000_000_000_000;

type Served = (Endpoint, Option<ProviderName>);

/// The counters of one core, or of several added up.
#[derive(Clone, Debug, Default)]
pub struct Metrics {
    requests: BTreeMap<(Served, u16), u64>,
    duration: BTreeMap<Served, Histogram>,
    first_byte: BTreeMap<Served, Histogram>,
    tokens: BTreeMap<(Option<ProviderName>, Arc<str>), [u64; 5]>,
    costs: BTreeMap<(Option<ProviderName>, Arc<str>), u128>,
    upstream_errors: BTreeMap<(ProviderName, &'static str), u64>,
    /// The MCP side.
    pub mcp: McpMetrics,
    /// Connections of callers that are open.
    pub connections: u64,
    /// Answers on their way.
    pub streams: u64,
    /// Warm connections to providers.
    pub idle_upstreams: u64,
    /// Log lines that were lost because nobody took them.
    pub log_lines_lost: u64,
    /// Workers by engine: io_uring, epoll.
    pub workers: [u64; 2],
}

impl Metrics {
    /// Counts a finished call.
    pub fn finished(&mut self, call: &Finished<'_>) {
        let served = (call.endpoint, call.provider.cloned());
        self.duration.entry(served.clone()).or_default().observe(call.took);
        if let Some(first_byte) = call.first_byte {
            self.first_byte.entry(served.clone()).or_default().observe(first_byte);
        }
        if let Some((pattern, tokens)) = &call.tokens {
            let counts = self.tokens.entry((call.provider.cloned(), Arc::clone(pattern))).or_default();
            for (count, (_, more)) in counts.iter_mut().zip(tokens.kinds()) {
                *count = count.saturating_add(more);
            }
        }
        if let Some((pattern, pico)) = call.cost {
            let sum = self.costs.entry((call.provider.cloned(), Arc::clone(pattern))).or_default();
            *sum = sum.saturating_add(u128::from(pico));
        }
        *self.requests.entry((served, call.status)).or_default() += 1;
    }

    /// Counts a failure of a provider; `kind` is one of a fixed list.
    pub fn upstream_error(&mut self, provider: &ProviderName, kind: &'static str) {
        *self.upstream_errors.entry((provider.clone(), kind)).or_default() += 1;
    }

    /// Adds the counters of another core.
    pub fn add(&mut self, other: &Self) {
        for (labels, count) in &other.requests {
            *self.requests.entry(labels.clone()).or_default() += count;
        }
        for (labels, histogram) in &other.duration {
            self.duration.entry(labels.clone()).or_default().add(histogram);
        }
        for (labels, histogram) in &other.first_byte {
            self.first_byte.entry(labels.clone()).or_default().add(histogram);
        }
        for (labels, counts) in &other.tokens {
            for (sum, more) in self.tokens.entry(labels.clone()).or_default().iter_mut().zip(counts) {
                *sum = sum.saturating_add(*more);
            }
        }
        for (labels, pico) in &other.costs {
            let sum = self.costs.entry(labels.clone()).or_default();
            *sum = sum.saturating_add(*pico);
        }
        for (labels, count) in &other.upstream_errors {
            *self.upstream_errors.entry(labels.clone()).or_default() += count;
        }
        self.mcp.add(&other.mcp);
        self.connections += other.connections;
        self.streams += other.streams;
        self.idle_upstreams += other.idle_upstreams;
        self.log_lines_lost += other.log_lines_lost;
        for (sum, more) in self.workers.iter_mut().zip(other.workers) {
            *sum += more;
        }
    }

    /// The counters as Prometheus text, with the process's memory when it is known (bytes).
    pub fn render(&self, config_version: &str, resident_bytes: Option<u64>) -> String {
        let mut out = String::with_capacity(16 * 1024);
        let version = env!("CARGO_PKG_VERSION");
        head(&mut out, "tollgate_build_info", "gauge", "What runs here.");
        line(
            &mut out,
            "tollgate_build_info",
            &format!("version=\"{version}\",config=\"{config_version}\""),
            1,
        );
        self.render_calls(&mut out);
        self.render_upstream(&mut out);
        self.mcp.render(&mut out);
        let gauges = [
            ("tollgate_connections_open", "Connections of callers that are open.", self.connections),
            ("tollgate_streams_open", "Answers on their way to a caller.", self.streams),
            ("tollgate_upstream_connections_idle", "Warm connections to providers.", self.idle_upstreams),
        ];
        for (name, help, value) in gauges {
            head(&mut out, name, "gauge", help);
            line(&mut out, name, "", value);
        }
        head(&mut out, "tollgate_log_lines_lost_total", "counter", "Log lines that nobody took in time.");
        line(&mut out, "tollgate_log_lines_lost_total", "", self.log_lines_lost);
        head(&mut out, "tollgate_workers", "gauge", "Data threads by the engine they run on.");
        for (engine, count) in ["io_uring", "epoll"].iter().zip(self.workers) {
            line(&mut out, "tollgate_workers", &format!("engine=\"{engine}\""), count);
        }
        if let Some(bytes) = resident_bytes {
            head(&mut out, "process_resident_memory_bytes", "gauge", "Resident memory size in bytes.");
            line(&mut out, "process_resident_memory_bytes", "", bytes);
        }
        out
    }

    fn render_calls(&self, out: &mut String) {
        let name = "tollgate_requests_total";
        head(out, name, "counter", "Finished requests; code 0 for callers that left before an answer.");
        for ((served, status), count) in &self.requests {
            line(out, name, &format!("{},code=\"{status}\"", labels(served)), count);
        }
        let name = "tollgate_request_duration_seconds";
        head(out, name, "histogram", "From the first byte of a request to the last byte of its answer.");
        for (served, histogram) in &self.duration {
            histogram.render(out, name, &labels(served));
        }
        let name = "tollgate_time_to_first_byte_seconds";
        head(out, name, "histogram", "From the first byte of a request to the first byte of its answer.");
        for (served, histogram) in &self.first_byte {
            histogram.render(out, name, &labels(served));
        }
    }

    fn render_upstream(&self, out: &mut String) {
        let name = "tollgate_tokens_total";
        head(out, name, "counter", "Tokens by kind, as the provider counted them.");
        for ((provider, pattern), counts) in &self.tokens {
            let provider = escaped(provider.as_ref().map_or("", ProviderName::as_str));
            let pattern = escaped(pattern);
            for ((kind, _), count) in TokenCounts::default().kinds().iter().zip(counts) {
                line(
                    out,
                    name,
                    &format!("provider=\"{provider}\",model=\"{pattern}\",kind=\"{kind}\""),
                    count,
                );
            }
        }
        let name = "tollgate_cost_dollars_total";
        head(out, name, "counter", "What calls of models were charged.");
        for ((provider, pattern), pico) in &self.costs {
            let provider = escaped(provider.as_ref().map_or("", ProviderName::as_str));
            let labels = format!("provider=\"{provider}\",model=\"{}\"", escaped(pattern));
            let (whole, part) = (pico / PICO_OF_DOLLAR, pico % PICO_OF_DOLLAR);
            line(out, name, &labels, format!("{whole}.{part:012}"));
        }
        let name = "tollgate_upstream_errors_total";
        head(out, name, "counter", "Failures of providers by kind.");
        for ((provider, kind), count) in &self.upstream_errors {
            let provider = escaped(provider.as_str());
            line(out, name, &format!("provider=\"{provider}\",kind=\"{kind}\""), count);
        }
    }
}

fn labels((endpoint, provider): &Served) -> String {
    let provider = escaped(provider.as_ref().map_or("", ProviderName::as_str));
    format!("endpoint=\"{endpoint}\",provider=\"{provider}\"")
}

pub(in crate::admin) fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

pub(in crate::admin) fn head(out: &mut String, name: &str, kind: &str, help: &str) {
    // Writing to a string cannot fail.
    let _infallible = writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}");
}

pub(in crate::admin) fn line(out: &mut String, name: &str, labels: &str, value: impl std::fmt::Display) {
    // Writing to a string cannot fail.
    let _infallible = if labels.is_empty() {
        writeln!(out, "{name} {value}")
    } else {
        writeln!(out, "{name}{{{labels}}} {value}")
    };
}

#[cfg(test)]
mod tests {
    use super::{Finished, Metrics, TokenCounts};
    use crate::call::Endpoint;
    use crate::ids::ProviderName;
    use std::sync::Arc;
    use std::time::Duration;

    fn one(status: u16, took_ms: u64) -> Metrics {
        let mut metrics = Metrics::default();
        let provider = ProviderName::new("anth\"ropic");
        let pattern = Arc::from("claude-*");
        metrics.finished(&Finished {
            endpoint: Endpoint::Messages,
            provider: Some(&provider),
            status,
            took: Duration::from_millis(took_ms),
            first_byte: Some(Duration::from_millis(3)),
            tokens: Some((&pattern, TokenCounts { input: 7, output: 2, ..TokenCounts::default() })),
            cost: Some((&pattern, 30_000_000_001)),
        });
        metrics.upstream_error(&provider, "closed");
        metrics
    }

    #[test]
    fn cores_add_up() {
        let mut sum = one(200, 20);
        sum.add(&one(200, 700_000));
        sum.add(&one(529, 1));
        let text = sum.render("abc", Some(1));
        for wanted in [
            "tollgate_requests_total{endpoint=\"messages\",provider=\"anth\\\"ropic\",code=\"200\"} 2\n",
            "tollgate_requests_total{endpoint=\"messages\",provider=\"anth\\\"ropic\",code=\"529\"} 1\n",
            "le=\"0.005\"} 1\n",
            "le=\"600\"} 2\n",
            "le=\"+Inf\"} 3\n",
            "model=\"claude-*\",kind=\"input\"} 21\n",
            "tollgate_cost_dollars_total{provider=\"anth\\\"ropic\",model=\"claude-*\"} 0.090000000003\n",
            "kind=\"closed\"} 3\n",
        ] {
            assert!(text.contains(wanted), "{wanted} is missing in\n{text}");
        }
        assert!(text.lines().all(|line| line.starts_with('#') || line.rsplit_once(' ').is_some()));
    }
}
