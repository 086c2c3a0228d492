//! What is taken is taken once, whole, and by whoever comes first.

use super::{Folder, NOON, entries, entry, filled, query};
use crate::ledger::entry::{Action, Entry, Kind};
use crate::ledger::index::IndexFault;
use crate::ledger::index::search::{Page, Reader};
use crate::ledger::index::store::Store;
use crate::limits;

fn everything(folder: &Folder) -> Vec<(u64, Entry)> {
    let page = Page { before: None, limit: 1000 };
    let found = folder.reader().search(&query(""), page).unwrap();
    found.hits.into_iter().rev().map(|hit| (hit.position, hit.entry)).collect()
}

#[test]
fn entries_come_back_as_they_were_in_any_batches() {
    let entries = entries(11, 700);
    let folder = Folder::new();
    let mut store = folder.store();
    let mut rest = entries.as_slice();
    for size in [1, 2, 3, 130, 1, 127, 5].into_iter().cycle() {
        let (batch, after) = rest.split_at(size.min(rest.len()));
        let Some((last, _)) = batch.last() else { break };
        store.take(batch, last + 2).unwrap();
        assert_eq!(store.next().unwrap(), last + 2);
        if size == 3 {
            store = folder.store();
        }
        rest = after;
    }
    assert_eq!(everything(&folder), entries);
}

#[test]
fn ids_come_back_as_they_were_whatever_they_look_like() {
    let uuid = |at: u64| format!("{:08x}-0000-4abc-9def-{at:012x}", at * 0x9e37_79b9 % (1 << 32));
    let odd: [fn(String) -> String; 6] = [
        |id| id,
        |id| id.to_uppercase(),
        |id| id.replace('-', "_"),
        |id| format!("{}g", id.split_at(35).0),
        |id| format!("{}-", id.split_at(35).0),
        |id| id.replacen("-4", "4-", 1),
    ];
    for (seed, odd) in (0..).zip(odd) {
        let made = |(position, entry): (u64, Entry)| {
            let prompt = if position % 5 == 0 { String::new() } else { uuid(position) };
            let prompt = if position % 7 == 0 { odd(uuid(position)) } else { prompt };
            (position, Entry { prompt, tool_use_id: odd(uuid(position * 3)), ..entry })
        };
        let entries: Vec<(u64, Entry)> = entries(seed, 300).into_iter().map(made).collect();
        assert_eq!(everything(&filled(&entries)), entries);
    }
}

#[test]
fn what_comes_twice_is_taken_once() {
    let entries = entries(12, 300);
    let folder = filled(&entries);
    let total = || folder.reader().spent(0, u64::MAX, &Default::default(), None).unwrap();
    let before = total();
    let mut store = folder.store();
    store.take(&entries, entries[299].0 + 1).unwrap();
    store.take(&entries[200..], 5).unwrap();
    assert_eq!(store.next().unwrap(), entries[299].0 + 1, "it never goes back");
    assert_eq!(everything(&folder), entries);
    assert_eq!(total(), before);
}

#[test]
fn two_writers_do_not_disturb_each_other() {
    let entries = entries(13, 600);
    let folder = Folder::new();
    let (mut one, mut other) = (folder.store(), folder.store());
    for (at, batch) in entries.chunks(40).enumerate() {
        let next = batch.last().unwrap().0 + 1;
        let (first, second) = if at % 2 == 0 { (&mut one, &mut other) } else { (&mut other, &mut one) };
        first.take(batch, next).unwrap();
        second.take(batch, next).unwrap();
    }
    assert_eq!(everything(&folder), entries);
}

