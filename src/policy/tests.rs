//! Tables of who may name what, and what they read when they may not.

use std::collections::BTreeSet;
use std::sync::Arc;

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, proptest};

use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::{ServerRule, ServerRules};
use crate::ids::{KeyName, ServerName, TeamName};
use crate::limits;
use crate::policy::decide::Permit;
use crate::policy::rules::{Rules, Team};

fn globs(patterns: &[&str]) -> Arc<[Glob]> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn rules() -> Rules {
    Rules::new([
        (TeamName::new("platform"), team(Some(&["claude-sonnet-*", "claude-haiku-*"]), Some(PLATFORM))),
        (TeamName::new("free"), team(None, None)),
        (TeamName::new("none"), team(Some(&[]), Some(&[]))),
    ])
}

/// The servers of team `platform`.
const PLATFORM: Given = &[("github", &["*"]), ("files", &["read_*", "list_*"]), ("off", &[])];

/// Names of servers, each with those of its tools.
type Given = &'static [(&'static str, &'static [&'static str])];

fn servers(given: Given) -> ServerRules {
    ServerRules::new(
        given.iter().map(|(server, tools)| ServerRule { server: Glob::new(server), tools: globs(tools) }),
    )
}

fn team(models: Option<&[&str]>, given: Option<Given>) -> Team {
    Team { models: models.map(globs), servers: given.map(servers), ..Team::default() }
}

fn caller(team: Option<&str>, models: Option<&[&str]>) -> Principal {
    Principal {
        key: KeyName::new("ci"),
        key_id: "0123456789ab".into(),
        team: team.map(TeamName::new),
        user: None,
        admin: false,
        models: models.map(globs),
        servers: None,
        regions: None,
    }
}

