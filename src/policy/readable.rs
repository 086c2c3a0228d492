//! The readable form of the config as Cedar: one policy a pattern, each with an id that people can read.

use std::collections::HashSet;
use std::fmt;
use std::sync::{Arc, LazyLock};

use cedar_policy::Policy;
use cedar_policy::pst::{
    ActionConstraint, BinaryOp, Clause, Effect, EntityOrSlot, EntityType, EntityUID, Expr, Literal, Name,
    PatternElem, Policy as Tree, PolicyID, PrincipalConstraint, PstConstructionError, ResourceConstraint,
    StaticPolicy, Template, Var,
};

use crate::call::Class;
use crate::glob::Glob;
use crate::identity::servers::{ServerRule, ServerRules, ToolPattern};
use crate::ids::{KeyName, TeamName};
use crate::policy::words::Action;

/// Whose rule it is.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Whose {
    /// Of the key that calls.
    Key,
    /// Of its team.
    Team(TeamName),
    /// Of a Cedar file.
    File,
    /// Of nobody: it holds where nobody has written anything.
    Nobody,
}

/// The name of a rule, as people read it in the ledger.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct RuleId {
    pub(super) whose: Whose,
    pub(super) text: Arc<str>,
}

impl RuleId {
    /// `team platform: servers github: read/*`; the rules of a key are named by the key that calls, since
    /// keys with the same rules share them.
    pub(super) fn told(&self, key: &KeyName) -> String {
        match &self.whose {
            Whose::Key => format!("key {key}: {}", self.text),
            Whose::Team(team) => format!("team {team}: {}", self.text),
            Whose::File | Whose::Nobody => self.text.to_string(),
        }
    }

    /// The same in a set of policies, where no two have one.
    pub(super) fn in_set(&self) -> String {
        match &self.whose {
            Whose::Team(team) => format!("team {team}: {}", self.text),
            Whose::Key => format!("key: {}", self.text),
            Whose::File | Whose::Nobody => self.text.to_string(),
        }
    }
}

/// A policy with what is needed to find it.
#[derive(Clone, Debug)]
pub(super) struct Rule {
    pub(super) id: RuleId,
    pub(super) action: Action,
    pub(super) forbids: bool,
    /// The servers that it is about.
    pub(super) server: Option<Glob>,
    pub(super) policy: Policy,
}

/// All rules of a key or of a team.
#[derive(Debug)]
pub(super) struct Scope {
    pub(super) whose: Whose,
    /// Whether it has a list of models, so that models which are not on it are not given.
    pub(super) lists_models: bool,
    /// The same of servers.
    pub(super) lists_servers: bool,
    pub(super) rules: Vec<Rule>,
}

/// What a key or a team may have written.
#[derive(Clone, Copy, Debug)]
pub(super) struct Written<'a> {
    pub(super) models: Option<&'a [Glob]>,
    pub(super) deny_models: &'a [Glob],
    pub(super) servers: Option<&'a ServerRules>,
}

impl Scope {
    /// Makes policies of what is written.
    ///
    /// # Errors
    /// Only if Cedar refuses a policy that it has accepted in our tests.
    pub(super) fn compile(whose: Whose, written: &Written<'_>) -> Result<Self, PstConstructionError> {
        let mut out = Compiler { whose: whose.clone(), rules: Vec::new(), seen: HashSet::new() };
        for model in written.models.unwrap_or_default() {
            let name = model.as_str();
            out.add(format!("models {name}"), &Said::permit(Action::Use, Some(like("name", name))))?;
        }
        for model in written.deny_models {
            let name = model.as_str();
            out.add(format!("models: deny {name}"), &Said::forbid(Action::Use, Some(like("name", name))))?;
        }
        for rule in written.servers.map(ServerRules::rules).unwrap_or_default() {
            out.server(rule)?;
        }
        let (lists_models, lists_servers) = (written.models.is_some(), written.servers.is_some());
        Ok(Self { whose, lists_models, lists_servers, rules: out.rules })
    }

    /// The rule that holds where nobody has written anything.
    pub(super) fn open() -> Option<&'static Arc<Self>> {
        static OPEN: LazyLock<Option<Arc<Scope>>> = LazyLock::new(|| Scope::make_open().ok().map(Arc::new));
        OPEN.as_ref()
    }

    fn make_open() -> Result<Self, PstConstructionError> {
        let mut out = Compiler { whose: Whose::Nobody, rules: Vec::new(), seen: HashSet::new() };
        out.add("no rule: all models".to_owned(), &Said::permit(Action::Use, None))?;
        for action in [Action::Call, Action::See] {
            out.add("no rule: all servers".to_owned(), &Said::permit(action, None))?;
        }
        Ok(Self { whose: Whose::Nobody, lists_models: true, lists_servers: true, rules: out.rules })
    }
}

/// What one policy says.
struct Said<'a> {
    action: Action,
    effect: Effect,
    server: Option<&'a Glob>,
    when: Vec<Expr>,
}

impl Said<'_> {
    fn permit(action: Action, when: Option<Expr>) -> Self {
        Self { action, effect: Effect::Permit, server: None, when: when.into_iter().collect() }
    }

    fn forbid(action: Action, when: Option<Expr>) -> Self {
        Self { effect: Effect::Forbid, ..Self::permit(action, when) }
    }
}

struct Compiler {
    whose: Whose,
    rules: Vec<Rule>,
    seen: HashSet<(RuleId, Action)>,
}

