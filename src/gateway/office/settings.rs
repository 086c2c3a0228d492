//! The config over HTTP: as it is in force, and what another one would be.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::admin::api::difference::difference;
use crate::config::faults::Faults;
use crate::config::load;
use crate::config::shown::{MASK, Shown};
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::office::masks;
use crate::gateway::worker::Worker;
use crate::limits;

/// What the config that is in force says; its secrets are masked, and what could be one.
pub(in crate::gateway) fn shown(snapshot: &Snapshot) -> Value {
    let mut shown = serde_json::to_value(&*snapshot.shown).unwrap_or_default();
    masks::mask("", &mut shown);
    shown
}

/// Checks another config, given as `yaml`, and tells what is wrong with it or what it would change.
///
/// # Errors
/// 400 for one that is too large, 503 when it cannot be looked at now.
pub(in crate::gateway) async fn check(
    worker: &Worker,
    snapshot: &Snapshot,
    mut body: Map<String, Value>,
) -> Result<Value, CallError> {
    let Some(Value::String(yaml)) = body.remove("yaml") else { return Err(Code::BadRequest.into()) };
    if u64::try_from(yaml.len()).unwrap_or(u64::MAX) > limits::CONFIG_BYTES_MAX {
        let text = format!("yaml: a config has at most {} bytes", limits::CONFIG_BYTES_MAX);
        return Err(CallError::new(Code::BadRequest).context(text));
    }
    let running = Arc::clone(&snapshot.shown);
    let checked = worker.registrar.run(move |office| {
        let loaded = load::check(yaml.as_bytes(), office.path.as_deref(), &office.data_dir);
        // A large config takes its time, which is not that of a core.
        loaded.map(|loaded| would_be(&running, &loaded.shown, &loaded.warnings))
    });
    Ok(match checked.await? {
        Ok(told) => told,
        Err(faults) => wrong(&snapshot.version, &faults),
    })
}

fn would_be(running: &Shown, other: &Shown, warnings: &[String]) -> Value {
    let value = |shown: &Shown| {
        let mut value = serde_json::to_value(shown).unwrap_or_default();
        if let Some(members) = value.as_object_mut() {
            members.remove("version");
        }
        value
    };
    let (mut changes, more) = difference(&value(running), &value(other));
    for change in &mut changes {
        // A proxy may come from any variable of our environment, whose owner did not mean to show it.
        let path = change["path"].as_str().unwrap_or_default().to_owned();
        for side in ["before", "after"] {
            mask(change.get_mut(side), path.ends_with("proxy"));
            change.get_mut(side).into_iter().for_each(|value| masks::mask(&path, value));
        }
    }
    json!({
        "ok": true,
        "running": running.version,
        "version": other.version,
        "changes": changes,
        "more_changes": more,
        "warnings": warnings,
    })
}

/// Masks what `proxy` members hold.
fn mask(value: Option<&mut Value>, secret: bool) {
    match value {
        Some(Value::Object(members)) => {
            members.iter_mut().for_each(|(name, value)| mask(Some(value), name.as_str() == "proxy"));
        }
        Some(Value::Array(list)) => list.iter_mut().for_each(|value| mask(Some(value), secret)),
        Some(value) if secret && !value.is_null() => *value = MASK.into(),
        Some(_) | None => {}
    }
}

fn wrong(running: &str, faults: &Faults) -> Value {
    let told = faults.list().iter().map(|fault| {
        json!({
            "file": &*fault.file,
            "line": fault.mark.line,
            "column": fault.mark.column,
            "text": fault.text,
        })
    });
    json!({ "ok": false, "running": running, "faults": told.collect::<Vec<_>>() })
}
