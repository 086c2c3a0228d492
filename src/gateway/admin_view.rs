//! What an administrator sees, by role: the whole ledger, or who did what without what was said.

use serde_json::Value;

use crate::error::{CallError, Code};
use crate::identity::principal::Principal;
use crate::identity::role::Permission;

/// Fields that may be searched by those who do not see what was said. Others have words of it in them, and
/// whoever can search for a word can find out whether it was said.
const PLAIN_FIELDS: &[&str] = &[
    "kind", "class", "id", "prompt", "upstream", "use", "status", "cost", "took", "tokens", "key", "team",
    "user", "session", "model", "provider", "server", "tool", "outcome", "client", "method", "agent",
    "region", "stop", "action", "since", "until", "day",
];

/// Whether somebody may do something at `/admin`.
///
/// # Errors
/// 403 that says which role there is, and what it does not allow.
pub(super) fn may(who: &Principal, what: Permission) -> Result<(), CallError> {
    match who.role {
        Some(role) if role.may(what) => Ok(()),
        role => {
            let role = role.map_or("none", |role| role.name());
            let text = format!("key \"{}\" may not {}: its role is {role}", who.key, what.words());
            Err(CallError::new(Code::Forbidden).context(text))
        }
    }
}

/// Whether somebody sees what was said. Where not, searches for it are refused.
///
/// # Errors
/// 403 for a search in what was said.
pub(super) fn sees_contents(who: &Principal, parameters: &[(String, String)]) -> Result<bool, CallError> {
    let denied = may(who, Permission::ReadContents);
    let searches = parameters.iter().any(|(name, value)| name == "q" && !is_plain(value));
    if searches {
        denied.map_err(|_denial| {
            let role = who.role.map_or("none", |role| role.name());
            let text = format!(
                "key \"{}\" may not search in what was said, its role is {role}: search by fields such as \
                 user: team: tool: status: since: alone",
                who.key
            );
            CallError::new(Code::Forbidden).context(text)
        })?;
        return Ok(true);
    }
    Ok(denied.is_ok())
}

/// Whether a search is about plain fields alone: words of the form `field:value`, with or without a minus.
fn is_plain(query: &str) -> bool {
    query.split_whitespace().all(|word| {
        let field = word.trim_start_matches('-').split_once(':');
        field.is_some_and(|(field, value)| PLAIN_FIELDS.contains(&field) && !value.contains(['"', '(', ')']))
    })
}

/// The answer about entries without what was said in them: what actions were about, errors and decisions in
/// words of callers, names of resources, the way to kept bodies.
pub(super) fn without_contents(body: &[u8]) -> Vec<u8> {
    let mut form: Value = serde_json::from_slice(body).unwrap_or_default();
    let entries = form.get_mut("entries").and_then(Value::as_array_mut);
    for entry in entries.into_iter().flatten().filter_map(Value::as_object_mut) {
        for field in ["content", "error", "decision", "marks"] {
            entry.remove(field);
        }
        let says = |field: &str| entry.get(field).and_then(Value::as_str).unwrap_or_default();
        let method = says("method");
        let names_resource = method.starts_with("resources/") || method == "completion/complete";
        if says("kind") == "resource_read" || names_resource {
            entry.remove("tool");
        }
        let actions = entry.get_mut("actions").and_then(Value::as_array_mut);
        for action in actions.into_iter().flatten().filter_map(Value::as_object_mut) {
            action.remove("detail");
        }
    }
    form.to_string().into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::role::Role;
    use crate::ids::KeyName;
    use serde_json::json;

    fn somebody(role: Role) -> Principal {
        Principal { role: Some(role), ..Principal::of_key(KeyName::new("root"), "0123456789ab") }
    }

    #[test]
    fn searches_by_fields_are_for_all_and_searches_in_words_are_not() {
        let plain = ["", "user:ana since:7d", "-status:200 tool:Bash*", "team:web kind:tool_call"];
        let others =
            ["rm", "user:ana rm", "error:denied", "decision:x", "\"rm -rf\"", "path:/etc", "(user:ana)"];
        for role in Role::ALL {
            let sees = |query: &str| {
                let asked = [("q".to_owned(), query.to_owned())];
                sees_contents(&somebody(role), &asked).ok()
            };
            let all = role.may(Permission::ReadContents);
            for query in plain {
                assert_eq!(sees(query), Some(all), "{role} {query}");
            }
            for query in others {
                assert_eq!(sees(query), all.then_some(true), "{role} {query}");
            }
        }
    }

    #[test]
    fn what_was_said_is_left_out() {
        let action = json!({"id": "a", "name": "Bash", "class": "write", "detail": "rm -rf /"});
        let call = json!({"id": "1", "kind": "model_call", "actions": [action], "content": "ab", "error": "e",
            "user": "ana"});
        let read =
            json!({"id": "2", "kind": "resource_read", "tool": "file:///etc/passwd", "server": "files"});
        let other =
            json!({"id": "3", "kind": "mcp_other", "tool": "file:///etc", "method": "completion/complete"});
        let body = json!({"entries": [call, read, other], "next": 7}).to_string();
        let found: Value = serde_json::from_slice(&without_contents(body.as_bytes())).unwrap();
        let action = json!({"id": "a", "name": "Bash", "class": "write"});
        let call = json!({"id": "1", "kind": "model_call", "actions": [action], "user": "ana"});
        let read = json!({"id": "2", "kind": "resource_read", "server": "files"});
        let other = json!({"id": "3", "kind": "mcp_other", "method": "completion/complete"});
        assert_eq!(found, json!({"entries": [call, read, other], "next": 7}));
    }
}
