//! What was spent: by whom, on what, when; and what counts against budgets when the gateway starts.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use rusqlite::types::Value;

use crate::glob::Glob;
use crate::ledger::entry::Entry;
use crate::ledger::index::IndexFault;
use crate::ledger::index::block::Edge;
use crate::ledger::index::fits;
use crate::ledger::index::names::{self, Name};
use crate::ledger::index::plan;
use crate::ledger::index::schema::{loaded, stored};
use crate::ledger::index::search::Reader;
use crate::ledger::index::store::HOUR_MS;
use crate::ledger::index::sums::Sums;
use crate::limits;

/// What a sum can be told by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// The key.
    Key,
    /// The team.
    Team,
    /// The person.
    User,
    /// The model that was asked for.
    Model,
    /// The provider.
    Provider,
    /// The MCP server.
    Server,
    /// The tool, `server.tool`.
    Tool,
}

impl By {
    /// All of them.
    pub const ALL: [Self; 7] =
        [Self::Key, Self::Team, Self::User, Self::Model, Self::Provider, Self::Server, Self::Tool];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Key => "key",
            Self::Team => "team",
            Self::User => "user",
            Self::Model => "model",
            Self::Provider => "provider",
            Self::Server => "server",
            Self::Tool => "tool",
        }
    }

    /// What a word stands for.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|by| by.name() == name)
    }

    /// What an entry has of it.
    fn of(self, entry: &Entry) -> String {
        match self {
            Self::Key => entry.key.clone(),
            Self::Team => entry.team.clone(),
            Self::User => entry.user.clone(),
            Self::Model => entry.model.clone(),
            Self::Provider => entry.provider.clone(),
            Self::Server => entry.server.clone(),
            Self::Tool => names::tool_name(entry),
        }
    }

    const fn field(self) -> Name {
        match self {
            Self::Key => Name::Key,
            Self::Team => Name::Team,
            Self::User => Name::User,
            Self::Model => Name::Model,
            Self::Provider => Name::Provider,
            Self::Server => Name::Server,
            Self::Tool => Name::Tool,
        }
    }
}

/// How long the periods of a report are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Per {
    /// Hours.
    Hour,
    /// Days.
    Day,
    /// Weeks, from Monday on.
    Week,
    /// Months.
    Month,
}

impl Per {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Hour, Self::Day, Self::Week, Self::Month];

    /// The word for it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Hour => "hour",
            Self::Day => "day",
            Self::Week => "week",
            Self::Month => "month",
        }
    }

    /// What a word stands for.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|per| per.name() == name)
    }

    /// The beginning of the period of an hour, as a report writes it; it sorts by time.
    pub(super) fn begin(self, hour: u64, zone: &TimeZone) -> String {
        let ms = i64::try_from(hour.saturating_mul(HOUR_MS)).unwrap_or(i64::MAX);
        let Ok(at) = Timestamp::from_millisecond(ms) else { return String::new() };
        let at = at.to_zoned(zone.clone());
        match self {
            Self::Hour => at.strftime("%Y-%m-%d %H:00").to_string(),
            Self::Day => at.strftime("%Y-%m-%d").to_string(),
            Self::Week => {
                let after_monday = i64::from(at.weekday().to_monday_zero_offset());
                let monday = at.date().checked_sub(jiff::Span::new().days(after_monday));
                monday.map_or_else(|_before_time| String::new(), |monday| monday.to_string())
            }
            Self::Month => at.strftime("%Y-%m").to_string(),
        }
    }
}

/// Whose calls count: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whose {
    /// Of this key.
    pub key: Option<String>,
    /// Of this team.
    pub team: Option<String>,
    /// Of this person.
    pub user: Option<String>,
    /// That asked for such a model.
    pub model: Option<Glob>,
    /// That went to such a provider.
    pub provider: Option<String>,
    /// That went to this MCP server.
    pub server: Option<String>,
    /// That used such a tool: `server.tool`, or the tool's own name.
    pub tool: Option<Glob>,
}

