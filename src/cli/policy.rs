//! `tollgate policy`: what the rules say of a call, and what another config would say of those in the ledger.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use serde::Serialize;
use serde_json::json;

use crate::call::Class;
use crate::cli::entries::{self, count, or_dash};
use crate::cli::ledger_args::Zone;
use crate::cli::output::{Failure, Output};
use crate::cli::policy_args::{Explain, PolicyCommand, Test};
use crate::cli::table::{columns, plain};
use crate::clock;
use crate::config::load;
use crate::gateway::trial::{Call, PlaceVerdict, Trial, Verdict, stand_in};
use crate::ledger::entry::{Entry, Kind};
use crate::limits;
use crate::net::terminal;

/// Runs one of the commands.
pub(crate) fn run(
    config: Option<&Path>,
    command: PolicyCommand,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    match command {
        PolicyCommand::Explain(wish) => explain(config, &wish, output),
        PolicyCommand::Test(wish) => test(config, &wish, output),
    }
}

fn explain(config: Option<&Path>, wish: &Explain, output: &mut Output<'_>) -> Result<(), Failure> {
    let call = match (&wish.model, &wish.call) {
        (Some(model), _) => Call::Model(model),
        (None, call) => {
            let call = call.as_deref().unwrap_or_default();
            let Some((server, tool)) = call.split_once('.') else {
                return Err(Failure::Usage(format!(
                    "--call {call:?}: write SERVER.TOOL, such as github.get_me"
                )));
            };
            Call::Tool { server, tool, class: wish.class.class() }
        }
    };
    let loaded = load::read(config)?;
    let trial = Trial::of(&loaded.snapshot);
    let Some(key) = trial.key(&wish.key) else {
        let text = format!("no valid key has the name or id {:?}: see `tollgate key list`", wish.key);
        return Err(Failure::Refused(text));
    };
    let verdict = trial.verdict(key, call, now_ms());
    let team = key.team.as_ref().map_or("", |team| team.as_str());
    if !wish.json {
        return output.text(&told(&verdict, key.key.as_str(), team));
    }
    let place = |one: &PlaceVerdict| {
        let PlaceVerdict { place, model, allowed } = one;
        json!({ "place": place, "model": model, "allowed": allowed })
    };
    output.json(&json!({
        "key": key.key.as_str(),
        "key_id": &*key.key_id,
        "team": team,
        "allowed": verdict.allowed,
        "why": verdict.why,
        "meant": verdict.meant,
        "deprecated": verdict.deprecated,
        "places": verdict.places.iter().map(place).collect::<Vec<_>>(),
        "config": loaded.snapshot.version,
    }))
}

/// A verdict for people.
fn told(verdict: &Verdict, key: &str, team: &str) -> String {
    let of = if team.is_empty() { "of no team".to_owned() } else { format!("team {team}") };
    let mut out = format!("key {key}, {of}\n");
    let mut line = |word: &str, text: &str| out.push_str(&format!("{word:11} {}\n", plain(text)));
    line(if verdict.allowed { "allowed" } else { "refused" }, &verdict.why);
    if let Some(meant) = &verdict.meant {
        line("means", meant);
    }
    if let Some(notice) = &verdict.deprecated {
        line("deprecated", notice);
    }
    for PlaceVerdict { place, model, allowed } in &verdict.places {
        let asked = model.as_ref().map_or_else(String::new, |model| format!(", asked for {model}"));
        line(if *allowed { "  may run" } else { "  may not" }, &format!("{place}{asked}"));
    }
    out
}

/// Whose calls of what: each pair is decided once.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
struct Made {
    key_id: String,
    key: String,
    team: String,
    what: What,
}

/// What was called.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
enum What {
    Model(String),
    Tool(String, String, Class),
    Server(String),
}

impl What {
    /// What an entry is about; nothing for what no rule decides.
    fn of(entry: &Entry) -> Option<Self> {
        let server = || (!entry.server.is_empty()).then(|| entry.server.clone());
        match entry.kind {
            Kind::ModelCall | Kind::CountTokens if !entry.model.is_empty() => {
                Some(Self::Model(entry.model.clone()))
            }
            Kind::ToolCall => Some(Self::Tool(server()?, entry.tool.clone(), entry.class)),
            Kind::ResourceRead | Kind::PromptGet => Some(Self::Server(server()?)),
            _ => None,
        }
    }

    fn call(&self) -> Call<'_> {
        match self {
            Self::Model(model) => Call::Model(model),
            Self::Tool(server, tool, class) => Call::Tool { server, tool, class: *class },
            Self::Server(server) => Call::Server(server),
        }
    }

    fn shown(&self) -> String {
        match self {
            Self::Model(model) => plain(model),
            Self::Tool(server, tool, _) => plain(&format!("{server}.{tool}")),
            Self::Server(server) => format!("{} (prompts and resources)", plain(server)),
        }
    }
}

