//! The headers by which Claude Code learns how far a budget is used: `anthropic-ratelimit-unified-*`.
//!
//! Their values are those that the client's own gateway protocol has for a cap on spend: the claim is
//! `overage`, for the others stand for windows of five hours and seven days that the client reckons with.

use crate::meter::refused::{Refused, Warning};

/// A header's name and value.
pub type Header = (&'static str, String);

const STATUS: &str = "anthropic-ratelimit-unified-status";
const RESET: &str = "anthropic-ratelimit-unified-reset";
const CLAIM: &str = "anthropic-ratelimit-unified-representative-claim";
const OVERAGE_STATUS: &str = "anthropic-ratelimit-unified-overage-status";
const OVERAGE_RESET: &str = "anthropic-ratelimit-unified-overage-reset";
const OVERAGE_USED: &str = "anthropic-ratelimit-unified-overage-utilization";
const OVERAGE_PASSED: &str = "anthropic-ratelimit-unified-overage-surpassed-threshold";
const OVERAGE_PERIOD: &str = "anthropic-ratelimit-unified-overage-period";
const OVERAGE_REASON: &str = "anthropic-ratelimit-unified-overage-disabled-reason";

/// The headers of an answer that was allowed. The share that is used stays below 1, which would mean that
/// nothing is allowed; the client shows a notice when a threshold is among them.
pub fn allowed(warning: &Warning) -> Vec<Header> {
    let status = if warning.threshold_percent.is_some() { "allowed_warning" } else { "allowed" };
    let used = warning.used_percent().min(99);
    let mut headers = vec![
        (STATUS, status.to_owned()),
        (CLAIM, "overage".to_owned()),
        (OVERAGE_STATUS, status.to_owned()),
        (OVERAGE_USED, share(used)),
    ];
    headers.extend(warning.threshold_percent.map(|percent| (OVERAGE_PASSED, share(u64::from(percent)))));
    headers.extend(resets(warning.resets_at_ms));
    headers
}

/// The headers of the 429 that a refusal becomes. Neither claim nor status of the overage is among them:
/// with those the client would put words of its own in the place of our sentence.
pub fn refused(refused: &Refused, now_ms: u64) -> Vec<Header> {
    let mut headers = vec![
        ("x-should-retry", "false".to_owned()),
        (STATUS, "rejected".to_owned()),
        (OVERAGE_USED, share(100)),
        (OVERAGE_PASSED, share(100)),
        (OVERAGE_REASON, "org_spend_cap_reached".to_owned()),
    ];
    headers.extend(refused.period.map(|period| (OVERAGE_PERIOD, period.to_owned())));
    headers.extend(resets(refused.resets_at_ms));
    if let Some(at_ms) = refused.resets_at_ms {
        headers.push(("retry-after", at_ms.saturating_sub(now_ms).div_ceil(1000).max(1).to_string()));
    }
    headers
}

/// A percentage as a share of 1, as short as can be: `0.5`, `0.07`, `1`.
fn share(percent: u64) -> String {
    let text = format!("{}.{:02}", percent / 100, percent % 100);
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn resets(at_ms: Option<u64>) -> impl Iterator<Item = Header> {
    let at_s = at_ms.map(|at_ms| (at_ms / 1000).to_string());
    at_s.into_iter().flat_map(|at_s| [(RESET, at_s.clone()), (OVERAGE_RESET, at_s)])
}

#[cfg(test)]
mod tests {
    use super::share;

    #[test]
    fn shares_are_written_short() {
        for (percent, text) in [(0, "0"), (7, "0.07"), (50, "0.5"), (82, "0.82"), (100, "1"), (120, "1.2")] {
            assert_eq!(share(percent), text);
        }
    }
}
