//! `tollgate ledger search` and `export`: entries found, listed, counted, followed, written out.

use std::path::Path;

use serde_json::json;

use crate::cli::entries::{self, count, money, or_dash, took};
use crate::cli::ledger_args::{Export, ExportFormat, Search};
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain};
use crate::config::outline;
use crate::ledger::entry::Entry;
use crate::ledger::index::form;
use crate::ledger::index::query::{Now, Query};
use crate::ledger::index::search::{Facets, Hit, Page, Reader};
use crate::ledger::index::when;
use crate::ledger::parquet;
use crate::limits;
use crate::net::terminal;

/// Searches.
pub(crate) fn run(config: Option<&Path>, wish: &Search, output: &mut Output<'_>) -> Result<(), Failure> {
    let now = entries::now(&wish.zone)?;
    let query = entries::query(&wish.query, &now)?;
    let mut reader = entries::open(config, output)?;
    if wish.facets {
        let facets = reader.facets(&query)?;
        return if wish.json { output.json(&form::facets(&facets)) } else { output.text(&counted(&facets)) };
    }
    let from = reader.next()?;
    // What has come since is told by following, and by nothing else.
    let before = if wish.follow { Some(from) } else { wish.before };
    let found = reader.search(&query, Page { before, limit: wish.limit })?;
    if wish.follow {
        let mut hits = found.hits;
        hits.reverse();
        lines(&hits, wish, &now, output)?;
        return follow(&mut reader, &query, (from, wish, &now), output);
    }
    if wish.json {
        let entries: Vec<_> = found.hits.iter().map(form::hit).collect();
        return output.json(&json!({"entries": entries, "next": found.next}));
    }
    if wish.csv {
        output.text(form::CSV_HEAD)?;
        return found.hits.iter().try_for_each(|hit| output.text(&form::csv(hit)));
    }
    if found.hits.is_empty() {
        output.note("nothing was found")?;
    } else {
        output.text(&table(&found.hits, &now, terminal::columns()))?;
    }
    found.next.map_or(Ok(()), |next| output.note(&format!("there may be more: --before {next}")))
}

/// Prints what comes in, for ever.
fn follow(
    reader: &mut Reader,
    query: &Query,
    (mut from, wish, now): (u64, &Search, &Now),
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    loop {
        let found = reader.since(query, from, limits::PAGE_ENTRIES_MAX)?;
        from = found.next.unwrap_or(from);
        lines(&found.hits, wish, now, output)?;
        if found.hits.len() < limits::PAGE_ENTRIES_MAX {
            std::thread::park_timeout(limits::INDEX_TAIL_EVERY);
        }
    }
}

/// Each entry as one line, in the form that is wished.
fn lines(hits: &[Hit], wish: &Search, now: &Now, output: &mut Output<'_>) -> Result<(), Failure> {
    for hit in hits {
        if wish.json {
            output.text(&form::hit(hit).to_string())?;
        } else if wish.csv {
            output.text(&form::csv(hit))?;
        } else {
            output.text(&row(&hit.entry, now).join("  "))?;
        }
    }
    Ok(())
}

/// Writes entries out, oldest first, in constant memory.
pub(crate) fn export(config: Option<&Path>, wish: &Export, output: &mut Output<'_>) -> Result<(), Failure> {
    if wish.format == ExportFormat::Parquet && terminal::columns().is_some() {
        let text = "Parquet is no text for a terminal: write `> ledger.parquet` behind the command";
        return Err(Failure::Usage(text.to_owned()));
    }
    let now = entries::now(&wish.zone)?;
    let query = entries::query(&wish.query, &now)?;
    let stays = Stays::of(config, wish)?;
    let mut reader = entries::open(config, output)?;
    let end = reader.next()?;
    let mut pages = Pages { reader: &mut reader, query: &query, from: 0, end, stays };
    if wish.format == ExportFormat::Parquet {
        let mut file = parquet::Writer::new(output.raw())?;
        while let Some(hits) = pages.next()? {
            hits.iter().try_for_each(|hit| file.add(hit))?;
        }
        file.finish()?;
        return pages.stays.tell(output);
    }
    if wish.format == ExportFormat::Csv {
        output.text(form::CSV_HEAD)?;
    }
    while let Some(hits) = pages.next()? {
        let mut page = String::new();
        for hit in &hits {
            match wish.format {
                ExportFormat::Csv => page.push_str(&form::csv(hit)),
                ExportFormat::Jsonl | ExportFormat::Parquet => page.push_str(&form::hit(hit).to_string()),
            }
            page.push('\n');
        }
        if !page.is_empty() {
            output.text(&page)?;
        }
    }
    pages.stays.tell(output)
}

/// The entries that may not go where an export goes, and how many there were, by team with the rule.
struct Stays(Vec<(String, String, u64)>);

