//! Tasks: work that outlives its request, as 2025-11-25 tried it and as the modern extension has it.
//!
//! | | 2025-11-25 | extension |
//! |---|---|---|
//! | asked for | by `params.task` | by the server alone, of clients that declare it |
//! | created | `result.task` | `resultType: "task"`, members at the top |
//! | times | `ttl`, `pollInterval` | `ttlMs`, `pollIntervalMs` |
//! | outcome | `tasks/result`, which waits | inside of `tasks/get` |
//!
//! A server's id is the only way to its task, and two servers may use the same one; so ours is a sealed text
//! of server and id. Sealing never says the same twice: a task is sealed when it is created, and every later
//! answer repeats the text that the caller asked with.

use std::borrow::Cow;

use crate::json::Kind;
use crate::limits;
use crate::mcp::bridge::capabilities::CapabilitySet;
use crate::mcp::bridge::members::{Change, Fault, Members, push_member, quoted};
use crate::mcp::sealed::{SealFault, SealingKey};

const PURPOSE: &str = "task";
const RELATED: &str = "io.modelcontextprotocol/related-task";

/// A task's server and the id that it has there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TaskAt {
    /// The server's name in the config.
    pub server: String,
    /// The server's id, decoded.
    pub id: String,
    /// What was declared in the session that made it; with a modern server, which has none, nothing.
    pub session: CapabilitySet,
}

/// Makes our id of a server's task, for this principal alone.
///
/// # Errors
/// [`SealFault::TooLong`] for an id over about 3 KiB, [`SealFault::Unavailable`].
pub fn seal_task(
    key: &SealingKey,
    principal: &[u8],
    expires_unix_s: u64,
    task: &TaskAt,
) -> Result<String, SealFault> {
    let mut payload = task.server.as_bytes().to_vec();
    // Names of servers are words of the config, which have no control characters.
    payload.extend_from_slice(&[0, task.session.bits()]);
    payload.extend_from_slice(task.id.as_bytes());
    key.seal(PURPOSE, &[principal], expires_unix_s, &payload)
}

/// Finds the task that an id of ours means.
///
/// # Errors
/// Any [`SealFault`]: to the caller there is no such task.
pub fn open_task(
    key: &SealingKey,
    principal: &[u8],
    now_unix_s: u64,
    text: &str,
) -> Result<TaskAt, SealFault> {
    let payload = key.open(PURPOSE, &[principal], now_unix_s, text.as_bytes())?;
    let payload = String::from_utf8(payload).map_err(|_bytes| SealFault::Malformed)?;
    let (server, rest) = payload.split_once('\0').ok_or(SealFault::Malformed)?;
    let (bits, id) = rest.split_at_checked(1).ok_or(SealFault::Malformed)?;
    let bits = bits.bytes().next().unwrap_or_default();
    Ok(TaskAt { server: server.to_owned(), id: id.to_owned(), session: CapabilitySet::from_bits(bits) })
}

/// Where a task stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// It is worked on.
    Working,
    /// The server has a question.
    InputRequired,
    /// There is a result.
    Completed,
    /// There is an error.
    Failed,
    /// It was given up.
    Cancelled,
}

impl Status {
    fn parse(word: &str) -> Option<Self> {
        match word {
            "working" => Some(Self::Working),
            "input_required" => Some(Self::InputRequired),
            "completed" => Some(Self::Completed),
            "failed" => Some(Self::Failed),
            "cancelled" => Some(Self::Cancelled),
            _ => None,
        }
    }

    /// Whether nothing more will happen.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Completed | Self::Failed | Self::Cancelled)
    }
}

/// What the gateway has to know of a task, of either kind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Task {
    /// The id at its server, at most `limits::MCP_TASK_ID_BYTES_MAX`.
    pub id: String,
    /// Where it stands.
    pub status: Status,
    /// How long the server keeps it from its creation, in milliseconds; nothing means for good.
    pub ttl_ms: Option<u64>,
    /// How long to wait before asking again, in milliseconds.
    pub poll_ms: Option<u64>,
}

