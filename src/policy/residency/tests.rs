//! Tables of where calls may run, and that nothing else can be got out of the rules.

use std::sync::Arc;

use proptest::prelude::{Strategy, prop_assert, prop_assert_eq, proptest};

use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::ids::{KeyName, TeamName};
use crate::policy::residency::{Place, PlacedPermit, Tenancy, Territory};
use crate::policy::rules::{Rules, Team};

fn globs(patterns: &[&str]) -> Arc<[Glob]> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn caller(team: Option<&str>, regions: Option<&[&str]>) -> Principal {
    Principal {
        team: team.map(TeamName::new),
        regions: regions.map(globs),
        ..Principal::of_key(KeyName::new("ci"), "0123456789ab")
    }
}

fn place(regions: &[&str], tenancy: Tenancy) -> Arc<Place> {
    let regions: Vec<String> = regions.iter().map(|&region| region.to_owned()).collect();
    Place::of_provider("p", &regions, tenancy)
}

fn rules() -> Rules {
    let team = |regions: Option<&[&str]>, tenancies: Option<&[Tenancy]>| {
        let territory = Territory {
            regions: regions.map(globs),
            tenancies: tenancies.map(|list| list.iter().copied().collect()),
        };
        Team { territory, ..Team::default() }
    };
    Rules::new([
        (TeamName::new("payments"), team(Some(&["eu", "eu-*"]), None)),
        (TeamName::new("vault"), team(Some(&["eu"]), Some(&[Tenancy::Dedicated, Tenancy::OnPrem]))),
        (TeamName::new("free"), team(None, None)),
        (TeamName::new("nowhere"), team(Some(&[]), None)),
    ])
}

/// Team, regions of the key, regions and tenancy of a place; nothing, or what is said.
type Case = (
    Option<&'static str>,
    Option<&'static [&'static str]>,
    (&'static [&'static str], Tenancy),
    Option<&'static str>,
);

#[test]
fn a_place_is_good_only_where_key_and_team_both_say_so() {
    use Tenancy::{OnPrem, Shared};
    const CASES: &[Case] = &[
        (None, None, (&[], Shared), None),
        (Some("free"), None, (&[], Shared), None),
        (Some("payments"), None, (&["eu"], Shared), None),
        (Some("payments"), None, (&["eu-west"], Shared), None),
        (Some("payments"), None, (&["eu", "eu-west"], Shared), None),
        (
            Some("payments"),
            None,
            (&["us"], Shared),
            Some("(team payments: regions eu, eu-*), and there is provider p: us"),
        ),
        (Some("payments"), None, (&["eu", "us"], Shared), Some("there is provider p: eu, us")),
        (Some("payments"), None, (&[], Shared), Some("there is provider p: region unknown")),
        (Some("payments"), None, (&["europe"], Shared), Some("provider p: europe")),
        (Some("payments"), Some(&["eu-west"]), (&["eu-west"], Shared), None),
        (
            Some("payments"),
            Some(&["eu-west"]),
            (&["eu"], Shared),
            Some("(key ci: regions eu-west, team payments: regions eu, eu-*)"),
        ),
        // A key is stricter only: it opens nothing that its team does not have.
        (Some("payments"), Some(&["*"]), (&["us"], Shared), Some("team payments: regions eu, eu-*")),
        (None, Some(&["eu"]), (&["us"], Shared), Some("(key ci: regions eu)")),
        (None, Some(&["eu"]), (&[], Shared), Some("region unknown")),
        (None, Some(&["*"]), (&[], Shared), Some("region unknown")),
        (Some("vault"), None, (&["eu"], OnPrem), None),
        (
            Some("vault"),
            None,
            (&["eu"], Shared),
            Some("team vault: tenancies dedicated, on_prem), and there is provider p: eu, shared"),
        ),
        (Some("nowhere"), None, (&["eu"], Shared), Some("(team nowhere: regions none)")),
        (Some("ghost"), None, (&["eu"], Shared), Some("(team ghost: unknown)")),
    ];
    for (team, own, (regions, tenancy), refused) in CASES {
        let (rules, caller) = (rules(), caller(*team, *own));
        let residency = rules.residency(&caller);
        let place = place(regions, *tenancy);
        let permit = rules.permit_listing(&caller);
        let placed = residency.place(&permit, &place);
        assert_eq!(residency.allows(&place), refused.is_none(), "{team:?} {own:?} {regions:?}");
        match (placed, refused) {
            (Ok(placed), None) => assert!(placed.is_for("p") && !placed.is_for("q")),
            (Err(outside), Some(said)) => {
                let text = outside.to_string();
                assert!(text.contains(said), "{text} has no {said}");
                assert!(text.contains(outside.rule()), "{text}");
            }
            (placed, refused) => panic!("{placed:?} is not {refused:?}"),
        }
    }
}

