//! A ledger seen from outside: what is sound is found so, and whatever is not is named.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::ledger::encode;
use crate::ledger::entry::Entry;
use crate::ledger::files::Folder;
use crate::ledger::follow::Follower;
use crate::ledger::frame::{self, Framed};
use crate::ledger::heads::{self, PublicKeys};
use crate::ledger::live::{Ledger, Opened};
use crate::ledger::prove::{self, ProofFault};
use crate::ledger::record::Record;
use crate::ledger::segment::{self, Bad, ReadFault};
use crate::ledger::settings::Settings;
use crate::ledger::tail;
use crate::ledger::tests::place::{NOW, Place, end, wait};
use crate::ledger::tests::samples::{entry, id, open};
use crate::ledger::tree::{Gather, consistency, continues, leaf};
use crate::ledger::verify::{Verified, verify};

/// A ledger of a few segments, most of them packed.
fn kept(events: u64) -> Place {
    let place = Place::new();
    let settings = Settings { segment_bytes: 4 * 1024, ..place.settings() };
    let Opened { ledger, mut journals, .. } = Ledger::open(settings, NOW).unwrap();
    for number in 0..events {
        journals[0].append_open(&open(number)).unwrap();
        journals[0].append_close(&entry(number)).unwrap();
        let ticket = journals[1].append_event(&entry(1000 + number)).unwrap();
        if number % 5 == 4 {
            wait(|context| journals[1].poll_synced(ticket, context));
        }
    }
    end(ledger);
    drop(journals);
    // The last segment is not packed, and has something in it.
    let Opened { ledger, mut journals, .. } = place.open();
    for number in 2000..2003 {
        journals[0].append_event(&entry(number)).unwrap();
    }
    end(ledger);
    drop(journals);
    place
}

fn keys(place: &Place) -> PublicKeys {
    PublicKeys::read(&Folder::of(place.path()).public_key()).unwrap()
}

fn check(place: &Place) -> Result<Verified, ReadFault> {
    verify(place.path(), &keys(place))
}

/// The bad record of a ledger that has one.
fn bad(place: &Place) -> Bad {
    match check(place) {
        Err(ReadFault::Bad(bad)) => bad,
        other => panic!("{other:?}"),
    }
}

fn heads_file(place: &Place) -> PathBuf {
    Folder::of(place.path()).heads()
}

#[test]
fn a_sound_ledger_is_found_so() {
    let place = kept(30);
    let records = place.records().len() as u64;
    let verified = check(&place).unwrap();
    assert_eq!((verified.first, verified.size, verified.torn_bytes), (0, records, 0));
    assert_eq!(verified.segments, place.files().len());
    assert!(verified.segments > 3);
    assert_eq!(verified.signed.unwrap().0, records - 1);
    // An open ledger is looked at while it is written.
    let Opened { ledger, mut journals, .. } = place.open();
    for number in 0..50 {
        let ticket = journals[0].append_event(&entry(5000 + number)).unwrap();
        if number % 10 == 0 {
            wait(|context| journals[0].poll_synced(ticket, context));
            assert!(check(&place).unwrap().size > records);
        }
    }
    end(ledger);
    drop(journals);
    assert_eq!(check(&place).unwrap().heads, 3);
}

#[test]
fn any_changed_byte_of_any_segment_is_named() {
    let place = kept(12);
    for path in place.files() {
        let whole = fs::read(&path).unwrap();
        // Every byte of what the file begins with, and every eleventh of the rest.
        let step = |at: &usize| *at < 200 || at.is_multiple_of(11) || *at + 60 > whole.len();
        for at in (0..whole.len()).filter(step) {
            let mut damaged = whole.clone();
            damaged[at] ^= 1 << (at % 8);
            fs::write(&path, damaged).unwrap();
            let fault = check(&place);
            let last = path == *place.files().last().unwrap();
            match fault {
                Err(ReadFault::Bad(bad)) if bad.file == path => {
                    assert!(bad.offset <= at as u64, "byte {at} of {}: {bad}", path.display());
                }
                // A length that became too great at the end of everything, behind all that was signed.
                Ok(found) if last => assert!(found.torn_bytes > 0),
                other => panic!("byte {at} of {}: {other:?}", path.display()),
            }
        }
        fs::write(&path, &whole).unwrap();
    }
    check(&place).unwrap();
}

