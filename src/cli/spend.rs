//! `tollgate spend`: what was spent, by whom, on what, when.

use std::path::Path;

use crate::cli::entries::{self, count, money, or_dash, share};
use crate::cli::ledger_args::Spend;
use crate::cli::output::{Failure, Output};
use crate::cli::table::columns;
use crate::glob::Glob;
use crate::ledger::index::offers::{OfferReport, OfferWish, Offered};
use crate::ledger::index::query::Now;
use crate::ledger::index::spend::{Per, Report, SessionRow, Whose, Wish};
use crate::ledger::index::{Sums, answer, form, when};
use crate::limits;
use crate::net::terminal;

/// Reports.
pub(crate) fn run(config: Option<&Path>, wish: &Spend, output: &mut Output<'_>) -> Result<(), Failure> {
    let now = entries::now(&wish.zone)?;
    let (since_ms, until_ms) = (time(&wish.since, &now)?.begin_ms, time(&wish.until, &now)?.end_ms);
    let per = wish.per.as_deref().map(|word| {
        let words = || Failure::Usage(format!("--per: {}", Per::ALL.map(Per::name).join(", ")));
        Per::from_name(word).ok_or_else(words)
    });
    let per = per.transpose()?;
    if wish.tools {
        return tools(
            config,
            wish,
            &OfferWish {
                by_team: answer::read_offers_by(wish.by.as_deref().unwrap_or_default())
                    .map_err(|what| Failure::Usage(format!("--{what}")))?,
                per,
                since_ms,
                until_ms,
                zone: now.zone,
                team: wish.team.clone(),
                server: wish.server.clone(),
            },
            output,
        );
    }
    let by = wish.by.as_deref().unwrap_or("team,model");
    if by == "session" {
        let reader = entries::open(config, output)?;
        let rows = reader.sessions(since_ms, until_ms, limits::PAGE_ENTRIES_DEFAULT)?;
        return if wish.json {
            output.json(&form::sessions(&rows))
        } else {
            output.text(&sessions(&rows, &now))
        };
    }
    let report_wish = Wish {
        by: answer::read_by(by).map_err(|what| Failure::Usage(format!("--{what}")))?,
        per,
        since_ms,
        until_ms,
        zone: now.zone,
        whose: Whose {
            key: wish.key.clone(),
            team: wish.team.clone(),
            user: wish.user.clone(),
            model: wish.model.as_deref().map(Glob::new),
            provider: wish.provider.clone(),
            server: wish.server.clone(),
            tool: wish.tool.as_deref().map(Glob::new),
        },
    };
    let report = entries::open(config, output)?.spend(&report_wish)?;
    if wish.json {
        return output.json(&form::report(&report, &report_wish));
    }
    if wish.csv {
        return output.text(&form::report_csv(&report, &report_wish));
    }
    output.text(&table(&report, &report_wish, terminal::columns()))
}

/// Reports on definitions of tools.
fn tools(
    config: Option<&Path>,
    wish: &Spend,
    offers: &OfferWish,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let report = entries::open(config, output)?.offers(offers)?;
    match (wish.json, wish.csv) {
        (true, _) => output.json(&form::offers(&report, offers)),
        (false, true) => output.text(&form::offers_csv(&report, offers)),
        (false, false) => output.text(&offers_table(&report, offers, terminal::columns())),
    }
}

fn time(text: &str, now: &Now) -> Result<when::Found, Failure> {
    when::read(text, now).ok_or_else(|| {
        Failure::Usage(format!("{text:?} is no time: write 30m, 24h, 7d, 2026-11-01 or 2026-11-01T12:30"))
    })
}

fn cells(sums: &Sums) -> [String; 6] {
    let written = sums.cache_write_5m.saturating_add(sums.cache_write_1h);
    [
        count(sums.calls),
        count(sums.input.saturating_add(written)),
        count(sums.cache_read),
        share(sums.cache_hits_permille()),
        count(sums.output),
        money(sums.cost_pico),
    ]
}

