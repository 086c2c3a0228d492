//! What a core serves of MCP by itself: lists from a finished view, and calls of modern callers to modern
//! servers, which need nothing that outlives them. Everything else, and everything odd, is the hub's.

use std::ops::Range;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;

use bytes::Bytes;

use crate::clock;
use crate::config::snapshot::Snapshot;
use crate::gateway::charge::Called;
use crate::gateway::guard::{self, Arguments};
use crate::gateway::hub::ask::{About, Charged, Final, HeadFacts, Reply};
use crate::gateway::hub::failures;
use crate::gateway::showcase::{self, Shown, Way};
use crate::gateway::sieve::Sieve;
use crate::gateway::trim::Trim;
use crate::gateway::worker::Worker;
use crate::identity::principal::Principal;
use crate::ids::ServerName;
use crate::json;
use crate::mcp::bridge::capabilities::TASKS_EXTENSION;
use crate::mcp::bridge::errors;
use crate::mcp::bridge::levels::Level;
use crate::mcp::definition::ItemKind;
use crate::mcp::edit::{Change, Edits};
use crate::mcp::fault::Fault;
use crate::mcp::headers;
use crate::mcp::message::{self, Kind, Message, Params};
use crate::mcp::method::Method;
use crate::mcp::mirror;
use crate::mcp::repeat::{self, Turn};
use crate::mcp::rpc;
use crate::mcp::version::Version;
use crate::mcp::view::{Entry, Reader};
use crate::meter::rate::Pass;
use crate::policy::decide::ToolCall;
use crate::policy::guards::Guarding;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::http::HttpLink;
use crate::upstream::mcp::server::Transport;
use crate::upstream::mcp::{Failure, Incoming, Messages, Outbound};

/// What becomes of a message.
pub(super) enum Lane<'w> {
    /// The hub has to see it; what it is about, as far as that can be told and the ledger wants to know.
    Hub(Option<Box<About>>),
    /// A list that is there: the caller's id and the result.
    List(Box<About>, Vec<u8>, Bytes),
    /// A call that is under way.
    Call(Box<About>, Box<Call<'w>>),
}

/// A caller's message with what is known of it.
pub(super) struct Post<'a> {
    pub(super) snapshot: &'a Snapshot,
    pub(super) principal: &'a Principal,
    pub(super) scope: Option<&'a ServerName>,
    pub(super) facts: &'a HeadFacts,
    pub(super) body: &'a [u8],
}

/// Finds the lane of a message, and begins its call when this core makes it.
pub(super) fn lane<'w>(worker: &'w Worker, post: &Post<'_>) -> Lane<'w> {
    let Ok((read, params)) = message::read_with_params(post.body) else { return Lane::Hub(None) };
    if read.kind != Kind::Request {
        return Lane::Hub(None);
    }
    let Ok(params) = params else { return Lane::Hub(None) };
    let about = |params: &Params| Some(Box::new(about(post.body, &read, params)?));
    lane_of(worker, post, &read, &params).unwrap_or_else(|| Lane::Hub(about(&params)))
}

/// What a message is about by its own words, when it is one of those that the ledger has.
fn about(doc: &[u8], read: &Message, params: &Params) -> Option<About> {
    let name = match read.method {
        Method::ToolsCall | Method::PromptsGet => params.name.clone(),
        Method::ResourcesRead => params.uri.clone(),
        _ => return None,
    };
    let text = |place: Option<Range<usize>>| {
        place.and_then(|place| message::text(doc, place)).unwrap_or_default().into_owned()
    };
    let tool_use_id = params.meta.as_ref().and_then(|meta| meta.tool_use_id.clone());
    let (name, tool_use_id) = (text(name), text(tool_use_id));
    Some(About { method: read.method.name(), name, tool_use_id, ..About::default() })
}

