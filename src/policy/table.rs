//! What one thread has decided so far: each decision is made once, and then looked up.
//!
//! A look-up reads little memory: whoever calls is known again by the addresses of what its principal shares,
//! which are kept alive here; what is asked about by a small number; and the verdict stands beside both
//! numbers in one table for all.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;

use crate::call::Class;
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::ids::{ServerName, TeamName};
use crate::limits;
use crate::policy::decide::{Denial, Found, Holder, Permit, ToolCall};
use crate::policy::flat::Flat;
use crate::policy::rights::{Answer, Rights, Verdict};
use crate::policy::rules::{Own, Rules};
use crate::policy::subject::{Names, Subject};
use crate::policy::words::Told;

/// The decisions of one thread under one policy. Other rules, and it begins anew; it also does when it is
/// full, at `limits::POLICY_DECISIONS_MAX`.
#[derive(Debug, Default)]
pub struct Table {
    held: RefCell<Held>,
    forgotten: RefCell<Vec<Forgotten>>,
}

/// What a table has forgotten: many small pieces, whose end takes milliseconds. Drop it where nobody waits.
pub struct Forgotten(#[expect(dead_code, reason = "it is there to be dropped")] Box<dyn Send>);

#[derive(Debug, Default)]
struct Held {
    rules: Option<Rules>,
    /// By the address of the key's id.
    known: Flat<Arc<Known>>,
    by_rights: HashMap<Same, u32>,
    rights: Vec<Rights>,
    kept: Memory,
    /// That models may not be named. Their names come from callers, so they have a room of their own, and
    /// what is allowed is not forgotten for them.
    denied: Memory,
    /// Each verdict once.
    verdicts: HashSet<Arc<Verdict>>,
    /// How many more decisions there is room for.
    room: usize,
}

/// Verdicts by the numbers of rights and subject.
#[derive(Debug, Default)]
struct Memory {
    names: Names,
    verdicts: Flat<Arc<Verdict>>,
}

/// A principal that has come before.
// In this order: what each decision compares stands together.
#[derive(Debug)]
#[repr(C)]
pub(super) struct Known {
    addresses: Addresses,
    role: Option<Role>,
    rights: u32,
    /// Keeps what is at the addresses where it is.
    principal: Principal,
}

/// Where everything stands that rights depend on. It never changes as long as somebody has it: equal
/// addresses, equal rights.
type Addresses = [usize; 9];

/// Principals for whom all of this is the same have the same rights.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    own: Own,
    team: Option<TeamName>,
    told: Told,
}

impl Known {
    /// As it was when it came first.
    pub(super) const fn principal(&self) -> &Principal {
        &self.principal
    }

    fn is(&self, addresses: &Addresses, role: Option<Role>) -> bool {
        self.addresses == *addresses && self.role == role
    }
}

fn addresses(who: &Principal) -> Addresses {
    [
        who.key_id.as_ptr().addr(),
        who.key.as_str().as_ptr().addr(),
        who.team.as_ref().map_or(0, |team| team.as_str().as_ptr().addr()),
        who.user.as_ref().map_or(0, |user| user.as_ptr().addr()),
        who.issuer.as_ref().map_or(0, |issuer| issuer.as_ptr().addr()),
        who.groups.as_ptr().addr(),
        who.models.as_ref().map_or(0, |models| models.as_ptr().addr()),
        who.deny_models.as_ptr().addr(),
        who.servers.as_ref().map_or(0, |servers| servers.rules().as_ptr().addr()),
    ]
}

impl Table {
    /// `Rules::decide`, remembered.
    ///
    /// # Errors
    /// As `Rules::decide`.
    pub fn decide(&self, rules: &Rules, principal: &Principal, model: &str) -> Result<Permit, Denial> {
        rules.settle_model(principal, model, self.find(rules, principal, &Subject::Model(model)))
    }

