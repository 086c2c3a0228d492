//! The index keeps up with its chain, whatever happens to either.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::{Folder, entries, entry, query};
use crate::ledger::entry::Entry;
use crate::ledger::follow::Follower;
use crate::ledger::index::feed::{Halt, Records};
use crate::ledger::index::schema;
use crate::ledger::index::search::{Page, Reader};
use crate::ledger::index::store;
use crate::ledger::index::thread::{Indexer, catch_up, rebuild};
use crate::ledger::live::Ledger;
use crate::ledger::record::{Gap, Record, Retention};
use crate::ledger::settings::Settings;

/// Long enough for a machine that has much else to do.
const PATIENCE: Duration = Duration::from_secs(60);

/// A chain in memory, which begins at a position and may end in a halt.
#[derive(Clone, Debug, Default)]
struct Chain {
    records: Arc<Mutex<Vec<Record>>>,
    oldest: u64,
    halt: Arc<Mutex<Option<Halt>>>,
}

impl Chain {
    /// Entries, with something else before each.
    fn of(entries: &[(u64, Entry)]) -> Self {
        let chain = Self::default();
        chain.add(entries);
        chain
    }

    fn add(&self, entries: &[(u64, Entry)]) {
        let mut records = self.records.lock().unwrap();
        for (_, entry) in entries {
            records.push(Record::Gap(Gap::default()));
            records.push(Record::Event(entry.clone()));
        }
    }

    fn size(&self) -> u64 {
        self.records.lock().unwrap().len() as u64
    }

    fn from(&self, position: u64) -> Cursor {
        Cursor { chain: self.clone(), position }
    }
}

#[derive(Debug)]
struct Cursor {
    chain: Chain,
    position: u64,
}

impl Records for Cursor {
    fn next(&mut self, wait: Duration) -> Result<Option<(u64, Record)>, Halt> {
        if self.position < self.chain.oldest {
            return Err(Halt::Dropped(self.chain.oldest));
        }
        let found = self.chain.records.lock().unwrap().get(usize::try_from(self.position).unwrap()).cloned();
        match found {
            Some(record) => {
                self.position += 1;
                Ok(Some((self.position - 1, record)))
            }
            None if self.chain.halt.lock().unwrap().is_some() => {
                Err(self.chain.halt.lock().unwrap().clone().unwrap())
            }
            None => {
                std::thread::park_timeout(wait.min(Duration::from_millis(5)));
                Ok(None)
            }
        }
    }
}

fn found(folder: &Folder, text: &str) -> Vec<Entry> {
    let page = Page { before: None, limit: 1000 };
    let hits = folder.reader().search(&query(text), page).unwrap().hits;
    hits.into_iter().rev().map(|hit| hit.entry).collect()
}

fn plain(entries: &[(u64, Entry)]) -> Vec<Entry> {
    entries.iter().map(|(_, entry)| entry.clone()).collect()
}

#[test]
fn the_thread_takes_what_is_there_and_what_comes() {
    let entries = entries(31, 500);
    let folder = Folder::new();
    let chain = Chain::of(&entries[..300]);
    let follow = chain.clone();
    let indexer = Indexer::start(&folder.index(), chain.size(), move |at| follow.from(at)).unwrap();
    assert!(indexer.wait(600, PATIENCE));
    assert_eq!(found(&folder, ""), plain(&entries[..300]));
    assert!(!indexer.wait(601, Duration::ZERO));
    chain.add(&entries[300..]);
    assert!(indexer.wait(1000, PATIENCE));
    assert_eq!((indexer.next(), indexer.fault()), (1000, None));
    indexer.stop();
    assert_eq!(found(&folder, ""), plain(&entries));
    let follow = chain.clone();
    let again = Indexer::start(&folder.index(), chain.size(), move |at| follow.from(at)).unwrap();
    assert_eq!(again.next(), 1000, "it goes on where it ended");
}

#[test]
fn an_index_that_does_not_fit_is_made_anew() {
    let entries = entries(32, 60);
    let chain = Chain::of(&entries);
    let start = |folder: &Folder| {
        let follow = chain.clone();
        let indexer = Indexer::start(&folder.index(), chain.size(), move |at| follow.from(at)).unwrap();
        assert!(indexer.wait(chain.size(), PATIENCE));
        indexer.stop();
        assert_eq!(found(folder, ""), plain(&entries));
    };
    let ahead = Folder::new();
    ahead.store().take(&[(5000, entry(1))], 5001).unwrap();
    start(&ahead);
    let garbage = Folder::new();
    std::fs::write(garbage.index(), "no index".repeat(1000)).unwrap();
    start(&garbage);
    let older = Folder::new();
    drop(older.store());
    let version = schema::VERSION - 1;
    let db = rusqlite::Connection::open(older.index()).unwrap();
    db.execute_batch(&format!("PRAGMA user_version = {version}")).unwrap();
    drop(db);
    start(&older);
}

