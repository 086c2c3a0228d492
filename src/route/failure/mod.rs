//! What came of asking a target, and what follows from it: who is asked next, and who is left alone how long.
//!
//! A status is the provider's word; the words of a body may be the caller's, since errors repeat what was
//! asked. So a body decides only about the call that it answers, and nobody cools down because of it, except
//! where the status already says that there is a limit.

use crate::limits;
use crate::route::headroom::Headroom;
use crate::route::said;

/// Which limit of a provider was met; each has a cooldown of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Limit {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Tokens of requests a minute.
    InputTokens,
    /// Tokens of answers a minute.
    OutputTokens,
    /// Money, or calls a day.
    Quota,
    /// The key is refused.
    Credential,
    /// Nobody said which.
    Unknown,
}

impl Limit {
    /// All of them, each at its [`Limit::place`].
    pub const ALL: [Self; 7] = [
        Self::Requests,
        Self::Tokens,
        Self::InputTokens,
        Self::OutputTokens,
        Self::Quota,
        Self::Credential,
        Self::Unknown,
    ];

    /// Its place in a list of all.
    pub const fn place(self) -> usize {
        match self {
            Self::Requests => 0,
            Self::Tokens => 1,
            Self::InputTokens => 2,
            Self::OutputTokens => 3,
            Self::Quota => 4,
            Self::Credential => 5,
            Self::Unknown => 6,
        }
    }

    /// A short stable name.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Requests => "requests",
            Self::Tokens => "tokens",
            Self::InputTokens => "input tokens",
            Self::OutputTokens => "output tokens",
            Self::Quota => "quota",
            Self::Credential => "credential",
            Self::Unknown => "limit",
        }
    }
}

/// What went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 429: more than a limit allows.
    Limited(Limit),
    /// Nothing more until somebody pays, or until tomorrow.
    Quota,
    /// 401, 403: our key is no good there.
    Credential,
    /// 404: the model is not there.
    Missing,
    /// 529, 503: too busy.
    Overloaded,
    /// 408, any other 5xx, or an answer that is none.
    Failing,
    /// Nothing came in time.
    TimedOut,
    /// The connection ended before an answer.
    Closed,
    /// No connection could be made.
    Unreachable,
    /// The prompt does not fit into the context of the target.
    TooLong,
    /// What was asked is refused: the caller has to change it.
    Refused,
}

impl Kind {
    /// A short stable name for logs and records.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Limited(_) => "limited",
            Self::Quota => "quota",
            Self::Credential => "credential",
            Self::Missing => "missing",
            Self::Overloaded => "overloaded",
            Self::Failing => "failing",
            Self::TimedOut => "timed out",
            Self::Closed => "closed",
            Self::Unreachable => "unreachable",
            Self::TooLong => "too long",
            Self::Refused => "refused",
        }
    }

    /// Whether it says something about the place, whichever key was shown there.
    pub const fn is_of_place(self) -> bool {
        match self {
            Self::Missing
            | Self::Overloaded
            | Self::Failing
            | Self::TimedOut
            | Self::Closed
            | Self::Unreachable
            | Self::TooLong => true,
            Self::Limited(_) | Self::Quota | Self::Credential | Self::Refused => false,
        }
    }

    /// Whether a breaker counts it.
    pub const fn is_strike(self) -> bool {
        match self {
            Self::Overloaded | Self::Failing | Self::TimedOut | Self::Closed | Self::Unreachable => true,
            Self::Limited(_)
            | Self::Quota
            | Self::Credential
            | Self::Missing
            | Self::TooLong
            | Self::Refused => false,
        }
    }

    /// Whether it says something about those who were asked, and nothing about what was.
    pub const fn is_of_targets(self) -> bool {
        !matches!(self, Self::TooLong | Self::Refused)
    }

    /// Whether a person has to look at it: nothing that a caller or time can mend.
    pub const fn is_alarm(self) -> bool {
        matches!(self, Self::Credential | Self::Missing | Self::Quota)
    }
}

