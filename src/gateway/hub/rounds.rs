//! Questions to a legacy caller, in the middle of its call: from a legacy server one by one, from a modern
//! one all at once before the call is sent again.

use std::rc::Rc;

use tokio::sync::oneshot;
use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::Reply;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::channel::{self, Channel};
use crate::gateway::hub::compose::Input;
use crate::gateway::hub::failures;
use crate::gateway::hub::park::Asked;
use crate::gateway::hub::run::Run;
use crate::gateway::hub::tasks;
use crate::gateway::hub::watch;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::errors;
use crate::mcp::bridge::rounds::{self as input, InputMethod};
use crate::mcp::message::{self, Kind};
use crate::mcp::rpc::{self, RpcError};
use crate::policy::residency::PlacedPermit;

/// Why a caller could not be asked.
pub(super) enum Unasked {
    /// It has cancelled its call or left.
    Cancelled,
    /// The result that it reads instead.
    Told(Vec<u8>),
}

/// Sends a question into the stream of the caller's call; `None` when too many are open.
async fn put(
    hub: &Hub,
    caller: &Caller,
    leg: &Leg,
    method: &str,
    params: &[u8],
) -> Option<oneshot::Receiver<Vec<u8>>> {
    let session = caller.session.as_ref()?;
    let id = hub.next_id();
    let answer = session.ask(id)?;
    let mut body = Vec::with_capacity(params.len() + 96);
    rpc::write_request(&mut body, id, method, Some(params));
    if session.one_stream {
        session.tell(body);
    } else if leg.reply.send(Reply::Event(body)).await.is_err() {
        return None;
    }
    Some(answer)
}

/// Passes a legacy server's question on to a legacy caller. The answer finds its own way back, so that the
/// call goes on meanwhile.
pub(super) async fn pass_on(run: &Run<'_>, channel: &Rc<Channel>, asked: Asked) {
    let put =
        put(run.hub, run.caller, &run.leg, asked.method.as_str(), asked.params.as_deref().unwrap_or(b"{}"))
            .await;
    let (channel, permit) = (Rc::clone(channel), run.permit.clone());
    drop(spawn_local(async move {
        let answered = match put {
            None => None,
            Some(answer) => timeout(limits::MCP_PARKED_DEADLINE, answer).await.ok().and_then(Result::ok),
        };
        let mut body = Vec::new();
        match answered.as_deref().and_then(|doc| message::read(doc).ok().map(|read| (doc, read))) {
            Some((doc, read)) if read.kind == Kind::Result => {
                let result = read.result.and_then(|place| doc.get(place)).unwrap_or(b"{}");
                let result = tasks::answer(result.to_vec(), asked.task.as_deref());
                rpc::write_result(&mut body, &asked.server_id, &result);
            }
            Some((doc, read)) => {
                let error = read.error.and_then(|place| doc.get(place)).unwrap_or(b"{}");
                failures::write_raw_error(&mut body, &asked.server_id, error);
            }
            None => {
                let error = RpcError::invalid_request("the caller did not answer");
                rpc::write_error(&mut body, Some(&asked.server_id), &error);
            }
        }
        channel.tell(&permit, body, "").await;
    }));
}

/// Asks a legacy caller everything that a modern server wants to know, and gives what the retry carries.
pub(super) async fn ask_all(run: &Run<'_>, result: &[u8]) -> Result<Input, Unasked> {
    let odd = |why: &dyn std::fmt::Display| {
        Unasked::Told(tool_error(&format!("the server asked for input in a form nobody knows: {why}")))
    };
    let wanted = input::read_input_required(result).map_err(|why| odd(&why))?;
    let set = CapabilitySet::read(&run.caller.capabilities).unwrap_or_default();
    let mut waiting = Vec::with_capacity(wanted.requests.len());
    for request in &wanted.requests {
        let params = request.params.as_deref().unwrap_or(b"{}");
        let visit = errors::visit_of(request.method, params).map_err(|why| odd(&why))?;
        if let Some(visit) = visit
            && !run.caller.version.has_url_elicitation()
        {
            return Err(Unasked::Told(errors::visit_tool_error(&[visit])));
        }
        let needed = CapabilitySet::needed(request.method, request.params.as_deref());
        if !set.has(needed.map_err(|why| odd(&why))?) {
            let text = format!("this needs a client that answers {}", request.method.as_str());
            return Err(Unasked::Told(tool_error(&text)));
        }
        let id = format!("tollgate-{}", run.hub.next_id());
        let params = input::request_for_legacy(request.method, params, &id).map_err(|why| odd(&why))?;
        let Some(params) = run.leg.question(params.into_owned()).await else {
            return Err(Unasked::Told(tool_error(watch::UNSAID)));
        };
        match put(run.hub, run.caller, &run.leg, request.method.as_str(), &params).await {
            Some(answer) => waiting.push((request.key.clone().into_owned(), request.method, answer)),
            None => return Err(Unasked::Cancelled),
        }
    }
    let mut responses = Vec::with_capacity(waiting.len());
    for (key, method, answer) in waiting {
        let answered = tokio::select! {
            answered = timeout(limits::MCP_PARKED_DEADLINE, answer) => answered.ok().and_then(Result::ok),
            () = run.cancelled.notified() => return Err(Unasked::Cancelled),
        };
        responses.push((key, response(method, answered)?));
    }
    Ok(Input { responses, state: wanted.request_state.map(<[u8]>::to_vec) })
}

/// What a legacy caller's response is to a modern server, which knows no errors in this place.
fn response(method: InputMethod, answered: Option<Vec<u8>>) -> Result<Vec<u8>, Unasked> {
    let result = answered.and_then(|doc| {
        let read = message::read(&doc).ok()?;
        doc.get(read.result?).map(<[u8]>::to_vec)
    });
    result
        .or_else(|| input::stand_in(method).map(<[u8]>::to_vec))
        .ok_or_else(|| Unasked::Told(tool_error("the client did not answer what the server asked")))
}

/// A tool's result that says what went wrong.
fn tool_error(text: &str) -> Vec<u8> {
    let mut out = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    crate::json::write_string(&mut out, text);
    out.extend_from_slice(b"}],\"isError\":true}");
    out
}

/// Makes sure that a legacy server logs loudly enough for this caller. Others on the same session get what
/// they want by filter.
pub(super) async fn set_log_level(hub: &Hub, channel: &Rc<Channel>, caller: &Caller) {
    let Some(wanted) = caller.log_level else { return };
    if channel.version.is_modern() || !channel.facts.capabilities.logging {
        return;
    }
    if channel.log_level.get().is_some_and(|level| wanted.reaches(level)) {
        return;
    }
    channel.log_level.set(Some(wanted));
    let params = format!("{{\"level\":\"{}\"}}", wanted.as_str());
    let lines = channel.headers("logging/setLevel", None);
    let what = ("logging/setLevel", params.as_bytes());
    // A server that declines logs as it likes.
    drop(channel::request(&channel.link, &PlacedPermit::own(), hub.next_id(), lines, what).await);
}
