//! What a server says without being asked: changes of its lists, of resources, and questions that came beside
//! the stream of the call that they belong to.

use std::rc::Rc;

use tokio::sync::mpsc::Receiver;
use tokio::task::spawn_local;
use tokio::time::sleep;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::channel::{self, Channel, Link};
use crate::gateway::hub::peer::{Lane, Opening, Peer};
use crate::gateway::hub::refresh;
use crate::gateway::hub::tasks;
use crate::gateway::log::Level;
use crate::mcp::bridge::opening::ServerCapabilities;
use crate::mcp::message::{self, Kind, Message};
use crate::mcp::method::Method;
use crate::mcp::rpc::{self, RpcError};
use crate::mcp::version::Version;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::backoff::Backoff;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// Which lists have changed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Changed {
    pub(super) tools: bool,
    pub(super) prompts: bool,
    pub(super) resources: bool,
}

impl Changed {
    /// What either says.
    pub(super) const fn or(self, other: Self) -> Self {
        Self {
            tools: self.tools || other.tools,
            prompts: self.prompts || other.prompts,
            resources: self.resources || other.resources,
        }
    }

    /// Whether anything has.
    pub(super) const fn any(self) -> bool {
        self.tools || self.prompts || self.resources
    }
}

/// Listens to a channel for as long as it lasts. Of a modern server only our `own` channel is listened to.
pub(super) fn follow(hub: &Rc<Hub>, peer: &Rc<Peer>, channel: &Rc<Channel>, own: bool) {
    let (hub, peer, channel) = (Rc::clone(hub), Rc::clone(peer), Rc::clone(channel));
    if own && !channel.version.is_modern() {
        drop(spawn_local(subscribe_all(Rc::clone(&hub), Rc::clone(&peer), Rc::clone(&channel))));
    }
    match &channel.link {
        Link::Pipe(link) => {
            if let Some(events) = link.events() {
                drop(spawn_local(follow_pipe(
                    Rc::clone(&hub),
                    Rc::clone(&peer),
                    Rc::clone(&channel),
                    events,
                    own,
                )));
            }
            if own && channel.version.is_modern() {
                drop(spawn_local(listen(hub, peer, channel)));
            }
        }
        Link::Http(_) if channel.version.is_modern() => {
            if own {
                drop(spawn_local(listen(hub, peer, channel)));
            }
        }
        Link::Http(_) => drop(spawn_local(get_stream(hub, peer, channel))),
    }
}

async fn follow_pipe(hub: Rc<Hub>, peer: Rc<Peer>, channel: Rc<Channel>, mut events: Messages, own: bool) {
    while let Some(incoming) = events.recv().await {
        if let Incoming::Message(doc) = incoming {
            take(&hub, &peer, &channel, doc).await;
        }
    }
    let expected = channel.closed.replace(true);
    if own && !expected && !peer.retired.get() {
        hub.log(Level::Warn, "the process of an MCP server has ended", |line| {
            line.text("server", peer.server.name.as_str())
        });
        hub.metrics.borrow_mut().mcp.restarted(&peer.server.name);
        peer.shelf.mark_stale("its process has ended");
        peer.rest_after_end(hub.random());
        refresh::schedule(&hub, &peer);
    }
}

/// The stream of a legacy session over HTTP. A server that has none answers 405.
async fn get_stream(hub: Rc<Hub>, peer: Rc<Peer>, channel: Rc<Channel>) {
    let Link::Http(link) = &channel.link else { return };
    let mut backoff = Backoff::default();
    let (mut last_event_id, mut again) = (None, false);
    while !channel.closed.get() && !peer.retired.get() {
        let mut messages =
            link.listen(&PlacedPermit::own(), channel.headers("", None), last_event_id.clone());
        while let Some(incoming) = messages.recv().await {
            match incoming {
                Incoming::Message(doc) => {
                    backoff.started(clock::now());
                    take(&hub, &peer, &channel, doc).await;
                }
                Incoming::Head { status: 200..=299, .. } => {
                    channel.listening.notify_one();
                    backoff.started(clock::now());
                    // What changed while nobody listened has not been heard of.
                    if std::mem::replace(&mut again, true) {
                        refresh::schedule(&hub, &peer);
                    }
                }
                Incoming::EventId(id) => last_event_id = Some(id).filter(|id| !id.is_empty()),
                Incoming::Retry(_) | Incoming::TooLarge(_) => {}
                Incoming::Failed(Failure::Status { status: 404, .. }) if channel.session.is_some() => {
                    channel.closed.set(true);
                    return refresh::schedule(&hub, &peer);
                }
                Incoming::Failed(Failure::Status { status: 400 | 404 | 405 | 406 | 501, .. }) => {
                    return channel.listening.notify_one();
                }
                Incoming::Failed(_) | Incoming::Head { .. } => channel.listening.notify_one(),
            }
        }
        sleep(backoff.failed(clock::now(), hub.random())).await;
    }
}

