//! What can be said on the command line about the entries of the ledger.

use clap::{Args, Subcommand, ValueEnum};

use crate::config::key_terms;
use crate::limits;

/// `tollgate ledger search|show|export|rebuild`
#[derive(Debug, Subcommand)]
pub(crate) enum EntryCommand {
    /// Find entries, newest first
    #[command(after_help = SEARCH_HELP)]
    Search(Search),
    /// Show one entry whole, or a session as one timeline: prompts, model calls, tools, costs
    #[command(after_help = SHOW_HELP)]
    Show(Show),
    /// Write entries as JSON lines, CSV or Parquet, oldest first
    #[command(after_help = EXPORT_HELP)]
    Export(Export),
    /// Delete the index and build it anew from the segments, which stay as they are
    Rebuild,
}

/// `tollgate ledger search`
#[derive(Debug, Args)]
pub(crate) struct Search {
    /// What to look for, in quotes for the shell; all words have to fit, and without any everything does
    #[arg(value_name = "QUERY", num_args = 0..)]
    pub(crate) query: Vec<String>,
    /// At most so many entries
    #[arg(long, default_value_t = limits::PAGE_ENTRIES_DEFAULT, value_parser = limit())]
    pub(crate) limit: usize,
    /// Entries before this position: what the page before ended with
    #[arg(long, value_name = "POSITION")]
    pub(crate) before: Option<u64>,
    /// Count by field instead of listing
    #[arg(long, conflicts_with_all = ["csv", "follow"])]
    pub(crate) facets: bool,
    /// Go on with what comes in, until interrupted
    #[arg(long, short, conflicts_with = "before")]
    pub(crate) follow: bool,
    /// Print JSON, with --follow one object a line
    #[arg(long)]
    pub(crate) json: bool,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) zone: Zone,
}

/// `tollgate ledger show`
#[derive(Debug, Args)]
pub(crate) struct Show {
    /// Id of a call: what callers see as `request-id`
    #[arg(value_name = "ID", required_unless_present = "session", conflicts_with = "session")]
    pub(crate) id: Option<String>,
    /// Session of Claude Code, all of it
    #[arg(long, value_name = "SESSION")]
    pub(crate) session: Option<String>,
    /// Print the bodies of the call, where its team keeps them, as one JSON document
    #[arg(long, conflicts_with = "session")]
    pub(crate) content: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    pub(crate) zone: Zone,
}

/// `tollgate ledger export`
#[derive(Debug, Args)]
pub(crate) struct Export {
    /// Which entries; without it all
    #[arg(value_name = "QUERY", num_args = 0..)]
    pub(crate) query: Vec<String>,
    /// Whole entries as one JSON object a line, or columns
    #[arg(long, value_enum, default_value_t = ExportFormat::Jsonl)]
    pub(crate) format: ExportFormat,
    /// The region that it is kept in: what belongs to teams whose `regions` do not have it is left out
    #[arg(long, value_name = "REGION", value_parser = region)]
    pub(crate) region: Option<String>,
    #[command(flatten)]
    pub(crate) zone: Zone,
}

fn region(text: &str) -> Result<String, String> {
    let exact = !text.contains('*');
    let one = [text.to_owned()];
    let read = key_terms::regions(&one);
    if exact { read.map(|()| text.to_owned()) } else { Err("write one region, without `*`".to_owned()) }
}

/// The form of what `tollgate ledger export` writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExportFormat {
    /// One JSON object a line
    Jsonl,
    /// Columns, with a line of their names
    Csv,
    /// Typed columns for tools that analyse: a file, not for a terminal
    Parquet,
}

/// `tollgate spend`
#[derive(Debug, Args)]
pub(crate) struct Spend {
    /// By what, with commas: up to three of key, team, user, model, provider, server, tool; or session.
    /// Without it team,model, with --tools server
    #[arg(long, value_name = "FIELDS")]
    pub(crate) by: Option<String>,
    /// Tokens of tool definitions that models were offered, against those of tools that they used: by server,
    /// or --by server,team
    #[arg(long, conflicts_with_all = ["key", "user", "model", "provider", "tool"])]
    pub(crate) tools: bool,
    /// In periods: hour, day, week or month
    #[arg(long, value_name = "PERIOD")]
    pub(crate) per: Option<String>,
    /// From then on, to the hour
    #[arg(long, value_name = "TIME", default_value = "30d")]
    pub(crate) since: String,
    /// Until then, to the hour; a day is meant to its end
    #[arg(long, value_name = "TIME", default_value = "now")]
    pub(crate) until: String,
    /// Only of this key
    #[arg(long)]
    pub(crate) key: Option<String>,
    /// Only of this team
    #[arg(long)]
    pub(crate) team: Option<String>,
    /// Only of this person
    #[arg(long)]
    pub(crate) user: Option<String>,
    /// Only of models that fit, with `*` for any characters
    #[arg(long, value_name = "GLOB")]
    pub(crate) model: Option<String>,
    /// Only of this provider
    #[arg(long)]
    pub(crate) provider: Option<String>,
    /// Only of this MCP server
    #[arg(long)]
    pub(crate) server: Option<String>,
    /// Only of tools that fit, `server.tool` or the tool's own name
    #[arg(long, value_name = "GLOB")]
    pub(crate) tool: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
    /// Print CSV
    #[arg(long, conflicts_with = "json")]
    pub(crate) csv: bool,
    #[command(flatten)]
    pub(crate) zone: Zone,
}

