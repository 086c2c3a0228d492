//! Reads a JSON-RPC message as places in its bytes: what it is, its id, its parts.
//!
//! Looked into are the top level, `params` and `params._meta`; `arguments` and results are passed over. At
//! the levels that are looked into, whatever two readers could take differently is refused: one of our names
//! twice, written with escapes, or in another case (Go's decoder takes that one, too). Otherwise a policy
//! could be asked about one tool and a server for another.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::{self, Field, Key, Kind as JsonKind, Value};
use crate::limits;
use crate::mcp::fault::Fault;
use crate::mcp::method::Method;

#[cfg(any(test, fuzzing))]
pub mod fuzz;
#[cfg(test)]
mod tests;
mod walk;

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A method and an id.
    Request,
    /// A method without an id.
    Notification,
    /// A response that succeeded.
    Result,
    /// A response that failed.
    Error,
}

/// The parts of a message. A span is of a whole value, with its quotes or brackets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// What it is.
    pub kind: Kind,
    /// A string or a number, as written, at most `limits::MCP_ID_BYTES_MAX` long: there in a request and a
    /// result, never in a notification; in an error nothing where it is `null` or missing.
    pub id: Option<Range<usize>>,
    /// The method; `Other` in a response.
    pub method: Method,
    /// The method's name: a string; there in requests and notifications.
    pub method_span: Option<Range<usize>>,
    /// `params`: an object; `null` counts as missing.
    pub params: Option<Range<usize>>,
    /// `result`: any value; there in a result.
    pub result: Option<Range<usize>>,
    /// `error`: any value; there in an error, see [`read_error`].
    pub error: Option<Range<usize>>,
}

impl Message {
    /// Whether it answers a request.
    pub fn is_response(&self) -> bool {
        matches!(self.kind, Kind::Result | Kind::Error)
    }
}

/// The members of `params` that some method has. Spans as in [`Message`]; `null` counts as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Params {
    /// Of a tool or a prompt: a string.
    pub name: Option<Range<usize>>,
    /// Of a tool or a prompt: an object.
    pub arguments: Option<Range<usize>>,
    /// `_meta`.
    pub meta: Option<Meta>,
    /// Of a resource: a string.
    pub uri: Option<Range<usize>>,
    /// `taskId`: a string.
    pub task_id: Option<Range<usize>>,
    /// Of a list: a string.
    pub cursor: Option<Range<usize>>,
    /// `inputResponses`: an object.
    pub input_responses: Option<Range<usize>>,
    /// `requestState`: a string.
    pub request_state: Option<Range<usize>>,
    /// 2025-11-25, that a task is wanted: an object.
    pub task: Option<Range<usize>>,
    /// `ref`, what is completed: an object.
    pub reference: Option<Range<usize>>,
    /// What is completed of it: an object.
    pub argument: Option<Range<usize>>,
    /// Of log lines: a string.
    pub level: Option<Range<usize>>,
    /// `progressToken` of `notifications/progress`: a string or a number.
    pub progress_token: Option<Range<usize>>,
    /// How far: a number.
    pub progress: Option<Range<usize>>,
    /// `requestId` of `notifications/cancelled`: a string or a number.
    pub request_id: Option<Range<usize>>,
    /// What a stream of events brings: an object.
    pub notifications: Option<Range<usize>>,
    /// `protocolVersion` of `initialize`: a string.
    pub protocol_version: Option<Range<usize>>,
    /// Of `initialize`: an object.
    pub capabilities: Option<Range<usize>>,
    /// `clientInfo` of `initialize`: an object.
    pub client_info: Option<Range<usize>>,
}

/// What is read of `params._meta`. Spans as in [`Message`]; `null` counts as missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// The object itself.
    pub span: Range<usize>,
    /// `io.modelcontextprotocol/protocolVersion`: a string.
    pub protocol_version: Option<Range<usize>>,
    /// `io.modelcontextprotocol/clientInfo`: an object.
    pub client_info: Option<Range<usize>>,
    /// `io.modelcontextprotocol/clientCapabilities`: an object.
    pub client_capabilities: Option<Range<usize>>,
    /// `io.modelcontextprotocol/logLevel`: a string.
    pub log_level: Option<Range<usize>>,
    /// `io.modelcontextprotocol/subscriptionId`: a string or a number.
    pub subscription_id: Option<Range<usize>>,
    /// `progressToken`: a string or a number.
    pub progress_token: Option<Range<usize>>,
    /// `claudecode/toolUseId`, the id of the model's `tool_use` block: a string.
    pub tool_use_id: Option<Range<usize>>,
    /// `traceparent` of W3C Trace Context: a string.
    pub traceparent: Option<Range<usize>>,
}

