//! A ledger from its first record on, over ends of all kinds.

use std::fs;
use std::os::unix::fs::{FileExt, PermissionsExt};
use std::time::Duration;

use crate::ledger::follow::Follower;
use crate::ledger::journal::Ticket;
use crate::ledger::live::{Ledger, LedgerFault, Opened, State, is_kept};
use crate::ledger::record::Record;
use crate::ledger::settings::{Durability, Settings};
use crate::ledger::tests::place::{NOW, Place, end, wait};
use crate::ledger::tests::samples::{entry, id, open};

#[test]
fn records_are_kept_in_the_order_of_each_core() {
    let place = Place::new();
    let Opened { ledger, mut journals, report } = place.open();
    assert_eq!(report.records, 0);
    for number in 0..100 {
        journals[0].append_event(&entry(number)).unwrap();
        journals[1].append_event(&entry(1000 + number)).unwrap();
    }
    end(ledger);
    drop(journals);
    let ended = place.ended();
    for first in [0, 1000] {
        let of_one = ended.iter().filter(|one| (id(first).0..id(first + 1000).0).contains(&one.0));
        let expected: Vec<_> = (first..first + 100).map(id).collect();
        assert_eq!(of_one.copied().collect::<Vec<_>>(), expected);
    }
    let records = place.records();
    assert!(matches!(records.last(), Some(Record::Head(head)) if head.size == 200));
    assert_eq!(records.len(), 201);
    assert!(records.contains(&Record::Event(entry(5))));
}

#[test]
fn an_opening_is_left_out_when_its_end_comes_at_once() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    journals[0].append_open(&open(1)).unwrap();
    let ticket = journals[0].append_open(&open(2)).unwrap();
    wait(|context| journals[0].poll_synced(ticket, context));
    journals[0].append_close(&entry(1)).unwrap();
    for number in 10..15 {
        journals[0].append_open(&open(number)).unwrap();
        journals[0].append_close(&entry(number)).unwrap();
    }
    journals[0].append_close(&entry(2)).unwrap();
    end(ledger);
    drop(journals);
    let calls = place.calls();
    for opened in [1, 2] {
        assert!(calls.contains(&Record::Open(open(opened))), "it was open while others were written");
    }
    let openings = calls.iter().filter(|record| matches!(record, Record::Open(_))).count();
    assert!(openings < 7, "none of five was left out");
    let mut ended = place.ended();
    ended.sort_by_key(|id| id.0);
    assert_eq!(ended, [1, 2, 10, 11, 12, 13, 14].map(id));
}

#[test]
fn tickets_are_kept_when_their_records_are_on_the_disk() {
    let place = Place::new();
    let settings = Settings { durability: Durability::Synced, ..place.settings() };
    let Opened { ledger, mut journals, .. } = Ledger::open(settings, NOW).unwrap();
    for number in 0..20 {
        let ticket = journals[1].append_event(&entry(number)).unwrap();
        wait(|context| journals[1].poll_kept(ticket, context));
        assert!(place.ended().contains(&id(number)));
    }
    assert_eq!(ledger.state(), State::Ok);
    end(ledger);
    drop(journals);
}

#[test]
fn what_only_the_journals_have_is_recovered_once() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    journals[0].append_open(&open(1)).unwrap();
    journals[0].append_event(&entry(2)).unwrap();
    end(ledger);
    // The writer has gone, and the process goes on for a moment.
    journals[0].append_close(&entry(1)).unwrap();
    journals[0].append_open(&open(3)).unwrap();
    journals[0].append_open(&open(4)).unwrap();
    journals[1].append_event(&entry(5)).unwrap();
    journals[1].append_open(&open(6)).unwrap();
    journals[0].append_close(&entry(4)).unwrap();
    drop(journals);
    let before = place.records().len() as u64;
    let Opened { ledger, report, .. } = place.open();
    let lost: Vec<_> = report.lost.iter().map(|entry| entry.id).collect();
    assert_eq!(lost, [id(3), id(6)]);
    assert_eq!((report.recovered, report.missing, report.cut_bytes), (5, 0, 0));
    assert_eq!(report.records, before + 5);
    end(ledger);
    let mut ended = place.ended();
    ended.sort_by_key(|id| id.0);
    assert_eq!(ended, [1, 2, 3, 4, 5, 6].map(id));
    assert!(place.records().contains(&Record::Close(open(6).lost())));
    let Opened { ledger, report, .. } = place.open();
    assert_eq!((report.recovered, report.lost.len()), (0, 0));
    end(ledger);
}

