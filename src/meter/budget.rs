//! Budgets as an organisation writes them, and the counters behind them that all cores share.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::limits;
use crate::meter::cells::{Cell, Instance};
use crate::meter::instances::{Crowded, Room, Table};
use crate::meter::scope::{Each, Index, Scope, Who, part, shown};
use crate::meter::window::{Span, Window};

/// How a budget reckons with a call whose cost nobody knows before its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// The most that the call can cost is reserved. What is spent is never over the limit, as long as no
    /// call costs more than it was said to cost at most; few calls run at once.
    Strict,
    /// What the call is expected to cost is reserved, and more while it costs more. What is spent is over
    /// the limit by at most `chunk_pico` for every call under way.
    Elastic {
        /// What is reserved at least at the beginning, and each time that a reservation is used up.
        chunk_pico: u64,
    },
}

/// A budget as somebody wrote it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Definition {
    /// Its name, which no other budget has; callers read it.
    pub name: String,
    /// Which calls it is about.
    pub scope: Scope,
    /// By what it is divided, so that each part may spend the limit.
    pub each: Option<Each>,
    /// What may be spent in a window, in pico-dollars, at most `limits::BUDGET_PICO_MAX`.
    pub limit_pico: u64,
    /// For which time.
    pub window: Window,
    /// How it reckons with calls under way.
    pub mode: Mode,
    /// At how many percent callers are warned: 1 to 100, at most `limits::BUDGET_WARNINGS_MAX`, any order.
    pub warn_percents: Vec<u8>,
}

/// What can be wrong with budgets that somebody wrote.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BudgetFault {
    /// There are more than `limits::BUDGETS_MAX`.
    #[error("there are {0} budgets, at most {most} are allowed", most = limits::BUDGETS_MAX)]
    TooMany(usize),
    /// One has no name.
    #[error("a budget has no name")]
    NoName,
    /// Two have the same name.
    #[error("two budgets are called `{0}`")]
    SameName(String),
    /// The limit is over `limits::BUDGET_PICO_MAX`.
    #[error("budget `{0}` has a limit of more than ten million dollars")]
    Limit(String),
    /// The chunk is nothing, or more than the limit.
    #[error("budget `{0}` reserves in chunks that are empty or larger than its limit")]
    Chunk(String),
    /// There are too many percentages, or one is not in 1 to 100.
    #[error("budget `{0}` warns at up to {most} percentages of 1 to 100", most = limits::BUDGET_WARNINGS_MAX)]
    Warnings(String),
}

/// All budgets, for all cores. Every core takes a `Desk` of them.
#[derive(Debug)]
pub struct Budgets {
    current: Mutex<Arc<Plan>>,
    /// Counts the plans, so that a desk sees without a lock whether its own is still the current one.
    number: AtomicU64,
    desks: AtomicU64,
    room: Arc<Room>,
}

/// The budgets of one config.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) index: Index,
    /// In the order of the index.
    pub(super) standing: Vec<Arc<Standing>>,
}

/// One budget of one config.
#[derive(Debug)]
pub(super) struct Standing {
    pub(super) series: Arc<Series>,
    /// What is reserved at least; `None` in strict mode.
    pub(super) chunk_pico: Option<u64>,
    /// Ascending.
    pub(super) warn_percents: Vec<u8>,
}

/// What stays of a budget from config to config: whose name, scope and window are the same keeps what was
/// spent.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: Arc<str>,
    pub(super) scope: Scope,
    pub(super) each: Option<Each>,
    pub(super) window: Window,
    limit_pico: AtomicU64,
    instances: Table<Instance>,
}

/// How one instance of a budget stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct State {
    /// The budget's name.
    pub name: Arc<str>,
    /// What it is about, for people: `user ana of team platform`.
    pub scope: String,
    /// The part that this is; empty when the budget is not divided.
    pub instance: String,
    /// What may be spent, pico-dollars.
    pub limit_pico: u64,
    /// What is spent, pico-dollars.
    pub spent_pico: u64,
    /// What is reserved for calls under way, pico-dollars. Those that began in an earlier window are held
    /// against that one.
    pub reserved_pico: u64,
    /// When the window began, milliseconds since 1970.
    pub window_start_ms: u64,
    /// When the budget begins anew; of a rolling window, when money may be forgotten next; `None` for never.
    pub resets_at_ms: Option<u64>,
}