fn lane_of<'w>(worker: &'w Worker, post: &Post<'_>, read: &Message, params: &Params) -> Option<Lane<'w>> {
    let list = match read.method {
        Method::ToolsList => Some(ItemKind::Tool),
        Method::PromptsList => Some(ItemKind::Prompt),
        Method::ResourcesList => Some(ItemKind::Resource),
        Method::ResourcesTemplatesList => Some(ItemKind::Template),
        Method::ToolsCall => None,
        _ => return None,
    };
    let standard = post.facts.standard();
    if !headers::is_modern(read, params, &standard) {
        return None;
    }
    headers::check(post.body, read, params, &standard).ok()?;
    let info = params.meta.as_ref().and_then(|meta| post.body.get(meta.client_info.clone()?));
    let client = post.facts.client.or_of_info(info);
    let shown = worker.shown.find(
        &worker.showcase,
        (post.principal, client.suit()),
        post.scope,
        || showcase::whose(post.snapshot, post.principal, client.suit()),
        (&post.snapshot.version, clock::now()),
    )?;
    let id = post.body.get(read.id.clone()?)?;
    let mut about =
        About { method: read.method.name(), version: Version::V2026_07_28.as_str(), ..About::default() };
    if let Some(kind) = list {
        let cursor = params.cursor.clone().and_then(|cursor| message::text(post.body, cursor));
        let page = shown.view.page(kind, Reader::Modern, cursor.as_deref())?;
        if kind == ItemKind::Tool {
            let marked = &worker.showcase.marked;
            marked.listed(post.principal, post.scope, &shown.view, cursor.is_none());
            about.note_list(post.scope, cursor.is_none(), shown.written);
        }
        return Some(Lane::List(Box::new(about), id.to_vec(), page.clone()));
    }
    begin(worker, post, &shown, (read, params), about)
}

/// Begins a call, unless something about it is the hub's.
fn begin<'w>(
    worker: &'w Worker,
    post: &Post<'_>,
    shown: &Shown,
    (read, params): (&Message, &Params),
    mut about: About,
) -> Option<Lane<'w>> {
    let doc = post.body;
    let name = message::text(doc, params.name.clone()?).filter(|name| shown.view.door(name).is_none())?;
    // What is held is refused by the hub, which says why.
    let entry = shown.view.find(ItemKind::Tool, &name).filter(|entry| entry.held.is_none())?;
    let way = shown.ways.get(entry.server).filter(|way| way.direct)?;
    let meta = params.meta.as_ref()?;
    let declared = doc.get(meta.client_capabilities.clone()?)?;
    // A task's id would have to be made ours.
    let tasks = memchr::memmem::find(declared, TASKS_EXTENSION.as_bytes()).is_some();
    if params.task.is_some() || tasks {
        return None;
    }
    let tool = &entry.definition;
    let arguments = params.arguments.clone().and_then(|place| doc.get(place));
    if !tool.param_headers().is_empty() {
        let given = post.facts.params.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
        mirror::check(tool.param_headers(), arguments, &given).ok()?;
    }
    let server = &way.server.name;
    let (permit, decision) = permitted(worker, post, way, entry)?;
    let guarding = post.snapshot.guards.of(post.principal.team.as_ref());
    about.marks = watched(post, guarding, (server, tool.key(), &name), arguments)?;
    let id = worker.next_message_id();
    let body = composed(doc, (read, params), entry, id).ok()?;
    let out = Outbound { id, body, headers: lines(entry, arguments)?, resumable: false };
    let tool_use_id = meta.tool_use_id.clone().and_then(|place| message::text(doc, place));
    let repeat = match &tool_use_id {
        Some(use_id) if params.request_state.is_none() => {
            let key = repeat::key([
                post.principal.key_id.as_bytes(),
                server.as_str().as_bytes(),
                tool.key().as_bytes(),
                arguments.unwrap_or_default(),
                use_id.as_bytes(),
            ]);
            match worker.repeats.begin(key, clock::now()) {
                Turn::First => Some(key),
                Turn::Unknown => None,
                // The hub waits for it, or tells it again.
                Turn::Running | Turn::Done(_) => return None,
            }
        }
        _ => None,
    };
    let called = Called { server: server.as_str(), tool: tool.key() };
    let (charged, pass) = charge(worker, post, &called, repeat)?;
    about.charged = charged;
    about.server = Some(server.clone());
    about.note_tool(entry);
    about.decision = decision;
    about.place = Some(Arc::clone(&way.server.place));
    tool.key().clone_into(&mut about.name);
    about.tool_use_id = tool_use_id.unwrap_or_default().into_owned();
    let level = meta.log_level.clone().and_then(|place| message::text(doc, place));
    let call = Call {
        worker,
        server: server.clone(),
        begin: Some((link(worker, way)?, out)),
        messages: None,
        id: doc.get(read.id.clone()?)?.to_vec(),
        progress: meta.progress_token.clone().and_then(|place| doc.get(place)).map(<[u8]>::to_vec),
        level: level.and_then(|level| Level::parse(&level)),
        status: 200,
        repeat,
        begun: clock::now(),
        ended: false,
        sieve: Sieve::new(guarding.results, true, true),
        trim: Trim::new(entry, server, &post.principal.key_id, &worker.showcase),
        next: None,
        permit,
        _pass: pass,
    };
    Some(Lane::Call(Box::new(about), Box::new(call)))
}