/// The parts of an `error` object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ErrorBody {
    /// The code; 0 where it is missing or no whole number.
    pub code: i64,
    /// The sentence: a string; servers leave it out.
    pub message: Option<Range<usize>>,
    /// Any value.
    pub data: Option<Range<usize>>,
}

/// The name of `Meta::protocol_version` in `_meta`.
pub const PROTOCOL_VERSION: &str = "io.modelcontextprotocol/protocolVersion";
/// The name of `Meta::client_info` in `_meta`.
pub const CLIENT_INFO: &str = "io.modelcontextprotocol/clientInfo";
/// The name of `Meta::client_capabilities` in `_meta`.
pub const CLIENT_CAPABILITIES: &str = "io.modelcontextprotocol/clientCapabilities";
/// The name of `Meta::log_level` in `_meta`.
pub const LOG_LEVEL: &str = "io.modelcontextprotocol/logLevel";
/// The name of `Meta::subscription_id` in `_meta`.
pub const SUBSCRIPTION_ID: &str = "io.modelcontextprotocol/subscriptionId";
/// The name of `Meta::progress_token` in `_meta`, and of the token in a progress notification.
pub const PROGRESS_TOKEN: &str = "progressToken";
/// The name of `Meta::tool_use_id` in `_meta`.
pub const TOOL_USE_ID: &str = "claudecode/toolUseId";

/// Reads the top level of one message.
///
/// # Errors
/// The first [`Fault`]. Values that are not looked into may be not quite JSON (see [`json`]); no reader can
/// find other members at the top level of such a document than we do.
pub fn read(doc: &[u8]) -> Result<Message, Fault> {
    if doc.trim_ascii_start().first() != Some(&b'{') {
        return Err(Fault::NotObject);
    }
    let [method, params, version, id, result, error] = pick(doc, 0..doc.len(), &TOP)?;
    if version.is_none_or(|version| version.inner(doc) != Some(b"2.0")) {
        return Err(Fault::Version);
    }
    let has_id = id.is_some();
    let id = id_span(id)?;
    let kind = match (&method, &result, &error) {
        (Some(_), None, None) if has_id => Kind::Request,
        (Some(_), None, None) => Kind::Notification,
        (None, Some(_), None) => Kind::Result,
        (None, None, Some(_)) => Kind::Error,
        (None, None, None) => return Err(Fault::Purpose),
        _ => return Err(Fault::Mixed),
    };
    if id.is_none() && matches!(kind, Kind::Request | Kind::Result) {
        return Err(Fault::Id);
    }
    let (method, method_span) = match method {
        Some(method) => {
            let name = text(doc, method.span.clone());
            let name = name.ok_or(Fault::Kind { name: "method", at: method.span.start })?;
            (Method::from_name(name.as_bytes()), Some(method.span))
        }
        None => (Method::Other, None),
    };
    Ok(Message {
        kind,
        id,
        method,
        method_span,
        params: Want::Object.of(params, "params")?,
        result: result.map(|value| value.span),
        error: error.map(|value| value.span),
    })
}

/// As [`read`] and then [`params`], in one walk where the message is a usual one.
///
/// # Errors
/// As [`read`], and inside as [`params`].
pub fn read_with_params(doc: &[u8]) -> Result<(Message, Result<Params, Fault>), Fault> {
    // Filled where it will be returned: it is 800 bytes, which take longer to copy than to find.
    let mut found = Ok((NOTHING, Ok(Params::default())));
    if let Ok((message, Ok(params))) = &mut found
        && walk::walk(doc, message, params).is_some()
    {
        return found;
    }
    let message = read(doc)?;
    let params = params(doc, &message);
    found = Ok((message, params));
    found
}

