//! Rate limits: requests and tokens a minute, and calls under way at once, for all cores together.
//!
//! Requests and tokens are limited by GCRA: one word for each says until when what was used is paid for, and
//! a minute ahead is allowed. So a caller may use a whole minute's worth at once, and in any minute never
//! more than two. Calls are under way from `Gate::enter` until their `Pass` is dropped.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::meter::instances::{Crowded, Room, Table};
use crate::meter::scope::{Each, Index, Scope, Who, part, shown};

const MS_NS: u64 = 1_000_000;
const MINUTE_NS: u64 = 60_000 * MS_NS;

/// A rate limit as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// Its name, which no other rate limit has.
    pub name: String,
    /// Which calls it is about.
    pub scope: Scope,
    /// By what it is divided, so that each part may use all of it.
    pub each: Option<Each>,
    /// Requests a minute, 1 to `limits::RATE_PER_MINUTE_MAX`.
    pub requests_per_minute: Option<u64>,
    /// Tokens a minute, 1 to `limits::RATE_PER_MINUTE_MAX`.
    pub tokens_per_minute: Option<u64>,
    /// Calls under way at once, at least 1.
    pub streams: Option<u64>,
}

/// What can be wrong with rate limits that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RateFault {
    /// There are more than `limits::RATES_MAX`.
    #[error("there are {0} rate limits, at most {most} are allowed", most = limits::RATES_MAX)]
    TooMany(usize),
    /// One has no name.
    #[error("a rate limit has no name")]
    NoName,
    /// Two have the same name.
    #[error("two rate limits are called `{0}`")]
    SameName(String),
    /// A number is 0 or too large.
    #[error("rate limit `{0}` allows 1 to {most} of a thing", most = limits::RATE_PER_MINUTE_MAX)]
    Number(String),
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quantity {
    /// Requests a minute.
    Requests,
    /// Tokens a minute.
    Tokens,
    /// Calls under way.
    Streams,
    /// Parts of limits that are counted: the gateway's own bound.
    Instances,
}

/// Not now: and which limit says so. Of several, the one to wait for longest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limited {
    /// Name of the limit; empty for `Quantity::Instances`.
    pub rule: Arc<str>,
    /// What it is about, for people.
    pub scope: String,
    /// What there is too much of.
    pub quantity: Quantity,
    /// How much of it is allowed.
    pub allowed: u64,
    /// When the same call will pass if nobody else calls, milliseconds from now: exact for requests and
    /// tokens, `limits::RATE_STREAMS_RETRY` for all else.
    pub retry_after_ms: u64,
}

/// All rate limits, for all cores. Every core takes a `Gate` of them.
#[derive(Debug)]
pub struct Rates {
    current: Mutex<Arc<Plan>>,
    number: AtomicU64,
    room: Arc<Room>,
    clock: Steady,
}

#[derive(Debug)]
struct Plan {
    index: Index,
    standing: Vec<Arc<Standing>>,
}

#[derive(Debug)]
struct Standing {
    name: Arc<str>,
    rule: Rule,
    gauges: Arc<Table<Gauge>>,
}

/// What one instance of a rate limit has used.
#[derive(Debug, Default)]
struct Gauge {
    /// Until when what was requested is paid for, in nanoseconds of the steady clock.
    requests_ns: AtomicU64,
    /// The same for tokens.
    tokens_ns: AtomicU64,
    streams: AtomicU64,
    /// Forgotten by its table: another one has taken its place, or will.
    retired: AtomicBool,
}

/// The wall clock, made to never go back by more than `limits::RATE_CLOCK_SLACK`: whoever sets it back would
/// lock out all who have used something, for as long as it was set back.
#[derive(Debug, Default)]
struct Steady {
    skip_ms: AtomicU64,
    latest_ms: AtomicU64,
}

