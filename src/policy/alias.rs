//! A team's own names for models: what the rules decide about is the model that is meant, not its name here.

use std::collections::HashMap;
use std::sync::Arc;

use crate::identity::principal::Principal;
use crate::policy::rules::Rules;

/// Names and what they mean, one step: a name never leads to another name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Aliases {
    meant: HashMap<Box<str>, Arc<str>>,
    /// The names in written order.
    written: Vec<Box<str>>,
}

impl Aliases {
    /// Takes pairs of a name and the model that it stands for; a name given twice keeps its first meaning.
    pub fn new<'a>(pairs: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut aliases = Self::default();
        for (name, model) in pairs {
            if !aliases.meant.contains_key(name) {
                aliases.meant.insert(name.into(), model.into());
                aliases.written.push(name.into());
            }
        }
        aliases
    }

    /// The model that a name stands for.
    pub fn model(&self, name: &str) -> Option<&Arc<str>> {
        self.meant.get(name)
    }

    /// All names with their models, in written order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.written.iter().filter_map(|name| Some((&**name, &**self.meant.get(name)?)))
    }
}

impl Rules {
    /// The names that hold for `principal`; none without a team.
    pub fn aliases(&self, principal: &Principal) -> Option<&Aliases> {
        principal.team.as_ref().and_then(|name| self.team(name)).map(|team| &team.aliases)
    }
}
