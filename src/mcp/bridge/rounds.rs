//! Requests of servers to clients, inside of one call: streamed in the legacy era, by rounds in the modern
//! one.
//!
//! A modern server answers a call with `input_required` and what it wants to know; the client sends the call
//! again with `inputResponses`. A legacy server sends a request on the call's stream and waits. Here stand
//! the shapes of both and the way between them; who waits for whom is the gateway's matter.

use std::borrow::Cow;

use crate::json::Kind;
use crate::limits;
use crate::mcp::bridge::members::{Change, Fault, Members, push_member, quoted};

/// What a server may ask of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum InputMethod {
    /// `elicitation/create`: a question to the user.
    Elicit,
    /// `sampling/createMessage`: a question to the client's model.
    Sample,
    /// `roots/list`: which folders the client works in.
    Roots,
}

impl InputMethod {
    /// Reads a method's name; whatever else a server may not ask.
    pub fn parse(method: &str) -> Option<Self> {
        match method {
            "elicitation/create" => Some(Self::Elicit),
            "sampling/createMessage" => Some(Self::Sample),
            "roots/list" => Some(Self::Roots),
            _ => None,
        }
    }

    /// The method's name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Elicit => "elicitation/create",
            Self::Sample => "sampling/createMessage",
            Self::Roots => "roots/list",
        }
    }
}

/// Whether the answer to a method may be `input_required`.
pub fn may_ask(method: &str) -> bool {
    matches!(method, "tools/call" | "prompts/get" | "resources/read")
}

/// One question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequest<'a> {
    /// What the answer is to be filed under.
    pub key: Cow<'a, str>,
    /// What is asked.
    pub method: InputMethod,
    /// `params`, an object; roots have none.
    pub params: Option<Cow<'a, [u8]>>,
}

/// A result that asks for more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InputRequired<'a> {
    /// The questions, at most `limits::MCP_INPUTS_MAX`; none when the server only wants to be asked again.
    pub requests: Vec<InputRequest<'a>>,
    /// `requestState` as JSON string with its quotes, to be sent back as it is.
    pub request_state: Option<&'a [u8]>,
}

/// Reads a result whose `resultType` is `input_required`.
///
/// # Errors
/// Any [`Fault`]; a question that servers may not ask, or neither questions nor state, is a wrong shape.
pub fn read_input_required(result: &[u8]) -> Result<InputRequired<'_>, Fault> {
    let members = Members::read(result)?;
    let mut requests = Vec::new();
    if members.bytes("inputRequests").is_some() {
        let asked = members.object("inputRequests").ok_or(Fault::Shape("`inputRequests`"))?;
        requests = read_requests(asked)?;
    }
    let request_state = members.bytes("requestState");
    if members.value("requestState").is_some_and(|value| !matches!(value.kind, Kind::String | Kind::Null)) {
        return Err(Fault::Shape("`requestState`"));
    }
    if requests.is_empty() && request_state.is_none() {
        return Err(Fault::Shape("`inputRequests`"));
    }
    Ok(InputRequired { requests, request_state })
}

/// Reads a map of questions, as results and tasks have it.
///
/// # Errors
/// As [`read_input_required`].
pub fn read_requests(asked: &[u8]) -> Result<Vec<InputRequest<'_>>, Fault> {
    let asked = Members::read(asked)?;
    if asked.len() > limits::MCP_INPUTS_MAX {
        return Err(Fault::TooMuch("questions in one result"));
    }
    let mut requests = Vec::with_capacity(asked.len());
    for (member, request) in asked.iter() {
        if member.name.len() > limits::MCP_INPUT_KEY_BYTES_MAX {
            return Err(Fault::TooMuch("a question's key"));
        }
        let request = Members::read(request)?;
        let method = request.text("method")?.as_deref().and_then(InputMethod::parse);
        let params = request.object("params");
        let method = method.ok_or(Fault::Shape("`method` of an input request"))?;
        if params.is_none() && method != InputMethod::Roots {
            return Err(Fault::Shape("`params` of an input request"));
        }
        requests.push(InputRequest { key: member.name.clone(), method, params: params.map(Cow::Borrowed) });
    }
    Ok(requests)
}