#[test]
fn a_call_is_lost_whichever_segment_its_opening_is_in() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    let ticket = journals[0].append_open(&open(7)).unwrap();
    wait(|context| journals[0].poll_synced(ticket, context));
    for number in 100..400 {
        let ticket = journals[1].append_event(&entry(number)).unwrap();
        if number % 30 == 0 {
            wait(|context| journals[1].poll_synced(ticket, context));
        }
    }
    end(ledger);
    drop(journals);
    assert!(place.files().len() > 3);
    let Opened { ledger, report, .. } = place.open();
    let lost: Vec<_> = report.lost.iter().map(|entry| (entry.id, entry.cost_pico)).collect();
    assert_eq!(lost, [(id(7), 70_007)]);
    end(ledger);
    let Opened { report, .. } = place.open();
    assert_eq!(report.lost, []);
}

#[test]
fn an_interrupted_recovery_can_be_repeated() {
    let place = Place::new();
    // One segment, which stays as it is written.
    let reopen =
        || Ledger::open(Settings { journal_bytes: 0, ..Settings::new(place.path(), 2) }, NOW).unwrap();
    let Opened { ledger, mut journals, .. } = reopen();
    end(ledger);
    for number in 0..40 {
        journals[0].append_open(&open(number)).unwrap();
        journals[usize::from(number % 2 == 0)].append_event(&entry(1000 + number)).unwrap();
    }
    drop(journals);
    let start = fs::read(place.files().pop().unwrap()).unwrap();
    let kept: Vec<_> = (0..2)
        .map(|number| place.path().join(format!("ledger/journal-{number}")))
        .map(|path| (fs::read(&path).unwrap(), path))
        .collect();
    reopen().ledger.stop().unwrap();
    let whole = fs::read(&place.files()[0]).unwrap();
    for cut in (start.len()..whole.len().min(start.len() + 12_000)).step_by(997) {
        // As if the process had been ended while it recovered: a part is written, and nothing is signed.
        for path in place.files() {
            fs::remove_file(path).unwrap();
        }
        fs::remove_file(place.path().join("ledger/heads.jsonl")).unwrap();
        fs::write(place.segments().join("0000000000000000.seg"), &whole[..cut]).unwrap();
        for (bytes, path) in &kept {
            fs::write(path, bytes).unwrap();
        }
        reopen().ledger.stop().unwrap();
        let mut ended: Vec<_> = place.ended().into_iter().map(|id| id.0 & 0xffff).collect();
        ended.sort_unstable();
        let expected: Vec<_> = (0..40).chain(1000..1040).collect();
        assert_eq!(ended, expected, "cut at {cut}");
    }
}

#[test]
fn a_torn_end_is_cut_and_told_and_kept() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    let ticket = journals[0].append_event(&entry(1)).unwrap();
    wait(|context| journals[0].poll_synced(ticket, context));
    end(ledger);
    drop(journals);
    let path = place.files().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let file = fs::OpenOptions::new().append(true).open(&path).unwrap();
    let torn = [[200, 0, 0, 0].as_slice(), &[9; 90]].concat();
    file.write_all_at(&torn, bytes.len() as u64).unwrap();
    let Opened { ledger, report, .. } = place.open();
    assert_eq!(report.cut_bytes, 94);
    let (bad, kept) = report.cut.unwrap();
    assert_eq!((bad.file, bad.offset, bad.index), (path.clone(), bytes.len() as u64, 2));
    assert_eq!(fs::read(kept).unwrap(), torn);
    end(ledger);
    assert!(fs::read(&path).unwrap().starts_with(&bytes));
}

#[test]
fn a_segment_that_was_just_being_begun_is_begun_again() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    for number in 0..100 {
        journals[0].append_event(&entry(number)).unwrap();
    }
    end(ledger);
    drop(journals);
    let files = place.files();
    let last = files.last().unwrap();
    let whole = fs::read(last).unwrap();
    let records = place.records().len();
    // Some are not whole, and nothing has been signed for what they would say.
    for length in [0, 5, 30] {
        fs::remove_file(place.path().join("ledger/heads.jsonl")).unwrap();
        fs::write(last, &whole[..length]).unwrap();
        let Opened { ledger, report, .. } = place.open();
        assert_eq!(report.cut_bytes, length as u64);
        assert!(report.records < records as u64);
        end(ledger);
        assert_eq!(place.files(), files);
    }
}

#[test]
fn what_a_head_vouches_for_is_never_cut() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    for number in 0..10 {
        journals[0].append_event(&entry(number)).unwrap();
    }
    end(ledger);
    drop(journals);
    let path = place.files().pop().unwrap();
    let bytes = fs::read(&path).unwrap();
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 1;
    for wrong in [damaged.as_slice(), &bytes[..bytes.len() / 2], &bytes[..20]] {
        fs::write(&path, wrong).unwrap();
        let fault = Ledger::open(place.settings(), NOW).unwrap_err();
        assert!(matches!(&fault, LedgerFault::Damaged(bad) if bad.file == path), "{fault}");
        assert_eq!(fs::read(&path).unwrap(), wrong, "it is left as it is");
    }
    fs::remove_file(&path).unwrap();
    assert!(matches!(Ledger::open(place.settings(), NOW), Err(LedgerFault::Damaged(_))));
    fs::write(&path, bytes).unwrap();
    drop(place.open());
}