    /// `Rules::decide_tool`, remembered.
    ///
    /// # Errors
    /// As `Rules::decide_tool`.
    pub fn decide_tool(
        &self,
        rules: &Rules,
        principal: &Principal,
        call: &ToolCall<'_>,
    ) -> Result<Permit, Denial> {
        rules.settle_tool(principal, call, self.find(rules, principal, &call.subject()))
    }

    /// `Rules::may_see`, by what is remembered of the principal.
    ///
    /// # Errors
    /// As `Rules::may_see`.
    pub fn may_see(
        &self,
        rules: &Rules,
        principal: &Principal,
        server: &ServerName,
    ) -> Result<Permit, Denial> {
        rules.settle_server(principal, server, self.find(rules, principal, &Subject::Server(server)))
    }

    /// `Rules::may_name`, remembered.
    pub fn may_name(&self, rules: &Rules, principal: &Principal, model: &str) -> bool {
        self.find(rules, principal, &Subject::Model(model)).verdict.answer == Answer::Allow
    }

    /// `Rules::may_call`, remembered, for the tools of one list.
    pub fn lister<'t>(
        &'t self,
        rules: &'t Rules,
        principal: &'t Principal,
    ) -> impl Fn(&ServerName, &str, Class) -> Answer + 't {
        |server, tool, class| self.find(rules, principal, &Subject::Tool(server, tool, class)).verdict.answer
    }

    /// What has been forgotten since this was asked last. What nobody asks for is dropped at once, all but
    /// the first `limits::POLICY_FORGOTTEN_MAX` pieces.
    pub fn forgotten(&self) -> Vec<Forgotten> {
        self.forgotten.take()
    }

    fn find(&self, rules: &Rules, principal: &Principal, subject: &Subject<'_>) -> Found {
        let (addresses, role) = (addresses(principal), principal.role);
        if let Some(found) = self.held.borrow().find(rules, (&addresses, role), subject) {
            return found;
        }
        let mut held = self.held.borrow_mut();
        if !held.is_of(rules) {
            let (rules, room) = (Some(rules.clone()), limits::POLICY_DECISIONS_MAX);
            self.forget(std::mem::replace(&mut *held, Held { rules, room, ..Held::default() }));
        }
        if held.known.len() >= limits::POLICY_PRINCIPALS_MAX {
            self.forget(std::mem::take(&mut held.known));
        }
        if held.denied.verdicts.len() >= limits::POLICY_DENIALS_MAX {
            self.forget((std::mem::take(&mut held.denied), std::mem::take(&mut held.verdicts)));
        }
        let known = held.known(rules, principal, (addresses, role));
        let verdict = held.verdict(known.rights, subject);
        Found { whose: Holder::Known(known), verdict }
    }
}

impl Table {
    /// Keeps what is forgotten for whoever drops it elsewhere, within bounds.
    fn forget(&self, old: impl Send + 'static) {
        let mut forgotten = self.forgotten.borrow_mut();
        if forgotten.len() < limits::POLICY_FORGOTTEN_MAX {
            forgotten.push(Forgotten(Box::new(old)));
        }
    }
}

impl Held {
    /// Whether it is about these rules, and has room left.
    fn is_of(&self, rules: &Rules) -> bool {
        self.rules.as_ref() == Some(rules) && self.room > 0
    }

    /// What is remembered of all this.
    fn find(
        &self,
        rules: &Rules,
        (addresses, role): (&Addresses, Option<Role>),
        subject: &Subject<'_>,
    ) -> Option<Found> {
        if !self.is_of(rules) {
            return None;
        }
        let known = self.known.find(number(addresses), |known| known.is(addresses, role))?;
        let verdict = self.remembered(known.rights, subject)?;
        Some(Found { whose: Holder::Known(Arc::clone(known)), verdict: Arc::clone(verdict) })
    }

    fn remembered(&self, rights: u32, subject: &Subject<'_>) -> Option<&Arc<Verdict>> {
        let found = self.kept.find(rights, subject);
        match subject {
            Subject::Model(_) => found.or_else(|| self.denied.find(rights, subject)),
            Subject::Tool(..) | Subject::Server(_) => found,
        }
    }