/// The rate limits as one core uses them. No operation waits for another core, except when one of them
/// meets an instance for the first time.
#[derive(Debug)]
pub struct Gate {
    rates: Arc<Rates>,
    plan: Arc<Plan>,
    plan_number: u64,
    seats: Vec<HashMap<Box<str>, Arc<Gauge>>>,
}

/// A call that was let in. It is under way until this is dropped.
#[derive(Debug)]
#[must_use]
pub struct Pass {
    rates: Arc<Rates>,
    legs: Vec<Leg>,
    /// When it was let in, nanoseconds of the steady clock.
    at_ns: u64,
}

#[derive(Debug)]
struct Leg {
    standing: Arc<Standing>,
    instance: Box<str>,
    gauge: Arc<Gauge>,
    /// What was added for this call.
    request_ns: u64,
    token_ns: u64,
    streaming: bool,
}

impl Rates {
    /// Rate limits of which nothing is used.
    ///
    /// # Errors
    /// `RateFault` names the first one that cannot be.
    pub fn new(rules: &[Rule]) -> Result<Arc<Self>, RateFault> {
        check(rules)?;
        let room = Room::new(limits::RATE_INSTANCES_MAX);
        let plan = Mutex::new(Arc::new(Plan::new(rules, &[], &room)));
        Ok(Arc::new(Self { current: plan, number: AtomicU64::new(1), room, clock: Steady::default() }))
    }

    /// Takes other rate limits from now on. Those whose name and scope are as before remember what is used.
    ///
    /// # Errors
    /// `RateFault`; then nothing has changed.
    pub fn reload(&self, rules: &[Rule]) -> Result<(), RateFault> {
        check(rules)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(Plan::new(rules, &current.standing, &self.room));
        self.number.fetch_add(1, Ordering::AcqRel);
        Ok(())
    }

    fn plan(&self) -> (u64, Arc<Plan>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.number.load(Ordering::Acquire), Arc::clone(&current))
    }
}

impl Plan {
    fn new(rules: &[Rule], old: &[Arc<Standing>], room: &Arc<Room>) -> Self {
        let index = Index::new(rules.iter().map(|rule| &rule.scope));
        let standing = rules.iter().map(|rule| {
            let known = old.iter().find(|old| {
                let old = &old.rule;
                old.name == rule.name && old.scope == rule.scope && old.each == rule.each
            });
            let gauges = known
                .map_or_else(|| Arc::new(Table::new(Arc::clone(room))), |known| Arc::clone(&known.gauges));
            Arc::new(Standing { name: rule.name.as_str().into(), rule: rule.clone(), gauges })
        });
        Self { index, standing: standing.collect() }
    }
}

impl Gauge {
    /// Whether it can be forgotten: it has nothing to remember.
    fn retire(&self, now_ns: u64) -> bool {
        let idle = self.streams.load(Ordering::Acquire) == 0
            && self.requests_ns.load(Ordering::Acquire) <= now_ns
            && self.tokens_ns.load(Ordering::Acquire) <= now_ns;
        if idle {
            self.retired.store(true, Ordering::Release);
        }
        idle
    }
}

impl Steady {
    fn ns(&self, now_ms: u64) -> u64 {
        let slack = u64::try_from(limits::RATE_CLOCK_SLACK.as_millis()).unwrap_or(u64::MAX);
        loop {
            let skip = self.skip_ms.load(Ordering::Acquire);
            let steady = now_ms.saturating_add(skip);
            let latest = self.latest_ms.load(Ordering::Acquire);
            if steady > latest {
                self.latest_ms.fetch_max(steady, Ordering::AcqRel);
            }
            if steady.saturating_add(slack) >= latest {
                return steady.saturating_mul(MS_NS);
            }
            let more = skip.saturating_add(latest - steady);
            if self.skip_ms.compare_exchange(skip, more, Ordering::AcqRel, Ordering::Relaxed).is_ok() {
                return latest.saturating_mul(MS_NS);
            }
        }
    }
}

