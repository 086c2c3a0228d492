//! `tollgate tools suggest`: which tools a team should always have before it, by what its sessions used.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::path::Path;

use serde::Serialize;

use crate::cli::args::ToolsSuggest;
use crate::cli::entries::or_dash;
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, plain, thousands};
use crate::cli::tools_usage::{self, ServerUse};
use crate::gateway::survey::Survey;
use crate::ledger::index::usage::{Tool, Usage};
use crate::limits;
use crate::net::terminal;

/// Proposes core tools for each team, and names the tools that nobody calls.
pub(crate) fn run(
    config: Option<&Path>,
    wish: &ToolsSuggest,
    output: &mut Output<'_>,
) -> Result<(), Failure> {
    let past = tools_usage::past(config, wish.days, output)?;
    let survey = if wish.offline {
        Survey::default()
    } else {
        let loaded = tools_usage::config(config, output)?;
        tools_usage::listed(loaded, wish.timeout, output)?
    };
    let mut teams = suggest(&past.usage, &survey);
    teams.retain(|team| wish.team.as_ref().is_none_or(|wanted| *wanted == team.team));
    let servers = tools_usage::by_server(&survey, &tools_usage::calls(&past.usage));
    if wish.json {
        return output.json(&Form { days: wish.days, teams: &teams, dead: dead(&servers) });
    }
    output.text(&shown(&teams, &servers, wish.days, terminal::columns()))
}

/// What is proposed for one team.
#[derive(Debug, Serialize, PartialEq, Eq)]
struct TeamForm {
    /// Empty for those without one.
    team: String,
    /// Sessions that called any tool.
    sessions: u64,
    tools: Vec<ToolForm>,
}

#[derive(Debug, Serialize, PartialEq, Eq)]
struct ToolForm {
    server: String,
    tool: String,
    /// Sessions that called it.
    sessions: u64,
    calls: u64,
    /// What its definition takes as its server wrote it, where it is listed.
    #[serde(skip_serializing_if = "Option::is_none")]
    tokens: Option<usize>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Form<'a> {
    days: u64,
    teams: &'a [TeamForm],
    /// By server, the tools that nobody has called.
    dead: Vec<DeadForm<'a>>,
}

#[derive(Serialize)]
struct DeadForm<'a> {
    server: &'a str,
    listed: usize,
    tokens: usize,
    tools: &'a [String],
}

fn dead(servers: &[ServerUse]) -> Vec<DeadForm<'_>> {
    let with_dead = servers.iter().filter(|server| !server.dead.is_empty());
    let form = |server: &'_ ServerUse| (server.tools, server.dead_tokens);
    with_dead
        .map(|server| {
            let (listed, tokens) = form(server);
            DeadForm { server: &server.server, listed, tokens, tools: &server.dead }
        })
        .collect()
}

/// What is counted of one team.
#[derive(Debug, Default)]
struct Counted<'u> {
    sessions: u64,
    /// Of each tool, the sessions that called it, and its calls.
    tools: BTreeMap<&'u Tool, (u64, u64)>,
}

/// Ranks the tools of each team: those first that most of its sessions call.
fn suggest(usage: &Usage, survey: &Survey) -> Vec<TeamForm> {
    let tokens: BTreeMap<Tool, usize> =
        survey.tools.iter().map(|tool| (tools_usage::key(tool), tool.cost.unwrap_or_default().raw)).collect();
    let mut teams: BTreeMap<&str, Counted<'_>> = BTreeMap::new();
    for session in usage.sessions.iter().filter(|session| !session.calls.is_empty()) {
        let Counted { sessions, tools } = teams.entry(session.team.as_str()).or_default();
        *sessions += 1;
        for (tool, calls) in &session.calls {
            let (in_sessions, all) = tools.entry(tool).or_default();
            *in_sessions += 1;
            *all += calls;
        }
    }
    let form = |(team, Counted { sessions, tools }): (&str, Counted<'_>)| {
        // What is not there any more cannot be loaded.
        let is_there = |tool: &Tool| survey.tools.is_empty() || tokens.contains_key(tool);
        let mut ranked: Vec<ToolForm> = tools
            .into_iter()
            .filter(|(tool, (used, _))| *used >= limits::SUGGESTED_SESSIONS_MIN && is_there(tool))
            .map(|(tool, (used, calls))| ToolForm {
                server: tool.0.clone(),
                tool: tool.1.clone(),
                sessions: used,
                calls,
                tokens: tokens.get(tool).copied(),
            })
            .collect();
        ranked.sort_by_key(|tool| (Reverse(tool.sessions), Reverse(tool.calls)));
        let mut place = 0;
        ranked.retain(|tool| {
            place += 1;
            let usual =
                tool.sessions.saturating_mul(1000) / sessions.max(1) >= limits::SUGGESTED_SHARE_PERMILLE;
            place <= limits::SUGGESTED_MIN || (place <= limits::SUGGESTED_MAX && usual)
        });
        TeamForm { team: team.to_owned(), sessions, tools: ranked }
    };
    teams.into_iter().map(form).collect()
}

