//! Rate limits: how much passes, how long the rest waits, and what clocks can do to it.

use std::sync::Arc;
use std::thread;

use proptest::collection::vec;
use proptest::prelude::{prop_assert, proptest};

use crate::limits;
use crate::meter::rate::{Gate, Pass, Quantity, RateFault, Rates, Rule};
use crate::meter::scope::{Each, Scope, Who};

const MINUTE: u64 = 60_000;
const NOW: u64 = 1_795_348_800_000;
const ANA: Who<'_> =
    Who { team: "platform", key: "laptop", user: "ana", model: "m", provider: "p", server: "", tool: "" };

fn rule(name: &str) -> Rule {
    Rule {
        name: name.to_owned(),
        scope: Scope::Org,
        each: None,
        requests_per_minute: None,
        tokens_per_minute: None,
        streams: None,
    }
}

fn requests(per_minute: u64) -> Rule {
    Rule { requests_per_minute: Some(per_minute), ..rule("requests") }
}

fn tokens(per_minute: u64) -> Rule {
    Rule { tokens_per_minute: Some(per_minute), ..rule("tokens") }
}

fn gate(rules: &[Rule]) -> Gate {
    Gate::new(&Rates::new(rules).unwrap())
}

/// Ends the call with as many tokens as it was expected to take.
fn passes(gate: &mut Gate, tokens: u64, now_ms: u64) -> bool {
    gate.enter(&ANA, tokens, now_ms).is_ok_and(|pass| {
        pass.finish(tokens, now_ms);
        true
    })
}

fn burst(gate: &mut Gate, now_ms: u64) -> usize {
    (0..10_000).take_while(|_| passes(gate, 0, now_ms)).count()
}

#[test]
fn a_minute_may_be_used_at_once_and_comes_back_evenly() {
    let mut gate = gate(&[requests(60)]);
    assert_eq!(burst(&mut gate, NOW), 60);
    let limited = gate.enter(&ANA, 0, NOW).unwrap_err();
    assert_eq!(
        (limited.quantity, limited.retry_after_ms, limited.retry_after_s()),
        (Quantity::Requests, 1000, 1)
    );
    assert_eq!(
        limited.sentence(),
        "rate limit `requests` (the organisation) allows 60 requests a minute: try again in 1 s"
    );
    assert_eq!(burst(&mut gate, NOW + 999), 0);
    assert_eq!(burst(&mut gate, NOW + 1000), 1);
    assert_eq!(burst(&mut gate, NOW + 11_000), 10);
    assert_eq!(burst(&mut gate, NOW + 10 * MINUTE), 60, "no more is saved up than a minute");
}

#[test]
fn exactly_what_is_allowed_fits_into_a_minute() {
    for allowed in [1, 7, 59, 61, 1_000, 8_999] {
        let mut gate = gate(&[requests(allowed)]);
        assert_eq!(burst(&mut gate, NOW) as u64, allowed);
        assert_eq!(burst(&mut gate, NOW + MINUTE) as u64, allowed);
    }
}

#[test]
fn tokens_are_estimated_first_and_counted_afterwards() {
    let mut gate = gate(&[tokens(600)]);
    let pass = gate.enter(&ANA, 500, NOW).unwrap();
    let limited = gate.enter(&ANA, 200, NOW).unwrap_err();
    assert_eq!((limited.quantity, limited.retry_after_ms), (Quantity::Tokens, 10_000));
    pass.finish(100, NOW + 5_000);
    assert!(passes(&mut gate, 500, NOW + 5_000), "what was not used is back");
    // 100 and 500 used, 50 paid for by time: 550 are owed, and now 600 more.
    let pass = gate.enter(&ANA, 50, NOW + 5_000).unwrap();
    pass.finish(650, NOW + 5_000);
    let limited = gate.enter(&ANA, 0, NOW + 5_000).unwrap_err();
    assert_eq!(limited.retry_after_ms, MINUTE, "1200 are owed");
    assert!(!passes(&mut gate, 0, NOW + 5_000 + MINUTE - 1));
    assert!(passes(&mut gate, 0, NOW + 5_000 + MINUTE));
}

#[test]
fn what_time_has_paid_for_is_not_given_back_as_well() {
    let mut gate = gate(&[tokens(600)]);
    let slow = gate.enter(&ANA, 600, NOW).unwrap();
    assert!(passes(&mut gate, 600, NOW + 2 * MINUTE));
    slow.finish(0, NOW + 2 * MINUTE);
    assert!(!passes(&mut gate, 600, NOW + 2 * MINUTE));
}

