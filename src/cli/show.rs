//! `tollgate ledger show`: one entry whole, or a session as one timeline.

use std::collections::HashMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::entries::{self, count, money, or_dash, share, took};
use crate::cli::ledger_args::Show;
use crate::cli::output::{Failure, Output};
use crate::cli::search::what;
use crate::cli::table::plain;
use crate::config::outline;
use crate::ids::CallId;
use crate::ledger::content::{self, Part};
use crate::ledger::entry::{Class, Entry, Kind};
use crate::ledger::index::Sums;
use crate::ledger::index::form;
use crate::ledger::index::query::{Now, call_id};
use crate::ledger::index::search::Hit;
use crate::ledger::index::when;

/// Shows.
pub(crate) fn run(config: Option<&Path>, wish: &Show, output: &mut Output<'_>) -> Result<(), Failure> {
    let now = entries::now(&wish.zone)?;
    let mut reader = entries::open(config, output)?;
    if let Some(session) = &wish.session {
        let hits = reader.session(session)?;
        if hits.is_empty() {
            return Err(Failure::Refused(format!("the ledger has nothing of a session {session:?}")));
        }
        if wish.json {
            let entries: Vec<_> = hits.iter().map(form::hit).collect();
            return output.json(&json!({ "entries": entries }));
        }
        return output.text(&timeline(&hits, &now));
    }
    let text = wish.id.as_deref().unwrap_or_default();
    let id = call_id(text).ok_or_else(|| {
        Failure::Usage(format!("{text:?} is no id of a call: req_ and 32 hexadecimal digits"))
    })?;
    if wish.content {
        return contents(config, id, output);
    }
    let Some(hit) = reader.entry(id)? else {
        return Err(Failure::Refused(format!("the ledger has no entry of {id}")));
    };
    if wish.json { output.json(&form::hit(&hit)) } else { output.text(&whole(&hit, &now)) }
}

/// The bodies of a call, as far as they are kept: `{"request": .., "answer": ..}`.
fn contents(config: Option<&Path>, id: CallId, output: &mut Output<'_>) -> Result<(), Failure> {
    let dir = outline::outline(config)?.data_dir.join("ledger").join("content");
    let body = |part: Part| -> Result<Value, Failure> {
        if !dir.is_dir() {
            return Ok(Value::Null);
        }
        let read = content::read(&dir, id, part).map_err(|fault| Failure::Refused(fault.to_string()))?;
        let Some(bytes) = read else { return Ok(Value::Null) };
        let text = || Value::String(String::from_utf8_lossy(&bytes).into_owned());
        Ok(serde_json::from_slice(&bytes).unwrap_or_else(|_not_json| text()))
    };
    let (request, answer) = (body(Part::Request)?, body(Part::Answer)?);
    if request.is_null() && answer.is_null() {
        let text = "no bodies of this call are kept; see `content:` of teams and of `ledger:` in the README";
        return Err(Failure::Refused(text.to_owned()));
    }
    output.json(&json!({ "request": request, "answer": answer }))
}

/// All that is known of an entry, a line each.
fn whole(hit: &Hit, now: &Now) -> String {
    let entry = &hit.entry;
    let mut out = format!("{:16}{}\n", "time", when::shown(entry.at_ms, &now.zone));
    let form = form::hit(hit);
    for (name, value) in form.as_object().into_iter().flatten() {
        let text = match (name.as_str(), value) {
            ("at_ms" | "actions" | "tokens" | "offers", _) => continue,
            ("cost_pico", _) => {
                out.push_str(&format!("{:16}${}\n", "cost", form::dollars(entry.cost_pico.into())));
                continue;
            }
            ("took_us" | "first_byte_us", value) => took(value.as_u64().unwrap_or(0)),
            (_, Value::String(text)) => plain(text),
            (_, value) => plain(&value.to_string()),
        };
        out.push_str(&format!("{:16}{text}\n", name.trim_end_matches("_us")));
    }
    let tokens = &entry.tokens;
    let kinds = [
        ("input", tokens.input),
        ("output", tokens.output),
        ("cache read", tokens.cache_read),
        ("cache write 5m", tokens.cache_write_5m),
        ("cache write 1h", tokens.cache_write_1h),
    ];
    for (name, number) in kinds.into_iter().filter(|(_, number)| *number > 0) {
        out.push_str(&format!("{name:16}{}\n", count(number)));
    }
    for action in &entry.actions {
        out.push_str(&format!("{:16}{}\n", "action", told(&action.name, action.class, &action.detail)));
    }
    for offer in &entry.offers {
        let (of, tokens, used) = (or_dash(&offer.server), count(offer.tokens), count(offer.used));
        let deferred = count(offer.deferred);
        out.push_str(&format!(
            "{:16}{} of {of}: {tokens} tokens, {deferred} deferred, {used} used\n",
            "tools offered", offer.definitions
        ));
    }
    out
}

