//! Budgets case by case: what fits, what is said when it does not, and what is left afterwards.

use std::sync::Arc;
use std::thread;

use crate::glob::Glob;
use crate::limits;
use crate::meter::budget::{BudgetFault, Budgets, Definition, Mode, State};
use crate::meter::desk::{Ask, Desk};
use crate::meter::notice;
use crate::meter::refused::Cause;
use crate::meter::scope::{Each, Scope, Who};
use crate::meter::window::{Unit, Window, Zone};

const DOLLAR: u64 = 1_000_000_000_000;
const CENT: u64 = DOLLAR / 100;
const HOUR: u64 = 60 * 60 * 1000;
/// 22 November 2026, 12:00 UTC.
const NOON: u64 = 1_795_348_800_000;
const TTL: u64 = limits::LEASE_TTL.as_secs() * 1000;
const LATE: u64 = limits::LEASE_LATE.as_secs() * 1000;

const ANA: Who<'_> = Who {
    team: "platform",
    key: "laptop",
    user: "ana",
    model: "claude-opus-5",
    provider: "anthropic",
    server: "",
    tool: "",
};

fn calendar(unit: Unit) -> Window {
    Window::Calendar { unit, zone: Zone::utc() }
}

fn strict(name: &str, scope: Scope, limit_pico: u64) -> Definition {
    Definition {
        name: name.to_owned(),
        scope,
        each: None,
        limit_pico,
        window: calendar(Unit::Day),
        mode: Mode::Strict,
        warn_percents: vec![95, 75],
    }
}

fn elastic(name: &str, limit_pico: u64, chunk_pico: u64) -> Definition {
    Definition { mode: Mode::Elastic { chunk_pico }, ..strict(name, Scope::Org, limit_pico) }
}

fn open(definitions: &[Definition]) -> (Arc<Budgets>, Desk) {
    let budgets = Budgets::new(definitions).unwrap();
    let desk = Desk::new(&budgets);
    (budgets, desk)
}

fn state(budgets: &Budgets, name: &str, now_ms: u64) -> State {
    let mut found = budgets.states(now_ms).into_iter().filter(|state| &*state.name == name);
    let state = found.next().unwrap();
    assert_eq!(found.next(), None);
    state
}

/// What is spent and what is reserved, in cents.
fn cents(budgets: &Budgets, name: &str, now_ms: u64) -> (u64, u64) {
    let state = state(budgets, name, now_ms);
    (state.spent_pico / CENT, state.reserved_pico / CENT)
}

fn worst(cents: u64, estimate: u64) -> Ask {
    Ask { worst_pico: cents * CENT, estimate_pico: estimate * CENT }
}

#[test]
fn all_budgets_reserve_or_none() {
    let mut key = strict("key", Scope::Key("laptop".into()), 5 * CENT);
    key.window = calendar(Unit::Month);
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 10 * CENT), key]);
    let first = desk.reserve(&ANA, Ask::exactly(3 * CENT), NOON).unwrap();
    assert_eq!(desk.charged(first).iter().map(|name| &**name).collect::<Vec<_>>(), ["org", "key"]);
    let refused = desk.reserve(&ANA, Ask::exactly(3 * CENT), NOON).unwrap_err();
    assert_eq!((&*refused.budget, refused.cause), ("key", Cause::Spent));
    assert!(refused.is_momentary(), "the first one may turn out cheaper");
    assert_eq!(cents(&budgets, "org", NOON), (0, 3), "nothing stays of it in the other budget");
    assert!(desk.settle(first, 2 * CENT));
    assert_eq!(cents(&budgets, "org", NOON), (2, 0));
    assert_eq!(cents(&budgets, "key", NOON), (2, 0));
    assert!(desk.reserve(&ANA, Ask::exactly(3 * CENT), NOON).is_ok());
}

#[test]
fn settling_twice_is_settling_once() {
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 10 * CENT)]);
    let mut other = Desk::new(&budgets);
    let lease = desk.reserve(&ANA, Ask::exactly(5 * CENT), NOON).unwrap();
    assert!(!other.settle(lease, CENT), "another desk knows nothing of it");
    assert!(!other.renew(lease, NOON));
    assert!(desk.settle(lease, 4 * CENT));
    assert!(!desk.settle(lease, 4 * CENT));
    assert!(!desk.renew(lease, NOON));
    assert_eq!(desk.top_up(lease, 9 * CENT, NOON).unwrap_err().cause, Cause::Gone);
    assert_eq!(cents(&budgets, "org", NOON), (4, 0));
}