/// The stream of changes of a modern server. It is opened anew when it ends, and what may have been missed is
/// listed anew; when other resources are watched, it is replaced.
async fn listen(hub: Rc<Hub>, peer: Rc<Peer>, channel: Rc<Channel>) {
    let mut backoff = Backoff::default();
    let mut first = true;
    while channel.is_open() && !peer.retired.get() {
        let watched: Vec<String> = peer.watched.borrow().keys().cloned().collect();
        let Some(params) = listen_params(&channel.facts.capabilities, &watched) else {
            // Nothing to hear of yet.
            peer.watching.notified().await;
            continue;
        };
        let id = hub.next_id();
        let mut body = Vec::with_capacity(params.len() + 96);
        rpc::write_request(&mut body, id, "subscriptions/listen", Some(&params));
        let headers = channel.headers("subscriptions/listen", None);
        let out = Outbound { id, body, headers, resumable: false };
        let mut messages = channel.link.subscribe(&PlacedPermit::own(), out);
        let again = loop {
            tokio::select! {
                incoming = messages.recv() => match incoming {
                    Some(Incoming::Message(doc)) => {
                        let read = message::read(&doc);
                        match read.map(|read| read.kind) {
                            Ok(Kind::Result) => break true,
                            Ok(Kind::Error) => return,
                            _ => {}
                        }
                        backoff.started(clock::now());
                        if !std::mem::take(&mut first) {
                            take(&hub, &peer, &channel, doc).await;
                        }
                    }
                    Some(Incoming::Failed(Failure::Status { status: 400 | 404 | 405 | 501, .. })) => return,
                    // A pipe lets no call be silent for ever.
                    Some(Incoming::Failed(Failure::TimedOut)) => break false,
                    Some(Incoming::Failed(_)) | None => break true,
                    Some(_) => {}
                },
                () = peer.watching.notified() => break false,
            }
        };
        drop(messages);
        if again {
            sleep(backoff.failed(clock::now(), hub.random())).await;
            refresh::schedule(&hub, &peer);
        }
    }
}

/// What we want to hear of from a modern server; `None` when it tells of nothing.
fn listen_params(can: &ServerCapabilities, watched: &[String]) -> Option<Vec<u8>> {
    let mut wanted = Vec::new();
    for (has, name) in [
        (can.tools_changed, "toolsListChanged"),
        (can.prompts_changed, "promptsListChanged"),
        (can.resources_changed, "resourcesListChanged"),
    ] {
        if has {
            wanted.push(format!("\"{name}\":true"));
        }
    }
    if can.subscribe && !watched.is_empty() {
        let uris = serde_json::to_string(watched).unwrap_or_default();
        wanted.push(format!("\"resourceSubscriptions\":{uris}"));
    }
    if wanted.is_empty() {
        return None;
    }
    let members = format!("\"notifications\":{{{}}}", wanted.join(","));
    Some(channel::own_params(Version::V2026_07_28, &members))
}

/// Takes one unsolicited message.
pub(super) async fn take(hub: &Rc<Hub>, peer: &Rc<Peer>, channel: &Rc<Channel>, doc: Vec<u8>) {
    let Ok(read) = message::read(&doc) else { return };
    match read.kind {
        Kind::Request => asked(hub, channel, &doc, &read).await,
        Kind::Notification => match read.method {
            Method::ToolsListChanged => said(hub, peer, |said| said.tools = true),
            Method::PromptsListChanged => said(hub, peer, |said| said.prompts = true),
            Method::ResourcesListChanged => said(hub, peer, |said| said.resources = true),
            Method::ResourceUpdated => {
                if let Ok(params) = message::params(&doc, &read)
                    && let Some(uri) = params.uri.and_then(|uri| message::text(&doc, uri))
                {
                    hub.resource_updated(peer, &uri);
                }
            }
            Method::TasksStatus => tasks::changed(channel, &doc, &read),
            // Of a task whose call has been answered already, so that the progress belongs to no stream.
            Method::Progress => {
                let token = message::params(&doc, &read).ok().and_then(|params| params.progress_token);
                let token = token.and_then(|place| str::from_utf8(doc.get(place)?).ok()?.parse().ok());
                let call = token.and_then(|token: u64| channel.in_flight.borrow().get(&token).cloned());
                if let Some(call) = call {
                    drop(call.asks.try_send(doc));
                }
            }
            Method::Message => {
                if let Some(alone) = channel.only_caller().filter(|_| channel.in_flight.borrow().len() == 1) {
                    drop(alone.asks.try_send(doc));
                }
            }
            _ => {}
        },
        Kind::Result | Kind::Error => {}
    }
}

