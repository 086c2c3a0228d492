//! `tollgate key`: virtual keys made, listed and revoked.

use std::path::Path;

use serde::Serialize;

use crate::cli::args::KeyCommand;
use crate::cli::claude;
use crate::cli::output::{Failure, Output};
use crate::cli::table;
use crate::config::key_file::{KeyFile, NewKey};
use crate::config::outline::{self, Outline};
use crate::limits;

/// Runs one of the three.
pub(crate) fn run(
    config: Option<&Path>,
    command: KeyCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let outline = outline::outline(config)?;
    let file = KeyFile::of(&outline.data_dir);
    match command {
        KeyCommand::Create { name, team, user, admin, models, json } => {
            let models = (!models.is_empty()).then_some(models);
            create(&outline, &file, NewKey { name, team, user, admin, models }, json, output)
        }
        KeyCommand::List { json } => list(&outline, &file, json, output),
        KeyCommand::Revoke { name_or_id } => revoke(&outline, &file, &name_or_id, output),
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
    models: Option<&'a [String]>,
    base_url: &'a str,
}

fn create(
    outline: &Outline,
    file: &KeyFile,
    wish: NewKey,
    json: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    if let Some(team) = &wish.team
        && !outline.teams.contains(team)
    {
        let known = if outline.teams.is_empty() { "none".to_owned() } else { outline.teams.join(", ") };
        return Err(Failure::Refused(format!("the config has no team {team:?}; known: {known}")));
    }
    if outline.keys.iter().any(|key| key.name == wish.name) {
        return Err(Failure::Refused(format!(
            "the config has a key named {:?}: choose another name",
            wish.name
        )));
    }
    let max = limits::PATTERN_CHARS_MAX;
    let fits = |text: &String| {
        !text.is_empty() && text.len() <= max && !text.chars().any(|c| c.is_control() || c == ' ')
    };
    if let Some(wrong) = wish.models.iter().flatten().find(|pattern| !fits(pattern)) {
        return Err(Failure::Usage(format!(
            "{wrong:?} is no model name: use 1 to {max} characters without spaces"
        )));
    }
    if let Some(user) = wish.user.as_ref().filter(|user| !fits(user)) {
        let text = format!("{user:?} is no user: use 1 to {max} characters without spaces");
        return Err(Failure::Usage(text));
    }
    let created = file.create(wish)?;
    let url = claude::base_url(&outline.listen, outline.tls);
    let (stored, key) = (&created.stored, created.secret.expose());
    if json {
        return output.json(&CreatedForm {
            name: &stored.name,
            id: &stored.id,
            key,
            team: stored.team.as_deref(),
            user: stored.user.as_deref(),
            admin: stored.admin,
            models: stored.models.as_deref(),
            base_url: &url,
        });
    }
    output.note(&format!("key {:?} was made, id {}; it is shown only now", stored.name, stored.id))?;
    output.text(&format!("{key}\n\n{}", claude::exports(&url, Some(key))))
}

/// One row of the list.
#[derive(Serialize)]
struct Row {
    name: String,
    id: Option<String>,
    team: Option<String>,
    user: Option<String>,
    admin: bool,
    models: Option<Vec<String>>,
    created: Option<String>,
    /// `config`, `valid` or `revoked TIME`.
    state: String,
}

fn list(outline: &Outline, file: &KeyFile, json: bool, output: &mut Output<'_>) -> Result<(), Failure> {
    let config = outline.keys.iter().cloned().map(|key| Row {
        name: key.name,
        id: key.id,
        team: key.team,
        user: key.user,
        admin: key.admin,
        models: key.models,
        created: None,
        state: "config".to_owned(),
    });
    let stored = file.read()?.into_iter().map(|key| Row {
        state: key.revoked.as_ref().map_or_else(|| "valid".to_owned(), |at| format!("revoked {at}")),
        name: key.name,
        id: Some(key.id),
        team: key.team,
        user: key.user,
        admin: key.admin,
        models: key.models,
        created: Some(key.created),
    });
    let rows: Vec<Row> = config.chain(stored).collect();
    if json { output.json(&rows) } else { output.text(&table(&rows)) }
}

fn table(rows: &[Row]) -> String {
    let or_dash = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
    let mut cells = vec![["NAME", "ID", "TEAM", "USER", "MODELS", "CREATED", "STATE"].map(str::to_owned)];
    cells.extend(rows.iter().map(|row| {
        let models = match &row.models {
            _ if row.admin => "(admin)".to_owned(),
            Some(models) => models.join(","),
            None => "-".to_owned(),
        };
        let (id, team, user) = (or_dash(&row.id), or_dash(&row.team), or_dash(&row.user));
        [row.name.clone(), id, team, user, models, or_dash(&row.created), row.state.clone()]
    }));
    table::columns(&cells, &[], None)
}

fn revoke(
    outline: &Outline,
    file: &KeyFile,
    name_or_id: &str,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let revoked = file.revoke(name_or_id).map_err(|fault| {
        let in_config =
            |key: &outline::ConfigKey| key.name == name_or_id || key.id.as_deref() == Some(name_or_id);
        if outline.keys.iter().any(in_config) {
            return Failure::Refused(format!("the key {name_or_id:?} stands in the config: remove it there"));
        }
        fault.into()
    })?;
    output.text(&format!("key {:?}, id {}, is revoked", revoked.name, revoked.id))
}
