//! Credentials that end after a while: fetched by a thread of their own, ahead of their end, and taken by
//! cores as they take snapshots.
//!
//! A core compares one number for each call of a provider that has such credentials, and takes a lock when it
//! has changed. While a source cannot be asked, what it gave last is shown until its end.

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::clock;
use crate::config::credentials::Sources;
use crate::error::{CallError, Code};
use crate::gateway::log::{Level, Sink};
use crate::limits;
use crate::upstream::credentials::chain::{Chain, Given};
use crate::upstream::provider::Provider;

mod fetch;
#[cfg(test)]
mod tests;

/// What has been fetched.
#[derive(Clone, Debug)]
struct Held {
    given: Given,
    /// From when on it is not shown any more, in seconds since 1970.
    spent_s: Option<u64>,
}

impl Held {
    fn is_spent(&self, now_s: u64) -> bool {
        self.spent_s.is_some_and(|end| now_s >= end)
    }
}

/// What is known of one chain of sources.
#[derive(Clone, Debug)]
struct Entry {
    chain: Arc<Chain>,
    /// `None` before the first answer.
    held: Option<Arc<Held>>,
    /// Whether it is being fetched.
    under_way: Arc<AtomicBool>,
}

impl Entry {
    fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire)
    }
}

/// All that has been fetched.
#[derive(Debug)]
pub(super) struct Wallet {
    number: AtomicU64,
    current: Mutex<Arc<Vec<Entry>>>,
    /// How often somebody has come back from a source, with credentials or without.
    rounds: watch::Sender<u64>,
}

impl Default for Wallet {
    fn default() -> Self {
        Self { number: AtomicU64::new(1), current: Mutex::default(), rounds: watch::channel(0).0 }
    }
}

impl Wallet {
    fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    fn entry(&self, chain: &Chain) -> Option<Entry> {
        let entries = {
            let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(&current)
        };
        entries.iter().find(|entry| *entry.chain == *chain).cloned()
    }

    fn change(&self, edit: impl FnOnce(&mut Vec<Entry>)) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut entries = Vec::clone(&current);
        edit(&mut entries);
        *current = Arc::new(entries);
        self.number.fetch_add(1, Ordering::Release);
    }

    /// Makes room for the chains of a config, and forgets the others. What is known of a chain that stays as
    /// it was is kept.
    fn expect(&self, sources: &Sources) {
        self.change(|entries| {
            let mut old = std::mem::take(entries);
            entries.extend(sources.chains.iter().map(|chain| {
                match old.iter().position(|entry| *entry.chain == **chain) {
                    Some(place) => Entry { chain: Arc::clone(chain), ..old.swap_remove(place) },
                    None => {
                        let under_way = Arc::new(AtomicBool::new(true));
                        Entry { chain: Arc::clone(chain), held: None, under_way }
                    }
                }
            }));
        });
    }

    fn put(&self, chain: &Chain, held: Held) {
        self.change(|entries| {
            if let Some(entry) = entries.iter_mut().find(|entry| *entry.chain == *chain) {
                entry.held = Some(Arc::new(held));
            }
        });
    }

    /// Ends a round: whoever waits for it goes on.
    fn came_back(&self, under_way: &AtomicBool) {
        under_way.store(false, Ordering::Release);
        self.rounds.send_modify(|rounds| *rounds += 1);
    }
}

/// A provider with what it is shown.
#[derive(Debug)]
struct Dressed {
    bare: Arc<Provider>,
    whole: Arc<Provider>,
    held: Arc<Held>,
}

/// What one core has taken out of the wallet.
#[derive(Debug)]
pub(super) struct Purse {
    wallet: Arc<Wallet>,
    /// With the number of the wallet that they are of; one a provider.
    taken: RefCell<(u64, Vec<Dressed>)>,
}

impl Purse {
    /// One that is empty.
    pub(super) fn new(wallet: Arc<Wallet>) -> Self {
        Self { wallet, taken: RefCell::default() }
    }

