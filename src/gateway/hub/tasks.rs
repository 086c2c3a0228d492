//! Tasks and whose they are: their ids are ours on the way out and the server's on the way in, and a call
//! that a legacy server runs as one goes by what its caller knows of tasks.

use std::borrow::Cow;
use std::rc::Rc;
use std::time::Duration;

use tokio::task::spawn_local;
use tokio::time::timeout;

use crate::clock;
use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::Caller;
use crate::gateway::hub::channel::{self, Channel};
use crate::gateway::hub::compose::{Question, Target};
use crate::gateway::hub::run::Run;
use crate::json::{self, Kind};
use crate::limits;
use crate::mcp::bridge::Fault;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::results::ResultType;
use crate::mcp::bridge::tasks::{self, Task, TaskAt};
use crate::mcp::definition::TaskSupport;

use crate::mcp::message::{self, Message};
use crate::mcp::method::Method;
use crate::policy::residency::PlacedPermit;

/// How a call goes to a server that may run it as a task of 2025-11-25.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    /// As it came.
    Plain,
    /// Without the wish for a task, which means nothing here.
    Unwished,
    /// As a task that the gateway sees through to its end: the caller gets the plain result.
    Driven,
    /// As a task that a modern caller gets a handle of.
    Handed,
    /// As the task that a legacy caller wants.
    Wished,
}

/// Decides how a call goes.
pub(super) fn way(question: &Question, target: &Target, caller: &Caller, channel: &Channel) -> Way {
    if question.method != Method::ToolsCall || channel.version.is_modern() {
        return Way::Plain;
    }
    let wishes = question.params.task.is_some();
    let offered = channel.facts.capabilities.legacy_tasks && channel.version.has_blocking_tasks();
    let plain = if wishes { Way::Unwished } else { Way::Plain };
    if !offered {
        return plain;
    }
    if wishes && caller.version.has_blocking_tasks() {
        return Way::Wished;
    }
    let support = target.tool.as_ref().map(|tool| tool.task_support()).unwrap_or_default();
    let knows = caller.version.is_modern()
        && CapabilitySet::read(&caller.capabilities).unwrap_or_default().has(CapabilitySet::TASKS);
    match support {
        TaskSupport::Required | TaskSupport::Optional if knows => Way::Handed,
        TaskSupport::Required => Way::Driven,
        TaskSupport::Optional | TaskSupport::Forbidden => plain,
    }
}

/// `params` as they go that way.
///
/// # Errors
/// What is wrong with them.
pub(super) fn params(params: &[u8], way: Way) -> Result<Cow<'_, [u8]>, Fault> {
    let kept_ms = |kept: Duration| u64::try_from(kept.as_millis()).unwrap_or(u64::MAX);
    match way {
        Way::Plain | Way::Wished => Ok(Cow::Borrowed(params)),
        Way::Unwished => tasks::params_as_call(params),
        Way::Driven | Way::Handed => {
            tasks::params_as_task(params, kept_ms(limits::MCP_TASK_KEPT)).map(Cow::Owned)
        }
    }
}

/// Makes our id of a task and keeps the session that has it.
fn seal(run: &Run<'_>, session: CapabilitySet, task: &Task) -> Option<String> {
    let kept = task.ttl_ms.map_or(limits::MCP_TASK_TTL, Duration::from_millis).min(limits::MCP_TASK_TTL);
    // The tool goes with it, so that whoever may not call that may not have what it gave.
    let id = format!("{}{APART}{}", run.target.name, task.id);
    let at = TaskAt { server: run.peer.server.name.as_str().to_owned(), id, session };
    // A little longer than the server keeps it, so that it is the server who says that it is gone.
    let expires = run.hub.wall_s() + kept.as_secs() + limits::MCP_TASK_KEPT.as_secs();
    tasks::seal_task(&run.hub.seal, run.caller.principal.key_id.as_bytes(), expires, &at).ok()
}

/// Keeps a session of a legacy server open for as long as a task may be asked for, within bounds.
pub(super) fn keep(channel: &Channel, task: &Task) {
    let kept = task.ttl_ms.map_or(limits::MCP_TASK_KEPT, Duration::from_millis).min(limits::MCP_TASK_KEPT);
    let until = clock::now() + kept;
    channel.kept_until.set(Some(channel.kept_until.get().map_or(until, |known| known.max(until))));
}

