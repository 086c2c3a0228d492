//! The rare things, on the main thread: signals, reloads, the end.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::call::Outcome;
use crate::clock;
use crate::config::reload::reload;
use crate::config::snapshot::Spending;
use crate::gateway::accounts;
use crate::gateway::log::{Level, Sink};
use crate::gateway::office::registrar::Order;
use crate::gateway::start::{Running, StartFault};
use crate::gateway::worker::{Mail, Phase};
use crate::ledger::entry::{Entry, Kind};
use crate::ledger::index::store;
use crate::ledger::index::thread::Indexer;
use crate::ledger::live::Ledger;
use crate::ledger::record::Head;
use crate::limits;

/// Every so many looks at the files a refused config is tried again.
const TICKS_PER_RETRY: u32 = 8;

const MS_OF_DAY: u64 = 24 * 60 * 60 * 1000;

/// How often the end of the cores is looked for while draining.
const DRAIN_TICK: Duration = Duration::from_millis(20);

/// The signals that the main thread waits for, and the runtime to wait in.
#[derive(Debug)]
pub struct Control {
    runtime: tokio::runtime::Runtime,
    signals: Signals,
}

#[derive(Debug)]
struct Signals {
    terminate: Signal,
    interrupt: Signal,
    hang_up: Signal,
}

impl Control {
    /// Takes the signals: from here on they no longer end the process by themselves. To be done before
    /// anybody can know that we run, since whoever knows may tell us to stop.
    ///
    /// # Errors
    /// When the signals cannot be had.
    pub fn new() -> Result<Self, StartFault> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let entered = runtime.enter();
        let signals = Signals {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
            hang_up: signal(SignalKind::hangup())?,
        };
        drop(entered);
        Ok(Self { runtime, signals })
    }
}

impl Running {
    /// Serves until SIGTERM or SIGINT, then drains: no new connections, running answers end within
    /// `drain_s`, what is left is cut. A second signal cuts at once. SIGHUP, or a change of the config, of
    /// the stored keys or of the certificate, reloads.
    ///
    /// # Errors
    /// When a core ends by itself.
    pub fn wait(mut self, control: Control) -> Result<(), StartFault> {
        let Control { runtime, mut signals } = control;
        let outcome = runtime.block_on(async {
            let version = self.published.current().1.version.clone();
            self.note_config("started", &version).await;
            self.serve(&mut signals).await?;
            self.drain(&mut signals).await;
            Ok(())
        });
        let heads = Arc::clone(&self.published.current().1.heads);
        let Self {
            cores,
            mailboxes,
            log,
            log_thread,
            ledger,
            indexer,
            contents,
            books,
            herald,
            issuers,
            credentials,
            ..
        } = self;
        drop(books);
        issuers.end();
        credentials.end();
        // Cores that would not end are left behind: the process ends now.
        if cores.iter().all(std::thread::JoinHandle::is_finished) {
            for core in cores {
                drop(core.join());
            }
            close(ledger, indexer, &log, |head| herald.end(head, &heads));
            // What waits of contents is written.
            drop(contents);
            log.line(Level::Info, "stopped", |line| line);
            drop((mailboxes, log));
            drop(log_thread.join());
        }
        outcome
    }

