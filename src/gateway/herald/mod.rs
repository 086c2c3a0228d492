//! The herald: a thread that sends signed heads of the ledger to where others keep them.
//!
//! Only the newest head counts, since each is about all records before it: while a destination is out of
//! reach nothing queues up, and afterwards it gets what is newest then. Nobody waits for the herald but the
//! end of the process, for `limits::HEADS_STOP_DEADLINE` at most.

use std::path::PathBuf;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::watch;

use crate::admin::heads_metrics::{Destination, HeadCounts};
use crate::clock;
use crate::config::snapshot::HeadTargets;
use crate::gateway::herald::letter::Letter;
use crate::gateway::log::{Level, Sink};
use crate::ledger::delivered::Delivered;
use crate::ledger::record::Head;
use crate::limits;
use crate::net::engine::{Engine, EngineChoice};
use crate::net::runtime::Runtime;

mod letter;
#[cfg(test)]
mod tests;

/// What the herald is to do.
#[derive(Clone, Debug, Default)]
struct Orders {
    targets: Arc<HeadTargets>,
    /// The newest.
    head: Option<Head>,
    /// Whether it is the last one.
    ends: bool,
}

/// What is needed to send.
#[derive(Clone)]
struct Means {
    data_dir: PathBuf,
    log: Sink,
    counts: Arc<HeadCounts>,
}

/// The thread, once there is anywhere to send to.
pub(super) struct Herald {
    /// What it has done.
    pub(super) counts: Arc<HeadCounts>,
    means: Means,
    orders: watch::Sender<Orders>,
    thread: Option<JoinHandle<()>>,
    /// Whether it has been said that there can be no thread.
    complained: bool,
}

impl Herald {
    /// One that has no thread yet.
    pub(super) fn new(data_dir: PathBuf, log: Sink) -> Self {
        let ((orders, _), counts) = (watch::channel(Orders::default()), Arc::<HeadCounts>::default());
        let means = Means { data_dir, log, counts: Arc::clone(&counts) };
        Self { counts, means, orders, thread: None, complained: false }
    }

    /// Tells what is newest and where it is to go; waits for nothing. To be called every now and then.
    pub(super) fn tell(&mut self, head: Option<Head>, targets: &Arc<HeadTargets>) {
        if self.thread.is_none() && targets.webhook.is_none() && targets.bucket.is_none() {
            return;
        }
        self.orders.send_if_modified(|orders| {
            let same = Arc::ptr_eq(&orders.targets, targets) && orders.head == head;
            if !same {
                orders.targets = Arc::clone(targets);
                orders.head = head;
            }
            !same
        });
        if self.thread.is_none() {
            self.start();
        }
    }

    fn start(&mut self) {
        let (means, orders) = (self.means.clone(), self.orders.subscribe());
        let work = move || run(means, orders);
        match std::thread::Builder::new().name("herald".to_owned()).spawn(work) {
            Ok(thread) => self.thread = Some(thread),
            Err(_) if self.complained => {}
            Err(fault) => {
                self.complained = true;
                self.means.log.line(Level::Error, "signed heads are not sent: no thread", |line| {
                    line.text("error", &fault.to_string())
                });
            }
        }
    }

    /// Sends the last head, and waits until it has arrived or the time is over.
    pub(super) fn end(mut self, head: Option<Head>, targets: &Arc<HeadTargets>) {
        self.tell(head, targets);
        let Self { orders, thread, .. } = self;
        orders.send_modify(|orders| orders.ends = true);
        // A thread that has failed has nothing more to send.
        drop(thread.map(JoinHandle::join));
    }
}

fn run(means: Means, orders: watch::Receiver<Orders>) {
    let runtime = match Runtime::new(EngineChoice::Epoll) {
        Ok((runtime, _)) => runtime,
        Err(fault) => {
            return means.log.line(Level::Error, "signed heads are not sent: no runtime", |line| {
                line.text("error", &fault.to_string())
            });
        }
    };
    let engine = runtime.engine();
    runtime.block_on(async move {
        let mut end = orders.clone();
        let over = async {
            // Whoever gives orders says when they end, or is gone.
            drop(end.wait_for(|orders| orders.ends).await.map(drop));
            tokio::time::sleep(limits::HEADS_STOP_DEADLINE).await;
        };
        let webhook = Road::new(Destination::Webhook, means.clone(), engine).serve(orders.clone());
        let bucket = Road::new(Destination::Bucket, means, engine).serve(orders);
        tokio::select! {
            ((), ()) = async { tokio::join!(webhook, bucket) } => {}
            () = over => {}
        }
    });
}