impl Gate {
    /// A gate for one core.
    pub fn new(rates: &Arc<Rates>) -> Self {
        let (plan_number, plan) = rates.plan();
        let seats = plan.standing.iter().map(|_| HashMap::new()).collect();
        Self { rates: Arc::clone(rates), plan, plan_number, seats }
    }

    /// Lets a call in that is expected to take so many tokens, if all limits that it belongs to allow it. A
    /// call that expects more tokens than a minute has is let in when nothing is used, and those after it
    /// wait the longer.
    ///
    /// # Errors
    /// `Limited` says how long to wait; nothing is used then.
    pub fn enter(&mut self, who: &Who<'_>, tokens: u64, now_ms: u64) -> Result<Pass, Limited> {
        let now_ns = self.rates.clock.ns(now_ms);
        let legs = self.legs(who, now_ns)?;
        let refused = |found: Vec<Limited>| found.into_iter().max_by_key(|limited| limited.retry_after_ms);
        let looked = legs.iter().flat_map(|leg| leg.look(tokens, now_ns)).collect();
        if let Some(limited) = refused(looked) {
            return Err(limited);
        }
        let mut pass = Pass { rates: Arc::clone(&self.rates), legs, at_ns: now_ns };
        for place in 0..pass.legs.len() {
            let Some(leg) = pass.legs.get_mut(place) else { break };
            if let Err(limited) = leg.take(tokens, now_ns) {
                pass.legs.iter_mut().for_each(Leg::undo);
                return Err(limited);
            }
        }
        Ok(pass)
    }

    fn legs(&mut self, who: &Who<'_>, now_ns: u64) -> Result<Vec<Leg>, Limited> {
        if self.plan_number != self.rates.number.load(Ordering::Acquire) {
            (self.plan_number, self.plan) = self.rates.plan();
            self.seats = self.plan.standing.iter().map(|_| HashMap::new()).collect();
        }
        let places = self.plan.index.places(who);
        let mut legs = Vec::with_capacity(places.len());
        for place in places {
            let (Some(standing), Some(seats)) = (self.plan.standing.get(place), self.seats.get_mut(place))
            else {
                continue;
            };
            let Some(instance) = part(standing.rule.each, who) else { continue };
            let seat = seats.get(&*instance).filter(|gauge| !gauge.retired.load(Ordering::Acquire));
            let gauge = match seat {
                Some(gauge) => Arc::clone(gauge),
                None => {
                    let met = standing.gauges.meet(&instance, Gauge::default, |idle| idle.retire(now_ns));
                    let gauge = met.map_err(|Crowded| Limited::crowded())?;
                    if seats.len() >= limits::RATE_INSTANCES_MAX {
                        seats.clear();
                    }
                    seats.insert((&*instance).into(), Arc::clone(&gauge));
                    gauge
                }
            };
            legs.push(Leg {
                standing: Arc::clone(standing),
                instance: (&*instance).into(),
                gauge,
                request_ns: 0,
                token_ns: 0,
                streaming: false,
            });
        }
        Ok(legs)
    }
}

impl Pass {
    /// Ends the call and says how many tokens it really took. What was expected beyond that is given back,
    /// as far as time has not paid for it yet.
    pub fn finish(mut self, tokens: u64, now_ms: u64) {
        let now_ns = self.rates.clock.ns(now_ms);
        let passed_ns = now_ns.saturating_sub(self.at_ns);
        for leg in &mut self.legs {
            let Some(allowed) = leg.standing.rule.tokens_per_minute else { continue };
            let real_ns = cost_ns(tokens, allowed);
            match real_ns.checked_sub(leg.token_ns) {
                Some(more_ns) => {
                    add(&leg.gauge.tokens_ns, more_ns, now_ns, |_| true).ok();
                }
                None => {
                    let unused_ns = (leg.token_ns - real_ns).min(leg.token_ns.saturating_sub(passed_ns));
                    give_back(&leg.gauge.tokens_ns, unused_ns);
                }
            }
        }
    }
}

