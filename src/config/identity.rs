//! `identity:` resolved: the issuers with the ways to their keys, and who is revoked.

use std::collections::HashSet;
use std::sync::Arc;

use crate::config::base_url;
use crate::config::faults::Mark;
use crate::config::file::File;
use crate::config::identity_file;
use crate::config::key_file::RevokedUser;
use crate::config::providers::{Surroundings, site};
use crate::config::proxy::{ProxyVariables, is_loopback};
use crate::config::reader::{At, Reader, quoted};
use crate::glob::Glob;
use crate::identity::jwt::issuer::Issuer;
use crate::identity::jwt::token::Algorithm;
use crate::identity::principal::Principal;
use crate::identity::token::KeyHash;
use crate::ids::TeamName;
use crate::limits;
use crate::net::reach::Reach;
use crate::net::tls::ClientTls;
use crate::upstream::mcp::server::Remote;
use crate::upstream::site::Origin;

/// Who may call beside those with keys, and who may not any more.
#[derive(Clone, Debug, Default)]
pub struct Identity {
    /// The issuers whose tokens are taken, in written order.
    pub issuers: Vec<TokenIssuer>,
    /// Users, subjects and sessions that are let in no more, in lower case.
    pub revoked: HashSet<String>,
    /// Where callers reach us, without a slash at its end; `None` for what their `Host` says.
    pub public_url: Option<String>,
}

/// One issuer.
#[derive(Clone, Debug)]
pub struct TokenIssuer {
    /// What a token of it has to say, and what comes of it.
    pub terms: Issuer,
    /// Where its keys are.
    pub source: Arc<KeySource>,
}

/// Where the keys of an issuer are. Two issuers that differ in the audience alone have the same.
#[derive(Clone, Debug)]
pub struct KeySource {
    /// Tells it from others: the address that is asked first.
    pub id: Arc<str>,
    /// The issuer, which a discovery document has to name.
    pub issuer: Arc<str>,
    /// The set of keys, or the discovery document that says where it is.
    pub first: Remote,
    /// Whether `first` is a discovery document.
    pub discovers: bool,
    ways: Ways,
}

/// How addresses are reached that only a discovery document names.
#[derive(Clone, Debug)]
struct Ways {
    tls: Option<Arc<ClientTls>>,
    proxies: ProxyVariables,
}

impl Identity {
    /// Whether one of those names is revoked under which somebody is known: a user, a subject, a session.
    pub fn is_revoked<'a>(&self, names: impl IntoIterator<Item = &'a str>) -> bool {
        !self.revoked.is_empty()
            && names.into_iter().any(|name| self.revoked.contains(&name.to_ascii_lowercase()))
    }

    /// Whether tokens of this issuer are taken.
    pub fn knows(&self, issuer: &str) -> bool {
        self.issuers.iter().any(|one| *one.terms.issuer == *issuer)
    }

    /// Whether one who has signed in is let in no more.
    pub fn is_out(&self, who: &Principal) -> bool {
        self.is_revoked(who.handles.iter().map(|handle| &**handle).chain(who.user.as_deref()))
    }
}

impl KeySource {
    /// The address of the set of keys that a discovery document names.
    ///
    /// # Errors
    /// What is wrong with it: only https will do, or this machine where the issuer is this machine too.
    pub fn remote(&self, url: &str) -> Result<Remote, String> {
        let (origin, path) = base_url::parse_endpoint(url).map_err(|why| format!("jwks_uri: {why}"))?;
        if !is_safe(&origin) || (!origin.https && self.first.site.origin.https) {
            return Err("jwks_uri: keys are fetched by https only".to_owned());
        }
        let Ways { tls, proxies } = &self.ways;
        let proxy = proxies.for_origin(&origin).map_err(|why| format!("HTTPS_PROXY: {why}"))?;
        let tls = tls.clone().filter(|_| origin.https);
        if origin.https && tls.is_none() {
            return Err("jwks_uri: https cannot be used here".to_owned());
        }
        // What a document names is not what an administrator wrote, unless it is the same host.
        let first = &self.first.site;
        let written = origin.host == first.origin.host;
        let reach = Reach { written, allow: Arc::clone(&first.reach.allow) };
        let site = Arc::new(site(&first.name, origin, tls, proxy, reach));
        Ok(Remote { site, path, headers: Vec::new() })
    }
}

/// Whether what comes from there is what was sent from there.
fn is_safe(origin: &Origin) -> bool {
    origin.https || is_loopback(&origin.host)
}

/// Gives each issuer its tag where there are several: two of them may know different people by one name.
/// Those that differ in the audience alone know the same people.
fn tell_apart(issuers: &mut [TokenIssuer]) {
    let several = issuers.windows(2).any(|pair| match pair {
        [one, two] => one.terms.issuer != two.terms.issuer,
        _ => false,
    });
    for issuer in issuers.iter_mut().filter(|_| several) {
        let url = &issuer.terms.issuer;
        let bare = url.split_once("://").map_or(&**url, |(_, bare)| bare);
        issuer.terms.tag = Some(match bare.len() <= limits::ISSUER_TAG_BYTES_MAX {
            // No address that was read has this sign; the tag must not, whatever becomes of addresses.
            true => bare.replace('#', "%23").into(),
            false => KeyHash::of(url.as_bytes()).id().into(),
        });
    }
}

