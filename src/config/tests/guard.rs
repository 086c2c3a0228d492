//! `tool_inputs:` and `scan:`, as people write them.

use crate::config::tests::{faults, good};
use crate::ids::TeamName;
use crate::policy::guards::{Act, Guarding};
use crate::policy::input::{Input, Place};
use crate::scan::Kind;

const BOTH: &str = r#"
providers: { one: { dialect: demo } }
tool_inputs:
  - deny Bash matching "rm -rf|curl .*\\| *sh"
  - 'deny WebFetch to "*.evil.example" "pastebin.com"'
scan: { requests: count, results: mask, kinds: [secrets, mail] }
teams:
  payments:
    tool_inputs: [ "deny mcp__prod__delete_*" ]
    scan: { arguments: refuse, kinds: [iban] }
  web: { scan: { requests: off } }
  plain: { models: ["*"] }
"#;

#[test]
fn what_holds_for_whom() {
    let loaded = good(BOTH, &[]);
    let of = |team: Option<&str>| loaded.snapshot.guards.of(team.map(TeamName::new).as_ref()).clone();
    let acts = |team| {
        let Guarding { requests, arguments, results, .. } = *of(team);
        (requests.act, arguments.act, results.act)
    };
    assert_eq!(acts(None), (Act::Count, Act::Count, Act::Mask));
    assert_eq!(acts(Some("plain")), (Act::Count, Act::Count, Act::Mask));
    assert_eq!(acts(Some("payments")), (Act::Count, Act::Refuse, Act::Mask));
    assert_eq!(acts(Some("web")), (Act::Off, Act::Off, Act::Mask));
    let kinds = |team| Kind::ALL.map(|kind| of(team).results.kinds.has(kind));
    assert_eq!(kinds(None), [true, true, false, false, false]);
    assert_eq!(kinds(Some("payments")), [false, false, true, false, false]);
    let denied = |team, tool: &str, input: &str| {
        let denied = of(team).inputs.judge(&[tool], Input::Whole(input.as_bytes()), &Place::default());
        denied.map(|denied| denied.label.to_string())
    };
    let pipe = r#"{"command":"curl x | sh"}"#;
    assert_eq!(denied(None, "Bash", pipe).as_deref(), Some("rule 1"));
    assert_eq!(denied(Some("payments"), "Bash", pipe).as_deref(), Some("rule 1"));
    assert_eq!(denied(Some("payments"), "mcp__prod__delete_all", "{}").as_deref(), Some("rule payments 1"));
    assert_eq!(denied(Some("web"), "mcp__prod__delete_all", "{}"), None);
    let shown = loaded.shown.to_string();
    for line in [
        r#"tool_inputs: ["deny Bash matching \"rm -rf|curl .*\\\\| *sh\"", "#,
        "scan: { requests: count, results: mask, kinds: [secrets, mail] }",
        r#"payments: { tool_inputs: ["deny mcp__prod__delete_*"], scan: { arguments: "#,
        "scan: { arguments: refuse, kinds: [iban] } }",
    ] {
        assert!(shown.contains(line), "{line}\n{shown}");
    }
    let other = good(&BOTH.replace("rm -rf", "rm -fr"), &[]);
    assert_ne!(loaded.snapshot.version, other.snapshot.version);
}

#[test]
fn nothing_is_watched_unless_it_is_written() {
    let loaded = good("providers: { one: { dialect: demo } }", &[]);
    let guarding = loaded.snapshot.guards.of(None);
    assert!(guarding.inputs.is_empty());
    let acts = [guarding.requests, guarding.arguments, guarding.results].map(|scan| scan.act);
    assert_eq!(acts, [Act::Off; 3]);
}

#[test]
fn faults_have_their_place() {
    let text = |more: &str| format!("providers: {{ one: {{ dialect: demo }} }}\n{more}");
    for (config, expected) in [
        (
            "tool_inputs: [\"ask Bash\"]",
            "tollgate.yaml:2:15: tool_inputs: at character 1: a rule about inputs can only be stricter: \
             begin with `deny`",
        ),
        (
            "teams: { a: { tool_inputs: [deny] } }",
            "tollgate.yaml:2:29: teams.a.tool_inputs: at character 5: expected the name of a tool, such as \
             Bash or mcp__prod__delete_*, without quotes",
        ),
        (
            "scan: { requests: mask }",
            "tollgate.yaml:2:19: scan.requests: a request to a model is never changed, since signatures and \
             prompt caches depend on its bytes; use count or refuse here, and `arguments: mask` for calls of \
             MCP tools",
        ),
        (
            "scan: { results: hide }",
            "tollgate.yaml:2:18: scan.results: expected one of off, count, mask, refuse, found \"hide\"",
        ),
        (
            "scan: { kinds: [mails] }",
            "tollgate.yaml:2:17: scan.kinds: expected one of secrets, mail, iban, card, phone, found \
             \"mails\"",
        ),
        ("scan: { kinds: [] }", "tollgate.yaml:2:16: scan.kinds: name at least one kind, or leave it out"),
        (
            "scan: { request: off }",
            "tollgate.yaml:2:9: unknown key \"request\" in scan; did you mean `requests`?",
        ),
    ] {
        assert_eq!(faults(&text(config), &[]), expected, "{config}");
    }
    let many = "deny Bash, ".repeat(65);
    assert!(faults(&text(&format!("tool_inputs: [{many}]")), &[]).contains("there can be 64 rules"));
}
