//! Random policies and catalogs against a plain reading of the rules, and lists against calls.

use std::sync::Arc;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::{Just, Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};
use proptest::sample::select;
use proptest::test_runner::Config;

use crate::call::Class;
use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::identity::servers::{ServerRule, ServerRules, ToolPattern};
use crate::ids::{KeyName, ServerName, TeamName};
use crate::policy::decide::ToolCall;
use crate::policy::rights::Answer;
use crate::policy::rules::{Rules, Sources, Team, Unwritten};
use crate::policy::table::Table;

/// Policies, each against a catalog of its own.
const CASES: u32 = 10_000;

/// A rule as it is written: its server, and the lists of its tools.
#[derive(Clone, Debug)]
struct Written {
    server: String,
    allow: Option<Vec<String>>,
    ask: Vec<String>,
    deny: Vec<String>,
}

/// What a key or a team has written.
#[derive(Clone, Debug, Default)]
struct Lists {
    servers: Option<Vec<Written>>,
    models: Option<Vec<String>>,
    deny_models: Vec<String>,
}

/// Patterns of short names.
fn names() -> impl Strategy<Value = String> {
    select(vec!["x", "y", "*", "x*", "*y", "*x", "yx", "**"]).prop_map(str::to_owned)
}

fn tools() -> impl Strategy<Value = String> {
    let class = prop_oneof![
        6 => Just(""),
        1 => Just("read/"),
        1 => Just("write/"),
        1 => Just("destructive/"),
        1 => Just("unknown/"),
    ];
    (class, names()).prop_map(|(class, name)| format!("{class}{name}"))
}

fn written() -> impl Strategy<Value = Written> {
    let lists = (option::weighted(0.7, vec(tools(), 0..3)), vec(tools(), 0..2), vec(tools(), 0..2));
    (select(vec!["a", "b", "*", "a*", "*b", "ab"]), lists).prop_map(|(server, (allow, ask, deny))| Written {
        server: server.to_owned(),
        allow,
        ask,
        deny,
    })
}

fn lists() -> impl Strategy<Value = Lists> {
    let models = option::of(vec(names(), 0..3));
    (option::weighted(0.7, vec(written(), 0..3)), models, vec(names(), 0..2))
        .prop_map(|(servers, models, deny_models)| Lists { servers, models, deny_models })
}

fn catalog() -> impl Strategy<Value = Vec<(&'static str, &'static str, Class)>> {
    let class =
        prop_oneof![Just(Class::Read), Just(Class::Write), Just(Class::Destructive), Just(Class::Unknown),];
    vec((select(vec!["a", "b", "ab"]), select(vec!["x", "y", "xy", "yx", "xx"]), class), 1..3)
}

/// Whether a pattern fits, told without our own globs.
fn glob(pattern: &str, name: &str) -> bool {
    match pattern.split_at_checked(1) {
        None => name.is_empty(),
        Some(("*", rest)) => {
            (0..=name.len()).any(|skip| name.get(skip..).is_some_and(|name| glob(rest, name)))
        }
        Some((letter, rest)) => name.strip_prefix(letter).is_some_and(|name| glob(rest, name)),
    }
}

fn fits(pattern: &str, tool: &str, class: Class, forbids: bool) -> bool {
    let Some((word, name)) = pattern.split_once('/') else { return glob(pattern, tool) };
    let means = match word {
        "read" => class == Class::Read,
        "write" => class == Class::Write || class == Class::Unknown || forbids && class == Class::Destructive,
        "destructive" => class == Class::Destructive,
        _ => class == Class::Unknown,
    };
    means && glob(name, tool)
}

/// What the lists of a key and of its team come to.
fn plain(all: &[&Lists], unwritten: Unwritten, (server, tool, class): (&str, &str, Class)) -> Answer {
    let here = |rule: &&Written| glob(&rule.server, server);
    let any = |tools: &[String], forbids| tools.iter().any(|pattern| fits(pattern, tool, class, forbids));
    let written: Vec<&Vec<Written>> = all.iter().filter_map(|lists| lists.servers.as_ref()).collect();
    let mut rules = written.iter().flat_map(|rules| rules.iter()).filter(here);
    if rules.clone().any(|rule| any(&rule.deny, true)) {
        return Answer::Deny;
    }
    let gives =
        |rule: &Written| rule.allow.as_ref().is_none_or(|allow| any(allow, false)) || any(&rule.ask, false);
    let given = written.iter().all(|rules| rules.iter().filter(here).any(gives));
    if !given || written.is_empty() && unwritten == Unwritten::Deny {
        return Answer::Deny;
    }
    if rules.any(|rule| any(&rule.ask, true)) { Answer::Ask } else { Answer::Allow }
}