/// A session: prompt, model call, what the client was told to do, tool calls, costs.
fn timeline(hits: &[Hit], now: &Now) -> String {
    let Some(first) = hits.first().map(|hit| &hit.entry) else { return String::new() };
    let mut out = format!("session {}\n", plain(&first.session));
    for (name, text) in
        [("user", &first.user), ("key", &first.key), ("team", &first.team), ("client", &first.client)]
    {
        if !text.is_empty() {
            out.push_str(&format!("{name:8}{}\n", plain(text)));
        }
    }
    let calls: HashMap<&str, &Entry> = hits
        .iter()
        .filter(|hit| hit.entry.kind == Kind::ToolCall && !hit.entry.tool_use_id.is_empty())
        .map(|hit| (hit.entry.tool_use_id.as_str(), &hit.entry))
        .collect();
    let mut prompt = None;
    let mut total = Sums::default();
    let (mut models, mut tools, mut actions) = (0, 0, 0);
    for Hit { entry, .. } in hits {
        if prompt != Some(&entry.prompt) {
            prompt = Some(&entry.prompt);
            out.push_str(&format!("\nprompt {}\n", or_dash(&entry.prompt)));
        }
        out.push_str(&line(entry, now));
        for action in &entry.actions {
            let called = calls.get(action.id.as_str()).map_or_else(String::new, |call| {
                format!("  called {} of {}", clock(call.at_ms, now), plain(&what(call)))
            });
            let told = told(&action.name, action.class, &action.detail);
            out.push_str(&format!("            - {told}{called}\n"));
            actions += 1;
        }
        models += u64::from(entry.kind == Kind::ModelCall);
        tools += u64::from(entry.kind == Kind::ToolCall);
        total.add(&Sums::of(entry));
    }
    out.push_str(&format!(
        "\n{} model calls, {} tool calls, {} actions of the client told, {} tokens, {} cached, ${}\n",
        models,
        tools,
        actions,
        count(total.tokens()),
        share(total.cache_hits_permille()),
        form::dollars(total.cost_pico),
    ));
    out
}

fn line(entry: &Entry, now: &Now) -> String {
    let tokens = &entry.tokens;
    let mut parts = vec![plain(&what(entry))];
    if entry.class != Class::Unknown {
        parts.push(entry.class.name().to_owned());
    }
    let sent =
        [tokens.input, tokens.cache_write_5m, tokens.cache_write_1h].into_iter().fold(0, u64::saturating_add);
    for (number, word) in [(sent, "in"), (tokens.cache_read, "cached"), (tokens.output, "out")] {
        if number > 0 {
            parts.push(format!("{} {word}", count(number)));
        }
    }
    parts.push(took(entry.took_us));
    if entry.cost_pico > 0 {
        parts.push(money(entry.cost_pico.into()));
    }
    if entry.status != 200 || entry.outcome == "lost" {
        let status = if entry.status == 0 { String::new() } else { format!("{} ", entry.status) };
        parts.push(format!("{status}{}", plain(&entry.outcome)));
    }
    if !entry.error.is_empty() {
        parts.push(plain(&entry.error));
    }
    format!("  {}  {:12} {}\n", clock(entry.at_ms, now), entry.kind.name(), parts.join("  "))
}

fn told(name: &str, class: Class, detail: &str) -> String {
    let class = if class == Class::Unknown { String::new() } else { format!(" ({})", class.name()) };
    plain(&format!("{name}{class} {detail}"))
}

/// The time of day.
fn clock(at_ms: u64, now: &Now) -> String {
    when::shown(at_ms, &now.zone).split(' ').next_back().unwrap_or_default().to_owned()
}
