//! Cedar files beside the readable form: read, checked against the schema, and made ready to be found.

use std::collections::HashSet;
use std::str::FromStr;
use std::sync::Arc;

use cedar_policy::ffi::DetailedError;
use cedar_policy::{
    ActionConstraint, Effect, EntityUid, Policy, PolicyId, PolicySet, PrincipalConstraint, Schema,
    ValidationMode, Validator,
};
use serde_json::Value;

use crate::glob::Glob;
use crate::policy::depth::too_deep;
use crate::policy::named::Names;
use crate::policy::readable::{RuleId, Whose};
use crate::policy::words::{Action, SCHEMA, Spoken};

/// A Cedar file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFile {
    /// How people call it: its path as the config has it.
    pub name: String,
    /// What stands in it.
    pub text: String,
}

/// What is wrong with a Cedar file, or odd about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawFault {
    /// Name of the file.
    pub file: String,
    /// Line, from 1.
    pub line: usize,
    /// Character in it, from 1.
    pub column: usize,
    /// What, and what to do.
    pub text: String,
}

/// The names that the config knows: a file that names others does nothing where it does so.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Teams.
    pub teams: Vec<String>,
    /// MCP servers.
    pub servers: Vec<String>,
    /// Names and patterns of models.
    pub models: Vec<Glob>,
}

/// A policy of a file.
#[derive(Debug)]
pub(super) struct RawRule {
    pub(super) id: RuleId,
    pub(super) forbids: bool,
    /// The principal, or what it has to be below, where the policy is not about everybody.
    pub(super) about: Option<EntityUid>,
    actions: Option<Vec<String>>,
    pub(super) policy: Policy,
    pub(super) spoken: Spoken,
}

impl RawRule {
    pub(super) fn is_about(&self, action: Action) -> bool {
        self.actions.as_ref().is_none_or(|actions| actions.iter().any(|name| name == action.name()))
    }
}

/// What a set of files comes to.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) rules: Vec<Arc<RawRule>>,
    /// What does no harm, but was meant otherwise.
    pub(super) odd: Vec<RawFault>,
}

/// Reads the files.
///
/// # Errors
/// Everything that is wrong with them.
pub(super) fn read(files: &[RawFile], known: &Known) -> Result<Read, Vec<RawFault>> {
    let mut out = Read::default();
    if files.is_empty() {
        return Ok(out);
    }
    let mut faults = Vec::new();
    let schema = match Schema::from_cedarschema_str(SCHEMA) {
        Ok((schema, _warnings)) => schema,
        Err(why) => return Err(vec![Place::of("", "", None).fault(&why.to_string())]),
    };
    let (validator, names) = (Validator::new(schema), Names::of(known));
    for (number, file) in files.iter().enumerate() {
        let twice = files.iter().take(number).any(|other| other.name == file.name);
        if twice {
            faults.push(Place::of(&file.name, &file.text, None).fault("the file is named twice"));
            continue;
        }
        read_file(file, (&validator, &names), &mut out, &mut faults);
    }
    if faults.is_empty() { Ok(out) } else { Err(faults) }
}