/// Who is asked next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nobody: the caller gets the answer as it is.
    Return,
    /// Another target.
    Other,
    /// A target with more room for the prompt, if there is one.
    Larger,
}

/// What follows from a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// What it is.
    pub kind: Kind,
    /// Who is asked next.
    pub next: Next,
    /// Which cooldown begins, and its milliseconds.
    pub cool: Option<(Limit, u64)>,
}

impl Verdict {
    const fn of(kind: Kind) -> Self {
        let next = match kind {
            Kind::Refused => Next::Return,
            Kind::TooLong => Next::Larger,
            Kind::Limited(_)
            | Kind::Quota
            | Kind::Credential
            | Kind::Missing
            | Kind::Overloaded
            | Kind::Failing
            | Kind::TimedOut
            | Kind::Closed
            | Kind::Unreachable => Next::Other,
        };
        Self { kind, next, cool: None }
    }

    const fn cooling(kind: Kind, limit: Limit, for_ms: u64) -> Self {
        let most = limits::COOLDOWN_MS_MAX;
        Self { cool: Some((limit, if for_ms > most { most } else { for_ms })), ..Self::of(kind) }
    }

    /// After an exchange that has brought no answer.
    pub const fn of_silence(kind: Kind) -> Self {
        Self::of(kind)
    }
}

/// The answer of a target.
#[derive(Clone, Copy, Debug)]
pub struct Answered<'a, H> {
    /// Its status.
    pub status: u16,
    /// Finds the first value of a header, by its name in lower case.
    pub header: H,
    /// The beginning of its body, as far as it is here; `limits::FAILURE_BODY_BYTES_MAX` of it are read.
    pub body: &'a [u8],
}

/// What follows from an answer at `now_ms`; `None` where nothing is wrong with it.
pub fn of_answer<'h, H>(answered: &Answered<'_, H>, now_ms: u64) -> Option<Verdict>
where
    H: Fn(&str) -> Option<&'h [u8]>,
{
    let Answered { status, header, body } = answered;
    let body = Words::new(body);
    let verdict = match status {
        // A page for people in the place of an answer: a proxy in between has its own mind.
        200..=299 if is_page(header("content-type")) => Verdict::of(Kind::Failing),
        ..=399 => return None,
        401 => {
            let for_ms = limits::COOLDOWN_MS_CREDENTIAL;
            Verdict::cooling(Kind::Credential, Limit::Credential, for_ms)
        }
        // It may be about what was asked as well as about our key, so nobody cools down.
        403 => Verdict::of(Kind::Credential),
        404 => Verdict::of(Kind::Missing),
        402 => quota(now_ms),
        429 => limited(header, &body, now_ms),
        408 => Verdict::of(Kind::Failing),
        529 | 503 => overloaded(header, now_ms),
        500..=599 => Verdict::of(Kind::Failing),
        _ if body.has_any(TOO_LONG) => Verdict::of(Kind::TooLong),
        400 if body.has_any(UNPAID) => Verdict::of(Kind::Quota),
        400 if body.has_any(BAD_KEY) => Verdict::of(Kind::Credential),
        _ => Verdict::of(Kind::Refused),
    };
    Some(verdict)
}

/// What follows from an `error` event that comes before any content, by its `error.type`.
pub fn of_event(kind: &str) -> Verdict {
    match kind {
        "overloaded_error" => Verdict::of(Kind::Overloaded),
        "rate_limit_error" => Verdict::of(Kind::Limited(Limit::Unknown)),
        "billing_error" => Verdict::of(Kind::Quota),
        "authentication_error" | "permission_error" => Verdict::of(Kind::Credential),
        "not_found_error" => Verdict::of(Kind::Missing),
        "timeout_error" => Verdict::of(Kind::TimedOut),
        "invalid_request_error" | "request_too_large" => Verdict::of(Kind::Refused),
        _ => Verdict::of(Kind::Failing),
    }
}