#[test]
fn a_batch_that_fails_leaves_nothing() {
    let entries = entries(14, 200);
    let folder = filled(&entries[..100]);
    let mut store = folder.store();
    store.take(&entries[100..110], entries[109].0 + 1).unwrap();
    let (locker, mut impatient) = (rusqlite::Connection::open(folder.index()).unwrap(), folder.store());
    impatient.give_up_at_once();
    locker.execute_batch("BEGIN IMMEDIATE").unwrap();
    assert!(matches!(impatient.take(&entries[110..], 1000), Err(IndexFault::Sqlite(_))));
    locker.execute_batch("ROLLBACK").unwrap();
    // A position that goes back breaks the order of the chain, and nothing of its batch is kept.
    let mut wrong = entries[110..150].to_vec();
    wrong.push(wrong[3].clone());
    assert!(store.take(&wrong, 2000).is_err());
    assert_eq!(everything(&folder), entries[..110]);
    store.take(&entries[110..], entries[199].0 + 1).unwrap();
    assert_eq!(everything(&folder), entries);
}

#[test]
fn hostile_entries_are_taken() {
    let long = "x".repeat(limits::RECORD_TEXT_BYTES_MAX);
    let action = |at: usize| Action {
        id: format!("{at}"),
        name: "k:1 \"AND\" NOT".to_owned(),
        detail: format!("{at} u:1 {}", "é \u{0} ' ".repeat(60)),
        ..Action::default()
    };
    let worst = Entry {
        error: long,
        user: "u:1\u{0}".to_owned(),
        tool: "*".to_owned(),
        server: "'; --".to_owned(),
        at_ms: u64::MAX,
        took_us: u64::MAX,
        cost_pico: i64::MAX as u64,
        kind: Kind::ModelCall,
        tokens: crate::ledger::entry::Tokens { input: u64::MAX, output: u64::MAX, ..Default::default() },
        actions: (0..limits::ACTIONS_OF_ENTRY_MAX).map(action).collect(),
        ..entry(1)
    };
    let first = Entry { at_ms: 0, ..worst.clone() };
    let entries: Vec<(u64, Entry)> = (0..40)
        .map(|at| (at, if at % 3 == 0 { first.clone() } else { worst.clone() }))
        .chain([(40, Entry { kind: Kind::Config, ..entry(2) })])
        .collect();
    let folder = filled(&entries);
    let mut reader = folder.reader();
    let mut found =
        |text: &str| reader.search(&query(text), Page { before: None, limit: 100 }).unwrap().hits.len();
    assert_eq!(found(""), 41);
    assert_eq!(found("user:\"u:1\u{0}\""), 40);
    assert_eq!(found("user:\"u:1\u{0}\" k"), 40);
    assert_eq!(found("kind:model_call u"), 40);
    assert_eq!(found("kind:refusal"), 0);
    assert_eq!(found("tokens:>1000000"), 40);
    assert_eq!(found("tool:\"'; --.*\""), 40);
    assert_eq!(found(&format!("since:{}", "2026-01-01")), 27);
    let spent = folder.reader().spent(0, u64::MAX, &Default::default(), None).unwrap();
    assert!(spent[0].1 > 39 * u128::from(i64::MAX as u64));
}

