//! MCP servers that do not hold, and the lines that people read.

use crate::config::load::Keys;
use crate::config::tests::{Folder, faults, load_text};
use crate::limits;

/// Faults without their columns, which other tests look at.
fn without_columns(faults: &str) -> String {
    let lines = faults.lines().map(|line| {
        let mut parts = line.splitn(4, ':');
        let (file, row, _, text) = (parts.next(), parts.next(), parts.next(), parts.next());
        format!("{}:{}:{}", file.unwrap(), row.unwrap(), text.unwrap())
    });
    lines.collect::<Vec<_>>().join("\n")
}

fn server(rest: &str, expected: &[&str]) {
    let config = format!("mcp_servers:\n  s: {rest}\n");
    let found = faults(&config, &[("EMPTY", ""), ("LINES", "hidden\nx")]);
    assert_eq!(without_columns(&found), expected.join("\n"), "{config}");
}

#[test]
fn servers_that_do_not_hold() {
    server("{}", &["tollgate.yaml:2: mcp_servers.s: one of `command`, `url` and `openapi` is missing"]);
    server(
        "{ comand: a, command: b }",
        &["tollgate.yaml:2: unknown key \"comand\" in mcp_servers.s; did you mean `command`?"],
    );
    server(
        "{ command: a, url: 'http://h', headers: {} }",
        &[
            "tollgate.yaml:2: mcp_servers.s: `url` does not go with `command`",
            "tollgate.yaml:2: mcp_servers.s: `headers` does not go with `command`",
        ],
    );
    server(
        "{ url: 'http://h', type: stdio }",
        &["tollgate.yaml:2: mcp_servers.s: this `type` does not go with `url`"],
    );
    server(
        "{ url: 'http://u:p@h' }",
        &["tollgate.yaml:2: mcp_servers.s.url: a user or password has no place in it; use `headers`"],
    );
    server(
        "{ url: 'ws://h' }",
        &["tollgate.yaml:2: mcp_servers.s.url: it must begin with http:// or https://"],
    );
    server(
        "{ url: 'http://h/a b?x' }",
        &["tollgate.yaml:2: mcp_servers.s.url: its path holds characters that must be escaped"],
    );
    server(
        "{ url: 'http://h/?a b' }",
        &["tollgate.yaml:2: mcp_servers.s.url: its path holds characters that must be escaped"],
    );
    server(
        "{ command: a, era: old, sharing: all, trusted: yes, call_timeout_ms: 0, idle_s: x }",
        &[
            "tollgate.yaml:2: mcp_servers.s.era: expected one of auto, legacy, modern, found \"old\"",
            "tollgate.yaml:2: mcp_servers.s.sharing: expected one of shared, per_caller, found \"all\"",
            "tollgate.yaml:2: mcp_servers.s.trusted: expected one of true, false, found \"yes\"",
            "tollgate.yaml:2: mcp_servers.s.call_timeout_ms: \
         expected a whole number from 1 to 86400000, found \"0\"",
            "tollgate.yaml:2: mcp_servers.s.idle_s: expected a whole number from 1 to 86400, found \"x\"",
        ],
    );
    for name in ["A", "-a", "sse", "messages", "a.b", &"a".repeat(33)] {
        assert_eq!(
            without_columns(&faults(&format!("mcp_servers:\n  {name}: {{ command: a }}\n"), &[])),
            format!(
                "tollgate.yaml:2: mcp_servers: \"{name}\" is no name: \
                 use 1 to 32 of a-z 0-9 _ -, beginning with a letter or digit; sse and messages are taken"
            )
        );
    }
    let many: String = (0..=limits::MCP_SERVERS_MAX).map(|n| format!("  s{n}: {{ command: a }}\n")).collect();
    assert_eq!(
        without_columns(&faults(&format!("mcp_servers:\n{many}"), &[])),
        "tollgate.yaml:2: mcp_servers: expected at most 256 servers"
    );
}