impl Stays {
    /// What the config says of the region that an export goes to.
    fn of(config: Option<&Path>, wish: &Export) -> Result<Self, Failure> {
        let homes = outline::outline(config)?.homes;
        let against = homes.against(wish.region.as_deref());
        match (against.first(), &wish.region) {
            (Some((_, rule)), None) => Err(Failure::Refused(format!(
                "there are teams whose records stay in their regions ({rule}): say where this export is \
                 going to be with --region, such as --region eu"
            ))),
            _ => Ok(Self(against.into_iter().map(|(team, rule)| (team.to_owned(), rule, 0)).collect())),
        }
    }

    fn keep(&mut self, hit: &Hit) -> bool {
        let team = self.0.iter_mut().find(|(team, ..)| *team == hit.entry.team);
        team.map(|(_, _, count)| *count += 1).is_none()
    }

    fn tell(&self, output: &mut Output<'_>) -> Result<(), Failure> {
        let left_out = self.0.iter().filter(|(_, _, count)| *count > 0);
        for (_, rule, count) in left_out {
            output.note(&format!("{count} entries were left out ({rule})"))?;
        }
        Ok(())
    }
}

/// What a search finds, page by page, oldest first.
struct Pages<'r> {
    reader: &'r mut Reader,
    query: &'r Query,
    from: u64,
    /// The first position that came too late to be exported.
    end: u64,
    stays: Stays,
}

impl Pages<'_> {
    /// The next page, which may be empty; nothing after the last.
    fn next(&mut self) -> Result<Option<Vec<Hit>>, Failure> {
        if self.from >= self.end {
            return Ok(None);
        }
        let mut found = self.reader.since(self.query, self.from, limits::PAGE_ENTRIES_MAX)?;
        found.hits.retain(|hit| self.stays.keep(hit));
        self.from = found.next.unwrap_or(self.end);
        Ok(Some(found.hits))
    }
}

fn table(hits: &[Hit], now: &Now, width: Option<usize>) -> String {
    let head = ["TIME", "USER", "KIND", "WHAT", "STATUS", "TOKENS", "COST", "TOOK", "ID", "ABOUT"];
    let mut rows = vec![head.map(str::to_owned)];
    rows.extend(hits.iter().map(|hit| row(&hit.entry, now)));
    columns(&rows, &[5, 6, 7], width)
}

fn row(entry: &Entry, now: &Now) -> [String; 10] {
    let who = if entry.user.is_empty() { &entry.key } else { &entry.user };
    let status = if entry.status == 0 { or_dash(&entry.outcome) } else { entry.status.to_string() };
    let tokens = &entry.tokens;
    let kinds =
        [tokens.input, tokens.output, tokens.cache_read, tokens.cache_write_5m, tokens.cache_write_1h];
    [
        when::shown(entry.at_ms, &now.zone),
        or_dash(who),
        entry.kind.name().to_owned(),
        or_dash(&what(entry)),
        status,
        count(kinds.into_iter().fold(0, u64::saturating_add)),
        money(entry.cost_pico.into()),
        took(entry.took_us),
        entry.id.to_string(),
        about(entry),
    ]
}

/// What was asked: a tool, or a model, or a method.
pub(crate) fn what(entry: &Entry) -> String {
    let tool = form::tool(entry);
    match (tool.is_empty(), entry.model.is_empty(), entry.server.is_empty()) {
        (false, _, _) => tool,
        (true, false, _) => entry.model.clone(),
        (true, true, false) => format!("{} {}", entry.server, entry.method),
        (true, true, true) => entry.method.clone(),
    }
}

/// What there is to say: an error, a refusal, or what the client was told to do.
fn about(entry: &Entry) -> String {
    if !entry.error.is_empty() {
        return plain(&entry.error);
    }
    if !entry.actions.is_empty() {
        let told: Vec<String> =
            entry.actions.iter().map(|action| format!("{} {}", action.name, action.detail)).collect();
        return plain(&told.join(", "));
    }
    if !entry.mode.is_empty() {
        return plain(&format!("tools as {} (by {})", entry.mode, entry.mode_by));
    }
    if entry.status >= 400 || entry.status == 0 { or_dash(&entry.decision) } else { "-".to_owned() }
}

fn counted(facets: &Facets) -> String {
    let which = if facets.all { "" } else { " (the newest)" };
    let mut out = format!("{} entries{which}\n", count(facets.counted));
    let mut rows = vec![["FIELD", "ENTRIES", "VALUE"].map(str::to_owned)];
    for facet in &facets.fields {
        rows.extend(
            facet.values.iter().map(|(value, number)| [facet.field.to_owned(), count(*number), plain(value)]),
        );
        if facet.others > 0 {
            rows.push([facet.field.to_owned(), count(facet.others), "(others)".to_owned()]);
        }
    }
    out.push_str(&columns(&rows, &[1], terminal::columns()));
    out
}
