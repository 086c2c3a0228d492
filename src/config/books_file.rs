//! What a person writes about money and records: `ledger:`, `budgets:`, `rate_limits:` and `prices:`.

use crate::config::faults::Mark;
use crate::config::heads::{self, Heads};
use crate::config::reader::{At, Fields, Reader, quoted};
use crate::config::yaml::{Node, Value};
use crate::ledger::content::Policy;
use crate::limits;

/// `ledger:`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) synced: bool,
    pub(crate) sync_ms: Option<u64>,
    pub(crate) serve_when_full: bool,
    pub(crate) keep_days: Option<u64>,
    pub(crate) content: Option<Policy>,
    pub(crate) content_days: Option<u64>,
    pub(crate) heads: Heads,
}

/// Of whom a budget or a rate limit counts, together or each for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Scope {
    pub(crate) key: Option<At<String>>,
    pub(crate) team: Option<At<String>>,
    pub(crate) user: Option<At<String>>,
    pub(crate) each: Option<Each>,
    pub(crate) models: Vec<At<String>>,
    pub(crate) servers: Vec<At<String>>,
    pub(crate) tools: Vec<At<String>>,
}

/// What gets a count of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Each {
    /// Every key.
    Key,
    /// Every team.
    Team,
    /// Every user.
    User,
}

/// One entry of `budgets:`.
#[derive(Clone, Debug)]
pub(crate) struct Budget {
    pub(crate) name: At<String>,
    pub(crate) scope: Scope,
    pub(crate) limit_pico: u64,
    pub(crate) per: Per,
    pub(crate) rolling: bool,
    pub(crate) strict: bool,
    pub(crate) warn_percent: Vec<u64>,
    pub(crate) time_zone: Option<At<String>>,
}

/// The length of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Per {
    /// An hour.
    Hour,
    /// A day.
    Day,
    /// A week, from Monday.
    Week,
    /// A month.
    Month,
}

/// One entry of `rate_limits:`.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    pub(crate) name: At<String>,
    pub(crate) scope: Scope,
    /// A minute.
    pub(crate) requests: Option<u64>,
    /// A minute.
    pub(crate) tokens: Option<u64>,
    /// Calls under way at once.
    pub(crate) streams: Option<u64>,
}

/// `prices:`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Prices {
    pub(crate) file: Option<At<String>>,
    pub(crate) unknown: Option<Rates>,
    /// Where `default` stands.
    pub(crate) default_mark: Mark,
    pub(crate) models: Vec<ModelPrice>,
    pub(crate) tools: Vec<ToolPrice>,
}

/// One entry of `prices.models`.
#[derive(Clone, Debug)]
pub(crate) struct ModelPrice {
    pub(crate) model: At<String>,
    pub(crate) provider: Option<At<String>>,
    pub(crate) rates: Rates,
}

/// Pico-dollars a token; what is not written follows from the others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Rates {
    pub(crate) input: u64,
    pub(crate) output: u64,
    pub(crate) cache_read: Option<u64>,
    pub(crate) cache_write_5m: Option<u64>,
    pub(crate) cache_write_1h: Option<u64>,
}

/// One entry of `prices.tools`.
#[derive(Clone, Debug)]
pub(crate) struct ToolPrice {
    pub(crate) server: At<String>,
    pub(crate) tools: Vec<At<String>>,
    /// Pico-dollars a call.
    pub(crate) call_pico: u64,
}

const SCOPE_KEYS: [&str; 6] = ["key", "team", "user", "each", "models", "servers"];

