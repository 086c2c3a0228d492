//! What a resolved config says of money and records, for people.

use std::fmt::{self, Write as _};

use serde::Serialize;

use crate::config::books_file::{Budget, Each, Per, RateLimit, Rates, Scope};
use crate::config::file::File;
use crate::config::heads::ShownHeads;
use crate::config::reader::At;
use crate::config::shown::{list, word};
use crate::config::snapshot::HeadTargets;
use crate::ledger::content::Policy;
use crate::limits;

/// `ledger:`, `budgets:`, `rate_limits:` and `prices:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownBooks {
    /// `ledger:`.
    pub ledger: ShownLedger,
    /// Those of teams first.
    pub budgets: Vec<ShownBudget>,
    /// In written order.
    pub rate_limits: Vec<ShownRate>,
    /// `prices:`.
    pub prices: ShownPrices,
}

/// `ledger:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownLedger {
    /// `written` or `synced`.
    pub durability: &'static str,
    /// Milliseconds between two syncs.
    pub sync_ms: u64,
    /// `refuse` or `serve`.
    pub on_full: &'static str,
    /// Days that records are kept; absent for ever.
    pub keep_days: Option<u64>,
    /// What is kept of what is said: `off`, `metadata`, `redacted` or `full`.
    pub content: &'static str,
    /// Days that it is kept.
    pub content_days: u64,
    /// Where signed heads go.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub heads: Option<ShownHeads>,
}

/// Of whom something counts.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownScope {
    /// A key.
    pub key: Option<String>,
    /// A team.
    pub team: Option<String>,
    /// A user.
    pub user: Option<String>,
    /// `key`, `team` or `user`: each for itself.
    pub each: Option<&'static str>,
    /// Patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub models: Vec<String>,
    /// Patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub servers: Vec<String>,
    /// Patterns.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub tools: Vec<String>,
}

/// One budget.
#[derive(Clone, Debug, Serialize)]
pub struct ShownBudget {
    /// Its name.
    pub name: String,
    /// Of whom.
    #[serde(flatten)]
    pub scope: ShownScope,
    /// The limit in dollars.
    pub usd: String,
    /// Length of the window.
    pub per: &'static str,
    /// `calendar` or `rolling`.
    pub window: &'static str,
    /// `elastic` or `strict`.
    pub mode: &'static str,
    /// Percent.
    pub warn: Vec<u64>,
    /// Where the calendar is.
    pub time_zone: Option<String>,
}

/// One rate limit.
#[derive(Clone, Debug, Serialize)]
pub struct ShownRate {
    /// Its name.
    pub name: String,
    /// Of whom.
    #[serde(flatten)]
    pub scope: ShownScope,
    /// A minute.
    pub requests: Option<u64>,
    /// A minute.
    pub tokens: Option<u64>,
    /// Calls under way at once.
    pub streams: Option<u64>,
}

/// `prices:`.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownPrices {
    /// A price book beside the shipped one.
    pub file: Option<String>,
    /// Of models that no book has.
    pub default: Option<ShownRates>,
    /// By model.
    pub models: Vec<(String, Option<String>, ShownRates)>,
    /// Server, patterns of tools, dollars a call.
    pub tools: Vec<(String, Vec<String>, String)>,
}

