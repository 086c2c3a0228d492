//! Messages of legacy callers: `initialize`, and everything inside the session that it opens.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::Notify;
use tokio::sync::mpsc::{Sender, channel};

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::{About, Final, Reply};
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::growth::Growth;
use crate::gateway::hub::listing::{self, Seen};
use crate::gateway::hub::post::Asking;
use crate::gateway::hub::session::Session;
use crate::gateway::hub::{doors, modern, noted, streams};
use crate::limits;
use crate::mcp::bridge::levels::Level;
use crate::mcp::message::{self, Kind};
use crate::mcp::method::Method;
use crate::mcp::rpc::{self, RpcError};
use crate::mcp::version::Version;

/// Opens a session.
pub(super) async fn initialize(hub: &Rc<Hub>, asking: Asking, question: Question) {
    let id = question.at(question.read.id.as_ref()).unwrap_or_default().to_vec();
    let leg = Leg {
        reply: asking.reply.clone(),
        id: id.clone(),
        progress: None,
        sieve: None,
        trim: None,
        sought: String::new(),
    };
    let capabilities = question.at(question.params.capabilities.as_ref()).unwrap_or(b"{}");
    if let Err(error) = small(&question) {
        let mut body = Vec::new();
        rpc::write_error(&mut body, Some(&id), &error);
        let last = Final { status: 200, session: None, body, error: error.message.to_string() };
        return drop(asking.reply.send(Reply::Final(Box::new(last))).await);
    }
    let asked = question.text(question.params.protocol_version.as_ref()).unwrap_or_default();
    // A version that nobody knows, or one that has no sessions, gets the newest that has.
    let version = Version::parse(&asked).filter(|version| !version.is_modern());
    let version = version.unwrap_or(Version::LATEST_LEGACY);
    let client_info = question.at(question.params.client_info.as_ref()).unwrap_or(b"{}");
    let session = Rc::new(Session {
        id: format!("{:016x}{:016x}", hub.random(), hub.random()),
        key_id: asking.principal.key_id.clone(),
        who: Arc::clone(&asking.principal),
        scope: asking.scope.clone(),
        version,
        capabilities: capabilities.to_vec(),
        client_info: client_info.to_vec(),
        log_level: Cell::new(None),
        heard: Cell::new(clock::now()),
        stream: RefCell::default(),
        one_stream: false,
        asked: RefCell::default(),
        calls: RefCell::default(),
        subscribed: RefCell::default(),
        marks: RefCell::default(),
        growth: Growth::of(client_info),
        texts: Rc::default(),
    });
    let caller = caller(&asking, &session);
    leg.about(About { method: "initialize", version: version.as_str(), ..About::default() }).await;
    let scope = asking.scope.as_ref();
    let patience = listing::patience(scope, false);
    let Some(seen) = listing::seen(hub, &caller, scope, patience).await else {
        return leg.refuse(&caller, &modern::unknown_server(hub, &caller)).await;
    };
    if !hub.sessions.open(Rc::clone(&session)) {
        let text = "too many sessions are open; end some with DELETE, or wait until they expire";
        return leg.refuse(&caller, &RpcError::overloaded(text)).await;
    }
    let result = seen.initialize_result(version);
    let mut body = Vec::new();
    rpc::write_result(&mut body, &id, &result);
    let last = Final { status: 200, session: Some(session.id.clone()), body, error: String::new() };
    drop(asking.reply.send(Reply::Final(Box::new(last))).await);
}

/// Checks what a session would keep of its caller's words.
fn small(question: &Question) -> Result<(), RpcError> {
    for place in [&question.params.capabilities, &question.params.client_info] {
        if place.as_ref().is_some_and(|place| place.len() > limits::MCP_CLIENT_FACTS_BYTES_MAX) {
            return Err(RpcError::invalid_params("capabilities or clientInfo are too large"));
        }
    }
    Ok(())
}

fn caller(asking: &Asking, session: &Rc<Session>) -> Caller {
    Caller {
        principal: Arc::clone(&asking.principal),
        version: session.version,
        can_ask: asking.facts.can_ask,
        client: asking.facts.client.or_of_info(Some(&session.client_info)),
        scope: session.scope.clone(),
        session: Some(Rc::clone(session)),
        capabilities: session.capabilities.as_slice().into(),
        log_level: session.log_level.get(),
    }
}

/// Takes one message inside a session.
pub(super) async fn take(hub: &Rc<Hub>, asking: Asking, session: Rc<Session>, question: Question) {
    let accept = |reply: Sender<Reply>| async move { drop(reply.send(Reply::Accepted).await) };
    match question.read.kind {
        Kind::Result | Kind::Error => {
            let id = question.at(question.read.id.as_ref()).and_then(|id| str::from_utf8(id).ok());
            if let Some(id) = id.and_then(|id| id.parse().ok()) {
                session.answer(id, question.doc);
            }
            accept(asking.reply).await;
        }
        Kind::Notification => {
            if question.method == Method::Cancelled
                && let Some(id) = question.at(question.params.request_id.as_ref())
                && let Some(call) = session.calls.borrow().get(id)
            {
                call.notify_one();
            }
            accept(asking.reply).await;
        }
        Kind::Request => request(hub, asking, session, question).await,
    }
}

