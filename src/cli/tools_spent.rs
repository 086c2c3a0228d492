//! `tollgate tools cost --from-ledger`: what definitions of tools cost in the sessions of the last days,
//! against what was called, and what they would have cost by other ways.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Serialize;

use crate::cli::args::ToolsCost;
use crate::cli::entries::{money, share};
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain, thousands};
use crate::cli::tools_cost;
use crate::cli::tools_usage::{self, Past, PromptPrice, ServerUse};
use crate::gateway::survey::Survey;
use crate::ledger::index::offers::{OfferWish, Offered};
use crate::ledger::index::usage::Usage;
use crate::mcp::lean::spent::{Catalog, Session, Way};
use crate::net::terminal;

/// Reports.
pub(crate) fn run(config: Option<&Path>, wish: &ToolsCost, output: &mut Output<'_>) -> Result<(), Failure> {
    let past = tools_usage::past(config, wish.days, output)?;
    let loaded = tools_usage::config(config, output)?;
    let spending = loaded.snapshot.spending.clone();
    let providers: Vec<String> =
        loaded.snapshot.providers.iter().map(|provider| provider.name.to_string()).collect();
    let price = past.price(&spending, &providers)?;
    let survey = tools_usage::listed(loaded, wish.timeout, output)?;
    let servers = offered(&past, tools_usage::by_server(&survey, &tools_usage::calls(&past.usage)))?;
    let ways = ways(&past.usage, &catalog(&survey), price);
    let report = Report { days: wish.days, price, servers, ways };
    if wish.json {
        return output.json(&form(&report));
    }
    output.text(&shown(&report, terminal::columns()))
}

/// What is told.
#[derive(Debug)]
struct Report {
    days: u64,
    price: PromptPrice,
    servers: Vec<(ServerUse, Offered)>,
    ways: Vec<WaySum>,
}

/// What the definitions took in all sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct WaySum {
    way: Way,
    /// Sessions that a model has answered in.
    sessions: u64,
    /// Tokens, each as dear as one that is read fresh.
    tokens: u128,
    cost_pico: u128,
}

/// Puts what models were offered beside what was called.
fn offered(past: &Past, servers: Vec<ServerUse>) -> Result<Vec<(ServerUse, Offered)>, Failure> {
    let report = past.reader.offers(&OfferWish {
        by_team: false,
        per: None,
        since_ms: past.since_ms,
        until_ms: past.now.ms,
        zone: past.now.zone.clone(),
        team: None,
        server: None,
    })?;
    let sums: BTreeMap<&str, Offered> =
        report.rows.iter().map(|row| (row.server.as_str(), row.sums)).collect();
    let with = |server: ServerUse| {
        let sums = sums.get(server.server.as_str()).copied().unwrap_or_default();
        (server, sums)
    };
    Ok(servers.into_iter().map(with).collect())
}

/// All tools together.
fn catalog(survey: &Survey) -> Catalog {
    let mut catalog =
        Catalog { tools: u64::try_from(survey.tools.len()).unwrap_or(u64::MAX), ..Catalog::default() };
    for tool in &survey.tools {
        catalog.cost += tool.cost.unwrap_or_default();
    }
    let names = survey.servers.iter().map(|server| server.name.as_str());
    catalog.doors = u64::try_from(tools_cost::doors(names)).unwrap_or(u64::MAX);
    catalog
}

/// What the sessions would have taken by each way, had they seen all tools.
fn ways(usage: &Usage, catalog: &Catalog, price: PromptPrice) -> Vec<WaySum> {
    let sessions: Vec<Session> = usage
        .sessions
        .iter()
        .filter(|session| session.requests > 0)
        .map(|session| {
            let tools: BTreeSet<_> = session.calls.keys().collect();
            Session {
                requests: session.requests,
                prompt_tokens: session.prompt_tokens / session.requests,
                tools: u64::try_from(tools.len()).unwrap_or(u64::MAX),
            }
        })
        .collect();
    let sum = |way: Way| {
        let hundredths: u128 =
            sessions.iter().map(|session| u128::from(way.hundredths(catalog, session))).sum();
        let tokens = hundredths / 100;
        let cost_pico = tokens.saturating_mul(price.fresh);
        WaySum { way, sessions: u64::try_from(sessions.len()).unwrap_or(u64::MAX), tokens, cost_pico }
    };
    Way::ALL.into_iter().map(sum).collect()
}

/// What definitions that were sent with requests cost, at the mean price of a token of a prompt.
fn cost(sums: &Offered, price: PromptPrice) -> u128 {
    u128::from(sums.tokens.saturating_sub(sums.deferred)).saturating_mul(price.mixed)
}

fn whole(number: u128) -> String {
    usize::try_from(number).map_or_else(|_| number.to_string(), thousands)
}