/// The task in a legacy result that creates one; nothing in any other result.
///
/// # Errors
/// Any [`Fault`].
pub fn legacy_created(result: &[u8]) -> Result<Option<Task>, Fault> {
    match Members::read(result)?.object("task") {
        Some(task) if Members::read(task)?.value("taskId").is_some() => read_task(task).map(Some),
        _ => Ok(None),
    }
}

/// Reads a task of either kind: the `task` of a legacy result that creates one, or a result that is one.
///
/// # Errors
/// Any [`Fault`]; without id or a known status it is a wrong shape.
pub fn read_task(task: &[u8]) -> Result<Task, Fault> {
    let members = Members::read(task)?;
    let id = members.text("taskId")?.ok_or(Fault::Shape("`taskId`"))?;
    if id.len() > limits::MCP_TASK_ID_BYTES_MAX {
        return Err(Fault::TooMuch("`taskId`"));
    }
    let status = members.text("status")?.as_deref().and_then(Status::parse);
    Ok(Task {
        id: id.into_owned(),
        status: status.ok_or(Fault::Shape("`status`"))?,
        ttl_ms: members.number("ttlMs").or_else(|| members.number("ttl")),
        poll_ms: members.number("pollIntervalMs").or_else(|| members.number("pollInterval")),
    })
}

/// A legacy result that creates a task, as a modern client that declared the extension gets it.
///
/// # Errors
/// Any [`Fault`].
pub fn created_for_modern(result: &[u8], our_id: &str) -> Result<Vec<u8>, Fault> {
    let task = Members::read(result)?.object("task").ok_or(Fault::Shape("`task`"))?;
    convert(task, our_id, b"\"task\"", None)
}

/// How a legacy task ended, or what it wants to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inside<'a> {
    /// What `tasks/result` answered.
    Result(&'a [u8]),
    /// The error that `tasks/result` answered.
    Error(&'a [u8]),
    /// Questions, a map.
    Requests(&'a [u8]),
    /// None of it, although the server may say that it has questions: it is worked on.
    Nothing,
}

/// A legacy answer to `tasks/get` as a modern client gets it. The status follows what is inside: a tool that
/// ran and failed has `failed` in the old revision and `completed` in the extension.
///
/// # Errors
/// Any [`Fault`].
pub fn task_for_modern(task: &[u8], our_id: &str, inside: Option<Inside<'_>>) -> Result<Vec<u8>, Fault> {
    convert(task, our_id, b"\"complete\"", inside)
}

fn convert(
    task: &[u8],
    our_id: &str,
    result_type: &[u8],
    inside: Option<Inside<'_>>,
) -> Result<Vec<u8>, Fault> {
    let members = Members::read(task)?;
    let id = quoted(our_id);
    let ttl = members.bytes("ttl").filter(|_| members.number("ttl").is_some()).unwrap_or(b"null");
    let poll = members.bytes("pollInterval").filter(|_| members.number("pollInterval").is_some());
    let mut changes = vec![
        Change::Set("resultType", result_type),
        Change::Set("taskId", &id),
        Change::Drop("ttl"),
        Change::Drop("pollInterval"),
        Change::Set("ttlMs", ttl),
    ];
    if let Some(poll) = poll {
        changes.push(Change::Set("pollIntervalMs", poll));
    }
    let (name, status, value): (_, &[u8], _) = match inside {
        Some(Inside::Nothing) => {
            changes.push(Change::Set("status", b"\"working\""));
            return Ok(members.changed(&changes)?.into_owned());
        }
        Some(Inside::Result(result)) => ("result", b"\"completed\"", without_related_task(result)?),
        Some(Inside::Error(error)) => ("error", b"\"failed\"", Cow::Borrowed(error)),
        Some(Inside::Requests(requests)) => ("inputRequests", b"\"input_required\"", Cow::Borrowed(requests)),
        None => return Ok(members.changed(&changes)?.into_owned()),
    };
    changes.push(Change::Set("status", status));
    changes.push(Change::Set(name, &value));
    Ok(members.changed(&changes)?.into_owned())
}

/// A result, or `params` of a server's request, without the note of 2025-11-25 that says to which task it
/// belongs: that id is not ours.
///
/// # Errors
/// Any [`Fault`].
pub fn without_related_task(object: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    let members = Members::read(object)?;
    let Some(meta) = members.object("_meta") else { return Ok(Cow::Borrowed(object)) };
    let meta = Members::read(meta)?;
    if meta.value(RELATED).is_none() {
        return Ok(Cow::Borrowed(object));
    }
    let meta = meta.changed(&[Change::Drop(RELATED)])?;
    members.changed(&[Change::Set("_meta", &meta)])
}

/// The same object with the note that it belongs to the task of this id, whatever it said before.
///
/// # Errors
/// Any [`Fault`].
pub fn with_related_task<'a>(object: &'a [u8], id: &str) -> Result<Cow<'a, [u8]>, Fault> {
    let members = Members::read(object)?;
    let mut note = vec![b'{'];
    push_member(&mut note, "taskId", &quoted(id));
    note.push(b'}');
    let meta = Members::read(members.object("_meta").unwrap_or(b"{}"))?;
    let meta = meta.changed(&[Change::Set(RELATED, &note)])?;
    Ok(Cow::Owned(members.changed(&[Change::Set("_meta", &meta)])?.into_owned()))
}

