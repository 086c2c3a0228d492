//! What models were offered equals what the entries say, for every time, team and server.

use std::collections::BTreeMap;

use jiff::tz::TimeZone;
use serde_json::Value;

use super::{NOON, entries, filled, now};
use crate::ledger::entry::{Entry, Offer};
use crate::ledger::index::answer;
use crate::ledger::index::offers::{OfferWish, Offered};
use crate::ledger::index::spend::Per;

const HOUR: u64 = 3_600_000;

fn wish() -> OfferWish {
    let (team, server, zone) = (None, None, TimeZone::UTC);
    OfferWish { by_team: true, per: None, since_ms: 0, until_ms: u64::MAX, zone, team, server }
}

/// The sums of a list, by server and team.
fn sums(entries: &[(u64, Entry)], wish: &OfferWish) -> BTreeMap<(String, String), Offered> {
    let mut found: BTreeMap<_, Offered> = BTreeMap::new();
    for entry in entries.iter().map(|(_, entry)| entry) {
        let hour = entry.at_ms / HOUR;
        let in_time = hour >= wish.since_ms / HOUR && hour < wish.until_ms.div_ceil(HOUR);
        for offer in &entry.offers {
            let fits = wish.team.as_ref().is_none_or(|team| *team == entry.team)
                && wish.server.as_ref().is_none_or(|server| *server == offer.server);
            if in_time && fits {
                let sum = found.entry((offer.server.clone(), entry.team.clone())).or_default();
                sum.calls += 1;
                sum.definitions += offer.definitions;
                sum.tokens += offer.tokens;
                sum.deferred += offer.deferred;
                sum.used += offer.used;
            }
        }
    }
    found
}

#[test]
fn offers_are_summed_by_server_and_team() {
    let entries = entries(31, 500);
    let folder = filled(&entries);
    let text = |text: &str| Some(text.to_owned());
    for wish in [
        wish(),
        OfferWish { since_ms: NOON - 40 * HOUR, until_ms: NOON - 7 * HOUR, ..wish() },
        OfferWish { team: text("web"), ..wish() },
        OfferWish { server: text("github"), ..wish() },
        OfferWish { server: text(""), ..wish() },
        OfferWish { team: text("nobody"), ..wish() },
    ] {
        let report = folder.reader().offers(&wish).unwrap();
        let rows = report.rows.iter().map(|row| ((row.server.clone(), row.team.clone()), row.sums));
        let expected = sums(&entries, &wish);
        assert_eq!(rows.collect::<BTreeMap<_, _>>(), expected, "{wish:?}");
        let tokens: u64 = expected.values().map(|sums| sums.tokens).sum();
        assert_eq!(report.total.tokens, tokens);
        assert!(report.rows.is_sorted_by_key(|row| std::cmp::Reverse(row.sums.tokens)));
    }
    let by_server = folder.reader().offers(&OfferWish { by_team: false, ..wish() }).unwrap();
    assert_eq!(by_server.rows.len(), 2);
    assert!(by_server.rows.iter().all(|row| row.team.is_empty()));
    let days = folder.reader().offers(&OfferWish { per: Some(Per::Day), ..wish() }).unwrap();
    assert!(days.rows.len() > by_server.rows.len() && days.rows.is_sorted_by_key(|row| row.period.clone()));
    assert_eq!(days.total, by_server.total);
}

#[test]
fn a_batch_that_comes_twice_counts_once_and_numbers_of_any_size_are_kept() {
    let mut entries = entries(32, 60);
    let most = u64::MAX;
    for (_, entry) in &mut entries {
        let server = "huge".to_owned();
        entry.offers.push(Offer { server, definitions: most, tokens: most, deferred: most, used: most });
    }
    let folder = filled(&entries);
    let before = folder.reader().offers(&wish()).unwrap();
    let next = folder.store().next().unwrap();
    folder.store().take(&entries, next).unwrap();
    assert_eq!(folder.reader().offers(&wish()).unwrap(), before);
    // What stands for a number that no request has.
    let huge = before.rows.iter().filter(|row| row.server == "huge").map(|row| row.sums.tokens).sum::<u64>();
    assert_eq!(huge, 60 << 40);
}

#[test]
fn administrators_get_them_with_their_share() {
    let folder = filled(&entries(33, 200));
    let ask = |parameters: &[(&str, &str)]| {
        let owned: Vec<(String, String)> =
            parameters.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let answer = answer::spend(&folder.reader(), &owned, &now());
        (answer.status, serde_json::from_slice::<Value>(&answer.body).unwrap())
    };
    let (status, told) = ask(&[("tools", "true"), ("by", "server,team"), ("per", "month")]);
    assert_eq!(status, 200, "{told}");
    let row = &told["rows"][0];
    assert_eq!(row["month"], "2026-11", "{row}");
    assert!(["", "github"].contains(&row["server"].as_str().unwrap()) && row["team"].is_string(), "{row}");
    let (offered, used) = (row["offered"].as_u64().unwrap(), row["used"].as_u64().unwrap());
    assert_eq!(row["used_permille"].as_u64(), Some(used * 1000 / offered), "{row}");
    assert_eq!(ask(&[("tools", "true"), ("by", "model")]).0, 400);
    assert_eq!(ask(&[("tools", "true"), ("user", "ana")]).0, 400);
}
