//! What one principal may do: the policies that can be about it, and what Cedar says of them.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityUid, Policy, PolicyId, PolicySet, Request,
};

use crate::call::Class;
use crate::identity::principal::Principal;
use crate::ids::{KeyName, ServerName};
use crate::policy::raw::RawRule;
use crate::policy::readable::{Rule, RuleId, Scope, Whose};
use crate::policy::rules::{Book, Own, Unwritten};
use crate::policy::subject::Subject;
use crate::policy::words::{Action, Words};

/// What a decision comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Answer {
    /// It may not be done.
    Deny,
    /// It may be done each time that a person says so.
    Ask,
    /// It may be done.
    Allow,
}

/// A decision and the rules behind it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Verdict {
    pub(super) answer: Answer,
    /// The rules that the ledger names: of each list that had to allow it the first one that does.
    said: Box<[RuleId]>,
    /// All rules that decided, those of `said` among them.
    all: Box<[RuleId]>,
    /// Whose list does not have it, where nothing forbids it.
    pub(super) missing: Option<Whose>,
}

impl Verdict {
    /// That nothing is allowed, because the rules could not be followed.
    pub(super) fn lost() -> Arc<Self> {
        Self::deny(None, Vec::new())
    }

    fn deny(missing: Option<Whose>, rules: Vec<RuleId>) -> Arc<Self> {
        let all: Box<[RuleId]> = rules.into();
        Arc::new(Self { answer: Answer::Deny, said: all.clone(), all, missing })
    }

    /// The ids that the ledger names.
    pub(super) fn told(&self, key: &KeyName) -> String {
        let told: Vec<String> = self.said.iter().map(|id| id.told(key)).collect();
        told.join(", ")
    }

    /// All ids.
    pub(super) fn rules(&self, key: &KeyName) -> Vec<String> {
        self.all.iter().map(|id| id.told(key)).collect()
    }

    /// The first rule that says no, or that somebody has to be asked.
    pub(super) fn rule(&self, key: &KeyName) -> Option<String> {
        let rule = if self.answer == Answer::Ask { self.said.last() } else { self.said.first() };
        rule.map(|id| id.told(key))
    }
}

/// What a principal may do: gone with the rules that it comes from.
#[derive(Debug)]
pub(super) struct Rights {
    book: Arc<Book>,
    who: Option<(EntityUid, Vec<Entity>)>,
    /// Whose rules are missing altogether: nothing is given.
    lost: Option<Whose>,
    scopes: Vec<Arc<Scope>>,
    raw: Vec<Arc<RawRule>>,
    authorizer: Authorizer,
    slices: RefCell<Vec<Kept>>,
}

/// A slice, with what it is about.
type Kept = (Action, Option<ServerName>, Arc<Slice>);

/// The policies that can be about one action and one server.
#[derive(Debug)]
struct Slice {
    /// Each has to allow it.
    layers: Vec<(Whose, PolicySet)>,
    /// With the order in which they are told.
    ids: HashMap<PolicyId, ((bool, usize), RuleId)>,
    /// Whether there is a policy that forbids.
    forbids: bool,
    /// Whether all policies were taken.
    whole: bool,
}

/// What a set of policies says.
struct Found {
    allows: bool,
    /// In written order.
    ids: Vec<RuleId>,
}