/// A server says that a list has changed: it is listed anew, and callers are told even if we see no
/// difference.
fn said(hub: &Rc<Hub>, peer: &Rc<Peer>, what: impl FnOnce(&mut Changed)) {
    let mut said = peer.shelf.said.get();
    what(&mut said);
    peer.shelf.said.set(said);
    refresh::schedule(hub, peer);
}

/// A request of the server that came on no call's stream: it goes to the calls' one caller, or is refused.
async fn asked(hub: &Hub, channel: &Channel, doc: &[u8], read: &Message) {
    let id = read.id.clone().and_then(|id| doc.get(id)).unwrap_or_default();
    let mut body = Vec::new();
    match read.method {
        Method::Ping => rpc::write_result(&mut body, id, b"{}"),
        Method::Elicit | Method::CreateMessage | Method::ListRoots => match channel.only_caller() {
            Some(call) if call.asks.try_send(doc.to_vec()).is_ok() => return,
            _ => {
                let why = "nobody can be asked: no call, or calls of several callers, are under way";
                rpc::write_error(&mut body, Some(id), &RpcError::invalid_request(why));
            }
        },
        _ => rpc::write_error(&mut body, Some(id), &RpcError::method_not_found(read.method.name())),
    }
    let _ = hub;
    channel.tell(&PlacedPermit::own(), body, "").await;
}

/// Tells the server that what it has asked of a call that has ended, and what nobody has read since, gets no
/// answer; from here on nothing more is taken for that call.
pub(super) async fn refuse_unread(channel: &Channel, permit: &PlacedPermit, asks: &mut Receiver<Vec<u8>>) {
    asks.close();
    while let Ok(doc) = asks.try_recv() {
        let Ok(read) = message::read(&doc) else { continue };
        if read.kind == Kind::Request {
            let id = read.id.clone().and_then(|id| doc.get(id)).unwrap_or_default();
            let mut body = Vec::new();
            match read.method {
                Method::Ping => rpc::write_result(&mut body, id, b"{}"),
                _ => rpc::write_error(&mut body, Some(id), &RpcError::invalid_request(ENDED)),
            }
            channel.tell(permit, body, "").await;
        }
    }
}

/// Why what a server has asked in the middle of a call is not answered.
pub(super) const ENDED: &str = "the call in which this was asked has ended";

/// Counts one more, or one less, who wants to hear of changes of a resource, and tells the server when that
/// makes a difference. What is wanted is told anew to every conversation that begins.
pub(super) async fn watch(hub: &Rc<Hub>, peer: &Rc<Peer>, uri: &str, more: bool) {
    {
        let mut watched = peer.watched.borrow_mut();
        let before = watched.get(uri).copied().unwrap_or_default();
        let after = if more { before + 1 } else { before.saturating_sub(1) };
        match after {
            0 => drop(watched.remove(uri)),
            _ => drop(watched.insert(uri.to_owned(), after)),
        }
        if (before == 0) == (after == 0) {
            return;
        }
    }
    let fresh = peer.own().is_none();
    let opening = Opening { lane: Lane::Own, capabilities: channel::ALL_CAPABILITIES };
    let Ok(channel) = peer.channel(hub, opening).await else { return };
    if channel.version.is_modern() {
        peer.watching.notify_one();
    } else if !fresh {
        subscribe(hub, &channel, uri, more).await;
    }
}

/// Tells a legacy server to start or stop watching a resource.
async fn subscribe(hub: &Hub, channel: &Channel, uri: &str, more: bool) {
    let method = if more { "resources/subscribe" } else { "resources/unsubscribe" };
    let mut params = b"{\"uri\":".to_vec();
    crate::json::write_string(&mut params, uri);
    params.push(b'}');
    let lines = channel.headers(method, None);
    let permit = PlacedPermit::own();
    let asked = channel::request(&channel.link, &permit, hub.next_id(), lines, (method, &params));
    if let Err(why) = asked.await {
        hub.log(Level::Info, "a server does not watch a resource", |line| {
            line.text("uri", uri).text("error", &why.to_string())
        });
    }
}

/// Tells a legacy server's new conversation what is watched.
async fn subscribe_all(hub: Rc<Hub>, peer: Rc<Peer>, channel: Rc<Channel>) {
    let watched: Vec<String> = peer.watched.borrow().keys().cloned().collect();
    for uri in watched {
        subscribe(&hub, &channel, &uri, true).await;
    }
}
