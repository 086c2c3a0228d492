//! What the commands about used tools share: the ledger's sessions, the prices of their prompts, and which
//! tools there are.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use crate::cli::entries;
use crate::cli::ledger_args::Zone;
use crate::cli::output::{Failure, Output};
use crate::config::load::{self, Loaded};
use crate::config::snapshot::Spending;
use crate::gateway::survey::{self, Health, Survey, ToolFound};
use crate::ledger::index::query::{Now, Query};
use crate::ledger::index::search::Reader;
use crate::ledger::index::spend::{By, Whose, Wish};
use crate::ledger::index::usage::{Gathering, Tool, Usage};
use crate::limits;
use crate::meter::book::Seller;

/// What sessions of the last days did, and what their prompts cost.
pub(crate) struct Past {
    pub(crate) now: Now,
    pub(crate) since_ms: u64,
    pub(crate) reader: Reader,
    pub(crate) usage: Usage,
}

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

/// Reads the ledger's entries of the last days.
pub(crate) fn past(config: Option<&Path>, days: u64, output: &mut Output<'_>) -> Result<Past, Failure> {
    let now = entries::now(&Zone { name: None })?;
    let query = format!("kind:model_call,tool_call,tool_list since:{days}d");
    let query = Query::parse(&query, &now).map_err(|fault| Failure::Refused(fault.to_string()))?;
    let mut reader = entries::open(config, output)?;
    let end = reader.next()?;
    let (mut from, mut gathering) = (0, Gathering::default());
    while from < end {
        let found = reader.since(&query, from, limits::PAGE_ENTRIES_MAX)?;
        found.hits.iter().for_each(|hit| gathering.add(&hit.entry));
        from = found.next.unwrap_or(end);
    }
    let usage = gathering.finish();
    if usage.left_out > 0 {
        output.note(&format!(
            "warning: {} entries are too many to look at; ask for fewer days",
            usage.left_out
        ))?;
    }
    let since_ms = now.ms.saturating_sub(days.saturating_mul(DAY_MS));
    Ok(Past { now, since_ms, reader, usage })
}

/// What a token of a prompt cost, in pico-dollars.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct PromptPrice {
    /// Read fresh, the mean over all prompts.
    pub(crate) fresh: u128,
    /// As prompts were really read: fresh, written into the cache or read from it.
    pub(crate) mixed: u128,
}

impl Past {
    /// The mean prices of the prompts of these days, by the price book of the config.
    pub(crate) fn price(&self, spending: &Spending, providers: &[String]) -> Result<PromptPrice, Failure> {
        let report = self.reader.spend(&Wish {
            by: vec![By::Provider, By::Model],
            per: None,
            since_ms: self.since_ms,
            until_ms: self.now.ms,
            zone: self.now.zone.clone(),
            whose: Whose::default(),
        })?;
        let (mut tokens, mut fresh, mut mixed) = (0_u128, 0_u128, 0_u128);
        for row in &report.rows {
            let [provider, model] = row.names.as_slice() else { continue };
            let place = providers.iter().position(|known| known == provider);
            // One that is gone from the config may have had the name of its price list.
            let section = place.and_then(|place| spending.sections.get(place)).copied().unwrap_or(provider);
            let rates = spending.book.price(Seller { provider, section }, model).price.base;
            let sums = &row.sums;
            let kinds = [
                (sums.input, rates.input),
                (sums.cache_read, rates.cache_read),
                (sums.cache_write_5m, rates.write_short),
                (sums.cache_write_1h, rates.write_long),
            ];
            for (count, rate) in kinds {
                tokens = tokens.saturating_add(count.into());
                fresh = fresh.saturating_add(u128::from(count) * u128::from(rates.input));
                mixed = mixed.saturating_add(u128::from(count) * u128::from(rate));
            }
        }
        let mean = |sum: u128| sum.checked_div(tokens).unwrap_or_default();
        Ok(PromptPrice { fresh: mean(fresh), mixed: mean(mixed) })
    }
}

/// The config, without what asking its servers takes of it.
pub(crate) fn config(path: Option<&Path>, output: &mut Output<'_>) -> Result<Loaded, Failure> {
    let loaded = load::read(path)?;
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"))?;
    }
    Ok(loaded)
}

/// Asks the servers what tools they have, and what definitions take.
pub(crate) fn listed(loaded: Loaded, timeout: u64, output: &mut Output<'_>) -> Result<Survey, Failure> {
    let asking =
        survey::Wish { server: None, patience: Duration::from_secs(timeout), count: true, log: false };
    let found = survey::survey(loaded, asking, &mut |_| {});
    let found = found.map_err(|fault| Failure::Refused(fault.to_string()))?;
    for server in found.servers.iter().filter(|server| server.health != Health::Fine) {
        let name = &server.name;
        output.note(&format!("warning: {name} cannot be listed, so nothing is said of its tools"))?;
    }
    Ok(found)
}

/// Calls by tool, of all sessions.
pub(crate) fn calls(usage: &Usage) -> BTreeMap<Tool, u64> {
    let mut calls: BTreeMap<Tool, u64> = BTreeMap::new();
    for (tool, count) in usage.sessions.iter().flat_map(|session| &session.calls) {
        *calls.entry(tool.clone()).or_default() += count;
    }
    calls
}

/// The key of a tool that is listed.
pub(crate) fn key(tool: &ToolFound) -> Tool {
    (tool.server.clone(), tool.name.clone())
}

/// The tools of one server: how many there are, are called, and are not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct ServerUse {
    pub(crate) server: String,
    pub(crate) tools: usize,
    /// What their definitions take, in the modes that the config says.
    pub(crate) tokens: usize,
    pub(crate) calls: u64,
    /// Those that nobody has called, by their names for callers.
    pub(crate) dead: Vec<String>,
    pub(crate) dead_tokens: usize,
}

/// How the tools of each server are used.
pub(crate) fn by_server(survey: &Survey, calls: &BTreeMap<Tool, u64>) -> Vec<ServerUse> {
    let of = |server: &str| {
        let mut found = ServerUse { server: server.to_owned(), ..ServerUse::default() };
        for tool in survey.tools.iter().filter(|tool| tool.server == server) {
            let tokens = tool.cost.unwrap_or_default().in_mode(tool.mode);
            let made = calls.get(&key(tool)).copied().unwrap_or_default();
            found.tools += 1;
            found.tokens += tokens;
            found.calls += made;
            if made == 0 {
                found.dead.push(tool.exposed.clone());
                found.dead_tokens += tokens;
            }
        }
        found
    };
    survey.servers.iter().map(|server| of(&server.name)).collect()
}
