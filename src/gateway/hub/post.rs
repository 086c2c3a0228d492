//! What a caller has sent: finds its era, checks what that era asks for, and leads each message where it is
//! served.

use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::{Sender, channel};
use tokio::task::spawn_local;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::{About, Ask, Final, HeadFacts, Reply, Verb};
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::session::Session;
use crate::gateway::hub::{legacy, modern, noted, streams};
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::limits;
use crate::mcp::bridge::levels::Level;
use crate::mcp::headers;
use crate::mcp::message::{self, Kind};
use crate::mcp::method::Method;
use crate::mcp::rpc::{self, RpcError};
use crate::mcp::version::Version;

/// Everything of an ask but its body.
pub(super) struct Asking {
    pub(super) principal: Arc<Principal>,
    pub(super) scope: Option<ServerName>,
    pub(super) facts: HeadFacts,
    pub(super) reply: Sender<Reply>,
}

impl Asking {
    /// Refuses what has no id that could be answered.
    pub(super) async fn refuse(&self, status: u16, error: &RpcError) {
        let mut body = Vec::new();
        rpc::write_error_without_id(&mut body, error);
        let last = Final { status, session: None, body, error: error.message.to_string() };
        drop(self.reply.send(Reply::Final(Box::new(last))).await);
    }
}

/// Serves one request of a caller.
pub(super) async fn serve(hub: Rc<Hub>, ask: Ask) {
    let Ask { principal, scope, verb, facts, reply } = ask;
    let asking = Asking { principal: Arc::new(principal), scope, facts, reply };
    match verb {
        Verb::Post(body) => post(&hub, asking, body).await,
        Verb::Get => {
            let Some(session) = session(&hub, &asking).await else { return };
            streams::open(&session, asking.reply).await;
        }
        Verb::Delete => {
            let Some(session) = session(&hub, &asking).await else { return };
            hub.close_session(&session.id);
            drop(asking.reply.send(Reply::Accepted).await);
        }
        Verb::OpenSse(path) => legacy::open_sse(&hub, asking, &path).await,
        Verb::PostSse(body) => {
            let Some(session) = session(&hub, &asking).await else { return };
            // What waits here is large, and rare.
            Box::pin(legacy::post_sse(&hub, asking, session, body)).await;
        }
    }
}

/// The session that the request names.
async fn session(hub: &Hub, asking: &Asking) -> Option<Rc<Session>> {
    let Some(id) = &asking.facts.session else {
        if asking.facts.version.iter().any(|named| named == Version::V2026_07_28.as_str().as_bytes()) {
            let text = "revision 2026-07-28 has POST alone";
            asking.refuse(405, &RpcError::invalid_request(text)).await;
        } else {
            let text = "Mcp-Session-Id is missing; begin with initialize";
            asking.refuse(400, &RpcError::invalid_request(text)).await;
        }
        return None;
    };
    let found = hub.sessions.find(id, &asking.principal, asking.scope.as_ref());
    match &found {
        Some(session) => session.heard.set(clock::now()),
        None => {
            let text = "this session does not exist any more; begin anew with initialize";
            asking.refuse(404, &RpcError::invalid_request(text)).await;
        }
    }
    found
}

async fn post(hub: &Rc<Hub>, asking: Asking, body: Vec<u8>) {
    if let Some(batch) = message::batch(&body) {
        return match batch {
            Ok(parts) => batched(hub, asking, &body, &parts).await,
            Err(fault) => asking.refuse(400, &RpcError::invalid_request(fault.to_string())).await,
        };
    }
    let (read, params) = match message::read_with_params(&body) {
        Ok((read, Ok(params))) => (read, params),
        Err(fault) => return asking.refuse(400, &fault.rpc()).await,
        Ok((read, Err(fault))) => {
            let error = fault.rpc();
            return answer_fault(&asking, &body, read.id.clone(), &error).await;
        }
    };
    let method = read.method;
    let question = Question { doc: body, read, params, method };
    let says_modern = question.params.meta.as_ref().is_some_and(|meta| meta.protocol_version.is_some());
    if asking.facts.session.is_some() && !says_modern && method != Method::Initialize {
        let Some(session) = session(hub, &asking).await else { return };
        return legacy::take(hub, asking, session, question).await;
    }
    if headers::is_modern(&question.read, &question.params, &asking.facts.standard()) {
        return modern_post(hub, asking, question).await;
    }
    if method == Method::Initialize && question.read.kind == Kind::Request {
        if asking.facts.session.is_some() {
            let error = RpcError::invalid_request("this session has been initialized already");
            return answer_fault(&asking, &question.doc, question.read.id.clone(), &error).await;
        }
        return legacy::initialize(hub, asking, question).await;
    }
    if question.read.kind == Kind::Request {
        let text = "neither a session nor a protocol version: begin with initialize, or send _meta";
        let error = RpcError::invalid_request(text);
        return answer_fault(&asking, &question.doc, question.read.id.clone(), &error).await;
    }
    asking.refuse(400, &RpcError::invalid_request("Mcp-Session-Id is missing")).await;
}

