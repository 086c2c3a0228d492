//! Pinned tools over HTTP: listed with what has changed about them, let through or not.

use serde_json::{Value, json};

use crate::admin::api::routes::Operation;
use crate::admin::api::tag;
use crate::config::key_terms;
use crate::config::pin_file::{PinFile, PinFileFault};
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::office::change::{self, Told};
use crate::gateway::office::door::Wish;
use crate::gateway::office::registrar::Office;
use crate::gateway::record::Record;
use crate::gateway::serve_admin::decoded;
use crate::gateway::worker::Worker;
use crate::identity::principal::Principal;
use crate::mcp::hints;
use crate::mcp::pin::change::compare;
use crate::mcp::pin::difference::difference;
use crate::mcp::pin::{Decision, Known, PinFault, State};

/// Lists all tools; with `open=true` those alone that wait for a decision.
///
/// # Errors
/// 500 when the pins cannot be read, 503 when that takes too long.
pub(in crate::gateway) async fn list(
    worker: &Worker,
    parameters: &[(String, String)],
) -> Result<Told, CallError> {
    let open = parameters.iter().any(|(name, value)| name == "open" && value == "true");
    let read = worker.registrar.run(move |office| {
        let pins = PinFile::of(&office.data_dir).read()?;
        let neighbours = pins.neighbours();
        let tools = pins.servers.iter().flat_map(|(server, tools)| {
            tools.iter().map(move |(tool, known)| ((server.as_str(), tool.as_str()), known))
        });
        let wanted = tools.filter(|(_, known)| !open || waits(known));
        Ok(wanted.map(|(name, known)| row(name, known, &neighbours)).collect::<Vec<_>>())
    });
    let tools: Vec<Value> = read.await?.map_err(|fault: PinFileFault| refused((fault.into(), None)))?;
    Ok(Told { status: 200, etag: String::new(), body: json!({ "tools": tools }) })
}

fn waits(known: &Known) -> bool {
    matches!(known.state(), State::Held | State::Waiting)
}

fn row((server, tool): (&str, &str), known: &Known, neighbours: &hints::Neighbours<'_>) -> Value {
    let Known { pinned, proposed, .. } = known;
    let newest = known.newest();
    let raw = |version: &crate::mcp::pin::Version| version.definition.clone();
    let found = newest.map(|newest| hints::scan(server, tool, newest.definition.as_bytes(), neighbours));
    let hints: Vec<Value> = found
        .into_iter()
        .flatten()
        .map(|hint| json!({ "kind": hint.kind.word(), "place": hint.place, "found": hint.found }))
        .collect();
    let changed: Vec<&str> = match (pinned, proposed) {
        (Some(old), Some(new)) => {
            let change = compare(old.definition.as_bytes(), new.definition.as_bytes());
            change.aspects.iter().map(|aspect| aspect.words()).collect()
        }
        _ => Vec::new(),
    };
    let told = proposed.as_ref().map(|new| {
        difference(pinned.as_ref().map(|old| old.definition.as_bytes()), new.definition.as_bytes())
    });
    json!({
        "tool": format!("{server}.{tool}"),
        "server": server,
        "name": tool,
        "state": known.state().word(),
        "since": newest.map(|newest| key_terms::text_ms(newest.at_ms)),
        "pinned": pinned.as_ref().map(|version| version.print.id().to_string()),
        "proposed": proposed.as_ref().map(|version| version.print.id().to_string()),
        "definition": newest.map(raw),
        "changed": changed,
        "diff": told,
        "hints": hints,
        "etag": of(known),
    })
}

/// The state of a tool: another one with every definition that comes, and with every decision.
fn of(known: &Known) -> String {
    let id = |version: &Option<crate::mcp::pin::Version>| {
        version.as_ref().map(|version| version.print.id().to_string()).unwrap_or_default()
    };
    let state = [known.state().word(), &id(&known.pinned), &id(&known.proposed)].join(" ");
    tag::of(state.as_bytes())
}