/// What a message is before anything of it is known.
const NOTHING: Message = Message {
    kind: Kind::Notification,
    id: None,
    method: Method::Other,
    method_span: None,
    params: None,
    result: None,
    error: None,
};

/// Reads `params` and its `_meta`; of a message without them, nothing.
///
/// # Errors
/// As [`read`]; a member that is of another kind than its field says is [`Fault::Kind`].
pub fn params(doc: &[u8], message: &Message) -> Result<Params, Fault> {
    match &message.params {
        Some(span) => params_at(doc, span.clone()),
        None => Ok(Params::default()),
    }
}

/// Reads the object at `span` as [`params`] does; for requests that stand inside of a result.
///
/// # Errors
/// As [`params`].
pub fn params_at(doc: &[u8], span: Range<usize>) -> Result<Params, Fault> {
    let found = pick(doc, span, &PARAMS)?;
    let [name, arguments, meta, uri, token, progress, request_id, cursor, inputs, state, rest @ ..] = found;
    let [task_id, task, reference, argument, level, notifications, version, capabilities, info] = rest;
    let meta = Want::Object.of(meta, "_meta")?;
    Ok(Params {
        name: Want::String.of(name, "name")?,
        arguments: Want::Object.of(arguments, "arguments")?,
        meta: meta.map(|span| meta_at(doc, span)).transpose()?,
        uri: Want::String.of(uri, "uri")?,
        task_id: Want::String.of(task_id, "taskId")?,
        cursor: Want::String.of(cursor, "cursor")?,
        input_responses: Want::Object.of(inputs, "inputResponses")?,
        request_state: Want::String.of(state, "requestState")?,
        task: Want::Object.of(task, "task")?,
        reference: Want::Object.of(reference, "ref")?,
        argument: Want::Object.of(argument, "argument")?,
        level: Want::String.of(level, "level")?,
        progress_token: Want::Token.of(token, PROGRESS_TOKEN)?,
        progress: Want::Number.of(progress, "progress")?,
        request_id: Want::Token.of(request_id, "requestId")?,
        notifications: Want::Object.of(notifications, "notifications")?,
        protocol_version: Want::String.of(version, "protocolVersion")?,
        capabilities: Want::Object.of(capabilities, "capabilities")?,
        client_info: Want::Object.of(info, "clientInfo")?,
    })
}

/// Reads the object at `span` as a `_meta`; results and notifications have one, too.
///
/// # Errors
/// As [`params`].
pub fn meta_at(doc: &[u8], span: Range<usize>) -> Result<Meta, Fault> {
    let [token, tool_use, version, info, capabilities, level, subscription, trace] =
        pick(doc, span.clone(), &META)?;
    Ok(Meta {
        span,
        protocol_version: Want::String.of(version, PROTOCOL_VERSION)?,
        client_info: Want::Object.of(info, CLIENT_INFO)?,
        client_capabilities: Want::Object.of(capabilities, CLIENT_CAPABILITIES)?,
        log_level: Want::String.of(level, LOG_LEVEL)?,
        subscription_id: Want::Token.of(subscription, SUBSCRIPTION_ID)?,
        progress_token: Want::Token.of(token, PROGRESS_TOKEN)?,
        tool_use_id: Want::String.of(tool_use, TOOL_USE_ID)?,
        traceparent: Want::String.of(trace, "traceparent")?,
    })
}

/// Reads the `error` of a response.
///
/// # Errors
/// As [`read`]; an `error` that is no object is [`Fault::NotJson`].
pub fn read_error(doc: &[u8], error: Range<usize>) -> Result<ErrorBody, Fault> {
    let [code, message, data] = pick(doc, error, &["code", "message", "data"])?;
    let code = code.and_then(|code| std::str::from_utf8(code.bytes(doc)).ok()?.parse().ok());
    Ok(ErrorBody {
        code: code.unwrap_or(0),
        message: message.filter(|value| value.kind == JsonKind::String).map(|value| value.span),
        data: data.map(|value| value.span),
    })
}

