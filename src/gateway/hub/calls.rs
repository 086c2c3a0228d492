//! Leads a call to its server: by the table of names, with the permit of the rules, once for each tool use.

use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::Notify;
use tokio::time::sleep;

use crate::call::Class;
use crate::clock;
use crate::gateway::charge::Called;
use crate::gateway::hub::Hub;
use crate::gateway::hub::api;
use crate::gateway::hub::ask::About;
use crate::gateway::hub::cached::{self, Found};
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::compose::{Question, Target};
use crate::gateway::hub::held::AboutTask;
use crate::gateway::hub::listing::{self, Seen};
use crate::gateway::hub::park::{self, Resume, State};
use crate::gateway::hub::peer::Peer;
use crate::gateway::hub::run::{self, Ending, Run};
use crate::gateway::hub::streams;
use crate::gateway::hub::tasks;
use crate::gateway::hub::watch;
use crate::gateway::trim::Trim;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::definition::ItemKind;
use crate::mcp::edit::Edits;
use crate::mcp::lean::results::Origin;
use crate::mcp::message;
use crate::mcp::method::Method;
use crate::mcp::repeat::{self, Turn};
use crate::mcp::rpc::{self, RpcError};
use crate::mcp::view::Entry;
use crate::meter::rate::Pass;
use crate::policy::decide::{Denial, ToolCall};
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::server::Transport;

/// Serves a request that a server has to answer.
pub(super) async fn call(
    hub: &Rc<Hub>,
    caller: &Caller,
    mut leg: Leg,
    mut question: Question,
    seen: &Seen,
    cancelled: Rc<Notify>,
) {
    let begun = clock::now();
    let Some(_held) = Held::take(hub, &caller.principal.key_id, question.doc.len()) else {
        let text = "too many calls of your key are under way; wait for some to end";
        return leg.refuse(caller, &RpcError::overloaded(text)).await;
    };
    let mut about = About {
        method: question.method.name(),
        version: caller.version.as_str(),
        tool_use_id: tool_use_id(&question).unwrap_or_default(),
        ..About::default()
    };
    let (peer, target) = match resolve(hub, &question, caller, seen) {
        Ok(found) => found,
        Err(error) => {
            let denial = denial(hub, caller, (&question, seen), &mut about);
            if denial.is_none() && error.code == rpc::NOT_ALLOWED {
                note_unlisted(&question, seen, &error, &mut about);
            }
            leg.about(about).await;
            let error = denial.map_or(error, |denial| RpcError::not_allowed(denial.to_string()));
            return leg.refuse(caller, &error).await;
        }
    };
    about.server = Some(peer.server.name.clone());
    about.name.clone_from(&target.name);
    let entry = entry(&question, &target, &peer, seen);
    if let (Some(entry), Method::ToolsCall) = (entry, question.method) {
        about.note_tool(entry);
    }
    about.place = Some(Arc::clone(&peer.server.place));
    let permit = permit(hub, caller, (&peer, entry), &question, &target).and_then(|permitted| {
        let names = (&peer.server.name, &*target.name);
        let admitted = watch::admit(hub, caller, names, &mut question, &mut about.marks);
        admitted.map(|()| permitted).map_err(|error| {
            let text = error.message.to_string();
            (error, text)
        })
    });
    leg.sieve = watch::sieve(hub, caller, question.method);
    leg.trim = entry.and_then(|entry| trim(hub, caller, &peer, entry, &about.tool_use_id));
    about.decision = match &permit {
        Ok((_, decision)) | Err((_, decision)) => decision.clone(),
    };
    leg.about(about).await;
    let permit = match permit {
        Ok((permit, _)) => permit,
        Err((error, _)) => return leg.refuse(caller, &error).await,
    };
    if caller.version.is_modern()
        && peer.is_modern() == Some(false)
        && let Some(state) = question.text(question.params.request_state.as_ref())
    {
        match park::open(hub, caller, &question, &peer.server.name, &state) {
            Ok(State::Parked(handle)) => return resume(hub, caller, leg, &question, handle).await,
            Ok(State::Anew) => {}
            Err(error) => return leg.refuse(caller, &error).await,
        }
    }
    if caller.version.is_modern() && target.session.is_some() {
        let (peer, permit, target) = (&peer, &permit, &target);
        let about = AboutTask { hub, caller, question: &question, peer, permit, target };
        let ending = Box::pin(about.serve(leg)).await;
        return hub.metrics.borrow_mut().mcp.called(&peer.server.name, ending.name(), run::since(begun));
    }
    let (peer, permit, kept, lead) = (&peer, &permit, None, None);
    let run = Run { hub, peer, permit, caller, leg, target, question, cancelled, kept, lead };
    once(run, begun).await;
}

