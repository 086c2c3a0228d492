//! The decision about one call, and the permit that proves it was made.

use std::fmt;
use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::ids::{KeyName, TeamName};
use crate::limits;
use crate::policy::rules::Rules;

/// Proof that policy allowed a call. Only this module makes one; it says by which rule, for the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Permit {
    key: KeyName,
    team: Option<TeamName>,
    by_key: Option<Match>,
    by_team: Option<Match>,
}

/// One pattern of a list, by its place.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Match {
    list: Arc<[Glob]>,
    place: usize,
}

impl Match {
    fn pattern(&self) -> &str {
        self.list.get(self.place).map_or("*", Glob::as_str)
    }
}

impl Permit {
    /// The key that was allowed.
    pub const fn key(&self) -> &KeyName {
        &self.key
    }

    /// Its team.
    pub const fn team(&self) -> Option<&TeamName> {
        self.team.as_ref()
    }

    /// A permit out of thin air, for tests of those who only ask to see one.
    #[cfg(test)]
    pub(crate) fn for_tests() -> Self {
        Self { key: KeyName::new("test"), team: None, by_key: None, by_team: None }
    }
}

/// The rules that allowed it: `team platform: models claude-*`, or `no rule: all models`.
impl fmt::Display for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(found) = &self.by_key {
            write!(f, "key {}: models {}", self.key, found.pattern())?;
        }
        if let (Some(found), Some(team)) = (&self.by_team, &self.team) {
            let comma = if self.by_key.is_some() { ", " } else { "" };
            write!(f, "{comma}team {team}: models {}", found.pattern())?;
        }
        if self.by_key.is_none() && self.by_team.is_none() {
            f.write_str("no rule: all models")?;
        }
        Ok(())
    }
}

/// Why a call may not be made: one sentence for the developer who reads it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    model: String,
    key: KeyName,
    whose: Whose,
    allowed: Option<Arc<[Glob]>>,
}

/// Whose rule stood in the way.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whose {
    Key,
    Team(TeamName),
}

impl std::error::Error for Denial {}

impl fmt::Display for Denial {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "model {:?} is not allowed for key \"{}\" (", self.model, self.key)?;
        match &self.whose {
            Whose::Key => f.write_str("the key allows: ")?,
            Whose::Team(team) => write!(f, "team {team} allows: ")?,
        }
        let patterns = self.allowed.as_deref().unwrap_or_default();
        if patterns.is_empty() {
            f.write_str("no model")?;
        }
        for (place, pattern) in patterns.iter().take(limits::DENIAL_PATTERNS_MAX).enumerate() {
            let comma = if place == 0 { "" } else { ", " };
            write!(f, "{comma}{}", pattern.as_str())?;
        }
        let rest = patterns.len().saturating_sub(limits::DENIAL_PATTERNS_MAX);
        if rest > 0 {
            write!(f, " and {rest} more")?;
        }
        f.write_str(")")
    }
}

impl Rules {
    /// Decides whether `principal` may name `model`: the key's own list and its team's list must both have
    /// it, where they exist. Whether anything serves the model is not asked here.
    ///
    /// # Errors
    /// A `Denial` that names the model, the key and what is allowed.
    pub fn decide(&self, principal: &Principal, model: &str) -> Result<Permit, Denial> {
        let denied = |whose, allowed: Option<&Arc<[Glob]>>| Denial {
            model: shown(model),
            key: principal.key.clone(),
            whose,
            allowed: allowed.cloned(),
        };
        let own = principal.models.as_ref();
        let by_key = first_match(own, model).ok_or_else(|| denied(Whose::Key, own))?;
        let mut by_team = None;
        if let Some(name) = &principal.team {
            // A team that nobody described allows nothing: the config refuses such keys, so this is a
            // second lock, not the first.
            let Some(team) = self.team(name) else {
                return Err(denied(Whose::Team(name.clone()), None));
            };
            let list = team.models.as_ref();
            by_team = first_match(list, model).ok_or_else(|| denied(Whose::Team(name.clone()), list))?;
        }
        Ok(Permit { key: principal.key.clone(), team: principal.team.clone(), by_key, by_team })
    }

    /// Permits what names no model: listing the models. The list itself is filtered by `may_name`.
    pub fn permit_listing(&self, principal: &Principal) -> Permit {
        Permit { key: principal.key.clone(), team: principal.team.clone(), by_key: None, by_team: None }
    }

    /// Whether `principal` may name `model`: `decide` without its reasons, for filtering lists.
    pub fn may_name(&self, principal: &Principal, model: &str) -> bool {
        self.decide(principal, model).is_ok()
    }
}

/// `Some(None)` where there is no list, `Some(Some(_))` where a pattern of it fits, `None` where none does.
fn first_match(list: Option<&Arc<[Glob]>>, model: &str) -> Option<Option<Match>> {
    let Some(list) = list else { return Some(None) };
    let place = list.iter().position(|pattern| pattern.matches(model))?;
    Some(Some(Match { list: Arc::clone(list), place }))
}

/// The model's name, cut where nobody would read on: it is the caller's text.
fn shown(model: &str) -> String {
    let mut text: String = model.chars().take(limits::MODEL_SHOWN_CHARS_MAX).collect();
    if text.len() < model.len() {
        text.push_str("...");
    }
    text
}