/// The result for a caller who gets a handle of a legacy server's task, when the result makes one.
///
/// # Errors
/// A task without a shape that is known, or whose id is too long.
pub(super) fn handle(
    run: &Run<'_>,
    way: Way,
    session: CapabilitySet,
    task: &Task,
    result: &[u8],
) -> Result<Vec<u8>, Fault> {
    let ours = seal(run, session, task).ok_or(Fault::TooMuch("`taskId`"))?;
    if way == Way::Handed {
        tasks::created_for_modern(result, &ours)
    } else {
        tasks::created_with_id(result, &ours)
    }
}

/// A result with our id of the task that it creates or tells of: bound to the key, since a server's own could
/// be guessed by another.
pub(super) fn outwards<'a>(run: &Run<'_>, result: Cow<'a, [u8]>, kind: ResultType) -> Cow<'a, [u8]> {
    let named = || run.question.text(run.question.params.task_id.as_ref());
    let ours = match run.question.method {
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => named(),
        Method::TasksResult => {
            let noted =
                named().and_then(|id| Some(tasks::with_related_task(&result, &id).ok()?.into_owned()));
            return noted.map_or(result, Cow::Owned);
        }
        _ if kind == ResultType::Task => {
            tasks::read_task(&result).ok().and_then(|task| seal(run, CapabilitySet::default(), &task))
        }
        _ => None,
    };
    let Some(ours) = ours else { return result };
    match tasks::with_task_id(&result, &ours) {
        Ok(changed) => Cow::Owned(changed.into_owned()),
        Err(_fault) => result,
    }
}

/// Stands between a tool's name and the server's id of a task inside of what we seal.
const APART: char = '\u{1}';

/// Where a task is that a caller names by our id, with the tool that made it.
pub(super) fn inwards(hub: &Hub, caller: &Caller, id: &str) -> Option<(TaskAt, String)> {
    let at = tasks::open_task(&hub.seal, caller.principal.key_id.as_bytes(), hub.wall_s(), id).ok()?;
    let (tool, id) = at.id.split_once(APART)?;
    let (tool, id) = (tool.to_owned(), id.to_owned());
    Some((TaskAt { id, ..at }, tool))
}

/// `params` of what a server asks, with our id of the task that they belong to where the caller knows one,
/// and the server's id, which the answer has to name.
pub(super) fn noted(ours: Option<&str>, params: Option<Vec<u8>>) -> (Option<Vec<u8>>, Option<String>) {
    let Some(params) = params else { return (None, None) };
    let Ok(Some(id)) = tasks::related_task(&params) else { return (Some(params), None) };
    let changed = match ours {
        Some(ours) => tasks::with_related_task(&params, ours),
        None => tasks::without_related_task(&params),
    };
    (Some(changed.map(Cow::into_owned).unwrap_or_default()), Some(id))
}

/// The answer to what a server asked, with the note of its task.
pub(super) fn answer(answer: Vec<u8>, task: Option<&str>) -> Vec<u8> {
    match task.map(|id| tasks::with_related_task(&answer, id)) {
        Some(Ok(noted)) => noted.into_owned(),
        Some(Err(_)) | None => answer,
    }
}

/// Tells a legacy server to give a task up; nobody waits for what it says to that.
pub(super) fn give_up(hub: &Rc<Hub>, channel: &Rc<Channel>, permit: &PlacedPermit, id: &str) {
    let (hub, channel, permit) = (Rc::clone(hub), Rc::clone(channel), permit.clone());
    let params = tasks::params_about(id);
    drop(spawn_local(async move {
        let what = ("tasks/cancel", params.as_slice());
        let lines = channel.headers(what.0, None);
        let asked = channel::request(&channel.link, &permit, hub.next_id(), lines, what);
        drop(timeout(limits::MCP_TASK_CANCEL_DEADLINE, asked).await);
    }));
}

/// A server says that a task has changed: whoever waits for it looks at once.
pub(super) fn changed(channel: &Channel, doc: &[u8], read: &Message) {
    let id = message::params(doc, read).ok().and_then(|params| message::text(doc, params.task_id?));
    if let Some(id) = id
        && let Some(wake) = channel.waited_for.borrow().get(&*id)
    {
        wake.notify_one();
    }
}

/// Whether a result says of itself that the tool failed.
pub(super) fn is_error(result: &[u8]) -> bool {
    let mut found = false;
    let read = json::fields(result, |field| {
        found |= field.key.raw == b"isError" && field.value.kind == Kind::True;
        Ok::<_, json::Fault>(())
    });
    read.is_ok() && found
}