#[test]
fn the_refusal_names_the_budget_that_begins_anew_last() {
    let mut month = strict("month", Scope::Team("platform".into()), CENT);
    month.window = Window::Calendar { unit: Unit::Month, zone: Zone::named("Europe/Berlin").unwrap() };
    let definitions = [strict("day", Scope::Org, CENT), month, strict("other", Scope::Team("x".into()), 0)];
    let (budgets, mut desk) = open(&definitions);
    assert!(budgets.seed("month", "", NOON, CENT / 2));
    let refused = desk.reserve(&ANA, Ask::exactly(3 * CENT), NOON).unwrap_err();
    assert_eq!(
        refused.sentence(),
        "the monthly budget `month` (team platform) has $0.01, of which $0.005 is spent: too little for this \
         call, which needs up to $0.03. It begins anew on 2026-12-01 00:00 CET."
    );
    assert!(!refused.is_momentary());
    let held = Who { team: "", ..ANA };
    desk.reserve(&held, Ask::exactly(CENT), NOON).unwrap();
    let refused = desk.reserve(&held, Ask::exactly(CENT), NOON).unwrap_err();
    assert_eq!(
        refused.sentence(),
        "the daily budget `day` (the organisation) has $0.01, of which $0.00 is spent and $0.01 is held for \
         calls under way: too little for this call, which needs up to $0.01. It begins anew on \
         2026-11-23 00:00 UTC."
    );
}

#[test]
fn a_refusal_becomes_the_headers_of_the_client() {
    let mut total = strict("total", Scope::Org, 0);
    total.window = Window::Total;
    let (_budgets, mut desk) = open(&[strict("day", Scope::Org, 0)]);
    let refused = desk.reserve(&ANA, Ask::exactly(1), NOON + 500).unwrap_err();
    let headers = notice::refused(&refused, NOON + 500);
    let reset = "1795392000".to_owned();
    let expected = [
        ("x-should-retry", "false".to_owned()),
        ("anthropic-ratelimit-unified-status", "rejected".to_owned()),
        ("anthropic-ratelimit-unified-overage-utilization", "1".to_owned()),
        ("anthropic-ratelimit-unified-overage-surpassed-threshold", "1".to_owned()),
        ("anthropic-ratelimit-unified-overage-disabled-reason", "org_spend_cap_reached".to_owned()),
        ("anthropic-ratelimit-unified-overage-period", "daily".to_owned()),
        ("anthropic-ratelimit-unified-reset", reset.clone()),
        ("anthropic-ratelimit-unified-overage-reset", reset),
        ("retry-after", "43200".to_owned()),
    ];
    assert_eq!(headers, expected);
    let (_budgets, mut desk) = open(&[total]);
    let refused = desk.reserve(&ANA, Ask::exactly(1), NOON).unwrap_err();
    assert!(refused.sentence().ends_with("It does not begin anew: an administrator has to raise it."));
    assert!(!notice::refused(&refused, NOON).iter().any(|(name, _)| *name == "retry-after"));
}