/// Reads `ledger:`.
pub(crate) fn read_ledger(node: &Node, reader: &mut Reader) -> Option<Ledger> {
    let fields = reader.fields(node, "ledger", &LEDGER_KEYS)?;
    let word = |name: &str, words: [(&str, bool); 2], reader: &mut Reader| {
        fields.get(name).and_then(|node| reader.choice(node, &format!("ledger.{name}"), &words))
    };
    let synced = word("durability", [("written", false), ("synced", true)], reader);
    let serve = word("on_full", [("refuse", false), ("serve", true)], reader);
    let number = |name: &str, most: u64, reader: &mut Reader| {
        fields.get(name).and_then(|node| reader.number(node, &format!("ledger.{name}"), 1..=most))
    };
    Some(Ledger {
        synced: synced.unwrap_or(false),
        sync_ms: number("sync_ms", limits::LEDGER_SYNC_MS_MAX, reader),
        serve_when_full: serve.unwrap_or(false),
        keep_days: number("keep_days", limits::LEDGER_KEEP_DAYS_MAX, reader),
        content_days: number("content_days", limits::LEDGER_KEEP_DAYS_MAX, reader),
        content: fields.get("content").and_then(|node| read_policy(node, "ledger.content", reader)),
        heads: fields.get("heads").and_then(|node| heads::read(node, reader)).unwrap_or_default(),
    })
}

const LEDGER_KEYS: [&str; 7] =
    ["durability", "sync_ms", "on_full", "keep_days", "content", "content_days", "heads"];

/// What is kept of what is said.
pub(crate) fn read_policy(node: &Node, what: &str, reader: &mut Reader) -> Option<Policy> {
    let words = [
        ("off", Policy::Off),
        ("metadata", Policy::Metadata),
        ("redacted", Policy::Redacted),
        ("full", Policy::Full),
    ];
    reader.choice(node, what, &words)
}

/// Reads `budgets:`.
pub(crate) fn read_budgets(node: &Node, reader: &mut Reader) -> Vec<Budget> {
    let nodes = reader.list(node, "budgets").unwrap_or_default();
    if nodes.len() > limits::BUDGETS_MAX {
        reader.fault(node.mark, format!("budgets: there can be {} of them", limits::BUDGETS_MAX));
    }
    nodes.iter().filter_map(|node| read_budget(node, reader)).collect()
}

fn read_budget(node: &Node, reader: &mut Reader) -> Option<Budget> {
    let own = ["name", "usd", "per", "window", "mode", "warn", "time_zone"];
    let known: Vec<&str> = own.into_iter().chain(SCOPE_KEYS).collect();
    let fields = reader.fields(node, "budgets", &known)?;
    let name = read_name(&fields, "budgets", reader);
    let what = format!("budgets: {:?}", name.as_ref().map_or("", |name| &name.value));
    let scope = read_scope(&fields, &what, reader);
    let money = read_money(&fields, &what, reader);
    let time_zone = fields.get("time_zone").and_then(|node| reader.text(node, &format!("{what}: time_zone")));
    let (limit_pico, per, rolling, strict, warn_percent) = money?;
    Some(Budget { name: name?, scope, limit_pico, per, rolling, strict, warn_percent, time_zone })
}

type Money = (u64, Per, bool, bool, Vec<u64>);

