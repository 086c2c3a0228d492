//! Budgets as slow as they are plain: what the real ones have to agree with, call by call.

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;
use crate::meter::budget::{Definition, Mode, State};
use crate::meter::desk::Ask;
use crate::meter::scope::{Each, Scope, Who};
use crate::meter::window::{Unit, Window};

pub(super) const HOUR: u64 = 60 * 60 * 1000;
pub(super) const TTL: u64 = limits::LEASE_TTL.as_secs() * 1000;
pub(super) const LATE: u64 = limits::LEASE_LATE.as_secs() * 1000;
const PARTS: u64 = limits::ROLLING_PARTS + 1;

/// A series, an instance of it, and its window: 0 for windows that are one counter.
type Place = (usize, String, u64);

/// One counter.
#[derive(Debug, Default)]
struct Counter {
    spent: u64,
    reserved: u64,
    /// What calls cost beyond their reservations after these had lapsed.
    late: u64,
    live: u64,
    most_live: u64,
    /// For rolling windows: the latest part, and what was spent in each.
    head: u64,
    parts: BTreeMap<u64, u64>,
}

#[derive(Debug)]
struct Series {
    definition: Definition,
    limit: u64,
    highest_limit: u64,
    /// Calls keep the chunk that they began with.
    largest_chunk: u64,
}

#[derive(Debug)]
pub(super) struct Call {
    pub(super) at_ms: u64,
    pub(super) lapsed: bool,
    /// Whether it ever was: then it may cost more than is reserved.
    was_late: bool,
    pub(super) worst: u64,
    estimate: u64,
    heard: Option<u64>,
    legs: Vec<Leg>,
}

#[derive(Debug)]
struct Leg {
    place: Place,
    part: u64,
    reserved: u64,
    charged: u64,
    chunk: Option<u64>,
}

#[derive(Debug, Default)]
pub(super) struct Model {
    series: Vec<Series>,
    /// The series of the present config, in its order.
    plan: Vec<usize>,
    counters: BTreeMap<Place, Counter>,
    instances: BTreeSet<(usize, String)>,
}

fn holds(scope: &Scope, who: &Who<'_>) -> bool {
    match scope {
        Scope::Org => true,
        Scope::Team(name) => who.team == name,
        Scope::Key(name) => who.key == name,
        Scope::User(name) => who.user == name,
        Scope::ModelGroup(globs) => globs.iter().any(|glob| glob.as_str() == who.model),
        Scope::ToolServer(name) => who.server == name,
        Scope::Servers(globs) => globs.iter().any(|glob| glob.as_str() == who.server),
        Scope::All(parts) => parts.iter().all(|part| holds(part, who)),
        Scope::Tool { .. } | Scope::Tools(_) => false,
    }
}

fn instance(each: Option<Each>, who: &Who<'_>) -> Option<String> {
    let name = match each {
        None => return Some(String::new()),
        Some(Each::Key) => who.key,
        Some(Each::Team) => who.team,
        Some(Each::User) => who.user,
        Some(Each::Server | Each::Tool) => who.server,
    };
    (!name.is_empty()).then(|| name.to_owned())
}

fn window(window: &Window, now_ms: u64) -> u64 {
    match window {
        Window::Calendar { unit: Unit::Hour, .. } => now_ms / HOUR,
        Window::Calendar { unit: Unit::Day, .. } => now_ms / (24 * HOUR),
        Window::Calendar { .. } => panic!("not used here"),
        Window::Total | Window::Rolling { .. } => 0,
    }
}

impl Counter {
    fn held(&self) -> u64 {
        self.spent + self.reserved
    }

    fn advance(&mut self, window: &Window, now_ms: u64) -> u64 {
        let Window::Rolling { length_ms } = window else { return 0 };
        let now = now_ms / (length_ms / limits::ROLLING_PARTS);
        if self.head > now && self.head - now < PARTS {
            return self.head;
        }
        if self.head > now {
            let all = std::mem::take(&mut self.parts).values().sum();
            self.parts.insert(now, all);
        }
        self.head = now;
        self.parts.retain(|&part, _| part + PARTS > now);
        self.spent = self.parts.values().sum();
        now
    }

    fn charge(&mut self, rolling: bool, part: u64, amount: u64) -> u64 {
        if rolling {
            if part + PARTS <= self.head {
                return 0;
            }
            *self.parts.entry(part.min(self.head)).or_default() += amount;
        }
        self.spent += amount;
        amount
    }