/// The permit for a call, and what was decided; nothing where the rules say no, which the hub tells.
fn permitted(worker: &Worker, post: &Post<'_>, way: &Way, entry: &Entry) -> Option<(PlacedPermit, String)> {
    let (rules, server) = (&post.snapshot.rules, &way.server.name);
    let tool = entry.definition.key();
    let asked = ToolCall { server, tool, class: entry.class, can_ask: post.facts.can_ask };
    let allowed = worker.decisions.decide_tool(rules, post.principal, &asked).ok()?;
    if allowed.asks() && !worker.showcase.marked.has(post.principal, post.scope, &entry.exposed) {
        return None;
    }
    let residency = rules.residency(post.principal);
    let permit = residency.place(&allowed, &way.server.place).ok()?;
    Some((permit, residency.decision(&allowed)))
}

/// What is to be said of the arguments; nothing where the call is denied or its arguments change, which is
/// the hub's to do.
fn watched(
    post: &Post<'_>,
    guarding: &Guarding,
    (server, tool, exposed): (&ServerName, &str, &str),
    arguments: Option<&[u8]>,
) -> Option<String> {
    if !guarding.inputs.is_empty() {
        let names = guard::names_of(post.snapshot, server.as_str(), tool, exposed);
        if guard::denied(guarding, &names, arguments).is_some() {
            return None;
        }
    }
    match guard::look(guarding.arguments, arguments.unwrap_or(b"{}")) {
        Arguments::Pass => Some(String::new()),
        Arguments::Mark(mark) => Some(mark),
        Arguments::Masked(..) | Arguments::Refuse(..) => None,
    }
}

/// Charges the call; nothing where a limit refuses it, and then the hub says so.
fn charge(
    worker: &Worker,
    post: &Post<'_>,
    called: &Called<'_>,
    repeat: Option<u128>,
) -> Option<(Charged, Option<Pass>)> {
    let charged = worker.meter.charge_tool(&post.snapshot.spending, post.principal, called);
    if charged.is_err()
        && let Some(key) = repeat
    {
        worker.repeats.settle(key, None, clock::now());
    }
    charged.ok()
}

/// The connection of this core to a server.
fn link(worker: &Worker, way: &Way) -> Option<Rc<HttpLink>> {
    let Transport::Http(remote) = &way.server.transport else { return None };
    let mut links = worker.links.borrow_mut();
    if let Some((server, link)) = links.get(&way.server.name)
        && Arc::ptr_eq(server, &way.server)
    {
        return Some(Rc::clone(link));
    }
    let timeouts = worker.snapshot().timeouts;
    let link = HttpLink::new(Rc::clone(&worker.pool), remote.clone(), timeouts, way.server.call_deadline);
    links.insert(way.server.name.clone(), (Arc::clone(&way.server), Rc::clone(&link)));
    Some(link)
}

/// The caller's message under our id and token, and the server's own name for the tool.
fn composed(
    doc: &[u8],
    (read, params): (&Message, &Params),
    entry: &Entry,
    id: u64,
) -> Result<Vec<u8>, Fault> {
    let number = id.to_string();
    let mut edits = Edits::new(doc);
    if let Some(place) = read.id.clone() {
        edits.replace(place, number.as_bytes())?;
    }
    if let Some(place) = params.meta.as_ref().and_then(|meta| meta.progress_token.clone()) {
        edits.replace(place, number.as_bytes())?;
    }
    if *entry.exposed != *entry.definition.key()
        && let Some(params) = read.params.clone()
    {
        let mut name = Vec::with_capacity(entry.definition.key().len() + 2);
        json::write_string(&mut name, entry.definition.key());
        edits.set(params, &[("name", Change::Put(&name))])?;
    }
    Ok(edits.finish())
}

