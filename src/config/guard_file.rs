//! `tool_inputs:` and `scan:`, of everyone and of a team, as people write them and as they hold.

use std::fmt;
use std::sync::Arc;

use serde::Serialize;

use crate::config::file::File;
use crate::config::reader::{Fields, Reader};
use crate::config::shown::list;
use crate::config::yaml::Node;
use crate::ids::TeamName;
use crate::limits;
use crate::policy::guards::{Act, Guarding, Guards, Scan};
use crate::policy::input::{InputRules, Rule};
use crate::scan::{Kind, Kinds};

/// The two keys, at the top or in a team.
#[derive(Clone, Debug, Default)]
pub(crate) struct Guard {
    pub(crate) tool_inputs: Vec<Rule>,
    pub(crate) scan: ScanWritten,
}

/// `scan:`; what is not written comes from the top, or from the defaults.
#[derive(Clone, Debug, Default)]
pub(crate) struct ScanWritten {
    requests: Option<Act>,
    arguments: Option<Act>,
    results: Option<Act>,
    kinds: Option<Vec<Kind>>,
}

/// What is looked for when nothing is said: telephones are mistaken for too much else.
const KINDS: &[Kind] = &[Kind::Secret, Kind::Mail, Kind::Iban, Kind::Card];

/// The words of `kinds:`.
const KIND_WORDS: [(&str, Kind); 5] = [
    ("secrets", Kind::Secret),
    ("mail", Kind::Mail),
    ("iban", Kind::Iban),
    ("card", Kind::Card),
    ("phone", Kind::Phone),
];

/// Reads both keys of a mapping; `before` is what stands before their names in faults.
pub(crate) fn read(fields: &Fields<'_>, before: &str, reader: &mut Reader) -> Guard {
    let mut guard = Guard::default();
    if let Some(node) = fields.get("tool_inputs") {
        guard.tool_inputs = read_rules(node, &format!("{before}tool_inputs"), reader);
    }
    if let Some(node) = fields.get("scan") {
        guard.scan = read_scan(node, &format!("{before}scan"), reader).unwrap_or_default();
    }
    guard
}

fn read_rules(node: &Node, what: &str, reader: &mut Reader) -> Vec<Rule> {
    let nodes = reader.list(node, what).unwrap_or_default();
    if nodes.len() > limits::INPUT_RULES_MAX {
        reader.fault(node.mark, format!("{what}: there can be {} rules", limits::INPUT_RULES_MAX));
    }
    let mut rules = Vec::with_capacity(nodes.len());
    for node in nodes.iter().take(limits::INPUT_RULES_MAX) {
        // A rule may speak of `${...}`, as command lines do: it is no reference here.
        let Some(text) = reader.raw_text(node, what) else { continue };
        match Rule::parse(&text.value) {
            Ok(rule) => rules.push(rule),
            Err(fault) => reader.fault(text.mark, one_line(&format!("{what}: {fault}"))),
        }
    }
    rules
}

fn one_line(text: &str) -> String {
    text.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect()
}

fn read_scan(node: &Node, what: &str, reader: &mut Reader) -> Option<ScanWritten> {
    let fields = reader.fields(node, what, &["requests", "arguments", "results", "kinds"])?;
    let words = [("off", Act::Off), ("count", Act::Count), ("mask", Act::Mask), ("refuse", Act::Refuse)];
    let mut act = |name: &str| {
        let node = fields.get(name)?;
        Some((node, reader.choice(node, &format!("{what}.{name}"), &words)?))
    };
    let (requests, arguments, results) = (act("requests"), act("arguments"), act("results"));
    if let Some((node, Act::Mask)) = requests {
        let text = "a request to a model is never changed, since signatures and prompt caches depend on its \
                    bytes; use count or refuse here, and `arguments: mask` for calls of MCP tools";
        reader.fault(node.mark, format!("{what}.requests: {text}"));
    }
    let kinds = fields.get("kinds").and_then(|node| {
        let what = format!("{what}.kinds");
        let nodes = reader.list(node, &what)?;
        if nodes.is_empty() {
            reader.fault(node.mark, format!("{what}: name at least one kind, or leave it out"));
        }
        Some(nodes.iter().filter_map(|node| reader.choice(node, &what, &KIND_WORDS)).collect())
    });
    let only = |found: Option<(&Node, Act)>| found.map(|(_, act)| act);
    Some(ScanWritten { requests: only(requests), arguments: only(arguments), results: only(results), kinds })
}