#[test]
fn the_rule_stands_in_the_decision_where_there_is_one() {
    let (rules, free, bound) = (rules(), caller(Some("free"), None), caller(Some("payments"), None));
    let decision = |caller: &Principal| rules.residency(caller).decision(&rules.permit_listing(caller));
    assert_eq!(decision(&free), "no rule: all models");
    assert_eq!(decision(&bound), "no rule: all models; team payments: regions eu, eu-*");
    assert!(rules.residency(&free).is_free() && !rules.residency(&bound).is_free());
    assert!(!rules.residency(&caller(Some("ghost"), None)).is_free());
}

#[test]
fn what_a_request_asks_for_has_to_be_named_by_the_rules() {
    let (rules, bound) = (rules(), caller(Some("payments"), None));
    let residency = rules.residency(&bound);
    for (asked, allowed) in
        [("eu", true), ("eu-1", true), ("us", false), ("global", false), ("EU", false), ("", false)]
    {
        assert_eq!(residency.allows_region(asked), allowed, "{asked}");
    }
    assert!(rules.residency(&caller(Some("free"), None)).allows_region("global"));
}

#[test]
fn an_answers_word_agrees_with_its_area_and_contradicts_another() {
    for (regions, said, contradicts) in [
        (&["eu"][..], "eu", false),
        (&["eu"], "EU", false),
        (&["eu"], "eu-central-1", false),
        (&["eu-central-1"], "eu", false),
        (&["eu"], "us", true),
        (&["eu"], "global", true),
        (&["eu"], "europe", true),
        (&["eu-west"], "eu-east", true),
        (&["eu", "us"], "us", false),
        (&["global"], "global", false),
        (&["eu"], "not_available", false),
        (&["eu"], "", false),
        (&[], "us", false),
    ] {
        assert_eq!(
            place(regions, Tenancy::Shared).is_contradicted_by(said),
            contradicts,
            "{regions:?} {said}"
        );
    }
}

#[test]
fn many_places_make_a_short_sentence() {
    let regions: Vec<String> = (0..40).map(|n| format!("region-{n}")).collect();
    let places: Vec<_> =
        (0..200).map(|n| Place::of_server(&format!("s{n}"), &regions[..1], Tenancy::Shared)).collect();
    let (rules, bound) = (rules(), caller(Some("payments"), None));
    let text = rules.residency(&bound).outside("a call", places.iter().map(|place| &**place)).to_string();
    assert!(text.ends_with("and 188 more") && text.len() < 1000, "{text}");
}

#[test]
fn the_gateways_own_permit_is_for_every_place() {
    assert!(PlacedPermit::own().is_for("anything") && PlacedPermit::for_tests().is_for("anything"));
}

/// Regions and patterns of few letters, so that they meet.
fn regions() -> impl Strategy<Value = Vec<String>> {
    proptest::collection::vec("[ab]{1,2}", 0..3)
}

fn patterns() -> impl Strategy<Value = Option<Vec<String>>> {
    proptest::option::of(proptest::collection::vec("[ab*]{1,2}", 0..3))
}

proptest! {
    #[test]
    fn a_permit_is_placed_exactly_where_every_rule_has_every_region(
        (own, team) in (patterns(), patterns()),
        tenancies in proptest::option::of(proptest::collection::vec(0_usize..3, 0..3)),
        tenancy in 0_usize..3,
        regions in regions(),
    ) {
        let word = |place: usize| Tenancy::WORDS[place].1;
        let as_globs = |list: &Vec<String>| -> Arc<[Glob]> {
            list.iter().map(|text| Glob::new(text)).collect()
        };
        let territory = Territory {
            regions: team.as_ref().map(as_globs),
            tenancies: tenancies.as_ref().map(|list| list.iter().map(|&place| word(place)).collect()),
        };
        let rules = Rules::new([(TeamName::new("t"), Team { territory, ..Team::default() })]);
        let caller = Principal { regions: own.as_ref().map(as_globs), ..caller(Some("t"), None) };
        let place = Place::of_provider("p", &regions, word(tenancy));
        // The definition, once more in other words.
        let by = |list: &Option<Vec<String>>| match list {
            None => true,
            Some(list) => {
                let fits = |region: &String| list.iter().any(|pattern| Glob::new(pattern).matches(region));
                !regions.is_empty() && regions.iter().all(fits)
            }
        };
        let tenancy_fits = tenancies.as_ref().is_none_or(|list| list.contains(&tenancy));
        let allowed = by(&own) && by(&team) && tenancy_fits;
        let residency = rules.residency(&caller);
        prop_assert_eq!(residency.allows(&place), allowed);
        prop_assert_eq!(residency.place(&rules.permit_listing(&caller), &place).is_ok(), allowed);
        prop_assert!(!residency.is_free() || allowed);
        let view = rules.view_key(&caller);
        prop_assert_eq!(view.is_everything(), residency.is_free());
    }
}