/// Names of users in the form in which they are compared.
fn lower<'a>(names: impl IntoIterator<Item = &'a str>) -> HashSet<String> {
    names.into_iter().map(str::to_ascii_lowercase).collect()
}

impl Surroundings<'_> {
    /// Resolves `identity:`, together with the revoked users of the key file.
    pub(crate) fn identity(&mut self, file: &File, users: &[RevokedUser], reader: &mut Reader) -> Identity {
        let written = &file.identity;
        let teams: HashSet<&str> = file.teams.iter().map(|team| team.name.value.as_str()).collect();
        let mut seen = HashSet::new();
        let mut issuers = Vec::new();
        for issuer in &written.issuers {
            if !seen.insert((issuer.issuer.value.as_str(), issuer.audience.as_str())) {
                let text = "identity.issuers: this issuer stands here twice for the same audience";
                reader.fault(issuer.issuer.mark, text);
            }
            let named = issuer.teams.iter().map(|(_, team)| team).chain(&issuer.default_team);
            for team in named.filter(|team| !teams.contains(team.value.as_str())) {
                let shown = quoted(&team.value);
                let text = format!("identity.issuers: `teams:` of the config does not have {shown}");
                reader.fault(team.mark, text);
            }
            issuers.extend(self.issuer(issuer, reader));
        }
        tell_apart(&mut issuers);
        let revoked = written.revoked.iter().map(|name| name.value.as_str());
        let revoked = lower(revoked.chain(users.iter().map(|user| user.user.as_str())));
        let public_url = written.public_url.as_ref().and_then(|url| public_url(url, reader));
        Identity { issuers, revoked, public_url }
    }

    fn issuer(&mut self, written: &identity_file::Issuer, reader: &mut Reader) -> Option<TokenIssuer> {
        let issuer = &written.issuer;
        let what = "identity.issuers.issuer";
        let own = self.way(&issuer.value, issuer.mark, what, reader)?;
        let (url, mark, what) = match &written.jwks_url {
            Some(url) => (url.value.clone(), url.mark, "identity.issuers.jwks_url"),
            None => {
                let base = issuer.value.trim_end_matches('/');
                (format!("{base}/.well-known/openid-configuration"), issuer.mark, what)
            }
        };
        let first = self.way(&url, mark, what, reader)?;
        let tls = match own.site.origin.https || first.site.origin.https {
            true => Some(self.client_tls(mark, reader)?),
            false => None,
        };
        let issuer: Arc<str> = issuer.value.as_str().into();
        let source = KeySource {
            id: url.into(),
            issuer: Arc::clone(&issuer),
            first,
            discovers: written.jwks_url.is_none(),
            ways: Ways { tls, proxies: self.proxies.clone() },
        };
        let or = |text: &Option<String>, default: &str| text.as_deref().unwrap_or(default).to_owned();
        let teams = written.teams.iter();
        let terms = Issuer {
            issuer,
            tag: None,
            audience: written.audience.as_str().into(),
            user_claim: or(&written.user_claim, "email"),
            groups_claim: or(&written.groups_claim, "groups"),
            skew_s: written.clock_skew_s.unwrap_or(limits::CLOCK_SKEW_S_DEFAULT),
            teams: teams.map(|(group, team)| (Glob::new(group), TeamName::new(&team.value))).collect(),
            default_team: written.default_team.as_ref().map(|team| TeamName::new(&team.value)),
            roles: written.roles.iter().map(|(group, role)| (Glob::new(group), *role)).collect(),
            algorithms: written.algorithms.clone().unwrap_or_else(|| Algorithm::ALL.to_vec()),
        };
        Some(TokenIssuer { terms, source: Arc::new(source) })
    }

    /// The way to an address that is asked for keys.
    fn way(&mut self, url: &str, mark: Mark, what: &str, reader: &mut Reader) -> Option<Remote> {
        let parsed = base_url::parse_endpoint(url);
        let (origin, path) =
            parsed.inspect_err(|why| reader.fault(mark, format!("{what}: {}: {why}", quoted(url)))).ok()?;
        if !is_safe(&origin) {
            let text =
                format!("{what}: expected https://, or http:// for this machine, found {}", quoted(url));
            reader.fault(mark, text);
            return None;
        }
        let proxy = self.proxy((None, mark), what, &origin, reader)?;
        let tls = if origin.https { Some(self.client_tls(mark, reader)?) } else { None };
        let site = Arc::new(site(what, origin, tls, proxy, self.reach(true)));
        Some(Remote { site, path, headers: Vec::new() })
    }
}

fn public_url(written: &At<String>, reader: &mut Reader) -> Option<String> {
    let parsed = base_url::parse_whole(&written.value);
    parsed
        .inspect_err(|why| reader.fault(written.mark, format!("identity.public_url: {why}")))
        .ok()
        .map(|_| written.value.trim_end_matches('/').to_owned())
}
