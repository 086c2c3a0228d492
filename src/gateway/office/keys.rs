//! Keys over HTTP: listed, made, revoked. A change is answered with 200 when every core goes by it.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::admin::api::tag::{self, Condition};
use crate::clock;
use crate::config::key_changes::{self, Changed};
use crate::config::key_file::{Created, KeyFault, KeyFile, NewKey, StoredKey};
use crate::config::key_terms;
use crate::config::shown::Shown;
use crate::config::snapshot::Snapshot;
use crate::error::{CallError, Code};
use crate::gateway::admin_view;
use crate::gateway::office::change::{self, Told};
use crate::gateway::office::door::Wish;
use crate::gateway::office::registrar::Office;
use crate::gateway::record::Record;
use crate::gateway::worker::Worker;
use crate::identity::principal::Principal;
use crate::identity::role::{Permission, Role};
use crate::ids::TeamName;
use crate::limits;

/// What went wrong in the thread, with the tag of the state that is there.
type Trouble = change::Trouble<KeyFault>;

/// Lists all keys.
///
/// # Errors
/// 500 when the key file cannot be read, 503 when that takes too long.
pub(in crate::gateway) async fn list(worker: &Worker, snapshot: &Snapshot) -> Result<Told, CallError> {
    let (shown, now_ms) = (Arc::clone(&snapshot.shown), clock::unix_ms(clock::wall()));
    // Thousands of rows take their time, which is not that of a core.
    let listed = worker.registrar.run(move |office| {
        let stored = office.keys.read()?;
        let mut rows = of_config(&shown, now_ms);
        rows.extend(stored.iter().map(row));
        let etag = of_list(&stored);
        Ok((json!({ "keys": rows, "etag": etag }), etag))
    });
    let (body, etag) = listed.await?.map_err(|fault| refused((fault, None)))?;
    Ok(Told { status: 200, etag, body })
}

/// The keys that stand in the config, by name.
fn of_config(shown: &Shown, now_ms: u64) -> Vec<Value> {
    let mut keys: Vec<_> = shown.keys.iter().filter(|key| key.origin == "config").collect();
    keys.sort_by(|one, two| one.name.cmp(&two.name));
    let rows = keys.into_iter().map(|key| {
        let mut row = serde_json::to_value(key).unwrap_or_default();
        let end = key.expires.as_deref().and_then(key_terms::unix_ms);
        let state = if end.is_some_and(|end| end <= now_ms) { "expired" } else { "valid" };
        if let Some(row) = row.as_object_mut() {
            row.insert("state".to_owned(), state.into());
        }
        row
    });
    rows.collect()
}

/// A stored key for people: all of it but the hash.
fn row(key: &StoredKey) -> Value {
    let mut shown = facts(key);
    shown.insert("state".to_owned(), state(key).into());
    shown.insert("origin".to_owned(), "key file".into());
    shown.insert("etag".to_owned(), of_one(key).into());
    Value::Object(shown)
}

const fn state(key: &StoredKey) -> &'static str {
    if key.is_valid() { "valid" } else { "revoked" }
}

fn facts(key: &StoredKey) -> Map<String, Value> {
    let mut shown = match serde_json::to_value(key) {
        Ok(Value::Object(shown)) => shown,
        Ok(_) | Err(_) => Map::new(),
    };
    shown.remove("sha256");
    shown
}

fn of_one(key: &StoredKey) -> String {
    tag::of(&serde_json::to_vec(key).unwrap_or_default())
}

fn of_list(keys: &[StoredKey]) -> String {
    tag::of(&serde_json::to_vec(keys).unwrap_or_default())
}

/// A key as an entry of the ledger tells it: short, and the same for the same key.
fn brief(key: &StoredKey) -> String {
    let mut shown = facts(key);
    shown.remove("created");
    shown.remove("name");
    let mut text = Value::Object(shown.clone()).to_string();
    if text.len() > limits::ADMIN_BRIEF_BYTES_MAX {
        // The patterns of models are what is long; how many there are can be told.
        let count = key.models.as_ref().map_or(0, Vec::len);
        shown.insert("models".to_owned(), count.into());
        text = Value::Object(shown).to_string();
    }
    text.truncate(text.floor_char_boundary(limits::ADMIN_BRIEF_BYTES_MAX));
    text
}

