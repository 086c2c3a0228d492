//! The keys of issuers: fetched by a thread of their own, and taken by cores as they take snapshots.
//!
//! Cores compare one number for each call that carries a token, and take a lock when it has changed. Keys are
//! fetched at the start, ahead of the end of their time, and when a token names one that nobody knows, which
//! counts once a minute however many such tokens come. While an issuer cannot be asked its last good keys
//! stay, for `limits::JWKS_KEPT`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

use crate::clock;
use crate::config::identity::Identity;
use crate::gateway::log::{Level, Sink};
use crate::identity::jwt::keys::KeySet;
use crate::limits;

mod fetch;

/// By the address of their source; `None` before the first have come, and when the last have become too old.
pub(super) type Sets = HashMap<Arc<str>, Source>;

/// The keys of one source.
#[derive(Clone, Debug)]
pub(super) struct Source {
    pub(super) keys: Option<Arc<KeySet>>,
    flight: Arc<Flight>,
}

/// Whether keys are being fetched, and the bell that asks for it.
#[derive(Debug)]
struct Flight {
    wanted: Notify,
    under_way: AtomicBool,
    born: Instant,
    /// Milliseconds from `born` to when a token asked for it last, and 1; 0 for never.
    asked: AtomicU64,
}

impl Flight {
    /// One that is about to be under way.
    fn new() -> Self {
        Self {
            wanted: Notify::new(),
            under_way: AtomicBool::new(true),
            born: clock::now(),
            asked: AtomicU64::new(0),
        }
    }

    /// Asks for newer keys; false when that was done a short while ago.
    fn ask(&self, now: Instant) -> bool {
        let age = now.saturating_duration_since(self.born);
        let age = u64::try_from(age.as_millis()).unwrap_or(u64::MAX).saturating_add(1);
        let last = self.asked.load(Ordering::Acquire);
        let soon = last > 0 && age.saturating_sub(last) < limits::JWKS_UNKNOWN_EVERY_MS;
        let first =
            !soon && self.asked.compare_exchange(last, age, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if first {
            self.under_way.store(true, Ordering::Release);
            self.wanted.notify_one();
        }
        first
    }

    fn is_under_way(&self) -> bool {
        self.under_way.load(Ordering::Acquire)
    }
}

/// The keys of all issuers.
#[derive(Debug)]
pub(super) struct KeySets {
    number: AtomicU64,
    current: Mutex<Arc<Sets>>,
    /// How often somebody has come back from an issuer, with keys or without.
    rounds: watch::Sender<u64>,
}

impl Default for KeySets {
    fn default() -> Self {
        Self { number: AtomicU64::new(1), current: Mutex::default(), rounds: watch::channel(0).0 }
    }
}

impl KeySets {
    /// The number of the newest sets.
    pub(super) fn number(&self) -> u64 {
        self.number.load(Ordering::Acquire)
    }

    /// The newest sets with their number.
    pub(super) fn current(&self) -> (u64, Arc<Sets>) {
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        (self.number(), Arc::clone(&current))
    }

    fn change(&self, edit: impl FnOnce(&mut Sets)) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        let mut sets = Sets::clone(&current);
        edit(&mut sets);
        *current = Arc::new(sets);
        self.number.fetch_add(1, Ordering::Release);
    }

    /// Makes room for the sources of a config, and forgets the others.
    fn expect(&self, identity: &Identity) {
        self.change(|sets| {
            let mut old = std::mem::take(sets);
            for issuer in &identity.issuers {
                let id = &issuer.source.id;
                let known = old.remove(id);
                let new = || Source { keys: None, flight: Arc::new(Flight::new()) };
                sets.entry(Arc::clone(id)).or_insert_with(|| known.unwrap_or_else(new));
            }
        });
    }

    fn flight(&self, id: &str) -> Option<Arc<Flight>> {
        self.current().1.get(id).map(|source| Arc::clone(&source.flight))
    }

    fn put(&self, id: &str, keys: Option<Arc<KeySet>>) {
        self.change(|sets| {
            if let Some(source) = sets.get_mut(id) {
                source.keys = keys;
            }
        });
    }

    /// Ends a round: whoever waits for it goes on.
    fn came_back(&self, flight: &Flight) {
        flight.under_way.store(false, Ordering::Release);
        self.rounds.send_modify(|rounds| *rounds += 1);
    }

