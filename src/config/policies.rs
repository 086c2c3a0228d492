//! From what is written about who may do what to the rules that decide it.

use crate::config::faults::{Fault, Faults, Mark};
use crate::config::file::File;
use crate::config::models_file;
use crate::config::policy_file::ServerGrant;
use crate::config::reader::{At, Reader};
use crate::config::snapshot::McpServer;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::{ServerRule, ServerRules, ToolPattern};
use crate::ids::TeamName;
use crate::policy::raw::{Known, RawFault, RawFile};
use crate::policy::rules::{Rules, Sources, Team};

/// `servers:` of a team or key, for those who decide.
pub(crate) fn servers(grants: &[ServerGrant]) -> ServerRules {
    let patterns = |tools: &[At<String>]| tools.iter().map(|tool| ToolPattern::new(&tool.value)).collect();
    ServerRules::new(grants.iter().map(|grant| ServerRule {
        server: Glob::new(&grant.server.value),
        allow: grant.allow.as_deref().map(patterns),
        ask: patterns(&grant.ask),
        deny: patterns(&grant.deny),
    }))
}

/// What the config has beside its file that rules are made of.
pub(crate) struct Beside<'a> {
    /// The Cedar files, as far as they could be read.
    pub(crate) files: Vec<RawFile>,
    /// All that have keys.
    pub(crate) principals: Vec<Principal>,
    /// The servers.
    pub(crate) servers: &'a [McpServer],
}

/// Makes the rules; nothing where a Cedar file has faults, which go to `reader`. Warnings are for people.
pub(crate) fn rules(
    file: &File,
    beside: Beside<'_>,
    warnings: &mut Vec<String>,
    reader: &mut Reader,
) -> Option<Rules> {
    let globs = |patterns: &[At<String>]| patterns.iter().map(|one| Glob::new(&one.value)).collect();
    let teams = file.teams.iter().map(|team| {
        let models = team.models.as_deref().map(globs);
        let team_rules = Team {
            models,
            deny_models: globs(&team.deny_models),
            servers: team.servers.as_deref().map(servers),
            territory: team.reach.territory(),
            aliases: models_file::aliases(&team.aliases),
            tools: team.tools,
            core: team.core.clone(),
        };
        (TeamName::new(&team.name.value), team_rules)
    });
    let known = Known {
        teams: file.teams.iter().map(|team| team.name.value.clone()).collect(),
        servers: beside.servers.iter().map(|server| server.server.name.to_string()).collect(),
        models: match &file.models {
            Some(models) => models.iter().map(|model| Glob::new(&model.pattern.value)).collect(),
            None => vec![Glob::new("*")],
        },
    };
    let sources = Sources {
        teams: teams.collect(),
        principals: beside.principals,
        unwritten: file.policy.unwritten.unwrap_or_default(),
        files: beside.files,
        known,
        facts: beside.servers.iter().flat_map(facts).collect(),
    };
    match Rules::build(sources) {
        Ok((rules, odd)) => {
            let told =
                odd.iter().map(|odd| format!("{}:{}:{}: {}", odd.file, odd.line, odd.column, odd.text));
            warnings.extend(told);
            Some(rules)
        }
        Err(found) => {
            let mut faults = Faults::default();
            found.into_iter().map(fault).for_each(|fault| faults.push(fault));
            reader.absorb(faults);
            None
        }
    }
}

fn fault(found: RawFault) -> Fault {
    let mark = Mark { line: found.line, column: found.column };
    Fault { file: found.file.into(), mark, text: found.text }
}

/// What the config says of the classes of a server's tools: it decides as rules do.
fn facts(server: &McpServer) -> Vec<String> {
    let name = &server.server.name;
    let classes = server.presentation.tools.iter().filter_map(|tool| {
        let class = tool.class?.name();
        Some(format!("class {name} {} {class}", tool.name))
    });
    classes.chain(server.server.trusted.then(|| format!("trusted {name}"))).collect()
}