/// The text of the string at `range`, whose quotes are included; nothing where no good string stands.
pub fn text(doc: &[u8], range: Range<usize>) -> Option<Cow<'_, str>> {
    json::text(doc.get(range)?.strip_prefix(b"\"")?.strip_suffix(b"\"")?).ok()
}

/// The id of a message, found without reading all of it where it stands at one of its ends, as it does in
/// what all known servers and clients send.
///
/// For every document that [`read`] takes it is the same id. What it says of others means nothing: whoever
/// wants to know whether a document is good has to `read` it.
pub fn response_id(doc: &[u8]) -> Option<Range<usize>> {
    if let Some(id) = first_id(doc).or_else(|| last_id(doc)) {
        return Some(id);
    }
    read(doc).ok()?.id
}

/// The places of the messages of a batch; nothing for a document that is no array.
///
/// # Errors
/// [`Fault::NotJson`]; [`Fault::BatchSize`] for none, and for more than `limits::MCP_BATCH_MAX`.
pub fn batch(doc: &[u8]) -> Option<Result<Vec<Range<usize>>, Fault>> {
    if doc.trim_ascii_start().first() != Some(&b'[') {
        return None;
    }
    let mut messages = Vec::new();
    let walked = json::elements(doc, 0..doc.len(), |value| {
        messages.push(value.span);
        if messages.len() > limits::MCP_BATCH_MAX { Err(BATCH_SIZE) } else { Ok(()) }
    });
    let sized = walked.and(if messages.is_empty() { Err(BATCH_SIZE) } else { Ok(messages) });
    Some(sized)
}

