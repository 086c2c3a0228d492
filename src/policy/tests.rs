//! Tables of who may name what, and what they read when they may not.

use std::sync::Arc;

use crate::glob::Glob;
use crate::identity::principal::Principal;
use crate::ids::{KeyName, TeamName};
use crate::limits;
use crate::policy::decide::Permit;
use crate::policy::rules::{Rules, Team};

fn globs(patterns: &[&str]) -> Arc<[Glob]> {
    patterns.iter().map(|pattern| Glob::new(pattern)).collect()
}

fn rules() -> Rules {
    Rules::new([
        (TeamName::new("platform"), Team { models: Some(globs(&["claude-sonnet-*", "claude-haiku-*"])) }),
        (TeamName::new("free"), Team { models: None }),
        (TeamName::new("none"), Team { models: Some(globs(&[])) }),
    ])
}

fn caller(team: Option<&str>, models: Option<&[&str]>) -> Principal {
    Principal {
        key: KeyName::new("ci"),
        key_id: "0123456789ab".into(),
        team: team.map(TeamName::new),
        models: models.map(globs),
    }
}

/// Team, models of the key, model asked for; the permit or the denial as text.
type Case = (Option<&'static str>, Option<&'static [&'static str]>, &'static str, Verdict);
type Verdict = Result<&'static str, &'static str>;

#[test]
fn key_and_team_must_both_allow() {
    let cases: [Case; 10] = [
        (None, None, "anything", Ok("no rule: all models")),
        (Some("free"), None, "anything", Ok("no rule: all models")),
        (Some("platform"), None, "claude-haiku-4-5", Ok("team platform: models claude-haiku-*")),
        (None, Some(&["gpt-*", "claude-*"]), "claude-opus-4", Ok("key ci: models claude-*")),
        (
            Some("platform"),
            Some(&["*-5"]),
            "claude-sonnet-5",
            Ok("key ci: models *-5, team platform: models claude-sonnet-*"),
        ),
        (
            Some("platform"),
            None,
            "claude-opus-4",
            Err("model \"claude-opus-4\" is not allowed for key \"ci\" \
                 (team platform allows: claude-sonnet-*, claude-haiku-*)"),
        ),
        (
            Some("platform"),
            Some(&["claude-haiku-*"]),
            "claude-sonnet-5",
            Err("model \"claude-sonnet-5\" is not allowed for key \"ci\" (the key allows: claude-haiku-*)"),
        ),
        (
            Some("none"),
            None,
            "claude-sonnet-5",
            Err("model \"claude-sonnet-5\" is not allowed for key \"ci\" (team none allows: no model)"),
        ),
        (None, Some(&[]), "m", Err("model \"m\" is not allowed for key \"ci\" (the key allows: no model)")),
        (
            Some("ghost"),
            None,
            "m",
            Err("model \"m\" is not allowed for key \"ci\" (team ghost allows: no model)"),
        ),
    ];
    for (team, models, model, expected) in cases {
        let caller = caller(team, models);
        let verdict = rules().decide(&caller, model);
        assert_eq!(rules().may_name(&caller, model), expected.is_ok());
        match (verdict, expected) {
            (Ok(permit), Ok(text)) => assert_eq!(permit.to_string(), text),
            (Err(denial), Err(text)) => assert_eq!(denial.to_string(), text),
            (verdict, expected) => panic!("{verdict:?} is not {expected:?}"),
        }
    }
}

#[test]
fn a_denial_is_short_and_one_line_whatever_was_asked_for() {
    let many: Vec<String> = (0..100).map(|n| format!("model-{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let caller = caller(None, Some(&many));
    let text = rules().decide(&caller, &"\n\u{1b}[31mx".repeat(10_000)).unwrap_err().to_string();
    assert!(text.len() < 16 * limits::MODEL_SHOWN_CHARS_MAX, "{}", text.len());
    assert!(text.chars().all(|c| !c.is_control()));
    assert!(text.ends_with(&format!("and {} more)", 100 - limits::DENIAL_PATTERNS_MAX)), "{text}");
}

#[test]
fn listing_is_open_to_every_key() {
    let permit = rules().permit_listing(&caller(Some("none"), None));
    assert_eq!(permit.key().as_str(), "ci");
    assert_eq!(permit.team().map(TeamName::as_str), Some("none"));
}

#[test]
fn the_permit_for_tests_claims_no_rule() {
    assert_eq!(Permit::for_tests().to_string(), "no rule: all models");
}
