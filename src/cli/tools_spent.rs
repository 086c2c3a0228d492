//! `tollgate tools cost --from-ledger`: what definitions of tools cost in the sessions of the last days,
//! against what was called, how lists of them were written, and what they would have cost by other ways.

use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::call::ToolMode;
use crate::cli::args::ToolsCost;
use crate::cli::entries::{count, money, or_dash, share};
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain, thousands};
use crate::cli::tools_cost;
use crate::cli::tools_usage::{self, Past, PromptPrice, ServerUse};
use crate::ledger::index::offers::{OfferWish, Offered};
use crate::ledger::index::usage::{Listing, SessionUse, Usage};
use crate::mcp::auto::{Client, Suit};
use crate::mcp::lean::session::{Catalog, Estimate, Session, Way};
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
    let catalog = tools_cost::catalog_of(&survey);
    let ways = ways(&past.usage, &catalog, price);
    let lists = lists(&past.usage, &catalog, price);
    let report = Report { days: wish.days, price, servers, ways, lists };
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
    lists: Vec<ListSum>,
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

/// Lists of tools that were written in one way, and the sessions that had them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct ListSum {
    /// As in the ledger's entries; both are empty for sessions of which the ledger has no list.
    mode: String,
    mode_by: String,
    lists: u64,
    sessions: u64,
    /// What the definitions took there, as for [`WaySum`]; nothing where nobody knows the way.
    taken: Option<(u128, u128)>,
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

/// The sessions that a model has answered in, as the model of their cost takes them.
fn sessions(usage: &Usage) -> impl Iterator<Item = (Session, &SessionUse)> {
    usage.sessions.iter().filter(|found| found.requests > 0).map(|found| {
        let session = Session {
            requests: found.requests,
            prompt_tokens: found.prompt_tokens / found.requests.max(1),
            tools: u64::try_from(found.calls.len()).unwrap_or(u64::MAX),
        };
        (session, found)
    })
}

/// What the sessions would have taken by each way, had they seen all tools.
fn ways(usage: &Usage, catalog: &Catalog, price: PromptPrice) -> Vec<WaySum> {
    let sum = |way: Way| {
        let estimate = Estimate::of(way, catalog);
        let (mut count, mut hundredths) = (0, 0_u128);
        for (session, _) in sessions(usage) {
            count += 1;
            hundredths = hundredths.saturating_add(estimate.hundredths(&session));
        }
        let (tokens, cost_pico) = taken(hundredths, price);
        WaySum { way, sessions: count, tokens, cost_pico }
    };
    Way::ALL.into_iter().map(sum).collect()
}

/// Tokens that are as dear as ones that are read fresh, and what they cost.
fn taken(hundredths: u128, price: PromptPrice) -> (u128, u128) {
    let tokens = hundredths / 100;
    (tokens, tokens.saturating_mul(price.fresh))
}

/// The way in which tools came to a model whose client got such a list.
fn way_of(listing: &Listing) -> Option<Way> {
    let defers = Client::of_agent(listing.client.as_bytes()).suit() == Suit::Defers;
    Some(Way::of(ToolMode::from_name(&listing.mode)?, defers))
}

/// How the lists of tools were written, and what definitions took of the sessions that had them.
fn lists(usage: &Usage, catalog: &Catalog, price: PromptPrice) -> Vec<ListSum> {
    let mut sums: BTreeMap<(&str, &str), (u64, u64, Option<u128>)> = BTreeMap::new();
    for (listing, count) in &usage.listings {
        sums.entry((&listing.mode, &listing.mode_by)).or_default().0 += count;
    }
    for (session, found) in sessions(usage) {
        let listing = found.listing.as_deref();
        let names = listing.map_or(("", ""), |listing| (&listing.mode, &listing.mode_by));
        let (_, count, hundredths) = sums.entry(names).or_default();
        *count += 1;
        if let Some(way) = listing.and_then(way_of) {
            let more = Estimate::of(way, catalog).hundredths(&session);
            *hundredths = Some(hundredths.unwrap_or_default().saturating_add(more));
        }
    }
    let form = |((mode, mode_by), (lists, sessions, hundredths)): ((&str, &str), (_, _, Option<u128>))| {
        let taken = hundredths.map(|hundredths| taken(hundredths, price));
        ListSum { mode: mode.to_owned(), mode_by: mode_by.to_owned(), lists, sessions, taken }
    };
    sums.into_iter().map(form).collect()
}

/// What definitions that were sent with requests cost, at the mean price of a token of a prompt.
fn cost(sums: &Offered, price: PromptPrice) -> u128 {
    u128::from(sums.tokens.saturating_sub(sums.deferred)).saturating_mul(price.mixed)
}

