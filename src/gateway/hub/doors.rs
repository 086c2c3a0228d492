//! Calls of the tools that stand for those that are not listed. One finds them; a call through another
//! becomes the call that it means, and goes the way of all calls under the true name of its tool.

use std::borrow::Cow;
use std::rc::Rc;

use tokio::sync::Notify;

use crate::call::{Class, ToolMode};
use crate::clock;
use crate::gateway::direct;
use crate::gateway::hub::Hub;
use crate::gateway::hub::ask::About;
use crate::gateway::hub::caller::{Caller, Leg};
use crate::gateway::hub::calls;
use crate::gateway::hub::code;
use crate::gateway::hub::compose::Question;
use crate::gateway::hub::finder;
use crate::gateway::hub::growth;
use crate::gateway::hub::listing::Seen;
use crate::json::write_string;
use crate::mcp::bridge::results::{self, ResultKind};
use crate::mcp::changes::Changes;
use crate::mcp::definition::ItemKind;
use crate::mcp::doors::{self, Door, Inner, Search};
use crate::mcp::edit::{Change, Edits};
use crate::mcp::fault::Fault;
use crate::mcp::lean::signature::signature;
use crate::mcp::lean::stub::stub;
use crate::mcp::message;
use crate::mcp::method::Method;
use crate::mcp::rpc::{self, RpcError};
use crate::mcp::view::{Entry, Reader};

/// What a question is a call of, if it is one of a door.
pub(super) fn door(question: &Question, seen: &Seen) -> Option<Door> {
    if question.method != Method::ToolsCall || !seen.view.has_doors() {
        return None;
    }
    seen.view.door(&question.text(question.params.name.as_ref())?)
}

/// Serves a request that a server has to answer, or a door.
pub(super) async fn call(
    hub: &Rc<Hub>,
    caller: &Caller,
    leg: Leg,
    question: Question,
    seen: &Seen,
    cancelled: Rc<Notify>,
) {
    match door(&question, seen) {
        None => {
            let sought = growth::sought(hub, caller, &question, seen).unwrap_or_default();
            Box::pin(calls::call(hub, caller, Leg { sought, ..leg }, question, seen, cancelled)).await;
        }
        Some(Door::More) => more(hub, caller, leg, &question, seen).await,
        Some(Door::Find) => Box::pin(search(hub, caller, leg, &question, seen)).await,
        Some(Door::Run) => Box::pin(code::run(hub, caller, leg, &question, &cancelled)).await,
        Some(door) => {
            if let Some((leg, question)) = through(hub, caller, leg, (question, door), seen).await {
                Box::pin(calls::call(hub, caller, leg, question, seen, cancelled)).await;
            }
        }
    }
}

/// What is known of a call of a door by itself.
pub(super) fn about(caller: &Caller, question: &Question, door: Door) -> About {
    About {
        method: question.method.name(),
        version: caller.version.as_str(),
        name: door.name().to_owned(),
        tool_use_id: calls::tool_use_id(question).unwrap_or_default(),
        class: if matches!(door, Door::Find | Door::More) { Class::Read } else { Class::Unknown },
        ..About::default()
    }
}

