//! The ledger and the budgets of the process: opened before anybody is served, closed when nobody is.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock;
use crate::config::snapshot::{Fixed, Spending};
use crate::gateway::books::Books;
use crate::gateway::charge::Limits;
use crate::gateway::contents::Contents;
use crate::gateway::herald::Herald;
use crate::gateway::log::{Level, Sink};
use crate::gateway::start::StartFault;
use crate::ledger::index::IndexFault;
use crate::ledger::index::search::Reader;
use crate::ledger::index::store;
use crate::ledger::index::thread::Indexer;
use crate::ledger::journal::Journal;
use crate::ledger::live::{Ledger, Opened, Report};
use crate::ledger::settings::{Durability, OnFull, Settings};
use crate::limits;
use crate::meter::budget::{BudgetFault, Budgets};
use crate::meter::desk::{Ask, Desk};
use crate::meter::rate::Rates;
use crate::meter::scope::Who;
use crate::meter::window::Window;

/// What records and money need of the process.
pub(super) struct Accounts {
    pub(super) ledger: Arc<Ledger>,
    pub(super) limits: Limits,
    pub(super) indexer: Indexer,
    pub(super) contents: Contents,
    pub(super) herald: Herald,
    /// Those of the cores, the hub's and the main thread's.
    journals: Vec<Journal>,
    serves_when_full: bool,
}

/// Threads beside the cores that write into the ledger: the hub and the main thread.
const BESIDE: usize = 2;

/// How often somebody who waits for the start is told why it takes so long.
const TOLD_EVERY: Duration = Duration::from_secs(5);

impl Accounts {
    /// Opens the ledger, closes what the process before left open, and finds out what has been spent.
    ///
    /// # Errors
    /// When the ledger cannot be had: another process keeps it, it is damaged, or the disk says no.
    pub(super) fn open(fixed: &Fixed, spending: &Spending, log: &Sink) -> Result<Self, StartFault> {
        let plan = &fixed.ledger;
        let settings = Settings {
            durability: if plan.synced { Durability::Synced } else { Durability::Written },
            sync_ms: plan.sync_ms,
            on_full: if plan.serve_when_full { OnFull::Serve } else { OnFull::Refuse },
            journal_bytes: limits::JOURNAL_HALF_BYTES,
            ..Settings::new(&fixed.data_dir, fixed.threads.max(1) + BESIDE)
        };
        let now_ms = clock::unix_ms(clock::wall());
        let Opened { ledger, journals, report } = Ledger::open(settings, now_ms)?;
        tell(&report, log);
        let ledger = Arc::new(ledger);
        let index = store::path_in(&fixed.data_dir);
        let source = Arc::clone(&ledger);
        let indexer = Indexer::start(&index, report.records, move |from| source.follow(from))?;
        // Nobody spends before it is known what has been spent.
        let begun = clock::now();
        while !indexer.wait(report.records, TOLD_EVERY) {
            let why = indexer.fault().unwrap_or_default();
            if !why.is_empty() && begun.elapsed() > limits::INDEX_START_DEADLINE {
                return Err(StartFault::IndexBehind(why));
            }
            log.line(Level::Warn, "waiting for the index of the ledger", |line| {
                line.count("records", report.records).count("indexed", indexer.next()).text("fault", &why)
            });
        }
        let limits = Limits {
            budgets: budgets(spending, &index, now_ms)?,
            rates: Rates::new(&spending.rates).map_err(StartFault::Rates)?,
        };
        let days = u32::try_from(plan.content_days).unwrap_or(u32::MAX);
        let contents = Contents::new(&fixed.data_dir, days, log.clone());
        let herald = Herald::new(fixed.data_dir.clone(), log.clone());
        let serves_when_full = plan.serve_when_full;
        Ok(Self { ledger, limits, indexer, contents, herald, journals, serves_when_full })
    }

    /// The books of one more thread; `None` when all have been given away.
    pub(super) fn books(&mut self) -> Option<Books> {
        let journal = self.journals.pop()?;
        Some(Books::new(journal, Arc::clone(&self.ledger), self.serves_when_full))
    }
}

/// Why nobody knows how budgets stand.
#[derive(Debug, thiserror::Error)]
pub enum BudgetsFault {
    /// They cannot be.
    #[error(transparent)]
    Budgets(#[from] BudgetFault),
    /// The index does not say what was spent.
    #[error(transparent)]
    Index(#[from] IndexFault),
}

/// The budgets of a config with what the ledger says that was spent in their present windows. Calls count
/// with the hour that they began in: for a rolling window the whole hour counts until its end has left it.
///
/// # Errors
/// `BudgetsFault`.
pub fn budgets(spending: &Spending, index: &Path, now_ms: u64) -> Result<Arc<Budgets>, BudgetsFault> {
    let budgets = Budgets::new(&spending.budgets)?;
    let mut desk = Desk::new(&budgets);
    replay(spending, index, now_ms, |who, at_ms, pico| {
        // What is free fits into every budget, and is then settled at what it was.
        if let Ok(lease) = desk.reserve(who, Ask::exactly(0), at_ms) {
            desk.settle(lease, pico);
        }
    })?;
    Ok(budgets)
}

/// Gives what was charged since the first of the budgets' present windows began: whom, when, pico-dollars.
///
/// # Errors
/// What the index says.
pub(super) fn replay(
    spending: &Spending,
    index: &Path,
    now_ms: u64,
    mut each: impl FnMut(&Who<'_>, u64, u64),
) -> Result<(), IndexFault> {
    let begun = spending.budgets.iter().map(|budget| match &budget.window {
        Window::Total => 0,
        Window::Calendar { .. } => budget.window.span(now_ms).start_ms,
        Window::Rolling { length_ms } => now_ms.saturating_sub(*length_ms),
    });
    let Some(since_ms) = begun.min() else { return Ok(()) };
    Reader::open(index)?.replay(since_ms, |charged| {
        let who = Who {
            team: charged.team,
            key: charged.key,
            // As at the time of the call.
            user: if charged.user.is_empty() { charged.key } else { charged.user },
            model: charged.model,
            provider: charged.provider,
            server: charged.server,
            tool: charged.tool,
        };
        each(&who, charged.at_ms.min(now_ms), charged.pico);
    })
}

/// Says what the process before has left, where that is anything.
fn tell(report: &Report, log: &Sink) {
    if let Some((bad, kept)) = &report.cut {
        log.line(
            Level::Warn,
            "the end of the ledger was cut: its last record was not wholly written",
            |line| {
                line.count("bytes", report.cut_bytes)
                    .text("where", &bad.to_string())
                    .text("kept", &kept.display().to_string())
            },
        );
    }
    if report.recovered > 0 || report.missing > 0 || !report.lost.is_empty() {
        log.line(Level::Warn, "the process before has not ended properly", |line| {
            line.count("recovered", report.recovered)
                .count("missing", report.missing)
                .count("lost_calls", report.lost.len() as u64)
        });
    }
}