/// The fields that `budgets:` shares with `budget` of a team.
fn read_money(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<Money> {
    let limit = reader.required(fields, what, "usd").and_then(|node| read_usd(node, what, reader));
    let words = [("hour", Per::Hour), ("day", Per::Day), ("week", Per::Week), ("month", Per::Month)];
    let per = reader.required(fields, what, "per");
    let per = per.and_then(|node| reader.choice(node, &format!("{what}: per"), &words));
    let rolling = fields.get("window").and_then(|node| {
        reader.choice(node, &format!("{what}: window"), &[("calendar", false), ("rolling", true)])
    });
    let strict = fields.get("mode").and_then(|node| {
        reader.choice(node, &format!("{what}: mode"), &[("elastic", false), ("strict", true)])
    });
    let what = format!("{what}: warn");
    let warn = match fields.get("warn") {
        None => limits::BUDGET_WARN_PERCENT.to_vec(),
        Some(node) => {
            let nodes = reader.list(node, &what).unwrap_or_default();
            nodes.iter().filter_map(|node| reader.number(node, &what, 1..=100)).collect()
        }
    };
    Some((limit?, per?, rolling.unwrap_or(false), strict.unwrap_or(false), warn))
}

/// Reads `budget` of a team: one that all its keys share.
pub(crate) fn read_team_budget(node: &Node, team: &At<String>, reader: &mut Reader) -> Option<Budget> {
    let what = format!("teams.{}.budget", team.value);
    let fields = reader.fields(node, &what, &["usd", "per", "window", "mode", "warn", "time_zone"])?;
    let time_zone = fields.get("time_zone").and_then(|node| reader.text(node, &format!("{what}.time_zone")));
    let (limit_pico, per, rolling, strict, warn_percent) = read_money(&fields, &what, reader)?;
    let name = At { mark: team.mark, value: format!("team-{}", team.value) };
    let scope = Scope { team: Some(team.clone()), ..Scope::default() };
    Some(Budget { name, scope, limit_pico, per, rolling, strict, warn_percent, time_zone })
}

fn read_name(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<At<String>> {
    let node = reader.required(fields, what, "name")?;
    let text = reader.text(node, &format!("{what}.name"))?;
    reader.name(&text.value, text.mark, &format!("{what}.name"))
}

fn read_scope(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Scope {
    let text = |name: &str, reader: &mut Reader| {
        fields.get(name).and_then(|node| reader.text(node, &format!("{what}: {name}")))
    };
    let (key, team, user) = (text("key", reader), text("team", reader), text("user", reader));
    let globs = |name: &str, reader: &mut Reader| {
        let read = fields.get(name).and_then(|node| reader.patterns(node, &format!("{what}: {name}")));
        read.unwrap_or_default()
    };
    let (models, servers, tools) =
        (globs("models", reader), globs("servers", reader), globs("tools", reader));
    let each = fields.get("each").and_then(|node| {
        let words = [("key", Each::Key), ("team", Each::Team), ("user", Each::User)];
        reader.choice(node, &format!("{what}: each"), &words)
    });
    Scope { key, team, user, each, models, servers, tools }
}

/// Reads `rate_limits:`.
pub(crate) fn read_rate_limits(node: &Node, reader: &mut Reader) -> Vec<RateLimit> {
    let nodes = reader.list(node, "rate_limits").unwrap_or_default();
    if nodes.len() > limits::RATES_MAX {
        reader.fault(node.mark, format!("rate_limits: there can be {} of them", limits::RATES_MAX));
    }
    nodes.iter().filter_map(|node| read_rate_limit(node, reader)).collect()
}

fn read_rate_limit(node: &Node, reader: &mut Reader) -> Option<RateLimit> {
    let own = ["name", "tools", "requests", "tokens", "streams"];
    let known: Vec<&str> = own.into_iter().chain(SCOPE_KEYS).collect();
    let fields = reader.fields(node, "rate_limits", &known)?;
    let name = read_name(&fields, "rate_limits", reader)?;
    let what = format!("rate_limits: {:?}", name.value);
    let scope = read_scope(&fields, &what, reader);
    let kinds = ["requests", "tokens", "streams"];
    if kinds.iter().all(|word| fields.get(word).is_none()) {
        let text = "write `requests` or `tokens` (a minute), `streams` (at once), or several of them";
        reader.fault(fields.mark, format!("{what}: {text}"));
    }
    let [requests, tokens, streams] = kinds.map(|word| {
        let node = fields.get(word)?;
        reader.number(node, &format!("{what}: {word}"), 1..=limits::RATE_PER_MINUTE_MAX)
    });
    Some(RateLimit { name, scope, requests, tokens, streams })
}

/// Reads `prices:`.
pub(crate) fn read_prices(node: &Node, reader: &mut Reader) -> Option<Prices> {
    let fields = reader.fields(node, "prices", &["file", "default", "models", "tools"])?;
    let file = fields.get("file").and_then(|node| reader.text(node, "prices.file"));
    let default_mark = fields.get("default").map(|node| node.mark).unwrap_or_default();
    let unknown = fields.get("default").and_then(|node| {
        let fields = reader.fields(node, "prices.default", &RATE_KEYS)?;
        read_rates(&fields, "prices.default", reader)
    });
    let models = fields.get("models").and_then(|node| reader.entries(node, "prices.models"));
    let models = models.unwrap_or_default().iter().filter_map(|entry| {
        let what = format!("prices.models.{}", entry.key);
        let known: Vec<&str> = RATE_KEYS.into_iter().chain(["provider"]).collect();
        let fields = reader.fields(&entry.value, &what, &known)?;
        let provider = fields.get("provider").and_then(|node| reader.text(node, &what));
        let rates = read_rates(&fields, &what, reader)?;
        Some(ModelPrice { model: At { mark: entry.mark, value: entry.key.clone() }, provider, rates })
    });
    let models = models.collect();
    let tools = fields.get("tools").and_then(|node| reader.list(node, "prices.tools")).unwrap_or_default();
    let tools = tools.iter().filter_map(|node| {
        let what = "prices.tools";
        let fields = reader.fields(node, what, &["server", "tools", "usd"])?;
        let server = reader.required(&fields, what, "server").and_then(|node| reader.text(node, what));
        let tools = fields.get("tools").and_then(|node| reader.patterns(node, what)).unwrap_or_default();
        let call = reader.required(&fields, what, "usd").and_then(|node| read_usd(node, what, reader));
        Some(ToolPrice { server: server?, tools, call_pico: call? })
    });
    let tools = tools.collect();
    Some(Prices { file, unknown, default_mark, models, tools })
}

const RATE_KEYS: [&str; 5] = ["input", "output", "cache_read", "cache_write_5m", "cache_write_1h"];

/// Dollars for a million tokens are micro-dollars a token, so pico-dollars are a million times the number.
fn read_rates(fields: &Fields<'_>, what: &str, reader: &mut Reader) -> Option<Rates> {
    let rate = |name: &str, reader: &mut Reader| {
        let node = fields.get(name)?;
        read_decimal(node, &format!("{what}.{name}"), 6, reader)
    };
    let input = reader.required(fields, what, "input").and_then(|_node| rate("input", reader));
    let output = reader.required(fields, what, "output").and_then(|_node| rate("output", reader));
    Some(Rates {
        input: input?,
        output: output?,
        cache_read: rate("cache_read", reader),
        cache_write_5m: rate("cache_write_5m", reader),
        cache_write_1h: rate("cache_write_1h", reader),
    })
}

/// An amount of dollars as pico-dollars.
fn read_usd(node: &Node, what: &str, reader: &mut Reader) -> Option<u64> {
    read_decimal(node, &format!("{what}: usd"), 12, reader)
}

/// A decimal number times ten to the power of `digits`, exactly.
fn read_decimal(node: &Node, what: &str, digits: usize, reader: &mut Reader) -> Option<u64> {
    let Value::Text { .. } = node.value else {
        reader.text(node, what)?;
        return None;
    };
    let text = reader.text(node, what)?.value;
    let found = decimal(&text, digits);
    if found.is_none() {
        let shown = quoted(&text);
        let text = format!(
            "{what}: expected an amount such as 20 or 0.25 with at most {digits} decimals, found {shown}"
        );
        reader.fault(node.mark, text);
    }
    found
}

/// Digits with at most one point, without a sign; at most `digits` behind the point.
fn decimal(text: &str, digits: usize) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, ""));
    let all_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !all_digits(whole) || !all_digits(part) || part.len() > digits {
        return None;
    }
    format!("{whole}{part:0<digits$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::decimal;

    #[test]
    fn amounts_are_exact() {
        assert_eq!(decimal("20", 12), Some(20_000_000_000_000));
        assert_eq!(decimal("0.25", 12), Some(250_000_000_000));
        assert_eq!(decimal("6.25", 6), Some(6_250_000));
        assert_eq!(decimal("0.000001", 6), Some(1));
        assert_eq!(decimal("3.", 6), Some(3_000_000));
        for wrong in ["", ".", ".5", "-1", "+1", "1e3", "1,5", "0.0000001", "1.2.3", "1 ", "99999999999"] {
            let digits = if wrong.len() > 10 { 12 } else { 6 };
            assert_eq!(decimal(wrong, digits), None, "{wrong:?}");
        }
    }
}