fn whole(number: u128) -> String {
    usize::try_from(number).map_or_else(|_| number.to_string(), thousands)
}

fn shown(report: &Report, width: Option<usize>) -> String {
    let Report { days, price, servers, ways, lists } = report;
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
    let mut rows = vec![["TOOLS", "TOKENS", "A SESSION", "COST", "OF ALL"].map(str::to_owned)];
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
    out.push_str(&columns(&rows, &[1, 2, 3, 4], width));
    out.push_str("tokens as dear as one that is read fresh; a model, see --help\n");
    out.push_str(&lists_shown(lists, *days, width));
    out
}

/// How lists were written, for people.
fn lists_shown(lists: &[ListSum], days: u64, width: Option<usize>) -> String {
    if lists.iter().all(|sum| sum.lists == 0) {
        return format!("\nof lists of tools that clients got the ledger has none of {days} days\n");
    }
    let mut rows = vec![["MODE", "BY", "LISTS", "SESSIONS", "TOKENS", "COST"].map(str::to_owned)];
    rows.extend(lists.iter().map(|sum| {
        [
            or_dash(&sum.mode),
            or_dash(&sum.mode_by),
            count(sum.lists),
            count(sum.sessions),
            sum.taken.map_or_else(|| "-".to_owned(), |(tokens, _)| whole(tokens)),
            sum.taken.map_or_else(|| "-".to_owned(), |(_, cost)| money(cost)),
        ]
    }));
    let mut out =
        format!("\nhow lists of tools were written in {days} days, and the sessions that had them\n");
    out.push_str(&columns(&rows, &[2, 3, 4, 5], width));
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
    /// How lists of tools were written for clients, and the sessions that had them.
    lists: Vec<ListForm<'a>>,
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
    /// The same for people.
    way: &'static str,
    sessions: u64,
    tokens: String,
    cost_pico: String,
}

