//! Budgets under thousands of random days: several cores, crashes, silence, reloads, clocks that jump.
//!
//! Every step is done to the real budgets and to a plain model, and both have to agree on all that is said,
//! spent and reserved. `TOLLGATE_SIMULATION_RUNS` asks for more days than the usual ones,
//! `TOLLGATE_SIMULATION_SEED` for one of them.

use std::sync::Arc;
use std::thread;

use crate::glob::Glob;
use crate::meter::budget::{Budgets, Definition, Mode};
use crate::meter::desk::{Ask, Desk, LeaseId};
use crate::meter::refused::Cause;
use crate::meter::scope::{Each, Scope, Who};
use crate::meter::tests::model::{Call, HOUR, LATE, Model, TTL};
use crate::meter::window::{Unit, Window, Zone};

const RUNS: u64 = 2_000;
const STEPS: u64 = 60;
const DESKS: usize = 3;
/// Some time in 2026, not at the beginning of anything.
const START: u64 = 1_795_348_123_456;
/// A clock is never behind the latest time by more: farther back, windows are forgotten.
const BACK: u64 = 3 * HOUR;

/// Numbers that look random and are the same each time: xorshift64*.
struct Dice(u64);

impl Dice {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % end
    }

    fn one_in(&mut self, chances: u64) -> bool {
        self.below(chances) == 0
    }

    fn pick<T: Copy>(&mut self, of: &[T]) -> T {
        of[usize::try_from(self.below(of.len() as u64)).unwrap()]
    }
}

/// Says which seed failed.
struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("the simulation failed with seed {}", self.0);
        }
    }
}

/// A call under way: its desk, its lease, and what the model thinks of it.
struct Running {
    desk: usize,
    lease: LeaseId,
    call: Call,
}

struct World {
    dice: Dice,
    now_ms: u64,
    latest_ms: u64,
    budgets: Arc<Budgets>,
    desks: Vec<Desk>,
    running: Vec<Running>,
    ended: Vec<(usize, LeaseId)>,
    model: Model,
}

fn definitions(dice: &mut Dice) -> Vec<Definition> {
    let calendar = |unit| Window::Calendar { unit, zone: Zone::utc() };
    let rolling = Window::rolling_hours(2).unwrap();
    let day = if dice.one_in(6) { Window::Total } else { calendar(Unit::Day) };
    let group = Scope::ModelGroup(vec![Glob::new("opus")]);
    let pool = [
        ("org", Scope::Org, None, day, false),
        ("team", Scope::Team("a".into()), None, calendar(Unit::Hour), true),
        ("users", Scope::Org, Some(Each::User), rolling.clone(), false),
        ("key", Scope::Key("k".into()), None, Window::Total, true),
        ("opus", group, Some(Each::Team), calendar(Unit::Day), true),
        ("ana", Scope::User("ana".into()), None, rolling, true),
        ("tools", Scope::ToolServer("github".into()), None, calendar(Unit::Hour), false),
    ];
    let mut definitions = Vec::new();
    for (name, scope, each, window, elastic) in pool {
        let limit_pico = 20 + dice.below(400);
        let mode = if elastic { Mode::Elastic { chunk_pico: 1 + dice.below(20) } } else { Mode::Strict };
        if !dice.one_in(5) {
            let name = name.to_owned();
            definitions.push(Definition {
                name,
                scope,
                each,
                limit_pico,
                window,
                mode,
                warn_percents: vec![75, 95],
            });
        }
    }
    definitions
}

impl World {
    fn new(seed: u64) -> Self {
        let mut dice = Dice(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1);
        let definitions = definitions(&mut dice);
        let budgets = Budgets::new(&definitions).unwrap();
        let mut model = Model::default();
        model.reload(&definitions);
        let desks = (0..DESKS).map(|_| Desk::new(&budgets)).collect();
        let (now_ms, latest_ms) = (START, START);
        Self { dice, now_ms, latest_ms, budgets, desks, running: vec![], ended: vec![], model }
    }

    fn step(&mut self) {
        match self.dice.below(100) {
            0..30 => self.reserve(),
            30..50 => self.top_up(),
            50..58 => self.renew(),
            58..78 => self.settle(),
            78..80 => self.settle_again(),
            80..88 => self.expire(),
            88..90 => self.crash(),
            90..92 => self.reload(),
            _ => self.pass_time(),
        }
        let states = self.budgets.states(self.now_ms);
        self.model.check(&states, self.now_ms);
    }

    fn reserve(&mut self) {
        let who = Who {
            team: self.dice.pick(&["a", "b"]),
            key: self.dice.pick(&["k", "l"]),
            user: self.dice.pick(&["ana", "ben", ""]),
            model: self.dice.pick(&["opus", "haiku", ""]),
            server: self.dice.pick(&["github", ""]),
            ..Who::default()
        };
        let estimate_pico = self.dice.below(25);
        let ask = Ask { worst_pico: estimate_pico + self.dice.below(40), estimate_pico };
        let desk = usize::try_from(self.dice.below(DESKS as u64)).unwrap();
        let found = self.desks[desk].reserve(&who, ask, self.now_ms);
        match (found, self.model.reserve(&who, ask, self.now_ms)) {
            (Ok(lease), Ok(call)) => {
                assert_eq!(self.desks[desk].covered_pico(lease), Model::covered(&call));
                self.running.push(Running { desk, lease, call });
            }
            (Err(refused), Err(full)) => {
                assert_eq!(refused.cause, Cause::Spent);
                assert!(full.iter().any(|name| **name == *refused.budget), "{refused:?} not of {full:?}");
                assert!(refused.resets_at_ms.is_none_or(|at_ms| at_ms > self.now_ms), "{refused:?}");
            }
            (found, expected) => panic!("{found:?} instead of {expected:?}"),
        }
    }