#[test]
fn settings_that_do_not_hold() {
    let line = "everyone on this machine can read a command line; put the secret into `env`";
    server(
        "{ command: a, args: ['--key=${env:HIDDEN}'] }",
        &[&format!("tollgate.yaml:2: mcp_servers.s.args: {line}")],
    );
    server(
        "{ command: a, args: x, env: [y] }",
        &[
            "tollgate.yaml:2: mcp_servers.s.args: expected a list, found a text",
            "tollgate.yaml:2: mcp_servers.s.env: expected a mapping, found a list",
        ],
    );
    server(
        "{ command: '', env: { 'A B': x, C: } }",
        &[
            "tollgate.yaml:2: mcp_servers.s.command: expected a text of one line, found \"\"",
            "tollgate.yaml:2: \"mcp_servers.s.env.A B\": it is no name of a variable",
            "tollgate.yaml:2: mcp_servers.s.env.C: expected a text, found nothing",
        ],
    );
    server(
        "{ command: a, env: { A: 'x${env:NO}', B: '${env:EMPTY}', C: '${HOME}' } }",
        &[
            "tollgate.yaml:2: mcp_servers.s.env.A: the environment variable NO is not set",
            "tollgate.yaml:2: mcp_servers.s.env.B: the secret is empty",
            "tollgate.yaml:2: mcp_servers.s.env.C: write a reference as `${env:NAME}` or `${file:PATH}`",
        ],
    );
    server(
        "\n    command: a\n    env:\n      D: '${env:X'",
        &["tollgate.yaml:5: mcp_servers.s.env.D: write a reference as `${env:NAME}` or `${file:PATH}`"],
    );
    let header = "it is empty or holds what cannot stand in a header";
    server(
        "{ url: 'http://h', headers: { Host: x, mcp-x: y, 'a b': z, X: '1', x: '2' } }",
        &[
            "tollgate.yaml:2: \"mcp_servers.s.headers.Host\": the gateway writes this header",
            "tollgate.yaml:2: \"mcp_servers.s.headers.mcp-x\": the gateway writes this header",
            "tollgate.yaml:2: \"mcp_servers.s.headers.a b\": it is no name of a header",
            "tollgate.yaml:2: \"mcp_servers.s.headers.x\": it is given twice",
        ],
    );
    server(
        "{ url: 'http://h', headers: { a: '', b: 'x${env:LINES}', c: 'ü', d: ' x' } }",
        &[
            &format!("tollgate.yaml:2: mcp_servers.s.headers.a: {header}"),
            &format!("tollgate.yaml:2: mcp_servers.s.headers.b: {header}"),
            &format!("tollgate.yaml:2: mcp_servers.s.headers.c: {header}"),
            &format!("tollgate.yaml:2: mcp_servers.s.headers.d: {header}"),
        ],
    );
    server("{ command: \"a\\0b\" }", &["tollgate.yaml:2: mcp_servers.s.command: it holds a zero byte"]);
    let long = "x".repeat(limits::MCP_SETTING_BYTES_MAX + 1);
    server(
        &format!("{{ command: a, env: {{ A: {long} }} }}"),
        &["tollgate.yaml:2: mcp_servers.s.env.A: it is longer than 16384 bytes"],
    );
}

#[test]
fn tools_that_do_not_hold() {
    server(
        "{ command: a, prefix: 'a.b' }",
        &["tollgate.yaml:2: mcp_servers.s.prefix: \
         expected on_collision, always, never, or 1 to 32 of a-z A-Z 0-9 _ -, found \"a.b\""],
    );
    server(
        "{ command: a, tools: { 'a*': { rename: b }, c: { rename: d, hide: true }, e: { rename: 'f g' } } }",
        &[
            "tollgate.yaml:2: mcp_servers.s.tools.a*.rename: a pattern may fit many tools, \
             which need names each",
            "tollgate.yaml:2: mcp_servers.s.tools.c.rename: the tool is hidden, so its name is never seen",
            "tollgate.yaml:2: mcp_servers.s.tools.e.rename: \"f g\" is no tool name: \
             use 1 to 64 of a-z A-Z 0-9 _ -",
        ],
    );
    server(
        "{ command: a, tools: { a: { rename: x }, b: { rename: x }, 'c d': {} } }",
        &[
            "tollgate.yaml:2: mcp_servers.s.tools.b: two tools cannot both become \"x\"",
            "tollgate.yaml:2: mcp_servers.s.tools: \"c d\" is no tool name: \
             use 1 to 256 characters without spaces",
        ],
    );
    let long = "x".repeat(limits::MCP_DESCRIPTION_BYTES_MAX + 1);
    server(
        &format!("{{ command: a, tools: {{ a: {{ description: {long} }} }} }}"),
        &["tollgate.yaml:2: mcp_servers.s.tools.a.description: it is longer than 4096 bytes"],
    );
}

