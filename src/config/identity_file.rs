//! `identity:` as a person writes it: who else than keys may call, and who may not any more.

use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::yaml::Node;
use crate::identity::jwt::token::Algorithm;
use crate::identity::role::Role;
use crate::limits;

/// `identity:`.
#[derive(Debug, Default)]
pub(crate) struct Identity {
    pub(crate) issuers: Vec<Issuer>,
    pub(crate) revoked: Vec<At<String>>,
    pub(crate) public_url: Option<At<String>>,
}

/// One entry of `identity.issuers:`.
#[derive(Debug)]
pub(crate) struct Issuer {
    pub(crate) issuer: At<String>,
    pub(crate) audience: String,
    pub(crate) jwks_url: Option<At<String>>,
    pub(crate) user_claim: Option<String>,
    pub(crate) groups_claim: Option<String>,
    pub(crate) clock_skew_s: Option<u64>,
    /// Pattern of groups, and team.
    pub(crate) teams: Vec<(String, At<String>)>,
    pub(crate) default_team: Option<At<String>>,
    /// Pattern of groups, and role.
    pub(crate) roles: Vec<(String, Role)>,
    pub(crate) algorithms: Option<Vec<Algorithm>>,
}

const ISSUER_KEYS: &[&str] = &[
    "issuer",
    "audience",
    "jwks_url",
    "user_claim",
    "groups_claim",
    "clock_skew_s",
    "teams",
    "default_team",
    "roles",
    "algorithms",
];

/// The words of roles.
pub(crate) const ROLES: &[(&str, Role)] = &[
    ("owner", Role::Owner),
    ("operator", Role::Operator),
    ("auditor", Role::Auditor),
    ("viewer", Role::Viewer),
];

/// Reads `identity:`.
pub(crate) fn read(node: &Node, reader: &mut Reader) -> Option<Identity> {
    let fields = reader.fields(node, "identity", &["issuers", "revoked", "public_url"])?;
    let mut out = Identity::default();
    if let Some(nodes) = fields.get("issuers").and_then(|node| reader.list(node, "identity.issuers")) {
        if nodes.len() > limits::ISSUERS_MAX {
            reader.fault(node.mark, format!("identity.issuers: at most {} of them", limits::ISSUERS_MAX));
        }
        let nodes = nodes.iter().take(limits::ISSUERS_MAX);
        out.issuers = nodes.filter_map(|node| read_issuer(node, reader)).collect();
    }
    if let Some(nodes) = fields.get("revoked").and_then(|node| reader.list(node, "identity.revoked")) {
        if nodes.len() > limits::REVOKED_MAX {
            reader.fault(node.mark, format!("identity.revoked: at most {} of them", limits::REVOKED_MAX));
        }
        let texts = nodes.iter().filter_map(|node| reader.text(node, "identity.revoked"));
        out.revoked = texts.collect();
    }
    out.public_url = fields.get("public_url").and_then(|node| reader.text(node, "identity.public_url"));
    Some(out)
}

fn read_issuer(node: &Node, reader: &mut Reader) -> Option<Issuer> {
    let what = "identity.issuers";
    let fields = reader.fields(node, what, ISSUER_KEYS)?;
    let issuer = reader.required(&fields, what, "issuer");
    let issuer = issuer.and_then(|node| reader.text(node, "identity.issuers.issuer"));
    let audience = reader.required(&fields, what, "audience");
    let audience = audience.and_then(|node| reader.text(node, "identity.issuers.audience"));
    let out = Issuer {
        issuer: issuer?,
        audience: audience?.value,
        jwks_url: text(&fields, "jwks_url", reader),
        user_claim: text(&fields, "user_claim", reader).map(|text| text.value),
        groups_claim: text(&fields, "groups_claim", reader).map(|text| text.value),
        clock_skew_s: fields.get("clock_skew_s").and_then(|node| {
            reader.number(node, "identity.issuers.clock_skew_s", 0..=limits::CLOCK_SKEW_S_MAX)
        }),
        teams: rows(&fields, "teams", reader, |node, what, reader| reader.text(node, what)),
        default_team: text(&fields, "default_team", reader),
        roles: rows(&fields, "roles", reader, |node, what, reader| reader.choice(node, what, ROLES)),
        algorithms: fields.get("algorithms").and_then(|node| read_algorithms(node, reader)),
    };
    if out.teams.is_empty() && out.default_team.is_none() && out.roles.is_empty() {
        let text = format!("{what}: nobody would get in: write `teams`, `default_team` or `roles`");
        reader.fault(fields.mark, text);
    }
    Some(out)
}

fn text(fields: &Fields<'_>, name: &str, reader: &mut Reader) -> Option<At<String>> {
    fields.get(name).and_then(|node| reader.text(node, &format!("identity.issuers.{name}")))
}

/// A mapping from patterns of groups to something, in written order.
fn rows<T>(
    fields: &Fields<'_>,
    name: &str,
    reader: &mut Reader,
    mut read: impl FnMut(&Node, &str, &mut Reader) -> Option<T>,
) -> Vec<(String, T)> {
    let what = format!("identity.issuers.{name}");
    let Some(node) = fields.get(name) else { return Vec::new() };
    let entries = reader.entries(node, &what).unwrap_or_default();
    if entries.len() > limits::ISSUER_ROWS_MAX {
        reader.fault(node.mark, format!("{what}: at most {} of them", limits::ISSUER_ROWS_MAX));
    }
    let rows = entries.iter().take(limits::ISSUER_ROWS_MAX).filter_map(|entry| {
        let fits = !entry.key.is_empty()
            && entry.key.len() <= limits::JWT_GROUP_BYTES_MAX
            && !entry.key.chars().any(char::is_control);
        if !fits {
            reader.fault(entry.mark, format!("{what}: {} is no group", quoted(&entry.key)));
        }
        let value = read(&entry.value, &format!("{what}.{}", entry.key), reader);
        value.filter(|_| fits).map(|value| (entry.key.clone(), value))
    });
    rows.collect()
}

fn read_algorithms(node: &Node, reader: &mut Reader) -> Option<Vec<Algorithm>> {
    let what = "identity.issuers.algorithms";
    let nodes = reader.list(node, what)?;
    if nodes.is_empty() {
        reader.fault(node.mark, format!("{what}: expected at least one"));
    }
    let words = Algorithm::ALL.map(|algorithm| (algorithm.name(), algorithm));
    Some(nodes.iter().filter_map(|node| reader.choice(node, what, &words)).collect())
}
