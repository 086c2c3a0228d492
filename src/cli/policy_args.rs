//! What can be said on the command line about rules.

use std::path::PathBuf;

use clap::{ArgGroup, Args, Subcommand, ValueEnum};

use crate::call::Class;

/// `tollgate policy explain|test`
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyCommand {
    /// Say what would become of a call, by which rules of key and team, and where it could run
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Explain),
    /// Replay calls of the ledger against another config: who would be refused what, what would be allowed
    #[command(after_help = TEST_HELP)]
    Test(Test),
}

/// `tollgate policy explain`
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("what").required(true).args(["model", "call"]))]
pub(crate) struct Explain {
    /// Name or id of a valid key, of the config or of the key file
    #[arg(long)]
    pub(crate) key: String,
    /// A model, by the name that callers write
    #[arg(long)]
    pub(crate) model: Option<String>,
    /// A tool, by its server and the server's own name for it
    #[arg(long, value_name = "SERVER.TOOL")]
    pub(crate) call: Option<String>,
    /// What the tool does by the word of its server; it counts where the config says nothing of it and trusts
    /// the server
    #[arg(long, value_enum, default_value_t = ClassWord::Unknown, requires = "call")]
    pub(crate) class: ClassWord,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate policy test`
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The config that might come; what the ledger has is decided by it and by the config that holds
    #[arg(long, value_name = "FILE")]
    pub(crate) policy: PathBuf,
    /// Which calls: `last:7d`, or any search of `tollgate ledger search`
    #[arg(long, value_name = "QUERY", default_value = "last:7d")]
    pub(crate) against: String,
    /// Exit with 1 if any call would be decided otherwise
    #[arg(long)]
    pub(crate) fail_on_change: bool,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// A class of tools.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ClassWord {
    /// It only looks
    Read,
    /// It changes things
    Write,
    /// It may destroy things
    Destructive,
    /// Nobody has said, which counts as changing things
    Unknown,
}

impl ClassWord {
    /// The class itself.
    pub(crate) const fn class(self) -> Class {
        match self {
            Self::Read => Class::Read,
            Self::Write => Class::Write,
            Self::Destructive => Class::Destructive,
            Self::Unknown => Class::Unknown,
        }
    }
}

pub(crate) const POLICY_HELP: &str = "\
Examples:
  tollgate policy explain --key ci --model claude-opus-5
  tollgate policy explain --key ci --call github.merge_pull_request --json
  tollgate policy test --policy new.yaml --against last:7d";

const EXPLAIN_HELP: &str = "\
Examples:
  tollgate policy explain --key ci --model claude-opus-5
  tollgate policy explain --key ci --call github.merge_pull_request --json

Nothing is called. Budgets, rate limits and whether a provider is up are not looked at.";

const TEST_HELP: &str = "\
Examples:
  tollgate policy test --policy new.yaml
  tollgate policy test --policy new.yaml --against 'since:30d team:payments' --json
  tollgate policy test --policy new.yaml --fail-on-change || echo 'ask first'

Both configs are read whole, so the secrets that they name have to be there. A key is the one of the new
config, else of the one that holds; of a key that is gone, its team alone is asked. Deprecations count as of
today. What the ledger does not have is not replayed: budgets, places that requests ask for, lists.

Exit codes: 0 done, 1 a config is faulty, or calls would change with --fail-on-change, 2 not understood.";