#[test]
fn warnings_are_of_the_budget_that_is_used_farthest() {
    let mut week = strict("week", Scope::User("ana".into()), 10 * DOLLAR);
    week.window = calendar(Unit::Week);
    let (budgets, mut desk) = open(&[strict("day", Scope::Org, 10 * DOLLAR), week]);
    let plain = desk.warning(&ANA, NOON).unwrap();
    assert_eq!((&*plain.budget, plain.used_percent(), plain.threshold_percent), ("day", 0, None));
    assert!(budgets.seed("week", "", NOON, 8 * DOLLAR + 2 * DOLLAR / 10));
    assert!(budgets.seed("day", "", NOON, 5 * DOLLAR));
    let warning = desk.warning(&ANA, NOON).unwrap();
    assert_eq!((&*warning.budget, warning.used_percent()), ("week", 82));
    assert_eq!(warning.threshold_percent, Some(75));
    let headers = notice::allowed(&warning);
    let expected = [
        ("anthropic-ratelimit-unified-status", "allowed_warning"),
        ("anthropic-ratelimit-unified-representative-claim", "overage"),
        ("anthropic-ratelimit-unified-overage-status", "allowed_warning"),
        ("anthropic-ratelimit-unified-overage-utilization", "0.82"),
        ("anthropic-ratelimit-unified-overage-surpassed-threshold", "0.75"),
        ("anthropic-ratelimit-unified-reset", "1795392000"),
        ("anthropic-ratelimit-unified-overage-reset", "1795392000"),
    ];
    assert_eq!(headers, expected.map(|(name, value)| (name, value.to_owned())));
    assert!(budgets.seed("week", "", NOON, 50 * DOLLAR));
    let over = desk.warning(&ANA, NOON).unwrap();
    assert_eq!((over.used_percent(), over.threshold_percent), (582, Some(95)));
    assert!(
        notice::allowed(&over)
            .contains(&("anthropic-ratelimit-unified-overage-utilization", "0.99".to_owned()))
    );
    let nobody = Budgets::new(&[]).unwrap();
    assert_eq!(Desk::new(&nobody).warning(&ANA, NOON), None);
}

#[test]
fn elastic_budgets_reserve_what_is_expected_and_grow_by_chunks() {
    let (budgets, mut desk) = open(&[elastic("org", 100 * CENT, 10 * CENT)]);
    let lease = desk.reserve(&ANA, worst(90, 25), NOON).unwrap();
    let cheap = desk.reserve(&ANA, worst(90, 1), NOON).unwrap();
    assert_eq!((desk.covered_pico(lease), desk.covered_pico(cheap)), (25 * CENT, 10 * CENT));
    assert_eq!(desk.top_up(lease, 20 * CENT, NOON), Ok(25 * CENT), "nothing is needed yet");
    assert_eq!(desk.top_up(lease, 26 * CENT, NOON), Ok(35 * CENT));
    assert_eq!(desk.top_up(lease, 80 * CENT, NOON), Ok(80 * CENT), "more than a chunk at once");
    assert_eq!(desk.top_up(lease, 85 * CENT, NOON), Ok(90 * CENT));
    let refused = desk.top_up(lease, 91 * CENT, NOON).unwrap_err();
    assert_eq!((&*refused.budget, refused.asked_pico), ("org", CENT));
    assert_eq!(cents(&budgets, "org", NOON), (0, 100), "the refusal changed nothing");
    assert!(desk.settle(cheap, CENT));
    assert_eq!(desk.top_up(lease, 97 * CENT, NOON), Ok(99 * CENT), "the rest, if that is enough");
    assert!(desk.settle(lease, 97 * CENT));
    assert_eq!(cents(&budgets, "org", NOON), (98, 0));
    assert!(desk.reserve(&ANA, worst(90, 1), NOON).is_err());
    assert!(desk.reserve(&ANA, worst(2, 9), NOON).is_ok(), "no more than the worst is reserved");
}

#[test]
fn a_strict_budget_grows_for_a_call_that_was_estimated_too_low_and_stops_it_at_the_limit() {
    let (budgets, mut desk) =
        open(&[strict("strict", Scope::Org, 10 * CENT), elastic("elastic", 100 * CENT, 20 * CENT)]);
    let lease = desk.reserve(&ANA, worst(6, 2), NOON).unwrap();
    assert_eq!(cents(&budgets, "strict", NOON), (0, 6));
    assert_eq!(cents(&budgets, "elastic", NOON), (0, 6), "never more than the worst");
    assert_eq!(desk.top_up(lease, 8 * CENT, NOON), Ok(8 * CENT));
    assert_eq!(cents(&budgets, "elastic", NOON), (0, 26));
    assert_eq!(&*desk.top_up(lease, 11 * CENT, NOON).unwrap_err().budget, "strict");
    assert_eq!(cents(&budgets, "strict", NOON), (0, 8));
    assert!(desk.settle(lease, 11 * CENT), "what was produced is charged all the same");
    assert_eq!(cents(&budgets, "strict", NOON), (11, 0));
}

