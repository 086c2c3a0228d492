//! What cores take out of the wallet, and what becomes of it when the config or the clock changes.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Held, Purse, Wallet, retry_after_s};
use crate::clock;
use crate::config::credentials::Sources;
use crate::config::load::read;
use crate::config::snapshot::Snapshot;
use crate::secret::Secret;
use crate::upstream::credentials::chain::Given;

/// A config with one provider of Azure's and one of Google's.
fn snapshot(client: &str) -> Snapshot {
    let mut random = [0; 8];
    getrandom::fill(&mut random).unwrap();
    let name = format!("tollgate-purse-{:016x}.yaml", u64::from_ne_bytes(random));
    let path = std::env::temp_dir().join(name);
    let azure = format!("azure: {{ client_id: {client} }}");
    let text = format!(
        "providers:\n  a: {{ dialect: openai_chat, base_url: \"https://x.openai.azure.com/v1\", {azure} }}\n\
         models: {{ m: [a] }}\n"
    );
    std::fs::write(&path, text).unwrap();
    let loaded = read(Some(&path)).unwrap();
    std::fs::remove_file(&path).unwrap();
    loaded.snapshot
}

fn token(text: &str, spent_s: Option<u64>) -> Held {
    Held { given: Given::Token(Secret::new(text)), spent_s }
}

fn shown(purse: &Purse, snapshot: &Snapshot) -> Option<String> {
    let provider = &snapshot.providers[0];
    let whole = purse.take(provider, provider.source.as_ref().unwrap())?;
    let credential = whole.credential.as_ref().unwrap();
    assert_eq!(credential.header, "authorization");
    Some(credential.value.expose().to_owned())
}

#[test]
fn a_core_shows_the_newest_until_its_end() {
    let wallet = Arc::new(Wallet::default());
    let purse = Purse::new(Arc::clone(&wallet));
    let snapshot = snapshot("one");
    let chain = snapshot.providers[0].source.clone().unwrap();
    assert_eq!(shown(&purse, &snapshot), None, "nobody has told of it");
    wallet.expect(&snapshot.credentials);
    assert!(wallet.entry(&chain).unwrap().is_under_way(), "who comes first waits");
    let now_s = clock::unix_s(clock::wall());
    wallet.put(&chain, token("t1", Some(now_s + 3600)));
    assert_eq!(shown(&purse, &snapshot).as_deref(), Some("Bearer t1"));
    wallet.put(&chain, token("t2", None));
    assert_eq!(shown(&purse, &snapshot).as_deref(), Some("Bearer t2"));
    wallet.put(&chain, token("t3", Some(now_s)));
    assert_eq!(shown(&purse, &snapshot), None, "what has ended is not shown");
    wallet.put(&chain, token("t4", Some(now_s + 3600)));
    let provider = &snapshot.providers[0];
    let first = purse.take(provider, &chain).unwrap();
    let again = purse.take(provider, &chain).unwrap();
    assert!(Arc::ptr_eq(&first, &again), "it is made once for all calls");
}

#[test]
fn what_stays_in_the_config_stays_and_what_changes_is_fetched_anew() {
    let wallet = Wallet::default();
    let (first, same, other) = (snapshot("one"), snapshot("one"), snapshot("two"));
    let chain = first.providers[0].source.clone().unwrap();
    wallet.expect(&first.credentials);
    wallet.put(&chain, token("t1", None));
    wallet.came_back(&wallet.entry(&chain).unwrap().under_way);
    wallet.expect(&same.credentials);
    let entry = wallet.entry(&chain).unwrap();
    assert!(entry.held.is_some() && !entry.is_under_way());
    wallet.expect(&other.credentials);
    assert!(wallet.entry(&chain).is_none());
    let entry = wallet.entry(other.providers[0].source.as_ref().unwrap()).unwrap();
    assert!(entry.held.is_none() && entry.under_way.load(Ordering::Acquire));
    wallet.expect(&Sources::default());
    assert!(wallet.entry(other.providers[0].source.as_ref().unwrap()).is_none());
}

#[test]
fn failures_are_tried_again_ever_more_rarely() {
    let waits: Vec<u64> = (0..9).map(retry_after_s).collect();
    assert_eq!(waits, [1, 2, 4, 8, 16, 32, 60, 60, 60]);
    assert_eq!(retry_after_s(u32::MAX), 60);
}
