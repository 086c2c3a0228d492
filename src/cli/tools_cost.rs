//! `tollgate tools cost`: what definitions of tools take of a prompt, in each mode.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Serialize;

use crate::call::ToolMode;
use crate::cli::args::ToolsCost;
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain, thousands};
use crate::cli::tools_session;
use crate::cli::tools_spent;
use crate::config::load;
use crate::gateway::survey::{self, Health, Survey, Wish};
use crate::limits;
use crate::mcp::definition::ItemKind;
use crate::mcp::lean::cost::{Cost, listed};
use crate::mcp::lean::session::{Catalog, Doors};
use crate::mcp::list::Pages;
use crate::mcp::store::Store;
use crate::net::terminal;

/// Counts the tools of the config's servers, or those of lists in files.
pub(crate) fn run(config: Option<&Path>, wish: &ToolsCost, output: &mut Output<'_>) -> Result<(), Failure> {
    if wish.from_ledger {
        return tools_spent::run(config, wish, output);
    }
    let (rows, failed) = match &wish.corpus {
        Some(folder) => (corpus(folder, wish, output)?, 0),
        None => servers(config, wish, output)?,
    };
    if wish.session {
        tools_session::show(&catalog(&rows), rows.len(), wish.json, output)?;
    } else if wish.json {
        output.json(&form(&rows))?;
    } else if !rows.is_empty() {
        output.text(&shown(&rows, terminal::columns()))?;
    }
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::Refused(format!("servers that cannot be listed: {failed}; see `tollgate tools list`")))
}

/// The tools of one server.
#[derive(Debug, Default)]
struct Row {
    server: String,
    tools: usize,
    cost: Cost,
    /// Tokens of the names as Claude Code lists them that loads definitions when they are wanted.
    names: usize,
    /// In the modes that the config says.
    set: Option<usize>,
    /// Whether any of them is to be searched for, and called by doors.
    searched: bool,
    /// Whether any of them is added to lists when it is found.
    added: bool,
    /// The same for those that scripts call.
    coded: bool,
}

impl Row {
    fn of(survey: &Survey, server: &str) -> Self {
        let mut row = Self { server: server.to_owned(), ..Self::default() };
        let mut set = 0;
        for tool in survey.tools.iter().filter(|tool| tool.server == server) {
            let cost = tool.cost.unwrap_or_default();
            row.tools += 1;
            row.cost += cost;
            row.names += listed(server, &tool.name);
            set += cost.in_mode(tool.mode);
            row.searched |= tool.mode == ToolMode::Search;
            row.added |= tool.mode == ToolMode::Jit;
            row.coded |= tool.mode == ToolMode::Code;
        }
        row.set = Some(set);
        row
    }

    fn all(rows: &[Self]) -> Self {
        let mut all = Self { server: "all".to_owned(), ..Self::default() };
        for row in rows {
            all.tools += row.tools;
            all.cost += row.cost;
            all.names += row.names;
            all.set = row.set.map(|set| set + all.set.unwrap_or_default());
            all.searched |= row.searched;
            all.added |= row.added;
            all.coded |= row.coded;
        }
        all.set = all.set.map(|set| set + ahead(rows, (all.searched, all.added, all.coded)));
        all
    }
}

/// Asks the servers of the config; says how many of them did not answer.
fn servers(
    config: Option<&Path>,
    wish: &ToolsCost,
    output: &mut Output<'_>,
) -> Result<(Vec<Row>, usize), Failure> {
    let loaded = load::read(config)?;
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"))?;
    }
    if loaded.snapshot.mcp.servers.is_empty() {
        output.note("the config has no mcp_servers")?;
    }
    let patience = Duration::from_secs(wish.timeout);
    let asking = Wish { server: wish.server.as_deref(), patience, count: true, log: wish.verbose };
    let found = survey::survey(loaded, asking, &mut |_| {});
    let found = found.map_err(|fault| Failure::Refused(fault.to_string()))?;
    let rows = found.servers.iter().map(|server| Row::of(&found, &server.name)).collect();
    let failed = found.servers.iter().filter(|server| server.health != Health::Fine).count();
    Ok((rows, failed))
}

/// What all servers that were asked offer together.
pub(crate) fn catalog_of(survey: &Survey) -> Catalog {
    let rows: Vec<Row> = survey.servers.iter().map(|server| Row::of(survey, &server.name)).collect();
    catalog(&rows)
}

