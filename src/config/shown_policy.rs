//! Who may do what, as people may see it.

use serde::Serialize;

use crate::config::shown::{list, word};
use crate::identity::servers::{ServerRule, ServerRules, ToolPattern};

/// `policy:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownPolicy {
    /// Paths of Cedar files.
    pub files: Vec<String>,
    /// `allow` or `deny`.
    pub unwritten: &'static str,
    /// Version of all rules together.
    pub version: String,
}

/// One entry of `servers:` of a team or key.
#[derive(Clone, Debug, Serialize)]
pub struct ShownGrant {
    /// Names of servers.
    pub server: String,
    /// What they give.
    #[serde(flatten)]
    pub tools: ShownTools,
}

/// The tools of an entry.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub enum ShownTools {
    /// A list, and nothing else to say.
    Given {
        /// Patterns of tools.
        tools: Vec<String>,
    },
    /// Several lists.
    Lists {
        /// What may be called; absent for no limit.
        #[serde(skip_serializing_if = "Option::is_none")]
        allow: Option<Vec<String>>,
        /// What has to be asked about.
        ask: Vec<String>,
        /// What may not be called.
        deny: Vec<String>,
    },
}

impl ShownGrant {
    /// All entries, in written order.
    pub(crate) fn all(servers: &ServerRules) -> Vec<Self> {
        servers.rules().iter().map(Self::of).collect()
    }

    fn of(rule: &ServerRule) -> Self {
        let texts = |tools: &[ToolPattern]| tools.iter().map(ToString::to_string).collect::<Vec<_>>();
        let allow = rule.allow.as_deref().map(texts);
        let tools = match allow {
            Some(tools) if rule.ask.is_empty() && rule.deny.is_empty() => ShownTools::Given { tools },
            allow => ShownTools::Lists { allow, ask: texts(&rule.ask), deny: texts(&rule.deny) },
        };
        Self { server: rule.server.as_str().to_owned(), tools }
    }

    /// As `servers:` has it.
    fn as_yaml(&self) -> String {
        let tools = match &self.tools {
            ShownTools::Given { tools } => list(tools),
            ShownTools::Lists { allow, ask, deny } => {
                let some = |tools: &Vec<String>| (!tools.is_empty()).then(|| list(tools));
                let lists = [("allow", allow.as_deref().map(list)), ("ask", some(ask)), ("deny", some(deny))];
                let lists = lists.into_iter().filter_map(|(key, tools)| Some(format!("{key}: {}", tools?)));
                mapping(lists)
            }
        };
        format!("{}: {tools}", word(&self.server))
    }
}

/// As `servers:` has them.
pub(crate) fn grants_as_yaml(grants: &[ShownGrant]) -> String {
    mapping(grants.iter().map(ShownGrant::as_yaml))
}

fn mapping(entries: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = entries.collect();
    if entries.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", entries.join(", ")) }
}