#[test]
fn a_bad_record_is_named_with_its_index_and_place() {
    let place = kept(25);
    // The last segment is not packed, so its records stand as they are.
    let path = place.files().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let first = u64::from_str_radix(path.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    let Framed::Whole { bytes: header, .. } = frame::read(&whole[8..]) else { panic!() };
    let mut at = 8 + header;
    let mut index = first;
    while let Framed::Whole { bytes, .. } = frame::read(&whole[at..]) {
        let mut damaged = whole.clone();
        damaged[at + bytes - 1] ^= 1;
        fs::write(&path, damaged).unwrap();
        let found = bad(&place);
        assert_eq!((&found.file, found.offset, found.index), (&path, at as u64, index));
        assert!(found.to_string().contains("checksum"), "{found}");
        at += bytes;
        index += 1;
    }
    assert!(index > first + 1);
}

fn place_of(index: u64) -> usize {
    usize::try_from(index).unwrap()
}

/// Changes the last byte of a record and its checksum with it.
fn forge(path: &Path, wanted: usize) {
    let mut whole = fs::read(path).unwrap();
    let mut at = 8;
    for _ in 0..=wanted {
        let Framed::Whole { bytes, .. } = frame::read(&whole[at..]) else { panic!() };
        at += bytes;
    }
    let Framed::Whole { content, bytes } = frame::read(&whole[at..]) else { panic!() };
    let mut content = content.to_vec();
    *content.last_mut().unwrap() ^= 1;
    let mut forged = Vec::new();
    frame::put(&mut forged, |out| out.extend_from_slice(&content));
    whole.splice(at..at + bytes, forged);
    fs::write(path, whole).unwrap();
}

#[test]
fn a_forged_record_is_found_though_its_checksum_fits() {
    let place = kept(8);
    let path = place.files().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    forge(&path, 0);
    let found = bad(&place);
    assert!(found.what.contains("records"), "{found}");
    let first = u64::from_str_radix(path.file_stem().unwrap().to_str().unwrap(), 16).unwrap();
    assert_eq!(found.index, first, "the first that it may be");
    fs::write(&path, whole).unwrap();
    check(&place).unwrap();
}

#[test]
fn a_forged_header_is_found_though_its_checksum_fits() {
    let place = kept(8);
    let path = place.files().pop().unwrap();
    let whole = fs::read(&path).unwrap();
    let Framed::Whole { content, bytes } = frame::read(&whole[8..]) else { panic!() };
    let header = encode::take_mark(&content[1..]).unwrap();
    for change in 0..2 {
        let mut forged = header.clone();
        match change {
            0 => forged.chain[0] ^= 1,
            _ => forged.frontier[0][0] ^= 1,
        }
        let mut file = whole[..8].to_vec();
        tail::put_mark(&mut file, segment::HEADER, &forged);
        file.extend_from_slice(&whole[8 + bytes..]);
        fs::write(&path, file).unwrap();
        let found = bad(&place);
        assert_eq!((&found.file, found.offset), (&path, 8));
        assert!(found.what.contains("the header"), "{found}");
    }
}

#[test]
fn records_cut_from_the_end_are_missed() {
    let place = kept(10);
    let files = place.files();
    let last = files.last().unwrap();
    let whole = fs::read(last).unwrap();
    let Framed::Whole { bytes: header, .. } = frame::read(&whole[8..]) else { panic!() };
    fs::write(last, &whole[..8 + header]).unwrap();
    let found = bad(&place);
    assert_eq!((&found.file, found.offset), (last, u64::try_from(8 + header).unwrap()));
    assert!(found.what.contains("are missing"), "{found}");
    fs::remove_file(last).unwrap();
    assert!(bad(&place).what.contains("are missing"));
    fs::write(last, whole).unwrap();
    check(&place).unwrap();
    // And from the middle, and from the beginning.
    let middle = fs::read(&files[1]).unwrap();
    fs::remove_file(&files[1]).unwrap();
    assert!(bad(&place).what.contains("are missing"));
    fs::write(&files[1], middle).unwrap();
    fs::remove_file(&files[0]).unwrap();
    assert!(bad(&place).what.contains("on purpose"));
}

#[test]
fn heads_of_others_are_refused() {
    let place = kept(5);
    let path = heads_file(&place);
    let text = fs::read_to_string(&path).unwrap();
    let head = heads::from_line(text.lines().last().unwrap().as_bytes()).unwrap();
    assert!(keys(&place).signed(&head));
    let mut wrong = Vec::new();
    for change in 0..5 {
        let mut other = head.clone();
        match change {
            0 => other.root[3] ^= 1,
            1 => other.chain[3] ^= 1,
            2 => other.at_ms += 1,
            3 => other.size -= 1,
            _ => other.signature[9] ^= 1,
        }
        assert!(!keys(&place).signed(&other), "change {change}");
        wrong.push(other);
    }
    for other in wrong {
        fs::write(&path, heads::line(&other) + "\n").unwrap();
        assert_eq!(bad(&place).file, path);
    }
    for line in ["{}\n", "no head\n", &format!("{}\n", "x".repeat(9000))] {
        fs::write(&path, line).unwrap();
        assert_eq!(bad(&place).file, path);
    }
    fs::write(&path, &text).unwrap();
    check(&place).unwrap();
    // Another ledger's key has signed nothing here.
    let other = kept(1);
    let found = verify(place.path(), &keys(&other)).unwrap_err();
    assert!(found.to_string().contains("not signed by our key"), "{found}");
}

#[test]
fn the_key_is_made_once() {
    let place = kept(1);
    let before = fs::read(place.path().join("ledger/signing-key")).unwrap();
    drop(place.open());
    assert_eq!(fs::read(place.path().join("ledger/signing-key")).unwrap(), before);
    let public = fs::read_to_string(place.path().join("ledger/signing-key.pub")).unwrap();
    assert_eq!(public.lines().count(), 1);
    // A new key is added to the old, so that old heads stay good.
    fs::remove_file(place.path().join("ledger/signing-key")).unwrap();
    let Opened { ledger, mut journals, .. } = place.open();
    journals[0].append_event(&entry(77)).unwrap();
    end(ledger);
    drop(journals);
    let public = fs::read_to_string(place.path().join("ledger/signing-key.pub")).unwrap();
    assert_eq!(public.lines().count(), 2);
    assert!(check(&place).unwrap().heads >= 2);
}

#[test]
fn every_record_can_be_proven() {
    let place = kept(12);
    let records = place.records();
    let signed = records.len() as u64 - 1;
    for index in 0..signed {
        let proof = prove::prove(place.path(), index).unwrap();
        assert!(proof.holds());
        assert_eq!(encode::decode(&proof.record).unwrap(), records[place_of(index)]);
        let mut wrong = proof.clone();
        wrong.record[5] ^= 1;
        assert!(!wrong.holds());
    }
    assert!(matches!(prove::prove(place.path(), signed), Err(ProofFault::Unsigned(_))));
    let found = prove::find(place.path(), id(1003)).unwrap().unwrap();
    assert_eq!(records[place_of(found)], Record::Event(entry(1003)));
    let found = prove::find(place.path(), id(3)).unwrap().unwrap();
    assert_eq!(records[place_of(found)], Record::Close(entry(3)));
    assert_eq!(prove::find(place.path(), id(99_999)).unwrap(), None);
}

#[test]
fn heads_continue_each_other() {
    let place = kept(6);
    for number in 0..3 {
        let Opened { ledger, mut journals, .. } = place.open();
        journals[0].append_event(&entry(100 + number)).unwrap();
        end(ledger);
        drop(journals);
    }
    let heads = prove::heads(place.path()).unwrap();
    assert_eq!(heads.len(), 5);
    let (old, new) = (&heads[0], &heads[4]);
    let mut gather = Gather::new(consistency(old.size, new.size).unwrap());
    let mut follower = Follower::offline(place.path(), 0);
    while let Some((index, record)) = follower.next_bytes().unwrap() {
        gather.leaf(index, leaf(record));
    }
    assert!(continues((old.size, &old.root), (new.size, &new.root), &gather.roots().unwrap()));
}

#[test]
fn old_segments_are_dropped_and_the_rest_stays_provable() {
    let place = kept(40);
    let before = place.records();
    let settings = Settings { segment_bytes: 4 * 1024, ..place.settings() };
    let Opened { ledger, mut journals, .. } = Ledger::open(settings, NOW).unwrap();
    assert_eq!(ledger.retain(1).unwrap(), None, "nothing is so old");
    let ticket = journals[0].append_open(&open(9_000)).unwrap();
    wait(|context| journals[0].poll_synced(ticket, context));
    for number in 0..40 {
        let ticket = journals[0].append_event(&entry(10_000 + number)).unwrap();
        wait(|context| journals[0].poll_synced(ticket, context));
    }
    let kept_from = ledger.retain(u64::MAX).unwrap().unwrap();
    assert!(kept_from > 0 && kept_from <= before.len() as u64, "the open call is not dropped");
    let files = place.files();
    assert!(files[0].display().to_string().contains(&format!("{kept_from:016x}")));
    let verified = check(&place).unwrap();
    assert_eq!(verified.first, kept_from);
    assert!(matches!(Follower::offline(place.path(), 0).next(Duration::ZERO),
        Err(ReadFault::Dropped(oldest)) if oldest == kept_from));
    assert!(matches!(ledger.follow(0).next(Duration::ZERO), Err(ReadFault::Dropped(_))));
    assert_eq!(ledger.retain(u64::MAX).unwrap(), None, "all that may go has gone");
    journals[0].append_close(&Entry { at_ms: 5, ..entry(9_000) }).unwrap();
    end(ledger);
    drop(journals);
    let again = place.open();
    assert_eq!(again.report.lost, []);
    assert!(again.ledger.retain(u64::MAX).unwrap().unwrap() > kept_from);
    again.ledger.stop().unwrap();
    let verified = check(&place).unwrap();
    for index in verified.first..verified.signed.unwrap().0 {
        assert!(prove::prove(place.path(), index).unwrap().holds());
    }
    assert!(matches!(
        prove::prove(place.path(), kept_from - 1),
        Err(ProofFault::Read(ReadFault::Dropped(_)))
    ));
    // What is missing beyond that is not forgiven.
    let oldest = place.files().remove(0);
    let kept = fs::read(&oldest).unwrap();
    fs::remove_file(&oldest).unwrap();
    check(&place).unwrap_err();
    fs::write(&oldest, kept).unwrap();
    check(&place).unwrap();
}
