//! What is known of one call, gathered on its way and written down once at its end.

use std::borrow::Cow;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::admin::metrics::{Finished, TokenCounts};
use crate::call::{Endpoint, Outcome, Written};
use crate::clock;
use crate::error::Code;
use crate::gateway::charge::Charge;
use crate::gateway::contents::Passing;
use crate::gateway::counting::Guess;
use crate::gateway::guard::{self, Watch};
use crate::gateway::hub::ask::{About, Charged};
use crate::gateway::inbound::Tongue;
use crate::gateway::log::Level;
use crate::gateway::offers::Weighed;
use crate::gateway::worker::Worker;
use crate::http::head::RequestHead;
use crate::ids::{CallId, KeyName, ProviderName, ServerName, TeamName};
use crate::ledger::content::Policy;
use crate::ledger::entry::{Action, Class, Kind, Tokens};
use crate::ledger::note::Note;
use crate::ledger::redact;
use crate::limits;
use crate::llm;
use crate::llm::usage::Answer;
use crate::mcp::method::Method;
use crate::policy::residency::Place;

/// What was said to the ledger when a call went out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Expected {
    /// What it is.
    pub(super) kind: Kind,
}

/// What a call is about that is none of MCP.
static NO_CALL: About = About {
    method: "",
    server: None,
    name: String::new(),
    tool_use_id: String::new(),
    version: "",
    tool_hash: String::new(),
    class: Class::Unknown,
    decision: String::new(),
    marks: String::new(),
    charged: Charged { cost_pico: 0, budgets: Vec::new() },
    place: None,
    sought: String::new(),
    written: None,
};