#[test]
fn a_call_that_is_larger_than_a_minute_waits_for_all_and_is_paid_for_in_full() {
    let mut gate = gate(&[tokens(600)]);
    assert!(passes(&mut gate, 6, NOW));
    let limited = gate.enter(&ANA, 1_800, NOW).unwrap_err();
    assert_eq!(limited.retry_after_ms, 600);
    assert!(passes(&mut gate, 1_800, NOW + 600));
    assert_eq!(gate.enter(&ANA, 6, NOW + 600).unwrap_err().retry_after_ms, 2 * MINUTE + 600);
    assert!(!passes(&mut gate, 6, NOW + 600 + 2 * MINUTE));
    let pass = gate.enter(&ANA, 0, NOW + 5 * MINUTE).unwrap();
    pass.finish(u64::MAX, NOW + 5 * MINUTE);
    let debt = u64::try_from(limits::RATE_DEBT.as_millis()).unwrap();
    assert_eq!(gate.enter(&ANA, 0, NOW + 5 * MINUTE).unwrap_err().retry_after_ms, debt - MINUTE);
}

#[test]
fn calls_under_way_are_counted_until_they_end_in_any_way() {
    let rates = Rates::new(&[Rule { streams: Some(2), ..rule("streams") }]).unwrap();
    let (mut one, mut other) = (Gate::new(&rates), Gate::new(&rates));
    let first = one.enter(&ANA, 0, NOW).unwrap();
    let second = other.enter(&ANA, 0, NOW).unwrap();
    let limited = one.enter(&ANA, 0, NOW).unwrap_err();
    assert_eq!((limited.quantity, limited.retry_after_ms), (Quantity::Streams, 1000));
    drop(first);
    let third = other.enter(&ANA, 0, NOW).unwrap();
    second.finish(7, NOW);
    third.finish(7, NOW);
    let held: Vec<Pass> = (0..3).filter_map(|_| one.enter(&ANA, 0, NOW).ok()).collect();
    assert_eq!(held.len(), 2);
}

#[test]
fn what_is_refused_has_used_nothing() {
    let wide = Rule { streams: Some(9), tokens_per_minute: Some(100), ..requests(100) };
    let narrow = Rule { name: "narrow".into(), scope: Scope::Key("laptop".into()), ..requests(1) };
    let mut gate = gate(&[wide, narrow]);
    assert!(passes(&mut gate, 10, NOW));
    for _ in 0..200 {
        let limited = gate.enter(&ANA, 10, NOW).unwrap_err();
        assert_eq!((&*limited.rule, limited.retry_after_ms), ("narrow", MINUTE));
    }
    let others = (0..200).filter(|_| {
        let pass = gate.enter(&Who { key: "other", ..ANA }, 10, NOW);
        pass.is_ok_and(|pass| {
            pass.finish(10, NOW);
            true
        })
    });
    assert_eq!(others.count(), 9);
}

#[test]
fn each_part_has_its_own_and_their_number_is_bounded() {
    let rates = Rates::new(&[Rule { each: Some(Each::Key), ..requests(1) }]).unwrap();
    let mut gate = Gate::new(&rates);
    for number in 0..limits::RATE_INSTANCES_MAX {
        let key = number.to_string();
        assert!(gate.enter(&Who { key: &key, ..ANA }, 0, NOW).is_ok());
    }
    let limited = gate.enter(&ANA, 0, NOW).unwrap_err();
    assert_eq!((limited.quantity, limited.retry_after_s()), (Quantity::Instances, 1));
    let mut second = Gate::new(&rates);
    assert!(second.enter(&ANA, 0, NOW + MINUTE).is_ok(), "all the others have nothing to remember by now");
    assert!(gate.enter(&Who { key: "1", ..ANA }, 0, NOW + MINUTE).is_ok());
    assert!(second.enter(&Who { key: "1", ..ANA }, 0, NOW + MINUTE).is_err(), "both ask the same counter");
}

#[test]
fn a_clock_that_is_set_back_locks_nobody_out_and_opens_nothing() {
    for back in [500, 5_000, 10 * MINUTE, 1000 * 24 * 60 * MINUTE] {
        let mut gate = gate(&[requests(60)]);
        assert_eq!(burst(&mut gate, NOW), 60);
        let now = NOW - back;
        assert_eq!(burst(&mut gate, now), 0, "nothing is opened");
        let slack = u64::try_from(limits::RATE_CLOCK_SLACK.as_millis()).unwrap();
        let wait = gate.enter(&ANA, 0, now).unwrap_err().retry_after_ms;
        assert!(wait <= 1000 + slack, "waits {wait} ms after {back} ms back");
        assert_eq!(burst(&mut gate, now + wait), 1);
        assert_eq!(burst(&mut gate, now + wait + 10_000), 10);
    }
}

#[test]
fn a_clock_that_leaps_ahead_opens_one_minute_more_and_no_more() {
    let mut gate = gate(&[requests(60)]);
    let ahead = NOW + 1000 * 24 * 60 * MINUTE;
    assert_eq!(burst(&mut gate, NOW) + burst(&mut gate, ahead) + burst(&mut gate, NOW), 120);
    assert_eq!(burst(&mut gate, NOW + 5_000), 5, "and time goes on when it is put right");
}