async fn request(hub: &Rc<Hub>, asking: Asking, session: Rc<Session>, question: Question) {
    let caller = caller(&asking, &session);
    let id = question.at(question.read.id.as_ref()).unwrap_or_default().to_vec();
    let meta = question.params.meta.as_ref();
    let progress = question.at(meta.and_then(|meta| meta.progress_token.as_ref())).map(<[u8]>::to_vec);
    let leg = Leg {
        reply: asking.reply.clone(),
        id: id.clone(),
        progress,
        sieve: None,
        trim: None,
        sought: String::new(),
    };
    let about =
        About { method: question.method.name(), version: session.version.as_str(), ..About::default() };
    match question.method {
        Method::Ping => {
            leg.about(about).await;
            leg.result(b"{}").await;
        }
        Method::SetLevel => {
            leg.about(about).await;
            let level = question.text(question.params.level.as_ref());
            match level.and_then(|level| Level::parse(&level)) {
                Some(level) => {
                    session.log_level.set(Some(level));
                    leg.result(b"{}").await;
                }
                None => leg.refuse(&caller, &RpcError::invalid_params("this level does not exist")).await,
            }
        }
        Method::Initialize => {
            let error = RpcError::invalid_request("this session has been initialized already");
            leg.refuse(&caller, &error).await;
        }
        method if !method.is_client_request(session.version) => {
            leg.about(about).await;
            let name = question.text(question.read.method_span.as_ref()).unwrap_or_default();
            leg.refuse(&caller, &RpcError::method_not_found(&name)).await;
        }
        _ => {
            let scope = caller.scope.as_ref();
            let patience = listing::patience(scope, false);
            let Some(seen) = listing::seen(hub, &caller, scope, patience).await else {
                return leg.refuse(&caller, &modern::unknown_server(hub, &caller)).await;
            };
            match question.method {
                Method::ToolsList
                | Method::PromptsList
                | Method::ResourcesList
                | Method::ResourcesTemplatesList => {
                    modern::list(hub, &caller, &leg, (&question, about), &seen).await;
                }
                Method::ResourcesSubscribe | Method::ResourcesUnsubscribe => {
                    leg.about(about).await;
                    subscribe(hub, &caller, &session, &leg, &question, &seen).await;
                }
                _ => {
                    let cancelled = Rc::new(Notify::new());
                    let _known = Known::new(&session, id.clone(), &cancelled);
                    doors::call(hub, &caller, leg, question, &seen, cancelled).await;
                }
            }
        }
    }
}

/// A call that its caller can cancel, for as long as it runs.
struct Known<'s> {
    session: &'s Session,
    id: Vec<u8>,
    cancelled: Rc<Notify>,
}

impl<'s> Known<'s> {
    fn new(session: &'s Session, id: Vec<u8>, cancelled: &Rc<Notify>) -> Self {
        session.calls.borrow_mut().insert(id.clone(), Rc::clone(cancelled));
        Self { session, id, cancelled: Rc::clone(cancelled) }
    }
}

impl Drop for Known<'_> {
    fn drop(&mut self) {
        let mut calls = self.session.calls.borrow_mut();
        // A caller that gives two calls one id can cancel the later one.
        if calls.get(&self.id).is_some_and(|known| Rc::ptr_eq(known, &self.cancelled)) {
            calls.remove(&self.id);
        }
        self.session.heard.set(clock::now());
    }
}

async fn subscribe(
    hub: &Rc<Hub>,
    caller: &Caller,
    session: &Session,
    leg: &Leg,
    question: &Question,
    seen: &Seen,
) {
    let uri = question.text(question.params.uri.as_ref()).unwrap_or_default();
    let Some(peer) = seen.view.route(&uri).and_then(|route| seen.peer(route.server)) else {
        return leg.refuse(caller, &RpcError::resource_not_found(&uri)).await;
    };
    let more = question.method == Method::ResourcesSubscribe;
    let key = (peer.server.name.clone(), uri.clone());
    if more && session.subscribed.borrow().len() >= limits::MCP_WATCHED_MAX {
        let error = RpcError::overloaded("too many subscriptions; end some first");
        return leg.refuse(caller, &error).await;
    }
    let changed = {
        let mut subscribed = session.subscribed.borrow_mut();
        if more { subscribed.insert(key) } else { subscribed.remove(&key) }
    };
    if changed {
        streams::change_watch(hub, &peer.server.name, &uri, more).await;
    }
    leg.result(b"{}").await;
}