    /// Asks for newer keys of a source, and waits until somebody has come back with them or without; false
    /// when they were asked for a short while ago, or it takes too long.
    pub(super) async fn fresher(&self, id: &str) -> bool {
        let Some(flight) = self.flight(id) else { return false };
        if !flight.ask(clock::now()) && !flight.is_under_way() {
            return false;
        }
        let mut rounds = self.rounds.subscribe();
        let back = rounds.wait_for(|_| !flight.is_under_way());
        timeout(limits::JWKS_WAIT, back).await.is_ok_and(|back| back.is_ok())
    }
}

/// The thread that fetches, once there is an issuer.
pub(super) struct Keeper {
    pub(super) sets: Arc<KeySets>,
    orders: watch::Sender<Arc<Identity>>,
    log: Sink,
    thread: Option<JoinHandle<()>>,
    /// Whether it has been said that there can be no thread.
    complained: bool,
}

impl Keeper {
    /// One that has no thread yet.
    pub(super) fn new(log: Sink) -> Self {
        let orders = watch::channel(Arc::default()).0;
        Self { sets: Arc::default(), orders, log, thread: None, complained: false }
    }

    /// Tells which issuers there are; waits for nothing. To be called every now and then.
    pub(super) fn tell(&mut self, identity: &Arc<Identity>) {
        if self.thread.is_none() && identity.issuers.is_empty() {
            return;
        }
        if !Arc::ptr_eq(&self.orders.borrow(), identity) {
            self.sets.expect(identity);
            self.orders.send_replace(Arc::clone(identity));
        }
        if self.thread.is_none() {
            self.start();
        }
    }

    fn start(&mut self) {
        let (sets, log, orders) = (Arc::clone(&self.sets), self.log.clone(), self.orders.subscribe());
        let work = move || fetch::run(&sets, &log, orders);
        match std::thread::Builder::new().name("issuers".to_owned()).spawn(work) {
            Ok(thread) => self.thread = Some(thread),
            Err(_) if self.complained => {}
            Err(fault) => {
                self.complained = true;
                self.log.line(Level::Error, "keys of issuers are not fetched: no thread", |line| {
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

/// When keys that came with this `max-age` are fetched again: a tenth of the time ahead of its end.
fn next_after(max_age_s: Option<u64>) -> Duration {
    let age = max_age_s.map_or(limits::JWKS_AGE_DEFAULT, Duration::from_secs);
    let age = age.clamp(limits::JWKS_AGE_MIN, limits::JWKS_AGE_MAX);
    age - age / 10
}

/// How long to wait after so many failures in a row.
fn retry_after(failures: u32) -> Duration {
    let doubled = 2u32.checked_pow(failures).unwrap_or(u32::MAX);
    limits::JWKS_RETRY_FIRST.saturating_mul(doubled).min(limits::JWKS_RETRY_MAX)
}

/// Whether the last good keys have become too old to be used.
fn is_too_old(got: Option<Instant>, now: Instant) -> bool {
    got.is_none_or(|got| now.saturating_duration_since(got) > limits::JWKS_KEPT)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_keys_are_asked_for_once_a_minute() {
        let flight = Flight::new();
        let after = |seconds: u64| flight.born + Duration::from_secs(seconds);
        assert!(flight.ask(after(0)));
        for seconds in [0, 1, 30, 59] {
            assert!(!flight.ask(after(seconds)), "{seconds}");
        }
        assert!(flight.ask(after(60)));
        assert!(!flight.ask(after(119)));
        assert!(flight.ask(after(3600)));
    }

    #[test]
    fn keys_are_fetched_ahead_of_their_end_and_within_bounds() {
        let seconds = |given| next_after(given).as_secs();
        assert_eq!(seconds(None), 3240);
        assert_eq!(seconds(Some(1000)), 900);
        assert_eq!((seconds(Some(0)), seconds(Some(u64::MAX))), (54, 77_760));
        let waits: Vec<u64> = (0..8).map(|failures| retry_after(failures).as_secs()).collect();
        assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60]);
        assert_eq!(retry_after(u32::MAX), limits::JWKS_RETRY_MAX);
    }

    #[test]
    fn the_last_good_keys_stay_for_a_day() {
        let got = clock::now();
        assert!(is_too_old(None, got));
        assert!(!is_too_old(Some(got), got + limits::JWKS_KEPT));
        assert!(is_too_old(Some(got), got + limits::JWKS_KEPT + Duration::from_secs(1)));
    }
}