/// Notes which tool it was that waits for somebody's approval.
fn note_unlisted(question: &Question, seen: &Seen, error: &RpcError, about: &mut About) {
    about.decision = error.message.to_string();
    let name = question.text(question.params.name.as_ref()).unwrap_or_default();
    if let Some(unlisted) = seen.view.unlisted(&name) {
        about.server = seen.peer(unlisted.server).map(|peer| peer.server.name.clone());
        about.name = unlisted.name.to_string();
    }
}

/// Makes a call, unless the same use of a tool has been made already, which is then told again.
async fn once(mut run: Run<'_>, begun: Instant) {
    let hub = run.hub;
    let mut repeat = repeat_key(run.caller, run.peer, &run.question, &run.target);
    if let Some(key) = repeat {
        let found = tokio::select! {
            found = earlier(hub, key) => found,
            () = run.leg.reply.closed() => return,
            () = run.cancelled.notified() => return,
        };
        match found {
            Earlier::None(true) => {}
            Earlier::None(false) => repeat = None,
            Earlier::Response(response) => return again(&run.leg, &response).await,
        }
    }
    let forget = |repeat: Option<u128>| {
        if let Some(key) = repeat {
            hub.repeats.settle(key, None, clock::now());
        }
    };
    // Nothing is charged, and nothing sent, for somebody who has left.
    if run.leg.reply.is_closed() {
        return forget(repeat);
    }
    match cached::find(&run).await {
        Found::Own(lead) => run.lead = lead,
        Found::Response(how, response) => return known(&run, how, (response, repeat), begun).await,
        Found::Gone => return forget(repeat),
        Found::Cancelled => {
            forget(repeat);
            return run.leg.end().await;
        }
    }
    let _change = cached::change(&run);
    let _pass = match charge(&run).await {
        Ok(pass) => pass,
        Err(error) => {
            forget(repeat);
            return run.leg.refuse(run.caller, &error).await;
        }
    };
    let ending = match &run.peer.server.transport {
        Transport::OpenApi(described) => Box::pin(api::run(&mut run, described)).await,
        Transport::Http(_) | Transport::Sse(_) | Transport::Stdio(_) => Box::pin(run.run()).await,
    };
    let response = run.kept.take().filter(|_| matches!(ending, Ending::Result { .. })).map(Bytes::from);
    // Where its caller has left it was not made to its end: another makes it.
    if let Some(lead) = run.lead.take().filter(|_| ending != Ending::Cancelled) {
        lead.settle(response.as_ref(), clock::now());
    }
    if let Some(key) = repeat {
        hub.repeats.settle(key, response, clock::now());
    }
    hub.metrics.borrow_mut().mcp.called(&run.peer.server.name, ending.name(), run::since(begun));
}