#[test]
fn a_lease_without_a_sign_of_life_is_charged_what_is_known() {
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 100 * CENT)]);
    let silent = desk.reserve(&ANA, worst(20, 7), NOON).unwrap();
    let heard = desk.reserve(&ANA, worst(20, 7), NOON).unwrap();
    let alive = desk.reserve(&ANA, worst(20, 7), NOON).unwrap();
    assert!(desk.top_up(heard, 3 * CENT, NOON + 1).is_ok());
    assert!(desk.renew(alive, NOON + 10));
    assert_eq!(desk.expire(NOON + TTL - 1), []);
    let lapsed = desk.expire(NOON + TTL + 1);
    let found: Vec<_> = lapsed.iter().map(|lapsed| (lapsed.lease, lapsed.charged_pico / CENT)).collect();
    assert_eq!(found, [(silent, 7), (heard, 3)]);
    assert_eq!(cents(&budgets, "org", NOON), (10, 20));
    assert_eq!(desk.expire(NOON + TTL + 2), [], "once");
    // The call was only silent: what it came to takes the place of what it was charged.
    assert!(desk.settle(silent, 9 * CENT));
    assert!(!desk.settle(silent, 9 * CENT));
    assert_eq!(cents(&budgets, "org", NOON), (12, 20));
    // And the other speaks again.
    assert_eq!(desk.top_up(heard, 5 * CENT, NOON + TTL + 3), Ok(5 * CENT));
    assert_eq!(cents(&budgets, "org", NOON), (9, 25));
    assert!(desk.settle(heard, 6 * CENT));
    assert!(desk.settle(alive, 0));
    assert_eq!(cents(&budgets, "org", NOON), (15, 0));
}

#[test]
fn what_lapsed_long_ago_is_forgotten_and_stays_charged() {
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 100 * CENT)]);
    let lease = desk.reserve(&ANA, worst(20, 7), NOON).unwrap();
    assert_eq!(desk.expire(NOON + TTL).len(), 1);
    assert_eq!(desk.expire(NOON + TTL + LATE - 1), []);
    assert!(desk.renew(lease, NOON + TTL + LATE - 1), "it is still remembered");
    assert_eq!(desk.expire(NOON + 2 * TTL + LATE).len(), 1);
    assert_eq!(desk.expire(NOON + 2 * TTL + 2 * LATE), []);
    assert!(!desk.settle(lease, CENT));
    assert_eq!(cents(&budgets, "org", NOON), (7, 0));
}

#[test]
fn a_clock_that_is_set_back_keeps_no_lease_alive() {
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 100 * CENT)]);
    desk.reserve(&ANA, worst(20, 7), NOON + 9 * HOUR).unwrap();
    assert_eq!(desk.expire(NOON), []);
    assert_eq!(desk.expire(NOON + TTL).len(), 1, "it lives from the first look at the new time");
    assert_eq!(cents(&budgets, "org", NOON), (7, 0));
}

#[test]
fn a_desk_that_is_dropped_leaves_nothing_reserved() {
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 100 * CENT)]);
    desk.reserve(&ANA, worst(20, 7), NOON).unwrap();
    let heard = desk.reserve(&ANA, worst(20, 7), NOON).unwrap();
    desk.top_up(heard, 9 * CENT, NOON).unwrap();
    let lapsed = desk.reserve(&ANA, worst(20, 1), NOON - 2 * TTL).unwrap();
    desk.expire(NOON - TTL);
    assert!(desk.renew(heard, NOON));
    drop(desk);
    assert_eq!(cents(&budgets, "org", NOON), (17, 0));
    assert!(!Desk::new(&budgets).settle(lapsed, 50 * CENT));
    assert_eq!(cents(&budgets, "org", NOON), (17, 0));
}

#[test]
fn a_call_is_charged_to_the_window_that_it_began_in() {
    let (budgets, mut desk) = open(&[strict("org", Scope::Org, 10 * CENT)]);
    let midnight = NOON + 12 * HOUR;
    let lease = desk.reserve(&ANA, Ask::exactly(6 * CENT), midnight - 1).unwrap();
    assert!(desk.reserve(&ANA, Ask::exactly(6 * CENT), midnight - 1).is_err());
    let next = desk.reserve(&ANA, Ask::exactly(6 * CENT), midnight).unwrap();
    assert_eq!(cents(&budgets, "org", midnight), (0, 6));
    assert!(desk.settle(lease, 5 * CENT));
    assert_eq!(cents(&budgets, "org", midnight), (0, 6));
    assert_eq!(cents(&budgets, "org", midnight - 1), (5, 0), "the old window is still known");
    assert!(desk.settle(next, 6 * CENT));
    assert_eq!(cents(&budgets, "org", midnight), (6, 0));
}

