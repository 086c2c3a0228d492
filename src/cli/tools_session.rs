//! `tollgate tools cost --session`: what tools cost in a session, for each way to offer them.

use serde::Serialize;

use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, thousands};
use crate::mcp::lean::session::{self, Catalog, Estimate, Way};
use crate::net::terminal;

/// Shows the estimates for what some servers offer.
pub(crate) fn show(
    catalog: &Catalog,
    servers: usize,
    json: bool,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let all = Way::ALL.map(|way| Estimate::of(way, catalog));
    if json {
        return output.json(&form(catalog, servers, &all));
    }
    output.text(&shown(catalog, servers, &all, terminal::columns()))
}

/// The two ways that all others stand against: all definitions in every request, and what Claude Code does by
/// itself.
fn against(catalog: &Catalog) -> [Estimate; 2] {
    [Way::AllRaw, Way::Deferred].map(|way| Estimate::of(way, catalog))
}

/// Thousandths as a share, such as `3.6 %`.
fn percent(permille: usize) -> String {
    format!("{}.{} %", thousands(permille / 10), permille % 10)
}

/// Thousandths as a factor, such as `0.36x`: rounded up, so that none looks better than it is.
fn factor(permille: usize) -> String {
    let hundredths = permille.div_ceil(10);
    format!("{}.{:02}x", hundredths / 100, hundredths % 100)
}

fn shown(catalog: &Catalog, servers: usize, all: &[Estimate], width: Option<usize>) -> String {
    let head = ["TOOLS", "AT START", "A SEARCH", "SESSION", "OF ALL", "OF CLAUDE CODE"];
    let mut table = vec![head.map(str::to_owned)];
    let [raw, own] = against(catalog);
    table.extend(all.iter().map(|estimate| {
        [
            estimate.way.name().to_owned(),
            thousands(estimate.start),
            estimate.found.map_or_else(|| "-".to_owned(), thousands),
            thousands(estimate.session),
            percent(estimate.permille_of(&raw)),
            factor(estimate.permille_of(&own)),
        ]
    }));
    let mut out = columns(&table, &[1, 2, 3, 4, 5], width);
    out.push_str(&assumptions(catalog.tools, servers));
    out
}

/// What the table takes for granted.
fn assumptions(tools: usize, servers: usize) -> String {
    let tenths = session::found_tenths(tools);
    let [calls, needed, prompt] = [session::CALLS, session::NEEDED, session::PROMPT].map(thousands);
    let [later, search, own] = [session::LATER, session::SEARCH, session::CLIENT_SEARCH].map(thousands);
    let loaded = session::CLIENT_FOUND;
    let found = format!("{}.{}", tenths / 10, tenths % 10);
    let lines = [
        String::new(),
        format!("{} tools of {servers} servers. A model, no measurement. It assumes:", thousands(tools)),
        format!(
            "- {calls} calls of the model; {needed} tools are needed, each searched for once where it is in"
        ),
        format!("  no list, which is one more call, that reads a prompt of {prompt} tokens again;"),
        "- what stands at the start is written into the cache once (1.25) and read by all other".to_owned(),
        format!("  calls (0.1); what a search brings is written once and read by {later} calls;"),
        format!(
            "- a search takes {search} tokens besides what it brings: in `jit` the name and the definition"
        ),
        "  of each tool, in `native`, and in `search` and `code` a line for each;".to_owned(),
        format!(
            "- Claude Code lists all names, has a search of {own} tokens, and loads {loaded} tools by it,"
        ),
        format!("  or one by its name; ours finds {found}."),
        "SESSION is in tokens of fresh input. What the model writes, wrong picks and repeated tries"
            .to_owned(),
        "are not in it. Tokens by o200k_base; no vocabulary of today's Claude is public, so read the"
            .to_owned(),
        "shares.".to_owned(),
    ];
    lines.join("\n")
}

/// What `--json` prints.
#[derive(Serialize)]
struct Form {
    /// The vocabulary that tokens are counted by.
    vocabulary: &'static str,
    servers: usize,
    tools: usize,
    assumptions: Assumptions,
    ways: Vec<WayForm>,
}