impl Rights {
    pub(super) fn of(book: &Arc<Book>, principal: &Principal) -> Self {
        let mut scopes = Vec::new();
        let mut lost = None;
        let own = Own::of(principal);
        if !own.is_nothing() {
            match book.own(&own) {
                Some(scope) => scopes.push(scope),
                None => lost = Some(Whose::Key),
            }
        }
        if let Some(name) = &principal.team {
            // A team that nobody described allows nothing: the config refuses such keys, so this is a second
            // lock, not the first.
            match book.teams.get(name).and_then(|(_, scope)| scope.as_ref()) {
                Some(scope) => scopes.push(Arc::clone(scope)),
                None => lost = lost.or_else(|| Some(Whose::Team(name.clone()))),
            }
        }
        let who = Words::all().and_then(|words| words.principal(principal));
        let above: HashSet<EntityUid> =
            who.iter().flat_map(|(_, entities)| entities.iter().map(Entity::uid)).collect();
        let about = |rule: &&Arc<RawRule>| rule.about.as_ref().is_none_or(|uid| above.contains(uid));
        let raw = book.raw.iter().filter(about).cloned().collect();
        Self {
            book: Arc::clone(book),
            who,
            lost,
            scopes,
            raw,
            authorizer: Authorizer::new(),
            slices: RefCell::default(),
        }
    }

    /// What the rules say.
    pub(super) fn about(&self, subject: &Subject<'_>) -> Arc<Verdict> {
        match *subject {
            Subject::Tool(server, tool, class) => self.tool(server, tool, class),
            Subject::Server(server) => {
                let slice = self.slice(Action::See, Some(server));
                let entity = Words::all().and_then(|words| words.server(server.as_str()));
                self.judge(&slice, Action::See, entity.as_ref().map(std::slice::from_ref))
            }
            Subject::Model(model) => {
                let slice = self.slice(Action::Use, None);
                let entity = Words::all().and_then(|words| words.model(model));
                self.judge(&slice, Action::Use, entity.as_ref().map(std::slice::from_ref))
            }
        }
    }

    fn tool(&self, server: &ServerName, tool: &str, class: Class) -> Arc<Verdict> {
        let entities = Words::all().and_then(|words| {
            Some(vec![words.tool(server.as_str(), tool, class)?, words.server(server.as_str())?])
        });
        let slice = self.slice(Action::Call, Some(server));
        let verdict = self.judge(&slice, Action::Call, entities.as_deref());
        let unasked = self.slice(Action::CallUnasked, Some(server));
        if verdict.answer == Answer::Deny || !unasked.forbids {
            return verdict;
        }
        // Asking is what a policy demands by forbidding the call without: what is merely not permitted is
        // none of it, so one set, which has all that forbids, is enough.
        let Some((_, set)) = unasked.layers.first() else { return verdict };
        let Some(found) = self.evaluate(set, &unasked, Action::CallUnasked, entities.as_deref()) else {
            return Verdict::deny(None, Vec::new());
        };
        if found.allows || found.ids.is_empty() {
            return verdict;
        }
        let with = |ids: &[RuleId]| ids.iter().chain(&found.ids).cloned().collect::<Box<[RuleId]>>();
        let all = with(&verdict.all);
        let said = verdict.said.iter().chain(found.ids.first()).cloned().collect();
        Arc::new(Verdict { answer: Answer::Ask, said, all, missing: None })
    }

    /// Asks all lists that have a say. A policy that fails in the middle could have been one that forbids,
    /// so nothing is allowed then.
    fn judge(&self, slice: &Slice, action: Action, about: Option<&[Entity]>) -> Arc<Verdict> {
        if self.lost.is_some() || !slice.whole {
            return Verdict::deny(self.lost.clone(), Vec::new());
        }
        let (mut said, mut all) = (Vec::new(), Vec::new());
        for (whose, set) in &slice.layers {
            let Some(found) = self.evaluate(set, slice, action, about) else {
                return Verdict::deny(None, Vec::new());
            };
            match (found.allows, found.ids.is_empty()) {
                (true, _) => {
                    said.extend(found.ids.first().cloned());
                    all.extend(found.ids);
                }
                (false, true) => return Verdict::deny(Some(whose.clone()), Vec::new()),
                (false, false) => return Verdict::deny(None, found.ids),
            }
        }
        Arc::new(Verdict { answer: Answer::Allow, said: said.into(), all: all.into(), missing: None })
    }