/// Finds members of the object at `span` by their names, in the order of `names`; `null` is a value here.
///
/// # Errors
/// [`Fault::Twice`] and [`Fault::Alike`] for those names, [`Fault::NotJson`] for what is seen on the way.
pub fn pick<const N: usize>(
    doc: &[u8],
    span: Range<usize>,
    names: &[&'static str; N],
) -> Result<[Option<Value>; N], Fault> {
    let mut found = [const { None }; N];
    json::fields_at(doc, span, |Field { key, value }| {
        let Some(index) = index_of(&key, names.iter().copied())? else { return Ok(()) };
        let (Some(place), Some(name)) = (found.get_mut(index), names.get(index)) else { return Ok(()) };
        match place.replace(value) {
            None => Ok(()),
            Some(_) => Err(Fault::Twice { name, at: key.at }),
        }
    })?;
    Ok(found)
}

/// Which of `names` a key is.
///
/// # Errors
/// [`Fault::Alike`] when it is none but can be mistaken for one, [`Fault::NotJson`] for a bad escape in it.
pub(super) fn index_of(
    key: &Key<'_>,
    names: impl Iterator<Item = &'static str> + Clone,
) -> Result<Option<usize>, Fault> {
    if !key.escaped
        && let Some(index) = names.clone().position(|name| name.as_bytes() == key.raw)
    {
        return Ok(Some(index));
    }
    let mut names = names;
    let mistaken = if key.escaped || !key.raw.is_ascii() {
        let name = json::text(key.raw).map_err(|fault| json::Fault::Escape { at: key.at + fault.at() })?;
        names.find(|known| folded(&name).eq(folded(known)))
    } else {
        // Compares lengths first.
        names.find(|known| known.as_bytes().eq_ignore_ascii_case(key.raw))
    };
    match mistaken {
        None => Ok(None),
        Some(name) => Err(Fault::Alike { name, at: key.at }),
    }
}

/// The letters of a name without case, as decoders fold them that do not mind it: the long s is an s.
fn folded(name: &str) -> impl Iterator<Item = char> {
    name.chars().flat_map(char::to_lowercase).map(|letter| if letter == '\u{17f}' { 's' } else { letter })
}

/// The kinds that a member may have.
#[derive(Clone, Copy)]
enum Want {
    String,
    Number,
    Object,
    /// A string or a number.
    Token,
}

impl Want {
    /// The place of a value of this kind; of `null` and of none, nothing.
    fn of(self, value: Option<Value>, name: &'static str) -> Result<Option<Range<usize>>, Fault> {
        match value {
            None | Some(Value { kind: JsonKind::Null, .. }) => Ok(None),
            Some(Value { kind, span }) if self.takes(kind) => Ok(Some(span)),
            Some(Value { span, .. }) => Err(Fault::Kind { name, at: span.start }),
        }
    }

    fn takes(self, kind: JsonKind) -> bool {
        match kind {
            JsonKind::String => matches!(self, Self::String | Self::Token),
            JsonKind::Number => matches!(self, Self::Number | Self::Token),
            JsonKind::Object => matches!(self, Self::Object),
            JsonKind::Array | JsonKind::True | JsonKind::False | JsonKind::Null => false,
        }
    }
}

fn id_span(id: Option<Value>) -> Result<Option<Range<usize>>, Fault> {
    let span = Want::Token.of(id, "id").or(Err(Fault::Id))?;
    let fits = span.as_ref().is_none_or(|span| span.len() <= limits::MCP_ID_BYTES_MAX);
    if fits { Ok(span) } else { Err(Fault::Id) }
}

/// The id where it is the first member, or the second after `jsonrpc`.
fn first_id(doc: &[u8]) -> Option<Range<usize>> {
    let mut cursor = json::Cursor::new(doc);
    cursor.enter_object().ok()?;
    let mut key = cursor.key().ok()??;
    if key.raw == b"jsonrpc" {
        // Anything longer than a version is no good message, and not worth the walk.
        cursor.skip().ok()?;
        key = cursor.key().ok()??;
    }
    if key.raw != b"id" {
        return None;
    }
    id_span(Some(cursor.skip().ok()?)).ok()?
}

/// The id where it is the last member, or the last but the version.
///
/// In good JSON the byte before the last bracket ends the value of the last member of the top level. A number
/// there goes as far back as its letters do. A string begins at the last quote before its end, if a colon or
/// white space stands before that quote: were it inside of the string, a back slash would stand there. The
/// same holds for the name before it.
fn last_id(doc: &[u8]) -> Option<Range<usize>> {
    let rest = doc.trim_ascii_end().strip_suffix(b"}")?.trim_ascii_end();
    let rest = before_version(rest).unwrap_or(rest);
    let end = rest.len();
    let start = match rest.split_last()? {
        (b'"', inner) => memchr::memrchr(b'"', inner)?,
        (b'0'..=b'9', _) => rest.iter().rposition(|byte| !is_of_number(*byte))? + 1,
        _ => return None,
    };
    let name = rest.get(..start)?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    let before = name.strip_suffix(b"\"id\"")?.trim_ascii_end();
    let is_member = matches!(before.last(), Some(b',' | b'{'));
    (is_member && end - start <= limits::MCP_ID_BYTES_MAX).then_some(start..end)
}

/// What stands before the last member and its comma, if that is the version as all write it; a string, too.
fn before_version(rest: &[u8]) -> Option<&[u8]> {
    let rest = rest.strip_suffix(b"\"2.0\"")?.trim_ascii_end().strip_suffix(b":")?.trim_ascii_end();
    Some(rest.strip_suffix(b"\"jsonrpc\"")?.trim_ascii_end().strip_suffix(b",")?.trim_ascii_end())
}

fn is_of_number(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'+' | b'-' | b'.' | b'e' | b'E')
}

const BATCH_SIZE: Fault = Fault::BatchSize { max: limits::MCP_BATCH_MAX };

const TOP: [&str; 6] = ["method", "params", "jsonrpc", "id", "result", "error"];

/// The most frequent first: they are compared in this order.
const PARAMS: [&str; 19] = [
    "name",
    "arguments",
    "_meta",
    "uri",
    PROGRESS_TOKEN,
    "progress",
    "requestId",
    "cursor",
    "inputResponses",
    "requestState",
    "taskId",
    "task",
    "ref",
    "argument",
    "level",
    "notifications",
    "protocolVersion",
    "capabilities",
    "clientInfo",
];

const META: [&str; 8] = [
    PROGRESS_TOKEN,
    TOOL_USE_ID,
    PROTOCOL_VERSION,
    CLIENT_INFO,
    CLIENT_CAPABILITIES,
    LOG_LEVEL,
    SUBSCRIPTION_ID,
    "traceparent",
];
