//! The thread that asks issuers for their keys.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Instant;

use tokio::sync::watch;
use tokio::task::spawn_local;
use tokio::time::{sleep, timeout};

use crate::clock;
use crate::config::identity::{Identity, KeySource};
use crate::gateway::issuers::{KeySets, is_too_old, next_after, retry_after};
use crate::gateway::log::{Level, Sink};
use crate::identity::jwt::discovery;
use crate::identity::jwt::keys::KeySet;
use crate::limits::{self, Timeouts};
use crate::mcp::openapi::HttpRequest;
use crate::net::engine::{Engine, EngineChoice};
use crate::net::runtime::Runtime;
use crate::policy::residency::PlacedPermit;
use crate::upstream::mcp::api::ApiLink;
use crate::upstream::mcp::server::Remote;
use crate::upstream::pool::Pool;

/// How it stands with one source, whatever becomes of the config.
#[derive(Clone, Copy, Debug)]
struct Standing {
    due: Instant,
    /// When the last good keys came.
    got: Option<Instant>,
    /// Since then.
    failures: u32,
}

type Standings = Rc<RefCell<HashMap<Arc<str>, Standing>>>;

/// Fetches until nobody gives orders any more.
pub(super) fn run(sets: &Arc<KeySets>, log: &Sink, mut orders: watch::Receiver<Arc<Identity>>) {
    let runtime = match Runtime::new(EngineChoice::Epoll) {
        Ok((runtime, _)) => runtime,
        Err(fault) => {
            return log.line(Level::Error, "keys of issuers are not fetched: no runtime", |line| {
                line.text("error", &fault.to_string())
            });
        }
    };
    let engine = runtime.engine();
    runtime.block_on(async move {
        let standings = Standings::default();
        loop {
            let identity = Arc::clone(&orders.borrow_and_update());
            let sources: HashMap<_, _> =
                identity.issuers.iter().map(|issuer| (&issuer.source.id, &issuer.source)).collect();
            standings.borrow_mut().retain(|id, _| sources.contains_key(id));
            let tasks: Vec<_> = sources
                .into_values()
                .map(|source| {
                    let (source, sets, log) = (Arc::clone(source), Arc::clone(sets), log.clone());
                    let standings = Rc::clone(&standings);
                    spawn_local(async move { keep(&source, engine, &sets, &log, &standings).await })
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

/// Keeps the keys of one source fresh for as long as it is one.
async fn keep(
    source: &KeySource,
    engine: Engine,
    sets: &KeySets,
    log: &Sink,
    standings: &RefCell<HashMap<Arc<str>, Standing>>,
) {
    while let Some(flight) = sets.flight(&source.id) {
        let new = || Standing { due: clock::now(), got: None, failures: 0 };
        let mut standing = *standings.borrow_mut().entry(Arc::clone(&source.id)).or_insert_with(new);
        // One who was told to stop on the way may have left others waiting.
        if !flight.is_under_way() {
            let wait = standing.due.saturating_duration_since(clock::now());
            tokio::select! {
                () = sleep(wait) => {}
                () = flight.wanted.notified() => {}
            }
            flight.under_way.store(true, std::sync::atomic::Ordering::Release);
        }
        let fetched = timeout(limits::JWKS_DEADLINE, fetch(source, engine)).await;
        let fetched = fetched.unwrap_or_else(|_elapsed| Err("there was no answer in time".to_owned()));
        let now = clock::now();
        match fetched {
            Ok((keys, max_age_s)) => {
                if standing.got.is_none() || standing.failures > 0 {
                    log.line(Level::Info, "keys of an issuer are here", |line| {
                        line.text("issuer", &source.issuer)
                            .number("keys", keys.len() as u64)
                            .count("left_out", keys.left_out() as u64)
                    });
                }
                standing = Standing { due: now + next_after(max_age_s), got: Some(now), failures: 0 };
                sets.put(&source.id, Some(Arc::new(keys)));
            }
            Err(why) => {
                if standing.failures == 0 {
                    log.line(
                        Level::Warn,
                        "keys of an issuer cannot be fetched, and are tried again",
                        |line| line.text("issuer", &source.issuer).text("error", &why),
                    );
                }
                standing.due = now + retry_after(standing.failures);
                standing.failures = standing.failures.saturating_add(1);
                if is_too_old(standing.got, now) {
                    sets.put(&source.id, None);
                }
            }
        }
        standings.borrow_mut().insert(Arc::clone(&source.id), standing);
        sets.came_back(&flight);
    }
}

/// Fetches the keys of a source, and says for how many seconds they are good.
async fn fetch(source: &KeySource, engine: Engine) -> Result<(KeySet, Option<u64>), String> {
    let found;
    let remote = if source.discovers {
        let (document, _) = get(&source.first, engine).await?;
        let url = discovery::jwks_uri(&document, &source.issuer).map_err(|fault| fault.to_string())?;
        found = source.remote(&url)?;
        &found
    } else {
        &source.first
    };
    let (document, max_age_s) = get(remote, engine).await?;
    let keys = KeySet::read(&document).map_err(|fault| format!("the set of keys: {fault}"))?;
    Ok((keys, max_age_s))
}

async fn get(remote: &Remote, engine: Engine) -> Result<(Vec<u8>, Option<u64>), String> {
    // A connection would be idle for an hour: each request has its own.
    let pool = Rc::new(Pool::new(engine));
    let link = ApiLink::new(pool, remote.clone(), Timeouts::default(), limits::JWKS_DEADLINE);
    let headers = vec![("accept".to_owned(), "application/json".to_owned())];
    let request = HttpRequest { method: "GET", path_and_query: String::new(), headers, body: None };
    let answer = link.call(&PlacedPermit::own(), &request).await.map_err(|failure| failure.to_string())?;
    match answer.status {
        200 if answer.whole && answer.body.len() <= limits::JWKS_BYTES_MAX => {
            Ok((answer.body, answer.max_age_s))
        }
        200 => Err(format!("it answered more than {} KiB", limits::JWKS_BYTES_MAX / 1024)),
        status @ 300..=399 => Err(format!("it answered {status}: give the address that it leads to")),
        status => Err(format!("it answered {status}")),
    }
}
