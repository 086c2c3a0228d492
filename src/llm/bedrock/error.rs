//! Reads what Bedrock says of a failure, as an answer or as a frame of a stream.

use std::borrow::Cow;

use crate::limits;
use crate::llm::openai_chat;
use crate::llm::said::{Failure, Kind};

/// What comes before the model's own words.
const WRAPPED: &[&str] =
    &["The model returned the following errors:", "Malformed input request:", "Model returned error:"];

/// Exceptions by their names in lower case: the status that the service has for each, and what it means.
const EXCEPTIONS: &[(&str, u16, Kind)] = &[
    ("accessdeniedexception", 403, Kind::Credentials),
    ("expiredtokenexception", 403, Kind::Credentials),
    ("internalserverexception", 500, Kind::Broken),
    ("invalidsignatureexception", 403, Kind::Credentials),
    ("modelerrorexception", 424, Kind::Broken),
    ("modelnotreadyexception", 429, Kind::Overloaded),
    ("modelstreamerrorexception", 424, Kind::Broken),
    ("modeltimeoutexception", 408, Kind::Timeout),
    ("resourcenotfoundexception", 404, Kind::NotFound),
    ("servicequotaexceededexception", 400, Kind::Quota),
    ("serviceunavailableexception", 503, Kind::Overloaded),
    ("throttlingexception", 429, Kind::RateLimited),
    ("toomanyrequestsexception", 429, Kind::RateLimited),
    ("unrecognizedclientexception", 403, Kind::Credentials),
    ("validationexception", 400, Kind::InvalidRequest),
];

/// Reads the body of an answer with an error status, or the payload of a frame that tells an exception; then
/// the status is 0. `name` is that of the exception: the header `x-amzn-errortype`, or `:exception-type`.
///
/// What is wrong with the request itself is told in the model's own words, since the client acts on them,
/// unless an account, an ARN or an address is among them.
pub fn read(status: u16, name: &str, body: &[u8]) -> Failure {
    // `ThrottlingException:http://internal.amazon.com/...` and `com.amazon.coral#ThrottlingException` are
    // both to be met.
    let bare = name.split(':').next().unwrap_or_default();
    let bare = bare.rsplit('#').next().unwrap_or_default().to_ascii_lowercase();
    let known = EXCEPTIONS.iter().find(|(word, ..)| *word == bare);
    let status = known.map_or(status, |(_, status, _)| *status);
    let said = openai_chat::read_error(status, body);
    let kind = match known {
        Some((_, _, Kind::InvalidRequest)) | None => said.kind,
        Some((_, _, kind)) => *kind,
    };
    let message = match kind {
        Kind::InvalidRequest => reason(&said.detail).map_or_else(|| said.message.clone(), Cow::Owned),
        _ if kind == said.kind => said.message.clone(),
        _ => Cow::Borrowed(sentence(kind)),
    };
    Failure { kind, message, detail: said.detail }
}

/// The provider's own sentence about a request, where it says nothing about anybody.
fn reason(detail: &str) -> Option<String> {
    let mut text = detail.trim();
    for wrapped in WRAPPED {
        text = text.strip_prefix(wrapped).map_or(text, str::trim_start);
    }
    let lower = text.to_ascii_lowercase();
    let tells =
        ["arn:", "http:", "https:", "akia", "asia", "account", "@"].iter().any(|word| lower.contains(word));
    let numbered = text.split(|letter: char| !letter.is_ascii_digit()).any(|digits| digits.len() >= 12);
    let fits = (1..=limits::REASON_BYTES_MAX).contains(&text.len()) && !text.starts_with(['<', '{']);
    (fits && !tells && !numbered).then(|| text.to_owned())
}

/// What a caller reads of a failure that the service has named.
const fn sentence(kind: Kind) -> &'static str {
    match kind {
        Kind::Credentials => "the provider refused the gateway's credentials; tell your administrator",
        Kind::Quota => "the gateway's account with the provider has no quota left; tell your administrator",
        Kind::NotFound => "the provider does not have this model; tell your administrator",
        Kind::RateLimited => "the provider limits the rate of requests, try again",
        Kind::Overloaded => "the provider is overloaded, try again",
        Kind::Timeout => "the provider did not answer in time",
        _ => "the provider failed on this request",
    }
}