/// Makes a key.
///
/// # Errors
/// 400 for what is no name, team or pattern, 409 for a name that is taken, 412 for a state that has passed.
pub(in crate::gateway) async fn create(
    (worker, who): (&Worker, &Principal),
    snapshot: &Snapshot,
    wish: &Wish,
    body: Map<String, Value>,
    record: &mut Record,
) -> Result<Told, CallError> {
    let condition = wish.condition()?.clone();
    let new = new_key(body)?;
    if new.role.is_some() {
        admin_view::may(who, Permission::ChangeAdminKeys)?;
    }
    check(&new, snapshot)?;
    let wanted = format!("create key {}", new.name);
    let name = new.name.clone();
    let job = move |office: &Office| {
        let mut seen = None;
        let made = office.keys.create_if(new, |keys| {
            let named = key_changes::find(keys, &name).filter(|key| key.is_valid()).map(of_one);
            let list = of_list(keys);
            let fits = match &condition {
                Condition::Is(_) => condition.holds(Some(&list)),
                Condition::Absent => condition.holds(named.as_deref()),
            };
            seen = Some(if condition == Condition::Absent { named.unwrap_or(list) } else { list });
            fits
        });
        made.map_err(|fault| (fault, seen))
    };
    let made = change::make((worker, record), wanted, job, refused).await?;
    let was = format!("create key {}: null", made.stored.name);
    Ok(shown_once(worker, record, &was, made).await)
}

/// Tells of a key that was just made, with its secret.
async fn shown_once(worker: &Worker, record: &mut Record, was: &str, made: Created) -> Told {
    let Created { stored, secret } = made;
    let body = json!({ "key": secret.expose(), "name": stored.name, "id": stored.id });
    done(worker, record, was, (&stored, body)).await
}

/// Makes another secret for a key.
///
/// # Errors
/// 400 for what is no time, 404 for a key that is not there, 409 for one that is revoked, 412 for a state
/// that has passed.
pub(in crate::gateway) async fn rotate(
    (worker, who): (&Worker, &Principal),
    wish: &Wish,
    body: &Map<String, Value>,
    record: &mut Record,
) -> Result<Told, CallError> {
    let condition = wish.condition()?.clone();
    let bad = |text: String| CallError::new(Code::BadRequest).context(text);
    let text = |name: &str| body.get(name).and_then(Value::as_str);
    let overlap = text("overlap").map_or(Ok(limits::KEY_OVERLAP_DEFAULT), |text| {
        let read = humantime::parse_duration(text).ok().filter(|overlap| *overlap <= limits::KEY_OVERLAP_MAX);
        read.ok_or_else(|| bad(format!("overlap: {text:?} is no while such as 24h, of 31 days at most")))
    })?;
    let expires = text("expires")
        .map(|end| key_terms::end(end, clock::wall()).map_err(|why| bad(format!("expires: {why}"))))
        .transpose()?;
    let name = wish.name.clone();
    let all = admin_view::may(who, Permission::ChangeAdminKeys).is_ok();
    let wanted = format!("rotate key {name}");
    let job = move |office: &Office| {
        owners_alone(&office.keys, &name, all)?;
        let mut seen = None;
        let made = office.keys.rotate_if(&name, (overlap, expires), |key| {
            let now = of_one(key);
            let fits = condition.holds(Some(&now)) && (all || key.role().is_none());
            seen = Some(now);
            fits
        });
        made.map_err(|fault| (fault, seen))
    };
    let made = change::make((worker, record), wanted, job, refused).await?;
    let (name, before) = (&made.stored.name, made.stored.generation.saturating_sub(1));
    let was = format!("rotate key {name}: generation {before}");
    Ok(shown_once(worker, record, &was, made).await)
}

