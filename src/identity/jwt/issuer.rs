//! Whose tokens are taken, and who is behind one: from claims that were verified to a principal.

use std::sync::Arc;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

use crate::glob::Glob;
use crate::identity::jwt::Fault;
use crate::identity::jwt::keys::KeySet;
use crate::identity::jwt::token::{Algorithm, Token};
use crate::identity::principal::Principal;
use crate::identity::role::Role;
use crate::ids::{KeyName, TeamName};
use crate::limits;

/// One entry of `identity.issuers:`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Issuer {
    /// What `iss` has to be, byte for byte.
    pub issuer: Arc<str>,
    /// What tells those who have signed in here from those of other issuers, in the names of their keys;
    /// `None` where there is no other issuer. Without `#`, so that no user can be named into another
    /// issuer.
    pub tag: Option<Arc<str>>,
    /// What has to be in `aud`.
    pub audience: Arc<str>,
    /// The claim that names the person.
    pub user_claim: String,
    /// The claim that lists the person's groups.
    pub groups_claim: String,
    /// Seconds that its clock may be off.
    pub skew_s: u64,
    /// Groups and the teams of those who are in one of them; the first row that fits counts.
    pub teams: Vec<(Glob, TeamName)>,
    /// The team of all others.
    pub default_team: Option<TeamName>,
    /// Groups and the roles of those who are in one of them; the first row that fits counts.
    pub roles: Vec<(Glob, Role)>,
    /// The algorithms that are taken.
    pub algorithms: Vec<Algorithm>,
}

impl Issuer {
    /// Whether a token says that it comes from here and is for us.
    pub fn made(&self, token: &Token<'_>) -> bool {
        token.issuer() == Some(&*self.issuer) && token.is_for(&self.audience)
    }

    /// Verifies a token that this issuer is said to have made, at `now_s` seconds since 1970, and says who is
    /// behind it.
    ///
    /// # Errors
    /// Why it is not good; `Key` may be mended by newer keys.
    pub fn verify(&self, token: &Token<'_>, keys: &KeySet, now_s: u64) -> Result<Principal, Fault> {
        if token.issuer() != Some(&*self.issuer) {
            return Err(Fault::Issuer);
        }
        if !self.algorithms.contains(&token.algorithm) {
            return Err(Fault::Algorithm);
        }
        keys.verify(token)?;
        if !token.is_for(&self.audience) {
            return Err(Fault::Audience);
        }
        let until_s = self.check_times(&token.claims, now_s)?;
        self.principal(&token.claims, until_s)
    }

    /// Until when it is good, seconds since 1970, the skew included.
    fn check_times(&self, claims: &Map<String, Value>, now_s: u64) -> Result<u64, Fault> {
        let until_s = seconds(claims, "exp")?.ok_or_else(|| Fault::Claim("exp".to_owned()))?;
        let until_s = until_s.saturating_add(self.skew_s);
        if until_s <= now_s {
            return Err(Fault::Expired);
        }
        for name in ["nbf", "iat"] {
            if seconds(claims, name)?.is_some_and(|from_s| from_s > now_s.saturating_add(self.skew_s)) {
                return Err(Fault::NotYet);
            }
        }
        Ok(until_s)
    }

    fn principal(&self, claims: &Map<String, Value>, until_s: u64) -> Result<Principal, Fault> {
        let subject = name(claims, "sub")?;
        let user = name(claims, &self.user_claim)?;
        if self.user_claim == "email" && !is_verified(claims.get("email_verified")) {
            return Err(Fault::Claim("email_verified".to_owned()));
        }
        let groups = self.groups(claims)?;
        let role = first(&self.roles, &groups).copied();
        let team = first(&self.teams, &groups).or(self.default_team.as_ref()).cloned();
        if team.is_none() && role.is_none() {
            return Err(Fault::NoTeam(user));
        }
        let session = ["sid", "jti"].into_iter().filter_map(|claim| name(claims, claim).ok());
        let handles = [subject.clone(), user.clone()].into_iter().chain(session);
        let key_id: Arc<str> = self.id_of([&subject, &user], team.as_ref(), &groups).into();
        Ok(Principal {
            team,
            user: Some(user.as_str().into()),
            groups,
            role,
            until_ms: Some(until_s.saturating_mul(1000)),
            issuer: Some(Arc::clone(&self.issuer)),
            handles: handles.map(Arc::from).collect(),
            ..Principal::of_key(KeyName::new(&self.key_of(&user)), key_id)
        })
    }

