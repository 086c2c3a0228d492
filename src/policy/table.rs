//! What one thread has decided so far: each decision is made once, and then looked up.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use crate::call::Class;
use crate::identity::principal::Principal;
use crate::ids::{ServerName, TeamName};
use crate::limits;
use crate::policy::decide::{Denial, Permit, ToolCall};
use crate::policy::rights::{Answer, Rights, take};
use crate::policy::rules::{Own, Rules};
use crate::policy::words::Told;

/// The decisions of one thread under one policy. Other rules, and it begins anew; it also does when it is
/// full, at `limits::POLICY_DECISIONS_MAX`.
#[derive(Debug, Default)]
pub struct Table {
    held: RefCell<Held>,
    /// How many more decisions there is room for.
    room: Cell<usize>,
}

#[derive(Debug, Default)]
struct Held {
    rules: Option<Rules>,
    /// By the id of the key, with the principal as it was: somebody may come back with other rights.
    by_key: HashMap<Arc<str>, (Principal, Rc<Rights>)>,
    by_rights: HashMap<Same, Rc<Rights>>,
}

/// Principals for whom all of this is the same have the same rights.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Same {
    own: Own,
    team: Option<TeamName>,
    told: Told,
}

impl Table {
    /// `Rules::decide`, remembered.
    ///
    /// # Errors
    /// As `Rules::decide`.
    pub fn decide(&self, rules: &Rules, principal: &Principal, model: &str) -> Result<Permit, Denial> {
        let verdict = self.rights(rules, principal).model(model, &self.room);
        rules.settle_model(principal, model, verdict)
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
        let verdict = self.rights(rules, principal).tool(call.server, call.tool, call.class, &self.room);
        rules.settle_tool(principal, call, verdict)
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
        let verdict = self.rights(rules, principal).see(server, &self.room);
        rules.settle_server(principal, server, verdict)
    }

    /// `Rules::may_name`, remembered.
    pub fn may_name(&self, rules: &Rules, principal: &Principal, model: &str) -> bool {
        self.rights(rules, principal).model(model, &self.room).answer == Answer::Allow
    }

    /// `Rules::may_call`, remembered, for the tools of one list.
    pub fn lister<'t>(
        &'t self,
        rules: &Rules,
        principal: &Principal,
    ) -> impl Fn(&ServerName, &str, Class) -> Answer + 't {
        let rights = self.rights(rules, principal);
        move |server, tool, class| rights.tool(server, tool, class, &self.room).answer
    }

    fn rights(&self, rules: &Rules, principal: &Principal) -> Rc<Rights> {
        let mut held = self.held.borrow_mut();
        if held.rules.as_ref() != Some(rules) || self.room.get() == 0 {
            *held = Held { rules: Some(rules.clone()), ..Held::default() };
            self.room.set(limits::POLICY_DECISIONS_MAX);
        }
        if let Some((known, rights)) = held.by_key.get(&principal.key_id)
            && known == principal
        {
            return Rc::clone(rights);
        }
        if held.by_key.len() >= limits::POLICY_PRINCIPALS_MAX {
            held.by_key.clear();
            held.by_rights.clear();
        }
        let told = Told::of(principal, rules.spoken());
        let same = Same { own: Own::of(principal), team: principal.team.clone(), told };
        let made = held.by_rights.entry(same).or_insert_with(|| {
            take(&self.room, limits::POLICY_RIGHTS_DECISIONS);
            Rc::new(rules.rights(principal))
        });
        let rights = Rc::clone(made);
        held.by_key.insert(Arc::clone(&principal.key_id), (principal.clone(), Rc::clone(&rights)));
        rights
    }
}