#[test]
fn strangers_leave_nothing_that_is_never_forgotten() {
    let stranger = |at: u64| {
        let text = |of: &str| format!("{of}-{at}\u{1f}");
        Entry {
            kind: Kind::Refusal,
            key: String::new(),
            key_id: String::new(),
            team: String::new(),
            user: String::new(),
            session: text("session"),
            agent: text("agent"),
            client: text("client"),
            model: text("model"),
            served_model: text("served"),
            method: text("method"),
            server: text("server"),
            tool: text("tool"),
            cost_pico: 0,
            actions: Vec::new(),
            ..entry(at)
        }
    };
    let known: Vec<(u64, Entry)> = entries(18, 300).into_iter().filter(|(at, _)| at % 2 == 1).collect();
    let rows = |folder: &Folder, table: &str| -> i64 {
        let db = rusqlite::Connection::open(folder.index()).unwrap();
        db.query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0)).unwrap()
    };
    let mut all = known.clone();
    all.extend((0..150).map(|at| (at * 6 + 3, stranger(at))));
    all.sort_by_key(|(position, _)| *position);
    let (without, with) = (filled(&known), filled(&all));
    for table in ["name", "session", "spend"] {
        // How the last of them ended may be a name that nobody has had before; that is one of ours.
        assert!(rows(&with, table) - rows(&without, table) <= 5, "{table}");
    }
    assert_eq!(everything(&with), all);
    let found = |text: &str| {
        let page = Page { before: None, limit: 1000 };
        with.reader().search(&query(text), page).unwrap().hits.len()
    };
    let count = |fits: fn(&Entry) -> bool| all.iter().filter(|(_, entry)| fits(entry)).count();
    assert_eq!(found("kind:refusal"), count(|entry| entry.kind == Kind::Refusal));
    assert_eq!((found("client:client-*"), found("tool:*tool-7*")), (0, 0));
    assert_eq!(found("-client:client-*"), all.len());
    assert_eq!(found("kind:refusal session"), 0);
    assert_eq!(found("server 7 kind:refusal"), found("kind:refusal server-7"));
    assert!(with.reader().session("session-7\u{1f}").unwrap().is_empty(), "nobody joins a timeline so");
}

#[test]
fn the_file_is_for_its_owner_only() {
    let folder = filled(&entries(19, 10));
    let _open = folder.store();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        let file = file.unwrap();
        let mode = std::os::unix::fs::PermissionsExt::mode(&file.metadata().unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600, "{}", file.path().display());
    }
}

#[test]
fn other_files_are_refused_and_a_rebuilt_one_is_the_same() {
    let entries = entries(15, 300);
    let folder = filled(&entries);
    let before = everything(&folder);
    Store::remove(&folder.index()).unwrap();
    Store::remove(&folder.index()).unwrap();
    assert!(matches!(Reader::open(&folder.index()), Err(IndexFault::Missing(_))));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    let mut store = folder.store();
    store.begin_bulk().unwrap();
    store.take(&entries, entries[299].0 + 1).unwrap();
    store.end_bulk().unwrap();
    assert_eq!(everything(&folder), before);
    let db = rusqlite::Connection::open(folder.index()).unwrap();
    db.execute_batch("PRAGMA user_version = 99").unwrap();
    assert!(matches!(Store::open(&folder.index()), Err(IndexFault::Version { found: 99, .. })));
    assert!(matches!(Reader::open(&folder.index()), Err(IndexFault::Version { found: 99, .. })));
}

#[test]
fn a_damaged_block_is_told_by_its_place() {
    let folder = filled(&entries(16, 200));
    let db = rusqlite::Connection::open(folder.index()).unwrap();
    db.execute_batch("UPDATE block SET data = x'00112233' WHERE first = 1").unwrap();
    let mut reader = folder.reader();
    let fault = reader.search(&query("until:now"), Page { before: Some(50), limit: 5 }).unwrap_err();
    assert!(matches!(fault, IndexFault::Damaged(_)), "{fault}");
    assert!(fault.to_string().contains("rebuild"));
}

#[test]
fn old_entries_are_forgotten_and_their_sums_are_not() {
    let entries = entries(17, 900);
    let folder = filled(&entries);
    let total = || folder.reader().spent(0, NOON + 3_600_000, &Default::default(), None).unwrap();
    let before = total();
    let kept = entries[500].0;
    folder.store().forget(kept).unwrap();
    assert_eq!(everything(&folder), entries[500..]);
    assert_eq!(total(), before);
    let found = folder.reader().search(&query("deny"), Page { before: None, limit: 1000 }).unwrap();
    assert_eq!(found.hits.len(), 400);
    let mut store = folder.store();
    store.forget(0).unwrap();
    store.take(&entries, 10).unwrap();
    assert_eq!(everything(&folder), entries[500..], "what is forgotten does not come back");
}
