//! `tollgate tools`: what the MCP servers of the config offer, and what that costs in a prompt.

use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::cli::args::ToolsList;
use crate::cli::output::{Failure, Output};
use crate::cli::table::{columns, first_sentence, plain, thousands};
use crate::config::load;
use crate::gateway::survey::{self, Health, ServerFound, Survey, ToolFound, Wish};
use crate::net::terminal;

/// Bytes of a definition that are taken for one token of a model: a rule of thumb for English and JSON.
const BYTES_PER_TOKEN: usize = 4;

/// Lists the tools of all servers, or of one.
pub(crate) fn run(config: Option<&Path>, wish: &ToolsList, output: &mut Output<'_>) -> Result<(), Failure> {
    let loaded = load::read(config)?;
    for warning in &loaded.warnings {
        output.note(&format!("warning: {warning}"))?;
    }
    let asked = loaded.snapshot.mcp.servers.len();
    if asked == 0 && wish.server.is_none() {
        output.note("the config has no mcp_servers")?;
    } else {
        let who = wish.server.as_deref().map_or_else(|| counted(asked, "server"), str::to_owned);
        output.note(&format!("asking {who}, for {} s at most", wish.timeout))?;
    }
    let patience = Duration::from_secs(wish.timeout);
    let asking = Wish { server: wish.server.as_deref(), patience, count: false, log: wish.verbose };
    // That standard error is gone is no reason to stop.
    let mut tell = |server: &ServerFound| drop(output.note(&progress(server)));
    let found = survey::survey(loaded, asking, &mut tell);
    let found = found.map_err(|fault| Failure::Refused(fault.to_string()))?;
    if wish.json {
        output.json(&form(&found))?;
    } else {
        output.text(&shown(&found, terminal::columns()))?;
    }
    let failed = found.servers.iter().filter(|server| server.health != Health::Fine).count();
    if failed == 0 {
        return Ok(());
    }
    Err(Failure::Refused(format!("{failed} of {} cannot be listed", counted(found.servers.len(), "server"))))
}

fn counted(number: usize, what: &str) -> String {
    format!("{} {what}{}", thousands(number), if number == 1 { "" } else { "s" })
}

/// A line for those who wait.
fn progress(server: &ServerFound) -> String {
    let tenths = server.took.as_millis() / 100;
    let what = match &server.health {
        Health::Fine => counted(server.tools, "tool"),
        Health::Stale(why) | Health::Unreachable(why) => plain(why),
    };
    format!("  {}: {what} ({}.{} s)", plain(&server.name), tenths / 10, tenths % 10)
}

const fn tokens(bytes: usize) -> usize {
    (bytes + BYTES_PER_TOKEN / 2) / BYTES_PER_TOKEN
}

fn or_dash(text: &str) -> String {
    if text.is_empty() { "-".to_owned() } else { text.to_owned() }
}

/// What tools take together.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    tools: usize,
    bytes: usize,
    shown_bytes: usize,
}

impl Sum {
    /// Of all tools, or of those of one server.
    fn of(survey: &Survey, server: Option<&str>) -> Self {
        let counted = survey.tools.iter().filter(|tool| server.is_none_or(|server| tool.server == server));
        counted.fold(Self::default(), |sum, tool| Self {
            tools: sum.tools + 1,
            bytes: sum.bytes + tool.bytes,
            shown_bytes: sum.shown_bytes + tool.shown_bytes,
        })
    }

    const fn tokens(self) -> usize {
        tokens(self.shown_bytes)
    }
}

fn hash(tool: &ToolFound) -> String {
    format!("{:032x}", tool.hash)
}

/// What the server claims of a tool.
fn hints(tool: &ToolFound) -> &'static str {
    match (tool.read_only, tool.destructive) {
        (Some(true), _) => "read-only",
        (_, Some(true)) => "destructive",
        (_, Some(false)) => "additive",
        (Some(false), None) => "writes",
        (None, None) => "-",
    }
}

