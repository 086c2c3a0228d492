//! What holds of routing whatever happens in whatever order.

use proptest::prelude::{Strategy, any, prop_assert, prop_assert_eq, prop_oneof, proptest};

use crate::limits;
use crate::route::attempts::{Attempts, Terms};
use crate::route::breaker::{Breaker, Ticket, Turn, Went};
use crate::route::choose::{Ask, Health, Pass, Picked, Session};
use crate::route::failure::{Kind, Limit, Next, Verdict};
use crate::route::fit::{Fit, Needs};
use crate::route::lanes::{Lane, Names, Tried, lanes};
use crate::route::model::Target;

const NOW: u64 = 1_800_000_000_000;

fn lane(target: usize, name: u64, weight: f64, priority: u32) -> Lane {
    Lane { target, key: 0, names: Names::of("p", &format!("m{name}"), 0), weight, priority }
}

fn ask<'a>(lanes: &'a [Lane], session: Option<u64>, now_ms: u64) -> Ask<'a> {
    let session = session.map(|hash| Session { hash, warm_ms: limits::CACHE_WARM_MS });
    Ask { lanes, tried: Tried::default(), session, now_ms }
}

fn picked(health: &mut Health, ask: &Ask<'_>) -> Option<Pass> {
    match health.pick(ask) {
        Picked::Lane(pass) => Some(pass),
        Picked::Resting(_) | Picked::Exhausted => None,
    }
}

/// A session's lane when nothing is known of it.
fn home(lanes: &[Lane], session: u64) -> u64 {
    let mut health = Health::new(1);
    let pass = picked(&mut health, &ask(lanes, Some(session), NOW)).unwrap();
    lanes[pass.lane].names.lane
}

/// A session as callers have them: a hash.
fn session(number: u64) -> u64 {
    crate::route::lanes::session(&["key", &format!("session-{number}"), ""])
}

/// Whether `seen` of `all` is what a part of `share` gives, within five standard deviations.
fn is_share(seen: u32, all: u32, share: f64) -> bool {
    let (seen, all) = (f64::from(seen), f64::from(all));
    (seen - all * share).abs() <= 5.0 * (all * share * (1.0 - share)).sqrt() + 1.0
}

