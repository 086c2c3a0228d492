//! Configs that do not hold, and the exact lines that people read.

use crate::config::load::Keys;
use crate::config::tests::{Folder, faults, load_text};
use crate::limits;

fn check(config: &str, expected: &[&str]) {
    assert_eq!(
        faults(config, &[("EMPTY", ""), ("TWO", "a b"), ("HIDDEN", "hidden")]),
        expected.join("\n"),
        "{config}"
    );
}

#[test]
fn keys_and_shapes() {
    check("lisen: 1", &["tollgate.yaml:1:1: unknown key \"lisen\"; did you mean `listen`?"]);
    check("data-dir: x", &["tollgate.yaml:1:1: unknown key \"data-dir\"; did you mean `data_dir`?"]);
    check(
        "tls: { certificate: x }",
        &[
            "tollgate.yaml:1:6: tls: `cert` is missing",
            "tollgate.yaml:1:6: tls: `key` is missing",
            "tollgate.yaml:1:8: unknown key \"certificate\" in tls; known here: cert, key",
        ],
    );
    check("- a", &["tollgate.yaml:1:1: the config: expected a mapping, found a list"]);
    check("providers:", &["tollgate.yaml:1:10: providers: expected a mapping, found nothing"]);
    check("threads: [1]", &["tollgate.yaml:1:10: threads: expected a text, found a list"]);
    check(
        "threads: 0",
        &["tollgate.yaml:1:10: threads: expected a whole number from 1 to 1024, found \"0\""],
    );
    check(
        "threads: -1",
        &["tollgate.yaml:1:10: threads: expected a whole number from 1 to 1024, found \"-1\""],
    );
    check(
        "drain_s: 1e3",
        &["tollgate.yaml:1:10: drain_s: expected a whole number from 0 to 86400, found \"1e3\""],
    );
    check(
        "engine: uring",
        &["tollgate.yaml:1:9: engine: expected one of auto, io_uring, epoll, found \"uring\""],
    );
    check(
        "log: { format: xml }",
        &["tollgate.yaml:1:16: log.format: expected one of auto, human, json, found \"xml\""],
    );
    check(
        "timeouts: { head: 1 }",
        &["tollgate.yaml:1:13: unknown key \"head\" in timeouts; known here: head_ms, idle_ms, \
             body_stall_ms, \
           write_stall_ms, connect_ms, first_byte_ms, stream_stall_ms, ping_ms"],
    );
    check(
        "threads: 1\nthreads: 2",
        &["tollgate.yaml:2:1: \"threads\" is given twice, first on line 1: keep one"],
    );
    check(
        "listen: 4000",
        &["tollgate.yaml:1:9: listen: expected an address and a port, \
             such as 127.0.0.1:4000 or [::]:4000, found \"4000\""],
    );
    check(
        "listen: ['127.0.0.1:1', '127.0.0.1:1']",
        &["tollgate.yaml:1:25: listen: 127.0.0.1:1 is given twice"],
    );
    check("budgetses: {}", &["tollgate.yaml:1:1: unknown key \"budgetses\"; did you mean `budgets`?"]);
    check(
        "everything: {}",
        &["tollgate.yaml:1:1: unknown key \"everything\"; known here: \
             listen, data_dir, threads, engine, drain_s, tls, \
         ca_file, providers, models, routes, tiers, failover, mcp_servers, mcp, pinning, keys, identity, \
         teams, policy, ledger, budgets, rate_limits, prices, tool_inputs, scan, timeouts, log, network"],
    );
}

#[test]
fn what_yaml_has_and_a_config_has_not() {
    let alias = "`*` and `&` at the start of a value mean aliases in YAML, which a config may not use: \
                 write a pattern in quotes, as in \"*\"";
    check("data_dir: &a x", &[&format!("tollgate.yaml:1:11: {alias}")]);
    check(
        "a: &a x\nb: *a",
        &[&format!("tollgate.yaml:1:4: {alias}"), &format!("tollgate.yaml:2:4: {alias}")],
    );
    let text = faults("models:\n  *: [demo]\n", &[]);
    assert!(text.starts_with("tollgate.yaml:2:"), "{text}");
    check(
        "data_dir: !!str x",
        &["tollgate.yaml:1:11: tags (`!...`) have no meaning in a config: \
             write the value alone, in quotes if needed"],
    );
    check(
        "threads: 1\n---\nthreads: 2",
        &["tollgate.yaml:2:1: a second document begins here: a config is one YAML document"],
    );
    check("? [a]\n: b", &["tollgate.yaml:1:3: a key must be a text"]);
    check(
        "data_dir: \u{e000}",
        &["tollgate.yaml:1:1: this line holds characters of Unicode's private use area: \
             write the text without them"],
    );
    let deep = format!("teams: {}{}", "[".repeat(200), "]".repeat(200));
    check(&deep, &["tollgate.yaml:1:39: this is nested deeper than 32 levels, which no key needs"]);
    let text = faults("a: b: c", &[]);
    assert!(text.starts_with("tollgate.yaml:1:") && text.contains("this is not YAML: "), "{text}");
    let text = faults("a: {", &[]);
    assert!(text.contains("this is not YAML: "), "{text}");
}