fn plain_model(all: &[&Lists], unwritten: Unwritten, model: &str) -> bool {
    let denied = all.iter().flat_map(|lists| &lists.deny_models).any(|pattern| glob(pattern, model));
    let mut written = all.iter().filter_map(|lists| lists.models.as_ref()).peekable();
    let open = written.peek().is_some() || unwritten == Unwritten::Allow;
    !denied && open && written.all(|models| models.iter().any(|pattern| glob(pattern, model)))
}

fn globs(patterns: &[String]) -> Arc<[Glob]> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn servers(written: &[Written]) -> ServerRules {
    let patterns = |tools: &Vec<String>| tools.iter().map(|tool| ToolPattern::new(tool)).collect();
    ServerRules::new(written.iter().map(|rule| ServerRule {
        server: Glob::new(&rule.server),
        allow: rule.allow.as_ref().map(patterns),
        ask: patterns(&rule.ask),
        deny: patterns(&rule.deny),
    }))
}

fn principal(own: &Lists, team: Option<&str>) -> Principal {
    Principal {
        team: team.map(TeamName::new),
        models: own.models.as_deref().map(globs),
        deny_models: globs(&own.deny_models),
        servers: own.servers.as_deref().map(servers),
        ..Principal::of_key(KeyName::new("k"), "0123456789ab")
    }
}

proptest! {
    #![proptest_config(Config { cases: CASES, ..Config::default() })]

    #[test]
    fn what_is_listed_is_what_may_be_called_and_what_is_written(
        own in lists(),
        of_team in lists(),
        in_team in any::<bool>(),
        deny in any::<bool>(),
        catalog in catalog(),
    ) {
        let unwritten = if deny { Unwritten::Deny } else { Unwritten::Allow };
        let team = Team {
            models: of_team.models.as_deref().map(globs),
            deny_models: globs(&of_team.deny_models),
            servers: of_team.servers.as_deref().map(servers),
            ..Team::default()
        };
        let sources =
            Sources { teams: vec![(TeamName::new("t"), team)], unwritten, ..Sources::default() };
        let (rules, _odd) = Rules::build(sources).unwrap();
        let caller = principal(&own, in_team.then_some("t"));
        let all = if in_team { vec![&own, &of_team] } else { vec![&own] };
        let table = Table::default();
        let lister = table.lister(&rules, &caller);
        for (place, (server, tool, class)) in catalog.iter().enumerate() {
            let (server, class) = (ServerName::new(server), *class);
            let wanted = plain(&all, unwritten, (server.as_str(), tool, class));
            prop_assert_eq!(lister(&server, tool, class), wanted, "{} {} {:?}", server, tool, class);
            // Who may call a tool of a server sees that server, or the tool would stand in no list.
            let seen = wanted == Answer::Deny || table.may_see(&rules, &caller, &server).is_ok();
            prop_assert!(seen, "{} {}", server, tool);
            for can_ask in [true, false] {
                let call = ToolCall { server: &server, tool, class, can_ask };
                let allowed = wanted == Answer::Allow || wanted == Answer::Ask && can_ask;
                prop_assert_eq!(table.decide_tool(&rules, &caller, &call).is_ok(), allowed);
                // One that remembers nothing says the same; one tool of each is enough of that.
                if place == 0 && can_ask {
                    prop_assert_eq!(rules.decide_tool(&caller, &call).is_ok(), allowed);
                }
            }
        }
        let model = catalog.first().map(|(_, tool, _)| *tool).unwrap_or_default();
        prop_assert_eq!(table.may_name(&rules, &caller, model), plain_model(&all, unwritten, model));
    }
}
