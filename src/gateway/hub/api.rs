//! HTTP APIs in the place of servers: their tools come from a document, and a call is one request. There is
//! no channel, no session and no era.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::oneshot;

use crate::gateway::direct;
use crate::gateway::hub::Hub;
use crate::gateway::hub::peer::Peer;
use crate::gateway::hub::run::{Ending, Run};
use crate::gateway::hub::tasks;
use crate::gateway::log::Level;
use crate::limits;
use crate::mcp::bridge::opening::{ServerCapabilities, ServerFacts};
use crate::mcp::bridge::results::{self, ResultKind};
use crate::mcp::definition::ItemKind;
use crate::mcp::list::{Pages, ServerLists};
use crate::mcp::method::Method;
use crate::mcp::openapi::{self, DocumentFault, OpenApi};
use crate::mcp::rpc::{self, RpcError};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::Failure;
use crate::upstream::mcp::api::ApiLink;
use crate::upstream::mcp::server::{Api, Document};

/// Makes the lists of an API from its document, and keeps what calls need of it.
pub(super) async fn load(hub: &Rc<Hub>, peer: &Rc<Peer>, described: &Api) -> Result<ServerLists, Failure> {
    let text = match &described.document {
        Document::Text(text) => Arc::clone(text),
        Document::Remote(remote) => {
            let deadline = limits::MCP_LIST_DEADLINE;
            let link = ApiLink::new(Rc::clone(&hub.pool), remote.clone(), hub.timeouts(), deadline);
            Arc::from(link.document(&PlacedPermit::own()).await?)
        }
    };
    let read = read_aside(text).await?.map_err(|fault| Failure::Garbage(fault.to_string()))?;
    let fetched = matches!(described.document, Document::Remote(_));
    let mut pages = Pages::new(ItemKind::Tool);
    let added = pages.add(&hub.store, &listed(&read, fetched));
    added.map_err(|why| Failure::Garbage(why.to_string()))?;
    let known = peer.api.borrow().as_ref().map_or(0, |known| known.left_out().len());
    if read.left_out().len() != known {
        for left_out in read.left_out().iter().take(limits::MCP_LEFT_OUT_SHOWN_MAX) {
            hub.log(Level::Warn, "an operation is no tool", |line| {
                line.text("server", peer.server.name.as_str())
                    .text("operation", &left_out.operation)
                    .text("why", left_out.why)
            });
        }
    }
    // A document that stands beside the config changes with the config, which is told to callers.
    let capabilities = ServerCapabilities { tools: true, tools_changed: !fetched, ..Default::default() };
    *peer.facts.borrow_mut() = Some(Rc::new(ServerFacts { capabilities, ..ServerFacts::default() }));
    *peer.api.borrow_mut() = Some(Rc::new(read));
    Ok(ServerLists { tools: pages.finish(), ..ServerLists::default() })
}

/// Reads a document on a thread of its own: a large one takes longer than others should wait.
async fn read_aside(text: Arc<str>) -> Result<Result<OpenApi, DocumentFault>, Failure> {
    let (tx, read) = oneshot::channel();
    let thread = std::thread::Builder::new().name("openapi".to_owned());
    // When nobody waits any more, what was read is of no use.
    let started = thread.spawn(move || drop(tx.send(OpenApi::read(&text))));
    drop(started.map_err(Failure::Unreachable)?);
    read.await.map_err(|_gone| Failure::Ended)
}

/// The operations as a page of `tools/list`.
fn listed(read: &OpenApi, fetched: bool) -> Vec<u8> {
    let bytes: usize = read.operations().iter().map(|operation| operation.definition.len() + 1).sum();
    let mut page = Vec::with_capacity(bytes + 64);
    page.extend_from_slice(b"{\"tools\":[");
    for (number, operation) in read.operations().iter().enumerate() {
        if number > 0 {
            page.push(b',');
        }
        page.extend_from_slice(&operation.definition);
    }
    page.push(b']');
    if fetched {
        page.extend_from_slice(format!(",\"ttlMs\":{}", limits::OPENAPI_TTL_MS).as_bytes());
    }
    page.push(b'}');
    page
}

/// Runs a call to its end.
pub(super) async fn run(run: &mut Run<'_>, described: &Api) -> Ending {
    if run.question.method != Method::ToolsCall {
        let error = RpcError::method_not_found(run.question.method.name());
        run.leg.refuse(run.caller, &error).await;
        return Ending::Error;
    }
    let Some(read) = run.peer.api.borrow().clone() else { return run.fail(&Failure::Ended).await };
    let arguments = run.question.at(run.question.params.arguments.as_ref()).unwrap_or(b"{}");
    let request = match read.request(&run.target.name, arguments) {
        Ok(request) => request,
        Err(fault) => return finish(run, &openapi::refused(&fault)).await,
    };
    let (hub, server) = (run.hub, &run.peer.server);
    let link =
        ApiLink::new(Rc::clone(&hub.pool), described.base.clone(), hub.timeouts(), server.call_deadline);
    let modern = run.caller.version.is_modern();
    let answered = tokio::select! {
        biased;
        answered = link.call(run.permit, &request) => answered,
        () = run.cancelled.notified() => {
            run.leg.end().await;
            return Ending::Cancelled;
        }
        () = run.leg.reply.closed(), if modern => return Ending::Cancelled,
    };
    match answered {
        Ok(answer) => {
            let content_type = Some(answer.content_type.as_str()).filter(|kind| !kind.is_empty());
            let (status, body, whole) = (answer.status, answer.body.as_slice(), answer.whole);
            let result = openapi::result(&openapi::Answer { status, content_type, body, whole });
            finish(run, &result).await
        }
        Err(failure) => run.fail(&failure).await,
    }
}

/// Answers with a result that is ours, in the caller's era.
async fn finish(run: &mut Run<'_>, result: &[u8]) -> Ending {
    let adapted = if run.caller.version.is_modern() {
        match results::result_for_modern(result, ResultKind::Plain) {
            Ok(adapted) => adapted.into_owned(),
            Err(fault) => return run.fail(&Failure::Garbage(fault.to_string())).await,
        }
    } else {
        result.to_vec()
    };
    let mut body = Vec::with_capacity(adapted.len() + run.leg.id.len() + 40);
    rpc::write_result(&mut body, &run.leg.id, &adapted);
    run.kept = Some(body.clone());
    let is_error = tasks::is_error(result);
    run.leg.send(200, body, direct::failed(is_error)).await;
    Ending::Result { is_error }
}
