//! Names that are asked for, and what becomes of any.

use std::collections::{HashMap, HashSet};

use crate::limits;
use crate::mcp::names::{Claim, chars_max, expose, normal};
use crate::mcp::presentation::Prefix;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

/// (server, tool, prefix, rename); the rank of a server is where it occurs first.
type Row<'a> = (&'a str, &'a str, Prefix, Option<&'a str>);

fn named(rows: &[Row<'_>], most: usize) -> Vec<String> {
    let rank = |server: &str| rows.iter().position(|row| row.0 == server).unwrap();
    let claims: Vec<Claim<'_>> = rows
        .iter()
        .map(|row| Claim { rank: rank(row.0), server: row.0, name: row.1, prefix: &row.2, rename: row.3 })
        .collect();
    expose(&claims, most)
}

/// A name with its eight letters put as dots.
fn shape(name: &str) -> String {
    match name.rsplit_once('_') {
        Some((before, tail)) if tail.len() == 8 && !tail.contains("tool") => format!("{before}_........"),
        _ => name.to_owned(),
    }
}

#[test]
fn names_that_are_asked_for() {
    use Prefix::{Always, Never, OnCollision};
    let fixed = |text: &str| Prefix::Fixed(text.to_owned());
    let cases: &[(&[Row<'_>], &[&str])] = &[
        // Alone a tool keeps its name.
        (&[("a", "get", OnCollision, None), ("b", "put", OnCollision, None)], &["get", "put"]),
        (&[("a", "Get.It now!", OnCollision, None)], &["Get_It_now_"]),
        (&[("a", "get", OnCollision, None), ("a", "Get", OnCollision, None)], &["get", "Get"]),
        // All that share a name get their prefix.
        (&[("a", "get", OnCollision, None), ("b", "get", OnCollision, None)], &["a__get", "b__get"]),
        (&[("a", "x.y", OnCollision, None), ("b", "x_y", OnCollision, None)], &["a__x_y", "b__x_y"]),
        (&[("a", "get", Always, None), ("b", "get", OnCollision, None)], &["a__get", "get"]),
        (&[("a", "get", fixed("p"), None), ("b", "get", fixed("q-"), None)], &["p__get", "q-__get"]),
        // Within one server a prefix helps nobody.
        (&[("a", "x.y", OnCollision, None), ("a", "x_y", OnCollision, None)], &["a__x_y_........"; 2]),
        (&[("a", "get", fixed("p"), None), ("b", "get", fixed("p"), None)], &["p__get_........"; 2]),
        // A prefixed name may be another one's plain name, and never takes it over.
        (
            &[
                ("a", "get", OnCollision, None),
                ("b", "get", OnCollision, None),
                ("c", "a__get", OnCollision, None),
            ],
            &["a__get_........", "b__get", "c__a__get"],
        ),
        // What a person chose stays.
        (&[("a", "get", OnCollision, None), ("b", "put", OnCollision, Some("get"))], &["a__get", "get"]),
        (&[("a", "x", Always, Some("get")), ("b", "y", Never, Some("get"))], &["get_........"; 2]),
        (&[("a", "get", Never, None), ("b", "get", OnCollision, None)], &["get", "b__get"]),
        (&[("a", "get", Never, None), ("b", "get", Never, None)], &["get", "get_........"]),
        (&[("a", "x.y", Never, None), ("a", "x_y", Never, None)], &["x_y_........"; 2]),
    ];
    for (rows, expected) in cases {
        let found: Vec<String> = named(rows, 49).iter().map(|name| shape(name)).collect();
        assert_eq!(&found, expected, "{rows:?}");
    }
}

#[test]
fn long_names_are_cut_and_stay_apart() {
    let one = format!("{}_one", "long".repeat(20));
    let two = format!("{}_two", "long".repeat(20));
    let both = named(&[("a", &one, Prefix::OnCollision, None), ("a", &two, Prefix::OnCollision, None)], 49);
    assert!(both[0] != both[1] && both.iter().all(|name| name.len() == 49));
    // The name of one does not depend on the other.
    assert_eq!(named(&[("a", &two, Prefix::OnCollision, None)], 49), [both[1].clone()]);
    assert_eq!(both[0].split_at(40).0, "long".repeat(10));
}

#[test]
fn the_letters_stay_the_same_over_versions() {
    // These are in the settings and the memory of people: a change of the hash renames tools everywhere.
    let rows = [("git", "a.b", Prefix::Never, None), ("git", "a_b", Prefix::Never, None)];
    assert_eq!(named(&rows, 49), ["a_b_gmkkffnk", "a_b_j3y5ivmj"]);
}

#[test]
fn somebody_who_knows_the_letters_gains_nothing() {
    let rows = [("a", "x.y", Prefix::Never, None), ("a", "x_y", Prefix::Never, None)];
    let known = named(&rows, 49);
    let attacked = [&rows[..], &[("evil", known[0].as_str(), Prefix::OnCollision, None)]].concat();
    assert_eq!(named(&attacked, 49)[..2], known);
    let attacked = [&[("evil", known[0].as_str(), Prefix::Never, None)], &rows[..]].concat();
    assert_eq!(named(&attacked, 49)[1..], known);
}

#[test]
fn room_for_the_prefix_of_the_client() {
    assert_eq!(chars_max("tollgate"), 49);
    assert_eq!(chars_max(""), 57);
    assert_eq!(chars_max(&"k".repeat(100)), limits::MCP_EXPOSED_NAME_CHARS_MIN);
    assert_eq!(normal("Aß 9-_."), "A__9-__");
}

#[test]
fn a_long_chain_of_names_is_parted() {
    let mut tools = vec!["x.y".to_owned(), "x_y".to_owned()];
    for _ in 0..2 * limits::MCP_NAME_ROUNDS_MAX {
        let rows: Vec<Row<'_>> = tools.iter().map(|tool| ("a", tool.as_str(), Prefix::Never, None)).collect();
        let names = named(&rows, 49);
        assert_eq!(names.iter().collect::<HashSet<_>>().len(), rows.len());
        let next = names.last().unwrap().clone();
        let fresh = if tools.contains(&next) { format!("{next}.") } else { next };
        tools.push(fresh);
    }
}

fn prefix() -> impl Strategy<Value = Prefix> {
    prop_oneof![
        4 => Just(Prefix::OnCollision),
        1 => Just(Prefix::Always),
        1 => Just(Prefix::Never),
        1 => "[ab_]{1,3}".prop_map(Prefix::Fixed),
    ]
}

type Owned = (String, Prefix, Vec<(String, Option<String>)>);

/// Servers with names and tools that collide in every way there is.
fn servers() -> impl Strategy<Value = Vec<Owned>> {
    let name = prop_oneof!["[ab._]{1,5}", "(a__|b__){0,12}[ab.]", ".{1,4}", "[ab]{45,60}"];
    let tools = vec((name, proptest::option::weighted(0.1, "[ab_]{1,4}")), 0..8);
    vec(("[ab]{1,2}", prefix(), tools), 1..5)
}

fn rows(servers: &[Owned]) -> Vec<Row<'_>> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for (server, prefix, tools) in servers {
        let first = servers.iter().find(|other| other.0 == *server).unwrap();
        let prefix = if first.1 == *prefix { prefix } else { &first.1 };
        for (tool, rename) in tools {
            if seen.insert((server, tool)) {
                rows.push((server.as_str(), tool.as_str(), prefix.clone(), rename.as_deref()));
            }
        }
    }
    rows
}

proptest! {
    #[test]
    fn names_are_good_whatever_is_asked_for(servers in servers(), most in 24usize..57) {
        let rows = rows(&servers);
        let names = named(&rows, most);
        prop_assert_eq!(names.len(), rows.len());
        prop_assert_eq!(names.iter().collect::<HashSet<_>>().len(), rows.len(), "{:?} {:?}", rows, names);
        for name in &names {
            prop_assert!(!name.is_empty() && name.len() <= most && normal(name) == *name, "{name}");
        }
    }

    #[test]
    fn order_does_not_matter(servers in servers(), turn in 0usize..40) {
        let all = rows(&servers);
        let rank: HashMap<&str, usize> =
            all.iter().enumerate().rev().map(|(rank, row)| (row.0, rank)).collect();
        let claims: Vec<Claim<'_>> = all
            .iter()
            .map(|row| Claim {
                rank: rank[row.0], server: row.0, name: row.1, prefix: &row.2, rename: row.3,
            })
            .collect();
        let mut expected: Vec<_> = claims.iter().zip(expose(&claims, 49)).collect();
        let mut turned = claims.clone();
        turned.rotate_left(turn % claims.len().max(1));
        turned.reverse();
        let mut found: Vec<_> = turned.iter().zip(expose(&turned, 49)).collect();
        expected.sort_by_key(|(claim, _)| (claim.server, claim.name));
        found.sort_by_key(|(claim, _)| (claim.server, claim.name));
        let plain = |all: Vec<(&Claim<'_>, String)>| -> Vec<String> {
            all.into_iter().map(|(claim, name)| format!("{} {} {name}", claim.server, claim.name)).collect()
        };
        prop_assert_eq!(plain(found), plain(expected));
    }
}
