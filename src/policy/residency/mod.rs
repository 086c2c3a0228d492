//! Where calls may run: the places there are, what teams and keys say of them, and the permit for one place.
//!
//! A [`Permit`] says that somebody may do something. What goes out takes a [`PlacedPermit`] instead, which is
//! made here alone, by [`Residency::place`] of a permit and the place that it is for: a forgotten check does
//! not compile, and a permit that was placed elsewhere sends nothing (`upstream::exchange`).

use std::fmt;
use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::ids::{KeyName, TeamName};
use crate::limits;
use crate::policy::decide::Permit;
use crate::policy::rules::Rules;

/// Who shares the machines of a place.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Tenancy {
    /// Customers of somebody else's.
    #[default]
    Shared,
    /// Nobody, but they are somebody else's.
    Dedicated,
    /// Nobody, and they are our own.
    OnPrem,
}

impl Tenancy {
    /// Every word of the config with its meaning.
    pub const WORDS: &'static [(&'static str, Self)] =
        &[("shared", Self::Shared), ("dedicated", Self::Dedicated), ("on_prem", Self::OnPrem)];

    /// The word of the config.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Shared => "shared",
            Self::Dedicated => "dedicated",
            Self::OnPrem => "on_prem",
        }
    }
}

/// Where a provider or an MCP server runs. Immutable; a reload makes new ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    kind: &'static str,
    name: Box<str>,
    regions: Box<[Box<str>]>,
    label: Box<str>,
    tenancy: Tenancy,
}

impl Place {
    /// The place of a provider: the regions that may serve what it is sent, none where nobody knows.
    pub fn of_provider(name: &str, regions: &[String], tenancy: Tenancy) -> Arc<Self> {
        Self::new("provider", name, regions, tenancy)
    }

    /// The place of an MCP server.
    pub fn of_server(name: &str, regions: &[String], tenancy: Tenancy) -> Arc<Self> {
        Self::new("server", name, regions, tenancy)
    }

    fn new(kind: &'static str, name: &str, regions: &[String], tenancy: Tenancy) -> Arc<Self> {
        let label = regions.join(", ").into();
        let regions = regions.iter().map(|region| region.as_str().into()).collect();
        Arc::new(Self { kind, name: name.into(), regions, label, tenancy })
    }

    /// Its regions as the ledger has them: `eu`, or `eu, us` for what may run in either; empty when unknown.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// The regions.
    pub fn regions(&self) -> impl Iterator<Item = &str> {
        self.regions.iter().map(|region| &**region)
    }

    /// Who shares it.
    pub const fn tenancy(&self) -> Tenancy {
        self.tenancy
    }

    /// Whether an answer's word about where it was made contradicts what the config says of this place.
    /// `eu` and `eu-central-1` are the same area, one said more exactly. Where nothing is known, or nothing
    /// is said, nothing is contradicted.
    pub fn is_contradicted_by(&self, said: &str) -> bool {
        let known = !self.regions.is_empty() && is_region(said);
        known && !self.regions().any(|region| are_one_area(region, said))
    }
}

/// `provider anthropic: us`, or `provider local: region unknown`.
impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let label = if self.label.is_empty() { "region unknown" } else { &self.label };
        write!(f, "{} {}: {label}", self.kind, self.name)
    }
}

/// Whether a provider's word about where it ran names a region at all.
fn is_region(said: &str) -> bool {
    !said.is_empty() && said != "not_available"
}

fn are_one_area(one: &str, two: &str) -> bool {
    let within = |whole: &str, part: &str| {
        let (whole, part) = (whole.as_bytes(), part.as_bytes());
        let head = part.get(..whole.len());
        head.is_some_and(|head| head.eq_ignore_ascii_case(whole))
            && part.get(whole.len()).is_none_or(|&next| next == b'-')
    };
    within(one, two) || within(two, one)
}

/// What a team says of places.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Territory {
    /// The regions that its calls may run in; `None` sets no limit.
    pub regions: Option<Arc<[Glob]>>,
    /// The tenancies that its calls may run in; `None` sets no limit.
    pub tenancies: Option<Arc<[Tenancy]>>,
}

/// The rules about places that hold for one principal: those of its key and those of its team.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Residency<'r> {
    key: &'r KeyName,
    own: Option<&'r Arc<[Glob]>>,
    /// Without a territory the team is unknown, and then it has no place at all.
    team: Option<(&'r TeamName, Option<&'r Territory>)>,
}

impl Rules {
    /// The rules about places that hold for `principal`.
    pub fn residency<'r>(&'r self, principal: &'r Principal) -> Residency<'r> {
        let team = principal.team.as_ref().map(|name| (name, self.team(name).map(|team| &team.territory)));
        Residency { key: &principal.key, own: principal.regions.as_ref(), team }
    }
}

impl<'r> Residency<'r> {
    /// The rules of a team, for keys that have none of their own.
    pub const fn of_team(key: &'r KeyName, team: &'r TeamName, territory: &'r Territory) -> Self {
        Self { key, own: None, team: Some((team, Some(territory))) }
    }

    /// Whether every place is good, because no rule speaks of places.
    pub fn is_free(&self) -> bool {
        let no_rule = |territory: &Territory| territory.regions.is_none() && territory.tenancies.is_none();
        self.own.is_none() && self.team.is_none_or(|(_, territory)| territory.is_some_and(no_rule))
    }

