//! Streams that callers hold open for news: `subscriptions/listen` of the modern era, the GET stream of a
//! legacy session, and the one stream of HTTP+SSE.

use std::cell::RefCell;
use std::collections::HashSet;
use std::rc::Rc;
use std::sync::Arc;

use tokio::sync::mpsc::Sender;
use tokio::task::spawn_local;

use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::{Final, Reply};
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::events::{self, Changed};
use crate::gateway::hub::listing::Seen;
use crate::gateway::hub::session::Session;
use crate::gateway::worker::Phase;
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::json;
use crate::limits;
use crate::mcp::message::SUBSCRIPTION_ID;
use crate::mcp::rpc::{self, RpcError};

const TOOLS_CHANGED: &str = "notifications/tools/list_changed";

/// What a modern caller wants to hear of.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct ListenFilter {
    tools: bool,
    prompts: bool,
    resource_list: bool,
    resources: Vec<String>,
}

impl ListenFilter {
    /// Reads `notifications` of a `subscriptions/listen`.
    ///
    /// # Errors
    /// -32602 when it is missing or not of its shape.
    pub(super) fn read(notifications: Option<&[u8]>) -> Result<Self, RpcError> {
        let wrong = || RpcError::invalid_params("params.notifications is missing or not a filter");
        let notifications = notifications.ok_or_else(wrong)?;
        let filter: serde_json::Value = serde_json::from_slice(notifications).map_err(|_why| wrong())?;
        let filter = filter.as_object().ok_or_else(wrong)?;
        let wants = |name: &str| filter.get(name).and_then(serde_json::Value::as_bool).unwrap_or_default();
        let uris = match filter.get("resourceSubscriptions") {
            None => Vec::new(),
            Some(uris) => uris.as_array().ok_or_else(wrong)?.clone(),
        };
        let uri = |uri: &serde_json::Value| uri.as_str().map(str::to_owned).ok_or_else(wrong);
        Ok(Self {
            tools: wants("toolsListChanged"),
            prompts: wants("promptsListChanged"),
            resource_list: wants("resourcesListChanged"),
            resources: uris.iter().take(limits::MCP_WATCHED_MAX).map(uri).collect::<Result<_, _>>()?,
        })
    }

    /// `params` of the first message: what will be told of, tagged with the request's id.
    fn acknowledgement(&self, id: &[u8]) -> Vec<u8> {
        let mut parts = Vec::new();
        for (has, name) in [
            (self.tools, "toolsListChanged"),
            (self.prompts, "promptsListChanged"),
            (self.resource_list, "resourcesListChanged"),
        ] {
            if has {
                parts.push(format!("\"{name}\":true"));
            }
        }
        if !self.resources.is_empty() {
            let uris = serde_json::to_string(&self.resources).unwrap_or_default();
            parts.push(format!("\"resourceSubscriptions\":{uris}"));
        }
        let mut params = format!("{{\"_meta\":{{\"{SUBSCRIPTION_ID}\":").into_bytes();
        params.extend_from_slice(id);
        params.extend_from_slice(format!("}},\"notifications\":{{{}}}}}", parts.join(",")).as_bytes());
        params
    }
}

/// A modern caller's stream.
pub(super) struct Listener {
    /// The id of its request, as written: what every message on it is tagged with.
    id: Vec<u8>,
    key_id: Arc<str>,
    pub(super) who: Arc<Principal>,
    pub(super) scope: Option<ServerName>,
    filter: ListenFilter,
    reply: Sender<Reply>,
    /// Which server each watched resource belongs to.
    pub(super) watched: HashSet<(ServerName, String)>,
}

/// All of them.
#[derive(Default)]
pub(super) struct Listeners(RefCell<Vec<Rc<Listener>>>);