/// Everything for people.
fn shown(teams: &[TeamForm], servers: &[ServerUse], days: u64, width: Option<usize>) -> String {
    let whole = |number: u64| usize::try_from(number).map_or_else(|_| number.to_string(), thousands);
    let head = ["TEAM", "SESSIONS", "SHARE", "CALLS", "TOKENS", "TOOL"].map(str::to_owned);
    let mut rows = vec![head];
    for team in teams {
        rows.extend(team.tools.iter().map(|tool| {
            let percent = tool.sessions.saturating_mul(100) / team.sessions.max(1);
            [
                or_dash(&team.team),
                format!("{} of {}", whole(tool.sessions), whole(team.sessions)),
                format!("{percent} %"),
                whole(tool.calls),
                tool.tokens.map_or_else(|| "-".to_owned(), thousands),
                plain(&format!("{}.{}", tool.server, tool.tool)),
            ]
        }));
    }
    if rows.len() == 1 {
        return format!(
            "no tool was called in {} sessions or more of a team in the last {days} days\n",
            limits::SUGGESTED_SESSIONS_MIN
        );
    }
    let mut out = columns(&rows, &[1, 2, 3, 4], width);
    out.push_str("\n# for the config: tools that are always loaded\n");
    out.push_str(&yaml(teams));
    if servers.iter().any(|server| !server.dead.is_empty()) {
        out.push_str(&format!("\ntools that nobody has called in {days} days\n"));
        let mut rows = vec![["SERVER", "TOOLS", "DEAD", "~TOKENS", "NAMES"].map(str::to_owned)];
        rows.extend(servers.iter().filter(|server| !server.dead.is_empty()).map(|server| {
            [
                plain(&server.server),
                thousands(server.tools),
                thousands(server.dead.len()),
                thousands(server.dead_tokens),
                plain(&server.dead.join(", ")),
            ]
        }));
        out.push_str(&columns(&rows, &[1, 2, 3], width));
    }
    out
}

/// The proposals as a config has them; those of callers without a team stand with their servers.
fn yaml(teams: &[TeamForm]) -> String {
    let mut out = String::new();
    let (with, without): (Vec<&TeamForm>, Vec<&TeamForm>) =
        teams.iter().filter(|team| !team.tools.is_empty()).partition(|team| !team.team.is_empty());
    if !with.is_empty() {
        out.push_str("teams:\n");
    }
    for team in with {
        let servers: Vec<String> =
            by_server(team).into_iter().map(|(server, tools)| format!("{server}: [{tools}]")).collect();
        out.push_str(&format!("  {}:\n    core: {{ {} }}\n", word(&team.team), servers.join(", ")));
    }
    if !without.is_empty() {
        out.push_str("mcp_servers:\n");
    }
    for (server, tools) in without.iter().flat_map(|team| by_server(team)) {
        out.push_str(&format!("  {server}:\n    core: [{tools}]\n"));
    }
    out
}

/// The tools of each server, in the order in which they are proposed.
fn by_server(team: &TeamForm) -> BTreeMap<String, String> {
    let mut servers: BTreeMap<String, String> = BTreeMap::new();
    for tool in &team.tools {
        let tools = servers.entry(word(&tool.server)).or_default();
        if !tools.is_empty() {
            tools.push_str(", ");
        }
        tools.push_str(&word(&tool.tool));
    }
    servers
}