/// Answers a call with what is known: it counts for limits of calls, but costs nothing, since nobody is
/// asked.
async fn known(run: &Run<'_>, how: &'static str, (response, repeat): (Bytes, Option<u128>), begun: Instant) {
    let hub = run.hub;
    let snapshot = hub.snapshot();
    let called = Called { server: run.peer.server.name.as_str(), tool: &run.target.name };
    let admitted = hub
        .accounts
        .as_ref()
        .map(|accounts| accounts.meter.admit_tool(&snapshot.spending, &run.caller.principal, &called));
    let kept = match admitted.transpose() {
        Ok(_pass) => {
            run.leg.mark(format!("cached {how}")).await;
            again(&run.leg, &response).await;
            hub.metrics.borrow_mut().mcp.called(&run.peer.server.name, how, run::since(begun));
            Some(response)
        }
        Err(error) => {
            run.leg.refuse(run.caller, &error).await;
            None
        }
    };
    if let Some(key) = repeat {
        hub.repeats.settle(key, kept, clock::now());
    }
}

/// Charges a call of a tool what it costs. The call is under way as long as the pass is kept.
async fn charge(run: &Run<'_>) -> Result<Option<Pass>, RpcError> {
    if let (Method::ToolsCall, Some(accounts)) = (run.question.method, &run.hub.accounts) {
        let snapshot = run.hub.snapshot();
        let called = Called { server: run.peer.server.name.as_str(), tool: &run.target.name };
        let (charged, pass) =
            accounts.meter.charge_tool(&snapshot.spending, &run.caller.principal, &called)?;
        run.leg.charged(charged).await;
        return Ok(pass);
    }
    Ok(None)
}

/// The share of a key in what the hub holds, given back when the call ends.
struct Held<'h> {
    hub: &'h Hub,
    key_id: Arc<str>,
    bytes: usize,
}

impl<'h> Held<'h> {
    fn take(hub: &'h Hub, key_id: &Arc<str>, bytes: usize) -> Option<Self> {
        let mut held = hub.held.borrow_mut();
        let (calls, sum) = held.entry(Arc::clone(key_id)).or_default();
        if *calls >= limits::MCP_CALLS_OF_KEY_MAX || *sum + bytes > limits::MCP_HELD_OF_KEY_BYTES_MAX {
            return None;
        }
        *calls += 1;
        *sum += bytes;
        Some(Self { hub, key_id: Arc::clone(key_id), bytes })
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let mut held = self.hub.held.borrow_mut();
        if let Some((calls, sum)) = held.get_mut(&self.key_id) {
            *calls = calls.saturating_sub(1);
            *sum = sum.saturating_sub(self.bytes);
            if *calls == 0 {
                held.remove(&self.key_id);
            }
        }
    }
}

/// Tells a response once more, under another id.
async fn again(leg: &Leg, response: &[u8]) {
    let mut edits = Edits::new(response);
    // It was put together by us, so its id can be found.
    if let Some(place) = message::response_id(response)
        && edits.replace(place, &leg.id).is_ok()
    {
        leg.send(200, edits.finish(), String::new()).await;
    }
}

