//! Fuzz body of the rules about inputs: no text makes them fail, and what a rule says it means.

#![expect(clippy::expect_used, reason = "a fuzz body says what it found by panicking")]

use crate::policy::input::bash::outline::Outline;
use crate::policy::input::bash::{is_gap, see};
use crate::policy::input::{Input, InputRules, Place, Rule};

/// Reads the first line as a rule and the rest as an input.
pub fn fuzz_input_rule(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let first = parts.next().unwrap_or_default();
    let rest = parts.next().unwrap_or_default();
    let Ok(text) = str::from_utf8(first) else { return };
    let rule = match Rule::parse(text) {
        Ok(rule) => rule,
        Err(fault) => {
            assert!(fault.at >= 1 && fault.at <= text.chars().count() + 1, "{fault}");
            return;
        }
    };
    assert_eq!(**rule.text(), *text);
    let again = Rule::parse(text).expect("a rule that was read once can be read again");
    let rules = InputRules::new(&[rule], Some(("team", &[again])));
    let place = Place { cwd: Some("/srv/app".to_owned()), home: None };
    for name in ["Bash", "Write", "WebFetch", "mcp__prod__delete_all"] {
        let denied = rules.judge(&[name], Input::Whole(rest), &place);
        let unknown = rules.judge(&[name], Input::Unknown, &place);
        // Who knows less is never more generous.
        assert!(denied.is_none() || unknown.is_some());
        assert_eq!(unknown.is_some(), rules.concern(&[name]));
        // The second rule is the first again, so it never decides.
        assert!(denied.is_none_or(|denied| &*denied.label == "rule 1"));
    }
}

/// Takes a text apart as a command line.
pub fn fuzz_command_line(data: &[u8]) {
    let Ok(text) = str::from_utf8(data) else { return };
    let seen = see(text);
    let bytes: usize = seen.commands.iter().map(String::len).sum();
    assert!(bytes <= 2 * crate::limits::COMMAND_FORMS_BYTES_MAX, "{bytes}");
    // The same line says the same.
    let again = see(text);
    assert_eq!((seen.commands, seen.why), (again.commands, again.why));
}

/// Reads the first line as an expression and the rest as a text: what the one fits, its outline fits.
pub fn fuzz_outline(data: &[u8]) {
    let mut parts = data.splitn(2, |&byte| byte == b'\n');
    let (Some(first), Some(rest)) = (parts.next(), parts.next()) else { return };
    let (Ok(expression), Ok(text)) = (str::from_utf8(first), str::from_utf8(rest)) else { return };
    if expression.len() > 64 || text.len() > 256 {
        return;
    }
    let built = regex::RegexBuilder::new(expression).dot_matches_new_line(true).size_limit(1 << 16).build();
    let (Ok(whole), Some(outline)) = (built, Outline::of(expression)) else { return };
    let text = text.replace(is_gap, "x");
    assert!(
        !whole.is_match(&text) || outline.fits(&text),
        "{expression:?} fits {text:?}, its outline does not"
    );
    outline.may_match(&format!("{text}\u{e000}{text}"));
}