impl Listeners {
    /// Forgets those whose callers have left.
    pub(super) fn reap(&self) {
        self.0.borrow_mut().retain(|listener| !listener.reply.is_closed());
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Ends those that do not stay, as they should end.
    pub(super) fn keep(&self, stays: impl Fn(&Listener) -> bool) {
        let mut gone = Vec::new();
        self.0.borrow_mut().retain(|listener| {
            let stays = stays(listener);
            if !stays {
                gone.push(Rc::clone(listener));
            }
            stays
        });
        gone.iter().for_each(|listener| listener.finish());
    }
}

impl Listener {
    /// Tells it something; a listener that does not read loses it and, being full, is cut by its core.
    fn tell(&self, method: &str, uri: Option<&str>) {
        let mut params = b"{\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":".to_vec();
        params.extend_from_slice(&self.id);
        params.push(b'}');
        if let Some(uri) = uri {
            params.extend_from_slice(b",\"uri\":");
            json::write_string(&mut params, uri);
        }
        params.push(b'}');
        let mut body = Vec::new();
        rpc::write_notification(&mut body, method, Some(&params));
        drop(self.reply.try_send(Reply::Event(body)));
    }

    /// Ends it by its response.
    fn finish(&self) {
        let mut result =
            b"{\"resultType\":\"complete\",\"_meta\":{\"io.modelcontextprotocol/subscriptionId\":".to_vec();
        result.extend_from_slice(&self.id);
        result.extend_from_slice(b"}}");
        let mut body = Vec::new();
        rpc::write_result(&mut body, &self.id, &result);
        let last = Final { status: 200, session: None, body, error: String::new() };
        drop(self.reply.try_send(Reply::Final(Box::new(last))));
    }
}

/// Opens a modern caller's stream and holds it until the caller leaves.
pub(super) async fn listen(hub: &Rc<Hub>, caller: &Caller, leg: Leg, filter: ListenFilter, seen: &Rc<Seen>) {
    let config = hub.config_number();
    let key_id = caller.principal.key_id.clone();
    let own = hub.listeners.0.borrow().iter().filter(|other| other.key_id == key_id).count();
    if own >= limits::MCP_STREAMS_OF_KEY_MAX || hub.listeners.len() >= limits::MCP_STREAMS_MAX {
        let text = "too many open streams; close some first";
        return leg.refuse(caller, &RpcError::overloaded(text)).await;
    }
    let mut filter = filter;
    // Only what is there to be watched is promised.
    let mut watched = HashSet::new();
    filter.resources.retain(|uri| match seen.view.route(uri).and_then(|route| seen.peer(route.server)) {
        Some(peer) => watched.insert((peer.server.name.clone(), uri.clone())),
        None => false,
    });
    for (server, uri) in &watched {
        change_watch(hub, server, uri, true).await;
    }
    if hub.phase.get() != Phase::Running {
        return drop(leg.reply.send(Reply::End).await);
    }
    let mut acknowledged = Vec::new();
    let params = filter.acknowledgement(&leg.id);
    rpc::write_notification(&mut acknowledged, "notifications/subscriptions/acknowledged", Some(&params));
    leg.event(acknowledged).await;
    let listener = Rc::new(Listener {
        id: leg.id.clone(),
        key_id,
        who: Arc::clone(&caller.principal),
        scope: caller.scope.clone(),
        filter,
        reply: leg.reply.clone(),
        watched,
    });
    hub.listeners.0.borrow_mut().push(Rc::clone(&listener));
    if hub.config_number() != config {
        // While it began, rights may have gone: whoever still has them asks again.
        hub.listeners.keep(|other| !std::ptr::eq(other, &*listener));
    }
    // A task of its own: what has led here is large, and the stream may be idle for hours.
    drop(spawn_local(until_closed(Rc::clone(hub), listener)));
}

async fn until_closed(hub: Rc<Hub>, listener: Rc<Listener>) {
    listener.reply.closed().await;
    hub.listeners.0.borrow_mut().retain(|other| !Rc::ptr_eq(other, &listener));
    for (server, uri) in &listener.watched {
        change_watch(&hub, server, uri, false).await;
    }
}

/// Starts or stops watching a resource of a server for one caller.
pub(super) async fn change_watch(hub: &Rc<Hub>, server: &ServerName, uri: &str, more: bool) {
    // All callers share what our own conversation watches: what is told is the same for all of them.
    if let Some(peer) = hub.peer(server) {
        events::watch(hub, &peer, uri, more).await;
    }
}

/// Gives a legacy session its stream; one that it had before ends.
pub(super) async fn open(session: &Rc<Session>, reply: Sender<Reply>) {
    drop(reply.send(Reply::Open).await);
    let before = session.stream.borrow_mut().replace(reply.clone());
    if let Some(before) = before {
        drop(before.try_send(Reply::End));
    }
    reply.closed().await;
}

/// Tells all who listen that lists of a server have changed.
pub(super) fn tell_changed(hub: &Hub, server: &ServerName, changed: Changed) {
    tell_lists(hub, Some(server), changed);
}

/// Says that the list of tools is not what it was.
pub(super) fn tools_changed() -> Vec<u8> {
    let mut body = Vec::new();
    rpc::write_notification(&mut body, TOOLS_CHANGED, None);
    body
}

/// Tells one caller that its list of tools is not what it was.
pub(super) fn tell_one_changed(hub: &Hub, caller: &Caller) {
    if let Some(session) = &caller.session {
        // A session without a stream finds out when it lists.
        let _heard = session.tell(tools_changed());
        return;
    }
    let key_id = &caller.principal.key_id;
    let own = |listener: &&Rc<Listener>| listener.key_id == *key_id && listener.scope == caller.scope;
    for listener in hub.listeners.0.borrow().iter().filter(own).filter(|listener| listener.filter.tools) {
        listener.tell(TOOLS_CHANGED, None);
    }
}

/// Tells all who listen that servers came or went.
pub(super) fn tell_all_changed(hub: &Hub, changed: Changed) {
    tell_lists(hub, None, changed);
}

fn tell_lists(hub: &Hub, server: Option<&ServerName>, changed: Changed) {
    let concerns = |scope: &Option<ServerName>| match (scope, server) {
        (Some(scope), Some(server)) => scope == server,
        _ => true,
    };
    let kinds = [
        (changed.tools, TOOLS_CHANGED),
        (changed.prompts, "notifications/prompts/list_changed"),
        (changed.resources, "notifications/resources/list_changed"),
    ];
    for listener in hub.listeners.0.borrow().iter().filter(|listener| concerns(&listener.scope)) {
        let wanted = [listener.filter.tools, listener.filter.prompts, listener.filter.resource_list];
        for ((changed, method), wanted) in kinds.iter().zip(wanted) {
            if *changed && wanted {
                listener.tell(method, None);
            }
        }
    }
    for session in hub.sessions.all().iter().filter(|session| concerns(&session.scope)) {
        for (changed, method) in &kinds {
            if *changed {
                let mut body = Vec::new();
                rpc::write_notification(&mut body, method, None);
                session.tell(body);
            }
        }
    }
}

/// Tells all who watch a resource that it has changed.
pub(super) fn tell_updated(hub: &Hub, server: &ServerName, uri: &str) {
    let key = (server.clone(), uri.to_owned());
    for listener in hub.listeners.0.borrow().iter().filter(|listener| listener.watched.contains(&key)) {
        listener.tell("notifications/resources/updated", Some(uri));
    }
    for session in hub.sessions.watching(&key) {
        {
            let mut params = b"{\"uri\":".to_vec();
            json::write_string(&mut params, uri);
            params.push(b'}');
            let mut body = Vec::new();
            rpc::write_notification(&mut body, "notifications/resources/updated", Some(&params));
            session.tell(body);
        }
    }
}

/// Ends the streams of those who may not stay.
pub(super) fn end_revoked(hub: &Hub, stays: impl Fn(&Principal) -> bool) {
    hub.listeners.0.borrow_mut().retain(|listener| {
        let stays = stays(&listener.who);
        if !stays {
            drop(listener.reply.try_send(Reply::End));
        }
        stays
    });
}

/// Ends all streams as they should end: a modern one by its response, a legacy one by its end.
pub(super) fn end_all(hub: &Hub) {
    hub.listeners.keep(|_listener| false);
    for session in hub.sessions.all() {
        if let Some(stream) = session.stream.borrow_mut().take() {
            drop(stream.try_send(Reply::End));
        }
    }
}