impl Budgets {
    /// Budgets of which nothing is spent: `seed` says what was.
    ///
    /// # Errors
    /// `BudgetFault` names the first budget that cannot be.
    pub fn new(definitions: &[Definition]) -> Result<Arc<Self>, BudgetFault> {
        check(definitions)?;
        let room = Room::new(limits::BUDGET_INSTANCES_MAX);
        let (plan, _) = Plan::new(definitions, None, &room);
        Ok(Arc::new(Self {
            current: Mutex::new(Arc::new(plan)),
            number: AtomicU64::new(1),
            desks: AtomicU64::new(0),
            room,
        }))
    }

    /// Takes other budgets from now on. Those whose name, scope and window are as before keep what is spent
    /// and reserved; the names of all others are given back, to be seeded. Calls under way settle with the
    /// budgets that they began with, under their new limits.
    ///
    /// # Errors
    /// `BudgetFault`; then nothing has changed.
    pub fn reload(&self, definitions: &[Definition]) -> Result<Vec<String>, BudgetFault> {
        check(definitions)?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let (plan, fresh) = Plan::new(definitions, Some(&current), &self.room);
        let plan = Arc::new(plan);
        for old in &current.standing {
            if !plan.standing.iter().any(|new| Arc::ptr_eq(&new.series, &old.series)) {
                // Calls that are still under way in it are not to be stopped by what is no budget any more.
                old.series.limit_pico.store(u64::MAX, Ordering::Release);
            }
        }
        *current = plan;
        self.number.fetch_add(1, Ordering::AcqRel);
        Ok(fresh)
    }

    /// Adds what the ledger says was spent before: of a calendar's window its sum, with any time inside of
    /// it; of a rolling window each stretch of time on its own, with its last millisecond. Says whether
    /// there is such a budget, and room for the instance.
    pub fn seed(&self, budget: &str, instance: &str, at_ms: u64, spent_pico: u64) -> bool {
        let plan = self.plan().1;
        let found = plan.standing.iter().find(|standing| &*standing.series.name == budget);
        let Some(Ok((_, cell))) = found.map(|found| found.series.open(instance, at_ms)) else { return false };
        cell.seed(at_ms, spent_pico);
        true
    }

    /// Adds what one call spent at `at_ms`, in pico-dollars, to those of the budgets named in `names` that
    /// it belongs to: for budgets that `reload` has given back, call by call. Of a calendar's windows only
    /// the one that `at_ms` is in learns of it; an instance that there is no room for does not.
    pub fn seed_for(&self, names: &[String], who: &Who<'_>, at_ms: u64, pico: u64) {
        let plan = self.plan().1;
        for place in plan.index.places(who) {
            let Some(series) = plan.standing.get(place).map(|standing| &standing.series) else { continue };
            if !names.iter().any(|name| *name == *series.name) {
                continue;
            }
            if let Some(instance) = part(series.each, who)
                && let Ok((_, cell)) = series.open(&instance, at_ms)
            {
                cell.seed(at_ms, pico);
            }
        }
    }

    /// How all instances stand that anything was ever asked of, in the order of the config.
    pub fn states(&self, now_ms: u64) -> Vec<State> {
        let mut states = Vec::new();
        for standing in &self.plan().1.standing {
            let series = &standing.series;
            let undivided = if series.each.is_none() { series.open("", now_ms).ok() } else { None };
            drop(undivided);
            for (name, instance) in series.instances.all() {
                let Some((_, cell)) = instance.cell(&series.window, now_ms) else { continue };
                cell.advance(now_ms);
                let (spent, span) = (cell.spent(), series.window.span(now_ms));
                states.push(State {
                    name: Arc::clone(&series.name),
                    scope: shown(&series.scope, series.each, &name),
                    instance: name.into(),
                    limit_pico: series.limit_pico(),
                    spent_pico: spent,
                    reserved_pico: cell.held().saturating_sub(spent),
                    window_start_ms: span.start_ms,
                    resets_at_ms: span.resets_at_ms(),
                });
            }
        }
        states
    }