#[test]
fn providers() {
    let provider = |rest: &str| format!("providers:\n  p: {{ {rest} }}\nmodels: {{ m: [p] }}\n");
    check(&provider("base_url: http://h"), &["tollgate.yaml:2:6: providers.p: `dialect` is missing"]);
    check(
        &provider("dialect: morse, base_url: http://h"),
        &["tollgate.yaml:2:17: providers.p.dialect: this version does not speak \"morse\"; \
             it speaks anthropic, anthropic_lenient, openai_chat, openai_responses, gemini, bedrock, \
             bedrock_converse, vertex, demo"],
    );
    check(
        &provider("dialect: demo, key: x"),
        &["tollgate.yaml:2:28: providers.p: the demo calls nobody, remove `key`"],
    );
    for (url, why) in [
        ("ftp://h", "it must begin with http:// or https://"),
        ("h.example", "it must begin with http:// or https://"),
        ("http://u:p@h", "a user or password has no place in it; use `key`"),
        ("http://h?x", "`?` and `#` have no place in it"),
        ("http://h/#x", "`?` and `#` have no place in it"),
        ("http://", "its host is missing or not a host name"),
        ("http://h:0", "its port is not a number from 1 to 65535"),
        ("http://h/a/../b", "its path holds characters that must be escaped"),
    ] {
        check(
            &provider(&format!("dialect: anthropic, base_url: '{url}'")),
            &[&format!("tollgate.yaml:2:38: providers.p.base_url: {why}")],
        );
    }
    check(
        "providers: { a: { dialect: demo }, b: { dialect: demo } }",
        &["tollgate.yaml:1:1: `models` is missing: with several providers say which model runs where"],
    );
    check("models: { m: [] }", &["tollgate.yaml:1:14: models.m: expected at least one provider"]);
    check(
        "models: { m: [{ provider: demo, model: a* }] }",
        &["tollgate.yaml:1:40: models.m: the provider is asked for one model, not for a pattern"],
    );
    check(
        "models: { m: [dem] }",
        &["tollgate.yaml:1:15: models.m: there is no provider \"dem\"; known: demo"],
    );
    check(
        "providers: { 'a b': { dialect: demo } }",
        &["tollgate.yaml:1:14: providers: \"a b\" is no name: use 1 to 64 of a-z A-Z 0-9 . _ -"],
    );
}

#[test]
fn secrets() {
    let key = |secret: &str| format!("keys:\n  - name: ci\n    secret: {secret}\n");
    let (what, form) =
        ("tollgate.yaml:3:13: keys: secret of \"ci\"", "write `${env:NAME}` or `${file:PATH}`");
    check(&key("${env:ABSENT}"), &[&format!("{what}: the environment variable ABSENT is not set")]);
    check(&key("${env:EMPTY}"), &[&format!("{what}: the secret is empty")]);
    check(
        &key("${env:TWO}"),
        &[&format!("{what}: the secret holds spaces or other characters that cannot stand in a header")],
    );
    check(
        &key("${file:nowhere}"),
        &[&format!("{what}: DIR/nowhere cannot be read: No such file or directory (os error 2)")],
    );
    for wrong in
        ["Bearer ${env:HIDDEN}", "${env:HIDDEN}${env:HIDDEN}", "${env:}", "${vault:x}", "'${env:A B}'"]
    {
        check(
            &key(wrong),
            &[&format!("tollgate.yaml:3:13: keys.secret: {form}, with nothing before or after it")],
        );
    }
    check(
        "data_dir: ${env:HIDDEN}",
        &["tollgate.yaml:1:11: data_dir: `${...}` is for secrets only; write the value itself"],
    );
    check(
        "ca_file: nowhere.pem",
        &["tollgate.yaml:1:10: ca_file: DIR/nowhere.pem cannot be read: \
             No such file or directory (os error 2)"],
    );
    let long = "x".repeat(limits::KEY_BYTES_MAX + 1);
    check(&key(&long), &[&format!("{what}: it is longer than 512 characters")]);
}

