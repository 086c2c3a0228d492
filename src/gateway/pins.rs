//! The thread that keeps the pins of tools: it has the state file and its lock, so that nobody who serves
//! calls waits for a disk.
//!
//! What it is asked at the same time becomes one change of the file. A judgement is answered once it is
//! kept: nothing is shown to callers that a crash could forget.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel};

use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::config::pin_file::{LivePins, PinFileFault};
use crate::gateway::log::{Level, Sink};
use crate::limits;
use crate::mcp::definition::Definition;
use crate::mcp::pin::judge::{Rule, Sight, Standing};
use crate::mcp::pin::lock::Lock;
use crate::mcp::pin::{Event, FirstSight};
use crate::upstream::mcp::backoff::Backoff;

/// The tools of one server, to be judged.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) server: String,
    pub(super) tools: Vec<Arc<Definition>>,
    /// Whether the class of each is what its server says.
    pub(super) believed: Vec<bool>,
    pub(super) first_sight: FirstSight,
    pub(super) lock: Option<Arc<Lock>>,
}

/// How the tools stand, in the order of the list.
#[derive(Debug)]
pub(super) struct Judged {
    /// Grows with every judgement: of two about one list the later one holds.
    pub(super) turn: u64,
    pub(super) standings: Vec<Standing>,
}

impl Listed {
    fn rule(&self, now_ms: u64) -> Rule<'_> {
        let (server, lock) = (self.server.as_str(), self.lock.as_deref());
        Rule { server, first_sight: self.first_sight, lock, now_ms }
    }

    fn sights(&self) -> Vec<Sight<'_>> {
        // What is no UTF-8 was no definition.
        let believed = self.believed.iter().copied().chain(std::iter::repeat(true));
        self.tools
            .iter()
            .zip(believed)
            .map(|(tool, believed)| {
                let raw = str::from_utf8(tool.raw()).unwrap_or_default();
                Sight { name: tool.key(), raw, believed }
            })
            .collect()
    }
}

enum Ask {
    Judge(Listed, oneshot::Sender<Result<Judged, String>>),
    /// What the ledger does not have yet.
    Unrecorded(oneshot::Sender<Vec<Event>>),
    /// The ledger has all before this number.
    Recorded(u64),
}

/// A list that is to be judged, and who waits for that.
type Judging = (Listed, oneshot::Sender<Result<Judged, String>>);

/// The way to that thread.
#[derive(Clone, Debug)]
pub(super) struct Keeper {
    asks: SyncSender<Ask>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Grows when somebody else has changed the pins.
    number: AtomicU64,
    /// Rings when there is something for the ledger.
    news: Notify,
}

impl Keeper {
    /// Starts the thread; it ends with the last keeper.
    ///
    /// # Errors
    /// Without a thread.
    pub(super) fn start(live: LivePins, log: Sink) -> std::io::Result<Self> {
        let (asks, receiver) = sync_channel(limits::PIN_ASKS_MAX);
        let shared = Arc::<Shared>::default();
        let (recorded, backoff) = (0, Backoff::default());
        let keeping = Keeping {
            live,
            log,
            shared: Arc::clone(&shared),
            turn: 0,
            seen: 0,
            recorded,
            backoff,
            fault: String::new(),
        };
        let run = move || keeping.run(&receiver);
        std::thread::Builder::new().name("pins".to_owned()).spawn(run)?;
        shared.news.notify_one();
        Ok(Self { asks, shared })
    }

    /// Grows when all lists have to be judged anew.
    pub(super) fn number(&self) -> u64 {
        self.shared.number.load(Ordering::Acquire)
    }

    /// Judges the tools of a server.
    ///
    /// # Errors
    /// Why that cannot be kept; for people.
    pub(super) async fn judge(&self, listed: Listed) -> Result<Judged, String> {
        let (reply, judged) = oneshot::channel();
        let busy = || "the pins of tools cannot be kept: their disk is busy".to_owned();
        self.asks.try_send(Ask::Judge(listed, reply)).map_err(|_full| busy())?;
        match timeout(limits::PIN_DEADLINE, judged).await {
            Ok(Ok(judged)) => judged,
            Ok(Err(_)) | Err(_) => Err(busy()),
        }
    }

    /// Waits until there is something for the ledger, and gives it: nothing twice, unless `recorded` has not
    /// come through.
    pub(super) async fn unrecorded(&self) -> Vec<Event> {
        self.shared.news.notified().await;
        let (reply, events) = oneshot::channel();
        if self.asks.try_send(Ask::Unrecorded(reply)).is_err() {
            return Vec::new();
        }
        events.await.unwrap_or_default()
    }

    /// Says that the ledger has all events before `number`, however long it takes to be heard.
    pub(super) async fn recorded(&self, number: u64) {
        while let Err(TrySendError::Full(_)) = self.asks.try_send(Ask::Recorded(number)) {
            sleep(limits::PIN_POLL).await;
        }
    }
}

/// The thread's own.
struct Keeping {
    live: LivePins,
    log: Sink,
    shared: Arc<Shared>,
    turn: u64,
    /// The generation of the pins that the hub has been told of.
    seen: u64,
    /// The ledger has all events before this number, whether the file knows it or not.
    recorded: u64,
    /// When the file is told so again, after it could not be.
    backoff: Backoff,
    /// The last fault that was logged.
    fault: String,
}