impl Drop for Pass {
    fn drop(&mut self) {
        for leg in &mut self.legs {
            leg.end_stream();
        }
    }
}

impl Leg {
    /// What would refuse the call now.
    fn look(&self, tokens: u64, now_ns: u64) -> Vec<Limited> {
        let Rule { requests_per_minute, tokens_per_minute, streams, .. } = self.standing.rule;
        let wait = |word: &AtomicU64, cost: u64| {
            Some(wait_ns(word.load(Ordering::Acquire), cost, now_ns)).filter(|&wait| wait > 0)
        };
        let mut found = Vec::new();
        if let Some(allowed) = requests_per_minute
            && let Some(wait) = wait(&self.gauge.requests_ns, cost_ns(1, allowed))
        {
            found.push(self.limited(Quantity::Requests, allowed, wait));
        }
        if let Some(allowed) = tokens_per_minute
            && let Some(wait) = wait(&self.gauge.tokens_ns, cost_ns(tokens, allowed))
        {
            found.push(self.limited(Quantity::Tokens, allowed, wait));
        }
        if let Some(allowed) = streams
            && self.gauge.streams.load(Ordering::Acquire) >= allowed
        {
            found.push(self.limited(Quantity::Streams, allowed, 0));
        }
        found
    }

    /// Uses what the call needs, or up to what refuses it.
    fn take(&mut self, tokens: u64, now_ns: u64) -> Result<(), Limited> {
        let Rule { requests_per_minute, tokens_per_minute, streams, .. } = self.standing.rule;
        let use_up = |word: &AtomicU64, cost: u64| {
            add(word, cost, now_ns, |paid_ns| wait_ns(paid_ns, cost, now_ns) == 0)
                .map_err(|paid_ns| wait_ns(paid_ns, cost, now_ns))
        };
        if let Some(allowed) = streams {
            let word = &self.gauge.streams;
            let taken = word.try_update(Ordering::AcqRel, Ordering::Relaxed, |under_way| {
                (under_way < allowed).then(|| under_way.saturating_add(1))
            });
            if taken.is_err() {
                return Err(self.limited(Quantity::Streams, allowed, 0));
            }
            self.streaming = true;
        }
        if let Some(allowed) = requests_per_minute {
            let used = use_up(&self.gauge.requests_ns, cost_ns(1, allowed));
            self.request_ns = used.map_err(|wait| self.limited(Quantity::Requests, allowed, wait))?;
        }
        if let Some(allowed) = tokens_per_minute {
            let used = use_up(&self.gauge.tokens_ns, cost_ns(tokens, allowed));
            self.token_ns = used.map_err(|wait| self.limited(Quantity::Tokens, allowed, wait))?;
        }
        Ok(())
    }

    /// Gives back all that `take` used.
    fn undo(&mut self) {
        give_back(&self.gauge.requests_ns, std::mem::take(&mut self.request_ns));
        give_back(&self.gauge.tokens_ns, std::mem::take(&mut self.token_ns));
        self.end_stream();
    }

    fn end_stream(&mut self) {
        if std::mem::take(&mut self.streaming) {
            self.gauge.streams.fetch_sub(1, Ordering::AcqRel);
        }
    }

    fn limited(&self, quantity: Quantity, allowed: u64, wait_ns: u64) -> Limited {
        let retry_after_ms = match quantity {
            Quantity::Requests | Quantity::Tokens => wait_ns.div_ceil(MS_NS),
            Quantity::Streams | Quantity::Instances => streams_retry_ms(),
        };
        Limited {
            rule: Arc::clone(&self.standing.name),
            scope: shown(&self.standing.rule.scope, self.standing.rule.each, &self.instance),
            quantity,
            allowed,
            retry_after_ms,
        }
    }
}