#[test]
fn a_rolling_budget_says_when_there_may_be_room_again() {
    let rolling = Definition {
        window: Window::rolling_hours(5).unwrap(),
        ..strict("five", Scope::User("ana".into()), 10 * CENT)
    };
    let (budgets, mut desk) = open(&[rolling]);
    let lease = desk.reserve(&ANA, Ask::exactly(6 * CENT), NOON).unwrap();
    desk.settle(lease, 6 * CENT);
    let lease = desk.reserve(&ANA, Ask::exactly(4 * CENT), NOON + HOUR).unwrap();
    desk.settle(lease, 4 * CENT);
    let refused = desk.reserve(&ANA, Ask::exactly(5 * CENT), NOON + HOUR).unwrap_err();
    let part = HOUR / 12;
    assert_eq!(refused.resets_at_ms, Some(NOON + 5 * HOUR + part), "when the six cents are too old");
    assert!(refused.sentence().starts_with("the 5-hour budget `five` (user ana) has $0.10"));
    assert!(refused.sentence().ends_with("There may be room again on 2026-11-22 17:05 UTC."));
    assert!(desk.reserve(&ANA, Ask::exactly(5 * CENT), NOON + 5 * HOUR + part - 1).is_err());
    assert!(desk.reserve(&ANA, Ask::exactly(5 * CENT), NOON + 5 * HOUR + part).is_ok());
    assert_eq!(cents(&budgets, "five", NOON + 5 * HOUR + part), (4, 5));
}

#[test]
fn a_divided_budget_gives_each_part_the_whole_limit() {
    let mut each = strict("each", Scope::Team("platform".into()), 5 * CENT);
    each.each = Some(Each::User);
    let (budgets, mut desk) = open(&[each]);
    desk.reserve(&ANA, Ask::exactly(5 * CENT), NOON).unwrap();
    let refused = desk.reserve(&ANA, Ask::exactly(CENT), NOON).unwrap_err();
    assert_eq!(refused.scope, "user ana of team platform");
    desk.reserve(&Who { user: "ben", ..ANA }, Ask::exactly(5 * CENT), NOON).unwrap();
    desk.reserve(&Who { user: "", ..ANA }, Ask::exactly(9 * CENT), NOON).unwrap();
    let names: Vec<_> = budgets.states(NOON).into_iter().map(|state| state.instance).collect();
    assert_eq!(names, ["ana", "ben"]);
}

#[test]
fn the_number_of_instances_is_bounded_and_idle_ones_make_room() {
    let mut each = strict("each", Scope::Org, 5 * CENT);
    each.each = Some(Each::Key);
    let (budgets, mut desk) = open(&[each]);
    for number in 0..limits::BUDGET_INSTANCES_MAX {
        assert!(budgets.seed("each", &number.to_string(), NOON, CENT));
    }
    assert!(!budgets.seed("each", "one more", NOON, CENT));
    let refused = desk.reserve(&ANA, Ask::exactly(1), NOON).unwrap_err();
    assert_eq!((refused.cause, refused.is_momentary()), (Cause::Crowded, true));
    assert!(desk.reserve(&ANA, Ask::exactly(1), NOON + 24 * HOUR).is_ok(), "yesterday's are over");
}