impl Whose {
    fn counts(&self, entry: &Entry) -> bool {
        let exact = [
            (&self.key, &entry.key),
            (&self.team, &entry.team),
            (&self.user, &entry.user),
            (&self.provider, &entry.provider),
            (&self.server, &entry.server),
        ];
        exact.into_iter().all(|(wanted, text)| wanted.as_ref().is_none_or(|wanted| wanted == text))
            && self.model.as_ref().is_none_or(|glob| !entry.model.is_empty() && glob.matches(&entry.model))
            && self.tool.as_ref().is_none_or(|glob| fits::tool_fits(glob, &names::tool_name(entry)))
    }
}

/// What a report is asked for.
#[derive(Clone, Debug)]
pub struct Wish {
    /// By what, at most `limits::SPEND_FIELDS_MAX`; by nothing for one sum.
    pub by: Vec<By>,
    /// In which periods; without it all in one.
    pub per: Option<Per>,
    /// From the hour of this time on, milliseconds since 1970.
    pub since_ms: u64,
    /// To the end of the hour before this time, milliseconds since 1970.
    pub until_ms: u64,
    /// The zone whose days and months they are. Where it is off by half an hour, days begin with the hour of
    /// UTC that they begin in.
    pub zone: TimeZone,
    /// Whose calls.
    pub whose: Whose,
}

/// A row of a report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// The beginning of the period; empty without periods.
    pub period: String,
    /// The names, as asked for by `Wish::by`; empty for calls without one.
    pub names: Vec<String>,
    /// The sums.
    pub sums: Sums,
}

/// A report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// By period, then the most expensive first; at most `limits::SPEND_ROWS_MAX`.
    pub rows: Vec<Row>,
    /// All, also what is not in the rows.
    pub total: Sums,
    /// Rows that are left out.
    pub left_out: usize,
}

/// What one session took.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRow {
    /// The session.
    pub session: String,
    /// Whose it is: the user of its first call.
    pub user: String,
    /// When its first call began, milliseconds since 1970.
    pub first_ms: u64,
    /// When its last call began, milliseconds since 1970.
    pub last_ms: u64,
    /// Its sums.
    pub sums: Sums,
}

/// The columns of sums, in the order of [`Sums::from_columns`].
const SUMS: &str = "calls, input, output, cache_read, cache_write_5m, cache_write_1h, cost_micro, cost_rest";

/// What a row of a report is told by: the hour that its period begins with, and the numbers of its names.
type Group = (u64, [u64; limits::SPEND_FIELDS_MAX]);