    async fn serve(&mut self, signals: &mut Signals) -> Result<(), StartFault> {
        let mut tick = interval(limits::RELOAD_POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut unread, mut ticks) = (false, 0);
        let mut chores = clock::now() + limits::CHORES_FIRST;
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.hang_up.recv() => {
                    // The files are looked at before they are read, whatever came of the look.
                    self.watch.changed();
                    self.reload(Some("SIGHUP")).await;
                }
                Some(Order { why, reply }) = self.orders.recv() => {
                    self.watch.changed();
                    self.reload(Some(why)).await;
                    // Whoever has left need not be told.
                    drop(reply.send(self.refused.clone()));
                }
                _ = tick.tick() => {
                    if self.cores.iter().any(std::thread::JoinHandle::is_finished) {
                        return Err(StartFault::CoreLost);
                    }
                    if clock::now() >= chores {
                        chores = clock::now() + limits::CHORES_EVERY;
                        self.forget_what_is_old();
                    }
                    self.published.sweep();
                    self.issuers.tell(&self.published.current().1.identity);
                    self.credentials.tell(&self.published.current().1.credentials);
                    self.herald.tell(self.ledger.newest_head(), &self.published.current().1.heads);
                    // A file that is being written changes from look to look: it is read once it rests.
                    let changed = self.watch.changed();
                    let rests = !changed && unread;
                    unread = changed;
                    ticks = (ticks + 1) % TICKS_PER_RETRY;
                    if rests || (ticks == 0 && self.refused.is_some()) {
                        self.reload(None).await;
                    }
                }
            }
        }
    }

    /// Reads the config again: as a whole, or not at all. Without an `order` of somebody, what reads as
    /// before is passed over in silence: a look at the files errs on the side of reading.
    async fn reload(&mut self, order: Option<&str>) {
        let why = order.unwrap_or("a file changed");
        match reload(self.path.as_deref(), &self.fixed) {
            Ok(reloaded) => {
                let version = reloaded.snapshot.version.clone();
                self.refused = None;
                self.watch.follow(&reloaded.watched);
                if order.is_none() && version == self.published.current().1.version {
                    return;
                }
                // What was spent stays with the budgets that stay.
                let spending = reloaded.snapshot.spending.clone();
                self.published.publish(reloaded.snapshot);
                let budgets = self.limits.budgets.reload(&spending.budgets);
                let budgets = budgets.map_err(|fault| fault.to_string());
                let budgets = budgets.and_then(|new| self.seed(&spending, &new));
                let rates = self.limits.rates.reload(&spending.rates).map_err(|fault| fault.to_string());
                for warning in &reloaded.warnings {
                    self.log.line(Level::Warn, "config", |line| line.text("warning", warning));
                }
                for fault in [budgets.err(), rates.err()].into_iter().flatten() {
                    self.log.line(Level::Error, "the limits are not as the config wants them", |line| {
                        line.text("error", &fault)
                    });
                }
                self.log.line(Level::Info, "reloaded", |line| line.text("why", why).text("config", &version));
                self.note_config(why, &version).await;
            }
            // It is tried again every now and then: what is wrong may be a file that it names and that only
            // appears later.
            Err(faults) => {
                let faults = faults.to_string();
                if order.is_some() || self.refused.as_ref() != Some(&faults) {
                    self.log.line(Level::Error, "reload refused, the old config stays in force", |line| {
                        line.text("why", why).text("faults", &faults)
                    });
                }
                self.refused = Some(faults);
            }
        }
    }

    /// Drops contents and segments that are older than they are to be kept, on a thread of its own: segments
    /// go one by one, each with a signed word about it.
    fn forget_what_is_old(&self) {
        self.contents.sweep();
        let Some(days) = self.fixed.ledger.keep_days else { return };
        let before = clock::unix_ms(clock::wall()).saturating_sub(days.saturating_mul(MS_OF_DAY));
        let (ledger, log) = (Arc::clone(&self.ledger), self.log.clone());
        let forget = move || match ledger.retain(before) {
            Ok(None) => {}
            Ok(Some(first)) => log.line(Level::Info, "old records were dropped", |line| {
                line.count("first_record", first).count("keep_days", days)
            }),
            Err(fault) => log.line(Level::Error, "old records cannot be dropped", |line| {
                line.text("error", &fault.to_string())
            }),
        };
        // Without a thread it is tried again in an hour.
        drop(std::thread::Builder::new().name("retention".to_owned()).spawn(forget));
    }

    /// Tells budgets that are new what has been spent of them, which the ledger knows.
    fn seed(&self, spending: &Spending, new: &[String]) -> Result<(), String> {
        if new.is_empty() {
            return Ok(());
        }
        let index = store::path_in(&self.fixed.data_dir);
        let seeded = accounts::replay(spending, &index, clock::unix_ms(clock::wall()), |who, at_ms, pico| {
            self.limits.budgets.seed_for(new, who, at_ms, pico);
        });
        seeded.map_err(|fault| format!("what was spent of new budgets is not known: {fault}"))?;
        Ok(())
    }

    /// Writes down that a config is in force from now on.
    async fn note_config(&mut self, why: &str, version: &str) {
        let entry = Entry {
            decision: format!("config {version} in force: {why}"),
            outcome: Outcome::Done.name().to_owned(),
            ..Entry::new(self.ids.next(), Kind::Config, clock::unix_ms(clock::wall()))
        };
        // The main thread has signals to hear: it does not wait for a disk.
        drop(tokio::time::timeout(limits::LEDGER_EVENT_DEADLINE, self.books.event(&entry)).await);
    }

    async fn drain(&self, signals: &mut Signals) {
        let drain = self.fixed.drain;
        self.log.line(Level::Info, "draining", |line| line.number("drain_s", drain.as_secs()));
        self.tell(Phase::Draining).await;
        let until = clock::now() + drain;
        tokio::select! {
            ended = self.ended(until) => if ended { return },
            _ = signals.terminate.recv() => {}
            _ = signals.interrupt.recv() => {}
        }
        self.log.line(Level::Warn, "cutting what still runs", |line| line);
        self.tell(Phase::Cut).await;
        self.ended(clock::now() + limits::CUT_DEADLINE).await;
    }

    async fn tell(&self, phase: Phase) {
        for mailbox in self.mailboxes.iter() {
            // A core that has ended already needs no telling.
            drop(mailbox.send(Mail::Phase(phase)).await);
        }
    }

    async fn ended(&self, until: Instant) -> bool {
        while !self.cores.iter().all(std::thread::JoinHandle::is_finished) {
            if clock::now() >= until {
                return false;
            }
            tokio::time::sleep(DRAIN_TICK).await;
        }
        true
    }
}

/// Closes the ledger, into which nobody writes any more, and sends its last head.
fn close(ledger: Arc<Ledger>, indexer: Indexer, log: &Sink, send: impl FnOnce(Option<Head>)) {
    // It takes what has just been written, as far as that is quick; the rest is taken at the next start.
    indexer.wait(ledger.synced_records(), limits::INDEX_STOP_DEADLINE);
    indexer.stop();
    let newest = ledger.newest_head();
    let Some(ledger) = Arc::into_inner(ledger) else { return send(newest) };
    let stopped = ledger.stop();
    // The last head is signed as the ledger stops.
    send(ledger.newest_head());
    if let Err(fault) = stopped {
        log.line(Level::Error, "the ledger was not closed properly", |line| {
            line.text("error", &fault.to_string())
        });
    }
}