#[derive(Serialize)]
struct ListForm<'a> {
    /// Empty, as the next, for sessions of which the ledger has no list.
    mode: &'a str,
    /// `auto` where it was chosen, `config` where it was configured.
    mode_by: &'a str,
    lists: u64,
    sessions: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    cost_pico: Option<String>,
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
        mode: sum.way.word(),
        way: sum.way.name(),
        sessions: sum.sessions,
        tokens: sum.tokens.to_string(),
        cost_pico: sum.cost_pico.to_string(),
    });
    let price_pico = [report.price.fresh, report.price.mixed].map(|pico| pico.to_string());
    let lists = report.lists.iter().map(|sum| ListForm {
        mode: &sum.mode,
        mode_by: &sum.mode_by,
        lists: sum.lists,
        sessions: sum.sessions,
        tokens: sum.taken.map(|(tokens, _)| tokens.to_string()),
        cost_pico: sum.taken.map(|(_, cost)| cost.to_string()),
    });
    let (servers, modes) = (servers.collect(), modes.collect());
    Form { days: report.days, price_pico, servers, modes, lists: lists.collect() }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::mcp::lean::cost::Cost;
    use crate::mcp::lean::session::Doors;

    const CLAUDE_CODE: &str = "claude-code/2.1.330 (cli)";

    fn listing(mode: &str, mode_by: &str, client: &str) -> Arc<Listing> {
        let [mode, mode_by, client] = [mode, mode_by, client].map(str::to_owned);
        Arc::new(Listing { mode, mode_by, client })
    }

    fn catalog() -> Catalog {
        let cost = Cost { raw: 139_037, native: 129_000, lean: 80_000, signature: 25_480, name: 5_900 };
        let doors = Doors { find: 150, search: 390, code: 330, run: 130 };
        Catalog { tools: 492, cost, names: 6_500, doors }
    }

    const PRICE: PromptPrice = PromptPrice { fresh: 3_000_000, mixed: 400_000 };

    fn session(requests: u64, names: &[&str], listing: Option<Arc<Listing>>) -> SessionUse {
        let tool = |name: &str| ("git".to_owned(), name.to_owned());
        SessionUse {
            team: String::new(),
            requests,
            prompt_tokens: requests * 12_000,
            calls: names.iter().map(|name| (tool(name), 2)).collect(),
            listing,
        }
    }

    fn usage() -> Usage {
        let jit = listing("jit", "auto", CLAUDE_CODE);
        let [here, there] = [CLAUDE_CODE, "cursor/1.0"].map(|client| listing("native", "config", client));
        let sessions = vec![
            session(20, &["a", "b", "c"], Some(Arc::clone(&jit))),
            session(0, &["a"], Some(Arc::clone(&jit))),
            session(20, &["a", "b", "c"], Some(Arc::clone(&here))),
            session(1, &[], Some(Arc::clone(&there))),
            session(20, &["a", "b", "c"], None),
        ];
        let listings = [(jit, 5), (here, 2), (there, 1), (listing("mixed", "config", ""), 1)];
        Usage { sessions, listings: listings.into_iter().collect(), left_out: 0 }
    }

    fn report() -> Report {
        let (usage, catalog) = (usage(), catalog());
        let server = ServerUse {
            server: "git".to_owned(),
            tools: 492,
            tokens: 129_000,
            calls: 8,
            dead: vec!["d".to_owned()],
            dead_tokens: 250,
        };
        let sums = Offered { calls: 20, definitions: 400, tokens: 100_000, deferred: 40_000, used: 5_000 };
        let (ways, lists) = (ways(&usage, &catalog, PRICE), lists(&usage, &catalog, PRICE));
        Report { days: 7, price: PRICE, servers: vec![(server, sums)], ways, lists }
    }

    #[test]
    fn a_session_of_the_ledger_costs_what_the_model_says_of_one_like_it() {
        let (usage, catalog) = (usage(), catalog());
        for sum in ways(&usage, &catalog, PRICE) {
            let estimate = Estimate::of(sum.way, &catalog);
            let idle = u128::try_from(estimate.start).unwrap() * 125;
            let tokens = (3 * estimate.hundredths(&Session::USUAL) + idle) / 100;
            assert_eq!(sum.sessions, 4, "one had no requests");
            assert_eq!((sum.tokens, sum.cost_pico), (tokens, tokens * 3_000_000), "{:?}", sum.way);
        }
    }

    #[test]
    fn sessions_are_told_by_the_list_that_they_had_and_cost_what_its_mode_costs() {
        let (usage, catalog) = (usage(), catalog());
        let lists = lists(&usage, &catalog, PRICE);
        let of = |way, session: &Session| Estimate::of(way, &catalog).hundredths(session);
        let idle = Session { requests: 1, prompt_tokens: 12_000, tools: 0 };
        let native = of(Way::DeferredNative, &Session::USUAL) + of(Way::AllNative, &idle);
        let found: Vec<_> = lists
            .iter()
            .map(|sum| {
                let tokens = sum.taken.map(|(tokens, _)| tokens);
                (sum.mode.as_str(), sum.mode_by.as_str(), sum.lists, sum.sessions, tokens)
            })
            .collect();
        let expected = [
            ("", "", 0, 1, None),
            ("jit", "auto", 5, 1, Some(of(Way::Jit, &Session::USUAL) / 100)),
            ("mixed", "config", 1, 0, None),
            // Claude Code defers what it lists, the other client does not.
            ("native", "config", 3, 2, Some(native / 100)),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn definitions_stand_against_calls_and_modes_against_each_other() {
        let text = shown(&report(), None);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(lines[1], "492 129,000 1 250 8 20 100,000 40,000 5.0 % $0.0240 $0.0030 git", "{text}");
        let has = |line: &str| assert!(lines.iter().any(|known| known == line), "{line}: {text}");
        has("all up front 1,487,695 371,923 $4.47 100.0 %");
        for way in Way::ALL {
            assert!(lines.iter().any(|line| line.starts_with(way.name())), "{way:?}: {text}");
        }
        assert!(lines.iter().any(|line| line.starts_with("jit auto 5 1 ")), "{text}");
        assert!(lines.iter().any(|line| line == "- - - 1 - -"), "{text}");
        let old = Report { lists: Vec::new(), ..report() };
        assert!(shown(&old, None).contains("the ledger has none of 7 days"));
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(form(&report())).unwrap();
        assert_eq!(json["servers"][0]["cost_pico"], "24000000000");
        let modes: Vec<&str> =
            json["modes"].as_array().unwrap().iter().map(|form| form["mode"].as_str().unwrap()).collect();
        assert_eq!(modes, Way::ALL.map(Way::word));
        assert_eq!(json["modes"][0]["tokens"], "1487695");
        assert_eq!(json["price_pico"], serde_json::json!(["3000000", "400000"]));
        let jit = &json["lists"][1];
        assert_eq!(
            (&jit["mode"], &jit["mode_by"], &jit["lists"]),
            (&"jit".into(), &"auto".into(), &5.into())
        );
        assert_eq!(jit["tokens"], Estimate::of(Way::Jit, &catalog()).session.to_string());
        assert_eq!(json["lists"][0].get("tokens"), None);
    }
}