/// The zone of times.
#[derive(Debug, Args)]
pub(crate) struct Zone {
    /// Zone of days and times, such as Europe/Berlin or UTC; without it that of this machine
    #[arg(long = "zone", value_name = "ZONE")]
    pub(crate) name: Option<String>,
}

fn limit() -> impl clap::builder::TypedValueParser<Value = usize> {
    use clap::builder::TypedValueParser;
    clap::builder::RangedU64ValueParser::<u64>::new()
        .range(1..=limits::PAGE_ENTRIES_MAX as u64)
        .map(|limit| usize::try_from(limit).unwrap_or(limits::PAGE_ENTRIES_DEFAULT))
}

const SEARCH_HELP: &str = "\
Fields (all terms have to fit; -TERM must not; commas between values are alternatives):
  user:ana  team:  key:  session:  agent:  prompt:  client:  model:  provider:  region:
  kind:model_call,tool_call   also count_tokens resource_read prompt_get refusal sign_in config ...
  class:write                 read, write, destructive, unknown; of MCP tools and of client actions
  server:github  tool:github.*  tool:create_issue  action:Bash
  outcome:lost  stop:end_turn  method:tools/call  id:  upstream:  use:
  status:>=400  cost:>0.10 (dollars)  took:>5s  tokens:>=100000     > >= < <= = and 1..5
  since:7d  until:2026-11-01  day:today       s m h d w ago, a day, 2026-11-01T12:30
  error:timeout  decision:deny                words of these texts
  prod  \"connection refused\"  prod*           words of tools, errors, decisions, commands and paths

Examples:
  tollgate ledger search 'tool:github.* class:write user:ana since:7d \"prod\"'
  tollgate ledger search 'status:>=400 -key:ci day:today' --facets
  tollgate ledger search 'kind:tool_call class:destructive' --follow
  tollgate ledger search 'cost:>1 since:24h' --json | jq -r '.entries[].session' | sort -u";

const SHOW_HELP: &str = "\
Examples:
  tollgate ledger show req_0123456789abcdef0123456789abcdef
  tollgate ledger show --session 0b7f6a52-7d8e-4c51-9a51-2d0d5a1b4c11";

const EXPORT_HELP: &str = "\
Examples:
  tollgate ledger export > ledger.jsonl
  tollgate ledger export --format csv 'since:2026-11-01 until:2026-11-30' > november.csv
  tollgate ledger export --format parquet > ledger.parquet

Parquet has a column for each field: times with their zone, tokens and bytes as whole numbers, costs exactly
(cost_pico, millionths of a millionth of a dollar) and as dollars (cost_usd, a floating-point number), budgets
and actions as JSON. In DuckDB: SELECT team, sum(cost_usd) FROM 'ledger.parquet' GROUP BY team.
Where the config has teams with `regions`, --region says where the export is going to be. What belongs to a
team whose regions do not have it is left out, and counted on standard error.
Texts in CSV that a spreadsheet would take for a formula begin with a '. The fields of QUERY are those of
`tollgate ledger search --help`.";

pub(crate) const SPEND_HELP: &str = "\
Examples:
  tollgate spend
  tollgate spend --by team,model --per day --since 7d
  tollgate spend --by tool --team platform --since 2026-11-01 --until 2026-11-30
  tollgate spend --by session --since 24h
  tollgate spend --by user --per month --csv
  tollgate spend --tools --since 7d

CACHED is the share of what was sent that came from the prompt cache. Sums of a session are of its whole life.
Calls count at the time they began.

--tools: OFFERED is what went along with calls, four bytes of a definition taken for a token; a definition
counts with each call that has it. DEFERRED is the part that a model sees only once it has looked for it, USED
that of tools which the answer of the same call used. A - stands for tools of clients and of providers.";