#[test]
fn endpoints_and_grants_that_do_not_hold() {
    let check = |config: &str, expected: &[&str]| {
        assert_eq!(without_columns(&faults(config, &[])), expected.join("\n"), "{config}")
    };
    check(
        "mcp: { allowed_origins: [app.example.com, 'https://h/'], allowed_hosts: ['http://h'] }",
        &[
            "tollgate.yaml:1: mcp.allowed_origins: \
         expected an origin such as https://app.example.com, found \"app.example.com\"",
            "tollgate.yaml:1: mcp.allowed_origins: \
         expected an origin such as https://app.example.com, found \"https://h/\"",
            "tollgate.yaml:1: mcp.allowed_hosts: \
         expected a host such as mcp.example.com or mcp.example.com:4000, found \"http://h\"",
        ],
    );
    check(
        "mcp: { legacy_sse: 1, endpoint_key: a.b, sse: x }",
        &[
            "tollgate.yaml:1: mcp.legacy_sse: expected one of true, false, found \"1\"",
            "tollgate.yaml:1: mcp.endpoint_key: expected 1 to 32 of a-z A-Z 0-9 _ -, found \"a.b\"",
            "tollgate.yaml:1: unknown key \"sse\" in mcp; known here: \
         allowed_origins, allowed_hosts, legacy_sse, endpoint_key, tools, embedding",
        ],
    );
    check(
        "mcp: { tools: full }\nteams: { t: { tools: [lean] } }\n\
         mcp_servers:\n  a: { command: a, tools: short }\n  b: { command: b, tools: { x: { mode: 1 } } }",
        &[
            "tollgate.yaml:1: mcp.tools: expected one of native, lean, raw, search, jit, code, auto, \
             found \"full\"",
            "tollgate.yaml:2: teams.t.tools: expected a text, found a list",
            "tollgate.yaml:4: mcp_servers.a.tools: expected one of native, lean, raw, search, jit, code, \
             found \"short\"",
            "tollgate.yaml:5: mcp_servers.b.tools.x.mode: expected one of native, lean, raw, search, jit, \
             code, found \"1\"",
        ],
    );
    check(
        "mcp_servers:\n  a: { command: a, results: { minify: 1, keep: [a.], max_rows: 0, max_bytes: 9 } }\n  \
         b: { command: b, tools: { x: { results: { rows: 1, drop: [$] } } } }",
        &[
            "tollgate.yaml:2: mcp_servers.a.results.minify: expected one of true, false, found \"1\"",
            "tollgate.yaml:2: mcp_servers.a.results.keep: a step begins with `.`, `..` or `[` (at byte 0), \
             as in `$.items[*].name` or `..url`",
            "tollgate.yaml:2: mcp_servers.a.results.max_rows: expected a whole number from 1 to 8388608, \
             found \"0\"",
            "tollgate.yaml:2: mcp_servers.a.results.max_bytes: expected a whole number from 256 to 8388608, \
             found \"9\"",
            "tollgate.yaml:3: unknown key \"rows\" in mcp_servers.b.tools.x.results; \
             known here: minify, keep, drop, max_rows, max_bytes, max_result_size_chars, refer_bytes",
            "tollgate.yaml:3: mcp_servers.b.tools.x.results.drop: a path needs at least one step: \
             `$` alone is the whole result",
        ],
    );
    check(
        "teams: { t: { servers: { a: x, 'b c': [], d: ['e f'] } } }",
        &[
            "tollgate.yaml:1: teams.t.servers.a: expected a list, found a text",
            "tollgate.yaml:1: teams.t.servers: \"b c\" is no server name: \
             use 1 to 256 characters without spaces",
            "tollgate.yaml:1: teams.t.servers.d: \"e f\" is no tool name: \
             use 1 to 256 characters without spaces",
        ],
    );
    check(
        "teams: { t: { servers: [a] } }",
        &["tollgate.yaml:1: teams.t.servers: expected a mapping, found a list"],
    );
}