/// Dollars for a million tokens, by kind.
#[derive(Clone, Debug, Default, Serialize)]
pub struct ShownRates(pub Vec<(&'static str, String)>);

impl ShownBooks {
    pub(crate) fn of(file: &File, heads: &HeadTargets) -> Self {
        let File { ledger, budgets, rate_limits: rates, prices, .. } = file;
        Self {
            ledger: ShownLedger {
                durability: if ledger.synced { "synced" } else { "written" },
                sync_ms: ledger.sync_ms.unwrap_or(limits::LEDGER_SYNC_MS_DEFAULT),
                on_full: if ledger.serve_when_full { "serve" } else { "refuse" },
                keep_days: ledger.keep_days,
                content: word_of(ledger.content.unwrap_or_default()),
                content_days: ledger.content_days.unwrap_or(limits::CONTENT_DAYS_DEFAULT),
                heads: ShownHeads::of(&ledger.heads, heads),
            },
            budgets: budgets.iter().map(shown_budget).collect(),
            rate_limits: rates.iter().map(shown_rate).collect(),
            prices: ShownPrices {
                file: prices.file.as_ref().map(|file| file.value.clone()),
                default: prices.unknown.as_ref().map(shown_rates),
                models: prices
                    .models
                    .iter()
                    .map(|one| {
                        (one.model.value.clone(), text(one.provider.as_ref()), shown_rates(&one.rates))
                    })
                    .collect(),
                tools: prices
                    .tools
                    .iter()
                    .map(|one| (one.server.value.clone(), texts(&one.tools), usd(one.call_pico, 12)))
                    .collect(),
            },
        }
    }
}

/// The word of a policy in a config.
pub(crate) const fn word_of(policy: Policy) -> &'static str {
    match policy {
        Policy::Off => "off",
        Policy::Metadata => "metadata",
        Policy::Redacted => "redacted",
        Policy::Full => "full",
    }
}

fn text(written: Option<&At<String>>) -> Option<String> {
    written.map(|text| text.value.clone())
}

fn texts(written: &[At<String>]) -> Vec<String> {
    written.iter().map(|text| text.value.clone()).collect()
}

/// An integer as the decimal number that it was written as, without zeros at its end.
fn usd(amount: u64, digits: usize) -> String {
    let all = format!("{amount:0>width$}", width = digits + 1);
    let (whole, part) = all.split_at_checked(all.len() - digits).unwrap_or((&all, ""));
    let part = part.trim_end_matches('0');
    if part.is_empty() { whole.to_owned() } else { format!("{whole}.{part}") }
}

fn shown_scope(scope: &Scope) -> ShownScope {
    ShownScope {
        key: text(scope.key.as_ref()),
        team: text(scope.team.as_ref()),
        user: text(scope.user.as_ref()),
        each: scope.each.map(|each| match each {
            Each::Key => "key",
            Each::Team => "team",
            Each::User => "user",
        }),
        models: texts(&scope.models),
        servers: texts(&scope.servers),
        tools: texts(&scope.tools),
    }
}

fn shown_budget(budget: &Budget) -> ShownBudget {
    ShownBudget {
        name: budget.name.value.clone(),
        scope: shown_scope(&budget.scope),
        usd: usd(budget.limit_pico, 12),
        per: match budget.per {
            Per::Hour => "hour",
            Per::Day => "day",
            Per::Week => "week",
            Per::Month => "month",
        },
        window: if budget.rolling { "rolling" } else { "calendar" },
        mode: if budget.strict { "strict" } else { "elastic" },
        warn: budget.warn_percent.clone(),
        time_zone: text(budget.time_zone.as_ref()),
    }
}

fn shown_rate(rate: &RateLimit) -> ShownRate {
    let RateLimit { requests, tokens, streams, .. } = *rate;
    ShownRate { name: rate.name.value.clone(), scope: shown_scope(&rate.scope), requests, tokens, streams }
}

fn shown_rates(rates: &Rates) -> ShownRates {
    let all = [
        ("input", Some(rates.input)),
        ("output", Some(rates.output)),
        ("cache_read", rates.cache_read),
        ("cache_write_5m", rates.cache_write_5m),
        ("cache_write_1h", rates.cache_write_1h),
    ];
    ShownRates(all.into_iter().filter_map(|(name, rate)| Some((name, usd(rate?, 6)))).collect())
}

impl ShownScope {
    fn write(&self, out: &mut Vec<String>) {
        for (name, value) in [("key", &self.key), ("team", &self.team), ("user", &self.user)] {
            out.extend(value.as_ref().map(|value| format!("{name}: {}", word(value))));
        }
        out.extend(self.each.map(|each| format!("each: {each}")));
        for (name, globs) in [("models", &self.models), ("servers", &self.servers), ("tools", &self.tools)] {
            out.extend((!globs.is_empty()).then(|| format!("{name}: {}", list(globs))));
        }
    }
}

impl fmt::Display for ShownRates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, (name, rate)) in self.0.iter().enumerate() {
            write!(f, "{}{name}: {rate}", if place == 0 { "" } else { ", " })?;
        }
        Ok(())
    }
}

/// In the shape of a config file.
impl fmt::Display for ShownBooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ShownLedger { durability, sync_ms, on_full, keep_days, content, content_days, heads } =
            &self.ledger;
        let keep = keep_days.map_or_else(String::new, |days| format!(", keep_days: {days}"));
        write!(f, "ledger: {{ durability: {durability}, sync_ms: {sync_ms}, on_full: {on_full}{keep}, ")?;
        let heads = heads.as_ref().map_or_else(String::new, |heads| format!(", {heads}"));
        write!(f, "content: {content}, content_days: {content_days}{heads} }}")?;
        for (place, budget) in self.budgets.iter().enumerate() {
            let mut parts = vec![format!("name: {}", word(&budget.name))];
            budget.scope.write(&mut parts);
            let warn: Vec<String> = budget.warn.iter().map(ToString::to_string).collect();
            parts.push(format!("usd: {}, per: {}", budget.usd, budget.per));
            parts.push(format!("window: {}, mode: {}", budget.window, budget.mode));
            parts.push(format!("warn: [{}]", warn.join(", ")));
            parts.extend(budget.time_zone.as_ref().map(|zone| format!("time_zone: {}", word(zone))));
            let first = if place == 0 { "\nbudgets:" } else { "" };
            write!(f, "{first}\n  - {{ {} }}", parts.join(", "))?;
        }
        for (place, rate) in self.rate_limits.iter().enumerate() {
            let mut parts = vec![format!("name: {}", word(&rate.name))];
            rate.scope.write(&mut parts);
            let most = [("requests", rate.requests), ("tokens", rate.tokens), ("streams", rate.streams)];
            parts.extend(most.iter().filter_map(|(word, most)| Some(format!("{word}: {}", (*most)?))));
            let first = if place == 0 { "\nrate_limits:" } else { "" };
            write!(f, "{first}\n  - {{ {} }}", parts.join(", "))?;
        }
        write!(f, "{}", self.prices)
    }
}

impl fmt::Display for ShownPrices {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = String::new();
        if let Some(file) = &self.file {
            write!(lines, "\n  file: {}", word(file))?;
        }
        if let Some(rates) = &self.default {
            write!(lines, "\n  default: {{ {rates} }}")?;
        }
        for (place, (model, provider, rates)) in self.models.iter().enumerate() {
            let first = if place == 0 { "\n  models:" } else { "" };
            let provider =
                provider.as_ref().map_or_else(String::new, |name| format!(", provider: {}", word(name)));
            write!(lines, "{first}\n    {}: {{ {rates}{provider} }}", word(model))?;
        }
        for (place, (server, tools, usd)) in self.tools.iter().enumerate() {
            let first = if place == 0 { "\n  tools:" } else { "" };
            let tools = if tools.is_empty() { String::new() } else { format!(", tools: {}", list(tools)) };
            write!(lines, "{first}\n    - {{ server: {}{tools}, usd: {usd} }}", word(server))?;
        }
        if lines.is_empty() { Ok(()) } else { write!(f, "\nprices:{lines}") }
    }
}