/// One call.
#[derive(Debug)]
pub(super) struct Record {
    pub(super) id: CallId,
    pub(super) endpoint: Endpoint,
    pub(super) started: Instant,
    /// The same moment for people: milliseconds since 1970.
    pub(super) at_ms: u64,
    pub(super) first_byte: Option<Duration>,
    pub(super) key: Option<KeyName>,
    pub(super) key_id: Option<Arc<str>>,
    pub(super) team: Option<TeamName>,
    /// The person behind the key.
    pub(super) user: Option<Arc<str>>,
    /// The model as it was asked for.
    pub(super) model: String,
    /// The pattern of the config that it matched.
    pub(super) pattern: Option<Arc<str>>,
    pub(super) provider: Option<ProviderName>,
    /// The status that the caller saw; 0 when it saw none.
    pub(super) status: u16,
    pub(super) outcome: Outcome,
    /// The request has left for a provider in whole, and no answer has begun: it may be at work on it.
    pub(super) unanswered: bool,
    pub(super) answer: Answer,
    pub(super) upstream_request_id: String,
    /// What a call of the MCP side is about.
    pub(super) mcp: Option<Box<About>>,
    /// The client, by its own word.
    pub(super) client: String,
    /// The caller's session, by its own word.
    pub(super) session: String,
    /// The agent inside of the session, by its own word.
    pub(super) agent: String,
    /// The prompt inside of the session, by its own word.
    pub(super) prompt: String,
    /// What was decided, and by which rule.
    pub(super) decision: String,
    /// Version of the policy by which it was decided.
    pub(super) rules: Arc<str>,
    /// What was found, masked or held in what was said.
    pub(super) marks: String,
    /// Where the provider is that was asked last.
    pub(super) place: Option<Arc<Place>>,
    /// Where it ran, in words of its own where place and answer do not agree.
    pub(super) region: String,
    /// The model that the provider was asked for, where that is not the one that was asked for here.
    pub(super) sent_model: Option<Arc<str>>,
    /// The model that a name or replacement stands for.
    pub(super) meant: Option<Arc<str>>,
    /// What the caller is told of the end of its model.
    pub(super) notice: Option<Arc<str>>,
    /// What is kept of what is said.
    pub(super) policy: Policy,
    /// The answer as far as it has passed, where it is kept.
    pub(super) passing: Option<Passing>,
    /// Looks at the uses of tools in the answer, where rules hold for the caller.
    pub(super) watch: Option<Box<Watch>>,
    /// How the caller speaks, where that is not Anthropic's dialect.
    pub(super) tongue: Option<Box<Tongue>>,
    /// What has become of the bodies.
    pub(super) content: &'static str,
    /// The definitions of tools that it brings along.
    pub(super) tools: Option<Rc<Weighed>>,
    /// What its tokens were guessed to be, where its provider speaks another dialect.
    pub(super) guess: Option<Guess>,
    /// What is reserved for it, until it is settled.
    pub(super) charge: Option<Charge>,
    /// What was charged, in pico-dollars.
    pub(super) cost_pico: u64,
    /// What is behind `cost_pico`.
    pub(super) priced: String,
    /// The budgets that were charged.
    pub(super) budgets: Vec<String>,
    /// What the ledger expects the end of.
    pub(super) open: Option<Expected>,
    /// Whether the ledger has it.
    pub(super) booked: bool,
    /// Whether it is one of many refusals that are only counted.
    pub(super) counted_only: bool,
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
            at_ms: clock::unix_ms(clock::wall()),
            first_byte: None,
            key: None,
            key_id: None,
            team: None,
            user: None,
            model: String::new(),
            pattern: None,
            provider: None,
            status: 0,
            outcome: Outcome::Done,
            unanswered: false,
            answer: Answer::default(),
            upstream_request_id: String::new(),
            mcp: None,
            open: None,
            client: String::new(),
            session: String::new(),
            agent: String::new(),
            prompt: String::new(),
            decision: String::new(),
            rules: Arc::default(),
            marks: String::new(),
            place: None,
            region: String::new(),
            sent_model: None,
            meant: None,
            notice: None,
            policy: Policy::default(),
            passing: None,
            watch: None,
            tongue: None,
            content: "",
            tools: None,
            guess: None,
            charge: None,
            cost_pico: 0,
            priced: String::new(),
            budgets: Vec::new(),
            booked: false,
            counted_only: false,
            error: String::new(),
            request_bytes: 0,
            answer_bytes: 0,
        }
    }

    /// Notes what the client says of itself.
    pub(super) fn note_client(&mut self, head: &RequestHead, input: &[u8]) {
        for (name, value) in head.headers.iter(input) {
            let is = |word: &[u8]| name.eq_ignore_ascii_case(word);
            let place = match name.len() {
                10 if is(b"user-agent") => &mut self.client,
                22 if is(b"x-claude-code-agent-id") => &mut self.agent,
                23 if is(b"x-claude-code-prompt-id") => &mut self.prompt,
                24 if is(b"x-claude-code-session-id") => &mut self.session,
                _ => continue,
            };
            if place.is_empty() {
                *place = kept(value);
            }
        }
    }

    /// Adds to what was found, masked or held.
    pub(super) fn mark(&mut self, mark: &str) {
        guard::add_mark(&mut self.marks, mark);
    }

    /// Adds which uses of tools were denied in the answer so far.
    pub(super) fn note_watch(&mut self) {
        if let Some(watch) = &mut self.watch {
            watch.take_marks().for_each(|mark| guard::add_mark(&mut self.marks, &mark));
        }
    }

    /// What the ledger has to say of this call; `None` where it need not be recorded: probes, warm-ups, and
    /// what passes between client and gateway alone, such as lists that we hold, but for those of tools: they
    /// are what models get to see.
    pub(super) fn kind(&self) -> Option<Kind> {
        let refused = self.outcome == Outcome::Refused;
        match self.endpoint {
            _ if refused && self.is_strange() => Some(Kind::Refusal),
            Endpoint::Messages | Endpoint::ChatCompletions | Endpoint::Responses => Some(Kind::ModelCall),
            Endpoint::CountTokens => Some(Kind::CountTokens),
            Endpoint::Models => Some(Kind::ModelList),
            Endpoint::Mcp => {
                let kind = self.mcp.as_deref().and_then(About::kind);
                kind.or_else(|| refused.then_some(Kind::Refusal))
            }
            Endpoint::Admin => Some(Kind::Admin),
            Endpoint::Hello
            | Endpoint::Health
            | Endpoint::Metrics
            | Endpoint::WellKnown
            | Endpoint::Other => refused.then_some(Kind::Refusal),
        }
    }

    /// Whether it comes from somebody who has no valid key or token, as far as it is known.
    pub(super) fn is_strange(&self) -> bool {
        self.key.is_none() || self.status == Code::Unauthenticated.status()
    }

    /// What the ledger is told, as of now.
    pub(super) fn note(&self, kind: Kind) -> Note<'_> {
        let took = clock::now().saturating_duration_since(self.started);
        let mcp = self.mcp.as_deref().unwrap_or(&NO_CALL);
        Note {
            id: self.id,
            kind,
            at_ms: self.at_ms,
            took_us: micros(took),
            first_byte_us: self.first_byte.map_or(0, micros),
            key: self.key.as_ref().map_or("", KeyName::as_str),
            key_id: self.key_id.as_deref().unwrap_or_default(),
            team: self.team.as_ref().map_or("", TeamName::as_str),
            user: self.user.as_deref().unwrap_or_default(),
            client: redacted(&self.client),
            session: &self.session,
            agent: &self.agent,
            prompt: &self.prompt,
            upstream_id: &self.upstream_request_id,
            model: redacted(bounded(&self.model)),
            served_model: self.answer.model.as_deref().unwrap_or_default(),
            provider: self.provider.as_ref().map_or("", ProviderName::as_str),
            region: self.region(mcp),
            method: mcp.method,
            server: mcp.server.as_ref().map_or("", ServerName::as_str),
            tool: self.thing(mcp),
            tool_hash: &mcp.tool_hash,
            class: mcp.class,
            tool_use_id: &mcp.tool_use_id,
            tokens: tokens(&self.answer),
            cost_pico: self.cost_pico.saturating_add(mcp.charged.cost_pico),
            priced: if mcp.charged.cost_pico > 0 { "tool" } else { &self.priced },
            budgets: [&self.budgets, &mcp.charged.budgets],
            decision: redacted(&self.decision),
            status: self.status,
            outcome: self.outcome.name(),
            stop_reason: self.answer.stop_reason.as_deref().unwrap_or_default(),
            error: redacted(bounded(&self.error)),
            request_bytes: self.request_bytes,
            answer_bytes: self.answer_bytes,
            actions: self.answer.actions.iter().map(|read| action(read, self.policy)).collect(),
            content: self.content,
            offers: self.offers(),
            policy: &self.rules,
            marks: redacted(&self.marks),
            sought: self.sought(mcp),
            mode: mcp.written.map_or("", Written::mode),
            mode_by: mcp.written.map_or("", Written::by),
        }
    }

    /// Where it ran: by the config, and by the answer's word where the config does not say.
    fn region<'a>(&'a self, mcp: &'a About) -> &'a str {
        let place = self.place.as_deref().or(mcp.place.as_deref()).map_or("", Place::label);
        let said = || self.answer.terms.inference_geo.as_deref().unwrap_or_default();
        [self.region.as_str(), place].into_iter().find(|text| !text.is_empty()).unwrap_or_else(said)
    }

    /// What a call of MCP is about by name. The names of resources are those of files and addresses.
    fn thing<'a>(&self, mcp: &'a About) -> Cow<'a, str> {
        let is_place = kind_of_method(mcp.method) == Some(Kind::ResourceRead);
        if is_place && self.policy == Policy::Off { Cow::default() } else { redacted(&mcp.name) }
    }

    /// What a search sought, in the words of a model.
    fn sought<'a>(&self, mcp: &'a About) -> Cow<'a, str> {
        if self.policy == Policy::Off { Cow::default() } else { redacted(&mcp.sought) }
    }

    /// Counts the call and writes its line. Looks of probes and warm-ups are counted only.
    pub(super) async fn finish(mut self, worker: &Worker) {
        // What was cut, or left by its caller, has not been booked on the way.
        worker.book(&mut self).await;
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
            cost: self
                .pattern
                .as_ref()
                .filter(|_| self.cost_pico > 0)
                .map(|pattern| (pattern, self.cost_pico)),
        });
        let probe = matches!(
            self.endpoint,
            Endpoint::Hello | Endpoint::Health | Endpoint::Metrics | Endpoint::WellKnown
        );
        if !probe && !self.counted_only {
            self.log(worker, took, counts);
        }
    }

    fn log(&self, worker: &Worker, took: Duration, tokens: TokenCounts) {
        let level = match self.outcome {
            Outcome::Done | Outcome::CallerGone if self.status < 500 => Level::Info,
            Outcome::Refused if self.status < 500 => Level::Info,
            _ => Level::Warn,
        };
        let mcp = self.mcp.as_deref().unwrap_or(&NO_CALL);
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

/// A text as the ledger has it: without secrets. Of one that has been cut the last word goes, which may be
/// half a secret that nobody can tell.
pub(super) fn redacted(text: &str) -> Cow<'_, str> {
    redacted_within(text, limits::RECORD_TEXT_BYTES_MAX)
}