/// Everything for people, in lines of at most `width` characters.
fn shown(survey: &Survey, width: Option<usize>) -> String {
    if survey.servers.is_empty() {
        return String::new();
    }
    let mut servers =
        vec![["SERVER", "ERA", "VERSION", "TOOLS", "BYTES", "~TOKENS", "HEALTH"].map(str::to_owned)];
    servers.extend(survey.servers.iter().map(|server| {
        let health = match &server.health {
            Health::Fine => "ok".to_owned(),
            Health::Stale(why) => format!("stale: {}", plain(why)),
            Health::Unreachable(why) => format!("unreachable: {}", plain(why)),
        };
        let sum = Sum::of(survey, Some(&server.name));
        let hidden = if sum.tools == server.tools { String::new() } else { format!(" of {}", server.tools) };
        let count = format!("{}{hidden}", thousands(sum.tools));
        let (bytes, tokens) = (thousands(sum.bytes), thousands(sum.tokens()));
        [plain(&server.name), or_dash(server.era), or_dash(server.version), count, bytes, tokens, health]
    }));
    let mut out = columns(&servers, &[3, 4, 5], width);
    if !survey.tools.is_empty() {
        let head = ["TOOL", "SERVER", "BYTES", "~TOKENS", "HASH", "HINTS", "MARKS", "DESCRIPTION"];
        let mut tools = vec![head.map(str::to_owned)];
        tools.extend(survey.tools.iter().map(|tool| {
            let hash: String = hash(tool).chars().take(12).collect();
            let (bytes, tokens) = (thousands(tool.bytes), thousands(tokens(tool.shown_bytes)));
            let sentence = first_sentence(&tool.description);
            let (hints, marks) = (hints(tool).to_owned(), or_dash(&tool.marks));
            [plain(&tool.exposed), plain(&tool.server), bytes, tokens, hash, hints, marks, sentence]
        }));
        out.push('\n');
        out.push_str(&columns(&tools, &[2, 3], width));
    }
    for server in &survey.servers {
        for left_out in &server.left_out {
            out.push_str(&format!("\nleft out of {}: {}", plain(&server.name), plain(left_out)));
        }
    }
    if !survey.chosen.is_empty() {
        let chosen: Vec<String> =
            survey.chosen.iter().map(|(who, mode)| format!("{} for {who}", mode.name())).collect();
        out.push_str(&format!("\ntools: auto: {}", chosen.join(", ")));
    }
    let sum = Sum::of(survey, None);
    out.push_str(&format!(
        "\n{}, {}, {} bytes, about {} tokens of a prompt (an estimate)\n",
        counted(survey.servers.len(), "server"),
        counted(sum.tools, "tool"),
        thousands(sum.bytes),
        thousands(sum.tokens()),
    ));
    out
}

/// What `--json` prints.
#[derive(Serialize)]
struct Form<'a> {
    servers: Vec<ServerForm<'a>>,
    tools: Vec<ToolForm<'a>>,
    /// Where the config says `tools: auto`: who gets which mode.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    auto: Vec<(&'static str, &'static str)>,
    totals: Totals,
}

#[derive(Serialize)]
struct ServerForm<'a> {
    name: &'a str,
    /// `ok`, `stale` or `unreachable`.
    health: &'static str,
    why: Option<&'a str>,
    era: Option<&'a str>,
    version: Option<&'a str>,
    /// For callers, without hidden ones.
    tools: usize,
    /// By the server.
    listed: usize,
    bytes: usize,
    estimated_tokens: usize,
    left_out: &'a [String],
    took_ms: u64,
}

#[derive(Serialize)]
struct ToolForm<'a> {
    name: &'a str,
    server: &'a str,
    /// The server's own name for it.
    server_name: &'a str,
    bytes: usize,
    estimated_tokens: usize,
    hash: String,
    read_only: Option<bool>,
    destructive: Option<bool>,
    description: &'a str,
    /// Kinds of hints, such as `instruction, secrecy`.
    marks: &'a str,
}

#[derive(Serialize)]
struct Totals {
    servers: usize,
    unlisted: usize,
    tools: usize,
    bytes: usize,
    estimated_tokens: usize,
}