/// What all rows offer together.
fn catalog(rows: &[Row]) -> Catalog {
    let Row { tools, cost, names, .. } = Row::all(rows);
    Catalog { tools, cost, names, doors: Doors::of(rows.iter().map(|row| row.server.as_str())) }
}

fn refused(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::Refused(format!("{}: {why}", path.display()))
}

/// The lists of a folder that are to be counted, in the order of their names.
fn chosen(folder: &Path, wish: &ToolsCost) -> Result<Vec<PathBuf>, Failure> {
    let entries = std::fs::read_dir(folder).map_err(|why| refused(folder, &why))?;
    let paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<io::Result<Vec<_>>>();
    let mut paths = paths.map_err(|why| refused(folder, &why))?;
    paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
    paths.sort();
    let is = |path: &Path, name: &String| path.file_stem().is_some_and(|stem| stem == name.as_str());
    for name in wish.only.iter().chain(&wish.without) {
        if !paths.iter().any(|path| is(path, name)) {
            return Err(refused(&folder.join(format!("{name}.json")), &"there is no such list"));
        }
    }
    paths.retain(|path| wish.only.is_empty() || wish.only.iter().any(|name| is(path, name)));
    paths.retain(|path| !wish.without.iter().any(|name| is(path, name)));
    if paths.is_empty() {
        return Err(refused(folder, &"no file here ends in .json; each holds the result of a tools/list"));
    }
    Ok(paths)
}

/// Reads lists of a folder, each the `result` of one `tools/list`.
fn corpus(folder: &Path, wish: &ToolsCost, output: &mut Output<'_>) -> Result<Vec<Row>, Failure> {
    let paths = chosen(folder, wish)?;
    let mut rows = Vec::with_capacity(paths.len());
    for path in &paths {
        let list = read(path).map_err(|why| refused(path, &why))?;
        let mut pages = Pages::new(ItemKind::Tool);
        pages.add(&Store::new(), &list).map_err(|why| refused(path, &why))?;
        let list = pages.finish();
        let server = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        if list.left_out_count > 0 {
            output.note(&format!("warning: {}: tools left out: {}", plain(&server), list.left_out_count))?;
        }
        let mut row = Row { server, tools: list.items.len(), ..Row::default() };
        for tool in &list.items {
            row.cost += Cost::of(tool.key(), None, tool);
            row.names += listed(&row.server, tool.key());
        }
        rows.push(row);
    }
    Ok(rows)
}

/// A file, or why not: one that is larger than any list that the gateway takes is not read.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let most = limits::MCP_LIST_BYTES_MAX;
    let mut list = Vec::new();
    File::open(path)?.take(u64::try_from(most).unwrap_or(u64::MAX) + 1).read_to_end(&mut list)?;
    if list.len() > most {
        return Err(io::Error::other(format!("it is longer than {most} bytes")));
    }
    Ok(list)
}

/// Tokens of our own tools, for these servers.
fn ours(rows: &[Row]) -> Doors {
    Doors::of(rows.iter().map(|row| row.server.as_str()))
}

/// What stands in lists for tools that are in none: called by doors, added when they are found, called by
/// scripts.
fn ahead(rows: &[Row], away: (bool, bool, bool)) -> usize {
    let Doors { find, search, code, run } = ours(rows);
    match away {
        (true, _, coded) => search + if coded { run } else { 0 },
        (false, true, coded) => find + if coded { run } else { 0 },
        (false, false, true) => code,
        (false, false, false) => 0,
    }
}

/// How `form` stands against `raw`, in tenths of a percent, such as `-7.4 %`.
fn against(raw: usize, form: usize) -> String {
    let part = |larger: usize, smaller: usize| (larger - smaller) * 1000 / raw.max(1);
    let (sign, tenths) = if form > raw { ('+', part(form, raw)) } else { ('-', part(raw, form)) };
    format!("{sign}{}.{} %", tenths / 10, tenths % 10)
}