    fn uncharge(&mut self, rolling: bool, part: u64, amount: u64) -> u64 {
        let mut taken = amount;
        if rolling {
            let living = part + PARTS > self.head;
            let held = self.parts.entry(part.min(self.head)).or_default();
            taken = if living { amount.min(*held) } else { 0 };
            *held -= taken;
        }
        self.spent -= taken;
        taken
    }
}

impl Model {
    /// Takes other budgets; says how many are new.
    pub(super) fn reload(&mut self, definitions: &[Definition]) -> Vec<String> {
        let old = std::mem::take(&mut self.plan);
        let mut fresh = Vec::new();
        for new in definitions {
            let known = old.iter().copied().find(|&place| {
                let old = &self.series[place].definition;
                (&old.name, &old.scope, old.each, &old.window)
                    == (&new.name, &new.scope, new.each, &new.window)
            });
            let place = known.unwrap_or_else(|| {
                fresh.push(new.name.clone());
                let definition = new.clone();
                self.series.push(Series { definition, limit: 0, highest_limit: 0, largest_chunk: 0 });
                self.series.len() - 1
            });
            let series = &mut self.series[place];
            series.definition = new.clone();
            series.limit = new.limit_pico;
            series.highest_limit = series.highest_limit.max(new.limit_pico);
            if let Mode::Elastic { chunk_pico } = new.mode {
                series.largest_chunk = series.largest_chunk.max(chunk_pico);
            }
            self.plan.push(place);
        }
        for gone in old.into_iter().filter(|gone| !self.plan.contains(gone)) {
            self.series[gone].limit = u64::MAX;
            self.series[gone].highest_limit = u64::MAX;
        }
        fresh
    }

    /// Adds what was spent before.
    pub(super) fn seed(&mut self, name: &str, instance: &str, at_ms: u64, amount: u64) {
        let found = self.plan.iter().copied().find(|&place| self.series[place].definition.name == name);
        let place = found.unwrap();
        let kind = self.series[place].definition.window.clone();
        self.instances.insert((place, instance.to_owned()));
        let counter = self.counters.entry((place, instance.to_owned(), window(&kind, at_ms))).or_default();
        let rolling = matches!(kind, Window::Rolling { .. });
        let mut part = 0;
        if let Window::Rolling { length_ms } = kind {
            part = at_ms / (length_ms / limits::ROLLING_PARTS);
            if part > counter.head {
                counter.advance(&kind, at_ms);
            }
        }
        counter.charge(rolling, part, amount);
    }

    /// What a reservation should come to: the call, or the names of the budgets that have no room.
    pub(super) fn reserve(&mut self, who: &Who<'_>, ask: Ask, now_ms: u64) -> Result<Call, Vec<String>> {
        let (mut legs, mut full) = (Vec::new(), Vec::new());
        for &place in &self.plan {
            let Series { definition, limit, .. } = &self.series[place];
            let Some(instance) = instance(definition.each, who).filter(|_| holds(&definition.scope, who))
            else {
                continue;
            };
            self.instances.insert((place, instance.clone()));
            let key = (place, instance, window(&definition.window, now_ms));
            let counter = self.counters.entry(key.clone()).or_default();
            let part = counter.advance(&definition.window, now_ms);
            let (reserved, chunk) = match definition.mode {
                Mode::Strict => (ask.worst_pico, None),
                Mode::Elastic { chunk_pico } => {
                    (ask.estimate_pico.max(chunk_pico).min(ask.worst_pico), Some(chunk_pico))
                }
            };
            if reserved > 0 && counter.held() + reserved > *limit {
                full.push(definition.name.clone());
            }
            legs.push(Leg { place: key, part, reserved, charged: 0, chunk });
        }
        if !full.is_empty() {
            return Err(full);
        }
        for leg in &legs {
            let counter = self.counters.get_mut(&leg.place).unwrap();
            counter.reserved += leg.reserved;
            counter.live += 1;
            counter.most_live = counter.most_live.max(counter.live);
        }
        Ok(Call {
            at_ms: now_ms,
            lapsed: false,
            was_late: false,
            worst: ask.worst_pico,
            estimate: ask.estimate_pico,
            heard: None,
            legs,
        })
    }

    fn rolling(&self, leg: &Leg) -> bool {
        matches!(self.series[leg.place.0].definition.window, Window::Rolling { .. })
    }