    /// The principal, made known if it is not.
    fn known(
        &mut self,
        rules: &Rules,
        principal: &Principal,
        (addresses, role): (Addresses, Option<Role>),
    ) -> Arc<Known> {
        let key = number(&addresses);
        if let Some(known) = self.known.find(key, |known| known.is(&addresses, role)) {
            return Arc::clone(known);
        }
        let told = Told::of(principal, rules.spoken());
        let same = Same { own: Own::of(principal), team: principal.team.clone(), told };
        let rights = match self.by_rights.get(&same) {
            Some(rights) => *rights,
            None => {
                let number = u32::try_from(self.rights.len()).unwrap_or(u32::MAX);
                self.rights.push(rules.rights(principal));
                self.room = self.room.saturating_sub(limits::POLICY_RIGHTS_DECISIONS);
                self.by_rights.insert(same, number);
                number
            }
        };
        let known = Arc::new(Known { addresses, role, rights, principal: principal.clone() });
        self.known.add(key, Arc::clone(&known));
        known
    }

    /// What the rules say, remembered from now on as long as there is room.
    fn verdict(&mut self, rights: u32, subject: &Subject<'_>) -> Arc<Verdict> {
        if let Some(known) = self.remembered(rights, subject) {
            return Arc::clone(known);
        }
        let of = usize::try_from(rights).ok().and_then(|place| self.rights.get(place));
        let made = of.map_or_else(Verdict::lost, |of| of.about(subject));
        let verdict = match self.verdicts.get(&made) {
            Some(same) => Arc::clone(same),
            None => made,
        };
        let (length, most) = match subject {
            Subject::Model(name) => (name.len(), limits::PATTERN_CHARS_MAX),
            Subject::Tool(_, name, _) => (name.len(), limits::MCP_NAME_BYTES_MAX),
            Subject::Server(_) => (0, 0),
        };
        if length > most {
            return verdict;
        }
        if verdict.answer == Answer::Deny && matches!(subject, Subject::Model(_)) {
            self.denied.add(rights, subject, &verdict);
        } else if let Some(room) = self.room.checked_sub(1) {
            self.room = room;
            self.kept.add(rights, subject, &verdict);
        }
        self.verdicts.insert(Arc::clone(&verdict));
        verdict
    }
}

impl Memory {
    fn find(&self, rights: u32, subject: &Subject<'_>) -> Option<&Arc<Verdict>> {
        self.verdicts.find(pair(rights, self.names.find(subject)?), |_| true)
    }

    fn add(&mut self, rights: u32, subject: &Subject<'_>, verdict: &Arc<Verdict>) {
        if let Some(number) = self.names.number(subject) {
            self.verdicts.add(pair(rights, number), Arc::clone(verdict));
        }
    }
}

/// Two numbers as one, which is theirs alone.
fn pair(rights: u32, subject: u32) -> u64 {
    u64::from(rights) << 32 | u64::from(subject)
}

fn number(addresses: &Addresses) -> u64 {
    let [first, ..] = *addresses;
    u64::try_from(first).unwrap_or_default()
}

/// That there is something.
impl fmt::Debug for Forgotten {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Forgotten")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::glob::Glob;
    use crate::identity::servers::ServerRules;
    use crate::ids::KeyName;
    use crate::policy::rules::Team;

    fn dev() -> Principal {
        Principal {
            team: Some(TeamName::new("t")),
            models: Some([Glob::new("good-*")].into_iter().collect()),
            ..Principal::of_key(KeyName::new("dev"), "0123456789ab")
        }
    }

    fn rules() -> Rules {
        Rules::new([(TeamName::new("t"), Team::default())])
    }

    fn lengths(table: &Table) -> [usize; 3] {
        let held = table.held.borrow();
        [held.known.len(), held.kept.verdicts.len(), held.denied.verdicts.len()]
    }