    fn evaluate(
        &self,
        set: &PolicySet,
        slice: &Slice,
        action: Action,
        about: Option<&[Entity]>,
    ) -> Option<Found> {
        let (who, facts) = self.who.as_ref()?;
        let about = about?;
        let resource = about.first()?.uid();
        let action = Words::all()?.action(action)?.clone();
        let entities = Entities::from_entities(facts.iter().chain(about).cloned(), None).ok()?;
        let request = Request::new(who.clone(), action, resource, Context::empty(), None).ok()?;
        let response = self.authorizer.is_authorized(&request, set, &entities);
        if response.diagnostics().errors().next().is_some() {
            return None;
        }
        let mut ids: Vec<&((bool, usize), RuleId)> =
            response.diagnostics().reason().filter_map(|id| slice.ids.get(id)).collect();
        ids.sort_by_key(|(place, _)| *place);
        let ids = ids.into_iter().map(|(_, id)| id.clone()).collect();
        Some(Found { allows: response.decision() == Decision::Allow, ids })
    }

    /// The last slice of each action is kept: lists are made server by server.
    fn slice(&self, action: Action, server: Option<&ServerName>) -> Arc<Slice> {
        let mut slices = self.slices.borrow_mut();
        let is_it = |(of, about, _): &&Kept| *of == action && about.as_ref() == server;
        if let Some((_, _, known)) = slices.iter().find(is_it) {
            return Arc::clone(known);
        }
        let slice = Arc::new(self.make_slice(action, server));
        slices.retain(|(of, _, _)| *of != action);
        slices.push((action, server.cloned(), Arc::clone(&slice)));
        slice
    }

    fn make_slice(&self, action: Action, server: Option<&ServerName>) -> Slice {
        let speaks = |scope: &&Arc<Scope>| match action {
            Action::Use => scope.lists_models,
            Action::Call | Action::CallUnasked | Action::See => scope.lists_servers,
        };
        let mut layers: Vec<(Whose, Option<&Arc<Scope>>)> =
            self.scopes.iter().filter(speaks).map(|scope| (scope.whose.clone(), Some(scope))).collect();
        if layers.is_empty() {
            let open = Scope::open().filter(|_| self.book.unwritten == Unwritten::Allow);
            layers.push((Whose::Nobody, open));
        }
        let fits = |rule: &&Rule| {
            let here = |glob: &crate::glob::Glob| server.is_some_and(|name| glob.matches(name.as_str()));
            rule.action == action && rule.server.as_ref().is_none_or(here)
        };
        let of = |scope: &'_ Arc<Scope>, forbids: bool| {
            let rules = scope.rules.iter().filter(fits).filter(|rule| rule.forbids == forbids);
            rules.map(|rule| (rule.id.clone(), rule.policy.clone())).collect::<Vec<_>>()
        };
        let mut shared: Vec<(RuleId, Policy)> =
            self.scopes.iter().flat_map(|scope| of(scope, true)).collect();
        let raw: Vec<&Arc<RawRule>> = self.raw.iter().filter(|rule| rule.is_about(action)).collect();
        let forbids = !shared.is_empty() || raw.iter().any(|rule| rule.forbids);
        shared.extend(raw.iter().map(|rule| (rule.id.clone(), rule.policy.clone())));
        let mut made = Slice { layers: Vec::new(), ids: HashMap::new(), forbids, whole: true };
        for (whose, scope) in layers {
            let mut set = PolicySet::new();
            let own = scope.map(|scope| of(scope, false)).unwrap_or_default();
            for (id, policy) in own.into_iter().chain(shared.iter().cloned()) {
                // What people find in the config is told before what stands in a file.
                let place = (id.whose == Whose::File, made.ids.len());
                made.ids.entry(policy.id().clone()).or_insert((place, id));
                made.whole &= set.add(policy).is_ok();
            }
            made.layers.push((whose, set));
        }
        made
    }
}