impl Reader {
    /// Tells what was spent.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn spend(&self, wish: &Wish) -> Result<Report, IndexFault> {
        let transaction = self.db.unchecked_transaction()?;
        let by: Vec<By> = wish.by.iter().copied().take(limits::SPEND_FIELDS_MAX).collect();
        let mut sql = format!("SELECT {SUMS}, hour");
        for by in &by {
            sql.push_str(", ");
            sql.push_str(by.name());
        }
        sql.push_str(" FROM spend WHERE hour >= ? AND hour < ?");
        let mut values = vec![
            Value::from(stored(wish.since_ms / HOUR_MS)),
            Value::from(stored(wish.until_ms.div_ceil(HOUR_MS))),
        ];
        self.whose(&wish.whose, &mut sql, &mut values)?;
        // The rows come by hour, and adding them up here costs less than SQLite's sorting of all of them.
        sql.push_str(" ORDER BY hour");
        let mut statement = transaction.prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut found: HashMap<Group, Sums> = HashMap::new();
        // The hour of the last row, and that with which its period begins; its text is of the period alone.
        let (mut last, mut begin, mut period) = (None, 0, String::new());
        let mut periods = BTreeMap::new();
        while let Some(row) = rows.next()? {
            let hour = loaded(row.get(8)?);
            if let Some(per) = wish.per
                && last != Some(hour)
            {
                let text = per.begin(hour, &wish.zone);
                if text != period || last.is_none() {
                    begin = hour;
                    period.clone_from(&text);
                    periods.insert(begin, text);
                }
                last = Some(hour);
            }
            let mut numbers = [0; limits::SPEND_FIELDS_MAX];
            for (column, number) in (9..9 + by.len()).zip(&mut numbers) {
                *number = loaded(row.get(column)?);
            }
            found.entry((begin, numbers)).or_default().add(&sums(row)?);
        }
        self.report(found, &periods, &by)
    }

    fn report(
        &self,
        found: HashMap<Group, Sums>,
        periods: &BTreeMap<u64, String>,
        by: &[By],
    ) -> Result<Report, IndexFault> {
        let mut report = Report::default();
        let mut found: Vec<(Group, Sums)> = found.into_iter().collect();
        found.sort_unstable_by_key(|((begin, numbers), sums)| {
            (*begin, Reverse(sums.cost_pico), Reverse(sums.calls), *numbers)
        });
        for ((begin, numbers), sums) in found {
            report.total.add(&sums);
            if report.rows.len() >= limits::SPEND_ROWS_MAX {
                report.left_out += 1;
                continue;
            }
            let mut texts = Vec::new();
            for (by, number) in by.iter().zip(numbers) {
                texts.push(names::text(&self.db, by.field(), number)?);
            }
            let period = periods.get(&begin).cloned().unwrap_or_default();
            report.rows.push(Row { period, names: texts, sums });
        }
        Ok(report)
    }

    /// The sessions that were at work in a time, the most expensive first, at most `limit`; their sums are of
    /// all their life.
    ///
    /// # Errors
    /// What SQLite says.
    pub fn sessions(
        &self,
        since_ms: u64,
        until_ms: u64,
        limit: usize,
    ) -> Result<Vec<SessionRow>, IndexFault> {
        let sql = format!(
            "SELECT {SUMS}, session, user, first_ms, last_ms FROM session \
             WHERE last_ms >= ? AND first_ms < ? ORDER BY cost_micro DESC, cost_rest DESC, session LIMIT ?"
        );
        let mut statement = self.db.prepare(&sql)?;
        let limit = i64::try_from(limit.min(limits::SPEND_ROWS_MAX)).unwrap_or(i64::MAX);
        let mut rows = statement.query((stored(since_ms), stored(until_ms), limit))?;
        let mut found = Vec::new();
        while let Some(row) = rows.next()? {
            found.push(SessionRow {
                session: names::text(&self.db, Name::Session, loaded(row.get(8)?))?,
                user: names::text(&self.db, Name::User, loaded(row.get(9)?))?,
                first_ms: loaded(row.get(10)?),
                last_ms: loaded(row.get(11)?),
                sums: sums(row)?,
            });
        }
        Ok(found)
    }

    /// What was charged from one time to before another, in pico-dollars, exact to the millisecond: one sum
    /// with the empty name, or one for each name of `by` that has any. Calls count at the time they began.
    ///
    /// # Errors
    /// What SQLite says, or a damaged block.
    pub fn spent(
        &mut self,
        since_ms: u64,
        until_ms: u64,
        whose: &Whose,
        by: Option<By>,
    ) -> Result<Vec<(String, u128)>, IndexFault> {
        let (first, end) = (since_ms.div_ceil(HOUR_MS), until_ms / HOUR_MS);
        let mut found = BTreeMap::new();
        if by.is_none() {
            found.insert(String::new(), 0);
        }
        if first >= end {
            self.spent_entries((since_ms, until_ms), whose, by, &mut found)?;
        } else {
            self.spent_entries((since_ms, first * HOUR_MS), whose, by, &mut found)?;
            self.spent_hours((first, end), whose, by, &mut found)?;
            self.spent_entries((end * HOUR_MS, until_ms), whose, by, &mut found)?;
        }
        Ok(found.into_iter().collect())
    }

    /// Adds whole hours.
    fn spent_hours(
        &self,
        (first, end): (u64, u64),
        whose: &Whose,
        by: Option<By>,
        found: &mut BTreeMap<String, u128>,
    ) -> Result<(), IndexFault> {
        let column = by.map_or("0", By::name);
        let mut sql =
            format!("SELECT cost_micro, cost_rest, {column} FROM spend WHERE hour >= ? AND hour < ?");
        let mut values = vec![Value::from(stored(first)), Value::from(stored(end))];
        self.whose(whose, &mut sql, &mut values)?;
        let mut statement = self.db.prepare(&sql)?;
        let mut rows = statement.query(rusqlite::params_from_iter(values))?;
        let mut sums: HashMap<u64, u128> = HashMap::new();
        while let Some(row) = rows.next()? {
            let pico = Sums::cost_of(loaded(row.get(0)?), loaded(row.get(1)?));
            let sum = sums.entry(loaded(row.get(2)?)).or_default();
            *sum = sum.saturating_add(pico);
        }
        for (number, pico) in sums {
            let name =
                by.map_or_else(|| Ok(String::new()), |by| names::text(&self.db, by.field(), number))?;
            add(found, name, pico);
        }
        Ok(())
    }

    /// Adds a part of an hour, entry by entry.
    fn spent_entries(
        &mut self,
        (since_ms, until_ms): (u64, u64),
        whose: &Whose,
        by: Option<By>,
        found: &mut BTreeMap<String, u128>,
    ) -> Result<(), IndexFault> {
        if since_ms >= until_ms {
            return Ok(());
        }
        let (mut low, high) = plan::positions(&self.db, since_ms, until_ms)?;
        loop {
            let most = limits::FACET_STEP;
            let positions = self.shelf.positions(&self.db, (low, high), Edge::Oldest, most)?;
            for position in &positions {
                low = position.saturating_add(1);
                let entry = self.shelf.entry(&self.db, *position)?;
                if (since_ms..until_ms).contains(&entry.at_ms) && whose.counts(&entry) && entry.cost_pico > 0
                {
                    let name = by.map_or_else(String::new, |by| by.of(&entry));
                    add(found, name, entry.cost_pico.into());
                }
            }
            if positions.len() < most {
                return Ok(());
            }
        }
    }

    /// Appends the conditions of whose calls count.
    fn whose(&self, whose: &Whose, sql: &mut String, values: &mut Vec<Value>) -> Result<(), IndexFault> {
        let exact = [
            (&whose.key, Name::Key, " AND key = ?"),
            (&whose.team, Name::Team, " AND team = ?"),
            (&whose.user, Name::User, " AND user = ?"),
            (&whose.provider, Name::Provider, " AND provider = ?"),
            (&whose.server, Name::Server, " AND server = ?"),
        ];
        for (text, name, condition) in exact {
            if let Some(text) = text {
                // A name that has never come has no number, and -1 is none.
                let number = names::find(&self.db, name, text)?.map_or(-1, stored);
                let number = if text.is_empty() { 0 } else { number };
                sql.push_str(condition);
                values.push(Value::from(number));
            }
        }
        let patterns = [
            (&whose.model, Name::Model, " AND model IN (SELECT value FROM json_each(?))"),
            (&whose.tool, Name::Tool, " AND tool IN (SELECT value FROM json_each(?))"),
        ];
        for (glob, name, condition) in patterns {
            if let Some(glob) = glob {
                sql.push_str(condition);
                let globs = std::slice::from_ref(glob);
                values.push(plan::list(&plan::numbers(&self.db, name, globs)?));
            }
        }
        Ok(())
    }
}

fn add(found: &mut BTreeMap<String, u128>, name: String, pico: u128) {
    let sum = found.entry(name).or_insert(0);
    *sum = sum.saturating_add(pico);
}

/// The sums of a row that begins with them.
fn sums(row: &rusqlite::Row<'_>) -> Result<Sums, IndexFault> {
    let mut columns = [0; 8];
    for (place, column) in columns.iter_mut().enumerate() {
        *column = loaded(row.get(place)?);
    }
    Ok(Sums::from_columns(columns))
}
