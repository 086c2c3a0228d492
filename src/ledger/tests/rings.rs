//! The ring in mapped memory, and frames in it and in journals.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake, Waker};

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::ledger::encode::{self, Stamp};
use crate::ledger::frame::{self, Framed};
use crate::ledger::journal::{self, Full, Signals};
use crate::ledger::map::{self, Emptier, Filler, OPENING_BYTES};
use crate::ledger::settings::{Durability, OnFull};
use crate::ledger::tests::place::Place;
use crate::ledger::tests::samples::{any_record, entry};
use crate::limits;

fn ring(half: usize) -> (Place, Filler, Emptier) {
    let place = Place::new();
    let file = crate::ledger::files::open_private(&place.path().join("ring")).unwrap();
    file.set_len((OPENING_BYTES + 2 * half) as u64).unwrap();
    let (filler, emptier) = map::ring(&file, half).unwrap();
    (place, filler, emptier)
}

/// Takes one frame, as the writer does.
fn take(emptier: &mut Emptier) -> Option<Vec<u8>> {
    while !emptier.is_empty() {
        if let Some((frame, content)) = frame::trusted(emptier.run()) {
            let (bytes, content) = (frame.len(), content.to_vec());
            emptier.advance(bytes);
            return Some(content);
        }
        emptier.turn();
    }
    None
}

/// Bytes of the frame at the beginning, if there is a whole one.
fn size(bytes: &[u8]) -> Option<usize> {
    match frame::read(bytes) {
        Framed::Whole { bytes, .. } => Some(bytes),
        Framed::Partial | Framed::Bad(_) => None,
    }
}

#[derive(Clone, Debug)]
enum Move {
    Put(usize),
    Take,
    Release,
}

fn moves() -> impl proptest::strategy::Strategy<Value = Vec<Move>> {
    use proptest::prelude::{Just, Strategy, prop_oneof};
    let one = prop_oneof![
        4 => (1..60_usize).prop_map(Move::Put),
        1 => Just(Move::Put(92)),
        3 => Just(Move::Take),
        2 => Just(Move::Release),
    ];
    vec(one, 0..400)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_goes_in_comes_out_in_order(moves in moves()) {
        let half = 100;
        let (_place, mut filler, mut emptier) = ring(half);
        // Against a queue; `held` is what has been taken and not released.
        let (mut model, mut held, mut number) = (VecDeque::new(), 0_usize, 0_u8);
        for one in moves {
            match one {
                Move::Put(bytes) => {
                    number = number.wrapping_add(1);
                    let content = vec![number; bytes];
                    let mut piece = Vec::new();
                    frame::put(&mut piece, |out| out.extend_from_slice(&content));
                    if filler.put(&piece).0 {
                        model.push_back(content);
                    } else {
                        let waiting = held + model.iter().map(|one: &Vec<u8>| one.len() + 8).sum::<usize>();
                        prop_assert!(waiting > 0, "an empty ring had no room");
                    }
                }
                Move::Take => {
                    let expected = model.pop_front();
                    held += expected.as_ref().map_or(0, |one| one.len() + 8);
                    prop_assert_eq!(take(&mut emptier), expected);
                }
                Move::Release => {
                    emptier.release();
                    held = 0;
                }
            }
        }
    }

    #[test]
    fn a_flipped_bit_is_found(record in any_record(), at: usize, bit in 0..8) {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, |out| encode::encode(&record, out));
        let whole = bytes.len();
        prop_assert_eq!(size(&bytes), Some(whole));
        bytes[at % whole] ^= 1_u8 << bit;
        prop_assert_eq!(size(&bytes), None);
        // With more behind it, so that a greater length finds bytes enough.
        bytes.resize(whole + limits::RECORD_BYTES_MAX, 0);
        prop_assert_eq!(size(&bytes), None);
    }

    #[test]
    fn any_bytes_are_a_journal_or_nothing(
        opening: bool,
        mut bytes in vec(any::<u8>(), 0..9000),
        half in 0..4_u64,
    ) {
        if opening && bytes.len() > 16 {
            let left = (bytes.len() as u64).saturating_sub(OPENING_BYTES as u64) / 2;
            bytes[..8].copy_from_slice(b"tolljrn\x01");
            bytes[8..16].copy_from_slice(&(left * (half + 1) / 2).to_le_bytes());
        }
        let place = Place::new();
        let path = place.path().join("journal-0");
        std::fs::write(&path, &bytes).unwrap();
        prop_assert!(journal::kept(&path, 0, |_| true).unwrap().is_empty());
    }
}

