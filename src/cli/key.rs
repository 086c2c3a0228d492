//! `tollgate key`: virtual keys made, listed, rotated and revoked.

use std::path::Path;
use std::time::SystemTime;

use serde::Serialize;

use crate::cli::claude;
use crate::cli::key_args::{KeyCommand, KeyCreate, KeyRevoke, KeyRotate};
use crate::cli::output::{Failure, Output};
use crate::cli::table;
use crate::clock;
use crate::config::key_file::{Created, KeyFile, NewKey, StoredKey};
use crate::config::key_terms::{self, Grant};
use crate::config::outline::{self, Outline};
use crate::identity::role::Role;
use crate::limits;

/// Runs one of them.
pub(crate) fn run(
    config: Option<&Path>,
    command: KeyCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let outline = outline::outline(config)?;
    let file = KeyFile::of(&outline.data_dir);
    match command {
        KeyCommand::Create(wish) => create(&outline, &file, wish, output),
        KeyCommand::Rotate(wish) => rotate(&outline, &file, &wish, output),
        KeyCommand::List { json } => list(&outline, &file, json, output),
        KeyCommand::Revoke(KeyRevoke { user: Some(user), undo, .. }) => {
            file.revoke_user(&user, !undo)?;
            output.text(&format!("the user {user:?} is {}", if undo { "let in again" } else { "revoked" }))
        }
        KeyCommand::Revoke(KeyRevoke { name_or_id, .. }) => {
            revoke(&outline, &file, &name_or_id.unwrap_or_default(), output)
        }
    }
}

/// What `--json` prints of a new key.
#[derive(Serialize)]
struct CreatedForm<'a> {
    name: &'a str,
    id: &'a str,
    key: &'a str,
    team: Option<&'a str>,
    user: Option<&'a str>,
    admin: bool,
    role: Option<&'static str>,
    service: bool,
    models: Option<&'a [String]>,
    servers: Option<&'a [Grant]>,
    regions: Option<&'a [String]>,
    generation: u32,
    expires: Option<&'a str>,
    base_url: &'a str,
}

/// From what was said to what is to be made.
fn wished(outline: &Outline, said: KeyCreate) -> Result<NewKey, Failure> {
    let KeyCreate { name, team, user, service, admin, role, models, servers, regions, expires, .. } = said;
    if let Some(team) = &team
        && !outline.teams.contains(team)
    {
        let known = if outline.teams.is_empty() { "none".to_owned() } else { outline.teams.join(", ") };
        return Err(Failure::Refused(format!("the config has no team {team:?}; known: {known}")));
    }
    if outline.keys.iter().any(|key| key.name == name) {
        return Err(Failure::Refused(format!("the config has a key named {name:?}: choose another name")));
    }
    let max = limits::PATTERN_CHARS_MAX;
    let fits = |text: &String| {
        !text.is_empty() && text.len() <= max && !text.chars().any(|c| c.is_control() || c == ' ')
    };
    if let Some(wrong) = models.iter().find(|pattern| !fits(pattern)) {
        return Err(Failure::Usage(format!(
            "{wrong:?} is no model name: use 1 to {max} characters without spaces"
        )));
    }
    if let Some(user) = user.as_ref().filter(|user| !fits(user)) {
        let text = format!("{user:?} is no user: use 1 to {max} characters without spaces");
        return Err(Failure::Usage(text));
    }
    let servers = key_terms::grants(&servers).map_err(|wrong| {
        Failure::Usage(format!("{wrong:?} is no server: write SERVER or SERVER:TOOL, with * in either"))
    })?;
    key_terms::regions(&regions).map_err(|why| Failure::Usage(format!("--regions: {why}")))?;
    if service && models.is_empty() && servers.is_empty() {
        let text = "a service has what it is given here alone: write --models, --servers or both";
        return Err(Failure::Usage(text.to_owned()));
    }
    Ok(NewKey {
        name,
        team,
        user,
        role: role.map(Role::from).or_else(|| admin.then_some(Role::Owner)),
        service,
        // What is not named is no part of what a service does.
        models: (service || !models.is_empty()).then_some(models),
        servers: (service || !servers.is_empty()).then_some(servers),
        regions: (!regions.is_empty()).then_some(regions),
        expires: end(expires.as_deref())?,
    })
}

fn end(text: Option<&str>) -> Result<Option<SystemTime>, Failure> {
    let end = text.map(|text| key_terms::end(text, clock::wall())).transpose();
    end.map_err(|why| Failure::Usage(format!("--expires: {why}")))
}

fn create(
    outline: &Outline,
    file: &KeyFile,
    said: KeyCreate,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let json = said.json;
    let created = file.create(wished(outline, said)?)?;
    show(outline, &created, json, output)
}

fn rotate(
    outline: &Outline,
    file: &KeyFile,
    said: &KeyRotate,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let created = file.rotate(&said.name, said.overlap, end(said.expires.as_deref())?);
    let created = created.map_err(|fault| in_config(outline, &said.name, fault.into()))?;
    show(outline, &created, said.json, output)
}