proptest! {
    #![proptest_config(proptest::prelude::ProptestConfig::with_cases(40))]

    #[test]
    fn weights_hold_among_calls_and_among_sessions(
        weights in proptest::collection::vec(1_u32..20, 2..6),
        seed in any::<u64>(),
    ) {
        let lanes: Vec<Lane> =
            weights.iter().enumerate().map(|(at, &w)| lane(at, at as u64, f64::from(w), 1)).collect();
        let sum: u32 = weights.iter().sum();
        let mut health = Health::new(seed);
        let (mut calls, mut sessions) = (vec![0_u32; lanes.len()], vec![0_u32; lanes.len()]);
        for number in 0..4_000 {
            let pass = picked(&mut health, &ask(&lanes, None, NOW)).unwrap();
            calls[pass.lane] += 1;
            health.release(pass, NOW);
            let pass = picked(&mut health, &ask(&lanes, Some(session(seed ^ number)), NOW)).unwrap();
            sessions[pass.lane] += 1;
            health.release(pass, NOW);
        }
        for (at, &weight) in weights.iter().enumerate() {
            let share = f64::from(weight) / f64::from(sum);
            prop_assert!(is_share(calls[at], 4_000, share), "{weights:?} {calls:?}");
            prop_assert!(is_share(sessions[at], 4_000, share), "{weights:?} {sessions:?}");
        }
    }

    #[test]
    fn a_session_stays_whatever_the_order_and_moves_only_with_its_target(
        count in 2_usize..9, gone in any::<proptest::sample::Index>(), turned in any::<u64>(),
    ) {
        let all: Vec<Lane> = (0..count).map(|at| lane(at, at as u64, 1.0, 1)).collect();
        let mut shuffled = all.clone();
        let mut dice = turned;
        for at in (1..shuffled.len()).rev() {
            dice = dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            shuffled.swap(at, usize::try_from(dice >> 33).unwrap() % (at + 1));
        }
        let gone = gone.index(count);
        let rest: Vec<Lane> = all.iter().copied().filter(|lane| lane.target != gone).collect();
        let mut moved = 0;
        for number in 0..600 {
            let at = home(&all, session(number));
            prop_assert_eq!(at, home(&shuffled, session(number)));
            if at == all[gone].names.lane {
                moved += 1;
            } else {
                prop_assert_eq!(at, home(&rest, session(number)));
            }
        }
        prop_assert!(is_share(moved, 600, 1.0 / count as f64), "{moved} of 600 moved with 1 of {count}");
    }

    #[test]
    fn a_call_never_goes_where_a_filter_or_the_past_refuses(
        fits in proptest::collection::vec(any_fit(), 1..6),
        needs in any_needs(),
        seed in any::<u64>(),
    ) {
        let targets: Vec<Target> =
            fits.iter().enumerate().map(|(at, &fit)| Target { fit, ..Target::new(at, "m") }).collect();
        let lanes = lanes(&targets, |_| Some(("p", &[1, 2])), "m");
        prop_assert_eq!(lanes.len(), 2 * targets.len());
        let mut tried = Tried::default();
        tried.add_all(&lanes, |lane| targets[lane.target].fit.lack(&needs).is_some());
        let mut health = Health::new(seed);
        let mut passes = Vec::new();
        loop {
            let session = Some(Session { hash: seed, warm_ms: 1 });
            let ask = Ask { lanes: &lanes, tried, session, now_ms: NOW };
            let Some(pass) = picked(&mut health, &ask) else { break };
            prop_assert!(!tried.has(pass.lane));
            let fit = targets[lanes[pass.lane].target].fit;
            prop_assert!(fit.context.is_none_or(|most| needs.tokens + needs.max_tokens.unwrap_or(0) <= most));
            prop_assert!(fit.max_output.is_none_or(|most| needs.max_tokens.unwrap_or(0) <= most));
            prop_assert!((fit.images || !needs.images) && (fit.tools || !needs.tools));
            prop_assert!(fit.thinking || !needs.thinking);
            tried.add(pass.lane);
            passes.push(pass);
        }
        let good = lanes.iter().filter(|lane| targets[lane.target].fit.lack(&needs).is_none()).count();
        prop_assert_eq!(passes.len(), good, "each that can take it is asked, once");
    }

    #[test]
    fn the_budget_of_attempts_is_never_passed(
        failovers in 0_u32..12, steps in proptest::collection::vec((any::<bool>(), 0_u64..200_000), 0..60),
    ) {
        let terms = Terms { failovers, ..Terms::default() };
        let (mut attempts, mut now) = (Attempts::new(&terms, NOW), NOW);
        let (mut others, mut again) = (0, 0);
        for (other, wait) in steps {
            now += wait;
            let allowed = if other { attempts.other(now) } else { attempts.again(now) };
            let left = if other { others < failovers } else { again < limits::SAME_TARGET_MAX };
            prop_assert_eq!(allowed, left && now - NOW < limits::FAILOVER_DEADLINE_MS);
            *(if other { &mut others } else { &mut again }) += u32::from(allowed);
        }
        prop_assert!(others <= failovers && again <= limits::SAME_TARGET_MAX);
    }

    #[test]
    fn a_cooldown_is_exact_and_of_one_lane_only(
        for_ms in 1_u64..2 * limits::COOLDOWN_MS_MAX,
        place in 0_usize..Limit::ALL.len(),
        later in 0_u64..5_000,
    ) {
        let limit = Limit::ALL[place];
        let lanes = lanes(&[Target::new(0, "m"), Target::new(1, "m")],
            |target| Some((["a", "b"][target.provider], &[1, 2])), "m");
        let mut health = Health::new(7);
        let one = [lanes[0]];
        let mut pass = picked(&mut health, &ask(&one, None, NOW)).unwrap();
        let verdict = Verdict { cool: Some((limit, for_ms)), ..Verdict::of_silence(Kind::Limited(limit)) };
        health.failed(&mut pass, &verdict, NOW);
        health.release(pass, NOW + later);
        let ends = NOW + for_ms.min(limits::COOLDOWN_MS_MAX);
        prop_assert_eq!(health.rests_for(lanes[0].names, ends - 1), 1);
        prop_assert_eq!(health.rests_for(lanes[0].names, ends), 0);
        for other in &lanes[1..] {
            prop_assert_eq!(health.rests_for(other.names, NOW), 0);
        }
        let mut elsewhere = Health::new(8);
        for news in health.take_news() {
            elsewhere.hear(&news, NOW);
        }
        prop_assert_eq!(elsewhere.rests_for(lanes[0].names, ends - 1), 1, "the other cores know it, too");
        prop_assert_eq!(elsewhere.rests_for(lanes[0].names, ends), 0);
    }

    #[test]
    fn a_breaker_is_right_under_every_interleaving(
        steps in proptest::collection::vec(any_step(), 1..200),
    ) {
        let (mut breaker, mut now) = (Breaker::default(), NOW);
        let mut inside: Vec<Ticket> = Vec::new();
        // What is expected: the end of the rest, or nothing while it is closed; the probe that is out.
        let (mut open, mut probe): (Option<u64>, Option<Ticket>) = (None, None);
        for step in steps {
            match step {
                Step::Wait(ms) => now += ms,
                Step::Enter => {
                    let expected = open.is_none_or(|until| now >= until && probe.is_none());
                    prop_assert_eq!(breaker.admits(now), expected);
                    let ticket = breaker.enter(now);
                    prop_assert_eq!(ticket.is_some(), expected);
                    if let Some(ticket) = ticket {
                        prop_assert_eq!(ticket.probe, open.is_some());
                        if ticket.probe {
                            probe = Some(ticket);
                        }
                        inside.push(ticket);
                    }
                }
                Step::Leave(at, went) if !inside.is_empty() => {
                    let ticket = inside.remove(at.index(inside.len()));
                    let turn = breaker.leave(ticket, went, now);
                    let decides = probe == Some(ticket);
                    match turn {
                        Some(Turn::Closed) => {
                            prop_assert!(decides && went == Went::Well);
                            (open, probe) = (None, None);
                        }
                        Some(Turn::Opened { until_ms, .. }) => {
                            prop_assert!(went == Went::Badly && (decides || open.is_none()));
                            let rest = until_ms - now;
                            prop_assert!(rest >= limits::BREAKER_REST_MS_MIN);
                            prop_assert!(rest <= limits::BREAKER_REST_MS_MAX);
                            (open, probe) = (Some(until_ms), None);
                        }
                        None if decides => {
                            prop_assert_eq!(went, Went::Unknown, "a probe that is told decides");
                            (open, probe) = (Some(now), None);
                        }
                        None => {}
                    }
                }
                Step::Leave(..) => {}
            }
            prop_assert!(breaker.rate(now) >= 0.0 && breaker.rate(now) <= 1.0);
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(u64),
    Enter,
    Leave(proptest::sample::Index, Went),
}

fn any_step() -> impl Strategy<Value = Step> {
    // All waits together are shorter than what makes a probe a lost one.
    prop_oneof![
        1 => (0_u64..3_000).prop_map(Step::Wait),
        3 => proptest::strategy::Just(Step::Enter),
        3 => (any::<proptest::sample::Index>(), 0_usize..8).prop_map(|(at, went)| {
            // Mostly badly, so that it opens.
            Step::Leave(at, [Went::Well, Went::Unknown].get(went).copied().unwrap_or(Went::Badly))
        }),
    ]
}

fn any_fit() -> impl Strategy<Value = Fit> {
    let most = || proptest::option::of(0_u64..200);
    (most(), most(), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(context, max_output, images, tools, thinking)| Fit { context, max_output, images, tools, thinking },
    )
}

fn any_needs() -> impl Strategy<Value = Needs> {
    (0_u64..200, proptest::option::of(0_u64..100), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(tokens, max_tokens, images, tools, thinking)| Needs { tokens, max_tokens, images, tools, thinking },
    )
}

#[test]
fn whatever_fails_each_lane_is_asked_once_and_a_refusal_ends_it() {
    for kind in [Kind::Overloaded, Kind::Failing, Kind::Credential, Kind::Limited(Limit::Tokens)] {
        assert_eq!(Verdict::of_silence(kind).next, Next::Other, "{kind:?}");
    }
    assert_eq!(Verdict::of_silence(Kind::Refused).next, Next::Return);
    assert_eq!(Verdict::of_silence(Kind::TooLong).next, Next::Larger);
}