/// The headers in which a modern request repeats parts of its body.
fn lines(entry: &Entry, arguments: Option<&[u8]>) -> Option<Vec<(String, String)>> {
    let tool = &entry.definition;
    let mut lines = vec![
        ("mcp-protocol-version".to_owned(), Version::V2026_07_28.as_str().to_owned()),
        ("mcp-method".to_owned(), Method::ToolsCall.name().to_owned()),
        ("mcp-name".to_owned(), mirror::encode_value(tool.key()).into_owned()),
    ];
    if !tool.param_headers().is_empty() {
        lines.extend(mirror::lines(tool.param_headers(), arguments).ok()?);
    }
    Some(lines)
}

/// A call that this core has made.
pub(super) struct Call<'w> {
    worker: &'w Worker,
    server: ServerName,
    /// What is to be sent, until the answer is first asked for: whoever makes the call notes it before.
    begin: Option<(Rc<HttpLink>, Outbound)>,
    messages: Option<Messages>,
    /// The caller's id, as written.
    id: Vec<u8>,
    /// The caller's progress token, as written.
    progress: Option<Vec<u8>>,
    /// From which level on it wants to hear log messages.
    level: Option<Level>,
    /// Status of the server's answer.
    status: u16,
    /// What to settle when it ends.
    repeat: Option<u128>,
    begun: Instant,
    ended: bool,
    /// What is done with what is found in what the server says.
    sieve: Option<Sieve>,
    /// What is done to its result, by order of the config.
    trim: Option<Trim>,
    /// What follows at once, when something has to be said before it.
    next: Option<Reply>,
    permit: PlacedPermit,
    /// As long as it is there, the call counts as under way.
    _pass: Option<Pass>,
}