    #[test]
    fn denied_models_are_remembered_apart_from_what_is_allowed() {
        let (table, rules, dev) = (Table::default(), rules(), dev());
        for _again in 0..3 {
            assert!(table.may_name(&rules, &dev, "good-1") && !table.may_name(&rules, &dev, "bad-1"));
            assert!(table.decide(&rules, &dev, "bad-1").is_err());
        }
        assert_eq!(lengths(&table), [1, 1, 1]);
        let endless = "x".repeat(limits::PATTERN_CHARS_MAX + 1);
        assert!(!table.may_name(&rules, &dev, &endless));
        assert_eq!(lengths(&table), [1, 1, 1]);
    }

    #[test]
    fn denials_that_fill_their_room_are_forgotten_alone() {
        let (table, rules, dev) = (Table::default(), rules(), dev());
        assert!(table.may_name(&rules, &dev, "good-1") && !table.may_name(&rules, &dev, "bad-1"));
        {
            let mut held = table.held.borrow_mut();
            let verdict = Arc::clone(held.denied.find(0, &Subject::Model("bad-1")).unwrap());
            for number in 1..limits::POLICY_DENIALS_MAX {
                held.denied.add(0, &Subject::Model(&format!("name-{number}")), &verdict);
            }
        }
        assert_eq!(lengths(&table), [1, 1, limits::POLICY_DENIALS_MAX]);
        assert!(table.forgotten().len() <= 1, "nothing but the table of no rules");
        assert!(!table.may_name(&rules, &dev, "bad-2"));
        assert_eq!((lengths(&table), table.forgotten().len()), ([1, 1, 1], 1));
    }

    #[test]
    fn whoever_differs_in_anything_that_rights_depend_on_is_somebody_else() {
        let dev = dev();
        let others = [
            Principal { key_id: "0123456789ac".into(), ..dev.clone() },
            Principal { key: KeyName::new("lent"), ..dev.clone() },
            Principal { team: Some(TeamName::new("u")), ..dev.clone() },
            Principal { team: None, ..dev.clone() },
            Principal { user: Some("ann".into()), ..dev.clone() },
            Principal { issuer: Some("https://a.example.com".into()), ..dev.clone() },
            Principal { groups: Arc::new(["sre".into()]), ..dev.clone() },
            Principal { role: Some(Role::Viewer), ..dev.clone() },
            Principal { models: None, ..dev.clone() },
            Principal { models: Some(Arc::default()), ..dev.clone() },
            Principal { deny_models: [Glob::new("good-2")].into_iter().collect(), ..dev.clone() },
            Principal { servers: Some(ServerRules::new([])), ..dev.clone() },
        ];
        let (table, rules) = (Table::default(), rules());
        for twin in [dev.clone(), dev] {
            assert!(table.may_name(&rules, &twin, "good-1"));
        }
        assert_eq!(lengths(&table)[0], 1);
        for (place, other) in others.iter().enumerate() {
            table.may_name(&rules, other, "good-1");
            assert_eq!(lengths(&table)[0], place + 2, "{other:?}");
        }
        assert!(!table.may_name(&rules, &others[2], "good-1"), "nobody has described its team");
        assert!(table.may_name(&rules, &others[8], "bad-1") && !table.may_name(&rules, &others[9], "good-1"));
    }

    #[test]
    fn other_rules_begin_anew_and_what_was_is_given_away() {
        let (table, dev) = (Table::default(), dev());
        let (one, other) = (rules(), rules());
        assert!(table.may_name(&one, &dev, "good-1") && table.may_name(&one, &dev, "good-2"));
        drop(table.forgotten());
        assert!(table.may_name(&other, &dev, "good-1"));
        assert_eq!((lengths(&table), table.forgotten().len()), ([1, 1, 0], 1));
        // Nobody fetches these: they do not pile up.
        for _again in 0..limits::POLICY_FORGOTTEN_MAX {
            assert!(table.may_name(&one, &dev, "good-1") && table.may_name(&other, &dev, "good-1"));
        }
        assert_eq!(table.forgotten().len(), limits::POLICY_FORGOTTEN_MAX);
    }
}
