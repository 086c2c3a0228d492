//! Which results of a server's tools are kept, for how long, and for whom.

use std::time::Duration;

use crate::glob::Glob;
use crate::json::{self, Kind};
use crate::limits;

/// What the config says of some tools of a server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The tools, by the server's own names; at most `limits::CACHE_PATTERNS_MAX`.
    pub tools: Vec<Glob>,
    /// For how long at most, up to `limits::CACHE_TTL_S_MAX`; without it as long as a result says of itself.
    pub ttl: Option<Duration>,
    /// Whether all callers get the same results.
    pub shared: bool,
}

impl Rule {
    /// The first rule for a tool.
    pub fn of<'r>(rules: &'r [Self], tool: &str) -> Option<&'r Self> {
        rules.iter().find(|rule| rule.tools.iter().any(|glob| glob.matches(tool)))
    }

    /// Reads what a result says of being told again.
    ///
    /// ```text
    /// {"isError": true, ...}                          never
    /// {"resultType": "input_required" | "task", ...}  never
    /// {"ttlMs": 5000, "cacheScope": "private", ...}   5 s, and to nobody else
    /// ```
    pub fn verdict(&self, result: &[u8]) -> Verdict {
        let (mut whole, mut is_error, mut private, mut hint) = (true, false, false, None);
        let read = json::fields(result, |field| {
            let value = field.value.bytes(result);
            match field.key.raw {
                b"resultType" => whole &= value == b"\"complete\"",
                b"isError" => is_error |= field.value.kind != Kind::False,
                b"cacheScope" => private |= value != b"\"public\"",
                b"ttlMs" => {
                    // What is no whole number says nothing that could be relied on.
                    let ms = str::from_utf8(value).ok().and_then(|text| text.parse::<u64>().ok());
                    hint = Some(Duration::from_millis(ms.unwrap_or_default()));
                }
                _ => {}
            }
            Ok::<_, json::Fault>(())
        });
        if read.is_err() || !whole || (private && self.shared) {
            return Verdict::Alone;
        }
        let ttl = match (self.ttl, hint) {
            (Some(ttl), Some(hint)) => ttl.min(hint),
            (Some(ttl), None) | (None, Some(ttl)) => ttl,
            (None, None) => Duration::ZERO,
        };
        let ttl = ttl.min(Duration::from_secs(limits::CACHE_TTL_S_MAX));
        if is_error || ttl.is_zero() { Verdict::Once } else { Verdict::Kept(ttl) }
    }
}

/// To whom a result may be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// To who asked, and nobody else.
    Alone,
    /// To those as well who asked the same while the call was under way.
    Once,
    /// To those as well who ask the same within this time.
    Kept(Duration),
}

#[cfg(test)]
mod tests {
    use super::{Rule, Verdict};
    use crate::glob::Glob;
    use crate::limits;
    use std::time::Duration;

    fn rule(tools: &[&str], ttl_s: Option<u64>, shared: bool) -> Rule {
        let tools = tools.iter().map(|tool| Glob::new(tool)).collect();
        Rule { tools, ttl: ttl_s.map(Duration::from_secs), shared }
    }

    #[test]
    fn the_first_rule_that_fits_counts() {
        let rules = [rule(&["get_*", "list"], Some(1), false), rule(&["*"], Some(2), true)];
        let ttl = |tool| Rule::of(&rules, tool).and_then(|rule| rule.ttl).map(|ttl| ttl.as_secs());
        assert_eq!((ttl("get_issue"), ttl("list"), ttl("lists")), (Some(1), Some(1), Some(2)));
        assert_eq!(Rule::of(&rules[..1], "search"), None);
    }

    #[test]
    fn what_a_result_says_shortens_what_the_config_says() {
        let kept = |seconds| Verdict::Kept(Duration::from_secs(seconds));
        let cases = [
            (Some(60), false, r#"{"content":[]}"#, kept(60)),
            (Some(60), false, r#"{"content":[],"isError":false}"#, kept(60)),
            (Some(60), false, r#"{"ttlMs":5000,"cacheScope":"private"}"#, kept(5)),
            (Some(60), true, r#"{"ttlMs":5000,"cacheScope":"public"}"#, kept(5)),
            (Some(60), false, r#"{"ttlMs":600000}"#, kept(60)),
            (None, false, r#"{"ttlMs":600000}"#, kept(600)),
            (None, false, r#"{"ttlMs":99999999999}"#, kept(limits::CACHE_TTL_S_MAX)),
            (None, false, r#"{"content":[]}"#, Verdict::Once),
            (Some(60), false, r#"{"ttlMs":0}"#, Verdict::Once),
            (Some(60), false, r#"{"ttlMs":-1}"#, Verdict::Once),
            (Some(60), false, r#"{"ttlMs":"60"}"#, Verdict::Once),
            (Some(60), false, r#"{"isError":true}"#, Verdict::Once),
            (Some(60), false, r#"{"isError":"yes"}"#, Verdict::Once),
            (Some(60), true, r#"{"cacheScope":"private"}"#, Verdict::Alone),
            (Some(60), true, r#"{"cacheScope":"team"}"#, Verdict::Alone),
            (Some(60), false, r#"{"resultType":"complete"}"#, kept(60)),
            (Some(60), false, r#"{"resultType":"input_required"}"#, Verdict::Alone),
            (Some(60), false, r#"{"resultType":"task"}"#, Verdict::Alone),
            (Some(60), false, "[]", Verdict::Alone),
        ];
        for (ttl_s, shared, result, expected) in cases {
            assert_eq!(rule(&["*"], ttl_s, shared).verdict(result.as_bytes()), expected, "{result}");
        }
    }
}