/// Revokes a key.
///
/// # Errors
/// 404 for a key that is not there, 409 for one that cannot be revoked here, 412 for a state that has passed.
pub(in crate::gateway) async fn revoke(
    (worker, who): (&Worker, &Principal),
    snapshot: &Snapshot,
    wish: &Wish,
    record: &mut Record,
) -> Result<Told, CallError> {
    let condition = wish.condition()?.clone();
    let name = wish.name.clone();
    let all = admin_view::may(who, Permission::ChangeAdminKeys).is_ok();
    let wanted = format!("revoke key {name}");
    let job = move |office: &Office| {
        owners_alone(&office.keys, &name, all)?;
        let mut seen = None;
        let may = |key: &StoredKey| all || key.role().is_none();
        let revoked = office.keys.revoke_if(&name, may, |key| {
            let now = of_one(key);
            let fits = condition.holds(Some(&now));
            seen = Some(now);
            fits
        });
        revoked.map_err(|fault| (fault, seen))
    };
    let told = |trouble: Trouble| {
        let is_there = || snapshot.keys.principals().any(|key| key.key.as_str() == wish.name);
        if matches!(trouble.0, KeyFault::Unknown(_)) && is_there() {
            let text = format!("the key {:?} stands in the config: remove it there", wish.name);
            return CallError::new(Code::Conflict).context(text);
        }
        refused(trouble)
    };
    let Changed { before, after } = change::make((worker, record), wanted, job, told).await?;
    let was = format!("revoke key {}: {}", after.name, brief(&before));
    let body = json!({ "name": after.name, "id": after.id, "state": state(&after) });
    Ok(done(worker, record, &was, (&after, body)).await)
}

/// Writes down what a change has made of a key, and answers once it is known whether that is in force.
async fn done(
    worker: &Worker,
    record: &mut Record,
    was: &str,
    (after, mut body): (&StoredKey, Value),
) -> Told {
    record.decision = format!("{was} -> {}", brief(after));
    let status = in_force(worker, after, &mut body).await;
    Told { status, etag: of_one(after), body }
}

/// Keys of administrators are changed by owners alone.
fn owners_alone(keys: &KeyFile, name: &str, all: bool) -> Result<(), Trouble> {
    let stored = keys.read().map_err(|fault| (fault, None))?;
    match key_changes::find(&stored, name).and_then(StoredKey::role) {
        Some(role) if !all => {
            let text = format!("the key {name:?} has the role {role}: only an owner may change it");
            Err((KeyFault::User(text), None))
        }
        _ => Ok(()),
    }
}

/// Has the keys read again, and says whether this one is in force as it is stored: 200, or 202.
async fn in_force(worker: &Worker, key: &StoredKey, body: &mut Value) -> u16 {
    let read = worker.registrar.reload("an administrator changed a key").await;
    // What counts is what the cores go by: each looks at the number of the newest snapshot with every
    // request.
    let snapshot = worker.snapshot();
    let known = snapshot.keys.principals().any(|known| *known.key_id == *key.id);
    let holds = known == key.is_valid();
    if let Some(members) = body.as_object_mut() {
        members.insert("in_force".to_owned(), holds.into());
        members.insert("config".to_owned(), snapshot.version.clone().into());
        members.insert("etag".to_owned(), of_one(key).into());
        if !holds {
            let why = read.err().unwrap_or_else(|| "the gateway has not taken it yet".to_owned());
            members.insert("why_not".to_owned(), why.into());
        }
    }
    if holds { 200 } else { 202 }
}