fn table(report: &Report, wish: &Wish, width: Option<usize>) -> String {
    // The names come last, because that is the column which a narrow terminal cuts.
    let named = wish.by.iter().map(|by| by.name().to_uppercase()).collect::<Vec<_>>().join(", ");
    let period = wish.per.map_or_else(String::new, |per| per.name().to_uppercase());
    let head = ["CALLS", "INPUT", "FROM CACHE", "CACHED", "OUTPUT", "COST"].map(str::to_owned);
    let mut rows = vec![row(&period, head, &named)];
    for found in &report.rows {
        let names = found.names.iter().map(|name| or_dash(name)).collect::<Vec<_>>().join(", ");
        rows.push(row(&found.period, cells(&found.sums), &names));
    }
    let left_out =
        if report.left_out > 0 { format!("all, also {} rows more", report.left_out) } else { "all".into() };
    rows.push(row("", cells(&report.total), &left_out));
    without_empty(columns(&rows, &[1, 2, 3, 4, 5, 6], width), wish.per)
}

fn row(period: &str, [calls, input, cached, share, output, cost]: [String; 6], names: &str) -> [String; 8] {
    [period.to_owned(), calls, input, cached, share, output, cost, names.to_owned()]
}

fn offers_table(report: &OfferReport, wish: &OfferWish, width: Option<usize>) -> String {
    let cells = |sums: &Offered| {
        let calls = [count(sums.calls), count(sums.definitions)];
        let tokens = [count(sums.tokens), count(sums.deferred), count(sums.used)];
        (calls, tokens, share(sums.used_permille()))
    };
    let line = |period: &str, sums: &Offered, named: String| {
        let ([calls, definitions], [offered, deferred, used], share) = cells(sums);
        [period.to_owned(), calls, definitions, offered, deferred, used, share, named]
    };
    let head = ["CALLS", "DEFINITIONS", "OFFERED", "DEFERRED", "USED", "SHARE"].map(str::to_owned);
    let [calls, definitions, offered, deferred, used, part] = head;
    let period = wish.per.map_or_else(String::new, |per| per.name().to_uppercase());
    let named = if wish.by_team { "SERVER, TEAM" } else { "SERVER" }.to_owned();
    let mut rows = vec![[period, calls, definitions, offered, deferred, used, part, named]];
    for row in &report.rows {
        let team = if wish.by_team { format!(", {}", or_dash(&row.team)) } else { String::new() };
        rows.push(line(&row.period, &row.sums, format!("{}{team}", or_dash(&row.server))));
    }
    let left_out =
        if report.left_out > 0 { format!("all, also {} rows more", report.left_out) } else { "all".into() };
    rows.push(line("", &report.total, left_out));
    without_empty(columns(&rows, &[1, 2, 3, 4, 5, 6], width), wish.per)
}

/// Without periods their column is empty and would only push the others to the right.
fn without_empty(table: String, per: Option<Per>) -> String {
    match per {
        Some(_) => table,
        None => table.lines().map(|line| format!("{}\n", line.trim_start())).collect(),
    }
}

fn sessions(rows: &[SessionRow], now: &Now) -> String {
    let head =
        ["CALLS", "INPUT", "FROM CACHE", "CACHED", "OUTPUT", "COST", "FIRST", "LAST", "SESSION", "USER"];
    let mut table = vec![head.map(str::to_owned)];
    for found in rows {
        let [calls, input, cached, share, output, cost] = cells(&found.sums);
        let (first, last) = (when::shown(found.first_ms, &now.zone), when::shown(found.last_ms, &now.zone));
        let (session, user) = (or_dash(&found.session), or_dash(&found.user));
        table.push([calls, input, cached, share, output, cost, first, last, session, user]);
    }
    columns(&table, &[0, 1, 2, 3, 4, 5], terminal::columns())
}
