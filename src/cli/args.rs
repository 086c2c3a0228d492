//! What can be said on the command line.

use std::path::PathBuf;

use clap::{Parser, Subcommand, ValueEnum};

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
    /// Make, list and revoke the keys that developers present
    #[command(after_help = KEY_EXAMPLES)]
    Key {
        /// What to do with keys
        #[command(subcommand)]
        command: KeyCommand,
    },
    /// See what the MCP servers of the config offer, without a running gateway
    #[command(after_help = TOOLS_EXAMPLES)]
    Tools {
        /// What to do with tools
        #[command(subcommand)]
        command: ToolsCommand,
    },
    /// Print what Claude Code needs to use this gateway
    #[command(after_help = CLAUDE_EXAMPLES)]
    Claude(Claude),
}

/// `tollgate key ...`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, this once
    Create {
        /// Its name, for lists, logs and bills
        #[arg(long)]
        name: String,
        /// A team of the config, whose limits then hold as well
        #[arg(long)]
        team: Option<String>,
        /// Models that it may name, with `*` for any characters; without it no limit of its own
        #[arg(long, value_name = "GLOB", num_args = 1..)]
        models: Vec<String>,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// List all keys, also those of the config and the revoked ones
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key; a running gateway refuses it within a second
    Revoke {
        /// Its name or id
        name_or_id: String,
    },
}

/// `tollgate tools ...`
#[derive(Debug, Subcommand)]
pub(crate) enum ToolsCommand {
    /// Start the servers, list their tools once, and end them; exit 1 when one of them cannot be listed
    #[command(after_help = TOOLS_EXAMPLES)]
    List(ToolsList),
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

const KEY_EXAMPLES: &str = "\
Examples:
  tollgate key create --name ci --models 'claude-haiku-*' 'claude-sonnet-*'
  tollgate key list
  tollgate key revoke 3f1c0a9be772

Keys are stored as hashes in <data_dir>/keys.json. A running gateway sees the file change.";

const TOOLS_EXAMPLES: &str = "\
Examples:
  tollgate tools list
  tollgate tools list --server github --timeout 120 --verbose
  tollgate tools list --json | jq -r '.tools[] | [.hash, .name] | @tsv'

Servers are started and asked as the gateway does it, so programs of the config run. A tool's name is the one
that callers use, with prefixes, renaming and hiding applied. HASH is the beginning of the hash of its
definition's canonical form: it is the same on every machine, and another when the server has changed what
its tool says or takes. HINTS is what the server claims. ~TOKENS is an estimate, a quarter of the bytes of
name, description and input schema, which clients put into prompts; models differ.

Exit codes: 0 all servers were listed, 1 some were not, 2 not understood.";

const CLAUDE_EXAMPLES: &str = "\
Examples:
  tollgate claude --key tg_...
  tollgate claude --base-url https://tollgate.example.com --key-env ADAS_KEY --format settings
  tollgate claude --key-env ADAS_KEY --format mcp > .mcp.json
  tollgate claude --key-env ADAS_KEY --write ~/src/project";