/// Refuses a message that could be read as far as its id.
async fn answer_fault(asking: &Asking, doc: &[u8], id: Option<std::ops::Range<usize>>, error: &RpcError) {
    let mut body = Vec::new();
    match id.and_then(|id| doc.get(id)) {
        Some(id) => rpc::write_error(&mut body, Some(id), error),
        None => rpc::write_error_without_id(&mut body, error),
    }
    let last = Final { status: error.status(), session: None, body, error: error.message.to_string() };
    drop(asking.reply.send(Reply::Final(Box::new(last))).await);
}

async fn modern_post(hub: &Rc<Hub>, asking: Asking, question: Question) {
    if let Err(error) =
        headers::check(&question.doc, &question.read, &question.params, &asking.facts.standard())
    {
        let about = About { method: question.method.name(), ..About::default() };
        drop(asking.reply.send(Reply::About(Box::new(about))).await);
        return answer_fault(&asking, &question.doc, question.read.id.clone(), &error).await;
    }
    if question.read.kind != Kind::Request {
        // Nothing that a modern caller could say over HTTP without being asked has a meaning.
        return drop(asking.reply.send(Reply::Accepted).await);
    }
    let id = question.at(question.read.id.as_ref()).unwrap_or_default().to_vec();
    let meta = question.params.meta.as_ref();
    let capabilities = question.at(meta.and_then(|meta| meta.client_capabilities.as_ref())).unwrap_or(b"{}");
    let level = question.text(meta.and_then(|meta| meta.log_level.as_ref()));
    let info = question.at(meta.and_then(|meta| meta.client_info.as_ref()));
    let caller = Caller {
        principal: Arc::clone(&asking.principal),
        version: Version::V2026_07_28,
        scope: asking.scope.clone(),
        session: None,
        capabilities: capabilities.into(),
        can_ask: asking.facts.can_ask,
        client: asking.facts.client.or_of_info(info),
        log_level: level.and_then(|level| Level::parse(&level)),
    };
    let progress = question.at(meta.and_then(|meta| meta.progress_token.as_ref())).map(<[u8]>::to_vec);
    let leg =
        Leg { reply: asking.reply.clone(), id, progress, sieve: None, trim: None, sought: String::new() };
    modern::take(hub, &caller, leg, question, &asking.facts.params).await;
}

/// Serves a batch, which only revision 2025-03-26 knows: each message by itself, all answers in one stream.
async fn batched(hub: &Rc<Hub>, asking: Asking, body: &[u8], parts: &[std::ops::Range<usize>]) {
    let Some(session) = session(hub, &asking).await else { return };
    if !session.version.has_batches() {
        let text = "batches exist in revision 2025-03-26 only";
        return asking.refuse(400, &RpcError::invalid_request(text)).await;
    }
    let odd = |part: &std::ops::Range<usize>| body.get(part.start) != Some(&b'{');
    if parts.iter().any(odd) {
        let text = "a batch consists of messages, each an object";
        return asking.refuse(400, &RpcError::invalid_request(text)).await;
    }
    let (to, mut messages) = channel(limits::MCP_MESSAGES_MAX);
    for part in parts {
        let (reply, replies) = channel(limits::MCP_MESSAGES_MAX);
        let (noting, principal, to) = (Rc::clone(hub), Arc::clone(&asking.principal), to.clone());
        drop(spawn_local(async move { noted::pass_on(&noting, &principal, replies, &to).await }));
        let part = body.get(part.clone()).unwrap_or_default().to_vec();
        let asking = Asking {
            principal: Arc::clone(&asking.principal),
            scope: asking.scope.clone(),
            facts: HeadFacts {
                session: asking.facts.session.clone(),
                can_ask: asking.facts.can_ask,
                client: asking.facts.client,
                ..HeadFacts::default()
            },
            reply,
        };
        let hub = Rc::clone(hub);
        drop(spawn_local(async move { Box::pin(post(&hub, asking, part)).await }));
    }
    drop(to);
    let mut opened = false;
    while let Some(message) = messages.recv().await {
        opened = true;
        drop(asking.reply.send(Reply::Event(message)).await);
    }
    let last = if opened { Reply::End } else { Reply::Accepted };
    drop(asking.reply.send(last).await);
}