fn form(survey: &Survey) -> Form<'_> {
    let said = |text: &'static str| Some(text).filter(|text| !text.is_empty());
    let servers = survey.servers.iter().map(|server| {
        let (health, why) = match &server.health {
            Health::Fine => ("ok", None),
            Health::Stale(why) => ("stale", Some(why.as_str())),
            Health::Unreachable(why) => ("unreachable", Some(why.as_str())),
        };
        let sum = Sum::of(survey, Some(&server.name));
        ServerForm {
            name: &server.name,
            health,
            why,
            era: said(server.era),
            version: said(server.version),
            tools: sum.tools,
            listed: server.tools,
            bytes: sum.bytes,
            estimated_tokens: sum.tokens(),
            left_out: &server.left_out,
            took_ms: u64::try_from(server.took.as_millis()).unwrap_or(u64::MAX),
        }
    });
    let tools = survey.tools.iter().map(|tool| ToolForm {
        name: &tool.exposed,
        server: &tool.server,
        server_name: &tool.name,
        bytes: tool.bytes,
        estimated_tokens: tokens(tool.shown_bytes),
        hash: hash(tool),
        read_only: tool.read_only,
        destructive: tool.destructive,
        description: &tool.description,
        marks: &tool.marks,
    });
    let sum = Sum::of(survey, None);
    let totals = Totals {
        servers: survey.servers.len(),
        unlisted: survey.servers.iter().filter(|server| server.health != Health::Fine).count(),
        tools: sum.tools,
        bytes: sum.bytes,
        estimated_tokens: sum.tokens(),
    };
    let auto = survey.chosen.iter().map(|(who, mode)| (*who, mode.name())).collect();
    Form { servers: servers.collect(), tools: tools.collect(), auto, totals }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::call::ToolMode;

    fn found() -> Survey {
        let server = |name: &str, health, era, version, tools| ServerFound {
            name: name.to_owned(),
            health,
            era,
            version,
            tools,
            left_out: Vec::new(),
            took: Duration::from_millis(1234),
        };
        let tool = |exposed: &str, bytes, read_only, destructive, description: &str| ToolFound {
            exposed: exposed.to_owned(),
            name: exposed.to_owned(),
            server: "files".to_owned(),
            bytes,
            shown_bytes: bytes - 2,
            hash: 0x00ab_cdef_0123_4567_89ab_cdef_0123_4567,
            read_only,
            destructive,
            description: description.to_owned(),
            marks: if read_only.is_some() { String::new() } else { "secrecy".to_owned() },
            mode: ToolMode::default(),
            cost: None,
        };
        let dead = Health::Unreachable("it ended\nbefore \u{1b}[2J it answered".to_owned());
        Survey {
            servers: vec![
                server("files", Health::Fine, "legacy", "2025-11-25", 3),
                ServerFound {
                    left_out: vec!["bad: it has no `inputSchema`".to_owned()],
                    ..server("dead", dead, "", "", 0)
                },
            ],
            tools: vec![
                tool("read", 4001, Some(true), None, "Reads a file\nfrom disk. Never writes."),
                tool("write", 10, None, Some(true), ""),
            ],
            chosen: vec![("some", ToolMode::Native), ("others", ToolMode::Search)],
        }
    }

    #[test]
    fn the_tables_say_everything_in_the_lines_there_are() {
        let text = shown(&found(), Some(84));
        let expected = "\
SERVER  ERA     VERSION      TOOLS  BYTES  ~TOKENS  HEALTH
files   legacy  2025-11-25  2 of 3  4,011    1,002  ok
dead    -       -                0      0        0  unreachable: it ended before \u{fffd}[…

TOOL   SERVER  BYTES  ~TOKENS  HASH          HINTS        MARKS    DESCRIPTION
read   files   4,001    1,000  00abcdef0123  read-only    -        Reads a file fro…
write  files      10        2  00abcdef0123  destructive  secrecy

left out of dead: bad: it has no `inputSchema`
tools: auto: native for some, search for others
2 servers, 2 tools, 4,011 bytes, about 1,002 tokens of a prompt (an estimate)
";
        assert_eq!(text, expected);
        assert!(text.lines().all(|line| line.chars().count() <= 84), "{text}");
        assert!(shown(&found(), None).contains("before \u{fffd}[2J it answered\n"));
        assert_eq!(shown(&Survey::default(), None), "");
    }

    #[test]
    fn programs_get_the_same() {
        let json = serde_json::to_value(form(&found())).unwrap();
        assert_eq!(json["servers"][1]["health"], "unreachable");
        assert_eq!(json["servers"][1]["era"], serde_json::Value::Null);
        assert_eq!(json["tools"][0]["hash"], "00abcdef0123456789abcdef01234567");
        assert_eq!(json["tools"][0]["read_only"], true);
        assert_eq!(json["totals"]["unlisted"], 1);
        assert_eq!(json["totals"]["estimated_tokens"], 1002);
    }

    #[test]
    fn progress_is_a_line() {
        let found = found();
        let lines: Vec<String> = found.servers.iter().map(progress).collect();
        assert_eq!(
            lines,
            ["  files: 3 tools (1.2 s)", "  dead: it ended before \u{fffd}[2J it answered (1.2 s)"]
        );
    }
}
