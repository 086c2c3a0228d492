//! How much of a provider's rate limits is left, as the headers of its last answer say.

use crate::limits;
use crate::route::failure::Limit;
use crate::route::said;

/// What is left of the tightest limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Headroom {
    share: f64,
    /// Which one it is.
    pub limit: Limit,
    /// When it is new again, milliseconds since 1970.
    pub until_ms: u64,
}

/// A limit by the names of its headers: what there is, what is left, when it is new.
type Names = (Limit, [&'static str; 3]);

const ANTHROPIC: [Names; 4] = [
    (
        Limit::Requests,
        [
            "anthropic-ratelimit-requests-limit",
            "anthropic-ratelimit-requests-remaining",
            "anthropic-ratelimit-requests-reset",
        ],
    ),
    (
        Limit::Tokens,
        [
            "anthropic-ratelimit-tokens-limit",
            "anthropic-ratelimit-tokens-remaining",
            "anthropic-ratelimit-tokens-reset",
        ],
    ),
    (
        Limit::InputTokens,
        [
            "anthropic-ratelimit-input-tokens-limit",
            "anthropic-ratelimit-input-tokens-remaining",
            "anthropic-ratelimit-input-tokens-reset",
        ],
    ),
    (
        Limit::OutputTokens,
        [
            "anthropic-ratelimit-output-tokens-limit",
            "anthropic-ratelimit-output-tokens-remaining",
            "anthropic-ratelimit-output-tokens-reset",
        ],
    ),
];

const OPENAI: [Names; 2] = [
    (
        Limit::Requests,
        ["x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"],
    ),
    (Limit::Tokens, ["x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"]),
];

impl Headroom {
    /// Reads it from an answer's head, in which `header` finds the first value of a name; `None` where
    /// nothing is said.
    pub fn read<'a>(header: impl Fn(&str) -> Option<&'a [u8]>, now_ms: u64) -> Option<Self> {
        let found = ANTHROPIC.iter().chain(&OPENAI).filter_map(|&(limit, [most, rest, reset])| {
            let rest = said::number(header(rest)?)?;
            // A limit without its size is known only when it is used up.
            let most = header(most).and_then(said::number).filter(|&most| most > 0);
            let share = match most {
                Some(most) => ratio(rest, most),
                None if rest == 0 => 0.0,
                None => return None,
            };
            let until_ms = header(reset).and_then(|value| until(value, now_ms));
            let until_ms = until_ms.unwrap_or_else(|| now_ms.saturating_add(limits::HEADROOM_MS));
            Some(Self { share, limit, until_ms })
        });
        found.min_by(|one, other| one.share.total_cmp(&other.share))
    }

    /// What is left, `limits::HEADROOM_LEAST` to 1.
    pub fn share(&self, now_ms: u64) -> f64 {
        if now_ms >= self.until_ms { 1.0 } else { self.share.clamp(limits::HEADROOM_LEAST, 1.0) }
    }

    /// Whether nothing is left.
    pub fn is_used_up(&self) -> bool {
        self.share <= 0.0
    }
}

/// When a limit is new: Anthropic names the moment, the others how long that is.
fn until(value: &[u8], now_ms: u64) -> Option<u64> {
    let at = said::moment_ms(value)
        .or_else(|| said::duration_ms(value).map(|wait| now_ms.saturating_add(wait)))?;
    Some(at.min(now_ms.saturating_add(limits::COOLDOWN_MS_MAX)))
}

/// `part` of `whole`, which is not zero; more than all is all.
fn ratio(part: u64, whole: u64) -> f64 {
    // Limits are below 2^32; of larger ones only the upper half counts.
    let shift = whole.checked_ilog2().unwrap_or(0).saturating_sub(31);
    let small = |number: u64| u32::try_from(number >> shift).unwrap_or(u32::MAX);
    (f64::from(small(part)) / f64::from(small(whole).max(1))).min(1.0)
}
