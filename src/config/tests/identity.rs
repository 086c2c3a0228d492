//! Tests of `identity:` and of the roles and ends of keys.

use crate::config::load::Keys;
use crate::config::tests::{Folder, faults, good, load_text};
use crate::identity::jwt::token::Algorithm;
use crate::identity::role::Role;

const WHOLE: &str = "
teams: { payments: {}, platform: {} }
identity:
  public_url: https://tollgate.example.com/
  issuers:
    - { issuer: https://login.example.com, audience: tollgate, groups_claim: roles, clock_skew_s: 0,
        teams: { 'Domain Users': payments, 'platform-*': platform }, default_team: platform,
        algorithms: [RS256, EdDSA] }
    - { issuer: https://login.example.com, audience: tollgate-admin, user_claim: sub,
        roles: { admins: owner, audit-*: auditor } }
    - { issuer: 'http://127.0.0.1:8080/realm/', audience: a, jwks_url: 'http://localhost:8080/keys?v=1',
        default_team: payments }
  revoked: [Eve@example.com]
";

#[test]
fn issuers_are_resolved() {
    let loaded = good(WHOLE, &[]);
    let identity = &loaded.snapshot.identity;
    let [first, admin, local] = identity.issuers.as_slice() else { panic!("{identity:?}") };
    assert_eq!((first.terms.user_claim.as_str(), first.terms.groups_claim.as_str()), ("email", "roles"));
    assert_eq!((first.terms.skew_s, admin.terms.skew_s), (0, 60));
    assert_eq!(first.terms.algorithms, [Algorithm::Rs256, Algorithm::EdDsa]);
    assert_eq!(admin.terms.algorithms, Algorithm::ALL);
    let groups: Vec<&str> = first.terms.teams.iter().map(|(group, _)| group.as_str()).collect();
    assert_eq!(groups, ["Domain Users", "platform-*"], "in written order");
    assert_eq!(
        admin.terms.roles.iter().map(|(_, role)| *role).collect::<Vec<_>>(),
        [Role::Owner, Role::Auditor]
    );
    let keys = [first, admin, local].map(|one| one.terms.key_of("ana"));
    let names =
        ["oidc:login.example.com#ana", "oidc:login.example.com#ana", "oidc:127.0.0.1:8080/realm/#ana"];
    assert_eq!(keys, names, "one person at one issuer, whatever the audience");
    assert_eq!(&*first.source.id, "https://login.example.com/.well-known/openid-configuration");
    assert_eq!(first.source.id, admin.source.id);
    assert!(first.source.discovers && first.source.first.site.tls.is_some());
    assert_eq!(&*local.source.id, "http://localhost:8080/keys?v=1");
    assert_eq!(local.source.first.path, "/keys?v=1");
    assert!(!local.source.discovers);
    assert!(identity.is_revoked(["eve@EXAMPLE.com"]) && !identity.is_revoked(["ana@example.com"]));
    assert_eq!(identity.public_url.as_deref(), Some("https://tollgate.example.com"));
}

#[test]
fn names_have_the_issuer_where_there_are_several() {
    let keys = |issuers: &[&str]| {
        let one = |url: &&str| format!("{{ issuer: '{url}', audience: 'of {url}', default_team: a }}");
        let list = issuers.iter().map(one).collect::<Vec<_>>().join(", ");
        let loaded = good(&format!("teams: {{ a: {{}} }}\nidentity: {{ issuers: [{list}] }}"), &[]);
        let all = loaded.snapshot.identity.issuers.iter().map(|issuer| issuer.terms.key_of("ana"));
        all.collect::<Vec<_>>()
    };
    assert_eq!(keys(&["https://a.example"]), ["oidc:ana"]);
    let (two, long) = (["https://a.example", "https://b.example/"], format!("https://b.example/{:0200}", 0));
    assert_eq!(keys(&two), ["oidc:a.example#ana", "oidc:b.example/#ana"]);
    let found = keys(&[two[0], &long]);
    assert!(found[1].len() == "oidc:#ana".len() + 12, "{found:?}");
}

#[test]
fn keys_of_an_issuer_come_by_https() {
    let loaded = good(WHOLE, &[]);
    let identity = &loaded.snapshot.identity;
    let [first, _, local] = identity.issuers.as_slice() else { panic!("{identity:?}") };
    assert!(first.source.remote("https://keys.example.org/k?x=1").is_ok());
    for wrong in ["http://keys.example.org/k", "http://127.0.0.1/k", "ftp://a/b", "", "https://u@host/k"] {
        assert!(first.source.remote(wrong).is_err(), "{wrong}");
    }
    assert!(local.source.remote("http://[::1]:8080/k").is_ok());
    assert!(local.source.remote("http://10.0.0.1/k").is_err());
}

