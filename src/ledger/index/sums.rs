//! Tokens, costs and counts added up, exactly.

use crate::ledger::entry::{Entry, Kind};
use crate::ledger::index::schema::stored;

/// What some calls took and cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// How many calls.
    pub calls: u64,
    /// Tokens read fresh.
    pub input: u64,
    /// Tokens written.
    pub output: u64,
    /// Tokens read from the prompt cache.
    pub cache_read: u64,
    /// Tokens written into the prompt cache for five minutes.
    pub cache_write_5m: u64,
    /// Tokens written into the prompt cache for an hour.
    pub cache_write_1h: u64,
    /// What was charged, in pico-dollars.
    pub cost_pico: u128,
}

/// Pico-dollars of a micro-dollar. A sum is kept in two columns, so that none of them can run over.
const PICO_OF_MICRO: u128 = 1_000_000;

impl Sums {
    /// Those of one entry.
    pub fn of(entry: &Entry) -> Self {
        let tokens = &entry.tokens;
        Self {
            calls: 1,
            input: tokens.input,
            output: tokens.output,
            cache_read: tokens.cache_read,
            cache_write_5m: tokens.cache_write_5m,
            cache_write_1h: tokens.cache_write_1h,
            cost_pico: u128::from(entry.cost_pico),
        }
    }

    /// Adds others.
    pub fn add(&mut self, other: &Self) {
        self.calls = self.calls.saturating_add(other.calls);
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.cache_read = self.cache_read.saturating_add(other.cache_read);
        self.cache_write_5m = self.cache_write_5m.saturating_add(other.cache_write_5m);
        self.cache_write_1h = self.cache_write_1h.saturating_add(other.cache_write_1h);
        self.cost_pico = self.cost_pico.saturating_add(other.cost_pico);
    }

    /// Tokens of all kinds.
    pub fn tokens(&self) -> u64 {
        let kinds = [self.input, self.output, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        kinds.into_iter().fold(0, u64::saturating_add)
    }

    /// Of the tokens that were sent, how many came from the prompt cache, in thousandths; `None` where none
    /// were sent.
    pub fn cache_hits_permille(&self) -> Option<u64> {
        let kinds = [self.input, self.cache_read, self.cache_write_5m, self.cache_write_1h];
        let sent: u128 = kinds.into_iter().map(u128::from).sum();
        let permille = (u128::from(self.cache_read) * 1000).checked_div(sent)?;
        u64::try_from(permille).ok()
    }

    /// The columns from `calls` to `cost_rest`.
    pub(super) fn columns(&self) -> [i64; 8] {
        let micro = u64::try_from(self.cost_pico / PICO_OF_MICRO).unwrap_or(u64::MAX);
        let rest = u64::try_from(self.cost_pico % PICO_OF_MICRO).unwrap_or(0);
        // A client says how many tokens it used, and sums of what it says must stay numbers.
        let count = |tokens: u64| stored(tokens.min(TOKENS_MAX));
        [
            stored(self.calls),
            count(self.input),
            count(self.output),
            count(self.cache_read),
            count(self.cache_write_5m),
            count(self.cache_write_1h),
            stored(micro),
            stored(rest),
        ]
    }

    /// A cost from its two columns.
    pub(super) fn cost_of(micro: u64, rest: u64) -> u128 {
        u128::from(micro) * PICO_OF_MICRO + u128::from(rest)
    }

    /// What the columns say.
    pub(super) fn from_columns(columns: [u64; 8]) -> Self {
        let [calls, input, output, cache_read, cache_write_5m, cache_write_1h, micro, rest] = columns;
        let cost_pico = Self::cost_of(micro, rest);
        Self { calls, input, output, cache_read, cache_write_5m, cache_write_1h, cost_pico }
    }
}

/// Tokens of one row that one batch may add: 2^20 such sums still fit into 63 bits.
const TOKENS_MAX: u64 = 1 << 43;

/// Whether an entry is a call, and so part of what was spent; others are about the gateway itself. Refusals
/// are none: who sends them chooses their texts, and each would make rows that are never forgotten.
pub(super) fn counts(entry: &Entry) -> bool {
    match entry.kind {
        Kind::ModelCall
        | Kind::CountTokens
        | Kind::ModelList
        | Kind::ToolCall
        | Kind::ResourceRead
        | Kind::PromptGet
        | Kind::McpOther => true,
        Kind::Refusal
        | Kind::ListChange
        | Kind::SignIn
        | Kind::Admin
        | Kind::Config
        | Kind::Pin
        | Kind::Alarm
        | Kind::ToolList => entry.cost_pico > 0,
    }
}