fn limited<'h>(header: &impl Fn(&str) -> Option<&'h [u8]>, body: &Words, now_ms: u64) -> Verdict {
    let headroom = Headroom::read(header, now_ms).filter(Headroom::is_used_up);
    let limit = headroom.map(|one| one.limit).or_else(|| body.limit()).unwrap_or(Limit::Unknown);
    let kind = Kind::Limited(limit);
    let exact = header("retry-after").and_then(|value| said::retry_after_ms(value, now_ms));
    let finer = header("retry-after-ms").and_then(said::number);
    if let Some(for_ms) = finer.or(exact) {
        return Verdict::cooling(kind, limit, for_ms);
    }
    if body.has_any(UNPAID) {
        return quota(now_ms);
    }
    match headroom {
        Some(Headroom { until_ms, .. }) => Verdict::cooling(kind, limit, until_ms.saturating_sub(now_ms)),
        None => Verdict::cooling(kind, limit, limits::COOLDOWN_MS_UNKNOWN),
    }
}

/// Too busy; who says for how long is believed.
fn overloaded<'h>(header: &impl Fn(&str) -> Option<&'h [u8]>, now_ms: u64) -> Verdict {
    match header("retry-after").and_then(|value| said::retry_after_ms(value, now_ms)) {
        Some(for_ms) => Verdict::cooling(Kind::Overloaded, Limit::Unknown, for_ms),
        None => Verdict::of(Kind::Overloaded),
    }
}

/// Until the next day in UTC, when quotas are new and people are awake.
const fn quota(now_ms: u64) -> Verdict {
    Verdict::cooling(Kind::Quota, Limit::Quota, DAY_MS - now_ms % DAY_MS)
}

const DAY_MS: u64 = 86_400_000;

fn is_page(content_type: Option<&[u8]>) -> bool {
    let kind = content_type.unwrap_or_default();
    kind.get(..9).is_some_and(|kind| kind.eq_ignore_ascii_case(b"text/html"))
}

/// Words of providers for a prompt that does not fit: Anthropic, OpenAI and those compatible with it, Gemini,
/// Bedrock, llama.cpp.
const TOO_LONG: &[&str] = &[
    "prompt is too long",
    "exceed context limit",
    "context_length_exceeded",
    "maximum context length",
    "exceeds the maximum number of tokens",
    "input is too long for requested model",
    "exceed_context_size",
    "available context size",
];

/// Words for an account without money.
const UNPAID: &[&str] = &[
    "credit balance is too low",
    "insufficient_quota",
    "exceeded your current quota",
    "billing_error",
    "billing_hard_limit_reached",
    "insufficient balance",
];

/// Words for a key that is no good, where the status says that the request is malformed.
const BAD_KEY: &[&str] = &["api_key_invalid", "api key not valid"];

/// The beginning of a body in lower case.
struct Words(Vec<u8>);

impl Words {
    fn new(body: &[u8]) -> Self {
        let start = body.get(..limits::FAILURE_BODY_BYTES_MAX).unwrap_or(body);
        Self(start.to_ascii_lowercase())
    }

    fn has(&self, word: &str) -> bool {
        memchr::memmem::find(&self.0, word.as_bytes()).is_some()
    }

    fn has_any(&self, words: &[&str]) -> bool {
        words.iter().any(|word| self.has(word))
    }

    /// Which limit a text is about.
    fn limit(&self) -> Option<Limit> {
        let known = [
            ("input tokens", Limit::InputTokens),
            ("output tokens", Limit::OutputTokens),
            ("tokens per min", Limit::Tokens),
            ("requests per min", Limit::Requests),
            ("per day", Limit::Quota),
        ];
        known.iter().find(|(word, _)| self.has(word)).map(|&(_, limit)| limit)
    }
}

#[cfg(test)]
mod tests;