fn read_file(
    file: &RawFile,
    (validator, names): (&Validator, &Names<'_>),
    out: &mut Read,
    faults: &mut Vec<RawFault>,
) {
    let place = |at: Option<usize>| Place::of(&file.name, &file.text, at);
    if let Some(found) = too_deep(&file.text) {
        faults.push(place(Some(found.at)).fault(&found.text));
        return;
    }
    let set = match PolicySet::from_str(&file.text) {
        Ok(set) => set,
        Err(why) => {
            faults.extend(why.iter().map(|error| told(file, &DetailedError::from(error), None)));
            return;
        }
    };
    for template in set.templates() {
        let at = template.as_ref().loc().map(|loc| loc.start());
        faults.push(
            place(at).fault("a template has no place here: write who is meant instead of `?principal`"),
        );
    }
    let found = validator.validate(&set, ValidationMode::default());
    let start = |id: &PolicyId| set.policy(id).and_then(start_of);
    faults.extend(
        found
            .validation_errors()
            .map(|error| told(file, &DetailedError::from(error), start(error.policy_id()))),
    );
    out.odd.extend(
        found
            .validation_warnings()
            .map(|warning| told(file, &DetailedError::from(warning), start(warning.policy_id()))),
    );
    let mut policies: Vec<&Policy> = set.policies().collect();
    policies.sort_by_key(|policy| start_of(policy));
    let mut taken: HashSet<String> = HashSet::new();
    for policy in policies {
        let at = start_of(policy);
        let line = place(at).line;
        let name = match policy.annotation("id") {
            Some(id) if !id.trim().is_empty() => format!("{}: {}", file.name, shown(id)),
            _ => format!("{}:{line}", file.name),
        };
        let name = if taken.contains(&name) { format!("{name} ({line})") } else { name };
        if !taken.insert(name.clone()) {
            faults.push(place(at).fault("two policies stand in one line; give each its `@id(\"...\")`"));
            continue;
        }
        let Some((rule, json)) = raw_rule(&name, policy) else {
            faults.push(place(at).fault("this policy cannot be taken apart; write it more simply"));
            continue;
        };
        out.rules.push(Arc::new(rule));
        for unknown in names.unknown(policy, &json) {
            let begin = at.unwrap_or_default();
            let within = file.text.get(begin..).and_then(|text| text.find(&unknown.written));
            let told = place(Some(begin + within.unwrap_or_default())).fault(&unknown.text);
            if unknown.never { &mut *faults } else { &mut out.odd }.push(told);
        }
    }
}

/// Cuts what an annotation may say: it stands in the ledger.
fn shown(id: &str) -> String {
    id.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(crate::limits::POLICY_ID_CHARS_MAX)
        .collect()
}

/// The rule, and the policy as Cedar writes it.
fn raw_rule(name: &str, policy: &Policy) -> Option<(RawRule, Value)> {
    let id = RuleId { whose: Whose::File, text: name.into() };
    let about = match policy.principal_constraint() {
        PrincipalConstraint::In(uid) | PrincipalConstraint::Eq(uid) | PrincipalConstraint::IsIn(_, uid) => {
            Some(uid)
        }
        PrincipalConstraint::Any | PrincipalConstraint::Is(_) => None,
    };
    let name_of = |uid: &EntityUid| uid.id().unescaped().to_owned();
    let actions = match policy.action_constraint() {
        ActionConstraint::Any => None,
        ActionConstraint::Eq(uid) => Some(vec![name_of(&uid)]),
        ActionConstraint::In(uids) => Some(uids.iter().map(name_of).collect()),
    };
    let json = policy.to_json().ok()?;
    let rule = RawRule {
        forbids: policy.effect() == Effect::Forbid,
        about,
        actions,
        policy: policy.new_id(PolicyId::new(id.in_set())),
        spoken: Spoken::find(&json.to_string()),
        id,
    };
    Some((rule, json))
}

/// Where a policy begins in its file, bytes.
fn start_of(policy: &Policy) -> Option<usize> {
    policy.as_ref().loc().map(|loc| loc.start())
}

/// What Cedar says, at the place that it means.
fn told(file: &RawFile, error: &DetailedError, start: Option<usize>) -> RawFault {
    let at = error.source_locations.first().map(|label| label.loc.start).or(start);
    let help = error.help.as_ref().map(|help| format!("; {help}")).unwrap_or_default();
    let text: String =
        format!("{}{help}", error.message).chars().map(|c| if c == '\n' { ' ' } else { c }).collect();
    Place::of(&file.name, &file.text, at).fault(&text)
}

/// A place in a file.
struct Place<'a> {
    file: &'a str,
    line: usize,
    column: usize,
}

impl<'a> Place<'a> {
    fn of(file: &'a str, text: &str, at: Option<usize>) -> Self {
        let at = text.floor_char_boundary(at.unwrap_or_default());
        let before = text.get(..at).unwrap_or_default();
        let last = before.rsplit('\n').next().unwrap_or_default();
        Self { file, line: 1 + before.matches('\n').count(), column: 1 + last.chars().count() }
    }

    fn fault(&self, text: &str) -> RawFault {
        RawFault { file: self.file.to_owned(), line: self.line, column: self.column, text: text.to_owned() }
    }
}
