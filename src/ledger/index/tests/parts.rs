//! Parts of the words: gathered at once or made whole later, they say the same.

use super::searching::{listed, paged};
use super::{Folder, entries, entry, far_apart, filled, query};
use crate::ledger::entry::{Action, Entry};
use crate::ledger::index::bits::{Bits, List, PLACES, take_list};
use crate::ledger::index::block::Edge;
use crate::ledger::index::lists::{self, Book, Sought, Term};
use crate::ledger::index::schema;
use crate::ledger::index::store::Store;
use crate::ledger::index::words::{self, Once};

const SEARCHES: &[&str] = &[
    "prod",
    "pro*",
    "p*",
    "user:ana prod -class:write",
    "use:toolu_3",
    "prompt:prompt-2 status:429",
    "session:s-1 cost:>0.1",
    "überlauf",
    "nosuchword",
    "\"connection refused\"",
    "\"refused connection by\"",
    "\"refused connection by pro*\"",
    "\"prod refused the connection\"",
    "\"example com\" -refused",
    "app.yaml",
];

/// All that a search can see of a file: its parts, and a checksum of its lists.
fn seen(folder: &Folder, entries: &[(u64, Entry)]) -> (Vec<(u64, bool)>, u32) {
    let mut reader = folder.reader();
    for text in SEARCHES {
        assert_eq!(paged(&mut reader, &query(text), 29), listed(entries, &query(text)), "{text}");
    }
    let parts = schema::parts(&reader.db).unwrap();
    let mut sum = crc32fast::Hasher::new();
    for sql in ["SELECT data FROM page ORDER BY part, first", "SELECT data FROM once ORDER BY row"] {
        let mut rows = reader.db.prepare(sql).unwrap();
        let rows = rows.query_map([], |row| row.get::<_, Vec<u8>>(0)).unwrap();
        rows.for_each(|data| sum.update(&data.unwrap()));
    }
    (parts.into_iter().map(|part| (part.number, part.whole)).collect(), sum.finalize())
}

fn take(store: &mut Store, entries: &[(u64, Entry)], size: usize) {
    for batch in entries.chunks(size) {
        store.take(batch, batch.last().unwrap().0 + 1).unwrap();
    }
}

#[test]
fn however_entries_come_the_lists_are_the_same() {
    let entries = far_apart(entries(31, 500), 1500);
    let (live, bulk, ended, mixed) = (filled(&entries), Folder::new(), Folder::new(), Folder::new());
    let mut store = bulk.store();
    store.begin_bulk().unwrap();
    take(&mut store, &entries, 37);
    store.end_bulk().unwrap();
    // Whoever builds it ends in the middle; the next one to open it goes on.
    let mut store = ended.store();
    store.begin_bulk().unwrap();
    take(&mut store, &entries[..333], 100);
    drop(store);
    take(&mut ended.store(), &entries[333..], 41);
    let mut store = mixed.store();
    take(&mut store, &entries[..130], 9);
    store.begin_bulk().unwrap();
    take(&mut store, &entries[130..300], 50);
    take(&mut mixed.store(), &entries[300..310], 50);
    take(&mut store, &entries[310..401], 50);
    store.end_bulk().unwrap();
    take(&mut store, &entries[401..], 50);
    let expected = seen(&live, &entries);
    assert_eq!(expected.0.iter().filter(|(_, whole)| *whole).count(), expected.0.len() - 1);
    assert!(expected.0.len() > 10);
    for folder in [&bulk, &ended, &mixed] {
        assert_eq!(seen(folder, &entries), expected);
    }
}

#[test]
fn one_who_ended_in_the_middle_leaves_entries_that_are_found() {
    let entries = far_apart(entries(32, 100), 1500);
    let folder = Folder::new();
    let mut store = folder.store();
    store.begin_bulk().unwrap();
    take(&mut store, &entries, 20);
    drop(store);
    drop(folder.store());
    assert_eq!(paged(&mut folder.reader(), &query("deny"), 29), listed(&entries, &query("deny")));
}

#[test]
fn a_batch_that_fails_at_the_end_of_a_part_is_taken_again() {
    let entries = far_apart(entries(33, 300), 1500);
    let folder = Folder::new();
    let mut store = folder.store();
    store.begin_bulk().unwrap();
    take(&mut store, &entries[..100], 20);
    let mut wrong = entries[100..200].to_vec();
    wrong.push(wrong[3].clone());
    assert!(store.take(&wrong, 1 << 40).is_err());
    take(&mut store, &entries[100..], 20);
    store.end_bulk().unwrap();
    assert_eq!(seen(&folder, &entries), seen(&filled(&entries), &entries));
}

#[test]
fn a_part_is_forgotten_with_its_lists() {
    let entries = far_apart(entries(34, 300), 1500);
    let folder = filled(&entries);
    folder.store().forget(entries[200].0).unwrap();
    let first = schema::part_of(entries[200].0);
    let (parts, _) = seen(&folder, &entries[200..]);
    assert_eq!(parts.last().unwrap().0, first);
    let db = rusqlite::Connection::open(folder.index()).unwrap();
    let oldest: i64 = db.query_row("SELECT min(part) FROM page", [], |row| row.get(0)).unwrap();
    let once: i64 = db.query_row("SELECT min(row) >> 28 FROM once", [], |row| row.get(0)).unwrap();
    assert_eq!((oldest, once), (schema::stored(first), schema::stored(first)));
    let tables: i64 = db
        .query_row("SELECT count(*) FROM sqlite_schema WHERE name LIKE 'words_%_data'", [], |row| row.get(0))
        .unwrap();
    assert_eq!(tables, 1, "only the newest part is a table");
}

