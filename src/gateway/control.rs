//! The rare things, on the main thread: signals, reloads, the end.

use std::time::{Duration, Instant};

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{MissedTickBehavior, interval};

use crate::clock;
use crate::config::reload::reload;
use crate::gateway::log::Level;
use crate::gateway::start::{Running, StartFault};
use crate::gateway::worker::{Mail, Phase};
use crate::limits;

/// Every so many looks at the files a refused config is tried again.
const TICKS_PER_RETRY: u32 = 8;

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
            self.serve(&mut signals).await?;
            self.drain(&mut signals).await;
            Ok(())
        });
        let Self { cores, mailboxes, log, log_thread, .. } = self;
        // Cores that would not end are left behind: the process ends now.
        if cores.iter().all(std::thread::JoinHandle::is_finished) {
            log.line(Level::Info, "stopped", |line| line);
            for core in cores {
                drop(core.join());
            }
            drop((mailboxes, log));
            drop(log_thread.join());
        }
        outcome
    }

    async fn serve(&mut self, signals: &mut Signals) -> Result<(), StartFault> {
        let mut tick = interval(limits::RELOAD_POLL);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut unread, mut ticks) = (false, 0);
        loop {
            tokio::select! {
                _ = signals.terminate.recv() => return Ok(()),
                _ = signals.interrupt.recv() => return Ok(()),
                _ = signals.hang_up.recv() => {
                    // The files are looked at before they are read, whatever came of the look.
                    self.watch.changed();
                    self.reload(Some("SIGHUP"));
                }
                _ = tick.tick() => {
                    if self.cores.iter().any(std::thread::JoinHandle::is_finished) {
                        return Err(StartFault::CoreLost);
                    }
                    // A file that is being written changes from look to look: it is read once it rests.
                    let changed = self.watch.changed();
                    let rests = !changed && unread;
                    unread = changed;
                    ticks = (ticks + 1) % TICKS_PER_RETRY;
                    if rests || (ticks == 0 && self.refused.is_some()) {
                        self.reload(None);
                    }
                }
            }
        }
    }

    /// Reads the config again: as a whole, or not at all. Without an `order` of somebody, what reads as
    /// before is passed over in silence: a look at the files errs on the side of reading.
    fn reload(&mut self, order: Option<&str>) {
        let why = order.unwrap_or("a file changed");
        match reload(self.path.as_deref(), &self.fixed) {
            Ok(reloaded) => {
                let version = reloaded.snapshot.version.clone();
                self.refused = None;
                self.watch.follow(&reloaded.watched);
                if order.is_none() && version == self.published.current().1.version {
                    return;
                }
                self.published.publish(reloaded.snapshot);
                for warning in &reloaded.warnings {
                    self.log.line(Level::Warn, "config", |line| line.text("warning", warning));
                }
                self.log.line(Level::Info, "reloaded", |line| line.text("why", why).text("config", &version));
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