#[test]
fn documents_that_do_not_hold() {
    let folder = Folder::new();
    let check = |document: Option<&[u8]>, expected: &str| {
        if let Some(document) = document {
            folder.write("doc", document);
        }
        let config = "mcp_servers:\n  s: { openapi: doc }\n";
        let faults = load_text(&folder, config, &[], &Keys::Read).unwrap_err().to_string();
        let faults = without_columns(&faults.replace(&folder.path().display().to_string(), "DIR"));
        assert_eq!(faults, expected);
    };
    let what = "tollgate.yaml:2: mcp_servers.s";
    check(None, &format!("{what}.openapi: DIR/doc cannot be read: No such file or directory (os error 2)"));
    check(
        Some(b"{\"a\":"),
        &format!(
            "{what}.openapi: DIR/doc is no OpenAPI document in JSON: \
             EOF while parsing a value at line 1 column 5"
        ),
    );
    check(Some(b"\xff"), &format!("{what}.openapi: DIR/doc is not UTF-8 text"));
    check(
        Some(b"just words"),
        &format!("{what}.openapi: DIR/doc is no OpenAPI document: expected a mapping"),
    );
    check(
        Some(b"a: 1\nb: *x\n"),
        "DIR/doc:2: `*` and `&` at the start of a value mean aliases in YAML, \
         which a config may not use: write a pattern in quotes, as in \"*\"",
    );
    let missing = "`base_url` is missing, and the document names no server of its own";
    check(Some(b"a: 1"), &format!("{what}: {missing}"));
    check(Some(b"{\"servers\":[{\"url\":\"https://{host}/\"}]}"), &format!("{what}: {missing}"));
    check(
        Some(b"{\"servers\":[{\"url\":\"ftp://h\"}]}"),
        &format!("{what}.base_url: it must begin with http:// or https://"),
    );
    let deep = format!("a: {}1{}", "[".repeat(200), "]".repeat(200));
    check(Some(deep.as_bytes()), "DIR/doc:1: this is nested deeper than 128 levels, which no key needs");
}

#[test]
fn rules_of_what_is_kept_that_do_not_hold() {
    server(
        "{ command: a, cache: { ttl_s: 60 } }",
        &["tollgate.yaml:2: mcp_servers.s.cache: only results of a server with `trusted: true` are kept, \
             since it says which tools only look"],
    );
    server(
        "{ command: a, trusted: true, cache: [{ ttl_s: 0 }, { ttl: 5 }, { tools: [a b] }] }",
        &[
            "tollgate.yaml:2: mcp_servers.s.cache.ttl_s: expected a whole number from 1 to 86400, \
             found \"0\"",
            "tollgate.yaml:2: unknown key \"ttl\" in mcp_servers.s.cache; did you mean `ttl_s`?",
            "tollgate.yaml:2: mcp_servers.s.cache.tools: \"a b\" is no tool name: use 1 to 256 characters \
             without spaces",
        ],
    );
    server(
        "{ command: a, trusted: true, cache: 60 }",
        &["tollgate.yaml:2: mcp_servers.s.cache: expected a list, found a text"],
    );
}

#[test]
fn what_clients_show_of_results_has_bounds() {
    let config =
        "mcp_servers:\n  a: { command: a, results: { max_result_size_chars: 500001, refer_bytes: 1000 } }";
    let expected = [
        "tollgate.yaml:2: mcp_servers.a.results.max_result_size_chars: expected a whole number from 1 to \
         500000, found \"500001\"",
        "tollgate.yaml:2: mcp_servers.a.results.refer_bytes: expected a whole number from 1024 to 8388608, \
         found \"1000\"",
    ];
    assert_eq!(without_columns(&faults(config, &[])), expected.join("\n"));
}