impl Ending {
    /// The name in the counters.
    const fn name(self) -> &'static str {
        match self {
            Self::Result { is_error: false } => "ok",
            Self::Result { is_error: true } => "tool_error",
            Self::Error => "error",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

/// Finds the server and its own name for what is called.
fn resolve(
    hub: &Hub,
    question: &Question,
    caller: &Caller,
    seen: &Seen,
) -> Result<(Rc<Peer>, Target), RpcError> {
    let params = &question.params;
    let at = |place: usize| seen.peer(place).cloned().ok_or_else(RpcError::internal);
    match question.method {
        Method::ToolsCall => {
            let name = question.text(params.name.as_ref());
            let name = name.ok_or_else(|| RpcError::invalid_params("params.name is missing"))?;
            let found = seen.view.find(ItemKind::Tool, &name);
            let found = found.ok_or_else(|| match seen.view.unlisted(&name) {
                Some(unlisted) => RpcError::not_allowed(unlisted.why.to_string()),
                None => unknown(hub, caller, format!("Unknown tool: {name}")),
            })?;
            let renamed = (found.definition.key() != name).then_some("name");
            let held = found.held.clone();
            let annotations = found.definition.annotations();
            let repeatable = annotations.idempotent == Some(true) || annotations.read_only == Some(true);
            let (tool, class) = (Some(Arc::clone(&found.definition)), found.class);
            let named = Target::of(found.definition.key().to_owned());
            Ok((at(found.server)?, Target { renamed, tool, class, repeatable, held, ..named }))
        }
        Method::PromptsGet => {
            let name = question.text(params.name.as_ref());
            let name = name.ok_or_else(|| RpcError::invalid_params("params.name is missing"))?;
            let found = seen.view.find(ItemKind::Prompt, &name);
            let found = found.ok_or_else(|| unknown(hub, caller, format!("Unknown prompt: {name}")))?;
            let renamed = (found.definition.key() != name).then_some("name");
            Ok((
                at(found.server)?,
                Target { renamed, repeatable: true, ..Target::of(found.definition.key().to_owned()) },
            ))
        }
        Method::ResourcesRead => {
            let uri = question.text(params.uri.as_ref());
            let uri = uri.ok_or_else(|| RpcError::invalid_params("params.uri is missing"))?;
            let Some(route) = seen.view.route(&uri) else {
                return Err(if caller.version.is_modern() {
                    RpcError::invalid_params(format!("Resource not found: {uri}"))
                } else {
                    RpcError::resource_not_found(&uri)
                });
            };
            let renamed = (route.uri != uri).then_some("uri");
            let name = route.uri.into_owned();
            Ok((at(route.server)?, Target { repeatable: true, renamed, ..Target::of(name) }))
        }
        Method::Complete => completion(question, seen),
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel | Method::TasksResult => {
            task(hub, question, caller, seen)
        }
        _ => {
            let name = question.text(question.read.method_span.as_ref()).unwrap_or_default();
            Err(RpcError::method_not_found(&name))
        }
    }
}

/// What is not there, or is kept away from the caller: nobody can tell whose it would have been.
fn unknown(hub: &Hub, caller: &Caller, text: String) -> RpcError {
    match listing::kept_away(hub, &caller.principal, caller.scope.as_ref()) {
        Some(why) => RpcError::not_allowed(format!("{text}; {why}")),
        None => RpcError::invalid_params(text),
    }
}

/// The server of a task that the caller names by our id of it.
fn task(
    hub: &Hub,
    question: &Question,
    caller: &Caller,
    seen: &Seen,
) -> Result<(Rc<Peer>, Target), RpcError> {
    let params = &question.params;
    let id = question.text(params.task_id.as_ref());
    let id = id.ok_or_else(|| RpcError::invalid_params("params.taskId is missing"))?;
    // Who knows the id of a task has declared that it knows tasks; who does not is told what to declare.
    let declared = CapabilitySet::read(&caller.capabilities).unwrap_or_default();
    let unknown = || {
        if caller.version.is_modern() && !declared.has(CapabilitySet::TASKS) {
            let text = "tasks are for clients that declare them";
            return RpcError::missing_capability(text, &CapabilitySet::TASKS.write());
        }
        RpcError::invalid_params("this task is not known")
    };
    let (at, tool) = tasks::inwards(hub, caller, &id).ok_or_else(unknown)?;
    let peer = seen.peers.iter().find(|peer| peer.server.name.as_str() == at.server);
    let peer = peer.cloned().ok_or_else(unknown)?;
    let session = (peer.is_modern() == Some(false)).then_some(at.session);
    Ok((peer, Target { renamed: Some("taskId"), session, made_by: Some(tool), ..Target::of(at.id) }))
}

/// The server of what is being completed: an argument of a prompt, or of a resource's template.
fn completion(question: &Question, seen: &Seen) -> Result<(Rc<Peer>, Target), RpcError> {
    let missing = || RpcError::invalid_params("params.ref is missing or of no known type");
    let reference = question.at(question.params.reference.as_ref()).ok_or_else(missing)?;
    let reference: serde_json::Value = serde_json::from_slice(reference).map_err(|_why| missing())?;
    let text = |name: &str| reference.get(name).and_then(serde_json::Value::as_str);
    let at = |place: usize| seen.peer(place).cloned().ok_or_else(RpcError::internal);
    match (text("type"), text("name"), text("uri")) {
        (Some("ref/prompt"), Some(name), _) => {
            let found = seen.view.find(ItemKind::Prompt, name);
            let found = found.ok_or_else(|| RpcError::invalid_params(format!("Unknown prompt: {name}")))?;
            let renamed = (found.definition.key() != name).then_some("ref.name");
            Ok((
                at(found.server)?,
                Target { renamed, repeatable: true, ..Target::of(found.definition.key().to_owned()) },
            ))
        }
        (Some("ref/resource"), _, Some(uri)) => {
            let route = seen.view.route(uri);
            let route = route.ok_or_else(|| RpcError::invalid_params(format!("Unknown resource: {uri}")))?;
            let renamed = (route.uri != uri).then_some("ref.uri");
            Ok((
                at(route.server)?,
                Target { renamed, repeatable: true, ..Target::of(route.uri.into_owned()) },
            ))
        }
        _ => Err(missing()),
    }
}

/// Why a tool that the caller does not see may not be called; nothing where there is no such tool.
fn denial(
    hub: &Hub,
    caller: &Caller,
    (question, seen): (&Question, &Seen),
    about: &mut About,
) -> Option<Denial> {
    let name =
        question.text(question.params.name.as_ref()).filter(|_| question.method == Method::ToolsCall)?;
    let entry = seen.hidden(hub, &name)?;
    let server = &seen.peer(entry.server)?.server.name;
    let call = ToolCall { server, tool: entry.definition.key(), class: entry.class, can_ask: caller.can_ask };
    let denial = hub.decisions.decide_tool(&hub.snapshot().rules, &caller.principal, &call).err()?;
    about.server = Some(server.clone());
    entry.definition.key().clone_into(&mut about.name);
    about.note_tool(entry);
    denial.decision().clone_into(&mut about.decision);
    Some(denial)
}

/// The tool that a request is about: the one that it calls, or the one whose call has made a task.
fn tool_of<'t>(question: &Question, target: &'t Target) -> Option<&'t str> {
    match question.method {
        Method::ToolsCall => Some(&target.name),
        _ => target.made_by.as_deref(),
    }
}