impl Call<'_> {
    /// The next step of the answer; `None` after the last.
    pub(super) fn poll_reply(&mut self, cx: &mut Context<'_>) -> Poll<Option<Reply>> {
        if let Some(next) = self.next.take() {
            return Poll::Ready(Some(next));
        }
        if let Some((link, out)) = self.begin.take() {
            self.messages = Some(link.call(&self.permit, out));
        }
        while !self.ended {
            let Some(messages) = &mut self.messages else { break };
            let reply = match ready!(messages.poll_recv(cx)) {
                None => Some(self.failed(&Failure::Ended)),
                Some(Incoming::Failed(failure)) => Some(self.failed(&failure)),
                Some(Incoming::Head { status, .. }) => {
                    self.status = status;
                    None
                }
                Some(Incoming::Message(doc)) => self.message(&doc),
                Some(Incoming::EventId(_) | Incoming::Retry(_) | Incoming::TooLarge(_)) => None,
            };
            if reply.is_some() {
                return Poll::Ready(reply);
            }
        }
        Poll::Ready(None)
    }

    fn message(&mut self, doc: &[u8]) -> Option<Reply> {
        let Ok(read) = message::read(doc) else {
            return Some(self.failed(&Failure::Garbage("no JSON-RPC message".to_owned())));
        };
        match (read.kind, read.id.clone()) {
            (Kind::Result, Some(place)) => {
                let mut edits = Edits::new(doc);
                if edits.replace(place, &self.id).is_err() {
                    return Some(self.failed(&Failure::Garbage("an id inside of a result".to_owned())));
                }
                let body = edits.finish();
                let result = read.result.and_then(|place| doc.get(place)).unwrap_or_default();
                let (complete, is_error) = look(result);
                let outcome = if is_error { "tool_error" } else { "ok" };
                Some(self.last(200, body, failed(is_error), (outcome, complete)))
            }
            (Kind::Error, _) => Some(self.error(doc, &read)),
            (Kind::Notification, _) => self.notification(doc, &read),
            // No modern server asks in the middle of a call.
            (Kind::Request | Kind::Result, _) => None,
        }
    }

    fn error(&mut self, doc: &[u8], read: &Message) -> Reply {
        let raw = read.error.clone().and_then(|place| doc.get(place)).unwrap_or_default();
        let Ok(error) = errors::error_between_modern(raw, Method::ToolsCall.name()) else {
            return self.failed(&Failure::Garbage("an error that is no error object".to_owned()));
        };
        let code = errors::error_code(&error).unwrap_or_default();
        let mut body = Vec::with_capacity(error.len() + 64);
        failures::write_raw_error(&mut body, &self.id, &error);
        let status = match self.status {
            passed @ (400 | 404) => passed,
            _ => failures::status_of(code),
        };
        self.last(status, body, format!("the server answered with error {code}"), ("error", false))
    }

    /// The response as it leaves, with the end of the call: what it is in the counters, and whether the
    /// response is kept for who asks again.
    fn last(
        &mut self,
        status: u16,
        body: Vec<u8>,
        error: String,
        (outcome, keep): (&'static str, bool),
    ) -> Reply {
        let mut last = Final { status, session: None, body, error };
        let mut mark = String::new();
        if let Some(sieve) = &self.sieve {
            (mark, last) = sieve.last(&self.id, last);
        }
        if let Some((trimmed, body)) = self.trim.as_ref().and_then(|trim| trim.last(&last)) {
            guard::add_mark(&mut mark, &trimmed);
            last.body = body;
        }
        self.end(outcome, keep.then(|| Bytes::copy_from_slice(&last.body)));
        let last = Reply::Final(Box::new(last));
        if mark.is_empty() {
            return last;
        }
        self.next = Some(last);
        Reply::Marks(mark)
    }

    fn notification(&mut self, doc: &[u8], read: &Message) -> Option<Reply> {
        let params = message::params(doc, read).ok()?;
        let message = match read.method {
            Method::Progress => {
                let mut edits = Edits::new(doc);
                edits.replace(params.progress_token?, self.progress.as_ref()?).ok()?;
                edits.finish()
            }
            Method::Message => {
                let level = message::text(doc, params.level?).and_then(|level| Level::parse(&level))?;
                level.reaches(self.level?).then(|| doc.to_vec())?
            }
            _ => return None,
        };
        let Some(sieve) = &self.sieve else { return Some(Reply::Event(message)) };
        let sifted = sieve.notification(message);
        let event = sifted.said.map(Reply::Event);
        if sifted.mark.is_empty() {
            return event;
        }
        self.next = event;
        Some(Reply::Marks(sifted.mark))
    }

    fn failed(&mut self, failure: &Failure) -> Reply {
        self.worker.metrics.borrow_mut().mcp.failed(&self.server, failures::name(failure));
        let error = failures::told(self.server.as_str(), failure);
        let mut body = Vec::with_capacity(256);
        rpc::write_error(&mut body, Some(&self.id), &error);
        self.last(failures::status_of(error.code), body, error.message.into_owned(), ("failed", false))
    }

    fn end(&mut self, outcome: &'static str, response: Option<Bytes>) {
        if std::mem::replace(&mut self.ended, true) {
            return;
        }
        let now = clock::now();
        if let Some(key) = self.repeat.take() {
            self.worker.repeats.settle(key, response, now);
        }
        let took = now.saturating_duration_since(self.begun);
        self.worker.metrics.borrow_mut().mcp.called(&self.server, outcome, took);
    }
}

/// A caller that hangs up has cancelled its call; the connection to the server closes with it.
impl Drop for Call<'_> {
    fn drop(&mut self) {
        self.end("cancelled", None);
    }
}

/// What the record says of a result, which may have `isError`.
pub(super) fn failed(is_error: bool) -> String {
    if is_error { "the tool says that it failed".to_owned() } else { String::new() }
}

/// Whether a result is the last word of its call, and whether it says that the tool failed.
fn look(result: &[u8]) -> (bool, bool) {
    let (mut complete, mut is_error) = (true, false);
    let read = json::fields(result, |field| {
        match field.key.raw {
            b"resultType" => complete = field.value.bytes(result) == b"\"complete\"",
            b"isError" => is_error = field.value.kind == json::Kind::True,
            _ => {}
        }
        Ok::<_, json::Fault>(())
    });
    (read.is_ok() && complete, is_error)
}
