//! `identity:` as people may see it.

use std::fmt;

use serde::Serialize;

use crate::config::identity::Identity;
use crate::config::shown::{list, word};
use crate::glob::Glob;
use crate::identity::role::Role;
use crate::ids::TeamName;

/// `identity:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownIdentity {
    /// In written order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub issuers: Vec<ShownIssuer>,
    /// The revoked, of the config and of the key file, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub revoked: Vec<String>,
    /// Where callers reach us.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub public_url: Option<String>,
}

/// One issuer.
#[derive(Clone, Debug, Serialize)]
pub struct ShownIssuer {
    /// Its `iss`.
    pub issuer: String,
    /// What the keys of those who sign in here are called.
    pub keys_named: String,
    /// What `aud` has to hold.
    pub audience: String,
    /// Where its keys are, or the discovery document that says so.
    pub keys_from: String,
    /// The claim that names people.
    pub user_claim: String,
    /// The claim that lists groups.
    pub groups_claim: String,
    /// Seconds.
    pub clock_skew_s: u64,
    /// Groups and teams.
    pub teams: Vec<(String, String)>,
    /// The team of all others.
    pub default_team: Option<String>,
    /// Groups and roles.
    pub roles: Vec<(String, &'static str)>,
    /// Names of algorithms.
    pub algorithms: Vec<String>,
}

impl ShownIdentity {
    pub(crate) fn of(identity: &Identity) -> Self {
        let issuers = identity.issuers.iter().map(|issuer| {
            let terms = &issuer.terms;
            let team = |(group, team): &(Glob, TeamName)| (group.as_str().to_owned(), team.to_string());
            let role = |(group, role): &(Glob, Role)| (group.as_str().to_owned(), role.name());
            ShownIssuer {
                issuer: terms.issuer.to_string(),
                keys_named: terms.key_of("USER"),
                audience: terms.audience.to_string(),
                keys_from: issuer.source.id.to_string(),
                user_claim: terms.user_claim.clone(),
                groups_claim: terms.groups_claim.clone(),
                clock_skew_s: terms.skew_s,
                teams: terms.teams.iter().map(team).collect(),
                default_team: terms.default_team.as_ref().map(ToString::to_string),
                roles: terms.roles.iter().map(role).collect(),
                algorithms: terms.algorithms.iter().map(|one| one.name().to_owned()).collect(),
            }
        });
        let mut revoked: Vec<String> = identity.revoked.iter().cloned().collect();
        revoked.sort();
        Self { issuers: issuers.collect(), revoked, public_url: identity.public_url.clone() }
    }

    /// Whether nothing is written.
    pub fn is_empty(&self) -> bool {
        self.issuers.is_empty() && self.revoked.is_empty() && self.public_url.is_none()
    }
}

/// In the shape of a config file.
impl fmt::Display for ShownIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "identity:")?;
        if let Some(url) = &self.public_url {
            writeln!(f, "  public_url: {}", word(url))?;
        }
        if !self.issuers.is_empty() {
            writeln!(f, "  issuers:")?;
        }
        for issuer in &self.issuers {
            let names = [&issuer.issuer, &issuer.audience, &issuer.user_claim, &issuer.groups_claim];
            let [own, audience, user, groups] = names.map(|name| word(name));
            writeln!(f, "    - issuer: {own}\n      audience: {audience} # keys from {}", issuer.keys_from)?;
            writeln!(f, "      user_claim: {user} # keys named {}", issuer.keys_named)?;
            writeln!(f, "      groups_claim: {groups}")?;
            writeln!(f, "      clock_skew_s: {}", issuer.clock_skew_s)?;
            if !issuer.teams.is_empty() {
                writeln!(f, "      teams: {}", rows(&issuer.teams))?;
            }
            if let Some(team) = &issuer.default_team {
                writeln!(f, "      default_team: {}", word(team))?;
            }
            if !issuer.roles.is_empty() {
                writeln!(f, "      roles: {}", rows(&issuer.roles))?;
            }
            writeln!(f, "      algorithms: {}", list(&issuer.algorithms))?;
        }
        if !self.revoked.is_empty() {
            writeln!(f, "  revoked: {}", list(&self.revoked))?;
        }
        Ok(())
    }
}

fn rows<T: AsRef<str>>(rows: &[(String, T)]) -> String {
    let rows: Vec<String> =
        rows.iter().map(|(group, value)| format!("{}: {}", word(group), word(value.as_ref()))).collect();
    format!("{{ {} }}", rows.join(", "))
}