#[derive(Serialize)]
struct Assumptions {
    model_calls: usize,
    tools_needed: usize,
    /// Hundredths of the price of fresh input.
    cache_write_percent: usize,
    cache_read_percent: usize,
    /// Calls that read again what a search has brought.
    calls_after_a_search: usize,
    prompt_tokens_of_a_search: usize,
    tokens_of_a_search: usize,
    tokens_of_the_clients_search: usize,
    found_by_the_client: usize,
    /// Tenths of a tool.
    found_by_us_tenths: usize,
}

#[derive(Serialize)]
struct WayForm {
    way: &'static str,
    /// One word for it, the same as with `--from-ledger`.
    mode: &'static str,
    start: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    search: Option<usize>,
    session: usize,
    /// Thousandths of all definitions up front.
    of_all_permille: usize,
    /// Thousandths of what Claude Code does by itself.
    of_claude_code_permille: usize,
}

fn form(catalog: &Catalog, servers: usize, all: &[Estimate]) -> Form {
    let [raw, own] = against(catalog);
    let ways = all.iter().map(|estimate| WayForm {
        way: estimate.way.name(),
        mode: estimate.way.word(),
        start: estimate.start,
        search: estimate.found,
        session: estimate.session,
        of_all_permille: estimate.permille_of(&raw),
        of_claude_code_permille: estimate.permille_of(&own),
    });
    let assumptions = Assumptions {
        model_calls: session::CALLS,
        tools_needed: session::NEEDED,
        cache_write_percent: session::WRITE,
        cache_read_percent: session::READ,
        calls_after_a_search: session::LATER,
        prompt_tokens_of_a_search: session::PROMPT,
        tokens_of_a_search: session::SEARCH,
        tokens_of_the_clients_search: session::CLIENT_SEARCH,
        found_by_the_client: session::CLIENT_FOUND,
        found_by_us_tenths: session::found_tenths(catalog.tools),
    };
    Form { vocabulary: "o200k_base", servers, tools: catalog.tools, assumptions, ways: ways.collect() }
}

#[cfg(test)]
mod tests {
    use super::{factor, form, percent, shown};
    use crate::mcp::lean::cost::Cost;
    use crate::mcp::lean::session::{Catalog, Doors, Estimate, Way};

    fn catalog() -> Catalog {
        let cost = Cost { raw: 139_000, native: 116_000, lean: 76_000, signature: 25_000, name: 2_000 };
        Catalog {
            tools: 500,
            cost,
            names: 6_500,
            doors: Doors { find: 150, search: 390, code: 330, run: 130 },
        }
    }

    #[test]
    fn the_table_has_every_way_and_says_what_it_assumes() {
        let all = Way::ALL.map(|way| Estimate::of(way, &catalog()));
        let text = shown(&catalog(), 12, &all, None);
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect::<Vec<_>>().join(" ");
        let lines: Vec<String> = text.lines().map(words).collect();
        assert_eq!(lines[1], "all up front 139,000 - 437,850 100.0 % 12.09x", "{text}");
        assert_eq!(lines[4], "Claude Code defers 6,850 1,505 36,239 8.3 % 1.00x", "{text}");
        assert_eq!(lines[9], "search 390 237 6,570 1.6 % 0.19x", "{text}");
        assert!(text.contains("500 tools of 12 servers") && text.contains("ours finds 3.4"), "{text}");
    }

    #[test]
    fn shares_are_never_rounded_down() {
        assert_eq!((percent(36), factor(351), factor(350)), ("3.6 %".into(), "0.36x".into(), "0.35x".into()));
        assert_eq!((percent(12_345), factor(11_987)), ("1,234.5 %".into(), "11.99x".into()));
    }

    #[test]
    fn programs_get_the_same() {
        let all = Way::ALL.map(|way| Estimate::of(way, &catalog()));
        let json = serde_json::to_value(form(&catalog(), 12, &all)).unwrap();
        assert_eq!(json["ways"][0]["session"], 437_850);
        assert_eq!(json["ways"][0].get("search"), None);
        assert_eq!((&json["ways"][8]["way"], &json["ways"][8]["mode"]), (&"search".into(), &"search".into()));
        assert_eq!(json["ways"][3]["mode"], "deferred");
        assert_eq!(json["assumptions"]["found_by_us_tenths"], 34);
    }
}
