//! Callers who speak to us as to Bedrock or Vertex AI: their requests become those for `/v1/messages`, and
//! what goes out to them takes the cloud's form.

use std::io::IoSlice;
use std::ops::Range;

use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::request_body::Whole;
use crate::http::head::{Progress, RequestHead, Version};
use crate::identity::principal::Principal;
use crate::limits;
use crate::llm::cloud_caller::{self, Called, Cloud, Operation, Said, Shaper};
use crate::net::buffer::Buffer;
use crate::net::outgoing::{Outgoing, PIECES_MAX, Piece};
use crate::upstream::provider::Dialect;

/// A call in a cloud's form.
#[derive(Debug)]
pub(super) struct CloudCall {
    cloud: Cloud,
    operation: Operation,
    /// As it stands in the path.
    model: String,
    shaper: Shaper,
}

impl CloudCall {
    /// For a path.
    pub(super) fn new(Called { cloud, operation, model }: Called<'_>) -> Self {
        Self { cloud, operation, model: model.to_owned(), shaper: Shaper::new(cloud, operation) }
    }

    /// The bytes that go out for these.
    pub(super) fn shape(&mut self, outgoing: &Outgoing) -> Outgoing {
        let mut slices = [IoSlice::new(&[]); PIECES_MAX];
        let count = outgoing.slices(&mut slices);
        let mut out = Vec::new();
        for slice in slices.iter().take(count) {
            self.shaper.push(slice, &mut out);
        }
        // Where whoever sends looks for a buffer to receive into there is none: this one has hardly any room.
        let shaped = Piece::Owned(Buffer::from(&out[..]));
        Outgoing::new([Piece::Nothing, Piece::Nothing, shaped, Piece::Nothing])
    }
}

/// Lines between the caller and its cloud, by their names in lower case: what the request becomes has its own
/// in their place, or none.
const GONE: &[&str] = &[
    "anthropic-version",
    "anthropic-beta",
    "content-length",
    "transfer-encoding",
    "expect",
    "content-encoding",
];

/// What the names of lines begin with that a cloud's own tools add.
const OF_CLOUDS: &[&str] = &["x-amz-", "x-amzn-", "amz-sdk-", "x-goog-"];

/// Makes of a request in a cloud's form one for `/v1/messages` or `/v1/messages/count_tokens`, head and body;
/// any other stays as it is.
///
/// # Errors
/// 400 with the name of what cannot be read, 431 for a head that has no room for two more lines.
pub(super) fn as_messages(
    snapshot: &Snapshot,
    principal: &Principal,
    caller: &mut Caller,
    whole: Whole,
) -> Result<Whole, CallError> {
    let Some(call) = &caller.cloud else { return Ok(whole) };
    let model = model(snapshot, principal, (call.cloud, &call.model))?;
    let Said { body, betas } = cloud_caller::as_messages(call.cloud, call.operation, &model, whole.body())?;
    let (buffer, body) = request(&caller.head, whole.buffer.filled(), (&body, &betas), call.operation);
    match caller.head.parse(buffer.filled()) {
        Ok(Progress::Complete) => Ok(whole.instead(buffer, body)),
        Ok(Progress::Partial) => Err(Code::BadRequest.into()),
        Err(refusal) => Err(CallError::new(refusal.code()).context(refusal.text())),
    }
}

/// The name here of a model in a path; empty where the path has none. The name as it stands there counts
/// where the config has it, or sends it on to the same cloud; else Anthropic's name for that model, where
/// that is known.
fn model(
    snapshot: &Snapshot,
    principal: &Principal,
    (cloud, written): (Cloud, &str),
) -> Result<String, CallError> {
    if written.is_empty() {
        return Ok(String::new());
    }
    let wrong =
        || CallError::new(Code::BadRequest).context("the model in the path has escapes that are none");
    let mut names = cloud_caller::names(written).ok_or_else(wrong)?.into_iter();
    let (own, plain) = (names.next().ok_or_else(wrong)?, names.next());
    let aliases = snapshot.rules.aliases(principal);
    let is_alias = |name: &str| aliases.is_some_and(|aliases| aliases.model(name).is_some());
    let dialect = match cloud {
        Cloud::Bedrock => Dialect::Bedrock,
        Cloud::Vertex => Dialect::Vertex,
    };
    let is_meant = snapshot.routes.plan(&own).is_some_and(|plan| {
        plan.targets.first().is_some_and(|target| {
            let provider = snapshot.providers.get(target.provider);
            let goes_on = target.model.is_none() && provider.is_some_and(|one| one.dialect == dialect);
            *target.pattern == *own || goes_on
        })
    });
    let plain = plain.filter(|plain| is_alias(plain) || snapshot.routes.plan(plain).is_some());
    Ok(if is_meant || is_alias(&own) { own } else { plain.unwrap_or(own) })
}

/// Head and body in one buffer, and where the body is.
fn request(
    head: &RequestHead,
    bytes: &[u8],
    (body, betas): (&[u8], &[String]),
    operation: Operation,
) -> (Buffer, Range<usize>) {
    let path = if operation == Operation::Count { "/v1/messages/count_tokens" } else { "/v1/messages" };
    let mut beta = String::new();
    let said = head.headers.all(bytes, "anthropic-beta").filter_map(|value| str::from_utf8(value).ok());
    for name in said.chain(betas.iter().map(String::as_str)) {
        if !beta.is_empty() {
            beta.push(',');
        }
        beta.push_str(name);
    }
    let query = if beta.is_empty() { "" } else { "?beta=true" };
    let version = if head.version == Version::Http10 { "1.0" } else { "1.1" };
    let mut out = format!("POST {path}{query} HTTP/{version}\r\n").into_bytes();
    for (name, value) in head.headers.iter(bytes) {
        let is = |other: &&str| name.eq_ignore_ascii_case(other.as_bytes());
        let begins = |front: &&str| {
            name.get(..front.len()).is_some_and(|name| name.eq_ignore_ascii_case(front.as_bytes()))
        };
        if !GONE.iter().any(is) && !OF_CLOUDS.iter().any(begins) {
            for piece in [name, b": ", value, b"\r\n"] {
                out.extend_from_slice(piece);
            }
        }
    }
    out.extend_from_slice(b"anthropic-version: 2023-06-01\r\n");
    if !beta.is_empty() {
        out.extend_from_slice(format!("anthropic-beta: {beta}\r\n").as_bytes());
    }
    out.extend_from_slice(format!("content-length: {}\r\n\r\n", body.len()).as_bytes());
    let start = out.len();
    let mut buffer = Buffer::with_room(start + body.len());
    buffer.extend(&out);
    buffer.extend(body);
    (buffer, start..start + body.len())
}

const _: () = assert!(limits::BETAS_MAX * (limits::BETA_BYTES_MAX + 1) < limits::HEAD_BYTES_MAX);