/// Calls that would be decided otherwise.
#[derive(Serialize)]
struct Change {
    change: &'static str,
    calls: u64,
    key: String,
    key_id: String,
    team: String,
    what: String,
    /// What the config that holds says.
    now: String,
    /// What the other one would say.
    then: String,
}

fn test(config: Option<&Path>, wish: &Test, output: &mut Output<'_>) -> Result<(), Failure> {
    let (made, seen) = made(config, &wish.against, output)?;
    let (holds, other) = (load::read(config)?, load::read(Some(&wish.policy))?);
    let (now, then) = (Trial::of(&holds.snapshot), Trial::of(&other.snapshot));
    let at = now_ms();
    let mut changes = Vec::new();
    for (Made { key_id, key, team, what }, calls) in made {
        let gone = stand_in(&key, &key_id, &team);
        let old_key = now.key(&key_id).unwrap_or(&gone);
        let old = now.verdict(old_key, what.call(), at);
        let new = then.verdict(then.key(&key_id).unwrap_or(old_key), what.call(), at);
        let change = match (old.allowed, new.allowed) {
            (true, false) => "refused",
            (false, true) => "allowed",
            _ => continue,
        };
        changes.push(Change {
            change,
            calls,
            key,
            key_id,
            team,
            what: what.shown(),
            now: old.why,
            then: new.why,
        });
    }
    // What would be refused comes first, and of that what is called most.
    changes.sort_by(|one, two| (two.change, two.calls).cmp(&(one.change, one.calls)));
    let calls: u64 = changes.iter().map(|change| change.calls).sum();
    let versions = (&holds.snapshot.version, &other.snapshot.version);
    if wish.json {
        output.json(&json!({ "calls": seen, "changed": calls, "changes": changes,
                             "config": versions.0, "policy": versions.1 }))?;
    } else {
        output.text(&table(&changes, terminal::columns()))?;
        output.note(&format!("{calls} of {seen} calls would be decided otherwise"))?;
    }
    match wish.fail_on_change && calls > 0 {
        true => Err(Failure::Refused(format!("{calls} calls would be decided otherwise"))),
        false => Ok(()),
    }
}

/// What the ledger has, added up, and how many calls that is.
fn made(
    config: Option<&Path>,
    against: &str,
    output: &mut Output<'_>,
) -> Result<(BTreeMap<Made, u64>, u64), Failure> {
    let search =
        against.strip_prefix("last:").map_or_else(|| against.to_owned(), |age| format!("since:{age}"));
    let now = entries::now(&Zone { name: None })?;
    let query = entries::query(&[search], &now)?;
    let mut reader = entries::open(config, output)?;
    let (mut from, end) = (0, reader.next()?);
    let mut sums: HashMap<Made, u64> = HashMap::new();
    let (mut seen, mut left_out) = (0, 0);
    while from < end {
        let found = reader.since(&query, from, limits::PAGE_ENTRIES_MAX)?;
        from = found.next.unwrap_or(end);
        for hit in &found.hits {
            let Entry { key_id, key, team, .. } = &hit.entry;
            let Some(what) = What::of(&hit.entry).filter(|_| !key_id.is_empty()) else { continue };
            seen += 1;
            let made = Made { key_id: key_id.clone(), key: key.clone(), team: team.clone(), what };
            if sums.len() < limits::POLICY_TEST_PAIRS_MAX || sums.contains_key(&made) {
                *sums.entry(made).or_default() += 1;
            } else {
                left_out += 1;
            }
        }
    }
    if left_out > 0 {
        let text = format!("warning: {left_out} calls were not looked at; ask for a shorter time");
        output.note(&text)?;
    }
    Ok((sums.into_iter().collect(), seen))
}

fn table(changes: &[Change], width: Option<usize>) -> String {
    if changes.is_empty() {
        return "no call would be decided otherwise".to_owned();
    }
    let mut rows = vec![["WOULD BE", "CALLS", "KEY", "TEAM", "WHAT", "WHY"].map(str::to_owned)];
    rows.extend(changes.iter().map(|change| {
        let (key, team) = (or_dash(&change.key), or_dash(&change.team));
        [change.change.to_owned(), count(change.calls), key, team, change.what.clone(), plain(&change.then)]
    }));
    columns(&rows, &[1], width)
}

fn now_ms() -> u64 {
    clock::unix_ms(clock::wall())
}