impl Compiler {
    fn server(&mut self, rule: &ServerRule) -> Result<(), PstConstructionError> {
        let server = Some(&rule.server);
        let name = rule.server.as_str();
        let see = |effect| Said { action: Action::See, effect, server, when: Vec::new() };
        if rule.gives() {
            self.add(format!("servers {name}"), &see(Effect::Permit))?;
        }
        let everything = [ToolPattern { class: None, name: Glob::new("*") }];
        let call = |action, effect, tools: &ToolPattern| {
            let when = conditions(tools, effect);
            Said { action, effect, server, when }
        };
        for tools in rule.allow.as_deref().unwrap_or(&everything) {
            self.add(format!("servers {name}: {tools}"), &call(Action::Call, Effect::Permit, tools))?;
        }
        for tools in &*rule.ask {
            self.add(format!("servers {name}: {tools}"), &call(Action::Call, Effect::Permit, tools))?;
            let unasked = call(Action::CallUnasked, Effect::Forbid, tools);
            self.add(format!("servers {name}: ask {tools}"), &unasked)?;
        }
        for tools in &*rule.deny {
            self.add(format!("servers {name}: deny {tools}"), &call(Action::Call, Effect::Forbid, tools))?;
            if tools.is_everything() {
                self.add(format!("servers {name}: deny"), &see(Effect::Forbid))?;
            }
        }
        Ok(())
    }

    /// Adds a policy unless its like is there: an id says everything that a rule says.
    fn add(&mut self, text: String, said: &Said<'_>) -> Result<(), PstConstructionError> {
        let id = RuleId { whose: self.whose.clone(), text: text.into() };
        if !self.seen.insert((id.clone(), said.action)) {
            return Ok(());
        }
        let principal = match &self.whose {
            Whose::Team(team) => PrincipalConstraint::In(entity("Team", team.as_str())?),
            Whose::Key | Whose::File | Whose::Nobody => PrincipalConstraint::Any,
        };
        let mut when: Vec<Expr> = said.when.clone();
        let resource = match said.server {
            Some(server) if server.is_exact() => ResourceConstraint::In(entity("Server", server.as_str())?),
            Some(server) => {
                let attribute = if said.action == Action::See { "name" } else { "server" };
                when.insert(0, like(attribute, server.as_str()));
                ResourceConstraint::Any
            }
            None => ResourceConstraint::Any,
        };
        let EntityOrSlot::Entity(action) = entity("Action", said.action.name())? else { return Ok(()) };
        let template = Template::new(
            PolicyID(id.in_set().into()),
            said.effect,
            principal,
            ActionConstraint::Eq(action),
            resource,
        );
        let whole = when.into_iter().reduce(|left, right| BinaryOp::And.between(left, right));
        let template = template.try_with_clauses(whole.map(|whole| Clause::When(Arc::new(whole))))?;
        let policy = Policy::from_pst(Tree::Static(StaticPolicy::try_from(template)?))?;
        let forbids = said.effect == Effect::Forbid;
        self.rules.push(Rule { id, action: said.action, forbids, server: said.server.cloned(), policy });
        Ok(())
    }
}

/// What a pattern says of the tools that it means. An unknown tool may change things, so `write` means it
/// too; and where `write` forbids, it means tools that destroy as well.
fn conditions(tools: &ToolPattern, effect: Effect) -> Vec<Expr> {
    let mut out = Vec::new();
    if let Some(class) = tools.class {
        let classes: &[Class] = match (class, effect) {
            (Class::Write, Effect::Forbid) => &[Class::Write, Class::Unknown, Class::Destructive],
            (Class::Write, Effect::Permit) => &[Class::Write, Class::Unknown],
            (Class::Read, _) => &[Class::Read],
            (Class::Destructive, _) => &[Class::Destructive],
            (Class::Unknown, _) => &[Class::Unknown],
        };
        let is = |class: &Class| BinaryOp::Eq.between(attribute("class"), literal(class.name()));
        out.extend(classes.iter().map(is).reduce(|left, right| BinaryOp::Or.between(left, right)));
    }
    if tools.name.as_str() != "*" {
        out.push(like("name", tools.name.as_str()));
    }
    out
}

/// Puts an operator between two expressions.
trait Between {
    fn between(self, left: Expr, right: Expr) -> Expr;
}

impl Between for BinaryOp {
    fn between(self, left: Expr, right: Expr) -> Expr {
        Expr::BinaryOp { op: self, left: Arc::new(left), right: Arc::new(right) }
    }
}

fn attribute(name: &str) -> Expr {
    Expr::GetAttr { expr: Arc::new(Expr::Var(Var::Resource)), attr: name.into() }
}

fn literal(text: &str) -> Expr {
    Expr::Literal(Literal::String(text.into()))
}

/// Whether an attribute of the resource fits a pattern.
fn like(name: &str, pattern: &str) -> Expr {
    let element = |c: char| if c == '*' { PatternElem::Wildcard } else { PatternElem::Char(c) };
    let pattern = pattern.chars().map(element).collect();
    Expr::Like { expr: Arc::new(attribute(name)), pattern }
}

fn entity(of: &str, id: &str) -> Result<EntityOrSlot, PstConstructionError> {
    let ty = EntityType::from_name(Name::unqualified(of)?);
    Ok(EntityOrSlot::Entity(EntityUID { ty, eid: id.into() }))
}

/// As Cedar writes it, with its name before it.
impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = self.policy.to_cedar().unwrap_or_default();
        write!(f, "// {}\n{text}", self.id.in_set())
    }
}
