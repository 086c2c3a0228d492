//! Where calls go when something is known of their targets.

use crate::limits;
use crate::route::choose::{Ask, Health, News, Pass, Picked, Session};
use crate::route::failure::{Kind, Limit, Verdict};
use crate::route::headroom::Headroom;
use crate::route::lanes::{Lane, Tried, lanes, session};
use crate::route::model::Target;

const NOW: u64 = 1_800_000_000_000;

/// Targets at the providers `a`, `b`, ... of these weights and priorities, one key each.
fn of(targets: &[(u32, u32)]) -> Vec<Lane> {
    let targets: Vec<Target> = targets
        .iter()
        .enumerate()
        .map(|(at, &(weight, priority))| Target { weight, priority, ..Target::new(at, "m") })
        .collect();
    lanes(&targets, |target| Some((["a", "b", "c", "d"][target.provider], &[])), "m")
}

fn at(health: &mut Health, lanes: &[Lane], session: Option<u64>, now_ms: u64) -> Pass {
    let session = session.map(|hash| Session { hash, warm_ms: limits::CACHE_WARM_MS });
    match health.pick(&Ask { lanes, tried: Tried::default(), session, now_ms }) {
        Picked::Lane(pass) => pass,
        other => panic!("{other:?}"),
    }
}

/// Has the lane of a pass fail until its breaker opens.
fn break_down(health: &mut Health, lane: Lane, now_ms: u64) {
    for _ in 0..3 {
        let mut pass = at(health, &[lane], None, now_ms);
        health.failed(&mut pass, &Verdict::of_silence(Kind::Failing), now_ms);
        health.release(pass, now_ms);
    }
    assert!(health.rests_for(lane.names, now_ms) > 0);
}

#[test]
fn the_next_priority_is_asked_only_while_the_first_rests() {
    let lanes = of(&[(1, 1), (1, 1), (1, 2)]);
    let mut health = Health::new(3);
    for _ in 0..50 {
        let pass = at(&mut health, &lanes, None, NOW);
        assert!(pass.lane < 2);
        health.release(pass, NOW);
    }
    break_down(&mut health, lanes[0], NOW);
    assert_eq!(at(&mut health, &lanes, None, NOW).lane, 1);
    break_down(&mut health, lanes[1], NOW);
    assert_eq!(at(&mut health, &lanes, None, NOW).lane, 2);
    break_down(&mut health, lanes[2], NOW);
    let ask = Ask { lanes: &lanes, tried: Tried::default(), session: None, now_ms: NOW + 1_000 };
    match health.pick(&ask) {
        Picked::Resting(rest) => assert_eq!(rest, limits::BREAKER_REST_MS_MIN - 1_000),
        other => panic!("{other:?}"),
    }
    // After the rest one probe goes there, and nobody else before it is back.
    let later = NOW + limits::BREAKER_REST_MS_MIN;
    let mut probe = at(&mut health, &lanes[..1], None, later);
    assert!(matches!(health.pick(&Ask { lanes: &lanes[..1], now_ms: later, ..ask }), Picked::Resting(_)));
    health.served(&mut probe, None, later);
    health.release(probe, later);
    assert!(matches!(health.pick(&Ask { lanes: &lanes[..1], now_ms: later, ..ask }), Picked::Lane(_)));
}

#[test]
fn a_probe_that_nobody_tells_of_is_no_end_of_the_target() {
    let lanes = of(&[(1, 1)]);
    let mut health = Health::new(3);
    break_down(&mut health, lanes[0], NOW);
    let later = NOW + limits::BREAKER_REST_MS_MIN;
    let probe = at(&mut health, &lanes, None, later);
    health.release(probe, later);
    // Its caller has hung up: the next one probes at once.
    let _lost = at(&mut health, &lanes, None, later);
    let much_later = later + limits::PROBE_MS_MAX;
    assert!(health.rests_for(lanes[0].names, much_later - 1) > 0);
    at(&mut health, &lanes, None, much_later);
}

