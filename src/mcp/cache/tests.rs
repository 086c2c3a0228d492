//! The cache against a plain model of it, and what makes two calls the same.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_assert, prop_assert_eq, prop_oneof, proptest};

use super::{Asked, Cache, FlightId, Key, Look, Owner};
use crate::clock;
use crate::ids::ServerName;
use crate::limits;

fn owner(server: &str, key_id: Option<&str>) -> Owner {
    Owner { server: ServerName::new(server), key_id: key_id.map(Arc::from) }
}

fn asked<'a>(owner: &'a Owner, arguments: &'a str) -> Asked<'a> {
    let (tool, capabilities) = ("search", &b"{}"[..]);
    let arguments = arguments.as_bytes();
    Asked { owner, tool, definition: 7, config: 1, modern: true, capabilities, arguments }
}

#[test]
fn calls_are_the_same_however_their_arguments_are_spelt() {
    let ann = owner("s", Some("ann"));
    let key = |arguments| Key::of(&asked(&ann, arguments));
    assert_eq!(key(r#"{"a":1,"b":"x"}"#), key("{ \"b\": \"\\u0078\", \"a\": 1 }"));
    assert_ne!(key(r#"{"a":1}"#), key(r#"{"a":1.0}"#));
    assert_ne!(key("{}"), key(""));
    assert_eq!(key(r#"{"a":1,"a":2}"#), None, "readers may disagree about it");
}

#[test]
fn whatever_a_result_depends_on_is_in_the_key() {
    let (ann, bob, all) = (owner("s", Some("ann")), owner("s", Some("bob")), owner("s", None));
    let (other, nameless) = (owner("t", Some("ann")), owner("s", Some("")));
    let one = asked(&ann, "{}");
    let others = [
        Asked { owner: &bob, ..one },
        Asked { owner: &all, ..one },
        Asked { owner: &nameless, ..one },
        Asked { owner: &other, ..one },
        Asked { tool: "searchs", ..one },
        Asked { definition: 8, ..one },
        Asked { config: 2, ..one },
        Asked { modern: false, ..one },
        Asked { capabilities: b"{\"roots\":{}}", ..one },
        Asked { arguments: b"{\"a\":1}", ..one },
    ];
    let mut keys: Vec<Key> = others.iter().chain([&one]).map(|asked| Key::of(asked).unwrap()).collect();
    keys.sort_unstable();
    keys.dedup();
    assert_eq!(keys.len(), others.len() + 1);
}

#[test]
fn what_is_under_way_is_joined_and_then_told() {
    let (mut cache, now) = (Cache::default(), clock::now());
    let ann = owner("s", Some("ann"));
    let key = Key::of(&asked(&ann, "{}")).unwrap();
    assert_eq!(cache.look(key, now), Look::Nothing);
    let flight = cache.lead(key, ann, true);
    assert_eq!(cache.look(key, now), Look::Flying(flight, true));
    assert_eq!((cache.follow(flight, 1), cache.follow(flight, 2)), (Ok(()), Ok(())));
    let until = now + Duration::from_secs(1);
    assert_eq!(cache.end(flight, Some((Bytes::from_static(b"r"), until))), [1, 2]);
    assert_eq!(cache.follow(flight, 3), Err(3));
    assert_eq!(cache.look(key, now), Look::Kept(Bytes::from_static(b"r")));
    assert_eq!(cache.look(key, until), Look::Nothing, "its time is over");
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn what_was_forgotten_while_it_was_under_way_is_not_kept() {
    let (mut cache, now) = (Cache::default(), clock::now());
    let (ann, bob) = (owner("s", Some("ann")), owner("s", Some("bob")));
    let keys = [&ann, &bob].map(|owner| Key::of(&asked(owner, "{}")).unwrap());
    let flights = [cache.lead(keys[0], ann.clone(), false), cache.lead(keys[1], bob, false)];
    assert_eq!(cache.follow(flights[0], 'a'), Ok(()));
    cache.forget(&ann, None);
    assert_eq!(cache.look(keys[0], now), Look::Nothing, "it may have been read before");
    assert_eq!(cache.look(keys[1], now), Look::Flying(flights[1], false));
    let response = || Some((Bytes::from_static(b"r"), now + Duration::from_secs(1)));
    assert_eq!(cache.end(flights[0], response()), ['a'], "who asked before is told");
    assert_eq!(cache.look(keys[0], now), Look::Nothing);
    // A second call of the same while the first is still out has a flight of its own.
    let first = cache.lead(keys[0], ann.clone(), false);
    cache.forget(&ann, None);
    let second = cache.lead(keys[0], ann.clone(), false);
    assert_eq!(cache.end(first, response()), []);
    assert_eq!(cache.look(keys[0], now), Look::Flying(second, false));
    cache.forget_all();
    assert_eq!(cache.end(second, response()), []);
    assert_eq!(cache.look(keys[0], now), Look::Nothing);
}

#[test]
fn a_change_is_joined_by_those_who_want_the_same() {
    let (mut cache, now) = (Cache::<()>::default(), clock::now());
    let ann = owner("s", Some("ann"));
    let keys = ["1", "2"].map(|what| Key::of(&asked(&ann, what)).unwrap());
    let flights = keys.map(|key| cache.lead(key, ann.clone(), false));
    cache.forget(&ann, Some(flights[1]));
    assert_eq!(cache.look(keys[0], now), Look::Nothing);
    assert_eq!(cache.look(keys[1], now), Look::Flying(flights[1], false));
}

#[test]
fn what_is_its_callers_alone_is_neither_joined_nor_kept() {
    let (mut cache, now) = (Cache::default(), clock::now());
    let ann = owner("s", Some("ann"));
    let key = Key::of(&asked(&ann, "{}")).unwrap();
    let flight = cache.lead(key, ann, false);
    assert_eq!(cache.follow(flight, 1), Ok(()));
    assert_eq!(cache.alone(flight), [1]);
    assert_eq!(cache.look(key, now), Look::Nothing);
    assert!(cache.end(flight, Some((Bytes::new(), now + Duration::from_secs(1)))).is_empty());
    assert_eq!(cache.look(key, now), Look::Nothing);
}

#[test]
fn nobody_takes_the_room_of_others_and_large_results_are_not_kept() {
    let (mut cache, now) = (Cache::<()>::default(), clock::now());
    let (ann, bob) = (owner("s", Some("ann")), owner("s", Some("bob")));
    let until = now + Duration::from_secs(1);
    let mut put = |owner: &Owner, number: usize, bytes: usize| {
        let key = Key::of(&asked(owner, &number.to_string())).unwrap();
        let flight = cache.lead(key, owner.clone(), false);
        cache.end(flight, Some((Bytes::from(vec![0; bytes]), until)));
        (key, cache.look(key, now) != Look::Nothing, cache.bytes())
    };
    let (bobs, kept, _) = put(&bob, 0, 10);
    assert!(kept);
    assert!(!put(&ann, 0, limits::CACHE_RESULT_BYTES_MAX + 1).1);
    for number in 0..200 {
        let (_, kept, bytes) = put(&ann, number, limits::CACHE_RESULT_BYTES_MAX);
        assert!(kept && bytes <= limits::CACHE_SHARE_BYTES_MAX + 10 + limits::CACHE_ENTRY_BYTES, "{bytes}");
    }
    assert_ne!(cache.look(bobs, now), Look::Nothing);
}

#[test]
fn a_flight_takes_only_so_many_along() {
    let (mut cache, now) = (Cache::default(), clock::now());
    let ann = owner("s", Some("ann"));
    let key = Key::of(&asked(&ann, "{}")).unwrap();
    let flight = cache.lead(key, ann, false);
    for follower in 0..limits::CACHE_FOLLOWERS_MAX {
        assert_eq!(cache.look(key, now), Look::Flying(flight, false));
        assert_eq!(cache.follow(flight, follower), Ok(()));
    }
    assert_eq!(cache.look(key, now), Look::Nothing);
}

/// What somebody does.
#[derive(Clone, Debug)]
enum Step {
    /// Calls: whose, what.
    Call(usize, usize),
    /// The call that is longest under way ends, with a result of so many bytes, or with none.
    End(Option<usize>),
    /// Its server asks its caller something.
    Alone,
    /// This one changes something.
    Forget(usize),
    /// The lists change.
    ForgetAll,
    /// Time passes, in seconds.
    Wait(u64),
    /// What is over is looked for.
    Sweep,
}

fn step() -> impl Strategy<Value = Step> {
    let bytes = prop_oneof![Just(Some(1_usize << 17)), Just(None), (0_usize..300_000).prop_map(Some)];
    prop_oneof![
        8 => (0_usize..3, 0_usize..70).prop_map(|(whose, what)| Step::Call(whose, what)),
        7 => bytes.prop_map(Step::End),
        1 => Just(Step::Alone),
        1 => (0_usize..3).prop_map(Step::Forget),
        1 => Just(Step::ForgetAll),
        2 => (0_u64..20).prop_map(Step::Wait),
        1 => Just(Step::Sweep),
    ]
}

/// How long results are kept here.
const TTL: Duration = Duration::from_secs(30);

/// The same without bounds: what may be told is what the last call of a kind gave, if nothing came after it.
#[derive(Default)]
struct Model {
    /// The response of each key, and until when.
    known: HashMap<Key, (Bytes, Instant, usize)>,
    /// The calls under way, oldest first: what they are, whose, whether they may be kept, who follows.
    flying: Vec<(FlightId, Key, usize, bool, Vec<u64>)>,
}

proptest! {
    #[test]
    fn nothing_is_told_that_may_not_be(steps in vec(step(), 1..400)) {
        let owners = [owner("s", Some("ann")), owner("s", Some("bob")), owner("s", None)];
        let (mut cache, mut model, mut now) = (Cache::<u64>::default(), Model::default(), clock::now());
        let all: Bytes = (0_u64..50_000).flat_map(u64::to_le_bytes).collect();
        let (mut asked_of, mut told, mut number) = (0_u64, 0_u64, 0_u64);
        for step in steps {
            match step {
                Step::Call(whose, what) => {
                    let key = Key::of(&asked(&owners[whose], &what.to_string())).unwrap();
                    match cache.look(key, now) {
                        Look::Kept(response) => {
                            let known = model.known.get(&key);
                            let told = |(known, until, _): &(Bytes, Instant, usize)| {
                                *known == response && *until > now
                            };
                            prop_assert!(known.is_some_and(told));
                        }
                        Look::Flying(id, _) => {
                            asked_of += 1;
                            let flight = model.flying.iter_mut().find(|flight| flight.0 == id).unwrap();
                            prop_assert!(flight.1 == key && flight.3, "one that may be joined");
                            flight.4.push(asked_of);
                            prop_assert_eq!(cache.follow(id, asked_of), Ok(()));
                        }
                        Look::Nothing => {
                            let joinable = model.flying.iter().any(|flight| flight.1 == key && flight.3);
                            prop_assert!(!joinable, "it should have been joined");
                            let id = cache.lead(key, owners[whose].clone(), false);
                            model.flying.push((id, key, whose, true, Vec::new()));
                        }
                    }
                }
                Step::End(bytes) if !model.flying.is_empty() => {
                    let (id, key, whose, keeps, followers) = model.flying.remove(0);
                    number += 1;
                    // Each response is another, so that a stale one shows.
                    let from = usize::try_from(number).unwrap() * 8;
                    let response = bytes.map(|bytes| (all.slice(from..from + bytes.max(8)), now + TTL));
                    told += followers.len() as u64;
                    prop_assert_eq!(cache.end(id, response.clone()), followers);
                    if let Some((response, until)) = response.filter(|_| keeps) {
                        model.known.insert(key, (response, until, whose));
                    }
                }
                Step::Alone if !model.flying.is_empty() => {
                    let flight = &mut model.flying[0];
                    flight.3 = false;
                    let followers = std::mem::take(&mut flight.4);
                    told += followers.len() as u64;
                    prop_assert_eq!(cache.alone(flight.0), followers);
                }
                Step::Forget(whose) => {
                    cache.forget(&owners[whose], None);
                    model.known.retain(|_, (_, _, of)| *of != whose);
                    let theirs = model.flying.iter_mut().filter(|flight| flight.2 == whose);
                    theirs.for_each(|flight| flight.3 = false);
                }
                Step::ForgetAll => {
                    cache.forget_all();
                    model.known.clear();
                    model.flying.iter_mut().for_each(|flight| flight.3 = false);
                    prop_assert_eq!(cache.bytes(), 0);
                }
                Step::Wait(seconds) => now += Duration::from_secs(seconds),
                Step::Sweep => {
                    cache.sweep(now);
                    prop_assert!(cache.kept.values().all(|kept| kept.until > now));
                }
                Step::End(_) | Step::Alone => {}
            }
            let sum: usize = cache.kept.values().map(|kept| super::size(&kept.response)).sum();
            prop_assert_eq!(cache.bytes(), sum);
            prop_assert!(sum <= limits::CACHE_BYTES_MAX);
            prop_assert_eq!(cache.order.len(), cache.kept.len());
            for (owner, share) in &cache.shares {
                let of = cache.kept.values().filter(|kept| kept.owner == *owner);
                let bytes: usize = of.map(|kept| super::size(&kept.response)).sum();
                prop_assert!(bytes == share.bytes && bytes <= limits::CACHE_SHARE_BYTES_MAX && bytes > 0);
            }
        }
        let waiting: u64 = model.flying.iter().map(|flight| flight.4.len() as u64).sum();
        prop_assert_eq!(told + waiting, asked_of, "each who joined is told once");
    }
}