#[test]
fn words_of_any_number_and_length_are_found_in_pages() {
    let detail = |at: u64| format!("{} x{at:05} {}", "z".repeat(60), "common");
    let made = |at: u64| {
        let actions = vec![Action { id: format!("u{}", at % 700), detail: detail(at), ..Action::default() }];
        (at * 20, Entry { actions, prompt: "one".to_owned(), tool_use_id: String::new(), ..entry(at) })
    };
    let entries: Vec<(u64, Entry)> = (0..7000).map(made).collect();
    let folder = Folder::new();
    let mut store = folder.store();
    store.begin_bulk().unwrap();
    take(&mut store, &entries, 2000);
    store.end_bulk().unwrap();
    let db = rusqlite::Connection::open(folder.index()).unwrap();
    let pages: i64 = db.query_row("SELECT count(*) FROM page WHERE part = 0", [], |row| row.get(0)).unwrap();
    assert!(pages > 10);
    let sought = |term: Term| Sought { all: vec![vec![term]], ..Sought::default() };
    let mut book = Book::new(&db).unwrap();
    let mut places = |term: Term| {
        let bits = book.find(0, &sought(term)).unwrap();
        bits.places((0, PLACES), Edge::Oldest, usize::MAX)
    };
    let of_part = entries.iter().filter(|(position, _)| *position < u64::from(PLACES)).count();
    for at in (0..of_part as u64).step_by(37) {
        let expected = [u32::try_from(at * 20).unwrap()];
        assert_eq!(places(Term::Word(format!("x{at:05}"))), expected);
        assert_eq!(places(Term::Prefix(format!("x{at:05}"))), expected);
    }
    assert_eq!(places(Term::Prefix("x".to_owned())).len(), of_part);
    assert_eq!(places(Term::Prefix("x0".to_owned())).len(), of_part);
    assert_eq!(places(Term::Prefix("x012".to_owned())).len(), 100);
    assert_eq!(places(Term::Word("common".to_owned())).len(), of_part);
    assert_eq!(places(Term::Word("commo".to_owned())).len(), 0);
    assert_eq!(places(Term::Word("z".repeat(48))).len(), of_part);
    let pair = |one: &str, other: &str| Term::Pair(words::pair_sum(one, other));
    assert_eq!(places(pair("x01234", "common")), [1234 * 20]);
    assert!(places(pair("x01234", "x01234")).is_empty());
    assert!(places(pair("common", "x01234")).is_empty());
    for number in 0..700 {
        let found = places(Term::Once(Once::Use, words::once_sum(&format!("u{number}"))));
        let expected: Vec<u32> = (number..u32::try_from(of_part).unwrap()).step_by(700).collect();
        assert_eq!(found, expected.iter().map(|at| at * 20).collect::<Vec<_>>(), "u{number}");
    }
    assert_eq!(places(Term::Once(Once::Prompt, words::once_sum("one"))).len(), of_part);
    let sum = words::once_sum("u17");
    assert_eq!(places(Term::Once(Once::Id, sum)).len(), 0);
    let mut reader = folder.reader();
    for text in ["x01234", "x0123*", "use:u17", "common x06999", "upstream:req_6000"] {
        assert_eq!(paged(&mut reader, &query(text), 50), listed(&entries, &query(text)), "{text}");
    }
}

#[test]
fn sets_of_places_are_what_was_put_in() {
    for step in [1, 2, 3, 7, 64, 500, 40_000] {
        let put: Vec<u32> = (5..PLACES).step_by(step).collect();
        let mut list = List::default();
        for place in &put {
            list.push(*place);
            list.push(*place);
        }
        let mut kept = Vec::new();
        list.keep(&mut kept);
        let mut bits = Bits::default();
        let mut rest = kept.as_slice();
        bits.add_list(take_list(&mut rest).unwrap()).unwrap();
        assert!(rest.is_empty() && kept.len() <= 20_000);
        assert_eq!(bits.places((0, PLACES), Edge::Oldest, usize::MAX), put);
        let newest = bits.places((70, PLACES - 1), Edge::Newest, 10);
        let expected: Vec<u32> =
            put.iter().rev().copied().filter(|place| (70..PLACES - 1).contains(place)).take(10).collect();
        assert_eq!(newest, expected);
    }
    let mut bits = Bits::default();
    assert!(bits.add_list(&[0xff; 11]).is_none() && bits.add_list(&vec![0; 20_000]).is_none());
    assert!(bits.insert(PLACES).is_none() && bits.is_empty());
}

#[test]
fn a_damaged_page_is_told() {
    let entries = far_apart(entries(35, 300), 1500);
    let folder = filled(&entries);
    let db = rusqlite::Connection::open(folder.index()).unwrap();
    for (table, text) in [("page", "prod"), ("page", "p*"), ("once", "prompt:prompt-1")] {
        db.execute_batch(&format!("UPDATE {table} SET data = x'ffffffffffffffffffffffff'")).unwrap();
        let page = crate::ledger::index::search::Page { before: Some(entries[100].0), limit: 5 };
        let fault = folder.reader().search(&query(text), page).unwrap_err();
        assert!(fault.to_string().contains("rebuild"), "{table}: {fault}");
    }
}

#[test]
fn marks_are_no_words() {
    let key = lists::mark_key(lists::mark_number('u', 7));
    assert_eq!(key, [0, b'u', 0, 0, 0, 0, 0, 0, 7]);
}
