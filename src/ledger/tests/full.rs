//! A disk that is full or slow, and a process that is killed: nothing is lost, nothing comes twice.

use std::collections::HashSet;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::atomic::Ordering;
use std::task::{Context, Waker};
use std::time::Duration;

use crate::ids::CallId;
use crate::ledger::files::Disk;
use crate::ledger::journal::Full;
use crate::ledger::live::{Ledger, LedgerFault, Opened, State};
use crate::ledger::record::Record;
use crate::ledger::settings::{OnFull, Settings};
use crate::ledger::tests::place::{NOW, Place, end, until, wait};
use crate::ledger::tests::samples::{entry, id, open};
use crate::limits;

/// Appends until the journal is full; how many there are then.
fn fill(journal: &mut crate::ledger::journal::Journal, from: u64) -> u64 {
    let mut number = from;
    while journal.append_event(&entry(number)).is_ok() {
        number += 1;
    }
    number
}

#[test]
fn a_full_disk_makes_callers_wait_and_loses_nothing() {
    let place = Place::new();
    let disk = Disk::default();
    let Opened { ledger, mut journals, .. } = place.open_on(&disk);
    let ticket = journals[0].append_event(&entry(0)).unwrap();
    wait(|context| journals[0].poll_synced(ticket, context));
    disk.faults.fill(Some(1000));
    let mut number = 1;
    until_full(&ledger, || number += u64::from(journals[0].append_event(&entry(number)).is_ok()));
    let State::Full { why } = ledger.state() else { panic!("it is full") };
    assert!(why.contains("space"), "{why}");
    number = fill(&mut journals[0], number);
    assert_eq!(journals[0].append_event(&entry(number)), Err(Full));
    let mut context = Context::from_waker(Waker::noop());
    assert!(journals[0].poll_room(&mut context).is_pending());
    disk.faults.fill(None);
    wait(|context| journals[0].poll_room(context));
    until(|| ledger.state() == State::Ok);
    journals[0].append_event(&entry(number)).unwrap();
    end(ledger);
    drop(journals);
    let expected: Vec<_> = (0..=number).map(|number| Record::Event(entry(number))).collect();
    assert_eq!(place.calls(), expected);
    assert!(disk.faults.refused.load(Ordering::SeqCst) > 0);
}

