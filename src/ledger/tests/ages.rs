//! Segments end by age, so that what is to be kept for some days is not kept for years by who writes little.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::{ProptestConfig, any};
use proptest::{prop_assert, prop_assert_eq, proptest};

use crate::ledger::files::Folder;
use crate::ledger::heads::PublicKeys;
use crate::ledger::live::{Ledger, Opened};
use crate::ledger::record::Record;
use crate::ledger::settings::Settings;
use crate::ledger::tests::place::{NOW, Place, end, until, wait};
use crate::ledger::tests::samples::{entry, open};
use crate::ledger::verify::{Verified, verify};
use crate::limits;

const DAY_MS: u64 = 24 * 60 * 60 * 1000;

fn check(place: &Place) -> Verified {
    verify(place.path(), &PublicKeys::read(&Folder::of(place.path()).public_key()).unwrap()).unwrap()
}

/// Opens a ledger whose segments are never full.
fn roomy(place: &Place, now_ms: u64) -> Opened {
    let (segment_bytes, segment_age) = (limits::SEGMENT_BYTES_DEFAULT, limits::SEGMENT_AGE);
    let settings = Settings { segment_bytes, segment_age, ..place.settings() };
    Ledger::open(settings, now_ms).unwrap()
}

/// A ledger that has been kept for a moment.
fn short() -> Place {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = roomy(&place, NOW);
    journals[0].append_event(&entry(1)).unwrap();
    end(ledger);
    drop(journals);
    place
}

#[test]
fn a_segment_of_yesterday_ends_although_nothing_comes() {
    let place = short();
    assert_eq!(place.files().len(), 1);
    let before = place.records();
    let Opened { ledger, journals, .. } = roomy(&place, NOW + DAY_MS);
    until(|| place.files().len() == 2);
    // An empty one is not ended, however old the clock makes it.
    let kept_from = ledger.retain(u64::MAX).unwrap();
    assert_eq!(kept_from, Some(before.len() as u64));
    until(|| place.files().len() == 1);
    end(ledger);
    drop(journals);
    assert_eq!(check(&place).first, before.len() as u64);
}

#[test]
fn one_of_today_goes_on() {
    let place = short();
    let Opened { ledger, mut journals, .. } = roomy(&place, NOW + DAY_MS - 60_000);
    let ticket = journals[0].append_event(&entry(2)).unwrap();
    wait(|context| journals[0].poll_synced(ticket, context));
    assert_eq!(ledger.retain(u64::MAX).unwrap(), None);
    end(ledger);
    drop(journals);
    assert_eq!(place.files().len(), 1);
    check(&place);
}

#[test]
fn one_that_a_wrong_clock_put_into_the_future_ends() {
    let place = Place::new();
    let Opened { ledger, mut journals, .. } = roomy(&place, NOW + 400 * DAY_MS);
    journals[0].append_event(&entry(1)).unwrap();
    end(ledger);
    drop(journals);
    let Opened { ledger, journals, .. } = roomy(&place, NOW);
    until(|| place.files().len() == 2);
    end(ledger);
    drop(journals);
    check(&place);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(12))]

    /// Segments that end whenever there is anything in them, and processes that come and go.
    #[test]
    fn wherever_segments_end_all_records_are_there_in_order(
        processes in vec(vec(any::<bool>(), 0..12), 1..5)
    ) {
        let place = Place::new();
        let (mut expected, mut number) = (Vec::new(), 0);
        for events in processes {
            let settings = Settings { segment_age: Duration::ZERO, ..place.settings() };
            let Opened { ledger, mut journals, report } = Ledger::open(settings, NOW).unwrap();
            prop_assert_eq!((report.cut_bytes, report.recovered, report.lost.len()), (0, 0, 0));
            let mut follower = ledger.follow(report.records);
            for waits in events {
                let ticket = if number % 2 == 0 {
                    journals[0].append_event(&entry(number)).unwrap()
                } else {
                    journals[0].append_open(&open(number)).unwrap();
                    journals[0].append_close(&entry(number)).unwrap()
                };
                expected.push(entry(number).id);
                number += 1;
                if waits {
                    wait(|context| journals[0].poll_synced(ticket, context));
                }
            }
            end(ledger);
            drop(journals);
            // Who follows is led over the ends.
            let mut last = 0;
            while let Some((index, _)) = follower.next(Duration::ZERO).unwrap() {
                last = index;
            }
            prop_assert!(last == 0 || last + 1 == place.records().len() as u64);
        }
        prop_assert_eq!(place.ended(), expected);
        let verified = check(&place);
        prop_assert_eq!(verified.size, place.records().len() as u64);
        let heads = place.records().iter().filter(|record| matches!(record, Record::Head(_))).count();
        prop_assert_eq!(verified.heads, heads as u64);
        prop_assert!(number == 0 || verified.segments > 1);
    }
}