#[test]
fn a_new_config_remembers_what_is_used() {
    let rates = Rates::new(&[requests(60)]).unwrap();
    let mut gate = Gate::new(&rates);
    assert_eq!(burst(&mut gate, NOW), 60);
    rates.reload(&[tokens(5), requests(120)]).unwrap();
    assert_eq!(burst(&mut gate, NOW + 1000), 2, "at the new rate");
    assert_eq!(rates.reload(&[rule("")]), Err(RateFault::NoName));
    rates.reload(&[Rule { scope: Scope::Key("laptop".into()), ..requests(60) }]).unwrap();
    assert_eq!(burst(&mut gate, NOW + 1000), 60, "another scope is another limit");
    assert!(Rates::new(&[requests(0)]).is_err_and(|fault| fault == RateFault::Number("requests".into())));
    assert!(Rates::new(&[tokens(u64::MAX)]).is_err());
    let twice = [rule("a"), rule("a")];
    assert!(Rates::new(&twice).is_err_and(|fault| fault == RateFault::SameName("a".into())));
}

#[test]
fn threads_share_a_limit_exactly() {
    let rates = Rates::new(&[requests(1_000), Rule { streams: Some(5), ..rule("streams") }]).unwrap();
    let passed: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..8)
            .map(|_| {
                scope.spawn(|| {
                    let mut gate = Gate::new(&rates);
                    (0..3_000).filter(|_| passes(&mut gate, 0, NOW)).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    // A call may meet five others under way; it has used no request then.
    let mut gate = Gate::new(&rates);
    let rest = burst(&mut gate, NOW);
    assert_eq!(passed + rest, 1_000);
    let held: Vec<_> = (0..9).filter_map(|_| gate.enter(&ANA, 0, NOW + MINUTE).ok()).collect();
    assert_eq!(held.len(), 5, "all that were under way have ended");
}

proptest! {
    #[test]
    fn no_minute_has_more_than_two_and_all_that_wait_pass_when_they_are_told(
        per_minute in 1u64..200, steps in vec((0u64..3_000, 0u64..300), 1..200),
    ) {
        let mut gate = gate(&[Rule { tokens_per_minute: Some(per_minute), ..requests(per_minute) }]);
        let (mut now, mut let_in) = (NOW, Vec::new());
        for (passed, wanted) in steps {
            now += passed;
            let wanted = wanted.min(per_minute);
            if let Ok(pass) = gate.enter(&ANA, wanted, now) {
                pass.finish(wanted, now);
                let_in.push((now, wanted));
                continue;
            }
            let wait = gate.enter(&ANA, wanted, now).unwrap_err().retry_after_ms;
            prop_assert!((1..=MINUTE).contains(&wait));
            prop_assert!(gate.enter(&ANA, wanted, now + wait - 1).is_err(), "not before");
            let pass = gate.enter(&ANA, wanted, now + wait);
            prop_assert!(pass.is_ok(), "but then");
            now += wait;
            pass.unwrap().finish(wanted, now);
            let_in.push((now, wanted));
        }
        for (place, &(start, _)) in let_in.iter().enumerate() {
            let minute = || let_in[place..].iter().take_while(|(at, _)| *at < start + MINUTE);
            prop_assert!(minute().count() as u64 <= 2 * per_minute);
            prop_assert!(minute().map(|(_, tokens)| tokens).sum::<u64>() <= 2 * per_minute);
        }
    }
}

#[test]
fn the_largest_numbers_do_no_harm() {
    let all = Rule {
        tokens_per_minute: Some(limits::RATE_PER_MINUTE_MAX),
        streams: Some(1),
        ..requests(limits::RATE_PER_MINUTE_MAX)
    };
    let rates: Arc<Rates> = Rates::new(&[all]).unwrap();
    let mut gate = Gate::new(&rates);
    for at_ms in [0, u64::MAX, NOW, 0] {
        if let Ok(pass) = gate.enter(&ANA, u64::MAX, at_ms) {
            pass.finish(u64::MAX, at_ms);
        }
    }
}

#[test]
fn a_call_that_loses_a_race_uses_nothing() {
    // Of two calls that look at once, one finds the second limit full after it has used the first.
    let wide = requests(9_000);
    let narrow = Rule { streams: Some(1), ..rule("narrow") };
    let rates = Rates::new(&[wide, narrow]).unwrap();
    let passed: usize = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(|| {
                    let mut gate = Gate::new(&rates);
                    (0..2_000).filter(|_| passes(&mut gate, 0, NOW)).count()
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(burst(&mut Gate::new(&rates), NOW), 9_000 - passed);
}