/// Writes an `input_required` result of questions and our state.
pub fn write_input_required(requests: &[InputRequest<'_>], request_state: Option<&str>) -> Vec<u8> {
    let mut out = b"{\"resultType\":\"input_required\"".to_vec();
    if !requests.is_empty() {
        push_member(&mut out, "inputRequests", &write_requests(requests));
    }
    if let Some(state) = request_state {
        push_member(&mut out, "requestState", &quoted(state));
    }
    out.push(b'}');
    out
}

/// Writes a map of questions.
pub fn write_requests(requests: &[InputRequest<'_>]) -> Vec<u8> {
    let mut out = vec![b'{'];
    for InputRequest { key, method, params } in requests {
        let mut request = vec![b'{'];
        push_member(&mut request, "method", &quoted(method.as_str()));
        if let Some(params) = params {
            push_member(&mut request, "params", params);
        }
        request.push(b'}');
        push_member(&mut out, key, &request);
    }
    out.push(b'}');
    out
}

/// `params` of a legacy server's request as an input request has it: without the ids of elicitations and
/// tasks that the modern revision does not know, and without the progress token, which belongs to the
/// connection.
///
/// # Errors
/// Any [`Fault`].
pub fn request_for_modern(params: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    let members = Members::read(params)?;
    let mut changes = vec![Change::Drop("elicitationId"), Change::Drop("task")];
    let meta = match members.object("_meta") {
        Some(meta) => Some(Members::read(meta)?.changed(&[Change::Drop("progressToken")])?),
        None => None,
    };
    if let Some(meta) = &meta {
        changes.push(Change::Set("_meta", meta));
    }
    members.changed(&changes)
}

/// `params` of an input request as a legacy client has it: a page to visit needs an id.
///
/// # Errors
/// Any [`Fault`].
pub fn request_for_legacy<'a>(
    method: InputMethod,
    params: &'a [u8],
    elicitation_id: &str,
) -> Result<Cow<'a, [u8]>, Fault> {
    let members = Members::read(params)?;
    let page = method == InputMethod::Elicit && members.text("mode")?.as_deref() == Some("url");
    if !page || members.value("elicitationId").is_some() {
        return Ok(Cow::Borrowed(params));
    }
    members.changed(&[Change::Set("elicitationId", &quoted(elicitation_id))])
}

/// What a client sends with a call that it repeats.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Retry<'a> {
    /// The answers by key, each an object; at most `limits::MCP_INPUTS_MAX`.
    pub responses: Vec<(Cow<'a, str>, &'a [u8])>,
    /// The state that it got.
    pub request_state: Option<Cow<'a, str>>,
}

impl Retry<'_> {
    /// Whether the call is none: it is made for the first time.
    pub fn is_first(&self) -> bool {
        self.responses.is_empty() && self.request_state.is_none()
    }
}

/// Reads the answers in a request's `params`. An answer that is no object counts as not given.
///
/// # Errors
/// Any [`Fault`]: the client is to be told -32602.
pub fn read_retry(params: &[u8]) -> Result<Retry<'_>, Fault> {
    let members = Members::read(params)?;
    let mut responses = Vec::new();
    if members.bytes("inputResponses").is_some() {
        let given = members.object("inputResponses").ok_or(Fault::Shape("`inputResponses`"))?;
        let given = Members::read(given)?;
        if given.len() > limits::MCP_INPUTS_MAX {
            return Err(Fault::TooMuch("`inputResponses`"));
        }
        for (member, answer) in given.iter().filter(|(member, _)| member.value.kind == Kind::Object) {
            responses.push((member.name.clone(), answer));
        }
    }
    let request_state = members.text("requestState")?;
    if request_state.is_none() && members.bytes("requestState").is_some() {
        return Err(Fault::Shape("`requestState`"));
    }
    Ok(Retry { responses, request_state })
}

/// The answer to one question, when the client gave one that has its shape. What is missing is to be asked
/// for again; answers that nobody asked for are ignored by never being looked up.
pub fn answer<'a>(retry: &Retry<'a>, key: &str, method: InputMethod) -> Option<&'a [u8]> {
    let (_, answer) = retry.responses.iter().find(|(name, _)| name == key)?;
    has_shape(answer, method).unwrap_or(false).then_some(*answer)
}

fn has_shape(answer: &[u8], method: InputMethod) -> Result<bool, Fault> {
    let members = Members::read(answer)?;
    Ok(match method {
        InputMethod::Elicit => {
            let known = matches!(members.text("action")?.as_deref(), Some("accept" | "decline" | "cancel"));
            known && members.value("content").is_none_or(|content| content.kind == Kind::Object)
        }
        InputMethod::Sample => {
            let content = members.value("content").map(|content| content.kind);
            members.text("role")?.is_some() && matches!(content, Some(Kind::Object | Kind::Array))
        }
        InputMethod::Roots => members.value("roots").is_some_and(|roots| roots.kind == Kind::Array),
    })
}

/// The answer that stands for a legacy client's error, for which `inputResponses` have no place: the user
/// gave none, there are no folders. For a model's message nothing can stand: then the call has failed.
pub const fn stand_in(method: InputMethod) -> Option<&'static [u8]> {
    match method {
        InputMethod::Elicit => Some(b"{\"action\":\"cancel\"}"),
        InputMethod::Roots => Some(b"{\"roots\":[]}"),
        InputMethod::Sample => None,
    }
}

/// `params` of a call that we repeat to a modern server: with these answers and that state instead of earlier
/// ones. `request_state` is a JSON string as it came.
///
/// # Errors
/// Any [`Fault`].
pub fn retry_params(
    params: &[u8],
    responses: &[(Cow<'_, str>, Cow<'_, [u8]>)],
    request_state: Option<&[u8]>,
) -> Result<Vec<u8>, Fault> {
    let members = Members::read(params)?;
    let mut given = vec![b'{'];
    for (key, answer) in responses {
        push_member(&mut given, key, answer);
    }
    given.push(b'}');
    let responses = match responses {
        [] => Change::Drop("inputResponses"),
        _ => Change::Set("inputResponses", &given),
    };
    let state = Change::to("requestState", request_state);
    Ok(members.changed(&[responses, state])?.into_owned())
}