    /// The provider with what it is shown, where that ends after a while; nothing where it has all. The first
    /// credentials are waited for, as long as they are being fetched and for `limits::CREDENTIALS_WAIT`.
    ///
    /// # Errors
    /// 503 where there are none, or none that have not ended.
    pub(super) async fn dress(&self, bare: &Arc<Provider>) -> Result<Option<Arc<Provider>>, CallError> {
        let Some(chain) = &bare.source else { return Ok(None) };
        if let Some(whole) = self.take(bare, chain) {
            return Ok(Some(whole));
        }
        if let Some(entry) = self.wallet.entry(chain).filter(Entry::is_under_way) {
            let mut rounds = self.wallet.rounds.subscribe();
            let back = rounds.wait_for(|_| !entry.is_under_way());
            // Whether it was too long or not, what is there now counts.
            drop(timeout(limits::CREDENTIALS_WAIT, back).await);
        }
        self.take(bare, chain).map(Some).ok_or_else(|| missing(bare, chain))
    }

    /// The provider with what is there and has not ended.
    fn take(&self, bare: &Arc<Provider>, chain: &Chain) -> Option<Arc<Provider>> {
        let now_s = clock::unix_s(clock::wall());
        let mut taken = self.taken.borrow_mut();
        let number = self.wallet.number();
        if taken.0 != number {
            *taken = (number, Vec::new());
        }
        if let Some(known) = taken.1.iter().find(|known| Arc::ptr_eq(&known.bare, bare)) {
            return (!known.held.is_spent(now_s)).then(|| Arc::clone(&known.whole));
        }
        let held = self.wallet.entry(chain)?.held.filter(|held| !held.is_spent(now_s))?;
        let whole = Arc::new(bare.with(&held.given));
        taken.1.push(Dressed { bare: Arc::clone(bare), whole: Arc::clone(&whole), held });
        Some(whole)
    }
}

/// What a caller reads where there is nothing to show.
fn missing(provider: &Provider, chain: &Chain) -> CallError {
    let text = format!(
        "the gateway has no credentials for provider {} ({}): its log says why; tell your administrator",
        provider.name, chain.label
    );
    CallError::new(Code::Overloaded).context(text).retry_after(limits::CREDENTIALS_RETRY_FIRST_S)
}

/// The thread that fetches, once there is something to fetch.
pub(super) struct Keeper {
    pub(super) wallet: Arc<Wallet>,
    orders: watch::Sender<Arc<Sources>>,
    log: Sink,
    thread: Option<JoinHandle<()>>,
    /// Whether it has been said that there can be no thread.
    complained: bool,
}

impl Keeper {
    /// One that has a thread where there is something to fetch.
    pub(super) fn new(log: Sink, sources: &Arc<Sources>) -> Self {
        let orders = watch::channel(Arc::default()).0;
        let mut keeper = Self { wallet: Arc::default(), orders, log, thread: None, complained: false };
        keeper.tell(sources);
        keeper
    }

    /// Tells what there is to fetch; waits for nothing. To be called every now and then.
    pub(super) fn tell(&mut self, sources: &Arc<Sources>) {
        if self.thread.is_none() && sources.chains.is_empty() {
            return;
        }
        if !Arc::ptr_eq(&self.orders.borrow(), sources) {
            self.wallet.expect(sources);
            self.orders.send_replace(Arc::clone(sources));
        }
        if self.thread.is_none() {
            self.start();
        }
    }

    fn start(&mut self) {
        let (wallet, log, orders) = (Arc::clone(&self.wallet), self.log.clone(), self.orders.subscribe());
        let work = move || fetch::run(&wallet, &log, orders);
        match std::thread::Builder::new().name("credentials".to_owned()).spawn(work) {
            Ok(thread) => self.thread = Some(thread),
            Err(_) if self.complained => {}
            Err(fault) => {
                self.complained = true;
                self.log.line(Level::Error, "credentials are not fetched: no thread", |line| {
                    line.text("error", &fault.to_string())
                });
            }
        }
    }

    /// Ends the thread; what is under way is given up.
    pub(super) fn end(self) {
        let Self { orders, thread, .. } = self;
        drop(orders);
        // A thread that has failed has nothing more to fetch.
        drop(thread.map(JoinHandle::join));
    }
}

/// How long to wait after so many failures in a row, in seconds.
fn retry_after_s(failures: u32) -> u64 {
    let doubled = 2u64.checked_pow(failures).unwrap_or(u64::MAX);
    limits::CREDENTIALS_RETRY_FIRST_S.saturating_mul(doubled).min(limits::CREDENTIALS_RETRY_MAX_S)
}