#[test]
fn a_session_stays_where_its_cache_is_warm_and_goes_home_when_it_is_cold() {
    let lanes = of(&[(1, 1), (1, 1), (1, 2)]);
    let mut health = Health::new(9);
    let own = session(&["k", "s", ""]);
    let mut first = at(&mut health, &lanes, Some(own), NOW);
    let home = first.lane;
    health.served(&mut first, None, NOW);
    health.release(first, NOW);
    assert!(health.take_news().is_empty(), "where its hash leads needs no telling");

    break_down(&mut health, lanes[home], NOW);
    let mut moved = at(&mut health, &lanes, Some(own), NOW);
    let away = moved.lane;
    assert_ne!(away, home);
    health.served(&mut moved, None, NOW);
    health.release(moved, NOW);
    let news = health.take_news();
    let seated =
        News::Seated { session: own, lane: lanes[away].names.lane, until_ms: NOW + limits::CACHE_WARM_MS };
    assert!(news.contains(&seated), "{news:?}");

    // The old one is well again; another core has only heard of the move.
    let mut other = Health::new(10);
    for one in &news {
        other.hear(one, NOW);
    }
    let later = NOW + limits::CACHE_WARM_MS - 1;
    assert_eq!(at(&mut other, &lanes, Some(own), later).lane, away);
    let mut again = at(&mut health, &lanes, Some(own), later);
    assert_eq!(again.lane, away, "a second move would cost a second cache");
    health.served(&mut again, None, later);
    health.release(again, later);
    // From its last use on the cache is warm for as long again.
    assert_eq!(at(&mut health, &lanes, Some(own), later + limits::CACHE_WARM_MS - 1).lane, away);
    assert_eq!(at(&mut health, &lanes, Some(own), later + limits::CACHE_WARM_MS).lane, home);
}

#[test]
fn a_session_of_another_key_or_agent_is_another_session() {
    let all = [
        session(&["k", "s", ""]),
        session(&["k", "s", "a"]),
        session(&["k", "sa", ""]),
        session(&["ks", "", ""]),
        session(&["", "k", "s"]),
    ];
    for (at, one) in all.iter().enumerate() {
        assert!(!all[..at].contains(one), "{at}");
    }
}

#[test]
fn headroom_and_calls_under_way_draw_calls_elsewhere() {
    let lanes = of(&[(1, 1), (1, 1)]);
    let mut health = Health::new(11);
    let header = |name: &str| -> Option<&'static [u8]> {
        match name {
            "anthropic-ratelimit-tokens-limit" => Some(b"100000"),
            "anthropic-ratelimit-tokens-remaining" => Some(b"2000"),
            _ => None,
        }
    };
    let headroom = Headroom::read(header, NOW).unwrap();
    let mut pass = at(&mut health, &lanes[..1], None, NOW);
    health.served(&mut pass, Some(headroom), NOW);
    health.release(pass, NOW);
    let mut there = 0;
    for number in 0..400 {
        let pass = at(&mut health, &lanes, None, NOW);
        there += usize::from(pass.lane == 0);
        health.release(pass, NOW);
        let own = session(&[&format!("{number}")]);
        let pass = at(&mut health, &lanes, Some(own), NOW);
        there += usize::from(pass.lane == 0);
        health.release(pass, NOW);
    }
    assert!((1..60).contains(&there), "{there} of 800 at a fiftieth of the headroom");
    // When the limit is new it is forgotten.
    let later = headroom.until_ms;
    let passes: Vec<Pass> = (0..100).map(|_| at(&mut health, &lanes, None, later)).collect();
    let busy = passes.iter().filter(|pass| pass.lane == 0).count();
    assert!((48..=52).contains(&busy), "of two with one weight the one with less under way: {busy}");
    assert_eq!(health.in_flight(lanes[0].names) + health.in_flight(lanes[1].names), 100);
    passes.into_iter().for_each(|pass| health.release(pass, later));
    assert_eq!(health.in_flight(lanes[0].names) + health.in_flight(lanes[1].names), 0);
}