/// The way to one destination.
struct Road {
    destination: Destination,
    means: Means,
    engine: Engine,
    delivered: Delivered,
    /// Since the last head that arrived, or since the end began.
    failures: u32,
    /// Whether it has been said that heads do not arrive.
    complained: bool,
}

impl Road {
    fn new(destination: Destination, means: Means, engine: Engine) -> Self {
        let delivered = Delivered::read(&means.data_dir, destination.name());
        Self { destination, means, engine, delivered, failures: 0, complained: false }
    }

    /// Delivers until there are no more orders.
    async fn serve(mut self, mut orders: watch::Receiver<Orders>) {
        let mut ending = false;
        loop {
            let now = orders.borrow_and_update().clone();
            if now.ends && !ending {
                // There is little time: the waits begin anew.
                (ending, self.failures) = (true, 0);
            }
            let Some((letter, head)) = self.due(&now) else {
                if now.ends || orders.changed().await.is_err() {
                    return;
                }
                continue;
            };
            let sent = tokio::select! {
                sent = letter.send(self.engine, clock::unix_s(clock::wall())) => sent,
                // What is under way is given up: there is a newer place, or a newer head and little time.
                () = other(&mut orders, &now, false) => continue,
            };
            match sent {
                Ok(()) => self.arrived(letter.address(), &head),
                Err(why) => {
                    let wait = self.failed(&head, &why);
                    tokio::select! {
                        () = tokio::time::sleep(wait) => {}
                        () = other(&mut orders, &now, true) => {}
                    }
                }
            }
        }
    }

    /// What is to be sent now.
    fn due(&self, orders: &Orders) -> Option<(Letter, Head)> {
        let head = orders.head.clone()?;
        let letter = match self.destination {
            Destination::Webhook => Letter::to_webhook(orders.targets.webhook.as_ref()?, &head),
            Destination::Bucket => Letter::to_bucket(orders.targets.bucket.as_ref()?, &head),
        };
        (!self.delivered.has(letter.address(), &head)).then_some((letter, head))
    }

    fn arrived(&mut self, address: &str, head: &Head) {
        self.means.counts.arrived(self.destination, head.size);
        self.failures = 0;
        if std::mem::take(&mut self.complained) {
            self.means.log.line(Level::Info, "signed heads arrive again", |line| {
                line.text("to", self.destination.name()).number("records", head.size)
            });
        }
        if let Err(fault) = self.delivered.note(address, head) {
            self.means.log.line(Level::Warn, "that a head has arrived cannot be noted", |line| {
                line.text("to", self.destination.name()).text("error", &fault.to_string())
            });
        }
    }

    /// Notes a failure; how long to wait.
    fn failed(&mut self, head: &Head, why: &str) -> Duration {
        self.means.counts.failed(self.destination);
        if !std::mem::replace(&mut self.complained, true) {
            self.means.log.line(
                Level::Warn,
                "a signed head does not arrive, and is sent again until it does",
                |line| {
                    line.text("to", self.destination.name()).number("records", head.size).text("error", why)
                },
            );
        }
        let doubled = 2u32.checked_pow(self.failures).unwrap_or(u32::MAX);
        self.failures = self.failures.saturating_add(1);
        limits::HEADS_RETRY_FIRST.saturating_mul(doubled).min(limits::HEADS_RETRY_MAX)
    }
}

/// Waits until there are orders that leave no time for what is under way: a `pause`, or the sending of one.
async fn other(orders: &mut watch::Receiver<Orders>, now: &Orders, pause: bool) {
    let differs = |new: &Orders| {
        let ends = new.ends && !now.ends && (pause || new.head != now.head);
        ends || !Arc::ptr_eq(&new.targets, &now.targets)
    };
    let gone = orders.wait_for(differs).await.is_err();
    if gone {
        // Without anybody who gives orders there are no other ones.
        std::future::pending::<()>().await;
    }
}