    /// A sign of life.
    pub(super) fn renew(&mut self, call: &mut Call, now_ms: u64) {
        call.at_ms = now_ms;
        if std::mem::take(&mut call.lapsed) {
            for leg in &mut call.legs {
                let rolling = self.rolling(leg);
                let counter = self.counters.get_mut(&leg.place).unwrap();
                leg.reserved = counter.uncharge(rolling, leg.part, leg.charged);
                leg.charged = 0;
                counter.reserved += leg.reserved;
                counter.live += 1;
                counter.most_live = counter.most_live.max(counter.live);
            }
        }
    }

    /// What a call should have covered after it asked for more, or the name of the budget without room.
    pub(super) fn top_up(&mut self, call: &mut Call, needed: u64, now_ms: u64) -> Result<u64, String> {
        self.renew(call, now_ms);
        call.heard = Some(call.heard.unwrap_or(0).max(needed));
        let mut grown = Vec::new();
        for leg in &call.legs {
            let Series { definition, limit, .. } = &self.series[leg.place.0];
            let counter = self.counters.get_mut(&leg.place).unwrap();
            counter.advance(&definition.window, now_ms);
            let least = needed.saturating_sub(leg.reserved);
            let room = limit.saturating_sub(counter.held());
            if least > room {
                return Err(definition.name.clone());
            }
            grown.push(if least == 0 { 0 } else { least.max(leg.chunk.unwrap_or(0)).min(room) });
        }
        for (leg, more) in call.legs.iter_mut().zip(grown) {
            self.counters.get_mut(&leg.place).unwrap().reserved += more;
            leg.reserved += more;
        }
        Ok(Self::covered(call))
    }

    pub(super) fn covered(call: &Call) -> u64 {
        call.legs.iter().map(|leg| leg.reserved).min().unwrap_or(u64::MAX)
    }

    /// The most that a call may cost: what is covered, and one chunk where a budget lets it end in peace;
    /// after it had lapsed, all that it was said to cost at most.
    pub(super) fn most(call: &Call) -> u64 {
        let most = |leg: &Leg| leg.reserved + leg.chunk.unwrap_or(0);
        if call.was_late {
            return call.worst;
        }
        call.legs.iter().map(most).min().unwrap_or(u64::MAX).min(call.worst.max(call.heard.unwrap_or(0)))
    }

    /// Charges a call; says what.
    pub(super) fn settle(&mut self, call: &mut Call, actual: u64) {
        let at_ms = call.at_ms;
        self.renew(call, at_ms);
        for leg in &mut call.legs {
            let rolling = self.rolling(leg);
            let counter = self.counters.get_mut(&leg.place).unwrap();
            counter.reserved -= leg.reserved;
            counter.live -= 1;
            leg.charged = counter.charge(rolling, leg.part, actual);
            if call.was_late {
                counter.late += leg.charged.saturating_sub(leg.reserved);
            }
            leg.reserved = 0;
        }
    }

    /// Lets a call lapse; says what it is charged.
    pub(super) fn lapse(&mut self, call: &mut Call, now_ms: u64) -> u64 {
        let charged = call.heard.unwrap_or(call.estimate);
        self.settle(call, charged);
        (call.at_ms, call.lapsed, call.was_late) = (now_ms, true, true);
        charged
    }

    /// Compares with how the real ones stand, and with what must never be.
    pub(super) fn check(&mut self, states: &[State], now_ms: u64) {
        for &place in self.plan.iter().filter(|&&place| self.series[place].definition.each.is_none()) {
            self.instances.insert((place, String::new()));
        }
        let mut expected = Vec::new();
        for &place in &self.plan {
            let Series { definition, limit, .. } = &self.series[place];
            for (_, instance) in self.instances.iter().filter(|(of, _)| *of == place) {
                let key = (place, instance.clone(), window(&definition.window, now_ms));
                let counter = self.counters.entry(key).or_default();
                counter.advance(&definition.window, now_ms);
                expected.push((&*definition.name, &**instance, *limit, counter.spent, counter.reserved));
            }
        }
        let found: Vec<_> = states
            .iter()
            .map(|it| (&*it.name, &*it.instance, it.limit_pico, it.spent_pico, it.reserved_pico))
            .collect();
        assert_eq!(found, expected);
        for ((place, ..), counter) in &self.counters {
            let Series { definition, highest_limit, largest_chunk, .. } = &self.series[*place];
            let grace = counter.most_live * largest_chunk;
            let most = highest_limit.saturating_add(grace).saturating_add(counter.late);
            assert!(counter.held() <= most, "{}: {counter:?}", definition.name);
        }
    }
}
