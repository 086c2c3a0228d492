//! A caller's message as a server gets it: our id and token, the server's own name for the tool, and what its
//! era needs to know. `arguments` stay as they came.

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use crate::call::Class;
use crate::gateway::hub::caller::Caller;
use crate::gateway::hub::channel::Channel;
use crate::gateway::hub::tasks;
use crate::json;
use crate::mcp::bridge::capabilities::{CapabilitySet, ClientFacts, params_for_legacy, params_for_modern};
use crate::mcp::bridge::rounds::retry_params;
use crate::mcp::definition::Definition;
use crate::mcp::edit::{Change, Edits};
use crate::mcp::fault::Fault;
use crate::mcp::message::{self, Message, Params};
use crate::mcp::method::Method;
use crate::mcp::mirror;
use crate::mcp::rpc::{self, RpcError};

/// A caller's request, read.
pub(super) struct Question {
    pub(super) doc: Vec<u8>,
    pub(super) read: Message,
    pub(super) params: Params,
    pub(super) method: Method,
}

impl Question {
    /// The bytes at a place of the message.
    pub(super) fn at(&self, place: Option<&Range<usize>>) -> Option<&[u8]> {
        self.doc.get(place?.clone())
    }

    /// The text of a string at a place of the message.
    pub(super) fn text(&self, place: Option<&Range<usize>>) -> Option<String> {
        message::text(&self.doc, place?.clone()).map(Cow::into_owned)
    }

    /// `params`, as written.
    pub(super) fn params_bytes(&self) -> &[u8] {
        self.at(self.read.params.as_ref()).unwrap_or(b"{}")
    }
}

/// What is called, by the server's own word for it.
pub(super) struct Target {
    /// Name, URI or task id, for the record and the `Mcp-Name` header.
    pub(super) name: String,
    /// The member of `params` that holds it, when it has to be replaced there.
    pub(super) renamed: Option<&'static str>,
    /// The tool's definition.
    pub(super) tool: Option<Arc<Definition>>,
    /// What it does to the world, as policy takes it.
    pub(super) class: Class,
    /// The tool that has made the task in question.
    pub(super) made_by: Option<String>,
    /// Whether calling it twice does no more than calling it once, by its annotations.
    pub(super) repeatable: bool,
    /// What was declared in the session that has the task which is asked for.
    pub(super) session: Option<CapabilitySet>,
    /// Why the tool cannot be called, where its server has made another of it.
    pub(super) held: Option<Arc<str>>,
}

impl Target {
    /// A target of which nothing but the name matters.
    pub(super) const fn of(name: String) -> Self {
        Self {
            name,
            renamed: None,
            tool: None,
            class: Class::Unknown,
            made_by: None,
            repeatable: false,
            session: None,
            held: None,
        }
    }
}

/// What a modern server had asked for before it goes on.
#[derive(Clone, Debug, Default)]
pub(super) struct Input {
    /// Answers, by the server's own keys.
    pub(super) responses: Vec<(String, Vec<u8>)>,
    /// Its `requestState`, as written.
    pub(super) state: Option<Vec<u8>>,
}

/// A message ready to be sent.
pub(super) struct Composed {
    pub(super) body: Vec<u8>,
    pub(super) headers: Vec<(String, String)>,
}

/// Composes the message for a channel.
///
/// # Errors
/// What is wrong with the caller's `params`.
pub(super) fn compose(
    question: &Question,
    target: &Target,
    caller: &Caller,
    channel: &Channel,
    id: u64,
    input: Option<&Input>,
) -> Result<Composed, RpcError> {
    let refused = |why: &dyn std::fmt::Display| RpcError::invalid_params(format!("params: {why}"));
    let meta = question.params.meta.as_ref();
    let token = meta.is_some_and(|meta| meta.progress_token.is_some()).then_some(id);
    let from = question.params_bytes();
    let has_params = question.read.params.is_some();
    let crossed = match (caller.version.is_modern(), channel.version.is_modern()) {
        (false, true) => {
            let facts = ClientFacts {
                version: channel.version,
                capabilities: &caller.capabilities,
                client_info: caller.session.as_ref().map(|session| session.client_info.as_slice()),
                log_level: caller.log_level,
            };
            let params = has_params.then_some(from);
            Cow::Owned(params_for_modern(params, &facts, token).map_err(|why| refused(&why))?)
        }
        (true, false) => Cow::Owned(params_for_legacy(Some(from), token).map_err(|why| refused(&why))?),
        _ => with_token(from, token).map_err(|why| refused(&why))?,
    };
    let retried = match input {
        Some(input) => {
            let responses: Vec<_> = input
                .responses
                .iter()
                .map(|(key, answer)| (Cow::Borrowed(key.as_str()), Cow::Borrowed(answer.as_slice())))
                .collect();
            let params = retry_params(&crossed, &responses, input.state.as_deref());
            Cow::Owned(params.map_err(|why| refused(&why))?)
        }
        None => crossed,
    };
    let way = tasks::way(question, target, caller, channel);
    let sent = tasks::params(&retried, way).map_err(|why| refused(&why))?;
    let named = renamed(&sent, target).map_err(|why| refused(&why))?;
    let mut body = Vec::with_capacity(named.len() + 96);
    let params = (has_params || named.len() > 2).then_some(&*named);
    rpc::write_request(&mut body, id, question.method.name(), params);
    let name = question.method.named_by().is_some().then_some(target.name.as_str());
    let mut headers = channel.headers(question.method.name(), name);
    if channel.version.is_modern()
        && let Some(tool) = &target.tool
    {
        let arguments = question.at(question.params.arguments.as_ref());
        headers.extend(mirror::lines(tool.param_headers(), arguments).map_err(|why| refused(&why))?);
    }
    Ok(Composed { body, headers })
}

/// The same `params` with our progress token where the caller's stands.
fn with_token(params: &[u8], token: Option<u64>) -> Result<Cow<'_, [u8]>, Fault> {
    let Some(token) = token else { return Ok(Cow::Borrowed(params)) };
    let read = message::params_at(params, 0..params.len())?;
    let Some(place) = read.meta.and_then(|meta| meta.progress_token) else {
        return Ok(Cow::Borrowed(params));
    };
    let mut edits = Edits::new(params);
    edits.replace(place, token.to_string().as_bytes())?;
    Ok(Cow::Owned(edits.finish()))
}

/// The same `params` with the server's own name for what is called.
fn renamed<'a>(params: &'a [u8], target: &Target) -> Result<Cow<'a, [u8]>, Fault> {
    let Some(member) = target.renamed else { return Ok(Cow::Borrowed(params)) };
    let mut name = Vec::with_capacity(target.name.len() + 2);
    json::write_string(&mut name, &target.name);
    let mut edits = Edits::new(params);
    let object = match member {
        // A prompt or a template whose argument is completed.
        "ref.name" | "ref.uri" => message::params_at(params, 0..params.len())?.reference,
        _ => Some(0..params.len()),
    };
    if let Some(object) = object {
        let member = match member {
            "ref.name" => "name",
            "ref.uri" => "uri",
            other => other,
        };
        edits.set(object, &[(member, Change::Put(&name))])?;
    }
    Ok(Cow::Owned(edits.finish()))
}
