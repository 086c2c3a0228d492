//! The thread that asks sources for credentials: the only one that reaches the services beside this machine.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::config::atomic;
use crate::config::credentials::Sources;
use crate::gateway::credentials::{Held, Wallet, retry_after_s};
use crate::gateway::log::{Level, Sink};
use crate::limits::{self, Timeouts};
use crate::mcp::openapi::HttpRequest;
use crate::net::engine::{Engine, EngineChoice};
use crate::net::runtime::Runtime;
use crate::policy::residency::PlacedPermit;
use crate::secret::Secret;
use crate::upstream::credentials::chain::{Chain, Fetch, Given, Source};
use crate::upstream::credentials::{Ask, Fresh, Step};
use crate::upstream::mcp::api::ApiLink;
use crate::upstream::pool::Pool;

/// How it stands with one chain, whatever becomes of the config.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    /// When it is to be fetched, in seconds since 1970; `None`: never again.
    due_s: Option<u64>,
    /// When what is held is shown no more.
    spent_s: Option<u64>,
    /// Since the last good answer.
    failures: u32,
    /// Whether it has been said that there is nothing to show any more.
    ended: bool,
}

type Standings = Rc<RefCell<Vec<(Arc<Chain>, Standing)>>>;

/// Fetches until nobody gives orders any more.
pub(super) fn run(wallet: &Arc<Wallet>, log: &Sink, mut orders: watch::Receiver<Arc<Sources>>) {
    let runtime = match Runtime::new(EngineChoice::Epoll) {
        Ok((runtime, _)) => runtime,
        Err(fault) => {
            return log.line(Level::Error, "credentials are not fetched: no runtime", |line| {
                line.text("error", &fault.to_string())
            });
        }
    };
    let engine = runtime.engine();
    runtime.block_on(async move {
        let standings = Standings::default();
        loop {
            let sources = Arc::clone(&orders.borrow_and_update());
            standings.borrow_mut().retain(|(known, _)| sources.chains.iter().any(|chain| chain == known));
            let tasks: Vec<_> = sources
                .chains
                .iter()
                .map(|chain| {
                    let keeping = Keeping {
                        chain: Arc::clone(chain),
                        sources: Arc::clone(&sources),
                        wallet: Arc::clone(wallet),
                        log: log.clone(),
                        standings: Rc::clone(&standings),
                        engine,
                    };
                    spawn_local(async move { keeping.run().await })
                })
                .collect();
            let over = orders.changed().await.is_err();
            for task in tasks {
                task.abort();
            }
            if over {
                return;
            }
        }
    });
}

fn now_s() -> u64 {
    clock::unix_s(clock::wall())
}

/// Keeps the credentials of one chain fresh for as long as it is one.
struct Keeping {
    chain: Arc<Chain>,
    sources: Arc<Sources>,
    wallet: Arc<Wallet>,
    log: Sink,
    standings: Standings,
    engine: Engine,
}

impl Keeping {
    async fn run(&self) {
        while let Some(entry) = self.wallet.entry(&self.chain) {
            let mut standing = self.standing();
            // One who was told to stop on the way may have left others waiting.
            if !entry.is_under_way() {
                wait_until(standing.due_s).await;
                entry.under_way.store(true, Ordering::Release);
            }
            match self.fetch().await {
                Ok((fresh, source)) => standing = self.take(fresh, source),
                Err(why) => self.fail(&mut standing, &why),
            }
            self.keep(standing);
            self.wallet.came_back(&entry.under_way);
        }
    }

    fn standing(&self) -> Standing {
        let standings = self.standings.borrow();
        let known = standings.iter().find(|(chain, _)| *chain == self.chain);
        known.map_or_else(Standing::default, |(_, standing)| *standing)
    }

    fn keep(&self, standing: Standing) {
        let mut standings = self.standings.borrow_mut();
        standings.retain(|(chain, _)| *chain != self.chain);
        standings.push((Arc::clone(&self.chain), standing));
    }

    fn take(&self, fresh: Fresh<Given>, source: &Source) -> Standing {
        let now_s = now_s();
        let soonest = now_s.saturating_add(limits::CREDENTIALS_EVERY_S);
        let due_s = fresh.refresh_at_s(now_s).map(|due| due.max(soonest));
        let spent_s = fresh.spent_at_s(now_s);
        self.log.line(Level::Info, "credentials are here", |line| {
            let until = fresh.expires_s.map_or_else(|| "for good".to_owned(), written);
            line.text("credentials", &self.chain.label).text("source", source.words()).text("until", &until)
        });
        self.wallet.put(&self.chain, Held { given: fresh.value, spent_s });
        Standing { due_s, spent_s, failures: 0, ended: false }
    }