/// A name as YAML has it, quoted where it could be read as anything else.
fn word(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let letter = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphabetic());
    let spoken = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if letter && text.bytes().all(plain) && !spoken.contains(&text.to_ascii_lowercase().as_str()) {
        return text.to_owned();
    }
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ToolMode;
    use crate::gateway::survey::{Health, ServerFound, ToolFound};
    use crate::ledger::index::usage::SessionUse;
    use crate::mcp::lean::cost::Cost;
    use std::time::Duration;

    fn session(team: &str, calls: &[(&str, u64)]) -> SessionUse {
        let calls = calls.iter().map(|(tool, calls)| (("git".to_owned(), (*tool).to_owned()), *calls));
        SessionUse { team: team.to_owned(), requests: 10, calls: calls.collect(), ..SessionUse::default() }
    }

    fn survey(tools: &[&str]) -> Survey {
        let tool = |name: &&str| ToolFound {
            exposed: (*name).to_owned(),
            name: (*name).to_owned(),
            server: "git".to_owned(),
            bytes: 400,
            shown_bytes: 400,
            hash: 1,
            read_only: None,
            destructive: None,
            description: String::new(),
            marks: String::new(),
            mode: ToolMode::Native,
            cost: Some(Cost { raw: 100, native: 90, lean: 50, signature: 20, name: 3 }),
        };
        let server = ServerFound {
            name: "git".to_owned(),
            health: Health::Fine,
            era: "modern",
            version: "2026-07-28",
            tools: tools.len(),
            left_out: Vec::new(),
            took: Duration::ZERO,
        };
        Survey { servers: vec![server], tools: tools.iter().map(tool).collect(), chosen: Vec::new() }
    }

    fn used() -> Usage {
        let mut sessions = vec![session("red", &[]), session("", &[("log", 2)]), session("", &[("log", 1)])];
        // Twelve tools that half of the sessions use, one that a tenth uses, and one that is used once.
        let names: Vec<String> = (0..12).map(|number| format!("tool_{number:02}")).collect();
        for number in 0..20 {
            let mut calls: Vec<(&str, u64)> = vec![("log", 3)];
            if number % 2 == 0 {
                calls.extend(names.iter().map(|name| (name.as_str(), 1)));
            }
            if number < 2 {
                calls.push(("rare", 9));
            }
            if number == 0 {
                calls.push(("once", 50));
            }
            sessions.push(session("red", &calls));
        }
        Usage { sessions, ..Usage::default() }
    }

    #[test]
    fn what_most_sessions_use_is_proposed_within_bounds() {
        let teams = suggest(&used(), &Survey::default());
        assert_eq!(teams.iter().map(|team| team.team.as_str()).collect::<Vec<_>>(), ["", "red"]);
        let red = &teams[1];
        assert_eq!((red.sessions, red.tools.len()), (20, limits::SUGGESTED_MAX));
        assert_eq!((red.tools[0].tool.as_str(), red.tools[0].sessions, red.tools[0].calls), ("log", 20, 60));
        assert!(red.tools.iter().all(|tool| tool.tool != "rare" && tool.tool != "once"), "{red:?}");
        // A habit of few is proposed where there is nothing better.
        let few = Usage {
            sessions: (0..20)
                .map(|n| session("red", &[("log", 1), ("rare", 1)][..if n < 2 { 2 } else { 1 }]))
                .collect(),
            ..Usage::default()
        };
        let tools: Vec<String> =
            suggest(&few, &Survey::default()).remove(0).tools.into_iter().map(|t| t.tool).collect();
        assert_eq!(tools, ["log", "rare"]);
    }

    #[test]
    fn what_is_gone_is_not_proposed_and_what_nobody_calls_is_named() {
        let survey = survey(&["log", "tool_00", "blame", "bisect"]);
        let teams = suggest(&used(), &survey);
        let tools: Vec<&str> = teams[1].tools.iter().map(|tool| tool.tool.as_str()).collect();
        assert_eq!(tools, ["log", "tool_00"]);
        assert_eq!(teams[1].tools[0].tokens, Some(100));
        let servers = tools_usage::by_server(&survey, &tools_usage::calls(&used()));
        assert_eq!(
            (servers[0].dead.as_slice(), servers[0].dead_tokens),
            (["blame", "bisect"].map(String::from).as_slice(), 180)
        );
        let text = shown(&teams, &servers, 7, None);
        assert!(text.contains("teams:\n  red:\n    core: { git: [log, tool_00] }\n"), "{text}");
        assert!(text.contains("mcp_servers:\n  git:\n    core: [log]\n"), "{text}");
        assert!(text.lines().any(|line| line.ends_with("blame, bisect")), "{text}");
        let json = serde_json::to_value(Form { days: 7, teams: &teams, dead: dead(&servers) }).unwrap();
        assert_eq!(json["dead"][0]["tools"], serde_json::json!(["blame", "bisect"]));
        assert_eq!(json["teams"][1]["tools"][1]["tool"], "tool_00");
    }

    #[test]
    fn names_are_quoted_where_yaml_would_read_them_as_something_else() {
        for (text, expected) in [("a_b-1", "a_b-1"), ("1a", "\"1a\""), ("no", "\"no\""), ("a: b", "\"a: b\"")]
        {
            assert_eq!(word(text), expected);
        }
        assert!(shown(&[], &[], 7, None).starts_with("no tool was called"));
    }
}