#[test]
fn a_new_config_keeps_what_is_spent_of_what_it_keeps() {
    let org = strict("org", Scope::Org, 10 * CENT);
    let team = strict("team", Scope::Team("platform".into()), 10 * CENT);
    let (budgets, mut desk) = open(&[org.clone(), team.clone()]);
    let lease = desk.reserve(&ANA, Ask::exactly(4 * CENT), NOON).unwrap();
    let second = desk.reserve(&ANA, Ask::exactly(4 * CENT), NOON).unwrap();
    assert!(desk.settle(second, 4 * CENT));
    let other = Definition { window: calendar(Unit::Month), ..team };
    let raised = Definition { limit_pico: 20 * CENT, ..org.clone() };
    assert_eq!(budgets.reload(&[other, raised.clone()]), Ok(vec!["team".to_owned()]));
    assert_eq!(cents(&budgets, "org", NOON), (4, 4));
    assert_eq!(cents(&budgets, "team", NOON), (0, 0), "another window is another budget");
    assert_eq!(desk.top_up(lease, 9 * CENT, NOON), Ok(9 * CENT), "the old team budget stops nobody");
    assert!(desk.reserve(&ANA, Ask::exactly(8 * CENT), NOON).is_err());
    let third = desk.reserve(&ANA, Ask::exactly(7 * CENT), NOON).unwrap();
    assert!(desk.settle(lease, 9 * CENT));
    assert!(desk.settle(third, 7 * CENT));
    assert_eq!((cents(&budgets, "org", NOON), cents(&budgets, "team", NOON)), ((20, 0), (7, 0)));
    let twice = [raised.clone(), raised];
    assert_eq!(budgets.reload(&twice), Err(BudgetFault::SameName("org".into())));
    assert_eq!(cents(&budgets, "org", NOON), (20, 0), "nothing changed");
    assert_eq!(budgets.reload(&[]), Ok(vec![]));
    assert!(desk.reserve(&ANA, Ask::exactly(DOLLAR), NOON).is_ok());
    assert_eq!(budgets.reload(&[org]), Ok(vec!["org".to_owned()]), "it has to be seeded again");
}

#[test]
fn definitions_that_cannot_be_are_refused_by_name() {
    let good = strict("good", Scope::ModelGroup(vec![Glob::new("claude-*")]), DOLLAR);
    let bad = |change: fn(&mut Definition)| {
        let mut definition = Definition { name: "bad".into(), ..good.clone() };
        change(&mut definition);
        Budgets::new(&[good.clone(), definition]).unwrap_err()
    };
    let name = || "bad".to_owned();
    assert_eq!(bad(|it| it.name.clear()), BudgetFault::NoName);
    assert_eq!(bad(|it| it.name = "good".into()), BudgetFault::SameName("good".into()));
    assert_eq!(bad(|it| it.limit_pico = limits::BUDGET_PICO_MAX + 1), BudgetFault::Limit(name()));
    assert_eq!(bad(|it| it.mode = Mode::Elastic { chunk_pico: 0 }), BudgetFault::Chunk(name()));
    assert_eq!(bad(|it| it.mode = Mode::Elastic { chunk_pico: u64::MAX }), BudgetFault::Chunk(name()));
    assert_eq!(bad(|it| it.warn_percents = vec![101]), BudgetFault::Warnings(name()));
    assert_eq!(bad(|it| it.warn_percents = vec![0]), BudgetFault::Warnings(name()));
    assert_eq!(bad(|it| it.warn_percents = vec![1; 9]), BudgetFault::Warnings(name()));
    let many: Vec<_> = (0..=limits::BUDGETS_MAX)
        .map(|number| Definition { name: number.to_string(), ..good.clone() })
        .collect();
    assert_eq!(Budgets::new(&many).unwrap_err(), BudgetFault::TooMany(limits::BUDGETS_MAX + 1));
    assert!(BudgetFault::Warnings(name()).to_string().contains("up to 8 percentages"));
}

#[test]
fn what_a_call_spent_is_added_to_the_budgets_that_are_named() {
    let each = |name: &str, window| Definition {
        each: Some(Each::Key),
        window,
        ..strict(name, Scope::Team("platform".into()), DOLLAR)
    };
    let rolling = Window::Rolling { length_ms: 24 * HOUR };
    let definitions = [
        each("rolling", rolling.clone()),
        each("day", calendar(Unit::Day)),
        each("other", rolling),
        strict("org", Scope::Org, DOLLAR),
    ];
    let (budgets, mut desk) = open(&definitions);
    let names = ["rolling", "day", "nobody"].map(str::to_owned);
    let ben = Who { key: "ci", ..ANA };
    for (who, at_ms, spent) in [
        (&ANA, NOON, 3),
        (&ANA, NOON - HOUR, 4),
        (&ben, NOON, 5),
        // Yesterday: in another window of the calendar, and still in the rolling one.
        (&ANA, NOON - 20 * HOUR, 6),
        (&ANA, NOON - 30 * HOUR, 7),
        // In no part, and in no scope.
        (&Who { key: "", ..ANA }, NOON, 8),
        (&Who { team: "web", ..ANA }, NOON, 9),
    ] {
        budgets.seed_for(&names, who, at_ms, spent * CENT);
    }
    let lease = desk.reserve(&ANA, Ask::exactly(10 * CENT), NOON).unwrap();
    budgets.seed_for(&names[..1], &ANA, NOON, CENT);
    let spent = |name: &str, instance: &str| {
        let states = budgets.states(NOON).into_iter();
        let mut found = states.filter(|state| &*state.name == name && state.instance == instance);
        found.next().map(|state| (state.spent_pico / CENT, state.reserved_pico / CENT))
    };
    assert_eq!((spent("rolling", "laptop"), spent("rolling", "ci")), (Some((14, 10)), Some((5, 0))));
    assert_eq!((spent("day", "laptop"), spent("day", "ci")), (Some((7, 10)), Some((5, 0))));
    assert_eq!((spent("other", "laptop"), spent("other", "ci")), (Some((0, 10)), None));
    assert_eq!(spent("org", ""), Some((0, 10)));
    assert!(desk.settle(lease, 0));
    assert_eq!((spent("rolling", "laptop"), spent("day", "laptop")), (Some((14, 0)), Some((7, 0))));
}

