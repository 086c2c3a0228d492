//! Calls of providers that speak another dialect than callers do: what is sent, and what a failure is to the
//! caller.

use std::rc::Rc;

use sha2::{Digest, Sha256};

use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::counting::Counting;
use crate::gateway::hosted;
use crate::gateway::record::Record;
use crate::http::encode::{self, Fields, UpstreamRequest};
use crate::json::Fault;
use crate::llm::anthropic::request::{self, Request};
use crate::llm::anthropic::strip;
use crate::llm::bedrock;
use crate::llm::conversation;
use crate::llm::loss::{Losses, Treatment};
use crate::llm::said::{Failure, Kind};
use crate::llm::speech::{Answering, Ask, Interpreter, Spoken};
use crate::net::buffer::Buffer;
use crate::route::model::Target;
use crate::secret::Secret;
use crate::upstream::message::Message;
use crate::upstream::provider::{Dialect, Provider};

/// What calls of ours are signed with where a provider asks who calls.
pub(super) const USER_AGENT: &str = concat!("tollgate/", env!("CARGO_PKG_VERSION"));

/// A request that is ready to be sent, and what its answer is read with.
pub(super) struct Said {
    pub(super) message: Message,
    pub(super) interpreter: Interpreter,
}

/// Says a request in the dialect of one target; nothing where that speaks as callers do.
///
/// # Errors
/// 400 with the name of the field that the provider cannot take.
pub(super) fn say(
    (snapshot, provider, counting): (&Snapshot, &Provider, &Counting),
    caller: &mut Caller,
    (body, request): (&[u8], &Request),
    (target, model): (&Target, &str),
    record: &mut Record,
) -> Result<Option<Said>, CallError> {
    let Some(speech) = snapshot.speech(target.provider) else { return Ok(None) };
    let conversation = conversation::read(body)?;
    let (session, user) = names(record);
    let ask = Ask { model, conversation: &session, caller: &user, nonce: nonce(record) };
    let Spoken { path, body: said, losses, ear } = speech.say(&conversation, &ask)?;
    mark(record, &losses);
    let guess = counting.guess((provider, model), (body, &conversation), speech.images());
    let input_tokens = guess.shown;
    record.guess = Some(guess);
    let answering = Answering { call: record.id, model: &record.model, input_tokens, stream: request.stream };
    let interpreter = Interpreter::new(ear, &answering);
    let whole_path = || format!("{}{path}", provider.base_path);
    let signed = provider.cloud.as_ref().map(|cloud| hosted::signed(cloud, provider, (&whole_path(), &said)));
    let lines = signed.unwrap_or_default();
    write_head_with(&mut caller.out, provider, &path, (said.len() as u64, request.stream), &lines);
    let head = Buffer::from(&caller.out[..]);
    let length = said.len();
    let said = Rc::new(Buffer::from(&said[..]));
    let message = Message::with_body(head, [Some((said, 0..length)), None, None]);
    Ok(Some(Said { message, interpreter }))
}

/// Marks on the entry of the ledger what could not be carried over.
pub(super) fn mark(record: &mut Record, losses: &Losses) {
    for loss in losses.kinds() {
        match loss.treatment {
            Treatment::Dropped => record.mark(&format!("left out {}", loss.what)),
            Treatment::Clamped => record.mark(&format!("brought down {}", loss.what)),
            Treatment::Emulated | Treatment::Enforced => {}
        }
    }
}

/// A body for a model of Anthropic's without the thinking of other vendors' models, whose signatures it would
/// refuse, and with `model` in place of its own where that is given; nothing where there is no such thinking.
///
/// # Errors
/// 400 for what is not JSON.
pub(super) fn without_foreign_thinking(
    snapshot: &Snapshot,
    body: &[u8],
    model: Option<&str>,
) -> Result<Option<Vec<u8>>, CallError> {
    // Signatures of ours are made only where somebody speaks another dialect.
    if snapshot.speeches.iter().all(Option::is_none) {
        return Ok(None);
    }
    let fault = |fault: Fault| CallError::new(Code::BadRequest).context(fault.to_string());
    let cuts = strip::foreign_thinking(body).map_err(fault)?;
    if cuts.is_empty() {
        return Ok(None);
    }
    let body = strip::apply(body, &cuts);
    let Some(model) = model else { return Ok(Some(body)) };
    let request = request::read(&body)?;
    Ok(Some(match request::splice(&body, &request, model) {
        Some(splice) => [splice.before, splice.model.as_bytes(), splice.after].concat(),
        None => body,
    }))
}