/// The same for texts that are cut at `most` bytes, or a few less where a character would have been cut.
fn redacted_within(text: &str, most: usize) -> Cow<'_, str> {
    let whole = if text.len() + 3 < most {
        text
    } else {
        text.rsplit_once(char::is_whitespace).map_or("", |(before, _cut)| before)
    };
    redact::redact_text(whole)
}

/// As much of a text as a record keeps.
fn bounded(text: &str) -> &str {
    text.get(..text.floor_char_boundary(limits::RECORD_TEXT_BYTES_MAX)).unwrap_or(text)
}

/// A text from outside as a record keeps it: bounded, and UTF-8.
pub(super) fn kept(bytes: &[u8]) -> String {
    let bounded = bytes.get(..limits::RECORD_TEXT_BYTES_MAX).unwrap_or(bytes);
    String::from_utf8_lossy(bounded).into_owned()
}

/// All that a bill counts of an answer, its work beside the message included.
fn tokens(answer: &Answer) -> Tokens {
    let mut sum = Tokens::default();
    let beside = answer.iterations.iter().map(|iteration| &iteration.usage);
    for usage in std::iter::once(&answer.usage).chain(beside) {
        for (sum, more) in [
            (&mut sum.input, usage.input_tokens),
            (&mut sum.output, usage.output_tokens),
            (&mut sum.cache_read, usage.cache_read_tokens),
            (&mut sum.cache_write_5m, usage.cache_write_5m_tokens),
            (&mut sum.cache_write_1h, usage.cache_write_1h_tokens),
        ] {
            *sum = sum.saturating_add(more);
        }
    }
    sum
}

