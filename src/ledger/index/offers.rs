//! Definitions of tools that models were offered: tokens by server and team, against those that were used.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::tz::TimeZone;
use rusqlite::Connection;
use rusqlite::types::Value;

use crate::ledger::entry::Offer;
use crate::ledger::index::IndexFault;
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::schema::{loaded, stored};
use crate::ledger::index::search::Reader;
use crate::ledger::index::spend::Per;
use crate::ledger::index::store::HOUR_MS;
use crate::limits;

pub(super) const TABLE: &str = "
CREATE TABLE offer (
    hour INTEGER NOT NULL, team INTEGER NOT NULL, server INTEGER NOT NULL,
    calls INTEGER NOT NULL, definitions INTEGER NOT NULL, tokens INTEGER NOT NULL,
    deferred INTEGER NOT NULL, used INTEGER NOT NULL,
    PRIMARY KEY (hour, team, server)
) WITHOUT ROWID;
";

/// What models were offered by some calls. Tokens are estimates, see [`Offer`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// Calls that had definitions of the server with them.
    pub calls: u64,
    /// Definitions, each counted with each call.
    pub definitions: u64,
    /// Their tokens; `deferred` and `used` are parts of them.
    pub tokens: u64,
    /// Tokens of those that a model sees only once it has looked for them.
    pub deferred: u64,
    /// Tokens of those that answers used.
    pub used: u64,
}

impl Offered {
    fn of(offer: &Offer) -> Self {
        let Offer { definitions, tokens, deferred, used, .. } = *offer;
        let kept = |number: u64| number.min(COUNT_MAX);
        Self {
            calls: 1,
            definitions: kept(definitions),
            tokens: kept(tokens),
            deferred: kept(deferred),
            used: kept(used),
        }
    }

    fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.definitions = self.definitions.saturating_add(other.definitions);
        self.tokens = self.tokens.saturating_add(other.tokens);
        self.deferred = self.deferred.saturating_add(other.deferred);
        self.used = self.used.saturating_add(other.used);
    }

    /// How many of the tokens belonged to tools that were used, in thousandths; `None` where there were
    /// none.
    pub fn used_permille(&self) -> Option<u64> {
        let permille = (u128::from(self.used) * 1000).checked_div(u128::from(self.tokens))?;
        u64::try_from(permille).ok()
    }
}

/// What one entry may add to a sum: a request has at most 32 MiB, and 2^23 such sums still fit into 63 bits.
const COUNT_MAX: u64 = 1 << 40;

/// What a batch has gathered: by hour, team and server.
#[derive(Debug, Default)]
pub(super) struct Offers(BTreeMap<(u64, i64, i64), Offered>);

impl Offers {
    /// Adds what went along with a call of this time, of the team and the server with these numbers.
    pub(super) fn add(&mut self, (at_ms, team, server): (u64, i64, i64), offer: &Offer) {
        self.0.entry((at_ms / HOUR_MS, team, server)).or_default().add(&Offered::of(offer));
    }

    /// Adds it to what is in the file.
    pub(super) fn keep(self, db: &Connection) -> Result<(), IndexFault> {
        if self.0.is_empty() {
            return Ok(());
        }
        let mut statement = db.prepare(
            "INSERT INTO offer VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT DO UPDATE SET
             calls = calls + excluded.calls, definitions = definitions + excluded.definitions,
             tokens = tokens + excluded.tokens, deferred = deferred + excluded.deferred,
             used = used + excluded.used",
        )?;
        for ((hour, team, server), sums) in self.0 {
            let numbers = [sums.calls, sums.definitions, sums.tokens, sums.deferred, sums.used];
            let names = [stored(hour), team, server];
            statement.execute(rusqlite::params_from_iter(names.into_iter().chain(numbers.map(stored))))?;
        }
        Ok(())
    }
}

/// What a report on offers is asked for.
#[derive(Clone, Debug)]
pub struct OfferWish {
    /// Whether the sums are told by team as well, and not by server alone.
    pub by_team: bool,
    /// In which periods; without it all in one.
    pub per: Option<Per>,
    /// From the hour of this time on, milliseconds since 1970.
    pub since_ms: u64,
    /// To the end of the hour before this time, milliseconds since 1970.
    pub until_ms: u64,
    /// The zone whose days and months they are.
    pub zone: TimeZone,
    /// Only of this team.
    pub team: Option<String>,
    /// Only of this server; the empty name is that of the client's own tools.
    pub server: Option<String>,
}

/// A row of such a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferRow {
    /// The beginning of the period; empty without periods.
    pub period: String,
    /// The server; empty for the tools of clients and of providers, `*` for those that entries do not name.
    pub server: String,
    /// The team; empty where it was not asked for, and for calls without one.
    pub team: String,
    /// The sums.
    pub sums: Offered,
}

/// Such a report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OfferReport {
    /// By period, then the most tokens first; at most `limits::SPEND_ROWS_MAX`.
    pub rows: Vec<OfferRow>,
    /// All, also what is not in the rows. Its `calls` count a call once for each server.
    pub total: Offered,
    /// Rows that are left out.
    pub left_out: usize,
}

impl Reader {
    /// Tells what models were offered, and what of it they used.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn offers(&self, wish: &OfferWish) -> Result<OfferReport, IndexFault> {
        let transaction = self.db.unchecked_transaction()?;
        let mut sql = "SELECT hour, team, server, calls, definitions, tokens, deferred, used FROM offer \
             WHERE hour >= ? AND hour < ?"
            .to_owned();
        let mut values = vec![
            Value::from(stored(wish.since_ms / HOUR_MS)),
            Value::from(stored(wish.until_ms.div_ceil(HOUR_MS))),
        ];
        let named =
            [(&wish.team, Name::Team, " AND team = ?"), (&wish.server, Name::Server, " AND server = ?")];
        for (text, name, condition) in named {
            let Some(text) = text else { continue };
            // A name that has never come has no number, and -1 is none.
            let number = names::find(&self.db, name, text)?.map_or(-1, stored);
            sql.push_str(condition);
            values.push(Value::from(if text.is_empty() { 0 } else { number }));
        }
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found: HashMap<(String, u64, u64), Offered> = HashMap::new();
        while let Some(row) = rows.next()? {
            let mut columns = [0; 8];
            for (place, column) in columns.iter_mut().enumerate() {
                *column = loaded(row.get(place)?);
            }
            let [hour, team, server, calls, definitions, tokens, deferred, used] = columns;
            let period = wish.per.map_or_else(String::new, |per| per.begin(hour, &wish.zone));
            let team = if wish.by_team { team } else { 0 };
            let sums = Offered { calls, definitions, tokens, deferred, used };
            found.entry((period, server, team)).or_default().add(&sums);
        }
        self.offer_report(found)
    }

    fn offer_report(&self, found: HashMap<(String, u64, u64), Offered>) -> Result<OfferReport, IndexFault> {
        let mut report = OfferReport::default();
        let mut found: Vec<_> = found.into_iter().collect();
        found.sort_by_cached_key(|((period, server, team), sums)| {
            (period.clone(), Reverse(sums.tokens), *server, *team)
        });
        for ((period, server, team), sums) in found {
            report.total.add(&sums);
            if report.rows.len() >= limits::SPEND_ROWS_MAX {
                report.left_out += 1;
                continue;
            }
            let server = names::text(&self.db, Name::Server, server)?;
            let team = names::text(&self.db, Name::Team, team)?;
            report.rows.push(OfferRow { period, server, team, sums });
        }
        Ok(report)
    }
}
