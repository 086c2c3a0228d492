//! The terms of a key: until when it is good, and which tools of which servers it is given.

use std::time::{Duration, SystemTime};

use serde::{Deserialize, Serialize};

use crate::clock;
use crate::config::places_file;
use crate::identity::servers::{ServerRule, ServerRules};
use crate::limits;

/// Servers that a key is given, with the tools of each, as the key file has them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Grant {
    /// Name or pattern of the server.
    pub server: String,
    /// Names or patterns of its tools.
    pub tools: Vec<String>,
}

/// Reads `github:read_*` and `github`, which gives all tools. Several of one server become one.
///
/// # Errors
/// The text that is none.
pub fn grants(texts: &[String]) -> Result<Vec<Grant>, String> {
    let mut out: Vec<Grant> = Vec::new();
    for text in texts {
        let (server, tool) = text.split_once(':').unwrap_or((text, "*"));
        let fits = |part: &str| {
            let bare = !part.chars().any(|c| c.is_control() || c == ' ');
            !part.is_empty() && part.len() <= limits::PATTERN_CHARS_MAX && bare
        };
        if !fits(server) || !fits(tool) {
            return Err(text.clone());
        }
        match out.iter_mut().find(|grant| grant.server == server) {
            Some(grant) => grant.tools.push(tool.to_owned()),
            None => out.push(Grant { server: server.to_owned(), tools: vec![tool.to_owned()] }),
        }
    }
    Ok(out)
}

/// Checks patterns of regions: `eu`, `eu-*`.
///
/// # Errors
/// What is wrong, in words for who wrote it.
pub fn regions(texts: &[String]) -> Result<(), String> {
    let most = limits::REGIONS_MAX;
    match texts.iter().find(|text| !places_file::is_region(text, true)) {
        Some(wrong) => Err(format!("{wrong:?} is no region: write one such as eu, eu-central-1 or eu-*")),
        None if texts.len() > most => Err(format!("at most {most} regions")),
        None => Ok(()),
    }
}

/// The same as rules.
pub(crate) fn rules(grants: &[Grant]) -> ServerRules {
    let rule = |grant: &Grant| ServerRule::allowing(&grant.server, grant.tools.iter().map(String::as_str));
    ServerRules::new(grants.iter().map(rule))
}

/// When a key ends that is wished to end so: a time such as `2027-01-31T00:00:00Z`, or a while from `now`
/// such as `90d`. It lies in the future, by `limits::KEY_DAYS_MAX` at most.
///
/// # Errors
/// What is wrong, in words for who wrote it.
pub fn end(text: &str, now: SystemTime) -> Result<SystemTime, String> {
    let found = match humantime::parse_duration(text) {
        Ok(while_) => now.checked_add(while_),
        Err(_) => Some(moment(text)?),
    };
    let most = Duration::from_secs(limits::KEY_DAYS_MAX * 24 * 60 * 60);
    let ahead = found.and_then(|found| found.duration_since(now).ok());
    match (found, ahead) {
        (Some(found), Some(ahead)) if !ahead.is_zero() && ahead <= most => Ok(found),
        _ => Err(format!("{text:?} is not in the next {} days", limits::KEY_DAYS_MAX)),
    }
}

/// A time as people write it.
///
/// # Errors
/// What is wrong, in words for who wrote it.
pub fn moment(text: &str) -> Result<SystemTime, String> {
    let wrong = |_why| {
        format!(
            "{text:?} is no time: write a while such as 90d or 12h, or a time such as 2027-01-31T00:00:00Z"
        )
    };
    humantime::parse_rfc3339_weak(text).map_err(wrong)
}

/// A time as the key file has it: RFC 3339, whole seconds, UTC. What lies after the year 9999 has no such
/// form, and is its end.
pub fn text(at: SystemTime) -> String {
    let last = SystemTime::UNIX_EPOCH + Duration::from_secs(LAST_S);
    humantime::format_rfc3339_seconds(at.min(last)).to_string()
}

/// The same of milliseconds since 1970.
pub fn text_ms(at_ms: u64) -> String {
    text(SystemTime::UNIX_EPOCH + Duration::from_millis(at_ms.min(LAST_S * 1000)))
}

/// A time of the key file in milliseconds since 1970; `None` for what is no time.
pub(crate) fn unix_ms(text: &str) -> Option<u64> {
    humantime::parse_rfc3339(text).ok().map(clock::unix_ms)
}

/// The last second that has a year of four digits.
const LAST_S: u64 = 253_402_300_799;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_whiles_or_times_ahead() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let at = |text: &str| end(text, now).map(self::text);
        assert_eq!(at("90d").as_deref(), Ok("2027-04-15T08:00:00Z"));
        assert_eq!(at("12h").as_deref(), Ok("2027-01-15T20:00:00Z"));
        assert_eq!(at("2027-01-31T00:00:00Z").as_deref(), Ok("2027-01-31T00:00:00Z"));
        assert_eq!(at("2027-01-31 00:00:00").as_deref(), Ok("2027-01-31T00:00:00Z"));
        for wrong in ["", "soon", "0s", "2020-01-01T00:00:00Z", "4000d", "999999999y", "2027-13-01T00:00:00Z"]
        {
            assert!(at(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn regions_are_short_words_and_patterns() {
        let read = |texts: &[&str]| regions(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        assert_eq!(read(&["eu", "eu-central-1", "eu-*", "*"]), Ok(()));
        for wrong in ["", "EU", "eu central", "unknown", "not_available", "eu,us", &"e".repeat(65)] {
            assert!(read(&["eu", wrong]).is_err_and(|why| why.contains("is no region")), "{wrong}");
        }
        assert_eq!(read(&["eu"; limits::REGIONS_MAX + 1]), Err("at most 64 regions".to_owned()));
    }

    #[test]
    fn grants_are_servers_with_tools() {
        let read = |texts: &[&str]| grants(&texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
        let found = read(&["github:read_*", "files", "github:list_*"]).unwrap();
        let shown: Vec<_> =
            found.iter().map(|grant| format!("{}:{}", grant.server, grant.tools.join(","))).collect();
        assert_eq!(shown, ["github:read_*,list_*", "files:*"]);
        for wrong in ["", ":", "github:", ":read", "git hub"] {
            assert_eq!(read(&[wrong]), Err(wrong.to_owned()));
        }
    }
}