    /// Whether a call may run at `place`. What may be served from several regions is good only where all of
    /// them are; what is unknown is good nowhere.
    pub fn allows(&self, place: &Place) -> bool {
        let regions = |list: &Arc<[Glob]>| {
            !place.regions.is_empty() && place.regions().all(|region| names(list, region))
        };
        let team = self.team.is_none_or(|(_, territory)| {
            territory.is_some_and(|territory| {
                territory.regions.as_ref().is_none_or(regions)
                    && territory.tenancies.as_ref().is_none_or(|list| list.contains(&place.tenancy))
            })
        });
        self.own.is_none_or(regions) && team
    }

    /// Whether a request may ask to be served from `region`, in the provider's words.
    pub fn allows_region(&self, region: &str) -> bool {
        let regions = |list: &Arc<[Glob]>| names(list, region);
        let team = self.team.is_none_or(|(_, territory)| {
            territory.is_some_and(|territory| territory.regions.as_ref().is_none_or(regions))
        });
        self.own.is_none_or(regions) && team
    }

    /// Makes of a permit one for this place.
    ///
    /// # Errors
    /// The place is none of those that the rules allow.
    pub fn place(&self, permit: &Permit, place: &Arc<Place>) -> Result<PlacedPermit, Outside> {
        debug_assert!(permit.key() == self.key, "a permit is placed by the rules of whom it was given to");
        match self.allows(place) {
            true => Ok(PlacedPermit { place: Some(Arc::clone(place)) }),
            false => Err(self.outside(place.kind, [&**place])),
        }
    }

    /// Why `what` can run nowhere, when these are all the places there are.
    pub fn outside<'p>(&self, what: &str, places: impl IntoIterator<Item = &'p Place>) -> Outside {
        let by_tenancy = self
            .team
            .is_some_and(|(_, territory)| territory.is_some_and(|territory| territory.tenancies.is_some()));
        let shown = |place: &Place| match by_tenancy {
            true => format!("{place}, {}", place.tenancy.word()),
            false => place.to_string(),
        };
        let places: Vec<String> = places.into_iter().map(shown).collect();
        let there = match places.is_empty() {
            true => "none".to_owned(),
            false => some_of(places.iter().map(String::as_str), "; "),
        };
        Outside { what: what.to_owned(), rule: self.to_string(), there }
    }

    /// What the record says was decided: the rules of the permit, and those about places.
    pub fn decision(&self, permit: &Permit) -> String {
        if self.is_free() { permit.to_string() } else { format!("{permit}; {self}") }
    }
}

/// The rules: `key ci: regions eu-west, team payments: regions eu, eu-*`.
impl fmt::Display for Residency<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut comma = "";
        let regions = |list: &Arc<[Glob]>| match list.is_empty() {
            true => "none".to_owned(),
            false => some_of(list.iter().map(Glob::as_str), ", "),
        };
        if let Some(own) = self.own {
            write!(f, "key {}: regions {}", self.key, regions(own))?;
            comma = ", ";
        }
        let Some((team, territory)) = self.team else { return Ok(()) };
        let Some(territory) = territory else { return write!(f, "{comma}team {team}: unknown") };
        if let Some(list) = &territory.regions {
            write!(f, "{comma}team {team}: regions {}", regions(list))?;
            comma = ", ";
        }
        if let Some(list) = &territory.tenancies {
            let words: Vec<&str> = list.iter().map(|tenancy| tenancy.word()).collect();
            write!(f, "{comma}team {team}: tenancies {}", words.join(", "))?;
        }
        Ok(())
    }
}

/// A permit for one place: the proof that policy has allowed a call, and allowed it there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlacedPermit {
    /// `None` where the gateway itself is the one who acts: it has no team whose rules could hold.
    place: Option<Arc<Place>>,
}

impl PlacedPermit {
    /// That of the gateway itself, see [`Permit::own`].
    pub const fn own() -> Self {
        Self { place: None }
    }

    /// Whether it is good for the provider or server of this name.
    pub fn is_for(&self, name: &str) -> bool {
        self.place.as_ref().is_none_or(|place| &*place.name == name)
    }

    /// A permit out of thin air, for tests of those who only ask to see one.
    #[cfg(test)]
    pub(crate) const fn for_tests() -> Self {
        Self { place: None }
    }

    /// The same for one place, for tests of those who compare it with where they are.
    #[cfg(test)]
    pub(crate) fn for_tests_at(name: &str) -> Self {
        Self { place: Some(Place::of_server(name, &[], Tenancy::Shared)) }
    }
}

/// Nothing that could serve a call is where it may run: one sentence for the developer who reads it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} may not run outside of its regions ({rule}), and there is {there}")]
pub struct Outside {
    what: String,
    rule: String,
    there: String,
}

impl Outside {
    /// The rule that stands in the way: `team payments: regions eu`.
    pub fn rule(&self) -> &str {
        &self.rule
    }
}

fn names(list: &Arc<[Glob]>, region: &str) -> bool {
    list.iter().any(|pattern| pattern.matches(region))
}

/// As many of some words as people read.
fn some_of<'w>(words: impl Iterator<Item = &'w str> + Clone, comma: &str) -> String {
    let rest = words.clone().count().saturating_sub(limits::DENIAL_PATTERNS_MAX);
    let mut text = words.take(limits::DENIAL_PATTERNS_MAX).collect::<Vec<_>>().join(comma);
    if rest > 0 {
        text.push_str(&format!(" and {rest} more"));
    }
    text
}

#[cfg(test)]
mod tests;