#[test]
fn two_threads_share_a_ring() {
    let (_place, mut filler, mut emptier) = ring(4096);
    let reader = std::thread::spawn(move || {
        let mut next = 0_u32;
        while next < 20_000 {
            while let Some(content) = take(&mut emptier) {
                assert_eq!(content, next.to_le_bytes().repeat(1 + next as usize % 40));
                next += 1;
            }
            emptier.release();
        }
    });
    for number in 0..20_000_u32 {
        let mut piece = Vec::new();
        frame::put(&mut piece, |out| {
            out.extend_from_slice(&number.to_le_bytes().repeat(1 + number as usize % 40));
        });
        while !filler.put(&piece).0 {
            std::thread::yield_now();
        }
    }
    reader.join().unwrap();
}

#[test]
fn a_journal_is_full_and_reads_back_what_it_has() {
    let place = Place::new();
    let path = place.path().join("journal-3");
    // Numbers of one length, so that frames of one entry have one length too.
    let (half, base) = (limits::JOURNAL_HALF_BYTES_MIN, 5_000);
    let signals = Arc::new(Signals::new(Durability::Written, OnFull::Refuse, None));
    let (mut journal, mut source) = journal::create(&path, 3, half, base, &signals).unwrap();
    let mut appended = 0;
    while journal.append_event(&entry(appended)).is_ok() {
        appended += 1;
    }
    assert_eq!(journal.append_event(&entry(1)), Err(Full));
    assert!(appended > 1000);
    let kept = journal::kept(&path, 3, |_| true).unwrap();
    let expected: Vec<_> = (base + 1..=base + appended).collect();
    assert_eq!(kept.iter().map(|one| one.stamp.seq).collect::<Vec<_>>(), expected);
    assert!(journal::kept(&path, 4, |_| true).unwrap().is_empty(), "it is of another number");
    assert_eq!(
        journal::kept(&path, 3, |stamp: Stamp| stamp.seq > base + 10).unwrap().len() as u64,
        appended - 10
    );

    // The first half is emptied and filled again, the second stays; old frames lie behind the new ones.
    for _ in 0..appended / 2 + 20 {
        take(&mut source.emptier).unwrap();
    }
    source.emptier.release();
    let more: Vec<_> = (0..5).map(|number| journal.append_event(&entry(number)).unwrap()).collect();
    assert!(more.is_sorted());
    let kept = journal::kept(&path, 3, |_| true).unwrap();
    let end = base + appended + 5;
    let expected: Vec<_> = (end + 1 - kept.len() as u64..=end).collect();
    assert_eq!(kept.iter().map(|one| one.stamp.seq).collect::<Vec<_>>(), expected);
    assert!((kept.len() as u64) < appended, "those of the first half are gone");

    // Made anew, it is empty, and what it had does not come back.
    let (mut journal, _source) = journal::create(&path, 3, half, base + appended + 5, &signals).unwrap();
    assert!(journal::kept(&path, 3, |_| true).unwrap().is_empty());
    journal.append_event(&entry(1)).unwrap();
    let kept = journal::kept(&path, 3, |_| true).unwrap();
    assert_eq!(kept.iter().map(|one| one.stamp.seq).collect::<Vec<_>>(), [base + appended + 6]);
}

#[test]
fn the_file_has_all_its_blocks() {
    use std::os::unix::fs::MetadataExt;
    let place = Place::new();
    let path = place.path().join("journal-0");
    let signals = Arc::new(Signals::new(Durability::Written, OnFull::Refuse, None));
    let made = journal::create(&path, 0, limits::JOURNAL_HALF_BYTES_MIN, 0, &signals).unwrap();
    let facts = std::fs::metadata(&path).unwrap();
    assert!(facts.blocks() * 512 >= facts.len(), "a hole would be filled by a full disk's signal");
    drop(made);
}

/// Counts how often it is woken.
#[derive(Debug, Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn only_those_are_woken_whose_record_is_on_the_disk() {
    let place = Place::new();
    let path = place.path().join("journal-0");
    let signals = Arc::new(Signals::new(Durability::Synced, OnFull::Refuse, None));
    let (mut journal, source) =
        journal::create(&path, 0, limits::JOURNAL_HALF_BYTES_MIN, 0, &signals).unwrap();
    let (first, second) = (Arc::new(Woken::default()), Arc::new(Woken::default()));
    let tickets = [&first, &second].map(|woken| {
        let ticket = journal.append_event(&entry(1)).unwrap();
        let waker = Waker::from(Arc::clone(woken));
        assert!(journal.poll_kept(ticket, &mut Context::from_waker(&waker)).is_pending());
        ticket
    });
    let counts = || [&first, &second].map(|woken| woken.0.load(Ordering::SeqCst));
    source.lane.has_room();
    assert_eq!(counts(), [0, 0]);
    source.lane.synced(1);
    assert_eq!(counts(), [1, 0]);
    source.lane.synced(2);
    assert_eq!(counts(), [1, 1]);
    for ticket in tickets {
        assert!(journal.poll_kept(ticket, &mut Context::from_waker(Waker::noop())).is_ready());
    }
}