impl Keeping {
    fn run(mut self, asks: &Receiver<Ask>) {
        loop {
            let first = match asks.recv_timeout(limits::PIN_POLL) {
                Ok(ask) => Some(ask),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return,
            };
            let all: Vec<Ask> = first.into_iter().chain(asks.try_iter().take(limits::PIN_ASKS_MAX)).collect();
            self.serve(all);
            let followed = self.live.follow().map(|_| ());
            self.say(followed.err());
            self.tell();
        }
    }

    /// Serves what has come together with one change of the file.
    fn serve(&mut self, asks: Vec<Ask>) {
        let mut judging = Vec::new();
        let mut asking = Vec::new();
        let now_ms = clock::unix_ms(clock::wall());
        for ask in asks {
            match ask {
                Ask::Judge(listed, reply) => match self.at_once(&listed, now_ms) {
                    Some(answer) => drop(reply.send(answer)),
                    None => judging.push((listed, reply)),
                },
                Ask::Recorded(number) => self.recorded = self.recorded.max(number),
                Ask::Unrecorded(reply) => asking.push(reply),
            }
        }
        if !judging.is_empty() {
            self.judge(judging, now_ms);
        }
        self.forget_recorded();
        for reply in asking {
            // Who asked may have gone.
            drop(reply.send(self.unrecorded().cloned().collect()));
        }
    }

    /// Judges what has come together, and each list by itself where all of them do not fit: a server that
    /// lists too much is no matter of the others.
    fn judge(&mut self, judging: Vec<Judging>, now_ms: u64) {
        let recorded = self.recorded;
        let judge = |live: &mut LivePins, all: &[Judging]| {
            live.change(|pins| {
                pins.recorded(recorded);
                let judge = |(listed, _): &Judging| pins.judge(&listed.rule(now_ms), &listed.sights());
                all.iter().map(judge).collect::<Vec<_>>()
            })
        };
        let changed = judge(&mut self.live, &judging);
        if judging.len() == 1 || !matches!(changed, Err(PinFileFault::Full(_))) {
            return self.answer(judging, changed);
        }
        for one in judging {
            let one = vec![one];
            let changed = judge(&mut self.live, &one);
            self.answer(one, changed);
        }
    }

    /// Takes out of the file what the ledger has. While that fails, it is tried later and later.
    fn forget_recorded(&mut self) {
        let pins = self.live.pins();
        if pins.next_event < self.recorded {
            // Somebody has put another file there, with numbers of its own.
            self.recorded = 0;
        }
        let recorded = self.recorded;
        let open = pins.events.iter().any(|event| event.number < recorded);
        if !open {
            self.backoff = Backoff::default();
        } else if self.backoff.is_due(clock::now()) {
            let changed = self.live.change(|pins| pins.recorded(recorded));
            if changed.is_err() {
                self.backoff.failed(clock::now(), 0);
            }
            self.say(changed.err());
        }
    }

    /// What the ledger does not have.
    fn unrecorded(&self) -> impl Iterator<Item = &Event> {
        self.live.pins().events.iter().filter(|event| event.number >= self.recorded)
    }

    /// What can be said without a look at the disk: nearly every list is the same as before.
    fn at_once(&mut self, listed: &Listed, now_ms: u64) -> Option<Result<Judged, String>> {
        let pins = self.live.pins();
        if pins.is_settled(&listed.rule(now_ms), &listed.sights()) {
            self.turn += 1;
            let standings = vec![Standing::AsListed; listed.tools.len()];
            return Some(Ok(Judged { turn: self.turn, standings }));
        }
        let full = pins.events.len() >= limits::PIN_EVENTS_MAX;
        full.then(|| Err("the ledger does not take what has happened to pins".to_owned()))
    }

    fn answer(&mut self, judging: Vec<Judging>, changed: Result<Vec<Vec<Standing>>, PinFileFault>) {
        match changed {
            Ok(all) => {
                self.say(None);
                for ((_, reply), standings) in judging.into_iter().zip(all) {
                    self.turn += 1;
                    drop(reply.send(Ok(Judged { turn: self.turn, standings })));
                }
            }
            Err(why) => {
                let text = why.to_string();
                self.say(Some(why));
                for (_, reply) in judging {
                    drop(reply.send(Err(text.clone())));
                }
            }
        }
    }

    /// Tells the hub what it has not been told.
    fn tell(&mut self) {
        let generation = self.live.generation();
        if generation != self.seen {
            self.seen = generation;
            self.shared.number.fetch_add(1, Ordering::Release);
        }
        if self.unrecorded().next().is_some() {
            self.shared.news.notify_one();
        }
    }

    /// Logs a fault, once.
    fn say(&mut self, fault: Option<PinFileFault>) {
        let text = fault.map(|fault| fault.to_string()).unwrap_or_default();
        if !text.is_empty() && text != self.fault {
            self.log.line(Level::Error, "the pins of tools cannot be kept", |line| line.text("error", &text));
        }
        self.fault = text;
    }
}