#[test]
fn what_is_shown_reads_like_what_was_written() {
    let shown = good(WHOLE, &[]).shown.to_string();
    let lines = "identity:\n  public_url: https://tollgate.example.com\n  issuers:\n    \
         - issuer: https://login.example.com\n      \
         audience: tollgate # keys from https://login.example.com/.well-known/openid-configuration\n      \
         user_claim: email # keys named oidc:login.example.com#USER\n      \
         groups_claim: roles\n      clock_skew_s: 0\n      \
         teams: { \"Domain Users\": payments, \"platform-*\": platform }\n      \
         default_team: platform\n      \
         algorithms: [RS256, EdDSA]\n";
    assert!(shown.contains(lines), "{shown}");
    assert!(shown.contains("      roles: { admins: owner, \"audit-*\": auditor }\n"), "{shown}");
    assert!(shown.contains("  revoked: [\"eve@example.com\"]\n"), "{shown}");
    let again = good(&shown, &[]);
    assert_eq!(again.snapshot.identity.issuers.len(), 3);
    assert!(!good("", &[]).shown.to_string().contains("identity"));
}

#[test]
fn faults_of_issuers_say_what_to_do() {
    for (text, wanted) in [
        (
            "issuer: https://a.example, audience: x",
            "nobody would get in: write `teams`, `default_team` or `roles`",
        ),
        ("audience: x, default_team: a", "`issuer` is missing"),
        ("issuer: https://a.example, default_team: a", "`audience` is missing"),
        (
            "issuer: http://a.example, audience: x, default_team: a",
            "expected https://, or http:// for this machine",
        ),
        ("issuer: a.example, audience: x, default_team: a", "it must begin with http:// or https://"),
        (
            "issuer: https://a.example, audience: x, default_team: b",
            "`teams:` of the config does not have \"b\"",
        ),
        (
            "issuer: https://a.example, audience: x, teams: { g: b }",
            "`teams:` of the config does not have \"b\"",
        ),
        (
            "issuer: https://a.example, audience: x, roles: { g: king }",
            "expected one of owner, operator, auditor",
        ),
        (
            "issuer: https://a.example, audience: x, default_team: a, algorithms: [HS256]",
            "expected one of RS256",
        ),
        ("issuer: https://a.example, audience: x, default_team: a, algorithms: []", "expected at least one"),
        ("issuer: https://a.example, audience: x, default_team: a, clock_skew_s: 601", "from 0 to 600"),
        (
            "issuer: https://a.example, audience: x, default_team: a, jwks_url: 'http://b.example/k'",
            "jwks_url",
        ),
        ("issuer: https://a.example, audience: x, default_team: a, skew: 1", "unknown key \"skew\""),
    ] {
        let config = format!("teams: {{ a: {{}} }}\nidentity: {{ issuers: [{{ {text} }}] }}");
        let found = faults(&config, &[]);
        assert!(found.contains(wanted) && found.contains("tollgate.yaml:2:"), "{text}: {found}");
    }
    let twice = "{ issuer: https://a.example, audience: x, default_team: a }";
    let found = faults(&format!("teams: {{ a: {{}} }}\nidentity: {{ issuers: [{twice}, {twice}] }}"), &[]);
    assert!(found.contains("twice for the same audience"), "{found}");
}

#[test]
fn keys_of_the_config_have_roles_and_ends() {
    let secret = "0123456789012345678901234";
    let one = |more: &str| format!("keys: [{{ name: a, secret: {secret}, {more} }}]");
    let role = |more: &str| good(&one(more), &[]).snapshot.keys.find(secret.as_bytes(), 0).unwrap().role;
    assert_eq!(role("admin: true"), Some(Role::Owner));
    assert_eq!(role("admin: false"), None);
    assert_eq!(role("role: auditor"), Some(Role::Auditor));
    let loaded = good(&one("expires: 2027-01-15T08:00:00Z"), &[]);
    let find = |now_ms| loaded.snapshot.keys.find(secret.as_bytes(), now_ms).is_ok();
    assert!(find(1_799_999_999_999) && !find(1_800_000_000_000));
    let shown = loaded.shown.to_string();
    assert!(shown.contains("expires: 2027-01-15T08:00:00Z }"), "{shown}");
    for (more, wanted) in [
        ("admin: true, role: owner", "write one of them"),
        ("role: king", "expected one of owner, operator, auditor, viewer"),
        ("expires: 90d", "expected a time such as 2027-01-31T00:00:00Z"),
    ] {
        let found = faults(&one(more), &[]);
        assert!(found.contains(wanted), "{found}");
    }
}

#[test]
fn whoever_has_issuers_needs_no_first_key() {
    let folder = Folder::new();
    assert!(load_text(&folder, WHOLE, &[], &Keys::MakeFirst).unwrap().first_key.is_none());
    assert!(load_text(&folder, "", &[], &Keys::MakeFirst).unwrap().first_key.is_some());
}