#[test]
fn what_has_been_dropped_is_left_out_and_forgotten() {
    let entries = entries(33, 100);
    let folder = Folder::new();
    let chain = Chain { oldest: 101, ..Chain::of(&entries) };
    let follow = chain.clone();
    let indexer = Indexer::start(&folder.index(), chain.size(), move |at| follow.from(at)).unwrap();
    assert!(indexer.wait(200, PATIENCE));
    assert_eq!(found(&folder, ""), plain(&entries[50..]));
    chain
        .records
        .lock()
        .unwrap()
        .push(Record::Retention(Retention { kept_from: 181, ..Retention::default() }));
    assert!(indexer.wait(201, PATIENCE));
    indexer.stop();
    assert_eq!(found(&folder, ""), plain(&entries[90..]));
}

#[test]
fn a_halt_is_told_and_tried_again() {
    let entries = entries(34, 20);
    let folder = Folder::new();
    let chain = Chain::of(&entries[..10]);
    *chain.halt.lock().unwrap() = Some(Halt::Unreadable("segment 7: byte 3".to_owned()));
    let follow = chain.clone();
    let indexer = Indexer::start(&folder.index(), chain.size(), move |at| follow.from(at)).unwrap();
    assert!(indexer.wait(20, PATIENCE), "what comes before is taken");
    while indexer.fault().is_none() {
        std::thread::park_timeout(Duration::from_millis(5));
    }
    assert!(indexer.fault().unwrap().contains("byte 3"));
    chain.halt.lock().unwrap().take();
    chain.add(&entries[10..]);
    assert!(indexer.wait(40, PATIENCE));
    assert_eq!(indexer.fault(), None);
}

#[test]
fn rebuilding_gives_the_same_and_tells_how_far_it_is() {
    let entries = entries(35, 400);
    let folder = Folder::new();
    let chain = Chain::of(&entries);
    assert_eq!(catch_up(&folder.index(), |at| chain.from(at)).unwrap(), 800);
    let sums = folder.reader().spent(0, u64::MAX, &Default::default(), None).unwrap();
    let mut told = Vec::new();
    assert_eq!(rebuild(&folder.index(), |at| chain.from(at), |at| told.push(at)).unwrap(), 800);
    assert_eq!(told.last(), Some(&800));
    assert_eq!(found(&folder, ""), plain(&entries));
    assert_eq!(folder.reader().spent(0, u64::MAX, &Default::default(), None).unwrap(), sums);
    *chain.halt.lock().unwrap() = Some(Halt::Unreadable("torn".to_owned()));
    assert!(rebuild(&folder.index(), |at| chain.from(at), |_| ()).unwrap_err().to_string().contains("torn"));
    assert_eq!(found(&folder, ""), plain(&entries), "what comes before is there");
}

#[test]
fn a_real_ledger_is_indexed_live_and_offline() {
    let folder = Folder::new();
    let entries: Vec<Entry> =
        (0..200).map(|seed| Entry { id: crate::ids::CallId(u128::from(seed) + 1), ..entry(seed) }).collect();
    let opened = Ledger::open(Settings::new(folder.path(), 1), 1).unwrap();
    let (ledger, mut journal) = (Arc::new(opened.ledger), opened.journals.into_iter().next().unwrap());
    let path = store::path_in(folder.path());
    let follow = Arc::clone(&ledger);
    let indexer = Indexer::start(&path, ledger.synced_records(), move |at| follow.follow(at)).unwrap();
    for entry in &entries {
        journal.append_event(entry).unwrap();
    }
    assert!(indexer.wait(200, PATIENCE));
    indexer.stop();
    drop(journal);
    Arc::into_inner(ledger).expect("the thread has let go of it").stop().unwrap();
    let all = |reader: &mut Reader| {
        let hits = reader.search(&query(""), Page { before: None, limit: 1000 }).unwrap().hits;
        hits.into_iter().rev().map(|hit| hit.entry).collect::<Vec<_>>()
    };
    assert_eq!(all(&mut Reader::open(&path).unwrap()), entries);
    let offline = |at| Follower::offline(folder.path(), at);
    let records = rebuild(&path, offline, |_| ()).unwrap();
    assert!(records > 200, "heads are records, too: {records}");
    assert_eq!(all(&mut Reader::open(&path).unwrap()), entries);
}