/// Answers with the tools that fit.
async fn search(hub: &Rc<Hub>, caller: &Caller, leg: Leg, question: &Question, seen: &Seen) {
    let mut about = about(caller, question, Door::Find);
    let arguments = question.at(question.params.arguments.as_ref()).unwrap_or(b"{}");
    let Search { query, full } = match doors::read_search(arguments) {
        Ok(search) => search,
        Err(wrong) => {
            leg.about(about).await;
            return answer(caller, &leg, &wrong.to_string(), true).await;
        }
    };
    let Some(places) = finder::find(hub, seen, &query).await else {
        leg.about(about).await;
        return leg.refuse(caller, &RpcError::overloaded("tools cannot be searched now")).await;
    };
    let entries = seen.view.entries(ItemKind::Tool);
    let found: Vec<&Entry> = places.iter().filter_map(|place| entries.get(*place)).collect();
    let true_name = |entry: &&Entry| {
        let server = seen.peer(entry.server).map_or("", |peer| peer.server.name.as_str());
        format!("{server}.{}", entry.definition.key())
    };
    about.decision = match found.as_slice() {
        [] => "found nothing".to_owned(),
        found => format!("found {}", found.iter().map(true_name).collect::<Vec<_>>().join(", ")),
    };
    let added = growth::add(caller, seen, &found);
    if added.as_ref().is_some_and(|added| added.grew()) {
        about.decision += ", added to the list";
    }
    about.sought.clone_from(&query);
    leg.about(about).await;
    hub.finder.note(caller, &query, found.iter().map(|entry| entry.exposed.clone()).collect());
    let lines = |from: &dyn Fn(&Entry) -> String| {
        found.iter().map(|entry| from(entry)).collect::<Vec<_>>().join("\n")
    };
    let unlisted = |entry: &Entry| match entry.mode {
        ToolMode::Code if !full => script(seen, entry),
        _ => told(caller, entry, full),
    };
    let text = match added {
        _ if found.is_empty() => NOTHING.to_owned(),
        None => lines(&unlisted),
        Some(added) => {
            let (words, by_name) = added.listed(&leg).await;
            // The definition has come with the list.
            let named = |entry: &Entry| entry.exposed.to_string();
            let either = |entry: &Entry| if by_name(entry) { named(entry) } else { unlisted(entry) };
            format!("{words}{}", lines(&either))
        }
    };
    answer(caller, &leg, &text, false).await;
}

const NOTHING: &str =
    "Nothing fits. Try other words: what is to be done, with what, or the name of a server.";

/// A tool as a script calls it. Where others are called by doors, the line says by which this is, too.
fn script(seen: &Seen, entry: &Entry) -> String {
    let door = if seen.view.has_door(Door::Read) { "run_code " } else { "" };
    let own = entry.definition.description();
    let description = entry.description.as_deref().or(own.as_deref()).unwrap_or_default();
    let input = entry.definition.input_schema().unwrap_or_default();
    let as_is = entry.results.as_ref().is_none_or(|rule| !rule.changes_values());
    let output = entry.definition.output_schema().filter(|_| as_is);
    format!("{door}{}", stub(&entry.exposed, description, input, output))
}

/// A tool as the model reads of it: what calls it, and how.
fn told(caller: &Caller, entry: &Entry, full: bool) -> String {
    let door = match entry.mode {
        ToolMode::Code => Door::Run.name(),
        _ => Door::of(entry.class).name(),
    };
    if full {
        let reader = if caller.version.is_modern() { Reader::Modern } else { Reader::Legacy };
        let mut out = Vec::new();
        // What marks say is for a list.
        let changes = Changes { asks: false, result_chars: None, ..entry.changes(reader) };
        entry.definition.write(changes, &mut out);
        return format!("{door} {}", String::from_utf8_lossy(&out));
    }
    format!("{door} {}", line(entry))
}

/// A tool as a model can call it.
fn line(entry: &Entry) -> String {
    let own = entry.definition.description();
    let description = entry.description.as_deref().or(own.as_deref()).unwrap_or_default();
    let schema = entry.definition.input_schema().unwrap_or_default();
    signature(&entry.exposed, description, schema)
}

/// Answers with more of a result that was cut or referred to, as long as the caller may see the tool.
async fn more(hub: &Hub, caller: &Caller, leg: Leg, question: &Question, seen: &Seen) {
    let mut about = about(caller, question, Door::More);
    let arguments = question.at(question.params.arguments.as_ref()).unwrap_or(b"{}");
    let (handle, from) = match doors::read_more(arguments) {
        Ok(read) => read,
        Err(wrong) => {
            leg.about(about).await;
            return answer(caller, &leg, &wrong.to_string(), true).await;
        }
    };
    let key_id = &caller.principal.key_id;
    let found = hub.showcase.leftovers.piece(key_id, &handle, from, clock::now());
    let found = found.filter(|(of, _)| seen.tool(&of.server, &of.tool).is_some());
    let Some((of, piece)) = found else {
        leg.about(about).await;
        return answer(caller, &leg, GONE, true).await;
    };
    about.decision = format!("more of {}.{}", of.server.as_str(), of.tool);
    about.server = Some(of.server);
    leg.about(about).await;
    if let Some(session) = caller.session.as_ref().filter(|_| piece.is_some()) {
        session.texts.borrow_mut().read_on();
    }
    match piece {
        Some(piece) => finish(caller, &leg, &piece, false).await,
        None => answer(caller, &leg, "This is the end: there is nothing from there on.", false).await,
    }
}