/// Team, models of the key, model asked for; the permit or the denial as text.
type Case = (Option<&'static str>, Option<&'static [&'static str]>, &'static str, Verdict);
type Verdict = Result<&'static str, &'static str>;

#[test]
fn key_and_team_must_both_allow() {
    let cases: [Case; 10] = [
        (None, None, "anything", Ok("no rule: all models")),
        (Some("free"), None, "anything", Ok("no rule: all models")),
        (Some("platform"), None, "claude-haiku-4-5", Ok("team platform: models claude-haiku-*")),
        (None, Some(&["gpt-*", "claude-*"]), "claude-opus-4", Ok("key ci: models claude-*")),
        (
            Some("platform"),
            Some(&["*-5"]),
            "claude-sonnet-5",
            Ok("key ci: models *-5, team platform: models claude-sonnet-*"),
        ),
        (
            Some("platform"),
            None,
            "claude-opus-4",
            Err("model \"claude-opus-4\" is not allowed for key \"ci\" \
                 (team platform allows: claude-sonnet-*, claude-haiku-*)"),
        ),
        (
            Some("platform"),
            Some(&["claude-haiku-*"]),
            "claude-sonnet-5",
            Err("model \"claude-sonnet-5\" is not allowed for key \"ci\" (the key allows: claude-haiku-*)"),
        ),
        (
            Some("none"),
            None,
            "claude-sonnet-5",
            Err("model \"claude-sonnet-5\" is not allowed for key \"ci\" (team none allows: no model)"),
        ),
        (None, Some(&[]), "m", Err("model \"m\" is not allowed for key \"ci\" (the key allows: no model)")),
        (
            Some("ghost"),
            None,
            "m",
            Err("model \"m\" is not allowed for key \"ci\" (team ghost allows: no model)"),
        ),
    ];
    for (team, models, model, expected) in cases {
        let caller = caller(team, models);
        let verdict = rules().decide(&caller, model);
        assert_eq!(rules().may_name(&caller, model), expected.is_ok());
        match (verdict, expected) {
            (Ok(permit), Ok(text)) => assert_eq!(permit.to_string(), text),
            (Err(denial), Err(text)) => assert_eq!(denial.to_string(), text),
            (verdict, expected) => panic!("{verdict:?} is not {expected:?}"),
        }
    }
}

#[test]
fn a_denial_is_short_and_one_line_whatever_was_asked_for() {
    let many: Vec<String> = (0..100).map(|n| format!("model-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let caller = caller(None, Some(&many));
    let text = rules().decide(&caller, &"\n\u{1b}[31mx".repeat(10_000)).unwrap_err().to_string();
    assert!(text.len() < 16 * limits::MODEL_SHOWN_CHARS_MAX, "{}", text.len());
    assert!(text.chars().all(|c| !c.is_control()));
    assert!(text.ends_with(&format!("and {} more)", 100 - limits::DENIAL_PATTERNS_MAX)), "{text}");
}

#[test]
fn listing_is_open_to_every_key() {
    let permit = rules().permit_listing(&caller(Some("none"), None));
    assert_eq!(permit.key().as_str(), "ci");
    assert_eq!(permit.team().map(TeamName::as_str), Some("none"));
}

#[test]
fn the_permit_for_tests_claims_no_rule() {
    assert_eq!(Permit::for_tests().to_string(), "no rule: all models");
}

/// Team, servers of the key, server and tool asked for; the permit or the denial as text.
type ToolCase = (Option<&'static str>, Option<Given>, (&'static str, Option<&'static str>), Verdict);

const TOOL_CASES: &[ToolCase] = &[
    (None, None, ("any", Some("thing")), Ok("no rule: all servers")),
    (Some("free"), None, ("any", None), Ok("no rule: all servers")),
    (Some("platform"), None, ("github", Some("rm")), Ok("team platform: servers github: *")),
    (Some("platform"), None, ("files", None), Ok("team platform: servers files")),
    (
        Some("platform"),
        Some(&[("f*", &["*_file"])]),
        ("files", Some("list_file")),
        Ok("key ci: servers f*: *_file, team platform: servers files: list_*"),
    ),
    (
        Some("platform"),
        None,
        ("files", Some("write_file")),
        Err("tool \"write_file\" of server \"files\" is not allowed for key \"ci\" \
             (team platform allows of it: read_*, list_*)"),
    ),
    (
        Some("platform"),
        None,
        ("other", Some("t")),
        Err("tool \"t\" of server \"other\" is not allowed for key \"ci\" \
             (team platform allows the servers: github, files)"),
    ),
    (
        Some("platform"),
        None,
        ("off", None),
        Err("server \"off\" is not allowed for key \"ci\" (team platform allows the servers: github, files)"),
    ),
    (
        Some("platform"),
        Some(&[("files", &["list_*"])]),
        ("files", Some("read_file")),
        Err("tool \"read_file\" of server \"files\" is not allowed for key \"ci\" \
             (the key allows of it: list_*)"),
    ),
    (
        None,
        Some(&[]),
        ("s", Some("t")),
        Err("tool \"t\" of server \"s\" is not allowed for key \"ci\" (the key allows: no server)"),
    ),
    (
        Some("ghost"),
        None,
        ("s", None),
        Err("server \"s\" is not allowed for key \"ci\" (team ghost allows: no server)"),
    ),
];

#[test]
fn key_and_team_must_both_give_the_tool() {
    for (team, given, (server, tool), expected) in TOOL_CASES {
        let caller = Principal { servers: given.map(servers), ..caller(*team, None) };
        let server = ServerName::new(server);
        let verdict = match tool {
            Some(tool) => rules().decide_tool(&caller, &server, tool),
            None => rules().may_see(&caller, &server),
        };
        match (verdict, expected) {
            (Ok(permit), Ok(text)) => assert_eq!(permit.to_string(), *text),
            (Err(denial), Err(text)) => assert_eq!(denial.to_string(), *text),
            (verdict, expected) => panic!("{verdict:?} is not {expected:?}"),
        }
    }
}

#[test]
fn a_denial_of_a_tool_is_short_and_one_line_too() {
    let caller = Principal { servers: Some(servers(&[("s", &["a"])])), ..caller(None, None) };
    let name = "\n\u{1b}[31mx".repeat(10_000);
    let text = rules().decide_tool(&caller, &ServerName::new("s"), &name).unwrap_err().to_string();
    assert!(
        text.len() < 16 * limits::MODEL_SHOWN_CHARS_MAX && text.chars().all(|c| !c.is_control()),
        "{text}"
    );
}

#[test]
fn the_gateways_own_permit_belongs_to_no_key() {
    let own = Permit::own();
    assert_eq!((own.key().as_str(), own.team()), ("(gateway)", None));
    assert_eq!(own.to_string(), "the gateway's own");
}

const SERVERS: [&str; 4] = ["a", "ab", "b", "ba"];
const TOOLS: [&str; 5] = ["x", "xy", "y", "yx", "xx"];

fn any_rules() -> impl Strategy<Value = Option<Vec<(String, Vec<String>)>>> {
    let tools = proptest::collection::vec("[xy*]{1,3}", 0..3);
    proptest::option::of(proptest::collection::vec(("[ab*]{1,2}", tools), 0..4))
}

fn server_rules(given: &[(String, Vec<String>)]) -> ServerRules {
    ServerRules::new(given.iter().map(|(server, tools)| ServerRule {
        server: Glob::new(server),
        tools: tools.iter().map(|tool| Glob::new(tool)).collect(),
    }))
}

/// What some rules give, by going through all there is.
fn given(rules: Option<&Vec<(String, Vec<String>)>>) -> BTreeSet<(&'static str, &'static str)> {
    let all = SERVERS.iter().flat_map(|&server| TOOLS.iter().map(move |&tool| (server, tool)));
    all.filter(|(server, tool)| {
        rules.is_none_or(|rules| {
            rules.iter().any(|(pattern, tools)| {
                Glob::new(pattern).matches(server) && tools.iter().any(|one| Glob::new(one).matches(tool))
            })
        })
    })
    .collect()
}

proptest! {
    #[test]
    fn a_tool_is_allowed_exactly_when_it_is_decided_so(
        own in any_rules(),
        of_team in any_rules(),
        (in_team, known) in (any::<bool>(), any::<bool>()),
    ) {
        let team = Team { servers: of_team.as_deref().map(server_rules), ..Team::default() };
        let rules = Rules::new(known.then(|| (TeamName::new("t"), team)));
        let servers = own.as_deref().map(server_rules);
        let caller = Principal { servers, ..caller(in_team.then_some("t"), None) };
        let mut allowed = given(own.as_ref());
        if in_team {
            let of_team = given(of_team.as_ref());
            allowed.retain(|one| known && of_team.contains(one));
        }
        let view = rules.view_key(&caller);
        // The same, from the view alone.
        let seen = Principal { servers: view.key.clone(), ..caller.clone() };
        let of_view = Team { servers: view.team.clone(), ..Team::default() };
        let shadow = Rules::new([(TeamName::new("t"), of_view)]);
        for server in SERVERS {
            let name = ServerName::new(server);
            for tool in TOOLS {
                let decided = rules.decide_tool(&caller, &name, tool).is_ok();
                prop_assert_eq!(decided, allowed.contains(&(server, tool)), "{} {}", server, tool);
                prop_assert_eq!(decided, rules.may_call(&caller, &name, tool));
                prop_assert_eq!(decided, shadow.may_call(&seen, &name, tool));
                prop_assert!(!decided || rules.may_see(&caller, &name).is_ok());
            }
        }
        prop_assert!(!view.is_everything() || allowed.len() == SERVERS.len() * TOOLS.len());
    }
}
