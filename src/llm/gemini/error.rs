//! Reads what the API says of a failure: `{"error": {"code", "message", "status", "details"}}`, on Vertex and
//! in streams without `alt=sse` inside of an array.

use std::borrow::Cow;

use crate::json::{Fault, Field, Kind as JsonKind, elements, fields, fields_at};
use crate::limits;
use crate::llm::foreign::error as foreign;
use crate::llm::said::{Failure, Kind};
use crate::llm::written::Written;

/// Reads the body of an answer with an error status, or of an event that tells an error; then the status is
/// 0. Any bytes will do.
pub fn read(status: u16, body: &[u8]) -> Failure {
    let body = first_of(body);
    let mut failure = foreign::read(status, body);
    let message = failure.detail.to_ascii_lowercase();
    let limit = Limit::read(body);
    let numbers = numbers_of(&message);
    let (kind, words): (Kind, Cow<'static, str>) = match (failure.kind, numbers.as_slice()) {
        // One sentence is for minutes and for days: the quota's name tells them apart.
        (Kind::Quota | Kind::RateLimited, _) if !limit.daily && !message.contains("billing account") => {
            (Kind::RateLimited, "the provider limits the rate of requests, try again".into())
        }
        (Kind::RateLimited, _) => (
            Kind::Quota,
            "the gateway's account with the provider has no quota left; tell your administrator".into(),
        ),
        (_, [asked, .., above]) if message.contains("maxoutputtokens") && asked >= above => {
            let most = above.saturating_sub(u64::from(message.contains("exclusive")));
            let words =
                format!("max_tokens: {asked} > {most}, which is the maximum allowed number of output tokens");
            (Kind::MaxTokens, words.into())
        }
        (_, [asked, most, ..]) if message.contains("maximum number of tokens allowed") => {
            (Kind::PromptTooLong, format!("prompt is too long: {asked} tokens > {most} maximum").into())
        }
        (Kind::InvalidRequest, _) if message.contains("api key") => (
            Kind::Credentials,
            "the provider refused the gateway's credentials; tell your administrator".into(),
        ),
        _ => return failure,
    };
    failure.kind = kind;
    failure.message = words;
    failure
}

/// How long the provider wants to be left alone, in milliseconds, where it says so; at most a day.
pub fn retry_after_ms(body: &[u8]) -> Option<u64> {
    Limit::read(first_of(body)).wait_ms
}

/// The first element of an array, or what is none as it is.
fn first_of(body: &[u8]) -> &[u8] {
    let mut first = None;
    if body.trim_ascii_start().first() == Some(&b'[') {
        let walked: Result<(), Fault> = elements(body, 0..body.len(), |value| {
            first.get_or_insert(value.span);
            Ok(())
        });
        // What is broken behind the first one does not matter.
        walked.unwrap_or_default();
    }
    first.and_then(|span| body.get(span)).unwrap_or(body)
}

/// What the details say of a quota.
#[derive(Clone, Copy, Debug, Default)]
struct Limit {
    /// It is for a whole day.
    daily: bool,
    wait_ms: Option<u64>,
}

impl Limit {
    /// Reads `{"error": {"details": [{"retryDelay"}, {"violations": [{"quotaId"}]}]}}`.
    fn read(body: &[u8]) -> Self {
        let mut limit = Self::default();
        let head = body.get(..limits::ERROR_BODY_BYTES_MAX).unwrap_or(body);
        let walked: Result<(), Fault> = fields(head, |Field { key, value }| match (key.raw, value.kind) {
            (b"error", JsonKind::Object) => limit.details(value.bytes(head), 6),
            _ => Ok(()),
        });
        walked.unwrap_or_default();
        limit
    }

    fn details(&mut self, doc: &[u8], levels: usize) -> Result<(), Fault> {
        if levels == 0 {
            return Ok(());
        }
        if doc.first() == Some(&b'[') {
            return elements(doc, 0..doc.len(), |value| match value.kind {
                JsonKind::Object => self.details(value.bytes(doc), levels - 1),
                _ => Ok(()),
            });
        }
        fields_at(doc, 0..doc.len(), |Field { key, value }| {
            match (key.raw, value.inner(doc)) {
                (b"retryDelay", Some(delay)) => self.wait_ms = wait_of(&Written::new(delay).text()),
                (b"quotaId", Some(name)) => self.daily |= Written::new(name).text().contains("PerDay"),
                (b"details" | b"violations", None) => self.details(value.bytes(doc), levels - 1)?,
                _ => {}
            }
            Ok(())
        })
    }
}

/// Reads seconds with a fraction, as in `34.074824224s`.
fn wait_of(text: &str) -> Option<u64> {
    let (seconds, fraction) =
        text.strip_suffix('s')?.split_once('.').unwrap_or((text.strip_suffix('s')?, ""));
    let seconds: u64 = seconds.parse().ok().filter(|seconds| *seconds <= 24 * 60 * 60)?;
    let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
    Some(seconds * 1000 + digits.parse::<u64>().ok()?)
}

/// The whole numbers of at least three digits in a message, at most four.
fn numbers_of(message: &str) -> Vec<u64> {
    let plain: String = message.chars().filter(|letter| *letter != ',').take(1024).collect();
    let words = plain.split(|letter: char| !letter.is_ascii_digit());
    words.filter(|word| word.len() >= 3).filter_map(|word| word.parse().ok()).take(4).collect()
}
