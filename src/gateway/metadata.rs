//! Where a client finds out who signs people in: the metadata of a protected resource (RFC 9728), and the
//! challenge that leads there. Both exist only where the config names issuers.

use serde_json::json;

use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::caller::Caller;
use crate::gateway::record::Record;
use crate::gateway::worker::Worker;
use crate::mcp::origin::Doors;

/// Where the metadata of a resource is: before the resource's own path.
pub(super) const PATH: &str = "/.well-known/oauth-protected-resource";

/// Serves the metadata of the MCP endpoint at `path`.
///
/// # Errors
/// 404 without issuers, 403 for a `Host` that is not let in.
pub(super) async fn serve(
    worker: &Worker,
    caller: &mut Caller,
    path: &str,
    record: &mut Record,
) -> Result<(), CallError> {
    let snapshot = worker.snapshot();
    let (mcp, input) = (&snapshot.mcp, caller.stream.input());
    let header = |name| caller.head.headers.first(input, name);
    // A page elsewhere may read it, as the standard wants: there is nothing in it that is not for everybody.
    let doors = Doors { hosts: &mcp.allowed_hosts, origins: &mcp.allowed_origins, loopback: worker.loopback };
    if !doors.admit(header("host"), None) {
        return Err(CallError::new(Code::Forbidden).context("this Host is not let in"));
    }
    let base = base(caller, &snapshot).ok_or(Code::NotFound)?;
    let mut issuers: Vec<&str> = Vec::new();
    for issuer in &snapshot.identity.issuers {
        if !issuers.contains(&&*issuer.terms.issuer) {
            issuers.push(&issuer.terms.issuer);
        }
    }
    let form = json!({
        "resource": format!("{base}{path}"),
        "authorization_servers": issuers,
        "bearer_methods_supported": ["header"],
        "resource_name": "Tollgate",
    });
    let lines: [(&str, &[u8]); 1] = [("cache-control", b"max-age=300")];
    let sent = caller.reply(record, 200, "application/json", &lines, form.to_string().as_bytes()).await;
    sent.map_err(|fault| CallError::new(Code::RequestTimeout).source(fault))
}

/// A refusal with the way to sign in, where there is one and the caller is one of MCP.
pub(super) fn challenged(caller: &Caller, snapshot: &Snapshot, error: CallError) -> CallError {
    let (path, _) = caller.head.path_and_query(caller.stream.input());
    let path = str::from_utf8(path).unwrap_or_default().trim_end_matches('/');
    let is_mcp = path.split('/').any(|part| part == "mcp");
    if error.code() != Code::Unauthenticated || !is_mcp || !is_plain(path) {
        return error;
    }
    match base(caller, snapshot) {
        None => error,
        Some(base) => {
            let challenge = format!("Bearer realm=\"tollgate\", resource_metadata=\"{base}{PATH}{path}\"");
            error.headers(vec![("www-authenticate", challenge)])
        }
    }
}

/// Where callers reach us, by the config or by the word of this caller; nothing without issuers.
fn base(caller: &Caller, snapshot: &Snapshot) -> Option<String> {
    let identity = &snapshot.identity;
    if identity.issuers.is_empty() {
        return None;
    }
    if let Some(url) = &identity.public_url {
        return Some(url.clone());
    }
    let host = str::from_utf8(caller.head.headers.first(caller.stream.input(), "host")?).ok()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte);
    let scheme = if snapshot.server_tls.is_some() { "https" } else { "http" };
    (!host.is_empty() && host.bytes().all(plain)).then(|| format!("{scheme}://{host}"))
}

/// Whether a path can stand in a header as it is.
fn is_plain(path: &str) -> bool {
    path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-".contains(&byte))
}