impl Limited {
    fn crowded() -> Self {
        Self {
            rule: Arc::from(""),
            scope: String::new(),
            quantity: Quantity::Instances,
            allowed: u64::try_from(limits::RATE_INSTANCES_MAX).unwrap_or(u64::MAX),
            retry_after_ms: streams_retry_ms(),
        }
    }

    /// The value of `retry-after`: whole seconds, at least one.
    pub fn retry_after_s(&self) -> u64 {
        self.retry_after_ms.div_ceil(1000).max(1)
    }

    /// All that the caller needs to know, in one sentence.
    pub fn sentence(&self) -> String {
        let Self { rule, scope, allowed, .. } = self;
        let what = match self.quantity {
            Quantity::Requests => "requests a minute",
            Quantity::Tokens => "tokens a minute",
            Quantity::Streams => "calls at once",
            Quantity::Instances => {
                return "the gateway counts as many callers as it can: try again later".to_owned();
            }
        };
        let wait = self.retry_after_s();
        format!("rate limit `{rule}` ({scope}) allows {allowed} {what}: try again in {wait} s")
    }
}

fn streams_retry_ms() -> u64 {
    u64::try_from(limits::RATE_STREAMS_RETRY.as_millis()).unwrap_or(u64::MAX)
}

/// How long so many take at this rate. Rounded down, so that as many as are allowed fit into a minute; what
/// one call gains by it is less than a nanosecond.
fn cost_ns(count: u64, per_minute: u64) -> u64 {
    let whole = u128::from(count) * u128::from(MINUTE_NS);
    let cost_ns = whole.checked_div(u128::from(per_minute)).unwrap_or(u128::MAX);
    u64::try_from(cost_ns).unwrap_or(u64::MAX).max(u64::from(count > 0))
}

/// How long until this may be used, where what was used before is paid for until `paid_ns`. What is larger
/// than a minute may begin when nothing is owed.
fn wait_ns(paid_ns: u64, cost_ns: u64, now_ns: u64) -> u64 {
    paid_ns.saturating_sub(MINUTE_NS.saturating_sub(cost_ns)).saturating_sub(now_ns)
}

/// Uses something up, if `allowed` says so of what is paid for by now; says how much was added. Nobody gets
/// into debt for longer than `limits::RATE_DEBT`.
fn add(word: &AtomicU64, cost_ns: u64, now_ns: u64, allowed: impl Fn(u64) -> bool) -> Result<u64, u64> {
    let most_ns = u64::try_from(limits::RATE_DEBT.as_nanos()).unwrap_or(u64::MAX).saturating_add(now_ns);
    let after = |paid_ns: u64| {
        let from = paid_ns.max(now_ns);
        from.saturating_add(cost_ns).min(most_ns.max(from))
    };
    word.try_update(Ordering::AcqRel, Ordering::Relaxed, |paid_ns| allowed(paid_ns).then(|| after(paid_ns)))
        .map(|paid_ns| after(paid_ns).saturating_sub(paid_ns.max(now_ns)))
}

fn give_back(word: &AtomicU64, unused_ns: u64) {
    if unused_ns > 0 {
        word.update(Ordering::AcqRel, Ordering::Relaxed, |paid_ns| paid_ns.saturating_sub(unused_ns));
    }
}

fn check(rules: &[Rule]) -> Result<(), RateFault> {
    if rules.len() > limits::RATES_MAX {
        return Err(RateFault::TooMany(rules.len()));
    }
    let mut names = HashSet::new();
    for rule in rules {
        if rule.name.is_empty() {
            return Err(RateFault::NoName);
        }
        if !names.insert(&rule.name) {
            return Err(RateFault::SameName(rule.name.clone()));
        }
        let numbers = [rule.requests_per_minute, rule.tokens_per_minute, rule.streams];
        if !numbers.into_iter().flatten().all(|number| (1..=limits::RATE_PER_MINUTE_MAX).contains(&number)) {
            return Err(RateFault::Number(rule.name.clone()));
        }
    }
    Ok(())
}
