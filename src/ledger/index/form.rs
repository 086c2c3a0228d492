//! What the index finds, written for programs: JSON and CSV.

use serde_json::{Value, json};

use crate::ledger::entry::Entry;
use crate::ledger::index::names;
use crate::ledger::index::offers::{OfferReport, OfferWish, Offered};
use crate::ledger::index::search::{Facets, Hit};
use crate::ledger::index::spend::{By, Report, SessionRow, Wish};
use crate::ledger::index::sums::Sums;

/// Pico-dollars as dollars with all twelve decimals that matter: `0.0123`, `4`.
pub fn dollars(pico: u128) -> String {
    let (whole, part) = (pico / PICO, pico % PICO);
    if part == 0 {
        return whole.to_string();
    }
    let text = format!("{whole}.{part:012}");
    text.trim_end_matches('0').to_owned()
}

/// Pico-dollars of a dollar.
const PICO: u128 = 1_000_000_000_000;

/// An entry with its position, as one JSON object: the fields of the entry and `position`.
pub fn hit(hit: &Hit) -> Value {
    let mut form = serde_json::to_value(&hit.entry).unwrap_or_default();
    if let Value::Object(fields) = &mut form {
        fields.insert("position".to_owned(), hit.position.into());
    }
    form
}

/// Counts by field: `{"counted": 12, "all": true, "fields": {"user": {"values": {"ana": 7}, "others": 0}}}`.
pub fn facets(facets: &Facets) -> Value {
    let fields = facets.fields.iter().map(|facet| {
        let values: Vec<Value> =
            facet.values.iter().map(|(value, count)| json!({"value": value, "count": count})).collect();
        (facet.field.to_owned(), json!({"values": values, "others": facet.others}))
    });
    let fields: serde_json::Map<String, Value> = fields.collect();
    json!({"counted": facets.counted, "all": facets.all, "fields": fields})
}

/// The sums of a row. `cost_usd` is a text, because not every reader of numbers keeps all its digits.
fn sums(sums: &Sums) -> serde_json::Map<String, Value> {
    let numbers = [
        ("calls", sums.calls),
        ("input", sums.input),
        ("output", sums.output),
        ("cache_read", sums.cache_read),
        ("cache_write_5m", sums.cache_write_5m),
        ("cache_write_1h", sums.cache_write_1h),
    ];
    let mut form: serde_json::Map<String, Value> =
        numbers.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect();
    form.insert("cache_hits_permille".to_owned(), sums.cache_hits_permille().into());
    form.insert("cost_usd".to_owned(), dollars(sums.cost_pico).into());
    form
}

/// A report:
/// `{"rows": [{"day": "2026-11-22", "team": "web", "calls": 3, ..}], "total": {..}, "left_out": 0}`.
pub fn report(report: &Report, wish: &Wish) -> Value {
    let rows: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            let mut form = sums(&row.sums);
            if let Some(per) = wish.per {
                form.insert(per.name().to_owned(), row.period.clone().into());
            }
            for (by, name) in wish.by.iter().zip(&row.names) {
                form.insert(by.name().to_owned(), name.clone().into());
            }
            Value::Object(form)
        })
        .collect();
    json!({"rows": rows, "total": sums(&report.total), "left_out": report.left_out})
}

/// Sessions: `{"sessions": [{"session": "..", "user": "ana", "first_ms": 1, "last_ms": 2, "calls": 3, ..}]}`.
pub fn sessions(rows: &[SessionRow]) -> Value {
    let rows: Vec<Value> = rows
        .iter()
        .map(|row| {
            let mut form = sums(&row.sums);
            form.insert("session".to_owned(), row.session.clone().into());
            form.insert("user".to_owned(), row.user.clone().into());
            form.insert("first_ms".to_owned(), row.first_ms.into());
            form.insert("last_ms".to_owned(), row.last_ms.into());
            Value::Object(form)
        })
        .collect();
    json!({ "sessions": rows })
}

/// A report on definitions of tools:
/// `{"rows": [{"server": "github", "calls": 3, "offered": 9000, "used": 410, ..}], "total": {..}, ..}`, all
/// but `calls`, `definitions` and `used_permille` in tokens.
pub fn offers(report: &OfferReport, wish: &OfferWish) -> Value {
    let rows: Vec<Value> = report
        .rows
        .iter()
        .map(|row| {
            let mut form = offered(&row.sums);
            if let Some(per) = wish.per {
                form.insert(per.name().to_owned(), row.period.clone().into());
            }
            form.insert("server".to_owned(), row.server.clone().into());
            if wish.by_team {
                form.insert("team".to_owned(), row.team.clone().into());
            }
            Value::Object(form)
        })
        .collect();
    json!({"rows": rows, "total": offered(&report.total), "left_out": report.left_out})
}

fn offered(sums: &Offered) -> serde_json::Map<String, Value> {
    let numbers = [
        ("calls", sums.calls),
        ("definitions", sums.definitions),
        ("offered", sums.tokens),
        ("deferred", sums.deferred),
        ("used", sums.used),
    ];
    let mut form: serde_json::Map<String, Value> =
        numbers.into_iter().map(|(name, number)| (name.to_owned(), number.into())).collect();
    form.insert("used_permille".to_owned(), sums.used_permille().into());
    form
}

