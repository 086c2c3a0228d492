//! Tests of the index against a plain list of entries, which is what it must not differ from.

mod answers;
mod following;
mod offers;
mod parts;
mod queries;
mod searching;
mod spending;
mod storing;

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::ids::CallId;
use crate::ledger::entry::{Action, Class, Entry, Kind, Offer, Tokens};
use crate::ledger::index::query::{Now, Query};
use crate::ledger::index::search::Reader;
use crate::ledger::index::store::Store;

/// 2026-11-22, 12:00 UTC.
pub(super) const NOON: u64 = 1_795_348_800_000;

/// A folder that is gone when it is dropped.
#[derive(Debug)]
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Self {
        let mut random = [0; 8];
        getrandom::fill(&mut random).unwrap();
        let path = std::env::temp_dir().join(format!("tollgate-index-{:016x}", u64::from_ne_bytes(random)));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(super) fn index(&self) -> PathBuf {
        self.0.join("index.sqlite")
    }

    pub(super) fn store(&self) -> Store {
        Store::open(&self.index()).unwrap()
    }

    pub(super) fn reader(&self) -> Reader {
        Reader::open(&self.index()).unwrap()
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).unwrap();
    }
}

pub(super) fn now() -> Now {
    Now { ms: NOON, zone: TimeZone::UTC }
}

pub(super) fn query(text: &str) -> Query {
    Query::parse(text, &now()).unwrap()
}

/// An entry that is made of few values, so that many entries share some; `seed` chooses.
pub(super) fn entry(seed: u64) -> Entry {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut below = |bound: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % bound
    };
    let mut pick = |values: &[&str]| values[usize::try_from(below(values.len() as u64)).unwrap()].to_owned();
    let user = pick(&["ana", "ben", "cleo", ""]);
    let team = pick(&["platform", "web"]);
    let session = pick(&["s-1", "s-2", "s-3", ""]);
    let server = pick(&["github", "prod-db", "", ""]);
    let tool = pick(&["create_issue", "query", "drop.table"]);
    let model = pick(&["claude-sonnet-5", "claude-haiku-4-5", "gpt-6"]);
    let error = pick(&["", "", "connection refused by prod", "prod refused the connection", "Überlauf"]);
    let detail = pick(&["/srv/prod/app.yaml", "curl https://prod.example.com", "ls", "cargo test"]);
    let action = pick(&["Bash", "Write"]);
    let region = pick(&["eu", "us", ""]);
    let kind = Kind::ALL[usize::try_from(below(12)).unwrap()];
    let class = |number: u64| Class::ALL[usize::try_from(number).unwrap()];
    let actions = (0..below(3))
        .map(|number| Action {
            id: format!("toolu_{}", below(9)),
            name: action.clone(),
            class: class(below(4)),
            detail: if number == 0 { detail.clone() } else { String::new() },
        })
        .collect();
    let offers = (0..below(3)).map(|number| Offer {
        server: ["", "github"][usize::try_from(number).unwrap()].to_owned(),
        definitions: 1 + below(9),
        tokens: 100 + below(900),
        deferred: below(50),
        used: below(100),
    });
    let offers = offers.collect();
    Entry {
        took_us: below(10_000_000),
        key: format!("key-{}", below(3)),
        team,
        user,
        session,
        agent: format!("agent-{}", below(3)),
        prompt: format!("prompt-{}", below(4)),
        client: "claude-cli/2.1.330".to_owned(),
        upstream_id: format!("req_{seed}"),
        served_model: if below(2) == 0 { model.clone() } else { "claude-sonnet-5".to_owned() },
        model,
        provider: "anthropic".to_owned(),
        region,
        tool: thing(&server, kind, tool),
        server,
        class: class(below(4)),
        tool_use_id: format!("toolu_{}", below(9)),
        tokens: Tokens {
            input: below(1000),
            output: below(500),
            cache_read: below(90_000),
            ..Tokens::default()
        },
        cost_pico: if below(3) == 0 { 0 } else { below(300_000_000_000) },
        decision: "deny: teams.web.models[0]".to_owned(),
        status: [0, 200, 200, 403, 429, 529][usize::try_from(below(6)).unwrap()],
        outcome: "done".to_owned(),
        error,
        actions,
        offers,
        ..of_list(seed, Entry::new(CallId(u128::from(seed)), kind, NOON - below(5 * 86_400_000)))
    }
}

/// What entries of lists say of these, which here any entry may.
fn of_list(seed: u64, entry: Entry) -> Entry {
    Entry {
        mode: ["jit", "search", ""][usize::try_from(seed % 3).unwrap()].to_owned(),
        mode_by: ["auto", "config"][usize::try_from(seed / 3 % 2).unwrap()].to_owned(),
        ..entry
    }
}

/// What a call of a server is about: the names of resources are addresses.
fn thing(server: &str, kind: Kind, tool: String) -> String {
    match (server.is_empty(), kind) {
        (true, _) => String::new(),
        (false, Kind::ResourceRead) => format!("file:///srv/{tool}"),
        (false, _) => tool,
    }
}

/// Entries with their positions, between which other records stand.
pub(super) fn entries(seed: u64, count: u64) -> Vec<(u64, Entry)> {
    (0..count).map(|at| (at * 3 + 1, entry(seed.wrapping_mul(1_000_003).wrapping_add(at)))).collect()
}

/// The same with so many times as many records between them, so that they are of several parts.
pub(super) fn far_apart(entries: Vec<(u64, Entry)>, times: u64) -> Vec<(u64, Entry)> {
    entries.into_iter().map(|(position, entry)| (position * times, entry)).collect()
}

/// An index of these entries, written in several batches.
pub(super) fn filled(entries: &[(u64, Entry)]) -> Folder {
    let folder = Folder::new();
    let mut store = folder.store();
    for batch in entries.chunks(100) {
        store.take(batch, batch.last().unwrap().0 + 1).unwrap();
    }
    folder
}
