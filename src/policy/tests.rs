//! Tables of who may name what, and what they read when they may not.

use std::sync::Arc;

use crate::call::Class;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::{ServerRule, ServerRules, ToolPattern};
use crate::ids::{KeyName, ServerName, TeamName};
use crate::limits;
use crate::policy::decide::{Permit, ToolCall};
use crate::policy::raw::{Known, RawFault, RawFile};
use crate::policy::rights::Answer;
use crate::policy::rules::{Rules, Sources, Team, Unwritten};
use crate::policy::table::Table;

/// A call by a client that asks nobody, of a tool of which nobody has said what it does.
fn call<'a>(server: &'a ServerName, tool: &'a str) -> ToolCall<'a> {
    ToolCall { server, tool, class: Class::Unknown, can_ask: false }
}

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
    ServerRules::new(given.iter().map(|(server, tools)| ServerRule::allowing(server, tools.iter().copied())))
}

fn team(models: Option<&[&str]>, given: Option<Given>) -> Team {
    Team { models: models.map(globs), servers: given.map(servers), ..Team::default() }
}

fn caller(team: Option<&str>, models: Option<&[&str]>) -> Principal {
    Principal {
        team: team.map(TeamName::new),
        models: models.map(globs),
        ..Principal::of_key(KeyName::new("ci"), "0123456789ab")
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
            Some(tool) => rules().decide_tool(&caller, &call(&server, tool)),
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
    let text = rules().decide_tool(&caller, &call(&ServerName::new("s"), &name)).unwrap_err().to_string();
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

/// A rule with all its lists.
fn rule(server: &str, allow: Option<&[&str]>, ask: &[&str], deny: &[&str]) -> ServerRule {
    let patterns = |tools: &[&str]| tools.iter().map(|tool| ToolPattern::new(tool)).collect();
    ServerRule {
        server: Glob::new(server),
        allow: allow.map(patterns),
        ask: patterns(ask),
        deny: patterns(deny),
    }
}

/// Team `ops` with these rules, and somebody of it.
fn ops(list: Vec<ServerRule>) -> (Rules, Principal) {
    let team = Team { servers: Some(ServerRules::new(list)), ..Team::default() };
    (Rules::new([(TeamName::new("ops"), team)]), caller(Some("ops"), None))
}

#[test]
fn deny_wins_over_ask_and_ask_over_allow() {
    use Answer::{Allow, Ask, Deny};
    let (rules, caller) = ops(vec![
        rule("github", Some(&["read/*", "push", "merge_safe"]), &["merge_*"], &["*delete*", "destructive/*"]),
        rule("files", None, &["write/*"], &[]),
        rule("chat", Some(&["write/*"]), &[], &["unknown/x*"]),
        rule("safe", None, &[], &["write/*"]),
        rule("g*", Some(&["get"]), &[], &[]),
    ]);
    let (read, write, destroy, unknown) = (Class::Read, Class::Write, Class::Destructive, Class::Unknown);
    for (server, tool, class, answer) in [
        ("github", "list", read, Allow),
        ("github", "list", write, Deny),
        ("github", "list", unknown, Deny),
        ("github", "push", write, Allow),
        ("github", "push", destroy, Deny),
        ("github", "merge_pr", write, Ask),
        ("github", "merge_safe", read, Ask),
        ("github", "delete_repo", read, Deny),
        ("github", "merge_and_delete", unknown, Deny),
        ("github", "get", unknown, Allow),
        ("gitlab", "get", write, Allow),
        ("gitlab", "list", read, Deny),
        ("files", "read", read, Allow),
        ("files", "write", write, Ask),
        ("files", "any", unknown, Ask),
        ("files", "rm", destroy, Ask),
        ("chat", "say", write, Allow),
        ("chat", "say", unknown, Allow),
        ("chat", "xray", unknown, Deny),
        ("chat", "say", destroy, Deny),
        ("chat", "say", read, Deny),
        ("safe", "look", read, Allow),
        ("safe", "rm", destroy, Deny),
        ("safe", "rm", unknown, Deny),
        ("other", "get", read, Deny),
    ] {
        let name = ServerName::new(server);
        assert_eq!(rules.may_call(&caller, &name, tool, class), answer, "{server} {tool} {class:?}");
    }
    assert!(rules.may_see(&caller, &ServerName::new("gitlab")).is_ok());
    assert!(rules.may_see(&caller, &ServerName::new("other")).is_err());
}

#[test]
fn what_is_denied_or_asked_about_names_its_rule() {
    let (rules, caller) = ops(vec![
        rule("github", Some(&["read/*"]), &["merge_*"], &["*delete*"]),
        rule("dark", None, &[], &["*"]),
    ]);
    let github = ServerName::new("github");
    let decide = |tool: &str, class, can_ask| {
        let decided = rules.decide_tool(&caller, &ToolCall { server: &github, tool, class, can_ask });
        decided
            .map(|permit| permit.to_string())
            .map_err(|denial| (denial.to_string(), denial.decision().to_owned()))
    };
    assert_eq!(decide("list", Class::Read, false).unwrap(), "team ops: servers github: read/*");
    assert_eq!(
        decide("merge_pr", Class::Write, true).unwrap(),
        "team ops: servers github: merge_*, team ops: servers github: ask merge_*"
    );
    let (sentence, decision) = decide("merge_pr", Class::Write, false).unwrap_err();
    let asks = "needs a person's approval for each call (rule `team ops: servers github: ask merge_*`)";
    assert!(
        sentence.starts_with("tool \"merge_pr\" of server \"github\"") && sentence.contains(asks),
        "{sentence}"
    );
    assert!(decision.starts_with("nobody could be asked: team ops"), "{decision}");
    let (sentence, decision) = decide("delete_repo", Class::Read, true).unwrap_err();
    let wanted = "tool \"delete_repo\" of server \"github\" is denied for key \"ci\" \
                  by the rule `team ops: servers github: deny *delete*`";
    assert_eq!(sentence, wanted);
    assert_eq!(decision, "denied by team ops: servers github: deny *delete*");
    let (sentence, decision) = decide("push", Class::Write, true).unwrap_err();
    assert!(sentence.ends_with("(team ops allows of it: read/*, merge_*)"), "{sentence}");
    assert_eq!(decision, "not allowed by team ops");
    let dark = rules.may_see(&caller, &ServerName::new("dark")).unwrap_err();
    assert_eq!(dark.decision(), "denied by team ops: servers dark: deny");
}

#[test]
fn a_key_narrows_its_team_and_both_can_deny() {
    let team = Team {
        models: Some(globs(&["claude-*"])),
        deny_models: globs(&["*-preview"]),
        servers: Some(ServerRules::new([rule("s", None, &["b*"], &["c*"])])),
        ..Team::default()
    };
    let rules = Rules::new([(TeamName::new("t"), team)]);
    let own = ServerRules::new([rule("s", Some(&["a*", "b*", "c*"]), &["ask"], &["a_no"])]);
    let caller =
        Principal { deny_models: globs(&["claude-opus-*"]), servers: Some(own), ..caller(Some("t"), None) };
    let s = ServerName::new("s");
    for (tool, answer) in [
        ("a", Answer::Allow),
        ("a_no", Answer::Deny),
        ("b", Answer::Ask),
        ("c", Answer::Deny),
        ("ask", Answer::Ask),
        ("d", Answer::Deny),
    ] {
        assert_eq!(rules.may_call(&caller, &s, tool, Class::Read), answer, "{tool}");
    }
    for (model, wanted) in [
        ("claude-haiku", Ok("team t: models claude-*")),
        ("claude-x-preview", Err("denied by team t: models: deny *-preview")),
        ("claude-opus-4", Err("denied by key ci: models: deny claude-opus-*")),
        ("gpt-6", Err("not allowed by team t")),
    ] {
        let decided = rules.decide(&caller, model);
        let told = decided.map(|permit| permit.to_string()).map_err(|denial| denial.decision().to_owned());
        assert_eq!(told.as_deref().map_err(|denial| &**denial), wanted, "{model}");
    }
}

fn models() -> Vec<Glob> {
    ["claude-*", "gpt-6"].map(Glob::new).to_vec()
}

/// Rules with Cedar files.
fn with_files(files: &[(&str, &str)], unwritten: Unwritten) -> Result<(Rules, Vec<RawFault>), Vec<RawFault>> {
    let file = |(name, text): &(&str, &str)| RawFile { name: (*name).to_owned(), text: (*text).to_owned() };
    Rules::build(Sources {
        teams: vec![(TeamName::new("platform"), team(Some(&["claude-*"]), Some(PLATFORM)))],
        unwritten,
        files: files.iter().map(file).collect(),
        known: Known { teams: vec!["platform".into()], servers: vec!["github".into()], models: models() },
        ..Sources::default()
    })
}

const RAW: &str = r#"// Nobody destroys anything on a Friday, or on any other day.
@id("no destruction")
forbid (principal, action in [Action::"call", Action::"call_unasked"], resource)
when { resource.class == "destructive" };

permit (principal in Group::"sre", action, resource in Server::"prod");

forbid (principal, action == Action::"call_unasked", resource in Server::"prod");

forbid (principal == Key::"lent", action == Action::"use", resource)
unless { resource.name like "claude-haiku-*" };
"#;

#[test]
fn cedar_files_stand_beside_the_readable_form() {
    let (rules, odd) = with_files(&[("org.cedar", RAW)], Unwritten::Allow).unwrap();
    assert_eq!(
        odd.iter().map(|odd| &*odd.text).collect::<Vec<_>>(),
        ["no MCP server has the name \"prod\""; 2]
    );
    assert_eq!(odd[0].line, 6);
    let (github, prod) = (ServerName::new("github"), ServerName::new("prod"));
    let dev = caller(Some("platform"), None);
    let sre = Principal { groups: Arc::new(["sre".into()]), key_id: "000000000002".into(), ..dev.clone() };
    let table = Table::default();
    for _again in 0..2 {
        let tool = |who: &Principal, server, class, can_ask| {
            let call = ToolCall { server, tool: "t", class, can_ask };
            let decided = table.decide_tool(&rules, who, &call);
            decided.map(|permit| permit.to_string()).map_err(|denial| denial.decision().to_owned())
        };
        assert_eq!(tool(&dev, &github, Class::Read, false).unwrap(), "team platform: servers github: *");
        let denied = "denied by org.cedar: no destruction";
        assert_eq!(tool(&dev, &github, Class::Destructive, true).unwrap_err(), denied);
        assert_eq!(tool(&dev, &prod, Class::Read, true).unwrap_err(), "not allowed by team platform");
        assert_eq!(tool(&sre, &prod, Class::Read, true).unwrap(), "org.cedar:6, org.cedar:8");
        let nobody = tool(&sre, &prod, Class::Read, false).unwrap_err();
        assert_eq!(nobody, "nobody could be asked: org.cedar:6, org.cedar:8");
        assert!(table.may_see(&rules, &sre, &prod).is_ok() && table.may_see(&rules, &dev, &prod).is_err());
    }
    let lent = Principal { key: KeyName::new("lent"), key_id: "000000000003".into(), ..dev.clone() };
    assert!(table.may_name(&rules, &dev, "claude-opus-4") && !table.may_name(&rules, &lent, "claude-opus-4"));
    assert!(table.may_name(&rules, &lent, "claude-haiku-4"));
    let explained = rules.explain(&lent, "claude-opus-4");
    assert_eq!((explained.answer, explained.rules), (Answer::Deny, vec!["org.cedar:10".to_owned()]));
}

#[test]
fn those_whom_files_tell_apart_have_views_of_their_own() {
    let dev = caller(Some("platform"), None);
    let other = Principal { key: KeyName::new("other"), key_id: "000000000009".into(), ..dev.clone() };
    let grouped = Principal { groups: Arc::new(["sre".into()]), ..dev.clone() };
    let check = |text: &str, others: bool, groups: bool| {
        let (rules, _odd) = with_files(&[("f.cedar", text)], Unwritten::Allow).unwrap();
        assert_eq!(rules.view_key(&dev) == rules.view_key(&other), others, "{text}");
        assert_eq!(rules.view_key(&dev) == rules.view_key(&grouped), groups, "{text}");
        assert!(!rules.view_key(&caller(None, None)).is_everything());
    };
    check("forbid (principal, action, resource in Server::\"github\");", true, true);
    check("forbid (principal == Key::\"other\", action, resource);", false, true);
    check("forbid (principal, action, resource) when { principal.key == \"other\" };", false, true);
    check("permit (principal in Group::\"sre\", action, resource);", true, false);
    check("permit (principal, action, resource) when { principal.groups.contains(\"sre\") };", true, false);
    let none = rules();
    assert!(none.view_key(&dev) == none.view_key(&other) && none.view_key(&dev) == none.view_key(&grouped));
}

#[test]
fn two_issuers_with_one_user_are_told_apart() {
    let at = |issuer: &str, key_id: &str| Principal {
        user: Some("ana".into()),
        issuer: Some(issuer.into()),
        key: KeyName::new("oidc:ana"),
        key_id: key_id.into(),
        ..caller(Some("platform"), None)
    };
    // The same id, as if hashes had met: what they may do must not follow from that.
    let (here, there) =
        (at("https://a.example.com", "00000000000a"), at("https://b.example.com", "00000000000a"));
    let key = Principal { issuer: None, ..here.clone() };
    let by_key = "forbid (principal, action, resource) \
                  unless { principal has issuer && principal.issuer == \"https://a.example.com\" };";
    let by_user = "forbid (principal in User::\"ana\", action, resource) \
                   unless { User::\"ana\" has issuer && User::\"ana\".issuer like \"https://a.*\" };";
    for text in [by_key, by_user] {
        let (rules, odd) = with_files(&[("f.cedar", text)], Unwritten::Allow).unwrap();
        assert_eq!(odd, []);
        let table = Table::default();
        for _again in 0..2 {
            for (who, may) in [(&here, true), (&there, false), (&key, false)] {
                assert_eq!(table.may_name(&rules, who, "claude-x"), may, "{text}");
                assert_eq!(rules.may_name(who, "claude-x"), may, "{text}");
            }
        }
        assert!(rules.view_key(&here) != rules.view_key(&there), "{text}");
    }
    assert!(rules().view_key(&here) == rules().view_key(&there), "no file, no difference");
}

#[test]
fn the_deepest_policy_that_is_taken_is_read_and_decides() {
    use crate::limits::{POLICY_BRACKETS_MAX, POLICY_OPERATORS_MAX};
    // The condition has one operator and one bracket of its own.
    let brackets = POLICY_BRACKETS_MAX - 1;
    let wide = vec!["principal.key == \"none\""; POLICY_OPERATORS_MAX - 1].join(" || ");
    let deep = format!("{}{wide} || principal.key == \"dev\"{}", "(".repeat(brackets), ")".repeat(brackets));
    let written = |clause: &str| format!("forbid (principal, action, resource) when {{ {clause} }};");
    let (rules, _odd) = with_files(&[("f.cedar", &written(&deep))], Unwritten::Allow).unwrap();
    let dev = Principal { key: KeyName::new("dev"), ..caller(Some("platform"), None) };
    let other = Principal { key: KeyName::new("other"), ..dev.clone() };
    // Unoptimised, an evaluation takes more stack than the thread of a test has: it would be refused.
    let decide = move || [&dev, &other].map(|who| rules.may_name(who, "claude-x"));
    let thread = std::thread::Builder::new().stack_size(16 << 20).spawn(decide).unwrap();
    assert_eq!(thread.join().unwrap(), [false, true]);
    for beyond in
        [format!("({deep})"), format!("{deep} || true"), format!("{}1{} == 1", "[".repeat(90_000), "]")]
    {
        let faults = with_files(&[("f.cedar", &written(&beyond))], Unwritten::Allow).unwrap_err();
        assert!(faults.len() == 1 && faults[0].text.contains("write several policies"), "{faults:?}");
    }
}

#[test]
fn a_file_with_faults_is_refused_with_their_places() {
    for (text, line, words) in [
        ("permit (principal, action, resource);\npermit (", 2, "unexpected"),
        ("\n\nforbid (principal, action, resource) when { resource.clas == \"read\" };", 3, "clas"),
        ("forbid (principal, action == Action::\"cal\", resource);", 1, "cal"),
        ("forbid (principal in Teem::\"platform\", action, resource);", 1, "Teem"),
        ("permit (principal == ?principal, action, resource);", 1, "template"),
        ("forbid (principal, action, resource) when { principal.user like \"*\" };", 1, "user"),
    ] {
        let faults = with_files(&[("org.cedar", text)], Unwritten::Allow).unwrap_err();
        let found = faults.iter().any(|fault| fault.line == line && fault.text.contains(words));
        assert!(found && faults.iter().all(|fault| fault.file == "org.cedar"), "{text}: {faults:?}");
    }
    let (_, odd) = with_files(
        &[("f.cedar", "forbid (principal in Team::\"platfrom\", action, resource);")],
        Unwritten::Allow,
    )
    .unwrap();
    assert_eq!(odd[0].text, "no team has the name \"platfrom\"; did you mean \"platform\"?");
}

#[test]
fn names_that_nothing_has_are_told_with_their_places() {
    let told = |text: &str| match with_files(&[("f.cedar", text)], Unwritten::Allow) {
        Ok((_, odd)) => (true, odd),
        Err(faults) => (false, faults),
    };
    let when = |what: &str| format!("forbid (principal, action, resource is Tool)\n  when {{\n {what} }};");
    let about =
        |what: &str| format!("// {what} is no policy\nforbid (principal, action,\n  resource == {what});");
    for (text, taken, line, wanted) in [
        (
            about("Tool::\"githab/merge\""),
            true,
            3,
            "no MCP server has the name \"githab\"; did you mean \"github\"?",
        ),
        (about("Tool::\"merge\""), true, 3, "no tool can have the id \"merge\": write SERVER/TOOL"),
        (about("Model::\"gtp-6\""), true, 3, "serves \"gtp-6\"; did you mean \"gpt-6\"?"),
        (about("Model::\"claude-9\""), true, 0, ""),
        (about("Tool::\"github/any\""), true, 0, ""),
        (
            when("resource.server == \"git-hub\""),
            true,
            3,
            "has the name \"git-hub\"; did you mean \"github\"?",
        ),
        (
            when("principal has team && \"finance\" != principal.team"),
            true,
            3,
            "no team has the name \"finance\"",
        ),
        (
            when("principal has team && [\"platform\", \"web\"].contains(principal.team)"),
            true,
            3,
            "name \"web\"",
        ),
        (
            when("resource.class == \"destroy\""),
            false,
            3,
            "class is one of unknown, read, write, destructive, never",
        ),
        (when("[\"read\", \"wirte\"].contains(resource.class)"), false, 3, "did you mean \"write\"?"),
        (
            when("principal.role == \"admin\""),
            false,
            3,
            "owner, operator, auditor, viewer, developer, never \"admin\"",
        ),
        (when("principal.role == \"developer\" && resource.class == \"read\""), true, 0, ""),
        (when("resource.name == \"anything\" && principal.key == \"any\""), true, 0, ""),
    ] {
        let (found, list) = told(&text);
        assert_eq!(found, taken, "{text}: {list:?}");
        match line {
            0 => assert_eq!(list, [], "{text}"),
            line => {
                let [one] = list.as_slice() else { panic!("{text}: {list:?}") };
                assert!(one.line == line && one.text.contains(wanted), "{text}: {one:?}");
            }
        }
    }
    // A file of nothing but mistakes ends, and tells a few of each policy.
    let many: String = (0..20).map(|n| format!(" || resource.server == \"s{n}\"")).collect();
    let (_, list) = told(&when(&format!("false{many}")));
    assert_eq!(list.len(), limits::POLICY_UNKNOWN_MAX);
}

#[test]
fn what_nobody_speaks_of_can_be_denied() {
    let permits = r#"permit (principal, action == Action::"use", resource == Model::"claude-free");"#;
    let (rules, _odd) = with_files(&[("f.cedar", permits)], Unwritten::Deny).unwrap();
    let nobody = caller(None, None);
    let denial = rules.decide(&nobody, "gpt-6").unwrap_err();
    assert!(denial.to_string().contains("unwritten: deny"), "{denial}");
    assert_eq!(rules.decide(&nobody, "claude-free").unwrap().to_string(), "f.cedar:1");
    assert!(rules.may_see(&nobody, &ServerName::new("github")).is_err());
    assert!(rules.may_name(&caller(Some("platform"), None), "claude-x"));
    assert!(rules.may_name(&caller(None, Some(&["m"])), "m"));
}

#[test]
fn equal_rules_have_one_version_and_others_another() {
    let build = |unwritten, files: &[(&str, &str)]| with_files(files, unwritten).unwrap().0.version();
    let plain = build(Unwritten::Allow, &[]);
    assert_eq!(plain.len(), 12);
    assert_eq!(plain, build(Unwritten::Allow, &[]));
    assert_ne!(plain, build(Unwritten::Deny, &[]));
    assert_ne!(plain, build(Unwritten::Allow, &[("a", "// nothing")]));
    let with = |models: &[&str]| Rules::new([(TeamName::new("t"), team(Some(models), None))]).version();
    assert_ne!(with(&["a"]), with(&["b"]));
}

#[test]
fn a_table_forgets_what_other_rules_have_decided() {
    let table = Table::default();
    let (open, closed) = (Rules::new([]), with_files(&[], Unwritten::Deny).unwrap().0);
    let nobody = caller(None, None);
    assert!(table.may_name(&open, &nobody, "m") && !table.may_name(&closed, &nobody, "m"));
    assert!(table.may_name(&open, &nobody, "m"));
    // The same key, with other rights than a moment ago.
    let narrowed = caller(None, Some(&["n"]));
    assert!(!table.may_name(&open, &narrowed, "m") && table.may_name(&open, &narrowed, "n"));
}

#[test]
fn the_readable_form_is_good_cedar() {
    let (rules, _) = ops(vec![
        rule("github", Some(&["read/get_*", "a\"b\\c", "*"]), &["merge_*"], &["write/*", "*"]),
        rule("g*", None, &[], &["unknown/*"]),
    ]);
    let text = rules.as_cedar(&TeamName::new("ops")).unwrap();
    let file = RawFile { name: "compiled".into(), text: text.clone() };
    let known = Known { teams: vec!["ops".into()], servers: vec!["github".into()], models: models() };
    let (_, odd) = Rules::build(Sources { files: vec![file], known, ..Sources::default() }).expect(&text);
    assert_eq!(odd, []);
    assert!(text.contains("// team ops: servers github: ask merge_*"), "{text}");
}