fn show(outline: &Outline, created: &Created, json: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let url = claude::base_url(&outline.listen, outline.tls);
    let (stored, key) = (&created.stored, created.secret.expose());
    if json {
        return output.json(&CreatedForm {
            name: &stored.name,
            id: &stored.id,
            key,
            team: stored.team.as_deref(),
            user: stored.user.as_deref(),
            admin: stored.role().is_some(),
            role: stored.role().map(Role::name),
            service: stored.service,
            models: stored.models.as_deref(),
            servers: stored.servers.as_deref(),
            regions: stored.regions.as_deref(),
            generation: stored.generation,
            expires: stored.expires.as_deref(),
            base_url: &url,
        });
    }
    let end = stored.expires.as_ref().map(|end| format!(", good until {end}")).unwrap_or_default();
    let (name, id) = (&stored.name, &stored.id);
    let again = if stored.generation > 1 { format!(", secret {}", stored.generation) } else { String::new() };
    output.note(&format!("key {name:?} was made, id {id}{again}{end}; it is shown only now"))?;
    output.text(&format!("{key}\n\n{}", claude::exports(&url, Some(key))))
}

/// One row of the list.
#[derive(Serialize)]
struct Row {
    name: String,
    id: Option<String>,
    team: Option<String>,
    user: Option<String>,
    role: Option<&'static str>,
    service: bool,
    models: Option<Vec<String>>,
    servers: Option<Vec<Grant>>,
    regions: Option<Vec<String>>,
    /// How many secrets it has had, this one included.
    generation: u32,
    created: Option<String>,
    expires: Option<String>,
    /// `config`, `valid`, `rotated`, `expired` or `revoked TIME`.
    state: String,
}

fn list(outline: &Outline, file: &KeyFile, json: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let stored = file.read_all()?;
    let now = clock::wall();
    let config = outline.keys.iter().cloned().map(|key| Row {
        name: key.name,
        id: key.id,
        team: key.team,
        user: key.user,
        role: key.role.map(Role::name),
        service: false,
        models: key.models,
        servers: None,
        regions: key.regions,
        generation: 1,
        created: None,
        expires: key.until_ms.map(key_terms::text_ms),
        state: match key.until_ms {
            Some(until) if until <= clock::unix_ms(now) => "expired".to_owned(),
            _ => "config".to_owned(),
        },
    });
    let rows: Vec<Row> = config.chain(stored.keys.iter().map(|key| row(key, &stored.keys, now))).collect();
    if json {
        return output.json(&rows);
    }
    output.text(&table(&rows))?;
    for out in &stored.users {
        output.text(&format!("user {} is revoked since {}", out.user, out.revoked))?;
    }
    Ok(())
}

fn row(key: &StoredKey, all: &[StoredKey], now: SystemTime) -> Row {
    let newer =
        |other: &StoredKey| other.name == key.name && other.generation > key.generation && other.is_valid();
    let state = match &key.revoked {
        Some(at) => format!("revoked {at}"),
        None if !key.is_live(now) => "expired".to_owned(),
        None if all.iter().any(newer) => "rotated".to_owned(),
        None => "valid".to_owned(),
    };
    Row {
        name: key.name.clone(),
        id: Some(key.id.clone()),
        team: key.team.clone(),
        user: key.user.clone(),
        role: key.role().map(Role::name),
        service: key.service,
        models: key.models.clone(),
        servers: key.servers.clone(),
        regions: key.regions.clone(),
        generation: key.generation,
        created: Some(key.created.clone()),
        expires: key.expires.clone(),
        state,
    }
}

fn table(rows: &[Row]) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let list = |list: &[String]| if list.is_empty() { "(none)".to_owned() } else { list.join(",") };
    let head = [
        "NAME", "ID", "GEN", "TEAM", "USER", "ROLE", "MODELS", "SERVERS", "REGIONS", "CREATED", "EXPIRES",
        "STATE",
    ];
    let mut cells = vec![head.map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let servers = row.servers.as_ref().map(|grants| {
            let grants = grants.iter();
            list(
                &grants
                    .map(|grant| format!("{}:{}", grant.server, grant.tools.join("|")))
                    .collect::<Vec<_>>(),
            )
        });
        [
            row.name.clone(),
            or_dash(&row.id),
            row.generation.to_string(),
            or_dash(&row.team),
            or_dash(&row.user),
            row.role.unwrap_or(if row.service { "(service)" } else { "-" }).to_owned(),
            or_dash(&row.models.as_deref().map(list)),
            or_dash(&servers),
            or_dash(&row.regions.as_deref().map(list)),
            or_dash(&row.created),
            or_dash(&row.expires),
            row.state.clone(),
        ]
    }));
    table::columns(&cells, &[2], None)
}

/// What is wrong with a key that cannot be changed here, since it stands in the config.
fn in_config(outline: &Outline, name_or_id: &str, otherwise: Failure) -> Failure {
    let is_there = |key: &outline::ConfigKey| key.name == name_or_id || key.id.as_deref() == Some(name_or_id);
    if outline.keys.iter().any(is_there) {
        return Failure::Refused(format!("the key {name_or_id:?} stands in the config: change it there"));
    }
    otherwise
}

fn revoke(
    outline: &Outline,
    file: &KeyFile,
    name_or_id: &str,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let revoked = file.revoke(name_or_id).map_err(|fault| in_config(outline, name_or_id, fault.into()))?;
    for key in revoked {
        output.text(&format!("key {:?}, id {}, is revoked", key.name, key.id))?;
    }
    Ok(())
}