    fn any(&mut self) -> Option<usize> {
        let count = self.running.len() as u64;
        (count > 0).then(|| usize::try_from(self.dice.below(count)).unwrap())
    }

    fn top_up(&mut self) {
        let Some(place) = self.any() else { return };
        let Running { desk, lease, call } = &mut self.running[place];
        // A caller asks for what it has cost, which is never much beyond what it was told is covered.
        let needed = Model::most(call).min(Model::covered(call).saturating_add(30)).min(10_000);
        let needed = needed - self.dice.below(needed / 2 + 1);
        let found = self.desks[*desk].top_up(*lease, needed, self.now_ms);
        let expected = self.model.top_up(call, needed, self.now_ms);
        assert_eq!(found.map_err(|refused| refused.budget.to_string()), expected);
    }

    fn renew(&mut self) {
        let Some(place) = self.any() else { return };
        let Running { desk, lease, call } = &mut self.running[place];
        assert!(self.desks[*desk].renew(*lease, self.now_ms));
        self.model.renew(call, self.now_ms);
    }

    fn settle(&mut self) {
        let Some(place) = self.any() else { return };
        let Running { desk, lease, mut call } = self.running.swap_remove(place);
        let actual = self.dice.below(Model::most(&call).min(10_000) + 1);
        assert!(self.desks[desk].settle(lease, actual));
        self.model.settle(&mut call, actual);
        self.ended.push((desk, lease));
    }

    fn settle_again(&mut self) {
        if self.ended.is_empty() {
            return;
        }
        let (desk, lease) = self.dice.pick(&self.ended);
        assert!(!self.desks[desk].settle(lease, 1_000_000));
        assert!(!self.desks[desk].renew(lease, self.now_ms));
        assert!(self.desks[desk].top_up(lease, 1_000_000, self.now_ms).is_err());
    }

    fn expire(&mut self) {
        let (which, now_ms) = (usize::try_from(self.dice.below(DESKS as u64)).unwrap(), self.now_ms);
        let found: Vec<_> =
            self.desks[which].expire(now_ms).iter().map(|it| (it.lease, it.charged_pico)).collect();
        let mut expected = Vec::new();
        for place in (0..self.running.len()).rev() {
            let Running { desk, lease, call } = &mut self.running[place];
            if *desk != which {
                continue;
            }
            call.at_ms = call.at_ms.min(now_ms);
            let silent = now_ms - call.at_ms;
            if !call.lapsed && silent >= TTL {
                expected.push((*lease, self.model.lapse(call, now_ms)));
            } else if call.lapsed && silent >= LATE {
                self.ended.push((*desk, *lease));
                self.running.swap_remove(place);
            }
        }
        expected.sort_unstable();
        assert_eq!(found, expected, "no lease outlives its expiry, and none goes before it");
    }

    fn crash(&mut self) {
        let which = usize::try_from(self.dice.below(DESKS as u64)).unwrap();
        self.desks[which] = Desk::new(&self.budgets);
        for place in (0..self.running.len()).rev() {
            if self.running[place].desk == which {
                let mut lost = self.running.swap_remove(place);
                if !lost.call.lapsed {
                    self.model.lapse(&mut lost.call, self.now_ms);
                }
                self.ended.push((which, lost.lease));
            }
        }
    }

    fn reload(&mut self) {
        let definitions = definitions(&mut self.dice);
        let fresh = self.budgets.reload(&definitions).unwrap();
        assert_eq!(fresh, self.model.reload(&definitions));
        for name in fresh {
            let definition = definitions.iter().find(|it| it.name == name).unwrap();
            let instance = definition.each.map_or("", |_| "ana");
            let at_ms = self.now_ms - self.dice.below(3 * HOUR);
            let amount = self.dice.below(20);
            assert!(self.budgets.seed(&name, instance, at_ms, amount));
            self.model.seed(&name, instance, at_ms, amount);
        }
    }

    fn pass_time(&mut self) {
        let passed = match self.dice.below(10) {
            0..5 => self.dice.below(5_000),
            5..7 => self.dice.below(2 * TTL),
            7 => self.dice.below(3 * HOUR),
            8 => self.dice.below(80 * HOUR),
            _ => {
                let back = self.dice.below(BACK);
                self.now_ms = self.now_ms.saturating_sub(back).max(self.latest_ms - BACK);
                return;
            }
        };
        self.now_ms += passed;
        self.latest_ms = self.latest_ms.max(self.now_ms);
    }

    /// Ends all that runs, in one way or the other: nothing may be left reserved.
    fn end(mut self) {
        while !self.running.is_empty() && !self.dice.one_in(4) {
            self.settle();
        }
        for desk in 0..DESKS {
            if self.dice.one_in(2) {
                self.now_ms += TTL;
                self.desks[desk].expire(self.now_ms);
            }
        }
        drop(self.desks);
        for state in self.budgets.states(self.now_ms) {
            assert_eq!(state.reserved_pico, 0, "{state:?}");
        }
    }
}

#[expect(clippy::disallowed_methods, reason = "a test may be asked to work longer")]
fn seeds() -> std::ops::RangeInclusive<u64> {
    let asked = |name| std::env::var(name).ok().and_then(|number| number.parse().ok());
    match asked("TOLLGATE_SIMULATION_SEED") {
        Some(seed) => seed..=seed,
        None => 1..=asked("TOLLGATE_SIMULATION_RUNS").unwrap_or(RUNS),
    }
}

#[test]
fn the_budgets_agree_with_the_model() {
    for seed in seeds() {
        let named = Seed(seed);
        let mut world = World::new(seed);
        for _ in 0..STEPS {
            world.step();
        }
        world.end();
        drop(named);
    }
}