fn shown(report: &Report, width: Option<usize>) -> String {
    let Report { days, price, servers, ways } = report;
    let head = [
        "TOOLS",
        "TOKENS",
        "DEAD",
        "DEAD TOKENS",
        "CALLS",
        "REQUESTS",
        "OFFERED",
        "DEFERRED",
        "USED",
        "COST",
        "PER CALL",
        "SERVER",
    ];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(servers.iter().map(|(server, sums)| {
        let cost = cost(sums, *price);
        [
            thousands(server.tools),
            thousands(server.tokens),
            thousands(server.dead.len()),
            thousands(server.dead_tokens),
            whole(server.calls.into()),
            whole(sums.calls.into()),
            whole(sums.tokens.into()),
            whole(sums.deferred.into()),
            share(sums.used_permille()),
            money(cost),
            cost.checked_div(server.calls.into()).map_or_else(|| "-".to_owned(), money),
            plain(&server.server),
        ]
    }));
    let mut out = columns(&rows, &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10], width);
    let sessions = ways.first().map_or(0, |sum| sum.sessions);
    out.push_str(&format!(
        "\nwhat definitions would have taken in the {} sessions of {days} days, had each seen all tools\n",
        whole(sessions.into())
    ));
    let raw = ways.first().map_or(0, |sum| sum.tokens);
    let mut rows = vec![["MODE", "TOKENS", "A SESSION", "COST", "OF RAW"].map(str::to_owned)];
    rows.extend(ways.iter().map(|sum| {
        let permille =
            sum.tokens.saturating_mul(1000).checked_div(raw).and_then(|part| u64::try_from(part).ok());
        [
            sum.way.name().to_owned(),
            whole(sum.tokens),
            whole(sum.tokens.checked_div(sum.sessions.into()).unwrap_or_default()),
            money(sum.cost_pico),
            share(permille),
        ]
    }));
    out.push_str(&columns(&rows, &[1, 2, 3], width));
    out.push_str(
        "tokens as dear as one that is read fresh; `deferred` is a client that loads definitions when they \
         are wanted\n",
    );
    out
}

/// What `--json` prints.
#[derive(Serialize)]
struct Form<'a> {
    days: u64,
    /// Pico-dollars for a token of a prompt, read fresh and as prompts were read.
    price_pico: [String; 2],
    servers: Vec<ServerForm<'a>>,
    modes: Vec<WayForm>,
}

#[derive(Serialize)]
struct ServerForm<'a> {
    name: &'a str,
    tools: usize,
    tokens: usize,
    dead: &'a [String],
    dead_tokens: usize,
    calls: u64,
    requests: u64,
    offered_tokens: u64,
    deferred_tokens: u64,
    used_tokens: u64,
    cost_pico: String,
}

#[derive(Serialize)]
struct WayForm {
    mode: &'static str,
    sessions: u64,
    tokens: String,
    cost_pico: String,
}

fn form(report: &Report) -> Form<'_> {
    let servers = report.servers.iter().map(|(server, sums)| ServerForm {
        name: &server.server,
        tools: server.tools,
        tokens: server.tokens,
        dead: &server.dead,
        dead_tokens: server.dead_tokens,
        calls: server.calls,
        requests: sums.calls,
        offered_tokens: sums.tokens,
        deferred_tokens: sums.deferred,
        used_tokens: sums.used,
        cost_pico: cost(sums, report.price).to_string(),
    });
    let modes = report.ways.iter().map(|sum| WayForm {
        mode: sum.way.name(),
        sessions: sum.sessions,
        tokens: sum.tokens.to_string(),
        cost_pico: sum.cost_pico.to_string(),
    });
    let price_pico = [report.price.fresh, report.price.mixed].map(|pico| pico.to_string());
    Form { days: report.days, price_pico, servers: servers.collect(), modes: modes.collect() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::index::usage::SessionUse;
    use crate::mcp::lean::cost::Cost;

    fn report() -> Report {
        let tool = |name: &str| ("git".to_owned(), name.to_owned());
        let session = |requests, names: &[&str]| SessionUse {
            team: String::new(),
            requests,
            prompt_tokens: requests * 12_000,
            calls: names.iter().map(|name| (tool(name), 2)).collect(),
        };
        let usage = Usage { sessions: vec![session(20, &["a", "b", "c"]), session(0, &["a"])], left_out: 0 };
        let cost = Cost { raw: 139_037, native: 129_000, lean: 80_000, signature: 25_480, name: 5_900 };
        let catalog = Catalog { tools: 492, cost, doors: 258 };
        let price = PromptPrice { fresh: 3_000_000, mixed: 400_000 };
        let server = ServerUse {
            server: "git".to_owned(),
            tools: 492,
            tokens: 129_000,
            calls: 8,
            dead: vec!["d".to_owned()],
            dead_tokens: 250,
        };
        let sums = Offered { calls: 20, definitions: 400, tokens: 100_000, deferred: 40_000, used: 5_000 };
        Report { days: 7, price, servers: vec![(server, sums)], ways: ways(&usage, &catalog, price) }
    }

    #[test]
    fn definitions_stand_against_calls_and_modes_against_each_other() {
        let report = report();
        assert_eq!(report.ways.iter().map(|sum| sum.sessions).max(), Some(1), "one had no requests");
        let text = shown(&report, None);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(lines[1], "492 129,000 1 250 8 20 100,000 40,000 5.0 % $0.0240 $0.0030 git", "{text}");
        assert!(lines.iter().any(|line| line == "raw 437,966 437,966 $1.32 100.0 %"), "{text}");
        assert!(lines.iter().any(|line| line.starts_with("search ") && line.ends_with(" 1.4 %")), "{text}");
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(form(&report())).unwrap();
        assert_eq!(json["servers"][0]["cost_pico"], "24000000000");
        assert_eq!(
            (&json["modes"][0]["mode"], &json["modes"][0]["tokens"]),
            (&"raw".into(), &"437966".into())
        );
        assert_eq!(json["price_pico"], serde_json::json!(["3000000", "400000"]));
    }
}