fn new_key(mut body: Map<String, Value>) -> Result<NewKey, CallError> {
    let bad = |text: String| CallError::new(Code::BadRequest).context(text);
    let mut text = |name: &str| match body.remove(name) {
        Some(Value::String(text)) => Some(text),
        _ => None,
    };
    let (name, team, user) = (text("name").unwrap_or_default(), text("team"), text("user"));
    let role = text("role").map(|word| {
        let found = Role::from_name(&word);
        found.ok_or_else(|| bad(format!("role: {word:?} is none of owner, operator, auditor and viewer")))
    });
    let expires = text("expires")
        .map(|end| key_terms::end(&end, clock::wall()).map_err(|why| bad(format!("expires: {why}"))));
    let service = body.get("service").and_then(Value::as_bool).unwrap_or_default();
    let list = |name: &str| {
        let texts = body.get(name).and_then(Value::as_array)?.iter().filter_map(Value::as_str);
        Some(texts.map(str::to_owned).collect::<Vec<_>>())
    };
    let (models, servers, regions) = (list("models"), list("servers"), list("regions"));
    if let Some(regions) = &regions {
        key_terms::regions(regions).map_err(|why| bad(format!("regions: {why}")))?;
    }
    let servers = servers.map(|texts| {
        let wrong = |wrong| bad(format!("servers: {wrong:?} is none; write github:read_* or github"));
        key_terms::grants(&texts).map_err(wrong)
    });
    let (role, expires, servers) = (role.transpose()?, expires.transpose()?, servers.transpose()?);
    if service && (expires.is_none() || (models.is_none() && servers.is_none())) {
        let text =
            "a service has an end, and what it is given here alone: say expires, and models or servers";
        return Err(bad(text.to_owned()));
    }
    // What is not named is no part of what a service does.
    let models = models.or_else(|| service.then(Vec::new));
    let servers = servers.or_else(|| service.then(Vec::new));
    Ok(NewKey { name, team, user, role, service, models, servers, regions, expires })
}

/// What the command line refuses too.
fn check(new: &NewKey, snapshot: &Snapshot) -> Result<(), CallError> {
    let bad = |text: String| Err(CallError::new(Code::BadRequest).context(text));
    if let Some(team) = new.team.as_ref().filter(|team| snapshot.rules.team(&TeamName::new(team)).is_none()) {
        return bad(format!("the config has no team {team:?}: add it to `teams:` first"));
    }
    let most = limits::PATTERN_CHARS_MAX;
    let fits = |text: &&String| {
        !text.is_empty() && text.len() <= most && !text.chars().any(|c| c.is_control() || c == ' ')
    };
    let texts = new.models.iter().flatten().chain(&new.user);
    for text in texts {
        if !fits(&text) {
            return bad(format!("{text:?}: users and models are 1 to {most} characters without spaces"));
        }
    }
    if new.regions.as_ref().is_some_and(Vec::is_empty) {
        return bad("regions: without a region nothing can be called; leave it out for no limit".to_owned());
    }
    if new.models.as_ref().is_some_and(Vec::is_empty) && !new.service {
        return bad("models: a list without a pattern allows nothing; leave it out for no limit".to_owned());
    }
    let config = &snapshot.shown.keys;
    if config.iter().any(|key| key.name == new.name && key.origin == "config") {
        let text = format!("the config has a key named {:?}: choose another name", new.name);
        return Err(CallError::new(Code::Conflict).context(text));
    }
    Ok(())
}

/// What a caller is told of a change that was not made.
fn refused((fault, seen): Trouble) -> CallError {
    let code = match &fault {
        KeyFault::Io { .. } | KeyFault::Damaged { .. } | KeyFault::Random(_) => {
            return change::unreadable("key file", fault);
        }
        KeyFault::Stale => return change::stale("/admin/keys", seen),
        KeyFault::NameTaken(_) | KeyFault::Revoked(_) | KeyFault::Full => Code::Conflict,
        KeyFault::Name(_) => Code::BadRequest,
        KeyFault::User(_) => Code::Forbidden,
        KeyFault::Unknown(_) => Code::NotFound,
    };
    let text = match &fault {
        KeyFault::Unknown(name) => format!("no key has the name or id {name:?}: see GET /admin/keys"),
        other => other.to_string(),
    };
    CallError::new(code).context(text)
}