fn shown(rows: &[Row], width: Option<usize>) -> String {
    let head = ["SERVER", "TOOLS", "RAW", "NATIVE", "", "LEAN", "", "SIGNATURES", "NAMES", "AS SET"];
    let mut table = vec![head.map(str::to_owned)];
    let all = Row::all(rows);
    table.extend(rows.iter().chain([&all]).map(|row| {
        let Cost { raw, native, lean, signature, name } = row.cost;
        [
            plain(&row.server),
            thousands(row.tools),
            thousands(raw),
            thousands(native),
            against(raw, native),
            thousands(lean),
            against(raw, lean),
            thousands(signature),
            thousands(name),
            row.set.map_or_else(|| "-".to_owned(), thousands),
        ]
    }));
    let mut out = columns(&table, &[1, 2, 3, 4, 5, 6, 7, 8, 9], width);
    let Doors { find, search, code, .. } = ours(rows);
    let (search, find, code) = (thousands(search), thousands(find), thousands(code));
    out.push_str(&format!(
        "\n`tools: search` takes {search} for all of them, and a signature for each that is found; \
         `tools: jit` takes {find}, and the definition of each that is found; `tools: code` takes {code}"
    ));
    out.push_str("\ntokens by o200k_base; no vocabulary of today's Claude is public, so read the shares\n");
    out
}

/// What `--json` prints.
#[derive(Serialize)]
struct Form<'a> {
    /// The vocabulary that tokens are counted by.
    vocabulary: &'static str,
    servers: Vec<RowForm<'a>>,
    totals: RowForm<'a>,
    /// What the tools take that find all others and call them, however many those are.
    search: usize,
    /// What the one takes that adds others to lists.
    jit: usize,
    /// The same of those that find them and run scripts.
    code: usize,
}

#[derive(Serialize)]
struct RowForm<'a> {
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
    tools: usize,
    raw: usize,
    native: usize,
    lean: usize,
    signatures: usize,
    names: usize,
    /// In the modes that the config says.
    #[serde(skip_serializing_if = "Option::is_none")]
    as_set: Option<usize>,
}

fn form(rows: &[Row]) -> Form<'_> {
    fn of<'a>(row: &Row, name: &'a str) -> RowForm<'a> {
        RowForm {
            name,
            tools: row.tools,
            raw: row.cost.in_mode(ToolMode::Raw),
            native: row.cost.in_mode(ToolMode::Native),
            lean: row.cost.in_mode(ToolMode::Lean),
            signatures: row.cost.signature,
            names: row.cost.name,
            as_set: row.set,
        }
    }
    let servers = rows.iter().map(|row| of(row, &row.server)).collect();
    let Doors { find: jit, search, code, .. } = ours(rows);
    let totals = of(&Row::all(rows), "");
    Form { vocabulary: "o200k_base", servers, totals, search, jit, code }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows() -> Vec<Row> {
        let cost = |raw, native| Cost { raw, native, lean: native / 2, signature: 9, name: 3 };
        let row = |server: &str, cost, set| Row {
            server: server.to_owned(),
            tools: 2,
            cost,
            names: 12,
            set,
            ..Row::default()
        };
        vec![row("git", cost(1000, 925), Some(925)), row("k8s", cost(3000, 3000), Some(1500))]
    }

    #[test]
    fn the_table_has_every_mode_and_the_sum() {
        let text = shown(&rows(), None);
        let lines: Vec<&str> = text.lines().collect();
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        assert_eq!(words(lines[1]), "git 2 1,000 925 -7.5 % 462 -53.8 % 9 3 925", "{text}");
        assert_eq!(words(lines[2]), "k8s 2 3,000 3,000 -0.0 % 1,500 -50.0 % 9 3 1,500", "{text}");
        assert_eq!(words(lines[3]), "all 4 4,000 3,925 -1.8 % 1,962 -50.9 % 18 6 2,425", "{text}");
    }

    #[test]
    fn what_is_searched_for_costs_the_tools_that_find_it() {
        let mut rows = rows();
        rows[0].searched = true;
        let doors = ours(&rows).search;
        assert!((100..400).contains(&doors), "{doors}");
        assert_eq!(Row::all(&rows).set, Some(2425 + doors));
        assert!(shown(&rows, None).contains(&format!("takes {doors} for all of them")));
        rows[0].searched = false;
        rows[1].added = true;
        let finder = ours(&rows).find;
        assert!((50..doors / 2).contains(&finder), "{finder}");
        assert_eq!(Row::all(&rows).set, Some(2425 + finder));
        assert!(shown(&rows, None).contains(&format!("`tools: jit` takes {finder}, ")));
        rows[0].coded = true;
        assert_eq!(Row::all(&rows).set, Some(2425 + finder + ours(&rows).run));
        rows[1].added = false;
        assert_eq!(Row::all(&rows).set, Some(2425 + ours(&rows).code));
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(form(&rows())).unwrap();
        assert_eq!(json["servers"][1]["name"], "k8s");
        assert_eq!((&json["totals"]["native"], &json["totals"]["as_set"]), (&3925.into(), &2425.into()));
    }
}