/// That tool as the caller sees it.
fn entry<'s>(question: &Question, target: &Target, peer: &Peer, seen: &'s Seen) -> Option<&'s Entry> {
    match question.method {
        Method::ToolsCall => seen.view.find(ItemKind::Tool, &question.text(question.params.name.as_ref())?),
        _ => seen.tool(&peer.server.name, target.made_by.as_deref()?),
    }
}

/// What is done to the result of a call, by order of the config.
fn trim(hub: &Hub, caller: &Caller, peer: &Peer, entry: &Entry, tool_use_id: &str) -> Option<Trim> {
    let trim = Trim::new(entry, &peer.server.name, &caller.principal.key_id, &hub.showcase)?;
    Some(match &caller.session {
        Some(session) => trim.in_session(&session.texts, Origin::new(&entry.exposed, tool_use_id)),
        None => trim,
    })
}

/// The permit for a server, or the refusal; and what was decided.
fn permit(
    hub: &Hub,
    caller: &Caller,
    (peer, entry): (&Peer, Option<&Entry>),
    question: &Question,
    target: &Target,
) -> Result<(PlacedPermit, String), (RpcError, String)> {
    let rules = &hub.snapshot().rules;
    let (principal, server) = (&caller.principal, &peer.server.name);
    let class = entry.map_or(Class::Unknown, |entry| entry.class);
    let decided = match tool_of(question, target) {
        Some(tool) => {
            // About a task somebody has been asked when it was made.
            let can_ask = caller.can_ask || question.method != Method::ToolsCall;
            hub.decisions.decide_tool(rules, principal, &ToolCall { server, tool, class, can_ask })
        }
        None => hub.decisions.may_see(rules, principal, server),
    };
    let refused = |text: String, decision: &str| (RpcError::not_allowed(text), decision.to_owned());
    let permit = decided.map_err(|denial| refused(denial.to_string(), denial.decision()))?;
    if question.method == Method::ToolsCall
        && permit.asks()
        && let Some(entry) = entry.filter(|entry| !caller.asks_about(hub, &entry.exposed))
    {
        streams::tell_one_changed(hub, caller);
        let text = format!(
            "a person has to be asked before the tool \"{}\" is called, and the list of tools that this \
             client holds does not say so: list the tools again (tools/list) and call then ({permit})",
            entry.exposed
        );
        return Err(refused(text, &format!("refused: listed before it had to be asked about: {permit}")));
    }
    let residency = rules.residency(principal);
    let placed = residency.place(&permit, &peer.server.place);
    let placed = placed.map_err(|outside| refused(outside.to_string(), &outside.to_string()))?;
    let about_task = question.method != Method::ToolsCall && target.made_by.is_some();
    if about_task && entry.is_none() && question.method != Method::TasksCancel {
        let text = "the tool that made this task is not yours to call any more; it can only be cancelled";
        return Err(refused(text.to_owned(), "denied: the tool of the task is gone"));
    }
    let held = entry.and_then(|entry| entry.held.as_ref());
    match target.held.as_ref().or(held) {
        Some(why) => Err(refused(why.to_string(), why)),
        None => Ok((placed, residency.decision(&permit))),
    }
}