#[test]
fn keys_of_a_provider_cool_down_each_for_itself() {
    let target = Target::new(0, "m");
    let keys = lanes(std::slice::from_ref(&target), |_| Some(("p", &[1, 2])), "m");
    let others = lanes(&[Target { model: Some("n".into()), ..target }], |_| Some(("p", &[1, 2])), "m");
    let mut health = Health::new(5);
    let mut limited = at(&mut health, &keys[..1], None, NOW);
    let verdict =
        |limit, for_ms| Verdict { cool: Some((limit, for_ms)), ..Verdict::of_silence(Kind::Limited(limit)) };
    health.failed(&mut limited, &verdict(Limit::Tokens, 10_000), NOW);
    let rests = |health: &Health, lane: &Lane| health.rests_for(lane.names, NOW);
    assert_eq!((rests(&health, &keys[0]), rests(&health, &keys[1])), (10_000, 0));
    assert_eq!(rests(&health, &others[0]), 0, "a limit is one of the model");
    let mut refused = at(&mut health, &keys[1..], None, NOW);
    health.failed(&mut refused, &verdict(Limit::Credential, 20_000), NOW);
    assert_eq!((rests(&health, &keys[1]), rests(&health, &others[1])), (20_000, 20_000), "of all models");
    // Of two limits the longer one holds, whichever was met last; of one the last word.
    health
        .hear(&News::Cooled { name: keys[0].names.lane, limit: Limit::Requests, until_ms: NOW + 5_000 }, NOW);
    assert_eq!(rests(&health, &keys[0]), 10_000);
    health.hear(&News::Cooled { name: keys[0].names.lane, limit: Limit::Tokens, until_ms: NOW + 1_000 }, NOW);
    assert_eq!(rests(&health, &keys[0]), 5_000);
}

#[test]
fn a_clock_that_is_set_back_holds_nobody_for_longer_than_a_cooldown_can_be() {
    let lanes = of(&[(1, 1)]);
    let mut health = Health::new(5);
    health
        .hear(&News::Cooled { name: lanes[0].names.lane, limit: Limit::Tokens, until_ms: NOW + 5_000 }, NOW);
    assert_eq!(health.rests_for(lanes[0].names, NOW - 2 * limits::COOLDOWN_MS_MAX), 0);
    break_down(&mut health, lanes[0], NOW + 6_000);
    assert_eq!(health.rests_for(lanes[0].names, NOW - limits::COOLDOWN_MS_MAX), 0);
}

#[test]
fn what_is_remembered_has_a_bound() {
    let mut health = Health::new(5);
    for number in 0..limits::HEALTH_SLOTS_MAX as u64 + 100 {
        let news = News::Cooled { name: number, limit: Limit::Tokens, until_ms: NOW + 1 };
        health.hear(&news, NOW + number);
    }
    for number in 0..limits::SEATS_MAX as u64 + 100 {
        health.hear(&News::Seated { session: number, lane: 1, until_ms: NOW + 1 }, NOW);
    }
    let shown = format!("{health:?}");
    assert!(shown.matches("breaker").count() <= limits::HEALTH_SLOTS_MAX);
    assert!(shown.matches("Seat {").count() <= limits::SEATS_MAX);
    // Those that are cold make room.
    health.hear(&News::Seated { session: u64::MAX, lane: 2, until_ms: NOW + 9_000 }, NOW + 5_000);
    assert_eq!(format!("{health:?}").matches("Seat {").count(), 1);
}

#[test]
fn rests_double_up_to_the_longest_and_begin_anew_after_a_success() {
    let lanes = of(&[(1, 1)]);
    let mut health = Health::new(5);
    let mut now = NOW;
    break_down(&mut health, lanes[0], now);
    for expected in [5_000, 10_000, 20_000, 40_000, 60_000, 60_000] {
        assert_eq!(health.rests_for(lanes[0].names, now), expected);
        now += expected;
        let mut probe = at(&mut health, &lanes, None, now);
        health.failed(&mut probe, &Verdict::of_silence(Kind::TimedOut), now);
        health.release(probe, now);
    }
    now += 60_000;
    let mut probe = at(&mut health, &lanes, None, now);
    health.served(&mut probe, None, now);
    health.release(probe, now);
    break_down(&mut health, lanes[0], now);
    assert_eq!(health.rests_for(lanes[0].names, now), 5_000);
}
