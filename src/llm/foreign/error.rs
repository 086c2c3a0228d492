//! Reads what a server says of a failure, and finds the words that Claude Code acts on.
//!
//! The client lowers `max_tokens`, compacts or gives up by what the sentence says, so the known reasons are
//! told in Anthropic's own sentences with the server's numbers. Everything else that a server says may name
//! accounts, hosts or people: it is kept for the ledger, and the caller reads a sentence of ours.

use std::borrow::Cow;

use crate::json::{Fault, Field, Kind as JsonKind, Value, fields, fields_at};
use crate::limits;
use crate::llm::said::{Failure, Kind};
use crate::llm::written::Written;

/// What a server says.
#[derive(Clone, Debug, Default)]
struct Said {
    message: String,
    /// `code` and `type`, in lower case.
    words: String,
    /// `param`, when it is the name of a field.
    field: String,
    /// `code`, when it is a number: some servers put the status there.
    status: Option<u16>,
}

/// Reads the body of an answer with an error status, or of an event that tells an error; then the status is
/// 0. Any bytes will do.
pub fn read(status: u16, body: &[u8]) -> Failure {
    let mut said = Said::default();
    if take(&mut said, body, 0).is_err() || (said.message.is_empty() && said.words.is_empty()) {
        // HTML, plain text, or JSON of some other kind.
        said.message = String::from_utf8_lossy(head(body)).into_owned();
    }
    let status = if status == 0 { said.status.unwrap_or(0) } else { status };
    let kind = kind_of(status, &said);
    let message = message_of(kind, &said);
    let mut detail = said.message;
    detail.truncate(detail.floor_char_boundary(limits::ERROR_DETAIL_BYTES_MAX));
    Failure { kind, message, detail: detail.into() }
}

fn head(bytes: &[u8]) -> &[u8] {
    bytes.get(..limits::ERROR_DETAIL_BYTES_MAX).unwrap_or(bytes)
}

/// Reads `{"error": {"message", "type", "code", "param"} | "..."}`, or those members without `error` around
/// them, or `{"detail": "..."}`.
fn take(said: &mut Said, doc: &[u8], depth: usize) -> Result<(), Fault> {
    fields(doc, |Field { key, value }| {
        let text = || value.inner(doc).map(|raw| Written::new(head(raw)).text());
        match (key.raw, value.kind) {
            (b"error", JsonKind::Object) if depth == 0 => take(said, value.bytes(doc), 1)?,
            (b"error" | b"message" | b"detail" | b"msg", JsonKind::String) => {
                said.message = text().unwrap_or_default().into_owned();
            }
            (b"detail", _) => said.message = String::from_utf8_lossy(head(value.bytes(doc))).into_owned(),
            (b"code" | b"type" | b"status", JsonKind::String) => {
                said.words.push_str(&text().unwrap_or_default().to_ascii_lowercase());
                said.words.push(' ');
            }
            (b"code" | b"status", JsonKind::Number) => {
                said.status = value.as_u64(doc).and_then(|code| u16::try_from(code).ok());
            }
            (b"param", JsonKind::String) => {
                said.field = text().filter(|name| is_field(name)).map(Cow::into_owned).unwrap_or_default()
            }
            (b"innererror", JsonKind::Object) => inner(said, doc, &value)?,
            _ => {}
        }
        Ok::<_, Fault>(())
    })
}

/// Azure puts the word that counts one level deeper.
fn inner(said: &mut Said, doc: &[u8], value: &Value) -> Result<(), Fault> {
    fields_at(doc, value.span.clone(), |Field { key, value }| {
        if let (b"code", Some(raw)) = (key.raw, value.inner(doc)) {
            said.words.push_str(&Written::new(head(raw)).text().to_ascii_lowercase());
            said.words.push(' ');
        }
        Ok::<_, Fault>(())
    })
}

/// Whether it is a path of names and numbers, which says nothing about anybody.
fn is_field(name: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'[' | b']');
    (1..=100).contains(&name.len()) && name.bytes().all(letter)
}

/// Words in a message or a code, in lower case, and what they mean; the first that fits counts.
const WORDS: &[(Kind, &[&str])] = &[
    (
        Kind::Filtered,
        &[
            "content_filter",
            "content_policy",
            "responsibleaipolicyviolation",
            "content management policy",
            "policy_violation",
            "bio_policy",
            "cyber_policy",
            "invalid_prompt",
        ],
    ),
    (
        Kind::MaxTokens,
        &[
            "max_tokens is too large",
            "max_completion_tokens is too large",
            "supports at most",
            "max_tokens must be less",
            "maximum allowed number of output tokens",
        ],
    ),
    (
        Kind::PromptTooLong,
        &[
            "context_length_exceeded",
            "exceed_context_size",
            "maximum context length",
            "context window",
            "context length",
            "available context size",
            "prompt is too long",
            "input is too long",
            "too many tokens",
            "string_above_max_length",
            "maximum prompt length",
        ],
    ),
    (Kind::Quota, &["insufficient_quota", "billing", "insufficient balance", "exceeded your current quota"]),
    (Kind::Overloaded, &["overloaded", "server_overloaded", "engine is currently overloaded", "no capacity"]),
    (Kind::RateLimited, &["rate_limit", "rate limit", "too many requests", "tokens per min"]),
    (Kind::NotFound, &["model_not_found", "does not exist"]),
    (Kind::Credentials, &["invalid_api_key", "incorrect api key", "authentication_error"]),
];

