//! What is known of one call, gathered on its way and written down once at its end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admin::metrics::{Finished, TokenCounts};
use crate::call::{Endpoint, Outcome};
use crate::clock;
use crate::gateway::hub::ask::About;
use crate::gateway::log::Level;
use crate::gateway::worker::Worker;
use crate::ids::{CallId, KeyName, ProviderName, ServerName, TeamName};
use crate::limits;
use crate::llm::usage::Answer;

/// One call.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: CallId,
    pub(super) endpoint: Endpoint,
    pub(super) started: Instant,
    pub(super) first_byte: Option<Duration>,
    pub(super) key: Option<KeyName>,
    pub(super) team: Option<TeamName>,
    /// The model as it was asked for.
    pub(super) model: String,
    /// The pattern of the config that it matched.
    pub(super) pattern: Option<Arc<str>>,
    pub(super) provider: Option<ProviderName>,
    /// The status that the caller saw; 0 when it saw none.
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    pub(super) answer: Answer,
    pub(super) upstream_request_id: String,
    /// What a call of the MCP side is about.
    pub(super) mcp: Option<Box<About>>,
    /// The caller's session, by its own word.
    pub(super) session: String,
    /// What went wrong, for people.
    pub(super) error: String,
    pub(super) request_bytes: u64,
    pub(super) answer_bytes: u64,
}

impl Record {
    pub(super) fn new(id: CallId, started: Instant) -> Self {
        Self {
            id,
            endpoint: Endpoint::Other,
            started,
            first_byte: None,
            key: None,
            team: None,
            model: String::new(),
            pattern: None,
            provider: None,
            status: 0,
            outcome: Outcome::Done,
            answer: Answer::default(),
            upstream_request_id: String::new(),
            mcp: None,
            session: String::new(),
            error: String::new(),
            request_bytes: 0,
            answer_bytes: 0,
        }
    }

    /// Counts the call and writes its line. Looks of probes and warm-ups are counted only.
    pub(super) fn finish(self, worker: &Worker) {
        let took = clock::now().saturating_duration_since(self.started);
        let usage = self.answer.usage;
        let counts = TokenCounts {
            input: usage.input_tokens,
            output: usage.output_tokens,
            cache_read: usage.cache_read_tokens,
            cache_write_5m: usage.cache_write_5m_tokens,
            cache_write_1h: usage.cache_write_1h_tokens,
        };
        worker.metrics.borrow_mut().finished(&Finished {
            endpoint: self.endpoint,
            provider: self.provider.as_ref(),
            status: self.status,
            took,
            first_byte: self.first_byte,
            tokens: self.pattern.as_ref().filter(|_| usage.seen).map(|pattern| (pattern, counts)),
        });
        if !matches!(self.endpoint, Endpoint::Hello | Endpoint::Health | Endpoint::Metrics) {
            self.log(worker, took, counts);
        }
    }

    fn log(&self, worker: &Worker, took: Duration, tokens: TokenCounts) {
        let level = match self.outcome {
            Outcome::Done | Outcome::CallerGone if self.status < 500 => Level::Info,
            Outcome::Refused if self.status < 500 => Level::Info,
            _ => Level::Warn,
        };
        let none = About::default();
        let mcp = self.mcp.as_deref().unwrap_or(&none);
        worker.log.borrow_mut().line(level, "call", |line| {
            line.text("request_id", str::from_utf8(&self.id.shown()).unwrap_or_default())
                .text("endpoint", self.endpoint.name())
                .text("key", self.key.as_ref().map_or("", KeyName::as_str))
                .text("team", self.team.as_ref().map_or("", TeamName::as_str))
                .text("model", &self.model)
                .text("method", mcp.method)
                .text("server", mcp.server.as_ref().map_or("", ServerName::as_str))
                .text("name", &mcp.name)
                .text("tool_use_id", &mcp.tool_use_id)
                .text("version", mcp.version)
                .text("served_model", self.answer.model.as_deref().unwrap_or_default())
                .text("provider", self.provider.as_ref().map_or("", ProviderName::as_str))
                .number("status", self.status.into())
                .text("outcome", self.outcome.name())
                .text("stop_reason", self.answer.stop_reason.as_deref().unwrap_or_default())
                .count("input_tokens", tokens.input)
                .count("output_tokens", tokens.output)
                .count("cache_read_tokens", tokens.cache_read)
                .count("cache_write_5m_tokens", tokens.cache_write_5m)
                .count("cache_write_1h_tokens", tokens.cache_write_1h)
                .number("ms", millis(took))
                .count("ttfb_ms", self.first_byte.map_or(0, millis))
                .count("request_bytes", self.request_bytes)
                .count("answer_bytes", self.answer_bytes)
                .text("upstream_request_id", &self.upstream_request_id)
                .text("session", &self.session)
                .text("error", &self.error)
        });
    }
}

/// A text from outside as a record keeps it: bounded, and UTF-8.
pub(super) fn kept(bytes: &[u8]) -> String {
    let bounded = bytes.get(..limits::RECORD_TEXT_BYTES_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(bounded).into_owned()
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