fn until_full(ledger: &Ledger, mut step: impl FnMut()) {
    while ledger.state() == State::Ok {
        step();
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

#[test]
fn where_it_is_wished_records_are_counted_while_the_disk_is_full() {
    let place = Place::new();
    let disk = Disk::default();
    let settings = Settings { on_full: OnFull::Serve, ..place.settings() };
    let Opened { ledger, mut journals, .. } = Ledger::open_on(&disk, settings, NOW).unwrap();
    disk.faults.fill(Some(0));
    let mut number = 0;
    until_full(&ledger, || number += u64::from(journals[0].append_event(&entry(number)).is_ok()));
    while number < 5_000 {
        wait(|context| journals[0].poll_room(context));
        let ticket = journals[0].append_event(&entry(number)).unwrap();
        number += 1;
        if ticket == crate::ledger::journal::Ticket::default() {
            wait(|context| journals[0].poll_synced(ticket, context));
        }
    }
    disk.faults.fill(None);
    until(|| ledger.state() == State::Ok);
    end(ledger);
    drop(journals);
    let (mut kept, mut counted) = (0, 0);
    for record in place.calls() {
        match record {
            Record::Event(_) => kept += 1,
            Record::Gap(gap) => counted += gap.records,
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(kept + counted, 5_000);
    assert!(kept > 1_000 && counted > 1_000, "{kept} kept, {counted} counted");
}

#[test]
fn what_is_left_out_is_counted_wherever_others_wait() {
    let place = Place::new();
    let disk = Disk::default();
    let Opened { ledger, mut journals, .. } = place.open_on(&disk);
    disk.faults.fill(Some(0));
    let mut number = 0;
    until_full(&ledger, || number += u64::from(journals[0].append_event(&entry(number)).is_ok()));
    number = fill(&mut journals[0], number);
    for _ in 0..7 {
        journals[0].count_missing();
    }
    assert_eq!(journals[0].append_event(&entry(number)), Err(Full), "all others wait as before");
    disk.faults.fill(None);
    until(|| ledger.state() == State::Ok);
    end(ledger);
    drop(journals);
    let (gaps, kept): (Vec<_>, Vec<_>) =
        place.calls().into_iter().partition(|record| matches!(record, Record::Gap(_)));
    let counted = gaps.iter().map(|gap| if let Record::Gap(gap) = gap { gap.records } else { 0 });
    assert_eq!((counted.sum::<u64>(), kept.len() as u64), (7, number));
}

#[test]
fn a_sync_that_fails_is_made_good() {
    let place = Place::new();
    let disk = Disk::default();
    let Opened { ledger, mut journals, .. } = place.open_on(&disk);
    disk.faults.unsync(true);
    let ticket = journals[0].append_event(&entry(0)).unwrap();
    until(|| ledger.state() != State::Ok);
    let mut context = Context::from_waker(Waker::noop());
    assert!(journals[0].poll_synced(ticket, &mut context).is_pending(), "nothing is on the disk");
    assert_eq!(ledger.synced_records(), 0);
    // What the file has is no longer to be trusted: it is written anew.
    let path = place.files().pop().unwrap();
    let size = std::fs::metadata(&path).unwrap().len();
    let file = std::fs::File::options().write(true).open(&path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, &[0; 100], size - 100).unwrap();
    disk.faults.unsync(false);
    wait(|context| journals[0].poll_synced(ticket, context));
    end(ledger);
    drop(journals);
    assert_eq!(place.calls(), [Record::Event(entry(0))]);
}

#[test]
fn a_slow_disk_slows_callers_and_drops_nothing() {
    let place = Place::new();
    let disk = Disk::default();
    let Opened { ledger, mut journals, .. } = place.open_on(&disk);
    disk.faults.slow(20);
    let (mut waits, mut appended) = (0, 0);
    while waits == 0 && appended < 1_000_000 {
        while journals[0].append_event(&entry(appended)) == Err(Full) {
            waits += 1;
            wait(|context| journals[0].poll_room(context));
        }
        appended += 1;
    }
    assert!(waits > 0, "nobody was slowed");
    assert_eq!(ledger.state(), State::Ok);
    end(ledger);
    drop(journals);
    let expected: Vec<_> = (0..appended).map(|number| Record::Event(entry(number))).collect();
    assert!(place.calls() == expected, "{appended} were appended");
}

#[test]
fn a_ledger_that_closes_on_a_full_disk_leaves_the_rest_to_the_next() {
    let place = Place::new();
    let disk = Disk::default();
    let Opened { ledger, mut journals, .. } = place.open_on(&disk);
    disk.faults.fill(Some(700));
    journals[0].append_open(&open(500)).unwrap();
    for number in 0..200 {
        journals[0].append_event(&entry(number)).unwrap();
    }
    assert!(matches!(ledger.stop(), Err(LedgerFault::Unwritten(_))));
    assert_eq!(journals[0].append_event(&entry(200)).err(), None, "its journal still has room");
    drop(journals);
    drop(ledger);
    let Opened { ledger, report, .. } = place.open();
    assert_eq!(report.lost.len(), 1);
    assert!(report.cut_bytes > 0, "a part of a record was written");
    end(ledger);
    let mut ended = place.ended();
    ended.sort_by_key(|id| id.0);
    assert_eq!(ended, (0..=200).chain([500]).map(id).collect::<Vec<_>>());
}

/// Where a child finds its folder; without it the tests that are children do nothing.
const CHILD: &str = "TOLLGATE_TEST_LEDGER";

/// This very program, running one test as a child.
fn child(test: &str, place: &Place) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    let name = format!("ledger::tests::full::{test}");
    command.args([&name, "--exact", "--nocapture", "--test-threads=1"]).env(CHILD, place.path());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null());
    command
}

/// Appends as fast as it can until it is killed, and says what has been taken: `o NUMBER` for an opening, `c
/// NUMBER` for its end, `e NUMBER` for an event.
#[test]
fn as_a_child_it_appends() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let settings =
        Settings { journal_bytes: 0, segment_bytes: 64 * 1024, sync_ms: 1, ..Settings::new(&folder, 2) };
    let Opened { ledger, mut journals, report } = Ledger::open(settings, NOW).unwrap();
    // Above the numbers of all children before.
    let mut number = report.records * 1_000 + 1;
    let mut out = std::io::stdout().lock();
    writeln!(out, "\nready {}", report.lost.len()).unwrap();
    loop {
        for journal in &mut journals {
            let calls = number..number + 5;
            for number in calls.clone() {
                while journal.append_open(&open(number)).is_err() {
                    wait(|context| journal.poll_room(context));
                }
                writeln!(out, "o {number}").unwrap();
            }
            for number in calls {
                // One in five never ends, and is lost.
                if number % 5 > 0 {
                    while journal.append_close(&entry(number)).is_err() {
                        wait(|context| journal.poll_room(context));
                    }
                    writeln!(out, "c {number}").unwrap();
                }
            }
            number += 5;
            while journal.append_event(&entry(number)).is_err() {
                wait(|context| journal.poll_room(context));
            }
            writeln!(out, "e {number}").unwrap();
            number += 1;
        }
        assert_eq!(ledger.state(), State::Ok);
    }
}

#[test]
fn a_killed_process_loses_nothing_that_was_taken() {
    let place = Place::new();
    let (mut opened, mut ended) = (HashSet::new(), HashSet::new());
    let mut lines_before = 0;
    for round in 0..20_u64 {
        let mut running = child("as_a_child_it_appends", &place).spawn().unwrap();
        let mut lines = BufReader::new(running.stdout.take().unwrap()).lines();
        // Somewhere in the middle of whatever it is doing.
        let stop_at = (round * round * 7919 % 4_000) + round % 3;
        let mut seen = 0;
        let mut killed = false;
        while let Some(Ok(line)) = lines.next() {
            let Some((word, number)) = line.split_once(' ') else { continue };
            let Ok(number) = number.parse::<u64>() else { continue };
            match word {
                "o" => drop(opened.insert(id(number))),
                "c" | "e" => assert!(ended.insert(id(number)), "{number} was taken twice"),
                _ => continue,
            }
            seen += 1;
            if seen > stop_at && !killed {
                killed = true;
                running.kill().unwrap();
            }
        }
        running.wait().unwrap();
        assert!(killed, "the child ended by itself");
        lines_before += seen;
    }
    let Opened { ledger, .. } = place.open();
    end(ledger);
    let found = place.ended();
    let once: HashSet<CallId> = found.iter().copied().collect();
    assert_eq!(once.len(), found.len(), "a call is in the ledger twice");
    let missing: Vec<_> = opened.union(&ended).filter(|id| !once.contains(id)).collect();
    assert!(missing.is_empty(), "{} of {lines_before} are missing: {missing:?}", missing.len());
    // What the child had appended and not said is at most what was under way.
    assert!(once.len() - opened.union(&ended).count() <= 20 * 2, "calls came out of nowhere");
    let lost = place.records().into_iter().filter(|record| match record {
        Record::Close(entry) => entry.outcome == "lost" && !ended.contains(&entry.id),
        _ => false,
    });
    assert!(lost.count() > 100);
}

/// Appends until the disk takes nothing, then waits for room.
#[test]
fn as_a_child_it_fills_the_disk() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let Opened { ledger, mut journals, .. } = Ledger::open(Settings::new(&folder, 1), NOW).unwrap();
    let mut number = 0;
    until_full(&ledger, || {
        for _ in 0..1_000 {
            if journals[0].append_event(&entry(number)).is_ok() {
                number += 1;
            }
        }
    });
    println!("\nfull {number}");
    rlimit::setrlimit(rlimit::Resource::FSIZE, rlimit::INFINITY, rlimit::INFINITY).unwrap();
    until(|| ledger.state() == State::Ok);
    end(ledger);
    drop(journals);
    println!("\nstopped {number}");
}

#[test]
fn a_real_file_that_cannot_grow_is_waited_for() {
    let place = Place::new();
    let run = child("as_a_child_it_fills_the_disk", &place);
    // 9 MiB in blocks of 512 bytes hold the journal and little more; the signal that comes with the limit is
    // ignored, so that the write fails as on a full disk.
    let script = "trap '' XFSZ; ulimit -S -f 18432; exec \"$0\" \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).arg(run.get_program()).args(run.get_args()).env(CHILD, place.path());
    let output = shell.output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let told = text.lines().find_map(|line| line.strip_prefix("stopped ")?.parse::<u64>().ok());
    let told = told.unwrap_or_else(|| panic!("{text}\n{}", String::from_utf8_lossy(&output.stderr)));
    assert!(text.contains("full "), "{text}");
    let expected: Vec<_> = (0..told).map(|number| Record::Event(entry(number))).collect();
    assert!(place.calls() == expected, "{told} were taken");
    assert!(told * 300 > limits::JOURNAL_HALF_BYTES_DEFAULT as u64);
}