#[test]
fn keys_and_teams() {
    check(
        "keys:\n  - { name: a, secret: '${env:HIDDEN}', team: platfrom }\n  \
         - { name: a, secret: '${env:HIDDEN}' }\n",
        &[
            "tollgate.yaml:2:47: keys: key \"a\" names team \"platfrom\", which `teams:` does not have",
            "tollgate.yaml:3:13: keys: \"a\" is the name of two keys",
            "tollgate.yaml:3:24: keys: secret of \"a\": it is the secret of \"a\" too; \
             each key needs its own",
        ],
    );
    check("keys: [{ secret: x }]", &["tollgate.yaml:1:8: keys: `name` is missing"]);
    check("keys: [{ name: x }]", &["tollgate.yaml:1:8: keys: `secret` is missing"]);
    check(
        "teams: { t: { models: claude-* } }",
        &["tollgate.yaml:1:23: teams.t.models: expected a list, found a text"],
    );
    check(
        "teams: { t: { models: ['a b'] } }",
        &["tollgate.yaml:1:24: teams.t.models: \"a b\" is no model name: \
             use 1 to 256 characters without spaces"],
    );
}

#[test]
fn all_faults_come_together_in_order_and_bounded() {
    check(
        "threads: x\nengine: y\nkeys: [{ name: a, secret: '${env:NO}' }]\nlisten: z\n",
        &[
            "tollgate.yaml:1:10: threads: expected a whole number from 1 to 1024, found \"x\"",
            "tollgate.yaml:2:9: engine: expected one of auto, io_uring, epoll, found \"y\"",
            "tollgate.yaml:3:27: keys: secret of \"a\": the environment variable NO is not set",
            "tollgate.yaml:4:9: listen: expected an address and a port, \
             such as 127.0.0.1:4000 or [::]:4000, found \"z\"",
        ],
    );
    let many: String = (0..200).map(|n| format!("k{n}: 1\n")).collect();
    let text = faults(&many, &[]);
    assert_eq!(text.lines().count(), limits::CONFIG_FAULTS_MAX + 1);
    assert!(text.ends_with("\nand 150 more"), "{text}");
}

#[test]
fn files_that_are_no_configs() {
    let folder = Folder::new();
    let load = |bytes: &[u8]| {
        folder.write("tollgate.yaml", bytes);
        let environment = crate::config::environment::Environment::given(&[], folder.path());
        crate::config::load::load_in(None, &environment, &Keys::Read).unwrap_err().to_string()
    };
    assert_eq!(load(b"threads: 1\n\xff"), "tollgate.yaml:2:1: the file is not UTF-8 text");
    let size = usize::try_from(limits::CONFIG_BYTES_MAX).unwrap() + 1;
    let text = load(&vec![b'#'; size]);
    assert_eq!(text, "tollgate.yaml: the config cannot be read: it is larger than 1048576 bytes");
    let environment = crate::config::environment::Environment::given(&[], folder.path());
    let named = std::path::Path::new("other.yaml");
    let text = crate::config::load::load_in(Some(named), &environment, &Keys::Read).unwrap_err().to_string();
    assert_eq!(text, "other.yaml: the config cannot be read: No such file or directory (os error 2)");
}

#[test]
fn certificates_must_fit() {
    let folder = Folder::new();
    folder.write("cert.pem", crate::config::tests::certificate().0);
    folder.write("key.pem", crate::config::tests::certificate().1);
    let text = load_text(&folder, "tls: { cert: cert.pem, key: key.pem }", &[], &Keys::Read)
        .unwrap_err()
        .to_string();
    assert!(text.starts_with("tollgate.yaml:1:14: tls: "), "{text}");
    folder.write("cert.pem", "nothing");
    let text = load_text(&folder, "tls: { cert: cert.pem, key: key.pem }", &[], &Keys::Read)
        .unwrap_err()
        .to_string();
    assert_eq!(text, "tollgate.yaml:1:14: tls: no certificate in PEM form was found");
}