/// The same as CSV, with the line of names.
pub fn offers_csv(report: &OfferReport, wish: &OfferWish) -> String {
    let mut head: Vec<&str> = wish.per.iter().map(|per| per.name()).collect();
    head.push("server");
    head.extend(wish.by_team.then_some("team"));
    head.extend(["calls", "definitions", "offered", "deferred", "used"]);
    let mut out = head.join(",");
    for row in &report.rows {
        let mut cells: Vec<String> = wish.per.iter().map(|_| cell(&row.period)).collect();
        cells.push(cell(&row.server));
        cells.extend(wish.by_team.then(|| cell(&row.team)));
        let sums = &row.sums;
        let numbers = [sums.calls, sums.definitions, sums.tokens, sums.deferred, sums.used];
        cells.extend(numbers.map(|number| number.to_string()));
        out.push('\n');
        out.push_str(&cells.join(","));
    }
    out
}

/// The names of the columns of [`csv`].
pub const CSV_HEAD: &str = "position,time,id,kind,key,team,user,session,agent,prompt,client,provider,model,\
    served_model,region,method,server,tool,class,status,outcome,stop_reason,input,output,cache_read,\
    cache_write_5m,cache_write_1h,cost_usd,took_ms,decision,error,actions,policy,marks,sought,mode,mode_by";

/// An entry as a line of CSV (RFC 4180) without its end; `time` is in UTC. Texts that a spreadsheet would
/// take for a formula begin with a `'`, and what would steer a terminal is replaced.
pub fn csv(hit: &Hit) -> String {
    let entry = &hit.entry;
    let tokens = &entry.tokens;
    let actions: Vec<&str> = entry.actions.iter().map(|action| action.name.as_str()).collect();
    let cells = [
        hit.position.to_string(),
        time(entry.at_ms),
        entry.id.to_string(),
        entry.kind.name().to_owned(),
        cell(&entry.key),
        cell(&entry.team),
        cell(&entry.user),
        cell(&entry.session),
        cell(&entry.agent),
        cell(&entry.prompt),
        cell(&entry.client),
        cell(&entry.provider),
        cell(&entry.model),
        cell(&entry.served_model),
        cell(&entry.region),
        cell(&entry.method),
        cell(&entry.server),
        cell(&entry.tool),
        entry.class.name().to_owned(),
        number(entry.status.into()),
        cell(&entry.outcome),
        cell(&entry.stop_reason),
        tokens.input.to_string(),
        tokens.output.to_string(),
        tokens.cache_read.to_string(),
        tokens.cache_write_5m.to_string(),
        tokens.cache_write_1h.to_string(),
        dollars(entry.cost_pico.into()),
        (entry.took_us / 1000).to_string(),
        cell(&entry.decision),
        cell(&entry.error),
        cell(&actions.join(" ")),
        cell(&entry.policy),
        cell(&entry.marks),
        cell(&entry.sought),
        cell(&entry.mode),
        cell(&entry.mode_by),
    ];
    cells.join(",")
}

/// The columns of a report as CSV, with the line of their names.
pub fn report_csv(report: &Report, wish: &Wish) -> String {
    let mut head: Vec<&str> = wish.per.iter().map(|per| per.name()).collect();
    head.extend(wish.by.iter().map(|by: &By| by.name()));
    head.extend(["calls", "input", "output", "cache_read", "cache_write_5m", "cache_write_1h", "cost_usd"]);
    let mut out = head.join(",");
    for row in &report.rows {
        let mut cells: Vec<String> = wish.per.iter().map(|_| cell(&row.period)).collect();
        cells.extend(row.names.iter().map(|name| cell(name)));
        let sums = &row.sums;
        let kinds = [sums.input, sums.output, sums.cache_read, sums.cache_write_5m, sums.cache_write_1h];
        cells.push(sums.calls.to_string());
        cells.extend(kinds.map(|tokens| tokens.to_string()));
        cells.push(dollars(sums.cost_pico));
        out.push('\n');
        out.push_str(&cells.join(","));
    }
    out
}

/// The tool, prompt or resource of an entry with its server, `server.tool`; empty where there is none.
pub fn tool(entry: &Entry) -> String {
    names::whole_name(entry)
}

fn time(at_ms: u64) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|ms| jiff::Timestamp::from_millisecond(ms).ok());
    at.map_or_else(String::new, |at| format!("{at:.3}"))
}

fn number(number: u64) -> String {
    if number == 0 { String::new() } else { number.to_string() }
}

fn cell(text: &str) -> String {
    let formula = text.starts_with(['=', '+', '-', '@', '\t', '\r']);
    let steers = |c: char| c.is_control() && !matches!(c, '\t' | '\n' | '\r');
    let quote = if formula { "'" } else { "" };
    let plain = text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c });
    let text: String = quote.chars().chain(plain).collect();
    if text.contains(['"', ',', '\n', '\r']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