/// Nothing of the caller's own head goes to a provider of another dialect: it speaks of Anthropic's features,
/// and of the caller's machine.
pub(super) fn write_head(out: &mut Vec<u8>, provider: &Provider, path: &str, body: (u64, bool)) {
    write_head_with(out, provider, path, body, &[]);
}

/// The same with lines of its own, such as those of a signature.
pub(super) fn write_head_with(
    out: &mut Vec<u8>,
    provider: &Provider,
    path: &str,
    (length, stream): (u64, bool),
    lines: &[(&'static str, Secret)],
) {
    let credential = provider.credential.as_ref().map(|own| (own.header, own.value.expose()));
    let accept: &[u8] = if stream && provider.dialect == Dialect::BedrockConverse {
        bedrock::EVENT_STREAM.as_bytes()
    } else if stream {
        b"text/event-stream, application/json"
    } else {
        b"application/json"
    };
    let mut extra: Vec<(&str, &[u8])> = vec![
        ("content-type", b"application/json"),
        ("accept", accept),
        ("user-agent", USER_AGENT.as_bytes()),
    ];
    if matches!(provider.dialect, Dialect::AnthropicLenient | Dialect::Anthropic) {
        extra.push(("anthropic-version", b"2023-06-01"));
    }
    extra.extend(lines.iter().map(|(name, value)| (*name, value.expose().as_bytes())));
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    out.clear();
    encode::request_head(
        out,
        &UpstreamRequest {
            method: "POST",
            path: &[provider.base_path.as_bytes(), path.as_bytes()],
            query: query.map(str::as_bytes),
            host: &provider.site.host,
            credential,
            extra: &extra,
            content_length: Some(length),
        },
        Fields::NONE,
    );
}

/// Names for the session and for the caller, the same in every call of theirs, from which neither can be
/// found: of 128 bits of a hash each.
fn names(record: &Record) -> (String, String) {
    let name = |parts: [&str; 3]| {
        if parts.iter().skip(1).all(|part| part.is_empty()) {
            return String::new();
        }
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(16).fold(String::new(), |mut out, byte| {
            use std::fmt::Write as _;
            // A string takes all that is written to it.
            write!(out, "{byte:02x}").unwrap_or_default();
            out
        })
    };
    let key = record.key_id.as_deref().unwrap_or_default();
    let user = record.user.as_deref().unwrap_or_default();
    (name(["session", key, &record.session]), name(["caller", key, user]))
}

/// Tells this answer from others of its conversation.
fn nonce(record: &Record) -> u32 {
    let [.., a, b, c, d] = record.id.0.to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// What a failure of a provider is to the caller, with the provider's own words for the log alone.
pub(super) fn told(provider: &Provider, failure: &Failure, retry_after_s: Option<u64>) -> CallError {
    let code = match failure.kind {
        Kind::InvalidRequest | Kind::PromptTooLong | Kind::MaxTokens | Kind::Filtered => Code::BadRequest,
        Kind::NotFound => Code::NotFound,
        Kind::TooLarge => Code::BodyTooLarge,
        Kind::RateLimited | Kind::Quota => Code::RateLimited,
        Kind::Overloaded => Code::UpstreamOverloaded,
        Kind::Timeout => Code::UpstreamTimeout,
        Kind::Credentials | Kind::Broken | Kind::Unreadable | Kind::CutShort => Code::UpstreamBroken,
    };
    let own_words = matches!(failure.kind, Kind::PromptTooLong | Kind::MaxTokens);
    let text = if own_words {
        // Claude Code acts on these sentences by their beginning.
        failure.message.to_string()
    } else {
        format!("{} (provider {})", failure.message, provider.name)
    };
    let mut error = CallError::new(code).context(text);
    if let Some(seconds) = retry_after_s.filter(|_| code == Code::RateLimited || code.retry()) {
        error = error.retry_after(seconds);
    }
    if failure.detail.is_empty() {
        return error;
    }
    error.source(failure.detail.to_string())
}
