//! The columns of entries: their names, their types, and what each has of an entry.

use crate::ledger::entry::{Class, Entry};
use crate::ledger::index::search::Hit;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// UTF-8.
    Text,
    /// A whole number of 64 bits.
    Number,
    /// Milliseconds since 1970, UTC.
    Time,
    /// Dollars as a floating-point number, for sums and charts.
    Dollars,
}

impl Kind {
    /// The `Type` that its values are stored as.
    pub(super) const fn physical(self) -> i32 {
        match self {
            Self::Number | Self::Time => 2,
            Self::Dollars => 5,
            Self::Text => 6,
        }
    }
}

/// What a row has of a column.
enum Value<'e> {
    Text(&'e str),
    Made(String),
    Number(u64),
}

/// A column.
#[derive(Clone, Copy)]
pub(super) struct Column {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// Whether a row may have nothing of it: an empty text, or the number 0.
    pub(super) optional: bool,
    of: fn(&Hit) -> Value<'_>,
}

impl Column {
    /// Appends what a row has, plainly; false where that is nothing.
    pub(super) fn put(&self, hit: &Hit, out: &mut Vec<u8>) -> bool {
        match (self.of)(hit) {
            Value::Text(text) => self.put_text(text, out),
            Value::Made(text) => self.put_text(&text, out),
            Value::Number(0) if self.optional => false,
            Value::Number(number) => {
                match self.kind {
                    Kind::Dollars => out.extend(dollars(number).to_le_bytes()),
                    Kind::Text | Kind::Number | Kind::Time => {
                        // Nothing that is counted comes near the largest number with a sign.
                        out.extend(i64::try_from(number).unwrap_or(i64::MAX).to_le_bytes());
                    }
                }
                true
            }
        }
    }

    fn put_text(&self, text: &str, out: &mut Vec<u8>) -> bool {
        if self.optional && text.is_empty() {
            return false;
        }
        out.extend(u32::try_from(text.len()).unwrap_or(0).to_le_bytes());
        out.extend_from_slice(text.as_bytes());
        true
    }
}

/// Pico-dollars as the nearest number of dollars.
fn dollars(pico: u64) -> f64 {
    const PICO: u64 = 1_000_000_000_000;
    // Of a decimal of this form there is always a number.
    format!("{}.{:012}", pico / PICO, pico % PICO).parse().unwrap_or(f64::NAN)
}

const fn text(name: &'static str, of: fn(&Hit) -> Value<'_>) -> Column {
    Column { name, kind: Kind::Text, optional: true, of }
}

const fn number(name: &'static str, of: fn(&Hit) -> Value<'_>) -> Column {
    Column { name, kind: Kind::Number, optional: true, of }
}

const fn always(column: Column) -> Column {
    Column { optional: false, ..column }
}

/// All columns, in this order. Names stay; new ones come last.
pub(super) const COLUMNS: [Column; 49] = [
    always(number("position", |hit| Value::Number(hit.position))),
    always(text("id", |hit| Value::Made(hit.entry.id.to_string()))),
    always(text("kind", |hit| Value::Text(hit.entry.kind.name()))),
    Column { name: "at", kind: Kind::Time, optional: false, of: |hit| Value::Number(hit.entry.at_ms) },
    number("took_us", |hit| Value::Number(hit.entry.took_us)),
    number("first_byte_us", |hit| Value::Number(hit.entry.first_byte_us)),
    text("key", |hit| Value::Text(&hit.entry.key)),
    text("key_id", |hit| Value::Text(&hit.entry.key_id)),
    text("team", |hit| Value::Text(&hit.entry.team)),
    text("user", |hit| Value::Text(&hit.entry.user)),
    text("client", |hit| Value::Text(&hit.entry.client)),
    text("session", |hit| Value::Text(&hit.entry.session)),
    text("agent", |hit| Value::Text(&hit.entry.agent)),
    text("prompt", |hit| Value::Text(&hit.entry.prompt)),
    text("upstream_id", |hit| Value::Text(&hit.entry.upstream_id)),
    text("model", |hit| Value::Text(&hit.entry.model)),
    text("served_model", |hit| Value::Text(&hit.entry.served_model)),
    text("provider", |hit| Value::Text(&hit.entry.provider)),
    text("region", |hit| Value::Text(&hit.entry.region)),
    text("method", |hit| Value::Text(&hit.entry.method)),
    text("server", |hit| Value::Text(&hit.entry.server)),
    text("tool", |hit| Value::Text(&hit.entry.tool)),
    text("tool_hash", |hit| Value::Text(&hit.entry.tool_hash)),
    text("class", |hit| Value::Text(class(&hit.entry))),
    text("tool_use_id", |hit| Value::Text(&hit.entry.tool_use_id)),
    always(number("tokens_input", |hit| Value::Number(hit.entry.tokens.input))),
    always(number("tokens_output", |hit| Value::Number(hit.entry.tokens.output))),
    always(number("tokens_cache_read", |hit| Value::Number(hit.entry.tokens.cache_read))),
    always(number("tokens_cache_write_5m", |hit| Value::Number(hit.entry.tokens.cache_write_5m))),
    always(number("tokens_cache_write_1h", |hit| Value::Number(hit.entry.tokens.cache_write_1h))),
    always(number("cost_pico", |hit| Value::Number(hit.entry.cost_pico))),
    Column {
        name: "cost_usd",
        kind: Kind::Dollars,
        optional: false,
        of: |hit| Value::Number(hit.entry.cost_pico),
    },
    text("priced", |hit| Value::Text(&hit.entry.priced)),
    text("budgets", |hit| as_json(&hit.entry.budgets)),
    text("decision", |hit| Value::Text(&hit.entry.decision)),
    number("status", |hit| Value::Number(hit.entry.status.into())),
    text("outcome", |hit| Value::Text(&hit.entry.outcome)),
    text("stop_reason", |hit| Value::Text(&hit.entry.stop_reason)),
    text("error", |hit| Value::Text(&hit.entry.error)),
    number("request_bytes", |hit| Value::Number(hit.entry.request_bytes)),
    number("answer_bytes", |hit| Value::Number(hit.entry.answer_bytes)),
    always(number("action_count", |hit| Value::Number(hit.entry.actions.len().try_into().unwrap_or(0)))),
    text("actions", |hit| as_json(&hit.entry.actions)),
    text("content", |hit| Value::Text(&hit.entry.content)),
    text("policy", |hit| Value::Text(&hit.entry.policy)),
    text("marks", |hit| Value::Text(&hit.entry.marks)),
    text("sought", |hit| Value::Text(&hit.entry.sought)),
    text("mode", |hit| Value::Text(&hit.entry.mode)),
    text("mode_by", |hit| Value::Text(&hit.entry.mode_by)),
];

fn class(entry: &Entry) -> &'static str {
    if entry.class == Class::Unknown { "" } else { entry.class.name() }
}

/// A list as the text that JSON has of it; nothing for an empty one.
fn as_json<T: serde::Serialize>(list: &[T]) -> Value<'static> {
    // Texts always have a form.
    Value::Made(if list.is_empty() { String::new() } else { serde_json::to_string(list).unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::dollars;

    #[test]
    fn dollars_are_the_nearest_number() {
        let cases =
            [(0, 0.0), (1, 1e-12), (51_234_000_000, 0.051_234), (3_000_000_000_001, 3.000_000_000_001)];
        for (pico, expected) in cases {
            assert!((dollars(pico) - expected).abs() <= f64::EPSILON * expected, "{pico}");
        }
        assert!(dollars(u64::MAX).is_finite());
    }
}
