//! One connection of a caller: request after request, until one side has had enough.

use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;

use tokio::time::timeout;

use crate::call::{Endpoint, Outcome};
use crate::error::{CallError, Code};
use crate::gateway::caller::{Caller, Next};
use crate::gateway::classify::classify;
use crate::gateway::cloud_caller::CloudCall;
use crate::gateway::inbound;
use crate::gateway::log::Level;
use crate::gateway::record::Record;
use crate::gateway::worker::Worker;
use crate::gateway::{metadata, serve_admin, serve_llm, serve_mcp, serve_models, serve_platform};
use crate::http::head::Method;
use crate::limits;
use crate::net::stream::Stream;

/// Serves a connection to its end.
pub(super) async fn serve(worker: Rc<Worker>, mut stream: Stream) {
    let _guard = poll_fn(|cx| Poll::Ready(worker.wake_on_phase(cx.waker()))).await;
    let snapshot = worker.snapshot();
    if let Some(tls) = &snapshot.server_tls
        && !secured(&worker, &mut stream, tls).await
    {
        return;
    }
    let mut caller = Caller::new(stream, &snapshot.timeouts, Rc::clone(&worker));
    drop(snapshot);
    loop {
        let snapshot = worker.snapshot();
        let next = caller.next_request(&worker, &snapshot.timeouts).await;
        drop(snapshot);
        let error = match next {
            Next::Request => None,
            Next::End => break,
            Next::TooSlow => Some(CallError::from(Code::RequestTimeout)),
            Next::Refused(refusal) => Some(CallError::new(refusal.code()).context(refusal.text())),
        };
        let mut record = Record::new(worker.next_id(), caller.started);
        let served = match error {
            None => one(&worker, &mut caller, &mut record).await,
            Some(error) => {
                // Where this request ends is unknown, so nothing may follow it.
                caller.keep_alive = false;
                caller.unread = true;
                Err(error)
            }
        };
        match served {
            // What failed was telling the caller: it has left, and what it saw of the answer stands.
            Err(_) if caller.dead => record.outcome = Outcome::CallerGone,
            Err(error) => refuse(&mut caller, &mut record, &error).await,
            Ok(()) => {}
        }
        record.finish(&worker).await;
        caller.leave_request();
        if !caller.keep_alive {
            break;
        }
    }
    if caller.unread {
        caller.linger().await;
    } else {
        // A caller that has left cannot be told, and need not be.
        drop(caller.finish().await);
    }
}

async fn one(worker: &Worker, caller: &mut Caller, record: &mut Record) -> Result<(), CallError> {
    let input = caller.stream.input();
    let (path, _) = caller.head.path_and_query(input);
    let wanted = classify(caller.head.method, path).inspect_err(|_code| {
        // Also what is told of a wrong method is told in the dialect of the address.
        let posted = classify(Method::Post, path).map_or(Endpoint::Other, |wanted| wanted.endpoint);
        if inbound::dialect_of(posted).is_some() {
            record.endpoint = posted;
        }
    })?;
    let (team, name) = (wanted.team.map(str::to_owned), wanted.name.map(str::to_owned));
    let form = wanted.form;
    let cloud = wanted.cloud.map(|called| Box::new(CloudCall::new(called)));
    let ready = path.ends_with(b"readyz") || path.ends_with(b"readyz/");
    record.endpoint = wanted.endpoint;
    caller.cloud = cloud;
    match record.endpoint {
        Endpoint::Messages | Endpoint::CountTokens | Endpoint::ChatCompletions | Endpoint::Responses => {
            serve_llm::serve(worker, caller, team.as_deref(), record).await?;
        }
        Endpoint::Models => {
            serve_models::serve(worker, caller, team.as_deref(), name.as_deref(), record).await?;
        }
        Endpoint::Mcp => {
            let endpoint = serve_mcp::Endpoint { server: name, form };
            serve_mcp::serve(worker, caller, team.as_deref(), endpoint, record).await?;
        }
        Endpoint::Metrics => serve_platform::metrics(worker, caller, record).await?,
        Endpoint::Health => serve_platform::health(worker, caller, ready, record).await?,
        Endpoint::Admin => {
            serve_admin::serve(worker, caller, name.as_deref().unwrap_or_default(), record).await?;
        }
        Endpoint::WellKnown => {
            metadata::serve(worker, caller, name.as_deref().unwrap_or_default(), record).await?;
        }
        Endpoint::Hello | Endpoint::Other => serve_platform::hello(caller, record).await?,
    }
    Ok(())
}

/// Tells the caller what is wrong. When it cannot be told, it has left.
async fn refuse(caller: &mut Caller, record: &mut Record, error: &CallError) {
    record.outcome = Outcome::Refused;
    if caller.refuse(record, error).await.is_err() {
        record.outcome = Outcome::CallerGone;
    }
}

async fn secured(worker: &Worker, stream: &mut Stream, tls: &crate::net::tls::ServerTls) -> bool {
    let fault = match tls.accept() {
        Err(fault) => fault.to_string(),
        Ok(session) => match timeout(limits::HANDSHAKE_DEADLINE, stream.secure(session)).await {
            Ok(Ok(())) => return true,
            Ok(Err(fault)) => fault.to_string(),
            Err(_elapsed) => "it took too long".to_owned(),
        },
    };
    let peer = stream.peer().map(|peer| peer.to_string()).unwrap_or_default();
    worker
        .log
        .borrow_mut()
        .line(Level::Info, "a TLS handshake failed", |line| line.text("peer", &peer).text("error", &fault));
    false
}