/// Hands a retry to its parked call, which answers it.
async fn resume(hub: &Hub, caller: &Caller, leg: Leg, question: &Question, handle: u64) {
    let params = question.params_bytes().to_vec();
    match hub.parked.resume(handle, Resume { leg, params }) {
        Ok(()) => {}
        Err(unfound) => {
            let text = "the call that this answers has ended; call again without requestState";
            unfound.leg.refuse(caller, &RpcError::invalid_params(text)).await;
        }
    }
}

/// Claude Code's id of the call.
pub(super) fn tool_use_id(question: &Question) -> Option<String> {
    question.text(question.params.meta.as_ref()?.tool_use_id.as_ref())
}

/// What makes a call the same call. One that answers questions is a step of another, not the same again.
fn repeat_key(caller: &Caller, peer: &Peer, question: &Question, target: &Target) -> Option<u128> {
    if question.method != Method::ToolsCall || question.params.request_state.is_some() {
        return None;
    }
    let id = tool_use_id(question)?;
    let arguments = question.at(question.params.arguments.as_ref()).unwrap_or_default();
    Some(repeat::key([
        caller.principal.key_id.as_bytes(),
        peer.server.name.as_str().as_bytes(),
        target.name.as_bytes(),
        arguments,
        id.as_bytes(),
    ]))
}

/// How often a call looks whether the same one, which is under way, has ended.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

/// What an earlier call of the same kind has led to.
enum Earlier {
    /// There is none, or nothing came of it; `true` when this one has to be settled.
    None(bool),
    Response(Bytes),
}

async fn earlier(hub: &Hub, key: u128) -> Earlier {
    loop {
        match hub.repeats.begin(key, clock::now()) {
            Turn::First => return Earlier::None(true),
            Turn::Unknown => return Earlier::None(false),
            Turn::Done(response) => return Earlier::Response(response),
            // It may be under way on another core, which rings no bell here. It is the exception.
            Turn::Running => sleep(LOOK_AGAIN).await,
        }
    }
}
