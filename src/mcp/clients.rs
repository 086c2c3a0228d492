//! Which clients list their tools anew at once when they are told that the list has changed.

use crate::json::Value;
use crate::mcp::message;

/// Since this version Claude Code has been seen to do so, in both eras; some before it pass over what they
/// are told.
const CLAUDE_CODE_SINCE: [u32; 3] = [2, 1, 330];

/// Whether the client of this `clientInfo` is known to list anew. Of all others nothing is known.
pub fn lists_anew(info: &[u8]) -> bool {
    let text = |value: Option<Value>| value.and_then(|value| message::text(info, value.span));
    let Ok([name, version]) = message::pick(info, 0..info.len(), &["name", "version"]) else { return false };
    text(name).is_some_and(|name| name == "claude-code")
        && text(version).and_then(|version| numbers(&version)).is_some_and(|is| is >= CLAUDE_CODE_SINCE)
}

/// The three numbers of a version, whatever follows them.
fn numbers(version: &str) -> Option<[u32; 3]> {
    let mut numbers = version.splitn(3, '.').map(|part| {
        let digits = part.split(|letter: char| !letter.is_ascii_digit()).next().unwrap_or_default();
        digits.parse().ok()
    });
    Some([numbers.next()??, numbers.next()??, numbers.next()??])
}

#[cfg(test)]
mod tests {
    use super::lists_anew;

    #[test]
    fn clients_are_known_by_name_and_version() {
        let cases = [
            (r#"{"name":"claude-code","version":"2.1.330"}"#, true),
            (r#"{"version":"2.1.330 (Claude Code)","title":"x","name":"claude-code"}"#, true),
            (r#"{"name":"claude-code","version":"2.10.0"}"#, true),
            (r#"{"name":"claude-code","version":"3.0.0-beta.1"}"#, true),
            (r#"{"name":"claude-code","version":"2.1.329"}"#, false),
            (r#"{"name":"claude-code","version":"2.1"}"#, false),
            (r#"{"name":"claude-code","version":"99999999999.1.1"}"#, false),
            (r#"{"name":"claude-code"}"#, false),
            (r#"{"name":"Claude Code","version":"2.1.330"}"#, false),
            (r#"{"name":["claude-code"],"version":"2.1.330"}"#, false),
            (r#"{"name":"claude-code","name":"mcp","version":"2.1.330"}"#, false),
            ("{}", false),
            ("[", false),
        ];
        for (info, expected) in cases {
            assert_eq!(lists_anew(info.as_bytes()), expected, "{info}");
        }
    }
}