/// The task that an object says it belongs to.
///
/// # Errors
/// Any [`Fault`].
pub fn related_task(object: &[u8]) -> Result<Option<String>, Fault> {
    let Some(meta) = Members::read(object)?.object("_meta") else { return Ok(None) };
    let Some(note) = Members::read(meta)?.object(RELATED) else { return Ok(None) };
    let id = Members::read(note)?.text("taskId")?;
    Ok(id.filter(|id| id.len() <= limits::MCP_TASK_ID_BYTES_MAX).map(Cow::into_owned))
}

/// A legacy result that creates a task, with another id of it.
///
/// # Errors
/// Any [`Fault`].
pub fn created_with_id(result: &[u8], id: &str) -> Result<Vec<u8>, Fault> {
    let members = Members::read(result)?;
    let task = members.object("task").ok_or(Fault::Shape("`task`"))?;
    let task = with_task_id(task, id)?;
    Ok(members.changed(&[Change::Set("task", &task)])?.into_owned())
}

/// The same object with another `taskId` at its top: a modern result on the way back, `params` on the way
/// out.
///
/// # Errors
/// Any [`Fault`]; without a `taskId` it is a wrong shape.
pub fn with_task_id<'a>(object: &'a [u8], id: &str) -> Result<Cow<'a, [u8]>, Fault> {
    let members = Members::read(object)?;
    if members.value("taskId").is_none_or(|value| value.kind != Kind::String) {
        return Err(Fault::Shape("`taskId`"));
    }
    members.changed(&[Change::Set("taskId", &quoted(id))])
}

/// `params` of a call that a legacy server is to run as a task.
///
/// # Errors
/// Any [`Fault`].
pub fn params_as_task(params: &[u8], ttl_ms: u64) -> Result<Vec<u8>, Fault> {
    let mut task = vec![b'{'];
    push_member(&mut task, "ttl", ttl_ms.to_string().as_bytes());
    task.push(b'}');
    Ok(Members::read(params)?.changed(&[Change::Set("task", &task)])?.into_owned())
}

/// `params` of a call that nobody is to run as a task.
///
/// # Errors
/// Any [`Fault`].
pub fn params_as_call(params: &[u8]) -> Result<Cow<'_, [u8]>, Fault> {
    Members::read(params)?.changed(&[Change::Drop("task")])
}

/// `params` of a request about a task.
pub fn params_about(id: &str) -> Vec<u8> {
    let mut out = vec![b'{'];
    push_member(&mut out, "taskId", &quoted(id));
    out.push(b'}');
    out
}