/// Opens the stream of HTTP+SSE: it says where to post, and everything comes back on it.
pub(super) async fn open_sse(hub: &Rc<Hub>, asking: Asking, path: &str) {
    let session = Rc::new(Session {
        id: format!("{:016x}{:016x}", hub.random(), hub.random()),
        key_id: asking.principal.key_id.clone(),
        who: Arc::clone(&asking.principal),
        scope: asking.scope.clone(),
        version: Version::V2024_11_05,
        capabilities: b"{}".to_vec(),
        client_info: b"{}".to_vec(),
        log_level: Cell::new(None),
        heard: Cell::new(clock::now()),
        stream: RefCell::new(Some(asking.reply.clone())),
        one_stream: true,
        asked: RefCell::default(),
        calls: RefCell::default(),
        subscribed: RefCell::default(),
        marks: RefCell::default(),
        growth: Growth::default(),
        texts: Rc::default(),
    });
    if !hub.sessions.open(Rc::clone(&session)) {
        let text = "too many sessions are open; wait until some expire";
        return asking.refuse(503, &RpcError::overloaded(text)).await;
    }
    let place = format!("{path}?sessionId={}", session.id).into_bytes();
    drop(asking.reply.send(Reply::Named("endpoint", place)).await);
    asking.reply.closed().await;
    hub.close_session(&session.id);
}

/// Takes a message of HTTP+SSE: 202 at once, the answer on the stream.
pub(super) async fn post_sse(hub: &Rc<Hub>, asking: Asking, session: Rc<Session>, body: Vec<u8>) {
    let read = message::read_with_params(&body).and_then(|(read, params)| Ok((read, params?)));
    let (read, params) = match read {
        Ok(read) => read,
        Err(fault) => return asking.refuse(400, &fault.rpc()).await,
    };
    drop(asking.reply.send(Reply::Accepted).await);
    let method = read.method;
    let question = Question { doc: body, read, params, method };
    let (reply, replies) = channel(limits::MCP_MESSAGES_MAX);
    let (to, mut messages) = channel(limits::MCP_MESSAGES_MAX);
    let principal = Arc::clone(&asking.principal);
    let inner = Asking { principal: asking.principal, scope: asking.scope, facts: asking.facts, reply };
    let serving = async {
        if method == Method::Initialize {
            return initialize_in_place(hub, &inner, &session, &question).await;
        }
        take(hub, inner, Rc::clone(&session), question).await;
    };
    let noting = async {
        noted::pass_on(hub, &principal, replies, &to).await;
        drop(to);
    };
    let telling = async {
        while let Some(message) = messages.recv().await {
            let stream = session.stream.borrow().clone();
            if let Some(stream) = stream {
                drop(stream.send(Reply::Event(message)).await);
            }
        }
    };
    tokio::join!(serving, noting, telling);
}

/// `initialize` where the session is the stream: what is agreed upon replaces the session under its id.
async fn initialize_in_place(hub: &Rc<Hub>, asking: &Asking, session: &Rc<Session>, question: &Question) {
    let id = question.at(question.read.id.as_ref()).unwrap_or_default().to_vec();
    let leg = Leg {
        reply: asking.reply.clone(),
        id,
        progress: None,
        sieve: None,
        trim: None,
        sought: String::new(),
    };
    if let Err(error) = small(question) {
        return leg.refuse(&caller(asking, session), &error).await;
    }
    let asked = question.text(question.params.protocol_version.as_ref()).unwrap_or_default();
    let version = Version::parse(&asked).filter(|version| !version.is_modern());
    let version = version.unwrap_or(Version::LATEST_LEGACY);
    let client_info = question.at(question.params.client_info.as_ref()).unwrap_or(b"{}");
    let agreed = Rc::new(Session {
        id: session.id.clone(),
        key_id: session.key_id.clone(),
        who: Arc::clone(&session.who),
        scope: session.scope.clone(),
        version,
        capabilities: question.at(question.params.capabilities.as_ref()).unwrap_or(b"{}").to_vec(),
        client_info: client_info.to_vec(),
        log_level: Cell::new(None),
        heard: Cell::new(clock::now()),
        stream: RefCell::new(session.stream.borrow().clone()),
        one_stream: true,
        asked: RefCell::default(),
        calls: RefCell::default(),
        subscribed: RefCell::default(),
        marks: RefCell::default(),
        growth: Growth::of(client_info),
        texts: Rc::default(),
    });
    let caller = caller(asking, &agreed);
    let scope = asking.scope.as_ref();
    let patience = listing::patience(scope, false);
    let Some(seen) = listing::seen(hub, &caller, scope, patience).await else {
        return leg.refuse(&caller, &modern::unknown_server(hub, &caller)).await;
    };
    hub.sessions.replace(agreed);
    leg.result(&seen.initialize_result(version)).await;
}
