//! How fast decisions are: looked up on the way of a request, made for the first time, and made ready by a
//! reload, for a house of 1,000 teams, 10,000 keys and 2,000 tools.

#![expect(clippy::expect_used, reason = "a bench that cannot run says so by panicking")]

use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use tollgate::call::Class;
use tollgate::glob::Glob;
use tollgate::identity::principal::Principal;
use tollgate::identity::servers::{ServerRule, ServerRules, ToolPattern};
use tollgate::ids::{KeyName, ServerName, TeamName};
use tollgate::policy::decide::ToolCall;
use tollgate::policy::rules::{Rules, Sources, Team};
use tollgate::policy::table::Table;

criterion_group!(benches, looked_up, made, reloads);
criterion_main!(benches);

const TEAMS: usize = 1000;
const KEYS: usize = 10_000;
const SERVERS: usize = 40;
const TOOLS_OF_SERVER: usize = 50;

/// Five servers for each team, with three lists each: 21 policies a team.
fn team(number: usize) -> (TeamName, Team) {
    let patterns = |tools: &[&str]| tools.iter().map(|tool| ToolPattern::new(tool)).collect();
    let rules = (0..5).map(|place| ServerRule {
        server: Glob::new(&format!("server{}", (number + 8 * place) % SERVERS)),
        allow: Some(patterns(&["read/*", "create_*"])),
        ask: patterns(&["merge_*"]),
        deny: patterns(&["*delete*"]),
    });
    let servers = Some(ServerRules::new(rules));
    let models = Some([Glob::new("claude-*")].into_iter().collect());
    (TeamName::new(&format!("team{number}")), Team { models, servers, ..Team::default() })
}

/// One key in ten has rules of its own.
fn key(number: usize) -> Principal {
    let own = ServerRules::new([ServerRule::allowing("server*", ["get_*", "create_*", "read/list_*"])]);
    Principal {
        team: Some(TeamName::new(&format!("team{}", number % TEAMS))),
        servers: number.is_multiple_of(10).then_some(own),
        ..Principal::of_key(KeyName::new(&format!("key{number}")), format!("{number:012x}"))
    }
}

/// The tools of all servers.
fn tools() -> Vec<(ServerName, String, Class)> {
    let verbs = ["get", "list", "create", "merge", "delete"];
    let of = |server: usize| {
        (0..TOOLS_OF_SERVER).map(move |tool| {
            let verb = verbs.get(tool % verbs.len()).copied().unwrap_or_default();
            let class = if verb == "get" || verb == "list" { Class::Read } else { Class::Write };
            (ServerName::new(&format!("server{server}")), format!("{verb}_thing_{tool}"), class)
        })
    };
    (0..SERVERS).flat_map(of).collect()
}

fn sources(keys: &[Principal]) -> Sources {
    Sources { teams: (0..TEAMS).map(team).collect(), principals: keys.to_vec(), ..Sources::default() }
}

/// The rules, everybody who has a key, and the tools that there are.
type House = (Rules, Vec<Principal>, Vec<(ServerName, String, Class)>);

fn house() -> House {
    let keys: Vec<Principal> = (0..KEYS).map(key).collect();
    let (rules, _odd) = Rules::build(sources(&keys)).expect("there is no file that could have faults");
    (rules, keys, tools())
}

/// The calls of a while: each key calls some tools of the servers of its team, and names a model.
fn calls(house: &House) -> Vec<(&Principal, &(ServerName, String, Class))> {
    let (_, keys, tools) = house;
    let mut out = Vec::new();
    for (number, key) in keys.iter().enumerate() {
        for turn in 0..4 {
            let server = (number % TEAMS + 8 * turn) % SERVERS;
            let place = server * TOOLS_OF_SERVER + (number / TEAMS + 10 * turn) % TOOLS_OF_SERVER;
            out.extend(tools.get(place).map(|tool| (key, tool)));
        }
    }
    // Not in the order in which they were made: what is next is nowhere near.
    let count = out.len();
    let step = 7919;
    (0..count).filter_map(|place| out.get(place * step % count).copied()).collect()
}

fn looked_up(criterion: &mut Criterion) {
    let house = house();
    let calls = calls(&house);
    let (rules, ..) = &house;
    let table = Table::default();
    let decide = |(who, (server, tool, class)): &(&Principal, &(ServerName, String, Class))| {
        let call = ToolCall { server, tool, class: *class, can_ask: true };
        table.decide_tool(rules, who, &call).is_ok()
    };
    let allowed = calls.iter().filter(|call| decide(call)).count();
    assert!(allowed > calls.len() / 10, "{allowed} of {}", calls.len());
    // A denial is put into words, which nobody does again and again.
    let good: Vec<_> = calls.into_iter().filter(|call| decide(call)).collect();
    let mut group = criterion.benchmark_group("policy_lookup");
    group.bench_function("tool", |bench| {
        let mut turn = good.iter().cycle();
        bench.iter(|| decide(black_box(turn.next().expect("the cycle has no end"))));
    });
    group.bench_function("tool_of_one_key", |bench| {
        let call = good.first().expect("somebody may do something");
        bench.iter(|| decide(black_box(call)));
    });
    group.bench_function("model", |bench| {
        let mut turn = good.iter().cycle();
        bench.iter(|| {
            let (who, _) = turn.next().expect("the cycle has no end");
            table.decide(rules, who, black_box("claude-sonnet-5")).is_ok()
        });
    });
    group.finish();
}

fn made(criterion: &mut Criterion) {
    let (rules, keys, tools) = house();
    let key = keys.get(11).expect("there are keys");
    let mut group = criterion.benchmark_group("policy_made");
    group.bench_function("tool", |bench| {
        // The server of the tool is one of the team's.
        let place = 11 * TOOLS_OF_SERVER;
        let (server, tool, class) = tools.get(place).expect("there are tools");
        let call = ToolCall { server, tool, class: *class, can_ask: true };
        bench.iter(|| rules.decide_tool(black_box(key), &call).is_ok());
    });
    group.sample_size(10);
    group.bench_function("list_of_2000_tools", |bench| {
        bench.iter(|| {
            let table = Table::default();
            let lister = table.lister(&rules, key);
            tools.iter().map(|(server, tool, class)| lister(server, tool, *class)).max()
        });
    });
    group.finish();
}

fn reloads(criterion: &mut Criterion) {
    let keys: Vec<Principal> = (0..KEYS).map(key).collect();
    let mut group = criterion.benchmark_group("policy_reload");
    group.sample_size(10);
    group.bench_function("1000_teams_10000_keys", |bench| {
        bench.iter(|| Rules::build(black_box(sources(&keys))).expect("there are no files"));
    });
    group.finish();
}