/// A use of a tool as the ledger has it. What a model writes into a command may be a secret.
fn action(read: &llm::action::Action, policy: Policy) -> Action {
    let class = match read.class {
        llm::action::Class::Unknown => Class::Unknown,
        llm::action::Class::Read => Class::Read,
        llm::action::Class::Write => Class::Write,
        llm::action::Class::Destructive => Class::Destructive,
    };
    let (id, name) = (read.id.clone().into_string(), read.name.clone().into_string());
    let detail = match policy {
        Policy::Off => String::new(),
        Policy::Metadata | Policy::Redacted | Policy::Full => {
            redacted_within(&read.detail, limits::ACTION_DETAIL_BYTES_MAX).into_owned()
        }
    };
    Action { id, name, class, detail }
}

/// What a message of MCP is to the ledger: what reaches data, or changes it.
pub(super) fn kind_of_method(name: &str) -> Option<Kind> {
    match Method::from_name(name.as_bytes()) {
        Method::ToolsCall => Some(Kind::ToolCall),
        Method::ResourcesRead => Some(Kind::ResourceRead),
        Method::PromptsGet => Some(Kind::PromptGet),
        _ => None,
    }
}

fn micros(took: Duration) -> u64 {
    u64::try_from(took.as_micros()).unwrap_or(u64::MAX)
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}