#[test]
fn the_largest_numbers_do_no_harm() {
    let (budgets, mut desk) = open(&[elastic("org", limits::BUDGET_PICO_MAX, limits::BUDGET_PICO_MAX)]);
    let lease = desk.reserve(&ANA, Ask { worst_pico: 5, estimate_pico: u64::MAX }, u64::MAX).unwrap();
    assert!(desk.top_up(lease, u64::MAX, u64::MAX).is_err());
    assert!(desk.settle(lease, u64::MAX));
    assert!(!budgets.seed("nobody", "", NOON, 1));
    let refused = desk.reserve(&ANA, Ask::exactly(u64::MAX), u64::MAX).unwrap_err();
    assert!(!refused.is_momentary());
    assert!(refused.sentence().contains("$18446744.07"), "{}", refused.sentence());
    assert!(desk.warning(&ANA, u64::MAX).unwrap().used_percent() > 100);
    assert_eq!(desk.expire(0), []);
}

#[test]
fn exactly_as_many_threads_pass_as_the_limit_allows() {
    const AMOUNT: u64 = 3;
    const THREADS: u64 = 8;
    for limit in [10, 1_000, 100_001] {
        let mut each = strict("user", Scope::Org, limit);
        each.each = Some(Each::User);
        // The second budget is tighter: what it refuses has to come back in the first one.
        let (budgets, _) = open(&[strict("org", Scope::Org, limit * 2), each]);
        let passed: u64 = thread::scope(|scope| {
            let threads: Vec<_> = (0..THREADS)
                .map(|_| {
                    scope.spawn(|| {
                        let mut desk = Desk::new(&budgets);
                        let tries = limit.min(5_000) * 2 / THREADS + limit / AMOUNT / THREADS * 2;
                        (0..tries).filter_map(|_| desk.reserve(&ANA, Ask::exactly(AMOUNT), NOON).ok()).count()
                            as u64
                    })
                })
                .collect();
            // Each desk charges what it held when its thread ends.
            threads.into_iter().map(|thread| thread.join().unwrap()).sum()
        });
        assert_eq!(passed, limit / AMOUNT);
        for name in ["org", "user"] {
            let state = state(&budgets, name, NOON);
            assert_eq!((state.spent_pico, state.reserved_pico), (limit / AMOUNT * AMOUNT, 0), "{name}");
        }
    }
}

#[test]
fn a_reservation_that_loses_a_race_leaves_nothing() {
    // One call at a time fits into the second budget: of two that look at once, one has to take back what it
    // has in the first.
    let definitions = [strict("wide", Scope::Org, DOLLAR), strict("narrow", Scope::Org, CENT)];
    let (budgets, _) = open(&definitions);
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut desk = Desk::new(&budgets);
                for _ in 0..15_000 {
                    if let Ok(lease) = desk.reserve(&ANA, Ask::exactly(CENT), NOON) {
                        assert!(desk.settle(lease, 0));
                    }
                }
            });
        }
    });
    assert_eq!((cents(&budgets, "wide", NOON), cents(&budgets, "narrow", NOON)), ((0, 0), (0, 0)));
}