const GONE: &str = "This result is not kept any more, or never was: call the tool again.";

/// Makes the call that is meant; nothing where it has been refused.
async fn through(
    hub: &Hub,
    caller: &Caller,
    mut leg: Leg,
    (question, door): (Question, Door),
    seen: &Seen,
) -> Option<(Leg, Question)> {
    let mut about = about(caller, &question, door);
    let arguments = question.at(question.params.arguments.as_ref()).unwrap_or(b"{}");
    let inner = match doors::read_call(arguments) {
        Ok(inner) => inner,
        Err(wrong) => {
            leg.about(about).await;
            answer(caller, &leg, &wrong.to_string(), true).await;
            return None;
        }
    };
    // What the caller does not see is refused where all calls of it are.
    if let Some(entry) = seen.view.find(ItemKind::Tool, &inner.name)
        && let Some(why) = not_here(entry, door)
    {
        about.server = seen.peer(entry.server).map(|peer| peer.server.name.clone());
        entry.definition.key().clone_into(&mut about.name);
        about.note_tool(entry);
        about.decision = format!("refused: {why}");
        leg.about(about).await;
        answer(caller, &leg, &why, true).await;
        return None;
    }
    leg.sought = hub.finder.sought(caller, &inner.name);
    match meant(&question, &inner, arguments) {
        Ok(question) => Some((leg, question)),
        Err(fault) => {
            leg.about(about).await;
            leg.refuse(caller, &fault.rpc()).await;
            None
        }
    }
}

/// Why a tool is not called by a door.
fn not_here(entry: &Entry, door: Door) -> Option<String> {
    let (name, right) = (&entry.exposed, Door::of(entry.class));
    if entry.is_listed() {
        return Some(format!("{name} stands in the list of tools: call it by its own name"));
    }
    (right != door).then(|| format!("{name} is called with {}, not with {}", right.name(), door.name()))
}

/// The caller's message with the tool that is meant and its arguments in place of those of the door.
fn meant(question: &Question, inner: &Inner, arguments: &[u8]) -> Result<Question, Fault> {
    let mut name = Vec::with_capacity(inner.name.len() + 2);
    write_string(&mut name, &inner.name);
    let inner = inner.arguments.clone().and_then(|place| arguments.get(place)).unwrap_or(b"{}");
    let mut edits = Edits::new(&question.doc);
    if let Some(params) = question.read.params.clone() {
        edits.set(params, &[("name", Change::Put(&name)), ("arguments", Change::Put(inner))])?;
    }
    let doc = edits.finish();
    let (read, params) = message::read_with_params(&doc)?;
    Ok(Question { params: params?, method: read.method, doc, read })
}

/// Answers with a text, in the caller's era.
pub(super) async fn answer(caller: &Caller, leg: &Leg, text: &str, is_error: bool) {
    let mut result = b"{\"content\":[{\"type\":\"text\",\"text\":".to_vec();
    write_string(&mut result, text);
    result.extend_from_slice(b"}]");
    result.extend_from_slice(if is_error { b",\"isError\":true}" } else { b"}" });
    finish(caller, leg, &result, is_error).await;
}

/// Answers with a result of ours, in the caller's era.
pub(super) async fn finish(caller: &Caller, leg: &Leg, result: &[u8], is_error: bool) {
    let adapted = if caller.version.is_modern() {
        results::result_for_modern(result, ResultKind::Plain).unwrap_or(Cow::Borrowed(result))
    } else {
        Cow::Borrowed(result)
    };
    let mut body = Vec::with_capacity(result.len() + leg.id.len() + 40);
    rpc::write_result(&mut body, &leg.id, &adapted);
    leg.send(200, body, direct::failed(is_error)).await;
}