    /// What the key of a user is called who has signed in here.
    pub fn key_of(&self, user: &str) -> String {
        match &self.tag {
            Some(tag) => format!("{PREFIX}{tag}#{user}"),
            None => format!("{PREFIX}{user}"),
        }
    }

    /// The groups of a token: a list of texts, or one text; none where the claim is missing.
    fn groups(&self, claims: &Map<String, Value>) -> Result<Arc<[Arc<str>]>, Fault> {
        let wrong = || Fault::Claim(self.groups_claim.clone());
        let list = match claims.get(&self.groups_claim) {
            None | Some(Value::Null) => return Ok(Arc::default()),
            Some(Value::Array(list)) => list.as_slice(),
            Some(only @ Value::String(_)) => std::slice::from_ref(only),
            Some(_) => return Err(wrong()),
        };
        if list.len() > limits::JWT_GROUPS_MAX {
            return Err(wrong());
        }
        let groups = list.iter().map(|group| {
            let group = group.as_str().filter(|group| group.len() <= limits::JWT_GROUP_BYTES_MAX);
            group.map(Arc::from).ok_or_else(wrong)
        });
        groups.collect()
    }

    /// Each part with its length before it, so that no two lists of parts give the same bytes.
    fn id_of(&self, [subject, user]: [&str; 2], team: Option<&TeamName>, groups: &[Arc<str>]) -> String {
        let mut hash = Sha256::new();
        let parts = [&*self.issuer, subject, user, team.map_or("", TeamName::as_str)];
        for part in parts.into_iter().chain(groups.iter().map(|group| &**group)) {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.finalize().iter().take(6).map(|byte| format!("{byte:02x}")).collect()
    }
}

/// What the names of those begin with who have signed in: no key can be called so.
pub const PREFIX: &str = "oidc:";

/// Whether an address may name a person, by what the issuer says of it: anybody may write any address into an
/// account. An issuer that says nothing has none but those that it knows; some say it as a text.
fn is_verified(said: Option<&Value>) -> bool {
    match said {
        None => true,
        Some(Value::Bool(said)) => *said,
        Some(Value::String(said)) => said == "true",
        Some(Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_)) => false,
    }
}

/// The first row whose pattern fits a group.
fn first<'r, T>(rows: &'r [(Glob, T)], groups: &[Arc<str>]) -> Option<&'r T> {
    let fits = |pattern: &Glob| groups.iter().any(|group| pattern.matches(group));
    rows.iter().find(|(pattern, _)| fits(pattern)).map(|(_, value)| value)
}

/// A claim that is a name: it will stand in records and logs.
fn name(claims: &Map<String, Value>, claim: &str) -> Result<String, Fault> {
    let text = claims.get(claim).and_then(Value::as_str);
    let fits = |text: &&str| {
        !text.is_empty() && text.len() <= limits::JWT_NAME_BYTES_MAX && !text.chars().any(char::is_control)
    };
    text.filter(fits).map(str::to_owned).ok_or_else(|| Fault::Claim(claim.to_owned()))
}

/// A claim that is a time (`NumericDate`), in whole seconds since 1970; parts of a second are dropped.
fn seconds(claims: &Map<String, Value>, claim: &str) -> Result<Option<u64>, Fault> {
    let Some(value) = claims.get(claim) else { return Ok(None) };
    let Value::Number(number) = value else { return Err(Fault::Claim(claim.to_owned())) };
    let text = number.to_string();
    let whole = text.split('.').next().and_then(|whole| whole.parse().ok());
    whole.map(Some).ok_or_else(|| Fault::Claim(claim.to_owned()))
}