#[test]
fn one_process_keeps_a_ledger() {
    let place = Place::new();
    let Opened { ledger, journals, .. } = place.open();
    let locked = || matches!(Ledger::open(place.settings(), NOW), Err(LedgerFault::Locked(_)));
    assert!(locked());
    end(ledger);
    assert!(locked(), "a journal of before is still mapped");
    assert!(is_kept(place.path()));
    drop(journals);
    assert!(!is_kept(place.path()));
    assert!(!is_kept(place.path()), "asking keeps nothing");
    drop(place.open());
    assert!(!is_kept(Place::new().path()), "there is no ledger");
}

#[test]
fn the_files_are_for_their_owner_only() {
    let place = Place::new();
    let Opened { ledger, .. } = place.open();
    let mode = |name: &str| fs::metadata(place.path().join(name)).unwrap().permissions().mode() & 0o777;
    for file in ["lock", "signing-key", "journal-0", "heads.jsonl", "segments/0000000000000000.seg"] {
        assert_eq!(mode(&format!("ledger/{file}")), 0o600, "{file}");
    }
    assert_eq!(mode("ledger"), 0o700);
    end(ledger);
    let key = place.path().join("ledger/signing-key");
    fs::set_permissions(&key, fs::Permissions::from_mode(0o640)).unwrap();
    let fault = Ledger::open(place.settings(), NOW).unwrap_err();
    assert!(fault.to_string().contains("0600"), "{fault}");
}

#[test]
fn fewer_cores_lose_nothing() {
    let place = Place::new();
    let opened = Ledger::open(Settings { cores: 5, ..place.settings() }, NOW).unwrap();
    let Opened { ledger, mut journals, .. } = opened;
    end(ledger);
    for (number, journal) in (0..).zip(&mut journals) {
        journal.append_event(&entry(number)).unwrap();
    }
    drop(journals);
    let Opened { ledger, mut journals, report } = place.open();
    assert_eq!(report.recovered, 5);
    assert!(!place.path().join("ledger/journal-2").exists());
    journals[0].append_event(&entry(9)).unwrap();
    end(ledger);
    drop(journals);
    let mut ended = place.ended();
    ended.sort_by_key(|id| id.0);
    assert_eq!(ended, [0, 1, 2, 3, 4, 9].map(id));
}

#[test]
fn a_follower_sees_every_record_in_order_as_it_comes() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    let mut follower = ledger.follow(0);
    assert_eq!(follower.next(Duration::ZERO).unwrap(), None);
    let reader = std::thread::spawn(move || {
        let mut seen = Vec::new();
        while seen.len() < 400 {
            if let Some((index, record)) = follower.next(Duration::from_secs(60)).unwrap() {
                assert_eq!(index, seen.len() as u64);
                seen.push(record);
            }
        }
        seen
    });
    for number in 0..400 {
        let ticket = journals[0].append_event(&entry(number)).unwrap();
        if number % 16 == 0 {
            wait(|context| journals[0].poll_synced(ticket, context));
        }
    }
    let expected: Vec<_> = (0..400).map(|number| Record::Event(entry(number))).collect();
    assert_eq!(reader.join().unwrap(), expected);
    let mut late = ledger.follow(399);
    assert_eq!(late.next(Duration::ZERO).unwrap(), Some((399, Record::Event(entry(399)))));
    end(ledger);
    drop(journals);
    assert!(matches!(late.next(Duration::ZERO).unwrap(), Some((400, Record::Head(_)))));
    assert_eq!(late.next(Duration::from_secs(60)).unwrap(), None, "nothing more will come");
}

#[test]
fn sealed_segments_are_packed_and_read_alike() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = place.open();
    for number in 0..2_000 {
        while journals[0].append_event(&entry(number)).is_err() {
            wait(|context| journals[0].poll_room(context));
        }
    }
    end(ledger);
    drop(journals);
    let packed = |place: &Place| {
        let files = place.files();
        files.iter().filter(|path| path.extension().is_some_and(|form| form == "segz")).count() + 1
            == files.len()
    };
    assert!(packed(&place), "{:?}", place.files());
    let expected: Vec<_> = (0..2_000).map(|number| Record::Event(entry(number))).collect();
    assert_eq!(place.calls(), expected);
    for index in [0, 1, 37, 777, 1_999] {
        let mut follower = Follower::offline(place.path(), index);
        let (found, _) = follower.next(Duration::ZERO).unwrap().unwrap();
        assert_eq!(found, index);
    }
    let Opened { ledger, report, .. } = place.open();
    assert_eq!(report.recovered, 0);
    assert_eq!(report.records, place.records().len() as u64);
    drop(ledger);
}

#[test]
fn a_ticket_of_nothing_is_kept() {
    let place = Place::new();
    let Opened { mut journals, .. } = place.open();
    wait(|context| journals[0].poll_synced(Ticket::default(), context));
}
