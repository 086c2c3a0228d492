//! What can be said behind `tollgate key`.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use crate::identity::role::Role;
use crate::limits;

/// `tollgate key ...`
#[derive(Debug, Subcommand)]
pub(crate) enum KeyCommand {
    /// Make a key and print it, this once
    #[command(after_help = KEY_EXAMPLES)]
    Create(KeyCreate),
    /// Make a new secret for a key, on the same terms; the old one goes on for a while
    #[command(after_help = KEY_EXAMPLES)]
    Rotate(KeyRotate),
    /// List all keys, also those of the config and the revoked ones, and the revoked users
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Revoke a key with all its secrets, or a user; a running gateway refuses it within a second
    Revoke(KeyRevoke),
}

/// `tollgate key create`
#[derive(Debug, clap::Args)]
pub(crate) struct KeyCreate {
    /// Its name, for lists, logs and bills
    #[arg(long)]
    pub(crate) name: String,
    /// A team of the config, whose limits then hold as well
    #[arg(long)]
    pub(crate) team: Option<String>,
    /// The person behind it, for budgets and the ledger
    #[arg(long, conflicts_with = "service")]
    pub(crate) user: Option<String>,
    /// For a program, such as a job of CI: it must end, and has the models and servers named here alone
    #[arg(long, requires = "expires")]
    pub(crate) service: bool,
    /// For administrators: it opens `/admin`, and no model or tool; the same as `--role owner`
    #[arg(long, conflicts_with_all = ["models", "servers", "regions", "service", "role"])]
    pub(crate) admin: bool,
    /// For administrators, with less: auditors read the whole ledger and change nothing, viewers read sums
    /// and who did what, operators run the gateway and do not see what was said
    #[arg(long, value_enum, conflicts_with_all = ["models", "servers", "regions", "service"])]
    pub(crate) role: Option<RoleName>,
    /// Models that it may name, with `*` for any characters; without it no limit of its own
    #[arg(long, value_name = "GLOB", num_args = 1..)]
    pub(crate) models: Vec<String>,
    /// MCP servers that it is given, with a colon and a tool where it is not all of them; `*` stands for any
    /// characters. Without it no limit of its own
    #[arg(long, value_name = "SERVER[:TOOL]", num_args = 1..)]
    pub(crate) servers: Vec<String>,
    /// Regions that its calls may run in, with `*` for any characters; without it no limit of its own. What
    /// the team says of regions holds as well
    #[arg(long, value_name = "REGION", num_args = 1..)]
    pub(crate) regions: Vec<String>,
    /// When it ends: a while such as 90d or 12h, or a time such as 2027-01-31T00:00:00Z
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate key rotate`
#[derive(Debug, clap::Args)]
pub(crate) struct KeyRotate {
    /// Its name
    pub(crate) name: String,
    /// How long the old secret goes on, unless it ends earlier; 0s ends it now
    #[arg(long, value_name = "WHILE", default_value = "24h", value_parser = overlap)]
    pub(crate) overlap: Duration,
    /// When the new secret ends; without it, after as long as the old one had from the first
    #[arg(long, value_name = "TIME")]
    pub(crate) expires: Option<String>,
    /// Print JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// `tollgate key revoke`
#[derive(Debug, clap::Args)]
pub(crate) struct KeyRevoke {
    /// Its name, for all its secrets, or the id of one of them
    #[arg(required_unless_present = "user", conflicts_with = "user")]
    pub(crate) name_or_id: Option<String>,
    /// A person: no key of theirs and no token is taken any more. Also a subject or a session of an issuer
    #[arg(long, value_name = "USER")]
    pub(crate) user: Option<String>,
    /// Let the person in again
    #[arg(long, requires = "user")]
    pub(crate) undo: bool,
}

/// The roles of administrators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Everything
    Owner,
    /// Runs the gateway
    Operator,
    /// Reads the whole ledger
    Auditor,
    /// Reads sums, and who did what
    Viewer,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Owner => Self::Owner,
            RoleName::Operator => Self::Operator,
            RoleName::Auditor => Self::Auditor,
            RoleName::Viewer => Self::Viewer,
        }
    }
}

fn overlap(text: &str) -> Result<Duration, String> {
    let most = limits::KEY_OVERLAP_MAX;
    let found =
        humantime::parse_duration(text).map_err(|_why| "write a while such as 24h or 0s".to_owned())?;
    if found > most { Err(format!("at most {}", humantime::format_duration(most))) } else { Ok(found) }
}

pub(crate) const KEY_EXAMPLES: &str = "\
Examples:
  tollgate key create --name ana --team payments --user ana@example.com
  tollgate key create --name ci --service --expires 90d --team payments --models 'claude-haiku-*' \\
      --servers 'github:read_*' files
  tollgate key create --name lab --team payments --regions eu 'eu-*'
  tollgate key rotate ci --overlap 2h
  tollgate key create --name audit --role auditor --expires 2027-01-31T00:00:00Z
  tollgate key list
  tollgate key revoke 3f1c0a9be772
  tollgate key revoke --user ana@example.com

Keys are stored as hashes in <data_dir>/keys.json. A running gateway sees the file change. Nobody needs to be
there when a key ends: from that moment on it is refused.";