    /// The current plan and its number.
    pub(super) fn plan(&self) -> (u64, Arc<Plan>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.number(), Arc::clone(&current))
    }

    /// The number of the current plan.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// A number for a new desk.
    pub(super) fn next_desk(&self) -> u64 {
        self.desks.fetch_add(1, Ordering::AcqRel)
    }
}

impl Plan {
    /// A plan that takes over what it can of an older one, and the names of the budgets that are new.
    fn new(definitions: &[Definition], old: Option<&Self>, room: &Arc<Room>) -> (Self, Vec<String>) {
        let index = Index::new(definitions.iter().map(|definition| &definition.scope));
        let (mut standing, mut fresh) = (Vec::with_capacity(definitions.len()), Vec::new());
        for definition in definitions {
            let known = old.iter().flat_map(|old| &old.standing).find(|old| old.series.is_of(definition));
            let series = match known {
                Some(known) => {
                    known.series.limit_pico.store(definition.limit_pico, Ordering::Release);
                    Arc::clone(&known.series)
                }
                None => {
                    fresh.push(definition.name.clone());
                    Arc::new(Series::new(definition, room))
                }
            };
            let mut warn_percents = definition.warn_percents.clone();
            warn_percents.sort_unstable();
            let chunk_pico = match definition.mode {
                Mode::Strict => None,
                Mode::Elastic { chunk_pico } => Some(chunk_pico),
            };
            standing.push(Arc::new(Standing { series, chunk_pico, warn_percents }));
        }
        (Self { index, standing }, fresh)
    }
}

impl Series {
    fn new(definition: &Definition, room: &Arc<Room>) -> Self {
        Self {
            name: definition.name.as_str().into(),
            scope: definition.scope.clone(),
            each: definition.each,
            window: definition.window.clone(),
            limit_pico: AtomicU64::new(definition.limit_pico),
            instances: Table::new(Arc::clone(room)),
        }
    }

    fn is_of(&self, definition: &Definition) -> bool {
        *self.name == *definition.name
            && self.scope == definition.scope
            && self.each == definition.each
            && self.window == definition.window
    }

    /// What may be spent now: a reload may change it.
    pub(super) fn limit_pico(&self) -> u64 {
        self.limit_pico.load(Ordering::Acquire)
    }

    /// The counter of an instance at `now_ms`, and for how long it is the one.
    pub(super) fn open(&self, instance: &str, now_ms: u64) -> Result<(Span, Arc<Cell>), Crowded> {
        // An instance can be retired between the two steps, but hardly again and again.
        for _ in 0..3 {
            let met = self.instances.meet(instance, Instance::new, |idle| idle.retire(now_ms))?;
            if let Some(open) = met.cell(&self.window, now_ms) {
                return Ok(open);
            }
        }
        Err(Crowded)
    }
}

fn check(definitions: &[Definition]) -> Result<(), BudgetFault> {
    if definitions.len() > limits::BUDGETS_MAX {
        return Err(BudgetFault::TooMany(definitions.len()));
    }
    let mut names = HashSet::new();
    for Definition { name, limit_pico, mode, warn_percents, .. } in definitions {
        if name.is_empty() {
            return Err(BudgetFault::NoName);
        }
        if !names.insert(name) {
            return Err(BudgetFault::SameName(name.clone()));
        }
        if *limit_pico > limits::BUDGET_PICO_MAX {
            return Err(BudgetFault::Limit(name.clone()));
        }
        if matches!(mode, Mode::Elastic { chunk_pico } if *chunk_pico == 0 || chunk_pico > limit_pico) {
            return Err(BudgetFault::Chunk(name.clone()));
        }
        let known = warn_percents.iter().all(|percent| (1..=100).contains(percent));
        if !known || warn_percents.len() > limits::BUDGET_WARNINGS_MAX {
            return Err(BudgetFault::Warnings(name.clone()));
        }
    }
    Ok(())
}
