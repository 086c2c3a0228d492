//! Tasks of the modern era: their ids are ours on the way out and the server's on the way in.

use std::borrow::Cow;

use crate::gateway::hub::Hub;
use crate::gateway::hub::caller::Caller;
use crate::gateway::hub::run::Run;
use crate::json::{self, Kind};
use crate::limits;
use crate::mcp::bridge::results::ResultType;
use crate::mcp::bridge::tasks::{self, TaskAt};
use crate::mcp::method::Method;

/// A result with our id of the task that it creates or tells of. Where the address names the server, its ids
/// stay.
pub(super) fn outwards<'a>(run: &Run<'_>, result: Cow<'a, [u8]>, kind: ResultType) -> Cow<'a, [u8]> {
    if run.caller.scope.is_some() {
        return result;
    }
    let ours = match run.question.method {
        Method::TasksGet | Method::TasksUpdate | Method::TasksCancel => {
            run.question.text(run.question.params.task_id.as_ref())
        }
        _ if kind == ResultType::Task => tasks::read_task(&result).ok().and_then(|task| {
            let at = TaskAt { server: run.peer.server.name.as_str().to_owned(), id: task.id };
            let expires = run.hub.wall_s() + limits::MCP_TASK_TTL.as_secs();
            tasks::seal_task(&run.hub.seal, run.caller.principal.key_id.as_bytes(), expires, &at).ok()
        }),
        _ => None,
    };
    let Some(ours) = ours else { return result };
    match tasks::with_task_id(&result, &ours) {
        Ok(changed) => Cow::Owned(changed.into_owned()),
        Err(_fault) => result,
    }
}

/// The server and its own id of a task that a caller names by ours.
pub(super) fn inwards(hub: &Hub, caller: &Caller, id: &str) -> Option<TaskAt> {
    tasks::open_task(&hub.seal, caller.principal.key_id.as_bytes(), hub.wall_s(), id).ok()
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