/// Lets a tool through, or not.
///
/// # Errors
/// 403 where a lock file alone decides, 404 for a tool that nobody knows, 409 where there is nothing to
/// decide, 412 for a state that has passed.
pub(in crate::gateway) async fn decide(
    (worker, who): (&Worker, &Principal),
    snapshot: &Snapshot,
    wish: &Wish,
    record: &mut Record,
) -> Result<Told, CallError> {
    let condition = wish.condition()?.clone();
    let approves = wish.route.operation == Operation::ApproveTool;
    if let Some(lock) = snapshot.mcp.pinning.lock.as_ref().filter(|_| approves) {
        let text = format!("{} alone says what is approved here: change it where it is made", lock.name());
        return Err(CallError::new(Code::Forbidden).context(text));
    }
    // A plus sign stands for itself in a path.
    let named = decoded(wish.name.replace('+', "%2B").as_bytes());
    let parts = named.as_deref().and_then(|name| name.split_once('.'));
    let Some((server, tool)) = parts.map(|(server, tool)| (server.to_owned(), tool.to_owned())) else {
        let text = "name the tool as SERVER.TOOL, with what is not of A-Z a-z 0-9 . _ - percent-encoded";
        return Err(CallError::new(Code::BadRequest).context(text));
    };
    let word = if approves { "approve" } else { "reject" };
    let shown = format!("{server}.{tool}");
    let wanted = format!("{word} {shown}");
    let by = format!("key {}", who.key);
    let job = move |office: &Office| {
        let file = PinFile::of(&office.data_dir);
        let pins = file.read().map_err(|fault| (fault.into(), None))?;
        let unknown = || (PinFault::Unknown(format!("{server}.{tool}")), None);
        let known = pins.known(&server, &tool).ok_or_else(unknown).map_err(of_pins)?;
        let now = Some(of(known));
        if !condition.holds(now.as_deref()) {
            return Err((Undecided::Stale, now));
        }
        let Some(proposed) = known.proposed.as_ref().map(|version| version.print.id().to_string()) else {
            return Err(of_pins((PinFault::Settled(format!("{server}.{tool}")), None)));
        };
        // Under the file's lock it is looked at once more, by the hash of what was seen.
        let one = Decision { server: &server, tool: &tool, expected: Some(&proposed), by: &by };
        let done = if approves { file.approve(one) } else { file.reject(one) };
        let id = done.map_err(|fault| (fault.into(), now))?;
        let after = file.read().ok().and_then(|pins| pins.known(&server, &tool).map(of));
        Ok((id.to_string(), after.unwrap_or_default()))
    };
    let (hash, etag) = change::make((worker, record), wanted.clone(), job, refused).await?;
    record.decision = format!("{wanted}: {hash}");
    Ok(Told { status: 202, body: json!({ "tool": shown, "hash": hash, "etag": etag }), etag })
}

/// Why nothing was decided.
enum Undecided {
    /// The state has passed that it was decided for.
    Stale,
    Pins(PinFileFault),
}

impl From<PinFileFault> for Undecided {
    fn from(fault: PinFileFault) -> Self {
        match fault {
            PinFileFault::Decision(PinFault::Changed { .. }) => Self::Stale,
            other => Self::Pins(other),
        }
    }
}

fn of_pins((fault, now): change::Trouble<PinFault>) -> change::Trouble<Undecided> {
    (Undecided::Pins(fault.into()), now)
}

/// What a caller is told of a decision that was not made.
fn refused((fault, now): change::Trouble<Undecided>) -> CallError {
    match fault {
        Undecided::Stale => change::stale("/admin/tools", now),
        Undecided::Pins(PinFileFault::Decision(fault)) => {
            let code = match fault {
                PinFault::Unknown(_) => Code::NotFound,
                PinFault::Settled(_) | PinFault::Rejected(_) | PinFault::Changed { .. } => Code::Conflict,
            };
            CallError::new(code).context(fault.to_string())
        }
        Undecided::Pins(fault) => change::unreadable("pins", std::io::Error::other(fault.to_string())),
    }
}