/// What holds for whom.
pub(crate) fn guards(file: &File) -> Guards {
    let own = |team: &crate::config::file::Team| {
        let guard = &team.guard;
        let says = !guard.tool_inputs.is_empty() || !guard.scan.is_empty();
        let name = &team.name.value;
        says.then(|| (TeamName::new(name), Arc::new(guarding(&file.guard, Some((name, guard))))))
    };
    Guards {
        everyone: Arc::new(guarding(&file.guard, None)),
        teams: file.teams.iter().filter_map(own).collect(),
    }
}

fn guarding(everyone: &Guard, team: Option<(&str, &Guard)>) -> Guarding {
    let written = team.map(|(_, guard)| &guard.scan);
    let act = |of: fn(&ScanWritten) -> Option<Act>| written.and_then(of).or_else(|| of(&everyone.scan));
    let kinds = written.and_then(|scan| scan.kinds.as_deref()).or(everyone.scan.kinds.as_deref());
    let kinds = Kinds::of(kinds.unwrap_or(KINDS));
    let scan = |act: Option<Act>| Scan { act: act.unwrap_or_default(), kinds };
    Guarding {
        inputs: InputRules::new(
            &everyone.tool_inputs,
            team.map(|(name, guard)| (name, guard.tool_inputs.as_slice())),
        ),
        requests: scan(act(|scan| scan.requests)),
        arguments: scan(act(|scan| scan.arguments.or(scan.requests))),
        results: scan(act(|scan| scan.results)),
    }
}

impl ScanWritten {
    fn is_empty(&self) -> bool {
        let Self { requests, arguments, results, kinds } = self;
        requests.is_none() && arguments.is_none() && results.is_none() && kinds.is_none()
    }
}

/// Both keys, for people.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownGuard {
    /// The rules, as written.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tool_inputs: Vec<String>,
    /// What is done with what is found, where something is said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scan: Option<ShownScan>,
}

/// `scan:`, as far as it is written.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownScan {
    /// Of requests to models.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub requests: Option<&'static str>,
    /// Of arguments of MCP calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub arguments: Option<&'static str>,
    /// Of results of MCP calls.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub results: Option<&'static str>,
    /// What is looked for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub kinds: Vec<String>,
}

impl ShownGuard {
    pub(crate) fn of(guard: &Guard) -> Self {
        let ScanWritten { requests, arguments, results, kinds } = &guard.scan;
        let word = |kind: &Kind| KIND_WORDS.iter().find(|(_, known)| known == kind).map(|(word, _)| *word);
        let scan = ShownScan {
            requests: requests.map(Act::word),
            arguments: arguments.map(Act::word),
            results: results.map(Act::word),
            kinds: kinds.iter().flatten().filter_map(word).map(str::to_owned).collect(),
        };
        Self {
            tool_inputs: guard.tool_inputs.iter().map(|rule| rule.text().to_string()).collect(),
            scan: (!guard.scan.is_empty()).then_some(scan),
        }
    }

    /// Each key with its value on one line.
    pub(crate) fn parts(&self) -> Vec<String> {
        let rules =
            (!self.tool_inputs.is_empty()).then(|| format!("tool_inputs: {}", list(&self.tool_inputs)));
        rules.into_iter().chain(self.scan.as_ref().map(|scan| format!("scan: {scan}"))).collect()
    }
}

impl fmt::Display for ShownScan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = [("requests", self.requests), ("arguments", self.arguments), ("results", self.results)];
        let said = words.into_iter().filter_map(|(name, word)| Some(format!("{name}: {}", word?)));
        let kinds = (!self.kinds.is_empty()).then(|| format!("kinds: {}", list(&self.kinds)));
        write!(f, "{{ {} }}", said.chain(kinds).collect::<Vec<_>>().join(", "))
    }
}