fn kind_of(status: u16, said: &Said) -> Kind {
    let message = said.message.to_ascii_lowercase();
    let found = WORDS
        .iter()
        .find(|(_, words)| words.iter().any(|word| message.contains(word) || said.words.contains(word)));
    let by_words = found.map(|(kind, _)| *kind);
    // What a server says when it is out of order counts for nothing; 400s are told apart by their words.
    match (status, by_words) {
        (0 | 400 | 413 | 422, Some(kind)) => kind,
        (403, Some(kind @ (Kind::Filtered | Kind::Quota))) => kind,
        (404, Some(kind @ Kind::PromptTooLong)) => kind,
        (429, Some(kind @ (Kind::Quota | Kind::Overloaded))) => kind,
        (500 | 503, Some(kind @ (Kind::Overloaded | Kind::PromptTooLong))) => kind,
        (401 | 403 | 407, _) => Kind::Credentials,
        (402, _) => Kind::Quota,
        (404 | 405 | 410, _) => Kind::NotFound,
        (408 | 504 | 524, _) => Kind::Timeout,
        (413, _) => Kind::TooLarge,
        (429, _) => Kind::RateLimited,
        (498 | 503 | 529, _) => Kind::Overloaded,
        (400..500, _) => Kind::InvalidRequest,
        _ => Kind::Broken,
    }
}

fn message_of(kind: Kind, said: &Said) -> Cow<'static, str> {
    let numbers = numbers_of(&said.message);
    match (kind, numbers.as_slice()) {
        (Kind::PromptTooLong, numbers) => too_long(&said.message, numbers),
        (Kind::MaxTokens, [asked, most, ..]) => {
            let (asked, most) = (asked.max(most), asked.min(most));
            format!("max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens")
                .into()
        }
        (Kind::MaxTokens, [most]) => {
            format!("max_tokens: over {most}, which is the maximum allowed number of output tokens").into()
        }
        // Thinking of another account or model: Claude Code leaves it out then, and asks again.
        (Kind::InvalidRequest, _) if said.words.contains("invalid_encrypted_content") => {
            Cow::Borrowed("messages: Invalid `signature` in `thinking` block")
        }
        (Kind::InvalidRequest, _) if !said.field.is_empty() => {
            format!("{}: the provider of this model does not take this as it is", said.field).into()
        }
        _ => Cow::Borrowed(match kind {
            Kind::InvalidRequest => "the provider of this model refused the request as invalid",
            Kind::MaxTokens => "max_tokens: over the maximum allowed number of output tokens",
            Kind::PromptTooLong => "prompt is too long",
            Kind::Filtered => "the provider's content filter refused the request",
            Kind::Credentials => "the provider refused the gateway's credentials; tell your administrator",
            Kind::Quota => {
                "the gateway's account with the provider has no quota left; tell your administrator"
            }
            Kind::NotFound => "the provider does not have this model; tell your administrator",
            Kind::TooLarge => "the request is larger than the provider takes",
            Kind::RateLimited => "the provider limits the rate of requests, try again",
            Kind::Overloaded => "the provider is overloaded, try again",
            Kind::Timeout => "the provider did not answer in time",
            Kind::Broken => "the provider failed on this request",
            Kind::Unreadable => "the provider answered in a form that cannot be read",
            Kind::CutShort => "the provider broke off before the end of its answer",
        }),
    }
}

/// Servers say: the model's most, what was asked for, and sometimes how that is made up of messages and
/// completion. llama.cpp says what was asked for first.
fn too_long(message: &str, numbers: &[u64]) -> Cow<'static, str> {
    let split = message.contains("in the messages") || message.contains("in the completion");
    match numbers {
        [most, _, prompt, answer, ..] if split && prompt <= most => format!(
            "input length and `max_tokens` exceed context limit: {prompt} + {answer} > {most}, decrease \
             input length or `max_tokens` and try again"
        )
        .into(),
        [most, _, prompt, ..] if split => {
            format!("prompt is too long: {prompt} tokens > {most} maximum").into()
        }
        [one, other, ..] if one != other => {
            let (asked, most) = (one.max(other), one.min(other));
            format!("prompt is too long: {asked} tokens > {most} maximum").into()
        }
        _ => Cow::Borrowed("prompt is too long"),
    }
}

/// The numbers of at least three digits in a message, at most four; commas between digits are none.
fn numbers_of(message: &str) -> Vec<u64> {
    let plain: String = message.chars().filter(|letter| *letter != ',').take(1024).collect();
    let words = plain.split(|letter: char| !letter.is_ascii_digit());
    words.filter(|word| word.len() >= 3).filter_map(|word| word.parse().ok()).take(4).collect()
}
