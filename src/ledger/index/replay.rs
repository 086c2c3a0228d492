//! What was charged, hour by hour, in the words that budgets are written in: what a gateway has to know of
//! the time before it started.

use std::collections::HashMap;
use std::collections::hash_map;

use crate::ledger::index::IndexFault;
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::schema::{loaded, stored};
use crate::ledger::index::search::Reader;
use crate::ledger::index::store::HOUR_MS;

/// What calls of one hour that have all these in common were charged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Charged<'a> {
    /// The last millisecond of the hour, since 1970.
    pub at_ms: u64,
    /// Name of the key.
    pub key: &'a str,
    /// Its team.
    pub team: &'a str,
    /// The person behind it.
    pub user: &'a str,
    /// The model that was asked for.
    pub model: &'a str,
    /// The provider.
    pub provider: &'a str,
    /// The MCP server.
    pub server: &'a str,
    /// Its tool, by the server's own name for it.
    pub tool: &'a str,
    /// Pico-dollars, at most `u64::MAX`.
    pub pico: u64,
}

const NAMES: [Name; 7] =
    [Name::Key, Name::Team, Name::User, Name::Model, Name::Provider, Name::Server, Name::Tool];

impl Reader {
    /// Gives all that was charged from the hour of `since_ms` on, in the order of time. Memory is bounded by
    /// the number of different names.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn replay(&self, since_ms: u64, mut each: impl FnMut(Charged<'_>)) -> Result<(), IndexFault> {
        let mut statement = self.db.prepare(
            "SELECT hour, cost_micro, cost_rest, key, team, user, model, provider, server, tool FROM spend \
             WHERE hour >= ? AND (cost_micro > 0 OR cost_rest > 0) ORDER BY hour",
        )?;
        let mut rows = statement.query([stored(since_ms / HOUR_MS)])?;
        let mut texts: HashMap<(Name, u64), String> = HashMap::new();
        while let Some(row) = rows.next()? {
            let mut numbers = [0; NAMES.len()];
            for (place, (name, number)) in NAMES.into_iter().zip(&mut numbers).enumerate() {
                *number = loaded(row.get(place + 3)?);
                if let hash_map::Entry::Vacant(free) = texts.entry((name, *number)) {
                    free.insert(names::text(&self.db, name, *number)?);
                }
            }
            let hour: u64 = loaded(row.get(0)?);
            let (micro, rest) = (loaded(row.get(1)?), loaded(row.get(2)?));
            let text = |place: usize| {
                let key = NAMES.get(place).copied().zip(numbers.get(place).copied());
                key.and_then(|key| texts.get(&key)).map_or("", String::as_str)
            };
            let (server, tool) = (text(5), text(6));
            each(Charged {
                at_ms: hour.saturating_mul(HOUR_MS).saturating_add(HOUR_MS - 1),
                key: text(0),
                team: text(1),
                user: text(2),
                model: text(3),
                provider: text(4),
                server,
                tool: tool.strip_prefix(server).and_then(|rest| rest.strip_prefix('.')).unwrap_or(tool),
                pico: micro.saturating_mul(1_000_000).saturating_add(rest),
            });
        }
        Ok(())
    }
}