    fn fail(&self, standing: &mut Standing, why: &str) {
        let now_s = now_s();
        let over = standing.spent_s.is_some_and(|end| now_s >= end);
        if standing.failures == 0 {
            let text = "credentials cannot be fetched, and are tried again";
            self.log.line(Level::Warn, text, |line| {
                let until = standing.spent_s.map_or_else(|| "there are none".to_owned(), written);
                line.text("credentials", &self.chain.label).text("error", why).text("old_ones_until", &until)
            });
        }
        if over && !standing.ended {
            standing.ended = true;
            self.log.line(Level::Error, "credentials have ended, calls that need them are refused", |line| {
                line.text("credentials", &self.chain.label).text("error", why)
            });
        }
        standing.due_s = Some(now_s.saturating_add(retry_after_s(standing.failures)));
        standing.failures = standing.failures.saturating_add(1);
    }

    /// Asks one source after the other until one answers; else what each of them said.
    async fn fetch(&self) -> Result<(Fresh<Given>, &Source), String> {
        let mut said = Vec::new();
        for source in &self.chain.sources {
            match self.fetch_from(source).await {
                Ok(fresh) if fresh.spent_at_s(now_s()).is_some_and(|end| now_s() >= end) => {
                    said.push(format!("{}: what it gives has ended", source.words()));
                }
                Ok(fresh) => return Ok((fresh, source)),
                Err(why) => said.push(format!("{}: {why}", source.words())),
            }
        }
        Err(said.join("; "))
    }

    async fn fetch_from(&self, source: &Source) -> Result<Fresh<Given>, String> {
        let file = match source.file() {
            Some(path) => Some(read(path)?),
            None => None,
        };
        let begun = Fetch::begin(source, file.as_ref(), now_s()).map_err(|fault| fault.to_string())?;
        let (mut fetch, mut step) = begun;
        for _ in 0..limits::CREDENTIALS_ASKS_MAX {
            let ask = match step {
                Step::Done(fresh) => return Ok(fresh),
                Step::Ask(ask) => ask,
            };
            let asked = timeout(limits::CREDENTIALS_DEADLINE, self.ask(&ask)).await;
            let (status, body) = asked.unwrap_or_else(|_elapsed| Err("no answer in time".to_owned()))?;
            step = fetch.answer(status, &body).map_err(|fault| fault.to_string())?;
        }
        match step {
            Step::Done(fresh) => Ok(fresh),
            Step::Ask(_) => Err("it takes too many requests".to_owned()),
        }
    }

    async fn ask(&self, ask: &Ask) -> Result<(u16, Vec<u8>), String> {
        let mut remote = self.sources.remote(ask)?;
        // Both lines are written by whoever sends, from what it is told of them.
        let told = |name: &str| matches!(name, "accept" | "content-type");
        let headers = remote.headers.extract_if(.., |(name, _)| told(name));
        let headers = headers.map(|(name, value)| (name, value.expose().to_owned())).collect();
        let body = (ask.method != "GET").then(|| ask.body.expose().as_bytes().to_vec());
        let request = HttpRequest { method: ask.method, path_and_query: String::new(), headers, body };
        // A connection would be idle for an hour: each request has its own.
        let pool = Rc::new(Pool::new(self.engine));
        let link = ApiLink::new(pool, remote, Timeouts::default(), limits::CREDENTIALS_DEADLINE);
        let answer =
            link.call(&PlacedPermit::own(), &request).await.map_err(|failure| failure.to_string())?;
        match answer.status {
            status @ 300..=399 => Err(format!("it answered {status}: it leads elsewhere")),
            status if answer.whole && answer.body.len() <= limits::CREDENTIALS_BYTES_MAX => {
                Ok((status, answer.body))
            }
            _ => Err(format!("it answered more than {} KiB", limits::CREDENTIALS_BYTES_MAX / 1024)),
        }
    }
}

/// Sleeps until a second of the wall clock; for ever without one.
async fn wait_until(due_s: Option<u64>) {
    loop {
        let left = due_s.map_or(u64::MAX, |due| due.saturating_sub(now_s()));
        if left == 0 {
            return;
        }
        sleep(Duration::from_secs(left).min(limits::CREDENTIALS_LOOK)).await;
    }
}

/// The content of a file that a source names.
fn read(path: &str) -> Result<Secret, String> {
    let most = u64::try_from(limits::CREDENTIALS_FILE_BYTES_MAX).unwrap_or(u64::MAX);
    let bytes = atomic::read(Path::new(path), most).map_err(|why| format!("{path} cannot be read: {why}"))?;
    let text = String::from_utf8(bytes).map_err(|_why| format!("{path} is no text"))?;
    Ok(Secret::new(text))
}

/// A second since 1970 for people.
fn written(at_s: u64) -> String {
    let at = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(at_s.min(LAST_S)));
    at.map(|at| humantime::format_rfc3339_seconds(at).to_string()).unwrap_or_default()
}

/// The last second that has a year of four digits.
const LAST_S: u64 = 253_402_300_799;
