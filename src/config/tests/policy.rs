//! The grammar of who may do what: from the file to decisions, and to what `check` shows.

use crate::call::Class;
use crate::config::load::Keys;
use crate::config::tests::{Folder, good, load_text};
use crate::ids::ServerName;
use crate::policy::decide::ToolCall;
use crate::policy::rights::Answer;

const KEY: &str = "tg_0123456789abcdef0123456789";

/// A config whose only key is of team `ops`, with these lines behind.
fn config(more: &str) -> String {
    format!("keys: [{{ name: dev, secret: {KEY}, team: ops }}]\n{more}\n")
}

#[test]
fn lists_of_a_server_reach_those_who_decide_and_those_who_look() {
    let text = config(
        "mcp_servers: { github: { command: a, trusted: true, tools: { 'get_*': { class: read } } } }\n\
         teams:\n  ops:\n    models: [claude-*]\n    deny_models: ['*-preview']\n    servers:\n      \
         github: { allow: ['read/*'], ask: ['merge_*'], deny: ['*delete*'] }\n      files: [read_*]",
    );
    let loaded = good(&text, &[]);
    let rules = &loaded.snapshot.rules;
    let dev = loaded.snapshot.keys.find(KEY.as_bytes(), 0).unwrap();
    let github = ServerName::new("github");
    for (tool, class, answer) in [
        ("list", Class::Read, Answer::Allow),
        ("merge_pr", Class::Unknown, Answer::Ask),
        ("delete_it", Class::Read, Answer::Deny),
        ("push", Class::Write, Answer::Deny),
    ] {
        assert_eq!(rules.may_call(dev, &github, tool, class), answer, "{tool}");
    }
    assert!(rules.may_name(dev, "claude-x") && !rules.may_name(dev, "claude-x-preview"));
    let class = loaded.snapshot.mcp.servers[0].presentation.tools[0].class;
    assert_eq!(class, Some(Class::Read));
    let shown = loaded.shown.to_string();
    for part in [
        "deny_models: [\"*-preview\"]",
        "github: { allow: [\"read/*\"], ask: [\"merge_*\"], deny: [\"*delete*\"] }",
        "files: [\"read_*\"]",
        "\"get_*\": { class: read }",
        "unwritten: allow",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    // What is shown can be read again, and says the same.
    let again = shown.lines().map(|line| line.replace("\"***\"", KEY)).collect::<Vec<_>>().join("\n");
    assert_eq!(good(&again, &[]).snapshot.rules.version(), rules.version());
}

#[test]
fn cedar_files_are_read_with_the_config_and_watched() {
    let folder = Folder::new();
    folder.write("org.cedar", "@id(\"calm\")\nforbid (principal, action, resource is Tool);\n");
    let text = config("teams: { ops: {} }\npolicy: { files: [org.cedar], unwritten: deny }");
    let loaded = load_text(&folder, &text, &[], &Keys::Read).unwrap();
    let dev = loaded.snapshot.keys.find(KEY.as_bytes(), 0).unwrap();
    let server = ServerName::new("any");
    let call = ToolCall { server: &server, tool: "t", class: Class::Read, can_ask: true };
    let denial = loaded.snapshot.rules.decide_tool(dev, &call).unwrap_err();
    assert!(denial.to_string().contains("rule `org.cedar: calm`"), "{denial}");
    assert!(loaded.watched.iter().any(|path| path.ends_with("org.cedar")));
    assert!(loaded.shown.to_string().contains("policy: { files: [org.cedar], unwritten: deny }"));
    let before = loaded.snapshot.rules.version();
    folder.write("org.cedar", "// nothing\n");
    let after = load_text(&folder, &text, &[], &Keys::Read).unwrap();
    assert_ne!(after.snapshot.rules.version(), before);
    assert_ne!(after.snapshot.version, loaded.snapshot.version);
}

#[test]
fn faults_of_policies_name_file_and_line() {
    let folder = Folder::new();
    folder.write(
        "org.cedar",
        "// one\nforbid (principal, action, resource) when { resource.clas == \"x\" };\n",
    );
    for (more, wanted) in [
        ("policy: { files: [org.cedar] }", "org.cedar:2:"),
        ("policy: { files: [gone.cedar] }", "gone.cedar cannot be read"),
        ("policy: { unwritten: maybe }", "policy.unwritten: expected one of allow, deny"),
        ("policy: { file: x }", "did you mean `files`?"),
        ("teams: { ops: { servers: { s: { alow: [x] } } } }", "did you mean `allow`?"),
        ("teams: { ops: { servers: { s: { deny: x } } } }", "teams.ops.servers.s.deny: expected a list"),
        ("mcp_servers: { s: { command: a, tools: { x: { class: good } } } }", "class: expected one of"),
    ] {
        let teams = if more.starts_with("teams") { "" } else { "teams: { ops: {} }\n" };
        let text = config(&format!("{teams}{more}"));
        let faults = load_text(&folder, &text, &[], &Keys::Read).unwrap_err().to_string();
        assert!(faults.contains(wanted), "{more}: {faults}");
    }
}
